//! Requests that are sent again under a key: done once.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{Method, StatusCode};
use gruve_accounts::{AccountRules, Role, Vault};
use gruve_web::{Access, WebConfig, routes};
use house::House;
use house::browser::{Answer, Program};
use serde_json::{Value, json};

const NONE: &str = "0190a5d0-0000-7000-8000-000000000000";
const PASSWORD: &str = "four words make one";

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap_or_default().replace("urn:gruve:problem:", "")
}

async fn owner(house: &House) -> Program {
    Program::signed_up(&house.app, "eier").await;
    house.accounts.set_role(None, "eier", Some(Role::Owner)).await.unwrap();
    Program::signed_in(&house.app, "eier").await
}

/// Every call that changes something in somebody's name, whatever it is: a key that was used for another
/// request is noticed before the call is looked at.
#[tokio::test]
async fn every_call_that_changes_something_knows_the_keys_that_were_used() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = owner(&house).await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let key = [("idempotency-key", "used")];
    let first = me.send_with("POST", "/api/v1/quotes", Some(order), &key).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let mut tried = 0;
    for r in routes(&house.state) {
        let by_somebody = matches!(r.access, Access::Bearer | Access::StaffBearer(_));
        if r.method == Method::GET || !by_somebody {
            continue;
        }
        let path = r.path.replace("{id}", NONE).replace("{name}", "nothing");
        let body = (r.method == Method::POST).then(|| json!({}));
        let answer = me.send_with(r.method.as_str(), &path, body, &key).await;
        let what = format!("{} {path}: {}", r.method, answer.body);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
        assert_eq!(kind(&answer), "idempotency-key-reused", "{what}");
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
}

/// What is made by asking: how to ask for it, and how to count what there is of it.
#[tokio::test]
async fn what_is_asked_for_twice_under_a_key_is_made_once_and_answered_alike() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = owner(&house).await;
    let count = async |path: &str| me.get(path).await.json()["items"].as_array().unwrap().len();
    let machine = json!({ "site": "bergen", "lane": "btc", "name": "rack9-1", "serial": "SN9",
        "model": "S21", "rack": "9", "hashrate": "200 TH/s", "watts": 3500 });
    let ticket = json!({ "serial": "SN9", "title": "Loud", "text": "A fan." });
    let new_key = json!({ "name": "bot", "scopes": ["read"], "days": 1, "password": PASSWORD });
    let calls = [
        ("/api/v1/keys", new_key, "/api/v1/keys"),
        ("/api/v1/console/machines", machine, "/api/v1/console/machines"),
        ("/api/v1/console/tickets", ticket, "/api/v1/console/tickets"),
    ];
    for (n, (path, body, list)) in calls.into_iter().enumerate() {
        let (key, before) = (format!("make-{n}"), count(list).await);
        let headers = [("idempotency-key", key.as_str())];
        let first = me.send_with("POST", path, Some(body.clone()), &headers).await;
        assert_eq!(first.status, StatusCode::CREATED, "{path}: {}", first.body);
        let again = me.send_with("POST", path, Some(body.clone()), &headers).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("content-type"), "application/json");
        assert_eq!(count(list).await, before + 1, "{path}");
        let mut other = body;
        other["name"] = "other".into();
        let other = me.send_with("POST", path, Some(other), &headers).await;
        assert_eq!(kind(&other), "idempotency-key-reused", "{path}");
    }
    // What gave no answer but "done" gives none again, and another account's keys are its own.
    let id = me.get("/api/v1/keys").await.json()["items"][0]["id"].clone();
    let path = format!("/api/v1/keys/{}", id.as_str().unwrap());
    let headers = [("idempotency-key", "end")];
    for _ in 0..2 {
        let ended = me.send_with("DELETE", &path, None, &headers).await;
        assert_eq!((ended.status, ended.body.as_str()), (StatusCode::NO_CONTENT, ""));
    }
    let ola = Program::signed_up(&house.app, "ola").await;
    let theirs = ola.send_with("DELETE", &path, None, &headers).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{}", theirs.body);
}

