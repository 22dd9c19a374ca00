//! A relay that the test controls step by step, on the test's own thread: it reads and writes only when the test calls
//! it, and the test sees each packet in stream order.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tox_relay_client::{ConnectionId, PublicKey, Relay, RouteId};
use tox_test_relay::kind;
use tox_test_relay::session::{Fresh, HELLO_LENGTH, Hello, Session, public_key};

use super::{GUARD, Peer, Reported};

/// The receive buffer of the relay's socket. It is small, so that a test can fill it without sending megabytes.
const SMALL: usize = 16 * 1024;

/// The send buffer of the relay's socket, which a flood fills. It is larger than what several polls read.
const LARGE: usize = 512 * 1024;

pub struct ScriptedRelay {
    stream: TcpStream,
    session: Session,
    /// Encrypted bytes that are not written to the socket yet.
    unsent: Vec<u8>,
    /// Packets from the client, oldest first.
    pub received: VecDeque<Vec<u8>>,
}

impl ScriptedRelay {
    /// Begins a connection of a client, and reads its hello. The response is sent with the first packet, or by
    /// [`respond`](Self::respond).
    pub fn greet(peer: &mut Peer) -> (Self, ConnectionId) {
        let secret_key: [u8; 32] = rand::random();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        SockRef::from(&listener).set_recv_buffer_size(SMALL).unwrap();
        let relay = Relay::new(listener.local_addr().unwrap(), public_key(&secret_key).into());
        let id = peer.client.connect(relay).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        SockRef::from(&stream).set_send_buffer_size(LARGE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        peer.until("the hello is sent", |peer| peer.client.connection(id).unwrap().traffic.bytes_out == 128);
        let mut hello = [0; HELLO_LENGTH];
        stream.read_exact(&mut hello).unwrap();
        let fresh = Fresh {
            temporary_secret_key: rand::random(),
            base_nonce: rand::random(),
            response_nonce: rand::random(),
        };
        let (response, session) = Hello::open(&hello, &secret_key).unwrap().accept(&fresh);
        (Self { stream, session, unsent: response.into(), received: VecDeque::new() }, id)
    }

    /// Sends the handshake response, or the rest of a packet that was sent in part.
    pub fn respond(&mut self) {
        self.send_all([]);
    }

    /// Connects a client, and returns when it has reported that.
    pub fn connect(peer: &mut Peer) -> (Self, ConnectionId) {
        let (mut relay, id) = Self::greet(peer);
        relay.respond();
        let ping = relay.receive(peer);
        relay.send(&[&[kind::PONG], &ping[1..]].concat());
        peer.until("connected", |peer| peer.reported.contains(&Reported::Connected(id)));
        peer.reported.clear();
        (relay, id)
    }

    /// Opens a route of the client to a new peer, with this connection id, and puts it online.
    pub fn open_route(&mut self, peer: &mut Peer, id: ConnectionId, number: u8) -> (RouteId, PublicKey) {
        let friend = super::any_key();
        let route = peer.client.open_route(id, friend).unwrap();
        assert_eq!(self.receive(peer), [&[kind::ROUTING_REQUEST][..], friend.as_bytes()].concat());
        self.send(&[&[kind::ROUTING_RESPONSE, number][..], friend.as_bytes()].concat());
        self.send(&[kind::CONNECTION_NOTIFICATION, number]);
        peer.until("online", |peer| peer.reported.contains(&Reported::Online(route, friend)));
        peer.reported.clear();
        (route, friend)
    }

    /// Sends a packet.
    pub fn send(&mut self, plaintext: &[u8]) {
        self.send_all([plaintext]);
    }

    /// Sends packets with one write.
    pub fn send_all<'a>(&mut self, plaintexts: impl IntoIterator<Item = &'a [u8]>) {
        for plaintext in plaintexts {
            self.session.seal(plaintext, &mut self.unsent);
        }
        self.stream.write_all(&self.unsent).unwrap();
        self.unsent.clear();
    }

    /// Sends all of a packet but its last byte, which is sent with the next packet, or by
    /// [`respond`](Self::respond).
    pub fn send_all_but_one_byte(&mut self, plaintext: &[u8]) {
        self.session.seal(plaintext, &mut self.unsent);
        let last = self.unsent.len() - 1;
        self.stream.write_all(&self.unsent[..last]).unwrap();
        self.unsent.drain(..last);
    }

    /// Sends the first byte of a packet. The others are sent with the next packet.
    pub fn send_first_byte(&mut self, plaintext: &[u8]) {
        self.session.seal(plaintext, &mut self.unsent);
        self.stream.write_all(&self.unsent[..1]).unwrap();
        self.unsent.drain(..1);
    }

    /// Sends one byte of TCP urgent data, which belongs to no packet.
    pub fn send_urgent(&mut self) {
        SockRef::from(&self.stream).send_out_of_band(b"!").unwrap();
    }

    /// Sends copies of this packet until both sockets are full, and returns how many it has begun. The rest of the last
    /// one is sent with the next packet.
    pub fn flood(&mut self, plaintext: &[u8]) -> usize {
        self.stream.set_nonblocking(true).unwrap();
        let mut count = 0;
        loop {
            while !self.unsent.is_empty()
                && let Ok(len) = self.stream.write(&self.unsent)
            {
                self.unsent.drain(..len);
            }
            if !self.unsent.is_empty() {
                break;
            }
            self.session.seal(plaintext, &mut self.unsent);
            count += 1;
        }
        self.stream.set_nonblocking(false).unwrap();
        count
    }

    /// The client's next packet; polls the client until it arrives.
    #[track_caller]
    pub fn receive(&mut self, peer: &mut Peer) -> Vec<u8> {
        let mut packet = None;
        peer.until("a packet", |_| {
            self.read();
            packet = self.received.pop_front();
            packet.is_some()
        });
        packet.unwrap()
    }

    /// Reads once without waiting, and returns the number of bytes.
    pub fn read(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        self.stream.set_nonblocking(true).unwrap();
        let len = match self.stream.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        self.stream.set_nonblocking(false).unwrap();
        self.received.extend(self.session.open(&buffer[..len]).unwrap());
        len
    }

    /// Reads until the client has ended the connection.
    pub fn read_to_end(&mut self) {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        self.received.extend(self.session.open(&bytes).unwrap());
    }

    /// Ends the relay's side of the stream cleanly, after what was sent. The client's side stays open.
    pub fn close(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
