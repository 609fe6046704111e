//! A node over the fake chain whose answers can be lost, late or wrong.

use super::chain::{Dice, FakeChain};
use async_trait::async_trait;
use gruve_chain::{
    BlockRef, ChainCoin, ChainInfo, ChainParams, FeeRate, LeanBlock, Node, NodeCoin, NodeCoins,
    NodeError, SendOutcome, SubmitOutcome, Template, TransactionPlace,
};
use std::sync::{Arc, Mutex};

pub struct FakeNode {
    pub chain: Arc<FakeChain>,
    pub params: ChainParams,
    faults: Mutex<Option<Dice>>,
    /// One call of all to go wrong: its number from now, and how (a roll of [`FakeNode::roll`]).
    nth: Mutex<Option<(u64, u64)>>,
    calls: Mutex<Vec<&'static [u64]>>,
    rate: Mutex<Option<i64>>,
    late: Mutex<Vec<Vec<u8>>>,
    /// Calls about its pool that it answers before it fails; `None` when it knows no such call.
    pool: Mutex<Option<u64>>,
    /// How often it was asked for all that waits, and for one transaction.
    pool_asked: Mutex<(u64, u64)>,
    /// Whether it can look for all coins of a script.
    scans: Mutex<bool>,
}

/// How a sending goes wrong: lost; its answer lost; late; twice; refused; done and refused; not done and said to be.
const SENDING: [u64; 7] = [0, 8, 16, 22, 28, 34, 38];
/// How a question goes wrong: no answer.
const ASKING: [u64; 1] = [0];
/// How a question about fees goes wrong: no answer, and no estimate.
const PRICING: [u64; 2] = [0, 8];
/// How the question for a block's hash goes wrong: no answer, and one from before a reorganisation.
const FOLLOWING: [u64; 2] = [0, 8];

fn lost() -> NodeError {
    let after = std::time::Duration::from_secs(30);
    NodeError::TimedOut { host: "fake".into(), method: "any", after }
}

impl FakeNode {
    pub fn new(chain: Arc<FakeChain>, params: ChainParams) -> FakeNode {
        let (faults, late) = (Mutex::new(None), Mutex::default());
        let (nth, calls) = (Mutex::default(), Mutex::default());
        let (rate, pool) = (Mutex::new(Some(2_000)), Mutex::new(Some(u64::MAX)));
        let (pool_asked, scans) = (Mutex::default(), Mutex::new(true));
        FakeNode { chain, params, faults, nth, calls, rate, late, pool, pool_asked, scans }
    }

    /// Has one call from now on go wrong, and none with `None`; gives those there were, each as the rolls by
    /// which it goes wrong in another way.
    pub fn fail_nth(&self, nth: Option<(u64, u64)>) -> Vec<&'static [u64]> {
        *self.nth.lock().unwrap() = nth;
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub fn set_faults(&self, dice: Option<Dice>) {
        *self.faults.lock().unwrap() = dice;
    }

    pub fn set_rate(&self, rate: Option<i64>) {
        *self.rate.lock().unwrap() = rate;
    }

    /// Has it answer so many calls about its pool, or know no such call.
    pub fn set_pool(&self, answers: Option<u64>) {
        *self.pool.lock().unwrap() = answers;
    }

    /// Whether it can look for all coins of a script, as not every node can.
    pub fn set_scans(&self, can: bool) {
        *self.scans.lock().unwrap() = can;
    }

    pub fn pool_asked(&self) -> (u64, u64) {
        *self.pool_asked.lock().unwrap()
    }

    /// Whether a call about its pool is answered; `None` when it knows none.
    fn tells_pool(&self) -> Result<Option<()>, NodeError> {
        match &mut *self.pool.lock().unwrap() {
            None => Ok(None),
            Some(0) => Err(lost()),
            Some(left) => {
                *left -= 1;
                Ok(Some(()))
            }
        }
    }

