//! How a contract stands before the first line of a page and after its last: running totals.

use super::Big;
use gruve_units::{Asset, Hashes};
use serde::{Deserialize, Serialize};

/// The running totals of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Work delivered.
    pub delivered: Hashes,
    /// Upkeep owed and not yet taken, 2^-64 minor units of the first asset of its order.
    pub upkeep_due: Big,
    /// Of each asset it earns, in the order of the terms.
    pub assets: Vec<Holding>,
    /// Given back for work never delivered.
    pub refunded_minor: i64,
    /// Work that was paid for in coins instead of being delivered.
    #[serde(default, skip_serializing_if = "super::is_nothing")]
    pub compensated: Hashes,
    /// Missed work that is not owed before it is known whose doing that was, or what its owner says.
    #[serde(default, skip_serializing_if = "super::is_nothing")]
    pub undecided: Hashes,
    /// Epochs that its clock stood still.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub paused_epochs: u64,
    /// Upkeep in dollars that was counted so far, 2^-64 millionths.
    #[serde(default, skip_serializing_if = "super::is_none")]
    pub dollars: Big,
    /// By the meter: whole minor units charged.
    #[serde(default, skip_serializing_if = "super::is_free")]
    pub charged_minor: i64,
    /// By the meter: cost carried on, 2^-64 minor units.
    #[serde(default, skip_serializing_if = "super::is_none")]
    pub cost_carry: Big,
}

/// The running totals of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// Of which.
    pub asset: Asset,
    /// From all blocks on the chain, 2^-64 minor units.
    pub accrued: Big,
    /// Of them from blocks that were credited.
    pub matured: Big,
    /// Whole minor units settled.
    pub settled_minor: i64,
    /// Of them what the customer's balance got.
    pub net_minor: i64,
    /// Ten-thousandths of a minor unit of fee carried.
    pub fee_carry: u32,
    /// Settlements so far, those that take back included.
    pub settlements: u64,
    /// Paid besides, for work that was not delivered.
    #[serde(default, skip_serializing_if = "super::is_free")]
    pub owed_paid_minor: i64,
}

impl Holding {
    /// Nothing yet.
    #[must_use]
    pub fn none(asset: Asset) -> Holding {
        Holding {
            asset,
            accrued: Big(0),
            matured: Big(0),
            settled_minor: 0,
            net_minor: 0,
            fee_carry: 0,
            settlements: 0,
            owed_paid_minor: 0,
        }
    }
}

impl Position {
    /// Before anything happened.
    #[must_use]
    pub fn begin(earns: &[Asset]) -> Position {
        Position {
            assets: earns.iter().map(|a| Holding::none(*a)).collect(),
            ..Position::default()
        }
    }
}
