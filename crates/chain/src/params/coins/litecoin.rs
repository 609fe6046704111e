//! Litecoin. Source: `chainparams.cpp` of Litecoin Core 0.21; SLIP 173; LIP 2 (MWEB).

use super::super::{
    AddressForm, ChainParams, FeeFacts, NetworkName, Period, Retarget, Rows, SubsidyRule,
};
use gruve_units::{Algorithm, Asset};

const COIN: i64 = 100_000_000;

/// Three and a half days of blocks, counted from the block before them: 2016 intervals.
const PERIOD: Period = Period {
    blocks: 2_016,
    span_secs: 302_400,
    is_whole: true,
    limit_bits: 0x1e0f_ffff,
    eases: false,
};

const MAINNET: ChainParams = ChainParams {
    asset: Asset::Ltc,
    algorithm: Algorithm::Scrypt,
    network: NetworkName::Mainnet,
    // The old script-hash form (`3…`, testnet `2…`), which looks the same as Bitcoin's, is not
    // accepted.
    address: AddressForm::Script { bech32_hrp: Some("ltc"), p2pkh_version: 48, p2sh_version: 50 },
    slip44: 2,
    uri_scheme: "litecoin",
    coinbase_maturity: 100,
    // Some ten minutes of a chain with a smaller majority to rent.
    confirmations: 6,
    spacing_secs: 150,
    gbt_rules: &["mweb", "segwit"],
    etchash_from: None,
    segwit: true,
    mweb: true,
    auxpow: None,
    subsidy_rule: SubsidyRule::Halving { initial: 50 * COIN, interval: 840_000 },
    retarget: Retarget::Every(PERIOD),
    genesis: &["12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2"],
    landmark: None,
    fees: FeeFacts {
        floor: 1_000,
        fallback: 10_000,
        ceiling: 1_000_000,
        dust_rate: 30_000,
        dust_flat: 0,
    },
};

const TESTNET: ChainParams = ChainParams {
    network: NetworkName::Testnet,
    address: AddressForm::Script { bech32_hrp: Some("tltc"), p2pkh_version: 111, p2sh_version: 58 },
    retarget: Retarget::Every(Period { eases: true, ..PERIOD }),
    genesis: &["4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0"],
    ..MAINNET
};

const REGTEST: ChainParams = ChainParams {
    network: NetworkName::Regtest,
    address: AddressForm::Script { bech32_hrp: Some("rltc"), p2pkh_version: 111, p2sh_version: 58 },
    subsidy_rule: SubsidyRule::Halving { initial: 50 * COIN, interval: 150 },
    retarget: Retarget::Never,
    genesis: &["530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9"],
    ..MAINNET
};

const DEV: ChainParams = ChainParams {
    network: NetworkName::Dev,
    address: AddressForm::Script {
        bech32_hrp: Some("ltcdev"),
        p2pkh_version: 111,
        p2sh_version: 58,
    },
    retarget: Retarget::Elsewhere,
    genesis: &[],
    ..MAINNET
};

/// The entry.
pub(in crate::params) const ENTRY: Rows = [MAINNET, TESTNET, REGTEST, DEV];
