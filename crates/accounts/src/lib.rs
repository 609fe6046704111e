//! Customers and staff: who they are, how they prove it, who is signed in, and who may do what.
//!
//! # For what
//! [`Accounts::sign_up`], [`Accounts::sign_in`] and [`Accounts::session`] for the web;
//! [`Accounts::account_by_name`] for miners, who log in as `name.machine`; [`record`] for whoever
//! changes something of an account.
//!
//! # Promises
//! - Passwords are kept as Argon2id hashes (19 MiB, two passes: OWASP's first choice), of session
//!   tokens only a SHA-256 hash. Neither is ever shown or logged.
//! - A new password has [`PASSWORD_CHARS_MIN`] characters and is none that everybody tries first (`guessable`); one that
//!   was set under older rules goes on signing in.
//! - Signing in tells nobody whether an account exists: a wrong name and a wrong password get the
//!   same answer after the same work. Signing up tells that a name is taken; names are public. It tells that an
//!   address has an account only where addresses are not confirmed.
//! - Attempts to sign in are limited for each account and network and, alike, for names that do not
//!   exist, and for a network over all names; strangers elsewhere do not lock a customer out of a network
//!   known to the account. All hashing together takes a bounded share of processors and memory, and one
//!   network a bounded part of the places in that queue.
//! - Secrets of codes are sealed where the house has a vault ([`Vault`]): who reads the database alone
//!   makes no codes.
//! - Codes by time ([`Accounts::begin_totp`]) are asked for after the password; each counts once, and
//!   attempts at them are limited apart. What a stolen session must not do asks for both again
//!   ([`Accounts::prove`]); turning a second factor on is such a thing, too.
//! - Passkeys (`passkeys`) sign in in place of the password where the device makes sure who sits there, and
//!   beside it otherwise; what they sign is checked here and bound to the site's own address.
//! - A new password ends all other sessions, keys for programs, and what waits for its delay: whoever had the old
//!   one keeps nothing.
//! - Where messages and coins go changes only after a delay, with a notice to the old address that can
//!   stop it. Messages are rows of the transaction that they tell of, and sent afterwards.
//! - A lost second factor is taken off only after days of telling everybody who could be wronged by it, and nothing is
//!   paid out meanwhile ([`Accounts::begin_dropping_factor`]).
//! - Sessions end after [`SESSION_LIFE`], or [`SESSION_IDLE`] without use; an account has at most
//!   [`SESSIONS_MAX`].
//! - What staff may do stands in one table ([`PERMISSIONS`]); a role that is taken is gone at once.
//! - What was done to accounts and by staff stands in a log that is a chain of hashes.
//! - Everything kept has a bound or an age at which it goes.
//!
//! # What this room must not know
//! Money, contracts, machines.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attempts;
mod audit;
mod changes;
mod closing;
mod confirm;
mod error;
mod factors;
mod guessable;
mod keys;
mod lost;
mod mail;
mod names;
mod passkeys;
mod passwords;
mod roles;
mod secrets;
mod service;
mod sessions;
mod sql;
mod staff;
mod tickets;
mod totp;
mod trail;
mod unconfirmed;
mod vault;
mod webauthn;
mod words;

use gruve_store::Migration;

pub use attempts::{
    AttemptLimit, LETTERS_PER_NETWORK, NAMES_PER_NETWORK, NETWORK_KNOWN, NETWORKS_KNOWN_MAX,
    PER_NAME, PER_NETWORK, SIGN_INS_TOLD, SIGN_UPS_PER_NETWORK,
};
pub use audit::{AUDIT_KEPT, AuditRow, LOG_LINES_MAX, LogLine, record};
pub use changes::{ADDRESSES_MAX, AccountRules, AddressBook, BookAddress, CHANGE_DELAY, date_text};
pub use closing::{CLOSING_DELAY, CLOSING_MIGRATIONS, Closing, SEALED_FOR};
pub use confirm::{Confirmed, PER_ADDRESS};
pub use error::AccountsError;
pub use factors::{Factors, PER_SECOND_FACTOR, RECOVERY_CODES, TotpSetup};
pub use keys::{ApiKey, KEY_LIFE_MAX, KEY_PREFIX, KEYS_MAX, KeyId, Scope};
pub use lost::{LostFactor, RECOVERY_DELAY};
pub use mail::{
    Delivered, Handed, MUCH_DUE, Mail, MailError, MailRules, Mailer, TRIES_MAX, Taken, in_english,
};
pub use names::{
    EMAIL_BYTES_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, RESERVED_NAMES, is_account_name,
};
pub use passkeys::{
    Assertion, AssertionAsked, NewPasskey, PASSKEY_MIGRATIONS, PASSKEYS_MAX, Passkey, PasskeyAsked,
    PasskeyRules,
};
pub use roles::{PERMISSIONS, Permission, Role};
pub use service::{Accounts, Device, NewAccount, SIGN_UPS_PER_HOUR_MAX};
pub use sessions::{
    SESSION_IDLE, SESSION_LIFE, SESSIONS_MAX, Session, SessionId, SessionInfo, SessionRow,
};
pub use staff::{CUSTOMERS_MAX, CustomerRow, STAFF_MAX, StaffMember};
pub use tickets::Ticket;
pub use trail::{TRAIL_GENESIS, TrailEnds, TrailReport};
pub use unconfirmed::UNCONFIRMED_KEPT;
pub use vault::{Sealed, Vault, seal, unseal};

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "accounts",
        sqlite: include_str!("../migrations/0001_accounts.sqlite.sql"),
        postgres: include_str!("../migrations/0001_accounts.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "networks",
        sqlite: include_str!("../migrations/0002_networks.sqlite.sql"),
        postgres: include_str!("../migrations/0002_networks.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "staff",
        sqlite: include_str!("../migrations/0003_staff.sqlite.sql"),
        postgres: include_str!("../migrations/0003_staff.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "factors",
        sqlite: include_str!("../migrations/0004_factors.sqlite.sql"),
        postgres: include_str!("../migrations/0004_factors.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "mail",
        sqlite: include_str!("../migrations/0005_mail.sqlite.sql"),
        postgres: include_str!("../migrations/0005_mail.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "codes",
        sqlite: include_str!("../migrations/0006_codes.sqlite.sql"),
        postgres: include_str!("../migrations/0006_codes.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "lost_factors",
        sqlite: include_str!("../migrations/0007_lost_factors.sqlite.sql"),
        postgres: include_str!("../migrations/0007_lost_factors.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "unconfirmed",
        sqlite: include_str!("../migrations/0008_unconfirmed.sqlite.sql"),
        postgres: include_str!("../migrations/0008_unconfirmed.postgres.sql"),
    },
];

/// A result with this room's error.
pub type Result<T, E = AccountsError> = std::result::Result<T, E>;
