//! Hosted machines through pages and API: offered, taken, seen at work, talked about, handed on.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_farm::{MachineState, NewInventory};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_units::{AccountId, Amount, Asset, Bps, Clock as _, ContractId, Hashrate, MachineId};
use house::House;
use house::browser::{Browser, Program};
use serde_json::json;

async fn machine(house: &House) -> MachineId {
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
    id
}

async fn offered(house: &House, to: AccountId) -> ContractId {
    let machine = machine(house).await;
    let terms = OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Solo,
        pay_from: PayFrom::Earnings,
        asset: Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: Bps::new(9_500).unwrap(),
    };
    house.hosting.offer(machine, to, terms, Amount::new(Asset::Btc, 0)).await.unwrap()
}

async fn account(house: &House, name: &str) -> AccountId {
    house.accounts.account_by_name(name).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_owner_takes_a_machine_sees_it_and_hands_it_on() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let id = offered(&house, account(&house, "kari").await).await;
    let path = format!("/api/v1/machines/{id}");
    assert_eq!(ola.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kari.get(&path).await.json()["state"], "offered");
    let taken = kari.post(&format!("{path}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    let account = account(&house, "kari").await;
    let (scheme, _) = house.market.own_scheme(account, &house.lanes[0].id).await.unwrap();
    assert_eq!(scheme, gruve_market::Scheme::Solo, "as the contract says");
    let certificate = kari.get(&format!("{path}/certificate")).await.json();
    assert!(certificate["signature"].as_str().unwrap().len() == 128);
    let terms = kari.get(&format!("{path}/terms")).await.body;
    let hash = <sha2::Sha256 as sha2::Digest>::digest(terms.as_bytes());
    assert_eq!(kari.get(&path).await.json()["terms_sha256"], hex::encode(hash));

    // The site's agent reports; nobody else can.
    let site = house.farm.add_site("bergen").await.unwrap();
    let mut agent = Program::new(&house.app);
    agent.token = Some(house.farm.new_agent_token(site).await.unwrap());
    let at = |n: i64| house.clock.now().0 - 20_000_000 + n * 10_000_000;
    let said = json!({ "hashes_per_second": 350_000, "watts": 3_100, "temperature_c": 61 });
    let report = json!({ "samples": [
        { "seq": 0, "at_us": at(0), "serial": "SN0001", "said": said },
        { "seq": 1, "at_us": at(1), "serial": "SN0001", "said": said },
    ] });
    for _ in 0..2 {
        let receipt = agent.post("/api/v1/site/telemetry", report.clone()).await;
        assert_eq!((receipt.status, receipt.json()["next"].as_u64()), (StatusCode::OK, Some(2)));
    }
    assert_eq!(agent.get("/api/v1/site/telemetry").await.json()["next"], 2);
    let refused = kari.post("/api/v1/site/telemetry", report).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(agent.get("/api/v1/machines").await.status, StatusCode::UNAUTHORIZED);
    let seen = kari.get(&path).await.json();
    assert_eq!(seen["machine"]["reading"]["watts"], 3_100);
    assert_eq!(seen["machine"]["claim"], "no-claim", "nothing is counted yet");

    let transfer = json!({ "to": "ola", "asset": "BTC", "price": "0" });
    let offer = kari.post(&format!("{path}/transfer"), transfer).await;
    assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.body);
    let offer = offer.json()["offer"].as_str().unwrap().to_owned();
    // A change is written for the next border already; the next must come after it.
    let early = ola.post(&format!("/api/v1/machines/{offer}/accept"), json!({})).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    house.epochs(1).await;
    let taken = ola.post(&format!("/api/v1/machines/{offer}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert_eq!(kari.get(&path).await.json()["until_epoch"], taken.json()["from_epoch"]);
}

#[tokio::test]
async fn the_pages_of_a_hosted_machine_work_without_scripts() {
    let house = House::new().await;
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    assert!(me.get("/machines").await.body.contains("You have no machine here"));
    let id = offered(&house, account(&house, "kari").await).await;
    let path = format!("/machines/{id}");
    let page = me.get(&path).await;
    assert!(page.body.contains("is offered to you"), "{}", page.body);
    let csrf = page.field("csrf");
    let post = |what: &str| format!("{path}/{what}");
    assert_eq!(me.post(&post("accept"), &[("csrf", &csrf)]).await.location(), path);
    let page = me.get(&path).await;
    for shown in ["Proven by its shares", "Payout address", "Hand it on", "SN0001", "Certificate"] {
        assert!(page.body.contains(shown), "{shown}");
    }
    let file = me.get(&post("certificate")).await;
    assert!(file.header("content-disposition").starts_with("attachment"));
    let bad = me.post(&post("address"), &[("csrf", &csrf), ("address", "nonsense")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    // A ticket needs the machine to be hers already: her first epoch must have begun.
    house.epochs(5).await;
    let fields = [("csrf", csrf.as_str()), ("title", "Noise"), ("text", "It <b>rattles</b>")];
    let ticket = me.post(&post("tickets"), &fields).await.location().to_owned();
    assert!(ticket.starts_with("/tickets/"), "{ticket}");
    let said = me.get(&ticket).await.body;
    assert!(said.contains("It &lt;b&gt;rattles"), "{said}");
    me.post(&format!("{ticket}/close"), &[("csrf", &csrf)]).await;
    assert!(me.get(&ticket).await.body.contains("Closed"));
}
