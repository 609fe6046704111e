//! The log against other people's implementations: `signed_note` and `tlog_tiles` (Cloudflare's, after Go's sumdb),
//! `sigsum` (Mullvad's, for cosignatures); and a tree head of a public log with cosignatures of eight real witnesses.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::publish::{CHECKPOINT_FILE, KEY_FILE, Publisher};
use gruve_proof::witness::{self, WitnessKey};
use gruve_proof::{merkle, tiles};
use sha2::{Digest as _, Sha256};
use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, VerifierList};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tlog_tiles as other;
use tlog_tiles::HashReader as _;

const ORIGIN: &str = "gruve.example/log";

fn entries(n: u64) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("entry {i}").into_bytes()).collect()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The published folder as the others' reader sees it: `tile/8/L/N` there is `tile/L/N` in C2SP's paths.
struct Folder(PathBuf);

impl other::TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, wanted: &[other::Tile]) -> Result<Vec<Vec<u8>>, other::Error> {
        let read = |t: &other::Tile| {
            let path = self.0.join(c2sp_path(t));
            std::fs::read(&path).map_err(|_| other::Error::InvalidTile)
        };
        wanted.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[other::Tile], _: &[Vec<u8>]) {}
}

fn c2sp_path(tile: &other::Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

/// Opens the folder's checkpoint with the others' code and the folder's own key.
fn opened(folder: &Path) -> other::Checkpoint {
    let vkey = std::fs::read_to_string(folder.join(KEY_FILE)).unwrap();
    let verifier = StandardVerifier::new(vkey.trim_end()).unwrap();
    let note = Note::from_bytes(&std::fs::read(folder.join(CHECKPOINT_FILE)).unwrap()).unwrap();
    let (good, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((good.len(), unknown.len()), (1, 0));
    other::Checkpoint::from_bytes(note.text()).unwrap()
}

#[test]
fn others_open_our_checkpoints_read_our_tiles_and_agree_on_every_proof() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(600);
    let mut publisher = Publisher::open(dir.path(), ORIGIN, key(), &all[..1]).unwrap();
    let leaves: Vec<_> = all.iter().map(|e| merkle::leaf_hash(e)).collect();
    let mut seen: Vec<other::Checkpoint> = vec![opened(dir.path())];
    for (from, to) in [(1, 2), (2, 255), (255, 256), (256, 257), (257, 512), (512, 600)] {
        publisher.append(&all[from..to]).unwrap();
        let head = opened(dir.path());
        assert_eq!((head.origin(), head.size(), head.extension()), (ORIGIN, to as u64, ""));
        let folder = Folder(dir.path().to_owned());
        let reader = other::TileHashReader::new(head.size(), *head.hash(), &folder);
        for at in (0..to).filter(|at| at % 37 == 0 || *at + 2 >= to) {
            let (size, index) = (to as u64, at as u64);
            let theirs = other::prove_record(size, index, &reader).unwrap();
            let proof: Vec<_> = theirs.iter().map(|h| h.0).collect();
            assert!(merkle::verify_inclusion(&head.hash().0, size, index, &leaves[at], &proof));
            let ours = merkle::inclusion_proof(&leaves[..to], at).unwrap();
            let ours = ours.into_iter().map(other::Hash).collect::<Vec<_>>();
            let record = other::record_hash(&all[at]);
            other::check_record(&ours, size, *head.hash(), index, record).unwrap();
        }
        for old in &seen {
            let theirs = other::prove_tree(head.size(), old.size(), &reader).unwrap();
            let ours =
                merkle::consistency_proof(&leaves[..to], usize::try_from(old.size()).unwrap());
            let ours = ours.unwrap().into_iter().map(other::Hash).collect::<Vec<_>>();
            assert_eq!(ours, theirs, "{} to {to}", old.size());
            other::check_tree(&ours, head.size(), *head.hash(), old.size(), *old.hash()).unwrap();
            let proof: Vec<_> = theirs.iter().map(|h| h.0).collect();
            let (before, after) = (old.hash().0, head.hash().0);
            let good = merkle::verify_consistency(&before, old.size(), &after, head.size(), &proof);
            assert!(good, "{} to {to}", old.size());
        }
        seen.push(head);
    }
}

/// Stored hashes, as Go's sumdb numbers them.
struct Stored(Vec<other::Hash>);

impl other::HashReader for Stored {
    fn read_hashes(&self, wanted: &[u64]) -> Result<Vec<other::Hash>, other::Error> {
        let at = |i: &u64| self.0.get(usize::try_from(*i).unwrap()).copied();
        wanted.iter().map(|i| at(i).ok_or(other::Error::InvalidTile)).collect()
    }
}

#[test]
fn the_files_of_a_log_are_those_that_others_make_of_it() {
    let all = entries(66_000);
    let mut stored = Stored(Vec::new());
    for (at, entry) in all.iter().enumerate() {
        let more = other::stored_hashes(at as u64, entry, &stored).unwrap();
        stored.0.extend(more);
    }
    let leaves: Vec<_> = all.iter().map(|e| merkle::leaf_hash(e)).collect();
    let root = other::tree_hash(66_000, &stored).unwrap();
    assert_eq!(root.0, merkle::root(&leaves));
    assert!(stored.read_hashes(&[u64::MAX >> 1]).is_err());
    for (before, size) in [(0, 300), (300, 66_000)] {
        let ours: BTreeMap<_, _> =
            tiles::tiles(&leaves[..usize::try_from(size).unwrap()], before).into_iter().collect();
        let theirs = other::Tile::new_tiles(8, before, size);
        let theirs: BTreeMap<_, _> =
            theirs.iter().map(|t| (c2sp_path(t), t.read_data(&stored).unwrap())).collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        assert!(ours == theirs, "tiles of {size} entries");
    }
}

#[test]
fn we_open_what_others_have_signed_and_nothing_that_they_refuse() {
    let text = format!("{ORIGIN}\n3\n{}\n", STANDARD.encode([5; 32]));
    let skey = format!(
        "PRIVATE+KEY+{ORIGIN}+{}+{}",
        hex::encode(NoteKey::new(ORIGIN, key().verifying_key().to_bytes()).unwrap().id()),
        STANDARD.encode([&[1][..], &[7; 32]].concat())
    );
    let signer = StandardSigner::new(&skey).unwrap();
    let mut note = Note::new(text.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let signed = String::from_utf8(note.to_bytes()).unwrap();
    let dalek = signed_note::new_ed25519_verifier_key(
        ORIGIN,
        &VerifyingKeyOf::from_bytes(&key().verifying_key().to_bytes()).unwrap(),
    );
    let own = NoteKey::parse(&dalek).unwrap();
    assert_eq!(own.to_string(), dalek);
    assert_eq!(signer.key_id().to_be_bytes(), own.id());
    let expected = Checkpoint { origin: ORIGIN.into(), size: 3, root: [5; 32] };
    assert_eq!(Checkpoint::open(&signed, &own), Ok(expected.clone()));
    // Ed25519 gives one signature for one text: the two notes are the same bytes.
    assert_eq!(expected.sign(&key()), signed);
    let verifiers = || VerifierList::new(vec![Box::new(StandardVerifier::new(&dalek).unwrap())]);
    for at in 0..signed.len() * 8 {
        let mut bytes = signed.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        let theirs = Note::from_bytes(&bytes).is_ok_and(|n| n.verify(&verifiers()).is_ok());
        let ours = String::from_utf8(bytes).is_ok_and(|t| Checkpoint::open(&t, &own).is_ok());
        assert!(theirs || !ours, "bit {at}: taken by us alone");
    }
}

/// The older crate that `signed_note` takes keys of.
type VerifyingKeyOf = signed_note_key::VerifyingKey;

fn sha(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn hex_of<const N: usize>(v: &serde_json::Value) -> [u8; N] {
    hex::decode(v.as_str().unwrap()).unwrap().try_into().unwrap()
}

#[test]
fn cosignatures_of_real_witnesses_on_a_public_log_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/cosignatures.json");
    let v: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let origin = v["origin"].as_str().unwrap();
    let (size, root) = (v["size"].as_u64().unwrap(), hex_of::<32>(&v["root"]));
    let body = Checkpoint { origin: origin.into(), size, root }.body();
    let log = NoteKey::new(origin, hex_of(&v["log_key"])).unwrap();
    let line = |name: &str, id: [u8; 4], rest: &[u8]| {
        format!("\u{2014} {name} {}\n", STANDARD.encode([&id[..], rest].concat()))
    };
    let mut note =
        format!("{body}\n{}", line(origin, log.id(), &hex_of::<64>(&v["log_signature"])));
    let mut witnesses = Vec::new();
    for c in v["cosignatures"].as_array().unwrap() {
        let own = WitnessKey::new(c["name"].as_str().unwrap(), hex_of(&c["key"])).unwrap();
        let rest = [&c["time"].as_u64().unwrap().to_be_bytes()[..], &hex_of::<64>(&c["signature"])];
        note += &line(&own.name, own.id(), &rest.concat());
        witnesses.push(own);
    }
    let head = Checkpoint::open(&note, &log).unwrap();
    let seen = witness::cosigned(&note, &witnesses).unwrap();
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|c| c.time == 1_770_193_051), "{seen:?}");
    let later = note.replace(&size.to_string(), &(size + 1).to_string());
    assert!(witness::cosigned(&later, &witnesses).is_err(), "of another head");
    // A leaf of that log is in it by our own check.
    let leaf = merkle::leaf_hash(&hex::decode(v["leaf"].as_str().unwrap()).unwrap());
    let proof: Vec<[u8; 32]> = v["proof"].as_array().unwrap().iter().map(hex_of).collect();
    let index = v["leaf_index"].as_u64().unwrap();
    assert!(merkle::verify_inclusion(&head.root, head.size, index, &leaf, &proof));
}

