//! Everything behind the chain's one lock: the chain, the waiting transactions, the wallet; and
//! what moves between them.

use super::chain::{Chain, Entry, Moved, Verdict};
use super::difficulty;
use super::error::DevChainError;
use super::mempool::{Mempool, PoolEntry, PoolRefusal};
use super::merged::Offers;
use super::params::{DevParams, POW_LIMIT_BITS};
use super::template::{Layout, choose, grind, lay_out};
use super::wallet::{OWN_INDEX, Wallet};
use crate::auxpow::AuxProof;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, ScriptBuf, Transaction, Txid};
use gruve_units::Entropy;
use std::path::Path;

/// Nonces of one header.
const NONCES: u32 = u32::MAX;

/// Where and how hard the next block is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextBlock {
    pub(crate) height: u32,
    pub(crate) time: u32,
    /// The earliest time at which these bits and the median rule hold.
    pub(crate) min_time: u32,
    pub(crate) bits: u32,
}

/// See the module.
pub(crate) struct State {
    pub(crate) chain: Chain,
    pub(crate) pool: Mempool,
    pub(crate) wallet: Wallet,
    /// Blocks given out to be merge-mined.
    pub(crate) offers: Offers,
    /// Counts changes of the best chain.
    pub(crate) chain_changes: u64,
    /// Counts changes of the waiting transactions.
    pub(crate) pool_changes: u64,
}

impl State {
    /// Opens the chain in a folder, makes its first block and its premine where they are missing.
    pub(crate) fn open(
        dir: &Path,
        params: DevParams,
        now: i64,
        entropy: &dyn Entropy,
    ) -> Result<State, DevChainError> {
        if let Some(fault) = params.fault() {
            return Err(DevChainError::Params(fault.into()));
        }
        std::fs::create_dir_all(dir).map_err(|source| DevChainError::Io {
            what: "creating",
            path: dir.to_owned(),
            source,
        })?;
        let mut chain = Chain::open(&dir.join("chain.dat"), params)?;
        let wallet = Wallet::open(&dir.join("wallet.seed"), chain.params.segwit, entropy)?;
        if chain.is_empty() {
            let genesis = match chain.params.genesis.clone() {
                Some(bytes) => bitcoin::consensus::deserialize(&bytes)
                    .map_err(|e| DevChainError::Params(format!("the genesis block: {e}")))?,
                None => make_genesis(&chain.params, now, entropy),
            };
            chain.plant(&genesis)?;
        }
        let mut state = State {
            chain,
            pool: Mempool::default(),
            wallet,
            offers: Offers::default(),
            chain_changes: 0,
            pool_changes: 0,
        };
        state.premine()?;
        Ok(state)
    }

    /// Mines the wallet's first blocks, in the past, one spacing apart.
    fn premine(&mut self) -> Result<(), DevChainError> {
        let (blocks, spacing) =
            (self.chain.params.premine_blocks(), self.chain.params.spacing_secs);
        if self.chain.height() >= blocks {
            return Ok(());
        }
        let pay_to = self.wallet.script(OWN_INDEX);
        while self.chain.height() < blocks {
            let time = self.chain.tip_node().header.time.saturating_add(spacing);
            let next = self.next_block(i64::from(time));
            let mut block = self.lay_out_next(&next, pay_to.clone(), Vec::new());
            grind(&mut block.header, &self.chain.params, NONCES);
            match self.chain.submit(block, None, Entry::Premine)? {
                (Verdict::Accepted, _) => {}
                (other, _) => return Err(DevChainError::OwnBlock(format!("{other:?}"))),
            }
        }
        self.chain.sync()
    }

    /// Where the next block stands, were it made at `now` (seconds).
    pub(crate) fn next_block(&self, now: i64) -> NextBlock {
        let tip = self.chain.tip();
        let node = self.chain.tree.node(tip);
        let above_median = self.chain.tree.median_time(tip).saturating_add(1);
        let time = u32::try_from(now.max(0)).unwrap_or(u32::MAX).max(above_median);
        let base = self.chain.tree.base_after(tip, &self.chain.params);
        let (bits, eased_from) =
            difficulty::easiest(&self.chain.params, base, node.header.time, time);
        NextBlock {
            height: node.height.saturating_add(1),
            time,
            min_time: above_median.max(eased_from),
            bits,
        }
    }

