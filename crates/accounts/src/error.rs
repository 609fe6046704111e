//! Why something was refused, and whose it is.

use gruve_store::StoreError;
use gruve_units::{Blame, Blamed, Duration};

/// Why something to do with an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Name or password is wrong; which of them is not said.
    #[error("the name or the password is wrong")]
    WrongCredentials,
    /// Too many attempts to sign in under this name.
    #[error("too many attempts to sign in under this name; try again in {} seconds", self.retry_after().map_or(1, |d| d.as_secs()))]
    TooManyAttempts {
        /// When another attempt will be heard.
        retry_after: Duration,
    },
    /// Too many accounts were opened of late.
    #[error("too many accounts were opened within the last hour; try again later")]
    TooManySignUps,
    /// More password checks are waiting than can be done soon.
    #[error("too many people are signing in at this moment; try again")]
    Crowded,
    /// Not a name that an account can have.
    #[error("a name has 3 to 32 of a-z, 0-9, _ and -, and is not a reserved word")]
    BadName,
    /// Not an e-mail address.
    #[error("this is not an e-mail address")]
    BadEmail,
    /// Not a password that can be taken.
    #[error("a password has at least 8 characters and at most 1024 bytes")]
    BadPassword,
    /// The name or the address belongs to another account.
    #[error("the name or the e-mail address is taken")]
    Taken,
    /// There is no account of that name.
    #[error("there is no account of that name")]
    NoAccount,
    /// The house must keep an owner.
    #[error("this is the only owner: make somebody else an owner first")]
    LastOwner,
    /// A row that no version of this room has written.
    #[error("the accounts' tables are damaged: {0}")]
    Damaged(&'static str),
    /// Hashing failed, or a stored hash cannot be read.
    #[error("a password could not be checked: {0}")]
    Hashing(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountsError {
    /// When another attempt will be heard: whole seconds, rounded up; `None` where waiting does not
    /// help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let secs = match self {
            AccountsError::TooManyAttempts { retry_after } => {
                let whole = retry_after.as_secs();
                whole + u64::from(retry_after.subsec_nanos() > 0)
            }
            // Accounts opened fall out of the hour one by one.
            AccountsError::TooManySignUps => 60,
            AccountsError::Crowded => 1,
            _ => return None,
        };
        Some(Duration::from_secs(secs.max(1)))
    }
}

impl Blamed for AccountsError {
    fn blame(&self) -> Blame {
        match self {
            AccountsError::WrongCredentials
            | AccountsError::BadName
            | AccountsError::BadEmail
            | AccountsError::BadPassword
            | AccountsError::NoAccount
            | AccountsError::LastOwner
            | AccountsError::Taken => Blame::Rejected,
            AccountsError::TooManyAttempts { .. }
            | AccountsError::TooManySignUps
            | AccountsError::Crowded => Blame::Transient,
            AccountsError::Hashing(_) | AccountsError::Damaged(_) => Blame::Fatal,
            AccountsError::Store(e) => e.blame(),
        }
    }
}
