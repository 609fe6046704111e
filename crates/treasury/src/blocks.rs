//! A block connected, a block disconnected: the only places where the wallet's coins change.
//!
//! Both run in the caller's transaction, which also moves the follower's cursor; nothing here
//! asks a node. A block's entries carry its hash and the number of its connection in their reason
//! keys, so that a block that leaves the chain and comes back is booked again.

use crate::sql;
use crate::{Result, Treasury, TreasuryError};
use gruve_chain::{BlockRef, LeanBlock, hash_to_text};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, InvoiceId, PayoutId, Timestamp};
use std::collections::BTreeSet;

/// A block of the farm: what its coinbase pays to our coinbase script. Booked by the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinbaseReward {
    /// The block's hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// Its header's time.
    pub block_time: Timestamp,
    /// What its coinbase pays us.
    pub value: Amount,
}

/// What a connected block did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEffects {
    /// Rewards in it.
    pub rewards: Vec<CoinbaseReward>,
    /// Invoices it closed as paid.
    pub invoices: Vec<InvoiceId>,
    /// Payouts it confirmed.
    pub payouts: Vec<PayoutId>,
    /// The block was connected before and nothing was done. Its rewards are named again, in case
    /// the caller's own part was not done then.
    pub repeated: bool,
}

/// What a disconnected block did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisconnectEffects {
    /// Hashes of blocks of the farm that are no longer in the chain.
    pub orphaned: Vec<[u8; 32]>,
    /// Payouts that wait for a block again.
    pub payouts: Vec<PayoutId>,
}

/// Which block is being worked on.
pub(crate) struct Standing {
    pub(crate) asset: Asset,
    pub(crate) height: u64,
    /// Block hash and connection number, for reason keys.
    pub(crate) stamp: String,
    pub(crate) now: Timestamp,
}

impl Standing {
    pub(crate) fn new(asset: Asset, block: &BlockRef, connection: i64, now: Timestamp) -> Standing {
        let stamp = format!("{}#{connection}", hash_to_text(&block.hash));
        Standing { asset, height: block.height, stamp, now }
    }

    /// A reason key for something of this block.
    pub(crate) fn reason(&self, what: &str, about: &str) -> String {
        format!("treasury:{what}:{}:{about}:{}", self.asset, self.stamp)
    }

    /// A reason key for something about an output.
    pub(crate) fn output_reason(&self, what: &str, txid: &[u8; 32], vout: u32) -> String {
        self.reason(what, &format!("{}:{vout}", hash_to_text(txid)))
    }
}

/// A stored block and the number of its connection.
pub(crate) async fn newest(tx: &mut Tx, asset: Asset) -> Result<Option<(BlockRef, i64)>> {
    let Some(row) = tx.fetch_optional(sql::BLOCKS, &params![asset, 1_i64]).await? else {
        return Ok(None);
    };
    let block = BlockRef { height: row.get("height")?, hash: row.get("hash")? };
    Ok(Some((block, row.get("connection")?)))
}

