//! The room's tables, step by step.

use gruve_store::Migration;

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "treasury",
        sqlite: include_str!("../../migrations/0001_treasury.sqlite.sql"),
        postgres: include_str!("../../migrations/0001_treasury.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "account_chains",
        sqlite: include_str!("../../migrations/0002_account_chains.sqlite.sql"),
        postgres: include_str!("../../migrations/0002_account_chains.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "methods",
        sqlite: include_str!("../../migrations/0003_methods.sqlite.sql"),
        postgres: include_str!("../../migrations/0003_methods.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "checkouts",
        sqlite: include_str!("../../migrations/0004_checkouts.sqlite.sql"),
        postgres: include_str!("../../migrations/0004_checkouts.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "approvals",
        sqlite: include_str!("../../migrations/0005_approvals.sqlite.sql"),
        postgres: include_str!("../../migrations/0005_approvals.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "safety",
        sqlite: include_str!("../../migrations/0006_safety.sqlite.sql"),
        postgres: include_str!("../../migrations/0006_safety.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "orders",
        sqlite: include_str!("../../migrations/0007_orders.sqlite.sql"),
        postgres: include_str!("../../migrations/0007_orders.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "unspent",
        sqlite: include_str!("../../migrations/0008_unspent.sqlite.sql"),
        postgres: include_str!("../../migrations/0008_unspent.postgres.sql"),
    },
    Migration {
        number: 9,
        name: "conversions",
        sqlite: include_str!("../../migrations/0009_conversions.sqlite.sql"),
        postgres: include_str!("../../migrations/0009_conversions.postgres.sql"),
    },
    Migration {
        number: 10,
        name: "turnover",
        sqlite: include_str!("../../migrations/0010_turnover.sqlite.sql"),
        postgres: include_str!("../../migrations/0010_turnover.postgres.sql"),
    },
    Migration {
        number: 11,
        name: "converted_back",
        sqlite: include_str!("../../migrations/0011_converted_back.sqlite.sql"),
        postgres: include_str!("../../migrations/0011_converted_back.postgres.sql"),
    },
    Migration {
        number: 12,
        name: "paid_unseen",
        sqlite: include_str!("../../migrations/0012_paid_unseen.sqlite.sql"),
        postgres: include_str!("../../migrations/0012_paid_unseen.postgres.sql"),
    },
    Migration {
        number: 13,
        name: "held_payouts",
        sqlite: include_str!("../../migrations/0013_held_payouts.sqlite.sql"),
        postgres: include_str!("../../migrations/0013_held_payouts.postgres.sql"),
    },
];
