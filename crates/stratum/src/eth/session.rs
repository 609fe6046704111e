//! One connection's session, pure. The dialect shows in its first message.
//!
//! Classes: a NiceHash connection has nonces of its own, so it has a class of its own, which the
//! difficulty control steers; the others choose their nonces freely and all have the lane's free
//! class (why: [`super::claims`]). A header hash has one class for a connection, settled before anybody
//! hears of it; what is wished or found out later comes with the next header. So who comes while there
//! is a header begins at the free class, whatever it wishes; where its firmware would misread that
//! (ethminer), with the next header.
//!
//! Work is given after login, for NiceHash's dialect and stratum/1 at once, for eth-proxy when it is
//! asked for and from then on whenever it changes. BzMiner logs in only when it has seen work, so it
//! is given some before.

mod requests;

pub(super) use requests::{with_worker, worker_of};

use super::claims::Settled;
use super::dialect::{self, Dialect, Form};
use super::extranonce::{Extranonce1, Extranonces};
use super::work::{EthState, EthWork};
use crate::limits;
use crate::machines::Refused;
use crate::meter::Meter;
use crate::notify::set_difficulty;
use crate::protocol::{Admitted, Candidate, Judged, Protocol, Round, Solved, Standing, Step, Work};
use crate::session::{CloseReason, Refusal, SessionRules, Worker, logs_in_after_its_first_job};
use crate::vardiff::Vardiff;
use gruve_units::{Class, Entropy, Hashrate, JobId, MachineId, Timestamp};
use std::sync::Arc;

/// Makes the sessions of a gateway.
#[derive(Clone, Debug)]
pub struct Sessions {
    rules: Arc<SessionRules>,
    extranonces: Extranonces,
}

impl Sessions {
    /// For sessions under these rules.
    #[must_use]
    pub fn new(rules: Arc<SessionRules>, entropy: &dyn Entropy) -> Sessions {
        Sessions { rules, extranonces: Extranonces::new(entropy) }
    }

    /// A session that has just connected. Where as many live as can have nonces of their own, it
    /// cannot speak NiceHash's dialect.
    #[must_use]
    pub fn open(&self, now: Timestamp) -> EthSession {
        EthSession::new(Arc::clone(&self.rules), self.extranonces.clone(), now)
    }
}

/// A header hash at one class, as given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) name: JobId,
    pub(super) class: Class,
    /// Shares counted of it.
    pub(super) shares: usize,
}

/// One session.
#[derive(Debug)]
pub struct EthSession {
    rules: Arc<SessionRules>,
    extranonces: Extranonces,
    /// Its own part of the nonces; there is one where it speaks NiceHash's dialect.
    pub(super) extranonce: Option<Extranonce1>,
    connected_at: Timestamp,
    last_line_at: Timestamp,
    last_share_at: Option<Timestamp>,
    pub(super) dialect: Option<Dialect>,
    /// Whether an eth-proxy miner has asked for work.
    asked_for_work: bool,
    agent: String,
    pub(super) workers: Vec<Worker>,
    /// The login being looked up: its request's id, how to reply, the login.
    asking: Option<(String, Form, String)>,
    refused_logins: u32,
    /// The easiest class for miners of this name.
    easiest: Class,
    /// The easiest class the miner wants, at least that.
    floor: Class,
    vardiff: Vardiff,
    /// The class to give from the next header on; see [`EthSession::want`].
    wanted: Class,
    /// Whether the control decided that, and no wish or memory.
    is_decided: bool,
    /// The class last given.
    told: Option<Class>,
    /// The class remembered from the last time, until it is given.
    trusted: Option<Class>,
    /// The class last noted for the next time.
    noted: Option<Class>,
    pub(super) state: Option<Arc<EthState>>,
    /// What was given of the living works, oldest first.
    pub(super) given: Vec<Given>,
    meter: Meter,
    reported: Option<Hashrate>,
    bad_lines: u32,
    judged: u32,
    bad_shares: u32,
    accepted: u64,
    rejected: u64,
}

impl EthSession {
    /// A session that has just connected.
    #[must_use]
    pub fn new(rules: Arc<SessionRules>, extranonces: Extranonces, now: Timestamp) -> EthSession {
        let vardiff = Vardiff::new(rules.class_range, rules.start_class, rules.share_interval, now);
        EthSession {
            easiest: rules.class_range.0,
            floor: rules.class_range.0,
            trusted: None,
            noted: None,
            wanted: vardiff.class(),
            is_decided: false,
            vardiff,
            rules,
            extranonce: extranonces.take(),
            extranonces,
            connected_at: now,
            last_line_at: now,
            last_share_at: None,
            dialect: None,
            asked_for_work: false,
            agent: String::new(),
            workers: Vec::new(),
            asking: None,
            refused_logins: 0,
            told: None,
            state: None,
            given: Vec::new(),
            meter: Meter::new(now),
            reported: None,
            bad_lines: 0,
            judged: 0,
            bad_shares: 0,
            accepted: 0,
            rejected: 0,
        }
    }

