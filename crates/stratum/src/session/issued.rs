//! The jobs a session was given, and which shares of them it has sent.
//!
//! An idle session holds 24 bytes a job and nothing else.

use super::kept::KeptJob;
use crate::limits::SEEN_PER_SESSION_MAX;
use crate::prefixes::Prefix;
use crate::seen::{Remembered, SeenBudget, ShareKey};
use crate::work::{LiveJob, WorkState};
use gruve_sharelog::ShareRecord;
use gruve_units::{Class, JobId};
use std::sync::Arc;

/// Room is made for this many jobs at a time.
const ROOM: usize = 4;

/// One job at one class, as given.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) job: Arc<LiveJob>,
    seen: Remembered,
    pub(crate) class: Class,
    /// The session's extranonce 1 at that time: what its shares are judged under.
    pub(crate) prefix: Prefix,
    /// How often the same job had been given at the same class before.
    again: u8,
    /// Its shares count no more, because there was no memory to tell them from repeated ones. It is
    /// kept for the block that may be found on it.
    is_closed: bool,
}

impl Issued {
    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.seen.has(key)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether no more shares of it can be told from earlier ones.
    pub(crate) fn is_full(&self, budget: &SeenBudget) -> bool {
        self.seen.is_full(budget)
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.seen.clear();
    }

    fn is(&self, job: JobId, class: Class) -> bool {
        self.class == class && self.job.job().id() == job
    }

    fn is_of(&self, share: &ShareRecord) -> bool {
        self.is(share.job, share.class) && share.extranonce.as_slice().starts_with(&self.prefix)
    }

