//! What happens to a customer's things, as a stream that can be taken up again where it broke off.
//!
//! An event is told by the row that it changed, so none is lost by a crash, and no table is kept for them. Its id
//! is its place: when it happened and what it is about. Who connects again with the last id that was heard
//! (`Last-Event-ID`) hears all that came behind it. An event may be told twice, never not at all; what changes
//! again before it is told is told once, as it stands then.

use crate::api::{Time, time};
use crate::crowd::{Crowd, Seat};
use crate::extract::{Customer, LastEvent};
use crate::failure::Failure;
use crate::live::Beats;
use crate::openapi::{Paper, Shape, Shapes, Sheet, answers};
use crate::state::AppState;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use gruve_units::{AccountId, Duration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Streams open at once: each looks into the database when something changed.
const STREAMS_MAX: usize = 200;
/// Of them an account's: a program or two, each with one in reserve.
const OF_AN_ACCOUNT_MAX: usize = 4;
/// A stream ends after this, and with it what a token that is void since could hear.
const STREAM_LIFE: std::time::Duration = std::time::Duration::from_secs(300);
/// How often a stream looks when nothing tells it to.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// A stream looks no more often than this, however often something changes.
const LOOK_APART: std::time::Duration = std::time::Duration::from_millis(500);
/// What happened is told so much later: a change has its time from when its transaction began, and one that
/// began later may be seen earlier.
const SETTLED: Duration = Duration::from_secs(2);
/// Rows of each kind read at once.
const ROWS: u32 = 100;

answers! {
    /// Something happened to what is yours.
    struct Happened {
        /// `payout`, `invoice` or `contract`.
        about: &'static str,
        /// Its id.
        id: String,
        /// A payout's or an invoice's new state, or what a contract had to say.
        what: String,
        /// When.
        at: Time,
    }
}

/// The places of streams.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    accounts: Crowd<AccountId>,
}

impl Default for Places {
    fn default() -> Self {
        Places { all: Arc::new(Semaphore::new(STREAMS_MAX)), accounts: Crowd::default() }
    }
}

/// An event's place among all: `1795224000000000-payout-ID-confirmed`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    at: Timestamp,
    name: String,
}

impl Place {
    /// Before everything that happens from now on.
    pub(crate) fn now(at: Timestamp) -> Place {
        Place { at, name: String::new() }
    }

    /// When it happened.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.0, self.name)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, name) = text.split_once('-').ok_or(())?;
        Ok(Place { at: Timestamp(at.parse().map_err(drop)?), name: name.to_owned() })
    }
}

/// The stream's form.
#[derive(Debug)]
pub(crate) struct EventStream;

impl Paper for EventStream {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let one = Happened::shape(shapes);
        let text = json!({
            "type": "string",
            "description": "Server-sent events: `hello` first, then `happened`, whose data is a `Happened`.",
            "contentMediaType": "text/event-stream",
            "contentSchema": one,
        });
        [("text/event-stream", text)].into()
    }
}

impl AppState {
    /// What happened to an account behind a place, in order, and until when all of it is known.
    pub(crate) async fn happened(
        &self,
        account: AccountId,
        behind: &Place,
    ) -> Result<Vec<(Place, Happened)>, Failure> {
        let until = Timestamp(self.now().0.saturating_sub_unsigned(micros(SETTLED)));
        let span = (behind.at, until);
        let mut all = Vec::new();
        let mut add = |at: Timestamp, about: &'static str, id: String, what: String| {
            let place = Place { at, name: format!("{about}-{id}-{what}") };
            if place > *behind {
                all.push((place, Happened { about, id, what, at: time(at) }));
            }
        };
        for p in self.treasury().payouts_changed(account, span, ROWS).await? {
            add(p.updated, "payout", p.id.to_string(), p.state.word().to_owned());
        }
        for i in self.treasury().invoices_closed(account, span, ROWS).await? {
            add(i.closed, "invoice", i.id.to_string(), i.state);
        }
        for n in self.market().notices_between(account, span, ROWS).await? {
            add(n.at, "contract", n.contract.to_string(), n.kind.key().to_owned());
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        // Of a kind with more rows the rest is behind these: none of another kind may go before it.
        all.truncate(usize::try_from(ROWS).unwrap_or(usize::MAX));
        Ok(all)
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

struct Listener {
    state: AppState,
    account: AccountId,
    behind: Place,
    waiting: VecDeque<(Place, Happened)>,
    beats: watch::Receiver<Beats>,
    closing: watch::Receiver<bool>,
    until: tokio::time::Instant,
    greeted: bool,
    _place: OwnedSemaphorePermit,
    _seat: Seat<AccountId>,
}

impl Listener {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(Event::default().event("hello").id(self.behind.to_string()).data("{}"));
        }
        loop {
            if let Some((place, happened)) = self.waiting.pop_front() {
                let data = serde_json::to_string(&happened).unwrap_or_default();
                let event = Event::default().event("happened").id(place.to_string()).data(data);
                self.behind = place;
                return Some(event);
            }
            match self.state.happened(self.account, &self.behind).await {
                Ok(all) => self.waiting.extend(all),
                // It connects again, and goes on where it was.
                Err(_) => return None,
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    biased;
                    () = ended(&mut self.closing) => return None,
                    () = tokio::time::sleep_until(self.until) => return None,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    changed = self.beats.changed() => {
                        changed.ok()?;
                        tokio::time::sleep(LOOK_APART).await;
                    }
                }
            }
        }
    }
}

/// Done when all streams end.
async fn ended(closing: &mut watch::Receiver<bool>) {
    drop(closing.wait_for(|c| *c).await);
}

/// `GET /api/v1/events`
pub(crate) async fn events(
    State(state): State<AppState>,
    customer: Customer,
    LastEvent(last): LastEvent,
) -> Result<Sheet<EventStream>, Failure> {
    let wrong = |()| Failure::bad_request("The Last-Event-ID is not the id of an event here.");
    let behind = match last {
        Some(id) => id.parse().map_err(wrong)?,
        None => Place::now(state.now()),
    };
    let places = state.event_places();
    let many = || Failure::busy(format!("An account has {OF_AN_ACCOUNT_MAX} streams at most."));
    let seat = places.accounts.admit(&customer.account, OF_AN_ACCOUNT_MAX).ok_or_else(many)?;
    let busy = |_| Failure::busy("All places for streams are taken.");
    let place = places.all.clone().try_acquire_owned().map_err(busy)?;
    let (beats, closing) = state.pulse().listen();
    let listener = Listener {
        account: customer.account,
        behind,
        waiting: VecDeque::new(),
        beats,
        closing,
        until: tokio::time::Instant::now() + STREAM_LIFE,
        greeted: false,
        _place: place,
        _seat: seat,
        state,
    };
    let events = stream::unfold(listener, |mut l| async move {
        let event = l.next().await?;
        Some((Ok::<_, Infallible>(event), l))
    });
    let alive = KeepAlive::new().interval(std::time::Duration::from_secs(15)).text("alive");
    let unheld = [(axum::http::HeaderName::from_static("x-accel-buffering"), "no")];
    Ok(Sheet::new((unheld, Sse::new(events).keep_alive(alive))))
}
