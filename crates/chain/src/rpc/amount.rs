//! Amounts in a node's JSON: decimal coins as numbers, read from their digits and never through a
//! float.

use gruve_units::{Amount, Asset};
use serde_json::Value;

/// Longest number looked at: 21 million coins with eight decimals have 17 characters.
const MAX_CHARS: usize = 40;

/// Minor units of a JSON number (or string) of coins, exactly; `None` when it is no number, has
/// digits below the minor unit or does not fit. Exponents, as some JSON writers use for small
/// fees (`1e-05`), are read exactly as well.
#[must_use]
pub fn minor_from_json(asset: Asset, value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        _ => return None,
    };
    if text.len() > MAX_CHARS {
        return None;
    }
    let plain = match text.split_once(['e', 'E']) {
        None => text,
        Some((digits, exponent)) => shift_point(digits, exponent.parse().ok()?)?,
    };
    // More decimals than the asset has are good only when they are zeros.
    let trimmed = match plain.split_once('.') {
        Some((whole, decimals)) => {
            let decimals = decimals.trim_end_matches('0');
            if decimals.is_empty() { whole.to_owned() } else { format!("{whole}.{decimals}") }
        }
        None => plain,
    };
    Amount::parse_decimal(asset, &trimmed).ok().map(|amount| amount.minor)
}

/// The number without its exponent.
fn shift_point(digits: &str, exponent: i32) -> Option<String> {
    if exponent.unsigned_abs() > 20 {
        return None;
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, decimals].concat();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let places = i32::try_from(decimals.len()).ok()?.checked_sub(exponent)?;
    let Ok(places) = usize::try_from(places) else {
        let zeros = usize::try_from(places.unsigned_abs()).ok()?;
        return Some(format!("{sign}{all}{}", "0".repeat(zeros)));
    };
    let padded = format!("{all:0>width$}", width = places + 1);
    let (whole, decimals) = padded.split_at(padded.len() - places);
    Some(if decimals.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{decimals}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Option<i64> {
        minor_from_json(Asset::Btc, &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_digit_counts() {
        assert_eq!(read("20999999.97690000"), Some(2_099_999_997_690_000));
        assert_eq!(read("0.1"), Some(10_000_000));
        assert_eq!(read("0.00001000"), Some(1_000));
        assert_eq!(read("1e-05"), Some(1_000));
        assert_eq!(read("1.5E-8"), None);
        assert_eq!(read("1.5e+2"), Some(15_000_000_000));
        assert_eq!(read("-0.00000001"), Some(-1));
        assert_eq!(read("0.123456789"), None);
        assert_eq!(read("0.1234567800"), Some(12_345_678));
        assert_eq!(read("90071992.54740993"), Some(9_007_199_254_740_993));
        assert_eq!(read("1e400"), None);
        assert_eq!(read("true"), None);
        assert_eq!(read("\"0.5\""), Some(50_000_000));
    }

    proptest! {
        #[test]
        fn reading_an_amount_never_panics(s in "\\PC{0,30}") {
            let _ = minor_from_json(Asset::Btc, &Value::String(s));
        }

        #[test]
        fn an_amount_is_read_back_exactly(minor: i64) {
            let json = Amount::new(Asset::Btc, minor).decimal();
            prop_assert_eq!(read(&json), Some(minor));
        }
    }
}
