//! Choosing coins for approved payouts, and signing what was chosen: two transactions of their
//! own, so that a crash between them leaves a plan that is signed, or taken apart, later.

use crate::blocks::newest;
use crate::books::Draft;
use crate::keys::Keychain;
use crate::moves::{promised, reserve};
use crate::select::{Choice, Costs, INPUTS_MAX, Wish, choose};
use crate::spends::batch_row;
use crate::sql;
use crate::strangers::{is_locked, pays_unseen};
use crate::transaction::{self, Coin};
use crate::treasury::Wallet;
use crate::{PayoutState, Rate, Result, Treasury, TreasuryError};
use bitcoin::hashes::Hash;
use gruve_chain::script_for_address;
use gruve_ledger::{Account, balance};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Asset, Duration, PayoutId, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

/// Coins looked at for one transaction, the largest first. More would not be used: see
/// [`crate::select::INPUTS_MAX`].
const COINS_MAX: u32 = 500;

/// Pages of payouts looked at for one transaction. A page is passed over only when the coins, though
/// worth more than each of its payouts, pay for none with the fees: rare, so few pages are enough.
const PAGES_MAX: u32 = 20;

/// Payouts told in one step why they wait; the next step tells the next.
const REASONS_MAX: u32 = 500;

const WAITS_FOR_COINS: &str = "waits for coins of the hot wallet to confirm";
const WAITS_FOR_FEES: &str =
    "waits for network fees to fall to what was quoted; cancel it and ask again to pay more";
const BAD_ADDRESS: &str = "the address cannot be paid on this chain";

/// An approved payout, ready to be paid.
#[derive(Clone)]
struct Ready {
    id: PayoutId,
    account: AccountId,
    amount: i64,
    script: Vec<u8>,
    fee_max: i64,
    attempt: i64,
}

impl Ready {
    fn wish(&self) -> Wish {
        Wish { amount: self.amount, fee_max: self.fee_max, script_len: self.script.len() }
    }
}

impl Treasury {
    /// Plans one transaction for the payouts that are approved and can be paid at `rate`; gives
    /// its id.
    pub(crate) async fn fund(&self, wallet: &Wallet, rate: Rate) -> Result<Option<[u8; 16]>> {
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        let funded = transact!(self.0.store, tx -> Result<bool> => {
            let funded = self.fund_in(tx, wallet, rate, batch).await?;
            self.passing("funded, before commit")?;
            Ok(funded)
        })?;
        self.passing("funded, after commit")?;
        Ok(funded.then_some(batch))
    }

    async fn fund_in(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        rate: Rate,
        batch: [u8; 16],
    ) -> Result<bool> {
        let asset = wallet.asset();
        if is_locked(tx, asset).await? {
            return Ok(false);
        }
        let Some((top, _)) = newest(tx, asset).await? else { return Ok(false) };
        let rows = tx.fetch_all(sql::SPENDABLE, &params![asset, top.height, COINS_MAX]).await?;
        let coins: Vec<Coin> = rows.iter().map(read_coin).collect::<Result<_>>()?;
        let values: Vec<i64> = coins.iter().map(|c| c.value).collect();
        // What the books have ripened and not promised yet: a bound of its own, so that the hot
        // account can always bear a confirmation.
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        let promised = promised(tx, asset).await?;
        let change_len = wallet.fixed[0].1.clone();
        let costs = wallet.costs(rate, &change_len);
        let funds = Funds { values, free: hot - promised, costs };
        let most = funds.most();
        let planned = self.plan_page(tx, wallet, (rate, most, batch), &coins, &funds).await?;
        if wallet.reasons.are_due(self.now()) || planned != Planned::OfMany {
            tell_reasons(tx, asset, (rate.0, most), self.now()).await?;
        }
        Ok(planned != Planned::Nothing)
    }

    /// Plans one transaction for the oldest payouts that can be paid together.
    async fn plan_page(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        (rate, most, batch): (Rate, i64, [u8; 16]),
        coins: &[Coin],
        funds: &Funds,
    ) -> Result<Planned> {
        let asset = wallet.asset();
        let limit = wallet.policy.batch_max.clamp(1, 250);
        // The oldest first, page by page until one of a page can be paid.
        let (mut since, mut last) = (Timestamp(i64::MIN), PayoutId::from_bytes([0; 16]));
        for _ in 0..PAGES_MAX {
            let values = params![asset, rate.0, most, since, last, limit as u64, self.now()];
            let rows = tx.fetch_all(sql::PAYABLE, &values).await?;
            let Some(end) = rows.last() else { break };
            (since, last) = (end.get("created_at")?, end.get("id")?);
            let ready = self.ready_payouts(tx, wallet, &rows).await?;
            if let Some((ready, choice)) = choose_among(tx, ready, funds).await? {
                self.store_plan(tx, wallet, batch, &ready, coins, &choice).await?;
                let is_full = rows.len() >= limit;
                return Ok(if is_full { Planned::OfMany } else { Planned::OfFew });
            }
            if rows.len() < limit {
                break;
            }
        }
        Ok(Planned::Nothing)
    }

