//! The TCP relay client of the Tox protocol.
#![cfg_attr(not(test), forbid(unsafe_code))]

mod client;
mod config;
mod connection;
mod crypto;
mod error;
mod event;
mod id;
mod key;
mod status;
mod timer;
mod wire;

pub use client::Client;
pub use config::{Config, Destination, Relay};
pub use error::{ConnectError, DisconnectReason, Impostor, RouteError, SendError, Stage, Violation};
pub use event::{Event, Events, Iter};
pub use id::{RelayId, RouteId};
pub use key::{KeyError, PublicKey, SecretKey};
pub use socks;
pub use status::{ConnectTimes, RelayStatus, RouteState, RouteStatus, Traffic};
