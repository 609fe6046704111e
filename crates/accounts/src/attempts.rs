//! Limiting attempts to sign in.
//!
//! Each attempt adds [`ATTEMPT_INTERVAL`] to an instant that is kept for its subject; when that
//! instant lies further ahead than [`ATTEMPTS_AT_ONCE`] intervals, the attempt is not heard. (This
//! is the generic cell rate algorithm: one integer a subject.) A sign-in that succeeds clears it.
//!
//! The attempt is counted before the password is checked, so that many at once gain nothing. The
//! subject is the account; for names that do not exist it is one of 65,536 cells, so that inventing
//! names neither fills the table nor shows by a missing limit that a name does not exist.

use crate::sql::{ATTEMPTS_OF, CLEAR_ATTEMPTS, SET_ATTEMPTS};
use crate::{AccountsError, Result};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Duration, Timestamp};
use sha2::{Digest, Sha256};

/// How long it takes until one more attempt is heard: some thousand guesses a day.
pub const ATTEMPT_INTERVAL: Duration = Duration::from_secs(90);

/// Attempts heard in quick succession: more than a person with several passwords in mind needs.
pub const ATTEMPTS_AT_ONCE: u32 = 10;

/// Whose attempts are counted together.
pub(crate) fn subject(found: Option<AccountId>, login: &str) -> Vec<u8> {
    match found {
        Some(account) => account.to_bytes().to_vec(),
        // Two bytes: no account's id has that length.
        None => Sha256::digest(login.as_bytes())[..2].to_vec(),
    }
}

/// Counts an attempt.
pub(crate) async fn count(tx: &mut Tx, subject: &[u8], now: Timestamp) -> Result<()> {
    let most = ATTEMPT_INTERVAL * ATTEMPTS_AT_ONCE;
    let row = tx.fetch_optional(ATTEMPTS_OF, &params![subject]).await?;
    let stored: Timestamp = row.map(|r| r.get("worked_off_at")).transpose()?.unwrap_or(now);
    // A clock that has gone back must not lock anybody out for longer than the limit itself.
    let begins = stored.clamp(now, now.plus(most));
    let worked_off = begins.plus(ATTEMPT_INTERVAL);
    if worked_off > now.plus(most) {
        let retry_after = worked_off.since(now.plus(most));
        return Err(AccountsError::TooManyAttempts { retry_after });
    }
    tx.execute(SET_ATTEMPTS, &params![subject, worked_off]).await?;
    Ok(())
}

/// Forgets a subject's attempts.
pub(crate) async fn clear(tx: &mut Tx, subject: &[u8]) -> Result<()> {
    tx.execute(CLEAR_ATTEMPTS, &params![subject]).await?;
    Ok(())
}
