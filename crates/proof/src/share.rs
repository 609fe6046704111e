//! The canonical bytes of a share, as they stand under an epoch's share root.
//!
//! | bytes | field (integers big-endian) |
//! |---|---|
//! | 8 | job |
//! | 1 | class |
//! | 1 + 12 | length of extranonce 1 and 2 together, then their bytes, zeros behind |
//! | 4, 4, 4 | header time, nonce, version |
//! | 1 + 16 | owner: 0 and zeros for the house, 1 and the account's id |
//!
//! The first [`IDENTITY_LEN`] bytes tell two shares apart; leaves are sorted, so that a share counted
//! twice would stand beside itself.

use gruve_units::{AccountId, Class, JobId};

/// Bytes of a canonical share.
pub const LEN: usize = IDENTITY_LEN + 17;
/// Bytes that say which work it is; the rest says whose.
pub const IDENTITY_LEN: usize = 8 + 1 + 13 + 12;
/// The most bytes of extranonce.
pub const EXTRANONCE_MAX: usize = 12;

/// A share's canonical bytes.
pub type Canonical = [u8; LEN];

/// What stands in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLeaf<'a> {
    /// The job it solves.
    pub job: JobId,
    /// The class of the job it was issued at.
    pub class: Class,
    /// Extranonce 1 and 2, at most [`EXTRANONCE_MAX`] bytes; what is longer is cut.
    pub extranonce: &'a [u8],
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The header's version.
    pub version: u32,
    /// Whose work it is; `None` for the house.
    pub owner: Option<AccountId>,
}

impl ShareLeaf<'_> {
    /// The bytes.
    #[must_use]
    pub fn canonical(&self) -> Canonical {
        let mut out = [0; LEN];
        out[..8].copy_from_slice(&self.job.0.to_be_bytes());
        out[8] = self.class.k();
        let len = self.extranonce.len().min(EXTRANONCE_MAX);
        out[9] = u8::try_from(len).unwrap_or(0);
        let mut extranonce = [0; EXTRANONCE_MAX];
        extranonce[..len].copy_from_slice(&self.extranonce[..len]);
        put(&mut out, &extranonce, [self.ntime, self.nonce, self.version], self.owner);
        out
    }
}

/// Makes canonical bytes those of another share of the same job and class: extranonce with zeros behind, header time, nonce and
/// version, owner.
pub(crate) fn put(
    share: &mut Canonical,
    extranonce: &[u8; EXTRANONCE_MAX],
    numbers: [u32; 3],
    owner: Option<AccountId>,
) {
    share[10..22].copy_from_slice(extranonce);
    share[22..34].copy_from_slice(numbers.map(u32::to_be_bytes).as_flattened());
    share[34] = u8::from(owner.is_some());
    share[35..].copy_from_slice(&owner.map_or([0; 16], AccountId::to_bytes));
}

/// The part of canonical bytes that says which work it is.
#[must_use]
pub fn identity(share: &Canonical) -> &[u8] {
    &share[..IDENTITY_LEN]
}

/// The job in canonical bytes.
#[must_use]
pub fn job(share: &Canonical) -> JobId {
    let mut id = [0; 8];
    id.copy_from_slice(&share[..8]);
    JobId(u64::from_be_bytes(id))
}

/// The extranonces in canonical bytes.
#[must_use]
pub fn extranonce(share: &Canonical) -> &[u8] {
    &share[10..10 + usize::from(share[9]).min(EXTRANONCE_MAX)]
}

/// The class in canonical bytes; `None` when it is none.
#[must_use]
pub fn class(share: &Canonical) -> Option<Class> {
    Class::new(share[8])
}

/// The owner in canonical bytes; `None` for the house.
#[must_use]
pub fn owner(share: &Canonical) -> Option<AccountId> {
    let mut id = [0; 16];
    id.copy_from_slice(&share[IDENTITY_LEN + 1..]);
    (share[IDENTITY_LEN] == 1).then(|| AccountId::from_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn different_extranonces_never_meet(a in proptest::collection::vec(any::<u8>(), 0..=12), b in proptest::collection::vec(any::<u8>(), 0..=12)) {
            let leaf = |e| ShareLeaf {
                job: JobId(1), class: Class::new(3).unwrap(), extranonce: e, ntime: 1, nonce: 2, version: 3, owner: None,
            }.canonical();
            prop_assert_eq!(leaf(&a) == leaf(&b), a == b);
        }

        #[test]
        fn class_and_owner_are_read_back(k in 0u8..=100, id: [u8; 16], house: bool) {
            let leaf = ShareLeaf {
                job: JobId(1), class: Class::new(k).unwrap(), extranonce: &[], ntime: 1, nonce: 2, version: 3,
                owner: (!house).then(|| AccountId::from_bytes(id)),
            };
            prop_assert_eq!(class(&leaf.canonical()), Some(leaf.class));
            prop_assert_eq!(owner(&leaf.canonical()), leaf.owner);
        }
    }
}
