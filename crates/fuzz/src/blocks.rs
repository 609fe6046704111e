//! Bytes as blocks, transactions and addresses.
//!
//! What must hold: no panic; where the `bitcoin` crate reads a transaction or block too, both find
//! the same ids, inputs and outputs; a script that has an address is what its address says.

use crate::input::Input;
use bitcoin::consensus::encode::{deserialize_partial, serialize};
use bitcoin::hashes::Hash as _;
use gruve_chain::{
    ChainParams, LeanTx, NetworkName, address_for_script, params_for, parse_block,
    script_for_address, walk::parse_transaction,
};
use gruve_units::Asset;

fn params(asset: Asset) -> ChainParams {
    params_for(asset, NetworkName::Mainnet).expect("a chain")
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.below(4);
    let rest = input.rest();
    for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
        let params = params(asset);
        match kind {
            0 => drop(parse_block(rest, &params)),
            1 => drop(parse_transaction(rest, &params)),
            2 => addresses(rest, &params),
            _ => {}
        }
    }
    match kind {
        1 => transaction(rest),
        3 => block(rest),
        _ => {}
    }
}

fn addresses(bytes: &[u8], params: &ChainParams) {
    if let Some(address) = address_for_script(params, bytes) {
        assert_eq!(script_for_address(params, &address).as_deref(), Ok(bytes), "{address}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(script) = script_for_address(params, text) {
        let address = address_for_script(params, &script).expect("an address of its script");
        // Some chains have old and new addresses of one script.
        assert_eq!(script_for_address(params, &address), Ok(script), "{text} is {address}");
    }
}

fn same(ours: &LeanTx, theirs: &bitcoin::Transaction) {
    assert_eq!(ours.txid, theirs.compute_txid().to_byte_array());
    let spent = theirs
        .input
        .iter()
        .map(|i| (i.previous_output.txid.to_byte_array(), i.previous_output.vout));
    if !theirs.is_coinbase() {
        assert!(ours.inputs.iter().copied().eq(spent), "{theirs:?}");
    }
    assert_eq!(ours.outputs.len(), theirs.output.len());
    for (ours, theirs) in ours.outputs.iter().zip(&theirs.output) {
        assert_eq!(u64::try_from(ours.value).unwrap(), theirs.value.to_sat());
        assert_eq!(ours.script, theirs.script_pubkey.as_bytes());
    }
}

fn transaction(bytes: &[u8]) {
    let theirs = deserialize_partial::<bitcoin::Transaction>(bytes);
    let Ok((theirs, length)) = theirs else { return };
    if length == bytes.len()
        && let Ok(ours) = parse_transaction(bytes, &params(Asset::Btc))
    {
        same(&ours, &theirs);
    }
}

/// Transactions one after the other, in a block with the root that is theirs.
fn block(mut bytes: &[u8]) {
    let mut txs = Vec::new();
    while let Ok((tx, length)) = deserialize_partial::<bitcoin::Transaction>(bytes) {
        bytes = &bytes[length..];
        txs.push(tx);
    }
    if txs.is_empty() {
        return;
    }
    let leaves = txs.iter().map(|tx| tx.compute_txid().to_raw_hash());
    let root = bitcoin::merkle_tree::calculate_root(leaves).expect("not empty");
    let mut raw = vec![0; 80];
    raw[36..68].copy_from_slice(root.as_byte_array());
    raw.extend(serialize(&bitcoin::consensus::encode::VarInt(txs.len() as u64)));
    for tx in &txs {
        raw.extend(serialize(tx));
    }
    let ours = parse_block(&raw, &params(Asset::Btc));
    let is_block = txs.iter().enumerate().all(|(i, tx)| tx.is_coinbase() == (i == 0));
    if let Ok(ours) = &ours {
        assert!(is_block, "a coinbase is missing or in the wrong place");
        assert_eq!(ours.txs.len(), txs.len());
        for (ours, theirs) in ours.txs.iter().zip(&txs) {
            same(ours, theirs);
        }
    }
}
