//! Finding out whether relays still answer: a ping on demand, and a changed network.

use std::time::Instant;

use crate::client::interface::Client;
use crate::error::SendError;
use crate::id::ConnectionId;

impl Client {
    /// Sends a ping to a relay now, instead of after the [ping interval](crate::Config::ping_interval). Packets that
    /// are queued are sent as well, as far as the socket accepts them.
    ///
    /// The connection ends with [`NoPong`](crate::DisconnectReason::NoPong) if the relay does not answer within the
    /// pong timeout; its answer shows in [`round_trips`](crate::ConnectionStatus::round_trips). The next ping follows
    /// one ping interval later.
    ///
    /// Returns `false`, and sends nothing, if the relay has not answered the last ping yet, and while the connection
    /// is opened: then the first ping is sent without this call.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownConnection`]: the connection has ended.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// # let mut events = Events::with_capacity(16);
    /// # let pongs = |client: &Client| client.connection(connection).map_or(1, |status| status.round_trips.pongs);
    /// # while pongs(&client) == 0 { client.poll(&mut events, None)?; }
    /// assert!(client.ping(connection)?);
    /// assert!(!client.ping(connection)?); // the first one has no answer yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ping(&mut self, connection: ConnectionId) -> Result<bool, SendError> {
        let slot = self.event_loop.table.get_mut(connection).ok_or(SendError::UnknownConnection)?;
        let is_begun = slot.connection.ping(Instant::now(), self.event_loop.ping_ids.next());
        self.event_loop.flush(connection);
        self.event_loop.update(connection);
        Ok(is_begun)
    }

    /// To be called when the network has changed: another Wi-Fi, a telephone that wakes up, a VPN that is turned on
    /// or off. It finds out within seconds which connections are dead; otherwise that takes up to the ping interval and
    /// the pong timeout together, 40 s by default, in which sending still succeeds.
    ///
    /// Each connection sends a ping now, even if it has sent one before: an answer to an earlier ping does not count
    /// any more. A relay that has not answered after 5 s, or after the [pong timeout](crate::Config::pong_timeout) if
    /// that is shorter, ends with [`NoPong`](crate::DisconnectReason::NoPong). If the network changes again meanwhile,
    /// the time begins anew, but a relay that answers no ping has at most the pong timeout and 5 s together.
    ///
    /// While a connection is opened, the attempts that have begun have at most 5 s; a connection without a later
    /// attempt then ends with [`TimedOut`](crate::DisconnectReason::TimedOut). Attempts that begin later have their
    /// full time, and so has a proxy that was already asked for a tunnel: it may need a minute for an onion service.
    ///
    /// ```
    /// # use tox_relay_client::*;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut client, connection, _) = shared::connected();
    /// client.network_changed();
    /// # assert!(client.connection(connection).is_some_and(|status| status.round_trips.pings >= 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn network_changed(&mut self) {
        for connection in self.connections().collect::<Vec<_>>() {
            if let Some(slot) = self.event_loop.table.get_mut(connection) {
                slot.connection.handle_network_changed(Instant::now(), self.event_loop.ping_ids.next());
                self.event_loop.flush(connection);
                self.event_loop.update(connection);
            }
        }
    }
}
