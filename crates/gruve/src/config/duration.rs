//! Spans of time as people write them.

use gruve_units::Duration;
use serde::{Deserialize, Deserializer};

/// A span of time written as `500ms`, `30s`, `10m`, `2h` or `30d`; above zero, at most 10 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("{s:?} is not a span of time: write 500ms, 30s, 10m, 2h or 30d");
        let split = s.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = s[..split].parse().map_err(|_| bad())?;
        let millis = match &s[split..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let total = number.checked_mul(millis).ok_or_else(bad)?;
        if total == 0 || total > 3_650 * 86_400_000 {
            return Err(bad());
        }
        Ok(Span(Duration::from_millis(total)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a span of which there may be none: `0s` is one, too.
pub(super) fn or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
    match &*String::deserialize(d)? {
        "0s" => Ok(Span(Duration::ZERO)),
        text => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mail::AccountsConfig;

    #[test]
    fn spans_read_and_nonsense_is_refused() {
        assert_eq!("10m".parse(), Ok(Span(Duration::from_secs(600))));
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        for bad in ["", "5", "0s", "-1s", "1.5s", "99999999999d", "5 s", "٥s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_may_not_wait_at_all_is_said_so() {
        let none = "payout_delay = \"0s\"\nrecovery_delay = \"0s\"";
        let rules: AccountsConfig = toml::from_str(none).unwrap();
        assert_eq!(
            (rules.payout_delay, rules.recovery_delay),
            (Span(Duration::ZERO), Span(Duration::ZERO))
        );
        for bad in ["payout_delay = \"0\"", "payout_delay = \"-1s\"", "change_delay = \"0s\""] {
            assert!(toml::from_str::<AccountsConfig>(bad).is_err(), "{bad}");
        }
    }
}
