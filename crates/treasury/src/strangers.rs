//! Spendings of our coins that nothing of ours explains, and why payouts wait for them.
//!
//! A database that was restored from an older backup believes that payouts are still to be made which
//! the house has made already. What it does not know stands in the chain, or waits there: coins of ours
//! spent by transactions that are in no table. The same is seen when somebody else has our keys. Either way
//! nothing more may be signed before a person has looked.
//!
//! | seen | what follows |
//! |---|---|
//! | a block spends our coins as no plan of ours does | payouts of the asset wait, for good |
//! | after a start, the node's pool spends a coin of ours that no plan of ours spends | the same |
//! | a block that is caught up with pays what a waiting payout would ([`crate::behind`]) | that payout waits |
//! | a person says that it is ours | the payouts and sweeps it made are booked as made by it |
//! | a person says whose payments are that no waiting payout explains | they are booked as payouts of those accounts ([`crate::forgotten`]) |
//! | a person says that it was not a payout | it stays booked as the loss that it is |
//!
//! Promises: a payout is explained by a transaction only where that pays its address what it may have been
//! paid, and one output explains one payout. It must not know who the person is.

use crate::behind::HOLD;
use crate::blocks::Standing;
use crate::books::Draft;
use crate::forgotten::Recipients;
use crate::keys::Keychain;
use crate::payouts::written_id;
use crate::spends::batch_row;
use crate::treasury::Wallet;
use crate::{PayoutState, Result, Treasury, TreasuryError, sql, transaction};
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{Amount as Value, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid};
use gruve_chain::LeanTx;
use gruve_ledger::Account;
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, PayoutId, Timestamp};

/// Why payouts of an asset wait for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// A transaction in the chain spends coins of ours, and nothing of ours explains it.
    Unexplained {
        /// Its id as explorers write it.
        txid: String,
        /// The block it stands in; none while a reorganisation has taken it away.
        height: Option<u64>,
        /// What of ours it spends.
        spent: Amount,
        /// When it was first seen.
        seen: Timestamp,
    },
    /// A transaction in the chain pays what payouts that wait would, and spends no coin that is known as ours: these alone wait.
    Paid {
        /// Its id as explorers write it.
        txid: String,
        /// The block it stands in; none while a reorganisation has taken it away.
        height: Option<u64>,
        /// How many payouts wait for it.
        payouts: u64,
        /// When it was first seen.
        seen: Timestamp,
    },
    /// The house began further behind the chain than it normally would, with payouts that were approved before; or
    /// somebody has it wait.
    Held {
        /// Blocks behind; none where a person has it wait.
        behind: Option<u64>,
        /// Since when.
        seen: Timestamp,
    },
    /// A coin of ours is being spent by a transaction that no block has yet.
    Doubted {
        /// The coin, as `id:output`.
        coin: String,
        /// When the node said so.
        seen: Timestamp,
    },
}

/// What an unexplained transaction turned out to have paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// The payouts it made; they are confirmed now.
    pub payouts: Vec<PayoutId>,
    /// What it moved to the sweep address, minor units.
    pub swept: i64,
}

/// A payout that an output explains.
pub(crate) struct Matched {
    pub(crate) id: PayoutId,
    pub(crate) account: AccountId,
    pub(crate) amount: i64,
    pub(crate) attempt: i64,
    /// What of the amount went to the network.
    pub(crate) share: i64,
    pub(crate) batch: Option<[u8; 16]>,
}

/// Whether something unexplained holds up an asset's payouts.
pub(crate) async fn is_locked(tx: &mut Tx, asset: Asset) -> Result<bool> {
    Ok(tx.fetch_optional(sql::ANY_LOCK, &params![asset]).await?.is_some())
}

/// Whether a payout waits because the chain shows what may have been its payment.
pub(crate) async fn is_paid_unseen(tx: &mut Tx, payout: PayoutId) -> Result<bool> {
    Ok(tx.fetch_optional(sql::PAID_UNSEEN, &params![payout]).await?.is_some())
}

