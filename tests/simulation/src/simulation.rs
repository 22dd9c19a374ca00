//! One simulation: time passes, each relay and user gets a turn, and at random something goes wrong.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::relay::Relay;
use crate::user::{Census, User};

/// Turns while things go wrong.
const TURNS: usize = 300;

/// The most turns of the quiet end.
const QUIET_TURNS: usize = 3_000;

/// One simulation: its relays, its users and its time.
pub struct Simulation {
    chance: Chance,
    now: Instant,
    relays: Vec<Relay>,
    users: Vec<User>,
    /// How often something goes wrong: once in so many turns.
    calm: u32,
}

impl Simulation {
    /// The simulation of this seed.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let relay_count = chance.range(1, 3);
        let user_count = chance.range(2, 5);
        let relays = (0..relay_count).map(|_| Relay::new(&mut chance)).collect();
        let now = Instant::now();
        let mut users: Vec<_> =
            (0..user_count).map(|index| User::new(index, relay_count, now, &mut chance)).collect();
        let everybody: Rc<[_]> = users.iter().map(|user| user.key).collect();
        users.iter_mut().for_each(|user| user.everybody = Rc::clone(&everybody));
        let calm = chance.magnitude(4, 4_000) as u32;
        Self { chance, now, relays, users, calm }
    }

    /// Runs it to its end, and returns how often each thing happened.
    ///
    /// # Panics
    ///
    /// When anything happens that must not.
    pub fn run(&mut self) -> Census {
        for _ in 0..TURNS {
            let most = if self.chance.one_in(20) { 2_000 } else { 30 };
            self.now += self.chance.millis(0, most);
            self.turn();
            for user in 0..self.users.len() {
                if self.chance.one_in(3) && self.users[user].asleep_until.is_none() {
                    self.users[user].act(&mut self.chance);
                }
            }
            if self.chance.one_in(self.calm) {
                self.go_wrong();
            }
        }
        self.end();
        let mut census = Census::default();
        self.users.iter().for_each(|user| census += user.census);
        census
    }

    fn turn(&mut self) {
        for user in 0..self.users.len() {
            for relay in 0..self.relays.len() {
                if self.users[user].seats[relay].is_none() && self.chance.one_in(8) {
                    self.connect(user, relay);
                }
            }
        }
        for relay in &mut self.relays {
            relay.turn(self.now, &mut self.chance);
        }
        for user in &mut self.users {
            user.turn(self.now, &mut self.chance);
        }
    }

    fn connect(&mut self, user: usize, relay: usize) {
        let key = self.relays[relay].public_key;
        let link = self.users[user].connect(relay, key, self.now, &mut self.chance);
        link.borrow_mut().troubled |= self.relays[relay].away_until.is_some() || self.relays[relay].floods();
        link.borrow_mut().absent |= self.users[user].is_absent();
        self.relays[relay].accept(link);
    }

    fn go_wrong(&mut self) {
        let chance = &mut self.chance;
        let user = chance.range(0, self.users.len() - 1);
        let relay = chance.range(0, self.relays.len() - 1);
        match chance.range(0, 6) {
            0 => self.relays[relay].restart(),
            1 => self.relays[relay].hang_up_on_somebody(chance),
            2 => {
                let until = self.now + chance.millis(100, 30_000);
                self.relays[relay].go_away(until);
            }
            3 => {
                self.users[user].asleep_until = Some(self.now + chance.millis(1_000, 90_000));
                for seat in self.users[user].seats.iter().flatten() {
                    seat.link.borrow_mut().absent = true;
                }
            }
            4 => self.users[user].disconnect(relay, self.now, chance),
            _ => {
                let Some(seat) = &self.users[user].seats[relay] else { return };
                let mut link = seat.link.borrow_mut();
                if chance.one_in(2) { link.cut = true } else { link.stall(self.now, chance) }
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
            for (seat, relay) in user.seats.iter().flatten().zip(&self.relays) {
                assert_eq!(seat.known_routes(), relay.routes_of(user.key.as_bytes()), "both ends agree");
            }
        }
        self.users
            .iter_mut()
            .flat_map(|user| user.seats.iter_mut().flatten())
            .for_each(|seat| seat.close_all());
        self.settle("all routes are closed");
        for user in &self.users {
            for (seat, relay) in user.seats.iter().flatten().zip(&self.relays) {
                assert_eq!(seat.connection.route_count(), 0);
                assert_eq!(seat.connection.queued(), 0);
                assert!(relay.routes_of(user.key.as_bytes()).is_empty());
            }
        }
    }

    fn settle(&mut self, what: &str) {
        let mut quiet = 0;
        for _ in 0..QUIET_TURNS {
            for seat in self.users.iter().flat_map(|user| user.seats.iter().flatten()) {
                seat.link.borrow_mut().heal();
            }
            self.now += Duration::from_millis(50);
            self.turn();
            let all = self.users.iter().flat_map(|user| &user.seats);
            // What is in flight to a user shows only when it has arrived, within a second.
            quiet = if all.flatten().count() == self.users.len() * self.relays.len()
                && self.users.iter().flat_map(|user| user.seats.iter().flatten()).all(|seat| seat.is_quiet())
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
