//! The miner's loop with the x86 SHA extensions. It leaves out what need not be done for each
//! nonce: rounds and message words that no nonce changes are computed once for a job, those that
//! are the same for all jobs are constants, and the last rounds, after the word that the sieve
//! reads, are not done.
//!
//! Words are named as in FIPS 180-4: `w0` … `w63` is a block's schedule; quad `q` holds
//! `w(4q)` … `w(4q+3)`. The nonce is `w3` of the header's second block.
//!
//! The argument behind every `unsafe` is that of [`super::sha_ni`].

use super::sha_ni::{State, in_order, state_of, words};
use crate::lanes::sha256::{HASH_BITS, HEADER_BITS, IV, K, PAD, Single};
use std::arch::x86_64::*;

/// Streams interleaved.
const S: usize = 4;

/// See [`crate::lanes::candidates`].
pub(crate) fn scan(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(super::has_sha(), "chosen only where the SHA extensions were detected");
    // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, on the line above.
    unsafe { scan_inner(job, from, count, top, found) }
}

/// What all nonces of a job have in common, in registers' form.
struct Common {
    /// The state after the midstate, to add at the end.
    midstate: State,
    /// The state after four rounds with nonce 0: the nonce adds itself to words a and e.
    after_four: State,
    /// Quad 0 with nonce 0.
    quad0: __m128i,
    /// What quad 4 is made of, beside [`_mm_sha256msg1_epu32`] of quads 0 and 1.
    quad4: __m128i,
    /// What quads 5 and 7 are made of, before [`_mm_sha256msg2_epu32`].
    quad5: __m128i,
    quad7: __m128i,
}

const fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

