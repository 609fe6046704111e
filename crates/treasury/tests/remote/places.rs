//! Places that there are none of: links that lead to no page, too many of them, and invoices that are paid at no service.

use crate::fake::{self, account};
use crate::services::StandIn;
use crate::{Bench, Heard, bench, eur};
use gruve_store::{Store, transact};
use gruve_treasury::{
    Invoice, InvoiceState, LockedRate, Method, NewConversion, Purpose, TreasuryError,
};
use gruve_units::{Bps, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

gruve_store::laws! { places: [
    a_place_whose_link_leads_to_no_page_is_none,
    an_invoice_has_so_many_places_and_no_more_and_each_still_counts,
    what_is_paid_in_coins_at_a_rate_is_paid_at_no_service,
]}

impl StandIn {
    fn leads_to(&self, link: Option<Value>) {
        self.books.lock().unwrap().link = link;
    }
}

impl Bench {
    /// How many places the books know.
    async fn places(&self) -> i64 {
        let mut tx = self.house.store.read().await.unwrap();
        let row = tx.fetch_one("SELECT COUNT(*) AS n FROM treasury_checkouts", &[]).await;
        row.unwrap().get("n").unwrap()
    }
}

async fn a_place_whose_link_leads_to_no_page_is_none(store: Store) {
    let b = bench(store).await;
    let bad = [
        json!("javascript:alert(document.cookie)"),
        json!("JavaScript:alert(1)"),
        json!(" javascript:alert(1)"),
        json!("data:text/html,<script>alert(1)</script>"),
        json!("//elsewhere.example/i/1"),
        json!("/invoices"),
        json!("https://checkout.example/\nrefresh: 0"),
        json!("https://checkout.example/ javascript:alert(1)"),
        json!(format!("https://checkout.example/{}", "i".repeat(3_000))),
        json!(""),
        json!(null),
        json!({ "href": "https://checkout.example/i/1" }),
    ];
    for (n, link) in (1..).zip(&bad) {
        let invoice = b.lease(n, 500).await;
        b.service.leads_to(Some(link.clone()));
        for method in [Method::Card, Method::BtcPay] {
            let opened = b.open(n, &invoice, method).await;
            let is_none = matches!(opened, Err(TreasuryError::Service { is_refused: false, .. }));
            assert!(is_none, "{method} {link}: {opened:?}");
        }
    }
    assert_eq!(b.places().await, 0, "what is kept would be shown the next time");
    b.service.leads_to(Some(json!("https://checkout.example/c/pay/cs_1#fid%2B")));
    let invoice = b.lease(100, 500).await;
    for method in [Method::Card, Method::BtcPay] {
        let opened = b.open(100, &invoice, method).await.unwrap();
        assert_eq!(opened, "https://checkout.example/c/pay/cs_1#fid%2B");
    }
    assert_eq!(b.places().await, 2);
}

async fn an_invoice_has_so_many_places_and_no_more_and_each_still_counts(store: Store) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    for n in 1..=10 {
        b.open(1, &invoice, Method::Card).await.unwrap();
        let place = format!("v1/checkout/sessions/cs_test_{n}");
        b.service.set(&place, &json!({ "status": "expired" }));
        b.later().await;
    }
    let more = b.open(1, &invoice, Method::Card).await;
    assert!(matches!(more, Err(TreasuryError::BegunOften { limit: 10 })), "{more:?}");
    assert_eq!(b.service.made().len(), 10, "the service is not asked for more");
    // The bound is of this invoice and this service.
    b.open(1, &invoice, Method::BtcPay).await.unwrap();
    let other = b.lease(2, 500).await;
    b.open(2, &other, Method::Card).await.unwrap();
    // Whoever had the first open in another window has paid all the same.
    b.paid("cs_test_1", 500);
    assert_eq!(b.event("evt_1", "checkout.session.completed", "cs_test_1").await, Heard::Yes);
    assert_eq!(b.state(&invoice).await, InvoiceState::Confirmed);
    b.house.check().await;
}

async fn what_is_paid_in_coins_at_a_rate_is_paid_at_no_service(store: Store) {
    let b = bench(store).await;
    let methods = |invoice: &Invoice| b.house.treasury.checkouts_for(invoice);
    let paid = b.lease(1, 10_000).await;
    assert_eq!(methods(&paid), [Method::Card, Method::BtcPay]);
    let rate = LockedRate {
        coin_usd_micro: 50_000_000_000,
        price_usd_micro: 1_250_000,
        spread: Bps::new(100).unwrap(),
        priced_at: Timestamp::from_secs(1_699_999_990),
    };
    let (invoice, lock) = (paid.id, Duration::from_secs(1_800));
    let new = NewConversion { account: account(1), invoice, coin: fake::ASSET, rate, lock };
    let coin = transact!(b.house.store, tx -> Result<Invoice, TreasuryError> => {
        b.house.treasury.convert_invoice(tx, new).await
    });
    let coin = coin.unwrap();
    // The same coin without a rate may be paid there.
    let plain = b.house.invoice(2, 5_000, Purpose::TopUp).await;
    assert_eq!((methods(&coin), methods(&plain)), (vec![], vec![Method::BtcPay]));
    for method in [Method::Card, Method::BtcPay] {
        let opened = b.open(1, &coin, method).await;
        assert!(matches!(opened, Err(TreasuryError::Closed)), "{method}: {opened:?}");
    }
    assert!(b.service.made().is_empty());
    // Nor what is closed.
    b.house.clock.advance(2 * fake::HOUR);
    gruve_treasury::Payer::new(b.house.treasury.clone()).step().await.unwrap();
    let closed = b.house.look(paid.id).await;
    assert_eq!((closed.state, methods(&closed)), (InvoiceState::Expired, vec![]));
    assert_eq!(closed.amount, eur(10_000));
}
