//! All connections of one Tox instance, on one client.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tox_relay_client::{Client, Config, Events, PublicKey, Relay, SecretKey};

use crate::toxcore::abi::DISCONNECTED;
use crate::toxcore::link::{Link, link_of};

/// The most events of a round. What exceeds it waits in the sockets for the next round.
const EVENTS: usize = 1024;

/// Between the beginnings of two connections to one relay. toxcore connects again at once when a connection ends; if the
/// relay ended each of them, it would do so in each iteration.
const GAP: Duration = Duration::from_secs(1);

/// toxcore sleeps at least so long between two iterations, unless it is very busy. Within one, turns follow each other
/// more quickly, or toxcore has handled so much meanwhile that another poll costs little beside it.
const ROUND: Duration = Duration::from_millis(1);

/// An instance that several connections share. No lock is held while toxcore is called back, since it calls functions of
/// all connections then, and other threads may do so, too. After a panic it cannot be locked any more.
pub(crate) type Shared = Arc<Mutex<Instance>>;

pub(crate) struct Instance {
    client: Client,
    events: Events,
    links: HashMap<u64, Link>,
    last_link: u64,
    /// One more with each poll.
    round: u64,
    /// When the last poll was.
    polled: Instant,
    /// Whether a connection has its turn now: what is sent leaves at its end.
    in_turn: bool,
}

/// The instances by the clock that toxcore has made for each of them, and the relays to which connections began within
/// the last `GAP`, or will begin within the next one.
struct Registry {
    instances: Vec<(usize, Weak<Mutex<Instance>>)>,
    begun: Vec<(usize, PublicKey, Instant)>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { instances: Vec::new(), begun: Vec::new() });

/// The instance with this clock. A new one has this identity by default.
pub(crate) fn of_clock(clock: usize, identity: &SecretKey) -> Option<Shared> {
    let mut registry = registry();
    registry.instances.retain(|(_, instance)| instance.strong_count() > 0);
    let known = registry.instances.iter().find(|(known, _)| *known == clock);
    if let Some(instance) = known.and_then(|(_, instance)| instance.upgrade()) {
        return Some(instance);
    }
    let instance = Arc::new(Mutex::new(Instance {
        client: Client::new(Config::new(identity.clone())).ok()?,
        events: Events::with_capacity(EVENTS),
        links: HashMap::new(),
        last_link: 0,
        round: 1,
        polled: Instant::now(),
        in_turn: false,
    }));
    registry.instances.push((clock, Arc::downgrade(&instance)));
    Some(instance)
}

