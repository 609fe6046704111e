//! A service that never answers, and a house that breaks off anywhere.

use crate::coins::paid_coins;
use crate::fake::account;
use crate::services::Mood;
use crate::{Bench, STORE, bench, eur};
use gruve_store::Store;
use gruve_treasury::remote::PATIENCE;
use gruve_treasury::{CrashPoints, Heard, Invoice, InvoiceState, Method, Purpose, TreasuryError};
use gruve_units::Amount;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Long for whoever waits in a test, short for a service.
const MOMENT: Duration = Duration::from_millis(50);

impl Bench {
    /// The service falls silent, and the house will not wait for it.
    pub(super) fn silent(&mut self, mood: Mood) {
        self.service.mood(mood);
        self.patience = MOMENT;
        self.restart();
    }

    /// It answers again, and has all the time it needs.
    pub(super) fn well(&mut self) {
        self.service.mood(Mood::Well);
        self.patience = PATIENCE;
        self.restart();
    }
}

pub(super) async fn a_service_that_never_answers_is_given_up_in_time_and_nothing_is_lost(
    store: Store,
) {
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

/// Passes so many points, then breaks off once.
pub(super) struct Fuse(pub(super) AtomicI64);

impl CrashPoints for Fuse {
    fn passes(&self, _: &'static str) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) != 1
    }
}

impl Bench {
    /// Asks for an invoice until there is an answer.
    async fn order(&mut self, n: u8, amount: Amount, purpose: Purpose) -> Invoice {
        loop {
            match self.house.ask_invoice(n, amount, purpose).await {
                Ok(invoice) => return invoice,
                Err(TreasuryError::BrokenOff(_)) => self.restart(),
                Err(e) => panic!("{e}"),
            }
        }
    }
}

pub(super) async fn broken_off_anywhere_a_payment_at_the_coin_server_is_booked_once(store: Store) {
    let mut b = bench(store).await;
    let mut fuse = 1;
    loop {
        b.restart();
        let points = Arc::new(Fuse(AtomicI64::new(fuse)));
        b.house.treasury.break_off_with(points.clone());
        let before = (b.available(1).await, b.at("btcpay").await);
        let invoice = b.order(1, eur(500), Purpose::TopUp).await;
        let url = loop {
            match b.open(1, &invoice, Method::BtcPay).await {
                Ok(url) => break url,
                Err(TreasuryError::BrokenOff(_)) => b.restart(),
                Err(e) => panic!("{e}"),
            }
        };
        // Only where the customer was led to is anything paid: first a part, then the rest, and the server tells
        // of each.
        let name = url.rsplit('/').next().unwrap().to_owned();
        let place = format!("api/v1/stores/{STORE}/invoices/{name}");
        let methods = format!("{place}/payment-methods");
        b.service.put(&methods, paid_coins("0.00004", "Settled"));
        b.service.set(&place, &json!({ "status": "Expired", "additionalStatus": "PaidPartial" }));
        b.heard(&format!("part{fuse}"), &name).await;
        b.service.put(&methods, paid_coins("0.0001", "Settled"));
        b.service.set(&place, &json!({ "status": "Settled", "additionalStatus": "PaidLate" }));
        b.heard(&format!("rest{fuse}"), &name).await;
        assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed, "fuse {fuse}");
        // Told once more, it is the same payment.
        b.heard(&format!("again{fuse}"), &name).await;
        let has = (b.available(1).await, b.at("btcpay").await);
        assert_eq!(has, (before.0 + 500, before.1 + 500), "fuse {fuse}");
        if points.0.load(Ordering::SeqCst) > 0 {
            break;
        }
        fuse += 1;
    }
    assert!(fuse > 5, "{fuse} points were tried");
    b.house.check().await;
}

impl Bench {
    /// A delivery of the coin server, made again until it is taken, as the server does.
    async fn heard(&mut self, id: &str, invoice: &str) {
        loop {
            match self.delivered(id, invoice).await {
                Ok(Heard::Yes) => return,
                Ok(other) => panic!("{other:?}"),
                Err(TreasuryError::BrokenOff(_)) => self.restart(),
                Err(e) => panic!("{e}"),
            }
        }
    }
}

pub(super) async fn broken_off_anywhere_a_card_payment_is_booked_once_and_given_back_once(
    store: Store,
) {
    let mut b = bench(store).await;
    let (mut fuse, mut given) = (1, 0);
    loop {
        b.restart();
        let points = Arc::new(Fuse(AtomicI64::new(fuse)));
        b.house.treasury.break_off_with(points.clone());
        let invoice = b.order(1, eur(500), Purpose::TopUp).await;
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
