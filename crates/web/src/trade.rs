//! What customers do with money: buying and paying. Each call checks whose it is. Withdrawing: [`crate::withdrawing`].

use crate::api::contracts::Span;
use crate::failure::{Failure, sentence};
use crate::state::AppState;
use crate::view::Bought;
use gruve_ledger::LedgerError;
use gruve_market::metered::{MeteredState, MeteredView, Started};
use gruve_market::statement::Statement;
use gruve_market::{Cancelled, Choice, ContractView, MarketError, SignedTerms};
use gruve_store::{StoreError, params, statements, transact};
use gruve_treasury::{Invoice, Method, NewInvoice, Purpose, REQUEST_KEY_BYTES_MAX, TreasuryError};
use gruve_units::{AccountId, Amount, Blame, Blamed, ContractId, EpochNumber, InvoiceId, QuoteId};
use std::time::Duration;

/// How long the invoice of an account that never paid for a contract stays open: time to pay by hand.
/// A payment that has been seen holds it open beyond that.
pub(crate) const FIRST_INVOICE_TTL: Duration = Duration::from_secs(20 * 60);

statements! {
    /// What a quote of an account led to.
    PURCHASE = "SELECT contract, invoice FROM web_purchases WHERE quote = $1 AND account = $2";
    /// The invoice of a contract.
    INVOICE_OF_CONTRACT = "SELECT invoice FROM web_purchases WHERE contract = $1 AND account = $2";
    /// Writes down what a quote led to.
    INSERT_PURCHASE = "INSERT INTO web_purchases (quote, account, contract, invoice, made_at) \
        VALUES ($1, $2, $3, $4, $5)";
}

