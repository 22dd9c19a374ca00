//! Two ways to use the library in the main loop of an existing program.
//!
//! ```sh
//! cargo run --example main_loop -- RELAY_ADDRESS RELAY_KEY iterate
//! cargo run --example main_loop -- RELAY_ADDRESS RELAY_KEY poller
//! ```
//!
//! `iterate` is the loop of toxcore: poll without waiting, sleep for some milliseconds, repeat. `poller` (on Unix)
//! waits in the program's own poller (here mio's) for two clients and another stream at once.
//!
//! Alice and Bob connect to the relay and send each other a message. The program ends when both have received it, or
//! with an error after ten seconds.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, thread};

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, RouteId, SecretKey, SendError};

const USAGE: &str = "usage: main_loop RELAY_ADDRESS RELAY_KEY iterate|poller";

/// The longest sleep of `iterate`, so that the program can do its own work regularly.
const OWN_INTERVAL: Duration = Duration::from_millis(20);

/// The longest time that the whole program may take.
const LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, key, mode] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let result = match (address.parse(), key.parse(), mode.as_str()) {
        (Ok(address), Ok(key), "iterate") => Pair::new(address, key).and_then(iterate),
        #[cfg(unix)]
        (Ok(address), Ok(key), "poller") => Pair::new(address, key).and_then(poller),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => {
            println!("Both have received the other's message, {:.1?} after the start.", start.elapsed())
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Iterates and sleeps. Input from the relay does not end the sleep: it is read after the sleep.
fn iterate(mut pair: Pair) -> Result<(), Box<dyn Error>> {
    pair.alice.message = b"Hello from a loop that sleeps!".to_vec();
    while !pair.is_done()? {
        pair.iterate()?;
        let interval = pair.next_timeout().map_or(OWN_INTERVAL, |timeout| timeout.min(OWN_INTERVAL));
        thread::sleep(interval);
    }
    Ok(())
}

/// Waits in the program's own poller, in which the clients' descriptors are registered like any other.
#[cfg(unix)]
fn poller(mut pair: Pair) -> Result<(), Box<dyn Error>> {
    use mio::unix::SourceFd;
    use mio::{Interest, Poll, Token};
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    const CLIENTS: Token = Token(0);
    const STREAM: Token = Token(1);

    // Another thread writes Alice's message to a stream. In the same way it could send the loop any other command.
    let (mut stream, mut writer) = UnixStream::pair()?;
    stream.set_nonblocking(true)?;
    thread::spawn(move || writer.write_all(b"Hello from another thread!"));

    let mut poll = Poll::new()?;
    let clients = [&pair.alice.client, &pair.bob.client].map(|client| (client.as_raw_fd(), CLIENTS));
    for (descriptor, token) in clients.into_iter().chain([(stream.as_raw_fd(), STREAM)]) {
        poll.registry().register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
    }
    let mut ready = mio::Events::with_capacity(16);
    while !pair.is_done()? {
        // The descriptors report only sockets that are ready. The client's next deadline is in `next_timeout`.
        match poll.poll(&mut ready, Some(pair.next_timeout().map_or(LIMIT, |timeout| timeout.min(LIMIT)))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if ready.iter().any(|event| event.token() == STREAM) {
            let mut buffer = [0; 1024];
            match stream.read(&mut buffer) {
                Ok(len) => pair.alice.message.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Polls both clients, since a poll with nothing to do takes less time than to find out which of them was ready.
        pair.iterate()?;
    }
    Ok(())
}

/// Two clients, and the events of the one that was polled last.
struct Pair {
    alice: Person,
    bob: Person,
    events: Events,
    start: Instant,
}

impl Pair {
    fn new(address: SocketAddr, relay_key: PublicKey) -> Result<Self, Box<dyn Error>> {
        let (alice, bob) = (SecretKey::generate(), SecretKey::generate());
        let (alices, bobs) = (alice.public_key(), bob.public_key());
        let mut pair = Self {
            alice: Person::new("Alice", alice, bobs)?,
            bob: Person::new("Bob", bob, alices)?,
            events: Events::with_capacity(64),
            start: Instant::now(),
        };
        pair.bob.message = b"Hello, Alice!".to_vec();
        for person in [&mut pair.alice, &mut pair.bob] {
            person.client.connect(Relay::new(address, relay_key))?;
        }
        Ok(pair)
    }

    /// Polls both clients, without waiting.
    fn iterate(&mut self) -> Result<(), Box<dyn Error>> {
        self.alice.iterate(&mut self.events)?;
        self.bob.iterate(&mut self.events)
    }

    /// The time until the next deadline of the two clients.
    fn next_timeout(&self) -> Option<Duration> {
        self.alice.client.next_timeout().into_iter().chain(self.bob.client.next_timeout()).min()
    }

    fn is_done(&self) -> Result<bool, &'static str> {
        if self.start.elapsed() > LIMIT {
            return Err("Alice and Bob have not received their messages in time");
        }
        Ok(self.alice.has_received && self.bob.has_received)
    }
}

struct Person {
    name: &'static str,
    client: Client,
    friend: PublicKey,
    /// The route to the friend, while the friend is online.
    route: Option<RouteId>,
    /// The message to send as soon as the route is online. Empty after it was sent.
    message: Vec<u8>,
    /// Whether the friend's message has arrived.
    has_received: bool,
}

impl Person {
    fn new(name: &'static str, key: SecretKey, friend: PublicKey) -> Result<Self, Box<dyn Error>> {
        let client = Client::new(Config::new(key))?;
        Ok(Self { name, client, friend, route: None, message: Vec::new(), has_received: false })
    }

    fn iterate(&mut self, events: &mut Events) -> Result<(), Box<dyn Error>> {
        self.client.poll(events, Some(Duration::ZERO))?;
        for event in &*events {
            match event {
                Event::Connected { connection, .. } => {
                    // It fails only if `Disconnected` follows in the same poll.
                    let _ = self.client.open_route(connection, self.friend);
                }
                Event::RouteOnline { route, .. } => self.route = Some(route),
                Event::RouteOffline { .. } => self.route = None,
                Event::Data { data, .. } => {
                    println!("{} receives: {}", self.name, String::from_utf8_lossy(data));
                    self.has_received = true;
                }
                Event::Disconnected { reason, .. } => return Err(format!("{}: {reason}", self.name).into()),
                _ => {}
            }
        }
        if let Some(route) = self.route
            && !self.message.is_empty()
        {
            match self.client.send_data(route, &self.message) {
                Ok(()) => self.message.clear(),
                Err(SendError::WouldBlock) => {} // tried again in the next iteration
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
