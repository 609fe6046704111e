//! The short form of a share that stands behind another in its frame: what it has in common with that
//! one is not written again. Pure; decoding accepts exactly what encoding writes.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | which fields follow: a bit for each that differs from the share before |
//! | 1 | length of the extranonce (low four bits); how many of its first bytes are the same (high four) |
//! | … | the fields, in the order of the bits; after the machine the rest of the extranonce, before the version the nonce |
//!
//! A round's shares are written together, so that jobs, times and classes repeat and, where one machine
//! sends many, nearly everything does.

use crate::codec::Fields;
use crate::{Extranonce, Owner, ShareRecord};
use gruve_units::{EpochNumber, JobId, MachineId};

const JOB: u8 = 1;
const CLASS: u8 = 1 << 1;
const OWNER: u8 = 1 << 2;
const MACHINE: u8 = 1 << 3;
const NTIME: u8 = 1 << 4;
const VERSION: u8 = 1 << 5;
const AT: u8 = 1 << 6;

/// The most that a share takes: both bytes before the fields, all of these, an extranonce of [`Extranonce::MAX`].
const BYTES_MAX: usize = 2 + 16 + 1 + 17 + 16 + Extranonce::MAX + 4 + 4 + 4 + 8;

/// How many of the first bytes are the same.
fn common(before: &Extranonce, share: &Extranonce) -> usize {
    let differing = before.as_number() ^ share.as_number();
    // Behind its end an extranonce has zeros.
    let same = differing.trailing_zeros() / 8;
    before.as_slice().len().min(share.as_slice().len()).min(same as usize)
}

/// Which fields are to be written.
fn differences(before: &ShareRecord, share: &ShareRecord) -> u8 {
    [
        (JOB, (before.job, before.epoch) != (share.job, share.epoch)),
        (CLASS, before.class != share.class),
        (OWNER, before.owner != share.owner),
        (MACHINE, before.machine != share.machine),
        (NTIME, before.ntime != share.ntime),
        (VERSION, before.version != share.version),
        (AT, before.at != share.at),
    ]
    .into_iter()
    .fold(0, |bits, (bit, differs)| if differs { bits | bit } else { bits })
}

/// Where a share is being written: every field in one move of known length, which at hundreds of thousands of shares a
/// second is up to a third less work than growing a vector field by field.
struct Fresh<'a> {
    bytes: &'a mut [u8; BYTES_MAX],
    len: usize,
}

impl Fresh<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, field: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&field);
        self.len += N;
    }
}

/// Writes what `share` has not in common with the share before it.
pub(crate) fn encode(before: &ShareRecord, share: &ShareRecord, out: &mut Vec<u8>) {
    let has = differences(before, share);
    let same = common(&before.extranonce, &share.extranonce);
    let length = share.extranonce.as_slice().len();
    // Both at most 12 by the type.
    let lengths = u8::try_from((same << 4) | length).unwrap_or(0);
    let begin = out.len();
    out.extend_from_slice(&[0; BYTES_MAX]);
    // They have just been put there.
    let Some(bytes) = out.last_chunk_mut() else { return };
    let mut fresh = Fresh { bytes, len: 0 };
    fresh.put([has, lengths]);
    if has & JOB != 0 {
        fresh.put(share.job.0.to_le_bytes());
        fresh.put(share.epoch.0.to_le_bytes());
    }
    if has & CLASS != 0 {
        fresh.put([share.class.k()]);
    }
    if has & OWNER != 0 {
        match share.owner {
            Owner::House => fresh.put([0]),
            Owner::Account(account) => {
                fresh.put([1]);
                fresh.put(account.to_bytes());
            }
        }
    }
    if has & MACHINE != 0 {
        fresh.put(share.machine.to_bytes());
    }
    // What stands behind its end is written over, or cut off.
    let rest = fresh.len + length - same;
    fresh.put((share.extranonce.as_number() >> (8 * same)).to_le_bytes());
    fresh.len = rest;
    if has & NTIME != 0 {
        fresh.put(share.ntime.to_le_bytes());
    }
    fresh.put(share.nonce.to_le_bytes());
    if has & VERSION != 0 {
        fresh.put(share.version.to_le_bytes());
    }
    if has & AT != 0 {
        fresh.put(share.at.0.to_le_bytes());
    }
    let end = begin + fresh.len;
    out.truncate(end);
}

