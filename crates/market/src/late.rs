//! Late work: shares that stand in the log behind their epoch's seal, and count in the epoch sealed next.
//!
//! Promises: late work counts once. What of it was counted before is found by reading the log again, so that no list of
//! old shares is kept for it; it is read only where an epoch has late work.

use crate::Result;
use crate::tally::Counted;
use gruve_proof::share::{self, IDENTITY_LEN};
use gruve_sharelog::{LATE_EPOCHS, Position, Record, ShareLog};
use gruve_units::{EpochNumber, JobId};
use std::collections::HashSet;

/// Whether work of an epoch may still come in after `last` was sealed.
pub(crate) fn may_come(epoch: EpochNumber, last: EpochNumber) -> bool {
    epoch.0.saturating_add(LATE_EPOCHS) > last.0
}

/// Where work stands that late work could repeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// Not behind the first record of the oldest epoch that late work is of.
    pub(crate) from: Position,
    /// The last seal before the late work.
    pub(crate) to: Position,
}

/// Takes late shares out that were counted already; how many. Blocks while the log is read.
pub(crate) fn drop_counted(
    log: &ShareLog,
    before: Before,
    shares: &mut Vec<Counted>,
) -> Result<u64> {
    let late = shares.iter().filter(|s| s.epochs_late() > 0);
    let jobs: HashSet<JobId> = late.map(|s| share::job(s.canonical())).collect();
    if jobs.is_empty() {
        return Ok(0);
    }
    let mut counted: HashSet<[u8; IDENTITY_LEN]> = HashSet::new();
    let mut reader = log.reader(before.from);
    while let Some((at, record)) = reader.next()? {
        if at >= before.to {
            break;
        }
        if let Record::Share(s) = record
            && jobs.contains(&s.job)
        {
            counted.extend(identity(&Counted::new(&s, 0, 0)));
        }
    }
    let all = shares.len();
    shares.retain(|s| {
        s.epochs_late() == 0 || identity(s).is_none_or(|identity| !counted.contains(&identity))
    });
    Ok((all - shares.len()) as u64)
}

fn identity(share: &Counted) -> Option<[u8; IDENTITY_LEN]> {
    share::identity(share.canonical()).first_chunk().copied()
}
