//! Many tries at one job: coinbase, branch and header of each, hashed side by side from the first byte to the last.
//!
//! Of a try only its extranonce and the three numbers that a miner sets in a header are its own. So nothing else is put
//! into the lanes one by one, and no hash leaves them between the coinbase and the header.

use super::batch::{climb_by, equal_by, part};
use super::sha256::{self, IV, Lanes, PAD};
use super::{Prefix, Variant, Work};

/// What a miner chose: the rest is the job's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Try {
    /// The extranonce; zeros behind it where the job's is shorter.
    pub extranonce: [u8; 12],
    /// Header version.
    pub version: u32,
    /// Header time.
    pub ntime: u32,
    /// Header nonce.
    pub nonce: u32,
}

/// A job's parts, as [`Tries`] are made of them.
#[derive(Clone, Copy, Debug)]
pub struct TriedJob<'a> {
    /// The coinbase, with whatever bytes in the place of the extranonce.
    pub coinbase: &'a [u8],
    /// Where in it the extranonce stands.
    pub extranonce_at: usize,
    /// Its bytes: 12 at most.
    pub extranonce_len: usize,
    /// The coinbase's siblings, lowest first.
    pub branch: &'a [[u8; 32]],
    /// Hash of the block before.
    pub prev_hash: [u8; 32],
    /// The target in the header.
    pub bits: u32,
}

/// What tries at one job have in common, worked out once.
///
/// ```
/// use gruve_pow::{lanes::{Tries, Try, TriedJob}, merkle_root_from_branch, sha256d};
/// let coinbase = [7; 100];
/// let job = TriedJob {
///     coinbase: &coinbase, extranonce_at: 60, extranonce_len: 8, branch: &[[9; 32]], prev_hash: [3; 32], bits: 5,
/// };
/// let tried = Try { extranonce: *b"abcdefgh\0\0\0\0", version: 1, ntime: 2, nonce: 3 };
/// let mut out = [[0; 32]];
/// Tries::at(&job).unwrap().roots(&[tried], &mut out);
/// let own = [&coinbase[..60], b"abcdefgh", &coinbase[68..]].concat();
/// assert_eq!(out[0], merkle_root_from_branch(sha256d(&own), &[[9; 32]]));
/// ```
#[derive(Clone, Debug)]
pub struct Tries {
    /// What of the coinbase no try changes at its beginning.
    prefix: Prefix,
    /// The rest of it, zeros for the extranonce.
    rest: Vec<u8>,
    /// Where in the rest the extranonce stands.
    at: usize,
    len: usize,
    /// As many bits as an extranonce has, from the top of a number on.
    mask: u128,
    /// The blocks of the rest, padded, in which a part of the extranonce stands.
    open: Vec<[u32; 16]>,
    /// Words of these that it has a part in, and how far a number that begins with it is shifted right for each.
    own: Vec<(usize, u32)>,
    /// The blocks behind them: each the same in all tries.
    known: Vec<[u32; 64]>,
    branch: Vec<[u8; 32]>,
    prev_hash: [u8; 32],
    bits: u32,
}

/// How far the hashing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Root,
    Header,
}

