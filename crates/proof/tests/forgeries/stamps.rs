//! Lies about whose work it is and of when.

use crate::world::{self, CLASS, Files, SCRIPT, World, closing, contract, leaf, mine, mine_by};
use crate::{changed, of, of_job, script, world as world_of};
use gruve_proof::stamp;
use gruve_proof::summary::FileRef;
use gruve_units::{Algorithm, EpochNumber, Hashes, Hashrate};

fn own(w: &World) -> [u8; 32] {
    w.key.verifying_key().to_bytes()
}

fn commitment_of(origin: &str, key: [u8; 32], lane: &str, epoch: u64, of: [u8; 32]) -> Vec<u8> {
    script(&stamp::commitment(origin, &key, &lane.parse().unwrap(), EpochNumber(epoch), &of))
}

/// A stamp that differs from the honest one in what the liar says.
fn stamped(stamp: impl Fn(&World) -> Vec<u8>) -> Files {
    world_of(|w| {
        let s = stamp(w);
        of_job(w, &[s], 10, &SCRIPT)
    })
}

fn ten(w: &World) -> [u8; 32] {
    w.chain[0].1
}

/// Two stamps, the second written otherwise.
fn second(write: impl Fn(&[u8]) -> Vec<u8>) -> Files {
    world_of(|w| {
        let s = script(&w.commitment(12).1);
        let again = write(&s);
        of_job(w, &[s, again], 10, &SCRIPT)
    })
}

/// The only stamp, written otherwise.
fn written(write: impl Fn(&[u8]) -> Vec<u8>) -> Files {
    world_of(|w| {
        let s = write(&script(&w.commitment(12).1));
        of_job(w, &[s], 10, &SCRIPT)
    })
}

/// The coinbase of an honest job, changed before it is mined on.
fn coinbase(change: impl Fn(&mut gruve_proof::record::RecordJob)) -> Files {
    world_of(|w| {
        let mut job = w.job(12);
        change(&mut job);
        let share = leaf(&job, CLASS, &vec![0; usize::from(job.extranonce_len)], 0, None);
        closing(12, vec![job], vec![share])
    })
}

/// The stamp's class byte, in the part after the extranonce.
fn class_at(job: &gruve_proof::record::RecordJob) -> usize {
    job.suffix.len() - 5
}

/// A long history, and work that holds the checkpoint of an early epoch of it.
fn stale(of_epoch: u64) -> Files {
    let mut w = World::new();
    for epoch in 10..19 {
        let honest = w.epoch(epoch);
        w.close(&honest);
    }
    let held = w.chain.iter().find(|(e, _)| e.0 == of_epoch);
    let held = held.map_or([0; 32], |(_, checkpoint)| *checkpoint);
    let s = commitment_of(world::ORIGIN, own(&w), "btc", 20, held);
    let job = w.job_with(20, EpochNumber(of_epoch), &SCRIPT, &[s]);
    let shares = mine(&job, CLASS, 0..2, None);
    w.close(&closing(20, vec![job], shares));
    w.publish()
}

/// One epoch's merge-mined work, published for LTC and again for DOGE.
fn for_two_coins() -> Files {
    let mut w = World::new();
    w.on("ltc");
    let job = w.job(10);
    let shares = mine_by(Algorithm::Scrypt, &job, 1, 0..4, None);
    let mut c = closing(10, vec![job], shares);
    c.algorithm = Algorithm::Scrypt;
    c.contracts.clear();
    w.close(&c);
    w.on("doge");
    w.close(&c);
    w.publish()
}

