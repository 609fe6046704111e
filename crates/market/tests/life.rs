//! A contract's life from quote to end, and every bad input with its outcome, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::Account;
use gruve_market::{Cancelled, ContractState, MarketError, NoticeKind, Paid, Result};
use gruve_store::{Store, laws, testing, transact};
use gruve_units::{AccountId, Bps, Clock as _, ContractId, Hashrate, QuoteId, Timestamp};
use std::sync::Arc;
use world::{World, btc, lane, refused, someone};

async fn cancel(w: &World, who: AccountId, contract: ContractId) -> Result<Cancelled> {
    transact!(w.store, tx -> Result<_> => { w.market.cancel(tx, who, contract).await })
}

async fn buy(w: &World, who: AccountId, quote: QuoteId) -> Result<ContractId> {
    transact!(w.store, tx -> Result<_> => {
        w.market.buy(tx, who, quote).await.map(|p| p.contract)
    })
}

async fn sold(w: &World) -> Hashrate {
    w.market.lane_stats().await.unwrap()[0].sold
}

async fn an_unpaid_contract_is_cancelled_at_once_and_a_later_payment_stays_in_the_balance(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.buy(me, 1_000, 3).await.unwrap();
    assert!(matches!(cancel(&w, someone(2), c).await, Err(MarketError::UnknownContract)));
    let first = cancel(&w, me, c).await.unwrap();
    assert_eq!(first, Cancelled { refunded: btc(0), before: false });
    // A double click.
    assert!(cancel(&w, me, c).await.unwrap().before);
    assert_eq!((w.state(me, c).await, sold(&w).await), (ContractState::Cancelled, Hashrate::ZERO));
    w.buy(someone(2), 1_000, 3).await.unwrap();
    w.fund(me, 300).await;
    assert_eq!(w.pay(c).await, Paid::LeftInBalance);
    // The invoice runs out later, which is nothing to the contract any more.
    transact!(w.store, tx -> Result<_> => { w.market.invoice_expired(tx, c).await }).unwrap();
    assert_eq!(w.state(me, c).await, ContractState::Cancelled);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 300);
    w.assert_all_sound().await;
}

async fn a_paid_contract_is_cancelled_in_full_until_its_first_epoch_begins_and_not_after(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    assert_eq!(w.holds(&Account::PrepaidWork(c)).await, 300);
    assert_eq!(cancel(&w, me, c).await.unwrap().refunded, btc(300));
    assert_eq!(cancel(&w, me, c).await.unwrap(), Cancelled { refunded: btc(300), before: true });
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 300);
    assert_eq!(w.pay(c).await, Paid::LeftInBalance);
    assert_eq!(sold(&w).await, Hashrate::ZERO);
    let late = w.lease(me, 1_000, 3).await;
    let start = w.view(me, late).await.start_epoch.unwrap();
    w.clock.set(world::start_of(start.0));
    assert!(matches!(cancel(&w, me, late).await, Err(MarketError::HasBegun)));
    // Nor when the clock goes back: what has begun has begun.
    w.clock.set(world::start_of(start.0 - 1));
    assert!(matches!(cancel(&w, me, late).await, Err(MarketError::HasBegun)));
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    assert!(matches!(cancel(&w, me, late).await, Err(MarketError::HasBegun)));
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let ended = refused(cancel(&w, me, late).await);
    assert!(matches!(ended, MarketError::WrongState { state: "completed" }), "{ended}");
    w.assert_all_sound().await;
}

async fn what_is_bought_just_before_a_border_is_taken_back_until_the_border_and_no_longer(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let border = world::start_of(w.now().0 + 1);
    w.clock.set(Timestamp(border.0 - 1));
    let (c, d) = (w.lease(me, 1_000, 3).await, w.lease(me, 1_000, 3).await);
    // It begins at a border that is still ahead.
    let start = world::start_of(w.view(me, c).await.start_epoch.unwrap().0);
    assert!(start >= border);
    w.clock.set(Timestamp(start.0 - 1));
    assert_eq!(cancel(&w, me, c).await.unwrap().refunded, btc(300));
    w.clock.set(start);
    assert!(matches!(cancel(&w, me, d).await, Err(MarketError::HasBegun)));
    w.assert_sound().await;
}

