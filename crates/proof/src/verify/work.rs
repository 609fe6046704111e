//! Hashing shares again, many at once.

use super::ethash;
use super::{Lie, VerifyError, lie};
use crate::Hash;
use crate::record::{Block, RecordHeader, RecordJob, ShareRow};
use crate::{aux, share, stamp};
use gruve_pow::lanes::{ScryptLanes, TriedJob, Tries, Try, sha256_blocks};
use gruve_units::{Algorithm, Class, Target};
use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;

/// What a block of shares comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Leaves of the share tree, in order.
    pub(super) leaves: Vec<Hash>,
    /// The first 16 bytes of each hash.
    pub(super) ids: Vec<u128>,
    /// How many of the house.
    pub(super) house: u64,
    /// How many of each other owner.
    pub(super) owners: BTreeMap<u32, u64>,
    /// Hashes of blocks that were solved, as their chain names them.
    pub(super) solved: Vec<Hash>,
    /// How often the target of each of the job's blocks of other chains was reached.
    pub(super) aux_solved: Vec<u64>,
}

impl Checked {
    fn with_room(shares: usize) -> Checked {
        let (leaves, ids) = (Vec::with_capacity(shares), Vec::with_capacity(shares));
        Checked { leaves, ids, ..Checked::default() }
    }
}

/// A job's coinbase, parsed: where things stand in it.
struct Coinbase {
    bytes: Vec<u8>,
    extranonce_at: usize,
    script: std::ops::Range<usize>,
}

/// What stands in a job's stamp.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamped {
    /// All of a commitment, in an output of the coinbase.
    Output(Hash),
    /// As much of one as a header has room for.
    Extra([u8; stamp::EXTRA_LEN]),
}

impl Stamped {
    /// Whether it is the stamp of this commitment.
    pub(super) fn is_of(&self, commitment: &Hash) -> bool {
        match self {
            Stamped::Output(own) => own == commitment,
            Stamped::Extra(own) => *own == stamp::extra_data(commitment),
        }
    }
}

/// What a job says: its stamp, and whom a block would pay.
pub(super) struct JobSays {
    pub(super) stamped: Stamped,
    pub(super) paid: Vec<Vec<u8>>,
    /// With what each is worth; nothing where the header alone pays.
    pub(super) values: Vec<u64>,
    /// The epoch of the Ethash family that it is hashed in.
    pub(super) dataset: Option<u32>,
    /// It commits to other chains' blocks, and does not say which.
    pub(super) hides_aux: bool,
}

/// Reads a job: its coinbase with an extranonce of zeros and no class yet, or its header.
///
/// # Errors
/// The lie about it.
pub(super) fn read_job(
    algorithm: Algorithm,
    job: &RecordJob,
    is_merged: bool,
) -> Result<JobSays, VerifyError> {
    if is_ethash(algorithm) {
        let header = ethash::read(algorithm, job)?;
        let (stamped, paid) = (Stamped::Extra(header.extra), vec![header.pays.to_vec()]);
        let dataset = Some(header.dataset());
        return Ok(JobSays { stamped, paid, values: Vec::new(), dataset, hides_aux: false });
    }
    let (coinbase, located) = parse(job)?;
    // Work on what is no target would find no block, and none would be missed.
    let is_target = |bits: u32| Target::from_compact(bits).is_some();
    if !is_target(job.bits) || !job.aux.iter().all(|b| is_target(b.bits)) {
        return lie("no-target", format!("job {}", job.job), "its bits are no target");
    }
    let script = &coinbase[located.script.clone()];
    if is_merged {
        let from = job.prefix.len() - located.script.start;
        let rolled = from..from + usize::from(job.extranonce_len);
        if let Err(e) = aux::check(script, rolled, &job.aux) {
            return lie("aux-not-committed", format!("job {}", job.job), e);
        }
    }
    let hides_aux = !is_merged && aux::tags(script) > 0;
    let (values, paid) = located.paid.into_iter().unzip();
    let stamped = Stamped::Output(located.stamp.commitment);
    Ok(JobSays { stamped, paid, values, dataset: None, hides_aux })
}

/// Whether work of this algorithm is a header and a nonce.
pub(super) const fn is_ethash(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ethash | Algorithm::Etchash)
}

