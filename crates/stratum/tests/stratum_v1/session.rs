//! What a session promises about shares, classes and blocks.

use crate::miner::{
    EASY, EN2, FIRST, HARD, Miner, NTIME, class, client_job, code, job, method, rules, template,
};
use gruve_pow::sha256d;
use gruve_stratum::limits;
use gruve_stratum::protocol::{Protocol as _, Work};
use gruve_stratum::session::{Session, SessionRules};
use gruve_units::{Algorithm, Duration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;

fn find_nonce(notify: &Value, k: u8, from: u32) -> u32 {
    let job = client_job(notify);
    let en2 = hex::decode(EN2).unwrap();
    (from..)
        .find(|n| {
            class(k).target().is_met_by(&sha256d(&job.header(&en2, job.version, job.ntime, *n)))
        })
        .unwrap()
}

#[test]
fn a_share_is_judged_at_its_jobs_class_and_a_change_brings_a_fresh_job() {
    let mut miner = Miner::working();
    let old = miner.job_id();
    // Eight shares at once at class 0: far too easy.
    let lines: Vec<_> = (0..8)
        .map(|n| format!(r#"{{"id":{n},"method":"mining.submit","params":["w","{old}","{EN2}","{NTIME:08x}","{n:08x}"]}}"#))
        .collect();
    let heard = miner.say(&lines.join("\n"));
    assert_eq!(heard[..8].iter().map(code).sum::<i64>(), 0);
    assert_eq!(
        heard[8..].iter().map(method).collect::<Vec<_>>(),
        ["mining.set_difficulty", "mining.notify"]
    );
    assert_eq!(heard[9]["params"][8], false, "an increase lets old work finish");
    let k = miner.session.class().k();
    assert!(k >= 5, "class {k}");
    assert_ne!(miner.job_id(), old);
    // The old job's shares count as before, at the old class.
    assert_eq!(code(&miner.submit(&old, EN2, NTIME, 100)), 0);
    assert_eq!(miner.log.last().unwrap().class, class(0));
    // The new one wants, and credits, its own.
    let nonce = find_nonce(&heard[9], k, 0);
    assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, nonce)), 0);
    assert_eq!(miner.log.last().unwrap().class, class(k));
    let lazy = find_nonce(&heard[9], 0, nonce + 1);
    assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, lazy)), 23);
    // Silence: easier, and clean, because some firmware applies a lower difficulty to old jobs.
    let heard = miner.wait(120);
    let eased: Vec<_> = heard.iter().filter(|l| method(l) == "mining.notify").collect();
    assert!(!eased.is_empty());
    assert!(eased.iter().all(|l| l["params"][8] == true));
    assert!(miner.session.class().k() < k);
    assert_eq!(code(&miner.submit(&old, EN2, NTIME, 101)), 0, "still credited at its class");
}

#[test]
fn a_class_that_was_not_given_is_no_job() {
    let mut miner = Miner::connect(rules());
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","d=0.5"]}"#);
    miner.work(job(1, template(1, HARD)));
    assert_eq!(miner.session.class(), class(31));
    let easier = format!("{:016x}{:02x}", 1, 3);
    assert_eq!(code(&miner.submit(&easier, EN2, NTIME, 1)), 21);
}

#[test]
fn no_job_and_class_is_ever_given_twice() {
    // Miners begin their search anew with each notify; the same work twice would be duplicates.
    let mut miner = Miner::working();
    let mut given = std::collections::HashSet::new();
    for n in 0..400u32 {
        let id = miner.job_id();
        let mut heard = miner.submit_all(&id, n * 10..n * 10 + u32::from(n % 3 == 0) * 9);
        heard.extend(miner.wait(u64::from(n % 7) * 5));
        if n % 10 == 0 {
            heard.extend(miner.work(job(u64::from(n) + 100, template(1, HARD))));
        }
        for line in heard.iter().filter(|l| method(l) == "mining.notify") {
            let id = line["params"][0].as_str().unwrap().to_owned();
            assert!(given.insert(id.clone()), "{id} was given again");
        }
    }
    assert!(given.len() > 40);
}

