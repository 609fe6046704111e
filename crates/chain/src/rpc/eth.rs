//! A node client over Ethereum's JSON-RPC: `eth_getWork` and what goes with it.
//!
//! | bound | default | why |
//! |---|---|---|
//! | a call | 10 s | work is asked for every few hundred milliseconds; a block is thirteen seconds |
//! | an answer | 64 KiB | four hashes; an error's words |
//!
//! Numbers are *quantities* (`0x1b4`), hashes *data* (`0x` and all their digits).

use super::{NodeError, Value, http, json, malformed};
use crate::{EthNode, NodeWork};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed as _, Duration, Hashrate, Target, Timestamp};

/// Errors that mean *not now*: no work yet, no peers, still syncing (the range that JSON-RPC 2.0
/// leaves to servers; `-32000` in geth and its descendants).
const SERVER_ERRORS: std::ops::RangeInclusive<i64> = -32099..=-32000;

/// How long and how much is waited for.
#[derive(Clone, Copy, Debug)]
pub struct EthRpcOptions {
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Largest answer.
    pub max_answer_bytes: usize,
}

impl Default for EthRpcOptions {
    fn default() -> Self {
        EthRpcOptions { timeout: Duration::from_secs(10), max_answer_bytes: 64 << 10 }
    }
}

/// A node of the Ethash family reached by JSON-RPC.
#[derive(Debug)]
pub struct EthRpcNode {
    http: http::Endpoint,
    options: EthRpcOptions,
}

impl EthRpcNode {
    /// A client for the node at `http://host:port[/path]`; `login` is user and password where a
    /// proxy before the node asks for them. Does not connect yet.
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn new(
        url: &str,
        login: Option<(&str, &str)>,
        options: EthRpcOptions,
    ) -> Result<Self, NodeError> {
        let http = http::Endpoint::of_version("2.0", url, login, options.max_answer_bytes)?;
        Ok(EthRpcNode { http, options })
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        let after = self.options.timeout;
        let answer = tokio::time::timeout(after, self.http.call(method, params)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(NodeError::TimedOut { host: self.http.host().to_owned(), method, after })
        });
        match answer {
            Err(NodeError::Rpc { code, message, .. }) if SERVER_ERRORS.contains(&code) => {
                Err(NodeError::NotReady(message))
            }
            other => other,
        }
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<bool, NodeError> {
        let answer = self.call(method, params).await?;
        answer.as_bool().ok_or(malformed(method, "neither yes nor no"))
    }
}

#[async_trait]
impl EthNode for EthRpcNode {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        const METHOD: &str = "eth_getWork";
        let answer = self.call(METHOD, json!([])).await?;
        let list = answer.as_array().ok_or(malformed(METHOD, "no list"))?;
        let text = |i: usize| list.get(i).and_then(Value::as_str);
        let hash = |i| text(i).and_then(hash_of).ok_or(malformed(METHOD, "no hash"));
        let target = text(2).and_then(target_of).ok_or(malformed(METHOD, "no target"))?;
        let height = match list.get(3) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                Some(quantity_of(text).ok_or(malformed(METHOD, "no block number"))?)
            }
            Some(_) => return Err(malformed(METHOD, "no block number")),
        };
        Ok(NodeWork { header_hash: hash(0)?, seed_hash: hash(1)?, target, height })
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = match self.call(METHOD, json!(["pending", false])).await {
            // A node that makes no blocks of its own has no such block.
            Err(e) if e.blame() != Blame::Transient => return Ok(None),
            other => other?,
        };
        let time = block.get("timestamp").and_then(Value::as_str).and_then(quantity_of);
        Ok(time.and_then(|secs| i64::try_from(secs).ok()).and_then(timestamp_of))
    }

    async fn submit_work(
        &self,
        nonce: u64,
        header_hash: &[u8; 32],
        mix_hash: &[u8; 32],
    ) -> Result<bool, NodeError> {
        let (header, mix) = (hex::encode(header_hash), hex::encode(mix_hash));
        let params = json!([format!("0x{nonce:016x}"), format!("0x{header}"), format!("0x{mix}")]);
        self.ask("eth_submitWork", params).await
    }

    async fn submit_hashrate(&self, rate: Hashrate, id: &[u8; 32]) -> Result<bool, NodeError> {
        // Geth reads a quantity here, others 32 bytes; a quantity without leading zeros is both
        // short and what the specification of quantities asks for.
        let params = json!([format!("0x{:x}", rate.0), format!("0x{}", hex::encode(id))]);
        self.ask("eth_submitHashrate", params).await
    }
}

/// Seconds as a time; beyond what counts in microseconds it is no time.
fn timestamp_of(secs: i64) -> Option<Timestamp> {
    secs.checked_mul(1_000_000).map(Timestamp)
}

/// Exactly 32 bytes of data.
fn hash_of(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut hash).ok()?;
    Some(hash)
}

/// A target above zero: 32 bytes, or fewer digits where a node leaves leading zeros out.
fn target_of(text: &str) -> Option<Target> {
    let digits = text.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(format!("{digits:0>64}"), &mut bytes).ok()?;
    (bytes != [0; 32]).then(|| Target::from_be_bytes(bytes))
}

/// A 64-bit quantity; leading zeros are let pass, signs and spaces are not.
fn quantity_of(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_hexadecimal_with_a_prefix_and_no_sign() {
        assert_eq!(quantity_of("0x0"), Some(0));
        assert_eq!(quantity_of("0x1b4"), Some(436));
        assert_eq!(quantity_of("0xffffffffffffffff"), Some(u64::MAX));
        for bad in ["", "0x", "1b4", "0x+1", "0x-1", "0x 1", "0x10000000000000000", "0xé"] {
            assert_eq!(quantity_of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn short_targets_are_padded_and_zero_ones_refused() {
        assert_eq!(target_of("0x1").map(Target::to_be_bytes).map(|b| b[31]), Some(1));
        for bad in ["0x", "0x0", "1", &format!("0x{}", "0".repeat(64)), &"f".repeat(65)] {
            assert_eq!(target_of(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (hash_of(&text), target_of(&text), quantity_of(&text));
        }
    }
}
