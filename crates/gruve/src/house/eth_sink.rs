//! What a block of an account chain means to the house: coins for the treasury, rewards for the market,
//! figures of the network, in one transaction.

use super::error::HouseError;
use super::network;
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use gruve_chain::eth::earned::earned;
use gruve_chain::eth::reward::RewardRule;
use gruve_chain::eth::{AccountNode, EthAddress, EthBlock, EthReceipt, FollowedEthBlock, wei};
use gruve_chain::follow::SinkError;
use gruve_chain::{BlockFacts, BlockRef, ChainParams, ChainSink, NodeError};
use gruve_market::{Market, RewardSeen};
use gruve_store::{Store, transact};
use gruve_treasury::{AccountBlock, Treasury};
use gruve_units::{Amount, Blame, Blamed as _, LaneId};
use ruint::aliases::U256;
use std::sync::Arc;

/// Receipts asked for side by side: enough to hide the way to a node, few for the node.
const RECEIPTS_AT_ONCE: usize = 8;

/// What a block of an account chain means to the house.
pub(super) struct EthSink {
    /// The database.
    pub(super) store: Store,
    /// Whose coins are ours.
    pub(super) treasury: Treasury,
    /// Who shares rewards out.
    pub(super) market: Market,
    /// The lane that mines this chain.
    pub(super) lane: LaneId,
    /// The chain's rules.
    pub(super) params: ChainParams,
    /// Where receipts come from.
    pub(super) node: Arc<dyn AccountNode>,
    /// Whom the house's blocks pay.
    pub(super) miner: EthAddress,
    /// What blocks pay.
    pub(super) rule: RewardRule,
}

/// Receipts of some of a block's transactions, in their order.
///
/// # Errors
/// The node's, all of them transient: whatever it answers here, another may answer, or it later. [`NodeError::NotReady`]
/// while it tells of another block.
pub(super) async fn receipts_of(
    node: &dyn AccountNode,
    wanted: &[[u8; 32]],
    of: &EthBlock,
) -> Result<Vec<EthReceipt>, NodeError> {
    let ask = |hash: [u8; 32]| async move {
        let receipt = node.receipt(&hash).await.map_err(|e| match e.blame() {
            Blame::Transient => e,
            Blame::Rejected | Blame::Fatal => NodeError::NotReady(e.to_string()),
        })?;
        // In a reorganisation the node tells of another block at once.
        receipt.filter(|r| r.block_hash == of.hash).ok_or_else(|| {
            let what = "the node has no receipt of this block's transaction";
            NodeError::NotReady(what.to_owned())
        })
    };
    stream::iter(wanted.to_vec()).map(ask).buffered(RECEIPTS_AT_ONCE).try_collect().await
}

impl EthSink {
    /// The receipts of all transactions, which tell of the block's fees; where the node does not have
    /// them all, those that the books need: of all where the block is ours, else of those that move our
    /// coins.
    async fn known_receipts(
        &self,
        block: &EthBlock,
    ) -> Result<(Vec<EthReceipt>, bool), HouseError> {
        let all: Vec<[u8; 32]> = block.transactions.iter().map(|t| t.hash).collect();
        match receipts_of(self.node.as_ref(), &all, block).await {
            Ok(receipts) => return Ok((receipts, true)),
            Err(error) if block.header.coinbase == self.miner => return Err(error.into()),
            Err(error) => {
                let (lane, height) = (&self.lane, block.header.number);
                tracing::debug!(%lane, height, %error, "a block's fees are not known");
            }
        }
        let mut tx = self.store.read().await?;
        let wanted = self.treasury.receipts_wanted(&mut tx, self.params.asset, block).await?;
        drop(tx);
        Ok((receipts_of(self.node.as_ref(), &wanted, block).await?, false))
    }

    async fn connected(&self, at: &FollowedEthBlock) -> Result<(), HouseError> {
        let (receipts, is_whole) = self.known_receipts(&at.block).await?;
        let facts =
            if is_whole { BlockFacts::of_account(&self.params, at, &receipts) } else { None };
        let earned = earned(at, &receipts, &self.miner, &self.rule)?;
        let wei: Vec<U256> = earned.iter().map(|e| e.wei).collect();
        let block = AccountBlock { block: &at.block, receipts: &receipts, earned: &wei };
        transact!(self.store, tx -> Result<(), HouseError> => {
            self.market.chain_height(tx, &self.lane, at.block.header.number).await?;
            self.treasury.connect_account_block(tx, self.params.asset, &block).await?;
            for reward in &earned {
                // Below a gwei the wallet carries it.
                let (gwei, _) = wei::split(reward.wei).ok_or(HouseError::Nonsense)?;
                if gwei == 0 {
                    continue;
                }
                let seen = RewardSeen {
                    block_hash: reward.name,
                    height: reward.height,
                    amount: Amount::new(self.params.asset, gwei),
                    block_time: reward.mined_at,
                };
                self.market.reward_seen(tx, &self.lane, seen).await?;
            }
            if let Some(facts) = &facts {
                let block = network::stored(facts);
                self.market.chain_block(tx, &self.lane, self.params.asset, &block).await?;
            }
            Ok(())
        })
    }

    async fn disconnected(&self, at: &BlockRef) -> Result<(), HouseError> {
        transact!(self.store, tx -> Result<(), HouseError> => {
            self.treasury.disconnect_block(tx, self.params.asset, at).await?;
            self.market.chain_cut(tx, &self.lane, self.params.asset, at.height).await?;
            self.market.rewards_orphaned_at(tx, &self.lane, at.height).await?;
            Ok(())
        })
    }
}

#[async_trait]
impl ChainSink<FollowedEthBlock> for EthSink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut tx = self.store.read().await.map_err(SinkError::new)?;
        self.treasury.known_blocks(&mut tx, self.params.asset, limit).await.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedEthBlock) -> Result<(), SinkError> {
        self.connected(block).await.map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.disconnected(block).await.map_err(SinkError::new)
    }
}
