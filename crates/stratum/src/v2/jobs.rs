//! The jobs a connection was given, and which shares of them have come on each channel: exact, by
//! decoded integers.
//!
//! A job at a class has one number on a connection, whichever channels it goes to. Numbers count up
//! and never come again.

use crate::seen::{Seen, SeenBudget, ShareKey};
use crate::work::{LiveJob, WorkState};
use gruve_units::{Class, JobId};
use std::sync::Arc;

/// A job at a class, as numbered on this connection.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u32,
    pub(crate) job: Arc<LiveJob>,
    pub(crate) class: Class,
}

impl Numbered {
    fn is(&self, job: JobId, class: Class) -> bool {
        self.class == class && self.job.job().id() == job
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<Numbered>,
    last: u32,
}

impl Jobs {
    /// The job of this number.
    pub(crate) fn get(&self, number: u32) -> Option<&Numbered> {
        // The newest is asked for most.
        self.jobs.iter().rev().find(|j| j.number == number)
    }

    /// Whether a number is that of a job at a class.
    pub(crate) fn is(&self, number: u32, job: JobId, class: Class) -> bool {
        self.get(number).is_some_and(|j| j.is(job, class))
    }

    /// The number of a job at a class; a new one at first sight.
    pub(crate) fn number(&mut self, job: &Arc<LiveJob>, class: Class) -> u32 {
        let known = self.jobs.iter().rev().find(|j| j.is(job.job().id(), class));
        known.map(|j| j.number).unwrap_or_else(|| self.another_number(job, class))
    }

    /// A new number for a job at a class: for a channel that gets it again with another prefix.
    pub(crate) fn another_number(&mut self, job: &Arc<LiveJob>, class: Class) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.jobs.push(Numbered { number: self.last, job: Arc::clone(job), class });
        self.last
    }

    /// Forgets jobs that live no longer.
    pub(crate) fn keep_living(&mut self, work: &WorkState) {
        self.jobs.retain(|j| work.holds(j.job.job().id()));
    }

    /// Forgets the oldest job, if it is not the only one.
    pub(crate) fn shed(&mut self) -> bool {
        let sheds = self.jobs.len() > 1;
        if sheds {
            self.jobs.remove(0);
        }
        sheds
    }
}

/// A job that a channel was given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) number: u32,
    /// The channel's extranonce prefix at that time.
    pub(crate) prefix: [u8; 4],
    /// `None` until the first share.
    seen: Option<Box<Seen>>,
}

impl Given {
    pub(crate) const fn new(number: u32, prefix: [u8; 4]) -> Given {
        Given { number, prefix, seen: None }
    }

    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.seen.as_ref().is_some_and(|s| s.has(key))
    }

    /// Whether no more shares can be told from earlier ones.
    pub(crate) fn is_full(&self, budget: &SeenBudget) -> bool {
        self.seen.as_ref().map_or(budget.is_spent(), |s| s.is_full())
    }

    /// How many shares are remembered.
    pub(crate) fn held(&self) -> usize {
        self.seen.as_ref().map_or(0, |s| s.len())
    }

    /// Remembers a share.
    pub(crate) fn note(&mut self, key: ShareKey, budget: &Arc<SeenBudget>) {
        self.seen.get_or_insert_with(|| Box::new(Seen::new(Arc::clone(budget)))).note(key);
    }

    /// Takes a share back that could not be stored.
    pub(crate) fn forget(&mut self, key: &ShareKey) {
        if let Some(seen) = &mut self.seen {
            seen.forget(key);
        }
    }
}
