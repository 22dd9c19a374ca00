//! SOCKS version 4 ("SOCKS: A protocol for TCP proxy across firewalls"), and 4A for names.
//!
//! | message | bytes |
//! | --- | --- |
//! | request | 4, 1 (connect), port (2), IPv4 address (4), user id, 0 |
//! | request for a name | 4, 1, port (2), 0.0.0.1, user id, 0, name, 0 |
//! | reply | 0, code, 6 bytes that are ignored |

use std::net::{Ipv4Addr, SocketAddr};

use crate::address::{Address, Kind};
use crate::deframer::Deframer;
use crate::error::ProxyError;
use crate::proxy::progress::Progress;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
/// The address which means that a name follows.
const NO_ADDRESS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
const REPLY_VERSION: u8 = 0;
const REPLY_LEN: usize = 8;
const GRANTED: u8 = 90;

pub struct Socks4 {
    reply: Deframer,
}

impl Socks4 {
    pub(super) fn new(user_id: &str, target: &Address, out: &mut Vec<u8>) -> Self {
        let (ip, name) = match &target.0 {
            Kind::Ip(SocketAddr::V4(address)) => (*address.ip(), None),
            Kind::Ip(SocketAddr::V6(_)) => unreachable!("`connect` refuses it"),
            Kind::Name(name, _) => (NO_ADDRESS, Some(name)),
        };
        out.extend([VERSION, CONNECT]);
        out.extend(target.port().to_be_bytes());
        out.extend(ip.octets());
        out.extend_from_slice(user_id.as_bytes());
        out.push(0);
        if let Some(name) = name {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        Self { reply: Deframer::default() }
    }

    pub(super) fn receive(&mut self, input: &mut &mut [u8]) -> Result<Progress, ProxyError> {
        let reply = self.reply.next(input, |bytes| match *bytes {
            [first, ..] if first != REPLY_VERSION => Err(ProxyError::Protocol { expected: "SOCKS4", first }),
            // A refusal is reported at once: the rest of the reply may never arrive.
            [_, code, ..] if code != GRANTED => Ok(Some(2)),
            [_, _, ..] => Ok(Some(REPLY_LEN)),
            _ => Ok(None),
        })?;
        match reply {
            None => Ok(Progress::Waiting),
            Some([_, GRANTED, ..]) => Ok(Progress::Open),
            Some(reply) => Err(ProxyError::Socks4 { code: reply[1] }),
        }
    }
}
