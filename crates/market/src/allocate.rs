//! Sharing out an epoch's house work among contracts. Pure.
//!
//! With *D* the house's work and *E* the entitlements:
//! - *D ≥ ΣE*: everyone gets its entitlement; of the surplus, open shortfalls are made good first,
//!   oldest first (ties by contract id), up to each plan's rate;
//! - *D < ΣE*: everyone gets `⌊D·E/ΣE⌋`, and the hashes left over go one each to the largest remainders,
//!   ties by contract id.
//!
//! The operator's own contracts come last: they share what the others leave, by the same rule.
//!
//! Σ allocated + surplus = *D*, exactly. The order in which contracts are given does not matter.

mod sharing;

pub(crate) use sharing::{Claimed, Sharing, Step};

use crate::MarketError;
use gruve_units::{ContractId, EpochNumber, Hashes};
use std::borrow::Cow;

/// A contract's claim on an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// Which contract; each at most once.
    pub contract: ContractId,
    /// What it should get.
    pub entitled: Hashes,
    /// Open shortfall that may be made good.
    pub catch_up: Hashes,
    /// Since when the shortfall is open; contracts without one come last.
    pub short_since: Option<EpochNumber>,
    /// Whether it is the operator's own contract, which comes after all others.
    pub is_operators: bool,
}

/// What a contract gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which contract.
    pub contract: ContractId,
    /// What it was entitled to.
    pub entitled: Hashes,
    /// Earlier shortfall made good.
    pub made_good: Hashes,
    /// All it gets.
    pub allocated: Hashes,
}

/// Who gets an epoch's house work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The contracts' parts, sorted by contract id.
    pub shares: Vec<Share>,
    /// The operator's.
    pub surplus: Hashes,
}

