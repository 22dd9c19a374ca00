//! What users of `tox-relay probe` see, with the program itself, on loopback.

mod formats;
mod many;
mod program;
mod proxies;
mod relays;
mod servers;
#[cfg(unix)]
mod terminal;
mod usage;
mod watch;
