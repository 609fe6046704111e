//! One connection of the load generator, as a miner behaves: subscribe, authorise, listen, submit.

use crate::eth::{EthDialect, EthForm, EthHeard, EthMiner};
use crate::mix::Kind;
use crate::shares::{Ground, Shares, target_of};
use crate::sockets::now_ns;
use crate::v2::{Channel, Form, Heard, V2Options};
use crate::wire::{self, Line, Outcome, Reply, SubmitText, Try};
use gruve_stratum::client::ClientJob;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

/// The longest line taken from a server: a job with 32 siblings and a large coinbase is below 32 KB.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    /// Connected; subscribe or authorise is under way.
    Handshake,
    /// Authorised; no job yet.
    Waiting,
    /// Has a job.
    Ready,
    Closed,
}

/// A submit without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// When it was sent, or should have been.
    pub(crate) sent_ns: u64,
    /// How much later than that it left.
    pub(crate) late_ns: u64,
    /// Sent before any share of its connection was acknowledged.
    pub(crate) is_first: bool,
}

/// What a connection has seen that its driver must know.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A job, and the login is through.
    Job,
    /// The answer to a submit. `in_order`: it is the oldest that waits.
    Answer { pending: Pending, reply: Reply, in_order: bool },
    /// An answer to nothing that was asked.
    Stray,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) number: usize,
    pub(crate) stream: TcpStream,
    pub(crate) phase: Phase,
    /// Why it was closed.
    pub(crate) ended: Option<String>,
    pub(crate) pending: VecDeque<Pending>,
    /// What a readable connection could not be handed whole.
    partial: Vec<u8>,
    pub(crate) out: Vec<u8>,
    user: String,
    password: String,
    next_id: u64,
    difficulty: f64,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
    text: SubmitText,
    /// Where it speaks V2.
    v2: Option<Box<Channel>>,
    /// Where it is of the Ethash family.
    pub(crate) eth: Option<Box<EthMiner>>,
    pub(crate) shares: Option<Shares>,
    /// The name of the last job that a clean one replaced.
    stale_job: Option<(String, u32)>,
    last_good: Option<Try>,
    /// A share of it was acknowledged.
    has_brought: bool,
    /// When it was begun.
    pub(crate) begun_ns: u64,
    /// Hashes tried for jobs that are gone.
    hashes: u64,
    /// When it was read last.
    pub(crate) heard_ns: u64,
}

impl Connection {
    pub(crate) fn new(number: usize, stream: TcpStream, user: String, password: String) -> Self {
        Connection {
            number,
            stream,
            phase: Phase::Connecting,
            ended: None,
            pending: VecDeque::new(),
            partial: Vec::new(),
            out: Vec::new(),
            user,
            password,
            next_id: wire::AUTHORIZE_ID + 1,
            difficulty: 1.0,
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            text: SubmitText::default(),
            v2: None,
            eth: None,
            shares: None,
            stale_job: None,
            last_good: None,
            has_brought: false,
            begun_ns: now_ns(),
            hashes: 0,
            heard_ns: 0,
        }
    }

    /// The same in V2.
    pub(crate) fn of_v2(mut self, options: V2Options) -> Connection {
        self.v2 = Some(Box::new(Channel::new(options, &self.user)));
        self
    }

    /// The same of the Ethash family.
    pub(crate) fn of_eth(mut self, dialect: EthDialect, number: usize) -> Connection {
        self.eth = Some(Box::new(EthMiner::new(dialect, number, self.begun_ns)));
        self
    }

    /// Queues a share that no hash was spent on.
    pub(crate) fn submit_unhashed(&mut self, sent_ns: u64) {
        let Some(eth) = &mut self.eth else { return };
        let (id, share) = (self.next_id, eth.unhashed());
        eth.submit(id, &self.user, share, EthForm::Right, &mut self.out);
        self.next_id += 1;
        self.pending.push_back(Pending {
            id,
            kind: Kind::Low,
            sent_ns,
            late_ns: 0,
            is_first: !self.has_brought,
        });
    }

