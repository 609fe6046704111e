//! What can go wrong while the house runs, with whose it is.

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
}

impl Blamed for HouseError {
    fn blame(&self) -> Blame {
        match self {
            HouseError::Store(e) => e.blame(),
            HouseError::Treasury(e) => e.blame(),
            HouseError::Market(e) => e.blame(),
        }
    }
}
