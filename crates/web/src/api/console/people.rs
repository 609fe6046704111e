//! Who works here and as what, and the security log, for the operator's programs.

use crate::api::page::Page;
use crate::api::{Hex, Time, hexed, time};
use crate::extract::{Json, Params, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Fine, List, answers, requests};
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use axum::extract::State;
use gruve_accounts::Permission::{GiveRoles, SeeLog, SeeStaff};
use gruve_accounts::{LogLine, PERMISSIONS, Role};
use gruve_units::AccountId;

requests! {
    /// Whose role, and which.
    struct RoleGiven {
        /// The account's name. It is signed out everywhere.
        name: String,
        /// `owner`, `finance`, `technician`, `support` or `auditor`; `none` takes the role away.
        role: String,
    }
}

answers! {
    /// One of the staff.
    struct StaffBody {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
        /// Its role.
        role: &'static str,
        /// Since when.
        since: Time,
    }

    /// A role and what it may do.
    struct RoleBody {
        /// Its name.
        role: &'static str,
        /// The permissions, as this document names them.
        may: Vec<String>,
    }

    /// Whose role was set.
    struct RoleSet {
        /// The account.
        account: AccountId,
        /// Its role now.
        role: Option<&'static str>,
    }

    /// A line of the security log.
    struct LogLineBody {
        /// Its number.
        number: i64,
        /// When.
        at: Time,
        /// What was done.
        action: String,
        /// To whose account.
        account: Option<AccountId>,
        /// The account's name.
        account_name: Option<String>,
        /// By whom of the staff.
        actor: Option<AccountId>,
        /// That one's name.
        actor_name: Option<String>,
        /// More of it.
        detail: String,
    }

    /// Where the log's chain ends: who notes number and hash down can tell later whether anything before was changed.
    struct LogEndsBody {
        /// The last line's number; 0 before there is one.
        number: i64,
        /// Its hash.
        hash: Hex,
        /// The last line that was cut off for its age; 0 when none was.
        cut_number: i64,
        /// Its hash, which the first line that is left goes on from.
        cut_hash: Hex,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get("/api/v1/console/staff", StaffBearer(SeeStaff), "Who works here.", staff)
        .api_post(
            "/api/v1/console/staff",
            StaffBearer(GiveRoles),
            "Gives an account a role, or takes it away.",
            give,
        )
        .api_get("/api/v1/console/roles", StaffBearer(SeeStaff), "What each role may do.", roles)
        .api_get(
            "/api/v1/console/log",
            StaffBearer(SeeLog),
            "What was done to accounts and by staff, newest first.",
            log,
        )
        .api_get(
            "/api/v1/console/log/ends",
            StaffBearer(SeeLog),
            "Where the log's chain of hashes ends.",
            log_ends,
        )
}

/// `GET /api/v1/console/staff`
async fn staff(State(state): State<AppState>) -> Result<Fine<List<StaffBody>>, Failure> {
    let all = state.accounts().staff().await?;
    Ok(List::whole(all.into_iter().map(|s| StaffBody {
        account: s.account,
        name: s.name,
        role: s.role.name(),
        since: time(s.since),
    })))
}

/// `POST /api/v1/console/staff`
async fn give(
    State(state): State<AppState>,
    staff: Staff,
    Json(given): Json<RoleGiven>,
) -> Result<Fine<RoleSet>, Failure> {
    let word = Some(given.role).filter(|word| word != "none");
    let role: Result<Option<Role>, String> = word.map(|word| word.parse()).transpose();
    let role = role.map_err(|e| Failure::refused(crate::failure::sentence(&e)))?;
    let account = state.give_role(staff, &given.name, role).await?;
    Ok(Answer(RoleSet { account, role: role.map(Role::name) }))
}

/// `GET /api/v1/console/roles`
async fn roles(_: Staff) -> Result<Fine<List<RoleBody>>, Failure> {
    let may = |role: Role| {
        let all = PERMISSIONS.iter().filter(move |(p, _)| role.may(*p));
        all.map(|(p, _)| format!("{p:?}")).collect()
    };
    Ok(List::whole(Role::ALL.map(|role| RoleBody { role: role.name(), may: may(role) })))
}

/// `GET /api/v1/console/log`
async fn log(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<LogLineBody>>, Failure> {
    let lines = state.accounts().log_page(page.behind()?, page.wanted()?).await?;
    let body = |l: &LogLine| LogLineBody {
        number: l.seq,
        at: time(l.row.at),
        action: l.row.action.clone(),
        account: l.row.account,
        account_name: l.account_name.clone(),
        actor: l.row.actor,
        actor_name: l.actor_name.clone(),
        detail: l.row.detail.clone(),
    };
    page.give(lines, |l| l.seq, body)
}

/// `GET /api/v1/console/log/ends`
async fn log_ends(State(state): State<AppState>) -> Result<Fine<LogEndsBody>, Failure> {
    let ends = state.accounts().log_ends().await?;
    Ok(Answer(LogEndsBody {
        number: ends.seq,
        hash: hexed(ends.hash),
        cut_number: ends.cut_seq,
        cut_hash: hexed(ends.cut_hash),
    }))
}
