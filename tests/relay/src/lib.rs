//! A Tox TCP relay for tests, demos and benches: complete, on one thread, and able to misbehave.
//!
//! It is written from the protocol document alone, with a crypto library and no code of the client, so that a mistake
//! of the client cannot be repeated here and remain undetected.
//!
//! There are three ways to use it:
//!
//! - [`Relay`] runs a whole relay on a thread of its own, on a real socket. [`Conduct`] is how it
//!   treats its clients.
//! - [`switch::Switch`] is the same relay without sockets, for a simulation in virtual time.
//! - [`session`] is one connection of it, byte by byte, for a test with a scripted relay.
//!
//! The path of a byte: [`Relay`] starts the loop (`server`). The loop reads from a `connection`; `handshake` answers
//! its hello, and its [`session`] decrypts its packets. The [`switch`] takes the plaintexts and fills an [`outbox`],
//! whose packets the loop queues for the connections.
//!
//! ```
//! use tox_test_relay::{Conduct, Options, Relay};
//!
//! let relay = Relay::start(Options { conduct: Conduct::NoPong, ..Options::default() })?;
//! println!("connect to {} with the key {:02X?}", relay.addr(), relay.public_key());
//! # Ok::<(), std::io::Error>(())
//! ```

mod command;
mod conduct;
mod connection;
mod handshake;
pub mod kind;
pub mod outbox;
mod reason;
mod relay;
mod routes;
mod server;
pub mod session;
mod statistics;
pub mod switch;

pub use conduct::Conduct;
pub use reason::Reason;
pub use relay::{Options, Relay};
pub use statistics::Statistics;
