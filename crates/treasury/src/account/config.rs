//! What the operator decides about an account chain's wallet.

use gruve_chain::eth::{AccountNode, TRANSFER_GAS};
use gruve_units::Asset;
use std::sync::Arc;
use std::time::Duration;

/// Seconds between blocks of Classic; Ethereum's come every twelve.
const SPACING_SECS: u64 = 13;

/// The wallet of one account-based chain.
pub struct AccountChainWallet {
    /// Its coin: ETC or ETH.
    pub asset: Asset,
    /// The chain's number: in every signature, and compared with the node's before anything is paid.
    pub chain_id: u64,
    /// Whether the coins are worth something: decides the keys' derivation.
    pub real: bool,
    /// Where its transactions are sent and its fees asked for.
    pub node: Arc<dyn AccountNode>,
    /// Depth at which a receipt is credited; at least 1 (the block it stands in counts).
    pub confirmations: u64,
    /// Where larger pay-ins need more.
    pub depths: Vec<crate::DepthStep>,
    /// How many of the newest blocks can be undone. Also the depth from which it is final that a
    /// transaction of ours failed, or that others have used its nonce.
    pub reorg_limit: u64,
    /// Blocks that a house may be behind at its start without anybody looking before it pays what was approved before;
    /// an hour's of coins that are worth something, else any number.
    pub behind_max: u64,
    /// Fees and limits.
    pub payouts: GasPolicy,
    /// The hot address's cap.
    pub cold: Option<crate::SweepPolicy>,
}

impl AccountChainWallet {
    /// The usual settings. Classic's reorganisations have been thousands of blocks deep (2019, 2020):
    /// some four hours are waited for a pay-in.
    #[must_use]
    pub fn new(asset: Asset, chain_id: u64, real: bool, node: Arc<dyn AccountNode>) -> Self {
        let confirmations = if asset == Asset::Etc { 1_200 } else { 32 };
        let payouts = GasPolicy::of(asset);
        let reorg_limit = 2_000;
        // A restart takes seconds; a backup is hours old.
        let behind_max = if real { 3_600 / SPACING_SECS } else { u64::MAX };
        let cold = None;
        AccountChainWallet {
            asset,
            chain_id,
            real,
            node,
            confirmations,
            depths: Vec::new(),
            reorg_limit,
            behind_max,
            payouts,
            cold,
        }
    }
}

/// Fees and limits of transactions of one asset. Prices of gas are whole gwei, so that what leaves
/// the wallet is whole minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasPolicy {
    /// Payouts up to this many minor units need nobody's approval.
    pub auto_approve_max: i64,
    /// Never below this price, gwei.
    pub price_floor: i64,
    /// The price when the node says none, gwei.
    pub price_fallback: i64,
    /// Never above this price, gwei, whatever the node says and however long a transaction waits.
    pub price_ceiling: i64,
    /// Least that a payout must leave after the fee, and least a pay-in may ask, minor units: what
    /// is smaller costs more to move than it is worth.
    pub least: i64,
    /// A pay-in's address is swept when it holds this many times the fee of the sweep.
    pub sweep_at_fees: i64,
    /// Transactions under way from one address at most: geth keeps sixteen of an account for sure.
    pub open_max: u32,
    /// How long a transaction waits before it is signed again with the same nonce at a higher price.
    pub bump_after: Duration,
}

impl GasPolicy {
    /// The usual settings of an asset.
    #[must_use]
    pub const fn of(asset: Asset) -> GasPolicy {
        let (price_fallback, price_ceiling) = match asset {
            Asset::Etc => (2, 100),
            _ => (20, 500),
        };
        GasPolicy {
            auto_approve_max: asset.unit() / 10,
            price_floor: 1,
            price_fallback,
            price_ceiling,
            least: 100_000,
            sweep_at_fees: 20,
            open_max: 16,
            bump_after: Duration::from_secs(600),
        }
    }

    /// The price to use when the node says `estimate`, gwei.
    #[must_use]
    pub fn price(&self, estimate: Option<i64>) -> i64 {
        estimate.unwrap_or(self.price_fallback).clamp(self.price_floor.max(1), self.price_max())
    }

    pub(crate) fn price_max(&self) -> i64 {
        self.price_ceiling.max(self.price_floor).max(1)
    }

    /// The price of the next form of a transaction that waits at `price`: an eighth more at least
    /// (nodes ask for a tenth), as much as the network asks, the ceiling at most; `None` when that
    /// is no rise that nodes would take.
    #[must_use]
    pub fn bumped(&self, price: i64, estimate: i64) -> Option<i64> {
        let least = price.saturating_add((price.saturating_add(7) / 8).max(1));
        let next = least.max(estimate.min(self.price_max()));
        (next <= self.price_max()).then_some(next)
    }
}

/// What a plain transfer costs at a price, both in minor units (gwei).
#[must_use]
pub(crate) const fn transfer_fee(price: i64) -> i64 {
    price.saturating_mul(TRANSFER_GAS.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_stays_between_floor_and_ceiling() {
        let policy = GasPolicy::of(Asset::Etc);
        assert_eq!(policy.price(None), 2);
        assert_eq!(policy.price(Some(0)), 1);
        assert_eq!(policy.price(Some(i64::MAX)), 100);
        assert_eq!(transfer_fee(2), 42_000);
    }

    #[test]
    fn a_bump_is_one_that_nodes_take_or_none() {
        let policy = GasPolicy::of(Asset::Etc);
        assert_eq!(policy.bumped(1, 1), Some(2));
        assert_eq!(policy.bumped(40, 1), Some(45));
        assert_eq!(policy.bumped(40, 90), Some(90));
        assert_eq!(policy.bumped(95, 90), None);
        assert_eq!(policy.bumped(10, 1_000), Some(100));
    }
}
