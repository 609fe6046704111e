//! Every lie that the record's form allows, played by a liar who names his files and signs his log himself; and what
//! the verifier calls it.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use ed25519_dalek::SigningKey;
use gruve_proof::acceptance::Acceptance;
use gruve_proof::log::KeyChange;
use gruve_proof::merkle;
use gruve_proof::note::NoteKey;
use gruve_proof::opened::Opener;
use gruve_proof::share::Canonical;
use gruve_proof::stamp;
use gruve_proof::summary::Rules;
use gruve_proof::verify::{Options, Visit};
use gruve_units::{Algorithm, Class, EpochNumber, Hashes, JobId};
use std::process::Command;
use world::{CLASS, Closing, Files, SCRIPT, World, closing, contract, leaf, mine, mine_by};

/// Honest epochs 10 and 11, and a 12 that the liar closes.
fn world(lie: impl FnOnce(&mut World) -> Closing) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        w.close(&honest);
    }
    let closing = lie(&mut w);
    w.close(&closing);
    w.publish()
}

/// The liar changes an epoch that is otherwise honest.
fn changed(change: impl FnOnce(&mut World, &mut Closing)) -> Files {
    world(|w| {
        let mut c = w.epoch(12);
        change(w, &mut c);
        c
    })
}

/// An epoch of one job, with a share of it.
fn of_job(w: &mut World, stamps: &[Vec<u8>], checkpoint: u64, script: &[u8]) -> Closing {
    let job = w.job_with(12, EpochNumber(checkpoint), script, stamps);
    let shares = mine(&job, CLASS, 0..2, None);
    closing(12, vec![job], shares)
}

fn script(commitment: &[u8; 32]) -> Vec<u8> {
    stamp::output_script(commitment, Class::ZERO)
}

fn commitment_of(origin: &str, key: [u8; 32], lane: &str, epoch: u64, of: [u8; 32]) -> Vec<u8> {
    script(&stamp::commitment(origin, &key, &lane.parse().unwrap(), EpochNumber(epoch), &of))
}

/// A share mined at one class and written down at another.
fn raised(job: &gruve_proof::record::RecordJob, by: u8) -> Vec<Canonical> {
    let mut all = mine(job, CLASS, 0..3, None);
    all.iter_mut().for_each(|s| s[8] += by);
    all
}

/// Work that was merge-mined, published once as Litecoin's lane and once more as one of Dogecoin's own.
fn two_coins() -> Files {
    let mut w = World::new();
    w.lane = "ltc".parse().unwrap();
    let job = w.job(10);
    let shares = mine_by(Algorithm::Scrypt, &job, 1, 0..4, None);
    let mut c = closing(10, vec![job], shares);
    c.contracts.clear();
    c.algorithm = Algorithm::Scrypt;
    c.rules = Rules::default();
    w.close(&c);
    assert_eq!(w.publish().lie(&Options::default()), "none", "once it is work");
    w.lane = "doge".parse().unwrap();
    w.chain.clear();
    w.close(&c);
    w.publish()
}

/// Epoch 10 fixes a threshold of 2^8 for work that holds its checkpoint, as epoch 12's does; `used` is the one that epoch
/// 12 is opened and counted by.
fn sampled(used: u8) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let mut honest = w.epoch(epoch);
        honest.rules.opened = 8;
        w.close(&honest);
    }
    let job = w.job(12);
    let all = mine(&job, CLASS, 0..48, None);
    let refs: Vec<&Canonical> = all.iter().collect();
    let mut opener = Opener::new(Algorithm::Sha256d);
    let levels = opener.levels(&job, Class::new(CLASS).unwrap(), &refs).unwrap();
    let opened = all.iter().zip(levels).filter(|(_, level)| *level >= used);
    let mut c = closing(12, vec![job], opened.map(|(s, _)| *s).collect());
    c.contracts.clear();
    c.opened = used;
    w.close(&c);
    w.publish()
}

