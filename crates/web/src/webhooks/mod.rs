//! Webhooks of customers: what happens to an account's things is posted to addresses of its owner's choice, signed by
//! the Standard Webhooks rule, tried again over days, and written down where the owner sees it.
//!
//! # For what
//! [`AppState::webhooks`](crate::AppState) and its neighbours for pages and API; [`keep_delivering`] beside the server.
//!
//! # Promises
//! - Nothing is lost by a crash: what is told stands in the rows that changed, and an address has a place up to
//!   which they were taken, moved in the transaction that writes its messages. A message has the same id at each
//!   try; it may arrive twice, never not at all while its address is there and answers within the days of trying.
//! - A secret is shown once and kept sealed where the house has a vault. For a day after it was changed, messages are
//!   signed with both.
//! - Only public addresses are reached, unless the operator allows others: looked at when an address is given, and,
//!   by whoever connects ([`is_public`]), each time it is used.
//! - An address that takes nothing for [`FAILING_MAX`] is told no more, and its owner is written to.
//! - Everything has a bound: see the constants here.
//!
//! # What it must not know
//! How messages are carried ([`HookSender`](crate::HookSender)); tables of other rooms.

mod address;
mod deliver;
mod sql;
mod store;

pub use address::is_public;
pub(crate) use deliver::keep_delivering;
pub(crate) use store::{Attempt, Message, NewWebhook, Webhook, WebhookId};

use crate::watch::HookSender;
use gruve_store::Migration;
use gruve_units::Duration;
use std::sync::Arc;

/// The tables of webhooks.
pub const WEBHOOK_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "webhooks",
    sqlite: include_str!("../../migrations/0001_webhooks.sqlite.sql"),
    postgres: include_str!("../../migrations/0001_webhooks.postgres.sql"),
}];

/// Addresses of an account at most: a program's, its test's, and one of each to move to.
pub(crate) const WEBHOOKS_MAX: i64 = 5;
/// Messages of an address that wait at most. Beyond them nothing is taken from the account's happenings until there is
/// room; it is not lost by that.
pub(crate) const WAITING_MAX: i64 = 1_000;
/// Test messages of an address in an hour at most.
pub(crate) const TESTS_PER_HOUR: i64 = 10;
/// Tries of one message at most, those that its owner asked for included.
pub(crate) const TRIES_MAX: i64 = 60;
/// How long messages and what came of them are kept.
pub(crate) const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// An address that has taken nothing for so long is told no more: longer than the tries of a message go on.
pub(crate) const FAILING_MAX: Duration = Duration::from_secs(5 * 86_400);
/// How long messages are signed with the secret before as well.
pub(crate) const OLD_SECRET_FOR: Duration = Duration::from_secs(86_400);

/// Waits after each try of a round that failed: at once within a minute, then over three days. After the last the
/// message is given up.
pub(crate) const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(14 * 3_600),
    Duration::from_secs(20 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// What may be told, by the word before the dot of a message's type.
pub(crate) const ABOUT: [(&str, &str); 3] = [
    ("payout", "Payouts: every change of their state"),
    ("invoice", "Invoices: paid or closed"),
    ("contract", "Contracts: everything that they give notice of"),
];

/// The type of a test message.
pub(crate) const TEST: &str = "webhook.test";

/// What the operator sets for webhooks of customers.
#[derive(Clone, Default)]
pub struct WebhookConfig {
    /// Who carries messages; without one they wait.
    pub sender: Option<Arc<dyn HookSender>>,
    /// Whether addresses in private networks, and http, are taken: for a house among friends.
    pub is_private_allowed: bool,
}

impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("is_private_allowed", &self.is_private_allowed)
            .finish_non_exhaustive()
    }
}
