//! Reading blocks: nothing from outside panics or passes for what it is not.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::walk::parse_transaction;
use gruve_chain::{
    ChainParams, NetworkName, hash_to_text, outputs_of_waiting, params_for, parse_block,
};
use gruve_units::Asset;
use proptest::prelude::*;

fn params(asset: Asset) -> ChainParams {
    params_for(asset, NetworkName::Regtest).unwrap()
}

/// Blocks 432 and 433 of a Litecoin regtest (see `data/README.md`): the first with the extension
/// block, with a peg-in, witnesses and the HogEx, and the one after it.
fn litecoin_blocks() -> [Vec<u8>; 2] {
    [include_str!("data/ltc-regtest-432.hex"), include_str!("data/ltc-regtest-433.hex")]
        .map(|text| hex::decode(text.trim()).unwrap())
}

#[test]
fn blocks_with_the_extension_block_are_read() {
    let [first, second] = litecoin_blocks().map(|b| parse_block(&b, &params(Asset::Ltc)).unwrap());
    assert_eq!(second.prev, first.hash);
    assert_eq!(
        (hash_to_text(&first.hash), hash_to_text(&second.hash)),
        (
            include_str!("data/ltc-regtest-432.hash").trim().to_owned(),
            include_str!("data/ltc-regtest-433.hash").trim().to_owned(),
        )
    );
    for block in [&first, &second] {
        assert!(block.txs[0].coinbase && !block.txs[0].hogex);
        assert!(block.txs.last().unwrap().hogex);
        assert_eq!(block.txs.iter().filter(|tx| tx.hogex || tx.coinbase).count(), 2);
    }
    // The HogEx spends its predecessor's first output.
    let hogex = [&first, &second].map(|b| b.txs.last().unwrap().clone());
    assert_eq!(hogex[1].inputs[0], (hogex[0].txid, 0));
}

/// As a node has it in its pool: Litecoin's extension data stands behind the outputs there.
#[test]
fn what_a_waiting_transaction_pays_is_read_whatever_follows_its_outputs() {
    let mut bytes = vec![2, 0, 0, 0, 0, 8, 1];
    bytes.extend([0x11; 36]);
    bytes.extend([0, 0xff, 0xff, 0xff, 0xff, 1]);
    bytes.extend(500_u64.to_le_bytes());
    bytes.extend([2, 0x51, 0x52]);
    let cut = bytes.len();
    bytes.extend([1, 0xaa, 0xbb]);
    let ltc = ChainParams { mweb: true, ..params(Asset::Ltc) };
    let paid = outputs_of_waiting(&bytes, &ltc).unwrap();
    assert_eq!((paid.len(), paid[0].value, &paid[0].script[..]), (1, 500, &[0x51, 0x52][..]));
    assert!(parse_transaction(&bytes, &ltc).is_err(), "in a block there is no such data");
    assert!(outputs_of_waiting(&bytes, &params(Asset::Btc)).is_err(), "a flag of Litecoin's");
    for short in 0..cut {
        assert!(outputs_of_waiting(&bytes[..short], &ltc).is_err(), "{short}");
    }
    // Nothing but what the extension hides: no inputs, no outputs.
    assert_eq!(outputs_of_waiting(&[2, 0, 0, 0, 0, 8, 0, 0, 1], &ltc).unwrap(), []);
}

#[test]
fn every_cut_of_a_real_block_is_an_error_up_to_its_extension_block() {
    let [block, _] = litecoin_blocks();
    let ltc = params(Asset::Ltc);
    // Where the transactions end: the shortest cut that can be read.
    let end = (0..=block.len()).find(|&n| parse_block(&block[..n], &ltc).is_ok()).unwrap();
    assert!(end < block.len(), "something follows the transactions");
    assert_eq!(block[end], 1, "the extension block is there");
    for cut in end..block.len() {
        assert!(parse_block(&block[..cut], &ltc).is_ok(), "what follows is left alone");
    }
    // Bitcoin knows no such thing.
    assert!(parse_block(&block, &params(Asset::Btc)).is_err());
}

#[test]
fn a_changed_byte_of_a_transaction_is_noticed() {
    let [block, _] = litecoin_blocks();
    let ltc = params(Asset::Ltc);
    let good = parse_block(&block, &ltc).unwrap();
    for at in 0..block.len() {
        let mut changed = block.clone();
        changed[at] ^= 0x41;
        if let Ok(read) = parse_block(&changed, &ltc) {
            // Headers, witnesses and the extension block are not what the merkle root covers.
            assert_eq!(read.txs, good.txs, "byte {at}");
        }
    }
}

#[test]
fn counts_that_promise_more_than_follows_cost_no_memory() {
    let mut block = vec![0; 80];
    block.extend([0xff; 9]);
    assert!(parse_block(&block, &params(Asset::Btc)).is_err());
    block.truncate(80);
    block.extend([0xfe, 0xff, 0xff, 0xff, 0x00]);
    block.extend(vec![0; 1000]);
    assert!(parse_block(&block, &params(Asset::Btc)).is_err());
}

#[test]
fn what_is_larger_than_a_block_is_not_looked_at() {
    let bytes = vec![0; 16_000_001];
    assert!(parse_block(&bytes, &params(Asset::Btc)).is_err());
}

#[test]
fn a_block_without_transactions_is_none() {
    let mut block = vec![0; 80];
    block.push(0);
    assert!(parse_block(&block, &params(Asset::Btc)).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, head in prop::bool::ANY) {
        for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
            let params = params(asset);
            let _ = parse_transaction(&bytes, &params);
            let mut block = if head { vec![1; 80] } else { Vec::new() };
            block.extend(&bytes);
            let _ = parse_block(&block, &params);
        }
    }

    #[test]
    fn no_damage_to_a_real_block_panics(
        at: prop::sample::Index,
        with in prop::collection::vec(any::<u8>(), 0..12),
        cut: prop::sample::Index,
    ) {
        for block in litecoin_blocks() {
            let mut damaged = block.clone();
            let at = at.index(block.len());
            let until = (at + with.len()).min(block.len());
            damaged.splice(at..until, with.iter().copied());
            damaged.truncate(cut.index(damaged.len()) + 1);
            for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
                let _ = parse_block(&damaged, &params(asset));
            }
        }
    }
}
