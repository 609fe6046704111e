//! A template with our coinbase: what miners are given, and the whole block back from their work.
//!
//! | coinbase part | content |
//! |---|---|
//! | script | height (BIP 34), on a merge-mined lane the merge-mining tag as one push, the tag as one push, the extranonce as the last push; at most 100 bytes |
//! | outputs | the destinations in the given order, the witness commitment if any, the stamp *last* |
//!
//! With the stamp last, its class byte is the last before the four bytes of lock time, so the
//! suffix of one class differs from another's in one byte and a copy is as cheap as a cache.
//!
//! Promises: a job is immutable; nothing a miner sends can change more of the block than the
//! extranonce, time, nonce and version it is asked for; the block is byte for byte what the node
//! offered, with our coinbase before it.

use crate::auxpow::tag::{self, TAG_BYTES};
use crate::auxpow::{AuxLeaf, AuxProof, AuxWork};
use crate::room::{COINBASE_SIGOPS_MAX, COINBASE_WEIGHT_MAX};
use crate::script::{MAX_SHORT_PUSH, height_push};
use crate::stamp;
use crate::wire::{write_bytes, write_compact_size};
use crate::{Template, hash_to_text};
use gruve_pow::{merkle_root_from_branch, sha256d};
use gruve_units::{Blame, Blamed, Class, EpochNumber, JobId, Target};
use std::fmt;
use std::sync::Arc;

/// Longest extranonce, both parts together: room for 2^32 sessions and 2^64 tries in each, and the
/// verifier's bound.
pub const MAX_EXTRANONCE_BYTES: usize = 12;
/// Longest coinbase script the chains allow.
const MAX_SCRIPT_BYTES: usize = 100;

/// What the house adds to a template.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct JobSpec {
    /// The job's number.
    pub id: JobId,
    /// The epoch whose work it is.
    pub epoch: EpochNumber,
    /// The epoch whose checkpoint the commitment holds.
    pub checkpoint_epoch: EpochNumber,
    /// The stamp's commitment.
    pub commitment: [u8; 32],
    /// Free bytes in the coinbase script, at most 75; may be empty.
    pub tag: Vec<u8>,
    /// Output scripts and minor units; together exactly what the template allows.
    pub pay_to: Vec<(Vec<u8>, i64)>,
    /// Bytes of extranonce, both parts together: 1 to 12.
    pub extranonce_len: usize,
}

/// Why a job cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The extranonce has no room or too much.
    #[error("an extranonce has 1 to {MAX_EXTRANONCE_BYTES} bytes, not {0}")]
    ExtranonceLength(usize),
    /// The tag does not fit one push.
    #[error("a tag has at most {MAX_SHORT_PUSH} bytes, not {0}")]
    TagLength(usize),
    /// The coinbase script passes the chain's bound.
    #[error("the coinbase script has {0} bytes and may have {MAX_SCRIPT_BYTES}")]
    ScriptLength(usize),
    /// The outputs do not pay exactly what the block earns.
    #[error("the outputs pay {paid} minor units, the block earns {earned}")]
    Value {
        /// Sum of the outputs.
        paid: i128,
        /// The template's coinbase value.
        earned: i64,
    },
    /// An output is negative, or pays to no script.
    #[error("output {0} is negative or pays to an empty script")]
    Output(usize),
    /// The coinbase is heavier than the room nodes keep for it.
    #[error("the coinbase weighs {0} units and may weigh {COINBASE_WEIGHT_MAX}: pay to fewer")]
    TooHeavy(u64),
    /// Its outputs have more signature operations than nodes keep free.
    #[error("the coinbase has {0} signature operations and may have {COINBASE_SIGOPS_MAX}")]
    Sigops(u64),
    /// The template's compact target is none.
    #[error("the template's bits {0:08x} are no target")]
    Bits(u32),
    /// The tag, or the merge-mining tag itself, contains what a merge-mining tag begins with: no
    /// auxiliary chain would take a proof from it.
    #[error("the coinbase script begins more than one merge-mining tag")]
    SecondTag,
}

