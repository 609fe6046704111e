//! What a block means to the house: coins for the treasury, rewards for the market, in one
//! transaction.

use super::error::HouseError;
use super::network;
use async_trait::async_trait;
use gruve_chain::{
    BlockFacts, BlockRef, ChainParams, ChainSink, FollowedBlock, SinkError, address_for_script,
};
use gruve_hosting::{Hosting, OwnBlock};
use gruve_market::{Market, RewardSeen};
use gruve_store::{Store, transact};
use gruve_treasury::Treasury;
use gruve_units::{Amount, Asset, LaneId, Timestamp};

/// The sink of one lane's chain.
pub struct HouseSink {
    /// The database.
    pub store: Store,
    /// Whose coins are ours.
    pub treasury: Treasury,
    /// Who shares rewards out.
    pub market: Market,
    /// The lane that mines this chain.
    pub lane: LaneId,
    /// The chain's coin.
    pub asset: Asset,
    /// The chain's rules.
    pub params: ChainParams,
    /// Machines that customers own, where blocks may pay these themselves.
    pub hosting: Option<Hosting>,
}

impl HouseSink {
    async fn connected(&self, at: &FollowedBlock) -> Result<(), HouseError> {
        transact!(self.store, tx -> Result<(), HouseError> => {
            // First what this height matures: the block itself may already spend it.
            self.market.chain_height_of(tx, &self.lane, self.asset, at.height).await?;
            let effects =
                self.treasury.connect_block(tx, self.asset, at.height, &at.block).await?;
            for reward in effects.rewards {
                let seen = RewardSeen {
                    block_hash: reward.block_hash,
                    height: reward.height,
                    amount: reward.value,
                    block_time: reward.block_time,
                };
                self.market.reward_seen(tx, &self.lane, seen).await?;
            }
            if let Some(hosting) = &self.hosting {
                for paid in self.paid_to_owners(at) {
                    hosting.block_paid(tx, &paid).await?;
                }
            }
            if let Some(facts) = BlockFacts::of(&self.params, at) {
                let block = network::stored(&facts);
                self.market.chain_block(tx, &self.lane, self.asset, &block).await?;
            }
            Ok(())
        })
    }

    /// What a block's coinbase pays, by address; whose they are, hosting knows.
    fn paid_to_owners(&self, at: &FollowedBlock) -> Vec<OwnBlock> {
        let outputs = at.block.txs.iter().filter(|t| t.coinbase).flat_map(|t| &t.outputs);
        let paid = outputs.zip(0u32..).filter_map(|(output, vout)| {
            let minor = Some(output.value).filter(|minor| *minor > 0)?;
            Some(OwnBlock {
                lane: self.lane.clone(),
                block_hash: at.block.hash,
                height: at.height,
                at: Timestamp::from_secs(i64::from(at.block.time)),
                vout,
                address: address_for_script(&self.params, &output.script)?,
                amount: Amount::new(self.asset, minor),
                is_orphaned: false,
            })
        });
        paid.collect()
    }

    async fn disconnected(&self, at: &BlockRef) -> Result<(), HouseError> {
        transact!(self.store, tx -> Result<(), HouseError> => {
            let effects = self.treasury.disconnect_block(tx, self.asset, at).await?;
            if let Some(hosting) = &self.hosting {
                hosting.block_gone(tx, self.asset, &at.hash).await?;
            }
            self.market.chain_cut(tx, &self.lane, self.asset, at.height).await?;
            for hash in effects.orphaned {
                self.market.reward_orphaned(tx, &self.lane, &hash).await?;
            }
            Ok(())
        })
    }
}

#[async_trait]
impl ChainSink for HouseSink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut tx = self.store.read().await.map_err(SinkError::new)?;
        self.treasury.known_blocks(&mut tx, self.asset, limit).await.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        self.connected(block).await.map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.disconnected(block).await.map_err(SinkError::new)
    }
}
