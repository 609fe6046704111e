//! New jobs to all connections, some hundred between two rounds.

use super::Loop;
use crate::gateway::slab::Key;
use crate::limits;
use crate::protocol::{Protocol as _, Work};
use gruve_units::Timestamp;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Loop {
    /// Looks whether there are newer jobs, and closes the oldest where the memory of shares is nearly
    /// full: their shares count no more from then on, so that those of newer jobs have room.
    pub(super) fn take_jobs(&mut self) {
        if self.jobs.has_changed().unwrap_or(false) {
            self.work = self.jobs.borrow_and_update().clone();
            self.giving_from = self.work.is_some().then_some(0);
            self.giving_since = self.work.as_ref().map(|w| w.made().unwrap_or(self.turned_at));
        } else if self.shared.rules.seen.is_nearly_spent()
            && self.giving_from.is_none()
            && let Some(fewer) = self.work.as_ref().and_then(Work::with_oldest_closed)
        {
            tracing::warn!(lane = %self.shared.lane.id(),
                "the oldest job is closed: there are too many shares to tell apart");
            self.shared.tally.jobs_forgotten.fetch_add(1, Ordering::Relaxed);
            self.work = Some(fewer);
            (self.giving_from, self.giving_since) = (Some(0), None);
        }
    }

    /// Gives the newest jobs to the next some hundred connections.
    pub(super) fn give_jobs(&mut self, now: Timestamp) {
        let (Some(from), Some(work)) = (self.giving_from, self.work.clone()) else { return };
        let places = self.connections.places();
        let most = places.min(from + limits::JOBS_GIVEN_PER_ROUND_MAX);
        let (mut to, begun) = (from, Instant::now());
        while to < most && (to == from || begun.elapsed() < limits::JOBS_GIVEN_TIME_MAX) {
            if let Some(key) = self.connections.at(to) {
                self.give(key, &work, now);
            }
            to += 1;
        }
        self.giving_from = (to < places).then_some(to);
        if self.giving_from.is_none()
            && places > 0
            && let Some(since) = self.giving_since.take()
        {
            self.shared.tally.job_given(since.elapsed());
        }
    }

    /// Gives a connection the newest jobs, or notes that it misses them.
    pub(in super::super) fn give(&mut self, key: Key, work: &Work, now: Timestamp) {
        let Some(connection) = self.connections.get_mut(key) else { return };
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
