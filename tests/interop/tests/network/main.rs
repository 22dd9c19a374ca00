//! Bad networks: two connections of our client to a real `tox-bootstrapd`, through a [`line`] that delays or loses
//! packets, has low bandwidth, or is unplugged.
//!
//! Each test creates two network namespaces, so it needs root (`unshare --map-root-user --net` is enough) and
//! `/dev/net/tun`. Without these, the tests print that they are skipped.

mod bottleneck;
mod bulk;
mod cable;
mod delay;
mod direction;
mod driver;
mod line;
mod loss;
mod namespace;
mod route;
mod testbed;
