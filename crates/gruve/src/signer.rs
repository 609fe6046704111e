//! `gruve signer`: the other side of orders. It runs where the keys are, needs no network and no configuration, and
//! believes nothing of an order but what its own keys and hashes prove.
//!
//! Promises: what is signed was shown first, and either a person said yes to it or it is within the limits on the
//! command line; what was signed stands in the journal beside the key, on disk, before the signature leaves. The
//! limit of a day counts by that journal, whatever the house says. Nothing of the key is ever printed.

use clap::{Args, Subcommand, ValueEnum};
use gruve_chain::{ChainParams, NetworkName, address_for_script, hash_to_text, params_for};
use gruve_treasury::order::{PSBT_BYTES_MAX, Shown, answer, read};
use gruve_treasury::{Passphrase, PayoutPolicy, ScriptForm, Seed, SeedError, WalletKeys};
use gruve_units::{Amount, Asset, Clock, SystemClock, SystemEntropy, Timestamp};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a limit by the day looks back over, seconds.
const DAY_SECS: i64 = 86_400;

/// `gruve signer …`
#[derive(Clone, Debug, Subcommand)]
pub enum SignerCommand {
    /// Makes a new key file.
    New(KeyFile),
    /// Prints the account's public key, for `[[signer]]` in the house's configuration.
    Show {
        /// Whose key.
        #[command(flatten)]
        key: KeyFile,
        /// Of which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
    },
    /// Shows what an order would do, and signs it.
    Sign(SignArgs),
}

