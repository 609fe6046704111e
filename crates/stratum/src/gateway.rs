//! The gateway: listens, bounds connections, serves them in rounds.
//!
//! | module | for |
//! |---|---|
//! | this one | options, start, figures, stop |
//! | `registry` | who is connected, from where, of whom |
//! | `tally` | what is counted for those who watch |
//! | `arriving` | accepting, dealing out, logging in |
//! | `serving` | one thread's loop: events, commands, time |
//! | `round` | the phases of a round, many connections at a time |
//! | `connection`, `slab` | one connection; places for them |
//! | `guarded` | a session whose bugs end its own connection only |
//! | `known` | machines that brought good work before: not strangers where they come back |
//! | `handover` | leaving sockets and sessions to the next program |
//! | `turns` | who is visited before whom, and how many in a round |
//! | `solving`, `hashers` | hashing a round's candidates: at once, or on threads of their own |
//!
//! The runtime is used for what waits on others (logins, sending blocks); shares never leave the
//! loop's thread, except where hashing is slow.

mod arriving;
mod connection;
mod guarded;
mod handover;
mod hashers;
mod known;
mod registry;
mod round;
mod serving;
mod slab;
mod solving;
mod tally;
mod turns;

pub use handover::{HandOver, KeptConnection};
pub use tally::{ConnectionFigures, GatewayFigures};

use crate::agents::AgentRule;
use crate::error::StratumError;
use crate::limits;
use crate::machines::Machines;
use crate::places::ChannelPlaces;
use crate::prefixes::Prefixes;
use crate::protocol::Lane;
use crate::proxy::TrustedNetworks;
use crate::session::SessionRules;
use crate::start_classes::StartClasses;
use crate::tls::TlsServer;
use crate::v2::NoiseServer;
use arriving::Listener;
use gruve_sharelog::Owner;
use gruve_units::Timestamp;
use gruve_units::{Algorithm, Class, Clock, Duration, Entropy, Hashrate, LaneId, MachineId};
use handover::Left;
use hashers::Hashers;
use serving::{Command, Loop, Post, Shared};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc;
use tally::Tally;
use tokio::task::JoinHandle;

/// How long a loop that leaves or stops takes at the most: for hashes, and then for all else.
const ENDING_MAX: Duration = Duration::from_secs(limits::HASHED_OUT_MAX.as_secs() + 5);

/// How long a look at the sessions waits for a busy loop.
const SNAPSHOT_MAX: Duration = Duration::from_secs(1);

/// What is spoken on a listening socket.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ListenKind {
    /// Stratum V1 in the clear.
    #[default]
    V1,
    /// Stratum V1 within TLS, under this identity.
    V1Tls(Arc<TlsServer>),
    /// Stratum V2 within Noise, under this authority.
    V2(Arc<NoiseServer>),
    /// A protocol made for a test.
    #[cfg(test)]
    Planted(fn(Timestamp) -> Box<dyn crate::protocol::Protocol>),
}

/// One listening socket of a gateway.
pub struct Listening {
    /// Where miners connect.
    pub listener: std::net::TcpListener,
    /// What they speak.
    pub kind: ListenKind,
    /// The proxies that connections come through, each beginning with a PROXY protocol header;
    /// from elsewhere none is taken then. `None` where miners connect themselves.
    pub proxies: Option<TrustedNetworks>,
    /// The host and port under which miners know this listener: where those are asked to come back to
    /// that a restart cannot keep. `None` to ask them back to wherever they were.
    pub public: Option<(Arc<str>, u16)>,
}

impl Listening {
    /// Miners connect themselves, and come back to where they were.
    #[must_use]
    pub fn new(listener: std::net::TcpListener, kind: ListenKind) -> Listening {
        Listening { listener, kind, proxies: None, public: None }
    }
}

