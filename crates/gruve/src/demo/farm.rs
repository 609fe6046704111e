//! The demo's machines, and what is told of the blocks they find.

use super::api::Api;
use super::progress::Progress;
use super::settings::LANES;
use crate::cli::DemoArgs;
use gruve_miner::{Miner, MinerHandle, MinerOptions};
use std::collections::HashSet;
use std::time::Duration;

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
        let names = names.collect::<Vec<_>>().join(", ");
        let dialect = if lane.is_ethash() { "EthereumStratum/1.0.0" } else { "Stratum V1" };
        say.say("farm", format!("{}: {names} by {dialect}", lane.id));
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
        let blocks = blocks["items"].as_array().cloned().unwrap_or_default();
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
