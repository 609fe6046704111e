//! Why something was refused, and whose it is.

use gruve_farm::FarmError;
use gruve_ledger::LedgerError;
use gruve_store::StoreError;
use gruve_units::{Blame, Blamed};

/// Why something to do with a hosted machine was not done.
#[derive(Debug, thiserror::Error)]
pub enum HostingError {
    /// There is no such contract, or it is somebody else's.
    #[error("no such hosting contract")]
    NoContract,
    /// The contract is in another state than what was asked for needs.
    #[error("this contract is {0}: that is not possible any more")]
    NotNow(&'static str),
    /// The machine is not the offerer's to give.
    #[error("this machine is not yours to give, or is about to change its owner already")]
    NotYours,
    /// There is an open offer for the machine.
    #[error("this machine is offered to somebody already: withdraw that offer first")]
    OfferOpen,
    /// No machine of the model is in stock.
    #[error("no machine of this model is in stock at the moment")]
    SoldOut,
    /// What is left of the model waits for others' invoices, or the account has an order open already.
    #[error(
        "too many machines wait for invoices that are not paid: pay or cancel an open order, or pay from the balance"
    )]
    HeldUnpaid,
    /// It was sold under terms that let nobody end it before its term.
    #[error("this contract was sold for its whole term, and its terms let nobody end it before")]
    Bound,
    /// The same key was used for another order.
    #[error("this key was used for another order")]
    KeyReused,
    /// An owner offers a machine to itself.
    #[error("this account has the machine already")]
    SameOwner,
    /// The payment that a machine was bought with is disputed.
    #[error(
        "the payment of this machine is disputed: it can be handed on to nobody until that is settled"
    )]
    Disputed,
    /// Terms that cannot be.
    #[error("these terms cannot be: {0}")]
    BadTerms(&'static str),
    /// The account has as many hosting contracts as it may have.
    #[error("this account has {max} hosting contracts, the most it can have")]
    TooMany {
        /// How many it may have.
        max: i64,
    },
    /// The lane's blocks pay as many addresses as they can.
    #[error("blocks of this lane pay {max} owners' addresses already, the most they can")]
    BlockFull {
        /// How many.
        max: usize,
    },
    /// A number that does not fit.
    #[error("{0} is more than can be counted")]
    Overflow(&'static str),
    /// What stands in the database cannot be.
    #[error("the hosting tables are broken: {0}")]
    Broken(&'static str),
    /// The farm's.
    #[error(transparent)]
    Farm(#[from] FarmError),
    /// The ledger's.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blamed for HostingError {
    fn blame(&self) -> Blame {
        match self {
            HostingError::NoContract
            | HostingError::NotNow(_)
            | HostingError::NotYours
            | HostingError::OfferOpen
            | HostingError::SoldOut
            | HostingError::HeldUnpaid
            | HostingError::Bound
            | HostingError::KeyReused
            | HostingError::SameOwner
            | HostingError::Disputed
            | HostingError::BadTerms(_)
            | HostingError::TooMany { .. }
            | HostingError::BlockFull { .. } => Blame::Rejected,
            HostingError::Overflow(_) | HostingError::Broken(_) => Blame::Fatal,
            HostingError::Farm(e) => e.blame(),
            HostingError::Ledger(e) => e.blame(),
            HostingError::Store(e) => e.blame(),
        }
    }
}
