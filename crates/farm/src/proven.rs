//! What machines' shares prove, machine by machine and epoch by epoch.
//!
//! Whoever reads the share log adds it up and hands it in with the place it has read to; both are kept in one
//! transaction, so nothing counts twice. The room knows no share log: a place is two numbers to it.

use crate::luck::{self, Luck, Miner};
use crate::statements::{
    LANE_ENERGY, LANE_EPOCHS, LANE_PROVEN, PROVEN_BY, PROVEN_IN, PROVEN_LANE, PROVEN_LANES,
    PROVEN_OF, SET_PROVEN, SET_PROVEN_LANE,
};
use crate::telemetry::EPOCHS_LISTED_MAX;
use crate::{Farm, MachineOwner, Result};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Class, EpochNumber, Hashes, LaneId, MachineId, SiteId};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one look at a lane at most: one epoch's of all machines that there can be, and of the whole lane.
pub const LANE_ROWS_MAX: usize = 50_001;
const ROWS_MAX: i64 = 50_001;

/// What shares prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whose they were.
    pub owner: MachineOwner,
    /// How many.
    pub shares: u64,
    /// Their work.
    pub work: Hashes,
    /// The sum of the squares of their work, which is how much chance is in it; stays at its largest.
    pub squares: u128,
    /// The hardest share's class.
    pub largest: u8,
}

impl Proof {
    /// None yet.
    #[must_use]
    pub const fn none(owner: MachineOwner) -> Proof {
        Proof { owner, shares: 0, work: Hashes::ZERO, squares: 0, largest: 0 }
    }

    /// One more share.
    pub fn add(&mut self, class: Class) {
        let work = class.work();
        self.shares += 1;
        self.work = Hashes(self.work.0.saturating_add(work.0));
        self.squares = self.squares.saturating_add(work.0.saturating_mul(work.0));
        self.largest = self.largest.max(class.k());
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Proof) -> Proof {
        Proof {
            owner: self.owner,
            shares: self.shares.saturating_add(more.shares),
            work: Hashes(self.work.0.saturating_add(more.work.0)),
            squares: self.squares.saturating_add(more.squares),
            largest: self.largest.max(more.largest),
        }
    }
}

/// How far a lane's share log is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProvenPlace {
    /// Where to go on reading, as the log's two numbers.
    pub place: Option<(i64, i64)>,
    /// The last epoch that is sealed and wholly counted.
    pub sealed: Option<EpochNumber>,
}

fn read(row: &Row) -> Result<(EpochNumber, Proof)> {
    let squares: [u8; 32] = row.get("squares")?;
    let mut low = [0; 16];
    low.copy_from_slice(&squares[16..]);
    let proof = Proof {
        owner: row.get("owner")?,
        shares: row.get("shares")?,
        work: row.get("work")?,
        squares: u128::from_be_bytes(low),
        largest: row.get("largest")?,
    };
    Ok((row.get("epoch")?, proof))
}

