//! Prices of coins in dollars, one for each scheduled instant, that never change.
//!
//! Named sources report; the price of an instant is the median of what a quorum of them said last within the
//! staleness limit before it (of an even number the lower of the middle two). Where the rules say how far from
//! that median a source may be, those farther off are left out, and a quorum of the others has to stay, whose
//! median is the price. It is written down once. Who
//! is late with a settlement uses the price of the instant it was scheduled for, not today's; where no quorum
//! spoke there is no price, and what needs one waits.
//!
//! Promises: no float decides; reports of sources that are not configured are refused; a recorded price is
//! never replaced. What this module must not know: how a source is asked.

use crate::rules::PriceRules;
use crate::{LaneConfig, Market, MarketError, Result, life_sql};
use gruve_store::{Tx, params, transact};
use gruve_units::{Accrual, Asset, Duration, EpochNumber, Timestamp};
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Millionths of a dollar for a coin at most: a billion dollars.
pub const PRICE_MAX: i64 = 1_000_000_000_000_000;

/// How far ahead of the house's clock a source may report: two clocks are never quite the same.
const AHEAD: Duration = Duration::from_secs(60);

/// How long reports are kept: as long as an operator may take to add what a quorum lacked.
const KEEP: Duration = Duration::from_secs(30 * 86_400);

/// A price that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRecord {
    /// The instant it is for.
    pub instant: Timestamp,
    /// Millionths of a dollar for a whole coin.
    pub usd_micro: i64,
    /// The sources it is the median of, sorted.
    pub sources: Vec<String>,
    /// When it was written down.
    pub recorded: Timestamp,
}

/// What money is worth now, by what was told last; recorded nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotPrice {
    /// Millionths of a dollar for a whole coin.
    pub usd_micro: i64,
    /// When the oldest of the words was told that it is made of.
    pub told: Timestamp,
}

/// A configured source, and what it told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWord {
    /// Its name.
    pub source: String,
    /// Whose price it tells.
    pub asset: Asset,
    /// Whether a person types it.
    pub is_by_hand: bool,
    /// When it told what, in millionths of a dollar for a whole coin; of the last thirty days.
    pub told: Option<(Timestamp, i64)>,
}

/// What one source said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    source: String,
    at: Timestamp,
    usd_micro: i64,
}

/// The median of the last reports of a quorum of named sources, and their names. Pure.
fn price_of(reports: &[Report], names: &[&str], rules: &PriceRules) -> Option<(i64, Vec<String>)> {
    let mut last: BTreeMap<&str, &Report> = BTreeMap::new();
    for r in reports.iter().filter(|r| names.contains(&r.source.as_str())) {
        let newest = last.entry(&r.source).or_insert(r);
        if r.at > newest.at {
            *newest = r;
        }
    }
    let quorum = usize::try_from(rules.quorum.max(1)).unwrap_or(usize::MAX);
    if let Some(far) = rules.outlier_bps {
        let middle = median(last.values().map(|r| r.usd_micro))?;
        last.retain(|_, r| is_near(r.usd_micro, middle, far));
    }
    if last.len() < quorum {
        return None;
    }
    let price = median(last.values().map(|r| r.usd_micro))?;
    Some((price, last.into_keys().map(str::to_owned).collect()))
}

/// The lower of the middle two of an even number.
fn median(prices: impl Iterator<Item = i64>) -> Option<i64> {
    let mut prices: Vec<i64> = prices.collect();
    prices.sort_unstable();
    prices.get(prices.len().checked_sub(1)? / 2).copied()
}

/// Whether a price is within so many hundredths of a percent of the middle one.
fn is_near(price: i64, middle: i64, bps: u32) -> bool {
    u128::from(price.abs_diff(middle)) * 10_000
        <= u128::from(middle.unsigned_abs()) * u128::from(bps)
}

/// A fee in fixed point of a millionth of a dollar as an accrual in a coin: `⌊due · minor units of a coin /
/// price⌋`.
///
/// # Errors
/// [`MarketError::Overflow`], also for a price that is none.
pub fn in_coin(due: Accrual, asset: Asset, usd_micro: i64) -> Result<Accrual> {
    let overflow = || MarketError::Overflow("a fee in dollars");
    let price = u128::try_from(usd_micro).ok().filter(|p| *p > 0).ok_or_else(overflow)?;
    let unit = u128::try_from(asset.unit()).map_err(|_| overflow())?;
    let product = U256::from(due.0) * U256::from(unit);
    u128::try_from(product / U256::from(price)).map(Accrual).map_err(|_| overflow())
}

