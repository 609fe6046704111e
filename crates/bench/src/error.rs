//! What can go wrong with a measurement.

use gruve_chain::JobError;
use gruve_sharelog::LogError;
use gruve_stratum::StratumError;
use gruve_units::{Blame, Blamed};
use std::io;
use std::net::SocketAddr;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The system does not give what a loop needs: an event queue, a folder, a runtime.
    #[error("the system refuses what the measurement needs: {0}")]
    Poll(#[source] io::Error),
    /// A connection cannot be begun.
    #[error("connection {number} to {target} cannot be begun: {source}; see `ulimit -n`")]
    Connect {
        /// Where to.
        target: SocketAddr,
        /// Which.
        number: usize,
        /// The system's words.
        source: io::Error,
    },
    /// A server cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// Not all clients came to have a job.
    #[error("{ready} of {wanted} clients have a job: {why}")]
    NotReady {
        /// How many have.
        ready: usize,
        /// How many should.
        wanted: usize,
        /// What the first that failed said.
        why: String,
    },
    /// What is asked for cannot be.
    #[error("{0}")]
    Options(String),
    /// A server process cannot be started or spoken with.
    #[error("the server process cannot be started or spoken with: {0}")]
    Spawn(#[source] io::Error),
    /// A server process does not do what it should.
    #[error("the server process is of no use: {0}")]
    Server(&'static str),
    /// A job cannot be built.
    #[error(transparent)]
    Job(JobError),
    /// The share log fails.
    #[error(transparent)]
    Log(LogError),
    /// The gateway does not start.
    #[error(transparent)]
    Gateway(StratumError),
}

impl Blamed for BenchError {
    fn blame(&self) -> Blame {
        match self {
            BenchError::Connect { .. }
            | BenchError::NotReady { .. }
            | BenchError::Poll(_)
            | BenchError::Spawn(_)
            | BenchError::Server(_) => Blame::Transient,
            BenchError::Listen { .. } | BenchError::Options(_) => Blame::Rejected,
            BenchError::Job(e) => e.blame(),
            BenchError::Log(e) => e.blame(),
            BenchError::Gateway(e) => e.blame(),
        }
    }
}
