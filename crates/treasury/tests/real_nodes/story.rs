//! An invoice, its pay-in and a payout that takes two people, with six blocks taken back behind them, told on real nodes
//! again and again, each time with a kill at another border between two steps, or with another call to the node
//! going wrong. The node's own chain says who was paid.
//!
//! The short form tells some of them, `GRUVE_LONG=1` all.

use super::*;
use gruve_chain::FollowError;
use gruve_treasury::{CrashPoints, PayoutLimits};
use gruve_units::{Blame, Blamed};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

/// How a sending goes wrong: lost; its answer lost; late; twice; refused; done and refused; not done and said to be.
const SENDING: [u64; 7] = [0, 1, 2, 3, 4, 5, 6];
/// How a question goes wrong: no answer.
const ASKING: [u64; 1] = [0];
/// How a question for a block's hash goes wrong: no answer, and the one that was right before.
const FOLLOWING: [u64; 2] = [0, 1];

/// Coins paid in and asked for.
const PAID_IN: i64 = 3;
const ASKED: i64 = 2;

fn lost() -> NodeError {
    NodeError::TimedOut { host: "fake".into(), method: "any", after: Duration::from_secs(30) }
}

/// A real node of whose calls one goes wrong.
struct Misleading {
    real: Arc<Priced>,
    nth: Mutex<Option<(usize, u64)>>,
    calls: Mutex<Vec<&'static [u64]>>,
    late: Mutex<Vec<Vec<u8>>>,
    told: Mutex<HashMap<u64, [u8; 32]>>,
}

impl Misleading {
    /// How this call goes wrong, if it does.
    fn way(&self, ways: &'static [u64]) -> Option<u64> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(ways);
        let nth = *self.nth.lock().unwrap();
        nth.filter(|(number, _)| *number == calls.len()).map(|(_, way)| way)
    }

    fn answers(&self) -> Result<(), NodeError> {
        if self.way(&ASKING).is_some() { Err(lost()) } else { Ok(()) }
    }
}

#[async_trait]
impl Node for Misleading {
    fn params(&self) -> &ChainParams {
        self.real.params()
    }
    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        self.real.template(longpoll).await
    }
    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        self.real.submit_block(block).await
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.answers()?;
        self.real.tip().await
    }
    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        let before = self.told.lock().unwrap().get(&height).copied();
        let now = self.real.block_hash(height).await?;
        if let Some(now) = now {
            self.told.lock().unwrap().insert(height, now);
        }
        match self.way(&FOLLOWING) {
            None => Ok(now),
            Some(0) => Err(lost()),
            Some(_) => Ok(before),
        }
    }
    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.answers()?;
        self.real.block(hash).await
    }
    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        match self.way(&SENDING) {
            None => self.real.send_transaction(bytes).await,
            Some(0) => Err(lost()),
            Some(1) => {
                self.real.send_transaction(bytes).await?;
                Err(lost())
            }
            Some(2) => {
                self.late.lock().unwrap().push(bytes.to_vec());
                Err(lost())
            }
            Some(3) => {
                self.real.send_transaction(bytes).await?;
                self.real.send_transaction(bytes).await
            }
            Some(4) => Ok(SendOutcome::Rejected("mempool min fee not met".into())),
            Some(5) => {
                self.real.send_transaction(bytes).await?;
                Ok(SendOutcome::Rejected("bad-txns-inputs-missingorspent".into()))
            }
            Some(_) => Ok(SendOutcome::AlreadyKnown),
        }
    }
    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        self.answers()?;
        self.real.transaction_in_mempool_or_block(txid).await
    }
    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        self.answers()?;
        self.real.coin_is_unspent(txid, vout).await
    }
    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError> {
        self.answers()?;
        self.real.fee_rate(blocks).await
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.real.info().await
    }
}

#[derive(Default)]
struct Nth {
    at: Option<usize>,
    passed: Mutex<usize>,
}

