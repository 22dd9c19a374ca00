//! The pool: its life, and its poll.

mod exchange;
mod members;
mod memory;
mod settings;
mod status;

use std::borrow::Cow;
use std::ffi::c_int;

use tox_relay_client::pool::{AddRelayError, Pool, PoolEvent, PoolEvents};
use tox_relay_client::{ConnectionStatus, PublicKey};

use crate::client::{milliseconds, timeout};
use crate::config::trc_config;
use crate::error::trc_error;
use crate::event::Ended;
use crate::handle::{Handle, close, free, handles, run, value};
use crate::pointer;
use crate::pool_event::trc_pool_event;
use crate::status::{trc_connection_status, trc_failed_attempt, trc_traffic_by_kind};
use crate::waker::trc_waker;

/// A pool: each peer is reached through several relays, and to the program it looks like one connection.
///
/// Add relays, by the hundred if there are so many, and peers, and tie to each peer the relays on which it is thought to
/// be: those that the peer has named. The pool keeps three of them connected for each peer, with routes open, sends data
/// by the fastest, and moves to the next when that one ends or falls silent. It connects again by itself.
///
/// Which relays are connected:
///
/// - Three for each peer that is awake, or as many as are tied to it: the fewest relays that give every peer its three,
///   and of those the ones with the best score (`trc_relay_status`). A peer has at most six routes
///   (`trc_pool_set_relays_per_peer`). Three relays are connected even if there is no peer; `trc_pool_set_onion_relays`
///   asks for more. In all there are at most 128 (`trc_pool_set_max_connections`); a relay has at most 240 routes, and one
///   that is full is passed over.
/// - If more relays are wanted than may be connected, each peer gets one before any gets its second.
/// - A peer that stays offline on the relays that are connected for it is looked for on its others: at most four are tried
///   at a time, and then the pauses between rounds grow from a minute to four hours.
/// - A relay without which nothing would be missing is disconnected after 10 s, or up to a minute later, when all is sent
///   that was queued there. A route that is online is given up only if the peer is online on three others.
/// - A relay that fails is tried again when it is needed, after 1 s, and then pauses that are 1.6 times as long each,
///   up to 120 s, give or take a fifth; after an hour, if another try hardly helps (`trc_retry`). This is forgotten
///   when it was connected for a minute. If no relay at all is connected, it is our own network: then no relay is
///   blamed, not even for what failed in the 40 s before, and all are tried again as soon as one of them works.
///   Another address of a relay, another proxy and another network end the pauses.
/// - At most 16 attempts begin at once, and one every two seconds in the long run.
/// - A peer adds at most 24 relays, with 4 addresses each, and none in a local network (`trc_origin`); the user and lists
///   add 4096.
///
/// One relay at a time carries the data to a peer, so their order is kept. It changes when the relay ends, is silent (5 s
/// after data were sent, in which nothing was heard), is full, loses data according to `trc_pool_report`, or another one
/// was faster by a third for a minute; PEER_MOVED reports it. Around a change, data may be lost, and data by the new relay
/// may overtake those by the old. Nothing is sent twice, and no numbers are added to the packets.
///
/// The pings of all relays leave together, so an idle pool wakes up its device for these and their pongs, and for what
/// relays send.
pub struct trc_pool(Handle<PoolState>);

handles!(trc_pool: PoolState);

pub struct PoolState {
    pub(crate) pool: Pool,
    events: PoolEvents,
    /// How many of the events were returned.
    returned: usize,
    /// The ends among the events that were returned. Boxed: the program has pointers to them.
    #[allow(clippy::vec_box, reason = "they must not move")]
    ended: Vec<Box<Ended>>,
    /// What was not recalled since the last poll.
    not_recalled: Vec<(PublicKey, AddRelayError)>,
}

impl PoolState {
    fn next_event(&mut self) -> Option<trc_pool_event> {
        let event = self.events.get(self.returned)?;
        self.returned += 1;
        let (event, ended) = trc_pool_event::new(event);
        self.ended.extend(ended);
        Some(event)
    }

    /// The status of the connection to a relay, or its final one, if the last poll has reported its end.
    fn connection(&self, relay: u64) -> Result<Cow<'_, ConnectionStatus>, trc_error> {
        let known = self.pool.relay(relay.into());
        let connection = known.as_ref().and_then(|known| known.connection);
        if let Some(status) = connection.and_then(|connection| self.pool.client().connection(connection)) {
            return Ok(Cow::Owned(status));
        }
        let ended = self.events.iter().filter_map(|event| match event {
            PoolEvent::RelayDown { relay: id, status, .. } if id == relay.into() => Some(status),
            _ => None,
        });
        let missing = if known.is_some() { trc_error::Unreachable } else { trc_error::UnknownRelay };
        ended.last().map(Cow::Borrowed).ok_or(missing)
    }
}

/// Creates a pool with these settings, which are copied. Writes it to `*pool`: free it with `trc_pool_free`. What
/// `trc_client_new` says about forks holds for pools, too.
///
/// Errors: `TRC_ERROR_IO`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_new(config: *const trc_config, pool: *mut *mut trc_pool) -> trc_error {
    run(config, |config| {
        let place = pointer::out(pool)?;
        let events = PoolEvents::with_capacity(config.events);
        let pool = Pool::new(config.config.clone())?;
        let (ended, not_recalled) = (Vec::new(), Vec::new());
        place.write(trc_pool::new(PoolState { pool, events, returned: 0, ended, not_recalled }));
        Ok(())
    })
}

