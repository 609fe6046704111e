//! All usual ways to lock a coin, and what opens each of them: a small wallet of three keys, so that
//! blocks have in them what blocks of the real chains have.

use bitcoin::absolute::LockTime;
use bitcoin::blockdata::opcodes::all as op;
use bitcoin::hashes::Hash;
use bitcoin::key::{TapTweak, UntweakedPublicKey};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{LeafVersion, TapLeafHash, TaprootBuilder, TaprootSpendInfo};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, PublicKey, Script, ScriptBuf, Sequence, Transaction,
    TxIn, TxOut, Witness, ecdsa,
};

/// How a coin is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// A public key, as in the first years.
    P2pk,
    P2pkh,
    /// One signature of three keys in the open.
    BareMultisig,
    /// Two signatures of three.
    P2shMultisig,
    P2wpkh,
    /// Two signatures of three.
    P2wsh,
    P2shP2wpkh,
    P2shP2wsh,
    TaprootKey,
    /// Two signatures by `OP_CHECKSIGADD`, one of two leaves.
    TaprootScript,
    /// Anybody may spend it (a fee anchor).
    Anchor,
    /// One signature, from a height or time on (`OP_CHECKLOCKTIMEVERIFY`).
    Until(LockTime),
    /// One signature, after an age in blocks or time (`OP_CHECKSEQUENCEVERIFY`).
    After(Sequence),
    /// One signature and so many bytes in the witness.
    Data(usize),
}

impl Lock {
    /// Those that need nothing but themselves to be opened.
    pub const USUAL: [Lock; 11] = [
        Lock::P2pk,
        Lock::P2pkh,
        Lock::BareMultisig,
        Lock::P2shMultisig,
        Lock::P2wpkh,
        Lock::P2wsh,
        Lock::P2shP2wpkh,
        Lock::P2shP2wsh,
        Lock::TaprootKey,
        Lock::TaprootScript,
        Lock::Anchor,
    ];
}

/// An output of the holder's.
#[derive(Clone, Debug)]
pub struct Coin {
    pub point: OutPoint,
    pub out: TxOut,
    pub lock: Lock,
}

/// Three keys.
pub struct Holder {
    keys: [Keypair; 3],
    curve: Secp256k1<All>,
}

impl Holder {
    pub fn new() -> Holder {
        let curve = Secp256k1::new();
        let key = |n| Keypair::from_secret_key(&curve, &SecretKey::from_slice(&[n; 32]).unwrap());
        Holder { keys: [1, 2, 3].map(key), curve }
    }

    pub fn key(&self, n: usize) -> PublicKey {
        PublicKey::new(self.keys[n].public_key())
    }

    fn x_only(&self, n: usize) -> UntweakedPublicKey {
        self.keys[n].x_only_public_key().0
    }

    /// `of` signatures of the three keys.
    pub fn multisig(&self, of: i64) -> ScriptBuf {
        let mut script = Builder::new().push_int(of);
        for n in 0..3 {
            script = script.push_key(&self.key(n));
        }
        script.push_int(3).push_opcode(op::OP_CHECKMULTISIG).into_script()
    }

    /// The script behind a lock in time.
    fn timed(&self, lock: Lock) -> ScriptBuf {
        let (number, check) = match lock {
            Lock::Until(time) => (time.to_consensus_u32(), op::OP_CLTV),
            Lock::After(age) => (age.to_consensus_u32(), op::OP_CSV),
            other => panic!("{other:?} is no lock in time"),
        };
        Builder::new()
            .push_int(i64::from(number))
            .push_opcode(check)
            .push_opcode(op::OP_DROP)
            .push_key(&self.key(0))
            .push_opcode(op::OP_CHECKSIG)
            .into_script()
    }

    /// The leaf that opens a taproot coin by script.
    fn leaf(&self, lock: Lock) -> ScriptBuf {
        let script = Builder::new().push_x_only_key(&self.x_only(0)).push_opcode(op::OP_CHECKSIG);
        let Lock::Data(bytes) = lock else {
            return script
                .push_x_only_key(&self.x_only(1))
                .push_opcode(op::OP_CHECKSIGADD)
                .push_int(2)
                .push_opcode(op::OP_NUMEQUAL)
                .into_script();
        };
        // Never executed, so it may be as long as it likes, in pushes of 520 bytes.
        let mut script = script.push_int(0).push_opcode(op::OP_IF);
        for part in vec![0x5a; bytes].chunks(520) {
            script = script.push_slice(PushBytesBuf::try_from(part.to_vec()).unwrap());
        }
        script.push_opcode(op::OP_ENDIF).into_script()
    }

