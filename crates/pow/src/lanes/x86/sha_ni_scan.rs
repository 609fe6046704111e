//! The miner's loop with the x86 SHA extensions: five interleaved streams.
//!
//! It leaves out what need not be done for each nonce: rounds and message words that no nonce
//! changes are computed once for a job, those that are the same for all jobs are constants, and
//! the last rounds, after the word that the sieve reads, are not done. The words 18 to 23, which
//! the nonce alone decides, are made by the scalar units, idle otherwise, one group ahead.
//!
//! It is written in assembly, because its speed hangs on the order of its instructions: the
//! vector units are the bottleneck, and the same operations as intrinsics, which a compiler puts
//! into an order of its own, reach three quarters of the rate.
//!
//! Words are named as in FIPS 180-4: `w0` … `w63` is a block's schedule; quad `q` holds
//! `w(4q)` … `w(4q+3)`. The nonce is `w3` of the header's second block.

use crate::lanes::sha256::{HASH_BITS, HEADER_BITS, IV, K, PAD, Single};
use crate::lanes::sieve::{Common, small_sigma0, small_sigma1};
use std::arch::asm;

/// Streams interleaved: as many as there are registers for their states.
const S: usize = 5;
const STEP: u32 = 5;

type Quad = [u32; 4];

/// All that the assembly reads and writes. The offsets in it are those of these fields; the test
/// below holds them together.
#[repr(C, align(64))]
struct Table {
    /// Four quads of the schedule of each stream.
    schedule: [[Quad; 4]; S],
    /// `w3` of each stream, where words a and e of a state are: (0, w3, 0, w3).
    nonces: [Quad; S],
    /// Quads 4 and 5 of each stream.
    quads4: [Quad; S],
    quads5: [Quad; S],
    /// Word f after 62 rounds of the second hash of each stream: h without its initial value.
    last: [u32; 8],
    /// The state after four rounds with nonce 0: the nonce adds itself to words a and e.
    after_four: [Quad; 2],
    midstate: [Quad; 2],
    /// What quad 7 of the first hash is made of, before `sha256msg2`.
    quad7: Quad,
    iv: [Quad; 2],
    /// Quads 2 and 3 of the second hash.
    pad: Quad,
    bits: Quad,
    /// What [`K`] is, and then the words of constant quads with their round constants, the upper
    /// two a second time in front: quads 1 to 3 of the first hash, 2 and 3 of the second.
    k: [Quad; 16],
    first_constant: [[Quad; 2]; 3],
    second_constant: [[Quad; 2]; 2],
    /// `w18` less what the nonce gives, the same of `w19`, and `w16`.
    c18: u32,
    c19: u32,
    w16: u32,
    /// The first nonce of the group that is being prepared.
    next: u32,
}

/// See [`crate::lanes::candidates`].
pub(crate) fn scan(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    assert!(super::has_sha(), "chosen only where the SHA extensions were detected");
    let mut table = Table::of(job);
    table.prepare(from);
    let mut done = 0u32;
    while done < count {
        let first = from.wrapping_add(done);
        table.next = first.wrapping_add(STEP);
        hash_group(&mut table);
        let mut nonce = first;
        for h in &table.last[..S] {
            if done < count && h.wrapping_add(IV[7]).swap_bytes() <= top {
                found.push(nonce);
            }
            nonce = nonce.wrapping_add(1);
            done = done.saturating_add(1);
        }
    }
}

/// A state as the SHA instructions hold it, lowest word first.
fn state([a, b, c, d, e, f, g, h]: [u32; 8]) -> [Quad; 2] {
    [[f, e, b, a], [h, g, d, c]]
}

/// A quad that is the same in all blocks of a kind, with its round constants.
fn constant(q: usize, w: Quad) -> [Quad; 2] {
    let mut sum = [0; 4];
    for ((sum, w), k) in sum.iter_mut().zip(w).zip(&K[4 * q..]) {
        *sum = w.wrapping_add(*k);
    }
    [sum, [sum[2], sum[3], 0, 0]]
}

impl Table {
    fn of(job: &Single) -> Self {
        let common = Common::of(job);
        let (w16, w17) = (common.w16, common.w17);
        let end = HEADER_BITS.wrapping_add(small_sigma0(w16));
        let mut k = [[0; 4]; 16];
        k.as_flattened_mut().copy_from_slice(&K);
        Table {
            schedule: [[[0; 4]; 4]; S],
            nonces: [[0; 4]; S],
            quads4: [[w16, w17, 0, 0]; S],
            quads5: [[0; 4]; S],
            last: [0; 8],
            after_four: state(common.after_four),
            midstate: state(job.midstate),
            quad7: [0, 0, small_sigma0(HEADER_BITS), end],
            iv: state(IV),
            pad: [PAD, 0, 0, 0],
            bits: [0, 0, 0, HASH_BITS],
            k,
            first_constant: [
                constant(1, [PAD, 0, 0, 0]),
                constant(2, [0; 4]),
                constant(3, [0, 0, 0, HEADER_BITS]),
            ],
            second_constant: [constant(2, [PAD, 0, 0, 0]), constant(3, [0, 0, 0, HASH_BITS])],
            c18: common.c18,
            c19: common.c19,
            w16,
            next: 0,
        }
    }

    /// What the assembly does for the group after its own, for the first group.
    fn prepare(&mut self, first: u32) {
        let mut nonce = first;
        for i in 0..S {
            let w3 = nonce.swap_bytes();
            let w18 = small_sigma0(w3).wrapping_add(self.c18);
            let w19 = w3.wrapping_add(self.c19);
            let w20 = small_sigma1(w18).wrapping_add(PAD);
            let w21 = small_sigma1(w19);
            self.nonces[i] = [0, w3, 0, w3];
            self.quads4[i][2..].copy_from_slice(&[w18, w19]);
            self.quads5[i] = [
                w20,
                w21,
                small_sigma1(w20).wrapping_add(HEADER_BITS),
                small_sigma1(w21).wrapping_add(self.w16),
            ];
            nonce = nonce.wrapping_add(1);
        }
    }
}

/// Hashes the group that is prepared, and prepares the one at `next`.
#[inline(never)] // its assembler macros must be defined once at a time
fn hash_group(table: &mut Table) {
    // SAFETY: the caller has seen the SHA extensions, SSSE3, SSE4.1, BMI2 and AVX on this processor.
    // The code reads and writes within `table` alone, at the fields' offsets, which a test holds
    // against the type; what is accessed as a register's 16 bytes is aligned to them, since the
    // table is aligned to 64 and offsets of quads are multiples of 16. It uses no stack, and all
    // registers that it changes are declared.
    unsafe {
        asm!(
            include_str!("sha_ni_scan.s"),
            t = in(reg) &raw mut *table,
            out("eax") _, out("ecx") _, out("edx") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _,
            options(att_syntax, nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use std::mem::offset_of;

    #[test]
    fn the_assembly_finds_the_fields_of_the_table() {
        let assembly = include_str!("sha_ni_scan.s");
        let of = |name: &str| -> usize {
            let line = format!(".set Lgruve_{name}, ");
            let rest = assembly.split_once(&line).unwrap().1;
            rest.split_once('\n').unwrap().0.trim().parse().unwrap()
        };
        macro_rules! check {
            ($($field:ident)*) => {
                $(assert_eq!(of(stringify!($field)), offset_of!(Table, $field));)*
            };
        }
        check!(schedule nonces quads4 quads5 last after_four midstate quad7 iv pad bits k);
        check!(first_constant second_constant c18 c19 w16 next);
    }
}
