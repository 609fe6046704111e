//! Shares that a gateway signed for, and records that leave them out.

use crate::world::{CLASS, Files, World, closing, mine};
use gruve_proof::acceptance::{Acceptance, AcceptedLeaf, AcceptedRange, root};
use gruve_proof::merkle;
use gruve_proof::share::Canonical;
use gruve_proof::summary::FileRef;
use gruve_proof::verify::{Options, Source, Verdict, VerifyError, verify};
use gruve_units::{EpochNumber, LaneId};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Mutex;

/// The gateway's signed root over the shares of these epochs of an honest operator.
pub(crate) fn with_accepted(w: &World, shares: &[Canonical], epochs: (u64, u64)) -> Files {
    let leaf = |s: &Canonical| AcceptedLeaf { hash: merkle::leaf_hash(&s[..]), level: s[8] };
    let leaves: Vec<_> = shares.iter().map(leaf).collect();
    with_leaves(w, &leaves, epochs)
}

/// Its time ends as the last of the epochs begins.
fn with_leaves(w: &World, leaves: &[AcceptedLeaf], epochs: (u64, u64)) -> Files {
    let own = Acceptance {
        has_levels: true,
        origin: w.origin.clone(),
        lane: w.lane.clone(),
        number: 1,
        epochs: (EpochNumber(epochs.0), EpochNumber(epochs.1)),
        time_us: (1, epochs.1.saturating_mul(600_000_000)),
        shares: leaves.len() as u64,
        root: root(leaves),
    };
    let bytes = leaves.iter().flat_map(|l| l.to_bytes()).collect();
    signed_by(w, &own, bytes)
}

fn signed_by(w: &World, own: &Acceptance, leaves: Vec<u8>) -> Files {
    let mut files = w.publish();
    files.0.insert(own.path(), own.sign(&w.key).into_bytes());
    files.0.insert(own.path() + ".leaves", leaves);
    files
}

/// What says, for whoever cannot list files, which notes are there.
fn range(w: &World, lane: LaneId, first: u64, last: u64) -> Vec<u8> {
    AcceptedRange { origin: w.origin.clone(), lane, first, last }.sign(&w.key).into_bytes()
}

const RANGE: &str = "accepted/btc/range";

/// The first epoch, all of it signed for.
fn honest(w: &mut World) -> Files {
    let first = w.epoch(10);
    w.close(&first);
    with_accepted(w, &first.sections[0].1, (10, 10))
}

#[test]
fn shares_that_a_gateway_signed_for_are_found_in_the_record() {
    let files = honest(&mut World::new());
    let verdict = files.verify(&Options::default()).unwrap();
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
    let said = files.second();
    assert!(said.starts_with("yes ") && said.contains("9 accepted shares found"), "{said}");
}

/// The same files, of which nobody can see a list.
struct Web(Files);

