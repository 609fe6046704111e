//! One V2 connection, without any I/O: messages, work and time in; messages and effects out.
//!
//! Promises: no bytes panic; memory is bounded by [`crate::limits`]; a share is judged at the class
//! its job was given at, credited at most once, and only for jobs that its channel was given; no
//! acknowledgement before the share is in the log.
//!
//! Order of a share's checks: channel, job, extranonce, version, duplicate, hash, then stale, time,
//! difficulty: the hash comes before the last three because a solution of a block is sent to the
//! node whatever else is wrong with it.

mod give;
mod open;
mod setup;
mod submit;

use super::channel::Channel;
use super::frame::{self, Front};
use super::jobs::Jobs;
use super::message::{self, Message};
use crate::limits;
use crate::machines::{Authorized, Refused};
use crate::meter::Meter;
use crate::prefixes::{Lease, Prefix};
use crate::protocol::{
    Admitted, Candidate, Judged, Notice, Protocol, Round, Solved, Standing, Step, Work,
};
use crate::session::{CloseReason, Refusal, SessionRules};
use crate::work::WorkState;
use gruve_units::{Class, MachineId, Timestamp};
use open::Asking;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A connection that was set up, as its client wishes.
#[derive(Clone, Copy, Debug)]
struct Ways {
    /// The client understands headers only: no groups, no extended jobs.
    standard_only: bool,
    /// It may be asked to connect again.
    bears_reconnect: bool,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    rules: Arc<SessionRules>,
    connected_at: Timestamp,
    heard_at: Timestamp,
    ways: Option<Ways>,
    agent: String,
    /// Version bits that clients may roll; zero for none.
    version_mask: u32,
    /// The channel whose login is being looked up.
    asking: Option<Asking>,
    /// Oldest first, so by number.
    channels: Vec<Channel>,
    /// The channel that each prefix belongs to.
    owners: HashMap<Prefix, (u32, Lease)>,
    /// Shares remembered, of all channels.
    held: usize,
    /// The groups' numbers, by class: a group's number is never a channel's.
    groups: HashMap<Class, u32>,
    last_id: u32,
    jobs: Jobs,
    work: Option<Arc<WorkState>>,
    /// Who opened the first channel.
    first: Option<(Authorized, String)>,
    meter: Meter,
    refused_logins: u32,
    bad_messages: u32,
    judged: u32,
    bad_shares: u32,
    accepted: u64,
    rejected: u64,
    last_share_at: Option<Timestamp>,
}

impl Session {
    /// A connection that has just come.
    #[must_use]
    pub fn new(rules: Arc<SessionRules>, now: Timestamp) -> Session {
        Session {
            version_mask: setup::version_mask(rules.version_mask),
            rules,
            connected_at: now,
            heard_at: now,
            ways: None,
            agent: String::new(),
            asking: None,
            channels: Vec::new(),
            groups: HashMap::new(),
            last_id: 0,
            jobs: Jobs::default(),
            work: None,
            first: None,
            owners: HashMap::new(),
            held: 0,
            meter: Meter::new(now),
            refused_logins: 0,
            bad_messages: 0,
            judged: 0,
            bad_shares: 0,
            accepted: 0,
            rejected: 0,
            last_share_at: None,
        }
    }

    fn message(&mut self, message: Message, now: Timestamp, round: &mut Round) -> Step {
        let out = &mut round.text;
        let Some(ways) = self.ways else {
            return match message {
                Message::Setup(setup) => self.setup(&setup, out),
                // Nothing else means anything before it.
                _ => Step::Close(CloseReason::BadLines),
            };
        };
        match message {
            Message::Open(open) => return self.open(&open, ways, out),
            Message::Submit(submit) => return self.submit(&submit, now, round),
            Message::Update { channel, hashrate, max_target } => {
                self.update(channel, hashrate, max_target, now, out);
            }
            Message::Close { channel } => self.close(channel),
            Message::Custom { channel, request_id } => {
                setup::no_custom_work(channel, request_id, out);
            }
            Message::Extensions { request_id, wanted } => {
                setup::no_extensions(request_id, &wanted, out);
            }
            Message::Unknown => {}
            Message::Setup(_) => return self.bad_message(),
        }
        Step::Continue
    }

    fn bad_message(&mut self) -> Step {
        self.bad_messages += 1;
        if self.bad_messages >= limits::BAD_LINES_MAX {
            Step::Close(CloseReason::BadLines)
        } else {
            Step::Continue
        }
    }

    /// The client has closed a channel, or all of a group.
    fn close(&mut self, id: u32) {
        let class = self.groups.iter().find(|(_, group)| **group == id).map(|(class, _)| *class);
        self.channels.retain(|c| c.id != id && Some(c.told) != class);
        self.tidy();
    }

