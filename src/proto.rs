//! The core: one relay connection without a socket, a clock or a random source, for loops other than
//! [`Client`](crate::Client).
//!
//! Use it where connections are not sockets that mio can wait for (a virtual network, WebSockets, an async runtime), or
//! where time is simulated. `Client` is a loop around the same type, and most programs need nothing else.
//!
//! # Driving a connection
//!
//! Whoever owns a [`Connection`] is its driver. Bytes, times and random numbers go in as arguments; bytes come out of
//! [`flush`](Connection::flush), and [`Events`](crate::Events) hold what the program should know. Nothing waits, and no
//! function calls the driver back, except for `flush`, which writes.
//!
//! A connection opens with one attempt for each address of the relay, and each attempt has a transport of its own. A
//! transport is anything that moves a stream of bytes in both directions, in order. The [`AttemptId`] in a call says
//! which transport it is about. The driver calls in this order:
//!
//! 1. [`begin_attempt`](Connection::begin_attempt) while an attempt [is due](Connection::is_attempt_due). It connects a
//!    transport to the address that this returns, or to the [proxy](Connection::proxy).
//! 2. [`handle_connected`](Connection::handle_connected) when that transport is connected.
//! 3. [`handle_turn`](Connection::handle_turn), and then [`receive`](Connection::receive) with the bytes that have
//!    arrived, while there are any.
//! 4. [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) is reached, after
//!    everything that has arrived was read: an answer that has arrived is then never too late.
//! 5. [`flush`](Connection::flush) while the connection [has output](Connection::has_output) and the transport has
//!    room.
//! 6. [`take_writable`](Connection::take_writable) after a flush, if the program waits for room in the send queue.
//!
//! When the first attempt has completed the handshake, the others are over. But if the relay does not prove then that
//! it holds its key, the other addresses have attempts again.
//!
//! After each of these calls, the driver closes the transports of attempts that are not [open](Connection::is_open) any
//! more. When a transport ends, it calls [`handle_end`](Connection::handle_end). The commands of the program
//! ([`open_route`](Connection::open_route), [`send_data`](Connection::send_data) and so on) may be called at any time;
//! they may add output and change the deadline.
//!
//! An error of `receive`, `handle_timeout` or `handle_end` is the reason for which the connection has ended: it is not
//! used again. (`flush` returns the error of the function that writes; the driver passes it to `handle_end`, after it
//! has read what is still there: the relay may have sent the reason.) Events that were added before remain valid. The
//! core adds all events but [`Writable`](crate::Event::Writable) and [`Disconnected`](crate::Event::Disconnected),
//! which the results of `take_writable` and of the functions above stand for.
//!
//! While the [window](crate::Config::window) is full, there is no output for the data that are queued; a pong, which
//! `receive` handles, makes room. Then there are also pings at random moments, so deadlines are closer together.
//!
//! Times must not decrease from call to call. A call that comes late, early or twice does no harm.
//!
//! # Example
//!
//! A driver for one connection on a blocking socket:
//!
//! ```
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::num::NonZeroU64;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use tox_relay_client::proto::{AttemptId, Connection, End, Entropy, KeyPair, Parameters, Shared, SharedKey};
//! use tox_relay_client::{ConnectionId, DisconnectReason, Event, Events, Relay, SecretKey};
//!
//! /// Random bytes, from wherever the program takes those for its keys.
//! fn random<const N: usize>() -> [u8; N] {
//! #     std::array::from_fn(|_| SecretKey::generate().as_bytes()[0])
//! #     /*
//!     ...
//! #     */
//! }
//!
//! /// The id of a ping.
//! fn ping_id() -> NonZeroU64 {
//!     NonZeroU64::new(u64::from_ne_bytes(random())).unwrap_or(NonZeroU64::MIN)
//! }
//!
//! /// Reads what has arrived within `patience`, checks the deadline, and writes.
//! fn turn(
//!     connection: &mut Connection,
//!     mut socket: &TcpStream,
//!     patience: Duration,
//!     shared: &mut Shared,
//!     events: &mut Events,
//! ) -> Result<(), DisconnectReason> {
//!     let first = AttemptId::FIRST; // the relay has one address
//!     let (mut input, mut scratch) = (vec![0; 65_536], vec![0; 65_536]);
//!     let until_deadline = connection.deadline().saturating_duration_since(Instant::now());
//!     let timeout = patience.min(until_deadline).max(Duration::from_millis(1));
//!     socket.set_read_timeout(Some(timeout)).expect("not zero");
//!     match socket.read(&mut input) {
//!         Ok(0) => connection.handle_end(first, End::Closed)?,
//!         Ok(len) => {
//!             // This socket is read as soon as something arrives, and `events` has room for all of it.
//!             let now = Instant::now();
//!             connection.handle_turn(now, first, now);
//!             connection.receive(now, first, &mut input[..len], shared, events)?;
//!         }
//!         Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
//!         Err(error) => connection.handle_end(first, End::from(&error))?,
//!     }
//!     connection.handle_timeout(Instant::now(), false, ping_id())?;
//!     if connection.has_output(first) {
//!         let write = |bytes: &[u8]| socket.write(bytes);
//!         if let Err(error) = connection.flush(Instant::now(), first, ping_id(), shared, &mut scratch, write) {
//!             connection.handle_end(first, End::from(&error))?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! # let embedded = tox_test_relay::Relay::start(Default::default())?;
//! # let (address, relay_key) = (embedded.addr(), embedded.public_key().into());
//! # let friend = SecretKey::generate().public_key();
//! let identity = KeyPair::from(SecretKey::generate());
//! let shared_key = Arc::new(SharedKey::new(&identity, &relay_key)?);
//! let relay = Relay::new(address, relay_key);
//! let parameters = Parameters::new(ConnectionId::from(0), shared_key, &relay, ping_id())?;
//! let mut connection = Connection::new(parameters, Instant::now());
//!
//! let entropy =
//!     Entropy { temporary: SecretKey::generate(), hello_nonce: random(), base_nonce: random() };
//! let (attempt, address) = connection.begin_attempt(Instant::now(), entropy).ok_or("it is due at once")?;
//! let socket = TcpStream::connect(address.socket_addr().ok_or("a name")?)?;
//! connection.handle_connected(Instant::now(), attempt);
//!
//! let route = connection.open_route(friend, 0, 0)?; // may be called before the relay has answered
//! let (mut shared, mut events) = (Shared::new(), Events::with_capacity(8192));
//! 'running: loop {
//!     events.clear();
//!     let end = turn(&mut connection, &socket, Duration::from_millis(50), &mut shared, &mut events);
//!     for event in &events {
//!         match event {
//!             Event::Connected { .. } => println!("the relay has proved who it is"),
//!             Event::RouteOpened { route: opened, .. } => {
//!                 assert_eq!(opened, route);
//!                 break 'running;
//!             }
//!             _ => {}
//!         }
//!     }
//!     end?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::config::Settings;
pub use crate::connection::{Connection, End, MIN_SCRATCH, Parameters, Shared};
pub use crate::crypto::{Entropy, SharedKey};
pub use crate::id::AttemptId;
pub use crate::key::KeyPair;
