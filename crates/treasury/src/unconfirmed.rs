//! Payments that were seen and stand in no block yet: marks for whoever has paid and looks, and nothing else.
//!
//! A mark is not money. It is in no table and no entry of the books is made of it; no invoice changes its state by
//! it, none stays open for it, and nobody is told of it but who looks at the invoice. It says what the node has in
//! its memory pool *now*: what was replaced by another transaction, forgotten by the node or spent elsewhere by a
//! block is out of that pool, and its mark is gone with the next look. What stands in a block is a receipt and no
//! mark any more, from the moment that the block is followed. After a restart the first looks make the marks again.
//!
//! | chain | asked | what a mark is made of |
//! |---|---|---|
//! | BTC, LTC, DOGE | `getrawmempool`; `getrawtransaction` of each id once | its outputs to addresses of invoices |
//! | ETC, ETH | `eth_getBlockByNumber("pending")` | its plain transactions to such addresses |
//!
//! A node that does not tell (it knows no such call, makes no block, or has a pool larger than any answer) leaves the
//! marks out, and all else as it is.
//!
//! | bound | | why |
//! |---|---|---|
//! | a look | every 10 s, while an invoice of the coin is open | the ids of a full pool of Bitcoin's are some ten megabytes |
//! | ids kept | 500,000 of 32 bytes a chain | what an answer of 32 MiB can hold; a full pool has less than half |
//! | transactions read in a look | 2,000, new ones first | fifty times what Bitcoin's network has in ten seconds; a full pool is read within half an hour after a start |
//! | at once | 4 of them | a node has four threads for calls and more |
//! | marks | 10,000 a chain, 20 an invoice | each costs whoever makes it a transaction's fee |
//! | how old a look may be | a minute | after that nothing is known, and nothing is said |
//!
//! What this module must not know: what becomes of a payment.

mod look;
pub(crate) mod sql;

use crate::depth::{DepthStep, depth_of};
use crate::payouts::written_id;
use crate::{Invoice, Result, Treasury};
use futures_util::future::join_all;
use gruve_store::{Tx, Value, params};
use gruve_units::{AccountId, Amount, Asset, InvoiceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub use look::Looked;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A look older than this says nothing any more.
const LOOK_HOLDS: Duration = Duration::from_secs(60);

/// Ids of one chain's pool that are kept.
const IDS_MAX: usize = 500_000;

/// Transactions that one look reads.
pub(crate) const READ_MAX: usize = 2_000;

/// Marks of one chain.
const MARKS_MAX: usize = 10_000;

/// Marks of one invoice; what is more shows once it stands in a block.
const MARKS_OF_INVOICE_MAX: usize = 20;

/// A payment to an invoice that stands in no block yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// To which invoice.
    pub invoice: InvoiceId,
    /// Its transaction, internal byte order.
    pub txid: [u8; 32],
    /// Which of its outputs; 0 on account chains.
    pub vout: u32,
    /// How much.
    pub amount: Amount,
    /// When a look found it first, since the start of this process.
    pub seen_at: Timestamp,
}

impl Mark {
    /// The transaction's id as its chain's explorers write it.
    #[must_use]
    pub fn transaction(&self) -> String {
        written_id(self.amount.asset, &self.txid)
    }
}

/// What is known of an invoice beside what stands in blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// What waits for a block, the oldest first.
    pub marks: Vec<Mark>,
    /// Blocks that a payment needs, the one that it stands in counted, before it counts: by what its customer has
    /// waiting together with it.
    pub blocks: u64,
}

impl Unconfirmed {
    /// All marks together.
    #[must_use]
    pub fn sum(&self, asset: Asset) -> Amount {
        let minor = self.marks.iter().fold(0_i64, |sum, m| sum.saturating_add(m.amount.minor));
        Amount::new(asset, minor)
    }
}

/// What is known of one chain's pool.
#[derive(Default)]
struct Pool {
    /// Ids in it whose transactions were read.
    read: HashSet<[u8; 32]>,
    /// Ids in it that wait to be read.
    unread: HashSet<[u8; 32]>,
    marks: BTreeMap<([u8; 32], u32), Mark>,
    /// When the last look ended.
    looked_at: Option<Timestamp>,
}

