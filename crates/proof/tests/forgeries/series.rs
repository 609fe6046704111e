//! Receipts in one file: they show what they show one by one, and no lie fits between them.

use crate::receipts::{key_of, receipts_of, receipts_of_kind};
use crate::world::World;
use gruve_proof::WireError;
use gruve_proof::merkle::{GrownTree, leaf_hash};
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::receipt::{Receipt, ReceiptError, Shown, Sibling};
use gruve_proof::series::{InSeries, SeriesError, SeriesOf, SeriesReader, SeriesWriter};
use gruve_proof::sold::Sums;
use gruve_proof::verify::Options;
use std::io::{self, Read};

/// Bytes of the magic and of the length of the head behind it.
const HEAD_AT: usize = 8 + 2;

/// A log of two lanes, and the second contract's receipts in epochs 10, 11, 14 and 15 of one of them.
fn world() -> (World, Vec<Receipt>) {
    let mut w = World::new();
    let mut own = Vec::new();
    for epoch in [10, 11, 12, 13, 14, 15] {
        if epoch == 12 || epoch == 13 {
            w.on("ltc");
            let other = w.epoch(epoch);
            w.close(&other);
            w.on("btc");
        } else {
            let [_, second] = receipts_of(&mut w, epoch);
            own.push(second);
        }
    }
    (w, own)
}

fn written(w: &World, receipts: &[Receipt]) -> Vec<u8> {
    let head = w.checkpoint().sign(&w.key);
    let mut tree = GrownTree::default();
    w.entries.iter().for_each(|e| tree.push(leaf_hash(e)));
    let node =
        |from: u64, n: u64| tree.over(usize::try_from(from).unwrap(), usize::try_from(n).unwrap());
    let mut out = Vec::new();
    let of = SeriesOf::receipt(&receipts[0], &head);
    let mut writer = SeriesWriter::begin(of, &mut out).unwrap();
    receipts.iter().for_each(|r| writer.push(r, node, &mut out).unwrap());
    writer.end(node, &mut out).unwrap();
    out
}

fn read_by(key: &NoteKey, bytes: &[u8]) -> Result<Vec<InSeries>, SeriesError> {
    let mut series = SeriesReader::open(bytes, |_| Some(key.clone()))?;
    let mut all = Vec::new();
    while let Some(one) = series.next_receipt()? {
        all.push(one);
    }
    Ok(all)
}

/// The step that does not hold.
fn refused(key: &NoteKey, bytes: &[u8]) -> ReceiptError {
    match read_by(key, bytes).unwrap_err() {
        SeriesError::Receipt(e) => e,
        SeriesError::Wire(e) => panic!("{e}"),
    }
}

/// Where a receipt's entry begins in the file, by the bytes of its entry.
fn at_of(bytes: &[u8], receipt: &Receipt) -> usize {
    let entry = hex::decode(&receipt.entry).unwrap();
    bytes.windows(entry.len()).position(|w| w == entry).unwrap()
}

#[test]
fn a_series_shows_what_its_receipts_show() {
    let (w, receipts) = world();
    let key = key_of(&w);
    for some in [&receipts[..], &receipts[..1], &receipts[1..3], &receipts[3..]] {
        let bytes = written(&w, some);
        let all = read_by(&key, &bytes).unwrap();
        assert_eq!(all.len(), some.len());
        for (one, receipt) in all.iter().zip(some) {
            let shown = receipt.check(&key).unwrap();
            let same =
                Shown { log_size: shown.log_size, log_root: shown.log_root, ..one.shown.clone() };
            assert_eq!((same, one.leaf), (shown, receipt.leaf()));
            assert_eq!((&one.private, one.entry_index), (&receipt.private, receipt.entry_index));
            assert_eq!(one.shown.log_root, w.checkpoint().root, "under the one head");
        }
    }
    // What they have in common stands once.
    let (one, all) = (written(&w, &receipts[..1]).len(), written(&w, &receipts).len());
    let text: usize = receipts.iter().map(|r| serde_json::to_string(r).unwrap().len()).sum();
    assert!(all < 4 * one && 3 * all < text, "{one} and {all} bytes, as text {text}");
}

