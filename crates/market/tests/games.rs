//! Games that a buyer or an operator could play, each shown not to pay, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::{Account, Entry, post};
use gruve_market::units::{ONE_BLOCK, units_of};
use gruve_market::{
    Accountant, ActKind, ChainBlock, Choice, ContractState, MarketConfig, MarketError, NoticeKind,
    Paid, PlanLife, PriceSourceConfig, Result, Unprofitable,
};
use gruve_sharelog::{Options, Owner, Record, ShareLog};
use gruve_store::testing::TestDir;
use gruve_store::{Store, laws, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, Clock as _, ContractId, EpochNumber, Hashes, Hashrate,
    LaneId, QuoteId, Timestamp, mul_div_floor,
};
use world::{BITS, World, btc, lane, refused, someone};

/// An epoch's work at a rate of one hash per second.
const EPOCH: u128 = world::EPOCH_SECS as u128;
/// What a block pays.
const REWARD: i64 = 5_000_000_000;

async fn order(w: &World, who: AccountId, quote: QuoteId) -> Result<ContractId> {
    transact!(w.store, tx -> Result<_> => {
        w.market.buy(tx, who, quote).await.map(|p| p.contract)
    })
}

/// A second lane of the same algorithm.
fn other_lane() -> LaneId {
    "other".parse().unwrap()
}

fn two_lanes() -> MarketConfig {
    let mut config = world::config();
    let mut other = config.lanes[0].clone();
    (other.lane, other.asset) = (other_lane(), Asset::Ltc);
    config.lanes.push(other);
    config
}

/// The second lane's log.
struct Other {
    log: ShareLog,
    _dir: TestDir,
}

impl Other {
    fn new() -> Other {
        let dir = TestDir::new();
        let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
        Other { log, _dir: dir }
    }

    /// One epoch with these house rates here and there, closed on both.
    async fn epoch(&self, w: &World, here: u64, there: u64) -> EpochNumber {
        let epoch = w.now();
        self.log.append(&[Record::Job(world::job_record(epoch, BITS))]).unwrap();
        let work = there * world::EPOCH_SECS;
        let classes = (0..64u8).filter(|k| work >> k & 1 == 1);
        let shares: Vec<_> = classes.map(|k| w.share(epoch, Owner::House, k, BITS)).collect();
        self.log.append_shares(&shares, &mut Vec::new()).unwrap();
        w.epoch_at(here).await;
        self.log.seal(epoch, w.clock.now()).unwrap();
        let accountant = Accountant::new(w.market.clone());
        accountant.catch_up(&other_lane(), &self.log).await.unwrap();
        epoch
    }
}

/// A block that is found in the running epoch, matures, and is settled with the next two.
async fn a_block_pays(w: &World, here: u64, height: u64) {
    let hash = w.find_block(height);
    w.see(hash, height, REWARD).await;
    w.height(height + world::MATURITY).await;
    w.epoch_at(here).await;
    w.epoch_at(here).await;
}

/// What this work would have earned of a block in an underfilled window, after the plan's two percent.
fn would_have_earned(work: u128) -> i64 {
    let units = units_of(Hashes(work), BITS).unwrap();
    let reward = u128::try_from(REWARD).unwrap();
    let (gross, _) = mul_div_floor(reward, units, 8 * ONE_BLOCK).unwrap();
    i64::try_from(gross * 98 / 100).unwrap()
}

fn near(a: i64, b: i64) -> bool {
    a.abs_diff(b) <= 2
}

async fn buying_just_after_a_block_is_seen_earns_nothing_of_it(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let (me, before) = (someone(1), someone(2));
    let theirs = w.lease(before, 300, 6).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    // The block is known; its epoch still runs, and its work is still being done.
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    let mine = w.lease(me, 700, 3).await;
    for _ in 0..4 {
        w.epoch_at(1_000).await;
    }
    w.height(105).await;
    w.epoch_at(1_000).await;
    assert_eq!(w.state(me, mine).await, ContractState::Completed);
    assert_eq!(w.view(me, mine).await.earned, Accrual::ZERO);
    assert!(w.view(before, theirs).await.credited.minor > 0, "who had worked before it");
    w.assert_all_sound().await;
}

