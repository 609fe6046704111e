//! A customer who has bought many times.

use super::House;
use super::browser::Program;
use axum::http::StatusCode;
use serde_json::json;

/// So many contracts of one customer, most of them over: as many at once as the machines can do.
///
/// Each earns for `term` epochs (one of the plan's) and is settled in each: with 60, two hundred have between them the
/// settlements of a year of days, thirty-three contracts running on each.
pub async fn with_contracts(house: &House, me: &Program, count: usize, term: u32) {
    let lane = &house.lanes[0];
    let top_up = json!({ "asset": "BTC", "amount": "9" });
    let invoice = me.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(lane.asset, 900_000_000);
    house.pay(lane, invoice["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let mut made = 0;
    while made < count {
        for _ in 0..50.min(count - made) {
            let order = json!({ "plan": "btc-lease", "hashrate": "10 kH/s", "term_epochs": term });
            let quote = me.post("/api/v1/quotes", order).await;
            assert_eq!(quote.status, StatusCode::CREATED, "{made}: {}", quote.body);
            let quote = quote.json()["quote"].clone();
            let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
            let path =
                format!("/api/v1/invoices/{}/balance", bought["invoice"]["id"].as_str().unwrap());
            let paid = me.post(&path, json!({})).await;
            assert!(paid.status.is_success(), "{}", paid.body);
            made += 1;
        }
        if made < count {
            house.epochs(term + 3).await;
        }
    }
    house.epochs(2).await;
}
