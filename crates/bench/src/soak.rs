//! More idle connections than one process may have: several gateways of our own, each with a generator
//! of its own, every one a process.
//!
//! A process is bounded by its file descriptors and an address by its ports, so gateways share the
//! connections out, and each generator comes from other addresses of 127.0.0.0/8.

use crate::BenchError;
use crate::child::{Program, Server};
use crate::idle::IdleReport;
use crate::sockets::CONNECTIONS_PER_SOURCE_MAX;
use serde::Serialize;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How to soak.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// How this program starts itself.
    pub program: Program,
    /// Connections over all gateways.
    pub clients: usize,
    /// Gateway processes.
    pub gateways: usize,
    /// For how long, once all have a job.
    pub duration: Duration,
    /// How often the gateways' memory is looked at.
    pub sample: Duration,
    /// Each connection sends a share this often; never if `None`.
    pub share_every: Option<Duration>,
}

/// One gateway's part.
#[derive(Clone, Debug, Serialize)]
pub struct SoakPart {
    /// What its generator found.
    pub held: IdleReport,
    /// Resident memory after the first quarter of the time: of an hour, that is when the jobs that a
    /// gateway keeps, and the shares told apart for them, have begun to turn over; bytes.
    pub resident_settled: Option<u64>,
    /// What was added from then to the end, bytes.
    pub grown_bytes: Option<i64>,
    /// Shares in its log.
    pub counted: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SoakReport {
    /// Connections that had a job, all together.
    pub clients: usize,
    /// Connections that were closed.
    pub closed: usize,
    /// What a connection costs the gateways, bytes, in the mean.
    pub bytes_per_client: Option<i64>,
    /// Gateway by gateway.
    pub gateways: Vec<SoakPart>,
}

impl SoakReport {
    /// Whether every connection stayed, every share was taken, and what was acknowledged stands in the
    /// logs.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.closed == 0
            && self.gateways.iter().all(|g| g.held.refused == 0 && g.held.acknowledged == g.counted)
    }
}

/// Soaks.
///
/// # Errors
/// When a process does not start, or its clients do not come to have jobs.
pub fn soak(options: &SoakOptions) -> Result<SoakReport, BenchError> {
    let count = options.gateways.clamp(1, 100);
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(Server::start(&options.program, &["gateway".to_owned()])?);
    }
    let mut generators = Vec::new();
    let mut source = 2;
    for (n, server) in servers.iter().enumerate() {
        let clients = part(options.clients, count, n);
        let program = &options.program;
        let generator = Command::new(&program.path)
            .args(&program.leading)
            .args(arguments(options, server, clients, source))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::Spawn)?;
        generators.push(Generator(Some(generator)));
        source += clients.div_ceil(CONNECTIONS_PER_SOURCE_MAX);
    }
    let mut report = SoakReport::default();
    for (generator, server) in generators.into_iter().zip(&mut servers) {
        report.gateways.push(SoakPart::of(generator.result()?, server.ask("count")?));
    }
    report.clients = report.gateways.iter().map(|g| g.held.clients).sum();
    report.closed = report.gateways.iter().map(|g| g.held.closed).sum();
    let costs: Option<Vec<i64>> = report.gateways.iter().map(|g| g.held.bytes_per_client).collect();
    report.bytes_per_client =
        costs.map(|c| c.iter().sum::<i64>() / i64::try_from(c.len().max(1)).unwrap_or(1));
    Ok(report)
}

/// The `n`th of `count` even parts of `all`.
fn part(all: usize, count: usize, n: usize) -> usize {
    all / count + usize::from(n < all % count)
}

fn arguments(
    options: &SoakOptions,
    server: &Server,
    clients: usize,
    source: usize,
) -> Vec<OsString> {
    let milliseconds = |d: Duration| format!("{}ms", d.as_millis());
    let mut all = vec!["idle".to_owned(), server.address().to_string(), "--json".to_owned()];
    for (name, value) in [
        ("--clients", clients.to_string()),
        ("--first-source", source.to_string()),
        ("--pid", server.pid().to_string()),
        ("--duration", milliseconds(options.duration)),
        ("--sample", milliseconds(options.sample)),
    ] {
        all.extend([name.to_owned(), value]);
    }
    if let Some(every) = options.share_every {
        all.extend(["--share-every".to_owned(), milliseconds(every)]);
    }
    all.into_iter().map(OsString::from).collect()
}

/// A generator's process, which ends with this.
struct Generator(Option<Child>);

impl Generator {
    /// Waits for it to end and reads what it found.
    fn result(mut self) -> Result<IdleReport, BenchError> {
        let child = self.0.take().ok_or(BenchError::Server("a generator is gone"))?;
        let output = child.wait_with_output().map_err(BenchError::Spawn)?;
        if !output.status.success() {
            return Err(BenchError::Server("a generator failed"));
        }
        let not_told = |_| BenchError::Server("a generator does not say what it found");
        serde_json::from_slice(&output.stdout).map_err(not_told)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl SoakPart {
    fn of(held: IdleReport, counted: u64) -> SoakPart {
        let settled =
            held.samples.iter().find(|(at, _)| *at >= held.seconds / 4.0).map(|(_, bytes)| *bytes);
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let grown_bytes = held.resident_end.zip(settled).map(|(end, s)| signed(end) - signed(s));
        SoakPart { resident_settled: settled, grown_bytes, counted, held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_make_the_whole() {
        for (all, count) in [(50_000, 3), (7, 3), (2, 5), (0, 1)] {
            let parts: Vec<_> = (0..count).map(|n| part(all, count, n)).collect();
            assert_eq!(parts.iter().sum::<usize>(), all);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn growth_is_counted_from_the_first_quarter_on() {
        let samples = (0..=100).map(|n| (f64::from(n), if n < 25 { 500 } else { 800 })).collect();
        let held = IdleReport {
            seconds: 100.0,
            resident_end: Some(790),
            samples,
            ..IdleReport::default()
        };
        let part = SoakPart::of(held, 0);
        assert_eq!((part.resident_settled, part.grown_bytes), (Some(800), Some(-10)));
    }
}
