//! What the market shows: plans, quotes, contracts, epochs, blocks, books.

use crate::QuoteForecast;
use crate::config::PlanKind;
use crate::rules::PlanLife;
use crate::scheme::{FppsAsset, Scheme};
use gruve_units::{
    AccountId, Accrual, Algorithm, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Hashrate,
    LaneId, QuoteId, Timestamp,
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

/// Where a contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContractState {
    /// Bought, capacity held, not paid.
    AwaitingPayment,
    /// Paid; starts at the next epoch border.
    Starting,
    /// Work is being delivered.
    Active,
    /// All its work was delivered.
    Completed,
    /// Its hard end came; what was missing was refunded.
    Refunded,
    /// Not paid in time.
    Expired,
    /// Taken back by its owner before its first epoch; what was paid is in the balance again.
    Cancelled,
}

impl ContractState {
    /// All states.
    pub const ALL: [ContractState; 7] = [
        ContractState::AwaitingPayment,
        ContractState::Starting,
        ContractState::Active,
        ContractState::Completed,
        ContractState::Refunded,
        ContractState::Expired,
        ContractState::Cancelled,
    ];

    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ContractState::AwaitingPayment => "awaiting_payment",
            ContractState::Starting => "starting",
            ContractState::Active => "active",
            ContractState::Completed => "completed",
            ContractState::Refunded => "refunded",
            ContractState::Expired => "expired",
            ContractState::Cancelled => "cancelled",
        }
    }

    /// Whether its hashrate counts as sold.
    #[must_use]
    pub const fn holds_capacity(self) -> bool {
        matches!(
            self,
            ContractState::AwaitingPayment | ContractState::Starting | ContractState::Active
        )
    }
}

/// A contract as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractView {
    /// Its id.
    pub id: ContractId,
    /// Whose.
    pub account: AccountId,
    /// Under which plan.
    pub plan: String,
    /// And which version of it.
    pub plan_version: u32,
    /// The plan's title when it was sold.
    pub title: String,
    /// The lane.
    pub lane: LaneId,
    /// What it earns.
    pub asset: Asset,
    /// Where it stands.
    pub state: ContractState,
    /// The bought rate.
    pub hashrate: Hashrate,
    /// The bought term.
    pub term_epochs: u64,
    /// Length of an epoch in microseconds.
    pub epoch_us: u64,
    /// How it earns.
    pub scheme: Scheme,
    /// What was paid or is due.
    pub price: Amount,
    /// SHA-256 of the terms agreed at the sale.
    pub terms_hash: [u8; 32],
    /// When it was bought.
    pub created: Timestamp,
    /// When it was paid.
    pub paid: Option<Timestamp>,
    /// Its first epoch.
    pub start_epoch: Option<EpochNumber>,
    /// The epoch before which all its work must have been delivered.
    pub hard_end: Option<EpochNumber>,
    /// Work bought: the rate times the term.
    pub bought: Hashes,
    /// Work that should have been delivered by now.
    pub entitled: Hashes,
    /// Work delivered.
    pub delivered: Hashes,
    /// The difference, still to be made good.
    pub shortfall: Hashes,
    /// All earnings so far before fees, in fixed point; orphaned blocks do not count.
    pub earned: Accrual,
    /// Earnings settled before fees.
    pub settled: Amount,
    /// Earnings that reached the customer's balance, after fees.
    pub credited: Amount,
    /// Earnings not settled yet (immature blocks, fractions), rounded down.
    pub maturing: Amount,
    /// The same of each asset it earns, its own first.
    pub earnings: Vec<Earnings>,
    /// What was refunded for undelivered work.
    pub refunded: Amount,
    /// What of its life stands beside delivery.
    pub life: LifeView,
    /// Its last epochs, newest first; see [`EPOCH_LINES_MAX`].
    pub epochs: Vec<EpochLine>,
}

/// What of a contract's life stands beside delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeView {
    /// The contract that it follows without a gap.
    pub renews: Option<ContractId>,
    /// Work that was paid for in coins instead of being delivered.
    pub compensated: Hashes,
    /// Work missed by the operator's doing that its owner has not decided about.
    pub undecided: Hashes,
    /// Since when its clock stands still.
    pub paused_since: Option<EpochNumber>,
    /// Epochs that its clock stood still.
    pub paused_epochs: u64,
    /// The rules it was sold under.
    pub rules: PlanLife,
}

/// What a contract has of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earnings {
    /// The asset.
    pub asset: Asset,
    /// All earnings so far before fees, in fixed point; orphaned blocks do not count.
    pub earned: Accrual,
    /// Earnings settled before fees.
    pub settled: Amount,
    /// Earnings that reached the customer's balance, after fees.
    pub credited: Amount,
    /// Earnings not settled yet, rounded down.
    pub maturing: Amount,
}

/// Epoch lines shown with a contract at most: what a plot can draw.
pub const EPOCH_LINES_MAX: u32 = 500;

/// What a contract got in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochLine {
    /// The epoch.
    pub epoch: EpochNumber,
    /// When it began.
    pub start: Timestamp,
    /// What it should get.
    pub entitled: Hashes,
    /// What it got, earlier shortfall made good included.
    pub delivered: Hashes,
    /// Of that, earlier shortfall made good.
    pub made_good: Hashes,
    /// Shortfall still open after it.
    pub shortfall: Hashes,
    /// PPLNS units it stands for: fixed point, 2^64 is the work of one block.
    pub units: u128,
}

