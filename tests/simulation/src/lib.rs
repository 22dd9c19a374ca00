//! A simulation: the cores of many clients, many relays, and the network between them, on virtual time and from one
//! seed.
//!
//! The network splits and merges bytes anywhere, delays, stalls, cuts and half-closes connections. Relays restart,
//! which forgets all routes, answer late, read slowly, or flood their clients. Clients open, close and reopen routes,
//! send all kinds of packets, poll rarely, or stop polling for a minute; some addresses of a relay lead to nobody, to
//! another server or to an attacker who replays a hello; networks change. The simulation sees both ends of each
//! connection, and checks at every step:
//!
//! - a relay receives from a client exactly what the client accepted for sending, in order, except what was queued for
//!   a route that was closed meanwhile; and an honest relay never drops the client for an invalid packet;
//! - pongs answer the relay's pings in their order; both ends agree at the end about the result of requests and
//!   notifications (the model of the fuzz targets predicts each of them);
//! - data arrive whole, in order, at most once, from the peer that sent them, and on a route that is online;
//! - `Connected` comes once and first; a connection ends for a reason that the simulation gave it;
//! - ids of routes are never reused; bounds hold;
//! - at the end, when the network is quiet, both ends of each connection agree on every route, and when all are closed,
//!   nothing is left of them.
//!
//! A seed that fails is printed, and can be replayed exactly: `cargo run --release -p simulation -- SEED`.

mod endpoint;
pub mod flow;
mod link;
mod relay;
mod rng;
mod simulation;
mod user;

pub use simulation::Simulation;
pub use user::Totals;
