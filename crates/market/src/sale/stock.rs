//! What of a lane may be sold, by the books of its closed epochs: the row that sales race for.

use crate::capacity::{WindowWork, for_sale, proven_rate};
use crate::{LaneConfig, MarketError, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{Duration, EpochNumber, Hashes, HashesSum, Hashrate, LaneId};
use ruint::aliases::U256;

/// A lane's hashrate by the books of its closed epochs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// All work over the window.
    pub(crate) hashrate: Hashrate,
    /// The house's.
    pub(crate) house: Hashrate,
    /// What of the house's is proven.
    pub(crate) proven: Hashrate,
    /// What of that may be sold at all.
    pub(crate) for_sale: Hashrate,
    /// What is sold or held.
    pub(crate) sold: Hashrate,
    version: i64,
}

impl Capacity {
    /// What is sold and not proven any more.
    pub(crate) fn oversold(&self) -> Hashrate {
        Hashrate(self.sold.0.saturating_sub(self.for_sale.0))
    }

    /// What of it is left.
    pub(crate) fn available(&self) -> Hashrate {
        Hashrate(self.for_sale.0.saturating_sub(self.sold.0))
    }

    /// Reads the window of closed epochs and the row that sales race for.
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneConfig) -> Result<Capacity> {
        let row = tx.fetch_one(sql::CAPACITY, &params![lane.lane.clone()]).await?;
        let (sold, version) = (row.get("sold")?, row.get("version")?);
        let row = tx.fetch_one(sql::LANE, &params![lane.lane.clone()]).await?;
        let closed: Option<EpochNumber> = row.get("closed_epoch")?;
        let (mut window, mut other) = (WindowWork::default(), Hashes::ZERO);
        if let Some(last) = closed {
            let before = i64::try_from(last.0).unwrap_or(i64::MAX)
                - i64::try_from(lane.capacity_window_epochs).unwrap_or(i64::MAX);
            let given = params![lane.lane.clone(), before, last];
            for row in tx.fetch_all(sql::WINDOW_WORK, &given).await? {
                let sum = [window.work, row.get("house_work")?].into_iter().checked_sum();
                window.work = sum.ok_or(MarketError::Overflow("the work of a window"))?;
                let squares = U256::from_be_bytes(row.get::<[u8; 32]>("house_squares")?);
                window.squares = window.squares.saturating_add(squares);
                let sum = [other, row.get("other_work")?].into_iter().checked_sum();
                other = sum.ok_or(MarketError::Overflow("the work of a window"))?;
            }
        }
        // Epochs that are missing have no work but their time counts.
        let micros = lane.epoch_rule.length_us.saturating_mul(lane.capacity_window_epochs);
        let length = Duration::from_micros(micros);
        let proven = proven_rate(window, lane.capacity_confidence_tenths, length);
        let all = window.work.checked_add(other).unwrap_or(window.work);
        Ok(Capacity {
            hashrate: Hashrate::of(all, length),
            house: Hashrate::of(window.work, length),
            proven,
            for_sale: for_sale(proven, lane.capacity_reserve_bps),
            sold,
            version,
        })
    }

    /// Puts another rate in the place of what is sold, unless somebody else did before.
    pub(crate) async fn swap(&self, tx: &mut Tx, lane: &LaneId, sold: Hashrate) -> Result<()> {
        let given = params![lane.clone(), sold, self.version];
        match tx.execute(sql::SWAP_CAPACITY, &given).await? {
            1 => Ok(()),
            _ => Err(MarketError::CapacityMoved),
        }
    }
}

/// Waits, as [`Capacity::swap`] does, for a close that is under way, which would be undone by what a sale without
/// capacity of its own changes: the first write of such a one.
pub(crate) async fn touch(tx: &mut Tx, lane: &LaneId) -> Result<()> {
    tx.execute(sql::TOUCH_CAPACITY, &params![lane.clone()]).await?;
    Ok(())
}

/// Gives back the capacity that a contract held.
pub(crate) async fn release(tx: &mut Tx, lane: &LaneConfig, hashrate: Hashrate) -> Result<()> {
    let capacity = Capacity::read(tx, lane).await?;
    let left = capacity.sold.0.checked_sub(hashrate.0).ok_or_else(|| {
        MarketError::Broken(format!("lane {} had less sold than a contract held", lane.lane))
    })?;
    capacity.swap(tx, &lane.lane, Hashrate(left)).await
}
