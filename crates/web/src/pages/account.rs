//! A customer's overview: hashrate, earnings, balances, contracts, payouts, what comes next.

use crate::console::cursor;
use crate::extract::{Customer, Params};
use crate::failure::Failure;
use crate::layout::{cell, page};
use crate::money::{amount, percent, rate, term_text, time};
use crate::overview::Overview;
use crate::pages::earnings;
use crate::pages::home::part_bar;
use crate::pages::payouts::payout_table;
use crate::state::AppState;
use crate::view::{BalanceView, contract_stands, rule_of};
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use gruve_hosting::HostedProven;
use gruve_market::{ContractState, ContractView};
use gruve_units::ContractId;
use maud::{Markup, html};
use serde::Deserialize;

/// Contracts shown on the overview, those that run or wait first; all stand on their own pages.
const CONTRACTS_SHOWN: usize = 50;
/// Contracts on a page of all of them.
const CONTRACTS_OF_PAGE: u32 = 100;
/// Payouts shown on the overview; all stand on their own page.
const PAYOUTS_SHOWN: u32 = 5;
/// `GET /account`
pub(crate) async fn overview(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let contracts = state.market().contracts(customer.account).await?;
    let metered = state.market().metered_contracts(customer.account).await?;
    let balances = state.balances(customer.account).await?;
    let recent = state.treasury().payouts_before(customer.account, None, PAYOUTS_SHOWN).await?;
    let own = state.overview(customer.account, &contracts, &metered).await?;
    let notices = earnings::notices(&state, customer.account).await?;
    let content = html! {
        div.lead {
            h1 { (t("Overview")) }
            p { (say!("What you have, what it does now and what it has earned. {link}", link = html! { a href="/account/security" { (t("Security")) } })) }
        }
        section.sheet #now data-live="lanes" aria-label=(t("Now")) { (now(&own)) }
        section.sheet #balances data-live="money" aria-labelledby="balances-h" {
            header { h2 #balances-h { (t("Balances")) } a.small href="/top-up" { (t("Pay in")) } a.small href="/statement" { (t("Statement")) } }
            (balance_table(&balances))
        }
        (earnings::sheets(&own.lately, &notices))
        section.sheet #contracts data-live="lanes money" aria-labelledby="contracts-h" {
            header { h2 #contracts-h { (t("Contracts")) } a.small href="/plans" { (t("Buy hashrate")) } }
            (contract_table(&shown_first(&contracts)))
            @if contracts.len() > CONTRACTS_SHOWN { p { a href="/account/contracts" { (text!("All {n} contracts", n = contracts.len())) } } }
        }
        @if !metered.is_empty() {
            section.sheet #metered data-live="lanes money" aria-labelledby="metered-h" {
                header { h2 #metered-h { (t("By the meter")) } }
                (crate::pages::metered::table(&metered))
            }
        }
        section.sheet #payouts data-live="money" aria-labelledby="payouts-h" {
            header { h2 #payouts-h { (t("Payouts")) } a.small href="/payouts" { (t("All payouts")) } }
            (payout_table(&recent, state.now()))
        }
        @if !own.machines.is_empty() {
            section.sheet #machines data-live="work" aria-labelledby="machines-h" {
                header { h2 #machines-h { (t("Your own machines, connected now")) } }
                table.cards {
                    thead { tr { th scope="col" { (t("Machine")) } th scope="col" { (t("Lane")) }
                        th.r scope="col" { (t("Hashrate")) } th.r scope="col" { (t("Accepted")) }
                        th.r scope="col" { (t("Rejected")) } } }
                    tbody { @for m in &own.machines { tr {
                        (cell!("Machine", m.name))
                        (cell!("Lane", m.lane))
                        (cell!(r "Hashrate", rate(m.hashrate)))
                        (cell!(r "Accepted", m.accepted))
                        (cell!(r "Rejected", m.rejected))
                    } } }
                }
            }
        }
    };
    Ok(page(&visitor, t("Overview"), true, &content))
}

fn now(own: &Overview) -> Markup {
    html! {
        dl.figures {
            div {
                dt { (t("Hashrate, last epoch")) }
                dd {
                    @if own.rates.is_empty() && own.hosted_rates.is_empty() { "–" small { (t("no contract running")) } }
                    @for r in &own.rates {
                        // Work of different lanes is never summed: a hash of one algorithm is not a hash of another.
                        div { (rate(r.got)) " " span.soft.small { "± " (rate(r.spread)) } small { (say!("of {bought} bought · {lane}", bought = rate(r.bought), lane = r.lane)) } }
                    }
                    @for r in &own.hosted_rates { (of_hosted_machines(r)) }
                }
            }
            div { dt { (t("Earned in all")) } dd {
                @if own.earned.is_empty() { "–" }
                @for a in &own.earned { div { (amount(*a)) } }
            } }
            div { dt { (t("Contracts running")) } dd { (own.running) small { (say!("of {contracts} in all", contracts = own.contracts)) } } }
            div { dt { (t("Next settlement")) } dd {
                @match own.next_settlement {
                    Some(at) => { (time(at)) small { (t("after the epoch closes")) } },
                    None => { "–" small { (t("no contract running")) } },
                }
            } }
        }
        @if !own.rates.is_empty() { p.small.soft { (t("Work is counted exactly; the rate behind it lies within ± in nineteen of twenty epochs.")) } }
    }
}