    /// The payouts of a page, without those whose address is bad: it stops its payout only.
    async fn ready_payouts(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        rows: &[Row],
    ) -> Result<Vec<Ready>> {
        let mut ready = Vec::new();
        for row in rows {
            let id: PayoutId = row.get("id")?;
            let script: Vec<u8> = row.get("script")?;
            // Checked when it was asked for; again now, since configuration may have changed.
            let address: String = row.get("address")?;
            if script_for_address(&wallet.params, &address).ok().as_ref() != Some(&script) {
                let account: AccountId = row.get("account")?;
                let amount = row.get("amount")?;
                self.refuse_unpayable(tx, wallet.asset(), id, account, amount).await?;
                continue;
            }
            ready.push(Ready {
                id,
                account: row.get("account")?,
                amount: row.get("amount")?,
                script,
                fee_max: row.get("fee_max")?,
                attempt: row.get("attempt")?,
            });
        }
        Ok(ready)
    }

    pub(crate) async fn refuse_unpayable(
        &self,
        tx: &mut Tx,
        asset: Asset,
        id: PayoutId,
        account: AccountId,
        amount: i64,
    ) -> Result<()> {
        let now = self.now();
        let values = params![id, PayoutState::Refused.word(), BAD_ADDRESS, now];
        tx.execute(sql::SET_PAYOUT_STATE, &values).await?;
        Draft::new(asset)
            .debit(Account::CustomerHeld(account), amount)
            .credit(Account::CustomerAvailable(account), amount)
            .post(tx, "treasury-payout-returned", format!("treasury:payout-returned:{id}"), now)
            .await
    }

    async fn store_plan(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        batch: [u8; 16],
        ready: &[Ready],
        coins: &[Coin],
        choice: &Choice,
    ) -> Result<()> {
        let (asset, now) = (wallet.asset(), self.now());
        let spent: Vec<Coin> = choice.inputs.iter().map(|&i| coins[i]).collect();
        let mut outputs: Vec<(Vec<u8>, i64)> = ready
            .iter()
            .zip(&choice.shares)
            .map(|(p, share)| (p.script.clone(), p.amount - share))
            .collect();
        if let Some(change) = choice.change {
            let (_, script) = self.new_address(tx, asset, Keychain::Change).await?;
            outputs.push((script, change));
        }
        let plan = transaction::to_bytes(&transaction::build(&spent, &outputs)?);
        let values = params![batch, asset, plan, choice.fee, choice.operator_fee, now];
        tx.execute(sql::INSERT_BATCH, &values).await?;
        reserve(tx, asset, batch, &spent).await?;
        for (payout, share) in ready.iter().zip(&choice.shares) {
            let values = params![payout.id, batch, *share, now];
            if tx.execute(sql::FUND_PAYOUT, &values).await? != 1 {
                return Err(TreasuryError::Damaged("a payout was funded twice"));
            }
            Draft::new(asset)
                .debit(Account::CustomerHeld(payout.account), payout.amount)
                .credit(Account::PayoutsInFlight, payout.amount)
                .post(
                    tx,
                    "treasury-payout-funded",
                    format!("treasury:payout-funded:{}:{}", payout.id, payout.attempt),
                    now,
                )
                .await?;
        }
        Ok(())
    }

    /// Signs a planned transaction and stores its bytes and id. When a coin of it has gone
    /// meanwhile (a reorganisation, a spending from outside), or an account of it was frozen by a
    /// dispute, takes the plan apart instead: nothing signed exists yet.
    pub(crate) async fn sign_batch(&self, wallet: &Wallet, batch: [u8; 16]) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let row = batch_row(tx, batch).await?;
            if row.state != "funded" || is_locked(tx, wallet.asset()).await? {
                return Ok(());
            }
            let plan = transaction::from_bytes(&row.unsigned_tx)?;
            let (coins, all_usable) = self.coins_of(tx, &row, &plan).await?;
            if !all_usable || is_disputed(tx, batch).await? || pays_unseen(tx, batch).await? {
                return self.void_batch(tx, wallet.asset(), batch, self.now()).await;
            }
            let signed = transaction::sign(&plan, &coins, &wallet.keys)?;
            let txid = signed.compute_txid().to_byte_array();
            tx.execute(sql::SIGN_BATCH, &params![batch, transaction::to_bytes(&signed), txid]).await?;
            tx.execute(sql::INSERT_FORM, &params![batch, txid, row.fee, self.now()]).await?;
            let values = params![batch, PayoutState::Signed.word(), self.now()];
            tx.execute(sql::SET_BATCH_PAYOUTS, &values).await?;
            self.passing("signed, before commit")?;
            Ok(())
        })?;
        self.passing("signed, after commit")
    }
}

