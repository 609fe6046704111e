//! Methods for miners.

use super::Call;
use super::args::{Args, RpcError};
use super::shapes::{difficulty, target_hex};
use crate::auxpow::AuxProof;
use crate::devchain::DevParams;
use crate::devchain::chain::Verdict;
use crate::devchain::check::{MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT, commitment_script};
use crate::devchain::merged;
use crate::devchain::state::State;
use crate::devchain::template::{choose, depends};
use bitcoin::block::Version;
use bitcoin::{Block, CompactTarget, ScriptBuf, Transaction};
use gruve_units::Algorithm;
use serde_json::{Value, json};

/// Blocks one call may mine here, so that a call ends.
const MAX_GENERATED: i64 = 1_000;
/// Tries of all blocks of a call together, at most and unless the caller says otherwise: some
/// seconds, during which the chain answers nobody else.
const MAX_TRIES_SHA256D: u32 = 1 << 22;
const MAX_TRIES_SCRYPT: u32 = 1 << 14;

/// What a long-poll id stands for: the tip, the difficulty and the waiting transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    tip: String,
    bits: u32,
    pool_changes: u64,
}

impl News {
    pub(crate) fn of(state: &State, now: i64) -> News {
        News {
            tip: state.chain.tip_node().hash.to_string(),
            bits: state.next_block(now).bits,
            pool_changes: state.pool_changes,
        }
    }

    fn id(&self) -> String {
        format!("{}{:08x}{}", self.tip, self.bits, self.pool_changes)
    }

    /// Reads an id this chain gave out; `None` for anything else.
    pub(crate) fn read(id: &str) -> Option<News> {
        let (tip, rest) = id.split_at_checked(64)?;
        let (bits, changes) = rest.split_at_checked(8)?;
        Some(News {
            tip: tip.to_owned(),
            bits: u32::from_str_radix(bits, 16).ok()?,
            pool_changes: changes.parse().ok()?,
        })
    }

    /// Whether the work of one is of no use once the other is so.
    pub(crate) fn another_block(&self, other: &News) -> bool {
        self.tip != other.tip || self.bits != other.bits
    }
}

pub(super) fn getblocktemplate(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    let params = &state.chain.params;
    let request = args.get(0);
    let field = |name: &str| request.and_then(|r| r.get(name)).filter(|v| !v.is_null());
    match field("mode").map(|m| m.as_str().unwrap_or("")) {
        None | Some("template") => {}
        Some("proposal") => return proposal(call, field("data")),
        Some(_) => return Err(RpcError::new(RpcError::PARAMETER, "Invalid mode")),
    }
    let rules: Vec<&str> = field("rules")
        .and_then(Value::as_array)
        .map(|rules| rules.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if params.segwit && !rules.contains(&"segwit") {
        let message = "getblocktemplate must be called with the segwit rule set (call with \
                       {\"rules\": [\"segwit\"]})";
        return Err(RpcError::new(RpcError::PARAMETER, message));
    }
    let next = state.next_block(call.now);
    let chosen = choose(&state.pool);
    let needs = depends(&chosen);
    let fees: i64 = chosen.iter().map(|entry| entry.fee).sum();
    let transactions: Vec<Value> = chosen
        .iter()
        .zip(needs)
        .map(|(entry, depends)| {
            json!({
                "data": bitcoin::consensus::encode::serialize_hex(&entry.tx),
                "txid": entry.txid.to_string(),
                "hash": entry.wtxid.to_string(),
                "depends": depends,
                "fee": entry.fee,
                "sigops": entry.sigops,
                "weight": entry.weight,
            })
        })
        .collect();
    let rule_names: &[&str] = if params.segwit { &["csv", "!segwit"] } else { &["csv"] };
    let mut answer = json!({
        "capabilities": ["proposal"],
        "version": params.block_version(),
        "rules": rule_names,
        "vbavailable": {},
        "vbrequired": 0,
        "previousblockhash": state.chain.tip_node().hash.to_string(),
        "transactions": transactions,
        "coinbaseaux": {},
        "coinbasevalue": params.subsidy_at(next.height).saturating_add(fees),
        "longpollid": News::of(state, call.now).id(),
        "target": target_hex(next.bits),
        "mintime": next.min_time,
        "mutable": ["time", "transactions", "prevblock"],
        "noncerange": "00000000ffffffff",
        "sigoplimit": MAX_BLOCK_SIGOPS_COST,
        "sizelimit": MAX_BLOCK_WEIGHT,
        "weightlimit": MAX_BLOCK_WEIGHT,
        "curtime": next.time,
        "bits": format!("{:08x}", next.bits),
        "height": next.height,
    });
    if params.segwit {
        let txs: Vec<Transaction> = chosen.iter().map(|entry| entry.tx.clone()).collect();
        answer["default_witness_commitment"] = hex::encode(commitment_script(&txs)).into();
    }
    Ok(answer)
}

/// BIP 23's proposal: would this block be taken, were its work done?
fn proposal(call: &mut Call<'_>, data: Option<&Value>) -> Result<Value, RpcError> {
    let Some(data) = data.and_then(Value::as_str) else {
        return Err(RpcError::new(RpcError::TYPE, "Missing data String key for proposal"));
    };
    let (block, _) = decode_block(data, &call.state.chain.params)?;
    Ok(match call.state.chain.check_proposal(&block, call.now) {
        Ok(()) => Value::Null,
        Err(verdict) => verdict.reason().into(),
    })
}

fn decode_block(text: &str, params: &DevParams) -> Result<(Block, Option<AuxProof>), RpcError> {
    let failed = || RpcError::new(RpcError::DECODE, "Block decode failed");
    let bytes = hex::decode(text).map_err(|_| failed())?;
    let (block, proof) = merged::decode(&bytes, params).ok_or_else(failed)?;
    if !block.txdata.first().is_some_and(Transaction::is_coinbase) {
        let message = "Block does not start with a coinbase";
        return Err(RpcError::new(RpcError::DECODE, message));
    }
    Ok((block, proof))
}

pub(super) fn submitblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let params = &call.state.chain.params;
    let (block, proof) = decode_block(args.text(0)?, params)?;
    let (hash, now) = (block.block_hash(), call.now);
    let verdict = call.state.submit(block, proof.as_ref(), now)?;
    match &verdict {
        Verdict::Accepted => {
            tracing::debug!(%hash, height = call.state.chain.height(), "block accepted");
        }
        other => tracing::debug!(%hash, verdict = ?other, "block not accepted"),
    }
    Ok(verdict.reason().into())
}

