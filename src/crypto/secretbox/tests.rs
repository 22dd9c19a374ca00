//! Tests every backend that this processor supports against `crypto_box`, an independent implementation.

use crypto_box::aead::{AeadInPlace, generic_array::GenericArray};
use crypto_box::{PublicKey as BoxPublicKey, SalsaBox, SecretKey as BoxSecretKey};
use proptest::prelude::*;

use super::lanes::Backend;
use super::*;
use crate::crypto::nonce::NONCE_LEN;
use crate::crypto::shared_key::box_key;
use crate::key::KEY_LEN;
use crate::wire::frame::MAX_PLAINTEXT;

const ALICE: [u8; KEY_LEN] = [3; KEY_LEN];
const BOB: [u8; KEY_LEN] = [5; KEY_LEN];

fn key() -> Key {
    let bob = BoxSecretKey::from_bytes(BOB).public_key();
    box_key(&ALICE.into(), &bob.to_bytes().into()).expect("a good key")
}

/// `crypto_box` with the same key.
struct Oracle(SalsaBox);

impl Oracle {
    fn new() -> Self {
        let alice = BoxSecretKey::from_bytes(ALICE).public_key();
        Self(SalsaBox::new(&BoxPublicKey::from_bytes(alice.to_bytes()), &BoxSecretKey::from_bytes(BOB)))
    }

    fn seal(&self, nonce: &Nonce, text: &mut [u8]) -> [u8; MAC_LEN] {
        let nonce = GenericArray::from_slice(nonce.as_bytes());
        self.0.encrypt_in_place_detached(nonce, b"", text).expect("a box takes any text of this size").into()
    }
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + len) as u8).collect()
}

/// Seals and opens packets of these lengths, one after the other, and compares all with the oracle.
fn compare(backend: Backend, nonce: [u8; NONCE_LEN], lengths: impl IntoIterator<Item = usize>) {
    let (key, oracle) = (key(), Oracle::new());
    let mut cipher = CipherState::new(&key, nonce.into());
    let (mut sealing, mut opening) = (KeyStream::with_backend(backend), KeyStream::with_backend(backend));
    let mut nonce = Nonce::from(nonce);
    for (count, len) in lengths.into_iter().enumerate() {
        let plain = text(len);
        let mut expected = plain.clone();
        let expected_tag = oracle.seal(&nonce, &mut expected);
        let mut packet = plain.clone();
        let tag = cipher.seal(&mut sealing, &mut packet);
        assert!(packet == expected && tag == expected_tag, "{backend:?} seals packet {count}, {len} bytes");
        assert!(cipher.open(&mut opening, &tag, &mut packet), "{backend:?}, packet {count}, {len} bytes");
        assert!(packet == plain, "{backend:?} opens packet {count}, {len} bytes");
        cipher.advance(&key, 1);
        nonce.increment();
    }
}

#[test]
fn every_length_is_sealed_as_crypto_box_does() {
    for backend in Backend::available() {
        // Each length alone, in increasing order, and in decreasing order.
        (0..=MAX_PLAINTEXT).for_each(|len| compare(backend, [len as u8; NONCE_LEN], [len]));
        compare(backend, [7; NONCE_LEN], 0..=MAX_PLAINTEXT);
        compare(backend, [7; NONCE_LEN], (0..=MAX_PLAINTEXT).rev());
    }
}

#[test]
fn packets_of_one_length_start_at_different_offsets_in_a_chunk() {
    for backend in Backend::available() {
        for len in
            [0, 1, 31, 32, 33, 95, 96, 97, 160, 480, 481, 512, 544, 1000, 1373, 1400, 2015, MAX_PLAINTEXT]
        {
            compare(backend, [0x5a; NONCE_LEN], [len; 40]);
        }
    }
}

#[test]
fn the_count_carries_into_every_byte_of_the_nonce() {
    for backend in Backend::available() {
        for ones in 0..=NONCE_LEN {
            let mut nonce = [0x11_u8; NONCE_LEN];
            nonce[NONCE_LEN - ones..].fill(0xff);
            // With 3 and 9, the carry happens some packets later, often in the middle of a chunk.
            for before in [0, 3, 9] {
                nonce[NONCE_LEN - 1] = nonce[NONCE_LEN - 1].saturating_sub(before);
                for len in [9, 100, 600] {
                    compare(backend, nonce, [len; 24]);
                }
            }
        }
    }
}

