//! What is on sale, side by side.

use crate::extract::Params;
use crate::failure::Failure;
use crate::gate::percent_encoded;
use crate::layout::{ETH_NOTE, page};
use crate::money::{amount, asset_name, exact_rate, local, rate, span_text};
use crate::pages::track::in_a_line;
use crate::state::AppState;
use crate::view::{LaneView, basis_points, rule_of};
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use gruve_market::{Plan, PlanKind, Scheme, Unprofitable, least_price};
use gruve_units::{Amount, Asset, Hashrate};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Plans side by side at most: as many as a screen has room for.
const COMPARED_MAX: usize = 4;
/// Plans whose record is looked up for the table; of more there is the link alone.
const TRACKED_MAX: usize = 30;

/// The plans chosen for comparison, as a form without scripts sends them: `compare=a&compare=b`.
fn compared(query: Vec<(String, String)>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (_, id) in query.into_iter().filter(|(name, _)| name == "compare") {
        if all.len() < COMPARED_MAX && !all.contains(&id) {
            all.push(id);
        }
    }
    all
}

/// `GET /plans`
pub(crate) async fn plans(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<Vec<(String, String)>>,
) -> Result<Markup, Failure> {
    let all = state.market().plans();
    let lanes = state.lanes().await?;
    let has_machines = !state.market().hosted_plans().is_empty();
    let mut records = BTreeMap::new();
    for p in all.iter().take(TRACKED_MAX) {
        match in_a_line(&state, &p.id).await {
            Ok(said) => drop(records.insert(p.id.clone(), said)),
            // Withdrawn in this very moment: its row is shown once more, without a record.
            Err(f) if f.status.is_client_error() => {}
            Err(f) => return Err(f),
        }
    }
    let chosen = compared(query);
    let side: Vec<&Plan> =
        chosen.iter().filter_map(|id| all.iter().find(|p| p.id == *id)).collect();
    let content = html! {
        div.lead {
            h1 { (t("Plans")) }
            p { (t("A lease is a quantity of work: hashrate times term. Work that is not delivered in time is delivered later.")) }
        }
        @if !side.is_empty() {
            section.sheet #compare aria-labelledby="compare-h" {
                header { h2 #compare-h { (t("Side by side")) } a.small href="/plans" { (t("All plans")) } }
                (side_by_side(&side, &records))
            }
        }
        div.columns #plans data-live="lanes" {
            @if all.is_empty() { p.empty { (t("Nothing is on sale at the moment.")) } }
            @for p in &all { (card(p, lanes.iter().find(|l| l.stats.lane == p.lane), records.get(&p.id))) }
        }
        @if all.len() > 1 { (choose(&all, &chosen)) }
        @if has_machines { p { (say!("Rather a machine of your own? {link}", link = html! { a href="/hosted" { (t("Machines on sale")) } })) } }
        (risk(&all))
        p.note { (t(ETH_NOTE)) }
    };
    Ok(page(&visitor, t("Plans"), true, &content))
}

