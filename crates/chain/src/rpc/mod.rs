//! A node client over Bitcoin Core's JSON-RPC: Bitcoin, Litecoin, Dogecoin and the development
//! chain.
//!
//! | bound | default | why |
//! |---|---|---|
//! | a call for a block, a template, or that sends something | 30 s | a busy node validates a block in seconds |
//! | any other call | 10 s | the node looks something up; longer, and another node had better be asked |
//! | a wait for the tip | 30 s in one call | a node's few threads are given back; a dead connection is noticed |
//! | a look at all unspent outputs | 15 min | a node reads them all: minutes where there are a hundred million |
//! | a long poll | 150 s | Bitcoin Core answers after a minute once its memory pool has changed; shorter waits pile up in its few threads |
//! | an answer | 32 MiB | a template or block of four million bytes is 8 MB of hexadecimal, a little more with ids |
//!
//! One connection a call: nodes close idle connections, and a block must not fail on one that
//! went stale. Every call here may be repeated.

mod amount;
mod aux_calls;
#[cfg(feature = "fuzzing")]
pub mod doors;
mod gbt;
pub(crate) mod http;
mod push;
mod scan;
mod tip;

pub use crate::zmq::{BadZmqAddress, ZmqAddress};
pub use amount::minor_from_json;
pub use push::{Push, PushFigures};

use crate::node::code;
use crate::{
    BlockRef, ChainCoin, ChainInfo, ChainParams, FeeRate, Node, NodeCoins, NodeError, SendOutcome,
    SubmitOutcome, Template, TipNotice, TransactionPlace, hash_from_text, hash_to_text,
};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed as _, Duration};
use serde_json::{Value, json};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long and how much is waited for.
#[derive(Clone, Copy, Debug)]
pub struct RpcOptions {
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Longest wait for an answer to a call that only looks something up.
    pub look_timeout: Duration,
    /// Longest wait for a long poll; after it the present template is asked for.
    pub longpoll_timeout: Duration,
    /// Largest answer.
    pub max_answer_bytes: usize,
}

impl Default for RpcOptions {
    fn default() -> Self {
        RpcOptions {
            timeout: Duration::from_secs(30),
            look_timeout: Duration::from_secs(10),
            longpoll_timeout: Duration::from_secs(150),
            max_answer_bytes: 32 << 20,
        }
    }
}

/// A node reached by JSON-RPC.
#[derive(Debug)]
pub struct RpcNode {
    http: Arc<http::Endpoint>,
    params: ChainParams,
    options: RpcOptions,
    tip_call: tip::TipCall,
    pushed: push::Pushed,
    /// The last template's name for long polls, and the block that it stands on.
    last: Mutex<Option<(String, [u8; 32])>>,
}

impl RpcNode {
    /// A client for the node at `http://host:port[/path]`. Does not connect yet.
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn new(
        url: &str,
        user: &str,
        password: &str,
        params: ChainParams,
    ) -> Result<Self, NodeError> {
        Self::with_options(url, user, password, params, RpcOptions::default())
    }

    /// As [`RpcNode::new`], with other bounds.
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn with_options(
        url: &str,
        user: &str,
        password: &str,
        params: ChainParams,
        options: RpcOptions,
    ) -> Result<Self, NodeError> {
        let http = http::Endpoint::new(url, user, password, options.max_answer_bytes)?;
        Ok(RpcNode::of(http, params, options))
    }

    /// As [`RpcNode::new`], for a node that writes user and password into a file at each start
    /// (Bitcoin Core's `.cookie`). The file need not be there yet, and is read again when the node
    /// does not know us any more.
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn with_cookie(url: &str, path: PathBuf, params: ChainParams) -> Result<Self, NodeError> {
        let options = RpcOptions::default();
        let http = http::Endpoint::of_version("1.0", url, None, options.max_answer_bytes)?;
        Ok(RpcNode::of(http.with_cookie(path), params, options))
    }

    fn of(http: http::Endpoint, params: ChainParams, options: RpcOptions) -> RpcNode {
        let (http, tip_call) = (Arc::new(http), tip::TipCall::default());
        let (pushed, last) = (push::Pushed::default(), Mutex::default());
        RpcNode { http, params, options, tip_call, pushed, last }
    }

