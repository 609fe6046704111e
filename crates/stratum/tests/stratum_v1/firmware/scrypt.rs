//! The compatibility table's rows of scrypt machines: each test plays one over a socket against a gateway
//! on a Litecoin chain.

use crate::miner::{class, method};
use crate::node::{FakeMachines, all_records, gateway_options, lane_options};
use crate::peer::Peer;
use crate::two_chains::chain;
use gruve_chain::devchain::{DevChain, DevServer};
use gruve_pow::HeaderScanner;
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_stratum::{Gateway, LaneWork, target_of_wire_difficulty};
use gruve_units::{Algorithm, Asset, Class, SystemClock};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A gateway on a chain whose blocks no test finds.
struct House {
    _chain: (DevChain, DevServer),
    log: ShareLog,
    work: LaneWork,
    gateway: Gateway,
}

impl House {
    fn open(dir: &Path, range: (Class, Class)) -> House {
        let (chain, server, node) = chain(dir, Asset::Ltc, 1 << 44);
        let log = ShareLog::open(dir.join("log"), Options::default()).unwrap();
        let lane = lane_options(Arc::new(node), &log, Arc::new(SystemClock));
        let work = LaneWork::start(lane).unwrap();
        let mut options = gateway_options();
        (options.class_range, options.start_class) = (range, range.0);
        let gateway =
            Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
        House { _chain: (chain, server), log, work, gateway }
    }

    async fn end(self) {
        self.gateway.shutdown().await;
        self.work.stop().await;
    }
}

/// The difficulty that it was told, to the last bit: powers of two are exact.
fn units_of(peer: &Peer) -> u64 {
    peer.difficulty.to_bits()
}

/// A share of the job at hand by one algorithm at its difficulty in scrypt's units, and not by another.
fn share(peer: &Peer, id: u64, is: Algorithm, is_not: Option<Algorithm>) -> String {
    let job = peer.job.as_ref().unwrap();
    let target = target_of_wire_difficulty(Algorithm::Scrypt, job.difficulty).unwrap();
    let solves = |algorithm, en2: u64, nonce: u32| {
        let header = job.header(&en2.to_be_bytes(), job.version, job.ntime, 0);
        let mut found = Vec::new();
        HeaderScanner::new(algorithm, header).scan(nonce, 1, &target, &mut found);
        !found.is_empty()
    };
    let good = (0..4096u32).find(|nonce| {
        solves(is, id, *nonce) && !is_not.is_some_and(|other| solves(other, id, *nonce))
    });
    peer.submit(&json!(id), &format!("{id:016x}"), job.ntime, good.unwrap(), "")
}

/// An Antminer L7 (a fork of cgminer): what it calls difficulty 1 are 2^16 hashes of scrypt; with another
/// unit it would mine 65,536 times too easy or too hard. It asks for version rolling because SHA-256d's
/// machines do, and has to hear no: merge-mined chains give those bits a meaning.
#[tokio::test(flavor = "multi_thread")]
async fn antminer_l7_is_given_difficulty_in_scrypts_units_and_no_version_bits() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path(), (class(3), class(3)));
    let mut peer = Peer::connect(house.gateway.address());
    let configure = r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#;
    assert_eq!(peer.ask(configure)["result"], json!({"version-rolling": false}));
    let reply = peer.subscribe(&json!(["cgminer/4.10.0"]));
    assert!((4..=8).contains(&reply["result"][2].as_u64().unwrap()));
    assert_eq!(peer.authorize("house.l7", "x")["result"], true);
    peer.until("mining.notify");
    assert_eq!(units_of(&peer), 2f64.powi(3 - 16).to_bits());
    let good = share(&peer, 7, Algorithm::Scrypt, Some(Algorithm::Sha256d));
    assert_eq!(peer.ask(&good)["result"], true);
    let wrong = share(&peer, 8, Algorithm::Sha256d, Some(Algorithm::Scrypt));
    assert_eq!(peer.ask(&wrong)["error"][0], 23, "hashed with scrypt, and nothing else");
    let rolled = share(&peer, 9, Algorithm::Scrypt, None).replace("]}", r#","00002000"]}"#);
    assert_eq!(peer.ask(&rolled)["error"][0], 20);
    let logged = all_records(&house.log);
    let shares = logged.iter().filter(|r| matches!(r, Record::Share(s) if s.class == class(3)));
    assert_eq!(shares.count(), 1);
    house.end().await;
}

/// A scrypt machine of gigahashes (L7, L9) asks for what suits it: from the machine's own page (`d=` in the
/// password), or by its firmware (`suggest_difficulty`); both in the same units as what it hears.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrypt_machine_of_gigahashes_begins_at_the_difficulty_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path(), (class(3), class(44)));
    let mut by_password = Peer::connect(house.gateway.address());
    by_password.subscribe(&json!(["bmminer/2.0.0"]));
    by_password.authorize("house.l9", "d=524288");
    by_password.until("mining.notify");
    // 2^19 times 2^16 hashes: a share in four seconds at 9 GH/s.
    assert_eq!(units_of(&by_password), 524_288f64.to_bits());
    let mut by_wish = Peer::connect(house.gateway.address());
    by_wish.subscribe(&json!(["cgminer/4.10.0"]));
    by_wish.ask(r#"{"id":5,"method":"mining.suggest_difficulty","params":[524288]}"#);
    by_wish.authorize("house.l7", "x");
    by_wish.until("mining.notify");
    assert_eq!(units_of(&by_wish), 524_288f64.to_bits());
    // A difficulty comes only together with the job that it is for.
    let mut heard: Vec<Value> = Vec::new();
    by_wish.say(r#"{"id":6,"method":"mining.suggest_difficulty","params":[1048576]}"#);
    while heard.last().is_none_or(|v| method(v) != "mining.notify") {
        heard.push(by_wish.hear());
    }
    let methods: Vec<_> = heard.iter().map(method).collect();
    assert_eq!(methods, ["", "mining.set_difficulty", "mining.notify"]);
    house.end().await;
}
