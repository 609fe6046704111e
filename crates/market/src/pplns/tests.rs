use super::*;
use gruve_units::{AccountId, ContractId};
use proptest::prelude::*;
use ruint::aliases::U1024;

fn who(n: u8) -> Beneficiary {
    Beneficiary::Contract(ContractId::from_bytes([n; 16]))
}

fn window(epochs: &[Vec<(u8, u128)>]) -> Vec<EpochUnits> {
    let epoch = |(n, pieces): (u64, &Vec<(u8, u128)>)| EpochUnits {
        epoch: EpochNumber(n),
        pieces: pieces.iter().map(|(w, u)| (who(*w), *u)).collect(),
    };
    (0..).zip(epochs).map(epoch).collect()
}

fn minor(a: Accrual) -> i64 {
    a.split().unwrap().0
}

#[test]
fn the_published_example_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/payout-schemes.json");
    let all: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let example = &all["unit_pplns"];
    let name = |v: &serde_json::Value| v.as_str().unwrap().as_bytes()[0];
    // In units of 1/2000 block every share of the example is whole.
    let shares: Vec<Vec<(u8, u128)>> = example["shares_oldest_first"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            let (d, network) = (s[1].as_u64().unwrap(), s[2].as_u64().unwrap());
            assert_eq!(d * 2000 % network, 0);
            vec![(name(&s[0]), u128::from(d * 2000 / network))]
        })
        .collect();
    let size = u128::from(example["X"].as_u64().unwrap()) * 2000;
    let reward = 100_000_000;
    let paid = unit_pplns(&window(&shares), reward, size).unwrap();
    for (person, fraction) in example["payout_of_B=1"].as_object().unwrap() {
        let (a, b) = fraction.as_str().unwrap().split_once('/').unwrap();
        let exact = reward * a.parse::<i64>().unwrap() / b.parse::<i64>().unwrap();
        let got = paid.parts[&who(person.as_bytes()[0])];
        assert_eq!(got, Accrual::from_minor(exact).unwrap(), "{person}");
    }
    assert_eq!((paid.unfilled, paid.remainder), (Accrual::ZERO, Accrual::ZERO));
}

#[test]
fn an_underfilled_window_still_divides_by_eight() {
    let paid = unit_pplns(&window(&[vec![(1, ONE_BLOCK)]]), 8_000, WINDOW_UNITS).unwrap();
    assert_eq!(minor(paid.parts[&who(1)]), 1_000);
    assert_eq!(minor(paid.unfilled), 7_000);
    let nobody = unit_pplns(&[], 8_000, WINDOW_UNITS).unwrap();
    assert_eq!((minor(nobody.unfilled), nobody.parts.len()), (8_000, 0));
}

#[test]
fn the_boundary_epoch_pays_in_part_and_what_is_older_nothing() {
    let epochs = [
        vec![(1, 100 * ONE_BLOCK)],
        vec![(2, 6 * ONE_BLOCK), (3, 2 * ONE_BLOCK)],
        vec![(4, 4 * ONE_BLOCK)],
    ];
    let paid = unit_pplns(&window(&epochs), 800, WINDOW_UNITS).unwrap();
    let parts: Vec<_> = paid.parts.iter().map(|(w, a)| (*w, minor(*a))).collect();
    assert_eq!(parts, [(who(2), 300), (who(3), 100), (who(4), 400)]);
    assert_eq!((paid.unfilled, paid.remainder), (Accrual::ZERO, Accrual::ZERO));
}

#[test]
fn one_epoch_far_above_the_window_is_scaled_exactly() {
    let epochs = [vec![(1, u128::MAX / 2), (2, u128::MAX / 2)]];
    let paid = unit_pplns(&window(&epochs), i64::MAX, WINDOW_UNITS).unwrap();
    assert_eq!(paid.parts[&who(1)], paid.parts[&who(2)]);
    assert!(paid.remainder.0 <= 2);
}

#[test]
fn negative_rewards_and_overflowing_units_are_refused() {
    assert!(unit_pplns(&[], -1, WINDOW_UNITS).is_err());
    let too_much = [vec![(1, u128::MAX), (2, 1)]];
    assert!(unit_pplns(&window(&too_much), 1, WINDOW_UNITS).is_err());
}

