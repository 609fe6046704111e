//! The compatibility table's rows of the Ethash family: each test plays one miner over a socket against
//! a gateway and fails when what that miner needs is taken away.

use crate::gateway::{HttpNode, Wire, serve_with};
use crate::node::soon;
use crate::rig::{HARD, class, code, hex32, mine, mine_some};
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

/// In eth-proxy's dialect: the login line as the miner writes it, and work of that header.
async fn log_in(wire: &mut Wire, login: &str, header: u8) -> Value {
    wire.say(login).await.unwrap();
    let reply = wire.hear(|v| v["id"] == 1).await.unwrap();
    let work = soon(async {
        loop {
            let line = r#"{"id":5,"jsonrpc":"2.0","method":"eth_getWork","params":[]}"#;
            wire.say(line).await.unwrap();
            let work = wire.hear(|v| v["id"] == 5).await.unwrap();
            // The gateway may be there before the node's first work.
            if work["error"]["code"] != 21 {
                return work;
            }
        }
    })
    .await;
    assert_eq!(work["result"][0], hex32(&[header; 32]).as_str(), "{work}");
    reply
}

/// The logins of all sessions.
fn users(house: &House) -> Vec<String> {
    house.gateway.snapshot().into_iter().map(|s| s.user).collect()
}

/// T-Rex issue 75: `PhoenixMiner` gives a whole login and names its rig beside it all the same: the rig is
/// no second part of the login. Its shares come as number 4, its rate as number 6.
#[tokio::test]
async fn phoenix_miner_with_a_worker_beside_its_whole_login_mines_as_the_login_says() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x77, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    let login = r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","worker":"eth1.0","params":["house.rig","passwd"]}"#;
    assert_eq!(code(&log_in(&mut wire, login, 0x77).await), 0);
    assert_eq!(users(&house), ["house.rig"]);
    let rate = r#"{"id":6,"jsonrpc":"2.0","method":"eth_submitHashrate","worker":"eth1.0","params":["0x1c9c380","0x0000000000000000000000000000000000000000000000000000000000000001"]}"#;
    wire.say(rate).await.unwrap();
    assert_eq!(wire.hear(|v| v["id"] == 6).await.unwrap()["result"], true);
    for (nonce, mix) in mine_some(0x77, 0, 2, 3) {
        let line = format!(
            r#"{{"id":4,"jsonrpc":"2.0","method":"eth_submitWork","worker":"eth1.0","params":["0x{nonce:016x}","{}","{}"]}}"#,
            hex32(&[0x77; 32]),
            hex32(&mix)
        );
        wire.say(&line).await.unwrap();
        assert_eq!(code(&wire.hear(|v| v["id"] == 4).await.unwrap()), 0);
    }
    // It asks once and then waits to be told: new work comes as number 0.
    house.node.header.send_replace(0x78);
    let pushed = wire.hear(|v| v["id"] == 0).await.unwrap();
    assert_eq!(pushed["result"][0], hex32(&[0x78; 32]).as_str());
    house.end().await;
}

/// T-Rex issue 75 and miningcore issue 924: T-Rex cuts the login at the dot, says the rig's name beside it
/// and leaves `jsonrpc` out, the password sometimes too.
#[tokio::test]
async fn t_rex_that_cuts_its_login_at_the_dot_is_the_machine_that_it_names_beside() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x79, (class(2), class(2))).await;
    for login in [
        r#"{"id":1,"method":"eth_submitLogin","params":["house"],"worker":"rig7"}"#,
        r#"{"id":1,"method":"eth_submitLogin","params":["house","x"],"worker":"rig7"}"#,
    ] {
        let mut wire = house.connect().await;
        assert_eq!(code(&log_in(&mut wire, login, 0x79).await), 0);
        assert!(users(&house).contains(&"house.rig7".to_owned()), "{:?}", users(&house));
    }
    // And in NiceHash's dialect (its `stratum2`).
    let mut wire = house.connect().await;
    let (part, job) = begin(&mut wire, "T-Rex/0.26.8").await;
    let first = u64::from_str_radix(&part, 16).unwrap() << (64 - 4 * part.len());
    let (nonce, _) = mine(0x79, first, 2, None);
    assert_eq!(code(&submit(&mut wire, &job, &format!("{nonce:016x}")[part.len()..]).await), 0);
    house.end().await;
}

