//! A bad network: two clients of ours and a real `tox-bootstrapd`, with a [`line`] between them that delays or loses
//! packets, has low bandwidth, or is unplugged.
//!
//! Each test has two network namespaces of its own, so it needs root (`unshare --map-root-user --net` is enough) and
//! `/dev/net/tun`. Without these, the tests print that they are left out.

mod bottleneck;
mod cable;
mod delay;
mod direction;
mod driver;
mod line;
mod loss;
mod namespace;
mod route;
mod testbed;
