//! Entries: what is posted.

use crate::{Account, LedgerError, Result};
use gruve_units::{Amount, Asset, Timestamp};
use std::collections::BTreeMap;

/// Bytes of a reason at most: room for a word, a lane and three ids.
pub const REASON_BYTES_MAX: usize = 200;

/// Postings of an entry at most: a payout batch with a hundred receivers uses some two hundred; an
/// entry of this size still takes well under a second.
pub const POSTINGS_MAX: usize = 2_000;

/// One line of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Whose balance it moves.
    pub account: Account,
    /// By how much: debits positive, credits negative.
    pub amount: Amount,
}

impl Posting {
    /// A debit of `amount`; a negative amount makes it a credit.
    #[must_use]
    pub const fn debit(account: Account, amount: Amount) -> Posting {
        Posting { account, amount }
    }

    /// A credit of `amount`; a negative amount makes it a debit.
    #[must_use]
    pub const fn credit(account: Account, amount: Amount) -> Posting {
        // Saturation at the smallest number leaves the entry out of balance, which is then refused.
        let amount = Amount::new(amount.asset, amount.minor.saturating_neg());
        Posting { account, amount }
    }
}

/// What is posted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is the effect of, unique in the books: 1 to [`REASON_BYTES_MAX`] printable ASCII
    /// characters, made of ids, never of personal data.
    pub reason: String,
    /// The kind of business, for reports: 1 to 32 of `a`–`z`, `0`–`9`, `-`.
    pub kind: &'static str,
    /// When it happened, as the caller says; a repetition may say otherwise.
    pub at: Timestamp,
    /// The lines, in any order; those of zero are left out.
    pub postings: Vec<Posting>,
}

impl Entry {
    /// An entry that moves `amount` from one account to another: debits `debit`, credits `credit`.
    #[must_use]
    pub fn transfer(
        reason: impl Into<String>,
        kind: &'static str,
        at: Timestamp,
        debit: Account,
        credit: Account,
        amount: Amount,
    ) -> Entry {
        let postings = vec![Posting::debit(debit, amount), Posting::credit(credit, amount)];
        Entry { reason: reason.into(), kind, at, postings }
    }
}

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It was written.
    New,
    /// It had been written before.
    Already,
}

/// A posting as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) account: String,
    pub(crate) asset: Asset,
    pub(crate) minor: i64,
}

/// Checks an entry and gives its lines in the journal's order: by account, asset and amount.
pub(crate) fn lines(entry: &Entry) -> Result<Vec<Line>> {
    let malformed =
        |what| LedgerError::Malformed { reason: entry.reason.chars().take(64).collect(), what };
    let printable = entry.reason.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if entry.reason.is_empty() || entry.reason.len() > REASON_BYTES_MAX || !printable {
        return Err(malformed("has no reason of 1 to 200 printable ASCII characters"));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=32).contains(&entry.kind.len()) || !entry.kind.bytes().all(plain) {
        return Err(malformed("has no kind of 1 to 32 of a-z, 0-9 and -"));
    }
    if entry.postings.len() > POSTINGS_MAX {
        return Err(malformed("has more than 2000 postings"));
    }
    if !entry.postings.iter().all(|p| p.account.is_well_formed()) {
        return Err(malformed("names a pay-in method that is not 1 to 32 of a-z, 0-9 and -"));
    }
    let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
    for posting in &entry.postings {
        *sums.entry(posting.amount.asset).or_default() += i128::from(posting.amount.minor);
    }
    if let Some((&asset, &by)) = sums.iter().find(|(_, sum)| **sum != 0) {
        return Err(LedgerError::Unbalanced { reason: entry.reason.clone(), asset, by });
    }
    let moved = entry.postings.iter().filter(|p| p.amount.minor != 0);
    let mut lines: Vec<Line> = moved
        .map(|p| Line { account: p.account.key(), asset: p.amount.asset, minor: p.amount.minor })
        .collect();
    if lines.is_empty() {
        return Err(malformed("moves nothing"));
    }
    lines.sort_unstable();
    Ok(lines)
}
