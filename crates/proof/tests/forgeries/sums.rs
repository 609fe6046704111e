//! Lies about whose the work is and who got it.

use crate::changed;
use crate::world::{Files, World, contract};
use gruve_proof::sold::{LEAF_BYTES, SoldLeaf};
use gruve_units::Hashes;
use sha2::{Digest, Sha256};

/// The sold tree's bytes changed before they are named.
fn edited(edit: fn(&mut Vec<u8>)) -> Files {
    changed(|_, c| c.edit_sold = edit)
}

/// The entry changed last.
fn told(edit: fn(&mut gruve_proof::summary::EpochSummary)) -> Files {
    changed(|_, c| c.edit = edit)
}

/// Two contracts whose node hashes the total alone: any two parts of it would fit.
fn of_totals_only() -> Files {
    changed(|_, c| {
        let (one, two) = (contract(1, 100), contract(2, 200));
        c.contracts = vec![one, two];
        c.edit = |s| {
            let nodes = [contract(1, 100), contract(2, 200)].map(|l: SoldLeaf| l.node());
            let sums = s.sold_root.sums.to_bytes();
            let parts = [&[2][..], &sums, &nodes[0].hash, &nodes[1].hash].concat();
            s.sold_root.hash = Sha256::digest(parts).into();
        };
    })
}

/// Two contracts that owe so much that the sum turns over: one of them is a debt below zero.
fn overflowing(edit: fn(&mut Vec<u8>, usize)) -> Vec<u8> {
    let mut b = gruve_proof::sold::encode(
        &"btc".parse().unwrap(),
        gruve_units::EpochNumber(12),
        &[contract(1, 100), contract(2, 100)],
    );
    let first = b.len() - 2 * LEAF_BYTES;
    edit(&mut b, first);
    b
}

/// Three contracts with claims on 300 hashes, of which there are 448, and one without a rate.
fn shared(parts: [u128; 3], sham: (u128, u128, u128)) -> Files {
    changed(|_, c| {
        c.contracts = (1..).zip(parts).map(|(n, got)| contract(n, got)).collect();
        c.contracts.iter_mut().for_each(|l| l.entitled = 300);
        let (rate, entitled, got) = sham;
        if got > 0 {
            let mut own = contract(9, got);
            (own.sums.hashrate, own.entitled) = (rate, entitled);
            c.contracts.push(own);
        }
    })
}