/// Whether a planned transaction makes such a payout.
pub(crate) async fn pays_unseen(tx: &mut Tx, batch: [u8; 16]) -> Result<bool> {
    Ok(tx.fetch_optional(sql::PAID_UNSEEN_IN_BATCH, &params![batch]).await?.is_some())
}

/// The first payout that paying `value` to `script` may have made, and that is not in `taken`.
pub(crate) async fn payout_explained_by(
    tx: &mut Tx,
    asset: Asset,
    script: &[u8],
    value: i64,
    taken: &[Matched],
) -> Result<Option<Matched>> {
    for row in tx.fetch_all(sql::PAYOUTS_EXPLAINED, &params![asset, script, value]).await? {
        let (id, amount): (PayoutId, i64) = (row.get("id")?, row.get("amount")?);
        if taken.iter().any(|m| m.id == id) {
            continue;
        }
        let (account, attempt) = (row.get("account")?, row.get("attempt")?);
        let batch = row.get("batch")?;
        return Ok(Some(Matched { id, account, amount, attempt, share: amount - value, batch }));
    }
    Ok(None)
}

/// A transaction of a block as far as it is needed to compare it.
fn form_of(seen: &LeanTx) -> Result<Vec<u8>> {
    let input = seen.inputs.iter().map(|(txid, vout)| TxIn {
        previous_output: OutPoint { txid: Txid::from_byte_array(*txid), vout: *vout },
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    });
    let mut output = Vec::with_capacity(seen.outputs.len());
    for out in &seen.outputs {
        let value =
            u64::try_from(out.value).map_err(|_| TreasuryError::Damaged("a value below zero"))?;
        let script_pubkey = ScriptBuf::from_bytes(out.script.clone());
        output.push(TxOut { value: Value::from_sat(value), script_pubkey });
    }
    let (version, lock_time) = (Version::TWO, bitcoin::absolute::LockTime::ZERO);
    Ok(transaction::to_bytes(&Transaction { version, lock_time, input: input.collect(), output }))
}

/// Remembers a transaction of a block that spends `value` of ours unexplained.
pub(crate) async fn note_stranger(
    tx: &mut Tx,
    standing: &Standing,
    seen: &LeanTx,
    value: i64,
) -> Result<()> {
    let form = form_of(seen)?;
    let (asset, height) = (standing.asset, standing.height);
    let values = params![asset, seen.txid, height, value, form, standing.now];
    tx.execute(sql::INSERT_STRANGER, &values).await?;
    Ok(())
}

/// One coin of ours that a stranger spent.
struct SpentCoin {
    txid: [u8; 32],
    vout: u32,
    value: i64,
    keychain: i64,
    index: u32,
}

/// What a stranger on a chain with coins is made of.
struct Anatomy {
    coins: Vec<SpentCoin>,
    payouts: Vec<Matched>,
    swept: i64,
    /// Outputs that return to us: number and value.
    change: Vec<(u32, i64)>,
    fee: i64,
}

/// What a stranger on a chain with coins pays.
#[derive(Default)]
pub(crate) struct Outputs {
    payouts: Vec<Matched>,
    swept: i64,
    change: Vec<(u32, i64)>,
    /// Scripts and values that nothing here explains.
    pub(crate) others: Vec<(Vec<u8>, i64)>,
    /// All together.
    paid: i64,
}

