//! What a quote may earn: futures of difficulty and price drawn from the past, with the luck of finding blocks. Pure.
//!
//! # The model (`past 2`; `past-of-another 2` for coins without a past)
//! Each future has a path of difficulty and price, drawn from the coin's own past ([`past`]); for coins without one from
//! the most unsteady past of another, without its trend. Difficulty moves in them as much more widely as past futures would have had to
//! for their interval to hold what came ([`widths`]). Subsidy, fees and the lane's hashrate stay as they are. In units of one block's work the lane works
//! through *U* units in the term, fewer as difficulty rises, and the buyer has its part *s* of them, by hashrate.
//! Blocks are found at random, one a unit on average (a Poisson process); a block found after *t* units pays
//! `reward · s · (min(t, U) − max(0, t − 8)) / 8`, which is unit PPLNS with a window of eight blocks, until the last of
//! the bought units leaves the window. Under SOLO the contract's own blocks are its own whole; under FPPS there is no luck. Fee and maintenance are taken as the terms say, maintenance in dollars at the
//! future's prices. A price that is paid in dollars comes back by what the first coin brings at the future's prices when
//! it brings it; so does one in other money whose price in dollars is recorded, counted at that price as it is now. What is
//! paid along with the work (by the meter, for electricity and hosting) is taken evenly over the time. Futures are drawn in [`STEPS`] steps each with SplitMix64, so that the same figures and seed give the
//! same forecast.
//!
//! What it leaves out is said with it: a halving, machines that stop. Floats stand here, since
//! a future is drawn and not counted; nobody is paid by it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "drawn amounts, rounded for people; nobody is paid by them"
)]

pub(crate) mod drawing;
pub mod past;
pub(crate) mod stretches;
pub(crate) mod widths;
mod words;

use crate::Scheme;
use drawing::{Coin, Progress, SplitMix64, future};
use gruve_statement::terms::Money;
use gruve_units::{Asset, Bps};
use past::{Past, Path};
use serde::{Deserialize, Serialize};

/// Futures drawn: the interval's ends then move by a percent or so with the seed.
pub const SCENARIOS: u32 = 500;
/// Steps of a future.
const STEPS: u32 = 200;
/// The model's name and version. Of the first one futures lay no farther apart than their past.
pub const MODEL: &str = "past 2";
/// The same for coins without a past of their own.
pub const MODEL_OF_ANOTHER: &str = "past-of-another 2";
/// Of forecasts in which nothing moved, from before there was that.
pub const MODEL_STILL: &str = "lane-now 1";

/// The lane as one of its coins sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainNow {
    /// Which coin.
    pub asset: Asset,
    /// Hashes of a block, a decimal string.
    pub block_hashes: String,
    /// What a block pays: subsidy and average fees, minor units.
    pub reward_minor: i64,
    /// Upkeep for a TH·day in this coin, minor units; zero where none is taken from it.
    pub upkeep_minor_per_th_day: u64,
}

/// What a forecast is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Hashes per second of the lane, all machines.
    pub lane_hashrate: String,
    /// Hashes per second bought.
    pub hashrate: String,
    /// The term in seconds.
    pub term_secs: u64,
    /// The operator's part.
    pub fee_bps: u16,
    /// Each coin, in the order in which upkeep is taken.
    pub chains: Vec<ChainNow>,
    /// What is paid.
    pub price: Money,
    /// Whose past difficulty and price are drawn from; none: they stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Asset>,
    /// The first coin's price now, millionths of a dollar, where one is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_micro: Option<i64>,
    /// Upkeep in dollars for a TH·day, millionths.
    #[serde(default)]
    pub upkeep_usd_micro_per_th_day: u64,
    /// Where the random numbers begin, a decimal string.
    pub seed: String,
    /// How many futures.
    pub scenarios: u32,
    /// How the work earns; forecasts of before said nothing of it and were all drawn as PPLNS.
    #[serde(default, skip_serializing_if = "is_pplns")]
    pub scheme: Scheme,
    /// What a whole unit of the price's own money is worth now, millionths of a dollar, where it is not dollars and a
    /// price is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_usd_micro: Option<i64>,
    /// What is paid along with the time, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_pplns(scheme: &Scheme) -> bool {
    *scheme == Scheme::Pplns
}

/// What is paid evenly over the term: by the meter, or a machine's electricity and hosting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// For the whole term.
    pub money: Money,
    /// What a whole unit of that money is worth now, as [`Given::pay_usd_micro`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_micro: Option<i64>,
    /// Whether it is only taken from what is earned, and waived beyond that.
    #[serde(default)]
    pub is_waived: bool,
}

