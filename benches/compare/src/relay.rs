//! The relay that all clients are measured against, in a process of its own: `compare relay`.
//!
//! It does what a measurement needs. Every peer is there as soon as a client asks for a route to it, and sends back what
//! it gets. Beyond that it takes orders: to send a burst of packets to a client, and to swallow unread what one sends,
//! as fast as it comes.

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
use crate::helper::{Helper, Outcome, answer, orders};

/// The number of the first route of a client, which is the only one that is measured.
pub const ROUTE: u8 = 16;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// The most that one read takes.
const READ_LEN: usize = 256 * 1024;

/// The relay's process, as the measuring one sees it.
pub struct RelayProcess {
    helper: Helper,
    port: u16,
    /// How many of its relays have been given out.
    used: u32,
}

impl RelayProcess {
    pub fn start() -> Outcome<Self> {
        let mut helper = Helper::start(&["relay"])?;
        let port = helper.answer()?.parse()?;
        Ok(Self { helper, port, used: 0 })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A relay that nobody has connected to.
    pub fn next(&mut self) -> Target {
        self.used += 1;
        target(self.port, self.used)
    }

    /// Has packets sent to the client whose route leads to the peer of this number. They are on their way when it
    /// returns: in the client's socket, as far as there is room.
    pub fn burst(&mut self, peer: u8, len: usize, count: usize) -> Outcome<()> {
        self.helper.ask(&format!("burst {peer} {len} {count}")).map(|_| ())
    }

    /// Has the next bytes of the client thrown away as fast as they come, and nothing else done meanwhile, from when it
    /// returns until [`swallowed`](Self::swallowed). The client cannot be heard again.
    pub fn swallow(&mut self, peer: u8, bytes: usize) -> Outcome<()> {
        self.helper.ask(&format!("swallow {peer} {bytes}")).map(|_| ())
    }

    /// Waits until all is swallowed.
    pub fn swallowed(&mut self) -> Outcome<()> {
        self.helper.answer().map(|_| ())
    }
}

/// `compare relay`.
pub fn run() -> Outcome<()> {
    let mut listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let orders = orders(move || waker.wake().expect("a waker only fails with its poller"));
    answer(&listener.local_addr()?.port().to_string())?;
    Relay { poll, listener, connections: Slab::new(), by_peer: HashMap::new(), buffer: vec![0; READ_LEN] }
        .run(&orders)
}

struct Relay {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// The newest connection that has asked for a peer, by the first byte of the peer's key.
    by_peer: HashMap<u8, usize>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The address that the client sees the relay at.
    ip: Ipv4Addr,
    stage: Stage,
}

enum Stage {
    /// This much of the hello has come.
    Hello(Vec<u8>),
    Talking(Session),
    /// Its packets are not opened any more, so their nonces are lost.
    Deaf,
}

impl Relay {
    fn run(mut self, orders: &Receiver<String>) -> Outcome<()> {
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
            while let Ok(order) = orders.try_recv() {
                self.obey(&order)?;
            }
        }
    }

    fn accept(&mut self) {
        // Until nobody is left, or no descriptor: then the next one who comes wakes the loop.
        while let Ok((stream, _)) = self.listener.accept() {
            let _ = self.add(stream);
        }
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // It listens on all addresses, for want of a way to name 127.0.0.0/8, and is there for those alone.
        let IpAddr::V4(ip) = stream.local_addr()?.ip() else { return Ok(()) };
        if ip.is_loopback() {
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            self.poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
            entry.insert(Connection { stream, ip, stage: Stage::Hello(Vec::new()) });
        }
        Ok(())
    }

    /// Reads all that has come.
    fn read(&mut self, id: usize) {
        while let Some(connection) = self.connections.get_mut(id) {
            let result = match connection.stream.read(&mut self.buffer) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => connection.take(&self.buffer[..len]),
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

    fn obey(&mut self, order: &str) -> Outcome<()> {
        let mut words = order.split(' ');
        let verb = words.next();
        let mut number = || -> Outcome<usize> { Ok(words.next().ok_or("an order too short")?.parse()?) };
        let peer = number()? as u8;
        let id = *self.by_peer.get(&peer).ok_or("nobody has asked for this peer")?;
        let connection = self.connections.get_mut(id).ok_or("the client is gone")?;
        match verb {
            Some("burst") => {
                let (len, count) = (number()?, number()?);
                connection.burst(len, count)?;
            }
            Some("swallow") => {
                let bytes = number()?;
                answer("ready")?;
                connection.swallow(bytes, &mut self.buffer)?;
            }
            _ => return Err("an unknown order".into()),
        }
        Ok(answer("done")?)
    }
}

impl Connection {
    /// Takes bytes in and answers them. The first byte of the peer's key if the client has asked for a route.
    fn take(&mut self, bytes: &[u8]) -> io::Result<Option<u8>> {
        match &mut self.stage {
            Stage::Deaf => Ok(None),
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
                self.stage = Stage::Talking(session);
                self.write(&response)?;
                self.take(&rest)
            }
            Stage::Talking(session) => {
                let mut answers = Vec::new();
                let mut peer = None;
                for packet in session.open(bytes).map_err(|_| ErrorKind::InvalidData)? {
                    match (packet[0], &packet[1..]) {
                        (kind::PING, id) => session.seal(&[&[kind::PONG], id].concat(), &mut answers),
                        (kind::ROUTING_REQUEST, key) => {
                            peer = key.first().copied();
                            session.seal(&[&[kind::ROUTING_RESPONSE, ROUTE], key].concat(), &mut answers);
                            session.seal(&[kind::CONNECTION_NOTIFICATION, ROUTE], &mut answers);
                        }
                        (ROUTE, _) => session.seal(&packet, &mut answers),
                        _ => {}
                    }
                }
                self.write(&answers)?;
                Ok(peer)
            }
        }
    }

    fn burst(&mut self, len: usize, count: usize) -> Outcome<()> {
        let Stage::Talking(session) = &mut self.stage else { return Err("no session".into()) };
        let mut packet = vec![0x62; 1 + len];
        packet[0] = ROUTE;
        let mut bytes = Vec::new();
        (0..count).for_each(|_| session.seal(&packet, &mut bytes));
        Ok(self.write(&bytes)?)
    }

    /// Asks the socket again and again instead of sleeping, so that the sender need not wake anybody.
    fn swallow(&mut self, bytes: usize, buffer: &mut [u8]) -> io::Result<()> {
        self.stage = Stage::Deaf;
        let mut swallowed = 0;
        while swallowed < bytes {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => swallowed += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is not taken at once waits for the client to read. (A burst is taken at once: on loopback, a socket has room
    /// for far more.)
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
