//! The TCP relay client of the [Tox](https://tox.chat) protocol: thousands of relay connections on one thread.
//!
//! Two people who can't reach each other directly both keep a TCP connection to a relay, and the relay passes packets
//! between them. This library keeps such connections. It is synchronous and poll-based: it starts no threads, has no
//! runtime, and does nothing but in calls of the one thread that owns the [`Client`].
//!
//! ```
//! use std::time::Duration;
//! use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, SecretKey};
//!
//! # let embedded = tox_test_relay::Relay::start(Default::default())?;
//! # let (address, relay_public_key) = (embedded.addr(), PublicKey::from(embedded.public_key()));
//! # let friend_secret = SecretKey::generate();
//! # let friend = friend_secret.public_key();
//! # let secret_key = SecretKey::generate();
//! # let myself = secret_key.public_key();
//! # std::thread::spawn(move || {
//! #     let mut client = Client::new(Config::new(friend_secret)).unwrap();
//! #     client.connect(Relay::new(address, relay_public_key)).unwrap();
//! #     let mut events = Events::with_capacity(16);
//! #     loop {
//! #         client.poll(&mut events, None).unwrap();
//! #         for event in &events {
//! #             match event {
//! #                 Event::Connected { relay } => drop(client.open_route(relay, myself).unwrap()),
//! #                 Event::Data { route, data, .. } => client.send_data(route, data).unwrap(),
//! #                 _ => {}
//! #             }
//! #         }
//! #     }
//! # });
//! let mut client = Client::new(Config::new(secret_key))?;
//! let relay = client.connect(Relay::new(address, relay_public_key))?; // returns at once
//! let mut events = Events::with_capacity(256);
//! 'running: loop {
//!     client.poll(&mut events, Some(Duration::from_millis(50)))?; // the only call that may wait
//!     for event in &events {
//!         match event {
//!             Event::Connected { relay } => {
//!                 if let Err(error) = client.open_route(relay, friend) {
//!                     println!("no route: {error}"); // the relay may be gone again: `Disconnected` follows
//!                 }
//!             }
//!             Event::RouteOnline { route, .. } => {
//!                 if let Err(error) = client.send_data(route, b"hello") {
//!                     println!("not sent: {error}"); // the friend may be gone again already
//!                 }
//!             }
//!             Event::Data { peer, data, .. } => {
//!                 println!("{peer}: {data:?}"); // a slice of `events`, nothing was allocated for it
//! #               assert_eq!((peer, data), (friend, &b"hello"[..]));
//! #               break 'running;
//!             }
//!             Event::Disconnected { reason, .. } => {
//!                 println!("the relay is gone: {reason}"); // told exactly once
//!                 break 'running;
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! # assert!(client.relay(relay).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it is used
//!
//! - **In a main loop of its own**: as above, with the timeout that suits the rest of the program, or none. A
//!   [`Waker`] ends the wait from another thread.
//! - **In a toxcore-style loop**: call [`Client::poll`] with a timeout of zero, and sleep for [`Client::next_timeout`] or
//!   the program's own interval, whichever is shorter.
//! - **In a foreign poller** (epoll, GLib, libuv): on Unix the client is `AsFd`. Wait until its descriptor is readable or
//!   [`Client::next_timeout`] has passed, then call [`Client::poll`] with a timeout of zero.
//!
//! What is sent waits in a queue until the next [`Client::poll`] or [`Client::flush`], so that many packets leave in one
//! system call.
//!
//! # What is promised
//!
//! - Nothing blocks but [`Client::poll`], and that only as long as it is told. No resolver is asked: a relay's address is
//!   an IP address, or a name that a [`Proxy`] resolves. What is told to use a proxy never goes around it.
//! - [`Event::Connected`] means that the relay has proved to hold its secret key in this very connection. A recorded
//!   handshake or our own bytes sent back prove nothing.
//! - Each connection ends with exactly one [`Event::Disconnected`] that says why; what arrived before the end stands in
//!   front of it.
//! - An id that has become stale ([`RelayId`], [`RouteId`]) is an error and never somebody else's connection.
//! - Routing requests, disconnect notifications, pings and pongs are never dropped and leave before data. Data, OOB, onion
//!   and forward packets wait in a bounded queue, in which routes take turns: whoever has used up its share gets
//!   [`SendError::WouldBlock`], and [`Event::Writable`] tells when there is room.
//! - Whatever a relay does, a connection holds no more than the bounds that stand at [`Client`].
//! - Keys are wiped when they are done with, and don't appear in `Debug` output, logs or errors.
//!
//! # Logging
//!
//! Through the [`log`](https://docs.rs/log) crate: beginnings and ends of connections at `debug`, steps between them at
//! `trace`, and `warn` for what should never happen. Nothing is logged for a packet.

#![deny(unsafe_code)] // crypto/kernel.rs says why it may
#![cfg_attr(feature = "internals", deny(unreachable_pub), allow(missing_docs, clippy::new_without_default))]
// What `internals` shows of the core is `pub`. Without that feature nobody can reach it; with it, it needs no documentation,
// since it isn't for users. So each of these two lints checks one of the two builds.

mod address;
mod client;
mod config;
mod connection;
mod crypto;
mod error;
mod event;
mod id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod key;
mod phrase;
mod proxy;
mod stage;
mod status;
mod timer;
mod wire;

pub use address::{Address, AddressError};
pub use client::{Client, Waker};
pub use config::{Config, Destination, Proxy, ProxyConfigError, Relay};
pub use error::{
    ConnectError, DisconnectReason, Hint, Impostor, ProxyError, RouteError, SendError, Server, Violation,
};
pub use event::{Event, Events, Iter};
pub use id::{RelayId, RouteId};
pub use key::{KEY_LEN, KeyError, PublicKey, SecretKey};
pub use phrase::Phrase;
/// The crate whose addresses an [`Address`] can be made of.
pub use socks;
pub use stage::{Party, Stage};
pub use status::{ConnectTimes, RelayStatus, RouteState, RouteStatus, Traffic};

/// The core is not shown to users.
///
/// ```compile_fail,E0432
/// use tox_relay_client::internals;
/// ```
#[cfg(all(doctest, not(feature = "internals")))]
struct InternalsAreHidden;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
