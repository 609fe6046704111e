//! Work that contracts missed by the operator's doing, and what its owners choose.

use super::Model;
use super::pausing::Owed;
use crate::contract::{Contract, State};
use crate::numbers::{ceil, floor, int, less, sum};
use crate::{Id, Wrong};
use num_bigint::BigInt;

/// Machines of the house that the operator idles or moves, by his own record.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// The first epoch it counts in.
    pub from: u64,
    /// The first epoch it counts in no more.
    pub until: u64,
    /// Hashes a second.
    pub hashrate: u128,
}

impl Act {
    pub(super) const fn holds_in(&self, epoch: u64) -> bool {
        self.from <= epoch && epoch < self.until
    }
}

/// Where missed work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Set aside in an epoch that is not judged.
    Open,
    /// Its owner may choose until the close of this epoch.
    Undecided(u64),
    /// Delivered later, or paid for.
    Over,
}

/// What a contract missed in an epoch.
#[derive(Clone, Debug)]
pub(crate) struct Missed {
    pub(crate) epoch: u64,
    pub(crate) hashes: BigInt,
    pub(crate) stage: Stage,
}

impl Contract {
    /// Sets aside what it missed until it is known whose doing that was.
    pub(crate) fn set_aside(&mut self, epoch: u64, hashes: BigInt) {
        if hashes > int(0) {
            self.undecided += &hashes;
            self.missed.push(Missed { epoch, hashes, stage: Stage::Open });
        }
    }
}

impl Model {
    /// Before an epoch is closed: what nobody decided about in time is delivered later.
    pub(super) fn lapse(&mut self, closing: u64) {
        if self.wrong == Some(Wrong::ChoiceNeverLapses) {
            return;
        }
        for c in self.contracts.values_mut() {
            for m in &mut c.missed {
                if matches!(m.stage, Stage::Undecided(deadline) if deadline <= closing) {
                    c.undecided -= &m.hashes;
                    m.stage = Stage::Over;
                }
            }
        }
    }

    /// After an epoch was shared out: how much of what all missed the operator has caused.
    pub(super) fn judge(&mut self, epoch: u64, now: u64) {
        let open = |m: &&mut Missed| m.epoch == epoch && m.stage == Stage::Open;
        let wrong = self.wrong;
        let missing = sum(self
            .contracts
            .values()
            .flat_map(|c| &c.missed)
            .filter(|m| m.epoch == epoch && m.stage == Stage::Open)
            .map(|m| &m.hashes));
        if missing == int(0) {
            return;
        }
        let acts = self.acts.iter().filter(|act| act.holds_in(epoch));
        let declared: BigInt =
            acts.map(|act| floor(&(int(act.hashrate) * self.lane.epoch_us), &int(1_000_000))).sum();
        let caused = missing.clone().min(declared);
        let round = if wrong == Some(Wrong::CausedPartRoundedUp) { ceil } else { floor };
        for c in self.contracts.values_mut() {
            let deadline = now.max(epoch) + c.terms.choice_epochs;
            for m in c.missed.iter_mut().filter(open) {
                let part = match wrong {
                    Some(Wrong::AllMissedIsCaused) => m.hashes.clone(),
                    _ => round(&(&m.hashes * &caused), &missing),
                };
                c.undecided -= less(&m.hashes, &part);
                m.stage = if part > int(0) { Stage::Undecided(deadline) } else { Stage::Over };
                m.hashes = part;
            }
        }
    }

    /// An owner chooses.
    pub(super) fn choose(&mut self, id: Id, epoch: u64, earnings: bool) {
        let wrong = self.wrong;
        let assets = self.lane.maturity.len();
        let Some(c) = self.contracts.get_mut(&id) else { return };
        let is_it = |m: &&mut Missed| m.epoch == epoch && matches!(m.stage, Stage::Undecided(_));
        let Some(m) = c.missed.iter_mut().find(is_it) else { return };
        m.stage = Stage::Over;
        let hashes = m.hashes.clone();
        c.undecided -= &hashes;
        if !earnings {
            return;
        }
        if wrong != Some(Wrong::PaidAndDelivered) {
            c.compensated += &hashes;
        }
        let bps = if wrong == Some(Wrong::MissedPaidWithoutFee) { 0 } else { c.terms.fee_bps };
        self.owed.push(Owed::missed((id, epoch), hashes, bps, assets));
    }

    /// Whether a contract is paid for and not over.
    pub(super) fn is_running(&self, id: Id) -> bool {
        self.contracts.get(&id).is_some_and(|c| c.state == State::Running)
    }
}
