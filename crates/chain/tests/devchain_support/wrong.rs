//! One wrong block for every rule, each made from the same good one by one change; for the
//! development chain and for a real node alike.

use super::{Funds, Key, commitment_output, nowhere, payment, set_commitment, set_root, solve};
use bitcoin::absolute::LockTime;
use bitcoin::{Amount, Block, CompactTarget, ScriptBuf, Sequence, Transaction, Witness};
use gruve_chain::devchain::DevParams;
use gruve_chain::devchain::check::{has_work, height_push};

/// What the changes need.
pub struct Scene<'a> {
    pub params: &'a DevParams,
    pub key: &'a Key,
    /// A good block of three transactions: coinbase and two payments with `fee` each.
    pub good: &'a Block,
    pub height: u32,
    pub fee: u64,
    /// The median of the last eleven times.
    pub median_time: u32,
    pub now: i64,
    /// Spendable, and not spent by the good block.
    pub coin: &'a Funds,
    /// Confirmed in the tip, not a coinbase's.
    pub young: &'a Funds,
    /// A coinbase's, too young to be spent.
    pub immature: &'a Funds,
    /// Spent by the transaction that made `young`, with the fee.
    pub spent: &'a Funds,
}

/// A block and the reason for which it must be refused.
pub struct Wrong {
    pub reason: &'static str,
    pub why: &'static str,
    pub block: Block,
}

/// How far a changed block is put right again.
enum Mend {
    /// Commitment, root and work.
    All,
    /// Root and work.
    Root,
    /// Only the work.
    Work,
}

/// Every wrong block.
pub fn wrong_blocks(scene: &Scene<'_>) -> Vec<Wrong> {
    some_wrong_blocks(scene, &|_| true)
}

/// The `n`th of them, if there are so many.
pub fn wrong_block(scene: &Scene<'_>, n: usize) -> Option<Wrong> {
    some_wrong_blocks(scene, &|at| at == n).pop()
}

