//! Contracts that do not pay: paused, run on, never ended for it; and prices of late settlements. On both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod prices;
mod world;

use gruve_ledger::Account;
use gruve_market::{
    ChainBlock, ContractState, MarketConfig, MarketError, NoticeKind, Paid, PaymentDispute,
    PlanLife, Result, Unprofitable,
};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Asset, Bps, ContractId, EpochNumber, Hashes, Timestamp};
use prices::{EPOCH, REWARD, price, priced, would_have_earned};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use world::{World, btc, lane, refused, someone, start_of};

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

/// What was paid of five epochs' paused work under a plan that names the most a plan may name for energy, so much being measured,
/// and what that work earned. A coin is worth a millionth of a dollar, so that energy counts.
async fn paid_of_a_pause(store: Store, measured: i64) -> (i64, i64) {
    let mut config = costly(Unprofitable::Pause);
    config.plans[0].life.energy_usd_micro_per_th_day = 1_000_000_000_000;
    let w = World::with(store, config).await;
    w.energy.store(measured, Ordering::SeqCst);
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 20).await;
    let cheap = async || {
        for source in ["desk", "mirror"] {
            let now = gruve_units::Clock::now(w.clock.as_ref());
            w.market.report_price(source, Asset::Btc, now, 1).await.unwrap();
        }
    };
    for _ in 0..10 {
        cheap().await;
        w.epoch_at(1_000).await;
    }
    let owed = w.market.owed(me, c, 20).await.unwrap();
    let work: u128 = owed.iter().map(|o| o.hashes.0).sum();
    assert!(work > 0, "it was paused");
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.height(100 + world::MATURITY).await;
    for _ in 0..2 {
        cheap().await;
        w.epoch_at(0).await;
    }
    let owed = w.market.owed(me, c, 20).await.unwrap();
    assert_eq!(owed.iter().map(|o| o.hashes.0).sum::<u128>(), work);
    w.assert_all_sound().await;
    let paid = owed.iter().flat_map(|o| &o.paid).map(|a| a.minor).sum();
    (paid, would_have_earned(work) * 100 / 98)
}

async fn what_was_not_measured_is_not_kept_whatever_the_plan_says(store: Store) {
    let (paid, worth) = paid_of_a_pause(store, -1).await;
    assert!(paid > 0 && paid.abs_diff(worth) <= 20, "{paid} of {worth}");
}

async fn what_was_measured_is_kept_and_no_more_than_the_plan_says(store: Store) {
    // A tenth of the plan's figure: 10^11 coins for 8.64·10^16 hashes, 115.7 minor units a hash.
    let (paid, worth) = paid_of_a_pause(store, 100_000_000_000).await;
    let earned = would_have_earned(1_000_000) / 1_000 * 100 / 98;
    let kept = worth * 115_741 / earned;
    assert!(
        paid.abs_diff(worth - kept).saturating_mul(1_000) < worth.unsigned_abs(),
        "{paid} of {worth} less {kept}"
    );
}

async fn energy_above_all_that_was_earned_leaves_nothing_and_no_debt(store: Store) {
    let (paid, worth) = paid_of_a_pause(store, i64::MAX).await;
    assert!(paid == 0 && worth > 0, "{paid} of {worth}");
}