    fn tree(&self, lock: Lock) -> TaprootSpendInfo {
        let other = Builder::new().push_opcode(op::OP_PUSHNUM_1).into_script();
        TaprootBuilder::new()
            .add_leaf(1, self.leaf(lock))
            .and_then(|tree| tree.add_leaf(1, other))
            .unwrap()
            .finalize(&self.curve, self.x_only(2))
            .unwrap()
    }

    pub fn script(&self, lock: Lock) -> ScriptBuf {
        let wpkh = || ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.key(0).inner).wpubkey_hash());
        match lock {
            Lock::P2pk => ScriptBuf::new_p2pk(&self.key(0)),
            Lock::P2pkh => ScriptBuf::new_p2pkh(&self.key(0).pubkey_hash()),
            Lock::BareMultisig => self.multisig(1),
            Lock::P2shMultisig => self.multisig(2).to_p2sh(),
            Lock::P2wpkh => wpkh(),
            Lock::P2wsh => self.multisig(2).to_p2wsh(),
            Lock::P2shP2wpkh => wpkh().to_p2sh(),
            Lock::P2shP2wsh => self.multisig(2).to_p2wsh().to_p2sh(),
            Lock::TaprootKey => ScriptBuf::new_p2tr(&self.curve, self.x_only(0), None),
            Lock::TaprootScript | Lock::Data(_) => {
                ScriptBuf::new_p2tr_tweaked(self.tree(lock).output_key())
            }
            Lock::Anchor => ScriptBuf::from_bytes(vec![0x51, 2, 0x4e, 0x73]),
            Lock::Until(_) | Lock::After(_) => self.timed(lock).to_p2wsh(),
        }
    }

    pub fn output(&self, lock: Lock, value: u64) -> TxOut {
        TxOut { value: Amount::from_sat(value), script_pubkey: self.script(lock) }
    }

    /// A signed transaction from coins to outputs; lock times and ages as the coins ask for.
    pub fn spend(&self, coins: &[Coin], output: Vec<TxOut>) -> Transaction {
        self.spend_as(Version::TWO, coins, output)
    }

    pub fn spend_as(&self, version: Version, coins: &[Coin], output: Vec<TxOut>) -> Transaction {
        let input = |coin: &Coin| TxIn {
            previous_output: coin.point,
            script_sig: ScriptBuf::new(),
            sequence: match coin.lock {
                Lock::After(age) => age,
                _ => Sequence::ENABLE_RBF_NO_LOCKTIME,
            },
            witness: Witness::new(),
        };
        let until = coins.iter().find_map(|coin| match coin.lock {
            Lock::Until(time) => Some(time),
            _ => None,
        });
        let input = coins.iter().map(input).collect();
        let mut tx =
            Transaction { version, lock_time: until.unwrap_or(LockTime::ZERO), input, output };
        self.sign(&mut tx, coins);
        tx
    }

    /// Opens every input of a transaction that spends `coins`.
    pub fn sign(&self, tx: &mut Transaction, coins: &[Coin]) {
        let unsigned = tx.clone();
        let spent: Vec<TxOut> = coins.iter().map(|coin| coin.out.clone()).collect();
        let mut signer = Signer { holder: self, cache: SighashCache::new(&unsigned), spent };
        for (at, coin) in coins.iter().enumerate() {
            (tx.input[at].script_sig, tx.input[at].witness) = signer.open(at, coin);
        }
    }
}

struct Signer<'a> {
    holder: &'a Holder,
    cache: SighashCache<&'a Transaction>,
    spent: Vec<TxOut>,
}

