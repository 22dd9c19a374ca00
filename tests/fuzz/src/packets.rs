//! Packets and frames, parsed and emitted.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;

use tox_relay_client::internals::{
    FORWARD_DATA, MAX_PLAINTEXT, ONION_REQUEST, OOB_DATA, OVERHEAD, Packet, RouteNumber, emit_prefix,
    frame_len,
};
use tox_relay_client::{Destination, PublicKey};

use crate::input::Input;

/// Any bytes are a packet that emits them again or no packet; any packet reads back; frames are found however the
/// stream is cut.
pub fn packets(data: &[u8]) {
    if let Ok(packet) = Packet::parse(data) {
        assert_eq!(emit(&packet), data);
    }
    let packet = packet(&mut Input::new(data));
    assert_eq!(Packet::parse(&emit(&packet)), Ok(packet));
    frames(&mut Input::new(data));
}

fn emit(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = vec![0; packet.emitted_len()];
    packet.emit(&mut bytes);
    assert_eq!(bytes[0], packet.kind());
    bytes
}

/// Any packet that there can be.
fn packet<'a>(input: &mut Input<'a>) -> Packet<'a> {
    let kind = input.byte();
    let id = RouteNumber::new(input.byte().max(RouteNumber::MIN)).expect("16 to 255");
    let number = NonZeroU64::new(u64::from_be_bytes(array(input))).unwrap_or(NonZeroU64::MIN);
    let key = PublicKey::from(array::<32>(input));
    let mut data = |legal: std::ops::RangeInclusive<usize>| {
        let data = input.take(*legal.end());
        if legal.contains(&data.len()) { data } else { &[7; 2032][..*legal.start()] }
    };
    match kind % 14 {
        0 => Packet::RoutingRequest { peer: key },
        1 => Packet::RoutingResponse { number: None, peer: key },
        2 => Packet::RoutingResponse { number: Some(id), peer: key },
        3 => Packet::ConnectNotification(id),
        4 => Packet::DisconnectNotification(id),
        5 => Packet::Ping(number),
        6 => Packet::Pong(number),
        7 => Packet::OobSend { destination: key, data: data(OOB_DATA) },
        8 => Packet::OobReceive { sender: key, data: data(OOB_DATA) },
        9 => Packet::OnionRequest(data(ONION_REQUEST)),
        10 => Packet::OnionResponse(data(1..=MAX_PLAINTEXT - 1)),
        11 => Packet::ForwardRequest { destination: destination(id, key), data: data(FORWARD_DATA) },
        12 => Packet::Forwarding(data(0..=MAX_PLAINTEXT - 1)),
        _ => Packet::Data { number: id, data: data(0..=MAX_PLAINTEXT - 1) },
    }
}

/// An address out of whatever bytes are there.
fn destination(id: RouteNumber, key: PublicKey) -> Destination {
    let [a, b, c, d, port, ..] = *key.as_bytes();
    let ipv6: [u8; 16] = *key.as_bytes().last_chunk().expect("a key is longer");
    let address: SocketAddr = match id.get() % 2 {
        0 => (Ipv4Addr::new(a, b, c, d), port.into()).into(),
        _ => (Ipv6Addr::from(ipv6), port.into()).into(),
    };
    if id.get() % 4 < 2 { Destination::Udp(address) } else { Destination::Tcp(address) }
}

fn array<const N: usize>(input: &mut Input<'_>) -> [u8; N] {
    std::array::from_fn(|_| input.byte())
}

/// Frames of all lengths in a row are found again, in pieces of any size, by what their beginnings say.
fn frames(input: &mut Input<'_>) {
    let pieces = [(); 4].map(|()| 1 + 16 * usize::from(input.byte()));
    let mut stream = Vec::new();
    let mut lengths = Vec::new();
    while !input.is_empty() && lengths.len() < 16 {
        let length = OVERHEAD + 1 + usize::from(input.word()) % MAX_PLAINTEXT;
        let start = stream.len();
        stream.resize(start + length, 0xff);
        emit_prefix(&mut stream[start..]);
        lengths.push(length);
    }
    let (mut found, mut buffer, mut unread) = (Vec::new(), Vec::new(), &stream[..]);
    for piece in pieces.into_iter().cycle() {
        let (head, tail) = unread.split_at(piece.min(unread.len()));
        buffer.extend_from_slice(head);
        unread = tail;
        while let Some(length) = frame_len(&buffer).expect("a length that can be")
            && length <= buffer.len()
        {
            buffer.drain(..length);
            found.push(length);
        }
        if unread.is_empty() {
            break;
        }
    }
    assert_eq!((found, buffer.len()), (lengths, 0));
}