async fn energy_is_looked_up_once_for_an_epoch_however_many_were_paused_in_it(store: Store) {
    let mut config = costly(Unprofitable::Pause);
    config.plans[0].life.energy_usd_micro_per_th_day = 1_000_000_000_000;
    let w = World::with(store, config).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let mut leases = Vec::new();
    for n in 1..=2 {
        leases.push((someone(n), w.lease(someone(n), 500, 20).await));
    }
    for _ in 0..8 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let before = w.asked.load(Ordering::SeqCst);
    priced_epoch(&w, 1_000, 1).await;
    let asked = w.asked.load(Ordering::SeqCst) - before;
    let (mut rows, mut epochs) = (0, BTreeSet::new());
    for (who, id) in leases {
        for owed in w.market.owed(who, id, 20).await.unwrap() {
            rows += 1;
            epochs.insert(owed.epoch);
        }
    }
    let paused = epochs.len();
    assert!(paused > 0 && rows == 2 * paused, "{rows} of {paused}");
    assert!(asked > 0 && asked <= paused as u64, "{asked} times for {paused}");
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

/// A price that waits for its first epoch can be taken back whole: it may not stand still with a clock that does.
async fn a_renewal_that_is_paid_while_the_clock_stands_still_sets_it_going(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    for rate in [1_000, 1_000, 1_000, 0, 1_000] {
        priced_epoch(&w, rate, 1).await;
    }
    let paused = async || {
        let view = w.view(me, c).await;
        (view.life.paused_since.is_some(), view.life.paused_epochs, view.delivered)
    };
    let two = Hashes(2_000 * EPOCH);
    assert_eq!(paused().await, (true, 1, two));
    // A standing wish waits with the clock.
    w.fund(me, 10_000).await;
    w.market.wish(me, c, Some(10_000), false).await.unwrap();
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!((w.market.contracts(me).await.unwrap().len(), paused().await), (1, (true, 2, two)));
    w.market.wish(me, c, None, false).await.unwrap();
    // An order is no renewal yet, and lives for minutes only.
    let quote = w.market.quote_renewal(me, c, 3).await.unwrap().id;
    let market = &w.market;
    let next = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote).await }).unwrap();
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(paused().await, (true, 3, two));
    assert_eq!(w.pay(next.contract).await, Paid::Follows);
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(paused().await, (false, 4, two), "with the epoch that runs");
    assert_eq!(w.market.pause_decisions(c, 1).await.unwrap()[0].decision, "override");
    // It does not pay still, and goes on to its end, where the renewal begins.
    let last = priced_epoch(&w, 1_000, 1).await;
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    assert_eq!(w.view(me, next.contract).await.start_epoch, Some(last.next()));
    w.assert_all_sound().await;
}

async fn a_contract_whose_renewal_is_paid_is_not_paused_until_that_is_taken_back(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    priced_epoch(&w, 1_000, 1_000_000).await;
    priced_epoch(&w, 1_000, 1_000_000).await;
    w.fund(me, 10_000).await;
    let quote = w.market.quote_renewal(me, c, 6).await.unwrap().id;
    let market = &w.market;
    let next = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote).await }).unwrap();
    assert_eq!(w.pay(next.contract).await, Paid::Follows);
    for _ in 0..2 {
        priced_epoch(&w, 0, 1).await;
        assert_eq!(w.view(me, c).await.life.paused_since, None);
    }
    transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, next.contract).await }).unwrap();
    let told = priced_epoch(&w, 0, 1).await;
    assert_eq!(w.view(me, c).await.life.paused_since, Some(EpochNumber(told.0 + 3)));
    w.assert_all_sound().await;
}

/// The game: a price of today, to be taken back when the coin has become cheap and to be kept when it has become dear, for as long as
/// nothing pays. It lasts no longer than the work that was left when the renewal was paid for.
async fn buying_a_renewal_in_a_pause_does_not_pay(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    for _ in 0..6 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.life.paused_epochs, view.delivered), (2, Hashes(3_000 * EPOCH)));
    let quote = w.market.quote_renewal(me, c, 6).await.unwrap();
    w.fund(me, quote.price.minor).await;
    let market = &w.market;
    let next =
        transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote.id).await }).unwrap();
    assert_eq!(w.pay(next.contract).await, Paid::Follows);
    let take_back = async || transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, next.contract).await });
    // It goes on not to pay. With the pause's last epoch the work that is left begins, and then what was bought.
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1).await;
    }
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    let e = refused(take_back().await);
    assert!(matches!(e, MarketError::HasBegun), "{e}");
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 0);
    w.assert_all_sound().await;
}

/// The same game with a clock that the customer's bank stops.
async fn a_renewal_is_not_taken_back_once_the_contract_before_it_was_disputed(store: Store) {
    let w = World::with(store, costly(Unprofitable::Run)).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let quote = w.market.quote_renewal(me, c, 3).await.unwrap();
    w.fund(me, quote.price.minor).await;
    let market = &w.market;
    let next =
        transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote.id).await }).unwrap();
    assert_eq!(w.pay(next.contract).await, Paid::Follows);
    let take_back = async || transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, next.contract).await });
    say(&w, c, PaymentDispute::Open).await;
    for _ in 0..5 {
        w.epoch_at(1_000).await;
        assert!(matches!(refused(take_back().await), MarketError::WrongState { .. }));
    }
    say(&w, c, PaymentDispute::Won).await;
    assert!(matches!(refused(take_back().await), MarketError::WrongState { .. }), "nor then");
    for _ in 0..3 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    assert_eq!(w.state(me, next.contract).await, ContractState::Active);
    w.assert_all_sound().await;
}

