//! A simulation: the cores of many clients, many relays, and the network between them, on virtual time and from one
//! seed.
//!
//! The network splits and merges bytes anywhere, delays, stalls, cuts and half-closes connections. Relays restart, which
//! forgets all routes, answer late, read slowly, or flood their clients. Clients open, close and reopen routes, send all
//! kinds of packets, poll seldom, or stop polling for a minute. What may have happened is known from both ends of each
//! connection, and checked at every step:
//!
//! - what a relay receives of a client is what the client accepted for sending, in order, with nothing missing but what
//!   was queued for a route that was closed meanwhile; and an honest relay never finds fault with it;
//! - pongs answer the relay's pings in their order; what becomes of requests and notifications, both ends agree on at
//!   the end (the model of the fuzz targets foretells each of them);
//! - data arrive in order, at most once, whole, from the peer that sent them, and on a route that is online;
//! - `Connected` comes once and first; a connection ends for a reason that the simulation gave it;
//! - the names of routes are never used again; bounds hold;
//! - at the end, when the network is quiet, both ends of each connection agree on every route, and when all are closed,
//!   nothing is left of them.
//!
//! A seed that fails is printed, and replays exactly: `cargo run --release -p simulation -- SEED`.

mod chance;
mod link;
mod relay;
mod simulation;
mod user;

pub use simulation::Simulation;
pub use user::Census;
