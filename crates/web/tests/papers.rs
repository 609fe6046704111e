//! What a customer takes home: signed terms, statements, forecasts.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_market::PaymentDispute;
use gruve_statement::{Checker, SignedTerms, Statement};
use gruve_store::transact;
use gruve_web::WebConfig;
use house::House;
use house::balances::{account, fund};
use house::browser::{Browser, Program};
use house::record::recorded;
use serde_json::json;

#[tokio::test]
async fn a_customer_downloads_terms_and_statement_and_checks_them_alone() {
    let house = House::new().await;
    house.epochs(8).await;
    let lane = &house.lanes[0];
    house.block(lane, false).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
    let minor = bought["invoice"]["amount"]["minor"].as_i64().unwrap();
    let due = gruve_units::Amount::new(lane.asset, minor);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    house.epochs(9).await;

    let path = format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap());
    let terms = me.get(&format!("{path}/terms")).await;
    assert_eq!(terms.status, StatusCode::OK, "{}", terms.body);
    let terms = SignedTerms::parse(&terms.body).unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
    let mut checker = Checker::begin(terms, Some(key)).unwrap();
    let mut from = String::new();
    loop {
        let page = me.get(&format!("{path}/statement?limit=4{from}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let page = Statement::parse(&page.body).unwrap();
        checker.page(&page).unwrap();
        match page.next_epoch {
            Some(next) => from = format!("&from={next}"),
            None => break,
        }
    }
    let report = checker.finish();
    assert!(report.pages > 1 && report.signed_pages == report.pages && report.lines > 6);
    let contract = me.get(&path).await.json();
    assert_eq!(report.closing.delivered.to_string(), contract["delivered"].as_str().unwrap());
    let csv = me.get(&format!("{path}/statement?format=csv")).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.body.lines().count() > report.lines && csv.body.starts_with("line,is,epoch,"));
    let wrong = me.get(&format!("{path}/statement?format=xml")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    // The same from the pages, by cookie.
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let at = format!("/contracts/{}", bought["contract"].as_str().unwrap());
    let printed = page.get(&format!("{at}/statement")).await;
    assert_eq!(printed.status, StatusCode::OK);
    assert!(
        printed.body.contains("gruve statement check") && printed.body.contains("Settlement 1")
    );
    let days = printed.body.split("id=\"days-h\"").nth(1).unwrap();
    let days = &days[..days.find("</section>").unwrap()];
    assert!(days.contains("By day") && days.contains("BTC"), "each day has a line: {days}");
    let file = page.get(&format!("{at}/terms.json")).await;
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"terms-"));
    SignedTerms::parse(&file.body).unwrap().open(Some(&key)).unwrap();
    let file = page.get(&format!("{at}/statement.json")).await;
    Statement::parse(&file.body).unwrap();
    assert!(page.get(&format!("{at}/statement.csv")).await.body.starts_with("line,"));
    // Of the mean foretold, the part of the work that was delivered.
    let read = |what: &str| contract[what].as_str().unwrap().parse::<i128>().unwrap();
    let mean = contract["forecast"]["assets"][0]["expected_minor"].as_i64().unwrap();
    let so_far = i128::from(mean) * read("delivered") / read("bought");
    let shown_page = page.get(&at).await.body;
    let foretold = shown_page.split("id=\"foretold-h\"").nth(1).unwrap();
    let of_it = foretold.split("data-label=\"Of the mean, for the work so far\"").nth(1).unwrap();
    assert!(
        mean > 0
            && of_it[..of_it.find("</td>").unwrap()]
                .contains(&shown(i64::try_from(so_far).unwrap())),
        "{of_it}"
    );
    let other = Program::signed_up(&house.app, "ola").await;
    for part in ["terms", "statement"] {
        let foreign = other.get(&format!("{path}/{part}")).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{part}");
    }
}

/// As the pages show it.
fn shown(minor: i64) -> String {
    gruve_units::Amount::new(gruve_units::Asset::Btc, minor).decimal()
}

#[tokio::test]
async fn a_quote_says_what_it_may_earn_and_the_contract_keeps_it() {
    let house = House::new().await;
    house.epochs(8).await;
    house.block(&house.lanes[0], false).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json();
    let forecast = &quote["forecast"];
    assert_eq!(forecast["model"], "past 2", "{quote}");
    let one = &forecast["assets"][0];
    assert_eq!(one["asset"], "BTC");
    assert!(one["low_minor"].as_i64() <= one["expected_minor"].as_i64());
    assert!(one["expected_minor"].as_i64() <= one["high_minor"].as_i64());
    assert!(forecast["expects_loss"].is_boolean());
    assert!(forecast["given"]["seed"].is_string());
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
    let path = format!("/api/v1/contracts/{}", bought["contract"].as_str().unwrap());
    assert_eq!(me.get(&path).await.json()["forecast"], *forecast);
    let mut own = Browser::new(&house.app);
    own.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let contract = own.get(&path.replace("/api/v1", "")).await.body;
    let foretold = contract.split("id=\"foretold-h\"").nth(1).unwrap();
    let foretold = &foretold[..foretold.find("</section>").unwrap()];
    assert!(foretold.contains("Foretold and come true"), "{foretold}");
    let expected = shown(one["expected_minor"].as_i64().unwrap());
    assert!(foretold.contains(&expected), "{expected}: {foretold}");
    let mut page = Browser::new(&house.app);
    page.sign_up("ola").await;
    let csrf = page.get("/buy?plan=btc-lease").await.field("csrf");
    let form =
        [("csrf", csrf.as_str()), ("plan", "btc-lease"), ("hashrate", "200 kH/s"), ("term", "6")];
    let shown = page.post("/buy", &form).await;
    assert!(shown.body.contains("What it may earn"), "{}", shown.body);
    let loses = forecast["expects_loss"].as_bool().unwrap();
    assert_eq!(shown.body.contains("You should expect to lose money"), loses);
}

