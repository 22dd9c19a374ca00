//! Events that no turn reports: they may happen outside of a poll, or when [`Events`] has no room for them.

use std::collections::VecDeque;

use crate::client::table::Table;
use crate::error::DisconnectReason;
use crate::event::Event;
use crate::events::Events;
use crate::id::ConnectionId;
use crate::status::ConnectionStatus;

/// Ended connections, and queues that have room again: at most one of each per connection.
#[derive(Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
}

enum Notice {
    Ended(DisconnectReason, Box<ConnectionStatus>),
    Writable(ConnectionId),
}

impl Notices {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push_end(&mut self, reason: DisconnectReason, status: ConnectionStatus) {
        self.waiting.push_back(Notice::Ended(reason, Box::new(status)));
    }

    pub(super) fn push_writable(&mut self, id: ConnectionId) {
        self.waiting.push_back(Notice::Writable(id));
    }

    /// Reports as many notices as `events` has room for.
    pub(super) fn report(&mut self, table: &mut Table, events: &mut Events) {
        while events.has_room()
            && let Some(notice) = self.waiting.pop_front()
        {
            match notice {
                Notice::Ended(reason, status) => {
                    let ConnectionStatus { connection, token, .. } = *status;
                    events.push(Event::Disconnected { connection, token, reason, status: &status });
                }
                Notice::Writable(connection) => {
                    // A connection that has ended in the meantime is not writable.
                    if let Some(slot) = table.get_mut(connection) {
                        slot.is_notice_queued = false;
                        let token = slot.connection.token();
                        events.push(Event::Writable { connection, token });
                    }
                }
            }
        }
    }
}
