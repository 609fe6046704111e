//! From readings to energy, claimed work and downtime, epoch by epoch. Pure, in whole numbers.
//!
//! # The rule
//! A reading counts from its instant until the next one: power times time, in watts times microseconds
//! (microjoules), cut exactly at the borders of epochs. Where the next reading comes later than
//! [`GAP_MAX`] after it, nothing is known of the time between and nothing is counted: that is a gap, and it is
//! shown. Where the later reading's uptime says that the machine began anew in between, only the time since
//! then counts. So energy is never negative, never counted twice, and never guessed.

use gruve_units::{Duration, EpochNumber, EpochRule, Hashes, Hashrate, Timestamp};

/// Longest time that one reading stands for: five polls of a minute.
pub const GAP_MAX: Duration = Duration::from_secs(300);

/// Microjoules of a kilowatt-hour.
pub const UJ_PER_KWH: u64 = 3_600_000_000_000;

/// Epochs that one interval is cut into at most: epochs of a second.
const SLICES_MAX: u64 = 310;

/// What a machine said of itself at an instant, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// When.
    pub at: Timestamp,
    /// The hashrate it claims; `None` when it did not say or did not answer.
    pub hashrate: Option<Hashrate>,
    /// The power it draws, in watts.
    pub watts: Option<u32>,
    /// Since when it runs, in seconds.
    pub uptime_s: Option<u64>,
}

/// What an interval adds to an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The epoch.
    pub epoch: EpochNumber,
    /// Energy in microjoules.
    pub energy_uj: u64,
    /// Time that power is known for, in microseconds.
    pub power_us: u64,
    /// Hashes that it claims to have tried, rounded down.
    pub claimed: Hashes,
    /// Time that a claim is known for, in microseconds.
    pub claimed_us: u64,
    /// Time with a claim below half its nameplate, in microseconds.
    pub down_us: u64,
}

impl Slice {
    /// Both together; sums that do not fit stay at their largest.
    #[must_use]
    pub fn plus(self, more: Slice) -> Slice {
        Slice {
            epoch: self.epoch,
            energy_uj: self.energy_uj.saturating_add(more.energy_uj),
            power_us: self.power_us.saturating_add(more.power_us),
            claimed: Hashes(self.claimed.0.saturating_add(more.claimed.0)),
            claimed_us: self.claimed_us.saturating_add(more.claimed_us),
            down_us: self.down_us.saturating_add(more.down_us),
        }
    }
}

/// Whether `later` shows that the machine began anew after `earlier`: its uptime has gone back.
#[must_use]
pub fn began_anew(earlier: &Instant, later: &Instant) -> bool {
    match (earlier.uptime_s, later.uptime_s) {
        (Some(before), Some(after)) => after < before,
        _ => false,
    }
}

/// What the time between two readings adds, epoch by epoch; nothing for a gap.
#[must_use]
pub fn between(
    rule: EpochRule,
    nameplate: Hashrate,
    earlier: &Instant,
    later: &Instant,
) -> Vec<Slice> {
    let (mut from, until) = (earlier.at, later.at);
    if until <= from || until.since(from) > GAP_MAX {
        return Vec::new();
    }
    if began_anew(earlier, later) {
        let up = Duration::from_secs(later.uptime_s.unwrap_or(0).min(GAP_MAX.as_secs()));
        from = from.max(until.minus(up));
    }
    let first = rule.at(from);
    if rule.at(until).0 - first.0 > SLICES_MAX {
        return Vec::new();
    }
    let mut slices = Vec::new();
    let mut epoch = first;
    while from < until {
        let end = rule.end(epoch).min(until);
        slices.push(slice(epoch, end.since(from), nameplate, earlier));
        (from, epoch) = (end, epoch.next());
    }
    slices
}

