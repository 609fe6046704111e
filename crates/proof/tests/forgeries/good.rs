//! Honest records, with everything in them that the form allows: both verifiers say yes, and to the same figures.

use crate::world::{CLASS, World, closing, contract, header, leaf, mine, mine_by, owner};
use crate::{EpochNumber, script};
use ed25519_dalek::SigningKey;
use gruve_proof::log::KeyChange;
use gruve_proof::record::RecordJob;
use gruve_proof::share::{Canonical, ShareLeaf};
use gruve_proof::summary::{FileRef, Rules};
use gruve_proof::verify::Options;
use gruve_units::{AccountId, Algorithm, Class, Hashes, Hashrate};

/// More shares of one job than a block has, with all that a miner changes; every hash meets class 0.
fn busy(job: &RecordJob) -> Vec<Canonical> {
    let one = |n: u32| {
        let extranonce = [&[7; 8][..], &(3 * n).to_be_bytes()].concat();
        let owners = [None, Some(owner(4)), Some(owner(2)), None];
        ShareLeaf {
            job: job.job,
            class: Class::ZERO,
            extranonce: &extranonce,
            // Before the job's own time and after it, and over the end of what 32 bits count.
            ntime: job.ntime.wrapping_sub(1_003).wrapping_add(n % 2_000),
            nonce: n.wrapping_mul(2_654_435_761),
            version: job.version ^ ((n & 0xffff) << 13) ^ (n & 1),
            owner: owners[n as usize % 4],
        }
        .canonical()
    };
    (0..4_100).map(one).collect()
}

/// A job with room for four bytes of extranonce and a coinbase that stands alone in its block, and shares of it.
fn narrow(w: &mut World, epoch: u64) -> (RecordJob, Vec<Canonical>) {
    let mut job = w.job(epoch);
    job.prefix.extend([1; 8]);
    (job.extranonce_len, job.branch) = (4, Vec::new());
    let one = |n: u32| {
        let extranonce = n.to_be_bytes();
        let meets = |nonce: &u32| {
            let hash = gruve_pow::sha256d(&header(&job, 5, &extranonce, *nonce));
            Class::new(5).unwrap().target().is_met_by(&hash)
        };
        leaf(&job, 5, &extranonce, (0..).find(meets).unwrap(), Some(owner(9)))
    };
    let shares = (0..5).map(one).collect();
    (job, shares)
}

fn first_epochs(w: &mut World) {
    let (job, (other, more)) = (w.job(10), narrow(w, 10));
    let shares = [busy(&job), more].concat();
    let mut c = closing(10, vec![job, other], shares);
    let mut metered = contract(2, 500);
    metered.kind = 1;
    c.contracts = vec![contract(1, 1_000), metered, contract(3, 0)];
    w.close(&c);
    // Nobody worked: whoever had a claim got nothing, and there is no surplus.
    let mut c = closing(11, Vec::new(), Vec::new());
    c.contracts[0].entitled = 50;
    w.close(&c);
    // No entry for 12; its work comes late with 13, and so does some of 11.
    let (late, later) = (w.job(11), w.job(12));
    let mut c = w.epoch(13);
    c.sections.push((EpochNumber(11), mine(&late, 0, 0..3, None)));
    c.sections.push((EpochNumber(12), mine(&later, CLASS, 0..3, Some(owner(2)))));
    c.jobs.extend([late, later]);
    w.close(&c);
}

/// Work under both keys, an unproven epoch, and a stamp that holds an older checkpoint than it could.
fn keys_and_labels(w: &mut World) {
    let new = SigningKey::from_bytes(&[2; 32]);
    let at = w.entries.len() as u64;
    let old = w.job(14);
    w.entries.push(KeyChange::sign(&w.origin, at, &w.key, &new).canonical());
    w.key = new;
    let mut c = w.epoch(14);
    c.sections[0].1.extend(mine(&old, CLASS, 0..2, None));
    c.sections[0].1.sort_unstable();
    c.jobs.push(old);
    w.close(&c);
    let mut c = w.epoch(15);
    c.edit = |s| (s.is_proven, s.record) = (false, FileRef::default());
    w.close(&c);
    let before = (w.chain[2].0, w.chain[2].1);
    let key = w.key.verifying_key().to_bytes();
    let s = gruve_proof::stamp::commitment(&w.origin, &key, &w.lane, EpochNumber(17), &before.1);
    let loose = w.job_with(17, before.0, &crate::world::SCRIPT, &[script(&s)]);
    let shares = mine(&loose, CLASS, 0..2, None);
    w.close(&closing(17, vec![loose], shares));
}

