//! Lies about what merge-mined work was for.

use crate::world::{self, Closing, Files, World, closing, contract, mine_by};
use crate::{script, world as world_of};
use gruve_proof::aux::{AuxBlock, TAG_LEN, tag};
use gruve_proof::record::RecordJob;
use gruve_proof::share::Canonical;
use gruve_proof::verify::Options;
use gruve_units::Algorithm;

/// Two chains' blocks; every other hash reaches the first one's target.
fn blocks() -> Vec<AuxBlock> {
    let block = |chain_id, coin: &str, bits| AuxBlock {
        chain_id,
        coin: coin.into(),
        hash: [u8::try_from(chain_id).unwrap(); 32],
        bits,
        height: 77,
    };
    vec![block(98, "DOGE", 0x207f_ffff), block(103, "PEP", 0x1d00_ffff)]
}

/// A job whose script holds this, behind a push.
fn job_saying(w: &mut World, bytes: &[u8], aux: Vec<AuxBlock>) -> RecordJob {
    let (of, commitment) = w.commitment(12);
    let within = [&[44][..], bytes].concat();
    RecordJob { aux, ..w.job_with(12, of, &within, &[script(&commitment)]) }
}

fn job(w: &mut World) -> RecordJob {
    job_saying(w, &tag(&blocks(), 5, 2).unwrap(), blocks())
}

fn epoch(jobs: Vec<RecordJob>) -> Closing {
    let shares: Vec<_> =
        jobs.iter().flat_map(|job| mine_by(Algorithm::Scrypt, job, 1, 0..4, None)).collect();
    let mut c = closing(12, jobs, shares);
    c.contracts = vec![contract(1, 3)];
    c.algorithm = Algorithm::Scrypt;
    c
}

fn of(make: impl Fn(&mut World) -> Vec<RecordJob>) -> Files {
    world_of(|w| {
        w.on("ltc");
        let jobs = make(w);
        epoch(jobs)
    })
}

fn changed(change: impl Fn(&mut RecordJob)) -> Files {
    of(|w| {
        let mut job = job(w);
        change(&mut job);
        vec![job]
    })
}

/// Bytes of the record are changed.
fn rewritten(edit: fn(&mut Vec<u8>)) -> Files {
    world_of(|w| {
        w.on("ltc");
        let jobs = vec![job(w)];
        let mut c = epoch(jobs);
        c.edit_record = edit;
        c
    })
}

fn at(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|w| w == what).unwrap()
}

#[test]
fn what_merge_mined_work_was_for_is_shown() {
    let files = of(|w| {
        let (named, plain) = (job(w), w.job(12));
        vec![named, plain]
    });
    let verdict = files.verify(&Options::default()).unwrap();
    let aux = &verdict.lanes[1].aux;
    let told: Vec<_> = aux.iter().map(|a| (a.chain_id, a.coin.as_str())).collect();
    assert_eq!(told, [(98, "DOGE"), (103, "PEP")], "{verdict}");
    assert_eq!((aux[0].found_blocks, aux[1].found_blocks), (4, 0), "of the job that names them");
    assert!((aux[0].expected_blocks - 4.0).abs() < 0.1, "{verdict}");
    assert_eq!(verdict.lanes[1].hides_aux, 0);
    assert!(files.second().starts_with("yes "), "{}", files.second());
}

#[test]
fn a_record_that_does_not_say_what_its_work_was_for_is_told_of() {
    let files = changed(|job| job.aux.clear());
    let verdict = files.verify(&Options::default()).unwrap();
    assert_eq!(verdict.lanes[1].hides_aux, 4);
    assert!(verdict.not_proven.iter().any(|n| n.contains("merge-mined")), "{verdict}");
}

/// A share of a job whose extranonce begins with a tag, or with as much as it has room for.
fn tagged(algorithm: Algorithm, job: &RecordJob) -> Canonical {
    let extranonce = |n: u64| [&gruve_proof::aux::TAG[..], &n.to_be_bytes()].concat();
    let hash = |n: &u64| gruve_pow::pow_hash(algorithm, &world::header(job, 1, &extranonce(*n), 0));
    let n = (0..).find(|n| hash(n)[31] < 0x80).unwrap();
    world::leaf(job, 1, &extranonce(n), 0, None)
}

fn of_sha256d(make: impl Fn(&mut World) -> (Vec<RecordJob>, Vec<Canonical>)) -> Files {
    world_of(|w| {
        let (jobs, shares) = make(w);
        let mut c = closing(12, jobs, shares);
        c.contracts.clear();
        c
    })
}

/// A job that names nothing, whose script goes on for so many bytes behind the extranonce, beside one that names blocks or not.
fn tagged_by_its_extranonce(algorithm: Algorithm, behind: u8, beside: bool) -> Files {
    world_of(|w| {
        if algorithm == Algorithm::Scrypt {
            w.on("ltc");
        }
        let (named, mut plain) = (job(w), w.job(12));
        // The script's length stands behind version, count and outpoint.
        plain.prefix[41] += behind;
        plain.suffix.splice(0..0, vec![9; behind.into()]);
        let mut shares = vec![tagged(algorithm, &plain)];
        let mut jobs = vec![plain];
        if beside {
            shares.extend(mine_by(algorithm, &named, 1, 0..2, None));
            jobs.push(named);
        }
        let mut c = closing(12, jobs, shares);
        c.contracts.clear();
        c.algorithm = algorithm;
        c
    })
}

