//! One purchase, from its payment to its end.

use super::history::{DIFFICULTY_SCALE, History};
use super::offer::{Fee, Offer, Per, Price, TERA, Unprofitable};
use super::summary::quantile;
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
    /// What was paid along the way with money of the buyer's own, whatever was earned; each day's at that day's price.
    pub along_usd: i128,
    /// What the hashes earned, before any fee.
    pub mined: u128,
    /// What was left after all fees and could be withdrawn.
    pub received: u128,
    /// What was left after fees, sold on the day it was earned, less what the buyer had to add.
    pub sold_daily_usd: i128,
    /// What was received, sold on the last day, less what the buyer had to add.
    pub held_usd: i128,
    /// The coins that the same money would have bought on the days of payment.
    pub instead: u128,
    /// The first day on which what was sold daily covered what was paid.
    pub break_even: Option<Date>,
}

impl Outcome {
    /// What came back of what was paid when sold daily, in thousandths; where nothing is paid at the beginning, of what was
    /// paid along the way. `None` when nothing was paid.
    #[must_use]
    pub fn returned_per_mille(&self) -> Option<i64> {
        let (came, of) = if self.paid_usd > 0 {
            (self.sold_daily_usd, self.paid_usd)
        } else {
            (self.sold_daily_usd + self.along_usd, self.along_usd)
        };
        (of > 0).then(|| i64::try_from(came * 1_000 / of).unwrap_or(i64::MAX))
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
    /// What is taken out of the earnings.
    fee: u128,
    /// What is paid beside them.
    paid: u128,
    /// The same in micro-dollars, rounded up.
    paid_usd: i128,
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
    let first = history.first();
    let mut days = Vec::with_capacity(history.days().len());
    for (i, day) in (0..).zip(history.days()) {
        days.push(daily(offer, day, first.plus(i))?);
    }
    Ok(Backtest { offer, first, days })
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

/// A day's fee in fixed-point minor units of the coin and in micro-dollars, both rounded up.
fn due(
    offer: &Offer,
    fee: &Fee,
    hashes: u128,
    (date, coin): (Date, u64),
) -> Result<(U256, U256), AppraiseError> {
    let wide = U256::from::<u128>;
    let unit_of = |asset: Asset| wide(asset.unit().unsigned_abs().into());
    let (unit, coin) = (unit_of(offer.asset), wide(coin.into()));
    let (work, of) = match fee.per {
        Per::Day(rate) => (wide(hashes), wide(rate.0) * wide(86_400)),
        Per::AnyDay => (wide(1), wide(1)),
    };
    let usd = match &fee.price {
        Price::Coin(minor) => {
            let above = work * wide((*minor).into());
            let fixed = (above * wide(FIXED)).div_ceil(of);
            return Ok((fixed, (above * coin).div_ceil(of * unit)));
        }
        Price::Usd(micro) => (work * wide((*micro).into())).div_ceil(of),
        Price::Other(minor, money) => {
            let worth = wide(money.usd_micro(date)?.into());
            (work * wide((*minor).into()) * worth).div_ceil(of * unit_of(money.asset()))
        }
    };
    Ok(((usd * unit * wide(FIXED)).div_ceil(coin), usd))
}

fn daily(offer: &Offer, day: &super::Day, date: Date) -> Result<Daily, AppraiseError> {
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
    let (mut fee, mut paid, mut paid_usd) = (U256::ZERO, U256::ZERO, U256::ZERO);
    for one in &offer.fees {
        let (coins, usd) = due(offer, one, hashes, (date, day.price))?;
        if one.is_paid {
            paid += coins;
            paid_usd += usd;
        } else {
            fee += coins;
        }
    }
    let (fee, paid) = (fit(fee, "a fee")?, fit(paid, "a fee")?);
    let paid_usd = i128::try_from(paid_usd).map_err(|_| AppraiseError::TooLarge("a fee"))?;
    Ok(Daily { gross, net: gross - service, fee, paid, paid_usd, price: day.price })
}

/// What is added up on the way.
#[derive(Default)]
struct Sums {
    mined: U256,
    received: U256,
    usd: i128,
    debt: i128,
    /// What waits to be enough to be received: gross, net and fees.
    waiting: (U256, U256, U256),
    along_usd: i128,
    /// The coins that were paid along the way or could have been bought for it.
    along: U256,
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
        let paid_usd = match &self.offer.price {
            Price::Usd(usd) => i128::from(*usd),
            Price::Coin(minor) => self.usd(u128::from(*minor), today.price),
            Price::Other(minor, money) => {
                let usd = U256::from(*minor) * U256::from(money.usd_micro(bought)?);
                let unit = U256::from(money.asset().unit().unsigned_abs());
                i128::try_from(usd.div_ceil(unit)).unwrap_or(i128::MAX)
            }
        };
        let mut sums = Sums::default();
        let mut ended = Ended::Runs;
        let mut break_even = None;
        let mut until = at;
        let first = at.saturating_add(self.offer.starts_after_days as usize);
        for (i, day) in self.days.iter().enumerate().skip(first) {
            until = i;
            let over = self.mine(day, break_even.is_some(), &mut sums);
            if break_even.is_none()
                && paid_usd > 0
                && sums.usd - sums.debt - sums.along_usd >= paid_usd
            {
                break_even = Some(self.date(i));
            }
            if let Some(how) = over {
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

    /// A day of it, and how it ended if it did.
    fn mine(&self, day: &Daily, after_break_even: bool, sums: &mut Sums) -> Option<Ended> {
        let short = day.fee + day.paid > day.net;
        sums.days_unprofitable += u32::from(short);
        sums.in_a_row = if short { sums.in_a_row + 1 } else { 0 };
        if short && self.offer.unprofitable == Unprofitable::Pause {
            return None;
        }
        sums.days_mined += 1;
        sums.mined += U256::from(day.gross);
        sums.along_usd += day.paid_usd;
        sums.along += U256::from(day.paid);
        let (gross, net, fee) = &mut sums.waiting;
        *gross += U256::from(day.gross);
        *net += U256::from(day.net);
        *fee += U256::from(day.fee);
        let over = self.is_over(sums);
        let whole = sums.waiting.0 / U256::from(FIXED);
        if over.is_some() || whole >= U256::from(self.offer.waits_for) {
            let (_, net, fee) = std::mem::take(&mut sums.waiting);
            self.receive((net, fee), day.price, after_break_even, sums);
        }
        over
    }

    /// What has waited is received, less the fees that are taken out of it.
    fn receive(&self, (net, fee): (U256, U256), price: u64, shares: bool, sums: &mut Sums) {
        let mut kept = net.saturating_sub(fee);
        if shares {
            let share = U256::from(self.offer.operator_share_after_break_even_bps);
            kept -= (kept * share).div_ceil(U256::from(10_000u32));
        }
        sums.received += kept;
        sums.usd += self.usd_of_fixed(kept, price);
        let owes =
            matches!(self.offer.unprofitable, Unprofitable::Debt | Unprofitable::Stop { .. });
        if owes && fee > net {
            sums.debt += self.usd_of_fixed(fee - net, price) + 1;
        }
    }

    fn is_over(&self, sums: &Sums) -> Option<Ended> {
        if self.offer.term_days.is_some_and(|term| sums.days_mined >= term) {
            return Some(Ended::Term);
        }
        match self.offer.unprofitable {
            Unprofitable::End { after_days } | Unprofitable::Stop { after_days }
                if sums.in_a_row >= after_days =>
            {
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
        let at_first = u128::try_from(paid_usd).unwrap_or(0) * unit / u128::from(first_price);
        let instead = at_first.saturating_add(whole(sums.along));
        // What never reached the least payout was never sold either.
        let sold = if received == 0 { 0 } else { sums.usd };
        Outcome {
            bought,
            until: self.date(until),
            ended,
            days_mined: sums.days_mined,
            days_unprofitable: sums.days_unprofitable,
            paid_usd,
            along_usd: sums.along_usd,
            mined: whole(sums.mined),
            received,
            sold_daily_usd: sold - sums.debt - sums.along_usd,
            held_usd: self.usd(received, last_price) - sums.debt - sums.along_usd,
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
    fn usd_of_fixed(&self, fixed: U256, price: u64) -> i128 {
        let unit = U256::from(self.offer.asset.unit().unsigned_abs()) * U256::from(FIXED);
        let usd = fixed * U256::from(price) / unit;
        usd.saturating_to::<u128>().try_into().unwrap_or(i128::MAX)
    }

    /// What a TH and day earned after the service fee and what it cost, day by day from one to another, both included, each
    /// in micro-dollars; for offers that are paid along the way.
    ///
    /// # Errors
    /// When the history does not know one of them.
    pub fn along(&self, from: Date, to: Date) -> Result<Along, AppraiseError> {
        let at = |day: Date| usize::try_from(day.since(self.first)).ok();
        let days = at(from).zip(at(to)).and_then(|(from, to)| self.days.get(from..=to));
        let days = days.filter(|d| !d.is_empty()).ok_or_else(|| {
            let last = self.date(self.days.len().saturating_sub(1));
            let asked = format!("{from} to {to} is not in it");
            AppraiseError::OutOfHistory { first: self.first, last, asked }
        })?;
        let per_th = |fixed: u128, price: u64| {
            let scaled = U256::from(fixed) * U256::from(TERA.0) / U256::from(self.offer.hashrate.0);
            self.usd_of_fixed(scaled, price)
        };
        let pairs: Vec<(i128, i128)> = days
            .iter()
            .map(|d| (per_th(d.net, d.price), per_th(d.fee.saturating_add(d.paid), d.price)))
            .collect();
        let sorted = |pick: fn(&(i128, i128)) -> i128| {
            let mut all: Vec<i128> = pairs.iter().map(pick).collect();
            all.sort_unstable();
            [100, 500, 900].map(|q| quantile(&all, q).unwrap_or(0))
        };
        Ok(Along {
            days: pairs.len(),
            days_covered: days.iter().filter(|d| d.net >= d.fee + d.paid).count(),
            earned_usd: sorted(|p| p.0),
            cost_usd: sorted(|p| p.1),
            last_earned_usd: pairs.last().map_or(0, |p| p.0),
            last_cost_usd: pairs.last().map_or(0, |p| p.1),
        })
    }
}

/// What a TH and day earned and cost. Micro-dollars; the three numbers are a tenth, the median and nine tenths of the days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Along {
    /// Days looked at.
    pub days: usize,
    /// Of them, whose earnings covered what was due.
    pub days_covered: usize,
    /// After the service fee.
    pub earned_usd: [i128; 3],
    /// All that was due.
    pub cost_usd: [i128; 3],
    /// On the last day.
    pub last_earned_usd: i128,
    /// On the last day.
    pub last_cost_usd: i128,
}

#[cfg(test)]
mod tests;