/// A settlement: accrued earnings and fees that became postings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLine {
    /// First epoch of the range.
    pub from_epoch: EpochNumber,
    /// Last epoch of the range.
    pub to_epoch: EpochNumber,
    /// Earnings before fees; negative where an orphaned block was taken back.
    pub gross: Amount,
    /// The operator's part of the earnings.
    pub fee: Amount,
    /// Maintenance taken.
    pub maintenance: Amount,
    /// Maintenance that the earnings did not cover: the operator's loss.
    pub waived: Amount,
    /// What reached the customer's balance.
    pub net: Amount,
    /// When.
    pub at: Timestamp,
}

/// A lane in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneStats {
    /// The lane.
    pub lane: LaneId,
    /// What it earns.
    pub asset: Asset,
    /// What its machines compute.
    pub algorithm: Algorithm,
    /// Length of an epoch in microseconds.
    pub epoch_us: u64,
    /// All work over the capacity window as a rate.
    pub hashrate: Hashrate,
    /// The house's part of it.
    pub house_hashrate: Hashrate,
    /// What of the house's rate is proven with the stated confidence.
    pub proven_capacity: Hashrate,
    /// Under contract or held for one.
    pub sold: Hashrate,
    /// Left for sale: proven capacity less the reserve less what is sold.
    pub available: Hashrate,
    /// Sold beyond what may be sold now: above zero after capacity fell. Nothing is sold meanwhile.
    pub oversold: Hashrate,
    /// The last closed epoch.
    pub last_closed: Option<EpochNumber>,
    /// The network's target by the last job, compact form.
    pub network_bits: Option<u32>,
    /// The height of the last job.
    pub height: Option<u64>,
    /// Shares counted in closed epochs.
    pub shares: u64,
    /// Blocks of its own chain found that were not orphaned or refused.
    pub blocks_found: u64,
    /// The chains that are merge-mined with it.
    pub aux: Vec<AuxStats>,
}

/// A merge-mined chain in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuxStats {
    /// What its blocks pay.
    pub asset: Asset,
    /// The chain's target by the last job, compact form.
    pub network_bits: Option<u32>,
    /// The height of the last job.
    pub height: Option<u64>,
    /// Blocks found that were not orphaned or refused.
    pub blocks_found: u64,
}

/// Where a found block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// Sent; its reward has not been seen on the chain.
    Found,
    /// The node refused it.
    Refused,
    /// On the chain, its reward may not be spent yet.
    Maturing,
    /// On the chain, its reward may be spent.
    Mature,
    /// No longer on the chain.
    Orphaned,
}

/// A block the lane found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockView {
    /// The lane.
    pub lane: LaneId,
    /// Of which chain it is.
    pub asset: Asset,
    /// Its hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// The epoch in its stamp; the header time's epoch where the log has no record of it.
    pub epoch: EpochNumber,
    /// When it was found (by the log) or what its header says.
    pub at: Timestamp,
    /// Where it stands.
    pub state: BlockState,
    /// What it pays.
    pub reward: Option<Amount>,
    /// The height at which its reward may be spent.
    pub matures_at: u64,
}

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochView {
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// When it began.
    pub start: Timestamp,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Epochs before it that had no work and have no row.
    pub skipped: u64,
    /// Shares counted.
    pub shares: u64,
    /// The house's work.
    pub house_work: Hashes,
    /// Work of hosted and outside machines.
    pub other_work: Hashes,
    /// The house's work that contracts got.
    pub allocated: Hashes,
    /// The rest of the house's work: the operator's.
    pub surplus: Hashes,
    /// All work as a rate.
    pub hashrate: Hashrate,
    /// Root over the shares.
    pub share_root: [u8; 32],
    /// The checkpoint.
    pub checkpoint: [u8; 32],
}

/// Where all block rewards of one asset are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetReconciliation {
    /// The asset.
    pub asset: Asset,
    /// What all blocks paid that are on the chain (the rewards table).
    pub block_rewards: Amount,
    /// Credited to customers, after fees.
    pub customers: Amount,
    /// The operator's own part and fees.
    pub operator: Amount,
    /// What fell to unfilled windows.
    pub window_reserve: Amount,
    /// The FPPS reserve's part of the blocks, for the work that it pays.
    pub fpps_reserve: Amount,
    /// Not yet credited: immature blocks, and whole minor units waiting for a settlement.
    pub maturing: Amount,
    /// Rounding: fractions carried, and whole minor units they grew to.
    pub remainder: Amount,
    /// What the ledger says is not yet credited, fractions included.
    pub ledger_rewards: Amount,
    /// Whether the parts add up to the whole, and the ledger and the accrual tables agree, each to the
    /// minor unit.
    pub adds_up: bool,
    /// What does not, in words.
    pub differences: Vec<String>,
}

/// Where all block rewards are, asset by asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// One for each asset that a lane earns.
    pub assets: Vec<AssetReconciliation>,
}

impl Reconciliation {
    /// Whether every asset adds up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.assets.iter().all(|a| a.adds_up)
    }
}
