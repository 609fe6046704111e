//! Receipts and proofs of funds, as the document describes them. What they show, docs/record-format.md says.

use crate::api::receipts::ReceiptPage;
use crate::openapi::{Digits, Hash32, Member, Members, Paper, Shape, Shapes, papers, words_of};
use gruve_proof::funds::{OwedProof, OwedSibling, ShownBy};
use gruve_proof::liabilities::Owed;
use gruve_proof::logged::Logged;
use gruve_proof::receipt::{Receipt, Sibling};
use gruve_proof::sold::{Private, Sums};
use gruve_units::{AccountId, ContractId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

papers! {
    /// What shows what a contract got in an epoch, up to the operator's signature: docs/record-format.md.
    Receipt as "Receipt" {
        /// The form of this document.
        version: u32,
        /// The operator's log.
        origin: String,
        /// The contract.
        contract: ContractId,
        /// 0 a lease, 1 a contract by the meter.
        kind: u8,
        /// Rate, allocation, debt.
        work: Sums,
        /// Work that it had a claim on.
        entitled: Digits,
        /// What the public does not see.
        private: Private,
        /// The leaf's place in the sold tree.
        leaf_index: u64,
        /// Its siblings, lowest first.
        sold_proof: Vec<Sibling>,
        /// The epoch's entry in the log, hexadecimal.
        entry: String,
        /// Its place in the log.
        entry_index: u64,
        /// Its siblings in the log, lowest first.
        log_proof: Vec<Hash32>,
        /// The signed head that they lead to.
        checkpoint: String,
    }

    /// What is added up over contracts, in hashes; the rate in hashes a second.
    Sums as "SoldSums" {
        /// Hashrate under contract.
        hashrate: Digits,
        /// Work of the epoch that was allocated.
        allocated: Digits,
        /// Work bought and not delivered yet, after the epoch.
        owed: Digits,
    }

    /// What of a receipt only the customer is shown.
    Private as "ReceiptPrivate" {
        /// Random for whoever does not have the receipt.
        salt: Hash32,
        /// The customer's own; zeros where none was given.
        nonce: Hash32,
        /// The hash of the contract's terms.
        terms: Hash32,
        /// Reward units that the contract earned in the epoch.
        units: Digits,
        /// What would be refunded of the price if the operator stopped now.
        refund_minor: i64,
        /// Of this asset.
        refund_asset: String,
    }

    /// The proof that a statement of funds counts what is owed to its holder: docs/funds.md.
    OwedProof as "FundsProof" {
        /// The form of this document: 1.
        version: u32,
        /// The statement.
        statement: u64,
        /// The asset.
        asset: String,
        /// The customer.
        account: AccountId,
        /// Random for whoever does not have this proof.
        salt: Hash32,
        /// What is owed.
        owed: Owed,
        /// The leaf's place.
        leaf_index: u64,
        /// Its siblings, lowest first.
        owed_proof: Vec<OwedSibling>,
        /// The statement's entry in the log.
        logged: Logged,
    }

    /// What is owed to somebody, in minor units.
    Owed as "OwedParts" {
        /// To be withdrawn or spent at any time.
        available: Digits,
        /// Set aside for something under way.
        held: Digits,
        /// Earned and not settled yet, rounded down.
        maturing: Digits,
        /// What would be refunded of work paid for and not delivered.
        prepaid: Digits,
    }

    /// A sibling in the tree of what is owed.
    OwedSibling as "OwedSibling" {
        /// What stands below it.
        sum: Digits,
        /// Its hash.
        hash: Hash32,
    }

    /// An entry of the operator's log, its place, and the way to a signed head.
    Logged as "Logged" {
        /// The operator's log.
        origin: String,
        /// The entry, hexadecimal.
        entry: String,
        /// Its place.
        entry_index: u64,
        /// Its siblings in the log, lowest first.
        log_proof: Vec<Hash32>,
        /// The signed head that they lead to.
        checkpoint: String,
    }
}

words_of! {
    ShownBy: ["nothing", "coins", "accounts"];
}

/// The sums stand beside the hash.
impl Members for Sibling {
    fn members(shapes: &mut Shapes) -> Vec<Member> {
        let mut all = Sums::members(shapes);
        all.push(Member::of::<Hash32>("hash", &["Its hash."], true, shapes));
        all
    }
}

impl Shape for Sibling {
    fn shape(shapes: &mut Shapes) -> Value {
        shapes.object::<Self>("SoldSibling", &["A sibling in the sold tree."], true)
    }
}

/// One receipt, or a page of them.
#[derive(Debug)]
pub(crate) struct ReceiptPaper;

impl Paper for ReceiptPaper {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let any = [ReceiptPage::shape(shapes), Receipt::shape(shapes)];
        [("application/json", json!({ "anyOf": any }))].into()
    }
}

/// The proof that a statement of funds counts what is owed to somebody.
#[derive(Debug)]
pub(crate) struct FundsProof;

impl Paper for FundsProof {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        [("application/json", OwedProof::shape(shapes))].into()
    }
}
