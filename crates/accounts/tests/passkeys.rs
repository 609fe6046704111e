//! What passkeys promise, on both engines: an authenticator of the test's own signs.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_accounts::{
    AccountRules, Accounts, AccountsError, Assertion, NewAccount, NewPasskey, PASSKEYS_MAX,
    PasskeyRules, RECOVERY_CODES, Ticket,
};
use gruve_store::{Store, laws};
use gruve_units::{AccountId, Clock, Duration, ManualClock, SeededEntropy, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const PASSWORD: &str = "correct horse";
const ORIGIN: &str = "https://gruve.test";

/// A phone or a key: one passkey.
struct Device {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    user: Vec<u8>,
    count: u32,
}

impl Device {
    fn new(id: &[u8], user: AccountId) -> Device {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap();
        Device { pair, id: id.to_vec(), user: user.to_bytes().to_vec(), count: 0 }
    }

    fn client(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"}}"#).into_bytes()
    }

    fn says(&self, flags: u8, rest: &[u8]) -> Vec<u8> {
        let host = Sha256::digest(b"gruve.test");
        [host.as_slice(), &[flags], &self.count.to_be_bytes(), rest].concat()
    }

    fn made(&self, challenge: &str) -> NewPasskey {
        let point = self.pair.public_key().as_ref().to_vec();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let cose = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
        let key = [&cose, &point[1..33], &[0x22, 0x58, 32], &point[33..]].concat();
        let rest = [&[0; 16], length.as_slice(), &self.id, &key].concat();
        NewPasskey {
            name: "phone".into(),
            client: Device::client("webauthn.create", challenge, ORIGIN),
            authenticator: self.says(0x45, &rest),
            transports: "internal".into(),
        }
    }

    /// Signs; `flags` 5: somebody is there, and it is made sure who.
    fn sign(&mut self, challenge: &str, flags: u8) -> Assertion {
        self.count += 1;
        let client = Device::client("webauthn.get", challenge, ORIGIN);
        let authenticator = self.says(flags, &[]);
        let signed = [authenticator.as_slice(), Sha256::digest(&client).as_slice()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        Assertion {
            id: URL_SAFE_NO_PAD.encode(&self.id),
            client,
            authenticator,
            signature: signature.as_ref().to_vec(),
            user: self.user.clone(),
        }
    }
}

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    anna: AccountId,
}

impl House {
    async fn new(store: Store) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let passkeys = PasskeyRules::new(ORIGIN, "Mine");
        let rules = AccountRules { passkeys, ..AccountRules::default() };
        let accounts = Accounts::with_rules(store, clock.clone(), entropy, rules);
        let anna = accounts.sign_up(named("anna")).await.unwrap();
        House { accounts, clock, anna }
    }

    /// A passkey of Anna's, the first: with the codes for a lost device.
    async fn with_passkey(store: Store) -> (House, Device, Vec<String>) {
        let house = House::new(store).await;
        let device = Device::new(b"first", house.anna);
        let codes = house.add(&device, "").await.unwrap();
        (house, device, codes)
    }

    async fn add(&self, device: &Device, code: &str) -> Result<Vec<String>, AccountsError> {
        let asked = self.accounts.begin_passkey(self.anna, (PASSWORD, code), None).await?;
        self.accounts.add_passkey(self.anna, &device.made(&asked.challenge)).await
    }

    async fn challenge(&self) -> String {
        self.accounts.begin_passkey_sign_in(None).await.unwrap().challenge
    }

    async fn ticket(&self) -> Ticket {
        match self.accounts.sign_in("anna", PASSWORD, None).await.unwrap_err() {
            AccountsError::SecondFactorNeeded(ticket) => ticket,
            other => panic!("{other}"),
        }
    }
}

fn named(name: &str) -> NewAccount {
    let email = format!("{name}@example.org");
    NewAccount { name: name.into(), email, password: PASSWORD.into() }
}

fn is_wrong<T: std::fmt::Debug>(r: Result<T, AccountsError>) -> bool {
    matches!(r.unwrap_err(), AccountsError::WrongPasskey(_))
}

