//! A generated history that the market lives through, written down so that a model can live through it too.

mod blocks;
mod disputes;
mod keeping;
mod lane;
mod metered;
mod reserve;
mod trade;
mod work;

use crate::observed::{Observed, observe};
use crate::world::{self, BITS, World};
use disputes::Disputes;
use gruve_market::Accountant;
use gruve_model::{Input, Model};
use gruve_store::Store;
use gruve_units::{AccountId, ContractId, Duration, EpochNumber};
use std::collections::{BTreeMap, BTreeSet};

/// A second network target, eight times as hard.
const HARDER: u32 = 0x1e01_ffff;
/// The merge-mined chain is 16 times as easy.
const AUX_BITS: u32 = 0x1f00_ffff;

/// One of the buyers is the operator himself.
const OPERATOR: u8 = 3;

/// Contracts that may run at once.
const RUNNING_MAX: usize = 14;

/// The lane's jobs are for the height of their epoch's number, those of the merge-mined chain so much higher.
const AUX_HEIGHT: u64 = 5_000;
/// Epochs of a season. In its first half the operator keeps the reserves that FPPS is paid from full, so that it is sold; in the other
/// he takes out of them what he may, so that they are used up while those who bought still work.
const SEASON: u64 = 32;
const SOURCES: [&str; 3] = ["one", "three", "two"];

/// What happened up to a moment, and what the market showed then.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) inputs: Vec<Input>,
    pub(crate) observed: Observed,
}

/// How a history is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) epochs: u64,
}

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) epochs: u64,
    pub(crate) contracts: u64,
    pub(crate) blocks: u64,
    pub(crate) orphaned: u64,
    pub(crate) withdrawals: u64,
    pub(crate) refused: u64,
    /// Contracts by the meter, and how often one went on.
    pub(crate) metered: u64,
    pub(crate) resumed: u64,
    /// Epochs that ended without a price.
    pub(crate) without_price: u64,
    /// Blocks that the public chain's follower told of, and epochs in which it told of none.
    pub(crate) told: u64,
    pub(crate) deaf: u64,
    /// Contracts that follow another; what was missed by the operator's doing, and how often its earnings were chosen.
    pub(crate) renewed: u64,
    pub(crate) caused: u64,
    pub(crate) compensated: u64,
    /// Payments that were disputed, those that stood, and contracts that ended for one that did not.
    pub(crate) disputed: u64,
    pub(crate) thawed: u64,
    pub(crate) charged_back: u64,
    /// Contracts that were to run although they did not pay.
    pub(crate) kept: u64,
    /// Contracts under FPPS, of both kinds.
    pub(crate) fpps: u64,
    /// Renewals that were paid for while the contract stood still.
    pub(crate) renewed_paused: u64,
}

struct Block {
    asset: usize,
    hash: [u8; 32],
    height: u64,
    reward: u64,
    header: u64,
    is_seen: bool,
    is_live: bool,
}

/// `SplitMix64`: shares nothing with the house.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A history in the making.
pub(crate) struct History {
    pub(crate) w: World,
    random: Random,
    inputs: Vec<Input>,
    blocks: Vec<Block>,
    contracts: Vec<(AccountId, ContractId)>,
    metered: Vec<(AccountId, ContractId)>,
    resumed: BTreeSet<(ContractId, EpochNumber)>,
    /// Missed work that was seen to be the operator's doing.
    told: BTreeSet<(ContractId, EpochNumber)>,
    /// Disputes: what of them happens is drawn apart from everything else.
    disputes: Disputes,
    /// Contracts whose owners want them to run although they do not pay; drawn apart as well.
    kept: BTreeSet<ContractId>,
    keeping: Random,
    /// The contract that the one being ordered is to follow.
    renews: Option<ContractId>,
    /// The public chains' tips, as far as they were told.
    tips: [u64; 2],
    heights: [u64; 2],
    /// Jobs that are merge-mined.
    merged: BTreeMap<(u64, u32), bool>,
    number: u64,
    pub(crate) figures: Figures,
}

