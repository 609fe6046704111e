//! Where all block rewards are, counted on several sides that must agree to the minor unit.
//!
//! | side | says |
//! |---|---|
//! | rewards table | what every block on the chain paid, and which are immature |
//! | accruals table | to whom, in fixed point; added up by the database |
//! | standings | the running totals of the same, and what waits for a settlement |
//! | settlements table | what became postings |
//! | ledger | what its accounts hold |

use crate::book::Book;
use crate::bulk::accruals;
use crate::bulk::pending::{self, Pending};
use crate::bulk::roll;
use crate::close::LaneState;
use crate::metered::sql as metered;
use crate::pages::Pages;
use crate::reward::{beneficiary, from_columns};
use crate::scheme_sql::{CAPITAL_SUM, FPPS_SUMS, FPPS_SUMS_OF};
use crate::settle::Standing;
use crate::sql;
use crate::{AssetReconciliation, Beneficiary, Market, MarketError, Reconciliation, Result};
use gruve_ledger::{Account, balance};
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{Accrual, Amount, Asset, EpochNumber, Hashrate, LaneId};
use std::collections::BTreeMap;

statements! {
    ODD_REWARDS = "SELECT COUNT(*) AS n FROM market_rewards WHERE lane = $1 AND asset = $2
        AND credited = 1 AND (state <> 'mature' OR accrued = 0)";
    LIFELESS_REWARDS = "SELECT COUNT(*) AS n FROM market_rewards r WHERE r.lane = $1 AND r.asset = $2
        AND r.accrued = 1 AND NOT EXISTS (SELECT 1 FROM market_lives l WHERE l.asset = r.asset
        AND l.block_hash = r.block_hash AND l.generation = r.generation AND l.reversed_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM market_accruals a WHERE a.asset = r.asset
        AND a.block_hash = r.block_hash AND a.generation = r.generation)";
    LAST_EPOCH = "SELECT epoch, checkpoint FROM market_epochs WHERE lane = $1 ORDER BY epoch DESC LIMIT 1";
    ALL_SHARES = "SELECT CAST(COALESCE(SUM(shares), 0) AS BIGINT) AS n FROM market_epochs WHERE lane = $1";
}

/// The kind of [`crate::Beneficiary::Fpps`].
const FPPS_KIND: i64 = 6;

/// A book's (then an asset's) numbers in minor units, wide enough for any sum.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Blocks on the chain.
    rewards: i128,
    immature: i128,
    /// Mature, waiting for their epoch to be closed or for the next close.
    uncredited: i128,
    credited: i128,
    accrued: i128,
    /// Settled: to customers after fees, fees and the operator's own, reserve, remainder.
    customers: i128,
    operator: i128,
    reserve: i128,
    fpps: i128,
    remainder: i128,
    settled: i128,
    /// What FPPS contracts were paid, out of the reserve.
    fpps_paid: i128,
    /// Whole minor units and fractions (2^-64) of credited accruals that are not settled.
    waiting: i128,
    fractions: u128,
    ledger_rewards: i128,
}

impl Market {
    /// Where all block rewards are, each side counted on its own; see the fields of
    /// [`AssetReconciliation`]. `adds_up` is false, and `differences` says why, when any two disagree.
    ///
    /// # Errors
    /// The database's.
    pub async fn reconciliation(&self, tx: &mut Tx) -> Result<Reconciliation> {
        let mut assets: Vec<Asset> =
            self.config().lanes.iter().flat_map(crate::LaneConfig::assets).collect();
        assets.sort_unstable();
        assets.dedup();
        let mut all = Vec::new();
        for asset in assets {
            all.push(self.reconcile_asset(tx, asset).await?);
        }
        Ok(Reconciliation { assets: all })
    }

