//! Which of our coins a block spends, and what that means for payouts.
//!
//! A transaction of a block is a batch of ours when it spends the batch's coins, pays what the batch pays,
//! and returns the rest. The comparison is not by id, since a batch may have several forms with different
//! fees, and on chains without SegWit others can change the id of a transaction under way. Any other
//! spending of our coins is done with our keys outside this house, or by a life of it that these tables do
//! not know: the books follow the chain, as a loss, and payouts wait for a person
//! ([`crate::strangers`]).

use crate::blocks::Standing;
use crate::books::Draft;
use crate::keys::Keychain;
use crate::receipts::OurOutput;
use crate::sql;
use crate::strangers::note_stranger;
use crate::treasury::Wallet;
use crate::{PayoutState, Result, Treasury, TreasuryError};
use bitcoin::hashes::Hash as _;
use gruve_chain::{LeanBlock, LeanTx, hash_to_text};
use gruve_ledger::Account;
use gruve_store::{Tx, params};
use gruve_units::{Asset, PayoutId};
use std::collections::{BTreeMap, BTreeSet};

/// One of our coins spent in a block.
pub(crate) struct OurSpend {
    tx_at: usize,
    txid: [u8; 32],
    vout: u32,
    value: i64,
}

/// A stored batch, as far as a block decides about it.
pub(crate) struct BatchRow {
    pub(crate) id: [u8; 16],
    pub(crate) state: String,
    pub(crate) unsigned_tx: Vec<u8>,
    pub(crate) signed_tx: Option<Vec<u8>>,
    pub(crate) asset: Asset,
    pub(crate) fee: i64,
    pub(crate) operator_fee: i64,
    /// The one of ours whose coins it spends, to withdraw it.
    pub(crate) replaces: Option<[u8; 16]>,
}

/// Our batches among a block's transactions, by place in the block.
pub(crate) type BatchesInBlock = BTreeMap<usize, BatchRow>;

pub(crate) async fn batch_row(tx: &mut Tx, id: [u8; 16]) -> Result<BatchRow> {
    read_batch(&tx.fetch_one(sql::BATCH, &params![id]).await?)
}

pub(crate) fn read_batch(row: &gruve_store::Row) -> Result<BatchRow> {
    Ok(BatchRow {
        id: row.get("id")?,
        state: row.get("state")?,
        unsigned_tx: row.get("unsigned_tx")?,
        signed_tx: row.get("signed_tx")?,
        asset: row.get("asset")?,
        fee: row.get("fee")?,
        operator_fee: row.get("operator_fee")?,
        replaces: row.get("replaces")?,
    })
}

/// What a transaction of ours pays others: scripts and values.
pub(crate) async fn payments_of(tx: &mut Tx, batch: [u8; 16]) -> Result<Vec<(Vec<u8>, i64)>> {
    let rows = tx.fetch_all(sql::PAYMENTS_OF_BATCH, &params![batch]).await?;
    rows.iter().map(|row| Ok((row.get("script")?, row.get("value")?))).collect()
}

/// Whether a transaction of a block spends just these coins, pays all of `payments` and nobody else; `returns`
/// says which outputs come back to us.
fn does_the_same(
    coins: &[([u8; 32], u32, i64)],
    mut payments: Vec<(Vec<u8>, i64)>,
    seen: &LeanTx,
    returns: impl Fn(u32) -> bool,
) -> bool {
    let spends = |txid: &[u8; 32], vout| coins.iter().any(|c| c.0 == *txid && c.1 == vout);
    if coins.len() != seen.inputs.len() || !seen.inputs.iter().all(|(t, v)| spends(t, *v)) {
        return false;
    }
    for (vout, output) in (0_u32..).zip(&seen.outputs) {
        match payments.iter().position(|p| p.0 == output.script && p.1 == output.value) {
            Some(at) => drop(payments.swap_remove(at)),
            None if returns(vout) => {}
            None => return false,
        }
    }
    payments.is_empty()
}

