//! The one table of chain parameters: everything in which coins and networks differ.
//!
//! Sources: `chainparams.cpp` of Bitcoin Core, Litecoin Core and Dogecoin Core; BIP 173 (bech32
//! prefixes), SLIP 173; Dogecoin's `dogecoin.cpp` for its subsidies.

use crate::ChainError;
use gruve_units::{Algorithm, Asset};
use std::fmt;
use std::str::FromStr;

/// Which network of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkName {
    /// The real one.
    Mainnet,
    /// The public test networks (Bitcoin: testnet3, testnet4 and signet share their addresses).
    Testnet,
    /// A private network of real nodes.
    Regtest,
    /// The house's in-process development chain.
    Dev,
}

impl NetworkName {
    /// Every network.
    pub const ALL: [NetworkName; 4] =
        [NetworkName::Mainnet, NetworkName::Testnet, NetworkName::Regtest, NetworkName::Dev];

    /// The name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NetworkName::Mainnet => "mainnet",
            NetworkName::Testnet => "testnet",
            NetworkName::Regtest => "regtest",
            NetworkName::Dev => "dev",
        }
    }

    /// What `getblockchaininfo` may answer as `chain` on this network.
    #[must_use]
    pub const fn rpc_names(self) -> &'static [&'static str] {
        match self {
            NetworkName::Mainnet => &["main"],
            NetworkName::Testnet => &["test", "testnet4", "signet"],
            NetworkName::Regtest => &["regtest"],
            NetworkName::Dev => &["dev"],
        }
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NetworkName {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        NetworkName::ALL
            .into_iter()
            .find(|n| n.name() == s)
            .ok_or_else(|| format!("unknown network {s:?}: mainnet, testnet, regtest or dev"))
    }
}

/// How new coins come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubsidyRule {
    /// `initial >> (height / interval)`, zero from the 64th halving on.
    Halving {
        /// Minor units in the first blocks.
        initial: i64,
        /// Blocks between halvings, above zero.
        interval: u64,
    },
    /// Dogecoin: at random below `fixed_from`, then 500,000 coins halved every `interval` blocks
    /// for six intervals, then 10,000 coins for ever.
    Dogecoin {
        /// First height without a random subsidy.
        fixed_from: u64,
        /// Blocks between halvings, above zero.
        interval: u64,
    },
}

/// What the tip's header alone says of the next block's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextBits {
    /// The same: the target never moves (regtest).
    Same,
    /// The same, unless the next block's height is a multiple of this many.
    Retarget {
        /// Blocks between changes, above zero.
        blocks: u64,
    },
    /// Nothing: it depends on earlier blocks (DigiShield, the development chain) or on the block's
    /// own time (testnets), or the block needs a signature (signet).
    Unforeseeable,
}

/// The rules of one coin on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainParams {
    /// The coin.
    pub asset: Asset,
    /// Its proof of work.
    pub algorithm: Algorithm,
    /// Which network.
    pub network: NetworkName,
    /// Prefix of witness addresses; `None` for coins without segregated witness.
    pub bech32_hrp: Option<&'static str>,
    /// Version byte of pay-to-public-key-hash addresses.
    pub p2pkh_version: u8,
    /// Version byte of pay-to-script-hash addresses. Litecoin's old form (`3…`, testnet `2…`),
    /// which looks the same as Bitcoin's, is not accepted.
    pub p2sh_version: u8,
    /// A coinbase of height *h* may be spent in blocks of height *h* + this and above.
    pub coinbase_maturity: u64,
    /// Intended seconds between blocks.
    pub spacing_secs: u64,
    /// `rules` to send with `getblocktemplate`.
    pub gbt_rules: &'static [&'static str],
    /// Whether the chain has segregated witness (BIP 141).
    pub segwit: bool,
    /// Whether blocks may carry Litecoin's extension block (LIP 2, MWEB).
    pub mweb: bool,
    /// Whether headers may carry a merge-mining proof (AuxPoW).
    pub auxpow: bool,
    /// New coins by height.
    pub subsidy_rule: SubsidyRule,
    /// What is known of the next block's target before the node has given a template.
    pub next_bits: NextBits,
    /// Text of the genesis blocks a node of this network may have; empty where it is not fixed.
    pub genesis: &'static [&'static str],
}

impl ChainParams {
    /// New coins of the block at `height`, in minor units; `None` where the chain draws them at
    /// random (Dogecoin's first blocks).
    #[must_use]
    pub fn subsidy(&self, height: u64) -> Option<i64> {
        match self.subsidy_rule {
            SubsidyRule::Halving { initial, interval } => {
                let halvings = height / interval.max(1);
                Some(if halvings >= 64 { 0 } else { initial >> halvings })
            }
            SubsidyRule::Dogecoin { fixed_from, interval } => {
                if height < fixed_from {
                    return None;
                }
                let halvings = height / interval.max(1);
                let coins = if halvings >= 6 { 10_000 } else { 500_000 >> halvings };
                Some(coins * self.asset.unit())
            }
        }
    }

