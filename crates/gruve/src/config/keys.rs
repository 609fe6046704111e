//! `[keys]`: where the passphrase of the wallets' seed comes from.

use super::{Config, Fault, NetworkConfig};
use gruve_treasury::{Passphrase, SeedError};
use gruve_units::Asset;
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
    /// Where a passphrase may come from; one at most.
    fn sources(&self) -> [bool; 4] {
        [
            self.passphrase_file.is_some(),
            self.passphrase_env.is_some(),
            self.passphrase_fd.is_some(),
            self.passphrase_credential.is_some(),
        ]
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

impl Config {
    /// A coin of a main network whose keys come from the house's own seed, where no passphrase is named for it and the operator
    /// has not said that it may lie on the disk as it is.
    #[must_use]
    pub fn unguarded_coin(&self) -> Option<Asset> {
        if self.keys.plain_on_mainnet || self.keys.sources().contains(&true) {
            return None;
        }
        let is_real = |network: &NetworkConfig| matches!(network, NetworkConfig::Mainnet);
        let lanes = self.lanes.iter().filter(|lane| is_real(&lane.network));
        let mined = lanes.flat_map(|lane| {
            std::iter::once(lane.asset).chain(lane.aux.iter().map(|aux| aux.asset))
        });
        let paid_in = self.pay_in_chains.iter().filter(|chain| is_real(&chain.network));
        let here = |asset: &Asset| self.signers.iter().all(|signer| signer.asset != *asset);
        mined.chain(paid_in.map(|chain| chain.asset)).find(here)
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    std::fs::File::open(path)?.take(SOURCE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// What is wrong with it.
pub(super) fn faults(keys: &KeysConfig) -> Vec<Fault> {
    if keys.sources().into_iter().filter(|s| *s).count() > 1 {
        let what = "write one source of the passphrase".to_owned();
        return vec![Fault { place: "keys".to_owned(), what }];
    }
    Vec::new()
}
