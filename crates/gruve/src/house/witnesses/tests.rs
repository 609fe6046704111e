//! Witnesses that do their part, and stand-ins that do not.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use gruve_proof::log::LogHead;
use gruve_proof::merkle;
use gruve_proof::note::NoteKey;
use gruve_proof::publish::{CHECKPOINT_FILE, Publisher};
use gruve_proof::witness::{cosign, cosigned};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream as StdStream};
use std::path::Path;

const ORIGIN: &str = "witnessed.example/log";

fn operator() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// How a stand-in behaves.
#[derive(Clone, Copy)]
enum Manner {
    /// As the specification has it.
    Honest,
    /// Signs another head than it was shown.
    SignsAnother,
    /// Signs with a key that is not its own.
    OtherKey,
    /// Says that it knows another size, whatever it is asked.
    NeverSettles,
    /// Never answers.
    Silent,
    /// Answers without end.
    Endless,
    /// No HTTP at all.
    Garbage,
}

/// A stand-in for a witness: its key, and where it listens.
fn stand_in(n: u8, manner: Manner) -> WitnessConfig {
    let key = SigningKey::from_bytes(&[n; 32]);
    let name = format!("witness{n}.example");
    let own = WitnessKey::new(&name, key.verifying_key().to_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/gruve", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut seen: (u64, Hash) = (0, [0; 32]);
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let body = read_request(&mut stream);
            let (status, said) = match manner {
                Manner::Honest => witness(&mut seen, &body, &name, &key),
                Manner::SignsAnother => {
                    let other = Checkpoint { origin: ORIGIN.into(), size: 1, root: [9; 32] };
                    (200, cosign(&other.sign(&operator()), &name, &key, 5).unwrap())
                }
                Manner::OtherKey => {
                    let (_, note) = body.split_once("\n\n").unwrap();
                    (200, cosign(note, &name, &SigningKey::from_bytes(&[99; 32]), 5).unwrap())
                }
                Manner::NeverSettles => (409, "1\n".to_owned()),
                Manner::Silent => {
                    kept.push(stream);
                    continue;
                }
                Manner::Endless => (200, "x".repeat(ANSWER_BYTES_MAX + 1)),
                Manner::Garbage => {
                    let _ = stream.write_all(b"\x16\x03\x01 this is no answer\r\n\r\n");
                    continue;
                }
            };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", said.len());
            let _ = stream.write_all(format!("{head}{said}").as_bytes());
        }
    });
    WitnessConfig { key: own.to_string(), url }
}

fn read_request(stream: &mut StdStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let n = stream.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /gruve/add-checkpoint HTTP/1.1\r\n"), "{head}");
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return body.to_owned();
        }
    }
}

/// What a witness does that keeps to C2SP tlog-witness.
fn witness(seen: &mut (u64, Hash), body: &str, name: &str, key: &SigningKey) -> (u16, String) {
    let (head, note) = body.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
    let proof: Vec<Hash> = lines.map(|l| STANDARD.decode(l).unwrap().try_into().unwrap()).collect();
    let operator = NoteKey::new(ORIGIN, operator().verifying_key().to_bytes()).unwrap();
    let Ok(new) = Checkpoint::open(note, &operator) else { return (403, "not signed".into()) };
    if old != seen.0 {
        return (409, format!("{}\n", seen.0));
    }
    if old > 0 && !merkle::verify_consistency(&seen.1, old, &new.root, new.size, &proof) {
        return (422, "no beginning of it".into());
    }
    *seen = (new.size, new.root);
    (200, cosign(note, name, key, 1_800_000_000).unwrap())
}

fn entries(n: u8) -> Vec<Vec<u8>> {
    let head = LogHead {
        origin: ORIGIN.to_owned(),
        operator_key: operator().verifying_key().to_bytes(),
        recovery_key: [0; 32],
    };
    let others = (1..n).map(|i| vec![i; 40]);
    std::iter::once(head.canonical()).chain(others).collect()
}

