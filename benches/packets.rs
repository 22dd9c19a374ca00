//! Sealing and opening packets, without a socket: what encryption costs.
//!
//! `cargo bench --bench packets`. The throughput counts bytes of data. The inner modules aren't public, so they are
//! compiled in here.

#![allow(dead_code, unused_imports, missing_docs)]

#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/crypto/mod.rs"]
mod crypto;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/id.rs"]
mod id;
#[path = "../src/key.rs"]
mod key;
#[path = "../src/wire/mod.rs"]
mod wire;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto_box::{PublicKey, SalsaBox, SecretKey};

use crate::crypto::Channel;
use crate::wire::frame::MAC_LEN;

/// A ping, small data, a chat message, and the largest packet in use today.
const LENGTHS: [usize; 5] = [9, 34, 100, 512, 1401];

/// Packets per measured batch: nonces count on within it, as they do on a connection.
const BATCH: usize = 64;

fn channel() -> Channel {
    let secret = SecretKey::from_bytes([1; 32]);
    let cipher = SalsaBox::new(&PublicKey::from(&SecretKey::from_bytes([2; 32])), &secret);
    Channel::new(cipher, [3; 24].into(), [3; 24].into())
}

fn sealed(len: usize) -> Vec<Vec<u8>> {
    let channel = channel();
    let mut sealer = channel.sealer();
    let mut packets = vec![vec![0; MAC_LEN + len]; BATCH];
    packets.iter_mut().for_each(|packet| sealer.seal(packet));
    packets
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes((BATCH * len) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &len, |bencher, &len| {
            let channel = channel();
            let mut packet = vec![0; MAC_LEN + len];
            bencher.iter(|| {
                let mut sealer = channel.sealer();
                for _ in 0..BATCH {
                    sealer.seal(black_box(&mut packet));
                }
            });
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes((BATCH * len) as u64));
        let packets = sealed(len);
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter_batched_ref(
                || (channel(), packets.clone()),
                |(channel, packets)| {
                    for packet in packets {
                        black_box(channel.open(packet).expect("a packet that opens"));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
