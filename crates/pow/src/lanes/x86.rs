//! The x86-64 variants.
//!
//! The one argument behind every `unsafe` here: the public functions of this module run only
//! after [`super::Variant::available`] (or its check, which asks the same first) has seen the
//! feature on this processor, and the register types are private to this module and made only
//! inside those functions.

use super::sha256::{self, Bits, HASH_BITS, HEADER_BITS, IV, K, Lanes, PAD, Single};
use std::arch::x86_64::*;

pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
}

pub(crate) fn has_sha() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
}

/// Eight lanes.
#[derive(Clone, Copy)]
struct Avx2(__m256i);

// SAFETY of every call below: an `Avx2` exists only inside `scan_avx2_inner` and
// `headers_avx2_inner`, which run only where AVX2 was detected.
impl Bits for Avx2 {
    #[inline(always)]
    fn xor(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe { _mm256_xor_si256(self.0, o.0) })
    }
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe { _mm256_and_si256(self.0, o.0) })
    }
    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe {
            _mm256_or_si256(_mm256_srli_epi32::<R>(self.0), _mm256_slli_epi32::<L>(self.0))
        })
    }
    #[inline(always)]
    fn shr<const R: i32>(self) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe { _mm256_srli_epi32::<R>(self.0) })
    }
}

impl Lanes<8> for Avx2 {
    #[inline(always)]
    fn load(x: [u32; 8]) -> Self {
        // SAFETY: AVX2 as above the first impl; the array has the register's 32 bytes and the
        // load takes any alignment.
        Avx2(unsafe { _mm256_loadu_si256(x.as_ptr().cast()) })
    }
    #[inline(always)]
    fn store(self) -> [u32; 8] {
        let mut x = [0; 8];
        // SAFETY: as for `load`.
        unsafe { _mm256_storeu_si256(x.as_mut_ptr().cast(), self.0) };
        x
    }
    #[inline(always)]
    fn splat(x: u32) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe { _mm256_set1_epi32(x.cast_signed()) })
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx2(unsafe { _mm256_add_epi32(self.0, o.0) })
    }
    #[inline(always)]
    fn compress(state: &[Self; 8], block: [Self; 16]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_avx2(state, block) }
    }
}

/// Sixteen lanes.
#[derive(Clone, Copy)]
struct Avx512(__m512i);

// SAFETY of every call below: an `Avx512` exists only inside `scan_avx512_inner` and
// `headers_avx512_inner`, which run only where AVX-512F was detected.
impl Bits for Avx512 {
    #[inline(always)]
    fn xor(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_xor_si512(self.0, o.0) })
    }
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_and_si512(self.0, o.0) })
    }
    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_ror_epi32::<R>(self.0) })
    }
    #[inline(always)]
    fn shr<const R: i32>(self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_srlv_epi32(self.0, _mm512_set1_epi32(R)) })
    }
    // The table of a three-input function: bit `4a + 2b + c` is its value there.
    #[inline(always)]
    fn choose(e: Self, f: Self, g: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_ternarylogic_epi32::<0xca>(e.0, f.0, g.0) })
    }
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_ternarylogic_epi32::<0xe8>(a.0, b.0, c.0) })
    }
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_ternarylogic_epi32::<0x96>(self.0, b.0, c.0) })
    }
}

impl Lanes<16> for Avx512 {
    #[inline(always)]
    fn load(x: [u32; 16]) -> Self {
        // SAFETY: AVX-512F as above the first impl; the array has the register's 64 bytes and
        // the load takes any alignment.
        Avx512(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
    }
    #[inline(always)]
    fn store(self) -> [u32; 16] {
        let mut x = [0; 16];
        // SAFETY: as for `load`.
        unsafe { _mm512_storeu_si512(x.as_mut_ptr().cast(), self.0) };
        x
    }
    #[inline(always)]
    fn splat(x: u32) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_set1_epi32(x.cast_signed()) })
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        // SAFETY: see above the first impl.
        Avx512(unsafe { _mm512_add_epi32(self.0, o.0) })
    }
    #[inline(always)]
    fn compress(state: &[Self; 8], block: [Self; 16]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_avx512(state, block) }
    }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn compress_avx2(state: &[Avx2; 8], block: [Avx2; 16]) -> [Avx2; 8] {
    sha256::compress(state, block)
}

