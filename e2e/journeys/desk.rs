//! A stand-in for the service at which customers pay by card: it keeps to what Stripe publishes of Checkout as far as
//! the house uses it, has a page with a button to pay, and tells the house of payments by signed webhooks.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use bytes::Bytes;
use gruve_units::{Clock as _, SystemClock};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ring::hmac;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub const KEY: &str = "sk_test_journeys";
pub const WEBHOOK_SECRET: &str = "whsec_journeys";

#[derive(Clone)]
pub struct Desk(Arc<Books>);

struct Books {
    own: String,
    house: String,
    sessions: Mutex<BTreeMap<String, Session>>,
    refunds: Mutex<Vec<Value>>,
}

#[derive(Clone)]
struct Session {
    object: Value,
    back: String,
}

type Fields = BTreeMap<String, String>;

impl Desk {
    /// Opens at a port of the loopback address, for a house at `house`.
    pub async fn open(port: u16, house: &str) -> Desk {
        let (sessions, refunds) = (Mutex::default(), Mutex::default());
        let own = format!("http://127.0.0.1:{port}");
        let desk = Desk(Arc::new(Books { own, house: house.to_owned(), sessions, refunds }));
        let app = Router::new()
            .route("/v1/checkout/sessions", post(new_session).get(sessions_of))
            .route("/v1/checkout/sessions/{id}", get(session))
            .route("/v1/refunds", post(give_back).get(given_back))
            .route("/pay/{id}", get(page).post(pay))
            .with_state(desk.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        desk
    }

    /// What was given back so far, in cents, by the payments' names.
    pub fn given_back(&self) -> Vec<(String, i64)> {
        let text = |r: &Value| r["payment_intent"].as_str().unwrap().to_owned();
        let all = self.0.refunds.lock().unwrap();
        all.iter().map(|r| (text(r), r["amount"].as_i64().unwrap())).collect()
    }

    /// Pays without the page; gives where the customer is sent back to.
    pub async fn pay(&self, place: &str) -> String {
        let id = place.rsplit('/').next().unwrap();
        let (back, event) = {
            let mut sessions = self.0.sessions.lock().unwrap();
            let session = sessions.get_mut(id).unwrap();
            session.object["status"] = json!("complete");
            session.object["payment_status"] = json!("paid");
            session.object["payment_intent"] = json!(format!("pi_{id}"));
            let data = json!({ "object": session.object });
            let event = json!({ "id": format!("evt_{id}"), "type": "checkout.session.completed", "data": data });
            (session.back.clone(), event.to_string())
        };
        let at = u64::try_from(SystemClock.now().0).unwrap() / 1_000_000;
        let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
        let tag = hex::encode(hmac::sign(&key, format!("{at}.{event}").as_bytes()));
        let request = hyper::Request::post(format!("{}/api/v1/webhooks/stripe", self.0.house))
            .header("content-type", "application/json")
            .header("stripe-signature", format!("t={at},v1={tag}"))
            .body(Full::new(Bytes::from(event)))
            .unwrap();
        let http: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let heard = http.request(request).await.unwrap();
        assert!(heard.status().is_success(), "{heard:?}");
        back
    }
}

async fn new_session(State(desk): State<Desk>, Form(asked): Form<Fields>) -> Json<Value> {
    let mut sessions = desk.0.sessions.lock().unwrap();
    let id = format!("cs_test_{}", sessions.len() + 1);
    let price = |of: &str| asked[&format!("line_items[0][price_data][{of}]")].clone();
    let cents: i64 = price("unit_amount").parse().unwrap();
    let object = json!({
        "id": id, "object": "checkout.session", "url": format!("{}/pay/{id}", desk.0.own),
        "status": "open", "payment_status": "unpaid", "payment_intent": null,
        "amount_total": cents, "currency": price("currency"),
    });
    let back = asked["success_url"].clone();
    sessions.insert(id, Session { object: object.clone(), back });
    Json(object)
}

async fn session(State(desk): State<Desk>, Path(id): Path<String>) -> Response {
    match desk.0.sessions.lock().unwrap().get(&id) {
        Some(found) => Json(found.object.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn sessions_of(State(desk): State<Desk>, Query(asked): Query<Fields>) -> Json<Value> {
    let sessions = desk.0.sessions.lock().unwrap();
    let all = sessions.values().map(|s| &s.object);
    let of: Vec<_> = all.filter(|s| s["payment_intent"] == asked["payment_intent"]).collect();
    Json(json!({ "object": "list", "data": of }))
}

async fn give_back(State(desk): State<Desk>, Form(asked): Form<Fields>) -> Json<Value> {
    let mut refunds = desk.0.refunds.lock().unwrap();
    let object = json!({
        "id": format!("re_{}", refunds.len() + 1), "object": "refund", "status": "succeeded",
        "amount": asked["amount"].parse::<i64>().unwrap(),
        "payment_intent": asked["payment_intent"],
        "metadata": { "refund": asked["metadata[refund]"] },
    });
    refunds.push(object.clone());
    Json(object)
}

async fn given_back(State(desk): State<Desk>, Query(asked): Query<Fields>) -> Json<Value> {
    let refunds = desk.0.refunds.lock().unwrap();
    let of: Vec<_> =
        refunds.iter().filter(|r| r["payment_intent"] == asked["payment_intent"]).collect();
    Json(json!({ "object": "list", "data": of }))
}

async fn page(Path(id): Path<String>) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><title>Card desk</title><meta name=viewport content=\"width=device-width\">\
         <main><h1>Card desk</h1><form method=post action=\"/pay/{id}\"><button>Pay by this card</button></form></main>"
    ))
}

async fn pay(State(desk): State<Desk>, Path(id): Path<String>) -> Redirect {
    Redirect::to(&desk.pay(&id).await)
}
