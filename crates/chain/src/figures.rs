//! What a chain's last blocks say of mining it: difficulty, fees, hashprice. Pure, integers only, and from
//! public blocks alone, so that anybody with the chain gets the same numbers.
//!
//! | figure | rule |
//! |---|---|
//! | work of a block | `⌊2²⁵⁶ / (target + 1)⌋` hashes; where headers hold a difficulty, that |
//! | fees of a block | what its coinbase pays out less the subsidy of its height, not below zero; on account chains gas used × (price − what the chain burns), over all its transactions, in whole gwei |
//! | average fees before height *h* | over the blocks `h − W` to `h − 1`: `⌊Σ fees / W⌋` |
//! | capped average | as before, but a block's fees count up to a cap: one block with a fee paid by mistake does not move it |
//! | hashprice | `⌊(subsidy + average) · 86,400 · 10¹² · 10⁶ / work⌋` millionths of a minor unit for a terahash a second and a day |
//!
//! What is not decided yet (the next difficulty) is in [`crate::forecast`].

use crate::eth::earned::fees as fees_of;
use crate::eth::{EthReceipt, FollowedEthBlock, wei};
use crate::params::{Hardness, HeaderFacts};
use crate::{ChainParams, FollowedBlock};
use gruve_units::{Hashes, mul_div_floor};

/// Hashes of a terahash a second and a day.
pub const HASHES_PER_TH_DAY: u128 = 86_400 * 1_000_000_000_000;

/// Most blocks that fees are averaged over: what is kept of a chain.
pub const FEE_WINDOW_MAX: u64 = 2_016;

/// What of a block the figures are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its height.
    pub height: u64,
    /// Its hash, internal byte order.
    pub hash: [u8; 32],
    /// Its header's time, seconds.
    pub time: u64,
    /// How hard it was.
    pub hardness: Hardness,
    /// Whether it names uncles (account chains).
    pub names_uncles: bool,
    /// New coins, minor units.
    pub subsidy: i64,
    /// What its transactions paid, minor units.
    pub fees: i64,
}

impl BlockFacts {
    /// Of a block with a coinbase; `None` where its subsidy is not known or its outputs do not add up.
    #[must_use]
    pub fn of(params: &ChainParams, at: &FollowedBlock) -> Option<BlockFacts> {
        let block = &at.block;
        let subsidy = params.subsidy_on(at.height, &block.prev)?;
        let coinbase = block.txs.first()?;
        let paid = coinbase.outputs.iter().try_fold(0_i64, |sum, o| sum.checked_add(o.value))?;
        Some(BlockFacts {
            height: at.height,
            hash: block.hash,
            time: u64::from(block.time),
            hardness: Hardness::Bits(block.bits),
            names_uncles: false,
            subsidy,
            fees: paid.saturating_sub(subsidy).max(0),
        })
    }

    /// Of a block of an account chain, with the receipts of all its transactions in their order; `None`
    /// where the receipts are not the block's or a number is beyond all sense. What uncles bring is not
    /// among the new coins: nobody knows beforehand whether there will be any.
    #[must_use]
    pub fn of_account(
        params: &ChainParams,
        at: &FollowedEthBlock,
        receipts: &[EthReceipt],
    ) -> Option<BlockFacts> {
        let header = &at.block.header;
        let at_ref = at.to_ref();
        let (fees, _) = wei::split(fees_of(&at.block, receipts).ok()?)?;
        Some(BlockFacts {
            height: header.number,
            hash: at_ref.hash,
            time: header.timestamp,
            hardness: Hardness::Difficulty(u128::try_from(header.difficulty).ok()?),
            names_uncles: !at.uncles.is_empty(),
            subsidy: params.subsidy_on(header.number, &at_ref.hash)?,
            fees,
        })
    }

    /// What the next block's difficulty depends on.
    #[must_use]
    pub const fn header(&self) -> HeaderFacts {
        HeaderFacts {
            height: self.height,
            time: self.time,
            hardness: self.hardness,
            names_uncles: self.names_uncles,
        }
    }
}

/// The usual window of a chain: about a day of blocks.
#[must_use]
pub fn fee_window(params: &ChainParams) -> u64 {
    (86_400 / params.spacing_secs.max(1)).clamp(1, FEE_WINDOW_MAX)
}

/// Fees of the blocks of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeAverage {
    /// The first height of the window.
    pub from: u64,
    /// The height after its last.
    pub until: u64,
    /// How many of its blocks are known. Fewer than the window has: the averages are over those, and
    /// not what another would find.
    pub blocks: u64,
    /// All fees, minor units.
    pub total: i64,
    /// Minor units a block, rounded down.
    pub average: i64,
    /// The same with each block's fees counted up to the cap.
    pub capped: i64,
    /// The cap, minor units a block.
    pub cap: i64,
}

