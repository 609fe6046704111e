//! What was counted of one header hash, exactly, and for all sessions of the lane: which nonces, and at
//! which class each part of the nonces counts.
//!
//! All miners get the same header, so the same nonce from two of them is the same hash. And nothing
//! in the hash says its class, so **a nonce's class must be settled before it is hashed**: whoever
//! could choose would hand in his luckiest hashes as hard shares and the rest as easy ones, and be
//! paid nearly twice. So every nonce has one class:
//!
//! - a NiceHash connection's part of the nonces has the class that this connection was given;
//! - all others have the lane's free class, whichever connection and dialect they come by.

use crate::limits::ETH_CLAIMS_PER_WORK_MAX;
use gruve_units::Class;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a nonce cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotClaimed {
    /// It was before.
    Taken,
    /// No more fit.
    Full,
    /// It counts at another class by now.
    OtherClass,
}

/// A NiceHash connection's part of the nonces: its first two bytes, or three from `ff0000` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Part(u32);

impl Part {
    /// First value whose parts have three bytes.
    const LONG_FROM: u64 = 0xff00;

    /// The part that a nonce is in.
    pub(crate) fn of(nonce: u64) -> Part {
        let short = nonce >> 48;
        let part = if short < Self::LONG_FROM { short } else { nonce >> 40 };
        // Three bytes at the most.
        Part(u32::try_from(part).unwrap_or(u32::MAX))
    }
}

#[derive(Debug, Default)]
struct Counted {
    nonces: HashSet<u64>,
    classes: HashMap<Part, Class>,
    /// Parts in which something was counted at the free class.
    free: HashSet<Part>,
    /// An earlier life gave this header, and what parts it gave is forgotten.
    all_free: bool,
}

/// What was counted of one header hash.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Counted>);

impl Claims {
    /// With the nonces that an earlier life counted.
    pub(crate) fn of(nonces: HashSet<u64>) -> Claims {
        Claims(Mutex::new(Counted { nonces, all_free: true, ..Counted::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a part to a connection: at the wanted class; or at the one it has, or the free one where
    /// something was counted in it.
    pub(crate) fn assign(&self, part: Part, wanted: Class, free: Class) -> Class {
        let mut counted = self.lock();
        let wanted = if counted.all_free || counted.free.contains(&part) { free } else { wanted };
        *counted.classes.entry(part).or_insert(wanted)
    }

    /// Another class for a part of which the connection that has it has not counted anything; false
    /// where others have, and it stays.
    pub(crate) fn reassign(&self, part: Part, class: Class) -> bool {
        let mut counted = self.lock();
        let is_untouched = !counted.all_free && !counted.free.contains(&part);
        if is_untouched {
            counted.classes.insert(part, class);
        }
        is_untouched
    }

    /// The class that a nonce counts at, and whether it was claimed.
    pub(crate) fn look(&self, nonce: u64, free: Class) -> (Class, bool) {
        let counted = self.lock();
        let class = counted.classes.get(&Part::of(nonce)).copied().unwrap_or(free);
        (class, counted.nonces.contains(&nonce))
    }

    /// Claims a nonce at a class, if nobody has. Those that solve a block are so few that they have
    /// no bound. `is_free`: by a connection without a part of its own.
    pub(crate) fn claim(
        &self,
        nonce: u64,
        class: Class,
        is_free: bool,
        is_block: bool,
    ) -> Result<(), NotClaimed> {
        let mut counted = self.lock();
        let part = Part::of(nonce);
        if counted.nonces.contains(&nonce) {
            return Err(NotClaimed::Taken);
        }
        if counted.classes.get(&part).is_some_and(|own| *own != class) {
            return Err(NotClaimed::OtherClass);
        }
        if counted.nonces.len() >= ETH_CLAIMS_PER_WORK_MAX && !is_block {
            return Err(NotClaimed::Full);
        }
        counted.nonces.insert(nonce);
        if is_free {
            counted.free.insert(part);
        }
        Ok(())
    }

    /// Gives a nonce back whose share could not be stored.
    pub(crate) fn release(&self, nonce: u64) {
        self.lock().nonces.remove(&nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FREE: Class = Class::ZERO;

    fn class(k: u8) -> Class {
        Class::new(k).unwrap()
    }

    #[test]
    fn a_nonce_is_claimed_once_until_it_is_released() {
        let claims = Claims::default();
        assert_eq!(claims.claim(7, FREE, true, false), Ok(()));
        assert_eq!(claims.claim(7, FREE, false, true), Err(NotClaimed::Taken));
        claims.release(7);
        assert_eq!(claims.look(7, FREE), (FREE, false));
        assert_eq!(claims.claim(7, FREE, true, false), Ok(()));
    }

    #[test]
    fn claims_are_bounded_and_what_was_claimed_stays_taken() {
        let claims = Claims::of((0..ETH_CLAIMS_PER_WORK_MAX as u64).collect());
        assert_eq!(claims.claim(u64::MAX, FREE, true, false), Err(NotClaimed::Full));
        assert_eq!(claims.claim(3, FREE, true, false), Err(NotClaimed::Taken));
        assert_eq!(claims.claim(u64::MAX, FREE, true, true), Ok(()));
    }

    #[test]
    fn parts_do_not_overlap() {
        assert_eq!(Part::of(0x0001_6a90_9d9b_bc0f), Part(1));
        assert_eq!(Part::of(0xfeff_ffff_ffff_ffff), Part(0xfeff));
        assert_eq!(Part::of(0xff00_0000_0000_0000), Part(0x00ff_0000));
    }

    proptest! {
        #[test]
        fn a_nonce_counts_at_one_class_whatever_comes_in_whatever_order(
            acts in proptest::collection::vec((0u8..4, 0u64..3, 0u64..4, 0u8..4), 1..60)
        ) {
            let claims = Claims::default();
            let mut held: HashMap<u64, Class> = HashMap::new();
            // The class that each part's nonces were counted at.
            let mut counted: HashMap<u64, Class> = HashMap::new();
            let mut by_owner: HashSet<u64> = HashSet::new();
            for (act, part, nonce, k) in acts {
                let full = part << 48 | nonce;
                match act {
                    0 => {
                        held.insert(part, claims.assign(Part::of(full), class(k), FREE));
                    }
                    1 if held.contains_key(&part) && !by_owner.contains(&part) => {
                        if claims.reassign(Part::of(full), class(k)) {
                            held.insert(part, class(k));
                        }
                    }
                    2 => {
                        let (at, _) = claims.look(full, FREE);
                        if claims.claim(full, at, true, false).is_ok() {
                            prop_assert_eq!(*counted.entry(part).or_insert(at), at);
                        }
                    }
                    _ => if let Some(at) = held.get(&part).copied()
                        && claims.claim(full, at, false, false).is_ok() {
                        by_owner.insert(part);
                        prop_assert_eq!(*counted.entry(part).or_insert(at), at);
                    }
                }
            }
        }
    }
}
