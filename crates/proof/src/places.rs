//! Where rewards may go: published before work is done for it, so that nobody can decide afterwards whom a block pays.
//!
//! An epoch's entry names a file of places; jobs whose stamp holds that entry's checkpoint pay to these and to no others.
//! A place is the house's, or an owner's who is paid in the coinbase itself: then it is for jobs of that owner's own
//! machines alone, so that work which backs what the house has sold pays the house.
//!
//! Of a block that pays an owner the house may take a fee: the list says which part, and below which amount none is taken, so
//! the amounts are bound beforehand as the places are.
//!
//! The file holds hashes. A script stands in the open in the jobs that pay to it, as on the chain; an owner whose machines have
//! not worked for one is not named by the list.

use crate::wire::{Wire, WireError};
use crate::{Hash, sha256};
use gruve_units::{AccountId, Bps, LaneId};
use std::collections::BTreeSet;
use std::io::Read;

const MAGIC: &[u8; 8] = b"GRUVPLC1";
/// With a fee of the house's.
const MAGIC_FEE: &[u8; 8] = b"GRUVPLC2";

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

/// What the house takes of a block that pays an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HouseFee {
    /// The part of the whole block, rounded down. Never all of it.
    pub bps: Bps,
    /// An output below this is not made: the owner then gets the whole block.
    pub least: u64,
}

impl HouseFee {
    /// What the house gets of a block that is worth `whole`; the owner gets the rest.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        // A part of a u64 fits one.
        let part = u64::try_from(self.bps.of(whole.into())).unwrap_or(whole);
        if part < self.least { 0 } else { part }
    }

    const fn is_partial(self) -> bool {
        self.bps.get() < Bps::ONE
    }
}

/// The places to which jobs of a lane may pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    lane: LaneId,
    fee: HouseFee,
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
        fits.then(|| Places { lane: lane.clone(), fee: HouseFee::default(), hashes })
    }

    /// With a fee of the house's; `None` where that leaves owners nothing.
    #[must_use]
    pub fn charging(self, fee: HouseFee) -> Option<Places> {
        let fee = if fee.bps == Bps::ZERO { HouseFee::default() } else { fee };
        fee.is_partial().then_some(Places { fee, ..self })
    }

    /// What the house takes of a block that pays an owner.
    #[must_use]
    pub const fn fee(&self) -> HouseFee {
        self.fee
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lane = self.lane.as_str().as_bytes();
        let mut out = Vec::with_capacity(32 + 32 * self.hashes.len());
        let charges = self.fee.bps > Bps::ZERO;
        out.extend(if charges { MAGIC_FEE } else { MAGIC });
        out.push(u8::try_from(lane.len()).unwrap_or(u8::MAX));
        out.extend(lane);
        if charges {
            out.extend(self.fee.bps.get().to_be_bytes());
            out.extend(self.fee.least.to_be_bytes());
        }
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
        let charges = match w.array::<8>(IN)? {
            magic if magic == *MAGIC => false,
            magic if magic == *MAGIC_FEE => true,
            _ => return Err(WireError::Malformed("not a file of places")),
        };
        let len = usize::from(w.u8(IN)?);
        if w.bytes(len, IN)? != lane.as_str().as_bytes() {
            return Err(WireError::Malformed("the places of another lane"));
        }
        let mut fee = HouseFee::default();
        if charges {
            let bps = Bps::new(u16::from_be_bytes(w.array(IN)?)).unwrap_or(Bps::ZERO);
            fee = HouseFee { bps, least: w.u64(IN)? };
            if bps == Bps::ZERO || !fee.is_partial() {
                return Err(WireError::Malformed("a fee that is none, or takes all"));
            }
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
        Ok(Places { lane: lane.clone(), fee, hashes })
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
    fn a_fee_is_bound_by_the_file() {
        let fee = |bps, least| HouseFee { bps: Bps::new(bps).unwrap(), least };
        let plain = Places::new(&lane("btc"), [(None, &[0x51][..])]).unwrap();
        assert_eq!(plain.clone().charging(fee(0, 546)).unwrap(), plain);
        assert!(plain.clone().charging(fee(10_000, 1)).is_none());
        let charging = plain.clone().charging(fee(9_999, 546)).unwrap();
        let bytes = charging.encode();
        assert_eq!(bytes[..8], *b"GRUVPLC2");
        assert_eq!(Places::read(bytes.as_slice(), &lane("btc")).unwrap(), charging);
        for bps in [0u16, 10_000, 10_001, u16::MAX] {
            let mut other = bytes.clone();
            other[12..14].copy_from_slice(&bps.to_be_bytes());
            assert!(Places::read(other.as_slice(), &lane("btc")).is_err(), "{bps}");
        }
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let other = Places::read(changed.as_slice(), &lane("btc"));
            assert!(other.is_err() || other.is_ok_and(|o| o != charging), "bit {at}");
        }
        // Half a percent of 312,500,000, and of what is too little for an output.
        assert_eq!(fee(50, 546).of(312_500_000), 1_562_500);
        assert_eq!(fee(50, 546).of(109_200), 546);
        assert_eq!(fee(50, 546).of(109_199), 0);
        assert_eq!(fee(9_999, 0).of(u64::MAX), u64::MAX - u64::MAX / 10_000 - 1);
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
