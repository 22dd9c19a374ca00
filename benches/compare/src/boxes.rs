//! The box alone, without sockets: the cost of sealing and opening a packet in three implementations.

use crypto_box::aead::{AeadInPlace, generic_array::GenericArray};
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use interop::SodiumBox;
use tox_test_relay::session::{MAC_LENGTH, Nonce, public_key};

use crate::clients::increment;
use crate::helper::Outcome;
use crate::measure::{Effort, cpu_time, in_turns, nanos};
use crate::own_box::OwnBox;
use crate::table::{Row, Section};

/// A ping, small data, a chat message, larger data, the largest data that Tox sends, and the largest there can be.
const LENGTHS: [usize; 6] = [9, 34, 100, 512, 1373, 2032];

const UP_TO_1024: [usize; 5] = [9, 34, 100, 512, 1024];

/// The size of a batch: the packets that fit are sealed or opened one after the other, as on a busy connection.
const BATCH_LEN: usize = 60 * 1024;

const FIRST_NONCE: Nonce = [0x64; 24];

/// A box with a counted nonce for each direction.
trait PacketBox {
    /// Seals packets of `MAC | plaintext`, `len` bytes each, in place.
    fn seal(&mut self, packets: &mut [u8], len: usize);
    /// Opens packets of `MAC | ciphertext`, `len` bytes each, in place, and returns whether all of them opened.
    fn open(&mut self, packets: &mut [u8], len: usize) -> bool;
}

/// Measures the box with the instructions of this processor, and with those that every processor has.
pub fn measure(effort: &Effort) -> Outcome<[Section; 2]> {
    let title = "The box alone: CPU per packet, ns";
    let rivals = [Rival::Sodium, Rival::CryptoBox];
    let mut best = Section::new(title, &["ours", "libsodium", "`crypto_box` crate"]);
    // Ours should take half of libsodium's time for small packets, and three quarters for large ones.
    let target = |len: usize| if len <= 512 { 2.0 } else { 4.0 / 3.0 };
    compare(&mut best, Rival::Ours, &rivals, &LENGTHS, target, effort)?;

    let title = "The box without AVX2, libsodium with AVX2 if the processor has it: CPU per packet, ns";
    let mut baseline = Section::new(title, &["ours", "libsodium"]);
    compare(&mut baseline, Rival::Baseline, &rivals[..1], &UP_TO_1024, |_| 1.0, effort)?;
    Ok([best, baseline])
}

fn compare(
    section: &mut Section,
    ours: Rival,
    rivals: &[Rival],
    lengths: &[usize],
    target: impl Fn(usize) -> f64,
    effort: &Effort,
) -> Outcome<()> {
    let boxes: Vec<_> = [ours].iter().chain(rivals).copied().collect();
    for (verb, direction) in [("seal", Direction::Seal), ("open", Direction::Open)] {
        let figures = in_turns(effort.turns, lengths.len() * boxes.len(), |subject| {
            let (len, rival) = (lengths[subject / boxes.len()], boxes[subject % boxes.len()]);
            turn(rival, len, effort.bursts, direction)
        })?;
        let rows = lengths.iter().zip(figures.chunks(boxes.len()));
        section.rows.extend(
            rows.map(|(len, row)| Row::new(format!("{verb} {len} bytes"), row).targets(&[target(*len)])),
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Rival {
    Ours,
    Baseline,
    Sodium,
    CryptoBox,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Seal,
    Open,
}

/// The time per packet. Packets to open were sealed by another implementation.
fn turn(measured: Rival, len: usize, batches: usize, direction: Direction) -> Outcome<f64> {
    let (our_secret, their_public) = ([1; 32], public_key(&[2; 32]));
    let shared = SodiumBox::new(&their_public, &our_secret).ok_or("a key of low order")?;
    let shared_key = *shared.key();
    let sodium = Sodium { shared, sending: FIRST_NONCE, receiving: FIRST_NONCE };
    let salsa = Salsa {
        shared: SalsaBox::new(&PublicKey::from(their_public), &SecretKey::from(our_secret)),
        sending: FIRST_NONCE,
        receiving: FIRST_NONCE,
    };
    let own = || OwnBox::new(&shared_key, FIRST_NONCE);
    let (mut measured, mut other): (Box<dyn PacketBox>, Box<dyn PacketBox>) = match measured {
        Rival::Ours => (Box::new(own()), Box::new(sodium)),
        Rival::Baseline => (Box::new(own().baseline()), Box::new(sodium)),
        Rival::Sodium => (Box::new(sodium), Box::new(salsa)),
        Rival::CryptoBox => (Box::new(salsa), Box::new(sodium)),
    };

    let packet_len = MAC_LENGTH + len;
    let count = BATCH_LEN / packet_len;
    let mut packets = vec![0x65; count * packet_len];
    let mut total = 0.0;
    for _ in 0..batches {
        let (spent, opened) = match direction {
            Direction::Seal => {
                let (spent, ()) = cpu_time(|| measured.seal(&mut packets, packet_len));
                (spent, other.open(&mut packets, packet_len))
            }
            Direction::Open => {
                other.seal(&mut packets, packet_len);
                cpu_time(|| measured.open(&mut packets, packet_len))
            }
        };
        if !opened {
            return Err("a packet was not opened".into());
        }
        total += nanos(spent);
    }
    Ok(total / (batches * count) as f64)
}

impl PacketBox for OwnBox {
    fn seal(&mut self, packets: &mut [u8], len: usize) {
        Self::seal(self, packets, len);
    }

    fn open(&mut self, packets: &mut [u8], len: usize) -> bool {
        Self::open(self, packets, len)
    }
}

struct Sodium {
    shared: SodiumBox,
    sending: Nonce,
    receiving: Nonce,
}

impl PacketBox for Sodium {
    fn seal(&mut self, packets: &mut [u8], len: usize) {
        for packet in packets.chunks_exact_mut(len) {
            self.shared.seal(&self.sending, packet);
            increment(&mut self.sending);
        }
    }

    fn open(&mut self, packets: &mut [u8], len: usize) -> bool {
        packets.chunks_exact_mut(len).all(|packet| {
            let opened = self.shared.open(&self.receiving, packet);
            increment(&mut self.receiving);
            opened
        })
    }
}

struct Salsa {
    shared: SalsaBox,
    sending: Nonce,
    receiving: Nonce,
}

impl PacketBox for Salsa {
    fn seal(&mut self, packets: &mut [u8], len: usize) {
        for packet in packets.chunks_exact_mut(len) {
            let (mac, text) = packet.split_at_mut(MAC_LENGTH);
            let nonce = GenericArray::from_slice(&self.sending);
            let tag = self.shared.encrypt_in_place_detached(nonce, b"", text).expect("a short text");
            mac.copy_from_slice(&tag);
            increment(&mut self.sending);
        }
    }

    fn open(&mut self, packets: &mut [u8], len: usize) -> bool {
        packets.chunks_exact_mut(len).all(|packet| {
            let (mac, text) = packet.split_at_mut(MAC_LENGTH);
            let (nonce, mac) = (GenericArray::from_slice(&self.receiving), GenericArray::from_slice(mac));
            let opened = self.shared.decrypt_in_place_detached(nonce, b"", text, mac).is_ok();
            increment(&mut self.receiving);
            opened
        })
    }
}
