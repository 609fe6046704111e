//! The compatibility table's rows of the Ethash family: each test plays one miner over a socket against
//! a gateway and fails when what that miner needs is taken away.

use crate::gateway::{HttpNode, Wire, serve_with};
use crate::rig::{HARD, class, code, mine};
use gruve_sharelog::{Record, ShareLog};
use gruve_stratum::Gateway;
use gruve_stratum::eth::EthLane;
use gruve_units::Class;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;

struct House {
    node: HttpNode,
    log: ShareLog,
    lane: EthLane,
    gateway: Gateway,
}

async fn house(dir: &Path, header: u8, range: (Class, Class)) -> House {
    let node = HttpNode::start(header, HARD).await;
    let (log, lane, gateway) = serve_with(&node, dir, range);
    House { node, log, lane, gateway }
}

impl House {
    async fn connect(&self) -> Wire {
        Wire::connect(self.gateway.address()).await
    }

    async fn end(self) {
        self.gateway.shutdown().await;
        self.lane.stop().await;
    }
}

/// A NiceHash-dialect miner: its extranonce's digits, and its first job's name.
async fn begin(wire: &mut Wire, agent: &str) -> (String, String) {
    let subscribe = json!({"id": 1, "method": "mining.subscribe",
        "params": [agent, "EthereumStratum/1.0.0"]});
    wire.say(&subscribe.to_string()).await.unwrap();
    let reply = wire.hear(|v| v["id"] == 1).await.unwrap();
    let part = reply["result"][1].as_str().unwrap().to_owned();
    wire.say(r#"{"id":2,"method":"mining.authorize","params":["house.rig","x"]}"#).await.unwrap();
    let notify = wire.hear(|v| v["method"] == "mining.notify").await.unwrap();
    (part, notify["params"][0].as_str().unwrap().to_owned())
}

async fn submit(wire: &mut Wire, job: &str, nonce: &str) -> Value {
    let params = json!(["house.rig", job, nonce]);
    let line = json!({"id": 9, "method": "mining.submit", "params": params});
    wire.say(&line.to_string()).await.unwrap();
    wire.hear(|v| v["id"] == 9).await.unwrap()
}

/// TeamRedMiner #658: with four bytes of extranonce it has the whole 2^32 done in 12 s and begins
/// anew; two or three leave it enough.
#[tokio::test]
async fn team_red_miner_keeps_five_or_six_bytes_of_the_nonce() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x71, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    let (part, job) = begin(&mut wire, "TeamRedMiner/0.10.10").await;
    assert!((4..=6).contains(&part.len()), "two or three bytes: {part}");
    let first = u64::from_str_radix(&part, 16).unwrap() << (64 - 4 * part.len());
    let (nonce, _) = mine(0x71, first, 2, None);
    let rest = &format!("{nonce:016x}")[part.len()..];
    assert_eq!(code(&submit(&mut wire, &job, rest).await), 0);
    let logged = crate::node::all_records(&house.log);
    assert!(logged.iter().any(|r| {
        matches!(r, Record::Share(s) if s.extranonce.as_slice() == nonce.to_be_bytes())
    }));
    house.end().await;
}

/// GMiner 2.36 (#108) sends five bytes where it was given two: never padded, never cut.
#[tokio::test]
async fn gminer_that_sends_five_bytes_is_refused_with_code_20_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x72, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    let (part, job) = begin(&mut wire, "GMiner/2.36").await;
    let first = u64::from_str_radix(&part, 16).unwrap() << (64 - 4 * part.len());
    let (nonce, _) = mine(0x72, first, 2, None);
    let rest = format!("{nonce:016x}")[part.len()..].to_owned();
    assert_eq!(code(&submit(&mut wire, &job, &rest[2..]).await), 20);
    assert_eq!(code(&submit(&mut wire, &job, &format!("{rest}00")).await), 20);
    assert_eq!(code(&submit(&mut wire, &job, &rest).await), 0, "it may do better");
    house.end().await;
}

/// miningcore #112 gave the same part to two: both found the same shares.
#[tokio::test]
async fn each_miner_has_a_part_of_the_nonces_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x73, (class(2), class(2))).await;
    let mut seen = HashSet::new();
    let mut wires = Vec::new();
    for _ in 0..50 {
        let mut wire = house.connect().await;
        let (part, _) = begin(&mut wire, "lolMiner 1.88").await;
        assert!(seen.insert(part));
        wires.push(wire);
    }
    house.end().await;
}

/// BzMiner #121 logs in only when it has seen work.
#[tokio::test]
async fn bzminer_sees_work_before_it_logs_in_and_mines_after() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x74, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    let subscribe = r#"{"id":1,"method":"mining.subscribe","params":["BzMiner/v21.0.0","EthereumStratum/1.0.0"]}"#;
    wire.say(subscribe).await.unwrap();
    let part = wire.hear(|v| v["id"] == 1).await.unwrap()["result"][1].clone();
    let part = u64::from_str_radix(part.as_str().unwrap(), 16).unwrap();
    let notify = wire.hear(|v| v["method"] == "mining.notify").await.unwrap();
    let job = notify["params"][0].as_str().unwrap().to_owned();
    let (nonce, _) = mine(0x74, part << 48, 2, None);
    let rest = format!("{:012x}", nonce & 0xffff_ffff_ffff);
    assert_eq!(code(&submit(&mut wire, &job, &rest).await), 24, "nobody's yet");
    wire.say(r#"{"id":2,"method":"mining.authorize","params":["house.rig","x"]}"#).await.unwrap();
    assert_eq!(wire.hear(|v| v["id"] == 2).await.unwrap()["result"], true);
    assert_eq!(code(&submit(&mut wire, &job, &rest).await), 0);
    house.end().await;
}

/// ethminer takes a difficulty below 0.0001 for 1: it would mine ten thousand times too hard.
#[tokio::test]
async fn ethminer_is_never_given_a_difficulty_that_it_misreads() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x75, (class(2), class(40))).await;
    for (agent, is_bounded) in [("ethminer-0.19", true), ("TeamRedMiner/0.10.10", false)] {
        let mut wire = house.connect().await;
        let subscribe = json!({"id": 1, "method": "mining.subscribe",
            "params": [agent, "EthereumStratum/1.0.0"]});
        wire.say(&subscribe.to_string()).await.unwrap();
        let login = r#"{"id":2,"method":"mining.authorize","params":["house.rig","d=0.00000001"]}"#;
        wire.say(login).await.unwrap();
        wire.hear(|v| v["id"] == 2).await.unwrap();
        // The class of a header that is there is nobody's to choose: it waits for the next.
        house.node.header.send_modify(|header| *header += 0x10);
        let told = wire.hear(|v| v["method"] == "mining.set_difficulty").await.unwrap();
        assert_eq!(told["params"][0].as_f64().unwrap() >= 0.0001, is_bounded, "{agent}");
    }
    house.end().await;
}

/// ethminer hangs up on an `error` beside a result in eth-proxy's dialect.
#[tokio::test]
async fn ethminer_hears_no_error_member_beside_a_result() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x76, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    wire.say(r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","params":["w","x"]}"#)
        .await
        .unwrap();
    let heard = wire.hear(|v| v["id"] == 1).await.unwrap();
    assert_eq!((&heard["result"], heard.get("error")), (&json!(true), None));
    assert_eq!(heard["jsonrpc"], "2.0");
    house.end().await;
}
