//! The stamp: the coinbase output that binds work to operator, lane, epoch and class.
//!
//! ```text
//! output  value 0, script:  OP_RETURN 0x26 "gruv" 0x01 commitment(32) class(1)      (40 bytes)
//! commitment = SHA-256("gruve stamp 1\0" ‖ u16 length ‖ origin ‖ operator key (32)
//!                      ‖ u8 length ‖ lane ‖ u64 epoch ‖ checkpoint (32))            integers big-endian
//! ```
//!
//! The class is outside the commitment, so that one job serves every class by changing one byte, and
//! inside the script, so that it is hashed: a share proves the difficulty it was issued at.
//!
//! Chains of the Ethash family have no such output; there the commitment stands in the header ([`extra_data`]).

use crate::{Hash, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gruve_units::{Blame, Blamed, Class, EpochNumber, LaneId};
use std::ops::Range;

/// The first bytes of the push.
pub const TAG: [u8; 4] = *b"gruv";
/// The stamp's version.
pub const VERSION: u8 = 1;
/// Bytes of the push: tag, version, commitment, class.
pub const PUSH_LEN: usize = 4 + 1 + 32 + 1;
/// Bytes of the whole output script. The class is the last of them.
pub const SCRIPT_LEN: usize = 2 + PUSH_LEN;

const OP_RETURN: u8 = 0x6a;
/// A direct push of 38 bytes.
const PUSH_38: u8 = 0x26;

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Binds operator, lane, epoch and checkpoint; see [`commitment`].
    pub commitment: Hash,
    /// The class the share was issued at.
    pub class: Class,
}

/// Why a coinbase has no acceptable stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The bytes end inside a field.
    #[error("the coinbase is cut short")]
    Truncated,
    /// Bytes follow the lock time.
    #[error("bytes follow the end of the coinbase")]
    Trailing,
    /// The witness serialisation; only the legacy form is hashed into the merkle tree.
    #[error("the coinbase is in the witness form")]
    Witness,
    /// A count or length not in its shortest form.
    #[error("a count is not in its shortest form")]
    LongCount,
    /// Not one input, or not the null outpoint, or a script outside 2 to 100 bytes.
    #[error("not a coinbase input")]
    NotCoinbase,
    /// No output begins with the tag.
    #[error("no stamp")]
    Missing,
    /// More than one output begins with the tag.
    #[error("more than one stamp")]
    Several,
    /// An output begins with the tag but is not of the stamp's one form.
    #[error("a stamp of a wrong form")]
    Malformed,
}

impl Blamed for StampError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// What binds a job to this operator's log, lane, epoch and history.
///
/// `origin` names the operator's log; only its first 65,535 bytes would count, configuration keeps it
/// far below.
#[must_use]
pub fn commitment(
    origin: &str,
    operator_key: &[u8; 32],
    lane: &LaneId,
    epoch: EpochNumber,
    checkpoint: &Hash,
) -> Hash {
    let origin = origin.as_bytes();
    let len = u16::try_from(origin.len()).unwrap_or(u16::MAX);
    let origin = &origin[..usize::from(len)];
    let lane = lane.as_str().as_bytes();
    // A lane's name has at most 16 bytes by its type.
    let lane_len = u8::try_from(lane.len()).unwrap_or(u8::MAX);
    sha256(&[
        b"gruve stamp 1\0",
        &len.to_be_bytes(),
        origin,
        operator_key,
        &[lane_len],
        lane,
        &epoch.0.to_be_bytes(),
        checkpoint,
    ])
}

/// The output script of a stamp: [`SCRIPT_LEN`] bytes, the class last.
#[must_use]
pub fn output_script(commitment: &Hash, class: Class) -> Vec<u8> {
    let mut script = Vec::with_capacity(SCRIPT_LEN);
    script.extend([OP_RETURN, PUSH_38]);
    script.extend(TAG);
    script.push(VERSION);
    script.extend(commitment);
    script.push(class.k());
    script
}

/// Bytes of a stamp in a header's `extraData`.
pub const EXTRA_LEN: usize = 32;
/// Bytes of the commitment that it holds.
const EXTRA_HOLDS: usize = 24;

