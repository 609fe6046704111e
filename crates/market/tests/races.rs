//! Sales that race each other, and that race closes, settlements and cancellations, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod prices;
mod world;

use gruve_ledger::{Account, Entry};
use gruve_market::{
    ActKind, ChainBlock, Choice, ContractState, FppsAsset, FppsConfig, MarketConfig, MarketError,
    PaymentDispute, PlanConfig, PlanKind, RecordSink, ReserveFrom, Result, Scheme, Unprofitable,
};
use gruve_proof::summary::FileRef;
use gruve_sharelog::Owner;
use gruve_store::{Engine, Store, laws, transact};
use gruve_units::{
    AccountId, Asset, Blame, Blamed, Bps, ContractId, EpochNumber, Hashes, Hashrate, QuoteId,
};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use world::{BITS, FIRST, World, btc, lane, someone};

const BUYERS: u8 = 50;

fn config() -> MarketConfig {
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..world::plan()
    };
    let terms = FppsAsset {
        asset: Asset::Btc,
        fee_window_blocks: 10,
        fee_cap_minor: 50_000,
        depth_blocks: 2,
    };
    let fpps = PlanConfig {
        id: "fpps".into(),
        scheme: Scheme::Fpps,
        fpps: Some(FppsConfig { ruin_ppm: 100_000, assets: vec![terms] }),
        fee_bps: Bps::new(1_000).unwrap(),
        ..world::plan()
    };
    MarketConfig { plans: vec![world::plan(), meter, fpps], ..world::config() }
}

/// Sells FPPS too: the chain's blocks are known, and the reserve is full.
async fn world(store: Store, rate: u64) -> Arc<World> {
    let w = World::with(store, config()).await;
    for height in FIRST - 20..=FIRST + 4 {
        let block = ChainBlock {
            height,
            hash: [u8::try_from(height % 251).unwrap(); 32],
            time: height,
            bits: Some(BITS),
            work: Hashes(1 << 20),
            names_uncles: false,
            subsidy: 1_000_000,
            fees: 10_000,
        };
        let market = &w.market;
        transact!(w.store, tx -> Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &block).await
        })
        .unwrap();
    }
    let (from, to) = (Account::ChainHot, Account::OperatorRevenue);
    let entry = Entry::transfer("earned", "test", w.clock_now(), from, to, btc(100_000_000));
    let market = &w.market;
    transact!(w.store, tx -> Result<()> => {
        gruve_ledger::post(tx, &entry).await?;
        let (amount, from) = (btc(100_000_000), ReserveFrom::Revenue);
        market.fpps_capital(tx, "first", amount, from).await?;
        Ok(())
    })
    .unwrap();
    w.prove(rate).await;
    Arc::new(w)
}

async fn buy(w: &World, account: AccountId, plan: &str) -> Result<ContractId> {
    let quote = w.market.quote(account, plan, Hashrate(100), 3).await?.id;
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.buy(tx, account, quote).await })
        .map(|p| p.contract)
}

async fn start(w: &World, account: AccountId) -> Result<ContractId> {
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, account, "meter", Hashrate(100), None).await
    })
    .map(|s| s.contract)
}

/// Fifty buyers at once, of whom every one that is refused was told that nothing is left.
async fn fourteen_of_fifty(w: &Arc<World>, how: fn(u8) -> &'static str) {
    for n in 0..BUYERS {
        w.fund(someone(n), 10_000).await;
    }
    let buyers: Vec<_> = (0..BUYERS)
        .map(|n| {
            let w = w.clone();
            tokio::spawn(async move {
                match how(n) {
                    "meter" => start(&w, someone(n)).await,
                    plan => buy(&w, someone(n), plan).await,
                }
            })
        })
        .collect();
    let mut sold = 0;
    for buyer in buyers {
        match buyer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(MarketError::SoldOut { available }) => assert!(available < Hashrate(100)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sold, 14);
    let stats = w.market.lane_stats().await.unwrap();
    assert_eq!((stats[0].sold, stats[0].available), (Hashrate(1_400), Hashrate(50)));
    w.assert_all_sound().await;
}

async fn fifty_who_start_by_the_meter_never_oversell(store: Store) {
    fourteen_of_fifty(&world(store, 1_450).await, |_| "meter").await;
}

async fn fifty_buyers_of_fpps_never_oversell(store: Store) {
    fourteen_of_fifty(&world(store, 1_450).await, |_| "fpps").await;
}

async fn fifty_of_all_kinds_never_oversell(store: Store) {
    let kinds: fn(u8) -> &'static str = |n| ["lease", "meter", "fpps"][usize::from(n % 3)];
    fourteen_of_fifty(&world(store, 1_450).await, kinds).await;
}

/// What one customer does until told to stop: buys, pays or takes back, starts and ends.
async fn trade(w: Arc<World>, n: u8, is_over: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let me = someone(n);
    for turn in 0_u64.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let outcome = match turn % 3 {
            0 => start_and_end(&w, me).await,
            1 => buy_and_cancel(&w, me, "lease").await,
            _ => buy_and_cancel(&w, me, "fpps").await,
        };
        match outcome {
            Ok(()) => drop(done.fetch_add(1, Ordering::SeqCst)),
            // Refused for a reason that he understands; what is transient was tried again for him.
            Err(e) => assert_eq!(e.blame(), Blame::Rejected, "{e}"),
        }
    }
}

