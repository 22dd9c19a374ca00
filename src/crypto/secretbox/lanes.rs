//! Generates eight blocks of Salsa20 at once, with the fastest of the backends that this processor supports. At the
//! same time it can authenticate a message: the processor does both in parallel.
//!
//! This is the only file that may contain `unsafe`, once per set of processor features: to call a function compiled for
//! these features. This is sound because a [`Backend`] that calls it exists only if the features were detected.
//! Everything here takes constant time: it does not depend on the key, the text or the key stream.
#![allow(unsafe_code)]

use std::hint::black_box;

use zeroize::Zeroize;

use crate::crypto::secretbox::poly1305::{MAC_BLOCK_LEN, Poly1305};
use crate::crypto::secretbox::salsa20::{self, BLOCK_LEN, Key};

/// The number of blocks that are generated at once.
pub(super) const LANES: usize = 8;

/// Which block of which packet each lane generates.
pub(super) type Counters = salsa20::Counters<LANES>;

/// The best number of message blocks to authenticate while a chunk is generated: both take about the same time.
pub(super) const MAC_BLOCKS: usize = 10 * MAC_BLOCKS_A_ROUND;

const MAC_BLOCKS_A_ROUND: usize = 4;

/// Key stream, indexed by block, word of 8 bytes, and byte. Compilers store whole words efficiently. Without the
/// alignment, every second vector would cross a cache line.
#[repr(C, align(64))]
pub(super) struct Chunk([[[u8; 8]; BLOCK_LEN / 8]; LANES]);

impl Chunk {
    pub(super) const EMPTY: Self = Self([[[0; 8]; BLOCK_LEN / 8]; LANES]);
    pub(super) const LEN: usize = LANES * BLOCK_LEN;

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_flattened().as_flattened()
    }

    pub(super) fn wipe(&mut self) {
        // As a slice, since an array is wiped byte by byte.
        self.0.as_flattened_mut().as_flattened_mut().zeroize();
    }
}

/// The instructions to use. The processor has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backend(Features);

/// From the slowest to the fastest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Features {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512Vl,
}

impl Backend {
    pub(crate) const BASELINE: Self = Self(Features::Baseline);

    /// The fastest backend that this processor supports.
    pub(crate) fn detect() -> Self {
        Self::available().last().expect("the baseline")
    }

    /// All backends that this processor supports, the slowest first; in a portable build only the baseline.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = {
            let avx2 = is_x86_feature_detected!("avx2");
            let avx512 = avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            [avx2.then_some(Features::Avx2), avx512.then_some(Features::Avx512Vl)]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        let most = if cfg!(tox_relay_client_portable) { 1 } else { usize::MAX };
        [Some(Features::Baseline)].into_iter().chain(vectors).flatten().map(Self).take(most)
    }

    /// Generates a chunk, and authenticates `message` with `mac`.
    #[inline]
    pub(super) fn generate_chunk(
        self,
        key: &Key,
        counters: &Counters,
        chunk: &mut Chunk,
        mac: &mut Poly1305,
        message: &[[u8; MAC_BLOCK_LEN]],
    ) {
        match self.0 {
            Features::Baseline => {
                baseline(key, counters, chunk);
                mac.update(message);
            }
            // SAFETY: AVX2 was detected when this backend was created.
            #[cfg(target_arch = "x86_64")]
            Features::Avx2 => unsafe { x86::avx2(key, counters, chunk, mac, message) },
            // SAFETY: AVX2, AVX-512F and AVX-512VL were detected when this backend was created.
            #[cfg(target_arch = "x86_64")]
            Features::Avx512Vl => unsafe { x86::avx512vl(key, counters, chunk, mac, message) },
        }
    }
}

/// For every processor of the architecture. Four lanes fill the vectors of most processors.
fn baseline(key: &Key, counters: &Counters, chunk: &mut Chunk) {
    const HALF: usize = LANES / 2;
    for (half, blocks) in chunk.0.chunks_exact_mut(HALF).enumerate() {
        let counters = counters.map(|word| std::array::from_fn(|lane| word[HALF * half + lane]));
        // Without `black_box`, the compiler would merge the loops below into the rounds, lane by lane.
        let lanes = black_box(salsa20::blocks::<HALF>(key, &counters));
        for (lane, block) in blocks.iter_mut().enumerate() {
            for (word, bytes) in block.iter_mut().enumerate() {
                let (low, high) = (lanes[2 * word][lane], lanes[2 * word + 1][lane]);
                *bytes = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
            }
        }
    }
}

