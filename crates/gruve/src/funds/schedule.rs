//! Statements by schedule, of the house's own wallets.

use super::Desk;
use gruve_market::funds::last_statement;
use gruve_units::{Duration, Timestamp};
use tokio::sync::watch;

/// How often the clock is looked at, and what failed tried again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Desk {
    /// Makes a statement whenever the last is older than `every`, until the house stops. While there is a draft, somebody
    /// is at it: nothing is made then.
    ///
    /// # Errors
    /// None: what fails is said and tried again.
    pub(crate) async fn keep_stating(
        self,
        every: Duration,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), String> {
        // Told when it begins or becomes another: a new house has nothing to state for hours.
        let mut told = None;
        loop {
            let failed = self.state_if_due(every).await.err();
            if let Some(error) = failed.as_ref().filter(|_| told != failed) {
                tracing::warn!(error, "no statement of funds could be made; trying again");
            }
            told = failed;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stopped.wait_for(|s| *s) => return Ok(()),
            }
        }
    }

    async fn state_if_due(&self, every: Duration) -> Result<(), String> {
        if self.has_draft() || !is_due(self.last_at().await?, self.clock.now(), every) {
            return Ok(());
        }
        self.draft(Vec::new()).await?;
        let made = self.publish(None).await;
        if made.is_err() {
            // One that could not be published is of a moment that is over.
            self.discard()?;
        }
        let statement = made?;
        tracing::info!(statement, "a statement of funds was made");
        Ok(())
    }

    async fn last_at(&self) -> Result<Option<Timestamp>, String> {
        let mut tx = self.store.read().await.map_err(|e| e.to_string())?;
        let last = last_statement(&mut tx).await.map_err(|e| e.to_string())?;
        tx.rollback().await.map_err(|e| e.to_string())?;
        Ok(last.map(|last| Timestamp(i64::try_from(last.at_us).unwrap_or(i64::MAX))))
    }
}

fn is_due(last: Option<Timestamp>, now: Timestamp, every: Duration) -> bool {
    last.is_none_or(|last| last.plus(every) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_due_when_the_last_is_old_enough() {
        let (now, hour) = (Timestamp::from_secs(10_000), Duration::from_secs(3_600));
        assert!(is_due(None, now, hour));
        assert!(!is_due(Some(Timestamp::from_secs(6_401)), now, hour));
        assert!(is_due(Some(Timestamp::from_secs(6_400)), now, hour));
        assert!(!is_due(Some(Timestamp::from_secs(20_000)), now, hour), "the clock was put back");
    }
}
