//! What this room asks of others: whose a machine is, and what to stamp into work.

use async_trait::async_trait;
use gruve_sharelog::Owner;
use gruve_units::{AccountId, Class, EpochNumber, LaneId, MachineId};
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
    /// The output script that gets the whole block.
    pub script: Vec<u8>,
    /// The machines.
    pub machines: BTreeSet<MachineId>,
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