    /// Has its notifications heard too; by default they are not.
    #[must_use]
    pub fn with_push(mut self, push: Push) -> RpcNode {
        self.pushed = push::Pushed::new(push);
        self
    }

    /// How its notifications stand.
    #[must_use]
    pub fn push_figures(&self) -> PushFigures {
        self.pushed.figures()
    }

    /// Calls any method and gives its `result`.
    ///
    /// # Errors
    /// When there is no good answer, or the answer is an error.
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        self.call_within(method, params, self.options.timeout).await
    }

    async fn look(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        self.call_within(method, params, self.options.look_timeout.min(self.options.timeout)).await
    }

    async fn call_within(
        &self,
        method: &'static str,
        params: Value,
        timeout: Duration,
    ) -> Result<Value, NodeError> {
        self.within(method, timeout, self.http.call(method, params)).await
    }

    async fn within<T>(
        &self,
        method: &'static str,
        after: Duration,
        call: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        tokio::time::timeout(after, call).await.unwrap_or_else(|_| {
            Err(NodeError::TimedOut { host: self.http.host().to_owned(), method, after })
        })
    }

    /// An answer of megabytes is read off the runtime's own threads.
    async fn template_within(&self, request: Value, wait: Duration) -> Result<Template, NodeError> {
        const METHOD: &str = "getblocktemplate";
        let answer = self.within(METHOD, wait, self.http.exchange(METHOD, request)).await?;
        let (http, params) = (Arc::clone(&self.http), self.params);
        let reading = tokio::task::spawn_blocking(move || gbt::read(&http, &answer, &params));
        let read = reading.await.unwrap_or(Err(malformed(METHOD, "it could not be read")));
        if let Ok(template) = &read {
            let name = template.longpoll_id.clone();
            *self.last() = name.map(|name| (name, template.prev_hash));
        }
        read
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, [u8; 32])>> {
        // Every change under the lock is whole.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a notification tells that a template is out of date.
    async fn is_outdated(&self, longpoll: &str) {
        let last = self.last().clone().filter(|(name, _)| name == longpoll);
        match last {
            Some((_, prev_hash)) => push::other_tip(self, &prev_hash).await,
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn malformed(method: &'static str, problem: &'static str) -> NodeError {
    NodeError::Malformed { method, problem }
}

fn text<'a>(
    value: &'a Value,
    method: &'static str,
    problem: &'static str,
) -> Result<&'a str, NodeError> {
    value.as_str().ok_or(malformed(method, problem))
}

fn hash(value: &Value, method: &'static str) -> Result<[u8; 32], NodeError> {
    value.as_str().and_then(hash_from_text).ok_or(malformed(method, "no hash"))
}

fn number(value: &Value, method: &'static str) -> Result<u64, NodeError> {
    value.as_u64().ok_or(malformed(method, "no whole number"))
}

/// An error in the place of a verdict on a block. A verdict is a result; an error tells of the node. Core answers so when
/// it cannot write the block (-25, "System error: Disk space is too low!"): the block may be as good as any, and is to be
/// sent again.
fn of_the_node(error: NodeError) -> NodeError {
    match error {
        e @ NodeError::Rpc { .. } if e.blame() == Blame::Rejected => {
            NodeError::NotReady(e.to_string())
        }
        other => other,
    }
}

/// An answer whose error has this code is no failure but `None`.
fn none_if(result: Result<Value, NodeError>, none: i64) -> Result<Option<Value>, NodeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(NodeError::Rpc { code, .. }) if code == none => Ok(None),
        Err(other) => Err(other),
    }
}

