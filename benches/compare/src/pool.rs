//! Many connections in one client: the costs of an idle tick, of memory, and of connecting.
//!
//! The thousands of connections are in a separate process, `compare pool KIND PORT`, with a separate relay.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use interop::{CClient, CStatus};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tox_relay_client::{Client, Config, Event, Events, PublicKey, Relay, SecretKey};
use tox_test_relay::session::{Key, public_key};

use crate::address::{Target, target};
use crate::clients::{IDENTITY, LIMIT};
use crate::helper::{Helper, Outcome, commands, reply};
use crate::measure::{Effort, cpu_of_one, cpu_time, in_turns, nanos};
use crate::relay::RelayProcess;
use crate::table::{Row, Section, number};

/// The number of connections that are started at once: few enough for the relay's backlog.
const BATCH: usize = 100;

/// How long the C program sleeps between two iterations while it connects, since it cannot wait for a socket. A longer
/// time means fewer iterations, so less CPU time. (toxcore itself recommends 50 ms.)
const PAUSE: Duration = Duration::from_millis(5);

/// Descriptors that are not connections.
const OTHER_DESCRIPTORS: u64 = 100;

/// A client with many connections.
trait Pool {
    /// Connects to these relays, and waits until all are connected.
    fn add(&mut self, targets: &[Target]) -> Outcome<()>;

    /// Ends all connections.
    fn clear(&mut self) -> Outcome<()>;

    /// One iteration of a main loop with nothing to do.
    fn tick(&mut self);
}

/// Raises the limit of descriptors as far as possible, for this process and those that it starts, and makes the pools
/// smaller if that is not enough.
pub fn fit_into_limits(effort: &mut Effort) -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let room = limit.maximum.map_or(usize::MAX, |limit| limit.saturating_sub(OTHER_DESCRIPTORS) as usize);
    for size in effort.pools.iter_mut().filter(|size| **size > room) {
        eprintln!("{room} connections instead of {size}: the limit of descriptors is too low (ulimit -Hn)");
        *size = room;
    }
    Ok(())
}

/// Measures the idle tick with pools of each size, and the memory of a connection in the largest.
pub fn measure(effort: &Effort) -> Outcome<[Section; 2]> {
    let mut pools = [PoolProcess::start("ours")?, PoolProcess::start("toxcore")?];
    let mut ticks = Section::new("Idle tick: the client's CPU, µs", &["ours", "C client"]);
    let mut memory = Section::new(
        "Memory: resident bytes per connected, idle relay without routes",
        &["ours", "C client"],
    );
    let mut resident = [[0.0; 3]; 2];
    let mut ours_alone = Vec::new();
    for (step, size) in effort.pools.into_iter().enumerate() {
        for (pool, resident) in pools.iter_mut().zip(&mut resident) {
            resident[step] = pool.call(&format!("grow {size}"))?;
        }
        let command = format!("tick {}", effort.ticks.as_nanos());
        let figures = in_turns(effort.turns, 2, |subject| pools[subject].call(&command))?;
        let row = Row::new(format!("{} relays", number(size as f64, 0)), &figures);
        ticks.rows.push(if step == 2 { row.targets(&[1_000.0]) } else { row });
        ours_alone.push(figures[0]);
    }
    let [small, _, large] = effort.pools;
    ticks.notes.push(format!(
        "Our tick with {} relays takes {:.2} times as long as with {small}; the target is 1.",
        number(large as f64, 0),
        ours_alone[2] / ours_alone[0]
    ));
    let each = resident.map(|[first, _, last]| (last - first) / (large - small) as f64);
    memory.rows.push(Row::new(format!("of {} relays", number(large as f64, 0)), &each).at_most(700.0));
    Ok([ticks, memory])
}

/// Measures the CPU time of connecting, from `connect` to `Connected`: to relays that are new to the client, and to the
/// same relays again.
pub fn measure_connecting(relay: &mut RelayProcess, effort: &Effort) -> Outcome<Section> {
    let figures = in_turns(effort.turns, 4, |subject| {
        let targets: Vec<_> = (0..effort.connections).map(|_| relay.next()).collect();
        let mut pool = new_pool(["ours", "toxcore"][subject % 2])?;
        if subject / 2 == 1 {
            pool.add(&targets)?;
            pool.clear()?;
        }
        let (spent, result) = cpu_time(|| pool.add(&targets));
        result?;
        Outcome::Ok(nanos(spent) / 1e3 / targets.len() as f64)
    })?;
    let title = "Connecting: the client's CPU per connection, from `connect` to `Connected`, µs";
    let mut section = Section::new(title, &["ours", "C client"]);
    for (label, figures) in ["to new relays", "to the same relays again"].into_iter().zip(figures.chunks(2)) {
        section.rows.push(Row::new(label.into(), figures).targets(&[2.0]));
    }
    section.notes.push(format!("{} connections at a time.", effort.connections));
    Ok(section)
}

