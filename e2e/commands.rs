//! What the documents tell people to type.
#![allow(clippy::unwrap_used, missing_docs)]

use clap::Parser;
use gruve::cli::Cli;
use gruve_statement::SignedTerms;
use gruve_statement::hosting::{self, HostingPosition, HostingStatement, HostingTerms};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/mod.rs"]
mod support;
#[path = "../crates/proof/tests/world/mod.rs"]
mod world;

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(support::program()).args(args).current_dir(folder).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_newcomer_gets_a_sample_in_the_folder_he_stands_in_and_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let made = run_in(dir.path(), &["config", "init", "gruve.toml"]);
    assert!(made.status.success(), "{}", told(&made));
    let checked = run_in(dir.path(), &["config", "check", "--config", "gruve.toml"]);
    assert!(checked.status.success(), "{}", told(&checked));

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

/// A contract that was paid and got two epochs of work, by nobody's books.
fn papers() -> (String, gruve_statement::Statement, ed25519_dalek::SigningKey) {
    use gruve_statement::terms::{SignedTerms, Terms, hash, sign};
    let rules = r#"{"price":{"rule":"per-hashrate-day","minor":864000,"hashrate":"100"},
        "scheme":{"rule":"pplns-units","window_blocks":8,"window_epochs_max":100},
        "allocation":{"rule":"pro-rata"},
        "shortfall":{"rule":"made-good","catch_up_bps":5000,"extension_epochs":3},
        "fee":{"rule":"part-of-earnings","bps":200},
        "maintenance":{"rule":"per-delivered","order":[{"asset":"BTC","minor_per_th_day":0}]},
        "settlement":{"rule":"every-epochs","epochs":1},"orphan":{"rule":"taken-back"},
        "refund":{"rule":"undelivered"},"unprofitable":{"rule":"run"}}"#;
    let id = "0190a5d0-0000-7000-8000-000000000001";
    let terms = format!(
        r#"{{"format":"gruve lease terms 2","contract":"{id}","sold_at_us":5,"plan":"p","plan_version":1,
        "title":"T","lane":"btc","earns":["BTC"],"hashrate":"100","epoch_us":10000000,"epoch_work":"1000",
        "term_epochs":2,"work":"2000","price":{{"asset":"BTC","minor":200}},"rules":{rules}}}"#
    );
    let terms = Terms::parse(terms.as_bytes()).unwrap().canonical().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let signature = sign(&key, &hash(&terms));
    let by = key.verifying_key().to_bytes();
    let file = SignedTerms::new(id.parse().unwrap(), terms, Some((by, signature))).unwrap();
    let epoch = |n: u64, sum: u64| {
        serde_json::json!({"is": "epoch", "epoch": n, "began_us": n * 10_000_000, "house_work": "5000",
            "entitled_all": "1000", "surplus": "4000", "entitled": "1000", "made_good": "0",
            "delivered": "1000", "delivered_sum": sum.to_string(), "shortfall": "0", "upkeep": "0",
            "upkeep_due": "0", "units": [{"asset": "BTC", "all": "600", "house": "500", "own": "100"}]})
    };
    let end = serde_json::json!({"is": "end", "epoch": 8, "complete": true,
        "refund": {"asset": "BTC", "minor": 0}});
    let lines = [epoch(7, 1_000), epoch(8, 2_000), end];
    let lines = lines.map(|l| serde_json::from_value(l).unwrap());
    let position = |delivered: &str| {
        serde_json::json!({"delivered": delivered, "upkeep_due": "0", "refunded_minor": 0, "assets":
            [{"asset": "BTC", "accrued": "0", "matured": "0", "settled_minor": 0, "net_minor": 0,
              "fee_carry": 0, "settlements": 0}]})
    };
    let days = gruve_statement::by_day(10_000_000, &[gruve_units::Asset::Btc], lines.iter());
    let page = serde_json::json!({"format": "gruve statement 1", "contract": id,
        "terms_sha256": file.sha256, "made_at_us": 9, "start_epoch": 7, "hard_end_epoch": 12,
        "from_epoch": 7, "to_epoch": 8, "next_epoch": null, "opening": position("0"),
        "lines": gruve_statement::document::chained(lines.to_vec()).unwrap(),
        "closing": position("2000"), "days": days.unwrap(), "operator_key": null, "signature": null});
    let page = gruve_statement::Statement::parse(&page.to_string()).unwrap();
    (serde_json::to_string(&file).unwrap(), page, key)
}

