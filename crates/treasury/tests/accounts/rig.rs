//! A treasury, a development chain behind HTTP, and a follower between them.

use crate::people;
use async_trait::async_trait;
use gruve_chain::devchain::DevServer;
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDevWork, EthDifficulty};
use gruve_chain::eth::follow::{AccountChain, FollowedEthBlock};
use gruve_chain::eth::reward::RewardRule;
use gruve_chain::eth::{
    AccountAt, AccountNode, EthAddress, EthBlock, EthHeader, EthReceipt, EthRpcNode, EthRpcOptions,
    EthTransaction, earned::earned, wei,
};
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::{BlockRef, ChainSink, Follower, NodeError, SendOutcome, SinkError};
use gruve_ledger::{Account, AccountKind, Entry, balance, post};
use gruve_store::testing::TestDir;
use gruve_store::{Store, transact};
use gruve_treasury::{
    AccountBlock, AccountChainWallet, CrashPoints, Invoice, NewInvoice, NewPayout, Payer, Payout,
    PayoutLimits, Purpose, Seed, SweepPolicy, Treasury, TreasuryConfig, TreasuryError,
};
use gruve_units::{
    AccountId, Amount, Asset, Duration, InvoiceId, ManualClock, PayoutId, SeededEntropy, Timestamp,
};
use ruint::aliases::U256;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub const ASSET: Asset = Asset::Etc;
pub const CONFIRMATIONS: u64 = 3;
pub const REORG_LIMIT: u64 = 12;
pub const COIN: i64 = 1_000_000_000;
pub const HOUR: Duration = Duration::from_secs(3_600);

pub fn gwei(minor: i64) -> Amount {
    Amount::new(ASSET, minor)
}

pub fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

/// Somebody's address outside.
pub fn stranger(n: u8) -> EthAddress {
    EthAddress([n.max(1); 20])
}

/// A generator for histories: reproducible, and nothing more.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// A real client whose answers can be lost, late or wrong.
pub struct Node {
    real: EthRpcNode,
    pub faults: Mutex<Option<Dice>>,
    /// One call of all to go wrong: its number from now, and how (a roll).
    nth: Mutex<Option<(u64, u64)>>,
    calls: Mutex<Vec<&'static [u64]>>,
    late: Mutex<Vec<Vec<u8>>>,
    /// Whether what the follower asks for goes wrong, too.
    pub misleads_follower: Mutex<bool>,
    /// The hashes that were told last, by height: what a late answer says.
    told: Mutex<HashMap<u64, [u8; 32]>>,
    /// All transactions that were to be sent.
    pub sent: Mutex<Vec<Vec<u8>>>,
    pub chain_id: Mutex<Option<u64>>,
    pub price: Mutex<Option<u64>>,
    /// Transactions that are told to have failed.
    pub failed: Mutex<Vec<[u8; 32]>>,
    pub deaf: Mutex<bool>,
}

/// How a sending goes wrong: lost; its answer lost; late; twice; refused; done and refused; not done and said to be.
const SENDING: [u64; 7] = [0, 8, 16, 22, 28, 34, 38];
/// How a question goes wrong: no answer.
const ASKING: [u64; 1] = [0];
/// How a question for a block's hash goes wrong: no answer, and one from before.
const FOLLOWING: [u64; 2] = [0, 8];

fn lost() -> NodeError {
    NodeError::TimedOut { host: "fake".into(), method: "any", after: Duration::from_secs(30) }
}

impl Node {
    fn roll(&self, ways: &'static [u64]) -> u64 {
        let mut calls = self.calls.lock().unwrap();
        calls.push(ways);
        if let Some((number, roll)) = *self.nth.lock().unwrap()
            && calls.len() as u64 == number
        {
            return roll;
        }
        drop(calls);
        self.faults.lock().unwrap().as_mut().map_or(1_000, |dice| dice.below(100))
    }

    /// A roll for what the follower asks for.
    fn misleads(&self, ways: &'static [u64]) -> u64 {
        if *self.misleads_follower.lock().unwrap() { self.roll(ways) } else { 1_000 }
    }

    /// Has one call from now on go wrong, and none with `None`; gives those there were, each as the rolls by
    /// which it goes wrong in another way.
    pub fn fail_nth(&self, nth: Option<(u64, u64)>) -> Vec<&'static [u64]> {
        *self.nth.lock().unwrap() = nth;
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Requests that were under way arrive now.
    pub async fn deliver_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for raw in late {
            drop(self.real.send_transaction(&raw).await);
        }
    }
}

