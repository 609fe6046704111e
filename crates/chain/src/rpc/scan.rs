//! All unspent outputs of some scripts: `scantxoutset`, which Bitcoin Core and Litecoin Core have, and Dogecoin Core has
//! not.

use super::{RpcNode, hash, malformed, minor_from_json, none_if, number};
use crate::node::code;
use crate::{BlockRef, NodeCoin, NodeCoins, NodeError};
use gruve_units::Duration;
use serde_json::{Value, json};

const METHOD: &str = "scantxoutset";

/// A hundred million outputs are read in some minutes from a disk that is not fast.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The outputs of `scripts`; `None` when the node has no such call.
pub(super) async fn coins_of(
    node: &RpcNode,
    scripts: &[Vec<u8>],
) -> Result<Option<NodeCoins>, NodeError> {
    let wanted: Vec<String> =
        scripts.iter().map(|script| format!("raw({})", hex::encode(script))).collect();
    let answer = node.call_within(METHOD, json!(["start", wanted]), PATIENCE).await;
    let Some(found) = none_if(answer, code::METHOD_NOT_FOUND)? else { return Ok(None) };
    if found["success"].as_bool() != Some(true) {
        return Err(NodeError::NotReady("it broke its look at all coins off".to_owned()));
    }
    let at = BlockRef {
        height: number(&found["height"], METHOD)?,
        hash: hash(&found["bestblock"], METHOD)?,
    };
    let unspents = found["unspents"].as_array().ok_or(malformed(METHOD, "no list"))?;
    let coins = unspents.iter().map(|coin| read(node, coin)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(NodeCoins { at, coins }))
}

fn read(node: &RpcNode, coin: &Value) -> Result<NodeCoin, NodeError> {
    let vout = u32::try_from(number(&coin["vout"], METHOD)?);
    Ok(NodeCoin {
        txid: hash(&coin["txid"], METHOD)?,
        vout: vout.map_err(|_| malformed(METHOD, "no output number"))?,
        value: minor_from_json(node.params.asset, &coin["amount"])
            .ok_or(malformed(METHOD, "no amount"))?,
        height: number(&coin["height"], METHOD)?,
    })
}
