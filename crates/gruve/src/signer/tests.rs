//! What the signer promises.

use super::*;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::transaction::Version;
use bitcoin::{Amount as Value, OutPoint, Transaction, TxIn, TxOut, Txid};
use gruve_treasury::transaction::{Coin, build};
use gruve_treasury::{Keychain, order};
use gruve_units::ManualClock;
use std::collections::BTreeMap;

struct Bench {
    dir: tempfile::TempDir,
    keys: WalletKeys,
    clock: ManualClock,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let wallet = WalletArgs { asset: Asset::Btc, network: Net::Regtest };
    let file = KeyFile { key: dir.path().join("key"), passphrase_file: None };
    run(SignerCommand::New(file.clone())).unwrap();
    assert!(run(SignerCommand::New(file.clone())).is_err(), "a key is never made over");
    let (keys, _) = wallet_of(&open(&file, false).unwrap(), wallet).unwrap();
    Bench { dir, keys, clock: ManualClock::new(Timestamp::from_secs(1_700_000_000)) }
}

impl Bench {
    /// An order for a payment of `pays` with a fee of 1,000; others for other numbers.
    fn order(&self, number: u8, pays: i64) -> PathBuf {
        let script_pubkey = self.keys.script(Keychain::PayIn, 1).unwrap();
        let value = Value::from_sat(u64::try_from(pays + 1_000).unwrap());
        let made_by = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint::new(Txid::from_byte_array([number; 32]), 0),
                ..TxIn::default()
            }],
            output: vec![TxOut { value, script_pubkey }],
        };
        let txid = made_by.compute_txid().to_byte_array();
        let coin = Coin { txid, vout: 0, value: pays + 1_000, keychain: Keychain::PayIn, index: 1 };
        let plan = build(&[coin], &[([&[0, 20][..], &[7; 20]].concat(), pays)]).unwrap();
        let previous = BTreeMap::from([(txid, made_by)]);
        let psbt = order::request(&plan, &[coin], &previous, &[], &self.keys).unwrap();
        let path = self.dir.path().join(format!("{number}.psbt"));
        fs::write(&path, psbt).unwrap();
        path
    }

    fn args(&self, order: PathBuf) -> SignArgs {
        SignArgs {
            order,
            key: KeyFile { key: self.dir.path().join("key"), passphrase_file: None },
            wallet: WalletArgs { asset: Asset::Btc, network: Net::Regtest },
            out: None,
            show: false,
            limits: Limits { most_minor: Some(1_000_000), day_minor: None, rate_max: None },
        }
    }

    fn signing(&self, limits: Limits) -> Signing {
        let wallet = WalletArgs { asset: Asset::Btc, network: Net::Regtest };
        let key = KeyFile { key: self.dir.path().join("key"), passphrase_file: None };
        Signing::open(&key, wallet, limits).unwrap()
    }

    fn sign(&self, args: &SignArgs) -> Result<(), String> {
        sign(args, &self.signing(args.limits), &self.clock, &mut || Ok(false))
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("key.signed")
    }
}

#[test]
fn what_is_within_the_limits_is_signed_and_the_rest_is_not() {
    let b = bench();
    let large = b.order(1, 999_001);
    let told = b.sign(&b.args(large.clone())).unwrap_err();
    assert!(told.contains("more than 1000000"), "{told}");
    assert!(!large.with_extension("signed.psbt").exists());
    let small = b.order(2, 500_000);
    let limits = |most_minor, rate_max| Limits { most_minor, day_minor: None, rate_max };
    let dear = SignArgs { limits: limits(Some(1_000_000), Some(1_000)), ..b.args(small.clone()) };
    assert!(b.sign(&dear).unwrap_err().contains("rate"));
    let shown = SignArgs { show: true, ..b.args(small.clone()) };
    b.sign(&shown).unwrap();
    let person = SignArgs { limits: limits(None, None), ..b.args(small.clone()) };
    assert_eq!(b.sign(&person).unwrap_err(), "not signed", "the person said no");
    assert!(!small.with_extension("signed.psbt").exists());
    b.sign(&b.args(small.clone())).unwrap();
    assert!(small.with_extension("signed.psbt").exists());
}

