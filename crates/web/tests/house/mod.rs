//! A small real house for tests and for looking at pages: a database in a folder, every room's
//! own service over it, a share log per lane, and a chain whose blocks are made by hand. Every row
//! that a page shows was written by the room that owns it.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod browser;
pub mod chromium;
pub mod contracts;
pub mod document;
pub mod furnished;
pub mod letters;
pub mod prometheus;

use async_trait::async_trait;
use bitcoin::hashes::Hash;
use ed25519_dalek::SigningKey;
use gruve_accounts::Accounts;
use gruve_chain::walk::{LeanBlock, LeanOutput, LeanTx};
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, NetworkName, Node, NodeError, SendOutcome,
    SubmitOutcome, Template, TransactionPlace, devchain, params_for, script_for_address,
};
use gruve_farm::{Farm, MachineOwner, NewMachine};
use gruve_hosting::Hosting;
use gruve_market::{
    Accountant, LaneConfig, Market, MarketConfig, MarketError, PlanConfig, RewardSeen,
};
use gruve_sharelog::{
    BlockRecord, Extranonce, JobRecord, Options, Owner, Record, ShareLog, ShareRecord,
};
use gruve_store::testing::{TestDir, sqlite};
use gruve_store::{Store, StoreError, Tx, transact};
use gruve_treasury::{
    BankAccount, ChainWallet, Invoice, InvoiceSink, Payer, Purpose, Seed, SinkError, Treasury,
    TreasuryConfig, TreasuryError,
};
use gruve_units::{
    AccountId, Algorithm, Amount, Asset, Blame, Blamed, Bps, Class, Clock, Duration, EpochRule,
    Hashes, Hashrate, JobId, LaneId, MachineId, ManualClock, SeededEntropy, Timestamp,
};
use gruve_web::{AppState, LaneParticulars, LiveFarm, LiveSession, Services, WebConfig, router};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub const EPOCH: Duration = Duration::from_secs(10);
pub const MATURITY: u64 = 3;
/// Shares count 2^16 hashes each.
const CLASS: u8 = 16;
/// One block in about this many hashes: three epochs of the farm below.
const BLOCK_WORK: u128 = 36_000_000;

/// A node that only takes transactions: blocks are handed to the house by the test.
struct QuietNode {
    params: ChainParams,
    sent: Mutex<Vec<Vec<u8>>>,
    chain: Arc<Mutex<Chain>>,
}

fn quiet<T>() -> Result<T, NodeError> {
    Err(NodeError::NotReady("a test's node".into()))
}

#[async_trait]
impl Node for QuietNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }
    async fn template(&self, _: Option<&str>) -> Result<Template, NodeError> {
        quiet()
    }
    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        quiet()
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        let chain = self.chain.lock().unwrap();
        Ok(BlockRef { height: chain.height, hash: chain.tip })
    }
    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        quiet()
    }
    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        quiet()
    }
    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        self.sent.lock().unwrap().push(bytes.to_vec());
        Ok(SendOutcome::Accepted)
    }
    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        Ok(TransactionPlace::Unknown)
    }
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        Ok(Some(self.chain.lock().unwrap().waiting.iter().map(|t| t.txid).collect()))
    }
    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        let chain = self.chain.lock().unwrap();
        Ok(chain.waiting.iter().find(|t| t.txid == *txid).map(written))
    }
    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(Some(FeeRate { minor_per_kvb: 2_000 }))
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        quiet()
    }
}

/// Hands paid invoices to the market and to hosting, as the house does.
struct Sink {
    market: Market,
    hosting: Hosting,
    farm: Farm,
    accounts: Accounts,
}

