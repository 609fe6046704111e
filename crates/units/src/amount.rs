//! Money: whole minor units with their asset, and accruals finer than a minor unit.

use crate::mul_div_floor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an amount is of.
///
/// Assets arrive by configuration and live in database rows, so the asset is a value beside the
/// number and not a type parameter; every operation on two amounts checks that they agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asset {
    /// Bitcoin, minor unit 10⁻⁸ (satoshi).
    Btc,
    /// Litecoin, minor unit 10⁻⁸.
    Ltc,
    /// Dogecoin, minor unit 10⁻⁸.
    Doge,
    /// Ethereum Classic, minor unit 10⁻⁹ (gwei).
    Etc,
    /// Ether, minor unit 10⁻⁹ (gwei). A means of payment only: it left proof of work in 2022.
    Eth,
    /// US dollar, minor unit 10⁻⁶ inside the house.
    Usd,
    /// Euro, minor unit 10⁻⁶ inside the house.
    Eur,
}

impl Asset {
    /// Every asset the house knows.
    pub const ALL: [Asset; 7] =
        [Asset::Btc, Asset::Ltc, Asset::Doge, Asset::Etc, Asset::Eth, Asset::Usd, Asset::Eur];

    /// The ticker, upper case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Asset::Btc => "BTC",
            Asset::Ltc => "LTC",
            Asset::Doge => "DOGE",
            Asset::Etc => "ETC",
            Asset::Eth => "ETH",
            Asset::Usd => "USD",
            Asset::Eur => "EUR",
        }
    }

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Asset::Btc => "Bitcoin",
            Asset::Ltc => "Litecoin",
            Asset::Doge => "Dogecoin",
            Asset::Etc => "Ethereum Classic",
            Asset::Eth => "Ether",
            Asset::Usd => "US dollar",
            Asset::Eur => "Euro",
        }
    }

    /// Decimal places of the minor unit.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        match self {
            Asset::Btc | Asset::Ltc | Asset::Doge => 8,
            Asset::Etc | Asset::Eth => 9,
            Asset::Usd | Asset::Eur => 6,
        }
    }

    /// Whether it is a state's money, kept by banks and not on a chain.
    #[must_use]
    pub const fn is_fiat(self) -> bool {
        matches!(self, Asset::Usd | Asset::Eur)
    }

    /// The smallest part, in minor units, that can be paid: one, and a cent of what banks keep.
    #[must_use]
    pub const fn payable(self) -> i64 {
        if self.is_fiat() { 10_000 } else { 1 }
    }

    /// Minor units in one whole coin.
    #[must_use]
    pub const fn unit(self) -> i64 {
        10_i64.pow(self.decimals())
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Asset {
    type Err = AmountError;
    fn from_str(s: &str) -> Result<Self, AmountError> {
        Asset::ALL
            .into_iter()
            .find(|a| a.code().eq_ignore_ascii_case(s))
            .ok_or_else(|| AmountError::UnknownAsset(s.chars().take(16).collect()))
    }
}

/// Why an amount could not be made or combined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Two amounts of different assets met.
    #[error("amounts of {0} and {1} cannot be combined")]
    Mixed(Asset, Asset),
    /// The result does not fit a 64-bit count of minor units.
    #[error("the amount does not fit 64 bits of minor units")]
    Overflow,
    /// Not a decimal number of the asset's form.
    #[error("not an amount of {asset}: write digits with at most {} decimals", asset.decimals())]
    Malformed {
        /// The asset asked for.
        asset: Asset,
    },
    /// No such asset.
    #[error("unknown asset {0:?}")]
    UnknownAsset(String),
}

/// A signed whole number of minor units of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amount {
    /// What it is of.
    pub asset: Asset,
    /// Minor units; see [`Asset::decimals`].
    pub minor: i64,
}

impl Amount {
    /// An amount of `minor` minor units.
    #[must_use]
    pub const fn new(asset: Asset, minor: i64) -> Self {
        Amount { asset, minor }
    }

    /// Nothing of an asset.
    #[must_use]
    pub const fn zero(asset: Asset) -> Self {
        Amount { asset, minor: 0 }
    }

    /// The sum.
    ///
    /// # Errors
    /// When the assets differ or the sum does not fit.
    pub fn checked_add(self, other: Amount) -> Result<Amount, AmountError> {
        if self.asset != other.asset {
            return Err(AmountError::Mixed(self.asset, other.asset));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(AmountError::Overflow)?;
        Ok(Amount { asset: self.asset, minor })
    }

    /// The difference.
    ///
    /// # Errors
    /// When the assets differ or the difference does not fit.
    pub fn checked_sub(self, other: Amount) -> Result<Amount, AmountError> {
        self.checked_add(other.checked_neg()?)
    }

    /// The amount with its sign turned.
    ///
    /// # Errors
    /// When it is the smallest 64-bit number.
    pub fn checked_neg(self) -> Result<Amount, AmountError> {
        let minor = self.minor.checked_neg().ok_or(AmountError::Overflow)?;
        Ok(Amount { asset: self.asset, minor })
    }

    /// The decimal number without its ticker, as `0.00001234`; always all decimals.
    #[must_use]
    pub fn decimal(self) -> String {
        let unit = self.asset.unit().unsigned_abs();
        let abs = self.minor.unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        let width = self.asset.decimals() as usize;
        format!("{sign}{}.{:0width$}", abs / unit, abs % unit)
    }

    /// Reads a plain decimal number (`12`, `0.5`, `-3.25`); no exponent, no grouping, no rounding.
    ///
    /// # Errors
    /// When it is not such a number, has more decimals than the asset, or does not fit.
    pub fn parse_decimal(asset: Asset, s: &str) -> Result<Amount, AmountError> {
        let bad = || AmountError::Malformed { asset };
        let (negative, digits) = match s.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, s),
        };
        let (whole, frac) = digits.split_once('.').unwrap_or((digits, ""));
        let places = asset.decimals() as usize;
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(frac) || frac.len() > places {
            return Err(bad());
        }
        if digits.ends_with('.') || whole.len() > 20 {
            return Err(bad());
        }
        let whole: i128 = whole.parse().map_err(|_| bad())?;
        let frac: i128 = format!("{frac:0<places$}").parse().map_err(|_| bad())?;
        let minor = whole * i128::from(asset.unit()) + frac;
        let minor = if negative { -minor } else { minor };
        let minor = i64::try_from(minor).map_err(|_| AmountError::Overflow)?;
        Ok(Amount { asset, minor })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.asset)
    }
}