/// How a gateway is set up.
pub struct GatewayOptions {
    /// Where miners connect; at least one. They share limits, lane and logins.
    pub listeners: Vec<Listening>,
    /// The easiest and the hardest class.
    pub class_range: (Class, Class),
    /// The class to begin with.
    pub start_class: Class,
    /// How often a session should send a share.
    pub share_interval: Duration,
    /// Version bits that may be rolled; `None` for the algorithm's default.
    pub version_mask: Option<u32>,
    /// Threads that serve connections, at least one. One is enough for some 100,000 shares a
    /// second.
    pub threads: usize,
    /// Threads that hash where hashing is slow (scrypt, Ethash), at least one.
    pub hash_threads: usize,
    /// Connections at most, and at most [`handles_for_miners`]. Each costs some 2 KB idle; see [`limits`] for what one that floods may hold.
    pub connections_max: usize,
    /// Connections from one address at most (IPv6: from one /64). A farm behind one address is
    /// usual.
    pub connections_per_address_max: usize,
    /// Connections of one account at most, and as many V2 channels; the house's own machines are
    /// bounded by the totals.
    pub connections_per_account_max: usize,
    /// From connecting to the first login at most.
    pub handshake_max: Duration,
    /// Silence at most.
    pub idle_max: Duration,
    /// One write at most, before the miner counts as one that does not read.
    pub write_max: Duration,
    /// The file of the machines' classes; `None` to remember them only while it runs.
    pub start_classes: Option<std::path::PathBuf>,
    /// Miners of the program before this one, to go on with.
    pub kept: Vec<KeptConnection>,
    /// The first extranonce to give, where a program before has counted; else a random one.
    pub next_extranonce: Option<u32>,
    /// What is known of miners by their names, before [`crate::agents::KNOWN`].
    pub agents: Vec<AgentRule>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for the first extranonce.
    pub entropy: Arc<dyn Entropy>,
}

