//! Blocks made by another implementation, carried out by this one.

use super::block::Block;
use super::chain::Chain;
use super::{EthDevParams, EthDifficulty};
use crate::devchain::file::{ChainFile, Frame};
use crate::eth::EthAddress;
use crate::eth::reward::RewardRule;
use ruint::aliases::U256;
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../../testdata/pyevm-transfers.json");

fn address(value: &Value) -> EthAddress {
    EthAddress(hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap())
}

/// The chain's rules as the vectors' maker had them: Byzantium's reward, and no proof of work, which
/// a chain does not ask of what stands in its file.
fn params(vectors: &Value) -> EthDevParams {
    let accounts = vectors["accounts"].as_array().unwrap().iter();
    let wei = |v: &Value| v.to_string().parse::<U256>().unwrap();
    EthDevParams {
        difficulty: EthDifficulty::fixed(131_072),
        reward: RewardRule {
            first: U256::from(3u64) * U256::from(10u64).pow(U256::from(18)),
            era_blocks: None,
        },
        wallet_wei: U256::ZERO,
        accounts: accounts.map(|a| (address(&a[0]), wei(&a[1]))).collect(),
        ..EthDevParams::classic()
    }
}

#[test]
fn blocks_of_py_evm_have_the_same_hashes_roots_and_balances_here() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain.dat");
    let rules = params(&vectors);
    let wallet = EthAddress([7; 20]);
    let first = Chain::open(&path, rules.clone(), &wallet, 1_700_000_000).unwrap();
    assert_eq!(hex::encode(first.tip().hash), vectors["genesis_hash"].as_str().unwrap());
    drop(first);
    let blocks = vectors["blocks"].as_array().unwrap();
    let mut file = ChainFile::open(&path, |_, _| Ok(())).unwrap();
    for told in blocks {
        let bytes = hex::decode(told["rlp"].as_str().unwrap()).unwrap();
        let block = Block::decode(&bytes).unwrap();
        assert_eq!(hex::encode(block.header.hash()), told["hash"].as_str().unwrap());
        assert_eq!(block.encode(), bytes);
        file.append(&Frame::Block(bytes), false).unwrap();
    }
    drop(file);
    // A block whose roots of accounts, transactions or receipts were others would be damage.
    let chain = Chain::open(&path, rules, &wallet, 1_700_000_000).unwrap();
    assert_eq!(hex::encode(chain.tip().hash), blocks.last().unwrap()["hash"].as_str().unwrap());
    for told in vectors["balances"].as_array().unwrap() {
        let account = chain.world.get(&address(&told[0]));
        assert_eq!(account.balance.to_string(), told[1].as_str().unwrap());
        assert_eq!(Some(account.nonce), told[2].as_u64());
    }
}
