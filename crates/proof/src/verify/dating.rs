//! Dating work by the chain: a job's previous block must have been the tip in the job's epoch.
//!
//! A header's time may be off by two hours (Bitcoin's own bounds), the median of eleven around it hardly: work is dated
//! to the time from its block to the next, a quarter of an hour more on both sides, and two hours near the ends of the
//! headers that are at hand. Headers come from a node of the verifier's own and are believed, but for their
//! links. A block that is not among them (an orphan, or one before or after them) dates nothing: such shares are
//! counted apart, and not called a lie, because a tip can be lost to a longer chain in all honesty. Where most of the work in
//! the headers' own time is on such blocks ([`Covered`]), they are not that chain's orphans: somebody made them up.
//!
//! A header's target is the chain's, too: a job with another one would find blocks that are none. On what block follows which
//! alone it depends, but on test networks that take an easy block when none was found for a while ([`OUT_OF_TURN`]).

use crate::Hash;
use crate::record::RecordJob;
use gruve_units::{Algorithm, EpochNumber, Hashes, Target};
use std::collections::{BTreeSet, HashMap};

/// How far a single header's time may be off, seconds: nodes take blocks of up to two hours ahead of their clock.
pub const HEADER_SLACK_SECS: u64 = 7_200;
/// How far the median of the times around a block may be off, seconds: most miners' clocks are right to some minutes, and
/// the median is wrong only when more than half of those around it are.
pub const MEDIAN_SLACK_SECS: u64 = 900;
/// Blocks on each side that the median is taken of, at most and at least. A block nearer to the end of the headers has
/// its own time only.
const AROUND: (usize, usize) = (5, 2);
/// For how long headers must cover a lane's epochs before work on unknown blocks is held against it, seconds: longer than
/// any tip that was lost later has stood.
const COVERED_SECS: u64 = 7_200;
/// Headers at most: more than any chain here will have before 2040; 70 MB.
pub const HEADERS_MAX: usize = 1 << 23;

/// The easiest target of test networks, and how many seconds after a block they take one of it (twice the time between
/// blocks): testnet3, testnet4 and those of Litecoin and Dogecoin (the latter's time, which is the shorter).
const OUT_OF_TURN: [(Algorithm, u32, u32); 2] =
    [(Algorithm::Sha256d, 0x1d00_ffff, 1_200), (Algorithm::Scrypt, 0x1e0f_ffff, 120)];

/// Block headers of a chain, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    by_hash: HashMap<Hash, usize>,
    times: Vec<u32>,
    bits: Vec<u32>,
    /// Of the targets of [`OUT_OF_TURN`] those of which a block stands behind one of a harder target: the difficulty of no main
    /// network fell so far.
    out_of_turn: BTreeSet<u32>,
}

/// Work in epochs whose time lies within that of the headers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Covered {
    secs: u64,
    all: u128,
    unknown: u128,
}

impl Covered {
    /// Counts an epoch's work, and how much of it is on blocks that are not among the headers.
    pub(super) fn add(&mut self, length_us: u64, all: Hashes, unknown: Hashes) {
        self.secs = self.secs.saturating_add(length_us / 1_000_000);
        self.all = self.all.saturating_add(all.0);
        self.unknown = self.unknown.saturating_add(unknown.0);
    }

    /// Whether most of it is on blocks of no such chain.
    pub(super) const fn is_elsewhere(&self) -> bool {
        self.secs >= COVERED_SECS && self.unknown > self.all / 2
    }
}

/// A time, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Span {
    /// The least that holds both.
    pub(super) fn with(self, other: Span) -> Span {
        Span { from: self.from.min(other.from), until: self.until.max(other.until) }
    }
}

/// Whether a job's block was the tip in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dated {
    /// It was.
    Yes,
    /// The block is not among the headers.
    Unknown,
    /// It was not yet there, or no longer the tip.
    No,
}

fn target(bits: u32) -> Option<Target> {
    Target::from_compact(bits)
}

