//! The difficulty control as machines behind V2 channels meet it: see the same of V1. An extended channel waits for the next job where
//! the newest was given at the class before; a standard one gets it under another prefix.

use crate::client::*;
use crate::poisson::{self, NETWORK, Pool, solved};
use crate::shares;
use gruve_stratum::protocol::{Protocol as _, Round, Step};
use gruve_stratum::session::SessionRules;
use gruve_units::{Class, Duration, Timestamp};

/// A client's connection with one channel.
struct Line {
    wire: Wire,
    rules: SessionRules,
    channel: u32,
    is_standard: bool,
    jobs: u64,
    /// The numbers of the works it was given, and whether the last is still to be activated.
    works: Vec<u32>,
    is_future: bool,
    newest: Class,
    /// The class of the last target.
    told: Class,
    shares: u32,
}

impl Line {
    fn connect(rules: SessionRules, is_standard: bool) -> Line {
        let start = rules.start_class;
        let mut line = Line {
            wire: Wire::with(rules.clone()),
            rules,
            channel: 0,
            is_standard,
            jobs: 1,
            works: Vec::new(),
            is_future: false,
            newest: start,
            told: start,
            shares: 0,
        };
        line.begin(poisson::stamp(0.0));
        line
    }

    fn begin(&mut self, now: Timestamp) {
        self.wire.now = now;
        let flags =
            if self.is_standard { REQUIRES_STANDARD_JOBS } else { REQUIRES_VERSION_ROLLING };
        self.wire.say(&setup(flags));
        self.wire.give(job(self.jobs, template(1, NETWORK)));
        let open = if self.is_standard {
            open_standard(1, "alice.rig", 0.0)
        } else {
            open_extended(1, "alice.rig", 0.0, 0)
        };
        let heard = self.wire.say(&open);
        let target = match &heard[0] {
            Heard::Standard(open) => (open.channel_id, open.target.to_array()),
            Heard::Extended(open) => (open.channel_id, open.target.to_array()),
            other => panic!("{other:?}"),
        };
        self.channel = target.0;
        self.told = class_of(target.1);
        self.read(heard);
        assert_eq!(self.works.len(), 1);
    }

    fn read(&mut self, heard: Vec<Heard>) {
        for one in heard {
            match one {
                Heard::Target(target) => {
                    self.told = class_of(target.maximum_target.to_array());
                }
                Heard::ExtendedJob(job) => self.take(job.job_id, job.is_future()),
                Heard::Job(job) => self.take(job.job_id, job.min_ntime.as_ref().is_none()),
                Heard::PrevHash(tip) => {
                    assert_eq!((self.works.last(), self.is_future), (Some(&tip.job_id), true));
                    (self.newest, self.is_future) = (self.told, false);
                }
                Heard::Refused(_, code) => panic!("refused: {code}"),
                _ => {}
            }
        }
        assert!(!self.is_future, "activated in the same write");
    }

    fn take(&mut self, number: u32, is_future: bool) {
        assert!(!self.works.contains(&number), "no work comes twice");
        self.works.push(number);
        (self.newest, self.is_future) = (self.told, is_future);
    }
}

/// The class of this target.
fn class_of(target: [u8; 32]) -> Class {
    (0..=78).map(class).find(|c| target_bytes(c.k()) == target).unwrap()
}

impl Pool for Line {
    fn submit(&mut self, work: usize, now: Timestamp) -> bool {
        self.shares += 1;
        let (channel, number, nonce) = (self.channel, self.works[work], self.shares);
        let frame = if self.is_standard {
            shares::standard(channel, number, nonce, NTIME, 0x2000_0000)
        } else {
            shares::extended(channel, number, nonce, &[7; 8])
        };
        let session = &mut self.wire.session;
        let (before, _) = session.counts();
        let (mut round, mut out) = (Round::default(), Vec::new());
        let (part, _, step) = round.receive(session, &frame, now);
        assert!(matches!(step, Step::Continue));
        let [candidate] = &round.candidates[..] else { panic!("{:?}", hear(&round.text)) };
        let judged = session.judge(candidate, &solved(candidate.share.class), now);
        assert!(judged.block.is_none());
        round.answer(session, part, &[judged.verdict], &mut out);
        session.settle(now, &mut out);
        self.read(hear(&out));
        assert_eq!(self.wire.session.counts(), (before + 1, 0));
        true
    }

