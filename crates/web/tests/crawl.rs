//! Everybody goes everywhere: each who may look at the house (a visitor, another customer, every role of the
//! staff) follows all links there are and calls everything with ids of a customer's things, and sees nothing of
//! them but what the role is for.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::{Method, StatusCode};
use gruve_accounts::{Permission, Role};
use gruve_web::{Access, RouteInfo, routes};
use house::House;
use house::browser::{Browser, Program};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};

/// Pages looked at by one; more would be a circle of ever new addresses.
const PAGES_MAX: usize = 400;

/// A customer with something of every kind, and what only she may see.
struct Victim {
    ids: BTreeSet<String>,
    /// Ids, names and addresses that stand on no page of others.
    private: BTreeSet<String>,
}

fn ids_in(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(s) if s.len() == 36 && s.matches('-').count() == 4 => {
            all.insert(s.clone());
        }
        Value::Array(items) => items.iter().for_each(|v| ids_in(v, all)),
        Value::Object(members) => members.values().for_each(|v| ids_in(v, all)),
        _ => {}
    }
}

async fn hosted(house: &House) -> String {
    let site = house.farm.add_site("bergen").await.unwrap();
    let new = gruve_farm::NewInventory {
        site,
        name: "hosted-1".to_owned(),
        lane: house.lanes[0].id.clone(),
        serial: "SN0001".to_owned(),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: gruve_units::Hashrate(350_000),
        watts: 3_250,
    };
    let machine = house.farm.add_inventory(new).await.unwrap();
    house.farm.set_state(machine, gruve_farm::MachineState::Running).await.unwrap();
    let terms = gruve_hosting::OfferTerms {
        kind: gruve_hosting::HostingKind::Sold,
        scheme: gruve_hosting::Scheme::Solo,
        pay_from: gruve_hosting::PayFrom::Earnings,
        asset: gruve_units::Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: gruve_units::Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    };
    let (to, free) = (house.account("kari").await, gruve_units::Amount::new(terms.asset, 0));
    house.hosting.offer(machine, to, terms, free).await.unwrap().to_string()
}

async fn victim(house: &House) -> Victim {
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let lane = &house.lanes[0];
    let due = gruve_units::Amount::new(lane.asset, 900_000_000);
    house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(lane, false).await;
    let meter = json!({ "plan": "btc-meter", "hashrate": "100 kH/s" });
    let started = kari.post("/api/v1/metered", meter).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.body);
    let to = house.stranger(lane);
    let payout = json!({ "asset": "BTC", "amount": "0.5", "address": to, "password": PASSWORD });
    let payout = kari.post("/api/v1/payouts", payout).await;
    assert_eq!(payout.status, StatusCode::CREATED, "{}", payout.body);
    let machine = hosted(house).await;
    let path = format!("/api/v1/machines/{machine}");
    assert_eq!(kari.post(&format!("{path}/accept"), json!({})).await.status, StatusCode::OK);
    // It is hers from the next border on.
    house.epochs(12).await;
    let ticket = json!({ "title": "Loud", "text": "A fan is loud." });
    let ticket = kari.post(&format!("{path}/tickets"), ticket).await;
    assert_eq!(ticket.status, StatusCode::CREATED, "{}", ticket.body);
    house.epochs(3).await;

    let mut ids = BTreeSet::new();
    for made in [&bought, &started.json(), &payout.json(), &ticket.json()] {
        ids_in(made, &mut ids);
    }
    for r in routes(&house.state) {
        if r.method == Method::GET
            && r.access == Access::Bearer
            && !r.path.contains('{')
            && r.path != "/api/v1/events"
        {
            let answer = kari.get(r.path).await;
            if answer.status == StatusCode::OK {
                ids_in(&answer.json(), &mut ids);
            }
        }
    }
    assert!(ids.len() >= 6, "{ids:?}");
    let mut private = ids.clone();
    private.extend(["kari@example.org".to_owned(), to, house.account("kari").await.to_string()]);
    Victim { ids, private }
}

fn permission(access: Access) -> Option<Permission> {
    match access {
        Access::Staff(p) | Access::StaffForm(p) | Access::StaffBearer(p) => Some(p),
        _ => None,
    }
}