fn parse(job: &RecordJob) -> Result<(Vec<u8>, stamp::Located), VerifyError> {
    let extranonce_len = usize::from(job.extranonce_len);
    let bytes = [&job.prefix[..], &vec![0; extranonce_len], &job.suffix].concat();
    let at = || format!("job {}", job.job);
    let found = match stamp::locate(&bytes) {
        Ok(found) => found,
        Err(stamp::StampError::Several) => {
            return lie("two-stamps", at(), "two stamps in one coinbase");
        }
        Err(stamp::StampError::Missing) => {
            return lie("no-stamp", at(), "no output of its coinbase is a stamp");
        }
        Err(e) => return lie("coinbase-malformed", at(), e),
    };
    let end = job.prefix.len() + extranonce_len;
    if job.prefix.len() < found.script.start || end > found.script.end {
        return lie(
            "extranonce-outside-script",
            at(),
            "the extranonce could change what the coinbase says",
        );
    }
    if found.stamp.class.k() != 0 {
        return lie("class-written", at(), "the record's coinbase already holds a class");
    }
    Ok((bytes, found))
}

impl Coinbase {
    fn of(job: &RecordJob, block: &Block) -> Result<Coinbase, VerifyError> {
        let (mut bytes, found) = parse(job)?;
        if let Some(class) = bytes.get_mut(found.class_at) {
            *class = block.class.k();
        }
        Ok(Coinbase { bytes, extranonce_at: job.prefix.len(), script: found.script })
    }
}

/// What the shares of a block are made with.
enum Means {
    /// A coinbase, and what all tries at its job have in common.
    Coinbase(Coinbase, Box<Tries>),
    /// A header that is hashed with each nonce.
    Header(ethash::Header),
}

/// Shares hashed in one go: what they need stays in the processor's nearest memory.
const CHUNK_SHARES: usize = 256;

/// One thread's scratch.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    scrypt: Option<ScryptLanes>,
    tries: Vec<Try>,
    roots: Vec<Hash>,
    /// Headers of the last shares where something asks for them as such.
    headers: Vec<[u8; 80]>,
    hashes: Vec<Hash>,
    /// Leaves of the share tree before they are hashed.
    leaves: Vec<[u8; 64]>,
}