impl Blamed for JobError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// Work to hand out: a template, our coinbase around an extranonce, and the merkle branch.
pub struct Job {
    template: Arc<Template>,
    spec: JobSpec,
    aux: Option<Arc<AuxWork>>,
    target: Target,
    prefix: Vec<u8>,
    suffix_class_zero: Vec<u8>,
    class_offset: usize,
    branch: Vec<[u8; 32]>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.spec.id)
            .field("epoch", &self.spec.epoch)
            .field("height", &self.template.height)
            .field("prev_hash", &hash_to_text(&self.template.prev_hash))
            .finish_non_exhaustive()
    }
}

impl Job {
    /// Builds the coinbase and the merkle branch.
    ///
    /// # Errors
    /// When the specification does not make a coinbase that the chain would take.
    pub fn build(template: Arc<Template>, spec: JobSpec) -> Result<Job, JobError> {
        let branch = template.coinbase_branch();
        Job::build_on(template, branch, spec)
    }

    /// As [`Job::build`], with the template's own [`Template::coinbase_branch`] computed before:
    /// for a full block that takes longer than all the rest.
    ///
    /// # Errors
    /// As [`Job::build`].
    pub fn build_on(
        template: Arc<Template>,
        branch: Vec<[u8; 32]>,
        spec: JobSpec,
    ) -> Result<Job, JobError> {
        Job::build_merged(template, branch, spec, None)
    }

    /// As [`Job::build_on`], for auxiliary blocks as well.
    ///
    /// # Errors
    /// As [`Job::build`], and [`JobError::SecondTag`]: then another tag is to be tried.
    pub fn build_merged(
        template: Arc<Template>,
        branch: Vec<[u8; 32]>,
        spec: JobSpec,
        aux: Option<Arc<AuxWork>>,
    ) -> Result<Job, JobError> {
        let target = Target::from_compact(template.bits).ok_or(JobError::Bits(template.bits))?;
        check_outputs(&template, &spec)?;
        let prefix = coinbase_prefix(&template, &spec, aux.as_deref())?;
        let suffix = coinbase_suffix(&template, &spec);
        let class_offset = suffix.len() - LOCK_TIME_BYTES - 1;
        let legacy_bytes = prefix.len() + spec.extranonce_len + suffix.len();
        let witness_bytes = if template.witness_commitment.is_some() { WITNESS_BYTES } else { 0 };
        check_room(4 * legacy_bytes + witness_bytes, &spec)?;
        let suffix_class_zero = suffix;
        Ok(Job { template, spec, aux, target, prefix, suffix_class_zero, class_offset, branch })
    }

