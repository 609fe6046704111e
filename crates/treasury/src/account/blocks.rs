//! A block of an account chain connected, and taken back.

use super::plan::{OwnTx, own_tx};
use super::sql;
use super::wallet::{AccountWallet, HOT, stored};
use crate::blocks::Standing;
use crate::books::{Draft, at_most};
use crate::keys::Keychain;
use crate::receipts::OurOutput;
use crate::spends::batch_row;
use crate::{BlockEffects, DisconnectEffects, Result, Treasury, TreasuryError};
use gruve_chain::eth::{
    EthAddress, EthBlock, EthReceipt, EthTransaction, TRANSFER_GAS, internal, wei,
};
use gruve_chain::{BlockRef, NodeError};
use gruve_ledger::Account;
use gruve_store::{Tx, params};
use gruve_units::{Asset, InvoiceId, PayoutId};
use ruint::aliases::U256;
use std::collections::{BTreeMap, BTreeSet};

/// A block with what of it the wallet cannot see by itself.
#[derive(Clone, Copy, Debug)]
pub struct AccountBlock<'a> {
    /// The block.
    pub block: &'a EthBlock,
    /// Receipts, at least of the transactions that [`Treasury::receipts_wanted`] names.
    pub receipts: &'a [EthReceipt],
    /// Wei that it pays our hot address beside transactions, each with whole minor units that the
    /// caller books: rewards with their fees, and uncles'.
    pub earned: &'a [U256],
}

/// Addresses of ours.
pub(crate) type Ours = BTreeMap<EthAddress, (Keychain, u32)>;

/// A block under way.
struct Work<'a> {
    wallet: &'a AccountWallet,
    standing: &'a Standing,
    ours: &'a Ours,
    touched: BTreeSet<InvoiceId>,
    payouts: Vec<PayoutId>,
    /// Wei below whole minor units that came, less those that went.
    below: i128,
}

impl Treasury {
    /// Hashes of a block's transactions whose receipts the wallet needs to book it: those to and
    /// from our addresses.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`], or the database's.
    pub async fn receipts_wanted(
        &self,
        tx: &mut Tx,
        asset: Asset,
        block: &EthBlock,
    ) -> Result<Vec<[u8; 32]>> {
        let ours = self.our_accounts(tx, self.account_wallet(asset)?, &block.transactions).await?;
        let concerns = |t: &&EthTransaction| {
            ours.contains_key(&t.from) || t.to.is_some_and(|to| ours.contains_key(&to))
        };
        Ok(block.transactions.iter().filter(concerns).map(|t| t.hash).collect())
    }

    /// Our addresses among those of some transactions.
    pub(crate) async fn our_accounts(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        transactions: &[EthTransaction],
    ) -> Result<Ours> {
        let all = transactions.iter().flat_map(|t| [Some(t.from), t.to]);
        let all: BTreeSet<EthAddress> = all.flatten().collect();
        let keys: Vec<&[u8]> = all.iter().map(|a| &a.0[..]).collect();
        let mut ours = Ours::from([(wallet.hot, HOT)]);
        for row in crate::sql::among(tx, &crate::sql::ADDRESSES_AMONG, wallet.asset, &keys).await? {
            let keychain = Keychain::from_number(row.get("keychain")?)
                .ok_or(TreasuryError::Damaged("unknown keychain"))?;
            ours.insert(EthAddress(row.get("script")?), (keychain, row.get("key_index")?));
        }
        Ok(ours)
    }