/// The stamp of a chain of the Ethash family, where a block's only place for the miner's words are 32 bytes of
/// `extraData`: the first 24 bytes of the commitment in base64. Nodes take text there (`miner_setExtra` of geth and its
/// descendants), so that the commitment itself could not be handed to them. 192 bits are as many as no search for
/// another meaning of them, nor for two of one stamp (2^96 tries), will reach.
#[must_use]
pub fn extra_data(commitment: &Hash) -> [u8; EXTRA_LEN] {
    let mut out = [0; EXTRA_LEN];
    // 24 bytes are 32 digits exactly.
    let written = STANDARD.encode_slice(&commitment[..EXTRA_HOLDS], &mut out);
    debug_assert_eq!(written, Ok(EXTRA_LEN));
    out
}

/// The one stamp of a coinbase in legacy serialisation, parsed from its first byte to its last.
///
/// # Errors
/// Whatever keeps it from being a coinbase with exactly one stamp; never panics.
pub fn find_in_coinbase(coinbase: &[u8]) -> Result<Stamp, StampError> {
    locate(coinbase).map(|found| found.stamp)
}

/// A stamp, and where in the coinbase things stand that a verifier must not be told by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The stamp.
    pub stamp: Stamp,
    /// Where its class byte stands.
    pub class_at: usize,
    /// The bytes of the input's script: the only place for extranonces.
    pub script: Range<usize>,
    /// Scripts and values of all outputs that are worth something.
    pub paid: Vec<(u64, Vec<u8>)>,
}

/// [`find_in_coinbase`], and where stamp and script stand.
///
/// # Errors
/// As there.
pub fn locate(coinbase: &[u8]) -> Result<Located, StampError> {
    let mut r = Bytes(coinbase);
    let at = |r: &Bytes<'_>| coinbase.len() - r.0.len();
    r.take(4)?;
    let script_len = read_input(&mut r)?;
    let script_end = at(&r) - 4;
    let outputs = r.count()?;
    let (mut found, mut paid) = (None, Vec::new());
    // Each turn takes at least nine bytes, so the input's length bounds the loop.
    for _ in 0..outputs {
        let value = r.little_endian(8)?;
        let len = r.count()?;
        let script = r.take(usize::try_from(len).map_err(|_| StampError::Truncated)?)?;
        if begins_with_tag(script) {
            if found.is_some() {
                return Err(StampError::Several);
            }
            found = Some((value == 0, script, at(&r)));
        } else if value > 0 {
            paid.push((value, script.to_vec()));
        }
    }
    r.take(4)?;
    if !r.0.is_empty() {
        return Err(StampError::Trailing);
    }
    let (worthless, script, end) = found.ok_or(StampError::Missing)?;
    let stamp = parse_script(script).filter(|_| worthless).ok_or(StampError::Malformed)?;
    Ok(Located { stamp, class_at: end - 1, script: script_end - script_len..script_end, paid })
}

/// Reads the one input; the length of its script.
fn read_input(r: &mut Bytes<'_>) -> Result<usize, StampError> {
    match r.count()? {
        1 => {}
        // The witness form has marker 0 and flag 1 here; no transaction has no inputs.
        0 => return Err(StampError::Witness),
        _ => return Err(StampError::NotCoinbase),
    }
    let outpoint = r.take(36)?;
    if outpoint[..32] != [0; 32] || outpoint[32..] != [0xff; 4] {
        return Err(StampError::NotCoinbase);
    }
    let script_len = r.count()?;
    if !(2..=100).contains(&script_len) {
        return Err(StampError::NotCoinbase);
    }
    let script_len = usize::try_from(script_len).map_err(|_| StampError::Truncated)?;
    r.take(script_len)?;
    r.take(4)?;
    Ok(script_len)
}

/// Whether a script is `OP_RETURN` and any push, however encoded, whose data begin with the tag. Wider
/// than the stamp's own form on purpose: a second stamp in another spelling is refused as well.
fn begins_with_tag(script: &[u8]) -> bool {
    let data = match script {
        [OP_RETURN, 1..=75, data @ ..]
        | [OP_RETURN, 0x4c, _, data @ ..]
        | [OP_RETURN, 0x4d, _, _, data @ ..]
        | [OP_RETURN, 0x4e, _, _, _, _, data @ ..] => data,
        _ => return false,
    };
    data.starts_with(&TAG)
}

