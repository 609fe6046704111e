//! Games that a buyer or an operator could play, each shown not to pay, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod prices;
mod world;

use gruve_ledger::{Account, Entry, post};
use gruve_market::units::{ONE_BLOCK, units_of};
use gruve_market::{
    Accountant, ActKind, ChainBlock, Choice, ContractState, MarketConfig, MarketError, NoticeKind,
    Paid, PlanConfig, PlanKind, Result,
};
use gruve_sharelog::{Options, Owner, Record, ShareLog};
use gruve_store::testing::TestDir;
use gruve_store::{Store, laws, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, Clock as _, ContractId, EpochNumber, Hashes, Hashrate,
    LaneId, QuoteId, Timestamp, mul_div_floor,
};
use prices::{EPOCH, REWARD, near, price, priced, would_have_earned};
use world::{BITS, World, btc, lane, refused, someone};

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

async fn starting_by_the_meter_just_after_a_block_is_seen_earns_nothing_of_it(store: Store) {
    let mut config = world::config();
    config.plans.push(PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..world::plan()
    });
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let (me, before, market) = (someone(1), someone(2), &w.market);
    let theirs = w.lease(before, 300, 6).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.fund(me, 1_000).await;
    let started = transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, me, "meter", Hashrate(700), None).await
    });
    let mine = started.unwrap().contract;
    // The block's own epoch, and one of work, before it is taken out again.
    w.epoch_at(1_000).await;
    transact!(w.store, tx -> Result<_> => { market.end_metered(tx, me, mine).await }).unwrap();
    for _ in 0..3 {
        w.epoch_at(1_000).await;
    }
    w.height(105).await;
    w.epoch_at(1_000).await;
    let view = market.metered(me, mine).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes(700 * EPOCH), btc(70)));
    assert_eq!(view.earnings[0].earned, Accrual::ZERO);
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

laws! {
    games: [
        buying_just_after_a_block_is_seen_earns_nothing_of_it,
        starting_by_the_meter_just_after_a_block_is_seen_earns_nothing_of_it,
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
