//! Many connections for long: what they cost in memory, and whether it grows.

use crate::BenchError;
use crate::connection::{Connection, Seen};
use crate::fleet::{Driver, Fleet, FleetOptions, nanos};
use crate::mix::Kind;
use crate::sockets::{now_ns, resident_bytes};
use crate::wire::Outcome;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A soak.
#[derive(Clone, Debug)]
pub struct IdleOptions {
    /// Who connects, and as whom.
    pub fleet: FleetOptions,
    /// How many.
    pub clients: usize,
    /// For how long, once all have a job.
    pub duration: Duration,
    /// How often the server's memory is looked at.
    pub sample: Duration,
    /// Each connection sends a share this often; never if `None`.
    pub share_every: Option<Duration>,
    /// The server's process, on this machine.
    pub pid: Option<u32>,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdleReport {
    /// Connections that had a job.
    pub clients: usize,
    /// Seconds they were held.
    pub seconds: f64,
    /// Resident memory of the server before them, bytes.
    pub resident_before: Option<u64>,
    /// When all had a job.
    pub resident_open: Option<u64>,
    /// At the end.
    pub resident_end: Option<u64>,
    /// The most that was seen while they were held.
    pub resident_max: Option<u64>,
    /// What a client costs, bytes: what was added when all had a job, by their number.
    pub bytes_per_client: Option<i64>,
    /// Each look: seconds since all had a job, bytes.
    pub samples: Vec<(f64, u64)>,
    /// Jobs that came to them meanwhile, all clients together.
    pub jobs: u64,
    /// Shares acknowledged meanwhile.
    pub acknowledged: u64,
    /// Shares refused.
    pub refused: u64,
    /// Connections that were closed on us.
    pub closed: usize,
    /// Why, from the first.
    pub closed_because: Option<String>,
}

/// Holds connections.
///
/// # Errors
/// When the clients do not come to have jobs.
#[allow(clippy::cast_precision_loss)] // for display
pub fn idle(options: &IdleOptions) -> Result<IdleReport, BenchError> {
    let resident = || options.pid.and_then(|pid| resident_bytes(pid).ok());
    let mut report = IdleReport { resident_before: resident(), ..IdleReport::default() };
    let mut fleet = Fleet::new(options.fleet.clone())?;
    let mut sleepers = Sleepers::default();
    fleet.open(options.clients, &mut sleepers)?;
    report.clients = fleet.ready();
    report.resident_open = resident();
    report.resident_max = report.resident_open;
    report.bytes_per_client = each(&report, options.clients);
    sleepers.jobs = 0;
    let begun = now_ns();
    let end = begun + nanos(options.duration);
    let mut next_sample = begun;
    let mut shares = 0;
    while now_ns() < end {
        let now = now_ns();
        if now >= next_sample {
            next_sample += nanos(options.sample).max(1);
            if let Some(bytes) = resident() {
                report.samples.push(((now - begun) as f64 / 1e9, bytes));
                report.resident_max = report.resident_max.max(Some(bytes));
            }
        }
        let due = options.share_every.map_or(0, |every| {
            u128::from(now - begun) * options.clients as u128 / u128::from(nanos(every).max(1))
        });
        while shares < due {
            let place = usize::try_from(shares % options.clients.max(1) as u128).unwrap_or(0);
            let connection = &mut fleet.connections[place];
            connection.submit(Kind::Accepted, now);
            connection.flush();
            shares += 1;
        }
        fleet.turn(Duration::from_millis(20), &mut sleepers)?;
    }
    report.seconds = (now_ns() - begun) as f64 / 1e9;
    report.resident_end = resident();
    (report.jobs, report.acknowledged) = (sleepers.jobs, sleepers.acknowledged);
    report.refused = sleepers.refused;
    report.closed = fleet.closed();
    report.closed_because = fleet.connections.iter().find_map(|c| c.ended.clone());
    Ok(report)
}

fn each(report: &IdleReport, clients: usize) -> Option<i64> {
    let before = i64::try_from(report.resident_before?).ok()?;
    let open = i64::try_from(report.resident_open?).ok()?;
    Some((open - before) / i64::try_from(clients.max(1)).ok()?)
}

#[derive(Default)]
struct Sleepers {
    jobs: u64,
    acknowledged: u64,
    refused: u64,
}

impl Driver for Sleepers {
    fn seen(&mut self, _: &mut Connection, seen: Seen) {
        match seen {
            Seen::Job => self.jobs += 1,
            Seen::Answer { reply, .. } if reply.outcome == Outcome::Accepted => {
                self.acknowledged += 1;
            }
            Seen::Answer { .. } => self.refused += 1,
            Seen::Stray => {}
        }
    }
}
