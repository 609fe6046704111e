//! Live pages: one stream of "something changed" events.
//!
//! The stream carries no figures, only a count that grows, over how many milliseconds pages are to spread, and which
//! topics have changed; a page that shows one of them fetches itself again, within that time, and so shows exactly what
//! it would show on reload, with the same rights. One lookout looks for changes ([`crate::lookout`]), however many look
//! at pages; what everybody sees alike is written once for a change ([`crate::shared`]).

use crate::client::Client;
use crate::crowd::{Crowd, Seat};
use crate::failure::Failure;
use crate::lookout::{Lookout, TOPICS, Topic};
use crate::patience::{HOUSEHOLDS, holding, household};
use crate::state::AppState;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Streams open at once. Each costs a connection and about 4 KiB; a page beyond them still works,
/// it only does not refresh itself.
const SUBSCRIBERS_MAX: usize = 2_000;
/// Of them from one household: a room full of people, each with a page. Those beyond it reload by hand; so no one
/// visitor, also behind a proxy, takes them all.
const OF_A_HOUSEHOLD_MAX: usize = 64;
/// A stream ends after this and the browser opens a new one, so that none outlives a restart
/// behind a proxy or a session by much.
const STREAM_LIFE: Duration = Duration::from_secs(900);
/// What a page costs at the most that is written for one visitor alone, in milliseconds of a processor: over so long for
/// each of those who listen, pages are to fetch themselves again. A thousand take five seconds, so that the house goes on
/// serving others meanwhile.
const PAGE_MS: usize = 5;
/// The longest that pages wait after a change: what [`SUBSCRIBERS_MAX`] of them take.
const SPREAD_MS_MAX: usize = 10_000;
/// How often the watcher looks while somebody listens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many changes there were, altogether (from [`first_count`] on) and by topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beats {
    all: u64,
    of: [u64; TOPICS],
}

impl Beats {
    /// The names of the topics that have changed since then, divided by commas.
    fn since(&self, then: &Beats) -> String {
        let moved = |(topic, (now, then)): (Topic, (u64, u64))| (now != then).then(|| topic.name());
        let counts = self.of.into_iter().zip(then.of);
        Topic::ALL.into_iter().zip(counts).filter_map(moved).collect::<Vec<_>>().join(",")
    }
}

/// Tells the pages that something changed. Cheap to clone; the wiring may keep one and
/// [`beat`](Pulse::beat) when an epoch closes or a block connects, instead of waiting for the lookout.
#[derive(Clone, Debug)]
pub struct Pulse {
    count: Arc<watch::Sender<Beats>>,
    closing: Arc<watch::Sender<bool>>,
    places: Arc<Semaphore>,
    households: Crowd<IpAddr>,
    holdings: Crowd<IpAddr>,
}

/// Where a house begins to count: elsewhere after each start, so that a page that was written before one does not take the
/// count for its own. A number that every reader of JSON holds exactly.
fn first_count() -> u64 {
    RandomState::new().hash_one(0_u8) >> 16
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse {
            count: Arc::new(watch::Sender::new(Beats { all: first_count(), of: [0; TOPICS] })),
            closing: Arc::new(watch::Sender::new(false)),
            places: Arc::new(Semaphore::new(SUBSCRIBERS_MAX)),
            households: Crowd::default(),
            holdings: Crowd::default(),
        }
    }
}

impl Pulse {
    /// Something changed, whatever it is.
    pub fn beat(&self) {
        self.tell(&Topic::ALL);
    }

    /// Something of these topics changed.
    pub fn tell(&self, topics: &[Topic]) {
        self.count.send_modify(|beats| {
            beats.all = beats.all.wrapping_add(1);
            for (topic, count) in Topic::ALL.iter().zip(&mut beats.of) {
                *count = count.wrapping_add(u64::from(topics.contains(topic)));
            }
        });
    }

    /// For a stream of its own: the count, and whether all streams end.
    pub(crate) fn listen(&self) -> (watch::Receiver<Beats>, watch::Receiver<bool>) {
        (self.count.subscribe(), self.closing.subscribe())
    }

    /// Ends all streams: the server stops, and must not wait for those who only listen.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// How many changes there were, counted from some number at each start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.borrow().all
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.count.receiver_count()
    }
}

struct Listener {
    count: watch::Receiver<Beats>,
    heard: Beats,
    closing: watch::Receiver<bool>,
    until: tokio::time::Instant,
    greeted: bool,
    pulse: Pulse,
    _place: OwnedSemaphorePermit,
    _seats: Option<[Seat<IpAddr>; 2]>,
}

/// `GET /events`.
pub(crate) async fn events(
    State(state): State<AppState>,
    Client(from): Client,
) -> Result<Response, Failure> {
    let pulse = state.pulse();
    let full = || Failure::busy("All places for live pages are taken; reload by hand.");
    let of = |address| {
        let seat = pulse.households.admit(&household(address), OF_A_HOUSEHOLD_MAX)?;
        let wide = pulse.holdings.admit(&holding(address), OF_A_HOUSEHOLD_MAX * HOUSEHOLDS)?;
        Some([seat, wide])
    };
    let seats = from.address.map(|address| of(address).ok_or_else(full)).transpose()?;
    let place = pulse.places.clone().try_acquire_owned().map_err(|_| full())?;
    let listener = Listener {
        count: pulse.count.subscribe(),
        heard: Beats::default(),
        closing: pulse.closing.subscribe(),
        until: tokio::time::Instant::now() + STREAM_LIFE,
        greeted: false,
        pulse: pulse.clone(),
        _place: place,
        _seats: seats,
    };
    let events = stream::unfold(listener, |mut l| async move {
        if l.greeted {
            tokio::select! {
                biased;
                _ = l.closing.wait_for(|c| *c) => return None,
                () = tokio::time::sleep_until(l.until) => return None,
                changed = l.count.changed() => changed.ok()?,
            }
        }
        let now = *l.count.borrow_and_update();
        let (name, topics) = match std::mem::replace(&mut l.greeted, true) {
            true => ("change", now.since(&l.heard)),
            false => ("hello", String::new()),
        };
        l.heard = now;
        let spread_ms = (l.pulse.listeners() * PAGE_MS).min(SPREAD_MS_MAX);
        let data = format!("{} {spread_ms} {topics}", now.all);
        let event = Event::default().event(name).id(now.all.to_string()).data(data);
        Some((Ok::<_, Infallible>(event), l))
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15)).text("alive");
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Proxies that gather answers would hold events back.
    response.headers_mut().insert(
        axum::http::HeaderName::from_static("x-accel-buffering"),
        axum::http::HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Looks for changes while somebody listens, and tells the pulse when there are. Runs until the
/// future is dropped.
pub(crate) async fn watch_for_changes(state: AppState) {
    let pulse = state.pulse().clone();
    let mut lookout = Lookout::new(state);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if pulse.listeners() > 0 {
            lookout.look().await;
        }
    }
}
