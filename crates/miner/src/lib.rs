//! The reference miner: a CPU worker that speaks Stratum V1, and EthereumStratum/1.0.0 for the Ethash
//! family.
//!
//! | module | for |
//! |---|---|
//! | this one | starting, watching and stopping a miner |
//! | `session` | one connection after the other: jobs in, shares out, answers counted |
//! | `work` | what the mining threads mine now, and the extranonces they have used |
//! | `thread` | a mining thread: scan, report, keep to the limit |
//! | `eth` | the same for Ethash and Etchash |
//! | `accepted` | the log of accepted shares |
//!
//! Promises: a share is never submitted twice; a new job is taken up within about 50 ms; the
//! connection is made again, with back-off, for as long as the miner runs; a line is in the
//! accepted log only after the server answered `true`, and is written whole before the next
//! answer is looked at; the limit is kept in steps of some 20 ms, not in bursts.
//!
//! What this room must not know: how shares are counted, what they earn. It prints nothing.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accepted;
mod eth;
mod options;
mod session;
mod stats;
mod thread;
mod work;

pub use accepted::AcceptedShare;
pub use options::{MinerError, MinerOptions};
pub use stats::MinerStats;

use accepted::AcceptedLog;
use gruve_units::Hashrate;
use session::Session;
use stats::Counters;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use work::Bench;

/// Mining threads at most: more than any machine's cores, fewer than would hurt it.
const THREADS_MAX: usize = 1024;

/// Shares found but not yet sent; then the mining threads wait for the connection to catch up.
const FOUND_MAX: usize = 1024;

/// Starts miners.
#[derive(Clone, Copy, Debug)]
pub struct Miner;

impl Miner {
    /// Starts the mining threads and a task that connects and stays connected.
    ///
    /// # Errors
    /// When the options make no sense, the accepted log cannot be opened, or this is called
    /// outside a tokio runtime. A server that is not there is no error: it is tried again.
    pub fn start(options: MinerOptions) -> Result<MinerHandle, MinerError> {
        let address = options.address()?.to_owned();
        if !(1..=THREADS_MAX).contains(&options.threads) {
            return Err(MinerError::Threads(options.threads));
        }
        if options.limit == Some(Hashrate::ZERO) {
            return Err(MinerError::Limit);
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| MinerError::NoRuntime)?;
        let log = options.accepted_log.as_deref().map(AcceptedLog::open).transpose()?;
        let counters = Arc::new(Counters::new());
        if eth::computes(options.algorithm) {
            return start_eth(options, address, log, counters, &runtime);
        }
        let bench = Arc::new(Bench::new());
        let (found, shares) = mpsc::channel(FOUND_MAX);
        let mut handle = MinerHandle {
            counters: Arc::clone(&counters),
            bench: bench.clone(),
            threads: Vec::new(),
            stop: watch::Sender::new(false),
            session: None,
        };
        for number in 0..options.threads {
            let share = thread::share_of_limit(options.limit, options.threads, number);
            let thread = thread::MiningThread {
                algorithm: options.algorithm,
                limit: share,
                bench: Arc::clone(&bench),
                counters: Arc::clone(&counters),
                found: found.clone(),
            };
            let spawned = std::thread::Builder::new()
                .name(format!("mine-{number}"))
                .spawn(move || thread.run())
                .map_err(MinerError::Thread)?;
            handle.threads.push(spawned);
        }
        let session = Session {
            address,
            user: options.user,
            password: options.password,
            algorithm: options.algorithm,
            clock: options.clock,
            counters,
            bench,
            log,
            stop: handle.stop.subscribe(),
        };
        handle.session = Some(runtime.spawn(session.run(shares)));
        Ok(handle)
    }
}

/// Where mining threads work: they can be sent home.
trait Workplace: std::fmt::Debug + Send + Sync {
    fn stop(&self);
}

impl Workplace for Bench {
    fn stop(&self) {
        Bench::stop(self);
    }
}

/// Starts a miner of the Ethash family.
fn start_eth(
    options: MinerOptions,
    address: String,
    log: Option<AcceptedLog>,
    counters: Arc<Counters>,
    runtime: &tokio::runtime::Handle,
) -> Result<MinerHandle, MinerError> {
    let bench = Arc::new(eth::EthBench::new());
    let (found, shares) = mpsc::channel(FOUND_MAX);
    let mut handle = MinerHandle {
        counters: Arc::clone(&counters),
        bench: bench.clone(),
        threads: Vec::new(),
        stop: watch::Sender::new(false),
        session: None,
    };
    for number in 0..options.threads {
        let limit = thread::share_of_limit(options.limit, options.threads, number);
        let (bench, counters, found) = (bench.clone(), counters.clone(), found.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("mine-{number}"))
            .spawn(move || eth::mine(&bench, &counters, limit, &found))
            .map_err(MinerError::Thread)?;
        handle.threads.push(spawned);
    }
    let stop = handle.stop.subscribe();
    let session =
        eth::EthSession { address, options, counters, bench, log, stop, jobs: 0, cache: None };
    handle.session = Some(runtime.spawn(session.run(shares)));
    Ok(handle)
}

/// A running miner. Dropping it stops it at once; [`MinerHandle::stop`] waits for the answers to
/// shares already sent.
#[derive(Debug)]
pub struct MinerHandle {
    counters: Arc<Counters>,
    bench: Arc<dyn Workplace>,
    threads: Vec<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    session: Option<tokio::task::JoinHandle<()>>,
}

impl MinerHandle {
    /// What the miner has done so far.
    #[must_use]
    pub fn stats(&self) -> MinerStats {
        self.counters.stats()
    }

    /// Stops mining, waits (some seconds at most) for the answers to shares already sent, and
    /// says what was done.
    pub async fn stop(mut self) -> MinerStats {
        self.bench.stop();
        self.stop.send_replace(true);
        if let Some(session) = self.session.take() {
            // A panic in the task has been reported by the runtime; the counters stand.
            let _ = session.await;
        }
        let threads = std::mem::take(&mut self.threads);
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
        self.counters.stats()
    }
}

impl Drop for MinerHandle {
    fn drop(&mut self) {
        self.bench.stop();
        if let Some(session) = &self.session {
            session.abort();
        }
    }
}

/// Mines until `shutdown` is ready, and says what was done.
///
/// # Errors
/// As [`Miner::start`].
pub async fn run(
    options: MinerOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<MinerStats, MinerError> {
    let handle = Miner::start(options)?;
    shutdown.await;
    Ok(handle.stop().await)
}
