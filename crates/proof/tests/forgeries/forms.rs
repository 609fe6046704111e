//! Records that say more than the limits allow, read to where they are refused. To the verifier each is a record that is malformed;
//! here it must be refused for what it says and before what it says is allocated, not for the bytes that are missing behind.

use crate::world::{CLASS, SCRIPT, World, mine};
use gruve_proof::WireError;
use gruve_proof::aux::{AuxBlock, BLOCKS_MAX};
use gruve_proof::record::{
    BRANCH_MAX, JOB_BYTES_MAX, JOBS_MAX, LATE_MAX, OWNERS_MAX, PREFIX_MAX, RecordJob, RecordOf,
    RecordReader, SHARES_MAX, SUFFIX_MAX, write_record,
};
use gruve_proof::share::EXTRANONCE_MAX;
use gruve_units::{EpochNumber, JobId};
use std::collections::BTreeMap;

/// Behind the magic, the lane and the epoch.
const COUNTS_AT: usize = 8 + 4 + 8;
/// Behind both counts, in a record without other owners than the house.
const JOBS_AT: usize = COUNTS_AT + 8;
/// In a job, behind five numbers, the block before and three numbers more.
const EXTRANONCE_AT: usize = JOBS_AT + 8 * 5 + 32 + 4 * 3;
/// Behind the jobs of a record without shares: a number of sections, one section's epoch and its number of shares.
const BEHIND: usize = 1 + 8 + 8;

fn of() -> RecordOf {
    RecordOf { lane: "btc".parse().unwrap(), epoch: EpochNumber(10) }
}

fn written(jobs: &[RecordJob], shares: &[gruve_proof::share::Canonical]) -> Vec<u8> {
    let jobs: BTreeMap<JobId, RecordJob> = jobs.iter().map(|j| (j.job, j.clone())).collect();
    let mut bytes = Vec::new();
    write_record(&mut bytes, &of(), &jobs, &[(of().epoch, shares.iter())]).unwrap();
    bytes
}

/// A record of one job and two shares.
fn honest() -> Vec<u8> {
    let job = World::new().job(10);
    let shares = mine(&job, CLASS, 0..2, None);
    written(&[job], &shares)
}

/// How many shares a record has, all of it read.
fn read(bytes: &[u8]) -> Result<usize, WireError> {
    let mut record = RecordReader::open(bytes)?;
    let mut n = 0;
    while record.next_section()?.is_some() {
        while let Some(block) = record.next_block()? {
            n += block.shares.len();
        }
    }
    Ok(n)
}

