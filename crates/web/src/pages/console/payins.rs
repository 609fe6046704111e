//! Pay-ins that wait for a person.

use super::{choice, field, frame, live_sheet, sheet, table};
use crate::api::payins::{Refund, Word};
use crate::extract::{Form, Id, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::{amount, time};
use crate::state::AppState;
use crate::trade::treasury_failure;
use crate::visitor::Visitor;
use crate::words::t;
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_treasury::{
    BankComparison, BankEntryView, Method, Payment, ServiceComparison, ServicesCompared,
};
use gruve_units::{Amount, BankEntryId, PaymentId};
use maud::{Markup, html};
use serde::Deserialize;

/// `GET /console/pay-ins`
pub(crate) async fn pay_ins(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::PlacePayIns);
    let waiting = state.treasury().bank_entries_waiting().await?;
    let rows: Vec<_> = waiting.iter().map(|e| row(&visitor, may, e)).collect();
    let columns = ["Booked", ">Amount", "From", "Text", "Why it waits", "Action"];
    let mut tx = state.store().read().await?;
    let compared = state.treasury().compare_banks(&mut tx).await;
    let compared = compared.map_err(|e| treasury_failure(&e))?;
    let content = html! {
        (live_sheet("waiting", "Bank transfers that wait", "money", &table("Transfers", &columns, &rows)))
        @if !compared.is_empty() { (banks(&compared)) }
        @if let Some(asked) = state.treasury().services_compared() { (services(&asked)) }
    };
    let lead = "What came and names no invoice, what left the account, and what cannot be read. The oldest 200.";
    Ok(frame(&visitor, staff, "Pay-ins", lead, &content))
}

/// What the banks' last statements say, held against the books.
fn banks(compared: &[BankComparison]) -> Markup {
    let row = |c: &BankComparison| {
        vec![
            html! { code { (c.bank) } },
            html! { (c.on) },
            amount(c.there),
            amount(c.beside),
            amount(c.books),
            html! {
                (amount(c.difference))
                @if c.difference.minor != 0 {
                    " "
                    @if c.is_explained() { (t("what waits for a word")) }
                    @else { strong { (t("not in the books")) } }
                }
                @if !c.gaps.is_empty() { " " (t("a statement is missing")) }
            },
        ]
    };
    let rows: Vec<_> = compared.iter().map(row).collect();
    let columns = [
        "Account",
        "Last statement",
        ">At the bank",
        ">There before",
        ">In the books",
        ">Difference",
    ];
    sheet("banks", "Statements and the books", &table("Bank accounts", &columns, &rows))
}

/// What services had when they were last asked, held against the books.
fn services(asked: &ServicesCompared) -> Markup {
    let row = |c: &ServiceComparison| {
        vec![
            html! { (c.method) },
            time(asked.at),
            amount(c.there),
            amount(c.unread),
            amount(c.books),
            html! {
                (amount(c.difference))
                @if c.difference.minor != 0 { " " strong { (t("not in the books")) } }
            },
        ]
    };
    let rows: Vec<_> = asked.all.iter().map(row).collect();
    let columns =
        ["By", "Asked", ">At the service", ">Not booked yet", ">In the books", ">Difference"];
    sheet("services", "Services and the books", &table("Accounts at services", &columns, &rows))
}

fn row(visitor: &Visitor, may: bool, e: &BankEntryView) -> Vec<Markup> {
    vec![
        html! { @if e.booked_on.is_empty() { (time(e.arrived)) } @else { (e.booked_on) } },
        html! { @match e.amount { Some(a) => (amount(a)), None => "–" } },
        html! { (e.payer) @if !e.payer_account.is_empty() { " " code { (e.payer_account) } } },
        html! { (e.text) },
        html! { (e.reason) },
        html! { @if may { (decision(visitor, e)) } },
    ]
}

fn decision(visitor: &Visitor, e: &BankEntryView) -> Markup {
    let form = format!("p{}", e.id);
    let words = [
        ("invoice", "It pays this invoice"),
        ("account", "It goes to this account's balance"),
        ("sent-back", "It was sent back at the bank"),
        ("taken-back", "It takes this payment back"),
        ("charges", "The bank's charges, or interest"),
        ("own", "The operator's own transfer"),
        ("under-way", "A service's payout, or what was sent back"),
        ("paid-out", "It paid out this account's balance"),
        ("dismissed", "Nothing is to be done"),
    ];
    html! {
        form.stack method="post" action={ "/console/pay-ins/" (e.id) } {
            (token(visitor))
            (choice(&form, "word", "Decision", words.into_iter()))
            (field(&form, "id", "Id", "Of the invoice, the account or the payment."))
            (field(&form, "why", "Why", "Kept with the entry."))
            button.quiet type="submit" { (t("Decide")) }
        }
    }
}

/// A decision as the form has it.
#[derive(Deserialize)]
pub(crate) struct Decision {
    word: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    why: String,
}

/// `POST /console/pay-ins/{id}`
pub(crate) async fn decide(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<BankEntryId>,
    Form(form): Form<Decision>,
) -> Result<Redirect, Failure> {
    let Decision { word, id: of, why } = form;
    Word { word, id: of, why }.carry_out(&state, staff, id).await?;
    Ok(Redirect::to("/console/pay-ins"))
}

/// What is given back, as the form has it.
#[derive(Deserialize)]
pub(crate) struct GivenBack {
    amount: String,
    taken_back: String,
    why: String,
}

/// `POST /console/payments/{id}/refund`
pub(crate) async fn refund(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PaymentId>,
    Form(form): Form<GivenBack>,
) -> Result<Redirect, Failure> {
    let GivenBack { amount, taken_back, why } = form;
    Refund { amount, taken_back, why }.carry_out(&state, staff, id).await?;
    let found = state.treasury().payment(id).await.map_err(|e| treasury_failure(&e))?;
    let account = found.and_then(|p| p.account);
    let account = account.ok_or_else(|| Failure::not_found("payment"))?;
    Ok(Redirect::to(&format!("/console/customers/{account}")))
}

/// A customer's payments by other methods than addresses, with what staff may do about them.
pub(super) fn payments(visitor: &Visitor, may: bool, all: &[Payment]) -> Markup {
    let row = |p: &Payment| {
        let left = Amount::new(p.amount.asset, p.amount.minor - p.taken.minor);
        vec![
            time(p.arrived),
            html! { (p.method) },
            amount(p.amount),
            amount(p.taken),
            html! { code { (p.id) } },
            html! { @if may && p.method == Method::Card && left.minor > 0 {
                form.actions method="post" action={ "/console/payments/" (p.id) "/refund" } {
                    (token(visitor))
                    input type="hidden" name="taken_back" value=(p.taken.decimal());
                    label { span.small.soft { (t("Amount to give back")) } input type="text" name="amount" value=(left.decimal()) inputmode="decimal"; }
                    label { span.small.soft { (t("Why")) } input type="text" name="why" required maxlength="200"; }
                    button.quiet type="submit" { (t("Give back")) }
                }
            } },
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table("Payments", &["When", "By", ">Amount", ">Taken back", "Id", "Action"], &rows)
}
