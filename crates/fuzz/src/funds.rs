//! Bytes as what a statement of funds is made of: files of reserves, kept trees, customers' proofs, signatures of
//! messages, witnesses' answers.
//!
//! What must hold: no panic; nothing is allocated for a count that the bytes do not bear out; what is accepted has one
//! form; nobody's signature is taken for a key that nobody has.

use crate::input::Input;
use bitcoin::ScriptBuf;
use gruve_proof::bip322;
use gruve_proof::funds::OwedProof;
use gruve_proof::liabilities::{self, Of};
use gruve_proof::note::NoteKey;
use gruve_proof::reserves::Reserves;
use gruve_proof::witness::{Answer, WitnessKey};
use gruve_units::AccountId;
use std::io::Cursor;

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.below(6);
    let rest = input.rest();
    match kind {
        0 => reserves(rest),
        1 => kept(rest),
        2 => message(rest),
        3 => answer(rest),
        4 => witness(rest),
        _ => proof(rest),
    }
}

fn reserves(bytes: &[u8]) {
    let Ok(reserves) = Reserves::parse(bytes) else { return };
    assert_eq!(reserves.to_bytes(), bytes, "two forms of one file of reserves");
    for asset in reserves.assets.iter().take(4) {
        let _ = asset.sum();
        let message = reserves.message("log.example", asset);
        for holder in asset.holders.iter().take(4) {
            assert!(holder.check(&message).is_err(), "nobody has signed this");
        }
    }
}

fn kept(bytes: &[u8]) {
    let of = Of { statement: 3, asset: "BTC" };
    let account = AccountId::from_bytes([7; 16]);
    let _ = liabilities::find(&mut Cursor::new(bytes), &of, &[5; 32], account);
}

fn message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let scripts = [
        [&[0x76, 0xa9, 0x14][..], &[9; 20], &[0x88, 0xac]].concat(),
        [&[0x00, 0x14][..], &[9; 20]].concat(),
        [&[0x00, 0x20][..], &[9; 32]].concat(),
        [&[0x51, 0x20][..], &[9; 32]].concat(),
        [&[0xa9, 0x14][..], &[9; 20], &[0x87]].concat(),
    ];
    for script in scripts {
        let script = ScriptBuf::from_bytes(script);
        assert!(bip322::verify(&script, b"of nobody", text).is_err(), "a script without a key");
    }
}

fn answer(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first_chunk::<2>() else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let Some(own) = WitnessKey::new("witness.example", [7; 32]) else { return };
    let said = Answer::read(u16::from_be_bytes(*status), body, &own, "log\n1\nAA==\n\n");
    assert!(!matches!(said, Answer::Signed(_)), "nobody has this key");
}

fn witness(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = WitnessKey::parse(text) {
        assert_eq!(key.to_string(), text, "two forms of one key");
    }
}

fn proof(bytes: &[u8]) {
    let Ok(proof) = serde_json::from_slice::<OwedProof>(bytes) else { return };
    let key = NoteKey::new(&proof.logged.origin, [7; 32]);
    assert!(key.is_none_or(|k| proof.check(&k).is_err()), "nobody has this key");
}
