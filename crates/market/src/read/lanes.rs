//! What of lanes is shown to everybody: their figures, found blocks, closed epochs.

use super::ROWS_MAX;
use crate::book::Book;
use crate::close::LaneState;
use crate::sale::Capacity;
use crate::{
    AuxStats, BlockPlace, BlockState, BlockView, EpochView, LaneConfig, LaneStats, Market, Result,
    sql,
};
use gruve_store::{Row, Tx, params};
use gruve_units::{Amount, Asset, Duration, EpochNumber, Hashes, Hashrate, LaneId, Timestamp};

impl Market {
    /// All lanes in numbers.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_stats(&self) -> Result<Vec<LaneStats>> {
        let mut tx = self.store().read().await?;
        let mut all = Vec::new();
        for lane in &self.config().lanes {
            all.push(stats(&mut tx, lane).await?);
        }
        tx.rollback().await?;
        Ok(all)
    }

    /// Found blocks of all chains of a lane, the newest first, `limit` at most (and [`ROWS_MAX`]).
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn blocks(&self, lane: &LaneId, limit: u32) -> Result<Vec<BlockView>> {
        let lane = self.lane(lane)?;
        let limit = limit.min(ROWS_MAX);
        let mut tx = self.store().read().await?;
        let given = params![lane.lane.clone(), limit];
        let mut blocks = Vec::new();
        for row in tx.fetch_all(sql::FOUND_BLOCKS, &given).await? {
            blocks.push(found_block(&row, lane)?);
        }
        let since = since(&blocks, limit);
        let given = params![lane.lane.clone(), limit, since];
        for row in tx.fetch_all(sql::OTHER_BLOCKS, &given).await? {
            blocks.push(other_block(&row, lane)?);
        }
        tx.rollback().await?;
        // Heights of different chains say nothing of each other.
        blocks.sort_by_key(|b| std::cmp::Reverse((b.at, b.height)));
        blocks.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(blocks)
    }

    /// Closed epochs of a lane, newest first, `limit` at most (and [`ROWS_MAX`]).
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn epochs(&self, lane: &LaneId, limit: u32) -> Result<Vec<EpochView>> {
        let lane = self.lane(lane)?;
        let mut tx = self.store().read().await?;
        let given = params![lane.lane.clone(), limit.min(ROWS_MAX)];
        let rows = tx.fetch_all(sql::EPOCHS, &given).await?;
        tx.rollback().await?;
        rows.iter().map(|row| epoch_view(row, lane)).collect()
    }

    /// A page of a lane's blocks: those behind one of them, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn blocks_before(
        &self,
        lane: &LaneId,
        before: Option<BlockPlace>,
        limit: u32,
    ) -> Result<Vec<BlockView>> {
        let lane = self.lane(lane)?;
        let p = before.unwrap_or(BlockPlace::FIRST);
        let limit = limit.min(ROWS_MAX);
        let given = params![lane.lane.clone(), p.at, p.height, p.hash, limit];
        let mut tx = self.store().read().await?;
        let mut blocks = Vec::new();
        for row in tx.fetch_all(sql::FOUND_BLOCKS_BEFORE, &given).await? {
            blocks.push(found_block(&row, lane)?);
        }
        let since = since(&blocks, limit);
        let given = params![lane.lane.clone(), p.at, p.height, p.hash, limit, since];
        for row in tx.fetch_all(sql::OTHER_BLOCKS_BEFORE, &given).await? {
            blocks.push(other_block(&row, lane)?);
        }
        tx.rollback().await?;
        blocks.sort_by_key(|b| std::cmp::Reverse(b.place()));
        blocks.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(blocks)
    }

    /// A page of a lane's closed epochs: those that began before an instant, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn epochs_before(
        &self,
        lane: &LaneId,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<EpochView>> {
        let lane = self.lane(lane)?;
        let length = i64::try_from(lane.epoch_rule.length_us).unwrap_or(i64::MAX).max(1);
        // The first epoch that does not begin before it.
        let bound = before.map_or(i64::MAX, |t| {
            t.0.div_euclid(length).saturating_add(i64::from(t.0.rem_euclid(length) != 0))
        });
        let mut tx = self.store().read().await?;
        let given = params![lane.lane.clone(), bound, limit.min(ROWS_MAX)];
        let rows = tx.fetch_all(sql::EPOCHS_BEFORE, &given).await?;
        tx.rollback().await?;
        rows.iter().map(|row| epoch_view(row, lane)).collect()
    }
}

async fn stats(tx: &mut Tx, lane: &LaneConfig) -> Result<LaneStats> {
    let capacity = Capacity::read(tx, lane).await?;
    let state = LaneState::read(tx, &lane.lane).await?;
    let mut chains = Vec::new();
    for book in lane.books() {
        chains.push(chain_stats(tx, book).await?);
    }
    let own = chains.remove(0);
    Ok(LaneStats {
        lane: lane.lane.clone(),
        asset: lane.asset,
        algorithm: lane.algorithm,
        epoch_us: lane.epoch_rule.length_us,
        hashrate: capacity.hashrate,
        house_hashrate: capacity.house,
        proven_capacity: capacity.proven,
        sold: capacity.sold,
        available: capacity.available(),
        oversold: capacity.oversold(),
        last_closed: state.closed,
        network_bits: own.network_bits,
        height: own.height,
        shares: state.shares,
        blocks_found: own.blocks_found,
        aux: chains,
    })
}

