//! Letters to owners of contracts: that money runs out, that a contract stands still or soon will, that its end comes.
//!
//! The market says of what ([`gruve_market::Letter`]), the accounts' room how letters go out and how many may wait. All that
//! waits for an account goes into one letter, taken and written in one transaction. While many messages are due, it goes on
//! waiting: a price that falls concerns thousands at once, and links to new passwords must not stand behind them. A house
//! that writes no letters drops what waits, so that one that begins to tells nothing old.

use crate::hosted::HandError;
use crate::state::AppState;
use gruve_market::{Letter, LetterLine, Told};
use gruve_store::transact;
use gruve_units::AccountId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often letters to be written are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Accounts looked up at once, of leases and of metered contracts each.
const ACCOUNTS_AT_ONCE: u32 = 50;

/// Lines of a letter at most: more than that is read on the page.
const LINES_MAX: u32 = 20;

fn page_of(line: &LetterLine) -> String {
    match line.told {
        Told::Lease(_) => format!("/contracts/{}", line.contract),
        Told::Metered(_) => format!("/metered/{}", line.contract),
    }
}

/// Sentences, each with the page that shows more of it.
fn lines_of(letter: &Letter) -> Vec<(String, String)> {
    let mut lines: Vec<_> =
        letter.lines.iter().map(|line| (line.told.sentence().to_owned(), page_of(line))).collect();
    if letter.more > 0 {
        let n = letter.more;
        lines.push((format!("More notices stand in your account: {n}."), "/account".to_owned()));
    }
    lines
}

impl AppState {
    /// Writes to the owners of contracts what they are to be written of; to how many.
    ///
    /// # Errors
    /// In words, of the first that could not be written to; the others are.
    pub async fn write_to_owners(&self) -> Result<u32, String> {
        let due = self.due_to_be_written_to().await.map_err(|e| e.to_string())?;
        let (mut written, mut failed) = (0, None);
        for account in due {
            match self.write_to_owner(account).await {
                Ok(is_written) => written += u32::from(is_written),
                Err(e) => failed = failed.or(Some(e.to_string())),
            }
        }
        failed.map_or(Ok(written), Err)
    }

    async fn due_to_be_written_to(&self) -> Result<BTreeSet<AccountId>, HandError> {
        let due = self.market().accounts_to_write_to(ACCOUNTS_AT_ONCE).await?;
        if due.is_empty() || self.accounts().has_much_to_send().await? {
            return Ok(BTreeSet::new());
        }
        if self.accounts().mail_rules().is_none() {
            self.market().drop_letters().await?;
            return Ok(BTreeSet::new());
        }
        Ok(due)
    }

    async fn write_to_owner(&self, account: AccountId) -> Result<bool, HandError> {
        transact!(self.store(), tx -> Result<bool, HandError> => {
            let letter = self.market().take_letter(tx, account, LINES_MAX).await?;
            if letter.lines.is_empty() {
                // Taken by another process, or of kinds that this program does not know.
                return Ok(false);
            }
            self.accounts().tell_of_contracts(tx, account, &lines_of(&letter)).await?;
            Ok(true)
        })
    }
}

/// Writes letters as long as the site is served.
pub(crate) async fn keep_writing(state: AppState) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = state.write_to_owners().await {
            tracing::warn!(%error, "letters to owners of contracts wait");
        }
    }
}