async fn a_quote_does_not_outlive_a_retarget(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let quote = async || w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap().id;
    // By the jobs: the epoch's last one is for another target.
    let stale = quote().await;
    w.job(w.now(), 0x1e07_ffff);
    w.epoch_at(1_000).await;
    let e = refused(order(&w, me, stale).await);
    assert!(matches!(e, MarketError::QuoteVoid { what: "the network's difficulty" }), "{e}");
    // By the chain's newest block, before any epoch has closed.
    let block = |height, work| ChainBlock {
        height,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(work),
        names_uncles: false,
        subsidy: 1,
        fees: 0,
    };
    let connect = async |b: ChainBlock| {
        transact!(w.store, tx -> Result<()> => {
            w.market.chain_block(tx, &lane(), Asset::Btc, &b).await
        })
        .unwrap();
    };
    connect(block(1, 1_000)).await;
    let stale = quote().await;
    connect(block(2, 1_000)).await;
    let fresh = quote().await;
    connect(block(3, 999)).await;
    for void in [stale, fresh] {
        assert!(matches!(order(&w, me, void).await, Err(MarketError::QuoteVoid { .. })));
    }
    order(&w, me, quote().await).await.unwrap();
    w.assert_sound().await;
}

async fn work_before_a_retarget_or_halving_is_paid_by_its_own_difficulty_and_no_more(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let (early, late) = (someone(1), someone(2));
    let harder = 0x1e07_ffff;
    let before = w.lease(early, 1_000, 3).await;
    for _ in 0..4 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(w.state(early, before).await, ContractState::Completed);
    // The same work from here on, at twice the difficulty: whoever bought before gained nothing per unit.
    let after = w.lease(late, 1_000, 3).await;
    w.epoch_at(0).await;
    for _ in 0..3 {
        w.job(w.now(), harder);
        let epoch = w.now();
        let work = 1_000 * world::EPOCH_SECS;
        for k in (0..64u8).filter(|k| work >> k & 1 == 1) {
            w.work_in(epoch, Owner::House, k, 1, harder);
        }
        w.seal();
        w.account().await;
    }
    // The subsidy has halved since; the block pays all units of its window alike.
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD / 2).await;
    w.epoch_at(0).await;
    let earned = async |who, c| w.view(who, c).await.earned.split().unwrap().0;
    let (a, b) = (earned(early, before).await, earned(late, after).await);
    let units = |bits| units_of(Hashes(3_000 * EPOCH), bits).unwrap();
    let pays = |bits| {
        let half = u128::try_from(REWARD / 2).unwrap();
        i64::try_from(mul_div_floor(half, units(bits), 8 * ONE_BLOCK).unwrap().0).unwrap()
    };
    assert!(near(a, pays(BITS)) && near(b, pays(harder)), "{a} {b}");
    w.assert_all_sound().await;
}

/// The house with two sources of Bitcoin's price, both of which must speak.
fn priced() -> MarketConfig {
    let mut config = world::config();
    let source = |name: &str| PriceSourceConfig {
        name: name.into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    };
    config.prices.sources = vec![source("desk"), source("mirror")];
    config.prices.quorum = 2;
    config.prices.staleness_secs = 30;
    config
}

/// Both sources say this many dollars, now.
async fn price(w: &World, dollars: i64) {
    for source in ["desk", "mirror"] {
        let now = w.clock.now();
        w.market.report_price(source, Asset::Btc, now, dollars * 1_000_000).await.unwrap();
    }
}

async fn a_quote_does_not_outlive_a_move_of_the_price(store: Store) {
    let w = World::with(store, priced()).await;
    w.prove(1_000).await;
    let me = someone(1);
    price(&w, 50_000).await;
    w.epoch_at(1_000).await;
    let quote = async || w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap().id;
    let (stale, steady) = (quote().await, quote().await);
    price(&w, 50_900).await;
    w.epoch_at(1_000).await;
    order(&w, me, steady).await.unwrap();
    price(&w, 52_000).await;
    w.epoch_at(1_000).await;
    let e = refused(order(&w, me, stale).await);
    assert!(matches!(e, MarketError::QuoteVoid { what: "the coin's price" }), "{e}");
    order(&w, me, quote().await).await.unwrap();
    w.assert_sound().await;
}

