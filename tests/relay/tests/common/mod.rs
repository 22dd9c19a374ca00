//! A small blocking client. It shares no code with the relay, except the crypto library.

#![allow(dead_code, reason = "each test file uses its part of the client")]

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use tox_test_relay::{Conduct, Options, Relay, kind::*};

/// Only a failing test waits this long.
pub const GUARD: Duration = Duration::from_secs(20);

pub fn relay(conduct: Conduct) -> Relay {
    Relay::start(Options { conduct, ..Options::default() }).unwrap()
}

/// The key pair of a client.
pub struct Identity(SecretKey);

impl Identity {
    pub fn new() -> Self {
        Self(SecretKey::from_bytes(rand::random()))
    }

    pub fn key(&self) -> [u8; 32] {
        *self.0.public_key().as_bytes()
    }
}

/// A hello that has been sent, and the keys that are needed to open the response.
pub struct Greeting {
    pub stream: TcpStream,
    pub hello: Vec<u8>,
    shared_key: SalsaBox,
    temporary: SecretKey,
    base_nonce: [u8; 24],
}

impl Greeting {
    pub fn send(relay: &Relay, me: &Identity) -> Self {
        let mut stream = TcpStream::connect(relay.addr()).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        stream.set_nodelay(true).unwrap();

        let shared_key = SalsaBox::new(&PublicKey::from(relay.public_key()), &me.0);
        let temporary = SecretKey::from_bytes(rand::random());
        let (nonce, base_nonce): ([u8; 24], [u8; 24]) = rand::random();
        let offer = [temporary.public_key().as_bytes(), &base_nonce[..]].concat();
        let sealed = shared_key.encrypt(&nonce.into(), &offer[..]).unwrap();
        let hello = [&me.key()[..], &nonce, &sealed].concat();
        stream.write_all(&hello).unwrap();
        Self { stream, hello, shared_key, temporary, base_nonce }
    }

    pub fn temporary_key(&self) -> [u8; 32] {
        *self.temporary.public_key().as_bytes()
    }

    pub fn response(&mut self) -> [u8; 96] {
        let mut response = [0; 96];
        self.stream.read_exact(&mut response).unwrap();
        response
    }

    /// What the response offers: temporary key and base nonce. `None` if it does not open.
    pub fn open(&self, response: &[u8; 96]) -> Option<([u8; 32], [u8; 24])> {
        let nonce: [u8; 24] = response[..24].try_into().unwrap();
        let offer = self.shared_key.decrypt(&nonce.into(), &response[24..]).ok()?;
        Some((offer[..32].try_into().unwrap(), offer[32..].try_into().unwrap()))
    }

    /// Completes the handshake. The response is not checked, except that it opens.
    pub fn finish(mut self) -> Client {
        let response = self.response();
        let (key, receive_nonce) = self.open(&response).expect("the response opens");
        let shared = SalsaBox::new(&PublicKey::from(key), &self.temporary);
        Client { stream: self.stream, shared, send_nonce: self.base_nonce, receive_nonce, pings: 0 }
    }
}

/// A client that has completed the handshake.
pub struct Client {
    pub stream: TcpStream,
    shared: SalsaBox,
    send_nonce: [u8; 24],
    receive_nonce: [u8; 24],
    pings: u64,
}

impl Client {
    /// Connects, and sends a ping, by which the relay confirms the client.
    pub fn connect(relay: &Relay, me: &Identity) -> Self {
        let mut client = Greeting::send(relay, me).finish();
        client.sync();
        client
    }

    /// Encrypts the next packet, and returns the bytes for the stream.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let sealed = self.shared.encrypt(&next(&mut self.send_nonce).into(), plaintext).unwrap();
        [&(sealed.len() as u16).to_be_bytes()[..], &sealed].concat()
    }

    pub fn send(&mut self, plaintext: &[u8]) {
        let packet = self.seal(plaintext);
        self.stream.write_all(&packet).unwrap();
    }

    pub fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).unwrap();
        let mut sealed = vec![0; u16::from_be_bytes(length).into()];
        self.stream.read_exact(&mut sealed).unwrap();
        self.shared.decrypt(&next(&mut self.receive_nonce).into(), &sealed[..]).unwrap()
    }

    #[track_caller]
    pub fn expect(&mut self, parts: &[&[u8]]) {
        assert_eq!(self.receive(), parts.concat());
    }

    /// Sends a ping and expects the pong as the next packet: the relay has handled everything before it, and has sent
    /// nothing else.
    #[track_caller]
    pub fn sync(&mut self) {
        self.pings += 1;
        let id = self.pings.to_be_bytes();
        self.send(&[&[PING], &id[..]].concat());
        self.expect(&[&[PONG], &id]);
    }

    /// Requests a route, and expects this number.
    #[track_caller]
    pub fn request_route(&mut self, peer: &[u8; 32], id: u8) {
        self.send(&[&[ROUTING_REQUEST], &peer[..]].concat());
        self.expect(&[&[ROUTING_RESPONSE, id], peer]);
    }

    #[track_caller]
    pub fn expect_end(&mut self) {
        expect_end(&mut self.stream);
    }

    #[track_caller]
    pub fn expect_reset(&mut self) {
        expect_reset(&mut self.stream);
    }
}

/// Expects a clean end of the stream, without another byte.
#[track_caller]
pub fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0; 1]).expect("a clean end"), 0);
}

/// Expects a reset, without another byte.
#[track_caller]
pub fn expect_reset(stream: &mut TcpStream) {
    let error = stream.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Returns the nonce, and adds one to it, a big-endian number of 24 bytes.
fn next(nonce: &mut [u8; 24]) -> [u8; 24] {
    let current = *nonce;
    let (high, low) = nonce.split_at_mut(8);
    let sum = u128::from_be_bytes((&*low).try_into().unwrap()).checked_add(1);
    low.copy_from_slice(&sum.unwrap_or(0).to_be_bytes());
    if sum.is_none() {
        let sum = u64::from_be_bytes((&*high).try_into().unwrap()).wrapping_add(1);
        high.copy_from_slice(&sum.to_be_bytes());
    }
    current
}
