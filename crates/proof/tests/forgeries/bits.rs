//! After any single-bit change anywhere in the published folder the verifier says no: that it is a lie, and not that it
//! could not be read.

use crate::accepted::with_accepted;
use crate::good::rich;
use crate::places::whole;
use crate::statement::{log, sign, statement};
use crate::world::{CLASS, Files, World, closing, mine};
use gruve_proof::verify::{Options, VerifyError};

/// A record as small as one can be that has everything: shares, a contract, parts of tiles that have grown.
fn small() -> Files {
    let mut w = World::new();
    let job = w.job(10);
    let shares = mine(&job, CLASS, 0..2, None);
    w.close(&closing(10, vec![job], shares));
    w.publish_by(&[1, 2])
}

fn flipped(files: &Files, name: &str, bit: usize) -> Files {
    let mut changed = files.clone();
    changed.0.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
    changed
}

/// A small generator: the same places every time.
fn noise(n: u64) -> usize {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 1).unwrap()
}

/// A bit of a file, files by turns.
fn sample(files: &Files, n: usize) -> (&str, usize) {
    let at = n % files.0.len();
    let (name, bytes) = files.0.iter().nth(at).unwrap();
    (name, noise(n as u64) % (8 * bytes.len()))
}

/// Every bit of every file.
fn bits(files: &Files) -> Vec<(&str, usize)> {
    let of = files.0.iter();
    of.flat_map(|(name, bytes)| (0..8 * bytes.len()).map(move |bit| (name.as_str(), bit))).collect()
}

/// That a record could not be read, or not be held, would be neither yes nor no.
fn is_a_lie(files: &Files, name: &str, bit: usize) {
    match flipped(files, name, bit).verify(&Options::default()) {
        Err(VerifyError::Lie(_)) => (),
        Err(e) => panic!("{name}, bit {bit}: {e}"),
        Ok(verdict) => panic!("{name}, bit {bit}: {verdict}"),
    }
}

fn all_are_lies(files: &Files, all: &[(&str, usize)]) {
    std::thread::scope(|scope| {
        for some in all.chunks(all.len().div_ceil(4)) {
            scope.spawn(move || some.iter().for_each(|(name, bit)| is_a_lie(files, name, *bit)));
        }
    });
}

#[test]
fn any_changed_bit_of_a_small_record_makes_the_verifier_say_no() {
    let files = small();
    assert_eq!(files.lie(&Options::default()), "none");
    let all = bits(&files);
    assert!(all.len() > 10_000, "{} bits", all.len());
    all_are_lies(&files, &all);
}

/// A small record of everything else: places, owners, late work, two keys, a statement of funds with its reserves, and what a
/// gateway signed for. (`range`, which says what is there to readers who cannot list files, claims nothing and is not there.)
fn everything() -> Files {
    let (mut w, last) = whole();
    let mut funds = statement(&w, 1);
    sign(&mut funds);
    log(&mut w, &mut funds);
    with_accepted(&w, &last, (14, 14))
}

#[test]
fn any_changed_bit_of_a_record_with_everything_is_a_lie() {
    let files = everything();
    let verdict = files.verify(&Options::default()).unwrap();
    let lane = &verdict.lanes[0];
    assert!(lane.late > 0 && lane.to_owners > 0 && verdict.keys.len() == 2, "{verdict}");
    assert!(verdict.funds.is_some(), "{verdict}");
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
    // All of them take minutes. These do not, and are of every place in a byte.
    let step = if std::env::var_os("GRUVE_LONG").is_some() { 1 } else { 23 };
    let some: Vec<_> = bits(&files).into_iter().step_by(step).collect();
    assert!(some.len() > 1_000, "{} bits", some.len());
    all_are_lies(&files, &some);
}

#[test]
fn any_changed_bit_of_a_large_record_makes_the_verifier_say_no() {
    let files = rich().publish_by(&[1, 7, 200, 268]);
    let times = if std::env::var_os("GRUVE_LONG").is_some() { 20_000 } else { 150 };
    for n in 0..times {
        let (name, bit) = sample(&files, n);
        is_a_lie(&files, name, bit);
    }
}

/// What the second verifier says of each so-many-th bit of a folder: its program is begun once for all.
fn second_of_bits(files: &Files, step: usize) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/bits.py");
    let dir = tempfile::tempdir().unwrap();
    files.write(dir.path());
    let mut command = std::process::Command::new("python3");
    command.args(["-B", script]).arg(dir.path()).arg(step.to_string());
    let out = command.output().expect("python3 is needed: apt-get install python3");
    String::from_utf8(out.stdout).unwrap() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn changed_bits_are_lies_to_the_second_verifier_too() {
    for (files, step) in [(small(), 29), (everything(), 211)] {
        let said = files.second();
        assert!(said.starts_with("yes "), "{said}");
        let step = if std::env::var_os("GRUVE_LONG").is_some() { 1 } else { step };
        let said = second_of_bits(&files, step);
        let looked_at = bits(&files).len().div_ceil(step);
        assert_eq!(said, format!("{looked_at} bits, each a lie\n"));
    }
}
