//! One miner's Stratum V1 session, without any I/O: bytes, work and time in; replies and shares out.
//!
//! It is a [`Protocol`]: whoever drives it (the gateway, or a test) hands in what was read and obeys
//! the [`Step`] that comes back before handing in more; hashes the candidates, lets the session
//! judge them, sends blocks and writes the good shares to the log, and only then asks for the
//! answers. So replies stay in order, and none says *accepted* before the share is in the log.
//!
//! Promises: no bytes panic; memory is bounded by [`crate::limits`]; a share is judged at the class
//! its job was given at, credited at most once, and only for jobs that this session was given.
//!
//! Order of a share's checks: shape, state, job, lengths and hex, version, duplicate, hash, then
//! stale, time, difficulty. The hash comes before the last three because a solution of a block is
//! sent to the node whatever else is wrong with it.
//!
//! A job is given when both subscribe and authorise have succeeded, whatever their order. Nothing
//! is ever sent between a request and its reply (cgminer takes the first line after
//! `mining.configure` for the reply).
//!
//! Plain data: nothing in a session refers to its connection.

pub(crate) mod handshake;
mod issued;
mod kept;
pub(crate) mod reply;
pub(crate) mod request;
mod rules;
pub(crate) mod submit;
mod submit_line;

pub use reply::{DUPLICATE, LOW, NO_SUCH_JOB, NOT_STORED, Refusal, SEALED, STALE, TOO_MANY};
pub use rules::SessionRules;

use crate::limits;
use crate::machines::{Authorized, Refused};
use crate::meter::Meter;
use crate::notify::set_difficulty;
use crate::protocol::{Admitted, Candidate, Judged, Protocol, Round, Solved, Standing, Step, Work};
use crate::vardiff::Vardiff;
use crate::work::WorkState;
use gruve_units::{Class, Duration, MachineId, Timestamp};
use issued::IssuedJobs;
use request::{Line, Request};
use std::sync::Arc;

/// Why a session ends from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It speaks HTTP.
    Http,
    /// Too many lines that are not Stratum.
    BadLines,
    /// A line without end.
    LongLine,
    /// Its setup was refused (V2).
    Setup,
    /// No login in time.
    Handshake,
    /// Too many refused logins.
    Logins,
    /// Nothing heard for long.
    Idle,
    /// Mostly bad shares.
    BadShares,
    /// It does not read what we send.
    SlowReader,
}

/// What an HTTP client is told.
const HTTP_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nThis port speaks Stratum V1.\n";

/// A login of this connection.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) user: Box<str>,
    pub(crate) who: Authorized,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    rules: Arc<SessionRules>,
    extranonce1: [u8; limits::EXTRANONCE1_BYTES],
    version_mask: u32,
    connected_at: Timestamp,
    last_line_at: Timestamp,
    last_share_at: Option<Timestamp>,
    agent: Box<str>,
    workers: Vec<Worker>,
    /// The login being looked up: its request's id, and the name.
    asking: Option<Box<(String, String)>>,
    subscribed: bool,
    /// Whether the miner asked for a difficulty.
    wished: bool,
    /// The easiest class the miner wants.
    floor: Class,
    /// The class to give from the next job on.
    wanted: Class,
    /// The class remembered from the last time, until the first job.
    trusted: Option<Class>,
    /// The class of the last `set_difficulty`.
    told: Option<Class>,
    vardiff: Vardiff,
    /// The block that the last job given stands on.
    given_on: Option<[u8; 32]>,
    work: Option<Arc<WorkState>>,
    issued: IssuedJobs,
    meter: Meter,
    refused_logins: u32,
    bad_lines: u32,
    judged: u32,
    bad_shares: u32,
    accepted: u64,
    rejected: u64,
}

impl Session {
    /// A session that has just connected.
    #[must_use]
    pub fn new(
        rules: Arc<SessionRules>,
        extranonce1: [u8; limits::EXTRANONCE1_BYTES],
        now: Timestamp,
    ) -> Session {
        let vardiff = Vardiff::new(rules.class_range, rules.start_class, rules.share_interval, now);
        Session {
            floor: rules.class_range.0,
            wanted: vardiff.class(),
            vardiff,
            rules,
            extranonce1,
            version_mask: 0,
            connected_at: now,
            last_line_at: now,
            last_share_at: None,
            agent: Box::default(),
            workers: Vec::new(),
            asking: None,
            subscribed: false,
            wished: false,
            trusted: None,
            told: None,
            given_on: None,
            work: None,
            issued: IssuedJobs::default(),
            meter: Meter::new(now),
            refused_logins: 0,
            bad_lines: 0,
            judged: 0,
            bad_shares: 0,
            accepted: 0,
            rejected: 0,
        }
    }

