//! Which coins a batch of payouts spends, and what everybody pays for it.
//!
//! Promises: integer arithmetic throughout, and one equation that holds to the last minor unit:
//! `inputs = Σ received + network fee + change`. What the hot wallet loses is
//! `Σ amounts + operator_fee`, where `operator_fee` is the part of the network fee above what the
//! payouts were promised at most, and what is too small to be change. It must not know databases,
//! keys or nodes.
//!
//! The fee is taken out of the payouts, so the target of the selection is the plain sum of their
//! amounts. Coins are taken largest first: that needs the fewest inputs, and the customers pay for
//! the inputs. Coins that cost more to spend than they are worth are left alone.

use bdk_coin_select::{Candidate, CoinSelector, DrainWeights, FeeRate, Target, TargetFee};
use bdk_coin_select::{TXIN_BASE_WEIGHT, TargetOutputs};

/// Most inputs of one transaction: 200 of 148 bytes (`pkh`) are 29,600 bytes, well below the
/// 100,000 that nodes relay.
pub const INPUTS_MAX: usize = 200;

/// A network fee rate in minor units per 1000 virtual bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub i64);

impl Rate {
    /// The fee of a transaction of `weight` units, rounded up twice: to whole virtual bytes, as
    /// nodes do, and to whole minor units.
    #[must_use]
    pub fn fee(self, weight: u64) -> i64 {
        let size = i128::from(weight.div_ceil(4));
        let fee = (size * i128::from(self.0.max(0)) + 999) / 1000;
        i64::try_from(fee).unwrap_or(i64::MAX)
    }
}

/// Weight of an output with a script of `script_len` bytes (below 253).
#[must_use]
pub fn output_weight(script_len: usize) -> u64 {
    (8 + 1 + script_len as u64) * 4
}

/// One payout as the selection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Minor units that leave the customer's balance.
    pub amount: i64,
    /// Most of them that may go to the network.
    pub fee_max: i64,
    /// Length of the output script.
    pub script_len: usize,
}

/// What a transaction of this wallet costs, apart from the payouts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// What the network asks.
    pub rate: Rate,
    /// Weight of a signature above an empty `scriptSig`, at most.
    pub satisfaction_weight: u64,
    /// Whether the wallet's inputs are SegWit.
    pub segwit: bool,
    /// Length of the change script.
    pub change_script_len: usize,
    /// Smallest change worth an output: the dust limit of the change script.
    pub change_min: i64,
}

/// Coins chosen and everything paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Indices of the chosen coins, ascending.
    pub inputs: Vec<usize>,
    /// What each payout pays of the fee, in the order of the wishes.
    pub shares: Vec<i64>,
    /// What goes to the network: inputs less outputs.
    pub fee: i64,
    /// What returns to us, if worth an output.
    pub change: Option<i64>,
    /// The part of the fee the operator bears.
    pub operator_fee: i64,
}

/// The coins do not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spendable coins are too few: {missing} minor units more are needed")]
pub struct NotEnough {
    /// Minor units missing, at least.
    pub missing: i64,
}

/// Splits a fee evenly, nobody above his maximum, earlier ones bearing the odd units first; the
/// second value is what nobody bears.
fn split_fee(fee: i64, wishes: &[Wish]) -> (Vec<i64>, i64) {
    let mut shares = vec![0i64; wishes.len()];
    let mut left = fee;
    for (i, (share, wish)) in shares.iter_mut().zip(wishes).enumerate() {
        let heads = i64::try_from(wishes.len() - i).unwrap_or(i64::MAX);
        let even = left / heads + i64::from(left % heads != 0);
        *share = even.min(wish.fee_max).max(0);
        left -= *share;
    }
    (shares, left)
}

