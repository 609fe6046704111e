//! A node client over Ethereum's JSON-RPC.
//!
//! | bound | default | why |
//! |---|---|---|
//! | a call | 10 s | work is asked for every few hundred milliseconds; a block is thirteen seconds |
//! | an answer | 64 KiB | four hashes; an error's words; a receipt with few logs |
//! | a block or receipt | 16 MiB | thirty million gas buy two million bytes of calldata, twice that in hexadecimal, and as much again for the other fields |
//!
//! New heads may be told over a WebSocket besides (`heads`).
//!
//! Numbers are *quantities* (`0x1b4`), hashes *data* (`0x` and all their digits).

use super::heads::Heads;
use super::read::{data, quantity};
use super::{
    AccountAt, AccountNode, EthAddress, EthBlock, EthHeader, EthNode, EthReceipt, EthTransaction,
    NodeWork,
};
use crate::rpc::{http, malformed};
use crate::{NodeError, SendOutcome};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed as _, Duration, Hashrate, Target, Timestamp};
use ruint::aliases::U256;
use serde_json::{Value, json};

/// Errors that mean *not now*: no work yet, no peers, still syncing (the range that JSON-RPC 2.0
/// leaves to servers; `-32000` in geth and its descendants).
const SERVER_ERRORS: std::ops::RangeInclusive<i64> = -32099..=-32000;

/// The call's own fault; some nodes answer so to a transaction that they do not take.
const INVALID_PARAMS: i64 = -32602;

/// How long and how much is waited for.
#[derive(Clone, Copy, Debug)]
pub struct EthRpcOptions {
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Largest answer.
    pub max_answer_bytes: usize,
    /// Largest block or receipt.
    pub max_block_bytes: usize,
}

impl Default for EthRpcOptions {
    fn default() -> Self {
        EthRpcOptions {
            timeout: Duration::from_secs(10),
            max_answer_bytes: 64 << 10,
            max_block_bytes: 16 << 20,
        }
    }
}

