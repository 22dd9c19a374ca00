//! Tests against bytes from other implementations, and against everything that an attacker without the key can send.

use std::sync::Arc;

use crypto_box::aead::Aead;
use crypto_box::{PublicKey as BoxPublicKey, SalsaBox, SecretKey as BoxSecretKey};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};

use super::nonce::NONCE_LEN;
use super::shared_key::box_key;
use super::*;
use crate::error::Impostor;
use crate::key::{KEY_LEN, PublicKey, SecretKey};
use crate::wire::frame::{MAC_LEN, MAX_PLAINTEXT};

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn array<const LEN: usize>(digits: &str) -> [u8; LEN] {
    hex(digits).try_into().expect("as many digits as the array has")
}

/// Bytes that count up, like the secret keys of the vectors below.
fn counting<const LEN: usize>(first: u8) -> [u8; LEN] {
    std::array::from_fn(|at| first + at as u8)
}

fn salsa_box(public: [u8; KEY_LEN], secret: [u8; KEY_LEN]) -> SalsaBox {
    SalsaBox::new(&BoxPublicKey::from_bytes(public), &BoxSecretKey::from_bytes(secret))
}

fn public_key(secret: [u8; KEY_LEN]) -> PublicKey {
    SecretKey::from(secret).public_key()
}

fn shared_key(client: [u8; KEY_LEN], relay: [u8; KEY_LEN]) -> Arc<SharedKey> {
    let client = SecretKey::from(client).into();
    Arc::new(SharedKey::new(&client, &public_key(relay)).expect("a good key"))
}

/// `MAC | ciphertext` with an explicit nonce, as the other side seals it.
fn sealed(cipher: &SalsaBox, nonce: [u8; NONCE_LEN], text: &[u8]) -> Vec<u8> {
    cipher.encrypt(&nonce.into(), text).expect("a box takes any text of this size")
}

/// Seals the next packet of a channel, and commits it.
fn send(channel: &mut Channel, text: &[u8]) -> Vec<u8> {
    let mut packet = [&[0; MAC_LEN], text].concat();
    channel.sealer(&mut KeyStream::new()).seal(&mut packet);
    channel.commit(1);
    packet
}

/// Opens the next packet with a channel.
fn open(channel: &mut Channel, sealed: &[u8]) -> Option<Vec<u8>> {
    channel.open(&mut KeyStream::new(), &mut sealed.to_vec()).map(<[u8]>::to_vec)
}

/// `base + count`, computed on two halves of 96 bits.
fn nonce_plus(base: [u8; NONCE_LEN], count: u128) -> [u8; NONCE_LEN] {
    let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let low = half(&base[12..]) + count;
    let high = half(&base[..12]) + (low >> 96);
    let mut nonce = [0; NONCE_LEN];
    nonce[..12].copy_from_slice(&high.to_be_bytes()[4..]);
    nonce[12..].copy_from_slice(&low.to_be_bytes()[4..]);
    nonce
}

/// The example of "Cryptography in NaCl" (Bernstein, 2009), sections 2 to 10: the keys of Alice and Bob, a nonce, a
/// message of 131 bytes, and its box of 147 bytes.
mod nacl {
    pub(super) const ALICE_SECRET: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    pub(super) const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    pub(super) const BOB_SECRET: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    pub(super) const BOB_PUBLIC: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    pub(super) const NONCE: &str = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
    pub(super) const MESSAGE: &str = concat!(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc",
        "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31",
        "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde",
        "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864",
        "5e0705",
    );
    pub(super) const BOX: &str = concat!(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce",
        "48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972",
        "71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae",
        "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3",
        "7973f622a43d14a6599b1f654cb45a74e355a5",
    );
}

