//! What the farm promises of its inventory, owners, telemetry and tickets, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_farm::energy::UJ_PER_KWH;
use gruve_farm::{
    Farm, FarmError, HouseSecret, MachineOwner, MachineState, NewInventory, NewMachine, Proof,
    ProvenPlace, Report, SAMPLES_MAX, Said, Sample, Speaker,
};
use gruve_store::{Store, laws, transact};
use gruve_units::{
    AccountId, Class, Duration, EpochNumber, EpochRule, Hashrate, LaneId, MachineId, ManualClock,
    SeededEntropy, SiteId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SECRET: &str = "sixteen bytes ok";
const MINUTE_US: i64 = 60_000_000;

struct World {
    farm: Farm,
    clock: Arc<ManualClock>,
    store: Store,
    site: SiteId,
    machine: MachineId,
}

fn lane() -> LaneId {
    "btc".parse().unwrap()
}

fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

fn thing(site: SiteId, n: u32) -> NewInventory {
    NewInventory {
        site,
        name: format!("rig-{n}"),
        lane: lane(),
        serial: format!("SN{n:04}"),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(110_000_000_000_000),
        watts: 3_250,
    }
}

async fn world(store: Store) -> World {
    Farm::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_400)));
    let rule = EpochRule { length_us: 600_000_000, grace_us: 30_000_000 };
    let farm = Farm::new(store.clone(), clock.clone(), Arc::new(SeededEntropy::new(3)))
        .with_house_secret(HouseSecret::new(SECRET).unwrap())
        .with_rules(BTreeMap::from([(lane(), rule)]));
    let site = farm.add_site("oslo").await.unwrap();
    let machine = farm.add_inventory(thing(site, 1)).await.unwrap();
    World { farm, clock, store, site, machine }
}

impl World {
    fn now(&self) -> Timestamp {
        gruve_units::Clock::now(self.clock.as_ref())
    }

    async fn give(&self, to: MachineOwner, from: EpochNumber) -> Result<(), FarmError> {
        let (farm, machine) = (&self.farm, self.machine);
        transact!(self.store, tx -> Result<(), FarmError> => { farm.give(tx, machine, to, from).await })
    }

    async fn energy_uj(&self) -> u64 {
        let mut tx = self.store.read().await.unwrap();
        let all = self.farm.energy(&mut tx, self.machine, EpochNumber(0), EpochNumber(1 << 40));
        all.await.unwrap().iter().map(|e| e.slice.energy_uj).sum()
    }
}

fn sample(seq: u64, at: Timestamp, watts: u32, uptime_s: u64) -> Sample {
    let said = Said {
        hashes_per_second: Some(110_000_000_000_000),
        watts: Some(watts),
        temperature_c: Some(61),
        fans_rpm: vec![5_880, 6_000],
        uptime_s: Some(uptime_s),
    };
    Sample { seq, at_us: at.0, serial: "SN0001".to_owned(), said: Some(said), fault: None }
}

async fn a_machine_works_only_while_it_is_in_service(store: Store) {
    let w = world(store).await;
    let login = async || w.farm.house_login(SECRET, "rig-1", &lane()).await;
    assert!(matches!(login().await, Err(FarmError::NotInService { .. })), "in stock");
    for (state, works) in [
        (MachineState::Running, true),
        (MachineState::Maintenance, true),
        (MachineState::Running, true),
        (MachineState::Returned, false),
        (MachineState::Stock, false),
    ] {
        w.farm.set_state(w.machine, state).await.unwrap();
        assert_eq!(login().await.is_ok(), works, "{}", state.name());
    }
    w.farm.set_state(w.machine, MachineState::Returned).await.unwrap();
    let back = w.farm.set_state(w.machine, MachineState::Running).await;
    assert!(matches!(back, Err(FarmError::NotFrom { .. })), "through the store room only");
    let history = w.farm.history(w.machine).await.unwrap();
    assert_eq!(history.len(), 7);
    assert_eq!(history[1].1, "stock -> running");
}

