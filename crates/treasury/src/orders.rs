//! Transactions that a signer elsewhere signs: ordered, asked for, taken back.
//!
//! A batch of such a coin is planned like any other. Then, in place of signing it:
//!
//! | step | what is stored before it |
//! |---|---|
//! | ordered | the batch counts as *signed* from now on: the signer may sign and send it at any time, so nothing but the chain undoes it |
//! | written | the PSBT, with the transactions that made its coins as the node has them; the same bytes for ever |
//! | asked for | nothing: the signer is given the same PSBT until it answers |
//! | taken | the signed bytes, once every signature was checked against the stored plan; sending is as for all |
//!
//! Promises: what may be signed elsewhere is never paid otherwise, whether or not an answer comes: the payouts of an
//! order come back only when a transaction that spends one of its coins is so deep in the chain that it will not be
//! undone. [`Treasury::withdraw`] makes such a transaction. A signature that comes late, or twice, is at worst a
//! transaction that no node takes. It must not know folders or addresses of signers ([`SignerDoor`]).

use crate::blocks::newest;
use crate::funding::{is_disputed, read_coin};
use crate::keys::Keychain;
use crate::order;
use crate::spends::batch_row;
use crate::strangers::{is_locked, pays_unseen};
use crate::transaction::{self, Coin};
use crate::treasury::Wallet;
use crate::{Payer, PayerProgress, PayoutState, Result, Treasury, TreasuryError, sql};
use async_trait::async_trait;
use bitcoin::Transaction;
use bitcoin::hashes::Hash as _;
use gruve_chain::transaction_in_block;
use gruve_ledger::{Account, balance};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Amount, Asset, Duration, PayoutId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Orders that are asked for in one step.
const ROUND_MAX: u32 = 50;
/// How often the same order is asked for.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Characters kept of what a signer said.
const ANSWER_CHARS_MAX: usize = 200;
/// Orders that are listed.
const LIST_MAX: u32 = 200;
/// What a customer is told meanwhile.
const WAITS_FOR_SIGNER: &str = "waits for its signature, which is made elsewhere";
/// What a person is told of payouts whose transaction was withdrawn.
const WITHDRAWN: &str =
    "its transaction was withdrawn before it was in a block: somebody looks at it";

/// Who signs for a coin in place of this house.
#[derive(Clone)]
pub struct ExternalSigner {
    /// The account's public key, as `gruve signer show` writes it.
    pub account_key: String,
    /// The way to it.
    pub door: Arc<dyn SignerDoor>,
}

/// The way to a signer.
#[async_trait]
pub trait SignerDoor: Send + Sync {
    /// Hands an order out under its name, again if it was before, and gives what the signer has said to it.
    ///
    /// # Errors
    /// In words, when the way is not open.
    async fn ask(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String>;

    /// An order is answered, or over.
    async fn over(&self, name: &str);
}

/// What a signer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerWord {
    /// Nothing yet.
    Waits,
    /// A PSBT with its signatures.
    Signed(Vec<u8>),
    /// No, and why.
    Refused(String),
}

/// An order as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The transaction's id here.
    pub id: PayoutId,
    /// Which form of it: 0, and above for higher fees.
    pub form: u32,
    /// The coin.
    pub asset: Asset,
    /// What it pays to others, or moves.
    pub pays: Amount,
    /// How many payouts are in it.
    pub payouts: u32,
    /// What the network gets.
    pub fee: Amount,
    /// When it was ordered.
    pub ordered: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// What the signer, or this house about its answer, said last.
    pub answer: Option<String>,
    /// The transaction that it withdraws, where it is for that.
    pub withdraws: Option<PayoutId>,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It waits for its signature.
    Waiting,
    /// It is signed; a block must have it yet.
    Signed,
    /// A block has it, or another form of it.
    Confirmed,
    /// It can never confirm; its payouts came back.
    Void,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Waiting => "waiting",
            Outcome::Signed => "signed",
            Outcome::Confirmed => "confirmed",
            Outcome::Void => "void",
        }
    }
}

/// An order's name outside: the same for ever.
fn name_of(asset: Asset, batch: &[u8; 16], form: u32) -> String {
    format!("{asset}-{}-{form}", PayoutId::from_bytes(*batch))
}

