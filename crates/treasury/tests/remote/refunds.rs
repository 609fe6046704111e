//! Card payments given back.

use crate::fake::{HOUR, account};
use crate::services::Mood;
use crate::{bench, eur};
use gruve_ledger::{Account, LedgerError};
use gruve_store::Store;
use gruve_treasury::{Heard, Method, Purpose, TreasuryError};
use gruve_units::{Amount, Asset};
use serde_json::json;

pub(super) async fn a_refund_is_asked_for_once_however_often_the_answer_is_lost(store: Store) {
    let b = bench(store).await;
    let (payment, intent) = b.topped_up(1, 500).await;
    let t = &b.house.treasury;
    let much = t.refund(payment.id, eur(501), eur(0), "x").await;
    assert!(matches!(much, Err(TreasuryError::NoPayment)));
    b.service.mood(Mood::DoneButDown);
    t.refund(payment.id, eur(200), eur(0), "asked for it").await.unwrap();
    let again = t.refund(payment.id, eur(200), eur(0), "asked for it").await;
    assert!(matches!(again, Err(TreasuryError::NoPayment)), "asked twice, given once");
    assert_eq!(b.available(1).await, 300, "taken before the service is asked");
    b.later().await;
    b.service.mood(Mood::Well);
    b.later().await;
    b.later().await;
    let refunds: Vec<String> =
        b.service.made().into_iter().filter(|m| m.starts_with("refund")).collect();
    assert_eq!(refunds, [format!("refund {intent} 200")]);
    // The service tells of it: it is counted already.
    let charge = json!({ "payment_intent": intent, "amount_refunded": 200 });
    b.service.put("v1/charges/ch_1", charge);
    assert_eq!(b.event("evt_1", "charge.refunded", "ch_1").await, Heard::Yes);
    assert_eq!((b.available(1).await, b.at("card").await), (300, 300));
    b.house.check().await;
}

pub(super) async fn a_refund_that_is_refused_is_back_in_the_balance(store: Store) {
    let b = bench(store).await;
    let (payment, _) = b.topped_up(1, 500).await;
    b.service.mood(Mood::Refuses);
    b.house.treasury.refund(payment.id, eur(500), eur(0), "x").await.unwrap();
    assert_eq!((b.available(1).await, b.at("card").await), (500, 500));
    b.service.mood(Mood::Well);
    b.later().await;
    assert_eq!(b.available(1).await, 500);
    b.house.treasury.refund(payment.id, eur(500), eur(0), "again").await.unwrap();
    assert_eq!((b.available(1).await, b.at("card").await), (0, 0));
    b.house.check().await;
}

pub(super) async fn a_refund_made_at_the_service_is_counted_once(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    for (n, all, left) in [(1, 100, 400), (2, 100, 400), (3, 250, 250), (4, 9_999, 0)] {
        let charge = json!({ "payment_intent": intent, "amount_refunded": all });
        b.service.put("v1/charges/ch_1", charge);
        assert_eq!(b.event(&format!("evt_{n}"), "charge.refunded", "ch_1").await, Heard::Yes);
        assert_eq!((b.available(1).await, b.at("card").await), (left, left));
    }
    b.house.check().await;
}

pub(super) async fn a_refund_whose_answer_was_lost_is_not_given_twice_by_a_later_no(store: Store) {
    let b = bench(store).await;
    let (payment, _) = b.topped_up(1, 500).await;
    b.service.mood(Mood::DoneButDown);
    b.house.treasury.refund(payment.id, eur(200), eur(0), "x").await.unwrap();
    for mood in [Mood::Unknown, Mood::Refuses] {
        b.service.mood(mood);
        b.service.books.lock().unwrap().once.clear();
        b.later().await;
        assert_eq!((b.available(1).await, b.at("card").await), (300, 300), "{mood:?}");
    }
    // Days later the service has forgotten the key: what it gave is asked for first.
    b.service.mood(Mood::Well);
    let (payment, _) = b.topped_up(2, 500).await;
    b.service.mood(Mood::DoneButDown);
    b.house.treasury.refund(payment.id, eur(200), eur(0), "x").await.unwrap();
    b.service.books.lock().unwrap().once.clear();
    b.service.mood(Mood::Well);
    b.house.clock.advance(HOUR * 30);
    b.later().await;
    let made = b.service.made();
    assert_eq!(made.iter().filter(|m| m.starts_with("refund")).count(), 2, "{made:?}");
    b.house.check().await;
}

