//! The relay that all clients are measured against, in a separate process: `compare relay`.
//!
//! It does only what the measurements need. Each peer is online as soon as a client requests a route to it, and echoes
//! all data. The relay also accepts commands: to send a burst of packets to a client, and to take the bytes of a client
//! as fast as they arrive.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::Receiver;
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use tox_test_relay::kind;
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Session};

use crate::address::{Target, secret_key, target};
use crate::helper::{Helper, Outcome, commands, reply};

/// The connection id of a client's first route, which is the only one that is measured.
pub const ROUTE: u8 = 16;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// The most bytes of one read.
const READ_LEN: usize = 256 * 1024;

/// The relay process, as seen from the measuring process.
pub struct RelayProcess {
    helper: Helper,
    port: u16,
    /// The number of its relays that [`next`](Self::next) has returned.
    used: u32,
}

impl RelayProcess {
    pub fn start() -> Outcome<Self> {
        let mut helper = Helper::start(&["relay"])?;
        let port = helper.next_reply()?.parse()?;
        Ok(Self { helper, port, used: 0 })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns a relay to which no client has connected yet.
    pub fn next(&mut self) -> Target {
        self.used += 1;
        target(self.port, self.used)
    }

    /// Makes the relay send packets to the client that has a route to this peer. When this returns, they have been
    /// written to the socket, as far as it has room.
    pub fn burst(&mut self, peer: u8, len: usize, count: usize) -> Outcome<()> {
        self.helper.call(&format!("burst {peer} {len} {count}")).map(|_| ())
    }

    /// Makes the relay take at least so many bytes of the client as fast as they arrive, and answer the pings among them.
    /// It does nothing else until then.
    pub fn take(&mut self, peer: u8, bytes: usize) -> Outcome<()> {
        self.helper.call(&format!("take {peer} {bytes}")).map(|_| ())
    }

    /// Waits until all bytes were taken.
    pub fn wait_taken(&mut self) -> Outcome<()> {
        self.helper.next_reply().map(|_| ())
    }
}

/// Runs the relay process: `compare relay`.
pub fn run() -> Outcome<()> {
    let mut listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let commands = commands(move || waker.wake().expect("waking the relay's poller works"));
    reply(&listener.local_addr()?.port().to_string())?;
    Relay { poll, listener, connections: Slab::new(), by_peer: HashMap::new(), buffer: vec![0; READ_LEN] }
        .run(&commands)
}

struct Relay {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// The newest connection that has requested a route to a peer, by the first byte of the peer's key.
    by_peer: HashMap<u8, usize>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The relay's address to which the client has connected.
    ip: Ipv4Addr,
    stage: Stage,
}

enum Stage {
    /// Waiting for the rest of the hello; this part has arrived.
    Hello(Vec<u8>),
    /// The handshake is complete.
    Established(Session),
}

impl Relay {
    fn run(mut self, commands: &Receiver<String>) -> Outcome<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(id) => self.read(id),
                }
            }
            while let Ok(command) = commands.try_recv() {
                self.execute(&command)?;
            }
        }
    }

    fn accept(&mut self) {
        // Until there are no more connections to accept, or no descriptors; then the next connection wakes the loop.
        while let Ok((stream, _)) = self.listener.accept() {
            let _ = self.add(stream);
        }
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // The listener is bound to all addresses, since it cannot be bound to 127.0.0.0/8; other addresses are refused.
        let IpAddr::V4(ip) = stream.local_addr()?.ip() else { return Ok(()) };
        if ip.is_loopback() {
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            self.poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
            entry.insert(Connection { stream, ip, stage: Stage::Hello(Vec::new()) });
        }
        Ok(())
    }

    /// Reads all bytes that have arrived.
    fn read(&mut self, id: usize) {
        while let Some(connection) = self.connections.get_mut(id) {
            let result = match connection.stream.read(&mut self.buffer) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => connection.receive(&self.buffer[..len]),
                Err(error) => Err(error),
            };
            match result {
                Ok(None) => {}
                Ok(Some(peer)) => {
                    self.by_peer.insert(peer, id);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.connections.remove(id);
                }
            }
        }
    }

    fn execute(&mut self, command: &str) -> Outcome<()> {
        let mut words = command.split(' ');
        let verb = words.next();
        let mut number = || -> Outcome<usize> { Ok(words.next().ok_or("an argument is missing")?.parse()?) };
        let peer = number()? as u8;
        let id = *self.by_peer.get(&peer).ok_or("no client has requested this peer")?;
        let connection = self.connections.get_mut(id).ok_or("the client has disconnected")?;
        match verb {
            Some("burst") => {
                let (len, count) = (number()?, number()?);
                connection.burst(len, count)?;
            }
            Some("take") => {
                let bytes = number()?;
                reply("ready")?;
                connection.take(bytes, &mut self.buffer)?;
            }
            _ => return Err("an unknown command".into()),
        }
        Ok(reply("done")?)
    }
}

