//! Lines of what happens in a contract's life beside delivery: work set aside, choices, pauses, upkeep in dollars.

use super::Big;
use gruve_units::{Asset, Hashes};
use serde::{Deserialize, Serialize};

/// Work that was missed, and is neither made good nor refunded before it is known whose doing that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsideLine {
    /// The epoch it was missed in.
    pub epoch: u64,
    /// How much.
    pub hashes: Hashes,
}

/// It is known what of an epoch's missing work was the operator's doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgementLine {
    /// After the closing of which epoch.
    pub epoch: u64,
    /// About which.
    pub of_epoch: u64,
    /// A fact: what all contracts together missed.
    pub missing: Hashes,
    /// A fact: what of it was his doing.
    pub caused: Hashes,
    /// What this contract had set aside.
    pub aside: Hashes,
    /// What of it is for its owner to choose about: the same part, rounded down.
    pub part: Hashes,
}

/// What becomes of work that was missed by the operator's doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceLine {
    /// After the closing of which epoch.
    pub epoch: u64,
    /// A fact: when, microseconds UTC since 1970.
    pub at_us: i64,
    /// Missed in which.
    pub of_epoch: u64,
    /// A fact: what its owner said.
    pub choice: Choice,
    /// How much it is about.
    pub hashes: Hashes,
}

/// What its owner said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// The hashes, later.
    Later,
    /// What they would have earned.
    Earnings,
    /// Nothing within the time: later.
    Lapsed,
}

impl Choice {
    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Choice::Later => "later",
            Choice::Earnings => "earnings",
            Choice::Lapsed => "lapsed",
        }
    }
}

/// Work that was not delivered was paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwedLine {
    /// In the closing of which epoch.
    pub epoch: u64,
    /// Whose work.
    pub of_epoch: u64,
    /// Why.
    pub why: Why,
    /// In which asset.
    pub asset: Asset,
    /// How much work; in a pause a fact: this contract's part of what the house did beyond all others.
    pub hashes: Hashes,
    /// A fact: the network's target in that epoch, compact.
    pub bits: u32,
    /// A fact: what a block's work of that epoch has earned so far, 2^-64 minor units.
    pub per_block: Big,
    /// A fact, where energy is taken off: the price at the epoch's end, millionths of a dollar for a coin.
    pub price_micro: Option<i64>,
    /// A fact beside it: what energy cost by measurement, millionths of a dollar for a TH·day, at most the terms' figure.
    /// Left out where that figure itself was taken, as it was before energy was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_usd_micro_per_th_day: Option<u64>,
    /// What is due for the work so far, after fee or energy, 2^-64 minor units.
    pub due: Big,
    /// What of it is paid now, whole minor units.
    pub paid_minor: i64,
}

/// Why work is paid for that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was missed by the operator's doing, and its owner chose earnings.
    Missed,
    /// The house did it while the contract was paused.
    Paused,
}

impl Why {
    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Missed => "missed",
            Why::Paused => "paused",
        }
    }
}

/// What was decided about a contract that may be paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionLine {
    /// In the closing of which epoch.
    pub epoch: u64,
    /// When the price was taken, microseconds UTC since 1970: at the end of an epoch before.
    pub instant_us: i64,
    /// A fact: the price, millionths of a dollar for a coin.
    pub price_micro: i64,
    /// A fact: what a TH·day is expected to earn after the fee, millionths of a dollar.
    pub earns_micro: i64,
    /// What it costs.
    pub costs_micro: i64,
    /// What follows.
    pub decision: Decision,
    /// From which epoch on.
    pub effective_epoch: u64,
}

/// What follows from the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It runs again.
    Run,
    /// It will be paused.
    Pause,
    /// It would be paused, and its owner has it run.
    Override,
}

impl Decision {
    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Decision::Run => "run",
            Decision::Pause => "pause",
            Decision::Override => "override",
        }
    }
}

/// A contract's clock stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseLine {
    /// The last epoch of it.
    pub epoch: u64,
    /// The first.
    pub from_epoch: u64,
    /// How many its clock stood still.
    pub epochs: u64,
}

/// A contract's clock stood still because its payment was disputed: every epoch of these counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeLine {
    /// The last epoch of it.
    pub epoch: u64,
    /// The first.
    pub from_epoch: u64,
}

/// Upkeep in dollars up to a scheduled instant, in coins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DollarsLine {
    /// The last epoch whose work it is for.
    pub epoch: u64,
    /// Its end, whose price counts, microseconds UTC since 1970.
    pub instant_us: i64,
    /// For all work so far, 2^-64 millionths of a dollar.
    pub total: Big,
    /// What of that is new.
    pub due: Big,
    /// A fact: the price then, millionths of a dollar for a coin; none while it has none, and nothing is settled.
    pub price_micro: Option<i64>,
    /// The same in the coin, 2^-64 minor units.
    pub coins: Big,
    /// All upkeep that is owed and not taken.
    pub upkeep_due: Big,
}
