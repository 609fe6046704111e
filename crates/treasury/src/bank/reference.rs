//! The reference that a customer writes on a bank transfer, one an invoice.
//!
//! It is an ISO 11649 creditor reference (`RF`, two check digits, then up to 21 letters and digits),
//! which banks know and carry as such; a slip of the pen fails its check digits (remainder 1 modulo
//! 97 of ISO/IEC 7064) and never becomes another invoice's. Ours has the invoice's currency and its
//! number in it: `RF` `..` `EUR` `00000042`. Pure.

use gruve_units::Asset;

/// Digits of the number: a hundred million invoices of a currency.
const DIGITS: usize = 8;
/// `RF`, check digits, currency, number.
const LENGTH: usize = 2 + 2 + 3 + DIGITS;

/// The reference of a currency's invoice number; `None` past the last number that fits.
pub(crate) fn reference(asset: Asset, number: u32) -> Option<String> {
    let body = format!("{}{number:0DIGITS$}", asset.code());
    let check = 98 - remainder(&format!("{body}RF00"));
    let text = format!("RF{check:02}{body}");
    (text.len() == LENGTH).then_some(text)
}

/// As people write it: in groups of four.
#[must_use]
pub fn written_reference(reference: &str) -> String {
    let groups: Vec<String> = reference
        .chars()
        .collect::<Vec<char>>()
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

/// Every reference of this form in a text, however it is spaced or punctuated; each once.
pub(crate) fn references_in(text: &str) -> Vec<(Asset, u32)> {
    let kept: Vec<char> =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let mut found = Vec::new();
    for window in kept.windows(LENGTH) {
        if window.starts_with(&['R', 'F']) {
            let candidate: String = window.iter().collect();
            if let Some(it) = parse(&candidate)
                && !found.contains(&it)
            {
                found.push(it);
            }
        }
    }
    found
}

/// Reads one in its exact form.
pub(crate) fn parse(text: &str) -> Option<(Asset, u32)> {
    if text.len() != LENGTH || !text.is_ascii() || !text.starts_with("RF") {
        return None;
    }
    let (check, body) = (&text[2..4], &text[4..]);
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (currency, number) = body.split_at(3);
    if !digits(check) || !digits(number) || remainder(&format!("{body}RF{check}")) != 1 {
        return None;
    }
    let asset: Asset = currency.parse().ok().filter(|a: &Asset| a.is_fiat())?;
    Some((asset, number.parse().ok()?))
}

/// Modulo 97, with A as 10 to Z as 35.
fn remainder(text: &str) -> u32 {
    text.bytes().fold(0, |r, b| match b {
        b'0'..=b'9' => (r * 10 + u32::from(b - b'0')) % 97,
        _ => (r * 100 + u32::from(b.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    })
}

/// An account number as banks compare it: without spaces, upper case. Says whether its check digits
/// hold where it has the form of an IBAN (two letters, two digits, up to 30 letters and digits).
pub(crate) fn iban(text: &str) -> Result<String, String> {
    let kept: String =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    let is_form = (15..=34).contains(&kept.len())
        && kept.bytes().all(|b| b.is_ascii_alphanumeric())
        && kept.bytes().take(2).all(|b| b.is_ascii_uppercase())
        && kept.bytes().skip(2).take(2).all(|b| b.is_ascii_digit());
    if !is_form {
        return Err("is no IBAN: two letters, two digits, then letters and digits".into());
    }
    let turned = format!("{}{}", &kept[4..], &kept[..4]);
    if remainder(&turned) != 1 {
        return Err("is no IBAN: its check digits are wrong".into());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_digits_are_those_of_iso_11649_and_of_ibans() {
        // The standard's usual example, and the example IBANs of the registry for Germany and Norway.
        assert_eq!(remainder("539007547034RF18"), 1);
        assert_eq!(iban("de89 3704 0044 0532 0130 00"), Ok("DE89370400440532013000".into()));
        assert!(iban("NO9386011117947").is_ok());
        assert!(iban("DE88370400440532013000").unwrap_err().contains("check digits"));
        assert!(iban("").is_err() && iban("DE8Ä370400440532013000").is_err());
    }

    #[test]
    fn a_reference_is_found_however_it_is_written() {
        let r = reference(Asset::Eur, 42).unwrap();
        assert_eq!(parse(&r), Some((Asset::Eur, 42)));
        assert_eq!(written_reference("RF18EUR00000042"), "RF18 EUR0 0000 042");
        let spaced = format!("Invoice: {}, thanks; rf", written_reference(&r).to_lowercase());
        assert_eq!(references_in(&spaced), [(Asset::Eur, 42)]);
        assert_eq!(references_in(&format!("{r}/{r}")), [(Asset::Eur, 42)]);
        let two = format!("{r} {}", reference(Asset::Usd, 7).unwrap());
        assert_eq!(references_in(&two), [(Asset::Eur, 42), (Asset::Usd, 7)]);
        assert_eq!(references_in("RF18539007547034 RF RF12"), []);
        assert_eq!(reference(Asset::Eur, 100_000_000), None);
    }

    proptest! {
        #[test]
        fn no_slip_of_one_character_and_no_swap_of_two_becomes_another_invoice(
            number in 0u32..100_000_000, at in 2usize..LENGTH, to in "[0-9A-Z]",
        ) {
            let r = reference(Asset::Eur, number).unwrap();
            let mut slip = r.clone();
            slip.replace_range(at..=at, &to);
            prop_assert!(slip == r || parse(&slip).is_none(), "{slip}");
            let mut swapped: Vec<u8> = r.clone().into_bytes();
            swapped.swap(at, (at + 1).min(LENGTH - 1));
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert!(swapped == r || parse(&swapped).is_none(), "{swapped}");
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            let _ = references_in(&text);
            let _ = parse(&text);
            let _ = iban(&text);
        }
    }
}
