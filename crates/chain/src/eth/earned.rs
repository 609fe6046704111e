//! What a block earns a miner: its reward, uncles, fees. Pure.
//!
//! | part | wei | source |
//! |---|---|---|
//! | the block | the era's reward | [`RewardRule::block`] |
//! | each uncle that it names | a thirty-second of it | [`RewardRule::nephew`] |
//! | fees | for each transaction gas used × (price − what the chain burns) | EIP-1559 where there is a base fee |
//! | an uncle of ours named by anybody | by lateness in the first era, a thirty-second later | [`RewardRule::uncle`] |
//!
//! An uncle is paid in the block that names it, so it matures from there, and goes with that block in
//! a reorganisation. One header can be a block in one branch and an uncle in another, of another amount:
//! so an uncle's reward has a name of its own, made of uncle and nephew.

use super::follow::FollowedEthBlock;
use super::{EthAddress, EthBlock, EthReceipt, RewardRule, internal, keccak256};
use gruve_units::Timestamp;
use ruint::aliases::U256;

/// What a miner got by one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earned {
    /// What the reward is known by, internal byte order: a block's is the hash of its proof of work,
    /// as the share log has it; an uncle's [`uncle_name`].
    pub name: [u8; 32],
    /// Height of the block that pays it.
    pub height: u64,
    /// Time of the header that was mined.
    pub mined_at: Timestamp,
    /// How much.
    pub wei: U256,
    /// Whether it is for an uncle.
    pub is_uncle: bool,
}

/// Receipts that do not belong to the block, or fees beyond all sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipts {
    /// Not one for each transaction, in order, of this block.
    #[error("the node's receipts are not those of the block's transactions")]
    OfAnother,
    /// Their gas is not what the header says was used.
    #[error("the receipts' gas is not what the block says was used")]
    Gas,
    /// Neither receipt nor transaction says what gas cost.
    #[error("a transaction's price is told nowhere")]
    NoPrice,
    /// A price below what the chain burns, or a sum that does not fit.
    #[error("the fees make no sense")]
    Nonsense,
}

/// What an uncle's reward is known by: the hash of the uncle's proof of work and the hash of the block
/// that names it.
#[must_use]
pub fn uncle_name(pow_hash: &[u8; 32], nephew: &[u8; 32]) -> [u8; 32] {
    internal(keccak256(&[&b"gruve/uncle"[..], pow_hash, nephew].concat()))
}

/// What `miner` gets by a block. `receipts` are those of all its transactions where the block is
/// `miner`'s, and not looked at otherwise.
///
/// # Errors
/// When the receipts are not the block's.
pub fn earned(
    followed: &FollowedEthBlock,
    receipts: &[EthReceipt],
    miner: &EthAddress,
    rule: &RewardRule,
) -> Result<Vec<Earned>, BadReceipts> {
    let block = &followed.block;
    let height = block.header.number;
    let mut all = Vec::new();
    // The genesis block was nobody's work.
    if block.header.coinbase == *miner && height > 0 {
        let nephews = rule.nephew(height).saturating_mul(U256::from(followed.uncles.len()));
        let minted = rule.block(height).saturating_add(nephews);
        all.push(Earned {
            name: internal(block.header.pow_hash()),
            height,
            mined_at: block.header.time(),
            wei: minted.checked_add(fees(block, receipts)?).ok_or(BadReceipts::Nonsense)?,
            is_uncle: false,
        });
    }
    let ours = followed.uncles.iter().filter(|u| u.coinbase == *miner);
    all.extend(ours.map(|uncle| Earned {
        name: uncle_name(&uncle.pow_hash(), &block.hash),
        height,
        mined_at: uncle.time(),
        wei: rule.uncle(height, uncle.number),
        is_uncle: true,
    }));
    Ok(all)
}