async fn the_inventory_takes_a_serial_number_once_and_a_configured_machine_as_it_is(store: Store) {
    let w = world(store).await;
    let again = w.farm.add_inventory(NewInventory { name: "rig-9".into(), ..thing(w.site, 1) });
    assert!(matches!(again.await, Err(FarmError::Differs { .. })));
    let new = NewMachine {
        site: w.site,
        name: "rig-2".to_owned(),
        lane: lane(),
        owner: MachineOwner::House,
        nameplate: Hashrate(1),
    };
    let known = w.farm.add_machine(new).await.unwrap();
    assert_eq!(w.farm.add_inventory(thing(w.site, 2)).await.unwrap(), known);
    for bad in [
        NewInventory { serial: String::new(), ..thing(w.site, 3) },
        NewInventory { serial: " x".into(), ..thing(w.site, 3) },
        NewInventory { model: "a\nb".into(), ..thing(w.site, 3) },
        NewInventory { rack: "r".repeat(65), ..thing(w.site, 3) },
        NewInventory { watts: 0, ..thing(w.site, 3) },
        NewInventory { name: "a b".into(), ..thing(w.site, 3) },
        NewInventory { site: SiteId::from_bytes([9; 16]), ..thing(w.site, 3) },
    ] {
        assert!(w.farm.add_inventory(bad.clone()).await.is_err(), "{bad:?}");
    }
    assert_eq!(w.farm.inventory().await.unwrap().len(), 2);
    // Taken out of the configuration: the inventory's stay.
    w.farm.retire_others(&BTreeSet::new()).await.unwrap();
    w.farm.set_state(known, MachineState::Running).await.unwrap();
    assert!(w.farm.house_login(SECRET, "rig-2", &lane()).await.is_ok());
}

async fn an_owner_changes_at_a_border_ahead_and_one_change_at_a_time(store: Store) {
    let w = world(store).await;
    let border = w.farm.next_border(&lane()).unwrap();
    assert!(matches!(
        w.give(MachineOwner::Account(account(1)), EpochNumber(border.0 - 1)).await,
        Err(FarmError::TooLate)
    ));
    w.give(MachineOwner::Account(account(1)), border).await.unwrap();
    let again = w.give(MachineOwner::Account(account(2)), border).await;
    assert!(matches!(again, Err(FarmError::ChangePending)));
    let table = w.farm.owners().await.unwrap();
    assert_eq!(table.owner_in(w.machine, EpochNumber(border.0 - 1)), Some(MachineOwner::House));
    assert_eq!(table.owner_in(w.machine, border), Some(MachineOwner::Account(account(1))));
    w.clock.advance(Duration::from_secs(1_200));
    let back = w.farm.next_border(&lane()).unwrap();
    w.give(MachineOwner::House, back).await.unwrap();
    let owners = w.farm.owners_of(w.machine).await.unwrap();
    let said: Vec<_> = owners.iter().map(|o| (o.0, o.1)).collect();
    assert_eq!(said, [(border, MachineOwner::Account(account(1))), (back, MachineOwner::House)]);
}

async fn a_report_counts_once_however_often_it_comes(store: Store) {
    let w = world(store).await;
    let token = w.farm.new_agent_token(w.site).await.unwrap();
    let agent = w.farm.agent(&token).await.unwrap();
    assert_eq!((agent.site, agent.next), (w.site, 0));
    let begin = w.now().minus(Duration::from_secs(3_600));
    let at = |minute: i64| Timestamp(begin.0 + minute * MINUTE_US);
    let all: Vec<Sample> = (0..60).map(|m| sample(m, at(m.cast_signed()), 3_000, 60 * m)).collect();
    for from in [0, 0, 20, 10, 0] {
        let report = Report { samples: all[from..].to_vec() };
        let receipt = w.farm.take_report(w.site, &report).await.unwrap();
        assert_eq!(receipt.next, 60);
    }
    assert_eq!(w.energy_uj().await, 3_000 * 59 * MINUTE_US.unsigned_abs());
    let reading = w.farm.reading(w.machine).await.unwrap().unwrap();
    assert_eq!((reading.at, reading.watts, reading.restarts), (at(59), Some(3_000), 0));
    assert_eq!(reading.fans_rpm, [5_880, 6_000]);

    // Lost ones are counted; another token makes the first void.
    let late = Report { samples: vec![sample(100, at(60), 3_000, 3_600)] };
    w.farm.take_report(w.site, &late).await.unwrap();
    let standing = w.farm.agent_of(w.site).await.unwrap().unwrap();
    assert_eq!((standing.next, standing.lost, standing.refused), (101, 40, 0));
    w.farm.new_agent_token(w.site).await.unwrap();
    assert!(matches!(w.farm.agent(&token).await, Err(FarmError::WrongToken)));
    assert_eq!(w.farm.agent_of(w.site).await.unwrap().unwrap().next, 101, "the count goes on");
}

