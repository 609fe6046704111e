//! Leaving: the export has everything that the API gives, and an account is closed only when nothing is open.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use gruve_accounts::{CLOSING_DELAY, SEALED_FOR};
use gruve_units::Duration;
use gruve_web::{CallPace, WebConfig};
use house::House;
use house::browser::{Browser, Program};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PASSWORD: &str = "four words make one";

/// A customer who has bought and been paid: a contract with a history.
async fn customer(house: &House, name: &str) -> Program {
    house.epochs(7).await;
    let me = Program::signed_up(&house.app, name).await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await;
    assert_eq!(quote.status, StatusCode::CREATED, "{}", quote.body);
    let quote = quote.json()["quote"].as_str().unwrap().to_owned();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    let invoice = bought.json()["invoice"].clone();
    let btc = &house.lanes[0];
    let due = invoice["amount"]["minor"].as_i64().unwrap();
    let address = invoice["address"].as_str().unwrap();
    house.pay(btc, address, gruve_units::Amount::new(gruve_units::Asset::Btc, due));
    house.block(btc, false).await;
    house.epochs(4).await;
    me
}

fn parts(export: &Value) -> BTreeMap<String, Value> {
    let parts = export["parts"].as_array().unwrap();
    parts.iter().map(|p| (p["path"].as_str().unwrap().to_owned(), p["answer"].clone())).collect()
}

/// Begins an export and takes nothing of it.
async fn begun(house: &House, me: &Program) -> Response<Body> {
    let token = format!("Bearer {}", me.token.as_ref().unwrap());
    let request = Request::get("/api/v1/export").header("authorization", token);
    let service = TowerToHyperService::new(house.app.clone());
    service.call(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn who_takes_nothing_of_an_export_keeps_nobody_else_waiting() {
    let house = House::new().await;
    let mut held = Vec::new();
    for name in ["slow", "slower", "slowest"] {
        let me = Program::signed_up(&house.app, name).await;
        held.push(begun(&house, &me).await);
    }
    assert!(held.iter().all(|answer| answer.status() == StatusCode::OK));
    let slow = Program::signed_in(&house.app, "slow").await;
    let second = slow.get("/api/v1/export").await;
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE, "one at a time: {}", second.body);
    let kari = Program::signed_up(&house.app, "kari").await;
    assert!(kari.get("/api/v1/export").await.json()["is_whole"] == json!(true));
}

#[tokio::test]
async fn an_export_is_one_call_however_much_it_asks_for() {
    let calls = CallPace { at_once: 10, interval: Duration::from_secs(10) };
    let house = House::with(WebConfig { calls, ..WebConfig::default() }).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    for _ in 0..2 {
        let export = kari.get("/api/v1/export").await;
        assert_eq!(
            export.status,
            StatusCode::OK,
            "as soon as the one before is read: {}",
            export.body
        );
        let export = export.json();
        assert_eq!(export["is_whole"], json!(true));
        let parts = parts(&export);
        assert!(parts.len() > 10, "{}", parts.len());
        assert!(parts.contains_key("/api/v1/balances") && parts.contains_key("/api/v1/webhooks"));
    }
}

#[tokio::test]
async fn the_export_holds_every_answer_that_a_customer_can_ask_for_and_of_nobody_else() {
    let house = House::new().await;
    let kari = customer(&house, "kari").await;
    let ola = customer(&house, "ola").await;
    let whole = kari.get("/api/v1/export").await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(whole.header("content-disposition").contains("gruve-kari.json"));
    let export = whole.json();
    assert_eq!((&export["name"], &export["is_whole"]), (&json!("kari"), &json!(true)));
    let parts = parts(&export);
    let id = |p: &Value| p["contract"].as_str().unwrap().to_owned();
    let list = parts["/api/v1/contracts"].clone();
    let list = list.get("items").unwrap_or(&list).as_array().unwrap().clone();
    let own = id(&list[0]);
    for part in ["", "/terms", "/statement", "/life"] {
        assert!(parts.contains_key(&format!("/api/v1/contracts/{own}{part}")), "{part}");
    }
    assert!(!parts["/api/v1/invoices"]["items"].as_array().unwrap().is_empty());
    assert_eq!(parts["/api/v1/account"]["email"], "kari@example.org");
    for path in [
        "/api/v1/sessions",
        "/api/v1/keys",
        "/api/v1/passkeys",
        "/api/v1/payouts",
        "/api/v1/account/log",
        "/api/v1/account/entries",
        "/api/v1/notices",
        "/api/v1/balances",
    ] {
        assert!(parts.contains_key(path), "{path}");
    }
    let others = ola.get("/api/v1/contracts").await.json();
    let others = others.get("items").unwrap_or(&others).as_array().unwrap().clone();
    assert!(!whole.body.contains(&id(&others[0])) && !whole.body.contains("ola@example.org"));

    let mut browser = Browser::new(&house.app);
    let csrf = browser.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", PASSWORD)];
    browser.post("/sign-in", &login).await;
    let page = browser.get("/account/data").await;
    assert!(page.body.contains("money in the account"), "{}", page.body);
    assert!(browser.get("/account/data/export.json").await.json()["is_whole"] == json!(true));
}

#[tokio::test]
async fn an_account_with_something_open_is_not_closed_and_says_what_and_an_empty_one_is() {
    let house = House::new().await;
    let kari = customer(&house, "kari").await;
    let proof = json!({ "password": PASSWORD });
    let refused = kari.post("/api/v1/account/closing", proof.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    let standing = kari.get("/api/v1/account/closing").await.json();
    let kinds: Vec<&str> = standing["obstacles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"contracts"), "{kinds:?}");

    let mut me = Browser::new(&house.app);
    me.sign_up("berit").await;
    let csrf = me.get("/account/data").await.field("csrf");
    let wrong = [("csrf", csrf.as_str()), ("password", "no")];
    let wrong = me.post("/account/closing", &wrong).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let right = [("csrf", csrf.as_str()), ("password", PASSWORD)];
    let asked = me.post("/account/closing", &right).await;
    assert_eq!(asked.location(), "/account/data");
    assert!(me.get("/account/data").await.body.contains("will be closed on"));
    me.post("/account/closing/undo", &[("csrf", &csrf)]).await;
    assert!(me.get("/account/data").await.body.contains("Close it"));
    me.post("/account/closing", &right).await;

    let berit = house.account("berit").await;
    house.clock.advance(CLOSING_DELAY);
    house.state.close_due_accounts().await.unwrap();
    house.clock.advance(SEALED_FOR + Duration::from_secs(1));
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 1);
    assert!(house.accounts.name_of(berit).await.unwrap().unwrap().starts_with("closed-"));
    assert!(me.get("/account").await.location().starts_with("/sign-in"), "nobody is in any more");
}

#[tokio::test]
async fn what_was_opened_during_the_delay_keeps_the_account_open() {
    let house = House::new().await;
    house.epochs(7).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let proof = json!({ "password": PASSWORD });
    let asked = me.post("/api/v1/account/closing", proof).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    house.clock.advance(CLOSING_DELAY - Duration::from_secs(60));
    house.epochs(7).await;
    let me = Program::signed_in(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json()["quote"].as_str().unwrap().to_owned();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 0);
    let kari = house.account("kari").await;
    assert!(house.accounts.closing(kari).await.unwrap().is_none(), "it stays open");
}
