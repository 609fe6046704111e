//! Every entry of the bad-input list as a test of its reaction. An entry that nobody answers for fails
//! one, too.

use crate::miner::{EN2, HARD, Miner, NTIME, class, code, job, method, rules, template};
use gruve_stratum::limits;
use gruve_stratum::protocol::{Protocol as _, Round, Step};
use gruve_stratum::seen::SeenBudget;
use gruve_stratum::session::CloseReason;
use serde_json::{Value, json};
use std::sync::Arc;

const LIST: &str = include_str!("../../../../testdata/bad-inputs-stratum-v1.json");

/// The entry's line for this session: its job, its extranonce 2 of eight bytes.
fn adapt(input: &str, miner: &Miner) -> String {
    input
        .replace("\"j1\"", &format!("\"{}\"", miner.job_id()))
        .replace("\"J1\"", &format!("\"{}\"", miner.job_id().to_uppercase()))
        .replace("\"00000001\"", &format!("\"{EN2}\""))
}

/// The code of the answer to one line from a working session.
fn answer(input: &str) -> i64 {
    let mut miner = Miner::working();
    let line = adapt(input, &miner);
    let replies = miner.say(&line);
    assert_eq!(replies.len(), 1, "{line}");
    assert_eq!(miner.closed, None);
    code(&replies[0])
}

/// Both lines in one session: the codes.
fn answers(first: &str, second: &str) -> (i64, i64) {
    let mut miner = Miner::working();
    let lines = [adapt(first, &miner), adapt(second, &miner)].join("\n");
    let replies = miner.say(&lines);
    assert_eq!(miner.log.len(), replies.iter().filter(|r| code(r) == 0).count());
    (code(&replies[0]), code(&replies[1]))
}

fn submit(en2: &str, ntime: &str, nonce: &str) -> String {
    json!({"id": 6, "method": "mining.submit", "params": ["w", "j1", en2, ntime, nonce]})
        .to_string()
}

fn silent(input: &[u8]) {
    let mut miner = Miner::working();
    assert_eq!(miner.say_bytes(input), "");
    assert_eq!(miner.closed, None);
}

