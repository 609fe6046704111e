//! Bitcoin's byte forms: compact sizes and a reader that never reads past its end.

use crate::ParseError;

/// Appends a compact size.
pub fn write_compact_size(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfc => out.push(bytes[0]),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend_from_slice(&bytes[..4]);
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends bytes after their length as a compact size.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A usize is at most 64 bits on every target Rust has a standard library for.
    write_compact_size(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// Reads forward through bytes from outside.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What was read since `start`, a position this reader has been at.
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or(&[])
    }

    /// The next byte without moving on.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] when there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], ParseError> {
        let end = self.at.checked_add(n).ok_or(ParseError::Truncated { at: self.at })?;
        let part = self.bytes.get(self.at..end).ok_or(ParseError::Truncated { at: self.at })?;
        self.at = end;
        Ok(part)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| ParseError::Truncated { at })
    }

    /// One byte.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, ParseError> {
        Ok(self.array::<1>()?[0])
    }

    /// A 32-bit little-endian number.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] at the end.
    pub fn u32(&mut self) -> Result<u32, ParseError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A signed 64-bit little-endian number.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] at the end.
    pub fn i64(&mut self) -> Result<i64, ParseError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A compact size in its shortest form, as the nodes require.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] at the end, [`ParseError::LongForm`] when not the shortest.
    pub fn compact_size(&mut self) -> Result<u64, ParseError> {
        let at = self.at;
        let (value, least) = match self.u8()? {
            0xfd => (u64::from(u16::from_le_bytes(self.array()?)), 0xfd),
            0xfe => (u64::from(self.u32()?), 0x1_0000),
            0xff => (u64::from_le_bytes(self.array()?), 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        if value < least { Err(ParseError::LongForm { at }) } else { Ok(value) }
    }

    /// A count of things that take at least `least_bytes` each, refused when the rest of the
    /// bytes cannot hold them, so that no count makes us reserve memory that was not sent.
    ///
    /// # Errors
    /// As [`Reader::compact_size`], and [`ParseError::Truncated`] when there cannot be so many.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, ParseError> {
        let at = self.at;
        let count = self.compact_size()?;
        let most = self.remaining() / least_bytes.max(1);
        usize::try_from(count).ok().filter(|&n| n <= most).ok_or(ParseError::Truncated { at })
    }

    /// Bytes after their length.
    ///
    /// # Errors
    /// As [`Reader::count`].
    pub fn bytes(&mut self) -> Result<&'a [u8], ParseError> {
        let n = self.count(1)?;
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn compact_sizes_survive_writing_and_reading(v: u64) {
            for v in [v, v >> 32, v >> 48, v >> 56] {
                let mut out = Vec::new();
                write_compact_size(&mut out, v);
                let mut r = Reader::new(&out);
                prop_assert_eq!(r.compact_size().unwrap(), v);
                prop_assert_eq!(r.remaining(), 0);
            }
        }

        #[test]
        fn a_count_is_never_more_than_the_bytes_left(bytes: Vec<u8>, least in 1usize..50) {
            let mut r = Reader::new(&bytes);
            if let Ok(n) = r.count(least) {
                prop_assert!(n * least <= bytes.len());
            }
        }
    }

    #[test]
    fn longer_forms_than_needed_are_refused() {
        for bytes in
            [&[0xfd, 0xfc, 0][..], &[0xfe, 0xff, 0xff, 0, 0], &[0xff, 1, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(matches!(
                Reader::new(bytes).compact_size(),
                Err(ParseError::LongForm { at: 0 })
            ));
        }
    }
}
