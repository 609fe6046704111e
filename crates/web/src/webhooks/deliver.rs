//! Taking what happened to accounts and carrying it to their webhooks.

use super::sql::{
    ADD_ATTEMPT, ADD_MESSAGE, COUNT_WAITING, DUE_MESSAGES, END_WEBHOOK, FAILED, FORGET_ATTEMPTS,
    FORGET_MESSAGES, GIVEN_UP, LOOKED, MESSAGE, MOVE_PLACE, TAKEN, TO_LOOK_FOR, TRY_MESSAGE,
    WEBHOOK, WORKED,
};
use super::store::{Webhook, body_of, message, message_id, read};
use super::{FAILING_MAX, KEPT, TRIES_MAX, WAITING_MAX, WAITS};
use crate::failure::Failure;
use crate::hook_fault::HookFault;
use crate::state::AppState;
use crate::watch::HookSender;
use futures_util::StreamExt;
use futures_util::stream;
use gruve_accounts::AccountsError;
use gruve_store::{StoreError, params, transact};
use gruve_units::{Duration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// How often there is a round.
const EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// Webhooks whose accounts are looked at in a round; the longest not looked at first.
const LOOKED_AT: i64 = 200;
/// A webhook is not looked at more often.
const APART: Duration = Duration::from_secs(5);
/// Webhooks that are sent to in a round, one message each: a slow one holds up nobody but those in its place.
const SENT_TO: i64 = 64;
/// Of them at once.
const AT_ONCE: usize = 16;
/// An address rests so long for each of its failures in a row, up to [`REST_MAX`]: a thousand messages to one that is
/// gone are not a thousand tries.
const REST: Duration = Duration::from_secs(30);
const REST_MAX: Duration = Duration::from_secs(600);
/// What a receiver answers that wants nothing any more.
const GONE: u16 = 410;

/// What came of a try.
struct Tried {
    answer: Result<u16, HookFault>,
    took_ms: u64,
}

impl AppState {
    /// One round: takes what happened, and sends what is due; how many messages were taken by their receivers.
    ///
    /// # Errors
    /// In words. What receivers answer is written down, not an error.
    pub async fn deliver_webhooks(&self) -> Result<u32, String> {
        let done = async {
            self.take_happenings().await?;
            self.send_messages().await
        };
        done.await.map_err(|f: Failure| f.detail)
    }

    /// Writes messages of what has happened since.
    async fn take_happenings(&self) -> Result<(), Failure> {
        let now = self.now();
        let given = params![now.minus(APART), LOOKED_AT];
        let rows = self.store().read().await?.fetch_all(TO_LOOK_FOR, &given).await?;
        for row in &rows {
            let webhook = read(row)?;
            if let Err(f) = self.take_of(&webhook, now).await {
                // The others go on; it is looked at again after them.
                tracing::warn!(webhook = %webhook.id, detail = %f.detail, "what happened could not be taken");
                transact!(self.store(), tx -> Result<u64, StoreError> => {
                    tx.execute(LOOKED, &params![webhook.id.0, now]).await
                })?;
            }
        }
        Ok(())
    }

    async fn take_of(&self, webhook: &Webhook, now: Timestamp) -> Result<(), Failure> {
        let unread = || Failure::fault(&"a webhook's place cannot be read");
        let place = webhook.place.parse().map_err(|()| unread())?;
        let mut all = self.happened(webhook.account, &place).await?;
        let mut tx = self.store().read().await?;
        let waiting: i64 = tx.fetch_one(COUNT_WAITING, &params![webhook.id.0]).await?.get("n")?;
        drop(tx);
        let room = usize::try_from(WAITING_MAX.saturating_sub(waiting)).unwrap_or(0);
        all.truncate(room);
        let last = all.last().map_or_else(|| webhook.place.clone(), |(place, _)| place.to_string());
        let mut messages = Vec::new();
        for (place, h) in &all {
            let kind = format!("{}.{}", h.about, h.what);
            if webhook.wants(h.about, &kind) {
                let id = message_id(webhook.id, place.at(), &place.to_string());
                let data = json!({ "about": h.about, "id": h.id, "what": h.what, "at": h.at });
                messages.push((id, body_of(&kind, place.at(), &data), kind));
            }
        }
        transact!(self.store(), tx -> Result<(), StoreError> => {
            let moved = params![webhook.id.0, &webhook.place, &last, now];
            if tx.execute(MOVE_PLACE, &moved).await? == 0 {
                // Another process has taken them, or it was ended meanwhile.
                return Ok(());
            }
            for (id, body, kind) in &messages {
                tx.execute(ADD_MESSAGE, &params![id, webhook.id.0, kind, body, now]).await?;
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn send_messages(&self) -> Result<u32, Failure> {
        let Some(sender) = self.config().webhooks.sender.clone() else { return Ok(0) };
        let given = params![self.now(), SENT_TO];
        let due = self.store().read().await?.fetch_all(DUE_MESSAGES, &given).await?;
        let mut ids = Vec::new();
        for row in &due {
            ids.push(row.get::<String>("id")?);
        }
        let sent = stream::iter(ids)
            .map(|id| {
                let sender = Arc::clone(&sender);
                async move {
                    let sent = self.send_one(sender.as_ref(), &id).await;
                    sent.unwrap_or_else(|f| {
                        tracing::warn!(message = %id, detail = %f.detail, "a message to a webhook waits");
                        false
                    })
                }
            })
            .buffer_unordered(AT_ONCE);
        Ok(sent.fold(0, |n, taken| async move { n + u32::from(taken) }).await)
    }

    /// Tries a message once; whether it was taken.
    async fn send_one(&self, sender: &dyn HookSender, id: &str) -> Result<bool, Failure> {
        let mut tx = self.store().read().await?;
        let Some(row) = tx.fetch_optional(MESSAGE, &params![id]).await? else { return Ok(false) };
        let m = message(&row)?;
        let row = tx.fetch_optional(WEBHOOK, &params![m.webhook.0]).await?;
        drop(tx);
        let Some(webhook) = row.map(|r| read(&r)).transpose()? else { return Ok(false) };
        let now = self.now();
        let wait = WAITS.get(usize::try_from(m.round).unwrap_or(usize::MAX)).copied();
        // Counted before it is made: a message that kills its sender is not tried for ever.
        let again = now.plus(self.spread(wait.unwrap_or(WAITS[WAITS.len() - 1])));
        let is_ours = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(TRY_MESSAGE, &params![&m.id, m.tries, again]).await
        })?;
        if is_ours == 0 {
            return Ok(false);
        }
        let tried = self.tried(sender, &webhook, &m.id, &m.body, now).await;
        let is_last = wait.is_none() || i64::from(m.tries) + 1 >= TRIES_MAX;
        self.write_down(&webhook, (&m.id, m.tries + 1), &tried, is_last).await
    }

    /// Signs and posts it.
    async fn tried(
        &self,
        sender: &dyn HookSender,
        webhook: &Webhook,
        id: &str,
        body: &str,
        now: Timestamp,
    ) -> Tried {
        let Some(secret) = self.opened(webhook.id, &webhook.secret) else {
            return Tried { answer: Err(HookFault::NoSecret), took_ms: 0 };
        };
        let old = webhook.old.as_ref().filter(|(_, until)| *until > now);
        let old = old.and_then(|(sealed, _)| self.opened(webhook.id, sealed));
        let headers = secret.headers_with(old.as_ref(), id, now, body);
        let began = Instant::now();
        let answer = sender.post(&webhook.url, &headers, body).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Tried { answer, took_ms }
    }

    /// Up to a tenth more, so that what failed together does not come again together.
    fn spread(&self, wait: Duration) -> Duration {
        let mut chance = [0; 1];
        self.entropy().fill(&mut chance);
        wait + wait * u32::from(chance[0]) / 2_560
    }

    async fn write_down(
        &self,
        webhook: &Webhook,
        (message, number): (&str, u32),
        tried: &Tried,
        is_last: bool,
    ) -> Result<bool, Failure> {
        let now = self.now();
        let status = tried.answer.ok();
        let is_taken = matches!(status, Some(200..=299));
        let fault = tried.answer.err().map(HookFault::text);
        let rest = (REST * (webhook.failures + 1)).min(REST_MAX);
        let failing = webhook.failing_since.is_some_and(|since| now.since(since) >= FAILING_MAX);
        let ends = if status == Some(GONE) {
            Some(("gone", "A webhook of your account was ended: its address says that it is gone."))
        } else if failing && !is_taken {
            Some((
                "failing",
                "A webhook of your account was ended: its address has taken nothing for five days. What happened \
                 since stands in your account; begin it again there.",
            ))
        } else {
            None
        };
        transact!(self.store(), tx -> Result<(), AccountsError> => {
            let took = i64::try_from(tried.took_ms).unwrap_or(i64::MAX);
            let row = params![message, number, now, status, fault, took];
            tx.execute(ADD_ATTEMPT, &row).await?;
            if is_taken {
                tx.execute(TAKEN, &params![message, now]).await?;
                tx.execute(WORKED, &params![webhook.id.0, now]).await?;
                return Ok(());
            }
            if is_last {
                tx.execute(GIVEN_UP, &params![message]).await?;
            }
            tx.execute(FAILED, &params![webhook.id.0, now, now.plus(rest)]).await?;
            if let Some((why, what)) = ends
                && tx.execute(END_WEBHOOK, &params![webhook.id.0, now, why]).await? == 1
            {
                self.accounts().tell_owner(tx, webhook.account, what).await?;
            }
            Ok(())
        })
        .map_err(|e: AccountsError| crate::state::accounts_failure(&e))?;
        Ok(is_taken)
    }

    /// Forgets what is old.
    async fn forget_webhooks(&self) -> Result<(), Failure> {
        let before = self.now().minus(KEPT);
        transact!(self.store(), tx -> Result<(), StoreError> => {
            tx.execute(FORGET_ATTEMPTS, &params![before]).await?;
            tx.execute(FORGET_MESSAGES, &params![before]).await.map(drop)
        })?;
        Ok(())
    }
}

/// Delivers as long as the site is served.
pub(crate) async fn keep_delivering(state: AppState) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rounds = 0_u64;
    loop {
        tick.tick().await;
        if let Err(detail) = state.deliver_webhooks().await {
            tracing::warn!(%detail, "messages to customers' webhooks wait");
        }
        // Every hour or so.
        if rounds.is_multiple_of(720)
            && let Err(f) = state.forget_webhooks().await
        {
            tracing::warn!(detail = %f.detail, "old messages to webhooks stay");
        }
        rounds = rounds.wrapping_add(1);
    }
}