/// What one coin may bring after all fees, minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetForecast {
    /// Which coin.
    pub asset: Asset,
    /// The mean.
    pub expected_minor: i64,
    /// One future in twenty brings less.
    pub low_minor: i64,
    /// One future in twenty brings more.
    pub high_minor: i64,
    /// The operator's part, in the mean; taken off already.
    #[serde(default)]
    pub fee_minor: i64,
    /// Upkeep, in the mean; taken off already.
    #[serde(default)]
    pub upkeep_minor: i64,
}

/// What is left when all that is paid is taken off, in the price's money, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The price's money.
    pub asset: Asset,
    /// The mean.
    pub expected_minor: i64,
    /// One future in twenty ends below.
    pub low_minor: i64,
    /// One future in twenty ends above.
    pub high_minor: i64,
}

/// What a quote may earn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteForecast {
    /// [`MODEL`].
    pub model: String,
    /// From what.
    pub given: Given,
    /// Coin by coin, the price's own first where it is earned.
    pub assets: Vec<AssetForecast>,
    /// Futures in which the price comes back, in thousandths; none where the price is in another asset than is earned.
    pub break_even_per_mille: Option<u32>,
    /// In the middle one of those: after how many seconds.
    pub break_even_secs: Option<u64>,
    /// Whether the buyer should expect to lose: the mean brings less than the price.
    pub expects_loss: Option<bool>,
    /// What is left in the end; none where no price is known that the earnings could be counted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The same in words, with what the model leaves out.
    pub words: Vec<String>,
}

fn number(text: &str) -> Option<f64> {
    text.parse::<u128>().ok().map(|n| n as f64)
}

impl Given {
    fn th_days(&self) -> f64 {
        number(&self.hashrate).unwrap_or(0.0) / 1e12 * self.term_secs as f64 / 86_400.0
    }

    fn coins(&self) -> Option<(f64, Vec<Coin>)> {
        let own = number(&self.hashrate)?;
        // The buyer's own hashrate is part of the lane's.
        let lane = number(&self.lane_hashrate)?.max(own);
        let th_days = self.th_days();
        let coin = |c: &ChainNow| {
            let block = number(&c.block_hashes).filter(|b| *b > 0.0)?;
            Some(Coin {
                reward: c.reward_minor as f64,
                upkeep: th_days * c.upkeep_minor_per_th_day as f64,
                seconds_per_unit: block / lane,
            })
        };
        let coins = self.chains.iter().map(coin).collect::<Option<Vec<_>>>()?;
        (own > 0.0 && self.term_secs > 0 && !coins.is_empty()).then(|| (own / lane, coins))
    }

    /// Whether the past that is drawn from is another coin's.
    pub(crate) fn is_of_another(&self) -> bool {
        let own = self.chains.first().map(|c| Past::drawn_for(c.asset));
        self.past.is_some_and(|of| self.chains.iter().all(|c| c.asset != of) && own == Some(of))
    }

    /// Millionths of a dollar for a minor unit of the first coin, now.
    fn minor_now(&self) -> Option<f64> {
        let first = self.chains.first()?;
        Some(self.usd_micro? as f64 / first.asset.unit() as f64)
    }

    /// The mean of what a dollar counts in the first coin over the term, against now.
    fn dollar_over_term(&self, path: &Path) -> f64 {
        let step = self.term_secs as f64 / f64::from(STEPS);
        let parts = (0..STEPS).map(|k| 1.0 / path.at((f64::from(k) + 0.5) * step).0);
        parts.sum::<f64>() / f64::from(STEPS)
    }

    /// Upkeep in dollars as minor units of the first coin, by the prices of a future; nothing without a price.
    fn upkeep_in_coin(&self, path: &Path) -> f64 {
        let (Some(minor), true) = (self.minor_now(), self.upkeep_usd_micro_per_th_day > 0) else {
            return 0.0;
        };
        let dollars = self.th_days() * self.upkeep_usd_micro_per_th_day as f64;
        dollars / minor * self.dollar_over_term(path)
    }

    /// What is paid along with the time, as minor units of the coin that the price is measured by.
    fn running_in_coin(&self, at: usize, path: &Path) -> Option<f64> {
        let Some(r) = &self.running else { return Some(0.0) };
        let paid = r.money.minor as f64;
        if self.chains.get(at)?.asset == r.money.asset {
            return Some(paid);
        }
        let dollars = paid * micro(r.money.asset, r.usd_micro)?;
        (at == 0).then_some(dollars / self.minor_now()? * self.dollar_over_term(path))
    }

