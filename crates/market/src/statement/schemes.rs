//! Lines of FPPS and SOLO.

use super::Subject;
use super::rows::{Place, missing, read};
use crate::pages::Pages;
use crate::reward::{beneficiary, from_columns};
use crate::{Beneficiary, MarketError, Result, scheme_sql};
use gruve_statement::document::{
    AccrualLine, Big, FoundLine, Limited, Line, PricedJob, PricedLine,
};
use gruve_statement::terms::{FppsFigures, SchemeRule};
use gruve_store::{Tx, params, statements};
use gruve_units::{Asset, EpochNumber, Hashes};
use std::collections::BTreeMap;

/// Lines of FPPS read at once.
const AT_ONCE: u32 = 5_000;
/// Rows of one question at most.
const ROWS_MAX: u32 = 99_999;

statements! {
    PRICED_OF = "SELECT l.epoch AS epoch, l.work AS work, l.minor AS minor,
        l.fraction_high AS fraction_high, l.fraction_low AS fraction_low,
        p.priced_epoch AS priced_epoch, e.house_work AS house_work FROM market_fpps_lines l
        JOIN market_fpps_epochs e ON e.lane = l.lane AND e.asset = l.asset AND e.epoch = l.epoch
        LEFT JOIN market_fpps_priced p ON p.lane = l.lane AND p.asset = l.asset
        AND p.epoch = l.epoch WHERE l.contract = $1 AND l.asset = $2 AND l.epoch > $3
        AND l.minor IS NOT NULL ORDER BY l.epoch LIMIT $4";
    JOBS_OF = "SELECT w.epoch AS epoch, w.height AS height, w.bits AS bits, w.work AS work,
        p.subsidy AS subsidy, p.fee_average AS fee_average FROM market_fpps_work w
        JOIN market_fpps_prices p ON p.lane = w.lane AND p.asset = w.asset AND p.epoch = w.epoch
        AND p.height = w.height AND p.window_blocks = $5 AND p.cap_minor = $6
        WHERE w.lane = $1 AND w.asset = $2 AND w.epoch >= $3 AND w.epoch <= $4
        ORDER BY w.epoch, w.height, w.bits LIMIT $7";
    LIMITS_OF = "SELECT asset, epoch, due_minor, there_minor FROM market_fpps_limits
        WHERE lane = $1 AND epoch >= $2 ORDER BY epoch, asset LIMIT $3";
}

/// What FPPS paid for each epoch's work, by the closing that priced it.
pub(super) async fn priced(
    tx: &mut Tx,
    subject: &Subject,
    all: &mut Vec<(Place, Line)>,
) -> Result<()> {
    let SchemeRule::Fpps { assets, .. } = &subject.terms.rules.scheme else { return Ok(()) };
    for figures in assets {
        let mut after = -1_i64;
        loop {
            let given = params![subject.id, figures.asset, after, AT_ONCE];
            let rows = tx.fetch_all(PRICED_OF, &given).await?;
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { break };
            let span = (first.get("epoch")?, last.get("epoch")?);
            after = last.get("epoch")?;
            let mut jobs = jobs(tx, subject, figures, span).await?;
            for row in &rows {
                let (minor, high, low) =
                    (row.get("minor")?, row.get("fraction_high")?, row.get("fraction_low")?);
                let earned = from_columns(minor, high, low);
                let of_epoch: EpochNumber = row.get("epoch")?;
                let line = PricedLine {
                    epoch: row.get::<Option<u64>>("priced_epoch")?.ok_or_else(missing)?,
                    of_epoch: of_epoch.0,
                    asset: figures.asset,
                    delivered: row.get("work")?,
                    house_work: row.get("house_work")?,
                    jobs: jobs.remove(&of_epoch).unwrap_or_default(),
                    earned: Big(earned.ok_or_else(missing)?.0),
                };
                all.push(((line.epoch, 2, of_epoch.0), Line::Priced(line)));
            }
            if rows.len() < AT_ONCE as usize {
                break;
            }
        }
    }
    Ok(())
}

async fn jobs(
    tx: &mut Tx,
    subject: &Subject,
    figures: &FppsFigures,
    (from, to): (EpochNumber, EpochNumber),
) -> Result<BTreeMap<EpochNumber, Vec<PricedJob>>> {
    let (window, cap) = (figures.fee_window_blocks, figures.fee_cap_minor);
    let lane = subject.lane.clone();
    let given = params![lane, figures.asset, from, to, window, cap, ROWS_MAX];
    let mut all: BTreeMap<EpochNumber, Vec<PricedJob>> = BTreeMap::new();
    for row in read(tx, JOBS_OF, &given).await? {
        let job = PricedJob {
            height: row.get("height")?,
            bits: row.get("bits")?,
            work: row.get("work")?,
            subsidy_minor: row.get("subsidy")?,
            fee_average_minor: row.get("fee_average")?,
        };
        all.entry(row.get("epoch")?).or_default().push(job);
    }
    Ok(all)
}

/// Settlements at which FPPS could not pay all, by asset and epoch.
pub(super) async fn limits(
    tx: &mut Tx,
    subject: &Subject,
) -> Result<BTreeMap<(Asset, u64), Limited>> {
    let mut all = BTreeMap::new();
    if !matches!(subject.who, Beneficiary::Fpps(_)) {
        return Ok(all);
    }
    let given = params![subject.lane.clone(), subject.start, ROWS_MAX];
    for row in read(tx, LIMITS_OF, &given).await? {
        let limited =
            Limited { due_minor: row.get("due_minor")?, there_minor: row.get("there_minor")? };
        all.insert((row.get("asset")?, row.get("epoch")?), limited);
    }
    Ok(all)
}

/// A block that fell to a SOLO contract: where it stood in its epoch.
pub(super) async fn found(tx: &mut Tx, subject: &Subject, of: AccrualLine) -> Result<Line> {
    let stamp = EpochNumber(of.before_epoch);
    let given = params![subject.lane.clone(), stamp];
    let row = tx.fetch_optional(scheme_sql::HOUSE_WORK, &given).await?;
    let house_work: Hashes = row.ok_or_else(missing)?.get("house_work")?;
    let (mut before, mut own) = (Hashes::ZERO, Hashes::ZERO);
    let mut pages = Pages::by_beneficiary(scheme_sql::SOLO_FROM, &given);
    'all: while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            let who = beneficiary(row)?;
            if who == subject.who {
                own = row.get("work")?;
                break 'all;
            }
            if matches!(who, Beneficiary::Contract(_)) {
                let sum = before.checked_add(row.get("work")?);
                before = sum.ok_or(MarketError::Overflow("the work of an epoch"))?;
            }
        }
    }
    let mut hash = [0u8; 32];
    hex::decode_to_slice(&of.block, &mut hash).map_err(|_| missing())?;
    hash.reverse();
    Ok(Line::Found(FoundLine {
        epoch: of.epoch,
        place: crate::solo::place(&hash, house_work),
        asset: of.asset,
        block: of.block,
        life: of.life,
        height: of.height,
        reward_minor: of.reward_minor,
        stamp_epoch: stamp.0,
        house_work,
        before,
        own,
        accrual: of.accrual,
    }))
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
