//! A lane, its log, its books and a clock, all in the test's hands.
#![allow(dead_code)] // each test file uses its part

use ed25519_dalek::SigningKey;
use gruve_ledger::{Account, Entry, balance, post};
use gruve_market::{
    Accountant, ContractState, ContractView, EnergyCosts, LaneConfig, Market, MarketConfig,
    MarketError, Paid, PlanConfig, PlanLife, PriceRules, QuoteRules, Result, RewardSeen,
};
use gruve_sharelog::{
    BlockRecord, Extranonce, JobRecord, Options, Owner, Record, ShareLog, ShareRecord,
};
use gruve_statement::Checker;
use gruve_store::testing::TestDir;
use gruve_store::{Store, Tx, transact};
use gruve_units::{
    AccountId, Algorithm, Amount, Asset, Blame, Blamed, Bps, Class, Clock, ContractId, Duration,
    EpochNumber, EpochRule, Hashes, Hashrate, JobId, LaneId, MachineId, ManualClock, SeededEntropy,
    Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// About 2^20 hashes a block.
pub(crate) const BITS: u32 = 0x1e0f_ffff;
/// Length of an epoch in seconds.
pub(crate) const EPOCH_SECS: u64 = 10;
/// The first epoch of every test.
pub(crate) const FIRST: u64 = 1_000;
pub(crate) const MATURITY: u64 = 5;

pub(crate) fn lane() -> LaneId {
    "btc".parse().unwrap()
}

pub(crate) fn someone(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub(crate) fn btc(minor: i64) -> Amount {
    Amount::new(Asset::Btc, minor)
}

pub(crate) fn plan() -> PlanConfig {
    PlanConfig {
        id: "lease".into(),
        lane: lane(),
        title: "A lease".into(),
        hashrate_min: Hashrate(100),
        hashrate_max: Hashrate(1_000_000),
        hashrate_step: Hashrate(100),
        terms_epochs: vec![3, 6, 20],
        pay_asset: None,
        price_minor: 86_400,
        price_hashrate: Hashrate(100),
        kind: gruve_market::PlanKind::Lease,
        low_balance_epochs: None,
        scheme: gruve_market::Scheme::Pplns,
        fpps: None,
        fee_bps: Bps::new(200).unwrap(),
        maintenance_minor_per_th_day: 0,
        maintenance_also: Vec::new(),
        catch_up_bps: 5_000,
        extension_epochs: Some(3),
        life: PlanLife::default(),
        hosted: None,
    }
}

pub(crate) fn config() -> MarketConfig {
    let rule = EpochRule::new(Duration::from_secs(EPOCH_SECS), Duration::from_secs(1)).unwrap();
    MarketConfig {
        lanes: vec![LaneConfig {
            lane: lane(),
            asset: Asset::Btc,
            aux: Vec::new(),
            algorithm: Algorithm::Sha256d,
            epoch_rule: rule,
            coinbase_maturity: MATURITY,
            settle_every_epochs: 1,
            capacity_window_epochs: 4,
            capacity_confidence_tenths: 0,
            capacity_reserve_bps: Bps::ZERO,
            outside_fee_bps: Bps::new(100).unwrap(),
            pplns_epochs_max: 1_000,
            quote_difficulty_bps: Bps::ZERO,
        }],
        plans: vec![plan()],
        quote_secs: 60,
        unpaid_per_account_max: 5,
        // All: most tests sell everything to somebody new.
        unpaid_new_bps: Bps::new(10_000).unwrap(),
        operator_accounts: std::collections::BTreeSet::new(),
        quotes: QuoteRules {
            held_per_account_bps: Bps::new(10_000).unwrap(),
            ..QuoteRules::default()
        },
        prices: PriceRules::default(),
    }
}

/// What a TH·day of every epoch is measured to have cost in energy, millionths of a dollar; below zero nothing is measured. More
/// than any plan names unless a test says something else.
struct Measured(Arc<AtomicI64>, Arc<AtomicU64>);

#[async_trait::async_trait]
impl EnergyCosts for Measured {
    async fn of(&self, _: &mut Tx, _: &LaneId, _: EpochNumber, _: Hashes) -> Result<Vec<Amount>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let micro = self.0.load(Ordering::SeqCst);
        Ok((micro >= 0).then_some(Amount::new(Asset::Usd, micro)).into_iter().collect())
    }
}

pub(crate) struct World {
    pub(crate) energy: Arc<AtomicI64>,
    /// How often it was asked what energy cost.
    pub(crate) asked: Arc<AtomicU64>,
    pub(crate) store: Store,
    pub(crate) market: Market,
    pub(crate) accountant: Accountant,
    pub(crate) log: ShareLog,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) epoch: AtomicU64,
    next: AtomicU32,
    dir: TestDir,
}

