//! Machines of many makers, read by `asic-rs` over real wires. It looks at the makers' own ports, so each machine has an
//! address of its own in 127.0.0.0/8, all of which is the loopback on Linux.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_agent::api::CgMiner;
use gruve_agent::asic::{AsicRs, Login};
use gruve_agent::simulator::{AuradineMachine, Behaviour, Machine, Recording};
use gruve_agent::spool::{SPOOL_BYTES, Spool};
use gruve_agent::{Agent, AgentConfig, Api, Fault, House, MachineAddress, Vendor};
use gruve_farm::Said;
use gruve_units::{ManualClock, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What bad machines get: far above what a loopback answer takes.
const PATIENCE: Duration = Duration::from_secs(3);

/// A fresh address of this program's.
fn address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let program = u8::try_from(std::process::id() % 250).unwrap() + 1;
    IpAddr::from([127, 83, program, NEXT.fetch_add(1, Ordering::Relaxed)])
}

/// What a real machine has answered by one of its APIs.
fn recording(machine: &str, api: &str) -> Recording {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recorded-machines.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    serde_json::from_value(all[machine][api].clone()).unwrap()
}

async fn machine(behaviour: Behaviour) -> (Machine, String) {
    loop {
        let ip = address();
        match Machine::start_at((ip, 4028), behaviour.clone()).await {
            Ok(machine) => return (machine, ip.to_string()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::AddrInUse, "{e}"),
        }
    }
}

async fn luxos() -> (Machine, String) {
    machine(Behaviour::Repeats(Arc::new(recording("luxos-s19k-pro", "rpc")))).await
}

async fn auradine(password: &str) -> (AuradineMachine, String) {
    let (rpc, web) = (recording("auradine-at1500", "rpc"), recording("auradine-at1500", "web"));
    loop {
        let ip = address();
        match AuradineMachine::start_at(ip, rpc.clone(), web.clone(), password).await {
            Ok(machine) => return (machine, ip.to_string()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::AddrInUse, "{e}"),
        }
    }
}

fn asic_rs() -> AsicRs {
    AsicRs::new(Vec::new()).unwrap()
}

fn with_login(password: &str) -> AsicRs {
    let login = Login {
        firmware: "Auradine Stock".to_owned(),
        user: "admin".to_owned(),
        password: password.to_owned(),
    };
    AsicRs::new(vec![login]).unwrap()
}

/// That nothing was asked but these, which only read; `POST /token` is the login.
fn assert_only_read(asked: &BTreeMap<String, u64>) {
    const READING: [&str; 18] = [
        "version",
        "devdetails",
        "summary",
        "stats",
        "devs",
        "temps",
        "fans",
        "power",
        "voltageget",
        "asccount",
        "GET /ipreport",
        "GET /fan",
        "GET /psu",
        "GET /temperature",
        "GET /voltage",
        "GET /frequency",
        "GET /mode",
        "POST /token",
    ];
    let other: Vec<_> = asked.keys().filter(|q| !READING.contains(&q.as_str())).collect();
    assert!(other.is_empty(), "asked: {other:?}");
}

#[tokio::test]
async fn a_machine_under_luxos_is_recognised_and_tells_its_power() {
    let (machine, address) = luxos().await;
    let vendor = asic_rs();
    let said = Said {
        hashes_per_second: Some(59_756_060_000_000),
        watts: Some(1_051),
        temperature_c: Some(47),
        fans_rpm: vec![1_920, 1_920, 2_340, 2_340],
        uptime_s: Some(3_453),
    };
    assert_eq!(vendor.ask(&address).await, Ok(said.clone()));
    let recognised = machine.asked()["version"];
    assert_eq!(vendor.ask(&address).await, Ok(said));
    let asked = machine.asked();
    assert_eq!(asked["version"], recognised, "it is recognised once");
    assert_only_read(&asked);
    // What the machine's cgminer API tells leaves out its power.
    let plain = CgMiner::default().ask(&format!("{address}:4028")).await.unwrap();
    assert_eq!(plain.watts, None);
}

#[tokio::test]
async fn a_machine_with_an_api_of_its_own_is_logged_in_to_and_the_session_kept() {
    let (machine, address) = auradine("secret").await;
    let vendor = with_login("secret\n");
    let mut logins = Vec::new();
    for _ in 0..2 {
        let said = vendor.ask(&address).await.unwrap();
        assert_eq!(
            (said.hashes_per_second, said.uptime_s),
            (Some(20_599_767_177_470), Some(56_696))
        );
        assert_eq!((said.watts, said.temperature_c), (Some(59), Some(47)));
        assert_eq!(said.fans_rpm, [7_080, 7_020, 7_100, 7_020]);
        logins.push(machine.asked()["POST /token"]);
    }
    assert_eq!(logins[0], logins[1]);
    assert_only_read(&machine.asked());
    // The maker's own login is not the right one: what the machine tells everybody is left.
    let said = asic_rs().ask(&address).await.unwrap();
    assert_eq!((said.hashes_per_second, said.watts), (Some(20_599_767_177_470), None));
    let unknown = AsicRs::new(vec![Login {
        firmware: "AntMiner".to_owned(),
        user: String::new(),
        password: String::new(),
    }]);
    let fault = unknown.err().unwrap().to_string();
    assert!(fault.contains("\"AntMiner\"") && fault.contains("AntMiner Stock"), "{fault}");
}

