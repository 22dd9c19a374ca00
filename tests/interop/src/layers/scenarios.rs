//! What happens to the relays and peers of a flow, and what is measured of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tox_relay_client::SecretKey;

use crate::Bootstrapd;
use crate::layers::{Flow, Layer, Outcome, Target, sockets};

const SECOND: Duration = Duration::from_secs(1);

/// How long it may take until data flow again. It includes the 40 s after which a missing pong is noticed at the latest,
/// the connect timeout of 10 s, and the longest pause between attempts, which is 120 s.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the failure of the relay that carries the data has caused.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// How long nothing arrived.
    pub pause: Duration,
    /// How many packets were accepted and have not arrived.
    pub packets: usize,
}

/// How many connections were opened for one peer.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    /// At the same time, at most.
    pub most: usize,
    /// In the end.
    pub last: usize,
}

/// What became of peers of which one was asleep.
#[derive(Clone, Copy, Debug)]
pub struct Asleep {
    /// The connections of the one that slept, in the end.
    pub sockets: usize,
    /// How long it took after waking until data arrived; `None`: not in three minutes.
    pub back_after: Option<Duration>,
    /// The longest pause in the data of a peer on the same relays that was awake.
    pub pause_of_other: Duration,
}

/// The addresses and keys of relays.
pub fn targets(relays: &[Bootstrapd]) -> Vec<Target> {
    relays.iter().map(|relay| (relay.addr(), relay.public_key())).collect()
}

/// Starts so many relays.
fn start_relays(count: usize) -> Outcome<Vec<Bootstrapd>> {
    Ok((0..count).map(|_| Bootstrapd::start()).collect::<Result<_, _>>()?)
}

/// One of three relays fails, the one that carries the data: it is killed, or `is_silent`. Waits for data by another. Data
/// flow for this time before: silence is found out by pings at intervals.
pub fn fail<L: Layer>(is_silent: bool, before: Duration) -> Outcome<Loss> {
    let mut relays = start_relays(3)?;
    let targets = targets(&relays);
    let mut flow = Flow::<L>::start(&targets, 1)?;
    flow.until_online(3)?;
    flow.run_for(before)?;
    let used = flow.sender.used(&targets).ok_or("no relay carries the data")?;
    let start = Instant::now();
    if is_silent {
        relays[used].suspend()?;
    } else {
        relays[used].kill();
    }
    // What was already on its way arrives within this time.
    let settled = start + SECOND / 5;
    while flow.first_after(0, settled).is_none() && start.elapsed() < PATIENCE {
        flow.step()?;
    }
    flow.run_for(SECOND)?;
    Ok(Loss { pause: flow.longest_pause(0, start), packets: flow.missing(0) })
}

/// All three relays are gone for this time, and return. Returns how long after that data arrive again, for each of the two
/// flows; `None`: not in three minutes.
pub fn vanish<A: Layer, B: Layer>(time: Duration) -> Outcome<[Option<Duration>; 2]> {
    let mut relays = start_relays(3)?;
    let targets = targets(&relays);
    let (is_over, online) = (AtomicBool::new(false), [AtomicBool::new(false), AtomicBool::new(false)]);
    let returned_at = OnceLock::new();
    thread::scope(|scope| {
        let one = scope.spawn(|| through_an_outage::<A>(&targets, &online[0], &returned_at, &is_over));
        let other = scope.spawn(|| through_an_outage::<B>(&targets, &online[1], &returned_at, &is_over));
        let mut work = || -> Outcome<()> {
            while !online.iter().all(|online| online.load(Ordering::Relaxed)) {
                if one.is_finished() || other.is_finished() {
                    return Ok(()); // with an error
                }
                thread::sleep(SECOND / 10);
            }
            relays.iter_mut().for_each(Bootstrapd::kill);
            thread::sleep(time);
            relays.iter_mut().try_for_each(Bootstrapd::restart)?;
            let _ = returned_at.set(Instant::now());
            Ok(())
        };
        let outcome = work();
        is_over.store(outcome.is_err(), Ordering::Relaxed);
        let [one, other] = [one.join(), other.join()].map(|joined| joined.map_err(|_| "a panic"));
        outcome?;
        Ok([one??, other??])
    })
}

/// Lets data flow until some arrive after the relays have returned, or it is over.
fn through_an_outage<L: Layer>(
    relays: &[Target],
    is_online: &AtomicBool,
    returned_at: &OnceLock<Instant>,
    is_over: &AtomicBool,
) -> Outcome<Option<Duration>> {
    let mut flow = Flow::<L>::start(relays, 1)?;
    flow.until_online(3)?;
    is_online.store(true, Ordering::Relaxed);
    while !is_over.load(Ordering::Relaxed) {
        flow.run_for(SECOND / 20)?;
        let Some(returned_at) = returned_at.get() else { continue };
        match flow.first_after(0, *returned_at) {
            Some(first) => return Ok(Some(first - *returned_at)),
            None if returned_at.elapsed() > PATIENCE => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

/// So many relays are offered for one peer, all of which work. Counts the connections for this time.
pub fn offer<L: Layer>(relays: &[Bootstrapd], time: Duration) -> Outcome<Offered> {
    let targets = targets(relays);
    let mut layer = L::start(SecretKey::generate())?;
    layer.add_peer(SecretKey::generate().public_key(), &targets)?;
    let (end, mut most) = (Instant::now() + time, 0);
    while Instant::now() < end {
        layer.iterate()?;
        most = most.max(sockets::open_to(&targets)?);
    }
    Ok(Offered { most, last: sockets::open_to(&targets)? })
}

/// Of two peers on the same three relays, one sleeps for this time.
pub fn sleep<L: Layer>(time: Duration) -> Outcome<Asleep> {
    let relays = start_relays(3)?;
    let targets = targets(&relays);
    let mut flow = Flow::<L>::start(&targets, 2)?;
    flow.until_online(3)?;
    flow.run_for(2 * SECOND)?;
    let start = Instant::now();
    let before = sockets::open_to(&targets)?;
    flow.set_awake(0, false);
    flow.run_for(time)?;
    // The sender and the other peer are awake: what is gone was of the one that slept.
    let sockets = 3_usize.saturating_sub(before.saturating_sub(sockets::open_to(&targets)?));
    let woken_at = Instant::now();
    flow.set_awake(0, true);
    while flow.first_after(0, woken_at).is_none() && woken_at.elapsed() < PATIENCE {
        flow.step()?;
    }
    let back_after = flow.first_after(0, woken_at).map(|first| first - woken_at);
    Ok(Asleep { sockets, back_after, pause_of_other: flow.longest_pause(1, start) })
}

/// Of two peers on the same three relays, one is put to sleep, leaves, is woken and put to sleep again. Returns the longest
/// pause of the other one, which is awake, until this time after that.
pub fn restless<L: Layer>(time: Duration) -> Outcome<Duration> {
    let relays = start_relays(3)?;
    let mut flow = Flow::<L>::start(&targets(&relays), 2)?;
    flow.until_online(3)?;
    flow.run_for(SECOND)?;
    let start = Instant::now();
    flow.set_awake(0, false);
    flow.leave(0);
    flow.run_for(3 * SECOND)?;
    flow.set_awake(0, true);
    flow.run_for(SECOND)?;
    flow.set_awake(0, false);
    flow.run_for(time)?;
    Ok(flow.longest_pause(1, start))
}