#[async_trait]
impl InvoiceSink for Sink {
    async fn paid(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(id) = invoice.purpose else { return Ok(()) };
        let rooms = gruve_web::SaleRooms {
            market: &self.market,
            hosting: &self.hosting,
            farm: &self.farm,
            accounts: &self.accounts,
        };
        let machine = gruve_web::machine_paid(tx, rooms, invoice, id).await;
        if machine.map_err(|e| SinkError::of(&e))?.is_some() {
            return Ok(());
        }
        let paid = self.market.invoice_paid(tx, id, invoice.created).await;
        paid.map(drop).map_err(|e| SinkError::of(&e))
    }
    async fn disputed(
        &self,
        _: &mut Tx,
        _: &Invoice,
        _: &gruve_treasury::Dispute<'_>,
    ) -> Result<(), SinkError> {
        panic!("no card service is asked here")
    }
    async fn expired(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(id) = invoice.purpose else { return Ok(()) };
        let machine = gruve_web::machine_expired(tx, &self.hosting, id).await;
        if machine.map_err(|e| SinkError::of(&e))? {
            return Ok(());
        }
        self.market.invoice_expired(tx, id).await.map_err(|e| SinkError::of(&e))
    }
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Market(#[from] MarketError),
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
}

impl Blamed for FollowError {
    fn blame(&self) -> Blame {
        match self {
            FollowError::Store(e) => e.blame(),
            FollowError::Market(e) => e.blame(),
            FollowError::Treasury(e) => e.blame(),
        }
    }
}

/// The machines of the house, all connected.
#[derive(Default)]
pub struct Connected(Mutex<Vec<LiveSession>>);

impl Connected {
    /// All machines have had a share just now.
    pub fn share_at(&self, at: Timestamp) {
        for s in self.0.lock().unwrap().iter_mut() {
            s.last_share_at = Some(at);
        }
    }

    /// More machines connect.
    pub fn join(&self, more: Vec<LiveSession>) {
        self.0.lock().unwrap().extend(more);
    }
}

impl LiveFarm for Connected {
    fn nodes(&self) -> Vec<gruve_web::LiveNode> {
        vec![gruve_web::LiveNode {
            lane: "btc".parse().unwrap(),
            asset: Asset::Btc,
            name: "10.0.0.1:8332".to_owned(),
            standing: "behind",
            is_chosen: true,
            height: Some(7),
            peers: None,
            template_age: Some(std::time::Duration::from_secs(3)),
            failures: 2,
        }]
    }

    fn sessions(&self) -> Vec<LiveSession> {
        self.0.lock().unwrap().clone()
    }

