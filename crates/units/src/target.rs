//! Targets, difficulty classes and the algorithms they are for.

use crate::Hashes;
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A proof-of-work algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Double SHA-256 over the 80-byte header (Bitcoin).
    Sha256d,
    /// scrypt with N = 1024, r = 1, p = 1 over the 80-byte header (Litecoin, Dogecoin).
    Scrypt,
    /// Ethash with 30,000-block epochs.
    Ethash,
    /// Ethash with 60,000-block epochs (ECIP-1099, Ethereum Classic).
    Etchash,
}

impl Algorithm {
    /// The name in configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256d => "sha256d",
            Algorithm::Scrypt => "scrypt",
            Algorithm::Ethash => "ethash",
            Algorithm::Etchash => "etchash",
        }
    }

    /// The class whose wire difficulty is 1: 32 for SHA-256d, 16 for scrypt (pools count scrypt
    /// difficulty from the target `0x0000ffff…`), 32 for the Ethash family (2³² hashes).
    #[must_use]
    pub const fn unit_class(self) -> u8 {
        match self {
            Algorithm::Scrypt => 16,
            _ => 32,
        }
    }

    /// The target of wire difficulty 1, *not* a power of two: `0xffff << 208` for SHA-256d,
    /// `0xffff << 224` for scrypt.
    #[must_use]
    pub fn difficulty_one(self) -> Target {
        let shift = 256 - 16 - usize::from(self.unit_class());
        Target(U256::from(0xffff_u32) << shift)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        [Algorithm::Sha256d, Algorithm::Scrypt, Algorithm::Ethash, Algorithm::Etchash]
            .into_iter()
            .find(|a| a.name() == s)
            .ok_or_else(|| format!("unknown algorithm {s:?}: sha256d, scrypt, ethash or etchash"))
    }
}

/// A bound: a hash, read as a 256-bit number, meets it when it is not above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(pub U256);

impl Target {
    /// The easiest target.
    pub const MAX: Target = Target(U256::MAX);

    /// From the header's compact form. `None` when negative, zero, or above 256 bits
    /// (Bitcoin Core's `DeriveTarget`).
    #[must_use]
    pub fn from_compact(bits: u32) -> Option<Target> {
        let exponent = bits >> 24;
        let mantissa = bits & 0x007f_ffff;
        if bits & 0x0080_0000 != 0 || mantissa == 0 {
            return None;
        }
        let m = U256::from(mantissa);
        let value = if exponent <= 3 {
            m >> (8 * (3 - exponent) as usize)
        } else {
            let shift = 8 * (exponent - 3) as usize;
            if shift >= 256 || m.bit_len() + shift > 256 {
                return None;
            }
            m << shift
        };
        (value != U256::ZERO).then_some(Target(value))
    }

    /// The compact form, rounded down to its 23-bit mantissa.
    #[must_use]
    pub fn to_compact(self) -> u32 {
        let mut size = self.0.bit_len().div_ceil(8);
        let word = |v: U256| u32::try_from(v & U256::from(u32::MAX)).unwrap_or(u32::MAX);
        let mut mantissa = if size <= 3 {
            word(self.0) << (8 * (3 - size))
        } else {
            word(self.0 >> (8 * (size - 3)))
        };
        if mantissa & 0x0080_0000 != 0 {
            mantissa >>= 8;
            size += 1;
        }
        mantissa | (u32::try_from(size).unwrap_or(33) << 24)
    }

    /// Whether a hash in internal byte order (as the hash function gives it, little-endian as a
    /// number) meets the target.
    #[must_use]
    pub fn is_met_by(self, hash_internal: &[u8; 32]) -> bool {
        U256::from_le_bytes(*hash_internal) <= self.0
    }

    /// Expected tries for one hash at or below the target: `⌊2²⁵⁶ / (target + 1)⌋`, at least 1.
    /// Saturates at `u128::MAX` for targets below 2¹²⁸, harder than any chain has been.
    #[must_use]
    pub fn expected_hashes(self) -> Hashes {
        if self.0 == U256::MAX {
            return Hashes(1);
        }
        let divisor = self.0 + U256::from(1u8);
        let q = (U256::MAX - divisor + U256::from(1u8)) / divisor + U256::from(1u8);
        Hashes(u128::try_from(q).unwrap_or(u128::MAX))
    }

