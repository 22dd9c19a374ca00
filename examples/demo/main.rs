//! Two clients exchange data through a relay, and the program measures how long that takes. Then two pools exchange data
//! through three relays, and the one that carries them is stopped. It runs for some seconds.
//!
//! ```sh
//! cargo run --release --example demo
//! ```
//!
//! The relays are those from `tests/relay`, each on a thread of this program. Each step with clients expects one event;
//! any other event, or none within ten seconds, ends the demo with a message and exit code 1. [`failover`] has the pools.

mod failover;

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, iter};

use tox_relay_client::{
    Client, Config, ConnectionId, DisconnectReason, Event, Events, PublicKey, Relay, RouteId, SecretKey,
    SendError,
};
use tox_test_relay::{Options, Relay as TestRelay};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The longest time that any step may take.
const LIMIT: Duration = Duration::from_secs(10);

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
    let relay = TestRelay::start(Options::default())?;
    let place = (relay.addr(), PublicKey::from(relay.public_key()));
    println!("The demo's own relay listens at {} and has the key {}.", place.0, short(place.1));

    let mut alice = Person::new("Alice")?;
    let mut bob = Person::new("Bob")?;
    for person in [&mut alice, &mut bob] {
        let connection = person.connect(place)?;
        let status = person.client.connection(connection).ok_or("a connected relay has no status")?;
        let ping = status.round_trips.latest.ok_or("the first ping has no round-trip time")?;
        let [tcp, handshake, connected] =
            [status.times.transport, status.times.handshake, status.times.connected]
                .map(Option::unwrap_or_default);
        println!("\n{} has the key {}, and connects.", person.name, short(person.key()));
        println!(
            "  TCP after {tcp:.0?}, handshake after {handshake:.0?}, connected after {connected:.0?}; ping {ping:.0?}."
        );
    }

    println!("\nAlice knows Bob's key, and sends him a message out of band, since there is no route yet.");
    let (alices, bobs) = (alice.key(), bob.key());
    let text = "Shall we talk?";
    alice.client.send_oob(alice.connection()?, bobs, text.as_bytes())?;
    alice.client.flush();
    bob.expect("what Alice wrote", |event| {
        matches!(event, Event::Oob { sender, data, .. } if sender == alices && data == text.as_bytes())
    })?;
    println!("  Bob receives {text:?} from {}.", short(alices));

    println!("\nEach requests a route to the other.");
    let to_bob = alice.open_route(bobs)?;
    let to_alice = bob.open_route(alices)?;
    bob.expect_online(to_alice)?;
    alice.expect_online(to_bob)?;
    println!("  Both routes are online. Alice sends a message and Bob answers, {ECHOES} times.");
    let mut echoes = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let start = Instant::now();
        alice.send(to_bob, b"are you there?")?;
        bob.expect_data(to_alice, b"are you there?")?;
        bob.send(to_alice, b"I am.")?;
        alice.expect_data(to_bob, b"I am.")?;
        echoes.push(start.elapsed());
    }
    echoes.sort_unstable();

    println!("\nBob disconnects and connects again.");
    let start = Instant::now();
    bob.disconnect_all()?;
    alice.expect(
        "Bob offline",
        |event| matches!(event, Event::RouteOffline { route, unsent: 0, .. } if route == to_bob),
    )?;
    println!("  Alice's route is offline {:.0?} after Bob disconnected.", start.elapsed());
    let refused = alice.client.send_data(to_bob, b"Bob?") == Err(SendError::RouteOffline);
    check(refused, "Alice could send to a route that is offline")?;
    let stale = bob.client.send_data(to_alice, b"Alice?") == Err(SendError::UnknownRoute);
    check(stale, "Bob could send on a connection that has ended")?;
    let start = Instant::now();
    bob.connect(place)?;
    let to_alice = bob.open_route(alices)?;
    bob.expect_online(to_alice)?;
    alice.expect_online(to_bob)?; // her route is the old one, which stayed open
    println!("  Alice's route is online again {:.0?} after Bob started to connect.", start.elapsed());

    println!("\nAlice sends Bob {PACKETS} packets of {PACKET_LEN} bytes. All must arrive, and in order.");
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
        // Her polls handle the relay's pongs, which make room for more.
        let limit = Instant::now() + LIMIT;
        while bob.has_handled_all() && Instant::now() < limit {
            alice.poll(Duration::ZERO)?;
            bob.poll(Duration::from_millis(1))?;
        }
        bob.expect_data(to_alice, &packet(number))?;
    }
    let burst = start.elapsed();

    let connections = connections_within_limits();
    println!("\nA third client makes {connections} connections, each with its own key.");
    let mut third = Person::new("The third client")?;
    let keys: Vec<SecretKey> = iter::repeat_with(SecretKey::generate).take(connections).collect();
    let start = Instant::now();
    for key in keys {
        third.client.connect(Relay::new(place.0, place.1).identity(key))?;
    }
    third.expect_of_each(third.client.connections().collect(), |event| {
        matches!(event, Event::Connected { .. })
    })?;
    let connecting = start.elapsed();
    let tick_of_one = alice.idle_tick()?;
    let tick_of_many = third.idle_tick()?;

    println!("\nAll disconnect.");
    for person in [&mut alice, &mut bob, &mut third] {
        person.disconnect_all()?;
    }
    let end = relay.wait_until(LIMIT, |statistics| statistics.connected == 0);
    let end = end.ok_or("the relay still has connections")?;
    check(end.dropped == 0, &format!("the relay has ended a connection: {:?}", end.last_drop))?;
    check(end.thrown_away == 0, &format!("the relay has discarded {} packets", end.thrown_away))?;
    println!("  The relay has no connections left. It has ended none itself, and discarded no packet.");

    let packets = f64::from(PACKETS) / burst.as_secs_f64();
    let megabytes = packets * PACKET_LEN as f64 / 1e6;
    let connects = connections as f64 / connecting.as_secs_f64();
    let (median, slow) = (echoes[ECHOES / 2], echoes[ECHOES * 99 / 100]);
    let pause = failover::failover()?;
    println!("\nResults. All but the last two include the relay's own work on this machine.");
    println!("{median:>12.1?}  round trip from Alice to Bob and back, median (99th percentile: {slow:.1?})");
    println!(
        "{megabytes:>7.0} MB/s  from Alice to Bob: {packets:.0} packets/s, each encrypted and decrypted twice"
    );
    println!("{connects:>10.0}/s  new connections, with one client thread and one relay thread");
    println!("{pause:>12.1?}  pause at Bob when the relay that carries his data is stopped, with two others");
    println!("{tick_of_one:>12.0?}  per poll with nothing to do, 1 connection");
    println!("{tick_of_many:>12.0?}  per poll with nothing to do, {connections} connections");
    Ok(())
}

