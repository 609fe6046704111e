//! The difficulty control as machines behind NiceHash's dialect meet it: see the same of V1. Here another class comes with another
//! header only, and the first header of a connection has the free class.

use crate::jobs::class;
use crate::poisson::{self, Pool, solved};
use crate::rig::{lines_of, pow};
use gruve_chain::NodeWork;
use gruve_sharelog::Owner;
use gruve_stratum::eth::{EthSession, EthState, EthWork, Sessions};
use gruve_stratum::protocol::{Admitted, Protocol as _, Round, Step, Work};
use gruve_stratum::session::SessionRules;
use gruve_stratum::{Authorized, limits};
use gruve_units::{
    Algorithm, Class, Duration, EpochNumber, JobId, MachineId, SeededEntropy, Timestamp,
};
use std::sync::Arc;

/// How often a node has another header: geth makes one anew every three seconds while there are transactions; where there are none, with
/// each block.
const REMAKES: f64 = 3.0;
const BLOCKS: f64 = 13.0;

const MACHINE: MachineId = MachineId::from_bytes([7; 16]);

/// A miner's connection: logged in, with work.
struct Line {
    sessions: Sessions,
    session: EthSession,
    /// What is remembered of its machine.
    remembered: Option<Class>,
    state: Arc<EthState>,
    headers: u64,
    refresh_secs: f64,
    /// The names of the works it was given.
    works: Vec<String>,
    newest: Class,
    /// The class of the last `mining.set_difficulty`.
    told: Option<u8>,
    shares: u64,
    round: Round,
    out: Vec<u8>,
}

/// A header of its own, always at the same height: what comes late is not stale.
fn work(number: u64) -> Arc<EthWork> {
    let mut header_hash = [0; 32];
    header_hash[..8].copy_from_slice(&number.to_be_bytes());
    let target = class(78).target();
    let node = NodeWork { header_hash, seed_hash: [0; 32], target, height: Some(100) };
    let at = poisson::stamp(0.0);
    Arc::new(EthWork::new(JobId(number), EpochNumber(7), &node, at, pow()))
}

impl Line {
    fn connect(start: Class, interval: Duration, refresh_secs: f64) -> Line {
        let mut rules = SessionRules::new(Algorithm::Ethash, (class(0), class(78)), start);
        rules.share_interval = interval;
        let sessions = Sessions::new(Arc::new(rules), &SeededEntropy::new(5));
        let now = poisson::stamp(0.0);
        let mut line = Line {
            session: sessions.open(now),
            sessions,
            remembered: None,
            state: Arc::new(EthState::of(work(1))),
            headers: 1,
            refresh_secs,
            works: Vec::new(),
            newest: start,
            told: None,
            shares: 0,
            round: Round::default(),
            out: Vec::new(),
        };
        line.begin(now);
        line
    }

    fn begin(&mut self, now: Timestamp) {
        self.hear_work(now);
        let subscribe =
            r#"{"id":1,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#;
        self.say(subscribe, now);
        self.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#, now);
        assert_eq!(self.works.len(), 1);
    }

    fn hear_work(&mut self, now: Timestamp) {
        self.session.work(&Work::Ethash(Arc::clone(&self.state)), now, &mut self.out);
        self.read();
    }

    /// Says a line; whether all shares in it were taken.
    fn say(&mut self, line: &str, now: Timestamp) -> bool {
        self.round.clear();
        let input = format!("{line}\n");
        let (part, taken, step) = self.round.receive(&mut self.session, input.as_bytes(), now);
        assert_eq!(taken, input.len());
        let judged = |c: &_, session: &mut EthSession| {
            let c: &gruve_stratum::protocol::Candidate = c;
            session.judge(c, &solved(c.share.class), now).verdict
        };
        let outcomes: Vec<_> =
            self.round.candidates.iter().map(|c| judged(c, &mut self.session)).collect();
        self.round.answer(&mut self.session, part, &outcomes, &mut self.out);
        match step {
            Step::Authorize { password, .. } => {
                let who = Authorized { owner: Owner::House, machine: MACHINE };
                let admitted = Ok(Admitted { who, class: self.remembered });
                self.session.authorized(&admitted, &password, now, &mut self.out);
            }
            Step::Continue => self.session.settle(now, &mut self.out),
            Step::Close(reason) => panic!("{reason:?}"),
        }
        self.read();
        outcomes.iter().all(Result::is_ok)
    }

