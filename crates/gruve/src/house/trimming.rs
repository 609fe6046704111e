//! Deletes what is old of a lane's share log.
//!
//! Promises: nobody who reads the log loses what it has not read, however long it could not.
//!
//! | who reads | needs it from |
//! |---|---|
//! | the accountant, and what it looks up of late work | its cursor: the first job that work may still come on |
//! | who counts machine by machine (`hosted.rs`) | its place in the farm's tables, while there are machines |
//! | who signs acceptance roots (`acceptance.rs`) | its place in the data folder |
//! | who sends found blocks again | the oldest without an outcome: the log itself keeps that |
//!
//! The public record is made of what the accountant reads, and an audit of what there is: it says of which epochs it saw not all.

use super::chores::pause;
use super::{acceptance, hosted};
use gruve_farm::{Farm, FarmError};
use gruve_market::Accountant;
use gruve_sharelog::{Position, ShareLog};
use gruve_units::{Clock, LaneId, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often old segments are looked for.
const EVERY: Duration = Duration::from_secs(600);

/// A lane's log, who reads it beside the accountant, and how long it is kept.
pub(super) struct Trimming {
    pub(super) lane: LaneId,
    pub(super) log: ShareLog,
    pub(super) farm: Farm,
    /// Where it is kept how far acceptance roots are signed.
    pub(super) signed: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keep: gruve_units::Duration,
}

impl Trimming {
    /// Deletes segments that are old enough and read by all, until the house stops.
    ///
    /// # Errors
    /// When a thread that deletes them panics.
    pub(super) async fn run(
        self,
        accountant: Accountant,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), String> {
        while pause(EVERY, &mut stopped).await {
            let cursor = match accountant.cursor(&self.lane).await {
                Ok(cursor) => cursor,
                Err(e) => {
                    tracing::warn!(lane = %self.lane, error = %e, "cannot tell how far the accountant is");
                    continue;
                }
            };
            self.trim(cursor).await?;
        }
        Ok(())
    }

    async fn trim(&self, accounted: Position) -> Result<(), String> {
        let lane = &self.lane;
        let before = match self.read_by_all(accounted).await {
            Ok(before) => before,
            Err(e) => {
                tracing::warn!(%lane, error = %e, "cannot tell how far machines are counted");
                return Ok(());
            }
        };
        let (from, log) = (self.log.start(), self.log.clone());
        let older: Timestamp = self.clock.now().minus(self.keep);
        match tokio::task::spawn_blocking(move || log.trim_older(older, before)).await {
            Ok(Ok(start)) if start > from => {
                tracing::info!(%lane, begins = %start, "trimmed the share log");
            }
            Ok(Ok(_)) => {}
            Ok(Err(e)) => tracing::warn!(%lane, error = %e, "cannot trim the share log"),
            Err(e) => return Err(format!("trimming the share log of lane {lane}: {e}")),
        }
        Ok(())
    }

    /// Up to where nobody needs the log any more, of whom the accountant needs it from `accounted`.
    async fn read_by_all(&self, accounted: Position) -> Result<Position, FarmError> {
        let signed = acceptance::signed_to(&self.signed);
        // Without machines nobody counts, and whoever begins to does so at the end.
        let counted = match self.farm.inventory_after(None, 1).await?.is_empty() {
            true => None,
            false => hosted::counted_to(self.farm.proven_place(&self.lane).await?),
        };
        Ok([signed, counted].into_iter().flatten().fold(accounted, Position::min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_farm::{HouseSecret, NewInventory, ProvenPlace};
    use gruve_sharelog::Options;
    use gruve_store::Store;
    use gruve_store::testing::{TestDir, on_sqlite};
    use gruve_units::{EpochNumber, Hashrate, ManualClock, SeededEntropy};
    use std::collections::BTreeMap;

    /// A log of a segment for each seal, all of long ago; where each begins.
    async fn long_log(dir: &TestDir) -> (ShareLog, Vec<Position>) {
        let options = Options { segment_bytes: 64, ..Options::default() };
        let log = ShareLog::open(dir.path().join("log"), options).unwrap();
        let mut begins = Vec::new();
        for n in 1..=6 {
            log.seal(EpochNumber(n), Timestamp(1)).unwrap();
            begins.push(Position { segment: log.end().segment, offset: 32 });
        }
        log.synced(log.end()).await.unwrap();
        (log, begins)
    }

    async fn one_machine(store: Store, clock: Arc<ManualClock>) -> Farm {
        Farm::migrate(&store).await.unwrap();
        let farm = Farm::new(store, clock, Arc::new(SeededEntropy::new(3)))
            .with_house_secret(HouseSecret::new("the farm's own words").unwrap());
        let site = farm.add_site("oslo").await.unwrap();
        let new = NewInventory {
            site,
            name: "rig".to_owned(),
            lane: "btc".parse().unwrap(),
            serial: "SN1".to_owned(),
            model: "S19".to_owned(),
            rack: "A".to_owned(),
            nameplate: Hashrate(1),
            watts: 1,
        };
        farm.add_inventory(new).await.unwrap();
        farm
    }

    /// Who has read up to the beginning of which segment: the accountant, who counts, who signs; and what is left.
    const READ: [([Option<usize>; 3], usize); 5] = [
        ([Some(1), None, None], 1),
        ([Some(4), Some(2), Some(4)], 2),
        ([Some(4), Some(4), Some(3)], 3),
        ([Some(4), Some(5), Some(5)], 4),
        ([Some(5), Some(5), Some(5)], 5),
    ];

    #[test]
    fn nothing_is_trimmed_that_somebody_has_yet_to_read() {
        on_sqlite(|store| async move {
            let (dir, lane): (_, LaneId) = (TestDir::new(), "btc".parse().unwrap());
            let (log, begins) = long_log(&dir).await;
            let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
            let farm = one_machine(store, clock.clone()).await;
            let signed = dir.path().join(acceptance::place_name(&lane));
            let keep = gruve_units::Duration::from_secs(1);
            let own = Trimming { lane, log, farm, signed, clock, keep };
            for ([accounted, counted, signed], left) in READ {
                if let Some(n) = counted {
                    let was = own.farm.proven_place(&own.lane).await.unwrap();
                    let now = ProvenPlace { place: Some(begins[n].to_i64s()), sealed: None };
                    let none = BTreeMap::new();
                    assert!(own.farm.add_proven(&own.lane, &none, was, now).await.unwrap());
                }
                if let Some(n) = signed {
                    let (segment, offset) = begins[n].to_i64s();
                    std::fs::write(&own.signed, format!("7 {segment} {offset} 1\n")).unwrap();
                }
                own.trim(begins[accounted.unwrap()]).await.unwrap();
                assert_eq!(own.log.start(), begins[left], "{accounted:?} {counted:?} {signed:?}");
            }
        });
    }
}