/// Earnings finer than a minor unit: fixed point with 64 fractional bits of one minor unit.
///
/// The asset is known from where the accrual stands; the number alone says how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Accrual(pub u128);

impl Accrual {
    /// Nothing.
    pub const ZERO: Accrual = Accrual(0);

    /// Whole minor units as an accrual; `None` when negative.
    #[must_use]
    pub fn from_minor(minor: i64) -> Option<Accrual> {
        u64::try_from(minor).ok().map(|m| Accrual(u128::from(m) << 64))
    }

    /// Whole minor units in it and the fraction left over.
    ///
    /// # Errors
    /// When the whole part does not fit 63 bits.
    pub fn split(self) -> Result<(i64, Accrual), AmountError> {
        let whole = i64::try_from(self.0 >> 64).map_err(|_| AmountError::Overflow)?;
        Ok((whole, Accrual(self.0 & u128::from(u64::MAX))))
    }

    /// The sum; `None` when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Accrual) -> Option<Accrual> {
        self.0.checked_add(other.0).map(Accrual)
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Accrual) -> Option<Accrual> {
        self.0.checked_sub(other.0).map(Accrual)
    }

    /// 16 bytes, big-endian, as stored.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From 16 stored bytes.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 16]) -> Accrual {
        Accrual(u128::from_be_bytes(bytes))
    }
}

/// Basis points: hundredths of a percent, 0 to 10,000.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Bps(u16);

impl Bps {
    /// None at all.
    pub const ZERO: Bps = Bps(0);
    /// One hundred percent.
    pub const ONE: u16 = 10_000;

    /// Basis points; `None` above 10,000.
    #[must_use]
    pub const fn new(bps: u16) -> Option<Bps> {
        if bps <= Self::ONE { Some(Bps(bps)) } else { None }
    }

    /// The number of basis points.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// This part of `whole`, rounded down.
    #[must_use]
    pub fn of(self, whole: u128) -> u128 {
        // A part of a u128 always fits a u128, and the divisor is a constant above zero.
        mul_div_floor(whole, u128::from(self.0), u128::from(Self::ONE)).map_or(0, |(q, _)| q)
    }
}

impl TryFrom<u16> for Bps {
    type Error = String;
    fn try_from(v: u16) -> Result<Self, String> {
        Bps::new(v).ok_or_else(|| format!("{v} basis points is more than the whole (10000)"))
    }
}

impl From<Bps> for u16 {
    fn from(b: Bps) -> u16 {
        b.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decimals_survive_writing_and_reading(minor: i64, which in 0..Asset::ALL.len()) {
            let a = Amount::new(Asset::ALL[which], minor);
            prop_assert_eq!(Amount::parse_decimal(a.asset, &a.decimal()).unwrap(), a);
        }

        #[test]
        fn an_accrual_splits_without_loss(v in 0u128..(1u128 << 127)) {
            let (whole, rest) = Accrual(v).split().unwrap();
            let back = Accrual::from_minor(whole).unwrap().checked_add(rest).unwrap();
            prop_assert_eq!(back, Accrual(v));
        }

        #[test]
        fn reading_an_amount_never_panics(s in "\\PC{0,40}") {
            let _ = Amount::parse_decimal(Asset::Btc, &s);
        }
    }

    #[test]
    fn mixed_assets_are_refused() {
        let a = Amount::new(Asset::Btc, 1);
        let b = Amount::new(Asset::Ltc, 1);
        assert_eq!(a.checked_add(b), Err(AmountError::Mixed(Asset::Btc, Asset::Ltc)));
    }

    #[test]
    fn more_decimals_than_the_asset_has_are_refused() {
        assert!(Amount::parse_decimal(Asset::Btc, "0.123456789").is_err());
        assert!(Amount::parse_decimal(Asset::Btc, "1e3").is_err());
        assert!(Amount::parse_decimal(Asset::Btc, ".5").is_err());
        assert!(Amount::parse_decimal(Asset::Btc, "5.").is_err());
        assert!(Amount::parse_decimal(Asset::Btc, "+5").is_err());
        assert!(Amount::parse_decimal(Asset::Btc, "٣").is_err());
        assert_eq!(Amount::parse_decimal(Asset::Btc, "-0.00000001").unwrap().minor, -1);
    }
}
