//! What a block pays its miner and its uncles' miners, by era (ECIP-1017).
//!
//! The first era pays as the family always did: the block's reward, a thirty-second of it more for
//! each uncle included, and to an uncle's miner an eighth less for every block it is late. From the
//! second era on the reward is four fifths of the era's before, and an uncle's miner gets a
//! thirty-second of it, as the including miner does.

use ruint::aliases::U256;

/// The rule of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardRule {
    /// Wei a block in the first era.
    pub first: U256,
    /// Blocks of an era, above zero; `None`: the first era never ends.
    pub era_blocks: Option<u64>,
}

/// Uncles that a block may include (yellow paper, section 11.1).
pub const UNCLES_MAX: usize = 2;

/// An uncle's parent is at most this many blocks above the parent of the block that includes it: its
/// number is from one to this many below.
pub const UNCLE_DEPTH_MAX: u64 = 6;

impl RewardRule {
    /// Ethereum Classic: 5 ETC, a fifth less every five million blocks.
    pub const CLASSIC: RewardRule = RewardRule {
        first: U256::from_limbs([5_000_000_000_000_000_000, 0, 0, 0]),
        era_blocks: Some(5_000_000),
    };

    /// The era of a block, from 0. The first era is the blocks 1 to 5,000,000 and the genesis block.
    #[must_use]
    pub fn era(&self, number: u64) -> u64 {
        self.era_blocks.map_or(0, |blocks| number.saturating_sub(1) / blocks.max(1))
    }

    /// Wei for the block alone.
    #[must_use]
    pub fn block(&self, number: u64) -> U256 {
        let mut reward = self.first;
        // First all multiplications, then all divisions, as the rule is written: 5 coins times 4^80
        // still fit 256 bits, and a reward of 80 eras (over 150 years) is nothing anyway.
        let era = self.era(number);
        if era > 80 {
            return U256::ZERO;
        }
        for _ in 0..era {
            reward = reward.saturating_mul(U256::from(4));
        }
        let mut divisor = U256::from(1);
        for _ in 0..era {
            divisor = divisor.saturating_mul(U256::from(5));
        }
        reward.checked_div(divisor).unwrap_or_default()
    }

    /// Wei more for the block's miner for each uncle included.
    #[must_use]
    pub fn nephew(&self, number: u64) -> U256 {
        self.block(number) >> 5
    }

    /// Wei for the miner of uncle `uncle` included in block `number`; nothing when it is too late.
    #[must_use]
    pub fn uncle(&self, number: u64, uncle: u64) -> U256 {
        let late = match number.checked_sub(uncle) {
            Some(late @ 1..=UNCLE_DEPTH_MAX) => late,
            _ => return U256::ZERO,
        };
        if self.era(number) > 0 {
            return self.block(number) >> 5;
        }
        (self.block(number) * U256::from(8 - late)) >> 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETC: RewardRule = RewardRule::CLASSIC;

    fn wei(text: &str) -> U256 {
        text.parse().unwrap()
    }

    /// The table of ECIP-1017, in its own words: 5, 4, 3.2, 2.56 ETC.
    #[test]
    fn eras_pay_a_fifth_less_each() {
        for (number, reward) in [
            (1, "5000000000000000000"),
            (5_000_000, "5000000000000000000"),
            (5_000_001, "4000000000000000000"),
            (10_000_000, "4000000000000000000"),
            (10_000_001, "3200000000000000000"),
            (15_000_001, "2560000000000000000"),
            (20_000_001, "2048000000000000000"),
            (25_000_001, "1638400000000000000"),
        ] {
            assert_eq!(ETC.block(number), wei(reward), "block {number}");
        }
        assert_eq!(ETC.block(u64::MAX), U256::ZERO);
    }

    #[test]
    fn uncles_are_paid_by_lateness_in_the_first_era_and_alike_later() {
        assert_eq!(ETC.uncle(100, 99), wei("4375000000000000000"));
        assert_eq!(ETC.uncle(100, 94), wei("1250000000000000000"));
        assert_eq!(ETC.uncle(100, 93), U256::ZERO);
        assert_eq!(ETC.uncle(100, 100), U256::ZERO);
        assert_eq!(ETC.nephew(100), wei("156250000000000000"));
        assert_eq!(ETC.uncle(5_000_001, 5_000_000), wei("125000000000000000"));
        assert_eq!(ETC.uncle(5_000_001, 4_999_996), wei("125000000000000000"));
        assert_eq!(ETC.nephew(5_000_001), wei("125000000000000000"));
    }
}