fn keys(all: &[WitnessConfig]) -> Vec<WitnessKey> {
    all.iter().map(|w| WitnessKey::parse(&w.key).unwrap()).collect()
}

/// Publishes entries step by step in front of these witnesses; who has signed the last head.
async fn publish(folder: &Path, all: &[WitnessConfig], steps: &[u8]) -> Vec<String> {
    let folder = folder.to_owned();
    let config = RecordConfig { witness: all.to_vec(), ..RecordConfig::default() };
    let mut witnesses = Witnesses {
        all: config.witness.iter().map(|w| Witness::open(w).unwrap()).collect(),
        tls: None,
        runtime: Handle::current(),
        within: WITHIN,
    };
    if all.len() > 2 {
        // Some of them will not answer, and a test need not wait so long for it.
        witnesses.within = Duration::from_secs(2);
    }
    let steps = steps.to_vec();
    let path = folder.clone();
    tokio::task::spawn_blocking(move || {
        let cosign: Arc<dyn Cosign> = Arc::new(witnesses);
        let first = entries(steps[0]);
        let mut own = Publisher::open_with(&path, ORIGIN, operator(), cosign, &first).unwrap();
        for pair in steps.windows(2) {
            own.append(&entries(pair[1])[usize::from(pair[0])..]).unwrap();
        }
    })
    .await
    .unwrap();
    let note = std::fs::read_to_string(folder.join(CHECKPOINT_FILE)).unwrap();
    let public = NoteKey::new(ORIGIN, operator().verifying_key().to_bytes()).unwrap();
    assert!(Checkpoint::open(&note, &public).is_ok(), "{note}");
    cosigned(&note, &keys(all)).unwrap().into_iter().map(|c| c.witness).collect()
}

#[tokio::test]
async fn each_head_carries_its_witnesses_lines_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let all = [stand_in(1, Manner::Honest), stand_in(2, Manner::Honest)];
    let both = ["witness1.example", "witness2.example"];
    assert_eq!(publish(dir.path(), &all, &[1, 2, 5]).await, both);
    // A house that has forgotten how far they are learns it from them.
    assert_eq!(publish(dir.path(), &all, &[5]).await, both);
    assert_eq!(publish(dir.path(), &all, &[5, 9]).await, both);
}

#[tokio::test]
async fn a_witness_that_misbehaves_costs_its_own_line_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let bad = [
        Manner::SignsAnother,
        Manner::OtherKey,
        Manner::NeverSettles,
        Manner::Silent,
        Manner::Endless,
        Manner::Garbage,
    ];
    let mut all: Vec<WitnessConfig> = (10..).zip(bad).map(|(n, m)| stand_in(n, m)).collect();
    all.push(stand_in(1, Manner::Honest));
    assert_eq!(publish(dir.path(), &all, &[1, 3]).await, ["witness1.example"]);
}

/// Of two histories a witness signs one: this is what it is for.
#[tokio::test]
async fn another_history_gets_no_line_of_a_witness_that_has_seen_the_first() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all = [stand_in(1, Manner::Honest)];
    assert_eq!(publish(one.path(), &all, &[4]).await, ["witness1.example"]);
    assert_eq!(publish(two.path(), &all, &[3]).await, Vec::<String>::new(), "a shorter one");
    let config = RecordConfig { witness: all.to_vec(), ..RecordConfig::default() };
    let mut other = entries(6);
    other[2] = b"another".to_vec();
    let path = two.path().join("other");
    let note = tokio::task::spawn_blocking(move || {
        Publisher::open_with(&path, ORIGIN, operator(), open(&config).unwrap(), &other).unwrap();
        std::fs::read_to_string(path.join(CHECKPOINT_FILE)).unwrap()
    });
    assert_eq!(cosigned(&note.await.unwrap(), &keys(&all)).unwrap(), []);
}
