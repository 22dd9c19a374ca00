//! What the plan knows.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::id::ConnectionId;
use crate::key::PublicKey;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::plan::action::{Action, Notice};
use crate::pool::plan::allowance::Allowance;
use crate::pool::plan::peer::Peer;
use crate::pool::plan::relay::Known;
use crate::pool::registry::Registry;

/// The plan: see [the module](crate::pool::plan).
pub(crate) struct Plan {
    pub(crate) relays: Registry<Known>,
    /// Those of them that the user or a list has named.
    pub(crate) own: BTreeSet<RelayId>,
    pub(crate) peers: Registry<Peer>,
    pub(crate) by_key: HashMap<PublicKey, PeerId>,
    pub(crate) by_relay_key: HashMap<PublicKey, RelayId>,
    pub(crate) by_connection: HashMap<ConnectionId, RelayId>,
    /// The tokens of relays that were removed, until the end of their connections is reported.
    pub(crate) removed: HashMap<RelayId, u64>,
    /// The relays to which data were sent, until they are heard.
    pub(crate) watched: Vec<RelayId>,
    /// Whether there are new ones among them.
    pub(crate) has_sent: bool,
    /// The most connections.
    pub(crate) bound: usize,
    /// How many relays each awake peer wants.
    pub(crate) wanted: usize,
    pub(crate) onion_relays: usize,
    pub(crate) allowance: Allowance,
    pub(crate) random: StdRng,
    /// How long after one common ping the next one is due.
    pub(crate) beat: Duration,
    /// When it is due; `None` if no relay is connected.
    pub(crate) beat_at: Option<Instant>,
    /// The last relay that was connected and gave its place to another, and when, until it fails.
    pub(crate) gave_way: Option<(RelayId, Instant)>,
    /// When the first search for a peer began.
    pub(crate) searches_since: Option<Instant>,
    /// When the next review is due, if nothing happens before.
    pub(crate) review_at: Option<Instant>,
    /// Whether something has happened since the last review.
    pub(crate) is_outdated: bool,
    /// The relays that may have become surplus since then, or are not surplus any more, as routes of their peers have come
    /// online or gone offline. If nothing else has happened, these alone are reviewed.
    pub(crate) doubtful: BTreeSet<RelayId>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) notices: VecDeque<Notice>,
}

impl Plan {
    /// A plan that knows nothing, for at most so many connections, with the ping interval of the client.
    pub(crate) fn new(bound: usize, ping_interval: Duration, seed: [u8; 32]) -> Self {
        let mut plan = Self {
            relays: Registry::default(),
            own: BTreeSet::new(),
            peers: Registry::default(),
            by_key: HashMap::new(),
            by_relay_key: HashMap::new(),
            by_connection: HashMap::new(),
            removed: HashMap::new(),
            watched: Vec::new(),
            has_sent: false,
            bound,
            wanted: 3,
            onion_relays: 0,
            allowance: Allowance::default(),
            random: StdRng::from_seed(seed),
            beat: Duration::ZERO,
            beat_at: None,
            gave_way: None,
            searches_since: None,
            review_at: None,
            is_outdated: true,
            doubtful: BTreeSet::new(),
            actions: VecDeque::new(),
            notices: VecDeque::new(),
        };
        plan.set_ping_interval(ping_interval);
        plan
    }

    /// A review is due then, at the latest.
    pub(crate) fn wake(&mut self, at: Instant) {
        self.review_at = Some(self.review_at.map_or(at, |other| other.min(at)));
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn has_notice(&self) -> bool {
        !self.notices.is_empty()
    }

    pub(crate) fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub(crate) fn relay(&self, id: RelayId) -> Option<&Known> {
        self.relays.get(id.0)
    }

    pub(crate) fn relays(&self) -> impl Iterator<Item = (RelayId, &Known)> {
        self.relays.iter().map(|(id, relay)| (RelayId(id), relay))
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id.0)
    }

    /// The token of a peer, 0 if it was removed.
    pub(crate) fn token_of_peer(&self, id: PeerId) -> u64 {
        self.peer(id).map_or(0, |peer| peer.token)
    }

    /// The token of a relay, 0 if it was removed.
    pub(crate) fn token_of_relay(&self, id: RelayId) -> u64 {
        self.relay(id).map_or(0, |known| known.relay.token)
    }

    /// The token of a relay whose connection has ended, and which may have been removed.
    pub(crate) fn token_of_ended(&mut self, id: RelayId) -> u64 {
        self.removed.remove(&id).unwrap_or(self.token_of_relay(id))
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (PeerId(id), peer))
    }

    pub(crate) fn find_peer(&self, key: &PublicKey) -> Option<PeerId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn find_relay_by_key(&self, key: &PublicKey) -> Option<RelayId> {
        self.by_relay_key.get(key).copied()
    }

    pub(crate) fn find_relay(&self, connection: ConnectionId) -> Option<RelayId> {
        self.by_connection.get(&connection).copied()
    }
}
