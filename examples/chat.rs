//! Two people talk through a relay, line by line.
//!
//! ```sh
//! cargo run --example chat -- RELAY_ADDRESS RELAY_KEY [PEER_KEY] [--secret FILE] [--proxy URL]
//! ```
//!
//! It prints its own public key, which the other person needs, and sends each line that is typed. `/peer KEY` sets the
//! peer; `/quit` and the end of the input end the program. FILE holds the 32 bytes of a secret key
//! (`head -c 32 /dev/urandom > FILE`); without it, each start creates a new key. URL is that of a proxy, such as
//! `socks5://127.0.0.1:9050`, which then also resolves the relay's host name.
//!
//! A thread reads the terminal, since not every system can poll one. The main loop reads the thread's channel between
//! polls, and each poll waits at most 50 ms, as in the loops of toxcore. (On Unix a loop can wait for the client and for
//! something else at once: see the second half of the example `main_loop`.)

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, io, thread};

use tox_relay_client::{
    Address, Client, Config, ConnectError, Event, Events, Proxy, PublicKey, Relay, RelayId, RouteError,
    SecretKey, SendError,
};

const USAGE: &str = "usage: chat RELAY_ADDRESS RELAY_KEY [PEER_KEY] [--secret FILE] [--proxy URL]";

/// The longest time until a typed line is noticed.
const TICK: Duration = Duration::from_millis(50);

/// The pause before connecting again to a lost relay. It doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
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

/// The lines of standard input, until it ends. The channel is short, so that input is not read before it can be sent.
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
    relay: Option<RelayId>,
    /// When to connect, while there is no connection; and the next pause.
    connect_at: Instant,
    pause: Duration,
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
                let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| format!("{file}: not 32 bytes"))?;
                secret_key = bytes.into();
            } else if argument == "--proxy" {
                // The error does not repeat the URL, since it may contain a password.
                proxy = Some(arguments.next().ok_or("--proxy needs a URL")?.parse::<Proxy>()?);
            } else if argument.starts_with('-') {
                return Err(format!("there is no option {argument}").into());
            } else {
                values.push(argument);
            }
        }
        let (address, relay_key, peer) = match &values[..] {
            [address, relay_key] => (address, relay_key, None),
            [address, relay_key, peer] => (address, relay_key, Some(peer)),
            _ => return Err("the relay's address and key are needed".into()),
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
            relay: None,
            connect_at: Instant::now(),
            pause: FIRST_PAUSE,
            unsent: None,
        })
    }

    fn run(mut self, lines: &Receiver<String>) -> Result<(), Box<dyn Error>> {
        println!("* Your key is {}", self.client.public_key());
        if self.peer.is_none() {
            println!("* Whom do you want to talk to? Say it with /peer KEY");
        }
        let mut events = Events::with_capacity(64);
        let mut timeout = TICK;
        loop {
            if self.relay.is_none() && self.connect_at <= Instant::now() {
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
                    Ok(line) if line.trim() == "/quit" => return self.leave(),
                    Ok(line) => self.handle_line(line)?,
                    Err(TryRecvError::Empty) => continue,
                    Err(TryRecvError::Disconnected) => return self.leave(),
                }
                timeout = Duration::ZERO; // the next line may be there already
            }
        }
    }

    fn connect(&mut self) -> Result<(), ConnectError> {
        match self.client.connect(Relay::new(self.address.clone(), self.relay_key)) {
            Ok(relay) => self.relay = Some(relay),
            Err(ConnectError::Io(error)) => self.pause(&error), // the network may be down
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn pause(&mut self, reason: &dyn fmt::Display) {
        println!("* No relay: {reason}. Trying again in {:?}", self.pause);
        self.relay = None;
        self.connect_at = Instant::now() + self.pause;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    fn handle_event(&mut self, event: Event<'_>) {
        match event {
            Event::Connected { .. } => {
                println!("* Connected to the relay");
                self.pause = FIRST_PAUSE;
                self.open_route();
            }
            Event::Disconnected { reason, .. } => self.pause(&reason),
            Event::RouteRefused { peer, .. } => println!("* The relay gives no route to {peer:.8}"),
            Event::RouteOnline { peer, .. } => println!("* {peer:.8} is online"),
            Event::RouteOffline { peer, unsent: 0, .. } => println!("* {peer:.8} is offline"),
            Event::RouteOffline { peer, unsent, .. } => {
                println!("* {peer:.8} is offline; {unsent} bytes were not sent");
            }
            Event::Data { peer: sender, data, .. } | Event::Oob { sender, data, .. } => {
                // What others send must not control the terminal.
                let text = String::from_utf8_lossy(data).replace(char::is_control, "\u{fffd}");
                let stranger = if self.peer == Some(sender) { "" } else { " (a stranger)" };
                println!("{sender:.8}{stranger}: {text}");
            }
            _ => {} // `Writable` has ended the poll, and the unsent line is tried again anyway
        }
    }

    /// Opens a route to the peer, if there are both a peer and a relay.
    fn open_route(&mut self) {
        if let (Some(relay), Some(peer)) = (self.relay, self.peer) {
            match self.client.open_route(relay, peer) {
                Ok(_) => println!("* Waiting for {peer:.8}"),
                // The route is opened with the next connection.
                Err(RouteError::UnknownRelay) => {}
                Err(error) => println!("* No route to {peer:.8}: {error}"),
            }
        }
    }

    fn close_route(&mut self) -> Result<(), RouteError> {
        let peer = self.relay.zip(self.peer);
        match peer.and_then(|(relay, peer)| self.client.find_route(relay, &peer)) {
            Some(route) => self.client.close_route(route).map(drop),
            None => Ok(()),
        }
    }

    fn handle_line(&mut self, line: String) -> Result<(), RouteError> {
        match line.strip_prefix("/peer").map(|key| key.trim().parse()) {
            Some(Ok(peer)) => {
                self.close_route()?;
                self.peer = Some(peer);
                self.open_route();
            }
            Some(Err(error)) => println!("* /peer KEY: {error}"),
            None if line.is_empty() => {}
            None => {
                self.unsent = Some(line);
                self.send_unsent();
            }
        }
        Ok(())
    }

    /// Sends what was typed: as data if the peer is online, otherwise out of band.
    fn send_unsent(&mut self) {
        let Some(text) = &self.unsent else { return };
        match self.relay.zip(self.peer).map(|(relay, peer)| self.client.send_to(relay, peer, text.as_bytes()))
        {
            Some(Err(SendError::WouldBlock)) => return, // `Writable` ends a later poll
            Some(Err(error)) => println!("* Not sent: {error}"),
            Some(Ok(())) => {}
            None if self.relay.is_none() => println!("* Not sent: there is no relay now"),
            None => println!("* Not sent: there is nobody to talk to; /peer KEY says who"),
        }
        self.unsent = None;
    }

    /// Waits up to two seconds until everything is sent, and closes the route: the relay reports a closed route to the
    /// peer at once, but may need 40 s to notice that a connection is gone.
    fn leave(mut self) -> Result<(), Box<dyn Error>> {
        let Some(relay) = self.relay else { return Ok(()) };
        let until = Instant::now() + Duration::from_secs(2);
        let mut events = Events::with_capacity(64);
        while self.client.relay(relay).is_some_and(|status| status.queued > 0) && Instant::now() < until {
            self.client.poll(&mut events, Some(TICK))?;
        }
        self.close_route()?;
        self.client.disconnect(relay);
        Ok(())
    }
}
