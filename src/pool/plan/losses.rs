//! The data that a relay loses, as the user reports: of each peer by itself, since it may be the peer that does not
//! confirm.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pool::id::PeerId;

/// Half of the reports are forgotten after this time: one in ten minutes, a thousand in less than two hours. Congestion
/// is over by then, and a relay that loses data on purpose gains a few packets each time, and more seldom the more it has
/// lost.
const HALF_LIFE: Duration = Duration::from_secs(600);

/// So many peers must report a relay, before it is avoided for the others, too: one alone may want just that.
const SEVERAL: usize = 2;

/// See the module.
#[derive(Default)]
pub(crate) struct Losses(BTreeMap<PeerId, Loss>);

/// The losses of a peer.
struct Loss {
    /// How often they were reported, less how often data were reported to be delivered; at least 1.
    count: u32,
    /// When there was the last report, or half of them were forgotten.
    since: Instant,
}

impl Losses {
    pub(crate) fn report(&mut self, now: Instant, peer: PeerId, was_delivered: bool) {
        let loss = self.0.entry(peer).or_insert(Loss { count: 0, since: now });
        if was_delivered {
            loss.count = loss.count.saturating_sub(1);
        } else {
            (loss.count, loss.since) = (loss.count.saturating_add(1), now);
        }
        self.0.retain(|_, loss| loss.count > 0);
    }

    /// Forgets what was reported long ago.
    pub(crate) fn forget(&mut self, now: Instant) {
        for loss in self.0.values_mut() {
            while loss.count > 0 && loss.since + HALF_LIFE <= now {
                (loss.count, loss.since) = (loss.count / 2, loss.since + HALF_LIFE);
            }
        }
        self.0.retain(|_, loss| loss.count > 0);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    /// How many peers have reported any.
    pub(crate) fn peers(&self) -> usize {
        self.0.len()
    }

    /// Whether several peers have.
    pub(crate) fn are_common(&self) -> bool {
        self.peers() >= SEVERAL
    }

    /// What this peer has to expect: what it has reported itself, or what several others have.
    pub(crate) fn of(&self, peer: PeerId) -> u32 {
        self.0.get(&peer).map_or(u32::from(self.are_common()), |loss| loss.count)
    }
}
