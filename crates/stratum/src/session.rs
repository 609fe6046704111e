//! One miner's session, without any I/O: lines, work and time in; replies and effects out.
//!
//! The driver (a connection task, or a test) hands in one line at a time and obeys the [`Step`]
//! that comes back *before* the next line: a found block is journalled and sent at once, a login is
//! looked up. When the lines that were read together are through, it writes
//! [`Session::pending_shares`] to the log in one append, tells the session with
//! [`Session::settle`], and sends [`Session::output`]: so replies stay in order, and none says
//! *accepted* before the share is in the log.
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

pub(crate) mod handshake;
mod issued;
pub(crate) mod reply;
pub(crate) mod request;
mod rules;
mod submit;

pub use reply::Refusal;
pub use rules::SessionRules;

use crate::limits;
use crate::machines::Authorized;
use crate::meter::Meter;
use crate::notify::set_difficulty;
use crate::vardiff::Vardiff;
use crate::work::WorkState;
use gruve_sharelog::{BlockRecord, ShareRecord};
use gruve_units::{Class, Duration, Hashrate, Timestamp};
use issued::{IssuedJobs, ShareKey};
use request::{Line, Request};
use std::sync::Arc;

/// What the driver must do before the next line.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Continue,
    /// Look the login up, then call [`Session::authorized`].
    Authorize {
        /// The login.
        user: String,
        /// The password; not to be logged.
        password: String,
    },
    /// Journal and send this block, now.
    Block(Box<BlockRecord>),
    /// Send what is in the output and close.
    Close(CloseReason),
}

/// Why a session ends from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It speaks HTTP.
    Http,
    /// Too many lines that are not Stratum.
    BadLines,
    /// A line without end.
    LongLine,
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
    pub(crate) user: String,
    pub(crate) who: Authorized,
}

