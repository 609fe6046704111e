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
        let mut wire = Wire::with(rules);
        wire.now = poisson::stamp(0.0);
        let flags = if is_standard { REQUIRES_STANDARD_JOBS } else { REQUIRES_VERSION_ROLLING };
        wire.say(&setup(flags));
        wire.give(job(1, template(1, NETWORK)));
        let mut line = Line {
            wire,
            channel: 0,
            is_standard,
            jobs: 1,
            works: Vec::new(),
            is_future: false,
            newest: start,
            told: start,
            shares: 0,
        };
        let open = if is_standard {
            open_standard(1, "alice.rig", 0.0)
        } else {
            open_extended(1, "alice.rig", 0.0, 0)
        };
        let heard = line.wire.say(&open);
        line.channel = match &heard[0] {
            Heard::Standard(open) => open.channel_id,
            Heard::Extended(open) => open.channel_id,
            other => panic!("{other:?}"),
        };
        line.read(heard);
        assert_eq!(line.works.len(), 1);
        line
    }

    fn read(&mut self, heard: Vec<Heard>) {
        for one in heard {
            match one {
                Heard::Target(target) => {
                    let told = target.maximum_target.to_array();
                    self.told = (0..=78).map(class).find(|c| target_bytes(c.k()) == told).unwrap();
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

impl Pool for Line {
    fn submit(&mut self, work: usize, now: Timestamp) {
        self.shares += 1;
        let (channel, number, nonce) = (self.channel, self.works[work], self.shares);
        let frame = if self.is_standard {
            shares::standard(channel, number, nonce, NTIME, 0x2000_0000)
        } else {
            shares::extended(channel, number, nonce, &[7; 8])
        };
        let session = &mut self.wire.session;
        let (mut round, mut out) = (Round::default(), Vec::new());
        let (part, _, step) = round.receive(session, &frame, now);
        assert!(matches!(step, Step::Continue));
        let [candidate] = &round.candidates[..] else { panic!("{:?}", hear(&round.text)) };
        let judged = session.judge(candidate, &solved(candidate.share.class), now);
        assert!(judged.block.is_none());
        round.answer(session, part, &[judged.verdict], &mut out);
        session.settle(now, &mut out);
        self.read(hear(&out));
        assert_eq!(self.wire.session.counts(), (u64::from(self.shares), 0));
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
