//! A small real house for tests and for looking at pages: a database in a folder, every room's
//! own service over it, a share log per lane, and a chain whose blocks are made by hand. Every row
//! that a page shows was written by the room that owns it.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod balances;
pub mod browser;
mod chain;
pub mod chromium;
pub mod codes;
mod connected;
pub mod contracts;
pub mod document;
pub mod forms;
pub mod furnished;
pub mod letters;
mod offers;
mod paid;
pub mod prometheus;
pub mod record;

use chain::{Chain, QuietNode};
pub use connected::Connected;
use ed25519_dalek::SigningKey;
use gruve_accounts::Accounts;
use gruve_chain::{ChainParams, NetworkName, devchain, params_for};
use gruve_farm::{Farm, MachineOwner, NewMachine};
use gruve_hosting::Hosting;
use gruve_market::{Accountant, Market, MarketConfig};
use gruve_sharelog::{
    BlockRecord, Extranonce, JobRecord, Options, Owner, Record, ShareLog, ShareRecord,
};
use gruve_store::Store;
use gruve_store::testing::{TestDir, sqlite};
use gruve_treasury::{
    BankAccount, ChainWallet, Payer, PayoutLimits, Seed, Treasury, TreasuryConfig,
};
use gruve_units::{
    AccountId, Algorithm, Asset, Class, Clock, Duration, Hashes, Hashrate, JobId, LaneId,
    MachineId, ManualClock, SeededEntropy, Timestamp,
};
use gruve_web::{AppState, LaneParticulars, LiveSession, Services, WebConfig, router};
use offers::{lane_config, on_offer, rule};
use paid::Sink;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub const EPOCH: Duration = Duration::from_secs(10);
pub const MATURITY: u64 = 3;
/// Shares count 2^16 hashes each.
const CLASS: u8 = 16;
/// One block in about this many hashes: three epochs of the farm below.
const BLOCK_WORK: u128 = 36_000_000;

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

/// Rules by which a payout to a new destination does not wait.
fn prompt() -> gruve_accounts::AccountRules {
    let payout_delay = Duration::ZERO;
    gruve_accounts::AccountRules { payout_delay, ..gruve_accounts::AccountRules::default() }
}

impl House {
    /// A house with a `btc` and an `ltc` lane.
    pub async fn new() -> House {
        House::with(WebConfig::default()).await
    }

    pub async fn with(config: WebConfig) -> House {
        House::built(config, prompt(), |_| {}).await
    }

    /// The same by other rules for accounts.
    pub async fn with_rules(config: WebConfig, rules: gruve_accounts::AccountRules) -> House {
        House::built(config, rules, |_| {}).await
    }

    /// The same, with something changed in what the market offers.
    pub async fn selling(config: WebConfig, change: impl FnOnce(&mut MarketConfig)) -> House {
        House::built(config, prompt(), change).await
    }

    /// The same over a database of whatever kind.
    pub async fn over(store: Store) -> House {
        House::built_on((TestDir::new(), store), WebConfig::default(), prompt(), |_| {}).await
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
        let mut market_config = on_offer(&btc, &ltc);
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
        treasury_config.limits = vec![PayoutLimits {
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