    /// The rate that the miner says it has; it decides nothing.
    #[must_use]
    pub fn reported(&self) -> Option<Hashrate> {
        self.reported
    }

    fn hardest(&self) -> Class {
        let network = self.state.as_ref().map(|s| s.current.class_max());
        self.rules.class_range.1.min(network.unwrap_or(self.rules.class_range.1))
    }

    /// Whether work may be sent that was not asked for.
    fn may_be_given(&self) -> bool {
        let logged_in = !self.workers.is_empty();
        match self.dialect {
            None => false,
            Some(Dialect::EthProxy) => logged_in && self.asked_for_work,
            Some(_) => logged_in || logs_in_after_its_first_job(&self.agent),
        }
    }

    /// Gives the newest work at the wanted class, if it may be given and is not yet.
    fn give(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let Some(state) = self.state.clone().filter(|_| self.may_be_given()) else { return };
        let last = self.given.last().and_then(|g| state.named(g.name)).cloned();
        let told = self.told;
        let Some(class) = self.take(&state, now) else { return };
        let eased = told.is_some_and(|told| class < told);
        let clean = eased || last.is_none_or(|last| state.is_stale(&last));
        let work = &state.current;
        match self.dialect {
            None => {}
            Some(Dialect::NiceHash) => {
                if told != Some(class) {
                    out.extend_from_slice(set_difficulty(class, self.rules.algorithm).as_bytes());
                }
                dialect::nicehash_notify(out, work, class, clean);
            }
            Some(Dialect::Stratum) => dialect::stratum_notify(out, work, class, clean),
            Some(Dialect::EthProxy) => {
                Form::JsonRpc.ok(out, "0", &dialect::get_work_result(work, class));
            }
        }
    }

    /// Notes that the newest work is given; `None` where there is nothing new to give.
    fn take(&mut self, state: &EthState, now: Timestamp) -> Option<Class> {
        let work = &state.current;
        let name = work.name();
        if self.given.iter().any(|g| g.name == name) {
            return None;
        }
        // A part counts only where the dialect uses it.
        let part = self.extranonce.as_ref().filter(|_| !self.is_free()).map(Extranonce1::part);
        let class = self.settled(work).class(part);
        if part.is_some() && class < self.easiest.min(work.class_max()) {
            // It would take it for another class. The next header has the one it needs.
            return None;
        }
        self.given.push(Given { name, class, shares: 0 });
        if self.trusted == Some(class) {
            self.trusted = None;
            self.vardiff.begin_trusted(class, now);
        } else if self.told.is_none() {
            self.vardiff.begin(class, now);
        } else {
            self.vardiff.applied(class, now);
        }
        self.told = Some(class);
        Some(class)
    }

    /// The classes of a work's nonces; settles them where nobody has.
    fn settled<'a>(&self, work: &'a EthWork) -> &'a Settled {
        let (easiest, hardest) = self.rules.class_range;
        let free = self.rules.start_class.max(easiest).min(hardest);
        let hardest = hardest.min(work.class_max());
        work.claims().settle(free, hardest, || self.extranonces.planned())
    }

    /// Wants this class from the next header on.
    fn want(&mut self, class: Class) {
        self.is_decided &= class == self.wanted;
        self.wanted = class;
        if self.trusted != Some(class) {
            self.trusted = None;
        }
        self.plan();
    }

    /// Says where all can see it which class its part is to have.
    fn plan(&mut self) {
        let (wanted, is_free) = (self.wanted, self.is_free());
        if let Some(own) = self.extranonce.as_mut().filter(|_| !is_free) {
            own.plan(wanted);
        }
    }

    /// Whether the miner chooses all bytes of its nonces.
    pub(super) fn is_free(&self) -> bool {
        self.dialect != Some(Dialect::NiceHash)
    }

    fn class_of(&self, work: &EthWork) -> Class {
        let given = self.given.iter().rev().find(|g| g.name == work.name());
        given.map_or(self.wanted, |g| g.class)
    }

    /// Lets the difficulty control decide; what it does comes with the next header.
    fn adjust(&mut self, now: Timestamp) {
        let Some(told) = self.told.filter(|_| !self.is_free()) else { return };
        let class = if self.wanted == told {
            self.vardiff.decide(now)
        } else if self.is_decided && self.wanted > told {
            // Headers may be long in coming, and many shares more come meanwhile.
            self.vardiff.revise(self.wanted, now)
        } else {
            None
        };
        if let Some(class) = class {
            self.want(class);
            self.is_decided = true;
        }
    }

    /// A share was refused; whether too many were bad.
    pub(super) fn note_refused(&mut self, refusal: Refusal) -> Option<CloseReason> {
        self.rejected += 1;
        self.note_judged(refusal.is_bad())
    }

    fn note_judged(&mut self, is_bad: bool) -> Option<CloseReason> {
        self.judged += 1;
        self.bad_shares += u32::from(is_bad);
        let too_bad = self.bad_shares >= limits::BAD_SHARES_MAX;
        if self.judged >= limits::BAD_SHARES_WINDOW {
            (self.judged, self.bad_shares) = (0, 0);
        }
        too_bad.then_some(CloseReason::BadShares)
    }

    pub(super) fn note_accepted(&mut self, class: Class, at: Timestamp) {
        self.accepted += 1;
        self.last_share_at = Some(at);
        self.meter.add(class.work(), at);
        self.vardiff.share(class, at);
        self.note_judged(false);
        self.adjust(at);
    }
}

