//! The jobs a connection was given, and which shares of them have come on each channel: exact, by
//! decoded integers. A job that is closed has forgotten its shares.
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
    /// Its shares count no more, because there was no memory to tell them from repeated ones. It is
    /// kept for the block that may be found on it.
    pub(crate) is_closed: bool,
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
        self.jobs.push(Numbered {
            number: self.last,
            job: Arc::clone(job),
            class,
            is_closed: false,
        });
        self.last
    }

    /// Forgets jobs that live no longer.
    pub(crate) fn keep_living(&mut self, work: &WorkState) {
        self.jobs.retain(|j| work.holds(j.job.job().id()));
        for job in &mut self.jobs {
            job.is_closed |= work.is_closed(job.job.job().id());
        }
    }

    pub(crate) fn has_closed(&self) -> bool {
        self.jobs.iter().any(|j| j.is_closed)
    }

    /// Closes the oldest open job, if it is not the newest.
    pub(crate) fn close_oldest(&mut self) -> bool {
        let all_but_newest = self.jobs.len().saturating_sub(1);
        let oldest = self.jobs.iter_mut().take(all_but_newest).find(|j| !j.is_closed);
        oldest.map(|j| j.is_closed = true).is_some()
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
    is_closed: bool,
}

impl Given {
    pub(crate) const fn new(number: u32, prefix: [u8; 4]) -> Given {
        Given { number, prefix, seen: None, is_closed: false }
    }

    /// Forgets its shares, once.
    pub(crate) fn close(&mut self) {
        if !self.is_closed {
            (self.is_closed, self.seen) = (true, None);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
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