    /// Whether a block without transactions can be built on a new tip before the node has given a
    /// template: its target must follow from the tip's header, and no part of it from its content
    /// (Litecoin's extension block asks for a transaction at the end of every block).
    #[must_use]
    pub const fn foresees_blocks(&self) -> bool {
        !self.mweb && !matches!(self.next_bits, NextBits::Unforeseeable)
    }

    /// The compact target of the block at `height` on a tip with `tip_bits`, if it is foreseeable.
    #[must_use]
    pub fn bits_at(&self, height: u64, tip_bits: u32) -> Option<u32> {
        match self.next_bits {
            NextBits::Same => Some(tip_bits),
            NextBits::Retarget { blocks } => {
                (!height.is_multiple_of(blocks.max(1))).then_some(tip_bits)
            }
            NextBits::Unforeseeable => None,
        }
    }

    /// Coin and network in words, as `Litecoin regtest`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", coin_name(self.asset), self.network)
    }
}

fn coin_name(asset: Asset) -> &'static str {
    match asset {
        Asset::Btc => "Bitcoin",
        Asset::Ltc => "Litecoin",
        Asset::Doge => "Dogecoin",
        other => other.code(),
    }
}

/// The coins this room has parameters for.
pub const COINS: [Asset; 3] = [Asset::Btc, Asset::Ltc, Asset::Doge];

/// The parameters of a coin on a network.
///
/// # Errors
/// [`ChainError::NoSuchChain`] for assets that are no Bitcoin-like chain.
pub fn params_for(asset: Asset, network: NetworkName) -> Result<ChainParams, ChainError> {
    match asset {
        Asset::Btc => Ok(bitcoin(network)),
        Asset::Ltc => Ok(litecoin(network)),
        Asset::Doge => Ok(dogecoin(network)),
        Asset::Etc | Asset::Eth | Asset::Usd | Asset::Eur => {
            Err(ChainError::NoSuchChain { asset, network })
        }
    }
}

const COIN: i64 = 100_000_000;

/// Bitcoin's and Litecoin's rule: two weeks of Bitcoin's blocks, three and a half days of Litecoin's,
/// are 2016 blocks.
const fn next_bits(network: NetworkName) -> NextBits {
    match network {
        NetworkName::Mainnet => NextBits::Retarget { blocks: 2_016 },
        NetworkName::Regtest => NextBits::Same,
        NetworkName::Testnet | NetworkName::Dev => NextBits::Unforeseeable,
    }
}