    async fn reconcile_asset(&self, tx: &mut Tx, asset: Asset) -> Result<AssetReconciliation> {
        let mut wrong = Vec::new();
        let mut total = Sums::default();
        let books = self.config().lanes.iter().flat_map(crate::LaneConfig::books);
        for book in books.filter(|b| b.asset == asset) {
            let sums = sum_book(tx, book, &mut wrong).await?;
            total.add(&sums).ok_or(MarketError::Overflow("all rewards of an asset"))?;
        }
        let immature_in_ledger = balance(tx, &Account::ChainMaturing, asset).await?;
        let reserve_in_ledger = balance(tx, &Account::WindowReserve, asset).await?;
        let remainder_in_ledger = balance(tx, &Account::Remainder, asset).await?;
        let mut equal = |a: i128, b: i128, what: &str| {
            if a != b {
                wrong.push(format!("{what}: {a} and {b} minor units of {asset}"));
            }
        };
        let maturing = total.immature + total.uncredited + total.waiting;
        // Fractions of one book are a whole number: rewards and settlements are. Checked in `sum_book`.
        let fractions = i128::try_from(total.fractions >> 64).unwrap_or(i128::MAX);
        let remainder = total.remainder + fractions;
        let parts =
            total.customers + total.operator + total.reserve + total.fpps + maturing + remainder;
        equal(total.rewards, parts, "block rewards and where they are");
        equal(
            immature_in_ledger.minor.into(),
            total.immature,
            "maturing coins in the ledger and immature rewards",
        );
        equal(
            reserve_in_ledger.minor.into(),
            total.reserve,
            "the window reserve in the ledger and in the settlements",
        );
        let capital: i64 = tx.fetch_one(CAPITAL_SUM, &params![asset]).await?.get("minor")?;
        equal(
            balance(tx, &Account::FppsReserve, asset).await?.minor.into(),
            total.fpps - total.fpps_paid + i128::from(capital),
            "the FPPS reserve in the ledger and what came and went",
        );
        // On account chains the wallet posts what it has below a minor unit to the same account.
        if !matches!(asset, Asset::Etc | Asset::Eth) {
            equal(
                remainder_in_ledger.minor.into(),
                total.remainder,
                "the remainder in the ledger and in the settlements",
            );
        }
        let amount = |minor: i128| {
            i64::try_from(minor)
                .map(|m| Amount::new(asset, m))
                .map_err(|_| MarketError::Overflow("all rewards of an asset"))
        };
        Ok(AssetReconciliation {
            asset,
            block_rewards: amount(total.rewards)?,
            customers: amount(total.customers)?,
            operator: amount(total.operator)?,
            window_reserve: amount(total.reserve)?,
            fpps_reserve: amount(total.fpps)?,
            maturing: amount(maturing)?,
            remainder: amount(remainder)?,
            ledger_rewards: amount(total.ledger_rewards)?,
            adds_up: wrong.is_empty(),
            differences: wrong,
        })
    }

    /// Recomputes every beneficiary's totals from the accruals, row by row, and what is sold from the
    /// contracts. Thorough, and as slow as the tables are long: for `gruve admin audit`. Each finding is a
    /// sentence.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_tables(&self, tx: &mut Tx) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        for lane in &self.config().lanes {
            for book in lane.books() {
                audit_standings(tx, book, &mut findings).await?;
                audit_rewards(tx, book, &mut findings).await?;
            }
            audit_lane(tx, &lane.lane, &mut findings).await?;
            findings.extend(roll::audit(tx, &lane.lane).await?);
            let mut held = 0u128;
            let mut pages = Pages::by_id(sql::HOLDING_CONTRACTS, &params![lane.lane.clone()]);
            while let Some(rows) = pages.next(tx).await? {
                for row in rows {
                    held = held.saturating_add(row.get::<Hashrate>("hashrate")?.0);
                }
            }
            let mut pages = Pages::by_id(metered::HOLDING, &params![lane.lane.clone()]);
            while let Some(rows) = pages.next(tx).await? {
                for row in rows {
                    held = held.saturating_add(row.get::<Hashrate>("hashrate")?.0);
                }
            }
            let row = tx.fetch_one(sql::CAPACITY, &params![lane.lane.clone()]).await?;
            let sold: Hashrate = row.get("sold")?;
            if sold.0 != held {
                let lane = &lane.lane;
                findings.push(format!("lane {lane}: {} sold, contracts hold {held}", sold.0));
            }
        }
        Ok(findings)
    }
}

impl Sums {
    fn add(&mut self, o: &Sums) -> Option<()> {
        for (a, b) in [
            (&mut self.rewards, o.rewards),
            (&mut self.immature, o.immature),
            (&mut self.uncredited, o.uncredited),
            (&mut self.credited, o.credited),
            (&mut self.accrued, o.accrued),
            (&mut self.customers, o.customers),
            (&mut self.operator, o.operator),
            (&mut self.reserve, o.reserve),
            (&mut self.fpps, o.fpps),
            (&mut self.fpps_paid, o.fpps_paid),
            (&mut self.remainder, o.remainder),
            (&mut self.settled, o.settled),
            (&mut self.waiting, o.waiting),
            (&mut self.ledger_rewards, o.ledger_rewards),
        ] {
            *a = a.checked_add(b)?;
        }
        self.fractions = self.fractions.checked_add(o.fractions)?;
        Some(())
    }
}

