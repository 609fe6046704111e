//! What an account development chain is told at its creation: its number and its rules.

use crate::eth::EthAddress;
use crate::eth::reward::RewardRule;
use gruve_pow::ethash::EthashEpoch;
use gruve_units::Algorithm;
use ruint::aliases::U256;
use std::fmt::Write as _;

/// How the next block's difficulty follows from its parent's (Homestead's rule with the uncles of
/// EIP-100, without the bomb that ECIP-1041 removed), with its constants as parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthDifficulty {
    /// Of the first block.
    pub start: u64,
    /// No block's is below it (131,072 on real chains); above zero.
    pub least: u64,
    /// A block that took this many seconds leaves the difficulty as it is; the mean time between
    /// blocks settles at 1.44 times this (9 on real chains: 13 seconds). Zero: it never changes.
    pub step_secs: u64,
    /// The difficulty moves by its part of this size for every step (2,048 on real chains).
    pub divisor: u64,
}

impl EthDifficulty {
    /// The real chains' constants.
    pub const REAL: EthDifficulty =
        EthDifficulty { start: 131_072, least: 131_072, step_secs: 9, divisor: 2_048 };

    /// For some hundred hashes a second and a block in about `spacing_secs`: moves by a sixteenth,
    /// so that it follows a farm that doubles within a dozen blocks.
    #[must_use]
    pub const fn for_farm(hashes_per_sec: u64, spacing_secs: u64) -> EthDifficulty {
        let start = hashes_per_sec.saturating_mul(spacing_secs);
        let start = if start < 16 { 16 } else { start };
        // ln 2 of the spacing: the time between blocks is exponential.
        let step = spacing_secs.saturating_mul(693) / 1_000;
        let step_secs = if step == 0 { 1 } else { step };
        EthDifficulty { start, least: 16, step_secs, divisor: 16 }
    }

    /// The same for every block.
    #[must_use]
    pub const fn fixed(difficulty: u64) -> EthDifficulty {
        EthDifficulty { start: difficulty, least: difficulty, step_secs: 0, divisor: 1 }
    }

    /// The difficulty of a block at `time` on a parent at `parent_time`.
    #[must_use]
    pub fn next(&self, parent: U256, parent_has_uncles: bool, parent_time: u64, time: u64) -> U256 {
        let least = U256::from(self.least.max(1));
        if self.step_secs == 0 {
            return parent.max(least);
        }
        let unit = parent / U256::from(self.divisor.max(1));
        let ahead = if parent_has_uncles { 2 } else { 1 };
        let steps = time.saturating_sub(parent_time) / self.step_secs;
        // As far down as the real rule; with a coarser divisor no further than to a half.
        let down_max = (self.divisor / 2).clamp(1, 99);
        let next = match steps.checked_sub(ahead) {
            Some(down) => parent.saturating_sub(unit * U256::from(down.min(down_max))),
            None => parent.saturating_add(unit * U256::from(ahead - steps)),
        };
        next.max(least)
    }
}

/// What a header must show of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EthDevWork {
    /// Ethash, done again from the epoch's real cache.
    Done,
    /// What its nonce and mix hash claim, whether or not they belong together: 3 permutations of Keccak in place of some
    /// 70,000. For tests of what blocks move, not of how they are found.
    Claimed,
}

/// Parameters of one account development chain. They are written into the chain's file when it is
/// created; opening the file with other rules is refused.
#[derive(Clone, Debug)]
pub struct EthDevParams {
    /// Its number: in every signature (EIP-155).
    pub chain_id: u64,
    /// Ethash or Etchash.
    pub algorithm: Algorithm,
    /// How hard blocks are.
    pub difficulty: EthDifficulty,
    /// How it is shown that they were.
    pub work: EthDevWork,
    /// What blocks pay.
    pub reward: RewardRule,
    /// Gas of every block.
    pub gas_limit: u64,
    /// Least price of gas that is taken into the pool, and what `eth_gasPrice` says; wei.
    pub gas_price: u64,
    /// Wei that the built-in wallet's first account has from the start.
    pub wallet_wei: U256,
    /// Other accounts that have wei from the start.
    pub accounts: Vec<(EthAddress, U256)>,
    /// A block's time may be at most this far ahead of the clock (15 on real chains).
    pub max_future_secs: u64,
    /// Work whose time is this old is made anew: its difficulty has fallen meanwhile.
    pub work_secs: u64,
}

