//! `gruve bench stratum`: what it takes and what it prints.

mod beside;
mod hostile;

pub use beside::BesideArgs;
pub use hostile::HostileArgs;

use crate::beside::beside;
use crate::broadcast::{BroadcastOptions, broadcast};
use crate::child::{Control, Program};
use crate::compare::{Column, CompareOptions, compare};
use crate::fleet::FleetOptions;
use crate::floor::{self, FloorOptions};
use crate::gateway::{self, HouseOptions};
use crate::idle::{IdleOptions, idle};
use crate::mix::Mix;
use crate::soak::{SoakOptions, soak};
use crate::sockets;
use crate::storm::{StormOptions, storm};
use crate::submit::{SubmitOptions, submit};
use crate::v2::{ChannelKind, V2Options, authority_of};
use crate::{BenchError, print};
use clap::{Args, Subcommand};
use gruve_units::Class;
use serde::Serialize;
use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// `gruve bench stratum …`
#[derive(Clone, Debug, Args)]
pub struct StratumArgs {
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Hold this process to one core, so that server and generator do not share one (Linux).
    #[arg(long, global = true, value_name = "CORE")]
    pub core: Option<usize>,
    /// What to do.
    #[command(subcommand)]
    pub mode: Mode,
}

fn parse_clients(text: &str) -> Result<usize, String> {
    let some = text.parse().ok().filter(|clients| *clients > 0);
    some.ok_or_else(|| "write a whole number from 1 on".to_owned())
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Mode {
    /// Measures the gateway and the floor side by side, each on one core, and gives their ratio.
    Compare(CompareArgs),
    /// Measures a server of V2, whosever it is, and our own gateway's V2 port in turn.
    Beside(BesideArgs),
    /// Sends shares to a server: how many a second, and how long an answer takes.
    Submit(SubmitArgs),
    /// Waits for jobs: how long from the first client to the last.
    Broadcast(BroadcastArgs),
    /// Connects many at once; over when every one has a share acknowledged.
    Storm(StormArgs),
    /// Holds many connections: what they cost in memory, and whether it grows.
    Idle(IdleArgs),
    /// Holds more connections than one process may have, on several gateways of our own.
    Soak(SoakArgs),
    /// Attacks a server in every way known while honest miners work: what their answers take.
    Hostile(HostileArgs),
    /// Runs the floor server: parses, hashes, answers, and nothing else. A yardstick, not a pool.
    Floor(FloorArgs),
    /// Runs Gruve's own gateway on a stand-in node, with its share log, to be measured.
    Gateway(GatewayArgs),
}

/// Whom to measure, and as whom.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// The server, as `host:port` or `stratum+tcp://host:port`.
    pub target: String,
    /// Connections.
    #[arg(long, default_value_t = 100, value_parser = parse_clients)]
    pub clients: usize,
    /// The login; `{n}` becomes the connection's number.
    #[arg(long, default_value = "house.m{n}")]
    pub user: String,
    /// The password.
    #[arg(long, default_value = "x")]
    pub password: String,
    /// On loopback, connections come from 127.0.0.x from this x on, 12,000 from each: give a second
    /// generator on the same machine others.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=250))]
    pub first_source: u8,
    /// How to speak V2.
    #[command(flatten)]
    pub v2: V2Args,
}

/// How to speak V2, where it is V2.
#[derive(Clone, Debug, Default, Args)]
pub struct V2Args {
    /// Speak V2, over Noise, one channel on each connection: extended or standard.
    #[arg(long, value_name = "CHANNEL")]
    pub v2: Option<ChannelKind>,
    /// The server's authority key, as servers publish it; without it the certificate is not looked at.
    #[arg(long, value_name = "KEY", value_parser = authority_of)]
    pub authority: Option<[u8; 32]>,
}

