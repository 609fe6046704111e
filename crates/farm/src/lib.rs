//! The facilities: sites, the machines in them, and whose they are.
//!
//! # For what
//! [`Farm::add_site`] and [`Farm::add_machine`] from the operator's configuration;
//! [`Farm::machine_for_login`] when a machine connects; [`HouseSecret`] by which the house's own
//! machines are known.
//!
//! # Promises
//! - A machine has one owner for as long as it exists: work is credited by it.
//! - Adding what is there already changes nothing but its nameplate.
//! - Only the operator adds machines of the house; those of customers outside are written down at
//!   first sight, [`OUTSIDE_MACHINES_MAX`] for each.
//!
//! # What this room must not know
//! Jobs, shares, money; who an account is beyond its id.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod machine;
mod secret;
mod service;
mod sql;

use gruve_store::Migration;

pub use error::FarmError;
pub use machine::{
    MACHINE_NAME_BYTES_MAX, Machine, MachineOwner, NewMachine, Site, UNNAMED_MACHINE,
};
pub use secret::HouseSecret;
pub use service::{Farm, HOUSE_MACHINES_MAX, OUTSIDE_MACHINES_MAX, SITES_MAX};

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "machines",
    sqlite: include_str!("../migrations/0001_machines.sqlite.sql"),
    postgres: include_str!("../migrations/0001_machines.postgres.sql"),
}];

/// A result with this room's error.
pub type Result<T, E = FarmError> = std::result::Result<T, E>;
