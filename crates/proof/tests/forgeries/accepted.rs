//! Shares that a gateway signed for, and records that leave them out.

use crate::world::{CLASS, Files, World, closing, mine};
use gruve_proof::acceptance::Acceptance;
use gruve_proof::merkle;
use gruve_proof::share::Canonical;
use gruve_proof::verify::Options;
use gruve_units::EpochNumber;

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

/// The first epoch, all of it signed for.
fn honest(w: &mut World) -> Files {
    let first = w.epoch(10);
    w.close(&first);
    with_accepted(w, &first.sections[0].1, (10, 10))
}

#[test]
fn shares_that_a_gateway_signed_for_are_found_in_the_record() {
    let verdict = honest(&mut World::new()).verify(&Options::default()).unwrap();
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
}

#[test]
fn any_changed_byte_of_an_acceptance_root_or_its_leaves_is_a_lie() {
    let honest = honest(&mut World::new());
    for name in ["accepted/btc/1", "accepted/btc/1.leaves"] {
        for at in 0..honest.0[name].len() {
            let mut changed = honest.clone();
            changed.0.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            assert_ne!(changed.lie(&Options::default()), "none", "{name}, byte {at}");
        }
    }
}

#[test]
fn a_signed_root_without_its_leaves_is_a_lie() {
    let mut files = honest(&mut World::new());
    files.0.remove("accepted/btc/1.leaves");
    assert_eq!(files.lie(&Options::default()), "acceptance-missing");
    files.0.remove("accepted/btc/1");
    assert_eq!(files.lie(&Options::default()), "none", "they go after a day");
    files.0.insert("accepted/btc/.new-1".into(), b"half a no".to_vec());
    assert_eq!(files.lie(&Options::default()), "none", "one that is being written");
}

#[test]
fn a_share_that_a_gateway_signed_for_is_missed_when_the_record_leaves_it_out() {
    let mut w = World::new();
    honest(&mut w);
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
