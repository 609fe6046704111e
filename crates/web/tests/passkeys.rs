//! Passkeys in a real browser with an authenticator of its own: added, used alone and as second factor, in
//! place of a code, removed; and what the API and a house without a public name say.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::{AccountRules, PasskeyRules};
use gruve_web::WebConfig;
use house::House;
use house::browser::{Browser, Program};
use house::chromium::Window;
use serde_json::json;
use tokio::net::TcpListener;

const PASSWORD: &str = "four words make one";

/// A house on `localhost`, and its address.
async fn served() -> (House, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let rules = AccountRules {
        passkeys: PasskeyRules::new(&origin, "Example Mining"),
        ..AccountRules::default()
    };
    let config = WebConfig { origin: Some(origin.clone()), ..WebConfig::default() };
    let house = House::with_rules(config, rules).await;
    tokio::spawn(gruve_web::serve(listener, house.state.clone(), std::future::pending::<()>()));
    (house, origin)
}

async fn signs_up(window: &Window) {
    window.go("/sign-up").await;
    window.fill("#name", "kari").await;
    window.fill("#email", "kari@example.org").await;
    window.fill("#password", PASSWORD).await;
    window.press("main form button[type=submit]").await;
    window.heading("Overview").await;
}

async fn signs_out(window: &Window) {
    window.press("header form button[type=submit]").await;
    window.heading("Hashpower").await;
}

async fn signs_in_by_password(window: &Window) {
    window.go("/sign-in").await;
    window.fill("#login", "kari").await;
    window.fill("#password", PASSWORD).await;
    window.press("form[action='/sign-in'] button[type=submit]").await;
}

#[tokio::test]
async fn a_passkey_is_added_signs_in_alone_and_beside_the_password_and_is_removed_in_a_browser() {
    let (house, home) = served().await;
    let window = Window::open(&home, 390).await;
    window.authenticator(true).await;
    signs_up(&window).await;

    window.go("/account/passkeys").await;
    window.fill("#name", "phone").await;
    window.fill("#passkey-password", "a wrong password").await;
    window.press("form[data-passkey=create] button[type=submit]").await;
    let wait = window.client.wait();
    let said = "form[data-passkey=create] [data-passkey-said]:not([hidden])";
    wait.for_element(fantoccini::Locator::Css(said)).await.unwrap();
    let said = window.text(said).await.unwrap();
    assert!(said.contains("do not go together"), "the house's own words: {said}");
    window.fill("#passkey-password", PASSWORD).await;
    window.press("form[data-passkey=create] button[type=submit]").await;
    window.heading("Codes for a lost device").await;
    window.go("/account/passkeys").await;
    window.look("passkeys").await;
    let kari = house.account("kari").await;
    assert_eq!(house.accounts.passkeys(kari).await.unwrap()[0].name, "phone");

    signs_out(&window).await;
    window.go("/sign-in").await;
    window.look("sign-in-passkey").await;
    window.press("#passkey-form button[type=submit]").await;
    window.heading("Overview").await;

    signs_out(&window).await;
    signs_in_by_password(&window).await;
    window.heading("Your code").await;
    window.look("code-passkey").await;
    window.press("#passkey-form button[type=submit]").await;
    window.heading("Overview").await;

    window.go("/account/passkeys").await;
    window.press("tbody td:last-child details:last-of-type summary").await;
    window.fill("#remove-0-password", PASSWORD).await;
    window.press("form[action$='/remove'] [data-passkey-proof]").await;
    // The passkey stands in for a code.
    window.until("document.querySelector('#remove-0-code').value.length === 43").await;
    window.press("form[action$='/remove'] > button[type=submit]").await;
    window.until("document.querySelector('.empty').textContent.includes('None yet')").await;
    assert!(house.accounts.passkeys(kari).await.unwrap().is_empty(), "it is removed");
    window.close().await;
}

#[tokio::test]
async fn the_api_asks_for_passkeys_as_pages_do_and_no_key_reaches_them() {
    let (house, _) = served().await;
    let me = Program::signed_up(&house.app, "kari").await;
    let wrong = me.post("/api/v1/passkeys/options", json!({ "password": "wrong" })).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let asked = me.post("/api/v1/passkeys/options", json!({ "password": PASSWORD })).await.json();
    assert_eq!((asked["host"].as_str(), asked["name"].as_str()), (Some("localhost"), Some("kari")));
    assert_eq!(asked["algorithms"], json!([-7, -8, -257]));
    let junk = json!({ "name": "x", "client": "AAAA", "authenticator": "AAAA" });
    let refused = me.post("/api/v1/passkeys", junk).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    let junk =
        json!({ "id": "AA", "client": "AA", "authenticator": "", "signature": "", "user": "" });
    let refused = Program::new(&house.app).post("/api/v1/sessions/passkey", junk).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.body);
    assert!(refused.json()["type"].as_str().unwrap().ends_with("wrong-passkey"));
    let unknown = json!({ "id": "AA", "client": "A", "authenticator": "", "signature": "%" });
    let refused = Program::new(&house.app).post("/api/v1/sessions/passkey", unknown).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert_eq!(me.get("/api/v1/passkeys").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_house_without_a_public_name_offers_no_passkeys_and_says_why() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    assert!(!me.get("/sign-in").await.body.contains("passkey"));
    me.sign_up("kari").await;
    let page = me.get("/account/passkeys").await;
    assert!(page.body.contains("takes no new passkeys"), "{}", page.body);
    let program = Program::new(&house.app);
    let asked = program.post("/api/v1/sessions/passkey/options", json!({})).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "{}", asked.body);
}
