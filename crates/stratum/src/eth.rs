//! The Ethash family: jobs, dialects, verification.

use gruve_units::{EpochNumber, JobId, Target, Timestamp};
use std::sync::Arc;

/// One piece of work as the node gave it (`eth_getWork`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthWork {
    /// Its number.
    pub id: JobId,
    /// The epoch its shares count in.
    pub epoch: EpochNumber,
    /// The hash of the header without nonce and mix.
    pub header_hash: [u8; 32],
    /// The seed of the algorithm's epoch.
    pub seed_hash: [u8; 32],
    /// The number of the algorithm's epoch (30,000 blocks; 60,000 in Etchash).
    pub algorithm_epoch: u64,
    /// Height of the block it would make, where the node says.
    pub height: Option<u64>,
    /// The network's target.
    pub network_target: Target,
    /// When it came.
    pub issued_at: Timestamp,
}

/// The works that live at one moment; immutable, replaced as a whole.
#[derive(Clone, Debug)]
pub struct EthState {
    /// The newest; also the last of `live`.
    pub current: Arc<EthWork>,
    /// All works whose shares may still count or make a block (as uncles), oldest first.
    pub live: Vec<Arc<EthWork>>,
}
