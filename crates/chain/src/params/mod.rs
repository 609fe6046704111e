//! The one table of chain parameters: everything in which coins and networks differ.
//!
//! | module | for |
//! |---|---|
//! | `coins` | the entries, one file a coin |
//! | [`NetworkName`] | which network of a coin |
//! | `subsidy` | new coins by height |
//! | `retarget` | how hard the next block is |
//! | `mersenne` | the random numbers of Dogecoin's first blocks |
//!
//! A coin of an algorithm that is known here is one entry of [`TABLE`] and its tests:
//! `docs/adding-a-coin.md`.

mod coins;
mod mersenne;
mod network;
mod retarget;
mod subsidy;

pub use network::NetworkName;
pub use retarget::{Hardness, HeaderFacts, Period, Retarget};
pub use subsidy::SubsidyRule;

use crate::ChainError;
use crate::eth::reward::RewardRule;
use gruve_units::{Algorithm, Asset};

/// How addresses of a chain are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressForm {
    /// Outputs with scripts (Bitcoin and its descendants).
    Script {
        /// Prefix of witness addresses; `None` for coins without segregated witness.
        bech32_hrp: Option<&'static str>,
        /// Version byte of pay-to-public-key-hash addresses.
        p2pkh_version: u8,
        /// Version byte of pay-to-script-hash addresses.
        p2sh_version: u8,
    },
    /// Accounts of 20 bytes, written in hexadecimal with EIP-55's checksum: the same on all chains
    /// of this kind.
    Account {
        /// What signatures are bound to (EIP-155).
        chain_id: u64,
    },
}

/// What kind of chain it is: which node it has, which blocks and which wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Templates, coinbases and outputs, as Bitcoin has them.
    Bitcoin,
    /// Work by a header's hash, accounts and uncles, as Ethereum had them.
    Ethash,
}

/// Merge-mining (AuxPoW): a block may be proven by another chain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeMining {
    /// The chain's number in the tree of chains mined together and in its headers' versions.
    pub chain_id: u16,
    /// The first height at which it may.
    pub from_height: u64,
}

/// What is paid to a chain's miners for payouts. Sources of the relay and dust rates: `policy.h` and
/// `validation.h` of Bitcoin Core 29 and Litecoin Core 0.21; Dogecoin Core 1.14's
/// `doc/fee-recommendation.md`. Minor units for a thousand virtual bytes; on
/// account chains for a thousand gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeFacts {
    /// Never below: what nodes relay.
    pub floor: i64,
    /// When the node has no estimate.
    pub fallback: i64,
    /// Never above.
    pub ceiling: i64,
    /// The rate that outputs are measured against to be dust.
    pub dust_rate: i64,
    /// Smallest output the network relays whatever its form, in minor units; 0 for none.
    pub dust_flat: i64,
}

/// The rules of one coin on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainParams {
    /// The coin; its minor unit is [`Asset::decimals`].
    pub asset: Asset,
    /// Its proof of work.
    pub algorithm: Algorithm,
    /// Which network.
    pub network: NetworkName,
    /// How addresses are written.
    pub address: AddressForm,
    /// The coin's number in key paths (SLIP-44).
    pub slip44: u32,
    /// What payment links begin with (BIP 21 and its likes).
    pub uri_scheme: &'static str,
    /// A coinbase of height *h* may be spent in blocks of height *h* + this and above. Where the
    /// chain has no such rule (account chains), how deep a reward is before the house believes it.
    pub coinbase_maturity: u64,
    /// Depth at which a receipt is credited unless the operator says another; the block it stands
    /// in counts.
    pub confirmations: u64,
    /// Intended seconds between blocks.
    pub spacing_secs: u64,
    /// `rules` to send with `getblocktemplate`.
    pub gbt_rules: &'static [&'static str],
    /// The first block hashed with Etchash's long epochs (ECIP-1099), where a chain has them.
    pub etchash_from: Option<u64>,
    /// Whether the chain has segregated witness (BIP 141).
    pub segwit: bool,
    /// Whether blocks may carry Litecoin's extension block (LIP 2, MWEB).
    pub mweb: bool,
    /// Whether and how blocks may carry a merge-mining proof.
    pub auxpow: Option<MergeMining>,
    /// New coins by height.
    pub subsidy_rule: SubsidyRule,
    /// How hard the next block is.
    pub retarget: Retarget,
    /// Text of the genesis blocks a node of this network may have; empty where it is not fixed.
    pub genesis: &'static [&'static str],
    /// A later block that tells the chain from another with the same genesis block: height and text
    /// of its hash.
    pub landmark: Option<(u64, &'static str)>,
    /// What payouts pay.
    pub fees: FeeFacts,
}

