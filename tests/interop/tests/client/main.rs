//! The client of this project against a real `tox-bootstrapd`, with itself and with the C client on
//! the other side of a route.
//!
//! All of it is one test program, so that the minute and more of `idle` runs beside everything else.

mod backpressure;
mod c_end;
mod closing;
mod connecting;
mod driver;
mod exchange;
mod idle;
mod limits;
mod onion;
mod presence;
mod proxies;
mod throttle;
