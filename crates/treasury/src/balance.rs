//! What the wallet holds, and whether the books agree.

use crate::blocks::newest;
use crate::payer::OPEN_MAX;
use crate::payouts::written_id;
use crate::sql;
use crate::{Result, Treasury};
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, PayoutId, Timestamp};

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
    /// All our unspent outputs in the chain; on account chains what our addresses hold, in whole minor
    /// units.
    pub on_chain: Amount,
    /// On account chains: the wei that they hold beside, below a minor unit.
    pub wei_below: Option<u32>,
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

/// A transaction of ours that no block has yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its id here: what it is withdrawn by.
    pub id: PayoutId,
    /// Its id as explorers write it, once signed.
    pub txid: Option<String>,
    /// `funded`, `signed` or `broadcast`.
    pub state: String,
    /// Payouts in it.
    pub payouts: u32,
    /// What it pays the network.
    pub fee: Amount,
    /// When it was planned.
    pub created: Timestamp,
    /// The node's last answer to a sending.
    pub last_answer: Option<String>,
    /// Coins it spends that are not in the chain just now, or that another transaction has spent.
    pub coins_missing: u32,
}

impl OpenTransaction {
    /// Whether it cannot confirm as the chain stands: a reorganisation took one of its coins away,
    /// or somebody else has our keys. It confirms by itself when the coins come back; it is taken
    /// apart by itself when another spending of them is buried; a coin that never comes back is the
    /// operator's to decide.
    #[must_use]
    pub const fn needs_a_look(&self) -> bool {
        self.coins_missing > 0
    }
}

impl Treasury {
    /// Transactions of ours on their way, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_transactions(&self, asset: Asset) -> Result<Vec<OpenTransaction>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::OPEN_TRANSACTIONS, &params![asset, OPEN_MAX]).await?;
        let read = |row: &gruve_store::Row| -> Result<OpenTransaction> {
            let txid: Option<[u8; 32]> = row.get("txid")?;
            Ok(OpenTransaction {
                id: PayoutId::from_bytes(row.get("id")?),
                txid: txid.map(|t| written_id(asset, &t)),
                state: row.get("state")?,
                payouts: row.get("payouts")?,
                fee: Amount::new(asset, row.get("fee")?),
                created: row.get("created_at")?,
                last_answer: row.get("last_answer")?,
                coins_missing: row.get("coins_missing")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// What the wallet of `asset` holds.
    ///
    /// # Errors
    /// [`crate::TreasuryError::NoWallet`], or the database's.
    pub async fn wallet_balance(&self, tx: &mut Tx, asset: Asset) -> Result<WalletBalance> {
        if let Ok(wallet) = self.account_wallet(asset) {
            return self.account_balance(tx, wallet).await;
        }
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
        let (on_chain, wei_below) = match self.account_wallet(asset) {
            Ok(wallet) => {
                let (total, below) = self.account_total(tx, wallet).await?;
                (total, Some(below))
            }
            Err(_) => {
                self.wallet(asset)?;
                let row = tx.fetch_one(sql::WALLET_SUMS, &params![asset, 0_i64]).await?;
                (Amount::new(asset, row.get("total")?), None)
            }
        };
        let books_hot = balance(tx, &Account::ChainHot, asset).await?;
        let books_maturing = balance(tx, &Account::ChainMaturing, asset).await?;
        let difference = on_chain.checked_sub(books_hot)?.checked_sub(books_maturing)?;
        Ok(WalletReconciliation { on_chain, wei_below, books_hot, books_maturing, difference })
    }
}