#[tokio::test]
async fn work_by_the_meter_is_drawn_printed_and_checked_like_a_leases() {
    for (config, has_record) in [(recorded(), true), (WebConfig::default(), false)] {
        let house = House::with(config).await;
        house.epochs(8).await;
        let me = Program::signed_up(&house.app, "kari").await;
        fund(&house, account(&house, "kari").await, 90_000_000).await;
        let order = json!({ "plan": "btc-meter", "hashrate": "10 kH/s" });
        let started = me.post("/api/v1/metered", order).await;
        assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
        let id = started.json()["contract"].as_str().unwrap().to_owned();
        let mut own = Browser::new(&house.app);
        own.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
        let path = format!("/metered/{id}");
        assert!(!own.get(&path).await.body.contains("/proof/receipt"), "nothing is closed yet");
        house.epochs(6).await;
        let page = own.get(&path).await.body;
        for part in [
            "Hashrate delivered per epoch",
            "<dt>If work is missing</dt><dd>it is not charged</dd>",
            "class=\"bar work\"",
            &format!("href=\"/contracts/{id}/terms.json\""),
            &format!("href=\"/contracts/{id}/statement\""),
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let check = format!("href=\"/proof/receipt?contract={id}&amp;epoch=");
        for part in [&check, &format!("href=\"/contracts/{id}/receipts.bin\"")] {
            assert_eq!(page.contains(part), has_record, "{part}: {page}");
        }
        let printed = own.get(&format!("/contracts/{id}/statement")).await;
        assert_eq!(printed.status, StatusCode::OK, "{}", printed.body);
        assert!(printed.body.contains(&format!("href=\"{path}\"")), "{}", printed.body);
        assert!(printed.body.contains("minor units for"), "each epoch's charge: {}", printed.body);
        let ola = Program::signed_up(&house.app, "ola").await;
        own.cookies.insert("gruve".to_owned(), ola.token.clone().unwrap());
        let foreign = own.get(&format!("/contracts/{id}/statement")).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{}", foreign.body);
    }
}

#[tokio::test]
async fn whoever_disputes_a_payment_is_told_why_nothing_accrues() {
    let house = House::new().await;
    house.epochs(8).await;
    let lane = &house.lanes[0];
    house.block(lane, false).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "200 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await.json();
    let minor = bought["invoice"]["amount"]["minor"].as_i64().unwrap();
    let due = gruve_units::Amount::new(lane.asset, minor);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    house.epochs(2).await;
    let id = bought["contract"].as_str().unwrap();
    let says = async |word: PaymentDispute| {
        let (market, id) = (&house.market, id.parse().unwrap());
        let told = transact!(house.store, tx -> gruve_market::Result<_> => {
            market.payment_disputed(tx, id, "dp_1", word).await
        });
        told.unwrap();
    };
    let path = format!("/api/v1/contracts/{id}");
    let at = format!("/contracts/{id}");
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let life = me.get(&format!("{path}/life")).await.json();
    assert_eq!(life["frozen_since"], json!(null));
    assert!(!page.get(&at).await.body.contains("disputed"));
    says(PaymentDispute::Open).await;
    house.epochs(2).await;
    let life = me.get(&format!("{path}/life")).await.json();
    assert!(life["frozen_since"].is_u64(), "{life}");
    assert_eq!(life["notices"][0]["kind"], "frozen");
    let shown = page.get(&at).await.body;
    assert!(shown.contains("Frozen: payment disputed"), "{shown}");
    assert!(shown.contains("The payment of this contract is disputed: from epoch "), "{shown}");
    assert!(page.get("/account").await.body.contains("Frozen: payment disputed"));
    let refused = me.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    says(PaymentDispute::Lost(due)).await;
    house.epochs(2).await;
    assert_eq!(me.get(&path).await.json()["state"], "charged_back");
    let shown = page.get(&at).await.body;
    assert!(shown.contains("Ended, payment taken back") && !shown.contains("Frozen:"), "{shown}");
    let printed = page.get(&format!("{at}/statement")).await.body;
    assert!(printed.contains("Payment disputed from epoch "), "{printed}");
    assert!(printed.contains("Payment taken back: the contract has ended"), "{printed}");
    let terms = SignedTerms::parse(&me.get(&format!("{path}/terms")).await.body).unwrap();
    let statement = me.get(&format!("{path}/statement")).await.body;
    let mut checker = Checker::begin(terms, None).unwrap();
    checker.page(&Statement::parse(&statement).unwrap()).unwrap();
}
