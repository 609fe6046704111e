//! Invoices made, read, closed.

use crate::books::Draft;
use crate::conversion::{read_conversion, sql as conversions};
use crate::sql;
use crate::{
    Invoice, InvoiceState, Keychain, NewInvoice, Purpose, Result, Treasury, TreasuryError,
};
use gruve_chain::address_for_script;
use gruve_chain::eth::EthAddress;
use gruve_ledger::Account;
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, Blame, ContractId, InvoiceId, Timestamp};

/// Addresses watched behind the last one given out: BIP 44's gap limit. A house that catches up with its chain may stand
/// on an older backup, and looks further ([`crate::TreasuryConfig::look_far`]).
pub(crate) const LOOK_AHEAD: u32 = 20;

/// Invoices one list shows at most.
const LIST_MAX: u32 = 200;

impl Treasury {
    /// Makes an invoice with an address of its own.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`], [`TreasuryError::NotPositive`], [`TreasuryError::TooMany`],
    /// [`TreasuryError::TooSmall`] when the network would not relay such a payment.
    pub async fn create_invoice(&self, tx: &mut Tx, new: NewInvoice) -> Result<Invoice> {
        let (asset, now) = (new.amount.asset, self.now());
        let new = self.with_time_for_banks(new);
        let dust = self.least_receipt(asset, &new.purpose)?;
        if new.amount.minor <= 0 {
            return Err(TreasuryError::NotPositive);
        }
        let row = tx.fetch_one(sql::COUNT_OPEN_INVOICES, &params![new.account]).await?;
        let limit = self.0.open_invoices_max;
        if row.get::<i64>("n")? >= i64::from(limit) {
            return Err(TreasuryError::TooMany { what: "invoices", limit });
        }
        if new.amount.minor < dust {
            let dust = Amount::new(asset, dust);
            let fee_max = Amount::zero(asset);
            return Err(TreasuryError::TooSmall { amount: new.amount, fee_max, dust, least: dust });
        }
        let (index, address) = if asset.is_fiat() {
            self.new_reference(tx, asset).await?
        } else {
            let (index, script) = self.new_address(tx, asset, Keychain::PayIn).await?;
            (index, self.written_address(asset, &script)?)
        };
        let id = InvoiceId::new(now, self.0.entropy.as_ref());
        let expires = match &new.purpose {
            Purpose::Conversion(conversion) => conversion.until,
            Purpose::Contract(_) | Purpose::TopUp => now.plus(new.ttl),
        };
        let contract = match new.purpose {
            Purpose::Contract(contract) => Some(contract),
            Purpose::TopUp | Purpose::Conversion(_) => None,
        };
        let values = params![
            id,
            new.account,
            asset,
            new.amount.minor,
            contract,
            address.as_str(),
            index,
            now,
            expires
        ];
        tx.execute(sql::INSERT_INVOICE, &values).await?;
        if let Purpose::Conversion(conversion) = &new.purpose {
            self.store_conversion(tx, id, conversion).await?;
        }
        // Whoever asks for it commits.
        self.passing("invoice made, before commit")?;
        Ok(Invoice {
            id,
            account: new.account,
            amount: new.amount,
            received: Amount::zero(asset),
            confirmed: Amount::zero(asset),
            late: Amount::zero(asset),
            purpose: new.purpose,
            address,
            chain_id: self.chain_id(asset),
            state: InvoiceState::New,
            created: now,
            expires,
        })
    }

    /// The number of an account chain.
    fn chain_id(&self, asset: Asset) -> Option<u64> {
        self.account_wallet(asset).ok().map(|wallet| wallet.chain_id)
    }

    /// The least that a pay-in may ask: what the network relays, or what is worth moving.
    fn least_receipt(&self, asset: Asset, purpose: &Purpose) -> Result<i64> {
        if asset.is_fiat() {
            return self.least_fiat(asset, purpose);
        }
        if let Ok(wallet) = self.account_wallet(asset) {
            return Ok(wallet.policy.least);
        }
        let wallet = self.wallet(asset)?;
        // The scripts of a wallet are of one form and length.
        Ok(wallet.policy.dust(&wallet.fixed[0].1))
    }