pub(super) fn getmininginfo(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    let state = &*call.state;
    let tip = state.chain.tip_node();
    let next = state.next_block(call.now);
    Ok(json!({
        "blocks": tip.height,
        "bits": format!("{:08x}", tip.header.bits.to_consensus()),
        "difficulty": difficulty(tip.header.bits),
        "target": target_hex(tip.header.bits.to_consensus()),
        "networkhashps": hashes_per_second(state, 120, None),
        "pooledtx": state.pool.len(),
        "chain": chain_name(state),
        "next": {
            "height": next.height,
            "bits": format!("{:08x}", next.bits),
            "difficulty": difficulty(CompactTarget::from_consensus(next.bits)),
            "target": target_hex(next.bits),
        },
        "warnings": [],
    }))
}

/// The chain's name in answers.
pub(super) fn chain_name(state: &State) -> &'static str {
    state.chain.params.network.rpc_names().first().copied().unwrap_or("dev")
}

pub(super) fn getdifficulty(call: &mut Call<'_>, _: &Args) -> Result<Value, RpcError> {
    Ok(difficulty(call.state.chain.tip_node().header.bits).into())
}

pub(super) fn getnetworkhashps(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let blocks = args.number(0)?.unwrap_or(120);
    let height = args.number(1)?.and_then(|h| u32::try_from(h).ok());
    Ok(hashes_per_second(call.state, blocks, height).into())
}

/// Work done over the last blocks by the time it took, whole hashes.
fn hashes_per_second(state: &State, blocks: i64, height: Option<u32>) -> u64 {
    let top = height.unwrap_or(state.chain.height()).min(state.chain.height());
    let span = u32::try_from(blocks.max(1)).unwrap_or(u32::MAX).min(top);
    let (Some(last), Some(first)) = (state.chain.at_height(top), state.chain.at_height(top - span))
    else {
        return 0;
    };
    let (last, first) = (state.chain.tree.node(last), state.chain.tree.node(first));
    let seconds = last.header.time.saturating_sub(first.header.time);
    let work = last.work.saturating_sub(first.work);
    work.checked_div(u128::from(seconds)).and_then(|h| u64::try_from(h).ok()).unwrap_or(0)
}

pub(super) fn generatetoaddress(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let count = args.number(0)?.unwrap_or(0);
    if !(0..=MAX_GENERATED).contains(&count) {
        let message = format!("at most {MAX_GENERATED} blocks in a call");
        return Err(RpcError::new(RpcError::PARAMETER, message));
    }
    let script = super::wallet::script_of(call.state, args.text(1)?)?;
    let most = match call.state.chain.params.algorithm {
        Algorithm::Scrypt => MAX_TRIES_SCRYPT,
        _ => MAX_TRIES_SHA256D,
    };
    let asked = args.number(2)?.and_then(|tries| u32::try_from(tries).ok());
    let mut tries = asked.unwrap_or(most).min(most);
    let mut hashes = Vec::new();
    for _ in 0..count {
        let mut extra = vec![8];
        extra.extend_from_slice(&call.salt);
        let pay_to = ScriptBuf::from_bytes(script.clone());
        match call.state.generate(pay_to, extra, &mut tries, call.now)? {
            Some(hash) => hashes.push(hash.to_string()),
            None => break,
        }
    }
    Ok(hashes.into())
}

/// A block version in answers.
pub(super) fn version_hex(version: Version) -> String {
    format!("{:08x}", version.to_consensus())
}
