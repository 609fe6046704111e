//! One purchase, from its payment to its end.

use super::history::{DIFFICULTY_SCALE, History};
use super::offer::{Offer, Price, Unprofitable};
use super::{AppraiseError, Date};
use gruve_units::Asset;
use ruint::aliases::U256;
use serde::Serialize;

/// Parts of a minor unit that earnings are counted in.
const FIXED: u128 = 1 << 64;

/// How a purchase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its term was over.
    Term,
    /// The offer's rule ended it for being unprofitable.
    Unprofitable,
    /// It had not ended when the history did. Not counted among the finished.
    Runs,
}

/// What a buyer of one day got. Money in micro-dollars, coins in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The day of payment.
    pub bought: Date,
    /// The last day that is in the figures.
    pub until: Date,
    /// How it ended.
    pub ended: Ended,
    /// Days on which it mined.
    pub days_mined: u32,
    /// Days whose earnings did not cover the fee.
    pub days_unprofitable: u32,
    /// What was paid at the beginning.
    pub paid_usd: i128,
    /// What the hashes earned, before any fee.
    pub mined: u128,
    /// What was left after all fees and could be withdrawn.
    pub received: u128,
    /// What was left after fees, sold on the day it was earned, less what the buyer had to add.
    pub sold_daily_usd: i128,
    /// What was received, sold on the last day, less what the buyer had to add.
    pub held_usd: i128,
    /// The coins that the same money would have bought on the day of payment.
    pub instead: u128,
    /// The first day on which what was sold daily covered what was paid.
    pub break_even: Option<Date>,
}

impl Outcome {
    /// What came back of what was paid when sold daily, in thousandths; `None` when nothing was paid.
    #[must_use]
    pub fn returned_per_mille(&self) -> Option<i64> {
        (self.paid_usd > 0)
            .then(|| i64::try_from(self.sold_daily_usd * 1_000 / self.paid_usd).unwrap_or(i64::MAX))
    }

    /// Whether the buyer got back at least what was paid.
    #[must_use]
    pub fn money_back(&self) -> bool {
        self.sold_daily_usd >= self.paid_usd
    }
}

/// A day of the history as this offer sees it. Coins in fixed point, 64 fractional bits.
#[derive(Clone, Copy, Debug)]
struct Daily {
    gross: u128,
    /// After the service fee.
    net: u128,
    /// Maintenance and energy.
    fee: u128,
    /// Micro-dollars a coin.
    price: u64,
}

/// An offer held against a history, ready to be bought on any of its days.
pub struct Backtest<'a> {
    offer: &'a Offer,
    first: Date,
    days: Vec<Daily>,
}

/// Prepares an offer to be bought on any day of a history.
///
/// # Errors
/// When the history is another coin's, or an amount does not fit.
pub fn backtest<'a>(offer: &'a Offer, history: &History) -> Result<Backtest<'a>, AppraiseError> {
    if offer.asset != history.asset() {
        let why = format!("it mines {}, and the history is of {}", offer.asset, history.asset());
        return Err(AppraiseError::Offer(why));
    }
    let days = history.days().iter().map(|d| daily(offer, d)).collect::<Result<_, _>>()?;
    Ok(Backtest { offer, first: history.first(), days })
}

/// Hashes that a block takes on average, as a fraction: `difficulty · numerator / denominator`.
fn hashes_per_difficulty(asset: Asset) -> (u64, u64) {
    match asset {
        // An Ethash chain's difficulty is the number of hashes.
        Asset::Etc | Asset::Eth => (1, 1),
        // Difficulty one is target 0xffff · 2^208.
        _ => (1 << 48, 65_535),
    }
}

