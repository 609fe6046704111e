//! What customers and the operator ask of payouts.

use crate::account::{AccountWallet, transfer_fee};
use crate::books::Draft;
use crate::select::output_weight;
use crate::spends::payouts_of;
use crate::sql;
use crate::strangers::{is_locked, is_paid_unseen};
use crate::treasury::Wallet;
use crate::{
    Approval, Keychain, NewPayout, Payout, PayoutQuote, PayoutState, PayoutTerms, PlacedPayout,
    Rate, Result, Treasury, TreasuryError,
};
use bdk_coin_select::{TX_FIXED_FIELD_WEIGHT, TXIN_BASE_WEIGHT};
use gruve_chain::eth::EthAddress;
use gruve_chain::{hash_to_text, script_for_address};
use gruve_ledger::Account;
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, PayoutId, Timestamp};

/// Payouts one list shows at most.
const LIST_MAX: u32 = 200;

/// Bytes of a [`NewPayout::request_key`] at most: room for two UUIDs.
pub const REQUEST_KEY_BYTES_MAX: usize = 80;

/// The fee quoted is this many times what a usual payment costs now, as the network may ask more
/// by the time the payout's turn comes.
const HEADROOM: i64 = 2;

impl PayoutTerms {
    /// Refused where after the fee less than `dust` would be left of the amount.
    fn leaving_at_least(self, dust: i64, amount: Amount) -> Result<PayoutTerms> {
        let least = self.fee_max.saturating_add(dust);
        if amount.minor >= least {
            return Ok(self);
        }
        let minor = |m| Amount::new(amount.asset, m);
        let (fee_max, dust, least) = (minor(self.fee_max), minor(dust), minor(least));
        Err(TreasuryError::TooSmall { amount, fee_max, dust, least })
    }
}

/// On an account chain the rate is a price of gas, and every payout costs the same gas.
async fn account_terms(
    wallet: &AccountWallet,
    amount: Amount,
    address: &str,
) -> Result<PayoutTerms> {
    let to: EthAddress =
        address.parse().map_err(|why| TreasuryError::Account { asset: amount.asset, why })?;
    let price = wallet.price_or_fallback().await;
    let price_max = price.saturating_mul(HEADROOM).min(wallet.policy.price_max());
    let fee_max = transfer_fee(price_max);
    let terms = PayoutTerms { script: to.0.to_vec(), rate_max: Rate(price_max), fee_max };
    terms.leaving_at_least(wallet.policy.least, amount)
}

impl Treasury {
    /// What a payout would cost now.
    ///
    /// # Errors
    /// Those of [`Treasury::request_payout`], balance and limits apart.
    pub async fn quote_payout(&self, amount: Amount, address: &str) -> Result<PayoutQuote> {
        let terms = self.terms(amount, address).await?;
        let fee_max = Amount::new(amount.asset, terms.fee_max);
        Ok(PayoutQuote { amount, fee_max, receives_min: amount.checked_sub(fee_max)? })
    }

    /// Whether coins may be sent to an address: one of the coin and its network, and none that only the house itself
    /// pays to.
    ///
    /// # Errors
    /// [`TreasuryError::Address`], [`TreasuryError::OwnAddress`], [`TreasuryError::NoWallet`]; the database's.
    pub async fn may_go_to(&self, asset: Asset, address: &str) -> Result<()> {
        let terms = self.terms(Amount::new(asset, asset.unit()), address).await?;
        self.refuse_own_address(&mut self.0.store.read().await?, asset, &terms.script).await
    }

