//! Planning and signing transactions of our own: nonces, prices, forms.

use super::sql;
use super::transfer_fee;
use super::wallet::{AccountWallet, HOT, stored, to_wei};
use crate::blocks::Standing;
use crate::books::Draft;
use crate::funding::{is_disputed, tell_reasons};
use crate::keys::Keychain;
use crate::moves::promised;
use crate::spends::payouts_of;
use crate::strangers::is_locked;
use crate::{PayoutState, Result, Treasury, TreasuryError};
use gruve_chain::eth::{EthAddress, LegacyTx, internal, wei};
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Asset, PayoutId, Timestamp};
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Pages of payouts looked at for one to pay: each page is one whose address turned out bad.
const LOOKS_MAX: u32 = 20;

/// One transaction of ours, as stored.
pub(crate) struct OwnTx {
    pub(crate) batch: [u8; 16],
    pub(crate) sender: EthAddress,
    pub(crate) keychain: Keychain,
    pub(crate) index: u32,
    pub(crate) nonce: u64,
    pub(crate) kind: String,
    pub(crate) recipient: EthAddress,
    pub(crate) state: String,
    pub(crate) price: i64,
    /// What the network gets of it as it stands, minor units.
    fee: i64,
    wei: U256,
    /// What is signed, as planned.
    digest: Vec<u8>,
}

impl OwnTx {
    /// What it moves, as planned.
    pub(crate) const fn wei(&self) -> U256 {
        self.wei
    }
}

/// A transaction to be planned.
pub(crate) struct Plan {
    pub(crate) sender: EthAddress,
    pub(crate) key: (Keychain, u32),
    pub(crate) kind: &'static str,
    pub(crate) recipient: EthAddress,
    /// Gwei a unit of gas.
    pub(crate) price: i64,
    pub(crate) wei: U256,
}

pub(crate) async fn own_tx(tx: &mut Tx, batch: [u8; 16]) -> Result<OwnTx> {
    let row = tx.fetch_one(sql::TX, &params![batch]).await?;
    Ok(OwnTx {
        batch,
        sender: EthAddress(row.get("sender")?),
        keychain: Keychain::from_number(row.get("keychain")?)
            .ok_or(TreasuryError::Damaged("unknown keychain"))?,
        index: row.get("key_index")?,
        nonce: row.get("nonce")?,
        kind: row.get("kind")?,
        recipient: EthAddress(row.get("recipient")?),
        state: row.get("state")?,
        price: row.get("gas_price")?,
        fee: row.get("fee")?,
        wei: U256::from_be_bytes::<32>(row.get("wei")?),
        digest: row.get("unsigned_tx")?,
    })
}

/// How many transactions of an address the node counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// In blocks.
    pub(crate) latest: u64,
    /// With those that wait for one; no less.
    pub(crate) pending: u64,
}

/// The lowest nonce that nothing of ours has: a hole, or the next. `on_chain` is how many
/// transactions of the address the node counts.
async fn reserve_nonce(
    tx: &mut Tx,
    asset: Asset,
    sender: EthAddress,
    on_chain: Counts,
) -> Result<u64> {
    let Counts { latest: on_chain, pending } = on_chain;
    let key = params![asset, sender.0];
    let row = tx.fetch_optional(sql::NONCE, &key).await?;
    let Some(row) = row else {
        // The first of this database. What the address did in blocks is followed, or before our time; what
        // waits there now may be a payout that an older backup has forgotten.
        if pending > on_chain {
            let ours = on_chain;
            return Err(TreasuryError::Nonces { address: sender, on_chain: pending, ours });
        }
        tx.execute(sql::SET_NONCE, &params![asset, sender.0, on_chain + 1]).await?;
        return Ok(on_chain);
    };
    let next: u64 = row.get("next_nonce")?;
    // One that waits for a block and that we do not know is as good as in one.
    if next < pending {
        return Err(TreasuryError::Nonces { address: sender, on_chain: pending, ours: next });
    }
    while let Some(row) = tx.fetch_optional(sql::LOWEST_HOLE, &key).await? {
        let hole: u64 = row.get("nonce")?;
        tx.execute(sql::DELETE_HOLE, &params![asset, sender.0, hole]).await?;
        // One below is used by others, in a block that is still to be followed.
        if hole >= on_chain {
            return Ok(hole);
        }
    }
    tx.execute(sql::SET_NONCE, &params![asset, sender.0, next + 1]).await?;
    Ok(next)
}

