//! Merge-mining (AuxPoW): one proof of work for a parent chain's block and, through a tag in its
//! coinbase, for blocks of any number of auxiliary chains.
//!
//! | part | for |
//! |---|---|
//! | [`tree`] | the merkle tree whose leaves are the auxiliary blocks, each in its chain's slot |
//! | [`tag`] | the 44 bytes in the parent's coinbase script that commit to the tree's root |
//! | [`proof`] | what an auxiliary chain is shown: made from a parent's share, checked by its rules |
//! | [`work`] | the auxiliary blocks that a job is for |
//! | [`node`] | what is asked of an auxiliary chain's nodes, one or several |
//!
//! Source of the format: the *Merged mining specification* (Bitcoin Wiki) and the rules in `auxpow.cpp` of
//! Namecoin Core and Dogecoin Core; the tests hold them against blocks of both chains.
//!
//! What this module must not know: sessions, the share log, what a block pays to whom.

pub mod node;
pub mod proof;
pub mod tag;
pub mod tree;
pub mod work;

pub use node::{AuxGroup, AuxNode};
pub use proof::{AuxFault, AuxProof};
pub use tree::{AuxTree, AuxTreeError, expected_index};
pub use work::{AuxBlock, AuxLeaf, AuxWork};

/// Header version bit that says that a block carries a merge-mining proof.
pub const VERSION_AUXPOW: u32 = 0x100;

/// The chain whose block a header is, by its version's upper sixteen bits.
#[must_use]
pub const fn chain_id(version: u32) -> u32 {
    version >> 16
}