    async fn terms(&self, amount: Amount, address: &str) -> Result<PayoutTerms> {
        let asset = amount.asset;
        if amount.minor <= 0 {
            return Err(TreasuryError::NotPositive);
        }
        if let Ok(wallet) = self.account_wallet(asset) {
            return account_terms(wallet, amount, address).await;
        }
        let wallet = self.wallet(asset)?;
        let script = script_for_address(&wallet.params, address)
            .map_err(|why| TreasuryError::Address { asset, why })?;
        // A node that does not answer is no reason to turn a customer away: the fallback is used,
        // and the payout waits should the network ask for more.
        let estimate = match wallet.node.fee_rate(wallet.policy.target_blocks).await {
            Ok(estimate) => estimate.map(|r| Rate(r.minor_per_kvb)),
            Err(error) => {
                tracing::warn!(%asset, %error, "no fee estimate from the node");
                None
            }
        };
        let rate = wallet.policy.rate(estimate);
        let rate_max = Rate(rate.0.saturating_mul(HEADROOM)).min(wallet.policy.rate_ceiling);
        let fee_max = rate_max.fee(usual_weight(wallet, script.len()));
        let dust = wallet.policy.dust(&script);
        let terms = PayoutTerms { script, rate_max, fee_max };
        terms.leaving_at_least(dust, amount)
    }

    /// The payout that was requested before with this key, if any.
    ///
    /// # Errors
    /// [`TreasuryError::KeyReused`] where it was another; [`TreasuryError::KeyTooLong`]; the database's.
    pub async fn payout_asked(&self, new: &NewPayout) -> Result<Option<PayoutId>> {
        asked_before(&mut self.0.store.read().await?, new).await
    }

    /// Asks for a payout: the amount is held at once, so that it cannot be spent twice. Up to the
    /// operator's limit it is approved by itself.
    ///
    /// With a request key, asking again gives the same payout.
    ///
    /// # Errors
    /// [`TreasuryError::Address`], [`TreasuryError::OwnAddress`], [`TreasuryError::TooSmall`], [`TreasuryError::NotPositive`],
    /// [`TreasuryError::NoWallet`], [`TreasuryError::TooMany`], [`TreasuryError::KeyReused`],
    /// [`TreasuryError::KeyTooLong`], and the ledger's insufficient funds.
    pub async fn request_payout(&self, new: NewPayout) -> Result<PayoutId> {
        let terms = self.payout_terms(&new).await?;
        let placed = transact!(self.0.store, tx -> Result<PlacedPayout> => {
            self.place_payout(tx, &new, &terms, None).await
        })?;
        self.passing("payout requested, after commit")?;
        Ok(placed.id)
    }

    /// What a payout would cost now, to be placed by [`Treasury::place_payout`]: this asks a node, and belongs in no
    /// transaction.
    ///
    /// # Errors
    /// Those of [`Treasury::request_payout`], balance and limits apart.
    pub async fn payout_terms(&self, new: &NewPayout) -> Result<PayoutTerms> {
        bounded_key(new)?;
        self.terms(new.amount, &new.address).await
    }

    /// Asks for a payout within the caller's transaction. Until `held_until` it is not paid, approved or not, and its
    /// account may take it back; whether it must wait, the caller judges.
    ///
    /// # Errors
    /// Those of [`Treasury::request_payout`].
    pub async fn place_payout(
        &self,
        tx: &mut Tx,
        new: &NewPayout,
        terms: &PayoutTerms,
        held_until: Option<Timestamp>,
    ) -> Result<PlacedPayout> {
        let (asset, account) = (new.amount.asset, new.account);
        if let Some(id) = asked_before(tx, new).await? {
            return Ok(PlacedPayout { id, before: true });
        }
        let row = tx.fetch_one(sql::COUNT_OPEN_PAYOUTS, &params![account]).await?;
        let limit = self.0.open_payouts_max;
        if row.get::<i64>("n")? >= i64::from(limit) {
            return Err(TreasuryError::TooMany { what: "payouts", limit });
        }
        self.refuse_if_disputed(tx, account).await?;
        self.refuse_own_address(tx, asset, &terms.script).await?;
        let auto_approve_max = match self.account_wallet(asset) {
            Ok(wallet) => wallet.policy.auto_approve_max,
            Err(_) => self.wallet(asset)?.policy.auto_approve_max,
        };
        let above = self.above_limits(tx, account, new.amount).await?;
        let state = if above.is_none() && new.amount.minor <= auto_approve_max {
            PayoutState::Approved
        } else {
            PayoutState::Requested
        };
        let now = self.now();
        let id = PayoutId::new(now, self.0.entropy.as_ref());
        let values = params![
            id,
            account,
            asset,
            new.amount.minor,
            new.address.as_str(),
            terms.script.as_slice(),
            terms.rate_max.0,
            terms.fee_max,
            state.word(),
            new.request_key.as_deref(),
            now,
            above,
            if Treasury::takes_two(above) { 2_i64 } else { 1_i64 },
            held_until
        ];
        tx.execute(sql::INSERT_PAYOUT, &values).await?;
        Draft::new(asset)
            .debit(Account::CustomerAvailable(account), new.amount.minor)
            .credit(Account::CustomerHeld(account), new.amount.minor)
            .post(tx, "treasury-payout-held", format!("treasury:payout-held:{id}"), now)
            .await?;
        self.passing("payout requested, before commit")?;
        Ok(PlacedPayout { id, before: false })
    }