lies! {
    a_share_from_another_operators_job: "other-stamp", "its stamp has another commitment",
        stamped(|w| commitment_of("other.example", own(w), "btc", 12, ten(w)));
    a_share_of_another_operators_key: "other-stamp", "its stamp has another commitment",
        stamped(|w| commitment_of(world::ORIGIN, [5; 32], "btc", 12, ten(w)));
    a_share_moved_from_another_lane: "other-stamp", "its stamp has another commitment",
        stamped(|w| commitment_of(world::ORIGIN, own(w), "bch", 12, ten(w)));
    doge_and_ltc_counted_as_two_works: "other-stamp", "its stamp has another commitment", for_two_coins();
    a_share_moved_from_another_epoch: "other-stamp", "its stamp has another commitment",
        stamped(|w| commitment_of(world::ORIGIN, own(w), "btc", 13, ten(w)));
    work_on_another_history: "other-stamp", "its stamp has another commitment",
        stamped(|w| commitment_of(world::ORIGIN, own(w), "btc", 12, [6; 32]));
    a_share_made_before_its_checkpoint: "stale-checkpoint", "its stamp holds no checkpoint that it may hold", world_of(|w| {
        let s = commitment_of(world::ORIGIN, own(w), "btc", 12, ten(w));
        of_job(w, &[s], 9, &SCRIPT)
    });
    a_stamp_that_holds_the_epoch_just_before: "stale-checkpoint", "its stamp holds no checkpoint that it may hold", world_of(|w| {
        let s = commitment_of(world::ORIGIN, own(w), "btc", 12, w.chain[1].1);
        of_job(w, &[s], 11, &SCRIPT)
    });
    stockpiled_work_with_seven_entries_behind_its_checkpoint: "stale-checkpoint", "its stamp holds no checkpoint that it may hold", stale(11);
    stockpiled_work_from_before_the_first_epoch: "stale-checkpoint", "its stamp holds no checkpoint that it may hold", stale(0);
    two_stamps_in_one_coinbase: "two-stamps", "2 stamps", second(<[u8]>::to_vec);
    a_second_stamp_in_a_longer_push: "two-stamps", "2 stamps",
        second(|s| [&[0x6a, 0x4c, 38][..], &s[2..]].concat());
    a_second_stamp_in_the_longest_push: "two-stamps", "2 stamps",
        second(|s| [&[0x6a, 0x4e, 38, 0, 0, 0][..], &s[2..]].concat());
    a_second_stamp_whose_push_says_two_bytes: "two-stamps", "2 stamps",
        second(|s| [&[0x6a, 2][..], &s[2..]].concat());
    a_stamp_in_the_script_in_place_of_an_output: "no-stamp", "0 stamps", world_of(|w| {
        let inside = [&[38][..], &script(&w.commitment(12).1)[2..]].concat();
        of_job(w, &[], 10, &inside)
    });
    a_stamp_behind_another_push: "no-stamp", "0 stamps", written(|s| [&[0x6a, 1, 0][..], &s[1..]].concat());
    a_stamp_in_an_output_that_can_be_spent: "no-stamp", "0 stamps", written(|s| [&[0x51][..], &s[1..]].concat());
    a_stamp_in_a_push_of_another_form: "coinbase-malformed", "stamp has another form",
        written(|s| [&[0x6a, 0x4c, 38][..], &s[2..]].concat());
    a_stamp_of_another_version: "coinbase-malformed", "stamp has another form", written(|s| {
        let mut other = s.to_vec();
        other[6] = 2;
        other
    });
    a_stamp_that_is_worth_something: "coinbase-malformed", "stamp has another form", coinbase(|job| {
        let value = class_at(job) - 39 - 1 - 8;
        job.suffix[value] = 1;
    });
    an_extranonce_that_is_no_part_of_the_script: "extranonce-outside-script", "extranonce is not inside the script", world_of(|w| {
        let mut job = w.job(12);
        // The script ends before the extranonce, which then is the input's sequence.
        job.prefix[4 + 1 + 36] = 5;
        job.extranonce_len = 4;
        job.suffix.drain(..4);
        let share = leaf(&job, CLASS, &[0xff; 4], 0, None);
        closing(12, vec![job], vec![share])
    });
    a_class_raised_by_moving_an_offset: "extranonce-outside-script", "extranonce is not inside the script", coinbase(|job| {
        // All of the coinbase up to the class counts as given; the class byte is what the miner rolls.
        let (given, rest) = job.suffix.split_at(class_at(job));
        job.prefix = [&job.prefix[..], &[0; 12], given].concat();
        (job.extranonce_len, job.suffix) = (1, rest[1..].to_vec());
    });
    a_coinbase_with_a_longer_script_than_a_block_may_have: "coinbase-malformed", "script has 101 bytes", coinbase(|job| {
        job.prefix[4 + 1 + 36] = 101;
        job.prefix.extend([0; 84]);
    });
    a_coinbase_in_the_witness_form: "coinbase-malformed", "not one input (or the witness form)", coinbase(|job| {
        job.prefix.splice(4..4, [0, 1]);
    });
    a_coinbase_with_a_long_count: "coinbase-malformed", "a count not in its shortest form", coinbase(|job| {
        job.prefix.splice(4..5, [0xfd, 1, 0]);
    });
    a_coinbase_with_bytes_behind_it: "coinbase-malformed", "bytes left over", coinbase(|job| job.suffix.push(0));
    a_transaction_that_is_no_coinbase: "coinbase-malformed", "wrong outpoint", coinbase(|job| job.prefix[5] = 1);
    a_class_written_into_the_records_coinbase: "class-written", "the stamp's class is not zero in the record", changed(|_, c| {
        let at = class_at(&c.jobs[0]);
        c.jobs[0].suffix[at] = CLASS;
    });
    one_scrypt_hash_for_two_auxiliary_trees: "two-merge-tags", "a share with a second merge-mining tag", world_of(|w| {
        w.on("ltc");
        let tag = [4, 0xfa, 0xbe, 0x6d, 0x6d];
        let s = script(&w.commitment(12).1);
        let job = w.job_with(12, EpochNumber(0), &tag, &[s]);
        let meets = |n: &u64| {
            let extranonce = [&tag[1..], &n.to_be_bytes()].concat();
            let header = world::header(&job, 1, &extranonce, 0);
            gruve_pow::pow_hash(Algorithm::Scrypt, &header)[31] < 0x80
        };
        // It meets its class, so that nothing but the tag is wrong with it.
        let n = (0..).find(meets).unwrap();
        let extranonce = [&tag[1..], &n.to_be_bytes()].concat();
        let mut c = closing(12, vec![job.clone()], vec![leaf(&job, 1, &extranonce, 0, None)]);
        c.contracts.clear();
        c.algorithm = Algorithm::Scrypt;
        c
    });
}

