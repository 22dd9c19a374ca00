//! Servers that answer without the relay's key, and replays of earlier handshakes.

use curve25519_dalek::MontgomeryPoint;
use curve25519_dalek::constants::EIGHT_TORSION;

use super::*;

/// A connection that has sent its hello, made with this temporary secret key.
fn greeting(temporary: u8) -> (Connection, Vec<u8>) {
    greeting_of(shared_key(CLIENT_SECRET), temporary)
}

/// As [`greeting`], with any keys.
fn greeting_of(shared_key: Arc<SharedKey>, temporary: u8) -> (Connection, Vec<u8>) {
    let now = Instant::now();
    let mut parameters = parameters(Settings::default());
    parameters.shared_key = shared_key;
    let base_nonce = [temporary; 24];
    let entropy = Entropy { temporary: SecretKey::from([temporary; 32]), base_nonce, ..entropy() };
    let mut connection = begun(parameters, entropy, now);
    connection.handle_connected(now, FIRST);
    let hello = flush(&mut connection, now, &mut [0; 4096]);
    (connection, hello)
}

/// The hello, opened by the relay.
fn opened(hello: &[u8]) -> Hello {
    Hello::open(hello.try_into().unwrap(), &RELAY_SECRET).unwrap()
}

/// The end of a connection that gets this answer, in one piece or byte by byte. There is no event.
#[track_caller]
fn answered(answer: impl Fn(&[u8]) -> Vec<u8>) -> Result<(), DisconnectReason> {
    let [whole, in_bytes] = [usize::MAX, 1].map(|len| {
        let (mut connection, hello) = greeting(3);
        let (mut answer, mut events) = (answer(&hello), Events::with_capacity(8));
        let result = answer.chunks_mut(len).try_for_each(|piece| {
            connection.receive(Instant::now(), FIRST, piece, &mut Shared::new(), &mut events)?;
            assert!(connection.memory() <= MAX_MEMORY);
            Ok(())
        });
        assert!(events.is_empty());
        result
    });
    assert_eq!(whole, in_bytes);
    whole
}

fn impostor(impostor: Impostor) -> Result<(), DisconnectReason> {
    Err(DisconnectReason::Impostor(impostor))
}

#[test]
fn a_response_with_any_bit_flipped_is_rejected() {
    let now = Instant::now();
    for bit in 0..8 * 96 {
        let (mut connection, hello) = greeting(3);
        let (mut response, _) = opened(&hello).accept(&fresh());
        response[bit / 8] ^= 1 << (bit % 8);
        let mut events = Events::with_capacity(8);
        let (last, front) = response.split_last_mut().unwrap();
        assert_eq!(connection.receive(now, FIRST, front, &mut Shared::new(), &mut events), Ok(95));
        assert!(connection.memory() <= MAX_MEMORY);
        let result = connection.receive(now, FIRST, &mut [*last], &mut Shared::new(), &mut events);
        assert_eq!(result, Err(DisconnectReason::Impostor(Impostor::WrongKey)), "bit {bit}");
        assert!(events.is_empty() && !connection.has_output(FIRST));
    }
}

#[test]
fn our_own_bytes_sent_back_are_rejected() {
    // The answers of an echo server, of an attacker who knows the protocol, and of an attacker with the relay's key.
    assert_eq!(answered(|hello| hello.to_vec()), impostor(Impostor::WrongKey));
    assert_eq!(answered(|hello| hello[32..].to_vec()), impostor(Impostor::Reflection));
    let own_key = |hello: &[u8]| {
        let hello = opened(hello);
        hello.respond(&[6; 24], hello.temporary_public_key(), &RELAY_BASE).to_vec()
    };
    assert_eq!(answered(own_key), impostor(Impostor::Reflection));
}

#[test]
fn noise_and_responses_to_other_clients_are_rejected() {
    assert_eq!(answered(|_| vec![0xa5; 96]), impostor(Impostor::WrongKey));
    let others = |_: &[u8]| {
        let mut parameters = parameters(Settings::default());
        parameters.shared_key = shared_key([22; 32]);
        let mut other = begun(parameters, entropy(), Instant::now());
        hello(&mut other, Instant::now()).accept(&fresh()).0.to_vec()
    };
    assert_eq!(answered(others), impostor(Impostor::WrongKey));
    let wrong_key = |hello: &[u8]| opened(hello).answered_by(&[8; 32]).accept(&fresh()).0.to_vec();
    assert_eq!(answered(wrong_key), impostor(Impostor::WrongKey));
    let low_order = |hello: &[u8]| opened(hello).respond(&[6; 24], &[0; 32], &RELAY_BASE).to_vec();
    assert_eq!(answered(low_order), impostor(Impostor::LowOrderKey));
}