    /// Hashes expected for one share, where there is work.
    pub(crate) fn expected_hashes(&self) -> Option<u128> {
        let eth = self.eth.as_ref().map(|e| e.expected_hashes());
        eth.or(self.shares.as_ref().map(Shares::expected_hashes))
    }

    /// Whether a share below the target can be made at all.
    pub(crate) fn has_low(&self) -> bool {
        self.eth.as_ref().is_some_and(|e| e.expected_hashes() > 1)
            || self.shares.as_ref().is_some_and(Shares::has_low)
    }

    /// Whether it has sent a share yet.
    pub(crate) fn has_submitted(&self) -> bool {
        self.next_id > wire::AUTHORIZE_ID + 1
    }

    /// Hashes tried for shares, all jobs.
    pub(crate) fn hashes(&self) -> u64 {
        let eth = self.eth.as_ref().map_or(0, |e| e.hashes);
        self.hashes + eth + self.shares.as_ref().map_or(0, |s| s.hashes)
    }

    /// Mines shares of the newest job until there are this many.
    pub(crate) fn mine(&mut self, good: usize, low: usize) {
        self.eth.iter_mut().for_each(|e| e.mine(good, low));
        self.shares.iter_mut().for_each(|s| s.mine(good, low));
    }

    /// Scans one stretch of nonces; gives how many.
    pub(crate) fn scan_for_speed(&mut self) -> u64 {
        if let Some(eth) = &mut self.eth {
            let before = eth.hashes;
            eth.hash_some();
            return eth.hashes - before;
        }
        self.shares.as_mut().map_or(0, Shares::scan_for_speed)
    }

    pub(crate) fn close(&mut self, why: impl Into<String>) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.ended = Some(why.into());
            // It may be closed already.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The socket is writable for the first time: connected, or not.
    pub(crate) fn connected(&mut self) {
        match self.stream.take_error() {
            Ok(None) => {}
            Ok(Some(e)) | Err(e) => return self.close(format!("cannot connect: {e}")),
        }
        if self.stream.peer_addr().is_err() {
            return; // not yet
        }
        let _ = self.stream.set_nodelay(true);
        self.phase = Phase::Handshake;
        if let Some(eth) = &self.eth {
            return eth.log_in(&self.user, &self.password, &mut self.out);
        }
        if let Some(channel) = &mut self.v2 {
            if let Err(why) = channel.begin(&mut self.out) {
                self.close(why);
            }
            return;
        }
        let line = format!(
            "{{\"id\":{},\"method\":\"mining.subscribe\",\"params\":[\"gruve-bench/{}\"]}}\n",
            wire::SUBSCRIBE_ID,
            env!("CARGO_PKG_VERSION"),
        );
        self.out.extend_from_slice(line.as_bytes());
    }

    /// Reads what there is and hands each thing seen to `see`, with what came before it in force.
    pub(crate) fn receive(
        &mut self,
        buf: &mut [u8],
        to_the_end: bool,
        jobs: &mut JobCache,
        mut see: impl FnMut(&mut Connection, Seen),
    ) {
        loop {
            let count = match self.stream.read(buf) {
                Ok(0) => return self.close("the server closed it"),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return self.close(format!("broken: {e}")),
            };
            self.heard_ns = now_ns();
            self.take(&buf[..count], jobs, &mut see);
            // A short read has emptied the socket; what comes later makes an event again.
            if self.phase == Phase::Closed || (count < buf.len() && !to_the_end) {
                return;
            }
        }
    }