    /// Of which moneys a price in dollars is missing before the price can be held against what is earned.
    pub(crate) fn without_price(&self) -> Vec<Asset> {
        let earned = |asset| self.chains.iter().any(|c| c.asset == asset);
        let mut missing = Vec::new();
        if let Some(first) = self.chains.first().filter(|_| self.usd_micro.is_none()) {
            missing.push(first.asset);
        }
        let running = self.running.map(|r| (r.money.asset, r.usd_micro));
        for (asset, price) in std::iter::once((self.price.asset, self.pay_usd_micro)).chain(running)
        {
            if !earned(asset) && micro(asset, price).is_none() && !missing.contains(&asset) {
                missing.push(asset);
            }
        }
        missing
    }
}

/// Millionths of a dollar for a minor unit of money, at its recorded price.
fn micro(asset: Asset, usd_micro: Option<i64>) -> Option<f64> {
    let price = if asset == Asset::Usd { Some(1_000_000) } else { usd_micro };
    Some(price? as f64 / asset.unit() as f64)
}

/// Which coin brings the price back, and what a minor unit of it counts, now, in the price's.
fn measure(given: &Given) -> Option<(usize, f64)> {
    let own = given.chains.iter().position(|c| c.asset == given.price.asset);
    let in_money = || {
        let money = micro(given.price.asset, given.pay_usd_micro).filter(|m| *m > 0.0)?;
        given.minor_now().map(|minor| (0, minor / money))
    };
    let found = own.map(|at| (at, 1.0)).or_else(in_money)?;
    given.running_in_coin(found.0, &Path::still()).map(|_| found)
}

/// What is due of a coin along with the work, and how it is counted in the price's money.
struct Count<'a> {
    /// Upkeep, minor units.
    upkeep: f64,
    /// What is paid along, minor units, and whether it is waived where nothing is earned.
    running: f64,
    is_waived: bool,
    term: f64,
    /// A minor unit in the price's.
    unit: f64,
    /// By the prices of a future, where the price is not in the coin itself.
    path: Option<&'a Path>,
}

impl Count<'_> {
    /// What a future's coins come to in the price's units, less what is due, step by step.
    fn worth(&self, sums: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let (mut before, mut value) = (0.0, 0.0);
        let mut all = Vec::with_capacity(sums.len());
        for (at, sum) in sums {
            // Both fall due with the work.
            let part = (at / self.term).min(1.0);
            let earned = sum - self.upkeep * part;
            let left = earned - self.running * part;
            let net = if self.is_waived { left.max(earned.min(0.0)) } else { left };
            let price = self.path.map_or(1.0, |p| p.at(*at).0);
            value += (net - before) * self.unit * price;
            before = net;
            all.push((*at, value));
        }
        all
    }
}

/// What all futures came to.
#[derive(Default)]
struct Drawn {
    /// Of each coin, after all fees.
    sums: Vec<Vec<i64>>,
    /// Fee and upkeep of each coin, all futures together.
    taken: Vec<(f64, f64)>,
    /// In how many the price came back, and when.
    back: u32,
    waits: Vec<u64>,
    /// In the price's money: what the first coin brought at least nothing of, and what was left in the end.
    sold: f64,
    ends: Vec<i64>,
}

