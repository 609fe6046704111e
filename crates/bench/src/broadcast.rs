//! How long a job takes to everybody.
//!
//! Where the server is ours the clock begins when the new block becomes known to it. A stranger's
//! server does not say when that was: then only the time from the first client's job to the last's
//! is known, on the next job that the server gives by itself.

use crate::BenchError;
use crate::child::Server;
use crate::connection::{Connection, Phase, Seen};
use crate::fleet::{Driver, Fleet, FleetOptions, nanos};
use crate::histogram::{Histogram, Quantiles};
use crate::sockets::now_ns;
use serde::Serialize;
use std::time::Duration;

/// How to wait for jobs.
#[derive(Clone, Debug)]
pub struct BroadcastOptions {
    /// Who connects, and as whom.
    pub fleet: FleetOptions,
    /// How many.
    pub clients: usize,
    /// How many jobs to time.
    pub rounds: usize,
    /// How long a job may be waited for.
    pub wait: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BroadcastReport {
    /// Connections.
    pub clients: usize,
    /// Every job.
    pub rounds: Vec<Round>,
    /// All clients' times over all rounds: from when the block was known where that is known, else
    /// from the first client's job.
    pub delay: Quantiles,
    /// The middle one of the rounds' last clients, microseconds, counted the same.
    pub last_median_us: f64,
}

/// One job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Round {
    /// From the block to the first client's job, microseconds; absent where the block's time is
    /// not known.
    pub first_us: Option<f64>,
    /// From the block to the last client's job.
    pub last_us: Option<f64>,
    /// From the first client's job to the last's.
    pub spread_us: f64,
    /// Clients that did not get the job in time.
    pub missed: usize,
}

/// Times jobs.
///
/// # Errors
/// When the clients do not come to have jobs, or none comes in time.
pub fn broadcast(
    options: &BroadcastOptions,
    mut server: Option<&mut Server>,
) -> Result<BroadcastReport, BenchError> {
    let mut fleet = Fleet::new(options.fleet.clone())?;
    let mut ears = Ears::default();
    fleet.open(options.clients, &mut ears)?;
    let mut report = BroadcastReport { clients: options.clients, ..BroadcastReport::default() };
    let mut delays = Histogram::default();
    for _ in 0..options.rounds {
        ears.heard = vec![None; fleet.connections.len()];
        ears.count = 0;
        if let Some(server) = server.as_mut() {
            server.say("job")?;
        }
        let deadline = now_ns() + nanos(options.wait);
        while ears.count < fleet.ready() && now_ns() < deadline {
            fleet.turn(Duration::from_millis(100), &mut ears)?;
        }
        let known_at = server.as_mut().map(|s| s.answer()).transpose()?;
        report.rounds.push(ears.round(known_at, &mut delays)?);
        // What comes twice (an empty block, then a full one) is the first job's.
        let quiet = now_ns() + 300_000_000;
        while now_ns() < quiet {
            fleet.turn(Duration::from_millis(50), &mut ears)?;
        }
    }
    report.delay = delays.quantiles();
    let mut lasts: Vec<_> =
        report.rounds.iter().map(|r| r.last_us.unwrap_or(r.spread_us)).collect();
    lasts.sort_by(f64::total_cmp);
    report.last_median_us = lasts.get(lasts.len() / 2).copied().unwrap_or(0.0);
    Ok(report)
}

/// When each connection heard of the job.
#[derive(Default)]
struct Ears {
    heard: Vec<Option<u64>>,
    count: usize,
}

impl Driver for Ears {
    fn seen(&mut self, connection: &mut Connection, seen: Seen) {
        if matches!(seen, Seen::Job)
            && connection.phase == Phase::Ready
            && let Some(place @ None) = self.heard.get_mut(connection.number)
        {
            *place = Some(connection.heard_ns);
            self.count += 1;
        }
    }
}

impl Ears {
    #[allow(clippy::cast_precision_loss)] // for display
    fn round(&self, known_at: Option<u64>, delays: &mut Histogram) -> Result<Round, BenchError> {
        let times = || self.heard.iter().flatten().copied();
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Err(BenchError::Options("no job came in time: wait longer".to_owned()));
        };
        let from = known_at.unwrap_or(first);
        times().for_each(|at| delays.record(at.saturating_sub(from)));
        let us = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e3;
        Ok(Round {
            first_us: known_at.map(|at| us(at, first)),
            last_us: known_at.map(|at| us(at, last)),
            spread_us: us(first, last),
            missed: self.heard.iter().filter(|h| h.is_none()).count(),
        })
    }
}
