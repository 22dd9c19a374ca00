//! The client: many connections on one poller. Its public methods are in [`interface`] (those that return its state),
//! [`commands`] (those that do something), [`liveness`] (those that ask whether relays answer) and [`settings`].
//!
//! Below them, each file uses only those after it: [`event_loop`] polls and gives each connection its turn, [`notices`]
//! keeps events that are not reported yet, [`table`] holds the connections, [`slot`] is one of them with its socket,
//! [`timers`] holds their deadlines, [`socket`] sets socket options that differ between operating systems, [`waker`]
//! ends a wait from another thread.

mod commands;
mod event_loop;
mod interface;
mod keys;
mod liveness;
mod notices;
mod settings;
mod slot;
mod socket;
mod table;
mod timers;
mod waker;

pub use interface::Client;
pub use waker::Waker;