    /// What the miner hears: works, each after the difficulty that it is for.
    fn read(&mut self) {
        let heard = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        for line in lines_of(&heard) {
            match line["method"].as_str() {
                Some("mining.set_difficulty") => {
                    let difficulty = line["params"][0].as_f64().unwrap();
                    self.told = (0..=78).find(|k| difficulty.log2() < f64::from(*k) - 31.5);
                }
                Some("mining.notify") => {
                    let name = line["params"][0].as_str().unwrap().to_owned();
                    let k = u8::from_str_radix(&name[16..], 16).unwrap();
                    assert_eq!(self.told, Some(k), "told before its job");
                    assert!(!self.works.contains(&name), "no work comes twice");
                    self.newest = class(k);
                    self.works.push(name);
                }
                _ => {
                    let is_full = line["error"][1] == "too many shares of one job";
                    assert!(line["error"].is_null() || is_full, "{line}");
                }
            }
        }
    }
}

impl Pool for Line {
    fn submit(&mut self, work: usize, now: Timestamp) -> bool {
        self.shares += 1;
        let (name, nonce) = (&self.works[work], self.shares);
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{name}","{nonce:012x}"]}}"#
        );
        self.say(&line, now)
    }

    fn tick(&mut self, now: Timestamp) {
        assert_eq!(self.session.tick(now, &mut self.out), None);
        self.read();
    }

    fn refresh(&mut self, now: Timestamp) {
        self.headers += 1;
        self.state = Arc::new(self.state.with(work(self.headers), limits::ETH_WORKS_MAX));
        self.hear_work(now);
    }

    fn newest(&self) -> (usize, Class) {
        (self.works.len() - 1, self.newest)
    }

    fn reconnect(&mut self, now: Timestamp) {
        self.session.found(true, &mut |_, class| self.remembered = Some(class));
        self.session = self.sessions.open(now);
        (self.works, self.told) = (Vec::new(), None);
        self.begin(now);
    }

    fn refresh_secs(&self) -> f64 {
        self.refresh_secs
    }
}

fn remade(start: Class, interval: Duration) -> Line {
    Line::connect(start, interval, REMAKES)
}

fn by_blocks(start: Class, interval: Duration) -> Line {
    Line::connect(start, interval, BLOCKS)
}

#[test]
fn any_machine_on_a_node_that_remakes_its_block_has_its_class_after_a_minute() {
    let off = poisson::off_after(100, remade);
    assert!(off.iter().all(|n| *n <= 3), "{off:?} of 100 more than 1.5 bits off");
}

#[test]
fn any_machine_on_a_node_with_a_header_a_block_has_its_class_after_two_minutes() {
    let off = poisson::off_after(100, by_blocks);
    assert!(off[2..].iter().all(|n| *n <= 5), "{off:?} of 100 more than 1.5 bits off");
    assert!(off[0] <= 32, "{off:?}: what waits for a header is not revised");
}

#[test]
fn a_machine_that_slows_down_or_speeds_up_is_followed_within_three_minutes_and_the_next_header() {
    for (connect, from) in [(remade as fn(_, _) -> _, 0), (by_blocks, 1)] {
        let off = poisson::off_after_a_change(80, connect);
        assert!(off[from..].iter().all(|n| *n <= 4), "{off:?} of 80 more than 1.5 bits off");
    }
}

#[test]
fn a_steady_machine_stays_in_its_class() {
    for connect in [remade as fn(_, _) -> _, by_blocks] {
        let changes = poisson::changes_in_an_hour(20, connect);
        assert!(changes <= 10, "{changes} changes in 20 machine hours");
    }
}

#[test]
fn shares_held_up_on_a_line_and_then_read_at_once_change_hardly_anything() {
    for connect in [remade as fn(_, _) -> _, by_blocks] {
        let changes = poisson::changes_after_stalls(40, connect);
        assert!(changes <= 2, "{changes} changes in 40 stalls");
    }
}

#[test]
fn a_machine_that_was_off_is_at_the_easiest_class_and_has_its_own_again_two_minutes_after_it_is_on()
{
    for connect in [remade as fn(_, _) -> _, by_blocks] {
        let off = poisson::off_after_silence(40, connect);
        assert_eq!(off[0], 0, "eased as far as may be");
        assert!(off[2] <= 2, "{off:?} of 40");
    }
}

/// Though the header that is there has the free class for it every time.
#[test]
fn who_connects_anew_again_and_again_is_credited_what_it_hashes_and_keeps_its_class() {
    for connect in [remade as fn(_, _) -> _, by_blocks] {
        for every in [20.0, 45.0, 90.0, 600.0] {
            let seen = poisson::reconnecting(every, connect);
            assert!(seen.beyond.abs() <= 4.0, "every {every} s: {seen:?}");
            // Each time from the free class to its own.
            let times = 2.0 * 3600.0 / every;
            assert!(f64::from(seen.changes) <= 2.5 * times, "every {every} s: {seen:?}");
            assert!(seen.worst <= 4.0, "every {every} s: {seen:?}");
        }
    }
}