#[async_trait]
impl AccountNode for Node {
    async fn chain_id(&self) -> Result<u64, NodeError> {
        let told = *self.chain_id.lock().unwrap();
        if let Some(told) = told { Ok(told) } else { self.real.chain_id().await }
    }
    async fn height(&self) -> Result<u64, NodeError> {
        if self.roll(&ASKING) < 3 { Err(lost()) } else { self.real.height().await }
    }
    async fn is_syncing(&self) -> Result<bool, NodeError> {
        self.real.is_syncing().await
    }
    async fn peers(&self) -> Result<Option<u64>, NodeError> {
        self.real.peers().await
    }
    async fn block_at(&self, height: u64) -> Result<Option<EthBlock>, NodeError> {
        if self.misleads(&ASKING) < 4 { Err(lost()) } else { self.real.block_at(height).await }
    }
    async fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        let before = self.told.lock().unwrap().get(&height).copied();
        let now = self.real.hash_at(height).await?;
        if let Some(now) = now {
            self.told.lock().unwrap().insert(height, now);
        }
        match self.misleads(&FOLLOWING) {
            0..4 => Err(lost()),
            4..10 => Ok(before),
            _ => Ok(now),
        }
    }
    async fn block(&self, hash: &[u8; 32]) -> Result<Option<EthBlock>, NodeError> {
        if self.misleads(&ASKING) < 4 { Err(lost()) } else { self.real.block(hash).await }
    }
    async fn uncle(
        &self,
        block_hash: &[u8; 32],
        index: usize,
    ) -> Result<Option<(EthHeader, [u8; 32])>, NodeError> {
        self.real.uncle(block_hash, index).await
    }
    async fn receipt(&self, transaction: &[u8; 32]) -> Result<Option<EthReceipt>, NodeError> {
        let mut receipt = self.real.receipt(transaction).await?;
        if self.failed.lock().unwrap().contains(transaction)
            && let Some(receipt) = &mut receipt
        {
            receipt.succeeded = Some(false);
        }
        Ok(receipt)
    }
    async fn balance(&self, account: &EthAddress, at: AccountAt) -> Result<U256, NodeError> {
        self.real.balance(account, at).await
    }
    async fn transaction_count(
        &self,
        account: &EthAddress,
        at: AccountAt,
    ) -> Result<u64, NodeError> {
        if self.roll(&ASKING) < 4 {
            Err(lost())
        } else {
            self.real.transaction_count(account, at).await
        }
    }
    async fn pending(&self) -> Result<Option<Vec<EthTransaction>>, NodeError> {
        self.real.pending().await
    }
    async fn send_transaction(&self, raw: &[u8]) -> Result<SendOutcome, NodeError> {
        self.sent.lock().unwrap().push(raw.to_vec());
        if *self.deaf.lock().unwrap() {
            return Err(lost());
        }
        match self.roll(&SENDING) {
            // The request is lost.
            0..8 => Err(lost()),
            // The answer is lost.
            8..16 => {
                self.real.send_transaction(raw).await?;
                Err(lost())
            }
            // The request arrives much later.
            16..22 => {
                self.late.lock().unwrap().push(raw.to_vec());
                Err(lost())
            }
            // It arrives twice.
            22..28 => {
                self.real.send_transaction(raw).await?;
                self.real.send_transaction(raw).await
            }
            // The node refuses what another would take.
            28..34 => Ok(SendOutcome::Rejected("txpool is full".into())),
            // The node took it, and says that it did not.
            34..38 => {
                self.real.send_transaction(raw).await?;
                Ok(SendOutcome::Rejected("nonce too low".into()))
            }
            // The node says that it has it, and does not.
            38..42 => Ok(SendOutcome::AlreadyKnown),
            _ => self.real.send_transaction(raw).await,
        }
    }
    async fn gas_price(&self) -> Result<U256, NodeError> {
        let told = *self.price.lock().unwrap();
        match (self.roll(&ASKING), told) {
            (0..4, _) => Err(lost()),
            (_, Some(told)) => Ok(U256::from(told) * U256::from(wei::GWEI)),
            (_, None) => self.real.gas_price().await,
        }
    }
    async fn next_base_fee(&self) -> Result<Option<U256>, NodeError> {
        self.real.next_base_fee().await
    }
    async fn pays_to(&self) -> Result<Option<EthAddress>, NodeError> {
        self.real.pays_to().await
    }
}

/// Books blocks as the house does; rewards, in place of the market, as capital at once.
struct Sink {
    store: Mutex<Store>,
    treasury: Mutex<Treasury>,
    node: Arc<Node>,
    breaker: Arc<Breaker>,
    rewards: Mutex<HashMap<[u8; 32], i64>>,
    count: Mutex<u64>,
}

