//! The smallest possible client: a loop that seals and opens packets with libsodium, 64 KiB per system call. It has no
//! routes, queues, timers or events, only a nonce for each direction.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;

use interop::SodiumBox;
use tox_test_relay::kind;
use tox_test_relay::session::{
    KEY_LENGTH, Key, MAC_LENGTH, NONCE_LENGTH, Nonce, RESPONSE_LENGTH, public_key,
};

use super::{Client, IDENTITY, LIMIT, increment};
use crate::address::Target;
use crate::helper::Outcome;
use crate::relay::ROUTE;

/// The most bytes that one system call reads or writes.
const BUFFER_LEN: usize = 64 * 1024;

/// The bytes of the length before each packet.
const PREFIX_LEN: usize = 2;

pub struct BareLoop {
    stream: TcpStream,
    channel: SodiumBox,
    sending: Nonce,
    receiving: Nonce,
    output: Vec<u8>,
    /// Begins with the received part of an incomplete packet.
    input: Vec<u8>,
    filled: usize,
}

impl Client for BareLoop {
    fn connect(target: Target, peer: u8) -> Outcome<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut bare = Self::handshake(stream, &target.key)?;
        bare.send_one(&[&[kind::ROUTING_REQUEST], [peer; 32].as_slice()].concat())?;
        let mut online = false;
        while !online {
            bare.read(|packet| online |= packet == [kind::CONNECTION_NOTIFICATION, ROUTE])?;
        }
        Ok(bare)
    }

    fn send(&mut self, data: &[u8], count: usize) -> Outcome<()> {
        let len = PREFIX_LEN + MAC_LENGTH + 1 + data.len();
        let mut left = count;
        while left > 0 {
            let batch = left.min(BUFFER_LEN / len);
            let output = &mut self.output[..batch * len];
            for packet in output.chunks_exact_mut(len) {
                let (prefix, sealed) = packet.split_at_mut(PREFIX_LEN);
                prefix.copy_from_slice(&(sealed.len() as u16).to_be_bytes());
                sealed[MAC_LENGTH] = ROUTE;
                sealed[MAC_LENGTH + 1..].copy_from_slice(data);
                self.channel.seal(&self.sending, sealed);
                increment(&mut self.sending);
            }
            self.stream.write_all(output)?;
            left -= batch;
        }
        Ok(())
    }

    fn receive(&mut self, count: usize) -> Outcome<()> {
        let mut received = 0;
        while received < count {
            self.read(|packet| {
                black_box(packet);
                received += 1;
            })?;
        }
        Ok(())
    }
}

impl BareLoop {
    fn handshake(mut stream: TcpStream, relay_key: &Key) -> Outcome<Self> {
        let temporary: Key = rand::random();
        let (base_nonce, hello_nonce): (Nonce, Nonce) = (rand::random(), rand::random());
        let shared_key = SodiumBox::new(relay_key, &IDENTITY).ok_or("the relay's key has low order")?;
        let mut sealed =
            [&[0; MAC_LENGTH], public_key(&temporary).as_slice(), base_nonce.as_slice()].concat();
        shared_key.seal(&hello_nonce, &mut sealed);
        stream.write_all(&[public_key(&IDENTITY).as_slice(), &hello_nonce, &sealed].concat())?;

        let mut response = [0; RESPONSE_LENGTH];
        stream.read_exact(&mut response)?;
        let (nonce, sealed) = response.split_at_mut(NONCE_LENGTH);
        if !shared_key.open((&*nonce).try_into()?, sealed) {
            return Err("the handshake response was not opened".into());
        }
        let (their_key, their_nonce) = sealed[MAC_LENGTH..].split_at(KEY_LENGTH);
        Ok(Self {
            stream,
            channel: SodiumBox::new(their_key.try_into()?, &temporary)
                .ok_or("the relay's temporary key has low order")?,
            sending: base_nonce,
            receiving: their_nonce.try_into()?,
            output: vec![0; BUFFER_LEN],
            input: vec![0; BUFFER_LEN],
            filled: 0,
        })
    }

    fn send_one(&mut self, plaintext: &[u8]) -> Outcome<()> {
        let mut sealed = [&[0; MAC_LENGTH], plaintext].concat();
        self.channel.seal(&self.sending, &mut sealed);
        increment(&mut self.sending);
        let prefix = (sealed.len() as u16).to_be_bytes();
        Ok(self.stream.write_all(&[prefix.as_slice(), &sealed].concat())?)
    }

    /// Reads once, and calls `handle` with each packet that is complete then.
    fn read(&mut self, mut handle: impl FnMut(&[u8])) -> Outcome<()> {
        match self.stream.read(&mut self.input[self.filled..])? {
            0 => return Err("the relay has closed the connection".into()),
            len => self.filled += len,
        }
        let mut done = 0;
        while let Some((prefix, rest)) = self.input[done..self.filled].split_first_chunk_mut::<PREFIX_LEN>() {
            let len = usize::from(u16::from_be_bytes(*prefix));
            let Some((sealed, _)) = rest.split_at_mut_checked(len) else { break };
            if !self.channel.open(&self.receiving, sealed) {
                return Err("a packet was not opened".into());
            }
            increment(&mut self.receiving);
            handle(&sealed[MAC_LENGTH..]);
            done += PREFIX_LEN + len;
        }
        self.input.copy_within(done..self.filled, 0);
        self.filled -= done;
        Ok(())
    }
}
