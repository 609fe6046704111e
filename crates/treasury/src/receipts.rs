//! What comes from outside: arrivals, credits, and both undone.
//!
//! | moment | debit | credit |
//! |---|---|---|
//! | in a block | chain hot | unmatched receipts (capital, for the operator's own address) |
//! | deep enough, invoice open, for a contract | unmatched receipts | customer held |
//! | deep enough, otherwise | unmatched receipts | customer available |
//! | invoice paid or expired | customer held | customer available |
//!
//! Undone, the sides are turned; what an account no longer has is debited to loss instead, and
//! the receipt remembers how much, so that its return makes the loss good first.

use crate::blocks::{CoinbaseReward, Standing};
use crate::books::{Draft, at_most};
use crate::keys::Keychain;
use crate::spends::BatchesInBlock;
use crate::sql;
use crate::treasury::Wallet;
use crate::{Invoice, Purpose, Result, ScriptForm, Treasury, TreasuryError};
use gruve_chain::{LeanBlock, LeanTx};
use gruve_ledger::Account;
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Amount, InvoiceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// An output that pays us.
pub(crate) struct OurOutput {
    pub(crate) tx_at: usize,
    pub(crate) vout: u32,
    pub(crate) value: i64,
    pub(crate) keychain: Keychain,
    pub(crate) index: u32,
}

fn output_number(at: usize) -> Result<u32> {
    u32::try_from(at).map_err(|_| TreasuryError::Damaged("an output number above 32 bits"))
}

/// The account that what comes to a keychain waits in.
fn arrival_account(keychain: Keychain) -> Account {
    match keychain {
        Keychain::Capital => Account::Capital,
        Keychain::PayIn | Keychain::Change | Keychain::Coinbase => Account::UnmatchedReceipts,
    }
}

impl Wallet {
    /// Whether a script has the form of this wallet's addresses.
    pub(crate) fn could_be_ours(&self, script: &[u8]) -> bool {
        match self.keys.form() {
            ScriptForm::Wpkh => script.len() == 22 && script.starts_with(&[0, 20]),
            ScriptForm::Pkh => script.len() == 25 && script.starts_with(&[0x76, 0xa9, 20]),
        }
    }

    /// What the coinbase of a block pays to our coinbase script.
    pub(crate) fn rewards(&self, height: u64, block: &LeanBlock) -> Result<Option<CoinbaseReward>> {
        let script = &self.fixed[0].1;
        let mut value = Amount::zero(self.asset());
        for output in block.txs.iter().filter(|t| t.coinbase).flat_map(|t| &t.outputs) {
            if output.script == *script {
                value = value.checked_add(Amount::new(self.asset(), output.value))?;
            }
        }
        let block_time = Timestamp::from_secs(i64::from(block.time));
        let reward = CoinbaseReward { block_hash: block.hash, height, block_time, value };
        Ok((value.minor > 0).then_some(reward))
    }
}

impl Treasury {
    /// The outputs of some transactions, a block's or a pool's, that pay us.
    pub(crate) async fn our_outputs(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        txs: &[LeanTx],
    ) -> Result<Vec<OurOutput>> {
        let candidates =
            |t: &LeanTx| t.outputs.iter().any(|o| o.value > 0 && wallet.could_be_ours(&o.script));
        let scripts: BTreeSet<&[u8]> = txs
            .iter()
            .filter(|t| candidates(t))
            .flat_map(|t| &t.outputs)
            .filter(|o| o.value > 0 && wallet.could_be_ours(&o.script))
            .map(|o| o.script.as_slice())
            .collect();
        let keys: Vec<&[u8]> = scripts.into_iter().collect();
        let mut known: BTreeMap<Vec<u8>, (Keychain, u32)> =
            wallet.fixed.iter().map(|(k, script)| (script.clone(), (*k, 0))).collect();
        for row in sql::among(tx, &sql::ADDRESSES_AMONG, wallet.asset(), &keys).await? {
            let keychain = Keychain::from_number(row.get("keychain")?)
                .ok_or(TreasuryError::Damaged("unknown keychain"))?;
            known.insert(row.get("script")?, (keychain, row.get("key_index")?));
        }
        let mut ours = Vec::new();
        for (tx_at, t) in txs.iter().enumerate() {
            for (vout, output) in t.outputs.iter().enumerate().filter(|(_, o)| o.value > 0) {
                if let Some(&(keychain, index)) = known.get(&output.script) {
                    let vout = output_number(vout)?;
                    ours.push(OurOutput { tx_at, vout, value: output.value, keychain, index });
                }
            }
        }
        Ok(ours)
    }