/// The share at the beginning of `bytes` and how many of them it takes, or what is wrong.
pub(crate) fn decode(
    before: &ShareRecord,
    bytes: &[u8],
) -> Result<(ShareRecord, usize), &'static str> {
    let mut r = Fields(bytes);
    let (has, lengths) = (r.u8()?, r.u8()?);
    let (same, len) = (usize::from(lengths >> 4), usize::from(lengths & 0xf));
    let mut share = *before;
    if has & JOB != 0 {
        (share.job, share.epoch) = (JobId(r.u64()?), EpochNumber(r.u64()?));
    }
    if has & CLASS != 0 {
        share.class = r.class()?;
    }
    if has & OWNER != 0 {
        share.owner = r.owner()?;
    }
    if has & MACHINE != 0 {
        share.machine = MachineId::from_bytes(r.array()?);
    }
    let first = before.extranonce.as_slice().get(..same);
    let rest = r.take(len.checked_sub(same).ok_or("an extranonce shorter than its part")?)?;
    share.extranonce = first
        .and_then(|first| Extranonce::join(first, rest))
        .ok_or("an extranonce that does not fit the share before")?;
    if has & NTIME != 0 {
        share.ntime = r.u32()?;
    }
    share.nonce = r.u32()?;
    if has & VERSION != 0 {
        share.version = r.u32()?;
    }
    if has & AT != 0 {
        share.at = r.time()?;
    }
    let is_shortest =
        has == differences(before, &share) && same == common(&before.extranonce, &share.extranonce);
    if !is_shortest {
        return Err("a short share that says again what the one before has said");
    }
    Ok((share, bytes.len() - r.0.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::{AccountId, Class, Timestamp};
    use proptest::prelude::*;

    fn share() -> ShareRecord {
        ShareRecord {
            job: JobId(7),
            epoch: EpochNumber(2),
            class: Class::new(20).unwrap(),
            owner: Owner::House,
            machine: MachineId::from_bytes([3; 16]),
            extranonce: Extranonce::new(&[1; 12]).unwrap(),
            ntime: 1_700_000_000,
            nonce: 5,
            version: 0x2000_0000,
            at: Timestamp(9),
        }
    }

    fn written(before: &ShareRecord, share: &ShareRecord) -> Vec<u8> {
        let mut out = Vec::new();
        encode(before, share, &mut out);
        out
    }

    /// A share that differs in some fields, and by little in each.
    fn neighbour() -> impl Strategy<Value = ShareRecord> {
        let small = 0u8..3;
        let fields = proptest::collection::vec(small, 8);
        (fields, proptest::collection::vec(0u8..2, 0..=12)).prop_map(|(f, extranonce)| {
            let account = AccountId::from_bytes([f[2]; 16]);
            ShareRecord {
                job: JobId(f[0].into()),
                epoch: EpochNumber(f[1].into()),
                class: Class::new(f[1]).unwrap(),
                owner: if f[2] == 0 { Owner::House } else { Owner::Account(account) },
                machine: MachineId::from_bytes([f[3]; 16]),
                extranonce: Extranonce::new(&extranonce).unwrap(),
                ntime: f[4].into(),
                nonce: f[5].into(),
                version: f[6].into(),
                at: Timestamp(f[7].into()),
            }
        })
    }

    proptest! {
        #[test]
        fn what_extranonces_have_in_common_is_counted_byte_by_byte(
            a in neighbour(), b in neighbour()
        ) {
            let pairs = || a.extranonce.as_slice().iter().zip(b.extranonce.as_slice());
            let same = pairs().take_while(|(x, y)| x == y).count();
            prop_assert_eq!(common(&a.extranonce, &b.extranonce), same);
        }

        #[test]
        fn what_is_written_is_read_and_nothing_behind_it(
            before in neighbour(), share in neighbour(), behind in any::<[u8; 3]>()
        ) {
            let mut bytes = written(&before, &share);
            let length = bytes.len();
            for cut in 0..length {
                prop_assert!(decode(&before, &bytes[..cut]).is_err());
            }
            bytes.extend(behind);
            prop_assert_eq!(decode(&before, &bytes), Ok((share, length)));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(
            before in neighbour(), bytes in proptest::collection::vec(0u8..20, 0..60)
        ) {
            if let Ok((share, length)) = decode(&before, &bytes) {
                prop_assert_eq!(&written(&before, &share)[..], &bytes[..length]);
            }
        }
    }

    #[test]
    fn a_share_of_the_same_machine_takes_eight_bytes_and_one_of_another_thirty() {
        let before = share();
        let mut next = ShareRecord { nonce: 77, ..before };
        next.extranonce = Extranonce::new(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2]).unwrap();
        assert_eq!(written(&before, &next), [0, 0xac, 0, 2, 77, 0, 0, 0]);
        next.machine = MachineId::from_bytes([4; 16]);
        next.extranonce = Extranonce::new(&[1, 1, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9]).unwrap();
        assert_eq!(written(&before, &next).len(), 2 + 16 + 9 + 4);
    }

    #[test]
    fn a_share_with_nothing_in_common_takes_the_most() {
        let before = share();
        let other = ShareRecord {
            job: JobId(u64::MAX),
            epoch: EpochNumber(u64::MAX),
            class: Class::ZERO,
            owner: Owner::Account(AccountId::from_bytes([9; 16])),
            machine: MachineId::from_bytes([0xff; 16]),
            extranonce: Extranonce::new(&[0xfe; 12]).unwrap(),
            ntime: u32::MAX,
            nonce: u32::MAX,
            version: u32::MAX,
            at: Timestamp(i64::MIN),
        };
        let bytes = written(&before, &other);
        assert_eq!(bytes.len(), BYTES_MAX);
        assert_eq!(decode(&before, &bytes), Ok((other, BYTES_MAX)));
        assert_eq!(
            bytes[bytes.len() - 28..][..8],
            [0xfe; 8],
            "the extranonce's end stands in its place"
        );
    }

    #[test]
    fn a_field_that_repeats_the_share_before_is_refused() {
        let (before, next) = (share(), ShareRecord { nonce: 6, ..share() });
        let good = written(&before, &next);
        assert_eq!(good, [0, 0xcc, 6, 0, 0, 0]);
        assert!(decode(&before, &good).is_ok());
        let class = [CLASS, 0xcc, 20, 6, 0, 0, 0];
        let extranonce = [0, 0xbc, 1, 6, 0, 0, 0];
        let unknown = [1 << 7, 0xcc, 6, 0, 0, 0];
        let short = [0, 0xcb, 6, 0, 0, 0];
        let long = [0, 0xdd, 6, 0, 0, 0];
        for bad in [&class[..], &extranonce, &unknown, &short, &long] {
            assert!(decode(&before, bad).is_err(), "{bad:?}");
        }
    }
}
