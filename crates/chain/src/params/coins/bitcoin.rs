//! Bitcoin. Source: `chainparams.cpp` of Bitcoin Core 29; BIP 94 for testnet4.

use super::super::{
    AddressForm, ChainParams, FeeFacts, NetworkName, Period, Retarget, Rows, SubsidyRule,
};
use gruve_units::{Algorithm, Asset};

const COIN: i64 = 100_000_000;

/// Two weeks of blocks, counted from the first of them: 2015 intervals.
const PERIOD: Period = Period {
    blocks: 2_016,
    span_secs: 14 * 86_400,
    is_whole: false,
    limit_bits: 0x1d00_ffff,
    eases: false,
};

const MAINNET: ChainParams = ChainParams {
    asset: Asset::Btc,
    algorithm: Algorithm::Sha256d,
    network: NetworkName::Mainnet,
    address: AddressForm::Script { bech32_hrp: Some("bc"), p2pkh_version: 0, p2sh_version: 5 },
    slip44: 0,
    uri_scheme: "bitcoin",
    coinbase_maturity: 100,
    confirmations: 2,
    spacing_secs: 600,
    gbt_rules: &["segwit"],
    etchash_from: None,
    segwit: true,
    mweb: false,
    auxpow: None,
    subsidy_rule: SubsidyRule::Halving { initial: 50 * COIN, interval: 210_000 },
    retarget: Retarget::Every(PERIOD),
    genesis: &["000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"],
    landmark: None,
    fees: FeeFacts {
        floor: 1_000,
        fallback: 10_000,
        ceiling: 500_000,
        dust_rate: 3_000,
        dust_flat: 0,
    },
};

const TESTNET: ChainParams = ChainParams {
    network: NetworkName::Testnet,
    address: AddressForm::Script { bech32_hrp: Some("tb"), p2pkh_version: 111, p2sh_version: 196 },
    // One name for testnet3, testnet4 and signet: their rules for late blocks differ.
    retarget: Retarget::Every(Period { eases: true, ..PERIOD }),
    genesis: &[
        "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
        "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
        "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    ],
    ..MAINNET
};

const REGTEST: ChainParams = ChainParams {
    network: NetworkName::Regtest,
    address: AddressForm::Script {
        bech32_hrp: Some("bcrt"),
        p2pkh_version: 111,
        p2sh_version: 196,
    },
    subsidy_rule: SubsidyRule::Halving { initial: 50 * COIN, interval: 150 },
    retarget: Retarget::Never,
    genesis: &["0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"],
    ..MAINNET
};

const DEV: ChainParams = ChainParams {
    network: NetworkName::Dev,
    address: AddressForm::Script {
        bech32_hrp: Some("bcdev"),
        p2pkh_version: 111,
        p2sh_version: 196,
    },
    retarget: Retarget::Elsewhere,
    genesis: &[],
    ..MAINNET
};

/// The entry.
pub(in crate::params) const ENTRY: Rows = [MAINNET, TESTNET, REGTEST, DEV];
