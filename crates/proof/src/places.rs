//! Where rewards may go: published before work is done for it, so that nobody can decide afterwards whom a block pays.
//!
//! An epoch's entry names a file of places; jobs whose stamp holds that entry's checkpoint pay to these and to no others.
//! A place is the house's, or an owner's who is paid in the coinbase itself: then it is for jobs of that owner's own
//! machines alone, so that work which backs what the house has sold pays the house.
//!
//! Of a block that pays an owner the house may take a fee: the list says which part, and below which amount none is taken, so
//! the amounts are bound beforehand as the places are.
//!
//! An owner may have named several scripts with parts, as partners in a machine do: then their place is that of all of them
//! together, and the amounts of a job have to be these parts of what the house leaves, to the last unit ([`Payees`]).
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
/// With places of several scripts, and a fee or none.
const MAGIC_PARTS: &[u8; 8] = b"GRUVPLC3";

/// Places of a lane at most: a job is made for each that is in use, and a reader holds the hashes of all.
pub const PLACES_MAX: usize = 1_024;

/// A place, as the file has it: the house's without an owner.
#[must_use]
pub fn place(lane: &LaneId, whose: Option<AccountId>, script: &[u8]) -> Hash {
    let id = whose.map_or([0; 16], AccountId::to_bytes);
    hashed(lane, u8::from(whose.is_some()), id, script)
}

fn hashed(lane: &LaneId, kind: u8, id: [u8; 16], what: &[u8]) -> Hash {
    let lane = lane.as_str().as_bytes();
    // A lane's name has at most 16 bytes by its type.
    let len = [u8::try_from(lane.len()).unwrap_or(u8::MAX)];
    sha256(&[b"gruve place 1\0", &len, lane, &[kind], &id, what])
}

/// Scripts of one owner at most that a block pays: each is an output in every job of that owner's machines, of 43 bytes at
/// most in the usual forms.
pub const PAYEES_MAX: usize = 8;

/// Of less than so many units amounts do not tell parts in basis points from each other: it is not shared.
pub const SHARED_MIN: u64 = 10_000;

/// Whom the block of an owner's machine pays of what the house leaves: one script, or several in parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payees {
    /// Gets what the others leave.
    pub script: Vec<u8>,
    /// The others, in the outputs' order, and their parts, each rounded down.
    pub others: Vec<(Vec<u8>, Bps)>,
}

impl Payees {
    /// One script that gets all.
    #[must_use]
    pub const fn one(script: Vec<u8>) -> Payees {
        Payees { script, others: Vec::new() }
    }

    /// Those that outputs in this order pay, by what they are worth; `None` where these are no parts.
    #[must_use]
    pub fn of_outputs(outputs: &[(&[u8], u64)]) -> Option<Payees> {
        let values: Vec<u64> = outputs.iter().map(|(_, value)| *value).collect();
        let parts = parts_of(&values)?;
        let (first, others) = outputs.split_first()?;
        let others = others.iter().map(|(script, _)| script.to_vec());
        Some(Payees { script: first.0.to_vec(), others: others.zip(parts).collect() })
    }

    /// Their place, as the file has it.
    #[must_use]
    pub fn place(&self, lane: &LaneId, owner: AccountId) -> Hash {
        if self.others.is_empty() {
            return place(lane, Some(owner), &self.script);
        }
        // The first's part is what the others leave.
        let mut all = vec![u8::try_from(1 + self.others.len()).unwrap_or(u8::MAX)];
        let mut put = |script: &[u8]| {
            all.extend(u32::try_from(script.len()).unwrap_or(u32::MAX).to_be_bytes());
            all.extend(script);
        };
        put(&self.script);
        self.others.iter().for_each(|(script, _)| put(script));
        self.others.iter().for_each(|(_, part)| all.extend(part.get().to_be_bytes()));
        hashed(lane, 2, owner.to_bytes(), &all)
    }
}

