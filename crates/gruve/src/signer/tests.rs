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

#[test]
fn a_key_under_a_passphrase_says_how_to_give_it() {
    let dir = tempfile::tempdir().unwrap();
    let (key, passphrase) = (dir.path().join("key"), dir.path().join("passphrase"));
    fs::write(&passphrase, "six words that nobody else has\n").unwrap();
    let file = KeyFile { key, passphrase_file: Some(passphrase) };
    run(SignerCommand::New(file.clone())).unwrap();
    let refused = open(&KeyFile { passphrase_file: None, ..file.clone() }, false).err();
    assert!(refused.unwrap().contains("--passphrase-file"));
    open(&file, false).unwrap();
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

#[test]
fn a_statement_of_funds_is_signed_for_what_is_the_keys_and_nothing_else_is() {
    use crate::funds::ToSign;
    use gruve_proof::reserves::{Holder, Holding};
    let b = bench();
    let seed = open(&KeyFile { key: b.dir.path().join("key"), passphrase_file: None }, false);
    let accounts = gruve_treasury::AccountKeys::new(&seed.unwrap(), Asset::Etc, false).unwrap();
    let message = |asset: &str| {
        let lines = ["gruve reserves 1", "log mine.example/log 7 cm9vdA==", "statement 3"];
        format!("{}\nasset {asset}\nblock 9 00ff\nholdings 00", lines.join("\n"))
    };
    let entry = |asset: Asset, of: Vec<u8>, message: String| ToSign {
        asset: asset.to_string(),
        of: hex::encode(of),
        message,
        signature: String::new(),
    };
    let script = |keychain, index| b.keys.script(keychain, index).unwrap().into_bytes();
    let account = accounts.address(Keychain::Capital, 0).unwrap().0.to_vec();
    let list = vec![
        entry(Asset::Btc, script(Keychain::PayIn, 7), message("BTC")),
        entry(Asset::Btc, script(Keychain::Change, 120), message("BTC")),
        entry(Asset::Btc, vec![0x51; 22], message("BTC")),
        entry(Asset::Etc, account, message("ETC")),
    ];
    let path = b.dir.path().join("unsigned.json");
    let args = |asset, origin: Option<&str>| statement::StatementArgs {
        unsigned: path.clone(),
        key: KeyFile { key: b.dir.path().join("key"), passphrase_file: None },
        wallet: WalletArgs { asset, network: Net::Regtest },
        out: Some(path.clone()),
        origin: origin.map(str::to_owned),
        addresses: 200,
    };
    let write = |list: &[ToSign]| fs::write(&path, serde_json::to_vec(list).unwrap()).unwrap();
    let sign = |args: &statement::StatementArgs, says| statement::statement(args, &mut || Ok(says));
    write(&list);
    assert!(sign(&args(Asset::Btc, Some("other.example/log")), true).is_err());
    assert!(sign(&args(Asset::Btc, None), false).is_err(), "the person said no");
    assert!(sign(&args(Asset::Ltc, None), true).is_err(), "nothing of it is to be signed");
    assert_eq!(sign(&args(Asset::Btc, Some("mine.example/log")), false), Ok(2));
    assert_eq!(sign(&args(Asset::Etc, None), true), Ok(1));
    let signed: Vec<ToSign> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(signed[2].signature.is_empty(), "another's script");
    for (at, holding) in [(0, Holding::Coins(Vec::new())), (3, Holding::Account(5))] {
        let of = hex::decode(&signed[at].of).unwrap();
        let holder = Holder { of, signature: signed[at].signature.clone(), holding };
        assert_eq!(holder.check(&list[at].message), Ok(()), "{at}");
    }
    // Anything else that a house might want to have signed: a letter to an exchange, an order in a market.
    for other in
        ["I own this", "gruve reserves 1\nlog mine.example/log 7 cm9vdA==", &message("LTC")]
    {
        write(&[entry(Asset::Btc, script(Keychain::PayIn, 7), other.to_owned())]);
        let told = sign(&args(Asset::Btc, Some("mine.example/log")), true).unwrap_err();
        assert!(told.contains("no statement"), "{told}");
    }
}