/// A batch of ours with what it paid the network, if a transaction of a block is a form of it. `coins` are those
/// that are reserved for it, or for the one that it withdraws.
async fn seen_as(
    tx: &mut Tx,
    mut batch: BatchRow,
    coins: &[([u8; 32], u32, i64)],
    seen: &LeanTx,
    returns: &impl Fn(u32) -> bool,
) -> Result<Option<BatchRow>> {
    let mut coins = coins.to_vec();
    if batch.replaces.is_some() {
        // It spends what was there when it was planned.
        let plan = crate::transaction::from_bytes(&batch.unsigned_tx)?;
        let is_in = |c: &([u8; 32], u32, i64)| {
            let spends = |i: &bitcoin::TxIn| {
                let point = i.previous_output;
                point.txid.to_byte_array() == c.0 && point.vout == c.1
            };
            plan.input.iter().any(spends)
        };
        coins.retain(is_in);
    }
    let payments = payments_of(tx, batch.id).await?;
    if !does_the_same(&coins, payments, seen, returns) {
        return Ok(None);
    }
    // Of several forms this one counts: what it paid the network is what it left over.
    let row = tx.fetch_one(sql::SHARES_OF_BATCH, &params![batch.id]).await?;
    let paid: i64 = seen.outputs.iter().map(|o| o.value).sum();
    batch.fee = coins.iter().map(|c| c.2).sum::<i64>() - paid;
    batch.operator_fee = batch.fee - row.get::<i64>("minor")?;
    Ok((batch.operator_fee >= 0).then_some(batch))
}

/// One payout of a batch, as the books need it.
pub(crate) struct BatchPayout {
    pub(crate) id: PayoutId,
    pub(crate) account: gruve_units::AccountId,
    pub(crate) amount: i64,
    pub(crate) attempt: i64,
}

pub(crate) async fn payouts_of(tx: &mut Tx, batch: [u8; 16]) -> Result<Vec<BatchPayout>> {
    let rows = tx.fetch_all(sql::PAYOUTS_OF_BATCH, &params![batch]).await?;
    let read = |row: &gruve_store::Row| -> Result<BatchPayout> {
        Ok(BatchPayout {
            id: row.get("id")?,
            account: row.get("account")?,
            amount: row.get("amount")?,
            attempt: row.get("attempt")?,
        })
    };
    rows.iter().map(read).collect()
}

impl Treasury {
    /// Our coins that the block spends: those known before, and those it makes itself. We spend
    /// confirmed coins only, but a reorganisation can put a payment to us and our spending of it
    /// into the same block.
    pub(crate) async fn our_spends(
        &self,
        tx: &mut Tx,
        asset: Asset,
        block: &LeanBlock,
        ours: &[OurOutput],
    ) -> Result<Vec<OurSpend>> {
        let spending = || block.txs.iter().enumerate().filter(|(_, t)| !t.coinbase);
        let txids: BTreeSet<&[u8]> =
            spending().flat_map(|(_, t)| &t.inputs).map(|(txid, _)| txid.as_slice()).collect();
        let keys: Vec<&[u8]> = txids.into_iter().collect();
        let mut coins: BTreeMap<([u8; 32], u32), i64> = BTreeMap::new();
        for row in sql::among(tx, &sql::UNSPENT_AMONG, asset, &keys).await? {
            coins.insert((row.get("txid")?, row.get("vout")?), row.get("value")?);
        }
        for made in ours {
            coins.insert((block.txs[made.tx_at].txid, made.vout), made.value);
        }
        let mut spends = Vec::new();
        for (tx_at, t) in spending() {
            for &(txid, vout) in &t.inputs {
                if let Some(&value) = coins.get(&(txid, vout)) {
                    spends.push(OurSpend { tx_at, txid, vout, value });
                }
            }
        }
        Ok(spends)
    }

    /// Our batches among the block's transactions.
    pub(crate) async fn batches_in(
        &self,
        tx: &mut Tx,
        asset: Asset,
        block: &LeanBlock,
        ours: &[OurOutput],
        spends: &[OurSpend],
    ) -> Result<BatchesInBlock> {
        let mut batches = BatchesInBlock::new();
        for spend in spends {
            if batches.contains_key(&spend.tx_at) {
                continue;
            }
            let Some(first) = reserving(tx, asset, &spend.txid, spend.vout).await? else {
                continue;
            };
            let mut coins: Vec<([u8; 32], u32, i64)> = Vec::new();
            for row in tx.fetch_all(sql::RESERVED_POINTS, &params![first]).await? {
                coins.push((row.get("txid")?, row.get("vout")?, row.get("value")?));
            }
            let mut candidates = vec![first];
            for row in tx.fetch_all(sql::RIVALS, &params![first, first]).await? {
                candidates.push(row.get("id")?);
            }
            let seen = &block.txs[spend.tx_at];
            let returns = |vout| {
                let is_it = |o: &&OurOutput| o.tx_at == spend.tx_at && o.vout == vout;
                ours.iter().find(is_it).is_some_and(|o| o.keychain == Keychain::Change)
            };
            for candidate in candidates {
                let batch = batch_row(tx, candidate).await?;
                if let Some(batch) = seen_as(tx, batch, &coins, seen, &returns).await? {
                    batches.insert(spend.tx_at, batch);
                    break;
                }
            }
        }
        Ok(batches)
    }