fn daily(offer: &Offer, day: &super::Day) -> Result<Daily, AppraiseError> {
    const TERA: u128 = 1_000_000_000_000;
    let wide = U256::from::<u128>;
    let fixed = wide(FIXED);
    let fit =
        |v: U256, what: &'static str| u128::try_from(v).map_err(|_| AppraiseError::TooLarge(what));
    let hashes = offer.hashrate.0 * 86_400 * u128::from(offer.uptime_bps) / 10_000;
    let (per, of) = hashes_per_difficulty(offer.asset);
    let reward = u128::from(day.subsidy) + u128::from(day.fees.unwrap_or(0));
    let above = wide(hashes) * wide(reward) * wide(u128::from(of) * DIFFICULTY_SCALE);
    let below = wide(day.difficulty) * wide(u128::from(per));
    if above.leading_zeros() < 64 {
        return Err(AppraiseError::TooLarge("a day's earnings"));
    }
    let gross = fit(above * fixed / below, "a day's earnings")?;
    let service =
        fit((wide(gross) * wide(offer.service_bps.into())).div_ceil(wide(10_000)), "a fee")?;
    let work_day = wide(TERA * 86_400);
    let usd = (wide(hashes) * wide(offer.fee_usd_per_th_day.into())).div_ceil(work_day);
    let unit = wide(offer.asset.unit().unsigned_abs().into());
    let in_coin = (usd * unit * fixed).div_ceil(wide(day.price.into()));
    let minor = (wide(hashes) * wide(offer.fee_minor_per_th_day.into()) * fixed).div_ceil(work_day);
    let fee = fit(in_coin + minor, "a fee")?;
    Ok(Daily { gross, net: gross - service, fee, price: day.price })
}

/// What is added up on the way.
#[derive(Default)]
struct Sums {
    mined: U256,
    received: U256,
    usd: i128,
    debt: i128,
    days_mined: u32,
    days_unprofitable: u32,
    in_a_row: u32,
}

