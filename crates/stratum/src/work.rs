//! The jobs that live: what the job maker publishes and every session looks at.

use crate::notify::{notify, wire_id};
use bytes::Bytes;
use gruve_chain::Job;
use gruve_pow::lanes::Prefix;
use gruve_units::{AccountId, Algorithm, Class, JobId, MachineId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A job and what has been encoded of it.
#[derive(Debug)]
pub struct LiveJob {
    job: Job,
    /// The highest class that it may be given at.
    class_max: Class,
    /// When it was made, to measure how long it takes to the last miner.
    made: Instant,
    /// The coinbase's whole blocks before the extranonce, hashed once for all shares.
    beginning: Prefix,
    /// `mining.notify` by class and cleanness: at most 202, in practice a handful.
    encoded: Mutex<HashMap<(Class, bool), Bytes>>,
    /// Whose shares alone count under it: its block pays that owner.
    payee: Option<AccountId>,
    /// The same work for owners who are paid by the block itself; their numbers follow this job's one by one.
    own: Vec<OwnJob>,
}

/// A job whose block pays the owner of some machines.
#[derive(Clone, Debug)]
pub struct OwnJob {
    /// The machines it is given to.
    pub machines: BTreeSet<MachineId>,
    /// The job.
    pub job: Arc<LiveJob>,
}

impl LiveJob {
    /// Not yet given to anybody.
    #[must_use]
    pub fn new(job: Job) -> LiveJob {
        LiveJob {
            beginning: Prefix::of(job.coinbase_prefix()),
            class_max: Class::not_harder_than(job.easiest_target()),
            job,
            made: Instant::now(),
            encoded: Mutex::default(),
            payee: None,
            own: Vec::new(),
        }
    }

    /// The same, for one owner's machines.
    #[must_use]
    pub fn paying(self, owner: AccountId) -> LiveJob {
        LiveJob { payee: Some(owner), ..self }
    }

    /// The same, with jobs for owners who are paid by the block itself, in the order of their numbers.
    #[must_use]
    pub fn with_own(self, own: Vec<OwnJob>) -> LiveJob {
        let id = |job: &LiveJob| job.job.id().0;
        let follow = own.iter().zip(1..).all(|(own, n)| id(&own.job) == id(&self) + n);
        debug_assert!(follow, "numbers follow the job's");
        LiveJob { own, ..self }
    }

    /// The owner whom its block pays; the house without.
    #[must_use]
    pub fn payee(&self) -> Option<AccountId> {
        self.payee
    }

    /// The same work for owners who are paid by the block itself.
    #[must_use]
    pub fn own(&self) -> &[OwnJob] {
        &self.own
    }

    /// It or the one of an owner that has this number.
    fn numbered(self: &Arc<Self>, id: JobId) -> Option<&Arc<LiveJob>> {
        match id.0.checked_sub(self.job.id().0)? {
            0 => Some(self),
            n => usize::try_from(n - 1).ok().and_then(|n| self.own.get(n)).map(|own| &own.job),
        }
    }

    /// The job for a machine whose owner is paid by the block itself.
    fn for_machine(&self, machine: MachineId) -> Option<&Arc<LiveJob>> {
        self.own.iter().find(|own| own.machines.contains(&machine)).map(|own| &own.job)
    }

    /// The same, never given at a harder class than this.
    #[must_use]
    pub fn capped(self, class_max: Class) -> LiveJob {
        LiveJob { class_max: self.class_max.min(class_max), ..self }
    }

    /// The highest class that it may be given at: not harder than a block of any of its chains, nor than what was fixed
    /// with the checkpoint that it holds.
    #[must_use]
    pub fn class_max(&self) -> Class {
        self.class_max
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// When it was made.
    #[must_use]
    pub fn made(&self) -> Instant {
        self.made
    }

    /// The beginning of its coinbase, hashed.
    #[must_use]
    pub(crate) fn coinbase_beginning(&self) -> &Prefix {
        &self.beginning
    }

    /// The line that gives it to a miner once more, under another prefix of the extranonce: the name
    /// has a number behind it, so that shares of both can be told apart.
    #[must_use]
    pub(crate) fn notify_again(&self, class: Class, clean: bool, again: u8) -> Vec<u8> {
        let line = self.notify(class, clean);
        let name = std::str::from_utf8(&wire_id(&self.job, class)).unwrap_or_default().to_owned();
        let at = memchr::memmem::find(&line, name.as_bytes()).map_or(0, |at| at + name.len());
        [&line[..at], format!("{again:02x}").as_bytes(), &line[at..]].concat()
    }

    /// The line that gives it to a miner; encoded once for all who get the same.
    #[must_use]
    pub fn notify(&self, class: Class, clean: bool) -> Bytes {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        encoded
            .entry((class, clean))
            .or_insert_with(|| notify(&self.job, class, clean).into())
            .clone()
    }
}

/// The jobs that live at one moment; immutable, replaced as a whole.
#[derive(Clone, Debug)]
pub struct WorkState {
    /// What header hash the jobs are for.
    pub algorithm: Algorithm,
    /// The newest job; also the last of `live`.
    pub current: Arc<LiveJob>,
    /// All jobs whose shares may still count or make a block, oldest first, at most
    /// [`crate::limits::LIVE_JOBS_MAX`]. Those on another block than the newest are stale: their
    /// shares do not count, but a block found on them is still sent.
    pub live: Vec<Arc<LiveJob>>,
    /// So many of the oldest are closed: there was no memory left to tell their shares from repeated
    /// ones. Their shares do not count either, but a block found on them is still sent.
    pub closed: usize,
}

impl WorkState {
    /// A state with one job.
    #[must_use]
    pub fn of(algorithm: Algorithm, job: Arc<LiveJob>) -> WorkState {
        WorkState { algorithm, current: Arc::clone(&job), live: vec![job], closed: 0 }
    }

    /// The state after one more job; the oldest beyond the limit falls out.
    #[must_use]
    pub fn with(&self, job: Arc<LiveJob>, limit: usize) -> WorkState {
        let mut live = self.live.clone();
        live.push(Arc::clone(&job));
        let surplus = live.len().saturating_sub(limit.max(1));
        live.drain(..surplus);
        // Sessions know for themselves which jobs were closed for them.
        WorkState { algorithm: self.algorithm, current: job, live, closed: 0 }
    }

    /// The state with one more job closed; `None` when only the newest is open.
    #[must_use]
    pub fn with_oldest_closed(&self) -> Option<WorkState> {
        let closed = self.closed + 1;
        (closed < self.live.len()).then(|| WorkState { closed, ..self.clone() })
    }

    /// Whether a job is among the closed ones.
    #[must_use]
    pub fn is_closed(&self, job: JobId) -> bool {
        self.live.iter().take(self.closed).any(|l| l.numbered(job).is_some())
    }

    /// A job that still lives.
    #[must_use]
    pub fn find(&self, job: JobId) -> Option<&Arc<LiveJob>> {
        self.live.iter().find_map(|l| l.numbered(job))
    }

    /// The newest job for a connection on which these machines work: their owner's, where all of them have one, else the
    /// house's.
    #[must_use]
    pub fn newest_for(&self, machines: impl IntoIterator<Item = MachineId>) -> &Arc<LiveJob> {
        let newest = &self.current;
        if newest.own.is_empty() {
            return newest;
        }
        let mut all = machines.into_iter().map(|machine| newest.for_machine(machine));
        let Some(Some(first)) = all.next() else { return newest };
        let are_alike = all.all(|job| job.is_some_and(|job| Arc::ptr_eq(job, first)));
        if are_alike { first } else { newest }
    }

    /// Whether a job still lives.
    #[must_use]
    pub fn holds(&self, job: JobId) -> bool {
        self.live.iter().any(|l| l.numbered(job).is_some())
    }

    /// Whether a job stands on another block than the newest.
    #[must_use]
    pub fn is_stale(&self, job: &Job) -> bool {
        job.prev_hash() != self.current.job.prev_hash()
    }

    /// The hardest class that the newest job may be given at.
    #[must_use]
    pub fn class_max(&self) -> Class {
        self.current.class_max
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Authorized;
    use crate::notify::ENCODED;
    use crate::protocol::{Admitted, Protocol as _, Round, Step, Work};
    use crate::session::{Session, SessionRules};
    use gruve_chain::{JobSpec, Template};
    use gruve_sharelog::Owner;
    use gruve_units::{EpochNumber, Timestamp};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// A job of a block without transactions.
    pub(crate) fn job(id: u64) -> Arc<LiveJob> {
        let template = Template {
            height: 100,
            prev_hash: [3; 32],
            version: 0x2000_0000,
            bits: 0x1d00_ffff,
            min_time: 1,
            cur_time: 2,
            coinbase_value: 5,
            txs: Vec::new(),
            witness_commitment: None,
            mweb: None,
            longpoll_id: None,
        };
        let spec = JobSpec {
            id: JobId(id),
            epoch: EpochNumber(7),
            checkpoint_epoch: EpochNumber(5),
            commitment: [1; 32],
            tag: id.to_be_bytes().to_vec(),
            pay_to: vec![(vec![0x51], 5)],
            extranonce_len: 12,
        };
        Arc::new(LiveJob::new(Job::build(Arc::new(template), spec).unwrap()))
    }

    /// Subscribed and logged in.
    fn session(rules: &Arc<SessionRules>, n: u32) -> Session {
        let mut session = Session::new(Arc::clone(rules), n.to_be_bytes(), NOW);
        let (mut round, mut out) = (Round::default(), Vec::new());
        let subscribe = r#"{"id":1,"method":"mining.subscribe","params":[]}"#;
        let login = r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#;
        let lines = format!("{subscribe}\n{login}\n");
        let (_, step) = session.receive(lines.as_bytes(), NOW, &mut round);
        assert!(matches!(step, Step::Authorize { .. }));
        let who = Authorized { owner: Owner::House, machine: MachineId::from_bytes([1; 16]) };
        session.authorized(&Ok(Admitted { who, class: None }), "x", NOW, &mut out);
        session
    }

    #[test]
    fn a_job_is_encoded_once_for_all_sessions_of_a_class() {
        let class = |k| Class::new(k).unwrap();
        let rules = |k| SessionRules::new(Algorithm::Sha256d, (Class::ZERO, class(30)), class(k));
        let (easy, hard) = (Arc::new(rules(4)), Arc::new(rules(9)));
        let each = (0..500).flat_map(|n| [session(&easy, n), session(&hard, n)]);
        let mut sessions: Vec<Session> = each.collect();
        for id in [1, 2] {
            let work = Work::Header(Arc::new(WorkState::of(Algorithm::Sha256d, job(id))));
            let (before, mut given) = (ENCODED.get(), 0);
            for session in &mut sessions {
                let mut out = Vec::new();
                session.work(&work, NOW, &mut out);
                given += usize::from(memchr::memmem::find(&out, b"mining.notify").is_some());
            }
            assert_eq!((given, ENCODED.get() - before), (1_000, 2));
        }
    }
}