async fn start_and_end(w: &World, me: AccountId) -> Result<()> {
    let id = start(w, me).await?;
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.end_metered(tx, me, id).await })?;
    Ok(())
}

async fn buy_and_cancel(w: &World, me: AccountId, plan: &str) -> Result<()> {
    let id = buy(w, me, plan).await?;
    w.fund(me, 1_000).await;
    let (market, now) = (&w.market, w.clock_now());
    transact!(w.store, tx -> Result<_> => { market.invoice_paid(tx, id, now).await })?;
    transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, id).await })?;
    Ok(())
}

/// Closes that settle, sales, payments, cancellations and withdrawals, all at once.
async fn closes_sales_settlements_and_cancellations_race_and_all_come_through(store: Store) {
    let w = world(store, 20_000).await;
    for n in 0..20 {
        w.lease(someone(100 + n), 500, 20).await;
    }
    for n in 0..6 {
        w.fund(someone(n), 100_000).await;
    }
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let traders: Vec<_> =
        (0..6).map(|n| tokio::spawn(trade(w.clone(), n, is_over.clone(), done.clone()))).collect();
    let mut height = 100;
    for _ in 0..8 {
        w.work(Owner::Account(someone(200)), 12, 3);
        let block = w.find_block(height);
        w.see(block, height, 5_000_000).await;
        height += world::MATURITY;
        w.height(height).await;
        w.epoch_at(20_000).await;
    }
    is_over.store(true, Ordering::SeqCst);
    for trader in traders {
        trader.await.unwrap();
    }
    assert!(done.load(Ordering::SeqCst) > 0, "nobody got through beside the closes");
    let stats = w.market.lane_stats().await.unwrap();
    assert!(stats[0].sold <= Hashrate(20_000), "{:?}", stats[0].sold);
    let settled = w.holds(&Account::CustomerAvailable(someone(100))).await;
    assert!(settled > 0, "nothing was settled");
    w.assert_all_sound().await;
}

/// The house's folder for the public, in which something happens in the middle of an armed close.
#[derive(Default)]
struct Interrupting {
    armed: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    /// How often a close came so far.
    closes: AtomicU64,
}

impl RecordSink for Interrupting {
    fn put(&self, bytes: &[u8]) -> std::result::Result<FileRef, String> {
        Ok(FileRef { hash: Sha256::digest(bytes).into(), bytes: bytes.len() as u64 })
    }

    /// Called in a close's transaction, and on a thread of its own.
    fn keep(&self, _: &FileRef, _: &[u8]) -> std::result::Result<(), String> {
        self.closes.fetch_add(1, Ordering::SeqCst);
        let armed = self.armed.lock().unwrap().take();
        if let Some((begun, passed)) = armed {
            begun.send(()).unwrap();
            passed.recv().unwrap();
        }
        Ok(())
    }

    fn read(&self, _: &FileRef) -> std::result::Result<Vec<u8>, String> {
        Err("nothing is kept".into())
    }

    fn secret(&self) -> [u8; 32] {
        [3; 32]
    }

    fn grown(&self) {}
}