/// Whether what a route shows may hold the customer's things: it is the operator's, and the role may see it.
fn is_for(r: &RouteInfo, role: Option<Role>) -> bool {
    permission(r.access).is_some_and(|p| role.is_some_and(|role| role.may(p)))
}

fn sees_nothing(body: &str, victim: &Victim, asked: &BTreeSet<String>, what: &str) {
    let seen = victim.private.iter().find(|p| body.contains(p.as_str()) && !asked.contains(*p));
    assert_eq!(seen, None, "{what} shows what is kari's: {body}");
}

/// Everything that is read, with each of the customer's ids in the place of its name.
async fn calls_all(house: &House, role: Option<Role>, token: Option<String>, victim: &Victim) {
    let mut program = Program::new(&house.app);
    program.token = token.clone();
    let mut browser = Browser::new(&house.app);
    if let Some(token) = token {
        browser.cookies.insert("gruve".to_owned(), token);
    }
    let who = role.map_or("a stranger", Role::name);
    for r in routes(&house.state) {
        if r.method != Method::GET || matches!(r.path, "/events" | "/api/v1/events") {
            continue;
        }
        let named = r.path.contains("{id}") || r.path.contains("{name}");
        let none = [String::new()].into();
        let ids = if named { &victim.ids } else { &none };
        for id in ids {
            let path = r.path.replace("{id}", id).replace("{name}", id).replace("{lane}", "btc");
            let path = path.replace("{epoch}", "1").replace("{*path}", "data/00");
            let what = format!("{who}: {path}");
            let answer = if path.starts_with("/api/") {
                program.get(&path).await
            } else {
                browser.get(&path).await
            };
            assert!(!answer.status.is_server_error(), "{what}: {}", answer.body);
            if is_for(&r, role) {
                continue;
            }
            let of_somebody = matches!(r.access, Access::Customer | Access::Bearer) && named;
            if of_somebody || permission(r.access).is_some() {
                assert!(!answer.status.is_success(), "{what}: {} {}", answer.status, answer.body);
            }
            sees_nothing(&answer.body, victim, &[id.clone()].into(), &what);
        }
    }
}

/// The addresses within the house that a page links to.
fn links(body: &str) -> Vec<String> {
    let hrefs = body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = hrefs.filter(|h| h.starts_with('/') && !h.starts_with("//"));
    own.map(|h| h.split('#').next().unwrap().replace("&amp;", "&")).collect()
}

/// Every link from the first page on: none leads to where its reader may not go.
async fn follows_links(house: &House, role: Option<Role>, token: Option<String>, victim: &Victim) {
    let who = role.map_or("a stranger", Role::name);
    let mut browser = Browser::new(&house.app);
    let mut waiting: VecDeque<String> = ["/".to_owned()].into();
    if let Some(token) = token {
        browser.cookies.insert("gruve".to_owned(), token);
        waiting.push_back("/account".to_owned());
    }
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    while let Some(path) = waiting.pop_front() {
        let answer = browser.get(&path).await;
        let what = format!("{who} by a link to {path}");
        let status = answer.status;
        assert!(!status.is_server_error(), "{what}: {}", answer.body);
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        // This house publishes no record.
        let is_record = path.starts_with("/record/") || path.starts_with("/proof");
        assert!(!refused || is_record, "{what}: {status}");
        if !path.starts_with("/console") {
            sees_nothing(&answer.body, victim, &BTreeSet::new(), &what);
        }
        let is_page = answer.header("content-type").starts_with("text/html");
        for link in links(&answer.body).into_iter().filter(|_| is_page) {
            if !link.starts_with("/assets/") && seen.len() < PAGES_MAX && seen.insert(link.clone())
            {
                waiting.push_back(link);
            }
        }
    }
    let least = if role.is_some() { 12 } else { 6 };
    assert!(seen.len() >= least, "{who} found only {seen:?}");
}

