//! Everything in the test vectors comes out as it stands there; nothing wrong gets through.

use super::*;
use serde_json::json;

fn vectors(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn derived(kind: InspectKind, value: &Value) -> Value {
    derive(kind, value, None).unwrap().to_json()
}

fn failure(kind: InspectKind, value: &Value) -> String {
    derive(kind, value, None).unwrap_err().to_string()
}

fn number(value: &Value) -> f64 {
    value.to_string().parse().unwrap()
}

#[test]
fn all_that_follows_from_every_share_is_as_derived_elsewhere() {
    let shares = vectors("shares-sha256d.json");
    let answers = derived(InspectKind::Share, &shares);
    assert_eq!(answers.as_array().unwrap().len(), 34);
    for (share, answer) in shares.as_array().unwrap().iter().zip(answers.as_array().unwrap()) {
        for (key, value) in share["derived"].as_object().unwrap() {
            if key == "share_difficulty" {
                assert_eq!(number(&answer[key]).to_bits(), number(value).to_bits());
            } else {
                assert_eq!(&answer[key], value, "{} {key}", share["name"]);
            }
        }
        assert_eq!(answer["agrees"], true);
        assert_eq!(answer["name"], share["name"]);
    }
}

#[test]
fn every_block_is_rebuilt_from_its_job() {
    let blocks = vectors("blocks.json");
    let answers = derived(InspectKind::Block, &blocks);
    assert_eq!(answers.as_array().unwrap().len(), 10);
    for (block, answer) in blocks.as_array().unwrap().iter().zip(answers.as_array().unwrap()) {
        for key in [
            "coinbase_no_witness",
            "coinbase_txid",
            "merkle_root",
            "header",
            "block_hash",
            "pow_hash",
            "version",
            "prev_hash",
            "time",
            "bits",
            "nonce",
            "target",
        ] {
            assert_eq!(answer[key].to_string(), block[key].to_string(), "{} {key}", block["name"]);
        }
        assert_eq!(answer["agrees"], true);
        assert_eq!(answer["block_hash_display"], block["block_hash"]);
        // Merge-mined blocks have their work in another chain's header.
        if block["checks"]["pow_ok"] == true {
            assert_eq!(answer["meets_network_target"], true);
        }
    }
}

#[test]
fn every_header_gives_its_fields_and_hashes() {
    let blocks = vectors("blocks.json");
    let answers = derived(InspectKind::Header, &blocks);
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["agrees"], true, "{answer}");
    }
    let shares = derived(InspectKind::Header, &vectors("shares-sha256d.json"));
    for answer in shares.as_array().unwrap() {
        assert_eq!(answer["agrees"], true, "{answer}");
    }
}

/// The rest of the seals is checked where they are computed; each needs seconds for its cache.
#[test]
fn ethash_and_etchash_seals_are_as_stated() {
    let file = vectors("ethash.json");
    let some = json!({
        "ethash": file["ethash"].as_array().unwrap()[..2],
        "etchash_derived": file["etchash_derived"].as_array().unwrap()[..1],
    });
    let answer = derived(InspectKind::Ethash, &some);
    let entries = |v: &Value| {
        let list = |key: &str| v[key].as_array().unwrap().clone();
        [list("ethash"), list("etchash_derived")].concat()
    };
    assert_eq!(entries(&answer).len(), 3);
    for (answer, entry) in entries(&answer).iter().zip(entries(&some)) {
        for key in ["seed_hash", "cache_bytes", "dataset_bytes", "mix_hash", "final_hash"] {
            assert_eq!(answer[key].to_string(), entry[key].to_string());
        }
        assert_eq!(answer["agrees"], true);
    }
}

#[test]
fn every_ethash_epoch_has_its_seed_and_sizes() {
    let mut file = vectors("ethash.json");
    for key in ["ethash", "etchash_derived"] {
        for entry in file[key].as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().remove("header_hash");
            entry.as_object_mut().unwrap().remove("nonce");
        }
    }
    let answer = derived(InspectKind::Ethash, &file);
    // Members that are no lists of entries are left aside.
    assert_eq!(answer.as_object().unwrap().len(), 2);
    for list in answer.as_object().unwrap().values() {
        for entry in list.as_array().unwrap() {
            assert_eq!(entry["agrees"], true, "{entry}");
            assert_eq!(entry.get("mix_hash"), None);
        }
    }
}

