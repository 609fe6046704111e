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
//! - each asset of a merge-mined lane has its own window, in units of its own chain's difficulty;
//! - an orphaned block is reversed by new entries, and never breaks a floor.
//!
//! # Must not know
//! Miners' protocols, nodes, wallets, browsers. Time and randomness are parameters; no float decides.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accountant;
mod after;
pub mod allocate;
pub mod appraise;
mod audit;
mod beneficiary;
mod book;
mod bulk;
mod cancel;
pub mod capacity;
mod catalog;
mod chain;
mod chain_figures;
mod close;
mod config;
mod contract;
pub mod delivery;
mod desk;
mod dollars;
mod end_near;
mod energy;
mod error;
mod estimate;
pub mod foretell;
pub mod fpps;
mod fpps_pay;
mod freeze;
pub mod funds;
mod going_on;
mod happenings;
mod late;
mod letters;
mod life;
mod life_sql;
mod losing;
mod marks;
pub mod metered;
mod notices;
mod offers;
pub mod opened;
mod outlook;
mod oversold;
mod owed;
mod pages;
mod papers;
mod parties;
mod pause;
pub mod pplns;
mod price;
mod proven_now;
mod read;
mod reconcile;
mod record;
mod renew;
mod reward;
pub mod ruin;
mod rules;
mod sale;
pub mod scheme;
mod scheme_sql;
pub mod settle;
mod settlement;
mod short;
pub mod solo;
mod spill;
mod sql;
mod stamps;
mod standing;
pub mod statement;
mod sums;
mod tally;
pub mod terms;
mod track;
pub mod units;
mod view;
mod wishes;
mod worth;

pub use accountant::{Accountant, EMPTY_ROWS_MAX};
pub use after::{AfterRefund, AfterSettlement, Refund, Settled};
pub use audit::{ContractAudit, FINDINGS_MAX, LogAudit};
pub use beneficiary::Beneficiary;
pub use bulk::{BULK_MIGRATIONS, PAGE_MIGRATIONS};
pub use cancel::Cancelled;
pub use chain::{ChainBlock, KEPT_BLOCKS};
pub use config::{
    AuxConfig, CAPACITY_WINDOW_MAX, HostedConfig, LaneConfig, MaintenanceIn, MarketConfig,
    Ownership, PLANS_MAX, PPLNS_EPOCHS_MAX, PaysFrom, PlanConfig, PlanKind, TERM_EPOCHS_MAX,
    TERMS_MAX, UNPAID_NEW_ACCOUNT_MAX, UNPAID_NEW_BPS,
};
pub use desk::{SOLD_MAX, SoldContract};
pub use dollars::UsdDue;
pub use end_near::END_NEAR_EPOCHS_MAX;
pub use energy::EnergyCosts;
pub use error::MarketError;
pub use estimate::{AHEAD_DAYS_MAX, Ask, Estimate, least_price};
pub use foretell::{AssetForecast, QuoteForecast};
pub use fpps::{FppsLine, FppsPrice};
pub use fpps_pay::{FppsPlanStatus, FppsStatus, ReserveFrom, part_of_due};
pub use freeze::{PaymentDispute, PaymentWord};
pub use going_on::GoingOn;
pub use gruve_statement::SignedTerms;
pub use happenings::HAPPENING_MIGRATIONS;
pub use letters::{Letter, LetterLine, Told};
pub use losing::{LosingPlan, LosingStretch, ThDay};
pub use metered::sql::METERED_MIGRATIONS;
pub use notices::{Notice, NoticeKind, NoticePlace};
pub use offers::{OFFER_MIGRATIONS, OFFERS_MAX, Offer, OfferStanding};
pub use owed::{Choice, OwedLine};
pub use papers::PAPER_MIGRATIONS;
pub use pause::{PauseDecision, part_of_surplus};
pub use price::{LastWord, PRICE_MAX, PriceRecord, SpotPrice, in_coin};
pub use proven_now::ProvenNow;
pub use read::{CONTRACTS_MAX, DELIVERED_MAX, ROWS_MAX, SettlementPlace};
pub use record::{RECORD_MIGRATIONS, RecordSink};
pub use renew::RENEW_AHEAD_EPOCHS;
pub use rules::{
    CHOICE_EPOCHS_MAX, PRICE_SOURCES_MAX, PlanLife, PriceRules, PriceSourceConfig, QuoteRules,
    USD_MICRO_MAX, Unprofitable, minimum_payout_max,
};
pub use scheme::{FppsAsset, FppsConfig, Scheme};
pub use short::{Act, ActKind, NOTE_MAX, ShortEpoch};
pub use sql::{CHAIN_MIGRATIONS, LIFE_MIGRATIONS, MIGRATIONS};
pub use stamps::StampSource;
pub use track::{
    HeldPlan, METERED_TRACKED_FOR, METERED_TRACKED_MAX, MeteredTrack, TRACKED_MAX, TrackRecord,
};
pub use view::{
    AssetReconciliation, AuxStats, BlockPlace, BlockState, BlockView, ContractState, ContractView,
    EPOCH_LINES_MAX, Earnings, EpochLine, EpochView, LaneStats, LifeView, Paid, Plan, PlanPrices,
    Purchase, Quote, Reconciliation, SettlementLine, StandingView,
};

