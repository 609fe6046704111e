//! Contracts whose payment is disputed.

use super::Model;
use crate::contract::{Contract, State};
use crate::numbers::int;
use crate::{Id, Wrong};
use num_bigint::BigInt;

/// What is said of a contract's payment.
#[derive(Clone, Debug)]
pub enum Word {
    /// It is disputed.
    Disputed,
    /// It stands.
    Stands,
    /// It was taken back, and so much of it was not there.
    Lost(u64),
}

/// A dispute.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    from: u64,
    until: Option<u64>,
    /// With the close of which epoch the contract ends for it, and what was lost.
    lost: Option<(u64, BigInt)>,
}

impl Contract {
    /// Whether it stands still in an epoch for being disputed.
    pub(crate) fn is_frozen(&self, epoch: u64) -> bool {
        let covers = |f: &Freeze| f.from <= epoch && f.until.is_none_or(|until| epoch < until);
        self.start <= epoch && self.freezes.values().any(covers)
    }

    /// What was lost of its payments, if it ends for that by an epoch.
    pub(crate) fn lost(&self, epoch: u64) -> Option<BigInt> {
        let lost = self.freezes.values().filter_map(|f| f.lost.clone());
        let due: Vec<BigInt> = lost.filter(|(end, _)| *end <= epoch).map(|(_, n)| n).collect();
        let is_open =
            |f: &Freeze| f.until.is_none() && f.lost.as_ref().is_none_or(|(end, _)| *end > epoch);
        let is_settled = !self.freezes.values().any(is_open);
        (self.start <= epoch && !due.is_empty() && is_settled).then(|| due.into_iter().sum())
    }
}

impl Model {
    /// Something is said of a contract's payment in an epoch, about the dispute of that number.
    pub(super) fn payment(&mut self, id: Id, dispute: u64, word: &Word, now: u64) {
        let at_once = self.wrong == Some(Wrong::FrozenAtOnce);
        let next = if at_once { now } else { now + 1 };
        let border = self.closed.last().map_or(next, |last| next.max(last + 1));
        let Some(c) = self.contracts.get_mut(&id) else { return };
        let is_over = c.state != State::Running;
        if !is_over && !matches!(word, Word::Stands) {
            let new = Freeze { from: border, until: None, lost: None };
            c.freezes.entry(dispute).or_insert(new);
        }
        let Some(f) = c.freezes.get_mut(&dispute) else { return };
        if f.until.is_some() || f.lost.is_some() {
            return;
        }
        let end = border.max(f.from);
        match word {
            Word::Disputed => {}
            Word::Lost(minor) if !is_over => f.lost = Some((end, int(*minor))),
            Word::Stands | Word::Lost(_) => f.until = Some(end),
        }
    }
}
