//! Time and processor time of a piece of work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The server's first process, whose children's processor time is counted too; 0 without one.
static SERVER: AtomicU32 = AtomicU32::new(0);

/// Has the processor time of a server's processes counted from now on.
pub(crate) fn count_server(process: u32) {
    SERVER.store(process, Ordering::Relaxed);
}

/// Measures from its making on.
pub(crate) struct Meter {
    begun: Instant,
    cpu: Duration,
    server: Duration,
}

/// What a piece of work took.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    /// This process's processor time, all threads.
    pub(crate) cpu: Duration,
    /// That of the server's processes, where they are counted.
    pub(crate) server: Duration,
}

impl Meter {
    pub(crate) fn begin() -> Meter {
        // The most memory is that of this piece alone. (Where this is refused, it is that since the start.)
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Meter { begun: Instant::now(), cpu: cpu(), server: server() }
    }

    pub(crate) fn taken(&self) -> Taken {
        Taken {
            wall: self.begun.elapsed(),
            cpu: cpu().saturating_sub(self.cpu),
            server: server().saturating_sub(self.server),
        }
    }
}

/// Processor time so far. Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&fields(&stat))
}

/// The same of the server's processes, as far as they live.
fn server() -> Duration {
    let parent = SERVER.load(Ordering::Relaxed);
    let Some(processes) = std::fs::read_dir("/proc").ok().filter(|_| parent > 0) else {
        return Duration::ZERO;
    };
    let mut sum = Duration::ZERO;
    for process in processes.flatten() {
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let fields = fields(&stat);
        if fields.get(1) == Some(&parent.to_string().as_str()) {
            sum += ticks(&fields);
        }
    }
    sum
}

/// What follows a process's name: its state, its parent, ….
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect())
}

fn ticks(fields: &[&str]) -> Duration {
    let used = fields.iter().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok());
    Duration::from_millis(used.sum::<u64>() * 10)
}

/// Resident memory of this process in megabytes: now, and the most since the last [`Meter`] began.
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
        "{what}: {:.2} s; processor time {:.2} s here, {:.2} s at the server; {now} MB resident, {most} at most",
        taken.wall.as_secs_f64(),
        taken.cpu.as_secs_f64(),
        taken.server.as_secs_f64()
    );
}
