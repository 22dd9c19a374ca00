//! The loop: one thread, one poller, all connections.
//!
//! In one turn the loop reads what has arrived, lets the switch route it, and queues the answers for
//! each connection. They are written only at the end of the turn, so that a connection costs one
//! system call per turn, however many packets it gets.

mod control;
mod incoming;
mod outgoing;

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    mem,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, net::TcpListener};
use slab::Slab;

use crate::{
    command::{Command, Wait},
    conduct::Conduct,
    connection::{Connection, Stage},
    handshake::Responder,
    outbox::{ClientId, Outbox},
    session::Key,
    statistics::Statistics,
    switch::{Rules, Switch},
};

pub(crate) const LISTENER: Token = Token(usize::MAX);
pub(crate) const WAKER: Token = Token(usize::MAX - 1);

/// The most events that one poll returns.
const EVENTS: usize = 1024;
/// The most bytes that one read takes.
const READ_LENGTH: usize = 64 * 1024;
/// The longest time between two checks of all connections: pings are at most this late.
const MAX_SWEEP: Duration = Duration::from_secs(1);
/// The shortest time, for tests with short timeouts.
const MIN_SWEEP: Duration = Duration::from_millis(1);
/// How long a client may take to close a connection that the relay has ended.
const CLOSING_TIME: Duration = Duration::from_secs(10);

/// Everything that the relay's thread owns. Connections, clients and tokens share their numbers.
pub(crate) struct Server {
    poll: Poll,
    listener: TcpListener,
    commands: mpsc::Receiver<Command>,
    waits: Vec<Wait>,
    conduct: Arc<Conduct>,
    responder: Responder,
    switch: Switch,
    outbox: Outbox,
    connections: Slab<Connection>,
    /// The newest connection with each key.
    by_key: HashMap<Key, ClientId>,
    /// Connections that may have unread input. The poller reports it only once.
    unread: Vec<ClientId>,
    /// Connections that have something to write.
    dirty: Vec<ClientId>,
    statistics: Statistics,
    sweep_every: Duration,
    buffer: Box<[u8]>,
}

impl Server {
    pub fn new(
        poll: Poll,
        listener: TcpListener,
        commands: mpsc::Receiver<Command>,
        responder: Responder,
        conduct: Conduct,
        rules: Rules,
    ) -> Self {
        Self {
            poll,
            listener,
            commands,
            waits: Vec::new(),
            conduct: Arc::new(conduct),
            responder,
            switch: Switch::new(rules),
            outbox: Outbox::new(),
            connections: Slab::new(),
            by_key: HashMap::new(),
            unread: Vec::new(),
            dirty: Vec::new(),
            statistics: Statistics::default(),
            // Often enough for the short times in tests.
            sweep_every: (rules.ping_every.min(rules.pong_within) / 4).clamp(MIN_SWEEP, MAX_SWEEP),
            buffer: vec![0; READ_LENGTH].into(),
        }
    }

    /// Runs until the handle is dropped.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut next_sweep = Instant::now() + self.sweep_every;
        loop {
            let pause = next_sweep.saturating_duration_since(Instant::now());
            let pause = if self.unread.is_empty() { pause } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(pause)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }

            for id in mem::take(&mut self.unread) {
                self.read(id);
            }
            let (mut has_clients, mut has_commands) = (false, false);
            for event in &events {
                match event.token() {
                    LISTENER => has_clients = true,
                    WAKER => has_commands = true,
                    Token(id) => self.handle_event(id, event),
                }
            }
            // After the other events, since one of them could be for an ended connection whose number is used again.
            // And before the commands, so that a changed conduct does not affect earlier connections.
            if has_clients || has_commands {
                self.accept();
            }
            if has_commands && !self.handle_commands() {
                return Ok(());
            }
            // After reading, so that clients are not dropped because the relay was busy.
            let now = Instant::now();
            if now >= next_sweep {
                self.sweep(now);
                next_sweep = now + self.sweep_every;
            }
            while let Some(id) = self.dirty.pop() {
                self.flush(id);
            }
            self.answer_waiting();
        }
    }

    /// Pings clients, drops those that are late, and removes connections that took too long to close.
    fn sweep(&mut self, now: Instant) {
        self.accept();
        // A ping must not have the number 0.
        self.switch.sweep(now, rand::random::<u64>().max(1), &mut self.outbox);
        self.deliver();
        let is_over = |connection: &Connection| match connection.stage {
            Stage::Closing { since, .. } => now >= since + CLOSING_TIME,
            _ => false,
        };
        let all = self.connections.iter();
        let over: Vec<_> = all.filter(|(_, c)| is_over(c)).map(|(id, _)| id).collect();
        for id in over {
            self.remove(id);
        }
    }
}