fn parse(input: &str) {
    match input {
        "not json" => {
            let mut miner = Miner::working();
            for n in 1..=limits::BAD_LINES_MAX {
                assert_eq!(miner.closed, None);
                assert_eq!(miner.say_bytes(input.as_bytes()), "");
                assert_eq!(miner.closed.is_some(), n == limits::BAD_LINES_MAX);
            }
        }
        "{\"id\":1" => {
            let mut miner = Miner::working();
            let mut receive = |input: &[u8]| {
                let mut round = Round::default();
                let (taken, step) = miner.session.receive(input, miner.now, &mut round);
                assert!(taken == 0 && round.text.is_empty());
                step
            };
            let mut line = input.as_bytes().to_vec();
            assert!(matches!(receive(&line), Step::Continue), "waited for");
            line.resize(limits::LINE_BYTES_MAX, b' ');
            assert!(matches!(receive(&line), Step::Continue), "so long");
            line.push(b' ');
            assert!(matches!(receive(&line), Step::Close(CloseReason::LongLine)));
        }
        "\\r\\n" => silent(b"\r\n\r\n"),
        _ if input.starts_with("GET") => {
            let mut miner = Miner::connect(rules());
            let answer = miner.say_bytes(input.replace("\\r\\n", "\r\n").as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert_eq!(miner.closed, Some(CloseReason::Http));
        }
        _ if input.starts_with("[[[[") => {
            silent(&[b"[".repeat(7000), b"]".repeat(7000)].concat());
        }
        _ if input.contains("1e400") => silent(input.as_bytes()),
        _ if input.contains("\"id\":[]") => {
            let reply = Miner::working().say(input).remove(0);
            assert_eq!((&reply["id"], code(&reply)), (&json!([]), 0));
        }
        _ if input.contains("\"id\":null") => {
            let mut miner = Miner::working();
            let line = adapt(input, &miner);
            let reply = miner.say(&line).remove(0);
            assert_eq!((&reply["id"], code(&reply)), (&Value::Null, 0));
        }
        other => panic!("no reaction for {other}"),
    }
}

fn submit_shape(input: &str, expect: &str) {
    let got = answer(input);
    match expect {
        "params not array: 20" | "20" => assert_eq!(got, 20),
        "extra params ignored or 20" => {
            assert_eq!(got, 20, "its bits were not negotiated");
            let unrolled = input.replace("1fffe000", "00000000");
            assert_eq!(answer(&unrolled), 0, "the seventh is ignored");
        }
        "empty worker: 24/20"
        | "worker never authorised on this connection: 24 (ckpool: worker mismatch)" => {
            assert_eq!(got, 24);
        }
        "job ids are opaque: do not fold case"
        | "21 job not found; no crash"
        | "21"
        | "21, no integer wrap to a valid id" => assert_eq!(got, 21),
        other => panic!("no reaction for {other}"),
    }
}

fn extranonce2(input: &str) {
    if input.contains(" vs ") {
        let at = format!("{NTIME:08x}");
        let twice = answers(
            &submit("000000000000000A", &at, "deadbeef"),
            &submit("000000000000000a", &at, "deadbeef"),
        );
        assert_eq!(twice, (0, 22));
    } else {
        assert_eq!(answer(input), 20, "{input}");
    }
}

fn ntime(input: &str) {
    if input.contains('/') {
        let twice =
            answers(&submit(EN2, "6600000A", "deadbeef"), &submit(EN2, "6600000a", "deadbeef"));
        assert_eq!(twice, (0, 22));
    } else {
        assert_eq!(answer(input), 20, "{input}");
    }
}

fn nonce(input: &str, expect: &str) {
    if expect == "20" {
        assert_eq!(answer(input), 20, "{input}");
    } else {
        // Another spelling of deadbeef: valid, and the same share.
        let plain = submit(EN2, &format!("{NTIME:08x}"), "deadbeef");
        assert_eq!(answers(input, &plain), (0, 22), "{input}");
    }
}

fn version_bits(input: &str, expect: &str) {
    const ROLL: &str = r#"{"id":3,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#;
    let mut miner = Miner::working();
    let mut with_bits = template(2, HARD);
    with_bits.version = 0x2000_4000;
    miner.say(ROLL);
    miner.work(job(2, with_bits));
    let line = adapt(input, &miner);
    let say = |miner: &mut Miner| code(&miner.say(&line)[0]);
    let share_version = |miner: &Miner| miner.log[0].version;
    match expect {
        e if e.starts_with("valid: leaves job version bits in mask cleared") => {
            assert_eq!(say(&mut miner), 0);
            assert_eq!(share_version(&miner), 0x2000_0000);
        }
        "valid if mask negotiated" => {
            assert_eq!(say(&mut miner), 0);
            assert_eq!(share_version(&miner), 0x3fff_e000);
            let mut plain = Miner::working();
            let line = adapt(input, &plain);
            assert_eq!(code(&plain.say(&line)[0]), 20, "not negotiated");
        }
        "20" | "short hex: 20 or left-pad only if documented" => assert_eq!(say(&mut miner), 20),
        "empty string: treat as absent or 20" => {
            assert_eq!(say(&mut miner), 0);
            assert_eq!(share_version(&miner), 0x2000_4000, "as absent: the job's own");
        }
        e if e.starts_with("treat as 0 bits?") => {
            let reply = miner.submit(&miner.job_id(), EN2, NTIME, 1);
            assert_eq!(code(&reply), 0);
            assert_eq!(share_version(&miner), 0x2000_4000, "not rolled: the job's own");
        }
        e if e.starts_with("nVersion 20002000 by BIP310") => {
            let line = json!({"id": 9, "method": "mining.submit",
                "params": ["w", miner.job_id(), EN2, format!("{NTIME:08x}"), "00000001", "00002000"]});
            assert_eq!(code(&miner.say(&line.to_string())[0]), 0);
            assert_eq!(share_version(&miner), 0x2000_2000);
        }
        other => panic!("no reaction for {other}"),
    }
}

fn order(input: &str) {
    match input {
        "mining.submit before subscribe" => {
            let mut miner = Miner::connect(rules());
            assert_eq!(code(&miner.submit("j1", EN2, NTIME, 1)), 25);
            miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
            assert_eq!(code(&miner.submit("j1", EN2, NTIME, 1)), 25);
        }
        "mining.authorize before subscribe" => {
            let mut miner = Miner::connect(rules());
            miner.work(job(1, template(1, HARD)));
            let heard = miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
            assert_eq!((heard.len(), code(&heard[0])), (1, 0), "no job yet");
            let heard = miner.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1"]}"#);
            let methods: Vec<_> = heard.iter().map(method).collect();
            assert_eq!(methods, ["", "mining.set_difficulty", "mining.notify"]);
        }
        "subscribe twice" => {
            let mut miner = Miner::working();
            let again = r#"{"id":8,"method":"mining.subscribe","params":[]}"#;
            let [first, second] = [miner.say(again), miner.say(again)];
            assert_eq!(first, second, "the same extranonce, and no job anew");
            assert_eq!(first.len(), 1);
            assert_eq!(first[0]["result"][1], "a1b2c3d4");
            assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 1)), 0);
        }
        "mining.extranonce.subscribe" => {
            let line = r#"{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}"#;
            let reply = Miner::working().say(line).remove(0);
            assert_eq!((code(&reply), &reply["id"]), (0, &json!("xnsub")));
        }
        _ if input.starts_with("mining.suggest_difficulty") => suggestions(),
        _ if input.starts_with("mining.multi_version") => {
            for method in ["mining.multi_version", "no.such", ""] {
                let mut miner = Miner::working();
                let line = json!({"id": 5, "method": method, "params": [1]}).to_string();
                let reply = miner.say(&line).remove(0);
                assert_eq!(reply["error"][0], 20, "{method}");
                assert_eq!(miner.closed, None);
                assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 1)), 0);
            }
            for silent_one in [
                r#"{"id":null,"method":"mining.capabilities","params":[{"notify":[]}]}"#,
                r#"{"id":7,"method":"pong","params":[]}"#,
                r#"{"id":7,"result":"pong","error":null}"#,
                r#"{"method":"unknown.notification"}"#,
            ] {
                silent(silent_one.as_bytes());
            }
        }
        other => panic!("no reaction for {other}"),
    }
}