impl Tries {
    /// Takes a job; `None` where its extranonce is no part of its coinbase, or longer than a [`Try`] has.
    #[must_use]
    pub fn at(job: &TriedJob<'_>) -> Option<Tries> {
        let (at, len) = (job.extranonce_at, job.extranonce_len);
        let prefix = Prefix::of(job.coinbase.get(..at)?);
        let mut rest = job.coinbase.get(prefix.len()..)?.to_vec();
        let at = at - prefix.len();
        if len > Try::default().extranonce.len() {
            return None;
        }
        rest.get_mut(at..at + len)?.fill(0);
        let bits = 8 * job.coinbase.len() as u64;
        let mut padded = rest.clone();
        padded.push(0x80);
        padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
        padded.extend(bits.to_be_bytes());
        let blocks = padded.as_chunks::<64>().0;
        let (open, known) = blocks.split_at((at + len).div_ceil(64));
        let words = |b: &[u8; 64]| std::array::from_fn(|i| sha256::block_word(b, i));
        // Word `w` has the 32 bits from 32·w on; the extranonce has those of the number's top, from 8·at on.
        let shift = |w: usize| u32::try_from(96 + 8 * at - 32 * w).ok().map(|shift| (w, shift));
        let own = if len == 0 { 0..0 } else { at / 4..(at + len).div_ceil(4) };
        let mask = u32::try_from(8 * len).ok().and_then(|bits| u128::MAX.checked_shr(bits));
        Some(Tries {
            prefix,
            at,
            len,
            mask: !mask.unwrap_or(0),
            open: open.iter().map(words).collect(),
            own: own.filter_map(shift).collect(),
            known: known.iter().map(|b| sha256::scheduled(words(b))).collect(),
            branch: job.branch.to_vec(),
            prev_hash: job.prev_hash,
            bits: job.bits,
            rest,
        })
    }

    /// The merkle root of each try, for which `out` has a place.
    pub fn roots(&self, tries: &[Try], out: &mut [[u8; 32]]) {
        self.hash(Variant::fastest_first(Work::Branches), tries, out, To::Root);
    }

    /// SHA-256d of the header of each try, for which `out` has a place.
    pub fn hashes(&self, tries: &[Try], out: &mut [[u8; 32]]) {
        self.hash(Variant::fastest_first(Work::Branches), tries, out, To::Header);
    }

    /// The header of a try whose root is known.
    #[must_use]
    pub fn header(&self, tried: &Try, root: &[u8; 32]) -> [u8; 80] {
        let mut header = [0; 80];
        header[..4].copy_from_slice(&tried.version.to_le_bytes());
        header[4..36].copy_from_slice(&self.prev_hash);
        header[36..68].copy_from_slice(root);
        header[68..72].copy_from_slice(&tried.ntime.to_le_bytes());
        header[72..76].copy_from_slice(&self.bits.to_le_bytes());
        header[76..].copy_from_slice(&tried.nonce.to_le_bytes());
        header
    }

    /// The caller has made sure that the processor supports the variants.
    fn hash(&self, order: &[Variant], tries: &[Try], out: &mut [[u8; 32]], to: To) {
        let n = tries.len().min(out.len());
        let (mut tries, mut out) = (&tries[..n], &mut out[..n]);
        for (i, &variant) in order.iter().enumerate() {
            let n = part(variant, out.len(), order.get(i + 1));
            let (now, later) = out.split_at_mut(n);
            self.hash_all(variant, &tries[..n], now, to);
            (tries, out) = (&tries[n..], later);
        }
    }

    fn hash_all(&self, variant: Variant, tries: &[Try], out: &mut [[u8; 32]], to: To) {
        match (variant, to) {
            #[cfg(target_arch = "x86_64")]
            (Variant::Avx2x8, To::Root) => super::x86::tries_avx2::<true>(self, tries, out),
            #[cfg(target_arch = "x86_64")]
            (Variant::Avx2x8, To::Header) => super::x86::tries_avx2::<false>(self, tries, out),
            #[cfg(target_arch = "x86_64")]
            (Variant::Avx512x16, To::Root) => super::x86::tries_avx512::<true>(self, tries, out),
            #[cfg(target_arch = "x86_64")]
            (Variant::Avx512x16, To::Header) => super::x86::tries_avx512::<false>(self, tries, out),
            _ => self.step_by_step(variant, tries, out, to),
        }
    }

    /// Step by step, where hashes do not stay in lanes.
    fn step_by_step(&self, variant: Variant, tries: &[Try], out: &mut [[u8; 32]], to: To) {
        const TOGETHER: usize = 16;
        let mut rests = self.rest.repeat(TOGETHER.min(tries.len()));
        for (tries, out) in tries.chunks(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
            for (rest, tried) in rests.chunks_exact_mut(self.rest.len().max(1)).zip(tries) {
                rest[self.at..self.at + self.len].copy_from_slice(&tried.extranonce[..self.len]);
            }
            let bytes = self.rest.len() * tries.len();
            equal_by(variant, &self.prefix, (&rests[..bytes], self.rest.len()), out);
            climb_by(variant, out, &self.branch);
            if to == To::Header {
                let mut headers = [[0; 80]; TOGETHER];
                for ((header, tried), root) in headers.iter_mut().zip(tries).zip(out.iter()) {
                    *header = self.header(tried, root);
                }
                let headers = &headers[..tries.len()];
                equal_by(variant, &Prefix::EMPTY, (headers.as_flattened(), 80), out);
            }
        }
    }
}

