//! The verifier stays within its stated bound of memory, whatever a record says of itself: each hostile folder is verified
//! by a process of its own that the system gives no more.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_proof::places::Places;
use gruve_proof::share::{Canonical, ShareLeaf};
use gruve_proof::summary::Rules;
use gruve_proof::verify::{BESIDE, FolderSource, Options, Source, VerifyError, verify};
use gruve_units::Class;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use world::{Closing, Files, World, closing};

/// What the processes may count: far less than what the folders would take.
const ALLOWED: u64 = 4 << 20;

fn options() -> Options {
    Options { threads: 2, memory_max: ALLOWED, ..Options::default() }
}

/// Verifies a folder in a process that gets so much and no more; what it says.
fn said_within_the_bound(files: &Files) -> String {
    let dir = tempfile::tempdir().unwrap();
    files.write(dir.path());
    let kib = (ALLOWED + BESIDE) / 1_024;
    let out = Command::new("bash")
        .args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "verifies_the_folder_that_another_test_names", "--nocapture"])
        .env("GRUVE_VERIFY_FOLDER", dir.path())
        // Of the system's heaps, one a thread, each takes room that it does not use.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let said = text.lines().find_map(|l| l.split_once("SAID ").map(|(_, said)| said.to_owned()));
    said.unwrap_or_else(|| {
        panic!("{}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr))
    })
}

/// Does nothing by itself: it is what the other tests run as a process.
#[test]
fn verifies_the_folder_that_another_test_names() {
    let Some(folder) = std::env::var_os("GRUVE_VERIFY_FOLDER") else { return };
    let source = FolderSource(Path::new(&folder).to_owned());
    let said = match verify(&source, &options(), &mut |_| ()) {
        Ok(verdict) => format!("yes {} shares", verdict.shares),
        Err(VerifyError::Lie(lie)) => lie.name.to_owned(),
        Err(VerifyError::TooLarge { .. }) => "too large".to_owned(),
        Err(e) => e.to_string(),
    };
    println!("\nSAID {said}");
}

/// Shares that every hash is good for.
fn many(job: &gruve_proof::record::RecordJob, n: u32) -> Vec<Canonical> {
    let one = |n: u32| {
        let extranonce = [&[0; 8][..], &n.to_be_bytes()].concat();
        ShareLeaf {
            job: job.job,
            class: Class::ZERO,
            extranonce: &extranonce,
            ntime: job.ntime,
            nonce: 7,
            version: job.version,
            owner: None,
        }
        .canonical()
    };
    (0..n).map(one).collect()
}

/// A lane with so many shares in each of its epochs.
fn busy(epochs: u64, shares: u32) -> Files {
    let mut w = World::new();
    for epoch in 10..10 + epochs {
        let job = w.job(epoch);
        let all = many(&job, shares);
        let mut c = closing(epoch, vec![job], all);
        c.rules = Rules::default();
        w.close(&c);
    }
    w.publish()
}

#[test]
fn more_shares_than_are_allowed_for_are_told_as_too_many() {
    assert_eq!(said_within_the_bound(&busy(1, 150_000)), "too large");
}

#[test]
fn shares_of_epochs_that_are_over_take_nothing() {
    // Each of them takes half of what is allowed; what late work could repeat takes a quarter.
    assert_eq!(said_within_the_bound(&busy(6, 60_000)), "yes 360000 shares");
}

#[test]
fn more_entries_than_are_allowed_for_are_told_as_too_many() {
    let mut w = World::new();
    for epoch in 10..1_600 {
        let mut c = closing(epoch, Vec::new(), Vec::new());
        c.contracts.clear();
        w.close(&c);
    }
    assert_eq!(said_within_the_bound(&w.publish()), "too large");
}

#[test]
fn more_lanes_than_are_allowed_for_are_told_as_too_many() {
    let mut w = World::new();
    for lane in 0..300 {
        w.on(&format!("l{lane}"));
        let mut c = closing(10, Vec::new(), Vec::new());
        c.contracts.clear();
        w.close(&c);
    }
    let said = w.publish().verify(&options());
    assert!(
        matches!(&said, Err(VerifyError::TooLarge { at, .. }) if at == "the log's lanes"),
        "{said:?}"
    );
}