impl Farm {
    /// How far a lane's share log is counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn proven_place(&self, lane: &LaneId) -> Result<ProvenPlace> {
        let mut tx = self.store.read().await?;
        place(&mut tx, lane).await
    }

    /// The last epoch of a lane that is sealed and wholly counted, within the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn proven_until(&self, tx: &mut Tx, lane: &LaneId) -> Result<Option<EpochNumber>> {
        Ok(place(tx, lane).await?.sealed)
    }

    /// Adds what was read of a lane's share log from `from` up to `to`. When somebody else has read on from
    /// there meanwhile nothing is added and the answer is `false`.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_proven(
        &self,
        lane: &LaneId,
        proofs: &BTreeMap<(MachineId, EpochNumber), Proof>,
        from: ProvenPlace,
        to: ProvenPlace,
    ) -> Result<bool> {
        self.add_counted(lane, proofs, &BTreeMap::new(), from, to).await
    }

    /// The same, with what the test for withheld blocks rests on.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_counted(
        &self,
        lane: &LaneId,
        proofs: &BTreeMap<(MachineId, EpochNumber), Proof>,
        more_luck: &BTreeMap<Miner, Luck>,
        from: ProvenPlace,
        to: ProvenPlace,
    ) -> Result<bool> {
        transact!(self.store, tx -> Result<bool> => {
            if place(tx, lane).await? != from {
                return Ok(false);
            }
            for ((machine, epoch), more) in proofs {
                let there = tx.fetch_optional(PROVEN_IN, &params![*machine, *epoch]).await?;
                let sum = match there {
                    Some(row) => read(&row)?.1.plus(*more),
                    None => *more,
                };
                let mut squares = [0; 32];
                squares[16..].copy_from_slice(&sum.squares.to_be_bytes());
                let given = params![
                    *machine, *epoch, lane, sum.owner, sum.shares, sum.work, squares, sum.largest
                ];
                tx.execute(SET_PROVEN, &given).await?;
            }
            luck::add(tx, lane, more_luck).await?;
            let (segment, offset) = to.place.unwrap_or((0, 0));
            tx.execute(SET_PROVEN_LANE, &params![lane, segment, offset, to.sealed]).await?;
            Ok(true)
        })
    }

    /// What a machine's shares prove in the epochs from `from` to before `until`.
    ///
    /// # Errors
    /// The database's.
    pub async fn proven(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<BTreeMap<EpochNumber, Proof>> {
        let given = params![machine, from, until, EPOCHS_LISTED_MAX];
        tx.fetch_all(PROVEN_OF, &given).await?.iter().map(read).collect()
    }

    /// What an owner's machines together prove in the last epoch of each lane that is sealed and wholly counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn proven_lately(
        &self,
        tx: &mut Tx,
        owner: MachineOwner,
    ) -> Result<Vec<(LaneId, EpochNumber, Proof)>> {
        let mut all = Vec::new();
        for lane in tx.fetch_all(PROVEN_LANES, &[]).await? {
            let (lane, epoch): (LaneId, EpochNumber) = (lane.get("lane")?, lane.get("sealed")?);
            let rows = tx.fetch_all(PROVEN_BY, &params![&lane, epoch, owner, ROWS_MAX]).await?;
            let mut sum = Proof::none(owner);
            for row in &rows {
                sum = sum.plus(read(row)?.1);
            }
            all.push((lane, epoch, sum));
        }
        Ok(all)
    }

    /// The epochs of a lane in which any machine proved anything: where there is none, the house was not
    /// there, and a machine cannot be blamed.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_epochs(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<BTreeSet<EpochNumber>> {
        let rows = tx.fetch_all(LANE_EPOCHS, &params![lane, from, until]).await?;
        rows.iter().map(|r| Ok(r.get("epoch")?)).collect()
    }

    /// The measured energy of a lane's house machines: epoch, machine, site, microjoules, and for how many
    /// microseconds it is known; [`LANE_ROWS_MAX`] at most. Where there are as many, ask for fewer epochs.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_energy(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<Vec<(EpochNumber, MachineId, SiteId, u64, u64)>> {
        let rows = tx.fetch_all(LANE_ENERGY, &params![lane, from, until, ROWS_MAX]).await?;
        rows.iter()
            .map(|r| {
                Ok((
                    r.get("epoch")?,
                    r.get("machine")?,
                    r.get("site")?,
                    r.get("energy_uj")?,
                    r.get("power_us")?,
                ))
            })
            .collect()
    }

    /// What a lane's house machines proved: epoch, machine, work; as many at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_proven(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<BTreeMap<(EpochNumber, MachineId), Hashes>> {
        let rows = tx.fetch_all(LANE_PROVEN, &params![lane, from, until, ROWS_MAX]).await?;
        rows.iter().map(|r| Ok(((r.get("epoch")?, r.get("machine")?), r.get("work")?))).collect()
    }
}

async fn place(tx: &mut Tx, lane: &LaneId) -> Result<ProvenPlace> {
    let Some(row) = tx.fetch_optional(PROVEN_LANE, &params![lane]).await? else {
        return Ok(ProvenPlace::default());
    };
    let place = Some((row.get("segment")?, row.get("place")?));
    Ok(ProvenPlace { place, sealed: row.get("sealed")? })
}