impl Source for Web {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.0.open(path)
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

fn over_http(files: &Files) -> Result<Verdict, VerifyError> {
    verify(&Web(files.clone()), &Options::default(), &mut |_| ())
}

#[test]
fn over_http_the_notes_are_found_by_the_numbers_that_are_said() {
    let mut w = World::new();
    let mut files = honest(&mut w);
    let none = over_http(&files).unwrap();
    assert!(
        !none.remarks.iter().any(|r| r.contains("none is missing")),
        "nobody says that any is there"
    );
    files.0.insert(RANGE.into(), range(&w, w.lane.clone(), 0, 1));
    let verdict = over_http(&files).unwrap();
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
    assert_eq!(
        files.lie(&Options::default()),
        "none",
        "where files can be listed it says nothing more"
    );
    files.0.get_mut("accepted/btc/1").unwrap()[30] ^= 1;
    assert!(over_http(&files).unwrap_err().to_string().starts_with("acceptance-malformed"));
    files.0.get_mut("accepted/btc/1").unwrap()[30] ^= 1;
    let bad = ["", "1", "2 1\n", "1 2", "01 2\n", "1 2\n3 4\n"].map(|bad| bad.as_bytes().to_vec());
    let falsely_signed = [range(&w, w.lane.clone(), 2, 1), range(&w, "ltc".parse().unwrap(), 0, 1)];
    for bad in bad.into_iter().chain(falsely_signed) {
        let told = String::from_utf8_lossy(&bad).into_owned();
        files.0.insert(RANGE.into(), bad);
        let said = over_http(&files).unwrap_err().to_string();
        assert!(said.starts_with("acceptance-malformed"), "{told:?}: {said}");
        assert_ne!(files.lie(&Options::default()), "none", "{told:?}: nor with a list");
        assert!(files.second().starts_with("no "), "{told:?}");
    }
    files.0.remove(RANGE);
    files.0.insert("accepted/btc/more/range".into(), "0 1\n".into());
    assert_ne!(files.lie(&Options::default()), "none", "not of a lane");
    assert!(files.second().starts_with("no "));
    files.0.remove("accepted/btc/more/range");
    // As many as there may be are not all asked for. Records from before the numbers were signed stay good.
    let many: [Vec<u8>; 2] =
        [range(&w, w.lane.clone(), 0, u64::MAX), format!("0 {}\n", u64::MAX).into()];
    for many in many {
        files.0.insert(RANGE.into(), many);
        assert!(over_http(&files).is_ok());
        assert_eq!(files.lie(&Options::default()), "none");
        assert!(files.second().starts_with("yes "));
    }
}

/// The same, of which each note is there once: it goes as soon as somebody has asked for it.
struct Going(Files, Mutex<BTreeSet<String>>);

impl Source for Going {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let is_there = !path.starts_with("accepted/") || self.1.lock().unwrap().insert(path.into());
        if is_there { self.0.open(path) } else { Ok(None) }
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

#[test]
fn a_note_that_goes_while_it_is_read_is_no_lie() {
    let mut w = World::new();
    let mut files = honest(&mut w);
    files.0.insert(RANGE.into(), range(&w, w.lane.clone(), 1, 1));
    let source = Going(files, Mutex::default());
    let verdict = verify(&source, &Options::default(), &mut |_| ()).unwrap();
    assert!(verdict.remarks.iter().any(|r| r.contains("none is missing")), "{verdict}");
}

/// A server of which the line breaks off within one file.
struct Breaking<'a> {
    files: &'a Files,
    path: &'a str,
    after: usize,
}

/// The rest of a file that never came.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection broke off"))
    }
}

impl Source for Breaking<'_> {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        match self.files.0.get(path) {
            Some(bytes) if path == self.path => {
                let came = io::Cursor::new(bytes[..self.after].to_vec());
                Ok(Some(Box::new(came.chain(Broken))))
            }
            _ => self.files.open(path),
        }
    }

    fn list(&self, max: u64) -> io::Result<Option<Vec<String>>> {
        self.files.list(max)
    }
}

#[test]
fn a_line_that_breaks_off_within_a_file_proves_nothing_either_way() {
    let mut w = World::new();
    let mut files = honest(&mut w);
    files.0.insert(RANGE.into(), range(&w, w.lane.clone(), 1, 1));
    for (path, bytes) in &files.0 {
        for after in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let source = Breaking { files: &files, path, after };
            let said = verify(&source, &Options::default(), &mut |_| ()).unwrap_err();
            let VerifyError::Unreadable { path: at, .. } = &said else {
                panic!("{path} after {after} bytes: {said}")
            };
            assert_eq!(at, path, "after {after} bytes: {said}");
        }
    }
}

/// The same, and how many notes were asked for.
struct Asked(Files, Mutex<u64>);