/// The batch whose reservations hold a transaction's coins.
fn reserved_as(batch: &crate::spends::BatchRow) -> [u8; 16] {
    batch.replaces.unwrap_or(batch.id)
}

impl Treasury {
    /// The coins of a transaction of ours, and whether all can be spent now.
    pub(crate) async fn coins_of(
        &self,
        tx: &mut Tx,
        batch: &crate::spends::BatchRow,
        plan: &Transaction,
    ) -> Result<(Vec<Coin>, bool)> {
        let Some((top, _)) = newest(tx, batch.asset).await? else { return Ok((Vec::new(), false)) };
        let rows = tx.fetch_all(sql::RESERVED_BY, &params![reserved_as(batch), top.height]).await?;
        let (mut coins, mut all_usable) = (Vec::new(), true);
        for row in &rows {
            let coin = read_coin(row)?;
            if plan.input.iter().any(|i| i.previous_output == coin.outpoint()) {
                all_usable &= row.get::<bool>("usable")?;
                coins.push(coin);
            }
        }
        all_usable &= coins.len() == plan.input.len();
        Ok((coins, all_usable))
    }

    /// Orders a planned transaction, as [`Treasury::sign_batch`] signs one.
    pub(crate) async fn order_batch(&self, wallet: &Wallet, batch: [u8; 16]) -> Result<()> {
        transact!(self.0.store, tx -> Result<()> => {
            let row = batch_row(tx, batch).await?;
            if row.state != "funded" || is_locked(tx, wallet.asset()).await? {
                return Ok(());
            }
            let plan = transaction::from_bytes(&row.unsigned_tx)?;
            let all_usable = self.coins_of(tx, &row, &plan).await?.1;
            if !all_usable || is_disputed(tx, batch).await? || pays_unseen(tx, batch).await? {
                return self.void_batch(tx, wallet.asset(), batch, self.now()).await;
            }
            if tx.execute(sql::ORDER_BATCH, &params![batch]).await? != 1 {
                return Err(TreasuryError::Damaged("a transaction was ordered twice"));
            }
            let (asset, now) = (wallet.asset(), self.now());
            let plan = row.unsigned_tx.as_slice();
            let values = params![batch, 0_i64, asset, plan, row.fee, row.operator_fee, now];
            tx.execute(sql::INSERT_ORDER, &values).await?;
            let values = params![batch, PayoutState::Signed.word(), now, WAITS_FOR_SIGNER];
            tx.execute(sql::SET_BATCH_PAYOUTS_WITH, &values).await?;
            self.passing("ordered, before commit")?;
            Ok(())
        })?;
        self.passing("ordered, after commit")
    }

    /// Orders another form of a transaction, with a higher fee.
    pub(crate) async fn order_form(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        batch: [u8; 16],
        plan: &Transaction,
        (fee, operator_fee): (i64, i64),
    ) -> Result<bool> {
        let (asset, now) = (wallet.asset(), self.now());
        let row = tx.fetch_one(sql::LAST_ORDER, &params![batch]).await?;
        let (form, open): (i64, i64) = (row.get("form")?, row.get("waiting")?);
        if open > 0 {
            return Ok(false);
        }
        let plan = transaction::to_bytes(plan);
        let values = params![batch, form + 1, asset, plan, fee, operator_fee, now];
        tx.execute(sql::INSERT_ORDER, &values).await?;
        // What it may cost counts as promised from now on.
        tx.execute(sql::SET_OPERATOR_FEE, &params![batch, operator_fee]).await?;
        Ok(true)
    }

