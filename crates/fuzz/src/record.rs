//! Bytes as what a public record is made of: records, sold trees, entries, notes, coinbases, receipts.
//!
//! What must hold: no panic; nothing is allocated for a count that the bytes do not bear out; what is accepted has one
//! form, so writing it again gives the same bytes.

use crate::input::Input;
use gruve_proof::log::Entry;
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::receipt::Receipt;
use gruve_proof::record::{RecordReader, write_record};
use gruve_proof::series::{self, SeriesReader};
use gruve_proof::share::Canonical;
use gruve_proof::{sold, stamp};
use gruve_units::{EpochNumber, JobId};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.below(6);
    let rest = input.rest();
    match kind {
        0 => record(rest),
        1 => sold_tree(rest),
        2 => entry(rest),
        3 => note(rest),
        4 => drop(stamp::locate(rest)),
        _ => receipt(rest),
    }
}

fn record(bytes: &[u8]) {
    let Ok(mut reader) = RecordReader::open(bytes) else { return };
    let header = reader.header().clone();
    let (mut sections, mut jobs, mut owners) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    loop {
        let section = match reader.next_section() {
            Ok(Some(section)) => section,
            Ok(None) => break,
            Err(_) => return,
        };
        let mut shares: Vec<Canonical> = Vec::new();
        loop {
            match reader.next_block() {
                Ok(Some(block)) => {
                    jobs.insert(block.job);
                    owners.extend(block.shares.iter().map(|s| s.owner));
                    shares.extend(block.shares.iter().map(|s| block.canonical(s, &header)));
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert_eq!(shares.len() as u64, section.shares);
        sections.push((section.epoch, shares));
    }
    owners.remove(&0);
    if jobs.len() != header.jobs.len() || owners.len() != header.owners.len() {
        // The verifier refuses those: they say nothing about work.
        return;
    }
    let all: BTreeMap<JobId, _> = header.jobs.iter().map(|j| (j.job, j.clone())).collect();
    let sections: Vec<_> = sections.iter().map(|(e, s)| (*e, s.iter())).collect();
    let mut again = Vec::new();
    if write_record(&mut again, &header.of, &all, &sections).is_ok() {
        assert_eq!(again, bytes, "two forms of one record");
    }
}

fn sold_tree(bytes: &[u8]) {
    let (lane, epoch) = ("btc".parse().expect("a lane"), EpochNumber(12));
    let mut leaves = Vec::new();
    if sold::read(bytes, &lane, epoch, |leaf| leaves.push(*leaf)).is_ok() {
        assert_eq!(sold::encode(&lane, epoch, &leaves), bytes, "two forms of one sold tree");
    }
}

fn entry(bytes: &[u8]) {
    let again = match Entry::parse(bytes) {
        Ok(Entry::Head(head)) => head.canonical(),
        Ok(Entry::Keys(change)) => {
            let _ = change.is_signed("log.example", 3);
            change.canonical()
        }
        Ok(Entry::Epoch(s)) => s.canonical(),
        Ok(Entry::Funds(f)) => f.canonical(),
        Err(_) => return,
    };
    assert_eq!(again, bytes, "two forms of one entry");
}

fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = Checkpoint::read(text) {
        assert!(text.starts_with(&checkpoint.body()), "a note that says something else");
    }
    if let Ok(key) = NoteKey::parse(text) {
        assert_eq!(key.to_string(), text, "two forms of one key");
    }
}

fn receipt(bytes: &[u8]) {
    if bytes.starts_with(&series::MAGIC) {
        return a_series(bytes);
    }
    let Ok(receipt) = serde_json::from_slice::<Receipt>(bytes) else { return };
    let _ = receipt.epoch();
    let key = NoteKey::new(&receipt.origin, [7; 32]);
    // Nobody has this key.
    assert!(key.is_none_or(|k| receipt.check(&k).is_err()));
}

/// The key that has signed the seed's head: behind it a series is read to its end.
const SERIES_KEY: &str = "log.gruve.example+eb282ad8+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

fn a_series(bytes: &[u8]) {
    // Nobody has this key.
    let of_nobody = |note: &str| NoteKey::new(&Checkpoint::read(note).ok()?.origin, [7; 32]);
    assert!(SeriesReader::open(bytes, of_nobody).is_err());
    let Ok(mut reader) = SeriesReader::open(bytes, |_| NoteKey::parse(SERIES_KEY).ok()) else {
        return;
    };
    let mut receipts = 0;
    while let Ok(Some(_)) = reader.next_receipt() {
        receipts += 1;
        assert!(receipts <= bytes.len(), "more receipts than bytes");
    }
}
