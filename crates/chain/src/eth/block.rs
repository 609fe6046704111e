//! Blocks, transactions and receipts as nodes tell of them, as far as the house needs them.

use super::header::{BLOOM_BYTES, EthHeader};
use super::read::{Fields, data};
use super::reward::UNCLES_MAX;
use super::{EthAddress, rlp};
use crate::BlockRef;
use gruve_pow::ethash::claimed_hash;
use gruve_units::Timestamp;
use ruint::aliases::U256;
use serde_json::Value;

/// Bytes of `extraData` at most (yellow paper, section 4.3.4).
const EXTRA_MAX: usize = 32;

/// What later rules put behind the first fifteen fields, in their order, and whether it is a hash: the base fee
/// (EIP-1559), withdrawals (EIP-4895), blobs (EIP-4844), the beacon chain's root (EIP-4788), requests (EIP-7685). The
/// first is [`EthHeader::base_fee`]; the others are there for the hash alone.
const LATER_FIELDS: [(&str, bool); 6] = [
    ("baseFeePerGas", false),
    ("withdrawalsRoot", true),
    ("blobGasUsed", false),
    ("excessBlobGas", false),
    ("parentBeaconBlockRoot", true),
    ("requestsHash", true),
];

/// A node's answer that is no header, or not the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// A field is missing or is not of its kind.
    #[error("no good {0}")]
    Field(&'static str),
    /// The fields do not give the hash that the node calls it by.
    #[error("its fields do not give its hash: a chain whose headers have other fields?")]
    Hash,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthBlock {
    /// Its hash, as written.
    pub hash: [u8; 32],
    /// Its header.
    pub header: EthHeader,
    /// Hashes of its uncles, as written; [`super::AccountNode::uncle`] gives their headers.
    pub uncle_hashes: Vec<[u8; 32]>,
    /// Its transactions, in order.
    pub transactions: Vec<EthTransaction>,
}

/// A transaction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthTransaction {
    /// Its hash, as written.
    pub hash: [u8; 32],
    /// Whose it is.
    pub from: EthAddress,
    /// Whom it pays or calls; `None` makes a contract.
    pub to: Option<EthAddress>,
    /// Wei that it moves, if it succeeds: its receipt says.
    pub value: U256,
    /// Which of its sender's it is, from 0.
    pub nonce: u64,
    /// Most gas it may use.
    pub gas: u64,
    /// Wei that it pays for a unit of gas, as the node says; `None` where it says only limits.
    pub gas_price: Option<U256>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthReceipt {
    /// The transaction, as written.
    pub transaction_hash: [u8; 32],
    /// The block it stands in, as written.
    pub block_hash: [u8; 32],
    /// That block's height.
    pub block_number: u64,
    /// Whether it succeeded; `None` before the chain's receipts said so (EIP-658).
    pub succeeded: Option<bool>,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei that it paid for each unit, where the node says; else the transaction's price.
    pub gas_price: Option<U256>,
}

impl EthHeader {
    /// Reads the header out of a node's answer about a block or uncle, and gives it with its hash.
    ///
    /// # Errors
    /// When a field is missing, or hash and fields do not agree.
    pub fn read(block: &Value) -> Result<(EthHeader, [u8; 32]), BadHeader> {
        let f = Fields(block);
        let pays = f.address("miner").ok_or(BadHeader::Field("miner"))?;
        let bloom = f.text("logsBloom").and_then(data::<BLOOM_BYTES>);
        let bloom = bloom.ok_or(BadHeader::Field("logsBloom"))?;
        let mut header = EthHeader::unsealed_of(&f, pays, bloom)?;
        header.mix_hash = f.hash("mixHash").ok_or(BadHeader::Field("mixHash"))?;
        header.nonce = f.text("nonce").and_then(data).ok_or(BadHeader::Field("nonce"))?;
        let called = f.hash("hash").ok_or(BadHeader::Field("hash"))?;
        if header.hash() == called { Ok((header, called)) } else { Err(BadHeader::Hash) }
    }

    /// Reads the header of the block that a node is making (`pending`): without a proof, and where the node leaves its own
    /// address or the bloom out, with `pays` and an empty one. Whether it is so, its seal hash says.
    ///
    /// # Errors
    /// When a field is missing.
    pub fn read_pending(block: &Value, pays: EthAddress) -> Result<EthHeader, BadHeader> {
        let f = Fields(block);
        let bloom = f.text("logsBloom").and_then(data::<BLOOM_BYTES>);
        let pays = f.address("miner").unwrap_or(pays);
        EthHeader::unsealed_of(&f, pays, bloom.unwrap_or([0; BLOOM_BYTES]))
    }

    /// All but the proof.
    fn unsealed_of(
        f: &Fields<'_>,
        coinbase: EthAddress,
        bloom: [u8; BLOOM_BYTES],
    ) -> Result<EthHeader, BadHeader> {
        let hash = |name| f.hash(name).ok_or(BadHeader::Field(name));
        let number = |name| f.number(name).ok_or(BadHeader::Field(name));
        let mut later_fields = Vec::new();
        for (name, is_hash) in LATER_FIELDS {
            // Each came with a rule that has all rules before it.
            if f.is_null(name) {
                break;
            }
            let mut item = Vec::new();
            match is_hash {
                true => rlp::put_bytes(&mut item, &hash(name)?),
                false => rlp::put_u256(&mut item, &f.wide(name).ok_or(BadHeader::Field(name))?),
            }
            later_fields.push(item);
        }
        Ok(EthHeader {
            parent_hash: hash("parentHash")?,
            uncles_hash: hash("sha3Uncles")?,
            coinbase,
            state_root: hash("stateRoot")?,
            transactions_root: hash("transactionsRoot")?,
            receipts_root: hash("receiptsRoot")?,
            logs_bloom: Box::new(bloom),
            difficulty: f.wide("difficulty").ok_or(BadHeader::Field("difficulty"))?,
            number: number("number")?,
            gas_limit: number("gasLimit")?,
            gas_used: number("gasUsed")?,
            timestamp: number("timestamp")?,
            extra_data: f.bytes("extraData", EXTRA_MAX).ok_or(BadHeader::Field("extraData"))?,
            mix_hash: [0; 32],
            nonce: [0; 8],
            later_fields,
        })
    }

    /// Wei of a unit of gas that the chain burns (EIP-1559); `None` on a chain that burns nothing.
    #[must_use]
    pub fn base_fee(&self) -> Option<U256> {
        let mut item = rlp::Reader::new(self.later_fields.first()?);
        item.u256().ok()
    }

    /// The hash that its proof of work reached, the mix digest taken as claimed. It is what a found
    /// block is known by in the share log, because the block's own hash is not known there.
    #[must_use]
    pub fn pow_hash(&self) -> [u8; 32] {
        claimed_hash(&self.seal_hash(), u64::from_be_bytes(self.nonce), &self.mix_hash)
    }

    /// Its time; the latest there is where the header says a later one.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let micros = i64::try_from(self.timestamp).ok().and_then(|s| s.checked_mul(1_000_000));
        Timestamp(micros.unwrap_or(i64::MAX))
    }
}