    /// What the house added to the template.
    #[must_use]
    pub const fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// The job's number.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.spec.id
    }

    /// The epoch whose work it is.
    #[must_use]
    pub const fn epoch(&self) -> EpochNumber {
        self.spec.epoch
    }

    /// The epoch whose checkpoint the commitment holds.
    #[must_use]
    pub const fn checkpoint_epoch(&self) -> EpochNumber {
        self.spec.checkpoint_epoch
    }

    /// The stamp's commitment.
    #[must_use]
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.spec.commitment
    }

    /// Where a block's earnings go: output scripts and minor units.
    #[must_use]
    pub fn pay_to(&self) -> &[(Vec<u8>, i64)] {
        &self.spec.pay_to
    }

    /// The template it was built from.
    #[must_use]
    pub const fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// Height of the block to be.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.template.height
    }

    /// The block it stands on, internal byte order.
    #[must_use]
    pub fn prev_hash(&self) -> &[u8; 32] {
        &self.template.prev_hash
    }

    /// Network target in compact form.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.template.bits
    }

    /// Header version without any rolling.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.template.version
    }

    /// Header time to begin with, seconds: the node's time, never below the earliest allowed.
    #[must_use]
    pub fn ntime(&self) -> u32 {
        self.template.cur_time.max(self.template.min_time)
    }

    /// Earliest header time allowed, seconds.
    #[must_use]
    pub fn min_time(&self) -> u32 {
        self.template.min_time
    }

    /// A hash that meets this makes a block.
    #[must_use]
    pub const fn network_target(&self) -> Target {
        self.target
    }

    /// The auxiliary blocks it is for, where it is merge-mined.
    #[must_use]
    pub const fn aux(&self) -> Option<&Arc<AuxWork>> {
        self.aux.as_ref()
    }

    /// The easiest target of a block that can be found with it, auxiliary ones included.
    #[must_use]
    pub fn easiest_target(&self) -> Target {
        let aux = self.aux.iter().flat_map(|aux| aux.leaves()).map(|leaf| leaf.target);
        aux.fold(self.target, Target::max)
    }

    /// The auxiliary blocks that a hash solves.
    pub fn solved_aux(&self, pow_hash: &[u8; 32]) -> impl Iterator<Item = &AuxLeaf> {
        let leaves = self.aux.iter().flat_map(|aux| aux.leaves());
        leaves.filter(move |leaf| leaf.target.is_met_by(pow_hash))
    }

    /// The proof for an auxiliary block of this job, by a header made by [`Job::header`] with the same
    /// class and extranonce.
    #[must_use]
    pub fn aux_proof(
        &self,
        leaf: &AuxLeaf,
        class: Class,
        extranonce: &[u8],
        header: &[u8; 80],
    ) -> AuxProof {
        leaf.proof(self.coinbase(class, extranonce), &self.branch, header)
    }

    /// Whether an extranonce would put a second merge-mining tag into the coinbase: no auxiliary
    /// chain takes a proof from such work.
    #[must_use]
    pub fn is_second_tag(&self, extranonce: &[u8]) -> bool {
        self.aux.is_some() && tag::count(extranonce) > 0
    }

    /// Bytes of extranonce, both parts together.
    #[must_use]
    pub const fn extranonce_len(&self) -> usize {
        self.spec.extranonce_len
    }

    /// The coinbase without witness, up to the extranonce.
    #[must_use]
    pub fn coinbase_prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The coinbase without witness, after the extranonce, with a class in its stamp.
    #[must_use]
    pub fn coinbase_suffix(&self, class: Class) -> Vec<u8> {
        let mut suffix = self.suffix_class_zero.clone();
        suffix[self.class_offset] = class.k();
        suffix
    }

    /// The suffix with class byte zero, as a record keeps it.
    #[must_use]
    pub fn coinbase_suffix_class_zero(&self) -> &[u8] {
        &self.suffix_class_zero
    }

    /// Where in the suffix the class byte stands.
    #[must_use]
    pub const fn class_offset(&self) -> usize {
        self.class_offset
    }

    /// Siblings from the coinbase up to the merkle root, all on the right, internal byte order.
    #[must_use]
    pub fn branch(&self) -> &[[u8; 32]] {
        &self.branch
    }

    /// The whole coinbase without witness. The extranonce must have [`Job::extranonce_len`]
    /// bytes: whoever takes it from a miner checks that first.
    #[must_use]
    pub fn coinbase(&self, class: Class, extranonce: &[u8]) -> Vec<u8> {
        debug_assert_eq!(
            extranonce.len(),
            self.spec.extranonce_len,
            "extranonce length is checked"
        );
        let suffix = &self.suffix_class_zero;
        let mut coinbase = Vec::with_capacity(self.prefix.len() + extranonce.len() + suffix.len());
        coinbase.extend_from_slice(&self.prefix);
        coinbase.extend_from_slice(extranonce);
        let class_at = coinbase.len() + self.class_offset;
        coinbase.extend_from_slice(suffix);
        coinbase[class_at] = class.k();
        coinbase
    }

    /// The header of one try.
    #[must_use]
    pub fn header(
        &self,
        class: Class,
        extranonce: &[u8],
        version: u32,
        ntime: u32,
        nonce: u32,
    ) -> [u8; 80] {
        let coinbase_id = sha256d(&self.coinbase(class, extranonce));
        let root = merkle_root_from_branch(coinbase_id, &self.branch);
        header_bytes(version, self.prev_hash(), &root, ntime, self.bits(), nonce)
    }

    /// The whole block of a header made by [`Job::header`] with the same class and extranonce.
    #[must_use]
    pub fn block(&self, class: Class, extranonce: &[u8], header: &[u8; 80]) -> Vec<u8> {
        let coinbase = self.coinbase(class, extranonce);
        let txs_bytes: usize = self.template.txs.iter().map(|tx| tx.data.len()).sum();
        let mweb_bytes = self.template.mweb.as_ref().map_or(0, Vec::len);
        let mut block = Vec::with_capacity(128 + coinbase.len() + txs_bytes + mweb_bytes);
        block.extend_from_slice(header);
        let count = u64::try_from(self.template.txs.len()).unwrap_or(u64::MAX);
        write_compact_size(&mut block, count.saturating_add(1));
        if self.template.witness_commitment.is_some() {
            let lock_time_at = coinbase.len() - LOCK_TIME_BYTES;
            block.extend_from_slice(&coinbase[..4]); // version
            block.extend_from_slice(&[0, 1]); // marker and flag
            block.extend_from_slice(&coinbase[4..lock_time_at]);
            block.extend_from_slice(&[1, 32]); // one item: the reserved value
            block.extend_from_slice(&[0; 32]);
            block.extend_from_slice(&coinbase[lock_time_at..]);
        } else {
            block.extend_from_slice(&coinbase);
        }
        for tx in &self.template.txs {
            block.extend_from_slice(&tx.data);
        }
        if let Some(mweb) = &self.template.mweb {
            block.push(1); // the extension block is there
            block.extend_from_slice(mweb);
        }
        block
    }
}

