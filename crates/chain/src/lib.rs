//! Chains: parameters, addresses, templates, jobs, blocks, node clients, the follower and the
//! development chain.
//!
//! | module | for |
//! |---|---|
//! | [`params`] | one row of rules for each coin and network |
//! | [`address`] | output scripts to addresses and back |
//! | [`template`] | what a node offers to be mined |
//! | [`room`] | what a template leaves free for our coinbase |
//! | [`tip`] | what a node tells of a new block at once, and the empty block on it |
//! | [`auxpow`] | merge-mining: blocks of auxiliary chains by the same work |
//! | [`job`] | a template with our coinbase: what miners get, and the whole block back |
//! | [`stamp`] | the coinbase output that binds work to operator, lane, epoch and class |
//! | [`node`] | what the house asks of a node, as a trait; [`rpc`] speaks it to a real one |
//! | [`eth`] | account-based chains: addresses, transactions, headers, rewards, nodes |
//! | [`nodes`] | several nodes of one chain, used as one |
//! | [`walk`] | reading blocks leanly |
//! | [`figures`], [`forecast`] | difficulty, fees and hashprice from a chain's blocks; its next difficulty |
//! | [`follow`] | following a chain block by block, with its reorganisations |
//! | `zmq` | what a node publishes of new blocks, heard beside the waits by RPC |
//! | [`devchain`] | an in-process node with the same RPC |
//!
//! Promises: nothing from a node, however broken, panics or is taken on trust where a check is
//! cheap; amounts never pass through a float; hash fields are in *internal* byte order and only
//! text is reversed ([`hash_to_text`]).
//!
//! What this room must not know: miners' sessions, the share log, proofs' parsing, money owed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
mod allowance;
pub mod auxpow;
pub mod devchain;
mod error;
pub mod eth;
pub mod figures;
pub mod follow;
pub mod forecast;
mod hash_text;
pub mod job;
pub mod node;
pub mod nodes;
pub mod params;
pub mod room;
pub mod rpc;
#[cfg(feature = "fuzzing")]
mod said;
pub mod script;
pub mod stamp;
mod standing;
pub mod template;
pub mod tip;
pub mod walk;
pub mod wire;
#[cfg(not(feature = "fuzzing"))]
mod zmq;
#[cfg(feature = "fuzzing")]
pub mod zmq;

pub use address::{AddressError, address_for_script, script_for_address};
pub use error::ChainError;
pub use eth::{EthNode, EthRpcNode, EthRpcOptions, NodeWork};
pub use figures::{BlockFacts, FeeAverage, NetworkFigures};
pub use follow::{ChainSink, FollowError, FollowedBlock, Follower, SinkError};
pub use hash_text::{hash_from_text, hash_to_text};
pub use job::{Job, JobError, JobSpec};
pub use node::{
    BlockRef, ChainCoin, ChainInfo, FeeRate, Node, NodeCoin, NodeCoins, NodeError, SendOutcome,
    SubmitOutcome, TransactionPlace,
};
pub use nodes::{GroupOptions, NODES_MAX, NodeGroup, NodeHealth, Standing};
pub use params::{
    AddressForm, ChainParams, Family, FeeFacts, Hardness, HeaderFacts, MergeMining, NetworkName,
    Retarget, SubsidyRule, params_for,
};
pub use rpc::{BadZmqAddress, Push, PushFigures, RpcNode, RpcOptions, ZmqAddress};
pub use standing::ChainStanding;
pub use template::{Template, TemplateError, TemplateTx};
pub use tip::TipNotice;
pub use walk::{
    LeanBlock, LeanOutput, LeanTx, ParseError, outputs_of_waiting, parse_block,
    transaction_in_block,
};
