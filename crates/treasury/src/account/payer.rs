//! What the payer does on an account chain: the same as on the others, and sweeps, and higher prices.

use super::plan::{Counts, Plan};
use super::sql;
use super::transfer_fee;
use super::wallet::{AccountWallet, HOT, stored, to_wei};
use crate::blocks::newest;
use crate::keys::Keychain;
use crate::moves::{is_under_way, pending};
use crate::payer::OPEN_MAX;
use crate::strangers::is_locked;
use crate::{Payer, PayerProgress, Result, Treasury, TreasuryError};
use gruve_chain::BlockRef;
use gruve_chain::eth::{AccountAt, EthAddress, internal};
use gruve_store::{params, transact};
use gruve_units::PayoutId;
use ruint::aliases::U256;
use std::sync::atomic::Ordering;

/// Addresses swept in one step at most; the next step sweeps the next.
const SWEEPS_MAX: u32 = 20;

/// Sweeps under way at most: half of what is looked at, so that payouts always have their place.
const SWEEPS_OPEN_MAX: usize = OPEN_MAX as usize / 2;

impl Payer {
    pub(crate) async fn step_account(
        &self,
        wallet: &AccountWallet,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        wallet.check_chain().await?;
        if wallet.began.get().is_none() {
            // Before customers of this life ask for anything, whether the chain can be followed yet or not.
            let mut tx = self.treasury.0.store.read().await?;
            self.treasury.note_begin(&mut tx, wallet.asset, &wallet.began).await?;
        }
        // Sending what is signed does not wait for anything that follows and may fail.
        let sent = self.send_accounts(wallet, progress).await;
        if let Err(e @ TreasuryError::BrokenOff(_)) = sent {
            return Err(e);
        }
        if self.treasury.holds_payouts(wallet.asset) {
            return sent;
        }
        // Locked or not: the next block is not one of those that were there before.
        if !wallet.is_followed.load(Ordering::Relaxed) {
            if !self.account_caught_up(wallet).await? {
                return sent;
            }
            wallet.is_followed.store(true, Ordering::Relaxed);
        }
        if self.is_account_locked(wallet).await? {
            return sent;
        }
        self.sign_accounts(wallet, progress).await?;
        let price = wallet.price().await?;
        self.treasury.passing("fee estimate answered")?;
        self.bump_accounts(wallet, price, progress).await?;
        self.plan_payouts(wallet, price).await?;
        self.fill_hole(wallet, price).await?;
        self.plan_sweeps(wallet, price).await?;
        self.plan_cold(wallet, price).await?;
        self.sign_accounts(wallet, progress).await?;
        self.send_accounts(wallet, progress).await?;
        if self.account_caught_up(wallet).await? {
            progress.expired += self.treasury.expire_invoices(wallet.asset).await?;
        }
        sent
    }

    async fn open_accounts(&self, wallet: &AccountWallet) -> Result<Vec<([u8; 16], String)>> {
        let mut tx = self.treasury.0.store.read().await?;
        let rows = tx.fetch_all(sql::OPEN_TXS, &params![wallet.asset, OPEN_MAX]).await?;
        rows.iter().map(|row| Ok((row.get("batch")?, row.get("state")?))).collect()
    }

    async fn sign_accounts(
        &self,
        wallet: &AccountWallet,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        for (batch, state) in self.open_accounts(wallet).await? {
            if state == "funded" {
                self.treasury.sign_account(wallet, batch).await?;
                progress.signed += 1;
            }
        }
        Ok(())
    }

    async fn bump_accounts(
        &self,
        wallet: &AccountWallet,
        price: i64,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        for (batch, state) in self.open_accounts(wallet).await? {
            if state != "funded" && self.treasury.bump_account(wallet, batch, price).await? {
                progress.signed += 1;
                // Its new form goes out at once.
                self.sent.lock().await.remove(&batch);
            }
        }
        Ok(())
    }

    async fn on_chain(&self, wallet: &AccountWallet, sender: &EthAddress) -> Result<Counts> {
        let latest = wallet.node.transaction_count(sender, AccountAt::Latest).await?;
        let pending = wallet.node.transaction_count(sender, AccountAt::Pending).await?;
        Ok(Counts { latest, pending: pending.max(latest) })
    }

    async fn is_account_locked(&self, wallet: &AccountWallet) -> Result<bool> {
        let mut tx = self.treasury.0.store.read().await?;
        crate::strangers::is_locked(&mut tx, wallet.asset).await
    }