#[test]
fn the_samples_are_good_but_for_their_lie() {
    let honest = world_of(|w| {
        let job = w.job(12);
        of(job)
    });
    assert_eq!(honest.lie(&crate::Options::default()), "none");
    assert!(honest.second().starts_with("yes "), "{}", honest.second());
    // The same scrypt share with another tag in its extranonce holds.
    let other = world_of(|w| {
        w.on("ltc");
        let tag = [4, 0xfa, 0xbe, 0x6d, 0x6d];
        let s = script(&w.commitment(12).1);
        let job = w.job_with(12, EpochNumber(0), &tag, &[s]);
        let shares = mine_by(Algorithm::Scrypt, &job, 1, 0..1, None);
        let mut c = closing(12, vec![job], shares);
        c.contracts.clear();
        c.algorithm = Algorithm::Scrypt;
        c
    });
    assert_eq!(other.lie(&crate::Options::default()), "none");
    assert!(other.second().starts_with("yes "), "{}", other.second());
    let six = {
        let mut w = World::new();
        for epoch in 10..19 {
            let honest = w.epoch(epoch);
            w.close(&honest);
        }
        // Six entries with shares stand behind it: the most that is allowed.
        let s = commitment_of(world::ORIGIN, own(&w), "btc", 20, w.chain[2].1);
        let job = w.job_with(20, EpochNumber(12), &SCRIPT, &[s]);
        let shares = mine(&job, CLASS, 0..2, None);
        let mut c = closing(20, vec![job], shares);
        c.contracts = vec![contract(1, 64)];
        w.close(&c);
        w.publish()
    };
    assert_eq!(six.lie(&crate::Options::default()), "none");
    assert!(six.second().starts_with("yes "), "{}", six.second());
}

/// Nine epochs that are published without proof and, so they say, without a share; then work under the checkpoint before.
fn after_unproven(work: u128) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        w.close(&honest);
    }
    for epoch in 12..21 {
        let mut c = closing(epoch, Vec::new(), Vec::new());
        c.contracts.clear();
        c.edit = match work {
            0 => |s| (s.is_proven, s.record) = (false, FileRef::default()),
            _ => |s| {
                (s.is_proven, s.record) = (false, FileRef::default());
                (s.house_work, s.surplus) = (Hashes(64), Hashes(64));
            },
        };
        w.close(&c);
    }
    let s = commitment_of(world::ORIGIN, own(&w), "btc", 23, w.chain[1].1);
    let job = w.job_with(23, EpochNumber(11), &SCRIPT, &[s]);
    let shares = mine(&job, CLASS, 0..2, None);
    let mut c = closing(23, vec![job], shares);
    c.contracts = vec![contract(1, 64)];
    w.close(&c);
    w.publish()
}

#[test]
fn work_stockpiled_behind_unproven_epochs_that_say_no_share() {
    crate::told(
        "stale-checkpoint",
        "its stamp holds no checkpoint that it may hold",
        &after_unproven(64),
    );
}

#[test]
fn work_behind_a_long_time_without_any_is_told() {
    let lane = &after_unproven(0).verify(&crate::Options::default()).unwrap().lanes[0];
    assert_eq!((lane.loosely_dated, lane.unbegun), (2, 18));
}

#[test]
fn a_burst_after_a_gap_is_no_days_capacity() {
    let mut w = World::new();
    for epoch in [10, 500] {
        let mut c = w.epoch(epoch);
        c.contracts = vec![contract(1, 3)];
        c.edit = |s| s.length_us = 1_000_000;
        w.close(&c);
    }
    let lane = &w.publish().verify(&crate::Options::default()).unwrap().lanes[0];
    // Twice 448 hashes in 491 seconds, however short the epochs are; the last 144 of them would have 3 a second.
    assert_eq!((lane.house_hashrate, lane.sold), (Hashrate(1), Hashrate(3)));
}

#[test]
fn an_hours_mining_in_one_of_many_short_epochs_is_no_farm() {
    // Epochs of a minute; sold is what the last 144 of them would show.
    let of = |last: u64| {
        let mut w = World::new();
        for epoch in [10, last] {
            let mut c = w.epoch(epoch);
            c.contracts = vec![contract(1, 1)];
            c.edit = |s| s.length_us = 60_000_000;
            w.close(&c);
        }
        w.publish().verify(&crate::Options::default()).unwrap().lanes.remove(0)
    };
    assert!(of(11).sold_by_proven.is_some_and(|r| r < 1.0));
    let lane = of(10 + 24 * 60);
    assert_eq!((lane.house_hashrate, lane.sold_by_proven), (Hashrate(0), None));
}
