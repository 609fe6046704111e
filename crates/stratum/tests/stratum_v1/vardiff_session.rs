//! The difficulty control as machines behind a session meet it. The control by itself may say another class at any moment
//! (`vardiff.rs`). A session may give it only with a job that was not given at that class before: who understands another
//! extranonce gets the newest one under that, all others wait for the next, for half a minute at most; and while a change waits, the
//! control stands still.

use crate::jobs::{class, job, machine, template};
use crate::poisson::{self, NETWORK, Pool, solved};
use gruve_sharelog::Owner;
use gruve_stratum::protocol::{Admitted, Protocol as _, Round, Step, Work};
use gruve_stratum::session::{Session, SessionRules};
use gruve_stratum::{Authorized, WorkState};
use gruve_units::{Algorithm, Class, Duration, Timestamp};
use std::sync::Arc;

/// A V1 miner's connection: logged in, with a job.
struct Line {
    session: Session,
    rules: SessionRules,
    takes_extranonces: bool,
    /// What is remembered of its machine.
    remembered: Option<Class>,
    work: WorkState,
    jobs: u64,
    /// The names of the works it was given.
    works: Vec<String>,
    newest: Class,
    /// The class of the last `mining.set_difficulty`.
    told: Option<u8>,
    shares: u64,
    round: Round,
    out: Vec<u8>,
}

impl Line {
    fn connect(rules: SessionRules, takes_extranonces: bool) -> Line {
        let now = poisson::stamp(0.0);
        let work = WorkState::of(Algorithm::Sha256d, job(1, template(1, NETWORK)));
        let mut line = Line {
            session: Session::new(Arc::new(rules.clone()), [1, 2, 3, 4], now),
            newest: rules.start_class,
            rules,
            takes_extranonces,
            remembered: None,
            work,
            jobs: 1,
            works: Vec::new(),
            told: None,
            shares: 0,
            round: Round::default(),
            out: Vec::new(),
        };
        line.begin(now);
        line
    }

