//! Choosing coins for approved payouts, and signing what was chosen: two transactions of their
//! own, so that a crash between them leaves a plan that is signed, or taken apart, later.

use crate::blocks::newest;
use crate::books::Draft;
use crate::keys::Keychain;
use crate::select::{Choice, Wish, choose};
use crate::spends::batch_row;
use crate::sql;
use crate::transaction::{self, Coin};
use crate::treasury::Wallet;
use crate::{PayoutState, Rate, Result, Treasury, TreasuryError};
use bitcoin::hashes::Hash;
use gruve_chain::script_for_address;
use gruve_ledger::{Account, balance};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, PayoutId};

/// Coins looked at for one transaction, the largest first. More would not be used: see
/// [`crate::select::INPUTS_MAX`].
const COINS_MAX: u32 = 500;

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
        let Some((top, _)) = newest(tx, asset).await? else { return Ok(false) };
        let mut ready = self.ready_payouts(tx, wallet, rate).await?;
        if ready.is_empty() {
            return Ok(false);
        }
        let rows = tx.fetch_all(sql::SPENDABLE, &params![asset, top.height, COINS_MAX]).await?;
        let coins: Vec<Coin> = rows.iter().map(read_coin).collect::<Result<_>>()?;
        let values: Vec<i64> = coins.iter().map(|c| c.value).collect();
        // What the books have ripened and not promised yet: a bound of its own, so that the hot
        // account can always bear a confirmation.
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        let promised = balance(tx, &Account::PayoutsInFlight, asset).await?.minor;
        let change_len = wallet.fixed[0].1.clone();
        let costs = wallet.costs(rate, &change_len);
        // The oldest first; when the coins do not suffice, the largest waits, so that one large
        // payout does not hold up the small ones.
        let choice = loop {
            let wishes: Vec<Wish> = ready.iter().map(Ready::wish).collect();
            match choose(&values, &wishes, &costs) {
                Ok(choice) if covers(&choice, &wishes, hot - promised) => break choice,
                _ => {
                    let largest = (0..ready.len()).max_by_key(|&i| (ready[i].amount, i));
                    let Some(at) = largest else { return Ok(false) };
                    let waits = ready.remove(at);
                    let values = params![waits.id, WAITS_FOR_COINS];
                    tx.execute(sql::SET_PAYOUT_REASON, &values).await?;
                    if ready.is_empty() {
                        return Ok(false);
                    }
                }
            }
        };
        self.store_plan(tx, wallet, batch, &ready, &coins, &choice).await?;
        Ok(true)
    }

    /// The approved payouts that can be paid at this rate. A bad address stops its payout only.
    async fn ready_payouts(&self, tx: &mut Tx, wallet: &Wallet, rate: Rate) -> Result<Vec<Ready>> {
        let limit = u64::try_from(wallet.policy.batch_max.clamp(1, 250)).unwrap_or(1);
        let mut ready = Vec::new();
        for row in tx.fetch_all(sql::APPROVED, &params![wallet.asset(), limit]).await? {
            let id: PayoutId = row.get("id")?;
            let script: Vec<u8> = row.get("script")?;
            // Checked when it was asked for; again now, since configuration may have changed.
            let address: String = row.get("address")?;
            if script_for_address(&wallet.params, &address).ok().as_ref() != Some(&script) {
                let account: AccountId = row.get("account")?;
                self.refuse_unpayable(tx, wallet, id, account, row.get("amount")?).await?;
                continue;
            }
            if rate.0 > row.get::<i64>("rate_max")? {
                tx.execute(sql::SET_PAYOUT_REASON, &params![id, WAITS_FOR_FEES]).await?;
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

    async fn refuse_unpayable(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        id: PayoutId,
        account: AccountId,
        amount: i64,
    ) -> Result<()> {
        let now = self.now();
        let values = params![id, PayoutState::Refused.word(), BAD_ADDRESS, now];
        tx.execute(sql::SET_PAYOUT_STATE, &values).await?;
        Draft::new(wallet.asset())
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
        for coin in &spent {
            let values = params![
                asset,
                coin.txid,
                coin.vout,
                coin.value,
                coin.keychain.number(),
                coin.index,
                batch
            ];
            tx.execute(sql::RESERVE, &values).await?;
        }
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
    /// meanwhile (a reorganisation, a spending from outside), takes the plan apart instead:
    /// nothing signed exists yet.
    pub(crate) async fn sign_batch(&self, wallet: &Wallet, batch: [u8; 16]) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let row = batch_row(tx, batch).await?;
            if row.state != "funded" {
                return Ok(());
            }
            let Some((top, _)) = newest(tx, wallet.asset()).await? else { return Ok(()) };
            let rows = tx.fetch_all(sql::RESERVED_BY, &params![batch, top.height]).await?;
            let coins: Vec<Coin> = rows.iter().map(read_coin).collect::<Result<_>>()?;
            let mut all_usable = true;
            for row in &rows {
                all_usable &= row.get::<bool>("usable")?;
            }
            if !all_usable {
                return self.void_batch(tx, wallet.asset(), batch, self.now()).await;
            }
            let plan = transaction::from_bytes(&row.unsigned_tx)?;
            let signed = transaction::sign(&plan, &coins, &wallet.keys)?;
            let txid = signed.compute_txid().to_byte_array();
            tx.execute(sql::SIGN_BATCH, &params![batch, transaction::to_bytes(&signed), txid]).await?;
            let values = params![batch, PayoutState::Signed.word(), self.now()];
            tx.execute(sql::SET_BATCH_PAYOUTS, &values).await?;
            self.passing("signed, before commit")?;
            Ok(())
        })?;
        self.passing("signed, after commit")
    }
}

/// Whether the hot account can bear what the choice takes from it.
fn covers(choice: &Choice, wishes: &[Wish], free: i64) -> bool {
    let taken = wishes.iter().map(|w| w.amount).fold(choice.operator_fee, i64::saturating_add);
    taken <= free
}

fn read_coin(row: &Row) -> Result<Coin> {
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