lies! {
    a_sham_contract_with_a_claim_that_its_rate_does_not_make: "claim-above-rate", "a claim on more than the rate makes",
        shared([0, 0, 0], (0, 300_000, 448));
    a_sham_contract_without_a_claim_that_gets_all: "shared-unevenly", "not its part of what all had to share",
        shared([0, 0, 0], (0, 0, 448));
    work_of_one_contract_given_to_another: "shared-unevenly", "not its part of what all had to share",
        shared([300, 148, 0], (0, 0, 0));
    a_hash_that_another_has_more_right_to: "shared-unevenly", "not its part of what all had to share",
        shared([149, 148, 151], (0, 0, 0));
    work_that_no_share_proves: "work-not-proven", "the house's work is not the entry's",
        told(|s| {
            s.house_work = Hashes(s.house_work.0 + 64);
            s.surplus = Hashes(s.surplus.0 + 64);
        });
    hosted_machines_work_told_as_the_farms: "work-not-proven", "the house's work is not the entry's", told(|s| {
        s.house_work = s.house_work.checked_add(s.other_work).unwrap();
        s.surplus = s.surplus.checked_add(s.other_work).unwrap();
        s.other_work = Hashes::ZERO;
    });
    house_work_counted_again_as_a_customers: "work-not-proven", "the owners' work is not the entry's", told(|s| {
        s.other_work = s.other_work.checked_add(s.house_work).unwrap();
    });
    house_work_that_went_to_a_contract_and_to_an_owner: "allocation-root", "the allocation tree is not the entry's", told(|s| {
        s.allocation_root.sum += s.house_work.0;
    });
    more_allocated_than_was_proven: "allocated-not-proven", "allocated work and surplus are not the house's work",
        changed(|_, c| c.contracts.push(contract(2, 640)));
    work_that_went_to_nobody: "allocated-not-proven", "allocated work and surplus are not the house's work", told(|s| s.surplus = Hashes(0));
    work_given_to_another_owner: "allocation-root", "the allocation tree is not the entry's", told(|s| s.allocation_root.hash = [1; 32]);
    work_kept_while_a_contract_is_short: "surplus-before-contract", "less allocated than entitled, with a surplus",
        changed(|_, c| c.contracts[0].entitled += 10);
    a_contract_sold_twice: "sold-malformed", "contracts out of order",
        changed(|_, c| c.contracts = vec![contract(1, 100), contract(1, 100)]);
    contracts_that_are_not_sorted: "sold-malformed", "contracts out of order",
        changed(|_, c| c.contracts = vec![contract(2, 100), contract(1, 100)]);
    a_contract_left_out: "sold-root", "number of contracts is not the entry's", edited(|b| {
        let leaf = b.len() - LEAF_BYTES;
        b.truncate(leaf);
        b[leaf - 1] = 0;
    });
    a_contract_with_another_hashrate: "sold-root", "sums or hash of the root are not the entry's", edited(|b| {
        let leaf = b.len() - LEAF_BYTES;
        b[leaf + 17 + 15] += 1;
    });
    a_contract_with_another_id: "sold-root", "sums or hash of the root are not the entry's", edited(|b| {
        let leaf = b.len() - LEAF_BYTES;
        b[leaf] ^= 1;
    });
    a_sum_node_that_hashes_only_totals: "sold-root", "sums or hash of the root are not the entry's", of_totals_only();
    sums_that_overflow: "sold-malformed", "a sum does not fit 16 bytes", changed(|_, c| {
        c.contracts = vec![contract(1, 100), contract(2, 100)];
        c.edit_sold = |b| *b = overflowing(|b, at| {
            for leaf in [at, at + LEAF_BYTES] {
                b[leaf + 17 + 32] = 0xff;
            }
        });
    });
    a_debt_below_zero: "sold-malformed", "a sum does not fit 16 bytes", changed(|_, c| {
        c.contracts = vec![contract(1, 100), contract(2, 100)];
        // Minus 5,000 beside 5,000: the sum turns over to nothing.
        c.edit_sold = |b| *b = overflowing(|b, at| {
            let minus = 5_000u128.wrapping_neg().to_be_bytes();
            b[at + 17 + 32..at + 17 + 48].copy_from_slice(&minus);
        });
        c.edit = |s| s.sold_root.sums.owed = 0;
    });
    entitlements_that_overflow: "sold-malformed", "a sum does not fit 16 bytes", changed(|_, c| {
        c.contracts = vec![contract(1, 100), contract(2, 100)];
        c.contracts.iter_mut().for_each(|l| l.entitled = u128::MAX);
        c.edit = |s| s.surplus = Hashes(0);
    });
    an_absurd_number_of_contracts: "sold-malformed", "number of contracts is over 67108864", edited(|b| b[20..28].fill(0xff));
    another_number_of_contracts_in_the_entry: "sold-root", "number of contracts is not the entry's", told(|s| s.contracts += 1);
    a_contract_of_no_known_kind: "sold-malformed", "kind is over 1",
        changed(|_, c| c.contracts[0].kind = 9);
    the_sold_tree_of_another_epoch: "sold-malformed", "of another lane or epoch", edited(|b| b[19] = 11);
    a_sold_tree_cut: "sold-malformed", "wrong length", edited(|b| b.truncate(b.len() - 1));
    a_sold_tree_padded: "sold-malformed", "wrong length", edited(|b| b.push(0));
}

#[test]
fn work_that_does_not_suffice_is_shared_by_claims_to_the_hash() {
    // 448 of 900: 149 each, and the hash left over to one of them.
    let files = shared([150, 149, 149], (0, 0, 0));
    assert_eq!(files.lie(&gruve_proof::verify::Options::default()), "none");
    assert!(files.second().starts_with("yes "), "{}", files.second());
}

#[test]
fn capacity_that_was_shown_for_less_than_a_day_is_told_as_such() {
    // Two epochs of ten minutes that are a day apart, and two that are one epoch less.
    for (last, is_told) in [(10 + 143, false), (10 + 142, true)] {
        let mut w = World::new();
        for epoch in [10, last] {
            let honest = w.epoch(epoch);
            w.close(&honest);
        }
        let verdict = w.publish().verify(&gruve_proof::verify::Options::default()).unwrap();
        let said = "compared with 1430 minutes of work, which is all that there is";
        assert_eq!(verdict.remarks.iter().any(|r| r.contains(said)), is_told, "{verdict}");
    }
}

#[test]
fn capacity_sold_ten_times_over_until_somebody_looks() {
    // 448 hashes of the house an epoch, of one second; the contract that takes ten times that ends before the last one.
    let mut w = World::new();
    for epoch in 10..20 {
        let mut c = w.epoch(epoch);
        c.contracts = vec![contract(1, 3)];
        if epoch < 19 {
            let mut other = contract(2, 0);
            (other.sums.hashrate, other.entitled) = (4_480, 0);
            c.contracts.push(other);
        }
        c.edit = |s| s.length_us = 1_000_000;
        w.close(&c);
    }
    let verdict = w.publish().verify(&gruve_proof::verify::Options::default()).unwrap();
    let lane = &verdict.lanes[0];
    assert_eq!((lane.sold.0, lane.sold_mean.0, lane.house_hashrate.0), (3, 4_035, 448));
    assert!(lane.sold_by_proven.is_some_and(|r| r > 9.0), "{verdict}");
    assert!(verdict.remarks.iter().any(|r| r.contains("is under contract")), "{verdict}");
}
