//! Shares, blocks and seals from real chains and servers: every hash comes out as it was there.

#![allow(clippy::unwrap_used, missing_docs)]

use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_pow::{
    lanes, merkle_root_from_branch, pow_hash, scrypt_1024_1_1, sha256d, share_difficulty,
};
use gruve_units::{Algorithm, Target};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

fn vectors(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap()
}

fn bytes<const N: usize>(v: &Value) -> [u8; N] {
    hex::decode(text(v)).unwrap().try_into().unwrap()
}

fn reversed(mut hash: [u8; 32]) -> String {
    hash.reverse();
    hex::encode(hash)
}

#[test]
fn every_share_has_its_hashes_and_its_difficulty() {
    let shares = vectors("shares-sha256d.json");
    assert_eq!(shares.as_array().unwrap().len(), 34);
    for share in shares.as_array().unwrap() {
        let derived = &share["derived"];
        let coinbase = hex::decode(text(&derived["coinbase"])).unwrap();
        let id = sha256d(&coinbase);
        assert_eq!(hex::encode(id), text(&derived["coinbase_hash_internal"]));
        let branch: Vec<[u8; 32]> =
            share["notify"]["merkle_branch"].as_array().unwrap().iter().map(bytes).collect();
        let root = merkle_root_from_branch(id, &branch);
        assert_eq!(hex::encode(root), text(&derived["merkle_root_internal"]));
        let header: [u8; 80] = bytes(&derived["header"]);
        let hash = pow_hash(Algorithm::Sha256d, &header);
        assert_eq!(reversed(hash), text(&derived["pow_hash_display"]));
        let difficulty: f64 = derived["share_difficulty"].to_string().parse().unwrap();
        assert_eq!(share_difficulty(Algorithm::Sha256d, &hash).to_bits(), difficulty.to_bits());
    }
}

#[test]
fn every_variant_hashes_the_shares_headers_alike() {
    let shares = vectors("shares-sha256d.json");
    let shares = shares.as_array().unwrap();
    let headers: Vec<[u8; 80]> = shares.iter().map(|s| bytes(&s["derived"]["header"])).collect();
    for &variant in lanes::Variant::available() {
        let hashes = lanes::sha256d_headers_by(variant, &headers);
        for (hash, share) in hashes.into_iter().zip(shares) {
            assert_eq!(reversed(hash), text(&share["derived"]["pow_hash_display"]), "{variant}");
        }
    }
}

#[test]
fn every_block_has_its_id_and_its_proof_of_work() {
    for block in vectors("blocks.json").as_array().unwrap() {
        let name = text(&block["name"]);
        let header: [u8; 80] = bytes(&block["header"]);
        let algorithm: Algorithm = text(&block["algo"]).parse().unwrap();
        assert_eq!(reversed(sha256d(&header)), text(&block["block_hash"]), "{name}");
        let hash = pow_hash(algorithm, &header);
        assert_eq!(reversed(hash), text(&block["pow_hash"]), "{name}");
        if algorithm == Algorithm::Scrypt {
            assert_eq!(lanes::scrypt_headers(&[header; 3]), [scrypt_1024_1_1(&header); 3]);
        }
        let bits = u32::from_str_radix(text(&block["bits"]), 16).unwrap();
        let met = Target::from_compact(bits).unwrap().is_met_by(&hash);
        // A merge-mined block's work is in its parent's header.
        if !block["checks"]["pow_ok"].is_null() {
            assert!(met, "{name}");
        }
    }
}

fn epochs() -> Vec<(EthashEpoch, Value)> {
    let file = vectors("ethash.json");
    let of = |key: &str, algorithm| {
        let entries = file[key].as_array().unwrap().clone();
        entries.into_iter().map(move |entry| {
            let number = entry["epoch"].as_u64().unwrap();
            (EthashEpoch::new(algorithm, number).unwrap(), entry)
        })
    };
    of("ethash", Algorithm::Ethash).chain(of("etchash_derived", Algorithm::Etchash)).collect()
}

#[test]
fn ethash_epochs_have_their_seeds_and_sizes() {
    let epochs = epochs();
    assert_eq!(epochs.len(), 14);
    for (epoch, entry) in epochs {
        assert_eq!(hex::encode(epoch.seed_hash()), text(&entry["seed_hash"]));
        assert_eq!(epoch.cache_items(), entry["light_cache_items"]);
        assert_eq!(epoch.cache_bytes(), entry["cache_bytes"]);
        assert_eq!(epoch.dataset_pages(), entry["full_dataset_items_1024"]);
        assert_eq!(epoch.dataset_bytes(), entry["dataset_bytes"]);
        for key in ["block_number", "first_block"] {
            if let Some(block) = entry[key].as_u64() {
                assert_eq!(EthashEpoch::of_block(epoch.algorithm(), block), Ok(epoch));
            }
        }
    }
}

fn check_seals(algorithm: Algorithm) {
    let mut caches = HashMap::new();
    for (epoch, entry) in epochs().into_iter().filter(|(e, _)| e.algorithm() == algorithm) {
        let cache = caches.entry(epoch).or_insert_with(|| LightCache::new(epoch));
        let nonce = u64::from_str_radix(text(&entry["nonce"]), 16).unwrap();
        let (mix, last) = hash_light(cache, &bytes(&entry["header_hash"]), nonce);
        assert_eq!(hex::encode(mix), text(&entry["mix_hash"]), "{epoch:?}");
        assert_eq!(hex::encode(last), text(&entry["final_hash"]), "{epoch:?}");
    }
}

// Two tests, so that they may run side by side: caches take seconds.

#[test]
fn ethash_seals_have_their_mix_and_final_hashes() {
    check_seals(Algorithm::Ethash);
}

#[test]
fn etchash_seals_have_their_mix_and_final_hashes() {
    check_seals(Algorithm::Etchash);
}

/// geth's cache files: eight magic bytes, then the cache.
#[test]
fn caches_are_those_of_other_implementations() {
    let sums = &vectors("ethash.json")["cache_file_sha256"];
    for (key, algorithm, epoch) in
        [("ethash_epoch381", Algorithm::Ethash, 381), ("etchash_epoch191", Algorithm::Etchash, 191)]
    {
        let cache = LightCache::new(EthashEpoch::new(algorithm, epoch).unwrap());
        let mut file = hex::decode("fecaddbaaddee1fe").unwrap();
        file.extend(cache.items().flatten());
        assert_eq!(hex::encode(gruve_pow::sha256(&file)), text(&sums[key]), "{key}");
    }
}