impl Backtest<'_> {
    /// The purchase of one day.
    ///
    /// # Errors
    /// When the history does not know the day.
    pub fn buy(&self, bought: Date) -> Result<Outcome, AppraiseError> {
        let days = i32::try_from(self.days.len()).unwrap_or(i32::MAX);
        let at = usize::try_from(bought.since(self.first)).ok();
        let Some((at, today)) = at.and_then(|i| self.days.get(i).map(|d| (i, d))) else {
            let last = self.first.plus(days - 1);
            let asked = format!("{bought} is not in it");
            return Err(AppraiseError::OutOfHistory { first: self.first, last, asked });
        };
        let paid_usd = match self.offer.price {
            Price::Usd(usd) => i128::from(usd),
            Price::Coin(minor) => self.usd(u128::from(minor), today.price),
        };
        let mut sums = Sums::default();
        let mut ended = Ended::Runs;
        let mut break_even = None;
        let mut until = at;
        let first = at.saturating_add(self.offer.starts_after_days as usize);
        for (i, day) in self.days.iter().enumerate().skip(first) {
            until = i;
            self.mine(day, break_even.is_some(), &mut sums);
            if break_even.is_none() && paid_usd > 0 && sums.usd - sums.debt >= paid_usd {
                break_even = Some(self.date(i));
            }
            if let Some(how) = self.is_over(&sums) {
                ended = how;
                break;
            }
        }
        Ok(self.outcome(bought, until, ended, paid_usd, break_even, today.price, &sums))
    }

    /// The purchases of every day from one to another, both included.
    ///
    /// # Errors
    /// When the history does not know one of them.
    pub fn buy_each(&self, from: Date, to: Date) -> Result<Vec<Outcome>, AppraiseError> {
        (0..=to.since(from)).map(|i| self.buy(from.plus(i))).collect()
    }

    fn mine(&self, day: &Daily, after_break_even: bool, sums: &mut Sums) {
        let short = day.fee > day.net;
        sums.days_unprofitable += u32::from(short);
        sums.in_a_row = if short { sums.in_a_row + 1 } else { 0 };
        if short && self.offer.unprofitable == Unprofitable::Pause {
            return;
        }
        sums.days_mined += 1;
        sums.mined += U256::from(day.gross);
        let mut kept = day.net.saturating_sub(day.fee);
        if after_break_even {
            let share = u128::from(self.offer.operator_share_after_break_even_bps);
            kept -= (U256::from(kept) * U256::from(share))
                .div_ceil(U256::from(10_000u32))
                .saturating_to::<u128>();
        }
        sums.received += U256::from(kept);
        sums.usd += self.usd_of_fixed(kept, day.price);
        if short && self.offer.unprofitable == Unprofitable::Debt {
            sums.debt += self.usd_of_fixed(day.fee - day.net, day.price) + 1;
        }
    }

    fn is_over(&self, sums: &Sums) -> Option<Ended> {
        if self.offer.term_days.is_some_and(|term| sums.days_mined >= term) {
            return Some(Ended::Term);
        }
        match self.offer.unprofitable {
            Unprofitable::End { after_days } if sums.in_a_row >= after_days => {
                Some(Ended::Unprofitable)
            }
            _ => None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of what it makes")]
    fn outcome(
        &self,
        bought: Date,
        until: usize,
        ended: Ended,
        paid_usd: i128,
        break_even: Option<Date>,
        first_price: u64,
        sums: &Sums,
    ) -> Outcome {
        let whole = |v: U256| (v / U256::from(FIXED)).saturating_to::<u128>();
        let all = whole(sums.received);
        let received = if all < u128::from(self.offer.minimum_payout) { 0 } else { all };
        let last_price = self.days.get(until).map_or(first_price, |d| d.price);
        let unit = u128::from(self.offer.asset.unit().unsigned_abs());
        let instead = u128::try_from(paid_usd).unwrap_or(0) * unit / u128::from(first_price);
        // What never reached the least payout was never sold either.
        let sold = if received == 0 { 0 } else { sums.usd };
        Outcome {
            bought,
            until: self.date(until),
            ended,
            days_mined: sums.days_mined,
            days_unprofitable: sums.days_unprofitable,
            paid_usd,
            mined: whole(sums.mined),
            received,
            sold_daily_usd: sold - sums.debt,
            held_usd: self.usd(received, last_price) - sums.debt,
            instead,
            break_even: break_even.filter(|_| received > 0),
        }
    }

    fn date(&self, at: usize) -> Date {
        self.first.plus(i32::try_from(at).unwrap_or(i32::MAX))
    }

    /// Micro-dollars of minor units, rounded down.
    fn usd(&self, minor: u128, price: u64) -> i128 {
        let unit = U256::from(self.offer.asset.unit().unsigned_abs());
        let usd = U256::from(minor) * U256::from(price) / unit;
        usd.saturating_to::<u128>().try_into().unwrap_or(i128::MAX)
    }

    /// The same of minor units in fixed point.
    fn usd_of_fixed(&self, fixed: u128, price: u64) -> i128 {
        let unit = U256::from(self.offer.asset.unit().unsigned_abs()) * U256::from(FIXED);
        let usd = U256::from(fixed) * U256::from(price) / unit;
        usd.saturating_to::<u128>().try_into().unwrap_or(i128::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Day, offer::tests::offer};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn first() -> Date {
        Date::new(2020, 1, 1).unwrap()
    }

    /// Days at difficulty 2^16·65535 (a block is 2^64 hashes), ten coins a block.
    fn history(prices: &[u64]) -> History {
        let difficulty = (65_535u128 << 16) * DIFFICULTY_SCALE;
        let day =
            |p: &u64| Day { price: p * 1_000_000, difficulty, subsidy: 10_0000_0000, fees: None };
        History::from_days(Asset::Btc, first(), prices.iter().map(day).collect())
    }

    /// 2^64/86400 H/s, rounded up: one block a day, a hair more.
    const BLOCK_A_DAY: &str = "213503982334602";

    fn buy(change: &[(&str, serde_json::Value)], prices: &[u64]) -> Outcome {
        let mut all = vec![("hashrate", json!(BLOCK_A_DAY)), ("fee_usd_per_th_day", json!("0"))];
        all.extend(change.iter().cloned());
        let offer = offer(&all).unwrap();
        backtest(&offer, &history(prices)).unwrap().buy(first()).unwrap()
    }

    #[test]
    fn a_block_a_day_earns_a_blocks_reward_a_day() {
        let o = buy(&[("price_usd", json!("25")), ("term_days", json!(3))], &[1, 2, 3, 4]);
        assert_eq!(o.mined, 30_0000_0000);
        assert_eq!(o.received, 30_0000_0000);
        assert_eq!(o.ended, Ended::Term);
        assert_eq!((o.days_mined, o.until), (3, first().plus(2)));
        assert_eq!(o.sold_daily_usd, 60_000_000, "10 coins at 1, at 2 and at 3");
        assert_eq!(o.held_usd, 90_000_000, "30 coins at 3");
        assert_eq!(o.instead, 25_0000_0000);
        assert_eq!(o.break_even, Some(first().plus(1)), "10 + 20 dollars cover 25");
        assert_eq!(o.returned_per_mille(), Some(2_400));
    }

    #[test]
    fn fees_take_at_most_the_earnings_unless_the_terms_say_debt() {
        // The fee is 42.7 dollars a day; ten coins are worth 10, then 100, then 10.
        let fee = ("fee_usd_per_th_day", json!("0.2"));
        let prices = [1, 10, 1];
        let run = buy(&[fee.clone(), ("term_days", json!(3))], &prices);
        assert_eq!((run.days_mined, run.days_unprofitable), (3, 2));
        assert!(run.sold_daily_usd > 57_000_000 && run.sold_daily_usd < 57_400_000);
        let debt = buy(
            &[fee.clone(), ("term_days", json!(3)), ("unprofitable", json!({"rule": "debt"}))],
            &prices,
        );
        assert!(debt.sold_daily_usd < run.sold_daily_usd - 65_000_000);
        let end =
            buy(&[fee.clone(), ("unprofitable", json!({"rule": "end", "after_days": 1}))], &prices);
        assert_eq!((end.ended, end.days_mined, end.received), (Ended::Unprofitable, 1, 0));
        let pause = buy(
            &[fee, ("term_days", json!(1)), ("unprofitable", json!({"rule": "pause"}))],
            &prices,
        );
        assert_eq!((pause.ended, pause.days_mined), (Ended::Term, 1));
        assert_eq!(pause.until, first().plus(1), "the term stood still on the first day");
    }

    #[test]
    fn what_stays_below_the_least_payout_is_never_received() {
        let o = buy(&[("term_days", json!(2)), ("minimum_payout", json!("20.1"))], &[5, 5, 5]);
        assert_eq!(
            (o.mined, o.received, o.sold_daily_usd, o.break_even),
            (20_0000_0000, 0, 0, None)
        );
    }

    #[test]
    fn after_break_even_the_operator_takes_its_share_of_what_is_left() {
        let o = buy(
            &[
                ("price_usd", json!("10")),
                ("term_days", json!(3)),
                ("operator_share_after_break_even_percent", json!("40")),
            ],
            &[1, 1, 1],
        );
        assert_eq!(o.received, 22_0000_0000, "ten whole, then six and six");
    }

    #[test]
    fn a_purchase_that_the_history_does_not_see_end_is_said_to_run() {
        let o = buy(&[("term_days", json!(5))], &[1, 1]);
        assert_eq!((o.ended, o.days_mined), (Ended::Runs, 2));
        let offer = offer(&[]).unwrap();
        let test = backtest(&offer, &history(&[1])).map_err(|e| e.to_string()).unwrap();
        assert!(matches!(test.buy(first().plus(1)), Err(AppraiseError::OutOfHistory { .. })));
        assert!(matches!(test.buy(first().plus(-1)), Err(AppraiseError::OutOfHistory { .. })));
    }

    proptest! {
        #[test]
        fn a_buyer_never_receives_more_than_was_mined_nor_less_for_a_lower_fee(
            prices in proptest::collection::vec(1u64..100_000, 1..60),
            fee in 0u32..5_000, more in 1u32..5_000, service in 0u32..100,
            rule in 0usize..4, start in 0u32..5,
        ) {
            let rule = [json!({"rule": "run"}), json!({"rule": "pause"}),
                json!({"rule": "end", "after_days": 3}), json!({"rule": "debt"})][rule].clone();
            let with = |fee: u32| buy(&[
                ("fee_usd_per_th_day", json!(format!("{}.{:03}", fee / 1000, fee % 1000))),
                ("service_percent", json!(service.to_string())), ("unprofitable", rule.clone()),
                ("starts_after_days", json!(start)), ("term_days", json!(30)),
            ], &prices);
            let (low, high) = (with(fee), with(fee + more));
            prop_assert!(low.received <= low.mined);
            prop_assert!(low.held_usd <= i128::MAX / 2);
            if rule["rule"] == "run" || rule["rule"] == "debt" {
                prop_assert!(high.received <= low.received);
                prop_assert!(high.sold_daily_usd <= low.sold_daily_usd);
            }
        }
    }
}
