//! The farm map: what it tells, and what ten thousand machines cost.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use gruve_accounts::Role;
use gruve_farm::NewInventory;
use gruve_units::{Clock, Hashrate};
use gruve_web::LiveSession;
use house::House;
use house::browser::Browser;
use std::time::Instant;

/// Somebody of the staff, signed in.
async fn technician(house: &House) -> Browser {
    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    house.accounts.set_role(None, "kari", Some(Role::Technician)).await.unwrap();
    let csrf = me.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "four words make one")];
    me.post("/sign-in", &login).await;
    me
}

/// Puts machines into racks of fifty; one in a hundred is silent, one in seventy slow.
async fn furnish(house: &House, machines: u32) {
    let site = house.farm.add_site("tromso").await.unwrap();
    let mut live = Vec::new();
    for n in 0..machines {
        let new = NewInventory {
            site,
            name: format!("m{n:05}"),
            lane: house.lanes[0].id.clone(),
            serial: format!("S{n:05}"),
            model: "X1".into(),
            rack: format!("R{:03}", n / 50),
            nameplate: Hashrate(1_000_000),
            watts: 3_000,
        };
        let machine = house.farm.add_inventory(new).await.unwrap();
        house.farm.set_state(machine, gruve_farm::MachineState::Running).await.unwrap();
        if n % 100 != 7 {
            live.push(LiveSession {
                lane: house.lanes[0].id.clone(),
                machine,
                owner: gruve_farm::MachineOwner::House,
                hashrate: Hashrate(if n % 70 == 3 { 100_000 } else { 990_000 }),
                accepted: 1,
                rejected: 0,
                connected_at: house.clock.now(),
                last_share_at: Some(house.clock.now()),
            });
        }
    }
    house.live.join(live);
}

#[tokio::test]
async fn each_machine_has_its_sign_and_filters_lead_to_single_ones() {
    let house = House::new().await;
    furnish(&house, 120).await;
    let mut me = technician(&house).await;
    let page = me.get("/console/map").await;
    assert!(page.body.contains("tromso") && page.body.contains("R002"), "{}", page.body);
    assert_eq!(page.body.matches('✕').count(), 1 + 2, "the legend and two silent machines");
    let silent = me.get("/console/map?state=silent&site=tromso").await;
    assert!(silent.body.contains("m00007") && silent.body.contains("m00107"), "{}", silent.body);
    assert!(!silent.body.contains("m00008"));
    let rack = me.get("/console/map?site=tromso&rack=R001").await;
    assert!(rack.body.contains("m00050") && !rack.body.contains("m00049"));
}

/// The figure of docs/bench.md: `GRUVE_LONG=1 cargo test --release -p gruve-web --test map -- --nocapture`.
#[tokio::test]
async fn ten_thousand_machines_are_drawn_within_a_hundred_kilobytes() {
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    let machines = if is_long { 10_000 } else { 500 };
    let house = House::new().await;
    furnish(&house, machines).await;
    let mut me = technician(&house).await;
    let mut took = Vec::new();
    let mut bytes = 0;
    for _ in 0..9 {
        let begun = Instant::now();
        bytes = me.get("/console/map").await.body.len();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!("{machines} machines: {bytes} bytes, {:?} (median of {})", took[4], took.len());
    let most = 12_000 + usize::try_from(machines).unwrap() * 88 / 10;
    assert!(bytes < most, "{bytes} bytes for {machines} machines");
}
