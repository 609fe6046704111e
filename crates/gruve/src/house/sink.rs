//! What a block means to the house: coins for the treasury, rewards for the market, in one
//! transaction.

use super::error::HouseError;
use super::in_block::house_fee;
use super::network;
use async_trait::async_trait;
use gruve_chain::{
    BlockFacts, BlockRef, ChainParams, ChainSink, FollowedBlock, LeanOutput, SinkError,
    address_for_script,
};
use gruve_hosting::{BlockFee, BlockPart, Hosting, OwnBlock};
use gruve_market::{Market, RewardSeen};
use gruve_proof::places::parts_of;
use gruve_store::{Store, Tx, transact};
use gruve_treasury::Treasury;
use gruve_units::{Amount, Asset, Bps, LaneId, Timestamp};

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
            let house = effects.rewards.iter().map(|reward| reward.value.minor).sum();
            if self.pays_owners(tx, at, house).await? {
                self.market.paid_beside(tx, &self.lane, self.asset, &at.block.hash).await?;
            }
            for reward in effects.rewards {
                let seen = RewardSeen {
                    block_hash: reward.block_hash,
                    height: reward.height,
                    amount: reward.value,
                    block_time: reward.block_time,
                };
                self.market.reward_seen(tx, &self.lane, seen).await?;
            }
            if let Some(facts) = BlockFacts::of(&self.params, at) {
                let block = network::stored(&facts);
                self.market.chain_block(tx, &self.lane, self.asset, &block).await?;
            }
            Ok(())
        })
    }

    /// Keeps what a block's coinbase pays to owners; whether it pays them, or others beside the house.
    async fn pays_owners(
        &self,
        tx: &mut Tx,
        at: &FollowedBlock,
        house: i64,
    ) -> Result<bool, HouseError> {
        let Some(hosting) = &self.hosting else { return Ok(false) };
        let coinbase = at.block.txs.iter().filter(|t| t.coinbase).flat_map(|t| &t.outputs);
        // Below all coins that there are.
        let whole: i64 = coinbase.map(|output| output.value).fold(0, i64::saturating_add);
        // All of it is the house's: an owner who set an address of the house's own is paid nothing.
        if house == whole {
            return Ok(false);
        }
        let fee = self.fee_of(whole, house);
        let mut pays = house > 0 && whole > house;
        for paid in self.paid_to_owners(at, (whole, house), fee) {
            pays |= hosting.block_paid(tx, &paid).await?;
        }
        Ok(pays)
    }

    /// The published fee by which the house gets this part of a block: of the lists that are kept, or the lane's own where the block
    /// is older than these.
    fn fee_of(&self, whole: i64, house: i64) -> Option<BlockFee> {
        let (whole, house) = (u64::try_from(whole).ok()?, u64::try_from(house).ok()?);
        let mut fees = self.market.stamp_source().house_fees(&self.lane);
        let bps = self.market.lane(&self.lane).map_or(Bps::ZERO, |lane| lane.outside_fee_bps);
        fees.push(house_fee(&self.params, bps));
        let fee = fees.into_iter().find(|fee| fee.of(whole) == house)?;
        Some(BlockFee { bps: fee.bps, least: i64::try_from(fee.least).ok()? })
    }

    /// What a block's coinbase pays, by address; whose they are, hosting knows.
    fn paid_to_owners(
        &self,
        at: &FollowedBlock,
        (whole, house): (i64, i64),
        fee: Option<BlockFee>,
    ) -> Vec<OwnBlock> {
        let outputs = || at.block.txs.iter().filter(|t| t.coinbase).flat_map(|t| &t.outputs);
        // Partners share what the house leaves, in the order of their outputs.
        let ours = self.treasury.coinbase_script(self.asset).ok();
        let is_own = |o: &LeanOutput| o.value > 0 && ours.as_ref() != Some(&o.script);
        let own: Vec<u64> =
            outputs().filter(|o| is_own(o)).filter_map(|o| u64::try_from(o.value).ok()).collect();
        let left = own.iter().fold(0_u64, |sum, v| sum.saturating_add(*v));
        let parts = parts_of(&own).filter(|_| i64::try_from(left) == Ok(whole - house));
        let parts = parts.map(|all| all.into_iter().map(Bps::get).collect::<Vec<u16>>());
        let mut number = 0_u16;
        let outputs = outputs();
        let paid = outputs.zip(0u32..).filter_map(|(output, vout)| {
            let minor = Some(output.value).filter(|minor| *minor > 0)?;
            let is_own = is_own(output);
            let part = parts.clone().filter(|_| is_own);
            let part = part.map(|others_bps| BlockPart { number, others_bps });
            number = number.saturating_add(u16::from(is_own));
            Some(OwnBlock {
                house,
                whole,
                part,
                fee,
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
            self.market.beside_orphaned(tx, &self.lane, self.asset, &at.hash).await?;
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

#[cfg(test)]
mod tests;
