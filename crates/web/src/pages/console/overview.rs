//! The house at a glance: lanes and what is sold, nodes, chains, what waits for a person.

use super::map::SILENT_SECS;
use super::{frame, live_sheet, table};
use crate::extract::Staff;
use crate::failure::Failure;
use crate::money::{amount, rate, span_text, time};
use crate::pages::home::part_bar;
use crate::state::AppState;
use crate::view::LaneView;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use gruve_accounts::Permission;
use gruve_market::LastWord;
use gruve_treasury::PayoutState;
use gruve_units::{Amount, Asset, Duration};
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
    let alerts = state.open_alerts().await?.len();
    let words = state.market().last_words().await?;
    let to_payouts = staff.role.may(Permission::SeeBooks).then_some("/console/payouts");
    let content = html! {
        (live_sheet("waiting", "Waits for somebody", "money farm health", &html! {
            dl.figures {
                div { dt { (t("Open alerts")) } dd { (counted(alerts, Some("/console/alerts"))) } }
                div { dt { (t("Payouts to decide")) } dd { (counted(waiting, to_payouts)) } }
                div { dt { (t("Open tickets")) } dd { (counted(tickets, Some("/console/tickets"))) } }
            }
        }))
        (live_sheet("capacity", "Capacity against sold", "lanes", &capacity(&state, &lanes)))
        (live_sheet("nodes", "Nodes", "health lanes", &nodes(&state)))
        (live_sheet("chains", "Chains", "health lanes", &chains(&state)))
        (live_sheet("gateways", "Gateways", "lanes work", &gateways(&state, &lanes)))
        @if !words.is_empty() { (live_sheet("sources", "Price sources", "prices health", &sources(&state, &words))) }
    };
    Ok(frame(&visitor, staff, "House", "What runs, what is sold, what waits.", &content))
}

/// How many wait, with the way to them for whom they concern.
fn counted(n: usize, to: Option<&str>) -> Markup {
    html! { @match to { Some(to) if n > 0 => a href=(to) { (n) }, _ => (n) } }
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
            html! { (rate(s.sold)) (part_bar(s.sold.0, s.proven_capacity.0)) },
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
        let tone = match n.standing {
            "ready" => "tag good",
            "down" | "unusable" => "tag bad",
            _ => "tag warn",
        };
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

/// How long ago, in whole seconds.
fn age(since: Duration) -> String {
    span_text(Duration::from_secs(since.as_secs().max(1)))
}

fn gateways(state: &AppState, lanes: &[LaneView]) -> Markup {
    let (sessions, now) = (state.live().sessions(), state.now());
    let row = |l: &LaneView| {
        let of_lane = sessions.iter().filter(|s| s.lane == l.stats.lane);
        let last = of_lane.filter_map(|s| s.last_share_at).max().map(|at| now.since(at));
        let standing = match last {
            _ if l.machines == 0 => html! { span.tag.warn { (t("Nobody is connected")) } },
            Some(d) if d.as_secs() < SILENT_SECS => html! { span.tag.good { (t("Takes shares")) } },
            _ => html! { span.tag.bad { (t("No shares come")) } },
        };
        let at = l.stratum.clone().unwrap_or_else(|| "–".to_owned());
        let epoch = l.stats.last_closed.map(|e| e.0);
        let shares = html! { (l.stats.shares) };
        vec![
            html! { (l.stats.lane) },
            html! { code { (at) } },
            standing,
            html! { (l.machines) },
            html! { @match last { Some(d) => (age(d)), None => "–" } },
            shares,
            or_dash(epoch),
        ]
    };
    let columns = [
        "Lane",
        "Address",
        "Standing",
        ">Connected",
        ">Last share's age",
        ">Shares counted",
        ">Last closed epoch",
    ];
    table("Gateways", &columns, &lanes.iter().map(row).collect::<Vec<_>>())
}

/// The configured sources of prices, each with what it told last.
fn sources(state: &AppState, words: &[LastWord]) -> Markup {
    let (rules, now) = (&state.market().config().prices, state.now());
    let row = |w: &LastWord| {
        let since = w.told.map(|(at, _)| now.since(at));
        let standing = match since {
            Some(d) if d <= rules.staleness() => html! { span.tag.good { (t("Counts")) } },
            Some(_) => html! { span.tag.bad { (t("Too old to count")) } },
            None => html! { span.tag.bad { (t("Never heard")) } },
        };
        vec![
            html! { (w.source) },
            html! { (w.asset) },
            html! { @if w.is_by_hand { (t("told by hand")) } @else { (t("asked every minute")) } },
            html! { @match w.told { Some((_, price)) => (amount(Amount::new(Asset::Usd, price))), None => "–" } },
            html! { @match w.told { Some((at, _)) => (time(at)), None => "–" } },
            html! { @match since { Some(d) => (age(d)), None => "–" } },
            standing,
        ]
    };
    let columns = ["Source", "Coin", "How", ">Last word", "Told", ">Age", "Standing"];
    html! {
        (table("Price sources", &columns, &words.iter().map(row).collect::<Vec<_>>()))
        p.small.soft { (say!("A price needs {quorum} of a coin's sources, none older than {staleness}.", quorum = rules.quorum, staleness = span_text(rules.staleness()))) }
    }
}