async fn holding_quotes_without_paying_holds_nothing(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    for n in 1..=10u8 {
        for _ in 0..20 {
            w.market.quote(someone(n), "lease", Hashrate(1_000), 3).await.unwrap();
        }
        let e = w.market.quote(someone(n), "lease", Hashrate(100), 3).await;
        assert!(matches!(refused(e), MarketError::TooMany { .. }));
    }
    let me = someone(99);
    let c = w.lease(me, 1_000, 3).await;
    assert_eq!(w.state(me, c).await, ContractState::Starting);
    w.assert_sound().await;
}

async fn moving_machines_while_leases_are_short_costs_what_they_would_have_earned(store: Store) {
    let (w, other) = (World::with(store, two_lanes()).await, Other::new());
    for _ in 0..4 {
        other.epoch(&w, 1_000, 1_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    other.epoch(&w, 1_000, 1_000).await;
    other.epoch(&w, 1_000, 1_000).await;
    let moved = other.epoch(&w, 400, 1_600).await;
    let view = w.view(me, c).await;
    assert_eq!((view.life.undecided, view.shortfall), (Hashes(600 * EPOCH), Hashes(600 * EPOCH)));
    let short = w.market.short_epochs(&lane(), 10).await.unwrap();
    assert_eq!(
        (short.len(), short[0].epoch, short[0].caused),
        (1, moved, Some(Hashes(600 * EPOCH)))
    );
    let mut notices = w.market.notices(me, Some(c), 10).await.unwrap();
    notices.retain(|n| n.kind != NoticeKind::EndNear);
    assert_eq!((notices.len(), notices[0].kind), (1, NoticeKind::OperatorShortfall));
    // Making it good at once, before the customer has spoken, takes the choice from nobody.
    other.epoch(&w, 2_000, 1_000).await;
    assert_eq!(w.view(me, c).await.life.undecided, Hashes(600 * EPOCH));
    let choose = async |who, choice| w.market.choose(who, c, moved, choice).await;
    let stranger = refused(choose(someone(2), Choice::Earnings).await);
    assert!(matches!(stranger, MarketError::UnknownContract));
    for _ in 0..2 {
        choose(me, Choice::Earnings).await.unwrap();
    }
    let decided = refused(choose(me, Choice::Later).await);
    assert!(matches!(decided, MarketError::NothingToDecide));
    a_block_pays(&w, 1_000, 100).await;
    let owed = &w.market.owed(me, c, 10).await.unwrap()[0];
    let paid = owed.paid[0].minor;
    assert!(near(paid, would_have_earned(600 * EPOCH)), "{paid}");
    // From the operator's own pocket, and once.
    assert_eq!(w.holds(&Account::Loss).await, paid);
    w.epoch_at(1_000).await;
    assert_eq!(w.holds(&Account::Loss).await, paid);
    w.epoch_at(1_000).await;
    let view = w.view(me, c).await;
    assert_eq!(view.state, ContractState::Completed);
    assert_eq!(view.delivered.0 + 600 * EPOCH, view.bought.0);
    w.assert_all_sound().await;
}

async fn idling_machines_by_the_operators_own_record_leaves_the_customer_the_choice(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    w.epoch_at(1_000).await;
    let from = w.now();
    let act = async |rate, from, until| {
        w.market
            .record_act(&lane(), ActKind::Idle, Hashrate(rate), (from, until), "cheap hashes")
            .await
    };
    assert!(matches!(refused(act(0, from, None).await), MarketError::BadAct(_)));
    assert!(matches!(refused(act(9, from, Some(from)).await), MarketError::BadAct(_)));
    assert!(matches!(refused(act(9, from.back(1), None).await), MarketError::BadAct(_)));
    let id = act(700, from, None).await.unwrap();
    w.epoch_at(500).await;
    // No more than was missing.
    assert_eq!(w.view(me, c).await.life.undecided, Hashes(500 * EPOCH));
    w.market.end_act(&lane(), id, w.now()).await.unwrap();
    assert!(matches!(
        refused(w.market.end_act(&lane(), id, w.now()).await),
        MarketError::BadAct(_)
    ));
    w.market.choose(me, c, from, Choice::Later).await.unwrap();
    // The hashes it is: out of the surplus, as any shortfall.
    w.epoch_at(1_500).await;
    let view = w.view(me, c).await;
    assert_eq!(
        (view.life.undecided, view.epochs[0].made_good),
        (Hashes::ZERO, Hashes(500 * EPOCH))
    );
    assert_eq!(w.holds(&Account::Loss).await, 0);
    w.assert_all_sound().await;
}

async fn the_operators_own_contracts_take_nothing_of_what_customers_are_compensated(store: Store) {
    let mut config = world::config();
    config.operator_accounts = [someone(9)].into();
    let w = World::with(store, config).await;
    w.prove(2_000).await;
    let (me, own) = (someone(1), someone(9));
    let (c, d) = (w.lease(me, 1_000, 3).await, w.lease(own, 1_000, 3).await);
    w.epoch_at(2_000).await;
    let act = (w.now(), None);
    w.market.record_act(&lane(), ActKind::Idle, Hashrate(1_000), act, "").await.unwrap();
    w.epoch_at(500).await;
    assert_eq!(w.view(me, c).await.life.undecided, Hashes(500 * EPOCH));
    let view = w.view(own, d).await;
    assert_eq!((view.life.undecided, view.delivered), (Hashes::ZERO, Hashes::ZERO));
    let short = w.market.short_epochs(&lane(), 1).await.unwrap()[0];
    assert_eq!((short.missing, short.caused), (Hashes(500 * EPOCH), Some(Hashes(500 * EPOCH))));
    w.assert_all_sound().await;
}

async fn who_does_not_choose_gets_the_hashes_later_and_at_the_hard_end_his_refund(store: Store) {
    let mut config = world::config();
    config.plans[0].life.choice_epochs = 3;
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    let act = (w.now(), None);
    w.market.record_act(&lane(), ActKind::Move, Hashrate(1_000), act, "").await.unwrap();
    // Idle from its first epoch to its hard end and beyond: six epochs.
    for _ in 0..6 {
        w.epoch_at(0).await;
    }
    // What was missed at the end can still be decided about; the contract waits for that.
    assert_eq!(w.state(me, c).await, ContractState::Active);
    for _ in 0..4 {
        w.epoch_at(0).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.refunded), (ContractState::Refunded, btc(300)));
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 300);
    w.assert_all_sound().await;
}

