//! What there is to read in the house at this moment.

use super::rules::Rule;
use crate::failure::Failure;
use crate::log_readers::{self, LogReaderKind};
use crate::state::AppState;
use gruve_market::FppsStatus;
use gruve_treasury::PayoutState;
use gruve_units::{Asset, LaneId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A reading of one rule for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) rule: Rule,
    pub(crate) subject: String,
    pub(crate) value: i64,
    /// What is to be said of it besides, where the figure does not say enough.
    pub(crate) about: Option<String>,
}

/// What must be remembered between two looks.
#[derive(Debug)]
pub struct Looker {
    begun: Timestamp,
    last_share: BTreeMap<LaneId, Timestamp>,
    last_ready: BTreeMap<LaneId, Timestamp>,
}

impl Looker {
    /// One that has seen nothing yet: what is silent counts from now on.
    #[must_use]
    pub const fn new(now: Timestamp) -> Looker {
        Looker { begun: now, last_share: BTreeMap::new(), last_ready: BTreeMap::new() }
    }
}

fn seconds(now: Timestamp, since: Timestamp) -> i64 {
    i64::try_from(now.since(since).as_secs()).unwrap_or(i64::MAX)
}

/// What `has` lacks of `wants`, in basis points of it; below zero it has more.
pub(super) fn lacks_bps(has: i128, wants: i128) -> i64 {
    if wants <= 0 {
        return -10_000;
    }
    let lacks = wants.saturating_sub(has).saturating_mul(10_000) / wants;
    i64::try_from(lacks).unwrap_or(if lacks < 0 { i64::MIN } else { i64::MAX })
}

impl AppState {
    /// Everything that the rules look at.
    pub(super) async fn readings(&self, looker: &mut Looker) -> Result<Vec<Reading>, Failure> {
        let now = self.now();
        let mut all = Vec::new();
        let mut add = |rule, subject: &str, value| {
            all.push(Reading { rule, subject: subject.to_owned(), value, about: None });
        };
        for l in self.lanes().await? {
            let lane = &l.stats.lane;
            add(Rule::LaneSilent, lane.as_str(), self.silence(looker, lane, now));
            let (over, sold) = (l.stats.oversold.0, l.stats.sold.0.max(1));
            let bps = over.saturating_mul(10_000).div_ceil(sold);
            add(Rule::Oversold, lane.as_str(), i64::try_from(bps).unwrap_or(i64::MAX));
            if let (Some(record), Some(closed)) = (&self.config().record, l.stats.last_closed) {
                let published = record.last(lane, 1).first().map_or(0, |e| e.0);
                let late = closed.0.saturating_sub(published);
                // A lane of which nothing was ever published is one that nobody mined in, or that just began.
                let late = if published == 0 { 0 } else { late };
                add(Rule::RecordLate, lane.as_str(), i64::try_from(late).unwrap_or(i64::MAX));
            }
        }
        for (lane, value) in self.nodeless(looker, now) {
            add(Rule::NodeBehind, lane.as_str(), value);
        }
        let waiting = self.treasury().payouts_in_state(PayoutState::Requested).await?;
        let oldest = waiting.iter().map(|p| seconds(now, p.created)).max().unwrap_or(0);
        add(Rule::PayoutWaits, "payouts", oldest);
        let unplaced = self.treasury().count_bank_entries_waiting().await?;
        add(Rule::PayInWaits, "payments", i64::try_from(unplaced).unwrap_or(i64::MAX));
        for (asset, value) in self.priceless(now).await? {
            add(Rule::PriceStale, asset.code(), value);
        }
        for (subject, rule, value) in self.purses().await? {
            add(rule, &subject, value);
        }
        if let Some((free, whole)) = self.config().watch.disk.as_ref().and_then(|disk| disk()) {
            let used = whole.saturating_sub(free).saturating_mul(100) / whole.max(1);
            add(Rule::DiskLow, "data", i64::try_from(used).unwrap_or(100));
        }
        all.extend(self.unread_logs(looker, now));
        Ok(all)
    }