/// Shares out the house's work `done`.
///
/// # Errors
/// [`MarketError::Overflow`] when the entitlements do not fit 128 bits together.
pub fn allocate(done: Hashes, claims: &[Entitlement]) -> Result<Allocation, MarketError> {
    let mut claims = Cow::Borrowed(claims);
    // Nearly always they come sorted: then nothing is copied.
    if !claims.is_sorted_by_key(|c| c.contract) {
        claims.to_mut().sort_unstable_by_key(|c| c.contract);
    }
    let mut claimed = Claimed::default();
    for c in claims.iter() {
        claimed.add(c)?;
    }
    let mut sharing = claimed.share_out(done)?;
    let mut search = sharing.search();
    while let Some(mut pass) = search.take() {
        for c in claims.iter() {
            pass.look(c)?;
        }
        match pass.step()? {
            Step::On(next) => search = Some(next),
            Step::Found(found) => sharing.learn(found),
        }
    }
    let shares = claims.iter().map(|c| sharing.share(c)).collect::<Result<_, _>>()?;
    Ok(Allocation { shares, surplus: sharing.surplus() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::mul_div_floor;
    use proptest::prelude::*;
    use std::cmp::Reverse;

    /// The same with all claims in hand, rule by rule as they stand above.
    fn at_once(done: u128, claims: &[Entitlement]) -> (Vec<Share>, u128) {
        let (mut shares, mut left) = (Vec::new(), done);
        for is_operators in [false, true] {
            let mut rank: Vec<_> =
                claims.iter().filter(|c| c.is_operators == is_operators).collect();
            let total: u128 = rank.iter().map(|c| c.entitled.0).sum();
            let is_short = left < total;
            let mut open = if is_short { left } else { left - total };
            let mut all: Vec<(Reverse<u128>, Share)> = Vec::new();
            rank.sort_by_key(|c| (c.short_since.unwrap_or(EpochNumber(u64::MAX)), c.contract));
            for c in rank {
                let (part, rest) = match is_short {
                    true => mul_div_floor(left, c.entitled.0, total).unwrap(),
                    false => (c.entitled.0, 0),
                };
                let good = if is_short { 0 } else { c.catch_up.0.min(open) };
                open -= if is_short { part } else { good };
                let (contract, entitled, allocated) = (c.contract, c.entitled, Hashes(part + good));
                let share = Share { contract, entitled, made_good: Hashes(good), allocated };
                all.push((Reverse(rest), share));
            }
            all.sort_by_key(|(rest, share)| (*rest, share.contract));
            for (_, share) in
                all.iter_mut().take(if is_short { usize::try_from(open).unwrap() } else { 0 })
            {
                share.allocated.0 += 1;
            }
            left = if is_short { 0 } else { open };
            shares.extend(all.into_iter().map(|(_, share)| share));
        }
        shares.sort_by_key(|share| share.contract);
        (shares, left)
    }

    fn id(n: u8) -> ContractId {
        ContractId::from_bytes([n; 16])
    }

    fn claim(n: u8, entitled: u128, catch_up: u128, since: Option<u64>) -> Entitlement {
        Entitlement {
            contract: id(n),
            entitled: Hashes(entitled),
            catch_up: Hashes(catch_up),
            short_since: since.map(EpochNumber),
            is_operators: false,
        }
    }

    #[test]
    fn the_operators_own_contracts_come_last() {
        let own = |c: Entitlement| Entitlement { is_operators: true, ..c };
        let claims = [own(claim(1, 300, 50, Some(1))), claim(2, 200, 100, Some(9))];
        let parts = |done| {
            let a = allocate(Hashes(done), &claims).unwrap();
            (got(&a), a.surplus.0)
        };
        // Not before the others' entitlement, nor before their shortfall.
        assert_eq!(parts(150), (vec![0, 150], 0));
        assert_eq!(parts(280), (vec![0, 280], 0));
        assert_eq!(parts(400), (vec![100, 300], 0));
        assert_eq!(parts(700), (vec![350, 300], 50));
    }

    fn got(a: &Allocation) -> Vec<u128> {
        a.shares.iter().map(|s| s.allocated.0).collect()
    }

    #[test]
    fn enough_work_gives_everyone_its_entitlement() {
        let a = allocate(Hashes(1000), &[claim(1, 300, 0, None), claim(2, 200, 0, None)]).unwrap();
        assert_eq!((got(&a), a.surplus), (vec![300, 200], Hashes(500)));
    }

    #[test]
    fn surplus_makes_the_oldest_shortfall_good_first() {
        let claims =
            [claim(1, 100, 80, Some(9)), claim(2, 100, 80, Some(5)), claim(3, 100, 80, Some(9))];
        let a = allocate(Hashes(420), &claims).unwrap();
        assert_eq!((got(&a), a.surplus), (vec![140, 180, 100], Hashes(0)));
        assert_eq!(a.shares[0].made_good, Hashes(40));
    }

    #[test]
    fn too_little_work_is_shared_by_largest_remainder_then_by_id() {
        // 10 × 3/9, 3/9, 3/9 leaves one hash: all remainders tie, the lowest id gets it.
        let a = allocate(
            Hashes(8),
            &[claim(3, 3, 9, Some(1)), claim(1, 3, 0, None), claim(2, 3, 0, None)],
        )
        .unwrap();
        assert_eq!((got(&a), a.surplus), (vec![3, 3, 2], Hashes(0)));
        let a = allocate(Hashes(5), &[claim(1, 1, 0, None), claim(2, 5, 0, None)]).unwrap();
        assert_eq!(got(&a), vec![1, 4]);
    }

    #[test]
    fn no_contracts_leave_all_to_the_operator() {
        let a = allocate(Hashes(7), &[]).unwrap();
        assert_eq!(a, Allocation { shares: vec![], surplus: Hashes(7) });
    }

    #[test]
    fn entitlements_that_do_not_fit_are_refused() {
        let claims = [claim(1, u128::MAX, 0, None), claim(2, 1, 0, None)];
        assert!(allocate(Hashes(1), &claims).is_err());
    }

    fn farm() -> impl Strategy<Value = Vec<Entitlement>> {
        let one = (0u128..1 << 90, 0u128..1 << 90, proptest::option::of(0u64..9));
        proptest::collection::vec(one, 0..12).prop_map(|all| {
            (0u8..).zip(all).map(|(n, (e, s, since))| claim(n, e, s, since)).collect()
        })
    }

    proptest! {
        #[test]
        fn allocation_adds_up_and_keeps_its_bounds(done in 0u128..1 << 94, claims in farm()) {
            let a = allocate(Hashes(done), &claims).unwrap();
            let sum: u128 = a.shares.iter().map(|s| s.allocated.0).sum();
            prop_assert_eq!(sum + a.surplus.0, done);
            let total: u128 = claims.iter().map(|c| c.entitled.0).sum();
            for (s, c) in a.shares.iter().zip(&claims) {
                prop_assert_eq!(s.contract, c.contract);
                prop_assert!(s.made_good <= c.catch_up);
                if done >= total {
                    prop_assert_eq!(s.allocated.0, c.entitled.0 + s.made_good.0);
                } else {
                    prop_assert!(s.allocated <= c.entitled);
                    // Within one hash of the exact part.
                    let (exact, _) = mul_div_floor(done, c.entitled.0, total).unwrap();
                    prop_assert!(s.allocated.0 - exact <= 1);
                }
            }
            if done < total {
                prop_assert_eq!(a.surplus, Hashes::ZERO);
            }
        }

        #[test]
        fn nobody_gets_another_hash_when_no_claim_is_held(
            part in 0u128..=130,
            claims in proptest::collection::vec((0u128..1 << 90, 0u128..40, 0u128..1 << 80, proptest::option::of(0u64..4), proptest::bool::weighted(0.2)), 0..40),
            few in any::<bool>(),
        ) {
            let claims: Vec<_> = (0u8..).zip(claims).map(|(n, (many, one, short, since, is_operators))| {
                let entitled = if few { one % 3 + 1 } else if one < 30 { many } else { one };
                Entitlement { is_operators, ..claim(n, entitled, short, since) }
            }).collect();
            let total: u128 = claims.iter().map(|c| c.entitled.0).sum();
            // Too little of it, just enough and more.
            let done = total / 100 * part + total % 100 * part / 100;
            let (shares, surplus) = at_once(done, &claims);
            prop_assert_eq!(allocate(Hashes(done), &claims).unwrap(), Allocation { shares, surplus: Hashes(surplus) });
        }

        #[test]
        fn the_order_of_contracts_does_not_matter(done in 0u128..1 << 94, claims in farm(), turn in 0usize..12) {
            let mut turned = claims.clone();
            turned.reverse();
            let n = turned.len().max(1);
            turned.rotate_left(turn % n);
            prop_assert_eq!(allocate(Hashes(done), &claims).unwrap(), allocate(Hashes(done), &turned).unwrap());
        }
    }
}
