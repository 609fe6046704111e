//! What a customer does with a contract after the sale.

use crate::api::life::choice_of;
use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::{amount, time, work};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_market::{
    ContractState, ContractView, GoingOn, LosingStretch, Notice, OwedLine, Unprofitable,
};
use gruve_units::{ContractId, EpochNumber};
use maud::{Markup, html};
use serde::Deserialize;

/// The form that takes a contract back, where that is possible.
pub(crate) fn cancel_form(visitor: &Visitor, c: &ContractView) -> Markup {
    let what = match c.state {
        ContractState::AwaitingPayment => "Cancel this order",
        ContractState::Starting if c.life.frozen_since.is_none() => {
            "Cancel, and get the price back"
        }
        _ => return html! {},
    };
    html! {
        form method="post" action={ "/contracts/" (c.id) "/cancel" } {
            (token(visitor))
            button.quiet type="submit" { (t(what)) }
        }
        p.small.soft {
            (t("A contract can be taken back until its first epoch begins. What you have paid is in your balance then, and so is a payment that comes later."))
        }
    }
}

/// Notices of a contract, choices that wait, and whether it may pause.
pub(crate) fn sheet(
    visitor: &Visitor,
    c: &ContractView,
    owed: &[OwedLine],
    (notices, losses): (&[Notice], &[LosingStretch]),
    on: &GoingOn,
) -> Markup {
    let pauses = c.life.rules.unprofitable == Unprofitable::Pause;
    let runs = matches!(c.state, ContractState::Starting | ContractState::Active);
    let frozen = c.life.frozen_since;
    if owed.is_empty() && notices.is_empty() && !pauses && frozen.is_none() {
        return html! {};
    }
    html! {
        section.sheet #life data-live="lanes money" aria-labelledby="life-h" {
            header { h2 #life-h { (t("Notices and choices")) } span.soft.small { (t("newest first")) } }
            @if let Some(since) = c.life.paused_since {
                p.note { (say!("Its clock stands still from epoch {since} on; {paused_epochs} epochs so far.", since = since.0, paused_epochs = c.life.paused_epochs)) }
            }
            @if let Some(since) = frozen {
                p.note { (say!("The payment of this contract is disputed: from epoch {since} on it gets no work and earns nothing new, until that is settled. Its clock and its end stand still.", since = since.0)) }
            }
            @if let Some(loss) = losses.first().filter(|l| runs && l.until.is_none()) {
                p.note { (say!("It has cost more than it earns since epoch {from}: then a TH·day earned {earns} and cost {costs}. By its plan it runs on; what is deducted never exceeds what it earns.",
                    from = loss.from.0, earns = amount(loss.began.earns), costs = amount(loss.began.costs))) }
            }
            @for n in notices {
                p { strong { (time(n.at)) } " " (t(n.kind.sentence())) @if !n.detail.is_empty() { " (" (heard(&n.detail)) ")" } }
            }
            @for o in owed { (owed_line(visitor, c, o)) }
            @if pauses && runs {
                p { @if on.keep_running { (t("You have it run on even if it does not pay.")) }
                    @else { (t("By its plan it pauses while it does not pay.")) } }
                form method="post" action={ "/contracts/" (c.id) "/keep-running" } {
                    (token(visitor))
                    @if on.keep_running { button.quiet name="keep" value="no" type="submit" { (t("Leave it to the plan")) } }
                    @else { button.quiet name="keep" value="yes" type="submit" { (t("Run on even if it does not pay")) } }
                }
            }
        }
    }
}

fn owed_line(visitor: &Visitor, c: &ContractView, o: &OwedLine) -> Markup {
    html! {
        p {
            @let (epoch, hashes) = (o.epoch.0, work(o.hashes));
            @match o.state.as_str() {
                "undecided" => (say!("Epoch {epoch}: {hashes} missed by the operator's doing, to be decided until epoch {deadline}.",
                    epoch = epoch, hashes = hashes, deadline = o.deadline.0)),
                "open" => (say!("Epoch {epoch}: {hashes} missed; whose doing that was is not known yet.", epoch = epoch, hashes = hashes)),
                "later" => (say!("Epoch {epoch}: {hashes} missed, to be delivered later.", epoch = epoch, hashes = hashes)),
                "earnings" => (say!("Epoch {epoch}: {hashes} missed, paid as it would have earned.", epoch = epoch, hashes = hashes)),
                _ => (say!("Epoch {epoch}: {hashes} worked while paused; what it earned above its energy is yours.", epoch = epoch, hashes = hashes)),
            }
            @for a in &o.paid { " " (say!("Paid so far: {amount}.", amount = amount(*a))) }
        }
        @if o.state == "undecided" {
            form method="post" action={ "/contracts/" (c.id) "/choose" } {
                (token(visitor))
                input type="hidden" name="epoch" value=(o.epoch.0);
                button.quiet name="choice" value="earnings" type="submit" { (t("Pay what it would have earned")) }
                button.quiet name="choice" value="later" type="submit" { (t("Deliver it later")) }
            }
        }
    }
}

/// What is decided about which epoch, as a form.
#[derive(Deserialize)]
pub(crate) struct Decided {
    epoch: u64,
    choice: String,
}

/// `POST /contracts/{id}/choose`
pub(crate) async fn choose(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(decided): Form<Decided>,
) -> Result<Redirect, Failure> {
    let choice = choice_of(&decided.choice)?;
    state.choose(customer.account, id, EpochNumber(decided.epoch), choice).await?;
    Ok(Redirect::to(&format!("/contracts/{id}")))
}

/// Whether it is to run on, as a form.
#[derive(Deserialize)]
pub(crate) struct Keep {
    keep: String,
}

/// `POST /contracts/{id}/keep-running`
pub(crate) async fn keep_running(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(wish): Form<Keep>,
) -> Result<Redirect, Failure> {
    state.keep_running(customer.account, id, wish.keep == "yes").await?;
    Ok(Redirect::to(&format!("/contracts/{id}")))
}

/// `POST /contracts/{id}/cancel`
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.cancel_contract(customer.account, id).await?;
    Ok(Redirect::to(&format!("/contracts/{id}")))
}
