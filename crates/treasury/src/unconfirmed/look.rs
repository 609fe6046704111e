//! One look at a chain's pool.

use super::{IDS_MAX, Mark, Pool, READ_MAX, sql};
use crate::account::AccountWallet;
use crate::keys::Keychain;
use crate::sql::INVOICE_BY_INDEX;
use crate::treasury::Wallet;
use crate::{Result, Treasury};
use futures_util::StreamExt as _;
use futures_util::stream;
use gruve_chain::eth::{internal, wei};
use gruve_chain::{LeanTx, outputs_of_waiting};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, InvoiceId};
use std::collections::{BTreeMap, HashSet};

/// Transactions that are asked for side by side.
const ASKED_AT_ONCE: usize = 4;

/// Transactions whose outputs are looked up together: with the largest that nodes relay they are ten megabytes.
const LOOKED_UP_AT_ONCE: usize = 100;

/// What a look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whether anything was asked for: an invoice of the coin is open, and the node tells of its pool.
    pub is_told: bool,
    /// Transactions in the pool.
    pub listed: usize,
    /// Of them read in this look.
    pub read: usize,
    /// Of them still to be read.
    pub unread: usize,
}

impl Pool {
    /// Drops what the pool has no more, and says what is to be read now: what is new first, then what was left over.
    fn listed(&mut self, ids: &HashSet<[u8; 32]>) -> Vec<[u8; 32]> {
        self.read.retain(|id| ids.contains(id));
        self.unread.retain(|id| ids.contains(id));
        self.marks.retain(|(id, _), _| ids.contains(id));
        let is_new = |id: &&[u8; 32]| !self.read.contains(*id) && !self.unread.contains(*id);
        let fresh = ids.iter().filter(is_new).copied().collect::<Vec<_>>();
        let wanted: Vec<_> =
            fresh.iter().copied().chain(self.unread.iter().copied()).take(READ_MAX).collect();
        self.unread.extend(fresh);
        wanted
    }
}