impl GatewayOptions {
    /// Usual settings: Stratum V1 in the clear, 20,000 connections, 4,000 from one address or
    /// account, a share in five seconds.
    #[must_use]
    pub fn new(
        listener: std::net::TcpListener,
        class_range: (Class, Class),
        start_class: Class,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> GatewayOptions {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        GatewayOptions {
            listeners: vec![Listening::new(listener, ListenKind::V1)],
            class_range,
            start_class,
            share_interval: Duration::from_secs(5),
            version_mask: None,
            threads: 1,
            hash_threads: cores.saturating_sub(1).max(1),
            connections_max: 20_000,
            connections_per_address_max: 4_000,
            connections_per_account_max: 4_000,
            handshake_max: limits::HANDSHAKE_MAX,
            idle_max: limits::IDLE_MAX,
            write_max: limits::WRITE_MAX,
            start_classes: None,
            kept: Vec::new(),
            next_extranonce: None,
            agents: Vec::new(),
            clock,
            entropy,
        }
    }

    fn rules(&self, algorithm: Algorithm, prefixes: &Arc<Prefixes>) -> SessionRules {
        let mut rules = SessionRules::new(algorithm, self.class_range, self.start_class);
        rules.share_interval = self.share_interval;
        rules.version_mask = self.version_mask.unwrap_or(rules.version_mask);
        rules.handshake_max = self.handshake_max;
        rules.idle_max = self.idle_max;
        rules.agents = self.agents.clone().into();
        rules.prefixes = Arc::clone(prefixes);
        let each = self.connections_per_account_max;
        rules.channels = Arc::new(ChannelPlaces::new(limits::V2_CHANNELS_TOTAL_MAX, each));
        rules
    }

    /// What all connections will share; its hashing threads run.
    fn share(
        &self,
        lane: Arc<dyn Lane>,
        machines: Arc<dyn Machines>,
    ) -> Result<Shared, StratumError> {
        let algorithm = lane.algorithm();
        let mut first = [0; limits::EXTRANONCE1_BYTES];
        self.entropy.fill(&mut first);
        let file = self.start_classes.as_deref();
        let classes = file.map_or_else(StartClasses::default, StartClasses::open);
        let first = self.next_extranonce.unwrap_or(u32::from_be_bytes(first));
        let rules = Arc::new(self.rules(algorithm, &Arc::new(Prefixes::from(first))));
        let ethash = matches!(algorithm, Algorithm::Ethash | Algorithm::Etchash)
            .then(|| crate::eth::Sessions::new(Arc::clone(&rules), self.entropy.as_ref()));
        Ok(Shared {
            rules,
            ethash,
            registry: Arc::default(),
            known: Arc::default(),
            tally: Tally::new(self.threads.max(1)),
            hashers: Hashers::start(algorithm, self.hash_threads).map_err(StratumError::Listen)?,
            lane,
            machines,
            classes: Arc::new(classes),
            clock: Arc::clone(&self.clock),
            runtime: tokio::runtime::Handle::current(),
            logins: Arc::new(tokio::sync::Semaphore::new(limits::LOGINS_AT_ONCE_MAX)),
            doors: self.listeners.iter().map(|l| l.public.clone()).collect(),
            all_max: self.connections_max.min(handles_for_miners()),
            per_address_max: self.connections_per_address_max,
            per_account_max: self.connections_per_account_max,
            write_max: self.write_max,
            complained_at: AtomicI64::new(0),
        })
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
    /// Connections that a bug of ours ended. Each is in the program's log with what is known of it.
    pub faults: u64,
}

/// A running gateway. Dropping it ends all sessions; [`Gateway::shutdown`] also waits for them.
pub struct Gateway {
    lane: LaneId,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    loops: Vec<Post>,
    threads: Vec<std::thread::JoinHandle<()>>,
    waking: JoinHandle<()>,
    classes: Arc<StartClasses>,
    saving: JoinHandle<()>,
    next_extranonce: Arc<Prefixes>,
}

impl Gateway {
    /// Begins to listen. Call it within the runtime, which looks logins up and sends blocks.
    ///
    /// # Errors
    /// [`StratumError::Listen`] for an unusable socket or when no thread can be had,
    /// [`StratumError::Options`] for an empty class range or no socket.
    pub fn start(
        options: GatewayOptions,
        lane: Arc<dyn Lane>,
        machines: Arc<dyn Machines>,
    ) -> Result<Gateway, StratumError> {
        if options.class_range.0 > options.class_range.1 {
            return Err(StratumError::Options("the easiest class is harder than the hardest"));
        }
        if options.listeners.is_empty() {
            return Err(StratumError::Options("there is nothing to listen on"));
        }
        let shared = Arc::new(options.share(lane, machines)?);
        let (classes, next_extranonce) =
            (Arc::clone(&shared.classes), Arc::clone(&shared.rules.prefixes));
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for listening in options.listeners {
            let listener = Listener::new(listening).map_err(StratumError::Listen)?;
            addresses.push(listener.address().map_err(StratumError::Listen)?);
            listeners.push(listener);
        }
        widen_file_table(&listeners, shared.all_max);
        let lane = shared.lane.id().clone();
        let waking_for = shared.lane.jobs();
        let (loops, threads) = start_loops(&shared, listeners, options.threads.max(1))?;
        for (post, kept) in loops.iter().cycle().zip(options.kept) {
            post.send(Command::Resume(kept));
        }
        let waking = tokio::spawn(wake_for_jobs(waking_for, loops.clone()));
        let saving = tokio::spawn(save_now_and_then(Arc::clone(&classes)));
        Ok(Gateway {
            lane,
            addresses,
            shared,
            loops,
            threads,
            waking,
            classes,
            saving,
            next_extranonce,
        })
    }

    /// The lane it serves.
    #[must_use]
    pub fn lane(&self) -> &LaneId {
        &self.lane
    }

    /// Where it listens: the first socket.
    ///
    /// # Panics
    /// Never: a gateway has at least one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where it listens, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The sessions that have logged in, now. Asks the loops and waits for them, between two
    /// rounds (milliseconds, a second at the most).
    #[must_use]
    pub fn snapshot(&self) -> Vec<SessionInfo> {
        let (answer, answers) = mpsc::channel();
        for post in &self.loops {
            post.send(Command::Snapshot(answer.clone()));
        }
        drop(answer);
        let mut all = Vec::new();
        while let Ok(mut some) = answers.recv_timeout(SNAPSHOT_MAX) {
            all.append(&mut some);
        }
        all
    }

    /// Shows a message to whoever watches the machines: to all of this gateway, or to those of one
    /// login. Gives to how many it was sent; those that are behind with reading, and protocols without
    /// words for it, are left out. Longer than [`limits::MESSAGE_CHARS_MAX`] it is cut.
    #[must_use]
    pub fn tell(&self, to: Option<&str>, text: &str) -> usize {
        let text: Arc<str> =
            text.chars().take(limits::MESSAGE_CHARS_MAX).collect::<String>().into();
        let to: Option<Arc<str>> = to.map(Into::into);
        let (told, counts) = mpsc::channel();
        for post in &self.loops {
            let (text, to, told) = (Arc::clone(&text), to.clone(), told.clone());
            post.send(Command::Tell { text, to, told });
        }
        drop(told);
        let mut count = 0;
        while let Ok(some) = counts.recv_timeout(SNAPSHOT_MAX) {
            count += some;
        }
        count
    }

    /// Counters.
    #[must_use]
    pub fn totals(&self) -> GatewayTotals {
        self.shared.registry.totals()
    }

    /// All that is counted, and how it stands. Asks no loop.
    #[must_use]
    pub fn figures(&self) -> GatewayFigures {
        let Shared { lane, registry, rules, hashers, tally, .. } = &*self.shared;
        let count = |n: usize| n as u64;
        GatewayFigures {
            turned_away: registry.turned_away(),
            hostile_addresses: count(registry.hostile_addresses()),
            syncs: lane.share_log().sync_times(),
            shares_held: count(rules.seen.held()),
            shares_held_max: count(rules.seen.max()),
            hashes_waiting: count(hashers.waiting()),
            ..tally.read(lane.id().clone())
        }
    }

    /// Stops serving and leaves the sockets, and every session that can go on, to another gateway.
    pub async fn hand_over(self) -> HandOver {
        let (to, from) = mpsc::channel();
        for post in &self.loops {
            post.send(Command::Leave(to.clone()));
        }
        drop(to);
        let collect = move || {
            let mut all = HandOver::default();
            while let Ok(left) = from.recv_timeout(ENDING_MAX) {
                let Left { listeners, connections } = left;
                all.listeners.extend(listeners);
                all.connections.extend(connections);
            }
            all
        };
        let mut all = tokio::task::spawn_blocking(collect).await.unwrap_or_default();
        all.next_extranonce = self.next_extranonce.position();
        self.shutdown().await;
        all
    }

    /// Ends all sessions between rounds and waits for them: usually no time, fifteen seconds at the most where shares that
    /// were taken are hashed still.
    pub async fn shutdown(mut self) {
        let threads = std::mem::take(&mut self.threads);
        let classes = Arc::clone(&self.classes);
        drop(self);
        let ended = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // One that panicked has ended, too.
                let _ = thread.join();
            }
            save(&classes);
        });
        let _ = tokio::time::timeout(ENDING_MAX, ended).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.waking.abort();
        self.saving.abort();
        for post in &self.loops {
            post.send(Command::Stop);
        }
    }
}

