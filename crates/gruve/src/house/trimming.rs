//! Deletes what is old of a lane's share log.
//!
//! Promises: nobody who reads the log loses what it has not read, however long it could not.
//! Who they are, `log_readers.rs` knows.

use super::chores::pause;
use super::log_readers::LogReaders;
use gruve_market::Accountant;
use gruve_sharelog::Position;
use gruve_units::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often old segments are looked for.
const EVERY: Duration = Duration::from_secs(600);

/// A lane's log with those who read it, and how long it is kept.
pub(super) struct Trimming {
    pub(super) readers: LogReaders,
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
        let lane = &self.readers.lane;
        while pause(EVERY, &mut stopped).await {
            let cursor = match accountant.cursor(lane).await {
                Ok(cursor) => cursor,
                Err(e) => {
                    tracing::warn!(%lane, error = %e, "cannot tell how far the accountant is");
                    continue;
                }
            };
            self.trim(cursor).await?;
        }
        Ok(())
    }

    async fn trim(&self, accounted: Position) -> Result<(), String> {
        let LogReaders { lane, log, .. } = &self.readers;
        let before = match self.readers.places(accounted).await {
            Ok(places) => places.into_iter().map(|(_, at)| at).fold(accounted, Position::min),
            Err(e) => {
                tracing::warn!(%lane, error = %e, "cannot tell how far machines are counted");
                return Ok(());
            }
        };
        let (from, log) = (log.start(), log.clone());
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
}

#[cfg(test)]
mod tests {
    use super::super::acceptance;
    use super::super::log_readers::tests::{RULE, long_log, one_machine};
    use super::*;
    use gruve_farm::ProvenPlace;
    use gruve_store::testing::{TestDir, on_sqlite};
    use gruve_units::{LaneId, ManualClock};
    use std::collections::BTreeMap;

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
            let readers = LogReaders { lane, rule: RULE, log, farm, signed };
            let own = Trimming { readers, clock, keep };
            let of = &own.readers;
            for ([accounted, counted, signed], left) in READ {
                if let Some(n) = counted {
                    let was = of.farm.proven_place(&of.lane).await.unwrap();
                    let now = ProvenPlace { place: Some(begins[n].to_i64s()), sealed: None };
                    let none = BTreeMap::new();
                    assert!(of.farm.add_proven(&of.lane, &none, was, now).await.unwrap());
                }
                if let Some(n) = signed {
                    let (segment, offset) = begins[n].to_i64s();
                    std::fs::write(&of.signed, format!("7 {segment} {offset} 1\n")).unwrap();
                }
                own.trim(begins[accounted.unwrap()]).await.unwrap();
                assert_eq!(of.log.start(), begins[left], "{accounted:?} {counted:?} {signed:?}");
            }
        });
    }
}
