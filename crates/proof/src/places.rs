//! Where rewards may go: published before work is done for it, so that nobody can decide afterwards whom a block pays.
//!
//! An epoch's entry names a file of places; jobs whose stamp holds that entry's checkpoint pay to these and to no others.
//! A place is the house's, or an owner's who is paid in the coinbase itself: then it is for jobs of that owner's own
//! machines alone, so that work which backs what the house has sold pays the house.
//!
//! The file holds hashes. A script stands in the open in the jobs that pay to it, as on the chain; an owner whose machines have
//! not worked for one is not named by the list.

use crate::wire::{Wire, WireError};
use crate::{Hash, sha256};
use gruve_units::{AccountId, LaneId};
use std::collections::BTreeSet;
use std::io::Read;

const MAGIC: &[u8; 8] = b"GRUVPLC1";

/// Places of a lane at most: a job is made for each that is in use, and a reader holds the hashes of all.
pub const PLACES_MAX: usize = 1_024;

/// A place, as the file has it: the house's without an owner.
#[must_use]
pub fn place(lane: &LaneId, whose: Option<AccountId>, script: &[u8]) -> Hash {
    let lane = lane.as_str().as_bytes();
    // A lane's name has at most 16 bytes by its type.
    let len = [u8::try_from(lane.len()).unwrap_or(u8::MAX)];
    let kind = [u8::from(whose.is_some())];
    let id = whose.map_or([0; 16], AccountId::to_bytes);
    sha256(&[b"gruve place 1\0", &len, lane, &kind, &id, script])
}

/// The places to which jobs of a lane may pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    lane: LaneId,
    hashes: BTreeSet<Hash>,
}

