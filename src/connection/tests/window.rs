//! The window: what may be unconfirmed, and when.

mod growth;
mod pings;

use super::*;
use crate::connection::window::{Place, Window};

const PEER: u8 = 7;

/// The window of a new connection, and what every relay bears, in bytes.
const FIRST_WINDOW: usize = 32 * 1024;
const BEARABLE: usize = 47_000;

/// The data of each packet, and its bytes on the stream.
const LEN: usize = 1373;
const PACKET: usize = 2 + 16 + 1 + LEN;

/// The bytes of a packet besides its plaintext, and those of a ping.
const OVERHEAD: usize = 2 + 16;
const PING: usize = OVERHEAD + 9;

impl Pair {
    /// Queues data until there is no room, and returns how many packets that were.
    fn fill(&mut self, route: RouteId, len: usize) -> usize {
        (0..).take_while(|_| self.connection.send_data(route, &vec![1; len]).is_ok()).count()
    }

    /// Sends all that may be sent. Returns the ids of the pings, and how many bytes were sent.
    fn sent_bulk(&mut self) -> (Vec<u64>, usize) {
        let packets = self.sent();
        let is_ping = |packet: &&Vec<u8>| packet[0] == 4;
        let id = |packet: &Vec<u8>| u64::from_be_bytes(packet[1..].try_into().unwrap());
        let bytes = packets.iter().map(|packet| OVERHEAD + packet.len()).sum();
        (packets.iter().filter(is_ping).map(id).collect(), bytes)
    }

    fn answer(&mut self, pings: &[u64]) {
        self.relay_sends(&pings.iter().map(|id| pong(*id)).collect::<Vec<_>>()).unwrap();
    }
}

/// With a route whose queue and window are full, and the ping after the data.
fn full(settings: Settings) -> (Pair, RouteId, u64) {
    let (mut pair, route) = Pair::with_route(settings, key(PEER));
    pair.fill(route, LEN);
    let (pings, bytes) = pair.sent_bulk();
    assert!((FIRST_WINDOW - PACKET..=FIRST_WINDOW + PING).contains(&bytes), "{bytes}");
    assert_eq!(pings.len(), 1);
    pair.fill(route, LEN);
    (pair, route, pings[0])
}

/// The same with the largest window that is not for relays that read at once.
fn grown() -> (Pair, RouteId, u64) {
    let (mut pair, route, first) = full(Settings::default());
    pair.now += Duration::from_millis(30);
    pair.answer(&[first]);
    let (pings, bytes) = pair.sent_bulk();
    assert!((BEARABLE - PACKET..=BEARABLE + PING).contains(&bytes), "{bytes}");
    assert_eq!((pings.len(), pair.connection.window()), (1, Some(BEARABLE)));
    pair.fill(route, LEN);
    (pair, route, pings[0])
}

#[test]
fn data_wait_until_the_relay_has_read_a_full_window() {
    let (mut pair, route, mut last) = grown();
    for _ in 0..10 {
        assert!(!pair.connection.has_output(FIRST) && !pair.connection.has_drained());
        let unconfirmed = pair.connection.unconfirmed();
        assert!((BEARABLE - PACKET..=BEARABLE + PING).contains(&unconfirmed), "{unconfirmed}");
        pair.now += Duration::from_millis(30);
        pair.answer(&[last]);
        assert!(pair.connection.has_output(FIRST));
        let (pings, bytes) = pair.sent_bulk();
        assert!((BEARABLE - PACKET..=BEARABLE + PING).contains(&bytes), "{bytes}");
        assert_eq!(pings.len(), 1, "of several pongs, the relay would delay all but the first");
        last = pings[0];
        pair.fill(route, LEN);
    }
}

/// A relay that is never done would keep the memory of what it has read, until its socket is full.
#[test]
fn a_steady_stream_lets_the_relay_read_everything_now_and_then() {
    let (mut pair, route, last) = grown();
    pair.now += Duration::from_millis(30);
    pair.answer(&[last]);
    let mut unread = pair.sent_bulk().1;
    let mut pings: Vec<u64> = Vec::new();
    for _ in 0..1_000 {
        // The relay has read all but one packet whenever more is sent.
        while pair.connection.send_data(route, &[1; LEN]).is_ok() {}
        let (ids, bytes) = pair.sent_bulk();
        unread = if bytes == 0 { 0 } else { unread + bytes };
        assert!(unread <= 2 * BEARABLE, "{unread} bytes since the relay has read everything");
        pings.extend(ids);
        pair.now += Duration::from_millis(1);
        let ids = std::mem::take(&mut pings);
        pair.answer(&ids);
    }
}

#[test]
fn a_pong_of_a_ping_that_was_not_sent_confirms_nothing() {
    let (mut pair, _, last) = full(Settings::default());
    pair.answer(&[last + 1, 1, FIRST_PING]);
    assert!(!pair.connection.has_output(FIRST));
    assert_eq!(pair.connection.round_trips().pongs, 1, "the first ping's");
}

