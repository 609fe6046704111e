//! Figures as people read them: sums in whole coins, times as dates. What is told to programs keeps the exact ones.

use gruve_units::{Amount, Asset};

/// A sum of an asset of a statement, with its name: whole coins; minor units, and said so, where we do not know the asset
/// by exactly this name or the sum is no amount of it; hashes of what is owed in work.
///
/// ```
/// use gruve_proof::verify::coins;
/// assert_eq!(coins("BTC", 98_133_010_000), "981.33010000 BTC");
/// assert_eq!(coins("work/btc", 7), "7 hashes");
/// assert_eq!(coins("btc", 7), "7 minor units of btc");
/// ```
#[must_use]
pub fn coins(asset: &str, minor: u128) -> String {
    if asset.starts_with("work/") {
        return format!("{minor} hashes");
    }
    let known = Asset::ALL.into_iter().find(|a| a.code() == asset);
    match (known, i64::try_from(minor)) {
        (Some(known), Ok(minor)) => Amount::new(known, minor).to_string(),
        _ => format!("{minor} minor units of {asset}"),
    }
}

/// The whole second of an instant, as `2026-11-22 23:05:16 UTC`.
///
/// ```
/// assert_eq!(gruve_proof::verify::utc(951_827_696), "2000-02-29 12:34:56 UTC");
/// ```
#[must_use]
pub fn utc(secs: u64) -> String {
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    // Years here begin in March, so that the day that some have more is their last: 146,097 days are 400 years.
    let since = days + 719_468;
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * era + year, if month < 10 { month + 3 } else { month - 9 });
    let year = year + u64::from(month < 3);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{of_month:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_as_the_calendar_has_them() {
        for (secs, said) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (1_735_689_600, "2025-01-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
        ] {
            assert_eq!(utc(secs), said);
        }
        // Whoever writes an absurd number is told an absurd year, and nothing breaks.
        assert!(utc(u64::MAX).starts_with("584554"), "{}", utc(u64::MAX));
    }

    #[test]
    fn sums_are_told_in_whole_coins_where_they_are_any() {
        assert_eq!(coins("ETC", 1), "0.000000001 ETC");
        assert_eq!(coins("XYZ", 7), "7 minor units of XYZ");
        assert_eq!(coins("BTC", u128::MAX), format!("{} minor units of BTC", u128::MAX));
    }
}