/// A client, and its events.
struct Person {
    name: &'static str,
    client: Client,
    events: Events,
    /// The number of `events` that were handled.
    handled: usize,
}

impl Person {
    fn new(name: &'static str) -> Result<Self> {
        let client = Client::new(Config::new(SecretKey::generate()))?;
        Ok(Self { name, client, events: Events::with_capacity(64), handled: 0 })
    }

    fn key(&self) -> PublicKey {
        self.client.public_key()
    }

    fn connection(&self) -> Result<ConnectionId> {
        Ok(self.client.connections().next().ok_or("not connected")?)
    }

    fn poll(&mut self, timeout: Duration) -> Result<()> {
        check(self.has_handled_all(), "an event was not handled")?;
        self.handled = 0;
        Ok(self.client.poll(&mut self.events, Some(timeout))?)
    }

    fn has_handled_all(&self) -> bool {
        self.handled == self.events.len()
    }

    /// Waits for the next event.
    fn next(&mut self) -> Result<Event<'_>> {
        let deadline = Instant::now() + LIMIT;
        while self.has_handled_all() {
            let left = deadline.saturating_duration_since(Instant::now());
            check(!left.is_zero(), &format!("{} has received no event for {LIMIT:?}", self.name))?;
            self.poll(left)?;
        }
        self.handled += 1;
        Ok(self.events.iter().nth(self.handled - 1).expect("at most all events were handled"))
    }

    /// Waits for the next event, which must be the expected one.
    fn expect(&mut self, what: &str, is_expected: impl Fn(Event<'_>) -> bool) -> Result<()> {
        let name = self.name;
        let event = self.next().map_err(|error| format!("{error}; expected {what}"))?;
        if is_expected(event) { Ok(()) } else { Err(format!("{name}: {event:?}; expected {what}").into()) }
    }

    fn expect_online(&mut self, expected: RouteId) -> Result<()> {
        self.expect(
            "a friend online",
            |event| matches!(event, Event::RouteOnline { route, .. } if route == expected),
        )
    }

    fn expect_data(&mut self, expected: RouteId, bytes: &[u8]) -> Result<()> {
        self.expect(
            "the data that were sent",
            |event| matches!(event, Event::Data { route, data, .. } if route == expected && data == bytes),
        )
    }

    /// Waits for one event on each of these connections, in any order.
    fn expect_of_each(
        &mut self,
        mut connections: HashSet<ConnectionId>,
        is_expected: impl Fn(Event<'_>) -> bool,
    ) -> Result<()> {
        while !connections.is_empty() {
            let event = self.next()?;
            let right = is_expected(event) && connections.remove(&event.connection());
            check(right, &format!("unexpected event: {event:?}"))?;
        }
        Ok(())
    }

    fn connect(&mut self, (address, key): (SocketAddr, PublicKey)) -> Result<ConnectionId> {
        let connection = self.client.connect(Relay::new(address, key))?;
        self.expect("a connected relay", |event| matches!(event, Event::Connected { .. }))?;
        Ok(connection)
    }

    fn open_route(&mut self, peer: PublicKey) -> Result<RouteId> {
        let route = self.client.open_route(self.connection()?, peer)?;
        self.expect("an open route", |event| event.route() == Some(route))?;
        Ok(route)
    }

    fn send(&mut self, route: RouteId, data: &[u8]) -> Result<()> {
        self.client.send_data(route, data)?;
        self.client.flush(); // otherwise the sender's next poll would send it, but the receiver polls next
        Ok(())
    }

    fn disconnect_all(&mut self) -> Result<()> {
        let connections: HashSet<ConnectionId> = self.client.connections().collect();
        for connection in &connections {
            check(self.client.disconnect(*connection), "a connection ended too early")?;
        }
        self.expect_of_each(connections, |event| {
            matches!(event, Event::Disconnected { reason: DisconnectReason::ClosedByCaller, .. })
        })
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

/// Returns this error unless the condition holds.
fn check(condition: bool, error: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(error.into()) }
}

/// Returns 1000, or fewer if the limit of file descriptors is too low: many systems allow 1024, and each connection
/// needs two, since the relay runs in this process, too.
fn connections_within_limits() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let files: usize = files.and_then(|soft| soft.parse().ok()).unwrap_or(256);
    (files.saturating_sub(64) / 2).clamp(1, 1000)
}

/// The first digits of a key.
fn short(key: PublicKey) -> String {
    format!("{key:.8}…")
}
