//! What this room asks of others: whose a machine is, and what to stamp into work.

use async_trait::async_trait;
use gruve_sharelog::Owner;
use gruve_units::{AccountId, Bps, Class, EpochNumber, LaneId, MachineId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whose work a login does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// Who owns what it finds.
    pub owner: Owner,
    /// The machine.
    pub machine: MachineId,
}

/// A login that is not let in, with the reason as the miner sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Knows logins. Wired to accounts and farm.
#[async_trait]
pub trait Machines: Send + Sync {
    /// Whose work this login does on this lane. `user` has no control characters, no slashes and at
    /// most [`crate::limits::USER_BYTES_MAX`] bytes; nothing else is promised about it.
    async fn authorize(
        &self,
        lane: &LaneId,
        user: &str,
        password: &str,
    ) -> Result<Authorized, Refused>;

    /// Whether [`Machines::owner_in`] may differ from what logins were told. Asked once a round.
    fn owners_change(&self) -> bool {
        false
    }

    /// Who owns what a machine finds with jobs of `epoch`: a machine that is sold or handed on changes
    /// its owner at an epoch's border, while its connection stays. `at_login` is what its login was
    /// told. Asked for every share, so it answers at once.
    fn owner_in(&self, machine: MachineId, epoch: EpochNumber, at_login: Owner) -> Owner {
        let _ = (machine, epoch);
        at_login
    }
}

/// An owner who is paid by the block itself that own machines find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Whose work these jobs are for, and nobody else's.
    pub owner: AccountId,
    /// The output script that gets the block, or what the others leave of it.
    pub script: Vec<u8>,
    /// Other scripts of the owner's, and their parts of what the house leaves, each rounded down.
    pub others: Vec<(Vec<u8>, Bps)>,
    /// The machines.
    pub machines: BTreeSet<MachineId>,
    /// The house's part of the whole block, rounded down.
    pub fee: Bps,
    /// No output is made below this: where it would be the house's, the owner gets all; where it would be one of the owner's,
    /// the house, which credits it.
    pub least: i64,
}

impl Destination {
    /// What the coinbase of a block worth `value` pays, the owner first: together exactly that. `None` where the house is to be
    /// paid, because there would be too little for one of the owner's scripts.
    #[must_use]
    pub fn outputs(&self, house: &[u8], value: i64) -> Option<Vec<(Vec<u8>, i64)>> {
        let whole = u128::from(u64::try_from(value).ok()?);
        // A part of an i64 fits one.
        let part = i64::try_from(self.fee.of(whole)).ok()?;
        let fee = if part < self.least { 0 } else { part };
        let rest = value - fee;
        let shared = u128::from(u64::try_from(rest).ok()?);
        // Of less than this amounts do not tell parts in basis points from each other, and nobody could check them.
        if !self.others.is_empty() && rest < i64::from(Bps::ONE) {
            return None;
        }
        let (mut all, mut first) = (vec![(self.script.clone(), 0)], rest);
        for (script, part) in &self.others {
            let own = i64::try_from(part.of(shared)).ok()?;
            first = first.checked_sub(own)?;
            all.push((script.clone(), own));
        }
        if let Some(to) = all.first_mut() {
            to.1 = first;
        }
        if all.iter().any(|(_, own)| *own < self.least.max(1)) {
            return None;
        }
        if fee > 0 {
            all.push((house.to_vec(), fee));
        }
        Some(all)
    }
}