/// A coinbase as long as may be, under as many shares as a block may have: 268 MB if all were laid out side by side.
#[test]
fn long_coinbases_are_hashed_in_small_parts() {
    let mut w = World::new();
    let mut job = w.job(10);
    let stamp = job.suffix.split_off(5);
    // One more output, of 65,000 bytes, before the others.
    job.suffix[4] += 1;
    job.suffix.extend([0; 8]);
    job.suffix.push(0xfd);
    job.suffix.extend(65_000u16.to_le_bytes());
    job.suffix.extend(vec![0x51; 65_000]);
    job.suffix.extend(stamp);
    let all = many(&job, 4_096);
    w.close(&closing(10, vec![job], all));
    assert_eq!(said_within_the_bound(&w.publish()), "yes 4096 shares");
}

/// So many jobs of an epoch with a share each, whose every output pays to another place; beside that of all jobs, if it is `kept`.
fn paying(w: &mut World, epoch: u64, (jobs, outputs): (u32, u16), kept: bool) -> Closing {
    let (mut all, mut shares) = (Vec::new(), Vec::new());
    for n in 0..jobs {
        let mut job = w.job(epoch);
        // Behind the number of outputs stands the one of all jobs: value, length, script.
        let stamp = job.suffix.split_off(if kept { 5 } else { 5 + 8 + 1 + 2 });
        job.suffix.truncate(4);
        job.suffix.push(0xfd);
        job.suffix.extend((outputs + if kept { 2 } else { 1 }).to_le_bytes());
        for m in 0..outputs {
            job.suffix.extend([1, 0, 0, 0, 0, 0, 0, 0, 6]);
            job.suffix.extend([&n.to_be_bytes()[..], &m.to_be_bytes()].concat());
        }
        job.suffix.extend(stamp);
        shares.extend(many(&job, 1));
        all.push(job);
    }
    closing(epoch, all, shares)
}

/// Jobs whose every output pays to another place: none of them is forgotten to be bounded.
#[test]
fn a_million_destinations_are_not_all_kept() {
    let mut w = World::new();
    let c = paying(&mut w, 10, (100, 2_000), true);
    w.close(&c);
    let files = w.publish();
    let verdict = files.verify(&Options::default()).unwrap();
    assert!(verdict.lanes[0].has_more_destinations);
    assert!(verdict.lanes[0].destinations.len() < 20_000);
    assert_eq!(said_within_the_bound(&files), "yes 100 shares");
}

/// The same of jobs that only owners' machines may have worked on: which owner's they are is seen when all jobs are read.
#[test]
fn owners_scripts_by_the_million_are_counted() {
    let mut w = World::new();
    let mut said = closing(10, Vec::new(), Vec::new());
    said.contracts.clear();
    said.rules = Rules::default();
    said.places = Some(Places::new(&w.lane, [(None, &b"house"[..])]).unwrap().encode());
    w.close(&said);
    let c = paying(&mut w, 12, (60, 1_000), false);
    w.close(&Closing { places: said.places, ..c });
    let files = w.publish();
    assert_eq!(files.lie(&Options::default()), "paid-unpublished", "where there is room");
    assert_eq!(said_within_the_bound(&files), "too large");
}

/// The honest files, but one of them never ends.
struct Endless(Files, String);

impl Source for Endless {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let honest = self.0.open(path)?;
        match honest {
            Some(file) if path == self.1 => Ok(Some(Box::new(file.chain(io::repeat(b'7'))))),
            other => Ok(other),
        }
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

#[test]
fn files_that_never_end_are_left() {
    let files = World::honest().publish();
    for name in files.0.keys() {
        let said = verify(&Endless(files.clone(), name.clone()), &options(), &mut |_| ());
        assert!(matches!(said, Err(VerifyError::Lie(_))), "{name}");
    }
}
