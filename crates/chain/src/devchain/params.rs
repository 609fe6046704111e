//! What a development chain is told at its creation: its coin and its rules.

use crate::params::MergeMining;
use crate::{ChainError, ChainParams, NetworkName, Retarget, SubsidyRule, params_for};
use gruve_units::{Algorithm, Asset, Duration, Hashes, Target};
use ruint::aliases::U256;

/// The easiest target a block may have, in compact form (Bitcoin Core's regtest limit: two tries
/// a block).
pub const POW_LIMIT_BITS: u32 = 0x207f_ffff;

/// How the target of the next block is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difficulty {
    /// Always the same compact target, as on a real regtest chain.
    Fixed {
        /// The compact target.
        bits: u32,
    },
    /// Retargets at every block towards the spacing; see the module `difficulty`.
    Adjusting {
        /// The compact target of the first block after the premine.
        start_bits: u32,
    },
}

/// Parameters of one development chain. They are written into the chain's file when it is
/// created; opening the file with other rules is refused.
#[derive(Clone, Debug)]
pub struct DevParams {
    /// Whose rules and address forms to follow: BTC, LTC or DOGE.
    pub asset: Asset,
    /// Whose address forms and name: the development network's, or (to compare rules with a real
    /// node) another's.
    pub network: NetworkName,
    /// The proof of work: SHA-256d or scrypt.
    pub algorithm: Algorithm,
    /// Target time between blocks, in seconds.
    pub spacing_secs: u32,
    /// How many blocks deep a coinbase must be before it can be spent (100 on real chains: the
    /// block at height `h + coinbase_maturity` is the first that may spend it).
    pub coinbase_maturity: u32,
    /// How targets are set.
    pub difficulty: Difficulty,
    /// The subsidy of a block in minor units, before halvings.
    pub subsidy: i64,
    /// Blocks between halvings of the subsidy; `None`: it never falls.
    pub halving_interval: Option<u32>,
    /// More than this many minor units cannot exist.
    pub max_money: i64,
    /// Whether segregated witness is active from the first block on.
    pub segwit: bool,
    /// The chain's id in merge-mining, where its blocks may carry a proof in place of work of their own.
    pub aux_chain_id: Option<u16>,
    /// Coinbases that the built-in wallet can spend at once; see [`DevParams::premine_blocks`].
    pub premine_coins: u32,
    /// A block's time may be at most this far ahead of the clock (two hours on real chains).
    pub max_future_secs: u32,
    /// The least fee the mempool takes, in minor units per 1000 virtual bytes.
    pub relay_fee_per_kvb: i64,
    /// The fee the built-in wallet pays and `estimatesmartfee` answers, same unit.
    pub wallet_fee_per_kvb: i64,
    /// A long poll for a template answers after this time when the mempool has changed.
    pub mempool_poll: Duration,
    /// The first block, serialised, when it is another chain's (to compare rules with a real
    /// node on its own regtest chain); made at creation otherwise.
    pub genesis: Option<Vec<u8>>,
}

impl DevParams {
    /// Sensible rules for a demonstration of `asset`: 20 seconds a block, maturity of 10 blocks,
    /// start at some thousand hashes, 20 spendable coinbases in the wallet.
    #[must_use]
    pub fn new(asset: Asset, algorithm: Algorithm) -> Self {
        let (max_coins, relay, wallet) = match asset {
            Asset::Ltc => (84_000_000, 1_000, 10_000),
            // Dogecoin has no cap; its node checks single amounts against ten thousand million.
            Asset::Doge => (10_000_000_000, 100_000, 1_000_000),
            _ => (21_000_000, 1_000, 10_000),
        };
        let known = params_for(asset, NetworkName::Dev).ok();
        let merge_mining = known.and_then(|params| params.auxpow);
        DevParams {
            asset,
            network: NetworkName::Dev,
            algorithm,
            spacing_secs: 20,
            coinbase_maturity: 10,
            difficulty: Difficulty::Adjusting { start_bits: bits_for_work(Hashes(1 << 14)) },
            subsidy: if asset == Asset::Doge { 10_000 } else { 50 } * asset.unit(),
            halving_interval: None,
            max_money: max_coins * asset.unit(),
            segwit: asset != Asset::Doge,
            aux_chain_id: merge_mining.map(|m| m.chain_id),
            premine_coins: 20,
            max_future_secs: 7_200,
            relay_fee_per_kvb: relay,
            wallet_fee_per_kvb: wallet,
            mempool_poll: Duration::from_secs(2),
            genesis: None,
        }
    }

    /// The same rules, starting (after the premine) at `work` expected hashes a block.
    #[must_use]
    pub fn with_start_work(mut self, work: Hashes) -> Self {
        self.difficulty = Difficulty::Adjusting { start_bits: bits_for_work(work) };
        self
    }

