//! Lies about work of the Ethash family, whose stamp stands in the header's `extraData`.

use crate::world::{Closing, Files, World, closing, owner};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_proof::record::RecordJob;
use gruve_proof::share::{Canonical, ShareLeaf};
use gruve_proof::stamp::extra_data;
use gruve_proof::summary::{FileRef, Rules};
use gruve_proof::verify::Options;
use gruve_units::{AccountId, Algorithm, Class, EpochNumber, JobId, Target};
use ruint::aliases::U256;
use sha3::{Digest as _, Keccak256};
use std::sync::LazyLock;

/// The class at which all shares of these epochs count.
const FIXED: u8 = 3;
/// What an epoch's entry fixes.
const RULES: Rules = Rules { class_min: 0, class_max: FIXED, opened: FIXED };
const DIFFICULTY: u64 = 1_000_000;
const HEIGHT: u64 = 7;

static CACHE: LazyLock<LightCache> =
    LazyLock::new(|| LightCache::new(EthashEpoch::new(Algorithm::Ethash, 0).unwrap()));

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [b] if *b < 0x80 => out.push(*b),
        _ if bytes.len() <= 55 => {
            out.push(0x80 + u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        }
        _ => {
            let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let len = if len[0] == 0 { &len[1..] } else { &len };
            out.push(0xb7 + u8::try_from(len.len()).unwrap());
            out.extend(len);
            out.extend(bytes);
        }
    }
}

fn number(n: u64) -> Vec<u8> {
    n.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect()
}

/// A header without mix digest and nonce.
fn header(extra: &[u8], difficulty: u64, height: u64) -> Vec<u8> {
    header_of([3; 32].to_vec(), extra, difficulty, height, &[])
}

/// The same with another state, and with something behind its usual fields.
fn header_of(state: Vec<u8>, extra: &[u8], difficulty: u64, height: u64, behind: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for field in [vec![8; 32], vec![8; 32], vec![5; 20], state, vec![1; 32], vec![2; 32]] {
        string(&mut fields, &field);
    }
    string(&mut fields, &[0; 256]);
    for n in [difficulty, height, 8_000_000, 0, 1_700_000_000] {
        string(&mut fields, &number(n));
    }
    string(&mut fields, extra);
    fields.extend(behind);
    let len = u16::try_from(fields.len()).unwrap().to_be_bytes();
    [&[0xf9][..], &len, &fields].concat()
}

fn job_with(w: &mut World, epoch: u64, extra: &[u8], difficulty: u64, height: u64) -> RecordJob {
    w.number += 1;
    let target = Target(U256::MAX / U256::from(difficulty.max(1)));
    RecordJob {
        job: JobId(epoch * 1_000 + w.number),
        epoch: EpochNumber(epoch),
        checkpoint_epoch: w.commitment(epoch).0,
        issued_us: epoch * 1_000_000,
        height,
        prev_hash: [8; 32],
        bits: target.to_compact(),
        version: 0,
        ntime: 0,
        extranonce_len: 8,
        prefix: Vec::new(),
        suffix: header(extra, difficulty, height),
        branch: Vec::new(),
        aux: Vec::new(),
    }
}

fn job(w: &mut World, epoch: u64) -> RecordJob {
    let extra = extra_data(&w.commitment(epoch).1);
    job_with(w, epoch, &extra, DIFFICULTY, HEIGHT)
}

fn leaf(job: &RecordJob, class: u8, nonce: u64, whose: Option<AccountId>) -> Canonical {
    ShareLeaf {
        job: job.job,
        class: Class::new(class).unwrap(),
        extranonce: &nonce.to_be_bytes(),
        ntime: 0,
        nonce: 0,
        version: 0,
        owner: whose,
    }
    .canonical()
}

