//! Plans made, changed and withdrawn in the console and by programs, beside the file.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::Role;
use gruve_web::routes;
use house::House;
use house::browser::{Browser, Program};
use serde_json::{Value, json};

const PASSWORD: &str = "four words make one";

async fn staff(house: &House, name: &str, role: Role) -> (Browser, Program) {
    let mut browser = Browser::new(&house.app);
    browser.sign_up(name).await;
    house.accounts.set_role(None, name, Some(role)).await.unwrap();
    browser.cookies.clear();
    let csrf = browser.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", name), ("password", PASSWORD)];
    assert_eq!(browser.post("/sign-in", &fields).await.location(), "/account");
    let program = Program::signed_in(&house.app, name).await;
    (browser, program)
}

fn night() -> Value {
    json!({
        "id": "night", "lane": "btc", "title": "Bitcoin by night", "hashrate_min": "100 kH/s",
        "hashrate_max": "1 MH/s", "hashrate_step": "100 kH/s", "terms_epochs": [6, 12],
        "price_minor": 40_000_000, "price_hashrate": "1 kH/s", "fee_bps": 150,
    })
}

fn by_name<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list["items"].as_array().unwrap().iter().find(|p| p["plan"] == name || p["plan"]["id"] == name)
}

#[tokio::test]
async fn programs_make_change_and_withdraw_plans_and_customers_buy_what_is_on_sale() {
    let house = House::new().await;
    house.epochs(8).await;
    let (_, finance) = staff(&house, "penger", Role::Finance).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let made = finance.post("/api/v1/console/plans", night()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert_eq!(made.json(), json!({ "plan": "night", "version": 1 }));
    let public = kari.get("/api/v1/plans").await.json();
    assert_eq!(by_name(&public, "night").unwrap()["fee_bps"], 150);
    let order = json!({ "plan": "night", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order.clone()).await.json();

    let mut dearer = night();
    dearer["price_minor"] = json!(80_000_000);
    let changed = finance.post("/api/v1/console/plans", dearer).await.json();
    assert_eq!(changed["version"], 2);
    let stale = kari.post("/api/v1/contracts", json!({ "quote": quote["quote"] })).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.body);
    let fresh = kari.post("/api/v1/quotes", order.clone()).await.json();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": fresh["quote"] })).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    let contract = bought.json()["contract"].as_str().unwrap().to_owned();
    let terms = kari.get(&format!("/api/v1/contracts/{contract}/terms")).await.body;

    let gone = finance.send("DELETE", "/api/v1/console/plans/night", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let asked = kari.post("/api/v1/quotes", order).await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND);
    let after = kari.get(&format!("/api/v1/contracts/{contract}/terms")).await.body;
    assert_eq!(after, terms, "what was sold stays as signed");
    // And stands in words on the contract's page, though there is no such plan any more.
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let shown = page.get(&format!("/contracts/{contract}")).await.body;
    let sold = shown.split("id=\"terms-h\"").nth(1).unwrap();
    for part in [
        "<dt>Fee on earnings</dt><dd>1.50 %</dd>",
        "<dt>Maintenance</dt><dd>none</dd>",
        "PPLNS: each found block is shared",
        "what is missing then is refunded pro rata",
        "it goes on; what is deducted never exceeds",
    ] {
        assert!(sold.contains(part), "{part}: {sold}");
    }
    let list = finance.get("/api/v1/console/plans").await.json();
    assert_eq!(by_name(&list, "night").unwrap()["standing"], "withdrawn");
    assert_eq!(by_name(&list, "btc-lease").unwrap()["standing"], "filed");

    let mut bad = night();
    bad["terms_epochs"] = json!([]);
    let refused = finance.post("/api/v1/console/plans", bad).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("terms_epochs"), "{}", refused.body);
    let mut misspelt = night();
    misspelt["fee_bsp"] = json!(1);
    let refused = finance.post("/api/v1/console/plans", misspelt).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    let log = house.accounts.log_page(None, 50).await.unwrap();
    let acts: Vec<(&str, &str)> =
        log.iter().map(|l| (l.row.action.as_str(), l.row.detail.as_str())).collect();
    assert!(acts.contains(&("plan.put", "night")) && acts.contains(&("plan.withdraw", "night")));
    assert!(acts.iter().any(|(a, d)| *a == "console.refused" && d.starts_with("plan.put night")));
}

