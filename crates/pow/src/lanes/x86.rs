//! The x86-64 variants.
//!
//! The one argument behind every `unsafe` here: the public functions of this module run only
//! after [`super::Variant::available`] (or its check, which asks the same first) has seen the
//! feature on this processor, and the register types are private to this module and made only
//! inside those functions.

pub(crate) mod salsa;
pub(crate) mod salsa512;
pub(crate) mod sha_ni;
pub(crate) mod sha_ni_scan;

use super::batch::Messages;
use super::sha256::{self, Bits, Lanes, Single};
use super::sieve;
use super::tries::{self, Tries, Try};
use std::arch::x86_64::*;

pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// AVX for its instructions of three operands, which the miner's loop uses: all but some small
/// processors that have the SHA extensions have it.
pub(crate) fn has_sha() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("avx")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("bmi2")
}

/// Eight lanes.
#[derive(Clone, Copy)]
struct Avx2(__m256i);

// SAFETY of every call below: an `Avx2` exists only inside the functions named
// `…_avx2_inner` and what they call, which run only where AVX2 was detected.
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
    fn any_without(self, bits: u32) -> bool {
        // SAFETY: see above the first impl.
        unsafe {
            let those = _mm256_and_si256(self.0, _mm256_set1_epi32(bits.cast_signed()));
            _mm256_movemask_epi8(_mm256_cmpeq_epi32(those, _mm256_setzero_si256())) != 0
        }
    }
    #[inline(always)]
    fn compress(state: &[Self; 8], block: [Self; 16]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_avx2(state, block) }
    }
    #[inline(always)]
    fn compress_known(state: &[Self; 8], schedule: &[u32; 64]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_known_avx2(state, schedule) }
    }
}

/// Sixteen lanes.
#[derive(Clone, Copy)]
struct Avx512(__m512i);

