//! The dialects as real miners speak them.

use crate::rig::{Hall, Rig, class, code, hex32, mine, work};
use serde_json::{Value, json};

fn hall() -> Hall {
    let mut hall = Hall::new();
    hall.publish(work(0x0190_aabb, 0x11, 100));
    hall
}

fn target(k: u8) -> String {
    hex32(&class(k).target().to_be_bytes())
}

#[test]
fn ethminer_in_plain_stratum_reads_header_seed_and_target_by_their_places() {
    let mut rig = hall().connect();
    let subscribe = r#"{"id":1,"jsonrpc":"2.0","method":"mining.subscribe","params":[]}"#;
    assert_eq!(rig.say(subscribe), [json!({ "id": 1, "result": true, "error": null })]);
    let heard = rig
        .say(r#"{"id":3,"jsonrpc":"2.0","method":"mining.authorize","params":["house.rig1","x"]}"#);
    assert_eq!(code(&heard[0]), 0);
    let (header, seed) = (hex32(&[0x11; 32]), hex32(&[0; 32]));
    let job = hex::encode([0x11; 32]);
    let params = json!([job, header, seed, target(2), true]);
    assert_eq!(heard[1], json!({ "id": null, "method": "mining.notify", "params": params }));
    let (nonce, mix) = mine(0x11, 0, 2, None);
    let submit = format!(
        r#"{{"id":4,"jsonrpc":"2.0","method":"mining.submit","params":["house.rig1","{job}","0x{nonce:016x}","{header}","{}"],"worker":"rig1"}}"#,
        hex32(&mix)
    );
    assert_eq!(rig.say(&submit), [json!({ "id": 4, "result": true, "error": null })]);
    assert_eq!(rig.log[0].extranonce.as_slice(), nonce.to_be_bytes());
    assert_eq!((rig.log[0].ntime, rig.log[0].nonce, rig.log[0].version), (0, 0, 0));
    assert_eq!(rig.log[0].class, class(2));
    assert_eq!(code(&rig.say(&submit)[0]), 22);
}

#[test]
fn ethminer_in_eth_proxy_gets_json_rpc_without_an_error_beside_a_result() {
    let mut hall = hall();
    let mut rig = hall.connect();
    let login = r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","params":["alice","x"],"worker":"rig1"}"#;
    assert_eq!(rig.say(login), [json!({ "id": 1, "jsonrpc": "2.0", "result": true })]);
    assert_eq!(rig.session_user(), "alice.rig1");
    let heard = rig.say(r#"{"id":5,"method":"eth_getWork","params":[]}"#);
    let job = |header: u8, height: u64| {
        json!([hex32(&[header; 32]), hex32(&[0; 32]), target(2), format!("0x{height:x}")])
    };
    assert_eq!(heard, [json!({ "id": 5, "jsonrpc": "2.0", "result": job(0x11, 100) })]);
    let state = hall.publish(work(0x0190_aabc, 0x12, 101));
    let pushed = json!({ "id": 0, "jsonrpc": "2.0", "result": job(0x12, 101) });
    assert_eq!(rig.hear(&state), [pushed]);
    let share = mine(0x12, 0, 2, None);
    assert_eq!(rig.submit_work(0x12, share), 0);
    let submit = format!(
        r#"{{"id":4,"worker":"rig1","method":"eth_submitWork","params":["0x{:016x}","{}","{}"]}}"#,
        share.0,
        hex32(&[0x12; 32]),
        hex32(&share.1)
    );
    let refused = json!({ "code": 22, "message": "duplicate share" });
    assert_eq!(
        rig.say(&submit),
        [json!({ "id": 4, "jsonrpc": "2.0", "result": false, "error": refused })]
    );
    let rate = format!(
        r#"{{"id":9,"jsonrpc":"2.0","worker":"rig1","method":"eth_submitHashrate","params":["0x{:064x}","{}"]}}"#,
        500_000_000,
        hex32(&[9; 32])
    );
    assert_eq!(rig.say(&rate), [json!({ "id": 9, "jsonrpc": "2.0", "result": true })]);
    assert_eq!(rig.session.reported().map(|r| r.0), Some(500_000_000));
}

#[test]
fn ethminer_looking_for_the_dialect_finds_nicehashs_after_its_hello_is_refused() {
    let mut hall = hall();
    let mut rig = hall.connect();
    let hello = r#"{"id":0,"method":"mining.hello","params":{"agent":"ethminer-0.19","host":"h","port":"d05","proto":"EthereumStratum/2.0.0"}}"#;
    assert_eq!(code(&rig.say(hello)[0]), 20);
    let subscribe = r#"{"id":1,"method":"mining.subscribe","params":["ethminer-0.19","EthereumStratum/1.0.0"]}"#;
    let heard = rig.say(subscribe);
    let (first, part) = (&heard[0]["result"][0], heard[0]["result"][1].as_str().unwrap());
    assert_eq!(
        (first[0].as_str(), first[2].as_str()),
        (Some("mining.notify"), Some("EthereumStratum/1.0.0"))
    );
    assert_eq!(first.as_array().unwrap().len(), 3);
    assert_eq!(part.len(), 4, "two bytes");
    let heard = rig.say(
        "{\"id\":2,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n\
         {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"house.rig1\",\"X\"]}",
    );
    assert_eq!((code(&heard[0]), code(&heard[1])), (0, 0));
    // The lane would begin at class 2; it takes anything below 0.0001 for 1. The class of a header
    // that is there is nobody's to choose, so it waits for the next.
    assert_eq!(heard.len(), 2);
    let state = hall.publish(work(0x0190_aabc, 0x12, 101));
    let heard = rig.hear(&state);
    let difficulty = 2f64.powi(19 - 32);
    assert_eq!(heard[0]["method"], "mining.set_difficulty");
    assert_eq!(heard[0]["params"][0].as_f64(), Some(difficulty));
    let notify = &heard[1]["params"];
    let (seed, header) = (hex::encode([0; 32]), hex::encode([0x12; 32]));
    assert_eq!(*notify, json!([notify[0], seed, header, true]));
    assert!(notify[0].as_str().unwrap().bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn team_red_adds_six_bytes_to_its_two() {
    let mut rig = hall().connect();
    let part = rig.nicehash();
    let job = rig.newest_job();
    let (nonce, _) = mine(0x11, part << 48, 2, None);
    assert_eq!(nonce >> 48, part);
    assert_eq!(rig.submit(&job, nonce), 0);
    assert_eq!(rig.log[0].extranonce.as_slice(), nonce.to_be_bytes());
}

#[test]
fn gminers_five_byte_nonce_is_refused_with_code_20() {
    let mut rig = hall().connect();
    rig.nicehash();
    let job = rig.newest_job();
    for nonce in ["000031496f", "0x000031496f", "00000031496f00", "zz0031496f00", ""] {
        let line =
            format!(r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{nonce}"]}}"#);
        assert_eq!(code(&rig.say(&line)[0]), 20, "{nonce}");
    }
    assert!(rig.log.is_empty());
}

#[test]
fn lol_miner_and_claymore_name_their_worker_beside_the_parameters() {
    for (user, worker, login) in [
        ("alice", r#","worker":"eth1.0""#, "alice.eth1.0"),
        ("alice.rig7", r#","worker":"eth1.0""#, "alice.rig7"),
        ("alice", r#","worker":"""#, "alice"),
        ("alice", r#","worker":7"#, "alice"),
        ("alice", "", "alice"),
    ] {
        let mut rig = hall().connect();
        let line = format!(
            r#"{{"id":2,"jsonrpc":"2.0","method":"eth_submitLogin"{worker},"params":["{user}","x"]}}"#
        );
        assert_eq!(code(&rig.say(&line)[0]), 0);
        assert_eq!(rig.session_user(), login);
    }
}

#[test]
fn nicehash_hears_its_difficulty_before_the_first_job_and_with_every_change() {
    let mut hall = hall();
    let mut rig = hall.connect();
    let heard = rig.say(
        "{\"id\":1,\"method\":\"mining.authorize\",\"params\":[\"w\",\"d=0.00000001\"]}\n\
         {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"NiceHash/1.0.0\",\"EthereumStratum/1.0.0\"]}",
    );
    let methods: Vec<_> = heard.iter().map(|l| l["method"].as_str().unwrap_or("")).collect();
    assert_eq!(methods, ["", "", "mining.set_difficulty", "mining.notify"], "{heard:?}");
    assert_eq!(rig.class(), class(2), "of the header that is there");
    let state = hall.publish(work(4, 0x14, 100));
    let heard = rig.hear(&state);
    let methods: Vec<_> = heard.iter().map(|l| l["method"].as_str().unwrap_or("")).collect();
    assert_eq!(methods, ["mining.set_difficulty", "mining.notify"], "{heard:?}");
    assert_eq!(rig.class(), class(5), "2^-27 is the hardest not above the wish");
    let state = hall.publish(work(2, 0x12, 100));
    let heard = rig.hear(&state);
    assert_eq!(heard.len(), 1, "the same difficulty is not told again");
    assert_eq!(
        heard[0]["params"][3],
        Value::Bool(false),
        "the same height: older shares still count"
    );
    let state = hall.publish(work(3, 0x13, 101));
    assert_eq!(rig.hear(&state)[0]["params"][3], Value::Bool(true));
}

#[test]
fn bzminer_gets_work_before_it_logs_in_and_others_do_not() {
    for (agent, lines) in [("BzMiner/v21.0.0", 3), ("TeamRedMiner/0.10.10", 1)] {
        let mut rig = hall().connect();
        let line = format!(
            r#"{{"id":1,"method":"mining.subscribe","params":["{agent}","EthereumStratum/1.0.0"]}}"#
        );
        assert_eq!(rig.say(&line).len(), lines, "{agent}");
        let job = hex::encode(1u64.to_be_bytes());
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{job}02","000000000000"]}}"#
        );
        assert_eq!(code(&rig.say(&line)[0]), 24, "a share needs a login");
    }
}

#[test]
fn a_nicehash_machine_begins_at_the_class_it_had_and_is_noted_with_the_one_it_has() {
    use gruve_stratum::protocol::Protocol as _;
    let found = |rig: &mut crate::rig::Rig| {
        let mut found = Vec::new();
        rig.session.found(false, &mut |_, class| found.push(class.k()));
        found
    };
    let mut hall = hall();
    let mut rig = hall.connect();
    rig.remembered = Some(class(5));
    let part = rig.nicehash();
    let state = hall.publish(work(3, 0x13, 100));
    rig.hear(&state);
    assert_eq!(rig.class(), class(5), "not the start's class 2");
    assert!(found(&mut rig).is_empty(), "nothing was heard of it yet");
    let (nonce, _) = mine(0x13, part << 48, 5, None);
    assert_eq!(rig.submit(&format!("{:016x}05", 3), nonce), 0);
    assert_eq!(found(&mut rig), [5], "trusted until shares say otherwise");
    assert!(found(&mut rig).is_empty());
    // Who chooses its nonces freely has the lane's class, which is nobody's own.
    let mut proxy = hall.connect();
    proxy.remembered = Some(class(5));
    proxy.proxy();
    let state = hall.publish(work(2, 0x12, 100));
    proxy.hear(&state);
    assert_eq!((proxy.class(), found(&mut proxy)), (class(2), vec![]));
}

#[test]
fn a_mix_that_leads_nowhere_is_refused_unhashed_and_one_of_zeros_claims_nothing() {
    let mut rig = hall().connect();
    rig.proxy();
    let (nonce, mix) = mine(0x11, 0, 2, None);
    let mut wrong = mix;
    // A wrong mix leads to another final hash; of 64 at least one misses the class's target.
    let missed = (0..64).any(|n| {
        wrong[0] = mix[0] ^ (n + 1);
        rig.submit_work(0x11, (nonce, wrong)) == 23
    });
    assert!(missed);
    if rig.log.is_empty() {
        assert_eq!(rig.submit_work(0x11, (nonce, [0; 32])), 0);
    }
}

#[test]
fn eth_proxy_is_told_in_its_own_words_when_there_is_no_work_or_no_login() {
    let mut rig = Hall::new().connect();
    let get_work = r#"{"id":5,"method":"eth_getWork","params":[]}"#;
    assert_eq!(code(&rig.say(get_work)[0]), 24);
    let heard = rig.proxy();
    assert_eq!((code(&heard[0]), code(&heard[1])), (0, 21));
    let refused = r#"{"id":1,"method":"eth_submitLogin","params":["w","wrong"]}"#;
    let heard = rig.say(refused);
    assert_eq!(heard[0]["error"]["message"], "no \"such\" login");
    assert_eq!(code(&heard[0]), 24);
}

#[test]
fn other_versions_of_ethereum_stratum_are_refused_and_may_try_again() {
    let mut rig = hall().connect();
    let line = r#"{"id":1,"method":"mining.subscribe","params":["x","EthereumStratum/2.0.0"]}"#;
    assert_eq!(code(&rig.say(line)[0]), 20);
    assert!(rig.nicehash() < 0xff00);
}

impl Rig {
    fn session_user(&mut self) -> String {
        use gruve_stratum::protocol::Protocol as _;
        let now = self.now;
        self.session.standing(now).user
    }

    /// The name that NiceHash's dialect has for the only work.
    fn newest_job(&mut self) -> String {
        let k = self.class().k();
        format!("{:016x}{k:02x}", 0x0190_aabb)
    }
}
