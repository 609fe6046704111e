//! `[keys]`: where the passphrase of the wallets' seed comes from.

use super::Fault;
use gruve_treasury::{Passphrase, SeedError};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes read of a passphrase's source at most; a passphrase has at most 1,024.
const SOURCE_BYTES_MAX: u64 = 2_048;

/// `[keys]`: at most one source of a passphrase.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// A file with it on the first line.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// An environment variable with it.
    #[serde(default)]
    pub passphrase_env: Option<String>,
    /// An open file descriptor that gives it.
    #[serde(default)]
    pub passphrase_fd: Option<u32>,
    /// The name of a credential of the service (systemd's `LoadCredential`, `LoadCredentialEncrypted`).
    #[serde(default)]
    pub passphrase_credential: Option<String>,
    /// Says that the seed of coins that are worth something may lie on the disk as it is.
    #[serde(default)]
    pub plain_on_mainnet: bool,
}

impl KeysConfig {
    /// Whether it names where a passphrase comes from.
    #[must_use]
    pub fn has_source(&self) -> bool {
        sources(self) > 0
    }

    /// Reads the passphrase; `None` where no source is set.
    ///
    /// # Errors
    /// In words that hold nothing of it.
    pub fn passphrase(&self) -> Result<Option<Passphrase>, String> {
        let file = |path: &Path| read(path).map_err(|e| format!("{}: {e}", path.display()));
        let text = if let Some(path) = &self.passphrase_file {
            file(path)?
        } else if let Some(fd) = self.passphrase_fd {
            file(Path::new(&format!("/dev/fd/{fd}")))?
        } else if let Some(name) = &self.passphrase_credential {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or("keys.passphrase_credential: this process was given no credentials")?;
            file(&Path::new(&folder).join(name))?
        } else if let Some(name) = &self.passphrase_env {
            let text = std::env::var(name);
            Zeroizing::new(text.map_err(|_| format!("the environment has no {name}"))?)
        } else {
            return Ok(None);
        };
        let first = text.lines().next().unwrap_or_default();
        Passphrase::new(first).map(Some).map_err(|e: SeedError| e.to_string())
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    std::fs::File::open(path)?.take(SOURCE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn sources(keys: &KeysConfig) -> usize {
    let set = [
        keys.passphrase_file.is_some(),
        keys.passphrase_env.is_some(),
        keys.passphrase_fd.is_some(),
        keys.passphrase_credential.is_some(),
    ];
    set.into_iter().filter(|s| *s).count()
}

/// What is wrong with it.
pub(super) fn faults(keys: &KeysConfig) -> Vec<Fault> {
    if sources(keys) > 1 {
        let what = "write one source of the passphrase".to_owned();
        return vec![Fault { place: "keys".to_owned(), what }];
    }
    Vec::new()
}