/// The key's file.
#[derive(Clone, Debug, Args)]
pub struct KeyFile {
    /// The file with the seed, as a house's `wallet.seed`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with the seed's passphrase on its first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Which wallet of the seed.
#[derive(Clone, Copy, Debug, Args)]
pub struct WalletArgs {
    /// The coin.
    #[arg(long)]
    asset: Asset,
    /// The network.
    #[arg(long, value_enum, default_value = "mainnet")]
    network: Net,
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// The coin's main network.
    Mainnet,
    /// Its test network.
    Testnet,
    /// A private chain of the real node, or the development chain.
    Regtest,
}

/// `gruve signer sign`
#[derive(Clone, Debug, Args)]
pub struct SignArgs {
    /// The order: a PSBT, as bytes or Base64.
    order: PathBuf,
    /// Whose key.
    #[command(flatten)]
    key: KeyFile,
    /// Of which wallet.
    #[command(flatten)]
    wallet: WalletArgs,
    /// Where the signed PSBT goes; beside the order as `….signed.psbt` if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only show it.
    #[arg(long, conflicts_with_all = ["most_minor", "out"])]
    show: bool,
    /// Sign without asking what takes no more than so many minor units out of the wallet, fee included. Without it a
    /// person is asked.
    #[arg(long, value_name = "MINOR")]
    most_minor: Option<i64>,
    /// Refuse what would take more than this out of the wallet in 24 hours, by the journal beside the key.
    #[arg(long, value_name = "MINOR")]
    day_minor: Option<i64>,
    /// Refuse a higher fee than so many minor units for 1000 virtual bytes; the coin's usual ceiling if not given.
    #[arg(long, value_name = "MINOR")]
    rate_max: Option<i64>,
}

/// Does what is asked.
///
/// # Errors
/// In words, without anything of the key.
pub fn run(command: SignerCommand) -> Result<ExitCode, String> {
    match command {
        SignerCommand::New(file) => {
            if file.key.exists() {
                return Err(format!("{} is there already, and stays", file.key.display()));
            }
            open(&file, true)?;
            println!("{} is made. Copy it to where it survives this machine.", file.key.display());
        }
        SignerCommand::Show { key, wallet } => {
            println!("{}", wallet_of(&open(&key, false)?, wallet)?.0.account_key());
        }
        SignerCommand::Sign(args) => {
            let (keys, params) = wallet_of(&open(&args.key, false)?, args.wallet)?;
            sign(&args, &keys, &params, &SystemClock, &mut asked)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(file: &KeyFile, is_new: bool) -> Result<Seed, String> {
    let at = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    if !is_new && !file.key.exists() {
        return Err(at(&file.key, &"there is no such key"));
    }
    let passphrase = match &file.passphrase_file {
        Some(path) => {
            let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(|e| at(path, &e))?);
            let first = text.lines().next().unwrap_or_default();
            Some(Passphrase::new(first).map_err(|e| e.to_string())?)
        }
        None => None,
    };
    let seed = Seed::open_or_create_with(&file.key, &SystemEntropy, passphrase.as_ref());
    seed.map_err(|e| match e {
        SeedError::Locked(key) => {
            at(&key, &"is under a passphrase: name the file with it by --passphrase-file")
        }
        e => e.to_string(),
    })
}

fn wallet_of(seed: &Seed, args: WalletArgs) -> Result<(WalletKeys, ChainParams), String> {
    let network = match args.network {
        Net::Mainnet => NetworkName::Mainnet,
        Net::Testnet => NetworkName::Testnet,
        Net::Regtest => NetworkName::Regtest,
    };
    let params = params_for(args.asset, network).map_err(|e| e.to_string())?;
    let form = if params.segwit { ScriptForm::Wpkh } else { ScriptForm::Pkh };
    let keys = WalletKeys::new(seed, args.asset, form, network == NetworkName::Mainnet);
    Ok((keys.map_err(|e| e.to_string())?, params))
}

/// A person's word.
fn asked() -> Result<bool, String> {
    eprint!("sign it? Write yes: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| e.to_string())?;
    Ok(line.trim() == "yes")
}

/// Shows an order and signs it, where the limits or a person allow it.
fn sign(
    args: &SignArgs,
    keys: &WalletKeys,
    params: &ChainParams,
    clock: &dyn Clock,
    ask: &mut dyn FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let at = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut order = Vec::new();
    let file = fs::File::open(&args.order).map_err(|e| at(&args.order, &e))?;
    let most = PSBT_BYTES_MAX as u64 * 2;
    file.take(most).read_to_end(&mut order).map_err(|e| at(&args.order, &e))?;
    let shown = read(&order, keys).map_err(|e| e.to_string())?;
    print!("{}", told(&shown, params));
    let ceiling = args.rate_max.unwrap_or(PayoutPolicy::of(params).rate_ceiling.0);
    if shown.rate.0 > ceiling {
        return Err(format!("not signed: the fee's rate is above {ceiling}"));
    }
    let journal = Journal::beside(&args.key.key);
    let now = clock.now();
    if let Some(limit) = args.day_minor {
        let before = journal.left_since(params.asset, now, &shown.id)?;
        if before.saturating_add(shown.leaves()) > limit {
            let before = Amount::new(params.asset, before);
            return Err(format!(
                "not signed: {before} have left in 24 hours already, and the limit is {limit} minor units"
            ));
        }
    }
    if args.show {
        return Ok(());
    }
    match args.most_minor {
        Some(most) if shown.leaves() > most => {
            return Err(format!(
                "not signed: it takes more than {most} minor units out of the wallet"
            ));
        }
        Some(_) => {}
        None if ask()? => {}
        None => return Err("not signed".to_owned()),
    }
    let signed = answer(&order, keys).map_err(|e| e.to_string())?;
    journal.write(params.asset, now, &shown)?;
    let out = args.out.clone().unwrap_or_else(|| args.order.with_extension("signed.psbt"));
    let draft = out.with_extension("draft");
    let written = fs::write(&draft, signed).and_then(|()| fs::rename(&draft, &out));
    written.map_err(|e| at(&out, &e))?;
    println!("signed: {}", out.display());
    Ok(())
}

/// What an order would do, for a person.
fn told(shown: &Shown, params: &ChainParams) -> String {
    let amount = |minor| Amount::new(params.asset, minor);
    let mut text = format!("transaction {}\n", hash_to_text(&shown.id));
    for (script, value) in &shown.payments {
        let to = address_for_script(params, script).unwrap_or_else(|| hex::encode(script));
        let _ = writeln!(text, "pays      {:>24}  to {to}", amount(*value).to_string());
    }
    let _ = writeln!(
        text,
        "fee       {:>24}  ({} for 1000 virtual bytes)",
        amount(shown.fee).to_string(),
        shown.rate.0
    );
    let _ = writeln!(text, "comes back{:>24}", amount(shown.change).to_string());
    let _ = writeln!(
        text,
        "leaves    {:>24}  of {} in {} coins",
        amount(shown.leaves()).to_string(),
        amount(shown.spent),
        shown.inputs
    );
    text
}

/// What was signed with a key: a line each, `SECONDS ASSET TRANSACTION MINOR`.
struct Journal(PathBuf);

impl Journal {
    fn beside(key: &Path) -> Journal {
        let mut name = key.as_os_str().to_owned();
        name.push(".signed");
        Journal(PathBuf::from(name))
    }

    /// What left in the last day, without the transaction that is asked for now: signing it again takes nothing more.
    fn left_since(&self, asset: Asset, now: Timestamp, id: &[u8; 32]) -> Result<i64, String> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(e) => return Err(format!("{}: {e}", self.0.display())),
        };
        let (mut seen, mut sum) = (std::collections::BTreeSet::from([hash_to_text(id)]), 0_i64);
        for (at, line) in text.lines().enumerate() {
            let odd = || format!("{}, line {}: it cannot be read", self.0.display(), at + 1);
            let words: Vec<&str> = line.split(' ').collect();
            let [secs, of, id, minor] = words.as_slice() else { return Err(odd()) };
            let secs: i64 = secs.parse().map_err(|_| odd())?;
            let minor: i64 = minor.parse().map_err(|_| odd())?;
            let of: Asset = of.parse().map_err(|_| odd())?;
            // What seems to come later counts: a clock that went back opens no new day.
            let is_young = secs > now.secs().saturating_sub(DAY_SECS);
            if of == asset && is_young && seen.insert((*id).to_owned()) {
                sum = sum.saturating_add(minor);
            }
        }
        Ok(sum)
    }

    fn write(&self, asset: Asset, now: Timestamp, shown: &Shown) -> Result<(), String> {
        let line =
            format!("{} {asset} {} {}\n", now.secs(), hash_to_text(&shown.id), shown.leaves());
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0);
        let written =
            file.and_then(|mut f| f.write_all(line.as_bytes()).and_then(|()| f.sync_all()));
        written.map_err(|e| format!("{}: {e}", self.0.display()))
    }
}

#[cfg(test)]
mod tests {
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
        params: ChainParams,
        clock: ManualClock,
    }

