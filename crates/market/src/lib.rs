//! Plans, quotes, contracts, allocation, accrual, settlement; the accountant that closes epochs.
//!
//! For: customers who buy work (through the web), the accountant role that turns the share log into
//! epochs, and the chain follower that reports rewards.
//!
//! # What happens when
//! | event | one transaction |
//! |---|---|
//! | [`Market::buy`] | quote used, capacity held (compare-and-swap), contract waits for payment |
//! | [`Market::invoice_paid`] | customer's balance → prepaid work; starts at the next epoch border |
//! | an epoch is sealed | [`Accountant`]: counts, work, share root, allocation, units, found blocks, accruals, settlement, checkpoint and the log's cursor, all together |
//! | [`Market::reward_seen`], [`Market::chain_height`], [`Market::reward_orphaned`] | postings of the reward; the accountant shares it out at its next epoch |
//!
//! # Promises
//! - work is counted once: every share of the log stands in exactly one epoch, whatever is killed when;
//! - the hashrate under contract never exceeds the proven capacity less the reserve;
//! - allocated work and the operator's surplus add up to the house's work, exactly;
//! - every reward is shared out exactly: beneficiaries, unfilled window and rounding remainder add up to
//!   it in fixed point with 64 fractional bits, and whole minor units to the ledger;
//! - an orphaned block is reversed by new entries, and never breaks a floor.
//!
//! # Must not know
//! Miners' protocols, nodes, wallets, browsers. Time and randomness are parameters; no float decides.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod allocate;
mod beneficiary;
pub mod capacity;
mod config;
pub mod delivery;
mod error;
pub mod pplns;
pub mod settle;
mod tally;
pub mod terms;
pub mod units;
mod view;

pub use beneficiary::Beneficiary;

pub use config::{
    CAPACITY_WINDOW_MAX, LaneConfig, MarketConfig, PLANS_MAX, PPLNS_EPOCHS_MAX, PlanConfig,
    TERM_EPOCHS_MAX, TERMS_MAX,
};
pub use error::MarketError;
pub use view::{
    AssetReconciliation, BlockState, BlockView, ContractState, ContractView, EPOCH_LINES_MAX,
    EpochLine, EpochView, LaneStats, Paid, Plan, Purchase, Quote, Reconciliation, SettlementLine,
};

use gruve_sharelog::ShareLog;
use gruve_store::{Migration, Store, Tx};
use gruve_units::{
    AccountId, Amount, Clock, ContractId, Entropy, EpochNumber, Hashrate, LaneId, QuoteId,
    Timestamp,
};
use std::sync::Arc;

/// A result with this room's error.
pub type Result<T, E = MarketError> = std::result::Result<T, E>;

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[];

/// A block's reward as the chain shows it: an output to the operator in the block's coinbase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardSeen {
    /// The block's hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// What its coinbase pays to the operator, above zero.
    pub amount: Amount,
    /// The header's time.
    pub block_time: Timestamp,
}

/// The market's services. Cloning is cheap.
#[derive(Clone)]
pub struct Market {
    inner: Arc<Inner>,
}

struct Inner {
    #[allow(dead_code)]
    store: Store,
    #[allow(dead_code)]
    clock: Arc<dyn Clock>,
    #[allow(dead_code)]
    entropy: Arc<dyn Entropy>,
    config: MarketConfig,
}

fn unfinished<T>() -> Result<T> {
    Err(MarketError::Broken("not built yet".into()))
}

