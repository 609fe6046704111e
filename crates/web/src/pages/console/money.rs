//! Payouts, prices, reserves, the journal.

use super::{choice, field, frame, more, sheet, table};
use crate::console::{cursor, figure, typed};
use crate::deciding::MoveReserve;
use crate::extract::{Form, Id, Params, Staff};
use crate::failure::{Failure, sentence};
use crate::layout::token;
use crate::money::{amount, short_hash, time};
use crate::pages::payouts::waits;
use crate::state::AppState;
use crate::trade::treasury_failure;
use crate::view::payout_state;
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_market::{FppsStatus, ReserveFrom};
use gruve_treasury::{Lock, Payout, PayoutState};
use gruve_units::{Amount, Asset, PayoutId};
use maud::{Markup, html};
use serde::Deserialize;

/// Entries of a page of the journal.
const ENTRIES_SHOWN: u32 = 25;

/// Prices shown of each asset.
const PRICES_SHOWN: u32 = 5;

/// `GET /console/payouts`
pub(crate) async fn payouts(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::DecidePayouts);
    let now = state.now();
    let mut parts = Vec::new();
    parts.extend(locked(&state).await?);
    for of in PayoutState::ALL {
        let all = state.treasury().payouts_in_state(of).await?;
        let names = state.names(all.iter().map(|p| p.account)).await?;
        let mut approvals = Vec::new();
        for p in &all {
            let by = if of == PayoutState::Requested {
                state.treasury().approvers(p.id).await.map_err(|e| treasury_failure(&e))?.len()
            } else {
                0
            };
            approvals.push(by);
        }
        let is_open = of == PayoutState::Requested;
        let decide = may && is_open;
        let rows: Vec<_> = all
            .iter()
            .zip(approvals)
            .map(|(p, approvals)| {
                let mut row = vec![
                    time(p.created),
                    html! { a href={ "/console/customers/" (p.account) } { (names[&p.account]) } },
                    amount(p.amount),
                    html! {
                        code { (p.address) }
                        @if let Some(why) = p.reason.as_ref().filter(|_| decide) { div.small.soft { (heard(why)) } }
                        @if p.held(now).is_some() { div { (waits(p, now)) } }
                        @if approvals > 0 { div.small { (t("Approved by one person; another is needed.")) } }
                    },
                ];
                match is_open {
                    true => row.extend(decide.then(|| decision(&visitor, p))),
                    false => row.push(
                        html! { @match &p.txid { Some(t) => (short_hash(t)), None => "–" } },
                    ),
                }
                row
            })
            .collect();
        if !rows.is_empty() || of == PayoutState::Requested {
            let last = if is_open { "Action" } else { "Transaction" };
            let mut columns = vec!["Requested", "Customer", ">Amount", "To", last];
            columns.truncate(if is_open && !may { 4 } else { 5 });
            let list = table("Payouts", &columns, &rows);
            parts.push(sheet(of.word(), payout_state(of).text, &list));
        }
    }
    let content = html! { div.sheets #payouts data-live="money" { @for p in &parts { (p) } } };
    Ok(frame(&visitor, staff, "Payouts", "By state; each list the oldest 200.", &content))
}