impl EthBlock {
    /// Reads `eth_getBlockBy…`'s answer with full transactions.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(block: &Value) -> Result<EthBlock, BadHeader> {
        let (header, hash) = EthHeader::read(block)?;
        let f = Fields(block);
        let uncles = f.list("uncles").ok_or(BadHeader::Field("uncles"))?;
        if uncles.len() > UNCLES_MAX {
            return Err(BadHeader::Field("uncles"));
        }
        let uncle = |v: &Value| v.as_str().and_then(data);
        let uncle_hashes = uncles.iter().map(uncle).collect::<Option<Vec<_>>>();
        let transactions = f.list("transactions").ok_or(BadHeader::Field("transactions"))?;
        let transactions =
            transactions.iter().map(EthTransaction::read).collect::<Option<Vec<_>>>();
        Ok(EthBlock {
            hash,
            header,
            uncle_hashes: uncle_hashes.ok_or(BadHeader::Field("uncles"))?,
            transactions: transactions.ok_or(BadHeader::Field("transactions"))?,
        })
    }

    /// Height and hash in internal byte order, as the follower and the books have it.
    #[must_use]
    pub fn to_ref(&self) -> BlockRef {
        BlockRef { height: self.header.number, hash: super::internal(self.hash) }
    }
}

impl EthTransaction {
    pub(crate) fn read(transaction: &Value) -> Option<EthTransaction> {
        let f = Fields(transaction);
        let to = if f.is_null("to") { None } else { Some(f.address("to")?) };
        Some(EthTransaction {
            hash: f.hash("hash")?,
            from: f.address("from")?,
            to,
            value: f.wide("value")?,
            nonce: f.number("nonce")?,
            gas: f.number("gas")?,
            gas_price: f.wide("gasPrice"),
        })
    }
}