/// Ends all connections, after what the sockets take at once, and frees the pool. NULL is allowed. `trc_pool_close` returns
/// how much was not sent.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_free(pool: *mut trc_pool) {
    free(pool);
}

/// Ends all connections, after what the sockets take at once, and frees the pool, as `trc_pool_free` does. Writes how many
/// bytes of data were accepted and not sent to `*unsent`. (`unsent` may be NULL.)
///
/// Errors: `TRC_ERROR_BUSY`. Then the pool is not freed.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_close(pool: *mut trc_pool, unsent: *mut usize) -> trc_error {
    close(pool, |state: PoolState| {
        let bytes = state.pool.close();
        if let Ok(place) = pointer::out(unsent) {
            place.write(bytes);
        }
        Ok(())
    })
}

/// Writes the pool's public key, under which it is known to relays, to `public_key` (32 bytes).
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_public_key(pool: *const trc_pool, public_key: *mut u8) -> trc_error {
    run(pool, |state| Ok(pointer::write_key(public_key, state.pool.public_key().as_bytes())?))
}

/// Reads, writes, connects, and handles deadlines: until there is an event, a waker is used, or the timeout has passed. See
/// `trc_client_poll`. Then call `trc_pool_next_event` until it returns false.
///
/// Errors: `TRC_ERROR_IO`, which is not expected.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_poll(pool: *mut trc_pool, timeout_ms: c_int) -> trc_error {
    run(pool, |state| {
        state.returned = 0;
        state.ended.clear();
        state.not_recalled = Vec::new();
        Ok(state.pool.poll(&mut state.events, timeout(timeout_ms))?)
    })
}

/// Writes the next event of the last poll to `*event`, and returns true; false if there is none (or a pointer is NULL).
/// Events are in the order in which they happened.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_next_event(pool: *mut trc_pool, event: *mut trc_pool_event) -> bool {
    let next = value(pool, |state| {
        let place = pointer::out(event)?;
        Ok(state.next_event().map(|event| place.write(event)).is_some())
    });
    next.unwrap_or(false)
}

/// Writes what is queued, as far as the sockets accept it without waiting. Each poll does it, too.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_flush(pool: *mut trc_pool) -> trc_error {
    run(pool, |state| {
        state.pool.flush();
        Ok(())
    })
}

/// How long a main loop may sleep before it polls again, in milliseconds; -1 if there is no deadline: see
/// `trc_client_next_timeout`. 0 if `pool` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_next_timeout(pool: *const trc_pool) -> c_int {
    value(pool, |state| Ok(milliseconds(state.pool.next_timeout()))).unwrap_or(0)
}

/// A descriptor for poll(2), epoll, GLib or libuv: see `trc_client_descriptor`. -1 on systems other than Unix, and if
/// `pool` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_descriptor(pool: *const trc_pool) -> c_int {
    #[cfg(unix)]
    let descriptor =
        |state: &mut PoolState| Ok(std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&state.pool)));
    #[cfg(not(unix))]
    let descriptor = |_: &mut PoolState| Ok(-1);
    value(pool, descriptor).unwrap_or(-1)
}

/// Creates a handle with which another thread can end the wait of a poll, and writes it to `*waker`: free it with
/// `trc_waker_free`, before or after the pool.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_waker(pool: *const trc_pool, waker: *mut *mut trc_waker) -> trc_error {
    run(pool, |state| {
        pointer::out(waker)?.write(trc_waker::new(state.pool.waker()));
        Ok(())
    })
}

/// Whether everything that was accepted was written to the sockets.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_all_drained(pool: *const trc_pool) -> bool {
    value(pool, |state| Ok(state.pool.client().all_drained())).unwrap_or(true)
}

/// Writes what all connections have sent and received to `*traffic`.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_traffic(pool: *const trc_pool, traffic: *mut trc_traffic_by_kind) -> trc_error {
    run(pool, |state| {
        pointer::out(traffic)?.write(state.pool.client().traffic().into());
        Ok(())
    })
}

/// Writes the status of the connection to a relay to `*status`; until the next poll also the final one of a connection
/// whose end the last poll has reported. Its token is the relay's id.
///
/// Errors: `TRC_ERROR_UNKNOWN_RELAY`; `TRC_ERROR_UNREACHABLE` if there is no connection to it.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_connection(
    pool: *const trc_pool,
    relay: u64,
    status: *mut trc_connection_status,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(status)?;
        place.write((&*state.connection(relay)?).into());
        Ok(())
    })
}

/// Writes one of the attempts that have failed, in this order from 0, to `*attempt`: for the same connections as
/// `trc_pool_connection`, whose status has their number.
///
/// Errors: those of `trc_pool_connection`; `TRC_ERROR_ARGUMENT` if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn trc_pool_failed_attempt(
    pool: *const trc_pool,
    relay: u64,
    index: usize,
    attempt: *mut trc_failed_attempt,
) -> trc_error {
    run(pool, |state| {
        let place = pointer::out(attempt)?;
        let status = state.connection(relay)?;
        place.write(status.failed_attempts.get(index).ok_or(trc_error::Argument)?.into());
        Ok(())
    })
}
