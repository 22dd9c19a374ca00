//! What the handle asks for.

use std::sync::{Arc, mpsc::TryRecvError};

use super::Server;
use crate::{
    command::{Command, Deed},
    connection::Reading,
    session::Key,
    statistics::Statistics,
};

impl Server {
    /// Does what the handle asks for. `false` is the end.
    pub(super) fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::SetConduct { conduct, done }) => {
                    self.conduct = Arc::new(conduct);
                    let _ = done.send(());
                }
                Ok(Command::Statistics { answer }) => {
                    let _ = answer.send(self.statistics());
                }
                Ok(Command::Wait(wait)) => self.waits.push(wait),
                Ok(Command::Do { key, deed, done }) => {
                    let _ = done.send(self.act(&key, deed));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn act(&mut self, key: &Key, deed: Deed) -> bool {
        let Some(&id) = self.by_key.get(key) else { return false };
        let connection = &mut self.connections[id];
        match deed {
            Deed::Send(plaintext) => return self.send(id, &plaintext),
            Deed::SendRaw(bytes) => {
                connection.send_raw(&bytes);
                self.mark_dirty(id);
            }
            Deed::Close => self.close(id),
            Deed::Reset => self.reset(id),
            Deed::StopReading => connection.reading = Reading::Paused,
            Deed::ResumeReading => {
                connection.reading = Reading::On;
                self.unread.push(id);
            }
        }
        true
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            connected: self.connections.len(),
            confirmed: self.switch.confirmed(),
            routes: self.switch.routes(),
            ..self.statistics
        }
    }

    /// Answers those that wait for a condition that now holds.
    pub(super) fn answer_waiting(&mut self) {
        if self.waits.is_empty() {
            return;
        }
        let statistics = self.statistics();
        self.waits.retain(|wait| {
            // Those that got the answer, or have given up, wait no longer.
            let met = (wait.condition)(&statistics);
            !(met && wait.met.send(statistics).is_ok() || wait.is_over())
        });
    }
}
