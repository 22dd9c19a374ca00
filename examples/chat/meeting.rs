//! Which relays are used. Two people only meet on a relay that both use, so they must choose the same ones of a long
//! list, and neither has told the other yet.

use tox_relay_client::{PublicKey, Relay};

/// A relay that may be used.
#[derive(Clone)]
pub struct Candidate {
    pub rank: Rank,
    pub relay: Relay,
}

/// Who comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The user has named it.
    Named,
    /// It worked when the list was made.
    Worked,
    /// It did not work then.
    Unknown,
}

/// Puts the candidates into the order in which they are tried. It is the same for both people who have the same
/// candidates: the nearest to both come first. "Near" has the meaning that it has in Tox's DHT, the XOR of two keys.
/// Without a peer, it is the order of the distance to `own`.
pub fn sort(candidates: &mut [Candidate], own: PublicKey, peer: Option<PublicKey>) {
    let place = peer.map_or(*own.as_bytes(), |peer| xor(&own, &peer));
    candidates.sort_by_cached_key(|candidate| {
        (candidate.rank, xor(&candidate.relay.public_key(), &PublicKey::from(place)))
    });
}

fn xor(one: &PublicKey, other: &PublicKey) -> [u8; 32] {
    std::array::from_fn(|index| one.as_bytes()[index] ^ other.as_bytes()[index])
}
