//! Who was refused for want of room, and hears when there may be some.
//!
//! It is not known which relay was full for a peer's data, as the ways to a peer come and go. So each change of them is
//! taken for room: one `Writable` too many costs a call of `send`, one too few stops a transfer for good.

use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::Notice;
use crate::pool::plan::relay::Known;
use crate::pool::plan::state::Plan;

impl Plan {
    /// Data of this peer were refused by all its relays.
    pub(crate) fn handle_refused_data(&mut self, id: PeerId) {
        self.peers.get_mut(id.0).into_iter().for_each(|peer| peer.was_refused = true);
    }

    /// A packet that is not a peer's was refused by this relay.
    pub(crate) fn handle_refused_packet(&mut self, id: RelayId) {
        self.relays.get_mut(id.0).into_iter().for_each(|relay| relay.was_full = true);
    }

    /// There is room on a relay: for data on routes, and for those out of band.
    pub(crate) fn handle_writable(&mut self, id: RelayId) {
        let Some(known) = self.relays.get_mut(id.0) else { return };
        if std::mem::take(&mut known.was_full) {
            self.notices.push_back(Notice::RelayWritable(id));
        }
        for peer in &known.tied {
            if self.peers.get_mut(peer.0).is_some_and(|peer| std::mem::take(&mut peer.was_refused)) {
                self.notices.push_back(Notice::Writable(*peer));
            }
        }
    }

    /// There may be room for data to this peer, unless no relay could take them. Then the next one that is connected can.
    pub(crate) fn report_room(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let is_connected = |relay: RelayId| self.relays.get(relay.0).is_some_and(Known::is_connected);
        if peer.was_refused && peer.ties.iter().any(|tie| is_connected(tie.relay)) {
            peer.was_refused = false;
            self.notices.push_back(Notice::Writable(id));
        }
    }
}
