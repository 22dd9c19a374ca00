//! A plain tunnel through a proxy, for another protocol than Tox.
//!
//! The library's core asks the proxy for a tunnel to the relay, with the same addresses and credentials. It is dropped
//! as soon as the tunnel is open, before it has sent a byte of its own.

use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use tox_relay_client::proto::{
    AttemptId, Connection, Entropy, KeyPair, MIN_SCRATCH, Parameters, Shared, SharedKey,
};
use tox_relay_client::{Address, ConnectionId, Events, Proxy, Relay, SecretKey, Stage};

/// The exchange with the proxy.
pub struct Tunnel {
    core: Connection,
    attempt: AttemptId,
    shared: Shared,
    events: Events,
}

impl Tunnel {
    /// The tunnel to this address. The socket is connected to the proxy.
    pub fn new(address: &Address, proxy: &Proxy, now: Instant) -> io::Result<Self> {
        // No relay is spoken to, so any keys will do.
        let identity = KeyPair::from(SecretKey::generate());
        let nobody = SecretKey::generate().public_key();
        let shared_key = SharedKey::new(&identity, &nobody).map_err(io::Error::other)?;
        let relay = Relay::new(address, nobody).proxy(proxy.clone());
        let parameters =
            Parameters::new(ConnectionId::from(0), Arc::new(shared_key), &relay, NonZeroU64::MIN)
                .map_err(io::Error::other)?;
        let mut core = Connection::new(parameters, now);
        let entropy = Entropy { temporary: SecretKey::generate(), hello_nonce: [0; 24], base_nonce: [0; 24] };
        let (attempt, _) = core.begin_attempt(now, entropy).ok_or_else(|| io::Error::other("no attempt"))?;
        core.handle_connected(now, attempt);
        Ok(Self { core, attempt, shared: Shared::new(), events: Events::with_capacity(1) })
    }

    /// Goes on with the exchange as far as the socket allows. Returns whether the tunnel is open: then the next byte is
    /// the server's.
    ///
    /// # Errors
    ///
    /// The proxy refuses, or the socket fails.
    pub fn drive<S: Read + Write>(&mut self, socket: &mut S) -> io::Result<bool> {
        let now = Instant::now();
        let mut scratch = vec![0; MIN_SCRATCH];
        while self.core.stage() < Stage::Handshaking {
            let write = |bytes: &[u8]| socket.write(bytes);
            self.core.flush(now, self.attempt, NonZeroU64::MIN, &mut self.shared, &mut scratch, write)?;
            // One byte at a time: what follows the proxy's answer must stay in the socket.
            let mut byte = [0];
            match socket.read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            self.core
                .receive(now, self.attempt, &mut byte, &mut self.shared, &mut self.events)
                .map_err(io::Error::other)?;
        }
        Ok(true)
    }
}