    fn channel(&self, id: u32) -> Option<usize> {
        self.channels.binary_search_by_key(&id, |c| c.id).ok()
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// A prefix that no other channel of the gateway has.
    fn next_prefix(&mut self, channel: u32) -> [u8; 4] {
        let prefixes = &self.rules.prefixes;
        let prefix = prefixes.next();
        self.owners.insert(prefix, (channel, prefixes.hold(prefix)));
        prefix
    }

    /// Lets go of the shares of jobs that are closed.
    fn drop_closed(&mut self) {
        if self.jobs.has_closed() {
            for given in self.channels.iter_mut().flat_map(|c| c.given.iter_mut()) {
                if self.jobs.get(given.number).is_some_and(|j| j.is_closed) {
                    given.close();
                }
            }
        }
    }

    /// Lets go of what belonged to channels and jobs that are no more.
    fn tidy(&mut self) {
        for channel in &mut self.channels {
            channel.given.retain(|g| self.jobs.get(g.number).is_some());
        }
        // Each channel has a prefix; where there are no more, none is to be let go.
        if self.owners.len() > self.channels.len() {
            let living: HashSet<Prefix> =
                self.channels.iter().flat_map(Channel::prefixes).collect();
            self.owners.retain(|prefix, _| living.contains(prefix));
        }
        self.held = self.channels.iter().map(Channel::held).sum();
    }

    fn hardest(&self) -> Class {
        let network = self.work.as_ref().map_or(self.rules.class_range.1, |w| w.class_max());
        self.rules.class_range.1.min(network)
    }
}

impl Protocol for Session {
    fn receive(&mut self, input: &[u8], now: Timestamp, round: &mut Round) -> (usize, Step) {
        let mut taken = 0;
        let enough = round.candidates.len() + round.each_max;
        while round.candidates.len() < enough {
            let (frame, length) = match frame::front(input.get(taken..).unwrap_or_default()) {
                Front::Whole(frame, length) => (frame, length),
                Front::Partial => break,
                Front::TooLong => return (taken, Step::Close(CloseReason::LongLine)),
            };
            taken += length;
            self.heard_at = now;
            let step = match message::decode(&frame) {
                Some(message) => self.message(message, now, round),
                None => self.bad_message(),
            };
            if !matches!(step, Step::Continue) {
                return (taken, step);
            }
        }
        (taken, Step::Continue)
    }

    fn authorized(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        _password: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        self.heard_at = now;
        self.opened(outcome, now, out);
    }

    fn work(&mut self, work: &Work, now: Timestamp, out: &mut Vec<u8>) {
        let Work::Header(work) = work else { return };
        self.jobs.keep_living(work);
        self.drop_closed();
        self.work = Some(Arc::clone(work));
        let hardest = self.hardest();
        self.tidy();
        for channel in &mut self.channels {
            channel.set_range(hardest);
        }
        self.give(now, out);
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
        self.answer_share(&candidate.share, note, outcome, out)
    }

    fn settle(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        self.acknowledge(out);
        self.adjust(now, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<CloseReason> {
        if self.ways.is_none() && now.since(self.connected_at) > self.rules.handshake_max {
            return Some(CloseReason::Handshake);
        }
        // A proxy whose machines are all off has nothing to say, and some do not come back.
        // One without a channel is nobody's, whatever it says; not closed sooner, because proxies open
        // theirs when their first machine comes.
        let (since, idle_max) = match self.first {
            Some(_) => (self.heard_at, limits::V2_IDLE_MAX),
            None => (self.connected_at, self.rules.idle_max),
        };
        if now.since(since) > idle_max {
            return Some(CloseReason::Idle);
        }
        self.adjust(now, out);
        None
    }

    /// V2 has no words for people, and none for when to come.
    fn tell(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        if let (Some(Ways { bears_reconnect: true, .. }), Notice::ComeBack { to, .. }) =
            (self.ways, notice)
        {
            setup::reconnect(to.as_ref(), out);
        }
    }

    fn counts(&mut self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    /// Of machines with one channel: where several do one machine's work, no class is its own.
    fn found(&mut self, all: bool, note: &mut dyn FnMut(MachineId, Class)) {
        let is_news = |c: &Channel| c.vardiff.found().is_some_and(|f| all || c.noted != Some(f));
        if !self.channels.iter().any(is_news) {
            return;
        }
        let mut channels: HashMap<MachineId, usize> = HashMap::new();
        for channel in &self.channels {
            *channels.entry(channel.who.machine).or_default() += 1;
        }
        for channel in self.channels.iter_mut().filter(|c| is_news(c)) {
            channel.noted = channel.vardiff.found();
            let machine = channel.who.machine;
            if let (Some(class), Some(1)) = (channel.noted, channels.get(&machine)) {
                note(machine, class);
            }
        }
    }

    fn standing(&mut self, now: Timestamp) -> Standing {
        let first = self.channels.first();
        Standing {
            who: self.first.as_ref().map(|(who, _)| *who),
            user: self.first.as_ref().map(|(_, user)| user.clone()).unwrap_or_default(),
            agent: self.agent.clone(),
            class: first.map_or(self.rules.start_class, |c| c.told),
            accepted: self.accepted,
            rejected: self.rejected,
            last_share_at: self.last_share_at,
            hashrate: self.meter.rate(now),
        }
    }
}
