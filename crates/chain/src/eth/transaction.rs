//! Legacy transactions bound to one chain by its id (EIP-155): hashed, signed, read.
//!
//! Only this form is made: it is valid on every chain of the family, whatever newer forms a chain
//! knows beside it.

use super::rlp::{self, Reader, RlpError};
use super::{EthAddress, TRANSFER_GAS, keccak256};
use bitcoin::secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use ruint::aliases::U256;
use ruint::uint;
use std::sync::LazyLock;

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Half the order of the curve: a signature's `s` above it is another form of one below and is
/// refused (EIP-2).
const S_MAX: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// A transaction as it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyTx {
    /// How many transactions its sender has made before it.
    pub nonce: u64,
    /// Wei a unit of gas.
    pub gas_price: U256,
    /// Gas at most.
    pub gas_limit: u64,
    /// Whom it pays; `None` makes a contract.
    pub to: Option<EthAddress>,
    /// Wei.
    pub value: U256,
    /// What a contract is told.
    pub data: Vec<u8>,
}

/// Why bytes are no transaction that is bound to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// Its encoding.
    #[error("rlp: {0}")]
    Rlp(#[from] RlpError),
    /// A form other than the legacy one.
    #[error("transaction type {0} is not supported: legacy transactions only")]
    Type(u8),
    /// It is not bound to a chain.
    #[error("only replay-protected (EIP-155) transactions are taken")]
    Unprotected,
    /// Its signature belongs to nobody.
    #[error("invalid signature")]
    Signature,
}

/// A transaction with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// What was signed.
    pub tx: LegacyTx,
    /// The chain it is for.
    pub chain_id: u64,
    /// Who signed it.
    pub sender: EthAddress,
    /// Its id.
    pub hash: [u8; 32],
    /// Its bytes, as nodes take them.
    pub raw: Vec<u8>,
    /// The signature: `v` with the chain id in it, `r`, `s`.
    pub signature: (u64, U256, U256),
}

impl LegacyTx {
    /// A plain transfer of value.
    #[must_use]
    pub fn transfer(nonce: u64, to: EthAddress, value: U256, gas_price: U256) -> LegacyTx {
        let (gas_limit, data) = (TRANSFER_GAS, Vec::new());
        LegacyTx { nonce, gas_price, gas_limit, to: Some(to), value, data }
    }

    /// Wei that its sender must have: value, and the price of all its gas; `None` beyond 256 bits.
    #[must_use]
    pub fn cost_max(&self) -> Option<U256> {
        self.gas_price.checked_mul(U256::from(self.gas_limit))?.checked_add(self.value)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.data.len());
        rlp::put_u64(&mut out, self.nonce);
        rlp::put_u256(&mut out, &self.gas_price);
        rlp::put_u64(&mut out, self.gas_limit);
        rlp::put_bytes(&mut out, self.to.as_ref().map_or(&[][..], |to| &to.0));
        rlp::put_u256(&mut out, &self.value);
        rlp::put_bytes(&mut out, &self.data);
        out
    }

    /// What is signed, for one chain only.
    #[must_use]
    pub fn signing_hash(&self, chain_id: u64) -> [u8; 32] {
        let mut fields = self.fields();
        rlp::put_u64(&mut fields, chain_id);
        rlp::put_u64(&mut fields, 0);
        rlp::put_u64(&mut fields, 0);
        keccak256(&rlp::list(&fields))
    }

    /// Signs it for a chain. The same transaction is always signed by the same bytes (RFC 6979).
    #[must_use]
    pub fn sign(self, chain_id: u64, key: &SecretKey) -> SignedTx {
        let message = Message::from_digest(self.signing_hash(chain_id));
        let (id, compact) = CURVE.sign_ecdsa_recoverable(&message, key).serialize_compact();
        let (r, s) = (half(&compact, 0), half(&compact, 32));
        // 0 or 1: the others need an `r` beyond the curve's order, which nobody finds.
        let odd = u64::try_from(id.to_i32() & 1).unwrap_or(0);
        let v = chain_id.saturating_mul(2).saturating_add(35 + odd);
        let raw = with_signature(&self, &(v, r, s));
        let sender = EthAddress::of_public_key(&key.public_key(&CURVE));
        SignedTx { hash: keccak256(&raw), tx: self, chain_id, sender, raw, signature: (v, r, s) }
    }
}

fn half(compact: &[u8; 64], from: usize) -> U256 {
    U256::try_from_be_slice(compact.get(from..from + 32).unwrap_or_default()).unwrap_or_default()
}

fn with_signature(tx: &LegacyTx, (v, r, s): &(u64, U256, U256)) -> Vec<u8> {
    let mut fields = tx.fields();
    rlp::put_u64(&mut fields, *v);
    rlp::put_u256(&mut fields, r);
    rlp::put_u256(&mut fields, s);
    rlp::list(&fields)
}