/// `compare`
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// What to measure, comma-separated: submit-CLIENTSxINFLIGHT, first-CLIENTS, job-CLIENTS,
    /// memory-CLIENTS, p99-half-CLIENTS (after submit-CLIENTSx1). All of the published comparison if not given.
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<Column>,
    /// How often each server is measured at each column.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Before what is counted.
    #[arg(long, default_value = "1s", value_parser = parse_span)]
    pub warmup: Duration,
    /// What is counted of a round.
    #[arg(long, default_value = "5s", value_parser = parse_span)]
    pub duration: Duration,
    /// The core that the servers are held to, one at a time (Linux).
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The generator's core.
    #[arg(long, default_value_t = 1)]
    pub generator_core: usize,
    /// Hold nothing to any core; figures then say little.
    #[arg(long)]
    pub unpinned: bool,
}

/// `broadcast`
#[derive(Clone, Debug, Args)]
pub struct BroadcastArgs {
    /// Whom to measure.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How many jobs.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long to wait for one.
    #[arg(long, default_value = "2m", value_parser = parse_span)]
    pub wait: Duration,
}

/// `storm`
#[derive(Clone, Debug, Args)]
pub struct StormArgs {
    /// Whom to storm.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Within which time they connect.
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    pub within: Duration,
    /// When to give up.
    #[arg(long, default_value = "2m", value_parser = parse_span)]
    pub timeout: Duration,
}

/// `idle`
#[derive(Clone, Debug, Args)]
pub struct IdleArgs {
    /// Whom to measure.
    #[command(flatten)]
    pub target: TargetArgs,
    /// For how long, once all have a job.
    #[arg(long, default_value = "1h", value_parser = parse_span)]
    pub duration: Duration,
    /// How often to look at the server's memory.
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    pub sample: Duration,
    /// Send a share on each connection this often, to a server that closes silent ones.
    #[arg(long, value_parser = parse_span)]
    pub share_every: Option<Duration>,
    /// The server's process on this machine, whose memory to look at.
    #[arg(long)]
    pub pid: Option<u32>,
}

/// `soak`
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// Connections over all gateways.
    #[arg(long, default_value_t = 50_000, value_parser = parse_clients)]
    pub clients: usize,
    /// Gateway processes, each with a generator process; one may have as many connections as it may
    /// have file descriptors, less some 500.
    #[arg(long, default_value_t = 3)]
    pub gateways: usize,
    /// For how long, once all have a job.
    #[arg(long, default_value = "1h", value_parser = parse_span)]
    pub duration: Duration,
    /// How often to look at the gateways' memory.
    #[arg(long, default_value = "30s", value_parser = parse_span)]
    pub sample: Duration,
    /// Send a share on each connection this often.
    #[arg(long, value_parser = parse_span)]
    pub share_every: Option<Duration>,
}

/// `submit`
#[derive(Clone, Debug, Args)]
pub struct SubmitArgs {
    /// Whom to measure.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Submits without an answer on each connection.
    #[arg(long, default_value_t = 1, conflicts_with = "rate")]
    pub in_flight: usize,
    /// Send this many a second instead, whether or not the server keeps up; each is timed from when
    /// it should have left.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Before what is counted.
    #[arg(long, default_value = "2s", value_parser = parse_span)]
    pub warmup: Duration,
    /// What is counted.
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    pub duration: Duration,
    /// Kinds of submit and their parts, as `accepted=90,stale=5,duplicate=3,low=1,malformed=1`.
    #[arg(long, default_value = "accepted=1")]
    pub mix: Mix,
    /// Shares to mine for each client before the run, where the difficulty asks for mining.
    #[arg(long, default_value_t = 256)]
    pub ahead: usize,
}

/// `floor`
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The class of its jobs: 2^class hashes a share.
    #[arg(long, default_value_t = 0)]
    pub class: u8,
    /// How often everybody gets a job.
    #[arg(long, default_value = "30s", value_parser = parse_span)]
    pub refresh: Duration,
}

/// `gateway`
#[derive(Clone, Debug, Args)]
pub struct GatewayArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The only class: 2^class hashes a share.
    #[arg(long, default_value_t = 0)]
    pub class: u8,
    /// How often there is a job with new transactions.
    #[arg(long, default_value = "30s", value_parser = parse_span)]
    pub refresh: Duration,
    /// The folder of the share log; a temporary one if not given.
    #[arg(long, value_name = "FOLDER")]
    pub sharelog: Option<PathBuf>,
    /// Threads that serve connections.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Answer shares after the sync of the log (`durability = "fsync"`).
    #[arg(long)]
    pub fsync: bool,
    /// Have ports for V1 over TLS and for V2 beside.
    #[arg(long)]
    pub encrypted: bool,
    /// Serve a lane of the Ethash family instead, which has no port for V2.
    #[arg(long, conflicts_with = "encrypted")]
    pub ethash: bool,
}

