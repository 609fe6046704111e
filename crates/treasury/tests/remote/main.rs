//! What payments at other services promise, over HTTP against stand-ins that misbehave, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod broken;
mod cards;
mod coins;
mod disputes;
#[path = "../fake/mod.rs"]
mod fake;
mod missed;
mod places;
mod refunds;
mod services;
mod settled;
mod turnover;

use broken::*;
use cards::*;
use coins::*;
use refunds::*;
use settled::*;

use fake::{House, Market, account, contract};
use gruve_ledger::{Account, balance};
use gruve_store::Store;
use gruve_treasury::remote::PATIENCE;
use gruve_treasury::{
    BtcPayConfig, Heard, Invoice, InvoiceState, Method, Purpose, Secret, StripeConfig, Treasury,
    TreasuryError,
};
use gruve_units::{Amount, Asset, Clock as _};
use ring::hmac;
use serde_json::{Value, json};
use services::{Mood, StandIn};
use std::path::PathBuf;
use std::sync::Arc;
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
    a_session_that_says_what_cannot_be_books_nothing,
    only_whole_cents_of_what_is_left_of_a_card_payment_are_given_back,
    what_is_settled_stays_so_whatever_an_old_answer_says,
    broken_off_anywhere_a_card_payment_is_booked_once_and_given_back_once,
    broken_off_anywhere_a_payment_at_the_coin_server_is_booked_once,
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
        self.delivered(id, invoice).await.unwrap()
    }

    async fn delivered(&self, id: &str, invoice: &str) -> Result<Heard, TreasuryError> {
        let body = json!({ "deliveryId": id, "type": "InvoiceSettled", "storeId": STORE, "invoiceId": invoice });
        let body = body.to_string();
        let header = format!("sha256={}", signed("btc-hook", &[body.as_bytes()]));
        self.house.treasury.hear_btcpay(&header, body.as_bytes()).await
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

fn dispute(intent: &str, status: &str) -> Value {
    json!({ "payment_intent": intent, "amount": 500, "status": status })
}