async fn a_frozen_contract_is_not_renewed(store: Store) {
    let (w, me, c) = paused_while_frozen(store).await;
    let e = refused(w.market.quote_renewal(me, c, 3).await);
    assert!(matches!(e, MarketError::WrongState { state: "frozen" }), "{e}");
    w.fund(me, 10_000).await;
    w.market.keep_running(me, c, true).await.unwrap();
    w.market.wish(me, c, Some(10_000), false).await.unwrap();
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(w.market.contracts(me).await.unwrap().len(), 1);
    say(&w, c, PaymentDispute::Won).await;
    priced_epoch(&w, 1_000, 1).await;
    assert_eq!(w.market.contracts(me).await.unwrap().len(), 2, "as soon as it goes on");
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

/// A lease that does not pay any more, disputed before its pause begins; until that has.
async fn paused_while_frozen(store: Store) -> (World, AccountId, ContractId) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    priced_epoch(&w, 1_000, 1).await;
    let announced = priced_epoch(&w, 1_000, 1).await;
    let pause = w.view(me, c).await.life.paused_since;
    assert_eq!(pause, Some(EpochNumber(announced.0 + 3)));
    say(&w, c, PaymentDispute::Open).await;
    // One more is delivered, one is frozen alone, and in two the pause has begun as well.
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.life.paused_since, view.delivered), (pause, Hashes(2_000 * EPOCH)));
    (w, me, c)
}

async fn say(w: &World, id: ContractId, word: PaymentDispute) {
    let market = &w.market;
    let said = transact!(w.store, tx -> Result<_> => {
        market.payment_disputed(tx, id, "dp_1", word).await
    });
    said.unwrap();
}

/// What is told of a contract's pauses, and about which epochs, oldest first.
async fn told(w: &World, me: AccountId, c: ContractId) -> Vec<(NoticeKind, u64)> {
    let notices = w.market.notices(me, Some(c), 100).await.unwrap();
    let of_pause = [NoticeKind::Paused, NoticeKind::Resumed];
    let mut told: Vec<_> = notices.iter().map(|n| (n.kind, n.about)).collect();
    told.retain(|(kind, _)| of_pause.contains(kind));
    told.sort_by_key(|(_, about)| *about);
    told
}

async fn a_pause_that_begins_while_the_contract_is_frozen_is_told_when_it_is_thawed(store: Store) {
    let (w, me, c) = paused_while_frozen(store).await;
    assert_eq!(told(&w, me, c).await, [], "nothing is owed for it yet");
    assert_eq!(w.market.owed(me, c, 10).await.unwrap(), []);
    say(&w, c, PaymentDispute::Won).await;
    let last = priced_epoch(&w, 1_000, 1).await;
    let paused = (NoticeKind::Paused, last.next().0);
    assert_eq!(told(&w, me, c).await, [paused]);
    for n in 1..=3 {
        priced_epoch(&w, 1_000, 1).await;
        let owed = w.market.owed(me, c, 10).await.unwrap();
        assert_eq!((owed.len(), owed[0].hashes), (n, Hashes(1_000 * EPOCH)));
    }
    assert_eq!(told(&w, me, c).await, [paused], "once");
    // Disputed again, and thawed again: it is paused as before.
    let market = &w.market;
    for word in [PaymentDispute::Open, PaymentDispute::Won] {
        transact!(w.store, tx -> Result<_> => {
            market.payment_disputed(tx, c, "dp_2", word).await
        })
        .unwrap();
        for _ in 0..2 {
            priced_epoch(&w, 1_000, 1).await;
        }
    }
    let again = (NoticeKind::Paused, last.0 + 7);
    assert_eq!(told(&w, me, c).await, [paused, again]);
    w.assert_all_sound().await;
}

