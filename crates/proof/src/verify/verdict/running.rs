//! What a lane's epochs come to, one after the other.

use super::{AuxVerdict, LaneVerdict, effective_shares, error_percent, luck};
use crate::summary::EpochSummary;
use crate::verify::dating::Span;
use crate::verify::destinations::Destinations;
use crate::verify::found::Found;
use crate::verify::work::is_ethash;
use gruve_units::{Duration, EpochNumber, Hashes, Hashrate, LaneId};
use std::collections::{BTreeMap, VecDeque};

/// Over how long what is sold is compared with what was proven: a day, and so many epochs at least. Work rented for the
/// minutes that a hundred short epochs take would else look like what a farm has.
const CAPACITY_US: u64 = 86_400_000_000;
const CAPACITY_EPOCHS: u64 = 144;

/// Chains of merge-mined blocks that are told of a lane at most.
const CHAINS_TOLD: usize = 64;

/// What was added up of a lane so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    algorithm: String,
    is_of_headers: bool,
    length_us: u64,
    first: Option<EpochNumber>,
    /// The epoch that the earliest work is of: late work of the first entries is of epochs before them.
    since: Option<EpochNumber>,
    last: EpochNumber,
    epochs: u64,
    unproven: u64,
    shares: u64,
    classes: BTreeMap<u8, u64>,
    house: Hashes,
    other: Hashes,
    allocated: Hashes,
    owed: u128,
    sold: u128,
    recent: VecDeque<(EpochNumber, Hashes)>,
    recent_sold: VecDeque<(EpochNumber, u128)>,
    expected: f64,
    solved: u64,
    destinations: Destinations,
    loose: u64,
    unbegun: u64,
    late: u64,
    sampled: u64,
    bytes: u64,
    on_chain: u64,
    dated: u64,
    dated_work: Hashes,
    dated_span: Option<Span>,
    has_headers: bool,
    aux: BTreeMap<(u32, String), (u64, f64)>,
    hides_aux: u64,
    hides_blocks: u64,
    unbound: u64,
    to_owners: u64,
}

impl Running {
    /// Adds an epoch; how many bytes of its places are listed, of those that there is room for.
    pub(super) fn add(
        &mut self,
        s: &EpochSummary,
        found: &Found,
        has_headers: bool,
        room: usize,
    ) -> usize {
        self.has_headers = has_headers;
        self.algorithm = s.algorithm.to_string();
        self.is_of_headers = is_ethash(s.algorithm);
        self.length_us = s.length_us;
        // What stands before the first entry that was checked now: epochs without one count as zero there, too.
        let begun = if s.prev_epoch.0 == 0 { s.epoch } else { s.prev_epoch.next() };
        self.first.get_or_insert(begun);
        let since = found.late_from.unwrap_or(begun).min(begun);
        self.since = Some(self.since.map_or(since, |before| before.min(since)));
        (self.last, self.epochs) = (s.epoch, self.epochs + 1);
        (self.sold, self.owed) = (s.sold_root.sums.hashrate, s.sold_root.sums.owed);
        let from = s.epoch.back(self.capacity_epochs() - 1);
        // Epochs of a lane grow.
        while self.recent.front().is_some_and(|(e, _)| *e < from) {
            self.recent.pop_front();
        }
        while self.recent_sold.front().is_some_and(|(e, _)| *e < from) {
            self.recent_sold.pop_front();
        }
        self.recent_sold.push_back((s.epoch, s.sold_root.sums.hashrate));
        if !s.is_proven {
            self.unproven += 1;
            return 0;
        }
        let add = |a: Hashes, b: Hashes| a.checked_add(b).unwrap_or(Hashes(u128::MAX));
        self.house = add(self.house, s.house_work);
        self.other = add(self.other, s.other_work);
        self.allocated = add(self.allocated, Hashes(s.sold_root.sums.allocated));
        self.shares += s.shares;
        for (class, n) in &found.classes {
            *self.classes.entry(*class).or_default() += n;
        }
        self.recent.push_back((s.epoch, s.house_work));
        self.expected += found.expected_blocks;
        self.solved += found.solved;
        let listed = self.destinations.extend(&found.destinations, room);
        self.loose += found.loosely_dated;
        self.unbegun += found.unbegun;
        self.late += found.late;
        self.sampled += found.sampled;
        (self.on_chain, self.dated) = (self.on_chain + found.on_chain, self.dated + found.dated);
        self.dated_work = add(self.dated_work, found.dated_work);
        let both = self.dated_span.into_iter().chain(found.dated_span);
        self.dated_span = both.reduce(Span::with);
        self.bytes += found.record_bytes;
        self.hides_aux += found.hides_aux;
        self.hides_blocks += found.hides_blocks;
        (self.unbound, self.to_owners) =
            (self.unbound + found.unbound, self.to_owners + found.to_owners);
        for (chain, (solved, expected)) in &found.aux {
            // As many as a lane of some years has, however many names a record makes up.
            if self.aux.len() < CHAINS_TOLD || self.aux.contains_key(chain) {
                let of = self.aux.entry(chain.clone()).or_default();
                *of = (of.0 + solved, of.1 + expected);
            }
        }
        listed
    }

