//! The log of accepted shares: what the server acknowledged, kept on the miner's side.

use crate::MinerError;
use gruve_units::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// One line of the accepted log. Of the Ethash family: `nonce` is the whole nonce of sixteen digits,
/// `block_hash` the hash of the proof of work, time and version are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedShare {
    /// The server's name for the job.
    pub job_id: String,
    /// Extranonce 1, hex.
    pub extranonce1: String,
    /// Extranonce 2, hex.
    pub extranonce2: String,
    /// The header's time, eight hex digits.
    pub ntime: String,
    /// The header's nonce, eight hex digits.
    pub nonce: String,
    /// The header's version, eight hex digits.
    pub version: String,
    /// The header's block hash (SHA-256d, whatever the algorithm of the work) as displayed.
    pub block_hash: String,
    /// When the answer came, in microseconds since 1970.
    pub at: Timestamp,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct AcceptedLog(File);

impl AcceptedLog {
    pub(crate) fn open(path: &Path) -> Result<Self, MinerError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(AcceptedLog)
            .map_err(|source| MinerError::AcceptedLog { path: path.display().to_string(), source })
    }

    /// Appends one line with one write, so that a kill leaves whole lines.
    pub(crate) fn append(&mut self, share: &AcceptedShare) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(share)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}
