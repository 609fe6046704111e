//! What the watch writes down and reads again.

use super::deliver::{alert_body, hook_id};
use super::readings::{Looker, Reading};
use super::rules::{Rule, Turn, turn};
use super::sql::{
    ALERTS_BEFORE, BULLETINS, CLOSE_ALERT, COUNT_HOOKS, COUNT_PROBE, END_BULLETIN, FORGET_ALERTS,
    FORGET_PROBES, OPEN_ALERT, OPEN_ALERTS, PROBES, PUT_BULLETIN, PUT_HOOK, READ_ALERT, SEE_ALERT,
};
use super::uptime::Probe;
use super::{ALERTS_KEPT, PROBES_KEPT_DAYS};
use crate::failure::Failure;
use crate::state::AppState;
use gruve_store::{Row, StoreError, Tx, params, transact};
use gruve_units::{AccountId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Messages to the webhook that wait at most; an operator whose receiver is gone for long sees the alerts in the
/// console.
const HOOKS_WAITING_MAX: i64 = 1_000;

/// Bulletins shown at most.
const BULLETINS_SHOWN: i64 = 100;

/// Something that the operator was told of.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) id: [u8; 16],
    pub(crate) rule: Rule,
    pub(crate) subject: String,
    pub(crate) opened: Timestamp,
    pub(crate) closed: Option<Timestamp>,
    pub(crate) reading: i64,
    pub(crate) worst: i64,
    pub(crate) seen: Option<(Timestamp, AccountId)>,
}

/// What the operator says to everybody.
#[derive(Clone, Debug)]
pub(crate) struct Bulletin {
    pub(crate) id: [u8; 16],
    pub(crate) made: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) title: String,
    pub(crate) body: String,
}

/// An alert of a rule that this program knows.
fn alert(row: &Row) -> Result<Option<Alert>, StoreError> {
    let Some(rule) = Rule::named(&row.get::<String>("rule")?) else { return Ok(None) };
    let (at, by): (Option<Timestamp>, Option<AccountId>) =
        (row.get("seen_at")?, row.get("seen_by")?);
    Ok(Some(Alert {
        id: row.get("id")?,
        rule,
        subject: row.get("subject")?,
        opened: row.get("opened_at")?,
        closed: row.get("closed_at")?,
        reading: row.get("reading")?,
        worst: row.get("worst")?,
        seen: at.zip(by),
    }))
}

fn alerts(rows: &[Row]) -> Result<Vec<Alert>, StoreError> {
    rows.iter().filter_map(|r| alert(r).transpose()).collect()
}

fn key(rule: Rule, subject: &str) -> String {
    format!("{}/{subject}", rule.name())
}

const fn hour_of(at: Timestamp) -> i64 {
    at.secs().div_euclid(3_600)
}

