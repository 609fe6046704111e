//! Hashrates: integer hashes per second.

use crate::{Duration, Hashes, mul_div_floor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Hashes per second, an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hashrate(pub u128);

const UNITS: [(&str, u128); 8] = [
    ("ZH/s", 1_000_000_000_000_000_000_000),
    ("EH/s", 1_000_000_000_000_000_000),
    ("PH/s", 1_000_000_000_000_000),
    ("TH/s", 1_000_000_000_000),
    ("GH/s", 1_000_000_000),
    ("MH/s", 1_000_000),
    ("kH/s", 1_000),
    ("H/s", 1),
];

impl Hashrate {
    /// None.
    pub const ZERO: Hashrate = Hashrate(0);

    /// The work done at this rate in `d`, rounded down; saturates.
    #[must_use]
    pub fn work_in(self, d: Duration) -> Hashes {
        Hashes(mul_div_floor(self.0, d.as_micros(), 1_000_000).map_or(u128::MAX, |(q, _)| q))
    }

    /// The rate at which `work` is done in `d`, rounded down; zero when `d` is zero.
    #[must_use]
    pub fn of(work: Hashes, d: Duration) -> Hashrate {
        Hashrate(match mul_div_floor(work.0, 1_000_000, d.as_micros()) {
            Ok((q, _)) => q,
            Err(crate::DivError::Zero) => 0,
            Err(crate::DivError::Overflow) => u128::MAX,
        })
    }

    /// 16 bytes, big-endian, as stored.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From 16 stored bytes.
    #[must_use]
    pub const fn from_be_bytes(b: [u8; 16]) -> Self {
        Hashrate(u128::from_be_bytes(b))
    }
}

impl fmt::Display for Hashrate {
    /// Three significant figures in the unit that fits, as `1.25 MH/s`; `1.00 MH/s` for a million.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = UNITS.into_iter().find(|(_, u)| self.0 >= *u).unwrap_or(("H/s", 1));
        if unit == 1 {
            return write!(f, "{} {name}", self.0);
        }
        let whole = self.0 / unit;
        let milli = (self.0 % unit) / (unit / 1000);
        match whole {
            0..=9 => write!(f, "{whole}.{:02} {name}", milli / 10),
            10..=99 => write!(f, "{whole}.{} {name}", milli / 100),
            _ => write!(f, "{whole} {name}"),
        }
    }
}

impl FromStr for Hashrate {
    type Err = String;
    /// Reads `100 TH/s`, `2.5kH/s`, `1000000` (hashes per second); exact, no exponent.
    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("{s:?} is not a hashrate: write a number and H/s, kH/s … EH/s");
        let t = s.trim();
        let split = t.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(t.len());
        let (number, unit) = t.split_at(split);
        let unit = unit.trim();
        let scale = if unit.is_empty() {
            1
        } else {
            UNITS.iter().find(|(n, _)| n.eq_ignore_ascii_case(unit)).ok_or_else(bad)?.1
        };
        let (whole, frac) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || frac.len() > 21 || number.ends_with('.') {
            return Err(bad());
        }
        let whole: u128 = whole.parse().map_err(|_| bad())?;
        let mut rate = whole.checked_mul(scale).ok_or_else(bad)?;
        if !frac.is_empty() {
            let denom = 10_u128.pow(u32::try_from(frac.len()).map_err(|_| bad())?);
            let frac: u128 = frac.parse().map_err(|_| bad())?;
            let (q, r) = mul_div_floor(frac, scale, denom).map_err(|_| bad())?;
            if r != 0 {
                return Err(bad());
            }
            rate = rate.checked_add(q).ok_or_else(bad)?;
        }
        Ok(Hashrate(rate))
    }
}

impl Serialize for Hashrate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hashrate {
    /// A decimal string, with or without a unit.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print() {
        assert_eq!("2.5kH/s".parse::<Hashrate>().unwrap(), Hashrate(2500));
        assert_eq!("100 TH/s".parse::<Hashrate>().unwrap(), Hashrate(100_000_000_000_000));
        assert_eq!(Hashrate(1_250_000).to_string(), "1.25 MH/s");
        assert_eq!(Hashrate(999).to_string(), "999 H/s");
        assert!("1.5".parse::<Hashrate>().is_err());
        assert!("-1 H/s".parse::<Hashrate>().is_err());
        assert!("1e9 H/s".parse::<Hashrate>().is_err());
    }

    #[test]
    fn work_and_rate_agree() {
        let r = Hashrate(1_000_000);
        let w = r.work_in(Duration::from_secs(5));
        assert_eq!(w, Hashes(5_000_000));
        assert_eq!(Hashrate::of(w, Duration::from_secs(5)), r);
        assert_eq!(Hashrate::of(w, Duration::ZERO), Hashrate::ZERO);
    }
}
