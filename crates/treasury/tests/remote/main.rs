//! What payments at other services promise, over HTTP against stand-ins that misbehave, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod disputes;
#[path = "../fake/mod.rs"]
mod fake;
mod missed;
mod services;

use fake::{HOUR, House, Market, account, contract};
use gruve_ledger::{Account, balance};
use gruve_store::Store;
use gruve_treasury::remote::PATIENCE;
use gruve_treasury::{
    BtcPayConfig, CrashPoints, Heard, Invoice, InvoiceState, Method, Purpose, Secret, StripeConfig,
    Treasury, TreasuryError,
};
use gruve_units::{Amount, Asset, Clock as _};
use ring::hmac;
use serde_json::{Value, json};
use services::{Mood, StandIn};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

gruve_store::laws! { remote: [
    a_card_pays_an_invoice_once_whatever_is_told_twice_or_out_of_order,
    what_is_not_signed_moves_nothing,
    without_any_webhook_the_payment_is_found_by_looking,
    a_service_that_is_down_or_garbled_books_nothing_and_is_asked_again,
    a_service_that_never_answers_is_given_up_in_time_and_nothing_is_lost,
    an_invoice_has_one_place_at_a_time_even_when_the_answer_was_lost,
    another_amount_and_another_currency_are_booked_as_they_came,
    a_refund_is_asked_for_once_however_often_the_answer_is_lost,
    a_refund_that_is_refused_is_back_in_the_balance,
    a_refund_made_at_the_service_is_counted_once,
    a_dispute_keeps_everything_here_until_it_is_settled,
    a_coin_server_pays_an_invoice_and_what_comes_late_goes_to_the_balance,
    a_place_that_nobody_pays_at_is_given_up,
    coins_that_no_block_confirms_are_not_credited,
    a_refund_whose_answer_was_lost_is_not_given_twice_by_a_later_no,
    a_refund_that_fails_at_the_service_is_back,
    what_is_told_of_a_payment_before_it_is_booked_counts_all_the_same,
    a_dispute_whose_end_nobody_told_is_found_settled_by_looking,
    what_a_lost_dispute_left_owing_keeps_everything_here_until_it_is_released,
    a_refused_refund_of_what_is_held_is_held_again,
    a_session_whose_answer_was_lost_is_followed_by_another,
    places_of_a_service_that_is_gone_do_not_stand_in_the_way,
    broken_off_anywhere_a_card_payment_is_booked_once_and_given_back_once,
]}

const STORE: &str = "Store1";

struct Bench {
    house: House,
    service: StandIn,
    /// How long answers are waited for.
    patience: Duration,
}

async fn bench(store: Store) -> Bench {
    let house = House::new(store, 1).await;
    let mut bench = Bench { house, service: StandIn::start().await, patience: PATIENCE };
    bench.restart();
    bench
}

impl Bench {
    /// As after a kill: everything in memory is gone.
    fn restart(&mut self) {
        let Bench { house, service, patience } = self;
        let mut config = fake::treasury_config(&house.node);
        config.stripe = Some(StripeConfig {
            url: service.url(),
            secret_key: Secret::new("sk_test_1"),
            webhook_secrets: vec![Secret::new("whsec_1")],
            assets: vec![Asset::Eur],
            origin: "https://mine.example".into(),
            authorities: PathBuf::new(),
            patience: *patience,
        });
        config.btcpay = Some(BtcPayConfig {
            url: service.url(),
            store: STORE.into(),
            api_key: Secret::new("btc-key"),
            webhook_secret: Secret::new("btc-hook"),
            assets: vec![Asset::Eur, Asset::Btc],
            origin: "https://mine.example".into(),
            authorities: PathBuf::new(),
            patience: *patience,
        });
        let (clock, entropy) = (house.clock.clone(), house.entropy.clone());
        house.treasury = Treasury::new(house.store.clone(), clock, entropy, config).unwrap();
        house.treasury.tell_invoices_to(Arc::new(Market { refuses: house.refuses }));
    }
}

