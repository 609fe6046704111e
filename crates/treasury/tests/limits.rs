//! What leaves in a day and what takes two people, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use fake::{ASSET, House, Market, stranger};
use gruve_store::Store;
use gruve_treasury::{Approval, Payer, PayoutLimits, PayoutState, Treasury, TreasuryError};
use gruve_units::{Amount, PayoutId};
use std::sync::Arc;
use std::time::Duration;

gruve_store::laws! { limits: [
    what_one_customer_asks_for_in_a_day_above_the_limit_waits,
    what_all_ask_for_in_a_day_above_the_limit_waits,
    a_large_payout_takes_two_different_people,
    what_was_cancelled_does_not_count_and_a_day_later_it_begins_anew,
    parts_of_a_large_payout_take_two_people_as_the_whole_does,
    an_account_has_so_many_payouts_open_and_no_more,
    racing_requests_pass_no_limit_together,
    what_goes_to_another_customer_is_refused_where_a_payout_would_wait,
]}

const COIN: i64 = 1_000_000;

async fn house(store: Store, limits: PayoutLimits) -> House {
    let mut house = House::new(store, 1).await;
    let mut config = fake::treasury_config(&house.node);
    config.limits.push(limits);
    let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
    house.treasury = Treasury::new(house.store.clone(), clock, entropy, config).unwrap();
    house.treasury.tell_invoices_to(Arc::new(Market { refuses: false }));
    house.payer = Payer::new(house.treasury.clone());
    house.fill(&[100 * COIN]).await;
    for n in 1..=3 {
        house.top_up(n, 20 * COIN).await;
    }
    house
}

const NONE: PayoutLimits =
    PayoutLimits { asset: ASSET, customer_day: None, house_day: None, two_above: None };

async fn asked(house: &House, n: u8, coins: i64) -> (PayoutId, PayoutState) {
    let id = house.request(n, coins * COIN, &stranger(u32::from(n)).0).await.unwrap();
    (id, house.payout(id).await.state)
}

async fn what_one_customer_asks_for_in_a_day_above_the_limit_waits(store: Store) {
    let house = house(store, PayoutLimits { customer_day: Some(5 * COIN), ..NONE }).await;
    assert_eq!(asked(&house, 1, 3).await.1, PayoutState::Approved);
    assert_eq!(asked(&house, 1, 2).await.1, PayoutState::Approved, "the limit itself passes");
    let (above, state) = asked(&house, 1, 1).await;
    assert_eq!(state, PayoutState::Requested);
    assert!(house.payout(above).await.reason.unwrap().contains("in a day"));
    assert_eq!(asked(&house, 2, 5).await.1, PayoutState::Approved, "another's day is another's");
    house.payer.step().await.unwrap();
    assert_eq!(house.payout(above).await.state, PayoutState::Requested);
    assert_eq!(house.treasury.approve_payout(above, "anna").await.unwrap(), Approval::Given);
    assert_eq!(house.payout(above).await.state, PayoutState::Approved);
}

async fn what_all_ask_for_in_a_day_above_the_limit_waits(store: Store) {
    let house = house(store, PayoutLimits { house_day: Some(10 * COIN), ..NONE }).await;
    assert_eq!(asked(&house, 1, 6).await.1, PayoutState::Approved);
    assert_eq!(asked(&house, 2, 5).await.1, PayoutState::Requested);
    assert_eq!(asked(&house, 3, 1).await.1, PayoutState::Requested, "what waits counts too");
}

async fn parts_of_a_large_payout_take_two_people_as_the_whole_does(store: Store) {
    let house = house(store, PayoutLimits { two_above: Some(4 * COIN), ..NONE }).await;
    assert_eq!(asked(&house, 1, 3).await.1, PayoutState::Approved);
    let (part, state) = asked(&house, 1, 2).await;
    assert_eq!(state, PayoutState::Requested, "five in a day are large in parts too");
    let waits = house.payout(part).await;
    assert!(waits.takes_two && house.treasury.approvals_needed(&waits) == 2);
    let once = house.treasury.approve_payout(part, "anna").await.unwrap();
    assert_eq!(once, Approval::OneMore);
    assert_eq!(house.treasury.approve_payout(part, "berit").await.unwrap(), Approval::Given);
    assert_eq!(asked(&house, 2, 4).await.1, PayoutState::Approved, "another's day is another's");
    house.clock.advance(Duration::from_secs(86_401));
    assert_eq!(asked(&house, 1, 4).await.1, PayoutState::Approved);
}