    /// Seconds that each who reads a share log is behind. One that reads no more is not behind either.
    fn unread_logs(&self, looker: &Looker, now: Timestamp) -> Vec<Reading> {
        let readers = self.live().log_readers();
        let lanes: BTreeSet<&LaneId> = readers.iter().map(|r| &r.lane).collect();
        let all = lanes.into_iter().flat_map(|lane| LogReaderKind::ALL.map(|who| (lane, who)));
        all.map(|(lane, who)| {
            let one = readers.iter().find(|r| r.lane == *lane && r.who == who);
            // After a long stop a log is old, and read within minutes.
            let since = one.and_then(|r| r.behind_since).map(|at| at.max(looker.begun));
            Reading {
                rule: Rule::LogUnread,
                subject: log_readers::subject(lane, who),
                value: since.map_or(0, |since| seconds(now, since)),
                about: one.map(|r| r.text(now)).filter(|text| !text.is_empty()),
            }
        })
        .collect()
    }

    /// Seconds since a lane had a share, as far as this process has seen.
    fn silence(&self, looker: &mut Looker, lane: &LaneId, now: Timestamp) -> i64 {
        let sessions = self.live().sessions();
        let last =
            sessions.iter().filter(|s| s.lane == *lane).filter_map(|s| s.last_share_at).max();
        let known = looker.last_share.entry(lane.clone()).or_insert(looker.begun);
        *known = (*known).max(last.unwrap_or(*known));
        seconds(now, *known)
    }

    /// Seconds since each lane with nodes had one that is ready.
    fn nodeless(&self, looker: &mut Looker, now: Timestamp) -> Vec<(LaneId, i64)> {
        let nodes = self.live().nodes();
        let mut lanes: Vec<LaneId> = nodes.iter().map(|n| n.lane.clone()).collect();
        lanes.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        lanes.dedup();
        let mut out = Vec::new();
        for lane in lanes {
            let is_ready = nodes.iter().any(|n| n.lane == lane && n.standing == "ready");
            let last = looker.last_ready.entry(lane.clone()).or_insert(now);
            if is_ready {
                *last = now;
            }
            out.push((lane, seconds(now, *last)));
        }
        out
    }

    /// Seconds since each coin that has price sources had a price.
    async fn priceless(&self, now: Timestamp) -> Result<Vec<(Asset, i64)>, Failure> {
        let mut assets: Vec<Asset> =
            self.market().config().prices.sources.iter().map(|s| s.asset).collect();
        assets.sort_unstable();
        assets.dedup();
        let mut out = Vec::new();
        for asset in assets {
            // A coin that never had a price has nobody who waits for one.
            if let Some(newest) = self.market().prices(asset, 1).await?.first() {
                out.push((asset, seconds(now, newest.instant)));
            }
        }
        Ok(out)
    }

    /// Wallets against their minimum, reserves against their floor.
    async fn purses(&self) -> Result<Vec<(String, Rule, i64)>, Failure> {
        let mut out = Vec::new();
        let mut tx = self.store().read().await?;
        for (asset, min) in &self.config().watch.wallet_min {
            if !self.treasury().assets().contains(asset) {
                continue;
            }
            let has = self.treasury().wallet_balance(&mut tx, *asset).await?.spendable.minor;
            out.push((
                asset.code().to_owned(),
                Rule::WalletLow,
                lacks_bps(has.into(), (*min).into()),
            ));
        }
        for lane in &self.market().config().lanes {
            for s in self.market().fpps_status(&mut tx, &lane.lane).await? {
                let Some(floor) = floor(&s) else { continue };
                let subject = format!("{} {}", s.lane, s.reserve.asset);
                out.push((subject, Rule::ReserveLow, lacks_bps(s.cover, floor)));
            }
        }
        tx.rollback().await?;
        Ok(out)
    }
}

/// The highest floor of the plans that a reserve stands behind.
fn floor(s: &FppsStatus) -> Option<i128> {
    s.plans.iter().filter_map(|p| p.floor_minor).map(i128::from).max()
}

#[cfg(test)]
mod tests {
    use super::lacks_bps;

    #[test]
    fn what_is_lacking_is_told_in_parts_of_what_is_wanted() {
        assert_eq!(lacks_bps(50, 100), 5_000);
        assert_eq!(lacks_bps(100, 100), 0);
        assert_eq!(lacks_bps(110, 100), -1_000);
        assert_eq!(lacks_bps(5, 0), -10_000);
        assert_eq!(lacks_bps(i128::MIN, 1), i64::MAX);
    }
}