impl EthDevParams {
    /// Ethereum Classic's number, algorithm and rewards; a block every 20 seconds at 300 hashes a
    /// second; a million coins in the wallet; gas at one gwei.
    #[must_use]
    pub fn classic() -> Self {
        EthDevParams {
            chain_id: 61,
            algorithm: Algorithm::Etchash,
            difficulty: EthDifficulty::for_farm(300, 20),
            work: EthDevWork::Done,
            reward: RewardRule::CLASSIC,
            gas_limit: 8_000_000,
            gas_price: 1_000_000_000,
            wallet_wei: U256::from(10u8).pow(U256::from(24u8)),
            accounts: Vec::new(),
            max_future_secs: 15,
            work_secs: 15,
        }
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        if EthashEpoch::length(self.algorithm).is_none() {
            return Some("the algorithm must be ethash or etchash");
        }
        if self.chain_id == 0 || self.chain_id > u64::MAX / 4 {
            return Some("the chain id must be above zero and leave room for a signature's v");
        }
        if self.gas_limit < crate::eth::TRANSFER_GAS {
            return Some("a block must have room for a transaction");
        }
        (self.difficulty.least == 0).then_some("the least difficulty must be above zero")
    }

    /// The rules as they stand in the file. What only the pool and the clock ask is not among them.
    pub(super) fn rules_text(&self, wallet: &EthAddress) -> String {
        let (d, r) = (&self.difficulty, &self.reward);
        let mut text = format!(
            "account chain 1; id {}; {}; difficulty {} {} {} {}; reward {} {:?}; gas {}; {wallet} {}",
            self.chain_id,
            self.algorithm,
            d.start,
            d.least,
            d.step_secs,
            d.divisor,
            r.first,
            r.era_blocks,
            self.gas_limit,
            self.wallet_wei,
        );
        for (address, wei) in &self.accounts {
            // Writing to a string cannot fail.
            let _ = write!(text, "; {address} {wei}");
        }
        if self.work == EthDevWork::Claimed {
            text.push_str("; work as claimed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(rule: &EthDifficulty, parent: u64, uncles: bool, took: u64) -> u64 {
        rule.next(U256::from(parent), uncles, 1_000, 1_000 + took).saturating_to()
    }

    /// From EIP-2 and EIP-100: `parent + parent / 2048 * max(y - took / 9, -99)`.
    #[test]
    fn with_real_constants_it_is_the_real_rule() {
        let rule = &EthDifficulty::REAL;
        let unit = 10_000_000 / 2_048;
        assert_eq!(next(rule, 10_000_000, false, 8), 10_000_000 + unit);
        assert_eq!(next(rule, 10_000_000, false, 9), 10_000_000);
        assert_eq!(next(rule, 10_000_000, false, 18), 10_000_000 - unit);
        assert_eq!(next(rule, 10_000_000, true, 8), 10_000_000 + 2 * unit);
        assert_eq!(next(rule, 10_000_000, true, 17), 10_000_000 + unit);
        assert_eq!(next(rule, 10_000_000, false, 100_000), 10_000_000 - 99 * unit);
        assert_eq!(next(rule, 131_072, false, 1_000), 131_072);
    }

    #[test]
    fn a_farms_rule_follows_it_and_falls_by_no_more_than_half() {
        let rule = &EthDifficulty::for_farm(300, 20);
        assert_eq!((rule.start, rule.step_secs), (6_000, 13));
        assert_eq!(next(rule, 6_000, false, 1), 6_375);
        assert_eq!(next(rule, 6_000, false, 20), 6_000);
        assert_eq!(next(rule, 6_000, false, 1_000_000), 3_000);
        assert_eq!(next(&EthDifficulty::fixed(7), 7, true, 500), 7);
    }
}
