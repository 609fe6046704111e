//! A session driven without sockets.

pub(crate) use crate::jobs::{EASY, HARD, NTIME, class, job, machine, rules, template};
use gruve_sharelog::{BlockRecord, Owner, ShareRecord};
use gruve_stratum::check::HeaderParts;
use gruve_stratum::client::ClientJob;
use gruve_stratum::protocol::{
    Admitted, Candidate, Protocol as _, Puzzle, Round, Solved, Standing, Step, Work,
};
use gruve_stratum::session::{CloseReason, NOT_STORED, SEALED, Session, SessionRules};
use gruve_stratum::{Authorized, LiveJob, Refused, WorkState};
use gruve_units::{Algorithm, Class, Duration, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// The first job's number: its name has letters.
pub(crate) const FIRST: u64 = 0xabcd_ef01;
pub(crate) const EN2: &str = "0000000000000001";

/// The hash of a candidate, as a gateway gives it.
pub(crate) fn solve(candidate: &Candidate) -> Solved {
    let Puzzle::Header(live) = &candidate.puzzle else { panic!("{candidate:?}") };
    let share = &candidate.share;
    let extranonce = share.extranonce.as_slice();
    let header = HeaderParts::of(live.job(), share.class).header(
        extranonce,
        share.version,
        share.ntime,
        share.nonce,
        &mut Vec::new(),
    );
    Solved { pow_hash: gruve_pow::sha256d(&header), header, mix: [0; 32] }
}

/// A session, its driver, and what it did.
pub(crate) struct Miner {
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
    pub(crate) work: Option<WorkState>,
    pub(crate) log: Vec<ShareRecord>,
    pub(crate) blocks: Vec<BlockRecord>,
    pub(crate) closed: Option<CloseReason>,
    /// What the log will answer: `None` when it fails.
    pub(crate) log_takes: Option<bool>,
    /// Passwords other than this one are let in.
    pub(crate) refused_password: &'static str,
    /// The class its machine had before.
    pub(crate) remembered: Option<Class>,
    out: Vec<u8>,
}

impl Miner {
    pub(crate) fn connect(rules: SessionRules) -> Miner {
        let now = Timestamp::from_secs(i64::from(NTIME));
        Miner {
            session: Session::new(Arc::new(rules), [0xa1, 0xb2, 0xc3, 0xd4], now),
            now,
            work: None,
            log: Vec::new(),
            blocks: Vec::new(),
            closed: None,
            log_takes: Some(true),
            refused_password: "wrong",
            remembered: None,
            out: Vec::new(),
        }
    }

    /// Subscribed, authorised as `w`, with a job that every hash solves.
    pub(crate) fn working() -> Miner {
        let mut miner = Miner::connect(rules());
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1"]}"#);
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
        miner.work(job(FIRST, template(1, HARD)));
        miner
    }

    /// Says lines read together; gives what comes back, line by line.
    pub(crate) fn say(&mut self, lines: &str) -> Vec<Value> {
        self.say_bytes(lines.as_bytes())
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}")))
            .collect()
    }

    pub(crate) fn say_bytes(&mut self, lines: &[u8]) -> String {
        let mut rest = [lines, b"\n"].concat();
        while !rest.is_empty() && self.closed.is_none() {
            let taken = self.visit(&rest);
            assert!(taken > 0 || self.closed.is_some(), "whole lines are taken");
            rest.drain(..taken);
        }
        self.heard_text()
    }

    /// One visit of a round; gives how many bytes the session took.
    fn visit(&mut self, input: &[u8]) -> usize {
        let mut round = Round::default();
        let (part, taken, step) = round.receive(&mut self.session, input, self.now);
        let mut outcomes = Vec::new();
        for candidate in &round.candidates {
            let judged = self.session.judge(candidate, &solve(candidate), self.now);
            self.blocks.extend(judged.block.map(|b| *b));
            outcomes.push(judged.verdict);
        }
        for (candidate, outcome) in round.candidates.iter().zip(&mut outcomes) {
            *outcome = outcome.and_then(|()| match self.log_takes {
                Some(true) => {
                    self.log.push(candidate.share);
                    Ok(())
                }
                Some(false) => Err(SEALED),
                None => Err(NOT_STORED),
            });
        }
        self.closed = round.answer(&mut self.session, part, &outcomes, &mut self.out);
        match step {
            Step::Continue => {}
            Step::Close(reason) => self.closed = Some(reason),
            Step::Authorize { user, password } => {
                let outcome = if password == self.refused_password {
                    Err(Refused("no \"such\" login".to_owned()))
                } else {
                    let who = Authorized { owner: Owner::House, machine: machine(&user) };
                    Ok(Admitted { who, class: self.remembered })
                };
                self.session.authorized(&outcome, &password, self.now, &mut self.out);
                return taken;
            }
        }
        self.session.settle(self.now, &mut self.out);
        taken
    }

    pub(crate) fn heard_text(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out)).unwrap()
    }

    pub(crate) fn standing(&mut self) -> Standing {
        self.session.standing(self.now)
    }

    pub(crate) fn heard(&mut self) -> Vec<Value> {
        let text = self.heard_text();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Publishes a job; gives what the miner hears.
    pub(crate) fn work(&mut self, job: Arc<LiveJob>) -> Vec<Value> {
        let work = match &self.work {
            Some(work) => work.with(job, 24),
            None => WorkState::of(Algorithm::Sha256d, job),
        };
        self.work = Some(work.clone());
        self.session.work(&Work::Header(Arc::new(work)), self.now, &mut self.out);
        self.heard()
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> Vec<Value> {
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            self.closed = self.closed.or(self.session.tick(self.now, &mut self.out));
        }
        self.heard()
    }

    /// The newest job's name at the class in force.
    pub(crate) fn job_id(&self) -> String {
        let job = self.work.as_ref().unwrap().current.job().id();
        format!("{job}{:02x}", self.session.class().k())
    }

    /// Submits and gives the reply.
    pub(crate) fn submit(&mut self, job: &str, en2: &str, ntime: u32, nonce: u32) -> Value {
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{en2}","{ntime:08x}","{nonce:08x}"]}}"#
        );
        self.say(&line).remove(0)
    }
}

/// The code of a refusal; 0 for yes.
pub(crate) fn code(reply: &Value) -> i64 {
    for key in ["id", "result", "error"] {
        assert!(reply.get(key).is_some(), "{key} is missing in {reply}");
    }
    if reply["error"].is_null() {
        assert_eq!(reply["result"], Value::Bool(true), "{reply}");
        return 0;
    }
    assert_eq!(reply["result"], Value::Bool(false), "{reply}");
    assert_eq!(reply["error"].as_array().unwrap().len(), 3, "{reply}");
    reply["error"][0].as_i64().unwrap()
}

pub(crate) fn method(line: &Value) -> &str {
    line["method"].as_str().unwrap_or("")
}

/// A notify as a miner would hash it.
pub(crate) fn client_job(notify: &Value) -> ClientJob {
    let mut job = ClientJob::from_notify(notify["params"].as_array().unwrap()).unwrap();
    job.extranonce1 = vec![0xa1, 0xb2, 0xc3, 0xd4];
    job.extranonce2_size = 8;
    job
}
