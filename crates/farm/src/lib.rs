//! The facilities: sites, the machines in them, and whose they are.
//!
//! # For what
//! [`Farm::add_site`] and [`Farm::add_machine`] from the operator's configuration;
//! [`Farm::machine_for_login`] when a machine connects; [`HouseSecret`] by which the house's own
//! machines are known.
//!
//! # Promises
//! - A machine has one owner at a time: work is credited by it.
//! - Adding what is there already changes nothing but its nameplate.
//! - Only the operator adds machines of the house; one taken out of the configuration logs in no more.
//! - A machine of the inventory may be sold, leased and handed on: from an epoch's border on its work is its
//!   owner's, whole ([`OwnerTable`]).
//! - Energy is what readings say, cut at the borders of epochs, to the microjoule; what no reading covers is a
//!   gap and not guessed ([`energy`]).
//! - Those of customers outside are written down at first sight, [`OUTSIDE_MACHINES_MAX`] for each.
//!   None is ever refused for want of room: the one that never worked, or has not for longest, is
//!   forgotten for it. Its id follows from account, lane and name, so one that comes back is the
//!   same; and work is credited by owner, so one that is forgotten loses nothing but its name on
//!   pages.
//!
//! # What this room must not know
//! Jobs, shares, money; who an account is beyond its id.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod days;
pub mod energy;
mod error;
mod inventory;
mod judgement;
mod luck;
mod machine;
mod map;
mod ownership;
mod power;
mod proven;
mod report;
mod secret;
mod service;
mod sql;
mod statements;
mod telemetry;
mod tickets;
pub mod withholding;

use gruve_store::Migration;

pub use days::{DAY_MIGRATIONS, EPOCHS_KEPT, EnergyDay, LaneDay, Whose, day_of};
pub use error::FarmError;
pub use inventory::{
    HISTORY_MAX, Inventory, LABEL_CHARS_MAX, MachineState, NewInventory, WATTS_MAX,
};
pub use judgement::{Judged, Judgement, judge};
pub use luck::{LUCK_MIGRATIONS, LaneLuck, Luck, Miner};
pub use machine::{
    MACHINE_NAME_BYTES_MAX, Machine, MachineOwner, NewMachine, Site, UNNAMED_MACHINE,
};
pub use map::MapPlace;
pub use ownership::{OWNER_LEAD, OWNERS_MAX, OwnerTable};
pub use power::SitePower;
pub use proven::{LANE_ROWS_MAX, Proof, ProvenPlace};
pub use report::{FANS_MAX, Receipt, Report, SAMPLES_MAX, Said, Sample};
pub use secret::HouseSecret;
pub use service::{Farm, HOUSE_MACHINES_MAX, OUTSIDE_MACHINES_MAX, SITES_MAX};
pub use telemetry::{AgentStanding, EPOCHS_LISTED_MAX, EnergyEpoch, LATE_MAX, Reading, claimed_of};
pub use tickets::{
    NOTE_CHARS_MAX, NOTES_MAX, Note, OPEN_TICKETS_MAX, Speaker, TITLE_CHARS_MAX, Ticket, TicketId,
};

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "machines",
        sqlite: include_str!("../migrations/0001_machines.sqlite.sql"),
        postgres: include_str!("../migrations/0001_machines.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "worked",
        sqlite: include_str!("../migrations/0002_worked.sqlite.sql"),
        postgres: include_str!("../migrations/0002_worked.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "hosted",
        sqlite: include_str!("../migrations/0003_hosted.sqlite.sql"),
        postgres: include_str!("../migrations/0003_hosted.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "telemetry",
        sqlite: include_str!("../migrations/0004_telemetry.sqlite.sql"),
        postgres: include_str!("../migrations/0004_telemetry.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "proven_by_owner",
        sqlite: include_str!("../migrations/0005_proven_by_owner.sqlite.sql"),
        postgres: include_str!("../migrations/0005_proven_by_owner.postgres.sql"),
    },
];

/// A result with this room's error.
pub type Result<T, E = FarmError> = std::result::Result<T, E>;
