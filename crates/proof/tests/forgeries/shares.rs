//! Lies in the record's shares.

use crate::world::{CLASS, Closing, Files, World, closing, header, leaf, mine, owner};
use crate::{changed, world as world_of};
use gruve_proof::opened::Opener;
use gruve_proof::share::{self, Canonical};
use gruve_proof::verify::Options;
use gruve_units::{Algorithm, Class, EpochNumber, JobId};

/// A share mined at one class and written down at another.
fn raised() -> Files {
    world_of(|w| {
        let job = w.job(12);
        let mut all = mine(&job, CLASS, 0..3, None);
        all.iter_mut().for_each(|s| s[8] += 3);
        closing(12, vec![job], all)
    })
}

/// Two coinbases in one block: the second, of a higher class, is not the first leaf of the tree.
fn second_coinbase() -> Files {
    world_of(|w| {
        let job = w.job(12);
        let coinbase = |class: u8| {
            let mut bytes = [&job.prefix[..], &[1; 12], &job.suffix].concat();
            let at = bytes.len() - 5;
            bytes[at] = class;
            gruve_pow::sha256d(&bytes)
        };
        // Mined on: the coinbase of class 1 as the first leaf, that of class 9 as the second.
        let mut mined = job.clone();
        mined.branch = [&[coinbase(9)][..], &job.branch].concat();
        let good = |n: &u32| gruve_pow::sha256d(&header(&mined, 1, &[1; 12], *n))[31] < 0x80;
        let nonce = (0..).find(good).unwrap();
        // Published: the second, with the first as its sibling.
        let mut told = job.clone();
        told.branch = [&[coinbase(1)][..], &job.branch].concat();
        let share = leaf(&told, 9, &[1; 12], nonce, None);
        closing(12, vec![told], vec![share])
    })
}

fn below_target() -> Files {
    changed(|_, c| {
        let job = c.jobs[0].clone();
        let misses = |n: &u32| gruve_pow::sha256d(&header(&job, CLASS, &[9; 12], *n))[31] >= 4;
        let nonce = (0..).find(misses).unwrap();
        c.sections[0].1.push(leaf(&job, CLASS, &[9; 12], nonce, None));
        c.sections[0].1.sort_unstable();
    })
}

/// One share under two jobs that make the same coinbase: a byte of the extranonce stands in the first part.
fn in_two_forms() -> Files {
    world_of(|w| {
        let first = w.job(12);
        let shares = mine(&first, CLASS, 0..2, None);
        let mut second = first.clone();
        second.job = JobId(first.job.0 + 1);
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
    })
}

/// The record's bytes changed before they are named.
fn edited(edit: fn(&mut Vec<u8>)) -> Files {
    changed(|_, c| c.edit_record = edit)
}

/// Where the first section of epoch 12 begins: its nine shares are told there.
fn section(b: &[u8]) -> usize {
    let is_it =
        |w: &[u8]| w[0] == 1 && w[1..9] == 12u64.to_be_bytes() && w[9..] == 9u64.to_be_bytes();
    b.windows(17).position(is_it).unwrap()
}

/// The first job's bytes begin behind owners: eight of magic, the lane, the epoch, two counts, one owner.
const JOBS_AT: usize = 8 + 4 + 8 + 4 + 4 + 16;

/// Bytes of the last block: job, class, three shares, their extranonces in twelve bytes, nonces, three columns of no width.
const LAST_BLOCK: usize = 4 + 1 + 2 + 4 + 12 + 12 + 3;

/// Bytes of a job of the honest epoch: as long as its coinbase.
fn job_len(b: &[u8]) -> usize {
    let prefix_at = JOBS_AT + 8 * 5 + 32 + 12 + 1;
    let prefix = usize::from(b[prefix_at]);
    let suffix_at = prefix_at + 1 + prefix;
    let suffix = usize::from(b[suffix_at + 3]);
    suffix_at + 4 + suffix + 1 + 2 * 32 - JOBS_AT
}

/// Late work of an epoch, mined at a class, in the record of epoch 13.
fn late(w: &mut World, of: u64, class: u8) -> Closing {
    let job = w.job(of);
    let found = mine(&job, class, 0..2, None);
    let mut c = w.epoch(13);
    c.jobs.insert(0, job);
    c.sections.push((EpochNumber(of), found));
    c
}

/// Late work in the records of epochs 12 and 13.
fn late_twice() -> Files {
    world_of(|w| {
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
    })
}

