//! What the hosted machines of an account proved in the last epoch that is wholly counted, lane by lane, as a rate with its
//! interval. Those outside the sites are in no inventory, and not counted machine by machine.

use crate::service::Hosting;
use crate::{Result, honesty, sql};
use gruve_farm::MachineOwner;
use gruve_store::params;
use gruve_units::{AccountId, EpochNumber, Hashes, Hashrate, LaneId};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedProven {
    /// Which lane. Work of different lanes is never summed.
    pub lane: LaneId,
    /// Which epoch.
    pub epoch: EpochNumber,
    /// Hosted machines that were the account's in it.
    pub machines: u64,
    /// Shares that the account's hosted machines handed in.
    pub shares: u64,
    /// What they prove, as a rate.
    pub rate: Hashrate,
    /// The interval that holds the true rate, 95 times in 100.
    pub between: (Hashrate, Hashrate),
}

impl Hosting {
    /// See the module: of each lane where the account has a hosted machine, or its machines proved anything.
    ///
    /// # Errors
    /// The farm's; the database's.
    pub async fn proven_now(&self, account: AccountId) -> Result<Vec<HostedProven>> {
        let mut tx = self.store.read().await?;
        let mut all = Vec::new();
        for (lane, epoch, proof) in
            self.farm.proven_lately(&mut tx, MachineOwner::Account(account)).await?
        {
            // A lane that was taken out of the configuration has no epochs any more.
            let Ok(rule) = self.farm.rule(&lane) else { continue };
            let row = tx.fetch_one(sql::COUNT_IN_EPOCH, &params![account, &lane, epoch]).await?;
            let machines: u64 = row.get("n")?;
            if machines > 0 || proof.shares > 0 {
                let rate = |work: Hashes| Hashrate::of(work, rule.length());
                let (low, high) = honesty::interval(&proof);
                let (shares, between) = (proof.shares, (rate(low), rate(high)));
                all.push(HostedProven {
                    lane,
                    epoch,
                    machines,
                    shares,
                    rate: rate(proof.work),
                    between,
                });
            }
        }
        Ok(all)
    }
}
