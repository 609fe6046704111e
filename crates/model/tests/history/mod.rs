//! A generated history that the market lives through, written down so that a model can live through it too.

use crate::observed::{ASSETS, Observed, observe};
use crate::world::{self, BITS, EPOCH_SECS, World, job_id, lane, someone};
use gruve_ledger::{Account, Entry, balance, post};
use gruve_market::{
    Accountant, AuxConfig, MaintenanceIn, MarketConfig, PlanConfig, Result, RewardSeen,
};
use gruve_model::{Input, Lane, Model, Shares, Terms};
use gruve_sharelog::{AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, Owner, Record};
use gruve_store::{Store, transact};
use gruve_units::{
    AccountId, Amount, Bps, Class, Clock, ContractId, Duration, EpochNumber, Hashrate,
};
use std::collections::BTreeMap;

/// A second network target, eight times as hard.
const HARDER: u32 = 0x1e01_ffff;
/// The merge-mined chain is 16 times as easy.
const AUX_BITS: u32 = 0x1f00_ffff;
const AUX_MATURITY: u64 = world::MATURITY + 3;
const OUTSIDE_FEE_BPS: u16 = 130;

/// One of the buyers is the operator himself.
const OPERATOR: u8 = 3;

/// Contracts that may run at once.
const RUNNING_MAX: usize = 14;

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
    heights: [u64; 2],
    /// Jobs that are merge-mined.
    merged: BTreeMap<(u64, u32), bool>,
    number: u64,
    pub(crate) figures: Figures,
}

pub(crate) fn config(settle_every: u64) -> MarketConfig {
    let mut config = world::config();
    config.lanes[0].aux = vec![AuxConfig { asset: ASSETS[1], coinbase_maturity: AUX_MATURITY }];
    config.lanes[0].settle_every_epochs = settle_every;
    config.lanes[0].outside_fee_bps = Bps::new(OUTSIDE_FEE_BPS).unwrap();
    config.operator_accounts = [someone(OPERATOR)].into();
    config.lanes[0].capacity_window_epochs = 8;
    config.unpaid_per_account_max = 20;
    config.plans = vec![
        PlanConfig {
            price_minor: 86_399_999,
            price_hashrate: Hashrate(100_000),
            fee_bps: Bps::new(233).unwrap(),
            maintenance_minor_per_th_day: 900_000_000_000_000,
            maintenance_also: vec![MaintenanceIn {
                asset: ASSETS[1],
                minor_per_th_day: 1_700_000_000_000_001,
            }],
            ..world::plan()
        },
        PlanConfig {
            id: "other".into(),
            pay_asset: Some(ASSETS[1]),
            price_minor: 7_777_777,
            terms_epochs: vec![5, 11],
            fee_bps: Bps::new(77).unwrap(),
            maintenance_minor_per_th_day: 90_000_000_000_001,
            catch_up_bps: 20_000,
            extension_epochs: Some(2),
            ..world::plan()
        },
    ];
    config
}

/// What the model is told of the same lane.
pub(crate) fn model_lane(settle_every: u64) -> Lane {
    Lane {
        maturity: vec![world::MATURITY, AUX_MATURITY],
        epoch_us: EPOCH_SECS * 1_000_000,
        settle_every,
        outside_fee_bps: OUTSIDE_FEE_BPS,
        window_epochs_max: 1_000,
        operator_accounts: vec![someone(OPERATOR).to_bytes()],
    }
}

fn model_terms(plan: &PlanConfig, rate: u128, term: u64) -> Terms {
    let also = plan.maintenance_also.iter().map(|m| (1, m.minor_per_th_day));
    Terms {
        hashrate: rate,
        term,
        extension: plan.extension(),
        catch_up_bps: plan.catch_up_bps,
        price_asset: usize::from(plan.pay_asset.is_some()),
        price_minor: plan.price_minor,
        price_hashrate: plan.price_hashrate.0,
        fee_bps: plan.fee_bps.get(),
        maintenance: std::iter::once((0, plan.maintenance_minor_per_th_day)).chain(also).collect(),
    }
}