fn eur(cents: i64) -> Amount {
    Amount::new(Asset::Eur, cents * 10_000)
}

fn signed(secret: &str, parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, &parts.concat()))
}

impl Bench {
    async fn lease(&self, n: u8, cents: i64) -> Invoice {
        self.house.invoice_in(n, eur(cents), Purpose::Contract(contract(n))).await
    }

    async fn open(
        &self,
        n: u8,
        invoice: &Invoice,
        method: Method,
    ) -> Result<String, TreasuryError> {
        self.house.treasury.open_checkout(account(n), invoice.id, method).await
    }

    /// A signed event about an object.
    async fn event(&self, id: &str, kind: &str, object: &str) -> Heard {
        let body = json!({ "id": id, "type": kind, "data": { "object": { "id": object } } });
        let (body, at) = (body.to_string(), self.house.clock.now().secs());
        let tag = signed("whsec_1", &[format!("{at}.").as_bytes(), body.as_bytes()]);
        let header = format!("t={at},v1={tag}");
        self.house.treasury.hear_card(&header, body.as_bytes()).await.unwrap()
    }

    async fn delivery(&self, id: &str, invoice: &str) -> Heard {
        let body = json!({ "deliveryId": id, "type": "InvoiceSettled", "storeId": STORE, "invoiceId": invoice });
        let body = body.to_string();
        let header = format!("sha256={}", signed("btc-hook", &[body.as_bytes()]));
        self.house.treasury.hear_btcpay(&header, body.as_bytes()).await.unwrap()
    }

    /// The customer pays the session at the service.
    fn paid(&self, session: &str, cents: i64) {
        let paid = json!({ "status": "complete", "payment_status": "paid", "amount_total": cents,
            "payment_intent": format!("pi_{session}") });
        self.service.set(&format!("v1/checkout/sessions/{session}"), &paid);
    }

    async fn state(&self, invoice: &Invoice) -> InvoiceState {
        self.house.look(invoice.id).await.state
    }

    async fn books(&self, account: Account) -> i64 {
        let mut tx = self.house.store.read().await.unwrap();
        balance(&mut tx, &account, Asset::Eur).await.unwrap().minor / 10_000
    }

    async fn available(&self, n: u8) -> i64 {
        self.books(Account::CustomerAvailable(account(n))).await
    }

    async fn at(&self, method: &str) -> i64 {
        self.books(Account::Clearing(method.into())).await
    }

    /// Looks at all that is due a while later.
    async fn later(&self) -> gruve_treasury::Polled {
        self.house.clock.advance(Duration::from_secs(600));
        self.house.treasury.poll_checkouts().await.unwrap()
    }

    /// A top-up of an account that was paid by card; gives the payment's name at the service.
    async fn topped_up(&self, n: u8, cents: i64) -> (gruve_treasury::Payment, String) {
        let invoice = self.house.invoice_in(n, eur(cents), Purpose::TopUp).await;
        let url = self.open(n, &invoice, Method::Card).await.unwrap();
        let session = url.rsplit('/').next().unwrap().to_owned();
        self.paid(&session, cents);
        assert_eq!(self.later().await.booked, 1);
        let payment = self.house.treasury.payments(account(n)).await.unwrap().remove(0);
        (payment, format!("pi_{session}"))
    }
}

