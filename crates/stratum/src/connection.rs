//! One connection: bytes to lines, lines to the session, its effects to log and node, its output to
//! the wire.
//!
//! The bound on what waits for a slow reader is one batch: nothing more is read until it is
//! written, and a write that takes longer than [`limits::WRITE_MAX`] ends the connection.

use crate::gateway::{Seat, SessionInfo};
use crate::lane::LaneWork;
use crate::limits;
use crate::machines::{Machines, Refused};
use crate::session::{CloseReason, Session, SessionRules, Step};
use bytes::{Buf as _, BytesMut};
use gruve_sharelog::{Durability, LogError};
use gruve_units::Clock;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Room made before a read: some tens of shares.
const READ_BYTES: usize = 4 << 10;

/// An output buffer that has grown beyond this (a large job) is given back.
const OUTPUT_KEEP_BYTES: usize = 64 << 10;

/// How long a login may be looked up.
const AUTHORIZE_MAX: Duration = Duration::from_secs(15);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) rules: Arc<SessionRules>,
    pub(crate) work: LaneWork,
    pub(crate) machines: Arc<dyn Machines>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Counts up from a random start: unique until 2^32 connections have come.
    pub(crate) next_extranonce: AtomicU32,
    pub(crate) per_account_max: usize,
    pub(crate) write_max: Duration,
    /// The second in which a failing log was last complained about.
    pub(crate) complained_at: AtomicI64,
}

/// Serves one miner until it or we end.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    shared: Arc<Shared>,
    mut alive: watch::Receiver<()>,
) {
    // Shares and replies are small and wanted at once; without it they only come later.
    let _ = stream.set_nodelay(true);
    let connected_at = shared.clock.now();
    let extranonce1 = shared.next_extranonce.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let session = Session::new(Arc::clone(&shared.rules), extranonce1, connected_at);
    let mut connection = Connection {
        stream,
        peer,
        seat,
        session,
        shared,
        accepted: Vec::new(),
        told: (0, 0),
        connected_at,
    };
    let ended = tokio::select! {
        ended = connection.run() => ended,
        _ = alive.changed() => Ended::Shutdown,
    };
    tracing::debug!(%peer, %ended, "a miner's connection ended");
}

/// Why a connection ended.
enum Ended {
    ByPeer,
    ByUs(CloseReason),
    Broken(std::io::Error),
    Shutdown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::ByPeer => f.write_str("the miner closed it"),
            Ended::ByUs(reason) => write!(f, "closed: {reason:?}"),
            Ended::Broken(e) => write!(f, "broken: {e}"),
            Ended::Shutdown => f.write_str("the gateway stops"),
        }
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    session: Session,
    shared: Arc<Shared>,
    /// Answers of the log; kept for its capacity.
    accepted: Vec<bool>,
    /// Counts already in the totals.
    told: (u64, u64),
    connected_at: gruve_units::Timestamp,
}

