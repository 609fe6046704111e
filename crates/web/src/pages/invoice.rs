//! An invoice: where to pay, how much, and where the payment is.

use crate::extract::{Customer, Id};
use crate::failure::Failure;
use crate::layout::page;
use crate::money::{amount, time};
use crate::qr;
use crate::state::AppState;
use crate::view::invoice_state;
use crate::visitor::Visitor;
use axum::extract::State;
use gruve_treasury::{Invoice, Purpose};
use gruve_units::InvoiceId;
use maud::{Markup, html};

/// `GET /invoices/{id}`
pub(crate) async fn invoice(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Markup, Failure> {
    let inv = state.invoice(customer.account, id).await?;
    let content = html! {
        div.lead {
            p.crumbs {
                a href="/account" { "Overview" }
                @if let Purpose::Contract(c) = inv.purpose { " / " a href={ "/contracts/" (c) } { "Contract" } }
            }
            h1 { "Invoice" }
        }
        section.sheet #invoice data-live="invoice" aria-labelledby="invoice-h" {
            header { h2 #invoice-h { (amount(inv.amount)) } (invoice_state(inv.state).tag()) }
            (body(&inv))
        }
    };
    Ok(page(&visitor, "Invoice", true, &content))
}

fn body(inv: &Invoice) -> Markup {
    html! {
        @if inv.state.is_open() {
            div.pay {
                div {
                    @if let Some(code) = qr::svg(&inv.uri(), "Payment link as a QR code") { (code) }
                }
                div.sheet {
                    dl.pairs {
                        dt { "Pay exactly" } dd { (amount(inv.amount)) }
                        dt { "To this address" } dd.copy { (inv.address) }
                        dt { "Before" } dd { (time(inv.expires)) }
                        dt { "Seen in blocks" } dd { (amount(inv.received)) }
                        dt { "Confirmed" } dd { (amount(inv.confirmed)) }
                    }
                    div.actions { a.button href=(inv.uri()) { "Open in a wallet" } }
                    p.small.soft {
                        "The address is for this invoice only. Less than the amount is kept for you and can be topped up "
                        "until the time is over; more, or anything late, goes to your balance. Nothing is lost."
                    }
                }
            }
        } @else {
            dl.pairs {
                dt { "State" } dd { (invoice_state(inv.state).text) }
                dt { "Amount" } dd { (amount(inv.amount)) }
                dt { "Confirmed" } dd { (amount(inv.confirmed)) }
                dt { "Address" } dd { code { (inv.address) } }
            }
            div.actions {
                @if let Purpose::Contract(c) = inv.purpose { a.button href={ "/contracts/" (c) } { "To the contract" } }
                a.button.quiet href="/account" { "To the overview" }
            }
        }
    }
}
