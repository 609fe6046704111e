//! Everything behind the chain's one lock: the chain, the waiting transactions, the wallet, the work
//! given out; and what moves between them.

use super::block::Block;
use super::chain::{Chain, Returned, Verdict};
use super::pool::Pool;
use super::wallet::Wallet;
use crate::devchain::error::DevChainError;
use crate::eth::header::{BLOOM_BYTES, NO_UNCLES};
use crate::eth::reward::UNCLES_MAX;
use crate::eth::trie::EMPTY_ROOT;
use crate::eth::{EthAddress, EthHeader, SignedTx, TRANSFER_GAS};
use std::collections::VecDeque;

/// Pieces of work remembered: more than miners are behind.
const WORKS_MAX: usize = 64;
/// Work this many blocks below the tip is still taken, as geth takes it: its block stands aside and
/// may be an uncle.
const STALE_MAX: u64 = 7;

/// A block without its proof.
struct Work {
    seal_hash: [u8; 32],
    block: Block,
    /// What it was made from: whom it pays, its words, and how often the pool had changed.
    coinbase: EthAddress,
    extra: Vec<u8>,
    pool_changes: u64,
}

/// See the module.
pub(super) struct State {
    pub(super) chain: Chain,
    pub(super) pool: Pool,
    pub(super) wallet: Wallet,
    /// Whom the blocks it makes pay.
    pub(super) coinbase: EthAddress,
    /// What they say.
    pub(super) extra: Vec<u8>,
    works: VecDeque<Work>,
}

impl State {
    pub(super) fn new(chain: Chain, wallet: Wallet) -> State {
        let coinbase = wallet.first();
        let (pool, extra) = (Pool::default(), b"Gruve".to_vec());
        State { chain, pool, wallet, coinbase, extra, works: VecDeque::new() }
    }

    /// A block on the tip without its proof; with what waits, or empty.
    pub(super) fn next_block(&mut self, now: u64, with_txs: bool) -> Result<Block, DevChainError> {
        let mut uncles = Vec::new();
        let tip_index = self.chain.find(&self.chain.tip().hash).unwrap_or_default();
        for hash in self.chain.uncles_for(tip_index).into_iter().take(UNCLES_MAX) {
            if let Some(index) = self.chain.find(&hash) {
                uncles.push(self.chain.known(index).header.clone());
            }
        }
        let (tip, params) = (self.chain.tip(), &self.chain.params);
        let below = &tip.header;
        let timestamp = now.max(below.timestamp.saturating_add(1));
        let has_uncles = !tip.uncles.is_empty();
        let (difficulty, from) = (below.difficulty, below.timestamp);
        let mut header = EthHeader {
            parent_hash: tip.hash,
            uncles_hash: NO_UNCLES,
            coinbase: self.coinbase,
            state_root: [0; 32],
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            logs_bloom: Box::new([0; BLOOM_BYTES]),
            difficulty: params.difficulty.next(difficulty, has_uncles, from, timestamp),
            number: below.number.saturating_add(1),
            gas_limit: params.gas_limit,
            gas_used: 0,
            timestamp,
            extra_data: self.extra.clone(),
            mix_hash: [0; 32],
            nonce: [0; 8],
            later_fields: Vec::new(),
        };
        let room = usize::try_from(header.gas_limit / TRANSFER_GAS).unwrap_or(usize::MAX);
        let room = if with_txs { room } else { 0 };
        let candidates = self.pool.choose(&self.chain.world, room);
        let txs = self.chain.complete(&mut header, &candidates, &uncles);
        Ok(Block { header, txs, uncles })
    }