    fn write_metrics(&self, out: &mut gruve_web::Exposition, whom: gruve_web::MetricsFor) {
        if whom == gruve_web::MetricsFor::Operator {
            let name = "gruve_machine_hashrate";
            out.family(name, gruve_web::FamilyKind::Gauge, "Of one machine.");
            out.sample(name, &[("machine", "rack1-01")], 1);
        }
    }
}

struct Chain {
    height: u64,
    tip: [u8; 32],
    waiting: Vec<LeanTx>,
}

/// One lane with its log and chain.
pub struct Lane {
    pub id: LaneId,
    pub asset: Asset,
    pub params: ChainParams,
    pub log: ShareLog,
    machines: Vec<MachineId>,
    /// Shares of one machine in an epoch.
    shares: u64,
    /// A block is found in every so many epochs.
    block_every: u64,
    node: Arc<QuietNode>,
    chain: Arc<Mutex<Chain>>,
}

pub struct House {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub accounts: Accounts,
    pub market: Market,
    pub treasury: Treasury,
    pub farm: Farm,
    pub hosting: Hosting,
    pub lanes: Vec<Lane>,
    pub state: AppState,
    pub app: axum::Router,
    pub live: Arc<Connected>,
    accountant: Accountant,
    payer: Payer,
    counter: AtomicU64,
    _dir: TestDir,
}

fn rule() -> EpochRule {
    EpochRule::new(EPOCH, Duration::from_secs(1)).unwrap()
}

fn lane_config(lane: &LaneId, asset: Asset, algorithm: Algorithm) -> LaneConfig {
    LaneConfig {
        lane: lane.clone(),
        asset,
        aux: Vec::new(),
        algorithm,
        epoch_rule: rule(),
        coinbase_maturity: MATURITY,
        settle_every_epochs: 1,
        capacity_window_epochs: 6,
        capacity_confidence_tenths: 30,
        capacity_reserve_bps: Bps::new(1_000).unwrap(),
        outside_fee_bps: Bps::new(100).unwrap(),
        pplns_epochs_max: 1_000,
        quote_difficulty_bps: Bps::ZERO,
    }
}

fn plan(id: &str, title: &str, lane: &LaneId, fee: u16) -> PlanConfig {
    PlanConfig {
        id: id.to_owned(),
        lane: lane.clone(),
        title: title.to_owned(),
        hashrate_min: Hashrate(10_000),
        hashrate_max: Hashrate(1_000_000),
        hashrate_step: Hashrate(10_000),
        terms_epochs: vec![6, 30, 60],
        pay_asset: None,
        price_minor: 40_000_000_000,
        price_hashrate: Hashrate(1_000_000),
        kind: gruve_market::PlanKind::Lease,
        low_balance_epochs: None,
        scheme: gruve_market::Scheme::Pplns,
        fpps: None,
        fee_bps: Bps::new(fee).unwrap(),
        maintenance_minor_per_th_day: 0,
        maintenance_also: Vec::new(),
        catch_up_bps: 10_000,
        extension_epochs: Some(12),
        life: gruve_market::PlanLife::default(),
        hosted: None,
    }
}

/// A plan of machines.
fn machine_plan(lane: &LaneId) -> PlanConfig {
    let none = Hashrate::ZERO;
    PlanConfig {
        kind: gruve_market::PlanKind::Hosted,
        hashrate_min: none,
        hashrate_max: none,
        hashrate_step: none,
        price_hashrate: none,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        price_minor: 1_000_000,
        life: gruve_market::PlanLife {
            minimum_payout_minor: 5_000,
            ..gruve_market::PlanLife::default()
        },
        hosted: Some(gruve_market::HostedConfig {
            model: "S21".to_owned(),
            ownership: gruve_market::Ownership::Sold,
            bill_asset: None,
            energy_minor_per_kwh: 100,
            fee_minor_per_day: 2_000,
            level_bps: Bps::new(9_500).unwrap(),
            pays_from: gruve_market::PaysFrom::Earnings,
            term_epochs: 60,
        }),
        ..plan("btc-s21", "Bitcoin S21", lane, 0)
    }
}

impl House {
    /// A house with a `btc` and an `ltc` lane.
    pub async fn new() -> House {
        House::with(WebConfig::default()).await
    }

    pub async fn with(config: WebConfig) -> House {
        House::built(config, gruve_accounts::AccountRules::default(), |_| {}).await
    }

    /// The same by other rules for accounts.
    pub async fn with_rules(config: WebConfig, rules: gruve_accounts::AccountRules) -> House {
        House::built(config, rules, |_| {}).await
    }

    /// The same, with something changed in what the market offers.
    pub async fn selling(config: WebConfig, change: impl FnOnce(&mut MarketConfig)) -> House {
        House::built(config, gruve_accounts::AccountRules::default(), change).await
    }

    /// The same over a database of whatever kind.
    pub async fn over(store: Store) -> House {
        let rules = gruve_accounts::AccountRules::default();
        House::built_on((TestDir::new(), store), WebConfig::default(), rules, |_| {}).await
    }

    async fn built(
        config: WebConfig,
        rules: gruve_accounts::AccountRules,
        change: impl FnOnce(&mut MarketConfig),
    ) -> House {
        let dir = TestDir::new();
        let store = sqlite(dir.path()).await;
        House::built_on((dir, store), config, rules, change).await
    }

