//! What a gateway counts of itself, for those who watch it.
//!
//! Counted where it happens, by threads that never wait for each other; read at any time without
//! asking the loops. All of it has a fixed size, whoever connects: nothing here is by machine,
//! account or address (those are in [`super::SessionInfo`]).

use super::ListenKind;
use super::connection::Ended;
use crate::session::{CloseReason, Refusal, reply};
use gruve_units::{Histogram, HistogramCounts, LaneId, TIME_BOUNDS_NS};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps for shares in a round: up to what one holds ([`crate::limits::CANDIDATES_PER_ROUND_MAX`]).
const ROUND_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

const KINDS: &[&str] = &["v1", "v1_tls", "v2"];

const REFUSALS: &[&str] = &[
    "duplicate",
    "low",
    "malformed",
    "not_stored",
    "not_subscribed",
    "ntime",
    "sealed",
    "stale",
    "too_many",
    "unauthorised",
    "unknown_job",
];

const ENDINGS: &[&str] = &[
    "bad_lines",
    "bad_shares",
    "broken",
    "crowded",
    "unproven",
    "fault",
    "garbled",
    "handshake",
    "http",
    "idle",
    "logins",
    "long_line",
    "peer",
    "proxy_header",
    "setup",
    "shutdown",
    "slow_reader",
];

pub(super) const TURNED_AWAY: &[&str] = &["address", "full", "hostile", "proxy"];
const LOGINS: &[&str] = &["accepted", "account_full", "failed", "refused"];

/// Counts under fixed names.
#[derive(Debug)]
pub(super) struct Named {
    names: &'static [&'static str],
    counts: Box<[AtomicU64]>,
}

