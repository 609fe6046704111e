//! The FPPS reserve: what it holds, what it owes, what it must hold for more to be sold.
//!
//! | event | postings |
//! |---|---|
//! | a block of its window matures and is settled | Dr rewards / Cr FPPS reserve |
//! | FPPS earnings are settled | Dr FPPS reserve / Cr customer's balance; maintenance to the operator |
//! | … and the reserve is used up | the rest: Dr operator's revenue, as far as there is any |
//! | … and that too | what there is goes to all in proportion; the rest stays owed and is paid first of what comes |
//! | the operator puts coins in or takes them out | between its revenue or capital and the reserve |
//!
//! Nothing here takes a customer's coins to pay another's: what is not there is owed, and said so. Sales of
//! FPPS plans stop below the floor of [`crate::ruin`], by a check within the sale's transaction.

use crate::book::Book;
use crate::chain_figures::newest;
use crate::scheme_sql as sql;
use crate::settle::Settlement;
use crate::standing::StandingRow;
use crate::{Beneficiary, Market, MarketError, Plan, Result, Scheme, ruin};
use gruve_ledger::{Account, Entry, Posted, Posting, balance};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, EpochNumber, LaneId, Timestamp, mul_div_floor};

/// What FPPS may pay of what is due at one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    /// Whole minor units due to everybody.
    due: i64,
    /// What is there for them.
    there: i64,
}

impl Means {
    /// Counted before anybody is paid.
    pub(crate) async fn count(tx: &mut Tx, book: Book<'_>) -> Result<Means> {
        let row = tx.fetch_one(sql::FPPS_WAITING, &params![book.id(), book.asset]).await?;
        let due = row.get("minor")?;
        if due == 0 {
            return Ok(Means { due, there: 0 });
        }
        let reserve = balance(tx, &Account::FppsReserve, book.asset).await?.minor;
        let revenue = balance(tx, &Account::OperatorRevenue, book.asset).await?.minor;
        let there = reserve.saturating_add(revenue.max(0));
        if there < due {
            let (lane, asset, missing) = (&book.lane.lane, book.asset, due - there);
            tracing::error!(%lane, %asset, missing, "FPPS earnings stay owed: the reserve is used up");
        }
        Ok(Means { due, there })
    }

    /// Writes down for statements that not all can be paid.
    pub(crate) async fn note(self, tx: &mut Tx, book: Book<'_>, to: EpochNumber) -> Result<()> {
        if self.there < self.due {
            let given = params![book.id(), book.asset, to, self.due, self.there];
            tx.execute(crate::happenings::INSERT_LIMIT, &given).await?;
        }
        Ok(())
    }

    /// What of `gross` can be paid.
    pub(crate) fn of(self, gross: i64) -> Result<i64> {
        part_of_due(gross, self.due, self.there)
    }

    /// The settlement cut down to what can be paid; `None` when that is nothing.
    pub(crate) fn limit(self, s: Settlement) -> Result<Option<Settlement>> {
        let gross = self.of(s.gross)?;
        // No fee here: it is in the price.
        Ok((gross > 0).then_some(Settlement { gross, net: gross, ..s }))
    }
}

/// Writes down what came into the reserve, or left it, from the operator's side.
pub(crate) async fn note_capital(
    tx: &mut Tx,
    asset: Asset,
    reason: &str,
    minor: i64,
    now: Timestamp,
) -> Result<()> {
    tx.execute(sql::INSERT_CAPITAL, &params![asset, reason, minor, now]).await?;
    Ok(())
}

/// What of `gross` can be paid, in minor units, where `due` is due to everybody and `there` is there for it: all of
/// it, or everybody's in the same proportion, rounded down.
///
/// # Errors
/// [`MarketError::Overflow`] when the part does not fit.
pub fn part_of_due(gross: i64, due: i64, there: i64) -> Result<i64> {
    if there >= due {
        return Ok(gross);
    }
    let part = |v: i64| u128::try_from(v).unwrap_or(0);
    let (paid, _) = mul_div_floor(part(gross), part(there), part(due).max(1))
        .map_err(|_| MarketError::Overflow("a part of what is due"))?;
    i64::try_from(paid).map_err(|_| MarketError::Overflow("a part of what is due"))
}

