//! Reading members strictly: what is wrong is named by its path, with what was expected.

use serde_json::{Map, Value};
use std::fmt;

/// A member that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InputError {
    member: String,
    expected: String,
    found: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InputError { member, expected, found } = self;
        let member = if member.is_empty() { "the input" } else { member };
        write!(f, "{member}: expected {expected}, found {found}")
    }
}

impl std::error::Error for InputError {}

/// A value and how one came to it.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Member<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Member { value, path: String::new() }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// Member `key`; a missing one is null.
    pub(super) fn get(&self, key: &str) -> Member<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let value = self.value.get(key).unwrap_or(&Value::Null);
        Member { value, path: format!("{}{dot}{key}", self.path) }
    }

    /// The member unless it is missing or null.
    pub(super) fn given(self) -> Option<Member<'a>> {
        (!self.value.is_null()).then_some(self)
    }

    pub(super) fn error(&self, expected: impl Into<String>) -> InputError {
        let found = match self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => format!("the number {}", shortened(&n.to_string())),
            Value::String(s) => {
                format!("{:?} ({} characters)", shortened(s), s.chars().count())
            }
            Value::Array(l) => format!("a list of {}", l.len()),
            Value::Object(_) => "an object".to_owned(),
        };
        InputError { member: self.path.clone(), expected: expected.into(), found }
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, InputError> {
        self.value.as_object().ok_or_else(|| self.error("an object"))
    }

    pub(super) fn list(&self) -> Result<Vec<Member<'a>>, InputError> {
        let list = self.value.as_array().ok_or_else(|| self.error("a list"))?;
        let at = |(i, value)| Member { value, path: format!("{}[{i}]", self.path) };
        Ok(list.iter().enumerate().map(at).collect())
    }

    pub(super) fn text(&self, expected: &str) -> Result<&'a str, InputError> {
        self.value.as_str().ok_or_else(|| self.error(expected))
    }

    /// Bytes in hex, as many as there are.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, InputError> {
        const EXPECTED: &str = "an even number of hex digits";
        hex::decode(self.text(EXPECTED)?).map_err(|_| self.error(EXPECTED))
    }

    /// Exactly `N` bytes in hex.
    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], InputError> {
        let expected = || self.error(format!("{} hex digits ({N} bytes)", 2 * N));
        let text = self.value.as_str().ok_or_else(expected)?;
        let mut out = [0; N];
        hex::decode_to_slice(text, &mut out).map_err(|_| expected())?;
        Ok(out)
    }

    /// A 32-bit word as eight hex digits.
    pub(super) fn word(&self) -> Result<u32, InputError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A whole number that is not negative.
    pub(super) fn integer(&self) -> Result<u64, InputError> {
        self.value.as_u64().ok_or_else(|| self.error("a whole number from 0 to 2^64 - 1"))
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    const MAX: usize = 40;
    let mut short: String = text.chars().take(MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
