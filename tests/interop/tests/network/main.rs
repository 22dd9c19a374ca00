//! The real thing under a bad network: two clients of ours and a real `tox-bootstrapd`, with a [`line`] between them that
//! delays, loses, is narrow or has its cable pulled.
//!
//! Each test has two network namespaces of its own, so it takes root (`unshare --map-root-user --net` makes one) and
//! `/dev/net/tun`. Where that isn't to be had, the tests say so and are left out.

mod bottleneck;
mod cable;
mod delay;
mod direction;
mod driver;
mod line;
mod loss;
mod namespace;
mod testbed;