    /// Books everything a block of an account chain does to us; as [`Treasury::connect_block`]
    /// does for the others. The caller books what it earned, in whole minor units of each.
    ///
    /// # Errors
    /// [`TreasuryError::NotNext`], a receipt that is missing, or the books' and the database's.
    pub async fn connect_account_block(
        &self,
        tx: &mut Tx,
        asset: Asset,
        at: &AccountBlock<'_>,
    ) -> Result<BlockEffects> {
        let wallet = self.account_wallet(asset)?;
        let parent = internal(at.block.header.parent_hash);
        self.note_begin(tx, asset, &wallet.began).await?;
        let Some(standing) = self.begin_block(tx, asset, &at.block.to_ref(), &parent).await? else {
            return Ok(BlockEffects { repeated: true, ..BlockEffects::default() });
        };
        if let Some(began) = wallet.catching_up_since() {
            self.hold_if_far(tx, &standing, began, wallet.behind_max).await?;
        }
        self.watch_first(tx, asset, false).await?;
        let ours = self.our_accounts(tx, wallet, &at.block.transactions).await?;
        let mut work = Work {
            wallet,
            standing: &standing,
            ours: &ours,
            touched: BTreeSet::new(),
            payouts: Vec::new(),
            below: 0,
        };
        for transaction in &at.block.transactions {
            self.book_transaction(tx, &mut work, at, transaction).await?;
        }
        for earned in at.earned {
            self.hold(tx, &work, wallet.hot, *earned, U256::ZERO).await?;
            work.below += below(*earned);
        }
        let Work { mut touched, payouts, below, .. } = work;
        self.carry(tx, &standing, below).await?;
        self.credit_ripe(tx, &standing, &mut touched).await?;
        let mut invoices = Vec::new();
        for id in touched {
            if self.refresh_invoice(tx, id, standing.now).await? {
                invoices.push(id);
            }
        }
        self.void_dead_accounts(tx, wallet, &standing).await?;
        Ok(BlockEffects { rewards: Vec::new(), invoices, payouts, repeated: false })
    }

    async fn book_transaction(
        &self,
        tx: &mut Tx,
        work: &mut Work<'_>,
        at: &AccountBlock<'_>,
        t: &EthTransaction,
    ) -> Result<()> {
        let from = work.ours.get(&t.from).copied();
        let to = t.to.and_then(|to| work.ours.get(&to).map(|key| (to, *key)));
        if from.is_none() && to.is_none() {
            return Ok(());
        }
        let receipt = at.receipts.iter().find(|r| r.transaction_hash == t.hash);
        let receipt = receipt.filter(|r| r.block_hash == at.block.hash).ok_or_else(|| {
            NodeError::NotReady("a receipt of this block's transactions is not there".into())
        })?;
        // Before receipts told of success, a plain transfer could not fail with its gas used.
        let succeeded = receipt.succeeded.unwrap_or(receipt.gas_used == TRANSFER_GAS);
        let moved = if succeeded { t.value } else { U256::ZERO };
        let mut books_receipt = from.is_none();
        if from.is_some() {
            let price = receipt.gas_price.or(t.gas_price).unwrap_or_default();
            let fee = price.saturating_mul(U256::from(receipt.gas_used));
            let out = moved.saturating_add(fee);
            let gone = self.hold(tx, work, t.from, U256::ZERO, out).await?;
            let own = self.form_of(tx, work, t).await?;
            // A payout to an address of ours is a payment like any other's.
            books_receipt = own.as_ref().is_some_and(|own| own.kind == "payout");
            match own {
                Some(own) if succeeded => self.confirm_own(tx, work, &own, t, gone).await?,
                Some(own) => self.fail_own(tx, work, &own, t, gone).await?,
                None => {
                    let stays = if to.is_some() { moved } else { U256::ZERO };
                    self.book_foreign(tx, work, t, gone.saturating_sub(stays)).await?;
                }
            }
        }
        if let Some((address, key)) = to.filter(|_| !moved.is_zero()) {
            self.hold(tx, work, address, moved, U256::ZERO).await?;
            if books_receipt {
                self.book_arrival(tx, work, t, key, moved).await?;
            }
        }
        Ok(())
    }

