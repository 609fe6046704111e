//! Block headers: their hash, and the hash that is mined on (yellow paper, section 4.3).

use super::rlp::{self, Reader, RlpError};
use super::{EthAddress, keccak256};
use gruve_units::Target;
use ruint::aliases::U256;

/// Bytes of a bloom filter of logs.
pub const BLOOM_BYTES: usize = 256;

/// The hash of an empty list of uncles.
pub const NO_UNCLES: [u8; 32] = [
    0x1d, 0xcc, 0x4d, 0xe8, 0xde, 0xc7, 0x5d, 0x7a, 0xab, 0x85, 0xb5, 0x67, 0xb6, 0xcc, 0xd4, 0x1a,
    0xd3, 0x12, 0x45, 0x1b, 0x94, 0x8a, 0x74, 0x13, 0xf0, 0xa1, 0x42, 0xfd, 0x40, 0xd4, 0x93, 0x47,
];

/// A block's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthHeader {
    /// Hash of the block below.
    pub parent_hash: [u8; 32],
    /// Hash of the list of uncles' headers.
    pub uncles_hash: [u8; 32],
    /// Whom the reward and the fees are paid to.
    pub coinbase: EthAddress,
    /// Root of all accounts after the block.
    pub state_root: [u8; 32],
    /// Root of its transactions.
    pub transactions_root: [u8; 32],
    /// Root of its transactions' receipts.
    pub receipts_root: [u8; 32],
    /// Filter of its logs.
    pub logs_bloom: Box<[u8; BLOOM_BYTES]>,
    /// Expected tries to find it.
    pub difficulty: U256,
    /// Its height.
    pub number: u64,
    /// Gas that its transactions may take.
    pub gas_limit: u64,
    /// Gas that they took.
    pub gas_used: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The miner's words.
    pub extra_data: Vec<u8>,
    /// Proof of the work, with the nonce.
    pub mix_hash: [u8; 32],
    /// The nonce, big-endian.
    pub nonce: [u8; 8],
    /// Fields that later rules put after these, each as an encoded item. Part of the block's hash.
    pub later_fields: Vec<Vec<u8>>,
}

impl EthHeader {
    fn fields(&self, sealed: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(560);
        rlp::put_bytes(&mut out, &self.parent_hash);
        rlp::put_bytes(&mut out, &self.uncles_hash);
        rlp::put_bytes(&mut out, &self.coinbase.0);
        rlp::put_bytes(&mut out, &self.state_root);
        rlp::put_bytes(&mut out, &self.transactions_root);
        rlp::put_bytes(&mut out, &self.receipts_root);
        rlp::put_bytes(&mut out, &self.logs_bloom[..]);
        rlp::put_u256(&mut out, &self.difficulty);
        for number in [self.number, self.gas_limit, self.gas_used, self.timestamp] {
            rlp::put_u64(&mut out, number);
        }
        rlp::put_bytes(&mut out, &self.extra_data);
        if sealed {
            rlp::put_bytes(&mut out, &self.mix_hash);
            rlp::put_bytes(&mut out, &self.nonce);
        }
        for item in &self.later_fields {
            out.extend_from_slice(item);
        }
        out
    }

    /// Its encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rlp::list(&self.fields(true))
    }

    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&self.encode())
    }

    /// What its hash must not be above.
    #[must_use]
    pub fn target(&self) -> Target {
        Target(bound(self.difficulty))
    }

    /// Its encoding without the mix hash and the nonce.
    #[must_use]
    pub fn unsealed(&self) -> Vec<u8> {
        rlp::list(&self.fields(false))
    }

    /// What is mined on: the hash of all but the mix hash and the nonce.
    #[must_use]
    pub fn seal_hash(&self) -> [u8; 32] {
        keccak256(&self.unsealed())
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the bytes are not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<EthHeader, RlpError> {
        let mut f = Reader::of_list(bytes)?;
        let mut header = EthHeader {
            parent_hash: f.array()?,
            uncles_hash: f.array()?,
            coinbase: EthAddress(f.array()?),
            state_root: f.array()?,
            transactions_root: f.array()?,
            receipts_root: f.array()?,
            logs_bloom: Box::new(f.array()?),
            difficulty: f.u256()?,
            number: f.u64()?,
            gas_limit: f.u64()?,
            gas_used: f.u64()?,
            timestamp: f.u64()?,
            extra_data: f.bytes()?.to_vec(),
            mix_hash: f.array()?,
            nonce: f.array()?,
            later_fields: Vec::new(),
        };
        while !f.is_at_end() {
            header.later_fields.push(f.raw()?.to_vec());
        }
        Ok(header)
    }
}

/// The highest hash a block of a difficulty may have: ⌊2²⁵⁶ / difficulty⌋ (yellow paper, section
/// 4.3.4), of difficulty 1 all 32 bytes.
pub(crate) fn bound(difficulty: U256) -> U256 {
    if difficulty <= U256::from(1) {
        return U256::MAX;
    }
    // 2^256 / d = (2^256 - 1) / d, one more where d divides 2^256.
    let (quotient, rest) = U256::MAX.div_rem(difficulty);
    let divides = rest.saturating_add(U256::from(1)) == difficulty;
    if divides { quotient.saturating_add(U256::from(1)) } else { quotient }
}

/// The hash that a header has for its uncles: of the list of their headers.
#[must_use]
pub fn uncles_hash(uncles: &[EthHeader]) -> [u8; 32] {
    let items: Vec<u8> = uncles.iter().flat_map(EthHeader::encode).collect();
    keccak256(&rlp::list(&items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eth::trie::EMPTY_ROOT;
    use proptest::prelude::*;

    fn hash(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// The first block of Ethereum, which Ethereum Classic shares.
    fn first_block() -> EthHeader {
        EthHeader {
            parent_hash: [0; 32],
            uncles_hash: NO_UNCLES,
            coinbase: EthAddress::ZERO,
            state_root: hash("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"),
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            logs_bloom: Box::new([0; BLOOM_BYTES]),
            difficulty: U256::from(17_179_869_184_u64),
            number: 0,
            gas_limit: 5_000,
            gas_used: 0,
            timestamp: 0,
            extra_data: hash("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa")
                .to_vec(),
            mix_hash: [0; 32],
            nonce: [0, 0, 0, 0, 0, 0, 0, 0x42],
            later_fields: Vec::new(),
        }
    }

    #[test]
    fn the_first_block_of_the_family_has_its_known_hash() {
        let known = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
        assert_eq!(hex::encode(first_block().hash()), known);
        assert_eq!(uncles_hash(&[]), NO_UNCLES);
    }

    #[test]
    fn fields_of_later_rules_are_part_of_the_hash() {
        let mut header = first_block();
        let before = (header.hash(), header.seal_hash());
        header.later_fields.push(vec![0x07]);
        assert_ne!((header.hash(), header.seal_hash()), before);
        assert_eq!(EthHeader::decode(&header.encode()).unwrap(), header);
    }

    #[test]
    fn neither_nonce_nor_mix_changes_what_is_mined_on() {
        let mut header = first_block();
        let seal = header.seal_hash();
        header.nonce = [9; 8];
        header.mix_hash = [9; 32];
        assert_eq!(header.seal_hash(), seal);
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(number: u64, time: u64, extra: Vec<u8>, d: [u8; 32]) {
            let header = EthHeader {
                number,
                timestamp: time,
                extra_data: extra,
                difficulty: U256::from_be_bytes(d),
                ..first_block()
            };
            prop_assert_eq!(EthHeader::decode(&header.encode()).unwrap(), header);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = EthHeader::decode(&bytes);
        }
    }
}
