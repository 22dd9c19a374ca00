//! The C client as an end of a route.

use interop::{Bootstrapd, CClient, CEvent, CSend, CStatus, wait_for};
use tox_relay_client::{PublicKey, SecretKey};

use crate::driver::{End, LIMIT};

/// A C client with one relay.
pub struct CEnd {
    pub client: CClient,
    /// The connection id of this end's route, if one is open.
    route: Option<u8>,
}

impl CEnd {
    /// Waits for the next event.
    pub fn next(&mut self) -> CEvent {
        wait_for(LIMIT, || {
            self.client.iterate();
            self.client.next_event()
        })
        .expect("an event in time")
    }

    /// The next event that has already arrived.
    pub fn try_next(&mut self) -> Option<CEvent> {
        self.client.iterate();
        self.client.next_event()
    }

    /// Opens a route, and waits for the answer, which must be the next event.
    pub fn open_route(&mut self, peer: PublicKey) -> u8 {
        assert_eq!(self.client.request_route(peer.as_bytes()), CSend::Sent);
        match self.next() {
            CEvent::RoutingResponse { connection_id, peer: answered } if answered == *peer.as_bytes() => {
                connection_id
            }
            other => panic!("{other:?}"),
        }
    }
}

impl End for CEnd {
    fn connected(relay: &Bootstrapd, secret_key: SecretKey) -> Self {
        let client =
            CClient::connect(relay.addr(), relay.public_key(), *secret_key.as_bytes()).expect("a C client");
        let mut theirs = Self { client, route: None };
        let connected = wait_for(LIMIT, || {
            theirs.client.iterate();
            (theirs.client.status() == CStatus::Connected).then_some(())
        });
        assert_eq!(connected, Some(()), "{:?}", theirs.client.status());
        // It reports itself connected before the relay has confirmed it. After this, others can reach it.
        theirs.fence();
        theirs
    }

    fn key(&self) -> PublicKey {
        self.client.public_key().into()
    }

    fn open(&mut self, peer: PublicKey) {
        self.route = Some(self.open_route(peer));
    }

    fn close(&mut self) {
        assert_eq!(self.client.disconnect_route(self.route.take().unwrap()), CSend::Sent);
    }

    fn send_data(&mut self, data: &[u8]) {
        assert_eq!(self.client.send_data(self.route.unwrap(), data), CSend::Sent);
    }

    fn send_oob(&mut self, peer: PublicKey, data: &[u8]) {
        assert_eq!(self.client.send_oob(peer.as_bytes(), data), CSend::Sent);
    }

    fn expect_online(&mut self) {
        let connection_id = self.route.unwrap();
        assert_eq!(self.next(), CEvent::Online { connection_id });
    }

    fn expect_offline(&mut self) {
        let connection_id = self.route.unwrap();
        assert_eq!(self.next(), CEvent::Offline { connection_id });
    }

    fn expect_data(&mut self, data: &[u8]) {
        let connection_id = self.route.unwrap();
        assert_eq!(self.next(), CEvent::Data { connection_id, data: data.to_vec() });
    }

    fn expect_oob(&mut self, sender: PublicKey, data: &[u8]) {
        assert_eq!(self.next(), CEvent::Oob { sender: *sender.as_bytes(), data: data.to_vec() });
    }

    fn fence(&mut self) {
        let connection_id = self.open_route(SecretKey::generate().public_key());
        assert_eq!(self.client.disconnect_route(connection_id), CSend::Sent);
    }
}
