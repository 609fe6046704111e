//! Many messages at once: what the checking of shares and the verifier need.
//!
//! Nothing here allocates, but for [`sha256d_headers`]. Batches may have any size: the fastest
//! variant takes what fills its lanes, what is left goes to the next.

use super::sha256::{self, IV};
use super::{Variant, Work, usable};
use crate::sha256d;

/// What messages have in common: a first part of whole 64-byte blocks, hashed once.
///
/// ```
/// use gruve_pow::{lanes::Prefix, sha256d};
/// let prefix = Prefix::of(&[7; 100]);
/// assert_eq!(prefix.len(), 64);
/// let mut out = [[0; 32]; 2];
/// let rest = [[7; 40].as_slice(), &[8; 4], &[7; 36], &[9; 8]].concat();
/// prefix.sha256d_equal(&rest, 44, &mut out);
/// assert_eq!(out[0], sha256d(&[[7; 104].as_slice(), &[8; 4]].concat()));
/// assert_eq!(out[1], sha256d(&[[7; 100].as_slice(), &[9; 8]].concat()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    state: [u32; 8],
    len: usize,
}

impl Prefix {
    /// Nothing in common.
    pub const EMPTY: Prefix = Prefix { state: IV, len: 0 };

    /// Hashes the whole blocks of `bytes`; what follows the last of them ([`Prefix::len`] says
    /// how many bytes were taken) belongs to the messages' rests.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let blocks = bytes.as_chunks::<64>().0;
        let mut state = IV;
        sha2::block_api::compress256(&mut state, blocks);
        Prefix { state, len: 64 * blocks.len() }
    }

    /// Bytes hashed: a multiple of 64.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // an empty prefix is no special case
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The state after it.
    pub(crate) const fn state(&self) -> [u32; 8] {
        self.state
    }

    /// SHA-256d of this prefix followed by each of the rests, which stand one after the other in
    /// `rests`, `rest_len` bytes each. See [`sha256d_equal`] for sizes that do not agree.
    pub fn sha256d_equal(&self, rests: &[u8], rest_len: usize, out: &mut [[u8; 32]]) {
        let messages = Messages { bytes: rests, len: rest_len, prefix: *self, is_once: false };
        equal(Variant::fastest_first(Work::Messages), &messages, out);
    }
}

/// Messages of one length, standing one after the other, behind a common prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages<'a> {
    bytes: &'a [u8],
    len: usize,
    prefix: Prefix,
    /// SHA-256 alone, not the hash of the hash.
    pub(crate) is_once: bool,
}

/// The blocks with the end of a message and its padding: one or two.
pub(crate) type End = [[u8; 64]; 2];

impl<'a> Messages<'a> {
    /// The state after the prefix.
    #[inline(always)]
    pub(crate) fn start(&self) -> [u32; 8] {
        self.prefix.state
    }

    /// Message `i`, without the prefix.
    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> &'a [u8] {
        let from = i.saturating_mul(self.len);
        self.bytes.get(from..).and_then(|b| b.get(..self.len)).unwrap_or(&[])
    }

    /// Whole blocks of a message before its end.
    #[inline(always)]
    pub(crate) fn whole_blocks(&self) -> usize {
        self.len / 64
    }

    /// Blocks that the end and the padding (a bit, and eight bytes of length) take.
    #[inline(always)]
    pub(crate) fn end_blocks(&self) -> usize {
        if self.len % 64 < 56 { 1 } else { 2 }
    }

    /// The end of a message of no bytes: the padding of all.
    #[inline(always)]
    pub(crate) fn empty_end(&self) -> End {
        let mut end = [[0u8; 64]; 2];
        let bits = 8 * (self.prefix.len as u64 + self.len as u64);
        let flat = end.as_flattened_mut();
        flat[self.len % 64] = 0x80;
        let last = 64 * self.end_blocks();
        flat[last - 8..last].copy_from_slice(&bits.to_be_bytes());
        end
    }

    /// Puts the end of a message before its padding.
    #[inline(always)]
    pub(crate) fn put_end(&self, message: &[u8], end: &mut End) {
        let rest = message.as_chunks::<64>().1;
        end.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
    }

    /// The messages from `i` on.
    fn from(&self, i: usize) -> Messages<'a> {
        let at = i.saturating_mul(self.len).min(self.bytes.len());
        Messages { bytes: &self.bytes[at..], ..*self }
    }
}

/// Block `i` of a message; all zeros past its end, where no one asks.
#[inline(always)]
pub(crate) fn block_of(message: &[u8], i: usize) -> &[u8; 64] {
    message.as_chunks::<64>().0.get(i).unwrap_or(&[0; 64])
}