/// The parts of all but the first that outputs of these values are: 2 to [`PAYEES_MAX`] of them, each worth something, of
/// [`SHARED_MIN`] or more together. From there on a value is of one part at most.
#[must_use]
pub fn parts_of(values: &[u64]) -> Option<Vec<Bps>> {
    let (_, others) = values.split_first().filter(|_| (2..=PAYEES_MAX).contains(&values.len()))?;
    let whole = values.iter().try_fold(0_u64, |sum, v| sum.checked_add(*v))?;
    if whole < SHARED_MIN || values.contains(&0) {
        return None;
    }
    let part = |value: u64| {
        let bps = (u128::from(value) * u128::from(Bps::ONE)).div_ceil(u128::from(whole));
        let bps = Bps::new(u16::try_from(bps).ok()?)?;
        (bps.of(whole.into()) == u128::from(value)).then_some(bps)
    };
    let parts: Vec<Bps> = others.iter().map(|v| part(*v)).collect::<Option<_>>()?;
    let sum: u32 = parts.iter().map(|p| u32::from(p.get())).sum();
    (sum < u32::from(Bps::ONE)).then_some(parts)
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
    /// Some are of several scripts.
    has_parts: bool,
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
        let (lane, fee) = (lane.clone(), HouseFee::default());
        fits.then_some(Places { lane, fee, has_parts: false, hashes })
    }

    /// With owners' places; `None` when there are too many.
    #[must_use]
    pub fn paying<'a>(
        mut self,
        owners: impl IntoIterator<Item = (AccountId, &'a Payees)>,
    ) -> Option<Places> {
        for (owner, payees) in owners {
            self.has_parts |= !payees.others.is_empty();
            self.hashes.insert(payees.place(&self.lane, owner));
        }
        (self.hashes.len() <= PLACES_MAX).then_some(self)
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
        out.extend(match (self.has_parts, charges) {
            (true, _) => MAGIC_PARTS,
            (false, true) => MAGIC_FEE,
            (false, false) => MAGIC,
        });
        out.push(u8::try_from(lane.len()).unwrap_or(u8::MAX));
        out.extend(lane);
        if self.has_parts || charges {
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
        let (has_parts, charges) = match w.array::<8>(IN)? {
            magic if magic == *MAGIC => (false, false),
            magic if magic == *MAGIC_FEE => (false, true),
            magic if magic == *MAGIC_PARTS => (true, true),
            _ => return Err(WireError::Malformed("not a file of places")),
        };
        let len = usize::from(w.u8(IN)?);
        if w.bytes(len, IN)? != lane.as_str().as_bytes() {
            return Err(WireError::Malformed("the places of another lane"));
        }
        let mut fee = HouseFee::default();
        if charges {
            let bps = Bps::new(u16::from_be_bytes(w.array(IN)?));
            let bps = bps.ok_or(WireError::Malformed("a fee that takes more than all"))?;
            fee = HouseFee { bps, least: w.u64(IN)? };
            let is_none = fee == HouseFee::default();
            if (bps == Bps::ZERO && !(has_parts && is_none)) || !fee.is_partial() {
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
        Ok(Places { lane: lane.clone(), fee, has_parts, hashes })
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

    /// Whether these are a place of the owner's, in these parts.
    #[must_use]
    pub fn has_payees(&self, owner: AccountId, payees: &Payees) -> bool {
        let is_known = self.has_parts || payees.others.is_empty();
        is_known && self.hashes.contains(&payees.place(&self.lane, owner))
    }

    /// Whether some places are of several scripts.
    #[must_use]
    pub const fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// The first script among a job's outputs to which work of `whose` machines may not pay; `None` where it may pay to all.
    #[must_use]
    pub fn unpublished<'a>(
        &self,
        whose: Option<AccountId>,
        outputs: &'a [(Vec<u8>, u64)],
    ) -> Option<&'a [u8]> {
        let (other, _) = outputs.iter().find(|(script, _)| !self.allow(whose, script))?;
        let own = outputs.iter().filter(|(script, _)| !self.has(None, script));
        let own: Vec<_> = own.map(|(script, value)| (script.as_slice(), *value)).collect();
        let shared = whose.zip(Payees::of_outputs(&own));
        let is_shared = shared.is_some_and(|(owner, payees)| self.has_payees(owner, &payees));
        (!is_shared).then_some(other)
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

    fn kari() -> AccountId {
        AccountId::from_bytes([1; 16])
    }

    /// A script that gets what two others leave.
    fn partners(one: u16, other: u16) -> Payees {
        let [one, other] = [one, other].map(|bps| Bps::new(bps).unwrap());
        Payees { script: vec![0x52], others: vec![(vec![0x53], one), (vec![0x54], other)] }
    }

    fn sharing(fee: HouseFee) -> Places {
        let house = Places::new(&lane("btc"), [(None, &[0x51][..])]).unwrap();
        let own = partners(3_000, 500);
        house.charging(fee).unwrap().paying([(kari(), &own)]).unwrap()
    }

    #[test]
    fn partners_are_paid_their_parts_to_the_last_unit_and_nobody_else_in_their_place() {
        let list = sharing(HouseFee::default());
        let pays = |values: [u64; 3], whose: Option<AccountId>| {
            let scripts = [vec![0x52], vec![0x53], vec![0x54]];
            let outputs: Vec<_> = scripts.into_iter().zip(values).collect();
            list.unpublished(whose, &outputs).is_none()
        };
        let exact = [203_125_001, 93_750_000, 15_625_000];
        // 312,500,001 in 65, 30 and 5 of 100, rounded down for all but the first.
        assert!(pays(exact, Some(kari())));
        assert!(!pays(exact, None) && !pays(exact, Some(AccountId::from_bytes([2; 16]))));
        for [a, b, c] in [
            [203_125_002, 93_749_999, 15_625_000],
            [203_125_000, 93_750_001, 15_625_000],
            [203_125_000, 93_750_000, 15_625_001],
            [15_625_000, 93_750_000, 203_125_001],
        ] {
            assert!(!pays([a, b, c], Some(kari())), "{a} {b} {c}");
        }
        // Not in another order, nor without one of them, nor one alone.
        let of = |all: &[(u8, u64)]| {
            let outputs: Vec<_> = all.iter().map(|(s, v)| (vec![*s], *v)).collect();
            list.unpublished(Some(kari()), &outputs).map(<[u8]>::to_vec)
        };
        assert_eq!(of(&[(0x52, 100)]), Some(vec![0x52]));
        assert_eq!(of(&[(0x52, 700_000), (0x53, 300_000)]), Some(vec![0x52]));
        assert_eq!(of(&[(0x53, 300_000), (0x52, 650_000), (0x54, 50_000)]), Some(vec![0x53]));
        // The house's are no part of it, wherever they stand.
        assert_eq!(of(&[(0x51, 9), (0x52, 650_000), (0x53, 300_000), (0x54, 50_000)]), None);
    }

    #[test]
    fn amounts_tell_one_part_or_none() {
        let parts = |values: &[u64]| {
            parts_of(values).map(|all| all.into_iter().map(Bps::get).collect::<Vec<_>>())
        };
        assert_eq!(parts(&[7_000, 3_000]), Some(vec![3_000]));
        assert_eq!(parts(&[6_999, 3_000]), None, "too little to tell");
        assert_eq!(parts(&[9_999, 1]), Some(vec![1]));
        assert_eq!(parts(&[1, 9_999]), Some(vec![9_999]));
        assert_eq!(parts(&[20_000, 1]), None, "no whole basis point");
        assert_eq!(parts(&[u64::MAX, 1]), None);
        assert_eq!(parts(&[10_000]), None);
        assert_eq!(parts(&[10_000, 0]), None);
        assert_eq!(parts(&[]), None);
        assert_eq!(parts(&[20_000; 8]), Some(vec![1_250; 7]));
        assert_eq!(parts(&[20_000; 9]), None);
        for whole in [10_000_u64, 10_001, 312_499_999, u64::MAX] {
            for bps in [1, 2, 3_333, 9_998, 9_999] {
                let own = u64::try_from(Bps::new(bps).unwrap().of(whole.into())).unwrap();
                assert_eq!(parts(&[whole - own, own]), Some(vec![bps]), "{bps} of {whole}");
            }
        }
    }

    #[test]
    fn a_list_of_partners_has_a_form_of_its_own() {
        let fee = HouseFee { bps: Bps::new(50).unwrap(), least: 546 };
        for list in [sharing(HouseFee::default()), sharing(fee)] {
            let bytes = list.encode();
            assert_eq!(bytes[..8], *b"GRUVPLC3");
            assert_eq!(Places::read(bytes.as_slice(), &lane("btc")).unwrap(), list);
            for at in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[at / 8] ^= 1 << (at % 8);
                let other = Places::read(changed.as_slice(), &lane("btc"));
                assert!(other.is_err() || other.is_ok_and(|o| o != list), "bit {at}");
            }
            // Read as a form that knows no parts, it allows none.
            let mut older = list.clone();
            older.has_parts = false;
            assert!(list.has_payees(kari(), &partners(3_000, 500)));
            assert!(!older.has_payees(kari(), &partners(3_000, 500)));
            assert!(!list.has_payees(kari(), &partners(500, 3_000)));
        }
        let mut least = sharing(HouseFee::default()).encode();
        least[21] = 1;
        assert!(Places::read(least.as_slice(), &lane("btc")).is_err(), "of no fee");
        let one = Places::new(&lane("btc"), [(None, &[0x51][..])]).unwrap();
        let own = one.clone().paying([(kari(), &Payees::one(vec![0x52]))]).unwrap();
        let same = Places::new(&lane("btc"), [(None, &[0x51][..]), (Some(kari()), &[0x52])]);
        assert_eq!(own, same.unwrap(), "one script has the place that it always had");
        let many: Vec<Payees> = (0..PLACES_MAX)
            .map(|n| Payees::one(u32::try_from(n).unwrap().to_be_bytes().to_vec()))
            .collect();
        let most = |n: usize| one.clone().paying(many[..n].iter().map(|p| (kari(), p)));
        assert!(most(PLACES_MAX - 1).is_some() && most(PLACES_MAX).is_none());
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
