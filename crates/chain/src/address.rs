//! Output scripts to addresses and back, for the forms wallets use: pay to public-key hash, to
//! script hash, to witness version 0 (20 and 32 bytes) and to taproot.
//!
//! Nothing else is an address here: a later witness version is spendable by anyone today, and
//! Litecoin's MWEB addresses are no output scripts.

use crate::params::{AddressForm, ChainParams, all};
use bitcoin::base58;
use bitcoin::bech32::{self, Fe32, Hrp, segwit};
use gruve_units::{Blame, Blamed};

/// The longest text looked at: a taproot address of the longest prefix is below 72 characters.
const MAX_ADDRESS_CHARS: usize = 100;

const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;
const OP_1: u8 = 0x51;

/// Why a text is no address of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither base58 nor bech32, or the checksum is wrong.
    #[error("not an address: a character is missing or wrong")]
    Malformed,
    /// A good address of another coin or network.
    #[error("this is an address of {found}; one of {want} is needed")]
    OtherChain {
        /// Where it belongs.
        found: String,
        /// Where it should.
        want: String,
    },
    /// A form that cannot be paid to safely.
    #[error("this kind of address cannot be paid to: {0}")]
    Unsupported(&'static str),
}

impl Blamed for AddressError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// The output script that pays to an address of the chain.
///
/// # Errors
/// When the text is no address, or one of another coin or network.
pub fn script_for_address(params: &ChainParams, address: &str) -> Result<Vec<u8>, AddressError> {
    if address.len() > MAX_ADDRESS_CHARS || !address.is_ascii() {
        return Err(AddressError::Malformed);
    }
    if let Some((prefix, _)) = address.rsplit_once('1') {
        let prefix = prefix.to_ascii_lowercase();
        if ["ltcmweb", "tmweb"].contains(&prefix.as_str()) {
            return Err(AddressError::Unsupported("write the transparent form of an MWEB address"));
        }
        if let Ok((hrp, version, program)) = segwit::decode(address) {
            return witness_script(params, &hrp, version, &program);
        }
    }
    base58_script(params, address)
}

fn witness_script(
    params: &ChainParams,
    hrp: &Hrp,
    version: Fe32,
    program: &[u8],
) -> Result<Vec<u8>, AddressError> {
    let hrp = hrp.to_lowercase();
    if params.bech32_hrp() != Some(hrp.as_str()) {
        let owner = all().find(|p| p.bech32_hrp() == Some(hrp.as_str()));
        let found = owner.map_or_else(|| format!("another chain ({hrp}1…)"), |p| p.title());
        return Err(AddressError::OtherChain { found, want: params.title() });
    }
    let opcode = match (version.to_u8(), program.len()) {
        (0, 20 | 32) => 0,
        (1, 32) => OP_1,
        _ => return Err(AddressError::Unsupported("an unknown witness version")),
    };
    let length = u8::try_from(program.len()).map_err(|_| AddressError::Malformed)?;
    Ok([&[opcode, length], program].concat())
}

fn base58_script(params: &ChainParams, address: &str) -> Result<Vec<u8>, AddressError> {
    let payload = base58::decode_check(address).map_err(|_| AddressError::Malformed)?;
    let Some((&version, hash)) = payload.split_first() else {
        return Err(AddressError::Malformed);
    };
    if hash.len() != 20 {
        return Err(AddressError::Malformed);
    }
    if versions(params).map(|(p2pkh, _)| p2pkh) == Some(version) {
        return Ok([&[OP_DUP, OP_HASH160, 20], hash, &[OP_EQUALVERIFY, OP_CHECKSIG]].concat());
    }
    if versions(params).map(|(_, p2sh)| p2sh) == Some(version) {
        return Ok([&[OP_HASH160, 20], hash, &[OP_EQUAL]].concat());
    }
    let owner = all().find(|p| versions(p).is_some_and(|(a, b)| a == version || b == version));
    let found = owner.map_or_else(|| "another chain".to_owned(), |p| p.title());
    Err(AddressError::OtherChain { found, want: params.title() })
}

/// Version bytes of pay to public-key hash and to script hash, on chains with scripts.
const fn versions(params: &ChainParams) -> Option<(u8, u8)> {
    match params.address {
        AddressForm::Script { p2pkh_version, p2sh_version, .. } => {
            Some((p2pkh_version, p2sh_version))
        }
        AddressForm::Account { .. } => None,
    }
}

/// The address of an output script; `None` when the script has no address form on the chain, or
/// the chain no scripts.
#[must_use]
pub fn address_for_script(params: &ChainParams, script: &[u8]) -> Option<String> {
    match script {
        [OP_DUP, OP_HASH160, 20, hash @ .., OP_EQUALVERIFY, OP_CHECKSIG] if hash.len() == 20 => {
            Some(base58_address(versions(params)?.0, hash))
        }
        [OP_HASH160, 20, hash @ .., OP_EQUAL] if hash.len() == 20 => {
            Some(base58_address(versions(params)?.1, hash))
        }
        [0, 20, program @ ..] if program.len() == 20 => {
            witness_address(params, segwit::VERSION_0, program)
        }
        [0, 32, program @ ..] if program.len() == 32 => {
            witness_address(params, segwit::VERSION_0, program)
        }
        [OP_1, 32, program @ ..] if program.len() == 32 => {
            witness_address(params, segwit::VERSION_1, program)
        }
        _ => None,
    }
}

fn base58_address(version: u8, hash: &[u8]) -> String {
    base58::encode_check(&[&[version], hash].concat())
}

fn witness_address(params: &ChainParams, version: Fe32, program: &[u8]) -> Option<String> {
    let hrp = bech32::Hrp::parse(params.bech32_hrp()?).ok()?;
    segwit::encode(hrp, version, program).ok()
}
