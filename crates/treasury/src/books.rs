//! This room's entries in the ledger.
//!
//! Every reason key is used once by construction (it names a transition that a guarded row
//! allows once, or the numbered connection of a block), so an entry that is there already is not
//! a retry but damage, and stops the work.

use crate::{Result, TreasuryError};
use gruve_ledger::{Account, Entry, Posted, Posting, balance, post};
use gruve_store::Tx;
use gruve_units::{Amount, Asset, Timestamp};

/// Postings of one entry, of one asset.
pub(crate) struct Draft {
    asset: Asset,
    postings: Vec<Posting>,
}

impl Draft {
    pub(crate) fn new(asset: Asset) -> Draft {
        Draft { asset, postings: Vec::new() }
    }

    /// `minor` (at least zero) to the debit side of `account`.
    pub(crate) fn debit(mut self, account: Account, minor: i64) -> Draft {
        if minor != 0 {
            self.postings.push(Posting::debit(account, Amount::new(self.asset, minor)));
        }
        self
    }

    /// `minor` (at least zero) to the credit side of `account`.
    pub(crate) fn credit(mut self, account: Account, minor: i64) -> Draft {
        if minor != 0 {
            self.postings.push(Posting::credit(account, Amount::new(self.asset, minor)));
        }
        self
    }

    /// Writes the entry.
    pub(crate) async fn post(
        self,
        tx: &mut Tx,
        kind: &'static str,
        reason: String,
        at: Timestamp,
    ) -> Result<()> {
        let entry = Entry { reason, kind, at, postings: self.postings };
        match post(tx, &entry).await? {
            Posted::New => Ok(()),
            Posted::Already => {
                Err(TreasuryError::Damaged("an entry of the books was there already"))
            }
        }
    }
}

/// How much of `wanted` can be taken from `account`.
pub(crate) async fn at_most(
    tx: &mut Tx,
    account: &Account,
    asset: Asset,
    wanted: i64,
) -> Result<i64> {
    Ok(balance(tx, account, asset).await?.minor.clamp(0, wanted))
}