#[test]
fn a_verified_log_takes_a_series_and_tells_its_gaps() {
    let (w, receipts) = world();
    let verdict = w.publish().verify(&Options::default()).unwrap();
    let mut checker = verdict.receipts();
    let few = [receipts[0].clone(), receipts[3].clone()];
    let mut told = Vec::new();
    let n = checker.check_series(written(&w, &few).as_slice(), |one| told.push(one.shown.epoch.0));
    assert_eq!((n.unwrap(), &told[..]), (2, &[10, 15][..]));
    let gaps = checker.gaps();
    assert!(gaps.len() == 1 && gaps[0].contains("no receipt of 2 epochs"), "{gaps:?}");
    // A head that the log has outgrown, and one of another history.
    let mut later = w;
    receipts_of(&mut later, 16);
    let grown = later.publish().verify(&Options::default()).unwrap();
    let (mut w, receipts) = world();
    assert_eq!(
        grown.receipts().check_series(written(&w, &receipts).as_slice(), |_| ()).unwrap(),
        4
    );
    receipts_of(&mut w, 17);
    let forked = written(&w, &receipts);
    assert_eq!(read_by(&key_of(&w), &forked).unwrap().len(), 4, "a history of its own");
    let lie = grown.receipts().check_series(forked.as_slice(), |_| ()).unwrap_err().to_string();
    assert!(lie.starts_with("split-view"), "{lie}");
}

#[test]
fn a_series_under_a_head_that_nobody_signed() {
    let (w, receipts) = world();
    let bytes = written(&w, &receipts);
    let stranger = NoteKey::new(crate::world::ORIGIN, [1; 32]).unwrap();
    assert_eq!(refused(&stranger, &bytes), ReceiptError::NotSigned);
    assert!(matches!(
        SeriesReader::open(bytes.as_slice(), |_| None).unwrap_err(),
        SeriesError::Receipt(ReceiptError::NotSigned)
    ));
}

#[test]
fn a_series_of_which_an_entry_is_not_in_the_log() {
    let (mut w, receipts) = world();
    let bytes = written(&w, &receipts);
    let mut checker = w.publish().verify(&Options::default()).unwrap().receipts();
    // The same epoch of a second history, whose tree has the leaf as well.
    let key = key_of(&w);
    let at = usize::try_from(receipts[3].entry_index).unwrap();
    w.entries.truncate(at);
    w.chain.truncate(3);
    let mut closing = w.epoch(15);
    closing.contracts = vec![crate::world::contract(1, 100), crate::world::contract(2, 200)];
    closing.rules.class_max = 21;
    w.close(&closing);
    let forged = &w.entries[at];
    let entry = at_of(&bytes, &receipts[3]);
    let mut lie = bytes;
    lie[entry..entry + forged.len()].copy_from_slice(forged);
    assert_eq!(refused(&key, &lie), ReceiptError::NotInLog);
    // Whoever has the log is not even told of it before the end.
    let mut told = Vec::new();
    let said = checker.check_series(lie.as_slice(), |one| told.push(one.shown.epoch.0));
    assert!(said.unwrap_err().to_string().starts_with("receipt"));
    assert_eq!(told, [10, 11, 14]);
}

#[test]
fn a_series_with_anothers_leaf_or_other_work() {
    let (w, receipts) = world();
    let key = key_of(&w);
    for part in 0..7 {
        let mut lies = receipts.clone();
        let one = &mut lies[2];
        match part {
            0 => one.work.hashrate += 1,
            1 => one.work.allocated += 1,
            2 => one.work.owed -= 1,
            3 => one.entitled += 1,
            4 => one.private.units += 1,
            5 => one.private.refund_minor -= 1,
            _ => one.leaf_index = 0,
        }
        assert_eq!(refused(&key, &written(&w, &lies)), ReceiptError::NotSold, "{part}");
    }
    // Work that a sibling has less of.
    let mut lies = receipts.clone();
    lies[1].work.allocated += 50;
    lies[1].sold_proof[0].sums.allocated -= 50;
    assert_eq!(refused(&key, &written(&w, &lies)), ReceiptError::NotSold);
    // Everything of the contract's that stands once.
    for part in 0..4 {
        let mut lies = receipts.clone();
        for one in &mut lies {
            match part {
                0 => one.contract = gruve_units::ContractId::from_bytes([1; 16]),
                1 => one.kind = 1,
                2 => one.private.nonce = [0; 32],
                _ => one.private.terms = [0; 32],
            }
        }
        assert_eq!(refused(&key, &written(&w, &lies)), ReceiptError::NotSold, "{part}");
    }
}

#[test]
fn a_series_with_any_byte_changed_cut_or_added() {
    let (w, receipts) = world();
    let (key, bytes) = (key_of(&w), written(&w, &receipts));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(read_by(&key, &changed).is_err(), "byte {at}");
        if at % 7 == 0 {
            assert!(read_by(&key, &bytes[..at]).is_err(), "cut at {at}");
        }
    }
    for behind in [&[0][..], b"GRUVRCP1", &bytes] {
        let longer = [&bytes[..], behind].concat();
        let said = read_by(&key, &longer).unwrap_err().to_string();
        assert!(said.ends_with("bytes follow the end"), "{said}");
    }
}

