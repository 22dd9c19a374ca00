//! The client: its life, and its poll.

mod connections;
mod routes;
mod settings;

use std::ffi::c_int;
use std::time::Duration;

use tox_relay_client::{Client, Event, Events};

use crate::config::trc_config;
use crate::error::trc_error;
use crate::event::{Ended, trc_event};
use crate::handle::{Handle, free, handles, run, value};
use crate::pointer;
use crate::waker::trc_waker;

/// A client of many relays.
///
/// Only `trc_client_poll` waits, and no longer than its timeout; all other functions return at once. Packets are queued
/// until the next poll or `trc_client_flush`, or until the queue is nearly full. A connection has at most 240 routes; a
/// client has as many connections as the process may have descriptors.
pub struct trc_client(Handle<ClientState>);

handles!(trc_client: ClientState);

pub struct ClientState {
    pub(crate) client: Client,
    events: Events,
    /// How many of the events were returned.
    returned: usize,
    /// The ends among the events that were returned. Boxed: the program has pointers to them.
    #[allow(clippy::vec_box, reason = "they must not move")]
    ended: Vec<Box<Ended>>,
}

impl ClientState {
    fn next_event(&mut self) -> Option<trc_event> {
        let event = self.events.iter().nth(self.returned)?;
        self.returned += 1;
        let (event, ended) = trc_event::new(event);
        self.ended.extend(ended);
        Some(event)
    }

    /// The final status of a connection that has ended, if the last poll has reported it.
    fn ended(&self, connection: u64) -> Option<&tox_relay_client::ConnectionStatus> {
        self.events.iter().find_map(|event| match event {
            Event::Disconnected { status, connection: id, .. } if id == connection.into() => Some(status),
            _ => None,
        })
    }
}

/// A timeout of poll(2): `None` if it is negative.
pub(crate) fn timeout(milliseconds: c_int) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// The time as a timeout of poll(2), rounded up, so that a wait does not end too early and is repeated. -1 for none.
pub(crate) fn milliseconds(time: Option<Duration>) -> c_int {
    time.map_or(-1, |time| c_int::try_from(time.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX))
}

/// Creates a client with these settings, which are copied. Writes it to `*client`: free it with `trc_client_free`.
///
/// A client belongs to the process that created it: after a fork, only one of the two may use it, and the other must not
/// even free it.
///
/// Errors: `TRC_ERROR_IO`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_new(config: *const trc_config, client: *mut *mut trc_client) -> trc_error {
    run(config, |config| {
        let place = pointer::out(client)?;
        let events = Events::with_capacity(config.events);
        let client = Client::new(config.config.clone())?;
        place.write(trc_client::new(ClientState { client, events, returned: 0, ended: Vec::new() }));
        Ok(())
    })
}

/// Ends all connections, after what the sockets take at once, and frees the client. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_free(client: *mut trc_client) {
    free(client);
}

/// Writes the client's public key to `public_key` (32 bytes).
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_public_key(client: *const trc_client, public_key: *mut u8) -> trc_error {
    run(client, |state| Ok(pointer::write_key(public_key, state.client.public_key().as_bytes())?))
}

/// Reads, writes, connects, and handles deadlines. Waits until there is an event, a waker is used, or the timeout has
/// passed: so many milliseconds; 0 does not wait; a negative number waits without a limit. A signal ends the wait
/// without an event and without an error, and it may return earlier for other reasons. Then call
/// `trc_client_next_event` until it returns false: events that were not returned are lost at the next poll.
///
/// A program that calls this late loses nothing: what has arrived is read before timeouts are checked, and time in which a
/// connection had unread input is not counted against its relay, up to ten times the timeout.
///
/// Errors: `TRC_ERROR_IO`, which is not expected. A connection that fails is no error of this function: DISCONNECTED
/// reports it.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_poll(client: *mut trc_client, timeout_ms: c_int) -> trc_error {
    run(client, |state| {
        state.returned = 0;
        state.ended.clear();
        Ok(state.client.poll(&mut state.events, timeout(timeout_ms))?)
    })
}

/// Writes the next event of the last poll to `*event`, and returns true; false if there is none (or a pointer is NULL).
/// Events are in the order in which they happened.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_next_event(client: *mut trc_client, event: *mut trc_event) -> bool {
    let next = value(client, |state| {
        let place = pointer::out(event)?;
        Ok(state.next_event().map(|event| place.write(event)).is_some())
    });
    next.unwrap_or(false)
}

/// Writes what is queued, as far as the sockets accept it without waiting. Each poll does it, too.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_flush(client: *mut trc_client) -> trc_error {
    run(client, |state| {
        state.client.flush();
        Ok(())
    })
}

/// How long a main loop may sleep before it polls again, in milliseconds, if no descriptor becomes readable meanwhile;
/// -1 if there is no deadline. A toxcore-style loop polls with a timeout of 0, and sleeps so long, or for its own
/// interval if that is shorter. 0 if `client` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_next_timeout(client: *const trc_client) -> c_int {
    value(client, |state| Ok(milliseconds(state.client.next_timeout()))).unwrap_or(0)
}

/// A descriptor for poll(2), epoll, GLib or libuv: when it is readable, or `trc_client_next_timeout` has passed, poll
/// with a timeout of 0. It belongs to the client: do not read it or close it. -1 on systems other than Unix, and if
/// `client` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_descriptor(client: *const trc_client) -> c_int {
    #[cfg(unix)]
    let descriptor = |state: &mut ClientState| Ok(std::os::fd::AsRawFd::as_raw_fd(&state.client));
    #[cfg(not(unix))]
    let descriptor = |_: &mut ClientState| Ok(-1);
    value(client, descriptor).unwrap_or(-1)
}

/// Creates a handle with which another thread can end the wait of a poll, and writes it to `*waker`: free it with
/// `trc_waker_free`, before or after the client.
#[unsafe(no_mangle)]
pub extern "C" fn trc_client_waker(client: *const trc_client, waker: *mut *mut trc_waker) -> trc_error {
    run(client, |state| {
        pointer::out(waker)?.write(trc_waker::new(state.client.waker()));
        Ok(())
    })
}