impl Treasury {
    /// Looks once at what a chain's node has in its pool, and makes the marks say that.
    ///
    /// # Errors
    /// The node's or the database's; the marks stay as they were until they are too old.
    pub async fn look_at_pool(&self, asset: Asset) -> Result<Looked> {
        let is_any_open = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_optional(sql::IS_ANY_OPEN, &params![asset]).await?.is_some()
        };
        let looked = match (is_any_open, self.account_wallet(asset)) {
            (false, _) => None,
            (true, Ok(wallet)) => self.look_at_accounts(wallet).await?,
            (true, Err(_)) => self.look_at_coins(self.wallet(asset)?).await?,
        };
        if looked.is_none() {
            self.0.pools.forget(asset);
        }
        Ok(looked.unwrap_or_default())
    }

    async fn look_at_coins(&self, wallet: &Wallet) -> Result<Option<Looked>> {
        let asset = wallet.asset();
        let Some(ids) = wallet.node.pool().await? else { return Ok(None) };
        let ids: HashSet<[u8; 32]> = ids.into_iter().take(IDS_MAX).collect();
        let wanted = self.0.pools.with(asset, |pool| pool.listed(&ids));
        let mut read = 0;
        for some in wanted.chunks(LOOKED_UP_AT_ONCE) {
            let found = self.read_some(wallet, some).await?;
            read += found.len();
            let marks = self.marks_in(wallet, &found).await?;
            self.0.pools.with(asset, |pool| {
                for tx in &found {
                    pool.unread.remove(&tx.txid);
                    pool.read.insert(tx.txid);
                }
                // What has left the pool since will be missing in the next list.
                marks.into_iter().for_each(|mark| pool.mark(mark));
            });
        }
        let now = self.now();
        Ok(Some(self.0.pools.with(asset, |pool| {
            pool.looked_at = Some(now);
            Looked { is_told: true, listed: ids.len(), read, unread: pool.unread.len() }
        })))
    }

    /// Transactions of the pool with the outputs that could be ours. One that is gone is left out, and asked for again
    /// should it be listed again.
    async fn read_some(&self, wallet: &Wallet, ids: &[[u8; 32]]) -> Result<Vec<LeanTx>> {
        let ids = ids.to_vec();
        let asked = ids.into_iter().map(|id| {
            let node = wallet.node.clone();
            async move { (id, node.pool_transaction(&id).await) }
        });
        let mut answers = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
        let mut found = Vec::with_capacity(LOOKED_UP_AT_ONCE);
        while let Some((txid, answer)) = answers.next().await {
            let Some(bytes) = answer? else { continue };
            // What cannot be read pays none of our addresses.
            let mut outputs = outputs_of_waiting(&bytes, &wallet.params).unwrap_or_default();
            for output in outputs.iter_mut().filter(|o| !wallet.could_be_ours(&o.script)) {
                output.script = Vec::new();
            }
            found.push(LeanTx { txid, coinbase: false, hogex: false, inputs: Vec::new(), outputs });
        }
        Ok(found)
    }

    async fn marks_in(&self, wallet: &Wallet, found: &[LeanTx]) -> Result<Vec<Mark>> {
        let asset = wallet.asset();
        let mut tx = self.0.store.read().await?;
        let mut marks = Vec::new();
        for output in self.our_outputs(&mut tx, wallet, found).await? {
            if output.keychain != Keychain::PayIn {
                continue;
            }
            let Some(invoice) = invoice_at(&mut tx, asset, output.index).await? else { continue };
            let (txid, vout) = (found[output.tx_at].txid, output.vout);
            let amount = Amount::new(asset, output.value);
            marks.push(Mark { invoice, txid, vout, amount, seen_at: self.now() });
        }
        Ok(marks)
    }

    /// The block that the node would make is the whole answer: what is not in it has no mark.
    async fn look_at_accounts(&self, wallet: &AccountWallet) -> Result<Option<Looked>> {
        let asset = wallet.asset;
        let Some(pending) = wallet.node.pending().await? else { return Ok(None) };
        let mut marks = BTreeMap::new();
        let mut tx = self.0.store.read().await?;
        let ours = self.our_accounts(&mut tx, wallet, &pending).await?;
        for t in &pending {
            let Some((Keychain::PayIn, index)) = t.to.and_then(|to| ours.get(&to)).copied() else {
                continue;
            };
            let minor = wei::split(t.value).map_or(0, |(minor, _)| minor);
            let Some(invoice) = invoice_at(&mut tx, asset, index).await?.filter(|_| minor > 0)
            else {
                continue;
            };
            let (txid, amount) = (internal(t.hash), Amount::new(asset, minor));
            marks.insert(txid, Mark { invoice, txid, vout: 0, amount, seen_at: self.now() });
        }
        tx.rollback().await?;
        let (now, listed) = (self.now(), pending.len());
        self.0.pools.with(asset, |pool| {
            pool.marks.retain(|(txid, _), _| marks.contains_key(txid));
            marks.into_values().for_each(|mark| pool.mark(mark));
            pool.looked_at = Some(now);
        });
        Ok(Some(Looked { is_told: true, listed, read: listed, unread: 0 }))
    }
}

/// The invoice of a pay-in address.
async fn invoice_at(tx: &mut Tx, asset: Asset, index: u32) -> Result<Option<InvoiceId>> {
    let row = tx.fetch_optional(INVOICE_BY_INDEX, &params![asset, index]).await?;
    Ok(row.map(|r| r.get("id")).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(from: u32, to: u32) -> HashSet<[u8; 32]> {
        let id = |n: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_le_bytes());
            id
        };
        (from..to).map(id).collect()
    }

    #[test]
    fn what_is_new_is_read_before_what_was_left_over_and_no_look_reads_more_than_its_share() {
        let mut pool = Pool::default();
        let first = ids(0, 5_000);
        let wanted = pool.listed(&first);
        assert_eq!(wanted.len(), READ_MAX);
        for id in wanted {
            pool.unread.remove(&id);
            pool.read.insert(id);
        }
        assert_eq!((pool.read.len(), pool.unread.len()), (READ_MAX, 3_000));
        // A thousand have left, ten have come: those come first.
        let wanted = pool.listed(&ids(1_000, 5_010));
        let come = ids(5_000, 5_010);
        assert!(wanted[..10].iter().all(|id| come.contains(id)));
        assert!(wanted[10..].iter().all(|id| pool.unread.contains(id) && !pool.read.contains(id)));
        assert_eq!(pool.read.len() + pool.unread.len(), 4_010);
        assert!(pool.listed(&HashSet::new()).is_empty());
        assert!(pool.read.is_empty() && pool.unread.is_empty());
    }
}
