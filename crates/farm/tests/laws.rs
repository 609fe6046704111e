//! What the farm promises, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_farm::{
    Farm, FarmError, HouseSecret, MIGRATIONS, MachineOwner, NewMachine, OUTSIDE_MACHINES_MAX,
    UNNAMED_MACHINE,
};
use gruve_store::{Store, laws, matches_on_both_engines, params, transact};
use gruve_units::{
    AccountId, Hashrate, LaneId, MachineId, ManualClock, SeededEntropy, SiteId, Timestamp,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const SECRET: &str = "sixteen bytes ok";

async fn farm(store: &Store) -> Farm {
    Farm::migrate(store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    Farm::new(store.clone(), clock, Arc::new(SeededEntropy::new(3)))
        .with_house_secret(HouseSecret::new(SECRET).unwrap())
}

fn lane(name: &str) -> LaneId {
    name.parse().unwrap()
}

fn customer(n: u8) -> MachineOwner {
    MachineOwner::Account(AccountId::from_bytes([n; 16]))
}

fn rig(site: SiteId, name: &str) -> NewMachine {
    let (owner, nameplate) = (MachineOwner::House, Hashrate(1_000_000));
    NewMachine { site, name: name.to_owned(), lane: lane("ltc"), owner, nameplate }
}

async fn adding_again_gives_the_same_and_updates_the_nameplate(store: Store) {
    let farm = farm(&store).await;
    let site = farm.add_site("oslo").await.unwrap();
    assert_eq!(farm.add_site("oslo").await.unwrap(), site);
    let id = farm.add_machine(rig(site, "rig-1")).await.unwrap();
    let faster = NewMachine { nameplate: Hashrate(u128::MAX), ..rig(site, "rig-1") };
    assert_eq!(farm.add_machine(faster).await.unwrap(), id);
    let machines = farm.machines().await.unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!((machines[0].id, machines[0].nameplate), (id, Hashrate(u128::MAX)));
    assert_eq!((machines[0].site, machines[0].owner), (Some(site), MachineOwner::House));
    assert_eq!(farm.machine(id).await.unwrap().as_ref(), Some(&machines[0]));
    assert_eq!(farm.machine(MachineId::from_bytes([0; 16])).await.unwrap(), None);
    let sites = farm.sites().await.unwrap();
    assert_eq!((sites.len(), sites[0].id, sites[0].name.as_str()), (1, site, "oslo"));
}

async fn a_machine_keeps_its_owner_lane_and_site(store: Store) {
    let farm = farm(&store).await;
    let (oslo, bergen) =
        (farm.add_site("oslo").await.unwrap(), farm.add_site("bergen").await.unwrap());
    farm.add_machine(rig(oslo, "rig-1")).await.unwrap();
    for other in [
        NewMachine { owner: customer(1), ..rig(oslo, "rig-1") },
        NewMachine { lane: lane("btc"), ..rig(oslo, "rig-1") },
        rig(bergen, "rig-1"),
    ] {
        let refused = farm.add_machine(other).await.unwrap_err();
        assert!(matches!(refused, FarmError::Differs { .. }), "{refused}");
    }
    let nowhere = rig(SiteId::from_bytes([9; 16]), "rig-2");
    assert!(matches!(farm.add_machine(nowhere).await, Err(FarmError::NoSite)));
    assert!(matches!(farm.add_machine(rig(oslo, "a/b")).await, Err(FarmError::BadName)));
    assert!(matches!(farm.add_site("").await, Err(FarmError::BadName)));
    assert_eq!(farm.machines().await.unwrap().len(), 1);
}

async fn only_the_operator_adds_machines_of_the_house(store: Store) {
    let farm = farm(&store).await;
    let site = farm.add_site("oslo").await.unwrap();
    let id = farm.add_machine(rig(site, "rig-1")).await.unwrap();
    assert_eq!(farm.house_login(SECRET, "rig-1", &lane("ltc")).await.unwrap(), id);
    for (password, name, on) in [
        ("", "rig-1", "ltc"),
        ("sixteen bytes no", "rig-1", "ltc"),
        (SECRET, "rig-2", "ltc"),
        (SECRET, "rig-1", "btc"),
        (SECRET, "", "ltc"),
    ] {
        let refused = farm.house_login(password, name, &lane(on)).await.unwrap_err();
        assert!(
            matches!(refused, FarmError::WrongSecret | FarmError::UnknownMachine { .. }),
            "{refused}"
        );
    }
    assert_eq!(farm.machines_of(MachineOwner::House).await.unwrap().len(), 1);
}

async fn without_a_secret_no_machine_is_the_houses(store: Store) {
    Farm::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let farm = Farm::new(store, clock, Arc::new(SeededEntropy::new(3)));
    assert!(!farm.admits_house("") && !farm.admits_house(SECRET));
}

async fn a_customers_machine_is_written_down_at_first_sight(store: Store) {
    let farm = farm(&store).await;
    let (alice, bob, ltc) = (customer(1), customer(2), lane("ltc"));
    let id = farm.machine_for_login(alice, "shed.1", &ltc).await.unwrap();
    assert_eq!(farm.machine_for_login(alice, "shed.1", &ltc).await.unwrap(), id);
    assert_ne!(farm.machine_for_login(bob, "shed.1", &ltc).await.unwrap(), id);
    assert_ne!(farm.machine_for_login(alice, "shed.1", &lane("btc")).await.unwrap(), id);
    let unnamed = farm.machine_for_login(alice, "", &ltc).await.unwrap();
    assert_eq!(farm.machine(unnamed).await.unwrap().unwrap().name, UNNAMED_MACHINE);
    for bad in ["a b", "<script>", "x\0", &"m".repeat(65)] {
        let refused = farm.machine_for_login(alice, bad, &ltc).await.unwrap_err();
        assert!(matches!(refused, FarmError::BadName), "{bad:?}");
    }
    assert_eq!(farm.machines_of(alice).await.unwrap().len(), 3);
    assert!(farm.machines().await.unwrap().is_empty(), "none of them stands in a site");
}

async fn a_hosted_machine_logs_in_as_its_owners(store: Store) {
    let farm = farm(&store).await;
    let site = farm.add_site("oslo").await.unwrap();
    let hosted = NewMachine { owner: customer(1), ..rig(site, "mine") };
    let id = farm.add_machine(hosted).await.unwrap();
    assert_eq!(farm.machine_for_login(customer(1), "mine", &lane("ltc")).await.unwrap(), id);
    assert_eq!(farm.machines().await.unwrap()[0].owner, customer(1));
}

async fn racing_first_sights_make_one_machine(store: Store) {
    let farm = farm(&store).await;
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let farm = farm.clone();
            tokio::spawn(async move {
                farm.machine_for_login(customer(1), "shed", &lane("ltc")).await.unwrap()
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
}

async fn names_from_outside_cannot_fill_the_table_nor_keep_a_customers_machines_out(store: Store) {
    let farm = farm(&store).await;
    let ltc = lane("ltc");
    let first = farm.machine_for_login(customer(1), "m0", &ltc).await.unwrap();
    // The rest by hand: through the front door they would take as many commits.
    transact!(store, tx -> gruve_store::Result<()> => {
        for n in 1..OUTSIDE_MACHINES_MAX {
            let id = MachineId::from_bytes(u128::from(n.unsigned_abs()).to_be_bytes());
            let row = params![id, customer(1), format!("m{n}"), &ltc, Hashrate::ZERO];
            let sql = "INSERT INTO farm_machines (id, owner, name, lane, nameplate, created_at) \
                       VALUES ($1, $2, $3, $4, $5, 0)";
            tx.execute(sql, &row).await?;
        }
        Ok(())
    })
    .unwrap();
    // The customer's own have worked, some lately.
    let working: Vec<_> = (1..40).map(|n: u128| MachineId::from_bytes(n.to_be_bytes())).collect();
    farm.worked(&working).await.unwrap();
    farm.worked(&[first, MachineId::from_bytes([77; 16])]).await.unwrap();
    let mut ids = BTreeSet::new();
    for n in 0..30 {
        let name = format!("stranger-{n}");
        ids.insert(farm.machine_for_login(customer(1), &name, &ltc).await.unwrap());
    }
    assert_eq!(ids.len(), 30);
    let known = farm.machines_of(customer(1)).await.unwrap();
    assert_eq!(i64::try_from(known.len()).unwrap(), OUTSIDE_MACHINES_MAX);
    let known: BTreeSet<_> = known.iter().map(|m| m.id).collect();
    assert!(
        working.iter().chain([&first]).all(|id| known.contains(id)),
        "none that worked is gone"
    );
    assert_eq!(farm.machine_for_login(customer(1), "m0", &ltc).await.unwrap(), first);
    let new = farm.machine_for_login(customer(1), "one-more", &ltc).await.unwrap();
    assert!(farm.machine(new).await.unwrap().is_some(), "a new one of the customer's is let in");
    farm.machine_for_login(customer(2), "one-more", &ltc).await.unwrap();
}

async fn a_machine_that_was_forgotten_comes_back_as_the_same(store: Store) {
    let farm = farm(&store).await;
    let ltc = lane("ltc");
    let id = farm.machine_for_login(customer(1), "shed", &ltc).await.unwrap();
    transact!(store, tx -> gruve_store::Result<_> => {
        tx.execute("DELETE FROM farm_machines", &[]).await
    })
    .unwrap();
    assert_eq!(farm.machine_for_login(customer(1), "shed", &ltc).await.unwrap(), id);
    let others =
        [(customer(1), "shed2", "ltc"), (customer(2), "shed", "ltc"), (customer(1), "shed", "btc")];
    for (owner, name, on) in others {
        assert_ne!(farm.machine_for_login(owner, name, &lane(on)).await.unwrap(), id);
    }
}

async fn a_machine_taken_out_of_the_configuration_logs_in_no_more(store: Store) {
    let farm = farm(&store).await;
    let site = farm.add_site("oslo").await.unwrap();
    let one = farm.add_machine(rig(site, "rig-1")).await.unwrap();
    let two = farm.add_machine(rig(site, "rig-2")).await.unwrap();
    let hosted = NewMachine { owner: customer(1), ..rig(site, "mine") };
    let hosted = farm.add_machine(hosted).await.unwrap();
    for _ in 0..2 {
        farm.retire_others(&BTreeSet::from([one])).await.unwrap();
    }
    farm.house_login(SECRET, "rig-1", &lane("ltc")).await.unwrap();
    let refused = farm.house_login(SECRET, "rig-2", &lane("ltc")).await.unwrap_err();
    assert!(matches!(refused, FarmError::UnknownMachine { .. }), "{refused}");
    let listed: Vec<_> = farm.machines().await.unwrap().iter().map(|m| m.id).collect();
    assert_eq!((listed.len(), listed.contains(&one), listed.contains(&hosted)), (2, true, true));
    assert!(farm.machine(two).await.unwrap().is_some(), "it is known for the work it did");
    assert_eq!(farm.add_machine(rig(site, "rig-2")).await.unwrap(), two);
    farm.house_login(SECRET, "rig-2", &lane("ltc")).await.unwrap();
}

laws! { machines: [
    adding_again_gives_the_same_and_updates_the_nameplate,
    a_machine_keeps_its_owner_lane_and_site,
    only_the_operator_adds_machines_of_the_house,
    without_a_secret_no_machine_is_the_houses,
    a_customers_machine_is_written_down_at_first_sight,
    a_hosted_machine_logs_in_as_its_owners,
    racing_first_sights_make_one_machine,
    names_from_outside_cannot_fill_the_table_nor_keep_a_customers_machines_out,
    a_machine_that_was_forgotten_comes_back_as_the_same,
    a_machine_taken_out_of_the_configuration_logs_in_no_more,
] }

#[test]
fn the_tables_are_the_same_on_both_engines() {
    for m in MIGRATIONS {
        matches_on_both_engines(m).unwrap();
    }
}
