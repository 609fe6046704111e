//! The development chain: a small node in this process, for the demonstration and for fast tests.
//!
//! It speaks Bitcoin Core's JSON-RPC over HTTP, so that nothing above it knows the difference,
//! and keeps Bitcoin's rules: real proof of work, real signatures, maturity, reorganisations. What
//! it accepts a real node would accept on the same chain; where it is stricter (it spends only
//! P2WPKH and P2PKH outputs) it says so in the refusal. It has no peers.
//!
//! | part | for |
//! |---|---|
//! | `check`, `connect`, `script`, `difficulty` | the rules, pure |
//! | `merged` | merge-mined blocks: their proof, the blocks given out for it |
//! | `mempool`, `template` | what waits, what to mine next |
//! | `tree`, `chain`, `file` | branches, the best chain and its coins, the file behind them |
//! | `wallet`, `spending` | the built-in wallet of the demonstration's customer |
//! | `state`, `rpc`, `http` | all of it behind one lock, its methods, their carriage |
//! | [`eth`] | the same for account-based chains: another node altogether |
//!
//! Promises: a block whose submission was answered survives `kill -9`; a torn end of the file is
//! cut; nothing from outside panics. Waiting transactions are forgotten at a restart.
//!
//! How targets move is in [`difficulty`]; the premine is in [`DevParams::premine_coins`].

mod chain;
pub mod check;
mod client;
pub mod connect;
pub mod difficulty;
mod error;
pub mod eth;
mod file;
mod http;
mod mempool;
mod merged;
mod params;
mod reject;
mod rpc;
pub mod script;
mod spending;
mod state;
mod template;
mod tree;
mod wallet;

pub use chain::Verdict;
pub use client::{CallError, rpc_call};
pub use error::DevChainError;
pub use http::DevServer;
pub use params::{DevParams, Difficulty, POW_LIMIT_BITS, bits_for_work, pow_limit};
pub use reject::Reject;
pub use rpc::RpcError;

use gruve_units::{Clock, Duration, Entropy};
use rpc::{Call, News, TipWait, dispatch};
use serde_json::Value;
use state::State;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How often a waiting long poll looks whether the next block has become easier.
const LONGPOLL_LOOK: Duration = Duration::from_secs(1);
/// A long poll answers after this time whatever happens, so that a lost client is noticed.
const LONGPOLL_LONGEST: Duration = Duration::from_secs(600);

/// A development chain; clones share it.
#[derive(Clone)]
pub struct DevChain(Arc<Shared>);

impl http::Service for DevChain {
    async fn carry_out(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.call_waiting(method, params).await
    }
}

struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    mempool_poll: Duration,
    /// Counts what long polls wait for.
    news: watch::Sender<(u64, u64)>,
}

impl DevChain {
    /// Opens the chain in `dir`, or makes it there. Mines the premine when it is new.
    ///
    /// # Errors
    /// When the parameters contradict each other or the file, the folder is in use, or cannot be
    /// read or written.
    pub fn open(
        dir: &Path,
        params: DevParams,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<DevChain, DevChainError> {
        let mempool_poll = params.mempool_poll;
        let state = State::open(dir, params, clock.now().secs(), entropy.as_ref())?;
        let (news, _) = watch::channel((0, 0));
        let state = Mutex::new(state);
        Ok(DevChain(Arc::new(Shared { state, clock, entropy, mempool_poll, news })))
    }

    /// Serves JSON-RPC on `listener` to whoever knows `user` and `password`, until the server is
    /// stopped or dropped. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(
        &self,
        listener: TcpListener,
        user: &str,
        password: &str,
    ) -> Result<DevServer, DevChainError> {
        http::serve(self.clone(), listener, Some((user, password)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The chain changes after its file, step by step; no step of it panics.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one RPC call at once; a long poll does not wait.
    ///
    /// # Errors
    /// With Core's codes.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let mut salt = [0u8; 8];
        self.0.entropy.fill(&mut salt);
        let now = self.0.clock.now().secs();
        let mut state = self.lock();
        let result = dispatch(&mut Call { state: &mut state, now, salt }, method, params);
        let counts = (state.chain_changes, state.pool_changes);
        drop(state);
        self.0.news.send_if_modified(|known| std::mem::replace(known, counts) != counts);
        result
    }

    /// Carries out one RPC call, off the runtime's own threads; a template with a long-poll id
    /// waits until there is a better one, `waitfornewblock` until there is a block.
    ///
    /// # Errors
    /// With Core's codes.
    pub async fn call_waiting(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        if method == "getblocktemplate" {
            let request = params.get(0).or_else(|| params.get("template_request"));
            let id = request.and_then(|r| r.get("longpollid")).and_then(Value::as_str);
            if let Some(known) = id.and_then(News::read) {
                self.news_since(&known).await;
            }
        }
        if method == "waitfornewblock"
            && let Some(wait) = TipWait::read(&params)
        {
            self.another_tip(&wait).await;
        }
        let (chain, method) = (self.clone(), method.to_owned());
        let called = tokio::task::spawn_blocking(move || chain.call(&method, &params)).await;
        called.unwrap_or_else(|e| Err(RpcError::new(RpcError::INTERNAL, e.to_string())))
    }

    /// Waits until the tip is another than the known one, or the wait is over.
    async fn another_tip(&self, wait: &TipWait) {
        let mut changes = self.0.news.subscribe();
        let tip = || self.lock().chain.tip_node().hash.to_string();
        let known = wait.known.clone().unwrap_or_else(tip);
        let longest = match wait.millis {
            0 => LONGPOLL_LONGEST,
            millis => Duration::from_millis(millis).min(LONGPOLL_LONGEST),
        };
        let another = async { while tip() == known && changes.changed().await.is_ok() {} };
        // Either way the call tells the tip there is.
        let _ = tokio::time::timeout(longest, another).await;
    }

    /// Waits until there is another block to mine, or (after a while) other transactions.
    async fn news_since(&self, known: &News) {
        let mut changes = self.0.news.subscribe();
        let started = tokio::time::Instant::now();
        let step = self.0.mempool_poll.min(LONGPOLL_LOOK);
        while started.elapsed() < LONGPOLL_LONGEST {
            let now = self.0.clock.now().secs();
            let current = News::of(&self.lock(), now);
            let waited = started.elapsed() >= self.0.mempool_poll;
            if known.another_block(&current) || (waited && *known != current) {
                return;
            }
            // Either ends the round: a change, or the time to look at the clock again.
            let _ = tokio::time::timeout(step, changes.changed()).await;
        }
    }

    /// The best chain's height.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.lock().chain.height()
    }

    /// The clock it was opened with.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }
}
