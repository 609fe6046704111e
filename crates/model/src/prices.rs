//! Prices of the lane's own coin, from what sources say.

use crate::Wrong;
use crate::numbers::int;
use std::collections::BTreeMap;

/// A source's word: which, when (microseconds), and millionths of a dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which source.
    pub source: u8,
    /// When it holds.
    pub at: i64,
    /// Millionths of a dollar for a coin.
    pub micro: u64,
}

/// When there is a price.
#[derive(Clone, Copy, Debug)]
pub struct PriceRules {
    /// Sources that must have spoken.
    pub quorum: usize,
    /// Microseconds for which a word counts.
    pub staleness: i64,
    /// How far from the median of all a word may be, in hundredths of a percent of it; all count without.
    pub outlier_bps: Option<u32>,
}

/// All words, and the prices that were made of them, for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    words: Vec<Report>,
    made: BTreeMap<i64, u64>,
}

impl Prices {
    pub(crate) fn say(&mut self, word: Report) {
        // The first word of a source for an instant stands.
        if !self.words.iter().any(|w| w.source == word.source && w.at == word.at) {
            self.words.push(word);
        }
    }

    /// The price at an instant, if there is one.
    pub(crate) fn at(
        &mut self,
        instant: i64,
        rules: PriceRules,
        wrong: Option<Wrong>,
    ) -> Option<u64> {
        if let (Some(Wrong::NewestPrice), Some((_, newest))) = (wrong, self.made.last_key_value()) {
            return Some(*newest);
        }
        if let Some(price) = self.made.get(&instant) {
            return Some(*price);
        }
        let oldest = match wrong {
            Some(Wrong::StaleWords) => i64::MIN,
            _ => instant - rules.staleness,
        };
        let mut last: BTreeMap<u8, Report> = BTreeMap::new();
        for word in self.words.iter().filter(|w| w.at > oldest && w.at <= instant) {
            let newest = last.entry(word.source).or_insert(*word);
            if word.at > newest.at {
                *newest = *word;
            }
        }
        let quorum = if wrong == Some(Wrong::QuorumOfOne) { 1 } else { rules.quorum };
        let mut prices: Vec<u64> = last.values().map(|w| w.micro).collect();
        let all = prices.len();
        if let (Some(far), Some(of_all)) = (rules.outlier_bps, median(&mut prices, wrong)) {
            prices.retain(|p| wrong == Some(Wrong::FarWordsCount) || is_near(*p, of_all, far));
        }
        let counted = if wrong == Some(Wrong::FarWordsMakeQuorum) { all } else { prices.len() };
        if counted < quorum {
            return None;
        }
        let price = median(&mut prices, wrong)?;
        self.made.insert(instant, price);
        Some(price)
    }
}

/// The one in the middle, of an even number the lower.
fn median(prices: &mut [u64], wrong: Option<Wrong>) -> Option<u64> {
    prices.sort_unstable();
    let upper = usize::from(wrong == Some(Wrong::UpperMedian));
    prices.get((prices.len() + upper).checked_sub(1)? / 2).copied()
}

/// Whether the distance is no more than the allowed part of the middle one, that part not rounded.
fn is_near(price: u64, middle: u64, bps: u32) -> bool {
    let apart = int(price) - int(middle);
    let apart = if apart < int(0) { -apart } else { apart };
    apart * 10_000 <= int(middle) * bps
}