    /// Whether coins of an account have left for an address before, written in the same way.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_paid_to(
        &self,
        account: AccountId,
        asset: Asset,
        address: &str,
    ) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        Ok(tx.fetch_optional(sql::PAID_TO, &params![account, asset, address]).await?.is_some())
    }

    /// Refuses to pay to addresses that only the house itself pays to. (One of an invoice is its customer's to be
    /// paid at.) What comes to a change address from a transaction of ours is our change, and nobody else's.
    async fn refuse_own_address(&self, tx: &mut Tx, asset: Asset, script: &[u8]) -> Result<()> {
        let is_fixed = match self.account_wallet(asset) {
            Ok(wallet) => wallet.hot.0[..] == *script,
            Err(_) => self.wallet(asset)?.fixed.iter().any(|(_, fixed)| fixed == script),
        };
        let row = tx.fetch_optional(sql::OWN_ADDRESS, &params![asset, script]).await?;
        let keychain: Option<i64> = row.map(|r| r.get("keychain")).transpose()?;
        let pays_in = i64::from(Keychain::PayIn.number());
        if is_fixed || keychain.is_some_and(|k| k != pays_in) {
            return Err(TreasuryError::OwnAddress);
        }
        Ok(())
    }

    /// An account's payouts, newest first, 200 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts(&self, account: AccountId) -> Result<Vec<Payout>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::PAYOUTS_OF, &params![account, LIST_MAX]).await?;
        rows.iter().map(read_payout).collect()
    }

    /// A page of an account's payouts: those asked for before one of them, the newest first by their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts_before(
        &self,
        account: AccountId,
        before: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<Payout>> {
        let before = before.unwrap_or(PayoutId::from_bytes([0xff; 16]));
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::PAYOUTS_BEFORE, &params![account, before, limit]).await?;
        rows.iter().map(read_payout).collect()
    }

    /// One payout. Whose it is, the caller checks.
    ///
    /// # Errors
    /// The database's.
    pub async fn payout(&self, id: PayoutId) -> Result<Option<Payout>> {
        let mut tx = self.0.store.read().await?;
        let row = tx.fetch_optional(sql::PAYOUT, &params![id]).await?;
        row.map(|r| read_payout(&r)).transpose()
    }

    /// Payouts in a state, oldest first, 200 at most: the operator's list of what waits.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts_in_state(&self, state: PayoutState) -> Result<Vec<Payout>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::PAYOUTS_IN_STATE, &params![state.word(), LIST_MAX]).await?;
        rows.iter().map(read_payout).collect()
    }

    /// Takes a payout of the account's back, if nothing is signed yet.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayout`], [`TreasuryError::TooLate`].
    pub async fn cancel_payout(&self, account: AccountId, id: PayoutId) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let payout = payout_row(tx, id).await?.filter(|p| p.0.account == account);
            let (payout, batch) = payout.ok_or(TreasuryError::NoPayout)?;
            if payout.state == PayoutState::Cancelled {
                return Ok(());
            }
            if is_locked(tx, payout.amount.asset).await? || is_paid_unseen(tx, id).await? {
                // It may have been paid in a life that these tables do not know: cancelled, it could be asked for anew.
                return Err(TreasuryError::TooLate { state: payout.state, wanted: "cancelled" });
            }
            self.revoke(tx, &payout, batch, PayoutState::Cancelled, "cancelled", None).await?;
            self.passing("payout cancelled, before commit")
        })?;
        self.passing("payout cancelled, after commit")
    }

    /// Takes all payouts of an account back that are held; how many. There are never more than may be open. While
    /// payouts of a coin wait for a person those of it stay.
    ///
    /// # Errors
    /// The database's.
    pub async fn cancel_held_payouts(&self, account: AccountId) -> Result<u32> {
        let ids: Vec<PayoutId> = {
            let mut tx = self.0.store.read().await?;
            let rows = tx.fetch_all(sql::HELD_PAYOUTS, &params![account, self.now()]).await?;
            rows.iter().map(|row| Ok(row.get("id")?)).collect::<Result<_>>()?
        };
        let mut cancelled = 0;
        for id in ids {
            match self.cancel_payout(account, id).await {
                Ok(()) => cancelled += 1,
                Err(TreasuryError::TooLate { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(cancelled)
    }

    /// Refuses a payout for a reason the customer is told, if nothing is signed yet.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayout`], [`TreasuryError::TooLate`].
    pub async fn refuse_payout(&self, id: PayoutId, reason: &str) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let (payout, batch) = payout_row(tx, id).await?.ok_or(TreasuryError::NoPayout)?;
            if payout.state == PayoutState::Refused {
                return Ok(());
            }
            self.revoke(tx, &payout, batch, PayoutState::Refused, "refused", Some(reason)).await?;
            self.passing("payout refused, before commit")
        })?;
        self.passing("payout refused, after commit")
    }

    /// One person's approval of a payout that waits for it; `approver` is a name that is the same
    /// whenever it is the same person. Above the operator's limit it takes two.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayout`], [`TreasuryError::TooLate`] when it was cancelled or refused,
    /// [`TreasuryError::Disputed`].
    pub async fn approve_payout(&self, id: PayoutId, approver: &str) -> Result<Approval> {
        let approval = transact!(self.0.store, tx -> Result<Approval> => {
            let (payout, _) = payout_row(tx, id).await?.ok_or(TreasuryError::NoPayout)?;
            match payout.state {
                PayoutState::Requested => {
                    let approval = self.approved_by(tx, &payout, approver).await?;
                    if approval == Approval::Given {
                        let state = PayoutState::Approved.word();
                        let values = params![id, state, None::<String>, self.now()];
                        tx.execute(sql::SET_PAYOUT_STATE, &values).await?;
                    }
                    self.passing("payout approved, before commit")?;
                    Ok(approval)
                }
                state @ (PayoutState::Cancelled | PayoutState::Refused) => {
                    Err(TreasuryError::TooLate { state, wanted: "approved" })
                }
                _ => Ok(Approval::Given),
            }
        })?;
        self.passing("payout approved, after commit")?;
        Ok(approval)
    }

    /// Ends a payout that is not signed and makes its amount available again. If its transaction
    /// was planned already, that is taken apart, and the others in it wait for the next.
    pub(crate) async fn revoke(
        &self,
        tx: &mut Tx,
        payout: &Payout,
        batch: Option<[u8; 16]>,
        end: PayoutState,
        wanted: &'static str,
        reason: Option<&str>,
    ) -> Result<()> {
        if !payout.state.is_revocable() {
            return Err(TreasuryError::TooLate { state: payout.state, wanted });
        }
        let now = self.now();
        if let (PayoutState::Funded, Some(batch)) = (payout.state, batch) {
            self.give_up_nonce(tx, payout.amount.asset, batch).await?;
            self.void_batch(tx, payout.amount.asset, batch, now).await?;
        }
        tx.execute(sql::SET_PAYOUT_STATE, &params![payout.id, end.word(), reason, now]).await?;
        Draft::new(payout.amount.asset)
            .debit(Account::CustomerHeld(payout.account), payout.amount.minor)
            .credit(Account::CustomerAvailable(payout.account), payout.amount.minor)
            .post(
                tx,
                "treasury-payout-returned",
                format!("treasury:payout-returned:{}", payout.id),
                now,
            )
            .await
    }

    /// Takes a planned transaction apart: its payouts are approved and held again, its coins free.
    pub(crate) async fn void_batch(
        &self,
        tx: &mut Tx,
        asset: Asset,
        batch: [u8; 16],
        now: Timestamp,
    ) -> Result<()> {
        if tx.execute(sql::VOID_BATCH, &params![batch]).await? != 1 {
            return Err(TreasuryError::Damaged("a transaction was taken apart twice"));
        }
        for payout in payouts_of(tx, batch).await? {
            Draft::new(asset)
                .debit(Account::PayoutsInFlight, payout.amount)
                .credit(Account::CustomerHeld(payout.account), payout.amount)
                .post(
                    tx,
                    "treasury-payout-unfunded",
                    format!("treasury:payout-unfunded:{}:{}", payout.id, payout.attempt),
                    now,
                )
                .await?;
        }
        let values = params![batch, "its coins changed; it will be sent with others", now];
        tx.execute(sql::UNFUND_PAYOUTS, &values).await?;
        tx.execute(sql::RELEASE, &params![batch]).await?;
        Ok(())
    }
}

