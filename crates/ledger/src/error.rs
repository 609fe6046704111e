//! Why something was not posted, and whose it is.

use gruve_store::StoreError;
use gruve_units::{Amount, Asset, Blame, Blamed};

/// Why the books did not take an entry, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// An account would pass its floor.
    #[error("{account} holds {available}, which is {missing} too little")]
    InsufficientFunds {
        /// The account's key.
        account: String,
        /// What can be taken from it.
        available: Amount,
        /// What is missing.
        missing: Amount,
    },
    /// The postings of an asset do not sum to zero.
    #[error("entry {reason} is out of balance by {by} minor units of {asset}")]
    Unbalanced {
        /// The entry's reason.
        reason: String,
        /// The asset.
        asset: Asset,
        /// Debits less credits.
        by: i128,
    },
    /// The reason stands for another entry already.
    #[error("the reason {reason} stands for another entry already")]
    ReasonReused {
        /// The reason.
        reason: String,
    },
    /// The entry has not the form of one.
    #[error("entry {reason:?} {what}")]
    Malformed {
        /// The entry's reason.
        reason: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A balance would not fit 64 bits.
    #[error("the balance of {account} would not fit 64 bits of minor units of {asset}")]
    Overflow {
        /// The account's key.
        account: String,
        /// The asset.
        asset: Asset,
    },
    /// The stored books contradict themselves.
    #[error("the books are damaged: {0}; stop and run `gruve admin audit`")]
    Damaged(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blamed for LedgerError {
    fn blame(&self) -> Blame {
        match self {
            LedgerError::InsufficientFunds { .. } => Blame::Rejected,
            LedgerError::Unbalanced { .. }
            | LedgerError::ReasonReused { .. }
            | LedgerError::Malformed { .. }
            | LedgerError::Overflow { .. }
            | LedgerError::Damaged(_) => Blame::Fatal,
            // Nothing a caller says reaches the database unchecked: what it rejects is our mistake.
            LedgerError::Store(e) => match e.blame() {
                Blame::Rejected => Blame::Fatal,
                other => other,
            },
        }
    }
}
