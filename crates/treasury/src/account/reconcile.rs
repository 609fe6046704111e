//! Whether what the blocks said, what the books say and what the node says are the same.

use super::sql;
use super::wallet::AccountWallet;
use crate::blocks::newest;
use crate::{Result, Treasury, TreasuryError, WalletBalance};
use gruve_chain::eth::{AccountAt, EthAddress, wei};
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset};
use ruint::aliases::U256;

/// An address of ours of which the node says something else than the blocks said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressDifference {
    /// The address.
    pub address: EthAddress,
    /// Wei by the blocks.
    pub followed: U256,
    /// Wei by the node. More than followed: a contract has paid it, which cannot be seen in blocks;
    /// a person must find out for whom it was.
    pub at_node: U256,
}

impl std::fmt::Display for AddressDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let AddressDifference { address, followed, at_node } = self;
        write!(f, "{address} has {followed} wei by its transactions and {at_node} at the node")?;
        if at_node > followed {
            f.write_str(": a contract may have paid it, which is in no transaction to it")?;
        }
        Ok(())
    }
}

/// The wallet held against the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeComparison {
    /// The height compared at.
    pub height: u64,
    /// Addresses compared.
    pub addresses: usize,
    /// Those that differ.
    pub differences: Vec<AddressDifference>,
}

impl Treasury {
    /// Asks the node for the balance of every address of ours at the newest block connected. One
    /// call an address: for an audit, not for every block.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`], the node's (it may have forgotten that height), or the
    /// database's.
    pub async fn compare_with_node(&self, asset: Asset) -> Result<NodeComparison> {
        let wallet = self.account_wallet(asset)?;
        let (height, holds) = {
            let mut tx = self.0.store.read().await?;
            let top = newest(&mut tx, asset).await?.map_or(0, |(top, _)| top.height);
            (top, all_hold(&mut tx, asset).await?)
        };
        let mut differences = Vec::new();
        for (address, followed) in &holds {
            let at_node = wallet.node.balance(address, AccountAt::Height(height)).await?;
            if at_node != *followed {
                let (address, followed) = (*address, *followed);
                differences.push(AddressDifference { address, followed, at_node });
            }
        }
        Ok(NodeComparison { height, addresses: holds.len(), differences })
    }

    /// All that our addresses hold: whole minor units, and the wei below.
    pub(crate) async fn account_total(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
    ) -> Result<(Amount, u32)> {
        let sum = all_hold(tx, wallet.asset)
            .await?
            .iter()
            .fold(U256::ZERO, |sum, (_, wei)| sum.saturating_add(*wei));
        let (minor, rest) =
            wei::split(sum).ok_or(TreasuryError::Damaged("more coins than there can be"))?;
        let row = tx.fetch_optional(sql::BELOW, &params![wallet.asset]).await?;
        let below: u32 = row.map(|r| r.get("wei_below")).transpose()?.unwrap_or(0);
        if below != rest {
            return Err(TreasuryError::Damaged("the wei below a minor unit are miscounted"));
        }
        Ok((Amount::new(wallet.asset, minor), rest))
    }

    pub(crate) async fn account_balance(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
    ) -> Result<WalletBalance> {
        let asset = wallet.asset;
        let minor = |m: i64| Amount::new(asset, m);
        let total = self.account_total(tx, wallet).await?.0.minor;
        let maturing = balance(tx, &Account::ChainMaturing, asset).await?.minor;
        let spendable = self.hot_free(tx, wallet).await?.max(0);
        let key = params![asset, wallet.hot.0];
        let reserved: i64 = tx.fetch_one(sql::COSTS_OF_OPEN, &key).await?.get("minor")?;
        Ok(WalletBalance {
            spendable: minor(spendable),
            pending: minor(total - spendable - reserved - maturing),
            maturing: minor(maturing),
            reserved: minor(reserved),
            in_flight: balance(tx, &Account::PayoutsInFlight, asset).await?,
        })
    }
}

async fn all_hold(tx: &mut Tx, asset: Asset) -> Result<Vec<(EthAddress, U256)>> {
    let rows = tx.fetch_all(sql::ALL_HOLD, &params![asset]).await?;
    let read = |row: &gruve_store::Row| -> Result<(EthAddress, U256)> {
        Ok((EthAddress(row.get("address")?), U256::from_be_bytes::<32>(row.get("wei")?)))
    };
    rows.iter().map(read).collect()
}
