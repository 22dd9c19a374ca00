//! What users of `tox-relay load` see, with the program itself, on loopback. Nothing here depends on how fast the
//! machine is: targets of latency are either never met or always.

#![cfg(unix)]

mod formats;
mod forwarder;
mod interrupts;
mod program;
mod proxies;
mod relays;
mod safety;
mod searches;
