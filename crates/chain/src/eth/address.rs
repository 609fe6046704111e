//! Addresses of accounts, with the checksum of EIP-55.
//!
//! An address says nothing of its chain: the same key has the same address on every chain of this
//! family, so a payment to the wrong one of them cannot be told from the address.

use super::keccak256;
use bitcoin::secp256k1::PublicKey;
use std::fmt;
use std::str::FromStr;

/// An account's address: the last 20 bytes of the hash of its public key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthAddress(pub [u8; 20]);

/// Why a text is no address to pay to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EthAddressError {
    /// It does not begin with `0x`.
    #[error(
        "an address of this chain begins with 0x and 40 hexadecimal digits; this looks like one of \
         another kind of chain, or like a name"
    )]
    NoPrefix,
    /// Too many or too few digits.
    #[error("it has {0} characters after 0x; an address has 40")]
    Length(usize),
    /// A character that is no hexadecimal digit.
    #[error("{0:?} after {1} characters is no hexadecimal digit")]
    Digit(char, usize),
    /// Capital and small letters that are not the checksum's.
    #[error(
        "its capital and small letters do not agree with its digits (EIP-55): a character is wrong; \
         copy the address again"
    )]
    Checksum,
    /// Twenty zero bytes.
    #[error("the zero address belongs to nobody: what is sent there is lost")]
    Zero,
}

impl EthAddress {
    /// Nobody's address.
    pub const ZERO: EthAddress = EthAddress([0; 20]);

    /// The address of a public key.
    #[must_use]
    pub fn of_public_key(key: &PublicKey) -> EthAddress {
        let hash = keccak256(&key.serialize_uncompressed()[1..]);
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        EthAddress(address)
    }
}

/// With its checksum: a letter is a capital where the digit of the hash of the small letters at its
/// place is 8 or more.
impl fmt::Display for EthAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = hex::encode(self.0);
        let hash = hex::encode(keccak256(small.as_bytes()));
        f.write_str("0x")?;
        for (letter, by) in small.chars().zip(hash.chars()) {
            let capital = by >= '8';
            write!(f, "{}", if capital { letter.to_ascii_uppercase() } else { letter })?;
        }
        Ok(())
    }
}

/// As people write it: letters all small or all capital, without a checksum, or mixed, with it.
impl FromStr for EthAddress {
    type Err = EthAddressError;

    fn from_str(text: &str) -> Result<Self, EthAddressError> {
        let digits = text.strip_prefix("0x").ok_or(EthAddressError::NoPrefix)?;
        if let Some((at, bad)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
            return Err(EthAddressError::Digit(bad, at));
        }
        let mut address = [0; 20];
        hex::decode_to_slice(digits, &mut address)
            .map_err(|_| EthAddressError::Length(digits.len()))?;
        let address = EthAddress(address);
        let has = |case: fn(&char) -> bool| digits.chars().any(|c| case(&c));
        let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
        if is_mixed && address.to_string() != text {
            return Err(EthAddressError::Checksum);
        }
        if address == EthAddress::ZERO {
            return Err(EthAddressError::Zero);
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The addresses of EIP-55's own text.
    const GOOD: [&str; 4] = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn eip_55s_addresses_are_read_and_written_alike() {
        for text in GOOD {
            let address: EthAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(text.to_lowercase().parse::<EthAddress>().unwrap(), address);
            let capital = format!("0x{}", text[2..].to_uppercase());
            assert_eq!(capital.parse::<EthAddress>().unwrap(), address);
        }
    }

    #[test]
    fn a_wrong_address_is_told_what_is_wrong_with_it() {
        let parse = |text: &str| text.parse::<EthAddress>().unwrap_err();
        let swapped = GOOD[0].replace("Aeb", "aeb");
        assert_eq!(parse(&swapped), EthAddressError::Checksum);
        assert_eq!(parse(&GOOD[0][..41]), EthAddressError::Length(39));
        assert_eq!(parse(&format!("{}0", GOOD[0])), EthAddressError::Length(41));
        assert_eq!(parse("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"), EthAddressError::NoPrefix);
        assert_eq!(parse(&GOOD[0][2..]), EthAddressError::NoPrefix);
        assert_eq!(parse("0x5aAg"), EthAddressError::Digit('g', 3));
        assert_eq!(parse(&format!("0x{}", "0".repeat(40))), EthAddressError::Zero);
        assert_eq!(parse("0x"), EthAddressError::Length(0));
    }

    proptest! {
        #[test]
        fn one_changed_case_is_noticed(bytes: [u8; 20], at in 2usize..42) {
            let good = EthAddress(bytes).to_string();
            let mut bad: Vec<char> = good.chars().collect();
            let c = bad[at];
            bad[at] = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            let bad: String = bad.into_iter().collect();
            let is_mixed = bad[2..].chars().any(|c| c.is_ascii_uppercase())
                && bad[2..].chars().any(|c| c.is_ascii_lowercase());
            prop_assume!(bad != good && is_mixed);
            prop_assert_eq!(bad.parse::<EthAddress>(), Err(EthAddressError::Checksum));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,50}") {
            let _ = text.parse::<EthAddress>();
        }
    }
}