/// A node of the Ethash family reached by JSON-RPC.
#[derive(Debug)]
pub struct EthRpcNode {
    http: http::Endpoint,
    /// The same address, for answers that may be large.
    large: http::Endpoint,
    options: EthRpcOptions,
    heads: Option<Heads>,
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
        let endpoint = |bytes| http::Endpoint::of_version("2.0", url, login, bytes);
        let http = endpoint(options.max_answer_bytes)?;
        Ok(EthRpcNode { http, large: endpoint(options.max_block_bytes)?, options, heads: None })
    }

    /// Has its new heads told over a WebSocket at `ws://host:port[/path]` as well.
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn with_heads(
        mut self,
        url: &str,
        login: Option<(&str, &str)>,
    ) -> Result<EthRpcNode, NodeError> {
        self.heads = Some(Heads::new(url, login)?);
        Ok(self)
    }

    /// Calls any method and gives its `result`, its errors as they are.
    async fn plain_call(
        &self,
        http: &http::Endpoint,
        method: &'static str,
        params: Value,
    ) -> Result<Value, NodeError> {
        let after = self.options.timeout;
        let answer = tokio::time::timeout(after, http.call(method, params)).await;
        answer.unwrap_or_else(|_| {
            Err(NodeError::TimedOut { host: http.host().to_owned(), method, after })
        })
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        not_now(self.plain_call(&self.http, method, params).await)
    }

    async fn large_call(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        not_now(self.plain_call(&self.large, method, params).await)
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<bool, NodeError> {
        let answer = self.call(method, params).await?;
        answer.as_bool().ok_or(malformed(method, "neither yes nor no"))
    }

    async fn number(&self, method: &'static str, params: Value) -> Result<u64, NodeError> {
        let answer = self.call(method, params).await?;
        answer.as_str().and_then(quantity).ok_or(malformed(method, "no number"))
    }

    async fn wei(&self, method: &'static str, params: Value) -> Result<U256, NodeError> {
        let answer = self.call(method, params).await?;
        let wei = answer.as_str().and_then(super::read::wide_quantity);
        wei.ok_or(malformed(method, "no amount"))
    }

    async fn read_block(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Option<EthBlock>, NodeError> {
        match self.large_call(method, params).await? {
            Value::Null => Ok(None),
            block => EthBlock::read(&block).map(Some).map_err(|problem| NodeError::BadBlock {
                host: self.http.host().to_owned(),
                method,
                problem,
            }),
        }
    }
}

/// A server's error is no fault of the call.
fn not_now(answer: Result<Value, NodeError>) -> Result<Value, NodeError> {
    match answer {
        Err(NodeError::Rpc { code, message, .. }) if SERVER_ERRORS.contains(&code) => {
            Err(NodeError::NotReady(message))
        }
        other => other,
    }
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn quantity_text(number: u64) -> String {
    format!("0x{number:x}")
}

impl AccountAt {
    fn text(self) -> String {
        match self {
            AccountAt::Latest => "latest".to_owned(),
            AccountAt::Pending => "pending".to_owned(),
            AccountAt::Height(height) => quantity_text(height),
        }
    }
}

#[async_trait]
impl EthNode for EthRpcNode {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        const METHOD: &str = "eth_getWork";
        let answer = self.call(METHOD, json!([])).await?;
        let list = answer.as_array().ok_or(malformed(METHOD, "no list"))?;
        let text = |i: usize| list.get(i).and_then(Value::as_str);
        let hash = |i| text(i).and_then(data).ok_or(malformed(METHOD, "no hash"));
        let target = text(2).and_then(target_of).ok_or(malformed(METHOD, "no target"))?;
        let height = match list.get(3) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                Some(quantity(text).ok_or(malformed(METHOD, "no block number"))?)
            }
            Some(_) => return Err(malformed(METHOD, "no block number")),
        };
        Ok(NodeWork { header_hash: hash(0)?, seed_hash: hash(1)?, target, height })
    }

    async fn news(&self) {
        match &self.heads {
            Some(heads) => heads.next().await,
            None => std::future::pending().await,
        }
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = match self.call(METHOD, json!(["pending", false])).await {
            // A node that makes no blocks of its own has no such block.
            Err(e) if e.blame() != Blame::Transient => return Ok(None),
            other => other?,
        };
        let time = block.get("timestamp").and_then(Value::as_str).and_then(quantity);
        Ok(time.and_then(|secs| i64::try_from(secs).ok()).and_then(timestamp_of))
    }

    async fn set_extra(&self, words: &str) -> Result<bool, NodeError> {
        // Geth and its descendants take the bytes of the text as they are.
        match self.ask("miner_setExtra", json!([words])).await {
            // One that knows no such call, or does not open it to us.
            Err(e) if e.blame() != Blame::Transient => Ok(false),
            answer => answer,
        }
    }

    async fn pending_header(&self) -> Result<Option<EthHeader>, NodeError> {
        let block = match self.large_call("eth_getBlockByNumber", json!(["pending", false])).await {
            Err(e) if e.blame() != Blame::Transient => return Ok(None),
            other => other?,
        };
        // Its own address is left out of a block that is not mined yet.
        let pays = self.pays_to().await?.unwrap_or(EthAddress::ZERO);
        Ok(EthHeader::read_pending(&block, pays).ok())
    }

    async fn submit_work(
        &self,
        nonce: u64,
        header_hash: &[u8; 32],
        mix_hash: &[u8; 32],
    ) -> Result<bool, NodeError> {
        let (header, mix) = (hex::encode(header_hash), hex::encode(mix_hash));
        let params = json!([format!("0x{nonce:016x}"), format!("0x{header}"), format!("0x{mix}")]);
        match self.ask("eth_submitWork", params).await {
            // Its verdict is yes or no. An error tells of the node, which may yet take the solution.
            Err(e @ NodeError::Rpc { .. }) if e.blame() == Blame::Rejected => {
                Err(NodeError::NotReady(e.to_string()))
            }
            answer => answer,
        }
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

/// Whether a node refuses a transaction because it has it: the words of geth and its descendants, of
/// Besu, and of OpenEthereum.
fn is_known(message: &str) -> bool {
    let message = message.to_lowercase();
    ["already known", "known transaction", "already imported"].iter().any(|w| message.contains(w))
}

#[async_trait]
impl AccountNode for EthRpcNode {
    async fn chain_id(&self) -> Result<u64, NodeError> {
        self.number("eth_chainId", json!([])).await
    }

    async fn height(&self) -> Result<u64, NodeError> {
        self.number("eth_blockNumber", json!([])).await
    }

    async fn is_syncing(&self) -> Result<bool, NodeError> {
        // Either `false` or how far it is.
        Ok(self.call("eth_syncing", json!([])).await? != Value::Bool(false))
    }

    async fn peers(&self) -> Result<Option<u64>, NodeError> {
        match self.call("net_peerCount", json!([])).await {
            Err(e) if e.blame() == Blame::Transient => Err(e),
            answer => Ok(answer.ok().as_ref().and_then(Value::as_str).and_then(quantity)),
        }
    }

    async fn block_at(&self, height: u64) -> Result<Option<EthBlock>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = self.read_block(METHOD, json!([quantity_text(height), true])).await?;
        match block {
            Some(b) if b.header.number != height => Err(malformed(METHOD, "another block")),
            block => Ok(block),
        }
    }

    async fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = self.large_call(METHOD, json!([quantity_text(height), false])).await?;
        if block.is_null() {
            return Ok(None);
        }
        let hash = block.get("hash").and_then(Value::as_str).and_then(data);
        hash.map(Some).ok_or(malformed(METHOD, "no hash"))
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Option<EthBlock>, NodeError> {
        const METHOD: &str = "eth_getBlockByHash";
        let block = self.read_block(METHOD, json!([hex_of(hash), true])).await?;
        match block {
            Some(b) if b.hash != *hash => Err(malformed(METHOD, "another block")),
            block => Ok(block),
        }
    }

    async fn uncle(
        &self,
        block_hash: &[u8; 32],
        index: usize,
    ) -> Result<Option<(EthHeader, [u8; 32])>, NodeError> {
        const METHOD: &str = "eth_getUncleByBlockHashAndIndex";
        let params = json!([hex_of(block_hash), format!("0x{index:x}")]);
        match self.call(METHOD, params).await? {
            Value::Null => Ok(None),
            uncle => EthHeader::read(&uncle).map(Some).map_err(|problem| NodeError::BadBlock {
                host: self.http.host().to_owned(),
                method: METHOD,
                problem,
            }),
        }
    }

    async fn receipt(&self, transaction: &[u8; 32]) -> Result<Option<EthReceipt>, NodeError> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let answer = self.large_call(METHOD, json!([hex_of(transaction)])).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let receipt = EthReceipt::read(&answer).filter(|r| r.transaction_hash == *transaction);
        receipt.map(Some).ok_or(malformed(METHOD, "no receipt of it"))
    }

    async fn balance(&self, account: &EthAddress, at: AccountAt) -> Result<U256, NodeError> {
        self.wei("eth_getBalance", json!([hex_of(&account.0), at.text()])).await
    }

    async fn transaction_count(
        &self,
        account: &EthAddress,
        at: AccountAt,
    ) -> Result<u64, NodeError> {
        self.number("eth_getTransactionCount", json!([hex_of(&account.0), at.text()])).await
    }

    async fn pending(&self) -> Result<Option<Vec<EthTransaction>>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        // Whatever the node's error is, it says that there is no such block.
        let block = match self.plain_call(&self.large, METHOD, json!(["pending", true])).await {
            Err(NodeError::Rpc { .. }) => return Ok(None),
            other => other?,
        };
        // A node that makes no block shows none, or its best one, which has a proof or a signature and so a hash. A block
        // that is being made has none in most nodes; in those that give it one it stands above the best.
        if block.is_null() {
            return Ok(None);
        }
        let number = block.get("number").and_then(Value::as_str).and_then(quantity);
        if block.get("hash").is_some_and(|hash| !hash.is_null()) {
            let best = self.height().await?;
            if number.is_none_or(|number| number <= best) {
                return Ok(None);
            }
        }
        let transactions = block.get("transactions").and_then(Value::as_array);
        let transactions = transactions.ok_or(malformed(METHOD, "no transactions"))?;
        // One that cannot be read is another kind than those that pay us.
        Ok(Some(transactions.iter().filter_map(EthTransaction::read).collect()))
    }

    async fn send_transaction(&self, raw: &[u8]) -> Result<SendOutcome, NodeError> {
        const METHOD: &str = "eth_sendRawTransaction";
        match self.plain_call(&self.large, METHOD, json!([hex_of(raw)])).await {
            Ok(hash) if hash.as_str().and_then(data::<32>).is_some() => Ok(SendOutcome::Accepted),
            Ok(_) => Err(malformed(METHOD, "no hash")),
            Err(NodeError::Rpc { message, .. }) if is_known(&message) => {
                Ok(SendOutcome::AlreadyKnown)
            }
            // Every refusal of a transaction has the code of any other server's error.
            Err(NodeError::Rpc { code, message, .. })
                if SERVER_ERRORS.contains(&code) || code == INVALID_PARAMS =>
            {
                Ok(SendOutcome::Rejected(message))
            }
            Err(other) => Err(other),
        }
    }

    async fn gas_price(&self) -> Result<U256, NodeError> {
        self.wei("eth_gasPrice", json!([])).await
    }

    async fn next_base_fee(&self) -> Result<Option<U256>, NodeError> {
        let answer = match self.call("eth_feeHistory", json!(["0x1", "latest", []])).await {
            Err(e) if e.blame() != Blame::Transient => return Ok(None),
            other => other?,
        };
        // One block, and the block after it.
        let fees = answer.get("baseFeePerGas").and_then(Value::as_array);
        let next = fees.and_then(|f| f.last()).and_then(Value::as_str);
        let next = next.and_then(super::read::wide_quantity).filter(|fee| !fee.is_zero());
        Ok(next)
    }

    async fn pays_to(&self) -> Result<Option<EthAddress>, NodeError> {
        match self.call("eth_coinbase", json!([])).await {
            // A node that knows no such call, or has no such address.
            Err(NodeError::Rpc { .. } | NodeError::NotReady(_)) => Ok(None),
            answer => Ok(answer?.as_str().and_then(data).map(EthAddress)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let _ = (target_of(&text), is_known(&text));
        }
    }
}