impl Pool {
    /// Marks a payment, or leaves it out beyond the bounds.
    fn mark(&mut self, mark: Mark) {
        let key = (mark.txid, mark.vout);
        let of = self.marks.values().filter(|m| m.invoice == mark.invoice).count();
        if of < MARKS_OF_INVOICE_MAX && self.marks.len() < MARKS_MAX {
            self.marks.entry(key).or_insert(mark);
        }
    }
}

/// The pools of all chains. In memory alone: a node tells them anew.
#[derive(Default)]
pub(crate) struct Pools(Mutex<BTreeMap<Asset, Pool>>);

impl Pools {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Asset, Pool>> {
        // Every change under the lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a chain's pool.
    fn with<T>(&self, asset: Asset, change: impl FnOnce(&mut Pool) -> T) -> T {
        change(self.all().entry(asset).or_default())
    }

    fn forget(&self, asset: Asset) {
        self.all().remove(&asset);
    }
}

impl Treasury {
    /// What waits for a block to pay an invoice, and how deep it must then be; `None` for an invoice that no chain pays.
    ///
    /// # Errors
    /// The database's.
    pub async fn unconfirmed(&self, invoice: &Invoice) -> Result<Option<Unconfirmed>> {
        let mut one = self.unconfirmed_of(std::slice::from_ref(invoice)).await?;
        Ok(one.remove(&invoice.id))
    }

    /// The same of a page of invoices, asked for at once; those that no chain pays are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn unconfirmed_of(
        &self,
        invoices: &[Invoice],
    ) -> Result<BTreeMap<InvoiceId, Unconfirmed>> {
        let mut marks = self.marks_of(invoices);
        let (mut all, mut asked) = (BTreeMap::new(), Vec::new());
        for invoice in invoices {
            let Some((least, depths)) = self.depths_of(invoice.asset()) else { continue };
            let marks = marks.remove(&invoice.id).unwrap_or_default();
            // A list holds many that are over.
            if !marks.is_empty() || invoice.state.is_open() {
                asked.push((invoice, depths));
            }
            all.insert(invoice.id, Unconfirmed { marks, blocks: least });
        }
        let marks: Vec<Mark> = all.values().flat_map(|u| &u.marks).copied().collect();
        let stepped = asked.iter().filter(|(_, depths)| !depths.is_empty());
        let owed = stepped.map(|(i, _)| (i.account, i.asset())).collect::<BTreeSet<_>>();
        if marks.is_empty() && owed.is_empty() {
            return Ok(all);
        }
        let mut tx = self.0.store.read().await?;
        let in_blocks = in_blocks(&mut tx, &marks).await?;
        let waiting = waiting_of(&mut tx, &owed).await?;
        for (invoice, depths) in asked {
            let Some(told) = all.get_mut(&invoice.id) else { continue };
            // In a block already: the next look will see that it is out of the pool.
            told.marks.retain(|m| !in_blocks.contains(&(m.amount.asset, m.txid, m.vout)));
            let stands = waiting.get(&(invoice.account, invoice.asset())).copied().unwrap_or(0);
            let marked = told.sum(invoice.asset()).minor;
            told.blocks = told.blocks.max(depth_of(depths, stands.saturating_add(marked)));
        }
        Ok(all)
    }

    /// How deep every pay-in of a coin must be, and the larger ones; `None` for what no chain of ours pays.
    fn depths_of(&self, asset: Asset) -> Option<(u64, &[DepthStep])> {
        match (self.wallet(asset), self.account_wallet(asset)) {
            (Ok(wallet), _) => Some((wallet.confirmations, &wallet.depths)),
            (_, Ok(wallet)) => Some((wallet.confirmations, &wallet.depths)),
            _ => None,
        }
    }

