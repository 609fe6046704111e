//! A house that begins further behind its chain than it normally would may stand on an older backup: what it finds
//! there before it pays anything.
//!
//! While the house catches up, from its start until its payer has compared the wallet with the node once:
//!
//! | seen | what follows |
//! |---|---|
//! | more blocks than an hour has, and payouts that were approved before this life began | nothing of the asset is signed until a person says so |
//! | a block pays the address of a payout that waits what it may have been paid, from coins that are not known as ours | that payout waits, and no other, until a person says that it was made so, or not |
//! | addresses far behind the last one given out are paid | they are ours: a thousand are watched, not twenty |
//! | any of these, or a spending that nothing explains | the next thousand numbers of invoices are given to nobody: who holds one of a life that is forgotten may still pay to it |
//!
//! The same may happen to a house that runs: a standby that takes the place of the database's server may not have the last commits. So
//! the payer remembers the journal's newest entry from step to step; where it is there no more, payouts of all coins wait
//! for a person, and the wallets are compared with their nodes anew.
//!
//! On account chains the first holds, too; a payment of a life that is forgotten shows there by its sender and its nonce. The second is seen when the house paid with coins of addresses that the backup does not know; the first is for what
//! cannot be seen: a transaction that was sent and stands in no block and no pool, and that anybody who has its bytes may
//! still send. Only who caught up is held, so that nobody can hold up payouts of a house that runs by paying an address; and
//! who pays the address of an own payout during a stop holds up that payout, and nobody else's. A payout that a signer elsewhere may have
//! signed by then cannot be held up alone: then the coin's are. A short stop, or one with no payout waiting, holds nothing up.

use crate::blocks::{Standing, newest};
use crate::books::Draft;
use crate::spends::{BatchesInBlock, batch_row};
use crate::strangers::{Explained, Matched, note_stranger, payout_explained_by};
use crate::treasury::Wallet;
use crate::{Payer, PayoutState, Result, Treasury, TreasuryError, sql, transaction};
use gruve_chain::LeanBlock;
use gruve_ledger::Account;
use gruve_store::{Tx, params, transact};
use gruve_units::{Asset, PayoutId};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// Kept among the unexplained transactions; none has this id.
pub(crate) const HOLD: [u8; 32] = [0; 32];

const PAID_UNSEEN: &str =
    "waits until somebody has looked: the chain shows this payment to the address already";

/// Waiting payouts whose addresses a block is looked through for.
const WAITING_MAX: u32 = 10_000;

impl Wallet {
    /// Whether blocks are connected that were there before this life of the house began to pay.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.began().is_some() && !self.is_compared.load(Ordering::Relaxed)
    }

    fn began(&self) -> Option<Begin> {
        self.began.get().copied().flatten()
    }
}

/// Where a life of the house began with a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// The newest block in the tables.
    height: u64,
    /// Whether payouts had been approved and not signed.
    has_decided: bool,
}

impl Payer {
    /// Has all payouts wait where what this process saw committed is in the database no more.
    pub(crate) async fn notice_lost_commits(&self) -> Result<()> {
        let treasury = &self.treasury;
        let mut last = self.journal.lock().await;
        if let Some(entry) = *last {
            let is_there = {
                let mut tx = treasury.0.store.read().await?;
                gruve_ledger::has_entry(&mut tx, entry).await?
            };
            if !is_there {
                tracing::error!(
                    entry = entry.0,
                    "THE DATABASE HAS GONE BACK: entries of the journal that stood there are gone, and with them perhaps payouts \
                     that were sent; all payouts wait until somebody has looked"
                );
                for asset in treasury.assets() {
                    treasury.hold_for_a_person(asset).await?;
                }
                for wallet in &treasury.0.wallets {
                    wallet.is_compared.store(false, Ordering::Relaxed);
                }
                for wallet in &treasury.0.accounts {
                    wallet.follow_anew();
                }
            }
        }
        let mut tx = treasury.0.store.read().await?;
        *last = gruve_ledger::newest_entry(&mut tx).await?;
        Ok(())
    }
}

impl Treasury {
    /// Remembers where this life begins with a chain, before its first block.
    pub(crate) async fn note_begin(
        &self,
        tx: &mut Tx,
        asset: Asset,
        began: &OnceLock<Option<Begin>>,
    ) -> Result<()> {
        if began.get().is_none() {
            let decided = tx.fetch_optional(sql::ANY_DECIDED, &params![asset]).await?;
            let begin = newest(tx, asset)
                .await?
                .map(|(top, _)| Begin { height: top.height, has_decided: decided.is_some() });
            // Whoever was first saw the same.
            let _ = began.set(begin);
        }
        Ok(())
    }

    /// Has payouts of a coin wait where a block that is caught up with is too far from where this life began.
    pub(crate) async fn hold_if_far(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        began: Begin,
        behind_max: u64,
    ) -> Result<()> {
        let behind = standing.height.saturating_sub(began.height);
        if behind > behind_max && began.has_decided {
            let behind = i64::try_from(behind).unwrap_or(i64::MAX);
            self.put_hold(tx, standing.asset, behind).await?;
        }
        Ok(())
    }