/// A leaf of the share tree: what tells it from a node, and the canonical share. With its padding it is one block.
const LEAF_LEN: usize = 1 + share::LEN;
/// The leaf's length in bits, at the end of its block.
const LEAF_BITS: [u8; 2] = [0x01, 0xa0];
const _: () = assert!(8 * LEAF_LEN == 0x1a0, "a leaf is of another length");

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Hasher {
        let scrypt = (algorithm == Algorithm::Scrypt).then(ScryptLanes::new);
        Hasher {
            algorithm,
            scrypt,
            tries: Vec::new(),
            roots: Vec::new(),
            headers: Vec::new(),
            hashes: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// Hashes every share of a block and holds it against its class.
    pub(super) fn check(
        &mut self,
        header: &RecordHeader,
        block: &Block,
        counted: Class,
    ) -> Result<Checked, VerifyError> {
        let Some(job) = header.jobs.get(block.job) else { return Ok(Checked::default()) };
        let means = self.begin(job, block)?;
        match &means {
            Means::Coinbase(coinbase, _) => no_other_tag(job, block, coinbase)?,
            Means::Header(_) => only_nonces(job, block)?,
        }
        let network = Target::from_compact(job.bits);
        let others: Vec<_> = job.aux.iter().map(|b| Target::from_compact(b.bits)).collect();
        let mut out = Checked::with_room(block.shares.len());
        out.aux_solved = vec![0; others.len()];
        // What is not so good reaches none of the blocks' targets.
        let block_level = least_level(network.iter().chain(others.iter().flatten()));
        for rows in block.shares.chunks(CHUNK_SHARES) {
            self.hash(rows, &means);
            for (n, (row, hash)) in rows.iter().zip(&self.hashes).enumerate() {
                let level = zeros(hash);
                if level < block.class.k() {
                    let what = format!("a share that does not meet its class {}", block.class);
                    return lie("below-target", place_of(job, row), what);
                }
                if level < counted.k() {
                    let what = format!(
                        "a share is opened that does not reach 2^{counted}, the threshold fixed before"
                    );
                    return lie("below-threshold", place_of(job, row), what);
                }
                if usize::from(level) >= block_level {
                    if network.is_some_and(|n| n.is_met_by(hash)) {
                        // A block of the Ethash family is known by the hash of its work.
                        let block = self.headers.get(n).map_or(*hash, |h| gruve_pow::sha256d(h));
                        out.solved.push(block);
                    }
                    for (solved, target) in out.aux_solved.iter_mut().zip(&others) {
                        *solved += u64::from(target.is_some_and(|t| t.is_met_by(hash)));
                    }
                }
                let mut id = [0; 16];
                id.copy_from_slice(&hash[..16]);
                out.ids.push(u128::from_be_bytes(id));
                match row.owner {
                    0 => out.house += 1,
                    owner => *out.owners.entry(owner).or_default() += 1,
                }
            }
            self.leaves(header, block, rows, &mut out.leaves);
        }
        Ok(out)
    }

    /// How good the hashes of a block's shares are: of how many tries each was the best on average, as a power of two.
    ///
    /// # Errors
    /// As [`Hasher::check`], but for what its class asks.
    pub(crate) fn levels(
        &mut self,
        job: &RecordJob,
        block: &Block,
    ) -> Result<Vec<u8>, VerifyError> {
        let means = self.begin(job, block)?;
        let mut levels = Vec::with_capacity(block.shares.len());
        for rows in block.shares.chunks(CHUNK_SHARES) {
            self.hash(rows, &means);
            levels.extend(self.hashes.iter().map(zeros));
        }
        Ok(levels)
    }

    /// Reads what a block's shares are made with.
    fn begin(&mut self, job: &RecordJob, block: &Block) -> Result<Means, VerifyError> {
        self.headers.clear();
        if is_ethash(self.algorithm) {
            return Ok(Means::Header(ethash::read(self.algorithm, job)?));
        }
        let coinbase = Coinbase::of(job, block)?;
        let tried = TriedJob {
            coinbase: &coinbase.bytes,
            extranonce_at: coinbase.extranonce_at,
            extranonce_len: block.extranonce_len,
            branch: &job.branch,
            prev_hash: job.prev_hash,
            bits: job.bits,
        };
        let Some(tries) = Tries::at(&tried) else {
            return lie(
                "extranonce-outside-script",
                format!("job {}", job.job),
                "the extranonce is no part of the coinbase",
            );
        };
        Ok(Means::Coinbase(coinbase, Box::new(tries)))
    }

    /// The hashes of some shares, and their headers where something else than the lanes asks for them.
    fn hash(&mut self, rows: &[ShareRow], means: &Means) {
        match means {
            Means::Coinbase(_, job) => self.hash_coinbases(rows, job),
            Means::Header(header) => ethash::hash(header, rows, &mut self.hashes),
        }
    }

    fn hash_coinbases(&mut self, rows: &[ShareRow], job: &Tries) {
        let tried = |row: &ShareRow| {
            let ShareRow { extranonce, version, ntime, nonce, .. } = *row;
            Try { extranonce, version, ntime, nonce }
        };
        self.tries.clear();
        self.tries.extend(rows.iter().map(tried));
        self.hashes.resize(rows.len(), [0; 32]);
        let Some(lanes) = &mut self.scrypt else {
            job.hashes(&self.tries, &mut self.hashes);
            return;
        };
        self.roots.resize(rows.len(), [0; 32]);
        job.roots(&self.tries, &mut self.roots);
        let both = self.tries.iter().zip(&self.roots);
        self.headers.clear();
        self.headers.extend(both.map(|(tried, root)| job.header(tried, root)));
        lanes.hash(&self.headers, &mut self.hashes);
    }

    /// Adds the leaves of some shares.
    fn leaves(
        &mut self,
        header: &RecordHeader,
        block: &Block,
        rows: &[ShareRow],
        to: &mut Vec<Hash>,
    ) {
        let Some(first) = rows.first() else { return };
        // Job and class are the same in all, and so is the padding.
        let mut leaf = [0; 64];
        leaf[1..LEAF_LEN].copy_from_slice(&block.canonical(first, header));
        leaf[LEAF_LEN] = 0x80;
        leaf[62..].copy_from_slice(&LEAF_BITS);
        let one = |row: &ShareRow| {
            let owner = row.owner.checked_sub(1).and_then(|i| header.owners.get(i as usize));
            let numbers = [row.ntime, row.nonce, row.version];
            if let Some(own) = leaf[1..].first_chunk_mut() {
                share::put(own, &row.extranonce, numbers, owner.copied());
            }
            leaf
        };
        self.leaves.clear();
        self.leaves.extend(rows.iter().map(one));
        let from = to.len();
        to.resize(from + rows.len(), [0; 32]);
        sha256_blocks(&self.leaves, &mut to[from..]);
    }
}

fn place_of(job: &RecordJob, row: &ShareRow) -> String {
    format!("job {}, extranonce {}, nonce {:08x}", job.job, hex::encode(row.extranonce), row.nonce)
}

/// Where a share is a header and a nonce, nothing else may tell two shares apart.
fn only_nonces(job: &RecordJob, block: &Block) -> Result<(), VerifyError> {
    let is_plain = |row: &&ShareRow| (row.nonce, row.ntime, row.version) == (0, 0, 0);
    match block.shares.iter().find(|row| !is_plain(row)) {
        Some(row) => lie("share-malformed", place_of(job, row), "a nonce has nothing beside it"),
        None => Ok(()),
    }
}

/// The bits of zero that a hash, as a number, begins with: the highest class whose target it meets (255 at most).
fn zeros(hash: &Hash) -> u8 {
    let mut all = 0;
    for part in hash.as_chunks::<8>().0.iter().rev() {
        let own = u64::from_le_bytes(*part).leading_zeros();
        all += own;
        if own < u64::BITS {
            break;
        }
    }
    u8::try_from(all).unwrap_or(u8::MAX)
}

/// The bits of zero that every hash begins with which meets one of these targets, 255 at most.
fn least_level<'a>(targets: impl Iterator<Item = &'a Target>) -> usize {
    targets.map(|t| t.0.leading_zeros().min(255)).min().unwrap_or(usize::MAX)
}

