//! A hosted machine's whole life over HTTP: from the operator's side by programs and pages, and as its owner sees it.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::Role;
use gruve_farm::{MachineOwner, Proof, ProvenPlace, Report, Said, Sample};
use gruve_market::PriceSourceConfig;
use gruve_units::{Asset, Clock as _, Duration};
use gruve_web::WebConfig;
use house::House;
use house::browser::{Browser, Program};
use serde_json::{Value, json};

const PASSWORD: &str = "four words make one";

async fn staff(house: &House, name: &str, role: Role) -> Program {
    Program::signed_up(&house.app, name).await;
    house.accounts.set_role(None, name, Some(role)).await.unwrap();
    Program::signed_in(&house.app, name).await
}

fn machine() -> Value {
    json!({
        "site": "bergen", "lane": "btc", "name": "s21-7", "serial": "SN 0007/B", "model": "S21", "rack": "C-4",
        "hashrate": "200 TH/s", "watts": 3_500,
    })
}

fn offer() -> Value {
    json!({
        "serial": "SN 0007/B", "to": "kari", "kind": "sold", "scheme": "pplns", "pays_from": "balance",
        "asset": "BTC", "energy_per_kwh": "0.00000100", "fee_per_day": "0.00001", "service_level_bps": 9_800,
        "price": "0", "price_asset": "BTC",
    })
}

const MACHINE: &str = "/api/v1/console/machines/SN%200007%2FB";