async fn more_than_twice_the_nameplate_is_no_reading_and_costs_nothing(store: Store) {
    let w = world(store).await;
    w.farm.new_agent_token(w.site).await.unwrap();
    let begin = w.now().minus(Duration::from_secs(600));
    let at = |minute: i64| Timestamp(begin.0 + minute * MINUTE_US);
    let samples = vec![
        sample(0, at(0), 6_500, 60),
        sample(1, at(1), 6_501, 120),
        sample(2, at(2), u32::MAX, 180),
        sample(3, at(3), 3_000, 240),
    ];
    let receipt = w.farm.take_report(w.site, &Report { samples }).await.unwrap();
    assert_eq!((receipt.taken, receipt.refused), (4, 0), "what else they say counts");
    assert_eq!(w.energy_uj().await, 6_500 * MINUTE_US.unsigned_abs());
}

async fn samples_that_cannot_be_are_counted_and_harm_nothing(store: Store) {
    let w = world(store).await;
    w.farm.new_agent_token(w.site).await.unwrap();
    let (now, day) = (w.now(), Duration::from_secs(86_400));
    let bad = [
        Sample { serial: "nobody's".into(), ..sample(0, now, 1, 1) },
        sample(1, now.plus(day), 1, 1),
        sample(2, now.minus(day * 31), 1, 1),
        sample(3, Timestamp(i64::MIN), 1, 1),
        sample(4, Timestamp(i64::MAX), 1, 1),
        sample(5, now, u32::MAX, u64::MAX),
        sample(6, now, 1, 1),
    ];
    let receipt = w.farm.take_report(w.site, &Report { samples: bad.to_vec() }).await.unwrap();
    assert_eq!((receipt.next, receipt.taken, receipt.refused), (7, 7, 6));
    let reading = w.farm.reading(w.machine).await.unwrap().unwrap();
    assert_eq!((reading.watts, reading.uptime_s), (None, None), "no machine draws that");
    assert_eq!(w.energy_uj().await, 0);

    let twice = Report { samples: vec![sample(8, now, 1, 1), sample(8, now, 1, 1)] };
    assert!(matches!(w.farm.take_report(w.site, &twice).await, Err(FarmError::BadReport { .. })));
    let many: Vec<_> = (10..11 + SAMPLES_MAX as u64).map(|n| sample(n, now, 1, 1)).collect();
    let many = Report { samples: many };
    assert!(matches!(w.farm.take_report(w.site, &many).await, Err(FarmError::BadReport { .. })));
    let huge = Report { samples: vec![sample(u64::MAX, now, 1, 1)] };
    assert!(matches!(w.farm.take_report(w.site, &huge).await, Err(FarmError::BadReport { .. })));
    // A machine of another site is not this agent's to speak for.
    let other = w.farm.add_site("bergen").await.unwrap();
    w.farm.new_agent_token(other).await.unwrap();
    let report = Report { samples: vec![sample(0, now.plus(Duration::from_secs(1)), 1, 1)] };
    assert_eq!(w.farm.take_report(other, &report).await.unwrap().refused, 1);
}

async fn energy_stands_on_one_bill_and_late_energy_on_the_next(store: Store) {
    let w = world(store.clone()).await;
    w.farm.new_agent_token(w.site).await.unwrap();
    let begin = w.now().minus(Duration::from_secs(7_200));
    let at = |minute: i64| Timestamp(begin.0 + minute * MINUTE_US);
    let send = async |minutes: std::ops::Range<u64>| {
        let samples = minutes.map(|m| sample(m, at(m.cast_signed()), 1_000, 60 * m)).collect();
        w.farm.take_report(w.site, &Report { samples }).await.unwrap();
    };
    let bill = async || {
        let (farm, machine) = (&w.farm, w.machine);
        transact!(store, tx -> Result<u64, FarmError> => {
            let all = (EpochNumber(0), EpochNumber(1 << 40));
            let taken = farm.unbilled(tx, machine, all.0, all.1).await?;
            farm.mark_billed(tx, machine, all.0, all.1).await?;
            Ok(taken)
        })
        .unwrap()
    };
    send(0..31).await;
    assert_eq!(bill().await, UJ_PER_KWH / 2);
    assert_eq!(bill().await, 0);
    send(31..61).await;
    assert_eq!(bill().await, UJ_PER_KWH / 2);
    assert_eq!(w.energy_uj().await, UJ_PER_KWH);
}

