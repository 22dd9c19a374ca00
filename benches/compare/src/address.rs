//! One process acts as many relays: each has its own address in 127.0.0.0/8, and a key derived from that; all have the
//! same port. So one client with one identity can have thousands of connections, each to another relay.

use std::net::{Ipv4Addr, SocketAddr};

use tox_test_relay::session::{Key, public_key};

/// One of the relays: its address and its public key.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub address: SocketAddr,
    pub key: Key,
}

/// The relay with this number.
pub fn target(port: u16, number: u32) -> Target {
    let ip = Ipv4Addr::from_bits(u32::from(Ipv4Addr::LOCALHOST) + number);
    Target { address: (ip, port).into(), key: public_key(&secret_key(ip)) }
}

/// The secret key of the relay with this address.
pub fn secret_key(ip: Ipv4Addr) -> Key {
    let mut key = [0x61; 32];
    key[..4].copy_from_slice(&ip.octets());
    key
}