impl World {
    pub(crate) async fn new(store: Store) -> World {
        World::with(store, config()).await
    }

    pub(crate) async fn with(store: Store, config: MarketConfig) -> World {
        World::with_log(store, config, Options::default()).await
    }

    /// Another house over the same books, log and clock.
    pub(crate) async fn with_log_of(w: &World, config: MarketConfig) -> World {
        let (store, clock) = (w.store.clone(), w.clock.clone());
        let entropy = Arc::new(SeededEntropy::new(8));
        let market = Market::new(store.clone(), clock.clone(), entropy, config).unwrap();
        market.sign_terms_with(SigningKey::from_bytes(&[9; 32]));
        market.prepare().await.unwrap();
        let (energy, asked) = (w.energy.clone(), w.asked.clone());
        market.ask_energy_of(Arc::new(Measured(energy.clone(), asked.clone())));
        let (log, accountant) = (w.log.clone(), Accountant::new(market.clone()));
        let epoch = AtomicU64::new(w.now().0);
        let next = AtomicU32::new(w.number() + 1_000_000);
        let dir = TestDir::new();
        World { energy, asked, store, market, accountant, log, clock, epoch, next, dir }
    }

    pub(crate) async fn with_log(store: Store, config: MarketConfig, options: Options) -> World {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        let clock = Arc::new(ManualClock::new(start_of(FIRST)));
        let market =
            Market::new(store.clone(), clock.clone(), Arc::new(SeededEntropy::new(7)), config)
                .unwrap();
        market.sign_terms_with(SigningKey::from_bytes(&[9; 32]));
        market.prepare().await.unwrap();
        let dir = TestDir::new();
        let log = ShareLog::open(dir.path().join("log"), options).unwrap();
        let accountant = Accountant::new(market.clone());
        let epoch = AtomicU64::new(FIRST);
        let (next, energy) = (AtomicU32::new(1), Arc::new(AtomicI64::new(i64::MAX)));
        let asked = Arc::new(AtomicU64::new(0));
        market.ask_energy_of(Arc::new(Measured(energy.clone(), asked.clone())));
        let world =
            World { energy, asked, store, market, accountant, log, clock, epoch, next, dir };
        world.job(EpochNumber(FIRST), BITS);
        world
    }