/// Chooses coins (their values) for `wishes`.
///
/// # Errors
/// [`NotEnough`] when the coins cannot pay for it within [`INPUTS_MAX`] inputs.
pub fn choose(values: &[i64], wishes: &[Wish], costs: &Costs) -> Result<Choice, NotEnough> {
    let input_weight = TXIN_BASE_WEIGHT + costs.satisfaction_weight;
    let worth_above = costs.rate.fee(input_weight);
    let kept: Vec<(usize, u64)> = values
        .iter()
        .enumerate()
        .filter(|&(_, &value)| value > worth_above)
        .filter_map(|(i, &value)| Some((i, u64::try_from(value).ok()?)))
        .collect();
    let candidates: Vec<Candidate> = kept
        .iter()
        .map(|&(_, value)| Candidate::new(value, costs.satisfaction_weight, costs.segwit))
        .collect();
    let amounts: i64 = wishes.iter().map(|w| w.amount).fold(0, i64::saturating_add);
    let drain = DrainWeights {
        output_weight: output_weight(costs.change_script_len),
        spend_weight: input_weight,
        n_outputs: 1,
    };
    let mut wanted = amounts;
    // Each round raises the sum wanted by what the operator has to add; every raise takes at least
    // one more coin, so the rounds are bounded by the inputs.
    for _ in 0..=INPUTS_MAX {
        let mut outputs =
            TargetOutputs::fund_outputs(wishes.iter().map(|w| (output_weight(w.script_len), 0)));
        outputs.value_sum = u64::try_from(wanted).unwrap_or(0);
        let target = Target { fee: TargetFee::from_feerate(FeeRate::ZERO), outputs };
        let mut selector = CoinSelector::new(&candidates);
        selector.sort_candidates_by_key(|(index, c)| (std::cmp::Reverse(c.value), index));
        let enough = selector.select_until_target_met(target);
        let chosen: i64 = i64::try_from(selector.selected_value()).unwrap_or(i64::MAX);
        if enough.is_err() || selector.selected_indices().len() > INPUTS_MAX {
            let missing = wanted.saturating_sub(chosen).max(1);
            return Err(NotEnough { missing });
        }
        let fee_with_change = costs.rate.fee(selector.weight(outputs, drain));
        let fee_without = costs.rate.fee(selector.weight(outputs, DrainWeights::NONE));
        let over = chosen - amounts;
        let (shares, unborne) = split_fee(fee_with_change, wishes);
        let change = over - unborne;
        let (shares, fee, change, operator_fee) = if change >= costs.change_min {
            (shares, fee_with_change, Some(change), unborne)
        } else {
            let (shares, unborne) = split_fee(fee_without, wishes);
            if over < unborne {
                wanted = amounts.saturating_add(unborne);
                continue;
            }
            // What is left is too small for an output: it goes to the network, at our expense.
            (shares, fee_without + (over - unborne), None, over)
        };
        let mut inputs: Vec<usize> =
            selector.selected_indices().iter().map(|&i| kept[i].0).collect();
        inputs.sort_unstable();
        return Ok(Choice { inputs, shares, fee, change, operator_fee });
    }
    Err(NotEnough { missing: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn costs(rate: i64) -> Costs {
        Costs {
            rate: Rate(rate),
            satisfaction_weight: 108,
            segwit: true,
            change_script_len: 22,
            change_min: 294,
        }
    }

    proptest! {
        #[test]
        fn nothing_is_made_or_lost(
            values in prop::collection::vec(1i64..5_000_000, 0..60),
            wishes in prop::collection::vec((1_000i64..3_000_000, 0i64..40_000), 1..12),
            rate in 0i64..200_000,
        ) {
            let wishes: Vec<Wish> = wishes
                .into_iter()
                .map(|(amount, fee_max)| Wish { amount, fee_max, script_len: 22 })
                .collect();
            let total: i64 = values.iter().sum();
            let amounts: i64 = wishes.iter().map(|w| w.amount).sum();
            match choose(&values, &wishes, &costs(rate)) {
                Ok(c) => {
                    let inputs: i64 = c.inputs.iter().map(|&i| values[i]).sum();
                    let received: i64 =
                        wishes.iter().zip(&c.shares).map(|(w, s)| w.amount - s).sum();
                    prop_assert_eq!(inputs, received + c.fee + c.change.unwrap_or(0));
                    prop_assert_eq!(inputs - c.change.unwrap_or(0), amounts + c.operator_fee);
                    prop_assert!(c.operator_fee >= 0);
                    for (w, s) in wishes.iter().zip(&c.shares) {
                        prop_assert!(*s >= 0 && *s <= w.fee_max);
                    }
                    prop_assert!(c.change.is_none_or(|v| v >= 294));
                    prop_assert!(c.inputs.windows(2).all(|w| w[0] < w[1]));
                }
                Err(_) => {
                    // Everything worth spending, less everything it could cost, is not enough.
                    let worth: i64 = values.iter().filter(|&&v| v > Rate(rate).fee(164 + 108)).sum();
                    let most = Rate(rate).fee(
                        (164 + 108) * 60 + output_weight(22) * 13 + 100,
                    );
                    prop_assert!(worth < amounts + most, "{worth} of {total} for {amounts}");
                }
            }
        }

        #[test]
        fn a_fee_is_split_whole(fee in 0i64..1_000_000, max in prop::collection::vec(0i64..50_000, 1..20)) {
            let wishes: Vec<Wish> =
                max.iter().map(|&m| Wish { amount: 0, fee_max: m, script_len: 22 }).collect();
            let (shares, left) = split_fee(fee, &wishes);
            prop_assert_eq!(shares.iter().sum::<i64>() + left, fee);
            prop_assert!(left >= 0);
        }
    }

    #[test]
    fn change_too_small_for_an_output_is_the_operators_expense() {
        let wishes = [Wish { amount: 10_000, fee_max: 1_000, script_len: 22 }];
        let c = choose(&[10_100], &wishes, &costs(1000)).unwrap();
        assert_eq!((c.change, c.operator_fee), (None, 100));
        assert_eq!(c.fee, c.shares[0] + 100);
    }

    #[test]
    fn a_coin_that_costs_more_than_it_is_worth_is_left_alone() {
        let wishes = [Wish { amount: 1_000, fee_max: 1_000, script_len: 22 }];
        assert!(choose(&[60; 100], &wishes, &costs(1000)).is_err());
    }
}
