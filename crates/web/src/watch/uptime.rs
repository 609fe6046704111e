//! Uptime from probes: pure. What was not looked at counts as bad, from the first probe on.

use super::LOOK_EVERY;
use gruve_units::Timestamp;
use std::collections::HashMap;

/// The probes of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) hour: i64,
    pub(crate) good: i64,
    pub(crate) bad: i64,
}

/// Good of expected probes within a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// Days since 1970.
    pub(crate) day: i64,
    pub(crate) good: i64,
    pub(crate) expected: i64,
}

/// The days of a part from its first probe on, the oldest first.
pub(crate) fn days(probes: &[Probe], now: Timestamp) -> Vec<Day> {
    let an_hour = i64::try_from(3_600 / LOOK_EVERY.as_secs().max(1)).unwrap_or(60);
    let Some(first) = probes.iter().map(|p| p.hour).min() else { return Vec::new() };
    let last = now.secs().div_euclid(3_600);
    let by_hour: HashMap<i64, (i64, i64)> =
        probes.iter().map(|p| (p.hour, (p.good, p.bad))).collect();
    let mut out: Vec<Day> = Vec::new();
    for hour in first..=last {
        let (found, bad) = by_hour.get(&hour).copied().unwrap_or_default();
        let so_far =
            now.secs().rem_euclid(3_600) / i64::try_from(LOOK_EVERY.as_secs()).unwrap_or(60);
        // The first hour and this one are not whole: the first could have what was found in it.
        let expected = match hour {
            h if h == first && h == last => (found + bad).clamp(1, so_far.max(1)),
            h if h == first => (found + bad).clamp(1, an_hour),
            h if h == last => so_far,
            _ => an_hour,
        };
        // Several processes look side by side: an hour is at most wholly good.
        let good = found.min(expected);
        let day = hour.div_euclid(24);
        match out.last_mut() {
            Some(d) if d.day == day => {
                d.good += good;
                d.expected += expected;
            }
            _ => out.push(Day { day, good, expected }),
        }
    }
    out
}

/// Good of expected over days, in hundredths of a per cent; nothing where nothing was expected.
pub(crate) fn share(days: &[Day]) -> Option<i64> {
    let (good, expected) =
        days.iter().fold((0_i64, 0_i64), |(g, e), d| (g + d.good, e + d.expected));
    (expected > 0).then(|| good.saturating_mul(10_000) / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_secs(hour * 3_600 + minute * 60)
    }

    #[test]
    fn an_hour_in_which_nobody_looked_is_a_bad_hour() {
        let probes = [Probe { hour: 48, good: 60, bad: 0 }, Probe { hour: 50, good: 60, bad: 0 }];
        let days = days(&probes, at(51, 0));
        assert_eq!(days, [Day { day: 2, good: 120, expected: 180 }]);
        assert_eq!(share(&days), Some(6_666));
    }

    #[test]
    fn the_hour_that_runs_and_the_first_are_measured_by_what_they_could_have() {
        let probes = [Probe { hour: 48, good: 12, bad: 0 }, Probe { hour: 49, good: 30, bad: 0 }];
        assert_eq!(share(&days(&probes, at(49, 30))), Some(10_000));
        assert_eq!(share(&days(&probes, at(49, 60 - 1))), Some(42 * 10_000 / (12 + 59)));
        assert_eq!(share(&days(&[], at(49, 0))), None);
    }

    #[test]
    fn what_ailed_in_the_first_hour_counts() {
        let probes = [Probe { hour: 48, good: 10, bad: 10 }];
        assert_eq!(share(&days(&probes, at(48, 20))), Some(5_000));
        assert_eq!(share(&days(&probes, at(49, 0))), Some(5_000));
    }

    #[test]
    fn two_processes_that_look_do_not_make_more_than_all() {
        let probes = [Probe { hour: 48, good: 120, bad: 0 }, Probe { hour: 49, good: 120, bad: 0 }];
        assert_eq!(share(&days(&probes, at(50, 0))), Some(10_000));
    }
}
