//! The jobs a connection was given, and which shares of them have come on each channel: exact, by
//! decoded integers. A job that is closed has forgotten its shares.
//!
//! A job at a class has one number on a connection, whichever channels it goes to. Numbers count up
//! and never come again.

use crate::limits::V2_AGAIN_PER_JOB_MAX;
use crate::seen::{Remembered, SeenBudget, ShareKey};
use crate::work::{LiveJob, WorkState};
use gruve_units::{Class, JobId};
use std::collections::BTreeMap;
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
    pub(crate) fn is(&self, job: JobId, class: Class) -> bool {
        self.class == class && self.job.job().id() == job
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<Numbered>,
    last: u32,
    /// The newest job, the first number of it or an owner's at each class, and how many more there are.
    newest: Option<JobId>,
    firsts: BTreeMap<(JobId, Class), u32>,
    more: usize,
}

impl Jobs {
    /// The job of this number.
    pub(crate) fn get(&self, number: u32) -> Option<&Numbered> {
        // Numbers count up, perhaps over the end.
        let first = self.jobs.first()?.number;
        let after = |number: u32| number.wrapping_sub(first);
        let place = self.jobs.binary_search_by_key(&after(number), |j| after(j.number));
        place.ok().and_then(|place| self.jobs.get(place))
    }

    /// The number of the newest job at a class, or of an owner's of the same moment; a new one at first sight.
    pub(crate) fn number(&mut self, newest: JobId, job: &Arc<LiveJob>, class: Class) -> u32 {
        self.begin(newest);
        let key = (job.job().id(), class);
        if let Some(known) = self.firsts.get(&key) {
            return *known;
        }
        let number = self.next(job, class);
        self.firsts.insert(key, number);
        number
    }

    /// A new number for the newest job at a class: for a channel that gets it again with another
    /// prefix. `None` when there have been too many of them.
    pub(crate) fn another_number(
        &mut self,
        newest: JobId,
        job: &Arc<LiveJob>,
        class: Class,
    ) -> Option<u32> {
        self.begin(newest);
        if self.more >= V2_AGAIN_PER_JOB_MAX {
            return None;
        }
        self.more += 1;
        Some(self.next(job, class))
    }

    fn begin(&mut self, newest: JobId) {
        if self.newest != Some(newest) {
            (self.newest, self.more) = (Some(newest), 0);
            self.firsts.clear();
        }
    }

    fn next(&mut self, job: &Arc<LiveJob>, class: Class) -> u32 {
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
    seen: Remembered,
    is_closed: bool,
}

impl Given {
    pub(crate) fn new(number: u32, prefix: [u8; 4]) -> Given {
        Given { number, prefix, seen: Remembered::default(), is_closed: false }
    }

    /// Forgets its shares, once.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.seen.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.seen.has(key)
    }

    /// Whether no more shares can be told from earlier ones.
    pub(crate) fn is_full(&self, budget: &SeenBudget) -> bool {
        self.seen.is_full(budget)
    }

    /// How many shares are remembered.
    pub(crate) fn held(&self) -> usize {
        self.seen.len()
    }

    /// Remembers a share.
    pub(crate) fn note(&mut self, key: ShareKey, budget: &Arc<SeenBudget>) {
        self.seen.note(key, budget);
    }

    /// Takes a share back that could not be stored; whether it was there.
    pub(crate) fn forget(&mut self, key: &ShareKey) -> bool {
        self.seen.forget(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::job;

    /// Each is a place in a list that all of the connection's shares are looked up in.
    #[test]
    fn one_job_has_so_many_numbers_and_each_is_found_also_when_they_begin_again() {
        let (first, second) = (job(1), job(2));
        let mut jobs = Jobs { last: u32::MAX - 2, ..Jobs::default() };
        assert_eq!(jobs.number(first.job().id(), &first, Class::ZERO), u32::MAX - 1);
        assert_eq!(
            jobs.number(first.job().id(), &first, Class::ZERO),
            u32::MAX - 1,
            "at one class the same"
        );
        let more: Vec<u32> =
            std::iter::from_fn(|| jobs.another_number(first.job().id(), &first, Class::ZERO))
                .collect();
        assert_eq!(more.len(), V2_AGAIN_PER_JOB_MAX);
        assert_eq!(more[..3], [u32::MAX, 0, 1]);
        for number in [u32::MAX - 1].iter().chain(&more) {
            assert_eq!(jobs.get(*number).map(|j| j.number), Some(*number));
        }
        let next = jobs.number(second.job().id(), &second, Class::ZERO);
        assert_eq!(next, more[more.len() - 1] + 1);
        assert!(
            jobs.another_number(second.job().id(), &second, Class::ZERO).is_some(),
            "the next has its own"
        );
        assert!(jobs.get(next + 2).is_none() && jobs.get(u32::MAX - 2).is_none());
    }
}
