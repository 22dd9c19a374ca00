//! Our client, used as in any program.

use std::time::{Duration, Instant};

use tox_relay_client::{
    Client as RelayClient, Config, ConnectionId, Event, Events, PublicKey, Relay, RouteId, SecretKey,
    SendError,
};

use super::{Client, IDENTITY, LIMIT};
use crate::address::Target;
use crate::helper::Outcome;

/// Enough for a burst of the smallest packets.
const EVENTS: usize = 2048;

pub struct OurClient {
    client: RelayClient,
    events: Events,
    relay: ConnectionId,
    route: RouteId,
}

impl Client for OurClient {
    fn connect(target: Target, peer: u8) -> Outcome<Self> {
        let mut client = RelayClient::new(Config::new(SecretKey::from(IDENTITY)))?;
        let mut events = Events::with_capacity(EVENTS);
        let relay = client.connect(Relay::new(target.address, PublicKey::from(target.key)))?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            client.poll(&mut events, Some(LIMIT))?;
            for event in &events {
                match event {
                    Event::Connected { connection: relay, .. } => {
                        client.open_route(relay, PublicKey::from([peer; 32]))?;
                    }
                    Event::RouteOnline { route, .. } => return Ok(Self { client, events, relay, route }),
                    Event::Disconnected { reason, .. } => return Err(reason.into()),
                    _ => {}
                }
            }
        }
        Err("our client's route was not online in time".into())
    }

    fn send(&mut self, data: &[u8], count: usize) -> Outcome<()> {
        for _ in 0..count {
            while let Err(error) = self.client.send_data(self.route, data) {
                match error {
                    SendError::WouldBlock => self.poll()?,
                    error => return Err(error.into()),
                }
            }
        }
        self.client.flush();
        while self.client.connection(self.relay).ok_or("our client has lost the relay")?.queued > 0 {
            self.poll()?;
        }
        Ok(())
    }

    /// Handles the pong that confirms a burst, and makes room for the next one. The relay has sent it already.
    fn settle(&mut self) -> Outcome<()> {
        let deadline = Instant::now() + LIMIT;
        while self.client.connection(self.relay).ok_or("our client has lost the relay")?.unconfirmed > 0 {
            if Instant::now() >= deadline {
                return Err("our client's burst was not confirmed in time".into());
            }
            self.poll()?;
        }
        Ok(())
    }

    fn receive(&mut self, count: usize) -> Outcome<()> {
        let mut received = 0;
        while received < count {
            self.poll()?;
            for event in &self.events {
                match event {
                    Event::Data { .. } => received += 1,
                    Event::Disconnected { reason, .. } => return Err(reason.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl OurClient {
    fn poll(&mut self) -> Outcome<()> {
        Ok(self.client.poll(&mut self.events, Some(Duration::ZERO))?)
    }
}