impl Headers {
    /// From headers of 80 bytes one behind the other, or as lines of hexadecimal.
    ///
    /// # Errors
    /// In words, when they are not headers that follow each other.
    pub fn parse(bytes: &[u8]) -> Result<Headers, String> {
        let is_text = bytes.iter().all(|b| b.is_ascii_hexdigit() || b.is_ascii_whitespace());
        let raw = if is_text {
            let mut digits = bytes.to_vec();
            digits.retain(u8::is_ascii_hexdigit);
            hex::decode(digits).map_err(|_| "an odd number of hexadecimal digits".to_owned())?
        } else {
            bytes.to_vec()
        };
        let (all, rest) = raw.as_chunks::<80>();
        if !rest.is_empty() || all.len() > HEADERS_MAX {
            return Err("not whole headers of 80 bytes, or too many".to_owned());
        }
        let mut own = Headers::default();
        let mut before: Option<Hash> = None;
        for (n, header) in all.iter().enumerate() {
            if before.is_some_and(|b| b != header[4..36]) {
                return Err(format!("header {n} does not follow the one before it"));
            }
            let hash = gruve_pow::sha256d(header);
            let time = [header[68], header[69], header[70], header[71]];
            own.by_hash.insert(hash, n);
            own.times.push(u32::from_le_bytes(time));
            own.bits.push(u32::from_le_bytes([header[72], header[73], header[74], header[75]]));
            before = Some(hash);
        }
        let easiest = OUT_OF_TURN.map(|(_, bits, _)| bits);
        let falls = |two: &[u32]| easiest.contains(&two[1]) && target(two[0]) < target(two[1]);
        own.out_of_turn = own.bits.windows(2).filter(|two| falls(two)).map(|two| two[1]).collect();
        Ok(own)
    }

    /// Whether a block of this hash is among them.
    pub(super) fn has(&self, block: &Hash) -> bool {
        self.by_hash.contains_key(block)
    }

    /// When a block was found, by its chain's clocks, seconds since 1970; `None` where it is not among them.
    pub(super) fn found_at(&self, block: &Hash) -> Option<u64> {
        self.by_hash.get(block).and_then(|at| self.time(*at)).map(|(secs, _)| secs)
    }

    /// Between what times work on a block was done that was the tip meanwhile, seconds since 1970: from when it was found until the next
    /// one was, each as far off as it may be. Where no next one is known, until the end of the job's epoch and as far off as that.
    pub(super) fn span(&self, prev: &Hash, epoch: EpochNumber, length_us: u64) -> Option<Span> {
        let at = self.by_hash.get(prev).copied()?;
        let (found, slack) = self.time(at)?;
        let end = (epoch.next().0.saturating_mul(length_us) / 1_000_000, HEADER_SLACK_SECS);
        let (next, off) = self.time(at + 1).unwrap_or(end);
        Some(Span { from: found.saturating_sub(slack), until: next.saturating_add(off) })
    }

    pub(super) fn date(&self, prev: &Hash, epoch: EpochNumber, length_us: u64) -> Dated {
        let Some(at) = self.by_hash.get(prev).copied() else { return Dated::Unknown };
        let secs = |epoch: u64| epoch.saturating_mul(length_us) / 1_000_000;
        let (begin, end) = (secs(epoch.0), secs(epoch.next().0));
        // Nobody knows how long the last one has been the tip.
        let is_last = at + 1 == self.times.len();
        let is_beyond = |(t, slack): (u64, u64)| t.saturating_add(slack) < begin;
        if is_last && self.time(at).is_some_and(is_beyond) {
            return Dated::Unknown;
        }
        let was_there = self.time(at).is_none_or(|(t, slack)| t <= end.saturating_add(slack));
        let was_tip = self.time(at + 1).is_none_or(|(t, slack)| t.saturating_add(slack) >= begin);
        if was_there && was_tip { Dated::Yes } else { Dated::No }
    }

