//! Contracts whose payment is disputed: frozen, thawed, ended. On both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::Account;
use gruve_market::{ContractState, MarketError, NoticeKind, Paid, PaymentDispute, Result};
use gruve_store::{Store, laws, params, transact};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes};
use std::sync::Arc;
use std::time::Duration;
use world::{EPOCH_SECS, World, btc, lane, someone};

const RATE: u64 = 1_000;
const EPOCH: u128 = (RATE * EPOCH_SECS) as u128;
/// What a lease of that rate for three epochs costs.
const PRICE: i64 = 300;

async fn say(w: &World, id: ContractId, cause: &str, word: PaymentDispute) {
    let market = &w.market;
    let told = transact!(w.store, tx -> Result<_> => { market.payment_disputed(tx, id, cause, word).await });
    told.unwrap();
}

const OPEN: PaymentDispute = PaymentDispute::Open;
const WON: PaymentDispute = PaymentDispute::Won;

fn lost(minor: i64) -> PaymentDispute {
    PaymentDispute::Lost(btc(minor))
}

/// A house that proves `RATE`, and a lease of all of it.
async fn leased(store: Store) -> (World, AccountId, ContractId) {
    let w = World::new(store).await;
    w.prove(RATE).await;
    let me = someone(1);
    let c = w.lease(me, RATE.into(), 3).await;
    assert_eq!(w.view(me, c).await.price, btc(PRICE));
    // The running epoch is not sold any more.
    w.epoch_at(RATE).await;
    (w, me, c)
}

async fn delivered(w: &World, me: AccountId, c: ContractId) -> u128 {
    w.view(me, c).await.delivered.0 / EPOCH
}

async fn kinds(w: &World, me: AccountId, c: ContractId) -> Vec<NoticeKind> {
    w.market.notices(me, Some(c), 10).await.unwrap().iter().map(|n| n.kind).collect()
}

async fn sold(w: &World) -> u128 {
    let sql = "SELECT sold FROM market_capacity WHERE lane = $1";
    let mut tx = w.store.read().await.unwrap();
    let row = tx.fetch_one(sql, &params![lane()]).await.unwrap();
    row.get::<gruve_units::Hashrate>("sold").unwrap().0
}

async fn a_disputed_contract_stands_still_and_loses_no_work_when_the_payment_stands(store: Store) {
    let (w, me, c) = leased(store).await;
    w.epoch_at(RATE).await;
    let end = w.view(me, c).await.hard_end.unwrap();
    // Told in an epoch: that one is still delivered.
    say(&w, c, "dp_1", OPEN).await;
    w.epoch_at(RATE).await;
    assert_eq!(delivered(&w, me, c).await, 2);
    for n in 1..=4 {
        w.epoch_at(RATE).await;
        let view = w.view(me, c).await;
        assert_eq!((view.state, view.delivered.0), (ContractState::Active, 2 * EPOCH));
        assert_eq!((view.life.paused_epochs, view.shortfall), (n, Hashes::ZERO));
        assert_eq!(view.hard_end, Some(EpochNumber(end.0 + n)), "its end stands still");
        assert_eq!(sold(&w).await, u128::from(RATE), "its hashrate is nobody else's");
        w.assert_all_sound().await;
    }
    say(&w, c, "dp_1", WON).await;
    w.epoch_at(RATE).await;
    assert_eq!(delivered(&w, me, c).await, 2, "it goes on with the next epoch");
    assert_eq!(w.view(me, c).await.life.frozen_since, None);
    w.epoch_at(RATE).await;
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.delivered.0), (ContractState::Completed, 3 * EPOCH));
    assert_eq!(view.refunded, btc(0));
    let kinds = kinds(&w, me, c).await;
    assert!(kinds.contains(&NoticeKind::Frozen) && kinds.contains(&NoticeKind::Thawed));
    assert_eq!(w.holds(&Account::OperatorRevenue).await, PRICE);
    w.assert_all_sound().await;
}

