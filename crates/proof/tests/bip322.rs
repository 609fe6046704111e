//! BIP-322 against the BIP's own vectors and against another implementation.
#![allow(clippy::unwrap_used)]

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{Address, Network, NetworkKind, PrivateKey, ScriptBuf};
use gruve_proof::bip322::{self as own, Bip322Error};
use std::str::FromStr;

fn vectors() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/bip322.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn script(address: &str) -> ScriptBuf {
    Address::from_str(address).unwrap().require_network(Network::Bitcoin).unwrap().script_pubkey()
}

/// Kind, message, script and signature of each.
fn listed(which: &str) -> Vec<(String, String, ScriptBuf, String)> {
    let all = vectors()[which].as_array().unwrap().clone();
    let text = |v: &serde_json::Value, n: usize| v[n].as_str().unwrap().to_owned();
    all.iter().map(|v| (text(v, 0), text(v, 1), script(&text(v, 2)), text(v, 3))).collect()
}

#[test]
fn hashes_and_transactions_are_those_of_the_bip() {
    let to = script("bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l");
    for v in vectors()["hashes"].as_array().unwrap() {
        let message = v["message"].as_str().unwrap().as_bytes();
        assert_eq!(hex::encode(own::message_hash(message)), v["message_hash"]);
        assert_eq!(own::to_spend(&to, message).compute_txid().to_string(), v["to_spend"]);
        assert_eq!(own::to_sign(&to, message).compute_txid().to_string(), v["to_sign"]);
    }
}

#[test]
fn the_bips_signatures_hold_for_their_message_and_script_alone() {
    let good = listed("good");
    for (kind, message, script, signature) in &good {
        let signed = own::verify(script, message.as_bytes(), signature);
        assert!(signed.is_ok(), "{kind}: {signed:?}");
        let other = format!("{message}.");
        assert!(own::verify(script, other.as_bytes(), signature).is_err(), "{kind}");
        for (_, _, elsewhere, _) in good.iter().filter(|(_, _, s, _)| s != script) {
            assert!(own::verify(elsewhere, message.as_bytes(), signature).is_err(), "{kind}");
        }
    }
    for (what, message, script, signature) in listed("bad") {
        assert!(own::verify(&script, message.as_bytes(), &signature).is_err(), "{what}");
    }
    for (what, message, script, signature) in listed("unknown") {
        let said = own::verify(&script, message.as_bytes(), &signature);
        assert_eq!(said, Err(Bip322Error::Inconclusive), "{what}");
    }
}

#[test]
fn no_changed_bit_of_a_signature_is_taken() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    for (kind, message, script, signature) in listed("good").into_iter().skip(3) {
        let text = signature.trim_start_matches("smp").to_owned();
        let bytes = engine.decode(&text).unwrap();
        let before = own::verify(&script, message.as_bytes(), &signature).unwrap();
        for at in (0..bytes.len() * 8).step_by(7) {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let said = own::verify(&script, message.as_bytes(), &engine.encode(changed));
            assert_ne!(said, Ok(before), "{kind}: bit {at}");
        }
    }
}

#[test]
fn what_another_implementation_signs_holds_and_what_it_refuses_is_refused() {
    let secp = Secp256k1::new();
    for n in 1..9u8 {
        let key = PrivateKey::new(SecretKey::from_slice(&[n; 32]).unwrap(), Network::Bitcoin);
        assert_eq!(key.network, NetworkKind::Main);
        let public = key.public_key(&secp);
        let compressed = bitcoin::CompressedPublicKey::from_slice(&public.to_bytes()).unwrap();
        let addresses = [
            Address::p2wpkh(&compressed, Network::Bitcoin),
            Address::p2tr(&secp, public.inner.into(), None, Network::Bitcoin),
            Address::p2shwpkh(&compressed, Network::Bitcoin),
        ];
        for address in addresses {
            let message = format!("message {n}\nof two lines");
            let text = address.to_string();
            let keys = [key.to_wif()];
            let signed = bip322::sign_simple_encoded(&text, &message, &keys, None).unwrap();
            let script = address.script_pubkey();
            own::verify(&script, message.as_bytes(), &signed).unwrap();
            assert!(own::verify(&script, b"another", &signed).is_err());
            assert!(bip322::verify_simple_encoded(&text, &message, &signed).is_ok());
            assert!(bip322::verify_simple_encoded(&text, "another", &signed).is_err());
        }
    }
}