    /// What a block that is caught up with tells of lives that these tables do not know.
    pub(crate) async fn look_back(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        standing: &Standing,
        block: &LeanBlock,
        batches: &BatchesInBlock,
    ) -> Result<()> {
        let Some(began) = wallet.began().filter(|_| wallet.is_catching_up()) else { return Ok(()) };
        let asset = standing.asset;
        self.hold_if_far(tx, standing, began, wallet.behind_max).await?;
        let rows = tx.fetch_all(sql::WAITING_SCRIPTS, &params![asset, WAITING_MAX]).await?;
        let scripts = rows.iter().map(|row| row.get("script"));
        let scripts = scripts.collect::<gruve_store::Result<BTreeSet<Vec<u8>>>>()?;
        if scripts.is_empty() {
            return Ok(());
        }
        for (at, t) in block.txs.iter().enumerate() {
            if t.coinbase || batches.contains_key(&at) {
                continue;
            }
            let (mut waiting, mut plans) = (BTreeSet::new(), BTreeSet::new());
            for output in t.outputs.iter().filter(|o| scripts.contains(&o.script)) {
                // Each that it may have made: which of several like it, a person says.
                let key = params![asset, &output.script[..], output.value];
                for row in tx.fetch_all(sql::PAYOUTS_EXPLAINED, &key).await? {
                    waiting.insert(row.get::<PayoutId>("id")?);
                    plans.extend(row.get::<Option<[u8; 16]>>("batch")?);
                }
            }
            if waiting.is_empty() {
                continue;
            }
            tracing::error!(
                %asset, txid = %gruve_chain::hash_to_text(&t.txid), payouts = waiting.len(),
                "a block that was caught up with pays what waiting payouts would: they wait until somebody has looked \
                 whether the house made it"
            );
            // One that spends coins of ours stands there already, and stays as it is.
            note_stranger(tx, standing, t, 0).await?;
            self.pass_over_forgotten(tx, asset, None).await?;
            self.hold_paid(tx, asset, t.txid, &waiting, &plans).await?;
        }
        Ok(())
    }

    /// Has payouts wait that a transaction may have made; those planned with them are planned anew.
    async fn hold_paid(
        &self,
        tx: &mut Tx,
        asset: Asset,
        txid: [u8; 32],
        waiting: &BTreeSet<PayoutId>,
        plans: &BTreeSet<[u8; 16]>,
    ) -> Result<()> {
        for plan in plans {
            if batch_row(tx, *plan).await?.state != "funded" {
                // Signed elsewhere, perhaps: without these rows the coin waits.
                return Ok(());
            }
        }
        for plan in plans {
            self.void_batch(tx, asset, *plan, self.now()).await?;
        }
        for id in waiting {
            tx.execute(sql::PUT_PAID_UNSEEN, &params![asset, txid, *id]).await?;
            tx.execute(sql::SET_PAYOUT_REASON, &params![*id, PAID_UNSEEN]).await?;
        }
        Ok(())
    }

    async fn put_hold(&self, tx: &mut Tx, asset: Asset, behind: i64) -> Result<()> {
        let held = tx.fetch_optional(sql::STRANGER, &params![asset, HOLD]).await?;
        if held.is_none() {
            self.pass_over_forgotten(tx, asset, None).await?;
        }
        let values = params![asset, HOLD, behind, Vec::<u8>::new(), self.now()];
        tx.execute(sql::PUT_HOLD, &values).await?;
        Ok(())
    }

    /// Has nothing of an asset planned or signed until a person says so ([`Treasury::resume_payouts`]), over restarts
    /// too: before an older backup is started. Numbers of invoices that it may have forgotten are given to nobody.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold_for_a_person(&self, asset: Asset) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => { self.put_hold(tx, asset, 0).await })
    }

    /// A person says that nothing that was sent before can still confirm unseen: payouts go on. Says whether they were
    /// held.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume_payouts(&self, asset: Asset, by: &str) -> Result<bool> {
        transact!(self.0.store, tx -> Result<bool> => {
            let values = params![asset, HOLD, "resumed", by, self.now()];
            Ok(tx.execute(sql::JUDGE_STRANGER, &values).await? == 1)
        })
    }

    /// Books the waiting payouts that a transaction made with coins that were never seen as ours: what came to those
    /// addresses is somebody's, and waits under unmatched receipts.
    pub(crate) async fn explain_unseen(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        txid: &str,
        form: &[u8],
    ) -> Result<Explained> {
        let mut made: Vec<Matched> = Vec::new();
        for output in transaction::from_bytes(form)?.output {
            let value = i64::try_from(output.value.to_sat())
                .map_err(|_| TreasuryError::Damaged("a value above what there is"))?;
            let script = output.script_pubkey.as_bytes();
            made.extend(payout_explained_by(tx, standing.asset, script, value, &made).await?);
        }
        if made.is_empty() {
            return Err(TreasuryError::Unexplained);
        }
        self.free_plans(tx, made.iter().filter_map(|m| m.batch).collect()).await?;
        for m in &made {
            let reason = format!("paid by {txid}, before these books");
            let state = PayoutState::Confirmed.word();
            let values = params![m.id, state, m.share, reason, standing.now];
            if tx.execute(sql::PAYOUT_PAID_UNSEEN, &values).await? != 1 {
                return Err(TreasuryError::Damaged("a payout was explained twice"));
            }
            Draft::new(standing.asset)
                .debit(Account::CustomerHeld(m.account), m.amount)
                .credit(Account::UnmatchedReceipts, m.amount)
                .post(
                    tx,
                    "treasury-payout-unseen",
                    format!("treasury:payout-unseen:{}", m.id),
                    standing.now,
                )
                .await?;
        }
        Ok(Explained { payouts: made.iter().map(|m| m.id).collect(), swept: 0 })
    }
}