    /// 32 bytes, big-endian (as displayed).
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// From 32 big-endian bytes.
    #[must_use]
    pub const fn from_be_bytes(b: [u8; 32]) -> Target {
        Target(U256::from_be_bytes(b))
    }

    /// Difficulty for people: `difficulty_one / target`. A float: it decides nothing.
    #[must_use]
    pub fn difficulty(self, algorithm: Algorithm) -> f64 {
        let (one, own) = (algorithm.difficulty_one().0, self.0);
        if own == U256::ZERO { f64::INFINITY } else { f64::from(one) / f64::from(own) }
    }
}

/// A difficulty class *k*: a share counts exactly 2^k hashes and must meet `2^(256−k) − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Class(u8);

impl Class {
    /// The highest class: work of a share then still fits `u128` with room for sums.
    pub const MAX: u8 = 100;

    /// Class 0: every hash is a share and counts one.
    pub const ZERO: Class = Class(0);

    /// A class; `None` above [`Class::MAX`].
    #[must_use]
    pub const fn new(k: u8) -> Option<Class> {
        if k <= Self::MAX { Some(Class(k)) } else { None }
    }

    /// The exponent.
    #[must_use]
    pub const fn k(self) -> u8 {
        self.0
    }

    /// The work of one share: 2^k.
    #[must_use]
    pub const fn work(self) -> Hashes {
        Hashes(1 << self.0)
    }

    /// The target of the class: `2^(256−k) − 1`.
    #[must_use]
    pub fn target(self) -> Target {
        Target(U256::MAX >> usize::from(self.0))
    }

    /// The hardest class that is not harder than `target`, so that a share of it is never
    /// harder to find than a block.
    #[must_use]
    pub fn not_harder_than(target: Target) -> Class {
        // T_k ≥ target ⇔ 2^(256−k) > target ⇔ k ≤ leading zeros of target.
        let zeros = target.0.leading_zeros().min(usize::from(Self::MAX));
        Class(u8::try_from(zeros).unwrap_or(Self::MAX))
    }

    /// The wire difficulty `2^(k − unit class)`, exact in binary floating point.
    #[must_use]
    pub fn wire_difficulty(self, algorithm: Algorithm) -> f64 {
        2f64.powi(i32::from(self.0) - i32::from(algorithm.unit_class()))
    }
}

impl TryFrom<u8> for Class {
    type Error = String;
    fn try_from(k: u8) -> Result<Self, String> {
        Class::new(k).ok_or_else(|| format!("class {k} is above {}", Class::MAX))
    }
}

impl From<Class> for u8 {
    fn from(c: Class) -> u8 {
        c.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compact_forms_of_known_blocks() {
        let t = Target::from_compact(0x1b01_4ec5).unwrap();
        assert_eq!(
            hex::encode(t.to_be_bytes()),
            "0000000000014ec5000000000000000000000000000000000000000000000000"
        );
        assert_eq!(t.to_compact(), 0x1b01_4ec5);
        assert_eq!(Target::from_compact(0x1d00_ffff), Some(Algorithm::Sha256d.difficulty_one()));
        assert_eq!(Target::from_compact(0x207f_ffff).unwrap().to_compact(), 0x207f_ffff);
        // Bitcoin Core's arith_uint256 tests: negative, zero and overflowing forms.
        for bad in [
            0,
            0x0080_0000,
            0x0000_0000,
            0x0492_3456,
            0x2200_8000_u32 | 0x0080_0000,
            0xff12_3456,
            0x2301_0000,
        ] {
            assert_eq!(Target::from_compact(bad), None, "{bad:08x}");
        }
    }

    proptest! {
        #[test]
        fn compact_round_trips(bits in 0x0301_0000u32..0x2080_0000) {
            if let Some(t) = Target::from_compact(bits) {
                prop_assert_eq!(Target::from_compact(t.to_compact()).unwrap(), t);
            }
        }

        #[test]
        fn a_class_counts_exactly_its_power_of_two(k in 0u8..=100) {
            let c = Class::new(k).unwrap();
            prop_assert_eq!(c.target().expected_hashes(), c.work());
            prop_assert_eq!(c.target().0, U256::MAX >> usize::from(k));
            prop_assert_eq!(Class::not_harder_than(c.target()), c);
        }

        #[test]
        fn the_class_of_a_target_is_not_harder(bits in 0x0d01_0000u32..0x2080_0000) {
            if let Some(t) = Target::from_compact(bits) {
                prop_assert!(Class::not_harder_than(t).target() >= t);
            }
        }
    }
}
