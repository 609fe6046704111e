//! Keys as descriptors: which script an address index stands for, and the key that spends it.
//!
//! Promises: scripts come from a public descriptor (`miniscript`), so that the same wallet can be
//! watched, or restored, by any other descriptor wallet; private keys exist only inside
//! [`WalletKeys::with_secret_key`] and are erased after it. A wallet whose secrets a signer elsewhere has
//! ([`WalletKeys::watching`]) knows everything but them. It must not know databases, nodes or
//! amounts.
//!
//! Derivation follows BIP 84 (`wpkh`, SegWit chains) or BIP 44 (`pkh`, Dogecoin):
//! `m/purpose'/coin'/account'/keychain/index`. On real networks coin' is the SLIP 44 number and
//! account' 0. On test networks coin' is 1 for every chain, as SLIP 44 says, and account' is the
//! SLIP 44 number, so that two test chains never share a key.

use crate::seed::Seed;
use bitcoin::bip32::{ChildNumber, DerivationPath, Fingerprint, KeySource, Xpriv, Xpub};
use bitcoin::secp256k1::{All, PublicKey, Secp256k1, SecretKey};
use bitcoin::{NetworkKind, ScriptBuf};
use gruve_chain::{Family, NetworkName, params_for};
use gruve_units::Asset;
use miniscript::descriptor::Wildcard;
use miniscript::{Descriptor, DescriptorPublicKey};
use std::str::FromStr;
use zeroize::Zeroizing;

/// What an address of ours is for; the number is the derivation step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keychain {
    /// One address an invoice.
    PayIn,
    /// What our own transactions return to us.
    Change,
    /// Where blocks found by the farm pay.
    Coinbase,
    /// The operator's own coins put into the hot wallet.
    Capital,
}

impl Keychain {
    /// All keychains, by number.
    pub const ALL: [Keychain; 4] =
        [Keychain::PayIn, Keychain::Change, Keychain::Coinbase, Keychain::Capital];

    /// The derivation step, also as stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Keychain::PayIn => 0,
            Keychain::Change => 1,
            Keychain::Coinbase => 2,
            Keychain::Capital => 3,
        }
    }

    /// From the stored number.
    #[must_use]
    pub fn from_number(n: i64) -> Option<Keychain> {
        Keychain::ALL.into_iter().find(|k| i64::from(k.number()) == n)
    }
}

/// The two script forms the house's wallets use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptForm {
    /// Version 0 witness public key hash (BIP 84).
    Wpkh,
    /// Public key hash, for chains without SegWit (BIP 44).
    Pkh,
}

/// Why keys could not be derived.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The asset has no wallet of this kind.
    #[error("{0} has no wallet of this kind")]
    Asset(Asset),
    /// The keys are kept elsewhere.
    #[error("the keys are kept by a signer elsewhere")]
    Elsewhere,
    /// A text that is no account key of such a wallet.
    #[error("no account key of this chain, as `gruve signer show` writes it: {0}")]
    Account(String),
    /// Derivation failed; with probability below 2^-127, or the index is past 2^31.
    #[error("key derivation: {0}")]
    Derivation(String),
}

fn derivation(e: impl std::fmt::Display) -> KeyError {
    KeyError::Derivation(e.to_string())
}

/// The keys of one chain's wallet.
pub struct WalletKeys {
    secp: Secp256k1<All>,
    form: ScriptForm,
    /// None where a signer elsewhere has it.
    seed: Option<Zeroizing<[u8; 32]>>,
    account: DerivationPath,
    fingerprint: Fingerprint,
    public: Xpub,
    descriptors: Vec<Descriptor<DescriptorPublicKey>>,
}

impl std::fmt::Debug for WalletKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalletKeys").field("form", &self.form).finish_non_exhaustive()
    }
}

fn slip44(asset: Asset) -> Result<u32, KeyError> {
    match params_for(asset, NetworkName::Mainnet) {
        Ok(params) if params.family() == Family::Bitcoin => Ok(params.slip44),
        _ => Err(KeyError::Asset(asset)),
    }
}

