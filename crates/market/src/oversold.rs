//! Telling the operator when more is under contract than capacity is proven for.
//!
//! Sales have stopped by then: nothing is available. What is missing is shared out pro rata and made good
//! later; this only speaks of it, once when it begins and once when it is over.

use crate::sale::Capacity;
use crate::{LaneConfig, Market, Result};
use std::sync::PoisonError;

impl Market {
    /// Looks at a lane's capacity after a close and tells of a change.
    pub(crate) async fn watch_capacity(&self, lane: &LaneConfig) -> Result<()> {
        let mut tx = self.store().read().await?;
        let capacity = Capacity::read(&mut tx, lane).await?;
        tx.rollback().await?;
        let (over, id) = (capacity.oversold(), &lane.lane);
        let mut known = self.inner.oversold.write().unwrap_or_else(PoisonError::into_inner);
        if over.0 > 0 && known.insert(id.clone()) {
            let (sold, for_sale) = (capacity.sold, capacity.for_sale);
            tracing::warn!(lane = %id, %sold, %for_sale, %over, "more is under contract than capacity is proven for: sales have stopped");
        } else if over.0 == 0 && known.remove(id) {
            tracing::info!(lane = %id, "proven capacity covers all contracts again");
        }
        Ok(())
    }
}
