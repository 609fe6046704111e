//! Reading the journal entry by entry, newest first, for people who look through it.

use crate::post::{BROWSE_ENTRIES, BROWSE_POSTINGS, HASH_OF_ENTRY, HEAD};
use crate::{LedgerError, Result};
use gruve_store::{Row, Tx, params};
use gruve_units::{Amount, Timestamp};
use std::collections::BTreeMap;

/// Entries of a page at most: with [`crate::POSTINGS_MAX`] postings each still below the most rows that
/// a fetch gives.
pub const BROWSED_MAX: u32 = 40;

/// An entry as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its number.
    pub seq: i64,
    /// What it was made for, once for ever.
    pub reason: String,
    /// Its kind.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// The chain's hash up to it.
    pub hash: [u8; 32],
    /// Accounts and what was posted to them: debits positive, credits negative.
    pub postings: Vec<(String, Amount)>,
}

/// Entries before a number, newest first: at most `limit`, at most [`BROWSED_MAX`].
///
/// # Errors
/// The database's.
pub async fn browse(tx: &mut Tx, before: Option<i64>, limit: u32) -> Result<Vec<JournalEntry>> {
    let given = params![before.unwrap_or(i64::MAX), limit.min(BROWSED_MAX)];
    let rows = tx.fetch_all(BROWSE_ENTRIES, &given).await?;
    let entry = |row: &Row| -> Result<JournalEntry> {
        Ok(JournalEntry {
            seq: row.get("seq")?,
            reason: row.get("reason")?,
            kind: row.get("kind")?,
            at: row.get("at")?,
            hash: row.get("hash")?,
            postings: Vec::new(),
        })
    };
    let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let (Some(first), Some(last)) = (entries.last(), entries.first()) else { return Ok(entries) };
    let mut postings: BTreeMap<i64, Vec<(String, Amount)>> = BTreeMap::new();
    for row in tx.fetch_all(BROWSE_POSTINGS, &params![first.seq, last.seq]).await? {
        let amount = Amount::new(row.get("asset")?, row.get("minor")?);
        postings.entry(row.get("seq")?).or_default().push((row.get("account")?, amount));
    }
    for e in &mut entries {
        let of = postings.remove(&e.seq);
        e.postings = of.ok_or_else(|| LedgerError::Damaged(format!("entry {} is empty", e.seq)))?;
    }
    Ok(entries)
}

/// The newest entry's number and hash; `None` in empty books.
///
/// # Errors
/// The database's.
pub async fn newest_entry(tx: &mut Tx) -> Result<Option<(i64, [u8; 32])>> {
    let row = tx.fetch_optional(HEAD, &[]).await?;
    row.map(|row| Ok((row.get("seq")?, row.get("hash")?))).transpose()
}

/// Whether the journal has this entry. It only grows: where one that was there is no more, the database has gone back.
///
/// # Errors
/// The database's.
pub async fn has_entry(tx: &mut Tx, (seq, hash): (i64, [u8; 32])) -> Result<bool> {
    let row = tx.fetch_optional(HASH_OF_ENTRY, &params![seq]).await?;
    let found: Option<[u8; 32]> = row.map(|row| row.get("hash")).transpose()?;
    Ok(found == Some(hash))
}