impl FeeAverage {
    /// Over the blocks `[until − window, until)` of `blocks`, which may be in any order and hold others;
    /// `None` when none of the window is among them.
    #[must_use]
    pub fn of(blocks: &[BlockFacts], until: u64, window: u64, cap: i64) -> Option<FeeAverage> {
        let from = until.saturating_sub(window);
        let within = || blocks.iter().filter(|b| (from..until).contains(&b.height));
        let known = i64::try_from(within().count()).ok().filter(|&n| n > 0)?;
        let sum = |of: &dyn Fn(i64) -> i64| {
            within().try_fold(0_i64, |sum, b| sum.checked_add(of(b.fees)))
        };
        let (total, capped) = (sum(&|fees| fees)?, sum(&|fees| fees.min(cap))?);
        Some(FeeAverage {
            from,
            until,
            blocks: known.unsigned_abs(),
            total,
            average: total / known,
            capped: capped / known,
            cap,
        })
    }

    /// Whether every block of the window is known.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.blocks == self.until - self.from
    }
}

/// Millionths of a minor unit that a terahash a second earns in a day at `reward` minor units a block
/// of `work` hashes, rounded down; `None` for no work, negative rewards and numbers beyond 128 bits.
#[must_use]
pub fn hashprice_micro(reward: i64, work: Hashes) -> Option<u128> {
    let micro = u128::try_from(reward).ok()?.checked_mul(1_000_000)?;
    mul_div_floor(micro, HASHES_PER_TH_DAY, work.0).ok().map(|(price, _)| price)
}

/// A chain as its last blocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkFigures {
    /// The newest block.
    pub tip: BlockFacts,
    /// Hashes that a block at the tip's difficulty takes on average.
    pub work: Hashes,
    /// New coins of the next block, minor units.
    pub subsidy: i64,
    /// Fees of the blocks of the usual window, capped at the subsidy.
    pub fees: FeeAverage,
    /// At the tip's difficulty, with the next block's subsidy and the capped average of fees.
    pub hashprice_micro: u128,
    /// When and to what the difficulty changes next, as far as it can be said.
    pub next: Option<crate::forecast::NextDifficulty>,
}

