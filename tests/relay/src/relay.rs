//! The handle on a relay that runs on its own thread.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mio::{Interest, Poll, Waker, net::TcpListener};

use crate::{
    command::{Action, Command, Wait},
    conduct::Conduct,
    handshake::Responder,
    server::{LISTENER, Server, WAKER},
    session::{Key, MAC_LENGTH},
    statistics::Statistics,
    switch::Rules,
};

/// The options of a relay.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; by default any free port of 127.0.0.1.
    pub address: SocketAddr,
    /// The long-term secret key; by default `None`, which creates a new one. A relay with the key and the address of an
    /// older one is the same relay for clients.
    pub secret_key: Option<Key>,
    /// How to treat the first clients; by default honestly.
    pub conduct: Conduct,
    /// Times and abilities; by default those of the protocol document, with a DHT node.
    pub rules: Rules,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            secret_key: None,
            conduct: Conduct::Honest,
            rules: Rules::default(),
        }
    }
}

/// A relay that runs on a thread of its own, until this is dropped.
///
/// Every call has taken effect when it returns.
///
/// A client is identified by the public key in its hello. If several connections have the same key, the newest is used.
/// The calls return `false` if there is none.
///
/// # Panics
///
/// All calls panic if the relay's thread has ended, which only a bug in it, or a failed poller, can cause.
pub struct Relay {
    address: SocketAddr,
    public_key: Key,
    waker: Waker,
    /// `None` only while this is dropped. The thread ends when this channel is closed.
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the system cannot create a poller or a thread.
    pub fn start(options: Options) -> io::Result<Self> {
        let mut listener = TcpListener::bind(options.address)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (commands, inbox) = mpsc::channel();

        let responder = Responder::new(options.secret_key.unwrap_or_else(rand::random));
        let public_key = responder.public_key();
        let server = Server::new(poll, listener, inbox, responder, options.conduct, options.rules);
        let thread = thread::Builder::new().name("relay".into()).spawn(|| server.run())?;
        Ok(Self { address, public_key, waker, commands: Some(commands), thread: Some(thread) })
    }

    /// Where the relay listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The relay's long-term public key.
    pub fn public_key(&self) -> Key {
        self.public_key
    }

    /// Changes how new connections are treated. Existing ones are not affected.
    pub fn set_conduct(&self, conduct: Conduct) {
        self.request(|done| Command::SetConduct { conduct, done });
    }

    /// What the relay has counted up to now.
    pub fn statistics(&self) -> Statistics {
        self.request(|answer| Command::Statistics { answer })
    }

    /// Waits until the statistics fulfil `condition`, and returns them, so that tests need not
    /// sleep. `None` if they do not within `timeout`.
    ///
    /// The condition is checked after each turn of the relay's loop. A state that begins and ends
    /// within one turn is missed.
    pub fn wait_until(
        &self,
        timeout: Duration,
        condition: impl Fn(&Statistics) -> bool + Send + 'static,
    ) -> Option<Statistics> {
        let (met, answer) = mpsc::channel();
        let until = Instant::now() + timeout;
        self.send_command(Command::Wait(Wait { condition: Box::new(condition), met, until }));
        answer.recv_timeout(timeout).ok()
    }

    /// Encrypts a plaintext, which may be invalid, and sends it to a client, however much is queued for the client.
    /// Also returns `false` if the handshake of the client is not complete.
    ///
    /// # Panics
    ///
    /// If the plaintext is too long even for an invalid packet.
    pub fn send(&self, key: &Key, plaintext: &[u8]) -> bool {
        assert!(
            MAC_LENGTH + plaintext.len() <= usize::from(u16::MAX),
            "too long for the length field of a packet"
        );
        self.act(key, Action::Send(plaintext.to_vec()))
    }

    /// Sends bytes to a client as they are, without encryption.
    pub fn send_raw(&self, key: &Key, bytes: &[u8]) -> bool {
        self.act(key, Action::SendRaw(bytes.to_vec()))
    }

    /// Closes a client's connection cleanly, after everything that is queued for it.
    pub fn close(&self, key: &Key) -> bool {
        self.act(key, Action::Close)
    }

    /// Resets a client's connection. What is in flight is lost.
    pub fn reset(&self, key: &Key) -> bool {
        self.act(key, Action::Reset)
    }

    /// Stops reading from a client: the socket fills up, and the end of its stream is not noticed.
    pub fn stop_reading(&self, key: &Key) -> bool {
        self.act(key, Action::StopReading)
    }

    /// Reads from a client again, beginning with all that it has sent meanwhile.
    pub fn resume_reading(&self, key: &Key) -> bool {
        self.act(key, Action::ResumeReading)
    }

    fn act(&self, key: &Key, action: Action) -> bool {
        self.request(|done| Command::Act { key: *key, action, done })
    }

    /// Sends a command to the thread and waits for the answer.
    fn request<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> T {
        let (answer, answers) = mpsc::channel();
        self.send_command(command(answer));
        answers.recv().expect("the relay's thread has ended")
    }

    fn send_command(&self, command: Command) {
        let commands = self.commands.as_ref().expect("there until this is dropped");
        commands.send(command).expect("the relay's thread has ended");
        self.waker.wake().expect("a waker fails only if its poller does");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.commands = None;
        let woken = self.waker.wake().is_ok();
        let thread = self.thread.take().filter(|_| woken);
        // A thread that has panicked has reported it; a second panic here would only hide that.
        let _ = thread.map(JoinHandle::join);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("address", &self.address).finish_non_exhaustive()
    }
}
