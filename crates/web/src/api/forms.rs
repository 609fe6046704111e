//! How amounts, rates, times and hashes are written.

use crate::money::rfc3339;
use crate::openapi::{Shape, Shapes, answers};
use gruve_units::{Amount, Asset, Hashrate, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

answers! {
    /// An amount of one asset.
    struct Money {
        /// Of what.
        asset: Asset,
        /// In minor units: 10⁻⁸ of a coin, 10⁻⁹ of ETC and ETH, 10⁻⁶ of a dollar or euro.
        minor: i64,
        /// The same in whole coins.
        decimal: String,
    }

    /// A hashrate.
    struct Rate {
        /// A whole number, as text.
        hashes_per_second: String,
        /// Rounded to three figures.
        text: String,
    }
}

/// An instant, RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Time(String);

impl Shape for Time {
    fn shape(_: &mut Shapes) -> Value {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// Bytes in hexadecimal.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Hex(String);

impl Shape for Hex {
    fn shape(_: &mut Shapes) -> Value {
        json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" })
    }
}

/// An amount.
pub(crate) fn amount(a: Amount) -> Money {
    Money { asset: a.asset, minor: a.minor, decimal: a.decimal() }
}

/// A hashrate.
pub(crate) fn rate(r: Hashrate) -> Rate {
    Rate { hashes_per_second: r.0.to_string(), text: r.to_string() }
}

/// A time.
pub(crate) fn time(t: Timestamp) -> Time {
    Time(rfc3339(t))
}

/// A hash.
pub(crate) fn hexed(bytes: impl AsRef<[u8]>) -> Hex {
    Hex(hex::encode(bytes))
}