    /// Whether an epoch lies wholly within the time of the headers, so that its tips are among them.
    pub(super) fn cover(&self, epoch: EpochNumber, length_us: u64) -> bool {
        let secs = |epoch: u64| epoch.saturating_mul(length_us) / 1_000_000;
        let [first, .., last] = self.times.as_slice() else { return false };
        u64::from(*first) + HEADER_SLACK_SECS <= secs(epoch.0)
            && secs(epoch.next().0).saturating_add(HEADER_SLACK_SECS) <= u64::from(*last)
    }

    /// Whether the chain takes a block of a job's target on the job's block, by what follows there; yes where nothing does.
    pub(super) fn takes(&self, algorithm: Algorithm, job: &RecordJob) -> bool {
        let Some(at) = self.by_hash.get(&job.prev_hash).copied() else { return true };
        let (Some(time), Some(next)) = (self.times.get(at), self.bits.get(at + 1)) else {
            return true;
        };
        if job.bits == *next {
            return true;
        }
        let rule = OUT_OF_TURN.iter().find(|(of, ..)| *of == algorithm);
        match rule.filter(|(_, easiest, _)| self.out_of_turn.contains(easiest)) {
            // It may have waited for long enough where the next one had not, and the other way round.
            Some((_, easiest, wait)) if job.bits == *easiest => {
                job.ntime > time.saturating_add(*wait)
            }
            Some((_, easiest, _)) => next == easiest && target(job.bits) < target(*easiest),
            None => false,
        }
    }

