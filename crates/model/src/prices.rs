//! Prices of the lane's own coin, from what sources say.

use crate::Wrong;
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
        if last.len() < quorum {
            return None;
        }
        let mut prices: Vec<u64> = last.values().map(|w| w.micro).collect();
        prices.sort_unstable();
        let middle = match wrong {
            Some(Wrong::UpperMedian) => prices.len() / 2,
            _ => (prices.len() - 1) / 2,
        };
        self.made.insert(instant, prices[middle]);
        Some(prices[middle])
    }
}
