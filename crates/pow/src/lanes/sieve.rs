//! The miner's loop in lanes: one header, `N` nonces at a time.
//!
//! It leaves out what need not be done for each nonce: rounds and message words that no nonce changes are computed once for
//! a job, those that are the same for all jobs are constants, and the last rounds, after the word that the sieve reads, are
//! not done. What is left is some 2,870 operations a group instead of 3,230.
//!
//! Words are named as in FIPS 180-4: `w0` … `w63` is a block's schedule; the nonce is `w3` of the header's second block.

use super::sha256::{
    Bits, HASH_BITS, HEADER_BITS, IV, K, Lanes, PAD, Single, schedule, sixteen, step,
};

pub(crate) const fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

pub(crate) const fn small_sigma1(x: u32) -> u32 {
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

/// What no nonce of a header changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    pub(crate) midstate: [u32; 8],
    /// The state after four rounds with nonce 0: the nonce adds itself to words a and e.
    pub(crate) after_four: [u32; 8],
    pub(crate) w16: u32,
    pub(crate) w17: u32,
    /// `w18` less what the nonce gives, and the same of `w19`.
    pub(crate) c18: u32,
    pub(crate) c19: u32,
}

impl Common {
    pub(crate) fn of(job: &Single) -> Self {
        let [w0, w1, w2] = job.tail;
        let w16 = small_sigma0(w1).wrapping_add(w0);
        let w17 = small_sigma1(HEADER_BITS).wrapping_add(small_sigma0(w2)).wrapping_add(w1);
        let mut after_four = job.midstate;
        for (w, k) in [w0, w1, w2, 0].into_iter().zip(K) {
            after_four = round(after_four, w.wrapping_add(k));
        }
        Common {
            midstate: job.midstate,
            after_four,
            w16,
            w17,
            c18: small_sigma1(w16).wrapping_add(w2),
            c19: small_sigma1(w17).wrapping_add(small_sigma0(PAD)),
        }
    }
}

/// The sieve of [`super::candidates`], `N` nonces at a time.
#[inline(always)]
pub(crate) fn scan<W: Lanes<N> + Bits, const N: usize>(
    job: &Single,
    from: u32,
    count: u32,
    top: u32,
    found: &mut Vec<u32>,
) {
    let common = Common::of(job);
    // The bytes that no word of at most `top` has set, as they stand in the hash's word.
    let zeros = u32::MAX.checked_shr(32 - top.leading_zeros() / 8 * 8).unwrap_or(0);
    let mut steps = [0u32; N];
    let mut step = 0u32;
    for s in &mut steps {
        *s = step.swap_bytes();
        step = step.wrapping_add(1);
    }
    let steps = W::load(steps);
    let mut done = 0u32;
    while done < count {
        let first = from.wrapping_add(done);
        let nonces = if first as usize % 256 + N <= 256 {
            // Nothing is carried out of the nonce's lowest byte, which stands highest.
            steps.add(W::splat(first.swap_bytes()))
        } else {
            one_by_one::<W, N>(first)
        };
        let last = last_word::<W, N>(&common, nonces).add(W::splat(IV[7]));
        if last.any_without(zeros) {
            let mut nonce = first;
            let mut left = count - done;
            for word in last.store() {
                if left > 0 && word.swap_bytes() <= top {
                    found.push(nonce);
                }
                nonce = nonce.wrapping_add(1);
                left = left.saturating_sub(1);
            }
        }
        done = done.saturating_add(step);
    }
}

/// `N` nonces as message words.
#[inline(always)]
fn one_by_one<W: Lanes<N>, const N: usize>(first: u32) -> W {
    let mut nonces = [0u32; N];
    let mut next = first;
    for n in &mut nonces {
        *n = next.swap_bytes();
        next = next.wrapping_add(1);
    }
    W::load(nonces)
}

#[inline(always)]
fn s0<W: Bits>(x: W) -> W {
    x.rotr::<7, 25>().xor3(x.rotr::<18, 14>(), x.shr::<3>())
}

#[inline(always)]
fn s1<W: Bits>(x: W) -> W {
    x.rotr::<17, 15>().xor3(x.rotr::<19, 13>(), x.shr::<10>())
}

/// What is done for each of some rounds, written out, so that every word has its register.
macro_rules! for_each {
    ($t:ident in $($n:literal)* => $body:expr) => {
        $({ const $t: usize = $n; $body })*
    };
}

