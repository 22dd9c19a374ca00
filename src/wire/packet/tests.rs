//! Packets, tested with bytes written by hand from the protocol document, with every length, and with arbitrary bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::RangeInclusive;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const PEER: [u8; KEY_LEN] = *b"0123456789abcdefghijklmnopqrstuv";

fn peer() -> PublicKey {
    PEER.into()
}

fn number(id: u8) -> RouteNumber {
    RouteNumber::new(id).expect("a route number")
}

fn ping_id(id: u64) -> NonZeroU64 {
    NonZeroU64::new(id).expect("a ping id")
}

fn udp(address: impl Into<SocketAddr>) -> Destination {
    Destination::Udp(address.into())
}

fn tcp(address: impl Into<SocketAddr>) -> Destination {
    Destination::Tcp(address.into())
}

fn emitted(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = vec![0; packet.emitted_len()];
    packet.emit(&mut bytes);
    bytes
}

/// 198.51.100.7, port 33445 (0x82a5).
const IPV4: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 33445);
/// 2001:db8::102:304, port 443 (0x01bb).
const IPV6: SocketAddrV6 =
    SocketAddrV6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x102, 0x304), 443, 0, 0);

#[test]
fn each_packet_has_the_bytes_of_the_protocol_document() {
    let onion_request: Vec<u8> = (0..178).collect();
    let key = PEER.as_slice();
    let ipv6 = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\x01\x02\x03\x04".as_slice();
    #[rustfmt::skip]
    let table: [(Packet<'_>, Vec<u8>); 20] = [
        (Packet::RoutingRequest { peer: peer() }, [b"\x00", key].concat()),
        (
            Packet::RoutingResponse { number: Some(number(0x10)), peer: peer() },
            [b"\x01", b"\x10".as_slice(), key].concat(),
        ),
        (
            Packet::RoutingResponse { number: Some(number(0xff)), peer: peer() },
            [b"\x01", b"\xff".as_slice(), key].concat(),
        ),
        (
            Packet::RoutingResponse { number: None, peer: peer() },
            [b"\x01", b"\x00".as_slice(), key].concat(),
        ),
        (Packet::ConnectNotification(number(0x10)), b"\x02\x10".to_vec()),
        (Packet::ConnectNotification(number(0xff)), b"\x02\xff".to_vec()),
        (Packet::DisconnectNotification(number(0x11)), b"\x03\x11".to_vec()),
        (Packet::Ping(ping_id(0x0102_0304_0506_0708)), b"\x04\x01\x02\x03\x04\x05\x06\x07\x08".to_vec()),
        (Packet::Pong(ping_id(1)), b"\x05\x00\x00\x00\x00\x00\x00\x00\x01".to_vec()),
        (Packet::OobSend { destination: peer(), data: b"data" }, [b"\x06", key, b"data"].concat()),
        (Packet::OobReceive { sender: peer(), data: b"\0" }, [b"\x07", key, b"\x00"].concat()),
        (Packet::OnionRequest(&onion_request), [b"\x08", onion_request.as_slice()].concat()),
        (Packet::OnionResponse(b"onion"), b"\x09onion".to_vec()),
        (
            Packet::ForwardRequest { destination: udp(IPV4), data: b"forward" },
            b"\x0a\x02\xc6\x33\x64\x07\x82\xa5forward".to_vec(),
        ),
        (
            Packet::ForwardRequest { destination: udp(IPV6), data: b"forward" },
            [b"\x0a\x0a", ipv6, b"\x01\xbb", b"forward"].concat(),
        ),
        (
            Packet::ForwardRequest { destination: tcp(IPV4), data: b"forward" },
            b"\x0a\x82\xc6\x33\x64\x07\x82\xa5forward".to_vec(),
        ),
        (
            Packet::ForwardRequest { destination: tcp(IPV6), data: b"forward" },
            [b"\x0a\x8a", ipv6, b"\x01\xbb", b"forward"].concat(),
        ),
        (Packet::Forwarding(b"\x0b"), b"\x0b\x0b".to_vec()),
        (Packet::Data { number: number(0x10), data: b"data" }, b"\x10data".to_vec()),
        (Packet::Data { number: number(0xff), data: b"" }, b"\xff".to_vec()),
    ];
    for (packet, bytes) in table {
        assert_eq!(emitted(&packet), bytes, "{packet:?}");
        assert_eq!(Packet::parse(&bytes), Ok(packet), "{bytes:02x?}");
        assert_eq!(packet.kind(), bytes[0], "{packet:?}");
    }
}

/// The lengths of whole plaintexts, including the kind, in the protocol document. The forward request has an IPv4
/// destination.
fn legal_lengths(kind: u8) -> Option<RangeInclusive<usize>> {
    Some(match kind {
        0x00 => 33..=33,
        0x01 => 34..=34,
        0x02 | 0x03 => 2..=2,
        0x04 | 0x05 => 9..=9,
        0x06 | 0x07 => 34..=1057,
        0x08 => 179..=1360,
        0x09 => 2..=2032,
        0x0b => 1..=2032,
        0x0a => 1 + 7 + 1..=1 + 7 + 1792,
        0x0c..=0x0f => return None,
        0x10..=0xff => 1..=2032,
    })
}

#[test]
fn each_kind_is_parsed_exactly_at_its_valid_lengths() {
    for kind in 0..=0xff {
        // 130 is an address family, a connection id, and part of a ping id other than 0.
        let mut bytes = [130; 2033];
        bytes[0] = kind;
        for length in 1..=bytes.len() {
            let parsed = Packet::parse(&bytes[..length]);
            match legal_lengths(kind) {
                Some(legal) if legal.contains(&length) => {
                    assert_eq!(parsed.map(|packet| packet.kind()), Ok(kind), "{length} bytes");
                }
                None if length <= 2032 => assert_eq!(parsed, Err(Malformed::Kind(kind)), "{length} bytes"),
                _ => assert_eq!(parsed, Err(Malformed::Length { kind, length })),
            }
        }
    }
    assert_eq!(Packet::parse(&[]), Err(Malformed::Length { kind: 0, length: 0 }));
}

#[test]
fn each_address_family_is_parsed_exactly_at_its_valid_lengths() {
    for (family, destination) in [(2, 7), (130, 7), (10, 19), (138, 19)] {
        let mut bytes = [0; 2033];
        bytes[..2].copy_from_slice(&[0x0a, family]);
        for length in 2..=bytes.len() {
            let parsed = Packet::parse(&bytes[..length]);
            if (1 + destination + 1..=1 + destination + 1792).contains(&length) {
                assert_eq!(parsed.map(|packet| packet.emitted_len()), Ok(length), "family {family}");
            } else {
                assert_eq!(parsed, Err(Malformed::Length { kind: 0x0a, length }), "family {family}");
            }
        }
    }
}

#[test]
fn other_address_families_are_refused() {
    for family in (0..=0xff).filter(|family| ![2, 10, 130, 138].contains(family)) {
        let mut bytes = [0; 40];
        bytes[..2].copy_from_slice(&[0x0a, family]);
        assert_eq!(Packet::parse(&bytes), Err(Malformed::AddressFamily(family)));
    }
}

#[test]
fn a_connection_id_is_16_to_255() {
    for id in 0..=0xff {
        let known = (16..=255).contains(&id);
        assert_eq!(RouteNumber::new(id).map(RouteNumber::get), known.then_some(id));
        for kind in [0x02, 0x03] {
            let parsed = Packet::parse(&[kind, id]).map(|packet| packet.kind());
            assert_eq!(parsed, if known { Ok(kind) } else { Err(Malformed::RouteNumber { kind, id }) });
        }
    }
}

#[test]
fn a_routing_response_refuses_with_0_and_never_with_1_to_15() {
    for id in 0..=0xff {
        let bytes = [&[0x01, id], PEER.as_slice()].concat();
        let expected = match id {
            0 => Ok(Packet::RoutingResponse { number: None, peer: peer() }),
            1..=15 => Err(Malformed::RouteNumber { kind: 0x01, id }),
            _ => Ok(Packet::RoutingResponse { number: RouteNumber::new(id), peer: peer() }),
        };
        assert_eq!(Packet::parse(&bytes), expected);
    }
}

#[test]
fn a_ping_id_of_0_is_refused() {
    for kind in [0x04, 0x05] {
        assert_eq!(Packet::parse(&[kind, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed::PingId));
        for byte in 1..=8 {
            let mut bytes = [kind, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[byte] = 1;
            assert!(Packet::parse(&bytes).is_ok(), "byte {byte}");
        }
    }
}

#[test]
fn each_malformed_packet_has_its_violation() {
    for (bytes, violation) in [
        (&[0x0c][..], Violation::Kind(0x0c)),
        (&[0x02], Violation::Length { kind: 0x02, length: 1 }),
        (&[0x03, 15], Violation::RouteNumber { kind: 0x03, id: 15 }),
        (&[0x04, 0, 0, 0, 0, 0, 0, 0, 0], Violation::PingId),
        (&[0x0a, 99], Violation::Kind(0x0a)),
    ] {
        assert_eq!(Packet::parse(bytes).map_err(Violation::from), Err(violation));
    }
}

#[test]
fn emitting_does_not_change_the_bytes_after_the_packet() {
    let mut out = [0xee; 4];
    Packet::ConnectNotification(number(0x10)).emit(&mut out);
    assert_eq!(out, [0x02, 0x10, 0xee, 0xee]);
}

/// The fields of a packet, with owned data.
#[derive(Debug, Clone)]
enum Parts {
    WithoutData(Packet<'static>),
    OobSend(PublicKey, Vec<u8>),
    OobReceive(PublicKey, Vec<u8>),
    OnionRequest(Vec<u8>),
    OnionResponse(Vec<u8>),
    ForwardRequest(Destination, Vec<u8>),
    Forwarding(Vec<u8>),
    Data(RouteNumber, Vec<u8>),
}

impl Parts {
    fn packet(&self) -> Packet<'_> {
        match self {
            Self::WithoutData(packet) => *packet,
            Self::OobSend(destination, data) => Packet::OobSend { destination: *destination, data },
            Self::OobReceive(sender, data) => Packet::OobReceive { sender: *sender, data },
            Self::OnionRequest(data) => Packet::OnionRequest(data),
            Self::OnionResponse(data) => Packet::OnionResponse(data),
            Self::ForwardRequest(destination, data) => {
                Packet::ForwardRequest { destination: *destination, data }
            }
            Self::Forwarding(data) => Packet::Forwarding(data),
            Self::Data(number, data) => Packet::Data { number: *number, data },
        }
    }
}

fn any_parts() -> impl Strategy<Value = Parts> {
    use proptest::collection::vec;
    let key = || any::<[u8; KEY_LEN]>().prop_map(PublicKey::from);
    let id = || (16..=255_u8).prop_map(number);
    let ping = || (1..=u64::MAX).prop_map(ping_id);
    let data = |lengths: RangeInclusive<usize>| vec(any::<u8>(), lengths);
    // Flow label and scope are not sent.
    let ipv6 = (any::<Ipv6Addr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV6::new(ip, port, 0, 0));
    let address = prop_oneof![
        (any::<Ipv4Addr>(), any::<u16>()).prop_map(SocketAddr::from),
        ipv6.prop_map(SocketAddr::from)
    ];
    let destination = (any::<bool>(), address)
        .prop_map(|(is_udp, address)| if is_udp { udp(address) } else { tcp(address) });
    prop_oneof![
        key().prop_map(|peer| Parts::WithoutData(Packet::RoutingRequest { peer })),
        (proptest::option::of(id()), key())
            .prop_map(|(number, peer)| Parts::WithoutData(Packet::RoutingResponse { number, peer })),
        id().prop_map(|id| Parts::WithoutData(Packet::ConnectNotification(id))),
        id().prop_map(|id| Parts::WithoutData(Packet::DisconnectNotification(id))),
        ping().prop_map(|id| Parts::WithoutData(Packet::Ping(id))),
        ping().prop_map(|id| Parts::WithoutData(Packet::Pong(id))),
        (key(), data(1..=1024)).prop_map(|(key, data)| Parts::OobSend(key, data)),
        (key(), data(1..=1024)).prop_map(|(key, data)| Parts::OobReceive(key, data)),
        data(178..=1359).prop_map(Parts::OnionRequest),
        data(1..=2031).prop_map(Parts::OnionResponse),
        (destination, data(1..=1792)).prop_map(|(to, data)| Parts::ForwardRequest(to, data)),
        data(1..=2031).prop_map(Parts::Forwarding),
        (id(), data(0..=2031)).prop_map(|(id, data)| Parts::Data(id, data)),
    ]
}

/// Bytes that often are a packet: the lengths are chosen, since random ones would rarely be valid.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let kind_and_length = (any::<u8>(), any::<u8>()).prop_flat_map(|(kind, spread)| {
        let kind = if spread % 4 == 0 { kind } else { kind % 0x10 };
        let length = match legal_lengths(kind) {
            Some(legal) => legal.start() + usize::from(spread / 4) % (legal.end() - legal.start() + 1),
            None => 1 + usize::from(spread),
        };
        (Just(kind), proptest::collection::vec(any::<u8>(), length - 1))
    });
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..2100),
        3 => kind_and_length.prop_map(|(kind, rest)| [&[kind], rest.as_slice()].concat()),
        1 => (any::<[u8; 64]>(), prop::sample::select(&[2_u8, 10, 130, 138][..])).prop_map(|(rest, family)| {
            [&[0x0a, family], rest.as_slice()].concat()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_emitted_packet_parses_as_the_same_packet(parts in any_parts()) {
        let packet = parts.packet();
        let bytes = emitted(&packet);
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }

    /// No bytes make the parser panic.
    #[test]
    fn a_parsed_packet_is_emitted_as_the_same_bytes(bytes in any_bytes()) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(emitted(&packet), bytes);
        }
    }
}