/// What hosted machines prove, with its interval: by their shares, of which there may be few.
fn of_hosted_machines(r: &HostedProven) -> Markup {
    let (low, high) = r.between;
    html! {
        div { (rate(r.rate)) small {
            @if r.shares == 0 { (say!("no share of your hosted machines · {lane}", lane = r.lane)) }
            @else { (say!("your hosted machines: between {low} and {high}, 95 in 100 · {lane}", low = rate(low), high = rate(high), lane = r.lane)) }
        } }
    }
}

fn balance_table(balances: &[BalanceView]) -> Markup {
    html! {
        @if balances.is_empty() {
            p.empty { (t("Nothing yet. Earnings and payments you make will stand here.")) }
        } @else {
            table.cards {
                caption.visually-hidden { (t("Balances by asset")) }
                thead { tr {
                    th scope="col" { (t("Asset")) } th.r scope="col" { (t("Available")) }
                    th.r scope="col" { (t("Maturing")) } th.r scope="col" { (t("Held")) } th scope="col" { span.visually-hidden { (t("Action")) } }
                } }
                tbody { @for b in balances { tr {
                    (cell!("Asset", b.asset))
                    (cell!(r "Available", amount(b.available)))
                    (cell!(r "Maturing", amount(b.maturing)))
                    (cell!(r "Held", amount(b.held)))
                    // A bank's money is paid out by the operator's people.
                    td.r { @if b.available.minor > 0 && !b.asset.is_fiat() {
                        a href={ "/withdraw?asset=" (b.asset) } { (t("Withdraw")) span.visually-hidden { " " (b.asset) } }
                    } }
                } } }
            }
            p.small.soft { (t("Maturing: earned, but the block may still be undone by the chain or the settlement has not run. Held: set aside for payouts under way.")) }
        }
    }
}

/// What the overview has room for: what runs or waits first, else the newest.
fn shown_first(contracts: &[ContractView]) -> Vec<&ContractView> {
    let is_over = |c: &ContractView| {
        matches!(
            c.state,
            ContractState::Completed
                | ContractState::Refunded
                | ContractState::Expired
                | ContractState::Cancelled
                | ContractState::ChargedBack
        )
    };
    let mut all: Vec<&ContractView> = contracts.iter().collect();
    // Stable: within each kind the newest stay first.
    all.sort_by_key(|c| is_over(c));
    all.truncate(CONTRACTS_SHOWN);
    all
}

/// Where a page of contracts begins.
#[derive(Default, Deserialize)]
pub(crate) struct Place {
    before: Option<String>,
}

/// `GET /account/contracts`
pub(crate) async fn contracts(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let before = cursor::<ContractId>(q.before.as_deref());
    let all = state.market().contracts_before(customer.account, before, CONTRACTS_OF_PAGE).await?;
    let is_full = all.len() == usize::try_from(CONTRACTS_OF_PAGE).unwrap_or(usize::MAX);
    let next = all.last().filter(|_| is_full).map(|c| c.id);
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (t("Contracts")) }
        }
        section.sheet #contracts aria-label=(t("Contracts")) {
            (contract_table(&all.iter().collect::<Vec<_>>()))
            @if let Some(id) = next { p.actions { a.button.quiet href={ "/account/contracts?before=" (id) } { (t("More")) } } }
        }
    };
    Ok(page(&visitor, t("Contracts"), false, &content))
}

fn contract_table(contracts: &[&ContractView]) -> Markup {
    html! {
        @if contracts.is_empty() {
            p.empty { (say!("No contract yet. {link}.", link = html! { a href="/plans" { (t("See the plans")) } })) }
        } @else {
            table.cards {
                caption.visually-hidden { (t("Contracts, newest first")) }
                thead { tr {
                    th scope="col" { (t("Contract")) } th scope="col" { (t("State")) } th.r scope="col" { (t("Hashrate")) }
                    th scope="col" { (t("Term")) } th.r scope="col" { (t("Delivered")) } th.r scope="col" { (t("Credited")) }
                } }
                tbody { @for c in contracts { tr {
                    (cell!("Contract", html! { a href={ "/contracts/" (c.id) } { (c.title) } }))
                    (cell!("State", contract_stands(c.state, c.life.frozen_since).tag()))
                    (cell!(r "Hashrate", rate(c.hashrate)))
                    (cell!("Term", term_text(c.term_epochs, rule_of(c.epoch_us))))
                    (cell!(r "Delivered", html! { (percent(c.delivered.0, c.bought.0)) (part_bar(c.delivered.0, c.bought.0)) }))
                    (cell!(r "Credited", amount(c.credited)))
                } } }
            }
        }
    }
}
