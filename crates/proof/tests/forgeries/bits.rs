//! After any single-bit change anywhere in the published folder the verifier says no: that it is a lie, and not that it
//! could not be read.

use crate::good::rich;
use crate::places::whole;
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

#[test]
fn any_changed_bit_of_a_record_with_places_late_work_and_two_keys_is_a_lie() {
    let files = whole();
    assert_eq!(files.lie(&Options::default()), "none");
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

#[test]
fn changed_bits_make_the_second_verifier_say_no_too() {
    let files = small();
    assert!(files.second().starts_with("yes "), "{}", files.second());
    let times = if std::env::var_os("GRUVE_LONG").is_some() { 2_000 } else { 24 };
    for n in 0..times {
        let (name, bit) = sample(&files, n);
        let said = flipped(&files, name, bit).second();
        assert!(said.starts_with("no "), "{name}, bit {bit}: {said}");
    }
}