    /// Changes what an address of ours holds, remembering what it was before the block; gives what
    /// was taken, which is less than asked only where money had come that nobody saw.
    async fn hold(
        &self,
        tx: &mut Tx,
        work: &Work<'_>,
        address: EthAddress,
        more: U256,
        less: U256,
    ) -> Result<U256> {
        let (asset, height) = (work.standing.asset, work.standing.height);
        let row = tx.fetch_optional(sql::HOLDS, &params![asset, address.0]).await?;
        let before: Option<[u8; 32]> = row.map(|r| r.get("wei")).transpose()?;
        let before = before.map(U256::from_be_bytes).unwrap_or_default();
        let (keychain, index) =
            work.ours.get(&address).copied().ok_or(TreasuryError::Damaged("not our address"))?;
        // Of several in one block the first counts.
        let values = params![asset, height, address.0, stored(&before)];
        tx.execute(sql::INSERT_UNDO, &values).await?;
        let taken = less.min(before);
        let now = before.saturating_sub(taken).saturating_add(more);
        let values = params![asset, address.0, keychain.number(), index, stored(&now)];
        tx.execute(sql::SET_HOLDS, &values).await?;
        Ok(taken)
    }

    /// The transaction of ours that a block's is a form of: by its hash; else by its nonce, when it pays the
    /// same recipient what ours may have paid. Such a form was signed by a life of the house that these
    /// tables have forgotten.
    async fn form_of(
        &self,
        tx: &mut Tx,
        work: &Work<'_>,
        t: &EthTransaction,
    ) -> Result<Option<OwnTx>> {
        let key = params![work.standing.asset, internal(t.hash)];
        if let Some(row) = tx.fetch_optional(sql::FORM_BY_TXID, &key).await? {
            return own_tx(tx, row.get("batch")?).await.map(Some);
        }
        let key = params![work.standing.asset, t.from.0, t.nonce];
        let Some(row) = tx.fetch_optional(sql::TX_OF_NONCE, &key).await? else { return Ok(None) };
        let own = own_tx(tx, row.get("batch")?).await?;
        let is_open = matches!(own.state.as_str(), "funded" | "signed" | "broadcast");
        let value = wei::split(t.value).map(|(minor, _)| minor);
        let (true, true, Some(value)) = (is_open, t.to == Some(own.recipient), value) else {
            return Ok(None);
        };
        let payout = tx.fetch_optional(sql::PAYOUT_OF, &params![own.batch]).await?;
        let may_be = match payout {
            Some(row) => {
                let (amount, fee_max): (i64, i64) = (row.get("amount")?, row.get("fee_max")?);
                (amount - fee_max..=amount).contains(&value)
            }
            None => own.kind != "cold" || t.value == own.wei(),
        };
        if !may_be {
            return Ok(None);
        }
        let price = t.gas_price.and_then(wei::split).map_or(0, |(gwei, _)| gwei);
        let (asset, now) = (work.standing.asset, work.standing.now);
        let values = params![asset, internal(t.hash), own.batch, price, stored(&t.value), now];
        tx.execute(sql::INSERT_FORM, &values).await?;
        Ok(Some(own))
    }

    async fn confirm_own(
        &self,
        tx: &mut Tx,
        work: &mut Work<'_>,
        own: &OwnTx,
        t: &EthTransaction,
        gone: U256,
    ) -> Result<()> {
        let minor = self.take_minor(work, gone)?;
        let moved_minor = wei::split(t.value).map_or(0, |(minor, _)| minor);
        let payout = tx.fetch_optional(sql::PAYOUT_OF, &params![own.batch]).await?;
        let (fee, operator) = match payout {
            // What left is the payout's amount; above it the operator paid for a higher price.
            Some(row) => {
                let (amount, fee_max): (i64, i64) = (row.get("amount")?, row.get("fee_max")?);
                let fee = minor.saturating_sub(moved_minor);
                tx.execute(sql::SET_PAYOUT_FEE, &params![own.batch, fee.min(fee_max)]).await?;
                (fee, minor.saturating_sub(amount))
            }
            // Moved between addresses of ours: only the fee has gone.
            None => {
                let fee = minor.saturating_sub(moved_minor);
                (fee, fee)
            }
        };
        if operator < 0 {
            return Err(TreasuryError::Damaged("a payout of ours cost less than it was made to"));
        }
        if own.kind == "sweep" {
            // What was moved has only changed its address; its wei below stay with us.
            work.below += below(t.value);
        }
        tx.execute(sql::SET_FEES, &params![own.batch, fee, operator]).await?;
        // Read again: what the block says of its fees counts.
        let batch = batch_row(tx, own.batch).await?;
        let confirmed = self.confirm_batch(tx, work.standing, &batch, internal(t.hash)).await?;
        work.payouts.extend(confirmed);
        Ok(())
    }

