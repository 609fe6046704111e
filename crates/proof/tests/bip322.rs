//! BIP-322 against the BIP's own vectors and against another implementation.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Network, NetworkKind, PrivateKey, ScriptBuf, Transaction, Witness, ecdsa,
};
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
    for (kind, message, script, signature) in listed("good").into_iter().skip(3) {
        let text = signature.trim_start_matches("smp").to_owned();
        let bytes = STANDARD.decode(&text).unwrap();
        let before = own::verify(&script, message.as_bytes(), &signature).unwrap();
        for at in (0..bytes.len() * 8).step_by(7) {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let said = own::verify(&script, message.as_bytes(), &STANDARD.encode(changed));
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

/// The full signature of a transaction by the key of a witness program.
fn full(tx: &Transaction, key: &PrivateKey) -> String {
    let secp = Secp256k1::new();
    let public = key.public_key(&secp);
    let program = ScriptBuf::new_p2wpkh(&public.wpubkey_hash().unwrap());
    let (mut tx, all) = (tx.clone(), EcdsaSighashType::All);
    let hash = SighashCache::new(&tx).p2wpkh_signature_hash(0, &program, Amount::ZERO, all);
    let message = Message::from_digest(hash.unwrap().to_byte_array());
    let signature = secp.sign_ecdsa(&message, &key.inner);
    let signature = ecdsa::Signature { signature, sighash_type: all };
    tx.input[0].witness = Witness::p2wpkh(&signature, &public.inner);
    format!("ful{}", STANDARD.encode(serialize(&tx)))
}

#[test]
fn a_good_signature_of_any_other_transaction_is_none_of_the_message() {
    let key = PrivateKey::new(SecretKey::from_slice(&[4; 32]).unwrap(), Network::Bitcoin);
    let public = key.public_key(&Secp256k1::new());
    let script = ScriptBuf::new_p2wpkh(&public.wpubkey_hash().unwrap());
    let said = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = own::to_sign(&script, b"message");
        change(&mut tx);
        own::verify(&script, b"message", &full(&tx, &key))
    };
    assert!(said(&|_| ()).is_ok());
    assert!(said(&|tx| tx.version = Version(2)).is_ok());
    let elsewhere = own::to_sign(&script, b"another").input[0].previous_output;
    assert_eq!(said(&|tx| tx.input[0].previous_output = elsewhere), Err(Bip322Error::Invalid));
    // Whoever signs a payment signs no message with it.
    let others = Err(Bip322Error::Malformed("it has other outputs than an empty one"));
    assert_eq!(said(&|tx| tx.output[0].script_pubkey = script.clone()), others);
    assert_eq!(said(&|tx| tx.output[0].value = Amount::from_sat(1)), others);
    assert_eq!(said(&|tx| tx.output.push(tx.output[0].clone())), others);
    for version in [1, 3, -1] {
        let said = said(&|tx| tx.version = Version(version));
        assert_eq!(said, Err(Bip322Error::Inconclusive), "{version}");
    }
    let long = "A".repeat(own::SIGNATURE_CHARS_MAX + 4);
    let said = own::verify(&script, b"message", &long);
    assert_eq!(said, Err(Bip322Error::Malformed("too long")));
    for empty in ["", "ful"] {
        let said = own::verify(&script, b"message", empty);
        assert!(matches!(said, Err(Bip322Error::Malformed(_))), "{empty:?}: {said:?}");
    }
    assert_eq!(own::verify(&script, b"message", ""), Err(Bip322Error::Malformed("empty")));
}
