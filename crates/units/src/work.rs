//! Work: expected tries, an exact integer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Expected tries. A share issued at class *k* counts exactly 2^k.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hashes(pub u128);

impl Hashes {
    /// None.
    pub const ZERO: Hashes = Hashes(0);

    /// The sum; `None` when it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Hashes) -> Option<Hashes> {
        match self.0.checked_add(other.0) {
            Some(v) => Some(Hashes(v)),
            None => None,
        }
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Hashes) -> Option<Hashes> {
        match self.0.checked_sub(other.0) {
            Some(v) => Some(Hashes(v)),
            None => None,
        }
    }

    /// The difference, or none when it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Hashes) -> Hashes {
        Hashes(self.0.saturating_sub(other.0))
    }

    /// 16 bytes, big-endian, as stored.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From 16 stored bytes.
    #[must_use]
    pub const fn from_be_bytes(b: [u8; 16]) -> Self {
        Hashes(u128::from_be_bytes(b))
    }
}

/// A checked sum over work.
pub trait HashesSum {
    /// The sum; `None` when it does not fit.
    fn checked_sum(self) -> Option<Hashes>;
}

impl<I: Iterator<Item = Hashes>> HashesSum for I {
    fn checked_sum(mut self) -> Option<Hashes> {
        self.try_fold(Hashes::ZERO, Hashes::checked_add)
    }
}

impl fmt::Display for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Hashes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hashes {
    /// A decimal string: JSON numbers lose digits in many readers.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map(Hashes).map_err(serde::de::Error::custom)
    }
}
