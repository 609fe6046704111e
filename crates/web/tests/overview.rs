//! What the overview adds up: of leases and of work by the meter, and the same for programs.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_units::{Amount, Asset, Clock as _};
use house::House;
use house::browser::{Browser, Program};
use serde_json::{Value, json};

/// All rows of a list, a few at a time.
async fn all(me: &Program, path: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = me.get(&format!("{path}?limit={limit}{after}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let page = page.json();
        rows.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        after = format!("&after={next}");
    }
}

async fn with_balance(house: &House, name: &str) -> Program {
    let lane = &house.lanes[0];
    let me = Program::signed_up(&house.app, name).await;
    let invoice = me.post("/api/v1/top-ups", json!({ "asset": "BTC", "amount": "0.9" })).await;
    house.pay(
        lane,
        invoice.json()["address"].as_str().unwrap(),
        Amount::new(Asset::Btc, 90_000_000),
    );
    house.block(lane, false).await;
    me
}

async fn leased(me: &Program) {
    let order = json!({ "plan": "btc-lease", "hashrate": "20 kH/s", "term_epochs": 60 });
    let quote = me.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = me.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let path = format!("/api/v1/invoices/{}/balance", bought["invoice"]["id"].as_str().unwrap());
    let paid = me.post(&path, json!({})).await;
    assert!(paid.status.is_success(), "{}", paid.body);
}

/// What was credited to the balance for work, by the account's own entries.
async fn settled(me: &Program) -> i64 {
    let entries = all(me, "/api/v1/account/entries", 3).await;
    let of_work = entries.iter().filter(|e| e["what"] == "Earnings settled");
    of_work.map(|e| e["change"]["minor"].as_i64().unwrap()).sum()
}

fn earned(of: &Value) -> [i64; 4] {
    let of = &of["earned"][0];
    assert_eq!(of["asset"], "BTC", "{of}");
    ["day", "week", "month", "in_all"].map(|span| of[span]["minor"].as_i64().unwrap())
}

#[tokio::test]
async fn the_overview_adds_up_leases_and_work_by_the_meter_and_its_call_says_the_same() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = with_balance(&house, "kari").await;
    let before = kari.get("/api/v1/overview").await.json();
    assert_eq!((&before["running"], &before["next_settlement"]), (&json!(0), &json!(null)));
    assert_eq!((&before["earned"], &before["proven"]), (&json!([]), &json!([])));

    let order = json!({ "plan": "btc-meter", "hashrate": "10 kH/s" });
    let started = kari.post("/api/v1/metered", order).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    house.epochs(8).await;
    let meter = kari.get("/api/v1/overview").await.json();
    assert_eq!((&meter["running"], &meter["contracts"]), (&json!(1), &json!(1)), "{meter}");
    assert_eq!(meter["proven"][0]["lane"], "btc");
    assert_eq!(meter["proven"][0]["bought"]["hashes_per_second"], "10000");
    let rate = |of: &Value, what: &str| -> u64 {
        of["proven"][0][what]["hashes_per_second"].as_str().unwrap().parse().unwrap()
    };
    assert!(rate(&meter, "got") > 0 && rate(&meter, "spread") > 0, "{meter}");
    assert!(meter["next_settlement"].is_string(), "work by the meter is settled, too");
    let sum = settled(&kari).await;
    assert!(sum > 0);
    assert_eq!(earned(&meter), [sum; 4]);

    leased(&kari).await;
    house.epochs(6).await;
    let both = kari.get("/api/v1/overview").await.json();
    assert_eq!((&both["running"], &both["contracts"]), (&json!(2), &json!(2)), "{both}");
    assert_eq!(both["proven"][0]["contracts"], 2);
    assert_eq!(both["proven"][0]["bought"]["hashes_per_second"], "30000");
    assert!(rate(&both, "got") > rate(&meter, "got"), "{both}");
    let more = settled(&kari).await;
    assert!(more > sum);
    assert_eq!(earned(&both), [more; 4]);

    // The page tells the same; a stranger's has nothing of it.
    let mut browser = Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let page = browser.get("/account").await.body;
    assert!(!page.contains("no contract running"), "{page}");
    let all_time = page.split("Earned in all").nth(1).unwrap();
    let figure = &all_time[..all_time.find("</dd>").unwrap()];
    let words = figure.split('<').filter_map(|part| part.split_once('>'));
    let minor: String =
        words.flat_map(|(_, text)| text.chars()).filter(char::is_ascii_digit).collect();
    assert_eq!(minor.trim_start_matches('0'), more.to_string(), "{figure}");
    let ola = Program::signed_up(&house.app, "ola").await;
    assert_eq!(ola.get("/api/v1/overview").await.json()["earned"], json!([]));

    // Days later only the sum of all is as large.
    let later = house.clock.now().plus(gruve_units::Duration::from_secs(8 * 86_400));
    house.clock.set(later);
    let kari = Program::signed_in(&house.app, "kari").await;
    let [day, week, month, in_all] = earned(&kari.get("/api/v1/overview").await.json());
    assert_eq!([day, week, month, in_all], [0, 0, more, more]);
}

