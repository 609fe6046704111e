//! What a contract shows its owner.

use crate::rules::PlanLife;
use crate::scheme::Scheme;
use gruve_units::{
    AccountId, Accrual, Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, LaneId, Timestamp,
};

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
    /// Its payment was taken back by the payer's bank.
    ChargedBack,
}

impl ContractState {
    /// All states.
    pub const ALL: [ContractState; 8] = [
        ContractState::AwaitingPayment,
        ContractState::Starting,
        ContractState::Active,
        ContractState::Completed,
        ContractState::Refunded,
        ContractState::Expired,
        ContractState::Cancelled,
        ContractState::ChargedBack,
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
            ContractState::ChargedBack => "charged_back",
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
    /// Epochs that its clock stood still, paused or frozen.
    pub paused_epochs: u64,
    /// From which epoch on it gets nothing, because its payment is disputed.
    pub frozen_since: Option<EpochNumber>,
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