async fn a_lost_dispute_ends_the_contract_and_refunds_nothing_that_was_lost(store: Store) {
    let w = World::new(store).await;
    w.prove(RATE).await;
    let (mut kept_in_all, mut n) = (0, 0);
    // What was lost, what of the rest is kept for it, and what is refunded.
    for (minor, kept, back) in
        [(PRICE, 100, 0), (100, 100, 0), (99, 99, 1), (50, 50, 50), (0, 0, 100)]
    {
        n += 1;
        let me = someone(n);
        let c = w.lease(me, RATE.into(), 3).await;
        w.epoch_at(RATE).await;
        w.epoch_at(RATE).await;
        say(&w, c, "dp_1", OPEN).await;
        say(&w, c, "dp_1", lost(minor)).await;
        // Once is enough, and what has an end keeps it.
        say(&w, c, "dp_1", lost(1_000)).await;
        say(&w, c, "dp_1", WON).await;
        w.epoch_at(RATE).await;
        let view = w.view(me, c).await;
        assert_eq!((view.state, view.delivered.0), (ContractState::Active, 2 * EPOCH));
        assert_eq!(
            w.holds(&Account::PrepaidWork(c)).await,
            100,
            "of three epochs two are delivered"
        );
        w.epoch_at(RATE).await;
        let view = w.view(me, c).await;
        assert_eq!((view.state, view.delivered.0), (ContractState::ChargedBack, 2 * EPOCH));
        assert_eq!((view.refunded, view.life.frozen_since), (btc(back), None), "lost {minor}");
        assert_eq!(w.holds(&Account::PrepaidWork(c)).await, 0);
        assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, back);
        kept_in_all += kept;
        assert_eq!(w.holds(&Account::ChargeBacks).await, kept_in_all, "lost {minor}");
        assert_eq!(sold(&w).await, 0, "its hashrate is for sale again");
        let kinds = kinds(&w, me, c).await;
        assert!(kinds.contains(&NoticeKind::Frozen) && kinds.contains(&NoticeKind::ChargedBack));
        assert!(!kinds.contains(&NoticeKind::Thawed));
        assert_audited(&w).await;
    }
    let record = w.market.track_record("lease").await.unwrap();
    assert_eq!((record.sold, record.refunded), (0, 0), "no fault of the plan's");
}

/// Also that the journal has moved what the contracts say.
async fn assert_audited(w: &World) {
    w.assert_all_sound().await;
    let mut tx = w.store.read().await.unwrap();
    let audit = w.market.audit_contracts(&mut tx).await.unwrap();
    assert_eq!((audit.findings, audit.without), (Vec::<String>::new(), 0));
}

async fn whoever_has_several_payments_disputed_waits_for_the_last(store: Store) {
    let (w, me, c) = leased(store).await;
    say(&w, c, "dp_1", OPEN).await;
    w.epoch_at(RATE).await;
    w.epoch_at(RATE).await;
    say(&w, c, "dp_2", OPEN).await;
    say(&w, c, "dp_1", WON).await;
    assert!(w.view(me, c).await.life.frozen_since.is_some());
    w.epoch_at(RATE).await;
    w.epoch_at(RATE).await;
    // One that is won before anybody heard of it, and one that is won in the epoch in which it was opened.
    say(&w, c, "dp_3", WON).await;
    say(&w, c, "dp_4", OPEN).await;
    say(&w, c, "dp_4", WON).await;
    say(&w, c, "dp_2", WON).await;
    assert_eq!(w.view(me, c).await.life.frozen_since, None);
    w.epoch_at(RATE).await;
    assert_eq!(delivered(&w, me, c).await, 1);
    w.epoch_at(RATE).await;
    w.epoch_at(RATE).await;
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.life.paused_epochs), (ContractState::Completed, 4));
    assert_audited(&w).await;
}

async fn nothing_is_refunded_while_another_payment_of_the_contract_is_disputed(store: Store) {
    let (w, me, c) = leased(store).await;
    w.epoch_at(RATE).await;
    say(&w, c, "dp_1", OPEN).await;
    say(&w, c, "dp_2", OPEN).await;
    say(&w, c, "dp_1", lost(50)).await;
    for _ in 0..4 {
        w.epoch_at(RATE).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.delivered.0), (ContractState::Active, 2 * EPOCH));
    // The one is lost in the epoch before which the other ends: both are kept.
    say(&w, c, "dp_2", lost(30)).await;
    w.epoch_at(RATE).await;
    assert_eq!(w.view(me, c).await.state, ContractState::Active);
    w.epoch_at(RATE).await;
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.refunded), (ContractState::ChargedBack, btc(20)));
    assert_eq!(w.holds(&Account::ChargeBacks).await, 80);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 20);
    assert_audited(&w).await;
}