#[test]
fn a_series_of_a_contract_of_no_known_kind() {
    for (kind, is_known) in [(0, true), (1, true), (2, false), (255, false)] {
        let mut w = World::new();
        let [one, _] = receipts_of_kind(&mut w, 10, kind);
        let read = read_by(&key_of(&w), &written(&w, &[one]));
        assert_eq!(read.is_ok(), is_known, "{kind}: {read:?}");
    }
}

#[test]
fn a_series_of_two_lanes_or_of_epochs_in_another_order() {
    let mut w = World::new();
    let [one, _] = receipts_of(&mut w, 10);
    w.on("ltc");
    let [other, _] = receipts_of(&mut w, 11);
    w.on("btc");
    // A log that goes back, which nobody may have.
    let [earlier, _] = receipts_of(&mut w, 9);
    for lie in [[one.clone(), other], [one, earlier]] {
        let said = read_by(&key_of(&w), &written(&w, &lie)).unwrap_err().to_string();
        assert!(said.ends_with("not in the order of epochs"), "{said}");
    }
}

#[test]
fn a_series_under_a_head_of_more_entries_than_a_log_may_have() {
    let (w, receipts) = world();
    let head = |size| Checkpoint { size, ..w.checkpoint() }.sign(&w.key);
    for (size, is_taken) in [(1 << 24, true), ((1 << 24) + 1, false), (u64::MAX, false)] {
        let mut bytes = Vec::new();
        SeriesWriter::begin(SeriesOf::receipt(&receipts[0], &head(size)), &mut bytes).unwrap();
        let opened = SeriesReader::open(bytes.as_slice(), |_| Some(key_of(&w)));
        assert_eq!(opened.is_ok(), is_taken, "{size}");
    }
}

/// A file that never ends.
struct Endless(Vec<u8>, usize);

impl Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        for byte in to.iter_mut() {
            *byte = self.0.get(self.1).copied().unwrap_or(0xff);
            self.1 += 1;
        }
        Ok(to.len())
    }
}

#[test]
fn absurd_lengths_and_a_file_without_end_are_refused_after_a_few_bytes() {
    let (w, receipts) = world();
    let (key, bytes) = (key_of(&w), written(&w, &receipts));
    let entry = at_of(&bytes, &receipts[0]);
    let nodes = entry - 2 - 32; // one node stands before the first entry: that of the log's head
    let place = nodes - 4;
    assert_eq!(bytes[place..nodes], [0, 0, 0, 1]);
    for (at, value, what) in [
        (8, &[0xff, 0xff][..], "too long a head"),
        (place, &[0xff; 4][..], "not in the order of the log"),
        (entry - 2, &[0xff, 0xff][..], "too long an entry"),
    ] {
        let mut lie = bytes.clone();
        lie[at..at + value.len()].copy_from_slice(value);
        let mut endless = Endless(lie, 0);
        let opened = SeriesReader::open(&mut endless, |_| Some(key.clone()));
        let said = match opened {
            Ok(mut series) => series.next_receipt().unwrap_err().to_string(),
            Err(e) => e.to_string(),
        };
        assert!(said.contains(what), "{said}");
        assert!(endless.1 <= at + value.len(), "{} bytes read for {what}", endless.1);
    }
    // A note of the longest length, and what is behind it.
    let short = Endless(bytes[..HEAD_AT].to_vec(), 0);
    assert!(SeriesReader::open(short, |_| Some(key.clone())).is_err());
}

#[test]
fn receipts_that_are_no_series_are_not_written_as_one() {
    let (w, receipts) = world();
    let head = w.checkpoint().sign(&w.key);
    let write = |all: &[Receipt], head: &str| -> Result<(), WireError> {
        let (mut out, of) = (Vec::new(), SeriesOf::receipt(&all[0], head));
        let mut writer = SeriesWriter::begin(of, &mut out)?;
        all.iter().try_for_each(|one| writer.push(one, |_, _| Some([0; 32]), &mut out))
    };
    let turned: Vec<_> = receipts.iter().rev().cloned().collect();
    let twice = [receipts[0].clone(), receipts[0].clone()];
    let mut other = receipts.clone();
    other[1].private.terms = [0; 32];
    let said = |all: &[Receipt], head: &str| write(all, head).unwrap_err().to_string();
    assert!(write(&receipts, &head).is_ok());
    assert_eq!(said(&turned, &head), "receipts that are not in the order of the log");
    assert_eq!(said(&twice, &head), "receipts that are not in the order of the log");
    assert_eq!(said(&other, &head), "the receipt of another contract");
    assert_eq!(said(&receipts, "no note"), "not a head");
    // A head of before the last receipt's epoch.
    assert_eq!(said(&receipts, &receipts[0].checkpoint), "a receipt of an epoch behind the head");
}