#[test]
fn a_tag_or_text_with_any_bit_flipped_is_rejected_and_not_changed() {
    let cipher = CipherState::new(&key(), [0x33; NONCE_LEN].into());
    for backend in Backend::available() {
        let mut key_stream = KeyStream::with_backend(backend);
        for len in [1, 9, 34, 500, MAX_PLAINTEXT] {
            let mut sealed = text(len);
            let tag = cipher.seal(&mut key_stream, &mut sealed);
            let sealed = sealed;
            for bit in 0..8 * MAC_LEN {
                let (mut tag, mut packet) = (tag, sealed.clone());
                tag[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    !cipher.open(&mut key_stream, &tag, &mut packet),
                    "{backend:?}, {len} bytes, bit {bit} of the tag"
                );
                assert!(packet == sealed);
            }
            for bit in 0..8 * len {
                let mut packet = sealed.clone();
                packet[bit / 8] ^= 1 << (bit % 8);
                let forged = packet.clone();
                assert!(
                    !cipher.open(&mut key_stream, &tag, &mut packet),
                    "{backend:?}, {len} bytes, bit {bit}"
                );
                assert!(packet == forged);
            }
            let mut packet = sealed.clone();
            assert!(cipher.open(&mut key_stream, &tag, &mut packet), "{backend:?}, {len} bytes");
            assert!(packet == text(len));
        }
    }
}

#[test]
fn one_key_stream_can_be_used_by_several_ciphers() {
    for backend in Backend::available() {
        assert_several_ciphers_can_use(KeyStream::with_backend(backend));
    }
}

fn assert_several_ciphers_can_use(mut key_stream: KeyStream) {
    let (key, oracle) = (key(), Oracle::new());
    let other_key = Key([9; 8]);
    let base = [0x77; NONCE_LEN];
    let mut other_base = base;
    other_base[0] ^= 1;
    // The same counts with another key, and with another nonce prefix.
    let ciphers = [
        CipherState::new(&other_key, base.into()),
        CipherState::new(&key, other_base.into()),
        CipherState::new(&key, base.into()),
    ];
    for cipher in &ciphers {
        let _ = cipher.seal(&mut key_stream, &mut text(20));
    }
    for (nonce, cipher) in [(other_base, &ciphers[1]), (base, &ciphers[2])] {
        let (mut packet, mut expected) = (text(20), text(20));
        let expected_tag = oracle.seal(&nonce.into(), &mut expected);
        assert_eq!(cipher.seal(&mut key_stream, &mut packet), expected_tag);
        assert_eq!(packet, expected);
    }
}

#[test]
fn a_wiped_key_stream_contains_only_zeros() {
    Backend::available().map(KeyStream::with_backend).for_each(assert_wiping_leaves_zeros);
}

fn assert_wiping_leaves_zeros(mut key_stream: KeyStream) {
    let cipher = CipherState::new(&key(), [0x77; NONCE_LEN].into());
    let _ = cipher.seal(&mut key_stream, &mut text(MAX_PLAINTEXT));
    assert!(!key_stream.is_wiped());
    key_stream.wipe();
    assert!(key_stream.is_wiped());
    // The zeros are not used as key stream.
    let mut packet = text(20);
    let _ = CipherState::new(&Key([0; 8]), [0; NONCE_LEN].into()).seal(&mut key_stream, &mut packet);
    assert_ne!(packet, text(20));
}

proptest! {
    #[test]
    fn batches_of_mixed_lengths_are_sealed_as_crypto_box_does(
        nonce in prop_oneof![any::<[u8; NONCE_LEN]>(), Just([0xff; NONCE_LEN])],
        lengths in prop::collection::vec(prop_oneof![3 => 0..200_usize, 1 => 0..=MAX_PLAINTEXT], 1..40),
    ) {
        for backend in Backend::available() {
            compare(backend, nonce, lengths.iter().copied());
        }
    }

    /// A socket may not accept packets that were sealed. Their nonces are then used again, for the same packets or for
    /// others.
    #[test]
    fn nonces_of_packets_that_were_not_sent_can_be_used_again(
        lengths in prop::collection::vec(0..400_usize, 2..20),
        back in any::<prop::sample::Index>(),
        other in 0..400_usize,
    ) {
        let (key, oracle) = (key(), Oracle::new());
        let base = CipherState::new(&key, [0xf0; NONCE_LEN].into());
        for backend in Backend::available() {
            let mut key_stream = KeyStream::with_backend(backend);
            let mut cipher = base.clone();
            for len in &lengths {
                let _ = cipher.seal(&mut key_stream, &mut text(*len));
                cipher.advance(&key, 1);
            }
            let mut again = base.clone();
            again.advance(&key, back.index(lengths.len()));
            let (mut packet, mut expected) = (text(other), text(other));
            let expected_tag = oracle.seal(&again.nonce, &mut expected);
            prop_assert_eq!(again.seal(&mut key_stream, &mut packet), expected_tag);
            prop_assert_eq!(packet, expected);
        }
    }
}
