//! How fast each variant hashes: `cargo bench -p gruve-pow`, on one core (`taskset -c 1 …`).

#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light, hash_light_many};
use gruve_pow::lanes::{
    ScryptLanes, ScryptVariant, Variant, merkle_branch_by, merkle_level_by, sha256d_equal_by,
    sha256d_headers_by,
};
use gruve_pow::{HeaderScanner, sha256d};
use gruve_units::{Algorithm, Class};
use std::hint::black_box;

/// Headers of a batch, nonces of a scan.
const HEADERS: usize = 480;
const NONCES: u32 = 20_000;

/// Bytes of a common coinbase.
const COINBASE: usize = 250;

fn sha256d_variants(c: &mut Criterion) {
    let mut group = c.benchmark_group("sha256d");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one header", |b| b.iter(|| sha256d(black_box(&[7; 80]))));
    for &v in Variant::available() {
        group.throughput(Throughput::Elements(HEADERS as u64));
        let headers = vec![[7; 80]; HEADERS];
        group.bench_function(BenchmarkId::new("headers", v), |b| {
            b.iter(|| sha256d_headers_by(v, black_box(&headers)));
        });
        let coinbases = vec![7; HEADERS * COINBASE];
        let mut out = vec![[0; 32]; HEADERS];
        group.bench_function(BenchmarkId::new("coinbases of 250 bytes", v), |b| {
            b.iter(|| sha256d_equal_by(v, black_box(&coinbases), COINBASE, &mut out));
        });
        let siblings = vec![[3; 32]; HEADERS];
        group.bench_function(BenchmarkId::new("merkle nodes", v), |b| {
            b.iter(|| merkle_level_by(v, &mut out, black_box(&siblings)));
        });
        group.bench_function(BenchmarkId::new("merkle nodes up a branch of one", v), |b| {
            b.iter(|| merkle_branch_by(v, &mut out, black_box(&siblings[..1])));
        });
        group.throughput(Throughput::Elements(NONCES.into()));
        let mut scanner = HeaderScanner::by(v, Algorithm::Sha256d, [7; 80]);
        let mut found = Vec::new();
        let target = Class::new(40).expect("a class").target();
        group.bench_function(BenchmarkId::new("nonces", v), |b| {
            b.iter(|| scanner.scan(0, NONCES, black_box(&target), &mut found));
        });
    }
}

fn scrypt_variants(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrypt");
    group.throughput(Throughput::Elements(48));
    group.sample_size(20);
    let headers = vec![[7; 80]; 48];
    let mut out = vec![[0; 32]; 48];
    for &v in ScryptVariant::available() {
        let mut lanes = ScryptLanes::by(v);
        group.bench_function(BenchmarkId::new("headers", v), |b| {
            b.iter(|| lanes.hash(black_box(&headers), &mut out));
        });
    }
}

fn ethash_light(c: &mut Criterion) {
    let mut group = c.benchmark_group("ethash light, epoch 400");
    group.sample_size(10);
    let epoch = EthashEpoch::new(Algorithm::Ethash, 400).expect("an epoch");
    let cache = LightCache::new(epoch);
    group.throughput(Throughput::Elements(1));
    // New nonces every time: those of the time before have their part of the cache in the processor's own.
    let mut nonce = 0;
    group.bench_function("one by one", |b| {
        b.iter(|| {
            nonce += 1;
            hash_light(&cache, black_box(&[7; 32]), nonce)
        });
    });
    for n in [1, 8, 32] {
        let mut seals = vec![([7; 32], 0); n];
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("many", n), |b| {
            b.iter(|| {
                for (_, own) in &mut seals {
                    nonce += 1;
                    *own = nonce;
                }
                hash_light_many(&cache, black_box(&seals))
            });
        });
    }
}

criterion_group!(benches, sha256d_variants, scrypt_variants, ethash_light);
criterion_main!(benches);
