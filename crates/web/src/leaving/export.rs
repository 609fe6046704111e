//! Everything that the house has of a customer, as one JSON document.
//!
//! The document is made of the API's own answers, each under the address that gives it, so that its form is
//! documented and what is added to the API is in the export on the same day: every address that a session
//! reads without further particulars is in the list, those of single contracts, invoices, payouts, machines
//! and tickets follow from what the lists say. Asking goes through the same gates as from outside, but for the pace of calls:
//! an export is one.
//!
//! # Promises
//! - One answer at a time is held in memory; the file grows while it is sent.
//! - [`AT_ONCE`] answers are asked for at a time, whoever exports; a file that nobody takes asks for none, so that who
//!   reads slowly, or not at all, keeps nobody else waiting.
//! - A file that broke off is no JSON, so nobody takes half of it for a whole one.

use crate::crowd::Seat;
use crate::extract::Customer;
use crate::failure::Failure;
use crate::gate::Counted;
use crate::routes::Access;
use crate::state::AppState;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gruve_units::AccountId;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::LazyLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers asked for at once: each may read much.
const AT_ONCE: usize = 2;
/// Exports under way: each holds one answer until it is taken, a few kilobytes as a rule.
const OPEN_MAX: usize = 64;
/// Bytes of one answer at most: the largest, a page of a statement, is far below it.
const PART_BYTES_MAX: usize = 32 << 20;
/// Answers in an export at most: some years of the largest customers. A longer one ends with a word of it.
const PARTS_MAX: u32 = 200_000;

static OPEN: LazyLock<std::sync::Arc<Semaphore>> =
    LazyLock::new(|| std::sync::Arc::new(Semaphore::new(OPEN_MAX)));

/// Given back with each answer, before it is sent.
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// What follows from a list: the list's address, the member that names one, and what is read of each.
const OF_EACH: [(&str, &str, &[&str]); 6] = [
    (
        "/api/v1/contracts",
        "contract",
        &[
            "",
            "/terms",
            "/life",
            "/energy",
            "/statement",
            "/receipts",
            "/epochs",
            "/settlements",
            "/owed",
            "/decisions",
            "/dues",
            "/losses",
        ],
    ),
    ("/api/v1/metered", "contract", &["", "/terms", "/usage", "/energy", "/statement"]),
    (
        "/api/v1/machines",
        "id",
        &[
            "",
            "/terms",
            "/signed-terms",
            "/statement",
            "/settlements",
            "/bills",
            "/in-block",
            "/in-block/payments",
            "/certificate",
            "/tickets",
        ],
    ),
    ("/api/v1/payouts", "payout", &[]),
    ("/api/v1/tickets", "id", &[""]),
    ("/api/v1/webhooks", "id", &["", "/deliveries"]),
];

/// Answers still to be asked for.
struct Writing {
    app: Router,
    token: HeaderValue,
    ahead: VecDeque<String>,
    opening: Option<String>,
    parts: u32,
    written: u32,
    is_over: bool,
    /// Given up with the last piece, so that who has it all may begin again.
    seat: Option<(OwnedSemaphorePermit, Seat<AccountId>)>,
}

/// The addresses that a session reads as they stand.
fn whole_lists(state: &AppState) -> impl Iterator<Item = String> {
    let is_read = |r: &crate::RouteInfo| r.access == Access::Bearer && r.method == Method::GET;
    let all = crate::routes(state).into_iter().filter(move |r| is_read(r));
    all.filter(|r| !r.path.contains('{') && r.path != PATH && r.path != STREAM)
        .map(|r| r.path.to_owned())
}

/// It never ends.
const STREAM: &str = "/api/v1/events";
/// The address of the export itself.
pub(crate) const PATH: &str = "/api/v1/export";

/// Begins an export for whoever is signed in with this token.
pub(crate) async fn begin(state: &AppState, customer: &Customer) -> Result<Response, Failure> {
    let busy = || Failure::busy("Others are exporting at this moment. Try again in a minute.");
    // One account takes one of the places, so that nobody holds them all by reading slowly.
    let own = || Failure::busy("An export of this account is under way. Let it end first.");
    let seat = state.exporting().admit(&customer.account, 1).ok_or_else(own)?;
    let place = OPEN.clone().try_acquire_owned().map_err(|_| busy())?;
    let token = HeaderValue::from_str(&format!("Bearer {}", customer.token))
        .map_err(|_| Failure::unauthorised())?;
    let who = state.accounts().customer(customer.account).await?;
    let who = who.ok_or_else(|| Failure::not_found("account"))?;
    let ahead: VecDeque<String> = whole_lists(state).collect();
    let opening = json!({
        "format": "gruve export 1",
        "made_at": crate::api::time(state.now()),
        "account": who.account,
        "name": who.name,
    });
    // Left open: the parts follow.
    let opening = opening.to_string();
    let opening = opening.trim_end_matches('}').to_owned() + ",\"parts\":[\n";
    let writing = Writing {
        app: crate::router(state.clone()),
        token,
        ahead,
        opening: Some(opening),
        parts: 0,
        written: 0,
        is_over: false,
        seat: Some((place, seat)),
    };
    let body = Body::from_stream(futures_util::stream::unfold(writing, |mut writing| async {
        let piece = writing.next().await?;
        Some((piece, writing))
    }));
    let file = format!("attachment; filename=\"gruve-{}.json\"", who.name);
    let file = HeaderValue::from_str(&file).map_err(|_| Failure::fault(&"a name in a header"))?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, file)], body).into_response())
}

