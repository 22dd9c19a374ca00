//! Random histories, and what must hold in each of their steps.
//!
//! `POOL_HISTORIES` says how many: a seed and a count, separated by a space. A history that fails names its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::World;
use super::world::Conduct;
use crate::advice::Retry;
use crate::config::Relay;
use crate::pool::error::AddRelayError;
use crate::pool::id::{PeerId, RelayId};
use crate::pool::origin::Origin;
use crate::pool::plan::Notice;
use crate::pool::plan::peer::Route;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Relays fail, fall silent, lie, return; peers come, sleep, leave; the network goes away.
struct History {
    random: StdRng,
    world: World,
    relays: Vec<RelayId>,
    peers: Vec<PeerId>,
    /// What was reported: the peers that are online, and by which relay.
    online: BTreeMap<PeerId, RelayId>,
    /// Since when each sleeping peer sleeps.
    asleep: BTreeMap<PeerId, Instant>,
    /// Since when nobody needs a relay that is connected.
    unneeded: BTreeMap<RelayId, Instant>,
    /// How often the user has said that the network has changed, which allows more attempts.
    changes: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let random = StdRng::seed_from_u64(seed);
        let relays = world.relays(20);
        let (peers, online, asleep, unneeded) = Default::default();
        Self { random, world, relays, peers, online, asleep, unneeded, changes: 0 }
    }

    fn run(&mut self) {
        let steps = self.random.random_range(50..300);
        for _ in 0..steps {
            self.step();
            self.world.pass(Duration::ZERO);
            self.check();
            for _ in 0..self.random.random_range(0..8) {
                self.world.pass(5 * SECOND);
                self.check();
            }
        }
        match self.random.random_range(0..8) {
            0 | 1 => self.lose_the_network(),
            2 => self.fail_in_any_way(),
            _ => {}
        }
        let seconds = (self.world.now - self.world.start).as_secs() as usize;
        let most = 16 * (1 + self.changes.min(1 + seconds / 32)) + seconds / 2;
        assert!(self.world.attempts.len() <= most, "{} attempts of {most}", self.world.attempts.len());
        self.end();
    }

    fn step(&mut self) {
        let relay = self.any_relay();
        let peer = self.any_peer();
        match self.random.random_range(0..20) {
            0 => self.world.set(relay, Conduct::Refuses),
            1 => self.world.set(relay, Conduct::IsSilent),
            2 => self.world.set(relay, Conduct::Closes),
            3..=5 => self.world.set(relay, Conduct::Works),
            6 if self.peers.len() < 30 => {
                let count = self.random.random_range(0..8);
                let tied: Vec<RelayId> = (0..count).map(|_| self.any_relay()).collect();
                let there = self.random.random_range(0..=count);
                self.peers.push(self.world.peer_on(&tied, &tied[there..]));
            }
            7 if self.relays.len() > 10 => {
                self.relays.retain(|other| *other != relay);
                self.world.plan.remove_relay(self.world.now, relay);
            }
            8 if self.random.random_range(0..4) == 0 => {
                self.changes += 1;
                self.world.plan.handle_network_changed(self.world.now);
            }
            13 => match self.random.random_range(0..8) {
                0 => self.change_the_network_again_and_again(),
                1 => self.world.plan.handle_new_proxy(),
                2 => self.world.set(relay, Conduct::CannotBeTried),
                3 => self.world.set(relay, Conduct::IsHijacked(Retry::Ask)),
                _ => self.world.set(relay, Conduct::IsHijacked(Retry::Seldom)),
            },
            9 => {
                let bound = self.random.random_range(1..20);
                self.world.plan.set_bound(self.world.now, if bound > 15 { 128 } else { bound });
            }
            15 => match self.random.random_range(0..4) {
                0 => self.world.plan.set_wanted(self.random.random_range(1..=6)),
                1 => self.world.plan.set_onion_relays(self.random.random_range(0..8)),
                2 => self.restart_of_the_memory(),
                _ => {
                    let round_trip = Duration::from_millis(self.random.random_range(5..500));
                    self.world.round_trips.insert(relay, round_trip);
                }
            },
            choice => {
                if let Some(peer) = peer {
                    self.step_of_peer(peer, relay, choice);
                }
            }
        }
    }

    fn step_of_peer(&mut self, peer: PeerId, relay: RelayId, choice: usize) {
        let now = self.world.now;
        match choice {
            10 if self.random.random_range(0..3) == 0 => {
                self.peers.retain(|other| *other != peer);
                self.world.plan.remove_peer(now, peer);
                self.online.remove(&peer);
                self.asleep.remove(&peer);
                // With it go the relays that only it has named.
                self.relays.retain(|relay| self.world.plan.relay(*relay).is_some());
            }
            10 => {
                let origin = Origin::Peer { peer, is_local: false };
                if self.relays.len() < 40 {
                    self.relays.push(self.world.relay(origin));
                }
            }
            14 if self.world.is_there(peer, relay) => self.world.leave(relay, peer),
            14 if self.world.plan.peer(peer).is_some_and(|peer| peer.tie(relay).is_some()) => {
                self.world.come(relay, peer);
            }
            11 => {
                let is_awake = self.random.random_range(0..2) == 0;
                self.world.plan.set_awake(peer, is_awake);
                if is_awake {
                    self.asleep.remove(&peer);
                } else {
                    self.asleep.entry(peer).or_insert(now);
                }
            }
            12 if self.random.random_range(0..2) == 0 => {
                self.world.plan.untie(now, peer, relay);
                self.relays.retain(|relay| self.world.plan.relay(*relay).is_some()); // its namer may be gone
            }
            12 => _ = self.world.plan.handle_report(now, peer, relay, self.random.random_range(0..2) == 0),
            16 => self.world.refuse_route(relay, peer),
            17 => {
                if let Some((other, _)) = self.world.plan.others(peer).first() {
                    self.world.plan.handle_overflow(peer, *other);
                }
            }
            18 if self.random.random_range(0..2) == 0 => self.name_again(relay, peer),
            18 => _ = self.world.plan.tie(peer, relay),
            _ => {
                for peer in &self.peers {
                    if let Some((relay, _)) = self.world.plan.used(*peer) {
                        self.world.plan.handle_sent(relay);
                    }
                }
            }
        }
    }

    /// Somebody names a relay that is known, with another address.
    fn name_again(&mut self, relay: RelayId, peer: PeerId) {
        let origins = [Origin::User, Origin::List, Origin::Peer { peer, is_local: false }];
        let origin = origins[self.random.random_range(..origins.len())];
        let key = self.world.plan.relay(relay).unwrap().relay.public_key();
        let address = format!("9.9.9.{}:443", self.random.random_range(0..40));
        match self.world.plan.add_relay(Relay::new(address.as_str(), key), origin) {
            Ok(known) => assert_eq!(known, relay),
            Err(error) => assert_eq!(error, AddRelayError::TooMany),
        }
    }

    /// What is remembered is recalled, while all of it is known.
    fn restart_of_the_memory(&mut self) {
        let remembered = self.world.plan.remember(self.world.now);
        let (relays, peers) = (self.world.plan.relays().count(), self.world.plan.peers().count());
        self.world.plan.recall(self.world.now, &remembered);
        assert_eq!((self.world.plan.relays().count(), self.world.plan.peers().count()), (relays, peers));
    }

    fn any_relay(&mut self) -> RelayId {
        self.relays[self.random.random_range(..self.relays.len())]
    }

    fn any_peer(&mut self) -> Option<PeerId> {
        let count = self.peers.len();
        (count > 0).then(|| self.peers[self.random.random_range(..count)])
    }

    fn change_the_network_again_and_again(&mut self) {
        for _ in 0..self.random.random_range(2..200) {
            self.changes += 1;
            self.world.plan.handle_network_changed(self.world.now);
            self.world.pass(SECOND / 10);
        }
    }

    /// No relay works, and several close each connection. Each is tried less and less often.
    fn fail_in_any_way(&mut self) {
        for relay in self.relays.clone() {
            let conduct = match self.random.random_range(0..4) {
                0 => Conduct::Closes,
                1 => Conduct::Refuses,
                2 => Conduct::IsSilent,
                _ => Conduct::IsHijacked(Retry::Seldom),
            };
            self.world.set(relay, conduct);
        }
        self.world.pass(HOUR); // until all pauses are long
        self.check();
        let attempts = self.world.attempts.len();
        self.world.pass(HOUR);
        self.check();
        let attempts = self.world.attempts.len() - attempts;
        assert!(attempts <= 40 * self.relays.len(), "{attempts} attempts at {} relays", self.relays.len());
    }

    /// For an hour nothing can be reached. Nothing is forgotten, tries go on at a bounded rate, and no relay is blamed.
    fn lose_the_network(&mut self) {
        let failures = |world: &World| -> Vec<u32> {
            world.plan.relays().map(|(_, known)| known.failures.blamed()).collect()
        };
        self.relays.iter().for_each(|relay| self.world.set(*relay, Conduct::IsSilent));
        self.world.pass(120 * SECOND); // until all connections have ended
        let (before, attempts) = (failures(&self.world), self.world.attempts.len());
        let known = self.world.plan.relays().count();
        self.world.pass(HOUR);
        self.check();
        assert!(self.world.connected().is_empty() && self.online.is_empty());
        assert_eq!(self.world.plan.relays().count(), known);
        let attempts = self.world.attempts.len() - attempts;
        assert!(attempts <= 16 + 1_800, "{attempts} attempts in an hour without a network");
        // The only place may be left to the only relay of a peer, whose pauses grow to 144 s.
        assert!(attempts >= 20, "only {attempts} attempts in an hour");
        assert_eq!(failures(&self.world), before, "relays are blamed");
    }

    /// All work, each peer is on one of its relays at least, and everyone gets what he wants, with no relay that nobody
    /// needs. Then nothing changes for an hour.
    fn end(&mut self) {
        self.relays.iter().for_each(|relay| self.world.set(*relay, Conduct::Works));
        for peer in self.peers.clone() {
            self.world.plan.set_awake(peer, true);
            self.asleep.remove(&peer);
            let (tied, there) = self.relays_of(peer);
            if there.is_empty() && !tied.is_empty() {
                self.world.come(tied[tied.len() - 1], peer);
            }
        }
        self.world.plan.set_bound(self.world.now, 128);
        self.world.plan.set_wanted(3);
        self.world.plan.set_onion_relays(0);
        self.world.round_trips.clear();
        self.world.plan.handle_network_changed(self.world.now);
        self.world.pass(900 * SECOND);
        self.check();
        for peer in &self.peers {
            let (tied, there) = self.relays_of(*peer);
            let online = self.online_on(*peer);
            assert!(online.len() >= there.len().min(1), "{peer} is not found on {there:?}");
            let is_everywhere = tied.len() == there.len();
            assert!(
                !is_everywhere || online.len() >= tied.len().min(3),
                "{peer} is online on {online:?} only"
            );
        }
        let connected = self.world.connected();
        for relay in &connected {
            let is_needed =
                connected.len() <= 3 || self.peers.iter().any(|peer| self.needs(*peer, *relay, &connected));
            assert!(is_needed, "nobody needs {relay}");
        }
        self.pass_without_change();
        self.end_with_few_connections();
    }

    /// As many connections are enough as there are peers, whichever relays were connected before.
    fn end_with_few_connections(&mut self) {
        self.world.plan.set_bound(self.world.now, 1);
        self.world.pass(60 * SECOND);
        self.world.plan.set_bound(self.world.now, self.peers.len().max(1));
        self.world.pass(1_800 * SECOND);
        self.check();
        for peer in &self.peers {
            let (_, there) = self.relays_of(*peer);
            assert!(there.is_empty() || self.online.contains_key(peer), "{peer} is not found on {there:?}");
        }
        self.pass_without_change();
    }

    fn pass_without_change(&mut self) {
        let (attempts, connected) = (self.world.attempts.len(), self.world.connected());
        self.world.pass(HOUR);
        assert_eq!((self.world.attempts.len(), self.world.connected()), (attempts, connected), "it flaps");
    }

    /// The relays that are tied to a peer, and those of them on which it is.
    fn relays_of(&self, peer: PeerId) -> (Vec<RelayId>, Vec<RelayId>) {
        let ties = &self.world.plan.peer(peer).unwrap().ties;
        let tied: Vec<RelayId> = ties.iter().map(|tie| tie.relay).collect();
        let there = tied.iter().copied().filter(|relay| self.world.is_there(peer, *relay)).collect();
        (tied, there)
    }

    /// The relays on which a peer is online.
    fn online_on(&self, peer: PeerId) -> Vec<RelayId> {
        let ties = &self.world.plan.peer(peer).unwrap().ties;
        ties.iter().filter(|tie| tie.route.online().is_some()).map(|tie| tie.relay).collect()
    }

    /// Whether this peer would have fewer than three relays, or be online on fewer, without this one.
    fn needs(&self, peer: PeerId, relay: RelayId, connected: &BTreeSet<RelayId>) -> bool {
        let (mut tied, _) = self.relays_of(peer);
        tied.retain(|relay| connected.contains(relay));
        [tied, self.online_on(peer)].iter().any(|relays| relays.contains(&relay) && relays.len() <= 3)
    }

    /// What is known agrees with what was reported, and with itself counted anew.
    fn check(&mut self) {
        self.check_reports();
        self.check_counts();
        self.check_sleepers();
        self.check_surplus();
    }

    /// Peers that sleep cost nothing.
    fn check_sleepers(&self) {
        for (peer, since) in &self.asleep {
            let routes = self.world.plan.peer(*peer).unwrap().routes();
            assert!(
                self.world.now - *since <= 10 * SECOND || routes == 0,
                "{peer} sleeps with {routes} routes"
            );
        }
    }

    /// No relay that nobody needs is connected for long, as is counted here from the whole state. One that is only tried for
    /// offline peers replaces no other.
    fn check_surplus(&mut self) {
        let (plan, now) = (&self.world.plan, self.world.now);
        let connected = self.world.connected();
        let counts = |relay: RelayId| {
            let known = plan.relay(relay).unwrap();
            connected.contains(&relay) && !known.is_silent && !known.is_tried(now)
        };
        let unneeded = connected.iter().copied().filter(|relay| {
            let others = connected.iter().filter(|other| *other != relay && counts(**other));
            let awake = self.peers.iter().map(|peer| plan.peer(*peer).unwrap()).filter(|peer| peer.is_awake);
            let is_needed = awake.filter_map(|peer| Some((peer, peer.tie(*relay)?))).any(|(peer, here)| {
                let others = peer.ties.iter().filter(|tie| tie.relay != *relay && counts(tie.relay));
                let good = others.filter(|tie| match here.route.online() {
                    Some(_) => tie.route.online().is_some(),
                    None => !matches!(tie.route, Route::None { .. }),
                });
                good.count() < plan.wanted
            });
            !is_needed && others.count() >= plan.onion_relays.max(3).min(plan.bound)
        });
        let unneeded: BTreeSet<RelayId> = unneeded.collect();
        self.unneeded.retain(|relay, _| unneeded.contains(relay));
        // They go one after the other, since the next one may be needed then.
        let most = SECOND * (30 + 15 * unneeded.len() as u32);
        for relay in unneeded {
            let since = *self.unneeded.entry(relay).or_insert(now);
            assert!(now - since <= most, "nobody needs {relay} since {:?}", now - since);
        }
    }

    fn check_reports(&mut self) {
        let (world, online) = (&mut self.world, &mut self.online);
        assert!(world.connections.len() <= world.plan.bound);
        for notice in world.notices() {
            match notice {
                Notice::PeerOnline(peer, relay) => assert_eq!(online.insert(peer, relay), None),
                Notice::PeerMoved(peer, moved) => {
                    assert_eq!(online.insert(peer, moved.to), Some(moved.from));
                    assert_ne!(moved.from, moved.to);
                }
                Notice::PeerOffline(peer) => assert!(online.remove(&peer).is_some()),
                Notice::RelayUp(_)
                | Notice::RelayWritable(_)
                | Notice::RelayRefused(_)
                | Notice::RouteRefused(..)
                | Notice::Unsent(..)
                | Notice::Writable(_) => {}
            }
        }
        for id in &self.peers {
            let peer = world.plan.peer(*id).unwrap();
            assert_eq!(peer.used, online.get(id).copied(), "what was reported of {id}");
            assert_eq!(world.plan.used(*id).map(|(relay, _)| relay), peer.used, "its route is online");
            assert!(peer.used.is_none_or(|relay| world.connected().contains(&relay)));
            assert!(peer.routes() <= 6);
        }
    }

    fn check_counts(&self) {
        let world = &self.world;
        for (id, known) in world.plan.relays() {
            let routes = world
                .plan
                .peers()
                .filter_map(|(_, peer)| peer.tie(id))
                .filter(|tie| tie.route.id().is_some());
            assert_eq!(routes.count(), known.routes, "routes of {id}");
            let tied = world.plan.peers().filter(|(_, peer)| peer.tie(id).is_some()).count();
            assert_eq!(tied, known.tied.len(), "peers of {id}");
            let is_own = !matches!(known.origin, Origin::Peer { .. });
            assert_eq!(is_own, world.plan.own.contains(&id), "who has named {id}");
            for peer in known.namers() {
                assert!(world.plan.peer(peer).unwrap().named.contains(&id), "{peer} has named {id}");
            }
            assert!(known.score() > 0.0 && known.score() <= 1.0);
        }
    }
}

#[test]
fn in_random_histories_reports_agree_with_the_state_and_connects_are_bounded() {
    let wanted = std::env::var("POOL_HISTORIES").unwrap_or("0 200".to_owned());
    let (first, count) = wanted.split_once(' ').expect("a seed and a count");
    let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
    for seed in first..first + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| History::new(seed).run())) {
            eprintln!("replay it: POOL_HISTORIES='{seed} 1' cargo test --lib random_histories");
            resume_unwind(panic);
        }
    }
}