    /// Books the block's spending of our coins; gives the payouts it confirms.
    pub(crate) async fn book_spends(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        block: &LeanBlock,
        spends: &[OurSpend],
        batches: &BatchesInBlock,
    ) -> Result<Vec<PayoutId>> {
        let mut outside: Vec<([u8; 32], u32, i64)> = Vec::new();
        let mut strangers: BTreeMap<usize, i64> = BTreeMap::new();
        for spend in spends {
            let coin = params![standing.asset, spend.txid, spend.vout];
            tx.execute(sql::DOUBT_DECIDED, &coin).await?;
            if batches.contains_key(&spend.tx_at) {
                let values =
                    params![standing.asset, spend.txid, spend.vout, standing.height, 0_i64];
                tx.execute(sql::SPEND_UTXO, &values).await?;
            } else {
                outside.push((spend.txid, spend.vout, spend.value));
                *strangers.entry(spend.tx_at).or_default() += spend.value;
            }
        }
        if !strangers.is_empty() && self.wallet(standing.asset)?.is_catching_up() {
            self.pass_over_forgotten(tx, standing.asset, None).await?;
        }
        for (tx_at, value) in strangers {
            note_stranger(tx, standing, &block.txs[tx_at], value).await?;
        }
        for (txid, vout, value) in outside {
            self.book_outside_spend(tx, standing, txid, vout, value).await?;
        }
        let mut confirmed = Vec::new();
        for (tx_at, batch) in batches {
            let txid = block.txs[*tx_at].txid;
            confirmed.extend(self.confirm_batch(tx, standing, batch, txid).await?);
        }
        Ok(confirmed)
    }

    async fn book_outside_spend(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        txid: [u8; 32],
        vout: u32,
        value: i64,
    ) -> Result<()> {
        tracing::error!(
            asset = %standing.asset, txid = %hash_to_text(&txid), vout, value,
            "a coin of the house was spent with its key, and nothing in its tables explains it: payouts \
             wait until somebody has looked"
        );
        let values = params![standing.asset, txid, vout, standing.height, 1_i64];
        tx.execute(sql::SPEND_UTXO, &values).await?;
        Draft::new(standing.asset)
            .debit(Account::Loss, value)
            .credit(Account::ChainHot, value)
            .post(
                tx,
                "treasury-spent-outside",
                standing.output_reason("spent-outside", &txid, vout),
                standing.now,
            )
            .await?;
        if let Some(batch) = reserving(tx, standing.asset, &txid, vout).await? {
            tx.execute(sql::BATCH_CONFLICT, &params![batch, standing.height]).await?;
        }
        Ok(())
    }

    pub(crate) async fn confirm_batch(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        batch: &BatchRow,
        txid: [u8; 32],
    ) -> Result<Vec<PayoutId>> {
        let values = params![batch.id, standing.height, txid, batch.fee, batch.operator_fee];
        if tx.execute(sql::CONFIRM_BATCH, &values).await? != 1 {
            return Err(TreasuryError::Damaged("a transaction of ours was confirmed twice"));
        }
        // What spends the same coins can confirm no more, unless this leaves the chain.
        let against = params![batch.id, batch.replaces.unwrap_or(batch.id)];
        for row in tx.fetch_all(sql::RIVALS, &against).await? {
            let rival: [u8; 16] = row.get("id")?;
            tx.execute(sql::BATCH_CONFLICT, &params![rival, standing.height]).await?;
        }
        let payouts = payouts_of(tx, batch.id).await?;
        for payout in &payouts {
            Draft::new(standing.asset)
                .debit(Account::PayoutsInFlight, payout.amount)
                .credit(Account::ChainHot, payout.amount)
                .post(
                    tx,
                    "treasury-paid-out",
                    standing.reason("paid-out", &payout.id.to_string()),
                    standing.now,
                )
                .await?;
        }
        if batch.operator_fee > 0 {
            Draft::new(standing.asset)
                .debit(Account::NetworkFees, batch.operator_fee)
                .credit(Account::ChainHot, batch.operator_fee)
                .post(
                    tx,
                    "treasury-network-fee",
                    standing.reason("network-fee", &hex::encode(batch.id)),
                    standing.now,
                )
                .await?;
        }
        self.book_move(tx, standing, batch.id, false).await?;
        let values = params![batch.id, PayoutState::Confirmed.word(), standing.now];
        tx.execute(sql::SET_BATCH_PAYOUTS, &values).await?;
        Ok(payouts.into_iter().map(|p| p.id).collect())
    }

