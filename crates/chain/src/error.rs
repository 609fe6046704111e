//! The room's errors under one roof.

use crate::{
    AddressError, FollowError, JobError, NetworkName, NodeError, ParseError, TemplateError,
};
use gruve_units::{Asset, Blame, Blamed};

/// Any error of this room.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No parameters for this asset.
    #[error("there is no {asset} {network} chain here: BTC, LTC and DOGE can be mined")]
    NoSuchChain {
        /// The asset asked for.
        asset: Asset,
        /// The network asked for.
        network: NetworkName,
    },
    /// An address is not one of the chain.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A template cannot be mined.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A job cannot be built.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A block cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A node did not do what was asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The chain cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
}

impl Blamed for ChainError {
    fn blame(&self) -> Blame {
        match self {
            ChainError::NoSuchChain { .. } => Blame::Rejected,
            ChainError::Address(e) => e.blame(),
            ChainError::Template(e) => e.blame(),
            ChainError::Job(e) => e.blame(),
            ChainError::Parse(e) => e.blame(),
            ChainError::Node(e) => e.blame(),
            ChainError::Follow(e) => e.blame(),
        }
    }
}
