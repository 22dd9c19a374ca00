//! The client: many connections on one poller. Its public methods are in [`interface`] (those that return its state),
//! [`commands`] and [`exchange`] (those that do something), [`liveness`] (those that find out whether relays answer)
//! and [`settings`].
//!
//! Below them, each file uses only those after it: [`event_loop`] polls and gives each connection its turn, [`notices`]
//! keeps events that are not reported yet, [`table`] contains the connections, [`buffers`] are shared by them, [`slot`]
//! is one connection with its [`sockets`], [`socket`] is one of these, [`stream`] hides what differs between operating
//! systems, [`timers`] contains the deadlines, [`keys`] creates random values, [`waker`] ends a wait from another
//! thread.

mod buffers;
mod commands;
mod event_loop;
mod exchange;
mod interface;
mod keys;
mod liveness;
mod notices;
mod settings;
mod slot;
mod socket;
mod sockets;
mod stream;
mod table;
mod timers;
mod waker;

pub use interface::Client;
pub use stream::Stream;
pub(crate) use timers::in_milliseconds;
pub use waker::Waker;