/// Work that its own epoch has counted, in a late section of the next.
fn late_again() -> Files {
    world_of(|w| {
        let honest = w.epoch(12);
        w.close(&honest);
        let mut c = w.epoch(13);
        let again: Vec<Canonical> = honest.sections[0]
            .1
            .iter()
            .filter(|s| share::job(s) == honest.jobs[1].job)
            .copied()
            .collect();
        c.jobs.insert(0, honest.jobs[1].clone());
        c.sections.push((EpochNumber(12), again));
        c
    })
}

/// The classes that epoch 10 fixed for 12 are wider than those that 11 fixed for 13: late work of 12 is bound by the
/// former, that of 13 by the latter.
fn late_of_a_class(class: u8, wide: u64) -> Files {
    let mut w = World::new();
    for epoch in 10..13 {
        let mut honest = w.epoch(epoch);
        if epoch == wide {
            honest.rules.class_min = 0;
        }
        w.close(&honest);
    }
    let c = late(&mut w, 12, class);
    w.close(&c);
    w.publish()
}

/// Epochs 10 and 11 fix a threshold of 2^8 for work that holds their checkpoints; `used` is the one that epoch 12 is opened
/// and counted by.
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

/// Shares that every hash is good for, so that nothing but their order is wrong.
fn reordered() -> Files {
    let mut w = World::new();
    let job = w.job(10);
    let shares = [1, 2].map(|nonce| leaf(&job, 0, &[7; 12], nonce, None)).to_vec();
    let mut c = closing(10, vec![job], shares);
    c.contracts.clear();
    c.edit_record = |b| {
        // The last block ends with two nonces and three columns of no width.
        let nonces = b.len() - 3 - 8;
        b[nonces..nonces + 8].rotate_left(4);
    };
    w.close(&c);
    w.publish()
}

