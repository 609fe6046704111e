//! Why something was refused, and whose it is.

use gruve_store::StoreError;
use gruve_units::{Blame, Blamed, Duration};

/// Why something to do with an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Name or password is wrong; which of them is not said.
    #[error("the name or the password is wrong")]
    WrongCredentials,
    /// The password is right, and a code is asked for besides.
    #[error("a code is needed besides the password")]
    SecondFactorNeeded(crate::Ticket),
    /// The code is not the one of this moment, and none of those for when the device is lost.
    #[error("the code is wrong, or was used before")]
    WrongCode,
    /// The code may be right, but the secret that tells is sealed with a key that the house does not have now.
    #[error(
        "the house cannot read the secret of your codes at this moment: use a code for a lost device or a passkey, \
         or write to us"
    )]
    CodesUnreadable,
    /// The address has not been confirmed; a message is on its way.
    #[error("confirm your e-mail address first: a message with a link is on its way to it")]
    NotConfirmed,
    /// The house does not write to its customers.
    #[error("this house sends no mail")]
    NoMail,
    /// Not something that could be an address of payouts.
    #[error("an address has 1 to 128 visible characters, its label at most 40")]
    BadAddress,
    /// More addresses than a book may have.
    #[error("an address book has at most 50 addresses: take one out first")]
    TooManyAddresses,
    /// Payouts go to the book alone, and this address is not in it.
    #[error("your payouts go to your address book alone, and this address is not in it")]
    NotInBook,
    /// Payouts go to the book alone, and this would go to another customer.
    #[error(
        "your payouts go to your address book alone: nothing goes to another customer before you leave it"
    )]
    BookOnly,
    /// What a notice tells of counts already, or is gone.
    #[error(
        "nothing waits any more that could be stopped: it counts already, or was stopped before. \
         If it was not you, set a new password and write to us"
    )]
    NothingToStop,
    /// The address is too new.
    #[error("this address is new in your book: it may be paid to from {0} on")]
    NotUsableYet(String),
    /// The ticket is void, used up or too old.
    #[error("this took too long, or was done already; begin again")]
    TicketVoid,
    /// This house takes no lost factor off by itself.
    #[error("this house takes no lost second factor off by itself: write to us")]
    NoRecovery,
    /// The account has a role.
    #[error(
        "who works for the house has a lost second factor taken off at the machine itself: ask an owner"
    )]
    StaffFactor,
    /// The account's second factor is said to be lost.
    #[error(
        "the second factor of this account is said to be lost: nothing is paid out before {0}, unless you keep it"
    )]
    FactorLost(String),
    /// The second factor is in use already.
    #[error("codes are asked for already")]
    FactorIsOn,
    /// The house has no public address that passkeys could be bound to.
    #[error("this house takes no passkeys: its public address must be an https one, with a name")]
    NoPasskeys,
    /// What a browser handed over is no passkey that can be taken.
    #[error("this passkey cannot be taken: {0}")]
    BadPasskey(&'static str),
    /// A passkey's answer does not count.
    #[error("the passkey was not taken: {0}")]
    WrongPasskey(&'static str),
    /// Not a name that a passkey can have.
    #[error("a passkey has a name of 1 to 40 characters")]
    BadPasskeyName,
    /// The account has no such passkey.
    #[error("there is no such passkey")]
    NoSuchPasskey,
    /// More passkeys than an account may have.
    #[error("an account has at most 20 passkeys: remove one first")]
    TooManyPasskeys,
    /// The account is being closed, or is.
    #[error("this account is closed")]
    Closed,
    /// The account has a role.
    #[error("staff cannot close its account: have the role taken away first")]
    IsStaff,
    /// A key that cannot be.
    #[error("a key has a name of 1 to 40 characters, at least one scope, and ends within 366 days")]
    BadKey,
    /// More keys than an account may have.
    #[error("an account has at most 20 keys: end one first")]
    TooManyKeys,
    /// Too many attempts to sign in under this name.
    #[error("too many attempts; try again in {} seconds", self.retry_after().map_or(1, |d| d.as_secs()))]
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
    #[error("a password has at least 12 characters and at most 1024 bytes")]
    BadPassword,
    /// A password that everybody tries first.
    #[error(
        "this password is easily guessed: it is made of common passwords, names, years or rows of keys; \
         take a few words that have nothing to do with each other"
    )]
    GuessablePassword,
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
            | AccountsError::GuessablePassword
            | AccountsError::NoAccount
            | AccountsError::LastOwner
            | AccountsError::SecondFactorNeeded(_)
            | AccountsError::WrongCode
            | AccountsError::NotConfirmed
            | AccountsError::NoMail
            | AccountsError::BadAddress
            | AccountsError::TooManyAddresses
            | AccountsError::NotInBook
            | AccountsError::BookOnly
            | AccountsError::NothingToStop
            | AccountsError::NotUsableYet(_)
            | AccountsError::TicketVoid
            | AccountsError::NoRecovery
            | AccountsError::StaffFactor
            | AccountsError::FactorLost(_)
            | AccountsError::FactorIsOn
            | AccountsError::NoPasskeys
            | AccountsError::BadPasskey(_)
            | AccountsError::WrongPasskey(_)
            | AccountsError::BadPasskeyName
            | AccountsError::NoSuchPasskey
            | AccountsError::TooManyPasskeys
            | AccountsError::Closed
            | AccountsError::IsStaff
            | AccountsError::BadKey
            | AccountsError::TooManyKeys
            | AccountsError::Taken => Blame::Rejected,
            AccountsError::TooManyAttempts { .. }
            | AccountsError::TooManySignUps
            | AccountsError::Crowded => Blame::Transient,
            AccountsError::Hashing(_) | AccountsError::Damaged(_) => Blame::Fatal,
            // The operator can put the key back; whoever signs in has other ways.
            AccountsError::CodesUnreadable => Blame::Rejected,
            AccountsError::Store(e) => e.blame(),
        }
    }
}