    /// An address of ours as people write it.
    pub(crate) fn written_address(&self, asset: Asset, script: &[u8]) -> Result<String> {
        const DAMAGED: TreasuryError = TreasuryError::Damaged("a script of ours has no address");
        if self.account_wallet(asset).is_ok() {
            let address = script.try_into().map(EthAddress);
            return address.map(|a| a.to_string()).map_err(|_| DAMAGED);
        }
        address_for_script(&self.wallet(asset)?.params, script).ok_or(DAMAGED)
    }

    /// The next address of a keychain, recorded as ours.
    pub(crate) async fn new_address(
        &self,
        tx: &mut Tx,
        asset: Asset,
        keychain: Keychain,
    ) -> Result<(u32, Vec<u8>)> {
        let key = params![asset, keychain.number(), 0_i64];
        let index: u32 = tx.fetch_one(sql::NEXT_INDEX, &key).await?.get("next_index")?;
        self.watch_ahead(tx, asset, keychain, index.saturating_add(LOOK_AHEAD)).await?;
        let row = tx.fetch_one(sql::ADDRESS_AT, &params![asset, keychain.number(), index]).await?;
        Ok((index, row.get("script")?))
    }

    /// Watches the addresses up to the one at `until`.
    pub(crate) async fn watch_ahead(
        &self,
        tx: &mut Tx,
        asset: Asset,
        keychain: Keychain,
        until: u32,
    ) -> Result<()> {
        let key = params![asset, keychain.number()];
        let last: i64 = tx.fetch_one(sql::LAST_ADDRESS, &key).await?.get("last")?;
        let first = u32::try_from(last + 1).unwrap_or(0);
        for index in first..=until {
            let script = match self.account_wallet(asset) {
                Ok(wallet) => wallet.keys.address(keychain, index)?.0.to_vec(),
                Err(_) => self.wallet(asset)?.keys.script(keychain, index)?.into_bytes(),
            };
            let values = params![asset, script.as_slice(), keychain.number(), index];
            tx.execute(sql::INSERT_ADDRESS, &values).await?;
        }
        Ok(())
    }

    /// Watches the first addresses, so that those are seen which a life gave out that these tables do not know.
    /// `far` has more of them watched, behind those that these tables have given out.
    pub(crate) async fn watch_first(&self, tx: &mut Tx, asset: Asset, far: bool) -> Result<()> {
        for keychain in [Keychain::PayIn, Keychain::Change] {
            let mut until = LOOK_AHEAD;
            if far {
                let key = params![asset, keychain.number()];
                let row = tx.fetch_optional(sql::GIVEN_INDEX, &key).await?;
                let given: u32 = row.map(|r| r.get("next_index")).transpose()?.unwrap_or(0);
                until = given.saturating_add(self.0.look_far.max(LOOK_AHEAD));
            }
            self.watch_ahead(tx, asset, keychain, until).await?;
        }
        Ok(())
    }

    /// Something came to an address. One that these tables have not given out was given out by a life of the
    /// house that they have forgotten: it is never given to anybody else, and those behind it are watched.
    pub(crate) async fn address_used(
        &self,
        tx: &mut Tx,
        asset: Asset,
        keychain: Keychain,
        index: u32,
    ) -> Result<()> {
        if !matches!(keychain, Keychain::PayIn | Keychain::Change) {
            return Ok(());
        }
        let values = params![asset, keychain.number(), index];
        if tx.execute(sql::USED_INDEX, &values).await? == 1 {
            self.watch_ahead(tx, asset, keychain, index.saturating_add(LOOK_AHEAD)).await?;
            if keychain == Keychain::PayIn {
                self.pass_over_forgotten(tx, asset, Some(index)).await?;
            }
        }
        Ok(())
    }

