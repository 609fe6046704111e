//! The gates in front of handlers, and the layers around everything.

use crate::extract::{Customer, SiteAgent, Staff, body_bytes};
use crate::failure::{Failure, problem_json};
use crate::hosted::farm_failure;
use crate::layout::failure_page;
use crate::scopes::scope_of;
use crate::security::{
    Cookie, comes_from_own_pages, form_token, new_form_cookie, put_headers, same_token,
};
use crate::shared::{is_refresh, is_shared};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{Language, find, speaking, spoken, wanted};
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::{KEY_PREFIX, Permission};
use gruve_units::AccountId;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Longest time a request may take, the stream of events apart. The slowest is a sign-up, whose
/// password hash takes part of a second and may queue.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What a client is told to wait, in seconds, where nothing better is known.
const RETRY_AFTER_SECS: u64 = 5;

/// Paths that programs ask: no visitor is looked up, failures are problem+json.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/")
        || path.starts_with("/assets/")
        || matches!(path, "/metrics" | "/healthz" | "/healthz/lanes" | "/readyz" | "/events")
}

/// Pages whose forms are guarded before there is a session.
fn has_public_form(path: &str) -> bool {
    matches!(
        path,
        "/sign-in"
            | "/sign-up"
            | "/sign-in/code"
            | "/sign-in/lost"
            | "/lost-factor"
            | "/sign-in/passkey"
            | "/sign-in/passkey/options"
            | "/confirm"
            | "/undo"
            | "/forgot"
            | "/reset"
    )
}

/// The outermost layer: time limit, headers, counting, and the writing of failures.
pub(crate) async fn finish(State(state): State<AppState>, req: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = req.uri().path().to_owned();
    let language = (!is_for_programs(&path)).then(|| language_of(req.headers(), &state));
    // A proxy may have looked at one of them and the house at another (RFC 9112, section 3.2).
    let is_for_two = req.headers().get_all(header::HOST).iter().nth(1).is_some();
    let answer = async {
        let answered = tokio::time::timeout(ANSWER_WITHIN, next.run(req));
        let mut response = match is_for_two {
            true => Failure::bad_request("A request names one host.").into_response(),
            false => match answered.await {
                Ok(r) => r,
                Err(_) => Failure::busy("That took too long and was given up.").into_response(),
            },
        };
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            let of_account = response.extensions().get::<OfAccount>().map(|l| l.0);
            response = match of_account {
                Some(l) => speaking(l, async { written(&state, &failure, &path, response) }).await,
                None => written(&state, &failure, &path, response),
            };
        }
        response
    };
    let mut response = match language {
        Some(language) => {
            let mut response = speaking(language, answer).await;
            let of_account = response.extensions().get::<OfAccount>().map(|l| l.0);
            let language = of_account.unwrap_or(language);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.code));
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Language, Cookie"));
            response
        }
        None => answer.await,
    };
    put_headers(response.headers_mut(), state.config().secure_cookies);
    if path.starts_with("/api/") {
        // Data: opened in a browser it is a file, never a page of the house's (OWASP ASVS 14.4.2).
        let file = HeaderValue::from_static("attachment; filename=\"api.json\"");
        response.headers_mut().entry(header::CONTENT_DISPOSITION).or_insert(file);
    }
    state.metrics().answered(response.status().as_u16(), started.elapsed());
    response
}

/// The language that the account has chosen whose session asked: it goes before the browser's.
#[derive(Clone, Copy)]
struct OfAccount(&'static Language);

/// The language of a page: as chosen, else as the browser asks.
fn language_of(headers: &HeaderMap, state: &AppState) -> &'static Language {
    let chosen = Cookie::Language.read(headers, state.config().secure_cookies);
    let accepted = || headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    chosen.and_then(find).unwrap_or_else(|| wanted(accepted().unwrap_or_default()))
}

