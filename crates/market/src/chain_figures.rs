//! What a block of a chain is worth at a height: its subsidy and the capped average of the fees before it,
//! from the blocks of the public chain that the lane's follower has told of ([`crate::ChainBlock`]).
//!
//! A figure is taken when its height lies deep enough under the tip; before that, and where a block of its
//! window is missing, there is none.

use crate::book::Book;
use crate::scheme::FppsAsset;
use crate::scheme_sql as sql;
use crate::{MarketError, Result};
use gruve_store::{Tx, params};

/// What a block is worth at a height, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) subsidy: i64,
    /// `⌊Σ min(fees, cap) / blocks⌋` over the window before the height.
    pub(crate) fee_average: i64,
}

impl Figure {
    pub(crate) fn worth(self) -> Result<i64> {
        let sum = self.subsidy.checked_add(self.fee_average);
        sum.ok_or(MarketError::Overflow("what a block is worth"))
    }
}

/// The newest height of a chain.
pub(crate) async fn tip(tx: &mut Tx, book: Book<'_>) -> Result<Option<u64>> {
    let row = tx.fetch_one(sql::CHAIN_TIP, &params![book.id(), book.asset]).await?;
    Ok(row.get("height")?)
}

/// The figure at a height; `None` while it is not known.
pub(crate) async fn figure(
    tx: &mut Tx,
    book: Book<'_>,
    height: u64,
    terms: &FppsAsset,
) -> Result<Option<Figure>> {
    let deep = height.saturating_add(terms.depth_blocks);
    if tip(tx, book).await?.is_none_or(|tip| tip < deep) {
        return Ok(None);
    }
    at(tx, book, height, terms).await
}

/// The figure at a height that may be the tip's.
async fn at(tx: &mut Tx, book: Book<'_>, height: u64, terms: &FppsAsset) -> Result<Option<Figure>> {
    let given = params![book.id(), book.asset, height];
    let Some(block) = tx.fetch_optional(sql::SUBSIDY_AT, &given).await? else { return Ok(None) };
    let subsidy = block.get("subsidy")?;
    Ok(fee_average(tx, book, height, terms).await?.ok().map(|a| Figure { subsidy, fee_average: a }))
}

/// The average before a height, or how many blocks of the window are known and how many it has. The first block
/// of a chain pays no fees and is not counted.
async fn fee_average(
    tx: &mut Tx,
    book: Book<'_>,
    height: u64,
    terms: &FppsAsset,
) -> Result<std::result::Result<i64, Known>> {
    let from = height.saturating_sub(terms.fee_window_blocks).max(1);
    let wanted = height.saturating_sub(from);
    let given = params![book.id(), book.asset, from, height, terms.fee_cap_minor];
    let row = tx.fetch_one(sql::FEES_BETWEEN, &given).await?;
    let (known, fees): (u64, i64) = (row.get("n")?, row.get("fees")?);
    if known != wanted {
        return Ok(Err(Known { known, wanted }));
    }
    Ok(Ok(fees / i64::try_from(wanted.max(1)).unwrap_or(i64::MAX)))
}

/// How far a window of fees is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) known: u64,
    pub(crate) wanted: u64,
}

/// What the tip's block is worth, when its whole window is known.
pub(crate) async fn newest(
    tx: &mut Tx,
    book: Book<'_>,
    terms: &FppsAsset,
) -> Result<std::result::Result<Figure, Known>> {
    let nothing = Known { known: 0, wanted: terms.fee_window_blocks };
    let Some(tip) = tip(tx, book).await? else { return Ok(Err(nothing)) };
    if let Some(figure) = at(tx, book, tip, terms).await? {
        return Ok(Ok(figure));
    }
    Ok(fee_average(tx, book, tip, terms).await?.map_or_else(Err, |_| Err(nothing)))
}
