//! What is remembered of machines between two connections.

use crate::miner::{class, machine};
use gruve_stratum::start_classes::{AGE_MAX, MACHINES_MAX, StartClasses};
use gruve_units::{Duration, MachineId, Timestamp};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[test]
fn a_machines_class_survives_a_restart_and_is_forgotten_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("classes");
    let now = at(1_700_000_000);
    let classes = StartClasses::open(&file);
    assert_eq!(classes.get(machine("a"), now), None);
    classes.note(machine("a"), class(40), now);
    classes.note(machine("b"), class(20), now);
    classes.note(machine("a"), class(41), now);
    classes.save().unwrap();
    let again = StartClasses::open(&file);
    assert_eq!(again.get(machine("a"), now), Some(class(41)));
    assert_eq!(again.get(machine("b"), now.plus(AGE_MAX)), Some(class(20)));
    assert_eq!(again.get(machine("b"), now.plus(AGE_MAX + Duration::from_secs(1))), None);
    assert_eq!(again.get(machine("b"), at(0)), Some(class(20)), "a clock that went back");
    // Nothing changed: nothing written.
    std::fs::remove_file(&file).unwrap();
    again.save().unwrap();
    assert!(!file.exists());
}

#[test]
fn a_damaged_file_is_not_used_and_replaced_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("classes");
    let classes = StartClasses::open(&file);
    classes.note(machine("a"), class(40), at(9));
    classes.save().unwrap();
    let good = std::fs::read(&file).unwrap();
    for damage in 0..good.len() + 4 {
        let mut bad = good.clone();
        match bad.get_mut(damage) {
            Some(byte) => *byte ^= 1,
            None => bad.truncate(good.len() * (damage - good.len()) / 4),
        }
        std::fs::write(&file, &bad).unwrap();
        assert_eq!(StartClasses::open(&file).count(), 0, "{damage}");
    }
    std::fs::write(&file, vec![0; 10 << 20]).unwrap();
    let fresh = StartClasses::open(&file);
    assert_eq!(fresh.count(), 0);
    fresh.note(machine("b"), class(9), at(9));
    fresh.save().unwrap();
    assert_eq!(StartClasses::open(&file).get(machine("b"), at(9)), Some(class(9)));
    // Where it cannot be written nothing else is hurt, and it is tried again.
    let nowhere = StartClasses::open(&dir.path().join("missing/classes"));
    nowhere.note(machine("b"), class(9), at(9));
    assert!(nowhere.save().is_err());
    std::fs::create_dir(dir.path().join("missing")).unwrap();
    nowhere.save().unwrap();
    assert!(dir.path().join("missing/classes").exists());
}

#[test]
fn the_memory_is_bounded_and_forgets_the_oldest() {
    let classes = StartClasses::default();
    let id = |n: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        MachineId::from_bytes(bytes)
    };
    for n in 0..=MACHINES_MAX {
        classes.note(id(n), class(1), at(i64::try_from(n).unwrap()));
    }
    assert!(classes.count() <= MACHINES_MAX && classes.count() > MACHINES_MAX / 2);
    assert_eq!(classes.get(id(0), at(0)), None);
    assert_eq!(classes.get(id(MACHINES_MAX), at(0)), Some(class(1)));
    // All of one second: still bounded, and not all forgotten.
    for n in 0..3 * MACHINES_MAX {
        classes.note(id(n), class(1), at(7));
        assert!(classes.count() <= MACHINES_MAX && classes.count() > MACHINES_MAX / 2);
    }
    classes.save().unwrap();
}
