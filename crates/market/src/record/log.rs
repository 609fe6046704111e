//! The entries of the public log and their places.

use super::sql;
use crate::{Market, MarketError, Result};
use gruve_proof::summary::{EpochSummary, FileRef};
use gruve_store::{Tx, params, transact};
use gruve_units::{EpochNumber, LaneId};

/// Entries given their places in one transaction at most.
const PLACED_AT_ONCE: u32 = 256;

impl Market {
    /// The log's own entries, its head and changes of keys, in their order.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_keys(&self) -> Result<Vec<Vec<u8>>> {
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(sql::OWN_ENTRIES, &params![String::new()]).await?;
        tx.rollback().await?;
        rows.iter().map(|row| Ok(row.get("entry")?)).collect()
    }

    /// Begins the log with this entry.
    ///
    /// # Errors
    /// The database's, also when the log has begun.
    pub async fn begin_log(&self, head: &[u8]) -> Result<()> {
        transact!(self.store(), tx -> Result<()> => {
            own_entry(tx, 0, head.to_vec()).await
        })
    }

    /// Adds a change of keys at the log's end: `entry` makes it for its place. No epoch is closed meanwhile.
    ///
    /// # Errors
    /// The database's; [`MarketError::Broken`] when an epoch was closed meanwhile.
    pub async fn change_keys(&self, entry: impl Fn(u64) -> Vec<u8> + Send + Sync) -> Result<()> {
        self.place_entries().await?;
        let entry = &entry;
        transact!(self.store(), tx -> Result<()> => {
            if !tx.fetch_all(sql::WAITING, &params![1u32]).await?.is_empty() {
                return Err(MarketError::Broken("an epoch was closed meanwhile: try again".into()));
            }
            let next: u64 = tx.fetch_one(sql::NEXT_PLACE, &params![]).await?.get("next")?;
            own_entry(tx, next, entry(next)).await
        })
    }

    /// Gives the entries that have none their places in the log, each lane's in the order of its epochs.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_entries(&self) -> Result<()> {
        while self.place_some().await? == u64::from(PLACED_AT_ONCE) {}
        Ok(())
    }

    async fn place_some(&self) -> Result<u64> {
        transact!(self.store(), tx -> Result<u64> => {
            let waiting = tx.fetch_all(sql::WAITING, &params![PLACED_AT_ONCE]).await?;
            if waiting.is_empty() {
                return Ok(0);
            }
            let mut next: u64 = tx.fetch_one(sql::NEXT_PLACE, &params![]).await?.get("next")?;
            for row in &waiting {
                let (lane, epoch): (String, EpochNumber) = (row.get("lane")?, row.get("epoch")?);
                let placed = tx.execute(sql::PLACE, &params![lane, epoch, next]).await?;
                if placed != 1 {
                    return Err(MarketError::Broken("an entry of the log was placed twice".into()));
                }
                next += 1;
            }
            Ok(waiting.len() as u64)
        })
    }

    /// Entries of the public log from a place on, at most 256.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_entries(&self, from: u64) -> Result<Vec<Vec<u8>>> {
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(sql::ENTRIES, &params![from, 256u32]).await?;
        tx.rollback().await?;
        rows.iter().map(|row| Ok(row.get("entry")?)).collect()
    }

    /// The public files that the newest entries of a lane name; the lists of places among them are read again when the next
    /// epochs are closed.
    ///
    /// # Errors
    /// The database's; [`MarketError::Broken`] for an entry that is none.
    pub async fn newest_files(&self, lane: &LaneId) -> Result<Vec<(EpochNumber, FileRef)>> {
        let mut tx = self.store().read().await?;
        let given = params![lane.clone(), crate::stamps::KEPT];
        let rows = tx.fetch_all(sql::LAST_ENTRIES, &given).await?;
        tx.rollback().await?;
        let mut files = Vec::new();
        for row in rows {
            let summary = EpochSummary::parse(&row.get::<Vec<u8>>("entry")?);
            let summary =
                summary.map_err(|e| MarketError::Broken(format!("an entry of the log: {e}")))?;
            let Some(s) = summary else { continue };
            let named = [s.record, s.sold, s.places].into_iter();
            let named = named.filter(|file| *file != FileRef::default());
            files.extend(named.map(|file| (s.epoch, file)));
        }
        Ok(files)
    }

    /// The last epoch of a lane that has an entry.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_logged(&self, lane: &LaneId) -> Result<Option<EpochNumber>> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(sql::LAST_OF_LANE, &params![lane.clone()]).await?;
        tx.rollback().await?;
        Ok(row.map(|r| r.get("epoch")).transpose()?)
    }
}

/// An entry of the log's own, at its place.
async fn own_entry(tx: &mut Tx, place: u64, entry: Vec<u8>) -> Result<()> {
    let (lane, epoch) = (String::new(), EpochNumber(place));
    tx.execute(sql::INSERT_ENTRY, &params![lane.clone(), epoch, entry]).await?;
    tx.execute(sql::PLACE, &params![lane, epoch, place]).await?;
    Ok(())
}