    fn take(
        &mut self,
        received: &[u8],
        jobs: &mut JobCache,
        see: &mut impl FnMut(&mut Connection, Seen),
    ) {
        if let Some(channel) = &mut self.v2 {
            let mut heard = Vec::new();
            let outcome = channel.take(received, &mut self.out, &mut heard);
            heard.into_iter().for_each(|heard| self.heard(heard, see));
            if let Err(why) = outcome {
                self.close(why);
            }
            return;
        }
        let mut joined = Vec::new();
        let mut bytes = received;
        if !self.partial.is_empty() {
            joined.append(&mut self.partial);
            joined.extend_from_slice(received);
            bytes = &joined;
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.line(&bytes[..end], jobs, see);
            bytes = &bytes[end + 1..];
        }
        if bytes.len() > LINE_BYTES_MAX {
            return self.close("a line without end");
        }
        self.partial.extend_from_slice(bytes);
    }

    /// What a server of V2 said.
    fn heard(&mut self, heard: Heard, see: &mut impl FnMut(&mut Connection, Seen)) {
        match heard {
            Heard::Open if self.phase == Phase::Handshake => self.phase = Phase::Waiting,
            Heard::Open => {}
            Heard::Job(work) => {
                let work = *work;
                self.extranonce2_size = work.extranonce2_size;
                let ground = Ground {
                    job: Arc::new(work.job),
                    root: work.root,
                    extranonce1: work.extranonce1,
                    extranonce2_size: work.extranonce2_size,
                    target: work.target,
                };
                self.begin_job(ground, see);
            }
            // Good shares are acknowledged together, and refusals may come before them.
            Heard::Acknowledged { last, count } => {
                let mut told = 0;
                while self.pending.front().is_some_and(|p| p.id <= u64::from(last)) {
                    let Some(pending) = self.pending.pop_front() else { break };
                    let reply = Reply { id: pending.id, outcome: Outcome::Accepted };
                    self.has_brought = true;
                    told += 1;
                    see(self, Seen::Answer { pending, reply, in_order: true });
                }
                for _ in told.min(count)..count {
                    see(self, Seen::Stray);
                }
                if told > count {
                    self.close(format!("{count} shares are acknowledged where {told} wait"));
                }
            }
            Heard::Refused { sequence, code } => {
                let id = u64::from(sequence);
                let place = self.pending.iter().position(|p| p.id == id);
                match place.and_then(|at| self.pending.remove(at)) {
                    Some(pending) => {
                        let reply = Reply { id, outcome: Outcome::Refused(code) };
                        see(self, Seen::Answer { pending, reply, in_order: true });
                    }
                    None => see(self, Seen::Stray),
                }
            }
        }
    }

    /// What a server of the Ethash family said.
    fn heard_eth(&mut self, heard: EthHeard, see: &mut impl FnMut(&mut Connection, Seen)) {
        match heard {
            EthHeard::In if self.phase == Phase::Handshake => {
                let has_work = self.eth.as_ref().is_some_and(|e| e.has_work());
                self.phase = if has_work { Phase::Ready } else { Phase::Waiting };
                if has_work {
                    see(self, Seen::Job);
                }
            }
            EthHeard::Work if matches!(self.phase, Phase::Waiting | Phase::Ready) => {
                self.phase = Phase::Ready;
                see(self, Seen::Job);
            }
            EthHeard::Reply(reply) => self.answered(reply, see),
            EthHeard::In | EthHeard::Work | EthHeard::Nothing => {}
            EthHeard::Bad(why) => self.close(why),
        }
    }

