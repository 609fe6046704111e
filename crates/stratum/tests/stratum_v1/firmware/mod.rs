//! The handshakes of real firmware, and what each needs of a server.

mod scrypt;
mod table;

use crate::miner::{EN2, HARD, Miner, NTIME, code, job, method, rules, template};
use serde_json::json;

fn fresh() -> Miner {
    let mut miner = Miner::connect(rules());
    miner.work(job(1, template(1, HARD)));
    miner
}

#[test]
fn cgminer_reads_one_line_after_configure_and_takes_it_for_the_reply() {
    let mut miner = fresh();
    let heard = miner.say(r#"{"id": 0, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}"#);
    assert_eq!(heard.len(), 1);
    assert_eq!(
        heard[0]["result"],
        json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
    );
    let heard =
        miner.say(r#"{"id": 1, "method": "mining.subscribe", "params": ["cgminer/4.10.0"]}"#);
    assert_eq!(heard.len(), 1, "the reply alone");
    assert_eq!(heard[0]["result"][2], 8, "with more than eight bytes it never submits");
    let heard = miner.say(r#"{"id": 2, "method": "mining.authorize", "params": ["w", "x"]}"#);
    let methods: Vec<_> = heard.iter().map(method).collect();
    assert_eq!(methods, ["", "mining.set_difficulty", "mining.notify"]);
    assert_eq!(heard[2]["params"][8], true, "the first job is clean");
    // It writes the parameters first, and bits as the sixth.
    let line = format!(
        r#"{{"params": ["w", "{}", "{EN2}", "{NTIME:08x}", "00000007", "00002000"], "id": 3, "method": "mining.submit"}}"#,
        miner.job_id()
    );
    assert_eq!(code(&miner.say(&line)[0]), 0);
    assert_eq!(miner.log[0].version, 0x2000_2000);
    // Reconnecting with the session's id.
    let heard = miner.say(
        r#"{"id": 1, "method": "mining.subscribe", "params": ["cgminer/4.10.0", "a1b2c3d4"]}"#,
    );
    assert_eq!(heard[0]["result"][1], "a1b2c3d4");
}

#[test]
fn configure_is_answered_alone_even_when_work_is_waiting() {
    let mut miner = Miner::working();
    miner.work(job(2, template(1, HARD)));
    let heard = miner.say(r#"{"id":9,"method":"mining.configure","params":[["version-rolling","minimum-difficulty","x-\"odd\""],{"version-rolling.mask":"00ffffff","version-rolling.min-bit-count":16,"minimum-difficulty.value":1}]}"#);
    let result = &heard[0]["result"];
    assert_eq!(result["version-rolling"], false, "eleven bits of sixteen wanted");
    assert_eq!(result["minimum-difficulty"], true);
    assert_eq!(result["x-\"odd\""], false);
}

#[test]
fn esp_miner_configures_suggests_and_always_sends_six_parameters() {
    let mut miner = fresh();
    miner.say(r#"{"id": 1, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}"#);
    miner.say(r#"{"id": 2, "method": "mining.subscribe", "params": ["bitaxe/BM1370/v2.7.0"]}"#);
    assert_eq!(miner.session.agent(), "bitaxe/BM1370/v2.7.0");
    miner.say(r#"{"id": 3, "method": "mining.authorize", "params": ["w", "x"]}"#);
    let heard = miner.say(r#"{"id": 4, "method": "mining.suggest_difficulty", "params": [1]}"#);
    assert_eq!(code(&heard[0]), 0);
    assert_eq!(heard[1]["params"][0], 1, "heeded, and with it a fresh job");
    assert_eq!(method(&heard[2]), "mining.notify");
    let line = format!(
        r#"{{"id": 5, "method": "mining.submit", "params": ["w", "{}", "{EN2}", "{NTIME:08x}", "00000007", "00000000"]}}"#,
        miner.job_id()
    );
    assert_eq!(code(&miner.say(&line)[0]), 23, "a guess does not reach difficulty 1");

    // Without version rolling it still sends the sixth, as zero.
    let mut plain = Miner::working();
    let line = line.replace(&miner.job_id(), &plain.job_id());
    assert_eq!(code(&plain.say(&line)[0]), 0);
}

#[test]
fn bosminer_subscribes_with_nulls() {
    let mut miner = fresh();
    let heard = miner.say(r#"{"id":1,"method":"mining.subscribe","params":["Braiins OS 2019-06-05",null,"stratum.slushpool.com:3333",null]}"#);
    assert_eq!(heard[0]["result"][2], 8);
    let heard = miner.say(r#"{"id":2,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":16}]}"#);
    assert_eq!(heard[0]["result"]["version-rolling"], true);
}

#[test]
fn bfgminer_uses_words_for_ids_and_sends_wishes_without() {
    let mut miner = fresh();
    assert!(miner.say(r#"{"id":null,"method":"mining.capabilities","params":[{"notify":[],"set_difficulty":{},"set_goal":[],"malgo":{}}]}"#).is_empty());
    let easy = "00000000ffff0000000000000000000000000000000000000000000000000000";
    assert!(
        miner
            .say(&format!(r#"{{"id":null,"method":"mining.suggest_target","params":["{easy}"]}}"#))
            .is_empty()
    );
    miner.say(r#"{"id":0,"method":"mining.subscribe","params":["bfgminer/5.5.0"]}"#);
    let heard = miner.say(r#"{"id":"auth","method":"mining.authorize","params":["w",""]}"#);
    assert_eq!(heard[0]["id"], "auth");
    assert_eq!(heard[1]["params"][0], 1, "the target it suggested");
    let heard = miner.say(r#"{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}"#);
    assert_eq!(heard[0]["id"], "xnsub");
    let heard = miner.say(r#"{"id":"txlist7","method":"mining.get_transactions","params":["7"]}"#);
    assert_eq!(
        (heard[0]["id"].as_str(), heard[0]["error"][0].as_i64()),
        (Some("txlist7"), Some(21))
    );
}

#[test]
fn cpuminer_numbers_every_share_four_and_needs_the_answers_in_order() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    let submit = |en2: &str, nonce: u32| {
        format!(
            r#"{{"method": "mining.submit", "params": ["w", "{id}", "{en2}", "{NTIME:08x}", "{nonce:08x}"], "id":4}}"#
        )
    };
    let lines = [submit(EN2, 1), submit("zz", 2), submit(EN2, 1), submit(EN2, 3), submit("00", 4)];
    let codes: Vec<_> = miner.say(&lines.join("\n")).iter().map(code).collect();
    assert_eq!(codes, [0, 20, 22, 0, 20]);
    assert_eq!(miner.log.len(), 2);
}

#[test]
fn nicehash_gives_a_time_and_a_mac_where_others_give_a_session() {
    let mut miner = fresh();
    let heard = miner.say(r#"{"id":1,"method":"mining.subscribe","params":["NiceHash/1.0.0","1662637786319","00ff"]}"#);
    assert!(heard[0]["result"][2].as_u64().unwrap() >= 4, "less is refused by it");
    assert_eq!(heard[0]["result"][1].as_str().unwrap().len(), 8, "four bytes: more breaks others");
    let heard = miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    assert_eq!(method(&heard[2]), "mining.notify", "difficulty and job at once");
}

#[test]
fn a_password_may_carry_a_difficulty() {
    let mut miner = fresh();
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    let heard =
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","secret,d=0.5,md=0.25"]}"#);
    assert_eq!(heard[1]["params"][0], 0.5);
    for bad in ["d=", "d=x", "d=-1", "d=0", "d=1e999", "d=nan", "=", ",,,"] {
        let mut miner = fresh();
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        let line = json!({"id": 2, "method": "mining.authorize", "params": ["w", bad]}).to_string();
        let heard = miner.say(&line);
        assert_eq!(heard[1]["params"][0], 2f64.powi(-32), "{bad}: the usual start");
    }
}

#[test]
fn a_refused_login_hears_why_and_may_try_again() {
    let mut miner = fresh();
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1"]}"#);
    let heard = miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","wrong"]}"#);
    assert_eq!(heard.len(), 1);
    assert_eq!(code(&heard[0]), 24);
    assert_eq!(heard[0]["error"][1], "no \"such\" login");
    assert_eq!(code(&miner.submit("x", EN2, NTIME, 1)), 24);
    let heard = miner.say(r#"{"id":3,"method":"mining.authorize","params":["w","x"]}"#);
    assert_eq!((code(&heard[0]), heard.len()), (0, 3));
}
