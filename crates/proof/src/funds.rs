//! A statement of funds: what the house owes and what it shows to have, asset by asset, as one entry of the log.
//!
//! ```text
//! entry = "gruve funds 1\0" ‖ statement (8) ‖ when, microseconds since 1970 (8) ‖ reserves' hash (32), length (8)
//!         ‖ number of assets (1) ‖ assets, ascending by name
//! asset = length, name ‖ owed: sum (16), hash (32) ‖ leaves (8) ‖ shown (1): 0 nothing, 1 coins, 2 accounts ‖ reserves (16)
//! ```
//!
//! Statements are numbered from 1 without gaps, and never go back in time.

use crate::Hash;
use crate::liabilities::{self, ASSET_MAX, LEAVES_MAX, LEAVES_MIN, Of, Owed};
use crate::log::Entry;
use crate::logged::{Logged, LoggedError, PROOF_MAX};
use crate::note::{Checkpoint, NoteKey};
use crate::sold::{decimal, hex32};
use crate::sum_tree::{self, SumNode};
use crate::summary::FileRef;
use crate::wire::{Wire, WireError};
use gruve_units::AccountId;
use serde::{Deserialize, Serialize};

pub(crate) const FUNDS: &[u8; 14] = b"gruve funds 1\0";
/// Assets of a statement at most: an entry with all of them fits the log.
pub const ASSETS_MAX: usize = 16;

/// How reserves are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShownBy {
    /// Not at all: money in banks, and work, which is proven elsewhere.
    Nothing,
    /// Outputs of a chain, by signatures of their scripts.
    Coins,
    /// Accounts of a chain, by signatures of their keys.
    Accounts,
}

impl ShownBy {
    const ALL: [ShownBy; 3] = [ShownBy::Nothing, ShownBy::Coins, ShownBy::Accounts];

    pub(crate) const fn number(self) -> u8 {
        match self {
            ShownBy::Nothing => 0,
            ShownBy::Coins => 1,
            ShownBy::Accounts => 2,
        }
    }

    pub(crate) fn from_number(n: u8) -> Option<ShownBy> {
        ShownBy::ALL.into_iter().find(|s| s.number() == n)
    }
}

/// An asset in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetFunds {
    /// Its name: as the house writes it, or `work/LANE` for hashes paid for and not delivered.
    pub asset: String,
    /// The root of what is owed.
    pub owed: SumNode,
    /// Leaves of that tree.
    pub leaves: u64,
    /// How reserves are shown.
    pub shown: ShownBy,
    /// What is shown, in minor units; 0 when nothing is.
    pub reserves: u128,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundsEntry {
    /// Its number, from 1.
    pub statement: u64,
    /// Of when it speaks, microseconds since 1970.
    pub at_us: u64,
    /// The file with the proofs of reserves.
    pub reserves: FileRef,
    /// The assets, ascending by name.
    pub assets: Vec<AssetFunds>,
}

impl FundsEntry {
    /// The entry's bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = FUNDS.to_vec();
        out.extend(self.statement.to_be_bytes());
        out.extend(self.at_us.to_be_bytes());
        out.extend(self.reserves.hash);
        out.extend(self.reserves.bytes.to_be_bytes());
        out.push(u8::try_from(self.assets.len()).unwrap_or(u8::MAX));
        for a in &self.assets {
            out.push(u8::try_from(a.asset.len()).unwrap_or(u8::MAX));
            out.extend(a.asset.as_bytes());
            out.extend(a.owed.sum.to_be_bytes());
            out.extend(a.owed.hash);
            out.extend(a.leaves.to_be_bytes());
            out.push(a.shown.number());
            out.extend(a.reserves.to_be_bytes());
        }
        out
    }

    /// From what follows the entry's first bytes.
    pub(crate) fn parse(rest: &[u8]) -> Result<FundsEntry, WireError> {
        let mut w = Wire::new(rest);
        let (statement, at_us) = (w.u64("a statement")?, w.u64("a statement")?);
        let reserves = FileRef { hash: w.array("reserves")?, bytes: w.u64("reserves")? };
        let count = usize::from(w.u8("the assets")?);
        if statement == 0 || count == 0 || count > ASSETS_MAX {
            return Err(WireError::Malformed("a statement of nothing, or of too much"));
        }
        let mut assets: Vec<AssetFunds> = Vec::with_capacity(count);
        for _ in 0..count {
            let asset = read_name(&mut w)?;
            let owed = SumNode { sum: w.u128("what is owed")?, hash: w.array("what is owed")? };
            let leaves = w.u64("what is owed")?;
            let shown = ShownBy::from_number(w.u8("an asset")?)
                .ok_or(WireError::Malformed("reserves of no known kind"))?;
            let reserves = w.u128("reserves")?;
            if assets.last().is_some_and(|last| last.asset >= asset) {
                return Err(WireError::Malformed("assets that do not ascend"));
            }
            if !leaves.is_power_of_two() || !(LEAVES_MIN..=LEAVES_MAX).contains(&leaves) {
                return Err(WireError::Malformed("an impossible number of leaves"));
            }
            if shown == ShownBy::Nothing && reserves != 0 {
                return Err(WireError::Malformed("reserves that nothing shows"));
            }
            assets.push(AssetFunds { asset, owed, leaves, shown, reserves });
        }
        w.end()?;
        Ok(FundsEntry { statement, at_us, reserves, assets })
    }

    /// An asset of the statement.
    #[must_use]
    pub fn asset(&self, name: &str) -> Option<&AssetFunds> {
        self.assets.iter().find(|a| a.asset == name)
    }
}

