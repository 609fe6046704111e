//! What a quote may earn: futures of difficulty and price drawn from the past, with the luck of finding blocks. Pure.
//!
//! # The model (`past 1`; `lane-now 1` for coins without a past)
//! Each future has a path of difficulty and price, drawn from the coin's own past ([`past`]); for coins without one both
//! stay as they are. Subsidy, fees and the lane's hashrate stay as they are. In units of one block's work the lane works
//! through *U* units in the term, fewer as difficulty rises, and the buyer has its part *s* of them, by hashrate.
//! Blocks are found at random, one a unit on average (a Poisson process); a block found after *t* units pays
//! `reward · s · (min(t, U) − max(0, t − 8)) / 8`, which is unit PPLNS with a window of eight blocks, until the last of
//! the bought units leaves the window. Fee and maintenance are taken as the terms say, maintenance in dollars at the
//! future's prices. A price that is paid in dollars comes back by what the first coin brings at the future's prices when
//! it brings it. Futures are drawn in [`STEPS`] steps each with SplitMix64, so that the same figures and seed give the
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

pub mod past;

use crate::pplns::WINDOW_BLOCKS;
use gruve_statement::terms::Money;
use gruve_units::{Asset, Bps};
use past::{Past, Path};
use serde::{Deserialize, Serialize};

/// Futures drawn: the interval's ends then move by a percent or so with the seed.
pub const SCENARIOS: u32 = 500;
/// Steps of a future.
const STEPS: u32 = 200;
/// The model's name and version.
pub const MODEL: &str = "past 1";
/// The same for coins without a past.
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
    /// The same in words, with what the model leaves out.
    pub words: Vec<String>,
}

/// Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators* (2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above zero, at most one.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number below `n`; the bias of the high product is below 2^-50 for any past.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Poisson with that mean: by products of uniforms; above thirty by the normal distribution of the same mean
    /// and spread.
    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            let (a, b) = (self.unit(), self.unit());
            let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
            return (mean + normal * mean.sqrt()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.unit(), 0.0);
        while product > limit {
            product *= self.unit();
            n += 1.0;
        }
        n
    }
}

/// One coin's numbers, as the drawing needs them.
struct Coin {
    reward: f64,
    upkeep: f64,
    /// Seconds the lane takes for a block's work at today's difficulty.
    seconds_per_unit: f64,
}

/// When the lane is how far, in units of a block's work at the difficulty of the time.
struct Progress {
    /// Units after each step of the term, beginning with none.
    units: Vec<f64>,
    step_secs: f64,
    /// What a unit takes after the term.
    last_secs: f64,
}

impl Progress {
    fn of(coin: &Coin, path: &Path, term_secs: f64) -> Progress {
        let step_secs = term_secs / f64::from(STEPS);
        let (mut sum, mut units) = (0.0, vec![0.0]);
        for k in 0..STEPS {
            let (_, difficulty) = path.at((f64::from(k) + 0.5) * step_secs);
            sum += step_secs / (coin.seconds_per_unit * difficulty);
            units.push(sum);
        }
        let (_, difficulty) = path.at(term_secs);
        Progress { units, step_secs, last_secs: coin.seconds_per_unit * difficulty }
    }

    fn all(&self) -> f64 {
        self.units.last().copied().unwrap_or(0.0)
    }

    /// Seconds until so many units are done.
    fn secs(&self, units: f64) -> f64 {
        let n = self.units.partition_point(|u| *u <= units);
        match (n.checked_sub(1).and_then(|i| self.units.get(i)), self.units.get(n)) {
            (Some(a), Some(b)) => (n as f64 - 1.0 + (units - a) / (b - a)) * self.step_secs,
            _ => {
                let term = (self.units.len() as f64 - 1.0) * self.step_secs;
                term + (units - self.all()).max(0.0) * self.last_secs
            }
        }
    }
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

    /// Millionths of a dollar for a minor unit of the first coin, now.
    fn minor_now(&self) -> Option<f64> {
        let first = self.chains.first()?;
        Some(self.usd_micro? as f64 / first.asset.unit() as f64)
    }

    /// Upkeep in dollars as minor units of the first coin, by the prices of a future; nothing without a price.
    fn upkeep_in_coin(&self, path: &Path) -> f64 {
        let (Some(minor), true) = (self.minor_now(), self.upkeep_usd_micro_per_th_day > 0) else {
            return 0.0;
        };
        let step = self.term_secs as f64 / f64::from(STEPS);
        let parts = (0..STEPS).map(|k| 1.0 / path.at((f64::from(k) + 0.5) * step).0);
        let mean = parts.sum::<f64>() / f64::from(STEPS);
        self.th_days() * self.upkeep_usd_micro_per_th_day as f64 / minor * mean
    }
}

