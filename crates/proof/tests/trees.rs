//! Merkle trees against published and computed answers, and against forgers.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_proof::merkle;
use gruve_proof::sum_tree::{self, SumNode};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn data(name: &str) -> Value {
    let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hash(v: &Value) -> [u8; 32] {
    hex::decode(v.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn hashes(v: &Value) -> Vec<[u8; 32]> {
    v.as_array().unwrap().iter().map(hash).collect()
}

fn number(v: &Value) -> usize {
    usize::try_from(v.as_u64().unwrap()).unwrap()
}

#[test]
fn roots_and_proofs_are_those_of_rfc_6962() {
    let v = &data("merkle.json")["rfc6962"];
    let leaves: Vec<_> = v["leaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| merkle::leaf_hash(&hex::decode(l.as_str().unwrap()).unwrap()))
        .collect();
    let roots = hashes(&v["roots"]);
    assert_eq!(merkle::root(&[]), hash(&v["empty_root"]));
    for n in 1..=leaves.len() {
        assert_eq!(merkle::root(&leaves[..n]), roots[n - 1], "{n} leaves");
    }
    for case in v["inclusion"].as_array().unwrap() {
        let (index, size) = (number(&case["index"]), number(&case["size"]));
        let path = hashes(&case["path"]);
        assert_eq!(merkle::inclusion_proof(&leaves[..size], index).unwrap(), path);
        let (i, n) = (index as u64, size as u64);
        assert!(merkle::verify_inclusion(&roots[size - 1], n, i, &leaves[index], &path));
    }
    for case in v["consistency"].as_array().unwrap() {
        let (old, new) = (number(&case["old"]), number(&case["new"]));
        let proof = hashes(&case["proof"]);
        assert_eq!(merkle::consistency_proof(&leaves[..new], old).unwrap(), proof);
        let (o, n) = (old as u64, new as u64);
        assert!(merkle::verify_consistency(&roots[old - 1], o, &roots[new - 1], n, &proof));
    }
}

#[test]
fn trees_that_a_bitcoin_tree_confuses_have_different_roots() {
    let mut doubled = 0;
    for case in data("merkle.json")["bitcoin_duplicates"].as_array().unwrap() {
        if case["leaves"].is_array() {
            assert_ne!(
                merkle::root(&hashes(&case["leaves"])),
                merkle::root(&hashes(&case["mutated"]))
            );
            doubled += 1;
        } else {
            // A leaf of 64 bytes that reads as two hashes is not the node over them.
            let preimage = hex::decode(case["leaf_preimage_64B"].as_str().unwrap()).unwrap();
            let (left, right) = preimage.split_at(32);
            let node = merkle::node_hash(&left.try_into().unwrap(), &right.try_into().unwrap());
            assert_ne!(merkle::leaf_hash(&preimage), node);
        }
    }
    assert_eq!(doubled, 5);
}

/// The broken scheme of the data: only the total of the two children is hashed.
fn broken_parent(left: (u64, &str), right: (u64, &str)) -> String {
    hex::encode(Sha256::digest(format!("{}|{}|{}", left.0 + right.0, left.1, right.1)))
}

#[test]
fn the_sum_forgery_that_fools_the_broken_scheme_is_refused() {
    let v = data("merkle-sum-forgery.json");
    let cheating = &v["cheating_root"];
    let (alice, bob) = (&v["accounts"][0], &v["accounts"][1]);
    let leaf = |a: &Value| a["leaf"].as_str().unwrap().to_owned();
    let proofs = &v["proofs_that_verify_under_the_broken_scheme"];
    let shown = |i: usize| proofs[i]["sibling"]["sum"].as_u64().unwrap();
    // Both customers accept the cheating root of 10 under the broken scheme …
    let to_alice = broken_parent((10, &leaf(alice)), (shown(0), &leaf(bob)));
    let to_bob = broken_parent((shown(1), &leaf(alice)), (7, &leaf(bob)));
    assert_eq!(to_alice, cheating["hash"].as_str().unwrap());
    assert_eq!(to_bob, cheating["hash"].as_str().unwrap());
    // … and no root here satisfies both: whatever the operator publishes, one of them sees the lie.
    let node = |a: &Value, sum: u64| SumNode {
        sum: sum.into(),
        ..SumNode::leaf(a["balance"].as_u64().unwrap().into(), &hex::decode(leaf(a)).unwrap())
    };
    let root_for_alice = SumNode::parent(&node(alice, 10), &node(bob, shown(0))).unwrap();
    let root_for_bob = SumNode::parent(&node(alice, shown(1)), &node(bob, 7)).unwrap();
    assert_eq!(root_for_alice.sum, root_for_bob.sum);
    for root in [root_for_alice, root_for_bob] {
        let alice_ok =
            sum_tree::verify_inclusion(&root, 2, 0, &node(alice, 10), &[node(bob, shown(0))]);
        let bob_ok =
            sum_tree::verify_inclusion(&root, 2, 1, &node(bob, 7), &[node(alice, shown(1))]);
        assert!(!(alice_ok && bob_ok));
    }
    let honest = sum_tree::root(&[node(alice, 10), node(bob, 7)]).unwrap();
    assert_eq!(honest.sum, 17);
    assert!(sum_tree::verify_inclusion(&honest, 2, 0, &node(alice, 10), &[node(bob, 7)]));
    assert!(sum_tree::verify_inclusion(&honest, 2, 1, &node(bob, 7), &[node(alice, 10)]));
}

#[test]
fn a_sum_that_overflows_has_no_root() {
    let big = SumNode::leaf(u128::MAX, b"a");
    assert_eq!(sum_tree::root(&[big, SumNode::leaf(1, b"b")]), None);
}

proptest! {
    #[test]
    fn leaves_added_together_give_the_root_of_leaves_added_one_by_one(parts in proptest::collection::vec(0usize..700, 0..6)) {
        let (mut one, mut all, mut n) = (merkle::RootBuilder::new(), merkle::RootBuilder::new(), 0u64);
        for part in parts {
            let leaves: Vec<_> = (0..part as u64).map(|i| merkle::leaf_hash(&(n + i).to_be_bytes())).collect();
            leaves.iter().for_each(|leaf| one.push(*leaf));
            all.extend(&leaves);
            n += part as u64;
            prop_assert_eq!((one.root(), one.size()), (all.root(), all.size()));
        }
    }

    #[test]
    fn every_leaf_is_included_and_nothing_else(n in 1usize..40, at in 0usize..40, other: u8) {
        let at = at % n;
        let leaves: Vec<_> = (0..n).map(|i| merkle::leaf_hash(&[u8::try_from(i).unwrap()])).collect();
        let root = merkle::root(&leaves);
        let proof = merkle::inclusion_proof(&leaves, at).unwrap();
        let (size, index) = (n as u64, at as u64);
        prop_assert!(merkle::verify_inclusion(&root, size, index, &leaves[at], &proof));
        let stranger = merkle::leaf_hash(&[200, other]);
        prop_assert!(!merkle::verify_inclusion(&root, size, index, &stranger, &proof));
        let elsewhere = (index + 1) % size;
        prop_assert!(n == 1 || !merkle::verify_inclusion(&root, size, elsewhere, &leaves[at], &proof));
        let mut longer = proof.clone();
        longer.push(stranger);
        prop_assert!(!merkle::verify_inclusion(&root, size, index, &leaves[at], &longer));
    }

    #[test]
    fn a_tree_grows_only_by_appending(n in 1usize..40, old in 1usize..40) {
        let old = (old - 1) % n + 1;
        let leaves: Vec<_> = (0..n).map(|i| merkle::leaf_hash(&[u8::try_from(i).unwrap()])).collect();
        let (old_root, root) = (merkle::root(&leaves[..old]), merkle::root(&leaves));
        let proof = merkle::consistency_proof(&leaves, old).unwrap();
        let (o, s) = (old as u64, n as u64);
        prop_assert!(merkle::verify_consistency(&old_root, o, &root, s, &proof));
        let mut changed = leaves.clone();
        changed[0] = merkle::leaf_hash(b"another history");
        let other = merkle::root(&changed);
        prop_assert!(!merkle::verify_consistency(&old_root, o, &other, s, &proof));
    }

    #[test]
    fn sum_proofs_hold_for_their_leaf_and_its_sum_only(sums in proptest::collection::vec(0u64.., 1..20), at: usize) {
        let leaves: Vec<_> = sums.iter().enumerate().map(|(i, s)| SumNode::leaf((*s).into(), &[u8::try_from(i).unwrap()])).collect();
        let at = at % leaves.len();
        let root = sum_tree::root(&leaves).unwrap();
        prop_assert_eq!(root.sum, sums.iter().map(|s| u128::from(*s)).sum::<u128>());
        let proof = sum_tree::inclusion_proof(&leaves, at).unwrap();
        let (n, i) = (leaves.len() as u64, at as u64);
        prop_assert!(sum_tree::verify_inclusion(&root, n, i, &leaves[at], &proof));
        let less = SumNode { sum: leaves[at].sum ^ 1, ..leaves[at] };
        prop_assert!(!sum_tree::verify_inclusion(&root, n, i, &less, &proof));
        if let Some(first) = proof.first() {
            let mut shifted = proof.clone();
            shifted[0] = SumNode { sum: first.sum ^ 1, ..*first };
            prop_assert!(!sum_tree::verify_inclusion(&root, n, i, &leaves[at], &shifted));
        }
    }
}

#[test]
fn no_leaf_stands_behind_the_last_one_nor_in_a_tree_of_none() {
    let leaves: Vec<_> = (0..5u8).map(|n| merkle::leaf_hash(&[n])).collect();
    for size in 1..=leaves.len() {
        let own = &leaves[..size];
        let root = merkle::root(own);
        for (index, leaf) in own.iter().enumerate() {
            let proof = merkle::inclusion_proof(own, index).unwrap();
            assert!(merkle::verify_inclusion(&root, size as u64, index as u64, leaf, &proof));
            for behind in size..size + 9 {
                let (size, behind) = (size as u64, behind as u64);
                assert!(!merkle::verify_inclusion(&root, size, behind, leaf, &proof), "{behind}");
            }
        }
        assert!(!merkle::verify_consistency(&merkle::empty_root(), 0, &root, size as u64, &[]));
        assert!(!merkle::verify_consistency(&root, size as u64 + 1, &root, size as u64, &[]));
    }
    assert!(!merkle::verify_inclusion(&merkle::empty_root(), 0, 0, &leaves[0], &[]));
}

/// The last leaf of a full tree has all its siblings on its left: a proof with them fits a tree that says to have fewer
/// leaves, if it may go on above the root.
#[test]
fn a_tree_that_says_fewer_leaves_than_it_has_shows_none_of_them() {
    for levels in 1..5u8 {
        let n = 1u8 << levels;
        let leaves: Vec<_> = (0..n).map(|i| merkle::leaf_hash(&[i])).collect();
        let sums: Vec<_> = (0..n).map(|i| SumNode::leaf(i.into(), &[i])).collect();
        let (root, sum_root) = (merkle::root(&leaves), sum_tree::root(&sums).unwrap());
        let at = leaves.len() - 1;
        let proof = merkle::inclusion_proof(&leaves, at).unwrap();
        let sum_proof = sum_tree::inclusion_proof(&sums, at).unwrap();
        let included =
            |size: u64| merkle::verify_inclusion(&root, size, size - 1, &leaves[at], &proof);
        let counted = |size: u64| {
            sum_tree::verify_inclusion(&sum_root, size, size - 1, &sums[at], &sum_proof)
        };
        assert!(included(n.into()) && counted(n.into()));
        for smaller in 0..levels {
            let size = 1u64 << smaller;
            assert!(!included(size) && !counted(size), "{n} leaves as {size}");
        }
    }
}

#[test]
fn a_sum_tree_has_no_leaf_behind_its_last() {
    let leaves: Vec<_> = (0..5u8).map(|n| SumNode::leaf(n.into(), &[n])).collect();
    for size in 1..=leaves.len() {
        let own = &leaves[..size];
        let root = sum_tree::root(own).unwrap();
        assert_eq!(sum_tree::inclusion_proof(own, size), None);
        for (index, leaf) in own.iter().enumerate() {
            let proof = sum_tree::inclusion_proof(own, index).unwrap();
            for behind in size as u64..size as u64 + 9 {
                let is_shown = sum_tree::verify_inclusion(&root, size as u64, behind, leaf, &proof);
                assert!(!is_shown, "{index} of {size} at {behind}");
            }
        }
    }
}

/// Two heads of seven and eight leaves, told as heads of three and four: the proof between them goes on above their roots.
#[test]
fn a_history_that_says_fewer_entries_than_it_has_is_no_beginning() {
    let leaves: Vec<_> = (0..8u8).map(|i| merkle::leaf_hash(&[i])).collect();
    let (old, new) = (merkle::root(&leaves[..7]), merkle::root(&leaves));
    let proof = merkle::consistency_proof(&leaves, 7).unwrap();
    assert!(merkle::verify_consistency(&old, 7, &new, 8, &proof));
    assert!(!merkle::verify_consistency(&old, 3, &new, 4, &proof));
}