fn suggestions() {
    // (What is suggested, the class that comes of it.) NaN is not JSON: a bad line.
    for (suggested, expected) in [
        ("1e-9", 2),
        ("0", 0),
        ("-1", 0),
        ("\"x\"", 0),
        ("1e300", 32),
        ("NaN", 0),
        ("1e999", 0),
        ("16", 32),
        ("0.5", 31),
        ("\"0.25\"", 30),
    ] {
        let mut miner = Miner::working();
        let line =
            format!(r#"{{"id":null,"method":"mining.suggest_difficulty","params":[{suggested}]}}"#);
        let heard = miner.say(&line);
        assert!(heard.iter().all(|l| !method(l).is_empty()), "no reply to a notification");
        assert_eq!(miner.session.class(), class(expected), "{suggested}");
        let judged = code(&miner.submit(&miner.job_id(), EN2, NTIME, 1));
        // At class 0 every hash is a share; at the others it is judged, and of no bad form.
        assert!(judged == 0 || (expected > 0 && judged == 23), "{suggested}: {judged}");
    }
    let mut miner = Miner::working();
    let heard = miner.say(r#"{"id":3,"method":"mining.suggest_difficulty(0.5)","params":[]}"#);
    assert_eq!(code(&heard[0]), 0);
    assert_eq!(miner.session.class(), class(31));
}

fn auth() {
    let long = "n".repeat(10_000);
    let refused =
        ["", ".", "_", "/", "a/../../b", "..", &long, "a\0b", "a\\b", "\u{202e}evil", "a\u{200f}"];
    for name in refused {
        let mut miner = Miner::connect(rules());
        let line =
            json!({"id": 2, "method": "mining.authorize", "params": [name, "x"]}).to_string();
        assert_eq!(code(&miner.say(&line)[0]), 24, "{name:.20?}");
    }
    // Harmless as data: whether they are known is the house's affair.
    for name in ["\"; DROP TABLE--", "⛏️", "a.b"] {
        let mut miner = Miner::connect(rules());
        let line =
            json!({"id": 2, "method": "mining.authorize", "params": [name, "x"]}).to_string();
        assert_eq!(code(&miner.say(&line)[0]), 0, "{name:.20?}");
        assert_eq!(miner.session.user(), name);
    }
}

fn resource(input: &str) {
    match input {
        "connect and send nothing" => {
            let mut miner = Miner::connect(rules());
            miner.wait(30);
            assert_eq!(miner.closed, None);
            miner.wait(1);
            assert_eq!(miner.closed, Some(CloseReason::Handshake));
        }
        "10 000 invalid shares/s" => {
            let mut miner = Miner::working();
            let id = miner.job_id();
            let mut sent = 0;
            while miner.closed.is_none() {
                sent += 1;
                assert!(sent <= limits::BAD_SHARES_WINDOW, "not closed");
                miner.submit(&id, "00", NTIME, sent);
            }
            assert_eq!(miner.closed, Some(CloseReason::BadShares));
            // What real firmware does wrong is answered for ever.
            let mut miner = Miner::working();
            for _ in 0..3000 {
                miner.submit(&miner.job_id(), EN2, NTIME, 7);
                miner.submit("gone", EN2, NTIME, 7);
            }
            assert_eq!(miner.closed, None);
        }
        "duplicate-set growth: same job open for hours" => {
            let mut rules = rules();
            rules.class_range = (class(0), class(0));
            rules.seen = Arc::new(SeenBudget::new(5000, 20_000));
            let mut miner = Miner::connect(rules);
            miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
            miner.say(r#"{"id":2,"method":"mining.authorize","params":["w"]}"#);
            miner.work(job(1, template(1, HARD)));
            let id = miner.job_id();
            let limit = 5000;
            for n in 0..limit {
                assert_eq!(code(&miner.submit(&id, EN2, NTIME, n)), 0);
            }
            assert_eq!(code(&miner.submit(&id, EN2, NTIME, limit)), 20);
            assert_eq!(code(&miner.submit(&id, EN2, NTIME, 0)), 22, "still exact");
            assert_eq!(miner.closed, None);
            miner.work(job(2, template(1, HARD)));
            assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 0)), 0);
        }
        other => panic!("no reaction for {other}"),
    }
}

