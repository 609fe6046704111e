//! What delayed changes promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod post;

use gruve_accounts::{AccountsError, CHANGE_DELAY, Confirmed};
use gruve_store::{Store, laws};
use gruve_units::{Amount, Asset, Clock as _, PayoutId};
use post::{House, PASSWORD, PROOF, named, ticket};

async fn a_new_address_counts_when_it_has_answered_and_the_delay_is_over(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let wrong = ("wrong horse", None);
    assert!(house.accounts.ask_for_email(anna, wrong, "new@example.org", None).await.is_err());
    let due = house.accounts.ask_for_email(anna, PROOF, "New@example.org", None).await.unwrap();
    assert_eq!(due, house.clock.now().plus(CHANGE_DELAY));
    let sent = house.mail().await;
    let to: Vec<_> = sent.iter().map(|m| m.to.as_str()).collect();
    assert!(to.contains(&"new@example.org") && to.contains(&"anna@example.org"), "{to:?}");
    // Time alone is not enough.
    let new = sent.iter().find(|m| m.to == "new@example.org").unwrap();
    let confirmed = house.accounts.confirm(&ticket(new, "confirm")).await.unwrap();
    assert_eq!(confirmed, Confirmed::NewAddress(due));
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0, "not yet");
    house.sign_in("anna@example.org", PASSWORD).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 1);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    house.sign_in("new@example.org", PASSWORD).await.unwrap();
    assert!(house.sign_in("anna@example.org", PASSWORD).await.is_err());
}

async fn an_address_that_never_answered_or_was_stopped_does_not_count(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.ask_for_email(anna, PROOF, "thief@example.org", None).await.unwrap();
    let sent = house.mail().await;
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0, "it has not answered");
    house.accounts.ask_for_email(anna, PROOF, "thief@example.org", None).await.unwrap();
    let sent_again = house.mail().await;
    let new = sent_again.iter().find(|m| m.to.starts_with("thief")).unwrap();
    house.accounts.confirm(&ticket(new, "confirm")).await.unwrap();
    let old = sent.iter().chain(&sent_again).rfind(|m| m.to.starts_with("anna")).unwrap();
    house.accounts.undo(&ticket(old, "undo")).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    assert!(house.accounts.email_change(anna).await.unwrap().is_none());
    house.sign_in("anna@example.org", PASSWORD).await.unwrap();
}

async fn payouts_to_the_book_alone_wait_for_new_addresses_and_for_leaving_it(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let may = async |address: &str| house.accounts.may_pay_to(anna, Asset::Btc, address).await;
    may("bc1anything").await.unwrap();
    house.accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    assert!(matches!(may("bc1anything").await.unwrap_err(), AccountsError::NotInBook));
    let new = (Asset::Btc, "bc1own", "cold");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    let early = may("bc1own").await.unwrap_err();
    assert!(early.to_string().contains("2023-11-15 22:13 UTC"), "{early}");
    house.clock.advance(CHANGE_DELAY);
    may("bc1own").await.unwrap();
    let other = house.accounts.may_pay_to(anna, Asset::Ltc, "bc1own").await.unwrap_err();
    assert!(matches!(other, AccountsError::NotInBook), "of another coin");
    // The same again does not begin anew.
    let again = house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    assert!(again <= house.clock.now());
    // Leaving takes the delay, too.
    house.accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    assert!(matches!(may("bc1anything").await.unwrap_err(), AccountsError::NotInBook));
    assert!(house.accounts.address_book(anna).await.unwrap().only_until.is_some());
    house.clock.advance(CHANGE_DELAY);
    may("bc1anything").await.unwrap();
    assert!(!house.accounts.address_book(anna).await.unwrap().only);
}

async fn a_notice_stops_a_new_payout_address_and_leaving_the_book(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    let new = (Asset::Btc, "bc1thief", "");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    let sent = house.mail().await;
    assert!(sent[0].body.contains("bc1thief"));
    house.accounts.undo(&ticket(&sent[0], "undo")).await.unwrap();
    house.accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    house.accounts.undo(&ticket(&house.mail().await[0], "undo")).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    let refused = house.accounts.may_pay_to(anna, Asset::Btc, "bc1thief").await.unwrap_err();
    assert!(matches!(refused, AccountsError::NotInBook), "{refused}");
}

/// Whoever has a key that withdraws can have many payouts wait, and take them back.
async fn many_payouts_that_wait_keep_their_owner_from_no_other_change(store: Store) {
    let (house, anna) = House::with_anna(store.clone()).await;
    let told = async |n: u8| {
        let mut tx = store.begin().await.unwrap();
        let what = (Amount::new(Asset::Btc, 1_000), "bc1new");
        let due = house.clock.now().plus(CHANGE_DELAY);
        let id = PayoutId::from_bytes([n; 16]);
        let told = house.accounts.tell_of_payout(&mut tx, anna, id, what, due).await;
        tx.commit().await.unwrap();
        house.mail().await;
        told
    };
    for n in 0..20 {
        told(n).await.unwrap();
    }
    let many = told(20).await.unwrap_err();
    let AccountsError::TooManyAttempts { retry_after } = many else { panic!("{many}") };
    assert_eq!(retry_after, CHANGE_DELAY * 2, "until the first of them is over");
    house.accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    house.accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    let new = (Asset::Btc, "bc1own", "cold");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    house.accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap();
    house.clock.advance(CHANGE_DELAY * 2);
    told(21).await.unwrap();
}

/// A change that waits longer than a ticket is usually good can be stopped to the end.
async fn the_way_to_stop_a_change_lasts_as_long_as_its_delay(store: Store) {
    let long = CHANGE_DELAY * 30;
    let house = House::waiting(store, long).await;
    let anna = house.accounts.sign_up(named("anna")).await.unwrap();
    let new = (Asset::Btc, "bc1thief", "");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    let sent = house.mail().await;
    house.clock.advance(long - CHANGE_DELAY);
    house.accounts.undo(&ticket(&sent[0], "undo")).await.unwrap();
    assert!(house.accounts.address_book(anna).await.unwrap().addresses.is_empty());
}

laws! { changes: [
    a_new_address_counts_when_it_has_answered_and_the_delay_is_over,
    an_address_that_never_answered_or_was_stopped_does_not_count,
    payouts_to_the_book_alone_wait_for_new_addresses_and_for_leaving_it,
    a_notice_stops_a_new_payout_address_and_leaving_the_book,
    many_payouts_that_wait_keep_their_owner_from_no_other_change,
    the_way_to_stop_a_change_lasts_as_long_as_its_delay,
] }
