//! What the two connections send each other.

pub const OOB: &[u8] = b"tox-relay probe: out of band";
pub const ECHO: &[u8] = b"tox-relay probe: there and back";

/// Sent after packets of several sizes: packets keep their order, so after it nothing more arrives.
pub const END: &[u8] = b"!";

/// From small to large. Tox uses up to 1,400; the protocol has room for 2,031.
pub const DATA_SIZES: [usize; 8] = [256, 512, 1024, 1280, 1400, 1600, 1800, 2031];
/// The protocol has room for 1,024.
pub const OOB_SIZES: [usize; 6] = [64, 256, 512, 768, 1000, 1024];

/// Together 45 KB, less than the 64 KiB that make `tox-bootstrapd` stumble.
pub const BURST_PACKETS: usize = 32;
pub const BURST_LEN: usize = 1400;

/// A packet of this length.
pub fn filled(len: usize) -> Vec<u8> {
    vec![b'.'; len]
}