/// The merge-mining tag's length as a push.
const AUX_TAG_PUSH: u8 = 44;
const _: () = assert!(AUX_TAG_PUSH as usize == TAG_BYTES);
const LOCK_TIME_BYTES: usize = 4;
/// Marker, flag, and a witness of one 32-byte item, which weigh one unit a byte.
const WITNESS_BYTES: usize = 2 + 2 + 32;

fn check_outputs(template: &Template, spec: &JobSpec) -> Result<(), JobError> {
    for (i, (script, value)) in spec.pay_to.iter().enumerate() {
        if *value < 0 || script.is_empty() {
            return Err(JobError::Output(i));
        }
    }
    let paid: i128 = spec.pay_to.iter().map(|(_, value)| i128::from(*value)).sum();
    if paid != i128::from(template.coinbase_value) {
        return Err(JobError::Value { paid, earned: template.coinbase_value });
    }
    Ok(())
}

/// Whether the coinbase is within what is kept free for it.
fn check_room(weight: usize, spec: &JobSpec) -> Result<(), JobError> {
    let weight = u64::try_from(weight).unwrap_or(u64::MAX);
    if weight > COINBASE_WEIGHT_MAX {
        return Err(JobError::TooHeavy(weight));
    }
    // All other scripts of a coinbase of ours only push.
    let of = |script: &[u8]| bitcoin::Script::from_bytes(script).count_sigops_legacy();
    let sigops: usize = spec.pay_to.iter().map(|(script, _)| of(script)).sum();
    let sigops = u64::try_from(sigops).unwrap_or(u64::MAX);
    if sigops > COINBASE_SIGOPS_MAX {
        return Err(JobError::Sigops(sigops));
    }
    Ok(())
}