async fn sum_book(tx: &mut Tx, book: Book<'_>, wrong: &mut Vec<String>) -> Result<Sums> {
    let mut s = Sums::default();
    let key = params![book.id(), book.asset];
    for row in tx.fetch_all(sql::REWARD_SUMS, &key).await? {
        let minor = i128::from(row.get::<i64>("minor")?);
        s.rewards += minor;
        match (row.get::<String>("state")?.as_str(), row.get::<bool>("credited")?) {
            ("maturing", _) => s.immature += minor,
            (_, false) => s.uncredited += minor,
            (_, true) => s.credited += minor,
        }
        if row.get::<bool>("accrued")? {
            s.accrued += minor;
        }
    }
    for row in tx.fetch_all(sql::SETTLEMENT_SUMS, &key).await? {
        let (gross, net) =
            (i128::from(row.get::<i64>("gross")?), i128::from(row.get::<i64>("net")?));
        let kind: i64 = row.get("kind")?;
        if kind == FPPS_KIND {
            s.fpps_paid += gross;
            continue;
        }
        s.settled += gross;
        match kind {
            0 => s.operator += gross,
            3 => s.reserve += gross,
            4 => s.remainder += gross,
            5 => s.fpps += gross,
            _ => {
                s.customers += net;
                s.operator += gross - net;
            }
        }
    }
    let standings = sum_standings(tx, book, wrong).await?;
    (s.waiting, s.fractions) = (standings.waiting, standings.fractions);
    s.ledger_rewards = balance(tx, &Account::Rewards(book.id()), book.asset).await?.minor.into();
    let mut accruals = accrual_sum(&tx.fetch_one(sql::ACCRUAL_SUMS, &key).await?)?;
    accruals::each_live(tx, book, |(_, part)| {
        let sum = accruals.checked_add(part.0);
        accruals = sum.ok_or(MarketError::Overflow("all accruals of a lane"))?;
        Ok(())
    })
    .await?;
    let mut equal = |a: i128, b: i128, what: &str| {
        if a != b {
            wrong.push(format!("lane {}: {what}: {a} and {b}", book.lane.lane));
        }
    };
    let fpps = accrual_sum(&tx.fetch_one(FPPS_SUMS, &key).await?)?;
    equal(i128::from(fpps == standings.fpps), 1, "FPPS lines are the FPPS standings");
    equal(standings.fpps_settled, s.fpps_paid, "FPPS paid by the standings and by the settlements");
    equal(s.rewards - s.settled, s.ledger_rewards, "unsettled rewards and the ledger's");
    let exact = |minor: i128| u128::try_from(minor).unwrap_or(0) << 64;
    let same = |a: u128, b: i128| i128::from(a == exact(b));
    equal(same(accruals, s.accrued), 1, "the accruals are the accrued rewards");
    equal(same(standings.accrued, s.accrued), 1, "the standings are the accrued rewards");
    equal(same(standings.matured, s.credited), 1, "the standings are the credited rewards");
    equal(standings.settled, s.settled, "settled by the standings and by the settlements");
    equal(i128::from(standings.fractions.trailing_zeros() >= 64), 1, "fractions are whole");
    Ok(s)
}

#[derive(Default)]
struct StandingSums {
    accrued: u128,
    matured: u128,
    settled: i128,
    waiting: i128,
    fractions: u128,
    fpps: u128,
    fpps_settled: i128,
}

async fn sum_standings(
    tx: &mut Tx,
    book: Book<'_>,
    wrong: &mut Vec<String>,
) -> Result<StandingSums> {
    let overflow = || MarketError::Overflow("all accruals of a lane");
    let mut sums = StandingSums::default();
    let mut pending = pending_of(tx, book).await?;
    let mut pages = standings(book);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            let (accrued, matured): (Accrual, Accrual) = (row.get("accrued")?, row.get("matured")?);
            let (settled, net) = (row.get("settled_minor")?, row.get("net_minor")?);
            if row.get::<i64>("kind")? == FPPS_KIND {
                // Paid by the reserve, not by blocks.
                sums.fpps = sums.fpps.checked_add(matured.0).ok_or_else(overflow)?;
                sums.fpps_settled += i128::from(settled);
                continue;
            }
            let who = beneficiary(&row)?;
            let more = pending.remove(&who).unwrap_or_default();
            let accrued = accrued.checked_add(more.accrued).ok_or_else(overflow)?;
            let matured = matured.checked_add(more.matured).ok_or_else(overflow)?;
            let standing = Standing { matured, settled, net, fee_carry: 0 };
            sums.add((who, accrued, standing), book, wrong)?;
        }
    }
    for (who, Pending { accrued, matured }) in pending {
        let standing = Standing { matured, ..Standing::default() };
        sums.add((who, accrued, standing), book, wrong)?;
    }
    Ok(sums)
}

