//! Lists of the API, page by page: whole, in order, and steady while rows come.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use house::House;
use house::browser::Program;
use house::contracts::with_contracts;
use serde_json::{Value, json};

/// All rows, `limit` at a time; `between` happens after each page.
async fn all(me: &Program, path: &str, limit: usize, between: impl AsyncFn()) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = me.get(&format!("{path}{joint}limit={limit}{after}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let page = page.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{path}");
        rows.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        assert_eq!(items.len(), limit, "{path}: a page before another is full");
        after = format!("&after={next}");
        between().await;
    }
}

#[tokio::test]
async fn lists_of_everybody_are_whole_in_pages_of_any_size_and_newest_first() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::new(&house.app);
    for path in
        ["/api/v1/blocks", "/api/v1/epochs", "/api/v1/blocks?lane=btc", "/api/v1/epochs?lane=ltc"]
    {
        let whole = all(&me, path, 500, async || {}).await;
        assert!(whole.len() >= 3, "{path}: {}", whole.len());
        for limit in [1, 2, 3] {
            assert_eq!(all(&me, path, limit, async || {}).await, whole, "{path} by {limit}");
        }
        let word = if path.contains("blocks") { "found_at" } else { "started_at" };
        assert!(
            whole.is_sorted_by_key(|r| std::cmp::Reverse(r[word].as_str().unwrap().to_owned()))
        );
    }
}

#[tokio::test]
async fn what_comes_between_two_pages_is_not_told_in_the_second_and_hides_nothing() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let lane = &house.lanes[0];
    let top_up = json!({ "asset": "BTC", "amount": "0.9" });
    let invoice = me.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(lane.asset, 90_000_000);
    house.pay(lane, invoice["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let buy = async || {
        // Ids are ordered by milliseconds.
        house.clock.advance(std::time::Duration::from_millis(2));
        let order = json!({ "plan": "btc-meter", "hashrate": "10 kH/s" });
        let started = me.post("/api/v1/metered", order).await;
        assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    };
    for _ in 0..3 {
        buy().await;
    }
    let id = |r: &Value| r["contract"].as_str().unwrap().to_owned();
    let whole: Vec<_> =
        all(&me, "/api/v1/metered", 500, async || {}).await.iter().map(id).collect();
    assert_eq!(whole.len(), 3);
    let paged: Vec<_> = all(&me, "/api/v1/metered", 2, buy).await.iter().map(id).collect();
    assert_eq!(paged, whole);
    let other = Program::signed_up(&house.app, "ola").await;
    let page = me.get("/api/v1/metered?limit=1").await.json();
    let after = page["next"].as_str().unwrap();
    let theirs = other.get(&format!("/api/v1/metered?after={after}")).await.json();
    assert_eq!(theirs, json!({ "items": [], "next": null }), "a cursor opens nothing");
    for bad in ["after=xyz", "after=00", "limit=0", "limit=501", "limit=-1", "pages=3"] {
        let refused = me.get(&format!("/api/v1/metered?{bad}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

/// Lists that are always given whole, because what they list is bounded by itself: by the house's configuration, or by a
/// limit of the account's.
const WHOLE: [&str; 23] = [
    "/api/v1/balances",
    "/api/v1/console/bulletins",
    "/api/v1/console/clearing",
    "/api/v1/console/lost-factors",
    "/api/v1/console/luck",
    "/api/v1/console/map",
    "/api/v1/console/payout-locks",
    "/api/v1/console/plans",
    "/api/v1/console/reserves",
    "/api/v1/console/roles",
    "/api/v1/console/sites",
    "/api/v1/console/staff",
    "/api/v1/console/withholding",
    "/api/v1/energy",
    "/api/v1/fpps",
    "/api/v1/hosted-plans",
    "/api/v1/keys",
    "/api/v1/lanes",
    "/api/v1/passkeys",
    "/api/v1/payouts/limits",
    "/api/v1/plans",
    "/api/v1/sessions",
    "/api/v1/webhooks",
];

/// Every list says where its next page begins and takes that word; those that are always whole are named above.
#[tokio::test]
async fn every_list_is_a_page_that_says_where_the_next_begins() {
    let document = gruve_web::document();
    let (mut lists, mut whole) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(shape) = item.pointer("/get/responses/200/content/application~1json/schema")
        else {
            continue;
        };
        assert_ne!(shape["type"], "array", "{path} is a bare list");
        if shape["properties"].get("items").is_some() {
            assert!(shape["properties"].get("next").is_some(), "{path}");
            lists += 1;
            let given = item.pointer("/get/parameters").and_then(Value::as_array);
            if !given.into_iter().flatten().any(|p| p["name"] == "after") {
                whole.push(path.as_str());
            }
        }
    }
    assert!(lists >= 20, "{lists}");
    assert_eq!(whole, WHOLE, "these lists have no pages");
}

/// What an overview may weigh, and how long it may take: a phone in a tunnel, and a page that fetches itself again.
const OVERVIEW_BYTES_MAX: usize = 100_000;

#[tokio::test]
async fn an_overview_of_two_hundred_contracts_is_small_and_leads_to_all_of_them() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::signed_up(&house.app, "kari").await;
    with_contracts(&house, &me, 200, 60).await;
    let mut browser = house::browser::Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let overview = browser.get("/account").await;
    assert_eq!(overview.status, StatusCode::OK, "{}", overview.body);
    assert!(overview.body.len() < OVERVIEW_BYTES_MAX, "{} bytes", overview.body.len());
    assert!(overview.body.contains("All 200 contracts"));
    let of = |body: &str| -> Vec<String> {
        let links = body.split("href=\"/contracts/").skip(1);
        links.map(|l| l.split('"').next().unwrap().to_owned()).collect()
    };
    let running = me.get("/api/v1/contracts?limit=500").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["state"] == "active")
        .map(|c| c["contract"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    let first = of(&overview.body);
    assert!(
        !running.is_empty() && running.iter().take(50).all(|id| first.contains(id)),
        "what runs stands first"
    );
    // And page by page all of them, each once.
    let (mut all, mut path) = (Vec::new(), "/account/contracts".to_owned());
    loop {
        let page = browser.get(&path).await;
        assert!(page.body.len() < OVERVIEW_BYTES_MAX, "{} bytes", page.body.len());
        all.extend(of(&page.body));
        let Some(next) = page.body.split("href=\"/account/contracts?before=").nth(1) else { break };
        path = format!("/account/contracts?before={}", next.split('"').next().unwrap());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}