use ed25519_dalek::SigningKey;
use gruve_store::{Store, Tx, params};
use gruve_units::{Amount, Asset, Clock, Entropy, LaneId, Timestamp};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A result with this room's error.
pub type Result<T, E = MarketError> = std::result::Result<T, E>;

/// A block's reward as the chain shows it: what its coinbase pays to the operator.
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
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: MarketConfig,
    plans: RwLock<Vec<Plan>>,
    /// Held while what is on sale changes.
    offers: tokio::sync::Mutex<()>,
    stamps: Arc<StampSource>,
    /// The newest time seen, microseconds.
    newest: AtomicI64,
    /// Lanes that nothing is settled for now.
    held: RwLock<BTreeSet<(LaneId, Asset)>>,
    /// What terms are signed with.
    terms_key: OnceLock<SigningKey>,
    /// Lanes that more is sold of than may be, as the operator was told.
    oversold: RwLock<BTreeSet<LaneId>>,
    /// Who is told of settlements.
    after: OnceLock<Arc<dyn AfterSettlement>>,
    /// Who is told of refunds.
    refunds: OnceLock<Arc<dyn AfterRefund>>,
    /// Who knows what work cost in electricity.
    energy: OnceLock<Arc<dyn EnergyCosts>>,
    /// Where public files go.
    record: OnceLock<Arc<dyn RecordSink>>,
}

