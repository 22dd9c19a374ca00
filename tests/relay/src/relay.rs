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
    command::{Command, Deed, Wait},
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
    /// Where to listen. 127.0.0.1, any free port.
    pub address: SocketAddr,
    /// The long-term secret key; `None` creates a new one. With the key and the address of an older
    /// relay, clients see the new one as the same relay.
    pub secret_key: Option<Key>,
    /// How to treat the first clients. Honestly.
    pub conduct: Conduct,
    /// Times and abilities: those of the protocol document, with DHT part.
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
/// A client is named by its public key, which the relay knows as soon as its hello has come. Where
/// several connections have said the same key, the newest is meant. The calls return `false` where
/// there is none.
///
/// # Panics
///
/// All calls panic when the relay's thread has died, which only a mistake in it can bring about.
pub struct Relay {
    address: SocketAddr,
    public_key: Key,
    waker: Waker,
    /// `None` only while being dropped: that it closes tells the thread to end.
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, or the system cannot create a poller or a thread.
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

    /// Changes how connections are treated from now on. Those that exist keep their treatment.
    pub fn set_conduct(&self, conduct: Conduct) {
        self.ask(|done| Command::SetConduct { conduct, done });
    }

    /// What the relay has counted up to now.
    pub fn statistics(&self) -> Statistics {
        self.ask(|answer| Command::Statistics { answer })
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
        self.tell(Command::Wait(Wait { condition: Box::new(condition), met, until }));
        answer.recv_timeout(timeout).ok()
    }

    /// Seals a plaintext and sends it to a client, legal or not, however much waits for the client.
    /// Returns `false` also when the client has not come past the handshake.
    ///
    /// # Panics
    ///
    /// When the plaintext does not fit even an illegal packet.
    pub fn send(&self, key: &Key, plaintext: &[u8]) -> bool {
        assert!(MAC_LENGTH + plaintext.len() <= usize::from(u16::MAX), "this cannot be sealed");
        self.act(key, Deed::Send(plaintext.to_vec()))
    }

    /// Puts bytes on the stream to a client as they are.
    pub fn send_raw(&self, key: &Key, bytes: &[u8]) -> bool {
        self.act(key, Deed::SendRaw(bytes.to_vec()))
    }

    /// Closes a client's connection cleanly, after everything that is queued for it.
    pub fn close(&self, key: &Key) -> bool {
        self.act(key, Deed::Close)
    }

    /// Resets a client's connection. What was in flight is lost.
    pub fn reset(&self, key: &Key) -> bool {
        self.act(key, Deed::Reset)
    }

    /// Stops reading from a client: its socket fills up, and its end is not noticed.
    pub fn stop_reading(&self, key: &Key) -> bool {
        self.act(key, Deed::StopReading)
    }

    /// Reads from a client again, beginning with all that it has sent meanwhile.
    pub fn resume_reading(&self, key: &Key) -> bool {
        self.act(key, Deed::ResumeReading)
    }

    fn act(&self, key: &Key, deed: Deed) -> bool {
        self.ask(|done| Command::Do { key: *key, deed, done })
    }

    /// Sends a command to the thread and waits for the answer.
    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> T {
        let (answer, answers) = mpsc::channel();
        self.tell(command(answer));
        answers.recv().expect("the relay's thread has died")
    }

    fn tell(&self, command: Command) {
        let commands = self.commands.as_ref().expect("only dropping takes this");
        commands.send(command).expect("the relay's thread has died");
        self.waker.wake().expect("a waker only fails with its poller");
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
