//! How deep a pay-in must be, by its amount: the more there is to gain from undoing blocks, the more blocks.
//!
//! What counts is what its customer has waiting on the chain together with it, not the payment alone: parts of a
//! large payment are worth as much to undo as the whole. What it must not know: contracts, prices.

use crate::keys::Keychain;
use crate::receipts::OurOutput;
use crate::{Result, Treasury, sql};
use gruve_store::{Tx, params};
use gruve_units::Asset;

/// From so much on, so deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthStep {
    /// Minor units that wait together, from this on.
    pub from: i64,
    /// Blocks, the one it stands in counted.
    pub confirmations: u64,
}

/// How many blocks `waiting` minor units need beyond what every pay-in needs; 1 where no step says more.
pub(crate) fn depth_of(steps: &[DepthStep], waiting: i64) -> u64 {
    let reached = steps.iter().filter(|s| waiting >= s.from);
    reached.map(|s| s.confirmations).max().unwrap_or(1)
}

impl Treasury {
    /// The height at which a receipt made at `height` may be credited and spent, where `usual` is that of any.
    pub(crate) async fn ripe_by_amount(
        &self,
        tx: &mut Tx,
        (asset, steps): (Asset, &[DepthStep]),
        height: u64,
        output: &OurOutput,
        usual: u64,
    ) -> Result<u64> {
        if steps.is_empty() || output.keychain != Keychain::PayIn {
            return Ok(usual);
        }
        let key = params![asset, output.index];
        let before: i64 = tx.fetch_one(sql::WAITING_BESIDE, &key).await?.get("minor")?;
        let depth = depth_of(steps, before.saturating_add(output.value));
        Ok(usual.max(height.saturating_add(depth.saturating_sub(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_step_that_is_reached_counts() {
        let step = |from, confirmations| DepthStep { from, confirmations };
        let steps = [step(1_000, 12), step(100, 6), step(500, 3)];
        for (waiting, depth) in [(0, 1), (99, 1), (100, 6), (999, 6), (1_000, 12), (i64::MAX, 12)] {
            assert_eq!(depth_of(&steps, waiting), depth, "{waiting}");
        }
    }
}
