//! Machines ordered by plans through pages and API: out of the balance, by an invoice, to their end.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_store::{Store, laws};
use gruve_units::{Amount, Asset};
use house::House;
use house::balances::{account, available, fund};
use house::browser::{Browser, Program};
use house::furnished::PASSWORD;
use serde_json::json;

#[tokio::test]
async fn a_machine_is_ordered_by_a_plan_without_asking_anybody() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let me = account(&house, "kari").await;
    let plans = kari.get("/api/v1/hosted-plans").await.json();
    let plan = &plans["items"][0];
    assert_eq!((&plan["plan"], &plan["in_stock"]), (&json!("btc-s21"), &json!(0)));
    assert_eq!(plan["minimum_payout"]["minor"], 5_000, "{plan}");
    assert_eq!(plan["earnings_fee_bps"], 100, "{plan}");
    let work = kari.get("/api/v1/plans").await.body;
    assert!(!work.contains("btc-s21"), "no work is sold by it: {work}");
    let order = |version: &serde_json::Value, password: &str| json!({ "plan": "btc-s21", "version": version, "password": password });
    let place = async |version: &serde_json::Value, password: &str| {
        kari.post("/api/v1/hosted-orders", order(version, password)).await
    };
    let version = &plan["version"];
    assert_eq!(place(version, PASSWORD).await.json()["type"], "urn:gruve:problem:sold-out");
    let machine = house::furnished::stock(&house, "SN0021").await;
    assert_eq!(place(version, "no").await.status, StatusCode::UNAUTHORIZED);
    let old = place(&json!(7), PASSWORD).await;
    assert_eq!(old.json()["type"], "urn:gruve:problem:plan-changed", "{}", old.body);
    let poor = place(version, PASSWORD).await;
    assert_eq!(poor.json()["type"], "urn:gruve:problem:insufficient-funds", "{}", poor.body);
    fund(&house, me, 1_500_000).await;
    let made = place(version, PASSWORD).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(available(&house, me).await, 500_000);
    let id = made.json()["contract"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/machines/{id}");
    let seen = kari.get(&path).await.json();
    assert_eq!((&seen["machine"]["serial"], &seen["state"]), (&json!("SN0021"), &json!("active")));
    assert_eq!(seen["machine_id"], machine.to_string());
    // What she takes home holds without the house.
    let file = kari.get(&format!("{path}/signed-terms")).await.body;
    let file = gruve_market::SignedTerms::parse(&file).unwrap();
    let agreed = gruve_statement::hosting::HostingTerms::parse(file.terms.as_bytes()).unwrap();
    assert_eq!(agreed.earnings_fee_bps, Some(100));
    assert_eq!(seen["earnings_fee_bps"], 100);
    let page = kari.get(&format!("{path}/statement")).await.body;
    let page = gruve_hosting::HostingStatement::parse(&page).unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]).verifying_key().to_bytes();
    let mut checker = gruve_statement::hosting::HostingChecker::begin(file, Some(key)).unwrap();
    checker.page(&page).unwrap();
    let other = Program::signed_up(&house.app, "ola").await;
    assert_eq!(kari.get(&format!("{path}/settlements")).await.json()["items"], json!([]));
    for paper in ["signed-terms", "statement", "settlements"] {
        let theirs = other.get(&format!("{path}/{paper}")).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{paper}");
    }
    assert_eq!(place(version, PASSWORD).await.json()["type"], "urn:gruve:problem:sold-out");
}