async fn a_frozen_contracts_owner_ends_its_pause_as_any_other(store: Store) {
    let (w, me, c) = paused_while_frozen(store).await;
    let before = w.view(me, c).await;
    w.market.keep_running(me, c, true).await.unwrap();
    priced_epoch(&w, 1_000, 1).await;
    let view = w.view(me, c).await;
    assert_eq!(view.life.paused_since, None, "with the running epoch, frozen or not");
    assert_eq!(view.delivered, before.delivered);
    say(&w, c, PaymentDispute::Won).await;
    let last = priced_epoch(&w, 1_000, 1).await;
    let view = w.view(me, c).await;
    assert_eq!(view.hard_end, before.hard_end.map(|end| EpochNumber(end.0 + 2)), "frozen for both");
    assert_eq!(view.delivered, before.delivered);
    priced_epoch(&w, 1_000, 1).await;
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.delivered), (ContractState::Completed, view.bought));
    // It was never paused alone, and of going on the thaw has told.
    assert_eq!(told(&w, me, c).await, []);
    let notices = w.market.notices(me, Some(c), 100).await.unwrap();
    let unprofitable = notices.iter().filter(|n| n.kind == NoticeKind::Unprofitable);
    let about: Vec<_> = unprofitable.map(|n| n.about).collect();
    assert_eq!(about, [last.next().0], "not that it runs on while it is frozen");
    w.assert_all_sound().await;
}

async fn a_pause_that_begins_while_the_house_is_away_is_told(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    priced_epoch(&w, 1_000, 1).await;
    let announced = priced_epoch(&w, 1_000, 1).await;
    let pause = EpochNumber(announced.0 + 3);
    // Nobody closes those epochs one by one.
    w.house_rate(1_000);
    let last = w.seal_after(40);
    w.account().await;
    let view = w.view(me, c).await;
    assert_eq!(view.life.paused_since, Some(pause));
    assert_eq!(told(&w, me, c).await, [(NoticeKind::Paused, pause.0)]);
    // A dispute is won in the same time.
    say(&w, c, PaymentDispute::Open).await;
    priced_epoch(&w, 1_000, 1).await;
    say(&w, c, PaymentDispute::Won).await;
    w.seal_after(40);
    w.account().await;
    let thawed = (NoticeKind::Paused, last.0 + 3);
    assert_eq!(told(&w, me, c).await, [(NoticeKind::Paused, pause.0), thawed]);
    w.assert_all_sound().await;
}

async fn no_pause_is_told_of_a_contract_that_ends_with_the_same_close(store: Store) {
    let w = World::with(store, costly(Unprofitable::Pause)).await;
    chain_pays(&w).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    priced_epoch(&w, 1_000, 1).await;
    let announced = priced_epoch(&w, 1_000, 1).await;
    let pause = EpochNumber(announced.0 + 3);
    assert_eq!(w.view(me, c).await.life.paused_since, Some(pause));
    // Nobody closes epochs until long after its payment was taken back, when it stood still already.
    w.clock.set(start_of(pause.0 + 5));
    say(&w, c, PaymentDispute::Lost(btc(1))).await;
    w.seal_after(40);
    w.account().await;
    assert_eq!(w.state(me, c).await, ContractState::ChargedBack);
    assert_eq!(told(&w, me, c).await, []);
    w.assert_sound().await;
}

laws! {
    pauses: [
        no_pause_is_told_of_a_contract_that_ends_with_the_same_close,
        a_pause_that_begins_while_the_contract_is_frozen_is_told_when_it_is_thawed,
        a_frozen_contracts_owner_ends_its_pause_as_any_other,
        a_pause_that_begins_while_the_house_is_away_is_told,
        a_pause_is_announced_stops_the_clock_and_gives_the_operator_nothing,
        what_was_not_measured_is_not_kept_whatever_the_plan_says,
        what_was_measured_is_kept_and_no_more_than_the_plan_says,
        energy_above_all_that_was_earned_leaves_nothing_and_no_debt,
        energy_is_looked_up_once_for_an_epoch_however_many_were_paused_in_it,
        the_customer_may_have_an_unprofitable_contract_run,
        a_renewal_that_is_paid_while_the_clock_stands_still_sets_it_going,
        a_contract_whose_renewal_is_paid_is_not_paused_until_that_is_taken_back,
        buying_a_renewal_in_a_pause_does_not_pay,
        a_renewal_is_not_taken_back_once_the_contract_before_it_was_disputed,
        a_frozen_contract_is_not_renewed,
        a_plan_that_runs_is_never_paused_and_nothing_is_ever_ended_for_it,
        settling_late_does_not_pick_the_price,
    ]
}