/// Knows the stamp of an epoch's work. Wired to the accountant's memory; answers at once.
pub trait Stamps: Send + Sync {
    /// For jobs of `epoch`: the epoch whose checkpoint the commitment holds (two before, or the
    /// last there is), and the commitment.
    fn stamp(&self, lane: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]);

    /// The highest class of jobs that hold this epoch's checkpoint, as it was fixed with it.
    fn class_max(&self, lane: &LaneId, checkpoint_of: EpochNumber) -> Class {
        let _ = (lane, checkpoint_of);
        Class::new(Class::MAX).unwrap_or(Class::ZERO)
    }

    /// Who is to be paid by the block itself that is found with jobs of `epoch` which hold this checkpoint: places that
    /// were published with it. More than [`crate::limits::DESTINATIONS_MAX`] are paid by the house. Asked several times a
    /// second; another answer makes a job.
    fn destinations(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
        checkpoint_of: EpochNumber,
    ) -> Arc<[Destination]> {
        let _ = (lane, epoch, checkpoint_of);
        Arc::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn destination(fee: u16, least: i64) -> Destination {
        Destination {
            owner: AccountId::from_bytes([1; 16]),
            script: vec![0x51, 1],
            others: Vec::new(),
            machines: BTreeSet::new(),
            fee: Bps::new(fee).unwrap(),
            least,
        }
    }

    #[test]
    fn too_little_for_an_output_goes_to_the_other() {
        let of = |fee, least, value| destination(fee, least).outputs(&[2], value);
        let values = |all: Vec<(Vec<u8>, i64)>| all.iter().map(|o| o.1).collect::<Vec<_>>();
        assert_eq!(values(of(50, 546, 200_000).unwrap()), [199_000, 1_000]);
        assert_eq!(values(of(50, 546, 109_200).unwrap()), [108_654, 546]);
        assert_eq!(values(of(50, 546, 109_199).unwrap()), [109_199]);
        assert_eq!(values(of(0, 546, 546).unwrap()), [546]);
        assert_eq!(of(0, 546, 545), None);
        assert_eq!(of(9_999, 546, 5_450_000), None);
        assert_eq!(values(of(9_999, 546, 5_450_001).unwrap()), [546, 5_449_455]);
        assert_eq!(of(0, 0, 0), None, "nothing is no output");
        assert_eq!(of(10_000, 0, 5), None, "nor is what a fee of all would leave");
        assert_eq!(of(0, 0, -1), None);
    }

    #[test]
    fn partners_share_what_the_house_leaves_and_the_first_gets_what_is_left() {
        let part = |bps| Bps::new(bps).unwrap();
        let others = vec![(vec![0x51, 2], part(3_000)), (vec![0x51, 3], part(500))];
        let of = |fee, least, value| {
            let to = Destination { others: others.clone(), ..destination(fee, least) };
            to.outputs(&[2], value)
        };
        let all = of(50, 546, 312_500_001).unwrap();
        let values: Vec<i64> = all.iter().map(|o| o.1).collect();
        assert_eq!(values, [202_109_376, 93_281_250, 15_546_875, 1_562_500]);
        assert_eq!(all.iter().map(|o| o.0.len()).collect::<Vec<_>>(), [2, 2, 2, 1]);
        assert_eq!(all[2].0, [0x51, 3], "in the order that is published");
        // The least part decides: below it the house is paid, and credits the owner all.
        assert!(of(0, 546, 10_920).is_some());
        assert_eq!(of(0, 546, 10_919), None);
        assert!(of(0, 1, 10_000).is_some());
        assert_eq!(of(0, 1, 9_999), None, "too little to tell parts by");
        let mut greedy = Destination { others, ..destination(0, 1) };
        greedy.others.push((vec![9], part(6_500)));
        assert_eq!(greedy.outputs(&[2], 1_000_000), None, "nothing left for the first");
        greedy.others.push((vec![9], part(6_500)));
        assert_eq!(greedy.outputs(&[2], 1_000_000), None, "more than all");
    }

    proptest! {
        #[test]
        fn outputs_are_the_block_to_the_last_unit(fee in 0..=Bps::ONE, least in 0i64..1 << 40, value in 0i64..=i64::MAX) {
            let to = destination(fee, least);
            if let Some(all) = to.outputs(&[2], value) {
                let sum: i128 = all.iter().map(|(_, v)| i128::from(*v)).sum();
                prop_assert_eq!(sum, i128::from(value));
                prop_assert!(all.iter().all(|(_, v)| *v >= least.max(1)), "none is dust");
                prop_assert_eq!(&all[0].0, &to.script);
                let exact = i128::from(value) * i128::from(fee);
                let house = all.get(1).map_or(0, |(script, v)| {
                    assert_eq!(script, &[2]);
                    i128::from(*v)
                });
                // Never more than the part; less by a fraction of a unit, or because it is dust.
                prop_assert!(house * 10_000 <= exact);
                prop_assert!(exact - house * 10_000 < 10_000 || (house == 0 && exact / 10_000 < i128::from(least)));
            } else {
                let rest = i128::from(value) - i128::from(value) * i128::from(fee) / 10_000;
                prop_assert!(rest < i128::from(least.max(1)));
            }
        }
    }
}