impl Miner {
    fn submit_all(&mut self, job: &str, nonces: std::ops::Range<u32>) -> Vec<Value> {
        let lines: Vec<_> = nonces
            .map(|n| format!(r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{EN2}","{NTIME:08x}","{n:08x}"]}}"#))
            .collect();
        self.say(&lines.join("\n"))
    }
}

/// Each giving is a whole job out for a short line in, and a prefix that never comes again.
#[test]
fn whoever_wishes_without_end_is_given_a_job_so_often_and_the_wish_with_the_next() {
    let mut rules = rules();
    rules.class_range = (class(0), class(40));
    let mut miner = Miner::connect(rules);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#);
    miner.say(r#"{"id":3,"method":"mining.authorize","params":["w","x"]}"#);
    miner.work(job(1, template(1, HARD)));
    let wish =
        |d: &str| format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{d}]}}"#);
    let mut heard = Vec::new();
    for n in 0..1_000 {
        heard.extend(miner.say(&wish(if n % 2 == 0 { "0.5" } else { "0.25" })));
    }
    let count = |what| heard.iter().filter(|l| method(l) == what).count();
    assert_eq!(heard.iter().filter(|l| method(l).is_empty()).count(), 1_000, "all are answered");
    assert_eq!(count("mining.notify"), limits::GIVEN_PER_JOB_MAX - 1, "and the first one");
    assert!((8..limits::GIVEN_PER_JOB_MAX).contains(&count("mining.set_extranonce")));
    miner.say(&wish("0.5"));
    let heard = miner.work(job(2, template(1, HARD)));
    assert_eq!(method(heard.last().unwrap()), "mining.notify");
    assert_eq!(miner.session.class(), class(31), "as wished last");
    let heard = miner.say(&wish("0.25"));
    assert_eq!(method(heard.last().unwrap()), "mining.notify", "and changes are given again");
}

#[test]
fn a_new_block_makes_old_jobs_stale_and_a_refresh_does_not() {
    let mut miner = Miner::working();
    let first = miner.job_id();
    let heard = miner.work(job(2, template(1, HARD)));
    assert_eq!(heard[0]["params"][8], false);
    assert_eq!(code(&miner.submit(&first, EN2, NTIME, 1)), 0);
    let heard = miner.work(job(3, template(2, HARD)));
    assert_eq!(heard[0]["params"][8], true);
    assert_eq!(code(&miner.submit(&first, EN2, NTIME, 2)), 21);
    assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 2)), 0);
}

#[test]
fn no_job_is_given_harder_than_was_fixed_with_its_checkpoint() {
    let mut rules = rules();
    rules.class_range = (class(0), class(40));
    let mut miner = Miner::connect(rules);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","d=1000"]}"#);
    let capped = |id: u64, at: u8| {
        let job = Arc::into_inner(job(id, template(1, HARD))).unwrap();
        Arc::new(job.capped(class(at)))
    };
    for (id, at) in [(1, 20), (2, 18), (3, 0)] {
        let heard = miner.work(capped(id, at));
        assert_eq!(miner.session.class(), class(at));
        let told = heard.iter().position(|l| method(l) == "mining.set_difficulty");
        let given = heard.iter().position(|l| method(l) == "mining.notify");
        assert!(told < given && told.is_some(), "{heard:?}");
    }
}