/// The failure in the form of the surface that was asked, with what other layers had set.
fn written(state: &AppState, failure: &Failure, path: &str, mut before: Response) -> Response {
    let mut response = if is_for_programs(path) {
        let kind = HeaderValue::from_static("application/problem+json");
        let body = problem_json(failure).to_string();
        let mut r = (failure.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if failure.kind == "unauthorised" {
            r.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        r
    } else {
        let nobody = || Visitor { house: state.house(), ..Visitor::default() };
        let visitor = before.extensions_mut().remove::<Visitor>().unwrap_or_else(nobody);
        (failure.status, failure_page(&visitor, failure)).into_response()
    };
    if let Some(language) = before.extensions().get::<OfAccount>() {
        response.extensions_mut().insert(*language);
    }
    for name in [header::SET_COOKIE, header::ALLOW] {
        for value in before.headers().get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    if matches!(failure.status.as_u16(), 429 | 503) {
        let after = failure.retry_after.map_or(RETRY_AFTER_SECS, |d| d.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    response
}

/// Looks up who is looking, for every page; hands it to the handler and to the failure's page.
pub(crate) async fn visitor(
    State(state): State<AppState>,
    mut req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let path = req.uri().path().to_owned();
    if is_for_programs(&path) {
        return Ok(next.run(req).await);
    }
    let secure = state.config().secure_cookies;
    let place = match (req.method(), req.uri().path_and_query()) {
        (&Method::GET, Some(p)) => p.as_str().to_owned(),
        _ => "/".to_owned(),
    };
    let house = state.house();
    let mut visitor = Visitor { path: path.clone(), place, house, ..Visitor::default() };
    let (mut cookie, mut language) = (None, None);
    let token = Cookie::Session.read(req.headers(), secure).map(str::to_owned);
    let session = match &token {
        Some(t) => state.accounts().session(t).await?,
        None => None,
    };
    match (session, token) {
        (Some(s), Some(token)) => {
            visitor.name = Some(s.name);
            (visitor.role, visitor.account) = (s.role, Some(s.account));
            (visitor.csrf, visitor.lost_factor) = (s.csrf, s.lost_factor);
            language = s.language.as_deref().and_then(find);
            req.extensions_mut().insert(Customer { account: s.account, role: s.role, token });
        }
        _ if has_public_form(&path) => {
            let value = match Cookie::Form.read(req.headers(), secure) {
                Some(v) => v.to_owned(),
                None => {
                    let (value, header) = new_form_cookie(state.entropy(), secure);
                    // A post without the cookie must fail, not be given a token that fits it.
                    cookie = header.filter(|_| req.method() == Method::GET);
                    value
                }
            };
            visitor.csrf = form_token(&value);
        }
        _ => {}
    }
    if let Some(refused) = looked_too_often(&state, &visitor, req.method()) {
        let mut response = refused.into_response();
        if let Some(language) = language {
            response.extensions_mut().insert(OfAccount(language));
        }
        response.extensions_mut().insert(visitor);
        return Ok(response);
    }
    visitor.changes = state.pulse().count();
    req.extensions_mut().insert(visitor.clone());
    let is_lane =
        |name: &str| state.market().config().lanes.iter().any(|lane| lane.lane.as_str() == name);
    let is_everybodys = visitor.account.is_none()
        && req.method() == Method::GET
        && is_refresh(req.headers())
        && is_shared(&visitor.place, is_lane);
    let mut response = match language {
        _ if is_everybodys => {
            let place = (visitor.place.clone(), spoken().code);
            state.shared().page(visitor.changes, place, || next.run(req)).await
        }
        Some(language) => {
            let mut response = speaking(language, next.run(req)).await;
            response.extensions_mut().insert(OfAccount(language));
            response
        }
        None => next.run(req).await,
    };
    response.extensions_mut().insert(visitor);
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Refuses a page to an account that has looked at very many. Forms have a pace of their own; the public record's files, of which a check
/// reads hundreds, cost what everybody's do.
fn looked_too_often(state: &AppState, visitor: &Visitor, method: &Method) -> Option<Failure> {
    let is_page = method != Method::POST && !visitor.path.starts_with("/record/");
    let account = visitor.account.filter(|_| is_page)?;
    let wait = state.pages().count(account, state.now()).err()?;
    let detail = "Very many pages were asked for from this account just now. Try again shortly.";
    Some(Failure::too_many(detail).after(Some(whole_seconds(wait))))
}

/// Lets in who is signed in; others are led to the sign-in page and back.
pub(crate) async fn customer(State(_): State<AppState>, req: Request, next: Next) -> Response {
    if req.extensions().get::<Customer>().is_some() {
        return next.run(req).await;
    }
    let wanted = req.uri().path_and_query().map_or("/account", |p| p.as_str());
    let target = if req.method() == Method::GET {
        format!("/sign-in?next={}", percent_encoded(wanted))
    } else {
        "/sign-in".to_owned()
    };
    Redirect::to(&target).into_response()
}

/// Lets staff in whose role has the permission. To everybody else the operator's places do not exist;
/// staff without the permission is told so, and so is staff without a second factor where the house demands one.
pub(crate) async fn staff(
    State((state, needed)): State<(AppState, Permission)>,
    mut req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let who = req.extensions().get::<Customer>().cloned().ok_or_else(Failure::unauthorised)?;
    let role = who.role.ok_or_else(|| Failure::not_found("page"))?;
    if !role.may(needed) {
        return Err(Failure::forbidden(role));
    }
    // Asked anew each time: a factor that is turned off closes the console at once.
    let demanded = state.config().is_staff_factor_demanded;
    if demanded && !state.accounts().factors(who.account).await?.is_needed() {
        return Err(Failure::staff_factor());
    }
    req.extensions_mut().insert(Staff { account: who.account, role });
    Ok(next.run(req).await)
}

/// Everything but letters, digits and `-._~/` as `%XX`.
pub(crate) fn percent_encoded(s: &str) -> String {
    s.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[derive(Deserialize)]
struct TokenField {
    #[serde(default)]
    csrf: String,
}

/// Lets a form pass when it comes from the house's own page and carries its token.
pub(crate) async fn own_form(
    State(state): State<AppState>,
    req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (parts, body) = req.into_parts();
    if !comes_from_own_pages(&parts.headers, state.config().origin.as_deref()) {
        return Err(Failure::foreign_form());
    }
    let wanted = parts.extensions.get::<Visitor>().map(|v| v.csrf.clone()).unwrap_or_default();
    let bytes = body_bytes(Request::new(body)).await?;
    let copy = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
    let given = axum::extract::Form::<TokenField>::from_request(copy, &()).await;
    let fits = given.is_ok_and(|f| same_token(&f.0.csrf, &wanted));
    if !fits {
        return Err(Failure::foreign_form());
    }
    // Only now: what others have a browser send counts against nobody.
    if let Some(who) = parts.extensions.get::<Customer>() {
        let counted = state.forms().count(who.account, state.now());
        counted.map_err(|wait| {
            let detail = "Very many forms were sent from this account just now. Try again shortly.";
            Failure::too_many(detail).after(Some(whole_seconds(wait)))
        })?;
    }
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}

/// Lets a call pass that carries a valid bearer token.
pub(crate) async fn bearer(
    State(state): State<AppState>,
    mut req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let token = bearer_token(&req)?;
    if token.starts_with(KEY_PREFIX) {
        let key = state.accounts().key(&token).await?.ok_or_else(Failure::unauthorised)?;
        let needed = scope_of(req.method(), req.uri().path());
        if !needed.is_some_and(|s| key.scopes.contains(&s)) {
            return Err(Failure::out_of_scope(needed));
        }
        paced(&state, key.account, &req)?;
        // A key never acts as staff.
        req.extensions_mut().insert(Customer { account: key.account, role: None, token });
        return Ok(next.run(req).await);
    }
    let session = state.accounts().session(&token).await?.ok_or_else(Failure::unauthorised)?;
    let (account, role) = (session.account, session.role);
    paced(&state, account, &req)?;
    req.extensions_mut().insert(Customer { account, role, token });
    Ok(next.run(req).await)
}

/// Marks a call that the house makes itself as part of one that was counted. Nobody outside can send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted;

/// Refuses an account that calls too often, by whatever tokens.
fn paced(state: &AppState, account: AccountId, req: &Request) -> Result<(), Failure> {
    if req.extensions().get::<Counted>().is_some() {
        return Ok(());
    }
    let counted = state.calls().count(account, state.now());
    counted.map_err(|wait| {
        let pace = state.config().calls;
        let detail = format!(
            "An account may make {} calls at once, then one in {} ms: read pages of up to 500 rows, or wait for events.",
            pace.at_once,
            pace.interval.as_millis()
        );
        Failure::too_many(detail).after(Some(whole_seconds(wait)))
    })
}

/// Whole seconds, not fewer than it takes.
fn whole_seconds(wait: gruve_units::Duration) -> Duration {
    Duration::from_secs(u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(1))
}

/// Lets the agent of a site pass.
pub(crate) async fn site(
    State(state): State<AppState>,
    mut req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let token = bearer_token(&req)?;
    let agent = state.farm().agent(&token).await.map_err(|e| farm_failure(&e))?;
    req.extensions_mut().insert(SiteAgent(agent));
    Ok(next.run(req).await)
}

fn bearer_token(req: &Request) -> Result<String, Failure> {
    req.headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned())
        .filter(|t| !t.is_empty() && t.len() <= 256)
        .ok_or_else(Failure::unauthorised)
}
