//! Gruve's own gateway on a lane of the Ethash family, to be measured: a node that gives one header for all of a run.

use crate::BenchError;
use async_trait::async_trait;
use gruve_chain::{EthNode, NodeError, NodeWork};
use gruve_sharelog::ShareLog;
use gruve_stratum::eth::verify::Caches;
use gruve_stratum::eth::{EpochForm, EthLane, EthLaneOptions};
use gruve_units::{Class, Duration, EpochRule, Hashrate, SystemClock, SystemEntropy, Timestamp};
use std::sync::Arc;

/// No block in any run's lifetime.
const BLOCK_CLASS: u8 = 60;

/// A node of epoch 0, whose work never changes.
struct StandInEthNode {
    block: Class,
}

#[async_trait]
impl EthNode for StandInEthNode {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        let target = self.block.target();
        Ok(NodeWork { header_hash: [0x7c; 32], seed_hash: [0; 32], target, height: Some(100) })
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        Ok(None)
    }

    async fn submit_work(&self, _: u64, _: &[u8; 32], _: &[u8; 32]) -> Result<bool, NodeError> {
        Ok(false)
    }

    async fn submit_hashrate(&self, _: Hashrate, _: &[u8; 32]) -> Result<bool, NodeError> {
        Ok(true)
    }
}

/// A lane of Ethash with this log.
pub(crate) fn lane(epoch: Duration, log: &ShareLog) -> Result<EthLane, BenchError> {
    let no_epoch = BenchError::Server("no such epoch");
    let block = Class::new(BLOCK_CLASS).ok_or(BenchError::Server("no such class"))?;
    let options = EthLaneOptions {
        lane: "etc".parse().map_err(|_| BenchError::Server("no such lane"))?,
        node: Arc::new(StandInEthNode { block }),
        form: EpochForm::ETHASH,
        epoch_rule: EpochRule::new(epoch, Duration::from_secs(10)).ok_or(no_epoch)?,
        poll: Duration::from_secs(1),
        caches: Caches::default(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        share_log: log.clone(),
    };
    EthLane::start(options).map_err(BenchError::Gateway)
}