/// A receipt of an epoch among 2^20 contracts of 100 TH/s and a year each, whose log has two lanes; and the log's nodes.
fn among_a_million(one: &Receipt, epoch: u64) -> Receipt {
    let noise = |n: u64| u128::from((epoch * 31 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let sums = |level: u32| {
        let (rate, contracts) = (100_000_000_000_000, 1u128 << level);
        let allocated = contracts * rate * 600 + noise(level.into()) * (contracts >> 4);
        Sums {
            hashrate: contracts * rate,
            allocated,
            owed: contracts * rate * 600 * u128::from(52_560 - epoch) - allocated,
        }
    };
    let sibling = |level| Sibling { sums: sums(level), hash: [u8::try_from(level).unwrap(); 32] };
    let mut one = one.clone();
    one.work = sums(0);
    one.entitled = one.work.hashrate * 600;
    (one.leaf_index, one.entry_index) = (654_321, 150_001 + 2 * epoch);
    one.sold_proof = (0..20).map(sibling).collect();
    one.private.units = noise(99) >> 4;
    one.private.refund_minor = 1_000_000 - i64::try_from(epoch).unwrap() * 19;
    one
}

#[test]
fn a_receipt_among_a_million_contracts_has_less_than_two_kilobytes_of_proof() {
    let (w, receipts) = world();
    let head = Checkpoint { size: 150_001 + 2 * 1_000, ..w.checkpoint() }.sign(&w.key);
    let node = |_: u64, _: u64| Some([7; 32]);
    let of = SeriesOf::receipt(&receipts[0], &head);
    let written = |epochs: u64| {
        let mut out = Vec::new();
        let mut writer = SeriesWriter::begin(of.clone(), &mut out).unwrap();
        let common = out.len();
        for epoch in 0..epochs {
            writer.push(&among_a_million(&receipts[0], epoch), node, &mut out).unwrap();
        }
        writer.end(node, &mut out).unwrap();
        (out.len(), common)
    };
    let (one, common) = written(1);
    // The proof: numbers, siblings, nodes of the log. Beside it the entry, two places, the salt, what is common.
    let entry = receipts[0].entry.len() / 2;
    let proof = one - common - (2 + entry) - 2 * 4 - 32;
    assert!(proof < 2_048, "{proof} bytes of proof");
    assert!(one < 2_048 + 1_024, "{one} bytes in all");
    // A receipt more: no head, and no proof in the log but what stands between.
    let more = (written(145).0 - one) / 144;
    println!("proof {proof}, one receipt {one}, each more {more}, entry {entry}, common {common}");
    assert!(more < 1_700, "{more} bytes for each receipt more");
}

#[test]
fn the_second_verifier_says_the_same_of_series_and_of_receipts() {
    let (w, receipts) = world();
    let files = w.publish();
    let series = written(&w, &receipts);
    let said = files.second_with(&[("receipts.bin", &series)]);
    assert!(said.starts_with("yes ") && said.contains("4 receipts hold"), "{said}");
    let lines: Vec<_> = receipts.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    let said = files.second_with(&[("receipts.jsonl", lines.join("\n").as_bytes())]);
    assert!(said.starts_with("yes ") && said.contains("4 receipts hold"), "{said}");
    let mut short = receipts.clone();
    short[1].work.allocated += 1;
    for (name, lie) in [
        ("a.bin", written(&w, &short)),
        ("b.bin", series[..series.len() - 1].to_vec()),
        ("c.bin", [&series[..], &[0]].concat()),
        ("d.json", serde_json::to_vec(&short[1]).unwrap()),
    ] {
        let said = files.second_with(&[(name, &lie)]);
        assert!(said.starts_with("no receipt"), "{name}: {said}");
    }
    for at in (0..series.len()).step_by(97) {
        let mut changed = series.clone();
        changed[at] ^= 1 << (at % 8);
        let said = files.second_with(&[("changed.bin", &changed)]);
        assert!(said.starts_with("no "), "byte {at}: {said}");
    }
}
