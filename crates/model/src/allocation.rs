//! Who gets an epoch's house work.

use crate::numbers::{floor, int, sum};
use crate::{Id, Wrong};
use num_bigint::BigInt;

/// A contract's claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub id: Id,
    /// What it should get.
    pub entitled: BigInt,
    /// What of earlier epochs it may get.
    pub catch_up: BigInt,
    /// Since when something is missing.
    pub short_since: Option<u64>,
    /// Whether it is the operator's own, which comes after all others.
    pub is_operators: bool,
}

/// What each claim gets, and what of it is for earlier epochs; then what nobody gets.
#[must_use]
pub fn allocate(
    done: &BigInt,
    claims: &[Claim],
    wrong: Option<Wrong>,
) -> (Vec<(BigInt, BigInt)>, BigInt) {
    let is_last = |c: &Claim| c.is_operators && wrong != Some(Wrong::OperatorNotLast);
    let mut got = vec![(int(0), int(0)); claims.len()];
    let mut left = done.clone();
    for last in [false, true] {
        let at: Vec<usize> = (0..claims.len()).filter(|i| is_last(&claims[*i]) == last).collect();
        let these: Vec<Claim> = at.iter().map(|i| claims[*i].clone()).collect();
        let (parts, surplus) = among(&left, &these, wrong);
        for (i, part) in at.into_iter().zip(parts) {
            got[i] = part;
        }
        left = surplus;
    }
    (got, left)
}

/// The same among claims of one rank.
fn among(done: &BigInt, claims: &[Claim], wrong: Option<Wrong>) -> (Vec<(BigInt, BigInt)>, BigInt) {
    let total = sum(claims.iter().map(|c| &c.entitled));
    if *done >= total {
        in_full(done - &total, claims, wrong)
    } else {
        in_part(done, &total, claims, wrong)
    }
}

fn in_full(
    mut surplus: BigInt,
    claims: &[Claim],
    wrong: Option<Wrong>,
) -> (Vec<(BigInt, BigInt)>, BigInt) {
    let mut got: Vec<_> = claims.iter().map(|c| (c.entitled.clone(), int(0))).collect();
    // One hash after the other would be plainer still; the oldest takes all it may, then the next.
    let mut order: Vec<usize> =
        (0..claims.len()).filter(|i| claims[*i].catch_up > int(0)).collect();
    order.sort_by_key(|i| (claims[*i].short_since.unwrap_or(u64::MAX), claims[*i].id));
    if wrong == Some(Wrong::YoungestShortfallFirst) {
        order.reverse();
    }
    for i in order {
        let more = claims[i].catch_up.clone().min(surplus.clone());
        surplus -= &more;
        got[i].0 += &more;
        got[i].1 = more;
    }
    (got, surplus)
}

fn in_part(
    done: &BigInt,
    total: &BigInt,
    claims: &[Claim],
    wrong: Option<Wrong>,
) -> (Vec<(BigInt, BigInt)>, BigInt) {
    let mut got: Vec<_> =
        claims.iter().map(|c| (floor(&(done * &c.entitled), total), int(0))).collect();
    let mut left = done - got.iter().map(|(n, _)| n.clone()).sum::<BigInt>();
    if wrong == Some(Wrong::NoLargestRemainder) {
        return (got, left);
    }
    let mut waiting: Vec<usize> = (0..claims.len()).collect();
    while left > int(0) && !waiting.is_empty() {
        let remainder = |i: usize| (done * &claims[i].entitled) % total;
        // The largest remainder of those that wait; of equal ones the lowest id.
        let best = waiting.iter().copied().reduce(|a, b| {
            let (of_a, of_b) = (remainder(a), remainder(b));
            let a_wins = match wrong {
                Some(Wrong::SmallestRemainderFirst) => {
                    (&of_a, claims[a].id) < (&of_b, claims[b].id)
                }
                Some(Wrong::TiesByHighestId) => (&of_a, claims[a].id) > (&of_b, claims[b].id),
                _ => of_a > of_b || (of_a == of_b && claims[a].id < claims[b].id),
            };
            if a_wins { a } else { b }
        });
        let Some(best) = best else { break };
        got[best].0 += 1;
        left -= 1;
        waiting.retain(|i| *i != best);
    }
    (got, left)
}