/// Weight of a payment as it usually is: two inputs, the payment and change.
fn usual_weight(wallet: &Wallet, script_len: usize) -> u64 {
    let input = TXIN_BASE_WEIGHT + wallet.keys.satisfaction_weight_max();
    let change = output_weight(wallet.fixed[0].1.len());
    // Counts of inputs and outputs, and the marker and flag of SegWit.
    TX_FIXED_FIELD_WEIGHT + 8 + 2 + 2 * input + output_weight(script_len) + change
}

/// The request's key, if it has one.
fn bounded_key(new: &NewPayout) -> Result<Option<&str>> {
    let key = new.request_key.as_deref();
    match key.map(str::len) {
        Some(bytes) if bytes > REQUEST_KEY_BYTES_MAX => Err(TreasuryError::KeyTooLong { bytes }),
        _ => Ok(key),
    }
}

async fn asked_before(tx: &mut Tx, new: &NewPayout) -> Result<Option<PayoutId>> {
    let Some(key) = bounded_key(new)? else { return Ok(None) };
    let Some(row) = tx.fetch_optional(sql::PAYOUT_BY_KEY, &params![new.account, key]).await? else {
        return Ok(None);
    };
    let amount = Amount::new(row.get("asset")?, row.get("amount")?);
    if amount != new.amount || row.get::<String>("address")? != new.address {
        return Err(TreasuryError::KeyReused);
    }
    Ok(Some(row.get("id")?))
}