impl History {
    pub(crate) async fn begin(store: Store, plan: Plan) -> History {
        let w = World::with(store, config(settle_every(plan))).await;
        let mut history = History {
            w,
            random: Random(plan.seed),
            inputs: Vec::new(),
            blocks: Vec::new(),
            contracts: Vec::new(),
            heights: [100, 5_000],
            merged: BTreeMap::new(),
            number: 0,
            figures: Figures::default(),
        };
        let first = history.w.now();
        history.inputs.push(Input::Job(first.0));
        history.open(first);
        history
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random.below(n)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Both jobs of an epoch, each merge-mined or not.
    fn open(&mut self, epoch: EpochNumber) {
        for bits in [BITS, HARDER] {
            self.w.job(epoch, bits);
            self.inputs.push(Input::Job(epoch.0));
            let merges = self.chance(75);
            self.merged.insert((epoch.0, bits), merges);
            if merges {
                self.merge(epoch, bits);
            }
        }
    }

    fn merge(&self, epoch: EpochNumber, bits: u32) {
        let chain = AuxChainRecord {
            asset: ASSETS[1],
            chain_id: 98,
            block_hash: [7; 32],
            bits: AUX_BITS,
            height: epoch.0 + 5_000,
            index: 0,
            branch: vec![],
        };
        let record = AuxJobRecord { job: job_id(epoch, bits), epoch, chains: vec![chain] };
        self.w.log.append(&[Record::AuxJob(record)]).unwrap();
    }

    /// Some work of an epoch by house and others, at both targets.
    fn mine(&mut self, epoch: EpochNumber) {
        // In lean times contracts fall short, by different epochs.
        let classes = if self.chance(35) { 7 } else { 12 };
        for _ in 0..self.below(4) {
            let owner = match self.below(8) {
                n @ 0..2 => Owner::Account(someone(100 + u8::try_from(n).unwrap())),
                _ => Owner::House,
            };
            let bits = if self.chance(30) { HARDER } else { BITS };
            for _ in 0..self.below(9) {
                let class = u8::try_from(6 + self.below(classes)).unwrap();
                self.share(epoch, owner, bits, class);
            }
        }
    }

    fn share(&mut self, epoch: EpochNumber, owner: Owner, bits: u32, class: u8) {
        self.w.work_in(epoch, owner, class, 1, bits);
        let merged = self.merged.get(&(epoch.0, bits)).copied().unwrap_or(false);
        let aux = merged.then_some((1, AUX_BITS));
        self.inputs.push(Input::Shares(Shares {
            epoch: epoch.0,
            owner: match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a.to_bytes()),
            },
            bits: std::iter::once((0, bits)).chain(aux).collect(),
            work: 1 << Class::new(class).unwrap().k(),
        }));
    }

    async fn fund(&mut self, account: AccountId, asset: usize, minor: u64) {
        self.number += 1;
        let amount = Amount::new(ASSETS[asset], i64::try_from(minor).unwrap());
        let (from, to) = (Account::ChainHot, Account::CustomerAvailable(account));
        let reason = format!("in/{}", self.number);
        let entry = Entry::transfer(reason, "pay-in", self.w.clock.now(), from, to, amount);
        transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
        self.inputs.push(Input::Funded(account.to_bytes(), asset, minor));
    }

    async fn sell(&mut self) {
        let account = someone(u8::try_from(self.below(4)).unwrap());
        let which = usize::from(self.chance(40));
        let plan = self.w.market.config().plans[which].clone();
        // Few rates, so that remainders tie.
        let rate = [300, 300, 900, 1_800][usize::try_from(self.below(4)).unwrap()];
        let terms = &plan.terms_epochs;
        let term = terms[usize::try_from(self.below(terms.len() as u64)).unwrap()];
        let market = self.w.market.clone();
        let Ok(quote) = market.quote(account, &plan.id, Hashrate(rate), term).await else {
            self.figures.refused += 1;
            return;
        };
        let bought = transact!(self.w.store, tx -> Result<_> => {
            market.buy(tx, account, quote.id).await
        });
        let Ok(bought) = bought else {
            self.figures.refused += 1;
            return;
        };
        let (id, price) = (bought.contract, u64::try_from(bought.due.minor).unwrap());
        let terms = model_terms(&plan, rate, term);
        let asset = terms.price_asset;
        self.inputs.push(Input::Bought(id.to_bytes(), account.to_bytes(), terms));
        self.contracts.push((account, id));
        self.figures.contracts += 1;
        if self.chance(85) {
            self.fund(account, asset, price).await;
            self.w.pay(id).await;
            self.inputs.push(Input::Paid(id.to_bytes(), self.w.now().0));
        } else {
            transact!(self.w.store, tx -> Result<_> => { market.invoice_expired(tx, id).await })
                .unwrap();
            self.inputs.push(Input::Expired(id.to_bytes()));
        }
    }

    /// A block of one of the chains, of which the log tells or not.
    fn find(&mut self, asset: usize) {
        let now = self.w.now();
        let height = self.heights[asset] + 1;
        self.heights[asset] = height;
        self.number += 1;
        let in_log = self.chance(85);
        let hash = match (in_log, asset) {
            (true, 0) => self.w.find_block(height),
            _ => {
                let mut hash = [0xee - u8::try_from(asset).unwrap(); 32];
                hash[..8].copy_from_slice(&self.number.to_be_bytes());
                hash
            }
        };
        if in_log && asset == 1 {
            let share = self.w.share(now, Owner::House, 16, BITS);
            let found = BlockRecord { share, block_hash: hash, height, block: vec![1; 100] };
            let record = Record::AuxBlock(AuxBlockRecord { asset: ASSETS[1], found });
            self.w.log.append(&[record]).unwrap();
        }
        if in_log {
            self.inputs.push(Input::Found(hash, now.0));
        }
        let reward = match self.below(3) {
            0 => self.below(3_000) + 1,
            1 => self.below(300_000) + 1,
            _ => self.below(5_000_000_000) + 1,
        };
        let (is_seen, is_live) = (false, true);
        self.figures.blocks += 1;
        self.blocks.push(Block { asset, hash, height, reward, header: 0, is_seen, is_live });
    }

    async fn see(&mut self, at: usize) {
        let now = self.w.now().0;
        let b = &mut self.blocks[at];
        if !b.is_seen {
            (b.is_seen, b.header) = (true, now);
        }
        let (asset, hash, height) = (b.asset, b.hash, b.height);
        let amount = Amount::new(ASSETS[asset], i64::try_from(b.reward).unwrap());
        let (reward, header) = (b.reward, b.header);
        let block_time = world::start_of(header);
        let seen = RewardSeen { block_hash: hash, height, amount, block_time };
        let market = self.w.market.clone();
        transact!(self.w.store, tx -> Result<_> => {
            market.reward_seen(tx, &lane(), seen).await
        })
        .unwrap();
        self.inputs.push(Input::Seen(asset, hash, height, reward, header, now));
    }

    async fn chains(&mut self) {
        for asset in 0..2 {
            self.heights[asset] += self.below(3);
            if self.chance(25) {
                self.find(asset);
            }
        }
        let late = self.chance(30);
        for at in 0..self.blocks.len() {
            // Seen at once or an epoch later.
            if !self.blocks[at].is_seen && !late {
                self.see(at).await;
            }
        }
        self.tell_heights().await;
        if self.chance(14) && !self.blocks.is_empty() {
            let recent = self.blocks.len().min(9) as u64;
            let at = self.blocks.len() - 1 - usize::try_from(self.below(recent)).unwrap();
            let (seen, live, hash) =
                (self.blocks[at].is_seen, self.blocks[at].is_live, self.blocks[at].hash);
            if seen && live {
                self.w.orphan(hash).await;
                self.inputs.push(Input::Orphaned(hash));
                self.figures.orphaned += 1;
                self.blocks[at].is_live = false;
            } else if seen {
                self.see(at).await;
                self.blocks[at].is_live = true;
                self.tell_heights().await;
            }
        }
    }

    async fn tell_heights(&mut self) {
        for (at, asset) in ASSETS.into_iter().enumerate() {
            let (market, height) = (self.w.market.clone(), self.heights[at]);
            transact!(self.w.store, tx -> Result<_> => {
                market.chain_height_of(tx, &lane(), asset, height).await
            })
            .unwrap();
            self.inputs.push(Input::Height(at, height));
        }
    }

    async fn holds(&self, account: &Account, asset: usize) -> i64 {
        let mut tx = self.w.store.read().await.unwrap();
        balance(&mut tx, account, ASSETS[asset]).await.unwrap().minor
    }

    /// Customers, and owners of machines, take out what they can.
    async fn withdraw(&mut self) {
        for n in [0, 1, 2, 3, 100] {
            let asset = usize::from(self.chance(50));
            let account = Account::CustomerAvailable(someone(n));
            let most =
                self.holds(&account, asset).await.min(self.holds(&Account::ChainHot, asset).await);
            let Ok(most @ 1..) = u64::try_from(most) else { continue };
            if self.chance(15) {
                let minor = if self.chance(50) { most } else { 1 + self.below(most) };
                self.number += 1;
                let amount = Amount::new(ASSETS[asset], i64::try_from(minor).unwrap());
                let reason = format!("out/{}", self.number);
                let to = Account::ChainHot;
                let entry =
                    Entry::transfer(reason, "payout", self.w.clock.now(), account, to, amount);
                transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
                self.inputs.push(Input::Withdrew(someone(n).to_bytes(), asset, minor));
                self.figures.withdrawals += 1;
            }
        }
    }

    async fn account(&mut self) {
        if self.chance(20) {
            // Cut off at some point: what was begun is rolled back.
            let cut = Duration::from_micros(self.below(3_000));
            let accountant = Accountant::new(self.w.market.clone());
            drop(tokio::time::timeout(cut, accountant.catch_up(&lane(), &self.w.log)).await);
        }
        self.w.account().await;
    }

    async fn epoch(&mut self) {
        let now = self.w.now();
        self.mine(now);
        let running = self.running().await;
        if running < RUNNING_MAX && self.chance(60) {
            self.sell().await;
        }
        self.chains().await;
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
        self.inputs.push(Input::Job(next.0));
        self.merged.insert((next.0, BITS), false);
        self.open(next);
        self.account().await;
        self.inputs.push(Input::Sealed(sealed.0));
        self.figures.epochs += 1;
    }

    async fn running(&self) -> usize {
        let sql =
            "SELECT COUNT(*) AS n FROM market_contracts WHERE state IN ('starting', 'active')";
        let mut tx = self.w.store.read().await.unwrap();
        tx.fetch_one(sql, &[]).await.unwrap().get::<u32>("n").unwrap() as usize
    }

    /// The next epoch, and what the market shows after it: with all settlements and lines if so wished.
    pub(crate) async fn step(&mut self, in_full: bool) -> Step {
        self.epoch().await;
        let observed = observe(&self.w, &self.contracts, in_full).await;
        Step { inputs: std::mem::take(&mut self.inputs), observed }
    }
}

/// Every how many epochs a history's lane settles.
pub(crate) fn settle_every(plan: Plan) -> u64 {
    1 + plan.seed % 3
}

/// A model at the beginning of a history.
pub(crate) fn model(plan: Plan, wrong: Option<gruve_model::Wrong>) -> Model {
    Model::new(model_lane(settle_every(plan)), wrong)
}
