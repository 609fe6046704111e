//! What the house asks of a node of an account chain to follow it and to pay on it.
//!
//! Every call may be repeated. A time-out means *unknown*, never *failed*.

use super::{EthAddress, EthBlock, EthHeader, EthReceipt, EthTransaction};
use crate::{NodeError, SendOutcome};
use async_trait::async_trait;
use ruint::aliases::U256;

/// As of when an account is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAt {
    /// After the best block.
    Latest,
    /// After the best block and all transactions that wait at the node.
    Pending,
    /// After the block of this height; a node may have forgotten it.
    Height(u64),
}

/// A full node of an account chain.
#[async_trait]
pub trait AccountNode: Send + Sync {
    /// The chain's number (EIP-155): 61 is Ethereum Classic's.
    async fn chain_id(&self) -> Result<u64, NodeError>;

    /// Height of the best block.
    async fn height(&self) -> Result<u64, NodeError>;

    /// Whether it is still downloading the chain.
    async fn is_syncing(&self) -> Result<bool, NodeError>;

    /// Connected peers; `None` where it does not say.
    async fn peers(&self) -> Result<Option<u64>, NodeError>;

    /// The block of a height of the best chain; `None` above its tip.
    async fn block_at(&self, height: u64) -> Result<Option<EthBlock>, NodeError>;

    /// The hash of the block of a height of the best chain, as written; `None` above its tip.
    async fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError>;

    /// A block by its hash as written; `None` where the node does not know it.
    async fn block(&self, hash: &[u8; 32]) -> Result<Option<EthBlock>, NodeError>;

    /// Uncle number `index` (from 0) of the block with this hash.
    async fn uncle(
        &self,
        block_hash: &[u8; 32],
        index: usize,
    ) -> Result<Option<(EthHeader, [u8; 32])>, NodeError>;

    /// What became of a transaction; `None` while it stands in no block of the best chain.
    async fn receipt(&self, transaction: &[u8; 32]) -> Result<Option<EthReceipt>, NodeError>;

    /// Wei that an account has.
    async fn balance(&self, account: &EthAddress, at: AccountAt) -> Result<U256, NodeError>;

    /// How many transactions an account has sent, which is the number of its next.
    async fn transaction_count(
        &self,
        account: &EthAddress,
        at: AccountAt,
    ) -> Result<u64, NodeError>;

    /// The transactions of the block that the node would make next; `None` where it does not show one, because it makes
    /// none.
    async fn pending(&self) -> Result<Option<Vec<EthTransaction>>, NodeError> {
        Ok(None)
    }

    /// Sends a signed transaction.
    async fn send_transaction(&self, raw: &[u8]) -> Result<SendOutcome, NodeError>;

    /// Wei that the node would pay for a unit of gas now.
    async fn gas_price(&self) -> Result<U256, NodeError>;

    /// Wei that a unit of gas costs at least in the next block; `None` where the chain has no such
    /// price (EIP-1559), or the node does not say.
    async fn next_base_fee(&self) -> Result<Option<U256>, NodeError>;

    /// Whom the blocks it makes pay (`eth_coinbase`); `None` where it does not say.
    async fn pays_to(&self) -> Result<Option<EthAddress>, NodeError>;
}
