//! What pages and API do with an account's webhooks.

use super::sql::{
    ADD_MESSAGE, ADD_WEBHOOK, AGAIN_FROM_HAND, ATTEMPTS_OF, BEGIN_WEBHOOK, COUNT_TESTS,
    COUNT_WAITING, COUNT_WEBHOOKS, END_WEBHOOK, END_WEBHOOKS_OF, MESSAGE, MESSAGES_OF,
    REMOVE_ATTEMPTS_OF, REMOVE_MESSAGES_OF, REMOVE_WEBHOOK, SET_WEBHOOK_SECRET, WEBHOOK,
    WEBHOOKS_OF,
};
use super::{
    ABOUT, OLD_SECRET_FOR, TEST, TESTS_PER_HOUR, TRIES_MAX, WAITING_MAX, WEBHOOKS_MAX, address,
};
use crate::api::events::Place;
use crate::failure::Failure;
use crate::hook_signature::HookSecret;
use crate::state::{AppState, accounts_failure};
use gruve_accounts::{Sealed, seal, unseal};
use gruve_store::{Row, StoreError, Tx, params, transact};
use gruve_units::{AccountId, Duration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Characters of a label at most.
const LABEL_CHARS_MAX: usize = 40;
/// Kinds of events that an address chooses at most, and characters of one.
const EVENTS_MAX: usize = 20;
const EVENT_CHARS_MAX: usize = 60;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// What secrets are sealed for.
const SEALED_AS: &str = "webhook secret";

/// An address' id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WebhookId(pub(crate) [u8; 16]);

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for WebhookId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(drop)?;
        Ok(WebhookId(id))
    }
}

/// Where an account has messages posted, and what.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) account: AccountId,
    pub(crate) url: String,
    pub(crate) label: String,
    /// `payout`, or `payout.confirmed` alone; all where there are none.
    pub(crate) events: Vec<String>,
    pub(super) secret: Sealed,
    pub(super) old: Option<(Sealed, Timestamp)>,
    pub(crate) made: Timestamp,
    pub(super) place: String,
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Timestamp>,
    /// Since when nothing is told there any more, and why.
    pub(crate) ended: Option<(Timestamp, String)>,
}

pub(super) fn read(row: &Row) -> Result<Webhook, StoreError> {
    let events: String = row.get("events")?;
    let old: Option<Vec<u8>> = row.get("old_secret")?;
    let old = old.zip(row.get::<Option<Timestamp>>("old_until")?);
    let old_key: Option<[u8; 8]> = row.get("old_key_id")?;
    let ended: Option<Timestamp> = row.get("ended_at")?;
    Ok(Webhook {
        id: WebhookId(row.get("id")?),
        account: row.get("account")?,
        url: row.get("url")?,
        label: row.get("label")?,
        events: events.split_whitespace().map(str::to_owned).collect(),
        secret: Sealed { bytes: row.get("secret")?, key_id: row.get("key_id")? },
        old: old.map(|(bytes, until)| (Sealed { bytes, key_id: old_key }, until)),
        made: row.get("made_at")?,
        place: row.get("place")?,
        failures: row.get("failures")?,
        failing_since: row.get("failing_since")?,
        ended: ended.zip(row.get("ended_for")?),
    })
}

impl Webhook {
    /// Whether it is to be told of this: by the word before the dot, or by the whole.
    pub(super) fn wants(&self, about: &str, kind: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|e| e == about || e == kind)
    }
}

/// One to be made.
pub(crate) struct NewWebhook<'a> {
    pub(crate) url: &'a str,
    pub(crate) label: &'a str,
    pub(crate) events: &'a [String],
}

/// A message to an address.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) webhook: WebhookId,
    pub(crate) kind: String,
    pub(crate) body: String,
    pub(crate) made: Timestamp,
    pub(super) round: u32,
    pub(crate) tries: u32,
    pub(crate) due: Option<Timestamp>,
    pub(crate) taken: Option<Timestamp>,
}

impl Message {
    /// How it stands, in a stable word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.taken, self.due) {
            (Some(_), None) => "taken",
            (_, Some(_)) => "waiting",
            (None, None) => "given-up",
        }
    }
}