    fn count(&self) -> usize {
        self.seen.len()
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct IssuedJobs {
    jobs: Vec<Issued>,
    /// Shares remembered, of all of them.
    held: usize,
    /// From before a restart, until it is known which of them live.
    resumed: Option<Box<[KeptJob]>>,
}

impl IssuedJobs {
    /// By its name on the wire.
    pub(crate) fn find(&self, job: JobId, class: Class, again: u8) -> Option<&Issued> {
        // The newest is asked for most.
        self.jobs.iter().rev().find(|j| j.again == again && j.is(job, class))
    }

    /// What a share is of.
    pub(crate) fn of(&self, share: &ShareRecord) -> Option<&Issued> {
        self.jobs.iter().rev().find(|j| j.is_of(share))
    }

    /// How often the newest job was given, at all classes and at one.
    pub(crate) fn times(&self, newest: JobId, class: Class) -> (usize, usize) {
        // A connection may have had the house's job, an owner's and the house's again: all of one moment.
        let own = || self.jobs.iter().filter(|j| j.job.job().id() == newest);
        (own().count(), own().filter(|j| j.class == class).count())
    }

    /// Whether any of them was given under this prefix.
    pub(crate) fn has_prefix(&self, prefix: Prefix) -> bool {
        self.jobs.iter().any(|j| j.prefix == prefix)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// For the next program.
    pub(super) fn to_kept(&self) -> Vec<KeptJob> {
        let kept = |j: &Issued| KeptJob {
            job: j.job.job().id(),
            class: j.class,
            prefix: j.prefix,
            again: j.again,
            is_closed: j.is_closed,
            seen: j.seen.keys().copied().collect(),
        };
        // Of two restarts with no job in between, the first one's are still waiting.
        let waiting = self.resumed.iter().flat_map(|r| r.iter().cloned());
        waiting.chain(self.jobs.iter().map(kept)).collect()
    }

    /// Those of an earlier program.
    pub(super) fn resume(jobs: Vec<KeptJob>) -> IssuedJobs {
        IssuedJobs { resumed: Some(jobs.into()), ..IssuedJobs::default() }
    }

    /// Takes up those from before a restart that live; the others are stale.
    fn take_up(&mut self, work: &WorkState, budget: &Arc<SeenBudget>) {
        for kept in self.resumed.take().unwrap_or_default() {
            let KeptJob { job, class, prefix, again, is_closed, seen: keys } = kept;
            let Some(job) = work.find(job) else { continue };
            let seen = Remembered::of(&keys, budget);
            let job = Arc::clone(job);
            self.push(Issued { job, class, prefix, again, is_closed, seen });
        }
    }

    /// Notes that a job was given; `again` when it was before, and then never under a prefix it had:
    /// miners begin anew with each notify and would find the same shares again.
    pub(crate) fn give(&mut self, job: Arc<LiveJob>, class: Class, prefix: Prefix, again: u8) {
        self.push(Issued {
            job,
            class,
            prefix,
            again,
            is_closed: false,
            seen: Remembered::default(),
        });
    }

    fn push(&mut self, issued: Issued) {
        if self.jobs.len() == self.jobs.capacity() {
            self.jobs.reserve_exact(ROOM);
        }
        self.jobs.push(issued);
    }

    /// Forgets jobs that live no longer, and closes those that are closed for all.
    pub(crate) fn keep_living(&mut self, work: &WorkState, budget: &Arc<SeenBudget>) {
        if self.resumed.is_some() {
            self.take_up(work, budget);
        }
        self.jobs.retain(|j| work.holds(j.job.job().id()));
        if work.closed > 0 {
            let closed = self.jobs.iter_mut().filter(|j| work.is_closed(j.job.job().id()));
            closed.for_each(Issued::close);
        }
        self.held = self.jobs.iter().map(Issued::count).sum();
    }

    /// Remembers a share; false if it was remembered before, or is of no job given.
    pub(crate) fn note(&mut self, share: &ShareRecord, budget: &Arc<SeenBudget>) -> bool {
        let Some(issued) = self.jobs.iter_mut().rev().find(|j| j.is_of(share)) else {
            return false;
        };
        let is_new = issued.seen.note(ShareKey::of(share), budget);
        self.held += usize::from(is_new);
        if self.held > SEEN_PER_SESSION_MAX {
            self.shed();
        }
        is_new
    }

    /// Closes the oldest jobs of a session that holds too much.
    fn shed(&mut self) {
        let all_but_newest = self.jobs.len().saturating_sub(1);
        for issued in self.jobs.iter_mut().take(all_but_newest) {
            if self.held <= SEEN_PER_SESSION_MAX {
                return;
            }
            self.held = self.held.saturating_sub(issued.count());
            issued.close();
        }
    }

    /// Takes a share back that could not be stored.
    pub(crate) fn forget(&mut self, share: &ShareRecord) {
        let issued = self.jobs.iter_mut().rev().find(|j| j.is_of(share));
        if issued.is_some_and(|j| j.seen.forget(&ShareKey::of(share))) {
            self.held = self.held.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::job;
    use gruve_sharelog::{Extranonce, Owner};
    use gruve_units::{EpochNumber, MachineId, Timestamp};

    #[test]
    fn a_job_that_was_given_costs_an_idle_session_little() {
        assert!(size_of::<Issued>() <= 24, "{}", size_of::<Issued>());
    }

    /// None of them has as many shares as would be much for one job.
    #[test]
    fn all_jobs_of_a_session_together_hold_no_more_shares_than_the_limit_says() {
        let budget = Arc::new(SeenBudget::default());
        let mut jobs = IssuedJobs::default();
        let prefix = [1, 2, 3, 4];
        let mut share = ShareRecord {
            job: JobId(0),
            epoch: EpochNumber(7),
            class: Class::ZERO,
            owner: Owner::House,
            machine: MachineId::from_bytes([0; 16]),
            extranonce: Extranonce::new(&prefix).unwrap(),
            ntime: 0,
            nonce: 0,
            version: 0,
            at: Timestamp(0),
        };
        let each = u32::try_from(SEEN_PER_SESSION_MAX / 20).unwrap();
        for id in 0..24 {
            share.job = JobId(id);
            jobs.give(job(id), Class::ZERO, prefix, 0);
            for nonce in 0..each {
                share.nonce = nonce;
                assert!(jobs.note(&share, &budget));
                assert!(budget.held() <= SEEN_PER_SESSION_MAX);
            }
        }
        assert!(budget.held() > SEEN_PER_SESSION_MAX - 2 * SEEN_PER_SESSION_MAX / 20);
        let closed = jobs.jobs.iter().filter(|j| j.is_closed()).count();
        assert_eq!(closed, 4, "the oldest");
        // What could not be stored is not held.
        let before = jobs.held;
        jobs.forget(&share);
        jobs.forget(&share);
        assert_eq!((jobs.held, budget.held()), (before - 1, before - 1));
        drop(jobs);
        assert_eq!(budget.held(), 0);
    }
}
