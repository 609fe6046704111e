//! Machines that customers own, in the running house: whose a share is, what machines' shares prove, and bills
//! with each settlement.

use async_trait::async_trait;
use gruve_farm::{Farm, FarmError, MachineOwner, OwnerTable, Proof, ProvenPlace};
use gruve_hosting::{Hosting, HostingError};
use gruve_market::{AfterSettlement, MarketError, Settled};
use gruve_sharelog::{LogError, LogReader, Owner, Position, Record, ShareLog};
use gruve_store::Tx;
use gruve_units::{EpochNumber, LaneId, MachineId};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often changes of owner are looked for: many times within [`gruve_farm::OWNER_LEAD`].
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Records of a share log that are counted in one transaction: some hundred kilobytes.
const BATCH: usize = 4_096;

/// How long to wait when database or disk are not available.
const AGAIN: Duration = Duration::from_secs(5);

/// Whose each machine's work is, in memory: gateways ask for every share.
#[derive(Default)]
pub struct Owners {
    table: RwLock<OwnerTable>,
    is_any: AtomicBool,
}

impl Owners {
    /// Puts what the database says into memory.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, farm: &Farm) -> Result<(), FarmError> {
        let table = farm.owners().await?;
        let is_any = !table.is_empty();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        self.is_any.store(is_any, Ordering::Release);
        Ok(())
    }

    /// Whether any machine was ever anybody's but the house's.
    pub fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    /// Whose a machine's work in an epoch is.
    pub fn owner_in(&self, machine: MachineId, epoch: EpochNumber, at_login: Owner) -> Owner {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match table.owner_in(machine, epoch) {
            None => at_login,
            Some(MachineOwner::House) => Owner::House,
            Some(MachineOwner::Account(id)) => Owner::Account(id),
        }
    }
}

/// Looks for changes of owner until the house stops.
pub(super) async fn watch_owners(
    farm: Farm,
    owners: std::sync::Arc<Owners>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
        if let Err(error) = owners.load(&farm).await {
            tracing::warn!(%error, "cannot look up whose machines are");
        }
    }
}

/// Writes bills with settlements.
pub struct Bills(pub Hosting);

#[async_trait]
impl AfterSettlement for Bills {
    async fn settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<(), MarketError> {
        let Settled { lane, to, now, credited } = *settled;
        let settled = gruve_hosting::Settled { lane, to, now, credited };
        self.0.bill(tx, &settled).await.map_err(|e| match e {
            HostingError::Store(e) | HostingError::Farm(FarmError::Store(e)) => e.into(),
            HostingError::Ledger(e) => e.into(),
            other => MarketError::Broken(format!("bills of hosted machines: {other}")),
        })
    }
}

/// The name under which all shares of a lane are counted together: where there are none, no machine of it can
/// be blamed. No machine has it: ids are of other versions of UUIDs.
fn whole_lane(lane: &LaneId) -> MachineId {
    let hash = Sha256::digest(format!("gruve whole lane\0{lane}"));
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    // Version 0 (RFC 9562 gives it to none).
    id[6] &= 0x0f;
    MachineId::from_bytes(id)
}

/// What was read of a share log at once.
struct Read {
    proofs: BTreeMap<(MachineId, EpochNumber), Proof>,
    to: ProvenPlace,
    count: usize,
}

/// Counts a lane's share log machine by machine until the house stops.
pub(super) async fn count_proven(
    lane: LaneId,
    log: ShareLog,
    farm: Farm,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let counted = tokio::select! {
            counted = count(&lane, &log, &farm) => counted,
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        };
        if let Err(error) = counted {
            tracing::warn!(%lane, error, "cannot count what machines prove; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

/// Reads on from the stored place for ever; ends with an error only.
async fn count(lane: &LaneId, log: &ShareLog, farm: &Farm) -> Result<(), String> {
    let mut place = farm.proven_place(lane).await.map_err(|e| e.to_string())?;
    loop {
        let from = position(place).max(log.start());
        let known = farm.inventory().await.map_err(|e| e.to_string())?;
        let known: BTreeSet<MachineId> = known.into_iter().map(|i| i.machine).collect();
        let (reader, before, lane_mark) = (log.reader(from), place, whole_lane(lane));
        let read = tokio::task::spawn_blocking(move || read(reader, before, &known, lane_mark));
        let read = read.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        if read.count == 0 {
            log.wait_past(from).await;
            continue;
        }
        // No hurry: what comes meanwhile goes into the same transaction.
        let added = farm.add_proven(lane, &read.proofs, place, read.to).await;
        place = match added.map_err(|e| e.to_string())? {
            true => read.to,
            false => farm.proven_place(lane).await.map_err(|e| e.to_string())?,
        };
        if read.count < BATCH {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn position(place: ProvenPlace) -> Position {
    let stored = place.place.and_then(|(segment, offset)| Position::from_i64s(segment, offset));
    stored.unwrap_or(Position::START)
}

fn read(
    mut reader: LogReader,
    before: ProvenPlace,
    known: &BTreeSet<MachineId>,
    lane_mark: MachineId,
) -> Result<Read, LogError> {
    let mut proofs = BTreeMap::new();
    let (mut sealed, mut count) = (before.sealed, 0);
    while count < BATCH {
        let Some((_, record)) = reader.next()? else { break };
        count += 1;
        match record {
            Record::Share(s) => {
                let owner = match s.owner {
                    Owner::House => MachineOwner::House,
                    Owner::Account(id) => MachineOwner::Account(id),
                };
                let mut add = |machine, owner| {
                    let key = (machine, s.epoch);
                    proofs.entry(key).or_insert_with(|| Proof::none(owner)).add(s.class);
                };
                add(lane_mark, MachineOwner::House);
                if known.contains(&s.machine) {
                    add(s.machine, owner);
                }
            }
            Record::Seal { epoch, .. } => sealed = sealed.max(Some(epoch)),
            _ => {}
        }
    }
    let place = Some(reader.position().to_i64s());
    Ok(Read { proofs, to: ProvenPlace { place, sealed }, count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::AccountId;

    #[test]
    fn a_share_is_the_owners_of_its_jobs_epoch_whatever_the_login_was_told() {
        let (owners, machine) = (Owners::default(), MachineId::from_bytes([1; 16]));
        let account = AccountId::from_bytes([2; 16]);
        assert_eq!(owners.owner_in(machine, EpochNumber(5), Owner::House), Owner::House);
        let mut table = OwnerTable::default();
        table.put(machine, EpochNumber(10), MachineOwner::Account(account));
        table.put(machine, EpochNumber(20), MachineOwner::House);
        *owners.table.write().unwrap() = table;
        let of = |epoch, login| owners.owner_in(machine, EpochNumber(epoch), login);
        assert_eq!(of(9, Owner::House), Owner::House);
        assert_eq!(of(10, Owner::House), Owner::Account(account));
        assert_eq!(of(19, Owner::House), Owner::Account(account));
        assert_eq!(of(20, Owner::Account(account)), Owner::House, "an old connection");
    }
}
