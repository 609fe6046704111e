//! Methods about the chain of blocks.

use super::Call;
use super::args::{Args, RpcError};
use super::mining::{chain_name, version_hex};
use super::shapes::{coins, difficulty, target_hex, transaction, work_hex};
use crate::devchain::check::WITNESS_SCALE;
use crate::devchain::connect::Coin;
use crate::devchain::state::State;
use crate::devchain::tree::NodeIndex;
use bitcoin::{OutPoint, Transaction, VarInt};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The node version whose shapes these are, in Core's form.
const VERSION: u32 = 290_000;

pub(super) fn getblockchaininfo(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    let chain = &call.state.chain;
    let tip = chain.tip_node();
    let headers = (0..chain.tree.len()).map(|i| chain.tree.node(i).height).max().unwrap_or(0);
    Ok(json!({
        "chain": chain_name(call.state),
        "blocks": tip.height,
        "headers": headers,
        "bestblockhash": tip.hash.to_string(),
        "bits": format!("{:08x}", tip.header.bits.to_consensus()),
        "target": target_hex(tip.header.bits.to_consensus()),
        "difficulty": difficulty(tip.header.bits),
        "time": tip.header.time,
        "mediantime": chain.tree.median_time(chain.tip()),
        "verificationprogress": 1,
        "initialblockdownload": false,
        "chainwork": work_hex(tip.work),
        "size_on_disk": chain.size_on_disk(),
        "pruned": false,
        "warnings": [],
    }))
}

pub(super) fn getnetworkinfo(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    let params = &call.state.chain.params;
    let relay = coins(params, params.relay_fee_per_kvb);
    Ok(json!({
        "version": VERSION,
        "subversion": concat!("/gruve-devchain:", env!("CARGO_PKG_VERSION"), "/"),
        "protocolversion": 70016,
        "localservices": "0000000000000009",
        "localservicesnames": ["NETWORK", "WITNESS"],
        "localrelay": true,
        "timeoffset": 0,
        "networkactive": false,
        "connections": 0,
        "connections_in": 0,
        "connections_out": 0,
        "networks": [],
        "relayfee": relay,
        "incrementalfee": relay,
        "localaddresses": [],
        "warnings": [],
    }))
}

pub(super) fn getconnectioncount(_: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    Ok(0.into())
}

pub(super) fn getpeerinfo(_: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    Ok(json!([]))
}

pub(super) fn getblockcount(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    Ok(call.state.chain.height().into())
}

pub(super) fn getbestblockhash(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    Ok(call.state.chain.tip_node().hash.to_string().into())
}

/// What a call of `waitfornewblock` waits for.
pub(crate) struct TipWait {
    /// The tip that is known, in text; the present one if the caller names none.
    pub(crate) known: Option<String>,
    /// For how long; zero is for ever.
    pub(crate) millis: u64,
}

impl TipWait {
    /// Reads the arguments; what is wrong with them the call itself tells, at once.
    pub(crate) fn read(params: &Value) -> Option<TipWait> {
        let arg = |at: usize, name: &str| params.get(at).or_else(|| params.get(name));
        let known = match arg(1, "current_tip").filter(|v| !v.is_null()) {
            None => None,
            Some(text) => Some(text.as_str().filter(|t| t.len() == 64)?.to_ascii_lowercase()),
        };
        let millis = arg(0, "timeout").filter(|v| !v.is_null());
        Some(TipWait { known, millis: millis.map_or(Some(0), Value::as_u64)? })
    }
}

/// The tip; that it is a new one has been waited for outside.
pub(super) fn waitfornewblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    if args.number(0)?.is_some_and(|millis| millis < 0) {
        return Err(RpcError::new(RpcError::MISC, "Negative timeout"));
    }
    if args.get(1).is_some_and(|v| !v.is_null()) {
        args.block_hash(1)?;
    }
    let tip = call.state.chain.tip_node();
    Ok(json!({ "hash": tip.hash.to_string(), "height": tip.height }))
}

pub(super) fn getblockhash(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let height = args.number(0)?.and_then(|h| u32::try_from(h).ok());
    let chain = &call.state.chain;
    height.and_then(|h| chain.at_height(h)).map_or_else(
        || Err(RpcError::new(RpcError::PARAMETER, "Block height out of range")),
        |index| Ok(chain.tree.node(index).hash.to_string().into()),
    )
}

fn find(state: &State, args: &Args) -> Result<NodeIndex, RpcError> {
    let hash = args.block_hash(0)?;
    let found = state.chain.tree.find(&hash);
    found.ok_or_else(|| RpcError::new(RpcError::ADDRESS_OR_KEY, "Block not found"))
}

/// How many blocks of the best chain confirm a block; −1 off it.
fn confirmations(state: &State, index: NodeIndex) -> i64 {
    if state.chain.is_active(index) {
        i64::from(state.chain.height() - state.chain.tree.node(index).height) + 1
    } else {
        -1
    }
}

