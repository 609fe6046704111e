//! One Stratum V1 connection as a gateway drives it, with everything that is promised of it
//! checked at every step.

use crate::input::Input;
use crate::jobs::{self, Luck, NTIME, class};
use crate::ledger::Counted;
use gruve_sharelog::Owner;
use gruve_stratum::protocol::{Admitted, Protocol as _, Round, Step, Work};
use gruve_stratum::seen::SeenBudget;
use gruve_stratum::session::{CloseReason, NOT_STORED, Refusal, SEALED, Session, SessionRules};
use gruve_stratum::{Authorized, LiveJob, Refused, WorkState, limits};
use gruve_units::{Algorithm, Class, Duration, Timestamp};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// What a lane's log says to good shares.
pub(crate) type LogSays = Result<(), Refusal>;
pub(crate) const LOG_SAYS: [LogSays; 3] = [Ok(()), Err(SEALED), Err(NOT_STORED)];

/// Replies to what one visit reads (16 KiB of requests) and a job: what the gateway's bound on
/// unsent bytes is made for.
const OUT_BYTES_MAX: usize = 256 << 10;

/// What a session may come to in the hands of the next program, but for its shares: 64 logins and
/// 24 jobs at a few classes.
const KEPT_BYTES_MAX: usize = 32 << 10;

pub(crate) fn rules(seen: &Arc<SeenBudget>, extranonce1: u32) -> Arc<SessionRules> {
    let mut rules = SessionRules::new(Algorithm::Sha256d, (class(0), class(40)), class(0));
    rules.seen = Arc::clone(seen);
    // Of its own for each connection, as a gateway counts them.
    rules.prefixes = Arc::new((extranonce1 << 16 | 1).into());
    Arc::new(rules)
}

pub(crate) struct Rig {
    rules: Arc<SessionRules>,
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
    pub(crate) work: Option<WorkState>,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) log_says: LogSays,
    pub(crate) luck: Luck,
    /// What the gateway holds of what the miner has said.
    unread: Vec<u8>,
    /// A login being looked up.
    asking: Option<(String, String)>,
    /// Ids of requests that are owed a reply, as JSON, in order.
    owed: VecDeque<String>,
    /// Names of the jobs that the miner was given, in order.
    pub(crate) given: Vec<String>,
    names: HashSet<String>,
    /// Names of jobs that shares were counted of, until what was said meanwhile is heard.
    unchecked: Vec<String>,
    /// Shares that were answered with yes.
    accepted: u64,
    /// Shares in the log by this session.
    counted: u64,
}

impl Rig {
    pub(crate) fn connect(seen: &Arc<SeenBudget>, extranonce1: u32, now: Timestamp) -> Rig {
        let rules = rules(seen, extranonce1);
        let session = Session::new(Arc::clone(&rules), extranonce1.to_be_bytes(), now);
        Rig {
            rules,
            session,
            now,
            work: None,
            closed: None,
            log_says: Ok(()),
            luck: Luck::Real,
            unread: Vec::new(),
            asking: None,
            owed: VecDeque::new(),
            given: Vec::new(),
            names: HashSet::new(),
            unchecked: Vec::new(),
            accepted: 0,
            counted: 0,
        }
    }

    pub(crate) fn start() -> Timestamp {
        Timestamp::from_secs(i64::from(NTIME))
    }

    /// Subscribed, logged in as `w`, with a job.
    pub(crate) fn begin(&mut self, job: Arc<LiveJob>, counted: &mut Counted) {
        self.say(
            b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test/1\"]}\n\
              {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n",
        );
        self.visit_all(counted);
        self.publish(job);
    }

    /// The miner says something; it is read with the next visit.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// As [`Rig::say`], with a request whose reply is owed under this id.
    pub(crate) fn ask(&mut self, line: &str, id: &str) {
        self.owed.push_back(id.to_owned());
        self.say(line.as_bytes());
        self.say(b"\n");
    }

    /// Visits until everything whole is taken; gives what came back.
    pub(crate) fn visit_all(&mut self, counted: &mut Counted) -> Vec<u8> {
        let mut heard = Vec::new();
        while self.closed.is_none() {
            if self.asking.is_some() {
                heard.extend(self.look_up(false));
            }
            let before = self.unread.len();
            heard.extend(self.visit(usize::MAX, counted));
            if self.unread.len() == before && self.asking.is_none() {
                break;
            }
        }
        heard
    }