impl Source for Asked {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let is_note = path.starts_with("accepted/") && !path.ends_with("/range");
        *self.1.lock().unwrap() += u64::from(is_note);
        self.0.open(path)
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

#[test]
fn a_server_that_says_notes_of_many_lanes_without_end_is_not_asked_without_end() {
    for (lanes, asked) in [(1, 240), (10, 2_400), (40, 2_400)] {
        let mut w = World::new();
        for lane in 0..lanes {
            w.on(&format!("l{lane}"));
            let mut c = closing(10, Vec::new(), Vec::new());
            c.contracts.clear();
            w.close(&c);
        }
        let mut files = w.publish();
        for lane in 0..lanes {
            let lane: LaneId = format!("l{lane}").parse().unwrap();
            let path = format!("accepted/{lane}/range");
            files.0.insert(path, range(&w, lane, 0, u64::MAX));
        }
        let source = Asked(files, Mutex::new(0));
        verify(&source, &Options::default(), &mut |_| ()).unwrap();
        assert_eq!(*source.1.lock().unwrap(), asked, "{lanes} lanes");
    }
}

#[test]
fn any_changed_byte_of_an_acceptance_root_its_leaves_or_the_numbers_is_a_lie() {
    let mut w = World::new();
    let mut honest = honest(&mut w);
    honest.0.insert(RANGE.into(), range(&w, w.lane.clone(), 1, 1));
    assert_eq!(honest.lie(&Options::default()), "none");
    for name in ["accepted/btc/1", "accepted/btc/1.leaves", RANGE] {
        for at in 0..honest.0[name].len() {
            let mut changed = honest.clone();
            changed.0.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            assert_ne!(changed.lie(&Options::default()), "none", "{name}, byte {at}");
            // The second takes a while for each signature.
            if at % 32 == 0 {
                assert!(changed.second().starts_with("no "), "{name}, byte {at}");
            }
        }
    }
}

#[test]
fn a_signed_root_without_its_leaves_is_a_lie() {
    let mut files = honest(&mut World::new());
    files.0.remove("accepted/btc/1.leaves");
    crate::told("acceptance-missing", "cannot be read", &files);
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
    let short = with_accepted(&w, &found, (11, 11));
    crate::told(
        "share-left-out",
        "1 shares that a gateway signed for are not in the record",
        &short,
    );
    // It may still come, in the next epoch's record.
    assert_eq!(with_accepted(&w, &found, (11, 12)).lie(&Options::default()), "none");
}

#[test]
fn a_file_among_the_notes_that_is_none_is_a_lie() {
    for name in ["accepted/btc/01", "accepted/btc/x", "accepted/BTC/1"] {
        let mut files = honest(&mut World::new());
        let note = files.0["accepted/btc/1"].clone();
        files.0.insert(name.into(), note);
        crate::told("acceptance-malformed", "accepted/", &files);
    }
}

/// Epochs 10 to 13; the entries of the first two fix this threshold, and of epoch 12, of which three shares were accepted, the
/// record leaves one out. What their hashes reached at least is said to be `level`.
fn one_left_out(threshold: u8, level: u8) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let mut honest = w.epoch(epoch);
        honest.rules.opened = threshold;
        w.close(&honest);
    }
    let job = w.job(12);
    // Class 8, so that each is opened whatever the threshold is.
    let found = mine(&job, 8, 0..3, None);
    let mut short = closing(12, vec![job], found[..2].to_vec());
    short.contracts.clear();
    w.close(&short);
    let leaf = |s: &Canonical| AcceptedLeaf { hash: merkle::leaf_hash(&s[..]), level };
    let leaves: Vec<_> = found.iter().map(leaf).collect();
    with_leaves(&w, &leaves, (12, 12))
}

#[test]
fn a_threshold_that_all_shares_reach_blinds_nobody() {
    let said = "1 shares that a gateway signed for are not in the record";
    crate::told("share-left-out", said, &one_left_out(1, 8));
    crate::told("share-left-out", said, &one_left_out(8, 8));
}

#[test]
fn a_share_below_the_threshold_need_not_be_in_the_sample() {
    // Said to have reached 2^7 and no more, as far as anybody knows.
    let files = one_left_out(8, 7);
    let verdict = files.verify(&Options::default()).unwrap();
    let said = "1 shares that its gateways signed for were counted";
    assert!(verdict.not_proven.iter().any(|n| n.contains(said)), "{verdict}");
    assert!(files.second().starts_with("yes "), "{}", files.second());
}