/// A pool in a separate process, and its relay in another.
struct PoolProcess {
    helper: Helper,
    _relay: RelayProcess,
}

impl PoolProcess {
    fn start(kind: &str) -> Outcome<Self> {
        let relay = RelayProcess::start()?;
        Ok(Self { helper: Helper::start(&["pool", kind, &relay.port().to_string()])?, _relay: relay })
    }

    fn call(&mut self, command: &str) -> Outcome<f64> {
        Ok(self.helper.call(command)?.parse()?)
    }
}

/// `compare pool KIND PORT`. The reply to `grow SIZE` is the resident bytes of the process; the reply to `tick BUDGET`
/// is the CPU time of one tick in microseconds.
pub fn run(kind: &str, port: &str) -> Outcome<()> {
    let port = port.parse()?;
    let mut pool = new_pool(kind)?;
    let mut size = 0;
    for command in commands(|| {}) {
        match command.split_once(' ') {
            Some(("grow", to)) => {
                let to: u32 = to.parse()?;
                let targets: Vec<_> = (size + 1..=to).map(|number| target(port, number)).collect();
                targets.chunks(BATCH).try_for_each(|batch| pool.add(batch))?;
                size = to;
                reply(&resident_bytes()?.to_string())?;
            }
            Some(("tick", budget)) => {
                let budget = Duration::from_nanos(budget.parse()?);
                reply(&(cpu_of_one(budget, || pool.tick()) / 1e3).to_string())?;
            }
            _ => return Err("an unknown command".into()),
        }
    }
    Ok(())
}

fn new_pool(kind: &str) -> Outcome<Box<dyn Pool>> {
    Ok(match kind {
        "ours" => Box::new(OurPool {
            client: Client::new(Config::new(SecretKey::from(IDENTITY)))?,
            events: Events::with_capacity(1024),
        }),
        "toxcore" => Box::new(ToxcorePool { clients: Vec::new(), public_key: public_key(&IDENTITY) }),
        _ => return Err("an unknown kind of pool".into()),
    })
}

struct OurPool {
    client: Client,
    events: Events,
}

impl Pool for OurPool {
    fn add(&mut self, targets: &[Target]) -> Outcome<()> {
        for target in targets {
            self.client.connect(Relay::new(target.address, PublicKey::from(target.key)))?;
        }
        let deadline = Instant::now() + LIMIT;
        let mut connected = 0;
        while connected < targets.len() {
            if Instant::now() > deadline {
                return Err("our client was not connected in time".into());
            }
            self.client.poll(&mut self.events, Some(LIMIT))?;
            for event in &self.events {
                match event {
                    Event::Connected { .. } => connected += 1,
                    Event::Disconnected { reason, .. } => return Err(reason.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn clear(&mut self) -> Outcome<()> {
        let relays: Vec<_> = self.client.connections().collect();
        relays.into_iter().for_each(|relay| assert!(self.client.disconnect(relay)));
        // This poll reports the ends of the connections.
        Ok(self.client.poll(&mut self.events, Some(Duration::ZERO))?)
    }

    fn tick(&mut self) {
        self.client.poll(&mut self.events, Some(Duration::ZERO)).expect("a poller that works");
    }
}

struct ToxcorePool {
    clients: Vec<CClient>,
    public_key: Key,
}

impl Pool for ToxcorePool {
    fn add(&mut self, targets: &[Target]) -> Outcome<()> {
        let first = self.clients.len();
        for target in targets {
            let client = CClient::connect_as(target.address, target.key, self.public_key, IDENTITY)?;
            self.clients.push(client);
        }
        let deadline = Instant::now() + LIMIT;
        while self.clients[first..].iter().any(|client| client.status() != CStatus::Connected) {
            if Instant::now() > deadline {
                return Err("the C client was not connected in time".into());
            }
            thread::sleep(PAUSE);
            self.clients[first..].iter_mut().for_each(CClient::iterate);
        }
        Ok(())
    }

    fn clear(&mut self) -> Outcome<()> {
        self.clients.clear();
        Ok(())
    }

    fn tick(&mut self) {
        let mut clients = self.clients.iter_mut();
        clients.next().into_iter().for_each(CClient::iterate);
        clients.for_each(CClient::iterate_without_clock);
    }
}

/// The resident memory of this process.
fn resident_bytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?.parse()?;
    Ok(kibibytes * 1024)
}