/// The tries' hashes, `N` at a time; lanes left over repeat the last.
#[inline(always)]
pub(crate) fn hash<W: Lanes<N>, const N: usize, const TO_ROOT: bool>(
    job: &Tries,
    tries: &[Try],
    out: &mut [[u8; 32]],
) {
    let iv = IV.map(|x| W::splat(x));
    let start = job.prefix.state().map(|x| W::splat(x));
    for (tries, out) in tries.chunks(N).zip(out.chunks_mut(N)) {
        let last = tries.len() - 1;
        let each: [&Try; N] = std::array::from_fn(|lane| &tries[lane.min(last)]);
        let extranonces = each.map(|t| {
            let mut number = [0; 16];
            number[..12].copy_from_slice(&t.extranonce);
            u128::from_be_bytes(number) & job.mask
        });
        let mut states = start;
        let mut own = job.own.iter().peekable();
        for (i, open) in job.open.iter().enumerate() {
            let mut block = [W::splat(0); 16];
            for (word, own) in block.iter_mut().zip(open) {
                *word = W::splat(*own);
            }
            while let Some((word, shift)) = own.next_if(|(word, _)| word / 16 == i) {
                let at = word % 16;
                // The low 32 bits of what is shifted.
                let part = |e: u128| open[at] | ((e >> shift) & 0xffff_ffff) as u32;
                block[at] = W::load(extranonces.map(part));
            }
            states = W::compress(&states, block);
        }
        for known in &job.known {
            states = W::compress_known(&states, known);
        }
        let mut root = W::compress(&iv, sha256::digest_block(states));
        for right in &job.branch {
            root = sha256::parent(&iv, &root, right);
        }
        if TO_ROOT {
            sha256::write(root, out);
            continue;
        }
        // The numbers stand in a header with their lowest byte first.
        let mut first = [W::splat(0); 16];
        first[0] = W::load(each.map(|t| t.version.swap_bytes()));
        for (i, word) in first[1..9].iter_mut().enumerate() {
            *word = W::splat(sha256::digest_word(&job.prev_hash, i));
        }
        first[9..].copy_from_slice(&root[..7]);
        let mut second = [W::splat(0); 16];
        second[0] = root[7];
        second[1] = W::load(each.map(|t| t.ntime.swap_bytes()));
        second[2] = W::splat(job.bits.swap_bytes());
        second[3] = W::load(each.map(|t| t.nonce.swap_bytes()));
        second[4] = W::splat(PAD);
        second[15] = W::splat(sha256::HEADER_BITS);
        let states = W::compress(&W::compress(&iv, first), second);
        sha256::hash_again(states, out);
    }
}