#[tokio::test]
async fn entries_and_log_go_back_page_by_page_with_the_balance_after_each() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = with_balance(&house, "kari").await;
    // Several contracts are settled in one entry: lines of one number.
    for _ in 0..3 {
        leased(&me).await;
    }
    house.epochs(6).await;
    let whole = all(&me, "/api/v1/account/entries", 500).await;
    assert!(whole.len() > 8, "{}", whole.len());
    for limit in [1, 2, 3] {
        assert_eq!(all(&me, "/api/v1/account/entries", limit).await, whole, "by {limit}");
    }
    let minor = |e: &Value, what: &str| e[what]["minor"].as_i64().unwrap();
    for pair in whole.windows(2) {
        assert_eq!(minor(&pair[0], "after"), minor(&pair[1], "after") + minor(&pair[0], "change"));
    }
    assert_eq!(minor(whole.last().unwrap(), "after"), minor(whole.last().unwrap(), "change"));

    let log = all(&me, "/api/v1/account/log", 500).await;
    assert!(log.len() >= 2, "{log:?}");
    assert_eq!(all(&me, "/api/v1/account/log", 1).await, log);
}

#[tokio::test]
async fn usage_goes_back_to_the_beginning_and_no_day_stands_in_two_answers() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = with_balance(&house, "kari").await;
    let order = json!({ "plan": "btc-meter", "hashrate": "10 kH/s" });
    let started = me.post("/api/v1/metered", order).await.json();
    house.epochs(4).await;
    let path = format!("/api/v1/metered/{}", started["contract"].as_str().unwrap());
    // Two months later there is nothing in the newest answer; what was charged stands behind it.
    let later = house.clock.now().plus(gruve_units::Duration::from_secs(62 * 86_400));
    house.clock.set(later);
    let me = Program::signed_in(&house.app, "kari").await;
    let charged = me.get(&path).await.json()["charged"]["minor"].as_i64().unwrap();
    assert!(charged > 0);
    let (mut sum, mut answers, mut after, mut days) = (0, 0, String::new(), Vec::new());
    loop {
        let page = me.get(&format!("{path}/usage{after}")).await.json();
        for line in page["items"].as_array().unwrap() {
            sum += line["charged"]["minor"].as_i64().unwrap();
            days.push(line["from"].as_str().unwrap().to_owned());
        }
        answers += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
        assert!(answers < 200, "it ends");
    }
    assert_eq!(sum, charged);
    assert!(answers > 2, "{answers}");
    let told = days.len();
    days.sort();
    days.dedup();
    assert_eq!(days.len(), told);
    // The export follows.
    let export = me.get("/api/v1/export").await.json();
    let parts = export["parts"].as_array().unwrap();
    let of_usage = |p: &&Value| p["path"].as_str().unwrap().starts_with(&format!("{path}/usage"));
    assert_eq!(parts.iter().filter(of_usage).count(), answers);
}