/// The last word of the hashes of these nonces (`w3`), without its initial value.
#[inline(always)]
fn last_word<W: Lanes<N> + Bits, const N: usize>(common: &Common, w3: W) -> W {
    // No closures here: they would not have the features of whom this is inlined into.
    // Before round 4 role `n` stands at `(n − 4) mod 8`, see `step`.
    let mut s = [w3; 8];
    for_each!(I in 0 1 2 3 4 5 6 7 => s[(I + 4) & 7] = W::splat(common.after_four[I]));
    s[4] = s[4].add(w3);
    s[0] = s[0].add(w3);
    step(&mut s, 4, W::splat(K[4].wrapping_add(PAD)));
    for_each!(T in 5 6 7 8 9 10 11 12 13 14 => step(&mut s, T, W::splat(K[T])));
    step(&mut s, 15, W::splat(K[15].wrapping_add(HEADER_BITS)));
    step(&mut s, 16, W::splat(K[16].wrapping_add(common.w16)));
    step(&mut s, 17, W::splat(K[17].wrapping_add(common.w17)));

    let mut w = [w3; 16];
    w[0] = W::splat(common.w16);
    w[1] = W::splat(common.w17);
    w[2] = s0(w3).add(W::splat(common.c18));
    w[3] = w3.add(W::splat(common.c19));
    w[4] = s1(w[2]).add(W::splat(PAD));
    w[5] = s1(w[3]);
    w[6] = s1(w[4]).add(W::splat(HEADER_BITS));
    w[7] = s1(w[5]).add(w[0]);
    w[8] = s1(w[6]).add(w[1]);
    for_each!(T in 18 19 20 21 22 23 24 => step(&mut s, T, w[T & 15].add(W::splat(K[T]))));
    for_each!(T in 25 26 27 28 29 => {
        w[T & 15] = s1(w[(T + 14) & 15]).add(w[(T + 9) & 15]);
        step(&mut s, T, w[T & 15].add(W::splat(K[T])));
    });
    w[14] = s1(w[12]).add(w[7]).add(W::splat(small_sigma0(HEADER_BITS)));
    step(&mut s, 30, w[14].add(W::splat(K[30])));
    let c31 = HEADER_BITS.wrapping_add(small_sigma0(common.w16));
    w[15] = s1(w[13]).add(w[8]).add(W::splat(c31));
    step(&mut s, 31, w[15].add(W::splat(K[31])));
    let c32 = common.w16.wrapping_add(small_sigma0(common.w17));
    w[0] = s1(w[14]).add(w[9]).add(W::splat(c32));
    step(&mut s, 32, w[0].add(W::splat(K[32])));
    for_each!(T in 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 => {
        let x = schedule(&mut w, T);
        step(&mut s, T, x.add(W::splat(K[T])));
    });
    sixteen!(|I| {
        let x = schedule(&mut w, I);
        step(&mut s, 48 + I, x.add(W::splat(K[48 + I])));
    });

    // The second hash: a block of the first one's state, and padding.
    let mut w = [w3; 16];
    for_each!(I in 0 1 2 3 4 5 6 7 => w[I] = s[I].add(W::splat(common.midstate[I])));
    let mut s = [w[0]; 8];
    for_each!(I in 0 1 2 3 4 5 6 7 => s[I] = W::splat(IV[I]));
    for_each!(T in 0 1 2 3 4 5 6 7 => step(&mut s, T, w[T].add(W::splat(K[T]))));
    step(&mut s, 8, W::splat(K[8].wrapping_add(PAD)));
    for_each!(T in 9 10 11 12 13 14 => step(&mut s, T, W::splat(K[T])));
    step(&mut s, 15, W::splat(K[15].wrapping_add(HASH_BITS)));
    w[0] = w[0].add(s0(w[1]));
    w[1] = w[1].add(s0(w[2])).add(W::splat(small_sigma1(HASH_BITS)));
    for_each!(T in 16 17 => step(&mut s, T, w[T & 15].add(W::splat(K[T]))));
    for_each!(T in 18 19 20 21 => {
        w[T & 15] = w[T & 15].add(s0(w[(T + 1) & 15])).add(s1(w[(T + 14) & 15]));
        step(&mut s, T, w[T & 15].add(W::splat(K[T])));
    });
    w[6] = w[6].add(s0(w[7])).add(s1(w[4])).add(W::splat(HASH_BITS));
    step(&mut s, 22, w[6].add(W::splat(K[22])));
    w[7] = w[7].add(w[0]).add(s1(w[5])).add(W::splat(small_sigma0(PAD)));
    step(&mut s, 23, w[7].add(W::splat(K[23])));
    w[8] = w[1].add(s1(w[6])).add(W::splat(PAD));
    step(&mut s, 24, w[8].add(W::splat(K[24])));
    for_each!(T in 25 26 27 28 29 => {
        w[T & 15] = s1(w[(T + 14) & 15]).add(w[(T + 9) & 15]);
        step(&mut s, T, w[T & 15].add(W::splat(K[T])));
    });
    w[14] = s1(w[12]).add(w[7]).add(W::splat(small_sigma0(HASH_BITS)));
    step(&mut s, 30, w[14].add(W::splat(K[30])));
    w[15] = s1(w[13]).add(w[8]).add(s0(w[0])).add(W::splat(HASH_BITS));
    step(&mut s, 31, w[15].add(W::splat(K[31])));
    sixteen!(|I| {
        let x = schedule(&mut w, I);
        step(&mut s, 32 + I, x.add(W::splat(K[32 + I])));
    });
    for_each!(T in 48 49 50 51 52 53 54 55 56 57 58 59 60 => {
        let x = schedule(&mut w, T);
        step(&mut s, T, x.add(W::splat(K[T])));
    });
    // Word e after 61 rounds, which stands at (4 − 61) mod 8, is word h after 64.
    s[7]
}
