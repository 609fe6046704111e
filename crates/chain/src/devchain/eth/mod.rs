//! The account development chain: a small node of the Ethash family in this process, for the
//! demonstration and for fast tests.
//!
//! It speaks Ethereum's JSON-RPC over HTTP and keeps the family's rules: real Ethash with the real
//! epoch's cache, real headers, roots of accounts, transactions and receipts, difficulty by the family's
//! formula (with other constants where a few processors are to find blocks), uncles, rewards by
//! eras, signatures bound to the chain's id. What it accepts a real node would accept on the same
//! chain; where it is stricter (it runs no contracts) it says so in the refusal. It has no peers.
//!
//! | part | for |
//! |---|---|
//! | `params`, `seal`, `block`, `world` | the rules |
//! | `chain` | branches, the best chain and its accounts, the file |
//! | `pool`, `state` | what waits, the work given out, all of it behind one lock |
//! | `wallet` | accounts of the demonstration's customer |
//! | `rpc`, `shapes` | methods and what they answer |
//!
//! Promises: a solution that was taken survives `kill -9`; a torn end of the file is cut; nothing from
//! outside panics. Waiting transactions and whom its blocks pay are forgotten at a restart.

mod block;
mod chain;
mod params;
#[cfg(test)]
mod parity;
mod pool;
mod rpc;
mod seal;
mod shapes;
mod state;
mod wallet;
mod world;

pub use params::{EthDevParams, EthDevWork, EthDifficulty};

use super::error::DevChainError;
use super::http::{DevServer, Service, serve};
use super::rpc::RpcError;
use crate::eth::EthAddress;
use chain::Chain;
use gruve_units::{Clock, Entropy};
use serde_json::Value;
use state::State;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wallet::Wallet;

/// An account development chain; clones share it.
#[derive(Clone)]
pub struct EthDevChain(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl EthDevChain {
    /// Opens the chain in `dir`, or makes it there.
    ///
    /// # Errors
    /// When the parameters contradict each other or the file, the folder is in use, or cannot be
    /// read or written.
    pub fn open(
        dir: &Path,
        params: EthDevParams,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<EthDevChain, DevChainError> {
        if let Some(fault) = params.fault() {
            return Err(DevChainError::Params(fault.into()));
        }
        std::fs::create_dir_all(dir).map_err(|source| DevChainError::Io {
            what: "creating",
            path: dir.to_owned(),
            source,
        })?;
        let wallet = Wallet::open(&dir.join("wallet.seed"), entropy)?;
        let now = seconds(clock.as_ref());
        let chain = Chain::open(&dir.join("chain.dat"), params, &wallet.first(), now)?;
        let state = Mutex::new(State::new(chain, wallet));
        Ok(EthDevChain(Arc::new(Shared { state, clock })))
    }

    /// Serves JSON-RPC on `listener`, to whoever knows `login` (user and password) or, without one, to
    /// everybody, until the server is stopped or dropped. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(
        &self,
        listener: TcpListener,
        login: Option<(&str, &str)>,
    ) -> Result<DevServer, DevChainError> {
        serve(self.clone(), listener, login)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The chain changes after its file, step by step; no step of it panics.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one RPC call.
    ///
    /// # Errors
    /// With geth's codes and words.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let now = seconds(self.0.clock.as_ref());
        rpc::dispatch(&mut self.lock(), now, method, params)
    }

    /// Whom the blocks it makes pay from now on.
    pub fn pay_blocks_to(&self, address: EthAddress) {
        self.lock().coinbase = address;
    }

    /// Finds blocks by trying nonces, as a miner would, and gives their hashes. For tests: at the
    /// difficulty of a farm it takes as long as a farm.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mine(&self, blocks: u32) -> Result<Vec<[u8; 32]>, DevChainError> {
        self.mine_with(blocks, true)
    }

    /// As [`EthDevChain::mine`], leaving all transactions waiting.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mine_empty(&self, blocks: u32) -> Result<Vec<[u8; 32]>, DevChainError> {
        self.mine_with(blocks, false)
    }

    fn mine_with(&self, blocks: u32, with_txs: bool) -> Result<Vec<[u8; 32]>, DevChainError> {
        let now = seconds(self.0.clock.as_ref());
        let mut state = self.lock();
        (0..blocks).map(|_| state.mine(now, with_txs)).collect()
    }

    /// Declares the newest `depth` blocks invalid, so that the chain stands below them and what is
    /// mined next makes another branch; what their transactions paid waits again.
    ///
    /// # Errors
    /// When the file cannot be written, or the chain is not that long.
    pub fn take_back(&self, depth: u64) -> Result<(), DevChainError> {
        let mut state = self.lock();
        let height = state.chain.height();
        let Some(stays) = height.checked_sub(depth).filter(|_| depth > 0) else {
            return Err(DevChainError::Params("the chain is not that long".into()));
        };
        // A block beside the lowest one is the best when that is gone, so it goes as well.
        while let Some(lowest) = state.chain.at_height(stays.saturating_add(1)) {
            let hash = state.chain.known(lowest).hash;
            state.declare(&hash, true)?;
        }
        Ok(())
    }

    /// The best chain's height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.lock().chain.height()
    }

    /// The account of the built-in wallet that has coins from the start.
    #[must_use]
    pub fn wallet_address(&self) -> EthAddress {
        self.lock().wallet.first()
    }
}

impl Service for EthDevChain {
    async fn carry_out(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let (chain, method) = (self.clone(), method.to_owned());
        let called = tokio::task::spawn_blocking(move || chain.call(&method, &params)).await;
        called.unwrap_or_else(|e| Err(RpcError::new(RpcError::INTERNAL, e.to_string())))
    }
}

/// A clock before 1970 stands at its start.
fn seconds(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().secs()).unwrap_or(0)
}