/// The list; an entry is text in each of these.
fn list() -> Vec<Value> {
    serde_json::from_str(LIST).unwrap()
}

fn react(n: usize) {
    let list = list();
    let text = |key: &str| list[n][key].as_str().unwrap();
    let (input, expect) = (text("input"), text("expect"));
    match text("category") {
        "parse" => parse(input),
        "submit-shape" => submit_shape(input, expect),
        "extranonce2" => extranonce2(input),
        "ntime" => ntime(input),
        "nonce" => nonce(input, expect),
        "version_bits" => version_bits(input, expect),
        "order" => order(input),
        "auth" => auth(),
        "resource" => resource(input),
        other => panic!("no reactions for {other}"),
    }
}

/// Entries whose reaction is the gateway's.
const OF_THE_GATEWAY: [(usize, &str); 2] =
    [(44, "same worker from 10 000 connections"), (46, "never read replies")];

macro_rules! entries {
    ($($name:ident: $n:literal,)*) => {
        $(#[test]
        fn $name() {
            react($n);
        })*

        #[test]
        fn every_bad_input_has_its_reaction() {
            let list = list();
            let mut answered: Vec<usize> = vec![$($n),*];
            for (n, input) in OF_THE_GATEWAY {
                assert_eq!(list[n]["input"], input);
                answered.push(n);
            }
            answered.sort_unstable();
            assert_eq!(answered, (0..list.len()).collect::<Vec<_>>());
        }
    };
}

