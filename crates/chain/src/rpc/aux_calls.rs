//! Calls of merge-mined chains: `createauxblock` and `submitauxblock`, and the older `getauxblock`, which
//! is both by the number of its arguments.
//!
//! `getauxblock` without arguments pays to the node's own wallet. The house never asks for such a block:
//! its coins would not be where its books are. As the carrier of a proof it is as good as the newer call.

use super::{RpcNode, hash, malformed, none_if, number, of_the_node, push, shorten};
use crate::auxpow::{AuxBlock, AuxNode};
use crate::node::code;
use crate::{NodeError, SubmitOutcome, hash_to_text};
use async_trait::async_trait;
use gruve_units::Target;
use serde_json::{Value, json};

impl RpcNode {
    /// A block by `getauxblock`, its rewards going to the node's own wallet.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn own_aux_block(&self) -> Result<AuxBlock, NodeError> {
        const METHOD: &str = "getauxblock";
        let answer = self.call(METHOD, json!([])).await?;
        self.read_aux_block(METHOD, &answer)
    }

    fn read_aux_block(&self, method: &'static str, v: &Value) -> Result<AuxBlock, NodeError> {
        let (asset, own) = (self.params.asset, self.params.auxpow.map(|m| u32::from(m.chain_id)));
        let id = u32::try_from(number(&v["chainid"], method)?).ok();
        let chain_id = id
            .filter(|id| own == Some(*id))
            .ok_or(malformed(method, "another chain id than the coin's"))?;
        let value = v["coinbasevalue"].as_i64().filter(|value| *value >= 0);
        Ok(AuxBlock {
            asset,
            chain_id,
            hash: hash(&v["hash"], method)?,
            prev_hash: hash(&v["previousblockhash"], method)?,
            bits: read_bits(v).ok_or(malformed(method, "no target"))?,
            height: number(&v["height"], method)?,
            value: value.ok_or(malformed(method, "no value"))?,
        })
    }

    /// What a node that does not (any more) know the block as one to be proven says of it as one of its
    /// chain.
    async fn known_or(&self, hash: &[u8; 32], why: &str) -> Result<SubmitOutcome, NodeError> {
        let header = self.call("getblockheader", json!([hash_to_text(hash)])).await;
        // That it could not look says neither.
        match none_if(header, code::INVALID_ADDRESS_OR_KEY).map_err(of_the_node)? {
            Some(_) => Ok(SubmitOutcome::Duplicate),
            None => Ok(SubmitOutcome::Rejected(shorten(why))),
        }
    }
}

/// The compact target; from the target itself (least significant byte first) where the node gives only that.
fn read_bits(v: &Value) -> Option<u32> {
    if let Some(bits) = v["bits"].as_str() {
        let bits = u32::from_str_radix(bits, 16).ok()?;
        return Target::from_compact(bits).map(|_| bits);
    }
    let text = v.get("target").or_else(|| v.get("_target"))?.as_str()?;
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    bytes.reverse();
    Some(Target::from_be_bytes(bytes).to_compact())
}

#[async_trait]
impl AuxNode for RpcNode {
    async fn aux_block(&self, pay_to: &str) -> Result<AuxBlock, NodeError> {
        const METHOD: &str = "createauxblock";
        let answer = self.call(METHOD, json!([pay_to])).await?;
        self.read_aux_block(METHOD, &answer)
    }

    async fn news(&self) {
        push::news(self).await;
    }

    async fn submit_aux_block(
        &self,
        hash: &[u8; 32],
        proof: &[u8],
    ) -> Result<SubmitOutcome, NodeError> {
        let given = json!([hash_to_text(hash), hex::encode(proof)]);
        let answer = match self.call("submitauxblock", given.clone()).await {
            Err(NodeError::Rpc { code: code::METHOD_NOT_FOUND, .. }) => {
                self.call("getauxblock", given).await
            }
            answer => answer,
        };
        match answer {
            Ok(Value::Bool(true)) => Ok(SubmitOutcome::Accepted),
            Ok(Value::Bool(false)) => self.known_or(hash, "the node does not take the proof").await,
            Ok(_) => Err(malformed("submitauxblock", "neither yes nor no")),
            Err(NodeError::Rpc {
                code: code::INVALID_PARAMETER | code::DESERIALIZATION | code::VERIFY_REJECTED,
                message,
                ..
            }) => self.known_or(hash, &message).await,
            Err(other) => Err(of_the_node(other)),
        }
    }
}
