//! Writing a record: the operator's side of the format.

use super::{
    BLOCK_SHARES, BRANCH_MAX, JOB_BYTES_MAX, JOBS_MAX, LATE_MAX, MAGIC, MAGIC_MERGED, OWNERS_MAX,
    PREFIX_MAX, RecordJob, RecordOf, SHARES_MAX, SUFFIX_MAX, fold_time, fold_version, width_of,
};
use crate::aux::{self, AuxBlock};
use crate::share::{self, Canonical};
use crate::wire::push_varint;
use gruve_units::{EpochNumber, JobId};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Writes a record. `jobs` are all that a share is of; `sections` are the epoch's own shares and then late ones,
/// each sorted by canonical bytes and without repeats.
///
/// # Errors
/// The writer's; `InvalidInput` when a limit is passed, a share's job is missing or the order is wrong.
pub fn write_record<'a, I>(
    out: &mut impl Write,
    of: &RecordOf,
    jobs: &BTreeMap<JobId, RecordJob>,
    sections: &[(EpochNumber, I)],
) -> io::Result<()>
where
    I: Iterator<Item = &'a Canonical> + Clone,
{
    let mut owners = BTreeSet::new();
    for (_, shares) in sections {
        owners.extend(shares.clone().filter_map(share::owner).map(|a| a.to_bytes()));
    }
    let is_merged = jobs.values().any(|j| !j.aux.is_empty());
    let bytes: usize = jobs.values().map(|j| j.bytes(is_merged)).sum();
    let is_within = jobs.len() <= JOBS_MAX
        && owners.len() <= OWNERS_MAX
        && bytes <= JOB_BYTES_MAX
        && (1..=usize::from(LATE_MAX) + 1).contains(&sections.len());
    if !is_within {
        return Err(refused("more jobs, owners or sections than a record may have"));
    }
    let owners: Vec<[u8; 16]> = owners.into_iter().collect();
    out.write_all(if is_merged { &MAGIC_MERGED } else { &MAGIC })?;
    let lane = of.lane.as_str().as_bytes();
    out.write_all(&[u8::try_from(lane.len()).unwrap_or(u8::MAX)])?;
    out.write_all(lane)?;
    out.write_all(&of.epoch.0.to_be_bytes())?;
    out.write_all(&count(jobs.len()))?;
    out.write_all(&count(owners.len()))?;
    for owner in &owners {
        out.write_all(owner)?;
    }
    for job in jobs.values() {
        write_job(out, job)?;
        if is_merged {
            write_aux(out, &job.aux)?;
        }
    }
    out.write_all(&[u8::try_from(sections.len()).unwrap_or(0)])?;
    for (epoch, shares) in sections {
        write_section(out, *epoch, shares.clone(), jobs, &owners)?;
    }
    Ok(())
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn count(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

fn write_job(out: &mut impl Write, j: &RecordJob) -> io::Result<()> {
    let is_within = j.prefix.len() <= PREFIX_MAX
        && j.suffix.len() <= SUFFIX_MAX
        && j.branch.len() <= BRANCH_MAX;
    if !is_within {
        return Err(refused("a job's coinbase or branch is longer than a record may have"));
    }
    for n in [j.job.0, j.epoch.0, j.checkpoint_epoch.0, j.issued_us, j.height] {
        out.write_all(&n.to_be_bytes())?;
    }
    out.write_all(&j.prev_hash)?;
    for n in [j.bits, j.version, j.ntime] {
        out.write_all(&n.to_be_bytes())?;
    }
    out.write_all(&[j.extranonce_len, u8::try_from(j.prefix.len()).unwrap_or(0)])?;
    out.write_all(&j.prefix)?;
    out.write_all(&count(j.suffix.len()))?;
    out.write_all(&j.suffix)?;
    out.write_all(&[u8::try_from(j.branch.len()).unwrap_or(0)])?;
    j.branch.iter().try_for_each(|h| out.write_all(h))
}

fn write_aux(out: &mut impl Write, blocks: &[AuxBlock]) -> io::Result<()> {
    let is_good = |b: &AuxBlock| aux::is_name(b.coin.as_bytes());
    let is_sorted = blocks.windows(2).all(|w| w[0].chain_id < w[1].chain_id);
    if blocks.len() > aux::BLOCKS_MAX || !is_sorted || !blocks.iter().all(is_good) {
        return Err(refused(
            "more blocks of other chains than a record may have, or not in their order",
        ));
    }
    out.write_all(&[u8::try_from(blocks.len()).unwrap_or(0)])?;
    for b in blocks {
        out.write_all(&b.chain_id.to_be_bytes())?;
        out.write_all(&[u8::try_from(b.coin.len()).unwrap_or(0)])?;
        out.write_all(b.coin.as_bytes())?;
        out.write_all(&b.hash)?;
        out.write_all(&b.bits.to_be_bytes())?;
        out.write_all(&b.height.to_be_bytes())?;
    }
    Ok(())
}

/// What a block has in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    job: [u8; 8],
    class: u8,
}

impl Key {
    fn of(s: &Canonical) -> Key {
        let mut job = [0; 8];
        job.copy_from_slice(&s[..8]);
        Key { job, class: s[8] }
    }
}

fn write_section<'a>(
    out: &mut impl Write,
    epoch: EpochNumber,
    shares: impl Iterator<Item = &'a Canonical> + Clone,
    jobs: &BTreeMap<JobId, RecordJob>,
    owners: &[[u8; 16]],
) -> io::Result<()> {
    let n = shares.clone().count() as u64;
    if n > SHARES_MAX {
        return Err(refused("more shares than a record may have"));
    }
    out.write_all(&epoch.0.to_be_bytes())?;
    out.write_all(&n.to_be_bytes())?;
    let numbers: BTreeMap<JobId, usize> = jobs.keys().enumerate().map(|(i, j)| (*j, i)).collect();
    let mut block: Vec<&Canonical> = Vec::with_capacity(BLOCK_SHARES);
    let mut last: Option<&Canonical> = None;
    let mut flush = |block: &mut Vec<&Canonical>| -> io::Result<()> {
        if let Some(first) = block.first() {
            let id = JobId(u64::from_be_bytes(Key::of(first).job));
            let (job, number) = (jobs.get(&id), numbers.get(&id));
            let (Some(job), Some(number)) = (job, number) else {
                return Err(refused("a share's job is not among the jobs"));
            };
            out.write_all(&encode_block(job, *number, block, owners)?)?;
            block.clear();
        }
        Ok(())
    };
    for s in shares {
        if last.is_some_and(|l| share::identity(l) >= share::identity(s)) {
            return Err(refused("the shares are not sorted"));
        }
        last = Some(s);
        let is_other = block.first().is_some_and(|f| Key::of(f) != Key::of(s));
        if is_other || block.len() == BLOCK_SHARES {
            flush(&mut block)?;
        }
        block.push(s);
    }
    flush(&mut block)
}