#[test]
fn a_channel_seals_and_opens_the_published_box_of_nacl() {
    let nonce = array::<NONCE_LEN>(nacl::NONCE);
    let key = |public, secret| {
        box_key(&array::<KEY_LEN>(secret).into(), &array::<KEY_LEN>(public).into()).expect("a good key")
    };
    let alice = key(nacl::BOB_PUBLIC, nacl::ALICE_SECRET);
    let mut alice = Channel::new(&alice, nonce.into(), [0; NONCE_LEN].into());
    assert_eq!(send(&mut alice, &hex(nacl::MESSAGE)), hex(nacl::BOX));

    let bob = key(nacl::ALICE_PUBLIC, nacl::BOB_SECRET);
    let mut bob = Channel::new(&bob, [0; NONCE_LEN].into(), nonce.into());
    assert_eq!(open(&mut bob, &hex(nacl::BOX)), Some(hex(nacl::MESSAGE)));
}

#[test]
fn a_handshake_with_the_temporary_keys_of_nacl_results_in_the_published_box() {
    let nonce = array::<NONCE_LEN>(nacl::NONCE);
    let (identity, relay) = (counting(0x01), counting(0x41));
    let entropy = Entropy {
        temporary: array::<KEY_LEN>(nacl::ALICE_SECRET).into(),
        hello_nonce: [1; NONCE_LEN],
        base_nonce: nonce,
    };
    let (handshake, _) = Handshake::new(shared_key(identity, relay), &entropy);
    let payload = [array::<KEY_LEN>(nacl::BOB_PUBLIC).as_slice(), &nonce].concat();
    let response = response_of(identity, relay, &payload);
    let mut channel = handshake.finish(&response, &[]).expect("a good response");
    assert_eq!(send(&mut channel, &hex(nacl::MESSAGE)), hex(nacl::BOX));
    assert_eq!(open(&mut channel, &hex(nacl::BOX)), Some(hex(nacl::MESSAGE)));
}

/// One connection, computed with PyNaCl 1.6.2: `crypto_scalarmult_base` for the public keys, `crypto_box` for the boxes
/// of the handshake, `crypto_box_afternm` for the packets. Every secret key and nonce counts up from the byte given
/// here, except the last bytes of the base nonces: these carry with the second packet. The relay's temporary key counts
/// up from 0xc1, and the nonce of its box from 0x50.
mod vector {
    pub(super) const IDENTITY: u8 = 0x01;
    pub(super) const RELAY: u8 = 0x41;
    pub(super) const CLIENT_TEMPORARY: u8 = 0x81;
    pub(super) const HELLO_NONCE: u8 = 0x10;
    pub(super) const CLIENT_BASE_NONCE: &str = "909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6ff";
    // The relay's base nonce: d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5ffff.

    pub(super) const HELLO: &str = concat!(
        "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c",
        "101112131415161718191a1b1c1d1e1f2021222324252627",
        "7eff91032addb8ca7f2dcc4413f740c9",
        "beff8d13554b8fb1d22c09ebdc17eab8a365087a6bd1c095c11d26cbb0a5c3b7",
        "2f04eaf7cd1378d1f72be8aa4cde657b1d658826b75fe5a2",
    );
    pub(super) const RESPONSE: &str = concat!(
        "505152535455565758595a5b5c5d5e5f6061626364656667",
        "f53bab376efe199332848fd8fe421272",
        "81e8e481d6f7cd171559725873ddc40899d7a56f3ba9a0fd708ecac3c4aab75a",
        "091aacba87f05075452975bee12a0eb7cad5fe817f9ed36f",
    );
    /// The client's packets: twice the ping 04 01 02 .. 08.
    pub(super) const PINGS: [&str; 2] = [
        "c25e5f4552a228fcf4a5c8f838a6b35bdc250793c62f8aa011",
        "dd153414daf37f0552fa52bc5b373fa0584d62b4042221bd5b",
    ];
    /// The relay's packets: twice the pong 05 01 02 .. 08.
    pub(super) const PONGS: [&str; 2] = [
        "0ef6898c8e8d784b7f34a2182e692d92c2397eeb268721eb9f",
        "7d26888290d3f41f242d88e552a111193c208bb98a2368dda9",
    ];
}

