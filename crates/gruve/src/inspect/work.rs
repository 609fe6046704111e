//! Shares, blocks and headers: from a job's parts to its proof of work.

use super::facts::Facts;
use super::member::{InputError, Member};
use gruve_pow::{Difficulty, merkle_root_from_branch, pow_hash, sha256d, share_difficulty};
use gruve_units::{Algorithm, Target};
use serde_json::Value;

/// Merkle siblings of a coinbase at most: a block of 2^32 transactions is beyond any chain.
const BRANCH_MAX: usize = 32;

/// A job put together with what a miner chose.
struct Job {
    algorithm: Algorithm,
    coinbase: Vec<u8>,
    coinbase_id: [u8; 32],
    merkle_root: [u8; 32],
    header: [u8; 80],
}

/// The members that a miner chooses, wherever an entry keeps them.
struct Chosen<'a> {
    extranonce1: Member<'a>,
    extranonce2: Member<'a>,
    submit: Member<'a>,
}

/// What follows from a Stratum V1 share.
pub(super) fn share(
    entry: &Member<'_>,
    difficulty: Option<&Difficulty>,
    facts: &mut Facts,
) -> Result<(), InputError> {
    let chosen = Chosen {
        extranonce1: entry.get("extranonce1"),
        extranonce2: entry.get("extranonce2"),
        submit: entry.get("submit"),
    };
    let job = job(algorithm(entry)?, &entry.get("notify"), &chosen)?;
    let hash = pow_hash(job.algorithm, &job.header);
    facts.add("coinbase", hex::encode(&job.coinbase));
    facts.add("coinbase_hash_internal", hex::encode(job.coinbase_id));
    facts.add("merkle_root_internal", hex::encode(job.merkle_root));
    facts.add("header", hex::encode(job.header));
    facts.add("block_hash_display", display(sha256d(&job.header)));
    facts.add("pow_hash_display", display(hash));
    verdict(job.algorithm, &job.header, &hash, difficulty, facts);
    Ok(())
}

/// What follows from the job that led to a block. It answers under the keys of blocks and of
/// shares.
pub(super) fn block(
    entry: &Member<'_>,
    difficulty: Option<&Difficulty>,
    facts: &mut Facts,
) -> Result<(), InputError> {
    let parts = entry.get("stratum");
    let chosen = Chosen {
        extranonce1: parts.get("extranonce1"),
        extranonce2: parts.get("extranonce2"),
        submit: parts.clone(),
    };
    let job = job(algorithm(entry)?, &parts, &chosen)?;
    facts.add("coinbase_no_witness", hex::encode(&job.coinbase));
    facts.add("coinbase_txid", display(job.coinbase_id));
    facts.alias("coinbase", hex::encode(&job.coinbase));
    facts.alias("coinbase_hash_internal", hex::encode(job.coinbase_id));
    facts.alias("merkle_root_internal", hex::encode(job.merkle_root));
    facts.add("header", hex::encode(job.header));
    header_facts(job.algorithm, &job.header, difficulty, facts);
    Ok(())
}

/// What follows from a header.
pub(super) fn header(
    entry: &Member<'_>,
    difficulty: Option<&Difficulty>,
    facts: &mut Facts,
) -> Result<(), InputError> {
    let own = entry.get("header").given();
    // A share's entry has its header among what is derived.
    let among_derived = || entry.get("derived").get("header").given();
    let member = own.or_else(among_derived).unwrap_or_else(|| entry.get("header"));
    let header = member.array()?;
    let algorithm = algorithm(entry)?;
    facts.label("header", hex::encode(header));
    header_facts(algorithm, &header, difficulty, facts);
    Ok(())
}

/// The algorithm of the work; SHA-256d unless said otherwise.
fn algorithm(entry: &Member<'_>) -> Result<Algorithm, InputError> {
    const EXPECTED: &str = "\"sha256d\" or \"scrypt\"";
    let Some(member) = entry.get("algo").given() else { return Ok(Algorithm::Sha256d) };
    match member.text(EXPECTED)?.parse() {
        Ok(algorithm @ (Algorithm::Sha256d | Algorithm::Scrypt)) => Ok(algorithm),
        _ => Err(member.error(EXPECTED)),
    }
}

