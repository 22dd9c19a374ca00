//! Poly1305 (RFC 8439, section 2.5) on two limbs of 64 bits and a small third one.

use std::hint::black_box;

use zeroize::Zeroize;

use crate::wire::frame::MAC_LEN;

/// The length of a key. Each key authenticates one message.
pub(super) const MAC_KEY_LEN: usize = 32;

/// The length of a block.
pub(super) const MAC_BLOCK_LEN: usize = 16;

/// The state after any number of blocks. Wiped when dropped.
pub(super) struct Poly1305 {
    /// The accumulator, partially reduced: the third limb is at most 4.
    h: [u64; 3],
    r0: u64,
    r1: u64,
    /// 5/4 of `r1`: since `r1` is a multiple of 4, `r1 * 2^128 = r1 / 4 * 2^130`, which is this modulo 2^130 - 5.
    s1: u64,
    pad: u128,
}

impl Poly1305 {
    pub(super) fn new(key: &[u8; MAC_KEY_LEN]) -> Self {
        let ([r, pad], _) = key.as_chunks::<16>() else { unreachable!("a key is two halves") };
        let r = u128::from_le_bytes(*r) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        let (r0, r1) = (r as u64, (r >> 64) as u64);
        Self { h: [0; 3], r0, r1, s1: r1 + (r1 >> 2), pad: u128::from_le_bytes(*pad) }
    }

    /// A state without a key, for when there is nothing to authenticate.
    pub(super) fn idle() -> Self {
        Self { h: [0; 3], r0: 0, r1: 0, s1: 0, pad: 0 }
    }

    /// Processes whole blocks.
    #[inline(always)]
    pub(super) fn update(&mut self, blocks: &[[u8; MAC_BLOCK_LEN]]) {
        for block in blocks {
            self.block(block, 1);
        }
    }

    /// `h = (h + block + high * 2^128) * r`, modulo 2^130 - 5.
    #[inline(always)]
    fn block(&mut self, block: &[u8; MAC_BLOCK_LEN], high: u64) {
        let mul = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let block = u128::from_le_bytes(*block);
        let a = u128::from(self.h[0]) + (block & u128::from(u64::MAX));
        let b = u128::from(self.h[1]) + (block >> 64) + (a >> 64);
        let (h0, h1, h2) = (a as u64, b as u64, self.h[2] + high + (b >> 64) as u64);
        let d0 = mul(h0, self.r0) + mul(h1, self.s1);
        let d1 = mul(h0, self.r1) + mul(h1, self.r0) + u128::from(h2 * self.s1) + (d0 >> 64);
        let d2 = h2 * self.r0 + (d1 >> 64) as u64;
        let e0 = u128::from(d0 as u64) + u128::from((d2 & !3) + (d2 >> 2));
        let e1 = u128::from(d1 as u64) + (e0 >> 64);
        self.h = [e0 as u64, e1 as u64, (d2 & 3) + (e1 >> 64) as u64];
    }

    /// Processes the rest of the message, and returns the tag of the whole message.
    pub(super) fn finish(mut self, rest: &[u8]) -> [u8; MAC_LEN] {
        let (blocks, tail) = rest.as_chunks();
        self.update(blocks);
        if !tail.is_empty() {
            let mut last = [0; MAC_BLOCK_LEN];
            last[..tail.len()].copy_from_slice(tail);
            last[tail.len()] = 1;
            self.block(&last, 0);
        }
        let low = u128::from(self.h[0]) | u128::from(self.h[1]) << 64;
        // Subtracts p if h >= p, without a branch.
        let (less, carry) = low.overflowing_add(5);
        let mask = black_box(u128::from((self.h[2] + u64::from(carry)) >> 2)).wrapping_neg();
        ((less & mask) | (low & !mask)).wrapping_add(self.pad).to_le_bytes()
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        self.h.as_mut_slice().zeroize();
        [&mut self.r0, &mut self.r1, &mut self.s1].into_iter().for_each(Zeroize::zeroize);
        self.pad.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &[u8; MAC_KEY_LEN], message: &[u8]) -> [u8; MAC_LEN] {
        Poly1305::new(key).finish(message)
    }

    fn key(r: &[u8], s: &[u8]) -> [u8; MAC_KEY_LEN] {
        let mut key = [0; MAC_KEY_LEN];
        key[..r.len()].copy_from_slice(r);
        key[16..16 + s.len()].copy_from_slice(s);
        key
    }

    #[test]
    fn the_example_of_rfc_8439() {
        let key = [
            0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33, 0x7f, 0x44, 0x52, 0xfe, 0x42, 0xd5, 0x06, 0xa8,
            0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d, 0xb2, 0xfd, 0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b,
        ];
        let expected =
            [0xa8, 0x06, 0x1d, 0xc1, 0x30, 0x51, 0x36, 0xc6, 0xc2, 0x2b, 0x8b, 0xaf, 0x0c, 0x01, 0x27, 0xa9];
        assert_eq!(tag(&key, b"Cryptographic Forum Research Group"), expected);
    }

    /// RFC 8439, appendix A.3, vectors 5 to 11: they find mistakes in the reduction.
    #[test]
    fn the_edge_cases_of_rfc_8439() {
        let block = |first: u8, rest: u8| -> Vec<u8> { [vec![first], vec![rest; 15]].concat() };
        let one = [block(1, 0), block(0, 0)].concat()[..16].to_vec();
        let low = |value: u8| <[u8; MAC_LEN]>::try_from(block(value, 0)).expect("16 bytes");
        assert_eq!(tag(&key(&[2], &[]), &[0xff; 16]), low(3));
        assert_eq!(tag(&key(&[2], &[0xff; 16]), &block(2, 0)), low(3));
        assert_eq!(
            tag(&key(&[1], &[]), &[vec![0xff; 16], block(0xf0, 0xff), block(0x11, 0)].concat()),
            low(5)
        );
        let wraps = [vec![0xff; 16], block(0xfb, 0xfe), vec![1; 16]].concat();
        assert_eq!(tag(&key(&[1], &[]), &wraps), [0; 16]);
        assert_eq!(
            tag(&key(&[2], &[]), &block(0xfd, 0xff)),
            <[u8; 16]>::try_from(block(0xfa, 0xff)).expect("16 bytes")
        );
        let long = [
            &[0xe3, 0x35, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x33, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0x79, 0xcd, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0; 16],
            &one,
        ]
        .concat();
        let r = [1, 0, 0, 0, 0, 0, 0, 0, 4];
        let expected = [0x14, 0, 0, 0, 0, 0, 0, 0, 0x55, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(tag(&key(&r, &[]), &long), expected);
        let mut thirteen = [0; 16];
        thirteen[0] = 0x13;
        assert_eq!(tag(&key(&r, &[]), &long[..48]), thirteen);
    }

    #[test]
    fn the_tag_does_not_depend_on_how_the_message_is_split() {
        let key = std::array::from_fn(|at| (7 * at) as u8);
        let message: Vec<u8> = (0..200).map(|at| (13 * at) as u8).collect();
        for len in 0..message.len() {
            for whole in 0..=len / MAC_BLOCK_LEN {
                let (head, rest) = message[..len].split_at(whole * MAC_BLOCK_LEN);
                let mut mac = Poly1305::new(&key);
                mac.update(head.as_chunks().0);
                assert_eq!(mac.finish(rest), tag(&key, &message[..len]), "{len} bytes, {whole} blocks first");
            }
        }
    }
}
