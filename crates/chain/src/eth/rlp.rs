//! Recursive length prefix (yellow paper, appendix B): written canonically, read strictly.
//!
//! A value has exactly one encoding here: lengths and numbers with leading zeros, long forms of what
//! fits a short one, and bytes after the end are refused. So what is read and written again has the
//! same hash.

use ruint::aliases::U256;

/// Payloads up to this many bytes have their length in the first byte.
const SHORT_MAX: usize = 55;

/// Why bytes are not such an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RlpError {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// There are bytes after the end, or items after the last.
    #[error("something stands after its end")]
    Long,
    /// A longer encoding than need be.
    #[error("a length or a number is not in its shortest form")]
    NotShortest,
    /// A list where bytes were expected, or the other way about.
    #[error("a list stands where bytes should, or bytes where a list should")]
    Kind,
    /// Bytes of another length than the field has, or a number that does not fit.
    #[error("a field has another length than it should")]
    Size,
}

/// Appends bytes as an item.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [one] if *one < 0x80 => out.push(*one),
        _ => {
            put_head(out, 0x80, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a number as an item: its bytes without leading zeros.
pub fn put_u64(out: &mut Vec<u8>, number: u64) {
    put_trimmed(out, &number.to_be_bytes());
}

/// Appends a number as an item: its bytes without leading zeros.
pub fn put_u256(out: &mut Vec<u8>, number: &U256) {
    put_trimmed(out, &number.to_be_bytes::<32>());
}

fn put_trimmed(out: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    put_bytes(out, bytes.get(zeros..).unwrap_or_default());
}

/// Appends a list whose items are encoded already.
pub fn put_list(out: &mut Vec<u8>, items: &[u8]) {
    put_head(out, 0xc0, items.len());
    out.extend_from_slice(items);
}

/// A list whose items are encoded already.
#[must_use]
pub fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() + 9);
    put_list(&mut out, items);
    out
}

fn put_head(out: &mut Vec<u8>, base: u8, len: usize) {
    if len <= SHORT_MAX {
        // At most 55 above 0xc0.
        out.push(base + u8::try_from(len).unwrap_or(0));
        return;
    }
    let bytes = (len as u64).to_be_bytes();
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    out.push(base + 55 + u8::try_from(digits.len()).unwrap_or(0));
    out.extend_from_slice(digits);
}

/// One item as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list: its items, still encoded.
    List(&'a [u8]),
}

/// Reads items one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of items that stand one after the other.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// A reader of the items of the one list that `bytes` are.
    ///
    /// # Errors
    /// When they are not exactly one list.
    pub fn of_list(bytes: &'a [u8]) -> Result<Self, RlpError> {
        let mut whole = Reader(bytes);
        let items = whole.list()?;
        whole.end()?;
        Ok(items)
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Sure that all was read.
    ///
    /// # Errors
    /// [`RlpError::Long`] when not.
    pub const fn end(&self) -> Result<(), RlpError> {
        if self.is_at_end() { Ok(()) } else { Err(RlpError::Long) }
    }

    /// The next item.
    ///
    /// # Errors
    /// When there is none, or it is not in its shortest form.
    pub fn item(&mut self) -> Result<Item<'a>, RlpError> {
        let (&first, rest) = self.0.split_first().ok_or(RlpError::Short)?;
        let (is_list, long_len, short_len) = match first {
            0..=0x7f => {
                let (one, rest) = self.0.split_at(1);
                self.0 = rest;
                return Ok(Item::Bytes(one));
            }
            0x80..=0xb7 => (false, 0, first - 0x80),
            0xb8..=0xbf => (false, first - 0xb7, 0),
            0xc0..=0xf7 => (true, 0, first - 0xc0),
            0xf8..=0xff => (true, first - 0xf7, 0),
        };
        let (len, rest) = if long_len == 0 {
            (usize::from(short_len), rest)
        } else {
            let digits = rest.get(..usize::from(long_len)).ok_or(RlpError::Short)?;
            let len = usize::try_from(number(digits)?).map_err(|_| RlpError::Short)?;
            if len <= SHORT_MAX {
                return Err(RlpError::NotShortest);
            }
            (len, rest.get(usize::from(long_len)..).unwrap_or_default())
        };
        if rest.len() < len {
            return Err(RlpError::Short);
        }
        let (payload, rest) = rest.split_at(len);
        self.0 = rest;
        match payload {
            _ if is_list => Ok(Item::List(payload)),
            [one] if *one < 0x80 => Err(RlpError::NotShortest),
            _ => Ok(Item::Bytes(payload)),
        }
    }

    /// The next item, which is bytes.
    ///
    /// # Errors
    /// As [`Reader::item`], or when it is a list.
    pub fn bytes(&mut self) -> Result<&'a [u8], RlpError> {
        match self.item()? {
            Item::Bytes(bytes) => Ok(bytes),
            Item::List(_) => Err(RlpError::Kind),
        }
    }

    /// The next item, which is `N` bytes.
    ///
    /// # Errors
    /// As [`Reader::bytes`], or when it has another length.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RlpError> {
        self.bytes()?.try_into().map_err(|_| RlpError::Size)
    }

    /// The next item, which is a list.
    ///
    /// # Errors
    /// As [`Reader::item`], or when it is bytes.
    pub fn list(&mut self) -> Result<Reader<'a>, RlpError> {
        match self.item()? {
            Item::List(items) => Ok(Reader(items)),
            Item::Bytes(_) => Err(RlpError::Kind),
        }
    }

    /// The next item, which is a number of 64 bits.
    ///
    /// # Errors
    /// As [`Reader::bytes`], or when it does not fit or has leading zeros.
    pub fn u64(&mut self) -> Result<u64, RlpError> {
        number(self.bytes()?)
    }

    /// The next item, which is a number of 256 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u256(&mut self) -> Result<U256, RlpError> {
        let bytes = self.bytes()?;
        if bytes.first() == Some(&0) {
            return Err(RlpError::NotShortest);
        }
        if bytes.len() > 32 {
            return Err(RlpError::Size);
        }
        Ok(U256::try_from_be_slice(bytes).unwrap_or_default())
    }

    /// The encoding of the next item, with its head.
    ///
    /// # Errors
    /// As [`Reader::item`].
    pub fn raw(&mut self) -> Result<&'a [u8], RlpError> {
        let before = self.0;
        self.item()?;
        Ok(before.get(..before.len() - self.0.len()).unwrap_or_default())
    }
}