    fn begin(&mut self, now: Timestamp) {
        self.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1"]}"#, now);
        if self.takes_extranonces {
            self.say(r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#, now);
        }
        self.say(r#"{"id":3,"method":"mining.authorize","params":["w","x"]}"#, now);
        self.hear_work(now);
        assert_eq!(self.works.len(), 1);
    }

    fn hear_work(&mut self, now: Timestamp) {
        let work = Work::Header(Arc::new(self.work.clone()));
        self.session.work(&work, now, &mut self.out);
        self.read();
    }

    fn say(&mut self, line: &str, now: Timestamp) {
        self.round.clear();
        let input = format!("{line}\n");
        let (part, taken, step) = self.round.receive(&mut self.session, input.as_bytes(), now);
        assert_eq!(taken, input.len());
        let mut outcomes = Vec::new();
        for candidate in &self.round.candidates {
            let judged = self.session.judge(candidate, &solved(candidate.share.class), now);
            assert!(judged.block.is_none());
            outcomes.push(judged.verdict);
        }
        self.round.answer(&mut self.session, part, &outcomes, &mut self.out);
        match step {
            Step::Authorize { user, password } => {
                let who = Authorized { owner: Owner::House, machine: machine(&user) };
                let admitted = Ok(Admitted { who, class: self.remembered });
                self.session.authorized(&admitted, &password, now, &mut self.out);
            }
            Step::Continue => self.session.settle(now, &mut self.out),
            Step::Close(reason) => panic!("{reason:?}"),
        }
        self.read();
    }

    /// What the miner hears: works, each after the difficulty that it is for, and no refusal.
    fn read(&mut self) {
        let heard = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        let behind = |line: &str, what: &str| -> String {
            let at = line.find(what).unwrap() + what.len();
            line[at..].chars().take_while(|c| !matches!(c, '"' | ']' | ',')).collect()
        };
        for line in heard.lines() {
            if line.contains("\"method\":\"mining.set_difficulty\"") {
                let difficulty: f64 = behind(line, "\"params\":[").parse().unwrap();
                self.told = (0..=78).find(|k| difficulty.log2() < f64::from(*k) - 31.5);
            } else if line.contains("\"method\":\"mining.notify\"") {
                let name = behind(line, "\"params\":[\"");
                let k = u8::from_str_radix(&name[16..18], 16).unwrap();
                assert_eq!(self.told, Some(k), "told before its job");
                assert!(!self.works.contains(&name), "no work comes twice");
                self.newest = class(k);
                self.works.push(name);
            } else {
                let is_fine = line.contains("\"error\":null") || line.contains("\"id\":null");
                assert!(is_fine || line.contains("client.get_version"), "{line}");
            }
        }
    }
}

impl Pool for Line {
    fn submit(&mut self, work: usize, now: Timestamp) -> bool {
        self.shares += 1;
        let (name, extranonce, ntime) = (&self.works[work], self.shares, crate::jobs::NTIME);
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{name}","{extranonce:016x}","{ntime:08x}","00000001"]}}"#
        );
        let (before, _) = self.session.counts();
        self.say(&line, now);
        assert_eq!(self.session.counts(), (before + 1, 0));
        true
    }

    fn tick(&mut self, now: Timestamp) {
        assert_eq!(self.session.tick(now, &mut self.out), None);
        self.read();
    }

    fn refresh(&mut self, now: Timestamp) {
        self.jobs += 1;
        self.work = self.work.with(job(self.jobs, template(1, NETWORK)), 24);
        self.hear_work(now);
    }

    fn newest(&self) -> (usize, Class) {
        (self.works.len() - 1, self.newest)
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.session.found(true, &mut |_, class| self.remembered = Some(class));
        self.session = Session::new(Arc::new(self.rules.clone()), [1, 2, 3, 4], now);
        (self.works, self.told) = (Vec::new(), None);
        self.begin(now);
    }
}

fn with_extranonces(start: Class, interval: Duration) -> Line {
    Line::connect(poisson::rules(start, interval), true)
}

fn without(start: Class, interval: Duration) -> Line {
    Line::connect(poisson::rules(start, interval), false)
}

#[test]
fn any_machine_that_takes_extranonces_has_its_class_after_a_minute() {
    let off = poisson::off_after(400, with_extranonces);
    assert!(off.iter().all(|n| *n <= 8), "{off:?} of 400 more than 1.5 bits off");
}

#[test]
fn any_machine_that_takes_none_has_its_class_after_a_minute_and_the_next_job() {
    let off = poisson::off_after(400, without);
    assert!(off[1..].iter().all(|n| *n <= 8), "{off:?} of 400 more than 1.5 bits off");
}

#[test]
fn a_machine_that_slows_down_or_speeds_up_is_followed_within_three_minutes_and_the_next_job() {
    for (connect, from) in [(with_extranonces as fn(_, _) -> _, 0), (without, 1)] {
        let off = poisson::off_after_a_change(200, connect);
        assert!(off[from..].iter().all(|n| *n <= 8), "{off:?} of 200 more than 1.5 bits off");
    }
}

#[test]
fn a_steady_machine_behind_a_session_stays_in_its_class() {
    for connect in [with_extranonces as fn(_, _) -> _, without] {
        let changes = poisson::changes_in_an_hour(25, connect);
        assert!(changes <= 12, "{changes} changes in 25 machine hours");
    }
}

#[test]
fn shares_held_up_on_a_line_and_then_read_at_once_change_hardly_anything() {
    for connect in [with_extranonces as fn(_, _) -> _, without] {
        let changes = poisson::changes_after_stalls(60, connect);
        assert!(changes <= 3, "{changes} changes in 60 stalls");
    }
}

#[test]
fn a_machine_that_was_off_is_at_the_easiest_class_and_has_its_own_again_a_minute_after_it_is_on() {
    for connect in [with_extranonces as fn(_, _) -> _, without] {
        let off = poisson::off_after_silence(60, connect);
        assert_eq!(off[0], 0, "eased as far as may be");
        assert!(off[2] <= 2, "{off:?} of 60");
        assert!(off[1] <= 6, "{off:?} of 60");
    }
}

#[test]
fn who_connects_anew_again_and_again_is_credited_what_it_hashes_and_keeps_its_class() {
    for connect in [with_extranonces as fn(_, _) -> _, without] {
        for every in [20.0, 45.0, 90.0, 600.0] {
            let seen = poisson::reconnecting(every, connect);
            assert!(seen.beyond.abs() <= 4.0, "every {every} s: {seen:?}");
            assert!(seen.changes <= 16 && seen.worst <= 4.0, "every {every} s: {seen:?}");
        }
    }
}
