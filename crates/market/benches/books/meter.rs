//! Time and processor time of a piece of work.

use std::time::{Duration, Instant};

/// Measures from its making on.
pub(crate) struct Meter {
    begun: Instant,
    cpu: Duration,
}

/// What a piece of work took.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    /// This process's processor time, all threads; a server's is not in it.
    pub(crate) cpu: Duration,
}

impl Meter {
    pub(crate) fn begin() -> Meter {
        Meter { begun: Instant::now(), cpu: cpu() }
    }

    pub(crate) fn taken(&self) -> Taken {
        Taken { wall: self.begun.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

/// Processor time so far. Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory of this process in megabytes: now, and the most so far.
pub(crate) fn memory_mb() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name));
        let kb = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
        kb.unwrap_or(0) / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

pub(crate) fn print(what: &str, taken: Taken) {
    let (now, most) = memory_mb();
    println!(
        "{what}: {:.2} s, of it {:.2} s on this process's processors; {now} MB resident, {most} at most",
        taken.wall.as_secs_f64(),
        taken.cpu.as_secs_f64()
    );
}
