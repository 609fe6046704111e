//! scrypt's memory-hard part (N = 1024, r = 1) for pairs of hashes: the two halves of an AVX2
//! register belong to the two hashes of a pair, and some pairs are interleaved, because one alone
//! waits most of its time for the latency of its own chain of operations.
//!
//! A 64-byte block of Salsa20 is held as its four diagonals (see [`DIAGONALS`]), so that a column
//! round works on whole registers and a row round differs from it by a turn of three of them.
//!
//! The argument behind every `unsafe` is that of [`super`]: [`mix`] runs only where AVX2 was
//! detected, which it asserts.

use std::arch::x86_64::*;

/// Entries of a scratchpad: scrypt's N.
pub(super) const N: usize = 1024;

/// The words of a 64-byte block in the order in which they are held.
pub(crate) const DIAGONALS: [usize; 16] = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

/// 128 bytes: two blocks of four diagonals.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Entry(pub(crate) [[u32; 4]; 8]);

/// The scratchpad of one hash: 128 KiB.
pub(crate) type Pad = [Entry; N];

/// The rows of a pair's block.
type Rows = [__m256i; 4];

/// Mixes each block with its scratchpad. `P` pairs at once; both slices have `2 · P` members,
/// else nothing is done.
pub(crate) fn mix<const P: usize>(blocks: &mut [Entry], pads: &mut [Pad]) {
    assert!(super::has_avx2(), "chosen only where AVX2 was detected");
    let (blocks, []) = blocks.as_chunks_mut::<2>() else { return };
    let (pads, []) = pads.as_chunks_mut::<2>() else { return };
    if let (Ok(blocks), Ok(pads)) = (blocks.try_into(), pads.try_into()) {
        // SAFETY: AVX2 was detected, above.
        unsafe { mix_inner::<P>(blocks, pads) }
    }
}

/// Row `r` of two entries.
#[inline]
#[target_feature(enable = "avx2")]
fn row(low: &Entry, high: &Entry, r: usize) -> __m256i {
    // SAFETY: a row has a register's 16 bytes; the loads take any alignment.
    unsafe {
        let low = _mm_loadu_si128(low.0[r].as_ptr().cast());
        let high = _mm_loadu_si128(high.0[r].as_ptr().cast());
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn put_row(low: &mut Entry, high: &mut Entry, r: usize, row: __m256i) {
    // SAFETY: a row has a register's 16 bytes; the stores take any alignment.
    unsafe {
        _mm_storeu_si128(low.0[r].as_mut_ptr().cast(), _mm256_castsi256_si128(row));
        _mm_storeu_si128(high.0[r].as_mut_ptr().cast(), _mm256_extracti128_si256::<1>(row));
    }
}

/// `x = salsa20/8(x ^ with)` of every pair.
#[inline]
#[target_feature(enable = "avx2")]
fn salsa<const P: usize>(x: &mut [Rows; P], with: &[Rows; P]) {
    for (x, with) in x.iter_mut().zip(with) {
        for (x, with) in x.iter_mut().zip(with) {
            *x = _mm256_xor_si256(*x, *with);
        }
    }
    let start = *x;
    macro_rules! step {
        ($to:literal, $a:literal, $b:literal, $left:literal, $right:literal) => {
            for x in x.iter_mut() {
                let sum = _mm256_add_epi32(x[$a], x[$b]);
                x[$to] = _mm256_xor_si256(x[$to], _mm256_slli_epi32::<$left>(sum));
                x[$to] = _mm256_xor_si256(x[$to], _mm256_srli_epi32::<$right>(sum));
            }
        };
    }
    macro_rules! turn {
        ($b:literal, $d:literal) => {
            for x in x.iter_mut() {
                x[1] = _mm256_shuffle_epi32::<$b>(x[1]);
                x[2] = _mm256_shuffle_epi32::<0x4e>(x[2]);
                x[3] = _mm256_shuffle_epi32::<$d>(x[3]);
            }
        };
    }
    for _ in 0..4 {
        step!(1, 0, 3, 7, 25);
        step!(2, 1, 0, 9, 23);
        step!(3, 2, 1, 13, 19);
        step!(0, 3, 2, 18, 14);
        turn!(0x93, 0x39);
        step!(3, 0, 1, 7, 25);
        step!(2, 3, 0, 9, 23);
        step!(1, 2, 3, 13, 19);
        step!(0, 1, 2, 18, 14);
        turn!(0x39, 0x93);
    }
    for (x, start) in x.iter_mut().zip(start) {
        for (x, start) in x.iter_mut().zip(start) {
            *x = _mm256_add_epi32(*x, start);
        }
    }
}

#[target_feature(enable = "avx2")]
fn mix_inner<const P: usize>(blocks: &mut [[Entry; 2]; P], pads: &mut [[Pad; 2]; P]) {
    let mut first = [[_mm256_setzero_si256(); 4]; P];
    let mut second = first;
    for ((first, second), [low, high]) in first.iter_mut().zip(&mut second).zip(&*blocks) {
        for r in 0..4 {
            first[r] = row(low, high, r);
            second[r] = row(low, high, 4 + r);
        }
    }
    for i in 0..N {
        for ((first, second), [low, high]) in first.iter().zip(&second).zip(&mut *pads) {
            for r in 0..4 {
                put_row(&mut low[i], &mut high[i], r, first[r]);
                put_row(&mut low[i], &mut high[i], 4 + r, second[r]);
            }
        }
        salsa(&mut first, &second);
        salsa(&mut second, &first);
    }
    for _ in 0..N {
        for ((first, second), [low, high]) in first.iter_mut().zip(&mut second).zip(&*pads) {
            let low_index = _mm256_extract_epi32::<0>(second[0]).cast_unsigned();
            let high_index = _mm256_extract_epi32::<4>(second[0]).cast_unsigned();
            let low = &low[low_index as usize % N];
            let high = &high[high_index as usize % N];
            for r in 0..4 {
                first[r] = _mm256_xor_si256(first[r], row(low, high, r));
                second[r] = _mm256_xor_si256(second[r], row(low, high, 4 + r));
            }
        }
        salsa(&mut first, &second);
        salsa(&mut second, &first);
    }
    for ((first, second), [low, high]) in first.iter().zip(&second).zip(blocks) {
        for r in 0..4 {
            put_row(low, high, r, first[r]);
            put_row(low, high, 4 + r, second[r]);
        }
    }
}
