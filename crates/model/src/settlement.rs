//! From what has matured to whole minor units.

use crate::Wrong;
use crate::numbers::{ceil, floor, int};
use num_bigint::BigInt;

/// What was paid, or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLine {
    /// First epoch.
    pub from: u64,
    /// Last epoch.
    pub to: u64,
    /// Whole minor units.
    pub gross: BigInt,
    /// The operator's part.
    pub fee: BigInt,
    /// Maintenance taken.
    pub maintenance: BigInt,
    /// Maintenance that was not covered.
    pub waived: BigInt,
    /// The rest.
    pub net: BigInt,
}

/// One asset's part of a settlement.
pub(crate) struct Part {
    pub(crate) asset: usize,
    pub(crate) gross: BigInt,
    pub(crate) fee: BigInt,
    /// In ten-thousandths of a minor unit.
    pub(crate) fee_carry: BigInt,
    pub(crate) maintenance: BigInt,
    pub(crate) waived: BigInt,
}

impl Part {
    pub(crate) fn net(&self) -> BigInt {
        &self.gross - &self.fee - &self.maintenance
    }
}

/// What is paid of `whole` where `due` is due to everybody and `there` is there for it.
#[must_use]
pub fn part_of_due(whole: &BigInt, due: &BigInt, there: &BigInt, wrong: Option<Wrong>) -> BigInt {
    if there >= due {
        return whole.clone();
    }
    let up = wrong == Some(Wrong::ShortReserveRoundedUp);
    let round = if up { ceil } else { floor };
    round(&(whole * there), due)
}

/// The fee of a part, with what was carried from before.
pub(crate) fn fee(
    asset: usize,
    gross: BigInt,
    bps: u16,
    carry: &BigInt,
    wrong: Option<Wrong>,
) -> Part {
    let exact = &gross * bps + carry;
    let (fee, carry) = match wrong {
        Some(Wrong::FeeRoundedUp) => (ceil(&exact, &int(10_000)), int(0)),
        Some(Wrong::FeeFractionDropped) => (floor(&exact, &int(10_000)), int(0)),
        _ => (floor(&exact, &int(10_000)), exact % 10_000),
    };
    let fee = fee.min(gross.clone());
    Part { asset, gross, fee, fee_carry: carry, maintenance: int(0), waived: int(0) }
}

/// Takes maintenance from the parts in the order of the terms; what stays due, or `None` when none of the named
/// assets is settled now.
pub(crate) fn maintain(
    parts: &mut [Part],
    due: &BigInt,
    order: &[(usize, u64)],
    wrong: Option<Wrong>,
) -> Option<BigInt> {
    let first = int(order.first().map_or(0, |(_, fee)| *fee).max(1));
    let mut rest = floor(due, &(int(1) << 64));
    let mut last = None;
    for (asset, whole_fee) in order {
        let Some(at) = parts.iter().position(|p| p.asset == *asset) else { continue };
        if wrong == Some(Wrong::MaintenanceFromFirstOnly) && last.is_some() {
            break;
        }
        let whole_fee = int((*whole_fee).max(1));
        let part = &mut parts[at];
        let asked = &rest * &whole_fee;
        let asked = match wrong {
            Some(Wrong::NextMaintenanceRoundedUp) => ceil(&asked, &first),
            _ => floor(&asked, &first),
        };
        let most = match wrong {
            Some(Wrong::MaintenanceBeforeFee) => part.gross.clone(),
            _ => part.net(),
        };
        part.maintenance = asked.clone().min(most);
        if wrong == Some(Wrong::MaintenanceBeforeFee) {
            part.fee = part.fee.clone().min(&part.gross - &part.maintenance);
        }
        let uncovered = &asked - &part.maintenance;
        rest = if uncovered == int(0) {
            int(0)
        } else {
            (&rest - ceil(&(&part.maintenance * &first), &whole_fee)).max(int(0))
        };
        last = Some((at, uncovered));
    }
    let (at, uncovered) = last?;
    let carry = due % (int(1) << 64);
    if wrong == Some(Wrong::MaintenanceNotWaived) {
        return Some(carry + (rest << 64));
    }
    parts[at].waived = uncovered;
    Some(carry)
}