#[target_feature(enable = "avx2")]
fn scan_avx2_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    sha256::scan::<Avx2, 8>(job, from, count, top, found);
}

#[target_feature(enable = "avx2")]
fn headers_avx2_inner(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    sha256::headers::<Avx2, 8>(headers, out);
}

#[inline(never)]
#[target_feature(enable = "avx512f")]
fn compress_avx512(state: &[Avx512; 8], block: [Avx512; 16]) -> [Avx512; 8] {
    sha256::compress(state, block)
}

#[target_feature(enable = "avx512f")]
fn scan_avx512_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    sha256::scan::<Avx512, 16>(job, from, count, top, found);
}

#[target_feature(enable = "avx512f")]
fn headers_avx512_inner(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    sha256::headers::<Avx512, 16>(headers, out);
}

/// See [`super::candidates`].
pub(crate) fn scan_avx2(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { scan_avx2_inner(job, from, count, top, found) }
}

/// See [`super::sha256d_headers`].
pub(crate) fn headers_avx2(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { headers_avx2_inner(headers, out) }
}

/// See [`super::candidates`].
pub(crate) fn scan_avx512(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { scan_avx512_inner(job, from, count, top, found) }
}

/// See [`super::sha256d_headers`].
pub(crate) fn headers_avx512(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { headers_avx512_inner(headers, out) }
}

/// See [`super::candidates`].
pub(crate) fn scan_sha_ni(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(has_sha(), "chosen only where the SHA extensions were detected");
    // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, on the line above.
    unsafe { scan_sha_ni_inner(job, from, count, top, found) }
}

/// See [`super::sha256d_headers`].
pub(crate) fn headers_sha_ni(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    assert!(has_sha(), "chosen only where the SHA extensions were detected");
    // SAFETY: the SHA extensions, SSSE3 and SSE4.1 were detected, on the line above.
    unsafe { headers_sha_ni_inner(headers, out) }
}

/// A state as the SHA instructions hold it: words a, b, e, f and c, d, g, h.
type NiState = (__m128i, __m128i);
type NiBlock = [__m128i; 4];

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(a: u32, b: u32, c: u32, d: u32) -> __m128i {
    _mm_set_epi32(d.cast_signed(), c.cast_signed(), b.cast_signed(), a.cast_signed())
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn ni_state(s: &[u32; 8]) -> NiState {
    (words(s[5], s[4], s[1], s[0]), words(s[7], s[6], s[3], s[2]))
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn ni_digest((abef, cdgh): NiState) -> (__m128i, __m128i) {
    // (f e b a) and (h g d c), low lane first, to (a b c d) and (e f g h).
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let ghcd = _mm_shuffle_epi32::<0xb1>(cdgh);
    (_mm_blend_epi16::<0xf0>(feba, ghcd), _mm_alignr_epi8::<8>(ghcd, feba))
}

/// One block on two independent states at once.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn ni_compress2(states: &mut [NiState; 2], blocks: [NiBlock; 2]) {
    let saved = *states;
    let [mut s, mut z] = *states;
    let [[mut a0, mut a1, mut a2, mut a3], [mut b0, mut b1, mut b2, mut b3]] = blocks;
    macro_rules! four_rounds {
        ($t:expr, $a:ident, $b:ident) => {
            let k = words(K[$t], K[$t + 1], K[$t + 2], K[$t + 3]);
            let (x, y) = (_mm_add_epi32($a, k), _mm_add_epi32($b, k));
            s.1 = _mm_sha256rnds2_epu32(s.1, s.0, x);
            z.1 = _mm_sha256rnds2_epu32(z.1, z.0, y);
            let (x, y) = (_mm_shuffle_epi32::<0x0e>(x), _mm_shuffle_epi32::<0x0e>(y));
            s.0 = _mm_sha256rnds2_epu32(s.0, s.1, x);
            z.0 = _mm_sha256rnds2_epu32(z.0, z.1, y);
        };
    }
    macro_rules! next {
        ($m0:ident, $m1:ident, $m2:ident, $m3:ident) => {
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32($m0, $m1), _mm_alignr_epi8::<4>($m3, $m2));
            $m0 = _mm_sha256msg2_epu32(sum, $m3);
        };
    }
    macro_rules! sixteen_rounds {
        ($t:expr) => {
            next!(a0, a1, a2, a3);
            next!(b0, b1, b2, b3);
            four_rounds!($t, a0, b0);
            next!(a1, a2, a3, a0);
            next!(b1, b2, b3, b0);
            four_rounds!($t + 4, a1, b1);
            next!(a2, a3, a0, a1);
            next!(b2, b3, b0, b1);
            four_rounds!($t + 8, a2, b2);
            next!(a3, a0, a1, a2);
            next!(b3, b0, b1, b2);
            four_rounds!($t + 12, a3, b3);
        };
    }
    four_rounds!(0, a0, b0);
    four_rounds!(4, a1, b1);
    four_rounds!(8, a2, b2);
    four_rounds!(12, a3, b3);
    sixteen_rounds!(16);
    sixteen_rounds!(32);
    sixteen_rounds!(48);
    for (state, (new, old)) in states.iter_mut().zip([s, z].into_iter().zip(saved)) {
        *state = (_mm_add_epi32(new.0, old.0), _mm_add_epi32(new.1, old.1));
    }
}

