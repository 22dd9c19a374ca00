//! One relay connection without a socket, a clock or a random source: bytes, times and random numbers are arguments.
//!
//! [`Connection`] is its interface, for the loop and, as [`proto`](crate::proto), for other drivers: that module
//! documents the order of the calls. [`transport`] has the functions for transports and deadlines, and [`commands`]
//! those for the requests of a caller and for the state of the connection. Each function passes its input to the
//! current state of the connection: an [`Opening`](opening::Opening), from the first transport to the handshake
//! response, and then a [`Session`](session::Session). [`Common`](common::Common) holds what both states use.

mod commands;
mod common;
mod deadline;
mod ending;
mod keepalive;
mod opening;
mod outbox;
mod queue;
mod round_trips;
mod routes;
mod session;
mod shared;
mod times;
mod transport;
mod window;

pub use ending::End;
pub use opening::Parameters;
pub use shared::Shared;
pub use transport::{Connection, MIN_SCRATCH};

#[cfg(test)]
mod tests;