    /// The folder of its log.
    pub(crate) fn log_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn now(&self) -> EpochNumber {
        EpochNumber(self.epoch.load(Ordering::SeqCst))
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// A job of an epoch at these network bits. Its number tells both.
    pub(crate) fn job(&self, epoch: EpochNumber, bits: u32) {
        self.log.append(&[Record::Job(job_record(epoch, bits))]).unwrap();
    }

    pub(crate) fn share(
        &self,
        epoch: EpochNumber,
        owner: Owner,
        class: u8,
        bits: u32,
    ) -> ShareRecord {
        ShareRecord {
            job: job_id(epoch, bits),
            epoch,
            class: Class::new(class).unwrap(),
            owner,
            machine: MachineId::from_bytes([4; 16]),
            extranonce: Extranonce::new(&[1, 2, 3]).unwrap(),
            ntime: 5,
            nonce: self.number(),
            version: 0x2000_0000,
            at: self.clock.now(),
        }
    }

    /// `count` shares of an owner in the running epoch.
    pub(crate) fn work(&self, owner: Owner, class: u8, count: u32) {
        self.work_in(self.now(), owner, class, count, BITS);
    }

    pub(crate) fn work_in(
        &self,
        epoch: EpochNumber,
        owner: Owner,
        class: u8,
        count: u32,
        bits: u32,
    ) {
        let shares: Vec<_> = (0..count).map(|_| self.share(epoch, owner, class, bits)).collect();
        let mut accepted = Vec::new();
        self.log.append_shares(&shares, &mut accepted).unwrap();
        assert!(accepted.iter().all(|a| *a));
    }

    /// House work of `rate` hashes per second in the running epoch, exactly.
    pub(crate) fn house_rate(&self, rate: u64) {
        let work = rate * EPOCH_SECS;
        for k in 0..64u8 {
            if work >> k & 1 == 1 {
                self.work(Owner::House, k, 1);
            }
        }
    }

    /// A block found in the running epoch; its hash.
    pub(crate) fn find_block(&self, height: u64) -> [u8; 32] {
        let mut block_hash = [0; 32];
        block_hash[..4].copy_from_slice(&self.number().to_be_bytes());
        let share = self.share(self.now(), Owner::House, 20, BITS);
        let found = BlockRecord { share, block_hash, height, block: vec![0; 100] };
        self.log.append(&[Record::Block(found)]).unwrap();
        let outcome = Record::BlockOutcome { block_hash, accepted: true, at: self.clock.now() };
        self.log.append(&[outcome]).unwrap();
        block_hash
    }

    /// Ends the running epoch: the next one's job is out before the seal, as in life.
    pub(crate) fn seal(&self) -> EpochNumber {
        self.seal_after(1)
    }

    /// Ends the running epoch and lets `n - 1` more pass.
    pub(crate) fn seal_after(&self, n: u64) -> EpochNumber {
        let next = EpochNumber(self.now().0 + n);
        self.clock.set(start_of(next.0));
        self.job(next, BITS);
        let sealed = EpochNumber(next.0 - 1);
        self.log.seal(sealed, self.clock.now()).unwrap();
        self.epoch.store(next.0, Ordering::SeqCst);
        sealed
    }

    /// An accountant that has forgotten everything reads what is there.
    pub(crate) async fn account(&self) {
        let accountant = Accountant::new(self.market.clone());
        for _ in 0..10 {
            match accountant.catch_up(&lane(), &self.log).await {
                Ok(()) => return,
                // One that was cut off may still have been committing.
                Err(e) => assert_eq!(e.blame(), Blame::Transient, "{e}"),
            }
        }
        panic!("the accountant did not come to an end");
    }

    /// One epoch with this house rate, sealed and closed.
    pub(crate) async fn epoch_at(&self, rate: u64) -> EpochNumber {
        self.house_rate(rate);
        let sealed = self.seal();
        self.account().await;
        sealed
    }

    /// Proves this rate over the whole capacity window.
    pub(crate) async fn prove(&self, rate: u64) {
        for _ in 0..4 {
            self.epoch_at(rate).await;
        }
    }

    pub(crate) async fn fund(&self, account: AccountId, minor: i64) {
        let entry = Entry::transfer(
            format!("fund/{}", self.number()),
            "pay-in",
            self.clock.now(),
            Account::ChainHot,
            Account::CustomerAvailable(account),
            btc(minor),
        );
        transact!(self.store, tx => { post(tx, &entry).await }).unwrap();
    }

    /// Takes from a customer's balance and the wallet, as a payout would.
    pub(crate) async fn withdraw(&self, account: AccountId, minor: i64) {
        let entry = Entry::transfer(
            format!("withdraw/{}", self.number()),
            "payout",
            self.clock.now(),
            Account::CustomerAvailable(account),
            Account::ChainHot,
            btc(minor),
        );
        transact!(self.store, tx => { post(tx, &entry).await }).unwrap();
    }

    pub(crate) async fn holds(&self, account: &Account) -> i64 {
        balance(&mut self.store.read().await.unwrap(), account, Asset::Btc).await.unwrap().minor
    }

    pub(crate) async fn buy(
        &self,
        account: AccountId,
        rate: u128,
        term: u64,
    ) -> Result<ContractId> {
        let quote = self.market.quote(account, "lease", Hashrate(rate), term).await?;
        let market = &self.market;
        let bought = transact!(self.store, tx -> Result<_> => {
            market.buy(tx, account, quote.id).await
        })?;
        assert_eq!(bought.due, quote.price);
        Ok(bought.contract)
    }

    pub(crate) async fn pay(&self, contract: ContractId) -> Paid {
        let (market, now) = (&self.market, self.clock.now());
        transact!(self.store, tx -> Result<_> => {
            market.invoice_paid(tx, contract, now).await
        })
        .unwrap()
    }

    /// Buys and pays.
    pub(crate) async fn lease(&self, account: AccountId, rate: u128, term: u64) -> ContractId {
        let contract = self.buy(account, rate, term).await.unwrap();
        let price = self.view(account, contract).await.price;
        self.fund(account, price.minor).await;
        assert!(matches!(self.pay(contract).await, Paid::Starts(_)));
        contract
    }

    pub(crate) async fn view(&self, account: AccountId, contract: ContractId) -> ContractView {
        self.market.contract(account, contract).await.unwrap()
    }

    pub(crate) async fn state(&self, account: AccountId, contract: ContractId) -> ContractState {
        self.view(account, contract).await.state
    }

    pub(crate) async fn see(&self, block_hash: [u8; 32], height: u64, minor: i64) {
        let (market, lane) = (&self.market, lane());
        let block_time = self.clock.now();
        let seen = RewardSeen { block_hash, height, amount: btc(minor), block_time };
        transact!(self.store, tx -> Result<_> => {
            market.reward_seen(tx, &lane, seen).await?;
            market.chain_height(tx, &lane, height).await
        })
        .unwrap();
    }

    pub(crate) async fn height(&self, height: u64) {
        let (market, lane) = (&self.market, lane());
        transact!(self.store, tx -> Result<_> => {
            market.chain_height(tx, &lane, height).await
        })
        .unwrap();
    }

    pub(crate) async fn orphan(&self, block_hash: [u8; 32]) {
        let (market, lane) = (&self.market, lane());
        transact!(self.store, tx -> Result<_> => {
            market.reward_orphaned(tx, &lane, &block_hash).await
        })
        .unwrap();
    }

    /// Everything that must hold at any time.
    pub(crate) async fn assert_sound(&self) {
        let mut tx = self.store.read().await.unwrap();
        let r = self.market.reconciliation(&mut tx).await.unwrap();
        assert!(r.adds_up(), "{r:#?}");
        let findings = self.market.audit_tables(&mut tx).await.unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// Also what is slow: the ledger's own audit, and the share log against the epochs.
    pub(crate) async fn assert_all_sound(&self) {
        self.assert_sound().await;
        let report = gruve_ledger::audit(&mut self.store.read().await.unwrap()).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.findings);
        let audit = self.market.audit_log(&lane(), &self.log).await.unwrap();
        assert!(audit.findings.is_empty(), "{:?}", audit.findings);
        self.assert_statements_hold().await;
    }

    /// Every customer's contract, of whatever kind, has a statement that its terms alone recompute.
    pub(crate) async fn assert_statements_hold(&self) {
        const ALL: &str = "SELECT id, account FROM market_contracts
            UNION ALL SELECT id, account FROM market_metered";
        let mut tx = self.store.read().await.unwrap();
        let rows = tx.fetch_all(ALL, &[]).await.unwrap();
        drop(tx);
        for row in rows {
            let (id, account) = (row.get("id").unwrap(), row.get("account").unwrap());
            let page = self.market.statement(account, id, None, usize::MAX).await;
            if self.market.config().operator_accounts.contains(&account) {
                assert!(matches!(page, Err(MarketError::NoStatement(_))));
                continue;
            }
            let page = page.unwrap_or_else(|e| panic!("{id}: {e}"));
            let file = self.market.signed_terms(account, id).await.unwrap();
            let mut checker = Checker::begin(file, None).unwrap();
            checker.page(&page).unwrap_or_else(|e| panic!("{id}: {e}\n{:#?}", page.lines));
        }
    }
}

pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T>) -> MarketError {
    outcome.unwrap_err()
}

pub(crate) fn start_of(epoch: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(epoch * EPOCH_SECS).unwrap())
}

pub(crate) fn job_id(epoch: EpochNumber, bits: u32) -> JobId {
    JobId((epoch.0 << 32) | u64::from(bits))
}

/// A job of an epoch at these network bits.
pub(crate) fn job_record(epoch: EpochNumber, bits: u32) -> JobRecord {
    JobRecord {
        job: job_id(epoch, bits),
        epoch,
        checkpoint_epoch: epoch.back(2),
        commitment: [1; 32],
        issued_at: start_of(epoch.0),
        height: epoch.0,
        prev_hash: [2; 32],
        bits,
        version: 0x2000_0000,
        ntime: 5,
        coinbase_prefix: vec![1],
        coinbase_suffix: vec![2],
        class_offset: 0,
        branch: vec![],
    }
}