fn vector_handshake() -> (Handshake, Vec<u8>) {
    let entropy = Entropy {
        temporary: counting(vector::CLIENT_TEMPORARY).into(),
        hello_nonce: counting(vector::HELLO_NONCE),
        base_nonce: array(vector::CLIENT_BASE_NONCE),
    };
    let identity = counting(vector::IDENTITY);
    let (handshake, hello) = Handshake::new(shared_key(identity, counting(vector::RELAY)), &entropy);
    (handshake, hello.to_vec())
}

/// A response from the relay of the vector, with this temporary key.
fn vector_response(temporary: &[u8; KEY_LEN]) -> [u8; RESPONSE_LEN] {
    let payload = [temporary.as_slice(), &[7; NONCE_LEN]].concat();
    response_of(counting(vector::IDENTITY), counting(vector::RELAY), &payload)
}

fn response_of(identity: [u8; KEY_LEN], relay: [u8; KEY_LEN], payload: &[u8]) -> [u8; RESPONSE_LEN] {
    let cipher = salsa_box(*public_key(identity).as_bytes(), relay);
    let nonce = [0x2a; NONCE_LEN];
    [nonce.as_slice(), &sealed(&cipher, nonce, payload)].concat().try_into().expect("a response")
}

#[test]
fn the_hello_has_the_bytes_that_pynacl_computes() {
    assert_eq!(vector_handshake().1, hex(vector::HELLO));
}

#[test]
fn a_response_computed_by_pynacl_results_in_the_same_channel() {
    let (handshake, _) = vector_handshake();
    let mut channel = handshake.finish(&array(vector::RESPONSE), &[]).expect("a good response");
    let (ping, pong) = ([4, 1, 2, 3, 4, 5, 6, 7, 8], [5, 1, 2, 3, 4, 5, 6, 7, 8]);
    for sealed in vector::PINGS {
        assert_eq!(send(&mut channel, &ping), hex(sealed));
    }
    for sealed in vector::PONGS {
        assert_eq!(open(&mut channel, &hex(sealed)), Some(pong.to_vec()));
    }
}

#[test]
fn a_response_with_any_bit_flipped_is_rejected() {
    let (handshake, _) = vector_handshake();
    for bit in 0..8 * RESPONSE_LEN {
        let mut response = array::<RESPONSE_LEN>(vector::RESPONSE);
        response[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(handshake.finish(&response, &[]).err(), Some(Impostor::WrongKey), "bit {bit}");
    }
}

#[test]
fn a_response_of_another_relay_or_to_another_client_is_rejected() {
    let (handshake, _) = vector_handshake();
    let payload = [public_key(counting(0xc1)).as_bytes().as_slice(), &[7; NONCE_LEN]].concat();
    let other = response_of(counting(vector::IDENTITY), counting(0x42), &payload);
    assert_eq!(handshake.finish(&other, &[]).err(), Some(Impostor::WrongKey));
    let for_other = response_of(counting(0x02), counting(vector::RELAY), &payload);
    assert_eq!(handshake.finish(&for_other, &[]).err(), Some(Impostor::WrongKey));
}

#[test]
fn our_own_hello_sent_back_is_a_reflection() {
    let (handshake, hello) = vector_handshake();
    let reflected: [u8; RESPONSE_LEN] = hello[KEY_LEN..].try_into().expect("nonce and box of the hello");
    assert_eq!(handshake.finish(&reflected, &[]).err(), Some(Impostor::Reflection));
}

#[test]
fn our_own_temporary_key_sealed_by_the_relay_is_a_reflection() {
    let (handshake, _) = vector_handshake();
    let own = public_key(counting(vector::CLIENT_TEMPORARY));
    assert_eq!(handshake.finish(&vector_response(own.as_bytes()), &[]).err(), Some(Impostor::Reflection));
}

/// The points of low order (1, 2, 4 and 8) of Curve25519 and its twist, little endian: 0, 1, two of order 8, p-1; and p
/// and p+1, which equal 0 and 1. X25519 ignores the highest bit, so each point has two encodings.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn low_order_keys() -> impl Iterator<Item = [u8; KEY_LEN]> {
    LOW_ORDER.into_iter().flat_map(|digits| {
        [0, 0x80].map(|highest_bit| {
            let mut key = array::<KEY_LEN>(digits);
            key[KEY_LEN - 1] |= highest_bit;
            key
        })
    })
}

