//! What was used and what it cost, like a utility's statement: by epoch, hour or day (UTC).

use super::{Metered, sql};
use crate::{LaneConfig, Market, MarketError, Result, SettlementLine, read};
use gruve_store::{Row, params};
use gruve_units::{AccountId, Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, Timestamp};
use std::collections::BTreeMap;

/// Epochs that one statement is made of at most: ten weeks of ten-minute epochs.
pub const USAGE_ROWS_MAX: u32 = 10_000;

/// What a line of a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An epoch.
    Epoch,
    /// An hour, UTC.
    Hour,
    /// A day, UTC.
    Day,
}

impl Period {
    const fn micros(self) -> Option<i64> {
        match self {
            Period::Epoch => None,
            Period::Hour => Some(3_600_000_000),
            Period::Day => Some(86_400_000_000),
        }
    }

    /// The first beginning of a period at an instant or after it.
    #[must_use]
    pub const fn begin_after(self, at: Timestamp) -> Timestamp {
        match self.micros() {
            None => at,
            Some(length) => Timestamp(at.0 + (length - at.0.rem_euclid(length)) % length),
        }
    }

    /// The beginning of the period that an instant lies in, given its epoch's.
    const fn begin(self, at: Timestamp) -> Timestamp {
        match self.micros() {
            None => at,
            Some(length) => Timestamp(at.0 - at.0.rem_euclid(length)),
        }
    }
}

/// A line of a usage statement. An epoch belongs to the period in which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLine {
    /// Its beginning.
    pub from: Timestamp,
    /// Its first and last epoch with a hold; where there is none, one of those in which something was settled.
    pub epochs: (EpochNumber, EpochNumber),
    /// How many epochs it has that are closed.
    pub closed: u32,
    /// Work that was asked for and held for, at the most.
    pub capped: Hashes,
    /// Work that was delivered.
    pub delivered: Hashes,
    /// What of the price is for [`UsageLine::price_hashrate`] over a day: the least and the most of the period;
    /// nothing where nothing was held for.
    pub price_minor: (i64, i64),
    /// The hashrate the price is for, by the newest epoch.
    pub price_hashrate: Hashrate,
    /// Held for epochs not closed yet.
    pub held: Amount,
    /// Charged.
    pub charged: Amount,
    /// What was settled within the period, asset by asset: earnings before fees, fees, maintenance, credited.
    pub earnings: BTreeMap<Asset, SettledSum>,
}

/// Settlements of one asset added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettledSum {
    /// Earnings before fees (with FPPS: after the operator's fee, which is in its price), minor units.
    pub gross_minor: i64,
    /// The operator's part.
    pub fee_minor: i64,
    /// Maintenance taken.
    pub maintenance_minor: i64,
    /// What reached the balance.
    pub net_minor: i64,
}

impl UsageLine {
    /// A period in which nothing was held for.
    fn empty(from: Timestamp, epoch: EpochNumber, pay_asset: Asset) -> UsageLine {
        UsageLine {
            from,
            epochs: (epoch, epoch),
            closed: 0,
            capped: Hashes::ZERO,
            delivered: Hashes::ZERO,
            price_minor: (0, 0),
            price_hashrate: Hashrate::ZERO,
            held: Amount::zero(pay_asset),
            charged: Amount::zero(pay_asset),
            earnings: BTreeMap::new(),
        }
    }
}

impl SettledSum {
    fn add(&mut self, l: &SettlementLine) -> Option<()> {
        for (sum, part) in [
            (&mut self.gross_minor, l.gross),
            (&mut self.fee_minor, l.fee),
            (&mut self.maintenance_minor, l.maintenance),
            (&mut self.net_minor, l.net),
        ] {
            *sum = sum.checked_add(part.minor)?;
        }
        Some(())
    }
}

impl Market {
    /// A metered contract's usage between two instants (the later one excluded), newest period first; at most
    /// [`USAGE_ROWS_MAX`] epochs, the newest, and as many settlements of each asset.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn metered_usage(
        &self,
        account: AccountId,
        id: ContractId,
        (from, until): (Timestamp, Timestamp),
        period: Period,
    ) -> Result<Vec<UsageLine>> {
        let mut tx = self.store().read().await?;
        let c = Metered::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let lane = self.lane(&c.lane)?;
        let rule = lane.epoch_rule;
        let last = Timestamp(until.0.saturating_sub(1));
        let given = params![id, rule.at(from), rule.at(last), USAGE_ROWS_MAX];
        let mut lines = BTreeMap::new();
        for row in tx.fetch_all(sql::USAGE, &given).await? {
            add_epoch(&mut lines, &row, lane, period, c.pay_asset)?;
        }
        let settled = read::settled_between(&mut tx, lane, c.earner(), (from, until)).await?;
        tx.rollback().await?;
        for s in &settled {
            let epoch = rule.at(s.at);
            let at = match period {
                Period::Epoch => rule.start(epoch),
                _ => period.begin(s.at),
            };
            // Blocks mature when the work is long done: also where nothing was held, its earnings count.
            let line = lines.entry(at).or_insert_with(|| UsageLine::empty(at, epoch, c.pay_asset));
            let sum = line.earnings.entry(s.gross.asset).or_default();
            sum.add(s).ok_or(MarketError::Overflow("a statement"))?;
        }
        Ok(lines.into_values().rev().collect())
    }
}

fn add_epoch(
    lines: &mut BTreeMap<Timestamp, UsageLine>,
    row: &Row,
    lane: &LaneConfig,
    period: Period,
    pay_asset: Asset,
) -> Result<()> {
    let overflow = || MarketError::Overflow("a statement");
    let epoch: EpochNumber = row.get("epoch")?;
    let from = period.begin(lane.epoch_rule.start(epoch));
    let price: i64 = row.get("price_minor")?;
    let price_hashrate = row.get("price_hashrate")?;
    // Rows come newest first: the first one of a period has its last epoch and newest price.
    let line = lines.entry(from).or_insert_with(|| UsageLine {
        price_minor: (price, price),
        price_hashrate,
        ..UsageLine::empty(from, epoch, pay_asset)
    });
    line.epochs.0 = epoch;
    line.price_minor = (line.price_minor.0.min(price), line.price_minor.1.max(price));
    line.capped = line.capped.checked_add(row.get("cap")?).ok_or_else(overflow)?;
    line.delivered = line.delivered.checked_add(row.get("delivered")?).ok_or_else(overflow)?;
    let add = |sum: &mut Amount, minor: i64| {
        sum.minor = sum.minor.checked_add(minor).ok_or_else(overflow)?;
        Ok::<_, MarketError>(())
    };
    if row.get::<bool>("is_open")? {
        add(&mut line.held, row.get("held_minor")?)?;
    } else {
        line.closed += 1;
        add(&mut line.charged, row.get("charged_minor")?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes of clocks of 2026 in Europe and in New York: days and hours of statements are UTC's.
    #[test]
    fn a_day_has_its_hours_also_when_clocks_are_changed() {
        const HOUR: i64 = 3_600;
        for change in [1_774_746_000, 1_792_890_000, 1_793_512_800] {
            let day = Period::Day.begin(Timestamp::from_secs(change));
            let hours: std::collections::BTreeSet<_> = (0..24 * 6)
                .map(|n| Timestamp::from_secs(day.0 / 1_000_000 + n * HOUR / 6))
                .map(|at| (Period::Day.begin(at), Period::Hour.begin(at)))
                .collect();
            assert_eq!(hours.len(), 24);
            assert!(hours.iter().all(|(of, _)| *of == day));
        }
    }
}
