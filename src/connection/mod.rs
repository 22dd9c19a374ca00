//! One relay connection without a socket, a clock or a random source: bytes, times and random numbers are arguments.
//!
//! A connection opens with one or several attempts, each on a transport of its own; the
//! [`AttemptId`](crate::id::AttemptId) in a call says which one it is about. Input is passed to the `handle_*`
//! functions and [`receive`](Connection::receive), [`flush`](Connection::flush) writes output, and what the caller
//! should know is added to [`Events`](crate::events::Events). The driver of a connection (the loop, or a test) calls
//! them in this order:
//!
//! 1. [`begin_attempt`](Connection::begin_attempt) while an attempt [is due](Connection::is_attempt_due); then it
//!    connects a transport for it;
//! 2. [`handle_turn`](Connection::handle_turn) when a turn begins;
//! 3. [`handle_connected`](Connection::handle_connected), once, when a transport is connected, and then
//!    [`receive`](Connection::receive) with the bytes that have arrived;
//! 4. [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) is reached, and after
//!    `receive`, so that an answer that has arrived is never treated as late;
//! 5. [`flush`](Connection::flush) while it [`has_output`](Connection::has_output) and the transport has room.
//!
//! After each of them the driver closes the transports of attempts that are not [open](Connection::is_open) any more.
//! If a transport ends, it calls [`handle_end`](Connection::handle_end). If a `flush` fails, it may first read what the
//! relay has sent before. An error of any other function in this list, or of `handle_end`, is final: the connection has
//! ended and must not be used again.
//!
//! Each function passes its input to the current state of the connection: an [`Opening`](opening::Opening), from the
//! first transport to the handshake response, and then a [`Session`](session::Session). [`Common`](common::Common)
//! contains what both states use. [`transport`] has the functions above, and [`commands`] those for the requests of
//! a caller and for the state of the connection.

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
