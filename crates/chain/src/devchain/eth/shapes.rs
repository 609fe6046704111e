//! What is answered: blocks, transactions and receipts as geth writes them.
//!
//! Numbers are *quantities* (`0x1b4`, `0x0`), everything else *data* (`0x` and all digits).

use super::block::{Block, gas_through};
use crate::eth::{EthHeader, SignedTx, TRANSFER_GAS};
use ruint::aliases::U256;
use serde_json::{Value, json};

pub(super) fn quantity(number: u64) -> Value {
    format!("{number:#x}").into()
}

pub(super) fn wide(number: &U256) -> Value {
    format!("{number:#x}").into()
}

pub(super) fn data(bytes: &[u8]) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}

/// A header's members; `None` for the total difficulty of what is no known block.
pub(super) fn header(header: &EthHeader, total: Option<&U256>, is_pending: bool) -> Value {
    let or_null = |value: Value| if is_pending { Value::Null } else { value };
    json!({
        "number": quantity(header.number),
        "hash": or_null(data(&header.hash())),
        "parentHash": data(&header.parent_hash),
        "nonce": or_null(data(&header.nonce)),
        "mixHash": data(&header.mix_hash),
        "sha3Uncles": data(&header.uncles_hash),
        "logsBloom": or_null(data(&header.logs_bloom[..])),
        "transactionsRoot": data(&header.transactions_root),
        "stateRoot": data(&header.state_root),
        "receiptsRoot": data(&header.receipts_root),
        "miner": or_null(data(&header.coinbase.0)),
        "difficulty": wide(&header.difficulty),
        "totalDifficulty": total.map_or(Value::Null, wide),
        "extraData": data(&header.extra_data),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
    })
}

/// A block, with its transactions in full or by their hashes.
pub(super) fn block(block: &Block, total: Option<&U256>, in_full: bool, is_pending: bool) -> Value {
    let mut shape = header(&block.header, total, is_pending);
    shape["size"] = quantity(block.encode().len() as u64);
    let hash = block.header.hash();
    let place = |i| if is_pending { None } else { Some((&hash, block.header.number, i)) };
    let txs = block.txs.iter().enumerate();
    let txs = txs.map(|(i, tx)| if in_full { transaction(tx, place(i)) } else { data(&tx.hash) });
    shape["transactions"] = txs.collect();
    shape["uncles"] = block.uncles.iter().map(|uncle| data(&uncle.hash())).collect();
    shape
}

/// An uncle: a block of which only the header is known.
pub(super) fn uncle(of: &EthHeader) -> Value {
    let mut shape = header(of, None, false);
    shape["uncles"] = json!([]);
    shape
}

/// A transaction and where it stands: block, height and place; nowhere while it waits.
pub(super) fn transaction(signed: &SignedTx, place: Option<(&[u8; 32], u64, usize)>) -> Value {
    let (v, r, s) = &signed.signature;
    json!({
        "blockHash": place.map_or(Value::Null, |(hash, _, _)| data(hash)),
        "blockNumber": place.map_or(Value::Null, |(_, height, _)| quantity(height)),
        "transactionIndex": place.map_or(Value::Null, |(_, _, i)| quantity(i as u64)),
        "hash": data(&signed.hash),
        "from": data(&signed.sender.0),
        "to": signed.tx.to.map_or(Value::Null, |to| data(&to.0)),
        "value": wide(&signed.tx.value),
        "nonce": quantity(signed.tx.nonce),
        "gas": quantity(signed.tx.gas_limit),
        "gasPrice": wide(&signed.tx.gas_price),
        "input": data(&signed.tx.data),
        "type": "0x0",
        "chainId": quantity(signed.chain_id),
        "v": quantity(*v),
        "r": wide(r),
        "s": wide(s),
    })
}

/// What became of a transaction: all here succeed, or do not get in.
pub(super) fn receipt(of: &Block, place: usize) -> Option<Value> {
    let signed = of.txs.get(place)?;
    Some(json!({
        "transactionHash": data(&signed.hash),
        "transactionIndex": quantity(place as u64),
        "blockHash": data(&of.header.hash()),
        "blockNumber": quantity(of.header.number),
        "from": data(&signed.sender.0),
        "to": signed.tx.to.map_or(Value::Null, |to| data(&to.0)),
        "cumulativeGasUsed": quantity(gas_through(place)),
        "gasUsed": quantity(TRANSFER_GAS),
        "effectiveGasPrice": wide(&signed.tx.gas_price),
        "contractAddress": Value::Null,
        "logs": [],
        "logsBloom": data(&[0; crate::eth::header::BLOOM_BYTES]),
        "type": "0x0",
        "status": "0x1",
    }))
}