impl Connection {
    async fn run(&mut self) -> Ended {
        let mut buf = BytesMut::new();
        let mut jobs = self.shared.work.jobs();
        jobs.mark_changed();
        let mut tick = tokio::time::interval(Session::tick_interval());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            buf.reserve(READ_BYTES);
            let mut close = None;
            tokio::select! {
                read = self.stream.read_buf(&mut buf) => match read {
                    Ok(0) => return Ended::ByPeer,
                    Ok(_) => close = self.lines(&mut buf).await,
                    Err(e) => return Ended::Broken(e),
                },
                changed = jobs.changed() => {
                    if changed.is_err() {
                        return Ended::Shutdown;
                    }
                    let state = jobs.borrow_and_update().clone();
                    if let Some(state) = state {
                        self.session.work(state, self.shared.clock.now());
                    }
                }
                _ = tick.tick() => {
                    close = self.session.tick(self.shared.clock.now());
                    self.report();
                }
            }
            if let Err(ended) = self.flush().await {
                return ended;
            }
            if let Some(reason) = close {
                // The peer may be gone already.
                let _ = self.stream.shutdown().await;
                return Ended::ByUs(reason);
            }
        }
    }

    /// Takes all whole lines in the buffer as one batch.
    async fn lines(&mut self, buf: &mut BytesMut) -> Option<CloseReason> {
        let mut close = None;
        while let Some(end) = buf.iter().position(|b| *b == b'\n') {
            if end > limits::LINE_BYTES_MAX {
                close = Some(CloseReason::LongLine);
                break;
            }
            let now = self.shared.clock.now();
            let step = self.session.line(&buf[..end], now);
            buf.advance(end + 1);
            match step {
                Step::Continue => {}
                Step::Block(block) => self.shared.work.blocks().found(*block),
                Step::Authorize { user, password } => self.authorize(&user, &password).await,
                Step::Close(reason) => {
                    close = Some(reason);
                    break;
                }
            }
        }
        if close.is_none() && buf.len() > limits::LINE_BYTES_MAX {
            close = Some(CloseReason::LongLine);
        }
        self.settle().await;
        close
    }

    async fn authorize(&mut self, user: &str, password: &str) {
        let lane = self.shared.work.lane();
        let asked = self.shared.machines.authorize(lane, user, password);
        let mut outcome = tokio::time::timeout(AUTHORIZE_MAX, asked)
            .await
            .unwrap_or_else(|_| Err(Refused("the login could not be checked: try again".into())));
        if let Ok(who) = &outcome
            && !self.seat.claim(who.owner, self.shared.per_account_max)
        {
            outcome = Err(Refused("too many connections of this account".into()));
        }
        self.session.authorized(&outcome, password, self.shared.clock.now());
    }

    /// Writes the batch's shares to the log and lets the session answer.
    async fn settle(&mut self) {
        let log = self.shared.work.share_log();
        let shares = self.session.pending_shares();
        self.accepted.clear();
        let mut stored = Ok(());
        if !shares.is_empty() {
            stored = match log.append_shares(shares, &mut self.accepted) {
                Ok(position) if log.durability() == Durability::Fsync => log.synced(position).await,
                other => other.map(|_| ()),
            };
        }
        if let Err(error) = &stored {
            self.complain(error);
        }
        let answers = stored.is_ok().then_some(&self.accepted[..]);
        self.session.settle(answers, self.shared.clock.now());
        let (accepted, rejected) = self.session.counts();
        self.seat.count(accepted - self.told.0, rejected - self.told.1);
        self.told = (accepted, rejected);
    }

    /// Once a second for all connections together: a full disk must not fill another with
    /// complaints.
    fn complain(&self, error: &LogError) {
        let second = self.shared.clock.now().secs();
        if self.shared.complained_at.swap(second, Ordering::Relaxed) != second {
            tracing::error!(%error, "shares are refused: the log cannot take them");
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let output = self.session.output();
        if output.is_empty() {
            return Ok(());
        }
        let write = self.stream.write_all(output);
        match tokio::time::timeout(self.shared.write_max, write).await {
            Err(_) => return Err(Ended::ByUs(CloseReason::SlowReader)),
            Ok(Err(e)) => return Err(Ended::Broken(e)),
            Ok(Ok(())) => {}
        }
        output.clear();
        output.shrink_to(OUTPUT_KEEP_BYTES);
        Ok(())
    }

    /// Tells the registry how the session stands.
    fn report(&mut self) {
        let Some(who) = self.session.who() else { return };
        let (accepted, rejected) = self.session.counts();
        let info = SessionInfo {
            lane: self.shared.work.lane().clone(),
            machine: who.machine,
            owner: who.owner,
            user: self.session.user().to_owned(),
            peer: self.peer,
            user_agent: self.session.agent().to_owned(),
            class: self.session.class(),
            connected_at: self.connected_at,
            last_share_at: self.session.last_share_at(),
            accepted,
            rejected,
            hashrate_estimate: self.session.hashrate(self.shared.clock.now()),
        };
        self.seat.update(Some(info));
    }
}
