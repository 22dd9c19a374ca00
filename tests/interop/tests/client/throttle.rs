//! A throttle in the TCP connection from a client to its relay.
//!
//! `tox-bootstrapd` can't be filled to the brim on loopback: it reads only whole packets, and the
//! kernel gives a piece of the stream (there up to 64 KiB) back when all of it was read. Where the
//! first half of a packet keeps a piece, and the socket has no room for the one with the second half,
//! both wait for each other for good. So a client is blocked here, and the relay gets only what it can
//! hold.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use interop::Bootstrapd;
use tox_relay_client::Relay;

/// Passes all that the relay sends, and of what the client sends as much as it is told to.
pub struct Throttle {
    client: TcpStream,
    relay: TcpStream,
    /// The bytes of the client that the relay was given.
    pub passed: u64,
}

impl Throttle {
    /// Between a relay and the client that `connect` begins with.
    pub fn between<T>(bootstrapd: &Bootstrapd, connect: impl FnOnce(Relay) -> T) -> (Self, T) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connecting = connect(Relay::new(listener.local_addr().unwrap(), bootstrapd.public_key().into()));
        let (client, _) = listener.accept().unwrap();
        let relay = TcpStream::connect(bootstrapd.addr()).unwrap();
        for stream in [&client, &relay] {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
        }
        (Self { client, relay, passed: 0 }, connecting)
    }

    /// Passes what is there, until `limit` bytes of the client have passed in all. Sockets that take
    /// less than what they are given would be a mistake of the test: little is under way.
    pub fn pass(&mut self, limit: u64) {
        transfer(&mut self.relay, &mut self.client, u64::MAX);
        self.passed += transfer(&mut self.client, &mut self.relay, limit.saturating_sub(self.passed));
    }
}

fn transfer(from: &mut TcpStream, to: &mut TcpStream, limit: u64) -> u64 {
    let mut buffer = [0; 16 * 1024];
    let mut passed = 0;
    while passed < limit {
        let room = buffer.len().min(usize::try_from(limit - passed).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(length) => {
                to.write_all(&buffer[..length]).unwrap();
                passed += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    passed
}