async fn cancelling_racing_a_payment_leaves_the_money_in_the_balance(store: Store) {
    let w = Arc::new(World::new(store).await);
    w.prove(1_000).await;
    for n in 1..=6u8 {
        let me = someone(n);
        let c = w.buy(me, 1_000, 3).await.unwrap();
        w.fund(me, 300).await;
        let (a, b) = (w.clone(), w.clone());
        let paying = tokio::spawn(async move { a.pay(c).await });
        let cancelling = tokio::spawn(async move { cancel(&b, me, c).await });
        let (paid, cancelled) = (paying.await.unwrap(), cancelling.await.unwrap().unwrap());
        // Whichever was first.
        let back = if matches!(paid, Paid::Starts(_)) { 300 } else { 0 };
        assert_eq!(cancelled.refunded, btc(back));
        assert_eq!(w.state(me, c).await, ContractState::Cancelled);
        assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 300);
        assert_eq!(sold(&w).await, Hashrate::ZERO);
    }
    w.assert_all_sound().await;
}

async fn cancelling_racing_the_close_of_the_first_epoch_is_decided_by_its_border(store: Store) {
    let w = Arc::new(World::new(store).await);
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.house_rate(1_000);
    w.seal();
    let (a, b) = (w.clone(), w.clone());
    let closing = tokio::spawn(async move { a.account().await });
    let cancelling = tokio::spawn(async move { cancel(&b, me, c).await });
    closing.await.unwrap();
    assert!(matches!(cancelling.await.unwrap(), Err(MarketError::HasBegun)));
    assert_eq!(w.state(me, c).await, ContractState::Active);
    w.assert_all_sound().await;
}

async fn a_double_click_buys_once(store: Store) {
    let w = Arc::new(World::new(store).await);
    w.prove(1_000).await;
    let me = someone(1);
    let quote = w.market.quote(me, "lease", Hashrate(400), 3).await.unwrap().id;
    let clicks: Vec<_> = (0..4)
        .map(|_| {
            let w = w.clone();
            tokio::spawn(async move { buy(&w, me, quote).await })
        })
        .collect();
    let mut bought = 0;
    for click in clicks {
        match click.await.unwrap() {
            Ok(_) => bought += 1,
            Err(e) => assert!(matches!(e, MarketError::QuoteUsed), "{e}"),
        }
    }
    assert_eq!((bought, sold(&w).await), (1, Hashrate(400)));
    w.assert_sound().await;
}

async fn quantities_that_no_plan_sells_are_refused_and_change_nothing(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    // A negative rate is no rate at all.
    assert!("-100 H/s".parse::<Hashrate>().is_err() && "-1".parse::<Hashrate>().is_err());
    for rate in [0, 1, 99, 101, u128::MAX, 1 << 100] {
        let e = refused(w.market.quote(me, "lease", Hashrate(rate), 3).await);
        assert!(matches!(e, MarketError::HashrateNotOffered { .. }), "{rate}: {e}");
    }
    for term in [0, 1, 4, u64::MAX] {
        let e = refused(w.market.quote(me, "lease", Hashrate(100), term).await);
        assert!(matches!(e, MarketError::TermNotOffered), "{term}: {e}");
    }
    let e = refused(w.market.quote(me, "lease", Hashrate(1_000_000), 3).await);
    assert!(matches!(e, MarketError::SoldOut { .. }), "{e}");
    let none = QuoteId::new(w.clock.now(), &gruve_units::SeededEntropy::new(3));
    assert!(matches!(buy(&w, me, none).await, Err(MarketError::UnknownQuote)));
    assert_eq!(sold(&w).await, Hashrate::ZERO);
    w.assert_all_sound().await;
}

