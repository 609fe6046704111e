//! Commands that need no house, as people type them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use support::{run_in, told};

#[path = "support/mod.rs"]
mod support;
#[path = "../crates/proof/tests/world/mod.rs"]
mod world;

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_newcomer_gets_a_sample_in_the_folder_he_stands_in_and_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let made = run_in(dir.path(), &["config", "init", "gruve.toml"]);
    assert!(made.status.success(), "{}", told(&made));
    let checked = run_in(dir.path(), &["config", "check", "--config", "gruve.toml"]);
    assert!(checked.status.success(), "{}", told(&checked));
    assert!(told(&checked).contains("plain_on_mainnet"), "what a start wants: {}", told(&checked));

    let kept = std::fs::read(dir.path().join("gruve.toml")).unwrap();
    let again = run_in(dir.path(), &["config", "init", "gruve.toml"]);
    assert!(!again.status.success() && told(&again).contains("--force"), "{}", told(&again));
    assert_eq!(std::fs::read(dir.path().join("gruve.toml")).unwrap(), kept);
}

#[test]
fn a_command_at_a_wrong_path_says_so_and_makes_no_house() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run_in(dir.path(), &["config", "init"]).status.success());
    let orders: [&[&str]; 3] = [&["audit"], &["payouts"], &["staff", "list"]];
    for order in orders {
        // The configuration's name may stand before and behind what is to be done.
        let behind = [&["admin"][..], order, &["--config", "gruve.toml"]].concat();
        let said = run_in(dir.path(), &behind);
        let before = [&["admin", "--config", "gruve.toml"][..], order].concat();
        assert_eq!(told(&run_in(dir.path(), &before)), told(&said), "{order:?}");
        assert!(
            !said.status.success() && told(&said).contains("is house.data right"),
            "{}",
            told(&said)
        );
        assert!(!dir.path().join("gruve-data/wallet.seed").exists(), "{order:?}");
    }
}

#[test]
fn a_package_has_what_its_unit_starts() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new(house().join("scripts/package"))
        .arg(support::program())
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", told(&made));
    let package = String::from_utf8(made.stdout).unwrap();
    let (tree, control) = (dir.path().join("tree"), dir.path().join("control"));
    for (how, to) in [("-x", &tree), ("-e", &control)] {
        let taken = Command::new("dpkg-deb").arg(how).arg(package.trim()).arg(to).output().unwrap();
        assert!(taken.status.success(), "{}", told(&taken));
    }
    let unit = std::fs::read_to_string(tree.join("lib/systemd/system/gruve.service")).unwrap();
    let start = unit.lines().find_map(|l| l.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = start.split(' ').collect();
    let [program, serve @ ..] = words.as_slice() else { panic!("{start}") };
    let program = tree.join(program.trim_start_matches('/'));
    assert_eq!(serve, ["serve", "--config", "/etc/gruve/gruve.toml"]);
    let help = Command::new(&program).args(["serve", "--help"]).output().unwrap();
    assert!(help.status.success(), "{}", told(&help));

    // What the installation does to the sample holds: the data stand where the unit lets it write.
    assert!(unit.contains("StateDirectory=gruve\n"));
    let script = std::fs::read_to_string(control.join("postinst")).unwrap();
    let change = script.lines().find_map(|l| l.trim().strip_prefix("sed -i '")).unwrap();
    let change = change.split('\'').next().unwrap();
    let config = dir.path().join("gruve.toml");
    let init = Command::new(&program).args(["config", "init"]).arg(&config).output().unwrap();
    assert!(init.status.success(), "{}", told(&init));
    assert!(Command::new("sed").args(["-i", change]).arg(&config).status().unwrap().success());
    let read = gruve::config::Config::parse(&std::fs::read_to_string(&config).unwrap(), dir.path());
    assert_eq!(read.unwrap().house.data, Path::new("/var/lib/gruve"));
}

#[test]
fn a_share_of_the_readme_is_inspected() {
    let args = ["inspect", "share", "testdata/shares-sha256d.json"];
    let output = run_in(&house(), &args);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn what_a_program_before_left_and_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run_in(dir.path(), &["config", "init"]).status.success());
    std::fs::write(dir.path().join("will"), "of another version").unwrap();
    let said = Command::new("sh")
        .args(["-c", "exec 7<will; exec \"$0\" config check"])
        .arg(support::program())
        .env("GRUVE_ESTATE", "7")
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", told(&said));
    assert!(told(&said).contains("what the program before left cannot be read"), "{}", told(&said));
}

#[test]
fn whoever_stops_reading_ends_a_command_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(support::program())
        .args(["admin", "openapi"])
        .current_dir(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(141), ""));
}