/// The check of one variant, which the processor must support: coinbases whose extranonce stands in one block or in two,
/// with blocks behind it and without.
pub(super) fn agrees_with_plain(variant: Variant, bytes: &[u8]) -> bool {
    let mut numbers = bytes.iter().copied().cycle();
    let mut number = || u32::from_le_bytes(std::array::from_fn(|_| numbers.next().unwrap_or(0)));
    let tries: [Try; 33] = std::array::from_fn(|_| {
        let mut extranonce = [0; 12];
        for part in extranonce.as_chunks_mut::<4>().0 {
            *part = number().to_be_bytes();
        }
        Try { extranonce, version: number(), ntime: number(), nonce: number() }
    });
    let jobs = [(100, 44, 12), (300, 57, 12), (200, 130, 7), (150, 150, 0), (64, 61, 3)];
    jobs.into_iter().all(|(coinbase, extranonce_at, extranonce_len)| {
        let (branch, prev_hash) = ([[5; 32], [6; 32]], [7; 32]);
        let coinbase = &bytes[..coinbase];
        let job = TriedJob {
            coinbase,
            extranonce_at,
            extranonce_len,
            branch: &branch,
            prev_hash,
            bits: 9,
        };
        let Some(job) = Tries::at(&job) else { return false };
        [To::Root, To::Header].into_iter().all(|to| {
            let (mut out, mut expected) = ([[0; 32]; 33], [[0; 32]; 33]);
            job.hash(&[variant], &tries, &mut out, to);
            job.hash(&[Variant::Plain], &tries, &mut expected, to);
            out == expected
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{merkle_root_from_branch, sha256d};
    use proptest::prelude::*;

    fn tried() -> impl Strategy<Value = Try> {
        (any::<[u8; 12]>(), any::<[u32; 3]>()).prop_map(|(extranonce, [version, ntime, nonce])| {
            Try { extranonce, version, ntime, nonce }
        })
    }

    proptest! {
        #[test]
        fn every_try_is_hashed_as_its_bytes_are_by_every_variant(
            coinbase in proptest::collection::vec(any::<u8>(), 12..400),
            at in 0usize..400,
            extranonce_len in 0usize..=12,
            branch in proptest::collection::vec(any::<[u8; 32]>(), 0..4),
            prev_hash: [u8; 32],
            bits: u32,
            tries in proptest::collection::vec(tried(), 0..40),
        ) {
            let extranonce_at = at % (coinbase.len() - extranonce_len + 1);
            let job = TriedJob {
                coinbase: &coinbase, extranonce_at, extranonce_len, branch: &branch, prev_hash, bits,
            };
            let job = Tries::at(&job).unwrap();
            let root = |t: &Try| {
                let mut own = coinbase.clone();
                own[extranonce_at..extranonce_at + extranonce_len]
                    .copy_from_slice(&t.extranonce[..extranonce_len]);
                merkle_root_from_branch(sha256d(&own), &branch)
            };
            let roots: Vec<_> = tries.iter().map(root).collect();
            let header = |(t, root): (&Try, &[u8; 32])| {
                let numbers = [t.ntime, bits, t.nonce].map(u32::to_le_bytes);
                let parts = [&t.version.to_le_bytes()[..], &prev_hash, root, numbers.as_flattened()];
                parts.concat()
            };
            let headers: Vec<_> = tries.iter().zip(&roots).map(header).collect();
            for ((t, root), header) in tries.iter().zip(&roots).zip(&headers) {
                prop_assert_eq!(&job.header(t, root)[..], &header[..]);
            }
            let hashes: Vec<_> = headers.iter().map(|h| sha256d(h)).collect();
            let mut out = vec![[0; 32]; tries.len()];
            job.roots(&tries, &mut out);
            prop_assert_eq!(&out, &roots);
            job.hashes(&tries, &mut out);
            prop_assert_eq!(&out, &hashes);
            for &v in Variant::available() {
                job.hash(&[v], &tries, &mut out, To::Root);
                prop_assert_eq!(&out, &roots, "roots, {}", v);
                job.hash(&[v], &tries, &mut out, To::Header);
                prop_assert_eq!(&out, &hashes, "headers, {}", v);
            }
        }
    }

    #[test]
    fn an_extranonce_outside_the_coinbase_or_longer_than_it_may_be_is_no_job() {
        let job = |extranonce_at, extranonce_len| {
            let (coinbase, branch, prev_hash) = (&[0; 40][..], &[][..], [0; 32]);
            TriedJob { coinbase, extranonce_at, extranonce_len, branch, prev_hash, bits: 0 }
        };
        assert!(Tries::at(&job(28, 12)).is_some() && Tries::at(&job(40, 0)).is_some());
        assert!(Tries::at(&job(29, 12)).is_none() && Tries::at(&job(41, 0)).is_none());
        assert!(Tries::at(&job(0, 13)).is_none());
    }
}
