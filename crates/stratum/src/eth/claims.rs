//! What was counted of one header hash, exactly, and for all sessions of the lane: which nonces, and at
//! which class each part of the nonces counts.
//!
//! All miners get the same header, so the same nonce from two of them is the same hash. And nothing
//! in the hash says its class, so **a nonce's class must be settled before it is hashed**: whoever
//! could choose would hand in his luckiest hashes as hard shares and the rest as easy ones, and be
//! paid nearly twice. So every nonce has one class, and all of them are settled at one moment, before
//! anybody hears of the header:
//!
//! - a part of the nonces that a NiceHash connection has at that moment has the class that this
//!   connection is to have next, whether it can be told at once or not, and even if it goes away;
//! - all others have the lane's free class, whichever connection and dialect they come by, also those
//!   of parts given out later.
//!
//! Nothing that a miner does after that moment changes the class of any nonce of that header.

use crate::limits::ETH_CLAIMS_PER_WORK_MAX;
use gruve_units::Class;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Why a nonce cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotClaimed {
    /// It was before.
    Taken,
    /// No more fit.
    Full,
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

/// The classes that connections are to have next, by their parts.
pub(crate) type Planned = Arc<HashMap<Part, Class>>;

/// The classes of a header's nonces.
#[derive(Debug)]
pub(crate) struct Settled {
    free: Class,
    hardest: Class,
    parts: Planned,
}

impl Settled {
    /// Of nonces in this part, or in none.
    pub(crate) fn class(&self, part: Option<Part>) -> Class {
        let own = part.and_then(|part| self.parts.get(&part)).copied();
        own.unwrap_or(self.free).min(self.hardest)
    }
}

/// What was counted of one header hash.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    settled: OnceLock<Settled>,
    /// An earlier life gave this header, and what parts it gave is forgotten.
    all_free: bool,
    nonces: Mutex<HashSet<u64>>,
}

impl Claims {
    /// With the nonces that an earlier life counted.
    pub(crate) fn of(nonces: HashSet<u64>) -> Claims {
        Claims { nonces: Mutex::new(nonces), all_free: true, ..Claims::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles the classes of all nonces, once; later calls give what the first one settled. Called
    /// before anything of the header is told to anybody. None is above `hardest`.
    pub(crate) fn settle(
        &self,
        free: Class,
        hardest: Class,
        planned: impl FnOnce() -> Planned,
    ) -> &Settled {
        self.settled.get_or_init(|| {
            let parts = if self.all_free { Planned::default() } else { planned() };
            Settled { free, hardest, parts }
        })
    }

    /// The class that a nonce counts at, and whether it was claimed. `free` where nothing is settled.
    pub(crate) fn look(&self, nonce: u64, free: Class) -> (Class, bool) {
        let class = self.settled.get().map_or(free, |s| s.class(Some(Part::of(nonce))));
        (class, self.lock().contains(&nonce))
    }

    /// Claims a nonce, if nobody has. Those that solve a block are so few that they have no bound.
    pub(crate) fn claim(&self, nonce: u64, is_block: bool) -> Result<(), NotClaimed> {
        let mut nonces = self.lock();
        if nonces.contains(&nonce) {
            return Err(NotClaimed::Taken);
        }
        if nonces.len() >= ETH_CLAIMS_PER_WORK_MAX && !is_block {
            return Err(NotClaimed::Full);
        }
        nonces.insert(nonce);
        Ok(())
    }

    /// Gives a nonce back whose share could not be stored.
    pub(crate) fn release(&self, nonce: u64) {
        self.lock().remove(&nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Class = Class::ZERO;

    fn class(k: u8) -> Class {
        Class::new(k).unwrap()
    }

    #[test]
    fn a_nonce_is_claimed_once_until_it_is_released() {
        let claims = Claims::default();
        assert_eq!(claims.claim(7, false), Ok(()));
        assert_eq!(claims.claim(7, true), Err(NotClaimed::Taken));
        claims.release(7);
        assert_eq!(claims.look(7, FREE), (FREE, false));
        assert_eq!(claims.claim(7, false), Ok(()));
    }

    #[test]
    fn claims_are_bounded_and_what_was_claimed_stays_taken() {
        let claims = Claims::of((0..ETH_CLAIMS_PER_WORK_MAX as u64).collect());
        assert_eq!(claims.claim(u64::MAX, false), Err(NotClaimed::Full));
        assert_eq!(claims.claim(3, false), Err(NotClaimed::Taken));
        assert_eq!(claims.claim(u64::MAX, true), Ok(()));
    }

    #[test]
    fn parts_do_not_overlap() {
        assert_eq!(Part::of(0x0001_6a90_9d9b_bc0f), Part(1));
        assert_eq!(Part::of(0xfeff_ffff_ffff_ffff), Part(0xfeff));
        assert_eq!(Part::of(0xff00_0000_0000_0000), Part(0x00ff_0000));
    }

    #[test]
    fn classes_are_settled_once_and_of_an_earlier_lifes_header_all_are_free() {
        let planned = |k: u8| move || Planned::from(HashMap::from([(Part(1), class(k))]));
        let claims = Claims::default();
        claims.settle(class(2), class(9), planned(5));
        let settled = claims.settle(class(3), class(1), planned(7));
        assert_eq!(settled.class(Some(Part(1))), class(5));
        assert_eq!((settled.class(Some(Part(2))), settled.class(None)), (class(2), class(2)));
        assert_eq!(claims.look(1 << 48, FREE).0, class(5));
        let capped = Claims::default();
        assert_eq!(capped.settle(class(2), class(4), planned(5)).class(Some(Part(1))), class(4));
        let earlier = Claims::of(HashSet::new());
        assert_eq!(earlier.settle(class(2), class(9), planned(5)).class(Some(Part(1))), class(2));
    }
}