impl Places {
    /// Of these scripts and whose they are; `None` when there are none or too many.
    #[must_use]
    pub fn new<'a>(
        lane: &LaneId,
        all: impl IntoIterator<Item = (Option<AccountId>, &'a [u8])>,
    ) -> Option<Places> {
        let hashes: BTreeSet<Hash> =
            all.into_iter().map(|(whose, script)| place(lane, whose, script)).collect();
        let fits = (1..=PLACES_MAX).contains(&hashes.len());
        fits.then(|| Places { lane: lane.clone(), hashes })
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lane = self.lane.as_str().as_bytes();
        let mut out = Vec::with_capacity(32 + 32 * self.hashes.len());
        out.extend(MAGIC);
        out.push(u8::try_from(lane.len()).unwrap_or(u8::MAX));
        out.extend(lane);
        // At most `PLACES_MAX` by construction.
        out.extend(u32::try_from(self.hashes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(self.hashes.iter().flatten());
        out
    }

    /// From a lane's whole file.
    ///
    /// # Errors
    /// When it is none, or another lane's.
    pub fn read(file: impl Read, lane: &LaneId) -> Result<Places, WireError> {
        const IN: &str = "a file of places";
        let mut w = Wire::new(file);
        if w.array::<8>(IN)? != *MAGIC {
            return Err(WireError::Malformed("not a file of places"));
        }
        let len = usize::from(w.u8(IN)?);
        if w.bytes(len, IN)? != lane.as_str().as_bytes() {
            return Err(WireError::Malformed("the places of another lane"));
        }
        let count = usize::try_from(w.u32(IN)?).unwrap_or(usize::MAX);
        if !(1..=PLACES_MAX).contains(&count) {
            return Err(WireError::Malformed("no places, or more than the limit"));
        }
        let mut hashes = BTreeSet::new();
        for _ in 0..count {
            let hash = w.array(IN)?;
            if hashes.last().is_some_and(|last| *last >= hash) {
                return Err(WireError::Malformed("places that are not sorted"));
            }
            hashes.insert(hash);
        }
        w.end()?;
        Ok(Places { lane: lane.clone(), hashes })
    }

    /// Whether work of `whose` machines may pay to this script.
    #[must_use]
    pub fn has(&self, whose: Option<AccountId>, script: &[u8]) -> bool {
        self.hashes.contains(&place(&self.lane, whose, script))
    }

    /// Whether a block found by `whose` machines may pay to this script: to the house's places everybody's may.
    #[must_use]
    pub fn allow(&self, whose: Option<AccountId>, script: &[u8]) -> bool {
        self.has(None, script) || (whose.is_some() && self.has(whose, script))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> LaneId {
        name.parse().unwrap()
    }

    #[test]
    fn a_place_is_for_its_lane_and_whose_it_is() {
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let all = [(None, &[0x51][..]), (Some(one), &[0x52][..])];
        let places = Places::new(&lane("btc"), all).unwrap();
        assert!(places.allow(None, &[0x51]) && places.allow(Some(other), &[0x51]));
        assert!(places.allow(Some(one), &[0x52]));
        assert!(!places.allow(None, &[0x52]) && !places.allow(Some(other), &[0x52]));
        // An owner whose id is zeros is not the house.
        let zeros =
            Places::new(&lane("btc"), [(Some(AccountId::from_bytes([0; 16])), &[0x51][..])]);
        assert!(!zeros.unwrap().allow(None, &[0x51]));
        assert_ne!(place(&lane("btc"), None, &[1]), place(&lane("ltc"), None, &[1]));
    }

    #[test]
    fn a_file_has_one_form() {
        let scripts: Vec<[u8; 2]> = (0..9).map(|n| [0x51, n]).collect();
        let places = Places::new(&lane("btc"), scripts.iter().map(|s| (None, &s[..]))).unwrap();
        let bytes = places.encode();
        assert_eq!(Places::read(bytes.as_slice(), &lane("btc")).unwrap(), places);
        assert!(Places::read(bytes.as_slice(), &lane("ltc")).is_err());
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let other = Places::read(changed.as_slice(), &lane("btc"));
            assert!(other.is_err() || other.is_ok_and(|o| o != places), "bit {at}");
        }
        for cut in 0..bytes.len() {
            assert!(Places::read(&bytes[..cut], &lane("btc")).is_err());
        }
    }

    #[test]
    fn none_and_too_many_are_refused() {
        let most = u32::try_from(PLACES_MAX).unwrap();
        let many: Vec<[u8; 4]> = (0..=most).map(u32::to_be_bytes).collect();
        let of = |n: usize| Places::new(&lane("btc"), many[..n].iter().map(|s| (None, &s[..])));
        assert!(of(0).is_none() && of(PLACES_MAX).is_some() && of(PLACES_MAX + 1).is_none());
        let head = |n: u32| [&b"GRUVPLC1\x03btc"[..], &n.to_be_bytes(), &[0; 32]].concat();
        assert!(Places::read(head(1).as_slice(), &lane("btc")).is_ok());
        for n in [0, most + 1, u32::MAX] {
            assert!(Places::read(head(n).as_slice(), &lane("btc")).is_err());
        }
        // With as many hashes as they say.
        let whole = |n: u32| {
            let mut bytes = head(n)[..8 + 4 + 4].to_vec();
            (0..n).for_each(|n| bytes.extend([[0; 28].as_slice(), &n.to_be_bytes()].concat()));
            Places::read(bytes.as_slice(), &lane("btc")).is_ok()
        };
        assert!(!whole(0) && whole(1) && whole(most) && !whole(most + 1));
    }

    #[test]
    fn places_out_of_order_or_twice_are_refused() {
        let of = |all: &[[u8; 32]]| {
            let count = u32::try_from(all.len()).unwrap().to_be_bytes();
            let bytes = [&b"GRUVPLC1\x03btc"[..], &count, all.as_flattened()].concat();
            Places::read(bytes.as_slice(), &lane("btc")).is_ok()
        };
        assert!(of(&[[1; 32], [2; 32]]));
        assert!(!of(&[[2; 32], [1; 32]]) && !of(&[[1; 32], [1; 32]]));
    }
}
