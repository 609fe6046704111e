//! The jobs a session was given, and which shares of them it has sent.
//!
//! An idle session holds 24 bytes a job and nothing else.

use super::kept::KeptJob;
use crate::limits::SEEN_PER_SESSION_MAX;
use crate::seen::{Seen, SeenBudget, ShareKey};
use crate::work::{LiveJob, WorkState};
use gruve_units::{Class, JobId};
use std::sync::Arc;

/// Room is made for this many jobs at a time.
const ROOM: usize = 4;

/// One job at one class, as given.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) job: Arc<LiveJob>,
    pub(crate) class: Class,
    /// `None` until the first share.
    seen: Option<Box<Seen>>,
}

impl Issued {
    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.seen.as_ref().is_some_and(|s| s.has(key))
    }

    fn is(&self, job: JobId, class: Class) -> bool {
        self.class == class && self.job.job().id() == job
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
    pub(crate) fn find(&self, job: JobId, class: Class) -> Option<&Issued> {
        // The newest is asked for most.
        self.jobs.iter().rev().find(|j| j.is(job, class))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// For the next program.
    pub(super) fn to_kept(&self) -> Vec<KeptJob> {
        let kept = |j: &Issued| KeptJob {
            job: j.job.job().id(),
            class: j.class,
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
            let Some(job) = work.live.iter().find(|l| l.job().id() == kept.job) else { continue };
            self.give(Arc::clone(job), kept.class);
            for key in kept.seen {
                self.note(kept.job, kept.class, key, budget);
            }
        }
    }

    /// Notes that a job was given. Never twice the same: miners begin anew with each notify and
    /// would find the same shares again.
    pub(crate) fn give(&mut self, job: Arc<LiveJob>, class: Class) {
        if self.jobs.len() == self.jobs.capacity() {
            self.jobs.reserve_exact(ROOM);
        }
        self.jobs.push(Issued { job, class, seen: None });
    }

    /// Forgets jobs that live no longer.
    pub(crate) fn keep_living(&mut self, work: &WorkState, budget: &Arc<SeenBudget>) {
        if self.resumed.is_some() {
            self.take_up(work, budget);
        }
        self.jobs.retain(|j| work.holds(j.job.job().id()));
    }

    /// Whether no more shares of a job can be told from earlier ones.
    pub(crate) fn is_full(&self, job: JobId, class: Class, budget: &SeenBudget) -> bool {
        let seen = self.find(job, class).and_then(|j| j.seen.as_ref());
        seen.map_or(budget.is_spent(), |s| s.is_full())
    }

    /// Remembers a share; false if it was remembered before.
    pub(crate) fn note(
        &mut self,
        job: JobId,
        class: Class,
        key: ShareKey,
        budget: &Arc<SeenBudget>,
    ) -> bool {
        let Some(issued) = self.jobs.iter_mut().rev().find(|j| j.is(job, class)) else {
            return false;
        };
        let new = || Box::new(Seen::new(Arc::clone(budget)));
        let seen = issued.seen.get_or_insert_with(new);
        let is_new = seen.note(key);
        // Only a job with many shares can have brought the session to its bound.
        if seen.len() > SEEN_PER_SESSION_MAX / 16 {
            self.shed();
        }
        is_new
    }

    /// Forgets the oldest jobs of a session that holds too much.
    fn shed(&mut self) {
        let mut held: usize = self.jobs.iter().map(Issued::count).sum();
        while held > SEEN_PER_SESSION_MAX && self.jobs.len() > 1 {
            held -= self.jobs.remove(0).count();
        }
    }

    /// Takes a share back that could not be stored.
    pub(crate) fn forget(&mut self, job: JobId, class: Class, key: &ShareKey) {
        let issued = self.jobs.iter_mut().rev().find(|j| j.is(job, class));
        if let Some(seen) = issued.and_then(|j| j.seen.as_mut()) {
            seen.forget(key);
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