    /// One visit of a round with at most `most` bytes of what there is; gives what came back.
    pub(crate) fn visit(&mut self, most: usize, counted: &mut Counted) -> Vec<u8> {
        if self.closed.is_some() || self.asking.is_some() {
            return Vec::new();
        }
        let mut round = Round::default();
        let input = &self.unread[..most.min(self.unread.len()).min(16 << 10)];
        let (part, taken, step) = round.receive(&mut self.session, input, self.now);
        assert!(taken <= input.len());
        let left = &input[taken..];
        let is_full = round.candidates.len() >= limits::CANDIDATES_PER_VISIT_MAX;
        assert!(round.candidates.len() <= limits::CANDIDATES_PER_VISIT_MAX);
        if matches!(step, Step::Continue) && !is_full {
            assert!(!left.contains(&b'\n'), "a whole line was left");
            assert!(left.len() <= limits::LINE_BYTES_MAX, "waits for the end of an endless line");
        }
        self.unread.drain(..taken);

        let mut outcomes = Vec::new();
        for candidate in &round.candidates {
            let judged = self.session.judge(candidate, &self.luck.solve(candidate), self.now);
            let is_stored = judged.verdict.is_ok() && self.log_says.is_ok();
            if let Some(block) = &judged.block {
                // What could not be stored may come again, and its block with it.
                if judged.verdict.is_err() || is_stored {
                    counted.send(block);
                }
            }
            let outcome = judged.verdict.and(self.log_says);
            if outcome.is_ok() {
                self.check_counted(candidate, counted);
            }
            outcomes.push(outcome);
        }
        let mut out = Vec::new();
        let close = round.answer(&mut self.session, part, &outcomes, &mut out);
        self.closed = self.closed.or(close);
        match step {
            Step::Continue => {}
            Step::Close(reason) => self.closed = Some(reason),
            Step::Authorize { user, password } => self.asking = Some((user, password)),
        }
        if self.asking.is_none() {
            self.session.settle(self.now, &mut out);
        }
        assert!(out.len() <= OUT_BYTES_MAX, "{} bytes out", out.len());
        self.hear(&out);
        // A job may be given and a share of it be taken in one read.
        for name in self.unchecked.drain(..) {
            assert!(self.names.contains(&name), "the miner was never given {name}");
        }
        out
    }

    /// A share that goes into the log is one that this miner was asked for.
    fn check_counted(
        &mut self,
        candidate: &gruve_stratum::protocol::Candidate,
        counted: &mut Counted,
    ) {
        let share = &candidate.share;
        self.unchecked.push(format!("{}{:02x}", share.job, share.class.k()));
        let solved = self.luck.solve(candidate);
        assert!(share.class.target().is_met_by(&solved.pow_hash), "too easy: {share:?}");
        counted.count(share);
        self.counted += 1;
    }

    /// The login being looked up is answered.
    pub(crate) fn look_up(&mut self, refuse: bool) -> Vec<u8> {
        let Some((user, password)) = self.asking.take() else { return Vec::new() };
        let outcome = if refuse || password == "wrong" {
            Err(Refused("no \"such\" login".to_owned()))
        } else {
            let who = Authorized { owner: Owner::House, machine: jobs::machine(&user) };
            let remembered = user.len() % 3 == 2;
            Ok(Admitted { who, class: remembered.then_some(class(3)) })
        };
        let mut out = Vec::new();
        self.session.authorized(&outcome, &password, self.now, &mut out);
        self.hear(&out);
        out
    }

