//! Which kinds of submit a run sends, and in what parts.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A kind of submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A good share.
    Accepted,
    /// A share of a job that the server has called worthless, or never gave.
    Stale,
    /// A good share once more.
    Duplicate,
    /// A share whose hash misses the target.
    Low,
    /// An extranonce of the wrong length.
    Malformed,
}

impl Kind {
    /// Every kind, in the order of [`Mix`].
    pub const ALL: [Kind; 5] =
        [Kind::Accepted, Kind::Stale, Kind::Duplicate, Kind::Low, Kind::Malformed];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Accepted => "accepted",
            Kind::Stale => "stale",
            Kind::Duplicate => "duplicate",
            Kind::Low => "low",
            Kind::Malformed => "malformed",
        }
    }

    /// The code a server should refuse it with; `None` for a good share.
    #[must_use]
    pub const fn code(self) -> Option<i64> {
        match self {
            Kind::Accepted => None,
            Kind::Stale => Some(21),
            Kind::Duplicate => Some(22),
            Kind::Low => Some(23),
            Kind::Malformed => Some(20),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parts of each kind; they need not sum to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    parts: [u32; 5],
}

impl Default for Mix {
    /// Good shares only.
    fn default() -> Self {
        Mix { parts: [1, 0, 0, 0, 0] }
    }
}

impl Mix {
    /// Whether any of a kind is wanted.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.parts[kind as usize] > 0
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `accepted=90,stale=5,duplicate=5`.
    fn from_str(text: &str) -> Result<Mix, String> {
        let mut parts = [0; 5];
        for item in text.split(',') {
            let (name, part) =
                item.split_once('=').ok_or_else(|| format!("{item:?} is not kind=part"))?;
            let kind =
                Kind::ALL.into_iter().find(|k| k.name() == name.trim()).ok_or_else(|| {
                    format!("no kind {name:?}: accepted, stale, duplicate, low, malformed")
                })?;
            parts[kind as usize] =
                part.trim().parse::<u32>().ok().filter(|p| *p <= 1_000_000).ok_or_else(|| {
                    format!("{part:?} is not a part: a whole number up to 1,000,000")
                })?;
        }
        if parts.iter().all(|p| *p == 0) {
            return Err("a mix needs at least one part above zero".to_owned());
        }
        if parts[Kind::Duplicate as usize] > 0 && parts[Kind::Accepted as usize] == 0 {
            return Err("duplicates need accepted shares to repeat".to_owned());
        }
        Ok(Mix { parts })
    }
}

/// Deals the kinds of a mix evenly: after any number of submits each kind is within one of its part.
#[derive(Clone, Debug)]
pub(crate) struct Dealer {
    mix: Mix,
    total: i64,
    owed: [i64; 5],
}

impl Dealer {
    pub(crate) fn new(mix: Mix) -> Dealer {
        Dealer { mix, total: mix.parts.iter().map(|p| i64::from(*p)).sum(), owed: [0; 5] }
    }

    pub(crate) fn next(&mut self) -> Kind {
        let mut best = 0;
        for (i, part) in self.mix.parts.iter().enumerate() {
            self.owed[i] += i64::from(*part);
            if self.owed[i] > self.owed[best] {
                best = i;
            }
        }
        self.owed[best] -= self.total;
        Kind::ALL[best]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_dealt_in_their_parts() {
        let mut dealer = Dealer::new("accepted=90,stale=6,duplicate=4".parse().unwrap());
        let dealt: Vec<_> = (0..1000).map(|_| dealer.next()).collect();
        let count = |kind| dealt.iter().filter(|k| **k == kind).count();
        assert_eq!(
            (count(Kind::Accepted), count(Kind::Stale), count(Kind::Duplicate)),
            (900, 60, 40)
        );
        assert_eq!(dealt[0], Kind::Accepted, "there is something to repeat");
    }

    #[test]
    fn a_mix_that_makes_no_sense_is_refused() {
        for bad in
            ["", "accepted", "accepted=-1", "good=1", "accepted=0", "duplicate=1", "low=9999999"]
        {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }
}