    /// When a block was found, seconds since 1970, and how far that may be off.
    fn time(&self, at: usize) -> Option<(u64, u64)> {
        let own = u64::from(*self.times.get(at)?);
        let around = AROUND.0.min(at).min(self.times.len() - 1 - at);
        if around < AROUND.1 {
            return Some((own, HEADER_SLACK_SECS));
        }
        let mut window = self.times[at - around..=at + around].to_vec();
        window.sort_unstable();
        Some((u64::from(window[around]), MEDIAN_SLACK_SECS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(times: &[u32]) -> (Vec<u8>, Vec<Hash>) {
        let (mut bytes, mut hashes, mut prev) = (Vec::new(), Vec::new(), [0; 32]);
        for time in times {
            let mut header = [0; 80];
            header[4..36].copy_from_slice(&prev);
            header[68..72].copy_from_slice(&time.to_le_bytes());
            prev = gruve_pow::sha256d(&header);
            bytes.extend(header);
            hashes.push(prev);
        }
        (bytes, hashes)
    }

    #[test]
    fn work_is_dated_by_the_block_before_and_the_one_after() {
        let (bytes, hashes) = chain(&[100_000, 200_000]);
        let of = |bytes: &[u8]| Headers::parse(bytes).unwrap();
        let length = 600_000_000;
        let date =
            |n: usize, secs: u64| of(&bytes).date(&hashes[n], EpochNumber(secs / 600), length);
        assert_eq!(date(0, 150_000), Dated::Yes);
        assert_eq!(date(0, 90_000), Dated::No, "the block was not there");
        assert_eq!(date(0, 220_000), Dated::No, "it was the tip no more");
        assert_eq!(date(1, 206_000), Dated::Yes, "still the tip");
        assert_eq!(date(1, 220_000), Dated::Unknown, "nobody knows for how long");
        assert_eq!(of(&bytes).date(&[9; 32], EpochNumber(1), length), Dated::Unknown);
        let lines = hex::encode(&bytes[..80]) + "\n" + &hex::encode(&bytes[80..]) + "\n";
        assert_eq!(of(lines.as_bytes()).times, of(&bytes).times);
        assert!(of(lines.as_bytes()).has(&hashes[1]));
    }

    #[test]
    fn one_wrong_clock_among_many_dates_nothing_wrongly() {
        let mut times: Vec<u32> = (0..30).map(|n| 1_000_000 + 600 * n).collect();
        times[15] += 7_000;
        let (bytes, hashes) = chain(&times);
        let headers = Headers::parse(&bytes).unwrap();
        let date =
            |n: usize, secs: u64| headers.date(&hashes[n], EpochNumber(secs / 600), 600_000_000);
        let at = |n: u64| 1_000_000 + 600 * n;
        assert_eq!(date(15, at(15)), Dated::Yes);
        assert_eq!(date(14, at(14)), Dated::Yes);
        assert_eq!(date(14, at(13)), Dated::Yes, "within a quarter of an hour");
        assert_eq!(date(15, at(11)), Dated::No);
        assert_eq!(date(15, at(20)), Dated::No, "it was the tip no more");
        assert_eq!(date(29, at(25)), Dated::Yes, "the last ones have their own time only");
    }

    /// Jobs on block *n* of a chain of such times and bits, and whether it takes them.
    fn takes(blocks: &[(u32, u32)], n: usize, bits: u32, ntime: u32) -> bool {
        let (mut bytes, mut hashes, mut prev) = (Vec::new(), Vec::new(), [0; 32]);
        for (time, bits) in blocks {
            let mut header = [0; 80];
            header[4..36].copy_from_slice(&prev);
            header[68..72].copy_from_slice(&time.to_le_bytes());
            header[72..76].copy_from_slice(&bits.to_le_bytes());
            prev = gruve_pow::sha256d(&header);
            bytes.extend(header);
            hashes.push(prev);
        }
        let job = RecordJob {
            job: gruve_units::JobId(1),
            epoch: EpochNumber(1),
            checkpoint_epoch: EpochNumber(0),
            issued_us: 0,
            height: 0,
            prev_hash: hashes[n],
            bits,
            version: 0,
            ntime,
            extranonce_len: 0,
            prefix: Vec::new(),
            suffix: Vec::new(),
            branch: Vec::new(),
            aux: Vec::new(),
        };
        Headers::parse(&bytes).unwrap().takes(Algorithm::Sha256d, &job)
    }

    const HARD: u32 = 0x1a00_ffff;
    const EASIEST: u32 = 0x1d00_ffff;

    #[test]
    fn a_test_networks_blocks_out_of_turn_are_no_lie() {
        let blocks =
            [(1_000, HARD), (2_500, EASIEST), (3_000, HARD), (3_600, HARD), (6_000, EASIEST)];
        assert!(takes(&blocks, 2, HARD, 3_100), "as the next one");
        assert!(takes(&blocks, 2, EASIEST, 4_201), "nothing was found for twenty minutes");
        assert!(!takes(&blocks, 2, EASIEST, 4_200), "it had not waited for long enough");
        assert!(takes(&blocks, 3, HARD, 3_700), "before the twenty minutes were over");
        assert!(takes(&blocks, 4, 0x207f_ffff, 9_000), "what comes next nobody knows");
        assert!(!takes(&blocks, 2, 0x1c00_ffff, 4_201), "one of its targets, not any");
        assert!(!takes(&blocks, 3, 0x207f_ffff, 9_000));
    }

    #[test]
    fn a_main_network_takes_one_target_on_each_block() {
        // It began with the easiest, and never fell to it again.
        let blocks = [(1_000, EASIEST), (1_600, EASIEST), (2_200, HARD), (2_800, 0x1a00_8000)];
        assert!(takes(&blocks, 1, HARD, 1_700));
        for bits in [EASIEST, 0x1a00_8000, 0x207f_ffff, 0] {
            assert!(!takes(&blocks, 1, bits, 9_000), "{bits:08x}");
        }
    }

    #[test]
    fn headers_that_do_not_follow_each_other_are_refused() {
        let (bytes, _) = chain(&[1, 2, 3]);
        let gap = [&bytes[..80], &bytes[160..]].concat();
        assert!(Headers::parse(&gap).is_err());
        assert!(Headers::parse(&bytes[1..]).is_err());
        // A whole header and part of one, in bytes and in text.
        assert!(Headers::parse(&bytes).is_ok() && Headers::parse(&bytes[..160]).is_ok());
        let cut = "not whole headers of 80 bytes, or too many";
        for part in [&bytes[..161], &bytes[..239], hex::encode(&bytes[..161]).as_bytes()] {
            assert_eq!(Headers::parse(part).err().as_deref(), Some(cut));
        }
    }
}