fn signed(page: &gruve_statement::Statement, key: &ed25519_dalek::SigningKey) -> String {
    use ed25519_dalek::Signer as _;
    let mut page = page.clone();
    page.operator_key = Some(hex::encode(key.verifying_key().to_bytes()));
    let signature = key.sign(&page.signed_message().unwrap());
    page.signature = Some(hex::encode(signature.to_bytes()));
    serde_json::to_string(&page).unwrap()
}

#[test]
fn a_statement_is_checked_from_two_files_and_the_first_wrong_line_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (terms, page, key) = papers();
    std::fs::write(dir.path().join("terms.json"), terms).unwrap();
    std::fs::write(dir.path().join("statement.json"), signed(&page, &key)).unwrap();
    let check = |more: &[&str]| {
        let args = [&["statement", "check", "terms.json", "statement.json"], more].concat();
        run_in(dir.path(), &args)
    };
    let sound = check(&[]);
    assert!(
        sound.status.success() && told(&sound).contains("every line follows"),
        "{}",
        told(&sound)
    );
    let by = hex::encode(key.verifying_key().to_bytes());
    assert!(check(&["--key", &by]).status.success());
    assert_eq!(
        check(&["--key", &"11".repeat(32)]).status.code(),
        Some(1),
        "another operator's key"
    );
    assert_eq!(check(&["missing.json"]).status.code(), Some(2), "nothing false was found");
    let json: serde_json::Value = serde_json::from_slice(&check(&["--json"]).stdout).unwrap();
    assert_eq!((&json["holds"], &json["report"]["lines"]), (&true.into(), &3.into()));

    // The operator has changed his key since the sale.
    let later = ed25519_dalek::SigningKey::from_bytes(&[77; 32]);
    let now = hex::encode(later.verifying_key().to_bytes());
    std::fs::write(dir.path().join("statement.json"), signed(&page, &later)).unwrap();
    let too_few: [&[&str]; 3] = [&[], &["--key", &by], &["--key", &now]];
    for keys in too_few {
        assert!(!check(keys).status.success(), "{keys:?}: nobody said that both are his");
    }
    let other = check(&["--key", &now, "--json"]);
    assert_eq!(other.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!((&json["holds"], &json["wrong"]["place"]), (&false.into(), &"terms".into()));
    let both: [&[&str]; 2] = [&["--key", &by, "--key", &now], &["--key", &now, "--key", &by]];
    for keys in both {
        assert!(check(keys).status.success(), "{}", told(&check(keys)));
    }

    // The operator gives a hash too few, and signs it.
    let mut less = page.clone();
    let mut lines: Vec<_> = less.lines.into_iter().map(|l| l.line).collect();
    if let gruve_statement::document::Line::Epoch(line) = &mut lines[1] {
        line.delivered = gruve_units::Hashes(999);
    }
    less.lines = gruve_statement::document::chained(lines).unwrap();
    std::fs::write(dir.path().join("statement.json"), signed(&less, &key)).unwrap();
    let wrong = check(&[]);
    assert!(!wrong.status.success());
    assert!(told(&wrong).contains("line 2 (epoch 8): delivered is 999"), "{}", told(&wrong));
    let json: serde_json::Value = serde_json::from_slice(&check(&["--json"]).stdout).unwrap();
    assert_eq!((&json["holds"], &json["wrong"]["line"]), (&false.into(), &2.into()));
}

/// A hosted machine's terms, and a page of its statement from before its first bill.
fn hosting_papers(key: &ed25519_dalek::SigningKey) -> (SignedTerms, HostingStatement) {
    let asset = gruve_units::Asset::Btc;
    let terms = HostingTerms {
        format: hosting::HOSTING_TERMS.into(),
        serial: "SN0001".into(),
        model: "S19 Pro".into(),
        lane: "btc".parse().unwrap(),
        nameplate: gruve_units::Hashrate(110),
        nameplate_watts: 3_250,
        kind: "sold".into(),
        scheme: "pplns".into(),
        pay_from: "balance".into(),
        asset,
        energy_minor_per_kwh: 7,
        energy_rule: hosting::ENERGY_RULE.into(),
        fee_minor_per_day: 500,
        fee_rule: hosting::FEE_RULE.into(),
        service_level_bps: 9_800,
        service_level_rule: hosting::LEVEL_RULE.into(),
        price_asset: asset,
        price_minor: 1_000,
        epoch_us: Some(600_000_000),
        term_epochs: None,
        minimum_payout_minor: None,
        plan: None,
        plan_version: None,
        until_epoch: None,
        end_rule: Some(hosting::END_RULE.into()),
        back: None,
        earnings_fee_bps: Some(100),
        earnings_rule: Some(hosting::EARNINGS_RULE.into()),
    };
    let bytes = terms.canonical().unwrap();
    let signature = gruve_statement::terms::sign(key, &gruve_statement::terms::hash(&bytes));
    let signed = (key.verifying_key().to_bytes(), signature);
    let contract = gruve_units::ContractId::from_bytes([7; 16]);
    let file = SignedTerms::new(contract, bytes, Some(signed)).unwrap();
    let page = HostingStatement {
        format: hosting::HOSTING_STATEMENT.into(),
        contract,
        terms_sha256: file.sha256.clone(),
        epoch_us: 600_000_000,
        start_epoch: 10,
        end_epoch: None,
        ended: None,
        opening: HostingPosition::begin(10),
        bills: Vec::new(),
        closing: HostingPosition::begin(10),
        next_bill: None,
        blocks: Vec::new(),
        operator_key: None,
        signature: None,
    };
    (file, page)
}

