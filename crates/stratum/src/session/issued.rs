//! The jobs a session was given, and which shares of them it has sent.
//!
//! An idle session holds 24 bytes a job and nothing else.

use super::kept::KeptJob;
use crate::limits::{EXTRANONCE1_BYTES, SEEN_PER_SESSION_MAX};
use crate::seen::{Seen, SeenBudget, ShareKey};
use crate::work::{LiveJob, WorkState};
use gruve_sharelog::ShareRecord;
use gruve_units::{Class, JobId};
use std::sync::Arc;

/// Room is made for this many jobs at a time.
const ROOM: usize = 4;

/// What a session's miners put before what they choose themselves.
pub(crate) type Prefix = [u8; EXTRANONCE1_BYTES];

/// One job at one class, as given.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) job: Arc<LiveJob>,
    /// `None` until the first share that must be told from others.
    seen: Option<Box<Seen>>,
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
        self.seen.as_ref().is_some_and(|s| s.has(key))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether no more shares of it can be told from earlier ones.
    pub(crate) fn is_full(&self, budget: &SeenBudget) -> bool {
        self.seen.as_ref().map_or(budget.is_spent(), |s| s.is_full())
    }

    fn close(&mut self) {
        if !self.is_closed {
            (self.is_closed, self.seen) = (true, None);
        }
    }

    fn is(&self, job: JobId, class: Class) -> bool {
        self.class == class && self.job.job().id() == job
    }

    fn is_of(&self, share: &ShareRecord) -> bool {
        self.is(share.job, share.class) && share.extranonce.as_slice().starts_with(&self.prefix)
    }

    fn count(&self) -> usize {
        self.seen.as_ref().map_or(0, |s| s.len())
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct IssuedJobs {
    jobs: Vec<Issued>,
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

    /// How often a job was given at a class.
    pub(crate) fn times(&self, job: JobId, class: Class) -> usize {
        self.jobs.iter().filter(|j| j.is(job, class)).count()
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
            seen: j.seen.iter().flat_map(|s| s.keys()).copied().collect(),
        };
        // Of two restarts with no job in between, the first one's are still waiting.
        let waiting = self.resumed.iter().flat_map(|r| r.iter().cloned());
        waiting.chain(self.jobs.iter().map(kept)).collect()
    }

    /// Those of an earlier program.
    pub(super) fn resume(jobs: Vec<KeptJob>) -> IssuedJobs {
        IssuedJobs { jobs: Vec::new(), resumed: Some(jobs.into()) }
    }

    /// Takes up those from before a restart that live; the others are stale.
    fn take_up(&mut self, work: &WorkState, budget: &Arc<SeenBudget>) {
        for kept in self.resumed.take().unwrap_or_default() {
            let KeptJob { job, class, prefix, again, is_closed, seen: keys } = kept;
            let Some(job) = work.live.iter().find(|l| l.job().id() == job) else { continue };
            let mut seen = Seen::new(Arc::clone(budget));
            for key in keys {
                seen.note(key);
            }
            let seen = (!seen.is_empty()).then(|| Box::new(seen));
            let job = Arc::clone(job);
            self.push(Issued { job, class, prefix, again, is_closed, seen });
        }
    }

    /// Notes that a job was given; `again` when it was before, and then never under a prefix it had:
    /// miners begin anew with each notify and would find the same shares again.
    pub(crate) fn give(&mut self, job: Arc<LiveJob>, class: Class, prefix: Prefix, again: u8) {
        self.push(Issued { job, class, prefix, again, is_closed: false, seen: None });
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
    }

    /// Remembers a share; false if it was remembered before, or is of no job given.
    pub(crate) fn note(&mut self, share: &ShareRecord, budget: &Arc<SeenBudget>) -> bool {
        let Some(issued) = self.jobs.iter_mut().rev().find(|j| j.is_of(share)) else {
            return false;
        };
        let new = || Box::new(Seen::new(Arc::clone(budget)));
        let seen = issued.seen.get_or_insert_with(new);
        let is_new = seen.note(ShareKey::of(share));
        // Only a job with many shares can have brought the session to its bound.
        if seen.len() > SEEN_PER_SESSION_MAX / 16 {
            self.shed();
        }
        is_new
    }

    /// Closes the oldest jobs of a session that holds too much.
    fn shed(&mut self) {
        let mut held: usize = self.jobs.iter().map(Issued::count).sum();
        let all_but_newest = self.jobs.len().saturating_sub(1);
        for issued in self.jobs.iter_mut().take(all_but_newest) {
            if held <= SEEN_PER_SESSION_MAX {
                return;
            }
            held -= issued.count();
            issued.close();
        }
    }

    /// Takes a share back that could not be stored.
    pub(crate) fn forget(&mut self, share: &ShareRecord) {
        let issued = self.jobs.iter_mut().rev().find(|j| j.is_of(share));
        if let Some(seen) = issued.and_then(|j| j.seen.as_mut()) {
            seen.forget(&ShareKey::of(share));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_given_costs_an_idle_session_little() {
        assert!(size_of::<Issued>() <= 24, "{}", size_of::<Issued>());
    }
}