async fn an_expired_quote_stays_expired_when_the_clock_goes_back(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let quote = w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap();
    w.clock.set(quote.expires);
    assert!(matches!(buy(&w, me, quote.id).await, Err(MarketError::QuoteExpired)));
    w.clock.set(quote.created);
    assert!(matches!(buy(&w, me, quote.id).await, Err(MarketError::QuoteExpired)));
    w.assert_sound().await;
}

async fn a_clock_that_goes_back_neither_delivers_an_epoch_twice_nor_starts_a_contract_in_a_closed_one(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.buy(me, 1_000, 3).await.unwrap();
    w.fund(me, 300).await;
    let closed = w.market.lane_stats().await.unwrap()[0].last_closed.unwrap();
    w.clock.set(world::start_of(closed.0 - 2));
    let Paid::Starts(start) = w.pay(c).await else { panic!("it is paid") };
    assert!(start > closed.next(), "the running epoch has begun: {start}");
    w.account().await;
    w.account().await;
    assert!(w.view(me, c).await.epochs.is_empty());
    w.assert_all_sound().await;
}

/// Local time is for pages: borders are counted in UTC, in which no hour is missing or there twice.
async fn an_epoch_is_as_long_at_the_change_to_summer_time_as_ever(store: Store) {
    let w = World::new(store).await;
    let rule = w.market.lane(&lane()).unwrap().epoch_rule;
    // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC, the changes in Europe; 2026-11-01 06:00 UTC, in New York.
    for change in [1_774_746_000, 1_792_890_000, 1_793_512_800] {
        let (before, at) = (Timestamp::from_secs(change - 3_600), Timestamp::from_secs(change));
        let between = rule.at(at).0 - rule.at(before).0;
        assert_eq!(between, 3_600 / world::EPOCH_SECS);
        let first = rule.at(before);
        assert_eq!(rule.end(first), rule.start(first.next()));
    }
    // Contracts whose middle epoch begins with the change get their term, not an hour more or less.
    for change in [1_774_746_000, 1_792_890_000, 1_793_512_800] {
        let middle = rule.at(Timestamp::from_secs(change));
        w.seal_after(middle.0 - 6 - w.now().0);
        w.account().await;
        w.prove(1_000).await;
        let me = someone(1);
        let c = w.lease(me, 1_000, 3).await;
        w.epoch_at(1_000).await;
        for delivered in 1..=3 {
            w.epoch_at(1_000).await;
            assert_eq!(w.view(me, c).await.delivered.0, delivered * 10_000);
        }
        let view = w.view(me, c).await;
        assert_eq!(view.state, ContractState::Completed);
        let epochs: Vec<u64> = view.epochs.iter().map(|line| line.epoch.0).collect();
        assert_eq!(epochs, [middle.0 + 1, middle.0, middle.0 - 1]);
    }
    w.assert_all_sound().await;
}

async fn a_contract_of_one_minor_unit_settles_refunds_and_rounds_to_nobodys_gain(store: Store) {
    let mut config = world::config();
    config.plans[0].price_minor = 1;
    config.plans[0].terms_epochs = vec![3];
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let me = someone(1);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(w.lease(me, 200, 3).await);
    }
    assert_eq!(w.view(me, all[0]).await.price, btc(1));
    w.epoch_at(1_000).await;
    // Half of it, then nothing to the hard end.
    w.epoch_at(500).await;
    for _ in 0..5 {
        w.epoch_at(0).await;
    }
    for c in &all {
        // Whatever is not earned in full goes back: the rounding is the customer's.
        let view = w.view(me, *c).await;
        assert_eq!((view.state, view.refunded), (ContractState::Refunded, btc(1)));
    }
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 5);
    assert_eq!(w.holds(&Account::OperatorRevenue).await, 0);
    // Delivered whole it is earned whole, with the last hash and not before.
    w.prove(1_000).await;
    let c = w.lease(me, 200, 3).await;
    for earned in [0, 0, 0, 1] {
        w.epoch_at(1_000).await;
        assert_eq!(w.holds(&Account::OperatorRevenue).await, earned);
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.refunded), (ContractState::Completed, btc(0)));
    assert_eq!(w.holds(&Account::PrepaidWork(c)).await, 0);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 5);
    w.assert_all_sound().await;
}