fn job(algorithm: Algorithm, notify: &Member<'_>, chosen: &Chosen<'_>) -> Result<Job, InputError> {
    notify.object()?;
    chosen.submit.object()?;
    let prev_hash = header_order(notify.get("prevhash").array()?);
    let coinbase = [
        notify.get("coinb1").bytes()?,
        chosen.extranonce1.bytes()?,
        chosen.extranonce2.bytes()?,
        notify.get("coinb2").bytes()?,
    ]
    .concat();
    let siblings = notify.get("merkle_branch");
    let list = siblings.list()?;
    if list.len() > BRANCH_MAX {
        return Err(siblings.error(format!("a list of at most {BRANCH_MAX}")));
    }
    let branch: Vec<[u8; 32]> = list.iter().map(Member::array).collect::<Result<_, _>>()?;
    let version = version(notify, &chosen.submit)?;
    let bits = notify.get("nbits").word()?;
    let ntime = chosen.submit.get("ntime").word()?;
    let nonce = chosen.submit.get("nonce").word()?;

    // The coinbase of a job has no witness, so that its hash is the transaction's id.
    let coinbase_id = sha256d(&coinbase);
    let merkle_root = merkle_root_from_branch(coinbase_id, &branch);
    let mut header = [0; 80];
    header[..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(&prev_hash);
    header[36..68].copy_from_slice(&merkle_root);
    header[68..72].copy_from_slice(&ntime.to_le_bytes());
    header[72..76].copy_from_slice(&bits.to_le_bytes());
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    Ok(Job { algorithm, coinbase, coinbase_id, merkle_root, header })
}

/// The job's version with the miner's bits within the mask (BIP 310):
/// `(job & ~mask) | (bits & mask)`.
fn version(notify: &Member<'_>, submit: &Member<'_>) -> Result<u32, InputError> {
    let job = notify.get("version").word()?;
    let mask = submit.get("version_mask").given().map(|m| m.word()).transpose()?;
    let Some(bits) = submit.get("version_bits").given() else { return Ok(job) };
    let bits = bits.word()?;
    let mask = match mask {
        Some(mask) => mask,
        None => submit.get("version_mask").word()?,
    };
    Ok((job & !mask) | (bits & mask))
}

/// From the wire's order of a previous block hash to the header's: each 4-byte word reversed.
fn header_order(mut hash: [u8; 32]) -> [u8; 32] {
    for word in hash.chunks_exact_mut(4) {
        word.reverse();
    }
    hash
}

fn display(mut hash: [u8; 32]) -> String {
    hash.reverse();
    hex::encode(hash)
}

fn word_at(header: &[u8; 80], at: usize) -> u32 {
    header.get(at..).and_then(|h| h.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn hash_at(header: &[u8; 80], at: usize) -> [u8; 32] {
    header.get(at..).and_then(|h| h.first_chunk()).copied().unwrap_or_default()
}

fn header_facts(
    algorithm: Algorithm,
    header: &[u8; 80],
    difficulty: Option<&Difficulty>,
    facts: &mut Facts,
) {
    let hash = pow_hash(algorithm, header);
    let bits = word_at(header, 72);
    facts.add("version", word_at(header, 0).cast_signed());
    facts.add("prev_hash", display(hash_at(header, 4)));
    facts.add("merkle_root", display(hash_at(header, 36)));
    facts.add("time", word_at(header, 68));
    facts.add("bits", format!("{bits:08x}"));
    facts.add("nonce", word_at(header, 76));
    facts.add("target", Target::from_compact(bits).map(|t| hex::encode(t.to_be_bytes())));
    facts.add("block_hash", display(sha256d(header)));
    facts.alias("block_hash_display", display(sha256d(header)));
    facts.add("pow_hash", display(hash));
    facts.alias("pow_hash_display", display(hash));
    verdict(algorithm, header, &hash, difficulty, facts);
}

/// What the proof of work reaches. No hash meets a target that is none.
fn verdict(
    algorithm: Algorithm,
    header: &[u8; 80],
    hash: &[u8; 32],
    difficulty: Option<&Difficulty>,
    facts: &mut Facts,
) {
    // Only the hash zero has no finite difficulty; it becomes null.
    facts.add("share_difficulty", Value::from(share_difficulty(algorithm, hash)));
    let target = Target::from_compact(word_at(header, 72));
    facts.add("meets_network_target", target.is_some_and(|t| t.is_met_by(hash)));
    if let Some(difficulty) = difficulty {
        facts.label("meets_difficulty", difficulty.is_reached_by(algorithm, hash));
    }
}
