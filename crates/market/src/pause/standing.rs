//! What an epoch's close does to contracts that are paused in it: their clocks stand still, and what the house's machines did
//! beyond all other contracts is owed to them, pro rata of their rates. A page of them is held at once.

use super::Kept;
use crate::close::Delivered;
use crate::contract::Contract;
use crate::freeze::Freezes;
use crate::happenings;
use crate::notices::{NoticeKind, tell_of};
use crate::owed::{self, Kind, NewOwed};
use crate::pages::ROWS;
use crate::{ContractState, LaneConfig, MarketError, Result};
use gruve_store::Tx;
use gruve_units::{Bps, EpochNumber, Hashes, Timestamp, mul_div_floor};

/// Whether a contract's clock stands still in an epoch for its plan.
pub(crate) fn is_paused(c: &Contract, epoch: EpochNumber) -> bool {
    c.life.paused_since.is_some_and(|since| since <= epoch)
        && c.start.is_some_and(|start| start <= epoch)
}

/// Stops the clocks of paused contracts for an epoch and those skipped before it.
pub(crate) fn stop_clocks(
    contracts: &mut [Contract],
    freezes: &Freezes,
    epoch: EpochNumber,
    skipped: u64,
) {
    for c in contracts.iter_mut().filter(|c| is_paused(c, epoch)) {
        let (_, passed) = stood_still(c, freezes, epoch, skipped);
        c.life.paused_epochs = c.life.paused_epochs.saturating_add(passed);
    }
}

/// Since when a paused contract's clock stands still, and how many epochs one close adds to that: those in which it
/// stands still for being frozen count as that.
fn stood_still(
    c: &Contract,
    freezes: &Freezes,
    epoch: EpochNumber,
    skipped: u64,
) -> (EpochNumber, u64) {
    let from = c.life.paused_since.max(c.start).unwrap_or(epoch);
    let passed = epoch.next().0.saturating_sub(from.0).min(skipped.saturating_add(1));
    let first = EpochNumber(epoch.next().0.saturating_sub(passed));
    let frozen: u64 = freezes.stretches(c, first, epoch).iter().map(|s| s.epochs()).sum();
    (from, passed.saturating_sub(frozen))
}

/// Since when a paused contract stands still for nothing but its plan, if that begins in the epochs of a close or with
/// the next one: with the pause, or with the thaw of one that was frozen meanwhile.
fn paused_alone_from(
    c: &Contract,
    freezes: &Freezes,
    epoch: EpochNumber,
    skipped: u64,
) -> Option<EpochNumber> {
    let since = c.life.paused_since.max(c.start)?;
    let first = epoch.back(skipped);
    // One more: the word that thaws it may come when the last frozen epoch is closed.
    let frozen = freezes.stretches(c, first.back(1).max(since), epoch);
    let begins = (since >= first).then_some(since);
    let mut begins = begins.into_iter().chain(frozen.iter().map(|s| s.end()));
    begins.rfind(|from| !freezes.is_frozen(c, *from))
}

/// Work that contracts would get in an epoch, were they not paused: by what its surplus is shared among them. One that is frozen
/// has no part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PausedWork(u128);

impl PausedWork {
    pub(crate) fn add(&mut self, c: &Contract, freezes: &Freezes, at: EpochNumber) -> Result<()> {
        if is_paused(c, at) && !freezes.is_frozen(c, at) {
            let sum = self.0.checked_add(rate(c));
            self.0 = sum.ok_or(MarketError::Overflow("the work of paused contracts"))?;
        }
        Ok(())
    }
}

fn rate(c: &Contract) -> u128 {
    c.epoch_work.0.min(c.work.saturating_sub(c.spoken_for()).0)
}

/// A paused contract's part of the surplus that all of them share, by what it would get, and what all would. Pure.
///
/// # Errors
/// [`MarketError::Overflow`] where `all` is nothing, or a part more than all.
pub fn part_of_surplus(shared: Hashes, rate: Hashes, all: Hashes) -> Result<Hashes> {
    let (part, _) = mul_div_floor(shared.0, rate.0, all.0)
        .map_err(|_| MarketError::Overflow("the work of paused contracts"))?;
    Ok(Hashes(part))
}

/// What becomes of a lane's paused contracts in an epoch.
pub(crate) struct Paused<'a> {
    epoch: EpochNumber,
    /// Epochs before it that have no row.
    skipped: u64,
    freezes: &'a Freezes,
    now: Timestamp,
    work: PausedWork,
    /// What of the operator's surplus is theirs.
    shared: u128,
    kept: Kept,
}

impl<'a> Paused<'a> {
    pub(crate) fn of(
        lane: &LaneConfig,
        (epoch, skipped): (EpochNumber, u64),
        freezes: &'a Freezes,
        (work, surplus): (PausedWork, Hashes),
        now: Timestamp,
    ) -> Paused<'a> {
        let shared = surplus.0.min(work.0);
        Paused { epoch, skipped, freezes, now, work, shared, kept: Kept::of(&lane.lane) }
    }

    /// Those of some contracts that are paused, after their deliveries; contracts come in the order of their ids.
    pub(crate) async fn close(&mut self, tx: &mut Tx, some: &[Delivered]) -> Result<()> {
        debug_assert!(some.len() <= ROWS as usize, "more than a page is held");
        let epoch = self.epoch;
        for c in some.iter().map(|d| &d.contract).filter(|c| is_paused(c, epoch)) {
            self.close_one(tx, c).await?;
        }
        Ok(())
    }

    async fn close_one(&mut self, tx: &mut Tx, c: &Contract) -> Result<()> {
        let (epoch, freezes) = (self.epoch, self.freezes);
        let (from, passed) = stood_still(c, freezes, epoch, self.skipped);
        if passed > 0 {
            happenings::note_pause(tx, c.id, (from, epoch), passed).await?;
        }
        if !freezes.is_frozen(c, epoch) {
            self.owe(tx, c).await?;
        }
        // One that ends with this close has nothing left that could stand still.
        let is_active = c.state == ContractState::Active;
        let keeps = is_active && self.kept.has(tx, c.id).await?;
        let begins = paused_alone_from(c, freezes, epoch, self.skipped);
        if let Some(from) = begins.filter(|from| is_active && (!keeps || *from <= epoch)) {
            tell_of(tx, c, NoticeKind::Paused, from, self.now).await?;
        }
        let mut c = c.clone();
        if keeps {
            c.life.paused_since = None;
            if !freezes.is_frozen(&c, epoch.next()) {
                tell_of(tx, &c, NoticeKind::Resumed, epoch, self.now).await?;
            }
        }
        c.store_life(tx).await
    }

    /// Its part of the surplus.
    async fn owe(&self, tx: &mut Tx, c: &Contract) -> Result<()> {
        if self.work.0 == 0 {
            return Ok(());
        }
        let (shared, all) = (Hashes(self.shared), Hashes(self.work.0));
        let hashes = part_of_surplus(shared, Hashes(rate(c)), all)?;
        if hashes == Hashes::ZERO {
            return Ok(());
        }
        let new = NewOwed {
            kind: Kind::Paused,
            hashes,
            state: Kind::Paused.name(),
            fee: Bps::ZERO,
            energy_micro: c.life.rules.energy_usd_micro_per_th_day,
        };
        owed::put(tx, c, self.epoch, &new).await
    }
}

#[cfg(test)]
mod tests;