/// Breaks off at a point now and then.
#[derive(Default)]
pub struct Breaker {
    pub dice: Mutex<Option<Dice>>,
    /// The same for the points that came later, where a history has them.
    pub later: Mutex<Option<Dice>>,
    /// Breaks off at this point only.
    pub at: Mutex<Option<&'static str>>,
    /// Breaks off when so many points have been passed, counted down; zero is never.
    pub nth: Mutex<u64>,
    pub passed: Mutex<u64>,
}

impl CrashPoints for Breaker {
    fn passes(&self, point: &'static str) -> bool {
        let here = *self.at.lock().unwrap() == Some(point);
        let mut passed = self.passed.lock().unwrap();
        *passed += 1;
        let is_nth = *passed == *self.nth.lock().unwrap();
        drop(passed);
        let dice = if people::is_later(point) { &self.later } else { &self.dice };
        !here && !is_nth && dice.lock().unwrap().as_mut().is_none_or(|d| d.below(100) >= 12)
    }
}

impl Sink {
    fn treasury(&self) -> Treasury {
        self.treasury.lock().unwrap().clone()
    }

    fn store(&self) -> Store {
        self.store.lock().unwrap().clone()
    }

    fn reason(&self) -> String {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        format!("test:reward:{count}")
    }

    async fn connected(&self, at: &FollowedEthBlock) -> Result<(), TreasuryError> {
        let treasury = self.treasury();
        let wanted = {
            let mut tx = self.store().read().await?;
            treasury.receipts_wanted(&mut tx, ASSET, &at.block).await?
        };
        let miner = treasury.hot_address(ASSET)?;
        let is_ours = at.block.header.coinbase == miner;
        let mut receipts = Vec::new();
        for t in &at.block.transactions {
            if is_ours || wanted.contains(&t.hash) {
                receipts.extend(self.node.receipt(&t.hash).await?);
            }
        }
        let earned = earned(at, &receipts, &miner, &RewardRule::CLASSIC).unwrap();
        let earned: Vec<U256> = earned.iter().map(|e| e.wei).collect();
        let reward: i64 = earned.iter().map(|e| wei::split(*e).unwrap().0).sum();
        let broken = |b: bool| if b { Err(TreasuryError::BrokenOff("follower")) } else { Ok(()) };
        let before = !self.breaker.passes("block connected, before commit");
        let reason = self.reason();
        transact!(self.store(), tx -> Result<(), TreasuryError> => {
            let block = AccountBlock { block: &at.block, receipts: &receipts, earned: &earned };
            treasury.connect_account_block(tx, ASSET, &block).await?;
            if reward > 0 {
                let (debit, credit, when) = (Account::ChainHot, Account::Capital, Timestamp(0));
                let entry = Entry::transfer(reason.clone(), "test", when, debit, credit, gwei(reward));
                post(tx, &entry).await?;
            }
            broken(before)
        })?;
        self.rewards.lock().unwrap().insert(at.to_ref().hash, reward);
        broken(!self.breaker.passes("block connected, after commit"))
    }

    async fn disconnected(&self, block: &BlockRef) -> Result<(), TreasuryError> {
        let reward = self.rewards.lock().unwrap().get(&block.hash).copied().unwrap_or(0);
        let reason = self.reason();
        let treasury = self.treasury();
        transact!(self.store(), tx -> Result<(), TreasuryError> => {
            if reward > 0 {
                let (debit, credit, when) = (Account::Capital, Account::ChainHot, Timestamp(0));
                let entry = Entry::transfer(reason.clone(), "test", when, debit, credit, gwei(reward));
                post(tx, &entry).await?;
            }
            treasury.disconnect_block(tx, ASSET, block).await?;
            Ok(())
        })
    }
}

#[async_trait]
impl ChainSink<FollowedEthBlock> for Sink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let mut tx = self.store().read().await.map_err(SinkError::new)?;
        let known = self.treasury().known_blocks(&mut tx, ASSET, limit as u64).await;
        known.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedEthBlock) -> Result<(), SinkError> {
        self.connected(block).await.map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.disconnected(block).await.map_err(SinkError::new)
    }
}

pub struct Rig {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    pub chain: EthDevChain,
    pub node: Arc<Node>,
    pub treasury: Treasury,
    pub payer: Payer,
    pub breaker: Arc<Breaker>,
    /// The cap of the hot address.
    pub sweep: Option<SweepPolicy>,
    /// Up to what payouts leave without a person; above the second, in a day, two are needed.
    pub looks: Option<(i64, i64)>,
    /// How far it may begin behind its chain before payouts wait.
    pub behind_max: Option<u64>,
    follower: Arc<Follower<AccountChain>>,
    sink: Arc<Sink>,
    _server: DevServer,
    _dir: TestDir,
}

