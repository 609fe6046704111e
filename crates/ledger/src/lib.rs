//! The books: double entry, whole minor units, append-only.
//!
//! # For what
//! [`post`] writes an [`Entry`] of [`Posting`]s into a transaction that the caller began, so that an
//! effect and its bookkeeping commit together or not at all. [`audit`] recomputes everything from
//! the journal.
//!
//! # Promises
//! - The postings of an entry sum to zero in every asset.
//! - An entry's reason is unique: posting the same again does nothing ([`Posted::Already`]), posting
//!   something else under it is an error that stops the house.
//! - No balance passes its account's floor ([`AccountKind::floor`]), however many debits race.
//! - A post that is refused for want of funds has written nothing: the transaction can go on.
//! - The journal is numbered without gaps and chained by hashes ([`entry_hash`]); triggers refuse
//!   changes to it, and [`audit`] finds those made behind the triggers' back.
//!
//! # What a post costs
//! | phase | round trips for *n* postings over *m* balances |
//! |---|---|
//! | look for the reason, the head, the balances; decide | 2 + *m* |
//! | advance the head, insert the entry and its postings, move the balances | 2 + *n* + *m* (2*m* at first) |
//!
//! All entries pass through one head row, so posts are one after another even on `PostgreSQL`.
//!
//! # What this room must not know
//! Names, addresses or anything else about a person; contracts, chains or payouts beyond their ids.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod audit;
mod balances;
mod entry;
mod error;
mod journal;
mod post;

use gruve_store::Migration;

pub use account::{Account, AccountKind, Floor, Side};
pub use audit::{AuditReport, FINDINGS_MAX, Finding, audit};
pub use balances::{Line, PAGE_MAX, balance, balances_of, customer_balances, lines_of, totals};
pub use entry::{Entry, POSTINGS_MAX, Posted, Posting, REASON_BYTES_MAX};
pub use error::LedgerError;
pub use journal::{GENESIS, entry_hash};
pub use post::post;

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "books",
    sqlite: include_str!("../migrations/0001_books.sqlite.sql"),
    postgres: include_str!("../migrations/0001_books.postgres.sql"),
}];

/// A result with this room's error.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;
