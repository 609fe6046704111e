//! Room for our coinbase in what a node offers.
//!
//! A block may weigh four million units and have 80,000 signature operations, with our coinbase. Nodes
//! keep room for it, but how much is the operator's setting (`blockreservedweight`, down to 2,000
//! units), and a block over a limit is lost whole. So the last transactions of a template that is too
//! full are left out: a template is in an order in which none needs a later one. (Not beside Litecoin's
//! extension block, whose transactions stand among them; its nodes have no such setting.)
//!
//! Promises: with at most [`COINBASE_WEIGHT_MAX`] and [`COINBASE_SIGOPS_MAX`] of ours the block is
//! within the limits that the node states; no more is left out than that takes.
//!
//! What this module must not know: what a coinbase holds.

use crate::TemplateError;
use serde_json::Value;

/// Heaviest coinbase, in weight units: nodes keep 4,000 free by old custom; the rest is for the header
/// and the count of transactions, which some count into them.
pub const COINBASE_WEIGHT_MAX: u64 = 3_600;
/// Most signature operations in a coinbase, not weighed: nodes keep so many free.
pub const COINBASE_SIGOPS_MAX: u64 = 100;

/// Header and count of transactions (below 65,536).
const HEADER_BYTES: u64 = 80 + 3;
/// What bytes outside witnesses weigh.
const WITNESS_SCALE: u64 = 4;

/// What a transaction takes and pays, as far as the node says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) bytes: u64,
    pub(crate) weight: Option<u64>,
    pub(crate) sigops: Option<u64>,
    pub(crate) fee: Option<i64>,
}

/// What the transactions of a block may take, each `None` where the node does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    bytes: Option<u64>,
    weight: Option<u64>,
    sigops: Option<u64>,
}

impl Room {
    /// By the limits in the node's answer, less what our coinbase may take.
    pub(crate) fn of(gbt: &Value, segwit: bool) -> Room {
        let limit = |name| gbt.get(name).and_then(Value::as_u64);
        // With witnesses limits are stated in units of a quarter.
        let scale = if segwit { WITNESS_SCALE } else { 1 };
        let ours = COINBASE_WEIGHT_MAX + WITNESS_SCALE * HEADER_BYTES;
        let less = |limit: Option<u64>, ours: u64| limit.map(|limit| limit.saturating_sub(ours));
        Room {
            bytes: less(limit("sizelimit").filter(|_| !segwit), ours / WITNESS_SCALE),
            weight: less(limit("weightlimit").filter(|_| segwit), ours),
            sigops: less(limit("sigoplimit"), scale * COINBASE_SIGOPS_MAX),
        }
    }

    /// How many of the transactions, from the first, leave room for ours.
    pub(crate) fn fitting(&self, costs: &[Cost]) -> usize {
        let (mut bytes, mut weight, mut sigops) = (0u64, 0u64, 0u64);
        let fits = |taken: u64, room: Option<u64>| room.is_none_or(|room| taken <= room);
        let has_room = |cost: &&Cost| {
            bytes = bytes.saturating_add(cost.bytes);
            weight = weight.saturating_add(cost.weight.unwrap_or(0));
            sigops = sigops.saturating_add(cost.sigops.unwrap_or(0));
            fits(bytes, self.bytes) && fits(weight, self.weight) && fits(sigops, self.sigops)
        };
        costs.iter().take_while(has_room).count()
    }
}

/// The fees of transactions that are left out, minor units.
///
/// # Errors
/// When the node does not state one, or states nonsense.
pub(crate) fn fees(left_out: &[Cost]) -> Result<i64, TemplateError> {
    let sum = left_out.iter().try_fold(0i64, |sum, cost| {
        let fee = cost.fee.filter(|fee| *fee >= 0)?;
        sum.checked_add(fee)
    });
    sum.ok_or(TemplateError::TooLarge("no room for a coinbase, and a fee is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn cost() -> impl Strategy<Value = Cost> {
        (60u64..400_000, 0u64..20_000).prop_map(|(weight, sigops)| Cost {
            bytes: weight / 4,
            weight: Some(weight),
            sigops: Some(sigops),
            fee: Some(1),
        })
    }

    fn block(costs: &[Cost]) -> (u64, u64) {
        let sum = |part: fn(&Cost) -> Option<u64>| costs.iter().filter_map(part).sum::<u64>();
        let weight = 4 * HEADER_BYTES + COINBASE_WEIGHT_MAX + sum(|c| c.weight);
        (weight, 4 * COINBASE_SIGOPS_MAX + sum(|c| c.sigops))
    }

    proptest! {
        #[test]
        fn what_is_kept_leaves_room_and_one_more_would_not(
            costs in prop::collection::vec(cost(), 0..60),
        ) {
            let room = Room::of(&json!({ "weightlimit": 4_000_000, "sigoplimit": 80_000 }), true);
            let kept = room.fitting(&costs);
            let (weight, sigops) = block(&costs[..kept]);
            prop_assert!(weight <= 4_000_000 && sigops <= 80_000);
            if kept < costs.len() {
                let (weight, sigops) = block(&costs[..=kept]);
                prop_assert!(weight > 4_000_000 || sigops > 80_000);
            }
        }
    }

    #[test]
    fn without_witnesses_bytes_count_and_operations_are_not_weighed() {
        let costs = [Cost { bytes: 1_000, sigops: Some(100), ..Cost::default() }; 1_000];
        let room = |gbt| Room::of(&gbt, false).fitting(&costs);
        assert_eq!(room(json!({ "sizelimit": 1_000_000, "sigoplimit": 20_000 })), 199);
        assert_eq!(room(json!({ "sizelimit": 1_000_000 })), 999);
        assert_eq!(room(json!({})), 1_000, "a node that states no limit is believed");
    }
}