impl StandingSums {
    fn add(
        &mut self,
        (who, accrued, standing): (Beneficiary, Accrual, Standing),
        book: Book<'_>,
        wrong: &mut Vec<String>,
    ) -> Result<()> {
        let overflow = || MarketError::Overflow("all accruals of a lane");
        self.accrued = self.accrued.checked_add(accrued.0).ok_or_else(overflow)?;
        self.matured = self.matured.checked_add(standing.matured.0).ok_or_else(overflow)?;
        self.settled += i128::from(standing.settled);
        match standing.unsettled() {
            Ok((whole, fraction)) => {
                self.waiting += i128::from(whole);
                self.fractions = self.fractions.checked_add(fraction.0).ok_or_else(overflow)?;
            }
            Err(e) => wrong.push(format!("lane {}: {}: {e}", book.lane.lane, who.key())),
        }
        Ok(())
    }
}

/// What came to standings since they were written.
async fn pending_of(tx: &mut Tx, book: Book<'_>) -> Result<BTreeMap<Beneficiary, Pending>> {
    Ok(pending::all(tx, &book.lane.lane, book.asset).await?.into_iter().collect())
}

/// The standings of a lane in one asset.
fn standings(book: Book<'_>) -> Pages {
    Pages::by_beneficiary(sql::STANDINGS_FROM, &params![book.id(), book.asset])
}

fn accrual_sum(row: &Row) -> Result<u128> {
    from_columns(row.get("minor")?, row.get("high")?, row.get("low")?)
        .map(|a| a.0)
        .ok_or_else(|| MarketError::Broken("accruals add up to less than nothing".into()))
}

/// Blocks' rows against each other: where a block was found, and that what is shared out has its window.
async fn audit_rewards(tx: &mut Tx, book: Book<'_>, findings: &mut Vec<String>) -> Result<()> {
    let given = params![book.id(), book.asset];
    for (sql, what) in [
        (ODD_REWARDS, "blocks are credited before they are mature or shared out"),
        (LIFELESS_REWARDS, "blocks are shared out and have no window"),
    ] {
        let n: i64 = tx.fetch_one(sql, &given).await?.get("n")?;
        if n != 0 {
            findings.push(format!("lane {}: {n} {what} ({})", book.lane.lane, book.asset));
        }
    }
    Ok(())
}

/// How far a lane is, against its epochs.
async fn audit_lane(tx: &mut Tx, lane: &LaneId, findings: &mut Vec<String>) -> Result<()> {
    let state = LaneState::read(tx, lane).await?;
    let row = tx.fetch_optional(LAST_EPOCH, &params![lane.clone()]).await?;
    let last = row.map(|r| Ok::<_, MarketError>((r.get("epoch")?, r.get("checkpoint")?)));
    let last: Option<(EpochNumber, [u8; 32])> = last.transpose()?;
    if last.is_some() && last != state.closed.map(|closed| (closed, state.checkpoint)) {
        findings.push(format!("lane {lane}: its last epoch is another one than it says"));
    }
    let shares: i64 = tx.fetch_one(ALL_SHARES, &params![lane.clone()]).await?.get("n")?;
    if u64::try_from(shares).ok() != Some(state.shares) {
        findings.push(format!("lane {lane}: {} shares, its epochs have {shares}", state.shares));
    }
    Ok(())
}

async fn audit_standings(tx: &mut Tx, book: Book<'_>, findings: &mut Vec<String>) -> Result<()> {
    let overflow = || MarketError::Overflow("all accruals of a lane");
    let mut pending = pending_of(tx, book).await?;
    // Everyone's part of all blocks that are on pages, counted again.
    let mut parts = BTreeMap::new();
    accruals::each_live(tx, book, |(who, part)| {
        let sum: &mut u128 = parts.entry(who).or_default();
        *sum = sum.checked_add(part.0).ok_or_else(overflow)?;
        Ok(())
    })
    .await?;
    let differs = |who: Beneficiary| {
        let (lane, who) = (&book.lane.lane, who.key());
        format!("lane {lane}: {who}: accruals and standing differ")
    };
    let mut pages = standings(book);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            let (kind, id): (i64, [u8; 16]) = (row.get("kind")?, row.get("beneficiary")?);
            let sums = if kind == FPPS_KIND {
                tx.fetch_one(FPPS_SUMS_OF, &params![id, book.asset]).await?
            } else {
                let given = params![book.id(), book.asset, kind, id];
                tx.fetch_one(sql::ACCRUAL_SUMS_OF, &given).await?
            };
            let who = beneficiary(&row)?;
            let paged = parts.remove(&who).unwrap_or(0);
            let sum = accrual_sum(&sums)?.checked_add(paged).ok_or_else(overflow)?;
            let more = pending.remove(&who).unwrap_or_default();
            if Some(sum) != row.get::<Accrual>("accrued")?.0.checked_add(more.accrued.0) {
                findings.push(differs(who));
            }
        }
    }
    // Those that have no row yet.
    for (who, more) in pending {
        if parts.remove(&who).unwrap_or(0) != more.accrued.0 {
            findings.push(differs(who));
        }
    }
    findings.extend(parts.into_keys().map(differs));
    Ok(())
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
