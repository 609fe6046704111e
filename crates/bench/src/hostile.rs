//! Honest miners beside a hostile swarm: what their answers take, and whether every share is kept.
//!
//! First the honest ones alone, then the same with the swarm; the difference is what the swarm can do
//! to others. The swarm strikes when the honest ones mine, and from their address: where nobody mines a
//! server may well turn a whole address away, and then there is nothing to measure.

use crate::BenchError;
use crate::child::Doors;
use crate::fleet::FleetOptions;
use crate::submit::{SubmitOptions, SubmitReport, submit, submit_and_tell};
use crate::swarm::{Attack, AttackReport, Swarm};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// How to attack.
#[derive(Clone, Debug)]
pub struct HostileOptions {
    /// The honest ones, which should be paced.
    pub honest: SubmitOptions,
    /// The honest ones' login beside the swarm, where it is another: then they are newcomers, and not machines that the server knows.
    pub beside_user: Option<String>,
    /// The attackers' login; the rest as the honest ones'.
    pub hostile_user: String,
    /// Which attacks.
    pub attacks: Vec<Attack>,
    /// Connections of each.
    pub each: usize,
    /// The server's encrypted ports, for the attacks that strike there.
    pub doors: Doors,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct HostileReport {
    /// The honest ones alone.
    pub alone: SubmitReport,
    /// The honest ones beside the swarm.
    pub beside: SubmitReport,
    /// What the swarm did.
    pub swarm: BTreeMap<&'static str, AttackReport>,
    /// Honest shares in the server's log, where it is ours: must be all that were acknowledged.
    pub counted: Option<u64>,
}

impl HostileReport {
    /// Whether no honest miner lost anything: every answer came, in order, and said what it should, and
    /// what was acknowledged stands in the log.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let acknowledged = self.alone.acknowledged + self.beside.acknowledged;
        self.alone.is_clean()
            && self.beside.is_clean()
            && self.counted.is_none_or(|counted| counted == acknowledged)
    }
}

/// Attacks a server while honest miners work.
///
/// # Errors
/// When the honest clients do not come to have jobs, or connections cannot be begun.
pub fn hostile(options: &HostileOptions) -> Result<HostileReport, BenchError> {
    if options.attacks.is_empty() {
        return Err(BenchError::Options("a swarm needs an attack".to_owned()));
    }
    let fleet = &options.honest.fleet;
    if let Some(a) = options.attacks.iter().find(|a| a.target(fleet, options.doors).is_none()) {
        let why = format!("the attack {} needs another lane, or an encrypted port", a.name());
        return Err(BenchError::Options(why));
    }
    let alone = submit(&options.honest)?;
    let fleet = FleetOptions { user: options.hostile_user.clone(), ..options.honest.fleet.clone() };
    let over = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    let (options_of_swarm, ends) = (options.clone(), over.clone());
    let attacking = std::thread::spawn(move || attack(fleet, &options_of_swarm, &told, &ends));
    let mut honest = options.honest.clone();
    if let Some(user) = &options.beside_user {
        honest.fleet.user.clone_from(user);
    }
    let beside = submit_and_tell(&honest, move || {
        // Whoever attacks may have failed; that is told below.
        let _ = tell.send(());
    });
    over.store(true, Ordering::Relaxed);
    let swarm = attacking.join().map_err(|_| BenchError::Server("the swarm broke"))??;
    Ok(HostileReport { alone, beside: beside?, swarm, counted: None })
}

/// Attacks from when it is told to until it is over; not at all when nobody tells.
fn attack(
    fleet: FleetOptions,
    options: &HostileOptions,
    told: &mpsc::Receiver<()>,
    over: &AtomicBool,
) -> Result<BTreeMap<&'static str, AttackReport>, BenchError> {
    if told.recv().is_err() {
        return Ok(BTreeMap::new());
    }
    let each = options.each.max(1);
    let mut swarm = Swarm::new(fleet, options.doors, &options.attacks, each)?;
    swarm.run(over)?;
    Ok(swarm.report)
}