#[tokio::test]
async fn a_machine_is_bought_in_offered_taken_mended_ended_and_returned_by_programs() {
    let house = House::new().await;
    let technician = staff(&house, "teknikk", Role::Technician).await;
    let finance = staff(&house, "penger", Role::Finance).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let power = json!({ "co2_g_per_kwh": 19, "asset": "USD", "price_per_kwh": "0.045", "source": "the grid's year" });
    let said = technician.post("/api/v1/console/sites/bergen/power", power).await;
    assert_eq!(said.status, StatusCode::NO_CONTENT, "{}", said.body);
    let token = technician.send("POST", "/api/v1/console/sites/bergen/token", None).await;
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let agent = house.farm.agent(&token).await.unwrap();
    let sites = technician.get("/api/v1/console/sites").await.json();
    let bergen = sites["items"].as_array().unwrap().iter().find(|s| s["site"] == "bergen").unwrap();
    assert_eq!(bergen["electricity"]["co2_g_per_kwh"], 19);
    assert_eq!((agent.next, &bergen["agent"]["samples"]), (0, &json!(0)));
    assert_eq!(kari.get("/api/v1/energy").await.json()["items"][0]["source"], "the grid's year");

    let added = technician.post("/api/v1/console/machines", machine()).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let again = technician.post("/api/v1/console/machines", machine()).await;
    assert!(again.status.is_client_error(), "one serial number, one machine: {}", again.body);
    let state = |to: &str| json!({ "state": to });
    let running = technician.post(&format!("{MACHINE}/state"), state("running")).await;
    assert_eq!(running.status, StatusCode::NO_CONTENT, "{}", running.body);

    let refused = technician.post("/api/v1/console/hosting", offer()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "technicians sell nothing");
    let mut own = offer();
    own["to"] = json!("penger");
    let refused = finance.post("/api/v1/console/hosting", own).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "nor anybody to themselves");
    let offered = finance.post("/api/v1/console/hosting", offer()).await;
    assert_eq!(offered.status, StatusCode::CREATED, "{}", offered.body);
    let id = offered.json()["id"].as_str().unwrap().to_owned();
    let twice = finance.post("/api/v1/console/hosting", offer()).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.body);
    let taken = kari.post(&format!("/api/v1/machines/{id}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    // From the border ahead on it is hers.
    house.clock.advance(gruve_units::Duration::from_secs(60));
    let seen = finance.get(&format!("/api/v1/console/hosting/{id}")).await.json();
    assert_eq!((&seen["state"], &seen["service_level_bps"]), (&json!("active"), &json!(9_800)));
    assert_eq!(seen["certificates"].as_array().unwrap().len(), 1);

    let ticket = json!({ "serial": "SN 0007/B", "title": "A fan is loud", "text": "It is changed tomorrow." });
    let opened = technician.post("/api/v1/console/tickets", ticket).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
    let ticket = opened.json()["ticket"].as_str().unwrap().to_owned();
    let theirs = kari.get(&format!("/api/v1/machines/{id}/tickets")).await.json();
    assert_eq!(theirs["items"][0]["title"], "A fan is loud", "its owner sees it");
    kari.post(&format!("/api/v1/tickets/{ticket}/notes"), json!({ "text": "Thank you." })).await;
    let path = format!("/api/v1/console/tickets/{ticket}");
    let notes = technician.get(&path).await.json()["notes"].clone();
    assert_eq!(notes[1]["text"], "Thank you.");
    technician.post(&format!("{path}/notes"), json!({ "text": "Done." })).await;
    let closed = technician.send("POST", &format!("{path}/close"), None).await;
    assert_eq!(closed.status, StatusCode::NO_CONTENT);
    assert_eq!(technician.get("/api/v1/console/tickets").await.json()["items"], json!([]));

    let ended = finance.send("POST", &format!("/api/v1/console/hosting/{id}/end"), None).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    let back = technician.post(&format!("{MACHINE}/state"), state("returned")).await;
    assert_eq!(back.status, StatusCode::NO_CONTENT, "{}", back.body);
    let seen = technician.get(MACHINE).await.json();
    assert_eq!((&seen["state"], &seen["serial"]), (&json!("returned"), &json!("SN 0007/B")));
    assert_eq!(seen["owners"].as_array().unwrap().len(), 2, "kari's, and the house's again");
    assert!(seen["history"].as_array().unwrap().len() >= 4, "{seen:#}");
    let log = house.accounts.log_page(None, 100).await.unwrap();
    for word in [
        "site.power",
        "machine.add",
        "machine.state",
        "hosting.offer",
        "ticket.open",
        "hosting.end",
    ] {
        assert!(log.iter().any(|l| l.row.action == word), "{word}");
    }
}

#[tokio::test]
async fn the_console_shows_a_machine_with_its_owners_and_a_contract_with_its_bills() {
    let house = House::new().await;
    staff(&house, "teknikk", Role::Technician).await;
    let technician = Program::signed_in(&house.app, "teknikk").await;
    let finance = staff(&house, "penger", Role::Finance).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    technician.post("/api/v1/console/machines", machine()).await;
    let offered = finance.post("/api/v1/console/hosting", offer()).await.json();
    let id = offered["id"].as_str().unwrap();
    kari.post(&format!("/api/v1/machines/{id}/accept"), json!({})).await;
    let mut page = Browser::new(&house.app);
    let csrf = page.get("/sign-in").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("login", "teknikk"), ("password", PASSWORD)];
    page.post("/sign-in", &fields).await;
    let machine = page.get("/console/machines/SN%200007%2FB").await;
    assert_eq!(machine.status, StatusCode::OK, "{}", machine.body);
    for word in ["S21", "C-4", "kari", "From epoch", "/console/hosting/"] {
        assert!(machine.body.contains(word), "{word}: {}", machine.body);
    }
    let contract = page.get(&format!("/console/hosting/{id}")).await;
    assert_eq!(contract.status, StatusCode::OK, "{}", contract.body);
    assert!(contract.body.contains("A kilowatt-hour") && contract.body.contains("98"));
}