/// Which plans to put side by side.
fn choose(all: &[Plan], chosen: &[String]) -> Markup {
    html! {
        section.sheet aria-labelledby="choose-h" {
            header { h2 #choose-h { (t("Compare")) } }
            form.stack.wide method="get" action="/plans" {
                fieldset.choices {
                    legend { (text!("Put up to {n} plans side by side, with all their terms.", n = COMPARED_MAX)) }
                    @for p in all {
                        label { input type="checkbox" name="compare" value=(p.id) checked[chosen.contains(&p.id)]; (p.title) }
                    }
                }
                div.actions { button.quiet type="submit" { (t("Compare")) } }
            }
        }
    }
}

/// What is said of a plan, term by term, in the order in which it is compared.
fn terms_of(p: &Plan, record: Option<&Markup>) -> Vec<(&'static str, Markup)> {
    let mut all = vec![
        ("Kind", html! { (t(kind_text(p.kind))) }),
        ("Earns", earns(p)),
        ("Lane", html! { a href={ "/lanes/" (p.lane) } { (p.lane) } }),
        ("Price", price(p)),
        ("Paid at the start", upfront(p)),
        ("Fee on earnings", html! { (basis_points(p.fee_bps)) }),
        ("Maintenance", upkeep(p)),
        ("Paid by", html! { (t(scheme_text(p.scheme))) }),
        ("Hashrate", hashrates(p)),
        ("Term", term(p)),
        ("If work is missing", make_good(p)),
        ("If it does not pay", while_it_does_not_pay(p)),
        ("Ends at the latest", hard_end(p)),
        (
            "Minimum payout",
            html! { @if p.life.minimum_payout_minor > 0 { (minimum(p)) } @else { (t("none")) } },
        ),
    ];
    all.push(("Track record", html! {
        a href={ "/plans/" (percent_encoded(&p.id)) "/record" } { @match record { Some(r) => (r), None => (t("Track record and reviews")) } }
    }));
    all
}

/// Plans as columns, terms as rows: on a phone each term is a card with a line for each plan.
fn side_by_side(plans: &[&Plan], records: &BTreeMap<String, Markup>) -> Markup {
    let all: Vec<_> = plans.iter().map(|p| (*p, terms_of(p, records.get(&p.id)))).collect();
    let rows = all.first().map_or(0, |(_, terms)| terms.len());
    html! {
        table.cards.side {
            thead { tr { th scope="col" { (t("Term of the plan")) } @for (p, _) in &all { th scope="col" { (p.title) } } } }
            tbody {
                @for n in 0..rows { tr {
                    @if let Some((label, _)) = all.first().and_then(|(_, terms)| terms.get(n)) { th scope="row" { (t(label)) } }
                    @for (p, terms) in &all { @if let Some((_, said)) = terms.get(n) { td data-label=(p.title) { span { (said) } } } }
                } }
                tr { th scope="row" { (t("Buy")) }
                    @for (p, _) in &all { td data-label=(p.title) { a href=(order_of(p)) { (t(order_text(p.kind))) span.visually-hidden { " " (p.title) } } } } }
            }
        }
    }
}

/// A plan as a card: its price, what it earns and costs, what holds if work is missing, and the button.
fn card(p: &Plan, lane: Option<&LaneView>, record: Option<&Markup>) -> Markup {
    let heading = format!("plan-{}", p.id);
    html! { section.sheet.plan aria-labelledby=(heading) {
        header { h2 id=(heading) { (p.title) } span.tag { (t(kind_text(p.kind))) " · " (p.scheme.name().to_uppercase()) } }
        div.price { (price(p)) }
        dl.pairs {
            dt { (t("Earns")) } dd { (earns(p)) }
            dt { (t("Paid at the start")) } dd { (upfront(p)) }
            dt { (t("Fee on earnings")) } dd { (basis_points(p.fee_bps)) @if has_upkeep(p) { div.small { (upkeep(p)) } } }
            dt { (t("Term")) } dd { (term(p)) div.small.soft { (hard_end(p)) } }
            dt { (t("If work is missing")) } dd { (make_good(p)) }
            @if p.life.unprofitable == Unprofitable::Pause { dt { (t("If it does not pay")) } dd { (while_it_does_not_pay(p)) } }
            @if p.life.minimum_payout_minor > 0 { dt { (t("Minimum payout")) } dd { (minimum(p)) } }
            dt { (t("Track record")) }
            dd { a href={ "/plans/" (percent_encoded(&p.id)) "/record" } { @match record { Some(r) => (r), None => (t("Track record and reviews")) } } }
        }
        div.order { (order(p, lane)) }
    } }
}

/// The button, where so much is on sale that it takes; else why there is none.
fn order(p: &Plan, lane: Option<&LaneView>) -> Markup {
    let on_sale = lane.filter(|l| l.stats.available >= p.hashrate_min);
    let is_proven = lane.is_some_and(LaneView::is_proven);
    let some_left = lane.filter(|l| l.stats.available > Hashrate::ZERO);
    html! {
        @if let Some(l) = on_sale {
            a.button href=(order_of(p)) { (t(order_text(p.kind))) span.visually-hidden { " " (p.title) } }
            p.small.soft { (say!("On sale now: {available} of {proven_capacity} proven.", available = rate(l.stats.available), proven_capacity = rate(l.stats.proven_capacity))) }
        } @else if !is_proven {
            p.small.soft { (t(NOT_PROVEN)) }
        } @else {
            p { span.tag.warn { (t("Sold out")) } }
            p.small.soft { (t("More comes on sale when machines prove more work.")) }
            @if let Some(l) = some_left {
                p.small.soft { (say!("{available} are left, less than the {least} that an order takes.", available = rate(l.stats.available), least = local(&exact_rate(p.hashrate_min)))) }
            }
        }
    }
}

const fn kind_text(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Lease => "Lease",
        PlanKind::Metered => "By the meter",
        PlanKind::Hosted => "Machine of your own",
    }
}

const fn order_text(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Metered => "Start",
        PlanKind::Lease | PlanKind::Hosted => "Buy",
    }
}

fn order_of(p: &Plan) -> String {
    let path = if p.kind == PlanKind::Metered { "/metered" } else { "/buy" };
    format!("{path}?plan={}", percent_encoded(&p.id))
}

