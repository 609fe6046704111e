//! Owners who are paid by the block itself: jobs by whom the block pays, on real wires.

use crate::gateway::{connect, mine, next_job};
use crate::miner::machine;
use crate::node::{
    FakeMachines, FakeNode, FakeStamps, all_records, gateway_options, lane_options, soon,
};
use crate::peer::{Peer, socket};
use gruve_sharelog::{Options, Owner, Record, ShareLog};
use gruve_stratum::client::ClientJob;
use gruve_stratum::{Destination, Gateway, LaneWork, Stamps, limits};
use gruve_units::{AccountId, Bps, EpochNumber, LaneId, SystemClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Stamps, and who is to be paid by the block.
#[derive(Default)]
struct Paying(Mutex<Arc<[Destination]>>);

impl Stamps for Paying {
    fn stamp(&self, lane: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        FakeStamps.stamp(lane, epoch)
    }

    fn destinations(
        &self,
        _: &LaneId,
        epoch: EpochNumber,
        checkpoint_of: EpochNumber,
    ) -> Arc<[Destination]> {
        assert_eq!(checkpoint_of, epoch.back(2));
        self.0.lock().unwrap().clone()
    }
}

fn account(name: &str) -> AccountId {
    AccountId::from_bytes(machine(name).to_bytes())
}

/// The owner of that name, paid at a script that ends so.
fn destination(name: &str, script: u8, machines: &[&str]) -> Destination {
    let machines = machines.iter().map(|m| machine(m)).collect::<BTreeSet<_>>();
    let (owner, script) = (account(name), vec![0x52, script]);
    let others = Vec::new();
    Destination { owner, script, others, machines, fee: Bps::ZERO, least: 1 }
}

struct House {
    log: ShareLog,
    paying: Arc<Paying>,
    work: LaneWork,
    gateway: Gateway,
}

impl House {
    fn open(dir: &Path, destinations: Vec<Destination>) -> House {
        let log = ShareLog::open(dir, Options::default()).unwrap();
        let paying = Arc::new(Paying(Mutex::new(destinations.into())));
        let node = FakeNode::new(Arc::new(SystemClock));
        let mut options = lane_options(node, &log, Arc::new(SystemClock));
        options.stamps = paying.clone();
        let work = LaneWork::start(options).unwrap();
        let lane = Arc::new(work.clone());
        let gateway = Gateway::start(gateway_options(), lane, Arc::new(FakeMachines)).unwrap();
        House { log, paying, work, gateway }
    }

    async fn has_jobs(&self) {
        soon(self.work.jobs().wait_for(Option::is_some)).await.unwrap();
    }
}

/// The script that a block of this job would pay: behind sequence, number of outputs and value.
fn pays(job: &ClientJob) -> &[u8] {
    let at = 4 + 1 + 8;
    let len = usize::from(job.coinbase_suffix[at]);
    &job.coinbase_suffix[at + 1..at + 1 + len]
}

#[tokio::test]
async fn machines_get_the_jobs_of_their_owners_and_a_change_is_a_new_job() {
    let dir = tempfile::tempdir().unwrap();
    let kari = destination("kari", 1, &["kari.m1", "kari.m2"]);
    let house = House::open(dir.path(), vec![kari.clone(), destination("ola", 2, &["ola.m1"])]);
    let mut lines = Vec::new();
    for (user, script) in [
        ("kari.m1", &[0x52, 1][..]),
        ("kari.m2", &[0x52, 1][..]),
        ("ola.m1", &[0x52, 2][..]),
        // Not every machine of an owner need be paid so.
        ("ola.m2", &[0x51][..]),
        ("house.m1", &[0x51][..]),
    ] {
        let (client, mut events) = connect(house.gateway.address(), user).await;
        let job = next_job(&mut events).await;
        assert_eq!(pays(&job), script, "{user}");
        let (en2, nonce) =
            (1u64..).find_map(|en2| Some((en2, *mine(&job, en2, 64).first()?))).unwrap();
        let reply = client.submit(&job.id, &en2.to_be_bytes(), job.ntime, nonce, None).await;
        assert!(reply.unwrap().is_accepted(), "{user}");
        lines.push((user, client, events, job));
    }
    // Each job is in the log before its shares, under a number of its own.
    let records = all_records(&house.log);
    let jobs: Vec<_> = records.iter().filter(|r| matches!(r, Record::Job(_))).collect();
    assert_eq!(jobs.len(), 3);
    let shares: Vec<_> = records
        .iter()
        .filter_map(|r| match r {
            Record::Share(s) => Some((s.owner, s.job)),
            _ => None,
        })
        .collect();
    let ids: BTreeSet<_> = shares.iter().map(|(_, job)| *job).collect();
    assert_eq!((shares.len(), ids.len()), (5, 3));
    assert_eq!(shares[0], (Owner::Account(account("kari")), shares[1].1));
    // Ola wants it no more: everybody has another job at once, Kari's pays her still.
    *house.paying.0.lock().unwrap() = vec![kari].into();
    for (user, _, events, before) in &mut lines {
        let job = next_job(events).await;
        let wanted: &[u8] = if user.starts_with("kari") { &[0x52, 1] } else { &[0x51] };
        assert_eq!(pays(&job), wanted, "{user}");
        assert_ne!(job.id, before.id);
        assert!(!job.clean, "shares of before still count");
    }
    house.work.stop().await;
    house.gateway.shutdown().await;
}

/// A miner of several logins, by hand.
struct Proxy {
    peer: Peer,
    extranonce1: Vec<u8>,
    difficulty: f64,
    next: u64,
}

impl Proxy {
    fn connect(house: &House) -> Proxy {
        let mut peer = Peer::over(socket(house.gateway.address()));
        peer.say(r#"{"id":1,"method":"mining.subscribe","params":["proxy/1"]}"#);
        let answer: Value = peer.hear();
        let extranonce1 = hex::decode(answer["result"][1].as_str().unwrap()).unwrap();
        Proxy { peer, extranonce1, difficulty: 0.0, next: 10 }
    }

    /// Logs in; the job that comes with it.
    fn log_in(&mut self, user: &str) -> ClientJob {
        self.peer.say(
            &json!({"id": 2, "method": "mining.authorize", "params": [user, "x"]}).to_string(),
        );
        loop {
            let heard = self.peer.hear();
            match heard["method"].as_str() {
                Some("mining.set_difficulty") => {
                    self.difficulty = heard["params"][0].as_f64().unwrap();
                }
                Some("mining.notify") => {
                    let job = ClientJob::from_notify(heard["params"].as_array().unwrap()).unwrap();
                    let (difficulty, extranonce1) = (self.difficulty, self.extranonce1.clone());
                    return ClientJob { difficulty, extranonce1, extranonce2_size: 8, ..job };
                }
                _ => {}
            }
        }
    }

    /// A good share of a job in somebody's name; what is said of it.
    fn submit(&mut self, user: &str, job: &ClientJob) -> Value {
        let (en2, nonce) =
            (self.next..).find_map(|en2| Some((en2, *mine(job, en2, 64).first()?))).unwrap();
        self.next = en2 + 1;
        self.send(user, job, en2, nonce)
    }

    fn send(&mut self, user: &str, job: &ClientJob, en2: u64, nonce: u32) -> Value {
        let (en2, time, nonce) =
            (format!("{en2:016x}"), format!("{:08x}", job.ntime), format!("{nonce:08x}"));
        let submit =
            json!({"id": 9, "method": "mining.submit", "params": [user, job.id, en2, time, nonce]});
        self.peer.say(&submit.to_string());
        loop {
            let heard = self.peer.hear();
            if heard["id"] == 9 {
                return heard;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_for_a_block_that_pays_one_owner_counts_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path(), vec![destination("kari", 1, &["kari.m1"])]);
    house.has_jobs().await;
    let mut proxy = Proxy::connect(&house);
    let own = proxy.log_in("kari.m1");
    assert_eq!(pays(&own), [0x52, 1]);
    assert_eq!(proxy.submit("kari.m1", &own)["result"], true);
    // With a machine of another owner beside it, all on the line work for the house's places.
    let common = proxy.log_in("house.m2");
    assert_eq!(pays(&common), [0x51]);
    let refused = proxy.submit("house.m2", &own);
    assert_eq!(refused["error"][1], "stale: another owner's job", "{refused}");
    for (user, job) in [("kari.m1", &own), ("kari.m1", &common), ("house.m2", &common)] {
        assert_eq!(proxy.submit(user, job)["result"], true, "{user}");
    }
    let counted = all_records(&house.log).into_iter().filter(|r| matches!(r, Record::Share(_)));
    assert_eq!(counted.count(), 4);
    house.work.stop().await;
    house.gateway.shutdown().await;
}

/// The order of a share's checks: what the session says of it, and only then whose job it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_below_its_difficulty_is_said_to_be_that_before_it_is_another_owners() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path(), vec![destination("kari", 1, &["kari.m1"])]);
    house.has_jobs().await;
    let mut proxy = Proxy::connect(&house);
    let own = proxy.log_in("kari.m1");
    proxy.log_in("house.m2");
    let good = mine(&own, 1, 64);
    let low = (0..64).find(|nonce| !good.contains(nonce)).unwrap();
    let refused = proxy.send("house.m2", &own, 1, low);
    assert_eq!(refused["error"][1], "low difficulty", "{refused}");
    let refused = proxy.submit("house.m2", &own);
    assert_eq!(refused["error"][1], "stale: another owner's job", "{refused}");
    house.work.stop().await;
    house.gateway.shutdown().await;
}

#[tokio::test]
async fn so_many_owners_are_paid_by_the_block_and_the_others_by_the_house() {
    let dir = tempfile::tempdir().unwrap();
    let name = |n: usize| format!("o{n}.m");
    // One of them cannot be paid: no chain takes so long a script beside the rest.
    let mut all: Vec<_> = (0..=limits::DESTINATIONS_MAX)
        .map(|n| destination(&format!("o{n}"), u8::try_from(n).unwrap(), &[&name(n)]))
        .collect();
    all[3].script = vec![0x51; 10_000];
    let house = House::open(dir.path(), all);
    let last = limits::DESTINATIONS_MAX;
    for (n, script) in [
        (2, vec![0x52, 2]),
        (3, vec![0x51]),
        (4, vec![0x52, 4]),
        (last - 1, vec![0x52, 31]),
        (last, vec![0x51]),
    ] {
        let (_client, mut events) = connect(house.gateway.address(), &name(n)).await;
        let job = next_job(&mut events).await;
        assert_eq!(pays(&job), script, "owner {n}");
    }
    house.work.stop().await;
    house.gateway.shutdown().await;
}