#[tokio::test]
async fn a_machine_whose_reading_would_set_something_is_not_recognised() {
    // asic-rs answers a refusal of MicroBT's firmware by opening the machine's API for writing. The answers are those
    // that its own tests have.
    let details = json!({ "STATUS": [{ "STATUS": "S", "Msg": "Device Details" }], "id": 1,
        "DEVDETAILS": [{ "DEVDETAILS": 0, "Name": "SM", "ID": 0, "Driver": "bitmicro", "Model": "M30S+_VE40" }] });
    let version = json!({ "STATUS": "S", "When": 1_773_871_985, "Code": 131, "Description": "",
        "Msg": { "api_ver": "2.0.5", "fw_ver": "20230803.11.REL", "platform": "H616" } });
    let says = [("devdetails", details), ("get_version", version)];
    let says = Recording::from(says.map(|(command, said)| (command.to_owned(), said)));
    let (machine, address) = machine(Behaviour::Repeats(Arc::new(says))).await;
    assert_eq!(asic_rs().ask(&address).await, Err(Fault::Garbage));
    assert_only_read(&machine.asked());
}

#[tokio::test]
async fn a_machine_that_misbehaves_costs_its_own_reading_within_its_time() {
    let (good, good_at) = luxos().await;
    let (_silent, silent) = machine(Behaviour::Silent).await;
    let (_slow, slow) = machine(Behaviour::Slow).await;
    let (_garbage, garbage) = machine(Behaviour::Garbage).await;
    let (_endless, endless) = machine(Behaviour::Endless).await;
    let (_refuses, refuses) = machine(Behaviour::Refuses).await;
    let nobody = address().to_string();
    let vendor = asic_rs().within(PATIENCE);
    let (a, b, c, d, e) = tokio::join!(
        vendor.ask(&silent),
        vendor.ask(&slow),
        vendor.ask(&garbage),
        vendor.ask(&refuses),
        vendor.ask(&nobody),
    );
    assert_eq!((a, b), (Err(Fault::Slow), Err(Fault::Slow)));
    assert_eq!((c, d, e), (Err(Fault::Garbage), Err(Fault::Garbage), Err(Fault::Unreachable)));
    // By itself: it keeps a processor busy.
    assert_eq!(vendor.ask(&endless).await, Err(Fault::Slow));

    let at = |address: &String| MachineAddress {
        serial: format!("at {address}"),
        address: address.clone(),
        api: Api::AsicRs,
    };
    let machines = [&silent, &garbage, &good_at, &nobody].map(at).to_vec();
    let dir = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let house = House::new(&format!("http://{closed}"), None, "right").unwrap();
    let spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let (cgminer, vendor) = (Arc::new(CgMiner::default()), Arc::new(asic_rs()));
    let mut agent =
        Agent::new(machines, cgminer, house, spool, clock).with(Api::AsicRs, vendor.clone());
    let round = agent.round().await.unwrap();
    assert_eq!((round.answered, round.silent, round.waiting), (1, 3, 4));

    // One that was recognised and has gone is not there; what stands there later is recognised anew.
    drop(good);
    while TcpStream::connect(format!("{good_at}:4028")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(vendor.ask(&good_at).await, Err(Fault::Unreachable));
    let says = Behaviour::Repeats(Arc::new(recording("luxos-s19k-pro", "rpc")));
    let back = Machine::start_at(format!("{good_at}:4028"), says).await.unwrap();
    assert_eq!(vendor.ask(&good_at).await.unwrap().watts, Some(1_051));
    assert!(back.asked()["version"] > 0);
}

#[tokio::test]
async fn whoever_names_no_tls_provider_gets_the_houses() {
    let _vendor = asic_rs();
    // Panics where two are there and none is named.
    let config = rustls::ClientConfig::builder();
    let ring = rustls::crypto::ring::default_provider();
    let keys = |provider: &rustls::crypto::CryptoProvider| format!("{:?}", provider.key_provider);
    assert_eq!(keys(config.crypto_provider()), keys(&ring));
}

#[tokio::test]
async fn an_agent_of_a_configuration_asks_by_asic_rs() {
    let (machine, address) = luxos().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "right\n").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = format!(
        "house = 'http://{}'\ntoken_file = 'token'\nspool = 'spool'\n\
         [[machine]]\nserial = 'SN1'\naddress = '{address}'\napi = 'asic-rs'\n",
        nobody.local_addr().unwrap()
    );
    let config = AgentConfig::parse(&text, dir.path()).unwrap();
    // It is told to end by the first question of a house's place, which comes after the machines were asked.
    let asked_of_the_house = async {
        nobody.accept().await.unwrap();
    };
    gruve_agent::run(config, Arc::new(SystemClock), asked_of_the_house).await.unwrap();
    assert!(machine.asked().contains_key("power"), "{:?}", machine.asked());
}
