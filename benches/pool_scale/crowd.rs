//! The peers of a pool, on a thread of their own: each is connected to several relays, and has a route to the pool.

use std::sync::mpsc::{self, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, SecretKey};

/// The connections that are started at once: few enough for the relays' backlogs.
const BATCH: usize = 100;

pub struct Crowd {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Crowd {
    /// Connects each peer to its relays. Returns when all are connected.
    pub fn connect(pool: PublicKey, peers: &[SecretKey], ties: &[Vec<usize>], relays: &[Relay]) -> Self {
        let mut targets = Vec::new();
        for (peer, ties) in peers.iter().zip(ties) {
            targets.extend(ties.iter().map(|relay| relays[*relay].clone().identity(peer.clone())));
        }
        let (end, ended) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut client = Client::new(Config::new(SecretKey::generate())).expect("a poller");
            let mut events = Events::with_capacity(1024);
            for batch in targets.chunks(BATCH) {
                for target in batch {
                    client.connect(target.clone()).expect("a connection that begins");
                }
                let mut missing = batch.len();
                while missing > 0 {
                    missing -= poll(&mut client, &mut events, pool);
                }
            }
            ready.send(()).expect("someone who waits");
            while ended.try_recv() == Err(TryRecvError::Empty) {
                poll(&mut client, &mut events, pool);
            }
        });
        is_ready.recv().expect("a crowd that connects");
        Self { end, thread }
    }

    pub fn end(self) {
        drop(self.end);
        self.thread.join().expect("a crowd that works");
    }
}

/// Returns how many connections are new.
fn poll(client: &mut Client, events: &mut Events, pool: PublicKey) -> usize {
    let mut new = 0;
    client.poll(events, Some(Duration::from_millis(200))).expect("a poller that works");
    for event in &*events {
        match event {
            Event::Connected { connection, .. } => {
                client.open_route(connection, pool).expect("a new route");
                new += 1;
            }
            Event::Disconnected { reason, .. } => panic!("a peer was disconnected: {reason}"),
            _ => {}
        }
    }
    new
}

/// Raises the limit of descriptors.
#[cfg(unix)]
pub fn descriptors(needed: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Some(maximum.unwrap_or(u64::MAX).min(needed as u64));
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum }).expect("a limit within the maximum");
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn descriptors(_: usize) {}
