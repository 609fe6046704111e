//! Bytes that no honest miner sends: each costs at most its own connection.

use crate::rig::{Hall, class, code, hex32, work};
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use proptest::prelude::*;
use serde_json::Value;

fn hall() -> Hall {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x41, 100));
    hall
}

#[test]
fn malformed_shares_are_refused_with_their_id_and_never_counted() {
    let header = hex32(&[0x41; 32]);
    let zero = hex32(&[0; 32]);
    let long = "0".repeat(4_000);
    let cases = [
        ("[]".to_owned(), 20),
        ("{}".to_owned(), 20),
        ("null".to_owned(), 20),
        (format!(r#"["0x0000000000000001","{header}"]"#), 20),
        (format!(r#"[1,"{header}","{zero}"]"#), 20),
        (format!(r#"["0x1","{header}","{zero}"]"#), 20),
        (format!(r#"["0x00000000000000001","{header}","{zero}"]"#), 20),
        (format!(r#"["0x000000000000000g","{header}","{zero}"]"#), 20),
        (format!(r#"["{long}","{header}","{zero}"]"#), 20),
        (format!(r#"["0x0000000000000001","{header}","0x00"]"#), 20),
        (format!(r#"["0x0000000000000001","0x41","{zero}"]"#), 20),
        (format!(r#"["0x0000000000000001","{zero}","{zero}"]"#), 21),
    ];
    let mut rig = hall().connect();
    rig.proxy();
    for (params, want) in cases {
        let line = format!(r#"{{"id":"s","method":"eth_submitWork","params":{params}}}"#);
        let heard = rig.say(&line);
        assert_eq!(heard[0]["id"], "s");
        assert_eq!(heard[0]["result"], Value::Bool(false));
        assert_eq!(code(&heard[0]), want, "{params:.80}");
    }
    assert!(rig.log.is_empty() && rig.closed.is_none());
}

#[test]
fn nicehash_shares_for_jobs_that_were_never_given_are_not_found() {
    let mut rig = hall().connect();
    rig.nicehash();
    let given = format!("{:016x}{:02x}", 1, 2);
    for job in [
        "",
        "1",
        "0000000000000002",
        "000000000000000203",
        "000000000000000101",
        "0000000000000001ff",
        &given.replace('1', "A"),
        "00000000000000010é",
    ] {
        let line =
            format!(r#"{{"id":4,"method":"mining.submit","params":["w","{job}","000000000000"]}}"#);
        assert_eq!(code(&rig.say(&line)[0]), 21, "{job:?}");
    }
    let line = format!(
        r#"{{"id":4,"method":"mining.submit","params":["other","{given}","000000000000"]}}"#
    );
    assert_eq!(code(&rig.say(&line)[0]), 24);
}

#[test]
fn shares_before_any_dialect_or_in_another_are_refused() {
    let mut rig = hall().connect();
    let submit = r#"{"id":4,"method":"mining.submit","params":["w","1","2"]}"#;
    let submit_work = format!(
        r#"{{"id":4,"method":"eth_submitWork","params":["0x0000000000000001","{0}","{0}"]}}"#,
        hex32(&[0x41; 32])
    );
    assert_eq!(code(&rig.say(submit)[0]), 25);
    assert_eq!(code(&rig.say(&submit_work)[0]), 25);
    rig.proxy();
    assert_eq!(code(&rig.say(submit)[0]), 25, "the connection speaks eth-proxy");
}

#[test]
fn a_header_beside_another_job_is_refused() {
    let mut rig = hall().connect();
    rig.say(
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n\
         {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}",
    );
    let job = hex::encode([0x41; 32]);
    for (header, mix) in
        [(hex32(&[0x42; 32]), hex32(&[0; 32])), (hex32(&[0x41; 32]), "0x1".to_owned())]
    {
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{job}","0x0000000000000001","{header}","{mix}"]}}"#
        );
        assert_eq!(code(&rig.say(&line)[0]), 20);
    }
}

#[test]
fn lines_that_are_no_stratum_endless_ones_and_http_end_the_connection() {
    let mut rig = hall().connect();
    for _ in 0..limits::BAD_LINES_MAX {
        rig.say_bytes(b"\xff\x00garbage");
    }
    assert_eq!(rig.closed, Some(CloseReason::BadLines));
    let mut rig = hall().connect();
    rig.say_bytes(&vec![b'{'; limits::LINE_BYTES_MAX + 1]);
    assert_eq!(rig.closed, Some(CloseReason::LongLine));
    let mut rig = hall().connect();
    assert!(rig.say_bytes(b"GET / HTTP/1.1").starts_with("HTTP/1.1 400"));
    assert_eq!(rig.closed, Some(CloseReason::Http));
}

#[test]
fn mostly_bad_shares_end_the_connection_and_silence_does_too() {
    let mut rig = hall().connect();
    rig.proxy();
    let mut sent = 0;
    while rig.closed.is_none() {
        rig.say(r#"{"id":1,"method":"eth_submitWork","params":[]}"#);
        sent += 1;
    }
    assert_eq!((rig.closed, sent), (Some(CloseReason::BadShares), limits::BAD_SHARES_MAX));
    let mut rig = hall().connect();
    rig.wait(31);
    assert_eq!(rig.closed, Some(CloseReason::Handshake));
    let mut rig = hall().connect();
    rig.proxy();
    rig.wait(901);
    assert_eq!(rig.closed, Some(CloseReason::Idle));
}

#[test]
fn refused_logins_are_bounded_and_bad_names_are_not_looked_up() {
    let mut rig = hall().connect();
    let long = "a".repeat(200);
    for user in ["", "..", "a/b", &long] {
        let line = format!(
            r#"{{"id":1,"method":"eth_submitLogin","params":["{user}","x"],"worker":"r"}}"#
        );
        assert_eq!(code(&rig.say(&line)[0]), 24, "{user:.20}");
    }
    for _ in 0..3 {
        rig.say(r#"{"id":1,"method":"mining.authorize","params":["w","wrong"]}"#);
    }
    assert_eq!(rig.closed, Some(CloseReason::Logins));
}

#[test]
fn rates_and_wishes_that_are_no_numbers_change_nothing() {
    let mut rig = hall().connect();
    rig.proxy();
    for params in ["[]", "{}", r#"["7","x"]"#, r#"["0xzz","x"]"#, r#"[7,"x"]"#] {
        let line = format!(r#"{{"id":9,"method":"eth_submitHashrate","params":{params}}}"#);
        assert_eq!(code(&rig.say(&line)[0]), 20, "{params}");
    }
    assert_eq!(rig.session.reported(), None);
    for d in ["-1", "0", "1e400", "\"NaN\"", "{}"] {
        rig.say(&format!(r#"{{"id":9,"method":"mining.suggest_difficulty","params":[{d}]}}"#));
    }
    assert_eq!(rig.class(), class(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic_and_every_reply_is_one_line_of_json(
        begin in 0u8..4,
        lines in proptest::collection::vec(prop_oneof![
            r#"\{"id":[0-9]{1,3},"method":"(mining\.(subscribe|authorize|submit|suggest_difficulty|hello)|eth_(submitLogin|getWork|submitWork|submitHashrate))","params":\[("(0x)?[0-9a-fA-F]{0,20}"|"EthereumStratum/1\.0\.0"|null|[0-9]{1,4}|\[\]|\{\})?(,("(0x)?[0-9a-f]{64}"|"w"|null|7)){0,4}\](,"worker":("r"|null|7|\[\]))?\}"#
                .prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..120),
        ], 1..12)
    ) {
        let mut rig = hall().connect();
        rig.hashes = false;
        match begin {
            1 => drop(rig.nicehash()),
            2 => drop(rig.proxy()),
            3 => drop(rig.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#)),
            _ => {}
        }
        for line in lines {
            let text = rig.say_bytes(&line);
            for reply in text.lines().filter(|l| !l.is_empty() && rig.closed != Some(CloseReason::Http)) {
                prop_assert!(serde_json::from_str::<Value>(reply).is_ok(), "{reply}");
            }
        }
    }
}