async fn a_lane_that_stands_still_keeps_no_lease_open_and_gains_the_operator_nothing(store: Store) {
    let mut config = two_lanes();
    config.plans[0].life.choice_epochs = 3;
    let (w, other) = (World::with(store, config).await, Other::new());
    for _ in 0..4 {
        other.epoch(&w, 1_000, 1_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    other.epoch(&w, 1_000, 1_000).await;
    // From here on the other lane closes nothing, and this one has no work.
    let first = w.epoch_at(0).await;
    let owed = async || w.market.owed(me, c, 10).await.unwrap().pop().unwrap();
    for _ in 0..2 {
        w.epoch_at(0).await;
        assert_eq!(owed().await.state, "open");
    }
    w.epoch_at(0).await;
    let line = owed().await;
    assert_eq!((line.epoch, line.state.as_str()), (first, "undecided"));
    assert_eq!(line.hashes, Hashes(1_000 * EPOCH), "as if all of it had been his doing");
    // Six epochs to the hard end, three of waiting, three to choose in.
    for _ in 4..13 {
        w.epoch_at(0).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.refunded), (ContractState::Refunded, view.price));
    w.assert_all_sound().await;
}

async fn an_outage_is_nobodys_doing(store: Store) {
    let (w, other) = (World::with(store, two_lanes()).await, Other::new());
    for _ in 0..4 {
        other.epoch(&w, 1_000, 1_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    other.epoch(&w, 1_000, 1_000).await;
    // The site is without power: both lanes fall.
    other.epoch(&w, 300, 200).await;
    let view = w.view(me, c).await;
    assert_eq!((view.life.undecided, view.shortfall), (Hashes::ZERO, Hashes(700 * EPOCH)));
    let short = w.market.short_epochs(&lane(), 10).await.unwrap();
    assert_eq!(short[0].caused, Some(Hashes::ZERO));
    assert!(w.market.notices(me, None, 10).await.unwrap().is_empty());
    // It is made good as ever.
    other.epoch(&w, 1_500, 1_000).await;
    assert_eq!(w.view(me, c).await.shortfall, Hashes(200 * EPOCH));
    w.assert_all_sound().await;
}

async fn a_refund_is_in_the_asset_paid_whatever_the_prices_do(store: Store) {
    let mut config = priced();
    config.plans[0].pay_asset = Some(Asset::Ltc);
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    price(&w, 50_000).await;
    let me = someone(1);
    let c = w.buy(me, 1_000, 3).await.unwrap();
    let due = w.view(me, c).await.price;
    assert_eq!(due, Amount::new(Asset::Ltc, 300));
    let pay_in = Entry::transfer(
        "fund/ltc",
        "pay-in",
        w.clock.now(),
        Account::ChainHot,
        Account::CustomerAvailable(me),
        due,
    );
    transact!(w.store, tx => { post(tx, &pay_in).await }).unwrap();
    assert!(matches!(w.pay(c).await, Paid::Starts(_)));
    w.epoch_at(1_000).await;
    // A third of it is delivered; then the coin it earns falls to a fiftieth.
    w.epoch_at(1_000).await;
    price(&w, 1_000).await;
    for _ in 0..5 {
        w.epoch_at(0).await;
    }
    let view = w.view(me, c).await;
    assert_eq!(
        (view.state, view.refunded),
        (ContractState::Refunded, Amount::new(Asset::Ltc, 200))
    );
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 0, "nothing in the other coin");
    let mut tx = w.store.read().await.unwrap();
    let ltc = gruve_ledger::balance(&mut tx, &Account::CustomerAvailable(me), Asset::Ltc).await;
    assert_eq!(ltc.unwrap().minor, 200);
}

async fn prices_that_are_none_and_sources_that_are_not_configured_are_refused(store: Store) {
    let w = World::with(store, priced()).await;
    let now = w.clock.now();
    let tell = async |source: &str, at: Timestamp, micro: i64| {
        w.market.report_price(source, Asset::Btc, at, micro).await
    };
    for (source, at, micro) in [
        ("stranger", now, 5),
        ("desk", now, 0),
        ("desk", now, -5),
        ("desk", now, i64::MAX),
        ("desk", Timestamp(now.0 + 3_600_000_000), 5),
    ] {
        let e = refused(tell(source, at, micro).await);
        assert!(matches!(e, MarketError::BadPrice(_)), "{source} {micro}: {e}");
    }
    // One of two is no quorum: there is no price.
    tell("desk", now, 5).await.unwrap();
    w.epoch_at(0).await;
    assert!(w.market.prices(Asset::Btc, 9).await.unwrap().is_empty());
    // The first word of a source for an instant stands.
    tell("desk", now, 9).await.unwrap();
    tell("mirror", now, 7).await.unwrap();
    w.epoch_at(0).await;
    assert_eq!(w.market.prices(Asset::Btc, 9).await.unwrap()[0].usd_micro, 5);
}

async fn one_account_that_paid_once_cannot_hold_everything_unpaid(store: Store) {
    let mut config = world::config();
    config.quotes.held_per_account_bps = Bps::new(7_500).unwrap();
    let w = World::with(store, config).await;
    w.prove(10_000).await;
    let me = someone(1);
    w.lease(me, 2_000, 3).await;
    for _ in 0..3 {
        w.buy(me, 2_000, 3).await.unwrap();
    }
    assert!(matches!(refused(w.buy(me, 100, 3).await), MarketError::HeldByYou { .. }));
    w.lease(someone(2), 1_500, 3).await;
    w.assert_sound().await;
}

/// A plan that costs dollars, and what of it is beside the price.
fn costly(unprofitable: Unprofitable) -> MarketConfig {
    let mut config = priced();
    config.plans[0].life = PlanLife {
        unprofitable,
        hysteresis_bps: Bps::new(500).unwrap(),
        notice_epochs: 2,
        // A dollar for a hash of the test's little chain.
        maintenance_usd_micro_per_th_day: 1_000_000_000_000,
        energy_usd_micro_per_th_day: 0,
        choice_epochs: 144,
        minimum_payout_minor: 0,
    };
    config.plans[0].fee_bps = Bps::ZERO;
    config
}

/// One block of the chain that a TH·day's earnings are reckoned by: some four coins a TH·day.
async fn chain_pays(w: &World) {
    let block = ChainBlock {
        height: 1,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(1 << 60),
        names_uncles: false,
        subsidy: REWARD,
        fees: 0,
    };
    transact!(w.store, tx -> Result<()> => {
        w.market.chain_block(tx, &lane(), Asset::Btc, &block).await
    })
    .unwrap();
}

/// One epoch with a price at its beginning.
async fn priced_epoch(w: &World, rate: u64, dollars: i64) -> EpochNumber {
    price(w, dollars).await;
    w.epoch_at(rate).await
}

async fn a_pause_is_announced_stops_the_clock_and_gives_the_operator_nothing(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    // The price falls: what was recorded one settlement ago decides.
    priced_epoch(&w, 1_000, 1).await;
    let decided = priced_epoch(&w, 1_000, 1).await;
    let view = w.view(me, c).await;
    assert_eq!(
        view.life.paused_since,
        Some(EpochNumber(decided.0 + 3)),
        "after two epochs' notice"
    );
    assert_eq!(view.delivered, Hashes(1_000 * EPOCH));
    let before = view.hard_end.unwrap();
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(w.state(me, c).await, ContractState::Active);
    assert_eq!(w.view(me, c).await.delivered, Hashes(2_000 * EPOCH), "during the notice it runs");
    // Its last epoch is the one before the pause, were it not for the operator's machines standing still.
    priced_epoch(&w, 0, 1).await;
    let kinds = async || -> Vec<NoticeKind> {
        w.market.notices(me, Some(c), 10).await.unwrap().iter().map(|n| n.kind).collect()
    };
    assert!(kinds().await.contains(&NoticeKind::PauseAhead));
    for _ in 0..5 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.life.paused_epochs), (ContractState::Active, 5));
    assert_eq!(view.hard_end, Some(EpochNumber(before.0 + 5)), "its end stands still, too");
    assert_eq!(view.delivered, Hashes(2_000 * EPOCH));
    assert!(kinds().await.contains(&NoticeKind::Paused));
    // The house worked on: what that earns is the customer's, and not the operator's surplus.
    let owed = w.market.owed(me, c, 10).await.unwrap();
    assert_eq!(
        (owed.len(), owed[0].kind.as_str(), owed[0].hashes),
        (5, "paused", Hashes(1_000 * EPOCH))
    );
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.height(100 + world::MATURITY).await;
    priced_epoch(&w, 0, 1).await;
    priced_epoch(&w, 0, 1).await;
    let owed = w.market.owed(me, c, 10).await.unwrap();
    let paid: i64 = owed.iter().flat_map(|o| &o.paid).map(|a| a.minor).sum();
    let worth = would_have_earned(5_000 * EPOCH) * 100 / 98;
    assert!(paid.abs_diff(worth) <= 10, "{paid} of {worth}");
    // It pays again: the contract runs, and gets the rest of its work.
    for _ in 0..2 {
        priced_epoch(&w, 0, 1_000_000).await;
    }
    assert_eq!(w.view(me, c).await.life.paused_since, None);
    priced_epoch(&w, 1_500, 1_000_000).await;
    assert!(w.view(me, c).await.delivered > Hashes(2_000 * EPOCH));
    assert!(kinds().await.contains(&NoticeKind::Resumed));
    w.assert_all_sound().await;
}