/// The block that hashes two digests again, and the initial states for it.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn ni_second(states: &[NiState; 2]) -> [NiState; 2] {
    let (pad, bits) = (words(PAD, 0, 0, 0), words(0, 0, 0, HASH_BITS));
    let ((a, b), (c, d)) = (ni_digest(states[0]), ni_digest(states[1]));
    let mut out = [ni_state(&IV); 2];
    ni_compress2(&mut out, [[a, b, pad, bits], [c, d, pad, bits]]);
    out
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn scan_sha_ni_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    let midstate = ni_state(&job.midstate);
    let [t0, t1, t2] = job.tail;
    let (pad, zero, bits) = (words(PAD, 0, 0, 0), words(0, 0, 0, 0), words(0, 0, 0, HEADER_BITS));
    let mut done = 0u32;
    while done < count {
        let nonces = [from.wrapping_add(done), from.wrapping_add(done).wrapping_add(1)];
        let [x, y] = nonces.map(u32::swap_bytes);
        let mut states = [midstate; 2];
        ni_compress2(
            &mut states,
            [[words(t0, t1, t2, x), pad, zero, bits], [words(t0, t1, t2, y), pad, zero, bits]],
        );
        let states = ni_second(&states);
        for (nonce, (_, cdgh)) in nonces.into_iter().zip(states) {
            // h is the lowest word of the second half.
            let h = _mm_cvtsi128_si32(cdgh).cast_unsigned();
            if done < count && h.swap_bytes() <= top {
                found.push(nonce);
            }
            done = done.saturating_add(1);
        }
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn headers_sha_ni_inner(headers: &[[u8; 80]], out: &mut Vec<[u8; 32]>) {
    let (pairs, rest) = headers.as_chunks::<2>();
    let (pad, zero, bits) = (words(PAD, 0, 0, 0), words(0, 0, 0, 0), words(0, 0, 0, HEADER_BITS));
    for pair in pairs {
        let quad = |h: usize, i: usize| {
            let word = |j: usize| {
                let b = &pair[h][16 * i + 4 * j..16 * i + 4 * j + 4];
                u32::from_be_bytes([b[0], b[1], b[2], b[3]])
            };
            words(word(0), word(1), word(2), word(3))
        };
        let mut states = [ni_state(&IV); 2];
        ni_compress2(&mut states, [0, 1].map(|h| [0, 1, 2, 3].map(|i| quad(h, i))));
        ni_compress2(&mut states, [0, 1].map(|h| [quad(h, 4), pad, zero, bits]));
        for (low, high) in ni_second(&states).map(|s| ni_digest(s)) {
            let mut digest = [0u32; 8];
            // SAFETY: the array has room for two registers and the stores take any alignment.
            unsafe {
                _mm_storeu_si128(digest.as_mut_ptr().cast(), low);
                _mm_storeu_si128(digest.as_mut_ptr().add(4).cast(), high);
            }
            let mut hash = [0u8; 32];
            for (bytes, word) in hash.chunks_exact_mut(4).zip(digest) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
            out.push(hash);
        }
    }
    out.extend(rest.iter().map(|h| crate::sha256d(h)));
}