#[test]
fn shares_above_the_threshold_fixed_before_stand_for_all() {
    let verdict = sampled(8).verify(&Options::default()).unwrap();
    let lane = &verdict.lanes[0];
    assert!((4..32).contains(&lane.sampled), "{}", lane.sampled);
    let rest = w_of_two_honest_epochs();
    assert_eq!(lane.house_work.0, rest + u128::from(lane.sampled) * (1 << 8));
    assert!(verdict.remarks.iter().any(|r| r.contains("stand for others")), "{verdict}");
}

fn w_of_two_honest_epochs() -> u128 {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        w.close(&honest);
    }
    w.publish().verify(&Options::default()).unwrap().lanes[0].house_work.0
}

/// Name of the lie, what the liar did, and his files.
fn forgeries() -> Vec<(&'static str, &'static str, Files)> {
    let mut all: Vec<(&'static str, &'static str, Files)> = Vec::new();
    let mut add = |lie, what, files| all.push((lie, what, files));
    stamps(&mut add);
    shares(&mut add);
    sums(&mut add);
    logs(&mut add);
    all
}

type Add<'a> = dyn FnMut(&'static str, &'static str, Files) + 'a;

fn stamps(add: &mut Add<'_>) {
    let own = |w: &World| w.key.verifying_key().to_bytes();
    let ten = |w: &World| w.chain[0].1;
    add(
        "other-stamp",
        "a share from another operator's job",
        world(|w| {
            let s = commitment_of("other.example", own(w), "btc", 12, ten(w));
            of_job(w, &[s], 10, &SCRIPT)
        }),
    );
    add(
        "other-stamp",
        "a share of another operator's key",
        world(|w| {
            let s = commitment_of(world::ORIGIN, [5; 32], "btc", 12, ten(w));
            of_job(w, &[s], 10, &SCRIPT)
        }),
    );
    add(
        "other-stamp",
        "a share moved from another lane",
        world(|w| {
            let s = commitment_of(world::ORIGIN, own(w), "bch", 12, ten(w));
            of_job(w, &[s], 10, &SCRIPT)
        }),
    );
    add(
        "other-stamp",
        "a share moved from another epoch",
        world(|w| {
            let s = commitment_of(world::ORIGIN, own(w), "btc", 13, ten(w));
            of_job(w, &[s], 10, &SCRIPT)
        }),
    );
    add(
        "other-stamp",
        "work on another history",
        world(|w| {
            let s = commitment_of(world::ORIGIN, own(w), "btc", 12, [6; 32]);
            of_job(w, &[s], 10, &SCRIPT)
        }),
    );
    add(
        "stale-checkpoint",
        "a share made before its checkpoint: one that no entry has",
        world(|w| {
            let s = commitment_of(world::ORIGIN, own(w), "btc", 12, ten(w));
            of_job(w, &[s], 9, &SCRIPT)
        }),
    );
    add(
        "stale-checkpoint",
        "a stamp that holds the epoch just before",
        world(|w| {
            let eleven = w.chain[1].1;
            let s = commitment_of(world::ORIGIN, own(w), "btc", 12, eleven);
            of_job(w, &[s], 11, &SCRIPT)
        }),
    );
    add(
        "two-stamps",
        "two stamps in one coinbase",
        world(|w| {
            let s = script(&w.commitment(12).1);
            of_job(w, &[s.clone(), s], 10, &SCRIPT)
        }),
    );
    add(
        "no-stamp",
        "a stamp in the script in place of an output",
        world(|w| {
            let inside = [&[38][..], &script(&w.commitment(12).1)[2..]].concat();
            of_job(w, &[], 10, &inside)
        }),
    );
    add(
        "extranonce-outside-script",
        "an extranonce that is no part of the script",
        world(|w| {
            let mut job = w.job(12);
            // The script ends before the extranonce, which then is the input's sequence.
            job.prefix[4 + 1 + 36] = 5;
            job.extranonce_len = 4;
            job.suffix.drain(..4);
            let share = leaf(&job, CLASS, &[0xff; 4], 0, None);
            closing(12, vec![job], vec![share])
        }),
    );
}

