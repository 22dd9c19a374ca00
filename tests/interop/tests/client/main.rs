//! Tests of this library with real `tox-bootstrapd`s. The peer at the other end of a route is this library or the C
//! client.
//!
//! It is one test program, so that `idle`, which takes more than a minute, runs in parallel with the rest.

mod backpressure;
mod bulk;
mod c_end;
mod closing;
mod connecting;
mod driver;
mod exchange;
mod failover;
mod idle;
mod limits;
mod onion;
mod presence;
mod proxies;
mod throttle;