#[test]
fn half_a_tag_that_a_miner_sends_makes_no_honest_record_false() {
    for algorithm in [Algorithm::Scrypt, Algorithm::Sha256d] {
        for beside in [true, false] {
            // One byte less behind it than a whole tag has.
            let files = tagged_by_its_extranonce(algorithm, 31, beside);
            assert_eq!(files.lie(&Options::default()), "none", "{algorithm} {beside}");
            assert!(files.second().starts_with("yes "), "{}", files.second());
        }
    }
}

lies! {
    a_block_of_another_chain_that_the_coinbase_does_not_commit_to: "aux-not-committed", "commits to other blocks",
        changed(|job| job.aux[0].hash = [1; 32]);
    a_chain_that_the_work_was_for_left_out: "aux-not-committed", "commits to other blocks",
        changed(|job| drop(job.aux.pop()));
    a_chain_that_the_work_was_not_for: "aux-not-committed", "commits to other blocks",
        changed(|job| job.aux.push(AuxBlock { chain_id: 105, ..job.aux[1].clone() }));
    work_said_to_be_for_another_chain_of_the_same_slot: "aux-not-committed", "two chains have one slot",
        changed(|job| job.aux.push(AuxBlock { chain_id: 106, ..job.aux[0].clone() }));
    blocks_of_other_chains_without_a_tag: "aux-not-committed", "no merge-mining tag",
        of(|w| vec![job_saying(w, &[7; TAG_LEN], blocks())]);
    a_tag_whose_blocks_are_not_named: "aux-not-committed", "blocks that are not named", of(|w| {
        let named = job(w);
        let silent = job_saying(w, &tag(&blocks(), 6, 2).unwrap(), Vec::new());
        vec![named, silent]
    });
    a_tag_that_ends_in_what_miners_change: "aux-not-committed", "tag is cut", of(|w| {
        let whole = tag(&blocks(), 0, 2).unwrap();
        vec![job_saying(w, &whole[..TAG_LEN - 4], blocks())]
    });
    two_tags_in_one_script: "aux-not-committed", "two merge-mining tags", of(|w| {
        let own = [&tag(&blocks(), 5, 2).unwrap()[..], &gruve_proof::aux::TAG].concat();
        vec![job_saying(w, &own, blocks())]
    });
    a_tree_of_no_size: "aux-not-committed", "tag is cut", of(|w| {
        // The root is that of a tree of two.
        let mut own = tag(&blocks(), 5, 1).unwrap();
        own[36] = 3;
        vec![job_saying(w, &own, blocks())]
    });
    a_tag_in_the_extranonce_of_a_job_that_names_nothing: "two-merge-tags", "a second merge-mining tag",
        tagged_by_its_extranonce(Algorithm::Scrypt, 32, true);
    a_tag_in_the_extranonce_of_a_record_that_names_nothing: "two-merge-tags", "a second merge-mining tag",
        tagged_by_its_extranonce(Algorithm::Scrypt, 32, false);
    sha256d_work_for_a_chain_that_is_not_named: "two-merge-tags", "a second merge-mining tag",
        tagged_by_its_extranonce(Algorithm::Sha256d, 32, true);
    a_second_tag_in_an_extranonce_of_sha256d_work: "two-merge-tags", "a second merge-mining tag", of_sha256d(|w| {
        let job = job(w);
        let share = tagged(Algorithm::Sha256d, &job);
        (vec![job], vec![share])
    });
    a_block_of_another_chain_whose_bits_are_no_target: "no-target", "bits that are no target",
        changed(|job| job.aux[1].bits = 0x1d80_ffff);
    a_record_for_more_chains_than_there_are: "aux-not-committed", "more chains than one record", of(|w| {
        let one = |n: u32| {
            let other = AuxBlock { chain_id: n, ..blocks().remove(0) };
            let own = tag(std::slice::from_ref(&other), 0, 0).unwrap();
            job_saying(w, &[&own[..], &[1; 4]].concat(), vec![other])
        };
        (1..34).map(one).collect()
    });
    one_chain_named_twice: "record-malformed", "chains out of order", rewritten(|bytes| {
        let at = at(bytes, b"PEP");
        bytes[at - 2] = 98;
    });
    a_coin_of_a_strange_name: "record-malformed", "bad name of a coin", rewritten(|bytes| {
        let at = at(bytes, b"DOGE");
        bytes[at] = b'd';
    });
    a_record_of_merge_mined_work_that_names_nothing: "record-malformed", "no job names a block", world_of(|w| {
        w.on("ltc");
        let jobs = vec![w.job(12)];
        let mut c = epoch(jobs);
        c.edit_record = |bytes| {
            bytes[7] = b'2';
            // Behind the siblings of the only job: a count of none.
            let at = bytes.windows(32).rposition(|w| w == [4; 32]).unwrap() + 32;
            bytes.insert(at, 0);
        };
        c
    });
}