    fn bench() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let wallet = WalletArgs { asset: Asset::Btc, network: Net::Regtest };
        let file = KeyFile { key: dir.path().join("key"), passphrase_file: None };
        run(SignerCommand::New(file.clone())).unwrap();
        assert!(run(SignerCommand::New(file.clone())).is_err(), "a key is never made over");
        let (keys, params) = wallet_of(&open(&file, false).unwrap(), wallet).unwrap();
        Bench { dir, keys, params, clock: ManualClock::new(Timestamp::from_secs(1_700_000_000)) }
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
            let coin =
                Coin { txid, vout: 0, value: pays + 1_000, keychain: Keychain::PayIn, index: 1 };
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
                most_minor: Some(1_000_000),
                day_minor: None,
                rate_max: None,
            }
        }

        fn sign(&self, args: &SignArgs) -> Result<(), String> {
            sign(args, &self.keys, &self.params, &self.clock, &mut || Ok(false))
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
        let dear = SignArgs { rate_max: Some(1_000), ..b.args(small.clone()) };
        assert!(b.sign(&dear).unwrap_err().contains("rate"));
        let shown = SignArgs { show: true, ..b.args(small.clone()) };
        b.sign(&shown).unwrap();
        let person = SignArgs { most_minor: None, ..b.args(small.clone()) };
        assert_eq!(b.sign(&person).unwrap_err(), "not signed", "the person said no");
        assert!(!small.with_extension("signed.psbt").exists());
        b.sign(&b.args(small.clone())).unwrap();
        assert!(small.with_extension("signed.psbt").exists());
    }

    #[test]
    fn the_days_limit_counts_what_was_signed_whatever_the_house_says() {
        let b = bench();
        let of = |order| SignArgs { day_minor: Some(900_000), ..b.args(order) };
        let (one, two) = (of(b.order(1, 500_000)), of(b.order(2, 500_000)));
        b.sign(&one).unwrap();
        b.sign(&one).unwrap();
        let told = b.sign(&two).unwrap_err();
        assert!(told.contains("in 24 hours"), "{told}");
        b.clock.set(Timestamp::from_secs(1_600_000_000));
        assert!(b.sign(&two).is_err(), "a clock that went back opens no new day");
        b.clock.set(Timestamp::from_secs(1_700_000_000 + DAY_SECS + 1));
        b.sign(&two).unwrap();
        fs::write(b.dir.path().join("key.signed"), "torn").unwrap();
        assert!(b.sign(&of(b.order(3, 5_000))).unwrap_err().contains("line 1"), "never guessed");
    }
}