const fn small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// One round on words.
fn round(s: [u32; 8], kw: u32) -> [u32; 8] {
    let [a, b, c, d, e, f, g, h] = s;
    let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let t1 = h.wrapping_add(kw).wrapping_add(sum1).wrapping_add((e & f) ^ (!e & g));
    let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let t2 = sum0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
    [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn common(job: &Single) -> Common {
    let [w0, w1, w2] = job.tail;
    let w16 = small_sigma0(w1).wrapping_add(w0);
    let w17 = small_sigma1(HEADER_BITS).wrapping_add(small_sigma0(w2)).wrapping_add(w1);
    let mut four = job.midstate;
    for (w, k) in [w0, w1, w2, 0].into_iter().zip(K) {
        four = round(four, w.wrapping_add(k));
    }
    let bits = HEADER_BITS.wrapping_add(small_sigma0(w16));
    Common {
        midstate: state_of(&job.midstate),
        after_four: state_of(&four),
        quad0: words(w0, w1, w2, 0),
        quad4: words(0, small_sigma1(HEADER_BITS), small_sigma1(w16), small_sigma1(w17)),
        quad5: words(PAD, 0, HEADER_BITS, w16),
        quad7: words(0, 0, small_sigma0(HEADER_BITS), bits),
    }
}

/// Round constants plus message words that are the same in all blocks of a kind.
const fn constant_quad(q: usize, w: [u32; 4]) -> [u32; 4] {
    let mut i = 0;
    let mut out = w;
    while i < 4 {
        out[i] = w[i].wrapping_add(K[4 * q + i]);
        i += 1;
    }
    out
}

/// Four rounds of all streams with the same words.
macro_rules! rounds_of_constants {
    ($s:ident, $q:expr, $w:expr) => {{
        const KW: [u32; 4] = constant_quad($q, $w);
        let (low, high) = (words(KW[0], KW[1], 0, 0), words(KW[2], KW[3], 0, 0));
        for s in &mut $s {
            s.1 = _mm_sha256rnds2_epu32(s.1, s.0, low);
        }
        for s in &mut $s {
            s.0 = _mm_sha256rnds2_epu32(s.0, s.1, high);
        }
    }};
}

/// Four rounds with a quad of each stream.
macro_rules! rounds {
    ($s:ident, $q:expr, $m:ident) => {{
        let k = words(K[4 * $q], K[4 * $q + 1], K[4 * $q + 2], K[4 * $q + 3]);
        let mut wk = [k; S];
        for i in 0..S {
            wk[i] = _mm_add_epi32($m[i], k);
            $s[i].1 = _mm_sha256rnds2_epu32($s[i].1, $s[i].0, wk[i]);
        }
        for i in 0..S {
            let high = _mm_shuffle_epi32::<0x0e>(wk[i]);
            $s[i].0 = _mm_sha256rnds2_epu32($s[i].0, $s[i].1, high);
        }
    }};
}

/// The next quad, in place of the one four before, and its rounds.
macro_rules! next {
    ($s:ident, $q:expr, $m0:ident, $m1:ident, $m2:ident, $m3:ident) => {{
        for i in 0..S {
            let sum = _mm_add_epi32(
                _mm_sha256msg1_epu32($m0[i], $m1[i]),
                _mm_alignr_epi8::<4>($m3[i], $m2[i]),
            );
            $m0[i] = _mm_sha256msg2_epu32(sum, $m3[i]);
        }
        rounds!($s, $q, $m0);
    }};
}

/// The digests' states of the headers with these nonces.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn first_hash(c: &Common, nonces: [u32; S]) -> [State; S] {
    let mut s = [c.after_four; S];
    let mut m0 = [c.quad0; S];
    let mut m1 = [c.quad4; S];
    let (mut m2, mut m3) = (m0, m1);
    let pad = words(PAD, 0, 0, 0);
    for i in 0..S {
        let nonce = _mm_cvtsi32_si128(nonces[i].swap_bytes().cast_signed());
        let nonce = _mm_shuffle_epi32::<0b00_01_00_01>(nonce);
        s[i].0 = _mm_add_epi32(s[i].0, nonce);
        let quad0 = _mm_blend_epi16::<0xc0>(c.quad0, nonce);
        m0[i] = _mm_add_epi32(_mm_sha256msg1_epu32(quad0, pad), c.quad4);
    }
    rounds_of_constants!(s, 1, [PAD, 0, 0, 0]);
    rounds_of_constants!(s, 2, [0, 0, 0, 0]);
    rounds_of_constants!(s, 3, [0, 0, 0, HEADER_BITS]);
    // Quads 4 to 7, whose ingredients are constant in part, or zero.
    rounds!(s, 4, m0);
    for i in 0..S {
        m1[i] = _mm_sha256msg2_epu32(c.quad5, m0[i]);
    }
    rounds!(s, 5, m1);
    for i in 0..S {
        m2[i] = _mm_sha256msg2_epu32(_mm_alignr_epi8::<4>(m1[i], m0[i]), m1[i]);
    }
    rounds!(s, 6, m2);
    for i in 0..S {
        let sum = _mm_add_epi32(c.quad7, _mm_alignr_epi8::<4>(m2[i], m1[i]));
        m3[i] = _mm_sha256msg2_epu32(sum, m2[i]);
    }
    rounds!(s, 7, m3);
    next!(s, 8, m0, m1, m2, m3);
    next!(s, 9, m1, m2, m3, m0);
    next!(s, 10, m2, m3, m0, m1);
    next!(s, 11, m3, m0, m1, m2);
    next!(s, 12, m0, m1, m2, m3);
    next!(s, 13, m1, m2, m3, m0);
    next!(s, 14, m2, m3, m0, m1);
    next!(s, 15, m3, m0, m1, m2);
    for s in &mut s {
        *s = (_mm_add_epi32(s.0, c.midstate.0), _mm_add_epi32(s.1, c.midstate.1));
    }
    s
}

/// Word h of the digests hashed again, less its initial value: word f after 62 rounds.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn second_hash(states: [State; S]) -> [u32; S] {
    let mut s = [state_of(&IV); S];
    let (mut m0, mut m1) = ([s[0].0; S], [s[0].0; S]);
    for i in 0..S {
        (m0[i], m1[i]) = in_order(states[i]);
    }
    let (mut m2, mut m3) = (m0, m1);
    rounds!(s, 0, m0);
    rounds!(s, 1, m1);
    rounds_of_constants!(s, 2, [PAD, 0, 0, 0]);
    rounds_of_constants!(s, 3, [0, 0, 0, HASH_BITS]);
    let (pad, bits) = (words(PAD, 0, 0, 0), words(0, 0, 0, HASH_BITS));
    for i in 0..S {
        m0[i] = _mm_sha256msg2_epu32(_mm_sha256msg1_epu32(m0[i], m1[i]), bits);
    }
    rounds!(s, 4, m0);
    for i in 0..S {
        let sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(m1[i], pad), _mm_alignr_epi8::<4>(m0[i], bits));
        m1[i] = _mm_sha256msg2_epu32(sum, m0[i]);
    }
    rounds!(s, 5, m1);
    for i in 0..S {
        let sum = _mm_add_epi32(pad, _mm_alignr_epi8::<4>(m1[i], m0[i]));
        m2[i] = _mm_sha256msg2_epu32(sum, m1[i]);
    }
    rounds!(s, 6, m2);
    for i in 0..S {
        let sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(bits, m0[i]), _mm_alignr_epi8::<4>(m2[i], m1[i]));
        m3[i] = _mm_sha256msg2_epu32(sum, m2[i]);
    }
    rounds!(s, 7, m3);
    next!(s, 8, m0, m1, m2, m3);
    next!(s, 9, m1, m2, m3, m0);
    next!(s, 10, m2, m3, m0, m1);
    next!(s, 11, m3, m0, m1, m2);
    next!(s, 12, m0, m1, m2, m3);
    next!(s, 13, m1, m2, m3, m0);
    next!(s, 14, m2, m3, m0, m1);
    let k = words(K[60], K[61], 0, 0);
    let mut h = [0; S];
    for i in 0..S {
        let sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(m3[i], m0[i]), _mm_alignr_epi8::<4>(m2[i], m1[i]));
        let wk = _mm_add_epi32(_mm_sha256msg2_epu32(sum, m2[i]), k);
        h[i] = _mm_cvtsi128_si32(_mm_sha256rnds2_epu32(s[i].1, s[i].0, wk)).cast_unsigned();
    }
    h
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn scan_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    let common = common(job);
    let mut done = 0u32;
    while done < count {
        let mut nonces = [from.wrapping_add(done); S];
        let mut next = nonces[0];
        for nonce in &mut nonces {
            *nonce = next;
            next = next.wrapping_add(1);
        }
        for (nonce, h) in nonces.into_iter().zip(second_hash(first_hash(&common, nonces))) {
            if done < count && h.wrapping_add(IV[7]).swap_bytes() <= top {
                found.push(nonce);
            }
            done = done.saturating_add(1);
        }
    }
}
