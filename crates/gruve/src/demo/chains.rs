//! The demo's chains: development nodes on loopback, kept in the demo's folder.

use super::folder::DemoFolder;
use super::progress::Progress;
use super::settings::{CHAIN_ID, DemoChain, DemoLane, GAS_PRICE_WEI, LANES, MATURITY, RPC_USER};
use crate::cli::DemoArgs;
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDifficulty};
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_chain::{NetworkName, params_for};
use gruve_treasury::{AccountKeys, Keychain};
use gruve_units::{SystemClock, SystemEntropy};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Coinbases in the node's wallet from the start: 5,000 coins, enough for the customer of several
/// runs.
const PREMINED_COINBASES: u32 = 100;

/// Starts a development chain for each asset, on disk in the demo's folder.
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
        // A lane's own chain has its name, as before there were others.
        let name = if asset == lane.asset {
            lane.id.to_owned()
        } else {
            format!("{}-{}", lane.id, asset.code().to_ascii_lowercase())
        };
        let dir = folder.path.join("chain").join(&name);
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let port = args.ports + chain.node_port;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .map_err(|e| format!("127.0.0.1:{port}: {e}; choose others with --ports"))?;
        let spacing = u32::try_from(args.spacing.0.as_secs().max(1)).unwrap_or(u32::MAX);
        let (server, height) = if lane.is_ethash() {
            start_accounts(&dir, chain, spacing, folder, listener)
        } else {
            start_coins(&dir, chain, spacing, folder, listener)
        }
        .map_err(|e| format!("the development chain of {asset}: {e}"))?;
        let real = params_for(asset, NetworkName::Mainnet).map_or(0, |p| p.coinbase_maturity);
        let epoch = if lane.is_ethash() { ", epoch 0: a cache of 16 MiB" } else { "" };
        say.say("chain", format!(
            "{}: {asset} development chain ({}{epoch}) at height {height}, a block every {spacing} s or so, \
             rewards mature after {MATURITY} blocks (real chain: {real})",
            lane.id, lane.algorithm,
        ));
        servers.push(server);
    }
    Ok(servers)
}

fn start_coins(
    dir: &Path,
    chain: DemoChain,
    spacing: u32,
    folder: &DemoFolder,
    listener: TcpListener,
) -> Result<(DevServer, u64), String> {
    let work = chain.lane.hashrate().work_in(Duration::from_secs(spacing.into()));
    let mut params = DevParams::new(chain.asset, chain.lane.algorithm).with_start_work(work);
    params.spacing_secs = spacing;
    params.premine_coins = PREMINED_COINBASES;
    params.coinbase_maturity = u32::try_from(MATURITY).unwrap_or(u32::MAX);
    let dev = DevChain::open(dir, params, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .map_err(|e| e.to_string())?;
    let server = dev.serve(listener, RPC_USER, &folder.rpc_password).map_err(|e| e.to_string())?;
    Ok((server, u64::from(dev.height())))
}

/// A chain whose node makes the blocks: it must know from the start whom they pay.
fn start_accounts(
    dir: &Path,
    chain: DemoChain,
    spacing: u32,
    folder: &DemoFolder,
    listener: TcpListener,
) -> Result<(DevServer, u64), String> {
    let rate = u64::try_from(chain.lane.hashrate().0).unwrap_or(u64::MAX);
    let params = EthDevParams {
        chain_id: CHAIN_ID,
        algorithm: chain.lane.algorithm,
        difficulty: EthDifficulty::for_farm(rate, spacing.into()),
        gas_price: GAS_PRICE_WEI,
        ..EthDevParams::classic()
    };
    let keys = AccountKeys::new(&folder.wallet_seed()?, chain.asset, false);
    let hot = keys.and_then(|k| k.address(Keychain::Capital, 0)).map_err(|e| e.to_string())?;
    let dev = EthDevChain::open(dir, params, Arc::new(SystemClock), &SystemEntropy)
        .map_err(|e| e.to_string())?;
    dev.pay_blocks_to(hot);
    let login = Some((RPC_USER, folder.rpc_password.as_str()));
    let server = dev.serve(listener, login).map_err(|e| e.to_string())?;
    Ok((server, dev.height()))
}
