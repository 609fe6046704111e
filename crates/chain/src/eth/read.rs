//! Reading the values of Ethereum's JSON-RPC: *quantities* (`0x1b4`) and *data* (`0x` and all their
//! digits).

use super::EthAddress;
use ruint::aliases::U256;
use serde_json::Value;

/// A 64-bit quantity; leading zeros are let pass, signs and spaces are not.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    wide_quantity(text).and_then(|v| u64::try_from(v).ok())
}

/// A quantity of up to 256 bits.
pub(crate) fn wide_quantity(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x")?;
    let is_plain =
        (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_plain.then(|| U256::from_str_radix(digits, 16).ok()).flatten()
}

/// Exactly so many bytes of data.
pub(crate) fn data<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

/// Fields of an object, by their JSON-RPC names; every reader is `None` where the field is not
/// there or not of its kind.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a Value);

impl<'a> Fields<'a> {
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    pub(crate) fn is_null(self, name: &str) -> bool {
        self.0.get(name).is_none_or(Value::is_null)
    }

    pub(crate) fn number(self, name: &str) -> Option<u64> {
        quantity(self.text(name)?)
    }

    pub(crate) fn wide(self, name: &str) -> Option<U256> {
        wide_quantity(self.text(name)?)
    }

    pub(crate) fn hash(self, name: &str) -> Option<[u8; 32]> {
        data(self.text(name)?)
    }

    pub(crate) fn address(self, name: &str) -> Option<EthAddress> {
        data(self.text(name)?).map(EthAddress)
    }

    /// Data of any length up to `max` bytes.
    pub(crate) fn bytes(self, name: &str, max: usize) -> Option<Vec<u8>> {
        let digits = self.text(name)?.strip_prefix("0x")?;
        if digits.len() > 2 * max { None } else { hex::decode(digits).ok() }
    }

    pub(crate) fn list(self, name: &str) -> Option<&'a [Value]> {
        self.0.get(name)?.as_array().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_hexadecimal_with_a_prefix_and_no_sign() {
        assert_eq!(quantity("0x0"), Some(0));
        assert_eq!(quantity("0x1b4"), Some(436));
        assert_eq!(quantity("0xffffffffffffffff"), Some(u64::MAX));
        for bad in ["", "0x", "1b4", "0x+1", "0x-1", "0x 1", "0x10000000000000000", "0xé"] {
            assert_eq!(quantity(bad), None, "{bad:?}");
        }
        assert_eq!(wide_quantity("0x10000000000000000"), Some(U256::from(1_u128 << 64)));
        assert_eq!(wide_quantity(&format!("0x{}", "f".repeat(64))), Some(U256::MAX));
        assert_eq!(wide_quantity(&format!("0x1{}", "0".repeat(64))), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let value = serde_json::json!({ "a": text });
            let fields = Fields(&value);
            let _ = (quantity(&text), data::<32>(&text), fields.bytes("a", 9), fields.list("a"));
        }
    }
}
