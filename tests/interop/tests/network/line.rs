//! A line between two network namespaces: a thread that passes IP packets from one TUN device to the other, with the
//! given quality. (Linux can do that itself, with `tc netem`, but not every kernel is built with it.)

use std::io::{self, PipeReader, PipeWriter};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::SyncDevice;

use crate::direction::{Direction, Quality};

/// Larger than any packet on a TUN device, whose MTU is 1500.
const MAX_PACKET: usize = 2048;

/// The seed of both directions. (The times at which packets arrive depend on the machine, so no two runs are exactly
/// the same.)
const SEED: u64 = 20_240_229;

/// The line. Dropping it ends its thread.
pub struct Line {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    /// Dropping it ends the thread.
    end: Option<PipeWriter>,
}

struct State {
    /// The time during which the cable is unplugged.
    unplugged: Mutex<Range<Instant>>,
    lost: AtomicU64,
}

/// The two ends, and the quality of the direction that begins at each.
pub type Ends = [(SyncDevice, Quality); 2];

impl Line {
    pub fn new(ends: Ends) -> io::Result<Self> {
        let now = Instant::now();
        let state = Arc::new(State { unplugged: Mutex::new(now..now), lost: AtomicU64::new(0) });
        let (ended, end) = io::pipe()?;
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new().name("line".to_owned());
        let thread = thread.spawn(move || transfer_packets(&ends, &shared, &ended))?;
        Ok(Self { state, thread: Some(thread), end: Some(end) })
    }

    /// Unplugs the cable for some time: packets sent in this time are lost. Returns the time at which it is plugged in
    /// again.
    pub fn unplug(&self, from: Instant, time: Duration) -> Instant {
        *self.state.unplugged.lock().unwrap() = from..from + time;
        from + time
    }

    /// The number of packets that were lost in both directions.
    pub fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end = None;
        let outcome = self.thread.take().map(JoinHandle::join);
        assert!(
            !matches!(outcome, Some(Err(_))) || thread::panicking(),
            "the thread of the line has panicked"
        );
    }
}

fn transfer_packets(ends: &Ends, state: &State, ended: &PipeReader) {
    let now = Instant::now();
    let [(near, there), (far, back)] = ends;
    let mut directions =
        [(near, far, Direction::new(*there, SEED, now)), (far, near, Direction::new(*back, !SEED, now))];
    let mut buffer = [0; MAX_PACKET];
    while !wait(ends, ended, directions.iter().filter_map(|(.., direction)| direction.next_arrival()).min()) {
        for (from, to, direction) in &mut directions {
            while let Some(packet) = read(from, &mut buffer) {
                let now = Instant::now();
                let unplugged = state.unplugged.lock().unwrap().contains(&now);
                if unplugged || !direction.send(now, packet) {
                    state.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            while let Some(packet) = direction.receive(Instant::now()) {
                to.send(&packet).unwrap();
            }
        }
    }
}

/// Waits until a packet can be read from a device, or the next one in flight arrives. Returns whether the line was
/// dropped.
fn wait(ends: &Ends, ended: &PipeReader, next_arrival: Option<Instant>) -> bool {
    let timeout = match next_arrival.map(|arrival| arrival.saturating_duration_since(Instant::now())) {
        None => PollTimeout::NONE,
        Some(Duration::ZERO) => PollTimeout::ZERO,
        // `poll` takes whole milliseconds. One is added, since without it a shorter time would become zero.
        Some(time) => PollTimeout::try_from(time + Duration::from_millis(1)).unwrap(),
    };
    let [near, far] = ends.each_ref().map(|(device, _)| PollFd::new(device.as_fd(), PollFlags::POLLIN));
    let mut sources = [near, far, PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
    match poll(&mut sources, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => panic!("{error}"),
    }
    sources[2].any().unwrap_or_default()
}

fn read<'a>(device: &SyncDevice, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    match device.recv(buffer) {
        Ok(length) => Some(&buffer[..length]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}