async fn one_account_holds_a_stated_part_unpaid_and_cancelling_gives_it_back(store: Store) {
    let mut config = world::config();
    config.quotes.held_per_account_bps = Bps::new(5_000).unwrap();
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let me = someone(1);
    let first = w.buy(me, 500, 3).await.unwrap();
    let e = refused(w.market.quote(me, "lease", Hashrate(100), 3).await);
    assert!(matches!(e, MarketError::HeldByYou { available: Hashrate::ZERO }), "{e}");
    // Others are not held up by it.
    w.buy(someone(2), 200, 3).await.unwrap();
    cancel(&w, me, first).await.unwrap();
    w.buy(me, 400, 3).await.unwrap();
    w.assert_sound().await;
}

async fn what_is_sold_beyond_capacity_stops_sales_is_shared_pro_rata_and_made_good(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let (a, b) = (w.lease(someone(1), 600, 20).await, w.lease(someone(2), 400, 20).await);
    w.epoch_at(1_000).await;
    for _ in 0..4 {
        w.epoch_at(400).await;
    }
    let stats = &w.market.lane_stats().await.unwrap()[0];
    assert_eq!((stats.sold, stats.oversold), (Hashrate(1_000), Hashrate(600)));
    let e = refused(w.market.quote(someone(3), "lease", Hashrate(100), 3).await);
    assert!(matches!(e, MarketError::SoldOut { available: Hashrate::ZERO }), "{e}");
    let epoch = u128::from(world::EPOCH_SECS);
    let got = async |n, id| {
        let view = w.view(someone(n), id).await;
        (view.delivered.0 / epoch, view.shortfall.0 / epoch)
    };
    assert_eq!((got(1, a).await, got(2, b).await), ((960, 1_440), (640, 960)));
    // Half as much again in each epoch, from what is proven above the sales.
    for _ in 0..5 {
        w.epoch_at(2_000).await;
    }
    assert_eq!((got(1, a).await, got(2, b).await), ((5_400, 0), (3_600, 0)));
    assert_eq!(w.market.lane_stats().await.unwrap()[0].oversold, Hashrate::ZERO);
    w.assert_all_sound().await;
}

async fn a_renewal_goes_on_without_a_gap_and_without_selling_anything_twice(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    let early = refused(w.market.quote_renewal(me, c, 3).await);
    assert!(matches!(early, MarketError::WrongState { .. }), "before it runs: {early}");
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    assert!(matches!(
        refused(w.market.quote_renewal(someone(2), c, 3).await),
        MarketError::UnknownContract
    ));
    // All capacity is sold, and to go on with it none is needed.
    let e = refused(w.market.quote(me, "lease", Hashrate(1_000), 3).await);
    assert!(matches!(e, MarketError::SoldOut { .. }));
    let quote = w.market.quote_renewal(me, c, 3).await.unwrap();
    let next = buy(&w, me, quote.id).await.unwrap();
    assert_eq!(sold(&w).await, Hashrate(1_000));
    let twice = refused(w.market.quote_renewal(me, c, 3).await);
    assert!(matches!(twice, MarketError::WrongState { state: "renewed" }));
    w.fund(me, quote.price.minor).await;
    assert_eq!(w.pay(next).await, Paid::Follows);
    w.assert_sound().await;
    w.epoch_at(1_000).await;
    let ended = w.epoch_at(1_000).await;
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    assert_eq!(w.view(me, next).await.start_epoch, Some(ended.next()));
    assert_eq!(sold(&w).await, Hashrate(1_000));
    w.assert_sound().await;
    w.epoch_at(1_000).await;
    assert_eq!(w.view(me, next).await.epochs[0].epoch, ended.next());
    for _ in 0..2 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(
        (w.state(me, next).await, sold(&w).await),
        (ContractState::Completed, Hashrate::ZERO)
    );
    w.assert_all_sound().await;
}

