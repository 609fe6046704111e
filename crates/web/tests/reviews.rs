//! The track record is computed from contracts, and only their holders speak.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::Role;
use gruve_units::{Amount, Asset};
use house::House;
use house::balances::{account, fund};
use house::browser::{Browser, Program};
use house::furnished::PASSWORD;
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
    house.epochs(3).await;
    // What a running contract has delivered counts as it stands.
    let record = Program::new(&house.app).get("/api/v1/plans/btc-lease/record").await.json();
    let own = kari.get(&format!("/api/v1/contracts/{contract}")).await.json();
    assert_eq!((&record["sold"], &record["running"]), (&json!(1), &json!(1)), "{record}");
    assert_ne!(own["delivered"], "0", "{own}");
    assert_eq!(record["delivered"], own["delivered"]);
    // No number of stars is chosen before its holder chooses.
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let form = page.get(&format!("/contracts/{contract}/review")).await;
    let first = "<select id=\"stars\" name=\"stars\" required><option value=\"\">";
    assert!(form.body.contains(first) && !form.body.contains("selected"), "{}", form.body);
    let unchosen = [("csrf", form.field("csrf")), ("stars", String::new()), ("text", "x".into())];
    let unchosen = unchosen.each_ref().map(|(name, value)| (*name, value.as_str()));
    let refused = page.post(&format!("/contracts/{contract}/review"), &unchosen).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    house.epochs(6).await;
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

#[tokio::test]
async fn staff_reads_reviews_page_by_page_also_those_of_one_moment() {
    let house = House::new().await;
    house.epochs(7).await;
    let mut holders = Vec::new();
    for name in ["kari", "ola", "tone"] {
        holders.push(holder(&house, name).await);
    }
    house.block(&house.lanes[0], false).await;
    house.epochs(9).await;
    for (me, contract) in &holders {
        let good = json!({ "stars": 4, "text": "It delivered what it said." });
        let said = me.post(&format!("/api/v1/contracts/{contract}/review"), good).await;
        assert_eq!(said.status, StatusCode::CREATED, "{}", said.body);
    }
    Program::signed_up(&house.app, "berit").await;
    house.accounts.set_role(None, "berit", Some(Role::Owner)).await.unwrap();
    let boss = Program::signed_in(&house.app, "berit").await;
    let path = "/api/v1/console/plans/btc-lease/reviews";
    let all = boss.get(path).await.json();
    let all = all["items"].as_array().unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = boss.get(&format!("{path}?limit=1{after}")).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(&paged, all);
}

#[tokio::test]
async fn machines_and_contracts_by_the_meter_have_a_record_too_and_their_holders_speak() {
    let house = House::new().await;
    house.epochs(8).await;
    let anybody = Program::new(&house.app);
    let record = async |plan: &str| anybody.get(&format!("/api/v1/plans/{plan}/record")).await;
    let none = record("btc-s21").await;
    assert_eq!(none.status, StatusCode::OK, "{}", none.body);
    assert_eq!(none.json()["machines"]["taken"], 0, "{}", none.body);
    assert!(none.json()["metered"].is_null(), "{}", none.body);

    let (kari, ola) =
        (Program::signed_up(&house.app, "kari").await, Program::signed_up(&house.app, "ola").await);
    fund(&house, account(&house, "kari").await, 900_000_000).await;
    house::furnished::stock(&house, "SN0021").await;
    let plans = kari.get("/api/v1/hosted-plans").await.json();
    let order =
        json!({ "plan": "btc-s21", "version": plans["items"][0]["version"], "password": PASSWORD });
    let machine = kari.post("/api/v1/hosted-orders", order).await.json();
    let start = json!({ "plan": "btc-meter", "hashrate": "50 kH/s" });
    let metered = kari.post("/api/v1/metered", start).await.json();
    let review =
        |id: &serde_json::Value| format!("/api/v1/contracts/{}/review", id.as_str().unwrap());
    let said = json!({ "stars": 2, "text": "It stood still." });
    for id in [&machine["contract"], &metered["contract"]] {
        let early = kari.post(&review(id), said.clone()).await;
        assert_eq!(early.status, StatusCode::NOT_FOUND, "not begun: {}", early.body);
    }
    house.epochs(4).await;
    for (plan, id, place) in [
        ("btc-s21", &machine["contract"], "machines"),
        ("btc-meter", &metered["contract"], "metered"),
    ] {
        assert_eq!(ola.post(&review(id), said.clone()).await.status, StatusCode::NOT_FOUND);
        let mut own = Browser::new(&house.app);
        own.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
        let id_text = id.as_str().unwrap();
        let shown = own.get(&format!("/{place}/{id_text}")).await.body;
        assert!(shown.contains(&format!("/contracts/{id_text}/review")), "{place}: {shown}");
        let form = own.get(&format!("/contracts/{id_text}/review")).await.body;
        assert!(form.contains(&format!("href=\"/{place}/{id_text}\"")), "back to it: {form}");
        let made = kari.post(&review(id), said.clone()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert_eq!(kari.post(&review(id), said.clone()).await.status, StatusCode::CONFLICT, "once");
        let record = record(plan).await.json();
        assert_eq!(record["reviews"][0]["text"], "It stood still.", "{record}");
        assert_eq!(record["stars"], json!([0, 1, 0, 0, 0]), "{record}");
    }
    let record = record("btc-s21").await.json();
    let machines = &record["machines"];
    assert_eq!((&machines["taken"], &machines["running"]), (&json!(1), &json!(1)), "{record}");
    // No machine's shares are counted in this house: nothing is said of them.
    assert_eq!((&machines["epochs"], &machines["proven"]), (&json!(0), &json!("0")), "{record}");
    let mut anybody = Browser::new(&house.app);
    for (page, link) in [("/hosted", "/plans/btc-s21/record"), ("/plans/btc-s21/record", "/hosted")]
    {
        let shown = anybody.get(page).await;
        assert_eq!(shown.status, StatusCode::OK, "{page}");
        assert!(shown.body.contains(&format!("href=\"{link}\"")), "{page}: {}", shown.body);
    }
}
