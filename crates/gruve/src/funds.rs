//! `gruve admin reserves`: statements of funds. What is owed to everybody and what is there to pay it with are taken
//! from the books and the wallets in one transaction, signed by whoever holds the coins, and put into the public record.
//!
//! | step | what it does |
//! |---|---|
//! | `draft` | takes the books as they stand, signs with the house's keys, writes what others must sign |
//! | `publish` | takes their signatures, checks everything as a reader would, publishes; drafts first when there is no draft |
//! | `proof` | a customer's proof that a statement counts what is owed to him |
//!
//! Promises: a draft is of one state of the books; nothing is published that `gruve verify` would refuse; a crash leaves
//! a draft or a statement, never half of one.

mod cold;
mod draft;
mod proof;
mod publish;
mod schedule;

use crate::config::Config;
use crate::house::Parts;
use crate::house::files::Holding;
use crate::house::record::folder_of;
use crate::serve::read_config;
use clap::Subcommand;
pub(crate) use cold::{ToSign, json as read_json};
use gruve_store::Store;
use gruve_treasury::Treasury;
use gruve_units::{AccountId, Amount, Clock, SystemClock, SystemEntropy};
use gruve_web::FundsShelf as _;
use proof::Shelf;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The file of what makes the salts of trees, in the data folder.
const SALT_FILE: &str = "funds.salt";

/// `gruve admin reserves …`
#[derive(Clone, Debug, Subcommand)]
pub enum ReservesCommand {
    /// Takes the books as they stand and writes what is to be signed elsewhere.
    Draft {
        /// Coins and accounts under keys kept elsewhere: a JSON list.
        #[arg(long, value_name = "FILE")]
        cold: Option<PathBuf>,
    },
    /// Publishes the draft, or the house's own wallets as they stand when there is none.
    Publish {
        /// Signatures made elsewhere: `unsigned.json` of the draft, filled in.
        #[arg(long, value_name = "FILE")]
        signatures: Option<PathBuf>,
    },
    /// Throws the draft away.
    Discard,
    /// Prints a customer's proof that the last published statement counts what is owed to him.
    Proof {
        /// The customer.
        account: AccountId,
        /// The asset, as `BTC`.
        asset: String,
    },
}

/// Where things of this kind are kept.
#[derive(Clone, Debug)]
struct Places {
    /// The draft.
    draft: PathBuf,
    /// Trees of published statements, by the hash of their root. Private.
    kept: PathBuf,
    /// The public folder.
    public: PathBuf,
}

impl Places {
    fn of(data: &Path, public: PathBuf) -> Places {
        let funds = data.join("funds");
        Places { draft: funds.join("draft"), kept: funds.join("kept"), public }
    }
}

/// Does what is asked.
///
/// # Errors
/// In words.
pub async fn run(config: PathBuf, order: ReservesCommand) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let desk = Desk::open(&config, &parts)?;
    match order {
        ReservesCommand::Draft { cold } => {
            let cold = cold.as_deref().map(cold::read).transpose()?.unwrap_or_default();
            let open = desk.draft(cold).await?;
            desk.tell(open)?;
        }
        ReservesCommand::Publish { signatures } => {
            if !desk.has_draft() {
                desk.draft(Vec::new()).await?;
                desk.tell(0)?;
            }
            let statement = desk.publish(signatures.as_deref()).await?;
            println!(
                "statement {statement} is written down; it stands in the log with the next epoch's entry"
            );
        }
        ReservesCommand::Discard => desk.discard()?,
        ReservesCommand::Proof { account, asset } => {
            let proof = desk.shelf().proof(account, &asset)?;
            let proof = proof.ok_or_else(|| {
                format!("the public log has no statement that counts {asset} of {account}")
            })?;
            println!("{}", serde_json::to_string_pretty(&proof).map_err(|e| e.to_string())?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a statement is made with.
#[derive(Clone)]
pub(crate) struct Desk {
    origin: String,
    secret: [u8; 32],
    store: Store,
    clock: Arc<dyn Clock>,
    treasury: Treasury,
    places: Places,
}

impl Desk {
    /// The desk of a house.
    ///
    /// # Errors
    /// When the file of its salt cannot be used.
    pub(crate) fn open(config: &Config, parts: &Parts) -> Result<Desk, String> {
        let secret = parts.folder.secret(SALT_FILE, parts.entropy.as_ref());
        Ok(Desk {
            origin: config.house.origin.clone(),
            secret: secret.map_err(|e| e.to_string())?,
            store: parts.store.clone(),
            clock: parts.clock.clone(),
            treasury: parts.treasury.clone(),
            places: Places::of(&config.house.data, folder_of(config)),
        })
    }

    /// What is published, for the site.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf::new(self.places.clone(), self.secret)
    }

    /// Says what the draft says.
    fn tell(&self, open: usize) -> Result<(), String> {
        let (entry, _) = self.read_draft()?;
        for a in &entry.assets {
            let (owed, held) = (coins(&a.asset, a.owed.sum), coins(&a.asset, a.reserves));
            println!("{}: {owed} owed, {held} held", a.asset);
        }
        if open > 0 {
            println!("{open} scripts are to be signed elsewhere: {}", self.unsigned().display());
        }
        Ok(())
    }
}

/// An error with its file.
fn at(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}

/// A sum in whole coins; in minor units, and said so, where it is no amount of ours.
fn coins(asset: &str, minor: u128) -> String {
    match (asset.parse(), i64::try_from(minor)) {
        (Ok(asset), Ok(minor)) => Amount::new(asset, minor).decimal(),
        _ => format!("{minor} minor units"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_in_whole_coins() {
        assert_eq!(coins("BTC", 98_133_010_000), "981.33010000");
        assert_eq!(coins("ETC", 1), "0.000000001");
        assert_eq!(coins("XYZ", 7), "7 minor units");
        assert_eq!(coins("BTC", u128::MAX), format!("{} minor units", u128::MAX));
    }
}
