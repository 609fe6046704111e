//! How a hosting contract came to its end before its term, or without one.

use super::terms::HostingTerms;
use crate::replay::must;
use serde::{Deserialize, Serialize};

/// Who ended a contract before its term, or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// Its owner.
    Owner,
    /// The operator.
    Operator,
    /// Its owner handed the machine on: another contract goes on from there.
    HandedOn,
    /// The payment that it was bought with was taken back.
    ChargedBack,
}

impl EndedBy {
    /// As written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EndedBy::Owner => "owner",
            EndedBy::Operator => "operator",
            EndedBy::HandedOn => "handed-on",
            EndedBy::ChargedBack => "charged-back",
        }
    }

    /// What is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<EndedBy> {
        [EndedBy::Owner, EndedBy::Operator, EndedBy::HandedOn, EndedBy::ChargedBack]
            .into_iter()
            .find(|e| e.name() == name)
    }
}

/// That a contract was ended, and what came back for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingEnd {
    /// A fact: by whom.
    pub by: EndedBy,
    /// A fact: when, microseconds UTC since 1970.
    pub at_us: i64,
    /// The first epoch that is no longer its own.
    pub epoch: u64,
    /// How many epochs were left of its term; 0 without one.
    pub epochs_left: u64,
    /// What came back of the price of a lease, in the asset that it was paid in.
    pub back_minor: i64,
}

impl HostingEnd {
    /// Whether the terms have to allow it.
    const fn is_agreed(&self) -> bool {
        matches!(self.by, EndedBy::Owner | EndedBy::Operator)
    }

    /// Recomputes it from the terms of a contract that began with `start`.
    ///
    /// # Errors
    /// What does not follow.
    pub fn check(&self, terms: &HostingTerms, start: u64) -> Result<(), String> {
        let term_end = terms.term_end(start);
        let left = match term_end {
            None => 0,
            Some(end) => end.checked_sub(self.epoch).ok_or("it was ended after its term")?,
        };
        must("epochs_left", self.epochs_left, left)?;
        if terms.end_rule.is_none() && term_end.is_some() && self.is_agreed() {
            return Err("the terms do not let it be ended within its term".to_owned());
        }
        let back = match (&terms.back, self.by) {
            (Some(back), EndedBy::Operator) => back.of(left)?,
            (back, EndedBy::ChargedBack) => {
                // Less what was lost, of which the terms say nothing.
                let most = match (terms.kind.as_str(), back) {
                    ("sold", _) => terms.price_minor,
                    (_, Some(back)) => back.of(left)?,
                    _ => 0,
                };
                if !(0..=most).contains(&self.back_minor) {
                    return Err("more came back than was left of the price".to_owned());
                }
                self.back_minor
            }
            _ => 0,
        };
        must("back_minor", self.back_minor, back)
    }
}