fn draw(given: &Given, (share, coins): (f64, &[Coin]), past: Option<&Past>) -> Option<Drawn> {
    let fee = f64::from(given.fee_bps) / f64::from(Bps::ONE);
    let mut random = SplitMix64(given.seed.parse().ok()?);
    let (paid, term) = (given.price.minor as f64, given.term_secs as f64);
    let measure = measure(given);
    let is_coin = given.chains.iter().any(|c| c.asset == given.price.asset);
    let mut all = Drawn {
        sums: vec![Vec::new(); coins.len()],
        taken: vec![(0.0, 0.0); coins.len()],
        ..Drawn::default()
    };
    let mut drawn = Vec::new();
    for _ in 0..given.scenarios {
        let path = past.map_or_else(Path::still, |p| p.future(term * 2.0, &mut random));
        let dollars = given.upkeep_in_coin(&path);
        // The part of the upkeep that no coin before has covered.
        let mut open = 1.0;
        for (at, coin) in coins.iter().enumerate() {
            let progress = Progress::of(coin, &path, term);
            future(coin, &progress, (share, fee, given.scheme), &mut random, &mut drawn);
            let total = drawn.last().map_or(0.0, |p| p.1);
            let upkeep = coin.upkeep + if at == 0 { dollars } else { 0.0 };
            let due = upkeep * open;
            let taken = due.min(total);
            if let Some((_, unit)) = measure.filter(|(own, _)| *own == at) {
                let count = Count {
                    upkeep: due,
                    running: given.running_in_coin(at, &path).unwrap_or(0.0),
                    is_waived: given.running.is_some_and(|r| r.is_waived),
                    term,
                    unit,
                    path: (!is_coin).then_some(&path),
                };
                let values = count.worth(&drawn);
                let end = values.last().map_or(0.0, |v| v.1);
                let first = values.iter().find(|p| p.1 >= paid).map(|p| p.0);
                // What is paid along can take back what had come back: then the end decides.
                if let Some(at) = first.filter(|_| given.running.is_none() || end >= paid) {
                    all.back += 1;
                    all.waits.push(at as u64);
                }
                all.sold += if given.running.is_none() { end.max(0.0) } else { end };
                all.ends.push((end - paid).round() as i64);
            }
            if upkeep > 0.0 {
                open = (due - taken) / upkeep;
            }
            all.sums[at].push((total - taken).round() as i64);
            all.taken[at].0 += if fee < 1.0 { total * fee / (1.0 - fee) } else { 0.0 };
            all.taken[at].1 += taken;
        }
    }
    Some(all)
}

/// Draws the futures of a quote. `None` where the figures make no model: a coin of which no block is known.
#[must_use]
pub fn foretell(given: Given) -> Option<QuoteForecast> {
    let (share, coins) = given.coins()?;
    let past = given.past.and_then(Past::shipped);
    let past = if given.is_of_another() { past.map(Past::without_trend) } else { past };
    let learnt = given.past.and_then(|of| Past::learnt(of, given.term_secs as f64));
    let past = past.map(|past| match learnt {
        Some(times) => past.widened(times),
        None => past,
    });
    let mut all = draw(&given, (share, &coins), past.as_ref())?;
    let measure = measure(&given);
    all.waits.sort_unstable();
    let futures = f64::from(given.scenarios.max(1));
    let mut assets: Vec<AssetForecast> = (given.chains.iter().zip(&mut all.sums).zip(&all.taken))
        .map(|((c, sums), (fee, upkeep))| {
            let (mean, low, high) = spread(sums);
            AssetForecast {
                asset: c.asset,
                expected_minor: mean,
                low_minor: low,
                high_minor: high,
                fee_minor: (fee / futures).round() as i64,
                upkeep_minor: (upkeep / futures).round() as i64,
            }
        })
        .collect();
    let per_mille = measure.map(|_| all.back * 1_000 / given.scenarios.max(1));
    let is_coin = given.chains.iter().any(|c| c.asset == given.price.asset);
    let expects_loss = measure.and_then(|(at, _)| {
        let coins = assets.get(at)?.expected_minor;
        Some(if is_coin && given.running.is_none() {
            coins < given.price.minor
        } else {
            all.sold / futures < given.price.minor as f64
        })
    });
    let outcome = measure.map(|_| {
        let (mean, low, high) = spread(&mut all.ends);
        let asset = given.price.asset;
        Outcome { asset, expected_minor: mean, low_minor: low, high_minor: high }
    });
    if let Some((at, _)) = measure {
        assets.swap(0, at);
    }
    let model = match past {
        None => MODEL_STILL,
        Some(_) if given.is_of_another() => MODEL_OF_ANOTHER,
        Some(_) => MODEL,
    };
    let mut words = words::words(&given, &assets, per_mille, expects_loss, outcome.as_ref());
    words.extend(words::model(&given, learnt));
    // Without anything paid at the start there is no day on which it comes back.
    let is_paid = given.price.minor > 0;
    Some(QuoteForecast {
        model: model.to_owned(),
        given,
        assets,
        break_even_per_mille: per_mille,
        break_even_secs: all.waits.get(all.waits.len() / 2).copied().filter(|_| is_paid),
        expects_loss,
        outcome,
        words,
    })
}

/// The mean, and the twentieths at both ends.
fn spread(all: &mut [i64]) -> (i64, i64, i64) {
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    let at = |per_cent: usize| all.get((last * per_cent + 50) / 100).copied().unwrap_or(0);
    let sum: i128 = all.iter().map(|v| i128::from(*v)).sum();
    let mean = sum / i128::try_from(all.len().max(1)).unwrap_or(1);
    (i64::try_from(mean).unwrap_or(i64::MAX), at(5), at(95))
}

#[cfg(test)]
mod tests;
