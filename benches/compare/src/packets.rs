//! Data packets both ways, and the round trip of one: our client, the C client and the bare loop on the same relay.

use std::time::Instant;

use crate::clients::{Bare, Client, Ours, Theirs};
use crate::helper::Outcome;
use crate::measure::{Effort, cpu_time, in_turns, nanos};
use crate::relay::RelayProcess;
use crate::table::{Row, Section};

/// Lengths of data, and how many times less CPU than the C client is the target.
pub const LENGTHS: [(usize, f64); 4] = [(34, 20.0), (100, 20.0), (512, 10.0), (1373, 8.0)];

/// Bytes of a burst on the stream. More than 64 KiB waiting would stall the C client for good, which counts them in 16
/// bits.
const BURST_LEN: usize = 60 * 1024;

/// What a packet has on the stream beside its data: length, MAC, route.
const OVERHEAD: usize = 2 + 16 + 1;

/// What the key of the route's peer consists of, by which orders to the relay name the client.
const PEER: u8 = 1;

/// The data of a round trip.
const ECHO: [u8; 34] = [0x66; 34];

/// Sending and receiving, in this order.
pub fn measure(relay: &mut RelayProcess, effort: &Effort) -> Outcome<[Section; 2]> {
    let sending =
        measure_direction("Sending: the client's CPU a packet, ns", Direction::Send, relay, effort)?;
    let receiving =
        measure_direction("Receiving: the client's CPU a packet, ns", Direction::Receive, relay, effort)?;
    Ok([sending, receiving])
}

/// One packet there and back, nothing else on its way. The C client has nothing to wait on and asks all the time, so ours
/// does as well.
pub fn measure_round_trip(relay: &mut RelayProcess, effort: &Effort) -> Outcome<Section> {
    let figures = in_turns(effort.turns, 2, |subject| match subject {
        0 => round_trip::<Ours>(relay, effort.round_trips),
        _ => round_trip::<Theirs>(relay, effort.round_trips),
    })?;
    let title = "Round trip of one packet over the relay: wall time, µs";
    let mut section = Section::new(title, &["ours", "C client"]);
    section.rows.push(Row::new(format!("{} bytes", ECHO.len()), &figures).targets(&[1.0]));
    Ok(section)
}

#[derive(Clone, Copy)]
enum Direction {
    Send,
    Receive,
}

fn measure_direction(
    title: &'static str,
    direction: Direction,
    relay: &mut RelayProcess,
    effort: &Effort,
) -> Outcome<Section> {
    let mut section = Section::new(title, &["ours", "C client", "bare loop"]);
    let clients = section.columns.len();
    let figures = in_turns(effort.turns, LENGTHS.len() * clients, |subject| {
        let (len, _) = LENGTHS[subject / clients];
        match subject % clients {
            0 => turn::<Ours>(relay, direction, len, effort.bursts),
            1 => turn::<Theirs>(relay, direction, len, effort.bursts),
            _ => turn::<Bare>(relay, direction, len, effort.bursts),
        }
    })?;
    for ((len, target), figures) in LENGTHS.iter().zip(figures.chunks(clients)) {
        section.rows.push(Row::new(format!("{len} bytes"), figures).targets(&[*target, 1.0]));
    }
    Ok(section)
}

/// CPU nanoseconds of one packet, on a connection of its own. The first burst does not count: buffers grow in it.
fn turn<C: Client>(
    relay: &mut RelayProcess,
    direction: Direction,
    len: usize,
    bursts: usize,
) -> Outcome<f64> {
    let mut client = C::connect(relay.next(), PEER)?;
    let data = vec![0x67; len];
    let count = BURST_LEN / (OVERHEAD + len);
    let mut total = 0.0;
    for burst in 0..=bursts {
        let (spent, result) = match direction {
            Direction::Send => {
                relay.swallow(PEER, count * (OVERHEAD + len))?;
                let sent = cpu_time(|| client.send(&data, count));
                relay.swallowed()?;
                sent
            }
            Direction::Receive => {
                relay.burst(PEER, len, count)?;
                cpu_time(|| client.receive(count))
            }
        };
        result?;
        if burst > 0 {
            total += nanos(spent);
        }
    }
    Ok(total / (bursts * count) as f64)
}

/// Microseconds of one round trip.
fn round_trip<C: Client>(relay: &mut RelayProcess, times: usize) -> Outcome<f64> {
    let mut client = C::connect(relay.next(), PEER)?;
    let begun = Instant::now();
    for _ in 0..times {
        client.send(&ECHO, 1)?;
        client.receive(1)?;
    }
    Ok(nanos(begun.elapsed()) / 1e3 / times as f64)
}