    /// Plans to move what is above the hot address's cap to the operator's cold one.
    async fn plan_cold(&self, wallet: &AccountWallet, price: i64) -> Result<()> {
        let Some(policy) = &wallet.cold else { return Ok(()) };
        let Ok(to) = policy.script.as_slice().try_into().map(EthAddress) else { return Ok(()) };
        let wanted = {
            let mut tx = self.treasury.0.store.read().await?;
            self.treasury.cold_amount(&mut tx, wallet, price).await?.is_some()
        };
        if !wanted {
            return Ok(());
        }
        let on_chain = self.on_chain(wallet, &wallet.hot).await?;
        let batch = PayoutId::new(self.treasury.now(), self.treasury.0.entropy.as_ref()).to_bytes();
        transact!(self.treasury.0.store, tx -> Result<()> => {
            let amount = self.treasury.cold_amount(tx, wallet, price).await?;
            let Some(amount) = amount else { return Ok(()) };
            let (sender, wei) = (wallet.hot, to_wei(amount));
            let plan = Plan { sender, key: HOT, kind: "cold", recipient: to, price, wei };
            self.treasury.store_account_plan(tx, wallet, batch, &plan, on_chain).await?;
            let values = params![batch, wallet.asset, "sweep", amount, &to.0[..]];
            tx.execute(crate::sql::INSERT_MOVE, &values).await?;
            self.treasury.passing("move planned, before commit")?;
            Ok(())
        })?;
        self.treasury.passing("move planned, after commit")
    }