/// Why payouts of a coin wait for a person, if any do.
async fn locked(state: &AppState) -> Result<Option<Markup>, Failure> {
    let (mut rows, mut pays_waiting) = (Vec::new(), false);
    for asset in state.treasury().assets() {
        for lock in state.treasury().payout_locks(asset).await? {
            rows.push(match lock {
                Lock::Unexplained { txid, height, spent, seen } => vec![
                    time(seen),
                    html! { (asset.code()) },
                    html! { code { (txid) } },
                    html! { @match height { Some(h) => (h), None => "–" } },
                    amount(spent),
                ],
                Lock::Paid { txid, height, seen, .. } => {
                    pays_waiting = true;
                    vec![
                        time(seen),
                        html! { (asset.code()) },
                        html! { code { (txid) } },
                        html! { @match height { Some(h) => (h), None => "–" } },
                        html! { "–" },
                    ]
                }
                Lock::Held { seen, .. } => vec![
                    time(seen),
                    html! { (asset.code()) },
                    html! { code { "gruve admin payouts --resume" } },
                    html! { "–" },
                    html! { "–" },
                ],
                Lock::Doubted { coin, seen } => vec![
                    time(seen),
                    html! { (asset.code()) },
                    html! { code { (coin) } },
                    html! { "–" },
                    html! { "–" },
                ],
            });
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let columns = ["Seen", "Coin", "Transaction", ">Block", ">Spent"];
    let list = html! {
        p { (t("These spend the house's coins and nothing in its tables explains them: the database is older than the chain, or somebody else has the keys. Payouts of the coin wait until gruve admin payouts on the machine has settled each.")) }
        @if pays_waiting {
            p { (t("Where nothing is spent, a block that was caught up with pays what payouts that wait would: only these wait.")) }
        }
        (table("Unexplained transactions", &columns, &rows))
    };
    Ok(Some(sheet("locked", "Payouts are locked", &list)))
}

fn decision(visitor: &Visitor, p: &Payout) -> Markup {
    html! {
        form.actions method="post" action={ "/console/payouts/" (p.id) "/approve" } {
            (token(visitor))
            button type="submit" { (t("Approve")) }
        }
        form.actions method="post" action={ "/console/payouts/" (p.id) "/refuse" } {
            (token(visitor))
            label { span.small.soft { (t("Reason, for the customer to read")) } input type="text" name="reason" required maxlength="200"; }
            button.quiet type="submit" { (t("Refuse")) }
        }
    }
}

/// `POST /console/payouts/{id}/approve`
pub(crate) async fn approve(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PayoutId>,
) -> Result<Redirect, Failure> {
    state.approve_payout(staff, id).await?;
    Ok(Redirect::to("/console/payouts"))
}

/// Why a payout is refused.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    reason: String,
}

/// `POST /console/payouts/{id}/refuse`
pub(crate) async fn refuse(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PayoutId>,
    Form(form): Form<Refusal>,
) -> Result<Redirect, Failure> {
    state.refuse_payout(staff, id, &form.reason).await?;
    Ok(Redirect::to("/console/payouts"))
}

/// `GET /console/money`
pub(crate) async fn money(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let mut prices = Vec::new();
    for asset in Asset::ALL {
        for p in state.market().prices(asset, PRICES_SHOWN).await? {
            let dollars = Amount::new(Asset::Usd, p.usd_micro);
            let from = html! { (p.sources.join(", ")) };
            prices.push(vec![html! { (asset) }, time(p.instant), amount(dollars), from]);
        }
    }
    let mut reserves = Vec::new();
    let mut tx = state.store().read().await?;
    for lane in &state.market().config().lanes {
        let all = state.market().fpps_status(&mut tx, &lane.lane).await?;
        reserves.extend(all.iter().filter(|s| is_used(s)).map(reserve_row));
    }
    tx.rollback().await?;
    let columns = ["Lane", ">Reserve", ">Maturing", ">Owed", ">Cover", "Plans"];
    let content = html! {
        (sheet("prices", "Recorded prices", &table("Prices in dollars", &["Coin", "For", ">A coin", "Sources"], &prices)))
        @if staff.role.may(Permission::TellPrices) { (sheet("tell", "Tell a price", &html! {
            form.stack method="post" action="/console/prices" {
                (token(&visitor))
                (field("price", "asset", "Coin", "As BTC."))
                (field("price", "source", "Source", "A name that the configuration knows."))
                (field("price", "dollars", "Dollars for a whole coin", "As 64000.50."))
                button type="submit" { (t("Tell it")) }
            }
        })) }
        (sheet("reserves", "FPPS reserves", &table("Reserves", &columns, &reserves)))
        @if staff.role.may(Permission::MoveReserves) { (sheet("move", "Move the operator's coins", &move_form(&visitor))) }
    };
    let lead = "Prices that bills rest on, and what stands between FPPS promises and bad luck.";
    Ok(frame(&visitor, staff, "Prices and reserves", lead, &content))
}

fn is_used(s: &FppsStatus) -> bool {
    !s.plans.is_empty() || s.reserve.minor != 0 || s.owed.minor != 0
}

fn reserve_row(s: &FppsStatus) -> Vec<Markup> {
    vec![
        html! { (s.lane) },
        amount(s.reserve),
        amount(s.maturing),
        amount(s.owed),
        html! { (say!("{cover} minor units", cover = s.cover)) },
        html! { @for p in &s.plans {
            p {
                @match p.floor_minor {
                    Some(floor) => { (say!("{plan}: needs {floor}, ruin at most {ruin_ppm} in a million.", plan = p.plan, floor = floor, ruin_ppm = p.ruin_ppm)) },
                    None => { (say!("{plan}: what it needs is not known yet; ruin at most {ruin_ppm} in a million.", plan = p.plan, ruin_ppm = p.ruin_ppm)) },
                }
                " "
                @if p.is_sold { (t("On sale.")) } @else { (t("Not sold.")) }
            }
        } },
    ]
}

fn move_form(visitor: &Visitor) -> Markup {
    let ways = [("put", "Into the reserve"), ("take", "Out of it")];
    let sources =
        [("revenue", "What the operator has earned"), ("capital", "The operator's capital")];
    html! {
        form.stack method="post" action="/console/reserves" {
            (token(visitor))
            (choice("move", "way", "Way", ways.into_iter()))
            (choice("move", "from", "From or to", sources.into_iter()))
            (field("move", "asset", "Coin", "As BTC."))
            (field("move", "amount", "Amount in whole coins", "As 0.5."))
            (field("move", "reason", "A name for it", "Used once for ever: a-z, 0-9 and -. The same again does nothing."))
            button type="submit" { (t("Move them")) }
        }
    }
}

/// A price.
#[derive(Deserialize)]
pub(crate) struct Told {
    asset: String,
    source: String,
    dollars: String,
}

/// `POST /console/prices`
pub(crate) async fn tell_price(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Told>,
) -> Result<Redirect, Failure> {
    let asset: Asset = typed(&form.asset, "write a coin as BTC")?;
    let dollars = Amount::parse_decimal(Asset::Usd, &figure(&form.dollars)?);
    let dollars = dollars.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
    state.tell_price(staff, (asset, form.source.trim()), dollars).await?;
    Ok(Redirect::to("/console/money"))
}

/// Coins to move.
#[derive(Deserialize)]
pub(crate) struct Move {
    way: String,
    from: String,
    asset: String,
    amount: String,
    reason: String,
}

/// `POST /console/reserves`
pub(crate) async fn move_reserve(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Move>,
) -> Result<Redirect, Failure> {
    let asset: Asset = typed(&form.asset, "write a coin as BTC")?;
    let amount = Amount::parse_decimal(asset, &figure(&form.amount)?);
    let amount = amount.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
    let is_taken_out = form.way == "take";
    let from = if form.from == "capital" { ReserveFrom::Capital } else { ReserveFrom::Revenue };
    let it = MoveReserve { amount, is_taken_out, from, reason: &form.reason };
    state.move_reserve(staff, it).await?;
    Ok(Redirect::to("/console/money"))
}

/// Where a page of the journal begins.
#[derive(Default, Deserialize)]
pub(crate) struct Before {
    before: Option<String>,
}

/// `GET /console/journal`
pub(crate) async fn journal(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Before>,
) -> Result<Markup, Failure> {
    let mut tx = state.store().read().await?;
    let entries = gruve_ledger::browse(&mut tx, cursor(q.before.as_deref()), ENTRIES_SHOWN).await?;
    tx.rollback().await?;
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            let postings = html! { @for (account, a) in &e.postings { div { code { (account) } " " (amount(*a)) } } };
            let hash = short_hash(&hex::encode(e.hash));
            vec![html! { (e.seq) }, time(e.at), html! { code { (e.kind) } }, html! { code { (e.reason) } }, postings, hash]
        })
        .collect();
    let next = entries.last().filter(|e| e.seq > 1).map(|e| e.seq.to_string());
    let columns = [">Number", "When", "Kind", "Reason", "Postings", "Hash"];
    let content = html! {
        (sheet("journal", "Entries", &table("Entries, newest first", &columns, &rows)))
        (more("/console/journal?before=", next))
    };
    let lead = "Every posting of the books, newest first. Debits are positive, credits negative.";
    Ok(frame(&visitor, staff, "Journal", lead, &content))
}
