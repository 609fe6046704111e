//! Stand-ins for the services, over HTTP on loopback: they keep to the published interfaces, and
//! misbehave when told to.

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::Barrier;

/// How the next answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// 500, nothing done.
    Down,
    /// 500, but done.
    DoneButDown,
    /// 200 with what is no JSON.
    Garbled,
    /// 402 with an error's code.
    Refuses,
    /// 401: the key was changed.
    Unknown,
    /// No answer, ever, and nothing done.
    Silent,
    /// No answer, but done.
    DoneButSilent,
    /// An answer that begins and never ends, and nothing done.
    Halts,
}

/// How lists are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    #[default]
    Well,
    /// The first page, for ever.
    NeverEnding,
    /// Each page once more with the last entry of the one before.
    Overlapping,
    /// All at once, however few were asked for.
    Whole,
    /// Without what says whether there is more.
    Torn,
    Down,
}

#[derive(Default)]
pub struct Books {
    /// Objects by their path.
    pub objects: BTreeMap<String, Value>,
    /// What was made by which key, and asked how.
    pub once: BTreeMap<String, (String, Value)>,
    /// Refunds, the oldest first.
    pub refunds: Vec<Value>,
    /// How lists are given.
    pub lists: Lists,
    /// Lists that were asked for, as `PATH?QUERY`.
    pub listed: Vec<String>,
    /// Requests that made something, as `PATH BODY`.
    pub made: Vec<String>,
    pub mood: Option<Mood>,
    /// Cents of euros that the account has beside what its lines say.
    pub astray: i64,
    /// Where the next page of the account's lines waits before it is sent: for a test to come, and to go.
    pub holds: Option<Arc<Barrier>>,
    /// The same of its balance.
    pub holds_balance: Option<Arc<Barrier>>,
    /// Where the next places lead, in place of their own pages.
    pub link: Option<Value>,
    /// Pages of how many lines of the account were asked for.
    pub limits: Vec<String>,
    next: u32,
}

/// A stand-in that runs until it is dropped with its runtime.
#[derive(Clone)]
pub struct StandIn {
    pub address: SocketAddr,
    pub books: Arc<Mutex<Books>>,
}

type Shared = Arc<Mutex<Books>>;