impl Market {
    /// A source's price of a coin at an instant. The first it said for an instant stands.
    ///
    /// # Errors
    /// [`MarketError::BadPrice`] for a source that is not configured, a price that is none, an instant ahead;
    /// the database's.
    pub async fn report_price(
        &self,
        source: &str,
        asset: Asset,
        at: Timestamp,
        usd_micro: i64,
    ) -> Result<()> {
        if !self.config().prices.names(asset).contains(&source) {
            return Err(MarketError::BadPrice("no such source of that coin's price is configured"));
        }
        if !(1..=PRICE_MAX).contains(&usd_micro) {
            return Err(MarketError::BadPrice(
                "a price is above zero and at most a billion dollars",
            ));
        }
        let now = self.now();
        if at > now.plus(AHEAD) {
            return Err(MarketError::BadPrice("a price cannot be told for an instant to come"));
        }
        transact!(self.store(), tx -> Result<()> => {
            tx.execute(life_sql::PUT_REPORT, &params![source, asset, at, usd_micro]).await?;
            tx.execute(life_sql::TRIM_REPORTS, &params![asset, now.minus(KEEP)]).await?;
            Ok(())
        })
    }

    /// What each configured source told last, in the order of the configuration.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_words(&self) -> Result<Vec<LastWord>> {
        let mut tx = self.store().read().await?;
        let mut all = Vec::new();
        for s in &self.config().prices.sources {
            let last = tx
                .fetch_optional(life_sql::LAST_REPORT, &params![s.name.as_str(), s.asset])
                .await?;
            let told =
                last.map(|row| Ok::<_, MarketError>((row.get("at")?, row.get("usd_micro")?)));
            all.push(LastWord {
                source: s.name.clone(),
                asset: s.asset,
                is_by_hand: s.url.is_none(),
                told: told.transpose()?,
            });
        }
        tx.rollback().await?;
        Ok(all)
    }

    /// The newest recorded prices of a coin, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn prices(&self, asset: Asset, limit: u32) -> Result<Vec<PriceRecord>> {
        let mut tx = self.store().read().await?;
        let given = params![asset, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::PRICES, &given).await?;
        tx.rollback().await?;
        let read = |row: &gruve_store::Row| {
            Ok(PriceRecord {
                instant: row.get("instant")?,
                usd_micro: row.get("usd_micro")?,
                sources: row.get::<String>("sources")?.split(',').map(str::to_owned).collect(),
                recorded: row.get("recorded_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// A page of them: those before an instant, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn prices_before(
        &self,
        asset: Asset,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<PriceRecord>> {
        let mut tx = self.store().read().await?;
        let before = before.unwrap_or(Timestamp(i64::MAX));
        let given = params![asset, before, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::PRICES_BEFORE, &given).await?;
        tx.rollback().await?;
        let read = |row: &gruve_store::Row| {
            Ok(PriceRecord {
                instant: row.get("instant")?,
                usd_micro: row.get("usd_micro")?,
                sources: row.get::<String>("sources")?.split(',').map(str::to_owned).collect(),
                recorded: row.get("recorded_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The price of a coin at a scheduled instant: as recorded, or made now of what was reported before that
    /// instant; `None` without a quorum.
    pub(crate) async fn price_at(
        &self,
        tx: &mut Tx,
        asset: Asset,
        instant: Timestamp,
    ) -> Result<Option<i64>> {
        if let Some(row) = tx.fetch_optional(life_sql::PRICE, &params![asset, instant]).await? {
            return Ok(Some(row.get("usd_micro")?));
        }
        let (rules, now) = (&self.config().prices, self.now());
        if instant > now {
            return Ok(None);
        }
        let reports = self.reports(tx, asset, instant).await?;
        let Some((price, from)) = price_of(&reports, &rules.names(asset), rules) else {
            return Ok(None);
        };
        let row = params![asset, instant, price, from.join(","), now];
        tx.execute(life_sql::PUT_PRICE, &row).await?;
        Ok(Some(price))
    }

    /// What was told of a coin within the staleness limit before an instant.
    async fn reports(&self, tx: &mut Tx, asset: Asset, instant: Timestamp) -> Result<Vec<Report>> {
        let given = params![asset, instant.minus(self.config().prices.staleness()), instant];
        let mut reports = Vec::new();
        for row in tx.fetch_all(life_sql::REPORTS, &given).await? {
            reports.push(Report {
                source: row.get("source")?,
                at: row.get("at")?,
                usd_micro: row.get("usd_micro")?,
            });
        }
        Ok(reports)
    }

    /// What money is worth at this moment, by the rules of scheduled prices: `None` without a quorum of words within
    /// the staleness limit. A dollar is a dollar.
    ///
    /// # Errors
    /// The database's.
    pub async fn spot_price(&self, tx: &mut Tx, asset: Asset) -> Result<Option<SpotPrice>> {
        let (rules, now) = (&self.config().prices, self.now());
        if asset == Asset::Usd {
            return Ok(Some(SpotPrice { usd_micro: 1_000_000, told: now }));
        }
        let reports = self.reports(tx, asset, now).await?;
        let Some((usd_micro, from)) = price_of(&reports, &rules.names(asset), rules) else {
            return Ok(None);
        };
        let last = |name: &String| reports.iter().filter(|r| r.source == *name).map(|r| r.at).max();
        let told = from.iter().filter_map(last).min().unwrap_or(now);
        Ok(Some(SpotPrice { usd_micro, told }))
    }

    /// Records the prices of a closed epoch's end, where there are sources.
    pub(crate) async fn record_price(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<()> {
        let prices = &self.config().prices;
        // Besides the coin's the price of money that is no coin: forecasts of what is paid in it need both.
        let money = Asset::ALL.into_iter().filter(|a| a.is_fiat());
        for asset in money.chain([lane.asset]).filter(|a| prices.covers(*a)) {
            self.price_at(tx, asset, lane.epoch_rule.end(epoch)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report(source: &str, at: i64, usd_micro: i64) -> Report {
        Report { source: source.into(), at: Timestamp(at), usd_micro }
    }

    fn rules(quorum: u32) -> PriceRules {
        PriceRules { quorum, ..PriceRules::default() }
    }

    #[test]
    fn the_median_of_a_quorums_last_words_is_the_price() {
        let all =
            [report("a", 1, 90), report("a", 2, 100), report("b", 1, 500), report("c", 1, 101)];
        let names = ["a", "b", "c"];
        let (price, from) = price_of(&all, &names, &rules(3)).unwrap();
        assert_eq!((price, from.len()), (101, 3));
        assert_eq!(price_of(&all, &names, &rules(4)), None);
        // A stranger does not make a quorum, and of two the lower counts.
        assert_eq!(price_of(&all, &["a", "c"], &rules(3)), None);
        assert_eq!(price_of(&all, &["a", "c"], &rules(2)).unwrap().0, 100);
    }

    #[test]
    fn a_source_far_from_the_others_is_left_out_and_does_not_make_a_quorum() {
        let all = [report("a", 1, 10_000), report("b", 1, 10_150), report("c", 1, 9_000)];
        let names = ["a", "b", "c"];
        let far = |quorum, outlier_bps| PriceRules { quorum, outlier_bps, ..PriceRules::default() };
        // 1.5 % away stays and 10 % goes; then the lower of the two that agree counts.
        let (price, from) = price_of(&all, &names, &far(2, Some(150))).unwrap();
        assert_eq!((price, from), (10_000, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(price_of(&all, &names, &far(3, Some(150))), None);
        assert_eq!(price_of(&all, &names, &far(3, Some(1_000))).unwrap().1.len(), 3);
        assert_eq!(price_of(&all, &names, &far(2, Some(149))), None, "nobody agrees with anybody");
        // Two that disagree are no quorum of two, whoever of them is right.
        let two = [report("a", 1, 10_000), report("b", 1, 20_000)];
        assert_eq!(price_of(&two, &names, &far(2, Some(500))), None);
        assert_eq!(price_of(&two, &names, &far(2, None)).unwrap().0, 10_000);
        assert_eq!(price_of(&[], &names, &far(1, Some(500))), None);
    }

    #[test]
    fn dollars_become_coins_at_the_price() {
        // Five dollars at 50,000 dollars a coin: a ten-thousandth of a coin.
        let due = Accrual::from_minor(5_000_000).unwrap();
        assert_eq!(in_coin(due, Asset::Btc, 50_000_000_000).unwrap().split().unwrap().0, 10_000);
        assert!(in_coin(due, Asset::Btc, 0).is_err());
        assert!(in_coin(Accrual(u128::MAX), Asset::Btc, 1).is_err());
    }

    proptest! {
        #[test]
        fn a_minority_of_liars_does_not_move_the_median_past_the_honest(honest in 1i64..1_000_000, lies in proptest::collection::vec(1i64..PRICE_MAX, 2)) {
            let mut all = vec![report("a", 1, honest), report("b", 1, honest + 1), report("c", 1, honest + 2)];
            all.push(report("d", 1, lies[0]));
            all.push(report("e", 1, lies[1]));
            let (price, _) = price_of(&all, &["a", "b", "c", "d", "e"], &rules(5)).unwrap();
            prop_assert!((honest..=honest + 2).contains(&price));
        }
    }
}