async fn proofs_are_counted_once_by_the_place_they_were_read_from(store: Store) {
    let w = world(store.clone()).await;
    let mut proof = Proof::none(MachineOwner::House);
    proof.add(Class::new(40).unwrap());
    proof.add(Class::new(41).unwrap());
    let proofs = BTreeMap::from([((w.machine, EpochNumber(7)), proof)]);
    let start = w.farm.proven_place(&lane()).await.unwrap();
    let first = ProvenPlace { place: Some((1, 500)), sealed: Some(EpochNumber(6)) };
    assert!(w.farm.add_proven(&lane(), &proofs, start, first).await.unwrap());
    assert!(!w.farm.add_proven(&lane(), &proofs, start, first).await.unwrap(), "read before");
    let second = ProvenPlace { place: Some((1, 900)), sealed: Some(EpochNumber(7)) };
    assert!(w.farm.add_proven(&lane(), &proofs, first, second).await.unwrap());
    let mut tx = store.read().await.unwrap();
    let all = w.farm.proven(&mut tx, w.machine, EpochNumber(0), EpochNumber(9)).await.unwrap();
    assert_eq!(all, BTreeMap::from([(EpochNumber(7), proof.plus(proof))]));
    assert_eq!(all[&EpochNumber(7)].work.0, 6 << 40);
    assert_eq!(w.farm.proven_until(&mut tx, &lane()).await.unwrap(), Some(EpochNumber(7)));
}

async fn a_ticket_is_seen_by_the_operator_and_the_owner_of_its_day_only(store: Store) {
    let w = world(store).await;
    let (kari, ola) = (Speaker::Owner(account(1)), Speaker::Owner(account(2)));
    let early = w.farm.open_ticket(w.machine, kari, "Noise", "It rattles").await;
    assert!(matches!(early, Err(FarmError::NoMachine)), "not hers yet");
    let border = w.farm.next_border(&lane()).unwrap();
    w.give(MachineOwner::Account(account(1)), border).await.unwrap();
    w.clock.set(w.farm.rule(&lane()).unwrap().start(border));
    let id = w.farm.open_ticket(w.machine, kari, "Noise", "It rattles\r\nat night").await.unwrap();
    w.farm.say_on_ticket(id, Speaker::Operator, "A fan. Changed.").await.unwrap();
    assert!(matches!(w.farm.say_on_ticket(id, ola, "Me too").await, Err(FarmError::NoTicket)));
    assert!(matches!(w.farm.ticket(id, ola).await, Err(FarmError::NoTicket)));
    assert!(w.farm.tickets(w.machine, ola).await.unwrap().is_empty());
    for bad in ["", "  ", "a\u{7}b", &"x".repeat(2_001)] {
        let refused = w.farm.say_on_ticket(id, kari, bad).await;
        assert!(matches!(refused, Err(FarmError::BadText { .. })), "{bad:?}");
    }
    w.farm.close_ticket(id, kari).await.unwrap();
    let (ticket, notes) = w.farm.ticket(id, kari).await.unwrap();
    assert!(ticket.closed_at.is_some());
    let said: Vec<_> = notes.iter().map(|n| (n.author.as_str(), n.text.as_str())).collect();
    assert_eq!(said, [("owner", "It rattles\nat night"), ("operator", "A fan. Changed.")]);
    let late = w.farm.say_on_ticket(id, Speaker::Operator, "Still there?").await;
    assert!(matches!(late, Err(FarmError::TicketClosed)));
    assert!(w.farm.open_tickets().await.unwrap().is_empty());
}

laws! { hosted: [
    a_machine_works_only_while_it_is_in_service,
    the_inventory_takes_a_serial_number_once_and_a_configured_machine_as_it_is,
    an_owner_changes_at_a_border_ahead_and_one_change_at_a_time,
    a_report_counts_once_however_often_it_comes,
    more_than_twice_the_nameplate_is_no_reading_and_costs_nothing,
    samples_that_cannot_be_are_counted_and_harm_nothing,
    energy_stands_on_one_bill_and_late_energy_on_the_next,
    proofs_are_counted_once_by_the_place_they_were_read_from,
    a_ticket_is_seen_by_the_operator_and_the_owner_of_its_day_only,
] }