#[test]
fn a_block_is_sent_even_when_stale_or_over_time_and_only_once() {
    let mut rules = rules();
    rules.class_range = (class(0), class(40));
    let mut miner = Miner::connect(rules);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","d=1000"]}"#);
    let heard = miner.work(job(1, template(1, EASY)));
    let notify = heard.iter().find(|l| method(l) == "mining.notify").unwrap().clone();
    assert_eq!(miner.session.class(), class(1), "never harder than a block");
    let id = miner.job_id();
    let client = client_job(&notify);
    let en2 = hex::decode(EN2).unwrap();
    let network = gruve_units::Target::from_compact(EASY).unwrap();
    let solving = |ntime: u32, from: u32| {
        (from..)
            .find(|n| network.is_met_by(&sha256d(&client.header(&en2, client.version, ntime, *n))))
            .unwrap()
    };
    // Good: a share and a block.
    let nonce = solving(NTIME, 0);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, nonce)), 0);
    assert_eq!((miner.blocks.len(), miner.log.len()), (1, 1));
    let header = client.header(&en2, client.version, NTIME, nonce);
    assert_eq!(miner.blocks[0].block[..80], header);
    assert_eq!(miner.blocks[0].block_hash, sha256d(&header));
    // Over time: refused as a share, sent as a block, once.
    let late = NTIME + 7001;
    let nonce = solving(late, 0);
    assert_eq!(code(&miner.submit(&id, EN2, late, nonce)), 20);
    assert_eq!(code(&miner.submit(&id, EN2, late, nonce)), 22);
    assert_eq!((miner.blocks.len(), miner.log.len()), (2, 1));
    // Stale.
    miner.work(job(2, template(2, EASY)));
    let nonce = solving(NTIME, nonce + 100);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, nonce)), 21);
    assert_eq!((miner.blocks.len(), miner.log.len()), (3, 1));
}

#[test]
fn what_the_log_refuses_is_not_accepted_and_may_come_again() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    miner.log_takes = None;
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 20);
    miner.log_takes = Some(false);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 21, "its epoch is closed");
    miner.log_takes = Some(true);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 0);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 22);
    let standing = miner.standing();
    assert_eq!((standing.accepted, standing.rejected), (1, 3));
    assert_eq!(miner.log.len(), 1);
}

#[test]
fn a_share_is_remembered_over_two_restarts_with_no_job_in_between() {
    let mut miner = Miner::working();
    let id = miner.job_id();
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 0);
    for _ in 0..2 {
        let kept = miner.session.keep().unwrap();
        miner.session = Session::resume(Arc::new(rules()), &kept, miner.now).unwrap();
    }
    let work = Work::Header(Arc::new(miner.work.clone().unwrap()));
    let mut said = Vec::new();
    miner.session.work(&work, miner.now, &mut said);
    assert!(said.is_empty(), "the miner has this job");
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 1)), 22);
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 2)), 0);
}

#[test]
fn a_clock_that_jumps_does_not_refuse_all_work() {
    for jump in [-100_000_000i64, 100_000_000] {
        let mut miner = Miner::working();
        miner.now = Timestamp::from_secs(i64::from(NTIME) + jump);
        assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 1)), 0, "{jump}");
        assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME + 500, 1)), 0, "{jump}");
        assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME + 7001, 1)), 20, "{jump}");
        assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME - 1, 1)), 20, "{jump}");
    }
}

#[test]
fn several_machines_behind_one_connection_keep_their_own_work() {
    let mut miner = Miner::working();
    miner.say(r#"{"id":5,"method":"mining.authorize","params":["v","x"]}"#);
    let id = miner.job_id();
    for (user, nonce) in [("w", 1), ("v", 2)] {
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["{user}","{id}","{EN2}","{NTIME:08x}","{nonce:08x}"]}}"#
        );
        assert_eq!(code(&miner.say(&line)[0]), 0);
        assert_eq!(miner.log.last().unwrap().machine, crate::miner::machine(user));
    }
    // Logging in again replaces; logging in without end is refused.
    for n in 0..62 {
        let line = format!(r#"{{"id":4,"method":"mining.authorize","params":["u{n}","x"]}}"#);
        assert_eq!(code(&miner.say(&line)[0]), 0);
    }
    let line = r#"{"id":4,"method":"mining.authorize","params":["one-more","x"]}"#;
    // A proxy with more machines than that asks for each of them, and again.
    for _ in 0..3 * limits::LOGINS_REFUSED_MAX {
        assert_eq!(code(&miner.say(line)[0]), 24, "64 at most");
    }
    assert_eq!(miner.closed, None, "and the 64 go on");
    let again = r#"{"id":4,"method":"mining.authorize","params":["u7","x"]}"#;
    assert_eq!(code(&miner.say(again)[0]), 0, "who is in may say so again");
    assert_eq!(code(&miner.submit(&id, EN2, NTIME, 3)), 0);
    assert_eq!(code(&miner.say(line)[0]), 24);
}

