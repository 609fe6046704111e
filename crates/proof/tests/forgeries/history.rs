//! Lies that one sees only who remembers, or asks others.

use crate::world::{self, Files, World, contract};
use ed25519_dalek::SigningKey;
use gruve_proof::log::KeyChange;
use gruve_proof::note::NoteKey;
use gruve_proof::verify::{Options, Visit};
use gruve_units::{EpochNumber, Hashrate};

fn visit() -> Visit {
    World::honest().publish().verify(&Options::default()).unwrap().visit
}

fn seen() -> Options {
    Options { last: Some(visit()), ..Options::default() }
}

/// Another history, mined again, of so many epochs.
fn another(epochs: u64) -> Files {
    let mut w = World::new();
    for epoch in 10..10 + epochs {
        let mut c = w.epoch(epoch);
        c.contracts[0].sums.owed += 1;
        w.close(&c);
    }
    w.publish()
}

#[test]
fn a_log_that_grows_is_the_same_history() {
    assert!(World::honest().publish().verify(&seen()).unwrap().is_continued);
    let mut longer = World::honest();
    let more = longer.epoch(13);
    longer.close(&more);
    assert_eq!(longer.publish().lie(&seen()), "none");
}

#[test]
fn history_rewritten() {
    assert_eq!(another(4).lie(&seen()), "history-rewritten");
}

#[test]
fn history_cut() {
    assert_eq!(another(2).lie(&seen()), "history-cut");
}

#[test]
fn two_checkpoints_of_one_size() {
    assert_eq!(another(3).lie(&seen()), "split-view");
}

#[test]
fn two_checkpoints_of_one_size_shown_to_two_people() {
    let w = World::honest();
    let shown = vec![w.checkpoint().sign(&w.key)];
    let elsewhere = Options { seen_elsewhere: shown, ..Options::default() };
    assert_eq!(another(3).lie(&elsewhere), "split-view");
}

#[test]
fn a_private_chain_of_epochs_released_later_contradicts_what_was_shown_meanwhile() {
    // Shown meanwhile: epochs 10 and 11. Released: a chain whose 11 was another.
    let mut shown = World::new();
    for epoch in 10..12 {
        let c = shown.epoch(epoch);
        shown.close(&c);
    }
    let last = Some(shown.publish().verify(&Options::default()).unwrap().visit);
    assert_eq!(another(9).lie(&Options { last, ..Options::default() }), "history-rewritten");
}

#[test]
fn work_of_two_epochs_fits_two_histories_and_that_of_the_third_does_not() {
    // One log until epoch 11, then two, each with a contract that the other does not show. Their stamps hold the checkpoints of
    // 10 and 11, which both have; those of 14 hold that of 12, of which each has its own.
    let (mut one, mut other) = (World::new(), World::new());
    let close = |one: &mut World, other: &mut World, epoch: u64| {
        let c = one.epoch(epoch);
        let mut sold_again = c.clone();
        if epoch > 11 {
            sold_again.contracts[0].sums.owed += 1;
        }
        one.close(&c);
        other.close(&sold_again);
    };
    (10..14).for_each(|epoch| close(&mut one, &mut other, epoch));
    let (here, there) = (one.publish(), other.publish());
    let said = [&here, &there].map(|files| files.verify(&Options::default()).unwrap());
    assert_eq!(said[0].shares, said[1].shares);
    assert!(said.iter().all(|v| v.lanes[0].loosely_dated == 0), "{}", said[1]);
    // Whoever has seen one of them, or is told of it, does not take the other.
    let last = Some(said[0].visit.clone());
    assert_eq!(there.lie(&Options { last, ..Options::default() }), "split-view");
    let seen_elsewhere = vec![one.checkpoint().sign(&one.key)];
    assert_eq!(there.lie(&Options { seen_elsewhere, ..Options::default() }), "split-view");
    close(&mut one, &mut other, 14);
    assert_eq!(one.publish().lie(&Options::default()), "none");
    crate::told("other-stamp", "its stamp has another commitment", &other.publish());
}