/// Waits until somebody waits for what a close has alone, or what was said has come through.
async fn until_it_waits(w: &World, said: &JoinHandle<()>) {
    const WAITING: &str = "SELECT COUNT(*) AS n FROM pg_locks WHERE NOT granted AND relation IN
        ('market_capacity'::regclass, 'ledger_head'::regclass, 'market_freezes'::regclass,
        'market_owed'::regclass, 'market_wishes'::regclass, 'market_own_schemes'::regclass,
        'market_acts'::regclass)";
    while !said.is_finished() {
        let mut tx = w.store.read().await.unwrap();
        // On a file a writer is alone, and who waits cannot be seen.
        if tx.engine() == Engine::Sqlite {
            return;
        }
        let waiting: i64 = tx.fetch_one(WAITING, &[]).await.unwrap().get("n").unwrap();
        tx.rollback().await.unwrap();
        if waiting > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Closes an epoch, in the middle of which somebody does something; how often the close was begun.
async fn closes_until_done(
    w: &Arc<World>,
    sink: &Interrupting,
    said: impl Future<Output = ()> + Send + 'static,
) -> u64 {
    let before = sink.closes.load(Ordering::SeqCst);
    let (begun, has_begun) = channel();
    let (passed, has_passed) = channel();
    *sink.armed.lock().unwrap() = Some((begun, has_passed));
    let customer = {
        let w = w.clone();
        tokio::spawn(async move {
            tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
            let said = tokio::spawn(said);
            until_it_waits(&w, &said).await;
            passed.send(()).unwrap();
            said.await.unwrap();
        })
    };
    w.epoch_at(20_000).await;
    customer.await.unwrap();
    sink.closes.load(Ordering::SeqCst) - before
}

async fn a_close_is_not_begun_again_because_somebody_pays_meanwhile(store: Store) {
    let w = world(store, 20_000).await;
    let sink = Arc::new(Interrupting::default());
    w.market.publish_to(sink.clone());
    let earned = Account::CustomerAvailable(someone(200));
    for height in [100, 200] {
        // No leases: the close posts nothing before its settlement, and has read the journal's head long before.
        w.work(Owner::Account(someone(200)), 12, 3);
        let block = w.find_block(height);
        w.see(block, height, 5_000_000).await;
        w.height(height + world::MATURITY).await;
        w.epoch_at(20_000).await;
    }
    let before = w.holds(&earned).await;
    w.work(Owner::Account(someone(200)), 12, 3);
    let block = w.find_block(300);
    w.see(block, 300, 5_000_000).await;
    w.height(300 + world::MATURITY).await;
    let pays = {
        let w = w.clone();
        async move { w.fund(someone(1), 700).await }
    };
    let closes = closes_until_done(&w, &sink, pays).await;
    assert!(w.holds(&earned).await > before, "the close settled nothing");
    assert_eq!(w.holds(&Account::CustomerAvailable(someone(1))).await, 700);
    assert_eq!(closes, 1, "a close was begun again");
    w.assert_all_sound().await;
}

/// Something that is said of a contract, or of an account's own machines.
#[derive(Clone, Copy, Debug)]
enum Word {
    Disputed,
    Stands,
    PaidFor(EpochNumber),
    RunOn,
    RenewIt,
    Solo,
}

async fn say(w: Arc<World>, (me, id): (AccountId, ContractId), word: Word) {
    let market = &w.market;
    let of_payment = async |word| {
        let said = transact!(w.store, tx -> Result<_> => {
            market.payment_disputed(tx, id, "dp_1", word).await
        });
        said.unwrap();
    };
    match word {
        Word::Disputed => of_payment(PaymentDispute::Open).await,
        Word::Stands => of_payment(PaymentDispute::Won).await,
        Word::PaidFor(missed) => market.choose(me, id, missed, Choice::Earnings).await.unwrap(),
        Word::RunOn => market.keep_running(me, id, true).await.unwrap(),
        Word::RenewIt => market.wish(me, id, Some(1), false).await.unwrap(),
        Word::Solo => {
            let set = transact!(w.store, tx -> Result<_> => {
                market.set_own_scheme(tx, me, &lane(), Scheme::Solo).await
            });
            set.unwrap();
        }
    }
}

async fn a_close_is_not_begun_again_because_something_is_said_meanwhile(store: Store) {
    let mut config = prices::priced();
    // It always pays, and is looked at with every settlement.
    config.plans[0].life.unprofitable = Unprofitable::Pause;
    config.plans[0].life.maintenance_usd_micro_per_th_day = 1;
    let w = Arc::new(World::with(store, config).await);
    let chain = ChainBlock {
        height: 1,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(1 << 60),
        names_uncles: false,
        subsidy: prices::REWARD,
        fees: 0,
    };
    let market = &w.market;
    let known = transact!(w.store, tx -> Result<()> => {
        market.chain_block(tx, &lane(), Asset::Btc, &chain).await
    });
    known.unwrap();
    w.prove(20_000).await;
    let sink = Arc::new(Interrupting::default());
    w.market.publish_to(sink.clone());
    let me = someone(1);
    let c = w.lease(me, 500, 20).await;
    for _ in 0..3 {
        prices::price(&w, 1_000).await;
        w.epoch_at(20_000).await;
    }
    let idle = (w.now(), Some(w.now().next()));
    market.record_act(&lane(), ActKind::Idle, Hashrate(20_000), idle, "").await.unwrap();
    let missed = Word::PaidFor(w.epoch_at(100).await);
    for word in [missed, Word::Disputed, Word::Stands, Word::RunOn, Word::RenewIt, Word::Solo] {
        prices::price(&w, 1_000).await;
        w.work(Owner::Account(me), 12, 3);
        let closes = closes_until_done(&w, &sink, say(w.clone(), (me, c), word)).await;
        assert_eq!(closes, 1, "a close was begun again: {word:?}");
    }
    prices::price(&w, 1_000).await;
    w.epoch_at(20_000).await;
    // All of it was heard.
    let life = w.view(me, c).await.life;
    assert_eq!((life.paused_epochs, life.undecided), (1, Hashes::ZERO));
    assert!(life.compensated > Hashes::ZERO);
    assert_eq!(market.own_scheme(me, &lane()).await.unwrap().0, Scheme::Solo);
    w.assert_all_sound().await;
}

async fn a_close_is_not_begun_again_because_a_renewal_is_bought_or_taken_back(store: Store) {
    let w = world(store, 20_000).await;
    let sink = Arc::new(Interrupting::default());
    w.market.publish_to(sink.clone());
    let me = someone(1);
    let c = w.lease(me, 500, 6).await;
    w.epoch_at(20_000).await;
    w.epoch_at(20_000).await;
    let quote = w.market.quote_renewal(me, c, 6).await.unwrap().id;
    let bought = Arc::new(Mutex::new(None));
    let buys = {
        let (w, bought) = (w.clone(), bought.clone());
        async move {
            let market = &w.market;
            let said = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote).await });
            *bought.lock().unwrap() = Some(said.unwrap().contract);
        }
    };
    w.work(Owner::Account(me), 12, 3);
    assert_eq!(closes_until_done(&w, &sink, buys).await, 1, "begun again for a renewal");
    let next: ContractId = bought.lock().unwrap().take().unwrap();
    let takes_back = {
        let w = w.clone();
        async move {
            let market = &w.market;
            let said = transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, next).await });
            said.unwrap();
        }
    };
    w.work(Owner::Account(me), 12, 3);
    assert_eq!(closes_until_done(&w, &sink, takes_back).await, 1, "begun again for its end");
    assert_eq!(w.state(me, next).await, ContractState::Cancelled);
    let stats = w.market.lane_stats().await.unwrap();
    assert_eq!(stats[0].sold, Hashrate(500));
    w.assert_all_sound().await;
}

