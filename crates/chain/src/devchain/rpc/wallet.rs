//! Methods of the built-in wallet.

use super::Call;
use super::args::{Args, RpcError};
use super::shapes::{coins, fee_of};
use crate::devchain::check::value_of;
use crate::devchain::mempool::PoolRefusal;
use crate::devchain::state::State;
use crate::{address_for_script, script_for_address};
use bitcoin::{OutPoint, Script, ScriptBuf, Transaction};
use serde_json::{Map, Value, json};

/// The script of an address of this chain.
pub(super) fn script_of(state: &State, address: &str) -> Result<Vec<u8>, RpcError> {
    let invalid =
        |e: String| RpcError::new(RpcError::ADDRESS_OR_KEY, format!("Invalid address: {e}"));
    let chain = state.chain.params.chain_params().map_err(|e| invalid(e.to_string()))?;
    script_for_address(&chain, address).map_err(|e| invalid(e.to_string()))
}

/// The address of a script, where it has one.
fn address_of(state: &State, script: &Script) -> Option<String> {
    let chain = state.chain.params.chain_params().ok()?;
    address_for_script(&chain, script.as_bytes())
}

pub(super) fn validateaddress(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let address = args.text(0)?;
    let script = match script_of(call.state, address) {
        Ok(script) => ScriptBuf::from_bytes(script),
        Err(e) => {
            return Ok(json!({ "isvalid": false, "error_locations": [], "error": e.message }));
        }
    };
    let mut answer = json!({
        "isvalid": true,
        "address": address,
        "scriptPubKey": hex::encode(script.as_bytes()),
        "isscript": script.is_p2sh() || script.is_p2wsh() || script.is_p2tr(),
        "iswitness": script.is_witness_program(),
    });
    if let Some(version) = script.witness_version() {
        answer["witness_version"] = version.to_num().into();
        answer["witness_program"] = hex::encode(&script.as_bytes()[2..]).into();
    }
    Ok(answer)
}

pub(super) fn getnewaddress(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    if let Some(kind) = args.get(1).and_then(Value::as_str) {
        let own = if call.state.chain.params.segwit { "bech32" } else { "legacy" };
        if kind != own {
            let message = format!("Unknown address type '{kind}' (this wallet makes {own} only)");
            return Err(RpcError::new(RpcError::ADDRESS_OR_KEY, message));
        }
    }
    let Some(script) = call.state.wallet.next_script()? else {
        let message = "Error: this wallet has given out all its addresses";
        return Err(RpcError::new(RpcError::KEYPOOL, message));
    };
    address_of(call.state, &script)
        .map(Value::String)
        .ok_or_else(|| RpcError::new(RpcError::INTERNAL, "the wallet's script has no address"))
}

pub(super) fn sendtoaddress(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let script = script_of(call.state, args.text(0)?)?;
    let amount = args.amount(1, call.state.chain.params.asset)?;
    if amount == 0 {
        return Err(RpcError::new(RpcError::TYPE, "Invalid amount for send"));
    }
    if args.flag(4, false)? {
        let message = "subtractfeefromamount is not offered by this wallet";
        return Err(RpcError::new(RpcError::PARAMETER, message));
    }
    let Some(tx) = call.state.pay(ScriptBuf::from_bytes(script), amount) else {
        return Err(RpcError::new(RpcError::FUNDS, "Insufficient funds"));
    };
    match call.state.accept(tx, call.now) {
        Ok(txid) => Ok(txid.to_string().into()),
        Err(PoolRefusal::MissingInputs) => {
            Err(RpcError::new(RpcError::INTERNAL, "the wallet chose a coin that is gone"))
        }
        // As Core's wallet says it: the transaction was made and then refused.
        Err(PoolRefusal::Rule(reject)) => {
            Err(RpcError::new(RpcError::REJECTED, reject.to_string()))
        }
    }
}

pub(super) fn getbalance(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let least_depth = args.number(1)?.unwrap_or(0);
    let total: i64 = call.state.own_coins(least_depth).iter().map(|(_, out)| value_of(out)).sum();
    Ok(coins(&call.state.chain.params, total))
}

pub(super) fn getreceivedbyaddress(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let script = ScriptBuf::from_bytes(script_of(call.state, args.text(0)?)?);
    let least_depth = args.number(1)?.unwrap_or(1);
    let state = &*call.state;
    if !state.wallet.owns(&script) {
        return Err(RpcError::new(RpcError::ADDRESS_OR_KEY, "Address not found in wallet"));
    }
    let mut total = 0i64;
    for receipt in state.chain.receipts(&script) {
        let depth = i64::from(state.chain.height() - receipt.height) + 1;
        if depth >= least_depth && !state.is_immature(&receipt.point) {
            total = total.saturating_add(receipt.value);
        }
    }
    if least_depth <= 0 {
        let waiting = state.pool.iter().flat_map(|entry| &entry.tx.output);
        let paid = waiting.filter(|out| out.script_pubkey == script).map(value_of);
        total = paid.fold(total, i64::saturating_add);
    }
    Ok(coins(&state.chain.params, total))
}

