//! One simulation: time passes, each relay and user gets a turn, and at random something goes wrong.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::relay::Relay;
use crate::rng::Rng;
use crate::user::{Totals, User};

/// Turns while things go wrong.
const TURNS: usize = 300;

/// The most turns of the quiet end.
const QUIET_TURNS: usize = 3_000;

/// One simulation: its relays, its users and its time.
pub struct Simulation {
    rng: Rng,
    now: Instant,
    relays: Vec<Relay>,
    users: Vec<User>,
    /// How often something goes wrong: once in so many turns.
    calm: u32,
}

impl Simulation {
    /// The simulation of this seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let relay_count = rng.range(1, 3);
        let user_count = rng.range(2, 5);
        let relays = (0..relay_count).map(|_| Relay::new(&mut rng)).collect();
        let now = Instant::now();
        let mut users: Vec<_> =
            (0..user_count).map(|index| User::new(index, relay_count, now, &mut rng)).collect();
        let everybody: Rc<[_]> = users.iter().map(|user| user.key).collect();
        users.iter_mut().for_each(|user| user.everybody = Rc::clone(&everybody));
        let calm = rng.magnitude(4, 4_000) as u32;
        Self { rng, now, relays, users, calm }
    }

    /// Runs it to its end, and returns how often each thing happened.
    ///
    /// # Panics
    ///
    /// When anything happens that must not.
    pub fn run(&mut self) -> Totals {
        for _ in 0..TURNS {
            let most = if self.rng.one_in(20) { 2_000 } else { 30 };
            self.now += self.rng.millis(0, most);
            self.turn();
            for user in 0..self.users.len() {
                if self.rng.one_in(3) && self.users[user].asleep_until.is_none() {
                    self.users[user].act(&mut self.rng);
                }
            }
            if self.rng.one_in(self.calm) {
                self.go_wrong();
            }
        }
        self.end();
        let mut totals = Totals::default();
        self.users.iter().for_each(|user| totals += user.totals);
        totals
    }

    fn turn(&mut self) {
        for user in 0..self.users.len() {
            for relay in 0..self.relays.len() {
                if self.users[user].endpoints[relay].is_none() && self.rng.one_in(8) {
                    self.connect(user, relay);
                }
            }
        }
        for relay in &mut self.relays {
            relay.turn(self.now, &mut self.rng);
        }
        for user in &mut self.users {
            user.turn(self.now, &mut self.rng);
        }
    }

    fn connect(&mut self, user: usize, relay: usize) {
        let key = self.relays[relay].public_key;
        let link = self.users[user].connect(relay, key, self.now, &mut self.rng);
        link.borrow_mut().troubled |= self.relays[relay].away_until.is_some() || self.relays[relay].floods();
        link.borrow_mut().absent |= self.users[user].is_absent();
        self.relays[relay].accept(link);
    }

    fn go_wrong(&mut self) {
        let rng = &mut self.rng;
        let user = rng.range(0, self.users.len() - 1);
        let relay = rng.range(0, self.relays.len() - 1);
        match rng.range(0, 6) {
            0 => self.relays[relay].restart(),
            1 => self.relays[relay].hang_up_on_somebody(rng),
            2 => {
                let until = self.now + rng.millis(100, 30_000);
                self.relays[relay].go_away(until);
            }
            3 => {
                self.users[user].asleep_until = Some(self.now + rng.millis(1_000, 90_000));
                for endpoint in self.users[user].endpoints.iter().flatten() {
                    endpoint.link.borrow_mut().absent = true;
                }
            }
            4 => self.users[user].disconnect(relay, self.now, rng),
            _ => {
                let Some(endpoint) = &self.users[user].endpoints[relay] else { return };
                let mut link = endpoint.link.borrow_mut();
                if rng.one_in(2) { link.cut = true } else { link.stall(self.now, rng) }
            }
        }
    }

    /// No more faults and no new calls, until nothing is in flight.
    fn end(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.away_until = None);
        self.relays.iter_mut().for_each(Relay::calm_down);
        self.users.iter_mut().for_each(User::come_back);
        self.settle("everybody is connected, and all has arrived");
        for user in &mut self.users {
            for (endpoint, relay) in user.endpoints.iter().flatten().zip(&self.relays) {
                assert_eq!(endpoint.known_routes(), relay.routes_of(user.key.as_bytes()), "both ends agree");
            }
        }
        self.users
            .iter_mut()
            .flat_map(|user| user.endpoints.iter_mut().flatten())
            .for_each(|endpoint| endpoint.close_all());
        self.settle("all routes are closed");
        for user in &self.users {
            for (endpoint, relay) in user.endpoints.iter().flatten().zip(&self.relays) {
                assert_eq!(endpoint.connection.route_count(), 0);
                assert_eq!(endpoint.connection.queued(), 0);
                assert!(relay.routes_of(user.key.as_bytes()).is_empty());
            }
        }
    }

    fn settle(&mut self, what: &str) {
        let mut quiet = 0;
        for _ in 0..QUIET_TURNS {
            for endpoint in self.users.iter().flat_map(|user| user.endpoints.iter().flatten()) {
                endpoint.link.borrow_mut().heal();
            }
            self.now += Duration::from_millis(50);
            self.turn();
            let all = self.users.iter().flat_map(|user| &user.endpoints);
            // What is in flight to a user shows only when it has arrived, within a second.
            quiet = if all.flatten().count() == self.users.len() * self.relays.len()
                && self
                    .users
                    .iter()
                    .flat_map(|user| user.endpoints.iter().flatten())
                    .all(|endpoint| endpoint.is_quiet())
            {
                quiet + 1
            } else {
                0
            };
            if quiet == 30 {
                return;
            }
        }
        panic!("never: {what}");
    }
}
