//! New jobs to all connections, some hundred between two rounds: first to those who have brought good work,
//! because every moment on an old job is theirs to lose; thousands who only sit wait behind them.

use super::Loop;
use crate::gateway::slab::Key;
use crate::limits;
use crate::protocol::{Protocol as _, Work};
use gruve_units::Timestamp;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How far a change of jobs has been given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Giving {
    /// Whether it is the others' turn.
    is_rest: bool,
    at: usize,
}

impl Giving {
    /// The next of so many places whose tenant is to be given the jobs; `None` when all have them.
    /// `due` says of a place whether its tenant misses them, and then whether it has brought good work.
    fn next(&mut self, places: usize, due: impl Fn(usize) -> Option<bool>) -> Option<usize> {
        loop {
            while self.at < places {
                let place = self.at;
                self.at += 1;
                if due(place).is_some_and(|is_proven| is_proven || self.is_rest) {
                    return Some(place);
                }
            }
            if self.is_rest {
                return None;
            }
            (self.is_rest, self.at) = (true, 0);
        }
    }
}

impl Loop {
    /// Looks whether there are newer jobs, and closes the oldest where the memory of shares is nearly
    /// full: their shares count no more from then on, so that those of newer jobs have room.
    pub(super) fn take_jobs(&mut self) {
        if self.jobs.has_changed().unwrap_or(false) {
            self.work = self.jobs.borrow_and_update().clone();
            self.begin_giving();
            self.giving_since = self.work.as_ref().map(|w| w.made().unwrap_or(self.turned_at));
        } else if self.shared.rules.seen.is_nearly_spent()
            && self.giving.is_none()
            && let Some(fewer) = self.work.as_ref().and_then(Work::with_oldest_closed)
        {
            tracing::warn!(lane = %self.shared.lane.id(),
                "the oldest job is closed: there are too many shares to tell apart");
            self.shared.tally.jobs_forgotten.fetch_add(1, Ordering::Relaxed);
            self.work = Some(fewer);
            self.giving_since = None;
            self.begin_giving();
        }
    }

    fn begin_giving(&mut self) {
        self.jobs_change = self.jobs_change.wrapping_add(1);
        self.giving = self.work.is_some().then(Giving::default);
    }

    /// Gives the newest jobs to the next some hundred connections.
    pub(super) fn give_jobs(&mut self, now: Timestamp) {
        let (Some(mut giving), Some(work)) = (self.giving, self.work.clone()) else { return };
        let places = self.connections.places();
        let (mut given, begun, change) = (0, Instant::now(), self.jobs_change);
        while given == 0
            || (given < limits::JOBS_GIVEN_PER_ROUND_MAX
                && begun.elapsed() < limits::JOBS_GIVEN_TIME_MAX)
        {
            let due = |place| {
                let connection = self.connections.value_at(place)?;
                (connection.jobs != change).then(|| connection.is_proven())
            };
            let Some(place) = giving.next(places, due) else {
                self.giving = None;
                if let Some(since) = self.giving_since.take().filter(|_| places > 0) {
                    self.shared.tally.job_given(since.elapsed());
                }
                return;
            };
            given += 1;
            if let Some(key) = self.connections.at(place) {
                self.give(key, &work, now);
            }
        }
        self.giving = Some(giving);
    }

    /// Gives a connection the newest jobs, or notes that it misses them.
    pub(in super::super) fn give(&mut self, key: Key, work: &Work, now: Timestamp) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.jobs = self.jobs_change;
        connection.behind = !connection.may_be_told();
        if connection.behind {
            return;
        }
        let mut out = std::mem::take(&mut self.desk.out);
        connection.session.work(work, now, &mut out);
        self.deliver(key, &mut out);
        self.desk.out = out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn who_has_brought_good_work_has_new_jobs_before_thousands_who_sit_and_all_have_them_once() {
        // Tenants of 5,000 places: the last of each thousand mines, every seventh place is free.
        let is_free = |place: usize| place.is_multiple_of(7);
        let has = RefCell::new(vec![false; 5000]);
        let due =
            |place: usize| (!is_free(place) && !has.borrow()[place]).then_some(place % 1000 == 999);
        let mut giving = Giving::default();
        let mut order = Vec::new();
        while let Some(place) = giving.next(5000, due) {
            has.borrow_mut()[place] = true;
            order.push(place);
        }
        let first: Vec<_> = (0..5usize).map(|n| n * 1000 + 999).filter(|p| !is_free(*p)).collect();
        assert_eq!(order[..first.len()], first);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..5000usize).filter(|p| !is_free(*p)).collect::<Vec<_>>());
        assert_eq!(giving.next(5000, due), None);
    }

    #[test]
    fn who_becomes_proven_between_the_two_lines_is_not_passed_over_twice() {
        let mut giving = Giving::default();
        assert_eq!(giving.next(3, |place| Some(place == 2)), Some(2));
        // The first one has brought good work since.
        let due = |place: usize| (place != 2).then_some(place == 0);
        assert_eq!(giving.next(3, due), Some(0));
    }
}
