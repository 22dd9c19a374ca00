//! The TCP relay client of the [Tox](https://tox.chat) protocol: thousands of relay connections on one thread.
//!
//! Two people who cannot reach each other directly both connect to a relay by TCP, and the relay passes packets between
//! them. This library keeps such connections. It is synchronous and poll-based: it starts no threads, needs no runtime,
//! and works only inside calls of the thread that owns the [`Client`].
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
//! #                 Event::Connected { connection, .. } => drop(client.open_route(connection, myself).unwrap()),
//! #                 Event::Data { route, data, .. } => client.send_data(route, data).unwrap(),
//! #                 _ => {}
//! #             }
//! #         }
//! #     }
//! # });
//! let mut client = Client::new(Config::new(secret_key))?;
//! let connection = client.connect(Relay::new(address, relay_public_key))?; // returns at once
//! client.open_route(connection, friend)?; // is sent as early as possible
//! let mut events = Events::with_capacity(256);
//! 'running: loop {
//!     client.poll(&mut events, Some(Duration::from_millis(50)))?; // the only call that waits
//!     for event in &events {
//!         match event {
//!             Event::Connected { connection, .. } => {
//!                 println!("{connection} is connected"); // the relay has proved who it is
//!             }
//!             Event::RouteOnline { route, .. } => {
//!                 if let Err(error) = client.send_data(route, b"hello") {
//!                     println!("not sent: {error}"); // the friend may have left already
//!                 }
//!             }
//!             Event::Data { peer, data, .. } => {
//!                 println!("{peer}: {data:?}"); // `data` is a slice of `events`
//! #               assert_eq!((peer, data), (friend, &b"hello"[..]));
//! #               break 'running;
//!             }
//!             Event::Disconnected { reason, .. } => {
//!                 println!("the connection has ended: {reason}"); // exactly once
//!                 break 'running;
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! # assert!(client.connection(connection).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The types
//!
//! | for | types |
//! | --- | --- |
//! | client | [`Client`], made from a [`Config`]; [`Waker`] for other threads; [`Stream`], a socket of the caller's |
//! | relays, peers | [`Relay`] with its [`Address`]; [`SecretKey`], [`PublicKey`]; [`ConnectionId`], [`RouteId`]; [`Destination`] |
//! | events | [`Events`], the buffer of a poll; [`Event`], [`OwnedEvent`], and both as [`EventWith`] |
//! | status | [`ConnectionStatus`] with [`Stage`], [`ConnectTimes`], [`RoundTrips`], [`FailedAttempt`], [`Traffic`]; [`RouteStatus`] with [`RouteState`]; [`TrafficByKind`] |
//! | proxy | [`Proxy`] |
//! | errors of calls | [`ClientError`], [`ConnectError`], [`RouteError`], [`SendError`] |
//! | errors in arguments | [`AddressError`], [`KeyError`], [`ProxyConfigError`], [`SettingError`] |
//! | ends of connections | [`DisconnectReason`] with [`ProxyError`], [`Impostor`], [`Violation`]; [`Fault`] and [`Retry`] |
//! | friends on several relays | the module [`pool`] |
//! | the core, for loops of the caller's own | the module [`proto`] |
//! | helpers | [`Party`], [`Hint`], [`Server`] and [`Phrase`] in reasons; [`Iter`], [`socks`] |
//!
//! # How it is used
//!
//! - **In a main loop of its own**: as above, with any timeout or none. A [`Waker`] ends the wait from another thread.
//! - **In a toxcore-style loop**: call [`Client::poll`] with a timeout of zero, then sleep for [`Client::next_timeout`]
//!   or the program's own interval, whichever is shorter.
//! - **In another poller** (epoll, GLib, libuv): on Unix the client implements `AsFd`. Wait until its descriptor is
//!   readable or [`Client::next_timeout`] has passed, then call [`Client::poll`] with a timeout of zero.
//! - **Without sockets, or with a clock of the program's own** (a virtual network, WebSockets, an async runtime): the
//!   module [`proto`] is the core without IO.
//!
//! Packets are queued until the next [`Client::poll`] or [`Client::flush`], or until the queue is nearly full, so that
//! many packets are sent in one system call. A client does not reconnect, a [`pool`] does: after
//! [`Event::Disconnected`], call [`Client::connect`] again after a pause that grows with each attempt;
//! [`DisconnectReason::retry`] returns whether that may help.
//!
//! The folder `examples` of a checkout has complete programs, which `cargo run --example NAME` starts: [`echo`] is
//! a pool that keeps its key in a file, [`chat`] is for two people, [`main_loop`] runs in a toxcore-style
//! loop and in another poller.
//!
//! [`echo`]: https://docs.rs/crate/tox-relay-client/latest/source/examples/echo.rs
//! [`chat`]: https://docs.rs/crate/tox-relay-client/latest/source/examples/chat/main.rs
//! [`main_loop`]: https://docs.rs/crate/tox-relay-client/latest/source/examples/main_loop.rs
//!
//! # What is promised
//!
//! - Only [`Client::poll`] waits, and no longer than its timeout. Names are not resolved: a relay's address is an IP
//!   address, or a name that a [`Proxy`] resolves. A connection through a proxy never falls back to a direct one.
//! - [`Event::Connected`] means that the relay has proved to hold its secret key in this very connection. A replayed
//!   handshake, or our own bytes sent back, are not a proof.
//! - Routes may be opened and packets sent out of band as soon as [`Client::connect`] has returned: they are sent right
//!   after the handshake response, encrypted for the relay alone. An attacker who replays an old response can read
//!   nothing, and the number of bytes that it gets before it is detected is bounded: see [`Client::open_route`].
//! - Each connection ends with exactly one [`Event::Disconnected`], which gives the reason. What arrived before the end
//!   is reported before it.
//! - A stale id ([`ConnectionId`], [`RouteId`]) is an error and never refers to another connection.
//! - Routing requests, disconnect notifications, pings and pongs are never dropped, and are sent before data. Data,
//!   OOB, onion and forward packets wait in a bounded queue in which routes take turns: a route that has used its share
//!   gets [`SendError::WouldBlock`], and [`Event::Writable`] reports when there is room again.
//! - No more data are sent than the relay is known to bear before it confirms them: see [`Config::window`].
//! - Memory per connection has a bound, whatever a relay does: see [`Client`].
//! - Keys are wiped after use, and do not appear in `Debug` output, logs or errors.
//!
//! A relay can read, change and invent the data that peers send each other. Peers must encrypt and authenticate their
//! data end to end, as Tox does.
//!
//! # Limits
//!
//! | what | bound |
//! | --- | --- |
//! | data packet | 1 to 2031 bytes sent, 0 to 2031 received (Tox sends at most 1400) |
//! | OOB packet; onion request with its nonce; forward request | 1 to 1024; 178 to 1359; 1 to 1792 bytes |
//! | routes per connection; connections per client | 240, as in the protocol; the file descriptors of the process |
//! | read per turn of a connection | 64 KiB, then the next connection has its turn; a poll continues while there is nothing to report and time is left |
//! | events per poll | the capacity of `Events`, shared between the connections that have any |
//! | queued per connection | 128 KiB ([`Config::send_queue`]) and 273 important packets (240 routes, 32 pongs, a ping) |
//! | queued per route | as much as it leaves free: 64 KiB if it sends alone, a third of the queue each if two send |
//! | handed to the kernel and not sent yet | 64 KiB on Linux and Android; elsewhere 256 KiB may be unacknowledged (2.6 MB/s with a round trip of 100 ms) |
//! | sent and not confirmed by the relay | 16 KiB to 47,000 bytes of data; up to 16 MiB if the relay reads at once ([`Config::window`]) |
//! | ends not reported yet | one for each connection that has ended since the last poll: 500 bytes, and up to 400 for each address that has failed |
//! | queued pongs | 32; one more ping of the relay ends the connection |
//! | connecting, proxy and handshake together | 10 s ([`Config::connect_timeout`]) |
//! | ping; its pong | every 30 s; within 10 s ([`Config::ping_interval`], [`Config::pong_timeout`]) |
//! | pong after a changed network | 5 s, or the pong timeout ([`Client::network_changed`]) |
//! | answer of an HTTP proxy | 16 KiB, for each address that is being tried |
//! | user name and password for a proxy; host name of a relay | 255 bytes each |
//! | shared keys kept for the next connection | with 896 relays, wiped with the client |
//!
//! # Types of other crates
//!
//! These are part of the interface; a new incompatible version of such a crate requires one of this crate, too. Other
//! crates that it uses are not visible.
//!
//! | crate | type or trait | where |
//! | --- | --- | --- |
//! | `crypto_box` | `PublicKey`, `SecretKey` | conversions into [`PublicKey`] and [`SecretKey`] |
//! | `socks` | `TargetAddr`, `ToTargetAddr` | exported as [`socks`]; conversions from and into [`Address`] |
//! | `serde` | `Serialize`, `Deserialize` | with the feature `serde`: [`PublicKey`], [`Address`], [`Relay`], [`pool::Remembered`] |
//!
//! # Logging
//!
//! The library logs through the [`log`](https://docs.rs/log) crate: the start and the end of connections, and socket
//! options that cannot be set, at `debug`; the steps of connecting at `trace`; what should never happen at `warn`.
//! Packets are not logged.
//!
//! # Inside
//!
//! Only `client` uses sockets, and only it and `pool` the clock. `timer`, `connection`, `proxy`, `crypto` and `wire`
//! get bytes, times and random numbers as arguments, so tests run them in virtual time. Each module imports only from
//! those after it in this list.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`pool`] | several relays for each peer: a plan without IO, and its driver on the client |
//! | `client` | the poll loop over all sockets, a table of connections, and the timer that wakes them |
//! | `timer` | a timer wheel: one deadline per connection |
//! | `connection` | one relay connection: opening, routes, queues, pings, deadlines; public as [`proto`] |
//! | `proxy` | the exchange with a SOCKS or HTTP proxy |
//! | `crypto` | the handshake, and encryption with counted nonces |
//! | `wire` | frames and packets: bytes to values and back |
//! | the others | events, advice, statuses, errors, settings, keys, ids and addresses, which all of them share |
//!
//! - **An opening**: `Client::connect` adds a connection, and `Slot::update_attempts` begins each attempt that is due:
//!   `Connection::begin_attempt`, and a socket for it. The attempt (`connection/opening/attempt.rs`) requests a tunnel
//!   from the proxy, if there is one, sends the hello and reads the response. The first attempt that has a response
//!   becomes the session.
//! - **A received packet**: `Client::poll` (`client/commands.rs`) runs the loop (`client/event_loop.rs`).
//!   `Loop::poll_sockets` asks the poller which sockets are ready, and `Loop::give_turn` reads each of them
//!   (`Buffers::read`). `Connection::receive` (`connection/transport.rs`) passes the bytes to the session
//!   (`connection/session.rs`): `Deframer::next` splits them into frames, `Channel::open` decrypts one, `Packet::parse`
//!   parses it, and `Events::push` copies its data for the caller.
//! - **A sent packet**: `Client::send_data` puts it into the connection's queue (`Outbox::push`). `Loop::flush_all`
//!   calls `Slot::flush` for each connection with output, and `Socket::flush` passes `Connection::flush` a function
//!   that writes. There `Outbox::flush` takes packets by priority, data as far as the window (`connection/window.rs`)
//!   has room, encrypts them with `Sealer::seal`, and writes them.
//! - **A deadline**: after each turn of a connection and each call that changes it, `Loop::update` passes
//!   `Connection::deadline` to the wheel. When the deadline is reached, `Loop::handle_deadlines` calls
//!   `Slot::handle_timeout`, and that calls `Connection::handle_timeout`, which queues a ping or returns why the
//!   connection ends. If the connection waits for a turn at that time, `Loop::give_turn` checks its deadline instead,
//!   after reading.