#[test]
fn the_answer_has_the_shape_of_the_input() {
    let shares = vectors("shares-sha256d.json");
    let one = derived(InspectKind::Share, &shares[0]);
    assert_eq!(derived(InspectKind::Share, &json!([shares[0]])), json!([one]));
    assert_eq!(derived(InspectKind::Share, &json!({"some": [shares[0]]})), json!({"some": [one]}));
    assert_eq!(derived(InspectKind::Share, &json!([])), json!([]));
}

#[test]
fn a_stated_result_that_does_not_follow_is_pointed_out() {
    let mut share = vectors("shares-sha256d.json")[0].clone();
    share["derived"]["meets_network_target"] = json!(false);
    let answer = derived(InspectKind::Share, &share);
    assert_eq!(answer["agrees"], false);
    assert_eq!(answer["differing"], json!(["meets_network_target"]));
    share.as_object_mut().unwrap().remove("derived");
    assert_eq!(derived(InspectKind::Share, &share).get("agrees"), None);
}

#[test]
fn version_bits_replace_only_what_the_mask_allows() {
    let mut share = vectors("shares-sha256d.json")[0].clone();
    share["notify"]["version"] = json!("3fffe004");
    share["submit"]["version_bits"] = json!("00006001");
    share["submit"]["version_mask"] = json!("1fffe000");
    let header = derived(InspectKind::Share, &share)["header"].as_str().unwrap()[..8].to_owned();
    assert_eq!(header, hex::encode(0x2000_6004_u32.to_le_bytes()));
    share["submit"]["version_mask"] = Value::Null;
    assert!(failure(InspectKind::Share, &share).starts_with("submit.version_mask: expected 8 hex"));
}

#[test]
fn a_difficulty_is_compared_exactly() {
    let share = &vectors("shares-sha256d.json")[1];
    let meets = |d: &str| {
        let d = d.parse().unwrap();
        derive(InspectKind::Share, share, Some(&d)).unwrap().to_json()["meets_difficulty"].clone()
    };
    assert_eq!((meets("512"), meets("669.868")), (json!(true), json!(true)));
    assert_eq!((meets("670"), meets("1e9")), (json!(false), json!(false)));
    assert_eq!(derived(InspectKind::Share, share).get("meets_difficulty"), None);
}

#[test]
fn what_is_wrong_is_named_with_what_is_expected() {
    let share = vectors("shares-sha256d.json")[0].clone();
    let block = vectors("blocks.json")[0].clone();
    let with = |entry: &Value, pointer: &str, value: Value| {
        let mut entry = entry.clone();
        *entry.pointer_mut(pointer).unwrap() = value;
        entry
    };
    let share_with = |p: &str, v| failure(InspectKind::Share, &with(&share, p, v));
    assert_eq!(
        share_with("/notify/prevhash", json!("00")),
        "notify.prevhash: expected 64 hex digits (32 bytes), found \"00\" (2 characters)"
    );
    assert_eq!(
        share_with("/submit/nonce", json!(7)),
        "submit.nonce: expected 8 hex digits (4 bytes), found the number 7"
    );
    assert_eq!(
        share_with("/notify/merkle_branch", json!(["zz"])),
        "notify.merkle_branch[0]: expected 64 hex digits (32 bytes), found \"zz\" (2 characters)"
    );
    assert_eq!(
        share_with("/extranonce2", json!("abc")),
        "extranonce2: expected an even number of hex digits, found \"abc\" (3 characters)"
    );
    assert_eq!(share_with("/submit", Value::Null), "submit: expected an object, found nothing");
    assert_eq!(
        share_with("/notify/merkle_branch", json!(vec!["00".repeat(32); 33])),
        "notify.merkle_branch: expected a list of at most 32, found a list of 33"
    );
    assert_eq!(
        failure(InspectKind::Block, &with(&block, "/algo", json!("ethash"))),
        "algo: expected \"sha256d\" or \"scrypt\", found \"ethash\" (6 characters)"
    );
    let list = json!([share, {"notify": {}}]);
    assert_eq!(failure(InspectKind::Share, &list), "[1].submit: expected an object, found nothing");
    assert_eq!(
        failure(InspectKind::Block, &json!({})),
        "stratum: expected an object, found nothing"
    );
    assert_eq!(
        failure(InspectKind::Share, &json!(3)),
        "the input: expected an object, found the number 3"
    );
    let seal = |v: Value| failure(InspectKind::Ethash, &v);
    assert_eq!(
        seal(json!({"epoch": 2048})),
        "epoch: expected a known epoch (epoch 2048 is above 2047, the highest known here), \
         found the number 2048"
    );
    assert_eq!(
        seal(json!({"epoch": 5, "block_number": 60000})),
        "block_number: expected a block of ethash epoch 5, found the number 60000"
    );
    assert_eq!(
        seal(json!({"epoch": 0, "header_hash": "00".repeat(32)})),
        "nonce: expected 16 hex digits (8 bytes), found nothing"
    );
    assert!(seal(json!({"epoch": 0, "epoch_length": 5})).starts_with("epoch_length: expected"));
    assert!(seal(json!({"header_hash": ""})).starts_with("epoch: expected an epoch number"));
}

