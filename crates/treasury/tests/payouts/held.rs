//! Payouts that wait because they go where nothing of their account has gone before.

use super::*;
use gruve_units::{Clock as _, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// A payout to a stranger that is not paid before an instant.
async fn place(house: &House, to: u32, until: Timestamp, key: Option<&str>) -> PlacedPayout {
    place_of(house, COIN, to, until, key).await
}

async fn place_of(
    house: &House,
    minor: i64,
    to: u32,
    until: Timestamp,
    key: Option<&str>,
) -> PlacedPayout {
    let new = NewPayout {
        account: account(1),
        amount: sat(minor),
        address: stranger(to).0,
        request_key: key.map(str::to_owned),
    };
    let terms = house.treasury.payout_terms(&new).await.unwrap();
    let placed = gruve_store::transact!(house.store, tx -> Result<PlacedPayout, TreasuryError> => {
        house.treasury.place_payout(tx, &new, &terms, Some(until)).await
    });
    placed.unwrap()
}

pub async fn a_held_payout_is_paid_when_its_time_has_come_and_holds_up_no_other(store: Store) {
    let house = rich(store).await;
    let until = house.clock.now().plus(DAY);
    let held = place(&house, 1, until, Some("a")).await;
    assert!(!held.before);
    assert_eq!(place(&house, 1, until, Some("a")).await, PlacedPayout { before: true, ..held });
    assert_eq!(house.held(1).await, COIN, "it cannot be spent twice");
    let behind = house.request(1, COIN, &stranger(2).0).await.unwrap();
    // Fees above the quote are a reason for those alone whose time has come.
    house.node.set_rate(Some(400_000));
    pay_out(&house).await;
    assert!(house.payout(behind).await.reason.is_some());
    assert_eq!(house.payout(held.id).await.reason, None);
    house.node.set_rate(Some(1_000));
    pay_out(&house).await;
    assert_eq!(state(&house, behind).await, PayoutState::Confirmed);
    let waiting = house.payout(held.id).await;
    assert_eq!((waiting.state, waiting.held_until), (PayoutState::Approved, Some(until)));
    assert_eq!(waiting.held(house.clock.now()), Some(until));
    assert_eq!(waiting.reason, None, "it waits for nothing else");
    let has_gone =
        async |n| house.treasury.has_paid_to(account(1), ASSET, &stranger(n).0).await.unwrap();
    assert!(has_gone(2).await && !has_gone(1).await);
    assert!(!house.treasury.has_paid_to(account(2), ASSET, &stranger(2).0).await.unwrap());
    // To the last moment.
    house.clock.set(Timestamp(until.0 - 1));
    pay_out(&house).await;
    assert!(house.chain.payments_to(&stranger(1).1).is_empty());
    house.clock.set(until);
    pay_out(&house).await;
    let paid = house.payout(held.id).await;
    assert_eq!((paid.state, paid.held(until)), (PayoutState::Confirmed, None));
    assert_eq!(house.chain.payments_to(&stranger(1).1).len(), 1);
    assert!(has_gone(1).await);
}

pub async fn a_held_payout_can_be_taken_back_to_its_last_moment(store: Store) {
    let house = rich(store).await;
    let until = house.clock.now().plus(DAY);
    let id = place(&house, 1, until, None).await.id;
    house.clock.set(Timestamp(until.0 - 1));
    pay_out(&house).await;
    house.treasury.cancel_payout(account(1), id).await.unwrap();
    house.clock.set(until);
    pay_out(&house).await;
    assert_eq!(state(&house, id).await, PayoutState::Cancelled);
    assert_eq!((house.available(1).await, house.held(1).await), (20 * COIN, 0));
    assert!(!house.treasury.has_paid_to(account(1), ASSET, &stranger(1).0).await.unwrap());
}

pub async fn a_held_payout_is_not_said_to_wait_for_coins_before_its_time(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 9 * COIN).await;
    // The wallet's one coin goes out and its change waits: only then ask.
    house.request(1, COIN, &stranger(1).0).await.unwrap();
    house.fill(&[3 * COIN]).await;
    house.payer.step().await.unwrap();
    let until = house.clock.now().plus(DAY);
    let held = place_of(&house, 7 * COIN, 2, until, None).await.id;
    let small = house.request(1, COIN, &stranger(3).0).await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(state(&house, small).await, PayoutState::Broadcast);
    let waiting = house.payout(held).await;
    assert_eq!((waiting.state, waiting.reason), (PayoutState::Approved, None));
}