async fn payout_row(tx: &mut Tx, id: PayoutId) -> Result<Option<(Payout, Option<[u8; 16]>)>> {
    let Some(row) = tx.fetch_optional(sql::PAYOUT, &params![id]).await? else { return Ok(None) };
    Ok(Some((read_payout(&row)?, row.get("batch")?)))
}

/// A transaction's id as its chain's explorers write it.
pub(crate) fn written_id(asset: Asset, txid: &[u8; 32]) -> String {
    let digits = hash_to_text(txid);
    if matches!(asset, Asset::Etc | Asset::Eth) { format!("0x{digits}") } else { digits }
}

pub(crate) fn read_payout(row: &Row) -> Result<Payout> {
    let asset: Asset = row.get("asset")?;
    let fee: Option<i64> = row.get("fee")?;
    let txid: Option<[u8; 32]> = row.get("txid")?;
    Ok(Payout {
        id: row.get("id")?,
        account: row.get("account")?,
        amount: Amount::new(asset, row.get("amount")?),
        fee_max: Amount::new(asset, row.get("fee_max")?),
        fee: fee.map(|f| Amount::new(asset, f)),
        address: row.get("address")?,
        state: row.get::<String>("state")?.parse()?,
        reason: row.get("reason")?,
        txid: txid.map(|t| written_id(asset, &t)),
        height: row.get("height")?,
        created: row.get("created_at")?,
        updated: row.get("updated_at")?,
        takes_two: row.get::<i64>("takes")? > 1,
        held_until: row.get("held_until")?,
    })
}