fn is_low_order(key: [u8; KEY_LEN]) -> bool {
    box_key(&counting::<KEY_LEN>(1).into(), &key.into()).is_none()
}

#[test]
fn a_public_key_of_low_order_has_no_shared_key() {
    for key in low_order_keys() {
        for first in 0..50 {
            let secret = SecretKey::from(counting::<KEY_LEN>(first));
            assert!(box_key(&secret, &key.into()).is_none(), "{key:02x?}");
        }
        assert!(SharedKey::new(&SecretKey::from([1; KEY_LEN]).into(), &key.into()).is_err());
    }
}

/// With a secret scalar that is not a multiple of 8, such a key would reveal some of the scalar's bits.
#[test]
fn a_component_of_low_order_in_a_public_key_does_not_change_the_shared_key() {
    for first in 1..20 {
        let (secret, scalar) = (SecretKey::from(counting(first)), Scalar::from(u64::from(first) + 1000));
        let honest = ED25519_BASEPOINT_POINT * scalar;
        let key = |point: EdwardsPoint| {
            let public = PublicKey::from(point.to_montgomery().to_bytes());
            box_key(&secret, &public).expect("a good key").0
        };
        assert!(EIGHT_TORSION.iter().all(|part| key(honest + part) == key(honest)));
    }
}

#[test]
fn a_temporary_key_of_low_order_is_refused() {
    let (handshake, _) = vector_handshake();
    for key in low_order_keys() {
        let refused = handshake.finish(&vector_response(&key), &[]).err();
        let expected = match PublicKey::from(key).is_canonical() {
            true => Impostor::LowOrderKey,
            false => Impostor::NonCanonicalKey,
        };
        assert_eq!(refused, Some(expected), "{key:02x?}");
    }
}

#[test]
fn ordinary_keys_and_neighbours_of_low_order_are_not_of_low_order() {
    for first in 0..200 {
        assert!(!is_low_order(*public_key(counting(first)).as_bytes()), "secret key from {first}");
    }
    for key in low_order_keys() {
        for bit in (1..=254).filter(|bit| bit % 8 < 4) {
            let mut neighbour = key;
            neighbour[bit / 8] ^= 1 << (bit % 8);
            let listed = low_order_keys().any(|key| key == neighbour);
            assert_eq!(is_low_order(neighbour), listed, "{neighbour:02x?}");
        }
    }
}

/// A channel with these nonces, and the relay's cipher with the same key.
fn channel(sending: [u8; NONCE_LEN], receiving: [u8; NONCE_LEN]) -> (Box<Channel>, SalsaBox) {
    let (client, relay) = (counting(0x81), counting(0xc1));
    let key = box_key(&client.into(), &public_key(relay)).expect("a good key");
    let channel = Channel::new(&key, sending.into(), receiving.into());
    (channel, salsa_box(*public_key(client).as_bytes(), relay))
}

#[test]
fn a_packet_with_any_bit_flipped_does_not_open_and_uses_no_nonce() {
    let nonce = counting(0x10);
    let (mut channel, relay) = channel([0; NONCE_LEN], nonce);
    let good = sealed(&relay, nonce, b"some text");
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let flipped = bad.clone();
        assert_eq!(channel.open(&mut KeyStream::new(), &mut bad), None, "bit {bit}");
        assert_eq!(bad, flipped, "bit {bit}");
    }
    assert_eq!(open(&mut channel, &good).as_deref(), Some(b"some text".as_slice()));
    assert_eq!(open(&mut channel, &good), None, "a second time");
}

