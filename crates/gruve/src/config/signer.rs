//! `[[signer]]`: coins whose keys are kept elsewhere.

use super::{Fault, LaneConfig};
use gruve_treasury::{ExternalSigner, FolderDoor, HttpDoor, Secret, SignerDoor};
use gruve_units::Asset;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `[[signer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerConfig {
    /// The coin.
    pub asset: Asset,
    /// The account's public key, as `gruve signer show` prints it.
    pub account_key: String,
    /// The folder in which orders are put and answers are looked for.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// The address that orders are sent to instead.
    #[serde(default)]
    pub url: Option<String>,
    /// What is sent to that address with every order, so that it knows the house.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Certificate authorities (PEM) by which the address is known; the system's if not given.
    #[serde(default = "super::remote::default_authorities")]
    pub authorities_file: PathBuf,
}

impl SignerConfig {
    /// The way to the signer, and whose signatures are wanted. A folder's place is held against `beside`, the house's
    /// data.
    ///
    /// # Errors
    /// In words, when there is no such folder or address.
    pub fn signer(&self, beside: &Path) -> Result<ExternalSigner, String> {
        let door: Arc<dyn SignerDoor> = match (&self.folder, &self.url) {
            (Some(folder), None) => Arc::new(FolderDoor::open(&beside.join(folder))?),
            (None, Some(url)) => {
                let token =
                    self.token.clone().ok_or("token: say what the address knows the house by")?;
                Arc::new(HttpDoor::open(url, token, &self.authorities_file)?)
            }
            _ => return Err("write folder, or url: one of them".to_owned()),
        };
        Ok(ExternalSigner { account_key: self.account_key.clone(), door })
    }
}

/// What is wrong with them.
pub(super) fn faults(signers: &[SignerConfig], lanes: &[LaneConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, set) in signers.iter().enumerate() {
        let mut fault = |key: &str, what: &str| {
            faults.push(Fault { place: format!("signer[{at}].{key}"), what: what.to_owned() });
        };
        if signers.iter().take(at).any(|s| s.asset == set.asset) {
            fault("asset", "has a signer already");
        }
        let earns =
            |l: &LaneConfig| l.asset == set.asset || l.aux.iter().any(|a| a.asset == set.asset);
        if !lanes.iter().any(earns) {
            fault("asset", "no lane earns it, so it has no wallet");
        }
        if !matches!(set.asset, Asset::Btc | Asset::Ltc | Asset::Doge) {
            fault("asset", "only coins with outputs (BTC, LTC, DOGE) can be signed for elsewhere");
        }
        if set.folder.is_some() == set.url.is_some() {
            fault("folder", "write folder, or url: one of them");
        }
        if set.url.is_some() && set.token.as_ref().is_none_or(Secret::is_empty) {
            fault("token", "say what the address knows the house by");
        }
        if !set.account_key.starts_with('[') {
            fault("account_key", "copy what `gruve signer show` prints: [fingerprint/path]xpub…");
        }
    }
    faults
}
