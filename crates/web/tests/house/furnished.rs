//! A house in which every page has something to show: contracts in several states, payouts, notices, a
//! hosted machine with a ticket, staff. `kari` has it all, and is the owner, so that one browser sees all.

use super::House;
use super::browser::{Browser, Program};
use gruve_accounts::Role;
use gruve_farm::{MachineState, NewInventory};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_units::{Amount, Asset, Bps, Hashrate};
use gruve_web::WebConfig;
use serde_json::json;

pub const PASSWORD: &str = "four words make one";

/// The house and a browser that is signed in as `kari`.
pub async fn furnished(config: WebConfig) -> (House, Browser) {
    let house = House::with(config).await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    house.accounts.set_role(None, "kari", Some(Role::Owner)).await.unwrap();
    let kari_token = Program::signed_in(&house.app, "kari").await;
    drop(kari);
    let kari = kari_token;
    machine(&house, &kari).await;
    stock(&house, "SN0021").await;
    for (lane, plan, hashrate, term) in
        [(0, "btc-lease", "100 kH/s", 6), (1, "ltc-lease", "100 kH/s", 30)]
    {
        let lane = &house.lanes[lane];
        let order = json!({ "plan": plan, "hashrate": hashrate, "term_epochs": term });
        let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
        let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
        let due = Amount::new(lane.asset, 900_000_000);
        house.pay(lane, bought["invoice"]["address"].as_str().unwrap(), due);
        house.block(lane, false).await;
    }
    house.epochs(3).await;
    let order = json!({ "plan": "btc-meter", "hashrate": "50 kH/s" });
    let started = kari.post("/api/v1/metered", order).await;
    assert!(started.status.is_success(), "{}", started.body);
    house.epochs(9).await;
    let lane = &house.lanes[0];
    for amount in ["0.01", "0.02"] {
        let to = house.stranger(lane);
        let order =
            json!({ "asset": "BTC", "amount": amount, "address": to, "password": PASSWORD });
        let made = kari.post("/api/v1/payouts", order).await;
        assert!(made.status.is_success(), "{}", made.body);
        if amount == "0.01" {
            house.pay_out(lane).await;
        }
    }
    let order = json!({ "plan": "btc-lease", "hashrate": "50 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let open = kari.post("/api/v1/contracts", json!({ "quote": quote })).await;
    assert!(open.status.is_success(), "{}", open.body);
    let webhook =
        json!({ "url": "https://1.1.1.1/1", "label": "77", "password": "four words make one" });
    let made = kari.post("/api/v1/webhooks", webhook).await;
    assert!(made.status.is_success(), "{}", made.body);
    let mut browser = Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    (house, browser)
}

/// A machine in stock that a plan sells.
pub async fn stock(house: &House, serial: &str) -> gruve_units::MachineId {
    let site = house.farm.add_site("bergen").await.unwrap();
    let new = NewInventory {
        site,
        name: serial.to_lowercase(),
        lane: house.lanes[0].id.clone(),
        serial: serial.to_owned(),
        model: "S21".to_owned(),
        rack: "B-1".to_owned(),
        nameplate: Hashrate(350_000),
        watts: 3_500,
    };
    house.farm.add_inventory(new).await.unwrap()
}

/// What a machine is offered for.
pub fn terms() -> OfferTerms {
    OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Solo,
        pay_from: PayFrom::Earnings,
        asset: Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    }
}

/// A machine of kari's in Bergen that a ticket is about.
async fn machine(house: &House, kari: &Program) {
    let site = house.farm.add_site("bergen").await.unwrap();
    let new = NewInventory {
        site,
        name: "hosted-1".to_owned(),
        lane: house.lanes[0].id.clone(),
        serial: "SN0001".to_owned(),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(350_000),
        watts: 3_250,
    };
    let id = house.farm.add_inventory(new).await.unwrap();
    house.farm.set_state(id, MachineState::Running).await.unwrap();
    let account = house.accounts.account_by_name("kari").await.unwrap().unwrap();
    let free = Amount::new(Asset::Btc, 0);
    let id = house.hosting.offer(id, account, terms(), free).await.unwrap();
    let taken = kari.post(&format!("/api/v1/machines/{id}/accept"), json!({})).await;
    assert!(taken.status.is_success(), "{}", taken.body);
    house.epochs(5).await;
    let ticket = json!({ "title": "77", "text": "88" });
    let said = kari.post(&format!("/api/v1/machines/{id}/tickets"), ticket).await;
    assert!(said.status.is_success(), "{}", said.body);
}

/// Links of a page that lead to pages of the house.
pub fn links(body: &str) -> Vec<String> {
    let href = |part: &str| part.split_once('"').map(|(link, _)| link.replace("&amp;", "&"));
    body.split("href=\"").skip(1).filter_map(href).filter(|l| l.starts_with('/')).collect()
}

pub fn pattern_of<'a>(path: &str, patterns: &[&'a str]) -> Option<&'a str> {
    let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
    let fits = |p: &&&str| {
        let parts: Vec<&str> = p.split('/').collect();
        parts.len() == path.len()
            && parts.iter().zip(&path).all(|(a, b)| a == b || a.starts_with('{'))
    };
    // The one with the fewest names.
    patterns.iter().filter(fits).min_by_key(|p| p.matches('{').count()).copied()
}
