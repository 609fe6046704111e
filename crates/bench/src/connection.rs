//! One connection of the load generator, as a miner behaves: subscribe, authorise, listen, submit.

use crate::mix::Kind;
use crate::shares::Shares;
use crate::sockets::now_ns;
use crate::wire::{self, Line, Reply, SubmitText, Try};
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
    pub(crate) shares: Option<Shares>,
    /// The name of the last job that a clean one replaced.
    stale_job: Option<(String, u32)>,
    last_good: Option<Try>,
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
            shares: None,
            stale_job: None,
            last_good: None,
            begun_ns: now_ns(),
            hashes: 0,
            heard_ns: 0,
        }
    }

    /// Whether it has sent a share yet.
    pub(crate) fn has_submitted(&self) -> bool {
        self.next_id > wire::AUTHORIZE_ID + 1
    }

    /// Hashes tried for shares, all jobs.
    pub(crate) fn hashes(&self) -> u64 {
        self.hashes + self.shares.as_ref().map_or(0, |s| s.hashes)
    }

    /// Mines shares of the newest job until there are this many.
    pub(crate) fn mine(&mut self, good: usize, low: usize) {
        self.shares.iter_mut().for_each(|s| s.mine(good, low));
    }

    /// Scans one stretch of nonces; gives how many.
    pub(crate) fn scan_for_speed(&mut self) -> u64 {
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

    fn line(
        &mut self,
        line: &[u8],
        jobs: &mut JobCache,
        see: &mut impl FnMut(&mut Connection, Seen),
    ) {
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
            Some((at, pending)) => see(self, Seen::Answer { pending, reply, in_order: at == 0 }),
            None => see(self, Seen::Stray),
        }
    }

    fn given_job(&mut self, job: Arc<ClientJob>, see: &mut impl FnMut(&mut Connection, Seen)) {
        if self.extranonce2_size == 0 {
            return; // a job before the reply to subscribe cannot be mined
        }
        if let Some(old) = self.shares.as_ref().filter(|_| job.clean) {
            self.stale_job = Some((old.job_id().to_owned(), old.ntime()));
        }
        self.text = SubmitText::new(&self.user, &job.id, job.ntime);
        let next = self.shares.as_ref().map_or(0, Shares::next_extranonce2);
        self.hashes = self.hashes();
        let (extranonce1, size) = (self.extranonce1.clone(), self.extranonce2_size);
        self.shares = Some(Shares::new(job, extranonce1, size, self.difficulty, next));
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
        let shares = self.shares.as_mut()?;
        let id = self.next_id;
        let kind = match (kind, &self.last_good) {
            (Kind::Duplicate, None) => Kind::Accepted,
            _ => kind,
        };
        let (size, text, out) = (self.extranonce2_size, &self.text, &mut self.out);
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
        self.pending.push_back(Pending { id, kind, sent_ns });
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
