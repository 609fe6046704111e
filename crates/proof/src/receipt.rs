//! A customer's receipt: one contract in one epoch, from its leaf to the operator's signature.

use crate::Hash;
use crate::log::Entry;
use crate::logged::{LoggedError, PROOF_MAX, Steps};
use crate::note::NoteKey;
use crate::sold::{self, Node, Private, SoldLeaf, Sums, decimal, hex32};
use gruve_units::{ContractId, EpochNumber, LaneId};
use serde::{Deserialize, Serialize};

/// A sibling in the sold tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sibling {
    /// What stands below it.
    #[serde(flatten)]
    pub sums: Sums,
    /// Its hash.
    #[serde(with = "hex32")]
    pub hash: Hash,
}

/// Everything that shows what a contract got in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The form of this document.
    pub version: u32,
    /// The operator's log.
    pub origin: String,
    /// The contract.
    pub contract: ContractId,
    /// What kind: 0 a lease, 1 a metered contract.
    pub kind: u8,
    /// Rate, allocation, debt.
    pub work: Sums,
    /// Work that it had a claim on.
    #[serde(with = "decimal")]
    pub entitled: u128,
    /// What the public does not see.
    pub private: Private,
    /// The leaf's place in the sold tree.
    pub leaf_index: u64,
    /// Its siblings, lowest first.
    pub sold_proof: Vec<Sibling>,
    /// The epoch's entry in the log, hex.
    pub entry: String,
    /// Its place in the log.
    pub entry_index: u64,
    /// Its siblings in the log, hex, lowest first.
    pub log_proof: Vec<String>,
    /// The signed head that they lead to.
    pub checkpoint: String,
}

/// Why a receipt shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A field is not of the form.
    #[error("the receipt's {0} is not of the form")]
    Malformed(&'static str),
    /// No good signature.
    #[error("the operator's key has not signed this head")]
    NotSigned,
    /// The entry is not in the log.
    #[error("the epoch is not in the log that was signed")]
    NotInLog,
    /// The leaf is not in the sold tree.
    #[error("the contract is not in the epoch's sold tree with this rate, work and money")]
    NotSold,
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// Whether a record proves the epoch's work.
    pub is_proven: bool,
    /// Entries of the log that was signed.
    pub log_size: u64,
    /// Its root.
    #[serde(with = "hex32")]
    pub log_root: Hash,
    /// All contracts together.
    pub all: Sums,
    /// How many contracts.
    pub contracts: u64,
}

impl Receipt {
    /// The epoch that its entry is of, before anything is checked.
    #[must_use]
    pub fn epoch(&self) -> Option<EpochNumber> {
        match Entry::parse(&hex::decode(&self.entry).ok()?) {
            Ok(Entry::Epoch(s)) => Some(s.epoch),
            _ => None,
        }
    }

    /// The public leaf.
    #[must_use]
    pub fn leaf(&self) -> SoldLeaf {
        SoldLeaf {
            contract: self.contract,
            kind: self.kind,
            sums: self.work,
            entitled: self.entitled,
            private: self.private.hash(),
        }
    }

    /// Checks every step from the leaf to the signature of `key`.
    ///
    /// # Errors
    /// The first step that does not hold.
    pub fn check(&self, key: &NoteKey) -> Result<Shown, ReceiptError> {
        let malformed = ReceiptError::Malformed;
        if self.version != 1 || self.sold_proof.len() > PROOF_MAX {
            return Err(malformed("version or proof"));
        }
        let steps = Steps {
            origin: &self.origin,
            entry: &self.entry,
            entry_index: self.entry_index,
            log_proof: &self.log_proof,
            checkpoint: &self.checkpoint,
        };
        let (head, entry) = steps.open(key).map_err(|e| match e {
            LoggedError::Malformed(what) => malformed(what),
            LoggedError::NotSigned => ReceiptError::NotSigned,
            LoggedError::NotInLog => ReceiptError::NotInLog,
        })?;
        let Ok(Entry::Epoch(s)) = Entry::parse(&entry) else { return Err(malformed("entry")) };
        let siblings: Vec<Node> =
            self.sold_proof.iter().map(|s| Node { sums: s.sums, hash: s.hash }).collect();
        let root = sold::climb(s.contracts, self.leaf_index, &self.leaf().node(), &siblings);
        if root != Some(s.sold_root) {
            return Err(ReceiptError::NotSold);
        }
        Ok(Shown {
            lane: s.lane.clone(),
            epoch: s.epoch,
            is_proven: s.is_proven,
            log_size: head.size,
            log_root: head.root,
            all: s.sold_root.sums,
            contracts: s.contracts,
        })
    }
}