fn some_wrong_blocks(scene: &Scene<'_>, is_wanted: &dyn Fn(usize) -> bool) -> Vec<Wrong> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut case = |reason, why, mend: Mend, change: &dyn Fn(&mut Block)| {
        at += 1;
        if !is_wanted(at - 1) {
            return;
        }
        let mut block = scene.good.clone();
        change(&mut block);
        if matches!(mend, Mend::All) {
            set_commitment(&mut block);
        }
        if !matches!(mend, Mend::Work) {
            set_root(&mut block);
        }
        solve(&mut block, scene.params);
        found.push(Wrong { reason, why, block });
    };
    let to = scene.key.wpkh();
    let pay = |coin: &Funds| scene.key.pay(coin, &to, 1_000);

    case("bad-txnmrklroot", "another root", Mend::Work, &|b| {
        b.header.merkle_root = bitcoin::hashes::Hash::all_zeros();
    });
    case("bad-txns-duplicate", "the last transaction twice, same root", Mend::Work, &|b| {
        b.txdata.push(b.txdata[2].clone());
    });
    case("bad-cb-multiple", "two coinbases", Mend::All, &|b| {
        let mut second = b.txdata[0].clone();
        second.output.truncate(1);
        second.input[0].witness.clear();
        b.txdata.push(second);
    });
    case("bad-cb-length", "101 bytes in the coinbase's input", Mend::Root, &|b| {
        let mut script = b.txdata[0].input[0].script_sig.to_bytes();
        script.resize(101, 0);
        b.txdata[0].input[0].script_sig = script.into();
    });
    case("bad-diffbits", "a harder target than asked for", Mend::Work, &|b| {
        b.header.bits = CompactTarget::from_consensus(b.header.bits.to_consensus() - 1);
    });
    case("time-too-old", "the time of the median", Mend::Work, &|b| {
        b.header.time = scene.median_time;
    });
    case("time-too-new", "three hours ahead", Mend::Work, &|b| {
        b.header.time = u32::try_from(scene.now + 10_800).unwrap();
    });
    case("bad-version(0x00000003)", "a version from before BIP 65", Mend::Work, &|b| {
        b.header.version = bitcoin::block::Version::from_consensus(3);
    });
    case("bad-cb-height", "the next block's height", Mend::Root, &|b| {
        let script = [height_push(scene.height + 1), b"\x05tests".to_vec()].concat();
        b.txdata[0].input[0].script_sig = script.into();
    });
    case("bad-cb-amount", "one more than subsidy and fees", Mend::Root, &|b| {
        let value = &mut b.txdata[0].output[0].value;
        *value = Amount::from_sat(value.to_sat() + 2 * scene.fee + 1);
    });
    case("bad-witness-merkle-match", "another commitment", Mend::Root, &|b| {
        let out = commitment_output(b);
        let mut script = out.script_pubkey.to_bytes();
        script[37] ^= 1;
        out.script_pubkey = script.into();
    });
    case("bad-witness-nonce-size", "a reserved value of 31 bytes", Mend::Root, &|b| {
        b.txdata[0].input[0].witness = Witness::from_slice(&[[0u8; 31]]);
    });
    case("unexpected-witness", "witnesses without commitment", Mend::Root, &|b| {
        b.txdata[0].output.truncate(1);
    });
    case("bad-txns-inputs-missingorspent", "a coin that never was", Mend::All, &|b| {
        let never = Funds { point: nowhere(), out: scene.coin.out.clone() };
        b.txdata.push(pay(&never));
    });
    case("bad-txns-inputs-missingorspent", "a coin spent long ago", Mend::All, &|b| {
        b.txdata.push(scene.key.pay(scene.spent, &to, 3_000));
    });
    case("bad-txns-BIP30", "a transaction that is there already", Mend::All, &|b| {
        b.txdata.push(pay(scene.spent));
    });
    case("bad-txns-inputs-missingorspent", "one coin twice in a block", Mend::All, &|b| {
        b.txdata.push(pay(scene.coin));
        b.txdata.push(scene.key.pay(scene.coin, &to, 2_000));
    });
    case("bad-txns-premature-spend-of-coinbase", "a young coinbase", Mend::All, &|b| {
        b.txdata.push(pay(scene.immature));
    });
    let sign = |tx: Transaction, coin: &Funds| scene.key.sign(tx, std::slice::from_ref(&coin.out));
    case("bad-txns-in-belowout", "more out than in", Mend::All, &|b| {
        let mut tx = payment(scene.coin, &to, 0);
        let value = &mut tx.output[0].value;
        *value = Amount::from_sat(value.to_sat() + 1);
        b.txdata.push(sign(tx, scene.coin));
    });
    case("bad-txns-nonfinal", "locked until the next block", Mend::All, &|b| {
        let mut tx = payment(scene.coin, &to, 1_000);
        tx.lock_time = LockTime::from_consensus(scene.height);
        b.txdata.push(sign(tx, scene.coin));
    });
    case("bad-txns-nonfinal", "locked until after the median time", Mend::All, &|b| {
        let mut tx = payment(scene.coin, &to, 1_000);
        tx.lock_time = LockTime::from_consensus(scene.median_time);
        b.txdata.push(sign(tx, scene.coin));
    });
    case("bad-txns-nonfinal", "a coin not old enough in blocks (BIP 68)", Mend::All, &|b| {
        let mut tx = payment(scene.young, &to, 1_000);
        tx.input[0].sequence = Sequence::from_height(2);
        b.txdata.push(sign(tx, scene.young));
    });
    case("bad-txns-nonfinal", "a coin not old enough in time (BIP 68)", Mend::All, &|b| {
        let mut tx = payment(scene.young, &to, 1_000);
        tx.input[0].sequence = Sequence::from_512_second_intervals(20);
        b.txdata.push(sign(tx, scene.young));
    });
    case(
        "mandatory-script-verify-flag-failed (Script evaluated without error but finished with a \
         false/empty top stack element)",
        "a signature over something else",
        Mend::All,
        &|b| {
            let mut tx = pay(scene.coin);
            tx.output[0].value = Amount::from_sat(tx.output[0].value.to_sat() - 1);
            b.txdata.push(tx);
        },
    );
    case(
        "mandatory-script-verify-flag-failed (Script failed an OP_EQUALVERIFY operation)",
        "somebody else's key",
        Mend::All,
        &|b| b.txdata.push(Key::new(99).pay(scene.coin, &to, 1_000)),
    );
    case(
        "mandatory-script-verify-flag-failed (Witness program hash mismatch)",
        "no signature",
        Mend::All,
        &|b| b.txdata.push(payment(scene.coin, &to, 1_000)),
    );
    case("prev-blk-not-found", "an unknown parent", Mend::Work, &|b| {
        b.header.prev_blockhash = bitcoin::hashes::Hash::from_byte_array([3; 32]);
    });
    let with_outputs = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = payment(scene.coin, &to, 1_000);
        change(&mut tx);
        sign(tx, scene.coin)
    };
    case("bad-txns-vout-empty", "no outputs", Mend::All, &|b| {
        b.txdata.push(with_outputs(&|tx| tx.output.clear()));
    });
    case("bad-txns-vout-negative", "a negative output", Mend::All, &|b| {
        b.txdata.push(with_outputs(&|tx| tx.output[0].value = Amount::from_sat(u64::MAX)));
    });
    case("bad-txns-vout-toolarge", "more than can exist", Mend::All, &|b| {
        let cap = u64::try_from(scene.params.max_money).unwrap();
        b.txdata.push(with_outputs(&|tx| tx.output[0].value = Amount::from_sat(cap + 1)));
    });
    case("bad-txns-txouttotal-toolarge", "more than can exist together", Mend::All, &|b| {
        let cap = u64::try_from(scene.params.max_money).unwrap();
        b.txdata.push(with_outputs(&|tx| {
            tx.output[0].value = Amount::from_sat(cap);
            tx.output.push(tx.output[0].clone());
        }));
    });
    case("bad-txns-inputs-duplicate", "one coin twice in a transaction", Mend::All, &|b| {
        let mut tx = pay(scene.coin);
        tx.input.push(tx.input[0].clone());
        b.txdata.push(tx);
    });
    case("bad-txns-prevout-null", "a null input among others", Mend::All, &|b| {
        let mut tx = pay(scene.coin);
        tx.input.push(b.txdata[0].input[0].clone());
        tx.input[1].witness.clear();
        b.txdata.push(tx);
    });
    case("bad-blk-length", "a megabyte without witness", Mend::Root, &|b| {
        b.txdata[0].output[0].script_pubkey = ScriptBuf::from_bytes(vec![0x51; 1_000_000]);
    });
    case("bad-blk-sigops", "20,001 signature operations", Mend::Root, &|b| {
        b.txdata[0].output[0].script_pubkey = ScriptBuf::from_bytes(vec![0xac; 20_001]);
    });
    case("bad-blk-weight", "four megabytes of witness", Mend::All, &|b| {
        let mut tx = pay(scene.coin);
        tx.input[0].witness.push(vec![0u8; 3_999_000]);
        b.txdata.push(tx);
    });

    if !is_wanted(at) {
        return found;
    }
    let mut lazy = scene.good.clone();
    while has_work(&lazy.header, scene.params) {
        lazy.header.nonce += 1;
    }
    found.push(Wrong { reason: "high-hash", why: "no proof of work", block: lazy });
    found
}
