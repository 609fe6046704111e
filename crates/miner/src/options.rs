//! What a miner is told.

use gruve_units::{Algorithm, Blame, Blamed, Clock, Hashrate, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;

/// What a miner is told.
#[derive(Clone)]
pub struct MinerOptions {
    /// Where the server listens: `host:port`, with or without `stratum+tcp://` before it.
    pub url: String,
    /// The login, `account.machine`.
    pub user: String,
    /// The password; many servers ignore it.
    pub password: String,
    /// What to compute.
    pub algorithm: Algorithm,
    /// Mining threads, 1 to 1024.
    pub threads: usize,
    /// The rate of the whole miner not to exceed, so that several may share a CPU.
    pub limit: Option<Hashrate>,
    /// Where to append one JSON line for every share the server accepted.
    pub accepted_log: Option<PathBuf>,
    /// Where the times in the accepted log come from.
    pub clock: Arc<dyn Clock>,
}

impl MinerOptions {
    /// One thread without a limit, password `x`, the machine's clock.
    #[must_use]
    pub fn new(url: impl Into<String>, user: impl Into<String>, algorithm: Algorithm) -> Self {
        MinerOptions {
            url: url.into(),
            user: user.into(),
            password: "x".to_owned(),
            algorithm,
            threads: 1,
            limit: None,
            accepted_log: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The address without the scheme.
    pub(crate) fn address(&self) -> Result<&str, MinerError> {
        let bad = || MinerError::Url(self.url.clone());
        let rest = match self.url.split_once("://") {
            None => self.url.as_str(),
            Some(("stratum+tcp" | "stratum" | "tcp", rest)) => rest,
            Some(_) => return Err(bad()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let port_is_good = port.parse::<u16>().is_ok_and(|p| p != 0);
        if host.is_empty() || !port_is_good { Err(bad()) } else { Ok(rest) }
    }
}

impl std::fmt::Debug for MinerOptions {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerOptions")
            .field("url", &self.url)
            .field("user", &self.user)
            .field("algorithm", &self.algorithm)
            .field("threads", &self.threads)
            .field("limit", &self.limit)
            .field("accepted_log", &self.accepted_log)
            .finish_non_exhaustive()
    }
}

/// Why a miner cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MinerError {
    /// The number of threads is out of range.
    #[error("{0} mining threads: choose 1 to 1024")]
    Threads(usize),
    /// The limit is zero.
    #[error("a hashrate limit of zero: leave it out or choose at least 1 H/s")]
    Limit,
    /// The address is not `host:port`.
    #[error(
        "{0:?} is not an address: write host:port or stratum+tcp://host:port; this miner speaks V1 without TLS, not V2"
    )]
    Url(String),
    /// The accepted log cannot be opened.
    #[error("cannot open the accepted log {path}: {source}")]
    AcceptedLog {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no tokio runtime to run on.
    #[error("a miner is started from within a tokio runtime")]
    NoRuntime,
    /// The operating system gives no thread.
    #[error("cannot start a mining thread: {0}")]
    Thread(std::io::Error),
}

impl Blamed for MinerError {
    fn blame(&self) -> Blame {
        match self {
            MinerError::Threads(_)
            | MinerError::Limit
            | MinerError::Url(_)
            | MinerError::AcceptedLog { .. } => Blame::Rejected,
            MinerError::Thread(_) => Blame::Transient,
            MinerError::NoRuntime => Blame::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_scheme() {
        let address = |url: &str| {
            MinerOptions::new(url, "a.b", Algorithm::Scrypt).address().ok().map(str::to_owned)
        };
        assert_eq!(address("pool:3333").as_deref(), Some("pool:3333"));
        assert_eq!(address("stratum+tcp://pool:3333").as_deref(), Some("pool:3333"));
        assert_eq!(address("stratum+tcp://[::1]:3333/").as_deref(), Some("[::1]:3333"));
        for bad in ["", "pool", ":3333", "pool:", "pool:0", "pool:70000", "http://pool:80"] {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_password_does_not_reach_the_log() {
        let mut options = MinerOptions::new("pool:1", "a.b", Algorithm::Scrypt);
        options.password = "sesame".to_owned();
        assert!(!format!("{options:?}").contains("sesame"));
    }
}