/// What one future brings of a coin before upkeep, step by step: seconds since the start and the sum then.
fn future(
    coin: &Coin,
    progress: &Progress,
    (share, fee): (f64, f64),
    random: &mut SplitMix64,
    path: &mut Vec<(f64, f64)>,
) {
    path.clear();
    let (window, units) = (WINDOW_BLOCKS as f64, progress.all());
    let step = (units + window) / f64::from(STEPS);
    let mut earned = 0.0;
    for k in 0..STEPS {
        let t = (f64::from(k) + 0.5) * step;
        let own = share * (t.min(units) - (t - window).max(0.0)).max(0.0);
        earned += random.poisson(step) * coin.reward * own / window * (1.0 - fee);
        path.push((progress.secs(f64::from(k + 1) * step), earned));
    }
}

/// Which coin brings the price back, and what a minor unit of it counts, now, in the price's.
fn measure(given: &Given) -> Option<(usize, f64)> {
    let own = given.chains.iter().position(|c| c.asset == given.price.asset);
    let in_dollars = || {
        let is_dollars = given.price.asset == Asset::Usd;
        given.minor_now().filter(|_| is_dollars).map(|minor| (0, minor))
    };
    own.map(|at| (at, 1.0)).or_else(in_dollars)
}

/// What a future's coins come to in the price's units, less what upkeep takes, step by step.
fn worth(
    sums: &[(f64, f64)],
    due: f64,
    term: f64,
    unit: f64,
    path: Option<&Path>,
) -> Vec<(f64, f64)> {
    let (mut before, mut value) = (0.0, 0.0);
    let mut all = Vec::with_capacity(sums.len());
    for (at, sum) in sums {
        // Upkeep falls due with the work.
        let net = sum - due * (at / term).min(1.0);
        let price = path.map_or(1.0, |p| p.at(*at).0);
        value += (net - before) * unit * price;
        before = net;
        all.push((*at, value));
    }
    all
}

/// Draws the futures of a quote. `None` where the figures make no model: a coin of which no block is known.
#[must_use]
pub fn foretell(given: Given) -> Option<QuoteForecast> {
    let (share, coins) = given.coins()?;
    let fee = f64::from(given.fee_bps) / f64::from(Bps::ONE);
    let mut random = SplitMix64(given.seed.parse().ok()?);
    let (paid, term) = (given.price.minor as f64, given.term_secs as f64);
    let past = given.past.and_then(Past::shipped);
    let measure = measure(&given);
    let is_coin = measure.is_some() && given.price.asset != Asset::Usd;
    let mut sums: Vec<Vec<i64>> = vec![Vec::new(); coins.len()];
    let (mut back, mut waits, mut sold, mut drawn) = (0u32, Vec::new(), 0.0, Vec::new());
    for _ in 0..given.scenarios {
        let path = past.as_ref().map_or_else(Path::still, |p| p.future(term * 2.0, &mut random));
        let dollars = given.upkeep_in_coin(&path);
        // The part of the upkeep that no coin before has covered.
        let mut open = 1.0;
        for (at, coin) in coins.iter().enumerate() {
            let progress = Progress::of(coin, &path, term);
            future(coin, &progress, (share, fee), &mut random, &mut drawn);
            let total = drawn.last().map_or(0.0, |p| p.1);
            let upkeep = coin.upkeep + if at == 0 { dollars } else { 0.0 };
            let due = upkeep * open;
            let taken = due.min(total);
            if let Some((_, unit)) = measure.filter(|(own, _)| *own == at) {
                let prices = (!is_coin).then_some(&path);
                let values = worth(&drawn, due, term, unit, prices);
                if let Some((at, _)) = values.iter().find(|p| p.1 >= paid) {
                    back += 1;
                    waits.push(*at as u64);
                }
                sold += values.last().map_or(0.0, |v| v.1.max(0.0));
            }
            if upkeep > 0.0 {
                open = (due - taken) / upkeep;
            }
            sums[at].push((total - taken).round() as i64);
        }
    }
    waits.sort_unstable();
    let mut assets: Vec<AssetForecast> =
        given.chains.iter().zip(&mut sums).map(|(c, all)| taken_together(c.asset, all)).collect();
    let per_mille = measure.map(|_| back * 1_000 / given.scenarios.max(1));
    let expects_loss = measure.and_then(|(at, _)| {
        let mean = sold / f64::from(given.scenarios.max(1));
        let coins = assets.get(at)?.expected_minor;
        Some(if is_coin { coins < given.price.minor } else { mean < paid })
    });
    if let Some((at, _)) = measure {
        assets.swap(0, at);
    }
    let words = words(&given, &assets, per_mille, expects_loss);
    Some(QuoteForecast {
        model: if past.is_some() { MODEL } else { MODEL_STILL }.to_owned(),
        given,
        assets,
        break_even_per_mille: per_mille,
        break_even_secs: waits.get(waits.len() / 2).copied(),
        expects_loss,
        words,
    })
}