impl NetworkFigures {
    /// From a chain's newest blocks, in any order, without gaps: those of the window and of the present
    /// retarget period are looked at. `None` when there is none, or its subsidy is not known.
    #[must_use]
    pub fn of(params: &ChainParams, blocks: &[BlockFacts]) -> Option<NetworkFigures> {
        let tip = *blocks.iter().max_by_key(|b| b.height)?;
        let until = tip.height.checked_add(1)?;
        let work = tip.hardness.work()?;
        let subsidy = params.subsidy_on(until, &tip.hash)?;
        let fees = FeeAverage::of(blocks, until, fee_window(params), subsidy)?;
        Some(NetworkFigures {
            tip,
            work,
            subsidy,
            fees,
            hashprice_micro: hashprice_micro(subsidy.checked_add(fees.capped)?, work)?,
            next: crate::forecast::next_difficulty(params, &tip, blocks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eth::{EthAddress, EthBlock, EthHeader, EthTransaction, header};
    use crate::{NetworkName, params_for};
    use gruve_units::Asset;
    use proptest::prelude::*;
    use ruint::aliases::U256;

    fn block(height: u64, fees: i64) -> BlockFacts {
        BlockFacts {
            height,
            hash: [7; 32],
            time: 1_700_000_000 + height * 600,
            hardness: Hardness::Bits(0x1700_e526),
            names_uncles: false,
            subsidy: 312_500_000,
            fees,
        }
    }

    #[test]
    fn fees_are_averaged_over_the_window_before_a_height_and_nothing_else() {
        let blocks: Vec<_> = (0..10).map(|h| block(h, i64::try_from(h).unwrap() * 10)).collect();
        let fees = FeeAverage::of(&blocks, 8, 3, 1_000).unwrap();
        assert_eq!((fees.from, fees.until, fees.blocks), (5, 8, 3));
        assert_eq!((fees.total, fees.average, fees.capped), (180, 60, 60));
        assert!(fees.is_whole());
        let short = FeeAverage::of(&blocks[6..], 8, 3, 1_000).unwrap();
        assert_eq!((short.blocks, short.is_whole()), (2, false), "one block of it is not known");
        assert_eq!(FeeAverage::of(&blocks, 30, 3, 1_000), None);
    }

    #[test]
    fn one_fee_paid_by_mistake_moves_the_capped_average_by_the_cap_at_most() {
        let mut blocks: Vec<_> = (0..144).map(|h| block(h, 5_000_000)).collect();
        // Nineteen coins once, as a customer of an exchange paid in September 2023.
        blocks[70].fees = 1_900_000_000;
        let fees = FeeAverage::of(&blocks, 144, 144, 312_500_000).unwrap();
        assert_eq!(fees.average, (143 * 5_000_000 + 1_900_000_000) / 144);
        assert_eq!(fees.capped, (143 * 5_000_000 + 312_500_000) / 144);
    }

    #[test]
    fn hashprice_is_the_reward_of_a_terahash_second_a_day() {
        // Difficulty one is 2^32·(1 + 1/65535) hashes; a block of exactly 86.4·10^15 hashes is a day
        // of a terahash a second.
        assert_eq!(
            hashprice_micro(312_500_000, Hashes(HASHES_PER_TH_DAY)),
            Some(312_500_000_000_000)
        );
        // Bitcoin at difficulty 10^14: some 62.9 satoshi.
        let work = Hashes(429_503_283_300_000_000_000_000);
        assert_eq!(hashprice_micro(312_500_000, work), Some(62_863_314));
        assert_eq!(hashprice_micro(312_500_000, Hashes(0)), None);
        assert_eq!(hashprice_micro(-1, Hashes(1)), None);
    }

    #[test]
    fn an_account_chains_block_brings_its_eras_reward_and_the_gas_it_used() {
        let params = params_for(Asset::Etc, NetworkName::Mainnet).unwrap();
        let header = EthHeader {
            parent_hash: [1; 32],
            uncles_hash: header::NO_UNCLES,
            coinbase: EthAddress([7; 20]),
            state_root: [2; 32],
            transactions_root: [3; 32],
            receipts_root: [4; 32],
            logs_bloom: Box::new([0; header::BLOOM_BYTES]),
            difficulty: U256::from(3_000_000_000_000_000_u64),
            number: 20_000_001,
            gas_limit: 8_000_000,
            gas_used: 21_000,
            timestamp: 1_700_000_000,
            extra_data: Vec::new(),
            mix_hash: [5; 32],
            nonce: [6; 8],
            later_fields: Vec::new(),
        };
        let hash = header.hash();
        let transaction = EthTransaction {
            hash: [9; 32],
            from: EthAddress([8; 20]),
            to: None,
            value: U256::ZERO,
            nonce: 0,
            gas: 50_000,
            gas_price: Some(U256::from(1_000_000_007)),
        };
        let receipt = EthReceipt {
            transaction_hash: [9; 32],
            block_hash: hash,
            block_number: header.number,
            succeeded: Some(false),
            gas_used: 21_000,
            gas_price: Some(U256::from(1_000_000_007)),
        };
        let uncle = EthHeader { number: 20_000_000, ..header.clone() };
        let uncle_hashes = vec![uncle.hash()];
        let block = EthBlock { hash, header, uncle_hashes, transactions: vec![transaction] };
        let at = FollowedEthBlock { block, uncles: vec![uncle] };
        let facts = BlockFacts::of_account(&params, &at, &[receipt]).unwrap();
        // 5 ETC less a fifth four times; 21,000 gas at a gwei and 7 wei, 147,000 wei left out.
        assert_eq!((facts.subsidy, facts.fees), (2_048_000_000, 21_000));
        assert_eq!(facts.hardness, Hardness::Difficulty(3_000_000_000_000_000));
        assert!(facts.names_uncles);
        assert_eq!(BlockFacts::of_account(&params, &at, &[]), None, "not all receipts");
        let figures = NetworkFigures::of(&params, &[facts]).unwrap();
        // 2,048,021,000 gwei a 3·10^15 hashes; a terahash a second makes 86,400·10^12 of them a day.
        assert_eq!(figures.hashprice_micro, 2_048_021_000 * 1_000_000 * 86_400 / 3_000);
        assert!(figures.next.is_some());
    }

    #[test]
    fn figures_are_those_of_the_next_block() {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let blocks: Vec<_> = (1_049_800..1_050_000).map(|h| block(h, 1_000)).collect();
        let figures = NetworkFigures::of(&params, &blocks).unwrap();
        assert_eq!(figures.subsidy, 156_250_000, "the next block halves it");
        assert_eq!((figures.fees.from, figures.fees.until), (1_049_856, 1_050_000));
        assert_eq!(figures.work, Hardness::Bits(0x1700_e526).work().unwrap());
        assert_eq!(NetworkFigures::of(&params, &[]), None);
    }

    proptest! {
        #[test]
        fn no_blocks_panic(
            heights in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u32>(), any::<u64>()), 0..20),
            until: u64, window: u64, cap: i64,
        ) {
            let facts = |(height, fees, bits, time)| BlockFacts {
                time, hardness: Hardness::Bits(bits), ..block(height % (1 << 40), fees)
            };
            let blocks: Vec<_> = heights.into_iter().map(facts).collect();
            let _ = FeeAverage::of(&blocks, until, window, cap);
            for params in crate::params::all() {
                let _ = NetworkFigures::of(&params, &blocks);
            }
        }
    }
}
