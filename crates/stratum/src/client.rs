//! A small Stratum V1 client, for the reference worker and for tests that play a miner.
//!
//! Promises: nothing a server sends panics or grows memory without bound (a pool upstream may be
//! hostile); events come in the order the server sent them; a job carries the difficulty and the
//! extranonce that were in force when it came, so that the worker cannot mix them up.
//!
//! It does not reconnect by itself and does not follow `client.reconnect` to another place: it
//! reports [`Event::Disconnected`] and the caller decides.
//!
//! ```no_run
//! # async fn mine() -> Result<(), gruve_stratum::client::ClientError> {
//! use gruve_stratum::client::{ConnectOptions, Event, connect};
//! let (client, mut events) =
//!     connect(&ConnectOptions::new("127.0.0.1:3333", "house.m1", "x", "gruve-miner/0.1")).await?;
//! loop {
//!     let job = match events.next().await {
//!         Event::Job(job) => job,
//!         Event::Disconnected(_) => break,
//!         _ => continue,
//!     };
//!     let extranonce2 = vec![0; job.extranonce2_size];
//!     let header = job.header(&extranonce2, job.version, job.ntime, 42);
//!     let reply = client.submit(&job.id, &extranonce2, job.ntime, 42, None).await?;
//! }
//! # Ok(()) }
//! ```

mod job;
mod reader;

pub use job::ClientJob;

use gruve_units::{Blame, Blamed};
use reader::{Pending, RawReply};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

/// Replies waited for at once: a worker with more unanswered submits than this has lost its server.
const PENDING_MAX: usize = 4096;

/// How long to wait for an answer to `mining.configure`: servers that do not know it say so, say
/// nothing, or close.
const CONFIGURE_MAX: Duration = Duration::from_secs(3);

/// Events held for a slow caller; then the reader waits, and TCP pushes back on the server.
const EVENTS_MAX: usize = 256;

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// `host:port`.
    pub address: String,
    /// The login, `account.machine`.
    pub user: String,
    /// The password; `x` where none is wanted.
    pub password: String,
    /// What to call oneself, `name/version`.
    pub agent: String,
    /// The version bits one would like to roll (BIP 310); none by default. A server that does not
    /// answer the question within three seconds is taken to allow none; one that closes on it has
    /// to be connected to again, without.
    pub version_mask: Option<u32>,
    /// How long each step of the handshake, and each reply, may take.
    pub timeout: Duration,
}

impl ConnectOptions {
    /// With no version rolling and 30 s for each step.
    #[must_use]
    pub fn new(address: &str, user: &str, password: &str, agent: &str) -> Self {
        ConnectOptions {
            address: address.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            agent: agent.to_owned(),
            version_mask: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What a server told us.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The difficulty of jobs that come after it. Jobs carry theirs; this is for display.
    Difficulty(f64),
    /// Work. When [`ClientJob::clean`], earlier jobs are worthless.
    Job(Arc<ClientJob>),
    /// Another extranonce for jobs that come after it. Jobs carry theirs.
    Extranonce {
        /// Extranonce 1.
        extranonce1: Vec<u8>,
        /// How many bytes extranonce 2 has.
        extranonce2_size: usize,
    },
    /// The version bits that may be rolled, valid at once.
    VersionMask(u32),
    /// A word to whoever watches.
    Message(String),
    /// The end; nothing comes after it. Why, in words.
    Disconnected(String),
}

/// The events of one connection.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; [`Event::Disconnected`] for ever at the end.
    pub async fn next(&mut self) -> Event {
        let end = || Event::Disconnected("the connection is closed".to_owned());
        self.queue.recv().await.unwrap_or_else(end)
    }

    /// The next event if it is already here.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.try_recv().ok()
    }
}

/// The server's answer to a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Taken.
    Accepted,
    /// Not taken.
    Rejected {
        /// 20 other, 21 stale, 22 duplicate, 23 low difficulty, 24 unauthorised, 25 not subscribed.
        code: i64,
        /// The server's words.
        message: String,
    },
}

impl Reply {
    /// Whether the share was taken.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Reply::Accepted)
    }
}