/// SHA-256d of messages of one length, standing one after the other in `messages`, `len` bytes
/// each: hash `i` goes to `out[i]`.
///
/// As many as both have are hashed: what `messages` has beyond `out` is left out, and so is the
/// place in `out` for which there is no whole message.
///
/// ```
/// let mut out = [[0; 32]; 3];
/// gruve_pow::lanes::sha256d_equal(b"abcdefghi", 3, &mut out);
/// assert_eq!(out[1], gruve_pow::sha256d(b"def"));
/// ```
pub fn sha256d_equal(messages: &[u8], len: usize, out: &mut [[u8; 32]]) {
    Prefix::EMPTY.sha256d_equal(messages, len, out);
}

/// [`sha256d_equal`] by a chosen variant; by the plain one where the processor lacks it.
pub fn sha256d_equal_by(variant: Variant, messages: &[u8], len: usize, out: &mut [[u8; 32]]) {
    let messages = Messages { bytes: messages, len, prefix: Prefix::EMPTY, is_once: false };
    equal(&[usable(variant)], &messages, out);
}

/// SHA-256 (once) of messages of one length, as [`sha256d_equal`].
///
/// ```
/// let mut out = [[0; 32]; 3];
/// gruve_pow::lanes::sha256_equal(b"abcdefghi", 3, &mut out);
/// assert_eq!(out[1], gruve_pow::sha256(b"def"));
/// ```
pub fn sha256_equal(messages: &[u8], len: usize, out: &mut [[u8; 32]]) {
    let messages = Messages { bytes: messages, len, prefix: Prefix::EMPTY, is_once: true };
    equal(Variant::fastest_first(Work::Messages), &messages, out);
}

/// [`sha256_equal`] by a chosen variant; by the plain one where the processor lacks it.
pub fn sha256_equal_by(variant: Variant, messages: &[u8], len: usize, out: &mut [[u8; 32]]) {
    let messages = Messages { bytes: messages, len, prefix: Prefix::EMPTY, is_once: true };
    equal(&[usable(variant)], &messages, out);
}

/// SHA-256 (once) of messages that are given as their one padded block each: up to 55 bytes, a byte 80, zeros, the length in bits
/// (8 bytes). As many as both have.
///
/// ```
/// let mut block = [0; 64];
/// block[..3].copy_from_slice(b"abc");
/// (block[3], block[63]) = (0x80, 24);
/// let mut out = [[0; 32]];
/// gruve_pow::lanes::sha256_blocks(&[block], &mut out);
/// assert_eq!(out[0], gruve_pow::sha256(b"abc"));
/// ```
pub fn sha256_blocks(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    once_each(Variant::fastest_first(Work::Messages), blocks, out);
}

/// [`sha256_blocks`] by a chosen variant; by the plain one where the processor lacks it.
pub fn sha256_blocks_by(variant: Variant, blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    once_each(&[usable(variant)], blocks, out);
}

/// SHA-256 (once) of a byte and two nodes, for each two neighbours among `nodes`: a level of a merkle tree as RFC 6962 makes it,
/// with the byte 1. As many as both have.
///
/// ```
/// let nodes = [[1; 32], [2; 32], [3; 32], [4; 32]];
/// let mut out = [[0; 32]; 2];
/// gruve_pow::lanes::sha256_tagged_pairs(7, &nodes, &mut out);
/// assert_eq!(out[1], gruve_pow::sha256(&[&[7][..], &nodes[2], &nodes[3]].concat()));
/// ```
pub fn sha256_tagged_pairs(tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    tagged_pairs(Variant::fastest_first(Work::Messages), tag, nodes, out);
}

/// [`sha256_tagged_pairs`] by a chosen variant; by the plain one where the processor lacks it.
pub fn sha256_tagged_pairs_by(variant: Variant, tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    tagged_pairs(&[usable(variant)], tag, nodes, out);
}

/// SHA-256d of every header, in order.
#[must_use]
pub fn sha256d_headers(headers: &[[u8; 80]]) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; headers.len()];
    sha256d_headers_into(headers, &mut out);
    out
}

/// SHA-256d of every header for which `out` has a place, in order.
pub fn sha256d_headers_into(headers: &[[u8; 80]], out: &mut [[u8; 32]]) {
    sha256d_equal(headers.as_flattened(), 80, out);
}

/// SHA-256d of every header by a chosen variant; by the plain one where the processor lacks it.
#[must_use]
pub fn sha256d_headers_by(variant: Variant, headers: &[[u8; 80]]) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; headers.len()];
    sha256d_equal_by(variant, headers.as_flattened(), 80, &mut out);
    out
}

/// One level of many merkle trees: every node becomes the parent of itself, on the left, and its
/// sibling, on the right. As many as both have; the other nodes stay as they are.
///
/// ```
/// let mut nodes = [[1; 32], [2; 32]];
/// gruve_pow::lanes::merkle_level(&mut nodes, &[[3; 32], [4; 32]]);
/// assert_eq!(nodes[1], gruve_pow::merkle_root_from_branch([2; 32], &[[4; 32]]));
/// ```
pub fn merkle_level(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    level(Variant::fastest_first(Work::Nodes), nodes, siblings);
}