    async fn built_on(
        (dir, store): (TestDir, Store),
        config: WebConfig,
        rules: gruve_accounts::AccountRules,
        change: impl FnOnce(&mut MarketConfig),
    ) -> House {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_224_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        Accounts::migrate(&store).await.unwrap();
        Farm::migrate(&store).await.unwrap();
        let accounts = Accounts::with_rules(store.clone(), clock.clone(), entropy.clone(), rules);
        Hosting::migrate(&store).await.unwrap();
        let (btc, ltc): (LaneId, LaneId) = ("btc".parse().unwrap(), "ltc".parse().unwrap());
        let rule = lane_config(&btc, Asset::Btc, Algorithm::Sha256d).epoch_rule;
        let farm = Farm::new(store.clone(), clock.clone(), entropy.clone())
            .with_rules([(btc.clone(), rule), (ltc.clone(), rule)].into());
        let key = SigningKey::from_bytes(&[5; 32]);
        let hosting = Hosting::new(
            store.clone(),
            farm.clone(),
            clock.clone(),
            entropy.clone(),
            key,
            "gruve.test",
        );
        let mut market_config = MarketConfig {
            lanes: vec![
                lane_config(&btc, Asset::Btc, Algorithm::Sha256d),
                lane_config(&ltc, Asset::Ltc, Algorithm::Scrypt),
            ],
            plans: vec![
                plan("btc-lease", "Bitcoin lease", &btc, 250),
                PlanConfig {
                    maintenance_minor_per_th_day: 1_000,
                    ..plan("ltc-lease", "Litecoin lease", &ltc, 300)
                },
                PlanConfig {
                    kind: gruve_market::PlanKind::Metered,
                    terms_epochs: Vec::new(),
                    extension_epochs: None,
                    ..plan("btc-meter", "Bitcoin by the meter", &btc, 250)
                },
                machine_plan(&btc),
            ],
            quote_secs: 300,
            unpaid_per_account_max: 5,
            unpaid_new_bps: gruve_market::UNPAID_NEW_BPS,
            operator_accounts: std::collections::BTreeSet::new(),
            quotes: gruve_market::QuoteRules::default(),
            prices: gruve_market::PriceRules::default(),
        };
        change(&mut market_config);
        let market =
            Market::new(store.clone(), clock.clone(), entropy.clone(), market_config).unwrap();
        market.sign_terms_with(ed25519_dalek::SigningKey::from_bytes(&[3; 32]));
        market.prepare().await.unwrap();
        let mut treasury_config = TreasuryConfig::new(Seed::from_bytes([42; 32]));
        treasury_config = treasury_config.with_bank(BankAccount {
            asset: Asset::Eur,
            iban: "DE89370400440532013000".to_owned(),
            holder: "Example Mining".to_owned(),
            bic: None,
            open_for: Duration::from_secs(14 * 86_400),
        });
        // More than two coins in a day take two people.
        treasury_config.limits = vec![gruve_treasury::PayoutLimits {
            asset: Asset::Btc,
            customer_day: None,
            house_day: None,
            two_above: Some(200_000_000),
        }];
        let mut lanes = Vec::new();
        let live = Arc::new(Connected::default());
        for (id, asset, shares, block_every) in [(btc, Asset::Btc, 46, 3), (ltc, Asset::Ltc, 23, 4)]
        {
            let regtest = params_for(asset, NetworkName::Regtest).unwrap();
            let params = ChainParams { coinbase_maturity: MATURITY, ..regtest };
            let chain =
                Arc::new(Mutex::new(Chain { height: 99, tip: [0; 32], waiting: Vec::new() }));
            let node = Arc::new(QuietNode { params, sent: Mutex::default(), chain: chain.clone() });
            let mut wallet = ChainWallet::new(params, node.clone());
            wallet.confirmations = 1;
            treasury_config = treasury_config.with_chain(wallet);
            let log = ShareLog::open(dir.path().join(id.as_str()), Options::default()).unwrap();
            let mut machines = Vec::new();
            for site in ["bergen", "narvik"] {
                let site_id = farm.add_site(site).await.unwrap();
                for n in 0..2 {
                    let new = NewMachine {
                        site: site_id,
                        name: format!("{site}-{id}-{n}"),
                        lane: id.clone(),
                        owner: MachineOwner::House,
                        nameplate: Hashrate(350_000),
                    };
                    machines.push(farm.add_machine(new).await.unwrap());
                }
            }
            for m in &machines {
                live.0.lock().unwrap().push(LiveSession {
                    lane: id.clone(),
                    machine: *m,
                    owner: MachineOwner::House,
                    hashrate: Hashrate(u128::from(shares) * 65_536 / 10),
                    accepted: 100,
                    rejected: 1,
                    connected_at: clock.now(),
                    last_share_at: Some(clock.now()),
                });
            }
            lanes.push(Lane { id, asset, params, log, machines, shares, block_every, node, chain });
        }
        let treasury =
            Treasury::new(store.clone(), clock.clone(), entropy.clone(), treasury_config).unwrap();
        treasury.tell_invoices_to(Arc::new(Sink {
            market: market.clone(),
            hosting: hosting.clone(),
            farm: farm.clone(),
            accounts: accounts.clone(),
        }));
        let services = Services {
            store: store.clone(),
            accounts: accounts.clone(),
            market: market.clone(),
            treasury: treasury.clone(),
            farm: farm.clone(),
            hosting: hosting.clone(),
            live: live.clone(),
            clock: clock.clone(),
            entropy,
        };
        let public = lanes.iter().map(|l| LaneParticulars {
            lane: l.id.clone(),
            network: l.params.title(),
            stratum: Some("stratum+tcp://127.0.0.1:3333".to_owned()),
        });
        let config = WebConfig { lanes: public.collect(), ..config };
        let state = AppState::open(services, config).await.unwrap();
        let app = router(state.clone());
        let accountant = Accountant::new(market.clone());
        let payer = Payer::new(treasury.clone());
        let house = House {
            store,
            clock,
            accounts,
            market,
            treasury,
            farm,
            hosting,
            lanes,
            state,
            app,
            live,
            accountant,
            payer,
            counter: AtomicU64::new(1),
            _dir: dir,
        };
        for lane in &house.lanes {
            house.block(lane, false).await;
        }
        house
    }

    fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst)
    }

    fn unique(&self) -> [u8; 32] {
        let mut out = [0x5a; 32];
        out[..8].copy_from_slice(&self.next().wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        out
    }

    /// A block on a lane's chain with all that waits; `ours` pays its reward to the house.
    pub async fn block(&self, lane: &Lane, ours: bool) -> [u8; 32] {
        let hash = self.unique();
        let (height, prev, waiting) = {
            let mut chain = lane.chain.lock().unwrap();
            chain.height += 1;
            let prev = std::mem::replace(&mut chain.tip, hash);
            (chain.height, prev, std::mem::take(&mut chain.waiting))
        };
        let script =
            if ours { self.treasury.coinbase_script(lane.asset).unwrap() } else { vec![0x51] };
        let coinbase = LeanTx {
            txid: self.unique(),
            coinbase: true,
            hogex: false,
            inputs: Vec::new(),
            outputs: vec![LeanOutput { value: 5_000_000_000, script }],
        };
        let txs = std::iter::once(coinbase).chain(waiting).collect();
        let time = u32::try_from(self.clock.now().secs()).unwrap();
        let block = LeanBlock { header: [0; 80], hash, prev, time, bits: 0, txs };
        let done: Result<(), FollowError> = transact!(self.store, tx -> Result<(), FollowError> => {
            let effects = self.treasury.connect_block(tx, lane.asset, height, &block).await?;
            for r in effects.rewards {
                let seen = RewardSeen {
                    block_hash: r.block_hash,
                    height: r.height,
                    amount: r.value,
                    block_time: r.block_time,
                };
                self.market.reward_seen(tx, &lane.id, seen).await?;
            }
            Ok(self.market.chain_height(tx, &lane.id, height).await?)
        });
        done.unwrap();
        hash
    }

    /// Pays an amount to an address: it stands in the lane's next block.
    pub fn pay(&self, lane: &Lane, address: &str, amount: Amount) {
        let script = script_for_address(&lane.params, address).unwrap();
        let tx = LeanTx {
            txid: self.unique(),
            coinbase: false,
            hogex: false,
            inputs: vec![(self.unique(), 0)],
            outputs: vec![LeanOutput { value: amount.minor, script }],
        };
        lane.chain.lock().unwrap().waiting.push(tx);
    }

    /// An address of somebody outside.
    pub fn stranger(&self, lane: &Lane) -> String {
        let mut script = vec![0, 20];
        script.extend(&self.unique()[..20]);
        gruve_chain::address_for_script(&lane.params, &script).unwrap()
    }

    /// What the payer sent goes into the lane's next block.
    pub async fn pay_out(&self, lane: &Lane) {
        self.payer.step().await.unwrap();
        for bytes in std::mem::take(&mut *lane.node.sent.lock().unwrap()) {
            let tx = lean(&bytes);
            lane.chain.lock().unwrap().waiting.push(tx);
        }
        self.block(lane, false).await;
    }

    /// One epoch on every lane: jobs, shares, now and then a block, the seal, the closing.
    pub async fn epoch(&self) {
        let now = self.clock.now();
        let epoch = rule().at(now);
        for lane in &self.lanes {
            let height = lane.chain.lock().unwrap().height + 1;
            let job = JobId(self.next());
            let bits = devchain::bits_for_work(Hashes(BLOCK_WORK));
            let record = JobRecord {
                job,
                epoch,
                checkpoint_epoch: epoch.back(1),
                commitment: [0; 32],
                issued_at: now,
                height,
                prev_hash: [0; 32],
                bits,
                version: 0x2000_0000,
                ntime: 0,
                coinbase_prefix: Vec::new(),
                coinbase_suffix: Vec::new(),
                class_offset: 0,
                branch: Vec::new(),
            };
            let mut records = vec![Record::Job(record)];
            let share = |machine: MachineId, nonce: u64| ShareRecord {
                job,
                epoch,
                class: Class::new(CLASS).unwrap(),
                owner: Owner::House,
                machine,
                extranonce: Extranonce::new(&nonce.to_be_bytes()).unwrap(),
                ntime: 0,
                nonce: 0,
                version: 0x2000_0000,
                at: now,
            };
            let luck = 1 + epoch.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 9;
            for machine in &lane.machines {
                for _ in 0..lane.shares + luck {
                    records.push(Record::Share(share(*machine, self.next())));
                }
            }
            let found = epoch.0.is_multiple_of(lane.block_every);
            let hash = self.block(lane, found).await;
            if found {
                let share = share(lane.machines[0], self.next());
                records.push(Record::Share(share));
                let block = BlockRecord { share, block_hash: hash, height, block: vec![0] };
                records.push(Record::Block(block));
                records.push(Record::BlockOutcome { block_hash: hash, accepted: true, at: now });
            }
            lane.log.append(&records).unwrap();
            lane.log.seal(epoch, now).unwrap();
        }
        self.clock.set(rule().seal_at(epoch));
        for lane in &self.lanes {
            self.accountant.catch_up(&lane.id, &lane.log).await.unwrap();
        }
    }

    pub async fn epochs(&self, n: u32) {
        for _ in 0..n {
            self.epoch().await;
        }
    }

    /// The account of a name.
    pub async fn account(&self, name: &str) -> AccountId {
        self.accounts.account_by_name(name).await.unwrap().unwrap()
    }
}

