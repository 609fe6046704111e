//! New coins by height: pure, integers only.
//!
//! Sources: `GetBlockSubsidy` of Bitcoin Core and Litecoin Core, `GetDogecoinBlockSubsidy` of
//! Dogecoin Core 1.14, ECIP-1017.

use super::mersenne::Mersenne;
use crate::eth::reward::RewardRule;
use crate::eth::wei;
use gruve_units::Asset;

/// How new coins come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubsidyRule {
    /// `initial >> (height / interval)`, zero from the 64th halving on.
    Halving {
        /// Minor units in the first blocks.
        initial: i64,
        /// Blocks between halvings, above zero.
        interval: u64,
    },
    /// Dogecoin: drawn from the previous block's hash below `fixed_from`, at most 1,000,000 coins
    /// halved every `interval` blocks; then 500,000 coins halved likewise for six intervals, then
    /// 10,000 coins for ever.
    Dogecoin {
        /// First height without a random subsidy.
        fixed_from: u64,
        /// Blocks between halvings, above zero.
        interval: u64,
    },
    /// Ethereum Classic (ECIP-1017); uncles are paid beside.
    Eras(RewardRule),
}

impl SubsidyRule {
    /// New coins of the block at `height`, in minor units of `asset`; `None` where they are drawn
    /// from the block before ([`SubsidyRule::drawn`]). What is less than a minor unit is left out.
    #[must_use]
    pub fn at(&self, asset: Asset, height: u64) -> Option<i64> {
        match *self {
            SubsidyRule::Halving { initial, interval } => {
                let halvings = height / interval.max(1);
                Some(if halvings >= 64 { 0 } else { initial >> halvings })
            }
            SubsidyRule::Dogecoin { fixed_from, interval } => {
                if height < fixed_from {
                    return None;
                }
                let halvings = height / interval.max(1);
                let coins = if halvings >= 6 { 10_000 } else { 500_000 >> halvings };
                Some(coins * asset.unit())
            }
            SubsidyRule::Eras(rule) => wei::split(rule.block(height)).map(|(gwei, _)| gwei),
        }
    }

    /// New coins of the block at `height` that stands on the block `previous` (internal byte
    /// order), in minor units of `asset`: for every height of every chain.
    #[must_use]
    pub fn drawn(&self, asset: Asset, height: u64, previous: &[u8; 32]) -> Option<i64> {
        let SubsidyRule::Dogecoin { interval, .. } = *self else { return self.at(asset, height) };
        if let Some(fixed) = self.at(asset, height) {
            return Some(fixed);
        }
        // Of the hash as people write it, the seven digits after the first seven.
        let [.., d, c, b, a, _, _, _] = *previous;
        let seed = u32::from_be_bytes([a, b, c, d]) & 0x0fff_ffff;
        let halvings = u32::try_from(height / interval.max(1)).unwrap_or(u32::MAX);
        let most = 1_000_000_u32.checked_shr(halvings).unwrap_or(0).checked_sub(1)?;
        if most == 0 {
            return None;
        }
        let coins = 1 + i64::from(Mersenne::new(seed).between(1, most));
        Some(coins * asset.unit())
    }
}