impl Treasury {
    /// The newest blocks connected, newest first, `limit` at most: what the follower compares the
    /// node's chain with.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_blocks(
        &self,
        tx: &mut Tx,
        asset: Asset,
        limit: u64,
    ) -> Result<Vec<BlockRef>> {
        let rows = tx.fetch_all(sql::BLOCKS, &params![asset, limit]).await?;
        let read = |row: &gruve_store::Row| -> Result<BlockRef> {
            Ok(BlockRef { height: row.get("height")?, hash: row.get("hash")? })
        };
        rows.iter().map(read).collect()
    }

    /// Books everything a block does to us. The very first block may have any height; after it
    /// each must follow the one before. The newest block again does nothing.
    ///
    /// # Errors
    /// [`TreasuryError::NotNext`], or the books' and the database's.
    pub async fn connect_block(
        &self,
        tx: &mut Tx,
        asset: Asset,
        height: u64,
        block: &LeanBlock,
    ) -> Result<BlockEffects> {
        let wallet = self.wallet(asset)?;
        let this = BlockRef { height, hash: block.hash };
        self.note_begin(tx, asset, &wallet.began).await?;
        let Some(standing) = self.begin_block(tx, asset, &this, &block.prev).await? else {
            let rewards = wallet.rewards(height, block)?.into_iter().collect();
            return Ok(BlockEffects { rewards, repeated: true, ..BlockEffects::default() });
        };

        self.watch_first(tx, asset, wallet.is_catching_up()).await?;
        let ours = self.our_outputs(tx, wallet, &block.txs).await?;
        let spends = self.our_spends(tx, asset, block, &ours).await?;
        let batches = self.batches_in(tx, asset, block, &ours, &spends).await?;
        let mut touched = BTreeSet::new();
        self.book_arrivals(tx, wallet, &standing, block, &ours, &batches, &mut touched).await?;
        let payouts = self.book_spends(tx, &standing, block, &spends, &batches).await?;
        self.look_back(tx, wallet, &standing, block, &batches).await?;
        self.credit_ripe(tx, &standing, &mut touched).await?;
        let mut invoices = Vec::new();
        for id in touched {
            if self.refresh_invoice(tx, id, standing.now).await? {
                invoices.push(id);
            }
        }
        self.void_dead_batches(tx, wallet, &standing).await?;
        let rewards = wallet.rewards(height, block)?.into_iter().collect();
        Ok(BlockEffects { rewards, invoices, payouts, repeated: false })
    }

    /// Records a block as the newest; `None` when it is already.
    pub(crate) async fn begin_block(
        &self,
        tx: &mut Tx,
        asset: Asset,
        this: &BlockRef,
        parent: &[u8; 32],
    ) -> Result<Option<Standing>> {
        let height = this.height;
        if let Some((top, _)) = newest(tx, asset).await? {
            if top == *this {
                return Ok(None);
            }
            if top.height + 1 != height || top.hash != *parent {
                return Err(TreasuryError::NotNext { asset, height });
            }
        }
        let row = tx.fetch_one(sql::NEXT_CONNECTION, &params![asset]).await?;
        let connection: i64 = row.get("connections")?;
        tx.execute(sql::INSERT_BLOCK, &params![asset, height, this.hash, connection]).await?;
        // No row is ever pruned: the follower takes fewer than it asked for as all blocks there ever
        // were, whose first may go, and that must stay true after any number of disconnects. A row
        // is some 80 bytes: 17 megabytes a year on the fastest chain served.
        Ok(Some(Standing::new(asset, this, connection, self.now())))
    }

    /// Undoes the newest block by new entries: credits it ripened, payouts it confirmed, coins it
    /// made and spent.
    ///
    /// A customer who has spent what is taken back keeps it: the difference is the operator's
    /// loss, noted with the receipt and made good should the payment come again.
    ///
    /// # Errors
    /// [`TreasuryError::NotNext`] when `block` is not the newest, or the books' and the database's.
    pub async fn disconnect_block(
        &self,
        tx: &mut Tx,
        asset: Asset,
        block: &BlockRef,
    ) -> Result<DisconnectEffects> {
        let account = self.account_wallet(asset).ok();
        if account.is_none() {
            self.wallet(asset)?;
        }
        let connection = match newest(tx, asset).await? {
            Some((top, connection)) if top == *block => connection,
            _ => return Err(TreasuryError::NotNext { asset, height: block.height }),
        };
        let standing = Standing::new(asset, block, connection, self.now());
        if let Some(wallet) = account {
            return self.disconnect_account_block(tx, wallet, &standing, block).await;
        }
        let mut touched = BTreeSet::new();
        self.undo_credits(tx, &standing, &mut touched).await?;
        let payouts = self.undo_spends(tx, &standing).await?;
        let had_reward = self.undo_arrivals(tx, &standing, &mut touched).await?;
        tx.execute(sql::DELETE_BLOCK, &params![asset, block.height]).await?;
        for id in touched {
            self.refresh_invoice(tx, id, standing.now).await?;
        }
        let orphaned = if had_reward { vec![block.hash] } else { Vec::new() };
        Ok(DisconnectEffects { orphaned, payouts })
    }
}