/// Wei that the other transactions under way from the same address take at most, whichever of their
/// forms a block holds.
async fn others_take(tx: &mut Tx, wallet: &AccountWallet, own: &OwnTx) -> Result<U256> {
    let key = params![wallet.asset, own.sender.0, own.batch];
    let mut most = BTreeMap::<[u8; 16], U256>::new();
    for row in tx.fetch_all(sql::OTHERS_OPEN, &key).await? {
        let fee = to_wei(transfer_fee(row.get("gas_price")?));
        let takes = U256::from_be_bytes::<32>(row.get("wei")?).saturating_add(fee);
        let of = most.entry(row.get("batch")?).or_default();
        *of = takes.max(*of);
    }
    Ok(most.values().fold(U256::ZERO, |sum, takes| sum.saturating_add(*takes)))
}

impl Treasury {
    /// Stores a plan with a nonce of its own.
    pub(crate) async fn store_account_plan(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        batch: [u8; 16],
        plan: &Plan,
        on_chain: Counts,
    ) -> Result<()> {
        let (asset, now, fee) = (wallet.asset, self.now(), transfer_fee(plan.price));
        let nonce = reserve_nonce(tx, asset, plan.sender, on_chain).await?;
        let planned = LegacyTx::transfer(nonce, plan.recipient, plan.wei, to_wei(plan.price));
        let digest = planned.signing_hash(wallet.chain_id);
        // What the operator pays of the fee is known when it is in a block.
        let values = params![batch, asset, &digest[..], fee, 0_i64, now];
        tx.execute(crate::sql::INSERT_BATCH, &values).await?;
        let (keychain, index) = plan.key;
        let values = params![
            batch,
            asset,
            plan.sender.0,
            keychain.number(),
            index,
            nonce,
            plan.kind,
            plan.recipient.0,
            plan.price,
            stored(&plan.wei)
        ];
        tx.execute(sql::INSERT_TX, &values).await?;
        Ok(())
    }