    /// The chain parameters that describe this chain to the rest of the house.
    ///
    /// # Errors
    /// When the asset is no Bitcoin-like coin.
    pub fn chain_params(&self) -> Result<ChainParams, ChainError> {
        let base = params_for(self.asset, self.network)?;
        Ok(ChainParams {
            algorithm: self.algorithm,
            coinbase_maturity: u64::from(self.coinbase_maturity),
            spacing_secs: u64::from(self.spacing_secs),
            segwit: self.segwit,
            mweb: false,
            auxpow: self.aux_chain_id.map(|chain_id| MergeMining { chain_id, from_height: 0 }),
            subsidy_rule: SubsidyRule::Halving {
                initial: self.subsidy,
                interval: self.halving_interval.map_or(u64::MAX, u64::from),
            },
            retarget: match self.difficulty {
                // The premine has another target than what follows.
                Difficulty::Fixed { .. } if self.premine_coins == 0 => Retarget::Never,
                Difficulty::Fixed { .. } | Difficulty::Adjusting { .. } => Retarget::Elsewhere,
            },
            ..base
        })
    }

    /// Blocks mined at creation, at the easiest target, for the built-in wallet: as many as its
    /// coins and their maturity take.
    #[must_use]
    pub const fn premine_blocks(&self) -> u32 {
        if self.premine_coins == 0 {
            return 0;
        }
        self.premine_coins.saturating_add(self.coinbase_maturity.saturating_sub(1))
    }

    /// The version of blocks made here: BIP 9's without a bit set, or 4 (BIP 65) with the chain's id.
    #[must_use]
    pub fn block_version(&self) -> i32 {
        let with_id = |id: u16| i32::from(id) << 16 | 4;
        self.aux_chain_id.map_or(0x2000_0000, with_id)
    }

    /// The subsidy of the block at `height`.
    #[must_use]
    pub fn subsidy_at(&self, height: u32) -> i64 {
        match self.halving_interval {
            Some(interval) if interval > 0 => {
                let halvings = height / interval;
                if halvings >= 64 { 0 } else { self.subsidy >> halvings }
            }
            _ => self.subsidy,
        }
    }

    /// Why these parameters cannot make a chain, if they cannot.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let bits = match self.difficulty {
            Difficulty::Fixed { bits } | Difficulty::Adjusting { start_bits: bits } => bits,
        };
        let target = Target::from_compact(bits);
        if !matches!(self.asset, Asset::Btc | Asset::Ltc | Asset::Doge) {
            Some("the development chain is for BTC, LTC or DOGE")
        } else if !matches!(self.algorithm, Algorithm::Sha256d | Algorithm::Scrypt) {
            Some("the development chain's proof of work is sha256d or scrypt")
        } else if self.spacing_secs == 0 || self.spacing_secs > 86_400 {
            Some("the spacing must be between one second and a day")
        } else if target.is_none_or(|t| t > pow_limit()) {
            Some("the start target is not a target or is easier than the limit")
        } else if self.subsidy < 0 || self.max_money <= 0 || self.subsidy > self.max_money {
            Some("the subsidy must be between zero and the cap of the coin")
        } else if self.relay_fee_per_kvb < 0 || self.wallet_fee_per_kvb < self.relay_fee_per_kvb {
            Some("the wallet's fee must not be below the relay fee, nor that below zero")
        } else if self.premine_blocks() > 10_000 {
            Some("the premine is mined at creation: at most 10000 blocks")
        } else if self.aux_chain_id.is_some_and(|id| id == 0 || id > 0x7fff) {
            Some("an id in merge-mining is 1 to 32767")
        } else {
            None
        }
    }

    /// The rules as text: what two openings of one chain must agree on.
    pub(crate) fn rules_text(&self) -> String {
        format!(
            "gruve-devchain 1 {} {} {} spacing={} maturity={} {:?} subsidy={} halving={:?} cap={} \
             segwit={} premine={} future={}",
            self.asset,
            self.network,
            self.algorithm,
            self.spacing_secs,
            self.coinbase_maturity,
            self.difficulty,
            self.subsidy,
            self.halving_interval,
            self.max_money,
            self.segwit,
            self.premine_blocks(),
            self.max_future_secs
        ) + &self.aux_chain_id.map_or_else(String::new, |id| format!(" aux={id}"))
    }
}

/// The easiest target as a number.
#[must_use]
pub fn pow_limit() -> Target {
    Target::from_compact(POW_LIMIT_BITS).unwrap_or(Target::MAX)
}

/// The compact target at which a block takes about `work` tries; never easier than the limit.
#[must_use]
pub fn bits_for_work(work: Hashes) -> u32 {
    let target = U256::MAX / U256::from(work.0.max(1));
    Target(target.min(pow_limit().0)).to_compact()
}