impl CrashPoints for Nth {
    fn passes(&self, _: &'static str) -> bool {
        let mut passed = self.passed.lock().unwrap();
        *passed += 1;
        Some(*passed) != self.at
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    kill: Option<usize>,
    call: Option<(usize, u64)>,
}

/// Books blocks, and breaks off before and after.
struct Breaking {
    sink: Sink,
    kill: Arc<Nth>,
}

impl Breaking {
    fn passes(&self, point: &'static str) -> Result<(), SinkError> {
        let passes = self.kill.passes(point);
        if passes { Ok(()) } else { Err(SinkError::new(TreasuryError::BrokenOff(point))) }
    }
}

#[async_trait]
impl ChainSink for Breaking {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        self.sink.known(limit).await
    }
    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        self.passes("before a block")?;
        self.sink.connect(block).await?;
        self.passes("after a block")
    }
    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.passes("before a block is taken back")?;
        self.sink.disconnect(block).await?;
        self.passes("after a block is taken back")
    }
}

/// A house of its own for one telling, on the chain of all tellings.
struct Story<'a> {
    bench: &'a Bench,
    somebody: &'a mut Somebody,
    number: u8,
    start: u64,
    store: Store,
    node: Arc<Misleading>,
    kill: Arc<Nth>,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    treasury: Treasury,
    payer: Payer,
    follower: Arc<Follower>,
}

