//! Who reads a lane's share log, and how far each of them is: nothing goes of it before all have read it, so who keeps
//! failing keeps the whole log, and the operator is to hear of that before the disk is full.
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
use gruve_sharelog::{LATE_EPOCHS, Position, ShareLog};
use gruve_units::{EpochRule, LaneId};
use gruve_web::{LiveLogReader, LogReaderKind};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked how far they are: as often as the watch looks at the house.
const EVERY: Duration = Duration::from_secs(60);

/// Those who read one lane's log.
#[derive(Clone)]
pub(super) struct LogReaders {
    pub(super) lane: LaneId,
    pub(super) rule: EpochRule,
    pub(super) log: ShareLog,
    pub(super) farm: Farm,
    /// Where it is kept how far acceptance roots are signed.
    pub(super) signed: PathBuf,
}

impl LogReaders {
    /// From where each of those who read at all needs the log, of whom the accountant needs it from `accounted`.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn places(
        &self,
        accounted: Position,
    ) -> Result<Vec<(LogReaderKind, Position)>, FarmError> {
        // Without machines nobody counts, and whoever begins to does so at the end.
        let counted = match self.farm.inventory_after(None, 1).await?.is_empty() {
            true => None,
            false => hosted::counted_to(self.farm.proven_place(&self.lane).await?),
        };
        let all = [
            (LogReaderKind::Accountant, Some(accounted)),
            (LogReaderKind::CountByMachine, counted),
            (LogReaderKind::AcceptanceRoots, acceptance::signed_to(&self.signed)),
        ];
        Ok(all.into_iter().filter_map(|(who, place)| Some((who, place?))).collect())
    }

    /// Tells how far each is, until the house stops.
    ///
    /// # Errors
    /// None: the form is that of the house's parts.
    pub(super) async fn run(
        self,
        accountant: Accountant,
        told: watch::Sender<Vec<LiveLogReader>>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), String> {
        while pause(EVERY, &mut stopped).await {
            let cursor = accountant.cursor(&self.lane).await.map_err(|e| e.to_string());
            let looked = async { self.look(cursor?).await };
            match looked.await {
                Ok(readers) => drop(told.send_replace(readers)),
                Err(error) => {
                    tracing::warn!(lane = %self.lane, error, "cannot tell how far the share log is read");
                }
            }
        }
        Ok(())
    }

    async fn look(&self, accounted: Position) -> Result<Vec<LiveLogReader>, String> {
        let places = self.places(accounted).await.map_err(|e| e.to_string())?;
        let (log, allowed) = (self.log.clone(), self.allowed());
        let lane = self.lane.clone();
        let read = tokio::task::spawn_blocking(move || {
            let one = |(who, place)| {
                let unread = log.unread(place);
                // The accountant keeps what late work is held against: it is not behind for that.
                let kept = if who == LogReaderKind::Accountant { allowed } else { Duration::ZERO };
                LiveLogReader {
                    lane: lane.clone(),
                    who,
                    unread_bytes: unread.bytes,
                    behind_since: unread.since.map(|at| at.plus(kept)),
                }
            };
            places.into_iter().map(one).collect()
        });
        read.await.map_err(|e| e.to_string())
    }

    /// How far back the accountant's cursor stands where all is well: the epoch under way, those that late work may come of,
    /// and one in which its closing may wait for blocks and disks.
    fn allowed(&self) -> Duration {
        let epochs = u32::try_from(LATE_EPOCHS).unwrap_or(u32::MAX).saturating_add(2);
        Duration::from_micros(self.rule.length_us).saturating_mul(epochs)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use gruve_farm::{HouseSecret, NewInventory, ProvenPlace};
    use gruve_sharelog::Options;
    use gruve_store::Store;
    use gruve_store::testing::{TestDir, on_sqlite};
    use gruve_units::{EpochNumber, Hashrate, ManualClock, SeededEntropy, Timestamp};
    use std::sync::Arc;

    pub(in crate::house) const RULE: EpochRule = EpochRule { length_us: 600_000_000, grace_us: 0 };

    /// A log of a segment for each seal, all of long ago; where each begins.
    pub(in crate::house) async fn long_log(dir: &TestDir) -> (ShareLog, Vec<Position>) {
        let options = Options { segment_bytes: 64, ..Options::default() };
        let log = ShareLog::open(dir.path().join("log"), options).unwrap();
        let mut begins = Vec::new();
        for n in 1..=6 {
            log.seal(EpochNumber(n), Timestamp(n.cast_signed())).unwrap();
            begins.push(Position { segment: log.end().segment, offset: 32 });
        }
        log.synced(log.end()).await.unwrap();
        (log, begins)
    }

    pub(in crate::house) async fn one_machine(store: Store, clock: Arc<ManualClock>) -> Farm {
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

    #[test]
    fn each_who_reads_is_told_with_what_it_has_not_read_and_how_old_that_is() {
        on_sqlite(|store| async move {
            let (dir, lane): (_, LaneId) = (TestDir::new(), "btc".parse().unwrap());
            let (log, begins) = long_log(&dir).await;
            let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
            let farm = one_machine(store, clock).await;
            let signed = dir.path().join(acceptance::place_name(&lane));
            let own = LogReaders { lane, rule: RULE, log, farm, signed };
            let told = own.look(begins[4]).await.unwrap();
            let who: Vec<_> = told.iter().map(|r| r.who).collect();
            assert_eq!(who, [LogReaderKind::Accountant], "nobody counts or signs yet");
            let (segment, offset) = begins[2].to_i64s();
            std::fs::write(&own.signed, format!("7 {segment} {offset} 1\n")).unwrap();
            let now = ProvenPlace { place: Some(own.log.end().to_i64s()), sealed: None };
            let (was, none) = (own.farm.proven_place(&own.lane).await.unwrap(), Default::default());
            assert!(own.farm.add_proven(&own.lane, &none, was, now).await.unwrap());
            let told = own.look(begins[4]).await.unwrap();
            let of = |who| told.iter().find(|r| r.who == who).unwrap();
            let signer = of(LogReaderKind::AcceptanceRoots);
            let unread = own.log.unread(begins[2]);
            assert_eq!(signer.behind_since, unread.since);
            assert!(signer.unread_bytes == unread.bytes && unread.bytes > 0);
            let counter = of(LogReaderKind::CountByMachine);
            assert_eq!((counter.unread_bytes, counter.behind_since), (0, None));
            // Four epochs of what it has not read are the accountant's to keep.
            let since = own.log.unread(begins[4]).since.unwrap();
            let accountant = of(LogReaderKind::Accountant);
            assert_eq!(accountant.behind_since, Some(since.plus(Duration::from_secs(2_400))));
            assert!(accountant.unread_bytes > 0);
        });
    }
}
