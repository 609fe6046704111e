//! The development chain's own wallet: keys from a seed in the chain's folder, and a signer. It
//! holds no coins of its own reckoning: what it owns is read from the chain and the mempool.
//!
//! For a demonstration's customer and for tests. The house's real wallets are elsewhere and never
//! use a node's.

use super::error::DevChainError;
use super::script::CURVE;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{CompressedPublicKey, PublicKey, ScriptBuf, Transaction, TxOut, Witness, ecdsa};
use gruve_units::Entropy;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Addresses one wallet gives out; each costs some 100 bytes of memory and a key at opening.
pub(crate) const MAX_ADDRESSES: u32 = 100_000;
/// The address of the premine and of change.
pub(crate) const OWN_INDEX: u32 = 0;

/// See the module.
pub(crate) struct Wallet {
    seed: [u8; 32],
    /// Addresses given out, index 0 counted.
    given: u32,
    segwit: bool,
    path: PathBuf,
    by_script: HashMap<ScriptBuf, u32>,
}

impl Wallet {
    /// Opens the wallet file, or makes it.
    pub(crate) fn open(
        path: &Path,
        segwit: bool,
        entropy: &dyn Entropy,
    ) -> Result<Wallet, DevChainError> {
        let mut wallet = Wallet {
            seed: [0; 32],
            given: 1,
            segwit,
            path: path.to_owned(),
            by_script: HashMap::new(),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let damaged = || DevChainError::Damaged {
                    path: path.to_owned(),
                    offset: 0,
                    what: "not a seed and a count".into(),
                };
                let (seed, given) = text.trim_end().split_once('\n').ok_or_else(damaged)?;
                hex::decode_to_slice(seed, &mut wallet.seed).map_err(|_| damaged())?;
                wallet.given =
                    given.parse().ok().filter(|n| *n <= MAX_ADDRESSES).ok_or_else(damaged)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                entropy.fill(&mut wallet.seed);
                wallet.save()?;
            }
            Err(source) => {
                return Err(DevChainError::Io { what: "reading", path: path.to_owned(), source });
            }
        }
        for index in 0..wallet.given {
            wallet.by_script.insert(wallet.script(index), index);
        }
        Ok(wallet)
    }

    /// Writes beside and renames, so that the seed is never half there.
    fn save(&self) -> Result<(), DevChainError> {
        let beside = self.path.with_extension("new");
        let text = format!("{}\n{}\n", hex::encode(self.seed), self.given);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_data()))
            .and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(|source| DevChainError::Io {
            what: "writing",
            path: self.path.clone(),
            source,
        })
    }

    fn key(&self, index: u32) -> SecretKey {
        let mut material = b"gruve development wallet".to_vec();
        material.extend_from_slice(&self.seed);
        material.extend_from_slice(&index.to_be_bytes());
        loop {
            let digest = gruve_pow::sha256(&material);
            // One digest in 2¹²⁸ is no key.
            if let Ok(key) = SecretKey::from_slice(&digest) {
                return key;
            }
            material = digest.to_vec();
        }
    }

    /// The output script of an address.
    pub(crate) fn script(&self, index: u32) -> ScriptBuf {
        let key = CompressedPublicKey(self.key(index).public_key(&CURVE));
        if self.segwit {
            ScriptBuf::new_p2wpkh(&key.wpubkey_hash())
        } else {
            ScriptBuf::new_p2pkh(&key.pubkey_hash())
        }
    }

    /// A script never given out before; `None` when the wallet has given out all it may.
    pub(crate) fn next_script(&mut self) -> Result<Option<ScriptBuf>, DevChainError> {
        if self.given >= MAX_ADDRESSES {
            return Ok(None);
        }
        let index = self.given;
        self.given += 1;
        if let Err(e) = self.save() {
            self.given = index;
            return Err(e);
        }
        let script = self.script(index);
        self.by_script.insert(script.clone(), index);
        Ok(Some(script))
    }

    /// Whether outputs with this script are the wallet's.
    pub(crate) fn owns(&self, script: &ScriptBuf) -> bool {
        self.by_script.contains_key(script)
    }

    /// Every script given out.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = &ScriptBuf> {
        self.by_script.keys()
    }

    /// Signs every input, `spent` being the outputs spent; `None` when one is not the wallet's.
    pub(crate) fn sign(&self, mut tx: Transaction, spent: &[TxOut]) -> Option<Transaction> {
        let sighash_type = EcdsaSighashType::All;
        let mut proofs = Vec::with_capacity(spent.len());
        {
            let mut cache = SighashCache::new(&tx);
            for (index, out) in spent.iter().enumerate() {
                let secret = self.key(*self.by_script.get(&out.script_pubkey)?);
                let script = &out.script_pubkey;
                let digest = if script.is_p2wpkh() {
                    let hash =
                        cache.p2wpkh_signature_hash(index, script, out.value, sighash_type).ok()?;
                    hash.to_byte_array()
                } else {
                    let kind = sighash_type.to_u32();
                    cache.legacy_signature_hash(index, script, kind).ok()?.to_byte_array()
                };
                let signature = ecdsa::Signature {
                    signature: CURVE.sign_ecdsa(&Message::from_digest(digest), &secret),
                    sighash_type,
                };
                proofs.push((signature, PublicKey::new(secret.public_key(&CURVE))));
            }
        }
        for ((input, out), (signature, key)) in tx.input.iter_mut().zip(spent).zip(proofs) {
            if out.script_pubkey.is_p2wpkh() {
                input.witness = Witness::p2wpkh(&signature, &key.inner);
            } else {
                input.script_sig = bitcoin::script::Builder::new()
                    .push_slice(signature.serialize())
                    .push_key(&key)
                    .into_script();
            }
        }
        Some(tx)
    }
}