    /// A transaction of ours that stands in the chain and did nothing there: its fee is gone, its
    /// nonce is used. What it was to pay waits until that is final.
    async fn fail_own(
        &self,
        tx: &mut Tx,
        work: &mut Work<'_>,
        own: &OwnTx,
        t: &EthTransaction,
        gone: U256,
    ) -> Result<()> {
        let minor = self.take_minor(work, gone)?;
        tracing::error!(
            asset = %work.standing.asset, txid = %hex::encode(t.hash),
            "a transaction of ours failed in a block: its recipient is a contract that refuses \
             plain transfers"
        );
        let values = params![own.batch, work.standing.height, internal(t.hash)];
        if tx.execute(sql::FAIL_TX, &values).await? != 1 {
            return Err(TreasuryError::Damaged("a transaction of ours failed twice"));
        }
        let reason =
            "it failed on the chain: the address is a contract that refuses plain payments";
        if let Some(row) = tx.fetch_optional(sql::PAYOUT_OF, &params![own.batch]).await? {
            let id: PayoutId = row.get("id")?;
            tx.execute(crate::sql::SET_PAYOUT_REASON, &params![id, reason]).await?;
        }
        self.book_cost(tx, work, t, minor, None).await
    }

    /// Something spent with our keys outside this house: the books follow the chain, as a loss.
    async fn book_foreign(
        &self,
        tx: &mut Tx,
        work: &mut Work<'_>,
        t: &EthTransaction,
        gone: U256,
    ) -> Result<()> {
        let minor = self.take_minor(work, gone)?;
        let asset = work.standing.asset;
        tracing::error!(
            %asset, txid = %hex::encode(t.hash), nonce = t.nonce,
            "an address of ours was spent from with our keys, and nothing in the house's tables explains it: \
             payouts wait until somebody has looked"
        );
        let key = params![asset, t.from.0];
        let row = tx.fetch_optional(sql::NONCE, &key).await?;
        let next: u64 = row.map(|r| r.get("next_nonce")).transpose()?.unwrap_or(0);
        let after = next.max(t.nonce.saturating_add(1));
        tx.execute(sql::SET_NONCE, &params![asset, t.from.0, after]).await?;
        tx.execute(sql::DELETE_HOLE, &params![asset, t.from.0, t.nonce]).await?;
        let key = params![asset, t.from.0, t.nonce];
        if let Some(row) = tx.fetch_optional(sql::TX_OF_NONCE, &key).await? {
            let batch: [u8; 16] = row.get("batch")?;
            let values = params![batch, work.standing.height];
            tx.execute(crate::sql::BATCH_CONFLICT, &values).await?;
        }
        // Between addresses of ours nobody was paid.
        if !t.to.is_some_and(|to| work.ours.contains_key(&to)) {
            let (height, now) = (work.standing.height, work.standing.now);
            let form = super::explain::form_of(t, minor);
            let values = params![asset, internal(t.hash), height, minor, form, now];
            tx.execute(crate::sql::INSERT_STRANGER, &values).await?;
            if work.wallet.catching_up_since().is_some() {
                self.pass_over_forgotten(tx, asset, None).await?;
            }
        }
        self.book_cost(tx, work, t, minor, Some((t.from, t.nonce))).await
    }

