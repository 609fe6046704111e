//! Ways to pay an invoice, what was paid, and what waits for a person.

use crate::api::{amount, answer, time};
use crate::console::typed;
use crate::extract::{Customer, Id, Json, Staff};
use crate::failure::{Failure, sentence};
use crate::state::AppState;
use crate::trade::treasury_failure;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use gruve_treasury::bank::written_reference;
use gruve_treasury::remote::WEBHOOK_BYTES_MAX;
use gruve_treasury::{
    BankEntryView, BankWord, Heard, Invoice, PayInFor, Payment, Purpose, TreasuryError,
};
use gruve_units::{Amount, BankEntryId, InvoiceId, PaymentId};
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
    for method in state.treasury().checkouts_for(inv) {
        let path = format!("/api/v1/invoices/{}/checkouts", inv.id);
        all.push(json!({ "method": method.word(), "post": path }));
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

/// By which method.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct By {
    method: String,
}

/// `POST /api/v1/invoices/{id}/checkouts`: a place at another service where the invoice is paid.
pub(crate) async fn checkout(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
    Json(by): Json<By>,
) -> Result<Response, Failure> {
    let url = state.open_checkout(customer.account, id, &by.method).await?;
    Ok(answer(StatusCode::CREATED, json!({ "method": by.method, "url": url })))
}

/// `POST /api/v1/webhooks/stripe`
pub(crate) async fn hear_card(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Failure> {
    let (signature, body) = signed(request, "stripe-signature").await?;
    let heard = state.treasury().hear_card(&signature, &body).await;
    told(&state, heard)
}

/// `POST /api/v1/webhooks/btcpay`
pub(crate) async fn hear_btcpay(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Failure> {
    let (signature, body) = signed(request, "btcpay-sig").await?;
    let heard = state.treasury().hear_btcpay(&signature, &body).await;
    told(&state, heard)
}

/// The signature's header, and the body as it came.
async fn signed(request: Request, header: &str) -> Result<(String, Bytes), Failure> {
    let signature = request.headers().get(header).and_then(|v| v.to_str().ok());
    let signature = signature.unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), WEBHOOK_BYTES_MAX).await;
    Ok((signature, body.map_err(|_| Failure::too_large())?))
}

/// What the service is told: it says again what it was not told was heard.
fn told(state: &AppState, heard: Result<Heard, TreasuryError>) -> Result<Response, Failure> {
    match heard.map_err(|e| treasury_failure(&e))? {
        Heard::Yes => {
            state.pulse().beat();
            Ok(answer(StatusCode::OK, json!({ "heard": true })))
        }
        Heard::NotSigned => Err(Failure::bad_request("The signature is not right, or too old.")),
        Heard::Unreadable => Err(Failure::bad_request("The event cannot be read.")),
        Heard::Later => Err(Failure::busy("It cannot be looked at now.")),
    }
}

/// How much of a payment is given back, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refund {
    pub(crate) amount: String,
    /// What was taken back of it before, as whoever asks has seen it.
    pub(crate) taken_back: String,
    pub(crate) why: String,
}

impl Refund {
    /// Carries it out, and writes it into the security log.
    pub(crate) async fn carry_out(
        &self,
        state: &AppState,
        staff: Staff,
        id: PaymentId,
    ) -> Result<(), Failure> {
        if self.why.trim().is_empty() {
            return Err(Failure::refused("Write why."));
        }
        let found = state.treasury().payment(id).await.map_err(|e| treasury_failure(&e))?;
        let payment = found.ok_or_else(|| Failure::not_found("payment"))?;
        let amount = Amount::parse_decimal(payment.amount.asset, self.amount.trim());
        let amount = amount.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
        let taken = Amount::parse_decimal(payment.amount.asset, self.taken_back.trim());
        let taken = taken.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
        let done = async {
            let asked = state.treasury().refund(id, amount, taken, self.why.trim()).await;
            asked.map_err(|e| treasury_failure(&e))
        };
        state.act(staff, payment.account, "payment.refund", &format!("{id} {amount}"), done).await
    }
}

/// `POST /api/v1/console/payments/{id}/refund`
pub(crate) async fn refund(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PaymentId>,
    Json(refund): Json<Refund>,
) -> Result<Response, Failure> {
    refund.carry_out(&state, staff, id).await?;
    let payment_now = state.treasury().payment(id).await.map_err(|e| treasury_failure(&e))?;
    let found = payment_now.ok_or_else(|| Failure::not_found("payment"))?;
    Ok(answer(StatusCode::OK, payment(&found)))
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
