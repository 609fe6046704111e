//! Webhooks of customers: told once, signed, tried again over days, written down, and never into a private network.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use gruve_accounts::{AccountRules, Vault};
use gruve_units::{Amount, Clock, Duration};
use gruve_web::{HookFault, HookSecret, HookSender, WebConfig, WebhookConfig};
use house::House;
use house::browser::{Answer, Browser, Program};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "four words make one";
const URL: &str = "https://example.org/hook";

#[derive(Clone, Debug)]
struct Sent {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(n, _)| *n == name).unwrap().1
    }
}

/// A receiver that writes down what it is sent, and answers what it is told to.
struct Receiver {
    sent: Mutex<Vec<Sent>>,
    answer: Mutex<Result<u16, HookFault>>,
}

impl HookSender for Receiver {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, HookFault>> {
        let sent = Sent { url: url.to_owned(), headers: headers.to_vec(), body: body.to_owned() };
        self.sent.lock().unwrap().push(sent);
        let answer = *self.answer.lock().unwrap();
        Box::pin(async move { answer })
    }
}

impl Receiver {
    fn answers(&self, answer: Result<u16, HookFault>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

async fn listening() -> (House, Arc<Receiver>) {
    let receiver = Arc::new(Receiver { sent: Mutex::default(), answer: Mutex::new(Ok(204)) });
    let sender: Arc<dyn HookSender> = receiver.clone();
    let webhooks = WebhookConfig { sender: Some(sender), is_private_allowed: false };
    let config = WebConfig { webhooks, ..WebConfig::default() };
    let rules = AccountRules { vault: Vault::new(&[9; 32]), ..AccountRules::default() };
    (House::with_rules(config, rules).await, receiver)
}

fn order(url: &str, events: &[&str]) -> Value {
    json!({ "url": url, "label": "shop", "events": events, "password": PASSWORD })
}

/// A webhook of an account: its id and secret.
async fn added(who: &Program, events: &[&str]) -> (String, String) {
    let made = who.post("/api/v1/webhooks", order(URL, events)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// A round, and the time that must pass before the next one looks again.
async fn round(house: &House) -> u32 {
    house.clock.advance(Duration::from_secs(6));
    house.state.deliver_webhooks().await.unwrap()
}

/// Her invoice is paid; its id.
async fn paid(house: &House, who: &Program) -> String {
    let top_up = json!({ "asset": "BTC", "amount": "0.5" });
    let invoice = who.post("/api/v1/top-ups", top_up).await.json();
    let lane = &house.lanes[0];
    let due = Amount::new(lane.asset, 50_000_000);
    house.clock.advance(Duration::from_secs(1));
    house.pay(lane, invoice["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    house.clock.advance(Duration::from_secs(3));
    invoice["id"].as_str().unwrap().to_owned()
}

async fn log(who: &Program, id: &str) -> Vec<Value> {
    let log = who.get(&format!("/api/v1/webhooks/{id}/deliveries")).await;
    assert_eq!(log.status, StatusCode::OK, "{}", log.body);
    log.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_happens_is_told_once_signed_and_to_whom_it_belongs() {
    let (house, receiver) = listening().await;
    house.epochs(2).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let (id, secret) = added(&kari, &[]).await;
    let (_, olas) = added(&ola, &["payout"]).await;
    let invoice = paid(&house, &kari).await;
    paid(&house, &ola).await;
    assert_eq!(round(&house).await, 1, "ola wants to hear of payouts alone");
    let sent = receiver.take();
    let told: Value = serde_json::from_str(&sent[0].body).unwrap();
    assert_eq!((sent.len(), sent[0].url.as_str()), (1, URL));
    assert_eq!(told["type"], "invoice.confirmed");
    assert_eq!(told["data"]["id"].as_str().unwrap(), invoice);
    // Signed as the rule says, with this secret and no other.
    let at =
        gruve_units::Timestamp::from_secs(sent[0].header("webhook-timestamp").parse().unwrap());
    let signed = |secret: &str| {
        let secret = HookSecret::parse(secret).unwrap();
        secret.headers(sent[0].header("webhook-id"), at, &sent[0].body)[2].1.clone()
    };
    assert_eq!(signed(&secret), sent[0].header("webhook-signature"));
    assert_ne!(signed(&olas), sent[0].header("webhook-signature"));
    assert!(house.clock.now().secs() - at.secs() < 10, "of the moment of sending");
    assert_eq!(round(&house).await, 0, "and once");
    assert!(receiver.take().is_empty());
    let log = log(&kari, &id).await;
    assert_eq!(log[0]["state"], "taken");
    assert_eq!(log[0]["attempts"][0]["status"], 204);
    assert_eq!(log[0]["id"].as_str().unwrap(), sent[0].header("webhook-id"));
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_over_three_days_and_then_by_hand() {
    let (house, receiver) = listening().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (id, _) = added(&kari, &[]).await;
    receiver.answers(Err(HookFault::Refused));
    let test = kari.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    assert_eq!(test.status, StatusCode::CREATED, "{}", test.body);
    let message = test.json()["id"].as_str().unwrap().to_owned();
    let (mut tries, began) = (0, house.clock.now());
    let mut last = began;
    while house.clock.now().since(began) < Duration::from_secs(4 * 86_400) {
        house.clock.advance(Duration::from_secs(60));
        house.state.deliver_webhooks().await.unwrap();
        let now = receiver.take().len();
        tries += now;
        if now > 0 {
            last = house.clock.now();
        }
    }
    assert_eq!(tries, 10, "at once, and nine times more");
    let took = last.since(began).as_secs() / 3_600;
    assert!((74..=90).contains(&took), "{took} hours");
    let entry = log(&kari, &id).await[0].clone();
    assert_eq!(
        (&entry["state"], entry["attempts"].as_array().unwrap().len()),
        (&json!("given-up"), 10)
    );
    assert_eq!(entry["attempts"][0]["fault"], HookFault::Refused.text());
    // By hand, when the receiver is there again; the same message under the same id.
    receiver.answers(Ok(200));
    let again = json!({ "message": message });
    let path = format!("/api/v1/webhooks/{id}/resend");
    assert_eq!(kari.post(&path, again.clone()).await.status, StatusCode::OK);
    assert_eq!(kari.post(&path, again).await.status, StatusCode::CONFLICT, "it waits");
    assert_eq!(round(&house).await, 1);
    assert_eq!(receiver.take()[0].header("webhook-id"), message);
    assert_eq!(log(&kari, &id).await[0]["state"], "taken");
    let webhook = kari.get(&format!("/api/v1/webhooks/{id}")).await.json();
    assert_eq!((&webhook["failures"], &webhook["failing_since"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn an_address_that_takes_nothing_for_days_or_is_gone_is_told_no_more_until_begun_again() {
    let (house, receiver) = listening().await;
    house.epochs(2).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (id, _) = added(&kari, &[]).await;
    let test = format!("/api/v1/webhooks/{id}/test");
    receiver.answers(Ok(500));
    for _ in 0..7 {
        kari.post(&test, json!({})).await;
        house.clock.advance(Duration::from_secs(86_400));
        house.state.deliver_webhooks().await.unwrap();
    }
    let webhook = kari.get(&format!("/api/v1/webhooks/{id}")).await.json();
    assert_eq!(webhook["ended_for"], "failing", "{webhook}");
    assert_eq!(kari.post(&test, json!({})).await.status, StatusCode::CONFLICT);
    receiver.take();
    // Nothing is lost by it: it is told when it begins again, which asks for a proof.
    let invoice = paid(&house, &kari).await;
    receiver.answers(Ok(200));
    round(&house).await;
    assert!(receiver.take().is_empty());
    let begin = format!("/api/v1/webhooks/{id}/begin");
    let wrong = kari.post(&begin, json!({ "password": "no" })).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    kari.post(&begin, json!({ "password": PASSWORD })).await;
    let mut told = String::new();
    for _ in 0..20 {
        round(&house).await;
        told.extend(receiver.take().into_iter().map(|s| s.body));
    }
    assert!(told.contains(&invoice), "{told}");
    receiver.answers(Ok(410));
    kari.post(&test, json!({})).await;
    round(&house).await;
    let webhook = kari.get(&format!("/api/v1/webhooks/{id}")).await.json();
    assert_eq!(webhook["ended_for"], "gone");
}

#[tokio::test]
async fn a_secret_is_shown_once_kept_sealed_and_changed_without_a_gap() {
    let (house, receiver) = listening().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (id, old) = added(&kari, &[]).await;
    let all = kari.get("/api/v1/webhooks").await;
    assert!(!all.body.contains("whsec_") && !all.body.contains(&old), "{}", all.body);
    let sql = "SELECT secret, key_id FROM web_webhooks";
    let row = house.store.read().await.unwrap().fetch_one(sql, &[]).await.unwrap();
    let (sealed, key): (Vec<u8>, Option<Vec<u8>>) =
        (row.get("secret").unwrap(), row.get("key_id").unwrap());
    assert!(key.is_some() && sealed.len() > 32 + 12, "sealed");
    assert!(HookSecret::from_bytes(&sealed[12..44]).unwrap().text() != old);
    let path = format!("/api/v1/webhooks/{id}/secret");
    assert_eq!(
        kari.post(&path, json!({ "password": "no" })).await.status,
        StatusCode::UNAUTHORIZED
    );
    let new = kari.post(&path, json!({ "password": PASSWORD })).await.json();
    let new = new["secret"].as_str().unwrap().to_owned();
    let signatures = async |passes: u64| -> BTreeSet<String> {
        house.clock.advance(Duration::from_secs(passes));
        kari.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
        round(&house).await;
        let sent = receiver.take();
        let sent = sent.last().unwrap();
        let at =
            gruve_units::Timestamp::from_secs(sent.header("webhook-timestamp").parse().unwrap());
        let given: Vec<&str> = sent.header("webhook-signature").split(' ').collect();
        [("old", &old), ("new", &new)]
            .into_iter()
            .filter(|(_, secret)| {
                let own = HookSecret::parse(secret).unwrap().headers(
                    sent.header("webhook-id"),
                    at,
                    &sent.body,
                );
                given.contains(&own[2].1.as_str())
            })
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    assert_eq!(signatures(0).await, ["new".to_owned(), "old".to_owned()].into());
    assert_eq!(signatures(86_400).await, ["new".to_owned()].into(), "a day later");
}

#[tokio::test]
async fn what_may_not_be_is_refused_and_what_is_anothers_is_not_found() {
    let (house, _) = listening().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    for bad in ["http://example.org/", "https://127.0.0.1/", "https://db.internal/", "x"] {
        let refused = kari.post("/api/v1/webhooks", order(bad, &[])).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let refused = kari.post("/api/v1/webhooks", order(URL, &["everything"])).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut unproven = order(URL, &[]);
    unproven["password"] = json!("no");
    assert_eq!(kari.post("/api/v1/webhooks", unproven).await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..5 {
        added(&kari, &[]).await;
    }
    let sixth = kari.post("/api/v1/webhooks", order(URL, &[])).await;
    assert_eq!(sixth.status, StatusCode::TOO_MANY_REQUESTS);
    // Test messages are bounded, too.
    let id =
        kari.get("/api/v1/webhooks").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let test = format!("/api/v1/webhooks/{id}/test");
    for _ in 0..10 {
        assert_eq!(kari.post(&test, json!({})).await.status, StatusCode::CREATED);
    }
    assert_eq!(kari.post(&test, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
    let message = log(&kari, &id).await[0]["id"].clone();
    for (method, path, body) in [
        ("GET", format!("/api/v1/webhooks/{id}"), None),
        ("DELETE", format!("/api/v1/webhooks/{id}"), None),
        ("GET", format!("/api/v1/webhooks/{id}/deliveries"), None),
        ("POST", test, Some(json!({}))),
        ("POST", format!("/api/v1/webhooks/{id}/end"), Some(json!({}))),
        ("POST", format!("/api/v1/webhooks/{id}/begin"), Some(json!({ "password": PASSWORD }))),
        ("POST", format!("/api/v1/webhooks/{id}/secret"), Some(json!({ "password": PASSWORD }))),
        ("POST", format!("/api/v1/webhooks/{id}/resend"), Some(json!({ "message": message }))),
    ] {
        let other = ola.send(method, &path, body).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    // A key for programs reaches none of it, whatever it may.
    let account = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let life = Duration::from_secs(86_400);
    let key = house.accounts.make_key(account, "all", &gruve_accounts::Scope::ALL, life).await;
    let mut keyed = Program::new(&house.app);
    keyed.token = Some(key.unwrap().1);
    assert_eq!(keyed.get("/api/v1/webhooks").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        kari.send("DELETE", &format!("/api/v1/webhooks/{id}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(kari.get("/api/v1/webhooks").await.json()["items"].as_array().unwrap().len(), 4);
}

/// The text of the first element that has this id.
fn text_of(answer: &Answer, id: &str) -> String {
    let at = format!("id=\"{id}\">");
    let from =
        answer.body.find(&at).unwrap_or_else(|| panic!("no {id}: {}", answer.body)) + at.len();
    answer.body[from..].split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn pages_add_test_and_show_a_webhook_and_a_new_password_ends_it() {
    let (house, receiver) = listening().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let csrf = me.get("/account/webhooks").await.field("csrf");
    let fields = |password: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("url", URL.to_owned()),
            ("label", "<shop>".to_owned()),
            ("invoice", "yes".to_owned()),
            ("password", password.to_owned()),
        ]
    };
    let plain = |all: &[(&'static str, String)]| -> Vec<(&'static str, String)> { all.to_vec() };
    async fn post(b: &mut Browser, path: &str, fields: &[(&'static str, String)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        b.post(path, &fields).await
    }
    let stolen = post(&mut me, "/account/webhooks", &plain(&fields("no"))).await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "a session alone adds none");
    let made = post(&mut me, "/account/webhooks", &plain(&fields(PASSWORD))).await;
    assert!(text_of(&made, "secret").starts_with("whsec_"), "{}", made.body);
    let list = me.get("/account/webhooks").await;
    assert!(list.body.contains("&lt;shop&gt;") && !list.body.contains("<shop>"), "{}", list.body);
    let path = list.body.split("href=\"").find(|p| p.starts_with("/account/webhooks/")).unwrap();
    let path = path.split('"').next().unwrap().to_owned();
    let token = [("csrf", csrf.clone())];
    assert_eq!(post(&mut me, &format!("{path}/test"), &token).await.location(), path);
    receiver.answers(Ok(503));
    round(&house).await;
    let page = me.get(&path).await;
    assert!(
        page.body.contains("webhook.test") && page.body.contains("answered 503"),
        "{}",
        page.body
    );
    receiver.take();
    // Whoever had the old password does not go on listening.
    let change = [
        ("csrf", csrf.clone()),
        ("password", PASSWORD.to_owned()),
        ("new", "other words entirely".to_owned()),
    ];
    assert_eq!(post(&mut me, "/account/password", &change).await.status, StatusCode::SEE_OTHER);
    assert!(me.get(&path).await.body.contains("Ended by a new password"));
    house.clock.advance(Duration::from_secs(3_600));
    assert_eq!(round(&house).await, 0);
    assert!(receiver.take().is_empty());
    assert_eq!(
        post(&mut me, &format!("{path}/remove"), &token).await.location(),
        "/account/webhooks"
    );
    assert_eq!(me.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_owner_reads_in_her_language_why_nothing_was_taken() {
    let (house, receiver) = listening().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    let kari = Program::signed_in(&house.app, "kari").await;
    let (id, _) = added(&kari, &[]).await;
    receiver.answers(Err(HookFault::CertificateExpired));
    kari.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    round(&house).await;
    let (path, english) = (format!("/account/webhooks/{id}"), HookFault::CertificateExpired.text());
    assert!(me.get(&path).await.body.contains(english));
    me.get("/language/nb?back=/").await;
    let page = me.get(&path).await.body;
    assert!(page.contains("sertifikatet er utløpt") && !page.contains(english), "{page}");
    assert_eq!(log(&kari, &id).await[0]["attempts"][0]["fault"], english, "programs read English");
}

#[tokio::test]
async fn one_that_is_gone_holds_up_no_other_and_is_not_asked_for_each_of_its_messages() {
    let (house, receiver) = listening().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (id, _) = added(&kari, &[]).await;
    receiver.answers(Err(HookFault::Refused));
    for _ in 0..10 {
        kari.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    }
    round(&house).await;
    round(&house).await;
    round(&house).await;
    assert_eq!(receiver.take().len(), 1, "it rests for half a minute");
    house.clock.advance(Duration::from_secs(30));
    round(&house).await;
    assert_eq!(receiver.take().len(), 1, "one at a time");
}

#[tokio::test]
async fn closing_the_account_removes_its_webhooks_with_all_that_was_sent() {
    let (house, _) = listening().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (id, _) = added(&kari, &[]).await;
    kari.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    round(&house).await;
    let asked = kari.post("/api/v1/account/closing", json!({ "password": PASSWORD })).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    house.clock.advance(Duration::from_secs(15 * 86_400));
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 0, "sealed first");
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(house.state.close_due_accounts().await.unwrap(), 1);
    for table in ["web_webhooks", "web_webhook_messages", "web_webhook_attempts"] {
        let sql: &'static str = match table {
            "web_webhooks" => "SELECT COUNT(*) AS n FROM web_webhooks",
            "web_webhook_messages" => "SELECT COUNT(*) AS n FROM web_webhook_messages",
            _ => "SELECT COUNT(*) AS n FROM web_webhook_attempts",
        };
        let row = house.store.read().await.unwrap().fetch_one(sql, &[]).await.unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), 0, "{table}");
    }
}