fn field(s: &Canonical, at: usize) -> u32 {
    let mut b = [0; 4];
    b.copy_from_slice(&s[at..at + 4]);
    u32::from_be_bytes(b)
}

/// An extranonce as a number.
fn extranonce(s: &Canonical) -> u128 {
    let len = usize::from(s[9]).min(share::EXTRANONCE_MAX);
    s[10..10 + len].iter().fold(0, |v, b| v << 8 | u128::from(*b))
}

fn encode_block(
    job: &RecordJob,
    number: usize,
    shares: &[&Canonical],
    owners: &[[u8; 16]],
) -> io::Result<Vec<u8>> {
    let Some(first) = shares.first() else { return Ok(Vec::new()) };
    if shares.iter().any(|s| s[9] != job.extranonce_len) {
        return Err(refused("an extranonce of another length than its job's"));
    }
    let mut extranonces = Vec::new();
    let mut before = 0;
    for s in shares {
        let own = extranonce(s);
        push_varint(&mut extranonces, own - before);
        before = own;
    }
    let times: Vec<u32> = shares.iter().map(|s| fold_time(field(s, 22), job.ntime)).collect();
    let versions: Vec<u32> =
        shares.iter().map(|s| fold_version(field(s, 30), job.version)).collect();
    let mut whose = Vec::with_capacity(shares.len());
    for s in shares {
        whose.push(match share::owner(s) {
            None => 0,
            Some(a) => {
                let at = owners.binary_search(&a.to_bytes());
                let at = at.map_err(|_| refused("an owner is not among the owners"))?;
                u32::try_from(at + 1).unwrap_or(u32::MAX)
            }
        });
    }
    let mut out = Vec::with_capacity(24 + 16 * shares.len());
    out.extend(count(number));
    out.push(Key::of(first).class);
    out.extend(u16::try_from(shares.len()).unwrap_or(0).to_be_bytes());
    out.extend(count(extranonces.len()));
    out.extend(extranonces);
    for s in shares {
        out.extend(&s[26..30]);
    }
    for column in [times, versions, whose] {
        let width = width_of(column.iter().copied().max().unwrap_or(0));
        out.push(width);
        for v in column {
            out.extend(&v.to_be_bytes()[4 - usize::from(width)..]);
        }
    }
    Ok(out)
}
