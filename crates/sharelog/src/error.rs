//! What can go wrong with the log, and whose it is.

use crate::Position;
use gruve_units::{Blame, Blamed, EpochNumber};
use std::path::PathBuf;

/// An error of the share log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused; nothing was written. A full disk is the usual reason.
    #[error("{doing} {path}: {source}; nothing was written")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// Bytes that were once synced are no longer what was written.
    #[error("{path} is damaged at byte {offset}: {what}; restore it from a copy, do not delete it")]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// An earlier write or sync left the file in an unknown state.
    #[error("the share log stopped after a failed {0}; restart it once the disk is well")]
    Stopped(&'static str),
    /// Another process (or another handle in this one) writes this folder.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// One append would be larger than [`crate::MAX_FRAME_BYTES`].
    #[error("an append of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// The size asked for.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A share that comes too late for any epoch.
    #[error("epoch {0} was sealed too long ago")]
    Sealed(EpochNumber),
    /// `append` was handed a seal; only `seal` may write one.
    #[error("a seal is written by `seal`, not by `append`")]
    SealInAppend,
    /// A reader asked for a place before the oldest segment still held.
    #[error("the log begins at {start}, after {asked}")]
    Trimmed {
        /// What was asked for.
        asked: Position,
        /// What is there.
        start: Position,
    },
    /// A reader asked for a place where no record begins.
    #[error("no record begins at {0}")]
    NoRecord(Position),
}

impl Blamed for LogError {
    fn blame(&self) -> Blame {
        match self {
            LogError::Io { .. } => Blame::Transient,
            LogError::TooLarge { .. } | LogError::Sealed(_) | LogError::SealInAppend => {
                Blame::Rejected
            }
            LogError::Damaged { .. }
            | LogError::Stopped(_)
            | LogError::InUse(_)
            | LogError::Trimmed { .. }
            | LogError::NoRecord(_) => Blame::Fatal,
        }
    }
}