/// A job's work is for the auxiliary blocks that its script says with zeros for the extranonce, whatever miners put there. Beside
/// a tag another one, cut or whole, would spoil it for every chain; where there is none, only a whole one would make the work
/// be for something. (Half a tag there spoils nothing, and anybody who mines could send it to make an honest record false.)
fn no_other_tag(job: &RecordJob, block: &Block, coinbase: &Coinbase) -> Result<(), VerifyError> {
    let mut script = coinbase.bytes[coinbase.script.clone()].to_vec();
    let own = aux::tags(&script);
    let at = coinbase.extranonce_at - coinbase.script.start;
    let end = at + block.extranonce_len;
    // Where a tag could stand that the extranonce has a part in.
    let from = at.saturating_sub(aux::TAG.len() - 1);
    let to = (end + aux::TAG.len() - 1).min(script.len());
    let begins_before = script[from..at].contains(&aux::TAG[0]);
    for row in &block.shares {
        // Few have its first byte.
        if own <= 1 && !begins_before && !row.extranonce.contains(&aux::TAG[0]) {
            continue;
        }
        script[at..end].copy_from_slice(&row.extranonce[..block.extranonce_len]);
        let is_other = own > 1
            || (aux::tags(&script[from..to]) > 0
                && if own == 1 { aux::tags(&script) > 1 } else { aux::whole_tags(&script) > 0 });
        if is_other {
            let what = "a merge-mining tag more than its job has";
            return lie("two-merge-tags", place_of(job, row), what);
        }
    }
    Ok(())
}

/// Checks blocks on several threads; results in the blocks' order. Does something else meanwhile.
pub(super) fn check_all<T>(
    hashers: &mut [Hasher],
    header: &RecordHeader,
    blocks: &[Block],
    counted: &(dyn Fn(&Block) -> Class + Sync),
    meanwhile: impl FnOnce() -> T,
) -> (Result<Vec<Checked>, VerifyError>, T) {
    let shares: usize = blocks.iter().map(|b| b.shares.len()).sum();
    let part = shares.div_ceil(hashers.len().max(1)).max(1);
    // Contiguous parts of about as many shares each.
    let mut parts: Vec<&[Block]> = Vec::new();
    let (mut from, mut sum) = (0, 0);
    for (i, b) in blocks.iter().enumerate() {
        sum += b.shares.len();
        if sum >= part || i + 1 == blocks.len() {
            parts.push(&blocks[from..=i]);
            (from, sum) = (i + 1, 0);
        }
    }
    let one = |hasher: &mut Hasher, part: &[Block]| -> Result<Vec<Checked>, VerifyError> {
        part.iter().map(|b| hasher.check(header, b, counted(b))).collect()
    };
    let one = &one;
    let (results, done): (Vec<Result<Vec<Checked>, VerifyError>>, T) = match (hashers, &parts[..]) {
        (_, []) => (Vec::new(), meanwhile()),
        ([first, ..], [only]) => (vec![one(first, only)], meanwhile()),
        (hashers, parts) => std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (hasher, part) in hashers.iter_mut().zip(parts.iter().copied()) {
                running.push(scope.spawn(move || one(hasher, part)));
            }
            let broke = || Lie {
                name: "verifier-broke",
                what: "a thread ended early".into(),
                at: String::new(),
            };
            let done = meanwhile();
            let join =
                |t: ScopedJoinHandle<'_, _>| t.join().unwrap_or_else(|_| Err(broke().into()));
            (running.into_iter().map(join).collect(), done)
        }),
    };
    let all: Result<Vec<Vec<Checked>>, VerifyError> = results.into_iter().collect();
    (all.map(|all| all.into_iter().flatten().collect()), done)
}