impl History {
    pub(crate) async fn begin(store: Store, plan: Plan) -> History {
        let w = World::with(store, lane::config(settle_every(plan))).await;
        let mut history = History {
            w,
            random: Random(plan.seed),
            inputs: Vec::new(),
            blocks: Vec::new(),
            contracts: Vec::new(),
            metered: Vec::new(),
            resumed: BTreeSet::new(),
            told: BTreeSet::new(),
            disputes: Disputes::new(plan.seed),
            kept: BTreeSet::new(),
            keeping: Random(plan.seed ^ 0x6b65_6570),
            renews: None,
            tips: [world::FIRST - 21, world::FIRST + AUX_HEIGHT - 21],
            heights: [100, 5_000],
            merged: BTreeMap::new(),
            number: 0,
            figures: Figures::default(),
        };
        let first = history.w.now();
        history.inputs.push(Input::Job(first.0, vec![(0, BITS)]));
        history.open(first);
        history.follow(0).await;
        for asset in 0..2 {
            history.fill_reserve(asset).await;
        }
        history
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.random.below(n)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Whether the reserves that FPPS is paid from are kept full ([`SEASON`]).
    pub(super) fn is_fat(&self) -> bool {
        (self.w.now().0 - world::FIRST) % SEASON < SEASON / 2
    }

    pub(super) async fn account(&mut self) {
        if self.chance(20) {
            // Cut off at some point: what was begun is rolled back.
            let cut = Duration::from_micros(self.below(3_000));
            let accountant = Accountant::new(self.w.market.clone());
            drop(tokio::time::timeout(cut, accountant.catch_up(&world::lane(), &self.w.log)).await);
        }
        self.w.account().await;
    }

    pub(super) async fn epoch(&mut self) {
        let now = self.w.now();
        self.mine(now);
        let running = self.running().await;
        if running < RUNNING_MAX && self.chance(60) {
            self.sell().await;
        }
        self.renew().await;
        self.renew_paused().await;
        self.choose().await;
        self.act().await;
        self.dispute().await;
        self.dispute_paused().await;
        self.keep_running().await;
        self.by_meter().await;
        self.own_schemes().await;
        self.chains().await;
        // Price feeds and the follower of the public chain fail now and then, for some epochs.
        let fails = now.0 % 17 < 3;
        self.prices(fails).await;
        if now.0 % 23 < 5 {
            self.figures.deaf += 1;
        } else {
            let ahead = self.below(3);
            self.follow(ahead).await;
        }
        self.reserves().await;
        self.withdraw().await;
        // Seldom the house is away for a while; otherwise the next epoch's work begins before the seal.
        let sealed = if self.chance(4) {
            let away = 2 + self.below(30);
            self.w.seal_after(away)
        } else {
            self.open(now.next());
            self.mine(now.next());
            self.mine(now);
            self.w.seal()
        };
        let next = self.w.now();
        // The seal came with a job, which is merge-mined no more.
        self.inputs.push(Input::Job(next.0, vec![(0, BITS)]));
        self.merged.insert((next.0, BITS), false);
        self.open(next);
        self.account().await;
        self.see_resumed().await;
        self.inputs.push(Input::Sealed(sealed.0, next.0));
        self.figures.epochs += 1;
        let sql = "SELECT COUNT(*) AS n FROM market_prices";
        let mut tx = self.w.store.read().await.unwrap();
        let made: u64 = tx.fetch_one(sql, &[]).await.unwrap().get("n").unwrap();
        self.figures.without_price = (next.0 - world::FIRST).saturating_sub(made);
    }

    pub(super) async fn running(&self) -> usize {
        let sql =
            "SELECT COUNT(*) AS n FROM market_contracts WHERE state IN ('starting', 'active')";
        let mut tx = self.w.store.read().await.unwrap();
        tx.fetch_one(sql, &[]).await.unwrap().get::<u32>("n").unwrap() as usize
    }

    /// The next epoch, and what the market shows after it: with all settlements and lines if so wished.
    pub(crate) async fn step(&mut self, in_full: bool) -> Step {
        self.epoch().await;
        let observed = observe(&self.w, (&self.contracts, &self.metered), in_full).await;
        Step { inputs: std::mem::take(&mut self.inputs), observed }
    }
}

/// Every how many epochs a history's lane settles.
pub(crate) fn settle_every(plan: Plan) -> u64 {
    1 + plan.seed % 3
}

/// A model at the beginning of a history.
pub(crate) fn model(plan: Plan, wrong: Option<gruve_model::Wrong>) -> Model {
    Model::new(lane::model_lane(settle_every(plan)), wrong)
}
