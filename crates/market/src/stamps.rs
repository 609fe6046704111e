//! The last checkpoints of every lane, in memory, for stamping jobs.

use gruve_proof::Hash;
use gruve_proof::places::{HouseFee, Payees, Places};
use gruve_proof::summary::GENESIS;
use gruve_units::{AccountId, Class, EpochNumber, LaneId};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Checkpoints kept for each lane. Jobs ask for one two epochs back; the rest is room for a late accountant.
pub(crate) const KEPT: u32 = 64;

/// By the epoch of the checkpoint that a job holds, the list's hash and where such a job may pay.
type PlacesByCheckpoint = BTreeMap<EpochNumber, (Hash, Arc<Places>)>;

/// The last checkpoints of every lane. Reading waits for nothing but a memory lock.
#[derive(Debug, Default)]
pub struct StampSource {
    lanes: RwLock<BTreeMap<LaneId, BTreeMap<EpochNumber, [u8; 32]>>>,
    caps: RwLock<BTreeMap<LaneId, BTreeMap<EpochNumber, Class>>>,
    places: RwLock<BTreeMap<LaneId, PlacesByCheckpoint>>,
}

impl StampSource {
    /// The checkpoint of the last epoch closed at or before `before_or_at`; epoch 0 and zeros
    /// ([`GENESIS`]) when there is none.
    #[must_use]
    pub fn latest_checkpoint(
        &self,
        lane: &LaneId,
        before_or_at: EpochNumber,
    ) -> (EpochNumber, [u8; 32]) {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes
            .get(lane)
            .and_then(|l| l.range(..=before_or_at).next_back())
            .map_or((EpochNumber(0), GENESIS), |(e, c)| (*e, *c))
    }

    /// The highest class that jobs may be given at whose stamp holds the checkpoint of this epoch.
    #[must_use]
    pub fn class_max(&self, lane: &LaneId, checkpoint_of: EpochNumber) -> Class {
        let caps = self.caps.read().unwrap_or_else(PoisonError::into_inner);
        let cap = caps.get(lane).and_then(|l| l.get(&checkpoint_of)).copied();
        cap.or(Class::new(Class::MAX)).unwrap_or(Class::ZERO)
    }

    /// Whether jobs that hold the checkpoint of this epoch may pay these scripts to the owner of the machines they are for: they
    /// were published with the checkpoint, in these parts; and what the house takes of a block then.
    #[must_use]
    pub fn may_pay(
        &self,
        lane: &LaneId,
        checkpoint_of: EpochNumber,
        owner: AccountId,
        payees: &Payees,
    ) -> Option<HouseFee> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let (_, list) = places.get(lane).and_then(|l| l.get(&checkpoint_of))?;
        list.has_payees(owner, payees).then(|| list.fee())
    }

    /// What the house takes of blocks that pay owners, by the lists that are kept, the newest first.
    #[must_use]
    pub fn house_fees(&self, lane: &LaneId) -> Vec<HouseFee> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = places
            .get(lane)
            .into_iter()
            .flat_map(|lists| lists.values().rev().map(|(_, list)| list.fee()))
            .collect();
        all.dedup();
        all
    }

    /// Keeps the list that an epoch's entry names, read from its file where it is another than those that are kept.
    pub(crate) fn place<E>(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
        hash: Hash,
        read: impl FnOnce() -> Result<Places, E>,
    ) -> Result<(), E> {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let kept = places.entry(lane.clone()).or_default();
        let known = kept.values().rev().find(|(known, _)| *known == hash);
        let list = match known {
            Some((_, list)) => Arc::clone(list),
            None => Arc::new(read()?),
        };
        kept.insert(epoch, (hash, list));
        while kept.len() > usize::try_from(KEPT).unwrap_or(usize::MAX) {
            kept.pop_first();
        }
        Ok(())
    }

    pub(crate) fn cap(&self, lane: &LaneId, epoch: EpochNumber, class_max: u8) {
        let Some(class) = Class::new(class_max) else { return };
        let mut caps = self.caps.write().unwrap_or_else(PoisonError::into_inner);
        let kept = caps.entry(lane.clone()).or_default();
        kept.insert(epoch, class);
        while kept.len() > usize::try_from(KEPT).unwrap_or(usize::MAX) {
            kept.pop_first();
        }
    }

    pub(crate) fn put(&self, lane: &LaneId, epoch: EpochNumber, checkpoint: [u8; 32]) {
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let kept = lanes.entry(lane.clone()).or_default();
        kept.insert(epoch, checkpoint);
        while kept.len() > usize::try_from(KEPT).unwrap_or(usize::MAX) {
            kept.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_not_after_an_epoch_is_given() {
        let (source, lane) = (StampSource::default(), "btc".parse().unwrap());
        assert_eq!(source.latest_checkpoint(&lane, EpochNumber(9)), (EpochNumber(0), GENESIS));
        for n in [5, 6, 9] {
            source.put(&lane, EpochNumber(n), [u8::try_from(n).unwrap(); 32]);
        }
        assert_eq!(source.latest_checkpoint(&lane, EpochNumber(8)), (EpochNumber(6), [6; 32]));
        assert_eq!(source.latest_checkpoint(&lane, EpochNumber(9)), (EpochNumber(9), [9; 32]));
        assert_eq!(source.latest_checkpoint(&lane, EpochNumber(4)), (EpochNumber(0), GENESIS));
        for n in 10..200 {
            source.put(&lane, EpochNumber(n), [1; 32]);
        }
        assert_eq!(source.latest_checkpoint(&lane, EpochNumber(100)).0, EpochNumber(0));
    }
}
