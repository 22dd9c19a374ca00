//! The C client of libtoxcore, used as in a C program. It cannot wait for a socket.
//!
//! It is slow for two reasons: it makes one system call for the length of each packet and another for its body; and for
//! each packet it locks its temporary buffers into memory and unlocks them again (`mlock`, `munlock`, `madvise`).

use std::time::Instant;

use interop::{CClient, CEvent, CSend, CStatus, wait_for};
use tox_test_relay::session::public_key;

use super::{Client, IDENTITY, LIMIT};
use crate::address::Target;
use crate::helper::Outcome;
use crate::relay::ROUTE;

pub struct ToxcoreClient(CClient);

impl Client for ToxcoreClient {
    fn connect(target: Target, peer: u8) -> Outcome<Self> {
        let mut client = CClient::connect_as(target.address, target.key, public_key(&IDENTITY), IDENTITY)?;
        let mut requested = false;
        let online = wait_for(LIMIT, || {
            client.iterate();
            if client.status() == CStatus::Connected && !requested {
                requested = client.request_route(&[peer; 32]) == CSend::Sent;
            }
            (client.next_event() == Some(CEvent::Online { connection_id: ROUTE })).then_some(())
        });
        online.ok_or("the C client's route was not online in time")?;
        // Events would copy the data, which a C program does not do.
        client.count_data_only();
        Ok(Self(client))
    }

    fn send(&mut self, data: &[u8], count: usize) -> Outcome<()> {
        for _ in 0..count {
            loop {
                match self.0.send_data(ROUTE, data) {
                    CSend::Sent => break,
                    CSend::WouldBlock => self.0.iterate(),
                    CSend::Error => return Err("the C client cannot send".into()),
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, count: usize) -> Outcome<()> {
        let until = self.0.received_data().packets + count as u64;
        let deadline = Instant::now() + LIMIT;
        while self.0.received_data().packets < until {
            self.0.iterate();
            if self.0.status() != CStatus::Connected || Instant::now() > deadline {
                return Err("the C client has lost the relay, or received too few packets in time".into());
            }
        }
        Ok(())
    }
}