fn earns(p: &Plan) -> Markup {
    html! {
        (asset_name(p.asset)) " (" (p.asset) ")"
        @for also in &p.also_earns { " + " (asset_name(*also)) " (" (also) ")" }
        @if !p.also_earns.is_empty() { " " small { (t("all of them by the same work")) } }
    }
}

/// The price as stated, and for a TH/s where that is another figure and comes out even.
fn price(p: &Plan) -> Markup {
    const TERAHASH: u128 = 1_000_000_000_000;
    let stated = p.price_hashrate.0;
    let minor = u128::try_from(p.price.minor).ok().and_then(|m| m.checked_mul(TERAHASH));
    let even = minor.filter(|m| stated > 0 && m.is_multiple_of(stated)).map(|m| m / stated);
    // Plans of less than a gigahash are of chains where nobody counts in terahashes.
    let even = even.filter(|_| stated >= TERAHASH / 1_000 && stated != TERAHASH);
    html! {
        (say!("{price} for {price_hashrate} a day", price = amount(p.price), price_hashrate = local(&exact_rate(p.price_hashrate))))
        @if let Some(minor) = even.and_then(|m| i64::try_from(m).ok()) {
            div.small.soft { (say!("{price} a TH/s·day", price = amount(Amount::new(p.price.asset, minor)))) }
        }
    }
}

fn upfront(p: &Plan) -> Markup {
    html! { @match least_price(p) {
        Some(least) => (say!("all of it, from {least}", least = amount(least))),
        None => (t("nothing: out of your balance, epoch by epoch")),
    } }
}

/// Whether more than the fee is taken of the earnings.
pub(crate) fn has_upkeep(p: &Plan) -> bool {
    p.maintenance_minor_per_th_day > 0 || p.life.maintenance_usd_micro_per_th_day > 0
}

/// What is taken of the earnings besides the fee, in coins, in dollars or both.
pub(crate) fn upkeep(p: &Plan) -> Markup {
    let dollars = i64::try_from(p.life.maintenance_usd_micro_per_th_day).unwrap_or(i64::MAX);
    html! {
        @if !has_upkeep(p) { (t("none")) }
        @if p.maintenance_minor_per_th_day > 0 { (say!("{maintenance} for each TH/s·day delivered, deducted from earnings", maintenance = maintenance(p))) }
        @for (asset, minor) in &p.maintenance_also {
            br; (say!("What they do not cover comes from {asset}, the whole fee being {max}", asset = asset_name(*asset), max = amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX)))))
        }
        @if p.maintenance_minor_per_th_day > 0 && dollars > 0 { br; }
        @if dollars > 0 { (say!("{maintenance} for each TH/s·day delivered, deducted from earnings at the price recorded for each settlement", maintenance = amount(Amount::new(Asset::Usd, dollars)))) }
    }
}

fn hashrates(p: &Plan) -> Markup {
    html! { (say!("{hashrate_min} to {hashrate_max}, in steps of {hashrate_step}", hashrate_min = local(&exact_rate(p.hashrate_min)), hashrate_max = local(&exact_rate(p.hashrate_max)), hashrate_step = local(&exact_rate(p.hashrate_step)))) }
}

/// So many epochs of a plan as a time.
fn span(p: &Plan, epochs: u64) -> String {
    let epochs = u32::try_from(epochs).unwrap_or(u32::MAX);
    span_text(rule_of(p.epoch_us).length().saturating_mul(epochs))
}

fn term(p: &Plan) -> Markup {
    let shortest = p.terms_epochs.iter().min().copied().unwrap_or_default();
    let longest = p.terms_epochs.iter().max().copied().unwrap_or_default();
    html! {
        @if p.kind == PlanKind::Metered { (t("as long as you like, in whole epochs")) }
        @else if shortest == longest { (span(p, shortest)) }
        @else { (say!("{shortest} to {longest}", shortest = span(p, shortest), longest = span(p, longest))) }
    }
}

fn make_good(p: &Plan) -> Markup {
    html! { @if p.kind == PlanKind::Metered { (t("it is not charged")) } @else {
        (say!("delivered later, within {extension_epochs} after the term; what is missing then is refunded pro rata", extension_epochs = span(p, p.extension_epochs)))
    } }
}

/// What becomes of a contract while its work earns less than it costs.
pub(crate) fn while_it_does_not_pay(p: &Plan) -> Markup {
    html! { @match (p.kind, p.life.unprofitable) {
        (PlanKind::Metered, _) => (t("it goes on until you end it")),
        (_, Unprofitable::Run) => (t("it goes on; what is deducted never exceeds what it earns")),
        (_, Unprofitable::Pause) => (say!("after {notice} of notice it pauses, and its clock with it, until it pays again; you may have it run on", notice = span(p, p.life.notice_epochs))),
    } }
}