impl WalletKeys {
    /// The wallet of `asset` under `seed`; `real` says whether the coins are worth anything.
    ///
    /// # Errors
    /// When the asset has no such wallet, or derivation fails.
    pub fn new(
        seed: &Seed,
        asset: Asset,
        form: ScriptForm,
        real: bool,
    ) -> Result<WalletKeys, KeyError> {
        let coin = slip44(asset)?;
        let purpose = match form {
            ScriptForm::Wpkh => 84,
            ScriptForm::Pkh => 44,
        };
        let (coin_step, account_step) = if real { (coin, 0) } else { (1, coin) };
        let steps = [purpose, coin_step, account_step];
        let account = DerivationPath::from(
            steps.iter().map(|&index| ChildNumber::Hardened { index }).collect::<Vec<_>>(),
        );
        let secp = Secp256k1::new();
        let mut master = Xpriv::new_master(network_kind(real), seed.bytes()).map_err(derivation)?;
        let mut account_key = master.derive_priv(&secp, &account).map_err(derivation)?;
        let fingerprint = master.fingerprint(&secp);
        let public = Xpub::from_priv(&secp, &account_key);
        master.private_key.non_secure_erase();
        account_key.private_key.non_secure_erase();
        let seed = Some(Zeroizing::new(*seed.bytes()));
        let descriptors = described(form, fingerprint, &account, &public)?;
        Ok(WalletKeys { secp, form, seed, account, fingerprint, public, descriptors })
    }

    /// The wallet of an account key whose secrets are elsewhere, written as `[fingerprint/path]xpub…`; it watches and
    /// signs nothing.
    ///
    /// # Errors
    /// [`KeyError::Account`].
    pub fn watching(
        account_key: &str,
        form: ScriptForm,
        real: bool,
    ) -> Result<WalletKeys, KeyError> {
        let refused = |why: &str| KeyError::Account(why.to_owned());
        let key = DescriptorPublicKey::from_str(account_key.trim());
        let key = key.map_err(|e| KeyError::Account(e.to_string()))?;
        let DescriptorPublicKey::XPub(key) = key else {
            return Err(refused("it is not an extended public key"));
        };
        let (fingerprint, account) =
            key.origin.ok_or_else(|| refused("it does not say [fingerprint/path]"))?;
        if !key.derivation_path.is_empty() || key.wildcard != Wildcard::None {
            return Err(refused("nothing follows the key"));
        }
        if key.xkey.network != network_kind(real) {
            return Err(refused("it is of another network"));
        }
        let (secp, public) = (Secp256k1::new(), key.xkey);
        let descriptors = described(form, fingerprint, &account, &public)?;
        Ok(WalletKeys { secp, form, seed: None, account, fingerprint, public, descriptors })
    }

