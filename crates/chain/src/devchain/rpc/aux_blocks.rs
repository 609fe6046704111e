//! Methods for merge-miners, with Dogecoin Core's names, shapes and errors.

use super::Call;
use super::args::{Args, RpcError};
use super::shapes::target_hex;
use crate::auxpow::AuxProof;
use crate::devchain::chain::Verdict;
use crate::devchain::merged::{NextOffer, Offer, with_proof};
use crate::devchain::template::set_merkle_root;
use bitcoin::ScriptBuf;
use serde_json::{Value, json};

pub(super) fn createauxblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let script = super::wallet::script_of(call.state, args.text(0)?)?;
    give_out(call, &ScriptBuf::from_bytes(script))
}

pub(super) fn submitauxblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    let hash = args.block_hash(0)?;
    let failed = || RpcError::new(RpcError::DECODE, "AuxPow decode failed");
    let bytes = hex::decode(args.text(1)?).map_err(|_| failed())?;
    let proof = AuxProof::from_bytes(&bytes).map_err(|_| failed())?;
    let Some(offer) = call.state.offers.find(&hash) else {
        return Err(RpcError::new(RpcError::PARAMETER, "block hash unknown"));
    };
    let block = offer.block.clone();
    let verdict = call.state.submit(block, Some(&proof), call.now)?;
    tracing::debug!(%hash, ?verdict, "merge-mined block");
    Ok(matches!(verdict, Verdict::Accepted | Verdict::Inconclusive).into())
}

/// Without arguments a block for the node's own wallet, with two a proof for one.
pub(super) fn getauxblock(call: &mut Call<'_>, args: &Args) -> Result<Value, RpcError> {
    if args.get(0).is_some() {
        return submitauxblock(call, args);
    }
    let script = call.state.wallet.script(crate::devchain::wallet::OWN_INDEX);
    give_out(call, &script)
}

fn give_out(call: &mut Call<'_>, pay_to: &ScriptBuf) -> Result<Value, RpcError> {
    let state = &mut *call.state;
    let Some(id) = state.chain.params.aux_chain_id else {
        return Err(RpcError::new(RpcError::MISC, "this chain is not merge-mined"));
    };
    let next = state.next_block(call.now);
    let wanted = NextOffer { time: next.time, bits: next.bits, pool_changes: state.pool_changes };
    if let Some(offer) = state.offers.newest(pay_to, &wanted) {
        return Ok(shown(offer, id));
    }
    let extra = [&[8][..], &call.salt].concat();
    let mut block = state.lay_out_next(&next, pay_to.clone(), extra);
    block.header.version = with_proof(block.header.version);
    set_merkle_root(&mut block);
    state.offers.add(pay_to.clone(), next.height, block, wanted.pool_changes);
    match state.offers.newest(pay_to, &wanted) {
        Some(offer) => Ok(shown(offer, id)),
        None => Err(RpcError::new(RpcError::INTERNAL, "the block is gone")),
    }
}

fn shown(offer: &Offer, id: u16) -> Value {
    let header = &offer.block.header;
    let bits = header.bits.to_consensus();
    // Least significant byte first here, as the older nodes have it.
    let mut target = hex::decode(target_hex(bits)).unwrap_or_default();
    target.reverse();
    let value = offer.block.txdata.first().and_then(|tx| tx.output.first());
    json!({
        "hash": header.block_hash().to_string(),
        "chainid": id,
        "previousblockhash": header.prev_blockhash.to_string(),
        "coinbasevalue": value.map_or(0, |out| out.value.to_sat()),
        "bits": format!("{bits:08x}"),
        "height": offer.height,
        "target": hex::encode(target),
    })
}