pub(super) fn gettransaction(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let txid = args.txid(0)?;
    let state = &*call.state;
    let chain = &state.chain;
    let unknown =
        || RpcError::new(RpcError::ADDRESS_OR_KEY, "Invalid or non-wallet transaction id");
    let (tx, place, time) = if let Some(entry) = state.pool.get(&txid) {
        (entry.tx.clone(), None, entry.time)
    } else {
        let (index, position) = chain.place_of(&txid).ok_or_else(unknown)?;
        let block = chain.block(index)?.ok_or_else(unknown)?;
        let time = i64::from(block.header.time);
        let tx = block.txdata.into_iter().nth(position).ok_or_else(unknown)?;
        (tx, Some((index, position)), time)
    };
    let spent = |point: &OutPoint| {
        let from_chain = chain.output(point).ok().flatten();
        from_chain.or_else(|| state.unconfirmed_output(point))
    };
    let own_in: i64 = tx
        .input
        .iter()
        .filter_map(|input| spent(&input.previous_output))
        .filter(|coin| state.wallet.owns(&coin.out.script_pubkey))
        .map(|coin| value_of(&coin.out))
        .sum();
    let own_outputs = tx.output.iter().filter(|out| state.wallet.owns(&out.script_pubkey));
    let own_out: i64 = own_outputs.clone().map(value_of).sum();
    if own_in == 0 && own_outputs.count() == 0 {
        return Err(unknown());
    }
    // The wallet never pays together with others, so a fee is all its own or not its own.
    let fee = if own_in > 0 { fee_of(&tx, &spent).unwrap_or(0) } else { 0 };
    let params = &chain.params;
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    let generated = tx.is_coinbase();
    put("amount", coins(params, own_out - own_in + fee));
    if own_in > 0 {
        put("fee", coins(params, -fee));
    }
    match place {
        Some((index, position)) => {
            let node = chain.tree.node(index);
            put("confirmations", (chain.height() - node.height + 1).into());
            if generated {
                put("generated", true.into());
            }
            put("blockhash", node.hash.to_string().into());
            put("blockheight", node.height.into());
            put("blockindex", position.into());
            put("blocktime", node.header.time.into());
        }
        None => {
            put("confirmations", 0.into());
            put("trusted", (own_in > 0).into());
        }
    }
    put("txid", txid.to_string().into());
    put("wtxid", tx.compute_wtxid().to_string().into());
    put("walletconflicts", json!([]));
    put("time", time.into());
    put("timereceived", time.into());
    put("bip125-replaceable", "no".into());
    put("details", details(state, &tx, own_in > 0, fee).into());
    put("hex", bitcoin::consensus::encode::serialize_hex(&tx).into());
    let tip = chain.tip_node();
    put("lastprocessedblock", json!({ "hash": tip.hash.to_string(), "height": tip.height }));
    Ok(Value::Object(answer))
}

/// One line for every payment out and every payment in; change is neither.
fn details(state: &State, tx: &Transaction, sent: bool, fee: i64) -> Vec<Value> {
    let params = &state.chain.params;
    let mut lines = Vec::new();
    for (vout, out) in (0u32..).zip(&tx.output) {
        let own = state.wallet.owns(&out.script_pubkey);
        let value = value_of(out);
        let mut line = |category: &str, amount: i64, fee: Option<i64>| {
            let mut object = json!({
                "category": category,
                "amount": coins(params, amount),
                "vout": vout,
                "abandoned": false,
            });
            if let Some(address) = address_of(state, &out.script_pubkey) {
                object["address"] = address.into();
            }
            if let Some(fee) = fee {
                object["fee"] = coins(params, -fee);
            }
            lines.push(object);
        };
        let change = sent && own && state.is_change(&out.script_pubkey);
        if sent && !change {
            line("send", -value, Some(fee));
        }
        if own && !change {
            let point = OutPoint { txid: tx.compute_txid(), vout };
            let category = match (tx.is_coinbase(), state.is_immature(&point)) {
                (false, _) => "receive",
                (true, true) => "immature",
                (true, false) => "generate",
            };
            line(category, value, None);
        }
    }
    lines
}
