//! Old energy: rows of single epochs are summed up into days once nothing can change them and no bill needs them.

use crate::contract::Contract;
use crate::footprint;
use crate::service::Hosting;
use crate::{Result, sql};
use gruve_farm::{LaneDay, Whose};
use gruve_store::{params, transact};
use gruve_units::{ContractId, EpochNumber, Hashes, LaneId};

/// Contracts read at once.
const PAGE: u32 = 500;

impl Hosting {
    /// Sums up the oldest epochs of a lane, `epochs_max` at most, each in a transaction of its own; how many
    /// went.
    ///
    /// # Errors
    /// The database's; what was done before stays done.
    pub async fn trim_energy(&self, lane: &LaneId, epochs_max: u32) -> Result<u32> {
        let kept = self.farm.kept_from(lane, self.clock.now())?;
        let owned = self.unbilled_from(lane).await?.map_or(kept, |first| first.min(kept));
        let mut gone = 0;
        for (whose, until) in [(Whose::House, kept), (Whose::Owners, owned)] {
            while gone < epochs_max && self.trim_one(lane, whose, until).await? {
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// The first epoch of the lane that a bill may still be written for.
    async fn unbilled_from(&self, lane: &LaneId) -> Result<Option<EpochNumber>> {
        let mut tx = self.store.read().await?;
        let mut after = ContractId::from_bytes([0; 16]);
        let mut first: Option<EpochNumber> = None;
        loop {
            let rows = tx.fetch_all(sql::TO_BILL, &params![lane, after, i64::from(PAGE)]).await?;
            for row in &rows {
                let c = Contract::read(row)?;
                after = c.id;
                let next = c.billed_to.map(EpochNumber::next).or(c.from);
                // Energy that was reported late lies in epochs that are billed already.
                let late = match c.from {
                    Some(from) => self.farm.first_unbilled(&mut tx, c.machine, from).await?,
                    None => None,
                };
                first = [first, next, late].into_iter().flatten().min();
            }
            if rows.len() < PAGE as usize {
                return Ok(first);
            }
        }
    }

    async fn trim_one(&self, lane: &LaneId, whose: Whose, until: EpochNumber) -> Result<bool> {
        let length_us = self.farm.rule(lane)?.length_us;
        transact!(self.store, tx -> Result<bool> => {
            let Some(epoch) = self.farm.oldest_epoch(tx, lane, whose, until).await? else {
                return Ok(false);
            };
            let mut day = LaneDay::default();
            if whose == Whose::House {
                let measured = self.farm.lane_energy(tx, lane, epoch, epoch.next()).await?;
                let proven = self.farm.lane_proven(tx, lane, epoch, epoch.next()).await?;
                // Of epochs whose machines proved nothing no work can have been taken.
                if let Some((work, energy)) = footprint::of_epoch(length_us, &measured, &proven) {
                    day = LaneDay { work: Hashes(work), energy };
                }
            }
            self.farm.roll_up(tx, (lane, epoch), whose, &day).await?;
            Ok(true)
        })
    }
}
