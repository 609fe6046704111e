//! Carrying alerts to the operator's webhook: signed, tried again with growing pauses, given up after a day.

use super::readings::Reading;
use super::sql::{DUE_HOOKS, REMOVE_HOOK, TRY_HOOK};
use crate::failure::Failure;
use crate::hook_fault::HookFault;
use crate::hook_signature::HookSecret;
use crate::state::AppState;
use futures_util::future::BoxFuture;
use gruve_store::{StoreError, params, transact};
use gruve_units::{Duration, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// Tries of a message; the last some 17 hours after the first.
const TRIES_MAX: i64 = 11;
/// The first wait after a try that failed; doubled with each.
const WAIT_FIRST: Duration = Duration::from_secs(60);
/// Messages taken at once.
const AT_ONCE: i64 = 20;
/// How often messages that are due are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whoever carries a message to an address: the status that it answers with.
pub trait HookSender: Send + Sync {
    /// Posts a body as JSON with these headers.
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, HookFault>>;
}

/// The operator's webhook.
#[derive(Clone)]
pub struct Hook {
    /// Where it is.
    pub url: String,
    /// What messages are signed with.
    pub secret: HookSecret,
    /// Who carries them.
    pub sender: Arc<dyn HookSender>,
}

/// The id of a message: the same with every try, so that its receiver knows it again.
pub(super) fn hook_id(id: [u8; 16]) -> String {
    format!("msg_{}", hex::encode(id))
}

/// What a message says.
pub(super) fn alert_body(kind: &str, r: &Reading, now: Timestamp) -> String {
    let data = json!({
        "rule": r.rule.name(),
        "subject": r.subject,
        "text": r.rule.text(),
        "reading": r.value,
        "unit": r.rule.unit(),
        "about": r.about,
    });
    json!({ "type": kind, "timestamp": crate::money::rfc3339(now), "data": data }).to_string()
}

impl AppState {
    /// Sends the messages that are due to the operator's webhook; how many were taken.
    ///
    /// # Errors
    /// In words. What the receiver answers is counted, not an error.
    pub async fn send_hooks(&self) -> Result<u32, String> {
        self.send_due().await.map_err(|f| f.detail)
    }

    async fn send_due(&self) -> Result<u32, Failure> {
        let Some(hook) = self.config().watch.hook.clone() else { return Ok(0) };
        let now = self.now();
        let due = self.store().read().await?.fetch_all(DUE_HOOKS, &params![now, AT_ONCE]).await?;
        let mut taken = 0;
        for row in due {
            let (id, tries): (String, i64) = (row.get("id")?, row.get("tries")?);
            let doubled = 2_u32.saturating_pow(u32::try_from(tries).unwrap_or(16).min(16));
            let again = now.plus(WAIT_FIRST * doubled);
            // Counted before it is made: a message that kills its sender is not tried for ever.
            let is_ours = transact!(self.store(), tx -> Result<u64, StoreError> => {
                tx.execute(TRY_HOOK, &params![&id, tries, again]).await
            })?;
            if is_ours == 0 {
                continue;
            }
            let body: String = row.get("body")?;
            let headers = hook.secret.headers(&id, self.now(), &body);
            let answer = hook.sender.post(&hook.url, &headers, &body).await;
            let is_taken = matches!(answer, Ok(200..=299));
            if !is_taken {
                tracing::warn!(message = %id, ?answer, "the operator's webhook did not take a message");
            }
            if is_taken || tries + 1 >= TRIES_MAX {
                taken += u32::from(is_taken);
                transact!(self.store(), tx -> Result<u64, StoreError> => {
                    tx.execute(REMOVE_HOOK, &params![&id]).await
                })?;
            }
        }
        Ok(taken)
    }
}

/// Sends as long as the site is served.
pub(crate) async fn keep_sending(state: AppState) {
    if state.config().watch.hook.is_none() {
        return std::future::pending().await;
    }
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(detail) = state.send_hooks().await {
            tracing::warn!(%detail, "messages to the operator's webhook wait");
        }
    }
}
