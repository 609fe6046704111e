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

/// How often letters to be written are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The same while there are more than are written at once, or have to wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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

/// What is said of a contract, with its figures on a line of their own where they are a sentence.
fn said_of(line: &LetterLine) -> String {
    let said = line.told.sentence();
    if line.detail.ends_with('.') { format!("{said}\n{}", line.detail) } else { said.to_owned() }
}

/// Sentences, each with the page that shows more of it.
fn lines_of(letter: &Letter) -> Vec<(String, String)> {
    let mut lines: Vec<_> = letter.lines.iter().map(|l| (said_of(l), page_of(l))).collect();
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
        self.write_to_some().await.map(|(written, _)| written)
    }

    /// The same; also whether more of them wait.
    async fn write_to_some(&self) -> Result<(u32, bool), String> {
        let (due, more_wait) = self.due_to_be_written_to().await.map_err(|e| e.to_string())?;
        let (mut written, mut failed) = (0, None);
        for account in due {
            match self.write_to_owner(account).await {
                Ok(is_written) => written += u32::from(is_written),
                Err(e) => failed = failed.or(Some(e.to_string())),
            }
        }
        failed.map_or(Ok((written, more_wait)), Err)
    }

    async fn due_to_be_written_to(&self) -> Result<(BTreeSet<AccountId>, bool), HandError> {
        let due = self.market().accounts_to_write_to(ACCOUNTS_AT_ONCE).await?;
        if due.is_empty() {
            return Ok((due, false));
        }
        if self.accounts().has_much_to_send().await? {
            return Ok((BTreeSet::new(), true));
        }
        if self.accounts().mail_rules().is_none() {
            self.market().drop_letters().await?;
            return Ok((BTreeSet::new(), false));
        }
        let are_all = due.len() < usize::try_from(ACCOUNTS_AT_ONCE).unwrap_or(usize::MAX);
        Ok((due, !are_all))
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

/// Writes letters as long as the site is served: as fast as they are sent, where there are many.
pub(crate) async fn keep_writing(state: AppState) {
    loop {
        let next = match state.write_to_some().await {
            Ok((_, true)) => LOOK_AGAIN,
            Ok((_, false)) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "letters to owners of contracts wait");
                LOOK_EVERY
            }
        };
        tokio::time::sleep(next).await;
    }
}