/// [`merkle_level`] by a chosen variant; by the plain one where the processor lacks it.
pub fn merkle_level_by(variant: Variant, nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    level(&[usable(variant)], nodes, siblings);
}

/// Up one branch of a merkle tree: every node is hashed with each of the siblings in turn, the sibling on the right.
///
/// ```
/// let mut nodes = [[1; 32], [2; 32]];
/// gruve_pow::lanes::merkle_branch(&mut nodes, &[[3; 32], [4; 32]]);
/// assert_eq!(nodes[1], gruve_pow::merkle_root_from_branch([2; 32], &[[3; 32], [4; 32]]));
/// ```
pub fn merkle_branch(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    branch(Variant::fastest_first(Work::Branches), nodes, siblings);
}

/// [`merkle_branch`] by a chosen variant; by the plain one where the processor lacks it.
pub fn merkle_branch_by(variant: Variant, nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    branch(&[usable(variant)], nodes, siblings);
}

/// How many of `left` the variant should take, if there is a `next` one for the rest: whole
/// groups, and a last one that is filled by half.
pub(super) fn part(variant: Variant, left: usize, next: Option<&Variant>) -> usize {
    let lanes = variant.lanes();
    match next {
        Some(_) if left % lanes < lanes.div_ceil(2) => left - left % lanes,
        _ => left,
    }
}

/// SHA-256d of the rests, each of that many bytes, behind a prefix, by a variant that the processor must support.
pub(super) fn equal_by(
    variant: Variant,
    prefix: &Prefix,
    (rests, rest_len): (&[u8], usize),
    out: &mut [[u8; 32]],
) {
    let messages = Messages { bytes: rests, len: rest_len, prefix: *prefix, is_once: false };
    equal(&[variant], &messages, out);
}

/// Up one branch, by a variant that the processor must support.
pub(super) fn climb_by(variant: Variant, nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    branch(&[variant], nodes, siblings);
}

/// The caller has made sure that the processor supports the variants.
fn equal(order: &[Variant], messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    let whole = messages.bytes.len().checked_div(messages.len).unwrap_or(out.len());
    let n = out.len().min(whole);
    let mut out = &mut out[..n];
    let mut messages = *messages;
    for (i, &variant) in order.iter().enumerate() {
        let n = part(variant, out.len(), order.get(i + 1));
        let (now, later) = out.split_at_mut(n);
        equal_all(variant, &messages, now);
        messages = messages.from(n);
        out = later;
    }
}

fn equal_all(variant: Variant, messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        Variant::ShaNi => super::x86::sha_ni::equal(messages, out),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx2x8 => super::x86::equal_avx2(messages, out),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx512x16 => super::x86::equal_avx512(messages, out),
        _ => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = plain(messages, messages.get(i));
            }
        }
    }
}

/// The caller has made sure that the processor supports the variants.
fn once_each(order: &[Variant], blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    let n = blocks.len().min(out.len());
    let (mut blocks, mut out) = (&blocks[..n], &mut out[..n]);
    for (i, &variant) in order.iter().enumerate() {
        let n = part(variant, out.len(), order.get(i + 1));
        let ((now, later), (to, rest)) = (blocks.split_at(n), out.split_at_mut(n));
        match variant {
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2x8 => super::x86::blocks_avx2(now, to),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512x16 => super::x86::blocks_avx512(now, to),
            _ => padded(variant, now.as_chunks::<1>().0, to),
        }
        (blocks, out) = (later, rest);
    }
}

/// The caller has made sure that the processor supports the variants.
fn tagged_pairs(order: &[Variant], tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    let n = (nodes.len() / 2).min(out.len());
    let (mut nodes, mut out) = (&nodes[..2 * n], &mut out[..n]);
    for (i, &variant) in order.iter().enumerate() {
        let n = part(variant, out.len(), order.get(i + 1));
        let ((now, later), (to, rest)) = (nodes.split_at(2 * n), out.split_at_mut(n));
        match variant {
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2x8 => super::x86::tagged_pairs_avx2(tag, now, to),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512x16 => super::x86::tagged_pairs_avx512(tag, now, to),
            _ => {
                const TOGETHER: usize = 16;
                let pairs = now.as_flattened().as_chunks::<64>().0;
                for (pairs, to) in pairs.chunks(TOGETHER).zip(to.chunks_mut(TOGETHER)) {
                    let mut messages = [[[0; 64]; 2]; TOGETHER];
                    for (message, pair) in messages.iter_mut().zip(pairs) {
                        *message = tagged(tag, pair);
                    }
                    padded(variant, &messages[..pairs.len()], to);
                }
            }
        }
        (nodes, out) = (later, rest);
    }
}