/// Earlier it would be a price for nothing to choose from: until its first epoch it can be taken back whole.
async fn a_renewal_is_sold_and_a_wish_for_one_is_answered_only_near_the_end_of_work_or_time(
    store: Store,
) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 20).await;
    w.market.wish(me, c, Some(1), false).await.unwrap();
    let told = async || {
        let all = w.market.notices(me, Some(c), 10).await.unwrap();
        all.iter().filter(|n| n.kind == NoticeKind::NotRenewed).count()
    };
    // Without any work only time runs: 20 epochs, and three for making good.
    let end = w.view(me, c).await.start_epoch.unwrap().0 + 23;
    w.epoch_at(1_000).await;
    w.epoch_at(0).await;
    while w.now().0 < end - 6 {
        let early = refused(w.market.quote_renewal(me, c, 20).await);
        assert!(matches!(early, MarketError::TooEarly { epochs: 6 }), "{early}");
        w.epoch_at(0).await;
    }
    w.market.quote_renewal(me, c, 20).await.unwrap();
    while w.now().0 < end - 3 {
        assert_eq!(told().await, 0);
        w.epoch_at(0).await;
    }
    assert_eq!(told().await, 1, "one minor unit buys nothing");
    w.assert_all_sound().await;
}

async fn a_wish_that_is_refused_is_told_with_the_reason(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.fund(me, 1_000).await;
    w.market.wish(me, c, Some(1_000), false).await.unwrap();
    for _ in 0..5 {
        w.buy(me, 100, 3).await.unwrap();
    }
    w.epoch_at(2_000).await;
    w.epoch_at(2_000).await;
    let all = w.market.notices(me, Some(c), 10).await.unwrap();
    let told = all.iter().find(|n| n.kind == NoticeKind::NotRenewed).unwrap();
    assert!(told.detail.contains("unpaid contracts"), "{told:?}");
    assert!(w.market.contracts(me).await.unwrap().iter().all(|v| v.life.renews.is_none()));
    w.assert_all_sound().await;
}

async fn a_renewal_its_wish_and_its_notice_are_written_together_or_not_at_all(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    w.fund(me, 600).await;
    for _ in 0..4 {
        w.epoch_at(1_000).await;
    }
    w.market.wish(me, c, Some(600), false).await.unwrap();
    testing::run_raw(&w.store, "ALTER TABLE market_notices RENAME TO kept_notices").await.unwrap();
    w.epoch_at(1_000).await;
    testing::run_raw(&w.store, "ALTER TABLE kept_notices RENAME TO market_notices").await.unwrap();
    assert_eq!(w.market.contracts(me).await.unwrap().len(), 1);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 600);
    w.epoch_at(0).await;
    let all = w.market.contracts(me).await.unwrap();
    let next = all.iter().find(|v| v.life.renews == Some(c)).unwrap();
    let wish = "SELECT renew_max_minor FROM market_wishes WHERE contract = $1";
    let mut tx = w.store.read().await.unwrap();
    let wish = tx.fetch_one(wish, &gruve_store::params![next.id]).await.unwrap();
    drop(tx);
    assert_eq!(wish.get::<Option<i64>>("renew_max_minor").unwrap(), Some(600));
    let notices = w.market.notices(me, Some(c), 10).await.unwrap();
    assert!(notices.iter().any(|n| n.kind == NoticeKind::Renewed));
    w.assert_all_sound().await;
}

