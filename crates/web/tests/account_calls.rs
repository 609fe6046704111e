//! What a customer changes of how an account is protected, by the API: the same proofs, delays and messages as on the
//! pages, once for each idempotency key, and by no key for programs.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::CHANGE_DELAY;
use gruve_units::Clock as _;
use house::House;
use house::browser::{Answer, Program};
use house::letters::{self, writing_house};
use serde_json::{Value, json};
use std::time::Duration;

const PASSWORD: &str = "four words make one";

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap_or_default().replace("urn:gruve:problem:", "")
}

/// The body of a call by a message's link.
async fn ticket(house: &House, page: &str) -> Value {
    json!({ "ticket": letters::ticket(house, page).await })
}

async fn factor_on(me: &Program) -> String {
    let begun = me.post("/api/v1/account/totp", json!({})).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
    begun.json()["secret"].as_str().unwrap().to_owned()
}

fn code(house: &House, secret: &str) -> String {
    // A code is good once: each is that of another half minute.
    house.clock.advance(Duration::from_secs(30));
    house::codes::code_of(secret, house.clock.now())
}

#[tokio::test]
async fn the_address_book_is_kept_by_a_session_with_proof_and_binds_payouts() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let lane = &house.lanes[0];
    let top_up = json!({ "asset": "BTC", "amount": "0.9" });
    let invoice = kari.post("/api/v1/top-ups", top_up).await.json();
    let due = gruve_units::Amount::new(lane.asset, 90_000_000);
    house.pay(lane, invoice["address"].as_str().unwrap(), due);
    house.block(lane, false).await;

    let (own, other) = (house.stranger(lane), house.stranger(lane));
    let new = |address: &str, password: &str| json!({ "asset": "BTC", "address": address, "label": "cold", "password": password });
    const BOOK: &str = "/api/v1/account/addresses";
    let wrong = kari.post(BOOK, new(&own, "not this one")).await;
    assert_eq!(kind(&wrong), "wrong-credentials", "{}", wrong.body);
    let nonsense = kari.post(BOOK, new("nonsense", PASSWORD)).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", nonsense.body);
    let key = [("idempotency-key", "book")];
    let added = kari.send_with("POST", BOOK, Some(new(&own, PASSWORD)), &key).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    house.clock.advance(Duration::from_secs(60));
    let again = kari.send_with("POST", BOOK, Some(new(&own, PASSWORD)), &key).await;
    assert_eq!((again.status, &again.body), (added.status, &added.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let book = kari.get(BOOK).await.json();
    assert_eq!(book["addresses"].as_array().unwrap().len(), 1, "{book}");
    assert_eq!(book["addresses"][0]["usable_at"], added.json()["usable_at"]);
    assert_eq!((&book["only"], &book["signature_needed"]), (&json!(false), &json!(false)));

    let only = |only: bool, password: &str| json!({ "only": only, "password": password });
    let refused = kari.post(&format!("{BOOK}/only"), only(true, "not this one")).await;
    assert_eq!(kind(&refused), "wrong-credentials");
    let bound = kari.post(&format!("{BOOK}/only"), only(true, PASSWORD)).await;
    assert_eq!((bound.status, &bound.json()["only"]), (StatusCode::OK, &json!(true)));
    let payout = |to: &str| json!({ "asset": "BTC", "amount": "0.1", "address": to });
    assert_eq!(kind(&kari.post("/api/v1/payouts", payout(&other)).await), "not-in-book");
    assert_eq!(kind(&kari.post("/api/v1/payouts", payout(&own)).await), "not-in-book", "too new");
    house.clock.advance(CHANGE_DELAY);
    let paid = kari.post("/api/v1/payouts", payout(&own)).await;
    assert_eq!(paid.status, StatusCode::CREATED, "{}", paid.body);
    // To be bound no more takes the delay.
    let ended = kari.post(&format!("{BOOK}/only"), only(false, PASSWORD)).await.json();
    assert_eq!(ended["only"], true);
    assert!(ended["only_until"].is_string(), "{ended}");
    assert_eq!(kind(&kari.post("/api/v1/payouts", payout(&other)).await), "not-in-book");

    let named = json!({ "asset": "BTC", "address": own });
    let ola = Program::signed_up(&house.app, "ola").await;
    let theirs = ola.post(&format!("{BOOK}/remove"), named.clone()).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND, "another's book is another's");
    let gone = kari.post(&format!("{BOOK}/remove"), named.clone()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    assert_eq!(kari.post(&format!("{BOOK}/remove"), named).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kari.get(BOOK).await.json()["addresses"], json!([]));
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_keys_and_no_key_sets_one() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let elsewhere = Program::signed_in(&house.app, "kari").await;
    let scopes = ["read", "trade", "withdraw", "machines"];
    let new = json!({ "name": "bot", "scopes": scopes, "days": 1, "password": PASSWORD });
    let made = me.post("/api/v1/keys", new).await.json();
    let mut bot = Program::new(&house.app);
    bot.token = Some(made["key"].as_str().unwrap().to_owned());
    let path = "/api/v1/account/password";
    let wanted = |old: &str| json!({ "new": "another four words", "password": old });
    assert_eq!(kind(&bot.post(path, wanted(PASSWORD)).await), "out-of-scope");
    assert_eq!(kind(&me.post(path, wanted("not this one")).await), "wrong-credentials");
    assert_eq!(elsewhere.get("/api/v1/balances").await.status, StatusCode::OK);
    let set = me.post(path, wanted(PASSWORD)).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);
    assert_eq!(me.get("/api/v1/balances").await.status, StatusCode::OK, "still signed in");
    for ended in [&elsewhere, &bot] {
        assert_eq!(ended.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED);
    }
    let login = |password: &str| json!({ "login": "kari", "password": password });
    assert_eq!(kind(&me.post("/api/v1/sessions", login(PASSWORD)).await), "wrong-credentials");
    let opened = me.post("/api/v1/sessions", login("another four words")).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
    // All but the one that asks.
    let ended = me.post("/api/v1/sessions/end-others", json!({})).await;
    assert_eq!((ended.status, ended.json()), (StatusCode::OK, json!({ "ended": 1 })));
    assert_eq!(me.get("/api/v1/sessions").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_factor_is_turned_on_and_off_with_proof_and_its_codes_are_told_once() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let secret = factor_on(&me).await;
    let confirm = "/api/v1/account/totp/confirm";
    let shown = |code: &str, password: &str| json!({ "shown": code, "password": password });
    let first = code(&house, &secret);
    assert_eq!(kind(&me.post(confirm, shown(&first, "not this one")).await), "wrong-credentials");
    assert_eq!(kind(&me.post(confirm, shown("000000", PASSWORD)).await), "wrong-code");
    assert_eq!(me.get("/api/v1/account").await.json()["codes_since"], Value::Null);
    let (key, body) = ([("idempotency-key", "on")], Some(shown(&first, PASSWORD)));
    let on = me.send_with("POST", confirm, body.clone(), &key).await;
    assert_eq!(on.status, StatusCode::OK, "{}", on.body);
    assert_eq!(on.json()["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(me.send_with("POST", confirm, body, &key).await.body, on.body, "told again");
    assert!(me.get("/api/v1/account").await.json()["codes_since"].is_string());
    assert_eq!(kind(&me.post("/api/v1/account/totp", json!({})).await), "factor-is-on");

    let recovery = "/api/v1/account/recovery-codes";
    let proof = |code: &str| json!({ "password": PASSWORD, "code": code });
    assert_eq!(kind(&me.post(recovery, proof("")).await), "wrong-code");
    let anew = me.post(recovery, proof(&code(&house, &secret))).await;
    assert_eq!(anew.status, StatusCode::OK, "{}", anew.body);
    assert_ne!(anew.json()["recovery_codes"], on.json()["recovery_codes"]);
    let off = "/api/v1/account/totp/off";
    assert_eq!(kind(&me.post(off, proof("000000")).await), "wrong-code");
    let old = on.json()["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(kind(&me.post(off, proof(&old)).await), "wrong-code", "void");
    let ended = me.post(off, proof(&code(&house, &secret))).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{}", ended.body);
    assert_eq!(me.get("/api/v1/account").await.json()["codes_since"], Value::Null);
    assert_eq!(kind(&me.post(recovery, proof("")).await), "wrong-code", "there is no factor");
}

#[tokio::test]
async fn an_address_is_changed_after_the_delay_or_stopped_by_the_tickets_of_messages() {
    let house = writing_house().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let path = "/api/v1/account/email";
    let wanted = |email: &str, password: &str| json!({ "email": email, "password": password });
    let refused = me.post(path, wanted("new@example.org", "not this one")).await;
    assert_eq!(kind(&refused), "wrong-credentials");
    let email = async || me.get("/api/v1/account").await.json();
    for is_stopped in [true, false] {
        let asked = me.post(path, wanted("new@example.org", PASSWORD)).await;
        assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
        let change = email().await["email_change"].clone();
        assert_eq!(change["email"], "new@example.org");
        assert_eq!(change["due_at"], asked.json()["due_at"]);
        if is_stopped {
            let undo = ticket(&house, "undo").await;
            let done = me.post("/api/v1/letters/undo", undo.clone()).await;
            assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
            assert_eq!(kind(&me.post("/api/v1/letters/undo", undo).await), "ticket-void");
            assert_eq!(email().await["email_change"], Value::Null);
        }
    }
    let confirm = ticket(&house, "confirm").await;
    let done = me.post("/api/v1/letters/confirm", confirm).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(done.json()["is_new_account"], false);
    assert_eq!(email().await["email_change"]["is_confirmed"], true);
    assert_eq!(email().await["email"], "kari@example.org", "not before the delay");
    house.clock.advance(CHANGE_DELAY);
    house.accounts.apply_changes().await.unwrap();
    let now = email().await;
    assert_eq!((&now["email"], &now["email_change"]), (&json!("new@example.org"), &Value::Null));
}

#[tokio::test]
async fn a_forgotten_password_and_a_lost_factor_go_by_messages_without_telling_who_has_an_account()
{
    let house = writing_house().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let anybody = Program::new(&house.app);
    for email in ["nobody@example.org", "kari@example.org"] {
        let asked = anybody.post("/api/v1/letters/forgotten", json!({ "email": email })).await;
        assert_eq!((asked.status, asked.body.as_str()), (StatusCode::NO_CONTENT, ""), "{email}");
    }
    let mut new = ticket(&house, "reset").await;
    new["new"] = json!("another four words");
    let set = anybody.post("/api/v1/letters/password", new.clone()).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);
    assert_eq!(kind(&anybody.post("/api/v1/letters/password", new).await), "ticket-void");
    assert_eq!(me.get("/api/v1/balances").await.status, StatusCode::UNAUTHORIZED, "signed out");

    let login = json!({ "login": "kari", "password": "another four words" });
    let mut me = Program::new(&house.app);
    let opened = me.post("/api/v1/sessions", login.clone()).await.json();
    me.token = Some(opened["token"].as_str().unwrap().to_owned());
    let lost = "/api/v1/letters/factor-lost";
    assert_eq!(kind(&anybody.post(lost, login.clone()).await), "refused", "there is none");
    let sessions = me.get("/api/v1/sessions").await.json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "no session is left of asking");
    let secret = factor_on(&me).await;
    let shown = json!({ "shown": code(&house, &secret), "password": "another four words" });
    assert_eq!(me.post("/api/v1/account/totp/confirm", shown).await.status, StatusCode::OK);
    let wrong = json!({ "login": "kari", "password": "not this one" });
    assert_eq!(kind(&anybody.post(lost, wrong).await), "wrong-credentials");
    let asked = anybody.post(lost, login).await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT, "{}", asked.body);
    let begun =
        anybody.post("/api/v1/letters/drop-factor", ticket(&house, "lost-factor").await).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    let standing = me.get("/api/v1/account").await.json();
    assert_eq!(standing["factor_lost_until"], begun.json()["due_at"]);
    assert_eq!(
        me.post("/api/v1/account/factor/keep", json!({})).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(me.get("/api/v1/account").await.json()["factor_lost_until"], Value::Null);
}

#[tokio::test]
async fn a_house_that_writes_no_messages_has_none_of_what_takes_them() {
    let house = House::new().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let email = json!({ "email": "new@example.org", "password": PASSWORD });
    assert_eq!(me.post("/api/v1/account/email", email).await.status, StatusCode::NOT_FOUND);
    let forgotten = json!({ "email": "kari@example.org" });
    let asked = me.post("/api/v1/letters/forgotten", forgotten).await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND, "{}", asked.body);
}
