//! `gruve miner`: mines with this machine's processor and says how it goes.

use crate::cli::MinerArgs;
use gruve_miner::{Miner, MinerError, MinerOptions};
use std::time::Duration;

/// How often the miner says how it goes.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Mines until interrupted.
///
/// # Errors
/// When the miner cannot start; a server that is away is waited for instead.
pub async fn run(args: MinerArgs) -> Result<(), MinerError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options = MinerOptions::new(args.url.clone(), args.user.clone(), args.algorithm);
    options.password = args.password;
    options.threads = args.threads.unwrap_or(cores);
    options.limit = args.limit;
    options.accepted_log = args.accepted_log;
    let threads = options.threads;
    let miner = Miner::start(options)?;
    println!("mining {} on {} with {threads} threads as {}", args.algorithm, args.url, args.user);
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    ticks.tick().await;
    let mut stop = std::pin::pin!(crate::signals::stop_asked());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut stop => break,
        }
        let s = miner.stats();
        let state = match (&s.last_error, s.connected) {
            (_, true) => String::new(),
            (Some(error), false) => format!(" · not connected: {error}"),
            (None, false) => " · not connected".to_owned(),
        };
        println!(
            "{} · {} accepted, {} rejected, {} stale{state}",
            s.hashrate, s.accepted, s.rejected, s.stale
        );
    }
    let s = miner.stop().await;
    println!("stopped: {} accepted, {} rejected, {} stale", s.accepted, s.rejected, s.stale);
    Ok(())
}
