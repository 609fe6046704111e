//! The floor and the gateway side by side: each alone on one core, the generator on another, in turn,
//! round after round, so that a machine whose speed drifts is the same for both.

mod columns;
mod report;

pub use columns::Column;
pub(crate) use report::median;
pub use report::{ColumnReport, CompareReport, Pair};

use crate::broadcast::{BroadcastOptions, broadcast};
use crate::child::{Program, Server};
use crate::fleet::FleetOptions;
use crate::idle::{IdleOptions, idle};
use crate::mix::Mix;
use crate::submit::{SubmitOptions, SubmitReport, submit};
use crate::{BenchError, sockets};
use report::Sample;
use std::time::Duration;

/// How to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// How this program starts itself as a server.
    pub program: Program,
    /// What to measure.
    pub columns: Vec<Column>,
    /// How often, each server each column.
    pub rounds: usize,
    /// Before what is counted.
    pub warmup: Duration,
    /// What is counted in a round.
    pub duration: Duration,
    /// The servers' core; any if `None`.
    pub server_core: Option<usize>,
    /// The generator's core; any if `None`.
    pub generator_core: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Floor,
    Gateway,
}

/// Compares; says what it does on standard error.
///
/// # Errors
/// When a server does not start, or clients do not come to have jobs.
pub fn compare(options: &CompareOptions) -> Result<CompareReport, BenchError> {
    if let Some(core) = options.generator_core {
        sockets::pin_to_core(core).map_err(BenchError::Poll)?;
    }
    let mut report = CompareReport::begin(options);
    for column in &options.columns {
        let mut samples = Vec::new();
        for round in 0..options.rounds.max(1) {
            let mut pair = Pair::default();
            // Which goes first alternates, too.
            let order = if round % 2 == 0 {
                [Which::Floor, Which::Gateway]
            } else {
                [Which::Gateway, Which::Floor]
            };
            for which in order {
                let sample = one(options, *column, which, &report)?;
                eprintln!(
                    "{column}, round {}, {which:?}: {}",
                    round + 1,
                    column.show(sample.value)
                );
                match which {
                    Which::Floor => pair.floor = sample,
                    Which::Gateway => pair.gateway = sample,
                }
            }
            samples.push(pair);
        }
        report.columns.push(ColumnReport::of(*column, samples));
    }
    Ok(report)
}

/// One server, one column, once.
fn one(
    options: &CompareOptions,
    column: Column,
    which: Which,
    so_far: &CompareReport,
) -> Result<Sample, BenchError> {
    let mut server = start(options, which)?;
    let fleet = FleetOptions {
        target: server.address(),
        user: "house.m{n}".to_owned(),
        password: "x".to_owned(),
        first_source: 2,
        v2: None,
        is_ethash: false,
    };
    match column {
        Column::Submit { clients, in_flight } => {
            let report = submit(&load(options, fleet, clients, in_flight, None))?;
            judged(report.answers_per_second, &report, which, &mut server)
        }
        Column::HalfLoad { clients } => {
            let rate = so_far.half_rate(clients).ok_or_else(|| {
                let why = format!("latency at half load needs the column submit-{clients}x1 first");
                BenchError::Options(why)
            })?;
            let report = submit(&load(options, fleet, clients, 1, Some(rate)))?;
            judged(report.latency.p99_us, &report, which, &mut server)
        }
        Column::First { clients } | Column::Broadcast { clients } => {
            let wait = Duration::from_secs(10);
            let rounds = 5;
            let report =
                broadcast(&BroadcastOptions { fleet, clients, rounds, wait }, Some(&mut server))?;
            let missed: usize = report.rounds.iter().map(|r| r.missed).sum();
            let fault = (missed > 0).then(|| format!("{missed} clients missed a job"));
            let value = match column {
                Column::First { .. } => median(report.rounds.iter().filter_map(|r| r.first_us)),
                _ => report.last_median_us,
            };
            Ok(Sample { value, fault, ..Sample::default() })
        }
        Column::Memory { clients } => {
            let (duration, sample) = (Duration::from_secs(1), Duration::from_millis(500));
            let pid = Some(server.pid());
            let share_every = Some(Duration::from_secs(1));
            let report = idle(&IdleOptions { fleet, clients, duration, sample, share_every, pid })?;
            let grown = report.resident_end.zip(report.resident_before).map(|(end, before)| {
                #[allow(clippy::cast_precision_loss)] // for display
                let bytes = end.saturating_sub(before) as f64 / clients.max(1) as f64;
                bytes
            });
            let no_proc = || BenchError::Options("this system does not tell memory".to_owned());
            let value = grown.ok_or_else(no_proc)?;
            let fault = (report.closed + usize::try_from(report.refused).unwrap_or(0) > 0)
                .then(|| "connections were closed or shares refused".to_owned());
            Ok(Sample { value, fault, ..Sample::default() })
        }
    }
}

fn load(
    options: &CompareOptions,
    fleet: FleetOptions,
    clients: usize,
    in_flight: usize,
    rate: Option<u64>,
) -> SubmitOptions {
    let (warmup, duration) = (options.warmup, options.duration);
    let mix = Mix::default();
    SubmitOptions { fleet, clients, in_flight, rate, warmup, duration, mix, ahead: 0 }
}

fn start(options: &CompareOptions, which: Which) -> Result<Server, BenchError> {
    let role = match which {
        Which::Floor => "floor",
        Which::Gateway => "gateway",
    };
    let mut arguments = vec![role.to_owned()];
    if let Some(core) = options.server_core {
        arguments.extend(["--core".to_owned(), core.to_string()]);
    }
    Server::start(&options.program, &arguments)
}

/// A run of shares with what must hold of it: clean, and what was acknowledged is what the server
/// counts (the gateway: what stands in its log).
fn judged(
    value: f64,
    report: &SubmitReport,
    which: Which,
    server: &mut Server,
) -> Result<Sample, BenchError> {
    let counted = server.ask("count")?;
    let mut faults = Vec::new();
    if counted != report.acknowledged {
        faults.push(format!("{} shares were acknowledged, {counted} counted", report.acknowledged));
    }
    if !report.is_clean() {
        faults.push(format!(
            "{} unexpected, {} out of order, {} unanswered, {} closed",
            report.unexpected, report.out_of_order, report.unanswered, report.closed
        ));
    }
    let log_part = match which {
        Which::Gateway => Some(log_part(report, counted, server)?),
        Which::Floor => None,
    };
    Ok(Sample {
        value,
        acknowledged: Some(report.acknowledged),
        counted: Some(counted),
        generator_busy: Some(report.generator_busy),
        log_part,
        late_p99_us: report.late.as_ref().map(|late| late.p99_us),
        fault: (!faults.is_empty()).then(|| faults.join("; ")),
    })
}

/// The part of a core that the share log took, in processor time: what it cost a share, at the rate of the run.
#[allow(clippy::cast_precision_loss)] // for display
fn log_part(report: &SubmitReport, shares: u64, server: &mut Server) -> Result<f64, BenchError> {
    let spent_ns = server.ask("log")?;
    let each_ns = spent_ns as f64 / shares.max(1) as f64;
    Ok(each_ns * report.accepted_per_second / 1e9)
}