fn header_fields(state: &State, index: NodeIndex) -> Map<String, Value> {
    let tree = &state.chain.tree;
    let node = tree.node(index);
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("hash", node.hash.to_string().into());
    put("confirmations", confirmations(state, index).into());
    put("height", node.height.into());
    put("version", node.header.version.to_consensus().into());
    put("versionHex", version_hex(node.header.version).into());
    put("merkleroot", node.header.merkle_root.to_string().into());
    put("time", node.header.time.into());
    put("mediantime", tree.median_time(index).into());
    put("nonce", node.header.nonce.into());
    put("bits", format!("{:08x}", node.header.bits.to_consensus()).into());
    put("target", target_hex(node.header.bits.to_consensus()).into());
    put("difficulty", difficulty(node.header.bits).into());
    put("chainwork", work_hex(node.work).into());
    put("nTx", node.txs.into());
    if let Some(parent) = node.parent {
        put("previousblockhash", tree.node(parent).hash.to_string().into());
    }
    let next = state.chain.at_height(node.height.saturating_add(1));
    if let Some(next) = next.filter(|_| state.chain.is_active(index)) {
        put("nextblockhash", tree.node(next).hash.to_string().into());
    }
    object
}

pub(super) fn getblockheader(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let index = find(call.state, args)?;
    if args.flag(1, true)? {
        return Ok(Value::Object(header_fields(call.state, index)));
    }
    let header = &call.state.chain.tree.node(index).header;
    Ok(bitcoin::consensus::encode::serialize_hex(header).into())
}

pub(super) fn getblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let index = find(call.state, args)?;
    let state = &*call.state;
    let Some(block) = state.chain.block(index)? else {
        return Err(RpcError::new(RpcError::MISC, "Block not available (not fully downloaded)"));
    };
    let verbosity = args.verbosity(1, 1)?;
    if verbosity <= 0 {
        let bytes = state.chain.block_bytes(index)?.unwrap_or_default();
        return Ok(hex::encode(bytes).into());
    }
    let mut object = header_fields(state, index);
    let size = block.total_size();
    let base: usize = block.txdata.iter().map(Transaction::base_size).sum();
    let stripped = 80 + VarInt::from(block.txdata.len()).size() + base;
    object.insert("strippedsize".into(), stripped.into());
    object.insert("size".into(), size.into());
    object.insert("weight".into(), (stripped * (WITNESS_SCALE - 1) + size).into());
    // What the block spent, as far as it came from before it, and what it made itself.
    let mut spent: HashMap<OutPoint, Coin> =
        state.chain.effects(index).map(|e| e.spent.iter().cloned().collect()).unwrap_or_default();
    for tx in &block.txdata {
        let txid = tx.compute_txid();
        for (vout, out) in (0u32..).zip(&tx.output) {
            let height = state.chain.tree.node(index).height;
            let coin = Coin { out: out.clone(), height, coinbase: false };
            spent.insert(OutPoint { txid, vout }, coin);
        }
    }
    let look_up = |point: &OutPoint| spent.get(point).cloned();
    let txs: Vec<Value> = block
        .txdata
        .iter()
        .map(|tx| {
            if verbosity == 1 {
                tx.compute_txid().to_string().into()
            } else {
                Value::Object(transaction(&state.chain.params, tx, Some(&look_up)))
            }
        })
        .collect();
    object.insert("tx".into(), txs.into());
    Ok(Value::Object(object))
}

pub(super) fn getchaintips(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    let chain = &call.state.chain;
    let mut has_child = vec![false; chain.tree.len()];
    for index in 0..chain.tree.len() {
        if let Some(parent) = chain.tree.node(index).parent {
            has_child[parent] = true;
        }
    }
    let mut tips = Vec::new();
    for (index, covered) in has_child.iter().enumerate() {
        let node = chain.tree.node(index);
        if *covered && index != chain.tip() {
            continue;
        }
        let mut length = 0u32;
        let mut at = index;
        while !chain.is_active(at) {
            length += 1;
            match chain.tree.node(at).parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        let status = if index == chain.tip() {
            "active"
        } else if node.failed {
            "invalid"
        } else if node.connected_once {
            "valid-fork"
        } else {
            "valid-headers"
        };
        tips.push(json!({
            "height": node.height,
            "hash": node.hash.to_string(),
            "branchlen": length,
            "status": status,
        }));
    }
    tips.reverse();
    Ok(tips.into())
}

pub(super) fn invalidateblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let hash = args.block_hash(0)?;
    find(call.state, args)?;
    if call.state.invalidate(&hash, call.now)? {
        Ok(Value::Null)
    } else {
        Err(RpcError::new(RpcError::PARAMETER, "The first block cannot be declared invalid"))
    }
}

pub(super) fn reconsiderblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let hash = args.block_hash(0)?;
    find(call.state, args)?;
    call.state.reconsider(&hash, call.now)?;
    Ok(Value::Null)
}