/// A reply that waits for the log.
#[derive(Debug)]
struct Hole {
    /// Where in the text it belongs.
    at: usize,
    /// The request's id, within `ids`.
    id: (usize, usize),
    key: ShareKey,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    rules: Arc<SessionRules>,
    extranonce1: [u8; limits::EXTRANONCE1_BYTES],
    connected_at: Timestamp,
    last_line_at: Timestamp,
    last_share_at: Option<Timestamp>,
    subscribed: bool,
    agent: String,
    workers: Vec<Worker>,
    /// The login being looked up, and its request's id.
    asking: Option<(String, String)>,
    refused_logins: u32,
    version_mask: u32,
    /// The easiest class the miner wants.
    floor: Class,
    vardiff: Vardiff,
    /// The class to give from the next job on.
    wanted: Class,
    /// The class of the last `set_difficulty`.
    told: Option<Class>,
    /// The block that the last job given stands on.
    given_on: Option<[u8; 32]>,
    work: Option<Arc<WorkState>>,
    issued: IssuedJobs,
    meter: Meter,
    bad_lines: u32,
    judged: u32,
    bad_shares: u32,
    accepted: u64,
    rejected: u64,
    // The batch being collected.
    text: Vec<u8>,
    holes: Vec<Hole>,
    ids: String,
    shares: Vec<ShareRecord>,
    // What may be sent.
    ready: Vec<u8>,
    scratch: Vec<u8>,
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
            connected_at: now,
            last_line_at: now,
            last_share_at: None,
            subscribed: false,
            agent: String::new(),
            workers: Vec::new(),
            asking: None,
            refused_logins: 0,
            version_mask: 0,
            told: None,
            given_on: None,
            work: None,
            issued: IssuedJobs::default(),
            meter: Meter::new(now),
            bad_lines: 0,
            judged: 0,
            bad_shares: 0,
            accepted: 0,
            rejected: 0,
            text: Vec::new(),
            holes: Vec::new(),
            ids: String::new(),
            shares: Vec::new(),
            ready: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes one line, without its newline.
    pub fn line(&mut self, line: &[u8], now: Timestamp) -> Step {
        self.last_line_at = now;
        match request::read(line) {
            Line::Empty | Line::Answer => Step::Continue,
            Line::Http => {
                self.text.extend_from_slice(HTTP_ANSWER.as_bytes());
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
            Line::Request(request) => self.request(&request, now),
        }
    }

    fn request(&mut self, request: &Request<'_>, now: Timestamp) -> Step {
        match request.method.as_ref() {
            "mining.submit" => return self.submit(request, now),
            "mining.subscribe" => self.subscribe(request, now),
            "mining.authorize" => return self.authorize(request),
            "mining.configure" => self.configure(request),
            "mining.extranonce.subscribe" => reply::ok(&mut self.text, request.id, "true"),
            "mining.suggest_difficulty" => self.suggest_difficulty(request, now),
            "mining.suggest_target" => self.suggest_target(request, now),
            "mining.capabilities" => self.answer_if_asked(request, "true"),
            "mining.ping" => self.answer_if_asked(request, "\"pong\""),
            // ESP-Miner's answer to a ping, in the shape of a request; a reply would count as a
            // rejected share.
            "pong" | "mining.pong" => {}
            _ if request.is_notification() => {}
            _ => reply::refused(&mut self.text, request.id, "null", reply::UNKNOWN_METHOD),
        }
        Step::Continue
    }

    fn answer_if_asked(&mut self, request: &Request<'_>, result: &str) {
        if !request.is_notification() {
            reply::ok(&mut self.text, request.id, result);
        }
    }

    /// New jobs, or none of the old: gives the newest to the miner if it may have one.
    pub fn work(&mut self, work: Arc<WorkState>, now: Timestamp) {
        self.issued.keep_living(&work);
        let hardest = work.class_max().min(self.rules.class_range.1);
        let easiest = self.floor.min(hardest);
        self.vardiff.set_range((easiest, hardest));
        self.wanted = self.wanted.clamp(easiest, hardest);
        let is_new =
            self.work.as_ref().is_none_or(|old| old.current.job().id() != work.current.job().id());
        self.work = Some(work);
        if is_new {
            self.give(now);
        }
        self.publish_text();
    }

    /// Gives the newest job at the wanted class: difficulty first where it changes, in one write.
    fn give(&mut self, now: Timestamp) {
        let Some(work) = self.work.as_ref().filter(|_| self.subscribed && !self.workers.is_empty())
        else {
            return;
        };
        let job = Arc::clone(&work.current);
        let class = self.wanted;
        if self.issued.has_given(job.job().id(), class) {
            return;
        }
        let eased = self.told.is_some_and(|told| class < told);
        let clean = eased || self.given_on.as_ref() != Some(job.job().prev_hash());
        if self.told != Some(class) {
            self.text.extend_from_slice(set_difficulty(class, work.algorithm).as_bytes());
            self.told = Some(class);
        }
        self.text.extend_from_slice(&job.notify(class, clean));
        self.given_on = Some(*job.job().prev_hash());
        if self.issued.is_empty() {
            self.vardiff.begin(class, now);
        } else {
            self.vardiff.applied(class, now);
        }
        self.issued.give(job, class);
    }

    /// Lets the difficulty control decide, and acts on it.
    fn adjust(&mut self, now: Timestamp) {
        // While a change waits for the next job there is nothing to decide.
        if self.told.is_none() || self.told != Some(self.wanted) {
            return;
        }
        if let Some(class) = self.vardiff.decide(now) {
            self.wanted = class;
            self.give(now);
        }
    }

    /// Time has passed: call at least every second.
    pub fn tick(&mut self, now: Timestamp) -> Option<CloseReason> {
        if self.workers.is_empty() && now.since(self.connected_at) > self.rules.handshake_max {
            return Some(CloseReason::Handshake);
        }
        if now.since(self.last_line_at) > self.rules.idle_max {
            return Some(CloseReason::Idle);
        }
        self.adjust(now);
        self.publish_text();
        None
    }

    /// The shares of this batch, to be written to the log in this order.
    #[must_use]
    pub fn pending_shares(&self) -> &[ShareRecord] {
        &self.shares
    }

    /// Ends a batch: one answer for each pending share (false: its epoch is sealed), or `None` when
    /// the log could not take them.
    pub fn settle(&mut self, answers: Option<&[bool]>, now: Timestamp) {
        let text = std::mem::take(&mut self.text);
        let mut done = 0;
        for (i, hole) in std::mem::take(&mut self.holes).into_iter().enumerate() {
            self.ready.extend_from_slice(&text[done..hole.at]);
            done = hole.at;
            let id = self.ids.get(hole.id.0..hole.id.1).unwrap_or("null");
            let Some(share) = self.shares.get(i).copied() else { continue };
            let refusal = match answers.map(|a| a.get(i).copied().unwrap_or(false)) {
                Some(true) => {
                    reply::ok(&mut self.ready, id, "true");
                    self.accepted += 1;
                    self.last_share_at = Some(share.at);
                    self.meter.add(share.class.work(), share.at);
                    self.vardiff.share(share.class, share.at);
                    if self.told == Some(self.wanted)
                        && let Some(class) = self.vardiff.decide(share.at)
                    {
                        self.wanted = class;
                    }
                    continue;
                }
                Some(false) => reply::SEALED,
                None => reply::NOT_STORED,
            };
            reply::refused(&mut self.ready, id, "false", refusal);
            self.rejected += 1;
            self.issued.forget(share.job, share.class, &hole.key);
        }
        self.ready.extend_from_slice(&text[done..]);
        self.text = text;
        self.text.clear();
        self.ids.clear();
        self.shares.clear();
        if self.told.is_some_and(|told| told != self.wanted) {
            self.give(now);
        }
        self.adjust(now);
        self.publish_text();
    }

    /// Moves what was written since to the output; only between batches.
    fn publish_text(&mut self) {
        if self.holes.is_empty() {
            self.ready.append(&mut self.text);
        }
    }

    /// What is to be sent; the driver sends and clears it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.ready
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

    /// Shares accepted and refused.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    /// When the last share was accepted.
    #[must_use]
    pub fn last_share_at(&self) -> Option<Timestamp> {
        self.last_share_at
    }

    /// The rate over the last ten minutes.
    pub fn hashrate(&mut self, now: Timestamp) -> Hashrate {
        self.meter.rate(now)
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
}
