//! Lies to customers about their leaves.

use crate::world::{World, contract, private};
use gruve_proof::merkle;
use gruve_proof::note::NoteKey;
use gruve_proof::receipt::{Receipt, ReceiptError, Sibling};
use gruve_proof::sold::{Private, SoldTree};
use gruve_proof::verify::Options;
use gruve_units::ContractId;

/// A world whose last epoch has two contracts, and the receipt of each.
fn receipts() -> (NoteKey, [Receipt; 2]) {
    let mut w = World::honest();
    let both = receipts_of(&mut w, 13);
    (key_of(&w), both)
}

pub(crate) fn key_of(w: &World) -> NoteKey {
    NoteKey::new(crate::world::ORIGIN, w.key.verifying_key().to_bytes()).unwrap()
}

/// Another epoch with two contracts, and the receipt of each.
pub(crate) fn receipts_of(w: &mut World, epoch: u64) -> [Receipt; 2] {
    receipts_of_kind(w, epoch, 0)
}

/// Those of contracts of this kind.
pub(crate) fn receipts_of_kind(w: &mut World, epoch: u64, kind: u8) -> [Receipt; 2] {
    receipts_owing(w, epoch, kind, 5_000)
}

/// Those of contracts to which so much is still owed.
fn receipts_owing(w: &mut World, epoch: u64, kind: u8, owed: u128) -> [Receipt; 2] {
    let mut c = w.epoch(epoch);
    c.contracts = vec![contract(1, 100), contract(2, 200)];
    c.contracts.iter_mut().for_each(|leaf| (leaf.kind, leaf.sums.owed) = (kind, owed));
    w.close(&c);
    let tree = SoldTree::new(c.contracts.iter().map(|l| l.node()).collect()).unwrap();
    let (leaves, at) = (w.leaves(), w.entries.len() - 1);
    let one = |n: u8| Receipt {
        version: 1,
        origin: crate::world::ORIGIN.into(),
        contract: ContractId::from_bytes([n; 16]),
        kind,
        work: c.contracts[usize::from(n) - 1].sums,
        entitled: c.contracts[usize::from(n) - 1].entitled,
        private: private(n),
        leaf_index: u64::from(n) - 1,
        sold_proof: tree
            .proof(usize::from(n) - 1)
            .unwrap()
            .iter()
            .map(|n| Sibling { sums: n.sums, hash: n.hash })
            .collect(),
        entry: hex::encode(&w.entries[at]),
        entry_index: at as u64,
        log_proof: merkle::inclusion_proof(&leaves, at).unwrap().iter().map(hex::encode).collect(),
        checkpoint: w.checkpoint().sign(&w.key),
    };
    [one(1), one(2)]
}

#[test]
fn a_contract_left_out_of_an_epoch_between_its_receipts_is_told() {
    let mut w = World::new();
    let all: Vec<_> = [10, 11, 14, 15].into_iter().map(|e| receipts_of(&mut w, e)).collect();
    let verdict = w.publish().verify(&Options::default()).unwrap();
    let mut checker = verdict.receipts();
    for [first, second] in &all {
        checker.check(first).unwrap();
        // The second contract's customer got none of 11 and 14.
        if all[0][1] == *second || all[3][1] == *second {
            checker.check(second).unwrap();
        }
    }
    let gaps = checker.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let whose = ContractId::from_bytes([2; 16]).to_string();
    assert!(gaps[0].contains(&whose) && gaps[0].contains("no receipt of 2 epochs"), "{gaps:?}");
}

#[test]
fn a_debt_that_fell_by_more_than_the_work_is_told() {
    // The contract gets 100 hashes in each epoch. A metered one has as much work left as its money buys.
    for (kind, owed, is_cut) in
        [(0, 4_900, false), (0, 4_899, true), (0, 6_000, false), (1, 4_899, false)]
    {
        let mut w = World::new();
        let [before, _] = receipts_owing(&mut w, 10, kind, 5_000);
        let [after, _] = receipts_owing(&mut w, 11, kind, owed);
        let verdict = w.publish().verify(&Options::default()).unwrap();
        let mut checker = verdict.receipts();
        for receipt in [&after, &before] {
            checker.check(receipt).unwrap();
        }
        let said = checker.debts_cut();
        assert_eq!(said.len(), usize::from(is_cut), "{owed}: {said:?}");
        let words = "in epoch 11 it got 100 hashes, and what is owed fell from 5000 to 4899";
        assert!(said.iter().all(|one| one.contains(words)), "{said:?}");
    }
}

#[test]
fn two_customers_given_the_same_leaf() {
    let (key, [first, second]) = receipts();
    assert!(first.check(&key).is_ok() && second.check(&key).is_ok());
    // The second is shown the first's leaf as his own: his id, his terms or his nonce give another leaf.
    let as_his_contract = Receipt { contract: second.contract, ..first.clone() };
    let of_his_terms = Private { terms: second.private.terms, ..first.private.clone() };
    let of_his_nonce = Private { nonce: second.private.nonce, ..first.private.clone() };
    let as_his_terms = Receipt { private: of_his_terms, ..first.clone() };
    let as_his_nonce = Receipt { private: of_his_nonce, ..first.clone() };
    for lie in [as_his_contract, as_his_terms, as_his_nonce] {
        assert_eq!(lie.check(&key).unwrap_err(), ReceiptError::NotSold);
    }
}

#[test]
fn a_receipt_of_another_rate_work_debt_or_place() {
    let (key, [first, second]) = receipts();
    for part in 0..5 {
        let mut lie = first.clone();
        match part {
            0 => lie.work.hashrate += 1,
            1 => lie.work.allocated += 1,
            2 => lie.work.owed += 1,
            3 => lie.entitled += 1,
            _ => lie.leaf_index = second.leaf_index,
        }
        assert_eq!(lie.check(&key).unwrap_err(), ReceiptError::NotSold, "{part}");
    }
}

#[test]
fn a_receipt_whose_sibling_has_another_part_of_the_same_total() {
    let (key, [first, _]) = receipts();
    let mut lie = first.clone();
    lie.work.allocated += 50;
    lie.sold_proof[0].sums.allocated -= 50;
    assert_eq!(lie.check(&key).unwrap_err(), ReceiptError::NotSold);
}

#[test]
fn a_receipt_of_another_log_or_entry() {
    let (key, [first, _]) = receipts();
    let stranger = NoteKey::new(crate::world::ORIGIN, [1; 32]).unwrap();
    assert_eq!(first.check(&stranger).unwrap_err(), ReceiptError::NotSigned);
    let moved = Receipt { entry_index: first.entry_index - 1, ..first.clone() };
    assert_eq!(moved.check(&key).unwrap_err(), ReceiptError::NotInLog);
    let renamed = Receipt { origin: "other.example".into(), ..first.clone() };
    assert_eq!(renamed.check(&key).unwrap_err(), ReceiptError::Malformed("origin"));
    let newer = Receipt { version: 2, ..first.clone() };
    assert_eq!(newer.check(&key).unwrap_err(), ReceiptError::Malformed("version or proof"));
    let mut tall = first.clone();
    tall.sold_proof = vec![tall.sold_proof[0].clone(); 65];
    assert_eq!(tall.check(&key).unwrap_err(), ReceiptError::Malformed("version or proof"));
    let mut long = first;
    long.log_proof = vec!["00".repeat(32); 65];
    assert!(matches!(long.check(&key).unwrap_err(), ReceiptError::Malformed(_)));
}
