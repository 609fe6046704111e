//! Templates: what is taken from a node, and what is not.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::template::{MAX_TXS, witness_commitment_script};
use gruve_chain::{NetworkName, Template, TemplateError, params_for};
use gruve_units::{Asset, Blame, Blamed};
use proptest::prelude::*;
use serde_json::{Value, json};

fn good() -> Value {
    let txid = "aa".repeat(32);
    let wtxid = "bb".repeat(32);
    let commitment = witness_commitment_script(&[[0xbb; 32]]);
    json!({
        "capabilities": ["proposal"], "version": 536_870_912, "rules": ["csv", "!segwit", "taproot"],
        "vbavailable": {}, "vbrequired": 0,
        "previousblockhash": format!("00{}", "cd".repeat(31)),
        "transactions": [{ "data": "00".repeat(60), "txid": txid, "hash": wtxid, "fee": 100 }],
        "coinbaseaux": {}, "coinbasevalue": 5_000_000_100_u64, "longpollid": "abc7",
        "target": format!("7fffff{}", "00".repeat(29)), "mintime": 1_700_000_000,
        "mutable": ["time"], "noncerange": "00000000ffffffff", "curtime": 1_700_000_001,
        "bits": "207fffff", "height": 42,
        "default_witness_commitment": hex::encode(commitment),
    })
}

fn read(gbt: &Value) -> Result<Template, TemplateError> {
    Template::from_gbt(gbt, &params_for(Asset::Btc, NetworkName::Regtest).unwrap())
}

#[test]
fn a_good_template_is_read_whole() {
    let template = read(&good()).unwrap();
    assert_eq!((template.height, template.bits, template.version), (42, 0x207f_ffff, 0x2000_0000));
    assert_eq!(template.prev_hash[31], 0, "the text is reversed");
    assert_eq!(template.coinbase_value, 5_000_000_100);
    assert_eq!(template.txs[0].txid, [0xaa; 32]);
    assert_eq!(template.longpoll_id.as_deref(), Some("abc7"));
    assert!(template.witness_commitment.is_some() && template.mweb.is_none());
}

#[test]
fn every_field_is_checked() {
    let long = "x".repeat(300);
    let bad: Vec<(&str, Value)> = vec![
        ("height", json!(0)),
        ("height", json!(-1)),
        ("height", json!("42")),
        ("height", json!(1.5)),
        ("height", json!(u64::MAX)),
        ("bits", json!("207ffff")),
        ("bits", json!("207fffff00")),
        ("bits", json!("00000000")),
        ("bits", json!(545_259_519)),
        ("bits", json!("1d00ffff")), // not the target beside it
        ("target", json!("00")),
        ("mintime", json!(1_u64 << 32)),
        ("curtime", Value::Null),
        ("coinbasevalue", json!(-5)),
        ("coinbasevalue", json!(u64::MAX)),
        ("coinbasevalue", json!(50.0)),
        ("previousblockhash", json!("cd".repeat(31))),
        ("previousblockhash", json!(format!("{} ", "cd".repeat(31)))),
        ("version", json!(1_u64 << 33)),
        ("version", Value::Null),
        ("transactions", Value::Null),
        ("transactions", json!([1])),
        ("transactions", json!([{ "data": "0", "txid": "aa", "hash": "bb" }])),
        ("default_witness_commitment", json!("6a24")),
        ("default_witness_commitment", Value::Null),
        ("longpollid", json!(long)),
        ("rules", json!("csv")),
        ("mweb", json!("00")), // Bitcoin has none
    ];
    for (name, value) in bad {
        let mut gbt = good();
        gbt[name] = value.clone();
        let error = read(&gbt).expect_err(name);
        assert!(matches!(error, TemplateError::Field { .. }), "{name} = {value}: {error}");
        assert_eq!(error.blame(), Blame::Transient);
    }
}

#[test]
fn a_rule_that_must_be_known_and_is_not_stops_the_house() {
    let mut gbt = good();
    gbt["rules"] = json!(["!segwit", "!signet"]);
    let error = read(&gbt).unwrap_err();
    assert_eq!(error, TemplateError::UnknownRule("signet".into()));
    assert_eq!(error.blame(), Blame::Fatal);
}