/// A web server of files over TLS, under a certificate of an authority that only its file knows.
mod web {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

    /// How it answers.
    #[derive(Clone, Copy)]
    pub(super) enum Answers {
        Honestly,
        /// With an encoding of its own: a bomb for whoever unpacks it.
        Packed,
        /// Half of each file.
        Half,
        /// From elsewhere.
        Sends,
    }

    /// Serves a folder until the tests end; its address. The authority's certificate goes to a file.
    pub(super) fn serve(folder: PathBuf, authority: &Path, answers: Answers) -> SocketAddr {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = rcgen::KeyPair::generate().unwrap();
        let root = params.self_signed(&own).unwrap();
        std::fs::write(authority, root.pem()).unwrap();
        let issuer = rcgen::Issuer::new(params, own);
        let key = rcgen::KeyPair::generate().unwrap();
        let named = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = named.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let session = ServerConnection::new(config.clone()).unwrap();
                // A reader that does not believe the certificate breaks off.
                let _ = answer(StreamOwned::new(session, stream), &folder, answers);
            }
        });
        address
    }

    fn answer(
        stream: StreamOwned<ServerConnection, std::net::TcpStream>,
        folder: &Path,
        answers: Answers,
    ) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        (&mut stream).take(4_096).read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches("/record/");
        let found = std::fs::read(folder.join(path));
        let stream = stream.get_mut();
        match (found, answers) {
            (_, Answers::Sends) => {
                stream.write_all(
                    b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n",
                )?;
            }
            (Ok(bytes), _) => {
                let more = if matches!(answers, Answers::Packed) {
                    "Content-Encoding: gzip\r\n"
                } else {
                    ""
                };
                let head =
                    format!("HTTP/1.1 200 OK\r\n{more}Content-Length: {}\r\n\r\n", bytes.len());
                stream.write_all(head.as_bytes())?;
                let part =
                    if matches!(answers, Answers::Half) { bytes.len() / 2 } else { bytes.len() };
                stream.write_all(&bytes[..part])?;
            }
            (Err(_), _) => stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n")?,
        }
        stream.conn.send_close_notify();
        stream.flush()
    }
}

/// A public log that has just begun.
fn young_log(folder: &Path) {
    use gruve_proof::log::LogHead;
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let operator_key = key.verifying_key().to_bytes();
    let head = LogHead { origin: "log.example".into(), operator_key, recovery_key: [0; 32] };
    gruve_proof::publish::Publisher::open(folder, "log.example", key, &[head.canonical()]).unwrap();
}

#[test]
fn a_record_is_verified_over_https_by_the_authorities_that_are_named_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let (record, authority) = (dir.path().join("record"), dir.path().join("authority.pem"));
    young_log(&record);
    let verify = |address: std::net::SocketAddr, with: &[&str]| {
        let url = format!("https://localhost:{}/record", address.port());
        let args = [&["verify", &url, "--forget", "--json"], with].concat();
        let output = run_in(dir.path(), &args);
        (output.status.code(), told(&output))
    };
    let named = ["--authorities", authority.to_str().unwrap()];
    let honest = web::serve(record.clone(), &authority, web::Answers::Honestly);
    let (code, said) = verify(honest, &named);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"holds\": true") && said.contains("\"entries\": 1"), "{said}");
    // Somebody else's authority, and the system's.
    let other = dir.path().join("other.pem");
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let strange = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    std::fs::write(&other, strange.pem()).unwrap();
    let (code, said) = verify(honest, &["--authorities", other.to_str().unwrap()]);
    assert_eq!((code, said.contains("certificate")), (Some(2), true), "{said}");
    // Answers that are no lie of the record, and no yes.
    for (answers, words) in [
        (web::Answers::Packed, "gzip"),
        (web::Answers::Half, "broke off"),
        (web::Answers::Sends, "elsewhere.example"),
    ] {
        let address = web::serve(record.clone(), &authority, answers);
        let (code, said) = verify(address, &named);
        assert_eq!((code, said.contains(words)), (Some(2), true), "{words}: {said}");
    }
    // A lie is one over this line too.
    std::fs::write(record.join("key"), "nobody\n").unwrap();
    let honest = web::serve(record, &authority, web::Answers::Honestly);
    let (code, said) = verify(honest, &named);
    assert_eq!((code, said.contains("key-malformed")), (Some(1), true), "{said}");
}

/// A record of three honest epochs, and what may come of it.
fn verified(folder: &Path, record: &Path, with: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(support::program())
        .args(["verify", record.to_str().unwrap()])
        .args(with)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .output()
        .unwrap();
    (output.status.code(), told(&output))
}