    /// Plans payouts while there is room among what is under way.
    async fn plan_payouts(&self, wallet: &AccountWallet, price: i64) -> Result<()> {
        let (open, waiting) = {
            let mut tx = self.treasury.0.store.read().await?;
            let key = params![wallet.asset, wallet.hot.0];
            let open: u32 = tx.fetch_one(sql::COUNT_OPEN_OF, &key).await?.get("n")?;
            let ready = params![wallet.asset, self.treasury.now()];
            let any = tx.fetch_optional(crate::sql::ANY_APPROVED, &ready).await?;
            (open, any.is_some())
        };
        if !waiting {
            return Ok(());
        }
        let on_chain = self.on_chain(wallet, &wallet.hot).await?;
        for _ in open..wallet.policy.open_max {
            if self.treasury.fund_account(wallet, price, on_chain).await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure that no nonce behind a hole waits for ever.
    async fn fill_hole(&self, wallet: &AccountWallet, price: i64) -> Result<()> {
        let key = params![wallet.asset, wallet.hot.0];
        let hole = {
            let mut tx = self.treasury.0.store.read().await?;
            tx.fetch_optional(sql::LOWEST_HOLE, &key).await?
        };
        if hole.is_none() {
            return Ok(());
        }
        let on_chain = self.on_chain(wallet, &wallet.hot).await?;
        let batch = PayoutId::new(self.treasury.now(), self.treasury.0.entropy.as_ref()).to_bytes();
        transact!(self.treasury.0.store, tx -> Result<()> => {
            let row = tx.fetch_optional(sql::LOWEST_HOLE, &key).await?;
            let Some(hole) = row.map(|r| r.get::<u64>("nonce")).transpose()? else {
                return Ok(());
            };
            let next: u64 = tx.fetch_one(sql::NONCE, &key).await?.get("next_nonce")?;
            if hole < on_chain.latest || hole + 1 == next {
                // Used by others; or the last one given out: nothing waits behind it.
                let of = params![wallet.asset, wallet.hot.0, hole];
                tx.execute(sql::DELETE_HOLE, &of).await?;
                if hole >= on_chain.latest {
                    tx.execute(sql::SET_NONCE, &of).await?;
                }
                return Ok(());
            }
            if self.treasury.hot_free(tx, wallet).await? < transfer_fee(price) {
                return Ok(());
            }
            let (sender, recipient, wei) = (wallet.hot, wallet.hot, U256::ZERO);
            let plan = Plan { sender, key: HOT, kind: "filler", recipient, price, wei };
            self.treasury.store_account_plan(tx, wallet, batch, &plan, on_chain).await?;
            self.treasury.passing("hole filled, before commit")?;
            Ok(())
        })
    }

    /// Plans to move what has come to addresses of invoices to the hot address.
    async fn plan_sweeps(&self, wallet: &AccountWallet, price: i64) -> Result<()> {
        if self.open_accounts(wallet).await?.len() >= SWEEPS_OPEN_MAX {
            return Ok(());
        }
        let fee = transfer_fee(price);
        let least = to_wei(fee.saturating_mul(wallet.policy.sweep_at_fees.max(2)));
        let rows = {
            let mut tx = self.treasury.0.store.read().await?;
            let Some((top, _)) = newest(&mut tx, wallet.asset).await? else { return Ok(()) };
            let keychain = Keychain::PayIn.number();
            let (least, top) = (stored(&least), top.height);
            let values = params![wallet.asset, keychain, least, top, SWEEPS_MAX];
            tx.fetch_all(sql::SWEEPABLE, &values).await?
        };
        for row in rows {
            let (sender, index) = (EthAddress(row.get("address")?), row.get::<u32>("key_index")?);
            let on_chain = self.on_chain(wallet, &sender).await?;
            self.treasury.plan_sweep(wallet, price, (sender, index), on_chain).await?;
        }
        Ok(())
    }

    async fn send_accounts(
        &self,
        wallet: &AccountWallet,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        for (batch, state) in self.open_accounts(wallet).await? {
            if state == "funded" || !self.is_due(&batch).await {
                continue;
            }
            let bytes = {
                let mut tx = self.treasury.0.store.read().await?;
                crate::spends::batch_row(&mut tx, batch).await?.signed_tx
            };
            // One that was found in the chain has none: whoever made it sends it.
            let Some(bytes) = bytes else { continue };
            let now = self.treasury.now();
            self.treasury.passing("before sending")?;
            let outcome = wallet.node.send_transaction(&bytes).await?;
            self.treasury.passing("sent, before it is noted")?;
            self.note_sending(wallet.asset, batch, &outcome, progress).await?;
            self.sent.lock().await.insert(batch, now);
        }
        Ok(())
    }

    /// Whether the newest block connected is the node's best.
    async fn account_caught_up(&self, wallet: &AccountWallet) -> Result<bool> {
        let height = wallet.node.height().await?;
        let Some(hash) = wallet.node.hash_at(height).await? else { return Ok(false) };
        let tip = BlockRef { height, hash: internal(hash) };
        let mut tx = self.treasury.0.store.read().await?;
        Ok(newest(&mut tx, wallet.asset).await?.is_some_and(|(top, _)| top == tip))
    }
}

impl Treasury {
    /// What is to be moved to the cold address now, minor units.
    async fn cold_amount(
        &self,
        tx: &mut gruve_store::Tx,
        wallet: &AccountWallet,
        price: i64,
    ) -> Result<Option<i64>> {
        let Some(policy) = &wallet.cold else { return Ok(None) };
        if is_locked(tx, wallet.asset).await? || is_under_way(tx, wallet.asset, "sweep").await? {
            return Ok(None);
        }
        let (free, waiting) = (self.hot_free(tx, wallet).await?, pending(tx, wallet.asset).await?);
        let surplus = policy.surplus(free, waiting);
        Ok(surplus.map(|s| s - transfer_fee(price)).filter(|a| *a >= wallet.policy.least))
    }

    async fn plan_sweep(
        &self,
        wallet: &AccountWallet,
        price: i64,
        (sender, index): (EthAddress, u32),
        on_chain: Counts,
    ) -> Result<()> {
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        transact!(self.0.store, tx -> Result<()> => {
            let key = params![wallet.asset, sender.0];
            if tx.fetch_one(sql::COUNT_OPEN_OF, &key).await?.get::<u32>("n")? > 0 {
                return Ok(());
            }
            let holds: [u8; 32] = tx.fetch_one(sql::HOLDS, &key).await?.get("wei")?;
            // Its fee is taken from what it moves.
            let fee = to_wei(transfer_fee(price));
            let Some(wei) = U256::from_be_bytes(holds).checked_sub(fee) else { return Ok(()) };
            let key = (Keychain::PayIn, index);
            let plan = Plan { sender, key, kind: "sweep", recipient: wallet.hot, price, wei };
            self.store_account_plan(tx, wallet, batch, &plan, on_chain).await?;
            self.passing("sweep planned, before commit")?;
            Ok(())
        })?;
        self.passing("sweep planned, after commit")
    }
}
