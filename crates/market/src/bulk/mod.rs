//! Rows for a million contracts: many to a page.
//!
//! For: closing an epoch in seconds when every contract gets a line in it and moves on a little. A row for
//! each of them would cost a statement, two index entries and, for the change, a new version of a wide
//! row; here tens of contracts stand in one row of some two thousand bytes, in the order of their ids, and
//! one contract's line is found by the page's first id.
//!
//! Promises: a page says the same as rows would, to the last hash; pages that cannot be read are an error
//! and never taken for nothing.
//!
//! Must not know: what a contract is entitled to, or why.

mod coding;
pub(crate) mod lines;
pub(crate) mod progress;
pub(crate) mod sql;

use gruve_store::Migration;

/// The tables of pages, counted by themselves.
pub const PAGE_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "pages",
    sqlite: include_str!("../../migrations/0001_pages.sqlite.sql"),
    postgres: include_str!("../../migrations/0001_pages.postgres.sql"),
}];

/// The order in which closes go through others' tables, counted by itself and after them.
pub const BULK_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "order",
    sqlite: include_str!("../../migrations/0001_bulk.sqlite.sql"),
    postgres: include_str!("../../migrations/0001_bulk.postgres.sql"),
}];

/// Contracts of a page: with one asset some 1,700 bytes, below the size (2,000) from which `PostgreSQL`
/// compresses a value and puts it elsewhere. In the unit tests so few that every list has several pages.
#[cfg(not(test))]
pub(crate) const PAGE: usize = 36;
#[cfg(test)]
pub(crate) const PAGE: usize = 3;
