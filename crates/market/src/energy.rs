//! What the operator may keep of a pause's work for its energy: what was measured, at what its sites pay, up to the plan's figure.
//!
//! | measured and stated | kept of a TH·day |
//! |---|---|
//! | less than the plan's figure | what was measured |
//! | more | the plan's figure: it is what the customer agreed to |
//! | nothing | nothing: what is not measured is not charged, here as on a bill |
//!
//! A figure in a plan alone would let the operator keep what paused work earns by writing a high one. Who measures must not be
//! known here.

use crate::settle::TH_DAY;
use crate::{LaneConfig, Market, Result};
use async_trait::async_trait;
use gruve_store::Tx;
use gruve_units::{Amount, Asset, EpochNumber, Hashes, LaneId};
use std::sync::Arc;

/// Knows what work cost in electricity.
#[async_trait]
pub trait EnergyCosts: Send + Sync {
    /// What so much house work of an epoch cost, by measurement and by what sites pay, asset by asset; nothing where
    /// nothing was measured.
    async fn of(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        epoch: EpochNumber,
        work: Hashes,
    ) -> Result<Vec<Amount>>;
}

impl Market {
    /// Has the cost of energy asked of `who`, for ever; the first is the only one.
    pub fn ask_energy_of(&self, who: Arc<dyn EnergyCosts>) {
        // Wiring, done once before the accountant runs.
        let _ = self.inner.energy.set(who);
    }

    /// Millionths of a dollar that a TH·day of an epoch's work cost in energy. What is owed is gone through epoch by epoch: the
    /// last one's cost is looked up once, however many were paused in it.
    pub(crate) async fn energy_micro(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        last: &mut Option<(EpochNumber, u64)>,
    ) -> Result<u64> {
        if let Some((of, cost)) = *last
            && of == epoch
        {
            return Ok(cost);
        }
        let Some(energy) = self.inner.energy.get() else { return Ok(0) };
        let mut sum = 0_u128;
        for cost in energy.of(tx, &lane.lane, epoch, Hashes(TH_DAY)).await? {
            let minor = u128::try_from(cost.minor).unwrap_or(0);
            let micro = if cost.asset == Asset::Usd {
                minor
            } else {
                // Without a price of that instant it is as if nothing were stated.
                let instant = lane.epoch_rule.end(epoch);
                let price = self.price_at(tx, cost.asset, instant).await?.unwrap_or(0);
                let unit = u128::try_from(cost.asset.unit()).unwrap_or(1);
                minor.saturating_mul(u128::try_from(price).unwrap_or(0)) / unit
            };
            sum = sum.saturating_add(micro);
        }
        let cost = u64::try_from(sum).unwrap_or(u64::MAX);
        *last = Some((epoch, cost));
        Ok(cost)
    }
}