#[test]
fn a_truncated_packet_does_not_open() {
    let nonce = counting(0x10);
    let (mut channel, relay) = channel([0; NONCE_LEN], nonce);
    let good = sealed(&relay, nonce, b"some text");
    for len in 0..good.len() {
        assert_eq!(open(&mut channel, &good[..len]), None, "{len} bytes");
    }
    assert_eq!(open(&mut channel, &good).as_deref(), Some(b"some text".as_slice()));
}

#[test]
fn both_directions_count_with_carries_through_all_24_bytes() {
    for ones in 0..=NONCE_LEN {
        let mut base = [0x55; NONCE_LEN];
        base[NONCE_LEN - ones..].fill(0xff);
        let (mut channel, relay) = channel(base, base);
        for count in 0..3 {
            let nonce = nonce_plus(base, count);
            assert_eq!(send(&mut channel, b"out"), sealed(&relay, nonce, b"out"), "{ones} bytes of 0xff");
            let opened = open(&mut channel, &sealed(&relay, nonce, b"in"));
            assert_eq!(opened.as_deref(), Some(b"in".as_slice()), "{ones} bytes of 0xff");
        }
    }
}

#[test]
fn the_nonces_of_the_two_directions_are_counted_separately() {
    let (out, back) = (counting(0x10), counting(0x90));
    let (mut channel, relay) = channel(out, back);
    for count in 0..5 {
        assert_eq!(send(&mut channel, b"out"), sealed(&relay, nonce_plus(out, count), b"out"));
    }
    assert!(open(&mut channel, &sealed(&relay, back, b"in")).is_some());
    assert_eq!(send(&mut channel, b"out"), sealed(&relay, nonce_plus(out, 5), b"out"));
}

#[test]
fn nonces_of_packets_that_were_not_committed_are_used_again() {
    let base = counting(0x10);
    let (mut channel, relay) = channel(base, [0; NONCE_LEN]);
    let batch = |channel: &Channel, texts: &[&[u8]]| -> Vec<Vec<u8>> {
        let mut key_stream = KeyStream::new();
        let mut sealer = channel.sealer(&mut key_stream);
        let seal = |text: &&[u8]| {
            let mut packet = [&[0; MAC_LEN], *text].concat();
            sealer.seal(&mut packet);
            packet
        };
        texts.iter().map(seal).collect()
    };
    let expected = |first: u128, texts: &[&[u8]]| -> Vec<Vec<u8>> {
        texts.iter().zip(first..).map(|(text, count)| sealed(&relay, nonce_plus(base, count), text)).collect()
    };

    let five = [b"a".as_slice(), b"b", b"c", b"d", b"e"];
    assert_eq!(batch(&channel, &five), expected(0, &five));
    channel.commit(2);
    // A more important packet is sent before the three that remain.
    let next = [b"!".as_slice(), b"c", b"d", b"e"];
    assert_eq!(batch(&channel, &next), expected(2, &next));
    channel.commit(0);
    assert_eq!(batch(&channel, &next), expected(2, &next));
    channel.commit(4);
    assert_eq!(batch(&channel, &five), expected(6, &five));
}

#[test]
fn the_longest_packet_is_sealed_and_opened() {
    let text = [0x5a; MAX_PLAINTEXT];
    let (mut channel, relay) = channel([3; NONCE_LEN], [4; NONCE_LEN]);
    assert_eq!(send(&mut channel, &text), sealed(&relay, [3; NONCE_LEN], &text));
    assert_eq!(open(&mut channel, &sealed(&relay, [4; NONCE_LEN], &text)), Some(text.to_vec()));
}