/// lolMiner speaks NiceHash's dialect: there is no target in its job, so it must know the difficulty first;
/// without it it mines at 1.
#[tokio::test]
async fn lol_miner_knows_its_difficulty_before_its_first_job() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x7a, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    for line in [
        r#"{"id":1,"method":"mining.subscribe","params":["lolMiner 1.88","EthereumStratum/1.0.0"]}"#,
        r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#,
        r#"{"id":3,"method":"mining.authorize","params":["house.rig","x"]}"#,
    ] {
        wire.say(line).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.last().is_none_or(|v: &Value| v["method"] != "mining.notify") {
        heard.push(wire.hear(|_| true).await.unwrap());
    }
    let what = |v: &Value| v["method"].as_str().map_or(v["id"].to_string(), str::to_owned);
    let order: Vec<_> = heard.iter().map(what).collect();
    assert_eq!(order, ["1", "2", "3", "mining.set_difficulty", "mining.notify"]);
    // Difficulty 1 is 2^32 hashes, as NiceHash has it.
    assert_eq!(heard[3]["params"][0], 2f64.powi(2 - 32));
    let part = heard[0]["result"][1].as_str().unwrap().to_owned();
    let job = heard[4]["params"][0].as_str().unwrap().to_owned();
    let first = u64::from_str_radix(&part, 16).unwrap() << (64 - 4 * part.len());
    for (nonce, _) in mine_some(0x7a, first, 2, 2) {
        let reply = submit(&mut wire, &job, &format!("{nonce:016x}")[part.len()..]).await;
        assert_eq!(code(&reply), 0);
    }
    house.end().await;
}

/// ethminer's `stratum://`: whole nonces, and header and mix beside them, all with `0x`; it reads its work by
/// place: job, header, seed, target.
#[tokio::test]
async fn ethminer_finds_header_seed_and_target_where_it_looks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), 0x7b, (class(2), class(2))).await;
    let mut wire = house.connect().await;
    wire.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#).await.unwrap();
    assert_eq!(wire.hear(|v| v["id"] == 1).await.unwrap()["result"], true);
    wire.say(r#"{"id":3,"method":"mining.authorize","params":["house.rig","x"]}"#).await.unwrap();
    assert_eq!(wire.hear(|v| v["id"] == 3).await.unwrap()["result"], true);
    let notify = wire.hear(|v| v["method"] == "mining.notify").await.unwrap();
    let at = |n: usize| notify["params"][n].as_str().unwrap().to_owned();
    let header = hex32(&[0x7b; 32]);
    assert_eq!((at(1), at(2)), (header.clone(), hex32(&[0; 32])));
    assert_eq!(at(3), hex32(&class(2).target().to_be_bytes()));
    let (nonce, mix) = mine(0x7b, 0, 2, None);
    let share = |mix: &[u8; 32]| {
        json!({"id": 40, "method": "mining.submit",
            "params": ["house.rig", at(0), format!("0x{nonce:016x}"), header, hex32(mix)]})
        .to_string()
    };
    // A mix that does not lead to the target is seen without hashing.
    wire.say(&share(&[7; 32])).await.unwrap();
    assert_eq!(code(&wire.hear(|v| v["id"] == 40).await.unwrap()), 23);
    wire.say(&share(&mix)).await.unwrap();
    assert_eq!(code(&wire.hear(|v| v["id"] == 40).await.unwrap()), 0);
    house.end().await;
}
