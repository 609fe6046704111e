//! After any single-bit change anywhere in the published folder the verifier says no.

use crate::good::rich;
use crate::world::{CLASS, Files, World, closing, mine};
use gruve_proof::verify::Options;

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

#[test]
fn any_changed_bit_of_a_small_record_makes_the_verifier_say_no() {
    let files = small();
    assert_eq!(files.lie(&Options::default()), "none");
    let all: Vec<(&str, usize)> = files
        .0
        .iter()
        .flat_map(|(n, b)| (0..8 * b.len()).map(move |at| (n.as_str(), at)))
        .collect();
    assert!(all.len() > 10_000, "{} bits", all.len());
    let part = all.len().div_ceil(4);
    std::thread::scope(|scope| {
        for some in all.chunks(part) {
            let files = &files;
            scope.spawn(move || {
                for (name, bit) in some {
                    let said = flipped(files, name, *bit).lie(&Options::default());
                    assert_ne!(said, "none", "{name}, bit {bit}");
                }
            });
        }
    });
}

#[test]
fn any_changed_bit_of_a_large_record_makes_the_verifier_say_no() {
    let files = rich().publish_by(&[1, 7, 200, 268]);
    let times = if std::env::var_os("GRUVE_LONG").is_some() { 20_000 } else { 150 };
    for n in 0..times {
        let (name, bit) = sample(&files, n);
        let said = flipped(&files, name, bit).lie(&Options::default());
        assert_ne!(said, "none", "{name}, bit {bit}");
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
