//! The books: double entry, whole minor units, append-only.
//!
//! # For what
//! [`post`] (and [`post_all`] for many at once) writes an [`Entry`] of [`Posting`]s into a transaction that the caller began, so that an
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
//! | phase | statements for any number of entries ([`post_all`]) |
//! |---|---|
//! | look for the reasons and the balances; decide | 2, and 1 for each reason that is there already |
//! | the head; entries, postings, new and moved balances | 2 + 4 for each ten thousand rows |
//!
//! All entries pass through one head row, so posts are one after another even on `PostgreSQL`.
//!
//! # What this room must not know
//! Names, addresses or anything else about a person; contracts, chains or payouts beyond their ids.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod audit;
mod balances;
mod browse;
mod entry;
mod error;
mod journal;
mod post;

use gruve_store::Migration;

pub use account::{Account, AccountKind, Floor, Side};
pub use audit::{AuditReport, FINDINGS_MAX, Finding, audit};
pub use balances::{
    Line, Moved, PAGE_MAX, balance, balance_before, balances, balances_of, customer_balances,
    lines_of, moved_since, sums_of_kind, totals,
};
pub use browse::{BROWSED_MAX, JournalEntry, browse, has_entry, newest_entry};
pub use entry::{Entry, POSTINGS_MAX, Posted, Posting, REASON_BYTES_MAX};
pub use error::LedgerError;
pub use journal::{GENESIS, HEAD_TABLE, entry_hash};
pub use post::{post, post_all};

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "books",
        sqlite: include_str!("../migrations/0001_books.sqlite.sql"),
        postgres: include_str!("../migrations/0001_books.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "entries_of_postings",
        sqlite: include_str!("../migrations/0002_entries_of_postings.sqlite.sql"),
        postgres: include_str!("../migrations/0002_entries_of_postings.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "room_for_balances",
        sqlite: include_str!("../migrations/0003_room_for_balances.sqlite.sql"),
        postgres: include_str!("../migrations/0003_room_for_balances.postgres.sql"),
    },
];

/// A result with this room's error.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;