async fn a_machine_is_ordered_by_an_invoice_and_paid_on_the_chain_or_left_in_the_balance(
    store: Store,
) {
    let house = House::over(store).await;
    let (kari, ola) =
        (Program::signed_up(&house.app, "kari").await, Program::signed_up(&house.app, "ola").await);
    let me = account(&house, "kari").await;
    for serial in ["SN0021", "SN0022"] {
        house::furnished::stock(&house, serial).await;
    }
    let plans = kari.get("/api/v1/hosted-plans").await.json();
    let version = &plans["items"][0]["version"];
    let order = |pay: &str| json!({ "plan": "btc-s21", "version": version, "pay": pay });
    let odd = kari.post("/api/v1/hosted-orders", order("shells")).await;
    assert!(odd.status.is_client_error(), "{}", odd.body);
    // Neither password nor balance are needed.
    let made = kari.post("/api/v1/hosted-orders", order("invoice")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert!(made["from_epoch"].is_null(), "{made}");
    let invoice =
        kari.get(&format!("/api/v1/invoices/{}", made["invoice"].as_str().unwrap())).await;
    let address = invoice.json()["address"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/machines/{}", made["contract"].as_str().unwrap());
    assert_eq!(kari.get(&path).await.json()["state"], "ordered");
    let held = kari.post("/api/v1/hosted-orders", order("invoice")).await.json();
    assert_eq!(held["type"], "urn:gruve:problem:held-unpaid", "{held}");

    // Too little is not enough; the rest makes it hers.
    let lane = &house.lanes[0];
    house.pay(lane, &address, Amount::new(Asset::Btc, 900_000));
    house.block(lane, false).await;
    assert_eq!(kari.get(&path).await.json()["state"], "ordered");
    house.pay(lane, &address, Amount::new(Asset::Btc, 100_001));
    house.block(lane, false).await;
    let seen = kari.get(&path).await.json();
    assert_eq!((&seen["state"], &seen["ended_by"]), (&json!("active"), &json!(null)), "{seen}");
    assert_eq!(available(&house, me).await, 1, "what was too much");

    // Taken back, the invoice is over: a payment that comes later is in the balance.
    let made = ola.post("/api/v1/hosted-orders", order("invoice")).await.json();
    let invoice = format!("/api/v1/invoices/{}", made["invoice"].as_str().unwrap());
    let address = ola.get(&invoice).await.json()["address"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/machines/{}", made["contract"].as_str().unwrap());
    assert_eq!(kari.send("DELETE", &path, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ola.send("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ola.get(&path).await.json()["state"], "withdrawn");
    house.pay(lane, &address, Amount::new(Asset::Btc, 1_000_000));
    house.block(lane, false).await;
    let who = account(&house, "ola").await;
    assert_eq!(available(&house, who).await, 1_000_000);
    assert_eq!(ola.get(&path).await.json()["state"], "withdrawn");
}

/// Ordered out of the balance, at work for a while, ended; then the books are recomputed.
async fn a_hosted_life_over_http_is_the_same_on_both(store: Store) {
    let house = House::over(store).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let me = account(&house, "kari").await;
    house::furnished::stock(&house, "SN0021").await;
    fund(&house, me, 1_500_000).await;
    let plans = kari.get("/api/v1/hosted-plans").await.json();
    let order =
        json!({ "plan": "btc-s21", "version": plans["items"][0]["version"], "password": PASSWORD });
    let made = kari.post("/api/v1/hosted-orders", order).await.json();
    let path = format!("/api/v1/machines/{}", made["contract"].as_str().unwrap());
    house.epochs(6).await;
    let proof = json!({ "password": PASSWORD });
    let ended = kari.post(&format!("{path}/end"), proof.clone()).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    let again = kari.post(&format!("{path}/end"), proof).await.json();
    assert_eq!(again["type"], "urn:gruve:problem:not-now", "{again}");
    house.epochs(6).await;
    let seen = kari.get(&path).await.json();
    assert_eq!((&seen["ended_by"], &seen["back"]), (&json!("owner"), &json!(null)), "{seen}");
    assert_eq!(seen["until_epoch"], ended.json()["until_epoch"]);
    let mut tx = house.store.read().await.unwrap();
    let hosted = house.hosting.audit(&mut tx).await.unwrap();
    assert!(hosted.contracts == 1 && hosted.findings.is_empty(), "{:?}", hosted.findings);
    let sold = house.market.audit_contracts(&mut tx).await.unwrap();
    assert!(sold.findings.is_empty(), "{:?}", sold.findings);
    let books = gruve_ledger::audit(&mut tx).await.unwrap();
    assert!(books.is_sound(), "{:?}", books.findings);
}

#[tokio::test]
async fn an_owner_ends_a_contract_within_its_term_with_password_and_code() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let who = account(&house, "kari").await;
    house::furnished::stock(&house, "SN0021").await;
    fund(&house, who, 1_000_000).await;
    let page = me.get("/hosted/btc-s21").await;
    let (csrf, once, version) = (page.field("csrf"), page.field("once"), page.field("version"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("once", once.as_str()),
        ("version", version.as_str()),
        ("pay", "invoice"),
    ];
    let invoice = me.post("/hosted/btc-s21", &fields).await.location().to_owned();
    assert!(invoice.starts_with("/invoices/"), "{invoice}");
    let shown = me.get(&invoice).await.body;
    let at = shown.find("/machines/").expect("the invoice leads to its machine");
    let machine = shown[at..].split('"').next().unwrap().to_owned();
    assert!(me.get(&machine).await.body.contains("Waits for its payment"));
    let token = [("csrf", csrf.as_str())];
    me.post(&format!("{invoice}/balance"), &token).await;
    assert_eq!(available(&house, who).await, 0);
    let mine = me.get(&machine).await.body;
    assert!(mine.contains("Yours for its term"), "{mine}");
    house.epochs(8).await;
    assert!(me.get(&machine).await.body.contains("/end\""), "it can be ended");
    let end = format!("{machine}/end");
    let wrong = [("csrf", csrf.as_str()), ("password", "no")];
    assert!(me.post(&end, &wrong).await.status.is_client_error());
    let right = [("csrf", csrf.as_str()), ("password", PASSWORD)];
    assert_eq!(me.post(&end, &right).await.location(), machine);
    let ended = me.get(&machine).await.body;
    assert!(ended.contains("Ending") && ended.contains("its owner"), "{ended}");
    assert!(!ended.contains("/end\"") && !ended.contains("/transfer\""), "once");
}

#[tokio::test]
async fn the_pages_of_plans_of_machines_work_without_scripts_and_a_double_click_buys_once() {
    let house = House::new().await;
    for serial in ["SN0021", "SN0022"] {
        house::furnished::stock(&house, serial).await;
    }
    let mut me = Browser::new(&house.app);
    let list = me.get("/hosted").await.body;
    for shown in ["Bitcoin S21", "3500 W", "10 min"] {
        assert!(list.contains(shown), "{shown}: {list}");
    }
    assert!(me.get("/plans").await.body.contains("/hosted"), "from the plans of work to it");
    assert!(me.get("/hosted/btc-s21").await.location().starts_with("/sign-in"));
    me.sign_up("kari").await;
    let who = account(&house, "kari").await;
    let page = me.get("/hosted/btc-s21").await;
    let (csrf, once, version) = (page.field("csrf"), page.field("once"), page.field("version"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("once", once.as_str()),
        ("version", version.as_str()),
        ("password", PASSWORD),
    ];
    let poor = me.post("/hosted/btc-s21", &fields).await;
    assert!(poor.status.is_client_error() && poor.body.contains("too little"), "{}", poor.body);
    fund(&house, who, 3_000_000).await;
    let first = me.post("/hosted/btc-s21", &fields).await.location().to_owned();
    assert!(first.starts_with("/machines/"), "{first}");
    assert_eq!(me.post("/hosted/btc-s21", &fields).await.location(), first, "the same order");
    assert_eq!(available(&house, who).await, 2_000_000);
    let mine = me.get(&first).await.body;
    assert!(mine.contains("Yours for its term"), "{mine}");
    for file in ["terms.json", "statement.json"] {
        let file = me.get(&format!("{first}/{file}")).await;
        assert!(file.header("content-disposition").starts_with("attachment"));
    }
    let gone = me.get("/hosted/nothing").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

laws! { orders: [
    a_machine_is_ordered_by_an_invoice_and_paid_on_the_chain_or_left_in_the_balance,
    a_hosted_life_over_http_is_the_same_on_both,
] }