    fn line(
        &mut self,
        line: &[u8],
        jobs: &mut JobCache,
        see: &mut impl FnMut(&mut Connection, Seen),
    ) {
        if let Some(eth) = &mut self.eth {
            let heard = eth.line(line);
            return self.heard_eth(heard, see);
        }
        if let Some(job) = jobs.same(line) {
            return self.given_job(job, see);
        }
        match wire::read(line) {
            Line::Reply(reply) if reply.id >= self.first_submit_id() => self.answered(reply, see),
            Line::Reply(reply) => self.handshake_reply(reply, see),
            Line::Subscribed(extranonce1, size) => {
                (self.extranonce1, self.extranonce2_size) = (extranonce1, size);
                let text = |t: &str| serde_json::to_string(t).unwrap_or_else(|_| "\"\"".into());
                let line = format!(
                    "{{\"id\":{},\"method\":\"mining.authorize\",\"params\":[{},{}]}}\n",
                    wire::AUTHORIZE_ID,
                    text(&self.user),
                    text(&self.password),
                );
                self.out.extend_from_slice(line.as_bytes());
            }
            Line::Difficulty(d) => self.difficulty = d,
            Line::Extranonce(extranonce1, size) => {
                (self.extranonce1, self.extranonce2_size) = (extranonce1, size);
            }
            Line::Job(job) => {
                let job = jobs.keep(line, *job);
                self.given_job(job, see);
            }
            Line::Other => {}
            Line::Bad => self.close("the server does not speak Stratum V1"),
        }
    }

    fn first_submit_id(&self) -> u64 {
        wire::AUTHORIZE_ID + 1
    }

    fn handshake_reply(&mut self, reply: Reply, see: &mut impl FnMut(&mut Connection, Seen)) {
        match (reply.id, reply.outcome) {
            (wire::AUTHORIZE_ID, wire::Outcome::Accepted) if self.phase == Phase::Handshake => {
                // Some servers give the first job before the login.
                if self.shares.is_some() {
                    self.phase = Phase::Ready;
                    see(self, Seen::Job);
                } else {
                    self.phase = Phase::Waiting;
                }
            }
            (wire::AUTHORIZE_ID, wire::Outcome::Accepted) => {}
            (wire::AUTHORIZE_ID, wire::Outcome::Refused(_)) => self.close("the login was refused"),
            _ => self.close("the subscription was refused"),
        }
    }

    fn answered(&mut self, reply: Reply, see: &mut impl FnMut(&mut Connection, Seen)) {
        let place = match self.pending.front() {
            Some(first) if first.id == reply.id => Some(0),
            _ => self.pending.iter().position(|p| p.id == reply.id),
        };
        let seen = place.and_then(|at| self.pending.remove(at).map(|p| (at, p)));
        match seen {
            Some((at, pending)) => {
                self.has_brought |= matches!(reply.outcome, Outcome::Accepted);
                see(self, Seen::Answer { pending, reply, in_order: at == 0 });
            }
            None => see(self, Seen::Stray),
        }
    }

    fn given_job(&mut self, job: Arc<ClientJob>, see: &mut impl FnMut(&mut Connection, Seen)) {
        if self.extranonce2_size == 0 {
            return; // a job before the reply to subscribe cannot be mined
        }
        self.text = SubmitText::new(&self.user, &job.id, job.ntime);
        let ground = Ground {
            job,
            root: None,
            extranonce1: self.extranonce1.clone(),
            extranonce2_size: self.extranonce2_size,
            target: target_of(self.difficulty),
        };
        self.begin_job(ground, see);
    }

    fn begin_job(&mut self, ground: Ground, see: &mut impl FnMut(&mut Connection, Seen)) {
        if let Some(old) = self.shares.as_ref().filter(|_| ground.job.clean) {
            self.stale_job = Some((old.job_id().to_owned(), old.ntime()));
        }
        let next = self.shares.as_ref().map_or(0, Shares::next_extranonce2);
        self.hashes = self.hashes();
        self.shares = Some(Shares::new(ground, next));
        // A duplicate is one within a job.
        self.last_good = None;
        if self.phase == Phase::Waiting {
            self.phase = Phase::Ready;
        }
        if self.phase == Phase::Ready {
            see(self, Seen::Job);
        }
    }

