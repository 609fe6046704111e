//! Standings, with what came to them since their rows were written.

use crate::bulk::pending;
use crate::pages::Pages;
use crate::reward::beneficiary;
use crate::settle::Standing;
use crate::sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, Market, Result, StandingView};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Asset, LaneId};
use std::collections::BTreeSet;

/// Standings read at once.
const STANDINGS_AT_ONCE: usize = 10_000;

impl Market {
    /// Everyone's totals of what a lane earns of one asset, sorted: for audits and comparisons.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::WrongAsset`]; the database's.
    pub async fn standings(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
    ) -> Result<Vec<StandingView>> {
        let book = self.book(lane, asset)?;
        let mut everyone = BTreeSet::new();
        let mut pages = Pages::by_beneficiary(sql::STANDINGS_FROM, &params![book.id(), asset]);
        while let Some(rows) = pages.next(tx).await? {
            for row in &rows {
                everyone.insert(beneficiary(row)?);
            }
        }
        let pending = pending::all(tx, &book.lane.lane, asset).await?;
        everyone.extend(pending.into_iter().map(|(who, _)| who));
        let everyone: Vec<Beneficiary> = everyone.into_iter().collect();
        let mut all = Vec::with_capacity(everyone.len());
        for some in everyone.chunks(STANDINGS_AT_ONCE) {
            for row in StandingRow::find_all(tx, book, some).await? {
                let Standing { matured, settled, net, fee_carry } = row.standing;
                let (who, accrued) = (row.who, row.accrued);
                all.push(StandingView { who, accrued, matured, settled, net, fee_carry });
            }
        }
        Ok(all)
    }

    /// What came to an account's standings since they were written.
    pub(super) async fn pending_of(
        &self,
        tx: &mut Tx,
        account: AccountId,
    ) -> Result<Vec<(Asset, Accrual)>> {
        let mut earners = Vec::new();
        for row in tx.fetch_all(sql::EARNERS_OF_ACCOUNT, &params![account]).await? {
            // What FPPS pays a contract is never pending.
            earners.push((row.get::<LaneId>("lane")?, Beneficiary::Contract(row.get("id")?)));
        }
        let mut all = Vec::new();
        for lane in &self.config().lanes {
            let own = std::iter::once(Beneficiary::Account(account));
            let here = earners.iter().filter(|(l, _)| *l == lane.lane).map(|(_, who)| *who);
            let everyone: Vec<Beneficiary> = own.chain(here).collect();
            for book in lane.books() {
                for part in everyone.chunks(pending::STEPPED_MAX) {
                    let pending = pending::of_many(tx, book, part).await?;
                    let some = pending.values().filter(|p| !p.is_nothing());
                    all.extend(some.map(|p| (book.asset, p.accrued)));
                }
            }
        }
        Ok(all)
    }
}