pub(super) fn message(row: &Row) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get("id")?,
        webhook: WebhookId(row.get("webhook")?),
        kind: row.get("kind")?,
        body: row.get("body")?,
        made: row.get("made_at")?,
        round: row.get("round")?,
        tries: row.get("tries")?,
        due: row.get("due_at")?,
        taken: row.get("taken_at")?,
    })
}

/// A try of a message.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) at: Timestamp,
    /// What was answered, if anything was.
    pub(crate) status: Option<u16>,
    /// Why nothing was.
    pub(crate) fault: Option<String>,
    pub(crate) took_ms: u64,
}

/// An id that sorts by when it happened, and is the same for the same thing told to the same address.
pub(super) fn message_id(webhook: WebhookId, at: Timestamp, what: &str) -> String {
    let hash = Sha256::new().chain_update(webhook.0).chain_update(what).finalize();
    let at = u64::try_from(at.0).unwrap_or_default();
    format!("msg_{at:016x}{}", hex::encode(&hash[..10]))
}

/// What a message says.
pub(super) fn body_of(kind: &str, at: Timestamp, data: &serde_json::Value) -> String {
    json!({ "type": kind, "timestamp": crate::money::rfc3339(at), "data": data }).to_string()
}

fn chosen(events: &[String]) -> Result<String, Failure> {
    let known = |e: &String| {
        let (about, what) = e.split_once('.').unwrap_or((e, "x"));
        let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b'-' | b'_');
        ABOUT.iter().any(|(word, _)| *word == about)
            && e.len() <= EVENT_CHARS_MAX
            && !what.is_empty()
            && what.bytes().all(plain)
    };
    if events.len() > EVENTS_MAX || !events.iter().all(known) {
        return Err(Failure::refused(
            "Events are payout, invoice and contract, or one of them alone as payout.confirmed; at most 20.",
        ));
    }
    let mut all: Vec<&str> = events.iter().map(String::as_str).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all.join(" "))
}

fn label_of(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    let fine = text.chars().count() <= LABEL_CHARS_MAX && !text.chars().any(char::is_control);
    fine.then_some(text).ok_or_else(|| Failure::refused("A name has at most 40 characters."))
}

impl AppState {
    fn new_secret(&self, id: WebhookId) -> Result<(HookSecret, Sealed), Failure> {
        let mut bytes = [0; SECRET_BYTES];
        self.entropy().fill(&mut bytes);
        let vault = self.accounts().vault();
        let sealed = seal(vault, SEALED_AS, &id.0, &bytes, self.entropy());
        let sealed = sealed.map_err(|e| accounts_failure(&e))?;
        let secret = HookSecret::from_bytes(&bytes);
        Ok((secret.ok_or_else(|| Failure::fault(&"a secret of a wrong length"))?, sealed))
    }

    /// The secret of an address; none where it is sealed with a key that the house does not have.
    pub(super) fn opened(&self, id: WebhookId, sealed: &Sealed) -> Option<HookSecret> {
        let bytes = unseal(self.accounts().vault(), SEALED_AS, &id.0, sealed)?;
        HookSecret::from_bytes(&bytes)
    }