async fn a_passkey_signs_in_alone_once_a_challenge_and_only_where_it_verifies(store: Store) {
    let (house, mut device, codes) = House::with_passkey(store).await;
    assert_eq!(codes.len(), RECOVERY_CODES, "with the first factor");
    let challenge = house.challenge().await;
    let given = device.sign(&challenge, 5);
    let session = house.accounts.sign_in_by_passkey(&given, None).await.unwrap();
    assert_eq!(session.account, house.anna);
    let again = house.accounts.sign_in_by_passkey(&given, None).await.unwrap_err();
    assert!(matches!(again, AccountsError::TicketVoid), "{again}");
    let again = device.sign(&challenge, 5);
    let again = house.accounts.sign_in_by_passkey(&again, None).await.unwrap_err();
    assert!(matches!(again, AccountsError::TicketVoid), "a challenge counts once: {again}");

    let unverified = device.sign(&house.challenge().await, 1);
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&unverified, None).await));
    let late = device.sign(&house.challenge().await, 5);
    house.clock.advance(Duration::from_secs(300));
    let late = house.accounts.sign_in_by_passkey(&late, None).await.unwrap_err();
    assert!(matches!(late, AccountsError::TicketVoid), "{late}");
    let listed = house.accounts.passkeys(house.anna).await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "phone"));
    assert!(listed[0].used.is_some());
}

async fn what_a_passkey_did_not_sign_for_this_site_and_purpose_counts_for_nothing(store: Store) {
    let (house, mut device, _) = House::with_passkey(store).await;
    let mut other = device.sign(&house.challenge().await, 5);
    other.client = Device::client("webauthn.get", &house.challenge().await, "https://evil.test");
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&other, None).await));
    let mut forged = device.sign(&house.challenge().await, 5);
    forged.signature[9] ^= 1;
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&forged, None).await));
    let mut stranger = Device::new(b"first", house.anna);
    stranger.count = 50;
    let given = stranger.sign(&house.challenge().await, 5);
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&given, None).await), "another key");
    // A challenge for proving is none for signing in.
    let proof = house.accounts.begin_passkey_proof(house.anna).await.unwrap();
    let given = device.sign(&proof.challenge, 5);
    let refused = house.accounts.sign_in_by_passkey(&given, None).await.unwrap_err();
    assert!(matches!(refused, AccountsError::TicketVoid), "{refused}");
    // Another's account is not opened by naming it.
    let berit = house.accounts.sign_up(named("berit")).await.unwrap();
    let mut given = device.sign(&house.challenge().await, 5);
    given.user = berit.to_bytes().to_vec();
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&given, None).await));
    let asked = house.accounts.begin_passkey_proof(berit).await.unwrap();
    let given = device.sign(&asked.challenge, 5);
    assert!(is_wrong(house.accounts.prove_by_passkey(berit, &given).await));
}

async fn a_count_that_does_not_grow_is_a_copy_and_is_refused_and_written_down(store: Store) {
    let (house, mut device, _) = House::with_passkey(store).await;
    device.count = 10;
    let given = device.sign(&house.challenge().await, 5);
    house.accounts.sign_in_by_passkey(&given, None).await.unwrap();
    device.count = 5;
    let given = device.sign(&house.challenge().await, 5);
    assert!(is_wrong(house.accounts.sign_in_by_passkey(&given, None).await));
    let log = house.accounts.audit_log(house.anna, 50).await.unwrap();
    assert!(log.iter().any(|l| l.action == "passkey.copied"), "{log:?}");
    device.count = 11;
    let given = device.sign(&house.challenge().await, 5);
    house.accounts.sign_in_by_passkey(&given, None).await.unwrap();
}

async fn with_a_passkey_the_password_alone_opens_nothing_and_a_lost_one_is_replaced_by_codes(
    store: Store,
) {
    let (house, mut device, codes) = House::with_passkey(store).await;
    // The password, then the passkey as second factor; that it verifies is not needed here.
    let ticket = house.ticket().await;
    let asked = house.accounts.begin_passkey_second(&ticket).await.unwrap();
    assert_eq!(asked.allowed.len(), 1);
    let given = device.sign(&asked.challenge, 1);
    house.accounts.sign_in_second_by_passkey(&ticket, &given, None).await.unwrap();
    // The passkey is lost: a code opens the account, and another removes the passkey.
    let ticket = house.ticket().await;
    house.accounts.sign_in_second(&ticket, &codes[0], None).await.unwrap();
    let id = URL_SAFE_NO_PAD.encode(b"first");
    let without = house.accounts.remove_passkey(house.anna, &id, (PASSWORD, ""), None).await;
    assert!(matches!(without.unwrap_err(), AccountsError::WrongCode));
    let proof = (PASSWORD, codes[1].as_str());
    house.accounts.remove_passkey(house.anna, &id, proof, None).await.unwrap();
    let factors = house.accounts.factors(house.anna).await.unwrap();
    assert!(!factors.is_needed() && factors.recovery_left == 0, "{factors:?}");
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
}

