//! How difficulty and price moved, week by week, and futures drawn from it. Pure.
//!
//! # The model
//! A future is made of stretches of the past: [`STRETCH_WEEKS`] weeks in a row, from a random week of the last
//! [`PAST_WEEKS`], give how price and difficulty moved together, on a logarithmic scale; then the next stretch, until the
//! term is over. Within a week both move evenly. So a future knows no trend but what the past had.
//!
//! The past is shipped (`data/`): every seventh day of the histories in `testdata/market`, the last four years of each.
//! Litecoin's ends in 2020, and stands for Dogecoin as well, whose difficulty follows the same machines.
//!
//! A coin without a kept past (Ethereum Classic) has futures as unsteady as those of [`STAND_IN`], the most unsteady past
//! that there is, without its trend ([`Past::without_trend`]): nobody here knows whither its own would go, and luck
//! alone would make an interval that is far too narrow.
//!
//! # How good it is
//! Futures that lie no farther apart than their past hold too little of what comes (Litecoin's earnings in coins over half a year one
//! time in two), because what difficulty does over a term is no sum of what it did in quarters. So difficulty's moves are
//! widened, for each term as was learnt by then ([`super::widths`]); the means of coins and of their value stay what they are.
//! How often the interval then held what came is measured there and written down in `docs/statements.md`. Stretches and years,
//! and of how many of a hundred widths one must suffice, were chosen on the same history, which flatters the figures somewhat.

use super::drawing::SplitMix64;
use super::stretches::Stretches;
use super::widths::Widths;
use gruve_units::Asset;

/// Weeks in a row that a stretch takes from the past: a quarter, six changes of Bitcoin's difficulty.
pub const STRETCH_WEEKS: usize = 13;
/// How far back stretches are taken from: four years, one halving.
pub const PAST_WEEKS: usize = 208;
/// Weeks of a future at most: ten years.
const WEEKS_MAX: usize = 520;
/// Seconds of a week.
pub(crate) const WEEK_SECS: f64 = 604_800.0;

/// Whose past is drawn from for coins without one: of those that are shipped the one that moved most.
pub const STAND_IN: Asset = Asset::Ltc;

/// How price and difficulty moved from week to week, as futures are drawn from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Past(Stretches);

/// The shipped history of the machines that earn a coin, and the widths that were learnt of it.
fn shipped(asset: Asset) -> Option<(&'static str, &'static str)> {
    match asset {
        Asset::Btc => Some((
            include_str!("../../data/btc-weekly.csv"),
            include_str!("../../data/btc-widths.csv"),
        )),
        Asset::Ltc | Asset::Doge => Some((
            include_str!("../../data/ltc-weekly.csv"),
            include_str!("../../data/ltc-widths.csv"),
        )),
        _ => None,
    }
}

impl Past {
    /// The shipped past of the machines that earn a coin; none for coins without one.
    #[must_use]
    pub fn shipped(asset: Asset) -> Option<Past> {
        let (csv, _) = shipped(asset)?;
        let week = |line: &str| {
            let mut cells = line.split(',').skip(1).map(|c| c.parse::<f64>().ok());
            Some((cells.next()??, cells.next()??))
        };
        Past::of(&csv.lines().skip(1).filter_map(week).collect::<Vec<_>>())
    }

    /// Whose past a coin's futures are drawn from.
    #[must_use]
    pub fn drawn_for(asset: Asset) -> Asset {
        if Past::shipped(asset).is_some() { asset } else { STAND_IN }
    }

    /// The same without a trend, see [`Stretches::without_trend`].
    #[must_use]
    pub fn without_trend(self) -> Past {
        Past(self.0.without_trend())
    }

    /// The past of these weeks' prices and difficulties, the last ones of them; none when they are too few.
    #[must_use]
    pub fn of(weeks: &[(f64, f64)]) -> Option<Past> {
        let recent = weeks.get(weeks.len().saturating_sub(PAST_WEEKS + 1)..)?;
        Stretches::of(recent, STRETCH_WEEKS).map(Past)
    }

    /// Difficulty's moves so many times as wide, see [`Stretches::widened`].
    pub(super) fn widened(self, times: f64) -> Past {
        Past(self.0.widened(times))
    }

    /// How many times as wide as it was was learnt of a shipped history, for a term.
    pub(super) fn learnt(of: Asset, secs: f64) -> Option<f64> {
        shipped(of).and_then(|(_, widths)| Widths::read(widths).at(secs))
    }

    /// Whose history is shipped for a coin, and its last day.
    pub(super) fn kept(of: Asset) -> Option<(Asset, &'static str)> {
        let last = shipped(of)?.0.lines().last()?.split(',').next()?;
        Some((if of == Asset::Doge { Asset::Ltc } else { of }, last))
    }

    /// A future of so many seconds.
    pub(super) fn future(&self, secs: f64, random: &mut SplitMix64) -> Path {
        let weeks = ((secs / WEEK_SECS).ceil().max(1.0) as usize).min(WEEKS_MAX);
        let mut path = Path { weeks: vec![(0.0, 0.0)] };
        let (mut price, mut difficulty) = (0.0, 0.0);
        while path.weeks.len() <= weeks {
            for (p, d) in self.0.draw(random) {
                (price, difficulty) = (price + p, difficulty + d);
                path.weeks.push((price, difficulty));
            }
        }
        path
    }
}