    /// Records the coins a block makes for us, and books what comes from outside.
    #[allow(clippy::too_many_arguments)] // one step of connect_block, split off for its length
    pub(crate) async fn book_arrivals(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        standing: &Standing,
        block: &LeanBlock,
        ours: &[OurOutput],
        batches: &BatchesInBlock,
        touched: &mut BTreeSet<InvoiceId>,
    ) -> Result<()> {
        for output in ours {
            let t = &block.txs[output.tx_at];
            let usual = wallet.ripe_height(standing.height, t.coinbase, t.hogex);
            let reward = t.coinbase && output.keychain == Keychain::Coinbase;
            let change = output.keychain == Keychain::Change && batches.contains_key(&output.tx_at);
            let origin = match (reward, change) {
                (true, _) => "reward",
                (false, true) => "change",
                (false, false) => "receipt",
            };
            let ripe_height = if origin == "receipt" {
                let steps = (standing.asset, wallet.depths.as_slice());
                self.ripe_by_amount(tx, steps, standing.height, output, usual).await?
            } else {
                usual
            };
            let values = params![
                standing.asset,
                t.txid,
                output.vout,
                output.value,
                output.keychain.number(),
                output.index,
                origin,
                standing.height,
                ripe_height
            ];
            tx.execute(sql::INSERT_UTXO, &values).await?;
            if origin == "change" {
                self.address_used(tx, standing.asset, output.keychain, output.index).await?;
            }
            if origin == "receipt" {
                let invoice = self.book_receipt(tx, standing, &t.txid, output, ripe_height).await?;
                touched.extend(invoice);
            }
        }
        Ok(())
    }

    pub(crate) async fn book_receipt(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        txid: &[u8; 32],
        output: &OurOutput,
        ripe_height: u64,
    ) -> Result<Option<InvoiceId>> {
        self.address_used(tx, standing.asset, output.keychain, output.index).await?;
        let key = params![standing.asset, *txid, output.vout];
        let before = tx.fetch_optional(sql::RECEIPT, &key).await?;
        let invoice = match output.keychain {
            Keychain::PayIn => {
                let key = params![standing.asset, output.index];
                let row = tx.fetch_optional(sql::INVOICE_BY_INDEX, &key).await?;
                row.map(|r| r.get("id")).transpose()?
            }
            Keychain::Change | Keychain::Coinbase | Keychain::Capital => None,
        };
        let lost: i64 = match before {
            Some(row) => {
                let values =
                    params![standing.asset, *txid, output.vout, standing.height, ripe_height];
                tx.execute(sql::RECEIPT_RETURNED, &values).await?;
                row.get("arrival_lost")?
            }
            None => {
                let values = params![
                    standing.asset,
                    *txid,
                    output.vout,
                    output.value,
                    output.keychain.number(),
                    invoice,
                    standing.height,
                    ripe_height,
                    standing.now
                ];
                tx.execute(sql::INSERT_RECEIPT, &values).await?;
                0
            }
        };
        Draft::new(standing.asset)
            .debit(Account::ChainHot, output.value)
            .credit(arrival_account(output.keychain), output.value - lost)
            .credit(Account::Loss, lost)
            .post(
                tx,
                "treasury-receipt",
                standing.output_reason("receipt", txid, output.vout),
                standing.now,
            )
            .await?;
        Ok(invoice)
    }

    /// Credits receipts to customers that have become deep enough.
    pub(crate) async fn credit_ripe(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        touched: &mut BTreeSet<InvoiceId>,
    ) -> Result<()> {
        let key = params![standing.asset, standing.height];
        for row in tx.fetch_all(sql::RIPE_RECEIPTS, &key).await? {
            let txid: [u8; 32] = row.get("txid")?;
            let (vout, value, lost): (u32, i64, i64) =
                (row.get("vout")?, row.get("value")?, row.get("credit_lost")?);
            let invoice = self.invoice_row(tx, row.get("invoice")?).await?;
            let invoice = invoice.ok_or(TreasuryError::Damaged("a receipt without its invoice"))?;
            let (credit, account) = credit_account(&invoice, row.get("seen_at")?);
            let values = params![standing.asset, txid, vout, credit, value - lost, standing.height];
            if tx.execute(sql::CREDIT_RECEIPT, &values).await? != 1 {
                return Err(TreasuryError::Damaged("a receipt was credited twice"));
            }
            Draft::new(standing.asset)
                .debit(Account::UnmatchedReceipts, value)
                .credit(account, value - lost)
                .credit(Account::Loss, lost)
                .post(
                    tx,
                    "treasury-credit",
                    standing.output_reason("credit", &txid, vout),
                    standing.now,
                )
                .await?;
            touched.insert(invoice.id);
        }
        Ok(())
    }