/// The same by the book: walk piece by piece with exact fractions over a common denominator.
fn naive(epochs: &[Vec<(u8, u128)>], reward: i64, size: u128) -> BTreeMap<Beneficiary, U1024> {
    let mut left = U1024::from(size);
    let mut credited: BTreeMap<Beneficiary, (U1024, U1024)> = BTreeMap::new();
    for pieces in epochs.iter().rev() {
        let total: U1024 = pieces.iter().map(|(_, u)| U1024::from(*u)).sum();
        let take = total.min(left);
        left -= take;
        for (w, u) in pieces {
            // u × take / total, added as a fraction.
            let (n, d) = if total.is_zero() {
                (U1024::ZERO, U1024::from(1))
            } else {
                (U1024::from(*u) * take, total)
            };
            let (a, b) = credited.get(&who(*w)).copied().unwrap_or((U1024::ZERO, U1024::from(1)));
            let sum = if b == d { (a + n, b) } else { (a * d + n * b, b * d) };
            let common = sum.0.gcd(sum.1);
            credited.insert(who(*w), (sum.0 / common, sum.1 / common));
        }
    }
    let scale = U1024::from(reward) << 64;
    credited.into_iter().map(|(w, (n, d))| (w, scale * n / (d * U1024::from(size)))).collect()
}

fn history() -> impl Strategy<Value = Vec<Vec<(u8, u128)>>> {
    let pieces = proptest::collection::vec((0u8..5, 0u128..1 << 66), 0..5);
    proptest::collection::vec(pieces, 0..25)
}

proptest! {
    #[test]
    fn parts_add_up_to_the_reward(epochs in history(), reward in 0i64..) {
        let paid = unit_pplns(&window(&epochs), reward, WINDOW_UNITS).unwrap();
        let sum = paid.parts.values().map(|a| a.0).sum::<u128>() + paid.unfilled.0 + paid.remainder.0;
        prop_assert_eq!(Accrual(sum), Accrual::from_minor(reward).unwrap());
        prop_assert!(paid.remainder.0 <= 6);
    }

    #[test]
    fn an_independent_model_with_exact_fractions_agrees(epochs in history(), reward in 0i64..) {
        let paid = unit_pplns(&window(&epochs), reward, WINDOW_UNITS).unwrap();
        for (w, exact) in naive(&epochs, reward, WINDOW_UNITS) {
            let got = paid.parts.get(&w).copied().unwrap_or_default();
            prop_assert_eq!(U1024::from(got.0), exact);
        }
    }

    #[test]
    fn whole_epochs_may_be_read_together(epochs in history(), reward in 0i64..) {
        let all = window(&epochs);
        let mut filling = Filling::new(WINDOW_UNITS);
        let cut = all.iter().rev().find_map(|e| filling.take(e.epoch, e.pieces.iter().map(|p| p.1).sum()));
        if let Some(Cut { boundary: Some((edge, _)), .. }) = cut {
            let at = usize::try_from(edge.0).unwrap();
            let together = EpochUnits {
                epoch: EpochNumber(edge.0 + 1),
                pieces: all[at + 1..].iter().flat_map(|e| e.pieces.clone()).collect(),
            };
            let short = [all[at].clone(), together];
            prop_assert_eq!(unit_pplns(&all, reward, WINDOW_UNITS).unwrap(), unit_pplns(&short, reward, WINDOW_UNITS).unwrap());
        }
    }

    #[test]
    fn the_order_within_an_epoch_does_not_matter(epochs in history(), reward in 0i64..) {
        let mut turned = epochs.clone();
        for e in &mut turned {
            e.reverse();
        }
        prop_assert_eq!(
            unit_pplns(&window(&epochs), reward, WINDOW_UNITS).unwrap(),
            unit_pplns(&window(&turned), reward, WINDOW_UNITS).unwrap()
        );
    }
}

#[test]
fn outside_accounts_stand_for_themselves() {
    let me = Beneficiary::Account(AccountId::from_bytes([5; 16]));
    let e = EpochUnits { epoch: EpochNumber(1), pieces: vec![(me, 4 * ONE_BLOCK)] };
    let paid = unit_pplns(&[e], 100, WINDOW_UNITS).unwrap();
    assert_eq!(minor(paid.parts[&me]), 50);
}

fn vectors() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/payout-schemes.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The example of TIDES: who, and how much difficulty, oldest first.
fn tides_shares(example: &serde_json::Value) -> Vec<Vec<(u8, u128)>> {
    let share = |s: &serde_json::Value| {
        let who = s[0].as_str().unwrap().as_bytes()[0];
        vec![(who, u128::from(s[1].as_u64().unwrap()))]
    };
    example["shares_oldest_first"].as_array().unwrap().iter().map(share).collect()
}