/// Writes the machines' classes down about once a minute, if they have changed.
async fn save_now_and_then(classes: Arc<StartClasses>) {
    loop {
        tokio::time::sleep(limits::CLASSES_SAVED_EVERY).await;
        let classes = Arc::clone(&classes);
        // Only a panic or the runtime's end keeps it from ending.
        let _ = tokio::task::spawn_blocking(move || save(&classes)).await;
    }
}

fn save(classes: &StartClasses) {
    if let Err(error) = classes.save() {
        tracing::warn!(%error, "the machines' classes cannot be written down");
    }
}

/// File handles that this process may use for miners, all lanes together: what the system allows it
/// less [`limits::HANDLES_RESERVED`] for nodes, database, log and pages.
#[must_use]
pub fn handles_for_miners() -> usize {
    use rustix::process::{Resource, getrlimit};
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(limits::HANDLES_RESERVED).max(1)
}

/// Gives the table of open files places for all connections. Linux doubles it when it is full, and while
/// a process has several threads the one that asks waits for all cores to have passed a quiet state: the
/// loop, in the middle of a storm of miners.
fn widen_file_table(listeners: &[Listener], connections: usize) {
    let last = connections.min(limits::FILE_TABLE_MAX).saturating_sub(1);
    let any = listeners.first().map(|listener| &listener.socket);
    if let (Some(any), Ok(last)) = (any, i32::try_from(last)) {
        // A handle with that number makes it so long, and it stays so. Refused: then it grows later.
        let _ = rustix::io::fcntl_dupfd_cloexec(any, last);
    }
}

/// The first loop accepts and deals connections out to all.
fn start_loops(
    shared: &Arc<Shared>,
    listeners: Vec<Listener>,
    count: usize,
) -> Result<(Vec<Post>, Vec<std::thread::JoinHandle<()>>), StratumError> {
    let mut loops = Vec::new();
    let mut posts = Vec::new();
    for _ in 0..count {
        let one = Loop::new(Arc::clone(shared)).map_err(StratumError::Listen)?;
        posts.push(one.post());
        loops.push(one);
    }
    let mut listeners = Some(listeners);
    let mut threads = Vec::new();
    for (n, mut one) in loops.into_iter().enumerate() {
        one.deal_to(n, posts.clone());
        if let Some(listeners) = listeners.take() {
            one.listen(listeners).map_err(StratumError::Listen)?;
        }
        let name = format!("stratum-{}-{n}", shared.lane.id());
        let thread = std::thread::Builder::new().name(name).spawn(move || one.run());
        threads.push(thread.map_err(StratumError::Listen)?);
    }
    Ok((posts, threads))
}

/// Wakes the loops when there is a new job.
async fn wake_for_jobs(
    mut jobs: tokio::sync::watch::Receiver<Option<crate::protocol::Work>>,
    loops: Vec<Post>,
) {
    loop {
        let changed = jobs.changed().await;
        loops.iter().for_each(Post::wake);
        if changed.is_err() {
            return;
        }
    }
}