    /// Signs a planned transaction and stores its bytes and hash.
    pub(crate) async fn sign_account(&self, wallet: &AccountWallet, batch: [u8; 16]) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let own = own_tx(tx, batch).await?;
            if own.state != "funded" || is_locked(tx, wallet.asset).await? {
                return Ok(());
            }
            if is_disputed(tx, batch).await? {
                self.give_up_nonce(tx, wallet.asset, batch).await?;
                return self.void_batch(tx, wallet.asset, batch, self.now()).await;
            }
            let form = LegacyTx::transfer(own.nonce, own.recipient, own.wei, to_wei(own.price));
            if form.signing_hash(wallet.chain_id)[..] != own.digest[..] {
                return Err(TreasuryError::Damaged("a planned transaction is another one now"));
            }
            let signed = wallet.keys.sign(own.keychain, own.index, form, wallet.chain_id)?;
            let txid = internal(signed.hash);
            let now = self.now();
            let values = params![wallet.asset, txid, batch, own.price, stored(&own.wei), now];
            tx.execute(sql::INSERT_FORM, &values).await?;
            let values = params![batch, signed.raw.as_slice(), txid];
            tx.execute(crate::sql::SIGN_BATCH, &values).await?;
            let values = params![batch, PayoutState::Signed.word(), now];
            tx.execute(crate::sql::SET_BATCH_PAYOUTS, &values).await?;
            self.passing("signed, before commit")?;
            Ok(())
        })?;
        self.passing("signed, after commit")
    }

    /// Signs a transaction that has waited too long once more, with the same nonce at a higher
    /// price; whether it did.
    pub(crate) async fn bump_account(
        &self,
        wallet: &AccountWallet,
        batch: [u8; 16],
        estimate: i64,
    ) -> Result<bool> {
        let bumped = transact!(self.0.store, tx -> Result<bool> => {
            let own = own_tx(tx, batch).await?;
            if own.state != "signed" && own.state != "broadcast" {
                return Ok(false);
            }
            let now = self.now();
            let row = tx.fetch_one(sql::NEWEST_FORM, &params![batch]).await?;
            let signed_at: Timestamp = row.get("signed_at")?;
            if now < signed_at || now.since(signed_at) < wallet.policy.bump_after {
                return Ok(false);
            }
            let Some(price) = wallet.policy.bumped(row.get("gas_price")?, estimate) else {
                return Ok(false);
            };
            let Some(value) = self.value_at(tx, wallet, &own, price).await? else {
                return Ok(false);
            };
            let form = LegacyTx::transfer(own.nonce, own.recipient, value, to_wei(price));
            let signed = wallet.keys.sign(own.keychain, own.index, form, wallet.chain_id)?;
            let txid = internal(signed.hash);
            let values = params![wallet.asset, txid, batch, price, stored(&value), now];
            tx.execute(sql::INSERT_FORM, &values).await?;
            let values = params![batch, signed.raw.as_slice(), txid, transfer_fee(price)];
            tx.execute(sql::SIGN_AGAIN, &values).await?;
            self.passing("signed again, before commit")?;
            Ok(true)
        })?;
        self.passing("signed again, after commit")?;
        Ok(bumped)
    }

    /// What a transaction of ours moves when it costs `price`; `None` when it cannot cost so much.
    async fn value_at(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        own: &OwnTx,
        price: i64,
    ) -> Result<Option<U256>> {
        let fee = transfer_fee(price);
        let Some(row) = tx.fetch_optional(sql::PAYOUT_OF, &params![own.batch]).await? else {
            let row = tx.fetch_optional(sql::HOLDS, &params![wallet.asset, own.sender.0]).await?;
            let holds: Option<[u8; 32]> = row.map(|r| r.get("wei")).transpose()?;
            let holds = holds.map(U256::from_be_bytes::<32>).unwrap_or_default();
            return if own.kind == "sweep" {
                // A reorganisation may have opened an earlier one of this address again: were all coins
                // moved by one nonce, none would be left for the other, and it would never end.
                let taken = others_take(tx, wallet, own).await?.saturating_add(to_wei(fee));
                Ok(holds.checked_sub(taken).filter(|left| !left.is_zero()))
            } else {
                // From the hot address: what is added is taken from nothing that payouts under way need.
                let free = self.hot_free(tx, wallet).await?;
                Ok((free >= fee.saturating_sub(own.fee)).then_some(own.wei))
            };
        };
        // The customer pays no more than was agreed; above it the operator does, if he can: nothing
        // behind this nonce moves before it does.
        let (amount, fee_max): (i64, i64) = (row.get("amount")?, row.get("fee_max")?);
        let above = |fee: i64| fee.saturating_sub(fee_max).max(0);
        // What it costs so far counts as under way already.
        let extra = above(fee) - above(own.fee);
        if extra > 0 && self.hot_free(tx, wallet).await? < extra {
            return Ok(None);
        }
        tx.execute(sql::SET_PAYOUT_FEE, &params![own.batch, fee.min(fee_max)]).await?;
        Ok(Some(to_wei(amount.saturating_sub(fee.min(fee_max)))))
    }

    /// What the hot address can pay with, minor units: what it holds, less what is not matured and
    /// what is under way; and no more than the books have and have not promised.
    pub(crate) async fn hot_free(&self, tx: &mut Tx, wallet: &AccountWallet) -> Result<i64> {
        let asset = wallet.asset;
        let row = tx.fetch_optional(sql::HOLDS, &params![asset, wallet.hot.0]).await?;
        let holds: Option<[u8; 32]> = row.map(|r| r.get("wei")).transpose()?;
        let holds = holds.map(U256::from_be_bytes::<32>).unwrap_or_default();
        let holds = wei::split(holds).map_or(i64::MAX, |(minor, _)| minor);
        let maturing = balance(tx, &Account::ChainMaturing, asset).await?.minor;
        let key = params![asset, wallet.hot.0];
        let open: i64 = tx.fetch_one(sql::COSTS_OF_OPEN, &key).await?.get("minor")?;
        let books = balance(tx, &Account::ChainHot, asset).await?.minor;
        let promised = promised(tx, asset).await?;
        let own = holds.saturating_sub(maturing).saturating_sub(open);
        Ok(own.min(books.saturating_sub(promised)))
    }

    /// Plans a transaction for the oldest approved payout that can be paid at `price`; gives its
    /// id.
    pub(crate) async fn fund_account(
        &self,
        wallet: &AccountWallet,
        price: i64,
        on_chain: Counts,
    ) -> Result<Option<[u8; 16]>> {
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        let funded = transact!(self.0.store, tx -> Result<bool> => {
            let funded = self.fund_account_in(tx, wallet, price, on_chain, batch).await?;
            self.passing("funded, before commit")?;
            Ok(funded)
        })?;
        self.passing("funded, after commit")?;
        Ok(funded.then_some(batch))
    }

    async fn fund_account_in(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        price: i64,
        on_chain: Counts,
        batch: [u8; 16],
    ) -> Result<bool> {
        let asset = wallet.asset;
        if is_locked(tx, asset).await? {
            return Ok(false);
        }
        let most = self.hot_free(tx, wallet).await?;
        let is_planned = self.plan_oldest(tx, wallet, (price, most, batch), on_chain).await?;
        if wallet.reasons.are_due(self.now()) || !is_planned {
            tell_reasons(tx, asset, (price, most), self.now()).await?;
        }
        Ok(is_planned)
    }

    /// Plans the oldest approved payout that can be paid.
    async fn plan_oldest(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        (price, most, batch): (i64, i64, [u8; 16]),
        on_chain: Counts,
    ) -> Result<bool> {
        let asset = wallet.asset;
        for _ in 0..LOOKS_MAX {
            let (since, last) = (Timestamp(i64::MIN), PayoutId::from_bytes([0; 16]));
            let values = params![asset, price, most, since, last, 1_u64, self.now()];
            let row = tx.fetch_optional(crate::sql::PAYABLE, &values).await?;
            let Some(row) = row else { return Ok(false) };
            let (id, account): (PayoutId, AccountId) = (row.get("id")?, row.get("account")?);
            let (amount, attempt): (i64, i64) = (row.get("amount")?, row.get("attempt")?);
            let script: Vec<u8> = row.get("script")?;
            // Checked when it was asked for; again now.
            let address: String = row.get("address")?;
            let to = address.parse::<EthAddress>().ok().filter(|to| to.0[..] == script[..]);
            let Some(recipient) = to else {
                self.refuse_unpayable(tx, asset, id, account, amount).await?;
                continue;
            };
            let fee = transfer_fee(price);
            let wei = to_wei(amount.saturating_sub(fee));
            let plan = Plan { sender: wallet.hot, key: HOT, kind: "payout", recipient, price, wei };
            self.store_account_plan(tx, wallet, batch, &plan, on_chain).await?;
            let now = self.now();
            let values = params![id, batch, fee, now];
            if tx.execute(crate::sql::FUND_PAYOUT, &values).await? != 1 {
                return Err(TreasuryError::Damaged("a payout was funded twice"));
            }
            let reason = format!("treasury:payout-funded:{id}:{attempt}");
            Draft::new(asset)
                .debit(Account::CustomerHeld(account), amount)
                .credit(Account::PayoutsInFlight, amount)
                .post(tx, "treasury-payout-funded", reason, now)
                .await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes a hole of the nonce of a transaction that nothing was signed for.
    pub(crate) async fn give_up_nonce(
        &self,
        tx: &mut Tx,
        asset: Asset,
        batch: [u8; 16],
    ) -> Result<()> {
        if self.account_wallet(asset).is_err() {
            return Ok(());
        }
        let own = own_tx(tx, batch).await?;
        if own.state != "funded" {
            return Err(TreasuryError::Damaged("a signed transaction was to be given up"));
        }
        tx.execute(sql::DELETE_TX, &params![batch]).await?;
        tx.execute(sql::INSERT_HOLE, &params![asset, own.sender.0, own.nonce]).await?;
        Ok(())
    }

    /// Gives a payout whose transaction failed for good back to a person: the recipient may be a
    /// contract that takes nothing, or the customer may have another address.
    pub(crate) async fn return_failed(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        batch: [u8; 16],
    ) -> Result<()> {
        if tx.execute(sql::VOID_FAILED, &params![batch]).await? != 1 {
            return Err(TreasuryError::Damaged("a failed transaction was given back twice"));
        }
        let payouts = payouts_of(tx, batch).await?;
        for payout in &payouts {
            let reason = format!("treasury:payout-unfunded:{}:{}", payout.id, payout.attempt);
            Draft::new(standing.asset)
                .debit(Account::PayoutsInFlight, payout.amount)
                .credit(Account::CustomerHeld(payout.account), payout.amount)
                .post(tx, "treasury-payout-unfunded", reason, standing.now)
                .await?;
        }
        let why = "it failed on the chain: the address is a contract that refuses plain payments; \
                   the operator decides";
        tx.execute(crate::sql::UNFUND_PAYOUTS, &params![batch, why, standing.now]).await?;
        for payout in payouts {
            let state = PayoutState::Requested.word();
            let values = params![payout.id, state, why, standing.now];
            tx.execute(crate::sql::SET_PAYOUT_STATE, &values).await?;
        }
        Ok(())
    }
}