    async fn book_cost(
        &self,
        tx: &mut Tx,
        work: &Work<'_>,
        t: &EthTransaction,
        minor: i64,
        foreign: Option<(EthAddress, u64)>,
    ) -> Result<()> {
        let (standing, txid) = (work.standing, internal(t.hash));
        let sender = foreign.map(|(sender, _)| sender.0.to_vec());
        let nonce = foreign.map(|(_, nonce)| nonce);
        let values = params![standing.asset, standing.height, txid, minor, sender, nonce];
        tx.execute(sql::INSERT_COST, &values).await?;
        if minor == 0 {
            return Ok(());
        }
        Draft::new(standing.asset)
            .debit(cost_account(foreign.is_some()), minor)
            .credit(Account::ChainHot, minor)
            .post(tx, "treasury-cost", standing.output_reason("cost", &txid, 0), standing.now)
            .await
    }

    async fn book_arrival(
        &self,
        tx: &mut Tx,
        work: &mut Work<'_>,
        t: &EthTransaction,
        (keychain, index): (Keychain, u32),
        value: U256,
    ) -> Result<()> {
        let (minor, rest) =
            wei::split(value).ok_or(TreasuryError::Damaged("more coins than there can be"))?;
        work.below += i128::from(rest);
        if minor == 0 {
            return Ok(());
        }
        let output = OurOutput { tx_at: 0, vout: 0, value: minor, keychain, index };
        let (wallet, height) = (work.wallet, work.standing.height);
        let steps = (wallet.asset, wallet.depths.as_slice());
        let ripe = wallet.ripe_height(height);
        let ripe = self.ripe_by_amount(tx, steps, height, &output, ripe).await?;
        let txid = internal(t.hash);
        let invoice = self.book_receipt(tx, work.standing, &txid, &output, ripe).await?;
        work.touched.extend(invoice);
        Ok(())
    }

    /// Whole minor units of wei that have gone; those below are counted.
    fn take_minor(&self, work: &mut Work<'_>, gone: U256) -> Result<i64> {
        let (minor, rest) =
            wei::split(gone).ok_or(TreasuryError::Damaged("more coins than there can be"))?;
        work.below -= i128::from(rest);
        Ok(minor)
    }

    /// Brings the count of wei below a minor unit up to date; whole ones go to the remainder.
    async fn carry(&self, tx: &mut Tx, standing: &Standing, more: i128) -> Result<()> {
        if more == 0 {
            return Ok(());
        }
        let row = tx.fetch_optional(sql::BELOW, &params![standing.asset]).await?;
        let before: i64 = row.map(|r| r.get("wei_below")).transpose()?.unwrap_or(0);
        let unit = i128::from(wei::GWEI);
        let sum = i128::from(before) + more;
        let too_many = |_| TreasuryError::Damaged("more wei than there can be");
        let carried = i64::try_from(sum.div_euclid(unit)).map_err(too_many)?;
        let after = i64::try_from(sum.rem_euclid(unit)).map_err(too_many)?;
        tx.execute(sql::SET_BELOW, &params![standing.asset, after]).await?;
        let values = params![standing.asset, standing.height, before, carried];
        tx.execute(sql::INSERT_CARRY, &values).await?;
        self.post_carry(tx, standing, carried, "carried").await
    }

    async fn post_carry(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        carried: i64,
        what: &'static str,
    ) -> Result<()> {
        let reason = standing.reason(what, "wei");
        let draft = Draft::new(standing.asset);
        let draft = if carried >= 0 {
            draft.debit(Account::ChainHot, carried).credit(Account::Remainder, carried)
        } else {
            let wanted = carried.saturating_neg();
            let has = at_most(tx, &Account::Remainder, standing.asset, wanted).await?;
            draft
                .debit(Account::Remainder, has)
                .debit(Account::Loss, wanted - has)
                .credit(Account::ChainHot, wanted)
        };
        if carried == 0 {
            Ok(())
        } else {
            draft.post(tx, "treasury-wei", reason, standing.now).await
        }
    }

