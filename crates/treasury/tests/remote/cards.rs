//! Places to pay, opened and looked at.

use crate::fake::{self, HOUR, account, contract};
use crate::services::Mood;
use crate::{bench, signed};
use gruve_ledger::{Account, balance};
use gruve_store::Store;
use gruve_treasury::{Heard, InvoiceState, Method, Purpose, Treasury, TreasuryError};
use gruve_units::{Asset, Clock as _};
use serde_json::json;
use std::time::Duration;

pub(super) async fn a_card_pays_an_invoice_once_whatever_is_told_twice_or_out_of_order(
    store: Store,
) {
    let b = bench(store).await;
    let invoice = b.lease(1, 1_235).await;
    assert_eq!(
        b.open(1, &invoice, Method::Card).await.unwrap(),
        "https://checkout.example/cs_test_1"
    );
    let made = b.service.made();
    assert!(made.len() == 1 && made[0].starts_with("session 1235 eur "), "{made:?}");
    // Told before it is so: it is looked at, and nothing is there.
    assert_eq!(b.event("evt_2", "checkout.session.completed", "cs_test_1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::New);
    b.paid("cs_test_1", 1_235);
    assert_eq!(b.event("evt_1", "checkout.session.expired", "cs_test_1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
    for event in ["evt_1", "evt_2", "evt_3"] {
        let heard = b.event(event, "checkout.session.completed", "cs_test_1").await;
        assert_eq!(heard, Heard::Yes);
    }
    b.later().await;
    assert_eq!(b.books(Account::PrepaidWork(contract(1))).await, 1_235);
    assert_eq!((b.available(1).await, b.at("card").await), (0, 1_235));
    // Of others' sessions with the same keys nothing is taken.
    b.service.put("v1/checkout/sessions/cs_other", json!({ "payment_status": "paid" }));
    assert_eq!(b.event("evt_9", "checkout.session.completed", "cs_other").await, Heard::Yes);
    b.house.check().await;
}

pub(super) async fn what_is_not_signed_moves_nothing(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    let body = json!({ "id": "evt_1", "type": "checkout.session.completed",
        "data": { "object": { "id": "cs_test_1" } } });
    let (body, at) = (body.to_string(), b.house.clock.now().secs());
    let with = |secret: &str, at: i64| {
        let tag = signed(secret, &[format!("{at}.").as_bytes(), body.as_bytes()]);
        format!("t={at},v1={tag}")
    };
    let t = &b.house.treasury;
    for header in [String::new(), with("whsec_2", at), with("whsec_1", at - 301), "t=1,v1=".into()]
    {
        assert_eq!(
            t.hear_card(&header, body.as_bytes()).await.unwrap(),
            Heard::NotSigned,
            "{header}"
        );
    }
    let other = body.replace("cs_test_1", "cs_test_2");
    assert_eq!(
        t.hear_card(&with("whsec_1", at), other.as_bytes()).await.unwrap(),
        Heard::NotSigned
    );
    assert_eq!(t.hear_btcpay("sha256=00", b"{}").await.unwrap(), Heard::NotSigned);
    let poison = b"{\"id\":";
    let tag = signed("whsec_1", &[format!("{at}.").as_bytes(), poison]);
    let heard = t.hear_card(&format!("t={at},v1={tag}"), poison).await.unwrap();
    assert_eq!(heard, Heard::Unreadable);
    assert_eq!(b.state(&invoice).await, InvoiceState::New);
    assert_eq!(t.hear_card(&with("whsec_1", at), body.as_bytes()).await.unwrap(), Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
}

pub(super) async fn without_any_webhook_the_payment_is_found_by_looking(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    assert_eq!(b.later().await.booked, 0);
    b.paid("cs_test_1", 500);
    assert_eq!(b.later().await.booked, 1);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
    assert_eq!(b.later().await.looked, 0, "what is over is not looked at");
}

pub(super) async fn a_service_that_is_down_or_garbled_books_nothing_and_is_asked_again(
    store: Store,
) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    for mood in [Mood::Down, Mood::Garbled, Mood::Refuses] {
        b.service.mood(mood);
        let refused = b.open(1, &invoice, Method::Card).await;
        assert!(matches!(refused, Err(TreasuryError::Service { .. })), "{mood:?}: {refused:?}");
        let said = refused.unwrap_err().to_string();
        assert!(!said.contains("sk_test"), "{said}");
    }
    b.service.mood(Mood::Well);
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    for mood in [Mood::Down, Mood::Garbled] {
        b.service.mood(mood);
        let heard = b.event("evt_1", "checkout.session.completed", "cs_test_1").await;
        assert_eq!(heard, Heard::Later, "{mood:?}");
        let polled = b.later().await;
        assert_eq!((polled.failed, polled.booked), (1, 0), "{mood:?}");
    }
    b.service.mood(Mood::Well);
    b.service.set("v1/checkout/sessions/cs_test_1", &json!({ "amount_total": "much" }));
    assert_eq!(b.event("evt_1", "checkout.session.completed", "cs_test_1").await, Heard::Later);
    assert_eq!(b.state(&invoice).await, InvoiceState::New);
    b.paid("cs_test_1", 500);
    assert_eq!(b.event("evt_1", "checkout.session.completed", "cs_test_1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
}

pub(super) async fn an_invoice_has_one_place_at_a_time_even_when_the_answer_was_lost(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.service.mood(Mood::DoneButDown);
    assert!(b.open(1, &invoice, Method::Card).await.is_err());
    b.service.mood(Mood::Well);
    let first = b.open(1, &invoice, Method::Card).await.unwrap();
    assert_eq!(b.open(1, &invoice, Method::Card).await.unwrap(), first);
    assert_eq!(b.service.made().len(), 1);
    assert!(matches!(b.open(2, &invoice, Method::Card).await, Err(TreasuryError::NoInvoice)));
    b.service.set("v1/checkout/sessions/cs_test_1", &json!({ "status": "expired" }));
    b.later().await;
    assert_ne!(b.open(1, &invoice, Method::Card).await.unwrap(), first);
    let coins = b.house.invoice(1, 5_000, Purpose::TopUp).await;
    assert!(
        matches!(b.open(1, &coins, Method::Card).await, Err(TreasuryError::Closed)),
        "no card for coins"
    );
}

pub(super) async fn another_amount_and_another_currency_are_booked_as_they_came(store: Store) {
    let b = bench(store).await;
    let (less, other) = (b.lease(1, 500).await, b.lease(2, 500).await);
    b.open(1, &less, Method::Card).await.unwrap();
    b.open(2, &other, Method::Card).await.unwrap();
    b.paid("cs_test_1", 400);
    b.paid("cs_test_2", 500);
    b.service.set("v1/checkout/sessions/cs_test_2", &json!({ "currency": "usd" }));
    assert_eq!(b.later().await.booked, 2);
    assert_eq!(b.state(&less).await, InvoiceState::Underpaid);
    assert_eq!(b.books(Account::CustomerHeld(account(1))).await, 400);
    assert_eq!(b.state(&other).await, InvoiceState::New);
    let mut tx = b.house.store.read().await.unwrap();
    let own = Account::CustomerAvailable(account(2));
    assert_eq!(balance(&mut tx, &own, Asset::Usd).await.unwrap().minor, 5_000_000);
    drop(tx);
    b.house.check().await;
}

pub(super) async fn a_session_whose_answer_was_lost_is_followed_by_another(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.service.mood(Mood::DoneButDown);
    assert!(b.open(1, &invoice, Method::Card).await.is_err());
    b.service.mood(Mood::Well);
    // Its end is counted from now on: another request, and so another key.
    b.house.clock.advance(Duration::from_secs(2_400));
    b.open(1, &invoice, Method::Card).await.unwrap();
}

pub(super) async fn places_of_a_service_that_is_gone_do_not_stand_in_the_way(store: Store) {
    let mut b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::BtcPay).await.unwrap();
    let (clock, entropy) = (b.house.clock.clone(), b.house.entropy.clone());
    let config = fake::treasury_config(&b.house.node);
    b.house.treasury = Treasury::new(b.house.store.clone(), clock, entropy, config).unwrap();
    assert_eq!(b.later().await.failed, 1);
    assert_eq!(b.house.treasury.poll_checkouts().await.unwrap().looked, 0, "not at once again");
    b.house.clock.advance(HOUR * 24 * 5);
    assert_eq!(b.later().await.failed, 1);
    b.house.clock.advance(HOUR * 24);
    assert_eq!(b.later().await.looked, 0, "given up");
}

pub(super) async fn a_place_that_nobody_pays_at_is_given_up(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::BtcPay).await.unwrap();
    b.house.clock.advance(Duration::from_secs(5 * 86_400));
    assert_eq!(b.house.treasury.poll_checkouts().await.unwrap().looked, 1);
    assert_eq!(b.later().await.looked, 0);
}

pub(super) async fn a_session_that_says_what_cannot_be_books_nothing(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    let place = "v1/checkout/sessions/cs_test_1";
    for (member, said) in [
        ("amount_total", json!(-500)),
        ("amount_total", json!(i64::MAX)),
        ("amount_total", json!(5.5)),
        ("amount_total", json!(null)),
        // A coin is no currency of a card, though the books know it.
        ("currency", json!("btc")),
        ("currency", json!("xyz")),
        ("currency", json!(null)),
        ("payment_intent", json!(null)),
        ("payment_intent", json!("../charges/ch_1")),
        ("payment_status", json!(null)),
        ("status", json!(null)),
    ] {
        b.paid("cs_test_1", 500);
        b.service.set(place, &json!({ "currency": "eur" }));
        b.service.set(place, &json!({ member: said }));
        let heard = b.event("evt_1", "checkout.session.completed", "cs_test_1").await;
        assert_eq!(heard, Heard::Later, "{member} {said}");
        assert_eq!((b.state(&invoice).await, b.at("card").await), (InvoiceState::New, 0));
    }
    b.service.set(place, &json!({ "status": "complete" }));
    assert_eq!(b.event("evt_1", "checkout.session.completed", "cs_test_1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
    // What was told once is not taken back by a smaller figure: what is given back is told as that.
    b.paid("cs_test_1", 400);
    assert_eq!(b.event("evt_2", "checkout.session.completed", "cs_test_1").await, Heard::Yes);
    assert_eq!((b.at("card").await, b.available(1).await), (500, 0));
    b.house.check().await;
}