async fn a_card_pays_an_invoice_once_whatever_is_told_twice_or_out_of_order(store: Store) {
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

async fn what_is_not_signed_moves_nothing(store: Store) {
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

async fn without_any_webhook_the_payment_is_found_by_looking(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    assert_eq!(b.later().await.booked, 0);
    b.paid("cs_test_1", 500);
    assert_eq!(b.later().await.booked, 1);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
    assert_eq!(b.later().await.looked, 0, "what is over is not looked at");
}

async fn a_service_that_is_down_or_garbled_books_nothing_and_is_asked_again(store: Store) {
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

/// Long for whoever waits in a test, short for a service.
const MOMENT: Duration = Duration::from_millis(50);

impl Bench {
    /// The service falls silent, and the house will not wait for it.
    fn silent(&mut self, mood: Mood) {
        self.service.mood(mood);
        self.patience = MOMENT;
        self.restart();
    }

    /// It answers again, and has all the time it needs.
    fn well(&mut self) {
        self.service.mood(Mood::Well);
        self.patience = PATIENCE;
        self.restart();
    }
}

async fn a_service_that_never_answers_is_given_up_in_time_and_nothing_is_lost(store: Store) {
    let mut b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    for mood in [Mood::Silent, Mood::Halts, Mood::DoneButSilent] {
        b.silent(mood);
        for method in [Method::Card, Method::BtcPay] {
            let said = b.open(1, &invoice, method).await;
            let Err(TreasuryError::Service { why, is_refused, .. }) = said else {
                panic!("{mood:?}: {said:?}")
            };
            assert_eq!((why.as_str(), is_refused), ("no answer: it took too long", false));
        }
    }
    b.well();
    let url = b.open(1, &invoice, Method::Card).await.unwrap();
    let sessions = b.service.made().into_iter().filter(|m| m.starts_with("session"));
    assert_eq!(sessions.count(), 1, "what was made while it was silent is the same place");

    let session = url.rsplit('/').next().unwrap().to_owned();
    b.paid(&session, 500);
    for mood in [Mood::Silent, Mood::Halts] {
        b.silent(mood);
        let heard = b.event("evt_1", "checkout.session.completed", &session).await;
        assert_eq!(heard, Heard::Later, "{mood:?}");
        let polled = b.later().await;
        assert_eq!((polled.looked, polled.booked, polled.failed), (1, 0, 1), "{mood:?}");
    }
    assert_eq!((b.state(&invoice).await, b.at("card").await), (InvoiceState::New, 0));
    b.well();
    let heard = b.event("evt_1", "checkout.session.completed", &session).await;
    assert_eq!((heard, b.state(&invoice).await), (Heard::Yes, InvoiceState::Confirmed));

    let (payment, intent) = b.topped_up(2, 500).await;
    for mood in [Mood::Silent, Mood::DoneButSilent] {
        b.silent(mood);
        if b.available(2).await == 500 {
            let asked = b.house.treasury.refund(payment.id, eur(200), eur(0), "asked for it");
            asked.await.unwrap();
        }
        b.later().await;
        assert_eq!(b.available(2).await, 300, "taken before the service is asked");
    }
    b.well();
    b.later().await;
    b.later().await;
    let refunds: Vec<String> =
        b.service.made().into_iter().filter(|m| m.starts_with("refund")).collect();
    assert_eq!(refunds, [format!("refund {intent} 200")]);
    assert_eq!((b.available(2).await, b.at("card").await), (300, 800));
    b.house.check().await;
}

async fn an_invoice_has_one_place_at_a_time_even_when_the_answer_was_lost(store: Store) {
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

async fn another_amount_and_another_currency_are_booked_as_they_came(store: Store) {
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

async fn a_refund_is_asked_for_once_however_often_the_answer_is_lost(store: Store) {
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

async fn a_refund_that_is_refused_is_back_in_the_balance(store: Store) {
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

async fn a_refund_made_at_the_service_is_counted_once(store: Store) {
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

fn dispute(intent: &str, status: &str) -> Value {
    json!({ "payment_intent": intent, "amount": 500, "status": status })
}

async fn a_dispute_keeps_everything_here_until_it_is_settled(store: Store) {
    let b = bench(store).await;
    b.house.fill(&[50_000_000]).await;
    b.house.top_up(1, 8_000_000).await;
    let (_, intent) = b.topped_up(1, 500).await;
    let to = fake::stranger(1).0;
    let before = b
        .house
        .treasury
        .request_payout(gruve_treasury::NewPayout {
            account: account(1),
            amount: fake::sat(1_000_000),
            address: to.clone(),
            request_key: None,
        })
        .await
        .unwrap();
    b.service.put("v1/disputes/dp_1", dispute(&intent, "needs_response"));
    assert_eq!(b.event("evt_1", "charge.dispute.created", "dp_1").await, Heard::Yes);
    assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
    let payer = gruve_treasury::Payer::new(b.house.treasury.clone());
    payer.step().await.unwrap();
    let payout = b.house.payout(before).await;
    assert_eq!(payout.state.word(), "approved", "what was asked for before stays here too");
    let ask = || {
        b.house.treasury.request_payout(gruve_treasury::NewPayout {
            account: account(1),
            amount: fake::sat(1_000_000),
            address: to.clone(),
            request_key: None,
        })
    };
    assert!(matches!(ask().await, Err(TreasuryError::Disputed)));
    b.service.put("v1/disputes/dp_1", dispute(&intent, "won"));
    assert_eq!(b.event("evt_2", "charge.dispute.closed", "dp_1").await, Heard::Yes);
    // Late and out of order: it is closed, and stays so.
    assert_eq!(b.event("evt_0", "charge.dispute.updated", "dp_1").await, Heard::Yes);
    ask().await.unwrap();
    payer.step().await.unwrap();
    assert_ne!(b.house.payout(before).await.state.word(), "approved");
    assert_eq!(b.available(1).await, 500);
    b.service.put("v1/disputes/dp_2", dispute(&intent, "lost"));
    for n in 3..5 {
        let heard = b.event(&format!("evt_{n}"), "charge.dispute.closed", "dp_2").await;
        assert_eq!(heard, Heard::Yes);
    }
    assert_eq!((b.available(1).await, b.at("card").await), (0, 0));
    assert!(!b.house.treasury.is_disputed(account(1)).await.unwrap());
}

async fn a_coin_server_pays_an_invoice_and_what_comes_late_goes_to_the_balance(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 1_200).await;
    assert_eq!(b.open(1, &invoice, Method::BtcPay).await.unwrap(), "https://btcpay.example/i/inv1");
    let place = "api/v1/stores/Store1/invoices/inv1";
    let methods = format!("{place}/payment-methods");
    b.service.set(place, &json!({ "status": "Processing" }));
    assert_eq!(b.delivery("d1", "inv1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::New);
    // Part of it came, and its time is over.
    b.service.set(place, &json!({ "status": "Expired", "additionalStatus": "PaidPartial" }));
    assert_eq!(b.delivery("d2", "inv1").await, Heard::Later, "no payment methods are told yet");
    b.service.put(&methods, paid_coins("0.0001", "Settled"));
    assert_eq!(b.delivery("d2", "inv1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Underpaid);
    assert_eq!(b.books(Account::CustomerHeld(account(1))).await, 500);
    b.house.clock.advance(HOUR + Duration::from_secs(1));
    gruve_treasury::Payer::new(b.house.treasury.clone()).step().await.unwrap();
    assert_eq!(b.available(1).await, 500);
    // The rest comes late.
    b.service.set(place, &json!({ "status": "Settled", "additionalStatus": "PaidLate" }));
    b.service.put(&methods, paid_coins("0.00024", "Settled"));
    for _ in 0..2 {
        assert_eq!(b.delivery("d3", "inv1").await, Heard::Yes);
        assert_eq!((b.available(1).await, b.at("btcpay").await), (1_200, 1_200));
    }
    // Coins, as for Lightning.
    let coins = b.house.invoice(2, 4_000, Purpose::Contract(contract(2))).await;
    b.open(2, &coins, Method::BtcPay).await.unwrap();
    assert_eq!(b.service.made()[1], "invoice \"0.00004000\" \"BTC\"");
    b.service.set("api/v1/stores/Store1/invoices/inv2", &json!({ "status": "Settled" }));
    b.service.put("api/v1/stores/Store1/invoices/inv2/payment-methods", json!([]));
    assert_eq!(b.later().await.booked, 1);
    assert_eq!(b.house.balance(Account::PrepaidWork(contract(2))).await, 4_000);
    b.house.check().await;
}

/// Payment methods of an invoice at 50,000 euros a coin.
fn paid_coins(coins: &str, status: &str) -> Value {
    json!([{ "paymentMethodPaid": coins, "rate": "50000",
        "payments": [{ "value": coins, "status": status }] }])
}

async fn coins_that_no_block_confirms_are_not_credited(store: Store) {
    let b = bench(store).await;
    let invoice = b.house.invoice_in(1, eur(1_200), Purpose::TopUp).await;
    b.open(1, &invoice, Method::BtcPay).await.unwrap();
    let place = "api/v1/stores/Store1/invoices/inv1";
    let methods = format!("{place}/payment-methods");
    b.service.set(place, &json!({ "status": "Expired", "additionalStatus": "PaidPartial" }));
    b.service.put(&methods, paid_coins("0.0002", "Processing"));
    assert_eq!(b.delivery("d1", "inv1").await, Heard::Yes);
    assert_eq!(b.available(1).await, 0);
    assert_eq!(b.later().await.looked, 1, "it is watched on");
    b.service.put(&methods, paid_coins("0.0002", "Settled"));
    assert_eq!(b.later().await.booked, 1);
    assert_eq!(b.available(1).await, 1_000);
    b.house.check().await;
}

async fn a_refund_whose_answer_was_lost_is_not_given_twice_by_a_later_no(store: Store) {
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

async fn a_refund_that_fails_at_the_service_is_back(store: Store) {
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

async fn what_is_told_of_a_payment_before_it_is_booked_counts_all_the_same(store: Store) {
    let b = bench(store).await;
    let invoice = b.house.invoice_in(1, eur(500), Purpose::TopUp).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    let intent = "pi_cs_test_1";
    b.service.put("v1/charges/ch_1", json!({ "payment_intent": intent, "amount_refunded": 200 }));
    assert_eq!(b.event("evt_1", "charge.refunded", "ch_1").await, Heard::Yes);
    assert_eq!(b.available(1).await, 300);
    let invoice = b.house.invoice_in(2, eur(500), Purpose::TopUp).await;
    b.open(2, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_2", 500);
    b.service.put("v1/disputes/dp_1", dispute("pi_cs_test_2", "needs_response"));
    assert_eq!(b.event("evt_2", "charge.dispute.created", "dp_1").await, Heard::Yes);
    assert!(b.house.treasury.is_disputed(account(2)).await.unwrap());
    // Of a payment that is none of ours nothing is counted.
    b.service.put("v1/charges/ch_2", json!({ "payment_intent": "pi_x", "amount_refunded": 200 }));
    assert_eq!(b.event("evt_3", "charge.refunded", "ch_2").await, Heard::Yes);
    b.house.check().await;
}

async fn a_dispute_whose_end_nobody_told_is_found_settled_by_looking(store: Store) {
    let b = bench(store).await;
    for (n, (dispute_id, end)) in
        [("dp_1", "won"), ("dp_2", "charge_refunded")].into_iter().enumerate()
    {
        let (_, intent) = b.topped_up(1, 500).await;
        let place = format!("v1/disputes/{dispute_id}");
        b.service.put(&place, dispute(&intent, "needs_response"));
        let event = format!("evt_{n}");
        assert_eq!(b.event(&event, "charge.dispute.created", dispute_id).await, Heard::Yes);
        b.later().await;
        assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
        b.service.put(&place, dispute(&intent, end));
        b.later().await;
        assert!(b.house.treasury.is_disputed(account(1)).await.unwrap(), "not at once again");
        b.house.clock.advance(Duration::from_secs(6 * 3_600));
        b.later().await;
        assert!(!b.house.treasury.is_disputed(account(1)).await.unwrap(), "{end}");
    }
    b.house.check().await;
}

async fn what_a_lost_dispute_left_owing_keeps_everything_here_until_it_is_released(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    b.later().await;
    assert_eq!(b.books(Account::PrepaidWork(contract(1))).await, 500);
    b.service.put("v1/disputes/dp_1", dispute("pi_cs_test_1", "lost"));
    assert_eq!(b.event("evt_1", "charge.dispute.closed", "dp_1").await, Heard::Yes);
    let t = &b.house.treasury;
    assert!(t.is_disputed(account(1)).await.unwrap(), "what was bought earns on");
    assert!(t.release_disputes(account(1)).await.unwrap());
    assert!(!t.is_disputed(account(1)).await.unwrap());
    assert!(!t.release_disputes(account(1)).await.unwrap());
    b.house.check().await;
}

async fn a_refused_refund_of_what_is_held_is_held_again(store: Store) {
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

async fn a_session_whose_answer_was_lost_is_followed_by_another(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.service.mood(Mood::DoneButDown);
    assert!(b.open(1, &invoice, Method::Card).await.is_err());
    b.service.mood(Mood::Well);
    // Its end is counted from now on: another request, and so another key.
    b.house.clock.advance(Duration::from_secs(2_400));
    b.open(1, &invoice, Method::Card).await.unwrap();
}

async fn places_of_a_service_that_is_gone_do_not_stand_in_the_way(store: Store) {
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

/// Passes so many points, then breaks off once.
struct Fuse(AtomicI64);

impl CrashPoints for Fuse {
    fn passes(&self, _: &'static str) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) != 1
    }
}

async fn broken_off_anywhere_a_card_payment_is_booked_once_and_given_back_once(store: Store) {
    let mut b = bench(store).await;
    let (mut fuse, mut given) = (1, 0);
    loop {
        b.restart();
        let points = Arc::new(Fuse(AtomicI64::new(fuse)));
        b.house.treasury.break_off_with(points.clone());
        let invoice = b.house.invoice_in(1, eur(500), Purpose::TopUp).await;
        let url = loop {
            match b.open(1, &invoice, Method::Card).await {
                Ok(url) => break url,
                Err(TreasuryError::BrokenOff(_)) => b.restart(),
                Err(e) => panic!("{e}"),
            }
        };
        b.paid(url.rsplit('/').next().unwrap(), 500);
        while b.state(&invoice).await != InvoiceState::Confirmed {
            b.house.clock.advance(Duration::from_secs(600));
            match b.house.treasury.poll_checkouts().await {
                Ok(_) => {}
                Err(TreasuryError::BrokenOff(_)) => b.restart(),
                Err(e) => panic!("{e}"),
            }
        }
        let payment = b.house.treasury.payments(account(1)).await.unwrap().remove(0);
        assert_eq!((payment.invoice, payment.amount), (Some(invoice.id), eur(500)));
        loop {
            let t = &b.house.treasury;
            match t.refund(payment.id, eur(200), eur(0), "x").await {
                Ok(()) | Err(TreasuryError::NoPayment) => break,
                Err(TreasuryError::BrokenOff(_)) => b.restart(),
                Err(e) => panic!("{e}"),
            }
        }
        while b.house.treasury.poll_checkouts().await.is_err() {
            b.restart();
        }
        // Judged by the service's own books, too.
        given += 1;
        let refunds = b.service.made().iter().filter(|m| m.starts_with("refund")).count();
        assert_eq!(refunds, given, "fuse {fuse}");
        let left = 300 * i64::try_from(given).unwrap();
        assert_eq!((b.available(1).await, b.at("card").await), (left, left), "fuse {fuse}");
        if points.0.load(Ordering::SeqCst) > 0 {
            break;
        }
        fuse += 1;
    }
    assert!(fuse > 5, "{fuse} points were tried");
    b.house.check().await;
}

async fn a_place_that_nobody_pays_at_is_given_up(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::BtcPay).await.unwrap();
    b.house.clock.advance(Duration::from_secs(5 * 86_400));
    assert_eq!(b.house.treasury.poll_checkouts().await.unwrap().looked, 1);
    assert_eq!(b.later().await.looked, 0);
}
