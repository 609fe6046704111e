//! Which times a share's header may have, to the second, by a clock that the test sets.

use crate::miner::{EN2, FIRST, HARD, Miner, NTIME, code, job, rules, template};
use gruve_units::Timestamp;

/// A session whose job's time is this and whose clock shows so many seconds more.
fn miner(ntime: u32, clock: i64) -> Miner {
    let mut miner = Miner::connect(rules());
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    let mut template = template(1, HARD);
    (template.cur_time, template.min_time) = (ntime, ntime.saturating_sub(600));
    miner.work(job(FIRST, template));
    miner.now = Timestamp::from_secs(i64::from(ntime) + clock);
    miner
}

#[test]
fn a_shares_time_is_good_from_its_jobs_own_to_the_last_second_of_what_job_and_clock_allow() {
    // What the clock shows beside the job's time, and how far beyond that a share's may be.
    for (clock, last) in [
        // The job's 7,000 seconds are less than what the clock allows.
        (0, 7_000),
        (86_400, 7_000),
        (-199, 7_000),
        (-200, 7_000),
        // The clock's 7,200 are less.
        (-201, 6_999),
        (-1_000, 6_200),
        (-6_599, 601),
        (-6_600, 600),
        // A clock that jumped back: 600 of the job are always good.
        (-6_601, 600),
        (-7_200, 600),
        (-100_000, 600),
        // Before 1970.
        (-i64::from(NTIME) - 5_000, 600),
    ] {
        let mut miner = miner(NTIME, clock);
        let id = miner.job_id();
        let mut answer = |ntime: u32| {
            let reply = miner.submit(&id, EN2, ntime, 1);
            (code(&reply), reply["error"][1].as_str().unwrap_or("").to_owned())
        };
        let (good, out) = ((0, String::new()), (20, "ntime out of range".to_owned()));
        assert_eq!(
            answer(NTIME - 1),
            out,
            "{clock}: before the job's, though the chain would take it"
        );
        assert_eq!(answer(NTIME), good, "{clock}");
        assert_eq!(answer(NTIME + last), good, "{clock}");
        assert_eq!(answer(NTIME + last + 1), out, "{clock}");
    }
}

#[test]
fn where_the_seconds_end_no_time_wraps() {
    let own = u32::MAX - 100;
    let mut miner = miner(own, 0);
    let id = miner.job_id();
    for (ntime, expected) in [(own, 0), (u32::MAX, 0), (0, 20), (own - 1, 20)] {
        assert_eq!(code(&miner.submit(&id, EN2, ntime, 1)), expected, "{ntime}");
    }
}
