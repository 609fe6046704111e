//! The house at a glance: lanes and what is sold, nodes, chains, what waits for a person.

use super::{frame, live_sheet, table};
use crate::extract::Staff;
use crate::failure::Failure;
use crate::money::rate;
use crate::state::AppState;
use crate::view::LaneView;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use gruve_treasury::PayoutState;
use maud::{Markup, html};

/// `GET /console`
pub(crate) async fn overview(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let lanes = state.lanes().await?;
    let waiting = state.treasury().payouts_in_state(PayoutState::Requested).await?.len();
    let tickets = state.farm().open_tickets().await?.len();
    let content = html! {
        (live_sheet("waiting", "Waits for somebody", "money farm", &html! {
            dl.figures {
                div { dt { (t("Payouts to decide")) } dd { (waiting) } }
                div { dt { (t("Open tickets")) } dd { (tickets) } }
            }
        }))
        (live_sheet("capacity", "Capacity against sold", "lanes", &capacity(&state, &lanes)))
        (live_sheet("nodes", "Nodes", "health lanes", &nodes(&state)))
        (live_sheet("chains", "Chains", "health lanes", &chains(&state)))
        (live_sheet("gateways", "Gateways", "lanes work", &gateways(&lanes)))
    };
    Ok(frame(&visitor, staff, "House", "What runs, what is sold, what waits.", &content))
}

fn capacity(state: &AppState, lanes: &[LaneView]) -> Markup {
    let row = |l: &LaneView| {
        let s = &l.stats;
        let standing = if s.oversold.0 > 0 {
            html! { span.tag.bad { (say!("Oversold by {oversold}", oversold = rate(s.oversold))) } }
        } else {
            html! { span.tag.good { (t("Covered")) } }
        };
        let lane = html! { a href={ "/lanes/" (s.lane) } { (s.lane) } };
        vec![
            lane,
            rate(s.house_hashrate),
            rate(s.proven_capacity),
            rate(state.never_sold(s)),
            rate(s.sold),
            rate(s.available),
            standing,
        ]
    };
    let columns =
        ["Lane", ">House, now", ">Proven", ">Reserve", ">Sold", ">Left for sale", "Standing"];
    table("Capacity of each lane", &columns, &lanes.iter().map(row).collect::<Vec<_>>())
}

fn or_dash(n: Option<u64>) -> Markup {
    html! { @match n { Some(n) => (n), None => "–" } }
}

fn nodes(state: &AppState) -> Markup {
    let all = state.live().nodes();
    let row = |n: &crate::LiveNode| {
        let tone = if n.standing == "ready" { "tag good" } else { "tag warn" };
        vec![
            html! { (n.lane) },
            html! { (n.asset) },
            html! { (n.name) @if n.is_chosen { " " (t("(chosen)")) } },
            html! { span class=(tone) { (t(n.standing)) } },
            or_dash(n.height),
            or_dash(n.peers),
            html! { @match n.template_age { Some(age) => { (age.as_secs()) " s" }, None => "–" } },
            html! { (n.failures) },
        ]
    };
    let columns =
        ["Lane", "Coin", "Node", "Standing", ">Height", ">Peers", ">Template's age", ">Failures"];
    table("Nodes", &columns, &all.iter().map(row).collect::<Vec<_>>())
}

fn chains(state: &AppState) -> Markup {
    let all = state.live().chains();
    let row = |c: &crate::LiveChain| {
        let settles = match c.is_sound {
            true => html! { span.tag.good { (t("Settles")) } },
            false => html! { span.tag.bad { (t("Settlement waits")) } },
        };
        vec![
            html! { (c.lane) },
            html! { (c.asset) },
            html! { (t(c.standing)) },
            or_dash(c.height),
            settles,
        ]
    };
    let columns = ["Lane", "Coin", "Following", ">In the books up to", "Settlement"];
    table("Chains as followed", &columns, &all.iter().map(row).collect::<Vec<_>>())
}

fn gateways(lanes: &[LaneView]) -> Markup {
    let row = |l: &LaneView| {
        let at = l.stratum.clone().unwrap_or_else(|| "–".to_owned());
        let epoch = l.stats.last_closed.map(|e| e.0);
        let shares = html! { (l.stats.shares) };
        vec![
            html! { (l.stats.lane) },
            html! { code { (at) } },
            html! { (l.machines) },
            shares,
            or_dash(epoch),
        ]
    };
    let columns = ["Lane", "Address", ">Connected", ">Shares counted", ">Last closed epoch"];
    table("Gateways", &columns, &lanes.iter().map(row).collect::<Vec<_>>())
}
