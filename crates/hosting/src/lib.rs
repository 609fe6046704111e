//! Machines that customers own and that stand in the operator's sites: the contract, the certificate, the
//! bill, and what a machine claims beside what its shares prove.
//!
//! # What happens when
//! | event | one transaction |
//! |---|---|
//! | [`Hosting::offer`], [`Hosting::offer_transfer`] | an offer of the operator's, or of the present owner's, to one account |
//! | [`Hosting::agree_in`] | what an owner offers is agreed; the caller has it wait before it is accepted |
//! | [`Hosting::accept`] | price paid, owner changes at an epoch's border ahead, certificate issued, contract before ended there |
//! | a settlement begins ([`Hosting::agreed_fees`]) | nothing: it is told what may be kept of owners' earnings |
//! | a settlement ([`Hosting::bill`], within its transaction) | energy, hosting fee and service-level credit since the last bill; postings |
//! | [`Hosting::payables`], [`Hosting::begin_payment`], [`Hosting::end_payment`] | what was earned goes to the owner's address, asked for once |
//! | [`Hosting::set_in_block_in`] | later jobs of the machine pay its owner in the coinbase itself, or no longer |
//! | [`Hosting::order_in`] | a machine in stock is assigned, paid for and certified; none twice |
//! | [`Hosting::reserve_in`], [`Hosting::order_paid`], [`Hosting::order_expired`] | a machine in stock waits for an invoice, is then paid for and certified, or free again |
//! | [`Hosting::payment_disputed`] | a machine whose payment is disputed is handed on to nobody; lost, it is in stock again |
//! | [`Hosting::end_in`] | the machine is the house's again from an epoch's border on; of a lease that the operator ends within its term what is left comes back |
//!
//! # Promises
//! - both sides have agreed before an owner changes, and the change is at a border, never within an epoch;
//! - a certificate names the one before it, so a machine's owners are a chain that the operator has signed;
//! - every microjoule is on one bill: Σ of bills = Σ of samples that were reported in time; fractions of a minor
//!   unit are carried to the next bill, exactly ([`charge`]);
//! - a bill takes no more than was earned in the settlement it comes with, or than the balance holds: never a
//!   floor broken; what it could not take is waived or owed, as the contract says;
//! - a machine is flagged only by a test whose rate of false alarms is stated ([`honesty`]).
//!
//! # Must not know
//! Share logs, leases, what is on sale, nodes, wallets, browsers.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod audit;
mod behind;
mod billing;
pub mod certificate;
pub mod charge;
mod contract;
mod dispute;
mod ends;
mod error;
mod fees;
pub mod footprint;
mod handing;
pub mod honesty;
mod in_block;
mod order;
mod paper;
mod parts;
mod payable;
mod proven_now;
mod service;
mod sql;
mod track;
mod trim;
pub mod uptime;
mod view;

pub use address::ADDRESS_WAIT;
pub use audit::HostingAudit;
pub use billing::{ARREARS_MAX, BILLS_MAX, Bill, Settled};
pub use certificate::{Certificate, CertificateError, Signed};
pub use contract::{
    Address, Contract, HostingKind, HostingState, OfPlan, OfferTerms, PayFrom, Scheme,
};
pub use dispute::{PaymentDispute, PaymentWord};
pub use ends::Ended;
pub use error::HostingError;
pub use gruve_statement::hosting::BlockPart;
pub use gruve_statement::hosting::{EndedBy, HostingStatement};
pub use in_block::{BlockFee, IN_BLOCK_MAX, InBlock, OWN_BLOCKS_AUDITED, OwnBlock, OwnBlockPlace};
pub use order::{Order, Ordered, PaidOrder, Reserved, STOCK_COUNTED_MAX, UNPAID_MAX};
pub use parts::{PART_LEAST_BPS, PARTS_MAX, Part, Split};
pub use payable::{Payable, Payment};
pub use proven_now::HostedProven;
pub use service::{CONTRACTS_MAX, Hosting};
pub use track::{HostedTrack, TRACKED_MAX};
pub use view::{CLAIM_EPOCHS, HostedMachine};

use gruve_store::Migration;

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "hosting",
        sqlite: include_str!("../migrations/0001_hosting.sqlite.sql"),
        postgres: include_str!("../migrations/0001_hosting.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "payables",
        sqlite: include_str!("../migrations/0002_payables.sqlite.sql"),
        postgres: include_str!("../migrations/0002_payables.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "plans",
        sqlite: include_str!("../migrations/0003_plans.sqlite.sql"),
        postgres: include_str!("../migrations/0003_plans.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "ends",
        sqlite: include_str!("../migrations/0004_ends.sqlite.sql"),
        postgres: include_str!("../migrations/0004_ends.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "in_block",
        sqlite: include_str!("../migrations/0005_in_block.sqlite.sql"),
        postgres: include_str!("../migrations/0005_in_block.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "in_block_fee",
        sqlite: include_str!("../migrations/0006_in_block_fee.sqlite.sql"),
        postgres: include_str!("../migrations/0006_in_block_fee.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "by_plan",
        sqlite: include_str!("../migrations/0007_by_plan.sqlite.sql"),
        postgres: include_str!("../migrations/0007_by_plan.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "disputes",
        sqlite: include_str!("../migrations/0008_disputes.sqlite.sql"),
        postgres: include_str!("../migrations/0008_disputes.postgres.sql"),
    },
    Migration {
        number: 9,
        name: "parts",
        sqlite: include_str!("../migrations/0009_parts.sqlite.sql"),
        postgres: include_str!("../migrations/0009_parts.postgres.sql"),
    },
    Migration {
        number: 10,
        name: "earnings_fee",
        sqlite: include_str!("../migrations/0010_earnings_fee.sqlite.sql"),
        postgres: include_str!("../migrations/0010_earnings_fee.postgres.sql"),
    },
    Migration {
        number: 11,
        name: "agreed",
        sqlite: include_str!("../migrations/0011_agreed.sqlite.sql"),
        postgres: include_str!("../migrations/0011_agreed.postgres.sql"),
    },
];

/// A result with this room's error.
pub type Result<T, E = HostingError> = std::result::Result<T, E>;