#[test]
fn what_keeps_the_verifier_from_a_verdict_is_not_told_as_a_lie() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    young_log(&record);
    let (code, said) = verified(dir.path(), &dir.path().join("recrod"), &[]);
    assert_eq!((code, said.contains("no such folder")), (Some(2), true), "{said}");
    // The folder beside it. One that has lost a part is false all the same.
    let (code, said) = verified(dir.path(), dir.path(), &[]);
    assert_eq!((code, said.contains("no public record")), (Some(2), true), "{said}");
    let cut = dir.path().join("cut");
    young_log(&cut);
    std::fs::remove_file(cut.join("checkpoint")).unwrap();
    let (code, said) = verified(dir.path(), &cut, &[]);
    assert_eq!((code, said.contains("checkpoint-missing")), (Some(1), true), "{said}");
    let (code, said) = verified(dir.path(), &record, &["--receipt", "missing.json"]);
    assert_eq!((code, said.contains("missing.json")), (Some(2), true), "{said}");
    // Nothing can be remembered below a file. What was found is told all the same.
    std::fs::write(dir.path().join("file"), "").unwrap();
    let (code, said) = verified(dir.path(), &record, &["--state", "file/state.json"]);
    assert!(code == Some(2) && said.contains("YES") && said.contains("--forget"), "{said}");
}

fn grown(epochs: std::ops::Range<u64>, sold: u128) -> world::Files {
    let mut w = world::World::new();
    for epoch in epochs {
        let mut closing = w.epoch(epoch);
        closing.contracts[0].sums.owed = sold;
        w.close(&closing);
    }
    w.publish()
}

#[test]
fn a_visitor_is_told_in_words_and_numbers_and_the_next_visit_begins_where_the_last_one_ended() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    grown(10..13, 5_000).write(&record);
    let (code, said) = verified(dir.path(), &record, &[]);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "lane btc (sha256d), epochs 10 to 12 (0 missing)",
        "time      1970-01-01 01:40:00 UTC to 1970-01-01 02:10:00 UTC, in epochs of 600s",
        " from 27 shares",
        "hashes of the house, ",
        "under contract, ",
        "hashes to contracts; 5000 hashes still owed",
        "found, ",
        "remark: the operator's key was taken from the record itself",
        "not proven: ",
        "YES: 27 shares hashed again",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    assert!(said.contains('\u{b1}'), "the error of the hashrate: {said}");
    // The record has grown: only what is new is hashed, and all of it is held against what was seen.
    grown(10..14, 5_000).write(&record);
    let (code, said) = verified(dir.path(), &record, &["--new-only", "--json"]);
    let verdict: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &verdict["holds"], &verdict["is_continued"]),
        (Some(0), &true.into(), &true.into())
    );
    assert_eq!((&verdict["shares"], &verdict["lanes"][0]["epochs"][0]), (&9.into(), &13.into()));
    // Another history is a lie to whoever was here, and none to whoever is new.
    let rewritten = dir.path().join("rewritten");
    grown(10..15, 4_999).write(&rewritten);
    std::fs::rename(&record, dir.path().join("honest")).unwrap();
    std::fs::rename(&rewritten, &record).unwrap();
    for _ in 0..2 {
        // What was seen is not forgotten for a lie.
        let (code, said) = verified(dir.path(), &record, &[]);
        assert_eq!((code, said.starts_with("NO: history-rewritten: ")), (Some(1), true), "{said}");
    }
    let (code, said) = verified(dir.path(), &record, &["--json"]);
    let verdict: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &verdict["holds"]), (Some(1), &false.into()));
    assert_eq!(verdict["lie"], "history-rewritten");
    assert_eq!(verified(dir.path(), &record, &["--forget"]).0, Some(0));
    let elsewhere = ["--state", "other.json"];
    assert_eq!(verified(dir.path(), &record, &elsewhere).0, Some(0));
    assert!(dir.path().join("other.json").exists());
}

#[test]
fn a_terminal_is_shown_how_far_the_verification_is() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    grown(10..13, 5_000).write(&record);
    let order = format!("{} verify {} --forget", support::program().display(), record.display());
    // It gives the program a terminal.
    let output = Command::new("script").args(["-qec", &order, "/dev/null"]).output();
    let said = told(&output.expect("script is needed: apt-get install bsdutils"));
    assert!(said.contains("YES: 27 shares hashed again"), "{said}");
    assert!(said.contains("of 3 epochs, "), "{said:?}");
    let (_, piped) = verified(dir.path(), &record, &["--forget"]);
    assert!(!piped.contains("of 3 epochs, "), "nothing of it where nobody looks: {piped}");
}
