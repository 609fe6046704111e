//! What blocks do to the books of the house, and the real follower that brings them.

use super::node::FakeNode;
use super::{ASSET, MATURITY, REORG_LIMIT, params, sat};
use async_trait::async_trait;
use gruve_chain::follow::{Followable, Options, Start};
use gruve_chain::{
    BlockRef, ChainSink, FollowError, FollowedBlock, Follower, LeanBlock, NodeError, SinkError,
};
use gruve_ledger::{Account, Entry, post};
use gruve_store::{Store, Tx, transact};
use gruve_treasury::{CrashPoints, Treasury, TreasuryError};
use gruve_units::{Duration, Timestamp};
use std::sync::Arc;

/// A house that nothing breaks off.
pub struct Unbroken;

impl CrashPoints for Unbroken {
    fn passes(&self, _: &'static str) -> bool {
        true
    }
}

/// The error of a kill, when there is one.
pub fn broken(is_broken: bool) -> Result<(), TreasuryError> {
    if is_broken { Err(TreasuryError::BrokenOff("follower")) } else { Ok(()) }
}

/// What is written with each block.
pub struct Books {
    pub store: Store,
    pub treasury: Treasury,
}

impl Books {
    pub async fn top(&self) -> Result<Option<BlockRef>, TreasuryError> {
        let mut tx = self.store.read().await?;
        Ok(self.treasury.known_blocks(&mut tx, ASSET, 1).await?.first().copied())
    }

    /// Books a block; its effects are lost when the house breaks off before the commit.
    pub async fn connect(
        &self,
        height: u64,
        block: &LeanBlock,
        breaks: bool,
    ) -> Result<(), TreasuryError> {
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            let effects = self.treasury.connect_block(tx, ASSET, height, block).await?;
            for reward in &effects.rewards {
                let reason = format!("test:reward:{height}:{}", connections(tx).await);
                let lane = Account::Rewards("sha256d".parse().unwrap());
                let (debit, at) = (Account::ChainMaturing, Timestamp(0));
                post(tx, &Entry::transfer(reason, "test", at, debit, lane, reward.value)).await?;
            }
            broken(breaks)
        })
    }

    pub async fn disconnect(&self, top: &BlockRef, breaks: bool) -> Result<(), TreasuryError> {
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            let effects = self.treasury.disconnect_block(tx, ASSET, top).await?;
            if !effects.orphaned.is_empty() {
                let value = sat(5_000_000_000);
                let reason = format!("test:orphan:{}:{}", connections(tx).await, top.height);
                let lane = Account::Rewards("sha256d".parse().unwrap());
                let (credit, at) = (Account::ChainMaturing, Timestamp(0));
                post(tx, &Entry::transfer(reason, "test", at, lane, credit, value)).await?;
            }
            broken(breaks)
        })
    }
}

async fn connections(tx: &mut Tx) -> i64 {
    let row = tx.fetch_one("SELECT connections FROM treasury_chains", &[]).await.unwrap();
    row.get("connections").unwrap()
}

/// The chain in memory as the follower asks the node for it.
pub struct Blocks(pub Arc<FakeNode>);

#[async_trait]
impl Followable for Blocks {
    type Block = FollowedBlock;

    fn title(&self) -> String {
        "test".to_owned()
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        gruve_chain::Node::tip(self.0.as_ref()).await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.0.followed_hash(height)
    }

    async fn block(&self, at: &BlockRef) -> Result<(FollowedBlock, [u8; 32]), FollowError> {
        let block = self.0.followed_block(&at.hash)?;
        let prev = block.prev;
        Ok((FollowedBlock { height: at.height, block }, prev))
    }
}

/// Books what is followed, and breaks off where it is told.
struct Sink {
    books: Books,
    breaks: Arc<dyn CrashPoints>,
}

#[async_trait]
impl ChainSink for Sink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let mut tx = self.books.store.read().await.map_err(SinkError::new)?;
        let known = self.books.treasury.known_blocks(&mut tx, ASSET, limit as u64).await;
        known.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        let before = !self.breaks.passes("block connected, before commit");
        let done = self.books.connect(block.height, &block.block, before).await;
        done.map_err(SinkError::new)?;
        broken(!self.breaks.passes("block connected, after commit")).map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        let before = !self.breaks.passes("block taken back, before commit");
        self.books.disconnect(block, before).await.map_err(SinkError::new)?;
        broken(!self.breaks.passes("block taken back, after commit")).map_err(SinkError::new)
    }
}

/// The real follower over the node that may fail.
pub fn follower(
    node: &Arc<FakeNode>,
    books: Books,
    breaks: Arc<dyn CrashPoints>,
) -> Arc<Follower<Blocks>> {
    let options = Options {
        reorg_limit: usize::try_from(REORG_LIMIT).unwrap(),
        poll: Duration::from_secs(1),
        start: Start::Height(0),
    };
    // Rewards are spent when they are ripe, so that deeper forks than this are nobody's.
    assert_eq!(params().coinbase_maturity, MATURITY);
    Follower::of(Blocks(node.clone()), Arc::new(Sink { books, breaks }), options)
}