    /// Takes one line, without its newline.
    fn line(&mut self, line: &[u8], now: Timestamp, round: &mut Round) -> Step {
        self.last_line_at = now;
        if let Some(share) = submit_line::read(line) {
            return self.submit_line(&share, now, round);
        }
        match request::read(line) {
            Line::Empty | Line::Answer => Step::Continue,
            Line::Http => {
                round.text.extend_from_slice(HTTP_ANSWER.as_bytes());
                Step::Close(CloseReason::Http)
            }
            Line::Bad => {
                self.bad_lines += 1;
                if self.bad_lines >= limits::BAD_LINES_MAX {
                    Step::Close(CloseReason::BadLines)
                } else {
                    Step::Continue
                }
            }
            Line::Request(request) => self.request(&request, now, round),
        }
    }

    fn request(&mut self, request: &Request<'_>, now: Timestamp, round: &mut Round) -> Step {
        match request.method.as_ref() {
            "mining.submit" => return self.submit_request(request, now, round),
            "mining.authorize" => return self.authorize(request, round),
            method => self.other(method, request, now, &mut round.text),
        }
        Step::Continue
    }

    fn other(&mut self, method: &str, request: &Request<'_>, now: Timestamp, out: &mut Vec<u8>) {
        match method {
            "mining.subscribe" => self.subscribe(request, now, out),
            "mining.configure" => self.configure(request, out),
            "mining.extranonce.subscribe" => reply::ok(out, request.id, "true"),
            "mining.suggest_difficulty" => self.suggest_difficulty(request, now, out),
            "mining.suggest_target" => self.suggest_target(request, now, out),
            "mining.capabilities" => answer_if_asked(request, "true", out),
            "mining.ping" => answer_if_asked(request, "\"pong\"", out),
            // ESP-Miner's answer to a ping, in the shape of a request; a reply would count as a
            // rejected share.
            "pong" | "mining.pong" => {}
            _ if request.is_notification() => {}
            _ => reply::refused(out, request.id, "null", reply::UNKNOWN_METHOD),
        }
    }

    /// Gives the newest job at the wanted class: difficulty first where it changes, in one write.
    fn give(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let Some(work) = self.work.as_ref().filter(|_| self.subscribed && !self.workers.is_empty())
        else {
            return;
        };
        let job = Arc::clone(&work.current);
        let class = self.wanted;
        if self.issued.find(job.job().id(), class).is_some() {
            return;
        }
        let eased = self.told.is_some_and(|told| class < told);
        let clean = eased || self.given_on.as_ref() != Some(job.job().prev_hash());
        if self.told != Some(class) {
            out.extend_from_slice(set_difficulty(class, work.algorithm).as_bytes());
            self.told = Some(class);
        }
        out.extend_from_slice(&job.notify(class, clean));
        self.given_on = Some(*job.job().prev_hash());
        if self.trusted.take() == Some(class) {
            self.vardiff.begin_trusted(class, now);
        } else if self.issued.is_empty() {
            self.vardiff.begin(class, now);
        } else {
            self.vardiff.applied(class, now);
        }
        self.issued.give(job, class);
    }

    /// Lets the difficulty control decide, and acts on it.
    fn adjust(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        // While a change waits for the next job there is nothing to decide.
        if self.told.is_none() || self.told != Some(self.wanted) {
            return;
        }
        if let Some(class) = self.vardiff.decide(now) {
            self.wanted = class;
            self.give(now, out);
        }
    }

    /// Who works here: the first login.
    #[must_use]
    pub fn who(&self) -> Option<Authorized> {
        self.workers.first().map(|w| w.who)
    }

    /// The first login's name.
    #[must_use]
    pub fn user(&self) -> &str {
        self.workers.first().map_or("", |w| &w.user)
    }

    /// What the miner calls itself, made printable.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// The class in force.
    #[must_use]
    pub fn class(&self) -> Class {
        self.told.unwrap_or(self.wanted)
    }

    /// How long it may still be until something must happen without input.
    #[must_use]
    pub const fn tick_interval() -> Duration {
        Duration::from_secs(1)
    }