fn open_treasury(
    store: &Store,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    node: &Arc<Node>,
    breaker: &Arc<Breaker>,
    (sweep, looks, behind_max): (Option<SweepPolicy>, Option<(i64, i64)>, Option<u64>),
) -> Treasury {
    let mut wallet = AccountChainWallet::new(ASSET, 61, false, node.clone());
    wallet.confirmations = CONFIRMATIONS;
    wallet.reorg_limit = REORG_LIMIT;
    wallet.payouts.auto_approve_max = looks.map_or(1_000 * COIN, |l| l.0);
    wallet.cold = sweep;
    wallet.behind_max = behind_max.unwrap_or(u64::MAX);
    let mut config = TreasuryConfig::new(Seed::from_bytes([42; 32])).with_accounts(wallet);
    config.converted = vec![Asset::Usd];
    // Fewer than the house's own, which take a while in a debug build.
    config.look_far = 60;
    if let Some((_, two_above)) = looks {
        let (customer_day, house_day, two_above) = (None, None, Some(two_above));
        config.limits = vec![PayoutLimits { asset: ASSET, customer_day, house_day, two_above }];
    }
    let treasury = Treasury::new(store.clone(), clock.clone(), entropy.clone(), config).unwrap();
    treasury.break_off_with(breaker.clone());
    treasury
}

fn follower(node: &Arc<Node>, sink: &Arc<Sink>) -> Arc<Follower<AccountChain>> {
    let options = Options {
        reorg_limit: usize::try_from(REORG_LIMIT).unwrap(),
        poll: Duration::from_secs(1),
        start: Start::Height(0),
    };
    let followed = AccountChain { node: node.clone(), title: "test".into() };
    Follower::of(followed, sink.clone(), options)
}