    /// Queues a submit of this kind; a duplicate of nothing is a good share instead. Gives the kind.
    pub(crate) fn submit(&mut self, kind: Kind, sent_ns: u64) -> Option<Kind> {
        if let Some(eth) = &mut self.eth {
            let id = self.next_id;
            let again = kind == Kind::Duplicate && eth.has_shared();
            let kind = if kind == Kind::Duplicate && !again { Kind::Accepted } else { kind };
            let (share, form) = match kind {
                Kind::Accepted | Kind::Duplicate => (eth.good(again)?, EthForm::Right),
                Kind::Low => (eth.low()?, EthForm::Right),
                Kind::Stale => (eth.unhashed(), EthForm::Stale),
                Kind::Malformed => (eth.unhashed(), EthForm::Malformed),
            };
            eth.submit(id, &self.user, share, form, &mut self.out);
            self.next_id += 1;
            self.pending.push_back(Pending {
                id,
                kind,
                sent_ns,
                late_ns: 0,
                is_first: !self.has_brought,
            });
            return Some(kind);
        }
        let shares = self.shares.as_mut()?;
        let id = self.next_id;
        let kind = match (kind, &self.last_good) {
            (Kind::Duplicate, None) => Kind::Accepted,
            _ => kind,
        };
        let (size, text, out) = (self.extranonce2_size, &self.text, &mut self.out);
        if let Some(channel) = &mut self.v2 {
            let this = match kind {
                Kind::Accepted => {
                    let share = shares.good();
                    self.last_good = Some(share);
                    share
                }
                Kind::Duplicate => self.last_good.unwrap_or_else(|| shares.any()),
                Kind::Low => shares.low(),
                Kind::Stale | Kind::Malformed => shares.any(),
            };
            let form = if kind == Kind::Malformed { Form::Malformed } else { Form::Right };
            let version = shares.version();
            let job = match (kind, &self.stale_job) {
                (Kind::Stale, Some((job, ntime))) => (job.as_str(), *ntime, version),
                (Kind::Stale, None) => ("stale", 0, version),
                _ => (shares.job_id(), shares.ntime(), version),
            };
            channel.submit(job, u32::try_from(id).unwrap_or(u32::MAX), this, form, out);
            self.next_id += 1;
            self.pending.push_back(Pending {
                id,
                kind,
                sent_ns,
                late_ns: 0,
                is_first: !self.has_brought,
            });
            return Some(kind);
        }
        match kind {
            Kind::Accepted => {
                let share = shares.good();
                text.write(id, share, size, out);
                self.last_good = Some(share);
            }
            Kind::Duplicate => {
                let share = self.last_good.unwrap_or_else(|| shares.any());
                text.write(id, share, size, out);
            }
            Kind::Low => text.write(id, shares.low(), size, out),
            Kind::Stale => {
                let (job, ntime) = self.stale_job.as_ref().map_or(("stale", 0), |(j, t)| (j, *t));
                SubmitText::new(&self.user, job, ntime).write(id, shares.any(), size, out);
            }
            Kind::Malformed => text.write_malformed(id, shares.any(), size, out),
        }
        self.next_id += 1;
        self.pending.push_back(Pending {
            id,
            kind,
            sent_ns,
            late_ns: 0,
            is_first: !self.has_brought,
        });
        Some(kind)
    }

    /// Sends what waits; what the socket does not take is kept.
    pub(crate) fn flush(&mut self) {
        while !self.out.is_empty() && !matches!(self.phase, Phase::Connecting | Phase::Closed) {
            match self.stream.write(&self.out) {
                Ok(count) if count == self.out.len() => self.out.clear(),
                Ok(count) => drop(self.out.drain(..count)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.close(format!("broken: {e}")),
            }
        }
    }
}

/// The last job line seen: thousands of connections get the same.
#[derive(Debug, Default)]
pub(crate) struct JobCache {
    line: Vec<u8>,
    job: Option<Arc<ClientJob>>,
}

impl JobCache {
    fn same(&self, line: &[u8]) -> Option<Arc<ClientJob>> {
        self.job.as_ref().filter(|_| self.line == line).cloned()
    }

    fn keep(&mut self, line: &[u8], job: ClientJob) -> Arc<ClientJob> {
        let job = Arc::new(job);
        self.line = line.to_vec();
        self.job = Some(Arc::clone(&job));
        job
    }
}