    /// Marks of these invoices, of each the oldest first; none where the last look is too long ago.
    fn marks_of(&self, invoices: &[Invoice]) -> BTreeMap<InvoiceId, Vec<Mark>> {
        let now = self.now();
        let wanted: BTreeSet<InvoiceId> = invoices.iter().map(|i| i.id).collect();
        let holds = |at: Timestamp| now < at || now.since(at) <= LOOK_HOLDS;
        let pools = self.0.pools.all();
        let known = pools.values().filter(|pool| pool.looked_at.is_some_and(holds));
        let mut own: BTreeMap<InvoiceId, Vec<Mark>> = BTreeMap::new();
        for mark in known.flat_map(|pool| pool.marks.values()) {
            if wanted.contains(&mark.invoice) {
                own.entry(mark.invoice).or_default().push(*mark);
            }
        }
        own.values_mut().for_each(|marks| marks.sort_by_key(|m| (m.seen_at, m.txid, m.vout)));
        own
    }

    /// How many marks there are, for whoever watches for changes.
    #[must_use]
    pub fn marks_count(&self) -> usize {
        self.0.pools.all().values().map(|pool| pool.marks.len()).sum()
    }

    /// Looks at the pools of all chains again and again, each for itself, until `shutdown` turns true or its sender is
    /// gone. A node that fails costs its chain's marks and nothing else.
    pub async fn watch_pools(&self, mut shutdown: watch::Receiver<bool>) {
        let loops = self.assets().into_iter().map(|asset| self.watch_pool(asset, shutdown.clone()));
        join_all(loops).await;
        drop(shutdown.wait_for(|is_over| *is_over).await);
    }

    async fn watch_pool(&self, asset: Asset, mut shutdown: watch::Receiver<bool>) {
        let mut is_told = false;
        while !*shutdown.borrow() {
            match self.look_at_pool(asset).await {
                Ok(_) => is_told = false,
                Err(error) if is_told => tracing::debug!(%asset, %error, "no look at the pool"),
                Err(error) => {
                    tracing::warn!(%asset, %error, "payments without a block are not seen now");
                    is_told = true;
                }
            }
            tokio::select! {
                changed = shutdown.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// Which marks' outputs stand in a block.
async fn in_blocks(tx: &mut Tx, marks: &[Mark]) -> Result<BTreeSet<(Asset, [u8; 32], u32)>> {
    let given = |m: &Mark| params![m.amount.asset, m.txid, m.vout];
    let given: Vec<Value> = marks.iter().flat_map(given).collect();
    let mut all = BTreeSet::new();
    if !given.is_empty() {
        for row in tx.fetch_many(&sql::IN_BLOCKS, given).await? {
            all.insert((row.get("asset")?, row.get("txid")?, row.get("vout")?));
        }
    }
    Ok(all)
}

/// What customers have waiting in blocks, each in a coin.
async fn waiting_of(
    tx: &mut Tx,
    owed: &BTreeSet<(AccountId, Asset)>,
) -> Result<BTreeMap<(AccountId, Asset), i64>> {
    let given: Vec<Value> =
        owed.iter().flat_map(|(account, asset)| params![*account, *asset]).collect();
    let mut all = BTreeMap::new();
    if !given.is_empty() {
        for row in tx.fetch_many(&sql::WAITING_OF, given).await? {
            all.insert((row.get("account")?, row.get("asset")?), row.get("minor")?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(invoice: u8, n: u16) -> Mark {
        let mut txid = [invoice; 32];
        txid[..2].copy_from_slice(&n.to_le_bytes());
        let amount = Amount::new(Asset::Btc, 5);
        let invoice = InvoiceId::from_bytes([invoice; 16]);
        Mark { invoice, txid, vout: 0, amount, seen_at: Timestamp(i64::from(n)) }
    }

    #[test]
    fn marks_have_a_limit_for_each_invoice_and_for_all() {
        let mut pool = Pool::default();
        for n in 0..100 {
            pool.mark(mark(1, n));
        }
        assert_eq!(pool.marks.len(), MARKS_OF_INVOICE_MAX);
        pool.mark(mark(2, 7));
        pool.mark(Mark { seen_at: Timestamp(9_000), ..mark(2, 7) });
        assert_eq!(pool.marks.len(), MARKS_OF_INVOICE_MAX + 1);
        let kept = pool.marks.values().find(|m| m.invoice == mark(2, 7).invoice);
        assert_eq!(kept.unwrap().seen_at, Timestamp(7), "the first look counts");
    }
}
