//! What the share log costs the gateway, taken in the run itself.
//!
//! The gateway cannot be run without its log, and should not: nothing is acknowledged that is not in
//! it. So its part is counted while it works: the time the loop spends in appends (which encode, sum and
//! write) and the processor time of the thread that syncs. What the system's own threads do for the disk
//! later is not in it.

use gruve_units::HistogramCounts;
use std::path::Path;

/// What the log's thread is called.
const SYNC_THREAD: &str = "sharelog-sync";

/// What the logs of this process have cost so far, nanoseconds; `None` where the system does not tell
/// the processor time of a thread.
pub(crate) fn spent_ns(appends: &HistogramCounts) -> Option<u64> {
    let mut spent = appends.sum;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        // A thread may end meanwhile.
        let Ok(thread) = thread else { continue };
        spent += sync_ns(&thread.path()).unwrap_or(0);
    }
    Some(spent)
}

/// Processor time of a thread that syncs a log: the first number of its `schedstat`.
fn sync_ns(thread: &Path) -> Option<u64> {
    let name = std::fs::read_to_string(thread.join("comm")).ok()?;
    if name.trim_end() != SYNC_THREAD {
        return None;
    }
    let times = std::fs::read_to_string(thread.join("schedstat")).ok()?;
    times.split_whitespace().next()?.parse().ok()
}
