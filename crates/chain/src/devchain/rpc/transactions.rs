//! Methods about transactions and coins.

use super::Call;
use super::args::{self, Args, RpcError};
use super::shapes::{LookUp, coins, script_pub_key, transaction};
use crate::devchain::check::value_of;
use crate::devchain::mempool::{PoolEntry, PoolRefusal, fee_for};
use crate::devchain::params::DevParams;
use crate::devchain::state::State;
use bitcoin::{OutPoint, Transaction, Txid};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Transactions one `testmempoolaccept` looks at (Core's limit).
const MAX_TESTED: usize = 25;

pub(super) fn getrawtransaction(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let txid = args.txid(0)?;
    let verbosity = args.verbosity(1, 0)?;
    let chain = &call.state.chain;
    let not_found = |message: &str| Err(RpcError::new(RpcError::ADDRESS_OR_KEY, message));
    let asked_block = match args.get(2) {
        None => None,
        Some(_) => match chain.tree.find(&args.block_hash(2)?) {
            Some(index) => Some(index),
            None => return not_found("Block hash not found"),
        },
    };
    let waiting = call.state.pool.get(&txid).filter(|_| asked_block.is_none());
    let (tx, place) = if let Some(entry) = waiting {
        (entry.tx.clone(), None)
    } else {
        let found = match asked_block {
            None => chain.place_of(&txid).map(|(index, _)| index),
            asked => asked,
        };
        let block = match found {
            Some(index) => chain.block(index)?,
            None => None,
        };
        let tx = block.and_then(|b| b.txdata.into_iter().find(|tx| tx.compute_txid() == txid));
        match tx {
            Some(tx) => (tx, found),
            None if asked_block.is_some() => {
                return not_found("No such transaction found in the provided block");
            }
            None => return not_found("No such mempool or blockchain transaction"),
        }
    };
    if verbosity <= 0 {
        return Ok(bitcoin::consensus::encode::serialize_hex(&tx).into());
    }
    let state = &*call.state;
    let look_up = |point: &OutPoint| {
        let from_chain = state.chain.output(point).ok().flatten();
        from_chain.or_else(|| state.unconfirmed_output(point))
    };
    let spent: Option<LookUp<'_>> = if verbosity > 1 { Some(&look_up) } else { None };
    let mut object = transaction(&chain.params, &tx, spent);
    if let Some(index) = place {
        let node = chain.tree.node(index);
        let active = chain.is_active(index);
        if asked_block.is_some() {
            object.insert("in_active_chain".into(), active.into());
        }
        let depth = if active { chain.height() - node.height + 1 } else { 0 };
        object.insert("blockhash".into(), node.hash.to_string().into());
        object.insert("confirmations".into(), depth.into());
        object.insert("time".into(), node.header.time.into());
        object.insert("blocktime".into(), node.header.time.into());
    }
    Ok(Value::Object(object))
}

pub(super) fn decoderawtransaction(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let tx = args::transaction(args.text(0)?)?;
    let mut object = transaction(&call.state.chain.params, &tx, None);
    object.remove("hex");
    Ok(Value::Object(object))
}

pub(super) fn getrawmempool(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    if args.flag(0, false)? {
        let entries: Map<String, Value> = state
            .pool
            .iter()
            .map(|entry| (entry.txid.to_string(), entry_fields(state, entry)))
            .collect();
        return Ok(Value::Object(entries));
    }
    let ids: Vec<String> = state.pool.iter().map(|entry| entry.txid.to_string()).collect();
    if args.flag(1, false)? {
        return Ok(json!({ "txids": ids, "mempool_sequence": state.pool_changes }));
    }
    Ok(ids.into())
}

pub(super) fn getmempoolentry(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let txid = args.txid(0)?;
    let state = &*call.state;
    state.pool.get(&txid).map_or_else(
        || Err(RpcError::new(RpcError::ADDRESS_OR_KEY, "Transaction not in mempool")),
        |entry| Ok(entry_fields(state, entry)),
    )
}

fn entry_fields(state: &State, entry: &PoolEntry) -> Value {
    let params = &state.chain.params;
    let pool = &state.pool;
    let family = |ids: std::collections::HashSet<Txid>| {
        let mut sums = (1u64, entry.vsize(), entry.fee);
        for other in ids.iter().filter_map(|id| pool.get(id)) {
            sums = (sums.0 + 1, sums.1 + other.vsize(), sums.2.saturating_add(other.fee));
        }
        sums
    };
    let above = family(pool.ancestors(&entry.parents));
    let below = family(pool.descendants(&entry.txid));
    let text = |ids: &[Txid]| ids.iter().map(Txid::to_string).collect::<Vec<_>>();
    json!({
        "vsize": entry.vsize(),
        "weight": entry.weight,
        "time": entry.time,
        "height": entry.height,
        "descendantcount": below.0,
        "descendantsize": below.1,
        "ancestorcount": above.0,
        "ancestorsize": above.1,
        "wtxid": entry.wtxid.to_string(),
        "fees": {
            "base": coins(params, entry.fee),
            "modified": coins(params, entry.fee),
            "ancestor": coins(params, above.2),
            "descendant": coins(params, below.2),
        },
        "depends": text(&entry.parents),
        "spentby": text(&pool.children(&entry.txid)),
        "bip125-replaceable": false,
        "unbroadcast": false,
    })
}

pub(super) fn getmempoolinfo(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    let params = &state.chain.params;
    let relay = coins(params, params.relay_fee_per_kvb);
    let fees: i64 = state.pool.iter().map(|entry| entry.fee).sum();
    Ok(json!({
        "loaded": true,
        "size": state.pool.len(),
        "bytes": state.pool.vsize(),
        "usage": state.pool.vsize(),
        "total_fee": coins(params, fees),
        "maxmempool": crate::devchain::mempool::MAX_POOL_WEIGHT / 4,
        "mempoolminfee": relay,
        "minrelaytxfee": relay,
        "incrementalrelayfee": relay,
        "unbroadcastcount": 0,
        "fullrbf": false,
    }))
}

/// The most a transaction may pay before it looks like a mistake: a tenth of a coin per kvB unless
/// the caller says otherwise; nothing is too much for a coin as cheap as Dogecoin.
fn highest_fee(params: &DevParams, args: &Args, tx: &Transaction) -> Result<i64, RpcError> {
    let per_kvb = match args.get(1) {
        Some(_) => args.amount(1, params.asset)?,
        None if params.segwit => params.asset.unit() / 10,
        None => 0,
    };
    // Zero switches the check off, as in Core.
    let size = tx.weight().to_wu().div_ceil(4);
    Ok(if per_kvb == 0 { i64::MAX } else { fee_for(per_kvb, size) })
}

pub(super) fn sendrawtransaction(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let tx = args::transaction(args.text(0)?)?;
    let highest = highest_fee(&call.state.chain.params, args, &tx)?;
    let txid = tx.compute_txid();
    if call.state.pool.get(&txid).is_some() {
        return Ok(txid.to_string().into());
    }
    let coins = &call.state.chain.coins;
    let in_chain =
        (0u32..).zip(&tx.output).any(|(vout, _)| coins.contains_key(&OutPoint { txid, vout }));
    if in_chain {
        let message = "Transaction outputs already in utxo set";
        return Err(RpcError::new(RpcError::ALREADY_IN_CHAIN, message));
    }
    let refused = |refusal| match refusal {
        PoolRefusal::MissingInputs => {
            RpcError::new(RpcError::VERIFY, "bad-txns-inputs-missingorspent")
        }
        PoolRefusal::Rule(reject) => RpcError::new(RpcError::REJECTED, reject.to_string()),
    };
    let entry = call.state.check(tx.clone(), call.now).map_err(refused)?;
    if entry.fee > highest {
        let message = "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)";
        return Err(RpcError::new(RpcError::VERIFY, message));
    }
    call.state.accept(tx, call.now).map_err(refused)?;
    Ok(txid.to_string().into())
}

pub(super) fn testmempoolaccept(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    let params = &state.chain.params;
    let raw = args.need(0)?.as_array().filter(|raw| !raw.is_empty() && raw.len() <= MAX_TESTED);
    let Some(raw) = raw else {
        let message = format!("Array must contain between 1 and {MAX_TESTED} transactions.");
        return Err(RpcError::new(RpcError::PARAMETER, message));
    };
    let mut answers = Vec::with_capacity(raw.len());
    for text in raw {
        let tx = args::transaction(text.as_str().unwrap_or(""))?;
        let highest = highest_fee(params, args, &tx)?;
        let mut answer = json!({
            "txid": tx.compute_txid().to_string(),
            "wtxid": tx.compute_wtxid().to_string(),
        });
        let txid = tx.compute_txid();
        let known = (0u32..)
            .zip(&tx.output)
            .any(|(vout, _)| state.chain.coins.contains_key(&OutPoint { txid, vout }));
        let wtxid = tx.compute_wtxid().to_string();
        let checked = if known {
            Err("txn-already-known".to_owned())
        } else {
            state.check(tx, call.now).map_err(|refusal| match refusal {
                PoolRefusal::MissingInputs => "missing-inputs".to_owned(),
                PoolRefusal::Rule(reject) => reject.reason.into_owned(),
            })
        };
        match checked {
            Ok(entry) if entry.fee > highest => {
                answer["allowed"] = false.into();
                answer["reject-reason"] = "max-fee-exceeded".into();
            }
            Ok(entry) => {
                let size = i64::try_from(entry.vsize()).unwrap_or(i64::MAX).max(1);
                answer["allowed"] = true.into();
                answer["vsize"] = entry.vsize().into();
                answer["fees"] = json!({
                    "base": coins(params, entry.fee),
                    "effective-feerate": coins(params, entry.fee.saturating_mul(1000) / size),
                    "effective-includes": [wtxid],
                });
            }
            Err(reason) => {
                answer["allowed"] = false.into();
                answer["reject-reason"] = reason.into();
            }
        }
        answers.push(answer);
    }
    Ok(answers.into())
}

pub(super) fn gettxout(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    let txid = args.txid(0)?;
    let vout = args.number(1)?.and_then(|n| u32::try_from(n).ok());
    let Some(vout) = vout else {
        return Err(RpcError::new(RpcError::PARAMETER, "Invalid parameter, vout must be positive"));
    };
    let point = OutPoint { txid, vout };
    let with_pool = args.flag(2, true)?;
    if with_pool && state.pool.spender(&point).is_some() {
        return Ok(Value::Null);
    }
    let unconfirmed = if with_pool { state.unconfirmed_output(&point) } else { None };
    let (coin, depth) = if let Some(coin) = unconfirmed {
        (coin, 0)
    } else if let Some(coin) = state.chain.coins.get(&point) {
        (coin.clone(), state.chain.height().saturating_sub(coin.height) + 1)
    } else {
        return Ok(Value::Null);
    };
    Ok(json!({
        "bestblock": state.chain.tip_node().hash.to_string(),
        "confirmations": depth,
        "value": coins(&state.chain.params, value_of(&coin.out)),
        "scriptPubKey": script_pub_key(&state.chain.params, &coin.out.script_pubkey),
        "coinbase": coin.coinbase,
    }))
}

/// Looks for outputs of plain scripts, `raw(…)`, among all; of Core's other ways to name scripts it knows none.
pub(super) fn scantxoutset(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let bad = |message: &str| Err(RpcError::new(RpcError::PARAMETER, message));
    if args.get(0).and_then(Value::as_str) != Some("start") {
        return bad("Invalid action argument");
    }
    let Some(objects) = args.get(1).and_then(Value::as_array) else {
        return bad("scanobjects argument is required for the start action");
    };
    let mut scripts = HashSet::with_capacity(objects.len());
    for object in objects {
        let plain = object.as_str().and_then(|o| o.strip_prefix("raw(")?.strip_suffix(')'));
        let Some(Ok(script)) = plain.map(hex::decode) else {
            return bad("only raw(…) can be looked for");
        };
        scripts.insert(script);
    }
    let chain = &call.state.chain;
    let (mut unspents, mut total) = (Vec::new(), 0);
    for (point, coin) in &chain.coins {
        if !scripts.contains(coin.out.script_pubkey.as_bytes()) {
            continue;
        }
        let (value, script) = (value_of(&coin.out), &coin.out.script_pubkey);
        total += value;
        unspents.push(json!({
            "txid": point.txid.to_string(),
            "vout": point.vout,
            "scriptPubKey": hex::encode(script.as_bytes()),
            "desc": script_pub_key(&chain.params, script)["desc"],
            "amount": coins(&chain.params, value),
            "coinbase": coin.coinbase,
            "height": coin.height,
        }));
    }
    Ok(json!({
        "success": true,
        "txouts": chain.coins.len(),
        "height": chain.height(),
        "bestblock": chain.tip_node().hash.to_string(),
        "unspents": unspents,
        "total_amount": coins(&chain.params, total),
    }))
}

pub(super) fn estimatesmartfee(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let blocks = args.number(0)?.unwrap_or(0);
    if !(1..=1008).contains(&blocks) {
        let message = "Invalid conf_target, must be between 1 and 1008";
        return Err(RpcError::new(RpcError::PARAMETER, message));
    }
    let params = &call.state.chain.params;
    Ok(json!({ "feerate": coins(params, params.wallet_fee_per_kvb), "blocks": blocks.max(2) }))
}
