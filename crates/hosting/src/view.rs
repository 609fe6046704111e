//! A hosted machine as its owner and the operator see it.

use crate::Result;
use crate::charge::Span;
use crate::contract::Contract;
use crate::footprint::{self, Footprint};
use crate::honesty::{self, Verdict};
use crate::service::Hosting;
use crate::uptime::Uptime;
use gruve_farm::{EnergyEpoch, Inventory, MachineOwner, MachineState, Proof, Reading, claimed_of};
use gruve_units::{Class, Duration, EpochNumber, Hashes, Hashrate, MachineId};
use std::collections::BTreeMap;

/// Epochs that claim and proof are compared over: a day of ten-minute epochs.
pub const CLAIM_EPOCHS: u64 = 144;

/// The class of the share that a machine without any share would have been given, at five seconds a share.
const SHARE_SECS: u32 = 5;

/// See the module.
#[derive(Clone, Debug)]
pub struct HostedMachine {
    /// The machine.
    pub thing: Inventory,
    /// Whose it is in the current epoch.
    pub owner: MachineOwner,
    /// Its newest reading.
    pub reading: Option<Reading>,
    /// Claim and proof of the last [`CLAIM_EPOCHS`] closed epochs, newest last.
    pub epochs: Vec<ClaimEpoch>,
    /// Work claimed in the epochs in which something is claimed.
    pub claimed: Hashes,
    /// For how long, in microseconds.
    pub claimed_us: u64,
    /// What shares prove in the same epochs.
    pub proof: Proof,
    /// The interval that holds what was truly done, 95 times in 100.
    pub interval: (Hashes, Hashes),
    /// The length of those epochs, in microseconds.
    pub compared_us: u64,
    /// What the claim is worth.
    pub verdict: Verdict,
    /// Uptime and energy of those epochs, as bills count them.
    pub span: Span,
    /// The electricity of those epochs.
    pub footprint: Footprint,
}

/// One epoch of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimEpoch {
    /// The epoch.
    pub epoch: EpochNumber,
    /// What it said.
    pub said: Option<EnergyEpoch>,
    /// What its shares prove.
    pub proof: Option<Proof>,
}

impl HostedMachine {
    /// What shares prove, as hashrate with its interval; over the epochs that are compared.
    #[must_use]
    pub fn proven_rate(&self) -> (Hashrate, Hashrate, Hashrate) {
        let time = Duration::from_micros(self.compared_us.max(1));
        let rate = |work| Hashrate::of(work, time);
        (rate(self.proof.work), rate(self.interval.0), rate(self.interval.1))
    }

    /// What it claims, as hashrate.
    #[must_use]
    pub fn claimed_rate(&self) -> Hashrate {
        Hashrate::of(self.claimed, Duration::from_micros(self.claimed_us.max(1)))
    }

    /// Whether the machine may be at work.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        self.thing.state != MachineState::Returned
    }
}

impl Hosting {
    /// A machine now, over the last [`CLAIM_EPOCHS`] epochs that are wholly counted; for an owner, only those
    /// of the own contract.
    ///
    /// # Errors
    /// The farm's.
    pub async fn machine(
        &self,
        machine: MachineId,
        contract: Option<&Contract>,
    ) -> Result<HostedMachine> {
        let reading = self.farm.reading(machine).await?;
        let powers = self.farm.site_powers().await?;
        let mut tx = self.store.read().await?;
        let thing = self.farm.inventory_of(&mut tx, machine).await?;
        let rule = self.farm.rule(&thing.lane)?;
        let current = rule.at(self.clock.now());
        let owner = self.farm.owner_in(&mut tx, machine, current).await?;
        let counted = self.farm.proven_until(&mut tx, &thing.lane).await?;
        let until = counted.map_or(EpochNumber(0), EpochNumber::next).min(current);
        let until = contract.and_then(|c| c.until).map_or(until, |end| end.min(until));
        let from = until.back(CLAIM_EPOCHS);
        let from = contract.and_then(|c| c.from).map_or(from, |begin| begin.max(from)).min(until);
        let said = self.farm.energy(&mut tx, machine, from, until).await?;
        let proven = self.farm.proven(&mut tx, machine, from, until).await?;
        let worked = self.farm.lane_epochs(&mut tx, &thing.lane, from, until).await?;
        drop(tx);

        // Where no machine of the lane proved anything the house was not there.
        let compared: Vec<EnergyEpoch> = said
            .iter()
            .filter(|e| e.slice.claimed_us > 0 && worked.contains(&e.slice.epoch))
            .copied()
            .collect();
        let (claimed, claimed_us) = claimed_of(&compared);
        let of_those = compared.iter().filter_map(|e| proven.get(&e.slice.epoch));
        let proof = of_those.fold(Proof::none(owner), |sum, p| sum.plus(*p));
        let uptime = match contract {
            Some(c) => Uptime::of(&c.agreed()?),
            None => Uptime::ByWork { nameplate: thing.nameplate },
        };
        let up_us = proven
            .iter()
            .map(|(e, proof)| {
                let down = said.iter().find(|s| s.slice.epoch == *e).map_or(0, |s| s.slice.down_us);
                uptime.up_us(rule.length_us, proof, down)
            })
            .sum();
        let energy_uj = said.iter().fold(0u64, |s, e| s.saturating_add(e.slice.energy_uj));
        let span = Span { energy_uj, span_us: (until.0 - from.0) * rule.length_us, up_us };
        let work = proven.values().fold(0u128, |s, p| s.saturating_add(p.work.0));
        let by_site = BTreeMap::from([(thing.site, u128::from(energy_uj))]);
        let first = thing.nameplate.work_in(Duration::from_secs(u64::from(SHARE_SECS)));
        let class = Class::new(u8::try_from(first.0.max(1).ilog2()).unwrap_or(0));
        Ok(HostedMachine {
            owner,
            reading,
            epochs: rows(from, until, &said, &proven),
            claimed,
            claimed_us,
            interval: honesty::interval(&proof),
            compared_us: u64::try_from(compared.len()).unwrap_or(0) * rule.length_us,
            verdict: honesty::judge(claimed, &proof, class.unwrap_or(Class::ZERO).work()),
            proof,
            span,
            footprint: footprint::of_energy(Hashes(work), by_site, &powers),
            thing,
        })
    }
}

fn rows(
    from: EpochNumber,
    until: EpochNumber,
    said: &[EnergyEpoch],
    proven: &BTreeMap<EpochNumber, Proof>,
) -> Vec<ClaimEpoch> {
    let one = |n| {
        let epoch = EpochNumber(n);
        let said = said.iter().find(|s| s.slice.epoch == epoch).copied();
        ClaimEpoch { epoch, said, proof: proven.get(&epoch).copied() }
    };
    (from.0..until.0).map(one).filter(|e| e.said.is_some() || e.proof.is_some()).collect()
}