#[allow(clippy::unused_async, unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Market {
    /// A market over a database whose tables [`Market::prepare`] has made.
    ///
    /// # Errors
    /// [`MarketError::Config`] when the configuration cannot be used.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: MarketConfig,
    ) -> Result<Market> {
        config.check()?;
        Ok(Market { inner: Arc::new(Inner { store, clock, entropy, config }) })
    }

    /// Makes the tables, stores the configured plans (a changed one as a new version) and loads the
    /// last checkpoints. Call once at start, after the ledger's migrations.
    pub async fn prepare(&self) -> Result<()> {
        unfinished()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MarketConfig {
        &self.inner.config
    }

    /// What is for sale.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        Vec::new()
    }

    /// A price for an account. Reserves nothing.
    pub async fn quote(
        &self,
        account: AccountId,
        plan: &str,
        hashrate: Hashrate,
        term_epochs: u64,
    ) -> Result<Quote> {
        unfinished()
    }

    /// Buys a quote: holds the capacity and makes a contract that awaits its payment.
    pub async fn buy(&self, tx: &mut Tx, account: AccountId, quote: QuoteId) -> Result<Purchase> {
        unfinished()
    }

    /// A contract's invoice was credited to its owner's balance.
    pub async fn invoice_paid(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        at: Timestamp,
    ) -> Result<Paid> {
        unfinished()
    }

    /// A contract's invoice ran out: the capacity is released.
    pub async fn invoice_expired(&self, tx: &mut Tx, contract: ContractId) -> Result<()> {
        unfinished()
    }

    /// A contract of an account, with its last epochs.
    pub async fn contract(&self, account: AccountId, id: ContractId) -> Result<ContractView> {
        unfinished()
    }

    /// An account's contracts, newest first, at most 500, without epoch lines.
    pub async fn contracts(&self, account: AccountId) -> Result<Vec<ContractView>> {
        unfinished()
    }

    /// A contract's settlements, newest first.
    pub async fn settlements(
        &self,
        account: AccountId,
        id: ContractId,
        limit: u32,
    ) -> Result<Vec<SettlementLine>> {
        unfinished()
    }

    /// Earnings of an account that are not settled yet, by asset, rounded down; contracts and own
    /// machines together.
    pub async fn maturing(&self, account: AccountId) -> Result<Vec<Amount>> {
        unfinished()
    }

    /// A coinbase that pays the operator was connected: Dr chain maturing / Cr rewards.
    pub async fn reward_seen(&self, tx: &mut Tx, lane: &LaneId, reward: RewardSeen) -> Result<()> {
        unfinished()
    }

    /// The chain of a lane stands at this height: rewards deep enough mature.
    pub async fn chain_height(&self, tx: &mut Tx, lane: &LaneId, height: u64) -> Result<()> {
        unfinished()
    }

    /// A block was disconnected. Unknown blocks are nobody's and do nothing.
    pub async fn reward_orphaned(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        block_hash: &[u8; 32],
    ) -> Result<()> {
        unfinished()
    }

    /// All lanes in numbers.
    pub async fn lane_stats(&self) -> Result<Vec<LaneStats>> {
        unfinished()
    }

    /// Found blocks of a lane, newest first, `limit` at most (capped at 1,000).
    pub async fn blocks(&self, lane: &LaneId, limit: u32) -> Result<Vec<BlockView>> {
        unfinished()
    }

    /// Closed epochs of a lane, newest first, `limit` at most (capped at 1,000).
    pub async fn epochs(&self, lane: &LaneId, limit: u32) -> Result<Vec<EpochView>> {
        unfinished()
    }

    /// Where all block rewards are, each side counted on its own.
    pub async fn reconciliation(&self, tx: &mut Tx) -> Result<Reconciliation> {
        unfinished()
    }

    /// The checkpoints in memory, for stamping jobs.
    #[must_use]
    pub fn stamp_source(&self) -> Arc<StampSource> {
        Arc::new(StampSource {})
    }
}

/// The last checkpoints of every lane, in memory.
#[derive(Debug)]
pub struct StampSource {}

#[allow(unused_variables)]
impl StampSource {
    /// The checkpoint of the last epoch closed at or before `before_or_at`; epoch 0 and zeros when there
    /// is none.
    #[must_use]
    pub fn latest_checkpoint(
        &self,
        lane: &LaneId,
        before_or_at: EpochNumber,
    ) -> (EpochNumber, [u8; 32]) {
        (EpochNumber(0), gruve_proof::epoch::GENESIS)
    }
}

/// Turns the share log into closed epochs.
#[derive(Clone)]
pub struct Accountant {
    #[allow(dead_code)]
    market: Market,
}

#[allow(clippy::unused_async, unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Accountant {
    /// The accountant of a market.
    #[must_use]
    pub fn new(market: Market) -> Accountant {
        Accountant { market }
    }

    /// Reads a lane's log for ever, closing each epoch that is sealed; ends when `shutdown` does, or on a
    /// fatal error.
    pub async fn run(
        &self,
        lane: LaneId,
        log: ShareLog,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        unfinished()
    }
}
