//! What is in a packet: a stamp, by which its receiver knows which packet it is and when it was planned, and filling.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest data packet and the longest OOB packet.
pub const MAX_DATA: usize = 2031;
pub const MAX_OOB: usize = 1024;

/// The first bytes of each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The session of the sender: a new one begins whenever its peer comes online.
    pub session: u32,
    /// The number of the packet in its session and of its kind, from 0.
    pub sequence: u64,
    /// When it was to be sent, since the run began.
    pub planned: Duration,
}

impl Stamp {
    /// A packet has at least this many bytes.
    pub const LEN: usize = 4 + 8 + 8;

    /// Writes the stamp to the beginning of a packet.
    ///
    /// # Panics
    ///
    /// If the packet is shorter than a stamp.
    pub fn write(&self, packet: &mut [u8]) {
        packet[..4].copy_from_slice(&self.session.to_be_bytes());
        packet[4..12].copy_from_slice(&self.sequence.to_be_bytes());
        packet[12..Self::LEN].copy_from_slice(&(self.planned.as_nanos() as u64).to_be_bytes());
    }

    /// The stamp of a packet; `None` if it is too short to have one.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (session, rest) = packet.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (planned, _) = rest.split_first_chunk()?;
        Some(Self {
            session: u32::from_be_bytes(*session),
            sequence: u64::from_be_bytes(*sequence),
            planned: Duration::from_nanos(u64::from_be_bytes(*planned)),
        })
    }
}

/// How packets are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data,
    Oob,
}

/// Which packets are sent: their lengths, and how many of them are out of band. Packets with the same number are the
/// same in each run.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The lengths, all equally likely. OOB packets have at most [`MAX_OOB`] bytes.
    pub sizes: RangeInclusive<usize>,
    /// The share of OOB packets, from 0 to 1.
    pub oob: f64,
}

impl Content {
    /// The kind and the length of the packet with this number.
    pub fn packet(&self, number: u64) -> (Kind, usize) {
        let random = mix(number);
        let span = (self.sizes.end() - self.sizes.start() + 1) as u64;
        let length = self.sizes.start() + (random % span) as usize;
        // The upper half, which is independent of the length.
        if ((random >> 32) as f64) < self.oob * 2f64.powi(32) {
            (Kind::Oob, length.min(MAX_OOB))
        } else {
            (Kind::Data, length)
        }
    }
}

/// The function SplitMix64: a random-looking number for each number.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { session: 7, sequence: 1 << 40, planned: Duration::from_nanos(123_456_789_012) };
        let mut packet = [0xff; Stamp::LEN + 3];
        stamp.write(&mut packet);
        assert_eq!(Stamp::read(&packet), Some(stamp));
        assert_eq!(Stamp::read(&packet[..Stamp::LEN]), Some(stamp));
        assert_eq!(Stamp::read(&packet[..Stamp::LEN - 1]), None);
    }

    #[test]
    fn lengths_and_kinds_have_their_shares() {
        let content = Content { sizes: 100..=1400, oob: 0.25 };
        let packets: Vec<_> = (0..10_000).map(|number| content.packet(number)).collect();
        let oob = packets.iter().filter(|(kind, _)| *kind == Kind::Oob).count();
        assert!((2_300..2_700).contains(&oob), "{oob}");
        assert!(packets.iter().all(
            |(kind, length)| (100..=1400).contains(length) && (*kind == Kind::Data || *length <= MAX_OOB)
        ));
        let mean = packets.iter().filter(|(kind, _)| *kind == Kind::Data).map(|(_, length)| length);
        let mean = mean.sum::<usize>() / (packets.len() - oob);
        assert!((725..775).contains(&mean), "{mean}");
    }

    #[test]
    fn all_or_none_are_oob_if_so_asked() {
        let kinds = |oob| (0..1000).map(move |number| Content { sizes: 50..=50, oob }.packet(number));
        assert!(kinds(0.0).all(|packet| packet == (Kind::Data, 50)));
        assert!(kinds(1.0).all(|packet| packet == (Kind::Oob, 50)));
    }
}
