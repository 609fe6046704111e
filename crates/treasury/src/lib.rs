//! Invoices, wallets and payouts: coins on their way to and from customers.
//!
//! # Why the wallet's state lives in our own tables
//! Wallet libraries keep the coins they see in a store of their own. The books are in the
//! database, so wallet and books would be two stores updated one after the other, and a crash
//! between would leave them apart. Here the coins that are ours are rows (`treasury_utxos`)
//! written in the same [`Tx`](gruve_store::Tx) as the ledger's entries, by the one follower of the
//! chain: *wallet on the chain = books* holds because one transaction makes both, and
//! [`Treasury::reconcile`] checks it. What libraries do well is theirs: keys and scripts are
//! descriptors (`miniscript`), coins are chosen with `bdk_coin_select`, hashes and signatures are
//! made by `bitcoin`, addresses are written by `gruve-chain`.
//!
//! | module | for |
//! |---|---|
//! | [`seed`], `sealed` | the wallet's one secret and its file; a passphrase over it |
//! | [`keys`] | descriptors: scripts and signing keys by index |
//! | [`select`] | which coins a payment spends, and who pays what for it |
//! | [`transaction`] | building and signing |
//! | [`invoice`], [`payout`] | what they are and which states may follow which |
//! | [`bank`] | bank accounts: references, statements, what waits for a person |
//! | [`payments`] | what comes by other methods than our own addresses |
//! | [`conversion`] | a coin for an invoice in another currency, at a fixed rate |
//! | [`remote`] | invoices paid at other services: cards, a BTCPay Server |
//! | [`account`] | wallets on account-based chains |
//! | `blocks`, `receipts`, `spends` | a block connected, a block disconnected |
//! | `invoices`, `payouts` | what customers ask for |
//! | `unconfirmed` | what a node's pool pays to invoices: marks, not money |
//! | `depth` | how deep a pay-in must be, by its amount |
//! | `limits` | what leaves in a day, and how many people a large payout takes |
//! | [`strangers`] | spendings that nothing explains, and why payouts wait for them |
//! | `behind`, `forgotten` | a house that catches up with its chain, and what an older backup has forgotten |
//! | `moves`, `bump` | sweeps to a cold address, small coins made one; higher fees |
//! | [`order`], `orders`, `door`, [`exchange`] | what a signer elsewhere signs in place of this house |
//! | [`payer`] | the one loop that pays |
//!
//! # Promises
//! - Every confirmed output to an invoice's address is credited exactly once net, keyed by
//!   (asset, transaction, output), whatever reorganisations and crashes come between. What cannot
//!   be matched is kept in a named account. Nothing is lost by paying too much, too little, late or
//!   twice.
//! - A payout is paid once or refused. The signed bytes and their id are committed before any node
//!   sees them; sending again is sending the same bytes; no answer, and no missing answer, of a
//!   node makes a payout fail; only blocks decide.
//! - Two payouts never spend the same coin: reservations are rows with the coin as their key.
//! - A reorganisation is undone by new entries. Where a customer has spent what a reorganisation
//!   took back, it is the operator's loss, and his gain again should the payment return.
//!
//! # Only confirmed coins are spent, change included
//! Spending unconfirmed change would hang payouts together: when the first of the chain is dropped
//! by the nodes, or loses to a reorganisation, none after it can confirm, and all their stored
//! bytes are void together. Waiting for a block costs minutes; batching makes up for it.
//!
//! # What this room must not know
//! Contracts, plans and machines. Who paid for what is told through [`InvoiceSink`]; rewards of
//! found blocks are handed up as [`CoinbaseReward`] and booked by the market.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
mod balance;
pub mod bank;
mod behind;
mod blocks;
mod books;
mod bump;
mod changes;
mod coins;
mod config;
pub mod conversion;
mod depth;
mod desk;
mod door;
mod error;
pub mod exchange;
mod forgotten;
mod funding;
mod holdings;
pub mod invoice;
mod invoices;
pub mod keys;
mod limits;
mod moves;
mod news;
pub mod order;
mod orders;
pub mod payer;
pub mod payments;
pub mod payout;
mod payouts;
mod receipts;
pub mod remote;
mod sealed;
pub mod seed;
pub mod select;
mod spends;
mod sql;
pub mod strangers;
pub mod transaction;
mod treasury;
mod unconfirmed;

pub use account::{AccountBlock, AccountChainWallet, AccountKeys, GasPolicy};
pub use balance::{OpenTransaction, WalletBalance, WalletReconciliation};
pub use bank::{BankAccount, BankComparison, BankEntryView, BankWord, Imported};
pub use blocks::{BlockEffects, CoinbaseReward, DisconnectEffects};
pub use changes::ClosedInvoice;
pub use coins::{CoinComparison, CoinDifference};
pub use config::{ChainWallet, PayoutPolicy, TreasuryConfig};
pub use conversion::{Conversion, LockedRate, NewConversion, Refunded, convert_back};
pub use depth::DepthStep;
pub use desk::INVOICES_PAGE_MAX;
pub use door::{FolderDoor, HttpDoor};
pub use error::{SinkError, TreasuryError};
pub use forgotten::{PaidTo, Recipients};
pub use holdings::{HeldCoin, Holding, Holdings, account_signature, script_signature};
pub use invoice::{
    Dispute, DisputeStands, Invoice, InvoiceSink, InvoiceState, NewInvoice, Purpose,
};
pub use keys::{KeyError, Keychain, ScriptForm, WalletKeys};
pub use limits::{Approval, PayoutBounds, PayoutLimits};
pub use moves::{GatherPolicy, SweepPolicy};
pub use news::PaymentNews;
pub use order::OrderError;
pub use orders::{ExternalSigner, Order, Outcome, SignerDoor, SignerWord};
pub use payer::{Payer, PayerProgress};
pub use payments::{Method, PayInFor, Payment, TakenBack};
pub use payout::{NewPayout, Payout, PayoutQuote, PayoutState, PayoutTerms, PlacedPayout};
pub use payouts::REQUEST_KEY_BYTES_MAX;
pub use remote::{
    BtcPayConfig, Heard, Polled, Secret, ServiceComparison, ServicesCompared, StripeConfig,
};
pub use sealed::Passphrase;
pub use seed::{Seed, SeedError};
pub use select::Rate;
pub use sql::MIGRATIONS;
#[doc(hidden)]
pub use sql::{many_statements, statements};
pub use strangers::{Explained, Lock};
pub use transaction::TransactionError;
pub use treasury::{CrashPoints, Treasury};
pub use unconfirmed::{Looked, Mark, Unconfirmed};

/// A result with this room's error.
pub type Result<T, E = TreasuryError> = std::result::Result<T, E>;