impl Protocol for EthSession {
    fn receive(&mut self, input: &[u8], now: Timestamp, round: &mut Round) -> (usize, Step) {
        let before = round.candidates.len();
        let mut taken = 0;
        while round.candidates.len() - before < round.each_max {
            let rest = &input[taken..];
            let end = rest.iter().position(|b| *b == b'\n');
            if end.unwrap_or(rest.len()) > limits::LINE_BYTES_MAX {
                return (taken, Step::Close(CloseReason::LongLine));
            }
            let Some(end) = end else { break };
            let step = self.line(&rest[..end], now, round);
            taken += end + 1;
            if !matches!(step, Step::Continue) {
                return (taken, step);
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
        let Some((id, form, user)) = self.asking.take() else { return };
        match outcome {
            Ok(admitted) => {
                form.ok(out, &id, "true");
                if let Some(class) = admitted.class.filter(|_| self.workers.is_empty()) {
                    let class = class.clamp(self.floor.min(self.hardest()), self.hardest());
                    self.trusted = Some(class).filter(|_| self.told.is_none());
                    self.want(class);
                }
                self.workers.retain(|w| *w.user != *user);
                self.workers.push(Worker { user: user.into(), who: admitted.who });
                self.wishes_in(password);
                self.give(now, out);
            }
            Err(Refused(why)) => {
                self.refused_logins += 1;
                form.login_refused(out, &id, why);
            }
        }
        self.last_line_at = now;
    }

    fn work(&mut self, work: &Work, now: Timestamp, out: &mut Vec<u8>) {
        let Work::Ethash(state) = work else { return };
        // First of all, and for all: before anybody hears of the header.
        self.settled(&state.current);
        self.given.retain(|g| state.named(g.name).is_some());
        let hardest = state.current.class_max().min(self.rules.class_range.1);
        let easiest = self.floor.min(hardest);
        self.vardiff.set_range((easiest, hardest));
        self.want(self.wanted.clamp(easiest, hardest));
        self.state = Some(Arc::clone(state));
        if self.given.last().is_none_or(|g| g.name != state.current.name()) {
            self.give(now, out);
        }
    }

    fn judge(&mut self, candidate: &Candidate, solved: &Solved, _now: Timestamp) -> Judged {
        self.judge_share(candidate, solved)
    }

    fn answer(
        &mut self,
        candidate: &Candidate,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        self.answer_share(candidate, note, outcome, out)
    }

    fn settle(&mut self, now: Timestamp, _out: &mut Vec<u8>) {
        self.adjust(now);
    }

    fn tick(&mut self, now: Timestamp, _out: &mut Vec<u8>) -> Option<CloseReason> {
        if self.workers.is_empty() && now.since(self.connected_at) > self.rules.handshake_max {
            return Some(CloseReason::Handshake);
        }
        if now.since(self.last_line_at) > self.rules.idle_max {
            return Some(CloseReason::Idle);
        }
        self.adjust(now);
        None
    }

    fn counts(&mut self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    /// Where a connection has a class of its own.
    fn found(&mut self, all: bool, note: &mut dyn FnMut(MachineId, Class)) {
        let Some(first) = self.workers.first().filter(|_| !self.is_free()) else { return };
        let Some(class) = self.vardiff.found() else { return };
        if all || self.noted.replace(class) != Some(class) {
            note(first.who.machine, class);
        }
    }

    fn standing(&mut self, now: Timestamp) -> Standing {
        let first = self.workers.first();
        Standing {
            who: first.map(|w| w.who),
            user: first.map_or_else(String::new, |w| w.user.to_string()),
            agent: self.agent.clone(),
            class: self.told.unwrap_or(self.wanted),
            accepted: self.accepted,
            rejected: self.rejected,
            last_share_at: self.last_share_at,
            hashrate: self.meter.rate(now),
        }
    }
}
