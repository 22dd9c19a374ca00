//! What the handle asks of the relay's thread.

use std::{sync::mpsc::Sender, time::Instant};

use crate::{conduct::Conduct, session::Key, statistics::Statistics};

pub(crate) enum Command {
    SetConduct { conduct: Conduct, done: Sender<()> },
    Statistics { answer: Sender<Statistics> },
    Wait(Wait),
    Do { key: Key, deed: Deed, done: Sender<bool> },
}

/// Something to be done to the connection of one client.
pub(crate) enum Deed {
    Send(Vec<u8>),
    SendRaw(Vec<u8>),
    Close,
    Reset,
    StopReading,
    ResumeReading,
}

/// Somebody waits until the statistics are as they should be.
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