/// Does what the arguments say and prints what was found. `leading` are the arguments by which this
/// program comes here, so that it can start itself as a server.
///
/// # Errors
/// When there is no measurement, or a comparison had faults (after it was printed).
pub fn run(args: StratumArgs, leading: &[&str]) -> Result<(), BenchError> {
    sockets::raise_file_limit();
    if let Some(core) = args.core {
        sockets::pin_to_core(core).map_err(BenchError::Poll)?;
    }
    let json = args.json;
    match args.mode {
        Mode::Compare(a) => {
            let report = compare(&a.options(leading)?)?;
            show(json, &report, || report.text())?;
            match report.faults().len() {
                0 => Ok(()),
                n => Err(BenchError::Options(format!("{n} rounds had faults"))),
            }
        }
        Mode::Beside(a) => {
            let report = beside(&a.options(leading)?)?;
            show(json, &report, || report.text())?;
            match report.faults.len() {
                0 => Ok(()),
                n => Err(BenchError::Options(format!("{n} runs had faults"))),
            }
        }
        Mode::Submit(a) => {
            let report = submit(&a.options()?)?;
            show(json, &report, || print::submit(&report))
        }
        Mode::Broadcast(a) => {
            let fleet = a.target.fleet()?;
            let (clients, rounds, wait) = (a.target.clients, a.rounds, a.wait);
            let report = broadcast(&BroadcastOptions { fleet, clients, rounds, wait }, None)?;
            show(json, &report, || print::broadcast(&report))
        }
        Mode::Storm(a) => {
            let fleet = a.target.fleet()?;
            let (clients, within, timeout) = (a.target.clients, a.within, a.timeout);
            let report = storm(&StormOptions { fleet, clients, within, timeout })?;
            show(json, &report, || print::storm(&report))
        }
        Mode::Idle(a) => {
            let report = idle(&a.options()?)?;
            show(json, &report, || print::idle(&report))
        }
        Mode::Hostile(a) => {
            let report = a.run(leading)?;
            show(json, &report, || print::hostile(&report))?;
            if report.is_clean() {
                return Ok(());
            }
            Err(BenchError::Options("honest miners lost something".to_owned()))
        }
        Mode::Soak(a) => {
            let report = soak(&a.options(leading)?)?;
            show(json, &report, || print::soak(&report))?;
            if report.is_clean() {
                return Ok(());
            }
            Err(BenchError::Options("connections were closed, or shares lost".to_owned()))
        }
        Mode::Floor(a) => {
            let FloorArgs { listen, class, refresh } = a;
            let options = FloorOptions { listen, class: class_of(class)?, refresh };
            floor::run(options, Control::standard())
        }
        Mode::Gateway(a) => {
            let class = class_of(a.class)?;
            let options = HouseOptions {
                listen: a.listen,
                class,
                refresh: a.refresh,
                log: a.sharelog,
                threads: a.threads,
                fsync: a.fsync,
                encrypted: a.encrypted,
                ethash: a.ethash,
            };
            gateway::run(options, Control::standard())
        }
    }
}

fn show<R: Serialize>(
    is_json: bool,
    report: &R,
    text: impl FnOnce() -> String,
) -> Result<(), BenchError> {
    if is_json {
        let json = serde_json::to_string_pretty(report);
        println!("{}", json.map_err(|e| BenchError::Options(e.to_string()))?);
    } else {
        print!("{}", text());
    }
    Ok(())
}

impl TargetArgs {
    /// Resolves the server's name; says a word of caution about one that is not this machine.
    fn fleet(&self) -> Result<FleetOptions, BenchError> {
        let target = resolve(&self.target)?;
        if !target.ip().is_loopback() {
            eprintln!(
                "{target} is not this machine: load only what is yours, or whose owner asked for it"
            );
        }
        let (user, password) = (self.user.clone(), self.password.clone());
        let (first_source, v2) = (self.first_source, self.v2.options()?);
        Ok(FleetOptions { target, user, password, first_source, v2, is_ethash: false })
    }
}

