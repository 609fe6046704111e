//! Webhooks of an account. Only a session reaches these, never a key: whoever has a key must not choose where the
//! account's news go.

use crate::api::page::Page;
use crate::api::{Time, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::Failure;
use crate::once::Secret;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::routes::{Access, Routes};
use crate::state::{AppState, accounts_failure};
use crate::webhooks::{Attempt, Message, NewWebhook, Webhook, WebhookId};
use axum::extract::State;
use gruve_accounts::Device;
use gruve_units::Timestamp;
use std::fmt;
use std::str::FromStr;

answers! {
    /// An address that is told what happens.
    struct WebhookBody {
        /// Its id.
        id: String,
        /// Where messages are posted.
        url: String,
        /// What its owner calls it.
        label: String,
        /// What it is told of: `payout`, `invoice`, `contract`, or one type alone as `payout.confirmed`; all where empty.
        events: Vec<String>,
        /// When it was made.
        made_at: Time,
        /// Messages in a row that it did not take.
        failures: u32,
        /// Since when it has taken nothing.
        failing_since: Option<Time>,
        /// Since when nothing is sent there any more.
        ended_at: Option<Time>,
        /// Why: `by-owner`, `new-password`, `gone`, `failing`.
        ended_for: Option<String>,
    }

    /// One just made.
    struct WebhookMade: base: WebhookBody {
        /// What its messages are signed with. It is not shown again.
        secret: String,
    }

    /// A new secret.
    struct WebhookSecret {
        /// What messages are signed with. It is not shown again.
        secret: String,
    }

    /// A message, and what came of it.
    struct DeliveryBody {
        /// Its id, sent as `webhook-id`.
        id: String,
        /// Its type, as `payout.confirmed`.
        kind: String,
        /// `waiting`, `taken` or `given-up`.
        state: &'static str,
        /// What was sent.
        body: String,
        /// When it was made.
        made_at: Time,
        /// When it is tried next.
        due_at: Option<Time>,
        /// When it was taken.
        taken_at: Option<Time>,
        /// Its tries, the first first.
        attempts: Vec<AttemptBody>,
    }

    /// A try.
    struct AttemptBody {
        /// Which one.
        number: u32,
        /// When.
        at: Time,
        /// What was answered.
        status: Option<u16>,
        /// Why nothing was.
        fault: Option<String>,
        /// How long it took.
        took_ms: u64,
    }
}

requests! {
    /// An address to be told, with the proof of who asks.
    struct WebhookOrder {
        /// Where messages are to be posted: https, and reached from the internet.
        url: String,
        /// What to call it.
        label: String = default,
        /// What to tell it of; all if left out.
        events: Vec<String> = default,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// The proof of who asks.
    struct WebhookProof {
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// Which message.
    struct WhichDelivery {
        /// Its id.
        message: String,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::Bearer;
    routes
        .api_get("/api/v1/webhooks", Bearer, "The account's webhooks.", webhooks)
        .api_post("/api/v1/webhooks", Bearer, "Adds a webhook.", make)
        .api_get("/api/v1/webhooks/{id}", Bearer, "A webhook.", webhook)
        .api_delete("/api/v1/webhooks/{id}", Bearer, "Removes a webhook.", remove)
        .api_get(
            "/api/v1/webhooks/{id}/deliveries",
            Bearer,
            "What was sent to a webhook, newest first.",
            deliveries,
        )
        .api_post("/api/v1/webhooks/{id}/test", Bearer, "Sends a message that tells nothing.", test)
        .api_post("/api/v1/webhooks/{id}/resend", Bearer, "Sends a message once more.", resend)
        .api_post(
            "/api/v1/webhooks/{id}/secret",
            Bearer,
            "Gives a webhook a new secret.",
            new_secret,
        )
        .api_post("/api/v1/webhooks/{id}/end", Bearer, "Sends nothing there any more.", end)
        .api_post("/api/v1/webhooks/{id}/begin", Bearer, "Goes on sending there.", begin)
}

fn body(w: &Webhook) -> WebhookBody {
    WebhookBody {
        id: w.id.to_string(),
        url: w.url.clone(),
        label: w.label.clone(),
        events: w.events.clone(),
        made_at: time(w.made),
        failures: w.failures,
        failing_since: w.failing_since.map(time),
        ended_at: w.ended.as_ref().map(|(at, _)| time(*at)),
        ended_for: w.ended.as_ref().map(|(_, why)| why.clone()),
    }
}

fn delivery(m: &Message, tries: &[Attempt]) -> DeliveryBody {
    let attempt = |a: &Attempt| AttemptBody {
        number: a.number,
        at: time(a.at),
        status: a.status,
        fault: a.fault.clone(),
        took_ms: a.took_ms,
    };
    DeliveryBody {
        id: m.id.clone(),
        kind: m.kind.clone(),
        state: m.state(),
        body: m.body.clone(),
        made_at: time(m.made),
        due_at: m.due.map(time),
        taken_at: m.taken.map(time),
        attempts: tries.iter().map(attempt).collect(),
    }
}

async fn proven(
    state: &AppState,
    customer: &Customer,
    (password, code): (&str, &str),
    from: Device,
) -> Result<(), Failure> {
    let proof = state.accounts().prove(customer.account, password, Some(code), from).await;
    proof.map_err(|e| accounts_failure(&e))
}

/// `GET /api/v1/webhooks`
async fn webhooks(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<List<WebhookBody>>, Failure> {
    let all = state.webhooks(customer.account).await?;
    Ok(List::whole(all.iter().map(body)))
}

/// `POST /api/v1/webhooks`
async fn make(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(order): Json<WebhookOrder>,
) -> Result<Secret<Made<WebhookMade>>, Failure> {
    proven(&state, &customer, (&order.password, &order.code), from).await?;
    let new = NewWebhook { url: &order.url, label: &order.label, events: &order.events };
    let (made, secret) = state.make_webhook(customer.account, new).await?;
    Ok(Secret(Answer(WebhookMade { base: body(&made), secret: secret.text() })))
}

/// `GET /api/v1/webhooks/{id}`
async fn webhook(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Fine<WebhookBody>, Failure> {
    Ok(Answer(body(&state.webhook(customer.account, id).await?)))
}

/// `DELETE /api/v1/webhooks/{id}`
async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Done, Failure> {
    state.remove_webhook(customer.account, id).await?;
    Ok(Done)
}

/// A place in the log: when and which.
struct LogPlace(Timestamp, String);

impl FromStr for LogPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once(' ').ok_or(())?;
        Ok(LogPlace(Timestamp(at.parse().map_err(drop)?), id.to_owned()))
    }
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.0, self.1)
    }
}

/// `GET /api/v1/webhooks/{id}/deliveries`
async fn deliveries(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<DeliveryBody>>, Failure> {
    let behind = page.behind::<LogPlace>()?.map(|p| (p.0, p.1));
    let all = state.webhook_log(customer.account, id, behind, page.wanted()?).await?;
    page.give(all, |(m, _)| LogPlace(m.made, m.id.clone()), |(m, tries)| delivery(m, tries))
}

/// `POST /api/v1/webhooks/{id}/test`
async fn test(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Made<DeliveryBody>, Failure> {
    let message = state.test_webhook(customer.account, id).await?;
    Ok(Answer(delivery(&message, &[])))
}

/// `POST /api/v1/webhooks/{id}/resend`
async fn resend(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Json(which): Json<WhichDelivery>,
) -> Result<Fine<DeliveryBody>, Failure> {
    let message = state.send_again(customer.account, id, &which.message).await?;
    Ok(Answer(delivery(&message, &[])))
}

/// `POST /api/v1/webhooks/{id}/secret`
async fn new_secret(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Client(from): Client,
    Json(proof): Json<WebhookProof>,
) -> Result<Secret<Fine<WebhookSecret>>, Failure> {
    proven(&state, &customer, (&proof.password, &proof.code), from).await?;
    let secret = state.new_webhook_secret(customer.account, id).await?;
    Ok(Secret(Answer(WebhookSecret { secret: secret.text() })))
}

/// `POST /api/v1/webhooks/{id}/end`
async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Fine<WebhookBody>, Failure> {
    state.end_webhook(customer.account, id).await?;
    Ok(Answer(body(&state.webhook(customer.account, id).await?)))
}

/// `POST /api/v1/webhooks/{id}/begin`
async fn begin(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Client(from): Client,
    Json(proof): Json<WebhookProof>,
) -> Result<Fine<WebhookBody>, Failure> {
    proven(&state, &customer, (&proof.password, &proof.code), from).await?;
    state.begin_webhook(customer.account, id).await?;
    Ok(Answer(body(&state.webhook(customer.account, id).await?)))
}
