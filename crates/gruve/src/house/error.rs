//! What can go wrong while the house runs, with whose it is.

use gruve_accounts::AccountsError;
use gruve_chain::NodeError;
use gruve_chain::eth::BadReceipts;
use gruve_hosting::HostingError;
use gruve_ledger::LedgerError;
use gruve_market::MarketError;
use gruve_store::StoreError;
use gruve_treasury::TreasuryError;
use gruve_units::{Blame, Blamed};

/// An error of a transaction that spans rooms.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The treasury's.
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    /// The market's.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// The ledger's.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Hosted machines'.
    #[error(transparent)]
    Hosting(#[from] HostingError),
    /// Accounts'.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// A node's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node told of a block what cannot be.
    #[error(transparent)]
    Receipts(#[from] BadReceipts),
    /// More coins than there are.
    #[error("a block earned more than can be counted")]
    Nonsense,
}

impl Blamed for HouseError {
    fn blame(&self) -> Blame {
        match self {
            HouseError::Store(e) => e.blame(),
            HouseError::Treasury(e) => e.blame(),
            HouseError::Market(e) => e.blame(),
            HouseError::Ledger(e) => e.blame(),
            HouseError::Hosting(e) => e.blame(),
            HouseError::Accounts(e) => e.blame(),
            HouseError::Node(e) => e.blame(),
            // The node may be in the midst of a reorganisation; nothing was booked.
            HouseError::Receipts(_) => Blame::Transient,
            HouseError::Nonsense => Blame::Fatal,
        }
    }
}