    /// Takes back what the newest block spent of ours; gives the payouts that wait again.
    pub(crate) async fn undo_spends(
        &self,
        tx: &mut Tx,
        standing: &Standing,
    ) -> Result<Vec<PayoutId>> {
        let key = params![standing.asset, standing.height];
        let mut waiting = Vec::new();
        for row in tx.fetch_all(sql::BATCHES_CONFIRMED_AT, &key).await? {
            let id: [u8; 16] = row.get("id")?;
            let operator_fee: i64 = row.get("operator_fee")?;
            for payout in payouts_of(tx, id).await? {
                Draft::new(standing.asset)
                    .debit(Account::ChainHot, payout.amount)
                    .credit(Account::PayoutsInFlight, payout.amount)
                    .post(
                        tx,
                        "treasury-paid-out-undone",
                        standing.reason("paid-out-undone", &payout.id.to_string()),
                        standing.now,
                    )
                    .await?;
                waiting.push(payout.id);
            }
            if operator_fee > 0 {
                Draft::new(standing.asset)
                    .debit(Account::ChainHot, operator_fee)
                    .credit(Account::NetworkFees, operator_fee)
                    .post(
                        tx,
                        "treasury-network-fee-undone",
                        standing.reason("network-fee-undone", &hex::encode(id)),
                        standing.now,
                    )
                    .await?;
            }
            self.book_move(tx, standing, id, true).await?;
            tx.execute(sql::UNCONFIRM_BATCH, &params![id]).await?;
            let values = params![id, PayoutState::Broadcast.word(), standing.now];
            tx.execute(sql::SET_BATCH_PAYOUTS, &values).await?;
        }
        for row in tx.fetch_all(sql::SPENT_OUTSIDE_AT, &key).await? {
            let (txid, vout): ([u8; 32], u32) = (row.get("txid")?, row.get("vout")?);
            let value: i64 = row.get("value")?;
            Draft::new(standing.asset)
                .debit(Account::ChainHot, value)
                .credit(Account::Loss, value)
                .post(
                    tx,
                    "treasury-spent-outside-undone",
                    standing.output_reason("unspent", &txid, vout),
                    standing.now,
                )
                .await?;
        }
        tx.execute(sql::UNSPEND_UTXOS_AT, &key).await?;
        tx.execute(sql::CONFLICT_GONE, &key).await?;
        tx.execute(sql::STRANGERS_GONE, &key).await?;
        Ok(waiting)
    }

    /// Takes apart batches one of whose coins was spent by another transaction so deep in the
    /// chain that it will not be undone: such a batch can never confirm, and its payouts can be
    /// paid with other coins. This is the only way back from *signed*.
    pub(crate) async fn void_dead_batches(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        standing: &Standing,
    ) -> Result<()> {
        let Some(deep) = standing.height.checked_sub(wallet.reorg_limit) else { return Ok(()) };
        for row in tx.fetch_all(sql::DEAD_BATCHES, &params![standing.asset, deep]).await? {
            let id: [u8; 16] = row.get("id")?;
            let withdrawn = tx.fetch_optional(sql::WAS_WITHDRAWN, &params![id]).await?;
            let payouts: Vec<PayoutId> = payouts_of(tx, id).await?.iter().map(|p| p.id).collect();
            self.void_batch(tx, standing.asset, id, standing.now).await?;
            if withdrawn.is_some() {
                self.after_withdrawal(tx, &payouts).await?;
            }
        }
        Ok(())
    }
}

async fn reserving(
    tx: &mut Tx,
    asset: Asset,
    txid: &[u8; 32],
    vout: u32,
) -> Result<Option<[u8; 16]>> {
    let row = tx.fetch_optional(sql::BATCH_RESERVING, &params![asset, *txid, vout]).await?;
    Ok(row.map(|r| r.get("batch")).transpose()?)
}
