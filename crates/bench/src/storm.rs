//! Many connections at once: a farm whose power comes back.
//!
//! Connections are begun evenly over the given time, whether or not the server keeps up. It is over
//! when every one of them mines: logged in, given a job, and a share of its own acknowledged.

use crate::BenchError;
use crate::connection::{Connection, Seen};
use crate::fleet::{Driver, Fleet, FleetOptions, nanos};
use crate::histogram::{Histogram, Quantiles};
use crate::mix::Kind;
use crate::sockets::now_ns;
use crate::wire::Outcome;
use serde::Serialize;
use std::time::Duration;

/// A storm.
#[derive(Clone, Debug)]
pub struct StormOptions {
    /// Who connects, and as whom.
    pub fleet: FleetOptions,
    /// How many.
    pub clients: usize,
    /// Within which time.
    pub within: Duration,
    /// When it is over at the latest.
    pub timeout: Duration,
}

/// What became of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StormReport {
    /// Connections.
    pub clients: usize,
    /// Seconds until the last was begun.
    pub begun_seconds: f64,
    /// Seconds until all mined, or until it was given up.
    pub seconds: f64,
    /// Connections whose share was acknowledged.
    pub mining: usize,
    /// Connections that were closed on us.
    pub closed: usize,
    /// Why, from the first.
    pub closed_because: Option<String>,
    /// Shares refused.
    pub refused: u64,
    /// From a connection's beginning to the answer to its share.
    pub to_first_share: Quantiles,
    /// Shares acknowledged: what the server's log must hold.
    pub acknowledged: u64,
}

/// Storms a server.
///
/// # Errors
/// When connections cannot be begun.
#[allow(clippy::cast_precision_loss)] // for display
pub fn storm(options: &StormOptions) -> Result<StormReport, BenchError> {
    let mut fleet = Fleet::new(options.fleet.clone())?;
    let mut first_shares = FirstShares::default();
    let begun = now_ns();
    let give_up = begun + nanos(options.timeout);
    let span = u128::from(nanos(options.within).max(1));
    let mut all_begun = begun;
    loop {
        let now = now_ns();
        let due = u128::from(now - begun) * options.clients as u128 / span;
        let due = usize::try_from(due).unwrap_or(usize::MAX).min(options.clients);
        while fleet.connections.len() < due {
            fleet.open_one()?;
            all_begun = now;
        }
        let settled = first_shares.answered + fleet.closed();
        if (fleet.connections.len() == options.clients && settled >= options.clients)
            || now >= give_up
        {
            break;
        }
        fleet.turn(Duration::from_millis(1), &mut first_shares)?;
    }
    Ok(StormReport {
        clients: options.clients,
        begun_seconds: (all_begun - begun) as f64 / 1e9,
        seconds: (now_ns() - begun) as f64 / 1e9,
        mining: first_shares.answered - usize::try_from(first_shares.refused).unwrap_or(0),
        closed: fleet.closed(),
        closed_because: fleet.connections.iter().find_map(|c| c.ended.clone()),
        refused: first_shares.refused,
        to_first_share: first_shares.times.quantiles(),
        acknowledged: first_shares.times.quantiles().count,
    })
}

/// Sends one share on every connection's first job.
#[derive(Default)]
struct FirstShares {
    answered: usize,
    refused: u64,
    times: Histogram,
}

impl Driver for FirstShares {
    fn seen(&mut self, connection: &mut Connection, seen: Seen) {
        match seen {
            Seen::Job if !connection.has_submitted() => {
                connection.submit(Kind::Accepted, connection.heard_ns);
            }
            Seen::Answer { reply, .. } => {
                self.answered += 1;
                if reply.outcome == Outcome::Accepted {
                    let since = connection.heard_ns.saturating_sub(connection.begun_ns);
                    self.times.record(since);
                } else {
                    self.refused += 1;
                }
            }
            Seen::Job | Seen::Stray => {}
        }
    }
}
