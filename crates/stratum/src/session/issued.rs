//! The jobs a session was given, and which shares of them it has sent: exact, by decoded integers.

use crate::limits::{SHARES_PER_JOB_MAX, SHARES_PER_SESSION_MAX};
use crate::notify::{WIRE_ID_CHARS, wire_id};
use crate::work::{LiveJob, WorkState};
use gruve_units::{Class, JobId};
use std::collections::HashSet;
use std::sync::Arc;

/// What makes two shares of one job and class the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShareKey {
    pub(crate) extranonce2: u64,
    pub(crate) ntime: u32,
    pub(crate) nonce: u32,
    pub(crate) version: u32,
}

/// One job at one class, as given.
#[derive(Debug)]
pub(crate) struct Issued {
    wire_id: [u8; WIRE_ID_CHARS],
    pub(crate) job: Arc<LiveJob>,
    pub(crate) class: Class,
    seen: HashSet<ShareKey>,
}

impl Issued {
    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.seen.contains(key)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.seen.len() >= SHARES_PER_JOB_MAX
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct IssuedJobs {
    jobs: Vec<Issued>,
    seen: usize,
}

impl IssuedJobs {
    pub(crate) fn find(&self, wire_id: &str) -> Option<&Issued> {
        // The newest is asked for most.
        self.jobs.iter().rev().find(|j| j.wire_id == wire_id.as_bytes())
    }

    fn find_mut(&mut self, job: JobId, class: Class) -> Option<&mut Issued> {
        self.jobs.iter_mut().rev().find(|j| j.class == class && j.job.job().id() == job)
    }

    pub(crate) fn has_given(&self, job: JobId, class: Class) -> bool {
        self.jobs.iter().any(|j| j.class == class && j.job.job().id() == job)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Notes that a job was given. Never twice the same: miners begin anew with each notify and
    /// would find the same shares again.
    pub(crate) fn give(&mut self, job: Arc<LiveJob>, class: Class) {
        let wire_id = wire_id(job.job(), class);
        self.jobs.push(Issued { wire_id, job, class, seen: HashSet::new() });
    }

    /// Forgets jobs that live no longer.
    pub(crate) fn keep_living(&mut self, work: &WorkState) {
        self.jobs.retain(|j| work.holds(j.job.job().id()));
        self.seen = self.jobs.iter().map(|j| j.seen.len()).sum();
    }

    /// Remembers a share.
    pub(crate) fn note(&mut self, job: JobId, class: Class, key: ShareKey) {
        let Some(issued) = self.find_mut(job, class) else { return };
        if issued.seen.insert(key) {
            self.seen += 1;
        }
        while self.seen > SHARES_PER_SESSION_MAX && self.jobs.len() > 1 {
            self.seen -= self.jobs.remove(0).seen.len();
        }
    }

    /// Takes a share back that could not be stored.
    pub(crate) fn forget(&mut self, job: JobId, class: Class, key: &ShareKey) {
        if self.find_mut(job, class).is_some_and(|j| j.seen.remove(key)) {
            self.seen -= 1;
        }
    }
}
