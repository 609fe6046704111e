//! Days of the civil calendar, in UTC.

use std::fmt;
use std::str::FromStr;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

/// Years that a history may speak of.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;

impl Date {
    /// The day of year, month (1–12) and day (1–31); `None` where the calendar has no such day.
    #[must_use]
    pub fn new(year: i32, month: i32, day: i32) -> Option<Date> {
        if !YEARS.contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        if !(1..=month_days(year, month)).contains(&day) {
            return None;
        }
        let whole_years = year - 1970;
        let leap_days = leaps_before(year) - leaps_before(1970);
        let months: i32 = (1..month).map(|m| month_days(year, m)).sum();
        Some(Date(whole_years * 365 + leap_days + months + day - 1))
    }

    /// The day so many days later; before, when negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Date {
        Date(self.0.saturating_add(days))
    }

    /// Days from `earlier` to this.
    #[must_use]
    pub fn since(self, earlier: Date) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Year, month and day.
    #[must_use]
    pub fn civil(self) -> (i32, i32, i32) {
        let mut year = 1970 + self.0.div_euclid(366);
        while Date::new(year + 1, 1, 1).is_some_and(|first| first <= self) {
            year += 1;
        }
        let mut rest = self.0 - Date::new(year, 1, 1).map_or(0, |d| d.0);
        let mut month = 1;
        while month < 12 && rest >= month_days(year, month) {
            rest -= month_days(year, month);
            month += 1;
        }
        (year, month, rest + 1)
    }
}

fn is_leap(year: i32) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// Leap years from year 1 to the year before this one.
fn leaps_before(year: i32) -> i32 {
    let y = year - 1;
    y / 4 - y / 100 + y / 400
}

fn month_days(year: i32, month: i32) -> i32 {
    match month {
        2 => 28 + i32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.civil();
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

impl FromStr for Date {
    type Err = String;
    /// Reads `2018-07-20`.
    fn from_str(s: &str) -> Result<Date, String> {
        let bad = || format!("{s:?} is not a day: write it as 2018-07-20");
        let mut parts = s.split('-').map(|p| {
            let digits = !p.is_empty() && p.len() <= 4 && p.bytes().all(|b| b.is_ascii_digit());
            if digits { p.parse::<i32>().ok() } else { None }
        });
        let mut next = || parts.next().flatten().ok_or_else(bad);
        let (y, m, d) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(bad());
        }
        Date::new(y, m, d).ok_or_else(bad)
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_is_written_and_read_back() {
        let last = Date::new(2199, 12, 31).unwrap();
        let mut day = Date::new(1970, 1, 1).unwrap();
        assert_eq!(day, Date(0));
        while day < last {
            assert_eq!(day.to_string().parse::<Date>().unwrap(), day);
            day = day.plus(1);
        }
        assert_eq!(Date::new(2026, 2, 13).unwrap().since(Date(0)), 20_497);
    }

    #[test]
    fn days_that_the_calendar_does_not_have_are_refused() {
        for s in [
            "2019-02-29",
            "1900-01-01",
            "2020-13-01",
            "2020-04-31",
            "2020-1",
            "x",
            "",
            "2020-01-01-1",
            "2020--1-1",
        ] {
            assert!(s.parse::<Date>().is_err(), "{s}");
        }
    }
}
