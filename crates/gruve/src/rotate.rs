//! `gruve admin rotate-key`: another operator key, told in the public log.

use crate::house::Parts;
use crate::house::files::{Holding, read_secret_text};
use crate::house::keys::rotate;
use crate::serve::read_config;
use ed25519_dalek::SigningKey;
use gruve_units::{SystemClock, SystemEntropy};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Makes a key, has it appointed and puts it in place. The house must be stopped.
///
/// # Errors
/// In words: the house runs, the key may not appoint another, disk or database.
pub async fn run(config: PathBuf, recovery: Option<PathBuf>) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let recovery = recovery.as_deref().map(read_key).transpose()?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Alone, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let done = rotate(&config, &parts, recovery.as_ref()).await;
    parts.store.close().await;
    let key = done?;
    println!("in force from the next start on: {key}");
    println!(
        "verifiers follow it through the log by themselves; give it to your witnesses before you start the house, \
         and tell it where you have told the old one"
    );
    Ok(ExitCode::SUCCESS)
}

fn read_key(path: &Path) -> Result<SigningKey, String> {
    let text = read_secret_text(path).map_err(|e| e.to_string())?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .map_err(|_| format!("{}: must hold 64 hex digits", path.display()))?;
    Ok(SigningKey::from_bytes(&bytes))
}
