//! scrypt's memory-hard part (N = 1024, r = 1) for fours of hashes: the four quarters of an AVX-512 register belong to the
//! four hashes of a group, and some groups are interleaved, because one alone waits for the latency of its own chain.
//!
//! As [`super::salsa`], whose form of a block this has, too; it turns a word in one instruction where AVX2 needs three. A
//! scratchpad belongs to one hash, so that what is read from it at random is two lines of the cache and not eight.
//!
//! The argument behind every `unsafe` is that of [`super`]: [`mix`] runs only where AVX-512F was detected, which it asserts.

use super::salsa::{Entry, N, Pad};
use std::arch::x86_64::*;

/// The rows of a group's block.
type Rows = [__m512i; 4];

/// Mixes each block with its scratchpad. `G` groups at once; both slices have `4 · G` members, else nothing is done.
pub(crate) fn mix<const G: usize>(blocks: &mut [Entry], pads: &mut [Pad]) {
    assert!(super::has_avx512(), "chosen only where AVX-512F was detected");
    let (blocks, []) = blocks.as_chunks_mut::<4>() else { return };
    let (pads, []) = pads.as_chunks_mut::<4>() else { return };
    if let (Ok(blocks), Ok(pads)) = (blocks.try_into(), pads.try_into()) {
        // SAFETY: AVX-512F was detected, above.
        unsafe { mix_inner::<G>(blocks, pads) }
    }
}

/// Quarter `n` of row `m` becomes quarter `m` of row `n`: four blocks side by side, or the same four one after the other.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(x: Rows) -> Rows {
    let even = _mm512_shuffle_i32x4::<0x88>(x[0], x[1]);
    let odd = _mm512_shuffle_i32x4::<0xdd>(x[0], x[1]);
    let even_after = _mm512_shuffle_i32x4::<0x88>(x[2], x[3]);
    let odd_after = _mm512_shuffle_i32x4::<0xdd>(x[2], x[3]);
    [
        _mm512_shuffle_i32x4::<0x88>(even, even_after),
        _mm512_shuffle_i32x4::<0x88>(odd, odd_after),
        _mm512_shuffle_i32x4::<0xdd>(even, even_after),
        _mm512_shuffle_i32x4::<0xdd>(odd, odd_after),
    ]
}

/// The rows of a half of four entries.
#[inline]
#[target_feature(enable = "avx512f")]
fn rows<const HALF: usize>(entries: [&Entry; 4]) -> Rows {
    let mut blocks = [_mm512_setzero_si512(); 4];
    for (block, entry) in blocks.iter_mut().zip(entries) {
        // SAFETY: half an entry has a register's 64 bytes and begins at a multiple of them.
        *block = unsafe { _mm512_load_si512(entry.0[4 * HALF..].as_ptr().cast()) };
    }
    transposed(blocks)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn put_rows<const HALF: usize>(entries: [&mut Entry; 4], rows: Rows) {
    for (entry, block) in entries.into_iter().zip(transposed(rows)) {
        // SAFETY: as in `rows`.
        unsafe { _mm512_store_si512(entry.0[4 * HALF..].as_mut_ptr().cast(), block) };
    }
}

/// `x = salsa20/8(x ^ with)` of every group.
#[inline]
#[target_feature(enable = "avx512f")]
fn salsa<const G: usize>(x: &mut [Rows; G], with: &[Rows; G]) {
    for (x, with) in x.iter_mut().zip(with) {
        for (x, with) in x.iter_mut().zip(with) {
            *x = _mm512_xor_si512(*x, *with);
        }
    }
    let start = *x;
    macro_rules! step {
        ($to:literal, $a:literal, $b:literal, $left:literal) => {
            for x in x.iter_mut() {
                let sum = _mm512_add_epi32(x[$a], x[$b]);
                x[$to] = _mm512_xor_si512(x[$to], _mm512_rol_epi32::<$left>(sum));
            }
        };
    }
    macro_rules! turn {
        ($b:literal, $d:literal) => {
            for x in x.iter_mut() {
                x[1] = _mm512_shuffle_epi32::<$b>(x[1]);
                x[2] = _mm512_shuffle_epi32::<0x4e>(x[2]);
                x[3] = _mm512_shuffle_epi32::<$d>(x[3]);
            }
        };
    }
    for _ in 0..4 {
        step!(1, 0, 3, 7);
        step!(2, 1, 0, 9);
        step!(3, 2, 1, 13);
        step!(0, 3, 2, 18);
        turn!(0x93, 0x39);
        step!(3, 0, 1, 7);
        step!(2, 3, 0, 9);
        step!(1, 2, 3, 13);
        step!(0, 1, 2, 18);
        turn!(0x39, 0x93);
    }
    for (x, start) in x.iter_mut().zip(start) {
        for (x, start) in x.iter_mut().zip(start) {
            *x = _mm512_add_epi32(*x, start);
        }
    }
}

#[target_feature(enable = "avx512f")]
fn mix_inner<const G: usize>(blocks: &mut [[Entry; 4]; G], pads: &mut [[Pad; 4]; G]) {
    let mut first = [[_mm512_setzero_si512(); 4]; G];
    let mut second = first;
    for ((first, second), [a, b, c, d]) in first.iter_mut().zip(&mut second).zip(&*blocks) {
        *first = rows::<0>([a, b, c, d]);
        *second = rows::<1>([a, b, c, d]);
    }
    for i in 0..N {
        for ((first, second), [a, b, c, d]) in first.iter().zip(&second).zip(&mut *pads) {
            put_rows::<0>([&mut a[i], &mut b[i], &mut c[i], &mut d[i]], *first);
            put_rows::<1>([&mut a[i], &mut b[i], &mut c[i], &mut d[i]], *second);
        }
        salsa(&mut first, &second);
        salsa(&mut second, &first);
    }
    let mut of = [Entry([[0; 4]; 8]); G];
    for _ in 0..N {
        for (second, of) in second.iter().zip(&mut of) {
            // SAFETY: as in `rows`.
            unsafe { _mm512_store_si512(of.0.as_mut_ptr().cast(), second[0]) };
        }
        for (((first, second), [a, b, c, d]), of) in
            first.iter_mut().zip(&mut second).zip(&*pads).zip(&of)
        {
            // The first word of each hash's second block says which entry.
            let entries = [
                &a[of.0[0][0] as usize % N],
                &b[of.0[1][0] as usize % N],
                &c[of.0[2][0] as usize % N],
                &d[of.0[3][0] as usize % N],
            ];
            let (one, two) = (rows::<0>(entries), rows::<1>(entries));
            for r in 0..4 {
                first[r] = _mm512_xor_si512(first[r], one[r]);
                second[r] = _mm512_xor_si512(second[r], two[r]);
            }
        }
        salsa(&mut first, &second);
        salsa(&mut second, &first);
    }
    for ((first, second), [a, b, c, d]) in first.iter().zip(&second).zip(blocks) {
        put_rows::<0>([&mut *a, &mut *b, &mut *c, &mut *d], *first);
        put_rows::<1>([a, b, c, d], *second);
    }
}