#[test]
fn bills_under_terms_of_the_key_before_are_checked_with_both_keys() {
    let dir = tempfile::tempdir().unwrap();
    let [was, is] = [[76; 32], [77; 32]].map(|b| ed25519_dalek::SigningKey::from_bytes(&b));
    let (terms, page) = hosting_papers(&was);
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
    write("terms.json", serde_json::to_string(&terms).unwrap());
    write("bills.json", serde_json::to_string(&page.signed(&is).unwrap()).unwrap());
    let check = |more: &[&str]| {
        run_in(dir.path(), &[&["statement", "check", "terms.json", "bills.json"], more].concat())
    };
    let [by, now] = [was, is].map(|key| hex::encode(key.verifying_key().to_bytes()));
    let too_few: [&[&str]; 3] = [&[], &["--key", &by], &["--key", &now]];
    for keys in too_few {
        let said = check(&[keys, &["--json"]].concat());
        assert_eq!(said.status.code(), Some(1), "{keys:?}: {}", told(&said));
        let json: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(&json["holds"], &serde_json::Value::from(false), "{keys:?}");
    }
    let both: [&[&str]; 2] = [&["--key", &by, "--key", &now], &["--key", &now, "--key", &by]];
    for keys in both {
        let said = check(keys);
        assert!(said.status.success(), "{}", told(&said));
    }
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

/// Every document that a reader may type from.
fn documents() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(house().join("docs")).unwrap().map(|e| e.unwrap().path());
    let top = ["README.md", "SECURITY.md", "ARCHITECTURE.md"].map(|name| house().join(name));
    let is_text = |path: &PathBuf| path.extension().is_some_and(|e| e == "md");
    docs.chain(top).filter(is_text).collect()
}

/// The lines of a document's code blocks, those that end in a backslash joined with the next.
fn code_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut is_code, mut goes_on) = (false, false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            let part = line.trim().trim_end_matches('\\').trim().to_owned();
            match lines.last_mut() {
                Some(last) if goes_on => *last = format!("{last} {part}"),
                _ => lines.push(part),
            }
            goes_on = line.trim_end().ends_with('\\');
        }
    }
    lines
}

/// A command's words after the program's name; what stands for the reader's own value gets one.
fn words(line: &str) -> Option<Vec<String>> {
    let programs = ["gruve ", "target/release/gruve ", "cargo run --release -- "];
    let rest = programs.iter().find_map(|program| line.strip_prefix(program))?;
    let rest =
        rest.split(" # ").next().unwrap_or(rest).replace(['[', ']'], " ").replace("...", " ");
    let mut words = vec!["gruve".to_owned()];
    let mut is_quoted = false;
    for part in rest.split('"') {
        if is_quoted {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
        is_quoted = !is_quoted;
    }
    let own = |word: String| match word.as_str() {
        "ID" | "PAYMENT" | "ACCOUNT" => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        "N" => "1".to_owned(),
        _ => word,
    };
    Some(words.into_iter().map(own).collect())
}

#[test]
fn the_program_takes_every_command_that_the_documents_show() {
    let mut commands = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in code_lines(&text) {
            let Some(words) = words(&line) else { continue };
            commands += 1;
            if let Err(e) = Cli::try_parse_from(&words) {
                assert!(!e.use_stderr(), "{}: {line}\n{e}", document.display());
            }
        }
    }
    assert!(commands > 12, "only {commands} commands found");
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
