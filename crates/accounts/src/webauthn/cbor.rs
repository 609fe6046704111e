//! The little of CBOR (RFC 8949) that a public key is written in: a map of small integers to integers and
//! byte strings, of definite length. Everything else is refused.

use super::Refused;

/// Reads values from the front of some bytes.
pub(super) struct Reader<'a>(&'a [u8]);

/// A value of a key's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// An integer.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

const CUT: Refused = "the key is cut off";
const STRANGE: Refused = "the key is written in a way that is not understood";

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The major type of the next item and its number.
    fn head(&mut self) -> Result<(u8, u64), Refused> {
        let first = self.take(1)?[0];
        let number = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            wide @ 24..=27 => {
                let bytes = self.take(1 << (wide - 24))?;
                bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b))
            }
            _ => return Err(STRANGE),
        };
        Ok((first >> 5, number))
    }

    /// How many pairs the map that begins here has.
    pub(super) fn map(&mut self) -> Result<u64, Refused> {
        match self.head()? {
            (5, pairs @ 0..=16) => Ok(pairs),
            _ => Err(STRANGE),
        }
    }

    /// The next integer or byte string.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Refused> {
        let (major, number) = self.head()?;
        match major {
            0 => Ok(Value::Int(i64::try_from(number).map_err(|_| STRANGE)?)),
            1 => Ok(Value::Int(-1 - i64::try_from(number).map_err(|_| STRANGE)?)),
            2 => Ok(Value::Bytes(self.take(usize::try_from(number).map_err(|_| CUT)?)?)),
            _ => Err(STRANGE),
        }
    }
}