entries! {
    a_line_that_is_no_json_is_dropped_and_the_tenth_closes: 0,
    a_line_without_its_end_is_waited_for: 1,
    empty_lines_are_passed_over: 2,
    http_gets_400: 3,
    ten_thousand_brackets_overflow_nothing: 4,
    an_id_beyond_all_numbers_is_no_json: 5,
    an_id_that_is_a_list_comes_back: 6,
    a_share_without_an_id_is_a_share: 7,
    parameters_that_are_an_object_are_refused: 8,
    parameters_that_are_null_are_refused: 9,
    four_parameters_are_too_few: 10,
    seven_parameters_are_two_that_must_be_right: 11,
    no_worker_is_nobody: 12,
    another_worker_is_nobody: 13,
    a_job_that_there_is_not_is_21: 14,
    a_jobs_name_in_upper_case_is_another: 15,
    a_job_below_zero_is_21: 16,
    a_job_beyond_all_numbers_does_not_wrap: 17,
    an_extranonce2_that_is_too_short_is_not_padded: 18,
    an_extranonce2_that_is_too_long_is_not_cut: 19,
    an_extranonce2_with_a_prefix_is_none: 20,
    full_width_digits_are_none: 21,
    an_extranonce2_in_upper_case_is_the_same: 22,
    a_time_before_the_jobs_is_out_of_range: 23,
    a_time_of_seven_digits_is_none: 24,
    a_time_of_nine_digits_is_none: 25,
    a_time_in_upper_case_is_the_same: 26,
    a_nonce_of_seven_digits_is_none: 27,
    a_nonce_in_upper_case_is_the_same: 28,
    a_nonce_in_either_case_is_the_same: 29,
    a_nonce_that_is_no_hex_is_none: 30,
    bits_of_zero_clear_the_jobs_within_the_mask: 31,
    bits_beyond_the_mask_are_refused: 32,
    all_bits_of_the_mask_are_good_where_it_was_negotiated: 33,
    bits_of_four_digits_are_not_padded: 34,
    bits_that_are_empty_are_none: 35,
    five_parameters_after_rolling_was_negotiated_are_the_jobs_own_version: 36,
    a_share_before_subscribing_is_25: 37,
    authorising_first_is_heard_and_work_waits: 38,
    subscribing_twice_gives_the_same: 39,
    extranonce_subscribe_is_answered: 40,
    wishes_of_every_kind_are_bounded: 41,
    unknown_methods_are_answered_and_nobody_is_closed: 42,
    names_of_every_kind_are_refused_or_data: 43,
    who_connects_and_says_nothing_has_half_a_minute: 45,
    a_flood_of_bad_shares_is_closed_and_one_of_stale_ones_is_not: 47,
    shares_of_one_job_are_remembered_up_to_a_bound: 48,
    rolled_bits_replace_and_are_not_added: 49,
}

#[tokio::test]
async fn one_worker_from_many_connections_is_bounded() {
    crate::gateway::an_account_has_so_many_connections().await;
}

#[tokio::test]
async fn who_never_reads_is_closed() {
    crate::gateway::who_does_not_read_is_closed().await;
}