/// The FPPS reserve of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FppsStatus {
    /// The lane that earns it.
    pub lane: LaneId,
    /// What the reserve's account holds.
    pub reserve: Amount,
    /// The reserve's part of blocks that are not settled yet.
    pub maturing: Amount,
    /// Earned by FPPS contracts and not paid yet, whole minor units.
    pub owed: Amount,
    /// Reserve and maturing less owed: what stands between the promises and bad luck. It may be negative.
    pub cover: i128,
    /// Epochs whose price is not known yet.
    pub open_epochs: u64,
    /// Each FPPS plan on offer with the cover it needs.
    pub plans: Vec<FppsPlanStatus>,
}

/// What a plan needs to be sold.
#[derive(Clone, Debug, PartialEq)]
pub struct FppsPlanStatus {
    /// The plan.
    pub plan: String,
    /// The adjustment coefficient of its fee, for people; no decision is made with it.
    pub theta: f64,
    /// The chance of ruin that the floor is laid out for, in millionths.
    pub ruin_ppm: u32,
    /// What a block is worth now, minor units; `None` while the fees of its window are not known.
    pub block_minor: Option<i64>,
    /// The cover below which the plan is not sold, minor units.
    pub floor_minor: Option<i64>,
    /// Whether it may be sold now.
    pub is_sold: bool,
}

impl Eq for FppsPlanStatus {}

async fn status(tx: &mut Tx, book: Book<'_>) -> Result<FppsStatus> {
    let (lane, asset) = (book.id(), book.asset);
    let reserve = balance(tx, &Account::FppsReserve, asset).await?;
    let own = StandingRow::find(tx, book, Beneficiary::FppsReserve).await?;
    let maturing = own.accrued.split().map_err(|_| MarketError::Overflow("a reserve"))?.0;
    let maturing = maturing.saturating_sub(own.standing.settled);
    let owed = tx.fetch_one(sql::FPPS_WAITING, &params![lane.clone(), asset]).await?;
    let owed: i64 = owed.get("minor")?;
    let open = tx.fetch_one(sql::COUNT_OPEN_FPPS, &params![lane.clone(), asset]).await?;
    let cover = i128::from(reserve.minor) + i128::from(maturing) - i128::from(owed);
    Ok(FppsStatus {
        lane,
        reserve,
        maturing: Amount::new(asset, maturing),
        owed: Amount::new(asset, owed),
        cover,
        open_epochs: open.get("n")?,
        plans: Vec::new(),
    })
}

/// Whether an FPPS plan may be sold now; other plans always may. Within the sale's transaction.
///
/// # Errors
/// [`MarketError::FppsFigures`], [`MarketError::FppsReserve`] and the database's.
pub(crate) async fn check_sale(market: &Market, tx: &mut Tx, plan: &Plan) -> Result<()> {
    if plan.scheme != Scheme::Fpps {
        return Ok(());
    }
    for terms in &plan.fpps {
        let book = market.book(&plan.lane, terms.asset)?;
        let figure = newest(tx, book, terms).await?.map_err(|k| MarketError::FppsFigures {
            asset: terms.asset,
            known: k.known,
            wanted: k.wanted,
        })?;
        let floor = ruin::floor_minor(plan.fee_bps, plan.fpps_ruin_ppm, figure.worth()?);
        let cover = status(tx, book).await?.cover;
        if floor.is_none_or(|f| cover < i128::from(f)) {
            return Err(MarketError::FppsReserve { asset: terms.asset });
        }
    }
    Ok(())
}

/// Which of the operator's accounts the reserve is filled from, or emptied into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveFrom {
    /// What it has earned; never below zero.
    Revenue,
    /// Coins of its own that it put into the wallet.
    Capital,
}

