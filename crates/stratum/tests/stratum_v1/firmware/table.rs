//! The compatibility table, row by row: each test plays one peer over a socket against a gateway
//! and fails when what that peer needs is taken away.
//!
//! The rows come from the firmwares' and services' own sources and issue trackers; each test names
//! its peer and quirk.

use crate::miner::{HARD, class, method};
use crate::node::{FakeNode, House, gateway_options};
use crate::peer::Peer;
use gruve_stratum::GatewayOptions;
use gruve_stratum::agents::AgentRule;
use gruve_units::{Class, Duration, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;

/// A gateway whose shares are never blocks, at a fixed class.
fn house(dir: &std::path::Path) -> House {
    with_classes(dir, (class(4), class(4)), class(4))
}

fn with_classes(dir: &std::path::Path, range: (Class, Class), start: Class) -> House {
    let mut options = gateway_options();
    (options.class_range, options.start_class) = (range, start);
    let node = FakeNode::with(Arc::new(SystemClock), true, HARD);
    House::open_on(node, dir, options)
}

/// A lane as on the main network: classes from difficulty 2^-32 to 2^28, and blocks beyond them all.
fn as_in_the_field(dir: &std::path::Path, set: impl FnOnce(&mut GatewayOptions)) -> House {
    const NETWORK: u32 = 0x1703_31db;
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(60)), class(42));
    set(&mut options);
    House::open_on(FakeNode::with(Arc::new(SystemClock), true, NETWORK), dir, options)
}

/// The difficulty that a miner of this name begins at, with this password.
fn difficulty_of(house: &House, agent: &str, password: &str) -> f64 {
    let mut peer = Peer::connect(house.gateway.address());
    peer.subscribe(&json!([agent]));
    assert_eq!(peer.authorize("house.rented", password)["result"], true);
    peer.until("mining.notify");
    // Whatever it asks for later.
    peer.ask(r#"{"id":7,"method":"mining.suggest_difficulty","params":[0.000001]}"#);
    peer.ask(r#"{"id":8,"method":"mining.ping","params":[]}"#);
    peer.difficulty
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: |$house:ident| $body:block)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let dir = tempfile::tempdir().unwrap();
            let $house = house(dir.path());
            $body
        }
    )*};
}

fn methods(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(method).collect()
}

/// Hears until the first job, all of it.
fn to_first_job(peer: &mut Peer) -> Vec<Value> {
    let mut lines = Vec::new();
    loop {
        lines.push(peer.hear());
        if method(lines.last().unwrap()) == "mining.notify" {
            return lines;
        }
    }
}

fn error_code(reply: &Value) -> i64 {
    assert_eq!(reply["result"], false, "{reply}");
    reply["error"][0].as_i64().unwrap()
}

