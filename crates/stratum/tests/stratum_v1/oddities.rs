//! Odd sequences and odd lines, as firmware sends them by mistake and attackers on purpose: what a session makes of them,
//! and that it goes on as if they had not been.

use crate::miner::{
    EN2, FIRST, HARD, Miner, NTIME, class, code, job, machine, method, rules, template,
};
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use serde_json::{Value, json};

/// The line of a share: who, nonce, and what stands behind it.
fn share(id: u64, user: &str, job: &str, nonce: u32, more: &str) -> String {
    format!(
        r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{EN2}","{NTIME:08x}","{nonce:08x}"{more}]}}"#
    )
}

fn configure(mask: &str) -> String {
    json!({"id": 3, "method": "mining.configure",
        "params": [["version-rolling"], {"version-rolling.mask": mask}]})
    .to_string()
}

fn works(miner: &mut Miner, nonce: u32) {
    assert_eq!(miner.closed, None);
    assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, nonce)), 0);
}

/// What each line is: nothing for an answer.
fn methods(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(method).collect()
}

#[test]
fn logins_wishes_and_extensions_before_the_subscription_are_heeded_when_it_comes() {
    let mut wide = rules();
    wide.class_range = (class(0), class(40));
    let mut miner = Miner::connect(wide);
    miner.work(job(FIRST, template(1, HARD)));
    let before = [
        r#"{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}"#,
        r#"{"id":2,"method":"mining.suggest_difficulty","params":[0.5]}"#,
        &configure("1fffe000"),
        r#"{"id":4,"method":"mining.authorize","params":["w","x"]}"#,
    ];
    for line in before {
        let heard = miner.say(line);
        assert_eq!(methods(&heard), [""], "an answer and nothing else: {heard:?}");
        assert!(heard[0]["error"].is_null());
    }
    let heard = miner.say(r#"{"id":5,"method":"mining.subscribe","params":["t/1"]}"#);
    assert_eq!(methods(&heard), ["", "mining.set_difficulty", "mining.notify"]);
    assert_eq!((&heard[0]["result"][1], &heard[1]["params"]), (&json!("a1b2c3d4"), &json!([0.5])));
    // Back at a class that this job was given at already: under another extranonce, because it asked for that.
    miner.say(r#"{"id":6,"method":"mining.suggest_difficulty","params":[0.25]}"#);
    let heard = miner.say(r#"{"id":7,"method":"mining.suggest_difficulty","params":[0.5]}"#);
    let expected = ["", "mining.set_extranonce", "mining.set_difficulty", "mining.notify"];
    assert_eq!(methods(&heard), expected);
    // And a subscription that comes once more is told of the extranonce in force.
    let again = miner.say(r#"{"id":8,"method":"mining.subscribe","params":[]}"#);
    assert_eq!(again[0]["result"][1], heard[1]["params"][0]);
}

#[test]
fn a_second_subscription_gives_no_job_anew_and_its_name_takes_the_place_of_the_first() {
    let mut miner = Miner::working();
    let first = miner.job_id();
    for (name, known_as) in [("[]", "test/1"), ("[\"other/2\"]", "other/2"), ("[null]", "other/2")]
    {
        let line = format!(r#"{{"id":8,"method":"mining.subscribe","params":{name}}}"#);
        let heard = miner.say(&line);
        assert_eq!((methods(&heard), &heard[0]["result"][1]), (vec![""], &json!("a1b2c3d4")));
        assert_eq!(miner.standing().agent, known_as);
    }
    assert_eq!(miner.job_id(), first);
    works(&mut miner, 1);
    // A name whose miners need a least difficulty gets it with the answer, and keeps it.
    let mut rental = rules();
    (rental.class_range, rental.start_class) = ((class(0), class(60)), class(40));
    let mut miner = Miner::connect(rental);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1"]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    miner.work(job(FIRST, template(1, 0x1703_31db)));
    assert_eq!(miner.session.class(), class(40));
    let heard = miner.say(r#"{"id":3,"method":"mining.subscribe","params":["NiceHash/1.0.0"]}"#);
    assert_eq!(methods(&heard), ["", "mining.set_difficulty", "mining.notify"]);
    assert_eq!(miner.session.class(), class(51));
}

#[test]
fn a_mask_that_changes_in_the_middle_of_a_read_is_that_of_the_shares_behind_it() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    let lines = [
        share(1, "w", &id, 1, r#","00002000""#),
        configure("1fffe000"),
        share(4, "w", &id, 2, r#","00002000""#),
        configure("00004000"),
        share(5, "w", &id, 3, r#","00002000""#),
        share(6, "w", &id, 3, r#","00004000""#),
        // Not one of the bits: none may roll from here on, and zero is no rolled bit.
        configure("80000000"),
        share(7, "w", &id, 4, r#","00004000""#),
        share(8, "w", &id, 4, r#","00000000""#),
        share(9, "w", &id, 5, ""),
    ];
    let heard = miner.say(&lines.join("\n"));
    let answers: Vec<_> = heard.iter().filter(|l| method(l).is_empty() && l["id"] != 3).collect();
    let codes: Vec<i64> = answers.iter().map(|l| code(l)).collect();
    assert_eq!(codes, [20, 0, 20, 0, 20, 0, 0]);
    let versions: Vec<u32> = miner.log.iter().map(|s| s.version).collect();
    assert_eq!(versions, [0x2000_2000, 0x2000_4000, 0x2000_0000, 0x2000_0000]);
}

#[test]
fn a_configuration_without_rolling_leaves_the_mask_and_answers_each_name_once() {
    let mut miner = Miner::working();
    miner.say(&configure("1fffe000"));
    let line = r#"{"id":3,"method":"mining.configure","params":[["info","x","info",7,null,"x"]]}"#;
    let answer = miner.say_bytes(line.as_bytes());
    // As text: a reader that is told a name twice may take either, or nothing at all.
    assert_eq!(answer, "{\"id\":3,\"result\":{\"info\":true,\"x\":false},\"error\":null}\n");
    let rolled = share(4, "w", &miner.job_id(), 2, r#","00002000""#);
    assert_eq!(code(&miner.say(&rolled)[0]), 0);
    for (mask, granted) in [
        (json!("FFFFFFFF"), json!("1fffe000")),
        (json!(null), json!("1fffe000")),
        (json!("0x1fffe000"), Value::Null),
        (json!("1fffe00"), Value::Null),
        (json!(536_862_720), Value::Null),
        (json!(""), Value::Null),
        (json!(["1fffe000"]), Value::Null),
    ] {
        let line = json!({"id": 3, "method": "mining.configure",
            "params": [["version-rolling"], {"version-rolling.mask": mask}]});
        let heard = miner.say(&line.to_string());
        assert_eq!(heard[0]["result"]["version-rolling.mask"], granted, "{mask}");
        assert_eq!(heard[0]["result"]["version-rolling"], !granted.is_null(), "{mask}");
    }
}

#[test]
fn a_wish_between_two_shares_of_one_read_changes_what_comes_next_and_not_how_they_are_judged() {
    let mut wide = rules();
    wide.class_range = (class(0), class(40));
    let mut miner = Miner::connect(wide);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    miner.work(job(FIRST, template(1, HARD)));
    let id = miner.job_id();
    let wish = r#"{"id":7,"method":"mining.suggest_difficulty","params":[0.5]}"#;
    let heard = miner
        .say(&[share(6, "w", &id, 1, "").as_str(), wish, &share(8, "w", &id, 2, "")].join("\n"));
    assert_eq!(methods(&heard), ["", "", "mining.set_difficulty", "mining.notify", ""]);
    let ids: Vec<_> = heard.iter().filter_map(|l| l["id"].as_u64()).collect();
    assert_eq!(ids, [6, 7, 8]);
    assert_eq!((code(&heard[0]), code(&heard[4])), (0, 0));
    assert!(miner.log.iter().all(|s| s.class == class(0)), "at their job's difficulty");
    // From the first share on the control knows better.
    let before = miner.session.class();
    miner.say(r#"{"id":9,"method":"mining.suggest_target","params":["00000000ffff0000000000000000000000000000000000000000000000000000"]}"#);
    assert_eq!(miner.session.class(), before);
}

#[test]
fn wishes_that_say_nothing_are_answered_and_change_nothing() {
    for password in ["d=NaN,md=inf", "d=,md", "d=-1,md=-0.5", "d=1e999", "=5", "d==5", ",,,=,"] {
        let mut miner = Miner::connect(rules());
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        let login = json!({"id": 2, "method": "mining.authorize", "params": ["w", password]});
        assert_eq!(code(&miner.say(&login.to_string())[0]), 0);
        miner.work(job(FIRST, template(1, HARD)));
        assert_eq!(miner.session.class(), class(0), "{password}");
        works(&mut miner, 1);
    }
    let (f, zero) = ("f".repeat(64), "0".repeat(64));
    for (asked, params) in [
        ("difficulty", json!(["NaN"])),
        ("difficulty", json!(["inf"])),
        ("difficulty", json!(["-infinity"])),
        ("difficulty", json!([[0.5]])),
        ("difficulty", json!([{"d": 0.5}])),
        ("difficulty", json!({"difficulty": 0.5})),
        ("difficulty", json!(null)),
        ("difficulty", json!([])),
        ("target", json!([f[1..]])),
        ("target", json!([format!("0x{f}")])),
        ("target", json!([7])),
        ("target", json!({})),
    ] {
        let mut miner = Miner::working();
        let line = json!({"id": 5, "method": format!("mining.suggest_{asked}"), "params": params});
        let heard = miner.say(&line.to_string());
        assert_eq!((methods(&heard), code(&heard[0])), (vec![""], 0), "{params}");
        works(&mut miner, 1);
    }
    // The easiest and the hardest that can be said are bounded like all others.
    for (target, expected) in [(&f, 0), (&zero, 32)] {
        let mut miner = Miner::working();
        let line = json!({"id": 5, "method": "mining.suggest_target", "params": [target]});
        miner.say(&line.to_string());
        assert_eq!(miner.session.class(), class(expected), "{target}");
    }
}

#[test]
fn a_share_counts_once_under_whichever_login_of_the_connection_it_comes_first() {
    let mut miner = Miner::working();
    miner.say(r#"{"id":5,"method":"mining.authorize","params":["v","x"]}"#);
    let id = miner.job_id();
    let lines = [share(6, "v", &id, 1, ""), share(7, "w", &id, 1, ""), share(8, "v", &id, 1, "")];
    let heard = miner.say(&lines.join("\n"));
    assert_eq!(heard.iter().map(code).collect::<Vec<_>>(), [0, 22, 22]);
    assert_eq!(miner.log.iter().map(|s| s.machine).collect::<Vec<_>>(), [machine("v")]);
    assert_eq!(code(&miner.say(&share(9, "w", &id, 1, ""))[0]), 22, "nor in a later read");
    // Another login that is refused, or one that is refused now, takes nothing away.
    for user in ["u", "w"] {
        let login = json!({"id": 10, "method": "mining.authorize", "params": [user, "wrong"]});
        assert_eq!(code(&miner.say(&login.to_string())[0]), 24);
    }
    assert_eq!(code(&miner.say(&share(11, "u", &id, 2, ""))[0]), 24);
    works(&mut miner, 2);
    assert_eq!(miner.log.last().unwrap().machine, machine("w"));
}

/// Whatever is asked: a reply that cannot be told from another's is a lost share to most firmware.
#[test]
fn an_id_comes_back_as_it_was_written_from_every_method() {
    let longest = format!("\"{}\"", "i".repeat(limits::ID_BYTES_MAX - 2));
    let huge = "9".repeat(limits::ID_BYTES_MAX);
    for id in [
        "0",
        "4",
        "-1",
        "-0",
        "1.50",
        "1e3",
        "18446744073709551616",
        &huge,
        "\"\"",
        "\"auth\"",
        r#""A\"\\\n""#,
        &longest,
        "null",
        "true",
        "[]",
        "[1,\"a\"]",
        r#"{"a":1}"#,
    ] {
        let mut miner = Miner::working();
        let job = miner.job_id();
        for (method, params) in [
            ("mining.subscribe", "[]".to_owned()),
            ("mining.authorize", r#"["v","x"]"#.to_owned()),
            ("mining.authorize", r#"["v","wrong"]"#.to_owned()),
            ("mining.authorize", "[]".to_owned()),
            ("mining.configure", r#"[["info"]]"#.to_owned()),
            ("mining.configure", "[]".to_owned()),
            ("mining.extranonce.subscribe", "[]".to_owned()),
            ("mining.get_transactions", format!(r#"["{job}"]"#)),
            ("mining.submit", format!(r#"["w","{job}","{EN2}","{NTIME:08x}","00000001"]"#)),
            ("mining.submit", "[]".to_owned()),
        ] {
            let line = format!(r#"{{"method":"{method}","params":{params},"id":{id}}}"#);
            let answer = miner.say_bytes(line.as_bytes());
            let own = format!("{{\"id\":{id},\"result\":");
            assert!(answer.starts_with(&own), "{method} {id}: {answer}");
        }
        assert_eq!(miner.closed, None);
    }
    // Beyond what is echoed it is no request; the next line is one.
    for id in [format!("1{huge}"), format!("{longest}x").replace("\"x", "x\""), "1e400".to_owned()]
    {
        let mut miner = Miner::working();
        let line = format!(r#"{{"id":{id},"method":"mining.ping","params":[]}}"#);
        assert_eq!(miner.say_bytes(line.as_bytes()), "");
        works(&mut miner, 1);
    }
}

#[test]
fn parameters_that_are_no_list_count_as_none() {
    // What is answered: the code, where no parameters are an error.
    for (method, refused) in [
        ("mining.subscribe", None),
        ("mining.authorize", Some(24)),
        ("mining.configure", Some(20)),
        ("mining.submit", Some(20)),
        ("mining.extranonce.subscribe", None),
        ("mining.suggest_difficulty", None),
        ("mining.suggest_target", None),
        ("mining.get_transactions", Some(21)),
        ("mining.capabilities", None),
        ("mining.ping", None),
    ] {
        for params in [
            r#","params":{"0":"w"}"#,
            r#","params":null"#,
            r#","params":"w""#,
            r#","params":7"#,
            "",
        ] {
            let mut miner = Miner::working();
            let line = format!(r#"{{"id":5,"method":"{method}"{params}}}"#);
            let heard = miner.say(&line);
            assert_eq!(methods(&heard), [""], "{line}");
            let code = heard[0]["error"][0].as_i64();
            assert_eq!(code, refused, "{line}");
            works(&mut miner, 1);
        }
    }
}

#[test]
fn a_batch_is_not_stratum_and_hurts_nothing_but_itself() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    let good = share(6, "w", &id, 1, "");
    let ping = r#"{"id":5,"method":"mining.ping","params":[]}"#;
    for (n, batch) in [
        format!("[{good},{ping}]"),
        "[]".to_owned(),
        format!("[{ping}]"),
        // Two requests on one line are no line either: it could not be told where the first ends.
        format!("{good}{ping}"),
        format!("{good} {good}"),
        format!("{ping},"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(miner.say_bytes(batch.as_bytes()), "", "{batch}");
        assert_eq!(code(&miner.submit(&id, EN2, NTIME, 100 + u32::try_from(n).unwrap())), 0);
    }
    assert_eq!(miner.log.len(), 6, "none of what stood in them counted");
    for _ in 6..limits::BAD_LINES_MAX {
        assert_eq!(miner.closed, None);
        miner.say_bytes(b"[]");
    }
    assert_eq!(miner.closed, Some(CloseReason::BadLines));
}

#[test]
fn a_method_that_is_written_otherwise_is_another_or_the_same_as_json_says() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    let fields = format!(r#""w","{id}","{EN2}","{NTIME:08x}""#);
    for (line, expected) in [
        // Escaped, it is the same text.
        (format!(r#"{{"id":1,"method":"mining\u002esubmit","params":[{fields},"00000001"]}}"#), 0),
        (format!(r#"{{"id":2,"method":"mining.submit","params":[{fields},"0000000\u0031"]}}"#), 22),
        // Its parameters in the method's brackets, as ckpool reads them of some.
        (
            format!(
                r#"{{"id":3,"method":"mining.submit({},\"00000002\")","params":[]}}"#,
                fields.replace('"', "\\\"")
            ),
            0,
        ),
        (
            format!(
                r#"{{"id":4,"method":"mining.submit","params":[{fields},"00000003"],"worker":"x","jsonrpc":"2.0"}}"#
            ),
            0,
        ),
    ] {
        assert_eq!(code(&miner.say(&line)[0]), expected, "{line}");
    }
    for other in
        ["Mining.Submit", "mining.submit ", "mining.notify", "client.reconnect", "submit", ""]
    {
        let line = json!({"id": 5, "method": other, "params": []}).to_string();
        let heard = miner.say(&line);
        assert_eq!(
            (heard.len(), &heard[0]["result"], &heard[0]["error"][0]),
            (1, &Value::Null, &json!(20))
        );
    }
    // No method, or none that is a text, is no request: an answer to nothing, or nothing.
    for line in [
        r#"{"id":6,"method":null,"params":[]}"#,
        r#"{"id":6,"result":true,"error":null}"#,
        r#"{"id":1001,"result":"NiceHash/1.0.0","error":null}"#,
        "{}",
    ] {
        assert_eq!(miner.say_bytes(line.as_bytes()), "", "{line}");
    }
    assert_eq!(miner.standing().agent, "test/1", "nobody asked for its name");
    works(&mut miner, 9);
}
