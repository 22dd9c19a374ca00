//! Two clients exchange data through a relay: what the library does and what that costs, in one run of a few seconds.
//!
//! ```sh
//! cargo run --release --example demo
//! ```
//!
//! The relay is the one from `tests/relay`, on a thread of this program. Each step names the event that must come next;
//! any other event, or none within ten seconds, ends the demo with a message and exit code 1.

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, iter};

use tox_relay_client::{
    Client, Config, DisconnectReason, Event, Events, PublicKey, Relay, RelayId, RouteId, SecretKey, SendError,
};
use tox_test_relay::{Options, Relay as OwnRelay};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The longest time that any step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of round trips, which are measured one by one.
const ECHOES: usize = 1000;

/// Packets of the burst, and their size: the largest that Tox uses.
const PACKETS: u32 = 20_000;
const PACKET_LEN: usize = 1400;

/// The most packets in flight. A relay discards what it can't write to a client at once, so a sender has to keep count.
const WINDOW: u32 = 32;

/// Polls with nothing to do, measured as one batch.
const TICKS: u32 = 100;

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let relay = OwnRelay::start(Options::default())?;
    let place = (relay.addr(), PublicKey::from(relay.public_key()));
    println!("Our own relay listens at {} and has the key {}.", place.0, short(place.1));

    let mut alice = Person::new("Alice")?;
    let mut bob = Person::new("Bob")?;
    for person in [&mut alice, &mut bob] {
        let relay = person.connect(place)?;
        let status = person.client.relay(relay).ok_or("a connected relay has no status")?;
        let ping = status.round_trips.latest.ok_or("the first ping has no round-trip time")?;
        let [tcp, handshake, proof] =
            [status.times.transport, status.times.handshake, status.times.connected]
                .map(Option::unwrap_or_default);
        println!("\n{} has the key {}, and connects.", person.name, short(person.key()));
        println!(
            "  TCP after {tcp:.0?}, handshake {handshake:.0?}, the relay's proof {proof:.0?}; ping {ping:.0?}."
        );
    }

    println!("\nAlice knows Bob's key and writes to him out of band: no route leads there yet.");
    let (alices, bobs) = (alice.key(), bob.key());
    let text = "Shall we talk?";
    alice.client.send_oob(alice.relay()?, bobs, text.as_bytes())?;
    alice.client.flush();
    bob.expect(Event::Oob { relay: bob.relay()?, sender: alices, data: text.as_bytes() })?;
    println!("  Bob reads {text:?}, from {}.", short(alices));

    println!("\nBoth ask the relay for a route to the other.");
    let to_bob = alice.open_route(bobs)?;
    let to_alice = bob.open_route(alices)?;
    bob.expect(Event::RouteOnline { route: to_alice, peer: alices })?;
    alice.expect(Event::RouteOnline { route: to_bob, peer: bobs })?;
    println!("  Alice: Bob is online. Bob: Alice is online. {ECHOES} times she asks whether he is there.");
    let mut echoes = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let start = Instant::now();
        alice.say(to_bob, b"are you there?")?;
        bob.expect(Event::Data { route: to_alice, peer: alices, data: b"are you there?" })?;
        bob.say(to_alice, b"I am.")?;
        alice.expect(Event::Data { route: to_bob, peer: bobs, data: b"I am." })?;
        echoes.push(start.elapsed());
    }
    echoes.sort_unstable();

    println!("\nBob leaves and comes back.");
    let start = Instant::now();
    bob.disconnect_all()?;
    alice.expect(Event::RouteOffline { route: to_bob, peer: bobs, unsent: 0 })?;
    println!("  Alice: Bob is offline, {:.0?} after he left.", start.elapsed());
    let refused = alice.client.send_data(to_bob, b"Bob?") == Err(SendError::RouteOffline);
    check(refused, "Alice could send to a route that is offline")?;
    let stale = bob.client.send_data(to_alice, b"Alice?") == Err(SendError::UnknownRelay);
    check(stale, "Bob could send on a connection that is over")?;
    let start = Instant::now();
    bob.connect(place)?;
    let to_alice = bob.open_route(alices)?;
    bob.expect(Event::RouteOnline { route: to_alice, peer: alices })?;
    alice.expect(Event::RouteOnline { route: to_bob, peer: bobs })?; // the old route: hers has stayed open
    println!("  Alice: Bob is online, {:.0?} after he began to connect.", start.elapsed());

    println!(
        "\nAlice sends Bob {PACKETS} packets of {PACKET_LEN} bytes. Each has to arrive, and in its place."
    );
    let start = Instant::now();
    let mut sent = 0;
    for number in 0..PACKETS {
        if sent - number <= WINDOW / 2 {
            while sent < PACKETS.min(number + WINDOW) {
                alice.client.send_data(to_bob, &packet(sent))?;
                sent += 1;
            }
            alice.client.flush();
        }
        bob.expect(Event::Data { route: to_alice, peer: alices, data: &packet(number) })?;
    }
    let burst = start.elapsed();

    let connections = affordable_connections();
    println!(
        "\nOne more client makes {connections} connections, each with a key of its own, and keeps them."
    );
    let mut crowd = Person::new("The crowd")?;
    let keys: Vec<SecretKey> = iter::repeat_with(SecretKey::generate).take(connections).collect();
    let start = Instant::now();
    for key in keys {
        crowd.client.connect(Relay::new(place.0, place.1).identity(key))?;
    }
    crowd.expect_of_each(crowd.client.relays().collect(), |relay| Event::Connected { relay })?;
    let connecting = start.elapsed();
    let tick_of_one = alice.idle_tick()?;
    let tick_of_many = crowd.idle_tick()?;

    println!("\nAll leave.");
    for person in [&mut alice, &mut bob, &mut crowd] {
        person.disconnect_all()?;
    }
    let end = relay.wait_until(PATIENCE, |statistics| statistics.connected == 0);
    let end = end.ok_or("the relay still has connections")?;
    check(end.dropped == 0, &format!("the relay has dropped a client: {:?}", end.last_drop))?;
    check(end.thrown_away == 0, &format!("the relay threw {} packets away", end.thrown_away))?;
    println!("  The relay has no connection left, has dropped nobody and thrown nothing away.");

    let packets = f64::from(PACKETS) / burst.as_secs_f64();
    let megabytes = packets * PACKET_LEN as f64 / 1e6;
    let connects = connections as f64 / connecting.as_secs_f64();
    let (median, slow) = (echoes[ECHOES / 2], echoes[ECHOES * 99 / 100]);
    println!("\nThe numbers. The relay's own work on this machine is in all of them but the last two.");
    println!("{median:>12.1?}  from Alice to Bob and back, half of the times (99 of 100: {slow:.1?})");
    println!(
        "{megabytes:>7.0} MB/s  from Alice to Bob: {packets:.0} packets/s, each sealed twice and opened twice"
    );
    println!("{connects:>10.0}/s  connections made: one client thread, one relay thread");
    println!("{tick_of_one:>12.0?}  for a poll with nothing to do, 1 connection");
    println!("{tick_of_many:>12.0?}  for a poll with nothing to do, {connections} connections");
    Ok(())
}

