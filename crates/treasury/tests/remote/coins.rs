//! Payments at the coin server.

use crate::fake::{HOUR, account, contract};
use crate::{bench, eur};
use gruve_ledger::Account;
use gruve_store::Store;
use gruve_treasury::{Heard, InvoiceState, Method, Purpose};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) async fn a_coin_server_pays_an_invoice_and_what_comes_late_goes_to_the_balance(
    store: Store,
) {
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

pub(super) async fn coins_that_no_block_confirms_are_not_credited(store: Store) {
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

/// Payment methods of an invoice at 50,000 euros a coin.
pub(super) fn paid_coins(coins: &str, status: &str) -> Value {
    json!([{ "paymentMethodPaid": coins, "rate": "50000",
        "payments": [{ "value": coins, "status": status }] }])
}
