//! Two people send each other lines of text through a relay.
//!
//! ```sh
//! cargo run --example chat -- RELAY_ADDRESS RELAY_KEY [PEER_KEY] [--secret FILE] [--proxy URL]
//! ```
//!
//! It prints its own public key, which the other person needs, and sends each line that is typed. `/peer KEY` sets the
//! peer; `/quit` and the end of the input end the program; `//text` sends `/text`. FILE contains the 32 bytes of a
//! secret key (`head -c 32 /dev/urandom > FILE`); without it, each start creates a new key. URL is the URL of a proxy,
//! such as `socks5://127.0.0.1:9050`, which then also resolves the relay's host name.
//!
//! A thread reads the terminal, since not every system can poll one. The main loop reads the thread's channel between
//! polls, and each poll waits at most 50 ms, as in the loops of toxcore. (On Unix, a loop can wait for the client and
//! for other descriptors at once: see `poller` in the example `main_loop`.)

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, io, thread};

use tox_relay_client::{
    Address, Client, Config, ConnectError, ConnectionId, Event, Events, Proxy, PublicKey, Relay, Retry,
    RouteError, SecretKey, SendError, Stage,
};

const USAGE: &str = "usage: chat RELAY_ADDRESS RELAY_KEY [PEER_KEY] [--secret FILE] [--proxy URL]";

/// What `--help` prints after the usage.
const HELP: &str = "
Sends each line that you type to a peer, through a relay, and prints what the peer sends.

  RELAY_ADDRESS  address and port of the relay, such as 127.0.0.1:33445
  RELAY_KEY      public key of the relay
  PEER_KEY       public key of the peer
  --secret FILE  use the secret key in FILE (32 bytes), not a new one
  --proxy URL    connect through this proxy, such as socks5://127.0.0.1:9050
  --help         print this help

While it runs:

  /peer KEY      set the peer, by public key
  /quit          end the program
  //text         send /text";

/// The longest time until a typed line is noticed.
const TICK: Duration = Duration::from_millis(50);

