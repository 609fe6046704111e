//! A generated history that the market lives through, written down so that a model can live through it too.

use crate::observed::{ASSETS, Observed, observe};
use crate::world::{self, BITS, EPOCH_SECS, World, job_id, lane, someone};
use gruve_ledger::{Account, Entry, balance, post};
use gruve_market::metered::NoticeKind;
use gruve_market::{
    Accountant, AuxConfig, ChainBlock, FppsAsset, FppsConfig, MaintenanceIn, MarketConfig,
    PlanConfig, PlanKind, PlanLife, PriceRules, PriceSourceConfig, ReserveFrom, Result, RewardSeen,
    Scheme, Unprofitable,
};
use gruve_model::{FppsTerms, Input, Lane, MeterTerms, Model, PauseTerms, Report, Shares, Terms};
use gruve_sharelog::{AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, Owner, Record};
use gruve_store::{Store, transact};
use gruve_units::{
    AccountId, Amount, Bps, Class, Clock, ContractId, Duration, EpochNumber, Hashes, Hashrate,
    Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

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

/// The lane's jobs are for the height of their epoch's number, those of the merge-mined chain so much higher.
const AUX_HEIGHT: u64 = 5_000;
const SOURCES: [&str; 3] = ["one", "three", "two"];
const STALENESS_SECS: u32 = 15;
const QUORUM: u32 = 2;

/// The plans that are sold by the meter come after these leases.
const LEASES: usize = 6;

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
    /// The public chains' tips, as far as they were told.
    tips: [u64; 2],
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
    let source = |name: &&str| PriceSourceConfig {
        name: (*name).into(),
        asset: ASSETS[0],
        url: None,
        pointer: String::new(),
    };
    let sources = SOURCES.iter().map(source).collect();
    config.prices = PriceRules { quorum: QUORUM, staleness_secs: STALENESS_SECS, sources };
    config.plans = plans();
    config
}

fn plans() -> Vec<PlanConfig> {
    let lease = PlanConfig {
        price_minor: 86_399_999,
        price_hashrate: Hashrate(100_000),
        fee_bps: Bps::new(233).unwrap(),
        maintenance_minor_per_th_day: 900_000_000_000_000,
        maintenance_also: vec![MaintenanceIn {
            asset: ASSETS[1],
            minor_per_th_day: 1_700_000_000_000_001,
        }],
        ..world::plan()
    };
    let other = PlanConfig {
        id: "other".into(),
        pay_asset: Some(ASSETS[1]),
        price_minor: 7_777_777,
        terms_epochs: vec![5, 11],
        fee_bps: Bps::new(77).unwrap(),
        maintenance_minor_per_th_day: 90_000_000_000_001,
        catch_up_bps: 20_000,
        extension_epochs: Some(2),
        ..world::plan()
    };
    let asset = |asset, fee_window_blocks, fee_cap_minor, depth_blocks| FppsAsset {
        asset,
        fee_window_blocks,
        fee_cap_minor,
        depth_blocks,
    };
    let assets = vec![asset(ASSETS[0], 10, 50_001, 2), asset(ASSETS[1], 7, 30_003, 3)];
    let fpps = PlanConfig {
        id: "fpps".into(),
        scheme: Scheme::Fpps,
        fpps: Some(FppsConfig { ruin_ppm: 100_000, assets }),
        fee_bps: Bps::new(1_013).unwrap(),
        ..lease.clone()
    };
    let solo = PlanConfig { id: "solo".into(), scheme: Scheme::Solo, ..lease.clone() };
    let dollars = PlanConfig {
        id: "dollars".into(),
        maintenance_minor_per_th_day: 900_000_000_000,
        life: PlanLife { maintenance_usd_micro_per_th_day: 999_999_999_999, ..PlanLife::default() },
        ..lease.clone()
    };
    let pausing = PlanConfig {
        id: "pausing".into(),
        life: PlanLife {
            unprofitable: Unprofitable::Pause,
            hysteresis_bps: Bps::new(4_000).unwrap(),
            notice_epochs: 2,
            energy_usd_micro_per_th_day: 987_654_321_098,
            ..PlanLife::default()
        },
        ..lease.clone()
    };
    let by_meter = |id: &str, of: &PlanConfig| PlanConfig {
        id: id.into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        price_minor: 77_777_777,
        ..of.clone()
    };
    let meters = [by_meter("m", &lease), by_meter("m-fpps", &fpps), by_meter("m-solo", &solo)];
    [lease, other, fpps, solo, dollars, pausing].into_iter().chain(meters).collect()
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
        prices: gruve_model::PriceRules {
            quorum: QUORUM as usize,
            staleness: i64::from(STALENESS_SECS) * 1_000_000,
        },
        coin: 100_000_000,
    }
}