/// A client, and its events.
struct Person {
    name: &'static str,
    client: Client,
    events: Events,
    /// How many of `events` were handled.
    seen: usize,
}

impl Person {
    fn new(name: &'static str) -> Result<Self> {
        let client = Client::new(Config::new(SecretKey::generate()))?;
        Ok(Self { name, client, events: Events::with_capacity(64), seen: 0 })
    }

    fn key(&self) -> PublicKey {
        self.client.public_key()
    }

    fn relay(&self) -> Result<RelayId> {
        Ok(self.client.relays().next().ok_or("not connected")?)
    }

    fn poll(&mut self, timeout: Duration) -> Result<()> {
        check(self.seen == self.events.len(), "an event was overlooked")?;
        self.seen = 0;
        Ok(self.client.poll(&mut self.events, Some(timeout))?)
    }

    /// Waits for the next event.
    fn next(&mut self) -> Result<Event<'_>> {
        let deadline = Instant::now() + PATIENCE;
        while self.seen == self.events.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            check(!left.is_zero(), &format!("nothing happened to {} for {PATIENCE:?}", self.name))?;
            self.poll(left)?;
        }
        self.seen += 1;
        Ok(self.events.iter().nth(self.seen - 1).expect("not more were seen than there are"))
    }

    /// Waits for the next event, which must be this one.
    fn expect(&mut self, expected: Event<'_>) -> Result<()> {
        let name = self.name;
        let event = self.next().map_err(|error| format!("{error}, and not {expected:?}"))?;
        if event == expected {
            Ok(())
        } else {
            Err(format!("{name}: {event:?}, and not {expected:?}").into())
        }
    }

    /// Waits for one event for each of these connections, in any order.
    fn expect_of_each(
        &mut self,
        mut relays: HashSet<RelayId>,
        expected: impl Fn(RelayId) -> Event<'static>,
    ) -> Result<()> {
        while !relays.is_empty() {
            let event = self.next()?;
            let right = match event {
                Event::Connected { relay } | Event::Disconnected { relay, .. } => {
                    event == expected(relay) && relays.remove(&relay)
                }
                _ => false,
            };
            check(right, &format!("unexpected: {event:?}"))?;
        }
        Ok(())
    }

    fn connect(&mut self, (address, key): (SocketAddr, PublicKey)) -> Result<RelayId> {
        let relay = self.client.connect(Relay::new(address, key))?;
        self.expect(Event::Connected { relay })?;
        Ok(relay)
    }

    fn open_route(&mut self, peer: PublicKey) -> Result<RouteId> {
        let route = self.client.open_route(self.relay()?, peer)?;
        self.expect(Event::RouteOpened { route, peer })?;
        Ok(route)
    }

    fn say(&mut self, route: RouteId, data: &[u8]) -> Result<()> {
        self.client.send_data(route, data)?;
        self.client.flush(); // otherwise it is sent by the sender's next poll, but it is the other's turn to poll
        Ok(())
    }

    fn disconnect_all(&mut self) -> Result<()> {
        let relays: HashSet<RelayId> = self.client.relays().collect();
        for relay in &relays {
            check(self.client.disconnect(*relay), "a connection was over before its end")?;
        }
        let reason = DisconnectReason::ClosedByCaller;
        self.expect_of_each(relays, |relay| Event::Disconnected { relay, reason })
    }

    /// The duration of a poll with nothing to do: the median of batches, since a single poll is too short to measure.
    fn idle_tick(&mut self) -> Result<Duration> {
        let mut batches = [Duration::ZERO; 101];
        for batch in &mut batches {
            let start = Instant::now();
            for _ in 0..TICKS {
                self.poll(Duration::ZERO)?;
            }
            *batch = start.elapsed() / TICKS;
        }
        check(self.events.is_empty(), &format!("{} was not idle", self.name))?;
        batches.sort_unstable();
        Ok(batches[batches.len() / 2])
    }
}

/// A packet that differs from all others.
fn packet(number: u32) -> [u8; PACKET_LEN] {
    let mut packet = [0; PACKET_LEN];
    packet[..4].copy_from_slice(&number.to_be_bytes());
    packet
}

fn check(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// 1000, or as many as fit: each needs two file descriptors, as the relay is in this process too, and many systems allow
/// 1024.
fn affordable_connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let files: usize = files.and_then(|soft| soft.parse().ok()).unwrap_or(256);
    (files.saturating_sub(64) / 2).clamp(1, 1000)
}

/// The first digits of a key, as people compare them.
fn short(key: PublicKey) -> String {
    format!("{key:.8}…")
}
