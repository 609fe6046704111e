//! Reading bytes that somebody else wrote: nothing is allocated for a count that the limits do not allow.

use std::io::{self, Read};

/// Why bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// They end inside a field.
    #[error("the bytes end inside {0}")]
    Short(&'static str),
    /// They say something that the format does not allow.
    #[error("{0}")]
    Malformed(&'static str),
    /// They could not be read at all.
    #[error("reading: {0}")]
    Io(io::Error),
}

/// Reads big-endian fields.
#[derive(Debug)]
pub(crate) struct Wire<R> {
    inner: R,
}

impl<R: Read> Wire<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Wire { inner }
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    pub(crate) fn fill(&mut self, to: &mut [u8], what: &'static str) -> Result<(), WireError> {
        self.inner.read_exact(to).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => WireError::Short(what),
            _ => WireError::Io(e),
        })
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], WireError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    pub(crate) fn u128(&mut self, what: &'static str) -> Result<u128, WireError> {
        Ok(u128::from_be_bytes(self.array(what)?))
    }

    /// `len` bytes; the caller has held `len` against its limit.
    pub(crate) fn bytes(&mut self, len: usize, what: &'static str) -> Result<Vec<u8>, WireError> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// Refuses bytes that are left over.
    pub(crate) fn end(&mut self) -> Result<(), WireError> {
        let mut one = [0];
        match self.inner.read(&mut one) {
            Ok(0) => Ok(()),
            Ok(_) => Err(WireError::Malformed("bytes follow the end")),
            Err(e) => Err(WireError::Io(e)),
        }
    }
}

/// A variable-length number: seven bits a byte, the lowest first, in the fewest bytes.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut v: u128) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push((v & 0x7f) as u8);
}

/// Reads a variable-length number and moves on; `None` when it is cut, not in its shortest form or above 2^112.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u128> {
    // Nearly all end within eight bytes, of which the groups are put together side by side.
    if let Some(some) = bytes.first_chunk::<8>() {
        let some = u64::from_le_bytes(*some);
        let stops = !some & 0x8080_8080_8080_8080;
        if stops != 0 {
            let bits = stops.trailing_zeros() + 1;
            let own = some & (u64::MAX >> (u64::BITS - bits));
            if bits > 8 && own >> (bits - 8) == 0 {
                return None;
            }
            let v = own & 0x7f7f_7f7f_7f7f_7f7f;
            let v = (v & 0x7f00_7f00_7f00_7f00) >> 1 | (v & 0x007f_007f_007f_007f);
            let v = (v & 0x3fff_0000_3fff_0000) >> 2 | (v & 0x0000_3fff_0000_3fff);
            let v = (v & 0x0fff_ffff_0000_0000) >> 4 | (v & 0x0000_0000_0fff_ffff);
            *bytes = bytes.get(bits as usize / 8..)?;
            return Some(v.into());
        }
    }
    let mut v = 0u128;
    for i in 0..16u32 {
        let (&b, rest) = bytes.split_first()?;
        *bytes = rest;
        v |= u128::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            return (b != 0 || i == 0).then_some(v);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_has_one_form(v in 0u128..1 << 112) {
            let mut out = Vec::new();
            push_varint(&mut out, v);
            let mut rest = out.as_slice();
            prop_assert_eq!(take_varint(&mut rest), Some(v));
            prop_assert!(rest.is_empty());
            // The same with more behind it.
            let mut longer = out.clone();
            longer.extend([0xff; 9]);
            let mut rest = longer.as_slice();
            prop_assert_eq!((take_varint(&mut rest), rest), (Some(v), &[0xff; 9][..]));
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.push(0);
            prop_assert_eq!(take_varint(&mut out.as_slice()), None);
            out.extend([7; 8]);
            prop_assert_eq!(take_varint(&mut out.as_slice()), None);
        }

        #[test]
        fn a_number_is_read_in_steps_as_it_is_at_once(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0x80)], 0..20)) {
            // What is read at once is read in steps where fewer than eight bytes are left.
            let (mut whole, mut rest) = (bytes.as_slice(), bytes.as_slice());
            let read = take_varint(&mut whole);
            let end = rest.iter().position(|b| b & 0x80 == 0).map_or(rest.len(), |at| at + 1);
            rest = &rest[..end];
            let cut = if end <= 7 { take_varint(&mut rest) } else { read };
            prop_assert_eq!(read, cut);
            if read.is_some() {
                prop_assert_eq!(bytes.len() - whole.len(), end);
            }
        }
    }
}