async fn the_customer_may_have_an_unprofitable_contract_run(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    let keep = async |who, keep| w.market.keep_running(who, c, keep).await;
    // Nothing is decided about a contract before its first epoch.
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(w.view(me, c).await.life.paused_since, None);
    priced_epoch(&w, 1_000, 1).await;
    let announced = w.view(me, c).await.life.paused_since;
    assert!(announced.is_some());
    assert!(matches!(refused(keep(someone(2), true).await), MarketError::UnknownContract));
    for _ in 0..2 {
        keep(me, true).await.unwrap();
    }
    for n in 2..=6u128 {
        priced_epoch(&w, 1_000, 1).await;
        let view = w.view(me, c).await;
        assert_eq!((view.life.paused_since, view.delivered), (None, Hashes(n * 1_000 * EPOCH)));
    }
    let decisions = w.market.pause_decisions(c, 10).await.unwrap();
    assert_eq!(decisions[0].decision, "override");
    assert!(decisions[0].earns_micro < decisions[0].costs_micro);
    w.assert_all_sound().await;
}

async fn a_plan_that_runs_is_never_paused_and_nothing_is_ever_ended_for_it(store: Store) {
    let w = World::with(store, costly(Unprofitable::Run)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1).await;
    }
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    let e = refused(w.market.keep_running(me, c, true).await);
    assert!(matches!(e, MarketError::WrongState { .. }), "{e}");
    assert!(w.market.pause_decisions(c, 10).await.unwrap().is_empty());
    w.assert_all_sound().await;
}

