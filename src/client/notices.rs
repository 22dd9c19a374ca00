//! Events that no turn reports: they may happen outside of a poll, or when [`Events`] has no room for them.

use std::collections::{HashMap, VecDeque};

use crate::client::table::Table;
use crate::error::DisconnectReason;
use crate::event::{Event, Events};
use crate::id::RelayId;
use crate::status::RelayStatus;

/// Ended connections, and queues that have room again: at most one of each per connection.
#[derive(Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    /// The final status of the connections whose end the last poll has reported.
    ended: HashMap<RelayId, Box<RelayStatus>>,
}

enum Notice {
    Ended(RelayId, DisconnectReason, Box<RelayStatus>),
    Writable(RelayId),
}

impl Notices {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push_end(&mut self, id: RelayId, reason: DisconnectReason, status: RelayStatus) {
        self.waiting.push_back(Notice::Ended(id, reason, Box::new(status)));
    }

    pub(super) fn push_writable(&mut self, id: RelayId) {
        self.waiting.push_back(Notice::Writable(id));
    }

    /// The final status of a connection whose end was reported since the last call of [`forget`](Self::forget).
    pub(super) fn ended(&self, id: RelayId) -> Option<&RelayStatus> {
        self.ended.get(&id).map(|status| &**status)
    }

    /// Removes the final statuses of the connections whose end was reported.
    pub(super) fn forget(&mut self) {
        self.ended.clear();
    }

    /// Reports as many notices as `events` has room for.
    pub(super) fn report(&mut self, table: &mut Table, events: &mut Events) {
        while events.has_room()
            && let Some(notice) = self.waiting.pop_front()
        {
            match notice {
                Notice::Ended(relay, reason, status) => {
                    self.ended.insert(relay, status);
                    events.push(Event::Disconnected { relay, reason });
                }
                Notice::Writable(relay) => {
                    // A connection that has ended in the meantime is not writable.
                    if let Some(slot) = table.get_mut(relay) {
                        slot.is_notice_queued = false;
                        events.push(Event::Writable { relay });
                    }
                }
            }
        }
    }
}