/// From when on other blocks are asked for: where as many were found as fit, those before the oldest do not.
fn since(found: &[BlockView], limit: u32) -> Timestamp {
    let is_full = u32::try_from(found.len()).is_ok_and(|n| n >= limit);
    found.last().filter(|_| is_full).map_or(Timestamp(i64::MIN), |oldest| oldest.at)
}

/// One chain of a lane.
async fn chain_stats(tx: &mut Tx, book: Book<'_>) -> Result<AuxStats> {
    let key = params![book.id(), book.asset];
    let (network_bits, height) = match tx.fetch_optional(sql::LAST_JOB, &key).await? {
        Some(row) => (Some(row.get("network_bits")?), row.get("height")?),
        None => (None, None),
    };
    let blocks_found = tx.fetch_one(sql::COUNT_BLOCKS, &key).await?.get("n")?;
    Ok(AuxStats { asset: book.asset, network_bits, height, blocks_found })
}

/// The asset of a block's row, and after how many blocks its reward may be spent.
fn chain_of(row: &Row, lane: &LaneConfig) -> Result<(Asset, u64)> {
    let asset: Asset = row.get("asset")?;
    let book = lane.books().find(|b| b.asset == asset);
    // An asset that the lane earned before the configuration changed.
    Ok((asset, book.map_or(lane.coinbase_maturity, |b| b.maturity)))
}

fn reward_state(reward: &str) -> BlockState {
    match reward {
        "maturing" => BlockState::Maturing,
        "mature" => BlockState::Mature,
        _ => BlockState::Orphaned,
    }
}

/// How a block that the share log has stands, and which other has its place in the chain.
///
/// A block that never was in the chain has no reward: it lost to a sibling as soon as another stands at its height, and for good
/// where the chain's newest blocks, which are kept, are all above it.
fn found_state(
    row: &Row,
    block_hash: &[u8; 32],
    height: u64,
) -> Result<(BlockState, Option<[u8; 32]>)> {
    let other = row.get::<Option<[u8; 32]>>("stands")?.filter(|stands| stands != block_hash);
    if let Some(reward) = row.get::<Option<String>>("state")? {
        let state = reward_state(&reward);
        return Ok((state, other.filter(|_| state == BlockState::Orphaned)));
    }
    if row.get::<Option<[u8; 32]>>("beside")?.is_some() {
        return Ok((BlockState::PaidOwner, None));
    }
    if row.get::<Option<bool>>("accepted")? == Some(false) {
        return Ok((BlockState::Refused, None));
    }
    let is_below = row.get::<Option<u64>>("kept_from")?.is_some_and(|from| height < from);
    let state = if is_below || other.is_some() { BlockState::Orphaned } else { BlockState::Found };
    Ok((state, other))
}

fn found_block(row: &Row, lane: &LaneConfig) -> Result<BlockView> {
    let minor: Option<i64> = row.get("minor")?;
    let height: u64 = row.get("height")?;
    let (asset, maturity) = chain_of(row, lane)?;
    let block_hash = row.get("block_hash")?;
    let (state, lost_to) = found_state(row, &block_hash, height)?;
    Ok(BlockView {
        lane: lane.lane.clone(),
        asset,
        block_hash,
        height,
        epoch: row.get("epoch")?,
        at: row.get("found_at")?,
        state,
        lost_to,
        reward: minor.map(|m| Amount::new(asset, m)),
        matures_at: height.saturating_add(maturity),
    })
}

fn other_block(row: &Row, lane: &LaneConfig) -> Result<BlockView> {
    let height: u64 = row.get("height")?;
    let at = row.get("block_time")?;
    let epoch: Option<EpochNumber> = row.get("window_epoch")?;
    let (asset, maturity) = chain_of(row, lane)?;
    Ok(BlockView {
        lane: lane.lane.clone(),
        asset,
        block_hash: row.get("block_hash")?,
        height,
        epoch: epoch.unwrap_or_else(|| lane.epoch_rule.at(at)),
        at,
        state: reward_state(&row.get::<String>("state")?),
        lost_to: None,
        reward: Some(Amount::new(asset, row.get("minor")?)),
        matures_at: height.saturating_add(maturity),
    })
}

fn epoch_view(row: &Row, lane: &LaneConfig) -> Result<EpochView> {
    let epoch: EpochNumber = row.get("epoch")?;
    let (house_work, other_work): (Hashes, Hashes) =
        (row.get("house_work")?, row.get("other_work")?);
    let all = house_work.checked_add(other_work).unwrap_or(house_work);
    let length = Duration::from_micros(lane.epoch_rule.length_us);
    Ok(EpochView {
        lane: lane.lane.clone(),
        epoch,
        start: lane.epoch_rule.start(epoch),
        closed_at: row.get("closed_at")?,
        skipped: row.get("skipped")?,
        shares: row.get("shares")?,
        house_work,
        other_work,
        allocated: row.get("allocated")?,
        surplus: row.get("surplus")?,
        hashrate: Hashrate::of(all, length),
        share_root: row.get("share_root")?,
        checkpoint: row.get("checkpoint")?,
    })
}