    /// An invoice. Whose it is, the caller checks.
    ///
    /// # Errors
    /// The database's.
    pub async fn invoice(&self, id: InvoiceId) -> Result<Option<Invoice>> {
        let mut tx = self.0.store.read().await?;
        self.invoice_row(&mut tx, id).await
    }

    /// An account's invoices, newest first, 200 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn invoices(&self, account: AccountId) -> Result<Vec<Invoice>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::INVOICES_OF, &params![account, LIST_MAX]).await?;
        rows.iter().map(|row| read_invoice(self, row)).collect()
    }

    /// An invoice within a transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn invoice_row(&self, tx: &mut Tx, id: InvoiceId) -> Result<Option<Invoice>> {
        let row = tx.fetch_optional(sql::INVOICE, &params![id]).await?;
        row.as_ref().map(|row| read_invoice(self, row)).transpose()
    }

    /// Brings an open invoice's state up to its receipts; says whether that closed it as paid.
    pub(crate) async fn refresh_invoice(
        &self,
        tx: &mut Tx,
        id: InvoiceId,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(mut invoice) = self.invoice_row(tx, id).await? else { return Ok(false) };
        if !invoice.state.is_open() {
            return Ok(false);
        }
        let (in_chain, confirmed) = (invoice.received.minor, invoice.confirmed.minor);
        let state = InvoiceState::by_receipts(invoice.amount.minor, in_chain, confirmed);
        if state != InvoiceState::Confirmed {
            if state != invoice.state {
                tx.execute(sql::SET_INVOICE_STATE, &params![id, state.word()]).await?;
            }
            return Ok(false);
        }
        invoice.state = state;
        self.close_invoice(tx, &invoice, now).await?;
        Ok(true)
    }

    /// Closes an invoice in its new state: what was held becomes available, then who is concerned
    /// is told.
    async fn close_invoice(&self, tx: &mut Tx, invoice: &Invoice, now: Timestamp) -> Result<()> {
        let held: i64 = tx.fetch_one(sql::INVOICE, &params![invoice.id]).await?.get("held")?;
        let values = params![invoice.id, invoice.state.word(), now];
        if tx.execute(sql::CLOSE_INVOICE, &values).await? != 1 {
            return Err(TreasuryError::Damaged("an invoice was closed twice"));
        }
        if held > 0 {
            tx.execute(sql::RELEASE_HELD, &params![invoice.id]).await?;
            tx.execute(sql::RELEASE_HELD_PAYMENTS, &params![invoice.id]).await?;
            Draft::new(invoice.asset())
                .debit(Account::CustomerHeld(invoice.account), held)
                .credit(Account::CustomerAvailable(invoice.account), held)
                .post(
                    tx,
                    "treasury-invoice-closed",
                    format!("treasury:invoice-closed:{}", invoice.id),
                    now,
                )
                .await?;
        }
        match (&invoice.purpose, invoice.state) {
            (Purpose::Conversion(c), InvoiceState::Confirmed) => {
                self.convert(tx, invoice, c, now).await
            }
            (Purpose::Conversion(_), _) => Ok(()),
            _ => {
                tx.execute(conversions::END_CONVERSIONS, &params![invoice.id, now]).await?;
                self.tell_sink(tx, invoice).await
            }
        }
    }

    /// Tells the room above, such that its refusal undoes what it had written and nothing else.
    async fn tell_sink(&self, tx: &mut Tx, invoice: &Invoice) -> Result<()> {
        let Some(sink) = self.0.sink.get() else { return Ok(()) };
        tx.execute(sql::SAVE, &[]).await?;
        let told = match invoice.state {
            InvoiceState::Confirmed => sink.paid(tx, invoice).await,
            _ => sink.expired(tx, invoice).await,
        };
        match told {
            Ok(()) => {}
            Err(e) if e.blame == Blame::Rejected => {
                tracing::warn!(
                    invoice = %invoice.id, state = %invoice.state, error = %e,
                    "an invoice was closed, but not taken; the money is in the customer's balance"
                );
                tx.execute(sql::BACK_TO_SAVED, &[]).await?;
            }
            Err(e) => return Err(TreasuryError::Sink(e)),
        }
        tx.execute(sql::FORGET_SAVED, &[]).await?;
        Ok(())
    }

    /// What an open invoice was for is no more: its time ends now, and so do the rates of coins that would pay it. It is
    /// closed as any that ran out, and what comes after goes to the customer's balance. One that is closed already
    /// stays as it is.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_invoice(&self, tx: &mut Tx, id: InvoiceId) -> Result<()> {
        let now = self.now();
        if tx.execute(sql::END_INVOICE, &params![id, now]).await? > 0 {
            tx.execute(conversions::END_CONVERSIONS, &params![id, now]).await?;
            tx.execute(conversions::END_RATES, &params![id, now]).await?;
        }
        Ok(())
    }

    /// Closes invoices whose time is over. One whose amount stands in blocks already stays open
    /// until the blocks have decided, and so does one that a conversion in blocks would pay.
    ///
    /// Call it only when the follower has caught up with the node (as [`crate::Payer`] does):
    /// otherwise a payment in a block not yet seen would come too late.
    ///
    /// # Errors
    /// The books' and the database's.
    pub async fn expire_invoices(&self, asset: Asset) -> Result<u32> {
        let now = self.now();
        let mut expired = 0;
        let rows = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_all(sql::DUE_INVOICES, &params![asset, now]).await?
        };
        for row in rows {
            let id: InvoiceId = row.get("id")?;
            // One transaction each: an invoice that cannot be closed holds up no other.
            let closed = transact!(self.0.store, tx -> Result<bool> => {
                let Some(mut invoice) = self.invoice_row(tx, id).await? else { return Ok(false) };
                let waiting = invoice.received.minor >= invoice.amount.minor
                    || self.waits_for_conversion(tx, id).await?;
                if !invoice.state.is_open() || invoice.expires >= now || waiting {
                    return Ok(false);
                }
                invoice.state = InvoiceState::Expired;
                self.close_invoice(tx, &invoice, now).await?;
                self.passing("invoice expired, before commit")?;
                Ok(true)
            });
            let closed = match closed {
                Ok(true) => self.passing("invoice expired, after commit").map(|()| true),
                other => other,
            };
            match closed {
                Ok(closed) => expired += u32::from(closed),
                Err(e @ TreasuryError::BrokenOff(_)) => return Err(e),
                Err(e) => tracing::error!(invoice = %id, error = %e, "closing an invoice failed"),
            }
        }
        Ok(expired)
    }
}

pub(crate) fn read_invoice(treasury: &Treasury, row: &Row) -> Result<Invoice> {
    let asset: Asset = row.get("asset")?;
    let chain_id = treasury.chain_id(asset);
    let contract: Option<ContractId> = row.get("contract")?;
    let purpose = match (contract, row.get::<Option<InvoiceId>>("pays")?) {
        (Some(contract), _) => Purpose::Contract(contract),
        (None, Some(_)) => Purpose::Conversion(read_conversion(row)?),
        (None, None) => Purpose::TopUp,
    };
    Ok(Invoice {
        id: row.get("id")?,
        account: row.get("account")?,
        amount: Amount::new(asset, row.get("amount")?),
        received: Amount::new(asset, row.get("in_chain")?),
        confirmed: Amount::new(asset, row.get("confirmed")?),
        late: Amount::new(asset, row.get("late")?),
        purpose,
        address: row.get("address")?,
        chain_id,
        state: row.get::<String>("state")?.parse()?,
        created: row.get("created_at")?,
        expires: row.get("expires_at")?,
    })
}