/// A merge-mined scrypt lane with other epochs, and so many of them without work that the log has two bundles.
fn other_lane(w: &mut World) {
    w.on("ltc-doge");
    let tag = [&[44, 0xfa, 0xbe, 0x6d, 0x6d][..], &[5; 32], &[1, 0, 0, 0], &[0; 4]].concat();
    for epoch in 40..42 {
        let (of, commitment) = w.commitment(epoch);
        let job = w.job_with(epoch, of, &tag, &[script(&commitment)]);
        let shares: Vec<Canonical> = [None, Some(owner(8)), None]
            .into_iter()
            .zip(0..)
            .flat_map(|(whose, n): (Option<AccountId>, u64)| {
                mine_by(Algorithm::Scrypt, &job, 1, 2 * n..2 * n + 2, whose)
            })
            .collect();
        let mut c = closing(epoch, vec![job], shares);
        c.contracts = vec![contract(1, 3)];
        c.contracts[0].entitled = 2;
        (c.algorithm, c.rules) = (Algorithm::Scrypt, Rules::default());
        c.edit = |s| s.length_us = 150_000_000;
        w.close(&c);
    }
    for epoch in 42..300 {
        let mut c = closing(epoch, Vec::new(), Vec::new());
        (c.algorithm, c.rules) = (Algorithm::Scrypt, Rules::default());
        c.edit = |s| s.length_us = 150_000_000;
        w.close(&c);
    }
}

/// Everything.
pub(crate) fn rich() -> World {
    let mut w = World::new();
    first_epochs(&mut w);
    keys_and_labels(&mut w);
    other_lane(&mut w);
    w
}

#[test]
fn everything_that_the_form_allows_is_taken_by_both_with_the_same_figures() {
    let files = rich().publish_by(&[1, 7, 200, 268]);
    let verdict = files.verify(&Options::default()).unwrap();
    let (btc, ltc) = (&verdict.lanes[0], &verdict.lanes[1]);
    assert_eq!((btc.shares, btc.late, btc.loosely_dated), (4_105 + 15 + 11 + 2, 6, 2));
    assert_eq!((btc.unproven_epochs, btc.missing_epochs, ltc.shares), (1, 2, 12));
    let work = verdict.lanes.iter().fold(Hashes::ZERO, |sum, lane| {
        sum.checked_add(lane.house_work).unwrap().checked_add(lane.other_work).unwrap()
    });
    let proven = 5 - 1 + 1 + 260;
    let said = format!(
        "yes {} shares, work of {work} hashes, {proven} epochs proven, 1 epochs unproven, 2 lanes (btc, ltc-doge), \
         0 statements of funds, 1 changes of keys",
        verdict.shares
    );
    assert_eq!(files.second(), said);
}

#[test]
fn late_work_counts_once_and_is_told() {
    let mut w = World::honest();
    let late = w.job(12);
    let found = mine(&late, CLASS, 0..2, None);
    let mut c = w.epoch(13);
    c.jobs.insert(0, late);
    c.sections.push((EpochNumber(12), found));
    c.contracts.clear();
    w.close(&c);
    let verdict = w.publish().verify(&Options::default()).unwrap();
    assert_eq!((verdict.lanes[0].late, verdict.shares), (2, 38));
}

#[test]
fn scrypt_work_is_proven_too() {
    let mut w = World::new();
    let job = w.job(10);
    let shares = mine_by(Algorithm::Scrypt, &job, 1, 0..8, None);
    let mut c = closing(10, vec![job], shares);
    c.contracts.clear();
    c.algorithm = Algorithm::Scrypt;
    c.rules = Rules::default();
    w.close(&c);
    let verdict = w.publish().verify(&Options::default()).unwrap();
    assert_eq!((verdict.shares, verdict.lanes[0].house_work), (8, Hashes(16)));
}

#[test]
fn late_work_of_the_first_entry_is_of_the_time_before_it() {
    let rate = |late: bool| {
        let mut w = World::new();
        let (one, two) = (w.job(10), w.job(11));
        let mut c = w.epoch(12);
        if late {
            for (n, job) in (10..).zip([one, two]) {
                c.sections.push((EpochNumber(n), mine(&job, CLASS, 0..9, Some(owner(2)))));
                c.jobs.push(job);
            }
        }
        c.contracts = vec![contract(1, 3)];
        c.edit = |s| s.length_us = 1_000_000;
        w.close(&c);
        let lane = &w.publish().verify(&Options::default()).unwrap().lanes[0];
        (lane.hashrate, lane.house_hashrate)
    };
    // 704 hashes in a second; 1,856 in three.
    assert_eq!(rate(false), (Hashrate(704), Hashrate(448)));
    assert_eq!(rate(true), (Hashrate(618), Hashrate(149)));
}