impl<'a> Story<'a> {
    async fn new(
        bench: &'a Bench,
        somebody: &'a mut Somebody,
        dir: &testing::TestDir,
        number: u8,
    ) -> Story<'a> {
        let store = new_store(dir).await;
        let node = Arc::new(Misleading {
            real: bench.node.clone(),
            nth: Mutex::default(),
            calls: Mutex::default(),
            late: Mutex::default(),
            told: Mutex::default(),
        });
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let entropy = Arc::new(SeededEntropy::new(u64::from(number)));
        let start = bench.node.tip().await.unwrap().height;
        let kill = Arc::new(Nth::default());
        let parts = (&store, &clock, &entropy, &node);
        let treasury = house(parts, number);
        let payer = Payer::new(treasury.clone());
        let follower = follows(&store, &treasury, &node, &kill, start);
        Story {
            bench,
            somebody,
            number,
            start,
            store,
            node,
            kill,
            clock,
            entropy,
            treasury,
            payer,
            follower,
        }
    }

    fn restart(&mut self) {
        let parts = (&self.store, &self.clock, &self.entropy, &self.node);
        self.treasury = house(parts, self.number);
        self.treasury.break_off_with(self.kill.clone());
        self.payer = Payer::new(self.treasury.clone());
        self.follower = follows(&self.store, &self.treasury, &self.node, &self.kill, self.start);
    }

    fn bear<T>(&mut self, outcome: Result<T, TreasuryError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(e) => {
                assert_eq!(e.blame(), Blame::Transient, "{e}");
                if matches!(e, TreasuryError::BrokenOff(_)) {
                    self.restart();
                }
                None
            }
        }
    }

    /// In tenths: what somebody has must do for all tellings.
    fn coins(&self, tenths: i64) -> Amount {
        let asset = self.bench.params.asset;
        Amount::new(asset, tenths * asset.unit() / 10)
    }

    /// Somebody pays tenths of a coin to an address of the house.
    async fn pays(&mut self, address: &str, tenths: i64) {
        const FEE: i64 = 10_000;
        let script = script_for_address(&self.bench.params, address).unwrap();
        let minor = self.coins(tenths).minor;
        let bytes = self.somebody.pay(&script, minor, FEE);
        let sent = self.bench.node.send_transaction(&bytes).await.unwrap();
        assert_eq!(sent, SendOutcome::Accepted);
        let made: Transaction = bitcoin::consensus::deserialize(&bytes).unwrap();
        let rest = self.somebody.coin.1 - minor - FEE;
        self.somebody.coin = (OutPoint { txid: made.compute_txid(), vout: 1 }, rest);
    }

    async fn mine(&mut self, blocks: u32, to: u8) {
        self.bench.real.generate(blocks, &self.bench.address(to)).await;
        self.follow().await;
    }

    async fn follow(&mut self) {
        let height = self.bench.node.tip().await.unwrap().height;
        for _ in 0..1_000 {
            match self.follower.step().await {
                Ok(Progress::UpToDate(at)) if at.height == height => return,
                Ok(_) => {}
                Err(e) => {
                    assert_eq!(e.blame(), Blame::Transient, "{e}");
                    if matches!(e, FollowError::Sink(_)) {
                        self.restart();
                    }
                }
            }
        }
        panic!("the chain is not followed to its end");
    }

    async fn step(&mut self) {
        let outcome = self.payer.step().await;
        self.bear(outcome);
    }

    async fn order(&mut self) -> Invoice {
        loop {
            let ttl = Duration::from_secs(86_400);
            let (account, amount) = (customer(), self.coins(PAID_IN));
            let new = NewInvoice { account, amount, purpose: Purpose::TopUp, ttl };
            let made = transact!(self.store, tx -> Result<Invoice, TreasuryError> => {
                self.treasury.create_invoice(tx, new).await
            });
            if let Some(invoice) = self.bear(made) {
                return invoice;
            }
        }
    }

    async fn ask(&mut self, to: &str) -> PayoutId {
        loop {
            let (account, amount, address) = (customer(), self.coins(ASKED), to.to_owned());
            let request_key = Some("only once".to_owned());
            let new = NewPayout { account, amount, address, request_key };
            let outcome = self.treasury.request_payout(new).await;
            if let Some(id) = self.bear(outcome) {
                return id;
            }
        }
    }

    async fn approve(&mut self, id: PayoutId) {
        for approver in ["one", "another"] {
            loop {
                let outcome = self.treasury.approve_payout(id, approver).await;
                if self.bear(outcome).is_some() {
                    break;
                }
            }
        }
    }

    async fn told(&mut self, to: &str) -> PayoutId {
        let invoice = self.order().await;
        self.pays(&invoice.address, PAID_IN).await;
        self.mine(2, 200).await;
        let id = self.ask(to).await;
        self.approve(id).await;
        self.step().await;
        self.step().await;
        self.mine(1, 200).await;
        let tip = self.bench.node.tip().await.unwrap().height;
        let sixth = self.bench.real.call("getblockhash", json!([tip - 5])).await;
        self.bench.real.call("invalidateblock", json!([sixth])).await;
        self.mine(7, 201).await;
        self.clock.advance(Duration::from_secs(601));
        self.step().await;
        self.mine(1, 200).await;
        id
    }

    /// Nothing fails any more; everything comes to its end, and the node's chain is asked.
    async fn ends(&mut self, id: PayoutId, to: &str) {
        self.kill = Arc::new(Nth::default());
        *self.node.nth.lock().unwrap() = None;
        self.restart();
        for _ in 0..4 {
            let late = std::mem::take(&mut *self.node.late.lock().unwrap());
            for late in late {
                self.bench.node.send_transaction(&late).await.unwrap();
            }
            self.clock.advance(Duration::from_secs(601));
            self.step().await;
            self.mine(1, 200).await;
        }
        let payout = self.treasury.payout(id).await.unwrap().unwrap();
        assert_eq!(payout.state, PayoutState::Confirmed);
        let received = self.bench.received(to).await;
        assert_eq!(received, (payout.receives().unwrap().minor, 1), "paid once");
        let asset = self.bench.params.asset;
        let mut tx = self.store.read().await.unwrap();
        assert!(self.treasury.reconcile(&mut tx, asset).await.unwrap().agrees());
        let available = Account::CustomerAvailable(customer());
        let has = gruve_ledger::balance(&mut tx, &available, asset).await.unwrap();
        assert_eq!(has, self.coins(PAID_IN - ASKED));
        let totals = gruve_ledger::totals(&mut tx, asset).await.unwrap();
        for (kind, amount) in totals {
            let is_over = [
                AccountKind::Loss,
                AccountKind::UnmatchedReceipts,
                AccountKind::PayoutsInFlight,
                AccountKind::CustomerHeld,
            ];
            assert!(!is_over.contains(&kind) || amount.minor == 0, "{kind}: {amount}");
        }
    }
}

type Parts<'a> = (&'a Store, &'a Arc<ManualClock>, &'a Arc<SeededEntropy>, &'a Arc<Misleading>);

