//! The gateway: listens, bounds connections, and keeps the list of sessions.
//!
//! One task a connection (see [`crate::connection`]); what they share is the lane's work, the log
//! and this list.

use crate::connection::{self, Shared};
use crate::error::StratumError;
use crate::lane::LaneWork;
use crate::limits;
use crate::machines::Machines;
use crate::session::SessionRules;
use gruve_sharelog::Owner;
use gruve_units::{
    AccountId, Class, Clock, Duration, Entropy, Hashrate, LaneId, MachineId, Timestamp,
};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// How long a shutdown waits for sessions to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// The pause after a failed accept (usually: no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a gateway is set up.
pub struct GatewayOptions {
    /// Where miners connect.
    pub listener: std::net::TcpListener,
    /// The easiest and the hardest class.
    pub class_range: (Class, Class),
    /// The class to begin with.
    pub start_class: Class,
    /// How often a session should send a share.
    pub share_interval: Duration,
    /// Version bits that may be rolled; `None` for the algorithm's default.
    pub version_mask: Option<u32>,
    /// Connections at most. Each costs some 10 KB, and up to 1 MB while it floods.
    pub connections_max: usize,
    /// Connections from one address at most (IPv6: from one /64). A farm behind one address is
    /// usual.
    pub connections_per_address_max: usize,
    /// Connections of one account at most; the house's own machines are bounded by the total.
    pub connections_per_account_max: usize,
    /// From connecting to the first login at most.
    pub handshake_max: Duration,
    /// Silence at most.
    pub idle_max: Duration,
    /// One write at most, before the miner counts as one that does not read.
    pub write_max: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for the first extranonce.
    pub entropy: Arc<dyn Entropy>,
}

impl GatewayOptions {
    /// Usual settings: 20,000 connections, 4,000 from one address or account, a share in five
    /// seconds.
    #[must_use]
    pub fn new(
        listener: std::net::TcpListener,
        class_range: (Class, Class),
        start_class: Class,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> GatewayOptions {
        GatewayOptions {
            listener,
            class_range,
            start_class,
            share_interval: Duration::from_secs(5),
            version_mask: None,
            connections_max: 20_000,
            connections_per_address_max: 4_000,
            connections_per_account_max: 4_000,
            handshake_max: limits::HANDSHAKE_MAX,
            idle_max: limits::IDLE_MAX,
            write_max: limits::WRITE_MAX,
            clock,
            entropy,
        }
    }
}

/// A session as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The lane it works on.
    pub lane: LaneId,
    /// The machine of its first login.
    pub machine: MachineId,
    /// Whose work it does.
    pub owner: Owner,
    /// The login.
    pub user: String,
    /// Where from.
    pub peer: SocketAddr,
    /// What the miner calls itself, printable, at most [`limits::AGENT_BYTES_MAX`] characters.
    pub user_agent: String,
    /// The class in force.
    pub class: Class,
    /// Since when.
    pub connected_at: Timestamp,
    /// The last accepted share.
    pub last_share_at: Option<Timestamp>,
    /// Shares accepted.
    pub accepted: u64,
    /// Shares refused.
    pub rejected: u64,
    /// From the work of the last ten minutes.
    pub hashrate_estimate: Hashrate,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayTotals {
    /// Connections now.
    pub connections: u64,
    /// Connections turned away for a limit.
    pub turned_away: u64,
    /// Shares accepted.
    pub accepted: u64,
    /// Shares refused.
    pub rejected: u64,
}

/// Who is connected.
#[derive(Default)]
pub(crate) struct Registry {
    next: AtomicU64,
    sessions: Mutex<HashMap<u64, Option<SessionInfo>>>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    accounts: Mutex<HashMap<AccountId, usize>>,
    turned_away: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) rejected: AtomicU64,
}

/// A place in the registry; gives it up when dropped.
pub(crate) struct Seat {
    registry: Arc<Registry>,
    number: u64,
    address: IpAddr,
    /// Accounts that logged in here: as many as logins at most.
    accounts: Vec<AccountId>,
}

impl Seat {
    /// Counts this connection for the owner of a login; false when the owner has too many.
    pub(crate) fn claim(&mut self, owner: Owner, each: usize) -> bool {
        let Owner::Account(account) = owner else { return true };
        if self.accounts.contains(&account) {
            return true;
        }
        let mut accounts = lock(&self.registry.accounts);
        let count = accounts.entry(account).or_insert(0);
        let is_free = *count < each;
        if is_free {
            *count += 1;
            self.accounts.push(account);
        }
        is_free
    }

    pub(crate) fn update(&self, info: Option<SessionInfo>) {
        lock(&self.registry.sessions).insert(self.number, info);
    }