#[test]
fn the_days_limit_counts_what_was_signed_whatever_the_house_says() {
    let b = bench();
    let day_minor = Some(900_000);
    let limits = Limits { most_minor: Some(1_000_000), day_minor, rate_max: None };
    let of = |order| SignArgs { limits, ..b.args(order) };
    let (one, two) = (of(b.order(1, 500_000)), of(b.order(2, 500_000)));
    b.sign(&one).unwrap();
    b.sign(&one).unwrap();
    let told = b.sign(&two).unwrap_err();
    assert!(told.contains("in 24 hours"), "{told}");
    b.clock.set(Timestamp::from_secs(1_600_000_000));
    assert!(b.sign(&two).is_err(), "a clock that went back opens no new day");
    b.clock.set(Timestamp::from_secs(1_700_000_000 + DAY_SECS + 1));
    b.sign(&two).unwrap();
    let three = of(b.order(3, 5_000));
    let whole = fs::read_to_string(b.journal()).unwrap();
    // What is left of a number is a number.
    for (torn, told) in [(&whole[..whole.len() - 2], "torn"), ("torn\n", "line 1")] {
        fs::write(b.journal(), torn).unwrap();
        assert!(b.sign(&three).unwrap_err().contains(told), "never guessed");
    }
}

#[test]
fn the_same_order_is_written_down_once_and_gives_the_same_bytes() {
    let b = bench();
    let limits = Limits { most_minor: Some(600_000), day_minor: Some(600_000), rate_max: None };
    let (signing, order) = (b.signing(limits), fs::read(b.order(1, 500_000)).unwrap());
    let shown = read(&order, &signing.keys).unwrap();
    let sign = || signing.sign(&order, &shown, b.clock.now()).unwrap();
    assert_eq!((sign(), sign()), (sign(), sign()));
    assert_eq!(fs::read_to_string(b.journal()).unwrap().lines().count(), 1);
}

/// Several processes with one key: each of the threads opens the journal for itself, as they would.
#[test]
fn signers_beside_each_other_do_not_spend_a_days_limit_twice() {
    let b = bench();
    let limits = Limits { most_minor: Some(600_000), day_minor: Some(1_100_000), rate_max: None };
    let orders: Vec<Vec<u8>> = (1..=12).map(|n| fs::read(b.order(n, 500_000)).unwrap()).collect();
    let now = b.clock.now();
    let signed = std::thread::scope(|threads| {
        let all: Vec<_> = orders
            .iter()
            .map(|order| {
                let signing = b.signing(limits);
                threads.spawn(move || {
                    let shown = read(order, &signing.keys).unwrap();
                    signing.sign(order, &shown, now).is_ok()
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).filter(|is| *is).count()
    });
    assert_eq!(signed, 2, "501,000 each");
    assert_eq!(fs::read_to_string(b.journal()).unwrap().lines().count(), 2);
}

#[test]
fn what_costs_nothing_is_not_written_down_without_end() {
    let b = bench();
    let limits = Limits { most_minor: Some(1_000_000), day_minor: None, rate_max: None };
    let line = |n: u32| format!("{} BTC {n:064x} 0\n", b.clock.now().secs());
    fs::write(b.journal(), (0..1_000).map(line).collect::<String>()).unwrap();
    let (signing, order) = (b.signing(limits), fs::read(b.order(1, 5_000)).unwrap());
    let shown = read(&order, &signing.keys).unwrap();
    assert!(signing.sign(&order, &shown, b.clock.now()).unwrap_err().contains("1000"));
    b.clock.set(Timestamp::from_secs(1_700_000_000 + DAY_SECS + 1));
    signing.sign(&order, &shown, b.clock.now()).unwrap();
}