/// What can go wrong on the client's side.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The connection ended.
    #[error("the connection is closed")]
    Closed,
    /// No reply in time.
    #[error("no reply to {0} in time")]
    Timeout(&'static str),
    /// The login was refused.
    #[error("the login was refused: {0}")]
    Refused(String),
    /// The server said something that is not Stratum.
    #[error("the server does not speak Stratum V1: {0}")]
    Protocol(&'static str),
    /// More unanswered requests than the limit.
    #[error("too many requests without a reply")]
    TooManyPending,
}

impl Blamed for ClientError {
    fn blame(&self) -> Blame {
        match self {
            ClientError::Connect { .. }
            | ClientError::Closed
            | ClientError::Timeout(_)
            | ClientError::TooManyPending => Blame::Transient,
            ClientError::Refused(_) | ClientError::Protocol(_) => Blame::Rejected,
        }
    }
}

/// A connection's sending half. Cloning is cheap; the last clone closes the connection.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    write: tokio::sync::Mutex<OwnedWriteHalf>,
    pending: Arc<Mutex<Pending>>,
    next_id: AtomicU64,
    timeout: Duration,
    user: String,
    version_mask: u32,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Connects, negotiates version rolling if wished, subscribes and authorises.
///
/// # Errors
/// [`ClientError::Connect`], [`ClientError::Refused`], or what the handshake met.
pub async fn connect(options: &ConnectOptions) -> Result<(Client, Events), ClientError> {
    let failed = |source| ClientError::Connect { address: options.address.clone(), source };
    let stream = tokio::time::timeout(options.timeout, TcpStream::connect(&options.address))
        .await
        .map_err(|_| ClientError::Timeout("connect"))?
        .map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (read, write) = stream.into_split();
    let pending = Arc::new(Mutex::new(Pending { waiting: HashMap::new(), subscribe_id: None }));
    let (events_in, queue) = mpsc::channel(EVENTS_MAX);
    let reader = tokio::spawn(reader::run(read, events_in, Arc::clone(&pending)));
    let mut inner = Inner {
        write: tokio::sync::Mutex::new(write),
        pending,
        next_id: AtomicU64::new(1),
        timeout: options.timeout,
        user: options.user.clone(),
        version_mask: 0,
        reader,
    };
    if let Some(mask) = options.version_mask {
        inner.version_mask = match inner.configure(mask).await {
            Err(ClientError::Timeout(_)) => 0,
            granted => granted?,
        };
    }
    let id = inner.next_id();
    inner.pending.lock().unwrap_or_else(PoisonError::into_inner).subscribe_id = Some(id);
    let reply = inner.request(id, "mining.subscribe", json!([options.agent])).await?;
    if !reply.result.is_array() {
        return Err(ClientError::Protocol("the reply to mining.subscribe is not a list"));
    }
    let params = json!([options.user, options.password]);
    let reply = inner.request(inner.next_id(), "mining.authorize", params).await?;
    if reply.result != Value::Bool(true) {
        return Err(ClientError::Refused(reply.reason()));
    }
    Ok((Client { inner: Arc::new(inner) }, Events { queue }))
}

impl Client {
    /// The version bits that may be rolled; zero when not negotiated.
    #[must_use]
    pub fn version_mask(&self) -> u32 {
        self.inner.version_mask
    }

    /// Sends a share and waits for the answer. `version_bits` are the rolled bits within the mask;
    /// `None` when rolling was not negotiated.
    ///
    /// # Errors
    /// When there is no answer; a share that was not taken is a [`Reply`].
    pub async fn submit(
        &self,
        job_id: &str,
        extranonce2: &[u8],
        ntime: u32,
        nonce: u32,
        version_bits: Option<u32>,
    ) -> Result<Reply, ClientError> {
        let mut params = vec![
            json!(self.inner.user),
            json!(job_id),
            json!(hex::encode(extranonce2)),
            json!(format!("{ntime:08x}")),
            json!(format!("{nonce:08x}")),
        ];
        params.extend(version_bits.map(|bits| json!(format!("{bits:08x}"))));
        let id = self.inner.next_id();
        let reply = self.inner.request(id, "mining.submit", Value::Array(params)).await?;
        Ok(if reply.result == Value::Bool(true) {
            Reply::Accepted
        } else {
            Reply::Rejected { code: reply.code(), message: reply.reason() }
        })
    }

    /// Asks for a difficulty; the server may ignore it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn suggest_difficulty(&self, difficulty: f64) -> Result<(), ClientError> {
        let id = self.inner.next_id();
        self.inner.request(id, "mining.suggest_difficulty", json!([difficulty])).await.map(|_| ())
    }
}

impl Inner {
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    async fn configure(&self, mask: u32) -> Result<u32, ClientError> {
        let wish = json!([["version-rolling"], {
            "version-rolling.mask": format!("{mask:08x}"),
            "version-rolling.min-bit-count": 2,
        }]);
        let within = self.timeout.min(CONFIGURE_MAX);
        let reply = self.request_within(within, self.next_id(), "mining.configure", wish).await?;
        let granted = reply.result.get("version-rolling") == Some(&Value::Bool(true));
        let given = reply.result.get("version-rolling.mask").and_then(Value::as_str);
        // A server may only narrow what was asked for.
        Ok(given.and_then(crate::hexes::word).filter(|_| granted).map_or(0, |m| m & mask))
    }

    async fn request(
        &self,
        id: u64,
        method: &'static str,
        params: Value,
    ) -> Result<RawReply, ClientError> {
        self.request_within(self.timeout, id, method, params).await
    }

    async fn request_within(
        &self,
        within: Duration,
        id: u64,
        method: &'static str,
        params: Value,
    ) -> Result<RawReply, ClientError> {
        let (tell, told) = oneshot::channel();
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.waiting.len() >= PENDING_MAX {
                return Err(ClientError::TooManyPending);
            }
            pending.waiting.insert(id, tell);
        }
        let mut line = json!({"id": id, "method": method, "params": params}).to_string();
        line.push('\n');
        let exchange = async {
            self.write
                .lock()
                .await
                .write_all(line.as_bytes())
                .await
                .map_err(|_| ClientError::Closed)?;
            told.await.map_err(|_| ClientError::Closed)
        };
        let outcome = tokio::time::timeout(within, exchange).await;
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&id);
        outcome.map_err(|_| ClientError::Timeout(method))?
    }
}
