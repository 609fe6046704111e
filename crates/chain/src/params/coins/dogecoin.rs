//! Dogecoin. Source: `chainparams.cpp`, `dogecoin.cpp` and `doc/fee-recommendation.md` of Dogecoin
//! Core 1.14.

use super::super::{
    AddressForm, ChainParams, FeeFacts, MergeMining, NetworkName, Period, Retarget, Rows,
    SubsidyRule,
};
use gruve_units::{Algorithm, Asset};

const COIN: i64 = 100_000_000;

/// Four hours of blocks, until DigiShield.
const PERIOD: Period = Period {
    blocks: 240,
    span_secs: 14_400,
    is_whole: true,
    limit_bits: 0x1e0f_ffff,
    eases: false,
};

const MAINNET: ChainParams = ChainParams {
    asset: Asset::Doge,
    algorithm: Algorithm::Scrypt,
    network: NetworkName::Mainnet,
    address: AddressForm::Script { bech32_hrp: None, p2pkh_version: 30, p2sh_version: 22 },
    slip44: 3,
    uri_scheme: "dogecoin",
    coinbase_maturity: 240,
    // An hour.
    confirmations: 60,
    spacing_secs: 60,
    gbt_rules: &[],
    etchash_from: None,
    segwit: false,
    mweb: false,
    auxpow: Some(MergeMining { chain_id: 0x62, from_height: 371_337 }),
    subsidy_rule: SubsidyRule::Dogecoin { fixed_from: 145_000, interval: 100_000 },
    retarget: Retarget::Digishield { before: PERIOD, from: 145_000 },
    genesis: &["1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691"],
    landmark: None,
    fees: FeeFacts {
        floor: 1_000_000,
        fallback: 1_000_000,
        ceiling: 100_000_000,
        dust_rate: 0,
        dust_flat: 1_000_000,
    },
};

const TESTNET: ChainParams = ChainParams {
    network: NetworkName::Testnet,
    address: AddressForm::Script { bech32_hrp: None, p2pkh_version: 113, p2sh_version: 196 },
    auxpow: Some(MergeMining { chain_id: 0x62, from_height: 158_100 }),
    // Late blocks may be of the easiest target.
    retarget: Retarget::Elsewhere,
    genesis: &["bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e"],
    ..MAINNET
};

const REGTEST: ChainParams = ChainParams {
    network: NetworkName::Regtest,
    address: AddressForm::Script { bech32_hrp: None, p2pkh_version: 111, p2sh_version: 196 },
    coinbase_maturity: 60,
    auxpow: Some(MergeMining { chain_id: 0x62, from_height: 20 }),
    subsidy_rule: SubsidyRule::Dogecoin { fixed_from: 0, interval: 150 },
    retarget: Retarget::Elsewhere,
    genesis: &["3d2160a3b5dc4a9d62e7e66a295f70313ac808440ef7400d6c0772171ce973a5"],
    ..MAINNET
};

const DEV: ChainParams = ChainParams {
    network: NetworkName::Dev,
    address: AddressForm::Script { bech32_hrp: None, p2pkh_version: 111, p2sh_version: 196 },
    auxpow: Some(MergeMining { chain_id: 0x62, from_height: 0 }),
    subsidy_rule: SubsidyRule::Halving { initial: 10_000 * COIN, interval: u64::MAX },
    retarget: Retarget::Elsewhere,
    genesis: &[],
    ..MAINNET
};

/// The entry.
pub(in crate::params) const ENTRY: Rows = [MAINNET, TESTNET, REGTEST, DEV];
