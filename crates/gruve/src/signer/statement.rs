//! `gruve signer statement`: signs a statement of funds for the scripts and accounts that a key makes.
//!
//! Promises: nothing but such a statement is signed, of the log that a person or the command line names, and no signature
//! made here can move a coin (BIP-322; EIP-191). Which scripts are the key's it finds out for itself. Must not know
//! whether what is stated is true: who reads the statement asks a node.

use super::{KeyFile, Net, WalletArgs, open, wallet_of};
use crate::funds::{ToSign, read_json};
use gruve_treasury::{AccountKeys, Keychain, WalletKeys, account_signature, exchange};
use gruve_treasury::{KeyError, TreasuryError, script_signature};
use gruve_units::Asset;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// `gruve signer statement`
#[derive(Clone, Debug, clap::Args)]
pub struct StatementArgs {
    /// What is to be signed: `unsigned.json` of the house's draft.
    pub(super) unsigned: PathBuf,
    /// Whose key.
    #[command(flatten)]
    pub(super) key: KeyFile,
    /// Of which wallet.
    #[command(flatten)]
    pub(super) wallet: WalletArgs,
    /// Where the list with signatures goes; beside it as `….signed.json` if not given.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Sign without asking what is of the log with this origin. Without it a person is asked.
    #[arg(long, value_name = "ORIGIN")]
    pub(super) origin: Option<String>,
    /// How many addresses of each kind are the wallet's at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000)]
    pub(super) addresses: u32,
}

/// The keys of one wallet, of either kind.
enum Keys {
    Scripts(Box<WalletKeys>),
    Accounts(AccountKeys),
}

impl Keys {
    fn of(&self, keychain: Keychain, index: u32) -> Result<String, KeyError> {
        Ok(match self {
            Keys::Scripts(keys) => hex::encode(keys.script(keychain, index)?),
            Keys::Accounts(keys) => hex::encode(keys.address(keychain, index)?.0),
        })
    }

    fn sign(&self, keychain: Keychain, index: u32, message: &str) -> Result<String, TreasuryError> {
        match self {
            Keys::Scripts(keys) => script_signature(keys, keychain, index, message),
            Keys::Accounts(keys) => account_signature(keys, keychain, index, message),
        }
    }
}

/// The origin of the log that a message is of, where it is a statement of funds about this asset.
fn origin_of<'a>(message: &'a str, asset: &str) -> Option<&'a str> {
    let lines: Vec<&str> = message.split('\n').collect();
    let [title, log, statement, of, block, holdings] = lines.as_slice() else { return None };
    let is_one = *title == "gruve reserves 1"
        && statement.starts_with("statement ")
        && of.strip_prefix("asset ") == Some(asset)
        && block.starts_with("block ")
        && holdings.starts_with("holdings ");
    let mut words = log.strip_prefix("log ").filter(|_| is_one)?.rsplitn(3, ' ');
    let (_root, _size) = (words.next()?, words.next()?);
    words.next()
}

/// Signs what is the key's; how many scripts that was.
pub(super) fn statement(
    args: &StatementArgs,
    ask: &mut dyn FnMut() -> Result<bool, String>,
) -> Result<usize, String> {
    let mut list: Vec<ToSign> = read_json(&args.unsigned)?;
    let asset = args.wallet.asset.to_string();
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    let mut messages = BTreeSet::new();
    for (at, entry) in list.iter().enumerate() {
        if entry.asset == asset && entry.signature.is_empty() {
            wanted.insert(entry.of.clone(), at);
            messages.insert(entry.message.clone());
        }
    }
    // One statement has one message for all holders of an asset.
    let [message] = messages.iter().collect::<Vec<_>>()[..] else {
        return Err(format!(
            "{}: no {asset} is to be signed for, or several statements",
            args.unsigned.display()
        ));
    };
    let origin = origin_of(message, &asset)
        .ok_or("not signed: the message is no statement of funds about this asset")?;
    println!("{message}\n{} scripts", wanted.len());
    match &args.origin {
        Some(ours) if ours != origin => {
            return Err(format!("not signed: it is of the log {origin}"));
        }
        Some(_) => {}
        None if ask()? => {}
        None => return Err("not signed".to_owned()),
    }
    let seed = open(&args.key, false)?;
    let keys = match args.wallet.asset {
        Asset::Etc | Asset::Eth => {
            let keys =
                AccountKeys::new(&seed, args.wallet.asset, args.wallet.network == Net::Mainnet);
            Keys::Accounts(keys.map_err(|e| e.to_string())?)
        }
        _ => Keys::Scripts(Box::new(wallet_of(&seed, args.wallet)?.0)),
    };
    let message = message.clone();
    let mut signed = 0;
    'all: for index in 0..args.addresses {
        for keychain in Keychain::ALL {
            if wanted.is_empty() {
                break 'all;
            }
            let of = keys.of(keychain, index).map_err(|e| e.to_string())?;
            let Some(at) = wanted.remove(&of) else { continue };
            let made = keys.sign(keychain, index, &message);
            list[at].signature = made.map_err(|e| e.to_string())?;
            signed += 1;
        }
    }
    if signed == 0 {
        return Err("not signed: no script of it is this key's".to_owned());
    }
    let out = args.out.clone().unwrap_or_else(|| args.unsigned.with_extension("signed.json"));
    let text = serde_json::to_string_pretty(&list).map_err(|e| e.to_string())?;
    exchange::put(&out, text.as_bytes()).map_err(|e| format!("{}: {e}", out.display()))?;
    println!("signed for {signed} scripts, {} are others': {}", wanted.len(), out.display());
    Ok(signed)
}