/// What a block's transactions pay its miner.
///
/// # Errors
/// When the receipts are not the block's.
pub fn fees(block: &EthBlock, receipts: &[EthReceipt]) -> Result<U256, BadReceipts> {
    if receipts.len() != block.transactions.len() {
        return Err(BadReceipts::OfAnother);
    }
    let burnt = block.header.base_fee().unwrap_or(U256::ZERO);
    let (mut fees, mut gas) = (U256::ZERO, 0_u64);
    for (transaction, receipt) in block.transactions.iter().zip(receipts) {
        if receipt.transaction_hash != transaction.hash || receipt.block_hash != block.hash {
            return Err(BadReceipts::OfAnother);
        }
        let price = receipt.gas_price.or(transaction.gas_price).ok_or(BadReceipts::NoPrice)?;
        let kept = price.checked_sub(burnt).ok_or(BadReceipts::Nonsense)?;
        let fee = kept.checked_mul(U256::from(receipt.gas_used)).ok_or(BadReceipts::Nonsense)?;
        fees = fees.checked_add(fee).ok_or(BadReceipts::Nonsense)?;
        gas = gas.checked_add(receipt.gas_used).ok_or(BadReceipts::Gas)?;
    }
    if gas == block.header.gas_used { Ok(fees) } else { Err(BadReceipts::Gas) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eth::{EthHeader, EthTransaction, header};
    use proptest::prelude::*;

    const OURS: EthAddress = EthAddress([7; 20]);
    const OTHERS: EthAddress = EthAddress([8; 20]);
    const GWEI: u64 = 1_000_000_000;

    fn header(number: u64, coinbase: EthAddress) -> EthHeader {
        EthHeader {
            parent_hash: [1; 32],
            uncles_hash: header::NO_UNCLES,
            coinbase,
            state_root: [2; 32],
            transactions_root: [3; 32],
            receipts_root: [4; 32],
            logs_bloom: Box::new([0; header::BLOOM_BYTES]),
            difficulty: U256::from(64),
            number,
            gas_limit: 8_000_000,
            gas_used: 0,
            timestamp: 1_700_000_000,
            extra_data: Vec::new(),
            mix_hash: [5; 32],
            nonce: [6; 8],
            later_fields: Vec::new(),
        }
    }

    fn followed(number: u64, miner: EthAddress, uncles: Vec<EthHeader>) -> FollowedEthBlock {
        let header = header(number, miner);
        let hash = header.hash();
        let uncle_hashes = uncles.iter().map(EthHeader::hash).collect();
        let block = EthBlock { hash, header, uncle_hashes, transactions: Vec::new() };
        FollowedEthBlock { block, uncles }
    }

    /// Transactions of so much gas at such a price, and their receipts.
    fn pay(at: &mut FollowedEthBlock, payments: &[(u64, u64)]) -> Vec<EthReceipt> {
        at.block.header.gas_used = payments.iter().map(|(gas, _)| gas).sum();
        at.block.hash = at.block.header.hash();
        let hash = |n: usize| [u8::try_from(n).unwrap(); 32];
        let made = payments.iter().enumerate();
        at.block.transactions = made
            .clone()
            .map(|(n, (gas, price))| EthTransaction {
                hash: hash(n),
                from: OTHERS,
                to: Some(OTHERS),
                value: U256::ZERO,
                nonce: n as u64,
                gas: *gas,
                gas_price: Some(U256::from(*price)),
            })
            .collect();
        made.map(|(n, (gas, price))| EthReceipt {
            transaction_hash: hash(n),
            block_hash: at.block.hash,
            block_number: at.block.header.number,
            succeeded: Some(n % 2 == 0),
            gas_used: *gas,
            gas_price: Some(U256::from(*price)),
        })
        .collect()
    }

    fn wei(of: &FollowedEthBlock, receipts: &[EthReceipt]) -> Vec<(u128, bool)> {
        let all = earned(of, receipts, &OURS, &RewardRule::CLASSIC).unwrap();
        all.iter().map(|e| (e.wei.to::<u128>(), e.is_uncle)).collect()
    }

    #[test]
    fn a_block_of_ours_pays_reward_nephews_and_fees() {
        let mut of = followed(20_000_001, OURS, vec![header(20_000_000, OTHERS)]);
        let receipts = pay(&mut of, &[(21_000, 2 * GWEI), (50_000, 3)]);
        // 2.048 coins, a thirty-second of it for the uncle, and the gas, failed or not.
        let fees = 21_000 * 2 * u128::from(GWEI) + 150_000;
        assert_eq!(wei(&of, &receipts), [(2_048_000_000_000_000_000 * 33 / 32 + fees, false)]);
    }

    #[test]
    fn an_uncle_of_ours_is_paid_by_the_block_that_names_it() {
        let of = followed(100, OTHERS, vec![header(98, OURS), header(99, OTHERS)]);
        assert_eq!(wei(&of, &[]), [(5_000_000_000_000_000_000 * 6 / 8, true)]);
        let later = followed(20_000_001, OTHERS, vec![header(19_999_998, OURS)]);
        assert_eq!(wei(&later, &[]), [(64_000_000_000_000_000, true)]);
        let both = followed(100, OURS, vec![header(99, OURS)]);
        let (block, uncle) = (5_000_000_000_000_000_000_u128, 4_375_000_000_000_000_000);
        assert_eq!(wei(&both, &[]), [(block * 33 / 32, false), (uncle, true)]);
        assert_eq!(wei(&followed(100, OTHERS, vec![]), &[]), []);
    }

    #[test]
    fn what_the_chain_burns_is_nobodys_income() {
        let mut of = followed(1, OURS, vec![]);
        of.block.header.later_fields.push(vec![0x84, 0x3b, 0x9a, 0xca, 0x00]);
        let receipts = pay(&mut of, &[(21_000, 3 * GWEI)]);
        let kept = u128::from(2 * 21_000 * GWEI);
        assert_eq!(wei(&of, &receipts), [(5_000_000_000_000_000_000 + kept, false)]);
        let receipts = pay(&mut of, &[(21_000, GWEI - 1)]);
        let too_cheap = earned(&of, &receipts, &OURS, &RewardRule::CLASSIC);
        assert_eq!(too_cheap, Err(BadReceipts::Nonsense));
    }

    #[test]
    fn receipts_of_another_block_or_of_other_gas_are_refused() {
        let mut of = followed(1, OURS, vec![]);
        let good = pay(&mut of, &[(21_000, 3), (30_000, 3)]);
        let refused = |receipts: &[EthReceipt]| {
            earned(&of, receipts, &OURS, &RewardRule::CLASSIC).unwrap_err()
        };
        assert_eq!(refused(&good[..1]), BadReceipts::OfAnother);
        let turned: Vec<_> = good.iter().rev().copied().collect();
        assert_eq!(refused(&turned), BadReceipts::OfAnother);
        let mut elsewhere = good.clone();
        elsewhere[1].block_hash = [9; 32];
        assert_eq!(refused(&elsewhere), BadReceipts::OfAnother);
        let mut less = good;
        less[1].gas_used -= 1;
        assert_eq!(refused(&less), BadReceipts::Gas);
    }

    #[test]
    fn an_uncles_reward_is_another_than_its_blocks_and_each_nephew_has_its_own() {
        let uncle = header(99, OURS);
        let names = [[1; 32], [2; 32]].map(|nephew| uncle_name(&uncle.pow_hash(), &nephew));
        assert_ne!(names[0], names[1]);
        assert!(!names.contains(&internal(uncle.pow_hash())));
    }

    proptest! {
        #[test]
        fn no_gas_and_no_price_overflow(gas: u64, price: [u8; 32]) {
            let mut of = followed(1, OURS, vec![]);
            let mut receipts = pay(&mut of, &[(gas, 1)]);
            receipts[0].gas_price = Some(U256::from_be_bytes(price));
            let _ = earned(&of, &receipts, &OURS, &RewardRule::CLASSIC);
        }
    }
}