#[tokio::test]
async fn a_refusal_is_not_kept_and_a_key_is_forgotten_after_a_day() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let headers = [("idempotency-key", "k")];
    let order = |rate: &str| json!({ "plan": "btc-lease", "hashrate": rate, "term_epochs": 6 });
    let send =
        async |body: Value| me.send_with("POST", "/api/v1/quotes", Some(body), &headers).await;
    assert_eq!(kind(&send(order("nothing")).await), "refused");
    let first = send(order("100 kH/s")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(send(order("100 kH/s")).await.body, first.body);
    house.clock.advance(std::time::Duration::from_secs(86_400 + 1));
    let other = send(order("200 kH/s")).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.body);
}

#[tokio::test]
async fn what_was_begun_is_not_begun_again_before_its_process_must_be_dead() {
    let house = House::new().await;
    house.epochs(8).await;
    let me = Program::signed_up(&house.app, "kari").await;
    let headers = [("idempotency-key", "k")];
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let send = async || me.send_with("POST", "/api/v1/quotes", Some(order.clone()), &headers).await;
    assert_eq!(send().await.status, StatusCode::CREATED);
    // As a process leaves it that dies before it has answered.
    gruve_store::testing::run_raw(&house.store, "UPDATE web_once SET status = NULL, answer = NULL")
        .await
        .unwrap();
    let running = send().await;
    assert_eq!(running.status, StatusCode::CONFLICT);
    assert_eq!(kind(&running), "idempotency-key-running");
    house.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_secret_answered_once_is_told_again_only_by_the_same_token_and_is_not_in_the_table() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let headers = [("idempotency-key", "k")];
    let new = json!({ "name": "bot", "scopes": ["read"], "days": 1, "password": PASSWORD });
    let made = me.send_with("POST", "/api/v1/keys", Some(new.clone()), &headers).await;
    let secret = made.json()["key"].as_str().unwrap().to_owned();
    let mut kept = Vec::new();
    let mut tx = house.store.read().await.unwrap();
    gruve_store::transfer::export(&mut tx, &mut kept).await.unwrap();
    let kept = String::from_utf8_lossy(&kept).into_owned();
    let found = [secret.clone(), hex::encode(&secret)].iter().any(|s| kept.contains(s.as_str()));
    assert!(kept.contains("web_once") && !found);
    let again = me.send_with("POST", "/api/v1/keys", Some(new.clone()), &headers).await;
    assert_eq!(again.body, made.body);
    let elsewhere = Program::signed_in(&house.app, "kari").await;
    let told = elsewhere.send_with("POST", "/api/v1/keys", Some(new), &headers).await;
    assert_eq!(kind(&told), "idempotency-key-done", "{}", told.body);
}

/// A request may hold a password: whoever reads the table cannot try passwords on its hash.
#[tokio::test]
async fn what_was_asked_is_kept_as_a_hash_under_the_key_of_the_houses_vault() {
    let asked = async |vault: Option<Vault>| -> [u8; 32] {
        let rules = AccountRules { vault, ..AccountRules::default() };
        let house = House::with_rules(WebConfig::default(), rules).await;
        house.epochs(8).await;
        let me = owner(&house).await;
        let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
        let key = [("idempotency-key", "one")];
        let made = me.send_with("POST", "/api/v1/quotes", Some(order.clone()), &key).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let again = me.send_with("POST", "/api/v1/quotes", Some(order), &key).await;
        assert_eq!(again.body, made.body, "it is known by its hash");
        let mut tx = house.store.read().await.unwrap();
        tx.fetch_one("SELECT asked FROM web_once", &[]).await.unwrap().get("asked").unwrap()
    };
    let plain = asked(None).await;
    let (one, other) = (asked(Vault::new(&[1; 32])).await, asked(Vault::new(&[2; 32])).await);
    assert_eq!(plain, asked(None).await, "the same request");
    assert!(one != plain && other != plain && one != other);
}

/// What changes something and takes no key, because it is asked in nobody's name: each with what happens when it is sent
/// again.
#[test]
fn what_takes_no_key_is_told_with_what_happens_when_it_is_sent_again() {
    let document = gruve_web::document();
    let mut without = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let given = operation["parameters"].as_array();
            if method != "get"
                && !given.into_iter().flatten().any(|p| p["name"] == "Idempotency-Key")
            {
                without.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let table = docs.split("| without a key | sent again |").nth(1).unwrap();
    let mut told = Vec::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|');
        told.push(cells.next().unwrap().trim().trim_matches('`').to_owned());
        assert!(cells.next().unwrap().trim().len() > 20, "no reason: {row}");
    }
    without.sort();
    told.sort();
    assert_eq!(without, told, "docs/api.md and the document tell of others");
}