#[tokio::test]
async fn the_electricity_behind_a_lease_is_shown_by_site_with_its_price_and_factor() {
    let house = House::new().await;
    house.epochs(8).await;
    let technician = staff(&house, "teknikk", Role::Technician).await;
    let power = json!({ "co2_g_per_kwh": 19, "asset": "USD", "price_per_kwh": "0.045", "source": "the grid's year" });
    technician.post("/api/v1/console/sites/bergen/power", power).await;
    let site = house.farm.add_site("bergen").await.unwrap();
    house.farm.new_agent_token(site).await.unwrap();
    // The machine of the configuration that mines for the lease is measured from now on.
    let known = json!({
        "site": "bergen", "lane": "btc", "name": "bergen-btc-0", "serial": "SN1", "model": "S19", "rack": "A-1",
        "hashrate": "350 kH/s", "watts": 3_000,
    });
    let added = technician.post("/api/v1/console/machines", known).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let machine = added.json()["machine_id"].as_str().unwrap().parse().unwrap();

    let mut kari = Browser::new(&house.app);
    kari.sign_up("kari").await;
    let program = Program::signed_in(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = program.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = program.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let id = bought["contract"].as_str().unwrap().to_owned();
    let btc = &house.lanes[0];
    let due =
        gruve_units::Amount::new(btc.asset, bought["invoice"]["amount"]["minor"].as_i64().unwrap());
    house.pay(btc, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(btc, false).await;
    house.epochs(4).await;
    let account = house.account("kari").await;
    let contract = house.market.contract(account, id.parse().unwrap()).await.unwrap();
    assert!(!contract.epochs.is_empty() && contract.delivered.0 > 0);

    let rule = house.farm.rule(&btc.id).unwrap();
    let (first, last) = (contract.epochs.last().unwrap().epoch, contract.epochs[0].epoch);
    let sample = |seq, at: gruve_units::Timestamp| Sample {
        seq,
        at_us: at.0,
        serial: "SN1".to_owned(),
        said: Some(Said { watts: Some(3_600), ..Said::default() }),
        fault: None,
    };
    let samples = vec![sample(0, rule.start(first)), sample(1, rule.end(last))];
    assert_eq!(house.farm.take_report(site, &Report { samples }).await.unwrap().refused, 0);
    let mut proof = Proof::none(MachineOwner::House);
    proof.add(gruve_units::Class::new(20).unwrap());
    let proofs = contract.epochs.iter().map(|e| ((machine, e.epoch), proof)).collect();
    let from = house.farm.proven_place(&btc.id).await.unwrap();
    let to = ProvenPlace { place: Some((1, 1)), sealed: Some(last) };
    assert!(house.farm.add_proven(&btc.id, &proofs, from, to).await.unwrap());

    let told = program.get(&format!("/api/v1/contracts/{id}/energy")).await.json();
    assert_eq!(told["covered_work"], contract.delivered.0.to_string(), "{told:#}");
    assert_eq!(told["next_before"], Value::Null);
    // 3,600 W over some seconds for 2^20 hashes an epoch, of which the lease had its part.
    let of_epoch = 3_600 * u128::from(rule.length_us);
    let wanted: u128 = contract.epochs.iter().map(|e| of_epoch * e.delivered.0 / (1 << 20)).sum();
    assert_eq!(told["energy_uj"], wanted.to_string());
    let by_site = &told["sites"][0];
    assert_eq!((&by_site["site"], &by_site["co2_g_per_kwh"]), (&json!("bergen"), &json!(19)));
    assert_eq!(by_site["price_per_kwh"]["decimal"], "0.045000");
    assert_eq!(told["cost"][0]["asset"], "USD");
    assert!(told["millijoules_per_terahash"].as_str().unwrap().parse::<u128>().unwrap() > 0);
    let page = kari.get(&format!("/contracts/{id}")).await.body;
    for word in
        ["bergen", "19 g", "0.045", "the grid", "For each terahash", "of all its epochs so far"]
    {
        assert!(page.contains(word), "{word}");
    }
    // The statement to be printed has the same of its epochs.
    let printed = kari.get(&format!("/contracts/{id}/statement")).await.body;
    let energy = printed.split("id=\"energy-h\"").nth(1).unwrap();
    for word in
        ["bergen", "19 g", "0.045", "the grid", "For each terahash", "of the epochs on this page"]
    {
        assert!(energy.contains(word), "{word}: {energy}");
    }
}

/// The row of a table of a page's section that has this text, without its tags.
fn row_of(page: &str, section: &str, text: &str) -> String {
    let from = page.split_once(&format!("<section class=\"sheet\" id=\"{section}\"")).unwrap().1;
    let table = from.split_once("</section>").unwrap().0;
    let row = table.split("<tr>").find(|r| r.contains(text));
    let row = row.unwrap_or_else(|| panic!("no row with {text} in {section}: {table}"));
    let tags = row.split('<').map(|part| part.split_once('>').map_or(part, |(_, said)| said));
    tags.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_console_shows_a_node_that_is_down_a_lane_sold_too_often_and_who_is_silent() {
    let source = |name: &str, url: Option<&str>| PriceSourceConfig {
        name: name.to_owned(),
        asset: Asset::Btc,
        url: url.map(str::to_owned),
        pointer: String::new(),
    };
    let house = House::selling(WebConfig::default(), |m| {
        let exchange = source("exchange", Some("https://prices.example/btc"));
        m.prices.sources = vec![source("desk", None), exchange];
        m.prices.quorum = 2;
    })
    .await;
    house.epochs(8).await;
    let kari = staff(&house, "kari", Role::Owner).await;
    let mut browser = Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    house.live.share_at(house.clock.now());
    let page = browser.get("/console").await.body;
    assert!(row_of(&page, "capacity", "btc").contains("Covered"), "{page}");
    assert!(row_of(&page, "nodes", "10.0.0.1:8332").contains("behind"), "{page}");
    let gateway = row_of(&page, "gateways", "btc");
    assert!(gateway.contains("Takes shares") && gateway.contains("127.0.0.1:3333"), "{gateway}");
    assert!(row_of(&page, "sources", "exchange").contains("Never heard"), "{page}");
    assert!(page.contains("A price needs 2 of a coin"), "{page}");

    // Half of what is proven is sold; then most of the machines are away, and the node with them.
    let order = json!({ "plan": "btc-lease", "hashrate": "600 kH/s", "term_epochs": 60 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    let bought = kari.post("/api/v1/contracts", json!({ "quote": quote })).await.json();
    let btc = &house.lanes[0];
    let due = gruve_units::Amount::new(btc.asset, 900_000_000);
    house.pay(btc, bought["invoice"]["address"].as_str().unwrap(), due);
    house.block(btc, false).await;
    house.epochs(2).await;
    house.clock.advance(Duration::from_secs(40));
    house.epoch().await;
    house.live.node_is("down");
    let now = house.clock.now();
    house.market.report_price("desk", Asset::Btc, now, 64_000_500_000).await.unwrap();
    house.clock.advance(Duration::from_secs(3));
    let page = browser.get("/console").await.body;
    assert!(row_of(&page, "capacity", "btc").contains("Oversold by"), "{page}");
    assert!(row_of(&page, "nodes", "10.0.0.1:8332").contains("down"), "{page}");
    let desk = row_of(&page, "sources", "desk");
    assert!(desk.contains("Counts") && desk.contains("64\u{202f}000.50"), "{desk}");
    assert!(desk.contains("3 s") && desk.contains("told by hand"), "{desk}");
    // Nothing comes any more.
    house.clock.advance(Duration::from_secs(1_000));
    let page = browser.get("/console").await.body;
    assert!(row_of(&page, "gateways", "btc").contains("No shares come"), "{page}");
    assert!(row_of(&page, "sources", "desk").contains("Too old to count"), "{page}");
    assert!(row_of(&page, "sources", "exchange").contains("Never heard"), "{page}");
}
