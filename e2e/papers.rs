//! Papers that customers check without the house: statements and their terms, certificates of ownership.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_statement::SignedTerms;
use gruve_statement::hosting::{self, HostingPosition, HostingStatement, HostingTerms};
use support::{run_in, told};

#[path = "support/mod.rs"]
mod support;

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
fn a_certificate_is_the_operators_or_is_not_or_cannot_be_read() {
    use gruve_hosting::{Certificate, Signed};
    let dir = tempfile::tempdir().unwrap();
    let [key, other] = [[5; 32], [6; 32]].map(|b| ed25519_dalek::SigningKey::from_bytes(&b));
    let certificate = Certificate {
        format: "gruve-ownership-1".to_owned(),
        origin: "example.org/gruve".to_owned(),
        number: 1,
        previous: String::new(),
        machine: gruve_units::MachineId::from_bytes([1; 16]),
        serial: "SN0001".to_owned(),
        model: "S19 Pro".to_owned(),
        site: "oslo".to_owned(),
        lane: "btc".parse().unwrap(),
        nameplate: gruve_units::Hashrate(110),
        watts: 3_250,
        kind: "sold".to_owned(),
        owner: gruve_units::AccountId::from_bytes([2; 16]),
        contract: gruve_units::ContractId::from_bytes([3; 16]),
        terms: "00".repeat(32),
        from_epoch: gruve_units::EpochNumber(7),
        signed_at_us: 1_700_000_000_000_000,
    };
    let (certificate, signature) = certificate.sign(&key).unwrap();
    let [by, not_by] = [&key, &other].map(|key| hex::encode(key.verifying_key().to_bytes()));
    // The file may name whom it likes: what counts is the key that the reader knows.
    let signed =
        Signed { certificate, signature: hex::encode(signature), operator_key: not_by.clone() };
    std::fs::write(dir.path().join("good.json"), serde_json::to_string(&signed).unwrap()).unwrap();
    std::fs::write(dir.path().join("cut.json"), "{\"certificate\":").unwrap();
    let check = |file: &str, key: &str| {
        let said = run_in(dir.path(), &["certificate", file, "--operator-key", key]);
        (said.status.code(), told(&said))
    };
    let (code, said) = check("good.json", &by);
    assert!(code == Some(0) && said.contains("is signed by this operator"), "{said}");
    let (code, said) = check("good.json", &not_by);
    assert!(code == Some(1) && said.contains("not this operator's"), "{said}");
    for (file, key) in [("none.json", by.as_str()), ("cut.json", &by), ("good.json", "5f")] {
        let (code, said) = check(file, key);
        assert_eq!(code, Some(2), "nothing false was found: {said}");
    }
}
