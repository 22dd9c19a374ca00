//! How often an idle pool wakes up its process, with real relays: `cargo run --release -p interop --example wakeups --
//! RELAYS SECONDS`.
//!
//! A main loop sleeps until the pool's descriptor is readable or its timeout is over, and counts how often it wakes up.

use std::error::Error;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use interop::Bootstrapd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tox_relay_client::pool::{Origin, Pool, PoolEvents};
use tox_relay_client::{Config, PublicKey, Relay, SecretKey};

/// Wake-ups that follow the last one within this time find the device awake.
const AWAKE: Duration = Duration::from_secs(1);

/// By then the pings of all relays leave together.
const SETTLING: Duration = Duration::from_secs(32);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, seconds] = &arguments[..] else { return Err("usage: wakeups RELAYS SECONDS".into()) };
    let (count, seconds): (usize, u64) = (count.parse()?, seconds.parse()?);
    let relays: Vec<Bootstrapd> = (0..count).map(|_| Bootstrapd::start()).collect::<Result<_, _>>()?;
    let mut pool = Pool::new(Config::new(SecretKey::generate()))?;
    pool.set_onion_relays(count);
    for relay in &relays {
        pool.add_relay(Relay::new(relay.addr(), PublicKey::from(relay.public_key())), Origin::User)?;
    }
    wakeups(&mut pool, SETTLING)?;
    let connected =
        pool.relays().filter(|id| pool.relay(*id).is_some_and(|relay| relay.is_connected)).count();
    assert_eq!(connected, count, "all relays are connected");
    let before = pool.client().traffic();
    let (woken, from_sleep) = wakeups(&mut pool, Duration::from_secs(seconds))?;
    let after = pool.client().traffic();
    println!(
        "{count} relays: {} wake-ups an hour, {} of them after a second without any; {} packets sent, {} received in \
         {seconds} s",
        woken * 3600 / seconds,
        from_sleep * 3600 / seconds,
        after.all.packets_out - before.all.packets_out,
        after.all.packets_in - before.all.packets_in,
    );
    Ok(())
}

/// Runs a main loop for this time. Returns how often it woke up, and how often of that from a device that slept.
fn wakeups(pool: &mut Pool, time: Duration) -> Result<(u64, u64), Box<dyn Error>> {
    let mut events = PoolEvents::with_capacity(256);
    let (end, mut woken, mut from_sleep) = (Instant::now() + time, 0, 0);
    let mut last: Option<Instant> = None;
    while Instant::now() < end {
        let timeout = pool.next_timeout().unwrap_or(time).min(end.saturating_duration_since(Instant::now()));
        let timeout = PollTimeout::try_from(timeout + Duration::from_millis(1))?;
        poll(&mut [PollFd::new(pool.as_fd(), PollFlags::POLLIN)], timeout)?;
        let now = Instant::now();
        woken += 1;
        from_sleep += u64::from(last.replace(now).is_none_or(|last| now - last >= AWAKE));
        pool.poll(&mut events, Some(Duration::ZERO))?;
    }
    Ok((woken, from_sleep))
}