    fn tick(&mut self, now: Timestamp) {
        let mut out = Vec::new();
        assert_eq!(self.wire.session.tick(now, &mut out), None);
        self.read(hear(&out));
    }

    fn refresh(&mut self, now: Timestamp) {
        self.jobs += 1;
        self.wire.now = now;
        let heard = self.wire.give(job(self.jobs, template(1, NETWORK)));
        self.read(heard);
    }

    fn newest(&self) -> (usize, Class) {
        (self.works.len() - 1, self.newest)
    }

    fn reconnect(&mut self, now: Timestamp) {
        let mut found = self.wire.last_class;
        self.wire.session.found(true, &mut |_, class| found = Some(class));
        self.wire = Wire::with(self.rules.clone());
        self.wire.last_class = found;
        self.works.clear();
        self.begin(now);
    }
}

fn standard(start: Class, interval: Duration) -> Line {
    Line::connect(poisson::rules(start, interval), true)
}

fn extended(start: Class, interval: Duration) -> Line {
    Line::connect(poisson::rules(start, interval), false)
}

#[test]
fn any_machine_behind_a_standard_channel_has_its_class_after_a_minute() {
    let off = poisson::off_after(400, standard);
    assert!(off.iter().all(|n| *n <= 8), "{off:?} of 400 more than 1.5 bits off");
}

#[test]
fn any_machine_behind_an_extended_channel_has_its_class_after_a_minute_and_the_next_job() {
    let off = poisson::off_after(400, extended);
    assert!(off[1..].iter().all(|n| *n <= 8), "{off:?} of 400 more than 1.5 bits off");
}

#[test]
fn a_machine_that_slows_down_or_speeds_up_is_followed_within_three_minutes_and_the_next_job() {
    for (connect, from) in [(standard as fn(_, _) -> _, 0), (extended, 1)] {
        let off = poisson::off_after_a_change(200, connect);
        assert!(off[from..].iter().all(|n| *n <= 8), "{off:?} of 200 more than 1.5 bits off");
    }
}

#[test]
fn a_steady_machine_behind_a_channel_stays_in_its_class() {
    for connect in [standard as fn(_, _) -> _, extended] {
        let changes = poisson::changes_in_an_hour(25, connect);
        assert!(changes <= 12, "{changes} changes in 25 machine hours");
    }
}

#[test]
fn shares_held_up_on_a_line_and_then_read_at_once_change_hardly_anything() {
    for connect in [standard as fn(_, _) -> _, extended] {
        let changes = poisson::changes_after_stalls(60, connect);
        assert!(changes <= 3, "{changes} changes in 60 stalls");
    }
}

#[test]
fn a_machine_that_was_off_is_at_the_easiest_class_and_has_its_own_again_a_minute_after_it_is_on() {
    for connect in [standard as fn(_, _) -> _, extended] {
        let off = poisson::off_after_silence(60, connect);
        assert_eq!(off[0], 0, "eased as far as may be");
        assert!(off[2] <= 2, "{off:?} of 60");
        assert!(off[1] <= 6, "{off:?} of 60");
    }
}

#[test]
fn who_connects_anew_again_and_again_is_credited_what_it_hashes_and_keeps_its_class() {
    for connect in [standard as fn(_, _) -> _, extended] {
        for every in [20.0, 45.0, 90.0, 600.0] {
            let seen = poisson::reconnecting(every, connect);
            assert!(seen.beyond.abs() <= 4.0, "every {every} s: {seen:?}");
            assert!(seen.changes <= 16 && seen.worst <= 4.0, "every {every} s: {seen:?}");
        }
    }
}
