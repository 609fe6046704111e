//! A server of V2, whosever it is, and the gateway's own V2 port, in turn: the same load, round after round.
//!
//! The other server is whoever answers at an address; holding it to a core is its operator's part. What is ours is
//! started here, on a core of its own, and what it acknowledged is held against its log.

use crate::BenchError;
use crate::child::{Program, Server};
use crate::compare::median;
use crate::fleet::FleetOptions;
use crate::mix::Mix;
use crate::submit::{SubmitOptions, SubmitReport, submit};
use crate::v2::V2Options;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// How to measure.
#[derive(Clone, Debug)]
pub struct BesideOptions {
    /// How this program starts itself as a server.
    pub program: Program,
    /// The other server.
    pub target: SocketAddr,
    /// What to call it.
    pub name: String,
    /// Its logins; `{n}` becomes the connection's number.
    pub user: String,
    /// How to speak to it.
    pub v2: V2Options,
    /// Connections, each with one channel.
    pub clients: usize,
    /// Shares without an answer on each, one row each.
    pub in_flight: Vec<usize>,
    /// How often each server.
    pub rounds: usize,
    /// Before what is counted.
    pub warmup: Duration,
    /// What is counted in a round.
    pub duration: Duration,
    /// Shares mined for each client before a run, where the difficulty asks for mining.
    pub ahead: usize,
    /// Our own gateway's core; any if `None`.
    pub server_core: Option<usize>,
}

/// One row: so many shares in flight.
#[derive(Clone, Debug, Serialize)]
pub struct BesideRow {
    /// Shares without an answer on each connection.
    pub in_flight: usize,
    /// The other server's runs.
    pub theirs: Vec<SubmitReport>,
    /// Ours.
    pub ours: Vec<SubmitReport>,
    /// The middle of ours over theirs, round by round, in shares acknowledged a second.
    pub ratio: f64,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct BesideReport {
    /// What the other server is called.
    pub name: String,
    /// Connections.
    pub clients: usize,
    /// The rows.
    pub rows: Vec<BesideRow>,
    /// What should not have happened.
    pub faults: Vec<String>,
}

/// Measures both in turn; says what it does on standard error.
///
/// # Errors
/// When the gateway does not start, or clients do not come to have jobs.
pub fn beside(options: &BesideOptions) -> Result<BesideReport, BenchError> {
    let (name, clients) = (options.name.clone(), options.clients);
    let mut report = BesideReport { name, clients, rows: Vec::new(), faults: Vec::new() };
    for in_flight in &options.in_flight {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 0..options.rounds.max(1) {
            // Which goes first alternates.
            for turn in 0..2 {
                let is_ours = (round + turn) % 2 == 1;
                let (run, faults) = if is_ours {
                    our_run(options, *in_flight)?
                } else {
                    let run = submit(&load(options, options.target, &options.user, *in_flight))?;
                    let faults = faults_of(&run);
                    (run, faults)
                };
                let who = if is_ours { "gruve" } else { &options.name };
                let rate = run.accepted_per_second;
                eprintln!("{in_flight} in flight, round {}, {who}: {rate:.0} a second", round + 1);
                report.faults.extend(faults.map(|f| format!("{in_flight} in flight, {who}: {f}")));
                if is_ours { ours.push(run) } else { theirs.push(run) }
            }
        }
        let pairs = ours.iter().zip(&theirs);
        let ratio = median(pairs.map(|(o, t)| o.accepted_per_second / t.accepted_per_second));
        report.rows.push(BesideRow { in_flight: *in_flight, theirs, ours, ratio });
    }
    Ok(report)
}

fn load(
    options: &BesideOptions,
    target: SocketAddr,
    user: &str,
    in_flight: usize,
) -> SubmitOptions {
    SubmitOptions {
        fleet: FleetOptions {
            target,
            user: user.to_owned(),
            password: String::new(),
            first_source: 2,
            v2: Some(options.v2),
            is_ethash: false,
        },
        clients: options.clients,
        in_flight,
        rate: None,
        warmup: options.warmup,
        duration: options.duration,
        mix: Mix::default(),
        ahead: options.ahead,
    }
}

/// A gateway of our own, for one run.
fn our_run(
    options: &BesideOptions,
    in_flight: usize,
) -> Result<(SubmitReport, Option<String>), BenchError> {
    let mut arguments = vec!["gateway".to_owned(), "--encrypted".to_owned()];
    let core = options.server_core.map(|c| c.to_string());
    arguments.extend(core.into_iter().flat_map(|c| ["--core".to_owned(), c]));
    let mut server = Server::start(&options.program, &arguments)?;
    let target = server.doors().v2.ok_or(BenchError::Server("it has no port for V2"))?;
    let mut load = load(options, target, "house.m{n}", in_flight);
    // Its key is of this run alone.
    load.fleet.v2 = Some(V2Options { authority: None, ..options.v2 });
    let run = submit(&load)?;
    let counted = server.ask("count")?;
    let missing = (counted != run.acknowledged).then(|| {
        format!("{} shares were acknowledged, {counted} are in the log", run.acknowledged)
    });
    let faults = missing.or(faults_of(&run));
    Ok((run, faults))
}

fn faults_of(run: &SubmitReport) -> Option<String> {
    (!run.is_clean()).then(|| {
        let why = run.closed_because.as_deref().unwrap_or("no reason");
        format!(
            "{} unexpected, {} to nothing, {} unanswered, {} closed ({why})",
            run.unexpected, run.strays, run.unanswered, run.closed
        )
    })
}

impl BesideReport {
    /// As a table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} clients, a V2 channel each; gruve {}\n",
            self.clients,
            env!("CARGO_PKG_VERSION")
        );
        for row in &self.rows {
            let rate = |runs: &[SubmitReport]| median(runs.iter().map(|r| r.accepted_per_second));
            let p99 = |runs: &[SubmitReport]| median(runs.iter().map(|r| r.latency.p99_us));
            let busy =
                |runs: &[SubmitReport]| median(runs.iter().map(|r| r.generator_busy)) * 100.0;
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} in flight: {} {:.0}/s (p99 {:.0} µs, generator at work {:.0} %), gruve {:.0}/s (p99 {:.0} µs, {:.0} %), ratio {:.2}",
                row.in_flight,
                self.name,
                rate(&row.theirs),
                p99(&row.theirs),
                busy(&row.theirs),
                rate(&row.ours),
                p99(&row.ours),
                busy(&row.ours),
                row.ratio
            );
        }
        for fault in &self.faults {
            let _ = writeln!(text, "! {fault}");
        }
        text
    }
}
