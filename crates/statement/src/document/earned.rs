//! Lines of what work earned by another scheme than PPLNS, and of work by the meter.

use super::Big;
use gruve_units::{Asset, Hashes};
use serde::{Deserialize, Serialize};

/// FPPS: an epoch's work was paid at its expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedLine {
    /// In the closing of which epoch it was priced.
    pub epoch: u64,
    /// Whose work it is.
    pub of_epoch: u64,
    /// Of which chain.
    pub asset: Asset,
    /// What the contract got in that epoch.
    pub delivered: Hashes,
    /// What the house's machines did in it.
    pub house_work: Hashes,
    /// Facts: the house's work by height and target of its jobs, and what blocks were worth there.
    pub jobs: Vec<PricedJob>,
    /// What the work earns after the operator's part, 2^-64 minor units; mature at once.
    pub earned: Big,
}

/// The house's work under jobs of one height and target, and a block's worth there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedJob {
    /// The height of the block that was looked for.
    pub height: u64,
    /// The network's target, compact.
    pub bits: u32,
    /// The work.
    pub work: Hashes,
    /// New coins of the block at that height, minor units.
    pub subsidy_minor: i64,
    /// The average of the fees of the blocks before it, by the terms' window and cap.
    pub fee_average_minor: i64,
}

/// SOLO: a block fell to the contract, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundLine {
    /// In the closing of which epoch it was given to it.
    pub epoch: u64,
    /// Of which chain.
    pub asset: Asset,
    /// A fact: the block, as explorers write it.
    pub block: String,
    /// Which of its lives.
    pub life: u64,
    /// A fact: its height.
    pub height: u64,
    /// A fact: what it pays.
    pub reward_minor: i64,
    /// A fact: the epoch in its stamp.
    pub stamp_epoch: u64,
    /// The house's work of that epoch.
    pub house_work: Hashes,
    /// A fact: the work of SOLO contracts that stand before this one in it.
    pub before: Hashes,
    /// This contract's.
    pub own: Hashes,
    /// Where the block's hash falls.
    pub place: Hashes,
    /// What it earns: the reward, 2^-64 minor units.
    pub accrual: Big,
}

/// Work of an epoch by the meter, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageLine {
    /// Which.
    pub epoch: u64,
    /// When it began, microseconds UTC since 1970.
    pub began_us: i64,
    /// A fact: the price that was fixed before it began, in minor units of the asset paid …
    pub price_minor: i64,
    /// … for this much for a day.
    pub price_hashrate: gruve_units::Hashrate,
    /// A fact: what was held of the balance before it began.
    pub held_minor: i64,
    /// No more work than this.
    pub cap: Hashes,
    /// A fact: all work of the house's machines; none of an epoch that was never closed.
    pub house_work: Option<Hashes>,
    /// A fact: what all contracts together should have got.
    pub entitled_all: Hashes,
    /// What this one should get.
    pub entitled: Hashes,
    /// What it got.
    pub delivered: Hashes,
    /// All it got so far.
    pub delivered_sum: Hashes,
    /// What that cost, 2^-64 minor units.
    pub cost: Big,
    /// Of what was owed for work the whole minor units, taken from the hold.
    pub charged_minor: i64,
    /// What came back of the hold.
    pub released_minor: i64,
    /// What is carried on, 2^-64 minor units, below one.
    pub cost_carry: Big,
    /// Upkeep of this epoch, 2^-64 minor units.
    pub upkeep: Big,
    /// All that is owed and not taken.
    pub upkeep_due: Big,
    /// Units of each asset, in the order of the terms.
    pub units: Vec<super::Units>,
}

/// What FPPS could pay when not all was there: everybody got the same part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limited {
    /// A fact: whole minor units due to everybody.
    pub due_minor: i64,
    /// A fact: what was there for them.
    pub there_minor: i64,
}

/// A contract by the meter stopped, went on or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterLine {
    /// With the closing of which epoch; of one that was ended while nothing was held, in which.
    pub epoch: u64,
    /// A fact: when, microseconds UTC since 1970.
    pub at_us: i64,
    /// A fact: which.
    pub what: Metered,
    /// All work so far.
    pub delivered_sum: Hashes,
    /// All that was charged for it, minor units.
    pub charged_minor: i64,
    /// What is carried of its cost, 2^-64 minor units; at the end it is charged to nobody.
    pub cost_carry: Big,
}

/// What became of a contract by the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metered {
    /// Nothing could be held: no work until something can.
    Stopped,
    /// Something is held again.
    Resumed,
    /// Its owner ended it.
    Ended,
}

impl Metered {
    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Metered::Stopped => "stopped",
            Metered::Resumed => "resumed",
            Metered::Ended => "ended",
        }
    }
}