lies! {
    a_late_section_of_before_there_were_epochs: "record-malformed", "late sections out of order", {
        let mut w = World::new();
        let job = w.job(0);
        let late = mine(&job, CLASS, 0..2, None);
        let mut c = w.epoch(2);
        c.jobs.insert(0, job);
        c.sections.push((EpochNumber(0), late));
        c.contracts.clear();
        w.close(&c);
        w.publish()
    };
    work_whose_bits_are_no_target: "no-target", "bits that are no target", changed(|_, c| c.jobs[0].bits = 0x1d80_ffff);
    a_class_raised_in_the_record: "below-target", "a share above its class's target", raised();
    a_class_raised_by_a_second_coinbase_under_one_header: "below-target", "a share above its class's target", second_coinbase();
    a_share_below_its_target: "below-target", "a share above its class's target", below_target();
    a_class_below_what_was_fixed: "class-out-of-range", "class 0 is out of what the lane is bound to", changed(|w, c| {
        let job = w.job(12);
        c.sections[0].1.extend(mine(&job, 0, 0..1, None));
        c.jobs.push(job);
    });
    a_class_above_what_was_fixed: "class-out-of-range", "class 8 is out of what the lane is bound to", {
        let mut w = World::new();
        for epoch in 10..12 {
            let mut honest = w.epoch(epoch);
            honest.rules.class_max = 7;
            w.close(&honest);
        }
        let job = w.job(12);
        let shares = mine(&job, 8, 0..1, None);
        w.close(&closing(12, vec![job], shares));
        w.publish()
    };
    late_work_of_a_class_that_only_the_next_epoch_allows: "class-out-of-range", "class 0 is out of what the lane is bound to", late_of_a_class(0, 11);
    a_lower_sampling_threshold_chosen_afterwards: "below-threshold", "opened below the threshold fixed before",
        sampled(7);
    a_higher_sampling_threshold_chosen_afterwards: "work-not-proven", "the house's work is not the entry's",
        sampled(9);
    one_share_in_two_encodings: "share-twice", "a hash that was counted already", in_two_forms();
    a_share_twice_in_its_own_form: "record-malformed", "shares out of order, or one twice", edited(|b| {
        // The last block: three shares whose extranonces differ by one each. A difference of zero repeats one.
        let nonces = b.len() - 3 - 12;
        b[nonces - 1] = 0;
        let (from, to) = (nonces + 4, nonces + 8);
        b.copy_within(from..from + 4, to);
    });
    a_number_in_a_longer_form: "record-malformed", "a number not in its shortest form", edited(|b| {
        // The last difference of one, in two bytes.
        let nonces = b.len() - 3 - 12;
        b.splice(nonces - 1..nonces, [0x81, 0]);
        b[nonces - 12 - 1] += 1;
    });
    a_byte_behind_a_blocks_extranonces: "record-malformed", "extranonces: bytes left over", edited(|b| {
        let at = b.len() - LAST_BLOCK + 7;
        b[at + 3] += 1;
        b.insert(at + 4 + 12, 0);
    });
    a_column_wider_than_it_needs: "record-malformed", "a column is wider than needed", edited(|b| {
        b.pop();
        b.extend([1, 0, 0, 0]);
    });
    a_column_of_five_bytes: "record-malformed", "width of a column is over 4", edited(|b| {
        b.pop();
        b.extend([5; 16]);
    });
    a_block_cut_where_none_ends: "record-malformed", "a block that is not full before another", edited(|b| {
        let at = b.len() - LAST_BLOCK;
        let (head, rest) = (b[at..at + 5].to_vec(), b[at + 11..].to_vec());
        let (extranonces, nonces) = (&rest[..12], &rest[12..24]);
        b.truncate(at);
        // Two shares, and the third by itself: its extranonce is the first's and two more.
        b.extend([&head[..], &[0, 2, 0, 0, 0, 11], &extranonces[..11], &nonces[..8], &[0; 3]].concat());
        let third = [&[extranonces[0] + 2][..], &extranonces[1..10]].concat();
        b.extend([&head[..], &[0, 1, 0, 0, 0, 10], &third, &nonces[8..], &[0; 3]].concat());
    });
    a_block_without_a_share: "record-malformed", "a block's number of shares is not that of its section", edited(|b| {
        let at = b.len() - LAST_BLOCK;
        let head = b[at..at + 5].to_vec();
        let none = [&head[..], &[0; 2 + 4 + 3]].concat();
        b.splice(at..at, none);
    });
    a_block_of_more_shares_than_are_left_of_its_section: "record-malformed", "a block's number of shares is not that of its section", edited(|b| {
        let at = section(b);
        b[at + 9 + 7] -= 1;
    });
    a_share_of_an_owner_that_is_not_there: "record-malformed", "a share of an owner that is not there", edited(|b| {
        b.pop();
        b.extend([1, 0, 0, 9]);
    });
    a_block_of_a_job_that_is_not_there: "record-malformed", "a block of a job that is not there", edited(|b| {
        let at = b.len() - LAST_BLOCK;
        b[at + 3] = 2;
    });
    a_class_above_the_highest: "record-malformed", "class is over 100", edited(|b| {
        let at = b.len() - LAST_BLOCK;
        b[at + 4] = 101;
    });
    a_record_cut: "record-malformed", "cut short", edited(|b| b.truncate(b.len() - 1));
    a_record_padded: "record-malformed", "bytes left over", edited(|b| b.push(0));
    a_record_with_its_jobs_reordered: "record-malformed", "jobs out of order", edited(|b| {
        let len = job_len(b);
        b[JOBS_AT..JOBS_AT + 2 * len].rotate_left(len);
    });
    a_record_with_its_shares_reordered: "record-malformed", "shares out of order, or one twice",
        reordered();
    a_record_with_its_blocks_reordered: "record-malformed", "blocks out of order", edited(|b| {
        // The last block says that it is of the first job, whose blocks stand before it.
        let at = b.len() - LAST_BLOCK;
        b[at + 3] = 0;
        b[at + 4] = 5;
    });
    a_record_with_its_owners_reordered: "record-malformed", "owners out of order", changed(|w, c| {
        let job = w.job(12);
        c.sections[0].1.extend(mine(&job, CLASS, 0..1, Some(owner(3))));
        c.jobs.push(job);
        c.edit_record = |b| b[JOBS_AT - 16..JOBS_AT + 16].rotate_left(16);
    });
    a_job_without_a_share: "record-padded", "a job without a share", changed(|w, c| {
        let more = w.job(12);
        c.jobs.push(more);
    });
    an_owner_without_a_share: "record-padded", "an owner without a share", edited(|b| {
        b[27] += 1;
        let more = [0xff; 16];
        b.splice(JOBS_AT..JOBS_AT, more);
    });
    an_absurd_number_of_jobs: "record-malformed", "number of jobs is over 60480", edited(|b| b[20..24].fill(0xff));
    an_absurd_number_of_owners: "record-malformed", "number of owners is over 1048576", edited(|b| b[24..28].fill(0xff));
    an_absurd_number_of_sections: "record-malformed", "number of sections is over 3", edited(|b| {
        let at = section(b);
        b[at] = 200;
    });
    an_absurd_number_of_shares: "record-malformed", "number of shares is over 8388608", edited(|b| {
        let at = section(b);
        b[at + 9..][..8].fill(0xff);
    });
    an_absurd_number_of_shares_in_a_block: "record-malformed", "number of shares in a block is over 4096", edited(|b| {
        let at = section(b);
        b[at + 17 + 5..][..2].fill(0xff);
    });
    an_absurd_length_of_extranonces: "record-malformed", "cut short", edited(|b| {
        let at = section(b);
        b[at + 17 + 7..][..4].fill(0xff);
    });
    an_absurd_length_of_a_coinbase: "record-malformed", "length of a coinbase's end is over 65536", edited(|b| {
        let prefix_at = JOBS_AT + 8 * 5 + 32 + 12 + 1;
        let suffix_at = prefix_at + 1 + usize::from(b[prefix_at]);
        b[suffix_at..suffix_at + 4].fill(0xff);
    });
    an_absurd_number_of_siblings: "record-malformed", "number of siblings is over 32", edited(|b| {
        let at = JOBS_AT + job_len(b) - 65;
        b[at] = 0xff;
    });
    a_number_of_shares_that_the_record_does_not_have: "share-count", "number of shares is not the entry's",
        changed(|_, c| c.edit = |s| s.shares += 1);
    another_root_of_the_shares: "share-root", "root of the shares is not the entry's", changed(|_, c| c.edit = |s| s.share_root = [1; 32]);
    the_record_of_another_epoch: "other-record", "of another lane or epoch", edited(|b| b[19] = 11);
    the_record_of_another_lane: "other-record", "of another lane or epoch", edited(|b| b[11] = b'd');
    a_share_of_another_epochs_job: "other-epoch", "its stamp is of another epoch than its section", changed(|w, c| {
        let old = w.job(11);
        c.sections[0].1.extend(mine(&old, CLASS, 0..1, None));
        c.jobs.push(old);
        c.sections[0].1.sort_unstable();
        c.jobs.sort_by_key(|j| j.job);
    });
    a_late_share_counted_in_two_records: "late-share-twice", "a hash that was counted already", late_twice();
    a_late_share_that_its_own_epoch_counted: "late-share-twice", "a hash that was counted already", late_again();
    a_late_section_of_three_epochs_before: "other-epoch", "late sections out of order or too late", world_of(|w| {
        let honest = w.epoch(12);
        w.close(&honest);
        late(w, 10, CLASS)
    });
    late_sections_of_which_the_later_epoch_comes_first: "record-malformed", "late sections out of order or too late", world_of(|w| {
        let mut c = late(w, 12, CLASS);
        let older = late(w, 11, CLASS);
        c.jobs.splice(0..0, older.jobs[..1].iter().cloned());
        c.jobs.sort_by_key(|job| job.job);
        c.sections.push(older.sections[1].clone());
        c
    });
    a_first_section_of_another_epoch: "record-malformed", "the first section is not of its own epoch", world_of(|w| {
        let mut c = late(w, 12, CLASS);
        c.sections.swap(0, 1);
        c
    });
    a_late_section_without_a_share: "record-malformed", "an empty late section", changed(|_, c| {
        c.sections.push((EpochNumber(11), Vec::new()));
    });
}