/// A future: logarithms of price and difficulty against now, week by week.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    weeks: Vec<(f64, f64)>,
}

impl Path {
    /// Nothing moves.
    pub(super) fn still() -> Path {
        Path { weeks: vec![(0.0, 0.0)] }
    }

    /// Price and difficulty as parts of what they are now.
    pub(super) fn at(&self, secs: f64) -> (f64, f64) {
        let week = (secs / WEEK_SECS).max(0.0);
        let last = self.weeks.len() - 1;
        let n = (week as usize).min(last);
        let (a, b) = (self.weeks[n], self.weeks[(n + 1).min(last)]);
        let part = (week - n as f64).min(1.0);
        let between = |a: f64, b: f64| (a + (b - a) * part).exp();
        (between(a.0, b.0), between(a.1, b.1))
    }
}

/// The kept histories, for the tests.
#[cfg(test)]
pub(super) mod kept {
    pub(in super::super) const BTC: &str =
        include_str!("../../../../testdata/market/btc-daily-2010-2026.csv");
    pub(in super::super) const LTC: &str =
        include_str!("../../../../testdata/market/ltc-daily-2011-2020.csv");

    /// Every seventh day, the last one included: date, price, difficulty.
    pub(in super::super) fn weekly(csv: &str) -> Vec<(&str, &str, &str)> {
        let days: Vec<_> = csv
            .lines()
            .skip(1)
            .filter_map(|line| {
                let mut cells = line.split(',');
                let day = (cells.next()?, cells.next()?, cells.next()?);
                (!day.1.is_empty() && !day.2.is_empty()).then_some(day)
            })
            .collect();
        days.iter().rev().step_by(7).rev().copied().collect()
    }

    /// Their prices and difficulties.
    pub(in super::super) fn weeks(csv: &str) -> Vec<(f64, f64)> {
        weekly(csv).iter().map(|w| (w.1.parse().unwrap(), w.2.parse().unwrap())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::kept::{BTC, LTC, weekly};
    use super::*;

    #[test]
    fn what_is_shipped_is_every_seventh_day_of_the_kept_histories() {
        let shipped = [
            (BTC, include_str!("../../data/btc-weekly.csv")),
            (LTC, include_str!("../../data/ltc-weekly.csv")),
        ];
        for (kept, shipped) in shipped {
            let weeks = weekly(kept);
            let last = &weeks[weeks.len() - PAST_WEEKS - 1..];
            let line = |w: &(&str, &str, &str)| format!("{},{},{}\n", w.0, w.1, w.2);
            let want: String = last.iter().map(line).collect();
            assert_eq!(shipped, format!("date,price_usd,difficulty\n{want}"));
        }
        assert!(Past::shipped(Asset::Btc).is_some() && Past::shipped(Asset::Etc).is_none());
    }

    #[test]
    fn what_stands_in_is_the_past_that_moved_most() {
        // How far a quarter's moves of price and of difficulty lie apart.
        let spread = |asset| Past::shipped(asset).unwrap().0.apart();
        let most = spread(STAND_IN);
        let others =
            Asset::ALL.into_iter().filter(|a| *a != STAND_IN && Past::shipped(*a).is_some());
        for (price, difficulty) in others.map(spread) {
            assert!(price <= most.0 && difficulty <= most.1, "{price} {difficulty} {most:?}");
        }
        assert_eq!(Past::drawn_for(Asset::Etc), STAND_IN);
        assert_eq!(Past::drawn_for(Asset::Btc), Asset::Btc);
    }

    #[test]
    fn without_its_trend_a_past_moves_no_mean_and_lies_as_far_apart() {
        let past = Past::shipped(STAND_IN).unwrap();
        let level = past.clone().without_trend();
        for weeks in [5_u32, 13, 30] {
            let at = f64::from(weeks) * WEEK_SECS;
            let (mut random, mut again) = (SplitMix64(9), SplitMix64(9));
            let (mut price, mut coins) = (0.0, 0.0);
            let mut apart = Vec::new();
            for _ in 0..20_000 {
                let (p, d) = level.future(at, &mut random).at(at);
                let (q, e) = past.future(at, &mut again).at(at);
                (price, coins) = (price + p / 20_000.0, coins + 1.0 / d / 20_000.0);
                // The same stretches, moved all alike.
                apart.push(((p / q).ln(), (d / e).ln()));
            }
            assert!(
                (price - 1.0).abs() < 0.05 && (coins - 1.0).abs() < 0.05,
                "{weeks}: {price} {coins}"
            );
            let same =
                |a: &(f64, f64)| (a.0 - apart[0].0).abs() < 1e-9 && (a.1 - apart[0].1).abs() < 1e-9;
            assert!(apart.iter().all(same));
        }
    }

    #[test]
    fn a_past_in_which_nothing_moved_has_one_future() {
        let past = Past::of(&[(5.0, 7.0); 60]).unwrap();
        let path = past.future(9e7, &mut SplitMix64(3));
        assert_eq!(path.at(4e7), (1.0, 1.0));
        assert!(Past::of(&[(5.0, 7.0); 20]).is_none() && Past::of(&[(0.0, 7.0); 60]).is_none());
    }
}