/// When a connection of this instance to this relay may begin, and notes that it does. One that may not begin yet has no
/// effect on the next: toxcore may end it before.
pub(crate) fn begin(clock: usize, relay: PublicKey) -> Instant {
    let now = Instant::now();
    let begun = &mut registry().begun;
    begun.retain(|(.., at)| now < *at + GAP);
    match begun.iter_mut().find(|(known, key, _)| (*known, *key) == (clock, relay)) {
        Some((.., at)) => {
            if *at <= now {
                *at += GAP;
            }
            *at
        }
        None => {
            begun.push((clock, relay, now));
            now
        }
    }
}

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Instance {
    /// Adds a connection, whose first attempt begins at `first`. `None` if that is not possible.
    pub(crate) fn add(&mut self, relay: Relay, first: Instant) -> Option<u64> {
        self.last_link += 1;
        let mut link = Link::new(self.last_link, relay, first);
        link.update(&mut self.client, Instant::now());
        if link.status() == DISCONNECTED {
            return None;
        }
        self.links.insert(self.last_link, link);
        Some(self.last_link)
    }

    /// Ends a connection, and forgets what toxcore was not told yet.
    pub(crate) fn remove(&mut self, link: u64) {
        if let Some(mut link) = self.links.remove(&link) {
            link.end(&mut self.client);
        }
    }

    pub(crate) fn link(&mut self, link: u64) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    /// Sends by a connection. The packet leaves now, or at the end of the turn.
    pub(crate) fn send<R>(&mut self, link: u64, call: impl FnOnce(&mut Link, &mut Client) -> R) -> Option<R> {
        let result = call(self.links.get_mut(&link)?, &mut self.client);
        if !self.in_turn {
            self.client.flush();
        }
        Some(result)
    }

    /// toxcore gives each connection a turn in each iteration. The first turn begins a round with a poll, so that all
    /// connections get what has arrived in the same iteration: it is the turn of a connection that has had one in this
    /// round, or it comes after a pause. (The first connection may be a new one in an old place.)
    fn begin_turn(&mut self, link: u64) {
        self.in_turn = true;
        let now = Instant::now();
        let has_had_its_turn = self.links.get(&link).is_some_and(|link| link.round == self.round);
        if has_had_its_turn || now - self.polled >= ROUND {
            self.round += 1;
            self.polled = now;
            self.poll();
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.round = self.round;
            link.update(&mut self.client, now);
        }
    }

    fn poll(&mut self) {
        if let Err(error) = self.client.poll(&mut self.events, Some(Duration::ZERO)) {
            log::warn!("a poll has failed: {error}");
            return;
        }
        let now = Instant::now();
        for event in &self.events {
            // Events of a connection that was removed meanwhile are dropped.
            if let Some(link) = self.links.get_mut(&link_of(event.token())) {
                link.receive(event, &mut self.client, now);
            }
        }
    }

    fn end_turn(&mut self) {
        self.in_turn = false;
        self.client.flush();
    }
}

/// The turn of a connection: calls toxcore back with what has happened. The connection may be gone afterwards.
pub(crate) fn take_turn(instance: &Mutex<Instance>, link: u64, userdata: *mut c_void) -> Option<()> {
    instance.lock().ok()?.begin_turn(link);
    loop {
        let call = instance.lock().ok()?.link(link).and_then(Link::next_call);
        match call {
            Some(call) => call(userdata),
            None => break,
        }
    }
    instance.lock().ok()?.end_turn();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_ends_each_connection_is_not_tried_in_each_iteration() {
        let [relay, other] = [(); 2].map(|()| SecretKey::generate().public_key());
        let first = begin(1, relay);
        assert_eq!(begin(1, relay), first + GAP);
        assert_eq!(begin(1, relay), first + GAP, "the one before may have ended before it began");
        assert!(begin(1, other) < first + GAP);
        assert!(begin(2, relay) < first + GAP);
    }

    #[test]
    fn each_iteration_polls_at_its_first_turn() {
        let instance = of_clock(5, &SecretKey::generate()).unwrap();
        let mut instance = instance.lock().unwrap();
        let [a, b] = [(); 2].map(|()| {
            let relay = Relay::new("127.0.0.1:1", SecretKey::generate().public_key());
            instance.add(relay, Instant::now()).unwrap()
        });
        let take_turn = |instance: &mut Instance, link| {
            let before = instance.round;
            instance.begin_turn(link);
            instance.end_turn();
            instance.round - before
        };
        // First the older connection, then the newer one, then a turn that follows at once.
        for [first, second] in [[a, b], [b, a], [b, a]] {
            std::thread::sleep(ROUND); // as toxcore does
            assert_eq!(take_turn(&mut instance, first), 1);
            instance.polled = Instant::now(); // the machine may be slow
            assert_eq!(take_turn(&mut instance, second), 0);
        }
        assert_eq!(take_turn(&mut instance, b), 1, "without a pause");
    }

    #[test]
    fn an_instance_lives_as_long_as_its_connections() {
        let identity = SecretKey::generate();
        let first = of_clock(3, &identity).unwrap();
        assert!(Arc::ptr_eq(&first, &of_clock(3, &identity).unwrap()));
        assert!(!Arc::ptr_eq(&first, &of_clock(4, &identity).unwrap()));
        let gone = Arc::downgrade(&first);
        drop(first);
        assert!(gone.upgrade().is_none());
    }
}
