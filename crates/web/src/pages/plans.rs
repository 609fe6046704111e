//! What is on sale, side by side.

use crate::failure::Failure;
use crate::layout::{ETH_NOTE, page};
use crate::money::{amount, asset_name, exact_rate, rate, span_text};
use crate::state::AppState;
use crate::view::{LaneView, basis_points, rule_of};
use crate::visitor::Visitor;
use axum::extract::State;
use gruve_market::{Plan, PlanKind, Scheme};
use gruve_units::Amount;
use maud::{Markup, html};

/// `GET /plans`
pub(crate) async fn plans(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let plans = state.market().plans();
    let lanes = state.lanes().await?;
    let content = html! {
        div.lead {
            h1 { "Plans" }
            p { "A lease is a quantity of work: hashrate times term. Work that is not delivered in time is delivered later." }
        }
        div.columns #plans data-live="plans" {
            @for p in &plans { (plan_card(p, lanes.iter().find(|l| l.stats.lane == p.lane))) }
            @if plans.is_empty() { p.empty { "Nothing is on sale at the moment." } }
        }
        (risk())
        p.note { (ETH_NOTE) }
    };
    Ok(page(&visitor, "Plans", true, &content))
}

/// Said of a lane that has nothing to sell because nothing is proven yet.
pub(crate) const NOT_PROVEN: &str = "Not on sale yet: the farm's hashpower is being proven.";

/// The plain statement that stands wherever something is bought.
pub(crate) fn risk() -> Markup {
    html! {
        section.risk aria-labelledby="risk-h" {
            h2 #risk-h { "A contract may earn less than it costs" }
            ul {
                li { "Blocks are found by chance. A contract can run its whole term and earn nothing." }
                li { "Difficulty and the coin's price change. Nobody knows them in advance, and no return is promised." }
                li { "The price is paid at the start and is not an investment with a yield: it buys work." }
            }
        }
    }
}

/// The terms of a plan, as pairs.
pub(crate) fn plan_terms(p: &Plan) -> Markup {
    let shortest = p.terms_epochs.iter().min().copied().unwrap_or_default();
    let longest = p.terms_epochs.iter().max().copied().unwrap_or_default();
    let span = |n: u64| {
        span_text(rule_of(p.epoch_us).length().saturating_mul(u32::try_from(n).unwrap_or(u32::MAX)))
    };
    html! {
        dl.pairs {
            dt { "Earns" } dd {
                (asset_name(p.asset)) " (" (p.asset) ")"
                @for also in &p.also_earns { " and " (asset_name(*also)) " (" (also) ")" }
                @if !p.also_earns.is_empty() { ", by the same work" }
            }
            dt { "Price" } dd { (amount(p.price)) " for " (exact_rate(p.price_hashrate)) " a day" }
            dt { "Hashrate" } dd { (exact_rate(p.hashrate_min)) " to " (exact_rate(p.hashrate_max)) ", in steps of " (exact_rate(p.hashrate_step)) }
            @if p.kind == PlanKind::Metered {
                dt { "Term" } dd { "by the meter: as long as you like, in whole epochs of " (span(1)) ", out of your balance" }
            } @else {
                dt { "Term" } dd {
                    (span(shortest))
                    @if shortest != longest { " to " (span(longest)) }
                }
            }
            dt { "Fee on earnings" } dd { (basis_points(p.fee_bps)) }
            @if p.maintenance_minor_per_th_day > 0 {
                dt { "Maintenance" } dd {
                    (maintenance(p)) " for each TH/s·day delivered, deducted from earnings"
                    @for (asset, minor) in &p.maintenance_also {
                        "; what they do not cover from " (asset_name(*asset)) ", the whole fee being "
                        (amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX))))
                    }
                }
            }
            dt { "If work is missing" } dd { @if p.kind == PlanKind::Metered { "it is not charged" } @else {
                "delivered later, within " (span(p.extension_epochs)) " after the term; what is missing then is refunded pro rata"
            } }
            dt { "Paid by" } dd { (scheme_text(p.scheme)) }
        }
    }
}

/// Maintenance of a plan; a figure beyond 63 bits cannot have been configured.
pub(crate) fn maintenance(p: &Plan) -> Markup {
    let minor = i64::try_from(p.maintenance_minor_per_th_day).unwrap_or(i64::MAX);
    amount(Amount::new(p.asset, minor))
}

fn scheme_text(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Pplns => "PPLNS: each found block is shared by the work that led up to it",
        Scheme::Fpps => {
            "FPPS: each hash at its expected value, whatever is found; the operator carries the luck"
        }
        Scheme::Solo => "SOLO: a block that the contract finds is its own whole; most find none",
    }
}

fn plan_card(p: &Plan, lane: Option<&LaneView>) -> Markup {
    let heading = format!("plan-{}", p.id);
    let on_sale = lane.is_some_and(|l| l.stats.available >= p.hashrate_min);
    let proven = lane.is_some_and(LaneView::is_proven);
    html! {
        section.sheet aria-labelledby=(heading) {
            header {
                h2 id=(heading) { (p.title) }
                span.soft.small { "lane " a href={ "/lanes/" (p.lane) } { (p.lane) } }
            }
            (plan_terms(p))
            @if let Some(l) = lane.filter(|_| proven) {
                p.small.soft { "On sale now: " (rate(l.stats.available)) " of " (rate(l.stats.proven_capacity)) " proven." }
            }
            div.actions {
                @if on_sale && p.kind == PlanKind::Metered {
                    a.button href={ "/metered?plan=" (crate::gate::percent_encoded(&p.id)) } { "Start" span.visually-hidden { " " (p.title) } }
                } @else if on_sale {
                    a.button href={ "/buy?plan=" (crate::gate::percent_encoded(&p.id)) } { "Buy" span.visually-hidden { " " (p.title) } }
                } @else if !proven {
                    span.small.soft { (NOT_PROVEN) }
                } @else {
                    span.tag.warn { "Sold out" }
                    span.small.soft { "More comes on sale when machines prove more work." }
                }
            }
        }
    }
}