impl Signer<'_> {
    fn open(&mut self, at: usize, coin: &Coin) -> (ScriptBuf, Witness) {
        let holder = self.holder;
        let key = holder.key(0).to_bytes();
        let two_of_three = holder.multisig(2);
        match coin.lock {
            Lock::P2pk => (pushes(&[self.legacy(at, &coin.out.script_pubkey, 0)]), Witness::new()),
            Lock::P2pkh => {
                (pushes(&[self.legacy(at, &coin.out.script_pubkey, 0), key]), Witness::new())
            }
            Lock::BareMultisig => {
                let signature = self.legacy(at, &coin.out.script_pubkey, 1);
                (pushes(&[vec![], signature]), Witness::new())
            }
            Lock::P2shMultisig => {
                let [a, b] = [0, 2].map(|n| self.legacy(at, &two_of_three, n));
                (pushes(&[vec![], a, b, two_of_three.into_bytes()]), Witness::new())
            }
            Lock::P2wpkh => (ScriptBuf::new(), self.by_hash(at)),
            Lock::P2shP2wpkh => {
                let inner = holder.script(Lock::P2wpkh).into_bytes();
                (pushes(&[inner]), self.by_hash(at))
            }
            Lock::P2wsh => (ScriptBuf::new(), self.by_two(at, two_of_three)),
            Lock::P2shP2wsh => {
                let inner = two_of_three.to_p2wsh().into_bytes();
                (pushes(&[inner]), self.by_two(at, two_of_three))
            }
            Lock::Until(_) | Lock::After(_) => {
                let script = holder.timed(coin.lock);
                let signature = self.segwit(at, &script, 0);
                (ScriptBuf::new(), Witness::from_slice(&[signature, script.into_bytes()]))
            }
            Lock::TaprootKey => (ScriptBuf::new(), self.by_tweaked_key(at)),
            Lock::TaprootScript | Lock::Data(_) => (ScriptBuf::new(), self.by_leaf(at, coin.lock)),
            Lock::Anchor => (ScriptBuf::new(), Witness::new()),
        }
    }

    fn ecdsa(&self, digest: [u8; 32], n: usize) -> Vec<u8> {
        let secret = self.holder.keys[n].secret_key();
        let signature = self.holder.curve.sign_ecdsa(&Message::from_digest(digest), &secret);
        ecdsa::Signature { signature, sighash_type: EcdsaSighashType::All }.to_vec()
    }

    fn legacy(&self, at: usize, script: &Script, n: usize) -> Vec<u8> {
        let kind = EcdsaSighashType::All.to_u32();
        let digest = self.cache.legacy_signature_hash(at, script, kind).unwrap();
        self.ecdsa(digest.to_byte_array(), n)
    }

    fn segwit(&mut self, at: usize, script: &Script, n: usize) -> Vec<u8> {
        let (value, kind) = (self.spent[at].value, EcdsaSighashType::All);
        let digest = self.cache.p2wsh_signature_hash(at, script, value, kind).unwrap();
        self.ecdsa(digest.to_byte_array(), n)
    }

    fn by_hash(&mut self, at: usize) -> Witness {
        let script = self.holder.script(Lock::P2wpkh);
        let (value, kind) = (self.spent[at].value, EcdsaSighashType::All);
        let digest = self.cache.p2wpkh_signature_hash(at, &script, value, kind).unwrap();
        let signature = self.ecdsa(digest.to_byte_array(), 0);
        Witness::from_slice(&[signature, self.holder.key(0).to_bytes()])
    }

    fn by_two(&mut self, at: usize, script: ScriptBuf) -> Witness {
        let [a, b] = [0, 1].map(|n| self.segwit(at, &script, n));
        Witness::from_slice(&[vec![], a, b, script.into_bytes()])
    }

    fn by_tweaked_key(&mut self, at: usize) -> Witness {
        let (prevouts, kind) = (Prevouts::All(&self.spent), TapSighashType::Default);
        let digest = self.cache.taproot_key_spend_signature_hash(at, &prevouts, kind).unwrap();
        let key = self.holder.keys[0].tap_tweak(&self.holder.curve, None).to_keypair();
        let message = Message::from_digest(digest.to_byte_array());
        let signature = self.holder.curve.sign_schnorr_no_aux_rand(&message, &key);
        Witness::from_slice(&[signature.as_ref()])
    }

    fn by_leaf(&mut self, at: usize, lock: Lock) -> Witness {
        let (script, version) = (self.holder.leaf(lock), LeafVersion::TapScript);
        let hash = TapLeafHash::from_script(&script, version);
        let (prevouts, kind) = (Prevouts::All(&self.spent), TapSighashType::Default);
        let digest =
            self.cache.taproot_script_spend_signature_hash(at, &prevouts, hash, kind).unwrap();
        let message = Message::from_digest(digest.to_byte_array());
        // The last key of the script finds its signature deepest in the stack.
        let signers: &[usize] = if lock == Lock::TaprootScript { &[1, 0] } else { &[0] };
        let mut witness = Witness::new();
        for &n in signers {
            let key = &self.holder.keys[n];
            witness.push(self.holder.curve.sign_schnorr_no_aux_rand(&message, key).as_ref());
        }
        let control = self.holder.tree(lock).control_block(&(script.clone(), version)).unwrap();
        witness.push(script.into_bytes());
        witness.push(control.serialize());
        witness
    }
}

fn pushes(items: &[Vec<u8>]) -> ScriptBuf {
    let mut script = ScriptBuf::new();
    for item in items {
        script.push_slice(PushBytesBuf::try_from(item.clone()).unwrap());
    }
    script
}