/// Shares given out at a class whose hash reaches another one.
fn mine(
    job: &RecordJob,
    class: u8,
    reaches: u8,
    n: usize,
    whose: Option<AccountId>,
) -> Vec<Canonical> {
    let seal = Keccak256::digest(&job.suffix).into();
    let target = Class::new(reaches).unwrap().target();
    let is_good = |nonce: &u64| {
        let mut hash = hash_light(&CACHE, &seal, *nonce).1;
        hash.reverse();
        target.is_met_by(&hash)
    };
    (0..).filter(is_good).take(n).map(|nonce| leaf(job, class, nonce, whose)).collect()
}

/// An epoch of these shares, at the class that was fixed for them.
fn epoch(number: u64, jobs: Vec<RecordJob>, shares: Vec<Canonical>) -> Closing {
    let mut c = closing(number, jobs, shares);
    c.contracts.clear();
    (c.algorithm, c.rules, c.opened) = (Algorithm::Ethash, RULES, FIXED);
    c
}

/// Epochs 10 and 11 in which nothing could be proven yet, and a 12 that somebody closes.
fn world(rules: Rules, twelve: impl FnOnce(&mut World) -> Closing) -> Files {
    let mut w = World::new();
    w.on("etc");
    for n in 10..12 {
        let mut c = epoch(n, Vec::new(), Vec::new());
        c.rules = rules;
        c.edit = |s| (s.is_proven, s.record) = (false, FileRef::default());
        w.close(&c);
    }
    let c = twelve(&mut w);
    w.close(&c);
    w.publish()
}

/// One job, made so, with two shares of it.
fn of_job(make: impl Fn(&mut World) -> RecordJob) -> Files {
    world(RULES, |w| {
        let job = make(w);
        let shares = mine(&job, 1, FIXED, 2, None);
        epoch(12, vec![job], shares)
    })
}

fn changed(change: impl Fn(&mut RecordJob)) -> Files {
    of_job(|w| {
        let mut job = job(w, 12);
        change(&mut job);
        job
    })
}

#[test]
fn ethash_work_is_proven_by_the_stamp_in_its_header() {
    let files = world(RULES, |w| {
        let jobs =
            vec![job(w, 12), job_with(w, 12, &extra_data(&w.commitment(12).1), 9, HEIGHT + 1)];
        let mut shares = mine(&jobs[0], 1, FIXED, 4, None);
        let last = shares.pop().unwrap();
        let nonce = u64::from_be_bytes(last[10..18].try_into().unwrap());
        shares.push(leaf(&jobs[0], FIXED, nonce, Some(owner(2))));
        shares.extend(mine(&jobs[1], 2, FIXED, 2, Some(owner(2))));
        epoch(12, jobs, shares)
    });
    let verdict = files.verify(&Options::default()).unwrap();
    let lane = &verdict.lanes[0];
    assert_eq!(lane.house_work.0 + lane.other_work.0, u128::from(verdict.shares) << FIXED);
    assert_eq!((verdict.shares, lane.unproven_epochs), (6, 2), "{verdict}");
    assert_eq!(lane.destinations, [hex::encode([5; 20])], "whom its blocks would pay");
    assert_eq!(lane.sampled, 5, "easier shares stand for those that are not opened");
    let said = files.second();
    assert!(said.starts_with("yes ") && said.contains("whose hashes are not made here"), "{said}");
}