async fn the_end_is_told_once_before_it_comes_and_not_to_who_has_renewed(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let (me, you) = (someone(1), someone(2));
    let (c, d) = (w.lease(me, 400, 6).await, w.lease(you, 400, 6).await);
    let told = async |who, id| {
        let all = w.market.notices(who, Some(id), 10).await.unwrap();
        all.iter().filter(|n| n.kind == NoticeKind::EndNear).count()
    };
    for _ in 0..3 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(told(me, c).await, 0, "four epochs are left");
    let renewal = w.market.quote_renewal(you, d, 6).await.unwrap();
    buy(&w, you, renewal.id).await.unwrap();
    w.epoch_at(1_000).await;
    assert_eq!((told(me, c).await, told(you, d).await), (1, 0), "three are");
    // Slower than planned: by time it is near once more, and not told twice.
    for rate in [0, 0, 300, 1_000, 1_000] {
        w.epoch_at(rate).await;
    }
    assert_eq!((told(me, c).await, told(you, d).await), (1, 0));
    w.assert_all_sound().await;
}

async fn an_unpaid_or_cancelled_renewal_leaves_nothing_behind(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let renew = async || {
        let quote = w.market.quote_renewal(me, c, 3).await.unwrap();
        buy(&w, me, quote.id).await.unwrap()
    };
    let first = renew().await;
    transact!(w.store, tx -> Result<_> => { w.market.invoice_expired(tx, first).await }).unwrap();
    let second = renew().await;
    w.fund(me, 300).await;
    w.pay(second).await;
    assert_eq!(cancel(&w, me, second).await.unwrap().refunded, btc(300));
    assert_eq!(sold(&w).await, Hashrate(1_000));
    w.assert_sound().await;
    // One that is not paid when the other ends keeps its capacity for as long as its invoice is open.
    let third = renew().await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    assert_eq!((w.state(me, c).await, sold(&w).await), (ContractState::Completed, Hashrate(1_000)));
    w.assert_sound().await;
    transact!(w.store, tx -> Result<_> => { w.market.invoice_expired(tx, third).await }).unwrap();
    assert_eq!(sold(&w).await, Hashrate::ZERO);
    w.assert_all_sound().await;
}

async fn a_standing_wish_renews_from_the_balance_up_to_its_limit(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    let wish = async |max| w.market.wish(me, c, max, false).await;
    assert!(matches!(refused(wish(Some(0)).await), MarketError::BadPrice(_)));
    wish(Some(299)).await.unwrap();
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let kinds = async || -> Vec<NoticeKind> {
        let all = w.market.notices(me, Some(c), 9).await.unwrap();
        all.iter().map(|n| n.kind).filter(|k| *k != NoticeKind::EndNear).collect()
    };
    assert_eq!(kinds().await, [NoticeKind::NotRenewed], "its price is 300");
    wish(Some(300)).await.unwrap();
    w.epoch_at(1_000).await;
    assert_eq!(w.market.contracts(me).await.unwrap().len(), 1, "and the balance is empty");
    w.fund(me, 350).await;
    w.epoch_at(1_000).await;
    // It was completed before it could be renewed.
    assert_eq!(w.state(me, c).await, ContractState::Completed);
    let d = w.lease(me, 1_000, 6).await;
    w.fund(me, 300).await;
    w.market.wish(me, d, Some(1_000), false).await.unwrap();
    for _ in 0..5 {
        w.epoch_at(1_000).await;
    }
    let all = w.market.contracts(me).await.unwrap();
    let next = all.iter().find(|v| v.life.renews == Some(d)).unwrap();
    assert_eq!((next.state, next.term_epochs), (ContractState::Starting, 6));
    w.assert_all_sound().await;
}

