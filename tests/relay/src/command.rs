//! Commands from the handle to the relay's thread.

use std::{sync::mpsc::Sender, time::Instant};

use crate::{conduct::Conduct, session::Key, statistics::Statistics};

pub(crate) enum Command {
    SetConduct { conduct: Conduct, done: Sender<()> },
    Statistics { answer: Sender<Statistics> },
    Wait(Wait),
    Act { key: Key, action: Action, done: Sender<bool> },
}

/// An action on the connection of one client.
pub(crate) enum Action {
    Send(Vec<u8>),
    SendRaw(Vec<u8>),
    Close,
    Reset,
    StopReading,
    ResumeReading,
}

/// A caller waits until the statistics fulfil a condition.
pub(crate) struct Wait {
    pub condition: Box<dyn Fn(&Statistics) -> bool + Send>,
    pub met: Sender<Statistics>,
    pub until: Instant,
}

impl Wait {
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}