lies! {
    ethash_work_of_another_epoch: "other-stamp", "its stamp has another commitment", of_job(|w| {
        let extra = extra_data(&w.commitment(13).1);
        job_with(w, 12, &extra, DIFFICULTY, HEIGHT)
    });
    ethash_work_whose_header_says_something_else: "other-stamp", "its stamp has another commitment",
        of_job(|w| job_with(w, 12, &[b'g'; 32], DIFFICULTY, HEIGHT));
    ethash_work_whose_header_has_no_room_for_a_stamp: "no-stamp", "extra data are no stamp",
        of_job(|w| job_with(w, 12, b"Gruve", DIFFICULTY, HEIGHT));
    an_ethash_header_changed_after_it_was_mined_on: "other-stamp", "its stamp has another commitment", world(RULES, |w| {
        let mut own = job(w, 12);
        let shares = mine(&own, 1, FIXED, 2, None);
        let at = own.suffix.len() - 1;
        own.suffix[at] ^= 1;
        epoch(12, vec![own], shares)
    });
    ethash_work_for_which_no_class_was_fixed: "class-not-fixed", "no one class was fixed",
        world(Rules { class_max: FIXED + 1, ..RULES }, |w| {
            let job = job(w, 12);
            let shares = mine(&job, 1, FIXED, 2, None);
            epoch(12, vec![job], shares)
        });
    an_ethash_job_of_another_height_than_its_header: "header-malformed", "says something else than its header",
        changed(|job| job.height += 1);
    an_ethash_job_on_another_block_than_its_header: "header-malformed", "says something else than its header",
        changed(|job| job.prev_hash = [1; 32]);
    an_ethash_job_that_is_easier_than_its_header: "header-malformed", "says something else than its header",
        changed(|job| job.bits = 0x207f_ffff);
    an_ethash_header_with_bytes_behind_it: "header-malformed", "not a header", changed(|job| job.suffix.push(0));
    an_ethash_header_cut_short: "header-malformed", "not a header", changed(|job| {
        job.suffix.pop();
    });
    an_ethash_header_with_a_longer_field: "header-malformed", "not a header", of_job(|w| {
        let extra = extra_data(&w.commitment(12).1);
        let suffix = header_of(vec![3; 33], &extra, DIFFICULTY, HEIGHT, &[]);
        RecordJob { suffix, ..job(w, 12) }
    });
    an_ethash_header_with_a_list_in_it: "header-malformed", "not a header", of_job(|w| {
        let extra = extra_data(&w.commitment(12).1);
        let suffix = header_of(vec![3; 32], &extra, DIFFICULTY, HEIGHT, &[0xc0]);
        RecordJob { suffix, ..job(w, 12) }
    });
    an_ethash_job_with_siblings: "header-malformed", "a header and nothing else", changed(|job| job.branch = vec![[1; 32]]);
    ethash_headers_of_every_height: "header-malformed", "more of the algorithm's epochs", world(RULES, |w| {
        let extra = extra_data(&w.commitment(12).1);
        let jobs: Vec<_> = [0, 30_000, 60_000].map(|h| job_with(w, 12, &extra, DIFFICULTY, h)).into();
        let shares = jobs.iter().map(|job| leaf(job, 1, 0, None)).collect();
        epoch(12, jobs, shares)
    });
    one_ethash_nonce_as_two_shares: "share-malformed", "a nonce has nothing beside it", world(RULES, |w| {
        let job = job(w, 12);
        let mut shares = mine(&job, 1, FIXED, 1, None);
        let mut again = shares[0];
        again[29] = 1;
        shares.push(again);
        epoch(12, vec![job], shares)
    });
    one_ethash_header_under_two_numbers: "share-twice", "a hash that was counted already", world(RULES, |w| {
        let one = job(w, 12);
        let other = RecordJob { job: JobId(one.job.0 + 1), ..one.clone() };
        let shares = [mine(&one, 1, FIXED, 1, None), mine(&other, 1, FIXED, 1, None)].concat();
        epoch(12, vec![one, other], shares)
    });
}

#[test]
fn an_ethash_share_that_misses_the_class_that_was_fixed() {
    let files = world(RULES, |w| {
        let job = job(w, 12);
        let good = mine(&job, 1, FIXED, 20, None);
        let easy = mine(&job, 1, 1, 80, None);
        let below = easy.into_iter().find(|s| !good.contains(s)).unwrap();
        epoch(12, vec![job], vec![below])
    });
    assert_eq!(files.lie(&Options::default()), "below-threshold");
}

#[test]
fn an_ethash_reward_sent_to_an_unpublished_place() {
    let files = changed(|_| ());
    let to = |script: Vec<u8>| Options {
        destinations: [("etc".parse().unwrap(), [script].into())].into(),
        ..Options::default()
    };
    assert_eq!(files.lie(&to(vec![5; 20])), "none");
    assert_eq!(files.lie(&to(vec![6; 20])), "paid-elsewhere");
}