fn shares(add: &mut Add<'_>) {
    add(
        "below-target",
        "a class raised in the record",
        world(|w| {
            let job = w.job(12);
            let shares = raised(&job, 3);
            closing(12, vec![job], shares)
        }),
    );
    add(
        "class-written",
        "a class written into the record's coinbase",
        changed(|_, c| {
            let at = c.jobs[0].suffix.len() - 5;
            c.jobs[0].suffix[at] = CLASS;
        }),
    );
    add(
        "below-target",
        "a share below its target",
        changed(|_, c| {
            let job = c.jobs[0].clone();
            let misses =
                |n: &u32| gruve_pow::sha256d(&world::header(&job, CLASS, &[9; 12], *n))[31] >= 4;
            let nonce = (0..).find(misses).unwrap();
            c.sections[0].1.push(leaf(&job, CLASS, &[9; 12], nonce, None));
            c.sections[0].1.sort_unstable();
        }),
    );
    add(
        "share-twice",
        "one share under two jobs that make the same coinbase",
        world(|w| {
            let first = w.job(12);
            let shares = mine(&first, CLASS, 0..2, None);
            let mut second = first.clone();
            second.job = JobId(first.job.0 + 1);
            // One byte of the extranonce stands in the coinbase's first part: the same bytes, another form.
            second.prefix.push(0);
            second.extranonce_len = 11;
            let again = shares.iter().map(|s| {
                let mut other = *s;
                other[..8].copy_from_slice(&second.job.0.to_be_bytes());
                other[9] = 11;
                other[10..22].fill(0);
                other[10..21].copy_from_slice(&s[11..22]);
                other
            });
            let all = shares.iter().copied().chain(again).collect();
            closing(12, vec![first, second], all)
        }),
    );
    add(
        "record-malformed",
        "a share twice in its own form",
        changed(|_, c| {
            c.edit_record = |bytes| {
                // The last block: three shares whose extranonces differ by one each. A difference of zero repeats one.
                let nonces = bytes.len() - 3 - 12;
                bytes[nonces - 1] = 0;
                let (a, b) = (nonces + 4, nonces + 8);
                bytes.copy_within(a..a + 4, b);
            };
        }),
    );
    add(
        "record-malformed",
        "a record cut",
        changed(|_, c| c.edit_record = |b| b.truncate(b.len() - 1)),
    );
    add("record-malformed", "a record padded", changed(|_, c| c.edit_record = |b| b.push(0)));
    add(
        "record-padded",
        "a job without a share",
        changed(|w, c| {
            let more = w.job(12);
            c.jobs.push(more);
        }),
    );
    add(
        "record-malformed",
        "an absurd number of jobs",
        changed(|_, c| {
            c.edit_record = |b| b[20..24].fill(0xff);
        }),
    );
    add(
        "record-malformed",
        "an absurd number of shares",
        changed(|_, c| {
            c.edit_record = |b| {
                let at = b.windows(17).position(|w| {
                    w[0] == 1 && w[1..9] == 12u64.to_be_bytes() && w[9..] == 9u64.to_be_bytes()
                });
                b[at.unwrap() + 9..][..8].fill(0xff);
            };
        }),
    );
    add("share-count", "shares left out of the record", changed(|_, c| c.edit = |s| s.shares += 1));
    add("share-root", "another share root", changed(|_, c| c.edit = |s| s.share_root = [1; 32]));
    add(
        "other-record",
        "the record of another epoch",
        changed(|_, c| {
            c.edit_record = |b| b[19] = 11;
        }),
    );
    add(
        "other-epoch",
        "a share of another epoch's job",
        changed(|w, c| {
            let old = w.job(11);
            c.sections[0].1.extend(mine(&old, CLASS, 0..1, None));
            c.jobs.push(old);
            c.sections[0].1.sort_unstable();
            c.jobs.sort_by_key(|j| j.job);
        }),
    );
    add(
        "late-share-twice",
        "a late share counted twice",
        world(|w| {
            let late = w.job(11);
            let found = mine(&late, CLASS, 0..2, None);
            let mut honest = w.epoch(12);
            honest.jobs.insert(0, late.clone());
            honest.sections.push((EpochNumber(11), found.clone()));
            w.close(&honest);
            let mut c = w.epoch(13);
            c.jobs.insert(0, late);
            c.sections.push((EpochNumber(11), found));
            c
        }),
    );
    add("below-threshold", "a lower sampling threshold chosen afterwards", sampled(7));
    add("work-not-proven", "a higher sampling threshold chosen afterwards", sampled(9));
    add(
        "class-out-of-range",
        "a class chosen after the fact",
        changed(|w, c| {
            let job = w.job(12);
            c.sections[0].1.extend(mine(&job, 0, 0..1, None));
            c.jobs.push(job);
        }),
    );
    add("other-stamp", "DOGE and LTC counted as two works", two_coins());
    add(
        "two-merge-tags",
        "one scrypt hash for two auxiliary trees",
        world(|w| {
            let tag = [4, 0xfa, 0xbe, 0x6d, 0x6d];
            let s = script(&w.commitment(12).1);
            let job = w.job_with(12, EpochNumber(10), &tag, &[s]);
            let extranonce = [&tag[1..], &[0; 8]].concat();
            let mut c =
                closing(12, vec![job.clone()], vec![leaf(&job, CLASS, &extranonce, 0, None)]);
            c.contracts.clear();
            c.algorithm = Algorithm::Scrypt;
            c
        }),
    );
}