    /// Takes the newest block back; see [`Treasury::disconnect_block`].
    pub(crate) async fn disconnect_account_block(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        standing: &Standing,
        block: &BlockRef,
    ) -> Result<DisconnectEffects> {
        let (asset, key) = (wallet.asset, params![wallet.asset, block.height]);
        let mut touched = BTreeSet::new();
        self.undo_credits(tx, standing, &mut touched).await?;
        let payouts = self.undo_spends(tx, standing).await?;
        for row in tx.fetch_all(sql::FAILED_AT, &key).await? {
            let batch: [u8; 16] = row.get("id")?;
            tx.execute(crate::sql::UNCONFIRM_BATCH, &params![batch]).await?;
        }
        for row in tx.fetch_all(sql::COSTS_AT, &key).await? {
            let (txid, minor): ([u8; 32], i64) = (row.get("txid")?, row.get("minor")?);
            let sender: Option<Vec<u8>> = row.get("sender")?;
            if let (Some(sender), Some(nonce)) = (&sender, row.get::<Option<u64>>("nonce")?) {
                // Free again until it comes back, unless a transaction of ours has it.
                let of = params![asset, sender.as_slice(), nonce];
                if tx.fetch_optional(sql::TX_OF_NONCE, &of).await?.is_none() {
                    tx.execute(sql::INSERT_HOLE, &of).await?;
                }
            }
            if minor > 0 {
                Draft::new(asset)
                    .debit(Account::ChainHot, minor)
                    .credit(cost_account(sender.is_some()), minor)
                    .post(
                        tx,
                        "treasury-cost-undone",
                        standing.output_reason("cost-undone", &txid, 0),
                        standing.now,
                    )
                    .await?;
            }
        }
        if let Some(row) = tx.fetch_optional(sql::CARRY_AT, &key).await? {
            let (before, carried): (i64, i64) = (row.get("below_before")?, row.get("carried")?);
            tx.execute(sql::SET_BELOW, &params![asset, before]).await?;
            self.post_carry(tx, standing, carried.saturating_neg(), "carried-undone").await?;
        }
        for row in tx.fetch_all(sql::RECEIPTS_AT, &key).await? {
            self.undo_receipt(tx, standing, &row, &mut touched).await?;
        }
        for row in tx.fetch_all(sql::UNDO_AT, &key).await? {
            let (address, wei): ([u8; 20], [u8; 32]) = (row.get("address")?, row.get("wei")?);
            tx.execute(sql::RESTORE_HOLDS, &params![asset, address, wei]).await?;
        }
        for delete in [sql::DELETE_UNDO_AT, sql::DELETE_CARRY_AT, sql::DELETE_COSTS_AT] {
            tx.execute(delete, &key).await?;
        }
        tx.execute(crate::sql::DELETE_BLOCK, &key).await?;
        for id in touched {
            self.refresh_invoice(tx, id, standing.now).await?;
        }
        Ok(DisconnectEffects { orphaned: Vec::new(), payouts })
    }

    /// What can never confirm any more: transactions whose nonce others used so deep in the chain
    /// that it will not be undone, and those that failed as deep. Payouts of the first kind are
    /// approved again; those of the second wait for a person.
    async fn void_dead_accounts(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        standing: &Standing,
    ) -> Result<()> {
        let Some(deep) = standing.height.checked_sub(wallet.reorg_limit) else { return Ok(()) };
        let key = params![standing.asset, deep];
        for row in tx.fetch_all(crate::sql::DEAD_BATCHES, &key).await? {
            self.void_batch(tx, standing.asset, row.get("id")?, standing.now).await?;
        }
        for row in tx.fetch_all(sql::DEAD_FAILED, &key).await? {
            self.return_failed(tx, standing, row.get("id")?).await?;
        }
        Ok(())
    }
}

/// Where what a block took from us beside payouts is booked.
pub(super) fn cost_account(is_foreign: bool) -> Account {
    if is_foreign { Account::Loss } else { Account::NetworkFees }
}

/// Wei of an amount below a whole minor unit.
fn below(amount: U256) -> i128 {
    let (_, rest) = amount.div_rem(U256::from(wei::GWEI));
    i128::try_from(rest).unwrap_or(0)
}
