//! Account chains for the follower: each block with its uncles' headers.
//!
//! An account chain has no bytes to parse. Its node tells of a block field by field, and the block's
//! hash is made again from its header, so that what was asked for is what came. Transactions are not
//! held against the header's root: a node that lies about them is believed about balances, too.

use super::{AccountNode, EthBlock, EthHeader, internal};
use crate::follow::{FollowError, Followable};
use crate::{BlockRef, NodeError};
use async_trait::async_trait;
use std::sync::Arc;

/// A block with what the follower's sink needs beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedEthBlock {
    /// The block.
    pub block: EthBlock,
    /// The headers of the uncles that it names, in its order.
    pub uncles: Vec<EthHeader>,
}

impl FollowedEthBlock {
    /// Height and hash, the hash in internal byte order.
    #[must_use]
    pub fn to_ref(&self) -> BlockRef {
        self.block.to_ref()
    }
}

/// The chain of a node that knows accounts.
pub struct AccountChain {
    /// Where blocks come from.
    pub node: Arc<dyn AccountNode>,
    /// The chain's name, for the log.
    pub title: String,
}

#[async_trait]
impl Followable for AccountChain {
    type Block = FollowedEthBlock;

    fn title(&self) -> String {
        self.title.clone()
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        let height = self.node.height().await?;
        let gone = || NodeError::NotReady(format!("the node's best block {height} is gone again"));
        let hash = self.node.hash_at(height).await?.ok_or_else(gone)?;
        Ok(BlockRef { height, hash: internal(hash) })
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        Ok(self.node.hash_at(height).await?.map(internal))
    }

    async fn block(&self, at: &BlockRef) -> Result<(FollowedEthBlock, [u8; 32]), FollowError> {
        let hash = internal(at.hash);
        let gone = |what: &str| {
            let name = hex::encode(hash);
            NodeError::NotReady(format!("the node no longer has {what} of block 0x{name}"))
        };
        let block = self.node.block(&hash).await?.ok_or_else(|| gone("the content"))?;
        let mut uncles = Vec::with_capacity(block.uncle_hashes.len());
        for (index, named) in block.uncle_hashes.iter().enumerate() {
            let uncle = self.node.uncle(&hash, index).await?.ok_or_else(|| gone("an uncle"))?;
            if uncle.1 != *named {
                return Err(gone("the right uncle").into());
            }
            uncles.push(uncle.0);
        }
        let parent = internal(block.header.parent_hash);
        Ok((FollowedEthBlock { block, uncles }, parent))
    }
}