    /// Writes the PSBTs of orders that have none: the node is asked for what made their coins.
    async fn write_orders(&self, wallet: &Wallet) -> Result<()> {
        let asset = wallet.asset();
        let rows = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_all(sql::ORDERS_UNWRITTEN, &params![asset, ROUND_MAX]).await?
        };
        for row in rows {
            let (batch, form): ([u8; 16], u32) = (row.get("batch")?, row.get("form")?);
            let plan = transaction::from_bytes(&row.get::<Vec<u8>>("plan")?)?;
            let (coins, makers, returns) = {
                let mut tx = self.0.store.read().await?;
                let batch = batch_row(&mut tx, batch).await?;
                let (coins, all_usable) = self.coins_of(&mut tx, &batch, &plan).await?;
                if !all_usable {
                    // A reorganisation has taken one: it waits for its return, or to be withdrawn.
                    continue;
                }
                let makers = makers_of(&mut tx, asset, &coins).await?;
                (coins, makers, change_of(&mut tx, asset, &plan).await?)
            };
            let mut previous = BTreeMap::new();
            for (block, txids) in makers {
                let bytes = wallet.node.block(&block).await?;
                for txid in txids {
                    let found = transaction_in_block(&bytes, &wallet.params, &txid);
                    let found = found.ok().flatten().ok_or(TreasuryError::Damaged(
                        "the node's block has not the transaction that made a coin of ours",
                    ))?;
                    previous.insert(txid, transaction::from_bytes(&found)?);
                }
            }
            let psbt = order::request(&plan, &coins, &previous, &returns, &wallet.keys)?;
            let values = params![batch, form, psbt];
            transact!(self.0.store, tx -> Result<()> => {
                tx.execute(sql::WRITE_ORDER, &values).await?;
                self.passing("order written, before commit")?;
                Ok(())
            })?;
            self.passing("order written, after commit")?;
        }
        Ok(())
    }

    /// Takes a signer's answer; what is wrong with it is noted, and the order waits on.
    pub(crate) async fn take_answer(
        &self,
        wallet: &Wallet,
        (batch, form): ([u8; 16], u32),
        answer: &[u8],
    ) -> Result<bool> {
        let taken = transact!(self.0.store, tx -> Result<bool> => {
            let key = params![batch, form];
            let row = tx.fetch_optional(sql::ORDER_WAITING, &key).await?;
            let Some(row) = row else { return Ok(false) };
            let plan: Vec<u8> = row.get("plan")?;
            let batch_row = batch_row(tx, batch).await?;
            let parsed = transaction::from_bytes(&plan)?;
            let (coins, _) = self.coins_of(tx, &batch_row, &parsed).await?;
            let signed = match order::accept(&parsed, &coins, &wallet.keys, answer) {
                Ok(signed) => signed,
                Err(error) => {
                    tracing::error!(order = %name_of(wallet.asset(), &batch, form), %error, "a signer's answer is not taken");
                    self.note_answer(tx, batch, form, &error.to_string()).await?;
                    return Ok(false);
                }
            };
            let (fee, operator_fee): (i64, i64) = (row.get("fee")?, row.get("operator_fee")?);
            let txid = signed.compute_txid().to_byte_array();
            let signed = transaction::to_bytes(&signed);
            let values = params![batch, plan, signed, txid, fee, operator_fee];
            if tx.execute(sql::SIGN_AGAIN, &values).await? != 1 {
                return Ok(false);
            }
            let now = self.now();
            tx.execute(sql::INSERT_FORM, &params![batch, txid, fee, now]).await?;
            tx.execute(sql::END_ORDER, &params![batch, form, now]).await?;
            tx.execute(sql::NO_PAYOUT_REASON, &params![batch]).await?;
            self.passing("answer taken, before commit")?;
            Ok(true)
        })?;
        self.passing("answer taken, after commit")?;
        Ok(taken)
    }

    async fn note_answer(&self, tx: &mut Tx, batch: [u8; 16], form: u32, said: &str) -> Result<()> {
        let plain = said.chars().filter(|c| !c.is_control());
        let said: String = plain.take(ANSWER_CHARS_MAX).collect();
        tx.execute(sql::NOTE_ANSWER, &params![batch, form, said.as_str(), self.now()]).await?;
        Ok(())
    }

    /// What is ordered, and what became of it: those that wait first, then the newest; 200 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn orders(&self) -> Result<Vec<Order>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::ORDERS, &params![LIST_MAX]).await?;
        rows.iter().map(read_order).collect()
    }

    /// Withdraws a transaction that is ordered, or signed, and that no block has: another that spends its coins, back
    /// to this wallet, is planned and signed like any. Whichever of the two a block takes first, counts; when that is
    /// the withdrawal, the payouts come back once it is so deep that it will not be undone, and wait for a person.
    /// Gives the withdrawal's id.
    ///
    /// # Errors
    /// [`TreasuryError::NoOrder`] when there is no such transaction under way; [`TreasuryError::NotWithdrawn`] when
    /// it cannot be; the database's.
    pub async fn withdraw(&self, id: PayoutId) -> Result<PayoutId> {
        let withdrawal = PayoutId::new(self.now(), self.0.entropy.as_ref());
        transact!(self.0.store, tx -> Result<()> => {
            self.withdraw_in(tx, id.to_bytes(), withdrawal.to_bytes()).await
        })?;
        Ok(withdrawal)
    }

    async fn withdraw_in(&self, tx: &mut Tx, old: [u8; 16], new: [u8; 16]) -> Result<()> {
        let known = tx.fetch_optional(sql::BATCH, &params![old]).await?;
        let row = known.as_ref().map(crate::spends::read_batch).transpose()?;
        let row = row.filter(|r| r.state == "signed" || r.state == "broadcast");
        let row = row.filter(|r| r.replaces.is_none()).ok_or(TreasuryError::NoOrder)?;
        let asset = row.asset;
        let wallet = self.wallet(asset).map_err(|_| TreasuryError::NoOrder)?;
        let cannot = |why: &'static str| TreasuryError::NotWithdrawn(why);
        if tx.fetch_optional(sql::WITHDRAWAL_OF, &params![old]).await?.is_some() {
            return Err(cannot("it is being withdrawn already"));
        }
        let plan = transaction::from_bytes(&row.unsigned_tx)?;
        let Some((top, _)) = newest(tx, asset).await? else { return Err(TreasuryError::NoOrder) };
        let mut coins = Vec::new();
        for reserved in tx.fetch_all(sql::RESERVED_BY, &params![old, top.height]).await? {
            if reserved.get::<bool>("usable")? {
                coins.push(read_coin(&reserved)?);
            }
        }
        if coins.is_empty() {
            return Err(cannot("none of its coins is there any more"));
        }
        let (_, script) = self.new_address(tx, asset, Keychain::Change).await?;
        let all = coins.iter().try_fold(0_i64, |sum, c| sum.checked_add(c.value));
        let all = all.ok_or(TreasuryError::Damaged("coins worth more than there is"))?;
        // It replaces any form of the other that nodes have (BIP 125): it pays what the dearest of them may pay, and
        // for its own relaying. No form is larger than the plan with its signatures.
        let dearest: i64 = tx.fetch_one(sql::DEAREST_FORM, &params![old]).await?.get("fee")?;
        let signatures = wallet.keys.satisfaction_weight_max() * plan.input.len() as u64 + 2;
        let relayed = wallet.policy.rate_floor.fee(plan.weight().to_wu() + signatures);
        let fee = dearest.max(row.fee).saturating_add(relayed);
        let back = all.saturating_sub(fee);
        if back < wallet.policy.dust(&script) {
            return Err(cannot("its coins are worth less than that would cost"));
        }
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        // What its coins are worth stands there with them.
        if hot < fee {
            return Err(TreasuryError::Damaged("coins of ours are not in the books"));
        }
        let plan = transaction::to_bytes(&transaction::build(&coins, &[(script, back)])?);
        let values = params![new, asset, plan, fee, fee, self.now()];
        tx.execute(sql::INSERT_BATCH, &values).await?;
        tx.execute(sql::SET_REPLACES, &params![new, old]).await?;
        let nobody: Option<&[u8]> = None;
        let values = params![new, asset, "withdrawal", 0_i64, nobody];
        tx.execute(sql::INSERT_MOVE, &values).await?;
        self.passing("withdrawal planned, before commit")?;
        Ok(())
    }

    /// Payouts whose transaction was withdrawn wait for a person.
    pub(crate) async fn after_withdrawal(&self, tx: &mut Tx, ids: &[PayoutId]) -> Result<()> {
        for id in ids {
            let values = params![*id, PayoutState::Requested.word(), WITHDRAWN, self.now()];
            tx.execute(sql::SET_PAYOUT_STATE, &values).await?;
        }
        Ok(())
    }
}

