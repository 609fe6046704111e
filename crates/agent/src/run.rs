//! The agent's round: ask every machine, put what they said on disk, tell the house what it has not.

use crate::api::CgMiner;
use crate::braiins::BraiinsOs;
use crate::config::{AgentConfig, Api, MachineAddress};
use crate::http::{House, HouseError};
use crate::spool::Spool;
use crate::{Fault, Vendor};
use futures_util::stream::{self, StreamExt as _};
use gruve_farm::{Report, SAMPLES_MAX, Sample};
use gruve_units::Clock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Machines asked at the same time: their answers are small, and slow ones must not hold up the others.
const ASKED_AT_ONCE: usize = 64;

/// Reports sent in one round at most: after a long cut the rest goes in the next ones.
const REPORTS_PER_ROUND: usize = 200;

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The spool's disk.
    #[error("the spool cannot be used: {0}")]
    Spool(#[from] std::io::Error),
    /// A file of the configuration.
    #[error("{}: {why}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A login of no firmware.
    #[cfg(feature = "asic-rs")]
    #[error(transparent)]
    Login(#[from] crate::asic::UnknownFirmware),
    /// The house's address or authorities.
    #[error(transparent)]
    House(#[from] HouseError),
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Machines that answered.
    pub answered: usize,
    /// Machines that did not.
    pub silent: usize,
    /// Samples that the house has taken in this round.
    pub sent: u64,
    /// Samples that are still on their way.
    pub waiting: u64,
}

/// An agent. See [`run`].
pub struct Agent {
    machines: Vec<MachineAddress>,
    /// Who asks machines with no vendor of their own below.
    vendor: Arc<dyn Vendor>,
    others: BTreeMap<Api, Arc<dyn Vendor>>,
    house: House,
    spool: Spool,
    clock: Arc<dyn Clock>,
    /// What the house expects; `None` until it has said so in this life.
    expected: Option<u64>,
}

impl Agent {
    /// An agent over its parts.
    #[must_use]
    pub fn new(
        machines: Vec<MachineAddress>,
        vendor: Arc<dyn Vendor>,
        house: House,
        spool: Spool,
        clock: Arc<dyn Clock>,
    ) -> Agent {
        let others = BTreeMap::new();
        Agent { machines, vendor, others, house, spool, clock, expected: None }
    }

    /// The same, with somebody else asking the machines that speak an API.
    #[must_use]
    pub fn with(mut self, api: Api, vendor: Arc<dyn Vendor>) -> Agent {
        self.others.insert(api, vendor);
        self
    }

    /// One round. That the house cannot be told is no error: it is told in a later one.
    ///
    /// # Errors
    /// [`AgentError::Spool`].
    pub async fn round(&mut self) -> Result<Round, AgentError> {
        let samples = self.ask().await;
        let answered = samples.iter().filter(|s| s.said.is_some()).count();
        let silent = samples.len() - answered;
        // Numbers must not be given before the house has said where it is, if a spool was lost; but what
        // was read counts more than that.
        if self.expected.is_none() {
            self.learn_place().await?;
        }
        self.spool.append(samples)?;
        let sent = self.tell().await?;
        let waiting = self.spool.next() - self.expected.unwrap_or(0).min(self.spool.next());
        Ok(Round { answered, silent, sent, waiting })
    }

    async fn ask(&self) -> Vec<Sample> {
        let one = |machine: MachineAddress| {
            let vendor = self.others.get(&machine.api).unwrap_or(&self.vendor).clone();
            let clock = self.clock.clone();
            async move {
                let said = vendor.ask(&machine.address).await;
                let (said, fault) = match said {
                    Ok(said) => (Some(said), None),
                    Err(fault) => (None, Some(Fault::to_string(&fault))),
                };
                Sample { seq: 0, at_us: clock.now().0, serial: machine.serial, said, fault }
            }
        };
        let all = stream::iter(self.machines.clone()).map(one);
        all.buffer_unordered(ASKED_AT_ONCE).collect().await
    }

    async fn learn_place(&mut self) -> Result<(), AgentError> {
        match self.house.next().await {
            Ok(next) => {
                self.expected = Some(next);
                self.spool.confirmed(next)?;
            }
            Err(e) => tracing::warn!("{e}"),
        }
        Ok(())
    }

    async fn tell(&mut self) -> Result<u64, AgentError> {
        let Some(begin) = self.expected else { return Ok(0) };
        let mut next = begin;
        for _ in 0..REPORTS_PER_ROUND {
            let samples = self.spool.oldest(next, SAMPLES_MAX)?;
            if samples.is_empty() {
                break;
            }
            match self.house.tell(&Report { samples }).await {
                Ok(receipt) => {
                    if receipt.refused > 0 {
                        tracing::warn!(
                            refused = receipt.refused,
                            "the house cannot use some samples"
                        );
                    }
                    if receipt.next <= next {
                        break;
                    }
                    next = receipt.next;
                    self.expected = Some(next);
                    self.spool.confirmed(next)?;
                }
                Err(e) => {
                    tracing::warn!("{e}");
                    break;
                }
            }
        }
        Ok(next - begin)
    }
}

fn secret(path: &Path) -> Result<String, AgentError> {
    std::fs::read_to_string(path).map_err(|why| AgentError::File { path: path.to_owned(), why })
}

#[cfg(feature = "asic-rs")]
fn any_maker(logins: &[crate::AsicRsLogin]) -> Result<Arc<dyn Vendor>, AgentError> {
    let login = |l: &crate::AsicRsLogin| {
        let (firmware, user) = (l.firmware.clone(), l.user.clone());
        secret(&l.password_file).map(|password| crate::asic::Login { firmware, user, password })
    };
    let logins = logins.iter().map(login).collect::<Result<_, _>>()?;
    Ok(Arc::new(crate::asic::AsicRs::new(logins)?))
}

/// Runs an agent until `over` ends.
///
/// # Errors
/// When the configuration's files cannot be used.
pub async fn run(
    config: AgentConfig,
    clock: Arc<dyn Clock>,
    over: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let token = secret(&config.token_file)?;
    let house = House::new(&config.house, config.authorities.as_deref(), &token)?;
    let spool = Spool::open(&config.spool, config.spool_bytes)?;
    let password = config.braiins_os_password_file.as_deref().map(secret);
    let braiins = BraiinsOs::new(&password.transpose()?.unwrap_or_default());
    let cgminer = Arc::new(CgMiner::default());
    let agent = Agent::new(config.machines, cgminer, house, spool, clock)
        .with(Api::BraiinsOs, Arc::new(braiins));
    #[cfg(feature = "asic-rs")]
    let agent = agent.with(Api::AsicRs, any_maker(&config.asic_rs_logins)?);
    let mut agent = agent;
    let mut rounds = tokio::time::interval(Duration::from_secs(config.every_s));
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            _ = rounds.tick() => {}
        }
        // A round is cut off by the end only between samples on disk and the house's receipt.
        let round = tokio::select! {
            () = &mut over => return Ok(()),
            round = agent.round() => round,
        };
        match round {
            Ok(r) => tracing::info!(
                answered = r.answered,
                silent = r.silent,
                sent = r.sent,
                waiting = r.waiting,
                "round"
            ),
            // A full disk may be mended while the agent runs.
            Err(e) => tracing::error!("{e}"),
        }
    }
}
