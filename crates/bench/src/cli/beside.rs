//! `gruve bench stratum beside`

use super::{V2Args, parse_span, resolve, this_program};
use crate::BenchError;
use crate::beside::BesideOptions;
use clap::Args;
use std::time::Duration;

/// `beside`
#[derive(Clone, Debug, Args)]
pub struct BesideArgs {
    /// The other server's port for V2, as `host:port`.
    pub target: String,
    /// What to call it.
    #[arg(long, default_value = "theirs")]
    pub name: String,
    /// How to speak to it; extended channels if not given.
    #[command(flatten)]
    pub v2: V2Args,
    /// Connections, each with one channel.
    #[arg(long, default_value_t = 100)]
    pub clients: usize,
    /// Shares without an answer on each connection, comma-separated: one row each.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pub in_flight: Vec<usize>,
    /// The logins at the other server; `{n}` becomes the connection's number.
    #[arg(long, default_value = "m{n}")]
    pub user: String,
    /// How often each server is measured at each row.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Before what is counted.
    #[arg(long, default_value = "1s", value_parser = parse_span)]
    pub warmup: Duration,
    /// What is counted of a round. Servers that steer the difficulty make shares rarer within a minute.
    #[arg(long, default_value = "5s", value_parser = parse_span)]
    pub duration: Duration,
    /// Shares to mine for each client before a run, where the difficulty asks for mining.
    #[arg(long, default_value_t = 256)]
    pub ahead: usize,
    /// The core that our own gateway is held to (Linux); hold the other server to it likewise.
    #[arg(long)]
    pub server_core: Option<usize>,
}

impl BesideArgs {
    pub(super) fn options(&self, leading: &[&str]) -> Result<BesideOptions, BenchError> {
        Ok(BesideOptions {
            program: this_program(leading)?,
            target: resolve(&self.target)?,
            name: self.name.clone(),
            user: self.user.clone(),
            v2: self.v2.or_extended(),
            clients: self.clients,
            in_flight: self.in_flight.clone(),
            rounds: self.rounds,
            warmup: self.warmup,
            duration: self.duration,
            ahead: self.ahead,
            server_core: self.server_core,
        })
    }
}
