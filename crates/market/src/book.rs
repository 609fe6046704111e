//! One asset that a lane earns. A lane has a book for its own coin and one for each coin that is merge-mined
//! with it: a window in units of that chain's difficulty, accruals, standings and settlements of their own.

use crate::{LaneConfig, Market, MarketError, Result};
use gruve_units::{Asset, LaneId};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Book<'a> {
    pub(crate) lane: &'a LaneConfig,
    pub(crate) asset: Asset,
    /// Confirmations after which a block's reward may be spent.
    pub(crate) maturity: u64,
}

impl Book<'_> {
    /// The lane's name.
    pub(crate) fn id(&self) -> LaneId {
        self.lane.lane.clone()
    }
}

impl LaneConfig {
    /// What the lane earns, its own coin first.
    pub fn assets(&self) -> impl Iterator<Item = Asset> {
        std::iter::once(self.asset).chain(self.aux.iter().map(|aux| aux.asset))
    }

    /// The lane's books, its own coin's first.
    pub(crate) fn books(&self) -> impl Iterator<Item = Book<'_>> {
        let own = Book { lane: self, asset: self.asset, maturity: self.coinbase_maturity };
        let aux = |aux: &crate::AuxConfig| Book {
            lane: self,
            asset: aux.asset,
            maturity: aux.coinbase_maturity,
        };
        std::iter::once(own).chain(self.aux.iter().map(aux))
    }
}

impl Market {
    /// The book of an asset that a lane earns.
    pub(crate) fn book(&self, lane: &LaneId, asset: Asset) -> Result<Book<'_>> {
        let config = self.lane(lane)?;
        config.books().find(|book| book.asset == asset).ok_or_else(|| MarketError::WrongAsset {
            lane: lane.clone(),
            amount: gruve_units::Amount::zero(asset),
        })
    }
}