/// The counter comes to a living session's prefix again after 2^32 others.
#[test]
fn another_extranonce_is_never_one_that_lives() {
    let mut rules = rules();
    rules.class_range = (class(0), class(40));
    rules.prefixes = Arc::new(0xa1b2_c3d4.into());
    let prefixes = Arc::clone(&rules.prefixes);
    let mut miner = Miner::connect(rules);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#);
    miner.say(r#"{"id":3,"method":"mining.authorize","params":["w","x"]}"#);
    miner.work(job(1, template(1, HARD)));
    let mut told = Vec::new();
    for d in ["0.5", "0.25", "0.5", "0.25"] {
        let wish = format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{d}]}}"#);
        let heard = miner.say(&wish);
        let changes = heard.iter().filter(|l| method(l) == "mining.set_extranonce");
        told.extend(changes.map(|l| l["params"][0].as_str().unwrap().to_owned()));
    }
    assert_eq!(told, ["a1b2c3d5", "a1b2c3d6"], "the first is its own, and jobs live under it");
    assert_eq!(prefixes.position(), 0xa1b2_c3d7);
}

/// NiceHash ends an order at a pool that gives less; with silence others are eased without end.
#[test]
fn silence_never_brings_a_rental_below_its_least_difficulty() {
    for (algorithm, least) in [(Algorithm::Sha256d, 51), (Algorithm::Scrypt, 35)] {
        for (agent, is_bounded) in [("NiceHash/1.0.0", true), ("cgminer/4.10.0", false)] {
            let rules = SessionRules::new(algorithm, (class(0), class(60)), class(55));
            let mut miner = Miner::connect(rules);
            miner.say(&format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
            miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","d=1,md=1"]}"#);
            for n in 0..10 {
                miner.work(job(n, template(1, 0x1703_31db)));
                miner.wait(30);
            }
            let own = miner.session.class();
            assert_eq!(own >= class(least), is_bounded, "{agent}: {own:?}");
        }
    }
}

#[test]
fn a_restart_that_lowers_the_hardest_class_gives_the_easier_job_as_clean() {
    let mut wide = rules();
    wide.class_range = (class(0), class(40));
    let mut miner = Miner::connect(wide);
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","d=0.5"]}"#);
    miner.work(job(1, template(1, HARD)));
    assert_eq!(miner.session.class(), class(31));
    let kept = miner.session.keep().unwrap();
    let mut narrow = rules();
    narrow.class_range = (class(0), class(20));
    let mut session = Session::resume(Arc::new(narrow), &kept, miner.now).unwrap();
    let mut said = Vec::new();
    let work = Work::Header(Arc::new(miner.work.clone().unwrap()));
    session.work(&work, miner.now, &mut said);
    let said = String::from_utf8(said).unwrap();
    let heard: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let methods: Vec<_> = heard.iter().map(method).collect();
    assert_eq!(methods, ["mining.set_difficulty", "mining.notify"]);
    assert_eq!(heard[1]["params"][8], true, "the older job is harder than what was told with it");
    assert_eq!(session.class(), class(20));
}

#[test]
fn passwords_cannot_be_guessed_on_one_connection() {
    let mut miner = Miner::connect(rules());
    let mut guesses = 0;
    while miner.closed.is_none() {
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","wrong"]}"#);
        guesses += 1;
        assert!(guesses <= 6);
    }
    assert_eq!(miner.closed, Some(gruve_stratum::session::CloseReason::Logins));
}

#[test]
fn an_idle_session_is_closed_and_a_talking_one_is_not() {
    let mut miner = Miner::working();
    miner.wait(800);
    miner.say_bytes(b"\n");
    miner.wait(800);
    assert_eq!(miner.closed, None);
    miner.wait(200);
    assert_eq!(miner.closed, Some(gruve_stratum::session::CloseReason::Idle));
}

#[test]
fn difficulties_are_written_exactly() {
    for (k, expected) in [(0u8, 2f64.powi(-32)), (20, 2f64.powi(-12)), (31, 0.5), (32, 1.0)] {
        let mut rules = rules();
        (rules.class_range, rules.start_class) = ((class(k), class(k)), class(k));
        let mut miner = Miner::connect(rules);
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
        let heard = miner.work(job(1, template(1, HARD)));
        let text = heard[0]["params"][0].to_string();
        assert!(!text.contains(['e', 'E']), "{text}: some firmware reads no exponents");
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), expected.to_bits());
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        "\"[ -~]{0,20}\"",
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?(e[0-9]{1,3})?",
        Just("\"w\"".to_owned()),
        Just(format!("\"{EN2}\"")),
        Just(format!("\"{NTIME:08x}\"")),
        Just(format!("\"{FIRST:016x}00\"")),
        Just(r#"["version-rolling"]"#.to_owned()),
        Just(r#"{"version-rolling.mask":"zz"}"#.to_owned()),
    ];
    let method = prop_oneof![
        Just("mining.submit"),
        Just("mining.subscribe"),
        Just("mining.authorize"),
        Just("mining.configure"),
        Just("mining.suggest_difficulty"),
        Just("mining.suggest_target"),
        Just("mining.extranonce.subscribe"),
        Just("x(1,2"),
    ];
    (value.clone(), method, proptest::collection::vec(value, 0..8)).prop_map(
        |(id, method, params)| {
            format!(r#"{{"id":{id},"method":"{method}","params":[{}]}}"#, params.join(","))
        },
    )
}

proptest! {
    #[test]
    fn no_sequence_of_lines_panics_or_is_answered_with_anything_but_json(
        lines in proptest::collection::vec(any_line(), 1..40), working in any::<bool>(),
    ) {
        let mut miner = if working { Miner::working() } else { Miner::connect(rules()) };
        let asked = lines.len();
        let heard = miner.say(&lines.join("\n"));
        prop_assert!(heard.len() <= asked * 3);
        for line in heard.iter().filter(|l| method(l).is_empty()) {
            prop_assert!(line.get("result").is_some() && line.get("error").is_some());
        }
        miner.work(job(50, template(3, HARD)));
        miner.now = miner.now.plus(Duration::from_secs(1));
        miner.wait(2);
    }

    #[test]
    fn every_accepted_share_is_a_share_and_none_is_accepted_twice(
        tries in proptest::collection::vec((0u8..3, 0u32..40, 0u32..3), 1..60),
    ) {
        let mut miner = Miner::working();
        miner.say(r#"{"id":3,"method":"mining.configure","params":[["version-rolling"],{}]}"#);
        let id = miner.job_id();
        for (en2, nonce, roll) in tries {
            let line = format!(
                r#"{{"id":4,"method":"mining.submit","params":["w","{id}","{en2:016X}","{NTIME:08x}","{nonce:08x}","{:08x}"]}}"#,
                roll << 13
            );
            miner.say(&line);
        }
        let mut seen = std::collections::HashSet::new();
        for s in &miner.log {
            prop_assert!(seen.insert((s.job, s.class, s.extranonce, s.ntime, s.nonce, s.version)));
        }
        prop_assert!(!miner.log.is_empty());
    }
}
