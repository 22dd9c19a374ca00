//! The client: many connections on one poller. A caller sees [`interface`], with what can be asked, and [`commands`], with
//! what can be done.
//!
//! Below them, each file uses only those after it: [`event_loop`] polls and gives each connection its turn, [`notices`]
//! keeps what is to be reported, [`table`] holds the connections, [`slot`] is one of them with its socket, [`timers`]
//! their deadlines, [`socket`] what differs between operating systems, [`waker`] what other threads need.

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