    /// The next block, complete but for its proof of work.
    pub(crate) fn lay_out_next(
        &self,
        next: &NextBlock,
        pay_to: ScriptBuf,
        extra: Vec<u8>,
    ) -> Block {
        let chosen = choose(&self.pool);
        let fees: i64 = chosen.iter().map(|entry| entry.fee).sum();
        let layout = Layout {
            height: next.height,
            prev: self.chain.tip_node().hash,
            time: next.time,
            bits: next.bits,
            value: self.chain.params.subsidy_at(next.height).saturating_add(fees),
            pay_to,
            extra,
            txs: chosen.into_iter().map(|entry| entry.tx.clone()).collect(),
        };
        lay_out(layout, &self.chain.params)
    }

    /// Takes a block.
    pub(crate) fn submit(
        &mut self,
        block: Block,
        proof: Option<&AuxProof>,
        now: i64,
    ) -> Result<Verdict, DevChainError> {
        let entry = Entry::Submitted { now };
        let (verdict, moved) = self.chain.submit(block, proof, entry)?;
        self.absorb(moved, now);
        Ok(verdict)
    }

    /// Declares a block invalid; `false`: no such block, or the first.
    pub(crate) fn invalidate(&mut self, hash: &BlockHash, now: i64) -> Result<bool, DevChainError> {
        let moved = self.chain.invalidate(hash)?;
        Ok(moved.map(|moved| self.absorb(moved, now)).is_some())
    }

    /// Takes that back; `false`: no such block.
    pub(crate) fn reconsider(&mut self, hash: &BlockHash, now: i64) -> Result<bool, DevChainError> {
        let moved = self.chain.reconsider(hash)?;
        Ok(moved.map(|moved| self.absorb(moved, now)).is_some())
    }

    /// Brings the waiting transactions into line with a moved chain.
    fn absorb(&mut self, moved: Moved, now: i64) {
        if moved.connected.is_empty() && !moved.reorganised {
            return;
        }
        self.chain_changes += 1;
        self.offers.clear();
        let before = self.pool.len();
        if moved.reorganised {
            // Everything is asked again: parents may be gone, coinbases young, locks shut.
            let waiting = self.pool.drain();
            let returned = moved.returned.into_iter().map(|tx| (tx, now));
            for (tx, since) in returned.chain(waiting) {
                if let Ok(entry) = self.check(tx, since) {
                    self.pool.add(entry);
                }
            }
        } else {
            for block in &moved.connected {
                self.pool.confirmed(&block.txdata);
            }
        }
        if before != self.pool.len() {
            self.pool_changes += 1;
        }
    }

    /// Whether a transaction may wait for the next block.
    pub(crate) fn check(&self, tx: Transaction, now: i64) -> Result<PoolEntry, PoolRefusal> {
        self.chain.with_next_place(|place| self.pool.check(tx, &self.chain.coins, place, now))
    }

    /// Lets a transaction wait for the next block.
    pub(crate) fn accept(&mut self, tx: Transaction, now: i64) -> Result<Txid, PoolRefusal> {
        let entry = self.check(tx, now)?;
        let txid = entry.txid;
        self.pool.add(entry);
        self.pool_changes += 1;
        Ok(txid)
    }

    /// Mines a block to a script here, trying at most `tries` nonces and counting them off.
    pub(crate) fn generate(
        &mut self,
        pay_to: ScriptBuf,
        extra: Vec<u8>,
        tries: &mut u32,
        now: i64,
    ) -> Result<Option<BlockHash>, DevChainError> {
        let next = self.next_block(now);
        let mut block = self.lay_out_next(&next, pay_to, extra);
        let solved = grind(&mut block.header, &self.chain.params, *tries);
        *tries = tries.saturating_sub(block.header.nonce.saturating_add(1));
        if !solved {
            return Ok(None);
        }
        let hash = block.block_hash();
        match self.submit(block, None, now)? {
            Verdict::Accepted => Ok(Some(hash)),
            other => Err(DevChainError::OwnBlock(format!("{other:?}"))),
        }
    }
}

/// The first block: one spacing before the premine's first, paying nobody, different in every
/// chain.
fn make_genesis(params: &DevParams, now: i64, entropy: &dyn Entropy) -> Block {
    let mut name = [0u8; 16];
    entropy.fill(&mut name);
    let behind = i64::from(params.premine_blocks() + 1) * i64::from(params.spacing_secs);
    let mut extra = vec![9];
    extra.extend_from_slice(b"gruve dev");
    extra.push(16);
    extra.extend_from_slice(&name);
    let layout = Layout {
        height: 0,
        prev: BlockHash::all_zeros(),
        time: u32::try_from((now - behind).max(1)).unwrap_or(u32::MAX),
        bits: POW_LIMIT_BITS,
        value: 0,
        pay_to: ScriptBuf::from_bytes(vec![0x6a]),
        extra,
        txs: Vec::new(),
    };
    let mut block = lay_out(layout, params);
    grind(&mut block.header, params, NONCES);
    block
}
