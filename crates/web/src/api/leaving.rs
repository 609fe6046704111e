//! A customer's data for programs: the account itself, the export, closing. Only a session reaches these.

use crate::api::page::{Page, Pair};
use crate::api::passkeys::Proof;
use crate::api::{Money, Time, amount, time};
use crate::client::Client;
use crate::extract::{Customer, Json, Params};
use crate::failure::Failure;
use crate::leaving::export;
use crate::openapi::{Answer, Done, Fine, List, Paper, Shapes, Sheet, answers, requests};
use crate::routes::{Access, Routes};
use crate::state::{AppState, accounts_failure};
use axum::extract::State;
use gruve_accounts::AuditRow;
use gruve_units::{AccountId, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

answers! {
    /// Who is signed in, and how the account is protected.
    struct AccountBody {
        /// Its id.
        account: AccountId,
        /// Its name.
        name: String,
        /// Its e-mail address.
        email: String,
        /// The one that is to follow it, if any.
        email_change: Option<EmailChange>,
        /// When it was opened.
        opened_at: Time,
        /// What it is to the house, if anything.
        role: Option<&'static str>,
        /// Since when codes are asked for.
        codes_since: Option<Time>,
        /// How many passkeys it has.
        passkeys: u32,
        /// Codes for a lost device that are left.
        recovery_codes_left: u32,
        /// When the second factor is taken off because it is said to be lost, if it is.
        factor_lost_until: Option<Time>,
        /// Before when nothing is paid out because of that.
        no_payouts_before: Option<Time>,
        /// The language that it is shown and written to in, if one was chosen.
        language: Option<String>,
    }

    /// An e-mail address that is to be the account's.
    struct EmailChange {
        /// It.
        email: String,
        /// From when on it counts, once it is confirmed.
        due_at: Time,
        /// Whether it is confirmed.
        is_confirmed: bool,
    }

    /// Something done to the account.
    struct AccountLogLine {
        /// When.
        at: Time,
        /// What.
        action: String,
        /// Whether staff did it.
        by_staff: bool,
        /// More of it.
        detail: String,
    }

    /// What changed the available balance.
    struct AccountEntry {
        /// When.
        at: Time,
        /// Why.
        what: String,
        /// By how much.
        change: Money,
        /// What there was then.
        after: Money,
    }

    /// How the closing of the account stands.
    struct ClosingBody {
        /// When it was asked for.
        asked_at: Option<Time>,
        /// When it happens.
        due_at: Option<Time>,
        /// What stands in its way.
        obstacles: Vec<ObstacleBody>,
    }

    /// Something that has to end before.
    struct ObstacleBody {
        /// What it is.
        kind: &'static str,
        /// It in words.
        text: String,
    }
}

requests! {
    /// A language.
    struct LanguageChosen {
        /// Its code: `en`, `nb`; null for the browser's.
        language: Option<String>,
    }
}

/// `POST /api/v1/account/language`
async fn choose_language(
    State(state): State<AppState>,
    customer: Customer,
    Json(chosen): Json<LanguageChosen>,
) -> Result<Done, Failure> {
    let known = |code: &String| crate::words::all().iter().any(|l| l.code == code);
    if !chosen.language.as_ref().is_none_or(known) {
        return Err(Failure::refused("There is no such language here."));
    }
    let set = state.accounts().set_language(customer.account, chosen.language.as_deref()).await;
    set.map_err(|e| accounts_failure(&e))?;
    Ok(Done)
}

/// Everything that the house has of the account.
struct ExportFile;

impl Paper for ExportFile {
    fn forms(_: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let shape = json!({
            "type": "object",
            "description": "The API's own answers, each with the address that gives it: docs/customers.md.",
            "properties": {
                "format": { "const": "gruve export 1" },
                "made_at": { "type": "string", "format": "date-time" },
                "account": { "type": "string", "format": "uuid" },
                "name": { "type": "string" },
                "parts": { "type": "array", "items": {
                    "type": "object",
                    "properties": { "path": { "type": "string" }, "answer": {} },
                    "required": ["path", "answer"],
                } },
                "is_whole": { "type": "boolean", "description": "Whether nothing was left out for its length." },
            },
            "required": ["format", "made_at", "account", "name", "parts", "is_whole"],
        });
        BTreeMap::from([("application/json", shape)])
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/account",
            Access::Bearer,
            "Who is signed in, and how the account is protected.",
            account,
        )
        .api_post(
            "/api/v1/account/language",
            Access::Bearer,
            "Chooses the language of the account.",
            choose_language,
        )
        .api_post(
            "/api/v1/account/factor/keep",
            Access::Bearer,
            "Keeps a second factor that was said to be lost.",
            keep_factor,
        )
        .api_get(
            "/api/v1/account/log",
            Access::Bearer,
            "What was done to the account, newest first.",
            log,
        )
        .api_get(
            "/api/v1/account/entries",
            Access::Bearer,
            "What changed the available balances, newest first.",
            entries,
        )
        .api_get(export::PATH, Access::Bearer, "Everything that is known of the account.", file)
        .api_get(
            "/api/v1/account/closing",
            Access::Bearer,
            "How the closing of the account stands.",
            closing,
        )
        .api_post("/api/v1/account/closing", Access::Bearer, "Asks to close the account.", ask)
        .api_delete("/api/v1/account/closing", Access::Bearer, "Keeps the account open.", undo)
}

/// `GET /api/v1/account`: who is signed in, and how the account is protected.
async fn account(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<AccountBody>, Failure> {
    let who = state.accounts().customer(customer.account).await?;
    let who = who.ok_or_else(|| Failure::not_found("account"))?;
    let factors = state.accounts().factors(customer.account).await?;
    let lost = state.accounts().lost_factor(customer.account).await?;
    let change = state.accounts().email_change(customer.account).await?;
    Ok(Answer(AccountBody {
        account: who.account,
        name: who.name,
        email: who.email,
        email_change: change.map(|(email, due, is_confirmed)| EmailChange {
            email,
            due_at: time(due),
            is_confirmed,
        }),
        opened_at: time(who.created),
        role: who.role.map(gruve_accounts::Role::name),
        codes_since: factors.totp_since.map(time),
        passkeys: factors.passkeys,
        recovery_codes_left: factors.recovery_left,
        factor_lost_until: lost.filter(|l| l.done.is_none()).map(|l| time(l.due)),
        no_payouts_before: lost.map(|l| time(l.free)),
        language: state.accounts().language_of(customer.account).await?,
    }))
}

/// `POST /api/v1/account/factor/keep`: the second factor is not lost; nothing where nobody said so.
async fn keep_factor(State(state): State<AppState>, customer: Customer) -> Result<Done, Failure> {
    let kept = state.accounts().keep_factor(None, customer.account).await;
    kept.map_err(|e| accounts_failure(&e))?;
    Ok(Done)
}

/// `GET /api/v1/account/log`: what was done to the account, newest first.
async fn log(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<AccountLogLine>>, Failure> {
    log_of(&state, customer.account, &page).await
}

/// What was done to an account, newest first.
pub(crate) async fn log_of(
    state: &AppState,
    account: AccountId,
    page: &Page,
) -> Result<Fine<List<AccountLogLine>>, Failure> {
    let before = page.behind::<Pair<i64>>()?.map(|p| (Timestamp(p.0), p.1));
    let lines = state.accounts().audit_log_before(account, before, page.wanted()?).await?;
    let body = |(_, l): &(i64, AuditRow)| AccountLogLine {
        at: time(l.at),
        action: l.action.clone(),
        by_staff: l.actor.is_some(),
        detail: l.detail.clone(),
    };
    page.give(lines, |(seq, l)| Pair(l.at.0, *seq), body)
}

/// `GET /api/v1/account/entries`: what changed the available balances, newest first.
async fn entries(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<AccountEntry>>, Failure> {
    let before = page.behind::<Pair<i64>>()?;
    let lines = state.statement(customer.account, before, page.wanted()?).await?;
    page.give(
        lines,
        |l| l.place,
        |l| AccountEntry {
            at: time(l.at),
            what: l.what.to_string(),
            change: amount(l.change),
            after: amount(l.after),
        },
    )
}

/// `GET /api/v1/export`
async fn file(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Sheet<ExportFile>, Failure> {
    Ok(Sheet::new(export::begin(&state, &customer).await?))
}

async fn standing(state: &AppState, customer: &Customer) -> Result<Fine<ClosingBody>, Failure> {
    let closing = state.accounts().closing(customer.account).await?;
    let obstacles = state.obstacles(customer.account).await?;
    let one =
        |o: crate::leaving::close::Obstacle| ObstacleBody { kind: o.kind, text: o.text.to_owned() };
    Ok(Answer(ClosingBody {
        asked_at: closing.map(|c| time(c.asked)),
        due_at: closing.map(|c| time(c.due)),
        obstacles: obstacles.into_iter().map(one).collect(),
    }))
}

/// `GET /api/v1/account/closing`
async fn closing(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<ClosingBody>, Failure> {
    standing(&state, &customer).await
}

/// `POST /api/v1/account/closing`
async fn ask(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(proof): Json<Proof>,
) -> Result<Fine<ClosingBody>, Failure> {
    state.ask_to_close(customer.account, (&proof.password, &proof.code), from).await?;
    standing(&state, &customer).await
}

/// `DELETE /api/v1/account/closing`
async fn undo(State(state): State<AppState>, customer: Customer) -> Result<Done, Failure> {
    let kept = state.accounts().keep_open(customer.account, None).await;
    match kept.map_err(|e| accounts_failure(&e))? {
        true => Ok(Done),
        false => Err(Failure::not_found("closing")),
    }
}