fn bitcoin(network: NetworkName) -> ChainParams {
    let main = network == NetworkName::Mainnet;
    ChainParams {
        asset: Asset::Btc,
        algorithm: Algorithm::Sha256d,
        network,
        bech32_hrp: Some(match network {
            NetworkName::Mainnet => "bc",
            NetworkName::Testnet => "tb",
            NetworkName::Regtest => "bcrt",
            NetworkName::Dev => "bcdev",
        }),
        p2pkh_version: if main { 0 } else { 111 },
        p2sh_version: if main { 5 } else { 196 },
        coinbase_maturity: 100,
        spacing_secs: 600,
        gbt_rules: &["segwit"],
        segwit: true,
        mweb: false,
        auxpow: false,
        subsidy_rule: SubsidyRule::Halving {
            initial: 50 * COIN,
            interval: if network == NetworkName::Regtest { 150 } else { 210_000 },
        },
        next_bits: next_bits(network),
        genesis: match network {
            NetworkName::Mainnet => {
                &["000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"]
            }
            NetworkName::Testnet => &[
                "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
                "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
                "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            ],
            NetworkName::Regtest => {
                &["0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"]
            }
            NetworkName::Dev => &[],
        },
    }
}

fn litecoin(network: NetworkName) -> ChainParams {
    let main = network == NetworkName::Mainnet;
    ChainParams {
        asset: Asset::Ltc,
        algorithm: Algorithm::Scrypt,
        network,
        bech32_hrp: Some(match network {
            NetworkName::Mainnet => "ltc",
            NetworkName::Testnet => "tltc",
            NetworkName::Regtest => "rltc",
            NetworkName::Dev => "ltcdev",
        }),
        p2pkh_version: if main { 48 } else { 111 },
        p2sh_version: if main { 50 } else { 58 },
        coinbase_maturity: 100,
        spacing_secs: 150,
        gbt_rules: &["mweb", "segwit"],
        segwit: true,
        mweb: true,
        auxpow: false,
        subsidy_rule: SubsidyRule::Halving {
            initial: 50 * COIN,
            interval: if network == NetworkName::Regtest { 150 } else { 840_000 },
        },
        next_bits: next_bits(network),
        genesis: match network {
            NetworkName::Mainnet => {
                &["12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2"]
            }
            NetworkName::Testnet => {
                &["4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0"]
            }
            NetworkName::Regtest => {
                &["530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9"]
            }
            NetworkName::Dev => &[],
        },
    }
}

fn dogecoin(network: NetworkName) -> ChainParams {
    ChainParams {
        asset: Asset::Doge,
        algorithm: Algorithm::Scrypt,
        network,
        bech32_hrp: None,
        p2pkh_version: match network {
            NetworkName::Mainnet => 30,
            NetworkName::Testnet => 113,
            NetworkName::Regtest | NetworkName::Dev => 111,
        },
        p2sh_version: if network == NetworkName::Mainnet { 22 } else { 196 },
        coinbase_maturity: if network == NetworkName::Regtest { 60 } else { 240 },
        spacing_secs: 60,
        gbt_rules: &[],
        segwit: false,
        mweb: false,
        auxpow: true,
        subsidy_rule: match network {
            NetworkName::Mainnet | NetworkName::Testnet => {
                SubsidyRule::Dogecoin { fixed_from: 145_000, interval: 100_000 }
            }
            NetworkName::Regtest => SubsidyRule::Dogecoin { fixed_from: 0, interval: 150 },
            NetworkName::Dev => SubsidyRule::Halving { initial: 10_000 * COIN, interval: u64::MAX },
        },
        next_bits: NextBits::Unforeseeable,
        genesis: match network {
            NetworkName::Mainnet => {
                &["1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691"]
            }
            NetworkName::Testnet => {
                &["bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e"]
            }
            NetworkName::Regtest => {
                &["3d2160a3b5dc4a9d62e7e66a295f70313ac808440ef7400d6c0772171ce973a5"]
            }
            NetworkName::Dev => &[],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn subsidies_are_those_of_the_known_heights() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/retarget-subsidy.json");
        let vectors: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut checked = 0;
        for v in vectors["subsidy"].as_array().unwrap() {
            let asset = match v["chain"].as_str().unwrap() {
                "btc" => Asset::Btc,
                "ltc" => Asset::Ltc,
                "doge" => Asset::Doge,
                _ => continue,
            };
            let params = params_for(asset, NetworkName::Mainnet).unwrap();
            let expected = v.get("subsidy_sat").or(v.get("subsidy_koinu")).unwrap();
            assert_eq!(params.subsidy(v["height"].as_u64().unwrap()), expected.as_i64(), "{v}");
            checked += 1;
        }
        assert!(checked > 20, "only {checked} heights in the vectors");
    }

    #[test]
    fn the_next_target_is_told_only_where_it_follows_from_the_tip() {
        let of = |asset, network| params_for(asset, network).unwrap();
        let main = of(Asset::Btc, NetworkName::Mainnet);
        assert_eq!(main.bits_at(2_015, 0x1d00_ffff), Some(0x1d00_ffff));
        assert_eq!(main.bits_at(2_016, 0x1d00_ffff), None, "a retarget");
        assert_eq!(main.bits_at(2_017, 0x1d00_ffff), Some(0x1d00_ffff));
        let regtest = of(Asset::Btc, NetworkName::Regtest);
        assert_eq!(regtest.bits_at(2_016, 0x207f_ffff), Some(0x207f_ffff));
        for network in [NetworkName::Testnet, NetworkName::Dev] {
            assert!(!of(Asset::Btc, network).foresees_blocks());
        }
        for network in NetworkName::ALL {
            assert!(!of(Asset::Ltc, network).foresees_blocks(), "an extension block");
            assert!(!of(Asset::Doge, network).foresees_blocks(), "a new target each block");
        }
    }

    #[test]
    fn random_subsidies_have_no_number() {
        let doge = params_for(Asset::Doge, NetworkName::Mainnet).unwrap();
        assert_eq!(doge.subsidy(144_999), None);
        assert_eq!(doge.subsidy(145_000), Some(250_000 * COIN));
    }

    #[test]
    fn no_two_chains_share_a_witness_prefix() {
        let mut seen = HashSet::new();
        for asset in COINS {
            for network in NetworkName::ALL {
                if let Some(hrp) = params_for(asset, network).unwrap().bech32_hrp {
                    assert!(seen.insert(hrp), "{hrp} stands twice");
                }
            }
        }
    }

    #[test]
    fn money_that_is_no_chain_has_no_parameters() {
        for asset in [Asset::Usd, Asset::Eur, Asset::Etc, Asset::Eth] {
            assert!(params_for(asset, NetworkName::Mainnet).is_err());
        }
    }
}
