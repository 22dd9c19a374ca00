//! Measures data packets in both directions, and round trips: our client, the C client and the bare loop with the same
//! relay.

use std::time::Instant;

use crate::clients::{BareLoop, Client, OurClient, ToxcoreClient};
use crate::helper::Outcome;
use crate::measure::{Effort, cpu_time, in_turns, nanos};
use crate::relay::RelayProcess;
use crate::table::{Row, Section};

/// Lengths of data, and the target for each: the C client should take at least this many times our client's CPU time.
pub const LENGTHS: [(usize, f64); 4] = [(34, 20.0), (100, 20.0), (512, 10.0), (1373, 8.0)];

/// Bytes of a burst on the stream. More than 64 KiB of unread bytes would stall the C client forever, since it counts
/// them in 16 bits; and the first window of our client has room for this many.
const BURST_LEN: usize = 30 * 1024;

/// The bytes of a packet on the stream besides its data: length field, MAC, connection id.
const OVERHEAD: usize = 2 + 16 + 1;

/// Each byte of the key of the route's peer. Commands to the relay use it to identify the client.
const PEER: u8 = 1;

/// The data of a round trip.
const ECHO: [u8; 34] = [0x66; 34];

/// Measures sending and receiving, in this order.
pub fn measure(relay: &mut RelayProcess, effort: &Effort) -> Outcome<[Section; 2]> {
    let sending =
        measure_direction("Sending: the client's CPU per packet, ns", Direction::Send, relay, effort)?;
    let receiving =
        measure_direction("Receiving: the client's CPU per packet, ns", Direction::Receive, relay, effort)?;
    Ok([sending, receiving])
}

/// Measures one packet to the peer and back, with nothing else in flight. The C client cannot wait for a socket and
/// polls all the time, so our client does the same.
pub fn measure_round_trip(relay: &mut RelayProcess, effort: &Effort) -> Outcome<Section> {
    let figures = in_turns(effort.turns, 2, |subject| match subject {
        0 => round_trip::<OurClient>(relay, effort.round_trips),
        _ => round_trip::<ToxcoreClient>(relay, effort.round_trips),
    })?;
    let title = "Round trip of one packet through the relay: wall time, µs";
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
            0 => turn::<OurClient>(relay, direction, len, effort.bursts),
            1 => turn::<ToxcoreClient>(relay, direction, len, effort.bursts),
            _ => turn::<BareLoop>(relay, direction, len, effort.bursts),
        }
    })?;
    for ((len, target), figures) in LENGTHS.iter().zip(figures.chunks(clients)) {
        section.rows.push(Row::new(format!("{len} bytes"), figures).targets(&[*target, 1.0]));
    }
    Ok(section)
}

/// CPU time per packet in nanoseconds, on a new connection. The first burst is not counted, since buffers grow during
/// it.
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
                relay.take(PEER, count * (OVERHEAD + len))?;
                let (sending, sent) = cpu_time(|| client.send(&data, count));
                relay.wait_taken()?;
                let (settling, settled) = cpu_time(|| client.settle());
                (sending + settling, sent.and(settled))
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
    let start = Instant::now();
    for _ in 0..times {
        client.send(&ECHO, 1)?;
        client.receive(1)?;
    }
    Ok(nanos(start.elapsed()) / 1e3 / times as f64)
}
