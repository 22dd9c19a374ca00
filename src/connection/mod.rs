//! One relay connection without a socket, a clock or a random source: bytes, times and random numbers are arguments.
//!
//! Input goes in through the `handle_*` functions and [`receive`](Connection::receive), output comes out of
//! [`flush`](Connection::flush), and [`Events`] holds what the caller should know. Whoever drives a connection (the
//! loop, or a test) calls them in this order:
//!
//! 1. [`handle_turn`](Connection::handle_turn) when a turn begins;
//! 2. [`handle_connected`](Connection::handle_connected), once, when the transport is connected, and then
//!    [`receive`](Connection::receive) with the bytes that have arrived;
//! 3. [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) is reached, and after
//!    `receive`, so that an answer which has arrived is never taken for late;
//! 4. [`flush`](Connection::flush) while it [`has_output`](Connection::has_output) and the transport has room.
//!
//! An error of any of them is final: the connection has ended and must not be used again. If the transport ends,
//! [`handle_end`](Connection::handle_end) returns the reason.
//!
//! Each function passes its input to the current state of the connection: an [`Opening`], from the transport to the
//! handshake response, and then a [`Session`]. [`Common`] holds what both states use.
//!
//! [`transport`] has the functions above, and [`commands`] what a caller can ask for and ask about.

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

pub use ending::End;
pub use opening::Parameters;
pub use shared::Shared;
pub use transport::Connection;

#[cfg(test)]
mod tests;