/// Puts every nasty value in every place of an entry.
fn for_every_change(entry: &Value, mut check: impl FnMut(&Value)) {
    fn places(value: &Value, path: &str, out: &mut Vec<String>) {
        out.push(path.to_owned());
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    places(value, &format!("{path}/{key}"), out);
                }
            }
            Value::Array(list) => {
                for (i, value) in list.iter().enumerate() {
                    places(value, &format!("{path}/{i}"), out);
                }
            }
            _ => {}
        }
    }
    let nasty: Value = serde_json::from_str(
        r#"[null, true, -1, 1e400, 123456789012345678901234567890, 0.5, "", "0", "zz", "ffffffff",
            "0x00", "１２", [], [[]], {}, {"a": {}}]"#,
    )
    .unwrap();
    let mut all = Vec::new();
    places(entry, "", &mut all);
    for place in all {
        for value in nasty.as_array().unwrap() {
            let mut changed = entry.clone();
            *changed.pointer_mut(&place).unwrap() = value.clone();
            check(&changed);
        }
    }
}

#[test]
fn no_input_makes_it_panic_and_every_refusal_says_what_is_expected() {
    let share = vectors("shares-sha256d.json")[1].clone();
    let block = vectors("blocks.json")[0].clone();
    let seal = json!({
        "epoch": 9, "block_number": 270_000, "epoch_length": 30_000, "algo": "ethash",
        "header_hash": 0, "nonce": "00"
    });
    for (kind, entry) in [
        (InspectKind::Share, share),
        (InspectKind::Block, block.clone()),
        (InspectKind::Header, block),
        (InspectKind::Ethash, seal),
    ] {
        for_every_change(&entry, |changed| {
            if let Err(e) = derive(kind, changed, None) {
                assert!(e.to_string().contains("expected"), "{e}");
            }
        });
    }
}

fn from_file(content: &[u8], difficulty: Option<&str>) -> Result<Answer, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("entry.json");
    std::fs::write(&file, content).unwrap();
    inspect(&InspectArgs {
        kind: InspectKind::Share,
        file,
        json: true,
        difficulty: difficulty.map(str::to_owned),
    })
}

#[test]
fn an_empty_list_is_said_to_be_empty() {
    let answer = from_file(b"[]", None).unwrap();
    assert!(emptiness(&answer).unwrap().contains("empty"));
    assert_eq!(answer.to_json_text().trim(), "[]");
    let answer = derive(InspectKind::Block, &vectors("blocks.json")[0], None).unwrap();
    assert_eq!(emptiness(&answer), None);
}

#[test]
fn files_that_are_no_json_or_nested_too_deep_are_refused() {
    assert!(from_file(b"", None).unwrap_err().contains("is not JSON"));
    assert!(from_file(b"\xff\xfe", None).unwrap_err().contains("is not JSON"));
    assert!(from_file(&b"[".repeat(1_000_000), None).unwrap_err().contains("recursion limit"));
    assert!(
        from_file(b"{}", Some("much")).unwrap_err().starts_with("--difficulty \"much\": not a")
    );
    let args = InspectArgs {
        kind: InspectKind::Share,
        file: PathBuf::from("/no/such/file"),
        json: false,
        difficulty: None,
    };
    assert!(inspect(&args).unwrap_err().starts_with("cannot read /no/such/file"));
}

#[test]
fn the_text_says_what_the_json_says_but_each_thing_once() {
    let answer = derive(InspectKind::Block, &vectors("blocks.json")[0], None).unwrap();
    let text = answer.to_text();
    assert_eq!(text.matches("block_hash ").count(), 1);
    assert!(!text.contains("block_hash_display"));
    assert!(text.contains("meets_network_target     yes\n"), "{text}");
    assert!(text.contains("agrees                   yes\n"), "{text}");
}