fn sums(add: &mut Add<'_>) {
    add(
        "work-not-proven",
        "work that no share proves",
        changed(|_, c| {
            c.edit = |s| s.house_work = Hashes(s.house_work.0 + 64);
        }),
    );
    add(
        "work-not-proven",
        "hosted machines' work told as the farm's",
        changed(|_, c| {
            c.edit = |s| {
                s.house_work = s.house_work.checked_add(s.other_work).unwrap();
                s.surplus = s.surplus.checked_add(s.other_work).unwrap();
                s.other_work = Hashes::ZERO;
            };
        }),
    );
    add(
        "allocated-not-proven",
        "more allocated than was proven",
        changed(|_, c| {
            c.contracts.push(contract(2, 640));
        }),
    );
    add(
        "allocated-not-proven",
        "work that went to nobody in the trees",
        changed(|_, c| {
            c.edit = |s| s.surplus = Hashes(0);
        }),
    );
    add(
        "sold-malformed",
        "a contract sold twice: two leaves with one id",
        changed(|_, c| {
            c.contracts = vec![contract(1, 100), contract(1, 100)];
        }),
    );
    add(
        "sold-malformed",
        "contracts that are not sorted",
        changed(|_, c| {
            c.contracts = vec![contract(2, 100), contract(1, 100)];
        }),
    );
    add(
        "sold-malformed",
        "sums that overflow",
        changed(|_, c| {
            c.edit_sold = |b| {
                // Twice the same leaf under two ids, each owing more than half of what can be counted.
                let leaf = b.len() - gruve_proof::sold::LEAF_BYTES;
                b[leaf + 17 + 32] = 0xff;
                let mut second = b[leaf..].to_vec();
                second[0] = 2;
                b.extend(second);
                b[leaf - 1] = 2;
            };
        }),
    );
    add(
        "sold-root",
        "a contract with another hashrate in the tree than in the file",
        changed(|_, c| {
            c.edit_sold = |b| {
                let leaf = b.len() - gruve_proof::sold::LEAF_BYTES;
                b[leaf + 17 + 15] += 1;
            };
        }),
    );
    add(
        "sold-malformed",
        "an absurd number of contracts",
        changed(|_, c| {
            c.edit_sold = |b| b[20..28].fill(0xff);
        }),
    );
    add(
        "surplus-before-contract",
        "the operator keeps work while a contract is short",
        changed(|_, c| {
            c.contracts[0].entitled += 10;
        }),
    );
    add(
        "allocation-root",
        "work given to another owner",
        changed(|_, c| {
            c.edit = |s| s.allocation_root.hash = [1; 32];
        }),
    );
}