#[test]
fn the_published_example_of_tides_is_the_same_where_the_window_is_full() {
    let example = &vectors()["tides"];
    let reward = example["reward_sats"].as_i64().unwrap();
    // Eight blocks at difficulty 64, in units of difficulty.
    let full = &example["full"];
    let size = u128::from(full["window"].as_u64().unwrap());
    assert_eq!(size, (WINDOW_BLOCKS * example["network_difficulty"].as_u64().unwrap()).into());
    let paid = unit_pplns(&window(&tides_shares(example)), reward, size).unwrap();
    let floors = full["payout_floor_sats"].as_object().unwrap();
    assert_eq!(paid.parts.len(), floors.len());
    let mut sum = 0;
    for (person, floor) in floors {
        let got = minor(paid.parts[&who(person.as_bytes()[0])]);
        assert_eq!(got, floor.as_i64().unwrap(), "{person}");
        sum += got;
    }
    assert_eq!(reward - sum, full["remainder"].as_i64().unwrap());
    assert_eq!(paid.unfilled, Accrual::ZERO);
}

#[test]
fn where_tides_overpays_an_underfilled_window_the_rest_is_the_reserves() {
    let example = &vectors()["tides"];
    let reward = example["reward_sats"].as_i64().unwrap();
    let part = &example["underfilled"];
    let (size, used) = (part["window"].as_u64().unwrap(), part["used"].as_u64().unwrap());
    let credited = part["credited"].as_object().unwrap();
    let shares: Vec<Vec<(u8, u128)>> = credited
        .iter()
        .map(|(who, d)| vec![(who.as_bytes()[0], u128::from(d.as_u64().unwrap()))])
        .collect();
    let paid = unit_pplns(&window(&shares), reward, size.into()).unwrap();
    for (person, floor) in part["payout_floor_sats"].as_object().unwrap() {
        let tides = i128::from(floor.as_i64().unwrap());
        let ours = i128::from(minor(paid.parts[&who(person.as_bytes()[0])]));
        let scaled = tides * i128::from(used) / i128::from(size);
        assert!((ours - scaled).abs() <= 1, "{person}: {ours} {scaled}");
    }
    let rest = i128::from(reward) * i128::from(size - used) / i128::from(size);
    assert_eq!(i128::from(minor(paid.unfilled)), rest);
}

/// SLICE is not offered: it weighs a share by the fees of its job as well. But its parts are sums of what is shared out here,
/// the subsidy by work and each slice's part of the fees by work times fees, and so say how exactly that is done.
#[test]
fn parts_of_a_slice_are_those_of_sharing_out_by_its_weights() {
    let example = &vectors()["slice"];
    let whole = |v: &serde_json::Value| v.as_u64().unwrap();
    let slices: Vec<Vec<(u8, u64, u64)>> = example["slices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            let share = |s: &serde_json::Value| {
                (s[0].as_str().unwrap().as_bytes()[0], whole(&s[1]), whole(&s[2]))
            };
            s.as_array().unwrap().iter().map(share).collect()
        })
        .collect();
    let by_work: Vec<Vec<(u8, u128)>> =
        slices.iter().map(|s| s.iter().map(|(w, d, _)| (*w, u128::from(*d))).collect()).collect();
    let size = |epochs: &[Vec<(u8, u128)>]| epochs.iter().flatten().map(|(_, u)| u).sum::<u128>();
    let subsidy = example["subsidy"].as_i64().unwrap();
    let mut payouts = vec![unit_pplns(&window(&by_work), subsidy, size(&by_work)).unwrap()];
    let fees = example["fees"].as_i64().unwrap() / i64::try_from(slices.len()).unwrap();
    for slice in &slices {
        let weights = [slice.iter().map(|(w, d, f)| (*w, u128::from(d * f))).collect::<Vec<_>>()];
        payouts.push(unit_pplns(&window(&weights), fees, size(&weights)).unwrap());
    }
    assert_eq!(payouts.len(), 3);
    for (person, fraction) in example["exact"].as_object().unwrap() {
        let (a, b) = fraction.as_str().unwrap().split_once('/').unwrap();
        let exact = (a.parse::<u128>().unwrap() << 64) / b.parse::<u128>().unwrap();
        let part = |p: &Payout| p.parts.get(&who(person.as_bytes()[0])).map_or(0, |a| a.0);
        let got: u128 = payouts.iter().map(part).sum();
        // Each of the three is rounded down by itself.
        assert!(got <= exact && exact - got <= 2, "{person}: {got} of {exact}");
    }
    let left: u128 = payouts.iter().map(|p| p.unfilled.0 + p.remainder.0).sum();
    assert!(left <= 6, "{left}");
}