/// Reads a script that begins with the tag, by whatever push: only the stamp's own form is one.
fn parse_script(script: &[u8]) -> Option<Stamp> {
    let script: &[u8; SCRIPT_LEN] = script.try_into().ok()?;
    let [OP_RETURN, PUSH_38, _, _, _, _, VERSION, rest @ ..] = script else { return None };
    let (commitment, class) = rest.split_first_chunk::<32>()?;
    let class = Class::new(*class.first()?)?;
    Some(Stamp { commitment: *commitment, class })
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], StampError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(StampError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn little_endian(&mut self, n: usize) -> Result<u64, StampError> {
        let mut b = [0; 8];
        b[..n].copy_from_slice(self.take(n)?);
        Ok(u64::from_le_bytes(b))
    }

    /// A compact-size integer in its shortest form.
    fn count(&mut self) -> Result<u64, StampError> {
        let (value, least) = match self.little_endian(1)? {
            0xfd => (self.little_endian(2)?, 0xfd),
            0xfe => (self.little_endian(4)?, 0x1_0000),
            0xff => (self.little_endian(8)?, 0x1_0000_0000),
            small => (small, 0),
        };
        if value >= least { Ok(value) } else { Err(StampError::LongCount) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(k: u8) -> Class {
        Class::new(k).unwrap()
    }

    fn output(value: u64, script: &[u8]) -> Vec<u8> {
        let mut o = value.to_le_bytes().to_vec();
        o.push(u8::try_from(script.len()).unwrap());
        o.extend(script);
        o
    }

    fn coinbase_with(script_sig: &[u8], outputs: &[Vec<u8>]) -> Vec<u8> {
        let mut tx = vec![2, 0, 0, 0, 1];
        tx.extend([0; 32]);
        tx.extend([0xff; 4]);
        tx.push(u8::try_from(script_sig.len()).unwrap());
        tx.extend(script_sig);
        tx.extend([0xff; 4]);
        tx.push(u8::try_from(outputs.len()).unwrap());
        tx.extend(outputs.concat());
        tx.extend([0; 4]);
        tx
    }

    fn coinbase(outputs: &[Vec<u8>]) -> Vec<u8> {
        coinbase_with(&[3, 1, 2, 3, 4, 5, 6, 7, 8], outputs)
    }

    fn pay() -> Vec<u8> {
        output(5_000_000_000, &[0x51])
    }

    #[test]
    fn a_stamp_is_found_wherever_among_the_outputs() {
        let script = output_script(&[7; 32], class(20));
        assert_eq!(script.len(), SCRIPT_LEN);
        let expected = Ok(Stamp { commitment: [7; 32], class: class(20) });
        assert_eq!(find_in_coinbase(&coinbase(&[pay(), output(0, &script)])), expected);
        assert_eq!(find_in_coinbase(&coinbase(&[output(0, &script), pay(), pay()])), expected);
    }

    #[test]
    fn no_two_nodes_of_a_merkle_tree_are_a_coinbase_with_a_stamp() {
        // Else an inner node on the left edge of a block's tree, two hashes of 32 bytes side by side, could be shown as a second
        // coinbase of the same header, with a stamp of its own.
        let script = output_script(&[7; 32], class(20));
        let shortest = coinbase_with(&[1, 2], &[output(0, &script)]);
        assert!(find_in_coinbase(&shortest).is_ok() && shortest.len() > 64);
        // Nothing in it can be left out or be shorter.
        for at in 0..shortest.len() {
            let mut shorter = shortest.clone();
            shorter.remove(at);
            assert!(find_in_coinbase(&shorter).is_err(), "without byte {at}");
        }
    }

    #[test]
    fn two_stamps_are_refused_in_every_spelling() {
        let one = output_script(&[7; 32], class(20));
        let other = output_script(&[8; 32], class(20));
        let mut pushdata = vec![0x6a, 0x4c, 38];
        pushdata.extend(&other[2..]);
        let mut pushdata2 = vec![0x6a, 0x4d, 38, 0];
        pushdata2.extend(&other[2..]);
        for second in [one.clone(), other, pushdata, pushdata2] {
            let tx = coinbase(&[output(0, &one), pay(), output(0, &second)]);
            assert_eq!(find_in_coinbase(&tx), Err(StampError::Several));
        }
    }

    #[test]
    fn a_stamp_anywhere_but_in_an_output_does_not_count() {
        let script = output_script(&[7; 32], class(20));
        let in_the_input = coinbase_with(&script, &[pay()]);
        assert_eq!(find_in_coinbase(&in_the_input), Err(StampError::Missing));
        let mut not_first = vec![0x6a, 1, 0];
        not_first.extend(&script[1..]);
        assert_eq!(find_in_coinbase(&coinbase(&[output(0, &not_first)])), Err(StampError::Missing));
        let mut spendable = script.clone();
        spendable[0] = 0x51;
        assert_eq!(find_in_coinbase(&coinbase(&[output(0, &spendable)])), Err(StampError::Missing));
    }

    #[test]
    fn other_forms_of_a_stamp_are_refused() {
        let good = output_script(&[7; 32], class(20));
        let bad = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut s = good.clone();
            edit(&mut s);
            find_in_coinbase(&coinbase(&[pay(), output(0, &s)]))
        };
        assert_eq!(bad(&|s| s[6] = 2), Err(StampError::Malformed));
        assert_eq!(bad(&|s| s[39] = 101), Err(StampError::Malformed));
        assert_eq!(bad(&|s| s.push(0)), Err(StampError::Malformed));
        assert_eq!(bad(&|s| s[1] = 0x25), Err(StampError::Malformed));
        let worth_something = coinbase(&[output(1, &good)]);
        assert_eq!(find_in_coinbase(&worth_something), Err(StampError::Malformed));
    }

    #[test]
    fn the_witness_form_and_other_transactions_are_refused() {
        let tx = coinbase(&[output(0, &output_script(&[7; 32], class(20)))]);
        let mut witness = tx[..4].to_vec();
        witness.extend([0, 1]);
        witness.extend(&tx[4..]);
        assert_eq!(find_in_coinbase(&witness), Err(StampError::Witness));
        let mut spends = tx.clone();
        spends[5] = 1;
        assert_eq!(find_in_coinbase(&spends), Err(StampError::NotCoinbase));
        let mut long = tx.clone();
        long.push(0);
        assert_eq!(find_in_coinbase(&long), Err(StampError::Trailing));
        let mut padded = tx[..4].to_vec();
        padded.extend([0xfd, 1, 0]);
        padded.extend(&tx[5..]);
        assert_eq!(find_in_coinbase(&padded), Err(StampError::LongCount));
    }

    #[test]
    fn a_script_that_no_block_may_have_is_refused() {
        let stamp = output(0, &output_script(&[7; 32], class(20)));
        for (len, is_good) in [(1, false), (2, true), (100, true), (101, false)] {
            let tx = coinbase_with(&vec![0; len], std::slice::from_ref(&stamp));
            let found = find_in_coinbase(&tx);
            assert_eq!(found.is_ok(), is_good, "{len} bytes");
            assert!(is_good || found == Err(StampError::NotCoinbase), "{len} bytes: {found:?}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let tx = coinbase(&[pay(), output(0, &output_script(&[7; 32], class(20)))]);
        for n in 0..tx.len() {
            assert!(find_in_coinbase(&tx[..n]).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn a_huge_count_neither_hangs_nor_allocates() {
        let mut tx = coinbase(&[]);
        tx.truncate(tx.len() - 5);
        tx.extend([0xff; 9]);
        assert_eq!(find_in_coinbase(&tx), Err(StampError::Truncated));
    }

    #[test]
    fn a_stamp_in_extra_data_is_text_of_all_its_bytes() {
        let extra = extra_data(&[0xfb; 32]);
        assert_eq!(std::str::from_utf8(&extra), Ok("+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7"));
        let mut other = [0xfb; 32];
        other[EXTRA_HOLDS - 1] ^= 1;
        assert_ne!(extra_data(&other), extra);
    }

    #[test]
    fn the_commitment_changes_with_every_part() {
        let lane: LaneId = "btc".parse().unwrap();
        let other: LaneId = "ltc".parse().unwrap();
        let e = EpochNumber(7);
        let all = [
            commitment("a", &[1; 32], &lane, e, &[2; 32]),
            commitment("b", &[1; 32], &lane, e, &[2; 32]),
            commitment("a", &[3; 32], &lane, e, &[2; 32]),
            commitment("a", &[1; 32], &other, e, &[2; 32]),
            commitment("a", &[1; 32], &lane, e.next(), &[2; 32]),
            commitment("a", &[1; 32], &lane, e, &[4; 32]),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tx in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = find_in_coinbase(&tx);
        }

        #[test]
        fn a_changed_byte_never_gives_a_stamp_with_another_commitment_unseen(at in 0usize..150, to: u8) {
            let good = Stamp { commitment: [7; 32], class: class(20) };
            let mut tx = coinbase(&[pay(), output(0, &output_script(&[7; 32], class(20)))]);
            if let Some(b) = tx.get_mut(at) {
                *b = to;
            }
            // Whatever is still found stands in the bytes of the one output that has the tag.
            if let Ok(found) = find_in_coinbase(&tx) && found != good {
                let script = output_script(&found.commitment, found.class);
                prop_assert!(tx.windows(SCRIPT_LEN).any(|w| w == script));
            }
        }
    }
}