async fn one_disputed_before_it_begins_waits_and_cannot_be_taken_back(store: Store) {
    let w = World::new(store).await;
    w.prove(RATE).await;
    let me = someone(1);
    let c = w.lease(me, RATE.into(), 3).await;
    say(&w, c, "dp_1", OPEN).await;
    let market = &w.market;
    let refused = transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, c).await });
    assert!(matches!(refused, Err(MarketError::WrongState { state: "frozen" })), "{refused:?}");
    for n in 0..4 {
        w.epoch_at(RATE).await;
        let view = w.view(me, c).await;
        assert_eq!((view.life.paused_epochs, view.delivered), (n, Hashes::ZERO));
        assert_audited(&w).await;
    }
    say(&w, c, "dp_1", lost(PRICE)).await;
    w.epoch_at(RATE).await;
    w.epoch_at(RATE).await;
    assert_eq!(w.state(me, c).await, ContractState::ChargedBack);
    assert_eq!(w.holds(&Account::ChargeBacks).await, PRICE);
    assert_eq!((w.holds(&Account::OperatorRevenue).await, sold(&w).await), (0, 0));
    assert_audited(&w).await;
    // An order that nobody has paid for yet goes on being one, and other money may pay for it.
    let order = w.buy(me, RATE.into(), 3).await.unwrap();
    say(&w, order, "dp_2", lost(PRICE)).await;
    w.fund(me, PRICE).await;
    assert!(matches!(w.pay(order).await, Paid::Starts(_)));
    for _ in 0..4 {
        w.epoch_at(RATE).await;
    }
    assert_eq!(w.state(me, order).await, ContractState::Completed);
    // What is over stays so.
    for (cause, word) in [("dp_3", OPEN), ("dp_4", lost(1)), ("dp_5", WON)] {
        say(&w, order, cause, word).await;
    }
    let view = w.view(me, order).await;
    assert_eq!((view.state, view.life.frozen_since), (ContractState::Completed, None));
    assert_audited(&w).await;
}

async fn the_border_of_the_epoch_decides_and_not_who_closes_it_when(store: Store) {
    let (w, me, c) = leased(store).await;
    // The first epoch is sealed and not closed yet; the second runs to its last instant.
    w.house_rate(RATE);
    w.seal();
    w.clock.advance(Duration::from_micros(EPOCH_SECS * 1_000_000 - 1));
    say(&w, c, "dp_1", OPEN).await;
    w.house_rate(RATE);
    w.seal();
    w.account().await;
    assert_eq!(delivered(&w, me, c).await, 2, "both were sold before anybody disputed");
    // The house is away meanwhile, and nobody closes those epochs one by one.
    w.house_rate(RATE);
    w.seal_after(40);
    w.account().await;
    let view = w.view(me, c).await;
    assert_eq!((view.delivered.0, view.life.paused_epochs), (2 * EPOCH, 40));
    // Another life of the house knows the same.
    let other = World::with_log_of(&w, world::config()).await;
    say(&other, c, "dp_1", WON).await;
    other.epoch_at(RATE).await;
    assert_eq!(delivered(&other, me, c).await, 2);
    other.epoch_at(RATE).await;
    assert_eq!(other.state(me, c).await, ContractState::Completed);
    assert_audited(&other).await;
}

/// Words about many contracts race each other and the closes: whatever comes first, nothing is told apart, counted twice or lost.
async fn words_race_closes(store: Store) {
    let w = World::new(store).await;
    w.prove(10 * RATE).await;
    let mut all = Vec::new();
    for n in 1..=8 {
        all.push((someone(n), w.lease(someone(n), RATE.into(), 3).await));
    }
    let w = Arc::new(w);
    w.epoch_at(10 * RATE).await;
    for round in 0..4_u64 {
        w.house_rate(10 * RATE);
        w.seal();
        let mut racing = Vec::new();
        for (n, (_, c)) in (0_u64..).zip(&all) {
            let (w, c) = (w.clone(), *c);
            racing.push(tokio::spawn(async move {
                let word = match (round, n % 3) {
                    (0, _) | (1, 0) => OPEN,
                    (_, 0) => WON,
                    (_, 1) => lost(i64::try_from(n).unwrap() * 50),
                    _ => return,
                };
                say(&w, c, "dp_1", word).await;
                say(&w, c, "dp_1", word).await;
            }));
        }
        w.account().await;
        for task in racing {
            task.await.unwrap();
        }
    }
    for _ in 0..3 {
        w.epoch_at(10 * RATE).await;
    }
    for (n, (me, c)) in (0_u64..).zip(&all) {
        let view = w.view(*me, *c).await;
        let expected = match n % 3 {
            0 => ContractState::Completed,
            1 => ContractState::ChargedBack,
            _ => ContractState::Active,
        };
        assert_eq!(view.state, expected, "contract {n}: {view:?}");
        assert_eq!(view.life.frozen_since.is_some(), n % 3 == 2);
    }
    assert_audited(&w).await;
}

laws! { disputes: [
    a_disputed_contract_stands_still_and_loses_no_work_when_the_payment_stands,
    a_lost_dispute_ends_the_contract_and_refunds_nothing_that_was_lost,
    whoever_has_several_payments_disputed_waits_for_the_last,
    nothing_is_refunded_while_another_payment_of_the_contract_is_disputed,
    one_disputed_before_it_begins_waits_and_cannot_be_taken_back,
    the_border_of_the_epoch_decides_and_not_who_closes_it_when,
    words_race_closes,
] }