fn logs(add: &mut Add<'_>) {
    add(
        "chain-broken",
        "an epoch that does not follow the one before",
        changed(|_, c| {
            c.edit = |s| s.prev_checkpoint = [1; 32];
        }),
    );
    add(
        "epoch-twice",
        "an epoch published twice",
        world(|w| {
            let c = w.epoch(11);
            w.chain.truncate(1);
            c
        }),
    );
    let honest = || World::honest().publish();
    let without = |part: &str| {
        let mut files = honest();
        let name = files.0.keys().find(|n| n.starts_with(part)).unwrap().clone();
        files.0.remove(&name);
        files
    };
    add("checkpoint-missing", "no checkpoint", without("checkpoint"));
    add("key-missing", "no key", without("key"));
    add("entries-missing", "no entries", without("tile/entries"));
    add("tile-missing", "no tile", without("tile/0"));
    let mut foreign = honest();
    let other = SigningKey::from_bytes(&[1; 32]);
    let signed = World::honest().checkpoint().sign(&other);
    foreign.0.insert("checkpoint".into(), signed.into_bytes());
    add("checkpoint-unsigned", "a head signed by somebody else", foreign);
    let mut w = World::honest();
    let change = KeyChange::sign(world::ORIGIN, 4, &other, &SigningKey::from_bytes(&[2; 32]));
    w.entries.push(change.canonical());
    add("key-change-unsigned", "a key that its predecessor did not appoint", w.publish());
}

#[test]
fn every_forgery_is_named() {
    assert_eq!(World::honest().publish().lie(&Options::default()), "none");
    for (lie, what, files) in forgeries() {
        assert_eq!(files.lie(&Options::default()), lie, "{what}");
    }
}

#[test]
fn a_second_verifier_written_from_the_document_alone_agrees() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/verify.py");
    let run = |files: &Files| {
        let dir = tempfile::tempdir().unwrap();
        files.write(dir.path());
        let out = Command::new("python3").arg(script).arg(dir.path()).output();
        let out = out.expect("python3 is needed: apt-get install python3");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    assert!(run(&World::honest().publish()).starts_with("yes "));
    for (lie, what, files) in forgeries() {
        assert!(run(&files).starts_with("no "), "{lie}: {what}");
    }
}

#[test]
fn what_was_seen_before_binds_the_operator() {
    let w = World::honest();
    let files = w.publish();
    let visit = files.verify(&Options::default()).unwrap().visit;
    let again = Options { last: Some(visit.clone()), ..Options::default() };
    assert!(files.verify(&again).unwrap().is_continued);
    // The log grows: still the same history.
    let mut longer = World::honest();
    let more = longer.epoch(13);
    longer.close(&more);
    assert_eq!(longer.publish().lie(&again), "none");
    // An entry that was seen is another.
    let mut rewritten = World::new();
    for epoch in 10..14 {
        let mut c = rewritten.epoch(epoch);
        c.contracts[0].sums.owed += 1;
        rewritten.close(&c);
    }
    assert_eq!(rewritten.publish().lie(&again), "history-rewritten");
    rewritten.entries.truncate(4);
    assert_eq!(rewritten.publish().lie(&again), "split-view");
    let elsewhere =
        Options { seen_elsewhere: vec![w.checkpoint().sign(&w.key)], ..Options::default() };
    assert_eq!(rewritten.publish().lie(&elsewhere), "split-view");
    rewritten.entries.truncate(3);
    assert_eq!(rewritten.publish().lie(&again), "history-cut");
    let key = NoteKey::new(world::ORIGIN, [3; 32]).unwrap();
    assert_eq!(files.lie(&Options { key: Some(key), ..Options::default() }), "other-key");
    let other = Visit { key: visit.key.clone(), ..visit };
    assert_eq!(files.lie(&Options { last: Some(other), ..Options::default() }), "none");
}