#[tokio::test]
async fn nobody_reaches_a_customers_things_by_a_link_or_by_an_id_but_whom_a_role_lets() {
    let house = House::new().await;
    let victim = victim(&house).await;
    let mut everybody = vec![(None, None)];
    everybody.push((None, Program::signed_up(&house.app, "ola").await.token));
    for role in Role::ALL {
        Program::signed_up(&house.app, role.name()).await;
        house.accounts.set_role(None, role.name(), Some(role)).await.unwrap();
        everybody.push((Some(role), Program::signed_in(&house.app, role.name()).await.token));
    }
    for (role, token) in everybody {
        calls_all(&house, role, token.clone(), &victim).await;
        follows_links(&house, role, token, &victim).await;
    }
}

const PASSWORD: &str = "four words make one";

/// What a customer's call that changes something is sent, so that nothing is wrong with it but whose it is.
fn body_of(path: &str) -> Value {
    let proof = json!({ "password": PASSWORD });
    match path {
        "/api/v1/contracts/{id}/choices" => json!({ "choice": "later", "epoch": 1 }),
        "/api/v1/contracts/{id}/keep-running" => json!({ "keep": true }),
        "/api/v1/contracts/{id}/renewals" => json!({ "term_epochs": 6 }),
        "/api/v1/contracts/{id}/review" => json!({ "stars": 1, "text": "Not mine." }),
        "/api/v1/contracts/{id}/wishes" => json!({ "reinvest": true }),
        "/api/v1/invoices/{id}/checkouts" => json!({ "method": "card" }),
        "/api/v1/invoices/{id}/conversions" => json!({ "asset": "LTC" }),
        "/api/v1/machines/{id}/address" => {
            json!({ "address": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "password": PASSWORD })
        }
        "/api/v1/machines/{id}/in-block" => json!({ "wanted": true, "password": PASSWORD }),
        "/api/v1/machines/{id}/tickets" => json!({ "title": "Quiet", "text": "It is not mine." }),
        "/api/v1/machines/{id}/transfer" => {
            json!({ "to": "ola", "asset": "BTC", "price": "0", "password": PASSWORD })
        }
        "/api/v1/passkeys/{id}/name" => json!({ "name": "mine" }),
        "/api/v1/tickets/{id}/notes" => json!({ "text": "Not mine." }),
        "/api/v1/webhooks/{id}/resend" => json!({ "message": "msg_1" }),
        "/api/v1/machines/{id}/accept"
        | "/api/v1/machines/{id}/end"
        | "/api/v1/passkeys/{id}/remove"
        | "/api/v1/webhooks/{id}/begin"
        | "/api/v1/webhooks/{id}/secret" => proof,
        _ => json!({}),
    }
}

/// What the house has of her, but for when it was asked.
async fn all_of(me: &Program) -> Value {
    let mut all = me.get("/api/v1/export").await.json();
    assert_eq!(all["is_whole"], json!(true), "{all}");
    all.as_object_mut().unwrap().remove("made_at");
    all
}

#[tokio::test]
async fn nobody_changes_what_is_another_customers_by_its_id() {
    let house = House::new().await;
    let victim = victim(&house).await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), ola.token.clone().unwrap());
    let csrf = page.get("/account").await.field("csrf");
    let kari = Program::signed_in(&house.app, "kari").await;
    let before = all_of(&kari).await;
    let (mut calls, mut let_in) = (0, Vec::new());
    for r in routes(&house.state) {
        let is_own = matches!(r.access, Access::Bearer | Access::CustomerForm);
        if r.method == Method::GET || !is_own || !r.path.contains("{id}") {
            continue;
        }
        for id in &victim.ids {
            let path = r.path.replace("{id}", id);
            let body = body_of(r.path);
            let answer = if r.access == Access::Bearer {
                let body = (r.method != Method::DELETE).then(|| body.clone());
                ola.send(r.method.as_str(), &path, body).await
            } else {
                page.post(&path, &[("csrf", csrf.as_str()), ("password", PASSWORD)]).await
            };
            calls += 1;
            let refused = match r.access {
                Access::Bearer => answer.status == StatusCode::NOT_FOUND,
                _ => answer.status.is_client_error(),
            };
            if !refused {
                let_in.push(format!("{} {path}: {} {}", r.method, answer.status, answer.body));
            }
        }
    }
    assert!(calls > 300, "{calls}");
    assert!(let_in.is_empty(), "{let_in:#?}");
    assert_eq!(all_of(&kari).await, before, "nothing of hers has changed");
}