    /// Whether the secrets are elsewhere.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.seed.is_none()
    }

    /// The account's public key with where it comes from: what [`WalletKeys::watching`] takes.
    #[must_use]
    pub fn account_key(&self) -> String {
        format!("[{}/{}]{}", self.fingerprint, self.account, self.public)
    }

    /// The public key of one address.
    ///
    /// # Errors
    /// When the index is past 2^31.
    pub fn public_key(&self, keychain: Keychain, index: u32) -> Result<PublicKey, KeyError> {
        let key = self.public.derive_pub(&self.secp, &last_steps(keychain, index)?);
        Ok(key.map_err(derivation)?.public_key)
    }

    /// Where the key of one address comes from, as signers want to know it (BIP 174).
    pub(crate) fn source(&self, keychain: Keychain, index: u32) -> Result<KeySource, KeyError> {
        Ok((self.fingerprint, self.account.extend(last_steps(keychain, index)?)))
    }

    /// Which address of this wallet a source is of, if it is of one.
    pub(crate) fn place_of(&self, source: &KeySource) -> Option<(Keychain, u32)> {
        let (account, path): (&[ChildNumber], &[ChildNumber]) =
            (self.account.as_ref(), source.1.as_ref());
        let (ours, last) = path.split_at_checked(account.len())?;
        match last {
            [ChildNumber::Normal { index: keychain }, ChildNumber::Normal { index }]
                if ours == account && source.0 == self.fingerprint =>
            {
                Some((Keychain::from_number(i64::from(*keychain))?, *index))
            }
            _ => None,
        }
    }

    pub(crate) fn secp(&self) -> &Secp256k1<All> {
        &self.secp
    }

    /// The script form of every address of this wallet.
    #[must_use]
    pub fn form(&self) -> ScriptForm {
        self.form
    }

    /// The public descriptor of a keychain, with checksum: enough to watch, not to spend.
    #[must_use]
    pub fn descriptor(&self, keychain: Keychain) -> String {
        self.descriptors[keychain.number() as usize].to_string()
    }

    /// The script that address `index` of a keychain pays to.
    ///
    /// # Errors
    /// When the index is past 2^31.
    pub fn script(&self, keychain: Keychain, index: u32) -> Result<ScriptBuf, KeyError> {
        let descriptor = &self.descriptors[keychain.number() as usize];
        let derived = descriptor.derived_descriptor(&self.secp, index).map_err(derivation)?;
        Ok(derived.script_pubkey())
    }

    /// Weight units of a signature for one input above an empty `scriptSig`, at most.
    #[must_use]
    pub fn satisfaction_weight_max(&self) -> u64 {
        match self.form {
            // Witness: count 1, signature 1+72, key 1+33.
            ScriptForm::Wpkh => 1 + 73 + 34,
            // The same two pushes in the `scriptSig`, four units a byte.
            ScriptForm::Pkh => (73 + 34) * 4,
        }
    }

    /// Hands the key of one address to `sign` and erases it afterwards.
    ///
    /// # Errors
    /// When the index is past 2^31.
    pub fn with_secret_key<T>(
        &self,
        keychain: Keychain,
        index: u32,
        sign: impl FnOnce(&Secp256k1<All>, &SecretKey, &PublicKey) -> T,
    ) -> Result<T, KeyError> {
        let seed = self.seed.as_ref().ok_or(KeyError::Elsewhere)?;
        let path = self.account.extend(last_steps(keychain, index)?);
        // The network of an extended key matters only when it is written out; this one never is.
        let mut master =
            Xpriv::new_master(NetworkKind::Main, seed.as_slice()).map_err(derivation)?;
        let derived = master.derive_priv(&self.secp, &path);
        master.private_key.non_secure_erase();
        let mut key = derived.map_err(derivation)?.private_key;
        let out = sign(&self.secp, &key, &key.public_key(&self.secp));
        key.non_secure_erase();
        Ok(out)
    }
}

/// The steps behind the account's key.
fn last_steps(keychain: Keychain, index: u32) -> Result<[ChildNumber; 2], KeyError> {
    Ok([
        ChildNumber::from_normal_idx(keychain.number()).map_err(derivation)?,
        ChildNumber::from_normal_idx(index).map_err(derivation)?,
    ])
}

/// The descriptor of each keychain, by number.
fn described(
    form: ScriptForm,
    fingerprint: Fingerprint,
    account: &DerivationPath,
    public: &Xpub,
) -> Result<Vec<Descriptor<DescriptorPublicKey>>, KeyError> {
    let wrap = match form {
        ScriptForm::Wpkh => "wpkh",
        ScriptForm::Pkh => "pkh",
    };
    let one = |keychain: Keychain| {
        let text = format!("{wrap}([{fingerprint}/{account}]{public}/{}/*)", keychain.number());
        Descriptor::from_str(&text).map_err(derivation)
    };
    Keychain::ALL.into_iter().map(one).collect()
}

