//! What a quote may earn: drawn from the lane as it stands now, with the luck of finding blocks. Pure.
//!
//! # The model (`lane-now 1`)
//! Difficulty, subsidy, fees and the lane's hashrate stay as they are. In units of one block's work at that
//! difficulty, the lane works through *U* units in the term, and the buyer has its part *s* of them, by hashrate.
//! Blocks are found at random, one a unit on average (a Poisson process); a block found after *t* units pays
//! `reward · s · (min(t, U) − max(0, t − 8)) / 8`, which is unit PPLNS with a window of eight blocks, until the last of
//! the bought units leaves the window. Fee and maintenance are taken as the terms say. Futures are drawn in
//! [`STEPS`] steps each with SplitMix64, so that the same figures and seed give the same forecast.
//!
//! What it leaves out is said with it: difficulty and price will move, machines may stop. Floats stand here, since
//! a future is drawn and not counted; nobody is paid by it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "drawn amounts, rounded for people; nobody is paid by them"
)]

use crate::pplns::WINDOW_BLOCKS;
use gruve_statement::terms::Money;
use gruve_units::{Asset, Bps};
use serde::{Deserialize, Serialize};

/// Futures drawn: the interval's ends then move by a percent or so with the seed.
pub const SCENARIOS: u32 = 500;
/// Steps of a future.
const STEPS: u32 = 200;
/// The model's name and version.
pub const MODEL: &str = "lane-now 1";

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
    /// Units of the whole lane in the term.
    units: f64,
    reward: f64,
    upkeep: f64,
    seconds_per_unit: f64,
}

fn number(text: &str) -> Option<f64> {
    text.parse::<u128>().ok().map(|n| n as f64)
}

impl Given {
    fn coins(&self) -> Option<(f64, Vec<Coin>)> {
        let own = number(&self.hashrate)?;
        // The buyer's own hashrate is part of the lane's.
        let lane = number(&self.lane_hashrate)?.max(own);
        let secs = self.term_secs as f64;
        let th_days = own / 1e12 * secs / 86_400.0;
        let coin = |c: &ChainNow| {
            let block = number(&c.block_hashes).filter(|b| *b > 0.0)?;
            Some(Coin {
                units: lane * secs / block,
                reward: c.reward_minor as f64,
                upkeep: th_days * c.upkeep_minor_per_th_day as f64,
                seconds_per_unit: block / lane,
            })
        };
        let coins = self.chains.iter().map(coin).collect::<Option<Vec<_>>>()?;
        (own > 0.0 && secs > 0.0 && !coins.is_empty()).then(|| (own / lane, coins))
    }
}

/// What one future brings of a coin before upkeep, step by step: seconds since the start and the sum then.
fn future(coin: &Coin, share: f64, fee: f64, random: &mut SplitMix64, path: &mut Vec<(f64, f64)>) {
    path.clear();
    let window = WINDOW_BLOCKS as f64;
    let step = (coin.units + window) / f64::from(STEPS);
    let mut earned = 0.0;
    for k in 0..STEPS {
        let t = (f64::from(k) + 0.5) * step;
        let own = share * (t.min(coin.units) - (t - window).max(0.0)).max(0.0);
        earned += random.poisson(step) * coin.reward * own / window * (1.0 - fee);
        path.push((f64::from(k + 1) * step * coin.seconds_per_unit, earned));
    }
}

/// Draws the futures of a quote. `None` where the figures make no model: a coin of which no block is known.
#[must_use]
pub fn foretell(given: Given) -> Option<QuoteForecast> {
    let (share, coins) = given.coins()?;
    let fee = f64::from(given.fee_bps) / f64::from(Bps::ONE);
    let mut random = SplitMix64(given.seed.parse().ok()?);
    let paid = given.price.minor as f64;
    let own = given.chains.iter().position(|c| c.asset == given.price.asset);
    let mut sums: Vec<Vec<i64>> = vec![Vec::new(); coins.len()];
    let (mut back, mut waits, mut path) = (0u32, Vec::new(), Vec::new());
    for _ in 0..given.scenarios {
        // The part of the upkeep that no coin before has covered.
        let mut open = 1.0;
        for (at, coin) in coins.iter().enumerate() {
            future(coin, share, fee, &mut random, &mut path);
            let total = path.last().map_or(0.0, |p| p.1);
            let due = coin.upkeep * open;
            let taken = due.min(total);
            if Some(at) == own {
                let term = given.term_secs as f64;
                // Upkeep falls due with the work.
                let net = |(at, sum): &(f64, f64)| sum - due * (at / term).min(1.0);
                if let Some((at, _)) = path.iter().find(|p| net(p) >= paid) {
                    back += 1;
                    waits.push(*at as u64);
                }
            }
            if coin.upkeep > 0.0 {
                open = (due - taken) / coin.upkeep;
            }
            sums[at].push((total - taken).round() as i64);
        }
    }
    waits.sort_unstable();
    let mut assets: Vec<AssetForecast> =
        given.chains.iter().zip(&mut sums).map(|(c, all)| taken_together(c.asset, all)).collect();
    let per_mille = own.map(|_| back * 1_000 / given.scenarios.max(1));
    let expects_loss = own.and_then(|at| Some(assets.get(at)?.expected_minor < given.price.minor));
    if let Some(at) = own {
        assets.swap(0, at);
    }
    let words = words(&given, &assets, per_mille, expects_loss);
    Some(QuoteForecast {
        model: MODEL.to_owned(),
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
    words.push(
        "The model: difficulty, fees and this lane's hashrate stay as they are now, and blocks are found by chance. \
         Difficulty has mostly risen in the past, which brings less."
            .into(),
    );
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