/// A vector contains the same word of all eight states. This code uses no closures, iterator adapters or slice copies:
/// the compiler may not inline these into a function with other target features, and then they cost more than the
/// rounds.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Chunk, Counters, Key, MAC_BLOCK_LEN, MAC_BLOCKS_A_ROUND, Poly1305};
    use crate::crypto::secretbox::salsa20::SIGMA;

    macro_rules! rotate_by_two_shifts {
        ($x:expr, $left:literal, $right:literal) => {{
            let x = $x;
            _mm256_or_si256(_mm256_slli_epi32::<$left>(x), _mm256_srli_epi32::<$right>(x))
        }};
    }

    macro_rules! rotate {
        ($x:expr, $left:literal, $right:literal) => {
            _mm256_rol_epi32::<$left>($x)
        };
    }

    macro_rules! step {
        ($rotate:ident, $x:ident, $left:literal $right:literal, $($to:literal $a:literal $b:literal),*) => {
            $($x[$to] = _mm256_xor_si256($x[$to], $rotate!(_mm256_add_epi32($x[$a], $x[$b]), $left, $right));)*
        };
    }

    macro_rules! quarter_rounds {
        ($rotate:ident, $x:ident, $($a:literal $b:literal $c:literal $d:literal),*) => {
            step!($rotate, $x, 7 25, $($b $a $d),*);
            step!($rotate, $x, 9 23, $($c $b $a),*);
            step!($rotate, $x, 13 19, $($d $c $b),*);
            step!($rotate, $x, 18 14, $($a $d $c),*);
        };
    }

    macro_rules! store {
        ($block:expr, $half:expr, $words:expr) => {{
            let words = $words;
            $block[4 * $half] = _mm256_extract_epi64::<0>(words).to_le_bytes();
            $block[4 * $half + 1] = _mm256_extract_epi64::<1>(words).to_le_bytes();
            $block[4 * $half + 2] = _mm256_extract_epi64::<2>(words).to_le_bytes();
            $block[4 * $half + 3] = _mm256_extract_epi64::<3>(words).to_le_bytes();
        }};
    }

    macro_rules! backend {
        ($name:ident, $features:literal, $rotate:ident) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(
                key: &Key,
                counters: &Counters,
                chunk: &mut Chunk,
                mac: &mut Poly1305,
                mut message: &[[u8; MAC_BLOCK_LEN]],
            ) {
                macro_rules! splat {
                    ($word:expr) => {
                        _mm256_set1_epi32($word as i32)
                    };
                }
                macro_rules! load {
                    ($p:expr) => {{
                        let p = $p;
                        _mm256_setr_epi32(
                            p[0] as i32, p[1] as i32, p[2] as i32, p[3] as i32,
                            p[4] as i32, p[5] as i32, p[6] as i32, p[7] as i32,
                        )
                    }};
                }
                let (s, k) = (SIGMA, &key.0);
                #[rustfmt::skip]
                let start = [
                    splat!(s[0]), splat!(k[0]), splat!(k[1]), splat!(k[2]),
                    splat!(k[3]), splat!(s[1]), load!(counters[0]), load!(counters[1]),
                    load!(counters[2]), splat!(0), splat!(s[2]), splat!(k[4]),
                    splat!(k[5]), splat!(k[6]), splat!(k[7]), splat!(s[3]),
                ];
                let mut x = start;
                for _ in 0..10 {
                    quarter_rounds!($rotate, x, 0 4 8 12, 5 9 13 1, 10 14 2 6, 15 3 7 11);
                    quarter_rounds!($rotate, x, 0 1 2 3, 5 6 7 4, 10 11 8 9, 15 12 13 14);
                    // Vector instructions and wide multiplications use different execution units, and each chain of
                    // them is limited by its latency, so both run in parallel.
                    if let Some((blocks, rest)) = message.split_at_checked(MAC_BLOCKS_A_ROUND) {
                        mac.update(blocks);
                        message = rest;
                    }
                }
                mac.update(message);
                let mut word = 0;
                while word < 16 {
                    x[word] = _mm256_add_epi32(x[word], start[word]);
                    word += 1;
                }
                // From one vector per word to one block per lane: an 8 by 8 transposition for each half of the words.
                let mut half = 0;
                while half < 2 {
                    let v = &x[8 * half..];
                    let mut pairs = [_mm256_setzero_si256(); 8];
                    let mut quads = pairs;
                    let mut at = 0;
                    while at < 4 {
                        pairs[2 * at] = _mm256_unpacklo_epi32(v[2 * at], v[2 * at + 1]);
                        pairs[2 * at + 1] = _mm256_unpackhi_epi32(v[2 * at], v[2 * at + 1]);
                        at += 1;
                    }
                    at = 0;
                    while at < 4 {
                        let (group, odd) = (at / 2 * 4, at % 2);
                        quads[group + 2 * odd] = _mm256_unpacklo_epi64(pairs[group + odd], pairs[group + odd + 2]);
                        quads[group + 2 * odd + 1] =
                            _mm256_unpackhi_epi64(pairs[group + odd], pairs[group + odd + 2]);
                        at += 1;
                    }
                    at = 0;
                    while at < 4 {
                        let (low, high) = (quads[at], quads[at + 4]);
                        store!(chunk.0[at], half, _mm256_permute2x128_si256::<0x20>(low, high));
                        store!(chunk.0[at + 4], half, _mm256_permute2x128_si256::<0x31>(low, high));
                        at += 1;
                    }
                    half += 1;
                }
            }
        };
    }

    backend!(avx2, "avx2", rotate_by_two_shifts);
    backend!(avx512vl, "avx2,avx512f,avx512vl", rotate);
}