impl AppState {
    fn new_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.entropy().fill(&mut id);
        id
    }

    /// Looks once: opens and closes alerts, tells of them, counts a probe of every part.
    ///
    /// # Errors
    /// In words.
    pub async fn look(&self, looker: &mut Looker) -> Result<(), String> {
        let looked = async {
            let readings = self.readings(looker).await?;
            self.take(&readings).await
        };
        looked.await.map_err(|f| f.detail)
    }

    /// What follows from readings.
    pub(super) async fn take(&self, readings: &[Reading]) -> Result<(), Failure> {
        let open = self.open_alerts().await?;
        let mut is_open: BTreeSet<String> = open.iter().map(|a| key(a.rule, &a.subject)).collect();
        for r in readings {
            let key = key(r.rule, &r.subject);
            match turn(is_open.contains(&key), r.value, self.config().watch.thresholds.of(r.rule)) {
                Turn::Opens => {
                    self.open_alert(r, &key).await?;
                    is_open.insert(key);
                }
                Turn::Closes => {
                    self.close_alert(r, &key).await?;
                    is_open.remove(&key);
                }
                Turn::Stays if is_open.contains(&key) => {
                    transact!(self.store(), tx -> Result<u64, StoreError> => {
                        tx.execute(READ_ALERT, &params![&key, r.value]).await
                    })?;
                }
                Turn::Stays => {}
            }
        }
        self.probe(readings, &is_open).await
    }

    async fn open_alert(&self, r: &Reading, key: &str) -> Result<(), Failure> {
        let (now, id) = (self.now(), self.new_id());
        let is_new = transact!(self.store(), tx -> Result<bool, StoreError> => {
            let row = params![id, r.rule.name(), &r.subject, key, now, r.value];
            // Another process may have been faster.
            let is_new = tx.execute(OPEN_ALERT, &row).await? == 1;
            if is_new {
                self.queue_hook(tx, "alert.opened", r, now).await?;
            }
            Ok(is_new)
        })?;
        if is_new {
            self.mail_staff(r, "begins").await;
        }
        Ok(())
    }

    async fn close_alert(&self, r: &Reading, key: &str) -> Result<(), Failure> {
        let now = self.now();
        let is_over = transact!(self.store(), tx -> Result<bool, StoreError> => {
            let is_over = tx.execute(CLOSE_ALERT, &params![key, now, r.value]).await? == 1;
            if is_over {
                self.queue_hook(tx, "alert.closed", r, now).await?;
            }
            Ok(is_over)
        })?;
        if is_over {
            self.mail_staff(r, "is over").await;
        }
        Ok(())
    }

    async fn queue_hook(
        &self,
        tx: &mut Tx,
        kind: &str,
        r: &Reading,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.config().watch.hook.is_none() {
            return Ok(());
        }
        let waiting: i64 = tx.fetch_one(COUNT_HOOKS, &[]).await?.get("n")?;
        if waiting >= HOOKS_WAITING_MAX {
            return Ok(());
        }
        let row = params![hook_id(self.new_id()), alert_body(kind, r, now), now];
        tx.execute(PUT_HOOK, &row).await?;
        Ok(())
    }

    /// Mail is told besides: a full outbox of one of the staff keeps no alert from being written.
    async fn mail_staff(&self, r: &Reading, what: &str) {
        let subject = format!("{} ({}) {what}", r.rule.text(), r.subject);
        let about = r.about.as_ref().map(|about| format!("{about}\n\n")).unwrap_or_default();
        let body = format!(
            "{subject}.\n\n{about}Reading: {} {}. The console lists what is open: /console/alerts",
            r.value,
            r.rule.unit()
        );
        let roles = &self.config().watch.mail_roles;
        if let Err(e) = self.accounts().tell_staff(roles, &subject, &body).await {
            tracing::warn!(error = %e, "staff could not be told of an alert");
        }
    }

    /// Counts one probe of every part that everybody sees.
    async fn probe(&self, readings: &[Reading], open: &BTreeSet<String>) -> Result<(), Failure> {
        // That the look got here says that site and database answer.
        let mut parts: BTreeMap<String, bool> = BTreeMap::from([("site".to_owned(), true)]);
        for r in readings {
            if let Some(part) = r.rule.part(&r.subject) {
                *parts.entry(part).or_insert(true) &= !open.contains(&key(r.rule, &r.subject));
            }
        }
        let (now, hour) = (self.now(), hour_of(self.now()));
        transact!(self.store(), tx -> Result<(), StoreError> => {
            for (part, is_good) in &parts {
                let row = params![part, hour, i64::from(*is_good), i64::from(!*is_good)];
                tx.execute(COUNT_PROBE, &row).await?;
            }
            tx.execute(FORGET_PROBES, &params![hour - PROBES_KEPT_DAYS * 24]).await?;
            tx.execute(FORGET_ALERTS, &params![now.minus(ALERTS_KEPT)]).await?;
            Ok(())
        })?;
        Ok(())
    }

    /// What is open, the oldest first.
    pub(crate) async fn open_alerts(&self) -> Result<Vec<Alert>, Failure> {
        Ok(alerts(&self.store().read().await?.fetch_all(OPEN_ALERTS, &[]).await?)?)
    }

    /// Alerts that were opened before an instant, the newest first.
    pub(crate) async fn alerts_before(
        &self,
        before: Option<(Timestamp, [u8; 16])>,
        limit: u32,
    ) -> Result<Vec<Alert>, Failure> {
        let (at, id) = before.unwrap_or((Timestamp(i64::MAX), [0xff; 16]));
        let given = params![at, id, limit];
        Ok(alerts(&self.store().read().await?.fetch_all(ALERTS_BEFORE, &given).await?)?)
    }

    /// One of the staff has seen an alert; whether nobody had before.
    pub(crate) async fn see_alert(&self, id: [u8; 16], by: AccountId) -> Result<bool, Failure> {
        let now = self.now();
        let seen = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(SEE_ALERT, &params![id, by, now]).await
        })?;
        Ok(seen == 1)
    }

    /// Says something to everybody.
    pub(crate) async fn say_to_all(&self, title: &str, body: &str) -> Result<(), Failure> {
        let (id, now) = (self.new_id(), self.now());
        transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(PUT_BULLETIN, &params![id, now, title, body]).await
        })?;
        Ok(())
    }

    /// What a bulletin tells of is over; whether it was not before.
    pub(crate) async fn end_bulletin(&self, id: [u8; 16]) -> Result<bool, Failure> {
        let now = self.now();
        let ended = transact!(self.store(), tx -> Result<u64, StoreError> => {
            tx.execute(END_BULLETIN, &params![id, now]).await
        })?;
        Ok(ended == 1)
    }

    /// The bulletins of 90 days, the newest first.
    pub(crate) async fn bulletins(&self) -> Result<Vec<Bulletin>, Failure> {
        let since = Timestamp::from_secs(self.now().secs() - PROBES_KEPT_DAYS * 86_400);
        let given = params![since, BULLETINS_SHOWN];
        let rows = self.store().read().await?.fetch_all(BULLETINS, &given).await?;
        let one = |row: &Row| -> Result<Bulletin, StoreError> {
            Ok(Bulletin {
                id: row.get("id")?,
                made: row.get("made_at")?,
                ended: row.get("ended_at")?,
                title: row.get("title")?,
                body: row.get("body")?,
            })
        };
        Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
    }

    /// The probes of 90 days, part by part.
    pub(crate) async fn probes(&self) -> Result<BTreeMap<String, Vec<Probe>>, Failure> {
        let since = hour_of(self.now()) - PROBES_KEPT_DAYS * 24 + 1;
        let mut all: BTreeMap<String, Vec<Probe>> = BTreeMap::new();
        for row in self.store().read().await?.fetch_all(PROBES, &params![since]).await? {
            let probe =
                Probe { hour: row.get("hour")?, good: row.get("good")?, bad: row.get("bad")? };
            all.entry(row.get("part")?).or_default().push(probe);
        }
        Ok(all)
    }
}
