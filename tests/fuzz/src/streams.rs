//! What a relay sends, honest or not.

use tox_relay_client::Stage;

use crate::input::Input;
use crate::pair::{Pair, Response, Socket, filling, peer};

/// Whatever arrives, however it is split: the connection reports the events of the model, and nothing else; it ends
/// when and how the model does, if at all; and it holds no more than it should.
pub fn streams(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let pieces = [(); 4].map(|()| usize::from(input.byte()));
    let writes = input.byte();
    let capacity = usize::from(input.byte());

    let proxy = usize::from(kind >> 4).checked_sub(12);
    let mut pair = Pair::new(proxy, 4_068);
    pair.connect();
    match kind % 8 {
        0 => pair.respond(Response::Raw(input.rest())),
        1 => pair.respond(Response::Reflected),
        2 => pair.respond(Response::LowOrder),
        _ => pair.respond(Response::Honest),
    }
    while !input.is_empty() && pair.readable() < 64 * 1024 {
        send_down(&mut pair, &mut input);
    }

    let mut asked = false;
    for piece in pieces.into_iter().cycle() {
        // Small ones cut a length in halves; large ones hold several packets.
        let before = pair.readable();
        pair.receive(if piece < 200 { piece + 1 } else { piece * 40 }, capacity);
        if pair.is_over() {
            return;
        }
        if pair.model().stage == Stage::Connected && !std::mem::replace(&mut asked, true) {
            (0..4).for_each(|number| pair.open_route(peer(number)));
        }
        // Some clients write at once, some late, some never.
        let room = match writes % 4 {
            0 => 0,
            1 => usize::MAX,
            _ => writes.into(),
        };
        pair.flush(Socket { room, ..Socket::WIDE });
        if pair.readable() == 0 || pair.readable() == before {
            break;
        }
    }
    assert!(pair.is_over() || pair.readable() == 0);
}

/// One packet or some bytes.
fn send_down(pair: &mut Pair, input: &mut Input<'_>) {
    let kind = input.byte();
    match kind % 9 {
        0 => {
            let len = input.byte().into();
            pair.send_down_raw(input.take(len));
        }
        1 => {
            let len = input.byte().into();
            pair.send_down(input.take(len));
        }
        2 => {
            let len = usize::from(input.word()) % 2_100;
            pair.send_down(&[&[input.byte()], &filling(pair.readable(), len)[..]].concat());
        }
        3 => pair.send_down(&[&[1, input.byte()], &peer(input.byte() % 6).as_bytes()[..]].concat()),
        4 => pair.send_down(&[2, input.byte()]),
        5 => pair.send_down(&[3, input.byte()]),
        6 => pair.send_down(&[4, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
        7 => pair.send_down(&[5, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
        _ => {
            let sender = peer(input.byte());
            let len = usize::from(input.word()) % 1_100;
            pair.send_down(&[&[7], &sender.as_bytes()[..], &filling(pair.readable(), len)].concat());
        }
    }
}
