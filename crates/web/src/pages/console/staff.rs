//! Who works here and as what, and the security log.

use super::{button, choice, field, frame, more, sheet, table};
use crate::console::{cursor, typed};
use crate::extract::{Form, Params, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::{short_hash, time};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{LogLine, PERMISSIONS, Permission, Role};
use maud::{Markup, html};
use serde::Deserialize;

/// Lines of a page of the log.
const LINES_SHOWN: u32 = 100;

/// `GET /console/staff`
pub(crate) async fn staff(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::GiveRoles);
    let all = state.accounts().staff().await?;
    let rows: Vec<_> = all
        .iter()
        .map(|s| {
            let take = [("name", s.name.as_str()), ("role", "")];
            let take = html! { @if may { (button(&visitor, "/console/staff", "Take the role away", &take)) } };
            vec![html! { (s.name) }, html! { (t(s.role.name())) }, time(s.since), take]
        })
        .collect();
    let yes = |role: Role, p: Permission| html! { @if role.may(p) { (t("yes")) } @else { "–" } };
    let may_rows: Vec<_> = PERMISSIONS
        .iter()
        .map(|(p, _)| {
            let mut row = vec![html! { (t(wording(*p))) }];
            row.extend(Role::ALL.map(|r| yes(r, *p)));
            row
        })
        .collect();
    let mut columns = vec!["What"];
    columns.extend(Role::ALL.map(Role::name));
    let content = html! {
        (sheet("staff", "Staff", &table("Staff", &["Name", "Role", "Since", "Action"], &rows)))
        @if may { (sheet("give", "Give a role", &html! {
            form.stack method="post" action="/console/staff" {
                (token(&visitor))
                (field("staff", "name", "Account", "The name of an account that is there. It is signed out everywhere."))
                (choice("staff", "role", "Role", Role::ALL.map(|r| (r.name(), r.name())).into_iter()))
                button type="submit" { (t("Give it")) }
            }
        })) }
        (sheet("table", "Who may do what", &table("Permissions", &columns, &may_rows)))
    };
    Ok(frame(&visitor, staff, "Staff", "Who works here, and what each role may do.", &content))
}

/// A permission in words.
const fn wording(p: Permission) -> &'static str {
    match p {
        Permission::SeeFarm => "See lanes, nodes, sites, machines, hosting, tickets",
        Permission::SeeCustomers => "See customers, contracts, invoices",
        Permission::SeeBooks => "See payouts, prices, reserves, the journal",
        Permission::SeeLog => "See the security log",
        Permission::SeeStaff => "See the staff",
        Permission::RunMachines => "Change the inventory; record idled and moved machines",
        Permission::RunSites => "State electricity; make agents' tokens",
        Permission::AnswerTickets => "Open, answer and close tickets",
        Permission::RunHosting => "Offer machines; end hosting contracts",
        Permission::DecidePayouts => "Approve and refuse payouts",
        Permission::PlacePayIns => "Say whose a bank transfer is",
        Permission::SetPlans => "Make, change and withdraw plans",
        Permission::TellPrices => "Tell prices",
        Permission::MoveReserves => "Move coins into and out of reserves",
        Permission::EndSessions => "Sign customers out",
        Permission::GiveRoles => "Give and take roles",
    }
}

/// Whose role, and which; none when empty.
#[derive(Deserialize)]
pub(crate) struct Given {
    name: String,
    role: String,
}

/// `POST /console/staff`
pub(crate) async fn give(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Given>,
) -> Result<Redirect, Failure> {
    let role = match form.role.as_str() {
        "" => None,
        word => Some(typed::<Role>(word, "choose one of the roles")?),
    };
    state.give_role(staff, &form.name, role).await?;
    Ok(Redirect::to("/console/staff"))
}

/// Where a page of the log begins.
#[derive(Default, Deserialize)]
pub(crate) struct Before {
    before: Option<String>,
}

/// `GET /console/log`
pub(crate) async fn log(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Before>,
) -> Result<Markup, Failure> {
    let lines = state.accounts().log_page(cursor(q.before.as_deref()), LINES_SHOWN).await?;
    let ends = state.accounts().log_ends().await?;
    let row = |l: &LogLine| {
        let or_dash = |name: &Option<String>| html! { (name.as_deref().unwrap_or("–")) };
        let (whose, by) = (or_dash(&l.account_name), or_dash(&l.actor_name));
        let (what, detail) = (html! { code { (l.row.action) } }, html! { code { (l.row.detail) } });
        vec![html! { (l.seq) }, time(l.row.at), what, whose, by, detail]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    let next = lines.last().filter(|l| l.seq > ends.cut_seq + 1).map(|l| l.seq.to_string());
    let columns = [">Number", "When", "What", "Account", "By", "More"];
    let content = html! {
        (sheet("head", "The chain", &html! {
            dl.pairs {
                dt { (t("Last line")) } dd { (ends.seq) }
                dt { (t("Its hash")) } dd { code { (hex::encode(ends.hash)) } }
                @if ends.cut_seq > 0 { dt { (t("Cut off up to")) } dd { (ends.cut_seq) ", " (short_hash(&hex::encode(ends.cut_hash))) } }
            }
            p.note { (say!("Who notes number and hash down can tell later whether anything before was changed: {code} recomputes the chain.", code = html! { code { "gruve admin staff log" } })) }
        }))
        (sheet("log", "Lines", &table("Lines, newest first", &columns, &rows)))
        (more("/console/log?before=", next))
    };
    let lead = "What was done to accounts and by staff, newest first.";
    Ok(frame(&visitor, staff, "Security log", lead, &content))
}
