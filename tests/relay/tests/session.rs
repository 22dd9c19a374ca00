//! The relay's side of one connection, byte by byte.

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use tox_test_relay::session::{Broken, Fresh, HELLO_LENGTH, Hello, Key, Nonce, Session, public_key};

const RELAY: Key = [1; 32];
const CLIENT: Key = [2; 32];
const CLIENT_TEMPORARY: Key = [3; 32];
const CLIENT_BASE_NONCE: Nonce = [4; 24];
const FRESH: Fresh = Fresh {
    temporary_secret_key: [5; 32],
    // After the first packet, the carry affects all 24 bytes.
    base_nonce: [0xff; 24],
    response_nonce: [6; 24],
};

/// A box as a client makes it, without code of this crate.
fn sealed(their_public: Key, my_secret: Key, nonce: Nonce, text: &[u8]) -> Vec<u8> {
    let keys = SalsaBox::new(&PublicKey::from(their_public), &SecretKey::from_bytes(my_secret));
    keys.encrypt(&nonce.into(), text).unwrap()
}

fn opened(their_public: Key, my_secret: Key, nonce: Nonce, sealed: &[u8]) -> Option<Vec<u8>> {
    let keys = SalsaBox::new(&PublicKey::from(their_public), &SecretKey::from_bytes(my_secret));
    keys.decrypt(&nonce.into(), sealed).ok()
}

fn hello() -> [u8; HELLO_LENGTH] {
    let offer = [public_key(&CLIENT_TEMPORARY).as_slice(), &CLIENT_BASE_NONCE].concat();
    let sealed = sealed(public_key(&RELAY), CLIENT, [7; 24], &offer);
    [&public_key(&CLIENT)[..], &[7; 24], &sealed].concat().try_into().unwrap()
}

/// The n-th packet of the client.
fn from_client(n: u8, plaintext: &[u8]) -> Vec<u8> {
    let mut nonce = CLIENT_BASE_NONCE;
    nonce[23] += n;
    let sealed = sealed(FRESH.temporary_public_key(), CLIENT_TEMPORARY, nonce, plaintext);
    [&(sealed.len() as u16).to_be_bytes()[..], &sealed].concat()
}

fn session() -> Session {
    Hello::open(&hello(), &RELAY).unwrap().accept(&FRESH).1
}

#[test]
fn the_hello_opens_and_the_response_has_the_chosen_contents() {
    let hello = Hello::open(&hello(), &RELAY).unwrap();
    assert_eq!(*hello.client_public_key(), public_key(&CLIENT));
    assert_eq!(*hello.temporary_public_key(), public_key(&CLIENT_TEMPORARY));
    assert_eq!(*hello.base_nonce(), CLIENT_BASE_NONCE);

    let (response, _) = hello.accept(&FRESH);
    assert_eq!(response[..24], FRESH.response_nonce);
    let offer = opened(public_key(&RELAY), CLIENT, FRESH.response_nonce, &response[24..]).unwrap();
    assert_eq!(offer, [&FRESH.temporary_public_key()[..], &FRESH.base_nonce].concat());

    let (response, _) = hello.answered_by(&[9; 32]).accept(&FRESH);
    assert_eq!(opened(public_key(&RELAY), CLIENT, FRESH.response_nonce, &response[24..]), None);
}

#[test]
fn a_hello_with_any_byte_changed_or_for_another_relay_does_not_open() {
    for at in 0..HELLO_LENGTH {
        let mut forged = hello();
        forged[at] ^= 1;
        assert_eq!(Hello::open(&forged, &RELAY).err(), Some(Broken::Box), "byte {at}");
    }
    assert!(Hello::open(&hello(), &[8; 32]).is_err());
}

#[test]
fn each_packet_increments_all_24_bytes_of_the_nonce() {
    let mut session = session();
    let mut stream = Vec::new();
    session.seal(b"one", &mut stream);
    session.seal(b"two", &mut stream);
    session.seal(b"", &mut stream);
    let mut second = [0; 24];
    for (nonce, text) in [([0xff; 24], &b"one"[..]), (second, b"two")] {
        let packet: Vec<u8> = stream.drain(..2 + 16 + 3).collect();
        assert_eq!(packet[..2], [0, 19]);
        let key = FRESH.temporary_public_key();
        assert_eq!(opened(key, CLIENT_TEMPORARY, nonce, &packet[2..]).unwrap(), text);
    }
    second[23] = 1;
    assert_eq!(stream[..2], [0, 16]);
    assert!(opened(FRESH.temporary_public_key(), CLIENT_TEMPORARY, second, &stream[2..]).is_some());
}

#[test]
fn every_split_of_the_stream_opens_the_same() {
    let plaintexts = [vec![4], vec![16; 40], vec![5; 9]];
    let stream: Vec<u8> = (0..).zip(&plaintexts).flat_map(|(n, text)| from_client(n, text)).collect();
    for at in 0..=stream.len() {
        let mut session = session_with_keys();
        let (first, rest) = stream.split_at(at);
        let mut opened = session.open(first).unwrap();
        opened.extend(session.open(rest).unwrap());
        assert_eq!((opened, session.unfinished()), (plaintexts.to_vec(), 0), "split at {at}");
    }
}

#[test]
fn the_longest_packet_opens_byte_by_byte() {
    let mut session = session();
    let packet = from_client(0, &[200; 2032]);
    assert_eq!(packet.len(), 2050);
    let (last, others) = packet.split_last().unwrap();
    for byte in others {
        assert_eq!(session.open(&[*byte]), Ok(vec![]));
    }
    assert_eq!(session.unfinished(), 2049);
    assert_eq!(session.open(&[*last]), Ok(vec![vec![200; 2032]]));
}

#[test]
fn an_invalid_packet_is_reported_at_once() {
    for length in [0, 1, 16, 2049, 65535_u16] {
        let broken = Broken::Length(length.into());
        assert_eq!(session().open(&length.to_be_bytes()), Err(broken));
    }
    let packet = from_client(0, &[4; 9]);
    for at in 2..packet.len() {
        let mut forged = packet.clone();
        forged[at] ^= 0x80;
        assert_eq!(session().open(&forged), Err(Broken::Box));
    }
    assert_eq!(session().open(&from_client(1, &[4; 9])), Err(Broken::Box), "a packet is missing");
}

#[test]
fn packets_before_a_broken_one_are_reported() {
    let mut got = Vec::new();
    let stream = [&from_client(0, b"whole")[..], &[0, 0]].concat();
    let end = session().open_each(&stream, |plaintext| got.push(plaintext.to_vec()));
    assert_eq!((end, got), (Err(Broken::Length(0)), vec![b"whole".to_vec()]));
}

/// The same session, without computing a handshake.
fn session_with_keys() -> Session {
    let secret = FRESH.temporary_secret_key;
    Session::new(&public_key(&CLIENT_TEMPORARY), &secret, CLIENT_BASE_NONCE, FRESH.base_nonce)
}
