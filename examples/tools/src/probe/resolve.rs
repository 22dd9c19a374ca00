//! Host names: the system looks them up before each round, all at the same time.
//!
//! Not through a proxy. Then the proxy does, and nothing is asked here: that would show the resolver which relays are
//! meant.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The system's calls block, and cannot be given up: so each has a thread, and this is how many there are at most.
const MOST_THREADS: usize = 64;
/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The addresses of each name, or why there are none.
pub type Found = HashMap<String, Result<Vec<IpAddr>, String>>;

/// Looks up one name, as the system does.
type LookUp = fn(&str) -> io::Result<Vec<IpAddr>>;

/// Threads that look names up.
pub struct Resolver {
    jobs: Sender<Job>,
}

struct Job {
    name: String,
    /// When nobody waits for the answer any more.
    deadline: Instant,
    answers: Sender<(String, io::Result<Vec<IpAddr>>)>,
}

impl Resolver {
    /// With enough threads for so many names.
    pub fn new(names: usize) -> io::Result<Self> {
        Self::with(names, |name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    fn with(names: usize, look_up: LookUp) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..names.min(MOST_THREADS) {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().spawn(move || work(&waiting, look_up))?;
        }
        Ok(Self { jobs })
    }

    /// Looks these names up, and waits no longer than `timeout` for all of them. Ends before that if `go_on`, which gets
    /// the number of answers, returns `false`.
    pub fn look_up(
        &self,
        names: HashSet<String>,
        timeout: Duration,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Found {
        let deadline = Instant::now() + timeout;
        let (sender, answers) = channel();
        let mut found = Found::new();
        for name in names {
            found.insert(name.clone(), Err(format!("no answer in {timeout:?}")));
            // The threads live as long as this resolver.
            _ = self.jobs.send(Job { name, deadline, answers: sender.clone() });
        }
        drop(sender);
        let mut answered = 0;
        while go_on(answered) {
            let left = deadline.saturating_duration_since(Instant::now());
            match answers.recv_timeout(left.min(LOOK)) {
                Ok((name, answer)) => {
                    found.insert(name, answer.map_err(|error| explain(&error)));
                    answered += 1;
                }
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => break, // it is late, or all have answered
            }
        }
        found
    }
}

/// What a thread does, as long as there is a resolver.
fn work(waiting: &Mutex<Receiver<Job>>, look_up: LookUp) {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { name, deadline, answers }) = next() {
        if Instant::now() < deadline {
            let answer = look_up(&name);
            _ = answers.send((name, answer)); // nobody waits if it is late
        }
    }
}

/// Without what is said by the standard library before the system's words.
fn explain(error: &io::Error) -> String {
    error.to_string().replace("failed to lookup address information: ", "")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn names(names: &[&str]) -> HashSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_were_looked_up_one_after_another() {
        static ALL: Barrier = Barrier::new(3);
        let resolver = Resolver::with(3, |_| {
            ALL.wait(); // nobody goes on before all have come
            Ok(Vec::new())
        });
        let found = resolver.unwrap().look_up(names(&["a", "b", "c"]), LONG, |_| true);
        assert!(found.len() == 3 && found.values().all(Result::is_ok), "{found:?}");
    }

    #[test]
    fn one_name_that_hangs_held_up_all() {
        static HANGS: Barrier = Barrier::new(2);
        let resolver = Resolver::with(2, |name| {
            if name == "hangs" {
                HANGS.wait();
            }
            Ok(Vec::new())
        })
        .unwrap();
        let short = Duration::from_millis(200);
        let found = resolver.look_up(names(&["hangs", "a", "b"]), short, |_| true);
        assert_eq!(found["hangs"], Err("no answer in 200ms".to_owned()));
        assert!(found["a"].is_ok() && found["b"].is_ok(), "the other thread has done them: {found:?}");
        HANGS.wait();
    }

    #[test]
    fn names_are_looked_up_again_each_time() {
        static ROUND: AtomicU8 = AtomicU8::new(1);
        let look_up = |_: &str| Ok(vec![IpAddr::from([192, 0, 2, ROUND.fetch_add(1, Ordering::Relaxed)])]);
        let resolver = Resolver::with(1, look_up).unwrap();
        for last in [1, 2] {
            let found = resolver.look_up(names(&["a"]), LONG, |_| true);
            assert_eq!(found["a"], Ok(vec![IpAddr::from([192, 0, 2, last])]));
        }
    }

    #[test]
    fn the_system_says_why_there_is_no_address() {
        let resolver = Resolver::new(1).unwrap();
        let found = resolver.look_up(names(&["no-such-relay.invalid"]), LONG, |_| true);
        let why = found["no-such-relay.invalid"].as_ref().unwrap_err();
        assert!(!why.is_empty() && !why.contains("failed to lookup"), "{why}");
    }
}
