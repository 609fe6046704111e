//! What was settled, and what is not yet.

use super::ROWS_MAX;
use crate::book::Book;
use crate::metered::USAGE_ROWS_MAX;
use crate::standing::StandingRow;
use crate::{Beneficiary, Earnings, LaneConfig, MarketError, Result, SettlementLine, sql};
use gruve_store::{Row, Tx, params};
use gruve_units::{Accrual, Amount, Asset, Timestamp};
use std::cmp::Reverse;

/// What a beneficiary has of one asset.
pub(crate) fn earned(row: &StandingRow, book: Book<'_>) -> Result<Earnings> {
    let amount = |minor| Amount::new(book.asset, minor);
    let open = unsettled(row.accrued, row.standing.settled);
    let (maturing, _) = open.split().map_err(|_| MarketError::Overflow("earnings"))?;
    Ok(Earnings {
        asset: book.asset,
        earned: row.accrued,
        settled: amount(row.standing.settled),
        credited: amount(row.standing.net),
        maturing: amount(maturing),
    })
}

/// The settlements of all assets, newest first; of one time, the lane's own asset first.
pub(crate) async fn settlement_lines(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    limit: u32,
) -> Result<Vec<SettlementLine>> {
    let mut lines = Vec::new();
    for book in lane.books() {
        lines.extend(settlements_of(tx, book, who, limit.min(ROWS_MAX)).await?);
    }
    lines.sort_by_key(|l| Reverse((l.at, l.to_epoch)));
    lines.truncate(usize::try_from(limit.min(ROWS_MAX)).unwrap_or(usize::MAX));
    Ok(lines)
}

async fn settlements_of(
    tx: &mut Tx,
    book: Book<'_>,
    who: Beneficiary,
    limit: u32,
) -> Result<Vec<SettlementLine>> {
    let (kind, id) = who.columns();
    let given = params![book.id(), book.asset, kind, id, limit];
    let rows = tx.fetch_all(sql::SETTLEMENTS, &given).await?;
    rows.iter().map(|row| line(row, book.asset)).collect()
}

/// Where a settlement stands among those of its earner: by time, then by asset in the lane's order, then the later
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementPlace {
    /// When it was made.
    pub at: Timestamp,
    /// Which of the lane's assets.
    pub book: i64,
    /// Its number in that asset.
    pub number: i64,
}

/// A page of the settlements of all assets behind a place.
pub(crate) async fn settlements_before(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    before: Option<SettlementPlace>,
    limit: u32,
) -> Result<Vec<(SettlementPlace, SettlementLine)>> {
    let (kind, id) = who.columns();
    let most = limit.min(ROWS_MAX);
    let mut lines = Vec::new();
    for (at_book, book) in (0_i64..).zip(lane.books()) {
        // Of the same time: an asset before the place's has been told, one behind it has not.
        let (at, number) = match before {
            None => (Timestamp(i64::MAX), i64::MAX),
            Some(p) if p.book == at_book => (p.at, p.number),
            Some(p) => (p.at, if p.book < at_book { i64::MAX } else { i64::MIN }),
        };
        let given = params![book.id(), book.asset, kind, id, at, number, most];
        for row in tx.fetch_all(sql::SETTLEMENTS_BEFORE, &given).await? {
            let place =
                SettlementPlace { at: row.get("at")?, book: at_book, number: row.get("number")? };
            lines.push((place, line(&row, book.asset)?));
        }
    }
    let newest = |place: &SettlementPlace| (Reverse(place.at), place.book, Reverse(place.number));
    lines.sort_by_key(|(place, _)| newest(place));
    lines.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(lines)
}

/// The settlements of all assets between two instants (the later one excluded), the newest of each asset.
pub(crate) async fn settled_between(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<SettlementLine>> {
    let (kind, id) = who.columns();
    let mut lines = Vec::new();
    for book in lane.books() {
        let given = params![book.id(), book.asset, kind, id, from, until, USAGE_ROWS_MAX];
        for row in tx.fetch_all(sql::SETTLEMENTS_BETWEEN, &given).await? {
            lines.push(line(&row, book.asset)?);
        }
    }
    Ok(lines)
}

fn line(row: &Row, asset: Asset) -> Result<SettlementLine> {
    let amount = |column| Ok::<_, MarketError>(Amount::new(asset, row.get(column)?));
    Ok(SettlementLine {
        from_epoch: row.get("from_epoch")?,
        to_epoch: row.get("to_epoch")?,
        gross: amount("gross_minor")?,
        fee: amount("fee_minor")?,
        maintenance: amount("maintenance_minor")?,
        waived: amount("waived_minor")?,
        net: amount("net_minor")?,
        at: row.get("at")?,
    })
}

/// What is accrued and not settled.
pub(crate) fn unsettled(accrued: Accrual, settled: i64) -> Accrual {
    let settled = Accrual::from_minor(settled).unwrap_or_default();
    accrued.checked_sub(settled).unwrap_or_default()
}