impl V2Args {
    fn options(&self) -> Result<Option<V2Options>, BenchError> {
        if self.v2.is_none() && self.authority.is_some() {
            let why = "an authority key is V2's: say which channels, as --v2 extended";
            return Err(BenchError::Options(why.to_owned()));
        }
        Ok(self.v2.map(|kind| V2Options { kind, authority: self.authority }))
    }

    fn or_extended(&self) -> V2Options {
        let kind = self.v2.unwrap_or(ChannelKind::Extended);
        V2Options { kind, authority: self.authority }
    }
}

impl CompareArgs {
    fn options(&self, leading: &[&str]) -> Result<CompareOptions, BenchError> {
        let pinned = |core| (!self.unpinned).then_some(core);
        Ok(CompareOptions {
            program: this_program(leading)?,
            columns: if self.columns.is_empty() { Column::all() } else { self.columns.clone() },
            rounds: self.rounds,
            warmup: self.warmup,
            duration: self.duration,
            server_core: pinned(self.server_core),
            generator_core: pinned(self.generator_core),
        })
    }
}

/// How this program starts itself.
fn this_program(leading: &[&str]) -> Result<Program, BenchError> {
    Ok(Program {
        path: std::env::current_exe().map_err(BenchError::Spawn)?,
        leading: leading.iter().map(OsString::from).collect(),
    })
}

impl SoakArgs {
    fn options(&self, leading: &[&str]) -> Result<SoakOptions, BenchError> {
        Ok(SoakOptions {
            program: this_program(leading)?,
            clients: self.clients,
            gateways: self.gateways,
            duration: self.duration,
            sample: self.sample,
            share_every: self.share_every,
        })
    }
}

impl IdleArgs {
    fn options(&self) -> Result<IdleOptions, BenchError> {
        Ok(IdleOptions {
            fleet: self.target.fleet()?,
            clients: self.target.clients,
            duration: self.duration,
            sample: self.sample,
            share_every: self.share_every,
            pid: self.pid,
        })
    }
}

impl SubmitArgs {
    fn options(&self) -> Result<SubmitOptions, BenchError> {
        Ok(SubmitOptions {
            fleet: self.target.fleet()?,
            clients: self.target.clients,
            in_flight: self.in_flight,
            rate: self.rate,
            warmup: self.warmup,
            duration: self.duration,
            mix: self.mix,
            ahead: self.ahead,
        })
    }
}

fn resolve(target: &str) -> Result<SocketAddr, BenchError> {
    let name = target.strip_prefix("stratum+tcp://").unwrap_or(target);
    let wrong = |why: String| {
        BenchError::Options(format!("no server at {target:?}: {why}; write it as host:port"))
    };
    let mut addresses = name.to_socket_addrs().map_err(|e| wrong(e.to_string()))?;
    addresses.next().ok_or_else(|| wrong("the name has no address".to_owned()))
}

fn class_of(k: u8) -> Result<Class, BenchError> {
    Class::new(k).ok_or_else(|| BenchError::Options(format!("class {k} is above {}", Class::MAX)))
}

/// A time as `500ms`, `10s`, `2m` or `1h`.
fn parse_span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let total = number.parse::<u64>().ok().and_then(|n| n.checked_mul(milliseconds));
    match total.filter(|_| milliseconds > 0) {
        Some(total) if total <= 7 * 24 * 3_600_000 => Ok(Duration::from_millis(total)),
        _ => Err(format!("{text:?} is not a time of at most a week, as 500ms, 10s, 2m or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_not() {
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "s", "-1s", "1d", "99999999999999999999s", "200h"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_is_named_with_or_without_a_scheme() {
        let expected = SocketAddr::from(([127, 0, 0, 1], 3333));
        assert_eq!(resolve("127.0.0.1:3333").unwrap(), expected);
        assert_eq!(resolve("stratum+tcp://127.0.0.1:3333").unwrap(), expected);
        assert!(resolve("127.0.0.1").is_err());
    }
}
