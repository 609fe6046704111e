//! The node's own accounts, for a demonstration's customer and for tests: keys from a seed in the
//! chain's folder. The house's real wallets are elsewhere and never use a node's.

use crate::devchain::error::DevChainError;
use crate::eth::{EthAddress, keccak256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use gruve_units::Entropy;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Accounts given out at most; each costs a key at opening.
pub(super) const ACCOUNTS_MAX: u32 = 10_000;

/// See the module.
pub(super) struct Wallet {
    seed: [u8; 32],
    path: PathBuf,
    accounts: Vec<(EthAddress, SecretKey)>,
}

impl Wallet {
    pub(super) fn open(path: &Path, entropy: &dyn Entropy) -> Result<Wallet, DevChainError> {
        let damaged = |what: &str| DevChainError::Damaged {
            path: path.to_owned(),
            offset: 0,
            what: what.to_owned(),
        };
        let mut wallet = Wallet { seed: [0; 32], path: path.to_owned(), accounts: Vec::new() };
        let count = match std::fs::read_to_string(path) {
            Ok(text) => {
                let parts = text.trim_end().split_once('\n');
                let (seed, count) = parts.ok_or_else(|| damaged("not a seed and a count"))?;
                hex::decode_to_slice(seed, &mut wallet.seed).map_err(|_| damaged("no seed"))?;
                let count = count.parse().ok().filter(|n| (1..=ACCOUNTS_MAX).contains(n));
                count.ok_or_else(|| damaged("no count"))?
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                entropy.fill(&mut wallet.seed);
                wallet.save(1)?;
                1
            }
            Err(source) => {
                return Err(DevChainError::Io { what: "reading", path: path.to_owned(), source });
            }
        };
        for index in 0..count {
            let account = wallet.derive(index).ok_or_else(|| damaged("a seed without keys"))?;
            wallet.accounts.push(account);
        }
        Ok(wallet)
    }

    fn derive(&self, index: u32) -> Option<(EthAddress, SecretKey)> {
        let digest = keccak256(&[&self.seed[..], &index.to_be_bytes()].concat());
        let key = SecretKey::from_slice(&digest).ok()?;
        let public = PublicKey::from_secret_key(&Secp256k1::signing_only(), &key);
        Some((EthAddress::of_public_key(&public), key))
    }

    /// Writes beside and renames, so that the seed is never half there.
    fn save(&self, count: usize) -> Result<(), DevChainError> {
        let beside = self.path.with_extension("new");
        let text = format!("{}\n{count}\n", hex::encode(self.seed));
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside);
        file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_data()))
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .map_err(|source| DevChainError::Io {
                what: "writing",
                path: self.path.clone(),
                source,
            })
    }

    /// The account that has coins from the start.
    pub(super) fn first(&self) -> EthAddress {
        self.accounts.first().map_or(EthAddress::ZERO, |(address, _)| *address)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = EthAddress> + '_ {
        self.accounts.iter().map(|(address, _)| *address)
    }

    pub(super) fn key(&self, address: &EthAddress) -> Option<&SecretKey> {
        self.accounts.iter().find(|(own, _)| own == address).map(|(_, key)| key)
    }

    /// One more account; `None` when all are given out.
    pub(super) fn new_account(&mut self) -> Result<Option<EthAddress>, DevChainError> {
        let index = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        let Some(account) = Some(index).filter(|i| *i < ACCOUNTS_MAX).and_then(|i| self.derive(i))
        else {
            return Ok(None);
        };
        self.save(self.accounts.len() + 1)?;
        self.accounts.push(account);
        Ok(Some(account.0))
    }
}