/// Why a quote was not bought.
#[derive(Debug, thiserror::Error)]
enum BuyError {
    #[error(transparent)]
    Market(#[from] MarketError),
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuyError {
    fn failure(&self) -> Failure {
        match self {
            BuyError::Market(m) => market_failure(m),
            BuyError::Treasury(t) => treasury_failure(t),
            BuyError::Store(s) => Failure::of(s),
        }
    }
}

impl Blamed for BuyError {
    fn blame(&self) -> Blame {
        match self {
            BuyError::Market(e) => e.blame(),
            BuyError::Treasury(e) => e.blame(),
            BuyError::Store(e) => e.blame(),
        }
    }
}

impl AppState {
    /// Buys a quote: contract, capacity and invoice in one transaction. Asking again gives the same.
    pub(crate) async fn buy(&self, account: AccountId, quote: QuoteId) -> Result<Bought, Failure> {
        let bought = transact!(self.store(), tx -> Result<Bought, BuyError> => {
            if let Some(row) = tx.fetch_optional(PURCHASE, &params![quote, account]).await? {
                return Ok(Bought { contract: row.get("contract")?, invoice: row.get("invoice")? });
            }
            let p = self.market().buy(tx, account, quote).await?;
            let new = NewInvoice {
                account,
                amount: p.due,
                purpose: Purpose::Contract(p.contract),
                ttl: if p.is_first {
                    self.invoice_ttl().min(FIRST_INVOICE_TTL)
                } else {
                    self.invoice_ttl()
                },
            };
            let invoice = self.treasury().create_invoice(tx, new).await?;
            let row = params![quote, account, p.contract, invoice.id, self.now()];
            tx.execute(INSERT_PURCHASE, &row).await?;
            Ok(Bought { contract: p.contract, invoice: invoice.id })
        });
        bought.map_err(|e| e.failure())
    }

    /// Takes a contract back: the contract, and what was still to be paid for it, in one transaction. Asking
    /// again gives the same.
    pub(crate) async fn cancel_contract(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<Cancelled, Failure> {
        let cancelled = transact!(self.store(), tx -> Result<Cancelled, BuyError> => {
            let cancelled = self.market().cancel(tx, account, id).await?;
            let row = tx.fetch_optional(INVOICE_OF_CONTRACT, &params![id, account]).await?;
            if let Some(row) = row {
                let invoice = row.get("invoice")?;
                if !cancelled.before {
                    self.treasury().refuse_if_converted(tx, invoice).await?;
                }
                self.treasury().end_invoice(tx, invoice).await?;
            }
            Ok(cancelled)
        });
        self.pulse().beat();
        cancelled.map_err(|e| e.failure())
    }

    /// Decides about work that a contract of the account missed by the operator's doing.
    pub(crate) async fn choose(
        &self,
        account: AccountId,
        id: ContractId,
        epoch: EpochNumber,
        choice: Choice,
    ) -> Result<(), Failure> {
        let chosen = self.market().choose(account, id, epoch, choice).await;
        self.pulse().beat();
        chosen.map_err(|e| market_failure(&e))
    }

    /// Has a contract of the account run although it does not pay, or leaves it to its plan.
    pub(crate) async fn keep_running(
        &self,
        account: AccountId,
        id: ContractId,
        keep: bool,
    ) -> Result<(), Failure> {
        let kept = self.market().keep_running(account, id, keep).await;
        self.pulse().beat();
        kept.map_err(|e| market_failure(&e))
    }

    /// A quote for an account.
    pub(crate) async fn quote(
        &self,
        account: AccountId,
        plan: &str,
        hashrate: gruve_units::Hashrate,
        term_epochs: u64,
    ) -> Result<gruve_market::Quote, Failure> {
        let quote = self.market().quote(account, plan, hashrate, term_epochs).await;
        quote.map_err(|e| market_failure(&e))
    }

    /// A contract of the account.
    pub(crate) async fn contract(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<ContractView, Failure> {
        self.market().contract(account, id).await.map_err(|e| market_failure(&e))
    }

    /// The signed terms of a contract of the account.
    pub(crate) async fn signed_terms(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<SignedTerms, Failure> {
        self.market().signed_terms(account, id).await.map_err(|e| market_failure(&e))
    }

    /// A page of the statement of a contract of the account.
    pub(crate) async fn contract_statement(
        &self,
        account: AccountId,
        id: ContractId,
        span: &Span,
    ) -> Result<Statement, Failure> {
        let from = span.from.map(EpochNumber);
        let most = span.limit.unwrap_or(usize::MAX);
        let page = self.market().statement(account, id, from, most).await;
        page.map_err(|e| market_failure(&e))
    }

    /// Starts a metered contract; the same key again gives the same.
    pub(crate) async fn start_metered(
        &self,
        account: AccountId,
        plan: &str,
        hashrate: gruve_units::Hashrate,
        key: Option<String>,
    ) -> Result<Started, Failure> {
        let started = transact!(self.store(), tx -> Result<Started, MarketError> => {
            self.market().start_metered(tx, account, plan, hashrate, key.as_deref()).await
        });
        self.pulse().beat();
        started.map_err(|e| market_failure(&e))
    }

    /// Ends a metered contract of the account.
    pub(crate) async fn end_metered(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<MeteredState, Failure> {
        let ended = transact!(self.store(), tx -> Result<MeteredState, MarketError> => {
            self.market().end_metered(tx, account, id).await
        });
        self.pulse().beat();
        ended.map_err(|e| market_failure(&e))
    }

    /// A metered contract of the account.
    pub(crate) async fn metered(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<MeteredView, Failure> {
        self.market().metered(account, id).await.map_err(|e| market_failure(&e))
    }

    /// An invoice that fills the account's balance.
    pub(crate) async fn top_up(
        &self,
        account: AccountId,
        amount: Amount,
    ) -> Result<Invoice, Failure> {
        if amount.minor <= 0 {
            return Err(Failure::refused("The amount must be above zero."));
        }
        let ttl = self.invoice_ttl();
        let made = transact!(self.store(), tx -> Result<Invoice, TreasuryError> => {
            let new = NewInvoice { account, amount, purpose: Purpose::TopUp, ttl };
            self.treasury().create_invoice(tx, new).await
        });
        made.map_err(|e| treasury_failure(&e))
    }

    /// Pays the rest of an invoice of the account out of its balance.
    pub(crate) async fn pay_from_balance(
        &self,
        account: AccountId,
        id: InvoiceId,
    ) -> Result<Invoice, Failure> {
        let paid = self.treasury().pay_from_balance(account, id).await;
        self.pulse().beat();
        paid.map_err(|e| treasury_failure(&e))
    }

    /// Where an invoice of the account is paid at another service.
    pub(crate) async fn open_checkout(
        &self,
        account: AccountId,
        id: InvoiceId,
        method: &str,
    ) -> Result<String, Failure> {
        let known = [Method::Card, Method::BtcPay].into_iter().find(|m| m.word() == method);
        let method = known.ok_or_else(|| Failure::refused("`method` is card or btcpay."))?;
        let opened = self.treasury().open_checkout(account, id, method).await;
        opened.map_err(|e| treasury_failure(&e))
    }

    /// An invoice of the account.
    pub(crate) async fn invoice(
        &self,
        account: AccountId,
        id: InvoiceId,
    ) -> Result<Invoice, Failure> {
        let found = self.treasury().invoice(id).await?;
        found.filter(|i| i.account == account).ok_or_else(|| Failure::not_found("invoice"))
    }

    /// The invoice by which a contract of the account was or is to be paid.
    pub(crate) async fn invoice_of_contract(
        &self,
        account: AccountId,
        contract: ContractId,
    ) -> Result<Option<Invoice>, Failure> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(INVOICE_OF_CONTRACT, &params![contract, account]).await?;
        drop(tx);
        match row {
            Some(row) => Ok(self.treasury().invoice(row.get("invoice")?).await?),
            None => Ok(None),
        }
    }
}

/// What a refusal of the market is over HTTP.
pub(crate) fn market_failure(e: &MarketError) -> Failure {
    let text = || sentence(&e.to_string());
    match e {
        MarketError::UnknownContract => Failure::not_found("contract"),
        MarketError::UnknownQuote => Failure::not_found("quote"),
        MarketError::UnknownPlan => Failure::not_found("plan"),
        MarketError::UnknownLane(_) => Failure::not_found("lane"),
        MarketError::QuoteExpired => Failure::conflict("quote-expired", text()),
        MarketError::QuoteUsed => Failure::conflict("quote-used", text()),
        MarketError::SoldOut { .. } => Failure::conflict("sold-out", text()),
        MarketError::FppsFigures { .. } | MarketError::FppsReserve { .. } => {
            Failure::conflict("not-on-sale", text())
        }
        MarketError::NoStatement(_) => Failure::conflict("no-statement", text()),
        MarketError::QuoteVoid { .. } => Failure::conflict("quote-void", text()),
        MarketError::HasBegun => Failure::conflict("has-begun", text()),
        MarketError::TooEarly { .. } => Failure::conflict("too-early", text()),
        MarketError::WrongState { .. } => Failure::conflict("wrong-state", text()),
        MarketError::NothingToDecide => Failure::conflict("nothing-to-decide", text()),
        MarketError::PriceNotCovered { .. } => Failure::conflict("balance-too-low", text()),
        MarketError::HeldByYou { .. } | MarketError::HeldUnpaid { .. } => {
            Failure::conflict("held-unpaid", text())
        }
        MarketError::BalanceTooLow { available, .. } => Failure::insufficient(*available),
        MarketError::KeyReused => Failure::key_reused(),
        MarketError::TooMany { .. } => Failure::too_many(text()),
        other => Failure::of(other),
    }
}

/// What a refusal of the treasury is over HTTP.
pub(crate) fn treasury_failure(e: &TreasuryError) -> Failure {
    let text = || sentence(&e.to_string());
    match e {
        // The ledger names the account by its key; the customer knows it as the balance.
        TreasuryError::Ledger(LedgerError::InsufficientFunds { available, .. }) => {
            Failure::insufficient(*available)
        }
        TreasuryError::NoPayout => Failure::not_found("payout"),
        TreasuryError::NoInvoice => Failure::not_found("invoice"),
        TreasuryError::NoPayment => Failure::conflict("nothing-to-decide", text()),
        TreasuryError::Closed => Failure::conflict("invoice-closed", text()),
        TreasuryError::Disputed => Failure::conflict("disputed", text()),
        TreasuryError::Converted => Failure::conflict("converted", text()),
        TreasuryError::NeedsALook(_) => Failure::conflict("needs-a-look", text()),
        TreasuryError::Service { method, why, .. } => {
            tracing::warn!(%method, why, "a service did not do as asked");
            Failure::busy(
                "Paying this way is not possible at the moment. Try again, or another way.",
            )
        }
        TreasuryError::TooLate { .. } => Failure::conflict("too-late", text()),
        TreasuryError::TooMany { .. } | TreasuryError::BegunOften { .. } => {
            Failure::too_many(text())
        }
        TreasuryError::KeyReused => Failure::key_reused(),
        TreasuryError::KeyTooLong { .. } => Failure::key_too_long(REQUEST_KEY_BYTES_MAX),
        other => Failure::of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use crate::state::MIGRATIONS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws, matches_on_both_engines};

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("web", MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
    }

    laws! { purchases: [every_statement_prepares] }
}