impl SignedTx {
    /// Reads a transaction and finds out who signed it.
    ///
    /// # Errors
    /// When it is none, of another form, not bound to a chain, or signed by nobody.
    pub fn decode(raw: &[u8]) -> Result<SignedTx, TxError> {
        if let Some(kind) = raw.first().filter(|first| **first < 0x80) {
            return Err(TxError::Type(*kind));
        }
        let mut fields = Reader::of_list(raw)?;
        let (nonce, gas_price, gas_limit) = (fields.u64()?, fields.u256()?, fields.u64()?);
        let to = match fields.bytes()? {
            [] => None,
            bytes => Some(EthAddress(bytes.try_into().map_err(|_| RlpError::Size)?)),
        };
        let (value, data) = (fields.u256()?, fields.bytes()?.to_vec());
        let signature = (fields.u64()?, fields.u256()?, fields.u256()?);
        fields.end()?;
        let tx = LegacyTx { nonce, gas_price, gas_limit, to, value, data };
        let (chain_id, odd) = match signature.0.checked_sub(35) {
            Some(v) => (v / 2, i32::from(v % 2 == 1)),
            None => return Err(TxError::Unprotected),
        };
        let sender = signer(&tx.signing_hash(chain_id), odd, &signature.1, &signature.2);
        let sender = sender.ok_or(TxError::Signature)?;
        Ok(SignedTx { hash: keccak256(raw), raw: raw.to_vec(), tx, chain_id, sender, signature })
    }
}

fn signer(digest: &[u8; 32], odd: i32, r: &U256, s: &U256) -> Option<EthAddress> {
    if *s > S_MAX {
        return None;
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&r.to_be_bytes::<32>());
    compact[32..].copy_from_slice(&s.to_be_bytes::<32>());
    let id = RecoveryId::from_i32(odd).ok()?;
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = CURVE.recover_ecdsa(&Message::from_digest(*digest), &signature).ok()?;
    Some(EthAddress::of_public_key(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// EIP-155's own example.
    fn example() -> (LegacyTx, SecretKey) {
        let price = U256::from(20_000_000_000_u64);
        let value = U256::from(1_000_000_000_000_000_000_u64);
        let tx = LegacyTx::transfer(9, EthAddress([0x35; 20]), value, price);
        (tx, SecretKey::from_slice(&[0x46; 32]).unwrap())
    }

    const EXAMPLE_RAW: &str = "f86c098504a817c8008252089435353535353535353535353535353535353535358\
        80de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067\
        cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

    #[test]
    fn eip_155s_example_is_signed_byte_by_byte() {
        let (tx, key) = example();
        let digest = hex::encode(tx.signing_hash(1));
        assert_eq!(digest, "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
        let signed = tx.clone().sign(1, &key);
        assert_eq!(hex::encode(&signed.raw), EXAMPLE_RAW);
        assert_eq!(SignedTx::decode(&signed.raw).unwrap(), signed);
        assert_eq!(signed.sender.to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    }

    #[test]
    fn a_signature_is_good_on_one_chain_only() {
        let (tx, key) = example();
        let (etc, eth) = (tx.clone().sign(61, &key), tx.sign(1, &key));
        assert_eq!((etc.chain_id, eth.chain_id), (61, 1));
        assert_ne!(etc.signature.1, eth.signature.1);
        assert!(etc.signature.0 == 157 || etc.signature.0 == 158);
    }

    #[test]
    fn what_is_not_a_bound_legacy_transaction_is_refused() {
        let (tx, key) = example();
        let signed = tx.clone().sign(61, &key);
        let (_, r, s) = signed.signature;
        let raw = |v, r, s| with_signature(&tx, &(v, r, s));
        let decode = |raw: Vec<u8>| SignedTx::decode(&raw).unwrap_err();
        assert_eq!(decode(raw(27, r, s)), TxError::Unprotected);
        assert_eq!(decode(raw(158, U256::ZERO, s)), TxError::Signature);
        let order = S_MAX.saturating_add(S_MAX).saturating_add(U256::from(1));
        assert_eq!(decode(raw(signed.signature.0 ^ 1, r, order - s)), TxError::Signature);
        assert_eq!(decode(vec![2, 0xc0]), TxError::Type(2));
        assert_eq!(decode(vec![0xc0]), TxError::Rlp(RlpError::Short));
        assert_eq!(decode([&signed.raw[..], &[0]].concat()), TxError::Rlp(RlpError::Long));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_back_with_its_sender(
            nonce: u64, price: [u8; 32], value: [u8; 32], to: [u8; 20], chain in 1u64..u64::MAX / 4,
            key in 1u8..=254, data: Vec<u8>,
        ) {
            let key = SecretKey::from_slice(&[key; 32]).unwrap();
            let (price, value) = (U256::from_be_bytes(price), U256::from_be_bytes(value));
            let tx = LegacyTx { data, ..LegacyTx::transfer(nonce, EthAddress(to), value, price) };
            let signed = tx.sign(chain, &key);
            prop_assert_eq!(SignedTx::decode(&signed.raw).unwrap(), signed);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = SignedTx::decode(&bytes);
        }
    }
}