fn coinbase_prefix(
    template: &Template,
    spec: &JobSpec,
    aux: Option<&AuxWork>,
) -> Result<Vec<u8>, JobError> {
    if !(1..=MAX_EXTRANONCE_BYTES).contains(&spec.extranonce_len) {
        return Err(JobError::ExtranonceLength(spec.extranonce_len));
    }
    let short_push = |n: usize| u8::try_from(n).ok().filter(|_| n <= MAX_SHORT_PUSH);
    let tag_len = short_push(spec.tag.len()).ok_or(JobError::TagLength(spec.tag.len()))?;
    let extranonce_len =
        short_push(spec.extranonce_len).ok_or(JobError::ExtranonceLength(spec.extranonce_len))?;
    let mut script = height_push(template.height);
    if let Some(aux) = aux {
        script.push(AUX_TAG_PUSH);
        script.extend_from_slice(aux.tag());
    }
    if tag_len > 0 {
        script.push(tag_len);
        script.extend_from_slice(&spec.tag);
    }
    script.push(extranonce_len);
    // The length before the extranonce is no part of a tag, so none can begin before it and end in it.
    if aux.is_some() && tag::count(&script) != 1 {
        return Err(JobError::SecondTag);
    }
    let script_len = script.len() + spec.extranonce_len;
    let script_len_byte = u8::try_from(script_len)
        .ok()
        .filter(|_| script_len <= MAX_SCRIPT_BYTES)
        .ok_or(JobError::ScriptLength(script_len))?;

    let mut prefix = Vec::with_capacity(42 + script.len());
    prefix.extend_from_slice(&2u32.to_le_bytes()); // version
    prefix.push(1); // one input
    prefix.extend_from_slice(&[0; 32]);
    prefix.extend_from_slice(&u32::MAX.to_le_bytes());
    prefix.push(script_len_byte);
    prefix.extend_from_slice(&script);
    Ok(prefix)
}

fn coinbase_suffix(template: &Template, spec: &JobSpec) -> Vec<u8> {
    let mut suffix = Vec::new();
    suffix.extend_from_slice(&u32::MAX.to_le_bytes()); // sequence
    let outputs = spec.pay_to.len() + usize::from(template.witness_commitment.is_some()) + 1;
    write_compact_size(&mut suffix, u64::try_from(outputs).unwrap_or(u64::MAX));
    let mut output = |value: i64, script: &[u8]| {
        suffix.extend_from_slice(&value.to_le_bytes());
        write_bytes(&mut suffix, script);
    };
    for (script, value) in &spec.pay_to {
        output(*value, script);
    }
    if let Some(script) = &template.witness_commitment {
        output(0, script);
    }
    output(0, &stamp::output_script(&spec.commitment, CLASS_ZERO));
    suffix.extend_from_slice(&[0; LOCK_TIME_BYTES]);
    suffix
}

const CLASS_ZERO: Class = match Class::new(0) {
    Some(class) => class,
    None => panic!("class zero is a class"), // decided when compiling
};

/// The 80 bytes of a header; hashes in internal byte order.
#[must_use]
pub fn header_bytes(
    version: u32,
    prev_hash: &[u8; 32],
    merkle_root: &[u8; 32],
    time: u32,
    bits: u32,
    nonce: u32,
) -> [u8; 80] {
    let mut header = [0u8; 80];
    header[..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(prev_hash);
    header[36..68].copy_from_slice(merkle_root);
    header[68..72].copy_from_slice(&time.to_le_bytes());
    header[72..76].copy_from_slice(&bits.to_le_bytes());
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    header
}

impl Template {
    /// The siblings of the coinbase in this template's merkle tree.
    #[must_use]
    pub fn coinbase_branch(&self) -> Vec<[u8; 32]> {
        coinbase_branch(&self.txs.iter().map(|tx| tx.txid).collect::<Vec<_>>())
    }
}

/// The siblings of leaf 0 (the coinbase) from the ids of the transactions after it. A last
/// transaction without a neighbour is its own (Bitcoin's rule).
#[must_use]
pub fn coinbase_branch(txids: &[[u8; 32]]) -> Vec<[u8; 32]> {
    // The place of leaf 0 and of its ancestors is held by zeros, which never enter a sibling.
    let mut level = Vec::with_capacity(txids.len() + 1);
    level.push([0u8; 32]);
    level.extend_from_slice(txids);
    let mut branch = Vec::new();
    while level.len() > 1 {
        branch.push(level[1]);
        level = parents(&level);
    }
    branch
}

/// The merkle root of a whole block's transaction ids; zeros for none.
#[must_use]
pub fn merkle_root(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}

fn parents(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let pair = |pair: &[[u8; 32]]| {
        let left = pair[0];
        let right = pair.get(1).copied().unwrap_or(left);
        sha256d(&[left, right].concat())
    };
    level.chunks(2).map(pair).collect()
}
