//! What changed, topic by topic: so that pages which are open are told of what they show, and of nothing else.
//!
//! A change is told from the figures themselves, never from the clock: where nothing has moved nothing is said, and no
//! page asks for itself again. A figure may move because time has passed (a minute in which nobody looked lessens the
//! uptime, a price grows too old): then it has moved. The first look after a start tells everything, since nobody knows what
//! has moved before. What a visitor does here himself is told at once ([`Pulse::beat`](crate::Pulse::beat)).

use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::state::AppState;
use gruve_units::Asset;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// Topics there are.
pub(crate) const TOPICS: usize = 6;

/// What pages show, by what moves it. A page names its own in `data-live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Lanes: epochs, blocks, capacity, what is sold.
    Lanes,
    /// What is booked, and payments on their way.
    Money,
    /// What coins cost that may pay for what is priced in another currency.
    Prices,
    /// What machines say of themselves.
    Farm,
    /// Shares of connected machines.
    Work,
    /// Whether the house's parts work.
    Health,
}

impl Topic {
    /// All of them, in their places.
    pub const ALL: [Topic; TOPICS] =
        [Topic::Lanes, Topic::Money, Topic::Prices, Topic::Farm, Topic::Work, Topic::Health];

    /// As pages name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Lanes => "lanes",
            Topic::Money => "money",
            Topic::Prices => "prices",
            Topic::Farm => "farm",
            Topic::Work => "work",
            Topic::Health => "health",
        }
    }

    /// At every so many looks: what moves all the time is not told all the time.
    const fn every(self) -> u64 {
        match self {
            Topic::Lanes | Topic::Money => 1,
            Topic::Prices | Topic::Farm | Topic::Work => 10,
            // Ninety days of probes are read, of which there is one a minute.
            Topic::Health => 30,
        }
    }
}

/// Looks for changes and tells the pulse.
#[allow(missing_debug_implementations)] // it holds services
pub struct Lookout {
    state: AppState,
    seen: [Option<u64>; TOPICS],
    looks: u64,
}

impl Lookout {
    /// One that has seen nothing: its first look tells everything.
    #[must_use]
    pub fn new(state: AppState) -> Lookout {
        Lookout { state, seen: [None; TOPICS], looks: 0 }
    }

    /// Looks once, and tells which topics have changed since the last look at each, or were never looked at.
    pub async fn look(&mut self) {
        let mut changed = Vec::new();
        for (topic, seen) in Topic::ALL.into_iter().zip(&mut self.seen) {
            if !self.looks.is_multiple_of(topic.every()) {
                continue;
            }
            match self.state.mark(topic).await {
                Ok(now) => {
                    if *seen != Some(now) {
                        changed.push(topic);
                    }
                    *seen = Some(now);
                }
                Err(f) => tracing::debug!(detail = %f.detail, "could not look for changes"),
            }
        }
        self.looks += 1;
        if !changed.is_empty() {
            self.state.pulse().tell(&changed);
        }
    }
}

impl AppState {
    /// A number that differs when what pages show of a topic does.
    async fn mark(&self, topic: Topic) -> Result<u64, Failure> {
        let mut hash = DefaultHasher::new();
        match topic {
            Topic::Lanes => {
                for l in self.lanes().await? {
                    let s = &l.stats;
                    (l.machines, s.height, s.network_bits, s.last_closed).hash(&mut hash);
                    (s.blocks_found, s.sold, s.hashrate, s.available).hash(&mut hash);
                    for a in &s.aux {
                        (a.height, a.network_bits, a.blocks_found).hash(&mut hash);
                    }
                }
            }
            Topic::Money => {
                let mut tx = self.store().read().await?;
                let last = gruve_ledger::browse(&mut tx, None, 1).await?;
                last.first().map(|entry| entry.seq).hash(&mut hash);
                self.treasury().news(&mut tx).await?.hash(&mut hash);
            }
            Topic::Prices => {
                if self.config().conversion.is_some() {
                    let mut tx = self.store().read().await?;
                    let prices = &self.market().config().prices;
                    for asset in Asset::ALL.into_iter().filter(|a| prices.covers(*a)) {
                        let price = self.market().spot_price(&mut tx, asset).await;
                        let price = price.map_err(|e| Failure::of(&e))?;
                        (asset, price.map(|p| p.usd_micro)).hash(&mut hash);
                    }
                }
            }
            Topic::Farm => {
                let newest = self.farm().newest_reading().await.map_err(|e| farm_failure(&e))?;
                newest.hash(&mut hash);
            }
            Topic::Work => {
                let sessions = self.live().sessions();
                let shares = sessions.iter().fold((0_u64, 0_u64), |(good, bad), s| {
                    (good.wrapping_add(s.accepted), bad.wrapping_add(s.rejected))
                });
                (sessions.len(), shares).hash(&mut hash);
            }
            Topic::Health => {
                for n in self.live().nodes() {
                    (n.lane, n.name, n.standing).hash(&mut hash);
                }
                for c in self.live().chains() {
                    (c.lane, c.asset, c.standing).hash(&mut hash);
                }
                Box::pin(self.hash_parts(&mut hash)).await?;
                for a in self.open_alerts().await? {
                    (a.id, a.reading, a.seen.is_some()).hash(&mut hash);
                }
            }
        }
        Ok(hash.finish())
    }
}