/// X25519 treats such a key as its canonical form, which may be the client's own key. No honest relay sends one.
#[test]
fn a_temporary_key_that_is_not_canonical_is_rejected() {
    let with_the_highest_bit = |key: &[u8; 32]| {
        let mut key = *key;
        key[31] |= 0x80;
        key
    };
    let nine_and_p = {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (0xed + 9, 0x7f);
        key
    };
    let own_key = |hello: &[u8]| {
        let hello = opened(hello);
        hello.respond(&[6; 24], &with_the_highest_bit(hello.temporary_public_key()), &CLIENT_BASE).to_vec()
    };
    assert_eq!(answered(own_key), impostor(Impostor::NonCanonicalKey));
    for key in [nine_and_p, with_the_highest_bit(&fresh().temporary_public_key())] {
        let respond = |hello: &[u8]| opened(hello).respond(&[6; 24], &key, &RELAY_BASE).to_vec();
        assert_eq!(answered(respond), impostor(Impostor::NonCanonicalKey));
    }
}

#[test]
fn replayed_messages_never_connect() {
    // A recorded connection: messages of both sides.
    let (_, old_hello) = greeting(33);
    let (old_response, mut relay) = opened(&old_hello).accept(&fresh());
    let mut old_packets = Vec::new();
    relay.seal(&pong(FIRST_PING), &mut old_packets);
    relay.seal(&oob(b"old"), &mut old_packets);
    // An old hello opens as a response, since both boxes have the same key.
    for old in [&old_response[..], &old_hello[32..]] {
        let with_packets = |_: &[u8]| [old, &old_packets].concat();
        assert_eq!(answered(with_packets), impostor(Impostor::Replay));

        // If no packet follows the response, the connection ends without a pong.
        let start = Instant::now();
        let (mut connection, _) = greeting(3);
        connection
            .receive(start, FIRST, &mut old.to_vec(), &mut Shared::new(), &mut Events::with_capacity(8))
            .unwrap();
        assert_eq!(connection.stage(), Stage::Confirming);
        let end = start + seconds(10);
        assert_eq!(connection.deadline(), end);
        let no_pong = Err(DisconnectReason::NoPong(Stage::Confirming));
        assert_eq!(connection.handle_timeout(end, false, NonZeroU64::MIN), no_pong);
        assert!(connection.memory() <= MAX_MEMORY);
    }
}

/// The protocol cannot distinguish this from a relay: both boxes of a handshake have the same key. So the hellos of two
/// clients with one identity are valid responses to each other, and packets of one open at the other. Each takes the
/// other for the relay until the first packet that only clients send.
#[test]
fn two_clients_of_one_identity_connected_to_each_other_end_at_the_first_request() {
    assert_connected_to_each_other(greeting(3), greeting(33));
}

/// The same happens if the identity of each client is the relay's key of the other one, and if the keys of the two
/// relays differ by a point of low order. Within one client, `connect` refuses the second connection.
#[test]
fn connections_with_the_same_shared_key_can_be_connected_to_each_other() {
    let pair = |secret: [u8; 32]| SecretKey::from(secret).into();
    let key = |client: [u8; 32], relay: PublicKey| {
        Arc::new(SharedKey::new(&pair(client), &relay).expect("a good key"))
    };
    let [client, relay] = [CLIENT_SECRET, RELAY_SECRET].map(|secret| PublicKey::from(public_key(&secret)));
    let ordinary = || greeting_of(key(CLIENT_SECRET, relay), 3);
    assert_connected_to_each_other(ordinary(), greeting_of(key(RELAY_SECRET, client), 33));
    let point = MontgomeryPoint(*relay.as_bytes()).to_edwards(0).expect("an honest key");
    for part in EIGHT_TORSION {
        let other = PublicKey::from((point + part).to_montgomery().to_bytes());
        assert_connected_to_each_other(ordinary(), greeting_of(key(CLIENT_SECRET, other), 33));
    }
}

#[track_caller]
fn assert_connected_to_each_other(a: (Connection, Vec<u8>), b: (Connection, Vec<u8>)) {
    let now = Instant::now();
    let ((mut a, hello_a), (mut b, hello_b)) = (a, b);
    let mut events = Events::with_capacity(8);
    a.receive(now, FIRST, &mut hello_b[32..].to_vec(), &mut Shared::new(), &mut events).unwrap();
    b.receive(now, FIRST, &mut hello_a[32..].to_vec(), &mut Shared::new(), &mut events).unwrap();
    assert!(events.is_empty());
    let mut pass = |from: &mut Connection, to: &mut Connection| {
        let mut bytes = flush(from, now, &mut [0; 4096]);
        to.receive(now, FIRST, &mut bytes, &mut Shared::new(), &mut events)
    };
    pass(&mut a, &mut b).unwrap();
    pass(&mut b, &mut a).unwrap();
    assert_eq!((a.stage(), b.stage()), (Stage::Connected, Stage::Connected));
    a.open(key(PEER)).unwrap();
    assert_eq!(pass(&mut a, &mut b), Err(Violation::Kind(0).into()));
    b.send_oob(key(PEER), b"x").unwrap();
    assert_eq!(pass(&mut b, &mut a), Err(Violation::Kind(6).into()));
    assert!(a.memory() <= MAX_MEMORY && b.memory() <= MAX_MEMORY);
    assert_eq!(events.len(), 2, "twice connected, and nothing else");
}