fn scheme(plan: &PlanConfig) -> gruve_model::Scheme {
    let terms = |t: &FppsAsset| FppsTerms {
        asset: usize::from(t.asset == ASSETS[1]),
        window: t.fee_window_blocks,
        cap: t.fee_cap_minor,
        depth: t.depth_blocks,
    };
    match plan.scheme {
        Scheme::Pplns => gruve_model::Scheme::Pplns,
        Scheme::Solo => gruve_model::Scheme::Solo,
        Scheme::Fpps => {
            gruve_model::Scheme::Fpps(plan.fpps.iter().flat_map(|f| &f.assets).map(terms).collect())
        }
    }
}

fn maintenance(plan: &PlanConfig) -> Vec<(usize, u64)> {
    let also = plan.maintenance_also.iter().map(|m| (1, m.minor_per_th_day));
    std::iter::once((0, plan.maintenance_minor_per_th_day)).chain(also).collect()
}

fn model_terms(plan: &PlanConfig, rate: u128, term: u64) -> Terms {
    Terms {
        scheme: scheme(plan),
        usd_micro: plan.life.maintenance_usd_micro_per_th_day,
        pause: (plan.life.unprofitable == Unprofitable::Pause).then_some(PauseTerms {
            hysteresis_bps: plan.life.hysteresis_bps.get(),
            notice: plan.life.notice_epochs,
            energy_micro: plan.life.energy_usd_micro_per_th_day,
        }),
        hashrate: rate,
        term,
        extension: plan.extension(),
        catch_up_bps: plan.catch_up_bps,
        price_asset: usize::from(plan.pay_asset.is_some()),
        price_minor: plan.price_minor,
        price_hashrate: plan.price_hashrate.0,
        fee_bps: plan.fee_bps.get(),
        maintenance: maintenance(plan),
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
            metered: Vec::new(),
            resumed: BTreeSet::new(),
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
            self.inputs.push(Input::Job(epoch.0, vec![(0, bits)]));
            let merges = self.chance(75);
            self.merged.insert((epoch.0, bits), merges);
            if merges {
                self.inputs.push(Input::Job(epoch.0, vec![(1, AUX_BITS)]));
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
            height: epoch.0 + AUX_HEIGHT,
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
        let aux = merged.then_some((1, AUX_BITS, epoch.0 + AUX_HEIGHT));
        self.inputs.push(Input::Shares(Shares {
            epoch: epoch.0,
            owner: match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a.to_bytes()),
            },
            bits: std::iter::once((0, bits, epoch.0)).chain(aux).collect(),
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
        let which = [0, 0, 1, 1, 2, 2, 3, 4, 5, 5][usize::try_from(self.below(10)).unwrap()];
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
        let mut hash = [0xee - u8::try_from(asset).unwrap(); 32];
        hash[..8].copy_from_slice(&self.number.to_be_bytes());
        let owner = match self.below(4) {
            0 => Owner::Account(someone(100 + u8::try_from(self.below(2)).unwrap())),
            _ => Owner::House,
        };
        if in_log {
            let share = self.w.share(now, owner, 16, BITS);
            let found = BlockRecord { share, block_hash: hash, height, block: vec![1; 100] };
            let record = match asset {
                0 => Record::Block(found),
                _ => Record::AuxBlock(AuxBlockRecord { asset: ASSETS[1], found }),
            };
            self.w.log.append(&[record]).unwrap();
            let owner = match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a.to_bytes()),
            };
            self.inputs.push(Input::Found(hash, now.0, owner));
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

    /// The public chains grow to the running epoch and `ahead` more, and sometimes lose their newest blocks first.
    async fn follow(&mut self, ahead: u64) {
        for asset in 0..2 {
            self.follow_one(asset, ahead).await;
        }
    }

    async fn follow_one(&mut self, asset: usize, ahead: u64) {
        let now = self.w.now().0;
        if self.chance(10) {
            self.tips[asset] -= self.below(3);
        }
        let to = now + ahead + if asset == 1 { AUX_HEIGHT } else { 0 };
        for height in self.tips[asset] + 1..=to {
            // Now the work pays its costs, now nearly, now not.
            let work = [1 << 25, 3 << 25, 1 << 28][usize::try_from(self.below(3)).unwrap()];
            let (subsidy, fees) = (900_000 + self.below(3) * 50_000, self.below(120_000));
            let block = ChainBlock {
                height,
                hash: [u8::try_from(height % 251).unwrap(); 32],
                time: height,
                bits: Some(BITS),
                work: Hashes(work),
                names_uncles: false,
                subsidy: i64::try_from(subsidy).unwrap(),
                fees: i64::try_from(fees).unwrap(),
            };
            let market = self.w.market.clone();
            transact!(self.w.store, tx -> Result<()> => {
                market.chain_block(tx, &lane(), ASSETS[asset], &block).await
            })
            .unwrap();
            self.inputs.push(Input::Chain(asset, height, subsidy, fees, work));
            self.figures.told += 1;
        }
        self.tips[asset] = self.tips[asset].max(to);
    }

    async fn capital(&mut self, asset: usize, minor: i64) -> bool {
        self.number += 1;
        let (market, reason) = (self.w.market.clone(), format!("r{}", self.number));
        let amount = Amount::new(ASSETS[asset], minor);
        let moved = transact!(self.w.store, tx -> Result<_> => {
            market.fpps_capital(tx, &reason, amount, ReserveFrom::Revenue).await
        });
        if moved.is_ok() {
            self.inputs.push(Input::Reserve(asset, minor));
        }
        moved.is_ok()
    }

    /// The operator earns something elsewhere and puts it into the reserve.
    async fn fill_reserve(&mut self, asset: usize) {
        self.number += 1;
        let minor = 100_000_000;
        let (from, to) = (Account::ChainHot, Account::OperatorRevenue);
        let (reason, at) = (format!("earned/{}", self.number), self.w.clock.now());
        let amount = Amount::new(ASSETS[asset], minor);
        let entry = Entry::transfer(reason, "test", at, from, to, amount);
        transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
        self.inputs.push(Input::Earned(asset, 100_000_000));
        // What he owes from elsewhere may be more than that: then it stays there.
        self.capital(asset, minor).await;
    }

    /// The operator takes out of a reserve what he may, or fills it again.
    async fn reserves(&mut self) {
        for asset in 0..2 {
            if self.chance(3) {
                self.fill_reserve(asset).await;
            } else if self.chance(8) {
                let there = self.holds(&Account::FppsReserve, asset).await;
                let left = i64::try_from(self.below(40_000)).unwrap();
                if there > left {
                    self.capital(asset, left - there).await;
                }
            }
            if self.holds(&Account::FppsReserve, asset).await < 40_000 && self.chance(70) {
                self.bleed(asset).await;
            }
        }
    }

    /// He takes his earnings home, so that he cannot help a reserve that is used up.
    async fn bleed(&mut self, asset: usize) {
        let there = self
            .holds(&Account::OperatorRevenue, asset)
            .await
            .min(self.holds(&Account::ChainHot, asset).await);
        if there > 0 {
            self.number += 1;
            let (from, to) = (Account::OperatorRevenue, Account::ChainHot);
            let (reason, at) = (format!("home/{}", self.number), self.w.clock.now());
            let amount = Amount::new(ASSETS[asset], there);
            let entry = Entry::transfer(reason, "test", at, from, to, amount);
            transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
            self.inputs.push(Input::TookHome(asset, u64::try_from(there).unwrap()));
        }
    }

    /// Sources tell prices, or fail; sometimes the operator adds a word for an instant that has passed.
    async fn prices(&mut self, fails: bool) {
        let now = world::start_of(self.w.now().0);
        for (source, name) in (0_u8..).zip(SOURCES) {
            let late = self.chance(6);
            if !late && (fails || self.chance(30)) {
                continue;
            }
            let back = if late { self.below(20) * EPOCH_SECS * 1_000_000 } else { 0 };
            let within = self.below(EPOCH_SECS * 1_000_000);
            let at =
                Timestamp(now.0 + i64::try_from(within).unwrap() - i64::try_from(back).unwrap());
            // A cheap coin, so that small contracts' dollars are many of its minor units.
            let micro = 2_000 + self.below(7_000);
            let told = i64::try_from(micro).unwrap();
            self.w.market.report_price(name, ASSETS[0], at, told).await.unwrap();
            self.inputs.push(Input::Report(Report { source, at: at.0, micro }));
        }
    }

    /// Contracts by the meter are started, filled and ended.
    async fn by_meter(&mut self) {
        let account = someone(u8::try_from(self.below(4)).unwrap());
        let market = self.w.market.clone();
        if self.chance(25) {
            let minor = 1 + self.below(900);
            self.fund(account, 0, minor).await;
        }
        if self.chance(15) {
            let at = LEASES + usize::try_from(self.below(3)).unwrap();
            let plan = self.w.market.config().plans[at].clone();
            let rate = 300 * (1 + u128::from(self.below(4)));
            let started = transact!(self.w.store, tx -> Result<_> => {
                market.start_metered(tx, account, &plan.id, Hashrate(rate), None).await
            });
            match started {
                Err(_) => self.figures.refused += 1,
                Ok(started) => {
                    let terms = MeterTerms {
                        hashrate: rate,
                        price_asset: 0,
                        price_minor: plan.price_minor,
                        price_hashrate: plan.price_hashrate.0,
                        fee_bps: plan.fee_bps.get(),
                        maintenance: maintenance(&plan),
                        scheme: scheme(&plan),
                    };
                    let (id, now) = (started.contract, self.w.now().0);
                    let (new, owner) = (id.to_bytes(), account.to_bytes());
                    self.inputs.push(Input::Started(new, owner, terms, now));
                    self.metered.push((account, id));
                    self.figures.metered += 1;
                }
            }
        }
        if self.chance(8) && !self.metered.is_empty() {
            let at = usize::try_from(self.below(self.metered.len() as u64)).unwrap();
            let (account, id) = self.metered[at];
            transact!(self.w.store, tx -> Result<_> => { market.end_metered(tx, account, id).await })
                .unwrap();
            self.inputs.push(Input::Ended(id.to_bytes(), self.w.now().0));
        }
    }

    /// Which contracts by the meter went on in the closes just made.
    async fn see_resumed(&mut self) {
        for (account, id) in self.metered.clone() {
            let view = self.w.market.metered(account, id).await.unwrap();
            for notice in view.notices.iter().filter(|n| n.kind == NoticeKind::Resumed) {
                if self.resumed.insert((id, notice.epoch)) {
                    self.inputs.push(Input::Resumed(id.to_bytes(), notice.epoch.0));
                    self.figures.resumed += 1;
                }
            }
        }
    }

    /// An owner of machines changes by which scheme they earn.
    async fn own_schemes(&mut self) {
        if self.chance(6) {
            let (account, solo) = (someone(100 + u8::from(self.chance(50))), self.chance(60));
            let scheme = if solo { Scheme::Solo } else { Scheme::Pplns };
            let market = self.w.market.clone();
            let from = transact!(self.w.store, tx -> Result<_> => {
                market.set_own_scheme(tx, account, &lane(), scheme).await
            });
            self.inputs.push(Input::OwnScheme(account.to_bytes(), from.unwrap().0, solo));
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

    async fn running(&self) -> usize {
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
    Model::new(model_lane(settle_every(plan)), wrong)
}
