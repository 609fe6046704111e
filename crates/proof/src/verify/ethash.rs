//! Work of the Ethash family: headers whose `extraData` is the stamp.
//!
//! A node of this family makes the header itself; what the operator may choose of it are 32 bytes of `extraData`. The
//! record has the header as the node hashed it (RLP, without mix digest and nonce). Its hash is what miners were given, so
//! nothing in it can be changed afterwards: who reads it finds the stamp at its one place, whom the block would pay, its
//! parent, its height (which says the dataset) and its difficulty.
//!
//! Nothing in such a hash says the class of a share, because all miners have one header. So there is one class for all
//! opened shares of a job, the threshold that stands behind the checkpoint in its stamp: every try has the same expected
//! credit, whoever picks shares.

use super::{Lie, VerifyError, lie};
use crate::Hash;
use crate::record::{RecordJob, ShareRow};
use crate::stamp;
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light_many};
use gruve_units::{Algorithm, Target};
use ruint::aliases::U256;
use sha3::{Digest as _, Keccak256};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of an extranonce: here it is the nonce, most significant byte first.
pub(super) const NONCE_LEN: usize = 8;
/// The highest epoch of the algorithm that is hashed: its cache has 150 MB, and two are held. Decades away for any chain.
const EPOCH_MAX: u32 = 1_023;
/// Bytes of the caches that are held: a record over the border between two of the algorithm's epochs needs both, and two of the highest
/// fit. Of today's it is those of four lanes.
const HELD_BYTES: u64 = 2 * (16 << 20) + 2 * (EPOCH_MAX as u64 + 1) * (128 << 10);
/// Bytes of a header at most: the usual fields have some 540, and later rules of a chain may add some.
const HEADER_MAX: usize = 1_024;

/// What a job's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The stamp's place.
    pub(super) extra: [u8; stamp::EXTRA_LEN],
    /// Whom the block would pay.
    pub(super) pays: [u8; 20],
    /// What is mined on.
    pub(super) seal: Hash,
    epoch: EthashEpoch,
}

impl Header {
    /// The number of the algorithm's epoch that it is hashed in.
    pub(super) const fn dataset(&self) -> u32 {
        self.epoch.number()
    }
}

/// Made caches, the last used first.
static MADE: Mutex<Vec<Arc<LightCache>>> = Mutex::new(Vec::new());

/// Of caches that are held, the last used first, how many stay when another one comes.
pub(super) fn staying(held: impl Iterator<Item = EthashEpoch>, next: EthashEpoch) -> usize {
    let mut bytes = next.cache_bytes();
    let fits = |epoch: &EthashEpoch| {
        bytes += epoch.cache_bytes();
        bytes <= HELD_BYTES
    };
    held.take_while(fits).count()
}

/// The cache of an epoch. Whoever needs another one meanwhile waits.
fn cache(epoch: EthashEpoch) -> Arc<LightCache> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = match made.iter().position(|c| c.epoch() == epoch) {
        Some(at) => made.remove(at),
        None => {
            let staying = staying(made.iter().map(|c| c.epoch()), epoch);
            made.truncate(staying);
            Arc::new(LightCache::new(epoch))
        }
    };
    made.insert(0, Arc::clone(&own));
    own
}

/// Reads a job's header and holds the job's other fields against it.
pub(super) fn read(algorithm: Algorithm, job: &RecordJob) -> Result<Header, VerifyError> {
    let malformed = |what: &str| Lie {
        name: "header-malformed",
        what: what.to_owned(),
        at: format!("job {}", job.job),
    };
    let is_plain = job.prefix.is_empty()
        && job.branch.is_empty()
        && job.aux.is_empty()
        && job.suffix.len() <= HEADER_MAX;
    if !is_plain || usize::from(job.extranonce_len) != NONCE_LEN {
        return Err(malformed("a job of this family has a header and nothing else").into());
    }
    let fields = fields(&job.suffix).ok_or_else(|| malformed("not a header"))?;
    let [parent, _, pays, _, _, _, _, difficulty, number, _, _, _, extra] = fields;
    let difficulty = wide(difficulty).ok_or_else(|| malformed("no difficulty"))?;
    let number = wide(number).and_then(|n| u64::try_from(n).ok());
    let number = number.ok_or_else(|| malformed("no height"))?;
    let is_same = (parent, number) == (&job.prev_hash[..], job.height)
        && (job.version, job.ntime) == (0, 0)
        && job.bits == target_of(difficulty).to_compact();
    if !is_same {
        return Err(malformed("the job says something else than its header").into());
    }
    let epoch = EthashEpoch::of_block(algorithm, number).ok().filter(|e| e.number() <= EPOCH_MAX);
    let epoch = epoch.ok_or_else(|| malformed("a height in no known epoch of the algorithm"))?;
    let Ok(extra) = extra.try_into() else {
        return lie("no-stamp", format!("job {}", job.job), "the header's extra data are no stamp");
    };
    let pays = pays.try_into().map_err(|_| malformed("no address"))?;
    let seal = Keccak256::digest(&job.suffix).into();
    Ok(Header { extra, pays, seal, epoch })
}

