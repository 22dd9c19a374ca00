//! The Salsa20 core for several blocks at once, one per lane; and HSalsa20.
//!
//! D. J. Bernstein, "The Salsa20 family of stream ciphers" (2007) and "Extending the Salsa20 nonce" (2011).

use zeroize::Zeroize;

/// The constant of 32-byte keys: `expand 32-byte k`.
pub(super) const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The length of a block of key stream.
pub(super) const BLOCK_LEN: usize = 64;

/// A key, as the words that Salsa20 works on. Wiped when dropped.
#[derive(Clone)]
pub struct Key(pub(crate) [u32; 8]);

impl Key {
    pub const NONE: Self = Self([0; 8]);

    /// Overwrites this key with another one, in place.
    pub fn set(&mut self, other: &Self) {
        self.0 = other.0;
    }

    pub(super) fn wipe(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl From<&[u8; 32]> for Key {
    fn from(bytes: &[u8; 32]) -> Self {
        Self(words(bytes))
    }
}

/// Which block of which packet a lane generates: words 6, 7 and 8 of its state. Word 9 is 0, since no packet has 2^32
/// blocks.
pub(super) type Counters<const N: usize> = [[u32; N]; 3];

/// The states of all lanes: for each of the 16 words, its value in each lane.
type Lanes<const N: usize> = [[u32; N]; 16];

macro_rules! quarter_rounds {
    ($x:ident, $($a:literal $b:literal $c:literal $d:literal),*) => {
        $($x[$b] ^= $x[$a].wrapping_add($x[$d]).rotate_left(7);)*
        $($x[$c] ^= $x[$b].wrapping_add($x[$a]).rotate_left(9);)*
        $($x[$d] ^= $x[$c].wrapping_add($x[$b]).rotate_left(13);)*
        $($x[$a] ^= $x[$d].wrapping_add($x[$c]).rotate_left(18);)*
    };
}

macro_rules! double_rounds {
    ($x:ident, $($round:literal)*) => { $( let _ = $round;
        quarter_rounds!($x, 0 4 8 12, 5 9 13 1, 10 14 2 6, 15 3 7 11);
        quarter_rounds!($x, 0 1 2 3, 5 6 7 4, 10 11 8 9, 15 12 13 14);
    )* };
}

/// One block per lane. The compiler vectorizes the loop over the lanes only if its body has no branches, and no loop
/// that it cannot unroll: so the rounds are unrolled by a macro.
#[inline(always)]
pub(super) fn blocks<const N: usize>(key: &Key, counters: &Counters<N>) -> Lanes<N> {
    let (s, k) = (SIGMA, &key.0);
    let mut lanes = [[0; N]; 16];
    for i in 0..N {
        let n = [counters[0][i], counters[1][i], counters[2][i], 0];
        #[rustfmt::skip]
        let start = [
            s[0], k[0], k[1], k[2],
            k[3], s[1], n[0], n[1],
            n[2], n[3], s[2], k[4],
            k[5], k[6], k[7], s[3],
        ];
        let mut x = start;
        double_rounds!(x, 0 1 2 3 4 5 6 7 8 9);
        for word in 0..16 {
            lanes[word][i] = x[word].wrapping_add(start[word]);
        }
    }
    lanes
}

/// Derives a key from a key and 16 bytes. From the output of X25519 and zeros it derives the key of a box; from that
/// and the first 16 bytes of a nonce, the subkey of all packets whose nonces begin with them.
pub(crate) fn hsalsa20(key: &Key, input: &[u8; 16]) -> Key {
    let (s, k, n) = (SIGMA, &key.0, words::<4>(input));
    #[rustfmt::skip]
    let mut x = [
        s[0], k[0], k[1], k[2],
        k[3], s[1], n[0], n[1],
        n[2], n[3], s[2], k[4],
        k[5], k[6], k[7], s[3],
    ];
    for _ in 0..10 {
        double_rounds!(x, 0);
    }
    let derived = Key([x[0], x[5], x[10], x[15], x[6], x[7], x[8], x[9]]);
    x.as_mut_slice().zeroize();
    derived
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|at| u32::from_le_bytes(words[at]))
}