pub(super) async fn a_refund_that_fails_at_the_service_is_back(store: Store) {
    let b = bench(store).await;
    let (payment, _) = b.topped_up(1, 500).await;
    b.house.treasury.refund(payment.id, eur(200), eur(0), "x").await.unwrap();
    assert_eq!(b.available(1).await, 300);
    let name = b.service.books.lock().unwrap().refunds[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(b.event("evt_1", "refund.updated", &name).await, Heard::Yes);
    assert_eq!(b.available(1).await, 300);
    b.service.set(&format!("v1/refunds/{name}"), &json!({ "status": "failed" }));
    for n in 2..4 {
        assert_eq!(b.event(&format!("evt_{n}"), "refund.failed", &name).await, Heard::Yes);
        assert_eq!((b.available(1).await, b.at("card").await), (500, 500));
    }
    b.house.check().await;
}

pub(super) async fn a_refused_refund_of_what_is_held_is_held_again(store: Store) {
    let b = bench(store).await;
    b.topped_up(1, 500).await;
    let invoice = b.lease(1, 1_000).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_2", 500);
    b.later().await;
    let held = || b.books(Account::CustomerHeld(account(1)));
    assert_eq!((held().await, b.available(1).await), (500, 500));
    let all = b.house.treasury.payments(account(1)).await.unwrap();
    let payment = all.iter().find(|p| p.invoice == Some(invoice.id)).unwrap();
    b.service.mood(Mood::Refuses);
    b.house.treasury.refund(payment.id, eur(500), eur(0), "x").await.unwrap();
    assert_eq!((held().await, b.available(1).await), (500, 500));
    b.house.check().await;
}

pub(super) async fn only_whole_cents_of_what_is_left_of_a_card_payment_are_given_back(
    store: Store,
) {
    let b = bench(store).await;
    let (payment, _) = b.topped_up(1, 500).await;
    let t = &b.house.treasury;
    let dollars = Amount::new(Asset::Usd, 2_000_000);
    for (amount, taken) in [
        (eur(0), eur(0)),
        (eur(-200), eur(0)),
        (Amount::new(Asset::Eur, 15_000), eur(0)),
        (Amount::new(Asset::Eur, 1), eur(0)),
        (dollars, eur(0)),
        (eur(200), Amount::new(Asset::Usd, 0)),
        (eur(200), eur(1)),
        (eur(501), eur(0)),
    ] {
        let refused = t.refund(payment.id, amount, taken, "x").await;
        assert!(matches!(refused, Err(TreasuryError::NoPayment)), "{amount}: {refused:?}");
    }
    // One that came another way is no card's to give back.
    let invoice = b.house.invoice_in(2, eur(500), Purpose::TopUp).await;
    let url = b.open(2, &invoice, Method::BtcPay).await.unwrap();
    let place = format!("api/v1/stores/Store1/invoices/{}", url.rsplit('/').next().unwrap());
    b.service.set(&place, &json!({ "status": "Settled" }));
    b.service.put(&format!("{place}/payment-methods"), json!([]));
    assert_eq!(b.later().await.booked, 1);
    let coins = t.payments(account(2)).await.unwrap().remove(0);
    let refused = t.refund(coins.id, eur(200), eur(0), "x").await;
    assert!(matches!(refused, Err(TreasuryError::NoPayment)), "{refused:?}");
    // Nor what its customer has spent.
    let spent = b.lease(1, 400).await;
    t.pay_from_balance(account(1), spent.id).await.unwrap();
    let refused = t.refund(payment.id, eur(200), eur(0), "x").await;
    let short =
        matches!(refused, Err(TreasuryError::Ledger(LedgerError::InsufficientFunds { .. })));
    assert!(short, "{refused:?}");
    let made = b.service.made();
    assert!(!made.iter().any(|m| m.starts_with("refund")), "{made:?}");
    assert_eq!((b.available(1).await, b.available(2).await), (100, 500));
    t.refund(payment.id, eur(100), eur(0), "x").await.unwrap();
    assert_eq!((b.available(1).await, b.at("card").await), (0, 400));
    b.house.check().await;
}
