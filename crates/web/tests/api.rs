//! The JSON API: shapes, refusals, doing things once.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use house::House;
use house::browser::Program;
use serde_json::{Value, json};

fn assert_problem(answer: &house::browser::Answer, status: StatusCode, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!(body["type"], format!("urn:gruve:problem:{kind}"));
    assert_eq!(body["status"], status.as_u16());
    assert!(body["title"].is_string() && !body["detail"].as_str().unwrap().is_empty());
}

fn is_amount(v: &Value) -> bool {
    v["asset"].is_string() && v["minor"].is_i64() && v["decimal"].is_string()
}

#[tokio::test]
async fn a_program_buys_pays_earns_and_withdraws() {
    let house = House::new().await;
    house.epochs(8).await;
    let lane = &house.lanes[0];
    let me = Program::signed_up(&house.app, "kari").await;

    let lanes = me.get("/api/v1/lanes").await.json();
    assert_eq!(lanes["items"][0]["lane"], "btc");
    assert_eq!(lanes["items"][0]["machines"], 4);
    assert!(lanes["items"][0]["available"]["hashes_per_second"].is_string());
    let plans = me.get("/api/v1/plans").await.json();
    assert_eq!(plans["items"][0]["plan"], "btc-lease");
    assert!(is_amount(&plans["items"][0]["price"]));

    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await;
    assert_eq!(quote.status, StatusCode::CREATED);
    let quote = quote.json();
    assert!(is_amount(&quote["price"]));
    let confirm = json!({ "quote": quote["quote"] });
    let bought = me.post("/api/v1/contracts", confirm.clone()).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    let again = me.post("/api/v1/contracts", confirm).await;
    assert_eq!(again.body, bought.body, "the same quote buys the same contract");
    let bought = bought.json();
    assert_eq!(bought["invoice"]["amount"], quote["price"]);
    assert_eq!(me.get("/api/v1/contracts").await.json()["items"].as_array().unwrap().len(), 1);

    let due = gruve_units::Amount::new(
        lane.asset,
        bought["invoice"]["amount"]["minor"].as_i64().unwrap(),
    );
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let invoice = format!("/api/v1/invoices/{}", bought["invoice"]["id"].as_str().unwrap());
    assert_eq!(me.get(&invoice).await.json()["state"], "confirmed");

    house.epochs(9).await;
    let path = format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap());
    let contract = me.get(&path).await.json();
    assert_ne!(contract["delivered"], "0");
    assert!(!contract["epochs"].as_array().unwrap().is_empty());
    assert!(contract["credited"]["minor"].as_i64().unwrap() > 0, "{contract}");

    let fee = me.get("/api/v1/payouts/fee?asset=BTC").await.json();
    assert!(fee["fee"]["minor"].as_i64().unwrap() > 0);
    let to = house.stranger(lane);
    let password = "four words make one";
    let order = json!({ "asset": "BTC", "amount": "0.02", "address": to, "password": password });
    let key = [("idempotency-key", "withdraw-1")];
    let payout = me.send_with("POST", "/api/v1/payouts", Some(order.clone()), &key).await;
    assert_eq!(payout.status, StatusCode::CREATED, "{}", payout.body);
    let again = me.send_with("POST", "/api/v1/payouts", Some(order), &key).await;
    assert_eq!(again.json()["payout"], payout.json()["payout"], "the same key pays once");
    let other = json!({ "asset": "BTC", "amount": "0.03", "address": to, "password": password });
    let other = me.send_with("POST", "/api/v1/payouts", Some(other), &key).await;
    assert_problem(&other, StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");

    house.pay_out(lane).await;
    let path = format!("/api/v1/payouts/{}", payout.json()["payout"].as_str().unwrap());
    let done = me.get(&path).await.json();
    assert_eq!(done["state"], "confirmed");
    assert_eq!(done["txid"].as_str().unwrap().len(), 64);
    let late = me.send("DELETE", &path, None).await;
    assert_problem(&late, StatusCode::CONFLICT, "too-late");

    let books = me.get("/api/v1/reconciliation").await.json();
    assert_eq!(books["adds_up"], true, "{books}");
    let of = &books["assets"][0];
    let parts = of["parts"].as_object().unwrap().values().map(|v| v["minor"].as_i64().unwrap());
    assert_eq!(parts.sum::<i64>(), of["block_rewards"]["minor"].as_i64().unwrap());
    let balances = me.get("/api/v1/balances").await.json();
    assert!(
        is_amount(&balances["items"][0]["available"])
            && is_amount(&balances["items"][0]["maturing"])
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_a_reason() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let bad = StatusCode::BAD_REQUEST;
    let no = StatusCode::UNPROCESSABLE_ENTITY;
    let order = |plan: &str, rate: &str, term: i64| json!({ "plan": plan, "hashrate": rate, "term_epochs": term });
    let quotes = "/api/v1/quotes";
    assert_problem(&me.post(quotes, order("btc-lease", "fast", 6)).await, no, "refused");
    assert_problem(&me.post(quotes, order("btc-lease", "1 H/s", 6)).await, no, "refused");
    assert_problem(&me.post(quotes, order("btc-lease", "100 kH/s", 7)).await, no, "refused");
    assert_problem(&me.post(quotes, order("btc-lease", "100 kH/s", -1)).await, bad, "bad-request");
    let unknown = me.post(quotes, order("nothing", "100 kH/s", 6)).await;
    assert_problem(&unknown, StatusCode::NOT_FOUND, "not-found");
    let misspelt = me.post(quotes, json!({ "plan": "btc-lease", "hashrat": "1" })).await;
    assert_problem(&misspelt, bad, "bad-request");
    assert!(misspelt.body.contains("hashrat"));
    // Right values in the right order are no named ones.
    let unnamed = me.post(quotes, json!(["btc-lease", "100 kH/s", 6])).await;
    assert_problem(&unnamed, bad, "bad-request");
    assert!(unnamed.body.contains("a JSON object"));

    let payouts = "/api/v1/payouts";
    let pay = |asset: &str, amount: &str, to: &str| json!({ "asset": asset, "amount": amount, "address": to });
    let to = house.stranger(&house.lanes[0]);
    assert_problem(&me.post(payouts, pay("XYZ", "1", &to)).await, no, "refused");
    assert_problem(&me.post(payouts, pay("BTC", "1e3", &to)).await, no, "refused");
    assert_problem(&me.post(payouts, pay("BTC", "-1", &to)).await, no, "refused");
    assert_problem(&me.post(payouts, pay("BTC", "1", "nowhere")).await, no, "refused");
    assert_problem(&me.post(payouts, pay("ETH", "1", &to)).await, no, "refused");
    let poor = me.post(payouts, pay("BTC", "1", &to)).await;
    assert_problem(&poor, no, "insufficient-funds");
    assert!(!poor.body.contains("customer."), "an account's key is not for customers");
    let key = [("idempotency-key", "with space")];
    let refused = me.send_with("POST", payouts, Some(pay("BTC", "1", &to)), &key).await;
    assert_problem(&refused, bad, "bad-request");
    // Told as what it is on each call, also where no payout is asked for.
    let long = "k".repeat(65);
    for (path, body) in [(payouts, pay("BTC", "1", &to)), (quotes, json!({}))] {
        let refused = me.send_with("POST", path, Some(body), &[("idempotency-key", &long)]).await;
        assert_problem(&refused, bad, "idempotency-key-too-long");
    }
    let longest = [("idempotency-key", &long[1..])];
    let taken = me.send_with("POST", payouts, Some(pay("BTC", "1", &to)), &longest).await;
    assert_problem(&taken, no, "insufficient-funds");

    let big = json!({ "login": "x".repeat(20_000), "password": "y" });
    let big = me.post("/api/v1/sessions", big).await;
    assert_problem(&big, StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    let text = me.send("POST", "/api/v1/sessions", None).await;
    assert_problem(&text, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type");
    let wrong = me.post("/api/v1/sessions", json!({ "login": "kari", "password": "no" })).await;
    assert_problem(&wrong, StatusCode::UNAUTHORIZED, "wrong-credentials");
    let account =
        json!({ "name": "kari", "email": "other@example.org", "password": "long enough words" });
    let taken = me.post("/api/v1/accounts", account).await;
    assert_problem(&taken, StatusCode::CONFLICT, "taken");
    let limit = me.get("/api/v1/epochs?limit=100000").await;
    assert_problem(&limit, bad, "bad-request");
    let lane = me.get("/api/v1/blocks?lane=nowhere").await;
    assert_problem(&lane, StatusCode::NOT_FOUND, "not-found");
    let lane = me.get("/api/v1/blocks?lane=%00").await;
    assert_problem(&lane, bad, "bad-request");
    assert_problem(&me.get("/api/v1/nothing").await, StatusCode::NOT_FOUND, "not-found");
    let method = me.send("PUT", "/api/v1/lanes", None).await;
    assert_problem(&method, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
}

#[tokio::test]
async fn public_lists_show_what_happened() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::new(&house.app);
    let blocks = me.get("/api/v1/blocks?lane=btc").await.json();
    assert!(!blocks["items"].as_array().unwrap().is_empty());
    assert!(blocks["items"].as_array().unwrap().iter().all(|b| b["lane"] == "btc"));
    assert_eq!(blocks["items"][0]["hash"].as_str().unwrap().len(), 64);
    let epochs = me.get("/api/v1/epochs?limit=3").await.json();
    assert_eq!(epochs["items"].as_array().unwrap().len(), 3);
    assert!(epochs["items"][0]["started_at"].as_str().unwrap().ends_with('Z'));
    let metrics = me.get("/metrics").await;
    let samples = house::prometheus::read(&metrics.body);
    let samples = samples.unwrap_or_else(|e| panic!("{e}\n{}", metrics.body));
    assert!(samples.len() > 20);
    let page = include_str!("../../../docs/operators.md");
    for name in metrics.body.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = name.split(' ').next().unwrap();
        let is_told = page.contains(&format!("`{name}{{")) || page.contains(&format!("`{name}`"));
        assert!(is_told, "{name} is not explained to operators");
    }
    assert!(!metrics.body.contains("rack1-01"), "single machines are the operator's to see");
    assert!(metrics.body.contains("gruve_lane_sessions{lane=\"btc\"} 4"));
    assert!(metrics.body.contains("# TYPE gruve_lane_hashrate gauge"));
    let node = |name: &str, value: &str| {
        let line = format!(
            "gruve_node_{name}{{lane=\"btc\",asset=\"BTC\",node=\"10.0.0.1:8332\"}}{value}"
        );
        assert_eq!(metrics.body.contains(&line), !value.is_empty(), "{line}\n{}", metrics.body);
    };
    let expected = [("ready", " 0"), ("chosen", " 1"), ("height", " 7"), ("peers", "")];
    expected.into_iter().for_each(|(name, value)| node(name, value));
    node("template_age_seconds", " 3");
    assert_eq!(me.get("/healthz").await.body, "ok\n");
    assert_eq!(me.get("/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn too_many_wrong_passwords_are_told_when_to_try_again() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let wrong = json!({ "login": "kari", "password": "not the password" });
    for _ in 0..10 {
        let refused = me.post("/api/v1/sessions", wrong.clone()).await;
        assert_problem(&refused, StatusCode::UNAUTHORIZED, "wrong-credentials");
    }
    let held = me.post("/api/v1/sessions", wrong.clone()).await;
    assert_problem(&held, StatusCode::TOO_MANY_REQUESTS, "too-many");
    assert_eq!(held.header("retry-after"), "90");
    house.clock.advance(std::time::Duration::from_secs(30));
    let held = me.post("/api/v1/sessions", wrong).await;
    assert_eq!(held.header("retry-after"), "60");
    assert!(held.body.contains("60 seconds"), "{}", held.body);
}

#[tokio::test]
async fn a_contract_is_taken_back_once_and_its_life_is_told() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
    let path = format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap());

    let life = me.get(&format!("{path}/life")).await.json();
    assert_eq!((&life["state"], &life["undecided"]), (&json!("awaiting_payment"), &json!("0")));
    let stranger = Program::signed_up(&house.app, "ola").await;
    let theirs = stranger.post(&format!("{path}/cancel"), json!({})).await;
    assert_problem(&theirs, StatusCode::NOT_FOUND, "not-found");
    for before in [false, true] {
        let cancelled = me.post(&format!("{path}/cancel"), json!({})).await;
        assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.body);
        assert_eq!(cancelled.json()["before"], before);
    }
    assert_eq!(me.get(&path).await.json()["state"], "cancelled");

    let conflict = StatusCode::CONFLICT;
    let choice = json!({ "epoch": 5, "choice": "earnings" });
    let nothing = me.post(&format!("{path}/choices"), choice).await;
    assert_problem(&nothing, conflict, "nothing-to-decide");
    let neither =
        me.post(&format!("{path}/choices"), json!({ "epoch": 5, "choice": "both" })).await;
    assert_problem(&neither, StatusCode::UNPROCESSABLE_ENTITY, "refused");
    let keep = me.post(&format!("{path}/keep-running"), json!({ "keep": true })).await;
    assert_problem(&keep, conflict, "wrong-state");
    let renewal = me.post(&format!("{path}/renewals"), json!({ "term_epochs": 6 })).await;
    assert_problem(&renewal, conflict, "wrong-state");
    let wish = json!({ "renew_max_minor": 1, "reinvest": false });
    assert_problem(&me.post(&format!("{path}/wishes"), wish).await, conflict, "wrong-state");

    assert_eq!(me.get("/api/v1/notices").await.json()["items"], json!([]));
    assert_eq!(me.get("/api/v1/prices?asset=BTC").await.json()["items"], json!([]));
    let sources = me.get("/api/v1/price-sources").await.json();
    assert_eq!((&sources["quorum"], &sources["sources"]), (&json!(1), &json!([])), "{sources}");
    let fpps = me.get("/api/v1/fpps?lane=btc").await.json();
    assert_eq!(
        (&fpps["items"][0]["asset"], &fpps["items"][0]["owed"]["minor"]),
        (&json!("BTC"), &json!(0)),
        "{fpps}"
    );
    assert_eq!(me.get("/api/v1/fpps?lane=none").await.status, StatusCode::NOT_FOUND);
    let short = me.get("/api/v1/short-epochs?lane=btc").await.json();
    assert_eq!(short, json!({ "items": [], "next": null }));
}

#[tokio::test]
async fn a_program_fills_its_balance_and_pays_by_the_meter() {
    let house = House::new().await;
    house.epochs(8).await;
    let lane = &house.lanes[0];
    let me = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-meter", "hashrate": "100 kH/s" });
    let poor = me.post("/api/v1/metered", order.clone()).await;
    assert_problem(&poor, StatusCode::UNPROCESSABLE_ENTITY, "insufficient-funds");

    let invoice = me.post("/api/v1/top-ups", json!({ "asset": "BTC", "amount": "0.9" })).await;
    assert_eq!(invoice.status, StatusCode::CREATED, "{}", invoice.body);
    let due = gruve_units::Amount::new(lane.asset, 90_000_000);
    house.pay(lane, invoice.json()["address"].as_str().unwrap(), due);
    house.block(lane, false).await;

    let key = [("idempotency-key", "meter-1")];
    let started = me.send_with("POST", "/api/v1/metered", Some(order.clone()), &key).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    let again = me.send_with("POST", "/api/v1/metered", Some(order), &key).await;
    assert_eq!(again.json(), started.json(), "the same key starts one");
    let other = json!({ "plan": "btc-meter", "hashrate": "200 kH/s" });
    let other = me.send_with("POST", "/api/v1/metered", Some(other), &key).await;
    assert_problem(&other, StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");

    house.epochs(4).await;
    let path = format!("/api/v1/metered/{}", started.json()["contract"].as_str().unwrap());
    let view = me.get(&path).await.json();
    assert_eq!(view["state"], "active", "{view}");
    assert!(
        is_amount(&view["charged"]) && view["charged"]["minor"].as_i64().unwrap() > 0,
        "{view}"
    );
    let usage = me.get(&format!("{path}/usage?period=hour")).await.json();
    let lines = usage["items"].as_array().unwrap();
    let charged: i64 = lines.iter().map(|l| l["charged"]["minor"].as_i64().unwrap()).sum();
    assert_eq!(charged, view["charged"]["minor"].as_i64().unwrap(), "{usage}");
    let terms = me.get(&format!("{path}/terms")).await.json();
    assert_eq!(terms["format"], "gruve signed terms 1");
    let statement = me.get(&format!("{path}/statement")).await.body;
    let page = gruve_statement::Statement::parse(&statement).unwrap();
    let file = gruve_statement::SignedTerms::parse(&terms.to_string()).unwrap();
    let mut checker = gruve_statement::Checker::begin(file, None).unwrap();
    checker.page(&page).unwrap();
    assert_eq!(page.closing.charged_minor, charged);
    assert_eq!(me.get("/api/v1/metered").await.json()["items"].as_array().unwrap().len(), 1);

    let stranger = Program::signed_up(&house.app, "ola").await;
    assert_eq!(stranger.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.send("DELETE", &path, None).await.status, StatusCode::NOT_FOUND);
    let ended = me.send("DELETE", &path, None).await.json();
    assert_eq!(ended["state"], "ending", "{ended}");
    house.epochs(2).await;
    let view = me.get(&path).await.json();
    assert_eq!((&view["state"], &view["held"]["minor"]), (&json!("ended"), &json!(0)), "{view}");
    let books = me.get("/api/v1/reconciliation").await.json();
    assert_eq!(books["adds_up"], true, "{books}");
}
