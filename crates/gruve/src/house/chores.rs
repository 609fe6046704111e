//! What the house does now and then: remembers which machines work, trims share logs, and sums up old energy.

use super::answers::Gateways;
use gruve_farm::{Farm, MachineOwner};
use gruve_hosting::Hosting;
use gruve_market::Accountant;
use gruve_sharelog::ShareLog;
use gruve_units::{Clock, LaneId, MachineId};
use gruve_web::LiveFarm as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the machines connected are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// How often a machine that works is written down as working.
const REMEMBER_EVERY: Duration = Duration::from_secs(3_600);

/// Machines written down in one transaction: it holds the writer for some milliseconds.
const AT_ONCE: usize = 500;

/// How often old segments are looked for.
const TRIM_EVERY: Duration = Duration::from_secs(600);

/// Waits; `false` when the house stops first.
async fn pause(time: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        _ = stopped.wait_for(|s| *s) => false,
    }
}

/// Tells the farm which machines of customers have had work accepted.
pub(super) async fn remember_machines(
    farm: Farm,
    gateways: Gateways,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut told: HashMap<MachineId, Instant> = HashMap::new();
    while pause(LOOK_EVERY, &mut stopped).await {
        told.retain(|_, at| at.elapsed() < REMEMBER_EVERY);
        let working = gateways.sessions().into_iter().filter(|s| {
            s.accepted > 0 && s.owner != MachineOwner::House && !told.contains_key(&s.machine)
        });
        let working: Vec<MachineId> = working.map(|s| s.machine).collect();
        for some in working.chunks(AT_ONCE) {
            match farm.worked(some).await {
                Ok(()) => told.extend(some.iter().map(|m| (*m, Instant::now()))),
                Err(e) => tracing::warn!(error = %e, "cannot write down which machines work"),
            }
        }
    }
    Ok(())
}

/// Deletes a lane's share log segments that are older than `keep` and accounted.
pub(super) async fn trim_log(
    lane: LaneId,
    log: ShareLog,
    accountant: Accountant,
    clock: Arc<dyn Clock>,
    keep: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    while pause(TRIM_EVERY, &mut stopped).await {
        let cursor = match accountant.cursor(&lane).await {
            Ok(cursor) => cursor,
            Err(e) => {
                tracing::warn!(%lane, error = %e, "cannot tell how far the accountant is");
                continue;
            }
        };
        let (from, older, log) = (log.start(), clock.now().minus(keep), log.clone());
        match tokio::task::spawn_blocking(move || log.trim_older(older, cursor)).await {
            Ok(Ok(start)) if start > from => {
                tracing::info!(%lane, begins = %start, "trimmed the share log");
            }
            Ok(Ok(_)) => {}
            Ok(Err(e)) => tracing::warn!(%lane, error = %e, "cannot trim the share log"),
            Err(e) => return Err(format!("trimming the share log of lane {lane}: {e}")),
        }
    }
    Ok(())
}

/// Epochs summed up at a time: ten minutes of two-second epochs, so that the shortest are kept up with.
const SUMMED_UP: u32 = 400;

/// Sums up a lane's energy of long ago.
pub(super) async fn trim_energy(
    lane: LaneId,
    hosting: Hosting,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    while pause(TRIM_EVERY, &mut stopped).await {
        match hosting.trim_energy(&lane, SUMMED_UP).await {
            Ok(0) => {}
            Ok(epochs) => tracing::info!(%lane, epochs, "summed up old energy by days"),
            Err(e) => tracing::warn!(%lane, error = %e, "cannot sum up old energy"),
        }
    }
    Ok(())
}