    /// What is at a height, for who follows: the answer is lost, or late by a reorganisation.
    pub fn followed_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        match self.roll(&FOLLOWING) {
            0..5 => Err(lost()),
            5..10 => Ok(self.chain.earlier_hash(height)),
            _ => Ok(self.chain.block(height).map(|b| b.hash)),
        }
    }

    /// A block, for who follows.
    pub fn followed_block(&self, hash: &[u8; 32]) -> Result<LeanBlock, NodeError> {
        if self.roll(&ASKING) < 5 {
            return Err(lost());
        }
        self.chain.block_of(hash).ok_or_else(|| NodeError::NotReady("no such block".into()))
    }

    /// Requests that were under way arrive now.
    pub fn deliver_late(&self) {
        for bytes in std::mem::take(&mut *self.late.lock().unwrap()) {
            self.chain.send(&bytes);
        }
    }

    fn roll(&self, ways: &'static [u64]) -> u64 {
        let mut calls = self.calls.lock().unwrap();
        calls.push(ways);
        if let Some((number, roll)) = *self.nth.lock().unwrap()
            && calls.len() as u64 == number
        {
            return roll;
        }
        drop(calls);
        self.faults.lock().unwrap().as_mut().map_or(100, |d| d.below(100))
    }
}

#[async_trait]
impl Node for FakeNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    async fn template(&self, _: Option<&str>) -> Result<Template, NodeError> {
        Err(NodeError::NotReady("not a mining node".into()))
    }

    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        Err(NodeError::NotReady("not a mining node".into()))
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        if self.roll(&ASKING) < 5 {
            return Err(lost());
        }
        let height = self.chain.height();
        Ok(BlockRef { height, hash: self.chain.block(height).unwrap().hash })
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        Ok(self.chain.block(height).map(|b| b.hash))
    }

    /// For what made a coin; what is followed is asked for by [`FakeNode::followed_hash`] and
    /// [`FakeNode::followed_block`].
    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        if self.roll(&ASKING) < 5 {
            return Err(lost());
        }
        self.chain.block_bytes(hash).ok_or_else(|| NodeError::NotReady("no such block".into()))
    }

    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        match self.roll(&SENDING) {
            // The request is lost.
            0..8 => Err(lost()),
            // The answer is lost.
            8..16 => {
                self.chain.send(bytes);
                Err(lost())
            }
            // The request arrives much later.
            16..22 => {
                self.late.lock().unwrap().push(bytes.to_vec());
                Err(lost())
            }
            // The request arrives twice.
            22..28 => {
                self.chain.send(bytes);
                Ok(self.chain.send(bytes))
            }
            // The node refuses what another would take.
            28..34 => Ok(SendOutcome::Rejected("mempool min fee not met".into())),
            // The node took it, and says that it did not.
            34..38 => {
                self.chain.send(bytes);
                Ok(SendOutcome::Rejected("bad-txns-inputs-missingorspent".into()))
            }
            // The node says that it has it, and does not.
            38..42 => Ok(SendOutcome::AlreadyKnown),
            _ => Ok(self.chain.send(bytes)),
        }
    }

    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        Ok(TransactionPlace::Unknown)
    }

    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        match self.roll(&ASKING) {
            0..3 => Err(lost()),
            _ => Ok(Some(self.chain.is_unspent(&(*txid, vout)))),
        }
    }

    async fn chain_coin(&self, txid: &[u8; 32], vout: u32) -> Result<ChainCoin, NodeError> {
        let value = self.chain.value_of(&(*txid, vout));
        Ok(value.map_or(ChainCoin::Gone, ChainCoin::Unspent))
    }

    async fn coins_of(&self, scripts: &[Vec<u8>]) -> Result<Option<NodeCoins>, NodeError> {
        if !*self.scans.lock().unwrap() {
            return Ok(None);
        }
        let found = self.chain.coins_of(&scripts.iter().cloned().collect());
        let coins = found.into_iter().map(|((txid, vout), value, height)| NodeCoin {
            txid,
            vout,
            value,
            height,
        });
        Ok(Some(NodeCoins { at: self.tip().await?, coins: coins.collect() }))
    }

    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        self.pool_asked.lock().unwrap().0 += 1;
        Ok(self.tells_pool()?.map(|()| self.chain.waiting_ids()))
    }

    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        self.pool_asked.lock().unwrap().1 += 1;
        Ok(self.tells_pool()?.and_then(|()| self.chain.waiting_bytes(txid)))
    }

    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        match self.roll(&PRICING) {
            0..6 => Err(lost()),
            6..12 => Ok(None),
            _ => Ok(self.rate.lock().unwrap().map(|minor_per_kvb| FeeRate { minor_per_kvb })),
        }
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        Err(NodeError::NotReady("nobody asks".into()))
    }
}
