//! A channel: one machine's work, or a proxy's for many.

use super::jobs::Given;
use crate::machines::Authorized;
use crate::places::ChannelPlace;
use crate::vardiff::Vardiff;
use gruve_units::{Class, Target};

/// What a channel's client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Headers only: the whole extranonce is ours.
    Standard,
    /// It rolls eight bytes of extranonce.
    Extended,
}

/// What a channel's client takes for the chain's tip. A change of the bits alone must be told like
/// a new block: there is no other message for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) prev_hash: [u8; 32],
    pub(crate) bits: u32,
    /// The earliest time told with it: clients refuse jobs that begin before.
    pub(crate) min_ntime: u32,
}

/// Accepted shares that wait for their acknowledgement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unacknowledged {
    pub(crate) count: u32,
    pub(crate) last_sequence: u32,
    /// Hashes; what is less than one difficulty is carried on.
    pub(crate) work: u128,
}

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    pub(crate) who: Authorized,
    /// The first bytes of its extranonce.
    pub(crate) prefix: [u8; 4],
    /// The easiest class the client accepts.
    pub(crate) floor: Class,
    pub(crate) vardiff: Vardiff,
    /// The class last noted for the next time.
    pub(crate) noted: Option<Class>,
    /// Whether it begins at the class that its machine had the last time.
    pub(crate) trusted: bool,
    /// The class to give from the next job on.
    pub(crate) wanted: Class,
    /// The class of the last target told.
    pub(crate) told: Class,
    /// `None` before the first job.
    pub(crate) tip: Option<Tip>,
    /// Oldest first.
    pub(crate) given: Vec<Given>,
    pub(crate) accepted: u64,
    pub(crate) unacknowledged: Unacknowledged,
    /// Given back when it goes.
    pub(crate) _place: ChannelPlace,
}

impl Channel {
    pub(crate) fn given(&self, number: u32) -> Option<&Given> {
        self.given.iter().rev().find(|g| g.number == number)
    }

    /// The prefixes with which shares may still come from it, some of them more than once.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = [u8; 4]> {
        self.given.iter().map(|g| g.prefix).chain([self.prefix])
    }

    /// How many shares are remembered.
    pub(crate) fn held(&self) -> usize {
        self.given.iter().map(Given::held).sum()
    }

    /// The whole extranonce of headers-only work.
    pub(crate) fn standard_extranonce(prefix: [u8; 4]) -> [u8; 12] {
        let mut extranonce = [0; 12];
        extranonce[..4].copy_from_slice(&prefix);
        extranonce
    }

    /// Bounds its class by its client's wish and by the lane's; upside down, the lane's counts.
    pub(crate) fn set_range(&mut self, hardest: Class) {
        let easiest = self.floor.min(hardest);
        self.vardiff.set_range((easiest, hardest));
        self.wanted = self.wanted.clamp(easiest, hardest);
    }
}

/// The easiest class whose target is not above `target`; `None` beyond the hardest there is.
pub(crate) fn class_within(target: Target) -> Option<Class> {
    let class = Class::not_harder_than(target);
    if class.target() <= target { Some(class) } else { Class::new(class.k() + 1) }
        .filter(|c| c.target() <= target)
}

/// The class at which `hashrate` hashes a second make a share in about `interval_secs`; `None` for
/// rates that say nothing (zero: no machine is there yet). A float: it chooses a class, never an
/// amount.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn class_of_rate(hashrate: f32, interval_secs: f64) -> Option<Class> {
    let hashes = f64::from(hashrate) * interval_secs;
    if !hashes.is_finite() || hashes < 1.0 {
        return None;
    }
    Class::new(hashes.log2().round().min(f64::from(Class::MAX)) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruint::aliases::U256;

    #[test]
    fn a_class_within_a_target_is_the_easiest_one_that_is_not_easier() {
        assert_eq!(class_within(Target::MAX), Class::new(0));
        for k in 0..=Class::MAX {
            let class = Class::new(k).unwrap();
            assert_eq!(class_within(class.target()), Some(class));
            let below = Target(class.target().0 - U256::from(1));
            assert_eq!(class_within(below), Class::new(k + 1));
        }
        assert_eq!(class_within(Target(U256::ZERO)), None);
    }

    #[test]
    fn a_rate_gives_the_class_of_one_share_an_interval() {
        assert_eq!(class_of_rate(1024.0, 1.0), Class::new(10));
        assert_eq!(class_of_rate(1e14, 5.0), Class::new(49));
        assert_eq!(class_of_rate(f32::MAX, 5.0), Class::new(Class::MAX));
        for nothing in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE] {
            assert_eq!(class_of_rate(nothing, 5.0), None);
        }
    }
}