/// What changes a sale.
#[derive(Clone, Copy, Debug)]
enum Change {
    Renew(QuoteId),
    Cancel(ContractId),
    Expire(ContractId),
    End(ContractId),
}

async fn change(w: Arc<World>, me: AccountId, what: Change) {
    let market = &w.market;
    transact!(w.store, tx -> Result<()> => {
        match what {
            Change::Renew(quote) => market.buy(tx, me, quote).await.map(drop),
            Change::Cancel(id) => market.cancel(tx, me, id).await.map(drop),
            Change::Expire(id) => market.invoice_expired(tx, id).await,
            Change::End(id) => market.end_metered(tx, me, id).await.map(drop),
        }
    })
    .unwrap();
}

/// Whether somebody waits for what is sold, as he does for a close, before he has written to anything else.
async fn waits_first(w: &Arc<World>, me: AccountId, what: Change) -> bool {
    // Of who waits and writes to what is sold: the other tables that he writes to.
    const WROTE: &str = "SELECT COUNT(DISTINCT w.pid) AS waiting, COUNT(h.pid) AS wrote FROM pg_locks w
        JOIN pg_locks g ON g.pid = w.pid AND g.granted AND g.mode = 'RowExclusiveLock'
            AND g.relation = 'market_capacity'::regclass
        LEFT JOIN pg_locks h ON h.pid = w.pid AND h.granted AND h.mode = 'RowExclusiveLock' AND h.relation IN (
            'market_contracts'::regclass, 'market_quotes'::regclass, 'market_metered'::regclass,
            'market_holds'::regclass, 'ledger_head'::regclass)
        WHERE NOT w.granted";
    let mut sold = w.store.begin().await.unwrap();
    if sold.engine() == Engine::Sqlite {
        // A writer is alone there.
        sold.rollback().await.unwrap();
        change(w.clone(), me, what).await;
        return true;
    }
    sold.execute("UPDATE market_capacity SET version = version", &[]).await.unwrap();
    let changes = tokio::spawn(change(w.clone(), me, what));
    let is_first = loop {
        if changes.is_finished() {
            break false;
        }
        let mut tx = w.store.read().await.unwrap();
        let row = tx.fetch_one(WROTE, &[]).await.unwrap();
        tx.rollback().await.unwrap();
        if row.get::<i64>("waiting").unwrap() > 0 {
            break row.get::<i64>("wrote").unwrap() == 0;
        }
        tokio::task::yield_now().await;
    };
    sold.rollback().await.unwrap();
    changes.await.unwrap();
    is_first
}

