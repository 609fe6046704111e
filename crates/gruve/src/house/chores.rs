//! What the house does now and then: pays, looks into banks and prices, writes to its customers; remembers which machines
//! work, and sums up old energy.

use super::answers::Gateways;
use super::error::StartError;
use super::parts::Parts;
use super::{bank, hosted, in_block, post, prices};
use crate::config::Config;
use gruve_farm::{Farm, MachineOwner};
use gruve_hosting::Hosting;
use gruve_treasury::Payer;
use gruve_units::{LaneId, MachineId};
use gruve_web::LiveFarm as _;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the machines connected are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// How often a machine that works is written down as working.
const REMEMBER_EVERY: Duration = Duration::from_secs(3_600);

/// Machines written down in one transaction: it holds the writer for some milliseconds.
const AT_ONCE: usize = 500;

/// How often old energy is looked for.
const TRIM_EVERY: Duration = Duration::from_secs(600);

/// Waits; `false` when the house stops first.
pub(super) async fn pause(time: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        _ = stopped.wait_for(|s| *s) => false,
    }
}

/// Starts what moves money: the payer, looks into pools, bank folders and checkouts, prices.
pub(super) fn start_money(
    config: &Config,
    parts: &Parts,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) {
    let (payer, ends) = (Payer::new(parts.treasury.clone()), stopped.clone());
    tasks.spawn(async move {
        payer.run(ends).await;
        Ok(())
    });
    let (treasury, ends) = (parts.treasury.clone(), stopped.clone());
    tasks.spawn(async move {
        treasury.watch_pools(ends).await;
        Ok(())
    });
    tasks.spawn(bank::watch_folders(
        parts.treasury.clone(),
        config.banks.iter().filter(|b| b.enabled).filter_map(|b| b.folder.clone()).collect(),
        stopped.clone(),
    ));
    if config.stripe.is_some() || config.btcpay.is_some() {
        tasks.spawn(bank::poll_checkouts(parts.treasury.clone(), stopped.clone()));
    }
    let (market, clock) = (parts.market.clone(), parts.clock.clone());
    tasks.spawn(prices::ask_sources(market, clock, stopped.clone()));
}

/// Starts what looks after machines and their owners, and writes to customers.
///
/// # Errors
/// When the mail server's settings or the public log's places cannot be used.
pub(super) fn start_farm(
    config: &Config,
    parts: &Parts,
    gateways: &Gateways,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> Result<(), StartError> {
    tasks.spawn(remember_machines(parts.farm.clone(), gateways.clone(), stopped.clone()));
    let sources = in_block::Sources::of(parts, config)?;
    tasks.spawn(in_block::watch(sources, parts.in_block.clone(), stopped.clone()));
    let (farm, owners) = (parts.farm.clone(), parts.owners.clone());
    tasks.spawn(hosted::watch_owners(farm, owners, stopped.clone()));
    let payers = hosted::Payers {
        hosting: parts.hosting.clone(),
        treasury: parts.treasury.clone(),
        accounts: parts.accounts.clone(),
        store: parts.store.clone(),
        own: config.lanes.iter().map(|l| (l.id.clone(), l.asset)).collect(),
    };
    tasks.spawn(hosted::pay_owners(payers, stopped.clone()));
    let post = config.mail.as_ref().map(post::Post::new).transpose();
    let post = post.map_err(StartError::Mail)?;
    tasks.spawn(post::run(parts.accounts.clone(), post, stopped.clone()));
    Ok(())
}

/// Tells the farm which machines of customers have had work accepted.
async fn remember_machines(
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
