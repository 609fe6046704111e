//! The whole way of a reading: a machine's own API, the site's agent, HTTP, the house, its owner's page.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use gruve_agent::api::CgMiner;
use gruve_agent::simulator::{Behaviour, Figures, Machine};
use gruve_agent::spool::{SPOOL_BYTES, Spool};
use gruve_agent::{Agent, Api, House as Told, MachineAddress};
use gruve_farm::{MachineOwner, MachineState, NewInventory, Proof, ProvenPlace};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_store::testing::TestDir;
use gruve_units::{
    Amount, Asset, Bps, Class, Clock as _, ContractId, EpochNumber, Hashrate, MachineId,
};
use house::House;
use house::browser::{Browser, Program};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const TERA: u64 = 1_000_000_000_000;
/// The truth: what both machines do.
const RATE: u64 = 100 * TERA;
const CLASS: u8 = 40;

fn figures(gigahashes: u64) -> Behaviour {
    Behaviour::Answers(Figures { gigahashes, watts: 3_000, temperature_c: 70, uptime_s: 100 })
}

async fn hosted(house: &House, n: u32, name: &str) -> (MachineId, ContractId) {
    let site = house.farm.add_site("bergen").await.unwrap();
    let new = NewInventory {
        site,
        name: format!("hosted-{n}"),
        lane: house.lanes[0].id.clone(),
        serial: format!("SN{n}"),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(u128::from(RATE)),
        watts: 3_250,
    };
    let machine = house.farm.add_inventory(new).await.unwrap();
    house.farm.set_state(machine, MachineState::Running).await.unwrap();
    let terms = OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Pplns,
        pay_from: PayFrom::Earnings,
        asset: Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    };
    let account = house.account(name).await;
    let price = Amount::new(Asset::Btc, 0);
    let id = house.hosting.offer(machine, account, terms, price).await.unwrap();
    house.hosting.accept(account, id).await.unwrap();
    (machine, id)
}

#[tokio::test]
async fn a_machine_that_claims_twice_what_it_does_is_flagged_on_its_owners_page() {
    let house = House::new().await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let (honest, honest_id) = hosted(&house, 1, "kari").await;
    let (lying, lying_id) = hosted(&house, 2, "kari").await;
    let (true_one, boaster) = (
        Machine::start(figures(RATE / 1_000_000_000)).await.unwrap(),
        Machine::start(figures(2 * RATE / 1_000_000_000)).await.unwrap(),
    );

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving =
        tokio::spawn(gruve_web::serve(listener, house.state.clone(), std::future::pending::<()>()));
    let site = house.farm.add_site("bergen").await.unwrap();
    let token = house.farm.new_agent_token(site).await.unwrap();
    let dir = TestDir::new();
    let machines = [("SN1", &true_one), ("SN2", &boaster)].map(|(serial, m)| {
        let (serial, address) = (serial.to_owned(), m.address());
        MachineAddress { serial, address, api: Api::Cgminer }
    });
    let mut agent = Agent::new(
        machines.to_vec(),
        Arc::new(CgMiner::default()),
        Told::new(&url, None, &token).unwrap(),
        Spool::open(dir.path(), SPOOL_BYTES).unwrap(),
        house.clock.clone(),
    );

    // Their first epoch begins; for three epochs both work and are asked at every border and between.
    let lane = house.lanes[0].id.clone();
    let rule = house.farm.rule(&lane).unwrap();
    let first = house.hosting.contract(None, honest_id).await.unwrap().from.unwrap();
    let half = gruve_units::Duration::from_micros(rule.length_us / 2);
    house.clock.set(rule.start(first));
    for n in 0..=6 {
        let round = agent.round().await.unwrap();
        assert_eq!((round.answered, round.sent, round.waiting), (2, 2, 0), "round {n}");
        house.clock.advance(half);
    }
    let mut proofs = BTreeMap::new();
    for n in 0..3 {
        for machine in [honest, lying] {
            let owner = MachineOwner::Account(house.account("kari").await);
            let mut proof = Proof::none(owner);
            let shares = (RATE * (rule.length_us / 1_000_000)) >> CLASS;
            (0..shares).for_each(|_| proof.add(Class::new(CLASS).unwrap()));
            proofs.insert((machine, EpochNumber(first.0 + n)), proof);
        }
    }
    let place = house.farm.proven_place(&lane).await.unwrap();
    let to = ProvenPlace { place: Some((1, 1)), sealed: Some(EpochNumber(first.0 + 2)) };
    assert!(house.farm.add_proven(&lane, &proofs, place, to).await.unwrap());
    assert!(house.clock.now() > rule.end(EpochNumber(first.0 + 2)));

    let seen = async |id: ContractId| kari.get(&format!("/api/v1/machines/{id}")).await.json();
    let (honest, lying) = (seen(honest_id).await, seen(lying_id).await);
    assert_eq!(honest["machine"]["claim"], "consistent", "{honest}");
    assert_eq!(lying["machine"]["claim"], "claims-too-much", "{lying}");
    let rate =
        |v: &serde_json::Value| v["hashes_per_second"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(rate(&lying["machine"]["claimed"]), 2 * RATE);
    let (low, high) = (&lying["machine"]["proven"]["low"], &lying["machine"]["proven"]["high"]);
    assert!(rate(low) < RATE && RATE < rate(high));
    // 3 kW for half a minute, whatever the machine claims to do with it.
    for machine in [&honest, &lying] {
        assert_eq!(machine["machine"]["energy"]["watt_hours"], "25");
        assert_eq!(machine["machine"]["energy"]["energy_uj"], "90000000000");
    }
    // The overview sums up what both prove, whatever they claim; it says how sure that is, and when it is settled.
    let own = kari.get("/api/v1/overview").await.json();
    let both = &own["proven_by_hosted"][0];
    assert_eq!((&both["lane"], &both["machines"]), (&json!(lane), &json!(2)), "{own}");
    assert_eq!(both["epoch"], first.0 + 2);
    let (low, high) = (rate(&both["low"]), rate(&both["high"]));
    assert!(low < 2 * RATE && 2 * RATE < high && low < rate(&both["rate"]), "{both}");
    assert!(own["next_settlement"].is_string(), "{own}");
    let mut page = Browser::new(&house.app);
    page.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let page = page.get("/account").await.body;
    assert!(page.contains("your hosted machines: between"), "{page}");
    let ola = Program::signed_up(&house.app, "ola").await;
    assert_eq!(ola.get("/api/v1/overview").await.json()["proven_by_hosted"], json!([]));
    serving.abort();
}