impl Market {
    /// A market over a database. Call [`Market::prepare`] before anything else.
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
        let inner = Inner {
            store,
            clock,
            entropy,
            config,
            plans: RwLock::default(),
            offers: tokio::sync::Mutex::default(),
            stamps: Arc::default(),
            newest: AtomicI64::new(i64::MIN),
            held: RwLock::default(),
            terms_key: OnceLock::new(),
            oversold: RwLock::default(),
            after: OnceLock::new(),
            refunds: OnceLock::new(),
            energy: OnceLock::new(),
            record: OnceLock::new(),
        };
        Ok(Market { inner: Arc::new(inner) })
    }

    /// Has nothing settled for a lane from now on, or lets it be settled again: whoever follows its
    /// chain says whether what matured still holds. Epochs close meanwhile; what is due waits for the
    /// next settlement. Kept in memory only: whoever holds must hold again after a restart, before
    /// the accountant runs.
    pub fn hold_settlements(&self, lane: &LaneId, is_held: bool) {
        if let Ok(config) = self.lane(lane) {
            self.hold_settlements_of(lane, config.asset, is_held);
        }
    }

    /// The same for one of the chains that the lane mines. While any of them holds, nothing of the lane is
    /// settled: what maintenance takes from one asset depends on the others.
    pub fn hold_settlements_of(&self, lane: &LaneId, asset: Asset, is_held: bool) {
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        if is_held {
            held.insert((lane.clone(), asset));
        } else {
            held.remove(&(lane.clone(), asset));
        }
    }

    fn holds_settlements(&self, lane: &LaneId) -> bool {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        held.iter().any(|(held, _)| held == lane)
    }

    /// Makes the tables, stores the configured plans (a changed one as a new version) and loads the last
    /// checkpoints. Once at start, after the ledger's migrations.
    ///
    /// # Errors
    /// The database's.
    pub async fn prepare(&self) -> Result<()> {
        self.store().migrate("market", MIGRATIONS).await?;
        self.store().migrate("market_chain", sql::CHAIN_MIGRATIONS).await?;
        self.store().migrate("market_metered", METERED_MIGRATIONS).await?;
        self.store().migrate("market_pages", PAGE_MIGRATIONS).await?;
        self.store().migrate("market_papers", PAPER_MIGRATIONS).await?;
        self.store().migrate("market_life", sql::LIFE_MIGRATIONS).await?;
        self.store().migrate("market_bulk", BULK_MIGRATIONS).await?;
        self.store().migrate("market_happenings", HAPPENING_MIGRATIONS).await?;
        self.store().migrate("market_record", RECORD_MIGRATIONS).await?;
        self.store().migrate("market_offers", OFFER_MIGRATIONS).await?;
        let plans = self.store_catalog().await?;
        *self.inner.plans.write().unwrap_or_else(PoisonError::into_inner) = plans;
        let mut tx = self.store().read().await?;
        for lane in &self.config().lanes {
            self.load_stamps(&mut tx, &lane.lane).await?;
        }
        tx.rollback().await?;
        Ok(())
    }

    /// Puts a lane's last stored checkpoints into memory; those that are there stay as they are.
    async fn load_stamps(&self, tx: &mut Tx, lane: &LaneId) -> Result<()> {
        self.load_rules(tx, lane, stamps::KEPT).await?;
        let given = params![lane.clone(), stamps::KEPT];
        for row in tx.fetch_all(sql::CHECKPOINTS, &given).await? {
            self.stamps().put(lane, row.get("epoch")?, row.get("checkpoint")?);
        }
        Ok(())
    }

    /// Puts what a lane's last entries fixed into memory.
    async fn load_rules(&self, tx: &mut Tx, lane: &LaneId, last: u32) -> Result<()> {
        if let Some(sink) = self.record_sink() {
            for (epoch, fixed) in record::fixed(tx, lane, Some(last)).await? {
                self.stamps().cap(lane, epoch, fixed.rules.class_max);
                record::load_places(self.stamps(), sink.as_ref(), lane, epoch, fixed)?;
            }
        }
        Ok(())
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MarketConfig {
        &self.inner.config
    }

    /// What is for sale.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        self.plans_where(|p| p.kind != PlanKind::Hosted)
    }

    /// The plan of work of that name.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`].
    pub fn plan(&self, id: &str) -> Result<Plan> {
        let found = self.plans_where(|p| p.kind != PlanKind::Hosted && p.id == id);
        found.into_iter().next().ok_or(MarketError::UnknownPlan)
    }

    /// Plans of machines on sale. What is sold and how stands here; whoever keeps machines sells them.
    #[must_use]
    pub fn hosted_plans(&self) -> Vec<Plan> {
        self.plans_where(|p| p.kind == PlanKind::Hosted)
    }

    fn plans_where(&self, is_it: impl Fn(&Plan) -> bool) -> Vec<Plan> {
        let plans = self.inner.plans.read().unwrap_or_else(PoisonError::into_inner);
        plans.iter().filter(|p| is_it(p)).cloned().collect()
    }

    /// The checkpoints in memory, for stamping jobs.
    #[must_use]
    pub fn stamp_source(&self) -> Arc<StampSource> {
        self.inner.stamps.clone()
    }

    /// The configuration of a lane.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`].
    pub fn lane(&self, lane: &LaneId) -> Result<&LaneConfig> {
        self.config().lane(lane).ok_or_else(|| MarketError::UnknownLane(lane.clone()))
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    fn stamps(&self) -> &StampSource {
        &self.inner.stamps
    }

    /// The time, which never goes back here: an expired quote does not come to life again, and an epoch
    /// that has begun has begun.
    fn now(&self) -> Timestamp {
        let now = self.inner.clock.now();
        Timestamp(self.inner.newest.fetch_max(now.0, Ordering::Relaxed).max(now.0))
    }
}

// The unit tests use the world of the law tests, which knows this crate by its name.
#[cfg(test)]
extern crate self as gruve_market;
#[cfg(test)]
#[path = "../tests/world/mod.rs"]
mod world;