impl ChainParams {
    /// What kind of chain it is.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.address {
            AddressForm::Script { .. } => Family::Bitcoin,
            AddressForm::Account { .. } => Family::Ethash,
        }
    }

    /// Whether the work can carry the house's stamp: a coinbase of ours is needed, or a parent's
    /// (merge-mining). The Ethash family's nodes make their blocks themselves.
    #[must_use]
    pub const fn has_stamps(&self) -> bool {
        matches!(self.family(), Family::Bitcoin)
    }

    /// What blocks and uncles create in wei, on account chains.
    #[must_use]
    pub const fn eras(&self) -> Option<RewardRule> {
        match self.subsidy_rule {
            SubsidyRule::Eras(rule) => Some(rule),
            SubsidyRule::Halving { .. } | SubsidyRule::Dogecoin { .. } => None,
        }
    }

    /// Prefix of witness addresses, where the coin has them.
    #[must_use]
    pub const fn bech32_hrp(&self) -> Option<&'static str> {
        match self.address {
            AddressForm::Script { bech32_hrp, .. } => bech32_hrp,
            AddressForm::Account { .. } => None,
        }
    }

    /// What signatures of transactions are bound to, on account chains.
    #[must_use]
    pub const fn chain_id(&self) -> Option<u64> {
        match self.address {
            AddressForm::Script { .. } => None,
            AddressForm::Account { chain_id } => Some(chain_id),
        }
    }

    /// New coins of the block at `height`, in minor units; `None` where the chain draws them at
    /// random (Dogecoin's first blocks; [`ChainParams::subsidy_on`] draws them again).
    #[must_use]
    pub fn subsidy(&self, height: u64) -> Option<i64> {
        self.subsidy_rule.at(self.asset, height)
    }

    /// New coins of the block at `height` on the block `previous` (internal byte order), in minor
    /// units.
    #[must_use]
    pub fn subsidy_on(&self, height: u64, previous: &[u8; 32]) -> Option<i64> {
        self.subsidy_rule.drawn(self.asset, height, previous)
    }

    /// Whether a block without transactions can be built on a new tip before the node has given a
    /// template: its target must follow from the tip's header, and no part of it from its content
    /// (Litecoin's extension block asks for a transaction at the end of every block).
    #[must_use]
    pub const fn foresees_blocks(&self) -> bool {
        let follows = match self.retarget {
            Retarget::Never => true,
            Retarget::Every(period) => !period.eases,
            Retarget::Digishield { .. } | Retarget::Ethash { .. } | Retarget::Elsewhere => false,
        };
        follows && !self.mweb && matches!(self.family(), Family::Bitcoin)
    }

    /// The compact target of the block at `height` on a tip with `tip_bits`, if the tip alone tells.
    #[must_use]
    pub fn bits_at(&self, height: u64, tip_bits: u32) -> Option<u32> {
        match self.retarget {
            Retarget::Never => Some(tip_bits),
            Retarget::Every(period) => {
                let same = !period.eases && period.first_of(height).is_none();
                same.then_some(tip_bits)
            }
            Retarget::Digishield { .. } | Retarget::Ethash { .. } | Retarget::Elsewhere => None,
        }
    }

    /// Coin and network in words, as `Litecoin regtest`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.asset.name(), self.network)
    }
}

/// An entry of the table: a coin's rules on each network, in the order of [`NetworkName::ALL`].
pub type Rows = [ChainParams; 4];

/// The table.
pub const TABLE: [Rows; 4] = [
    coins::bitcoin::ENTRY,
    coins::litecoin::ENTRY,
    coins::dogecoin::ENTRY,
    coins::ethereum_classic::ENTRY,
];

/// Every row of every coin.
pub fn all() -> impl Iterator<Item = ChainParams> {
    TABLE.into_iter().flatten()
}

/// The coins this room has parameters for.
pub fn coins() -> impl Iterator<Item = Asset> {
    TABLE.into_iter().map(|[mainnet, ..]| mainnet.asset)
}

/// The parameters of a coin on a network.
///
/// # Errors
/// [`ChainError::NoSuchChain`] for assets that are no chain here.
pub fn params_for(asset: Asset, network: NetworkName) -> Result<ChainParams, ChainError> {
    all()
        .find(|row| row.asset == asset && row.network == network)
        .ok_or(ChainError::NoSuchChain { asset, network })
}

#[cfg(test)]
mod tests;