#[tokio::test]
async fn a_plan_is_changed_in_the_console_by_its_form_and_goes_back_to_the_file() {
    let house = House::new().await;
    let (mut finance, _) = staff(&house, "penger", Role::Finance).await;
    let page = finance.get("/console/plans/btc-lease").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let before = house.market.plan("btc-lease").unwrap();
    let names = [
        "csrf",
        "id",
        "title",
        "hashrate_min",
        "hashrate_max",
        "hashrate_step",
        "terms",
        "pay_asset",
        "price",
        "price_hashrate",
        "fpps",
        "ruin",
        "fee",
        "maintenance",
        "maintenance_also",
        "catch_up",
        "extension",
        "low_balance",
        "hysteresis",
        "notice",
        "maintenance_usd",
        "energy_usd",
        "choice",
    ];
    let mut fields: Vec<(&str, String)> = names.map(|n| (n, page.field(n))).to_vec();
    for (name, value) in
        [("lane", "btc"), ("kind", "lease"), ("scheme", "pplns"), ("unprofitable", "run")]
    {
        fields.push((name, value.to_owned()));
    }
    let post = async |browser: &mut Browser, fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.post("/console/plans", &fields).await
    };
    let same = post(&mut finance, &fields).await;
    assert_eq!(same.location(), "/console/plans", "{}", same.body);
    let unchanged = house.market.plan("btc-lease").unwrap();
    assert_eq!(unchanged, before, "the form says what the file said");
    fields.iter_mut().find(|(n, _)| *n == "fee").unwrap().1 = "321".to_owned();
    post(&mut finance, &fields).await;
    let changed = house.market.plan("btc-lease").unwrap();
    assert_eq!((changed.fee_bps.get(), changed.version), (321, before.version + 1));
    let listed = finance.get("/console/plans").await.body;
    assert!(
        listed.contains("as said here") && listed.contains("/console/plans/btc-lease/as-filed")
    );
    let csrf = page.field("csrf");
    finance.post("/console/plans/btc-lease/as-filed", &[("csrf", &csrf)]).await;
    assert_eq!(house.market.plan("btc-lease").unwrap().fee_bps, before.fee_bps);
    finance.post("/console/plans/btc-lease/withdraw", &[("csrf", &csrf)]).await;
    assert!(house.market.plan("btc-lease").is_err());
}

#[tokio::test]
async fn programs_of_staff_pass_where_their_role_may_and_nowhere_else() {
    let house = House::new().await;
    let all = routes(&house.state);
    let operators: Vec<_> = all.iter().filter(|r| r.path.starts_with("/api/v1/console")).collect();
    assert!(!operators.is_empty());
    let kari = Program::signed_up(&house.app, "kari").await;
    for role in Role::ALL {
        let (_, program) = staff(&house, role.name(), role).await;
        for r in &operators {
            let gruve_web::Access::StaffBearer(needed) = r.access else {
                panic!("{} {} is not for staff's programs", r.method, r.path)
            };
            let path = r.path.replace("{id}", "0190a5d0-0000-7000-8000-000000000000");
            let path = path.replace("{name}", "nothing");
            let answer = program.send(r.method.as_str(), &path, None).await;
            let what = format!("{role}: {} {path}: {} {}", r.method, answer.status, answer.body);
            if role.may(needed) {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert!(!answer.status.is_server_error(), "{what}");
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
            }
            let stranger = kari.send(r.method.as_str(), &path, None).await;
            assert_eq!(stranger.status, StatusCode::NOT_FOUND, "{what}");
        }
    }
}