// SAFETY of every call below: an `Avx512` exists only inside the functions named
// `…_avx512_inner` and what they call, which run only where AVX-512F was detected.
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
    fn any_without(self, bits: u32) -> bool {
        // SAFETY: see above the first impl.
        unsafe { _mm512_testn_epi32_mask(self.0, _mm512_set1_epi32(bits.cast_signed())) != 0 }
    }
    /// In registers: words of each block to the places of their lanes, in steps of one, two, four and eight.
    #[inline(always)]
    fn transposed(blocks: [&[u8; 64]; 16]) -> [Self; 16] {
        // SAFETY: AVX-512F as above the first impl; each block has the register's 64 bytes and the load takes any
        // alignment.
        unsafe {
            // No closures here: they would not be compiled for these instructions.
            let odd = _mm512_set1_epi32(0x00ff_00ff);
            let mut rows = [_mm512_setzero_si512(); 16];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let x = _mm512_loadu_si512(block.as_ptr().cast());
                let (by_8, by_24) = (_mm512_ror_epi32::<8>(x), _mm512_ror_epi32::<24>(x));
                *row = _mm512_ternarylogic_epi32::<0xca>(odd, by_24, by_8);
            }
            // Four by four: register `4 · i + j` has, in its quarter `q`, word `4 · q + j` of blocks `4 · i` to `4 · i + 3`.
            let mut fours = [_mm512_setzero_si512(); 16];
            for (rows, fours) in rows.as_chunks::<4>().0.iter().zip(fours.as_chunks_mut::<4>().0) {
                let low = _mm512_unpacklo_epi32(rows[0], rows[1]);
                let high = _mm512_unpackhi_epi32(rows[0], rows[1]);
                let low_2 = _mm512_unpacklo_epi32(rows[2], rows[3]);
                let high_2 = _mm512_unpackhi_epi32(rows[2], rows[3]);
                fours[0] = _mm512_unpacklo_epi64(low, low_2);
                fours[1] = _mm512_unpackhi_epi64(low, low_2);
                fours[2] = _mm512_unpacklo_epi64(high, high_2);
                fours[3] = _mm512_unpackhi_epi64(high, high_2);
            }
            let mut words = [Avx512(_mm512_setzero_si512()); 16];
            for j in 0..4 {
                let (a, b, c, d) = (fours[j], fours[4 + j], fours[8 + j], fours[12 + j]);
                let (ab, cd) =
                    (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
                words[j] = Avx512(_mm512_shuffle_i32x4::<0x88>(ab, cd));
                words[4 + j] = Avx512(_mm512_shuffle_i32x4::<0xdd>(ab, cd));
                let (ab, cd) =
                    (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
                words[8 + j] = Avx512(_mm512_shuffle_i32x4::<0x88>(ab, cd));
                words[12 + j] = Avx512(_mm512_shuffle_i32x4::<0xdd>(ab, cd));
            }
            words
        }
    }
    /// In registers, as [`Lanes::transposed`] the other way round.
    #[inline(always)]
    fn digests(states: [Self; 8]) -> [[u8; 32]; 16] {
        let mut digests = [[0; 32]; 16];
        // SAFETY: AVX-512F (and with it AVX) as above the first impl; each digest has the register's 32 bytes and the
        // store takes any alignment.
        unsafe {
            // No closures here: they would not be compiled for these instructions.
            let odd = _mm512_set1_epi32(0x00ff_00ff);
            let mut words = [_mm512_setzero_si512(); 8];
            for (word, state) in words.iter_mut().zip(states) {
                let (by_8, by_24) =
                    (_mm512_ror_epi32::<8>(state.0), _mm512_ror_epi32::<24>(state.0));
                *word = _mm512_ternarylogic_epi32::<0xca>(odd, by_24, by_8);
            }
            // Four by four: register `4 · i + j` has, in its quarter `q`, words `4 · i` to `4 · i + 3` of lane `4 · q + j`.
            let mut fours = [_mm512_setzero_si512(); 8];
            for (words, fours) in words.as_chunks::<4>().0.iter().zip(fours.as_chunks_mut::<4>().0)
            {
                let low = _mm512_unpacklo_epi32(words[0], words[1]);
                let high = _mm512_unpackhi_epi32(words[0], words[1]);
                let low_2 = _mm512_unpacklo_epi32(words[2], words[3]);
                let high_2 = _mm512_unpackhi_epi32(words[2], words[3]);
                fours[0] = _mm512_unpacklo_epi64(low, low_2);
                fours[1] = _mm512_unpackhi_epi64(low, low_2);
                fours[2] = _mm512_unpacklo_epi64(high, high_2);
                fours[3] = _mm512_unpackhi_epi64(high, high_2);
            }
            let first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
            let second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
            for j in 0..4 {
                let (a, b) = (fours[j], fours[4 + j]);
                let (low, high) = (
                    _mm512_permutex2var_epi64(a, first, b),
                    _mm512_permutex2var_epi64(a, second, b),
                );
                let halves = [
                    _mm512_castsi512_si256(low),
                    _mm512_extracti64x4_epi64::<1>(low),
                    _mm512_castsi512_si256(high),
                    _mm512_extracti64x4_epi64::<1>(high),
                ];
                for (q, half) in halves.iter().enumerate() {
                    _mm256_storeu_si256(digests[4 * q + j].as_mut_ptr().cast(), *half);
                }
            }
        }
        digests
    }
    #[inline(always)]
    fn compress(state: &[Self; 8], block: [Self; 16]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_avx512(state, block) }
    }
    #[inline(always)]
    fn compress_known(state: &[Self; 8], schedule: &[u32; 64]) -> [Self; 8] {
        // SAFETY: see above the first impl.
        unsafe { compress_known_avx512(state, schedule) }
    }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn compress_avx2(state: &[Avx2; 8], block: [Avx2; 16]) -> [Avx2; 8] {
    sha256::compress(state, block)
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn compress_known_avx2(state: &[Avx2; 8], schedule: &[u32; 64]) -> [Avx2; 8] {
    sha256::compress_known(state, schedule)
}

#[target_feature(enable = "avx2")]
fn scan_avx2_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    sieve::scan::<Avx2, 8>(job, from, count, top, found);
}

#[target_feature(enable = "avx2")]
fn equal_avx2_inner(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    sha256::equal::<Avx2, 8>(messages, out);
}

#[target_feature(enable = "avx2")]
fn nodes_avx2_inner(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    sha256::nodes::<Avx2, 8>(nodes, siblings);
}

#[target_feature(enable = "avx2")]
fn branch_avx2_inner(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    sha256::branch::<Avx2, 8>(nodes, siblings);
}

#[target_feature(enable = "avx2")]
fn blocks_avx2_inner(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    sha256::blocks::<Avx2, 8>(blocks, out);
}

#[target_feature(enable = "avx2")]
fn tagged_pairs_avx2_inner(tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    sha256::tagged_pairs::<Avx2, 8>(tag, nodes, out);
}

#[target_feature(enable = "avx2")]
fn tries_avx2_inner<const TO_ROOT: bool>(job: &Tries, tries: &[Try], out: &mut [[u8; 32]]) {
    tries::hash::<Avx2, 8, TO_ROOT>(job, tries, out);
}

#[inline(never)]
#[target_feature(enable = "avx512f")]
fn compress_avx512(state: &[Avx512; 8], block: [Avx512; 16]) -> [Avx512; 8] {
    sha256::compress(state, block)
}

