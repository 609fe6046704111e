//! Why something was refused, and whose it is.

use gruve_store::StoreError;
use gruve_units::{Blame, Blamed, LaneId};

/// Why something to do with a site or a machine was not done.
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// Not a name for a site or a machine.
    #[error("a machine's or site's name has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")]
    BadName,
    /// The site does not exist.
    #[error("no such site")]
    NoSite,
    /// The house has no machine of that name.
    #[error("the house has no machine called {name} for {lane}: add it to the configuration")]
    UnknownMachine {
        /// The name given.
        name: String,
        /// The lane it came to.
        lane: LaneId,
    },
    /// A machine of that name exists with another owner, lane or site.
    #[error("a machine called {name} exists with another owner, lane or site; choose another name")]
    Differs {
        /// The name.
        name: String,
    },
    /// The account has as many machines as it may have.
    #[error("this account has {max} machines, the most it can have: use their names again")]
    TooMany {
        /// How many it may have.
        max: i64,
    },
    /// The password of a house machine is wrong, or the house admits none.
    #[error("the password is not that of the house's machines")]
    WrongSecret,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blamed for FarmError {
    fn blame(&self) -> Blame {
        match self {
            FarmError::BadName
            | FarmError::NoSite
            | FarmError::UnknownMachine { .. }
            | FarmError::Differs { .. }
            | FarmError::TooMany { .. }
            | FarmError::WrongSecret => Blame::Rejected,
            FarmError::Store(e) => e.blame(),
        }
    }
}
