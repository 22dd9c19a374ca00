//! A peer, the relays that are tied to it, and the one that carries its data.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::id::RouteId;
use crate::key::PublicKey;
use crate::pool::id::RelayId;

/// How long other relays must be faster before the fastest takes over: at three common pings in a row.
const FASTER_FOR: Duration = Duration::from_secs(55);

/// A peer that is offline for so long is searched for, at the second common ping after it went offline.
const OFFLINE_FOR: Duration = Duration::from_secs(25);

/// The first pause between rounds of a search.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The most relays that a peer names, and the most that are tied to it.
pub(crate) const MAX_RELAYS_OF_PEER: usize = 24;

/// The most routes to a peer.
pub(crate) const MAX_ROUTES_OF_PEER: usize = 6;

pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    /// The token that the user has chosen for it.
    pub(crate) token: u64,
    /// Whether it is to be reached through relays.
    pub(crate) is_awake: bool,
    /// Since when it is known that it sleeps, if it does.
    pub(crate) sleeps_since: Option<Instant>,
    pub(crate) ties: Vec<Tie>,
    /// The relays that it has named, and neither the user nor a list.
    pub(crate) named: BTreeSet<RelayId>,
    /// The search for it, if it is offline.
    pub(crate) search: Option<Search>,
    /// The relay that carries its data: the peer is online there. `None` while it is offline.
    pub(crate) used: Option<RelayId>,
    /// Since when there was always a relay that is faster than the used one.
    pub(crate) faster_since: Option<Instant>,
    /// Whether `send` has refused data since the last notice of room.
    pub(crate) was_refused: bool,
    /// The turn of the next relay for data while the peer is offline.
    pub(crate) turn: usize,
}

/// A relay on which a peer is thought to be.
#[derive(Clone, Copy)]
pub(crate) struct Tie {
    pub(crate) relay: RelayId,
    pub(crate) route: Route,
    /// Whether it was tried in this round of the search for the peer; all count as tried when the round has ended.
    pub(crate) is_tried: bool,
}

/// The search for a peer, in rounds.
pub(crate) struct Search {
    /// When the next round begins; `None` during one.
    pub(crate) next_at: Option<Instant>,
    /// The pause after this round.
    pub(crate) pause: Duration,
}

impl Search {
    pub(crate) fn new(now: Instant) -> Self {
        Self { next_at: Some(now + OFFLINE_FOR), pause: FIRST_PAUSE }
    }

    /// Begins again with the first pause. A round that is under way, or due sooner, is not put off.
    pub(crate) fn begin_soon(&mut self, now: Instant) {
        self.next_at = self.next_at.map(|at| at.min(now + OFFLINE_FOR));
        self.pause = FIRST_PAUSE;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// None is open. After a refusal, none is requested before this.
    None {
        not_before: Option<Instant>,
    },
    /// The driver has yet to request it.
    Planned,
    /// Requested, or open while the peer is offline.
    Offline(RouteId),
    Online(RouteId),
}

impl Route {
    pub(crate) const CLOSED: Self = Self::None { not_before: None };

    pub(crate) fn id(self) -> Option<RouteId> {
        match self {
            Self::None { .. } | Self::Planned => None,
            Self::Offline(id) | Self::Online(id) => Some(id),
        }
    }

    pub(crate) fn online(self) -> Option<RouteId> {
        match self {
            Self::Online(id) => Some(id),
            _ => None,
        }
    }
}

impl Peer {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self {
            key,
            token: 0,
            is_awake: true,
            sleeps_since: None,
            ties: Vec::new(),
            named: BTreeSet::new(),
            search: None,
            used: None,
            faster_since: None,
            was_refused: false,
            turn: 0,
        }
    }

    pub(crate) fn tie(&self, relay: RelayId) -> Option<&Tie> {
        self.ties.iter().find(|tie| tie.relay == relay)
    }

    pub(crate) fn tie_mut(&mut self, relay: RelayId) -> Option<&mut Tie> {
        self.ties.iter_mut().find(|tie| tie.relay == relay)
    }

    /// The relays that the search for it has still to try.
    pub(crate) fn untried(&self) -> impl Iterator<Item = &Tie> {
        self.ties.iter().filter(|tie| self.is_untried(tie))
    }

    pub(crate) fn is_untried(&self, tie: &Tie) -> bool {
        self.search.is_some() && !tie.is_tried && tie.route.id().is_none()
    }

    /// The most routes besides those on which the search has still to try it: room is left for these.
    pub(crate) fn most_routes(&self, wanted: usize) -> usize {
        let is_searched = self.untried().next().is_some();
        if is_searched { wanted.min(MAX_ROUTES_OF_PEER - 1) } else { MAX_ROUTES_OF_PEER }
    }

    /// The routes that are open, requested or planned.
    pub(crate) fn routes(&self) -> usize {
        self.ties.iter().filter(|tie| !matches!(tie.route, Route::None { .. })).count()
    }

    /// Another relay is faster by a third than the used one. Returns whether there was one for long enough.
    pub(crate) fn handle_faster(&mut self, now: Instant) -> bool {
        let since = *self.faster_since.get_or_insert(now);
        now.saturating_duration_since(since) >= FASTER_FOR
    }
}