impl Market {
    /// The FPPS reserves of a lane, asset by asset.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn fpps_status(&self, tx: &mut Tx, lane: &LaneId) -> Result<Vec<FppsStatus>> {
        let mut all = Vec::new();
        for book in self.lane(lane)?.books() {
            let mut one = status(tx, book).await?;
            for plan in self.plans().iter().filter(|p| p.lane == *lane) {
                if let Some(terms) = plan.fpps.iter().find(|t| t.asset == book.asset) {
                    let figure = newest(tx, book, terms).await?.ok();
                    let block_minor = figure.map(|f| f.worth()).transpose()?;
                    let floor_of =
                        |worth| ruin::floor_minor(plan.fee_bps, plan.fpps_ruin_ppm, worth);
                    let floor_minor = block_minor.and_then(floor_of);
                    one.plans.push(FppsPlanStatus {
                        plan: plan.id.clone(),
                        theta: ruin::shown_theta(plan.fee_bps),
                        ruin_ppm: plan.fpps_ruin_ppm,
                        block_minor,
                        floor_minor,
                        is_sold: floor_minor.is_some_and(|f| one.cover >= i128::from(f)),
                    });
                }
            }
            all.push(one);
        }
        Ok(all)
    }

    /// Puts the operator's own coins into the FPPS reserve, or with a negative amount takes them out again.
    /// `reason` names it once for ever (1 to 64 of `a`–`z`, `0`–`9`, `-`): the same again does nothing.
    ///
    /// # Errors
    /// [`MarketError::FppsCapital`] for a reason of another form or one used for another amount, and when the
    /// money is not there; the database's.
    pub async fn fpps_capital(
        &self,
        tx: &mut Tx,
        reason: &str,
        amount: Amount,
        from: ReserveFrom,
    ) -> Result<Posted> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let named = (1..=64).contains(&reason.len()) && reason.bytes().all(plain);
        let Some(size) = amount.minor.checked_abs().filter(|m| *m > 0 && named) else {
            return Err(MarketError::FppsCapital(
                "a reason is 1 to 64 of a-z, 0-9 and -, an amount not 0",
            ));
        };
        let known = tx.fetch_optional(sql::CAPITAL, &params![amount.asset, reason]).await?;
        if let Some(row) = known {
            return match row.get::<i64>("minor")? == amount.minor {
                true => Ok(Posted::Already),
                false => Err(MarketError::FppsCapital("this reason stands for another amount")),
            };
        }
        let source = match from {
            ReserveFrom::Revenue => Account::OperatorRevenue,
            ReserveFrom::Capital => Account::Capital,
        };
        let (giver, taker) = match amount.minor > 0 {
            true => (source, Account::FppsReserve),
            false => (Account::FppsReserve, source),
        };
        // Revenue has no floor of its own.
        if balance(tx, &giver, amount.asset).await?.minor < size {
            return Err(MarketError::FppsCapital("it does not hold that much"));
        }
        if amount.minor < 0 {
            let mut owed = 0i64;
            for lane in &self.config().lanes {
                let given = params![lane.lane.clone(), amount.asset];
                let row = tx.fetch_one(sql::FPPS_WAITING, &given).await?;
                owed = owed.saturating_add(row.get("minor")?);
            }
            if balance(tx, &giver, amount.asset).await?.minor - size < owed {
                return Err(MarketError::FppsCapital("what is left would not pay what is owed"));
            }
        }
        let now = self.now();
        let whole = Amount::new(amount.asset, size);
        let entry = Entry {
            reason: format!("market/fpps-capital/{}/{reason}", amount.asset),
            kind: "market-fpps-capital",
            at: now,
            postings: vec![Posting::debit(giver, whole), Posting::credit(taker, whole)],
        };
        let posted = gruve_ledger::post(tx, &entry).await?;
        note_capital(tx, amount.asset, reason, amount.minor, now).await?;
        Ok(posted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_missed_by_all_alike() {
        let short = Means { due: 300, there: 100 };
        assert_eq!(
            (short.of(150).unwrap(), short.of(149).unwrap(), short.of(1).unwrap()),
            (50, 49, 0)
        );
        let enough = Means { due: 300, there: 300 };
        assert_eq!(enough.of(150).unwrap(), 150);
        assert_eq!(Means { due: 0, there: 0 }.of(0).unwrap(), 0);
    }
}