impl Connection {
    /// Handles received bytes and answers them. Returns the first byte of the peer's key if the client has requested a
    /// route.
    fn receive(&mut self, bytes: &[u8]) -> io::Result<Option<u8>> {
        match &mut self.stage {
            Stage::Hello(hello) => {
                hello.extend_from_slice(bytes);
                let Some((hello, rest)) = hello.split_first_chunk::<HELLO_LENGTH>() else { return Ok(None) };
                let rest = rest.to_vec();
                let hello = Hello::open(hello, &secret_key(self.ip)).map_err(|_| ErrorKind::InvalidData)?;
                let (response, session) = hello.accept(&Fresh {
                    temporary_secret_key: rand::random(),
                    base_nonce: rand::random(),
                    response_nonce: rand::random(),
                });
                self.stage = Stage::Established(session);
                self.write(&response)?;
                self.receive(&rest)
            }
            Stage::Established(session) => {
                let mut replies = Vec::new();
                let mut peer = None;
                for packet in session.open(bytes).map_err(|_| ErrorKind::InvalidData)? {
                    match (packet[0], &packet[1..]) {
                        (kind::PING, id) => session.seal(&[&[kind::PONG], id].concat(), &mut replies),
                        (kind::ROUTING_REQUEST, key) => {
                            peer = key.first().copied();
                            session.seal(&[&[kind::ROUTING_RESPONSE, ROUTE], key].concat(), &mut replies);
                            session.seal(&[kind::CONNECTION_NOTIFICATION, ROUTE], &mut replies);
                        }
                        (ROUTE, _) => session.seal(&packet, &mut replies),
                        _ => {}
                    }
                }
                self.write(&replies)?;
                Ok(peer)
            }
        }
    }

    fn burst(&mut self, len: usize, count: usize) -> Outcome<()> {
        let Stage::Established(session) = &mut self.stage else { return Err("no session".into()) };
        let mut packet = vec![0x62; 1 + len];
        packet[0] = ROUTE;
        let mut bytes = Vec::new();
        (0..count).for_each(|_| session.seal(&packet, &mut bytes));
        Ok(self.write(&bytes)?)
    }

    /// Reads in a busy loop instead of waiting in the poller, so that the sender spends no time to wake this thread.
    fn take(&mut self, bytes: usize, buffer: &mut [u8]) -> Outcome<()> {
        let mut taken = 0;
        while taken < bytes {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the client has disconnected".into()),
                Ok(len) => {
                    taken += len;
                    self.answer_pings(&buffer[..len])?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn answer_pings(&mut self, bytes: &[u8]) -> Outcome<()> {
        let Stage::Established(session) = &mut self.stage else { return Err("no session".into()) };
        let (mut pings, mut pongs) = (Vec::new(), Vec::new());
        session
            .open_each(bytes, |packet| {
                if let [kind::PING, id @ ..] = packet {
                    pings.push([&[kind::PONG], id].concat());
                }
            })
            .map_err(|_| "a packet was not opened")?;
        pings.iter().for_each(|pong| session.seal(pong, &mut pongs));
        Ok(self.write(&pongs)?)
    }

    /// If the socket is full, waits for the client to read. (A burst never fills it: on loopback, a socket has room for
    /// far more.)
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