#[test]
fn a_key_is_followed_by_the_next_and_the_recovery_key_may_appoint_one() {
    for appointer in [[7; 32], [9; 32]] {
        let mut w = World::honest();
        let new = SigningKey::from_bytes(&[2; 32]);
        let change = KeyChange::sign(world::ORIGIN, 4, &SigningKey::from_bytes(&appointer), &new);
        w.entries.push(change.canonical());
        let first = w.publish().0.get("key").cloned().unwrap();
        w.key = new;
        let c = w.epoch(13);
        w.close(&c);
        let mut files = w.publish();
        files.0.insert("key".into(), first);
        assert_eq!(files.lie(&Options::default()), "none");
        // The old key signs no more.
        let old = w.checkpoint().sign(&SigningKey::from_bytes(&[7; 32]));
        files.0.insert("checkpoint".into(), old.into_bytes());
        assert_eq!(files.lie(&Options::default()), "checkpoint-unsigned");
    }
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
    assert_eq!(verdict.lanes[0].late, 2);
}

/// The gateway's signed root over the shares of these epochs of an honest operator.
fn with_accepted(w: &World, shares: &[Canonical], epochs: (u64, u64)) -> Files {
    let leaves: Vec<_> = shares.iter().map(|s| merkle::leaf_hash(&s[..])).collect();
    let own = Acceptance {
        origin: w.origin.clone(),
        lane: w.lane.clone(),
        number: 1,
        epochs: (EpochNumber(epochs.0), EpochNumber(epochs.1)),
        time_us: (1, 2),
        shares: leaves.len() as u64,
        root: merkle::root(&leaves),
    };
    let mut files = w.publish();
    files.0.insert(own.path(), own.sign(&w.key).into_bytes());
    files.0.insert(own.path() + ".leaves", leaves.concat());
    files
}

#[test]
fn a_share_that_a_gateway_signed_for_is_missed_when_the_record_leaves_it_out() {
    let mut w = World::new();
    let first = w.epoch(10);
    w.close(&first);
    let all = first.sections[0].1.clone();
    let honest = with_accepted(&w, &all, (10, 10));
    let verdict = honest.verify(&Options::default()).unwrap();
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
    for name in ["accepted/btc/1", "accepted/btc/1.leaves"] {
        for at in 0..honest.0[name].len() {
            let mut changed = honest.clone();
            changed.0.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            assert_ne!(changed.lie(&Options::default()), "none", "{name}, byte {at}");
        }
    }
    let mut without = honest.clone();
    without.0.remove("accepted/btc/1.leaves");
    assert_eq!(without.lie(&Options::default()), "acceptance-missing");
    without.0.remove("accepted/btc/1");
    assert_eq!(without.lie(&Options::default()), "none", "they go after a day");
    without.0.insert("accepted/btc/.new-1".into(), b"half a no".to_vec());
    assert_eq!(without.lie(&Options::default()), "none", "one that is being written");
    let job = w.job(11);
    let found = mine(&job, CLASS, 0..3, None);
    let mut second = closing(11, vec![job], found[..2].to_vec());
    second.contracts.clear();
    w.close(&second);
    assert_eq!(with_accepted(&w, &found[..2], (11, 11)).lie(&Options::default()), "none");
    assert_eq!(with_accepted(&w, &found, (11, 11)).lie(&Options::default()), "share-left-out");
    // It may still come, in the next epoch's record.
    assert_eq!(with_accepted(&w, &found, (11, 12)).lie(&Options::default()), "none");
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
fn any_changed_bit_makes_the_verifier_say_no() {
    let files = World::honest().publish();
    let all = std::env::var_os("GRUVE_LONG").is_some();
    let mut flips = 0u64;
    for (name, bytes) in &files.0 {
        for at in 0..bytes.len() {
            for bit in if all { 0..8 } else { at % 8..at % 8 + 1 } {
                let mut changed = files.clone();
                changed.0.get_mut(name).unwrap()[at] ^= 1 << bit;
                assert_ne!(
                    changed.lie(&Options::default()),
                    "none",
                    "{name}, byte {at}, bit {bit}"
                );
                flips += 1;
            }
        }
    }
    assert!(flips > 3_000, "{flips}");
}
