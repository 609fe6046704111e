//! Why the development chain could not be opened, served or driven.

use gruve_units::{Blame, Blamed};
use std::path::PathBuf;

/// Failures of the chain's own machinery. A refused block or transaction is not one of these:
/// see [`super::Reject`].
#[derive(Debug, thiserror::Error)]
pub enum DevChainError {
    /// The parameters cannot make a chain.
    #[error("development chain parameters: {0}")]
    Params(String),
    /// The folder holds a chain with other rules.
    #[error(
        "{path} holds a chain with other rules; choose an empty folder or the old parameters \
         (there: {found}; asked: {asked})"
    )]
    OtherRules {
        /// The chain file.
        path: PathBuf,
        /// The rules it was made with.
        found: String,
        /// The rules asked for.
        asked: String,
    },
    /// Another process has the folder open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The file is damaged before its end: not what a crash leaves behind.
    #[error("{path} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Reading or writing failed.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The listener could not be used.
    #[error("serving the development chain: {0}")]
    Serve(std::io::Error),
    /// The chain has reached the size it is made for.
    #[error("the development chain is full ({limit} bytes); start a new one")]
    Full {
        /// The limit.
        limit: u64,
    },
    /// An earlier write failed halfway and could not be taken back.
    #[error("the chain file could not be written earlier; open the chain again")]
    Broken,
    /// A block that the chain made itself was refused: its rules contradict each other.
    #[error("the chain refused its own block: {0}")]
    OwnBlock(String),
}

impl Blamed for DevChainError {
    fn blame(&self) -> Blame {
        match self {
            DevChainError::Params(_)
            | DevChainError::OtherRules { .. }
            | DevChainError::Full { .. } => Blame::Rejected,
            DevChainError::InUse(_) | DevChainError::Serve(_) => Blame::Transient,
            DevChainError::Damaged { .. }
            | DevChainError::Io { .. }
            | DevChainError::Broken
            | DevChainError::OwnBlock(_) => Blame::Fatal,
        }
    }
}
