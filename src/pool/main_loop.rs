//! What a main loop calls.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use crate::client::{Waker, in_milliseconds};
use crate::pool::events::PoolEvents;
use crate::pool::interface::Pool;

impl Pool {
    /// Reads, writes, connects, and handles deadlines, as [`Client::poll`](crate::Client::poll) does: until there is
    /// something to report, the timeout is over, or the [waker](Self::waker) is used. The events replace those of the last
    /// poll.
    ///
    /// # Errors
    ///
    /// Those of [`Client::poll`](crate::Client::poll).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::pool::PoolEvents;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// loop {
    ///     pool.poll(&mut events, Some(Duration::from_millis(20)))?; // the rest of the program must run, too
    ///     for event in &events {
    ///         println!("{event:?}");
    ///     }
    ///     # break;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&mut self, events: &mut PoolEvents, timeout: Option<Duration>) -> io::Result<()> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        events.records.clear();
        loop {
            let begun = Instant::now();
            // After a long absence, what has arrived is read first, and then it is judged who is late.
            if !self.plan.is_late(begun) {
                self.act(begun);
            }
            self.report_notices(&mut events.records);
            let left = match events.records.is_empty() {
                true => end.map(|end| end.saturating_duration_since(begun)),
                false => Some(Duration::ZERO),
            };
            let wait = [left, self.own_timeout(begun)].into_iter().flatten().min();
            self.client.poll(&mut events.of_client, wait)?;
            let now = Instant::now();
            self.handle_all(now, events);
            self.act(now);
            self.report_notices(&mut events.records);
            self.client.flush();
            let was_woken = events.of_client.is_empty() && wait.is_none_or(|wait| now - begun < wait);
            if !events.records.is_empty() || was_woken || end.is_some_and(|end| end <= now) {
                return Ok(());
            }
        }
    }

    /// Writes what is queued: see [`Client::flush`](crate::Client::flush).
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolSendError;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// pool.send(friend, b"hello")?;
    /// pool.send(friend, b"how are you?")?;
    /// pool.flush(); // both in one write, and without waiting for the next poll
    /// # assert_eq!(pool.client().all_drained(), true);
    /// # Ok::<(), PoolSendError>(())
    /// ```
    pub fn flush(&mut self) {
        self.client.flush();
    }

    /// How long a main loop may sleep before it calls [`poll`](Self::poll), in whole milliseconds, rounded up: see
    /// [`Client::next_timeout`](crate::Client::next_timeout).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (pool, _) = shared::pool();
    /// let own_interval = Duration::from_millis(20); // the rest of the program
    /// let pause = pool.next_timeout().unwrap_or(own_interval).min(own_interval);
    /// std::thread::sleep(pause);
    /// ```
    pub fn next_timeout(&self) -> Option<Duration> {
        let own = self.own_timeout(Instant::now()).map(in_milliseconds);
        [self.client.next_timeout(), own].into_iter().flatten().min()
    }

    /// The network has changed: relays must answer soon, and those that have failed are tried at once. Attempts that are
    /// under way begin anew, and up to 16 may begin at once; but if this was called in the last 32 s, attempts go on, and
    /// no more than otherwise may begin. See [`Client::network_changed`](crate::Client::network_changed).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tox_relay_client::pool::PoolEvents;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// pool.network_changed(); // the system has reported that the telephone has gone from Wi-Fi to mobile data
    /// pool.poll(&mut events, Some(Duration::ZERO))?; // asks the relays, and connects others, at once
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn network_changed(&mut self) {
        self.client.network_changed();
        let now = Instant::now();
        self.plan.handle_network_changed(now);
        self.act(now);
    }

    /// A handle with which another thread can end the wait of a poll: see [`Client::waker`](crate::Client::waker).
    ///
    /// ```
    /// # use tox_relay_client::pool::PoolEvents;
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, _) = shared::pool();
    /// # let mut events = PoolEvents::with_capacity(256);
    /// let waker = pool.waker();
    /// let thread = std::thread::spawn(move || waker.wake());
    /// pool.poll(&mut events, None)?; // returns when the thread has called `wake`
    /// # thread.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waker(&self) -> Waker {
        self.client.waker()
    }

    /// Closes all connections, after what the sockets take at once. Returns how many bytes of data were not sent.
    ///
    /// ```
    /// # mod shared { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/documentation.rs")); }
    /// # let (mut pool, friend) = shared::pool();
    /// pool.send(friend, b"goodbye")?;
    /// let unsent = pool.close();
    /// if unsent > 0 {
    ///     println!("{unsent} bytes were not sent"); // poll before, while `Client::all_drained` returns false
    /// }
    /// # assert_eq!(unsent, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(mut self) -> usize {
        self.client.flush();
        let queued = |connection| self.client.connection(connection).map_or(0, |status| status.queued);
        let unsent = self.client.connections().map(queued).sum();
        self.client.disconnect_all();
        unsent
    }
}

/// The descriptor of the poller of its [`Client`](crate::Client), for another poller: see there.
#[cfg(unix)]
impl AsFd for Pool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

/// The same as [`AsFd`].
#[cfg(unix)]
impl AsRawFd for Pool {
    fn as_raw_fd(&self) -> RawFd {
        self.client.as_raw_fd()
    }
}
