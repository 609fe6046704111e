//! A lane's network figures: computed again whenever its chain has a new block.

use gruve_chain::params::Hardness;
use gruve_chain::{BlockFacts, ChainParams, ChainStanding, NetworkFigures};
use gruve_market::{ChainBlock, KEPT_BLOCKS, Market};
use gruve_units::{Asset, LaneId};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A chain that is caught up with has thousands of blocks a minute: not each is worth the reading.
const NOT_SOONER_THAN: Duration = Duration::from_secs(1);

/// A block as it is stored.
pub(super) fn stored(facts: &BlockFacts) -> ChainBlock {
    ChainBlock {
        height: facts.height,
        hash: facts.hash,
        time: facts.time,
        bits: match facts.hardness {
            Hardness::Bits(bits) => Some(bits),
            Hardness::Difficulty(_) => None,
        },
        work: facts.hardness.work().unwrap_or_default(),
        names_uncles: facts.names_uncles,
        subsidy: facts.subsidy,
        fees: facts.fees,
    }
}

fn facts(block: &ChainBlock) -> BlockFacts {
    BlockFacts {
        height: block.height,
        hash: block.hash,
        time: block.time,
        hardness: block.bits.map_or(Hardness::Difficulty(block.work.0), Hardness::Bits),
        names_uncles: block.names_uncles,
        subsidy: block.subsidy,
        fees: block.fees,
    }
}

/// Starts to compute in `tasks`, until `stopped` turns true.
pub(super) fn start(
    lane: &LaneId,
    params: ChainParams,
    market: Market,
    standing: &watch::Receiver<ChainStanding>,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<Option<NetworkFigures>> {
    let (figures, seen) = watch::channel(None);
    let (lane, mut standing, mut stopped) = (lane.clone(), standing.clone(), stopped.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                changed = standing.changed() => if changed.is_err() { return Ok(()) },
                _ = stopped.wait_for(|s| *s) => return Ok(()),
            }
            match read(&market, &lane, params.asset, &params).await {
                Ok(found) => drop(figures.send_replace(found)),
                Err(e) => tracing::warn!(%lane, error = %e, "cannot compute the network's figures"),
            }
            tokio::select! {
                () = tokio::time::sleep(NOT_SOONER_THAN) => {}
                _ = stopped.wait_for(|s| *s) => return Ok(()),
            }
        }
    });
    seen
}

async fn read(
    market: &Market,
    lane: &LaneId,
    asset: Asset,
    params: &ChainParams,
) -> gruve_market::Result<Option<NetworkFigures>> {
    let blocks = market.chain_blocks(lane, asset, KEPT_BLOCKS).await?;
    let blocks: Vec<BlockFacts> = blocks.iter().map(facts).collect();
    Ok(NetworkFigures::of(params, &blocks))
}