pub(crate) fn read_name<R: std::io::Read>(w: &mut Wire<R>) -> Result<String, WireError> {
    let len = usize::from(w.u8("a name")?);
    if len == 0 || len > ASSET_MAX {
        return Err(WireError::Malformed("a name that is too long, or none"));
    }
    let name = String::from_utf8(w.bytes(len, "a name")?);
    let name = name.map_err(|_| WireError::Malformed("a name that is no text"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
    match name.bytes().all(plain) {
        true => Ok(name),
        false => Err(WireError::Malformed("a name of other characters")),
    }
}

/// A sibling in the tree of what is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwedSibling {
    /// What stands below it.
    #[serde(with = "decimal")]
    pub sum: u128,
    /// Its hash.
    #[serde(with = "hex32")]
    pub hash: Hash,
}

/// A customer's proof that a statement counts what is owed to him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwedProof {
    /// The form of this document: 1.
    pub version: u32,
    /// The statement.
    pub statement: u64,
    /// The asset.
    pub asset: String,
    /// The customer.
    pub account: AccountId,
    /// Random for whoever does not have this proof.
    #[serde(with = "hex32")]
    pub salt: Hash,
    /// What is owed.
    pub owed: Owed,
    /// The leaf's place.
    pub leaf_index: u64,
    /// Its siblings, lowest first.
    pub owed_proof: Vec<OwedSibling>,
    /// The statement's entry in the log.
    pub logged: Logged,
}

/// Why a proof shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwedError {
    /// The entry is not shown to be in the log.
    #[error(transparent)]
    Logged(#[from] LoggedError),
    /// A field is not of the form.
    #[error("the proof's {0} is not of the form")]
    Malformed(&'static str),
    /// The leaf is not in the tree.
    #[error("this account is not counted in the statement with these amounts")]
    NotCounted,
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedShown {
    /// The head that the operator has signed.
    pub head: Checkpoint,
    /// The whole statement.
    pub statement: FundsEntry,
    /// All that is owed in the asset.
    pub all: u128,
}

impl OwedProof {
    /// Checks every step from what is owed to the signature of `key`.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self, key: &NoteKey) -> Result<OwedShown, OwedError> {
        if self.version != 1 || self.owed_proof.len() > PROOF_MAX {
            return Err(OwedError::Malformed("version or proof"));
        }
        let (head, entry) = self.logged.open(key)?;
        let Ok(Entry::Funds(statement)) = Entry::parse(&entry) else {
            return Err(OwedError::Malformed("entry"));
        };
        let asset = statement.asset(&self.asset).ok_or(OwedError::Malformed("asset"))?;
        if statement.statement != self.statement {
            return Err(OwedError::Malformed("statement"));
        }
        let of = Of { statement: self.statement, asset: &self.asset };
        let leaf = liabilities::leaf(&of, &self.salt, self.account, &self.owed)
            .ok_or(OwedError::Malformed("owed"))?;
        let siblings: Vec<SumNode> =
            self.owed_proof.iter().map(|s| SumNode { sum: s.sum, hash: s.hash }).collect();
        let good = sum_tree::verify_inclusion(
            &asset.owed,
            asset.leaves,
            self.leaf_index,
            &leaf,
            &siblings,
        );
        if !good {
            return Err(OwedError::NotCounted);
        }
        let all = asset.owed.sum;
        Ok(OwedShown { head, statement: *statement, all })
    }
}
