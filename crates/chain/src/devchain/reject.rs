//! A refusal in Bitcoin Core's words.

use std::borrow::Cow;
use std::fmt;

/// Why a block or a transaction is not taken. The reason is Core's string, which callers compare;
/// the detail is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Core's reason, such as `high-hash`.
    pub reason: Cow<'static, str>,
    /// What exactly, or nothing.
    pub detail: String,
}

impl Reject {
    /// A refusal without detail.
    pub(crate) const fn new(reason: &'static str) -> Reject {
        Reject { reason: Cow::Borrowed(reason), detail: String::new() }
    }

    /// A refusal with detail.
    pub(crate) fn with(reason: &'static str, detail: String) -> Reject {
        Reject { reason: Cow::Borrowed(reason), detail }
    }

    /// A refusal whose reason itself carries detail, as some of Core's do.
    pub(crate) const fn said(reason: String) -> Reject {
        Reject { reason: Cow::Owned(reason), detail: String::new() }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ", {}", self.detail) }
    }
}

impl std::error::Error for Reject {}
