//! What can go wrong in this room, and whose it is.

use gruve_chain::{JobError, NodeError};
use gruve_sharelog::LogError;
use gruve_units::{Blame, Blamed};

/// An error of the gateway or of making jobs.
#[derive(Debug, thiserror::Error)]
pub enum StratumError {
    /// The listening socket cannot be used.
    #[error("cannot listen for miners: {0}")]
    Listen(std::io::Error),
    /// The options contradict each other.
    #[error("the gateway's options are wrong: {0}")]
    Options(&'static str),
    /// The share log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Work of the Ethash family that cannot be hashed.
    #[error(transparent)]
    Ethash(#[from] crate::eth::EpochFault),
    /// A template that cannot be mined.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Blamed for StratumError {
    fn blame(&self) -> Blame {
        match self {
            StratumError::Listen(_) => Blame::Transient,
            StratumError::Options(_) => Blame::Rejected,
            StratumError::Log(e) => e.blame(),
            StratumError::Node(e) => e.blame(),
            StratumError::Ethash(e) => e.blame(),
            StratumError::Job(e) => e.blame(),
        }
    }
}