impl EthReceipt {
    pub(crate) fn read(receipt: &Value) -> Option<EthReceipt> {
        let f = Fields(receipt);
        let succeeded = match f.number("status") {
            Some(1) => Some(true),
            Some(0) => Some(false),
            Some(_) => return None,
            None if f.is_null("status") => None,
            None => return None,
        };
        Some(EthReceipt {
            transaction_hash: f.hash("transactionHash")?,
            block_hash: f.hash("blockHash")?,
            block_number: f.number("blockNumber")?,
            succeeded,
            gas_used: f.number("gasUsed")?,
            gas_price: f.wide("effectiveGasPrice"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
    use gruve_units::Algorithm;
    use serde_json::json;

    const EMPTY_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
    const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
    const GENESIS: &str = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";

    /// Block 1 of the chain that Ethereum and Ethereum Classic share, as nodes give it.
    fn block_one() -> Value {
        json!({
            "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
            "parentHash": GENESIS,
            "sha3Uncles": EMPTY_UNCLES,
            "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
            "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
            "transactionsRoot": EMPTY_ROOT,
            "receiptsRoot": EMPTY_ROOT,
            "logsBloom": format!("0x{}", "0".repeat(512)),
            "difficulty": "0x3ff800000",
            "number": "0x1",
            "gasLimit": "0x1388",
            "gasUsed": "0x0",
            "timestamp": "0x55ba4224",
            "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
            "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
            "nonce": "0x539bd4979fef1ec4",
            "transactions": [],
            "uncles": [],
        })
    }

    #[test]
    fn the_first_block_has_its_hash_and_its_proof_of_work() {
        let (header, hash) = EthHeader::read(&block_one()).unwrap();
        assert_eq!(hash, header.hash());
        let cache = LightCache::new(EthashEpoch::new(Algorithm::Ethash, 0).unwrap());
        let nonce = u64::from_be_bytes(header.nonce);
        let (mix, pow) = hash_light(&cache, &header.seal_hash(), nonce);
        assert_eq!((mix, pow), (header.mix_hash, header.pow_hash()));
        assert!(U256::from_be_bytes(pow) <= U256::MAX / header.difficulty);
        assert_eq!(header.time(), Timestamp::from_secs(1_438_269_988));
    }

    #[test]
    fn a_header_under_another_name_or_with_a_field_missing_is_refused() {
        for field in ["miner", "number", "timestamp", "mixHash", "nonce", "extraData", "difficulty"]
        {
            let mut without = block_one();
            without[field] = Value::Null;
            assert!(matches!(EthHeader::read(&without), Err(BadHeader::Field(_))), "{field}");
        }
        for (field, other) in [
            ("miner", "0x05a56e2d52c817161883f50c441c3228cfe54d9e"),
            ("number", "0x2"),
            ("hash", GENESIS),
            ("baseFeePerGas", "0x7"),
        ] {
            let mut changed = block_one();
            changed[field] = json!(other);
            assert_eq!(EthHeader::read(&changed), Err(BadHeader::Hash), "{field}");
        }
        let mut long = block_one();
        long["extraData"] = json!(format!("0x{}", "00".repeat(33)));
        assert_eq!(EthHeader::read(&long), Err(BadHeader::Field("extraData")));
        assert!(EthHeader::read(&Value::Null).is_err());
    }

    #[test]
    fn what_a_chain_burns_stands_in_the_header() {
        let (mut header, _) = EthHeader::read(&block_one()).unwrap();
        assert_eq!(header.base_fee(), None);
        header.later_fields.push(vec![0x82, 0x01, 0x00]);
        assert_eq!(header.base_fee(), Some(U256::from(256)));
    }

    /// Ethereum's block 23,535,880 of 8 October 2025, with every field that its rules have brought. As a public node gives it.
    fn a_block_of_ethereum_today() -> Value {
        json!({
            "hash": "0xe38d4bb2060a54519508612f40ef737a09c5b20488c12b0bec2d4f5ea7073c15",
            "parentHash": "0x1fab238a9630a2e95c8b735ebc63bc2751bc6492f409ee16a7b5a532985196eb",
            "sha3Uncles": EMPTY_UNCLES,
            "miner": "0x4838b106fce9647bdf1e7877bf73ce8b0bad5f97",
            "stateRoot": "0xd3c86549e5d57f14bd0b28630b70cb68038ac3334251bd194c93a18d96492f39",
            "transactionsRoot": "0x9da0226f723a9da4b8df8782930c0e83bd73c4a393069ee7861465188eed989b",
            "receiptsRoot": "0x01d0a60dd8fd8de710a191aba91f82e2a437ac21a6e77b21b2f745809e7feadf",
            "logsBloom": "0x3effc77fb16497fa74fffeb6ef65dfbd7b97f8dd7f198ff37abfcf5fdeb329e7bdbc9d8caffdf765f7b75df9e737eff773fbf639ff9ffb376fb726a7ff2f68dffea0de7fafd3f7fbff8d5fdff57becf3e76f3f73fefc1ff9bbf9df7fb3fffff13f577b7fdffeb7f7ffb8cd71ff93fff3bfffd7e3bfbe576daefdfff6fb5afedf8ffbbd7d7baf977f46fbffceebfbe86fc6ffb6f1eff3fbbfbeb9eefbf954ffe3fbff9d73b8f9ecfdcfdf7df3fdd9ff3bbfdfe9efe8ffee6ff7fe4a3ff7a5fefbfffffcffcd7f2bc04bdf7c52d3fdfeff3f7dfe7b4fefa9f46edb53c2de9ffb7f3ffdff6fefa67f64f6e7f7bff5af1dffffeff9b99ff86fef589e3bbfffdfffb7",
            "difficulty": "0x0",
            "number": "0x1672108",
            "gasLimit": "0x2aea540",
            "gasUsed": "0x1d1e02e",
            "timestamp": "0x68e6df9f",
            "extraData": "0x546974616e2028746974616e6275696c6465722e78797a29",
            "mixHash": "0x15350a0cad9bc5cb1298b3710db038850f1df5d8ac00c4ca3b03fb64c7e8ab78",
            "nonce": "0x0000000000000000",
            "baseFeePerGas": "0xb9e4be0",
            "withdrawalsRoot": "0x0740ba007069960b2d60f77b0ce2648cffa3573accd055d4803eb771e32903e7",
            "blobGasUsed": "0xc0000",
            "excessBlobGas": "0x0",
            "parentBeaconBlockRoot": "0x2bd55d2f0e1a3d3e181659ebc21bb167527e517de88b39b0d7ebbeeb3e28eebc",
            "requestsHash": "0x965c860907968cab126093a785436ad747495ae45b21dac1b6a92ae0f4866ce0",
        })
    }

    #[test]
    fn a_header_of_ethereum_today_has_its_hash_with_every_field_that_came_later() {
        let (header, hash) = EthHeader::read(&a_block_of_ethereum_today()).unwrap();
        assert_eq!((hash, header.number), (header.hash(), 23_535_880));
        assert_eq!(header.base_fee(), Some(U256::from(194_923_488)));
        for (field, _) in LATER_FIELDS {
            let mut without = a_block_of_ethereum_today();
            without[field] = Value::Null;
            assert_eq!(EthHeader::read(&without), Err(BadHeader::Hash), "{field}");
        }
    }

    fn transaction() -> Value {
        json!({
            "hash": format!("0x{}", "ab".repeat(32)),
            "from": "0xa1e4380a3b1f749673e270229993ee55f35663b4",
            "to": "0x5df9b87991262f6ba471f09758cde1c0fc1de734",
            "value": "0x7a69", "nonce": "0x0", "gas": "0x5208", "gasPrice": "0x2d79883d2000",
        })
    }

    #[test]
    fn a_block_is_read_with_its_transactions_and_uncles() {
        let mut block = block_one();
        let mut contract = transaction();
        contract["to"] = Value::Null;
        block["transactions"] = json!([transaction(), contract]);
        block["uncles"] = json!([format!("0x{}", "cd".repeat(32))]);
        let read = EthBlock::read(&block).unwrap();
        assert_eq!(read.uncle_hashes, [[0xcd; 32]]);
        let first = &read.transactions[0];
        assert_eq!(
            (first.value, first.gas_price),
            (U256::from(31_337), Some(U256::from(50_000_000_000_000_u64)))
        );
        assert!(first.to.is_some() && read.transactions[1].to.is_none());
        assert_eq!((read.to_ref().height, read.to_ref().hash[31]), (1, 0x88));
    }

    #[test]
    fn lists_that_are_none_or_too_long_are_refused() {
        let mut hashes_only = block_one();
        hashes_only["transactions"] = json!([format!("0x{}", "ab".repeat(32))]);
        assert_eq!(EthBlock::read(&hashes_only), Err(BadHeader::Field("transactions")));
        let mut many = block_one();
        many["uncles"] = json!(vec![format!("0x{}", "cd".repeat(32)); 3]);
        assert_eq!(EthBlock::read(&many), Err(BadHeader::Field("uncles")));
    }

    #[test]
    fn receipts_say_whether_it_succeeded_where_the_chain_does() {
        let hash = format!("0x{}", "ab".repeat(32));
        let receipt = |status: Value| {
            EthReceipt::read(&json!({
                "transactionHash": hash, "blockHash": hash, "blockNumber": "0x10",
                "gasUsed": "0x5208", "status": status,
            }))
        };
        let succeeded = |status| receipt(status).map(|r| r.succeeded);
        assert_eq!(succeeded(json!("0x1")), Some(Some(true)));
        assert_eq!(succeeded(json!("0x0")), Some(Some(false)));
        assert_eq!(succeeded(json!(null)), Some(None));
        assert_eq!((succeeded(json!("0x2")), succeeded(json!(1))), (None, None));
    }
}
