//! Keys of an account chain's wallet: an address for each index, and the key that signs for it.
//!
//! Derivation follows BIP 44, `m/44'/coin'/account'/keychain/index`: on real networks coin' is the
//! SLIP 44 number (61 for Ethereum Classic, 60 for Ether) and account' 0; on test networks coin' is 1
//! and account' the SLIP 44 number, as for the other wallets of the house. Addresses come from the
//! public key of the account; private keys exist only inside [`AccountKeys::sign`] and are erased
//! after it.

use crate::keys::{KeyError, Keychain};
use crate::seed::Seed;
use bitcoin::NetworkKind;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use gruve_chain::eth::{EthAddress, LegacyTx, SignedTx};
use gruve_units::Asset;
use zeroize::Zeroizing;

/// The keys of one account chain's wallet.
pub struct AccountKeys {
    secp: Secp256k1<All>,
    seed: Zeroizing<[u8; 32]>,
    account: DerivationPath,
    public: Xpub,
}

impl std::fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountKeys").finish_non_exhaustive()
    }
}

fn derivation(e: impl std::fmt::Display) -> KeyError {
    KeyError::Derivation(e.to_string())
}

impl AccountKeys {
    /// The wallet of `asset` under `seed`; `real` says whether the coins are worth anything.
    ///
    /// # Errors
    /// When the asset's chain has no accounts, or derivation fails.
    pub fn new(seed: &Seed, asset: Asset, real: bool) -> Result<AccountKeys, KeyError> {
        let coin = match asset {
            Asset::Etc => 61,
            Asset::Eth => 60,
            other => return Err(KeyError::Asset(other)),
        };
        let steps = if real { [44, coin, 0] } else { [44, 1, coin] };
        let hardened = steps.iter().map(|&index| ChildNumber::Hardened { index });
        let account = DerivationPath::from(hardened.collect::<Vec<_>>());
        let secp = Secp256k1::new();
        // The network of an extended key matters only when it is written out; this one never is.
        let mut master = Xpriv::new_master(NetworkKind::Main, seed.bytes()).map_err(derivation)?;
        let derived = master.derive_priv(&secp, &account);
        master.private_key.non_secure_erase();
        let mut account_key = derived.map_err(derivation)?;
        let public = Xpub::from_priv(&secp, &account_key);
        account_key.private_key.non_secure_erase();
        Ok(AccountKeys { secp, seed: Zeroizing::new(*seed.bytes()), account, public })
    }

    /// Address `index` of a keychain.
    ///
    /// # Errors
    /// When the index is past 2^31.
    pub fn address(&self, keychain: Keychain, index: u32) -> Result<EthAddress, KeyError> {
        let derived = self.public.derive_pub(&self.secp, &last_steps(keychain, index)?);
        Ok(EthAddress::of_public_key(&derived.map_err(derivation)?.public_key))
    }

    /// Signs a transaction of an address for one chain only.
    ///
    /// # Errors
    /// When the index is past 2^31.
    pub fn sign(
        &self,
        keychain: Keychain,
        index: u32,
        tx: LegacyTx,
        chain_id: u64,
    ) -> Result<SignedTx, KeyError> {
        self.with_secret_key(keychain, index, |key| tx.sign(chain_id, key))
    }

    /// Signs a digest that is no transaction's: 64 bytes and 27 or 28.
    pub(crate) fn sign_digest(
        &self,
        keychain: Keychain,
        index: u32,
        digest: [u8; 32],
    ) -> Result<Vec<u8>, KeyError> {
        let message = Message::from_digest(digest);
        let sign = |key: &SecretKey| self.secp.sign_ecdsa_recoverable(&message, key);
        let signed = self.with_secret_key(keychain, index, sign)?;
        let (id, compact) = signed.serialize_compact();
        let last = 27 + u8::try_from(id.to_i32()).unwrap_or(0);
        Ok([&compact[..], &[last]].concat())
    }