impl Rig {
    pub async fn new(store: Store, seed: u64) -> Rig {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let dir = TestDir::new();
        let difficulty = EthDifficulty::fixed(1);
        // What is tested here is what blocks move: how they are found would be most of the time.
        let work = EthDevWork::Claimed;
        let params = EthDevParams { difficulty, work, ..EthDevParams::classic() };
        let chain = EthDevChain::open(dir.path(), params, clock.clone(), entropy.as_ref()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = chain.serve(listener, None).unwrap();
        let real = EthRpcNode::new(&server.url(), None, EthRpcOptions::default()).unwrap();
        let node = Arc::new(Node {
            real,
            faults: Mutex::default(),
            nth: Mutex::default(),
            calls: Mutex::default(),
            late: Mutex::default(),
            misleads_follower: Mutex::default(),
            told: Mutex::default(),
            sent: Mutex::default(),
            chain_id: Mutex::default(),
            price: Mutex::default(),
            failed: Mutex::default(),
            deaf: Mutex::default(),
        });
        let breaker = Arc::new(Breaker::default());
        let treasury = open_treasury(&store, &clock, &entropy, &node, &breaker, (None, None, None));
        let sink = Arc::new(Sink {
            store: Mutex::new(store.clone()),
            treasury: Mutex::new(treasury.clone()),
            node: node.clone(),
            breaker: breaker.clone(),
            rewards: Mutex::default(),
            count: Mutex::default(),
        });
        let follower = follower(&node, &sink);
        let payer = Payer::new(treasury.clone());
        let rig = Rig {
            store,
            clock,
            entropy,
            chain,
            node,
            treasury,
            payer,
            breaker,
            sweep: None,
            looks: None,
            behind_max: None,
            follower,
            sink,
            _server: server,
            _dir: dir,
        };
        rig.follow().await;
        rig
    }

    /// One whose hot address has a hundred coins, and whose customer 1 has twenty.
    pub async fn rich(store: Store) -> Rig {
        let rig = Rig::new(store, 1).await;
        rig.pay(&rig.treasury.capital_address(ASSET).unwrap(), 100 * COIN);
        rig.top_up(1, 20 * COIN).await;
        rig.mine(CONFIRMATIONS).await;
        rig
    }

    /// As after a kill: everything in memory is gone.
    pub fn restart(&mut self) {
        let (clock, node, sweep) = (&self.clock, &self.node, self.sweep.clone());
        self.treasury = open_treasury(
            &self.store,
            clock,
            &self.entropy,
            node,
            &self.breaker,
            (sweep, self.looks, self.behind_max),
        );
        *self.sink.treasury.lock().unwrap() = self.treasury.clone();
        self.payer = Payer::new(self.treasury.clone());
    }

    /// As after a restored backup: another database over the same chain.
    pub async fn move_to(&mut self, store: Store) {
        *self.sink.store.lock().unwrap() = store.clone();
        std::mem::replace(&mut self.store, store).close().await;
        self.restart();
        // It knows in memory how far it was.
        self.follower = follower(&self.node, &self.sink);
        self.follow().await;
    }

    pub async fn follow_step(&self) -> Result<Progress, gruve_chain::FollowError> {
        self.follower.step().await
    }

    pub async fn follow(&self) {
        while !matches!(self.follow_step().await.unwrap(), Progress::UpToDate(_)) {}
    }

    pub fn call(&self, method: &str, params: &Value) -> Value {
        self.chain.call(method, params).unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// The built-in wallet pays wei.
    pub fn pay_wei(&self, to: &str, wei: U256) -> String {
        let from = self.chain.wallet_address().to_string();
        let order = json!({ "from": from, "to": to, "value": format!("{wei:#x}") });
        self.call("eth_sendTransaction", &json!([order])).as_str().unwrap().to_owned()
    }

    pub fn pay(&self, to: &str, minor: i64) -> String {
        self.pay_wei(to, wei::from_gwei(minor).unwrap())
    }

    /// Mines blocks with all that waits, follows, and holds the books against everything.
    pub async fn mine(&self, blocks: u64) {
        self.chain.mine(u32::try_from(blocks).unwrap()).unwrap();
        self.follow().await;
        self.check().await;
    }

    pub async fn check(&self) {
        {
            let mut tx = self.store.read().await.unwrap();
            let r = self.treasury.reconcile(&mut tx, ASSET).await.unwrap();
            assert!(r.agrees(), "blocks and books differ: {r:?}");
            let audit = gruve_ledger::audit(&mut tx).await.unwrap();
            assert!(audit.findings.is_empty(), "{audit:?}");
        }
        if self.node.failed.lock().unwrap().is_empty() {
            let at_node = self.treasury.compare_with_node(ASSET).await.unwrap();
            assert_eq!(at_node.differences, [], "blocks and node differ");
        }
    }

    pub async fn invoice(&self, n: u8, minor: i64) -> Invoice {
        self.ask_invoice(n, minor).await.unwrap()
    }

    /// The same where the house may break off.
    pub async fn ask_invoice(&self, n: u8, minor: i64) -> Result<Invoice, TreasuryError> {
        let (account, amount, purpose) = (account(n), gwei(minor), Purpose::TopUp);
        let new = NewInvoice { account, amount, purpose, ttl: HOUR };
        transact!(self.store, tx -> Result<Invoice, TreasuryError> => {
            self.treasury.create_invoice(tx, new).await
        })
    }

    pub async fn look(&self, id: InvoiceId) -> Invoice {
        self.treasury.invoice(id).await.unwrap().unwrap()
    }

    pub async fn top_up(&self, n: u8, minor: i64) -> Invoice {
        let invoice = self.invoice(n, minor).await;
        self.pay(&invoice.address, minor);
        self.mine(CONFIRMATIONS).await;
        invoice
    }

    pub async fn balance(&self, account: Account) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        balance(&mut tx, &account, ASSET).await.unwrap().minor
    }

    pub async fn available(&self, n: u8) -> i64 {
        self.balance(Account::CustomerAvailable(account(n))).await
    }

    pub async fn total(&self, kind: AccountKind) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        let totals = gruve_ledger::totals(&mut tx, ASSET).await.unwrap();
        totals.iter().find(|(k, _)| *k == kind).map_or(0, |(_, a)| a.minor)
    }

    pub async fn request(&self, n: u8, minor: i64, to: &str) -> Result<PayoutId, TreasuryError> {
        let (account, amount, address) = (account(n), gwei(minor), to.to_owned());
        let new = NewPayout { account, amount, address, request_key: None };
        self.treasury.request_payout(new).await
    }

    pub async fn payout(&self, id: PayoutId) -> Payout {
        self.treasury.payout(id).await.unwrap().unwrap()
    }

    /// Whole gwei that an address has on the chain.
    pub fn on_chain(&self, address: &EthAddress) -> i64 {
        let text = self.call("eth_getBalance", &json!([address.to_string(), "latest"]));
        wei::split(text.as_str().unwrap().parse().unwrap()).unwrap().0
    }

    /// How many transactions an address has on the chain.
    pub fn nonces(&self, address: &EthAddress) -> u64 {
        let text = self.call("eth_getTransactionCount", &json!([address.to_string(), "latest"]));
        u64::from_str_radix(&text.as_str().unwrap()[2..], 16).unwrap()
    }
}
