//! What a miner hears unasked: another extranonce, another mask, messages, farewells, questions; and
//! the list of a job's transactions.

use crate::handover::{leave, take_over, take_over_with};
use crate::miner::*;
use crate::node::{FakeNode, House, gateway_options};
use crate::peer::{Peer, encrypted, socket};
use gruve_chain::TemplateTx;
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::{GatewayOptions, ListenKind, Listening};
use gruve_units::SystemClock;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A house whose shares are never blocks, with room for classes.
fn house(dir: &Path, set: impl FnOnce(&mut GatewayOptions)) -> House {
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(3), class(9)), class(4));
    set(&mut options);
    House::open_on(FakeNode::new(Arc::new(SystemClock)), dir, options)
}

fn suggest(k: u8) -> String {
    let difficulty = 2f64.powi(i32::from(k) - 32);
    json!({"id": 30 + k, "method": "mining.suggest_difficulty", "params": [difficulty]}).to_string()
}

/// There, to another class and back: the newest job was given at the first class already.
fn there_and_back(peer: &mut Peer) -> Vec<Value> {
    assert_eq!(peer.ask(&suggest(6))["result"], true);
    peer.until("mining.notify");
    peer.say(&suggest(4));
    let mut heard = Vec::new();
    loop {
        let line = peer.hear();
        let is_last = method(&line) == "mining.notify";
        heard.push(line);
        if is_last {
            return heard;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_comes_again_under_another_extranonce_to_who_understands_one() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), |_| {});
    let mut peer = Peer::connect(house.gateway.address());
    peer.ask(r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#);
    peer.begin("house.m1");
    let first = peer.job.clone().unwrap();
    let (early, _) = peer.share(&json!(50), 1);
    let (later, _) = peer.share(&json!(51), 1 << 20);
    let heard = there_and_back(&mut peer);
    let methods: Vec<_> = heard.iter().map(method).collect();
    let expected = ["", "mining.set_extranonce", "mining.set_difficulty", "mining.notify"];
    assert_eq!(methods, expected, "the extranonce before the job that it is for");
    assert_eq!(heard[1]["params"][1], 8);
    let again = peer.job.clone().unwrap();
    assert_ne!(again.extranonce1, first.extranonce1);
    assert_eq!(again.id, format!("{}01", first.id), "a name of its own, for shares under way");
    assert_eq!((&again.prev_hash, again.clean), (&first.prev_hash, true));
    // Shares of either are judged under its own extranonce.
    assert_eq!(peer.ask(&early)["result"], true);
    for n in 0..8 {
        peer.earn(n << 24);
    }
    assert_eq!(peer.ask(&later)["result"], true);
    assert_eq!(peer.ask(&early)["error"][0], 22);
    for odd in ["00", "1", "010", "zz", "02"] {
        let line = early.replace(&first.id, &format!("{}{odd}", first.id));
        assert_eq!(peer.ask(&line)["error"][0], 21, "{odd}");
    }
    // And so over a restart.
    let house = take_over(leave(house).await, dir.path());
    assert_eq!(peer.ask(&early)["error"][0], 22);
    peer.earn(99 << 24);
    house.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_understand_another_extranonce_waits_for_the_next_job() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), |_| {});
    let mut peer = Peer::connect(house.gateway.address());
    peer.begin("house.m1");
    assert_eq!(peer.ask(&suggest(6))["result"], true);
    peer.until("mining.notify");
    peer.say(&suggest(4));
    peer.say(r#"{"id":9,"method":"mining.ping","params":[]}"#);
    assert_eq!(peer.hear()["result"], true);
    assert_eq!(peer.hear()["result"], "pong", "nothing in between");
    house.node.move_tip(9);
    assert_eq!(method(&peer.hear()), "mining.set_difficulty");
    assert_eq!(method(&peer.hear()), "mining.notify");
    peer.earn(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_that_a_restart_narrows_is_told_before_anything_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), |_| {});
    let mut peer = Peer::connect(house.gateway.address());
    peer.ask(r#"{"id":3,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#);
    peer.begin("house.m1");
    let left = leave(house).await;
    let _house = take_over_with(left, dir.path(), |options| {
        options.version_mask = Some(0x00ff_e000);
    });
    let told = peer.until("mining.set_version_mask");
    assert_eq!(told["params"], json!(["00ffe000"]));
    let ntime = peer.job.as_ref().unwrap().ntime;
    let outside = peer.submit(&json!(5), "0000000000000009", ntime, 1, r#","10000000""#);
    assert_eq!(peer.ask(&outside)["error"][0], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_word_reaches_all_or_the_one_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(dir.path(), |_| {});
    let mut peers: Vec<Peer> = ["house.m1", "house.m2", "alice.rig"]
        .map(|user| {
            let mut peer = Peer::connect(house.gateway.address());
            peer.begin(user);
            peer
        })
        .into();
    // One who has not subscribed hears nothing.
    let mut silent = Peer::connect(house.gateway.address());
    silent.ask(r#"{"id":1,"method":"mining.ping","params":[]}"#);
    let said = house.gateway.tell(None, "stops at 18:00 for \"an hour\"");
    assert_eq!(said, 3);
    for peer in &mut peers {
        let heard = peer.until("client.show_message");
        assert_eq!(heard["params"], json!(["stops at 18:00 for \"an hour\""]));
        assert!(heard["id"].is_null());
    }
    assert_eq!(house.gateway.tell(Some("alice.rig"), &"x".repeat(5_000)), 1);
    let heard = peers[2].until("client.show_message");
    assert_eq!(heard["params"][0].as_str().unwrap().len(), limits::MESSAGE_CHARS_MAX);
    assert_eq!(house.gateway.tell(Some("nobody"), "hello"), 0);
    for peer in &mut peers {
        peer.earn(1);
    }
}

/// A TLS port beside the plain one: its connections cannot go over a restart.
fn with_tls(dir: &Path, public: Option<(&str, u16)>) -> (House, Arc<TlsServer>) {
    let names = vec!["mine.example".to_owned()];
    let source = TlsSource::Own { folder: dir.to_owned(), names };
    let tls = Arc::new(TlsServer::open(source).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kind = ListenKind::V1Tls(Arc::clone(&tls));
    let public = public.map(|(host, port)| (host.into(), port));
    let house = house(&dir.join("log"), |options| {
        options.listeners.push(Listening { public, ..Listening::new(listener, kind) });
    });
    (house, tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_restart_cannot_keep_is_asked_back_to_the_same_place_and_no_other() {
    for public in [None, Some(("mine.example", 3443))] {
        let dir = tempfile::tempdir().unwrap();
        let (house, tls) = with_tls(dir.path(), public);
        let addresses = house.gateway.addresses().to_vec();
        let mut kept = Peer::connect(addresses[0]);
        kept.begin("house.kept");
        let mut lost = Peer::over(encrypted(socket(addresses[1]), tls.fingerprint()));
        // A client's own word about where it is changes nothing.
        lost.subscribe(&json!(["agent/1", null, "evil.example:3333", null]));
        lost.authorize("house.lost", "x");
        lost.until("mining.notify");
        let left = leave(house).await;
        assert_eq!(left.connections.len(), 1);
        let message = lost.until("client.show_message");
        assert_eq!(message["params"][0], "Gruve restarts: please connect again");
        let reconnect = lost.until("client.reconnect");
        match public {
            None => assert_eq!(reconnect["params"], json!([])),
            Some((host, port)) => {
                let params = reconnect["params"].as_array().unwrap();
                assert_eq!((&params[0], &params[1]), (&json!(host), &json!(port)));
                let wait = params[2].as_u64().unwrap();
                assert!((1..=u64::from(limits::COME_BACK_SPREAD_SECS)).contains(&wait));
            }
        }
        assert!(lost.try_hear().is_none(), "and closed");
        let house = take_over(left, &dir.path().join("log"));
        kept.earn(1);
        house.gateway.shutdown().await;
        let heard = kept.until("client.show_message");
        assert_eq!(heard["params"][0], "Gruve stops", "a stop sends nobody anywhere");
        assert!(kept.try_hear().is_none());
    }
}

#[test]
fn a_miner_without_a_name_is_asked_once_and_a_named_one_never() {
    let mut miner = Miner::connect(rules());
    miner.work(job(1, template(1, 0x1703_31db)));
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    let heard = miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    let methods: Vec<_> = heard.iter().map(method).collect();
    let expected = ["", "mining.set_difficulty", "mining.notify", "client.get_version"];
    assert_eq!(methods, expected, "after its work");
    let id = heard[3]["id"].as_i64().unwrap();
    let answer =
        |id: i64, name: Value| json!({"id": id, "result": name, "error": null}).to_string();
    for odd in [answer(id + 1, json!("x/1")), answer(id, json!(7)), answer(id, Value::Null)] {
        assert!(miner.say(&odd).is_empty());
        assert_eq!(miner.session.agent(), "");
    }
    // What holds for its name holds from then on.
    let heard = miner.say(&answer(id, json!("NiceHash/1.0.0")));
    assert_eq!(miner.session.agent(), "NiceHash/1.0.0");
    assert!(heard[0]["params"][0].as_f64().unwrap() >= 500_000.0, "{heard:?}");
    miner.say(&answer(id, json!("other/1")));
    assert_eq!(miner.session.agent(), "NiceHash/1.0.0", "it was asked once");
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert!(miner.heard().is_empty());

    let mut named = Miner::working();
    assert!(named.heard().is_empty());
    named.work(job(2, template(2, HARD)));
    assert!(named.heard().iter().all(|l| method(l) != "client.get_version"));
}

#[test]
fn a_silent_miner_is_asked_whether_it_is_there_and_kept_if_it_says_so() {
    let idle = limits::IDLE_MAX.as_secs();
    // As cgminer and as ESP-Miner answer.
    for pong in [
        r#"{"id":1002,"result":"pong","error":null}"#,
        r#"{"id":1002,"method":"pong","params":[]}"#,
    ] {
        let mut miner = Miner::working();
        for _ in 0..5 {
            let heard = miner.wait(idle / 2 + 2);
            let pings: Vec<_> = heard.iter().filter(|l| method(l) == "mining.ping").collect();
            assert_eq!(pings.len(), 1, "{heard:?}");
            assert_eq!(pings[0]["id"], 1002);
            assert!(miner.say(pong).is_empty(), "its answer has no answer");
        }
        assert_eq!(miner.closed, None);
    }
    let mut miner = Miner::working();
    let heard = miner.wait(idle + 2);
    assert_eq!(miner.closed, Some(CloseReason::Idle));
    let said = heard.iter().find(|l| method(l) == "client.show_message").unwrap();
    assert_eq!(said["params"][0], "closed: nothing was heard for too long");
    assert_eq!(heard.iter().filter(|l| method(l) == "mining.ping").count(), 1);
}

#[test]
fn who_is_closed_for_what_a_person_can_mend_hears_why() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    let mut last = String::new();
    while miner.closed.is_none() {
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{id}","00","66000000","00000001"]}}"#
        );
        last = miner.say_bytes(line.as_bytes());
    }
    assert_eq!(miner.closed, Some(CloseReason::BadShares));
    let lines: Vec<Value> = last.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((lines.len(), code(&lines[0])), (2, 20), "after the reply");
    assert_eq!(lines[1]["params"][0], "closed: half of the last 500 shares were bad");

    let mut guesser = Miner::connect(rules());
    guesser.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1"]}"#);
    let mut heard = Vec::new();
    while guesser.closed.is_none() {
        heard = guesser.say(r#"{"id":2,"method":"mining.authorize","params":["w","wrong"]}"#);
    }
    assert_eq!(method(heard.last().unwrap()), "client.show_message");
}

fn transaction(n: u8, bytes: usize) -> TemplateTx {
    TemplateTx { data: vec![n; bytes], txid: [n; 32], wtxid: [n; 32] }
}

#[test]
fn the_newest_jobs_transactions_are_listed_once_where_they_fit() {
    let mut miner = Miner::working();
    let mut with_txs = template(1, HARD);
    with_txs.txs = vec![transaction(0xab, 3), transaction(0xcd, 2)];
    miner.work(job(2, with_txs.clone()));
    let id = miner.job_id();
    let ask = |id: &str| {
        json!({"id": format!("txlist{id}"), "method": "mining.get_transactions", "params": [id]})
            .to_string()
    };
    let refused = |reply: &Value| reply["error"][0].as_i64().unwrap();
    let reply = miner.say(&ask(&id)).remove(0);
    assert_eq!(reply["result"], json!(["ababab", "cdcd"]));
    assert_eq!(reply["id"], format!("txlist{id}"));
    assert_eq!(refused(&miner.say(&ask(&id))[0]), 20, "once");
    // ckpool reads the name in the method's own brackets, too.
    miner.work(job(3, with_txs.clone()));
    let id = miner.job_id();
    let line = format!(r#"{{"id":5,"method":"mining.get_transactions({id})","params":[]}}"#);
    assert_eq!(miner.say(&line)[0]["result"].as_array().unwrap().len(), 2);
    for other in ["", "7", "zz", &format!("{:016x}00", 2)] {
        assert_eq!(refused(&miner.say(&ask(other))[0]), 21, "{other}");
    }
    with_txs.txs = vec![transaction(1, limits::TRANSACTIONS_CHARS_MAX / 2)];
    miner.work(job(4, with_txs));
    let id = miner.job_id();
    let reply = miner.say(&ask(&id)).remove(0);
    assert_eq!(refused(&reply), 20, "too long, and said so");
    assert!(reply["error"][1].as_str().unwrap().contains("too long"));
    assert_eq!(miner.closed, None);
    // Before there is work for it there is nothing to list.
    let mut early = Miner::connect(rules());
    assert_eq!(refused(&early.say(&ask(&id))[0]), 21);
}
