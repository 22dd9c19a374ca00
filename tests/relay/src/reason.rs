//! Why the relay ends a connection.

use std::fmt;

use crate::session::Broken;

/// Why the relay ended the connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The hello does not open: it was made for another relay, or is garbage.
    Hello,
    /// A packet has an impossible length, or does not open.
    Broken(Broken),
    /// A packet of this kind has a length or content that the kind cannot have.
    Malformed(u8),
    /// A packet of a kind that only relays send, or that does not exist.
    WrongKind(u8),
    /// Data or a disconnect notification for a number that has no route.
    NoSuchRoute(u8),
    /// A forward request, and this relay forwards nothing.
    NoForwarding,
    /// A pong with the number 0, which no ping has.
    ZeroPong,
    /// No pong arrived in time.
    NoPong,
    /// A newer connection with the same public key has been confirmed.
    Replaced,
    /// The client sends packets that the relay must answer, and does not read the answers.
    NotReading,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello => f.write_str("the hello does not open"),
            Self::Broken(broken) => broken.fmt(f),
            Self::Malformed(kind) => write!(f, "a packet of kind {kind:#04x} is malformed"),
            Self::WrongKind(kind) => write!(f, "a client sends no packets of kind {kind:#04x}"),
            Self::NoSuchRoute(id) => write!(f, "there is no route {id}"),
            Self::NoForwarding => f.write_str("this relay does not forward"),
            Self::ZeroPong => f.write_str("a pong has the number 0"),
            Self::NoPong => f.write_str("no pong arrived in time"),
            Self::Replaced => f.write_str("a newer connection has the same key"),
            Self::NotReading => f.write_str("the client does not read the answers"),
        }
    }
}