#[async_trait]
impl Node for RpcNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    /// Its network's name and, where it is fixed, its genesis block.
    async fn check_chain(&self) -> Result<(), NodeError> {
        let wrong = |found: String| NodeError::WrongChain {
            host: self.http.host().to_owned(),
            found,
            want: self.params.title(),
        };
        let chain = self.info().await?.chain;
        if !self.params.network.rpc_names().contains(&chain.as_str()) {
            return Err(wrong(format!("network {chain:?}")));
        }
        let genesis = self.block_hash(0).await?.map(|hash| hash_to_text(&hash));
        let genesis = genesis.unwrap_or_default();
        if !self.params.genesis.is_empty() && !self.params.genesis.contains(&genesis.as_str()) {
            return Err(wrong(format!("genesis block {genesis}")));
        }
        Ok(())
    }

    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        if !self.params.foresees_blocks() {
            return Ok(None);
        }
        tip::next(self, known).await
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        let rules = self.params.gbt_rules;
        if let Some(id) = longpoll {
            let waiting = json!([{ "rules": rules, "longpollid": id }]);
            tokio::select! {
                answer = self.template_within(waiting, self.options.longpoll_timeout) => match answer {
                    // Nothing new, or a connection that died unseen: asking plainly tells.
                    Err(NodeError::TimedOut { .. }) => {}
                    answer => {
                        if let Ok(template) = &answer {
                            self.pushed.owes(&template.tip());
                        }
                        return answer;
                    }
                },
                () = self.is_outdated(id) => {}
            }
        }
        self.template_within(json!([{ "rules": rules }]), self.options.timeout).await
    }

    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        const METHOD: &str = "submitblock";
        match self.call(METHOD, json!([hex::encode(block)])).await {
            Ok(Value::Null) => Ok(SubmitOutcome::Accepted),
            Ok(value) => match text(&value, METHOD, "no reason")? {
                // The second: it has it, and has not looked at it yet (BIP 22).
                "duplicate" | "duplicate-inconclusive" => Ok(SubmitOutcome::Duplicate),
                // The block is stored; whether it is valid shows when it is on the best chain.
                "inconclusive" => Ok(SubmitOutcome::Accepted),
                reason => Ok(SubmitOutcome::Rejected(shorten(reason))),
            },
            Err(NodeError::Rpc {
                code: code::DESERIALIZATION | code::VERIFY_REJECTED,
                message,
                ..
            }) => Ok(SubmitOutcome::Rejected(message)),
            Err(other) => Err(of_the_node(other)),
        }
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        const METHOD: &str = "getblockchaininfo";
        let info = self.look(METHOD, json!([])).await?;
        let height = number(&info["blocks"], METHOD)?;
        Ok(BlockRef { height, hash: hash(&info["bestblockhash"], METHOD)? })
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        const METHOD: &str = "getblockhash";
        let answer = self.look(METHOD, json!([height])).await;
        none_if(answer, code::INVALID_PARAMETER)?.map(|v| hash(&v, METHOD)).transpose()
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        const METHOD: &str = "getblock";
        let answer = self.call(METHOD, json!([hash_to_text(hash), 0])).await?;
        let text = text(&answer, METHOD, "no hexadecimal")?;
        hex::decode(text).map_err(|_| malformed(METHOD, "no hexadecimal"))
    }

    async fn send_transaction(&self, transaction: &[u8]) -> Result<SendOutcome, NodeError> {
        const METHOD: &str = "sendrawtransaction";
        match self.call(METHOD, json!([hex::encode(transaction)])).await {
            Ok(_) => Ok(SendOutcome::Accepted),
            Err(NodeError::Rpc { code: code::VERIFY_ALREADY_IN_CHAIN, .. }) => {
                Ok(SendOutcome::AlreadyKnown)
            }
            Err(NodeError::Rpc { code, message, .. })
                if [code::DESERIALIZATION, code::VERIFY_ERROR, code::VERIFY_REJECTED]
                    .contains(&code) =>
            {
                // Newer nodes repeat a known transaction, older ones refuse it in these words.
                let known = ["txn-already-in-mempool", "txn-already-known"];
                if known.iter().any(|k| message.contains(k)) {
                    return Ok(SendOutcome::AlreadyKnown);
                }
                Ok(SendOutcome::Rejected(message))
            }
            Err(other) => Err(other),
        }
    }

    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        const METHOD: &str = "getrawtransaction";
        let id = hash_to_text(txid);
        let entry = self.look("getmempoolentry", json!([id])).await;
        if none_if(entry, code::INVALID_ADDRESS_OR_KEY)?.is_some() {
            return Ok(TransactionPlace::Mempool);
        }
        let answer = self.look(METHOD, json!([id, true])).await;
        let Some(tx) = none_if(answer, code::INVALID_ADDRESS_OR_KEY)? else {
            return Ok(TransactionPlace::Unknown);
        };
        match tx.get("blockhash") {
            Some(block) => Ok(TransactionPlace::Block { hash: hash(block, METHOD)? }),
            None => Ok(TransactionPlace::Mempool),
        }
    }

    /// A full pool's ids are megabytes: they are read off the runtime's own threads.
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        const METHOD: &str = "getrawmempool";
        let timeout = self.options.look_timeout;
        let answer = self.within(METHOD, timeout, self.http.exchange(METHOD, json!([]))).await;
        let answer = match answer {
            Err(NodeError::TooLarge { .. }) => return Ok(None),
            other => other?,
        };
        let http = Arc::clone(&self.http);
        let reading = tokio::task::spawn_blocking(move || {
            let ids = match http.read(&answer) {
                Err(NodeError::Rpc { code: code::METHOD_NOT_FOUND, .. }) => return Ok(None),
                other => other?,
            };
            let ids = ids.as_array().ok_or(malformed(METHOD, "no list"))?;
            ids.iter().map(|id| hash(id, METHOD)).collect::<Result<Vec<_>, _>>().map(Some)
        });
        reading.await.unwrap_or(Err(malformed(METHOD, "it could not be read")))
    }

    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        const METHOD: &str = "getrawtransaction";
        // Without an index of transactions the node looks into its pool alone, as is wanted.
        let answer = self.look(METHOD, json!([hash_to_text(txid)])).await;
        let Some(answer) = none_if(answer, code::INVALID_ADDRESS_OR_KEY)? else { return Ok(None) };
        let text = text(&answer, METHOD, "no hexadecimal")?;
        hex::decode(text).map(Some).map_err(|_| malformed(METHOD, "no hexadecimal"))
    }

    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        let answer = self.look("gettxout", json!([hash_to_text(txid), vout, true])).await?;
        Ok(Some(!answer.is_null()))
    }

    async fn chain_coin(&self, txid: &[u8; 32], vout: u32) -> Result<ChainCoin, NodeError> {
        const METHOD: &str = "gettxout";
        let answer = self.look(METHOD, json!([hash_to_text(txid), vout, false])).await?;
        if answer.is_null() {
            return Ok(ChainCoin::Gone);
        }
        let value = minor_from_json(self.params.asset, &answer["value"]);
        value.map(ChainCoin::Unspent).ok_or(malformed(METHOD, "no value"))
    }

    async fn coins_of(&self, scripts: &[Vec<u8>]) -> Result<Option<NodeCoins>, NodeError> {
        scan::coins_of(self, scripts).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError> {
        const METHOD: &str = "estimatesmartfee";
        let answer = self.look(METHOD, json!([blocks.clamp(1, 1008)])).await?;
        let Some(rate) = answer.get("feerate").filter(|v| !v.is_null()) else { return Ok(None) };
        let minor_per_kvb = minor_from_json(self.params.asset, rate)
            .filter(|&minor| minor > 0)
            .ok_or(malformed(METHOD, "no fee rate"))?;
        Ok(Some(FeeRate { minor_per_kvb }))
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        const METHOD: &str = "getblockchaininfo";
        let info = self.look(METHOD, json!([])).await?;
        let network = self.look("getnetworkinfo", json!([])).await?;
        Ok(ChainInfo {
            chain: shorten(text(&info["chain"], METHOD, "no chain")?),
            blocks: number(&info["blocks"], METHOD)?,
            headers: number(&info["headers"], METHOD)?,
            // Dogecoin Core before 1.14.3 does not say.
            ibd: info["initialblockdownload"].as_bool().unwrap_or(false),
            difficulty: info["difficulty"].as_f64().unwrap_or(0.0),
            peers: number(&network["connections"], "getnetworkinfo")?,
        })
    }
}

/// At most 300 characters of a node's words, without control characters: they end in logs.
fn shorten(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(300).collect()
}
