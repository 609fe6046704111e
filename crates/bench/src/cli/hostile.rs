//! `gruve bench stratum hostile`

use super::{TargetArgs, V2Args, parse_span, resolve, this_program};
use crate::BenchError;
use crate::child::{Doors, Server};
use crate::fleet::FleetOptions;
use crate::hostile::{HostileOptions, HostileReport, hostile};
use crate::mix::Mix;
use crate::submit::SubmitOptions;
use crate::swarm::Attack;
use clap::Args;
use std::time::Duration;

/// Honest shares a second.
const RATE: u64 = 2_000;
const ETHASH_RATE: u64 = 10;

/// Our own Ethash lane's class: a fourth of all hashes are shares. At an easier one what attackers did not hash would be
/// good for the most part, at a harder one the honest would mine for minutes.
const ETHASH_CLASS: &str = "2";

/// `hostile`
#[derive(Clone, Debug, Args)]
pub struct HostileArgs {
    /// The server, as `host:port`; a gateway of our own if not given, whose log is then held against
    /// what was acknowledged.
    pub target: Option<String>,
    /// Honest connections.
    #[arg(long, default_value_t = 50)]
    pub clients: usize,
    /// Honest shares a second, all together; 2,000 if not given, and 10 on an Ethash lane, where one core checks some 200.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Attacking connections of each kind.
    #[arg(long, default_value_t = 20)]
    pub each: usize,
    /// Which attacks, comma-separated: slow-loris, half-open, never-read, flood, long-line, duplicates,
    /// garbage, churn, good-flood, tls-handshakes, tls-garbage, v2-handshakes, v2-garbage, and on an Ethash lane
    /// worthless, rates. All that the lane and its ports have if not given.
    #[arg(long, value_delimiter = ',')]
    pub attacks: Vec<Attack>,
    /// The lane is of the Ethash family: honest and hostile speak its three dialects in turn.
    #[arg(long)]
    pub ethash: bool,
    /// The server's port for V1 over TLS, as `host:port`; our own gateway has one.
    #[arg(long, value_name = "HOST:PORT", requires = "target")]
    pub tls: Option<String>,
    /// The server's port for V2, as `host:port`; our own gateway has one.
    #[arg(long, value_name = "HOST:PORT", requires = "target")]
    pub v2: Option<String>,
    /// The honest login; `{n}` becomes the connection's number.
    #[arg(long, default_value = "house.m{n}")]
    pub user: String,
    /// The honest login beside the swarm; as before if not given. Under another they are newcomers there: a server may serve machines that it
    /// knows before those.
    #[arg(long, value_name = "USER")]
    pub beside_user: Option<String>,
    /// The attackers' login.
    #[arg(long, default_value = "evil.m{n}")]
    pub hostile_user: String,
    /// The password of all.
    #[arg(long, default_value = "x")]
    pub password: String,
    /// Before what is counted.
    #[arg(long, default_value = "2s", value_parser = parse_span)]
    pub warmup: Duration,
    /// What is counted, once alone and once beside the swarm.
    #[arg(long, default_value = "20s", value_parser = parse_span)]
    pub duration: Duration,
    /// The core that our own gateway is held to (Linux).
    #[arg(long)]
    pub server_core: Option<usize>,
}

impl HostileArgs {
    pub(super) fn run(&self, leading: &[&str]) -> Result<HostileReport, BenchError> {
        let mut own = match &self.target {
            Some(_) => None,
            None => {
                let how: &[&str] = match self.ethash {
                    true => &["gateway", "--ethash", "--class", ETHASH_CLASS],
                    false => &["gateway", "--encrypted"],
                };
                let mut arguments: Vec<_> = how.iter().map(|a| (*a).to_owned()).collect();
                let core = self.server_core.map(|c| c.to_string());
                arguments.extend(core.into_iter().flat_map(|c| ["--core".to_owned(), c]));
                Some(Server::start(&this_program(leading)?, &arguments)?)
            }
        };
        let target = own.as_ref().map(|s| s.address().to_string()).or(self.target.clone());
        let target = TargetArgs {
            target: target.unwrap_or_default(),
            clients: self.clients,
            user: self.user.clone(),
            password: self.password.clone(),
            first_source: 2,
            v2: V2Args::default(),
        };
        let rate = self.rate.unwrap_or(if self.ethash { ETHASH_RATE } else { RATE });
        let ahead = match self.ethash {
            // All that the run needs, because hashing within it would be the limit.
            true => {
                let seconds = (self.warmup + self.duration).as_secs() + 1;
                usize::try_from(rate * seconds).unwrap_or(usize::MAX) / self.clients.max(1) + 1
            }
            false => 256,
        };
        let honest = SubmitOptions {
            fleet: FleetOptions { is_ethash: self.ethash, ..target.fleet()? },
            clients: self.clients,
            in_flight: 1,
            rate: Some(rate),
            warmup: self.warmup,
            duration: self.duration,
            mix: Mix::default(),
            ahead,
        };
        let at = |name: &Option<String>| name.as_deref().map(resolve).transpose();
        let doors = match &own {
            Some(own) => own.doors(),
            None => Doors { tls: at(&self.tls)?, v2: at(&self.v2)? },
        };
        let mut attacks = self.attacks.clone();
        if attacks.is_empty() {
            let has = |a: &&Attack| a.target(&honest.fleet, doors).is_some();
            attacks.extend(Attack::ALL.iter().filter(has));
        }
        let mut report = hostile(&HostileOptions {
            honest,
            beside_user: self.beside_user.clone(),
            hostile_user: self.hostile_user.clone(),
            attacks,
            each: self.each,
            doors,
        })?;
        report.counted = own.as_mut().map(|server| server.ask("count house")).transpose()?;
        Ok(report)
    }
}
