//! Second factor, sessions and keys through the pages and the API.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{Method, StatusCode};
use gruve_accounts::Scope;
use gruve_units::{Clock, Duration};
use gruve_web::{Access, routes};
use house::House;
use house::browser::{Answer, Browser, Program};
use serde_json::json;

const PASSWORD: &str = "four words make one";

/// What an authenticator program shows for a secret now.
fn code(house: &House, secret: &str) -> String {
    house::codes::code_of(secret, house.clock.now())
}

/// The text of the first element that has this id.
fn text_of(answer: &Answer, id: &str) -> String {
    let at = format!("id=\"{id}\">");
    let from =
        answer.body.find(&at).unwrap_or_else(|| panic!("no {id}: {}", answer.body)) + at.len();
    answer.body[from..].split('<').next().unwrap().to_owned()
}

async fn sign_in(browser: &mut Browser, name: &str) -> Answer {
    browser.cookies.clear();
    let csrf = browser.get("/sign-in").await.field("csrf");
    browser.post("/sign-in", &[("csrf", &csrf), ("login", name), ("password", PASSWORD)]).await
}

#[tokio::test]
async fn codes_are_set_up_asked_for_and_replaced_by_one_for_a_lost_device_on_pages() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let csrf = me.get("/account/security").await.field("csrf");
    let setup = me.post("/account/totp", &[("csrf", &csrf)]).await;
    let secret = text_of(&setup, "secret");
    assert!(setup.body.contains("<svg"), "a picture");
    let now = code(&house, &secret);
    let with = |password: &'static str, shown: &str| {
        [("csrf", csrf.clone()), ("password", password.to_owned()), ("shown", shown.to_owned())]
    };
    async fn confirm(b: &mut Browser, fields: &[(&str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post("/account/totp/confirm", &fields).await
    }
    let wrong = confirm(&mut me, &with(PASSWORD, "000000")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let stolen = confirm(&mut me, &with("no", &now)).await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "a session alone turns nothing on");
    let on = confirm(&mut me, &with(PASSWORD, &now)).await;
    let spare = on.body.split("<li><code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(spare.len(), 19);
    house.clock.advance(Duration::from_secs(60));

    let asked = sign_in(&mut me, "kari").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(!me.cookies.contains_key("gruve"), "no session yet");
    let fields = [("csrf", asked.field("csrf")), ("ticket", asked.field("ticket"))];
    let with = |code: &str| {
        let mut all: Vec<(&str, String)> = fields.to_vec();
        all.push(("code", code.to_owned()));
        all
    };
    async fn post(b: &mut Browser, fields: &[(&str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post("/sign-in/code", &fields).await
    }
    let wrong = post(&mut me, &with("000000")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("wrong"), "{}", wrong.body);
    let right = post(&mut me, &with(&code(&house, &secret))).await;
    assert_eq!(right.location(), "/account");
    assert_eq!(me.get("/account").await.status, StatusCode::OK);

    // The device is lost: a spare code signs in, and turns the factor off.
    let asked = sign_in(&mut me, "kari").await;
    let fields =
        [("csrf", asked.field("csrf")), ("ticket", asked.field("ticket")), ("code", spare)];
    assert_eq!(post(&mut me, &fields).await.location(), "/account");
    let other = on.body.split("<li><code>").nth(2).unwrap().split('<').next().unwrap();
    let csrf = me.get("/account/security").await.field("csrf");
    let off = [("csrf", csrf.as_str()), ("password", PASSWORD), ("code", other)];
    assert_eq!(me.post("/account/totp/off", &off).await.location(), "/account/security");
    assert_eq!(sign_in(&mut me, "kari").await.location(), "/account");
}

#[tokio::test]
async fn the_api_asks_for_the_code_too_and_says_so_only_after_the_right_password() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let id = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let setup = house.accounts.begin_totp(id, "Gruve").await.unwrap();
    house
        .accounts
        .confirm_totp(id, (PASSWORD, None), &code(&house, &setup.secret), None)
        .await
        .unwrap();
    house.clock.advance(Duration::from_secs(60));
    let login = |password: &str| json!({ "login": "kari", "password": password });
    let wrong = kari.post("/api/v1/sessions", login("no")).await;
    assert_eq!(wrong.json()["type"], "urn:gruve:problem:wrong-credentials");
    let asked = kari.post("/api/v1/sessions", login(PASSWORD)).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert_eq!(asked.json()["type"], "urn:gruve:problem:second-factor-needed");
    let mut with = login(PASSWORD);
    with["code"] = json!(code(&house, &setup.secret));
    assert_eq!(kari.post("/api/v1/sessions", with).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn sessions_are_seen_and_ended_on_the_page_and_in_the_api() {
    let house = House::new().await;
    let program = Program::signed_up(&house.app, "kari").await;
    let mut me = Browser::new(&house.app);
    assert_eq!(sign_in(&mut me, "kari").await.location(), "/account");
    let seen = me.get("/account/security").await;
    let csrf = seen.field("csrf");
    let others = seen.field("id");
    let done = me.post("/account/sessions/end", &[("csrf", &csrf), ("id", &others)]).await;
    assert_eq!(done.location(), "/account/security");
    assert_eq!(program.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
    let again = me.post("/account/sessions/end", &[("csrf", &csrf), ("id", &others)]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);

    let mut program = program;
    program.token = me.cookies.get("gruve").cloned();
    let mut other = Browser::new(&house.app);
    sign_in(&mut other, "kari").await;
    let list = program.get("/api/v1/sessions").await.json();
    let theirs = list["items"].as_array().unwrap().iter().find(|s| s["is_own"] == false).unwrap();
    let path = format!("/api/v1/sessions/{}", theirs["session"].as_str().unwrap());
    assert_eq!(program.send("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert!(other.get("/account").await.location().starts_with("/sign-in"));
    let stranger = Program::signed_up(&house.app, "ola").await;
    let own = list["items"].as_array().unwrap().iter().find(|s| s["is_own"] == true).unwrap();
    let path = format!("/api/v1/sessions/{}", own["session"].as_str().unwrap());
    assert_eq!(stranger.send("DELETE", &path, None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_new_password_is_set_only_with_the_old_one() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let csrf = me.get("/account/security").await.field("csrf");
    let change = |old: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("password", old.to_owned()),
            ("new", "another four words".to_owned()),
        ]
    };
    async fn post(b: &mut Browser, fields: &[(&str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post("/account/password", &fields).await
    }
    assert_eq!(post(&mut me, &change("no")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&mut me, &change(PASSWORD)).await.location(), "/account/security");
    assert_eq!(sign_in(&mut me, "kari").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_reaches_what_its_scopes_name_and_nothing_else() {
    let house = House::new().await;
    let mut kari = Program::signed_up(&house.app, "kari").await;
    let order = |scopes: &[Scope]| {
        let scopes: Vec<_> = scopes.iter().map(|s| s.name()).collect();
        json!({ "name": "robot", "scopes": scopes, "days": 7, "password": PASSWORD })
    };
    let mut unproven = order(&[Scope::Read]);
    unproven["password"] = json!("no");
    let refused = kari.post("/api/v1/keys", unproven).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "a stolen session makes no key");
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        let made = kari.post("/api/v1/keys", order(&[scope])).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        keys.push((scope, made.json()["key"].as_str().unwrap().to_owned()));
    }
    let id = kari.get("/api/v1/keys").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let session = kari.token.take();
    let mut reached = 0;
    for r in routes(&house.state).iter().filter(|r| r.access == Access::Bearer) {
        // The stream of events has no end to wait for.
        if r.path == "/api/v1/events" {
            continue;
        }
        let path = r.path.replace("{id}", "0190a5d0-0000-7000-8000-000000000000");
        let mut let_in = Vec::new();
        for (scope, key) in &keys {
            kari.token = Some(key.clone());
            let answer = kari.send(r.method.as_str(), &path, None).await;
            if answer.status != StatusCode::FORBIDDEN {
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
                let_in.push(*scope);
            } else {
                assert_eq!(answer.json()["type"], "urn:gruve:problem:out-of-scope");
            }
        }
        let own = [
            "/api/v1/keys",
            "/api/v1/sessions",
            "/api/v1/passkeys",
            "/api/v1/webhooks",
            "/api/v1/account",
            "/api/v1/export",
        ];
        let is_own = own.iter().any(|p| path.starts_with(p));
        let wanted = usize::from(!is_own);
        assert_eq!(let_in.len(), wanted, "{} {path}: {let_in:?}", r.method);
        if r.method == Method::GET && !is_own {
            assert_eq!(let_in, [Scope::Read], "{path}");
        }
        if path.starts_with("/api/v1/payouts") && r.method != Method::GET {
            assert_eq!(let_in, [Scope::Withdraw], "{path}");
        }
        reached += let_in.len();
    }
    assert!(reached > 30, "{reached}");
    kari.token = session;
    let path = format!("/api/v1/keys/{id}");
    assert_eq!(kari.send("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(kari.get("/api/v1/keys").await.json()["items"].as_array().unwrap().len(), 3);
    // On pages a key is nobody.
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), keys[0].1.clone());
    assert!(page.get("/account").await.location().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_stolen_session_sends_nothing_outside_the_book_where_there_is_a_second_factor() {
    let house = House::new().await;
    house.epochs(2).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let account = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let top_up = json!({ "asset": "BTC", "amount": "0.5" });
    let invoice = kari.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(gruve_units::Asset::Btc, 50_000_000);
    house.pay(&house.lanes[0], invoice["address"].as_str().unwrap(), due);
    house.block(&house.lanes[0], false).await;
    let setup = house.accounts.begin_totp(account, "gruve.test").await.unwrap();
    let proof = (PASSWORD, None);
    let on = house.accounts.confirm_totp(account, proof, &code(&house, &setup.secret), None).await;
    on.unwrap();
    house.clock.advance(Duration::from_secs(60));
    let address = house.stranger(&house.lanes[0]);
    let order = |code: Option<String>| {
        json!({
            "asset": "BTC", "amount": "0.01", "address": address, "code": code, "password": PASSWORD,
        })
    };
    for without in [None, Some(String::new()), Some("000000".to_owned())] {
        let refused = kari.post("/api/v1/payouts", order(without)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.body);
    }
    assert!(kari.get("/api/v1/payouts").await.json()["items"].as_array().unwrap().is_empty());
    let with = kari.post("/api/v1/payouts", order(Some(code(&house, &setup.secret)))).await;
    assert_eq!(with.status, StatusCode::CREATED, "{}", with.body);
    // A key was made with a code, and what stands in the book asked for one and waited.
    let life = Duration::from_secs(86_400 * 3);
    let key = house.accounts.make_key(account, "till", &[Scope::Withdraw], life).await.unwrap().1;
    let mut program = Program::new(&house.app);
    program.token = Some(key);
    assert_eq!(program.post("/api/v1/payouts", order(None)).await.status, StatusCode::CREATED);
    house.clock.advance(Duration::from_secs(60));
    let now = code(&house, &setup.secret);
    let new = (gruve_units::Asset::Btc, address.as_str(), "own");
    let added = house.accounts.add_address(account, (PASSWORD, Some(&now)), new, None).await;
    added.unwrap();
    assert_eq!(kari.post("/api/v1/payouts", order(None)).await.status, StatusCode::UNAUTHORIZED);
    house.clock.advance(Duration::from_secs(86_400));
    assert_eq!(kari.post("/api/v1/payouts", order(None)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn pages_ask_for_a_code_before_coins_leave_the_book_and_pressing_twice_withdraws_once() {
    let house = House::new().await;
    house.epochs(2).await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let account = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let kari = Program::signed_in(&house.app, "kari").await;
    let top_up = json!({ "asset": "BTC", "amount": "0.5" });
    let invoice = kari.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(gruve_units::Asset::Btc, 50_000_000);
    house.pay(&house.lanes[0], invoice["address"].as_str().unwrap(), due);
    house.block(&house.lanes[0], false).await;
    let setup = house.accounts.begin_totp(account, "gruve.test").await.unwrap();
    let proof = (PASSWORD, None);
    let on = house.accounts.confirm_totp(account, proof, &code(&house, &setup.secret), None).await;
    on.unwrap();
    house.clock.advance(Duration::from_secs(60));
    let address = house.stranger(&house.lanes[0]);
    let csrf = me.get("/withdraw").await.field("csrf");
    let wish =
        [("csrf", csrf.as_str()), ("asset", "BTC"), ("amount", "0.01"), ("address", &address)];
    let review = me.post("/withdraw", &wish).await;
    assert!(review.body.contains("name=\"code\""), "{}", review.body);
    let (once, now) = (review.field("once"), code(&house, &setup.secret));
    let mut fields = wish.to_vec();
    fields.push(("once", once.as_str()));
    fields.push(("password", PASSWORD));
    let without = me.post("/payouts", &fields).await;
    assert_eq!(without.status, StatusCode::UNAUTHORIZED);
    fields.push(("code", now.as_str()));
    let first = me.post("/payouts", &fields).await.location().to_owned();
    let second = me.post("/payouts", &fields).await.location().to_owned();
    assert_eq!(first, second, "pressed twice");
}
