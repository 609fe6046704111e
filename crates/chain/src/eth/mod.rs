//! Account-based chains (Ethereum Classic, and by the same rules any other chain id): what a block,
//! a transaction and an address are, and what a node is asked.
//!
//! | module | for |
//! |---|---|
//! | [`rlp`] | recursive length prefix: written canonically, read strictly |
//! | [`address`] | addresses with their checksum |
//! | [`transaction`] | legacy transactions bound to a chain id: hashed, signed, read |
//! | [`header`] | block headers: their hash, and the hash that is mined on |
//! | [`trie`] | roots of transactions, receipts and accounts |
//! | [`reward`] | what a block and its uncles pay, by era |
//! | [`work`] | what the house asks of a node to mine: work and solutions |
//! | [`node`] | what it asks to follow the chain and to pay: blocks, receipts, balances |
//! | [`rpc`] | both over Ethereum's JSON-RPC |
//! | [`nodes`] | several nodes of one chain, used as one |
//! | [`block`] | what stands in a node's answer about a block |
//! | [`follow`] | account chains for the follower |
//! | [`earned`] | what a block earns a miner |
//! | [`wei`] | wei into the books' minor units |
//!
//! Promises: nothing here panics whatever the input. Hashes are as they are written, most significant
//! byte first (not reversed as Bitcoin's are); where they meet the rest of the house
//! ([`crate::BlockRef`], the books) [`internal`] turns them. A header's hash is made from its fields
//! and held against what the node calls it. Values are in wei (10⁻¹⁸) and 256 bits wide.
//!
//! What this room must not know: contracts' code; it runs none.

pub mod address;
pub mod block;
pub mod earned;
pub mod follow;
pub mod header;
#[cfg(not(feature = "fuzzing"))]
mod heads;
#[cfg(feature = "fuzzing")]
pub mod heads;
pub mod node;
pub mod nodes;
pub(crate) mod read;
pub mod reward;
pub mod rlp;
pub mod rpc;
pub mod transaction;
pub mod trie;
pub mod wei;
pub mod work;

pub use address::{EthAddress, EthAddressError};
pub use block::{BadHeader, EthBlock, EthReceipt, EthTransaction};
pub use earned::{BadReceipts, Earned};
pub use follow::{AccountChain, FollowedEthBlock};
pub use gruve_pow::ethash::keccak256;
pub use header::EthHeader;
pub use node::{AccountAt, AccountNode};
pub use nodes::{EthExpected, EthFullNode, EthNodeGroup};
pub use reward::RewardRule;
pub use rpc::{EthRpcNode, EthRpcOptions};
pub use transaction::{LegacyTx, SignedTx, TxError};
pub use work::{EthNode, NodeWork};

/// Gas that a plain transfer of value to an account without code takes (yellow paper, appendix G:
/// `G_transaction`).
pub const TRANSFER_GAS: u64 = 21_000;

/// A hash as written in internal byte order, or the other way round.
#[must_use]
pub fn internal(hash: [u8; 32]) -> [u8; 32] {
    let mut turned = hash;
    turned.reverse();
    turned
}
