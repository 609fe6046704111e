//! What is known of miners by what they call themselves: the least difficulty that each can use.
//!
//! A table, so that a new entry is a line with its reason. The operator's own entries stand before it
//! and win. An entry only raises the bound below which the difficulty control does not go; it never
//! makes a class harder than a block.
//!
//! Must not know: sessions.

use crate::difficulty::class_at_least;
use gruve_units::{Algorithm, Class};
use std::borrow::Cow;

/// What holds for miners of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentRule {
    /// What they call themselves begins so, in whatever case.
    pub begins_with: Cow<'static, str>,
    /// Where it holds; `None` for every algorithm.
    pub algorithm: Option<Algorithm>,
    /// The least difficulty on the wire: finite, above zero.
    pub difficulty_min: f64,
    /// Why.
    pub reason: Cow<'static, str>,
}

/// An entry of the table.
const fn rule(
    begins_with: &'static str,
    algorithm: Algorithm,
    difficulty_min: f64,
    reason: &'static str,
) -> AgentRule {
    AgentRule {
        begins_with: Cow::Borrowed(begins_with),
        algorithm: Some(algorithm),
        difficulty_min,
        reason: Cow::Borrowed(reason),
    }
}

/// What is known without the operator's help.
pub static KNOWN: [AgentRule; 8] = [
    rule(
        "nicehash/",
        Algorithm::Sha256d,
        500_000.0,
        "ends the order at a pool below 500,000 (nicehash.com/pool-operators); DATUM and btcpool \
         give 524,288, the next power of two",
    ),
    rule(
        "nicehash/",
        Algorithm::Scrypt,
        500_000.0,
        "btcpool gives its Litecoin servers the same 524,288",
    ),
    rule(
        "miningrigrentals",
        Algorithm::Sha256d,
        500_000.0,
        "brings a whole rented farm over one connection; what public pools give to rentals",
    ),
    rule(
        "bitaxe/",
        Algorithm::Sha256d,
        0.0001,
        "ESP-Miner refuses less (MIN_POOL_DIFFICULTY) and goes on at the difficulty before",
    ),
    rule("nerdqaxe", Algorithm::Sha256d, 0.0001, "a fork of ESP-Miner"),
    rule("nerdaxe", Algorithm::Sha256d, 0.0001, "a fork of ESP-Miner"),
    rule("ethminer", Algorithm::Etchash, 0.0001, "takes anything below for 1"),
    rule("ethminer", Algorithm::Ethash, 0.0001, "takes anything below for 1"),
];

impl AgentRule {
    fn is_of(&self, agent: &str, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|a| a == algorithm)
            && agent
                .get(..self.begins_with.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(&self.begins_with))
    }
}

/// The easiest class for a miner of this name: the first entry's that is of it.
#[must_use]
pub fn easiest_class(own: &[AgentRule], agent: &str, algorithm: Algorithm) -> Option<Class> {
    let mut rules = own.iter().chain(&KNOWN);
    let rule = rules.find(|r| r.is_of(agent, algorithm))?;
    class_at_least(algorithm, rule.difficulty_min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_difficulty_and_a_reason() {
        for rule in &KNOWN {
            assert!(rule.difficulty_min.is_finite() && rule.difficulty_min > 0.0);
            assert!(!rule.reason.is_empty() && !rule.begins_with.is_empty());
        }
    }

    #[test]
    fn a_name_has_the_class_that_is_not_below_its_difficulty_and_the_operators_word_wins() {
        let class = |own: &[AgentRule], agent| easiest_class(own, agent, Algorithm::Sha256d);
        assert_eq!(class(&[], "NiceHash/1.0.0"), Class::new(32 + 19));
        assert_eq!(class(&[], "bitaxe/BM1370/v2.7.0"), Class::new(32 - 13));
        assert_eq!(class(&[], "cgminer/4.10.0"), None);
        assert_eq!(class(&[], "nice"), None);
        assert_eq!(class(&[], ""), None);
        let own = AgentRule {
            begins_with: "NiceHash".into(),
            algorithm: None,
            difficulty_min: 4.0,
            reason: "an order of our own".into(),
        };
        assert_eq!(class(&[own], "nicehash/1.0.0"), Class::new(34));
        assert_eq!(easiest_class(&[], "NiceHash/1.0.0", Algorithm::Etchash), None);
    }
}
