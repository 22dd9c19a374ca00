//! The users: each has a key pair and a connection of its own, all on one client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use tox_relay_client::{Address, Client, ConnectError, ConnectionId, PublicKey, Relay, SecretKey};

/// The first two users are the probe's, which measure the relay while the others load it.
pub const PROBE: Range<usize> = 0..2;

/// So many connections share a local address, if there are several. Linux finds a free port at once while at most half
/// of the 28,232 that it gives out are in use with one relay; after that, it tries one after the other.
const PER_ADDRESS: usize = 10_000;

/// All users. Those at 2n and 2n + 1 are peers, up to the number of pairs; the others are idle.
pub struct Users {
    pub client: Client,
    relay: Relay,
    /// Whether the relay is at an IPv4 address of this machine's loopback interface, and reached without a proxy.
    is_loopback: bool,
    users: Vec<User>,
    /// How many of them have peers.
    paired: usize,
    connected: usize,
}

struct User {
    secret_key: SecretKey,
    public_key: PublicKey,
    /// The connection, established or not.
    connection: Option<ConnectionId>,
    is_connected: bool,
}

impl Users {
    /// No users yet. So many of them will have peers, those of the probe included.
    pub fn new(client: Client, relay: Relay, is_proxied: bool, paired: usize) -> Self {
        let addresses = relay.addresses().unwrap_or_default();
        let mut ips = addresses.iter().filter_map(Address::socket_addr).map(|address| address.ip());
        let is_loopback = !is_proxied && ips.any(|ip| ip.is_loopback() && ip.is_ipv4());
        Self { client, relay, is_loopback, users: Vec::new(), paired, connected: 0 }
    }

    /// Those with peers, apart from the probe's.
    pub fn loaders(&self) -> Range<usize> {
        PROBE.end..self.paired
    }

    /// The user's peer.
    pub fn peer(&self, user: usize) -> Option<usize> {
        (user < self.paired).then_some(user ^ 1)
    }

    /// Users that have ever connected, and their peers.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn connection(&self, user: usize) -> Option<ConnectionId> {
        self.users.get(user)?.connection
    }

    pub fn public_key(&self, user: usize) -> PublicKey {
        self.users[user].public_key
    }

    /// Whether the user is connected, or connecting.
    pub fn is_present(&self, user: usize) -> bool {
        self.connection(user).is_some()
    }

    /// Users whose connection is established, without the probe's.
    pub fn connected(&self) -> usize {
        let probes = self.users.iter().take(PROBE.end).filter(|user| user.is_connected).count();
        self.connected - probes
    }

    /// Users that are connecting.
    pub fn connecting(&self) -> usize {
        self.client.connections().count() - self.connected
    }

    /// Begins to connect a user, and to open the route to its peer.
    pub fn connect(&mut self, user: usize) -> Result<(), ConnectError> {
        // The peer's key is needed, too.
        while self.users.len() <= user | 1 {
            let secret_key = SecretKey::generate();
            let public_key = secret_key.public_key();
            self.users.push(User { secret_key, public_key, connection: None, is_connected: false });
        }
        let secret_key = self.users[user].secret_key.clone();
        let mut relay = self.relay.clone().identity(secret_key).token(user as u64);
        if let Some(address) = self.is_loopback.then(|| local_address(user)).flatten() {
            relay = relay.local_address(address);
        }
        let connection = self.client.connect(relay)?;
        self.users[user].connection = Some(connection);
        if let Some(peer) = self.peer(user) {
            let peer = self.users[peer].public_key;
            self.client
                .open_route_with_token(connection, peer, user as u64)
                .expect("a new connection has room for a route");
        }
        Ok(())
    }

    /// Ends a user's connection.
    pub fn leave(&mut self, user: usize) {
        if let Some(connection) = self.forget(user) {
            self.client.disconnect(connection);
        }
    }

    pub fn handle_connected(&mut self, user: usize) {
        self.users[user].is_connected = true;
        self.connected += 1;
    }

    /// Returns `false` if the connection is an earlier one of the user, who had left.
    pub fn handle_disconnected(&mut self, user: usize, connection: ConnectionId) -> bool {
        self.connection(user) == Some(connection) && self.forget(user).is_some()
    }

    fn forget(&mut self, user: usize) -> Option<ConnectionId> {
        let user = self.users.get_mut(user)?;
        self.connected -= usize::from(std::mem::take(&mut user.is_connected));
        user.connection.take()
    }
}

/// An address of the loopback interface, of which it has 16 million; `None` for the usual one.
fn local_address(user: usize) -> Option<SocketAddr> {
    let number = u32::try_from(user / PER_ADDRESS).ok().filter(|number| *number > 0)?;
    let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
    Some(SocketAddr::new(IpAddr::V4(ip), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_users_share_several_local_addresses() {
        assert_eq!(local_address(9_999), None);
        assert_eq!(local_address(10_000), Some("127.0.0.2:0".parse().unwrap()));
        assert_eq!(local_address(39_999), Some("127.0.0.4:0".parse().unwrap()));
    }
}
