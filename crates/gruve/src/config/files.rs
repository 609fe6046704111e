//! The files that a configuration names: where they are, and whether those that a start needs can be read.

use super::{Config, Fault, NodeConfig};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A file that the configuration names.
struct Named<'a> {
    place: String,
    path: &'a mut PathBuf,
    /// Whether a start fails without it; others are made then, or waited for.
    is_needed: bool,
}

impl Config {
    /// Puts relative paths below `base`, the configuration file's folder, so that they mean the same wherever a command
    /// is run. (Signers' folders are below the data folder: [`super::SignerConfig::signer`].)
    pub(super) fn resolve(&mut self, base: &Path) {
        self.house.data = base.join(&self.house.data);
        if let Some(url) = &mut self.database.url
            && let Some(path) = url.strip_prefix("sqlite:")
            && let path = path.strip_prefix("//").unwrap_or(path)
            && !path.is_empty()
        {
            *url = format!("sqlite:{}", base.join(path).display());
        }
        for named in self.named() {
            *named.path = base.join(&*named.path);
        }
    }

    /// What a start would not find. Only `gruve config check` asks: other commands, run by other users, need not see
    /// every file.
    #[must_use]
    pub fn missing_files(mut self) -> Vec<Fault> {
        let missing = |named: Named<'_>| {
            let why = read_some(named.path).err()?;
            Some(Fault { place: named.place, what: format!("{}: {why}", named.path.display()) })
        };
        self.named().into_iter().filter(|named| named.is_needed).filter_map(missing).collect()
    }

    /// All but the data folder, the database and signers' folders.
    fn named(&mut self) -> Vec<Named<'_>> {
        let mut all = Files::default();
        if let Some(mail) = &mut self.mail {
            all.needed("mail.password_file", mail.password_file.as_mut());
        }
        all.needed("alerts.webhook_secret_file", self.alerts.webhook_secret_file.as_mut());
        all.others([&mut self.alerts.webhook_authorities_file]);
        all.others([&mut self.webhooks.authorities_file]);
        all.needed("prices.authorities_file", self.prices.authorities_file.as_mut());
        all.needed("keys.passphrase_file", self.keys.passphrase_file.as_mut());
        all.others(self.record.folder.as_mut());
        let authorities = self.record.witness_authorities_file.as_mut();
        all.needed("record.witness_authorities_file", authorities);
        if let Some(mirror) = &mut self.record.mirror {
            all.needed("record.mirror.keys_file", mirror.keys_file.as_mut());
            all.needed("record.mirror.authorities_file", mirror.authorities_file.as_mut());
        }
        all.others(self.banks.iter_mut().filter_map(|bank| bank.folder.as_mut()));
        all.others(self.stripe.as_mut().map(|stripe| &mut stripe.authorities_file));
        all.others(self.btcpay.as_mut().map(|btcpay| &mut btcpay.authorities_file));
        all.others(self.signers.iter_mut().map(|signer| &mut signer.authorities_file));
        for (i, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(v2) = &mut lane.stratum.v2 {
                all.needed(&format!("lane[{i}].stratum.v2.key_file"), v2.key_file.as_mut());
            }
            if let Some(tls) = &mut lane.stratum.tls {
                let place = format!("lane[{i}].stratum.tls");
                all.needed(&format!("{place}.certificate"), tls.certificate.as_mut());
                all.needed(&format!("{place}.key"), tls.key.as_mut());
            }
            all.others(lane.node.iter_mut().chain(&mut lane.nodes).filter_map(cookie));
            for aux in &mut lane.aux {
                all.others(aux.node.iter_mut().chain(&mut aux.nodes).filter_map(cookie));
            }
        }
        all.0
    }
}

fn cookie(node: &mut NodeConfig) -> Option<&mut PathBuf> {
    node.cookie_file.as_mut()
}

#[derive(Default)]
struct Files<'a>(Vec<Named<'a>>);

impl<'a> Files<'a> {
    fn needed(&mut self, place: &str, path: Option<&'a mut PathBuf>) {
        let named = |path| Named { place: place.to_owned(), path, is_needed: true };
        self.0.extend(path.map(named));
    }

    fn others(&mut self, paths: impl IntoIterator<Item = &'a mut PathBuf>) {
        let named = |path| Named { place: String::new(), path, is_needed: false };
        self.0.extend(paths.into_iter().map(named));
    }
}

/// Reads a byte: a folder can be opened, too, and fails only then.
fn read_some(path: &Path) -> io::Result<()> {
    io::Read::read(&mut File::open(path)?, &mut [0]).map(drop)
}