fn taken_together(asset: Asset, all: &mut [i64]) -> AssetForecast {
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    let at = |per_cent: usize| all.get((last * per_cent + 50) / 100).copied().unwrap_or(0);
    let sum: i128 = all.iter().map(|v| i128::from(*v)).sum();
    let mean = sum / i128::try_from(all.len().max(1)).unwrap_or(1);
    AssetForecast {
        asset,
        expected_minor: i64::try_from(mean).unwrap_or(i64::MAX),
        low_minor: at(5),
        high_minor: at(95),
    }
}

fn words(
    given: &Given,
    assets: &[AssetForecast],
    per_mille: Option<u32>,
    expects_loss: Option<bool>,
) -> Vec<String> {
    let amount = |asset, minor| gruve_units::Amount::new(asset, minor).to_string();
    let mut words: Vec<String> = assets
        .iter()
        .map(|a| {
            format!(
                "After all fees: {} on average; nine futures in ten bring {} to {}.",
                amount(a.asset, a.expected_minor),
                amount(a.asset, a.low_minor),
                amount(a.asset, a.high_minor)
            )
        })
        .collect();
    match (expects_loss, per_mille) {
        (Some(true), Some(p)) => words.push(format!(
            "You should expect to lose money: the price of {} comes back in {}.{} % of the futures only.",
            amount(given.price.asset, given.price.minor),
            p / 10,
            p % 10
        )),
        (Some(false), Some(p)) => words.push(format!(
            "By this model the average brings more than the price of {}, which comes back in {}.{} % of the futures.",
            amount(given.price.asset, given.price.minor),
            p / 10,
            p % 10
        )),
        _ => words.push(
            "The price is in another asset than is earned: whether it comes back depends on their prices.".into(),
        ),
    }
    if given.upkeep_usd_micro_per_th_day > 0 && given.usd_micro.is_none() {
        words.push(
            "Upkeep in dollars is not in it: no price is recorded. It brings less than that."
                .into(),
        );
    }
    words.push(if given.past.is_some() {
        "The model: difficulty and price move as in stretches of the last four years of the kept history; subsidy, fees and \
         this lane's hashrate stay as they are now, and blocks are found by chance. Halvings to come bring less."
            .into()
    } else {
        "The model: difficulty, fees and this lane's hashrate stay as they are now, and blocks are found by chance. \
         Difficulty has mostly risen in the past, which brings less."
            .into()
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            lane_hashrate: "1000000".into(),
            hashrate: "100000".into(),
            term_secs: 86_400,
            fee_bps: 200,
            chains: vec![ChainNow {
                asset: Asset::Btc,
                // Some 864 blocks in the term.
                block_hashes: "100000000".into(),
                reward_minor: 1_000_000,
                upkeep_minor_per_th_day: 0,
            }],
            price: Money { asset: Asset::Btc, minor: 80_000_000 },
            past: None,
            usd_micro: None,
            upkeep_usd_micro_per_th_day: 0,
            seed: "7".into(),
            scenarios: 400,
        }
    }

    #[test]
    fn the_mean_is_work_times_reward_less_the_fee() {
        let f = foretell(given()).unwrap();
        // 86.4 blocks' work of one coin each, less two in a hundred.
        let expected = f.assets[0].expected_minor;
        assert!((expected - 84_672_000).abs() < 1_000_000, "{expected}");
        assert!(f.assets[0].low_minor < expected && expected < f.assets[0].high_minor);
        assert_eq!(f.expects_loss, Some(false));
        assert!(f.break_even_per_mille.unwrap() > 500);
        assert!(f.break_even_secs.unwrap() > 60_000);
    }

    #[test]
    fn a_year_of_the_past_brings_less_than_a_year_as_it_is_and_less_surely() {
        let year = Given { term_secs: 31_536_000, scenarios: 200, ..given() };
        let still = foretell(year.clone()).unwrap();
        let moved = foretell(Given { past: Some(Asset::Btc), ..year.clone() }).unwrap();
        assert_eq!((still.model.as_str(), moved.model.as_str()), (MODEL_STILL, MODEL));
        let (a, b) = (&still.assets[0], &moved.assets[0]);
        // Difficulty rose by some 60 % a year.
        assert!(b.expected_minor < a.expected_minor * 9 / 10, "{b:?} {a:?}");
        assert!(b.high_minor - b.low_minor > 3 * (a.high_minor - a.low_minor), "{b:?} {a:?}");
        assert_eq!(moved, foretell(Given { past: Some(Asset::Btc), ..year }).unwrap());
    }

    #[test]
    fn a_price_in_dollars_comes_back_by_the_coins_price_and_upkeep_in_dollars_is_taken() {
        // 84.67 coins of a million minor units, of 10^8: 0.8467 coins at 100 dollars.
        let price = |minor| Money { asset: Asset::Usd, minor };
        let at = |minor, fee: u64| Given {
            price: price(minor),
            usd_micro: Some(100_000_000),
            upkeep_usd_micro_per_th_day: fee,
            ..given()
        };
        let cheap = foretell(at(80_000_000, 0)).unwrap();
        assert_eq!(cheap.expects_loss, Some(false));
        assert!(cheap.break_even_per_mille.unwrap() > 500);
        let dear = foretell(at(90_000_000, 0)).unwrap();
        assert_eq!(dear.expects_loss, Some(true));
        // 10^-7 TH·days cost ten dollars.
        let fee = foretell(at(80_000_000, 100_000_000_000_000)).unwrap();
        assert_eq!(fee.expects_loss, Some(true));
        let less = cheap.assets[0].expected_minor - fee.assets[0].expected_minor;
        assert!((less - 10_000_000).abs() < 100_000, "{less}");
        let unknown = foretell(Given { usd_micro: None, ..at(80_000_000, 1) }).unwrap();
        assert_eq!(unknown.expects_loss, None);
        assert!(unknown.words.iter().any(|w| w.contains("no price is recorded")));
    }

    #[test]
    fn a_price_above_the_mean_is_said_to_lose_money() {
        let dear = Given { price: Money { asset: Asset::Btc, minor: 100_000_000 }, ..given() };
        let f = foretell(dear).unwrap();
        assert_eq!(f.expects_loss, Some(true));
        assert!(f.words.iter().any(|w| w.starts_with("You should expect to lose money")));
        assert!(f.break_even_per_mille.unwrap() < 50);
    }

    #[test]
    fn the_same_seed_gives_the_same_forecast_and_another_one_another() {
        assert_eq!(foretell(given()), foretell(given()));
        let other = foretell(Given { seed: "8".into(), ..given() }).unwrap();
        assert_ne!(other.assets, foretell(given()).unwrap().assets);
    }

    #[test]
    fn upkeep_is_taken_and_goes_on_to_the_next_coin() {
        let mut two = given();
        let th_days = 1e5 / 1e12;
        // The whole upkeep is twice what the first coin brings.
        two.chains[0].upkeep_minor_per_th_day = (170_000_000.0 / th_days) as u64;
        let second = ChainNow { asset: Asset::Doge, ..two.chains[0].clone() };
        two.chains
            .push(ChainNow { upkeep_minor_per_th_day: (100_000_000.0 / th_days) as u64, ..second });
        let f = foretell(two).unwrap();
        assert!(f.assets[0].expected_minor < 1_000_000, "{:?}", f.assets);
        let rest = f.assets[1].expected_minor;
        assert!((rest - 34_700_000).abs() < 4_000_000, "{rest}");
    }

    #[test]
    fn what_makes_no_model_gives_no_forecast() {
        let none = |change: fn(&mut Given)| {
            let mut g = given();
            change(&mut g);
            foretell(g).is_none()
        };
        assert!(none(|g| g.chains.clear()));
        assert!(none(|g| g.chains[0].block_hashes = "0".into()));
        assert!(none(|g| g.hashrate = "-1".into()));
        assert!(none(|g| g.term_secs = 0));
        let elsewhere = Given { price: Money { asset: Asset::Usd, minor: 5 }, ..given() };
        let f = foretell(elsewhere).unwrap();
        assert_eq!((f.expects_loss, f.break_even_per_mille), (None, None));
    }

    #[test]
    fn rare_blocks_are_luck_and_the_interval_says_so() {
        let mut rare = given();
        rare.chains[0].block_hashes = "1000000000000000".into();
        let f = foretell(rare).unwrap();
        assert_eq!(f.assets[0].low_minor, f.assets[0].low_minor.max(0));
        assert!(f.assets[0].high_minor <= 1_000_000);
    }
}