    /// An account's webhooks, the oldest first.
    pub(crate) async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>, Failure> {
        let rows = self.store().read().await?.fetch_all(WEBHOOKS_OF, &params![account]).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One of an account's webhooks.
    pub(crate) async fn webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<Webhook, Failure> {
        let row = self.store().read().await?.fetch_optional(WEBHOOK, &params![id.0]).await?;
        let found = row.map(|r| read(&r)).transpose()?.filter(|w| w.account == account);
        found.ok_or_else(|| Failure::not_found("webhook"))
    }

    /// Makes one, and gives its secret, which is not shown again. Told is what happens from now on. Ask for a proof
    /// first. The owner is told.
    pub(crate) async fn make_webhook(
        &self,
        account: AccountId,
        new: NewWebhook<'_>,
    ) -> Result<(Webhook, HookSecret), Failure> {
        let url = new.url.trim();
        if let Some(fault) = address::fault(url, self.config().webhooks.is_private_allowed) {
            return Err(Failure::refused(fault));
        }
        let (label, events) = (label_of(new.label)?, chosen(new.events)?);
        let mut id = [0; 16];
        self.entropy().fill(&mut id);
        let (id, now) = (WebhookId(id), self.now());
        let (secret, sealed) = self.new_secret(id)?;
        let place = Place::now(now).to_string();
        let made = transact!(self.store(), tx -> Result<bool, StoreError> => {
            let held: i64 = tx.fetch_one(COUNT_WEBHOOKS, &params![account]).await?.get("n")?;
            if held >= WEBHOOKS_MAX {
                return Ok(false);
            }
            let row = params![
                id.0, account, url, label, &events, sealed.bytes.clone(), sealed.key_id, now, &place
            ];
            tx.execute(ADD_WEBHOOK, &row).await?;
            Ok(true)
        })?;
        if !made {
            return Err(Failure::too_many(format!(
                "An account has at most {WEBHOOKS_MAX} webhooks: remove one first."
            )));
        }
        self.tell_of_webhook(account, "A webhook was added to your account.").await;
        Ok((self.webhook(account, id).await?, secret))
    }

    /// What is done does not depend on the message to its owner.
    async fn tell_of_webhook(&self, account: AccountId, what: &str) {
        let told = transact!(self.store(), tx -> Result<(), gruve_accounts::AccountsError> => {
            self.accounts().tell_owner(tx, account, what).await
        });
        if let Err(e) = told {
            tracing::warn!(error = %e, "an owner could not be told of a webhook");
        }
    }

    /// A new secret; messages are signed with the old one as well for a day. Ask for a proof first.
    pub(crate) async fn new_webhook_secret(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<HookSecret, Failure> {
        self.webhook(account, id).await?;
        let (secret, sealed) = self.new_secret(id)?;
        let until = self.now().plus(OLD_SECRET_FOR);
        transact!(self.store(), tx -> Result<u64, StoreError> => {
            let row = params![id.0, sealed.bytes.clone(), sealed.key_id, until];
            tx.execute(SET_WEBHOOK_SECRET, &row).await
        })?;
        self.tell_of_webhook(account, "A webhook of your account has a new secret.").await;
        Ok(secret)
    }

    /// Removes one with its messages.
    pub(crate) async fn remove_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<(), Failure> {
        self.webhook(account, id).await?;
        Ok(transact!(self.store(), tx -> Result<(), StoreError> => { removed(tx, id).await })?)
    }

    /// Removes all of an account: it is closed.
    pub(crate) async fn remove_webhooks(&self, account: AccountId) -> Result<(), Failure> {
        for webhook in self.webhooks(account).await? {
            transact!(self.store(), tx -> Result<(), StoreError> => {
                removed(tx, webhook.id).await
            })?;
        }
        Ok(())
    }

    /// Tells nothing there until it is begun again.
    pub(crate) async fn end_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<(), Failure> {
        self.webhook(account, id).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(END_WEBHOOK, &params![id.0, now, "by-owner"]).await
        })?;
        Ok(())
    }

