//! Ethereum Classic. Sources: ECIP-1017 (eras), ECIP-1041 (no bomb), ECIP-1054 (Atlantis: EIP-100),
//! ECIP-1099 (Etchash); `config_classic.go` and `config_mordor.go` of core-geth.
//!
//! Ether itself left proof of work on 15 September 2022 at block 15,537,393: it has no entry.

use super::super::{AddressForm, ChainParams, FeeFacts, NetworkName, Retarget, Rows, SubsidyRule};
use crate::eth::reward::RewardRule;
use gruve_units::{Algorithm, Asset};

const MAINNET: ChainParams = ChainParams {
    asset: Asset::Etc,
    algorithm: Algorithm::Etchash,
    network: NetworkName::Mainnet,
    address: AddressForm::Account { chain_id: 61 },
    slip44: 61,
    uri_scheme: "ethereum",
    // No rule of the chain's: a block's reward can be spent at once, and be gone with the block. Its
    // reorganisations have been thousands of blocks deep (August 2020); some eleven hours.
    coinbase_maturity: 3_000,
    confirmations: 3_000,
    spacing_secs: 13,
    gbt_rules: &[],
    etchash_from: Some(11_700_000),
    segwit: false,
    mweb: false,
    auxpow: None,
    subsidy_rule: SubsidyRule::Eras(RewardRule::CLASSIC),
    retarget: Retarget::Ethash {
        bomb_free_from: 5_900_000,
        uncles_from: 8_772_000,
        least: 131_072,
    },
    // Ethereum's as well.
    genesis: &["d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"],
    // The block at which Ethereum left.
    landmark: Some((1_920_000, "94365e3a8c0b35089c1d1195081fe7489b528a84b22199c916180db8b28ade7f")),
    // Minor units (gwei) a gas, times a thousand: a transfer takes 21,000 gas.
    fees: FeeFacts { floor: 1_000, fallback: 2_000, ceiling: 100_000, dust_rate: 0, dust_flat: 0 },
};

/// Mordor.
const TESTNET: ChainParams = ChainParams {
    network: NetworkName::Testnet,
    address: AddressForm::Account { chain_id: 63 },
    etchash_from: Some(2_520_000),
    subsidy_rule: SubsidyRule::Eras(RewardRule {
        era_blocks: Some(2_000_000),
        ..RewardRule::CLASSIC
    }),
    retarget: Retarget::Ethash { bomb_free_from: 0, uncles_from: 0, least: 131_072 },
    genesis: &["a68ebde7932eccb177d38d55dcc6461a019dd795a681e59b5a3e4f3a7259a3f1"],
    landmark: None,
    ..MAINNET
};

/// A private network: whatever its operator chose; its chain id is 1337 unless configured.
const REGTEST: ChainParams = ChainParams {
    network: NetworkName::Regtest,
    address: AddressForm::Account { chain_id: 1_337 },
    coinbase_maturity: 10,
    confirmations: 2,
    etchash_from: Some(0),
    retarget: Retarget::Elsewhere,
    genesis: &[],
    landmark: None,
    ..MAINNET
};

const DEV: ChainParams = ChainParams { network: NetworkName::Dev, ..REGTEST };

/// The entry.
pub(in crate::params) const ENTRY: Rows = [MAINNET, TESTNET, REGTEST, DEV];
