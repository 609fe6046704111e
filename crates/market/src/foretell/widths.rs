//! How much wider than the past itself futures must lie so that they hold what comes, learnt from how they would have done
//! so far. Pure.
//!
//! From every [`EVERY_WEEKS`]th week of a history, with nothing known but what was known then, futures are drawn as wide as in
//! [`TRIED`], one after the other, until nine in ten of them hold what the same work then earned in coins over the term. Of
//! those widths, one for each week whose term is over, the one counts that sufficed for [`PER_CENT`] of a hundred (split conformal
//! prediction: Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005, with the quantile of `n + 1`). Nothing
//! that comes after a day changes the width that is known on it.

use super::drawing::SplitMix64;
use super::past::{Past, Path, WEEK_SECS};

/// Weeks of the terms for which widths are learnt; between them they are interpolated.
pub(crate) const TERMS: [usize; 4] = [4, 13, 26, 52];
/// From every so many weeks futures are drawn.
const EVERY_WEEKS: usize = 4;
/// From which week of a history on: a year is the least from which something is drawn.
const FIRST_WEEK: usize = 52;
/// Fewer terms that are over tell nothing.
const TERMS_MIN: usize = 10;
/// Futures drawn for each.
const FUTURES: usize = 100;
/// Of a hundred widths so many are to suffice: more than nine in ten, because terms that begin every four weeks overlap, and what
/// comes is no draw from the same urn.
const PER_CENT: usize = 94;
/// Widths that are tried; the last one counts where none suffices.
const TRIED: [f64; 17] =
    [1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 10.0];

/// How many times as wide as the past, by the term in weeks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Widths(Vec<(usize, f64)>);

/// What constant work earns over so many weeks in coins, and what these are worth, as parts of what a week earns now.
pub(super) fn earned(weeks: usize, at: impl Fn(usize) -> (f64, f64)) -> (f64, f64) {
    (1..=weeks).map(at).fold((0.0, 0.0), |(c, v), (p, d)| (c + 1.0 / d, v + p / d))
}

/// Whether the middle nine in ten hold a value; below, within or above.
pub(super) fn place(drawn: &mut [f64], is: f64) -> std::cmp::Ordering {
    drawn.sort_unstable_by(f64::total_cmp);
    let last = drawn.len().saturating_sub(1);
    let at = |per_cent: usize| drawn.get((last * per_cent + 50) / 100).copied().unwrap_or(0.0);
    if is < at(5) {
        std::cmp::Ordering::Less
    } else if is > at(95) {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    }
}

/// What futures of a past earn over a term: coins, and their value.
pub(super) fn futures(past: &Past, weeks: usize, count: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut random = SplitMix64(seed);
    let one = |_| {
        let path: Path = past.future(weeks as f64 * WEEK_SECS, &mut random);
        earned(weeks, |k| path.at(k as f64 * WEEK_SECS))
    };
    (0..count).map(one).unzip()
}

/// Which of the widths tried is the first that would have held what came in the term after a week, of a history's weeks.
fn sufficed(weeks: &[(f64, f64)], now: usize, term: usize) -> Option<usize> {
    let (price, difficulty) = *weeks.get(now)?;
    weeks.get(now + term)?;
    let past = Past::of(weeks.get(..=now)?)?;
    let (came, _) = earned(term, |k| (weeks[now + k].0 / price, weeks[now + k].1 / difficulty));
    let holds = |times: &f64| {
        let (mut coins, _) = futures(&past.clone().widened(*times), term, FUTURES, now as u64);
        place(&mut coins, came).is_eq()
    };
    Some(TRIED.iter().position(holds).unwrap_or(TRIED.len() - 1))
}

/// For every week from which futures are drawn: which width was the first that sufficed.
pub(super) fn all_sufficed(weeks: &[(f64, f64)], term: usize) -> Vec<(usize, usize)> {
    let from = (FIRST_WEEK..weeks.len()).step_by(EVERY_WEEKS);
    from.map_while(|now| Some((now, sufficed(weeks, now, term)?))).collect()
}

/// The width that would have sufficed often enough, in those terms that are over at a week.
pub(super) fn learnt(sufficed: &[(usize, usize)], term: usize, now: usize) -> Option<f64> {
    let over = sufficed.iter().filter(|(from, _)| from + term <= now);
    let mut all: Vec<usize> = over.map(|(_, n)| *n).collect();
    all.sort_unstable();
    let rank = ((all.len() + 1) * PER_CENT).div_ceil(100).min(all.len());
    let width = all.get(rank.checked_sub(1)?)?;
    (all.len() >= TERMS_MIN).then(|| TRIED[*width])
}

fn known_of(weeks: &[(f64, f64)], term: usize) -> Option<(usize, f64)> {
    let last = weeks.len().saturating_sub(1);
    Some((term, learnt(&all_sufficed(weeks, term), term, last)?))
}

impl Widths {
    /// What is known at the end of a history's weeks.
    #[cfg(test)]
    pub(super) fn known(weeks: &[(f64, f64)]) -> Widths {
        Widths(TERMS.into_iter().map_while(|term| known_of(weeks, term)).collect())
    }

    /// The same as far as it is needed for one term; some tenths of a second for a history of years.
    pub(crate) fn known_for(weeks: &[(f64, f64)], secs: f64) -> Widths {
        let is_below = |term: &usize| *term as f64 <= secs / WEEK_SECS;
        // Where a longer one is not known, the longest that is.
        let below = TERMS.into_iter().rev().filter(is_below).find_map(|t| known_of(weeks, t));
        let above = TERMS.into_iter().find(|t| !is_below(t)).filter(|_| {
            below.is_some_and(|(term, _)| TERMS.iter().rfind(|t| is_below(t)) == Some(&term))
                || !TERMS.iter().any(is_below)
        });
        let above = above.and_then(|t| known_of(weeks, t));
        Widths(below.into_iter().chain(above).collect())
    }

    /// Reads lines of `weeks,times`.
    pub(super) fn read(csv: &str) -> Widths {
        let line = |line: &str| {
            let (weeks, times) = line.split_once(',')?;
            Some((weeks.parse().ok()?, times.parse().ok()?))
        };
        Widths(csv.lines().skip(1).filter_map(line).collect())
    }

    /// The lines that are read.
    #[cfg(test)]
    pub(super) fn written(&self) -> String {
        let lines = self.0.iter().map(|(weeks, times)| format!("{weeks},{times}\n"));
        std::iter::once("weeks,times\n".to_owned()).chain(lines).collect()
    }

    /// For a term: between two of those learnt in proportion, beyond them as the first and the last. None where nothing is known.
    pub(crate) fn at(&self, secs: f64) -> Option<f64> {
        let weeks = secs / WEEK_SECS;
        let (first, last) = (self.0.first()?, self.0.last()?);
        let between = self.0.windows(2).find(|w| weeks <= w[1].0 as f64);
        Some(match between {
            _ if weeks <= first.0 as f64 => first.1,
            Some([a, b]) => {
                let part = (weeks - a.0 as f64) / (b.0 - a.0) as f64;
                a.1 + (b.1 - a.1) * part
            }
            _ => last.1,
        })
    }
}

#[cfg(test)]
mod tests;