    /// Hands a key to `sign` and erases it afterwards.
    fn with_secret_key<T>(
        &self,
        keychain: Keychain,
        index: u32,
        sign: impl FnOnce(&SecretKey) -> T,
    ) -> Result<T, KeyError> {
        let path = self.account.extend(last_steps(keychain, index)?);
        let mut master =
            Xpriv::new_master(NetworkKind::Main, self.seed.as_slice()).map_err(derivation)?;
        let derived = master.derive_priv(&self.secp, &path);
        master.private_key.non_secure_erase();
        let mut key = derived.map_err(derivation)?.private_key;
        let out = sign(&key);
        key.non_secure_erase();
        Ok(out)
    }
}

fn last_steps(keychain: Keychain, index: u32) -> Result<[ChildNumber; 2], KeyError> {
    Ok([
        ChildNumber::from_normal_idx(keychain.number()).map_err(derivation)?,
        ChildNumber::from_normal_idx(index).map_err(derivation)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruint::aliases::U256;
    use std::collections::BTreeSet;

    #[test]
    fn who_signs_is_who_the_address_says() {
        for (asset, real) in [(Asset::Etc, true), (Asset::Etc, false), (Asset::Eth, true)] {
            let keys = AccountKeys::new(&Seed::from_bytes([9; 32]), asset, real).unwrap();
            for keychain in [Keychain::PayIn, Keychain::Capital] {
                for index in [0, 1, 77, (1 << 31) - 1] {
                    let to = EthAddress([1; 20]);
                    let tx = LegacyTx::transfer(3, to, U256::from(5), U256::from(7));
                    let signed = keys.sign(keychain, index, tx, 61).unwrap();
                    assert_eq!(signed.sender, keys.address(keychain, index).unwrap());
                    assert_eq!(SignedTx::decode(&signed.raw).unwrap(), signed);
                }
                assert!(keys.address(keychain, 1 << 31).is_err());
            }
        }
    }

    /// Made with another implementation of BIP 32 and Keccak (Python's `hmac` and eth-keys 0.8).
    #[test]
    fn addresses_are_those_of_bip44() {
        let seed = Seed::from_bytes([9; 32]);
        for (asset, real, keychain, index, address) in [
            (Asset::Etc, true, Keychain::PayIn, 0, "0x1E6fb5295C1fCD535163bdf7E682d876C327f665"),
            (Asset::Etc, true, Keychain::Capital, 0, "0x0f02E4ce5adE1c0622283cD87bA3e7C54fbCC8FB"),
            (Asset::Eth, true, Keychain::PayIn, 7, "0x3250e2CDF9197bE642C46ae2080826bc74f23Eb7"),
            (Asset::Etc, false, Keychain::PayIn, 0, "0xCb7f627139F22f2b5b743b58CD3EFEd030Cc82f9"),
        ] {
            let keys = AccountKeys::new(&seed, asset, real).unwrap();
            assert_eq!(keys.address(keychain, index).unwrap().to_string(), address);
        }
    }

    #[test]
    fn test_chains_never_share_a_key_with_each_other_or_with_real_ones() {
        let seed = Seed::from_bytes([3; 32]);
        let mut seen = BTreeSet::new();
        for asset in [Asset::Etc, Asset::Eth] {
            for real in [true, false] {
                let keys = AccountKeys::new(&seed, asset, real).unwrap();
                for keychain in Keychain::ALL {
                    assert!(seen.insert(keys.address(keychain, 0).unwrap()));
                }
            }
        }
        assert!(AccountKeys::new(&seed, Asset::Btc, true).is_err());
    }

    #[test]
    fn keys_never_show_themselves() {
        let keys = AccountKeys::new(&Seed::from_bytes([7; 32]), Asset::Etc, true).unwrap();
        assert_eq!(format!("{keys:?}"), "AccountKeys { .. }");
    }
}