#[test]
fn a_pong_that_comes_twice_confirms_nothing_more() {
    let (mut pair, route, last) = full(Settings::default());
    pair.now += Duration::from_millis(30);
    pair.answer(&[last]);
    pair.sent();
    pair.fill(route, LEN);
    let unconfirmed = pair.connection.unconfirmed();
    pair.answer(&[last, last]);
    assert_eq!(pair.connection.unconfirmed(), unconfirmed);
    assert!(!pair.connection.has_output(FIRST));
}

#[test]
fn data_that_fill_the_buffer_of_the_driver_get_their_ping_in_the_next_batch() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let count = 12; // 16,716 bytes
    (0..count).for_each(|_| pair.connection.send_data(route, &[1; LEN]).unwrap());
    let (mut scratch, mut bytes) = (vec![0; count * PACKET], 0);
    let write = |batch: &[u8]| {
        bytes += batch.len();
        Ok(batch.len())
    };
    let shared = &mut Shared::new();
    pair.connection.flush(pair.now, FIRST, bulk_ping(), shared, &mut scratch, write).unwrap();
    assert_eq!(bytes, count * PACKET + PING);
}

#[test]
fn important_packets_pass_a_full_window() {
    let (mut pair, _, _) = full(Settings::default());
    pair.connection.open(key(9)).unwrap();
    pair.relay_sends(&[ping(5)]).unwrap();
    assert_eq!(pair.sent(), [routing_request(key(9)), pong(5)]);
}

/// They may come at the same time: a request for each route, and data that fill the window.
#[test]
fn important_packets_and_data_together_are_fewer_than_64_kibibytes() {
    for before in [true, false] {
        let (mut pair, route, last) = grown();
        pair.scratch = vec![0; 256 * 1024];
        let open_all = |pair: &mut Pair| {
            (0..239).for_each(|number| _ = pair.connection.open(key(200 ^ number)));
            pair.relay_sends(&(1..=32).map(ping).collect::<Vec<_>>()).unwrap();
        };
        if before {
            open_all(&mut pair);
        }
        pair.now += Duration::from_millis(30);
        pair.answer(&[last]);
        pair.fill(route, LEN);
        pair.sent();
        if !before {
            open_all(&mut pair);
            pair.sent();
        }
        let unconfirmed = pair.connection.unconfirmed();
        assert!((BEARABLE - PACKET..65_536).contains(&unconfirmed), "{unconfirmed}");
    }
}

#[test]
fn room_is_reported_after_a_pong() {
    let (mut pair, route, last) = grown();
    assert!(!pair.connection.take_writable());
    pair.now += Duration::from_millis(30);
    pair.answer(&[last]);
    pair.sent();
    assert!(pair.connection.take_writable());
    assert_eq!(pair.connection.send_data(route, &[1; LEN]), Ok(()));
}

#[test]
fn a_chat_sends_no_pings_besides_that_of_every_thirty_seconds() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    for _ in 0..10 {
        let next = pair.connection.deadline();
        for _ in 0..100 {
            pair.connection.send_data(route, &[1; 100]).unwrap();
            assert_eq!(pair.sent().len(), 1);
        }
        assert_eq!(pair.connection.deadline(), next);
        pair.next_deadline().unwrap();
        assert_eq!(pair.sent(), [ping(pair.ping)]);
        pair.answer(&[pair.ping]);
        assert_eq!(pair.connection.unconfirmed(), 0);
    }
}

/// After a full window, everything must be read before more data are sent; but something important may always follow.
#[test]
fn important_packets_again_and_again_do_not_hold_data_back_for_good() {
    let (mut pair, route, last) = grown();
    let mut pings = std::collections::VecDeque::from([(pair.now + Duration::from_millis(100), last)]);
    let mut sent = [0; 10];
    for number in 0..200 {
        pair.now += Duration::from_millis(50);
        pair.timeout(false).unwrap();
        pair.relay_sends(&[ping(1_000_000 + number)]).unwrap();
        let now = pair.now;
        while pings.front().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = pings.pop_front().unwrap();
            pair.answer(&[id]);
        }
        pair.fill(route, LEN);
        let (ids, bytes) = pair.sent_bulk();
        sent[number as usize / 20] += bytes;
        pings.extend(ids.into_iter().map(|id| (now + Duration::from_millis(100), id)));
    }
    assert!(sent.iter().all(|bytes| *bytes > PACKET), "{sent:?}");
}

/// It pings again and again, and answers only the oldest ping, just in time.
#[test]
fn probes_do_not_fill_the_socket_of_a_relay_that_answers_nothing() {
    let (mut pair, ..) = grown();
    let (mut pongs, mut probes) = (0, 0);
    // Its own pings make us look at the full window again and again.
    while pair.next_deadline().is_ok() && pair.relay_sends(&[ping(1_000_000 + pongs as u64)]).is_ok() {
        pongs += 1;
        probes += pair.sent_bulk().0.len();
    }
    // Fewer than a series: pongs and probes together have used up the room for ten probes and one packet.
    assert!((10..30).contains(&probes), "{probes} probes");
    assert!(
        pair.connection.unconfirmed() <= BEARABLE + (10 + 1 + pongs) * PING,
        "{probes} probes, {pongs} pongs"
    );
}