async fn earnings_buy_more_of_the_plan_and_never_more_than_was_earned(store: Store) {
    let w = World::new(store).await;
    w.prove(2_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    w.market.wish(me, c, None, true).await.unwrap();
    // Coins of another origin stay where they are.
    w.fund(me, 10_000).await;
    w.epoch_at(2_000).await;
    w.epoch_at(2_000).await;
    let hash = w.find_block(100);
    // Some thousandth of it is the contract's: enough for a little more work.
    w.see(hash, 100, 100_000).await;
    w.height(100 + world::MATURITY).await;
    w.epoch_at(2_000).await;
    let credited = w.view(me, c).await.credited.minor;
    assert!(credited > 60, "{credited}");
    let all = w.market.contracts(me).await.unwrap();
    let spent: i64 = all.iter().filter(|v| v.id != c).map(|v| v.price.minor).sum();
    assert!(all.len() == 2 && spent > 0 && spent <= credited, "{spent} of {credited}");
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 10_000 + credited - spent);
    // What was spent is spent; nothing is bought again of it.
    w.epoch_at(2_000).await;
    assert_eq!(w.market.contracts(me).await.unwrap().len(), 2);
    w.market.wish(me, c, None, false).await.unwrap();
    w.assert_all_sound().await;
}

async fn what_was_delivered_is_read_back_whole_in_parts_and_by_its_owner_only(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    for _ in 0..8 {
        w.epoch_at(1_000).await;
    }
    let all = w.market.delivered(me, c, None, 100).await.unwrap();
    let sum: u128 = all.iter().map(|(_, work)| work.0).sum();
    assert_eq!(sum, w.view(me, c).await.delivered.0);
    let (mut parts, mut before) = (Vec::new(), None);
    loop {
        let part = w.market.delivered(me, c, before, 2).await.unwrap();
        assert!(part.len() <= 2);
        let Some(last) = part.last() else { break };
        before = Some(last.0);
        parts.extend(part);
    }
    assert_eq!(parts, all);
    let others = refused(w.market.delivered(someone(2), c, None, 100).await);
    assert!(matches!(others, MarketError::UnknownContract));
}

laws! {
    life: [
        what_was_delivered_is_read_back_whole_in_parts_and_by_its_owner_only,
        the_end_is_told_once_before_it_comes_and_not_to_who_has_renewed,
        a_renewal_goes_on_without_a_gap_and_without_selling_anything_twice,
        an_unpaid_or_cancelled_renewal_leaves_nothing_behind,
        a_renewal_is_sold_and_a_wish_for_one_is_answered_only_near_the_end_of_work_or_time,
        a_wish_that_is_refused_is_told_with_the_reason,
        a_renewal_its_wish_and_its_notice_are_written_together_or_not_at_all,
        a_standing_wish_renews_from_the_balance_up_to_its_limit,
        earnings_buy_more_of_the_plan_and_never_more_than_was_earned,
        an_unpaid_contract_is_cancelled_at_once_and_a_later_payment_stays_in_the_balance,
        a_paid_contract_is_cancelled_in_full_until_its_first_epoch_begins_and_not_after,
        what_is_bought_just_before_a_border_is_taken_back_until_the_border_and_no_longer,
        cancelling_racing_a_payment_leaves_the_money_in_the_balance,
        cancelling_racing_the_close_of_the_first_epoch_is_decided_by_its_border,
        a_double_click_buys_once,
        what_is_sold_beyond_capacity_stops_sales_is_shared_pro_rata_and_made_good,
        quantities_that_no_plan_sells_are_refused_and_change_nothing,
        an_expired_quote_stays_expired_when_the_clock_goes_back,
        a_clock_that_goes_back_neither_delivers_an_epoch_twice_nor_starts_a_contract_in_a_closed_one,
        an_epoch_is_as_long_at_the_change_to_summer_time_as_ever,
        a_contract_of_one_minor_unit_settles_refunds_and_rounds_to_nobodys_gain,
        one_account_holds_a_stated_part_unpaid_and_cancelling_gives_it_back,
    ]
}
