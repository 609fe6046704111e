//! Lies in the log and its files.

use crate::told;
use crate::world::{self, Closing, Files, World};
use crate::{changed, world as world_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use gruve_proof::log::KeyChange;
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::summary::FileRef;
use gruve_proof::verify::Options;
use gruve_units::Algorithm;
use ruint::aliases::U512;
use sha2::{Digest as _, Sha512};

fn signer(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn honest() -> Files {
    World::honest().publish()
}

/// Without the file whose name begins so.
fn without(part: &str) -> Files {
    let mut files = honest();
    let name = files.0.keys().find(|n| n.starts_with(part)).unwrap().clone();
    files.0.remove(&name);
    files
}

/// A head that says what the liar likes, signed by a key.
fn headed(key: u8, change: impl Fn(&mut Checkpoint)) -> Files {
    let w = World::honest();
    let mut head = w.checkpoint();
    change(&mut head);
    let mut files = w.publish();
    files.0.insert("checkpoint".into(), head.sign(&signer(key)).into_bytes());
    files
}

/// Entries that follow the honest ones.
fn with_entries(more: impl Fn(&World) -> Vec<Vec<u8>>) -> Files {
    let mut w = World::honest();
    let more = more(&w);
    w.entries.extend(more);
    w.publish()
}

/// The key 7 appoints 1, and then 7, which is in force no more, appoints 2.
fn appointed_by_the_old_key() -> Files {
    let mut w = World::honest();
    for (by, to) in [(7, 1), (7, 2)] {
        let at = w.entries.len() as u64;
        let change = KeyChange::sign(world::ORIGIN, at, &signer(by), &signer(to));
        w.entries.push(change.canonical());
    }
    w.key = signer(2);
    w.publish()
}

/// The same entries, one of another kind in place of epoch 12's.
fn last_entry(bytes: Vec<u8>) -> Files {
    let mut w = World::honest();
    *w.entries.last_mut().unwrap() = bytes;
    w.publish()
}

/// An unproven epoch that names a record.
fn unproven_with_a_record(c: &mut Closing) {
    c.edit = |s| s.is_proven = false;
}

/// A log whose parts of tiles have grown, one of them altered.
fn altered(part: &str) -> Files {
    let w = World::honest();
    let mut files = w.publish_by(&[2, 4]);
    assert_eq!(files.lie(&Options::default()), "none");
    let bytes = files.0.get_mut(part).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    files
}

/// A note of this text under a signature whose first half is the neutral point: made with the key, and good by the equation
/// alone. The second half is the text's hash times the key (RFC 8032, section 5.1.6).
fn signed_by_nothing(body: &str, key: u8) -> String {
    let little = |bytes: &[u8]| U512::try_from_le_slice(bytes).unwrap();
    let order =
        U512::from(27_742_317_777_372_353_535_851_937_790_883_648_493u128) + (U512::from(1) << 252);
    let mut secret: [u8; 64] = Sha512::digest([key; 32]).into();
    secret[0] &= 248;
    secret[31] = secret[31] & 127 | 64;
    let own = NoteKey::new(world::ORIGIN, signer(key).verifying_key().to_bytes()).unwrap();
    let mut first = [0; 32];
    first[0] = 1;
    let hash: [u8; 64] = Sha512::digest([&first[..], &own.key, body.as_bytes()].concat()).into();
    let second = little(&hash).mul_mod(little(&secret[..32]), order);
    let signature = [&own.id()[..], &first, &second.to_le_bytes::<64>()[..32]].concat();
    format!("{body}\n\u{2014} {} {}\n", world::ORIGIN, STANDARD.encode(signature))
}

lies! {
    a_key_after_another_without_end: "too-many-keys", "more than 256 keys", with_entries(|w| {
        let first = w.entries.len() as u64;
        let (one, two) = (signer(7), signer(1));
        (0..256u64)
            .map(|n| {
                let (by, to) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
                KeyChange::sign(world::ORIGIN, first + n, by, to).canonical()
            })
            .collect()
    });
    a_bundle_of_entries_that_is_cut: "entries-malformed", "cut short", {
        let mut files = honest();
        let name = files.0.keys().find(|n| n.starts_with("tile/entries/")).unwrap().clone();
        files.0.get_mut(&name).unwrap().pop();
        files
    };
    a_head_longer_than_any: "file-too-long", "too long", {
        let mut files = honest();
        files.0.get_mut("checkpoint").unwrap().extend([b'x'; 16_384]);
        files
    };
    a_name_with_a_control_character: "checkpoint-malformed", "bad signature line", {
        let mut files = honest();
        files.0.get_mut("checkpoint").unwrap().extend("\u{2014} a\u{7f} AAAAAAAA\n".bytes());
        files
    };
    a_head_signed_so_that_the_signature_fits_many: "checkpoint-unsigned", "bad signature", {
        let w = World::honest();
        let mut files = w.publish();
        files.0.insert("checkpoint".into(), signed_by_nothing(&w.checkpoint().body(), 7).into_bytes());
        files
    };
    a_lane_that_changes_its_algorithm: "lane-changed", "the lane has changed", changed(|_, c| {
        c.algorithm = Algorithm::Scrypt;
    });
    a_lane_that_changes_the_length_of_its_epochs: "lane-changed", "the lane has changed",
        changed(|_, c| c.edit = |s| s.length_us = 1_200_000_000);
    an_epoch_that_does_not_follow_the_one_before: "chain-broken", "does not follow the lane's entry before",
        changed(|_, c| c.edit = |s| s.prev_checkpoint = [1; 32]);
    an_epoch_published_twice: "epoch-twice", "does not follow the lane's entry before", world_of(|w| {
        let c = w.epoch(11);
        w.chain.truncate(1);
        c
    });
    classes_that_no_share_can_have: "entry-malformed", "lowest class above the highest",
        changed(|_, c| (c.rules.class_min, c.rules.class_max) = (9, 8));
    a_threshold_that_no_hash_can_reach: "entry-malformed", "threshold of opened shares is over 100",
        changed(|_, c| c.rules.opened = 101);
    epochs_without_a_length: "entry-malformed", "epochs have no length", changed(|_, c| c.edit = |s| s.length_us = 0);
    an_unproven_epoch_with_a_record: "entry-malformed", "unproven, but names a record", changed(|_, c| unproven_with_a_record(c));
    an_entry_of_no_known_kind: "entry-malformed", "of no known kind", last_entry(b"gruve else 1\0".to_vec());
    a_second_head: "entry-malformed", "of no known kind", last_entry(World::new().entries[0].clone());
    no_checkpoint: "checkpoint-missing", "checkpoint cannot be read", without("checkpoint");
    no_key: "key-missing", "key cannot be read", without("key");
    a_key_that_the_log_does_not_begin_with: "other-key", "another key than that of `key`", {
        let mut files = honest();
        let other = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        let key = gruve_proof::note::NoteKey::new(world::ORIGIN, other).unwrap();
        files.0.insert("key".into(), format!("{key}\n").into_bytes());
        files
    };
    no_entries: "entries-missing", "tile/entries/000.p/4 cannot be read", without("tile/entries");
    no_tile: "tile-missing", "tile/0/000.p/4 cannot be read", without("tile/0");
    a_head_signed_by_somebody_else: "checkpoint-unsigned", "checkpoint: not signed by the key in force", headed(1, |_| ());
    a_head_of_another_root: "log-altered", "the entries are not those of the checkpoint's root", headed(7, |h| h.root = [1; 32]);
    a_head_of_an_absurd_size: "checkpoint-malformed", "checkpoint: bad size", headed(7, |h| h.size = 1 << 40);
    a_head_of_nothing: "checkpoint-malformed", "checkpoint: bad size", headed(7, |h| h.size = 0);
    a_head_with_more_lines: "checkpoint-malformed", "checkpoint: not a signed note of three lines", headed(7, |h| h.origin += "\nmore");
    a_head_of_another_log: "key-malformed", "checkpoint: another origin than that of `key`", headed(7, |h| h.origin = "other.example".into());
    a_tile_with_other_hashes: "tile-wrong", "tile/0/000.p/4 has wrong hashes", {
        let mut files = honest();
        files.0.get_mut("tile/0/000.p/4").unwrap()[0] ^= 1;
        files
    };
    a_part_of_a_tile_that_its_whole_does_not_begin_with: "tile-wrong", "tile/0/000.p/2 is no beginning of what it has grown to", altered("tile/0/000.p/2");
    a_part_of_the_entries_that_the_whole_does_not_begin_with: "tile-wrong", "tile/entries/000.p/2 is no beginning of what it has grown to",
        altered("tile/entries/000.p/2");
    a_file_that_no_entry_names_and_is_not_what_its_name_says: "file-altered", "is not what its name says", {
        let mut files = honest();
        files.0.insert(format!("data/{}", "7".repeat(64)), b"something".to_vec());
        files
    };
    a_key_that_its_predecessor_did_not_appoint: "key-change-unsigned", "appointed by a key that may not", with_entries(|_| {
        vec![KeyChange::sign(world::ORIGIN, 4, &signer(1), &signer(2)).canonical()]
    });
    a_key_appointed_by_one_that_is_in_force_no_more: "key-change-unsigned", "appointed by a key that may not",
        appointed_by_the_old_key();
    a_change_of_keys_moved_to_another_place: "key-change-unsigned", "bad signature of the key that appoints", with_entries(|_| {
        vec![KeyChange::sign(world::ORIGIN, 3, &signer(7), &signer(7)).canonical()]
    });
    a_record_that_is_not_there: "record-missing", "cannot be read", {
        let w = World::honest();
        let mut files = w.publish();
        let entry = gruve_proof::summary::EpochSummary::parse(&w.entries[1]).unwrap().unwrap();
        files.0.remove(&gruve_proof::publish::data_path(&entry.record.hash));
        files
    };
    a_sold_tree_that_is_not_there: "sold-missing", "cannot be read", {
        let w = World::honest();
        let mut files = w.publish();
        let entry = gruve_proof::summary::EpochSummary::parse(&w.entries[1]).unwrap().unwrap();
        files.0.remove(&gruve_proof::publish::data_path(&entry.sold.hash));
        files
    };
    a_record_of_another_length_than_the_entry_says: "file-altered", "is too long or too short", changed(|_, c| {
        c.edit = |s| s.record = FileRef { bytes: s.record.bytes + 1, ..s.record };
    });
}

#[test]
fn every_file_cut_or_too_long_is_refused() {
    let files = honest();
    for name in files.0.keys() {
        for long in [false, true] {
            let mut changed = files.clone();
            let bytes = changed.0.get_mut(name).unwrap();
            if long {
                bytes.push(b'\n');
            } else {
                bytes.pop();
            }
            assert_ne!(changed.lie(&Options::default()), "none", "{name}, {long}");
            assert!(changed.second().starts_with("no "), "{name}, {long}");
        }
    }
}

#[test]
fn files_that_nothing_names_are_told_and_do_no_harm() {
    let w = World::honest();
    // A part of a tile that is ahead of the head: the log is growing while it is read.
    let mut files = w.publish_by(&[4]);
    let mut longer = World::honest();
    let more = longer.epoch(13);
    longer.close(&more);
    for name in ["tile/0/000.p/5", "tile/entries/000.p/5"] {
        files.0.insert(name.into(), longer.publish().0[name].clone());
    }
    // A record whose entry has no place yet, and something of somebody else's.
    let record = longer.data.iter().find(|(name, _)| !w.data.contains_key(*name)).unwrap();
    files.0.insert(record.0.clone(), record.1.clone());
    files.0.insert("index.html".into(), b"hello".to_vec());
    let verdict = files.verify(&Options::default()).unwrap();
    let said = "4 files are no part of the record and were not looked at";
    assert!(verdict.remarks.iter().any(|r| r.starts_with(said)), "{:?}", verdict.remarks);
    assert!(files.second().starts_with("yes "), "{}", files.second());
}

#[test]
fn stamps_hold_any_key_that_was_in_force_and_none_that_comes_later() {
    let grown = |change_at_first: bool| {
        let mut w = World::honest();
        let change = KeyChange::sign(world::ORIGIN, 4, &signer(7), &signer(2)).canonical();
        let old = w.job(13);
        w.key = signer(2);
        let new = w.job(13);
        let mut shares = world::mine(&old, world::CLASS, 0..2, None);
        shares.extend(world::mine(&new, world::CLASS, 0..2, None));
        let c = world::closing(13, vec![old, new], shares);
        if change_at_first {
            w.entries.push(change);
            w.close(&c);
        } else {
            w.close(&c);
            let change = KeyChange::sign(world::ORIGIN, 5, &signer(7), &signer(2)).canonical();
            w.entries.push(change);
        }
        w.publish()
    };
    let good = grown(true);
    assert_eq!(good.lie(&Options::default()), "none");
    assert!(good.second().starts_with("yes "), "{}", good.second());
    told("other-stamp", "its stamp has another commitment", &grown(false));
}

#[test]
fn a_key_is_followed_by_the_next_and_the_recovery_key_may_appoint_one() {
    for appointer in [7, 9] {
        let mut w = World::honest();
        let change = KeyChange::sign(world::ORIGIN, 4, &signer(appointer), &signer(2));
        w.entries.push(change.canonical());
        w.key = signer(2);
        let c = w.epoch(13);
        w.close(&c);
        let mut files = w.publish();
        assert_eq!(files.lie(&Options::default()), "none");
        assert!(files.second().starts_with("yes "), "{}", files.second());
        // Whoever knows any key that the log has had is told so; whoever knows another, that it is another.
        for (known, said) in [(7, "none"), (2, "none"), (9, "other-key"), (3, "other-key")] {
            let key = NoteKey::new(world::ORIGIN, signer(known).verifying_key().to_bytes());
            assert_eq!(files.lie(&Options { key, ..Options::default() }), said, "{known}");
        }
        // The old key signs no more.
        let old = w.checkpoint().sign(&signer(7));
        files.0.insert("checkpoint".into(), old.into_bytes());
        told("checkpoint-unsigned", "not signed by the key in force", &files);
    }
}

#[test]
fn keys_without_end_take_memory_that_is_counted() {
    let mut w = World::honest();
    for n in 0..200u8 {
        let (at, next) = (w.entries.len() as u64, signer(n % 2 + 1));
        w.entries.push(KeyChange::sign(world::ORIGIN, at, &w.key, &next).canonical());
        w.key = next;
    }
    let c = w.epoch(13);
    w.close(&c);
    let files = w.publish();
    let said = |memory_max| files.lie(&Options { memory_max, ..Options::default() });
    // The least with which it is verified.
    let (mut no, mut yes) = (1, 4 << 20);
    assert_eq!(said(yes), "none");
    while no + 1 < yes {
        let middle = u64::midpoint(no, yes);
        *(if said(middle) == "none" { &mut yes } else { &mut no }) = middle;
    }
    // 200 stamps that a job may hold are more than the shares.
    assert!(said(no).starts_with("checking job "), "{}", said(no));
}