async fn settling_late_does_not_pick_the_price(store: Store) {
    let mut config = costly(Unprofitable::Run);
    config.prices.staleness_secs = 15;
    let w = World::with(store, config).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 50_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    priced_epoch(&w, 1_000, 50_000).await;
    priced_epoch(&w, 1_000, 50_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.height(100 + world::MATURITY).await;
    // The sources are silent: the settlement's instant has no price, and the contract waits.
    w.epoch_at(1_000).await;
    let dues = w.market.usd_dues(c, 10).await.unwrap();
    let prices: Vec<_> = dues.iter().map(|due| due.usd_micro).collect();
    assert_eq!(prices, [None, Some(50_000_000_000)], "newest first");
    assert_eq!(w.view(me, c).await.settled, btc(0));
    // The coin has become dear when it is settled. What was missing is told for the instant that was scheduled.
    let late = dues[0].instant;
    for source in ["desk", "mirror"] {
        let at = Timestamp(late.0 - 1_000_000);
        w.market.report_price(source, Asset::Btc, at, 40_000_000_000).await.unwrap();
    }
    w.clock.set(Timestamp(late.0 + 1_000_000));
    priced_epoch(&w, 0, 900_000).await;
    let dues = w.market.usd_dues(c, 10).await.unwrap();
    let prices: Vec<_> = dues.iter().map(|due| due.usd_micro).collect();
    assert_eq!(prices, [Some(40_000_000_000), Some(50_000_000_000)]);
    assert!(w.view(me, c).await.settled.minor > 0);
    // And a price that is recorded stays, whatever is told for its time afterwards.
    w.market.report_price("desk", Asset::Btc, Timestamp(late.0 - 1), 1_000_000).await.unwrap();
    w.market.report_price("mirror", Asset::Btc, Timestamp(late.0 - 1), 1_000_000).await.unwrap();
    priced_epoch(&w, 0, 900_000).await;
    let recorded = w.market.prices(Asset::Btc, 100).await.unwrap();
    let then = recorded.iter().find(|p| p.instant == late).unwrap();
    assert_eq!(then.usd_micro, 40_000_000_000);
    w.assert_all_sound().await;
}

laws! {
    games: [
        a_pause_is_announced_stops_the_clock_and_gives_the_operator_nothing,
        the_customer_may_have_an_unprofitable_contract_run,
        a_plan_that_runs_is_never_paused_and_nothing_is_ever_ended_for_it,
        settling_late_does_not_pick_the_price,
        buying_just_after_a_block_is_seen_earns_nothing_of_it,
        a_quote_does_not_outlive_a_retarget,
        work_before_a_retarget_or_halving_is_paid_by_its_own_difficulty_and_no_more,
        a_quote_does_not_outlive_a_move_of_the_price,
        holding_quotes_without_paying_holds_nothing,
        one_account_that_paid_once_cannot_hold_everything_unpaid,
        moving_machines_while_leases_are_short_costs_what_they_would_have_earned,
        idling_machines_by_the_operators_own_record_leaves_the_customer_the_choice,
        the_operators_own_contracts_take_nothing_of_what_customers_are_compensated,
        who_does_not_choose_gets_the_hashes_later_and_at_the_hard_end_his_refund,
        an_outage_is_nobodys_doing,
        a_lane_that_stands_still_keeps_no_lease_open_and_gains_the_operator_nothing,
        a_refund_is_in_the_asset_paid_whatever_the_prices_do,
        prices_that_are_none_and_sources_that_are_not_configured_are_refused,
    ]
}