    /// What to hash now: the same until the tip or the pool changes, or it grows old.
    pub(super) fn work(&mut self, now: u64) -> Result<&Block, DevChainError> {
        let tip = self.chain.tip().hash;
        let fresh = self.works.back().is_some_and(|work| {
            work.block.header.parent_hash == tip
                && work.coinbase == self.coinbase
                && work.extra == self.extra
                && work.pool_changes == self.pool.changes
                && now.saturating_sub(work.block.header.timestamp) < self.chain.params.work_secs
        });
        if !fresh {
            let block = self.next_block(now, true)?;
            let seal_hash = block.header.seal_hash();
            let (coinbase, extra) = (self.coinbase, self.extra.clone());
            let pool_changes = self.pool.changes;
            self.works.push_back(Work { seal_hash, block, coinbase, extra, pool_changes });
            while self.works.len() > WORKS_MAX {
                self.works.pop_front();
            }
        }
        let newest = self.works.back().map(|work| &work.block);
        newest.ok_or_else(|| DevChainError::OwnBlock("no work was made".into()))
    }

    /// Takes a solution; whether it was good for work given out.
    pub(super) fn submit_work(
        &mut self,
        nonce: [u8; 8],
        seal_hash: &[u8; 32],
        mix_hash: [u8; 32],
        now: u64,
    ) -> Result<bool, DevChainError> {
        let Some(work) = self.works.iter().find(|work| work.seal_hash == *seal_hash) else {
            return Ok(false);
        };
        let mut block = work.block.clone();
        if block.header.number.saturating_add(STALE_MAX) <= self.chain.height() {
            return Ok(false);
        }
        block.header.nonce = nonce;
        block.header.mix_hash = mix_hash;
        let verdict = self.submit(&block, now)?;
        if let Verdict::Refused(why) = verdict {
            tracing::debug!(reason = why, "a solution is refused");
        }
        Ok(matches!(verdict, Verdict::Best | Verdict::Aside))
    }

    /// Takes a block.
    pub(super) fn submit(&mut self, block: &Block, now: u64) -> Result<Verdict, DevChainError> {
        let before = self.chain.tip().hash;
        let (verdict, returned) = self.chain.submit(block, now)?;
        if self.chain.tip().hash != before {
            self.chain_moved(returned);
        }
        Ok(verdict)
    }

    /// Declares a block invalid, or takes that back; whether it is known.
    pub(super) fn declare(
        &mut self,
        hash: &[u8; 32],
        invalid: bool,
    ) -> Result<bool, DevChainError> {
        let moved = self.chain.declare(hash, invalid)?;
        let known = moved.is_some();
        self.chain_moved(moved.unwrap_or_default());
        Ok(known)
    }

    /// What left the chain waits again; what is in it waits no more.
    fn chain_moved(&mut self, returned: Returned) {
        for signed in returned {
            // One that is in the new branch, or can no longer be paid, is not taken.
            let _ = self.pool.add(signed, &self.chain.world, &self.chain.params);
        }
        self.pool.prune(&self.chain.world);
    }

    /// Finds and takes a block, by counting nonces: for tests, where difficulty is low.
    pub(super) fn mine(&mut self, now: u64, with_txs: bool) -> Result<[u8; 32], DevChainError> {
        let mut block = self.next_block(now, with_txs)?;
        let own = |what: &str| DevChainError::OwnBlock(what.to_owned());
        // From another nonce each time: what was declared invalid must not be found again.
        let (chain, first) = (&self.chain, self.chain.count());
        let found = chain.seals.find(&chain.params, &block.header, first);
        let (nonce, mix) = found.ok_or_else(|| own("no epoch"))?;
        block.header.nonce = nonce.to_be_bytes();
        block.header.mix_hash = mix;
        let latest = now.max(block.header.timestamp);
        match self.submit(&block, latest)? {
            Verdict::Best => Ok(block.header.hash()),
            Verdict::Refused(why) => Err(own(why)),
            Verdict::Aside | Verdict::Known => Err(own("it is not the best")),
        }
    }

    /// Takes a transaction into the pool.
    pub(super) fn send(&mut self, signed: SignedTx) -> Result<(), &'static str> {
        if self.chain.place_of(&signed.hash).is_some() {
            return Err("already known");
        }
        self.pool.add(signed, &self.chain.world, &self.chain.params)
    }
}