/// The house of a telling: its own keys, and payouts that take two people.
fn house((store, clock, entropy, node): Parts<'_>, number: u8) -> Treasury {
    let params = *node.params();
    let mut wallet = ChainWallet::new(params, node.clone());
    wallet.confirmations = 2;
    wallet.payouts.auto_approve_max = 0;
    wallet.payouts.bump_after = Duration::from_secs(600);
    // None of them is the bench's.
    let seed = Seed::from_bytes([100 + number; 32]);
    let mut config = TreasuryConfig::new(seed).with_chain(wallet);
    let (customer_day, house_day, two_above) = (None, None, Some(1));
    config.limits = vec![PayoutLimits { asset: params.asset, customer_day, house_day, two_above }];
    Treasury::new(store.clone(), clock.clone(), entropy.clone(), config).unwrap()
}

fn follows(
    store: &Store,
    treasury: &Treasury,
    node: &Arc<Misleading>,
    kill: &Arc<Nth>,
    start: u64,
) -> Arc<Follower> {
    let params = *node.params();
    let (store, treasury) = (Mutex::new(store.clone()), Mutex::new(treasury.clone()));
    let sink = Sink { store, treasury, asset: params.asset };
    let sink = Arc::new(Breaking { sink, kill: kill.clone() });
    let options = Options { start: Start::Height(start), ..Options::for_chain(&params) };
    Follower::new(node.clone(), params, sink, options)
}

type Calls = Vec<&'static [u64]>;

/// Tells it once; gives the steps and the calls there were.
async fn tell(bench: &Bench, somebody: &mut Somebody, number: u8, fault: Fault) -> (usize, Calls) {
    let dir = testing::TestDir::new();
    let mut story = Story::new(bench, somebody, &dir, number).await;
    let to = bench.address(number);
    let capital = story.treasury.capital_address(bench.params.asset).unwrap();
    story.pays(&capital, 1).await;
    // Deep enough that the six blocks do not take it back.
    story.mine(5, 200).await;
    let kill = Arc::new(Nth { at: fault.kill, passed: Mutex::default() });
    story.kill = kill.clone();
    story.restart();
    story.node.calls.lock().unwrap().clear();
    *story.node.nth.lock().unwrap() = fault.call;
    let id = story.told(&to).await;
    let calls = std::mem::take(&mut *story.node.calls.lock().unwrap());
    let steps = *kill.passed.lock().unwrap();
    story.ends(id, &to).await;
    (steps, calls)
}

/// Faults that the short form tells on each node: a second or two each.
const SHORT: usize = 12;

async fn tells_it(program: Program) {
    use futures_util::FutureExt as _;
    let mut place = testing::TestDir::new();
    let mut bench = Bench::new(program, &place).await;
    let mut somebody = Somebody::with_coins(&bench).await;
    bench.mine(101).await;
    let (steps, calls) = tell(&bench, &mut somebody, 1, Fault::default()).await;
    let kills = (1..=steps).map(|n| Fault { kill: Some(n), call: None });
    let wrong = (1..).zip(&calls).flat_map(|(n, ways)| ways.iter().map(move |way| (n, *way)));
    let wrong = wrong.map(|call| Fault { kill: None, call: Some(call) });
    let all: Vec<Fault> = kills.chain(wrong).collect();
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    let stride = if is_long { 1 } else { all.len().div_ceil(SHORT) };
    let mut told = 0;
    for fault in all.iter().step_by(stride) {
        // Each has keys and an address of its own, and a node begins anew before they are all used.
        if told % 40 == 39 {
            let next = testing::TestDir::new();
            bench = Bench::new(program, &next).await;
            place = next;
            somebody = Somebody::with_coins(&bench).await;
            bench.mine(101).await;
        }
        let number = u8::try_from(2 + told % 40).unwrap();
        let telling = AssertUnwindSafe(tell(&bench, &mut somebody, number, *fault)).catch_unwind();
        if let Err(cause) = telling.await {
            eprintln!("failed with {fault:?}");
            std::panic::resume_unwind(cause);
        }
        told += 1;
    }
    let calls = calls.len();
    drop(place);
    println!(
        "{program:?}: {steps} steps, {calls} calls: told with {told} faults, paid once each time"
    );
}

#[tokio::test]
async fn on_litecoind_killed_or_misled_anywhere_it_pays_once() {
    tells_it(Program::Litecoind(Mweb::Never)).await;
}

#[tokio::test]
async fn on_bitcoind_killed_or_misled_anywhere_it_pays_once() {
    tells_it(Program::Bitcoind).await;
}