    pub(crate) fn count(&self, accepted: u64, rejected: u64) {
        self.registry.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.registry.rejected.fetch_add(rejected, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.number);
        give_back(&mut lock(&self.registry.addresses), &self.address);
        let mut accounts = lock(&self.registry.accounts);
        self.accounts.iter().for_each(|account| give_back(&mut accounts, account));
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    fn seat(self: &Arc<Self>, peer: SocketAddr, all: usize, each: usize) -> Option<Seat> {
        let address = network(peer.ip());
        let mut sessions = lock(&self.sessions);
        let mut addresses = lock(&self.addresses);
        let here = addresses.get(&address).copied().unwrap_or(0);
        if sessions.len() >= all || here >= each {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        sessions.insert(number, None);
        addresses.insert(address, here + 1);
        Some(Seat { registry: Arc::clone(self), number, address, accounts: Vec::new() })
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one customer has in IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

/// A running gateway. Dropping it ends all sessions; [`Gateway::shutdown`] also waits for them.
pub struct Gateway {
    address: SocketAddr,
    registry: Arc<Registry>,
    /// Sessions end when this is dropped.
    alive: watch::Sender<()>,
    ended: mpsc::Receiver<()>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// Begins to listen. Call it within the runtime.
    ///
    /// # Errors
    /// [`StratumError::Listen`] for an unusable socket, [`StratumError::Options`] for an empty
    /// class range.
    pub fn start(
        options: GatewayOptions,
        work: &LaneWork,
        machines: Arc<dyn Machines>,
    ) -> Result<Gateway, StratumError> {
        if options.class_range.0 > options.class_range.1 {
            return Err(StratumError::Options("the easiest class is harder than the hardest"));
        }
        options.listener.set_nonblocking(true).map_err(StratumError::Listen)?;
        let listener = TcpListener::from_std(options.listener).map_err(StratumError::Listen)?;
        let address = listener.local_addr().map_err(StratumError::Listen)?;
        let algorithm = work.algorithm();
        let mask = options.version_mask;
        let rules = SessionRules {
            algorithm,
            class_range: options.class_range,
            start_class: options.start_class,
            share_interval: options.share_interval,
            version_mask: mask.unwrap_or(SessionRules::default_version_mask(algorithm)),
            handshake_max: options.handshake_max,
            idle_max: options.idle_max,
        };
        let mut first = [0; limits::EXTRANONCE1_BYTES];
        options.entropy.fill(&mut first);
        let shared = Arc::new(Shared {
            rules: Arc::new(rules),
            work: work.clone(),
            machines,
            clock: options.clock,
            next_extranonce: AtomicU32::new(u32::from_be_bytes(first)),
            per_account_max: options.connections_per_account_max,
            write_max: options.write_max,
            complained_at: AtomicI64::new(0),
        });
        let registry = Arc::new(Registry::default());
        let (alive, alive_out) = watch::channel(());
        let (ended_in, ended) = mpsc::channel(1);
        let accept = Accept {
            listener,
            registry: Arc::clone(&registry),
            shared,
            all: options.connections_max,
            each: options.connections_per_address_max,
            alive: alive_out,
            ended: ended_in,
        };
        let accepting = tokio::spawn(accept.run());
        Ok(Gateway { address, registry, alive, ended, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sessions that have logged in, at most a second old.
    #[must_use]
    pub fn snapshot(&self) -> Vec<SessionInfo> {
        lock(&self.registry.sessions).values().flatten().cloned().collect()
    }

    /// Counters.
    #[must_use]
    pub fn totals(&self) -> GatewayTotals {
        GatewayTotals {
            connections: lock(&self.registry.sessions).len() as u64,
            turned_away: self.registry.turned_away.load(Ordering::Relaxed),
            accepted: self.registry.accepted.load(Ordering::Relaxed),
            rejected: self.registry.rejected.load(Ordering::Relaxed),
        }
    }

    /// Ends all sessions between batches and waits for them, five seconds at the most.
    pub async fn shutdown(self) {
        self.accepting.abort();
        let Gateway { alive, mut ended, .. } = self;
        drop(alive);
        // Ends when the last session has dropped its end.
        let _ = tokio::time::timeout(SHUTDOWN_MAX, ended.recv()).await;
    }
}

struct Accept {
    listener: TcpListener,
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    all: usize,
    each: usize,
    alive: watch::Receiver<()>,
    ended: mpsc::Sender<()>,
}

impl Accept {
    async fn run(mut self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // The gateway was dropped.
                _ = self.alive.changed() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.seat(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a miner's connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn seat(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(seat) = self.registry.seat(peer, self.all, self.each) else { return };
        let (shared, alive) = (Arc::clone(&self.shared), self.alive.clone());
        let ended = self.ended.clone();
        tokio::spawn(async move {
            connection::serve(stream, peer, seat, shared, alive).await;
            drop(ended);
        });
    }
}