impl Payer {
    /// Brings the orders of a coin that is signed elsewhere on: written, asked for, taken.
    pub(crate) async fn step_orders(
        &self,
        wallet: &Wallet,
        progress: &mut PayerProgress,
    ) -> Result<()> {
        let Some(signer) = &wallet.signer else { return Ok(()) };
        let treasury = &self.treasury;
        treasury.write_orders(wallet).await?;
        let now = treasury.now();
        let due = {
            let mut tx = treasury.0.store.read().await?;
            if is_locked(&mut tx, wallet.asset()).await? {
                return Ok(());
            }
            tx.fetch_all(sql::ORDERS_WAITING, &params![wallet.asset(), crate::payer::OPEN_MAX])
                .await?
        };
        let mut asked = 0;
        for row in due {
            let (batch, form): ([u8; 16], u32) = (row.get("batch")?, row.get("form")?);
            let name = name_of(wallet.asset(), &batch, form);
            let last = self.asked.lock().await.get(&name).copied();
            let is_due = last.is_none_or(|at| now < at || now.since(at) >= ASK_EVERY);
            if !is_due || asked >= ROUND_MAX {
                continue;
            }
            asked += 1;
            let psbt: Vec<u8> = {
                let mut tx = treasury.0.store.read().await?;
                tx.fetch_one(sql::ORDER_PSBT, &params![batch, form]).await?.get("psbt")?
            };
            treasury.passing("before asking the signer")?;
            let said = signer.door.ask(&name, &psbt).await;
            treasury.passing("signer asked, before it is noted")?;
            self.asked.lock().await.insert(name.clone(), now);
            match said {
                Ok(SignerWord::Waits) => {}
                Ok(SignerWord::Refused(why)) => {
                    tracing::warn!(order = name, why, "the signer refuses an order");
                    transact!(treasury.0.store, tx -> Result<()> => {
                        treasury.note_answer(tx, batch, form, &format!("refused: {why}")).await
                    })?;
                }
                Ok(SignerWord::Signed(bytes)) => {
                    if treasury.take_answer(wallet, (batch, form), &bytes).await? {
                        progress.signed += 1;
                        // It goes out at once.
                        self.sent.lock().await.remove(&batch);
                        self.asked.lock().await.remove(&name);
                        signer.door.over(&name).await;
                    }
                }
                Err(why) => {
                    tracing::warn!(order = name, why, "the way to the signer is not open");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Forgets when orders were asked for so long ago that it decides nothing.
    pub(crate) async fn forget_asked(&self) {
        let now = self.treasury.now();
        self.asked.lock().await.retain(|_, at| now < *at || now.since(*at) < ASK_EVERY);
    }
}

/// The transactions that made some coins, by the blocks that they stand in.
async fn makers_of(
    tx: &mut Tx,
    asset: Asset,
    coins: &[Coin],
) -> Result<BTreeMap<[u8; 32], Vec<[u8; 32]>>> {
    let mut makers: BTreeMap<[u8; 32], Vec<[u8; 32]>> = BTreeMap::new();
    for coin in coins {
        let key = params![asset, coin.txid, coin.vout];
        let row = tx.fetch_one(sql::MADE_IN, &key).await?;
        let txids = makers.entry(row.get("hash")?).or_default();
        if !txids.contains(&coin.txid) {
            txids.push(coin.txid);
        }
    }
    Ok(makers)
}

/// Which outputs of a plan return to which change address.
async fn change_of(tx: &mut Tx, asset: Asset, plan: &Transaction) -> Result<Vec<(usize, u32)>> {
    let mut returns = Vec::new();
    for (at, output) in plan.output.iter().enumerate() {
        let script = output.script_pubkey.as_bytes();
        let key = params![asset, script, Keychain::Change.number()];
        if let Some(row) = tx.fetch_optional(sql::ADDRESS_INDEX, &key).await? {
            returns.push((at, row.get("key_index")?));
        }
    }
    Ok(returns)
}

fn read_order(row: &Row) -> Result<Order> {
    let asset: Asset = row.get("asset")?;
    let (order, batch): (String, String) = (row.get("state")?, row.get("batch_state")?);
    let outcome = match (order.as_str(), batch.as_str()) {
        (_, "confirmed") => Outcome::Confirmed,
        (_, "void") => Outcome::Void,
        ("waiting", _) => Outcome::Waiting,
        _ => Outcome::Signed,
    };
    let withdraws: Option<[u8; 16]> = row.get("replaces")?;
    Ok(Order {
        id: PayoutId::from_bytes(row.get("batch")?),
        form: row.get("form")?,
        asset,
        pays: Amount::new(asset, row.get("pays")?),
        payouts: row.get("payouts")?,
        fee: Amount::new(asset, row.get("fee")?),
        ordered: row.get("ordered_at")?,
        outcome,
        answer: row.get("answer")?,
        withdraws: withdraws.map(PayoutId::from_bytes),
    })
}
