//! What the market shows: plans, quotes, contracts, epochs, blocks, books.

mod books;
mod contract;
mod lane;

pub use books::{AssetReconciliation, Reconciliation, StandingView};
pub use contract::{
    ContractState, ContractView, EPOCH_LINES_MAX, Earnings, EpochLine, LifeView, SettlementLine,
};
pub use lane::{AuxStats, BlockPlace, BlockState, BlockView, EpochView, LaneStats};

use crate::QuoteForecast;
use crate::config::{HostedConfig, PlanKind};
use crate::rules::PlanLife;
use crate::scheme::{FppsAsset, Scheme};
use gruve_units::Timestamp;
use gruve_units::{
    AccountId, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Hashrate, LaneId, QuoteId,
};

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its short name.
    pub id: String,
    /// Counts up whenever the operator changes the plan; a contract keeps the version it was sold under.
    pub version: u32,
    /// The lane whose work is sold.
    pub lane: LaneId,
    /// What it earns.
    pub asset: Asset,
    /// What the same work earns besides, where the lane is merge-mined.
    pub also_earns: Vec<Asset>,
    /// What it is paid in.
    pub pay_asset: Asset,
    /// A title for people.
    pub title: String,
    /// The least hashrate.
    pub hashrate_min: Hashrate,
    /// The most.
    pub hashrate_max: Hashrate,
    /// Hashrates are multiples of this.
    pub hashrate_step: Hashrate,
    /// Terms to choose from, in epochs.
    pub terms_epochs: Vec<u64>,
    /// Length of an epoch in microseconds.
    pub epoch_us: u64,
    /// Price of `price_hashrate` for a day.
    pub price: Amount,
    /// The hashrate the price is for.
    pub price_hashrate: Hashrate,
    /// The operator's part of the earnings.
    pub fee_bps: Bps,
    /// Maintenance for each TH·day delivered, in minor units of the asset earned.
    pub maintenance_minor_per_th_day: u64,
    /// The assets that maintenance is taken from after that one, with the whole fee in each.
    pub maintenance_also: Vec<(Asset, u64)>,
    /// How far above the bought rate shortfalls may be made good, in basis points of the rate.
    pub catch_up_bps: u32,
    /// Epochs after the term in which undelivered work is still delivered.
    pub extension_epochs: u64,
    /// What it sells.
    pub kind: PlanKind,
    /// In a metered plan, for how many epochs the balance must last not to be called low.
    pub low_balance_epochs: u64,
    /// The earning scheme.
    pub scheme: Scheme,
    /// What FPPS is reckoned by, asset by asset; empty under another scheme.
    pub fpps: Vec<FppsAsset>,
    /// The chance of ruin that the FPPS reserve is laid out for, in millionths.
    pub fpps_ruin_ppm: u32,
    /// Epochs a window may reach back; what it does not find there is the window reserve's.
    pub window_epochs_max: u64,
    /// The rules of its contracts' life.
    pub life: PlanLife,
    /// Whose prices in dollars count, where the rules need one.
    pub prices: Option<PlanPrices>,
    /// The machine and its hosting, in a hosted plan.
    pub hosted: Option<HostedConfig>,
}

/// Whose prices in dollars count for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanPrices {
    /// The sources by name, sorted.
    pub sources: Vec<String>,
    /// How many of them must have spoken.
    pub quorum: u32,
    /// How long before an instant they may have, in seconds.
    pub staleness_secs: u32,
    /// How far from the median of all one may be to count, in hundredths of a percent of it.
    pub outlier_bps: Option<u32>,
}

/// A price that stands for a short time. It reserves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its id.
    pub id: QuoteId,
    /// For whom.
    pub account: AccountId,
    /// The plan.
    pub plan: String,
    /// The plan's version.
    pub plan_version: u32,
    /// The hashrate.
    pub hashrate: Hashrate,
    /// The term.
    pub term_epochs: u64,
    /// The work that is bought.
    pub work: Hashes,
    /// What it costs.
    pub price: Amount,
    /// When it was given.
    pub created: Timestamp,
    /// Until when it stands.
    pub expires: Timestamp,
    /// What it may earn, where the lane's figures are known.
    pub forecast: Option<QuoteForecast>,
}

/// What buying gives: a contract that waits for its payment and holds capacity meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The contract.
    pub contract: ContractId,
    /// What is to be paid.
    pub due: Amount,
    /// Whether the account has never paid for a contract: its order should not hold capacity for
    /// long.
    pub is_first: bool,
}

/// What a payment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The contract starts with this epoch.
    Starts(EpochNumber),
    /// The contract starts without a gap when the one it follows ends.
    Follows,
    /// The payment had been taken before; nothing changed.
    Already,
    /// The contract can no longer be filled; the money stays in the customer's balance.
    LeftInBalance,
}