impl StandIn {
    pub async fn start() -> StandIn {
        let books: Shared = Arc::default();
        let app = Router::new()
            .route("/v1/checkout/sessions", post(new_session).get(sessions_of))
            .route("/v1/refunds", post(refund).get(refunds_of))
            .route("/v1/disputes", get(disputes))
            .route("/v1/balance_transactions", get(turnover))
            .route("/v1/balance", get(balance))
            .route("/api/v1/stores/{store}/invoices", post(new_invoice))
            .route("/{*path}", get(object))
            .with_state(books.clone())
            .layer(from_fn_with_state(books.clone(), in_silence));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        StandIn { address, books }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn mood(&self, mood: Mood) {
        self.books.lock().unwrap().mood = Some(mood);
    }

    pub fn put(&self, path: &str, object: Value) {
        self.books.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// Changes members of an object.
    pub fn set(&self, path: &str, members: &Value) {
        let mut books = self.books.lock().unwrap();
        let object = books.objects.get_mut(path).unwrap();
        for (key, value) in members.as_object().unwrap() {
            object[key] = value.clone();
        }
    }

    pub fn made(&self) -> Vec<String> {
        self.books.lock().unwrap().made.clone()
    }
}

/// A body of which nothing ever comes.
struct Unending;

impl HttpBody for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Answers nobody while it is silent.
async fn in_silence(
    State(books): State<Shared>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let mood = books.lock().unwrap().mood;
    match mood {
        Some(Mood::Silent) => std::future::pending().await,
        Some(Mood::DoneButSilent) => {
            drop(next.run(request).await);
            std::future::pending().await
        }
        Some(Mood::Halts) => Response::new(Body::new(Unending)),
        _ => next.run(request).await,
    }
}

fn moody(books: &Shared) -> Option<Response> {
    match books.lock().unwrap().mood {
        None | Some(Mood::Well | Mood::DoneButDown) => None,
        // Seen to in front of all.
        Some(Mood::Silent | Mood::DoneButSilent | Mood::Halts) => None,
        Some(Mood::Down) => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Some(Mood::Garbled) => Some("<html>try again</html>".into_response()),
        Some(Mood::Refuses) => {
            let body = json!({ "error": { "code": "amount_too_small" } });
            Some((StatusCode::PAYMENT_REQUIRED, axum::Json(body)).into_response())
        }
        Some(Mood::Unknown) => Some(StatusCode::UNAUTHORIZED.into_response()),
    }
}

/// Makes an object once a key.
fn make(
    books: &Shared,
    headers: &HeaderMap,
    asked: String,
    new: impl FnOnce(u32) -> (Option<String>, Value),
) -> Response {
    let mut books = books.lock().unwrap();
    let key = headers.get("idempotency-key").map(|k| k.to_str().unwrap().to_owned());
    let known = key.as_ref().and_then(|k| books.once.get(k).cloned());
    let object = match known {
        // As the service does: a key stands for one request.
        Some((before, _)) if before != asked => {
            let body = json!({ "error": { "code": "idempotency_error" } });
            return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
        }
        Some((_, object)) => object,
        None => {
            books.next += 1;
            let (path, object) = new(books.next);
            books.made.push(asked.clone());
            if let Some(path) = path {
                books.objects.insert(path, object.clone());
            }
            if let Some(key) = key {
                books.once.insert(key, (asked, object.clone()));
            }
            object
        }
    };
    if books.mood == Some(Mood::DoneButDown) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    axum::Json(object).into_response()
}

fn field(body: &str, name: &str) -> String {
    let pairs = body.split('&').filter_map(|p| p.split_once('='));
    let found = pairs.into_iter().find(|(k, _)| *k == name);
    found.unwrap_or_else(|| panic!("no {name} in {body}")).1.to_owned()
}

async fn new_session(State(books): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["authorization"], "Bearer sk_test_1");
    if let Some(answer) = moody(&books) {
        return answer;
    }
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(field(&body, "mode"), "payment");
    let amount: i64 =
        field(&body, "line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D").parse().unwrap();
    let currency = field(&body, "line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D");
    let ends = field(&body, "expires_at");
    let link = books.lock().unwrap().link.clone();
    make(&books, &headers, format!("session {amount} {currency} {ends}"), |n| {
        let id = format!("cs_test_{n}");
        let link = link.unwrap_or_else(|| json!(format!("https://checkout.example/{id}")));
        let object = json!({
            "id": id, "object": "checkout.session", "url": link,
            "status": "open", "payment_status": "unpaid", "payment_intent": null,
            "amount_total": amount, "currency": currency,
        });
        (Some(format!("v1/checkout/sessions/{id}")), object)
    })
}

async fn refund(State(books): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(answer) = moody(&books) {
        return answer;
    }
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (intent, name) = (field(&body, "payment_intent"), field(&body, "metadata%5Brefund%5D"));
    let asked = format!("refund {intent} {}", field(&body, "amount"));
    let mut new = None;
    let answer = make(&books, &headers, asked, |n| {
        let object = json!({ "id": format!("re_{n}"), "object": "refund", "status": "succeeded",
            "payment_intent": intent, "metadata": { "refund": name } });
        new = Some(object.clone());
        (Some(format!("v1/refunds/re_{n}")), object)
    });
    books.lock().unwrap().refunds.extend(new);
    answer
}

type Asked = axum::extract::Query<BTreeMap<String, String>>;

async fn refunds_of(State(books): State<Shared>, asked: Asked) -> Response {
    if let Some(answer) = moody(&books).filter(|_| !is_refusing(&books)) {
        return answer;
    }
    if !asked.contains_key("payment_intent") {
        return list(&books, "v1/refunds", &asked);
    }
    let books = books.lock().unwrap();
    let of = books.refunds.iter().filter(|r| r["payment_intent"] == asked["payment_intent"]);
    axum::Json(json!({ "object": "list", "data": of.collect::<Vec<_>>() })).into_response()
}

async fn disputes(State(books): State<Shared>, asked: Asked) -> Response {
    moody(&books).unwrap_or_else(|| list(&books, "v1/disputes", &asked))
}

const LINES: &str = "v1/balance_transactions";

async fn turnover(State(books): State<Shared>, asked: Asked) -> Response {
    match asked.get("expand[]") {
        Some(what) => assert_eq!(what, "data.source"),
        None => assert_eq!(asked["limit"], "1", "only for one that is too long"),
    }
    if let Some(answer) = moody(&books) {
        return answer;
    }
    let answer = list(&books, LINES, &asked);
    let holds = {
        let mut books = books.lock().unwrap();
        books.limits.push(asked["limit"].clone());
        books.holds.take()
    };
    if let Some(holds) = holds {
        holds.wait().await;
        holds.wait().await;
    }
    answer
}

async fn balance(State(books): State<Shared>) -> Response {
    if let Some(answer) = moody(&books) {
        return answer;
    }
    let answer = sums(&books).into_response();
    let holds = books.lock().unwrap().holds_balance.take();
    if let Some(holds) = holds {
        holds.wait().await;
        holds.wait().await;
    }
    answer
}

/// All that the account's lines come to: part of it ready to be paid out, the rest on its way.
fn sums(books: &Shared) -> axum::Json<Value> {
    let books = books.lock().unwrap();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    sums.insert("eur".to_owned(), books.astray);
    for (_, line) in books.objects.iter().filter(|(path, _)| path.starts_with(LINES)) {
        let currency = line["currency"].as_str().unwrap_or("eur").to_owned();
        *sums.entry(currency).or_default() += line["net"].as_i64().unwrap_or_default();
    }
    let part = |of: fn(i64) -> i64| {
        let amounts = sums.iter().map(|(c, n)| json!({ "amount": of(*n), "currency": c }));
        amounts.collect::<Vec<_>>()
    };
    let (available, pending) = (part(|n| n / 3), part(|n| n - n / 3));
    axum::Json(json!({ "object": "balance", "available": available, "pending": pending }))
}

/// A page of all objects of a kind, the newest first, as the service pages.
fn list(books: &Shared, kind: &str, asked: &BTreeMap<String, String>) -> Response {
    let mut books = books.lock().unwrap();
    let after = asked.get("starting_after").cloned().unwrap_or_default();
    books.listed.push(format!("{kind}?{after}"));
    let since: i64 = asked["created[gte]"].parse().unwrap();
    let begin = format!("{kind}/");
    let of = books.objects.iter().filter(|(path, _)| path.starts_with(&begin));
    let mut all: Vec<Value> = of
        .map(|(path, object)| {
            let mut object = object.clone();
            object["id"] = object.get("id").cloned().unwrap_or(path[begin.len()..].into());
            if kind == LINES && !asked.contains_key("expand[]") && object["source"].is_object() {
                object["source"] = "src_1".into();
            }
            object
        })
        .filter(|o| o["created"].as_i64().is_none_or(|at| at >= since))
        .collect();
    all.sort_by_key(|o| std::cmp::Reverse(o["created"].as_i64()));
    let lists = books.lists;
    let from = all.iter().position(|o| o["id"] == after.as_str()).map_or(0, |at| at + 1);
    let from = match lists {
        Lists::NeverEnding => 0,
        Lists::Overlapping => from.saturating_sub(1),
        _ => from,
    };
    let mut limit: usize = asked["limit"].parse().unwrap();
    if lists == Lists::Whole {
        limit = all.len();
    }
    let page: Vec<&Value> = all[from..].iter().take(limit).collect();
    let has_more = lists == Lists::NeverEnding || from + page.len() < all.len();
    match lists {
        Lists::Down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Lists::Torn => axum::Json(json!({ "object": "list", "data": page })).into_response(),
        _ => axum::Json(json!({ "object": "list", "data": page, "has_more": has_more }))
            .into_response(),
    }
}

/// What may be seen may be seen, also while new things are refused.
fn is_refusing(books: &Shared) -> bool {
    books.lock().unwrap().mood == Some(Mood::Refuses)
}

async fn sessions_of(State(books): State<Shared>, asked: Asked) -> Response {
    if let Some(answer) = moody(&books).filter(|_| !is_refusing(&books)) {
        return answer;
    }
    let books = books.lock().unwrap();
    let sessions =
        books.objects.iter().filter(|(path, _)| path.starts_with("v1/checkout/sessions/"));
    let of = sessions.map(|(_, s)| s).filter(|s| s["payment_intent"] == asked["payment_intent"]);
    axum::Json(json!({ "object": "list", "data": of.collect::<Vec<_>>() })).into_response()
}

async fn new_invoice(
    State(books): State<Shared>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["authorization"], "token btc-key");
    if let Some(answer) = moody(&books) {
        return answer;
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let link = books.lock().unwrap().link.clone();
    make(&books, &headers, format!("invoice {} {}", asked["amount"], asked["currency"]), |n| {
        let id = format!("inv{n}");
        let link = link.unwrap_or_else(|| json!(format!("https://btcpay.example/i/{id}")));
        let object = json!({
            "id": id, "storeId": store, "amount": asked["amount"], "currency": asked["currency"],
            "status": "New", "additionalStatus": "None",
            "checkoutLink": link,
        });
        (Some(format!("api/v1/stores/{store}/invoices/{id}")), object)
    })
}

async fn object(State(books): State<Shared>, Path(path): Path<String>) -> Response {
    if let Some(answer) = moody(&books) {
        return answer;
    }
    match books.lock().unwrap().objects.get(&path) {
        Some(object) => axum::Json(object.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
