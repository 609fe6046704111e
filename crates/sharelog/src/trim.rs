//! Trimming by age: whole segments, oldest first.

use crate::{LogError, Position, ShareLog, summary};
use gruve_units::Timestamp;

impl ShareLog {
    /// Deletes the oldest segments whose last job and seal are older than `than`, up to but not
    /// including `before`'s. What [`ShareLog::trim_before`] keeps is kept; so is a segment whose age
    /// is not known, and everything after it. Gives the place that the log now begins at.
    ///
    /// # Errors
    /// [`LogError::Io`]; what was deleted before stays deleted.
    pub fn trim_older(&self, than: Timestamp, before: Position) -> Result<Position, LogError> {
        let mut keep = self.start();
        let most = before.segment.min(self.end().segment);
        let is_old = |number| {
            summary::load(self.dir(), number).and_then(|t| t.latest).is_some_and(|at| at < than)
        };
        while keep.segment < most && is_old(keep.segment) {
            keep.segment += 1;
        }
        if keep > self.start() {
            self.trim_before(keep)?;
        }
        Ok(self.start())
    }
}
