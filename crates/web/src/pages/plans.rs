//! What is on sale, side by side.

use crate::failure::Failure;
use crate::layout::{ETH_NOTE, page};
use crate::money::{amount, asset_name, exact_rate, local, rate, span_text};
use crate::state::AppState;
use crate::view::{LaneView, basis_points, rule_of};
use crate::visitor::Visitor;
use crate::words::{say, t};
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
    let has_machines = !state.market().hosted_plans().is_empty();
    let content = html! {
        div.lead {
            h1 { (t("Plans")) }
            p { (t("A lease is a quantity of work: hashrate times term. Work that is not delivered in time is delivered later.")) }
        }
        div.columns #plans data-live="plans" {
            @for p in &plans { (plan_card(p, lanes.iter().find(|l| l.stats.lane == p.lane))) }
            @if plans.is_empty() { p.empty { (t("Nothing is on sale at the moment.")) } }
        }
        @if has_machines { p { (say!("Rather a machine of your own? {link}", link = html! { a href="/hosted" { (t("Machines on sale")) } })) } }
        (risk())
        p.note { (t(ETH_NOTE)) }
    };
    Ok(page(&visitor, t("Plans"), true, &content))
}

/// Said of a lane that has nothing to sell because nothing is proven yet.
pub(crate) const NOT_PROVEN: &str = "Not on sale yet: the farm's hashpower is being proven.";

/// The plain statement that stands wherever something is bought.
pub(crate) fn risk() -> Markup {
    html! {
        section.risk aria-labelledby="risk-h" {
            h2 #risk-h { (t("A contract may earn less than it costs")) }
            ul {
                li { (t("Blocks are found by chance. A contract can run its whole term and earn nothing.")) }
                li { (t("Difficulty and the coin's price change. Nobody knows them in advance, and no return is promised.")) }
                li { (t("The price is paid at the start and is not an investment with a yield: it buys work.")) }
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
            dt { (t("Earns")) } dd {
                (asset_name(p.asset)) " (" (p.asset) ")"
                @for also in &p.also_earns { " + " (asset_name(*also)) " (" (also) ")" }
                @if !p.also_earns.is_empty() { " " small { (t("all of them by the same work")) } }
            }
            dt { (t("Price")) } dd { (say!("{price} for {price_hashrate} a day", price = amount(p.price), price_hashrate = local(&exact_rate(p.price_hashrate)))) }
            dt { (t("Hashrate")) } dd { (say!("{hashrate_min} to {hashrate_max}, in steps of {hashrate_step}", hashrate_min = local(&exact_rate(p.hashrate_min)), hashrate_max = local(&exact_rate(p.hashrate_max)), hashrate_step = local(&exact_rate(p.hashrate_step)))) }
            @if p.kind == PlanKind::Metered {
                dt { (t("Term")) } dd { (say!("by the meter: as long as you like, in whole epochs of {span}, out of your balance", span = span(1))) }
            } @else {
                dt { (t("Term")) } dd {
                    @if shortest == longest { (span(shortest)) } @else { (say!("{shortest} to {longest}", shortest = span(shortest), longest = span(longest))) }
                }
            }
            dt { (t("Fee on earnings")) } dd { (basis_points(p.fee_bps)) }
            @if p.maintenance_minor_per_th_day > 0 {
                dt { (t("Maintenance")) } dd {
                    p { (say!("{maintenance} for each TH/s·day delivered, deducted from earnings", maintenance = maintenance(p))) }
                    @for (asset, minor) in &p.maintenance_also {
                        p { (say!("What they do not cover comes from {asset}, the whole fee being {max}", asset = asset_name(*asset), max = amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX))))) }
                    }
                }
            }
            @if p.life.minimum_payout_minor > 0 {
                dt { (t("Minimum payout")) } dd { (say!("earnings are credited once {minimum} wait, and all of them at the end", minimum = minimum(p))) }
            }
            dt { (t("If work is missing")) } dd { @if p.kind == PlanKind::Metered { (t("it is not charged")) } @else {
                (say!("delivered later, within {extension_epochs} after the term; what is missing then is refunded pro rata", extension_epochs = span(p.extension_epochs)))
            } }
            dt { (t("Paid by")) } dd { (t(scheme_text(p.scheme))) }
        }
    }
}

/// Maintenance of a plan; a figure beyond 63 bits cannot have been configured.
pub(crate) fn maintenance(p: &Plan) -> Markup {
    let minor = i64::try_from(p.maintenance_minor_per_th_day).unwrap_or(i64::MAX);
    amount(Amount::new(p.asset, minor))
}

/// The minimum payout of a plan; at most a hundredth of a coin.
fn minimum(p: &Plan) -> Markup {
    amount(Amount::new(p.asset, i64::try_from(p.life.minimum_payout_minor).unwrap_or(i64::MAX)))
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
                span.soft.small { (say!("lane {link}", link = html! { a href={ "/lanes/" (p.lane) } { (p.lane) } })) }
            }
            (plan_terms(p))
            p.small { a href={ "/plans/" (crate::gate::percent_encoded(&p.id)) "/record" } { (crate::words::t("Track record and reviews")) } }
            @if let Some(l) = lane.filter(|_| proven) {
                p.small.soft { (say!("On sale now: {available} of {proven_capacity} proven.", available = rate(l.stats.available), proven_capacity = rate(l.stats.proven_capacity))) }
            }
            div.actions {
                @if on_sale && p.kind == PlanKind::Metered {
                    a.button href={ "/metered?plan=" (crate::gate::percent_encoded(&p.id)) } { (t("Start")) span.visually-hidden { " " (p.title) } }
                } @else if on_sale {
                    a.button href={ "/buy?plan=" (crate::gate::percent_encoded(&p.id)) } { (t("Buy")) span.visually-hidden { " " (p.title) } }
                } @else if !proven {
                    span.small.soft { (t(NOT_PROVEN)) }
                } @else {
                    span.tag.warn { (t("Sold out")) }
                    span.small.soft { (t("More comes on sale when machines prove more work.")) }
                }
            }
        }
    }
}