#[inline(never)]
#[target_feature(enable = "avx512f")]
fn compress_known_avx512(state: &[Avx512; 8], schedule: &[u32; 64]) -> [Avx512; 8] {
    sha256::compress_known(state, schedule)
}

#[target_feature(enable = "avx512f")]
fn scan_avx512_inner(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    sieve::scan::<Avx512, 16>(job, from, count, top, found);
}

#[target_feature(enable = "avx512f")]
fn equal_avx512_inner(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    sha256::equal::<Avx512, 16>(messages, out);
}

#[target_feature(enable = "avx512f")]
fn nodes_avx512_inner(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    sha256::nodes::<Avx512, 16>(nodes, siblings);
}

#[target_feature(enable = "avx512f")]
fn branch_avx512_inner(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    sha256::branch::<Avx512, 16>(nodes, siblings);
}

#[target_feature(enable = "avx512f")]
fn blocks_avx512_inner(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    sha256::blocks::<Avx512, 16>(blocks, out);
}

#[target_feature(enable = "avx512f")]
fn tagged_pairs_avx512_inner(tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    sha256::tagged_pairs::<Avx512, 16>(tag, nodes, out);
}

#[target_feature(enable = "avx512f")]
fn tries_avx512_inner<const TO_ROOT: bool>(job: &Tries, tries: &[Try], out: &mut [[u8; 32]]) {
    tries::hash::<Avx512, 16, TO_ROOT>(job, tries, out);
}

/// See [`super::candidates`].
pub(crate) fn scan_avx2(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { scan_avx2_inner(job, from, count, top, found) }
}

/// See [`super::batch::Messages`].
pub(crate) fn equal_avx2(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { equal_avx2_inner(messages, out) }
}

/// See [`super::batch::merkle_level`].
pub(crate) fn nodes_avx2(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { nodes_avx2_inner(nodes, siblings) }
}

/// See [`super::batch::merkle_branch`].
pub(crate) fn branch_avx2(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { branch_avx2_inner(nodes, siblings) }
}

/// See [`super::batch::sha256_blocks`].
pub(crate) fn blocks_avx2(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { blocks_avx2_inner(blocks, out) }
}

/// See [`super::batch::sha256_tagged_pairs`].
pub(crate) fn tagged_pairs_avx2(tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { tagged_pairs_avx2_inner(tag, nodes, out) }
}

/// See [`super::tries`].
pub(crate) fn tries_avx2<const TO_ROOT: bool>(job: &Tries, tries: &[Try], out: &mut [[u8; 32]]) {
    assert!(has_avx2(), "chosen only where AVX2 was detected");
    // SAFETY: AVX2 was detected, on the line above.
    unsafe { tries_avx2_inner::<TO_ROOT>(job, tries, out) }
}

/// See [`super::candidates`].
pub(crate) fn scan_avx512(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { scan_avx512_inner(job, from, count, top, found) }
}

/// See [`super::batch::Messages`].
pub(crate) fn equal_avx512(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { equal_avx512_inner(messages, out) }
}

/// See [`super::batch::merkle_level`].
pub(crate) fn nodes_avx512(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { nodes_avx512_inner(nodes, siblings) }
}

/// See [`super::batch::merkle_branch`].
pub(crate) fn branch_avx512(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { branch_avx512_inner(nodes, siblings) }
}

/// See [`super::batch::sha256_blocks`].
pub(crate) fn blocks_avx512(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { blocks_avx512_inner(blocks, out) }
}

/// See [`super::batch::sha256_tagged_pairs`].
pub(crate) fn tagged_pairs_avx512(tag: u8, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { tagged_pairs_avx512_inner(tag, nodes, out) }
}

/// See [`super::tries`].
pub(crate) fn tries_avx512<const TO_ROOT: bool>(job: &Tries, tries: &[Try], out: &mut [[u8; 32]]) {
    assert!(has_avx512(), "chosen only where AVX-512F was detected");
    // SAFETY: AVX-512F was detected, on the line above.
    unsafe { tries_avx512_inner::<TO_ROOT>(job, tries, out) }
}

/// Asks for the memory of a value ahead of its use.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    // SAFETY: SSE is part of x86-64, and a prefetch reads nothing and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

/// Does `work` compiled for AVX2, where the processor has it.
#[inline]
pub(crate) fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    #[target_feature(enable = "avx2")]
    fn inner<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    if has_avx2() {
        // SAFETY: AVX2 was detected, on the line above.
        unsafe { inner(work) }
    } else {
        work()
    }
}