fn slice(epoch: EpochNumber, time: Duration, nameplate: Hashrate, held: &Instant) -> Slice {
    // Below GAP_MAX.
    let us = u64::try_from(time.as_micros()).unwrap_or(0);
    let mut slice = Slice { epoch, ..Slice::default() };
    if let Some(watts) = held.watts {
        slice.power_us = us;
        slice.energy_uj = u64::from(watts).saturating_mul(us);
    }
    if let Some(rate) = held.hashrate {
        slice.claimed_us = us;
        slice.claimed = rate.work_in(time);
        if rate.0 < nameplate.0 / 2 {
            slice.down_us = us;
        }
    }
    slice
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: EpochRule = EpochRule { length_us: 600_000_000, grace_us: 0 };

    fn reading(at_us: i64, watts: u32, uptime_s: u64) -> Instant {
        let (hashrate, watts) = (Some(Hashrate(100)), Some(watts));
        Instant { at: Timestamp(at_us), hashrate, watts, uptime_s: Some(uptime_s) }
    }

    fn energy(slices: &[Slice]) -> u64 {
        slices.iter().map(|s| s.energy_uj).sum()
    }

    #[test]
    fn a_kilowatt_for_an_hour_is_a_kilowatt_hour() {
        let mut uj = 0;
        for minute in 0..60 {
            let at = |m: i64| reading(m * 60_000_000, 1_000, 60 * m.unsigned_abs());
            uj += energy(&between(RULE, Hashrate(100), &at(minute), &at(minute + 1)));
        }
        assert_eq!(uj, UJ_PER_KWH);
    }

    #[test]
    fn a_gap_counts_nothing_and_readings_out_of_order_count_nothing() {
        let early = reading(0, 3_000, 10);
        let limit = i64::try_from(GAP_MAX.as_micros()).unwrap();
        assert!(energy(&between(RULE, Hashrate(1), &early, &reading(limit, 3_000, 310))) > 0);
        assert!(between(RULE, Hashrate(1), &early, &reading(limit + 1, 3_000, 311)).is_empty());
        assert!(between(RULE, Hashrate(1), &early, &reading(0, 3_000, 10)).is_empty());
        assert!(between(RULE, Hashrate(1), &early, &reading(-5, 3_000, 10)).is_empty());
    }

    #[test]
    fn after_a_restart_only_the_time_since_counts() {
        let (early, late) = (reading(0, 1_000, 500), reading(60_000_000, 1_000, 20));
        assert!(began_anew(&early, &late));
        let slices = between(RULE, Hashrate(1), &early, &late);
        assert_eq!(energy(&slices), 20_000_000 * 1_000);
        let steady = reading(60_000_000, 1_000, 560);
        assert_eq!(energy(&between(RULE, Hashrate(1), &early, &steady)), 60_000_000 * 1_000);
    }

    #[test]
    fn what_a_machine_does_not_say_is_not_counted() {
        let mute = Instant { hashrate: None, watts: None, ..reading(0, 0, 0) };
        let slices = between(RULE, Hashrate(1), &mute, &reading(60_000_000, 1_000, 60));
        assert_eq!(slices.len(), 1);
        assert_eq!((slices[0].power_us, slices[0].claimed_us, slices[0].energy_uj), (0, 0, 0));
    }

    proptest! {
        /// Σ over epochs = Σ over samples, however the samples lie to the borders.
        #[test]
        fn the_energy_of_the_epochs_is_the_energy_of_the_samples(
            steps in proptest::collection::vec((1i64..299_000_000, 0u32..20_000), 1..60),
            length in 1_000_000u64..2_000_000_000, start in 0i64..4_000_000_000_000_000,
        ) {
            let rule = EpochRule { length_us: length, grace_us: 0 };
            let mut at = start;
            let (mut of_samples, mut of_epochs, mut time) = (0u128, 0u128, 0u128);
            let mut held = Instant { uptime_s: None, ..reading(at, 0, 0) };
            for (step, watts) in steps {
                at += step;
                let next = Instant { uptime_s: None, ..reading(at, watts, 0) };
                of_samples += u128::from(held.watts.unwrap_or(0)) * u128::from(step.unsigned_abs());
                for s in between(rule, Hashrate(10), &held, &next) {
                    prop_assert!(rule.start(s.epoch).0 < at && rule.end(s.epoch).0 > held.at.0);
                    of_epochs += u128::from(s.energy_uj);
                    time += u128::from(s.power_us);
                }
                held = next;
            }
            prop_assert_eq!(of_samples, of_epochs);
            prop_assert_eq!(time, u128::from((at - start).unsigned_abs()));
        }
    }
}