async fn whoever_changes_a_sale_waits_for_a_close_before_writing_anything(store: Store) {
    let w = world(store, 20_000).await;
    let mut leases = Vec::new();
    for n in 1..=3 {
        leases.push(w.lease(someone(n), 500, 6).await);
    }
    w.epoch_at(20_000).await;
    w.epoch_at(20_000).await;
    let market = &w.market;
    let mut renewals = Vec::new();
    for n in 1..=3_u8 {
        let (me, lease) = (someone(n), leases[usize::from(n) - 1]);
        renewals.push(market.quote_renewal(me, lease, 6).await.unwrap().id);
    }
    let mut next = Vec::new();
    for n in 2..=3_u8 {
        let (me, quote) = (someone(n), renewals[usize::from(n) - 1]);
        let bought = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote).await });
        next.push(bought.unwrap().contract);
    }
    let [unpaid, paid, gone] = [4, 5, 6].map(someone);
    let contracts = [
        buy(&w, unpaid, "lease").await.unwrap(),
        buy(&w, paid, "lease").await.unwrap(),
        buy(&w, gone, "lease").await.unwrap(),
    ];
    w.fund(paid, 1_000).await;
    let now = w.clock_now();
    transact!(w.store, tx -> Result<_> => { market.invoice_paid(tx, contracts[1], now).await })
        .unwrap();
    w.fund(someone(7), 1_000).await;
    let by_meter = start(&w, someone(7)).await.unwrap();
    let mut late = Vec::new();
    for (me, what) in [
        (someone(1), Change::Renew(renewals[0])),
        (someone(2), Change::Cancel(next[0])),
        (someone(3), Change::Expire(next[1])),
        (unpaid, Change::Cancel(contracts[0])),
        (paid, Change::Cancel(contracts[1])),
        (gone, Change::Expire(contracts[2])),
        (someone(7), Change::End(by_meter)),
    ] {
        if !waits_first(&w, me, what).await {
            late.push(what);
        }
    }
    assert!(late.is_empty(), "they wait too late, or not at all: {late:?}");
    assert_eq!(w.state(unpaid, contracts[0]).await, ContractState::Cancelled);
    assert_eq!(w.state(gone, contracts[2]).await, ContractState::Expired);
    w.assert_all_sound().await;
}

laws! { races: [
    a_close_is_not_begun_again_because_a_renewal_is_bought_or_taken_back,
    a_close_is_not_begun_again_because_somebody_pays_meanwhile,
    a_close_is_not_begun_again_because_something_is_said_meanwhile,
    fifty_who_start_by_the_meter_never_oversell,
    fifty_buyers_of_fpps_never_oversell,
    fifty_of_all_kinds_never_oversell,
    closes_sales_settlements_and_cancellations_race_and_all_come_through,
    whoever_changes_a_sale_waits_for_a_close_before_writing_anything,
] }