impl Named {
    pub(super) fn new(names: &'static [&'static str]) -> Named {
        Named { names, counts: names.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn add(&self, name: &str) {
        let place = self.names.iter().position(|n| *n == name);
        debug_assert!(place.is_some(), "{name} has its place");
        if let Some(count) = place.and_then(|p| self.counts.get(p)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.iter().map(|c| c.load(Ordering::Relaxed));
        self.names.iter().copied().zip(counts).collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().map(|c| c.load(Ordering::Relaxed)).sum()
    }
}

/// The counts of one gateway, shared by its loops.
#[derive(Debug)]
pub(super) struct Tally {
    opened: Named,
    /// By the kind that ended.
    gone: Named,
    /// By why.
    ended: Named,
    logins: Named,
    accepted: AtomicU64,
    refused: Named,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    rounds: Histogram,
    answers: Histogram,
    jobs_given: Histogram,
    appends: Histogram,
    pub(super) jobs_forgotten: AtomicU64,
    /// Nanoseconds at work, loop by loop.
    busy: Box<[AtomicU64]>,
}

impl Tally {
    pub(super) fn new(threads: usize) -> Tally {
        Tally {
            opened: Named::new(KINDS),
            gone: Named::new(KINDS),
            ended: Named::new(ENDINGS),
            logins: Named::new(LOGINS),
            accepted: AtomicU64::new(0),
            refused: Named::new(REFUSALS),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            rounds: Histogram::new(ROUND_BOUNDS),
            answers: Histogram::new(TIME_BOUNDS_NS),
            jobs_given: Histogram::new(TIME_BOUNDS_NS),
            appends: Histogram::new(TIME_BOUNDS_NS),
            jobs_forgotten: AtomicU64::new(0),
            busy: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn open(&self, kind: Kind) {
        self.opened.add(kind.name());
    }

    pub(super) fn end(&self, kind: Kind, why: &Ended) {
        self.gone.add(kind.name());
        self.ended.add(ending(why));
    }

    pub(super) fn login(&self, outcome: LoginOutcome) {
        self.logins.add(outcome.name());
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refused.add(reason(refusal));
    }

    /// So many shares of a round are in the log.
    pub(super) fn accept(&self, shares: u64) {
        self.accepted.fetch_add(shares, Ordering::Relaxed);
    }

    /// A round hashed so many shares.
    pub(super) fn round(&self, shares: usize) {
        self.rounds.add(shares as u64, 1);
    }

    /// So many submits were answered this long after their bytes were seen.
    pub(super) fn answer(&self, took: Duration, submits: usize) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.answers.add(ns, submits as u64);
    }

    /// A job reached the last connection of a loop this long after it was made.
    pub(super) fn job_given(&self, took: Duration) {
        self.jobs_given.add_time(took);
    }

    /// A round waited this long for the log.
    pub(super) fn append(&self, took: Duration) {
        self.appends.add_time(took);
    }

    pub(super) fn worked(&self, thread: usize, time: Duration) {
        if let Some(busy) = self.busy.get(thread) {
            busy.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// What was counted; the rest of the figures is the caller's.
    pub(super) fn read(&self, lane: LaneId) -> GatewayFigures {
        let gone = self.gone.read();
        let connections = self.opened.read().into_iter().zip(gone);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        GatewayFigures {
            lane,
            // Opened is read after gone, so that nobody has left who never came.
            connections: connections
                .map(|((kind, opened), (_, gone))| ConnectionFigures {
                    kind,
                    opened,
                    now: opened.saturating_sub(gone),
                })
                .collect(),
            ended: self.ended.read(),
            turned_away: Vec::new(),
            hostile_addresses: 0,
            logins: self.logins.read(),
            accepted: load(&self.accepted),
            refused: self.refused.read(),
            bytes_in: load(&self.bytes_in),
            bytes_out: load(&self.bytes_out),
            rounds: self.rounds.read(),
            answers: self.answers.read(),
            jobs_given: self.jobs_given.read(),
            appends: self.appends.read(),
            syncs: HistogramCounts::default(),
            jobs_forgotten: load(&self.jobs_forgotten),
            shares_held: 0,
            shares_held_max: 0,
            hashes_waiting: 0,
            busy: self.busy.iter().map(|b| Duration::from_nanos(load(b))).collect(),
        }
    }
}

/// A gateway's counts since it started, and how it stands now.
///
/// Read while it works: counts that belong together may differ by what came between.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayFigures {
    /// Its lane.
    pub lane: LaneId,
    /// By what is spoken: `v1` (on a lane of the Ethash family its dialects), `v1_tls`, `v2`.
    pub connections: Vec<ConnectionFigures>,
    /// Connections that ended, by why.
    pub ended: Vec<(&'static str, u64)>,
    /// Connections that were not taken, by why.
    pub turned_away: Vec<(&'static str, u64)>,
    /// Addresses with hostile closes that are not yet forgotten.
    pub hostile_addresses: u64,
    /// Logins, by what became of them.
    pub logins: Vec<(&'static str, u64)>,
    /// Shares accepted: as many as were written to the log.
    pub accepted: u64,
    /// Shares refused, by why.
    pub refused: Vec<(&'static str, u64)>,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes of what was said to miners, before encryption.
    pub bytes_out: u64,
    /// Shares hashed together, one entry a round that had any.
    pub rounds: HistogramCounts,
    /// Nanoseconds from the moment that a submit's bytes were seen to the moment that its answer was
    /// handed to the system, for hashed shares.
    pub answers: HistogramCounts,
    /// Nanoseconds from a job's making to its last connection, one entry a job and loop.
    pub jobs_given: HistogramCounts,
    /// Nanoseconds that a round waited for the log.
    pub appends: HistogramCounts,
    /// Nanoseconds that the log's syncs took.
    pub syncs: HistogramCounts,
    /// Jobs forgotten early, because too many shares had to be told apart.
    pub jobs_forgotten: u64,
    /// Shares remembered to tell repeated ones, now; 0 on lanes of the Ethash family, whose memory is
    /// bounded by header hash.
    pub shares_held: u64,
    /// How many they may be.
    pub shares_held_max: u64,
    /// Shares that wait for the hashing threads.
    pub hashes_waiting: u64,
    /// Time at work since the start, loop by loop.
    pub busy: Vec<Duration>,
}

/// Connections of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// What is spoken.
    pub kind: &'static str,
    /// Since the start.
    pub opened: u64,
    /// Open now.
    pub now: u64,
}

/// What a connection speaks, in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V1,
    V1Tls,
    V2,
}

impl Kind {
    pub(super) fn of(kind: &ListenKind) -> Kind {
        match kind {
            ListenKind::V1 => Kind::V1,
            ListenKind::V1Tls(_) => Kind::V1Tls,
            ListenKind::V2(_) => Kind::V2,
            #[cfg(test)]
            ListenKind::Planted(_) => Kind::V1,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::V1 => "v1",
            Kind::V1Tls => "v1_tls",
            Kind::V2 => "v2",
        }
    }
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginOutcome {
    Accepted,
    /// Its account has too many connections.
    AccountFull,
    Refused,
    /// It could not be looked up in time.
    Failed,
}

impl LoginOutcome {
    const fn name(self) -> &'static str {
        match self {
            LoginOutcome::Accepted => "accepted",
            LoginOutcome::AccountFull => "account_full",
            LoginOutcome::Refused => "refused",
            LoginOutcome::Failed => "failed",
        }
    }
}

/// A refusal in a word.
fn reason(refusal: Refusal) -> &'static str {
    match (refusal.code, refusal) {
        (_, reply::NOT_STORED) => "not_stored",
        (_, reply::TOO_MANY) => "too_many",
        (_, reply::NTIME_RANGE) => "ntime",
        (_, reply::NO_SUCH_JOB) => "unknown_job",
        (_, reply::SEALED) => "sealed",
        (21, _) => "stale",
        (22, _) => "duplicate",
        (23, _) => "low",
        (24, _) => "unauthorised",
        (25, _) => "not_subscribed",
        _ => "malformed",
    }
}

/// An end in a word.
fn ending(why: &Ended) -> &'static str {
    match why {
        Ended::ByPeer => "peer",
        Ended::Broken(_) => "broken",
        Ended::Garbled(_) => "garbled",
        Ended::Proxied(_) => "proxy_header",
        Ended::Crowded => "crowded",
        Ended::Unproven => "unproven",
        Ended::Shutdown => "shutdown",
        Ended::ByUs(reason) => match reason {
            CloseReason::Http => "http",
            CloseReason::BadLines => "bad_lines",
            CloseReason::LongLine => "long_line",
            CloseReason::Setup => "setup",
            CloseReason::Handshake => "handshake",
            CloseReason::Logins => "logins",
            CloseReason::Idle => "idle",
            CloseReason::BadShares => "bad_shares",
            CloseReason::SlowReader => "slow_reader",
            CloseReason::Fault => "fault",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_and_every_end_has_its_place() {
        for refusal in [
            reply::SHAPE,
            reply::EXTRANONCE,
            reply::NTIME,
            reply::NTIME_RANGE,
            reply::NONCE,
            reply::VERSION,
            reply::TOO_MANY,
            reply::NOT_STORED,
            reply::NO_SUCH_JOB,
            reply::STALE,
            reply::SEALED,
            reply::DUPLICATE,
            reply::LOW,
            reply::UNAUTHORISED,
            reply::NOT_SUBSCRIBED,
        ] {
            assert!(REFUSALS.contains(&reason(refusal)), "{refusal:?}");
        }
        for why in [
            CloseReason::Http,
            CloseReason::BadLines,
            CloseReason::LongLine,
            CloseReason::Setup,
            CloseReason::Handshake,
            CloseReason::Logins,
            CloseReason::Idle,
            CloseReason::BadShares,
            CloseReason::SlowReader,
            CloseReason::Fault,
        ] {
            assert!(ENDINGS.contains(&ending(&Ended::ByUs(why))), "{why:?}");
        }
        let broken = Ended::Broken(std::io::ErrorKind::Other.into());
        for why in [Ended::ByPeer, broken, Ended::Crowded, Ended::Unproven, Ended::Shutdown] {
            assert!(ENDINGS.contains(&ending(&why)), "{why:?}");
        }
        for kind in [Kind::V1, Kind::V1Tls, Kind::V2] {
            assert!(KINDS.contains(&kind.name()));
        }
    }

    #[test]
    fn a_tally_is_of_one_size_whatever_is_counted() {
        let tally = Tally::new(2);
        let before = tally.read("btc".parse().unwrap());
        for n in 0..10_000 {
            tally.open(Kind::V2);
            tally.refuse(reply::LOW);
            tally.answer(Duration::from_micros(n), 3);
        }
        let after = tally.read("btc".parse().unwrap());
        assert_eq!(before.refused.len(), after.refused.len());
        assert_eq!(before.answers.counts.len(), after.answers.counts.len());
        assert_eq!(after.answers.total(), 30_000);
        assert_eq!(after.connections[2].now, 10_000);
    }
}
