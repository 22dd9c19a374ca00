//! Commands of the handle.

use std::sync::{Arc, mpsc::TryRecvError};

use super::Server;
use crate::{
    command::{Action, Command},
    connection::Reading,
    session::Key,
    statistics::Statistics,
};

impl Server {
    /// Executes all commands of the handle. Returns `false` if the handle is dropped.
    pub(super) fn handle_commands(&mut self) -> bool {
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
                Ok(Command::Act { key, action, done }) => {
                    let _ = done.send(self.act(&key, action));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn act(&mut self, key: &Key, action: Action) -> bool {
        let Some(&id) = self.by_key.get(key) else { return false };
        let connection = &mut self.connections[id];
        match action {
            Action::Send(plaintext) => return self.send(id, &plaintext),
            Action::SendRaw(bytes) => {
                connection.send_raw(&bytes);
                self.mark_dirty(id);
            }
            Action::Close => self.close(id),
            Action::Reset => self.reset(id),
            Action::StopReading => connection.reading = Reading::Paused,
            Action::ResumeReading => {
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

    /// Answers the callers whose condition is fulfilled.
    pub(super) fn answer_waiting(&mut self) {
        if self.waits.is_empty() {
            return;
        }
        let statistics = self.statistics();
        self.waits.retain(|wait| {
            // Those that have the answer, or have timed out, are removed.
            let met = (wait.condition)(&statistics);
            !(met && wait.met.send(statistics).is_ok() || wait.is_over())
        });
    }
}