fn network_kind(real: bool) -> NetworkKind {
    if real { NetworkKind::Main } else { NetworkKind::Test }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::{PublicKey as BitcoinKey, WPubkeyHash};

    #[test]
    fn scripts_and_signing_keys_belong_together() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let keys = WalletKeys::new(&Seed::from_bytes([9; 32]), Asset::Ltc, form, true).unwrap();
            for keychain in Keychain::ALL {
                for index in [0, 1, 77, (1 << 31) - 1] {
                    let script = keys.script(keychain, index).unwrap();
                    let public = keys.with_secret_key(keychain, index, |_, _, p| *p).unwrap();
                    let public = BitcoinKey::new(public);
                    let expected = match form {
                        ScriptForm::Wpkh => {
                            let hash: WPubkeyHash = public.wpubkey_hash().unwrap();
                            ScriptBuf::new_p2wpkh(&hash)
                        }
                        ScriptForm::Pkh => ScriptBuf::new_p2pkh(&public.pubkey_hash()),
                    };
                    assert_eq!(script, expected);
                }
                assert!(keys.script(keychain, 1 << 31).is_err());
            }
        }
    }

    #[test]
    fn test_chains_never_share_a_key_with_each_other_or_with_real_ones() {
        let seed = Seed::from_bytes([3; 32]);
        let mut scripts = std::collections::BTreeSet::new();
        let mut count = 0;
        for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
            for real in [true, false] {
                let keys = WalletKeys::new(&seed, asset, ScriptForm::Wpkh, real).unwrap();
                for keychain in Keychain::ALL {
                    scripts.insert(keys.script(keychain, 0).unwrap());
                    count += 1;
                }
            }
        }
        assert_eq!(scripts.len(), count);
    }

    #[test]
    fn the_first_address_is_the_one_bip84_says() {
        // BIP 84 gives a test vector for the 64-byte seed of its mnemonic; the account key is what
        // a 32-byte seed cannot reproduce, so the derivation is checked from the published account
        // public key down: m/84'/0'/0' of "abandon … about".
        let account = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";
        let text = format!("wpkh({account}/0/*)");
        let descriptor = Descriptor::<DescriptorPublicKey>::from_str(&text).unwrap();
        let script = descriptor.derived_descriptor(&Secp256k1::new(), 0).unwrap().script_pubkey();
        let address = bitcoin::Address::from_script(&script, bitcoin::Network::Bitcoin).unwrap();
        assert_eq!(address.to_string(), "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
    }

    #[test]
    fn a_watching_wallet_knows_the_same_scripts_and_signs_nothing() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let keys =
                WalletKeys::new(&Seed::from_bytes([9; 32]), Asset::Btc, form, false).unwrap();
            let watching = WalletKeys::watching(&keys.account_key(), form, false).unwrap();
            assert!(watching.is_watching() && !keys.is_watching());
            for keychain in Keychain::ALL {
                assert_eq!(watching.descriptor(keychain), keys.descriptor(keychain));
                let public = watching.public_key(keychain, 7).unwrap();
                assert_eq!(public, keys.with_secret_key(keychain, 7, |_, _, p| *p).unwrap());
                let source = watching.source(keychain, 7).unwrap();
                assert_eq!(keys.place_of(&source), Some((keychain, 7)));
                let signed = watching.with_secret_key(keychain, 7, |_, _, _| ());
                assert!(matches!(signed, Err(KeyError::Elsewhere)));
            }
            let key = keys.account_key();
            let (origin, bare) = key.split_once(']').unwrap();
            for bad in ["", "xpub", bare, &format!("{key}/0"), &format!("{origin}]{bare}/*")] {
                assert!(WalletKeys::watching(bad, form, false).is_err(), "{bad}");
            }
            assert!(WalletKeys::watching(&key, form, true).is_err(), "of another network");
        }
    }

    #[test]
    fn a_public_descriptor_holds_no_private_key() {
        let keys = WalletKeys::new(&Seed::from_bytes([1; 32]), Asset::Btc, ScriptForm::Wpkh, true)
            .unwrap();
        let text = keys.descriptor(Keychain::PayIn);
        assert!(text.starts_with("wpkh([") && text.contains("xpub") && !text.contains("xprv"));
        assert!(text.contains("/84'/0'/0']"), "{text}");
    }
}