    /// Epochs over which what is sold is compared with what was proven.
    fn capacity_epochs(&self) -> u64 {
        CAPACITY_US.div_ceil(self.length_us.max(1)).max(CAPACITY_EPOCHS)
    }

    /// Whole epochs between the last entry's and the one that a clock is in.
    fn silent(&self, now_us: u64) -> u64 {
        let now = now_us.checked_div(self.length_us).unwrap_or(0);
        now.saturating_sub(self.last.0).saturating_sub(1)
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn verdict(
        self,
        lane: LaneId,
        now_us: Option<u64>,
        seen_us: Option<u64>,
    ) -> LaneVerdict {
        let silent_epochs = now_us.map_or(0, |now| self.silent(now));
        let first = self.first.unwrap_or_default();
        let span = self.last.0.saturating_sub(first.0).saturating_add(1);
        let time = |epochs: u64| Duration::from_micros(self.length_us.saturating_mul(epochs));
        let since = self.since.unwrap_or(first);
        let worked = time(self.last.0.saturating_sub(since.0).saturating_add(1));
        let all = self.house.checked_add(self.other).unwrap_or(Hashes(u128::MAX));
        // Work on a tip of before the first epoch may have been done before it.
        let micros = |secs: u64| secs.saturating_mul(1_000_000);
        let begin = since.0.saturating_mul(self.length_us);
        let begin = self.dated_span.map_or(begin, |dated| begin.min(micros(dated.from)));
        let until_seen = |seen: u64| worked.max(Duration::from_micros(seen.saturating_sub(begin)));
        // What was seen was done.
        let dated_time = self.dated_span.map_or(worked, |dated| {
            let until = seen_us.map_or(micros(dated.until), |seen| seen.min(micros(dated.until)));
            worked.max(Duration::from_micros(until.saturating_sub(micros(dated.from))))
        });
        let effective = effective_shares(&self.classes);
        let recent: u128 = self.recent.iter().map(|(_, w)| w.0).fold(0, u128::saturating_add);
        // Epochs in which nothing was proven count as zero.
        let begun = since.max(self.last.back(self.capacity_epochs() - 1));
        let house_time = time(self.last.0.saturating_sub(begun.0).saturating_add(1));
        let house = Hashrate::of(Hashes(recent), house_time);
        let entries = self.recent_sold.len().max(1) as u128;
        let sold_mean =
            self.recent_sold.iter().fold(0, |sum: u128, (_, s)| sum.saturating_add(*s)) / entries;
        let most = self.sold.max(sold_mean);
        LaneVerdict {
            lane,
            algorithm: self.algorithm,
            is_of_headers: self.is_of_headers,
            epochs: (first, self.last),
            missing_epochs: span.saturating_sub(self.epochs),
            silent_epochs,
            epoch_us: self.length_us,
            unproven_epochs: self.unproven,
            shares: self.shares,
            record_bytes: self.bytes,
            house_work: self.house,
            other_work: self.other,
            hashrate: Hashrate::of(all, worked),
            hashrate_at_least: seen_us.map(|seen| Hashrate::of(all, until_seen(seen))),
            error_percent: error_percent(effective),
            effective_shares: effective,
            sold: Hashrate(self.sold),
            house_hashrate: house,
            house_secs: house_time.as_secs(),
            sold_mean: Hashrate(sold_mean),
            sold_by_proven: (house.0 > 0).then(|| most as f64 / house.0 as f64),
            allocated: self.allocated,
            owed: Hashes(self.owed),
            expected_blocks: self.expected,
            found_blocks: self.solved,
            blocks_on_chain: self.has_headers.then_some(self.on_chain),
            dated_shares: self.has_headers.then_some(self.dated),
            dated_hashrate: self.has_headers.then(|| Hashrate::of(self.dated_work, dated_time)),
            luck: (self.expected > 0.0).then(|| self.solved as f64 / self.expected),
            chance_of_so_few: (self.expected > 0.0)
                .then(|| luck::chance_of_so_few(self.solved, self.expected)),
            destinations: self.destinations.told(),
            has_more_destinations: self.destinations.is_cut,
            loosely_dated: self.loose,
            unbegun: self.unbegun,
            late: self.late,
            sampled: self.sampled,
            aux: self.aux.into_iter().map(AuxVerdict::of).collect(),
            hides_aux: self.hides_aux,
            hides_blocks: self.hides_blocks,
            unbound: self.unbound,
            to_owners: self.to_owners,
        }
    }
}

impl AuxVerdict {
    fn of(
        ((chain_id, coin), (found_blocks, expected_blocks)): ((u32, String), (u64, f64)),
    ) -> AuxVerdict {
        AuxVerdict { coin, chain_id, found_blocks, expected_blocks }
    }
}
