//! Plans: what is on sale, made, changed and taken off sale.

mod form;

use super::{button, frame, sheet, table};
use crate::extract::{Form, Id, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::{amount, exact_rate, grouped, local, time};
use crate::state::AppState;
use crate::trade::market_failure;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use form::PlanForm;
use gruve_accounts::Permission;
use gruve_market::{LosingPlan, Offer, OfferStanding, PlanConfig};
use gruve_units::Amount;
use maud::{Markup, html};

/// `GET /console/plans`
pub(crate) async fn plans(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::SetPlans);
    let offers = state.market().offers().await.map_err(|e| market_failure(&e))?;
    let rows: Vec<_> = offers.iter().map(|o| row(&state, &visitor, may, o)).collect();
    let columns =
        ["Plan", "Title", "Lane", "Kind", ">Price a day", ">Version", "Standing", "Action"];
    let losing = state.market().losing_plans().await.map_err(|e| market_failure(&e))?;
    let content = html! {
        (sheet("plans", "Plans", &table("Plans", &columns, &rows)))
        (sheet("losing", "At a loss now", &losing_table(&losing)))
        @if may { (sheet("new", "Make a plan", &form_markup(&state, &visitor, &PlanForm::blank(), false))) }
    };
    let lead = "What is on sale. A change is a new version: contracts keep the terms they were sold under, quotes of \
                the version before are void.";
    Ok(frame(&visitor, staff, "Plans", lead, &content))
}

/// Plans whose contracts run on although they cost more than they earn.
fn losing_table(losing: &[LosingPlan]) -> Markup {
    let figure = |of: Option<Amount>| html! { @match of { Some(a) => (amount(a)), None => "–" } };
    let rows: Vec<_> = losing
        .iter()
        .map(|p| {
            vec![
                html! { (p.plan) },
                html! { (p.version) },
                html! { (p.lane) },
                html! { (grouped(p.contracts.into())) },
                html! { (p.since.0) },
                figure(p.now.map(|n| n.earns)),
                figure(p.now.map(|n| n.costs)),
            ]
        })
        .collect();
    let columns =
        ["Plan", ">Version", "Lane", ">Contracts", ">Since epoch", ">A TH·day earns", ">It costs"];
    html! {
        p.small.soft { (t("Contracts that run on, as their plan says, although maintenance is more than they earn after the fee. Their owners were told. What is deducted never exceeds what they earn: the rest is yours to bear.")) }
        (table("At a loss now", &columns, &rows))
    }
}

fn row(state: &AppState, visitor: &Visitor, may: bool, o: &Offer) -> Vec<Markup> {
    let p = &o.plan;
    let (edit, withdraw, filed) = (
        format!("/console/plans/{}", p.id),
        format!("/console/plans/{}/withdraw", p.id),
        format!("/console/plans/{}/as-filed", p.id),
    );
    let standing = html! {
        @match o.standing {
            OfferStanding::Filed => (t("as in the file")),
            OfferStanding::Said => (t("as said here")),
            OfferStanding::Withdrawn => (t("withdrawn")),
            OfferStanding::Unfit(why) => { (say!("cannot be offered: {why}", why = why)) },
        }
        @if let Some(at) = o.changed_at { small { " " (time(at)) } }
    };
    vec![
        html! { @if may { a href=(edit) { (p.id) } } @else { (p.id) } },
        html! { (p.title) },
        html! { (p.lane) },
        html! { (t(p.kind.name())) ", " (p.scheme.name()) },
        html! { (say!("{state} for {price_hashrate}", state = price(state, p), price_hashrate = local(&exact_rate(p.price_hashrate)))) },
        html! { @match o.version { Some(v) => (v), None => "–" } },
        standing,
        html! { @if may {
            @if o.version.is_some() { (button(visitor, &withdraw, "Take off sale", &[])) }
            @if o.is_filed && o.standing != OfferStanding::Filed { (button(visitor, &filed, "As in the file", &[])) }
        } },
    ]
}

fn price(state: &AppState, p: &PlanConfig) -> Markup {
    let own = state.market().lane(&p.lane).ok().map(|l| l.asset);
    let asset = p.pay_asset.or(own);
    let minor = i64::try_from(p.price_minor).unwrap_or(i64::MAX);
    html! { @match asset { Some(a) => (amount(Amount::new(a, minor))), None => (p.price_minor) } }
}

/// `GET /console/plans/{name}`
pub(crate) async fn plan(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<Markup, Failure> {
    let offers = state.market().offers().await.map_err(|e| market_failure(&e))?;
    let found = offers.into_iter().find(|o| o.plan.id == name);
    let offer = found.ok_or_else(|| Failure::not_found("plan"))?;
    let asset = state.market().lane(&offer.plan.lane).ok().map(|l| l.asset);
    let filled = PlanForm::of(&offer.plan, asset);
    let content = sheet("change", &offer.plan.title, &form_markup(&state, &visitor, &filled, true));
    let lead = "Putting it on sale makes a new version, where it says something new.";
    Ok(frame(&visitor, staff, &offer.plan.id, lead, &content))
}

fn form_markup(state: &AppState, visitor: &Visitor, filled: &PlanForm, is_named: bool) -> Markup {
    let lanes: Vec<&str> = state.market().config().lanes.iter().map(|l| l.lane.as_str()).collect();
    html! {
        form.stack method="post" action="/console/plans" {
            (token(visitor))
            (filled.fields(&lanes, is_named))
            button type="submit" { (t("Put it on sale")) }
        }
    }
}

/// `POST /console/plans`: makes a plan or changes the one of that name.
pub(crate) async fn put(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<PlanForm>,
) -> Result<Redirect, Failure> {
    let plan = form.read(state.market().config())?;
    state.put_plan(staff, plan).await?;
    Ok(Redirect::to("/console/plans"))
}

/// `POST /console/plans/{name}/withdraw`
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<Redirect, Failure> {
    state.withdraw_plan(staff, &name).await?;
    Ok(Redirect::to("/console/plans"))
}

/// `POST /console/plans/{name}/as-filed`
pub(crate) async fn as_filed(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<Redirect, Failure> {
    state.plan_as_filed(staff, &name).await?;
    Ok(Redirect::to("/console/plans"))
}