/// A byte and two nodes, padded.
fn tagged(tag: u8, pair: &[u8; 64]) -> [[u8; 64]; 2] {
    let mut blocks = [[0; 64]; 2];
    let flat = blocks.as_flattened_mut();
    flat[0] = tag;
    flat[1..65].copy_from_slice(pair);
    flat[65] = 0x80;
    flat[124..].copy_from_slice(&sha256::TAGGED_BITS.to_be_bytes());
    blocks
}

/// SHA-256 of messages that are padded already, by a variant that has no lanes for them.
fn padded<const BLOCKS: usize>(
    variant: Variant,
    messages: &[[[u8; 64]; BLOCKS]],
    out: &mut [[u8; 32]],
) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        Variant::ShaNi => super::x86::sha_ni::padded(messages, out),
        _ => messages.iter().zip(out).for_each(|(message, out)| *out = once(message)),
    }
}

/// SHA-256 of what is padded already.
fn once(blocks: &[[u8; 64]]) -> [u8; 32] {
    let mut state = IV;
    sha2::block_api::compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// With the `sha2` crate.
fn plain(messages: &Messages<'_>, message: &[u8]) -> [u8; 32] {
    let mut state = messages.start();
    sha2::block_api::compress256(&mut state, message.as_chunks().0);
    let mut end = messages.empty_end();
    messages.put_end(message, &mut end);
    sha2::block_api::compress256(&mut state, &end[..messages.end_blocks()]);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    if messages.is_once { hash } else { crate::sha256(&hash) }
}

/// The caller has made sure that the processor supports the variants.
fn level(order: &[Variant], nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    let n = nodes.len().min(siblings.len());
    let (mut nodes, mut siblings) = (&mut nodes[..n], &siblings[..n]);
    for (i, &variant) in order.iter().enumerate() {
        let n = part(variant, nodes.len(), order.get(i + 1));
        let (now, later) = nodes.split_at_mut(n);
        level_all(variant, now, &siblings[..n]);
        (nodes, siblings) = (later, &siblings[n..]);
    }
}

fn level_all(variant: Variant, nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        Variant::ShaNi => super::x86::sha_ni::nodes(nodes, siblings),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx2x8 => super::x86::nodes_avx2(nodes, siblings),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx512x16 => super::x86::nodes_avx512(nodes, siblings),
        _ => {
            for (node, sibling) in nodes.iter_mut().zip(siblings) {
                *node = sha256d(&sha256::pair(node, sibling));
            }
        }
    }
}

/// The caller has made sure that the processor supports the variants.
fn branch(order: &[Variant], mut nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    for (i, &variant) in order.iter().enumerate() {
        let n = part(variant, nodes.len(), order.get(i + 1));
        let (now, later) = nodes.split_at_mut(n);
        branch_all(variant, now, siblings);
        nodes = later;
    }
}

fn branch_all(variant: Variant, nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        Variant::Avx2x8 => super::x86::branch_avx2(nodes, siblings),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx512x16 => super::x86::branch_avx512(nodes, siblings),
        _ => {
            for nodes in nodes.chunks_mut(16) {
                for sibling in siblings {
                    level_all(variant, nodes, &[*sibling; 16][..nodes.len()]);
                }
            }
        }
    }
}

/// The check of one variant, which the processor must support, on `bytes`: messages of every
/// number of blocks and form of padding, and nodes.
pub(super) fn agrees_with_plain(variant: Variant, bytes: &[u8]) -> bool {
    let mut out = [[0; 32]; 33];
    let mut expected = out;
    for (len, is_once) in [80, 40, 55, 56, 64, 0].into_iter().flat_map(|l| [(l, false), (l, true)])
    {
        let messages = Messages { bytes, len, prefix: Prefix::EMPTY, is_once };
        equal(&[variant], &messages, &mut out);
        equal(&[Variant::Plain], &messages, &mut expected);
        if out != expected {
            return false;
        }
    }
    let blocks = bytes.as_chunks().0;
    once_each(&[variant], blocks, &mut out);
    once_each(&[Variant::Plain], blocks, &mut expected);
    if out != expected {
        return false;
    }
    let pairs = bytes.as_chunks().0;
    tagged_pairs(&[variant], 1, pairs, &mut out);
    tagged_pairs(&[Variant::Plain], 1, pairs, &mut expected);
    if out != expected {
        return false;
    }
    let siblings: [[u8; 32]; 33] = std::array::from_fn(|i| out[32 - i]);
    level(&[variant], &mut out, &siblings);
    level(&[Variant::Plain], &mut expected, &siblings);
    if out != expected {
        return false;
    }
    branch(&[variant], &mut out, &siblings[..3]);
    branch(&[Variant::Plain], &mut expected, &siblings[..3]);
    out == expected
}