/// Whether a planned transaction pays an account whose payment is disputed: it came to be so after the planning.
pub(crate) async fn is_disputed(tx: &mut Tx, batch: [u8; 16]) -> Result<bool> {
    Ok(tx.fetch_optional(sql::DISPUTED_IN_BATCH, &params![batch]).await?.is_some())
}

/// What came of a look for payouts to pay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planned {
    Nothing,
    /// All that can be paid were looked at.
    OfFew,
    /// More may wait than fit into a transaction.
    OfMany,
}

/// How often those that wait are told why while many others are paid.
const REASONS_EVERY: Duration = Duration::from_secs(30);

/// When a chain's payouts that wait were last told why. All of them are looked at for it: with ten thousand waiting,
/// once for each of two hundred transactions would be most of the work.
#[derive(Debug, Default)]
pub(crate) struct Reasons(AtomicI64);

impl Reasons {
    /// Whether it is time to tell them again; then it is so from now on.
    pub(crate) fn are_due(&self, now: Timestamp) -> bool {
        let last = Timestamp(self.0.load(Ordering::Relaxed));
        let is_due = now < last || now.since(last) >= REASONS_EVERY;
        if is_due {
            self.0.store(now.0, Ordering::Relaxed);
        }
        is_due
    }
}

/// Tells payouts that cannot be paid at this rate, or with what there is, why they wait.
pub(crate) async fn tell_reasons(
    tx: &mut Tx,
    asset: Asset,
    (rate, most): (i64, i64),
    now: Timestamp,
) -> Result<()> {
    let values = params![asset, rate, WAITS_FOR_FEES, REASONS_MAX, now];
    tx.execute(sql::WAIT_FOR_FEES, &values).await?;
    let values = params![asset, rate, most, WAITS_FOR_COINS, REASONS_MAX, now];
    tx.execute(sql::WAIT_FOR_COINS, &values).await?;
    Ok(())
}

/// What there is to pay with.
struct Funds {
    /// Values of the spendable coins, the largest first.
    values: Vec<i64>,
    /// What the hot account can bear.
    free: i64,
    costs: Costs,
}

impl Funds {
    /// No payout above this can be paid, whatever is chosen for it.
    fn most(&self) -> i64 {
        let coins =
            self.values.iter().take(INPUTS_MAX).fold(0, |sum: i64, &v| sum.saturating_add(v));
        coins.min(self.free)
    }
}

/// Chooses coins for as many of `ready` as can be paid together. When the coins do not suffice, the
/// largest waits, so that one large payout does not hold up the small ones.
async fn choose_among(
    tx: &mut Tx,
    mut ready: Vec<Ready>,
    funds: &Funds,
) -> Result<Option<(Vec<Ready>, Choice)>> {
    while let Some(largest) = (0..ready.len()).max_by_key(|&i| (ready[i].amount, i)) {
        let wishes: Vec<Wish> = ready.iter().map(Ready::wish).collect();
        match choose(&funds.values, &wishes, &funds.costs) {
            Ok(choice) if covers(&choice, &wishes, funds.free) => return Ok(Some((ready, choice))),
            _ => {
                let waits = ready.remove(largest);
                tx.execute(sql::SET_PAYOUT_REASON, &params![waits.id, WAITS_FOR_COINS]).await?;
            }
        }
    }
    Ok(None)
}

/// Whether the hot account can bear what the choice takes from it.
fn covers(choice: &Choice, wishes: &[Wish], free: i64) -> bool {
    let taken = wishes.iter().map(|w| w.amount).fold(choice.operator_fee, i64::saturating_add);
    taken <= free
}

pub(crate) fn read_coin(row: &Row) -> Result<Coin> {
    let keychain = Keychain::from_number(row.get("keychain")?)
        .ok_or(TreasuryError::Damaged("unknown keychain"))?;
    Ok(Coin {
        txid: row.get("txid")?,
        vout: row.get("vout")?,
        value: row.get("value")?,
        keychain,
        index: row.get("key_index")?,
    })
}