impl Writing {
    /// The next piece of the file; nothing when it is whole.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if let Some(opening) = self.opening.take() {
            return Some(Ok(Bytes::from(opening)));
        }
        if self.is_over {
            return None;
        }
        while let Some(path) = self.ahead.pop_front() {
            if self.parts >= PARTS_MAX {
                break;
            }
            self.parts += 1;
            match self.ask(&path).await {
                // What an address says without particulars is not everywhere an answer.
                Ok(None) => {}
                Ok(Some(answer)) => {
                    self.follow(&path, &answer);
                    let comma = if self.written == 0 { "" } else { ",\n" };
                    self.written += 1;
                    let part = json!({ "path": path, "answer": answer });
                    return Some(Ok(Bytes::from(format!("{comma}{part}"))));
                }
                Err(e) => {
                    self.is_over = true;
                    return Some(Err(std::io::Error::other(e)));
                }
            }
        }
        self.is_over = true;
        self.seat = None;
        let is_whole = self.ahead.is_empty();
        Some(Ok(Bytes::from(format!("\n],\"is_whole\":{is_whole}}}\n"))))
    }

    /// What an address answers; nothing where it refuses.
    async fn ask(&self, path: &str) -> Result<Option<Value>, String> {
        let _turn = TURNS.acquire().await.map_err(|e| e.to_string())?;
        let request = Request::get(path).header(header::AUTHORIZATION, self.token.clone());
        let request = request.extension(Counted).body(Body::empty()).map_err(|e| e.to_string())?;
        let service = TowerToHyperService::new(self.app.clone());
        let Ok(answer) = service.call(request).await;
        // What is refused for the moment is there all the same.
        if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(format!("{path} answered {}", answer.status()));
        }
        if !answer.status().is_success() {
            return Ok(None);
        }
        let bytes = axum::body::to_bytes(answer.into_body(), PART_BYTES_MAX).await;
        let bytes = bytes.map_err(|e| e.to_string())?;
        // What is not JSON (a certificate's text) stands as text.
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    /// Puts what follows from an answer on the list: single things of a list, pages after a page.
    fn follow(&mut self, path: &str, answer: &Value) {
        let plain = path.split('?').next().unwrap_or(path);
        if let Some(next) = answer.get("next").and_then(Value::as_str) {
            self.ahead.push_front(format!("{plain}?after={next}"));
        }
        // The electricity of a contract goes back from an epoch.
        if let Some(before) = answer.get("next_before").and_then(Value::as_u64) {
            self.ahead.push_front(format!("{plain}?before={before}"));
        }
        // Statements and receipts go on from an epoch, bills of machines from a bill.
        let next_from = answer.get("next_epoch").or_else(|| answer.get("next_bill"));
        if let Some(next) = next_from.and_then(Value::as_u64) {
            self.ahead.push_front(format!("{plain}?from={next}"));
        }
        let Some((_, name, parts)) = OF_EACH.iter().find(|(list, ..)| *list == plain) else {
            return;
        };
        let items = answer.get("items").unwrap_or(answer).as_array();
        for id in items.into_iter().flatten().filter_map(|i| i.get(*name)?.as_str()) {
            self.ahead.extend(parts.iter().map(|part| format!("{plain}/{id}{part}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read of a single thing, and in the export by another way: invoices and payouts stand whole in their lists.
    const OTHERWISE: [&str; 2] = ["/api/v1/invoices/{id}", "/api/v1/payouts/{id}"];

    #[test]
    fn everything_that_a_session_reads_of_a_single_thing_is_in_the_export() {
        let all = crate::app::told();
        let single = all.iter().filter(|t| t.access == Access::Bearer && t.method == Method::GET);
        let single: Vec<&str> = single.map(|t| t.path).filter(|p| p.contains('{')).collect();
        assert!(single.len() > 15, "{}", single.len());
        for path in single {
            let in_a_list = path.split_once("/{id}").is_some_and(|(list, part)| {
                OF_EACH.iter().any(|(of, _, parts)| *of == list && parts.contains(&part))
            });
            assert!(in_a_list || OTHERWISE.contains(&path), "{path} is missing");
        }
    }
}
