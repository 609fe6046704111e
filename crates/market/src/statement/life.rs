//! What happened to a lease beside delivery: what was written down then, pauses, decisions, upkeep in dollars.

use super::rows::{Place, read};
use crate::contract::Contract;
use crate::freeze;
use crate::happenings;
use crate::price::in_coin;
use crate::{MarketError, Result};
use gruve_statement::document::{
    Big, Decision, DecisionLine, DollarsLine, FreezeLine, Line, PauseLine,
};
use gruve_store::{Tx, params, statements};
use gruve_units::{Accrual, Asset, ContractId, Timestamp};

/// Rows of one question at most.
const ROWS_MAX: u32 = 99_999;

statements! {
    DECISIONS_OF = "SELECT d.epoch AS epoch, d.price_instant AS price_instant,
        d.earns_micro AS earns_micro, d.costs_micro AS costs_micro, d.decision AS decision,
        d.effective_epoch AS effective_epoch, p.usd_micro AS usd_micro
        FROM market_pause_decisions d JOIN market_prices p ON p.asset = $2
        AND p.instant = d.price_instant WHERE d.contract = $1 ORDER BY d.epoch LIMIT $3";
    DUES_OF = "SELECT to_epoch, instant, total, due, usd_micro FROM market_usd_dues
        WHERE contract = $1 ORDER BY to_epoch LIMIT $2";
    LAST_DUE = "SELECT total FROM market_usd_dues WHERE contract = $1
        ORDER BY to_epoch DESC LIMIT 1";
    PAID_OF = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor FROM market_owed_paid
        WHERE contract = $1 AND asset = $2";
}

/// Everything beside delivery, with its place.
pub(super) async fn happenings(
    tx: &mut Tx,
    c: &Contract,
    all: &mut Vec<(Place, Line)>,
) -> Result<()> {
    for (n, line) in (0u64..).zip(happenings::of(tx, c.id).await?) {
        let step = if matches!(line, Line::Aside(_)) { 0 } else { 7 };
        all.push(((line.epoch(), step, n), line));
    }
    for row in read(tx, happenings::PAUSES, &params![c.id, ROWS_MAX]).await? {
        let epoch: u64 = row.get("to_epoch")?;
        let (from_epoch, epochs) = (row.get("from_epoch")?, row.get("epochs")?);
        all.push(((epoch, 0, 0), Line::Pause(PauseLine { epoch, from_epoch, epochs })));
    }
    for row in read(tx, freeze::STRETCHES, &params![c.id, ROWS_MAX]).await? {
        let (epoch, from_epoch): (u64, u64) = (row.get("to_epoch")?, row.get("from_epoch")?);
        all.push(((epoch, 0, 0), Line::Freeze(FreezeLine { epoch, from_epoch })));
    }
    decisions(tx, c, all).await?;
    dues(tx, c, all).await
}

async fn decisions(tx: &mut Tx, c: &Contract, all: &mut Vec<(Place, Line)>) -> Result<()> {
    for row in read(tx, DECISIONS_OF, &params![c.id, c.asset, ROWS_MAX]).await? {
        let said: String = row.get("decision")?;
        let known = [Decision::Run, Decision::Pause, Decision::Override];
        let decision = known.into_iter().find(|d| d.name() == said);
        let line = DecisionLine {
            epoch: row.get("epoch")?,
            instant_us: row.get::<Timestamp>("price_instant")?.0,
            price_micro: row.get("usd_micro")?,
            earns_micro: row.get("earns_micro")?,
            costs_micro: row.get("costs_micro")?,
            decision: decision.ok_or_else(|| MarketError::Broken("a decision".into()))?,
            effective_epoch: row.get("effective_epoch")?,
        };
        // Before what happened after the closing.
        all.push(((line.epoch, 6, u64::MAX), Line::Decision(line)));
    }
    Ok(())
}

/// A due stands at the instant it was closed, with its price however late that was found: nothing is settled
/// between the two.
async fn dues(tx: &mut Tx, c: &Contract, all: &mut Vec<(Place, Line)>) -> Result<()> {
    for row in read(tx, DUES_OF, &params![c.id, ROWS_MAX]).await? {
        let (total, due): (Accrual, Accrual) = (row.get("total")?, row.get("due")?);
        let price: Option<i64> = row.get("usd_micro")?;
        let coins = match price {
            Some(price) => in_coin(due, c.asset, price)?,
            None => Accrual::ZERO,
        };
        let line = DollarsLine {
            epoch: row.get("to_epoch")?,
            instant_us: row.get::<Timestamp>("instant")?.0,
            total: Big(total.0),
            due: Big(due.0),
            price_micro: price,
            coins: Big(coins.0),
            upkeep_due: Big(0),
        };
        all.push(((line.epoch, 4, 0), Line::Dollars(line)));
    }
    Ok(())
}

/// Upkeep in dollars that was counted so far.
pub(super) async fn dollars(tx: &mut Tx, contract: ContractId) -> Result<Accrual> {
    let row = tx.fetch_optional(LAST_DUE, &params![contract]).await?;
    Ok(row.map(|row| row.get("total")).transpose()?.unwrap_or(Accrual::ZERO))
}

/// What was paid of an asset for work that was not delivered.
pub(super) async fn owed_paid(tx: &mut Tx, contract: ContractId, asset: Asset) -> Result<i64> {
    Ok(tx.fetch_one(PAID_OF, &params![contract, asset]).await?.get("minor")?)
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
