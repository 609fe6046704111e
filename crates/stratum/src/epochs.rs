//! A lane's epochs, and the numbers of its jobs: in which epoch work made now counts, when it is over, and
//! sealing it. The same for every kind of lane.
//!
//! Promises: no work is of a sealed epoch, even if the clock goes back; epochs are sealed one by one, none
//! before the first that the log may hold shares of; a number never comes again, not in a later life
//! either.

use crate::error::StratumError;
use crate::limits::SEALS_AT_START_MAX;
use gruve_sharelog::ShareLog;
use gruve_units::{Clock, Duration, Entropy, EpochNumber, EpochRule, JobId, Timestamp};
use std::sync::Arc;

/// How often clock and seals are looked at. The clock may jump, so no wait is longer.
const LOOK: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) struct Epochs {
    rule: EpochRule,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    log: ShareLog,
    /// The first epoch that the log may hold shares of.
    first: Option<EpochNumber>,
    last_id: JobId,
}

impl Epochs {
    /// Of a lane with this log, whose first epoch is `first` where it holds one.
    pub(crate) fn new(
        rule: EpochRule,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        log: ShareLog,
        first: Option<EpochNumber>,
    ) -> Epochs {
        let last_id = log.last_job().unwrap_or(JobId(0));
        Epochs { rule, clock, entropy, log, first, last_id }
    }

    /// How long until there may be something to do.
    pub(crate) fn until_next(&self) -> Duration {
        let now = self.clock.now();
        let rule = self.rule;
        rule.end(rule.at(now)).since(now).clamp(Duration::from_millis(1), LOOK)
    }

    /// The epoch for work made now: the clock's, but never a sealed one.
    pub(crate) fn at(&self, now: Timestamp) -> EpochNumber {
        let by_clock = self.rule.at(now);
        self.log.sealed().map_or(by_clock, |s| by_clock.max(s.next()))
    }

    /// Whether work of this epoch is to be followed by work of another.
    pub(crate) fn is_over(&self, epoch: EpochNumber) -> bool {
        epoch < self.at(self.clock.now())
    }

    /// The log may hold shares of this epoch from here on.
    pub(crate) fn begin(&mut self, epoch: EpochNumber) {
        self.first.get_or_insert(epoch);
    }

    /// Above every number before, in this life and (by the clock and by the log) in earlier ones;
    /// ten random bits keep gateways that start together apart.
    pub(crate) fn next_id(&mut self, now: Timestamp) -> JobId {
        let mut random = [0; 2];
        self.entropy.fill(&mut random);
        let random = u64::from(u16::from_be_bytes(random) & 0x3ff);
        let by_clock = u64::try_from(now.0).unwrap_or(0) << 10 | random;
        self.last_id = JobId(by_clock.max(self.last_id.0.saturating_add(1)));
        self.last_id
    }

    /// So many numbers behind the last one are given as well: to the same work with other coinbases.
    pub(crate) fn give_more(&mut self, ids: usize) {
        let ids = u64::try_from(ids).unwrap_or(u64::MAX);
        self.last_id = JobId(self.last_id.0.saturating_add(ids));
    }

    /// When the last number was given, by the clock of that time.
    pub(crate) fn last_given_at(&self) -> Timestamp {
        i64::try_from(self.last_id.0 >> 10).map_or(Timestamp(i64::MAX), Timestamp)
    }

    /// Seals every epoch whose grace is over, one by one; before the first work there is nothing to
    /// seal.
    pub(crate) fn seal_due(&self) -> Result<(), StratumError> {
        let now = self.clock.now();
        let Some(last) = self.rule.last_sealable(now) else { return Ok(()) };
        let Some(from) = self.log.sealed().map(EpochNumber::next).or(self.first) else {
            return Ok(());
        };
        let from = from.max(last.back(SEALS_AT_START_MAX));
        for epoch in from.0..=last.0 {
            self.log.seal(EpochNumber(epoch), now)?;
        }
        Ok(())
    }
}
