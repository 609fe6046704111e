//! What the card service would have told while nobody was listening: its lists of disputes and refunds, read through.
//!
//! Webhooks are tried for three days. A house that was away for longer, or whose address was wrong, would never hear of
//! a dispute: its customer would take out what the bank takes back. So the lists are read once after each start, and
//! once a day, a page a round: what is new in them is looked at as if it had been told.
//!
//! Promises: one that cannot be looked at holds up no other, and is tried again; a service that is down, gives
//! nonsense or the same page for ever costs a question now and then. It must not know what becomes of what it finds.

use super::stripe::{Stripe, id};
use crate::{Result, Treasury, TreasuryError, sql};
use gruve_store::params;
use gruve_units::{Duration, PaymentId, Timestamp};
use serde_json::Value;

/// How far back lists are read: the time that payers have for most disputes.
const BACK: Duration = Duration::from_secs(120 * 86_400);
/// How often they are read through; and again, where something could not be looked at or no page came.
const READ_EVERY: Duration = Duration::from_secs(86_400);
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Pages of one reading: ten thousand entries.
const PAGES_MAX: u32 = 500;

/// A list of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Disputes,
    Refunds,
}

impl List {
    const ALL: [List; 2] = [List::Disputes, List::Refunds];

    const fn path(self) -> &'static str {
        match self {
            List::Disputes => "/v1/disputes",
            List::Refunds => "/v1/refunds",
        }
    }
}

/// How far the lists are read in this life.
#[derive(Debug, Default)]
pub(crate) struct Missed([Reading; 2]);

/// How far one list is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Not before.
    pub(super) next: Timestamp,
    /// The last entry of the page before.
    pub(super) after: Option<String>,
    pub(super) pages: u32,
    /// Whether one could not be looked at.
    pub(super) has_failed: bool,
}

impl Reading {
    /// It begins anew, after a while.
    fn ends(&mut self, now: Timestamp, wait: Duration) {
        *self = Reading { next: now.plus(wait), ..Reading::default() };
    }
}

impl Treasury {
    /// Reads a page of each list that is due.
    pub(super) async fn read_missed(&self) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let mut missed = self.0.missed.lock().await;
        for (list, reading) in List::ALL.into_iter().zip(&mut missed.0) {
            self.read_page(stripe, list, reading).await?;
        }
        Ok(())
    }

    async fn read_page(&self, stripe: &Stripe, list: List, reading: &mut Reading) -> Result<()> {
        let now = self.now();
        if now < reading.next {
            return Ok(());
        }
        let since = now.minus(BACK);
        let page = stripe.page(list.path(), since, reading.after.as_deref()).await;
        let (entries, has_more) = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(list = list.path(), %error, "a list is read later");
                // From where it was: a service that is down for a while loses no place.
                reading.next = now.plus(AGAIN_AFTER);
                return Ok(());
            }
        };
        let mut last = None;
        for entry in &entries {
            let Ok(name) = id(entry, "/id") else {
                reading.has_failed = true;
                tracing::warn!(list = list.path(), "an entry without a name is passed over");
                continue;
            };
            let looked = match list {
                List::Disputes => self.look_at_missed_dispute(&name).await,
                List::Refunds => self.look_at_missed_refund(&name, entry).await,
            };
            match looked {
                Err(TreasuryError::Service { why, .. }) => {
                    reading.has_failed = true;
                    tracing::warn!(list = list.path(), name, why, "an entry is looked at later");
                }
                looked => looked?,
            }
            last = Some(name);
        }
        self.passing("page read")?;
        reading.pages += 1;
        let goes_on =
            has_more && reading.pages < PAGES_MAX && last.is_some() && last != reading.after;
        if goes_on {
            reading.after = last;
        } else {
            let is_whole = !has_more && !reading.has_failed;
            reading.ends(now, if is_whole { READ_EVERY } else { AGAIN_AFTER });
        }
        Ok(())
    }

    /// One that is known is looked at by its own time.
    async fn look_at_missed_dispute(&self, dispute: &str) -> Result<()> {
        let is_known = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_optional(sql::DISPUTE, &params![dispute]).await?.is_some()
        };
        if is_known { Ok(()) } else { self.look_at_dispute(dispute).await }
    }

    /// One that these tables know is counted while it gives; others are counted by their charge, also one of ours that
    /// an older backup has forgotten.
    async fn look_at_missed_refund(&self, refund: &str, entry: &Value) -> Result<()> {
        let name = entry.pointer("/metadata/refund").and_then(Value::as_str);
        let is_known = match name.and_then(|n| n.parse::<PaymentId>().ok()) {
            Some(name) => {
                let mut tx = self.0.store.read().await?;
                tx.fetch_optional(sql::REFUND, &params![name]).await?.is_some()
            }
            None => false,
        };
        let status = entry.pointer("/status").and_then(Value::as_str).unwrap_or_default();
        match (is_known, matches!(status, "failed" | "canceled")) {
            (true, true) => self.look_at_refund(refund).await,
            (true, false) | (false, true) => Ok(()),
            (false, false) => match id(entry, "/charge") {
                Ok(charge) => self.look_at_charge(&charge).await,
                // Money of another kind of payment, which nothing here was paid by.
                Err(_) => Ok(()),
            },
        }
    }
}
