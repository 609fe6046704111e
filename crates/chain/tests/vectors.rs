//! Real blocks and shares of Bitcoin, Litecoin, Dogecoin and Namecoin, rebuilt from their parts.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::job::{coinbase_branch, header_bytes, merkle_root};
use gruve_chain::script::read_height;
use gruve_chain::template::WITNESS_COMMITMENT_HEADER;
use gruve_chain::wire::write_compact_size;
use gruve_chain::{
    ChainParams, NetworkName, hash_from_text, hash_to_text, params_for, parse_block,
};
use gruve_pow::{merkle_root_from_branch, pow_hash, sha256d};
use gruve_units::{Algorithm, Asset, Target};
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(v: &'a Value, name: &str) -> &'a str {
    v[name].as_str().unwrap_or_else(|| panic!("{name} in {}", v["name"]))
}

fn bytes(v: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(v, name)).unwrap()
}

fn hash(text: &str) -> [u8; 32] {
    hash_from_text(text).unwrap()
}

fn internal(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn word(hex: &str) -> u32 {
    u32::from_str_radix(hex, 16).unwrap()
}

fn list(v: &Value) -> Vec<&str> {
    v.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
}

fn algorithm(v: &Value) -> Algorithm {
    text(v, "algo").parse().unwrap()
}

fn params(v: &Value) -> ChainParams {
    let asset = match text(v, "network") {
        "btc" => Asset::Btc,
        "ltc" => Asset::Ltc,
        // Namecoin's merge-mining proof has Dogecoin's form.
        _ => Asset::Doge,
    };
    params_for(asset, NetworkName::Mainnet).unwrap()
}

#[test]
fn every_block_is_rebuilt_from_its_parts() {
    let blocks = vectors("blocks.json");
    assert!(blocks.len() >= 10);
    for v in &blocks {
        let name = text(v, "name");
        let coinbase_id = sha256d(&bytes(v, "coinbase_no_witness"));
        assert_eq!(hash_to_text(&coinbase_id), text(v, "coinbase_txid"), "{name}");

        let txids: Vec<_> = list(&v["txids"]).into_iter().map(hash).collect();
        let branch = coinbase_branch(&txids[1..]);
        let expected: Vec<_> =
            list(&v["stratum"]["merkle_branch"]).into_iter().map(internal).collect();
        assert_eq!(branch, expected, "{name}");
        let root = merkle_root_from_branch(coinbase_id, &branch);
        assert_eq!(root, hash(text(v, "merkle_root")), "{name}");
        assert_eq!(merkle_root(txids), root, "{name}");

        let number = |n: &str| u32::try_from(v[n].as_u64().unwrap()).unwrap();
        let bits = word(text(v, "bits"));
        let prev = hash(text(v, "prev_hash"));
        let header =
            header_bytes(number("version"), &prev, &root, number("time"), bits, number("nonce"));
        assert_eq!(hex::encode(header), text(v, "header"), "{name}");
        assert_eq!(hash_to_text(&sha256d(&header)), text(v, "block_hash"), "{name}");
        let found = pow_hash(algorithm(v), &header);
        assert_eq!(hash_to_text(&found), text(v, "pow_hash"), "{name}");
        let target = Target::from_compact(bits).unwrap();
        assert_eq!(hex::encode(target.to_be_bytes()), text(v, "target"), "{name}");
        if v["checks"]["pow_ok"].as_bool() == Some(true) {
            assert!(target.is_met_by(&found), "{name}");
        }
        if let Some(height) = read_height(&bytes(v, "coinbase_scriptsig")) {
            // Bitcoin blocks before BIP 34 begin their script with something else.
            let known = v["height"].as_u64();
            if known.is_some_and(|h| h > 227_931) {
                assert_eq!(Some(height), known, "{name}");
            }
        }
    }
}

#[test]
fn a_witness_commitment_is_the_hash_of_its_root_and_the_reserved_value() {
    let blocks = vectors("blocks.json");
    let with_witness: Vec<_> =
        blocks.iter().filter(|v| v.get("witness_root_internal").is_some()).collect();
    assert!(!with_witness.is_empty());
    for v in with_witness {
        let root = internal(text(v, "witness_root_internal"));
        let commitment = sha256d(&[root, [0; 32]].concat());
        let script = [&WITNESS_COMMITMENT_HEADER[..], &commitment].concat();
        assert!(text(v, "coinbase_no_witness").contains(&hex::encode(script)));
    }
}

#[test]
fn blocks_of_one_transaction_are_read_with_and_without_a_merge_mining_proof() {
    let mut read = 0;
    for v in vectors("blocks.json").iter().filter(|v| v["ntx"] == 1) {
        let mut block = bytes(v, "header");
        if let Some(proof) = v.get("auxpow") {
            block.extend(bytes(proof, "parent_coinbase"));
            block.extend(hash(text(proof, "hash_block")));
            for (branch, index) in [
                ("coinbase_branch_internal", "coinbase_index"),
                ("chain_branch_internal", "chain_index"),
            ] {
                let siblings = list(&proof[branch]);
                write_compact_size(&mut block, siblings.len() as u64);
                siblings.into_iter().for_each(|s| block.extend(internal(s)));
                let index = u32::try_from(proof[index].as_u64().unwrap()).unwrap();
                block.extend(index.to_le_bytes());
            }
            block.extend(bytes(proof, "parent_header"));
        }
        block.push(1);
        block.extend(bytes(v, "coinbase_full"));
        let lean = parse_block(&block, &params(v)).unwrap();
        assert_eq!(hash_to_text(&lean.hash), text(v, "block_hash"));
        assert_eq!(lean.txs.len(), 1);
        assert!(lean.txs[0].coinbase);
        assert_eq!(hash_to_text(&lean.txs[0].txid), text(v, "coinbase_txid"));
        let paid: i64 = lean.txs[0].outputs.iter().map(|o| o.value).sum();
        assert_eq!(Some(paid), v["coinbase_value"].as_i64());
        for cut in 0..block.len() {
            assert!(parse_block(&block[..cut], &params(v)).is_err(), "cut at {cut}");
        }
        read += 1;
    }
    assert!(read >= 3, "only {read} blocks of one transaction in the vectors");
}

#[test]
fn real_shares_have_the_headers_that_were_hashed() {
    let shares = vectors("shares-sha256d.json");
    assert!(shares.len() >= 30);
    for v in &shares {
        let name = text(v, "name");
        let (notify, submit, derived) = (&v["notify"], &v["submit"], &v["derived"]);
        let coinbase = [
            text(notify, "coinb1"),
            text(v, "extranonce1"),
            text(v, "extranonce2"),
            text(notify, "coinb2"),
        ]
        .concat();
        assert_eq!(coinbase, text(derived, "coinbase"), "{name}");
        let leaf = sha256d(&hex::decode(&coinbase).unwrap());
        assert_eq!(leaf, internal(text(derived, "coinbase_hash_internal")), "{name}");
        let branch: Vec<_> = list(&notify["merkle_branch"]).into_iter().map(internal).collect();
        let root = merkle_root_from_branch(leaf, &branch);
        assert_eq!(root, internal(text(derived, "merkle_root_internal")), "{name}");

        let mut prev = internal(text(notify, "prevhash"));
        prev.chunks_mut(4).for_each(<[u8]>::reverse); // the wire swaps each word
        let mut version = word(text(notify, "version"));
        if let (Some(bits), Some(mask)) =
            (submit["version_bits"].as_str(), submit["version_mask"].as_str())
        {
            version = (version & !word(mask)) | (word(bits) & word(mask));
        }
        let bits = word(text(notify, "nbits"));
        let (ntime, nonce) = (word(text(submit, "ntime")), word(text(submit, "nonce")));
        let header = header_bytes(version, &prev, &root, ntime, bits, nonce);
        assert_eq!(hex::encode(header), text(derived, "header"), "{name}");
        let found = pow_hash(algorithm(v), &header);
        assert_eq!(hash_to_text(&found), text(derived, "pow_hash_display"), "{name}");
        if let Some(meets) = derived["meets_network_target"].as_bool() {
            assert_eq!(Target::from_compact(bits).unwrap().is_met_by(&found), meets, "{name}");
        }
    }
}

#[test]
fn genesis_blocks_are_the_known_ones() {
    use bitcoin::Network;
    let of = |asset, network| params_for(asset, network).unwrap().genesis;
    let known = |network| bitcoin::constants::genesis_block(network).block_hash().to_string();
    assert_eq!(of(Asset::Btc, NetworkName::Mainnet), [known(Network::Bitcoin)]);
    assert_eq!(of(Asset::Btc, NetworkName::Regtest), [known(Network::Regtest)]);
    let test = [Network::Testnet, Network::Testnet4, Network::Signet].map(known);
    assert_eq!(of(Asset::Btc, NetworkName::Testnet), test);
    for v in vectors("blocks.json").iter().filter(|v| text(v, "name").ends_with("_block1")) {
        assert_eq!(params(v).genesis, [text(v, "prev_hash")], "{}", text(v, "name"));
    }
}
