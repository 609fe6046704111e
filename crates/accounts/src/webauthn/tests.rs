use super::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

const SITE: Site<'static> = Site { origin: "https://gruve.example", host: "gruve.example" };

fn data(host: &str, flags: u8, count: u32, rest: &[u8]) -> Vec<u8> {
    let hash = Sha256::digest(host.as_bytes());
    [hash.as_slice(), &[flags], &count.to_be_bytes(), rest].concat()
}

/// A P-256 key as authenticators write it.
fn cose(point: &[u8]) -> Vec<u8> {
    let (x, y) = (&point[1..33], &point[33..]);
    [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat()
}

fn attested(id: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(id.len()).unwrap().to_be_bytes();
    [&[0; 16], length.as_slice(), id, key].concat()
}

fn p256() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

#[test]
fn a_key_that_an_authenticator_made_verifies_what_it_signs_and_nothing_else() {
    let pair = p256();
    let key = cose(pair.public_key().as_ref());
    let made = registered(&data("gruve.example", 0x45, 0, &attested(b"id", &key)), SITE).unwrap();
    assert_eq!(made.id, b"id");
    assert_eq!(made.said, Said { count: 0, is_verified: true, is_synced: false });
    let stored =
        PublicKey::stored(made.key.algorithm().number(), made.key.bytes().to_vec()).unwrap();
    assert_eq!(stored, made.key);

    let (says, client) = (data("gruve.example", 0x1d, 7, &[]), b"{}".as_slice());
    let signed = [says.as_slice(), Sha256::digest(client).as_slice()].concat();
    let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
    let said = asserted(&stored, &says, client, signature.as_ref(), SITE).unwrap();
    assert_eq!(said, Said { count: 7, is_verified: true, is_synced: true });
    let other = p256().sign(&SystemRandom::new(), &signed).unwrap();
    asserted(&stored, &says, client, other.as_ref(), SITE).unwrap_err();
    asserted(&stored, &says, b"{} ", signature.as_ref(), SITE).unwrap_err();
    let later = data("gruve.example", 0x1d, 8, &[]);
    asserted(&stored, &later, client, signature.as_ref(), SITE).unwrap_err();
}

#[test]
fn ed25519_and_rsa_keys_are_taken_in_their_form_alone() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let key =
        [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], pair.public_key().as_ref()].concat();
    let made = registered(&data("gruve.example", 0x41, 0, &attested(b"i", &key)), SITE).unwrap();
    assert_eq!(made.key.algorithm(), Algorithm::EdDsa);
    let says = data("gruve.example", 1, 0, &[]);
    let signed = [says.as_slice(), Sha256::digest(b"{}").as_slice()].concat();
    let signature = pair.sign(&signed);
    asserted(&made.key, &says, b"{}", signature.as_ref(), SITE).unwrap();

    // { 1: 3, 3: -257, -1: n, -2: e }
    let rsa = |bytes: u16| {
        let n = vec![0xc1; usize::from(bytes)];
        let head = [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59];
        [&head, bytes.to_be_bytes().as_slice(), &n, &[0x21, 0x43, 1, 0, 1]].concat()
    };
    let of = |key: &[u8]| registered(&data("gruve.example", 0x41, 0, &attested(b"i", key)), SITE);
    assert_eq!(of(&rsa(256)).unwrap().key.algorithm(), Algorithm::Rs256);
    assert!(of(&rsa(128)).is_err(), "1024 bits are too few");
    assert!(of(&rsa(600)).is_err());
}

#[test]
fn an_answer_to_another_site_or_question_or_of_nobody_does_not_count() {
    let says = |origin: &str, kind: &str, more: &str| {
        format!(r#"{{"type":"{kind}","challenge":"abc","origin":"{origin}"{more}}}"#).into_bytes()
    };
    let get = |json: &[u8]| challenge(json, Ceremony::Get, SITE);
    let right = says("https://gruve.example", "webauthn.get", "");
    assert_eq!(get(&right).unwrap(), "abc");
    assert!(challenge(&right, Ceremony::Create, SITE).is_err());
    assert!(get(&says("https://gruve.example.evil", "webauthn.get", "")).is_err());
    assert!(get(&says("http://gruve.example", "webauthn.get", "")).is_err());
    assert!(get(&says("https://gruve.example", "webauthn.get", r#","crossOrigin":true"#)).is_err());
    assert!(get(b"[]").is_err() && get(&vec![b' '; CLIENT_BYTES_MAX + 1]).is_err());
    assert!(head(&data("gruve.example.evil", 1, 0, &[]), SITE).is_err());
    assert!(head(&data("gruve.example", 4, 0, &[]), SITE).is_err(), "nobody touched it");
    assert!(head(&data("gruve.example", 0x11, 0, &[]), SITE).is_err(), "in sync, but may not be");
}

#[test]
fn no_cut_of_an_answer_is_taken_and_none_panics() {
    let key = cose(p256().public_key().as_ref());
    let whole = data("gruve.example", 0x45, 0, &attested(b"id", &key));
    assert!(registered(&whole, SITE).is_ok());
    for n in 0..whole.len() {
        assert!(registered(&whole[..n], SITE).is_err(), "{n}");
    }
    for place in 37..whole.len() {
        for bit in 0..8 {
            let mut other = whole.clone();
            other[place] ^= 1 << bit;
            let _ = registered(&other, SITE);
        }
    }
    let twice = [&[0xa2, 1, 2, 1, 2][..]].concat();
    assert!(registered(&data("gruve.example", 0x45, 0, &attested(b"id", &twice)), SITE).is_err());
}
