//! The newest blocks of the chains that lanes mine, as their followers tell of them: what fees, network
//! difficulty and hashprice are computed from.
//!
//! Promises: what is here is what the follower's transaction committed, no more and no less; a lane
//! keeps [`KEPT_BLOCKS`] blocks of each of its assets, and those that FPPS still needs. It is a mirror of public data and no part of the
//! books: blocks that leave the chain are deleted.
//!
//! What this module must not know: how a chain sets its difficulty.

use crate::scheme::FEE_WINDOW_MAX;
use crate::{Market, Result, scheme_sql, sql};
use gruve_store::{Row, Tx, params};
use gruve_units::{Asset, Hashes, LaneId};

/// Blocks kept of a chain: the longest retarget period with the block before it, and the longest window
/// of fees, are 2,016 blocks; and as many again for what is asked of earlier heights.
pub const KEPT_BLOCKS: u64 = 4_096;

/// Blocks kept at most where FPPS waits for some of them: three months of Dogecoin's, some 20 megabytes.
const KEPT_FOR_FPPS_MAX: u64 = 130_000;

/// A block of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// Its height.
    pub height: u64,
    /// Its hash, internal byte order.
    pub hash: [u8; 32],
    /// Its header's time, seconds.
    pub time: u64,
    /// Its compact target, on chains whose headers have one.
    pub bits: Option<u32>,
    /// Hashes that it took on average; on chains whose headers have a difficulty, exactly that.
    pub work: Hashes,
    /// Whether it names uncles.
    pub names_uncles: bool,
    /// New coins, minor units.
    pub subsidy: i64,
    /// What its transactions paid, minor units.
    pub fees: i64,
}

impl Market {
    /// A chain of a lane has one block more; what stands at its height or above is replaced.
    ///
    /// # Errors
    /// The database's.
    pub async fn chain_block(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
        block: &ChainBlock,
    ) -> Result<()> {
        self.chain_cut(tx, lane, asset, block.height).await?;
        let row = params![
            lane.clone(),
            asset,
            block.height,
            block.hash,
            block.time,
            block.bits,
            block.work,
            block.names_uncles,
            block.subsidy,
            block.fees
        ];
        tx.execute(sql::INSERT_CHAIN_BLOCK, &row).await?;
        let oldest = oldest_kept(tx, lane, asset, block.height).await?;
        tx.execute(sql::TRIM_CHAIN, &params![lane.clone(), asset, oldest]).await?;
        Ok(())
    }

    /// The blocks of a chain from `height` on have left it.
    ///
    /// # Errors
    /// The database's.
    pub async fn chain_cut(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
        height: u64,
    ) -> Result<()> {
        tx.execute(sql::CUT_CHAIN, &params![lane.clone(), asset, height]).await?;
        Ok(())
    }

    /// The newest `limit` blocks of a chain, newest first; at most [`KEPT_BLOCKS`].
    ///
    /// # Errors
    /// The database's.
    pub async fn chain_blocks(
        &self,
        lane: &LaneId,
        asset: Asset,
        limit: u64,
    ) -> Result<Vec<ChainBlock>> {
        let mut tx = self.store().read().await?;
        let given = params![lane.clone(), asset, limit.min(KEPT_BLOCKS)];
        let rows = tx.fetch_all(sql::CHAIN_BLOCKS, &given).await?;
        tx.rollback().await?;
        rows.iter().map(chain_block).collect()
    }
}

/// Up to which height blocks are forgotten. After an outage the follower may be thousands of blocks ahead before an
/// epoch is closed: those that FPPS has still to price an epoch's work by stay until then.
async fn oldest_kept(tx: &mut Tx, lane: &LaneId, asset: Asset, tip: u64) -> Result<u64> {
    let usual = tip.saturating_sub(KEPT_BLOCKS);
    let row = tx.fetch_one(scheme_sql::OLDEST_OPEN_FPPS, &params![lane.clone(), asset]).await?;
    let Some(open) = row.get::<Option<u64>>("height")? else { return Ok(usual) };
    let wanted = open.saturating_sub(FEE_WINDOW_MAX + 1);
    Ok(usual.min(wanted).max(tip.saturating_sub(KEPT_FOR_FPPS_MAX)))
}

fn chain_block(row: &Row) -> Result<ChainBlock> {
    Ok(ChainBlock {
        height: row.get("height")?,
        hash: row.get("hash")?,
        time: row.get("time")?,
        bits: row.get("bits")?,
        work: row.get("work")?,
        names_uncles: row.get("uncles")?,
        subsidy: row.get("subsidy")?,
        fees: row.get("fees")?,
    })
}