/// The hashes of shares as numbers are read here, the least significant byte first.
pub(super) fn hash(header: &Header, rows: &[ShareRow], to: &mut Vec<Hash>) {
    let nonce = |row: &ShareRow| {
        let mut bytes = [0; NONCE_LEN];
        bytes.copy_from_slice(&row.extranonce[..NONCE_LEN]);
        (header.seal, u64::from_be_bytes(bytes))
    };
    let tries: Vec<_> = rows.iter().map(nonce).collect();
    to.clear();
    to.extend(hash_light_many(&cache(header.epoch), &tries).into_iter().map(|(_, mut hash)| {
        hash.reverse();
        hash
    }));
}

/// What a hash must not be above for a difficulty (yellow paper, section 4.3.4); of difficulty 1 all bytes.
fn target_of(difficulty: U256) -> Target {
    if difficulty <= U256::from(1) {
        return Target(U256::MAX);
    }
    let (quotient, rest) = U256::MAX.div_rem(difficulty);
    let divides = rest.saturating_add(U256::from(1)) == difficulty;
    Target(if divides { quotient.saturating_add(U256::from(1)) } else { quotient })
}

/// Bytes of the fields of a header: of those with a fixed length that, of numbers the most, of the last any up to 32.
const LENGTHS: [(usize, usize); 13] = [
    (32, 32),
    (32, 32),
    (20, 20),
    (32, 32),
    (32, 32),
    (32, 32),
    (256, 256),
    (0, 32),
    (0, 8),
    (0, 8),
    (0, 8),
    (0, 8),
    (0, 32),
];

/// The first thirteen fields of a header: one list of strings over all bytes, each in its shortest form.
fn fields(bytes: &[u8]) -> Option<[&[u8]; 13]> {
    let (is_list, mut rest, behind) = item(bytes)?;
    if !is_list || !behind.is_empty() {
        return None;
    }
    let mut all: [&[u8]; 13] = [&[]; 13];
    for (field, (least, most)) in all.iter_mut().zip(LENGTHS) {
        let (is_list, own, behind) = item(rest)?;
        if is_list || !(least..=most).contains(&own.len()) {
            return None;
        }
        (*field, rest) = (own, behind);
    }
    // Later rules of a chain put strings behind these.
    while !rest.is_empty() {
        let (is_list, _, behind) = item(rest)?;
        if is_list {
            return None;
        }
        rest = behind;
    }
    Some(all)
}

/// One item of RLP (yellow paper, appendix B): whether it is a list, what it holds, what stands behind it.
fn item(bytes: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match *first {
        0..=0x7f => bytes.split_at_checked(1).map(|(own, behind)| (false, own, behind)),
        byte @ (0x80..=0xb7 | 0xc0..=0xf7) => {
            let is_list = byte >= 0xc0;
            let n = usize::from(byte - if is_list { 0xc0 } else { 0x80 });
            let (own, behind) = rest.split_at_checked(n)?;
            // A byte below 0x80 stands for itself.
            let is_shortest = is_list || n != 1 || own[0] >= 0x80;
            is_shortest.then_some((is_list, own, behind))
        }
        byte => {
            let is_list = byte >= 0xf8;
            let width = usize::from(byte - if is_list { 0xf7 } else { 0xb7 });
            let (len, rest) = rest.split_at_checked(width)?;
            let n =
                len.iter().try_fold(0usize, |n, b| n.checked_mul(256)?.checked_add((*b).into()))?;
            let is_shortest = n > 55 && len[0] != 0;
            let (own, behind) = rest.split_at_checked(n)?;
            is_shortest.then_some((is_list, own, behind))
        }
    }
}

/// A number without leading zeros.
fn wide(bytes: &[u8]) -> Option<U256> {
    let is_shortest = bytes.first() != Some(&0) && bytes.len() <= 32;
    is_shortest.then(|| U256::from_be_slice(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = fields(&bytes);
        }
    }

    #[test]
    fn only_the_shortest_form_of_a_field_is_read() {
        assert_eq!(item(&[0x7f, 9]), Some((false, &[0x7f][..], &[9][..])));
        assert_eq!(item(&[0x81, 0x80]), Some((false, &[0x80][..], &[][..])));
        assert_eq!(item(&[0x81, 0x7f]), None, "a byte below 0x80 stands for itself");
        assert_eq!(item(&[0xb8, 2, 1, 1]), None, "a short one with a long length");
        assert_eq!(item(&[0xb9, 0, 56]), None, "a length with a zero before it");
        assert_eq!(item(&[0x82, 1]), None, "cut short");
        assert_eq!(item(&[0xbf, 255, 255, 255, 255, 255, 255, 255, 255]), None);
        assert_eq!(wide(&[0, 1]), None);
    }
}
