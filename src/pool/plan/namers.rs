//! The peers that have named a relay, and the addresses that they have told.

use crate::address::Address;
use crate::pool::id::PeerId;
use crate::pool::origin::Origin;

/// The most addresses of a relay, as in `Client::connect`.
pub(crate) const MAX_ADDRESSES: usize = 16;

/// The most of them that one peer contributes: some IPv4 and IPv6 addresses and ports. There is room for what others say.
const MAX_ADDRESSES_OF_PEER: usize = 4;

/// See the module. The first one is the first.
#[derive(Default)]
pub(crate) struct Namers(Vec<Namer>);

/// A peer that has named a relay.
struct Namer {
    peer: PeerId,
    /// Whether it was seen at an address of the local network.
    is_local: bool,
    /// The addresses that it has named, in this order: at most [`MAX_ADDRESSES`].
    addresses: Vec<Address>,
}

impl Namers {
    /// A peer has named the relay, perhaps again.
    pub(crate) fn name(&mut self, peer: PeerId, is_local: bool, addresses: &[Address]) {
        let at = self.0.iter().position(|namer| namer.peer == peer).unwrap_or_else(|| {
            self.0.push(Namer { peer, is_local, addresses: Vec::new() });
            self.0.len() - 1
        });
        let known = &mut self.0[at].addresses;
        let new: Vec<Address> =
            addresses.iter().filter(|address| !known.contains(address)).cloned().collect();
        known.extend(new);
        known.truncate(MAX_ADDRESSES);
    }

    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.0.retain(|namer| namer.peer != peer);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.0.iter().map(|namer| namer.peer)
    }

    /// The first of them, as an origin.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.0.first().map(|namer| Origin::Peer { peer: namer.peer, is_local: namer.is_local })
    }

    /// The addresses of the relay: of each peer the first few that those before it have not named.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut named: Vec<Address> = Vec::new();
        for namer in &self.0 {
            let new = namer.addresses.iter().filter(|address| !named.contains(address));
            let new: Vec<Address> = new.take(MAX_ADDRESSES_OF_PEER).cloned().collect();
            named.extend(new);
        }
        named.truncate(MAX_ADDRESSES);
        named
    }
}
