//! Ways to pay an invoice, what was paid, and what waits for a person.

use crate::api::{amount, answer, time};
use crate::console::typed;
use crate::extract::{Customer, Id, Json, Staff};
use crate::failure::Failure;
use crate::state::AppState;
use crate::trade::treasury_failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_treasury::bank::written_reference;
use gruve_treasury::{BankEntryView, BankWord, Invoice, PayInFor, Payment, Purpose};
use gruve_units::{BankEntryId, InvoiceId};
use serde::Deserialize;
use serde_json::{Value, json};

/// How an invoice can be paid, one entry a method.
pub(crate) fn methods(state: &AppState, inv: &Invoice) -> Value {
    let mut all = Vec::new();
    if !inv.state.is_open() {
        return json!(all);
    }
    if !inv.asset().is_fiat() {
        let what = json!({ "method": "chain", "address": inv.address, "uri": inv.uri() });
        all.push(what);
    }
    if let Some(bank) = state.treasury().bank(inv.asset()) {
        all.push(json!({
            "method": "bank",
            "iban": bank.iban,
            "bic": bank.bic,
            "holder": bank.holder,
            "reference": inv.address,
            "written": written_reference(&inv.address),
            "amount": amount(inv.to_pay()),
        }));
    }
    if let Purpose::Contract(_) = inv.purpose {
        let path = format!("/api/v1/invoices/{}/balance", inv.id);
        all.push(json!({ "method": "balance", "post": path }));
    }
    json!(all)
}

/// `POST /api/v1/invoices/{id}/balance`: pays the rest of it from the balance.
pub(crate) async fn pay_from_balance(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Response, Failure> {
    let inv = state.pay_from_balance(customer.account, id).await?;
    Ok(answer(StatusCode::OK, super::contracts::invoice_body(&state, &inv)))
}

/// `GET /api/v1/payments`: what came by other methods than the invoices' own addresses.
pub(crate) async fn payments(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.treasury().payments(customer.account).await?;
    Ok(answer(StatusCode::OK, all.iter().map(payment).collect()))
}

fn payment(p: &Payment) -> Value {
    json!({
        "payment": p.id,
        "method": p.method.word(),
        "amount": amount(p.amount),
        "taken_back": amount(p.taken),
        "invoice": p.invoice,
        "at": time(p.arrived),
    })
}

/// `GET /api/v1/console/pay-ins`: transfers that wait for a person, oldest first.
pub(crate) async fn waiting(State(state): State<AppState>, _: Staff) -> Result<Response, Failure> {
    let all = state.treasury().bank_entries_waiting().await?;
    Ok(answer(StatusCode::OK, all.iter().map(entry).collect()))
}

fn entry(e: &BankEntryView) -> Value {
    json!({
        "id": e.id,
        "bank": e.bank,
        "statement": e.statement,
        "bank_reference": e.own_ref,
        "amount": e.amount.map(amount),
        "booked_on": e.booked_on,
        "payer": e.payer,
        "payer_account": e.payer_account,
        "text": e.text,
        "reason": e.reason,
        "arrived_at": time(e.arrived),
    })
}

/// A person's word.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    /// `invoice`, `account`, `sent-back`, `taken-back` or `dismissed`.
    pub(crate) word: String,
    /// The invoice's, the account's or the payment's id.
    #[serde(default)]
    pub(crate) id: String,
    /// Why, for whoever reads the books.
    #[serde(default)]
    pub(crate) why: String,
}

impl Word {
    fn read(&self) -> Result<BankWord, Failure> {
        Ok(match self.word.as_str() {
            "invoice" => {
                let id = typed(&self.id, "write the invoice's id")?;
                BankWord::Belongs(PayInFor::Invoice(id))
            }
            "account" => {
                let id = typed(&self.id, "write the account's id")?;
                BankWord::Belongs(PayInFor::Account(id))
            }
            "taken-back" => BankWord::TakesBack(typed(&self.id, "write the payment's id")?),
            "sent-back" => BankWord::SentBack,
            "dismissed" => BankWord::Dismissed,
            _ => {
                let words = "`word` is invoice, account, sent-back, taken-back or dismissed.";
                return Err(Failure::refused(words));
            }
        })
    }

    /// Carries it out, and writes it into the security log.
    pub(crate) async fn carry_out(
        &self,
        state: &AppState,
        staff: Staff,
        id: BankEntryId,
    ) -> Result<(), Failure> {
        let word = self.read()?;
        if let BankWord::Belongs(PayInFor::Account(account)) = word {
            let found = state.accounts().customer(account).await?;
            found.ok_or_else(|| Failure::not_found("customer"))?;
        }
        let done = async {
            let decided = state.treasury().decide_bank_entry(id, &word, self.why.trim()).await;
            decided.map_err(|e| treasury_failure(&e))
        };
        let detail = format!("{id} {} {}", self.word, self.id.trim());
        state.act(staff, None, "pay-in.decide", &detail, done).await
    }
}

/// `POST /api/v1/console/pay-ins/{id}`
pub(crate) async fn decide(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<BankEntryId>,
    Json(word): Json<Word>,
) -> Result<Response, Failure> {
    word.carry_out(&state, staff, id).await?;
    Ok(answer(StatusCode::OK, json!({ "id": id, "word": word.word })))
}
