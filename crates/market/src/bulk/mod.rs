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

pub(crate) mod accruals;
pub(crate) mod coding;
pub(crate) mod lines;
pub(crate) mod pending;
pub(crate) mod progress;
pub(crate) mod roll;
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
pub const BULK_MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "order",
        sqlite: include_str!("../../migrations/0001_bulk.sqlite.sql"),
        postgres: include_str!("../../migrations/0001_bulk.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "roll",
        sqlite: include_str!("../../migrations/0002_bulk.sqlite.sql"),
        postgres: include_str!("../../migrations/0002_bulk.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "accruals",
        sqlite: include_str!("../../migrations/0003_bulk.sqlite.sql"),
        postgres: include_str!("../../migrations/0003_bulk.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "by_plan",
        sqlite: include_str!("../../migrations/0004_bulk.sqlite.sql"),
        postgres: include_str!("../../migrations/0004_bulk.postgres.sql"),
    },
];

/// Contracts of a page: with one asset some 1,700 bytes, below the size (2,000) from which `PostgreSQL`
/// compresses a value and puts it elsewhere. In the unit tests so few that every list has several pages.
#[cfg(not(test))]
pub(crate) const PAGE: usize = 36;
#[cfg(test)]
pub(crate) const PAGE: usize = 3;

/// Contracts of a page of the roll, for the same reason: each takes some 110 bytes.
#[cfg(not(test))]
pub(crate) const ROLL_PAGE: usize = 15;
#[cfg(test)]
pub(crate) const ROLL_PAGE: usize = 4;

/// Beneficiaries of a page of accruals: some 28 bytes each.
#[cfg(not(test))]
pub(crate) const ACCRUALS_PAGE: usize = 60;
#[cfg(test)]
pub(crate) const ACCRUALS_PAGE: usize = 3;

/// Beneficiaries of a page of what is pending: some 40 bytes each.
#[cfg(not(test))]
pub(crate) const PENDING_PAGE: usize = 42;
#[cfg(test)]
pub(crate) const PENDING_PAGE: usize = 5;
