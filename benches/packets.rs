//! Sealing and opening packets without a socket: the cost of encryption.
//!
//! `cargo bench --features internals --bench packets`. The throughput counts bytes of data.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto_box::aead::{AeadInPlace, generic_array::GenericArray};
use crypto_box::{PublicKey, SalsaBox, SecretKey};

use tox_relay_client::internals::{Channel, KeyStream, MAC_LEN};

/// A ping, small data, a chat message, a piece of a file, the largest data in use today, and the largest packet.
const LENGTHS: [usize; 6] = [9, 34, 100, 512, 1373, 2032];

/// Packets per measured batch. Within a batch the nonces are counted, as on a connection.
const BATCH: usize = 64;

fn channel() -> Box<Channel> {
    Channel::new(&(&[1; 32]).into(), [3; 24].into(), [3; 24].into())
}

fn crypto_box() -> SalsaBox {
    SalsaBox::new(&PublicKey::from(&SecretKey::from_bytes([2; 32])), &SecretKey::from_bytes([1; 32]))
}

fn sealed(len: usize) -> Vec<Vec<u8>> {
    let (channel, mut key_stream) = (channel(), KeyStream::new());
    let mut sealer = channel.sealer(&mut key_stream);
    let mut packets = vec![vec![0; MAC_LEN + len]; BATCH];
    packets.iter_mut().for_each(|packet| sealer.seal(packet));
    packets
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes((BATCH * len) as u64));
        group.bench_function(BenchmarkId::new("ours", len), |bencher| {
            let (channel, mut key_stream) = (channel(), KeyStream::new());
            let mut packet = vec![0; MAC_LEN + len];
            bencher.iter(|| {
                let mut sealer = channel.sealer(&mut key_stream);
                for _ in 0..BATCH {
                    sealer.seal(black_box(&mut packet));
                }
            });
        });
        group.bench_function(BenchmarkId::new("crypto_box", len), |bencher| {
            let cipher = crypto_box();
            let mut text = vec![0; len];
            bencher.iter(|| {
                for count in 0..BATCH {
                    let nonce = [count as u8; 24];
                    let nonce = GenericArray::from_slice(&nonce);
                    let _ = black_box(cipher.encrypt_in_place_detached(nonce, b"", black_box(&mut text)));
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
        let mut key_stream = KeyStream::new();
        group.bench_function(BenchmarkId::new("ours", len), |bencher| {
            bencher.iter_batched_ref(
                || (channel(), packets.clone()),
                |(channel, packets)| {
                    for packet in packets {
                        black_box(channel.open(&mut key_stream, packet).expect("a packet that opens"));
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