#[test]
fn others_accept_our_cosignatures() {
    // Sigsum's verifier knows logs of one form of leaf and name; of that form is the log here.
    let (log, submitter, own) =
        (key(), SigningKey::from_bytes(&[8; 32]), SigningKey::from_bytes(&[9; 32]));
    let log_key = log.verifying_key().to_bytes();
    let message = sha(b"a message");
    let checksum = sha(&message);
    let signed = [b"sigsum.org/v1/tree-leaf\0".as_slice(), &checksum].concat();
    let leaf_signature = ed25519_dalek::Signer::sign(&submitter, &signed).to_bytes();
    let leaf_key = sha(&submitter.verifying_key().to_bytes());
    let leaves = [
        merkle::leaf_hash(b"another"),
        merkle::leaf_hash(&[&checksum[..], &leaf_signature, &leaf_key].concat()),
    ];
    let origin = format!("sigsum.org/v1/tree/{}", hex::encode(sha(&log_key)));
    let head = Checkpoint { origin, size: 2, root: merkle::root(&leaves) };
    let note = head.sign(&log);
    let last = |text: &str| {
        let data = text.trim_end().rsplit(' ').next().unwrap().to_owned();
        STANDARD.decode(data).unwrap()
    };
    let cosignature = last(&witness::cosign(&note, "w", &own, 1_700_000_000).unwrap());
    let text = |cosignature: &[u8]| {
        format!(
            "version=2\nlog={}\nleaf={} {}\n\nsize=2\nroot_hash={}\nsignature={}\ncosignature={} 1700000000 {}\n\n\
             leaf_index=1\nnode_hash={}\n",
            hex::encode(sha(&log_key)),
            hex::encode(leaf_key),
            hex::encode(leaf_signature),
            hex::encode(head.root),
            hex::encode(&last(&note)[4..]),
            hex::encode(sha(&own.verifying_key().to_bytes())),
            hex::encode(cosignature),
            hex::encode(leaves[0]),
        )
    };
    let policy = format!(
        "log {} https://log.example\nwitness w {}\nquorum w\n",
        hex::encode(log_key),
        hex::encode(own.verifying_key().to_bytes())
    );
    let policy = sigsum::Policy::parse(&policy).unwrap();
    let signers = [sigsum::PublicKey::from(submitter.verifying_key().to_bytes())];
    let verify = |cosignature: &[u8]| {
        let signature = sigsum::SigsumSignature::from_ascii(&text(cosignature)).unwrap();
        sigsum::verify(&message.into(), &signature, &signers, &policy)
    };
    verify(&cosignature[12..]).unwrap();
    let mut bad = cosignature[12..].to_vec();
    bad[0] ^= 1;
    assert!(verify(&bad).is_err());
}
