//! Two people send each other lines of text through relays.
//!
//! ```sh
//! cargo run --example chat -- RELAY_ADDRESS RELAY_KEY [PEER_KEY] [--relay ADDRESS KEY]... [--secret FILE] [--proxy URL]
//! cargo run --example chat -- --nodes FILE [PEER_KEY]
//! ```
//!
//! It prints its own public key, which the other person needs, and sends each line that is typed. `/peer KEY` sets the
//! peer; `/quit` and the end of the input end the program; `//text` sends `/text`. FILE after `--secret` contains the 32
//! bytes of a secret key, and is created if it does not exist; without it, each start creates a new key. FILE after
//! `--nodes` is the JSON that <https://nodes.tox.chat/json> offers. URL is the URL of a proxy, such as
//! `socks5://127.0.0.1:9050`, which then also resolves the relays' host names.
//!
//! With several relays, the loss of one is not noticed: `Pool` keeps routes to the peer open on all of them, and sends by
//! the next. [`chat`] is the program, [`meeting`] tells how two people find the same relays of a long list, [`nodes`]
//! reads such a list.
//!
//! A thread reads the terminal, since not every system can poll one. The main loop reads the thread's channel between
//! polls, and each poll waits at most 50 ms, as in the loops of toxcore. (On Unix, a loop can wait for the pool and for
//! other descriptors at once: see `poller` in the example `main_loop`.)

mod arguments;
mod chat;
mod meeting;
mod nodes;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::{env, io, thread};

use arguments::{HELP, USAGE};
use chat::Chat;

fn main() -> ExitCode {
    if env::args().skip(1).any(|argument| argument == "--help") {
        println!("{USAGE}\n{HELP}");
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Chat::new(arguments).map_err(Into::into).and_then(|chat| chat.run(&read_lines())) {
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