    /// A share was judged; whether too many were bad.
    fn count(&mut self, bad: bool) -> bool {
        self.judged += 1;
        self.bad_shares += u32::from(bad);
        let too_bad = self.bad_shares >= limits::BAD_SHARES_MAX;
        if self.judged >= limits::BAD_SHARES_WINDOW {
            (self.judged, self.bad_shares) = (0, 0);
        }
        too_bad
    }

    fn credit(&mut self, class: Class, at: Timestamp) {
        self.accepted += 1;
        self.last_share_at = Some(at);
        self.meter.add(class.work(), at);
        self.vardiff.share(class, at);
        if self.told == Some(self.wanted)
            && let Some(class) = self.vardiff.decide(at)
        {
            self.wanted = class;
        }
    }
}

impl Protocol for Session {
    fn receive(&mut self, input: &[u8], now: Timestamp, round: &mut Round) -> (usize, Step) {
        let before = round.candidates.len();
        let mut taken = 0;
        while round.candidates.len() - before < limits::CANDIDATES_PER_VISIT_MAX {
            let rest = &input[taken..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                let is_endless = rest.len() > limits::LINE_BYTES_MAX;
                let long = Step::Close(CloseReason::LongLine);
                return (taken, if is_endless { long } else { Step::Continue });
            };
            if end > limits::LINE_BYTES_MAX {
                return (taken, Step::Close(CloseReason::LongLine));
            }
            taken += end + 1;
            match self.line(&rest[..end], now, round) {
                Step::Continue => {}
                step => return (taken, step),
            }
        }
        (taken, Step::Continue)
    }

    fn authorized(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        password: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        self.logged_in(outcome, password, now, out);
    }

    fn work(&mut self, work: &Work, now: Timestamp, out: &mut Vec<u8>) {
        let Work::Header(work) = work else { return };
        self.issued.keep_living(work, &self.rules.seen);
        let hardest = work.class_max().min(self.rules.class_range.1);
        let easiest = self.floor.min(hardest);
        self.vardiff.set_range((easiest, hardest));
        self.wanted = self.wanted.clamp(easiest, hardest);
        let is_new =
            self.work.as_ref().is_none_or(|old| old.current.job().id() != work.current.job().id());
        self.work = Some(Arc::clone(work));
        if is_new {
            self.give(now, out);
        }
    }

    fn judge(&mut self, candidate: &Candidate, solved: &Solved, now: Timestamp) -> Judged {
        self.judge_share(candidate, solved, now)
    }

    fn answer(
        &mut self,
        candidate: &Candidate,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        let share = &candidate.share;
        let is_bad = match outcome {
            Ok(()) => {
                reply::accepted(out, note);
                self.credit(share.class, share.at);
                false
            }
            Err(refusal) => {
                reply::refused(out, note, "false", refusal);
                self.rejected += 1;
                if refusal == SEALED || refusal == NOT_STORED {
                    let key = crate::seen::ShareKey::of(share);
                    self.issued.forget(share.job, share.class, &key);
                }
                refusal.is_bad()
            }
        };
        self.count(is_bad).then_some(CloseReason::BadShares)
    }

    fn settle(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        if self.told.is_some_and(|told| told != self.wanted) {
            self.give(now, out);
        }
        self.adjust(now, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<CloseReason> {
        if self.workers.is_empty() && now.since(self.connected_at) > self.rules.handshake_max {
            return Some(CloseReason::Handshake);
        }
        if now.since(self.last_line_at) > self.rules.idle_max {
            return Some(CloseReason::Idle);
        }
        self.adjust(now, out);
        None
    }

    fn counts(&self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    fn found(&self) -> Option<(MachineId, Class)> {
        Some((self.who()?.machine, self.vardiff.found()?))
    }

    fn keep(&self) -> Option<Vec<u8>> {
        self.to_kept()
    }

    fn standing(&mut self, now: Timestamp) -> Standing {
        Standing {
            who: self.who(),
            user: self.user().to_owned(),
            agent: self.agent().to_owned(),
            class: self.class(),
            accepted: self.accepted,
            rejected: self.rejected,
            last_share_at: self.last_share_at,
            hashrate: self.meter.rate(now),
        }
    }
}

fn answer_if_asked(request: &Request<'_>, result: &str, out: &mut Vec<u8>) {
    if !request.is_notification() {
        reply::ok(out, request.id, result);
    }
}
