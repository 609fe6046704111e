//! The epochs of a metered contract, each with its hold and what was charged of it.

use super::rows::{Facts, Place, began_us, missing, read};
use super::{STATEMENT_EPOCHS_MAX, Subject};
use crate::metered::Metered;
use crate::units::share_house_units;
use crate::{Beneficiary, MarketError, Result};
use gruve_statement::document::{Big, Line, MeterLine, Metered as Change, Units, UsageLine};
use gruve_statement::terms::SchemeRule;
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{EpochNumber, Hashes, Timestamp};

/// Stops and goings-on of one contract at most.
const CHANGES_MAX: u32 = 99_999;

/// Epochs read at once: some megabytes.
const AT_ONCE: u32 = 5_000;

statements! {
    HOLDS_OF = "SELECT epoch, price_minor, price_hashrate, cap, held_minor, delivered, charged_minor
        FROM market_holds WHERE contract = $1 AND is_open = 0 AND epoch > $2 AND epoch <= $3
        ORDER BY epoch LIMIT $4";
    CHANGES_OF = "SELECT kind, epoch, at FROM market_metered_notices
        WHERE contract = $1 AND kind <> 'low' ORDER BY number LIMIT $2";
}

/// The work of all epochs, oldest first; running totals are not filled in.
pub(super) async fn epochs(tx: &mut Tx, subject: &Subject, c: &Metered) -> Result<Vec<Line>> {
    let (mut all, mut after) = (Vec::new(), -1_i64);
    let closed = subject.closed.unwrap_or_default();
    // What was held for epochs after the last one came back when the contract was ended.
    let closed = c.ended_epoch.map_or(closed, |ended| ended.min(closed));
    loop {
        let rows = tx.fetch_all(HOLDS_OF, &params![subject.id, after, closed, AT_ONCE]).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(all) };
        after = last.get("epoch")?;
        let span = (first.get("epoch")?, last.get("epoch")?);
        let facts = Facts::read(tx, subject, Some(span)).await?;
        for row in &rows {
            all.push(Line::Usage(line(subject, &facts, row)?));
        }
        if all.len() > STATEMENT_EPOCHS_MAX {
            return Err(MarketError::NoStatement("it is longer than can be written"));
        }
        if rows.len() < AT_ONCE as usize {
            return Ok(all);
        }
    }
}

/// When it stopped, went on and ended; running totals are not filled in.
pub(super) async fn events(tx: &mut Tx, c: &Metered, all: &mut Vec<(Place, Line)>) -> Result<()> {
    let rows = read(tx, CHANGES_OF, &params![c.id, CHANGES_MAX]).await?;
    for (n, row) in (0u64..).zip(&rows) {
        let (said, epoch): (String, u64) = (row.get("kind")?, row.get("epoch")?);
        let known = [Change::Stopped, Change::Resumed, Change::Ended];
        let what = known.into_iter().find(|c| c.name() == said);
        let line = MeterLine {
            epoch,
            at_us: row.get::<Timestamp>("at")?.0,
            what: what.ok_or_else(|| MarketError::Broken("an unknown notice".into()))?,
            delivered_sum: Hashes::ZERO,
            charged_minor: 0,
            cost_carry: Big(0),
        };
        // After the work of its epoch.
        all.push(((epoch, 1, n), Line::Meter(line)));
    }
    Ok(())
}

fn line(subject: &Subject, facts: &Facts, row: &Row) -> Result<UsageLine> {
    let epoch: EpochNumber = row.get("epoch")?;
    let (cap, delivered): (Hashes, Hashes) = (row.get("cap")?, row.get("delivered")?);
    // An epoch that was never closed has no row, and nothing was delivered in it.
    let work = facts.work.get(&epoch).map(|(house, _)| *house);
    let (mut entitled_all, mut units) = (Hashes::ZERO, Vec::new());
    for asset in &subject.terms.earns {
        let (entitled, house, all) = match (facts.units.get(&(epoch, *asset)), work) {
            (Some(sums), _) => *sums,
            (None, None) => (Hashes::ZERO, Big(0), Big(0)),
            (None, Some(_)) => return Err(missing()),
        };
        entitled_all = entitled;
        let own = own_units(subject, house.0, work, delivered)?;
        units.push(Units { asset: *asset, all, house, own: Big(own) });
    }
    let (held, charged): (i64, i64) = (row.get("held_minor")?, row.get("charged_minor")?);
    let asked = subject.terms.epoch_work.min(cap);
    Ok(UsageLine {
        epoch: epoch.0,
        began_us: began_us(subject, epoch),
        price_minor: row.get("price_minor")?,
        price_hashrate: row.get("price_hashrate")?,
        held_minor: held,
        cap,
        house_work: work,
        entitled_all,
        entitled: if work.is_some() { asked } else { Hashes::ZERO },
        delivered,
        delivered_sum: Hashes::ZERO,
        cost: Big(0),
        charged_minor: charged,
        released_minor: held - charged,
        cost_carry: Big(0),
        upkeep: Big(0),
        upkeep_due: Big(0),
        units,
    })
}

/// What of the house's units is the contract's, as the close gave it.
fn own_units(
    subject: &Subject,
    house: u128,
    work: Option<Hashes>,
    delivered: Hashes,
) -> Result<u128> {
    let is_pplns = matches!(subject.terms.rules.scheme, SchemeRule::PplnsUnits { .. });
    let (Some(done), true) = (work, is_pplns && delivered > Hashes::ZERO) else { return Ok(0) };
    let parts = share_house_units(house, done, &[(Beneficiary::Contract(subject.id), delivered)])?;
    Ok(parts.get(&Beneficiary::Contract(subject.id)).copied().unwrap_or(0))
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
