//! Why something was refused, and whose it is.

use crate::MachineState;
use gruve_store::StoreError;
use gruve_units::{Blame, Blamed, EpochNumber, LaneId};

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
    /// No machine of the inventory, or somebody else's.
    #[error("no such machine")]
    NoMachine,
    /// A text on a label.
    #[error("a {what} has 1 to 64 characters and no spaces at its ends")]
    BadLabel {
        /// Which.
        what: &'static str,
    },
    /// A text for people to read.
    #[error("write 1 to {max} characters")]
    BadText {
        /// Characters at most.
        max: usize,
    },
    /// Watts that no machine draws.
    #[error("a machine draws 1 to 100000 watts")]
    BadWatts,
    /// Electricity that cannot be.
    #[error("state at most 5000 g of CO2 a kWh, and a price that is not negative")]
    BadPower,
    /// A machine's state cannot change so.
    #[error("a machine cannot go from {} to {}", from.name(), to.name())]
    NotFrom {
        /// Its state.
        from: MachineState,
        /// What was asked for.
        to: MachineState,
    },
    /// The machine may not work.
    #[error("{name} is not in service ({}): tell the operator", state.name())]
    NotInService {
        /// Its name.
        name: String,
        /// Its state.
        state: MachineState,
    },
    /// A lane that the house does not have.
    #[error("there is no lane {lane}")]
    NoLane {
        /// The name given.
        lane: LaneId,
    },
    /// A change of owner for an epoch that is too near.
    #[error("too late for that epoch: owners change half a minute ahead at least")]
    TooLate,
    /// A change of owner for an epoch whose work is counted already: the clock stands back.
    #[error(
        "the work of epoch {epoch} is counted already, for the house's clock stands back: try again later"
    )]
    Counted {
        /// Which.
        epoch: EpochNumber,
    },
    /// A change of owner is written already.
    #[error("this machine is about to change its owner already: wait for the epoch")]
    ChangePending,
    /// The ticket does not exist, or is somebody else's.
    #[error("no such ticket")]
    NoTicket,
    /// The ticket is closed.
    #[error("this ticket is closed: open another")]
    TicketClosed,
    /// The site's agent has no token.
    #[error("this site has no agent")]
    NoAgent,
    /// Not the token of a site.
    #[error("not the token of a site's agent")]
    WrongToken,
    /// A report that no agent of the house's makes.
    #[error("the report cannot be taken: {why}")]
    BadReport {
        /// Why.
        why: &'static str,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blamed for FarmError {
    fn blame(&self) -> Blame {
        match self {
            FarmError::BadName
            | FarmError::NoMachine
            | FarmError::BadLabel { .. }
            | FarmError::BadText { .. }
            | FarmError::BadWatts
            | FarmError::BadPower
            | FarmError::NotFrom { .. }
            | FarmError::NotInService { .. }
            | FarmError::NoLane { .. }
            | FarmError::TooLate
            | FarmError::ChangePending
            | FarmError::NoTicket
            | FarmError::TicketClosed
            | FarmError::NoAgent
            | FarmError::WrongToken
            | FarmError::BadReport { .. }
            | FarmError::NoSite
            | FarmError::UnknownMachine { .. }
            | FarmError::Differs { .. }
            | FarmError::TooMany { .. }
            | FarmError::WrongSecret => Blame::Rejected,
            // It passes with the time.
            FarmError::Counted { .. } => Blame::Transient,
            FarmError::Store(e) => e.blame(),
        }
    }
}
