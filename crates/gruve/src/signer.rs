//! `gruve signer`: the other side of orders. It runs where the keys are, needs no network and no configuration, and
//! believes nothing of an order but what its own keys and hashes prove.
//!
//! Promises: what is signed was shown first, and either a person said yes to it or it is within the limits on the
//! command line; what was signed stands in the journal beside the key, on disk, before the signature leaves. The
//! limit of a day counts by that journal, whatever the house says. Nothing of the key is ever printed.
//!
//! | command | for |
//! |---|---|
//! | `new`, `show` | the key, and what the house may know of it |
//! | `sign` | one order, shown to a person or held against limits |
//! | `serve` | orders as they come, into a folder or over HTTP, within limits and without a person ([`serve`]) |
//! | `statement` | statements of funds: messages, which move nothing ([`statement`]) |

mod journal;
mod serve;
mod statement;

use clap::{Args, Subcommand, ValueEnum};
use gruve_chain::{ChainParams, NetworkName, address_for_script, hash_to_text, params_for};
use gruve_treasury::order::{PSBT_BYTES_MAX, Shown, answer, read};
use gruve_treasury::{Passphrase, PayoutPolicy, ScriptForm, Seed, SeedError, WalletKeys};
use gruve_units::{Amount, Asset, Clock, SystemClock, SystemEntropy, Timestamp};
use journal::{Day, Journal};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
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
    /// Signs orders as they come, within limits, until it is stopped.
    Serve(serve::ServeArgs),
    /// Signs a statement of funds for what the key holds; such a signature moves no coin.
    Statement(statement::StatementArgs),
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
    /// What it may be.
    #[command(flatten)]
    limits: Limits,
}

/// What may be signed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Limits {
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
            let signing = Signing::open(&args.key, args.wallet, args.limits)?;
            sign(&args, &signing, &SystemClock, &mut asked)?;
        }
        SignerCommand::Statement(args) => {
            statement::statement(&args, &mut asked)?;
        }
        SignerCommand::Serve(args) => return crate::on_runtime(serve::serve(args)),
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

/// A key with what it may sign, and what it has signed.
struct Signing {
    keys: WalletKeys,
    params: ChainParams,
    limits: Limits,
    journal: Journal,
}

impl Signing {
    fn open(key: &KeyFile, wallet: WalletArgs, limits: Limits) -> Result<Signing, String> {
        let (keys, params) = wallet_of(&open(key, false)?, wallet)?;
        Ok(Signing { keys, params, limits, journal: Journal::beside(&key.key) })
    }

    /// Refuses what no person may allow: the limits of the command line.
    fn check(&self, shown: &Shown) -> Result<(), String> {
        let ceiling = self.limits.rate_max.unwrap_or(PayoutPolicy::of(&self.params).rate_ceiling.0);
        if shown.rate.0 > ceiling {
            return Err(format!("not signed: the fee's rate is above {ceiling}"));
        }
        match self.limits.most_minor {
            Some(most) if shown.leaves() > most => {
                Err(format!("not signed: it takes more than {most} minor units out of the wallet"))
            }
            _ => Ok(()),
        }
    }

    fn check_day(&self, shown: &Shown, day: &Day) -> Result<(), String> {
        match self.limits.day_minor {
            Some(limit) if day.left.saturating_add(shown.leaves()) > limit => {
                let before = Amount::new(self.params.asset, day.left);
                Err(format!(
                    "not signed: {before} have left in 24 hours already, and the limit is {limit} minor units"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Signs an order of which [`order::read`](gruve_treasury::order::read) has shown what it does.
    fn sign(&self, order: &[u8], shown: &Shown, now: Timestamp) -> Result<Vec<u8>, String> {
        self.check(shown)?;
        self.journal.with((self.params.asset, now, shown), |day| {
            self.check_day(shown, day)?;
            answer(order, &self.keys).map_err(|e| e.to_string())
        })
    }
}

/// A file, no more of it than an order may have.
fn read_order(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut order = Vec::new();
    // Twice: it may be written as Base64.
    fs::File::open(path)?.take(PSBT_BYTES_MAX as u64 * 2).read_to_end(&mut order)?;
    Ok(order)
}

/// Shows an order and signs it, where the limits or a person allow it.
fn sign(
    args: &SignArgs,
    signing: &Signing,
    clock: &dyn Clock,
    ask: &mut dyn FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let at = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let order = read_order(&args.order).map_err(|e| at(&args.order, &e))?;
    let shown = read(&order, &signing.keys).map_err(|e| e.to_string())?;
    print!("{}", told(&shown, &signing.params));
    signing.check(&shown)?;
    let asset = signing.params.asset;
    // Again under the journal's lock, once a person has said yes.
    signing.check_day(&shown, &signing.journal.day(asset, clock.now(), &shown.id)?)?;
    if args.show {
        return Ok(());
    }
    if signing.limits.most_minor.is_none() && !ask()? {
        return Err("not signed".to_owned());
    }
    let signed = signing.sign(&order, &shown, clock.now())?;
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

#[cfg(test)]
mod tests;