async fn a_passkeys_proof_stands_in_for_a_code_once(store: Store) {
    let (house, mut device, _) = House::with_passkey(store).await;
    let asked = house.accounts.begin_passkey_proof(house.anna).await.unwrap();
    let given = device.sign(&asked.challenge, 1);
    let proof = house.accounts.prove_by_passkey(house.anna, &given).await.unwrap();
    let berit = house.accounts.sign_up(named("berit")).await.unwrap();
    house.accounts.prove(berit, PASSWORD, None, None).await.unwrap();
    house.accounts.prove(house.anna, PASSWORD, Some(&proof.0), None).await.unwrap();
    let again = house.accounts.prove(house.anna, PASSWORD, Some(&proof.0), None).await;
    assert!(matches!(again.unwrap_err(), AccountsError::WrongCode));
}

async fn asking_by_name_tells_nobody_who_has_an_account_or_a_passkey(store: Store) {
    let (house, ..) = House::with_passkey(store).await;
    house.accounts.sign_up(named("berit")).await.unwrap();
    let ask = async |login: &str| {
        house.accounts.begin_passkey_sign_in(Some(login)).await.unwrap().allowed
    };
    assert_eq!(ask("anna").await[0].0, URL_SAFE_NO_PAD.encode(b"first"));
    // Addresses are not public: whose it is, nothing tells.
    for address in ["anna@example.org", "berit@example.org", "nobody@example.org"] {
        assert!(ask(address).await.is_empty(), "{address}");
    }
    let (berit, nobody) = (ask("berit").await, ask("nobody").await);
    assert_eq!((berit.len(), nobody.len()), (1, 1));
    assert_ne!(berit, nobody);
    assert_eq!(nobody, ask("NOBODY ").await, "the same at each asking");
    assert!(house.accounts.begin_passkey_sign_in(None).await.unwrap().allowed.is_empty());
}

async fn passkeys_are_added_by_proof_bounded_named_and_each_once(store: Store) {
    let (house, mut device, _) = House::with_passkey(store).await;
    let proof = async |device: &mut Device| {
        let asked = house.accounts.begin_passkey_proof(house.anna).await.unwrap();
        let given = device.sign(&asked.challenge, 1);
        house.accounts.prove_by_passkey(house.anna, &given).await.unwrap().0
    };
    let without = house.add(&Device::new(b"second", house.anna), "").await;
    assert!(matches!(without.unwrap_err(), AccountsError::WrongCode));
    let code = proof(&mut device).await;
    let twice = house.add(&device, &code).await;
    assert!(matches!(twice.unwrap_err(), AccountsError::BadPasskey(_)));
    // A challenge that somebody else was given is no challenge of Anna's.
    let berit = house.accounts.sign_up(named("berit")).await.unwrap();
    let asked = house.accounts.begin_passkey(berit, (PASSWORD, ""), None).await.unwrap();
    let stolen = Device::new(b"stolen", house.anna).made(&asked.challenge);
    let stolen = house.accounts.add_passkey(house.anna, &stolen).await;
    assert!(matches!(stolen.unwrap_err(), AccountsError::TicketVoid));
    for n in 1..u8::try_from(PASSKEYS_MAX).unwrap() {
        let code = proof(&mut device).await;
        let codes = house.add(&Device::new(&[n], house.anna), &code).await.unwrap();
        assert!(codes.is_empty(), "only with the first");
    }
    let code = proof(&mut device).await;
    let many = house.add(&Device::new(b"more", house.anna), &code).await;
    assert!(matches!(many.unwrap_err(), AccountsError::TooManyPasskeys));
    let id = URL_SAFE_NO_PAD.encode([3]);
    house.accounts.rename_passkey(house.anna, &id, " work ").await.unwrap();
    let other = house.accounts.rename_passkey(berit, &id, "mine").await;
    assert!(matches!(other.unwrap_err(), AccountsError::NoSuchPasskey));
    let names: Vec<_> = house.accounts.passkeys(house.anna).await.unwrap();
    assert_eq!(names.iter().filter(|p| p.name == "work").count(), 1);
    assert!(house.clock.now() >= names[0].made);
}

laws! {
    passkeys: [
        a_passkey_signs_in_alone_once_a_challenge_and_only_where_it_verifies,
        what_a_passkey_did_not_sign_for_this_site_and_purpose_counts_for_nothing,
        a_count_that_does_not_grow_is_a_copy_and_is_refused_and_written_down,
        with_a_passkey_the_password_alone_opens_nothing_and_a_lost_one_is_replaced_by_codes,
        a_passkeys_proof_stands_in_for_a_code_once,
        asking_by_name_tells_nobody_who_has_an_account_or_a_passkey,
        passkeys_are_added_by_proof_bounded_named_and_each_once,
    ]
}
