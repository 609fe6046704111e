//! What the house asks of a node of the Ethash family: work by its header's hash, and solutions.
//!
//! Unlike [`crate::Node`], such a node makes its blocks itself and pays the address that it was
//! started with; it hands out no more than what is to be hashed. Some let the words of their blocks be set, and show
//! the block that they are making. Every call may be repeated: a
//! solution that is already known is refused or taken again, and does no harm. A time-out means
//! *unknown*, never *failed*.

use super::EthHeader;
use crate::NodeError;
use async_trait::async_trait;
use gruve_units::{Hashrate, Target, Timestamp};

/// What a node wants hashed (`eth_getWork`). Hashes as they are written, most significant byte
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeWork {
    /// Hash of the header without nonce and mix digest.
    pub header_hash: [u8; 32],
    /// Seed of the algorithm's epoch.
    pub seed_hash: [u8; 32],
    /// The network's target; never zero.
    pub target: Target,
    /// Height of the block it would make, where the node says.
    pub height: Option<u64>,
}

/// A node of the Ethash family.
#[async_trait]
pub trait EthNode: Send + Sync {
    /// What to hash now.
    async fn get_work(&self) -> Result<NodeWork, NodeError>;

    /// Waits until the node tells that there may be other work. For ever where it does not tell of it:
    /// it is asked every now and then all the same.
    async fn news(&self) {
        std::future::pending::<()>().await;
    }

    /// The time in the block that the node is making, which is its clock's; `None` where it does not
    /// say.
    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError>;

    /// Has the blocks that it makes from now on say these words in their `extraData`: text, because nodes take it as such;
    /// whether it does. No means that it does not let anybody.
    async fn set_extra(&self, words: &str) -> Result<bool, NodeError> {
        let _ = words;
        Ok(false)
    }

    /// The header, without its proof, of the block that it is making, where it shows it. It may be another than the one that
    /// it gave out as work: their hashes say.
    async fn pending_header(&self) -> Result<Option<EthHeader>, NodeError> {
        Ok(None)
    }

    /// Sends a solution; whether the node took it. No means: not valid, or for work that the node
    /// has forgotten.
    async fn submit_work(
        &self,
        nonce: u64,
        header_hash: &[u8; 32],
        mix_hash: &[u8; 32],
    ) -> Result<bool, NodeError>;

    /// Tells the node how fast it is mined with, under an id of the teller's choice; whether it
    /// noted it.
    async fn submit_hashrate(&self, rate: Hashrate, id: &[u8; 32]) -> Result<bool, NodeError>;
}
