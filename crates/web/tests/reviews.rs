//! The track record is computed from contracts, and only their holders speak.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::Role;
use gruve_units::{Amount, Asset};
use house::House;
use house::browser::{Browser, Program};
use serde_json::json;

/// Somebody with a paid contract: the program and the contract.
async fn holder(house: &House, name: &str) -> (Program, String) {
    let me = Program::signed_up(&house.app, name).await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = me.post("/api/v1/quotes", order).await.json()["quote"].as_str().unwrap().to_owned();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let btc = &house.lanes[0];
    let due = bought["invoice"]["amount"]["minor"].as_i64().unwrap();
    house.pay(btc, bought["invoice"]["address"].as_str().unwrap(), Amount::new(Asset::Btc, due));
    (me, bought["contract"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_track_record_is_what_the_contracts_say_and_only_their_holders_speak_once() {
    let house = House::new().await;
    house.epochs(7).await;
    let (kari, contract) = holder(&house, "kari").await;
    let path = format!("/api/v1/contracts/{contract}/review");
    let good = json!({ "stars": 4, "text": "It delivered <what> it said." });
    let early = kari.post(&path, good.clone()).await;
    assert_eq!(early.status, StatusCode::NOT_FOUND, "not paid, not held: {}", early.body);
    house.block(&house.lanes[0], false).await;
    house.epochs(9).await;
    let record = Program::new(&house.app).get("/api/v1/plans/btc-lease/record").await.json();
    assert_eq!((&record["sold"], &record["completed"]), (&json!(1), &json!(1)), "{record}");
    let own = kari.get(&format!("/api/v1/contracts/{contract}")).await.json();
    assert_eq!(record["delivered"], own["delivered"]);

    let ola = Program::signed_up(&house.app, "ola").await;
    assert_eq!(ola.post(&path, good.clone()).await.status, StatusCode::NOT_FOUND, "not the holder");
    for bad in [
        json!({ "stars": 6, "text": "x" }),
        json!({ "stars": 1, "text": " " }),
        json!({ "stars": 1, "text": "x".repeat(1_001) }),
    ] {
        assert_eq!(kari.post(&path, bad).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(kari.post(&path, good.clone()).await.status, StatusCode::CREATED);
    assert_eq!(kari.post(&path, good).await.status, StatusCode::CONFLICT, "once");

    let mut anybody = Browser::new(&house.app);
    let page = anybody.get("/plans/btc-lease/record").await;
    assert!(page.body.contains("It delivered &lt;what&gt; it said."), "{}", page.body);
    assert!(!page.body.contains("kari"), "without a name");
    assert_eq!(anybody.get("/plans/nothing/record").await.status, StatusCode::NOT_FOUND);

    // The operator answers once, hides for a ground, and deletes nothing.
    let mut boss = Browser::new(&house.app);
    boss.sign_up("berit").await;
    house.accounts.set_role(None, "berit", Some(Role::Owner)).await.unwrap();
    let csrf = boss.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "berit"), ("password", "four words make one")];
    boss.post("/sign-in", &login).await;
    let csrf = boss.get("/plans/btc-lease/record").await.field("csrf");
    let answer = format!("/console/reviews/{contract}/answer");
    let hide = format!("/console/reviews/{contract}/hide");
    let text = [("csrf", csrf.as_str()), ("text", "Thank you.")];
    assert_eq!(boss.post(&answer, &text).await.status, StatusCode::SEE_OTHER);
    assert_eq!(boss.post(&answer, &text).await.status, StatusCode::NOT_FOUND, "once");
    let unkind = [("csrf", csrf.as_str()), ("ground", "unkind")];
    assert_eq!(boss.post(&hide, &unkind).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let ground = [("csrf", csrf.as_str()), ("ground", "advertising")];
    assert_eq!(boss.post(&hide, &ground).await.status, StatusCode::SEE_OTHER);
    let page = anybody.get("/plans/btc-lease/record").await;
    assert!(
        !page.body.contains("It delivered") && page.body.contains("it advertised something else")
    );
    assert!(
        page.body.contains("Thank you.") && page.body.contains("of 5 stars"),
        "the stars count"
    );
    let log = house.accounts.log_page(None, 50).await.unwrap();
    assert!(log.iter().any(|l| l.row.action == "review.hide"));
}
