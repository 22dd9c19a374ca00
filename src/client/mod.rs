//! The client: many connections on one poller. Its type and the methods that return its state are in [`interface`], and
//! the other public methods in [`commands`].
//!
//! These two use the files below, and each of those uses only files after it in this list: [`event_loop`] polls and
//! gives each connection its turn, [`notices`] keeps events that are not reported yet, [`table`] holds the connections,
//! [`slot`] is one of them with its socket, [`timers`] holds their deadlines, [`socket`] sets socket options that
//! differ between operating systems, [`keys`] checks keys and creates random values, [`waker`] ends a wait from another
//! thread.

mod commands;
mod event_loop;
mod interface;
mod keys;
mod notices;
mod slot;
mod socket;
mod table;
mod timers;
mod waker;

pub use interface::Client;
pub use waker::Waker;