/// The pause before the next attempt to connect. It doubles after each failure, up to the longest, and is reset by a
/// connection that lasted: one that ends at once would otherwise be followed by another at once.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const STABLE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if env::args().skip(1).any(|argument| argument == "--help") {
        println!("{USAGE}\n{HELP}");
        return ExitCode::SUCCESS;
    }
    let chat = match Chat::from_arguments() {
        Ok(chat) => chat,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match chat.run(&read_lines()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns a channel with the lines of standard input, until it ends. The channel is short, so that no input is read
/// long before it can be sent.
fn read_lines() -> Receiver<String> {
    let (sender, receiver) = sync_channel(16);
    thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

struct Chat {
    client: Client,
    address: Address,
    relay_key: PublicKey,
    peer: Option<PublicKey>,
    /// The connection, from its beginning to its end.
    connection: Option<ConnectionId>,
    /// When to connect, while there is no connection; and the next pause.
    connect_at: Instant,
    /// The pause after the next failure.
    pause: Duration,
    /// Whether there was ever a relay that has proved its key.
    was_connected: bool,
    /// A line for which the send queue had no room. No other line is read until it is sent.
    unsent: Option<String>,
}

impl Chat {
    fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut secret_key = SecretKey::generate();
        let mut proxy = None;
        let mut values = Vec::new();
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--secret" {
                let file = arguments.next().ok_or("--secret needs a file")?;
                let bytes = fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
                secret_key = bytes.try_into().map_err(|error| format!("{file}: {error}"))?;
            } else if argument == "--proxy" {
                // The error does not repeat the URL, since it may contain a password.
                proxy = Some(arguments.next().ok_or("--proxy needs a URL")?.parse::<Proxy>()?);
            } else if argument.starts_with('-') {
                return Err(format!("unknown option: {argument}").into());
            } else {
                values.push(argument);
            }
        }
        let (address, relay_key, peer) = match &values[..] {
            [address, relay_key] => (address, relay_key, None),
            [address, relay_key, peer] => (address, relay_key, Some(peer)),
            _ => return Err("the relay's address and key are required".into()),
        };
        let mut config = Config::new(secret_key);
        if let Some(proxy) = proxy {
            config = config.proxy(proxy);
        }
        Ok(Self {
            client: Client::new(config)?,
            address: address.parse().map_err(|error| format!("{address}: {error}"))?,
            relay_key: relay_key.parse().map_err(|error| format!("{relay_key}: {error}"))?,
            peer: peer.map(|peer| peer.parse().map_err(|error| format!("{peer}: {error}"))).transpose()?,
            connection: None,
            connect_at: Instant::now(),
            pause: FIRST_PAUSE,
            was_connected: false,
            unsent: None,
        })
    }

    fn run(mut self, lines: &Receiver<String>) -> Result<(), Box<dyn Error>> {
        println!("* Your public key is {}", self.client.public_key());
        if self.peer.is_none() {
            println!("* No peer is set. Set one with /peer KEY");
        }
        let mut events = Events::with_capacity(64);
        let mut timeout = TICK;
        loop {
            if self.connection.is_none() && self.connect_at <= Instant::now() {
                self.connect()?;
            }
            self.client.poll(&mut events, Some(timeout))?;
            for event in &events {
                self.handle_event(event);
            }
            self.send_unsent();
            timeout = TICK;
            if self.unsent.is_none() {
                match lines.try_recv() {
                    Ok(line) if line.split_whitespace().next() == Some("/quit") => return self.leave(),
                    Ok(line) => self.handle_line(&line)?,
                    Err(TryRecvError::Empty) => continue,
                    Err(TryRecvError::Disconnected) => return self.leave(),
                }
                timeout = Duration::ZERO; // the next line may have been read already
            }
        }
    }

    fn connect(&mut self) -> Result<(), ConnectError> {
        match self.client.connect(Relay::new(&self.address, self.relay_key)) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.open_route();
            }
            Err(error) if error.retry() == Retry::Ask => return Err(error),
            Err(error) => self.pause(&error), // the network may be down
        }
        Ok(())
    }

    fn pause(&mut self, reason: &dyn fmt::Display) {
        println!("* Not connected: {reason}. Next attempt in {:?}", self.pause);
        self.connection = None;
        self.connect_at = Instant::now() + self.pause;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    fn handle_event(&mut self, event: Event<'_>) {
        match event {
            Event::Connected { .. } => {
                println!("* Connected to the relay");
                self.was_connected = true;
            }
            // A person is here, and decides how long it goes on.
            Event::Disconnected { reason, status, .. } => {
                if status.connected_at.is_some_and(|at| at.elapsed() >= STABLE) {
                    self.pause = FIRST_PAUSE;
                }
                self.pause(&reason);
            }
            Event::RouteRefused { peer, .. } => println!("* The relay refused a route to {peer:.8}"),
            Event::RouteOnline { peer, .. } => println!("* {peer:.8} is online"),
            Event::RouteOffline { peer, unsent: 0, .. } => println!("* {peer:.8} is offline"),
            Event::RouteOffline { peer, unsent, .. } => {
                println!("* {peer:.8} is offline; {unsent} bytes were not sent");
            }
            Event::Data { peer: sender, data, .. } | Event::Oob { sender, data, .. } => {
                // Control characters in received data must not reach the terminal.
                let text = String::from_utf8_lossy(data).replace(char::is_control, "\u{fffd}");
                let note = if self.peer == Some(sender) { "" } else { " (not your peer)" };
                println!("{sender:.8}{note}: {text}");
            }
            _ => {} // `Writable` needs no handling: the main loop tries the unsent line again after each poll
        }
    }

    /// Opens a route to the peer, if a peer is set and there is a connection.
    fn open_route(&mut self) {
        if let (Some(connection), Some(peer)) = (self.connection, self.peer) {
            match self.client.open_route(connection, peer) {
                Ok(_) => println!("* Waiting for {peer:.8}"),
                // The route is opened with the next connection.
                Err(RouteError::UnknownConnection) => {}
                Err(error) => println!("* No route to {peer:.8}: {error}"),
            }
        }
    }

    fn close_route(&mut self) -> Result<(), RouteError> {
        let peer = self.connection.zip(self.peer);
        match peer.and_then(|(connection, peer)| self.client.find_route(connection, &peer)) {
            Some(route) => self.client.close_route(route).map(drop),
            None => Ok(()),
        }
    }

    fn handle_line(&mut self, line: &str) -> Result<(), RouteError> {
        let text = match line.strip_prefix('/') {
            None => line,
            Some(text) if text.starts_with('/') => text, // `//text` sends `/text`
            Some(command) => return self.handle_command(command),
        };
        if !text.is_empty() {
            self.unsent = Some(text.to_owned());
            self.send_unsent();
        }
        Ok(())
    }

    /// Handles a command other than `/quit`, without its `/`.
    fn handle_command(&mut self, command: &str) -> Result<(), RouteError> {
        match command.split_once(char::is_whitespace).unwrap_or((command, "")) {
            ("peer", key) => match key.trim().parse() {
                Ok(peer) => {
                    self.close_route()?;
                    self.peer = Some(peer);
                    self.open_route();
                }
                Err(error) => println!("* /peer KEY: {error}"),
            },
            (name, _) => {
                println!(
                    "* Unknown command /{name}. Use /peer KEY or /quit, or // to send a line that begins with /"
                );
            }
        }
        Ok(())
    }

    /// Sends the unsent line: as data if the peer is online, otherwise out of band.
    fn send_unsent(&mut self) {
        let Some(text) = &self.unsent else { return };
        // Before that, it would be accepted, and lost if the relay does not answer.
        let is_connected = |id: &ConnectionId| self.client.stage(*id) == Some(Stage::Connected);
        match (self.connection.filter(is_connected), self.peer) {
            (None, _) => println!("* Not sent: not connected to the relay"),
            (_, None) => println!("* Not sent: no peer is set. Set one with /peer KEY"),
            (Some(connection), Some(peer)) => match self.client.send_to(connection, peer, text.as_bytes()) {
                Ok(()) => {}
                Err(SendError::WouldBlock) => return, // tried again after the next poll
                Err(error) => println!("* Not sent: {error}"),
            },
        }
        self.unsent = None;
    }

    /// Waits up to two seconds until everything is sent, then closes the route. The relay reports a closed route to the
    /// peer at once, but may need 40 s to notice a closed connection.
    fn leave(mut self) -> Result<(), Box<dyn Error>> {
        if !self.was_connected {
            return Err("it was never connected to the relay".into());
        }
        let Some(connection) = self.connection else { return Ok(()) };
        let until = Instant::now() + Duration::from_secs(2);
        let mut events = Events::with_capacity(64);
        while self.client.has_drained(connection) == Some(false) && Instant::now() < until {
            self.client.poll(&mut events, Some(TICK))?;
        }
        self.close_route()?;
        self.client.disconnect(connection);
        Ok(())
    }
}