fn number(bytes: &[u8]) -> Result<u64, RlpError> {
    if bytes.first() == Some(&0) {
        return Err(RlpError::NotShortest);
    }
    if bytes.len() > 8 {
        return Err(RlpError::Size);
    }
    Ok(bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, bytes);
        out
    }

    #[test]
    fn the_yellow_papers_examples_come_out() {
        assert_eq!(bytes_of(b"dog"), b"\x83dog");
        assert_eq!(bytes_of(b""), [0x80]);
        assert_eq!(bytes_of(&[0x0f]), [0x0f]);
        assert_eq!(bytes_of(&[0x80]), [0x81, 0x80]);
        assert_eq!(list(&[bytes_of(b"cat"), bytes_of(b"dog")].concat()), b"\xc8\x83cat\x83dog");
        let mut number = Vec::new();
        put_u64(&mut number, 1024);
        put_u64(&mut number, 0);
        assert_eq!(number, [0x82, 0x04, 0x00, 0x80]);
        let long = b"Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        assert_eq!(bytes_of(long)[..2], [0xb8, 56]);
    }

    #[test]
    fn longer_encodings_than_need_be_are_refused() {
        for (bad, error) in [
            (&[0x81, 0x01][..], RlpError::NotShortest),
            (&[0xb8, 0x01, 0xff], RlpError::NotShortest),
            (&[0xb9, 0x00, 0x38], RlpError::NotShortest),
            (&[0x83, 1, 2], RlpError::Short),
            (&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], RlpError::Short),
            (&[], RlpError::Short),
        ] {
            assert_eq!(Reader::new(bad).item(), Err(error), "{bad:x?}");
        }
        assert_eq!(Reader::new(&[0x82, 0, 1]).u64(), Err(RlpError::NotShortest));
        assert_eq!(Reader::new(&[0x00]).u64(), Err(RlpError::NotShortest));
        assert_eq!(Reader::of_list(&[0xc0, 0x80]).err(), Some(RlpError::Long));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: Vec<u8>, n: u64, wide: [u8; 32]) {
            let wide = U256::from_be_bytes(wide);
            let mut items = Vec::new();
            put_bytes(&mut items, &bytes);
            put_u64(&mut items, n);
            put_u256(&mut items, &wide);
            let whole = list(&items);
            let mut reader = Reader::of_list(&whole).unwrap();
            prop_assert_eq!(reader.bytes().unwrap(), &bytes[..]);
            prop_assert_eq!(reader.u64().unwrap(), n);
            prop_assert_eq!(reader.u256().unwrap(), wide);
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn what_is_read_has_no_other_encoding(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            if let Ok(item) = reader.item() {
                let mut again = Vec::new();
                match item {
                    Item::Bytes(b) => put_bytes(&mut again, b),
                    Item::List(items) => put_list(&mut again, items),
                }
                prop_assert!(bytes.starts_with(&again));
            }
        }
    }
}
