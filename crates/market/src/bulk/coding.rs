//! Numbers as few bytes, and back. Pure.
//!
//! A number is written seven bits a byte, the lowest first, the eighth bit set on all but the last.

use crate::MarketError;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut n: u128) {
    loop {
        let low = u8::try_from(n & 0x7f).unwrap_or(0);
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads what was put.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

pub(crate) fn broken() -> MarketError {
    MarketError::Broken("a page that cannot be read".into())
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], MarketError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(broken)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn some(&mut self, n: usize) -> Result<&'a [u8], MarketError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(broken)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u128, MarketError> {
        let (mut n, mut shift) = (0u128, 0u32);
        loop {
            let [byte] = self.bytes()?;
            let part = u128::from(byte & 0x7f);
            // What would fall off at the upper end was never put.
            if shift > 126 || (shift == 126 && part > 3) {
                return Err(broken());
            }
            n |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
            shift += 7;
        }
    }

    pub(super) fn small<T: TryFrom<u128>>(&mut self) -> Result<T, MarketError> {
        T::try_from(self.number()?).map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_writing_and_reading(all in proptest::collection::vec((any::<u128>(), 0u32..128), 0..20)) {
            let all: Vec<u128> = all.into_iter().map(|(n, shift)| n >> shift).collect();
            let mut bytes = Vec::new();
            for n in &all {
                put(&mut bytes, *n);
            }
            let mut reader = Reader::new(&bytes);
            for n in &all {
                prop_assert_eq!(reader.number().unwrap(), *n);
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn damaged_pages_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(n) = reader.number() {
                // Whatever is read can be written.
                put(&mut Vec::new(), n);
            }
        }
    }
}