/// What the follower keeps of a transaction.
/// A waiting transaction's outputs in the form that nodes write, behind an input of no matter.
fn written(tx: &LeanTx) -> Vec<u8> {
    let output = |o: &LeanOutput| bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(o.value.unsigned_abs()),
        script_pubkey: bitcoin::ScriptBuf::from_bytes(o.script.clone()),
    };
    bitcoin::consensus::serialize(&bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn::default()],
        output: tx.outputs.iter().map(output).collect(),
    })
}

fn lean(bytes: &[u8]) -> LeanTx {
    let tx: bitcoin::Transaction = bitcoin::consensus::deserialize(bytes).unwrap();
    LeanTx {
        txid: tx.compute_txid().to_byte_array(),
        coinbase: false,
        hogex: false,
        inputs: tx
            .input
            .iter()
            .map(|i| (i.previous_output.txid.to_byte_array(), i.previous_output.vout))
            .collect(),
        outputs: tx
            .output
            .iter()
            .map(|o| LeanOutput {
                value: i64::try_from(o.value.to_sat()).unwrap(),
                script: o.script_pubkey.to_bytes(),
            })
            .collect(),
    }
}

/// What an authenticator program shows for a secret at an instant.
pub fn code_of(secret: &str, at: Timestamp) -> String {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for c in secret.bytes() {
        held =
            (held << 5) | u32::from(if c.is_ascii_uppercase() { c - b'A' } else { c - b'2' + 26 });
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits).unwrap());
            held &= (1 << bits) - 1;
        }
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = ring::hmac::sign(&key, &(at.secs() / 30).to_be_bytes());
    let from = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[from..from + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}
