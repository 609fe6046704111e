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
//! A job is given when both subscribe and authorise have succeeded, whatever their order (to BzMiner,
//! which authorises when it has seen one, after subscribe). Nothing is ever sent between a request and its reply (cgminer takes the first line after
//! `mining.configure` for the reply).
//!
//! The extranonce 1 changes for one reason: the difficulty goes back to a class at which the newest job
//! was given already. The same job again would bring the same shares again, so those who have
//! subscribed to changes get it under another extranonce; all others wait for the next job.
//!
//! Plain data: nothing in a session refers to its connection.

pub(crate) mod handshake;
mod issued;
mod kept;
mod notices;
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
use crate::notify::{set_difficulty, set_extranonce, set_version_mask};
use crate::prefixes::Lease;
use crate::protocol::{
    Admitted, Candidate, Judged, Notice, Protocol, Round, Solved, Standing, Step, Work,
};
use crate::vardiff::Vardiff;
use crate::work::{LiveJob, WorkState};
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
    /// A bug of ours.
    Fault,
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
    extranonce1: Lease,
    /// Extranonces 1 that it had before, while jobs under them live.
    older: Vec<Lease>,
    version_mask: u32,
    /// The mask has changed and the miner does not know.
    owes_mask: bool,
    connected_at: Timestamp,
    last_line_at: Timestamp,
    last_share_at: Option<Timestamp>,
    agent: Box<str>,
    workers: Vec<Worker>,
    /// The login being looked up: its request's id, and the name.
    asking: Option<Box<(String, String)>>,
    subscribed: bool,
    /// Whether the miner understands another extranonce.
    takes_extranonces: bool,
    /// Whether the miner asked for a difficulty.
    wished: bool,
    /// The easiest class for miners of this name.
    easiest: Class,
    /// The easiest class the miner wants, at least that.
    floor: Class,
    /// The class to give from the next job on.
    wanted: Class,
    /// The class remembered from the last time, until the first job.
    trusted: Option<Class>,
    /// The class of the last `set_difficulty`.
    told: Option<Class>,
    vardiff: Vardiff,
    /// The class last noted for the next time.
    noted: Option<Class>,
    /// It was asked for its name.
    asked_version: bool,
    /// It was asked whether it is there, and has said nothing since.
    pinged: bool,
    /// The newest job's transactions were listed.
    listed: bool,
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
            easiest: rules.class_range.0,
            floor: rules.class_range.0,
            wanted: vardiff.class(),
            vardiff,
            extranonce1: rules.prefixes.hold(extranonce1),
            older: Vec::new(),
            rules,
            version_mask: 0,
            owes_mask: false,
            noted: None,
            asked_version: false,
            pinged: false,
            listed: false,
            takes_extranonces: false,
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
        (self.last_line_at, self.pinged) = (now, false);
        if let Some(share) = submit_line::read(line) {
            return self.submit_line(&share, now, round);
        }
        match request::read(line) {
            Line::Empty => Step::Continue,
            Line::Answer(answer) => {
                self.answered(&answer);
                Step::Continue
            }
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
            "mining.extranonce.subscribe" => {
                self.takes_extranonces = true;
                reply::ok(out, request.id, "true");
            }
            "mining.get_transactions" => self.get_transactions(request, out),
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

    /// Whether it may have work: after login, and BzMiner before it.
    fn may_be_given(&self) -> bool {
        self.subscribed && (!self.workers.is_empty() || logs_in_after_its_first_job(&self.agent))
    }

    /// Gives the newest job at the wanted class: difficulty first where it changes, in one write.
    fn give(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let Some(work) = self.work.clone().filter(|_| self.may_be_given()) else { return };
        let job = Arc::clone(self.newest_of(&work));
        let class = self.wanted;
        let Some(again) = self.times_before(&job, class) else { return };
        if again > 0 {
            let next = self.rules.prefixes.hold(self.rules.prefixes.next());
            debug_assert!(!self.issued.has_prefix(next.prefix), "given once");
            let rest = limits::EXTRANONCE2_BYTES;
            out.extend_from_slice(set_extranonce(&next.prefix, rest).as_bytes());
            self.older.push(std::mem::replace(&mut self.extranonce1, next));
        }
        let eased = self.told.is_some_and(|told| class < told);
        let clean = eased || self.given_on.as_ref() != Some(job.job().prev_hash());
        if self.told != Some(class) {
            out.extend_from_slice(set_difficulty(class, work.algorithm).as_bytes());
            self.told = Some(class);
        }
        if again > 0 {
            out.extend_from_slice(&job.notify_again(class, clean, again));
        } else {
            out.extend_from_slice(&job.notify(class, clean));
        }
        self.given_on = Some(*job.job().prev_hash());
        if self.trusted.take() == Some(class) {
            self.vardiff.begin_trusted(class, now);
        } else if self.issued.is_empty() {
            self.vardiff.begin(class, now);
        } else {
            self.vardiff.applied(class, now);
        }
        self.issued.give(job, class, self.extranonce1.prefix, again);
    }

    /// The newest job for the machines that work here.
    fn newest_of<'a>(&self, work: &'a WorkState) -> &'a Arc<LiveJob> {
        work.newest_for(self.workers.iter().map(|w| w.who.machine))
    }

    /// How often the job was given at this class, if it may be given now: never twice under one
    /// extranonce, and again only where the class changes and the miner understands another one; and
    /// only so often in all.
    fn times_before(&self, job: &LiveJob, class: Class) -> Option<u8> {
        let (all, times) = self.issued.times(job.job().id(), class);
        let may_again = self.takes_extranonces && self.told.is_some_and(|told| told != class);
        let may = all < limits::GIVEN_PER_JOB_MAX && (times == 0 || may_again);
        u8::try_from(times).ok().filter(|_| may)
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
        let mut step = Step::Continue;
        while matches!(step, Step::Continue) && round.candidates.len() - before < round.each_max {
            let rest = &input[taken..];
            let end = memchr::memchr(b'\n', rest);
            if end.unwrap_or(rest.len()) > limits::LINE_BYTES_MAX {
                step = Step::Close(CloseReason::LongLine);
                break;
            }
            let Some(end) = end else { break };
            taken += end + 1;
            step = self.line(&rest[..end], now, round);
        }
        if let Step::Close(reason) = step {
            self.part(reason, &mut round.text);
        }
        (taken, step)
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
        if std::mem::take(&mut self.owes_mask) {
            out.extend_from_slice(set_version_mask(self.version_mask).as_bytes());
        }
        self.issued.keep_living(work, &self.rules.seen);
        let issued = &self.issued;
        self.older.retain(|lease| issued.has_prefix(lease.prefix));
        let hardest = work.class_max().min(self.rules.class_range.1);
        let easiest = self.floor.min(hardest);
        self.vardiff.set_range((easiest, hardest));
        self.wanted = self.wanted.clamp(easiest, hardest);
        let is_new =
            self.work.as_ref().is_none_or(|old| old.current.job().id() != work.current.job().id());
        self.work = Some(Arc::clone(work));
        if is_new {
            self.listed = false;
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
                    self.issued.forget(share);
                }
                refusal.is_bad()
            }
        };
        let close = self.count(is_bad).then_some(CloseReason::BadShares);
        close.inspect(|reason| self.part(*reason, out))
    }

    fn settle(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        if self.told.is_some_and(|told| told != self.wanted) {
            self.give(now, out);
        }
        self.adjust(now, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<CloseReason> {
        let close =
            if self.workers.is_empty() && now.since(self.connected_at) > self.rules.handshake_max {
                Some(CloseReason::Handshake)
            } else if now.since(self.last_line_at) > self.rules.idle_max {
                Some(CloseReason::Idle)
            } else {
                None
            };
        if let Some(reason) = close {
            self.part(reason, out);
            return close;
        }
        self.ping(now, out);
        self.adjust(now, out);
        None
    }

    fn tell(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        self.notice(notice, out);
    }

    fn counts(&mut self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    fn found(&mut self, all: bool, note: &mut dyn FnMut(MachineId, Class)) {
        let (Some(who), Some(class)) = (self.who(), self.vardiff.found()) else { return };
        if all || self.noted.replace(class) != Some(class) {
            note(who.machine, class);
        }
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

/// BzMiner authorises only when it has seen a job (BzMiner #121).
pub(crate) fn logs_in_after_its_first_job(agent: &str) -> bool {
    agent.get(..7).is_some_and(|a| a.eq_ignore_ascii_case("bzminer"))
}

fn answer_if_asked(request: &Request<'_>, result: &str, out: &mut Vec<u8>) {
    if !request.is_notification() {
        reply::ok(out, request.id, result);
    }
}