fn said(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// The record with a number in it changed.
fn with(at: usize, number: &[u8]) -> Vec<u8> {
    let mut bytes = honest();
    bytes[at..at + number.len()].copy_from_slice(number);
    bytes
}

#[test]
fn counts_above_the_limits_are_refused_and_those_at_them_are_read_on() {
    assert_eq!(read(&honest()).unwrap(), 2);
    for (at, most) in [(COUNTS_AT, JOBS_MAX), (COUNTS_AT + 4, OWNERS_MAX)] {
        let number = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
        assert_eq!(said(&with(at, &number(most + 1))), "more jobs or owners than the limit");
        assert_ne!(said(&with(at, &number(most))), "more jobs or owners than the limit");
    }
    let bytes = honest();
    let section = [&[1][..], &10u64.to_be_bytes(), &2u64.to_be_bytes()].concat();
    let at = bytes.windows(section.len()).position(|w| w == section).unwrap() + 1 + 8;
    let over = (SHARES_MAX + 1).to_be_bytes();
    assert_eq!(said(&with(at, &over)), "a section with more shares than the limit");
    let most = said(&with(at, &SHARES_MAX.to_be_bytes()));
    assert_ne!(most, "a section with more shares than the limit");
}

#[test]
fn jobs_of_more_bytes_than_may_be_held_are_refused_though_each_is_as_long_as_it_may_be() {
    let mut w = World::new();
    let mut long = w.job_with(10, EpochNumber(0), &SCRIPT, &[]);
    (long.job, long.suffix) = (JobId(0), vec![0; SUFFIX_MAX]);
    let one = written(&[long], &[]);
    let behind = one.len() - BEHIND;
    let job = &one[JOBS_AT..behind];
    // Whoever writes a record keeps to the limit; here the one job is repeated under other numbers.
    let of_so_many = |n: usize| {
        let mut bytes = one[..JOBS_AT].to_vec();
        bytes[COUNTS_AT..COUNTS_AT + 4].copy_from_slice(&u32::try_from(n).unwrap().to_be_bytes());
        for number in 0..n as u64 {
            bytes.extend(number.to_be_bytes());
            bytes.extend(&job[8..]);
        }
        bytes.extend(&one[behind..]);
        bytes
    };
    let most = JOB_BYTES_MAX / job.len();
    assert_eq!(said(&of_so_many(most + 1)), "jobs that are longer than the limit");
    assert_eq!(read(&of_so_many(most)).unwrap(), 0);
}

/// A record of one job without shares, in which the number of bytes at a place (of so many bytes itself) is another, and as many
/// stand there.
fn of_length(job: &RecordJob, at: usize, width: usize, unit: usize, n: usize) -> String {
    let mut bytes = written(std::slice::from_ref(job), &[]);
    let had = bytes[at..at + width].iter().fold(0, |v, b| v << 8 | usize::from(*b));
    let from = at + width;
    let some = vec![0; unit * n];
    bytes.splice(from..from + unit * had, some);
    bytes[at..from].copy_from_slice(&n.to_be_bytes()[8 - width..]);
    read(&bytes).map_or_else(|e| e.to_string(), |shares| format!("{shares} shares"))
}

#[test]
fn no_part_of_a_job_is_longer_than_it_may_be() {
    let job = World::new().job(10);
    let prefix_at = EXTRANONCE_AT + 1;
    let suffix_at = prefix_at + 1 + job.prefix.len();
    let branch_at = suffix_at + 4 + job.suffix.len();
    for (at, width, unit, most, what) in [
        (EXTRANONCE_AT, 1, 0, EXTRANONCE_MAX, "an extranonce that is longer than the limit"),
        (prefix_at, 1, 1, PREFIX_MAX, "a coinbase that is longer than the limit"),
        (suffix_at, 4, 1, SUFFIX_MAX, "a coinbase that is longer than the limit"),
        (branch_at, 1, 32, BRANCH_MAX, "a branch that is longer than the limit"),
    ] {
        assert_eq!(of_length(&job, at, width, unit, most), "0 shares", "{what}");
        assert_eq!(of_length(&job, at, width, unit, most + 1), what);
    }
    let sections_at = written(std::slice::from_ref(&job), &[]).len() - BEHIND;
    for sections in [0, LATE_MAX + 2] {
        let mut bytes = written(std::slice::from_ref(&job), &[]);
        bytes[sections_at] = sections;
        assert_eq!(said(&bytes), "an impossible number of sections", "{sections}");
    }
}

/// A record of one job that is for blocks of these chains, in the order told.
fn merged(chains: &[(u32, &[u8])]) -> Result<usize, WireError> {
    let block = AuxBlock { chain_id: 1, coin: "A".into(), hash: [1; 32], bits: 2, height: 3 };
    let job = RecordJob { aux: vec![block], ..World::new().job(10) };
    let one = written(&[job], &[]);
    let behind = one.len() - BEHIND;
    // Number of blocks, and the one block with a coin of one letter.
    let aux_at = behind - (4 + 1 + 1 + 32 + 4 + 8) - 1;
    let mut bytes = one[..aux_at].to_vec();
    bytes.push(u8::try_from(chains.len()).unwrap());
    for (chain, coin) in chains {
        bytes.extend(chain.to_be_bytes());
        bytes.push(u8::try_from(coin.len()).unwrap());
        bytes.extend(*coin);
        bytes.extend([0; 32 + 4 + 8]);
    }
    bytes.extend(&one[behind..]);
    read(&bytes)
}

#[test]
fn a_job_names_few_chains_in_their_order_by_plain_names() {
    let chains =
        |n: usize| (0..u32::try_from(n).unwrap()).map(|c| (c, &b"A"[..])).collect::<Vec<_>>();
    let said = |all: &[(u32, &[u8])]| merged(all).unwrap_err().to_string();
    assert_eq!(merged(&chains(BLOCKS_MAX)).unwrap(), 0);
    assert_eq!(said(&chains(BLOCKS_MAX + 1)), "a job for more chains than the limit");
    for coin in [&b""[..], b"doge", b"A\x1b", &[b'A'; 17]] {
        assert_eq!(said(&[(1, coin)]), "not the name of a coin", "{coin:?}");
    }
    assert_eq!(said(&[(2, b"A"), (1, b"B")]), "chains of a job that are not sorted");
    assert_eq!(said(&[(1, b"A"), (1, b"B")]), "chains of a job that are not sorted");
}

#[test]
fn a_section_is_not_left_before_its_last_share() {
    let bytes = honest();
    let mut record = RecordReader::open(bytes.as_slice()).unwrap();
    assert_eq!(record.next_section().unwrap().unwrap().shares, 2);
    let left = record.next_section().unwrap_err();
    assert_eq!(left.to_string(), "a section was left before its end");
}