    /// Ends all of an account: it has a new password, and whoever had the old one must not go on listening.
    pub(crate) async fn end_webhooks(&self, account: AccountId) -> Result<(), Failure> {
        let now = self.now();
        transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(END_WEBHOOKS_OF, &params![account, now, "new-password"]).await
        })?;
        Ok(())
    }

    /// Goes on telling there, from where it was left. Ask for a proof first.
    pub(crate) async fn begin_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<(), Failure> {
        self.webhook(account, id).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(BEGIN_WEBHOOK, &params![id.0, now]).await
        })?;
        Ok(())
    }

    /// Sends a message that tells nothing.
    pub(crate) async fn test_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<Message, Failure> {
        let webhook = self.webhook(account, id).await?;
        if webhook.ended.is_some() {
            return Err(Failure::conflict("webhook-ended", ENDED.to_owned()));
        }
        let now = self.now();
        let since = now.minus(Duration::from_secs(3_600));
        let mut chance = [0; 16];
        self.entropy().fill(&mut chance);
        let message = message_id(id, now, &hex::encode(chance));
        let body = body_of(TEST, now, &json!({ "webhook": id.to_string() }));
        let put = transact!(self.store(), tx -> Result<bool, StoreError> => {
            let tests: i64 = tx.fetch_one(COUNT_TESTS, &params![id.0, TEST, since]).await?.get("n")?;
            let waiting: i64 = tx.fetch_one(COUNT_WAITING, &params![id.0]).await?.get("n")?;
            if tests >= TESTS_PER_HOUR || waiting >= WAITING_MAX {
                return Ok(false);
            }
            tx.execute(ADD_MESSAGE, &params![&message, id.0, TEST, &body, now]).await?;
            Ok(true)
        })?;
        if !put {
            return Err(Failure::too_many("Too many test messages within the hour."));
        }
        self.webhook_message(webhook.id, &message).await
    }

    /// Sends a message once more that was taken or given up.
    pub(crate) async fn send_again(
        &self,
        account: AccountId,
        id: WebhookId,
        message: &str,
    ) -> Result<Message, Failure> {
        let webhook = self.webhook(account, id).await?;
        let found = self.webhook_message(id, message).await?;
        if webhook.ended.is_some() {
            return Err(Failure::conflict("webhook-ended", ENDED.to_owned()));
        }
        let now = self.now();
        let again = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(AGAIN_FROM_HAND, &params![&found.id, now, TRIES_MAX]).await
        })?;
        if again == 0 {
            let waits = "This message waits to be sent, or was sent too often.";
            return Err(Failure::conflict("wrong-state", waits.to_owned()));
        }
        self.webhook_message(id, message).await
    }

    async fn webhook_message(&self, webhook: WebhookId, id: &str) -> Result<Message, Failure> {
        let row = self.store().read().await?.fetch_optional(MESSAGE, &params![id]).await?;
        let found = row.map(|r| message(&r)).transpose()?.filter(|m| m.webhook == webhook);
        found.ok_or_else(|| Failure::not_found("message"))
    }

    /// The messages of a webhook behind one, newest first, each with what came of its tries.
    pub(crate) async fn webhook_log(
        &self,
        account: AccountId,
        id: WebhookId,
        behind: Option<(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<(Message, Vec<Attempt>)>, Failure> {
        self.webhook(account, id).await?;
        let (at, after) = behind.unwrap_or((Timestamp(i64::MAX), String::new()));
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(MESSAGES_OF, &params![id.0, at, &after, limit]).await?;
        let mut all = Vec::new();
        for row in &rows {
            let found = message(row)?;
            let tries = tx.fetch_all(ATTEMPTS_OF, &params![&found.id]).await?;
            let tries = tries.iter().map(attempt).collect::<Result<_, StoreError>>()?;
            all.push((found, tries));
        }
        Ok(all)
    }
}

const ENDED: &str = "Nothing is sent to this webhook any more: begin it again first.";

fn attempt(row: &Row) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        number: row.get("number")?,
        at: row.get("at")?,
        status: row.get("status")?,
        fault: row.get("fault")?,
        took_ms: row.get("took_ms")?,
    })
}

async fn removed(tx: &mut Tx, id: WebhookId) -> Result<(), StoreError> {
    for sql in [REMOVE_ATTEMPTS_OF, REMOVE_MESSAGES_OF, REMOVE_WEBHOOK] {
        tx.execute(sql, &params![id.0]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_those_that_there_are_each_once() {
        let of = |all: &[&str]| chosen(&all.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap(), "");
        assert_eq!(
            of(&["payout", "contract.low-balance", "payout"]).unwrap(),
            "contract.low-balance payout"
        );
        for bad in ["", "payouts", "payout.", "payout. x", "payout.A", ".x", "webhook.test"] {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
        assert!(of(&["payout"; 21]).is_err());
    }

    #[test]
    fn ids_of_messages_are_the_same_for_the_same_and_sort_by_time() {
        let (one, other) = (WebhookId([1; 16]), WebhookId([2; 16]));
        let id = |w, at, what| message_id(w, Timestamp(at), what);
        assert_eq!(id(one, 5, "x"), id(one, 5, "x"));
        assert_ne!(id(one, 5, "x"), id(other, 5, "x"));
        assert_ne!(id(one, 5, "x"), id(one, 5, "y"));
        assert!(id(one, 5, "x") < id(one, 4_000_000_000_000_000, "a"));
        assert_eq!(WebhookId([1; 16]).to_string().parse(), Ok(one));
        assert!("01".parse::<WebhookId>().is_err());
    }
}