table! {
    /// stratum #501, #1861: with more than eight bytes they mine but never submit.
    cgminer_antminer_and_whatsminer_get_an_extranonce2_of_four_to_eight_bytes: |house| {
        for agent in ["cgminer/4.10.0", "bmminer/2.0.0", "whatsminer/v1.1"] {
            let mut peer = Peer::connect(house.gateway.address());
            let reply = peer.subscribe(&json!([agent]));
            let size = reply["result"][2].as_u64().unwrap();
            assert!((4..=8).contains(&size), "{agent}: {size}");
            assert_eq!(peer.authorize("house.m1", "x")["result"], true);
            peer.until("mining.notify");
            peer.earn(1);
        }
    }

    /// stratum-proxy #63, #98: fewer than four bytes are refused by it; its third parameter is no
    /// session to resume; difficulty and job must come at once.
    nicehash_gets_four_bytes_or_more_and_work_at_once: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        let reply = peer.subscribe(&json!(["NiceHash/1.0.0", "1662637786319", "00ff00ff"]));
        assert!(reply["result"][2].as_u64().unwrap() >= 4);
        assert_eq!(peer.ask(r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#)["result"], true);
        peer.say(r#"{"id":2,"method":"mining.authorize","params":["house.m1","x"]}"#);
        let lines = to_first_job(&mut peer);
        assert_eq!(methods(&lines), ["", "mining.set_difficulty", "mining.notify"]);
        peer.earn(1);
    }

    /// util.c, configure_stratum_mining: the one line it reads after `mining.configure` must be the
    /// reply, even with work waiting.
    cgminer_hears_nothing_between_configure_and_its_reply: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.begin("house.m1");
        // Both in one packet, with a share before: all that could put something in between.
        let (share, _) = peer.share(&json!(9), 5);
        let configure = r#"{"id":10,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#;
        peer.say_bytes(format!("{share}\n{configure}\n").as_bytes());
        assert_eq!(peer.hear()["id"], 9);
        let next = peer.hear();
        assert_eq!((next["id"].as_i64(), &next["result"]["version-rolling"]), (Some(10), &json!(true)));
        // And as the first thing of all.
        let mut peer = Peer::connect(house.gateway.address());
        peer.say(configure);
        assert_eq!(peer.hear()["id"], 10);
        // And with work waiting for nothing but its subscription, in the same packet.
        let mut peer = Peer::connect(house.gateway.address());
        assert_eq!(peer.authorize("house.m1", "x")["result"], true);
        let subscribe = r#"{"id":11,"method":"mining.subscribe","params":["cgminer/4.10.0"]}"#;
        peer.say_bytes(format!("{configure}\n{subscribe}\n").as_bytes());
        assert_eq!((peer.hear()["id"].as_i64(), peer.hear()["id"].as_i64()), (Some(10), Some(11)));
        assert_eq!(methods(&to_first_job(&mut peer)), ["mining.set_difficulty", "mining.notify"]);
    }

    /// pooler/cpuminer numbers every submit four, so only the order tells the answers apart.
    cpuminer_gets_its_answers_in_order_under_one_id: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.begin("house.m1");
        let id = json!(4);
        let ntime = peer.job.as_ref().unwrap().ntime;
        let (good, _) = peer.share(&id, 1);
        let (other, _) = peer.share(&id, 500);
        let garbled = peer.submit(&id, "zz", ntime, 1, "");
        peer.say_bytes([&good, &garbled, &good, &other].map(|l| format!("{l}\n")).concat().as_bytes());
        let codes: Vec<i64> = (0..4)
            .map(|_| {
                let reply = peer.hear();
                assert_eq!(reply["id"], 4);
                reply["error"][0].as_i64().unwrap_or(0)
            })
            .collect();
        assert_eq!(codes, [0, 20, 22, 0]);
    }

    /// ESP-Miner #658: old ones send four bytes whatever they are told.
    an_old_esp_miner_that_sends_four_bytes_of_extranonce2_is_refused_and_stays: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.subscribe(&json!(["bitaxe/BM1366/v2.0.0"]));
        peer.authorize("house.m1", "x");
        peer.until("mining.notify");
        let ntime = peer.job.as_ref().unwrap().ntime;
        let line = peer.submit(&json!(7), "00000001", ntime, 1, "");
        assert_eq!(error_code(&peer.ask(&line)), 20);
        peer.earn(1);
        assert_eq!(house.gateway.snapshot()[0].user_agent, "bitaxe/BM1366/v2.0.0");
    }

    /// ESP-Miner #80 (up to 2.0.5) crashed on anything before its replies.
    esp_miner_2_0_5_hears_its_replies_before_anything_else: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.say_bytes(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe/2.0.5\"]}\n{\"id\":2,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{\"version-rolling.mask\":\"ffffffff\"}]}\n{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"house.m1\",\"x\"]}\n");
        let lines = to_first_job(&mut peer);
        let ids: Vec<_> = lines.iter().map(|l| l["id"].as_i64()).collect();
        assert_eq!(ids, [Some(1), Some(2), Some(3), None, None]);
        assert_eq!(methods(&lines), ["", "", "", "mining.set_difficulty", "mining.notify"]);
    }

    /// ESP-Miner 2.6.1, p2poolv2 #151: the handshake's order differs by version.
    esp_miner_of_each_version_gets_work_whatever_its_order: |house| {
        let configure = r#"{"id":CC,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#;
        let subscribe = r#"{"id":SS,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.6.1"]}"#;
        let authorize = r#"{"id":AA,"method":"mining.authorize","params":["house.m1","x"]}"#;
        let suggest = r#"{"id":DD,"method":"mining.suggest_difficulty","params":[1000]}"#;
        for order in [
            [configure, subscribe, suggest, authorize],
            [subscribe, configure, authorize, suggest],
            [configure, authorize, subscribe, suggest],
            [subscribe, suggest, authorize, configure],
        ] {
            let mut peer = Peer::connect(house.gateway.address());
            for (id, line) in order.into_iter().enumerate() {
                let line = ["CC", "SS", "AA", "DD"].into_iter().fold(line.to_owned(), |l, w| l.replace(w, &id.to_string()));
                let reply = peer.ask(&line);
                assert!(reply["error"].is_null() && !reply["result"].is_null(), "{line}: {reply}");
                if line.contains("subscribe") {
                    peer.extranonce1 = hex::decode(reply["result"][1].as_str().unwrap()).unwrap();
                    peer.extranonce2_size = 8;
                }
            }
            if peer.job.is_none() {
                peer.until("mining.notify");
            }
            // Its shares are good under the extranonce that its one subscription told.
            peer.user = "house.m1".to_owned();
            peer.earn(1);
        }
    }

    /// NerdQAxe+ #166 sends more than a thousand shares a day twice.
    nerdqaxe_sends_shares_twice_and_is_told_so_a_thousand_times_without_a_ban: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.begin("house.m1");
        let (line, _) = peer.share(&json!(5), 1);
        assert_eq!(peer.ask(&line)["result"], true);
        for _ in 0..1100 {
            assert_eq!(error_code(&peer.ask(&line)), 22);
        }
        peer.earn(50);
    }

    /// NerdQAxe 1.0.36 #504: 39 % of its shares are stale.
    nerdqaxe_1_0_36_is_not_banned_for_stale_shares: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.begin("house.m1");
        let old = peer.job.clone().unwrap();
        let (stale, _) = peer.share(&json!(5), 1);
        house.node.move_tip(9);
        while peer.job.as_ref().unwrap().prev_hash == old.prev_hash {
            peer.until("mining.notify");
        }
        for _ in 0..600 {
            let reply = peer.ask(&stale);
            assert_eq!((error_code(&reply), &reply["error"][1]), (21, &json!("stale job")));
        }
        peer.earn(50);
    }

    /// NOMP #742: without an answer to `mining.configure` they hang up.
    avalon_and_whatsminer_have_configure_answered: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        let line = r#"{"id":1,"method":"mining.configure","params":[["minimum-difficulty","version-rolling","x-unknown"],{"minimum-difficulty.value":2048,"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2}]}"#;
        let result = peer.ask(line)["result"].clone();
        assert_eq!(result["version-rolling.mask"], "1fffe000");
        assert_eq!((&result["minimum-difficulty"], &result["x-unknown"]), (&json!(true), &json!(false)));
    }

    /// bosminer has nulls among the parameters of subscribe.
    bosminer_subscribes_with_nulls_and_works: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.subscribe(&json!(["Braiins OS 2019-06-05", null, "stratum.slushpool.com:3333", null]));
        peer.authorize("house.m1", "x");
        peer.until("mining.notify");
        peer.earn(1);
    }

    /// veriumMiner, ZECMiner drop a job that comes before the reply to subscribe.
    verium_and_zec_miners_hear_of_work_only_after_their_subscription: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        assert_eq!(peer.authorize("house.m1", "x")["result"], true);
        peer.say(r#"{"id":8,"method":"mining.subscribe","params":[]}"#);
        assert_eq!(peer.hear()["id"], 8, "the reply first, then work");
        assert_eq!(methods(&to_first_job(&mut peer)), ["mining.set_difficulty", "mining.notify"]);
    }

    /// slush proxy #32: on connecting anew it authorises first.
    slush_proxy_authorises_before_it_subscribes: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        assert_eq!(peer.authorize("house.m1", "x")["result"], true);
        peer.subscribe(&json!([]));
        peer.until("mining.notify");
        peer.earn(1);
    }

    /// 6miner, GMiner break on more than four bytes of extranonce 1; miningcore #112 gave the same
    /// one twice.
    each_connection_has_an_extranonce1_of_four_bytes_of_its_own: |house| {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let mut peer = Peer::connect(house.gateway.address());
            peer.subscribe(&json!(["6miner/1.0"]));
            assert_eq!(peer.extranonce1.len(), 4);
            assert!(seen.insert(peer.extranonce1));
        }
    }

    /// BIP 310: what both sides allow; a missing mask asks for all; too few bits is no.
    bip310_gives_the_bits_both_allow_and_refuses_others_in_shares: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        peer.begin("house.m1");
        let configure = |options: Value| json!({"id": 3, "method": "mining.configure", "params": [["version-rolling"], options]}).to_string();
        for (options, mask) in [
            (json!({"version-rolling.mask": "00ffffff", "version-rolling.min-bit-count": 16}), None),
            (json!({}), Some("1fffe000")),
            (json!({"version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": 16}), Some("1fffe000")),
            (json!({"version-rolling.mask": "00ffe000"}), Some("00ffe000")),
        ] {
            let result = peer.ask(&configure(options))["result"].clone();
            assert_eq!(result["version-rolling"], mask.is_some());
            assert_eq!(result["version-rolling.mask"].as_str(), mask);
        }
        let ntime = peer.job.as_ref().unwrap().ntime;
        let outside = peer.submit(&json!(5), "0000000000000009", ntime, 1, r#","10000000""#);
        assert_eq!(error_code(&peer.ask(&outside)), 20);
    }

    /// A BitAxe (ESP-Miner 2.7) from its first line to its shares: bits in lower case and eight digits, an
    /// answer to a ping in the shape of a request. A reply to that would count as a share refused.
    bitaxe_goes_through_its_whole_handshake_and_its_pong_is_passed_over: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        let rolling = peer.ask(r#"{"id": 1, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}"#);
        assert_eq!(rolling["result"]["version-rolling.mask"], "1fffe000");
        peer.subscribe(&json!(["bitaxe/BM1370/v2.7.0"]));
        assert_eq!(peer.authorize("house.bitaxe", "x")["result"], true);
        peer.until("mining.notify");
        for line in [
            r#"{"id": 4, "method": "mining.extranonce.subscribe", "params": []}"#,
            r#"{"id": 5, "method": "mining.suggest_difficulty", "params": [1000]}"#,
        ] {
            let reply = peer.ask(line);
            assert_eq!((&reply["result"], &reply["error"]), (&json!(true), &Value::Null));
        }
        peer.job.as_mut().unwrap().version |= 0x0000_2000;
        for n in 0..20u64 {
            peer.say(r#"{"id":7,"method":"pong","params":[]}"#);
            let (line, _) = peer.share(&json!(100 + n), n << 20);
            peer.say(&line.replace("]}", r#","00002000"]}"#));
            let (reply, before) = peer.reply(&json!(100 + n));
            assert_eq!(reply["result"], true, "{reply}");
            assert!(before.iter().all(|l| l["id"].is_null()), "no reply to a pong: {before:?}");
        }
        let seen = house.gateway.snapshot();
        assert_eq!((seen[0].user_agent.as_str(), seen[0].rejected), ("bitaxe/BM1370/v2.7.0", 0));
    }

    /// Ids are numbers, words, null, anything: they come back as they came, whether the method is known or not.
    ids_of_every_kind_come_back_verbatim: |house| {
        let mut peer = Peer::connect(house.gateway.address());
        for id in [r#""auth""#, r#""2fe65ed2f""#, "0", "-1", "18446744073709551616", "1.50", "[]", "{\"a\":1}", "true"] {
            for method in ["mining.subscribe", "mining.ping", "no.such.method"] {
                peer.say(&format!(r#"{{"id":{id},"method":"{method}","params":[]}}"#));
                let reply = peer.hear();
                assert_eq!(reply["id"], serde_json::from_str::<Value>(id).unwrap());
                for key in ["id", "result", "error"] {
                    assert!(reply.get(key).is_some(), "{key} is missing: ESP-Miner #916 broke on it");
                }
            }
        }
    }
}

/// Spiral-Pool #10 (S19, S19k): shares below the newest `set_difficulty` count as rejected in the
/// machine, so it comes only together with a job; public-pool #39, c2pool #762, node-stratum #38: a
/// share is judged at its own job's difficulty.
#[tokio::test(flavor = "multi_thread")]
async fn antminer_s19_hears_of_a_difficulty_only_with_its_job_and_older_jobs_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let house = with_classes(dir.path(), (class(3), class(9)), class(3));
    let mut peer = Peer::connect(house.gateway.address());
    peer.begin("house.m1");
    let easy = peer.job.clone().unwrap();
    let mut late: Vec<String> = Vec::new();
    for n in 0..8 {
        late.push(peer.share(&json!(100 + n), (5 + n) << 24).0);
    }
    let first = peer.difficulty;
    // Fast shares make it harder.
    for n in 0..8u64 {
        let (line, _) = peer.share(&json!(n), n << 20);
        peer.say(&line);
    }
    let lines: Vec<Value> = std::iter::from_fn(|| Some(peer.hear()))
        .scan(false, |done, line| {
            let over = std::mem::replace(done, method(&line) == "mining.notify");
            (!over).then_some(line)
        })
        .collect();
    let told = lines.iter().position(|l| method(l) == "mining.set_difficulty").unwrap();
    assert_eq!(method(&lines[told + 1]), "mining.notify", "nothing between the two");
    assert!(lines[told]["params"][0].as_f64().unwrap() > first);
    assert_ne!(peer.job.as_ref().unwrap().id, easy.id, "a job of its own");
    // Found for the easy job, sent now: good at its difficulty.
    for (n, line) in late.iter().enumerate() {
        peer.say(line);
        let (reply, _) = peer.reply(&json!(100 + n));
        assert_eq!(reply["result"], true, "{reply}");
    }
}

/// Avalon Nano 3 begins anew with every clean job: another template on the same block is not clean.
#[tokio::test(flavor = "multi_thread")]
async fn avalon_nano_3_is_not_made_to_begin_anew_without_need() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = gateway_options();
    options.share_interval = Duration::from_secs(5);
    let node = FakeNode::with(Arc::new(SystemClock), true, HARD);
    let house = House::open_on_refreshing(node, dir.path(), options, Duration::from_millis(50));
    let mut peer = Peer::connect(house.gateway.address());
    peer.begin("house.m1");
    let first = peer.job.clone().unwrap();
    assert!(first.clean, "the first is");
    for _ in 0..3 {
        peer.until("mining.notify");
        let job = peer.job.clone().unwrap();
        assert_eq!(job.prev_hash, first.prev_hash);
        assert!(!job.clean);
    }
}

/// MRR brings a rented farm over one connection, and asks for little (`d=1`): ckpool has a difficulty
/// for its name alone, from the configuration.
#[tokio::test(flavor = "multi_thread")]
async fn mining_rig_rentals_is_given_what_rentals_need_or_what_the_operator_says() {
    let dir = tempfile::tempdir().unwrap();
    let house = as_in_the_field(&dir.path().join("1"), |_| {});
    assert!(difficulty_of(&house, "miningrigrentals/1.0", "x,d=1,md=1") >= 500_000.0);
    assert!(difficulty_of(&house, "MiningRigRentals", "x,d=1") >= 500_000.0);
    assert!(difficulty_of(&house, "cgminer/4.10.0", "x,d=1") <= 1.0, "others have their wish");
    let house = as_in_the_field(&dir.path().join("2"), |options| {
        options.agents = vec![AgentRule {
            begins_with: "miningrigrentals".into(),
            algorithm: None,
            difficulty_min: 2_000_000.0,
            reason: "a test".into(),
        }];
    });
    assert!(difficulty_of(&house, "miningrigrentals/1.0", "x,d=1") >= 2_000_000.0);
}

/// NiceHash ends an order at a pool that gives less than its least difficulty, which is 500,000 for
/// SHA-256d.
#[tokio::test(flavor = "multi_thread")]
async fn nicehash_never_hears_of_less_than_its_least_difficulty() {
    let dir = tempfile::tempdir().unwrap();
    let house = as_in_the_field(dir.path(), |_| {});
    for password in ["x", "d=1,md=1", "d=0.5"] {
        assert!(difficulty_of(&house, "NiceHash/1.0.0", password) >= 500_000.0, "{password}");
    }
    // And silence, which eases others, does not bring it lower: the control's bound is the same.
    assert!(difficulty_of(&house, "NiceHash/1.0.0", "d=9999999") >= 500_000.0);
}

/// ESP-Miner refuses a difficulty below 0.0001 and goes on at the one before.
#[tokio::test(flavor = "multi_thread")]
async fn esp_miner_is_never_given_a_difficulty_that_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let house = as_in_the_field(dir.path(), |options| options.start_class = class(3));
    assert!(difficulty_of(&house, "bitaxe/BM1370/v2.7.0", "x") >= 0.0001);
    assert!(difficulty_of(&house, "cpuminer/2.5.1", "x") < 0.0001);
}

/// BzMiner #121 authorises only after its first job.
#[tokio::test(flavor = "multi_thread")]
async fn bzminer_gets_a_job_before_it_authorises_and_no_share_before_counts() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path());
    let mut peer = Peer::connect(house.gateway.address());
    peer.subscribe(&json!(["BzMiner/v9"]));
    peer.until("mining.notify");
    let (share, _) = peer.share(&json!(4), 1);
    assert_eq!(error_code(&peer.ask(&share)), 24, "work without a login is nobody's");
    peer.user = "house.m1".to_owned();
    assert_eq!(peer.authorize("house.m1", "x")["result"], true);
    // The job it has is good: no other is needed.
    peer.earn(1 << 20);
    assert_eq!(house.gateway.snapshot()[0].user_agent, "BzMiner/v9");
    // Nobody else hears of work without a login.
    let mut other = Peer::connect(house.gateway.address());
    other.subscribe(&json!(["cgminer/4.10.0"]));
    other.say(r#"{"id":9,"method":"mining.ping","params":[]}"#);
    assert_eq!(other.hear()["id"], 9);
}

/// BIP 310 *replaces* the bits within the mask; ckpool ORs them into the job's version, which is the same
/// only where the job has none of them set.
#[tokio::test(flavor = "multi_thread")]
async fn rolled_bits_replace_those_that_the_job_has_set() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path());
    house.node.version.store(0x2000_4000, std::sync::atomic::Ordering::SeqCst);
    house.node.move_tip(9);
    let mut peer = Peer::connect(house.gateway.address());
    peer.ask(r#"{"id":3,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#);
    peer.begin("house.m1");
    while peer.job.as_ref().unwrap().version != 0x2000_4000 {
        peer.until("mining.notify");
    }
    // What the miner hashes: an OR gives 20006000.
    peer.job.as_mut().unwrap().version = 0x2000_2000;
    for n in 0..6u64 {
        let (line, _) = peer.share(&json!(60 + n), n << 20);
        let line = line.replace("]}", r#","00002000"]}"#);
        assert_eq!(peer.ask(&line)["result"], true);
    }
}