#[test]
fn the_pings_whose_pongs_a_malicious_relay_owes_are_bounded() {
    let (mut window, now) = (Window::default(), Instant::now());
    let spacing = |window: &Window| Place::ALL.map(|place| window.spacing(place, true, Some(usize::MAX)));
    for number in 1..=4_096 {
        assert!(spacing(&window).iter().any(|bytes| *bytes < usize::MAX), "after {number} pings");
        window.handle_sent(PING);
        window.handle_ping_sent(now, NonZeroU64::new(number).unwrap());
    }
    assert_eq!(spacing(&window), [usize::MAX; 3]);
    assert!(window.memory() < 400 * 1024);
}

#[test]
fn a_call_is_never_held_back() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let mut pings: std::collections::VecDeque<(Instant, u64)> = Default::default();
    // 40 KB/s with a round trip of 100 to 130 ms, for a minute.
    for number in 0..3_000 {
        pair.now += Duration::from_millis(20);
        pair.timeout(false).unwrap();
        let now = pair.now;
        while pings.front().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = pings.pop_front().unwrap();
            pair.answer(&[id]);
        }
        pair.connection.send_data(route, &[1; 800]).unwrap();
        let (ids, _) = pair.sent_bulk();
        assert!(pair.connection.has_drained());
        let answered = now + Duration::from_millis(100 + number * 7 % 30);
        pings.extend(ids.into_iter().map(|id| (answered, id)));
    }
}

#[test]
fn more_than_a_chat_is_confirmed_before_the_window_is_full() {
    let (mut pair, route) = Pair::with_route(Settings::default(), key(PEER));
    let mut pings = 0;
    for _ in 0..100 {
        pair.connection.send_data(route, &[1; 1_000]).unwrap();
        let (ids, _) = pair.sent_bulk();
        pings += ids.len();
        pair.answer(&ids);
        assert!(pair.connection.has_drained());
    }
    assert_eq!(pings, 6, "one for each 15,000 bytes or somewhat more");
}

/// Otherwise nothing would ever make room: the bytes since the last ping fill the window, after it became smaller.
#[test]
fn a_window_that_is_full_without_an_unanswered_ping_sends_one() {
    let (mut pair, route, last) = grown();
    pair.now += Duration::from_millis(30);
    pair.answer(&[last]);
    // Smaller than what was sent since the last ping.
    pair.connection.close_route(route).unwrap();
    pair.sent();
    for _ in 0..14 {
        pair.connection.send_oob(key(1), &[1; 1_000]).unwrap();
    }
    assert!(pair.sent_bulk().0.is_empty());
    let window = Some(pair.connection.unconfirmed());
    pair.connection.set_settings(Arc::new(Settings { window, ..Settings::default() }));
    pair.connection.send_oob(key(1), &[1; 1_000]).unwrap();
    assert!(pair.connection.has_output(FIRST));
    let (pings, _) = pair.sent_bulk();
    assert_eq!(pings.len(), 1);
    assert!(!pair.connection.has_output(FIRST));
    pair.answer(&pings);
    assert!(pair.connection.has_output(FIRST));
}

#[test]
fn without_a_window_nothing_waits_and_no_pings_are_sent_between_data() {
    let (mut pair, route) = Pair::with_route(without_window(), key(PEER));
    for turn in 0..10 {
        pair.fill(route, LEN);
        assert_eq!((pair.sent_bulk().0.len(), pair.connection.queued()), (0, 0));
        if turn == 5 {
            // The one of every thirty seconds is answered while data are on their way.
            pair.next_deadline().unwrap();
            pair.fill(route, LEN);
            assert_eq!(pair.sent_bulk().0, [pair.ping]);
            pair.answer(&[pair.ping]);
            assert!(!pair.connection.has_output(FIRST));
            assert!(pair.connection.deadline() - pair.now > seconds(29));
        }
    }
    assert_eq!(pair.connection.window(), None);
}

#[test]
fn a_partial_write_sends_each_ping_once_and_in_its_place() {
    for step in [1_000, 1_373, 7_777] {
        let (mut pair, _, last) = grown();
        let before = pair.connection.unconfirmed();
        pair.answer(&[last]);
        let mut stream = Vec::new();
        while pair.connection.has_output(FIRST) {
            stream.extend(pair.flush_some(step));
        }
        let packets = pair.relay.open(&stream).unwrap();
        assert_eq!(packets.iter().filter(|packet| packet[0] == 4).count(), 1, "{step}");
        assert_eq!(packets.last().unwrap()[0], 4, "{step}");
        assert!(stream.len() <= before + PING, "{step}");
    }
}

/// An impostor who has replayed a handshake response does not answer pings.
#[test]
fn an_impostor_receives_at_most_one_window_of_data() {
    let mut pair = Pair::confirming();
    let mut sent = 0;
    for _ in 0..100 {
        while pair.connection.send_oob(key(1), &[1; 1024]).is_ok() {}
        sent += flush(&mut pair.connection, pair.now, &mut pair.scratch).len();
    }
    assert!((FIRST_WINDOW - 1100..FIRST_WINDOW + 100).contains(&sent), "{sent}");
}