async fn a_large_payout_takes_two_different_people(store: Store) {
    let house = house(store, PayoutLimits { two_above: Some(4 * COIN), ..NONE }).await;
    assert_eq!(asked(&house, 2, 4).await.1, PayoutState::Approved);
    let (large, state) = asked(&house, 1, 5).await;
    assert_eq!(state, PayoutState::Requested, "also below what is approved by itself");
    for _ in 0..2 {
        let once = house.treasury.approve_payout(large, "anna").await.unwrap();
        assert_eq!(once, Approval::OneMore, "the same person twice is one");
    }
    house.payer.step().await.unwrap();
    assert_eq!(house.payout(large).await.state, PayoutState::Requested);
    assert_eq!(house.treasury.approvers(large).await.unwrap(), ["anna"]);
    assert_eq!(house.treasury.approve_payout(large, "berit").await.unwrap(), Approval::Given);
    assert_eq!(house.payout(large).await.state, PayoutState::Approved);
}

async fn what_was_cancelled_does_not_count_and_a_day_later_it_begins_anew(store: Store) {
    let house = house(store, PayoutLimits { customer_day: Some(5 * COIN), ..NONE }).await;
    let (first, _) = asked(&house, 1, 5).await;
    house.treasury.cancel_payout(fake::account(1), first).await.unwrap();
    assert_eq!(asked(&house, 1, 5).await.1, PayoutState::Approved);
    assert_eq!(asked(&house, 1, 1).await.1, PayoutState::Requested);
    house.clock.advance(Duration::from_secs(86_401));
    assert_eq!(asked(&house, 1, 5).await.1, PayoutState::Approved);
}

async fn what_goes_to_another_customer_is_refused_where_a_payout_would_wait(store: Store) {
    let house = house(store, PayoutLimits { customer_day: Some(5 * COIN), ..NONE }).await;
    let may = async |n: u8, coins: i64, before: i64| {
        let amount = Amount::new(ASSET, coins * COIN);
        let before = (before * COIN, before * COIN);
        let treasury = &house.treasury;
        gruve_store::transact!(house.store, tx -> Result<(), TreasuryError> => {
            treasury.may_hand_over(tx, fake::account(n), amount, before).await
        })
    };
    may(1, 5, 0).await.unwrap();
    let refused = |r: Result<(), TreasuryError>| matches!(r, Err(TreasuryError::NeedsALook(_)));
    assert!(refused(may(1, 6, 0).await));
    assert!(refused(may(1, 3, 3).await), "with what went so before");
    assert_eq!(asked(&house, 1, 3).await.1, PayoutState::Approved);
    assert!(refused(may(1, 3, 0).await), "with what was paid out");
    may(1, 2, 0).await.unwrap();
    may(2, 5, 0).await.unwrap();
    let all = fake::treasury_config(&house.node);
    let large = all.chains[0].payouts.auto_approve_max / COIN + 1;
    // What no payout is approved for by itself.
    let refused = may(3, large, 0).await;
    assert!(matches!(refused, Err(TreasuryError::NeedsALook("it is large"))), "{refused:?}");
}

async fn an_account_has_so_many_payouts_open_and_no_more(store: Store) {
    let house = house(store, NONE).await;
    let limit = fake::treasury_config(&house.node).open_payouts_max;
    let mut last = None;
    for _ in 0..limit {
        last = Some(house.request(1, COIN / 10, &stranger(1).0).await.unwrap());
    }
    let more = house.request(1, COIN / 10, &stranger(1).0).await;
    let is_told =
        matches!(&more, Err(TreasuryError::TooMany { what: "payouts", limit: l }) if *l == limit);
    assert!(is_told, "{more:?}");
    house.request(2, COIN / 10, &stranger(2).0).await.unwrap();
    house.treasury.cancel_payout(fake::account(1), last.unwrap()).await.unwrap();
    house.request(1, COIN / 10, &stranger(1).0).await.unwrap();
}

async fn racing_requests_pass_no_limit_together(store: Store) {
    let house = house(store, PayoutLimits { customer_day: Some(5 * COIN), ..NONE }).await;
    let to = stranger(1).0;
    let (a, b, c) = tokio::join!(
        house.request(1, 3 * COIN, &to),
        house.request(1, 3 * COIN, &to),
        house.request(1, 3 * COIN, &to)
    );
    let mut free = 0;
    for id in [a, b, c] {
        free += i32::from(house.payout(id.unwrap()).await.state == PayoutState::Approved);
    }
    assert_eq!(free, 1);
}