    /// Takes back the credits of the newest block.
    pub(crate) async fn undo_credits(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        touched: &mut BTreeSet<InvoiceId>,
    ) -> Result<()> {
        let key = params![standing.asset, standing.height];
        for row in tx.fetch_all(sql::RECEIPTS_CREDITED_AT, &key).await? {
            let txid: [u8; 32] = row.get("txid")?;
            let (vout, value): (u32, i64) = (row.get("vout")?, row.get("value")?);
            let customer: AccountId = row.get("account")?;
            let account = match row.get::<String>("credit")?.as_str() {
                "held" => Account::CustomerHeld(customer),
                _ => Account::CustomerAvailable(customer),
            };
            let credited = row.get("credited")?;
            let taken = at_most(tx, &account, standing.asset, credited).await?;
            if taken < credited {
                let short = Amount::new(standing.asset, credited - taken);
                tracing::warn!(%short, %customer, "a reorganisation took back what was spent");
            }
            Draft::new(standing.asset)
                .debit(account, taken)
                .debit(Account::Loss, value - taken)
                .credit(Account::UnmatchedReceipts, value)
                .post(
                    tx,
                    "treasury-credit-undone",
                    standing.output_reason("credit-undone", &txid, vout),
                    standing.now,
                )
                .await?;
            let values = params![standing.asset, txid, vout, value - taken];
            tx.execute(sql::UNCREDIT_RECEIPT, &values).await?;
            touched.insert(row.get("invoice")?);
        }
        Ok(())
    }

    /// Takes away the coins the newest block made; says whether there was a reward among them.
    pub(crate) async fn undo_arrivals(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        touched: &mut BTreeSet<InvoiceId>,
    ) -> Result<bool> {
        let key = params![standing.asset, standing.height];
        let mut had_reward = false;
        for row in tx.fetch_all(sql::UTXOS_AT, &key).await? {
            let origin: String = row.get("origin")?;
            had_reward |= origin == "reward";
            if origin != "receipt" {
                continue;
            }
            self.undo_receipt(tx, standing, &row, touched).await?;
        }
        tx.execute(sql::DELETE_UTXOS_AT, &key).await?;
        Ok(had_reward)
    }

    /// Takes back what a receipt's arrival booked.
    pub(crate) async fn undo_receipt(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        row: &Row,
        touched: &mut BTreeSet<InvoiceId>,
    ) -> Result<()> {
        let txid: [u8; 32] = row.get("txid")?;
        let (vout, value): (u32, i64) = (row.get("vout")?, row.get("value")?);
        let keychain = Keychain::from_number(row.get("keychain")?)
            .ok_or(TreasuryError::Damaged("unknown keychain"))?;
        let account = arrival_account(keychain);
        let taken = at_most(tx, &account, standing.asset, value).await?;
        Draft::new(standing.asset)
            .debit(account, taken)
            .debit(Account::Loss, value - taken)
            .credit(Account::ChainHot, value)
            .post(
                tx,
                "treasury-receipt-undone",
                standing.output_reason("receipt-undone", &txid, vout),
                standing.now,
            )
            .await?;
        let values = params![standing.asset, txid, vout, value - taken];
        tx.execute(sql::RECEIPT_GONE, &values).await?;
        touched.extend(row.get::<Option<InvoiceId>>("invoice")?);
        Ok(())
    }
}

/// Where a confirmed receipt of an invoice goes: held while it is part of a price still to be
/// paid whole, so that it cannot be withdrawn meanwhile.
fn credit_account(invoice: &Invoice, seen: Timestamp) -> (&'static str, Account) {
    let counts = match invoice.purpose {
        Purpose::Contract(_) => true,
        Purpose::Conversion(c) => seen <= c.until,
        Purpose::TopUp => false,
    };
    if counts && invoice.state.is_open() {
        ("held", Account::CustomerHeld(invoice.account))
    } else {
        ("available", Account::CustomerAvailable(invoice.account))
    }
}
