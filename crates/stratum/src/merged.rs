//! Auxiliary chains of a lane: what they offer to be merge-mined, and what of it a share solves.
//!
//! Each chain's nodes are asked every [`AUX_POLL`], and when they tell of a block; a node gives the same block until it has another, so the
//! answer is news or not. A chain whose nodes have not answered for [`AUX_SILENT_MAX`] is left out of new jobs:
//! their work would earn nothing there.

use crate::blocks::Destination;
use crate::protocol::Solved;
use crate::seldom::Seldom;
use async_trait::async_trait;
use gruve_chain::auxpow::{AuxBlock, AuxGroup, AuxWork};
use gruve_chain::{Job, NodeError, SubmitOutcome};
use gruve_sharelog::{AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, ShareRecord};
use gruve_units::{Asset, LaneId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often an auxiliary chain's nodes are asked for its block.
pub const AUX_POLL: Duration = Duration::from_secs(1);
/// How often they are asked because they tell of something, at most: blocks are a minute apart, and who
/// tells without end is to cost no more than this.
const AUX_NEWS_EVERY_MIN: Duration = Duration::from_millis(250);
/// After so long without an answer a chain is left out of new jobs.
pub const AUX_SILENT_MAX: Duration = Duration::from_secs(30);
/// Two jobs that only auxiliary news asks for are at least so far apart, however many chains there are: each
/// job costs every miner a line.
pub const AUX_JOB_EVERY_MIN: Duration = Duration::from_secs(1);

/// One auxiliary chain of a lane.
#[derive(Clone)]
pub struct AuxChain {
    /// Its coin.
    pub asset: Asset,
    /// Its nodes.
    pub nodes: Arc<AuxGroup>,
    /// The address its rewards go to.
    pub pay_to: String,
}

/// What each chain offers, in the order of the lane's; `None` for one that offers nothing.
pub(crate) type Offers = Vec<Option<AuxBlock>>;

/// Asks one chain's nodes for ever; ends when nobody listens.
pub(crate) async fn watch_chain(
    lane: LaneId,
    at: usize,
    chain: AuxChain,
    nudge: Arc<Notify>,
    offers: Arc<watch::Sender<Offers>>,
) {
    let (mut answered, mut faults) = (Instant::now(), Seldom::default());
    let mut news_from = tokio::time::Instant::now();
    loop {
        match chain.nodes.block(&chain.pay_to).await {
            Ok(block) => {
                answered = Instant::now();
                put(&offers, at, Some(block));
            }
            Err(error) => {
                if let Some(times) = faults.due() {
                    tracing::warn!(%lane, chain = %chain.asset, %error, times, "no auxiliary block");
                }
                if answered.elapsed() >= AUX_SILENT_MAX {
                    put(&offers, at, None);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AUX_POLL) => {}
            () = nudge.notified() => {}
            () = news(&chain, news_from) => {
                news_from = tokio::time::Instant::now() + AUX_NEWS_EVERY_MIN;
            }
        }
    }
}

/// Waits until a node tells of another block, and in any case until `from`.
async fn news(chain: &AuxChain, from: tokio::time::Instant) {
    tokio::time::sleep_until(from).await;
    chain.nodes.news().await;
}

fn put(offers: &watch::Sender<Offers>, at: usize, block: Option<AuxBlock>) {
    offers.send_if_modified(|all| match all.get_mut(at) {
        Some(place) if *place != block => {
            *place = block;
            true
        }
        _ => false,
    });
}

/// What is offered, as one tree; `None` where nothing is, or it cannot be one.
pub(crate) fn work_of(lane: &LaneId, offers: &Offers) -> Option<Arc<AuxWork>> {
    let blocks: Vec<AuxBlock> = offers.iter().flatten().cloned().collect();
    if blocks.is_empty() {
        return None;
    }
    AuxWork::of(blocks)
        .inspect_err(|error| tracing::error!(%lane, %error, "cannot merge-mine"))
        .ok()
        .map(Arc::new)
}

/// What the log keeps of a job's auxiliary blocks.
pub(crate) fn record(job: &Job) -> Option<AuxJobRecord> {
    let chain = |leaf: &gruve_chain::auxpow::AuxLeaf| AuxChainRecord {
        asset: leaf.block.asset,
        chain_id: leaf.block.chain_id,
        block_hash: leaf.block.hash,
        bits: leaf.block.bits,
        height: leaf.block.height,
        index: leaf.index,
        branch: leaf.branch.clone(),
    };
    let chains = job.aux()?.leaves().iter().map(chain).collect();
    Some(AuxJobRecord { job: job.id(), epoch: job.epoch(), chains })
}

/// The auxiliary blocks that a hashed share solves, each with its proof.
pub(crate) fn solved(job: &Job, share: &ShareRecord, solved: &Solved) -> Vec<AuxBlockRecord> {
    let extranonce = share.extranonce.as_slice();
    if job.is_second_tag(extranonce) {
        return Vec::new();
    }
    job.solved_aux(&solved.pow_hash)
        .map(|leaf| AuxBlockRecord {
            asset: leaf.block.asset,
            found: BlockRecord {
                share: *share,
                block_hash: leaf.block.hash,
                height: leaf.block.height,
                block: job.aux_proof(leaf, share.class, extranonce, &solved.header).to_bytes(),
            },
        })
        .collect()
}

/// The nodes of an auxiliary chain, which take a proof for a block they gave.
pub(crate) struct ProofNodes(pub(crate) Arc<AuxGroup>);

#[async_trait]
impl Destination for ProofNodes {
    async fn submit(&self, block: &BlockRecord) -> Result<SubmitOutcome, NodeError> {
        self.0.submit(&block.block_hash, &block.block).await
    }
}
