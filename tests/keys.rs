//! Keys that `connect` refuses: those that no relay has, and those with which a man in the middle could connect two
//! connections to each other.

mod support;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, MontgomeryPoint};
use support::{GUARD, Peer, any_key, honest};
use tox_relay_client::{ConnectError, ConnectionId, PublicKey, Relay, SecretKey};

/// The same key for X25519, which ignores this bit.
fn with_the_highest_bit(key: PublicKey) -> PublicKey {
    let mut bytes = *key.as_bytes();
    bytes[31] |= 0x80;
    bytes.into()
}

/// The keys that have the same shared secret with every other key as this one, and differ from it by a point of low
/// order.
fn forms(key: PublicKey) -> impl Iterator<Item = PublicKey> {
    let point = MontgomeryPoint(*key.as_bytes()).to_edwards(0).expect("an honest key");
    let form = move |part: EdwardsPoint| PublicKey::from((point + part).to_montgomery().to_bytes());
    EIGHT_TORSION.into_iter().map(form).filter(move |form| *form != key)
}

/// Two ports of an attacker, who would exchange the hellos that arrive there.
fn attacker_ports() -> [(TcpListener, SocketAddr); 2] {
    [(); 2].map(|()| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    })
}

/// `second` is refused while `first` exists, in either order, and accepted when `first` has ended.
#[track_caller]
fn assert_refused_while_the_other_exists(
    first: impl Fn(SocketAddr) -> Relay,
    second: impl Fn(SocketAddr) -> Relay,
    is_refused: impl Fn(ConnectError, ConnectionId) -> bool,
) {
    let mut peer = Peer::new();
    let [(one, at_one), (other, at_other)] = attacker_ports();
    for (first, second) in [(&first as &dyn Fn(_) -> _, &second as &dyn Fn(_) -> _), (&second, &first)] {
        let id = peer.client.connect(first(at_one)).unwrap();
        let (mut stream, _) = one.accept().unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        peer.until("the hello is sent", |peer| peer.client.connection(id).unwrap().traffic.bytes_out == 128);
        stream.read_exact(&mut [0; 128]).unwrap();
        let refused = peer.client.connect(second(at_other)).unwrap_err();
        assert!(is_refused(refused, id));
        assert_eq!(peer.client.connections().collect::<Vec<_>>(), [id]);
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err(), "no hello for the other port");
        assert!(peer.client.disconnect(id));
        let later = peer.client.connect(second(at_other)).unwrap();
        assert!(peer.client.disconnect(later));
        peer.poll(Duration::ZERO);
        other.set_nonblocking(false).unwrap();
        other.accept().unwrap();
    }
}

fn is_same_shared_key(refused: ConnectError, first: ConnectionId) -> bool {
    matches!(refused, ConnectError::SameSharedKey(id) if id == first)
}

#[test]
fn a_relays_key_in_another_encoding_is_refused() {
    let relay = honest();
    let mut peer = Peer::new();
    let key = PublicKey::from(relay.public_key());
    // 9 and p; the relay's own key.
    let mut nine = [0xff; 32];
    (nine[0], nine[31]) = (0xed + 9, 0x7f);
    for other in [nine.into(), with_the_highest_bit(key), with_the_highest_bit(any_key())] {
        let result = peer.client.connect(Relay::new(relay.addr(), other));
        assert!(matches!(result, Err(ConnectError::NonCanonicalKey)), "{result:?}");
    }
    peer.connect(&relay);
}

#[test]
fn two_forms_of_one_relays_key_are_never_connected_at_once() {
    let key = any_key();
    let mut count = 0;
    for form in forms(key) {
        let of = |key| move |address: SocketAddr| Relay::new(address, key);
        assert_refused_while_the_other_exists(of(key), of(form), is_same_shared_key);
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn connections_with_identity_and_relay_exchanged_never_exist_at_once() {
    let (one, other) = (SecretKey::generate(), SecretKey::generate());
    let of = |identity: &SecretKey, relay: &PublicKey| {
        let (identity, relay) = (identity.clone(), *relay);
        move |address: SocketAddr| Relay::new(address, relay).identity(identity.clone())
    };
    assert_refused_while_the_other_exists(
        of(&one, &other.public_key()),
        of(&other, &one.public_key()),
        is_same_shared_key,
    );
    for form in forms(other.public_key()) {
        assert_refused_while_the_other_exists(
            of(&one, &form),
            of(&other, &one.public_key()),
            is_same_shared_key,
        );
    }
}

#[test]
fn a_relay_that_has_our_own_key_is_refused() {
    let mut peer = Peer::new();
    let other = SecretKey::generate();
    let [(_, address), _] = attacker_ports();
    for relay in
        [Relay::new(address, peer.key), Relay::new(address, other.public_key()).identity(other.clone())]
    {
        let result = peer.client.connect(relay);
        assert!(matches!(result, Err(ConnectError::OwnKey)), "{result:?}");
    }
    assert_eq!(peer.client.connections().count(), 0);
}
