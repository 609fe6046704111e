//! The x86 SHA extensions, several independent streams interleaved: one stream alone waits for
//! the latency of its instructions half of the time.
//!
//! The argument behind every `unsafe` here is that of [`super`]: the public functions run only
//! where the features were detected, which each asserts.

use crate::lanes::batch::{End, Messages, block_of};
use crate::lanes::sha256::{HASH_BITS, IV, K, NODE_BITS, PAD};
use crate::lanes::sieve::{small_sigma0, small_sigma1};
use std::arch::x86_64::*;

/// Messages of a batch whose ends are prepared before they are hashed.
const CHUNK: usize = 16;

/// See [`Messages`].
pub(crate) fn equal(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    assert!(super::has_sha(), "chosen only where the SHA extensions were detected");
    let mut ends = [messages.empty_end(); CHUNK];
    for (i, out) in out.chunks_mut(CHUNK).enumerate() {
        // All ends before all hashing: a load right after stores of other widths has to wait.
        for (j, end) in ends.iter_mut().enumerate().take(out.len()) {
            messages.put_end(messages.get(CHUNK * i + j), end);
        }
        let mut at = 0;
        macro_rules! groups {
            ($streams:literal) => {
                while let Some(out) = out[at..].first_chunk_mut::<$streams>()
                    && let Some(ends) = ends[at..].first_chunk()
                {
                    // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, above.
                    unsafe { equal_group::<$streams>(messages, CHUNK * i + at, ends, out) };
                    at += $streams;
                }
            };
        }
        groups!(4);
        groups!(2);
        groups!(1);
    }
}

/// SHA-256 (once) of messages that are padded already.
pub(crate) fn padded<const BLOCKS: usize>(messages: &[[[u8; 64]; BLOCKS]], out: &mut [[u8; 32]]) {
    assert!(super::has_sha(), "chosen only where the SHA extensions were detected");
    let mut at = 0;
    macro_rules! groups {
        ($streams:literal) => {
            while let Some(out) = out[at..].first_chunk_mut::<$streams>()
                && let Some(messages) = messages.get(at..).and_then(<[_]>::first_chunk)
            {
                // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, above.
                unsafe { padded_group::<$streams, BLOCKS>(messages, out) };
                at += $streams;
            }
        };
    }
    groups!(4);
    groups!(2);
    groups!(1);
}

/// See [`crate::lanes::merkle_level`].
pub(crate) fn nodes(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    assert!(super::has_sha(), "chosen only where the SHA extensions were detected");
    let mut at = 0;
    macro_rules! groups {
        ($streams:literal) => {
            while let Some(left) = nodes[at..].first_chunk_mut::<$streams>()
                && let Some(right) = siblings.get(at..).and_then(<[_]>::first_chunk)
            {
                // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, above.
                unsafe { nodes_group::<$streams>(left, right) };
                at += $streams;
            }
        };
    }
    groups!(4);
    groups!(2);
    groups!(1);
}

/// A state as the SHA instructions hold it: words a, b, e, f and c, d, g, h.
pub(super) type State = (__m128i, __m128i);
type Block = [__m128i; 4];

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn words(a: u32, b: u32, c: u32, d: u32) -> __m128i {
    _mm_set_epi32(d.cast_signed(), c.cast_signed(), b.cast_signed(), a.cast_signed())
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn state_of(s: &[u32; 8]) -> State {
    (words(s[5], s[4], s[1], s[0]), words(s[7], s[6], s[3], s[2]))
}

/// The words of a state in order.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn in_order((abef, cdgh): State) -> (__m128i, __m128i) {
    // (f e b a) and (h g d c), low lane first, to (a b c d) and (e f g h).
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let ghcd = _mm_shuffle_epi32::<0xb1>(cdgh);
    (_mm_blend_epi16::<0xf0>(feba, ghcd), _mm_alignr_epi8::<8>(ghcd, feba))
}

/// Reverses the bytes of each word.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn swap_bytes(x: __m128i) -> __m128i {
    _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

/// Loads a block of every stream. (No closures here and below: a closure has this function's
/// features, what calls it has not, and then it is not inlined.)
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn load<const S: usize>(blocks: [&[u8; 64]; S]) -> [Block; S] {
    let mut out = [[words(0, 0, 0, 0); 4]; S];
    for (out, block) in out.iter_mut().zip(blocks) {
        for (quad, bytes) in out.iter_mut().zip(block.as_chunks::<16>().0) {
            // SAFETY: a chunk has a register's 16 bytes; the load takes any alignment.
            *quad = swap_bytes(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
        }
    }
    out
}

/// Four rounds of every stream, with the message words plus the round constants.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn four_rounds<const S: usize>(states: &mut [State; S], wk: [__m128i; S]) {
    for (s, x) in states.iter_mut().zip(wk) {
        s.1 = _mm_sha256rnds2_epu32(s.1, s.0, x);
    }
    for (s, x) in states.iter_mut().zip(wk) {
        s.0 = _mm_sha256rnds2_epu32(s.0, s.1, _mm_shuffle_epi32::<0x0e>(x));
    }
}

