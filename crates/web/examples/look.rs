//! Serves the pages over a small real house on a temporary database, to be looked at:
//! `cargo run -p gruve-web --example look -- 127.0.0.1:7480`
//!
//! With `moving` as the second argument an epoch closes every three seconds.
//!
//! A customer `kari` (password `four words make one`) has bought, earned and withdrawn.
#![allow(clippy::unwrap_used, missing_docs, clippy::duplicate_mod)]

#[path = "../tests/house/mod.rs"]
mod house;

use house::House;
use house::browser::Program;
use serde_json::json;

#[tokio::main]
async fn main() {
    let at = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7480".to_owned());
    let house = House::new().await;
    house.epochs(12).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    for (lane, plan, term) in [(0, "btc-lease", 60), (1, "ltc-lease", 30)] {
        let lane = &house.lanes[lane];
        let order = json!({ "plan": plan, "hashrate": "240 kH/s", "term_epochs": term });
        let quote = kari.post("/api/v1/quotes", order).await.json();
        let bought =
            kari.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
        println!("invoice /invoices/{}", bought["invoice"]["id"].as_str().unwrap());
        println!("contract /contracts/{}", bought["contract"].as_str().unwrap());
        let due = bought["invoice"]["amount"]["minor"].as_i64().unwrap();
        let due = gruve_units::Amount::new(lane.asset, due);
        house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
        house.block(lane, false).await;
    }
    house.epochs(40).await;
    let lane = &house.lanes[0];
    for amount in ["0.07", "0.25"] {
        let (to, password) = (house.stranger(lane), "four words make one");
        let order =
            json!({ "asset": "BTC", "amount": amount, "address": to, "password": password });
        let made = kari.post("/api/v1/payouts", order).await;
        println!("payout /payouts/{}", made.json()["payout"].as_str().unwrap_or(&made.body));
        if amount == "0.07" {
            house.pay_out(lane).await;
        }
    }
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json();
    let open = kari.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
    println!("open /invoices/{}", open["invoice"]["id"].as_str().unwrap_or(&open.to_string()));
    println!("token {}", kari.token.as_deref().unwrap_or_default());
    let listener = tokio::net::TcpListener::bind(&at).await.unwrap();
    println!("look at http://{at}");
    let done = async { tokio::signal::ctrl_c().await.unwrap() };
    let served = gruve_web::serve(listener, house.state.clone(), done);
    let moving = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(3));
        while std::env::args().any(|a| a == "moving") {
            tick.tick().await;
            house.epoch().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = served => served.unwrap(),
        () = moving => {}
    }
}