#[test]
fn a_commitment_to_other_transactions_is_refused() {
    let mut gbt = good();
    gbt["transactions"][0]["hash"] = json!("bc".repeat(32));
    assert!(matches!(read(&gbt), Err(TemplateError::WitnessCommitment { .. })));
}

#[test]
fn more_than_a_block_can_hold_is_refused() {
    let mut gbt = good();
    gbt["transactions"][0]["data"] = json!("00".repeat(8_000_001));
    assert!(matches!(read(&gbt), Err(TemplateError::TooLarge(_))));
    let tx = good()["transactions"][0].clone();
    gbt["transactions"] = Value::Array(vec![tx; MAX_TXS + 1]);
    assert!(matches!(read(&gbt), Err(TemplateError::TooLarge(_))));
}

/// As a node that keeps less room than a coinbase of ours may take.
#[test]
fn transactions_that_leave_no_room_for_our_coinbase_are_left_out() {
    let mut gbt = good();
    let tx = |n: u8, weight: u64| {
        let id = hex::encode([n; 32]);
        json!({ "data": "00".repeat(60), "txid": id, "hash": id, "fee": u64::from(n), "sigops": 4,
            "weight": weight })
    };
    let txs = [tx(1, 2_000_000), tx(2, 1_990_000), tx(3, 7_000), tx(4, 400)];
    let ids = |n: u8| (1..=n).map(|n| [n; 32]).collect::<Vec<_>>();
    gbt["transactions"] = json!(txs);
    gbt["coinbasevalue"] = json!(5_000_000_010_u64);
    gbt["default_witness_commitment"] = json!(hex::encode(witness_commitment_script(&ids(4))));
    assert_eq!(read(&gbt).unwrap().txs.len(), 4, "no limit is stated");
    gbt["weightlimit"] = json!(4_000_000);
    let template = read(&gbt).unwrap();
    assert_eq!(template.txs.len(), 2);
    assert_eq!(template.coinbase_value, 5_000_000_003, "the fees of the others are not earned");
    assert_eq!(template.witness_commitment, Some(witness_commitment_script(&ids(2))));
    gbt["weightlimit"] = json!(8_000_000);
    gbt["sigoplimit"] = json!(400 + 12);
    assert_eq!(read(&gbt).unwrap().txs.len(), 3);
    gbt["transactions"][3]["fee"] = Value::Null;
    assert!(matches!(read(&gbt), Err(TemplateError::TooLarge(_))), "what is earned is unknown");
    // Beside an extension block transactions are not ours to choose.
    gbt["mweb"] = json!("00");
    let litecoin = params_for(Asset::Ltc, NetworkName::Regtest).unwrap();
    assert_eq!(Template::from_gbt(&gbt, &litecoin).unwrap().txs.len(), 4);
}

#[test]
fn chains_without_witnesses_have_templates_without_them() {
    let doge = params_for(Asset::Doge, NetworkName::Regtest).unwrap();
    assert!(Template::from_gbt(&good(), &doge).is_err());
    let mut gbt = good();
    gbt["rules"] = Value::Null;
    gbt["default_witness_commitment"] = Value::Null;
    gbt["transactions"][0]["txid"] = Value::Null;
    let template = Template::from_gbt(&gbt, &doge).unwrap();
    assert_eq!(template.txs[0].txid, [0xbb; 32]);
}

/// Any JSON, up to a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-f]{0,80}".prop_map(Value::from),
        "\\PC{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_field_however_strange_panics(at: prop::sample::Index, value in any_json()) {
        let mut gbt = good();
        let fields: Vec<String> = gbt.as_object().unwrap().keys().cloned().collect();
        gbt[at.get(&fields)] = value.clone();
        let _ = read(&gbt);
        gbt = good();
        gbt["transactions"][0]["data"] = value.clone();
        let _ = read(&gbt);
        let _ = read(&value);
    }
}