/// One block on independent states at once.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress<const S: usize>(states: &mut [State; S], mut m: [Block; S]) {
    let saved = *states;
    macro_rules! four {
        ($t:expr) => {{
            let k = words(K[$t], K[$t + 1], K[$t + 2], K[$t + 3]);
            let mut wk = [k; S];
            for (wk, m) in wk.iter_mut().zip(&mut m) {
                const Q: usize = $t / 4;
                if Q >= 4 {
                    let sum = _mm_add_epi32(
                        _mm_sha256msg1_epu32(m[Q & 3], m[(Q + 1) & 3]),
                        _mm_alignr_epi8::<4>(m[(Q + 3) & 3], m[(Q + 2) & 3]),
                    );
                    m[Q & 3] = _mm_sha256msg2_epu32(sum, m[(Q + 3) & 3]);
                }
                *wk = _mm_add_epi32(*wk, m[Q & 3]);
            }
            four_rounds(states, wk);
        }};
    }
    macro_rules! all {
        ($($t:literal)*) => { $(four!($t);)* };
    }
    all!(0 4 8 12 16 20 24 28 32 36 40 44 48 52 56 60);
    add(states, saved);
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn add<const S: usize>(states: &mut [State; S], saved: [State; S]) {
    for (new, old) in states.iter_mut().zip(saved) {
        *new = (_mm_add_epi32(new.0, old.0), _mm_add_epi32(new.1, old.1));
    }
}

/// The block of padding after two nodes, scheduled, with the round constants added.
static NODE_PADDING: [u32; 64] = scheduled_padding(NODE_BITS);

/// All words of a block that is only padding, with the round constants added.
const fn scheduled_padding(bits: u32) -> [u32; 64] {
    let mut w = [0u32; 64];
    w[0] = PAD;
    w[15] = bits;
    let mut t = 16;
    while t < 64 {
        let (s0, s1) = (small_sigma0(w[t - 15]), small_sigma1(w[t - 2]));
        w[t] = w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1);
        t += 1;
    }
    t = 0;
    while t < 64 {
        w[t] = w[t].wrapping_add(K[t]);
        t += 1;
    }
    w
}

/// The states after the padding of two nodes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_node_padding<const S: usize>(states: &mut [State; S]) {
    let saved = *states;
    for wk in NODE_PADDING.as_chunks::<4>().0 {
        four_rounds(states, [words(wk[0], wk[1], wk[2], wk[3]); S]);
    }
    add(states, saved);
}

/// The states of the digests hashed again.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn second<const S: usize>(states: &[State; S]) -> [State; S] {
    let (pad, bits) = (words(PAD, 0, 0, 0), words(0, 0, 0, HASH_BITS));
    let mut out = [state_of(&IV); S];
    let mut blocks = [[pad, pad, pad, bits]; S];
    for (block, state) in blocks.iter_mut().zip(states) {
        (block[0], block[1]) = in_order(*state);
    }
    compress(&mut out, blocks);
    out
}

/// Writes the hashes of the states hashed again.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn hash_again<const S: usize>(states: &[State; S], out: &mut [[u8; 32]; S]) {
    write(&second(states), out);
}

/// Writes the states as hashes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn write<const S: usize>(states: &[State; S], out: &mut [[u8; 32]; S]) {
    for (hash, state) in out.iter_mut().zip(states) {
        let (low, high) = in_order(*state);
        // SAFETY: the hash has room for two registers and the stores take any alignment.
        unsafe {
            _mm_storeu_si128(hash.as_mut_ptr().cast(), swap_bytes(low));
            _mm_storeu_si128(hash.as_mut_ptr().add(16).cast(), swap_bytes(high));
        }
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn equal_group<const S: usize>(
    messages: &Messages<'_>,
    first: usize,
    ends: &[End; S],
    out: &mut [[u8; 32]; S],
) {
    let mut states = [state_of(&messages.start()); S];
    let mut blocks = [&[0; 64]; S];
    for i in 0..messages.whole_blocks() {
        for (stream, block) in blocks.iter_mut().enumerate() {
            *block = block_of(messages.get(first + stream), i);
        }
        compress(&mut states, load(blocks));
    }
    for i in 0..messages.end_blocks() {
        for (block, end) in blocks.iter_mut().zip(ends) {
            *block = &end[i];
        }
        compress(&mut states, load(blocks));
    }
    if messages.is_once {
        write(&states, out);
    } else {
        hash_again(&states, out);
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn padded_group<const S: usize, const BLOCKS: usize>(
    messages: &[[[u8; 64]; BLOCKS]; S],
    out: &mut [[u8; 32]; S],
) {
    let mut states = [state_of(&IV); S];
    let mut blocks = [&[0; 64]; S];
    for i in 0..BLOCKS {
        for (block, message) in blocks.iter_mut().zip(messages) {
            *block = &message[i];
        }
        compress(&mut states, load(blocks));
    }
    write(&states, out);
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn nodes_group<const S: usize>(left: &mut [[u8; 32]; S], right: &[[u8; 32]; S]) {
    let mut states = [state_of(&IV); S];
    let mut blocks = [[words(0, 0, 0, 0); 4]; S];
    for (block, (left, right)) in blocks.iter_mut().zip(left.iter().zip(right)) {
        for (quad, bytes) in
            block.iter_mut().zip(left.as_chunks::<16>().0.iter().chain(right.as_chunks().0))
        {
            // SAFETY: a chunk has a register's 16 bytes; the load takes any alignment.
            *quad = swap_bytes(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
        }
    }
    compress(&mut states, blocks);
    compress_node_padding(&mut states);
    hash_again(&states, left);
}