impl Treasury {
    /// Why payouts of an asset wait for a person; empty when they do not. Shown are 50 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn payout_locks(&self, asset: Asset) -> Result<Vec<Lock>> {
        let mut tx = self.0.store.read().await?;
        let mut locks = Vec::new();
        for row in tx.fetch_all(sql::STRANGERS, &params![asset]).await? {
            if row.get::<[u8; 32]>("txid")? == HOLD {
                let behind: u64 = row.get("value")?;
                let behind = Some(behind).filter(|n| *n > 0);
                locks.push(Lock::Held { behind, seen: row.get("seen_at")? });
                continue;
            }
            let txid = written_id(asset, &row.get("txid")?);
            let (height, seen) = (row.get("height")?, row.get("seen_at")?);
            let (spent, payouts): (i64, u64) = (row.get("value")?, row.get("payouts")?);
            locks.push(if spent == 0 && payouts > 0 {
                Lock::Paid { txid, height, payouts, seen }
            } else {
                Lock::Unexplained { txid, height, spent: Amount::new(asset, spent), seen }
            });
        }
        for row in tx.fetch_all(sql::DOUBTED, &params![asset]).await? {
            let vout: u32 = row.get("vout")?;
            let coin = format!("{}:{vout}", written_id(asset, &row.get("txid")?));
            locks.push(Lock::Doubted { coin, seen: row.get("seen_at")? });
        }
        Ok(locks)
    }

    /// A person says that an unexplained transaction is the house's own: the payouts that it made, and what
    /// it moved to the sweep address, are booked as made by it.
    ///
    /// # Errors
    /// [`TreasuryError::NoStranger`]; [`TreasuryError::Unexplained`] where it pays more than waiting payouts
    /// and the sweep address.
    pub async fn explain(&self, asset: Asset, txid: &str, by: &str) -> Result<Explained> {
        self.explain_as(asset, txid, &Recipients::new(), by).await
    }

    /// The same where it pays others as well, whose payouts were asked for in a life that is forgotten: whose each
    /// address is, the person says, and what it got is taken from that account's balance.
    ///
    /// # Errors
    /// As [`Treasury::explain`], also where somebody paid is not named; the ledger's insufficient funds where an account
    /// has less: then nothing is booked.
    pub async fn explain_as(
        &self,
        asset: Asset,
        txid: &str,
        whose: &Recipients,
        by: &str,
    ) -> Result<Explained> {
        let id = read_id(txid).ok_or(TreasuryError::NoStranger)?;
        transact!(self.0.store, tx -> Result<Explained> => {
            let row = tx.fetch_optional(sql::STRANGER, &params![asset, id]).await?;
            let row = row.ok_or(TreasuryError::NoStranger)?;
            let height: Option<u64> = row.get("height")?;
            let Some(height) = height else { return Err(TreasuryError::NoStranger) };
            let form: Vec<u8> = row.get("form")?;
            let standing = self.standing_at(tx, asset, height).await?;
            if !whose.is_empty() {
                self.place_forgotten(tx, asset, &form, whose).await?;
            }
            let explained = if let Ok(wallet) = self.account_wallet(asset) {
                self.explain_account(tx, wallet, &standing, id, &form).await?
            } else if row.get::<i64>("value")? == 0 {
                self.explain_unseen(tx, &standing, txid, &form).await?
            } else {
                self.explain_coins(tx, &standing, id, &form).await?
            };
            let values = params![asset, id, "ours", by, self.now()];
            tx.execute(sql::JUDGE_STRANGER, &values).await?;
            Ok(explained)
        })
    }

    /// A person says that an unexplained transaction made no payout of this house: what it took stays booked
    /// as a loss, and payouts go on. With a theft the keys are still with the thief: sweep first.
    ///
    /// # Errors
    /// [`TreasuryError::NoStranger`].
    pub async fn accept_loss(&self, asset: Asset, txid: &str, by: &str) -> Result<()> {
        let id = read_id(txid).ok_or(TreasuryError::NoStranger)?;
        transact!(self.0.store, tx -> Result<()> => {
            let values = params![asset, id, "loss", by, self.now()];
            match tx.execute(sql::JUDGE_STRANGER, &values).await? {
                1 => Ok(()),
                _ => Err(TreasuryError::NoStranger),
            }
        })
    }

    /// A person says that the coins in doubt are not being spent: the transaction that was seen is gone
    /// from every node. Gives how many there were.
    ///
    /// # Errors
    /// The database's.
    pub async fn clear_doubts(&self, asset: Asset) -> Result<u64> {
        transact!(self.0.store, tx -> Result<u64> => {
            Ok(tx.execute(sql::CLEAR_DOUBTS, &params![asset]).await?)
        })
    }

    async fn standing_at(&self, tx: &mut Tx, asset: Asset, height: u64) -> Result<Standing> {
        let row = tx.fetch_one(sql::BLOCK_AT, &params![asset, height]).await?;
        let block = gruve_chain::BlockRef { height, hash: row.get("hash")? };
        Ok(Standing::new(asset, &block, row.get("connection")?, self.now()))
    }

    async fn explain_coins(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        txid: [u8; 32],
        form: &[u8],
    ) -> Result<Explained> {
        let wallet = self.wallet(standing.asset)?;
        let parts = self.take_apart(tx, wallet, standing, form).await?;
        let shares: i64 = parts.payouts.iter().map(|m| m.share).sum();
        let operator_fee = parts.fee - shares;
        if operator_fee < 0 {
            return Err(TreasuryError::Unexplained);
        }
        self.free_for(tx, &parts).await?;
        // What was booked as lost is not; what returned to us is change.
        for coin in &parts.coins {
            Draft::new(standing.asset)
                .debit(Account::ChainHot, coin.value)
                .credit(Account::Loss, coin.value)
                .post(
                    tx,
                    "treasury-explained",
                    standing.output_reason("explained", &coin.txid, coin.vout),
                    standing.now,
                )
                .await?;
        }
        for (vout, value) in &parts.change {
            Draft::new(standing.asset)
                .debit(Account::UnmatchedReceipts, *value)
                .credit(Account::ChainHot, *value)
                .post(
                    tx,
                    "treasury-explained",
                    standing.output_reason("explained-change", &txid, *vout),
                    standing.now,
                )
                .await?;
            let key = params![standing.asset, txid, *vout];
            tx.execute(sql::DELETE_RECEIPT, &key).await?;
            tx.execute(sql::NOW_CHANGE, &key).await?;
        }
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        let now = standing.now;
        let values = params![batch, standing.asset, form, parts.fee, operator_fee, now];
        tx.execute(sql::INSERT_BATCH, &values).await?;
        for coin in &parts.coins {
            let (asset, keychain) = (standing.asset, coin.keychain);
            let values =
                params![asset, coin.txid, coin.vout, coin.value, keychain, coin.index, batch];
            tx.execute(sql::RESERVE, &values).await?;
            tx.execute(sql::NOT_OUTSIDE, &params![asset, coin.txid, coin.vout]).await?;
        }
        if parts.swept > 0 {
            let script = wallet.sweep.as_ref().map(|s| s.script.clone());
            let values = params![batch, standing.asset, "sweep", parts.swept, script];
            tx.execute(sql::INSERT_MOVE, &values).await?;
        }
        self.made_by(tx, standing, batch, &parts.payouts).await?;
        let batch = batch_row(tx, batch).await?;
        let payouts = self.confirm_batch(tx, standing, &batch, txid).await?;
        Ok(Explained { payouts, swept: parts.swept })
    }

    /// Payouts that were waiting are paid by a transaction of the chain.
    pub(crate) async fn made_by(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        batch: [u8; 16],
        payouts: &[Matched],
    ) -> Result<()> {
        for m in payouts {
            let state = PayoutState::Broadcast.word();
            let values = params![m.id, batch, m.share, standing.now, state];
            if tx.execute(sql::PAYOUT_MADE, &values).await? != 1 {
                return Err(TreasuryError::Damaged("a payout was explained twice"));
            }
            let attempt = m.attempt + i64::from(m.batch.is_some());
            Draft::new(standing.asset)
                .debit(Account::CustomerHeld(m.account), m.amount)
                .credit(Account::PayoutsInFlight, m.amount)
                .post(
                    tx,
                    "treasury-payout-funded",
                    format!("treasury:payout-funded:{}:{attempt}", m.id),
                    standing.now,
                )
                .await?;
        }
        Ok(())
    }

    /// Takes plans apart that are in the way: nothing of them is signed.
    async fn free_for(&self, tx: &mut Tx, parts: &Anatomy) -> Result<()> {
        let mut plans: Vec<[u8; 16]> = parts.payouts.iter().filter_map(|m| m.batch).collect();
        for coin in &parts.coins {
            let key = params![coin.txid, coin.vout];
            if let Some(row) = tx.fetch_optional(sql::RESERVING_ANY, &key).await? {
                plans.push(row.get("batch")?);
            }
        }
        self.free_plans(tx, plans).await
    }

    /// The same for plans that are named.
    pub(crate) async fn free_plans(&self, tx: &mut Tx, mut plans: Vec<[u8; 16]>) -> Result<()> {
        let now = self.now();
        plans.sort_unstable();
        plans.dedup();
        for plan in plans {
            let row = batch_row(tx, plan).await?;
            if row.state != "funded" {
                // A signed one may still confirm until the stranger is buried: then it goes by itself.
                return Err(TreasuryError::Unexplained);
            }
            self.void_batch(tx, row.asset, plan, now).await?;
        }
        Ok(())
    }

    async fn take_apart(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        standing: &Standing,
        form: &[u8],
    ) -> Result<Anatomy> {
        let (asset, form) = (standing.asset, transaction::from_bytes(form)?);
        let mut coins = Vec::new();
        for input in &form.input {
            let txid = input.previous_output.txid.to_byte_array();
            let vout = input.previous_output.vout;
            let row = tx.fetch_optional(sql::SPENT_OUTSIDE, &params![asset, txid, vout]).await?;
            // Coins of others in it: not a transaction of this house.
            let row = row.ok_or(TreasuryError::Unexplained)?;
            let (value, keychain) = (row.get("value")?, row.get("keychain")?);
            coins.push(SpentCoin { txid, vout, value, keychain, index: row.get("key_index")? });
        }
        let Outputs { payouts, swept, change, others, paid } =
            self.outputs_of(tx, wallet, &form).await?;
        if !others.is_empty() {
            return Err(TreasuryError::Unexplained);
        }
        let fee = coins.iter().map(|c| c.value).sum::<i64>() - paid;
        Ok(Anatomy { coins, payouts, swept, change, fee })
    }

    /// What the outputs of a transaction are to the house.
    pub(crate) async fn outputs_of(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        form: &Transaction,
    ) -> Result<Outputs> {
        let asset = wallet.asset();
        let scripts: Vec<&[u8]> = form.output.iter().map(|o| o.script_pubkey.as_bytes()).collect();
        let mut own = Vec::new();
        for row in sql::among(tx, &sql::ADDRESSES_AMONG, asset, &scripts).await? {
            if Keychain::from_number(row.get("keychain")?) == Some(Keychain::Change) {
                own.push(row.get::<Vec<u8>>("script")?);
            }
        }
        let mut found = Outputs::default();
        for (vout, output) in (0_u32..).zip(&form.output) {
            let value = i64::try_from(output.value.to_sat())
                .map_err(|_| TreasuryError::Damaged("a value above what there is"))?;
            let script = output.script_pubkey.as_bytes();
            found.paid = found.paid.saturating_add(value);
            if own.iter().any(|s| s == script) {
                found.change.push((vout, value));
            } else if wallet.sweep.as_ref().is_some_and(|s| s.script == script) {
                found.swept = found.swept.saturating_add(value);
            } else {
                match payout_explained_by(tx, asset, script, value, &found.payouts).await? {
                    Some(matched) => found.payouts.push(matched),
                    None => found.others.push((script.to_vec(), value)),
                }
            }
        }
        Ok(found)
    }
}

/// A transaction's id as explorers write it, in internal byte order.
pub(crate) fn read_id(text: &str) -> Option<[u8; 32]> {
    let mut id = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut id).ok()?;
    id.reverse();
    Some(id)
}
