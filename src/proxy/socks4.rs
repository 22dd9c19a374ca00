//! SOCKS version 4 ("SOCKS: A protocol for TCP proxy across firewalls"), and 4A for names.
//!
//! | message | bytes |
//! | --- | --- |
//! | request | 4, 1 (connect), port (2), IPv4 address (4), user id, 0 |
//! | request for a name | 4, 1, port (2), 0.0.0.1, user id, 0, name, 0 |
//! | reply | 0, code, 6 bytes that mean nothing here |

use std::net::{IpAddr, Ipv4Addr};

use socks::TargetAddr;

use crate::error::ProxyError;
use crate::proxy::{Message, Progress};

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
/// Means that a name follows.
const NO_ADDRESS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
const REPLY_VERSION: u8 = 0;
const REPLY_LEN: usize = 8;
const GRANTED: u8 = 90;

pub(crate) struct Socks4 {
    message: Message,
}

impl Socks4 {
    pub(super) fn new(user_id: &str, target: &TargetAddr, out: &mut Vec<u8>) -> Self {
        let (ip, port, name) = match target {
            TargetAddr::Ip(address) => match address.ip() {
                IpAddr::V4(ip) => (ip, address.port(), None),
                IpAddr::V6(_) => unreachable!("refused when the connection was asked for"),
            },
            TargetAddr::Domain(name, port) => (NO_ADDRESS, *port, Some(name)),
        };
        out.extend([VERSION, CONNECT]);
        out.extend(port.to_be_bytes());
        out.extend(ip.octets());
        out.extend_from_slice(user_id.as_bytes());
        out.push(0);
        if let Some(name) = name {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        Self { message: Message::default() }
    }

    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<Progress, ProxyError> {
        let reply = self.message.fill(input, |bytes| match bytes.first() {
            Some(&version) if version != REPLY_VERSION => {
                Err(ProxyError::Version { protocol: "SOCKS4", version })
            }
            _ => Ok(REPLY_LEN),
        })?;
        match reply {
            None => Ok(Progress::Waiting),
            Some([_, GRANTED, ..]) => Ok(Progress::Open),
            Some(reply) => Err(ProxyError::Socks4 { code: reply[1] }),
        }
    }
}
