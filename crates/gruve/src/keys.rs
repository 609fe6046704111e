//! `gruve admin keys`: the passphrase over the wallets' seed.

use crate::serve::read_config;
use clap::Subcommand;
use gruve_treasury::{Passphrase, Seed};
use gruve_units::SystemEntropy;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `gruve admin keys …`
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Says whether the wallets' seed is encrypted.
    Show,
    /// Puts it under the passphrase of the configuration's `[keys]`.
    Encrypt,
    /// Puts it under another passphrase; set `[keys]` to it afterwards.
    Change {
        /// A file with the new passphrase on its first line.
        #[arg(long, value_name = "FILE")]
        new: PathBuf,
    },
    /// Takes the passphrase off.
    Decrypt,
}

/// Carries an order out. The file is replaced whole; a house that runs has read it already and is not touched.
///
/// # Errors
/// What was refused, and why; nothing of any secret.
pub fn keys(config: &Path, order: KeysCommand) -> Result<ExitCode, String> {
    let config = read_config(config)?;
    let path = config.house.data.join("wallet.seed");
    let said = |e: gruve_treasury::SeedError| e.to_string();
    let passphrase = config.keys.passphrase()?;
    let needed = || "set where the passphrase comes from: [keys] in the configuration".to_owned();
    match order {
        KeysCommand::Show => {
            let state = if Seed::is_encrypted(&path).map_err(said)? { "is" } else { "is NOT" };
            println!("{} {state} encrypted", path.display());
            return Ok(ExitCode::SUCCESS);
        }
        KeysCommand::Encrypt => {
            if Seed::is_encrypted(&path).map_err(said)? {
                return Err(
                    "it is encrypted already; `change` gives it another passphrase".to_owned()
                );
            }
            let new = passphrase.ok_or_else(needed)?;
            Seed::encrypt(&path, None, &new, &SystemEntropy).map_err(said)?;
        }
        KeysCommand::Change { new } => {
            let text = std::fs::read_to_string(&new);
            let text =
                zeroize::Zeroizing::new(text.map_err(|e| format!("{}: {e}", new.display()))?);
            let new = Passphrase::new(text.lines().next().unwrap_or_default()).map_err(said)?;
            let old = passphrase.ok_or_else(needed)?;
            Seed::encrypt(&path, Some(&old), &new, &SystemEntropy).map_err(said)?;
        }
        KeysCommand::Decrypt => {
            let old = passphrase.ok_or_else(needed)?;
            Seed::decrypt(&path, &old, &SystemEntropy).map_err(said)?;
        }
    }
    println!(
        "done; copies made before (backups, snapshots, the disk's freed blocks) are as they were"
    );
    Ok(ExitCode::SUCCESS)
}