    /// Everything said is a line of JSON: a message, or a reply with all its members; replies that
    /// are owed come in order.
    fn hear(&mut self, out: &[u8]) {
        let text = std::str::from_utf8(out).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text:?}");
        if text.starts_with("HTTP/") || self.closed == Some(CloseReason::Http) {
            return;
        }
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            if let Some(method) = value.get("method") {
                if method == "mining.notify" {
                    let name = value["params"][0].as_str().expect("a job has a name").to_owned();
                    assert!(self.names.insert(name.clone()), "given twice: {name}");
                    self.given.push(name);
                    let newest = self.given.last().map_or("", |n| &n[..16]);
                    let times = self.given.iter().rev().take_while(|n| n.starts_with(newest));
                    assert!(times.count() <= limits::GIVEN_PER_JOB_MAX, "{newest} without end");
                }
                continue;
            }
            let (Some(id), Some(result), Some(error)) =
                (value.get("id"), value.get("result"), value.get("error"))
            else {
                panic!("no reply and no message: {line}");
            };
            self.accepted += u64::from(id.as_str().is_some_and(|id| id.starts_with("share")))
                * u64::from(*result == Value::Bool(true));
            assert!(error.is_null() || error.as_array().is_some_and(|e| e.len() == 3), "{line}");
            if let Some(owed) = self.owed.pop_front() {
                assert_eq!(id.to_string(), owed, "the next reply is owed to another");
            }
        }
    }

    /// Nothing that was asked is without its reply, and what is in the log is what was said so.
    pub(crate) fn check_answered(&mut self) {
        if self.closed.is_none() && self.asking.is_none() && self.unread.is_empty() {
            assert!(self.owed.is_empty(), "no reply to {:?}", self.owed);
            assert_eq!(self.accepted, self.counted, "answered and counted");
            assert_eq!(self.session.counts().0, self.counted, "reported and counted");
        }
    }

    /// The lane has another job.
    pub(crate) fn publish(&mut self, job: Arc<LiveJob>) {
        let work = match &self.work {
            Some(work) => work.with(job, 6),
            None => WorkState::of(Algorithm::Sha256d, job),
        };
        self.take(work);
    }

    pub(crate) fn take(&mut self, work: WorkState) {
        self.work = Some(work.clone());
        if self.closed.is_none() {
            let mut out = Vec::new();
            self.session.work(&Work::Header(Arc::new(work)), self.now, &mut out);
            self.hear(&out);
        }
    }

    /// Time goes by, or the clock is set back.
    pub(crate) fn wait(&mut self, seconds: u64, back: bool) {
        if back {
            self.now = self.now.minus(Duration::from_secs(seconds));
            return;
        }
        for _ in 0..seconds {
            if self.closed.is_some() {
                return;
            }
            self.now = self.now.plus(Duration::from_secs(1));
            let mut out = Vec::new();
            self.closed = self.session.tick(self.now, &mut out);
            self.hear(&out);
        }
    }

    /// The program becomes another one, and the session goes on in it.
    pub(crate) fn restart(&mut self) {
        let Some(kept) = self.session.keep() else {
            assert!(self.asking.is_some(), "only a login under way cannot be kept");
            return;
        };
        let shares = self.session_shares();
        assert!(kept.len() <= KEPT_BYTES_MAX + 25 * shares, "{} bytes kept", kept.len());
        let session = Session::resume(Arc::clone(&self.rules), &kept, self.now);
        self.session = session.expect("what was kept is taken up");
    }

    fn session_shares(&self) -> usize {
        self.rules.seen.held()
    }

    /// The class in force.
    pub(crate) fn class(&self) -> Class {
        self.session.class()
    }
}

/// Requests by hand.
pub(crate) fn submit_line(
    input: &mut Input<'_>,
    id: &str,
    [user, job, en2, ntime, nonce]: [&str; 5],
    bits: Option<&str>,
) -> String {
    let bits = bits.map(|b| format!(",\"{b}\"")).unwrap_or_default();
    match input.below(4) {
        0 => format!(
            r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{en2}","{ntime}","{nonce}"{bits}]}}"#
        ),
        1 => format!(
            r#"{{"params": ["{user}", "{job}", "{en2}", "{ntime}", "{nonce}"{bits}], "id": {id}, "method": "mining.submit"}}"#
        ),
        2 => format!(
            "{{\t\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{job}\",\"{en2}\",\"{ntime}\",\"{nonce}\"{bits}]}}\r"
        ),
        _ => format!(
            r#"{{"id":{id},"jsonrpc":"2.0","method":"mining.submit","params":["{user}","{job}","{en2}","{ntime}","{nonce}"{bits}]}}"#
        ),
    }
}
