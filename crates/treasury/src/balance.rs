//! What the wallet holds, and whether the books agree.

use crate::blocks::newest;
use crate::sql;
use crate::{Result, Treasury};
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset};

/// What a wallet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletBalance {
    /// Confirmed, ripe, and not promised to a payout.
    pub spendable: Amount,
    /// Receipts and change that are not deep enough yet.
    pub pending: Amount,
    /// Block rewards that may not be spent yet.
    pub maturing: Amount,
    /// Coins that planned or sent transactions spend, change included.
    pub reserved: Amount,
    /// Payouts planned, signed or sent, and not confirmed.
    pub in_flight: Amount,
}

/// Wallet and books side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletReconciliation {
    /// All our unspent outputs in the chain.
    pub on_chain: Amount,
    /// What the books call hot.
    pub books_hot: Amount,
    /// What the books call maturing.
    pub books_maturing: Amount,
    /// Chain less books; zero.
    pub difference: Amount,
}

impl WalletReconciliation {
    /// Whether chain and books agree.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.difference.minor == 0
    }
}

impl Treasury {
    /// What the wallet of `asset` holds.
    ///
    /// # Errors
    /// [`crate::TreasuryError::NoWallet`], or the database's.
    pub async fn wallet_balance(&self, tx: &mut Tx, asset: Asset) -> Result<WalletBalance> {
        self.wallet(asset)?;
        let height = newest(tx, asset).await?.map_or(0, |(top, _)| top.height);
        let row = tx.fetch_one(sql::WALLET_SUMS, &params![asset, height]).await?;
        let (total, spendable): (i64, i64) = (row.get("total")?, row.get("spendable")?);
        let (reserved, maturing): (i64, i64) = (row.get("reserved")?, row.get("maturing")?);
        let minor = |m| Amount::new(asset, m);
        Ok(WalletBalance {
            spendable: minor(spendable),
            pending: minor(total - spendable - reserved - maturing),
            maturing: minor(maturing),
            reserved: minor(reserved),
            in_flight: balance(tx, &Account::PayoutsInFlight, asset).await?,
        })
    }

    /// Compares our unspent outputs with the books. They agree after every block whose rewards
    /// have been booked in the same transaction.
    ///
    /// # Errors
    /// [`crate::TreasuryError::NoWallet`], or the database's.
    pub async fn reconcile(&self, tx: &mut Tx, asset: Asset) -> Result<WalletReconciliation> {
        self.wallet(asset)?;
        let row = tx.fetch_one(sql::WALLET_SUMS, &params![asset, 0_i64]).await?;
        let on_chain = Amount::new(asset, row.get("total")?);
        let books_hot = balance(tx, &Account::ChainHot, asset).await?;
        let books_maturing = balance(tx, &Account::ChainMaturing, asset).await?;
        let difference = on_chain.checked_sub(books_hot)?.checked_sub(books_maturing)?;
        Ok(WalletReconciliation { on_chain, books_hot, books_maturing, difference })
    }
}