#[test]
fn a_note_that_is_never_due_claims_nothing() {
    let mut w = World::new();
    let shares = w.epoch(10);
    w.close(&shares);
    let never = |epochs, time_us| {
        let own = Acceptance {
            has_levels: true,
            origin: w.origin.clone(),
            lane: w.lane.clone(),
            number: 1,
            epochs,
            time_us,
            shares: 0,
            root: root(&[]),
        };
        signed_by(&w, &own, Vec::new())
    };
    let epoch = EpochNumber;
    for (epochs, time_us) in [
        ((epoch(10), epoch(u64::MAX)), (1, 10 * 600_000_000)),
        ((epoch(10), epoch(12)), (1, 11 * 600_000_000 - 1)),
        ((epoch(11), epoch(10)), (1, 10 * 600_000_000)),
        ((epoch(10), epoch(10)), (1, 11 * 600_000_000)),
        ((epoch(10), epoch(10)), (11 * 600_000_000, 10 * 600_000_000)),
    ] {
        crate::told("acceptance-malformed", "due at another time", &never(epochs, time_us));
    }
    let ahead = never((epoch(10), epoch(10)), (1, u64::MAX));
    let now = |us: u64| Options { now_us: Some(us), ..Options::default() };
    assert_eq!(ahead.lie(&now(20 * 600_000_000)), "acceptance-malformed");
    let due = never((epoch(10), epoch(12)), (1, 11 * 600_000_000));
    assert_eq!(due.lie(&now(11 * 600_000_000)), "none");
}

#[test]
fn a_note_that_has_its_shares_counted_in_a_time_of_which_nobody_can_say() {
    // Epoch 11 was published without its shares. What 13 leaves out is said to have been due in 11.
    let mut w = World::new();
    for epoch in 10..13 {
        let mut c = w.epoch(epoch);
        if epoch == 11 {
            c.edit = |s| {
                s.is_proven = false;
                s.record = FileRef::default();
            };
        }
        w.close(&c);
    }
    let job = w.job(13);
    let found = mine(&job, CLASS, 0..3, None);
    let mut short = closing(13, vec![job], found[..2].to_vec());
    short.contracts.clear();
    w.close(&short);
    let leaf = |s: &Canonical| AcceptedLeaf { hash: merkle::leaf_hash(&s[..]), level: s[8] };
    let leaves: Vec<_> = found.iter().map(leaf).collect();
    let signed = |epochs: (u64, u64), until: u64| {
        let own = Acceptance {
            has_levels: true,
            origin: w.origin.clone(),
            lane: w.lane.clone(),
            number: 1,
            epochs: (EpochNumber(epochs.0), EpochNumber(epochs.1)),
            time_us: (1, until * 600_000_000),
            shares: leaves.len() as u64,
            root: root(&leaves),
        };
        signed_by(&w, &own, leaves.iter().flat_map(|l| l.to_bytes()).collect())
    };
    assert_eq!(signed((13, 13), 13).lie(&Options::default()), "share-left-out");
    crate::told("acceptance-malformed", "due at another time", &signed((11, 11), 13));
    // A note of that time would have been right.
    let verdict = signed((11, 11), 11).verify(&Options::default()).unwrap();
    assert!(verdict.not_proven.iter().any(|n| n.contains("1 shares")), "{verdict}");
}

#[test]
fn a_note_of_the_first_form_is_read_too() {
    let mut w = World::new();
    let c = w.epoch(10);
    w.close(&c);
    let leaves: Vec<_> = c.sections[0].1.iter().map(|s| merkle::leaf_hash(&s[..])).collect();
    let own = Acceptance {
        has_levels: false,
        origin: w.origin.clone(),
        lane: w.lane.clone(),
        number: 1,
        epochs: (EpochNumber(10), EpochNumber(10)),
        time_us: (1, 6_000_000_000),
        shares: leaves.len() as u64,
        root: merkle::root(&leaves),
    };
    let files = signed_by(&w, &own, leaves.concat());
    assert_eq!(files.lie(&Options::default()), "none");
    assert!(files.second().contains("9 accepted shares found"), "{}", files.second());
}
