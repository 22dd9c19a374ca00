//! What is to be reported and was learned outside of a turn, or when there was no room for it.

use std::collections::{HashMap, VecDeque};

use crate::client::table::Table;
use crate::error::DisconnectReason;
use crate::event::{Event, Events};
use crate::id::RelayId;
use crate::status::RelayStatus;

/// Ends of connections, and room in their queues. At most one of each for a connection.
#[derive(Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    /// The connections whose end the last poll has reported.
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

    /// The final status of a connection whose end was reported since [`forget`](Self::forget).
    pub(super) fn ended(&self, id: RelayId) -> Option<&RelayStatus> {
        self.ended.get(&id).map(|status| &**status)
    }

    /// Forgets the ends that were reported.
    pub(super) fn forget(&mut self) {
        self.ended.clear();
    }

    /// Reports as much as there is room for.
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
                    // A connection that has ended meanwhile has nothing to be written to.
                    if let Some(slot) = table.get_mut(relay) {
                        slot.is_noticed = false;
                        events.push(Event::Writable { relay });
                    }
                }
            }
        }
    }
}