#[test]
fn work_with_an_old_checkpoint_fits_two_histories_for_six_entries_and_is_told() {
    // All work behind epoch 11 holds its checkpoint: the longest that two histories can share it.
    let fork = |until: u64| {
        let mut w = World::new();
        for epoch in 10..=until {
            let mut c = w.epoch(epoch);
            if epoch > 11 {
                let (at, _) = w.commitment(13);
                let known = w.chain.clone();
                w.chain.retain(|(e, _)| *e <= at);
                c = w.epoch(epoch);
                w.chain = known;
                c.contracts[0].sums.owed += 1;
            }
            w.close(&c);
        }
        w.publish()
    };
    // Behind the checkpoint of 11 stand, for work of 19, the entries of 12 to 17.
    let verdict = fork(19).verify(&Options::default()).unwrap();
    assert_eq!(verdict.lanes[0].loosely_dated, 6 * 9, "{verdict}");
    crate::told("stale-checkpoint", "its stamp holds no checkpoint that it may hold", &fork(20));
}

#[test]
fn another_first_key() {
    let key = NoteKey::new(world::ORIGIN, [3; 32]).unwrap();
    let options = Options { key: Some(key), ..Options::default() };
    assert_eq!(World::honest().publish().lie(&options), "other-key");
}

#[test]
fn a_log_of_another_name_than_the_one_seen() {
    let mut last = visit();
    last.checkpoint.origin = "other.example".into();
    let options = Options { last: Some(last), ..Options::default() };
    assert_eq!(World::honest().publish().lie(&options), "other-log");
}

#[test]
fn a_head_signed_by_a_key_that_was_replaced_is_nobodys() {
    let mut w = World::honest();
    let (old, new) = (w.key.clone(), SigningKey::from_bytes(&[2; 32]));
    w.entries.push(KeyChange::sign(world::ORIGIN, 4, &old, &new).canonical());
    w.key = new.clone();
    let c = w.epoch(13);
    w.close(&c);
    let files = w.publish();
    let seen = |note: String| Options { seen_elsewhere: vec![note], ..Options::default() };
    let mut head = w.checkpoint();
    head.root = [5; 32];
    assert_eq!(files.lie(&seen(head.sign(&new))), "split-view");
    let stolen = files.lie(&seen(head.sign(&old)));
    assert!(stolen.starts_with("cannot read"), "whoever stole it accuses nobody: {stolen}");
    // Of before the change it is good, and says what it said.
    let mut before = World::honest().checkpoint();
    assert_eq!(files.lie(&seen(before.sign(&old))), "none");
    before.root = [5; 32];
    assert_eq!(files.lie(&seen(before.sign(&old))), "history-rewritten");
}

#[test]
fn epochs_without_work_since_the_last_visit_count_as_zero() {
    // Epochs of a second.
    let of = |epochs: &[u64]| {
        let mut w = World::new();
        for epoch in epochs {
            let mut c = w.epoch(*epoch);
            c.contracts = vec![contract(1, 3)];
            c.edit = |s| s.length_us = 1_000_000;
            w.close(&c);
        }
        w.publish()
    };
    // What was seen ended with epoch 12; the next entry is of 20.
    let last = of(&[10, 11, 12]).verify(&Options::default()).unwrap().visit;
    let from_entry = last.checkpoint.size;
    let options = Options { from_entry, last: Some(last), ..Options::default() };
    let lane = &of(&[10, 11, 12, 20]).verify(&options).unwrap().lanes[0];
    assert_eq!((lane.shares, lane.epochs.0, lane.missing_epochs), (9, EpochNumber(13), 7));
    // 704 hashes, 448 of them the house's, in eight seconds.
    assert_eq!((lane.hashrate, lane.house_hashrate), (Hashrate(88), Hashrate(56)));
}

#[test]
fn a_lane_that_was_published_no_more_is_told() {
    let files = World::honest().publish();
    let at = |epoch: u64| {
        let now_us = Some(epoch * 600_000_000 + 1);
        files.verify(&Options { now_us, ..Options::default() }).unwrap()
    };
    let is_told = |epoch| at(epoch).remarks.iter().any(|r| r.contains("nothing was published"));
    assert!(!is_told(13) && !is_told(25), "an accountant may be late");
    assert!(is_told(26), "more than two hours after epoch 12: {}", at(26));
    assert_eq!((at(13).lanes[0].silent_epochs, at(26).lanes[0].silent_epochs), (0, 13));
}