/// When nothing of a contract is open any more, whatever was missed.
fn hard_end(p: &Plan) -> Markup {
    let longest = p.terms_epochs.iter().max().copied().unwrap_or_default();
    html! { @if p.kind == PlanKind::Metered { (t("when you end it")) } @else {
        (say!("over for good after {span}", span = span(p, longest.saturating_add(p.extension_epochs))))
    } }
}

/// Said of a lane that has nothing to sell because nothing is proven yet.
pub(crate) const NOT_PROVEN: &str = "Not on sale yet: the farm's hashpower is being proven.";

/// What is paid whatever is earned, by the kind of plan.
fn cost_text(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Lease => t(
            "The price of a lease is paid at the start and is not an investment with a yield: it buys work.",
        ),
        PlanKind::Metered => t(
            "By the meter the work of every epoch is paid from your balance, whatever it earns: that is not an investment with a yield, it buys work.",
        ),
        PlanKind::Hosted => t(
            "The price of a machine is paid before it is yours, and is not an investment with a yield. Electricity and hosting come on top, for days that earn little, too.",
        ),
    }
}

/// The plain statement that stands wherever something is bought: what is true of these plans.
pub(crate) fn risk<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Markup {
    let plans: Vec<&Plan> = plans.into_iter().collect();
    let kinds = [PlanKind::Lease, PlanKind::Metered, PlanKind::Hosted];
    // Where every hash is paid at its expected value, whoever finds blocks, chance is the operator's.
    let is_paid_by_hash = |p: &&Plan| p.scheme == Scheme::Fpps && p.kind != PlanKind::Hosted;
    html! {
        section.risk aria-labelledby="risk-h" {
            h2 #risk-h { (t("A contract may earn less than it costs")) }
            ul {
                @if plans.is_empty() || !plans.iter().all(is_paid_by_hash) {
                    li { (t("Blocks are found by chance. A contract can run its whole term and earn nothing.")) }
                }
                li { (t("Difficulty and the coin's price change. Nobody knows them in advance, and no return is promised.")) }
                @for kind in kinds { @if plans.iter().any(|p| p.kind == kind) { li { (cost_text(kind)) } } }
            }
        }
    }
}

/// The terms of a plan, as pairs.
pub(crate) fn plan_terms(p: &Plan) -> Markup {
    html! {
        dl.pairs {
            dt { (t("Earns")) } dd { (earns(p)) }
            dt { (t("Price")) } dd { (price(p)) }
            dt { (t("Hashrate")) } dd { (hashrates(p)) }
            dt { (t("Term")) } dd {
                @if p.kind == PlanKind::Metered { (say!("by the meter: as long as you like, in whole epochs of {span}, out of your balance", span = span(p, 1))) }
                @else { (term(p)) }
            }
            dt { (t("Fee on earnings")) } dd { (basis_points(p.fee_bps)) }
            @if has_upkeep(p) {
                dt { (t("Maintenance")) } dd { (upkeep(p)) }
            }
            @if p.life.minimum_payout_minor > 0 {
                dt { (t("Minimum payout")) } dd { (say!("earnings are credited once {minimum} wait, and all of them at the end", minimum = minimum(p))) }
            }
            dt { (t("If work is missing")) } dd { (make_good(p)) }
            dt { (t("If it does not pay")) } dd { (while_it_does_not_pay(p)) }
            dt { (t("Paid by")) } dd { (t(scheme_text(p.scheme))) }
        }
    }
}

/// Maintenance of a plan; a figure beyond 63 bits cannot have been configured.
fn maintenance(p: &Plan) -> Markup {
    let minor = i64::try_from(p.maintenance_minor_per_th_day).unwrap_or(i64::MAX);
    amount(Amount::new(p.asset, minor))
}

/// The minimum payout of a plan; at most a hundredth of a coin.
fn minimum(p: &Plan) -> Markup {
    amount(Amount::new(p.asset, i64::try_from(p.life.minimum_payout_minor).unwrap_or(i64::MAX)))
}

pub(crate) fn scheme_text(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Pplns => "PPLNS: each found block is shared by the work that led up to it",
        Scheme::Fpps => {
            "FPPS: each hash at its expected value, whatever is found; the operator carries the luck"
        }
        Scheme::Solo => "SOLO: a block that the contract finds is its own whole; most find none",
    }
}
