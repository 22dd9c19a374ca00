//! A throttle in the TCP connection between a client and its relay: it passes on only as many of the client's bytes as
//! the test allows.
//!
//! The socket of `tox-bootstrapd` must not be filled completely on loopback: it reads only whole packets, and the
//! kernel frees a segment of the stream (here up to 64 KiB) only when all of it was read. If the first half of a packet
//! occupies a segment, and the socket has no room for the segment with the second half, both wait for each other
//! forever. So the client is blocked here, and the relay gets only what its socket can hold.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use interop::Bootstrapd;
use tox_relay_client::Relay;

/// Passes on everything that the relay sends, and as many bytes of the client as the test allows.
pub struct Throttle {
    client: TcpStream,
    relay: TcpStream,
    /// The number of the client's bytes that were passed on to the relay.
    pub passed: u64,
}

impl Throttle {
    /// Puts a throttle between a relay and the client that `connect` creates.
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

    /// Passes on what has arrived, up to `limit` bytes of the client in total since the start. It panics if a socket
    /// does not accept everything; tests keep few bytes in flight.
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