#[test]
fn shares_above_the_threshold_fixed_before_stand_for_all() {
    let files = sampled(8);
    assert!(files.second().starts_with("yes "), "{}", files.second());
    let lane = files.verify(&Options::default()).unwrap().lanes.remove(0);
    assert!((4..32).contains(&lane.sampled), "{}", lane.sampled);
    let rest: u128 = {
        let mut w = World::new();
        for epoch in 10..12 {
            let honest = w.epoch(epoch);
            w.close(&honest);
        }
        w.publish().verify(&Options::default()).unwrap().lanes[0].house_work.0
    };
    assert_eq!(lane.house_work.0, rest + u128::from(lane.sampled) * (1 << 8));
}

#[test]
fn late_work_of_a_class_that_its_own_epoch_allows_holds() {
    for files in [late_of_a_class(0, 10), late_of_a_class(CLASS, 11)] {
        assert_eq!(files.lie(&crate::Options::default()), "none");
        assert!(files.second().starts_with("yes "), "{}", files.second());
    }
}

#[test]
fn late_work_that_an_earlier_visit_has_counted() {
    for files in [late_again(), late_twice()] {
        for from_entry in 0..=4 {
            let options = Options { from_entry, ..Options::default() };
            assert_eq!(files.lie(&options), "late-share-twice", "from entry {from_entry}");
        }
    }
    // What an earlier visit has counted is not counted again.
    let options = Options { from_entry: 3, ..Options::default() };
    let verdict = World::honest().publish().verify(&options).unwrap();
    assert_eq!((verdict.shares, verdict.lanes[0].epochs.0), (9, EpochNumber(12)));
}
