//! The demo's chains and machines, and what is told of the blocks they find.

use super::api::Api;
use super::folder::DemoFolder;
use super::progress::Progress;
use super::settings::{DemoLane, LANES, MATURITY, RPC_USER};
use crate::cli::DemoArgs;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_miner::{Miner, MinerHandle, MinerOptions};
use gruve_units::{Asset, SystemClock, SystemEntropy};
use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Coinbases in the node's wallet from the start: 5,000 coins, enough for the customer of several
/// runs.
const PREMINED_COINBASES: u32 = 100;

/// Starts a development chain for each lane, on disk in the demo's folder.
///
/// # Errors
/// When a port or a file cannot be used.
pub fn start_chains(
    args: &DemoArgs,
    folder: &DemoFolder,
    say: &Progress,
) -> Result<Vec<DevServer>, String> {
    let mut servers = Vec::new();
    for chain in LANES.iter().flat_map(DemoLane::chains) {
        let (lane, asset) = (chain.lane, chain.asset);
        let spacing = u32::try_from(args.spacing.0.as_secs().max(1)).unwrap_or(u32::MAX);
        let work = lane.hashrate().work_in(Duration::from_secs(spacing.into()));
        let mut params = DevParams::new(asset, lane.algorithm).with_start_work(work);
        params.spacing_secs = spacing;
        params.premine_coins = PREMINED_COINBASES;
        params.coinbase_maturity = u32::try_from(MATURITY).unwrap_or(u32::MAX);
        // A lane's own chain has its name, as before there were others.
        let name = if asset == lane.asset {
            lane.id.to_owned()
        } else {
            format!("{}-{}", lane.id, asset.code().to_ascii_lowercase())
        };
        let dir = folder.path.join("chain").join(&name);
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let dev = DevChain::open(&dir, params, Arc::new(SystemClock), Arc::new(SystemEntropy))
            .map_err(|e| format!("the development chain of {asset}: {e}"))?;
        let port = args.ports + chain.node_port;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .map_err(|e| format!("127.0.0.1:{port}: {e}; choose others with --ports"))?;
        let server = dev
            .serve(listener, RPC_USER, &folder.rpc_password)
            .map_err(|e| format!("the node of {asset}: {e}"))?;
        say.say("chain", format!(
            "{}: {asset} development chain ({}) at height {}, a block every {spacing} s or so, rewards mature after {MATURITY} blocks (real chain: {})",
            lane.id, lane.algorithm, dev.height(), if asset == Asset::Doge { 240 } else { 100 },
        ));
        servers.push(server);
    }
    Ok(servers)
}

/// Starts the machines. They connect over TCP as any machine would.
///
/// # Errors
/// When a thread cannot be started.
pub fn start_miners(
    args: &DemoArgs,
    password: &str,
    say: &Progress,
) -> Result<Vec<MinerHandle>, String> {
    let mut miners = Vec::new();
    for lane in LANES {
        let url = format!("stratum+tcp://127.0.0.1:{}", args.ports + lane.stratum_port);
        for (_, name, rate) in lane.machines {
            let mut options =
                MinerOptions::new(url.clone(), format!("house.{name}"), lane.algorithm);
            options.password = password.to_owned();
            options.limit = Some(*rate);
            miners.push(Miner::start(options).map_err(|e| format!("machine {name}: {e}"))?);
        }
        let names =
            lane.machines.iter().map(|(site, name, rate)| format!("{name} at {site} ({rate})"));
        say.say(
            "farm",
            format!("{}: {} by Stratum V1", lane.id, names.collect::<Vec<_>>().join(", ")),
        );
    }
    Ok(miners)
}

/// Tells each block of the house when it shows up; never returns.
pub async fn tell_blocks(api: &Api, say: &Progress) {
    let mut told: Option<HashSet<String>> = None;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        // A missed look is made good by the next.
        let Ok(blocks) = api.get("/api/v1/blocks?limit=20").await else { continue };
        let blocks = blocks.as_array().cloned().unwrap_or_default();
        let hash = |b: &serde_json::Value| b["hash"].as_str().unwrap_or("").to_owned();
        let Some(told) = &mut told else {
            told = Some(blocks.iter().map(hash).collect());
            continue;
        };
        for block in blocks.iter().rev() {
            if told.insert(hash(block)) {
                let reward = block["reward"]["decimal"].as_str().unwrap_or("its reward");
                let text = |key: &str| block[key].as_str().unwrap_or("").to_owned();
                let (lane, asset, height) = (text("lane"), text("asset"), &block["height"]);
                say.say("block", format!("{lane}: {asset} {height} found, {reward}"));
            }
        }
    }
}