#![deny(unsafe_code)] // except in crypto/secretbox/lanes.rs, which gives the reason
#![cfg_attr(feature = "internals", deny(unreachable_pub), allow(missing_docs, clippy::new_without_default))]
// What `internals` exports of the core is `pub`, and cannot be reached without that feature. So `unreachable_pub`
// checks only the build with it, and `missing_docs` only the build without it, which is the one for users.

mod address;
mod advice;
mod client;
mod config;
mod connection;
mod crypto;
mod deframer;
mod error;
mod event;
mod events;
mod foreign;
mod id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod key;
mod phrase;
pub mod pool;
pub mod proto;
mod proxy;
mod stage;
mod status;
mod timer;
mod wire;

pub use address::{Address, AddressError};
pub use advice::{Fault, Retry};
pub use client::{Client, Stream, Waker};
pub use config::{Config, Proxy, ProxyConfigError, Relay};
pub use error::{
    ClientError, ConnectError, DisconnectReason, Hint, Impostor, ProxyError, RouteError, SendError, Server,
    SettingError, Violation,
};
pub use event::{Event, EventWith, OwnedEvent};
pub use events::{Events, Iter};
pub use foreign::socks;
pub use id::{ConnectionId, RouteId};
pub use key::{KEY_LEN, KeyError, PublicKey, SecretKey};
pub use phrase::Phrase;
pub use stage::{Party, Stage};
pub use status::{
    ConnectTimes, ConnectionStatus, FailedAttempt, RoundTrips, RouteState, RouteStatus, Traffic,
    TrafficByKind,
};
pub use wire::Destination;

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
