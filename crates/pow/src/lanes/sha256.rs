//! SHA-256 over lanes: the same steps on as many words at once as a register is wide.

use super::batch::{Messages, block_of};

/// The round constants (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
pub(crate) const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The initial hash value (FIPS 180-4, 5.3.3).
pub(crate) const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The first padding word of any message of whole words.
pub(crate) const PAD: u32 = 0x8000_0000;

/// The length in bits of a header and of a hash, as the last word of their padding.
pub(crate) const HEADER_BITS: u32 = 640;
pub(crate) const HASH_BITS: u32 = 256;

/// The same of two merkle nodes.
pub(crate) const NODE_BITS: u32 = 512;

/// `N` 32-bit words side by side.
pub(crate) trait Lanes<const N: usize>: Copy {
    fn load(x: [u32; N]) -> Self;
    fn store(self) -> [u32; N];
    /// The same value in every lane.
    fn splat(x: u32) -> Self;
    /// Adds lane by lane, wrapping.
    fn add(self, o: Self) -> Self;
    /// Whether any lane has none of these bits.
    fn any_without(self, bits: u32) -> bool;
    /// `N` blocks side by side, as the compression function takes them.
    #[inline(always)]
    fn transposed(blocks: [&[u8; 64]; N]) -> [Self; 16] {
        std::array::from_fn(|i| Self::load(blocks.map(|b| block_word(b, i))))
    }
    /// The digests of `N` states.
    #[inline(always)]
    fn digests(states: [Self; 8]) -> [[u8; 32]; N] {
        let words = states.map(|w| w.store());
        let mut digests = [[0; 32]; N];
        for (lane, digest) in digests.iter_mut().enumerate() {
            for (bytes, words) in digest.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
                *bytes = words[lane].to_be_bytes();
            }
        }
        digests
    }
    /// The compression function: the state after one more block.
    fn compress(state: &[Self; 8], block: [Self; 16]) -> [Self; 8];
    /// The same of a block that is known: its schedule with the round constants added.
    fn compress_known(state: &[Self; 8], schedule: &[u32; 64]) -> [Self; 8];
}

/// The bitwise operations that [`compress`] needs.
pub(crate) trait Bits: Copy {
    fn xor(self, o: Self) -> Self;
    fn and(self, o: Self) -> Self;
    /// Rotates right by `R`, with `L = 32 − R`.
    fn rotr<const R: i32, const L: i32>(self) -> Self;
    fn shr<const R: i32>(self) -> Self;

    /// `e ? f : g`, bit by bit.
    #[inline(always)]
    fn choose(e: Self, f: Self, g: Self) -> Self {
        g.xor(e.and(f.xor(g)))
    }

    /// The majority, bit by bit. `a ^ b` of this round is `b ^ c` of the next.
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        b.xor(a.xor(b).and(b.xor(c)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self.xor(b).xor(c)
    }
}

/// One round. The state's words stay where they are; their roles move down by one each round, so
/// that no word is copied: role `n` (a = 0 … h = 7) before round `t` is at `(n − t) mod 8`.
#[inline(always)]
pub(crate) fn step<W: Lanes<N> + Bits, const N: usize>(s: &mut [W; 8], t: usize, kw: W) {
    let at = |n: usize| (n + 64 - t) & 7;
    let (a, b, c) = (s[at(0)], s[at(1)], s[at(2)]);
    let (e, f, g, h) = (s[at(4)], s[at(5)], s[at(6)], s[at(7)]);
    let sum1 = e.rotr::<6, 26>().xor3(e.rotr::<11, 21>(), e.rotr::<25, 7>());
    let t1 = h.add(kw).add(sum1).add(W::choose(e, f, g));
    let sum0 = a.rotr::<2, 30>().xor3(a.rotr::<13, 19>(), a.rotr::<22, 10>());
    s[at(3)] = s[at(3)].add(t1);
    s[at(7)] = t1.add(sum0).add(W::majority(a, b, c));
}

/// The next message word, in place of the one sixteen rounds ago.
#[inline(always)]
pub(crate) fn schedule<W: Lanes<N> + Bits, const N: usize>(w: &mut [W; 16], t: usize) -> W {
    let (x, y) = (w[(t + 1) & 15], w[(t + 14) & 15]);
    let s0 = x.rotr::<7, 25>().xor3(x.rotr::<18, 14>(), x.shr::<3>());
    let s1 = y.rotr::<17, 15>().xor3(y.rotr::<19, 13>(), y.shr::<10>());
    w[t & 15] = w[t & 15].add(s0).add(w[(t + 9) & 15]).add(s1);
    w[t & 15]
}

macro_rules! sixteen {
    (|$i:ident| $body:expr) => {
        sixteen!(@ $i $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $i:ident $body:expr; $($n:literal)*) => {
        $({ const $i: usize = $n; $body })*
    };
}
pub(crate) use sixteen;

/// The compression function for lanes in registers: sixteen rounds written out, so that every
/// word of the state has its register.
#[inline(always)]
pub(crate) fn compress<W: Lanes<N> + Bits, const N: usize>(
    state: &[W; 8],
    mut w: [W; 16],
) -> [W; 8] {
    let mut s = *state;
    sixteen!(|I| step(&mut s, I, w[I].add(W::splat(K[I]))));
    for k in K.as_chunks::<16>().0.iter().skip(1) {
        sixteen!(|I| {
            let x = schedule(&mut w, I);
            step(&mut s, I, x.add(W::splat(k[I])));
        });
    }
    for (new, old) in s.iter_mut().zip(state) {
        *new = new.add(*old);
    }
    s
}

/// The compression function for a block that is the same in every lane and was scheduled before.
#[inline(always)]
pub(crate) fn compress_known<W: Lanes<N> + Bits, const N: usize>(
    state: &[W; 8],
    schedule: &[u32; 64],
) -> [W; 8] {
    let mut s = *state;
    for k in schedule.as_chunks::<16>().0 {
        sixteen!(|I| step(&mut s, I, W::splat(k[I])));
    }
    for (new, old) in s.iter_mut().zip(state) {
        *new = new.add(*old);
    }
    s
}

/// The padding behind two nodes, scheduled, with the round constants added.
const NODE_PADDING: [u32; 64] = {
    let mut block = [0; 16];
    block[0] = PAD;
    block[15] = NODE_BITS;
    scheduled(block)
};

/// A known block's schedule, with the round constants added.
pub(crate) const fn scheduled(block: [u32; 16]) -> [u32; 64] {
    let mut w = [0u32; 64];
    let mut t = 0;
    while t < 16 {
        w[t] = block[t];
        t += 1;
    }
    while t < 64 {
        let (x, y) = (w[t - 15], w[t - 2]);
        let s0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
        let s1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
        w[t] = w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1);
        t += 1;
    }
    let mut t = 0;
    while t < 64 {
        w[t] = w[t].wrapping_add(K[t]);
        t += 1;
    }
    w
}

/// The block that hashes a digest once more.
#[inline(always)]
pub(crate) fn digest_block<W: Lanes<N>, const N: usize>(d: [W; 8]) -> [W; 16] {
    let mut block = [W::splat(0); 16];
    block[..8].copy_from_slice(&d);
    block[8] = W::splat(PAD);
    block[15] = W::splat(HASH_BITS);
    block
}

/// Word `i` of a header, as SHA-256 reads it.
fn header_word(header: &[u8; 80], i: usize) -> u32 {
    let b = &header[4 * i..4 * i + 4];
    u32::from_be_bytes([b[0], b[1], b[2], b[3]])
}

/// What all nonces of one header have in common.
#[derive(Clone, Debug)]
pub(crate) struct Single {
    /// The state after the first 64 bytes.
    pub(crate) midstate: [u32; 8],
    /// The three words between them and the nonce: end of the merkle root, time, bits.
    pub(crate) tail: [u32; 3],
}

impl Single {
    pub(crate) fn new(header: &[u8; 80]) -> Self {
        let mut midstate = IV;
        sha2::block_api::compress256(&mut midstate, header.as_chunks().0);
        Single { midstate, tail: [16, 17, 18].map(|i| header_word(header, i)) }
    }
}

/// The sieve with the `sha2` crate's compression function.
pub(crate) fn scan_plain(job: &Single, from: u32, count: u32, top: u32, found: &mut Vec<u32>) {
    let mut tail = [0u8; 64];
    for (i, w) in job.tail.iter().enumerate() {
        tail[4 * i..4 * i + 4].copy_from_slice(&w.to_be_bytes());
    }
    tail[16] = 0x80;
    tail[60..].copy_from_slice(&HEADER_BITS.to_be_bytes());
    let mut second = [0u8; 64];
    second[32] = 0x80;
    second[60..].copy_from_slice(&HASH_BITS.to_be_bytes());
    for i in 0..count {
        let nonce = from.wrapping_add(i);
        tail[12..16].copy_from_slice(&nonce.to_le_bytes());
        let mut state = job.midstate;
        sha2::block_api::compress256(&mut state, &[tail]);
        for (bytes, word) in second.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let mut state = IV;
        sha2::block_api::compress256(&mut state, &[second]);
        if state[7].swap_bytes() <= top {
            found.push(nonce);
        }
    }
}

/// Word `i` of a block.
#[inline(always)]
pub(crate) fn block_word(block: &[u8; 64], i: usize) -> u32 {
    let b = &block[4 * i..4 * i + 4];
    u32::from_be_bytes([b[0], b[1], b[2], b[3]])
}

/// The digests of `N` states, hashed once more, to the places of the lanes that `out` has.
#[inline(always)]
pub(crate) fn hash_again<W: Lanes<N>, const N: usize>(states: [W; 8], out: &mut [[u8; 32]]) {
    let iv = IV.map(|x| W::splat(x));
    write(W::compress(&iv, digest_block(states)), out);
}

/// The digests of `N` states, to the places of the lanes that `out` has.
#[inline(always)]
pub(crate) fn write<W: Lanes<N>, const N: usize>(states: [W; 8], out: &mut [[u8; 32]]) {
    let digests = W::digests(states);
    let n = out.len().min(N);
    out[..n].copy_from_slice(&digests[..n]);
}

/// SHA-256 of messages given as their one padded block each, `N` at a time; lanes left over repeat the last.
#[inline(always)]
pub(crate) fn blocks<W: Lanes<N>, const N: usize>(blocks: &[[u8; 64]], out: &mut [[u8; 32]]) {
    let iv = IV.map(|x| W::splat(x));
    for (blocks, out) in blocks.chunks(N).zip(out.chunks_mut(N)) {
        let last = blocks.len() - 1;
        let lanes: [&[u8; 64]; N] = std::array::from_fn(|lane| &blocks[lane.min(last)]);
        write(W::compress(&iv, W::transposed(lanes)), out);
    }
}

/// The length in bits of a byte and two nodes.
pub(crate) const TAGGED_BITS: u32 = 8 * 65;

/// SHA-256 of a byte and two nodes, for each two of `nodes`, `N` at a time; lanes left over repeat the last. The nodes' words come
/// into the lanes as they stand in memory, and are moved by the byte there.
#[inline(always)]
pub(crate) fn tagged_pairs<W: Lanes<N> + Bits, const N: usize>(
    tag: u8,
    nodes: &[[u8; 32]],
    out: &mut [[u8; 32]],
) {
    let iv = IV.map(|x| W::splat(x));
    let pairs = nodes.as_flattened().as_chunks::<64>().0;
    // The first byte of each word is the last of the one before.
    let first_byte = W::splat(0xff00_0000);
    for (pairs, out) in pairs.chunks(N).zip(out.chunks_mut(N)) {
        let last = pairs.len() - 1;
        let lanes: [&[u8; 64]; N] = std::array::from_fn(|lane| &pairs[lane.min(last)]);
        let mut block = W::transposed(lanes);
        let mut before = W::splat(u32::from(tag) << 24);
        for word in &mut block {
            let own = word.rotr::<8, 24>();
            *word = W::choose(first_byte, before, own);
            before = own;
        }
        let mut end = [W::splat(0); 16];
        end[0] = W::choose(first_byte, before, W::splat(PAD >> 8));
        end[15] = W::splat(TAGGED_BITS);
        write(W::compress(&W::compress(&iv, block), end), out);
    }
}

/// SHA-256d of messages of one length, `N` at a time; lanes left over repeat the last message.
#[inline(always)]
pub(crate) fn equal<W: Lanes<N>, const N: usize>(messages: &Messages<'_>, out: &mut [[u8; 32]]) {
    let start = messages.start().map(|x| W::splat(x));
    let last = out.len().saturating_sub(1);
    let mut ends = [messages.empty_end(); N];
    for (group, out) in out.chunks_mut(N).enumerate() {
        let lanes: [&[u8]; N] = std::array::from_fn(|i| messages.get((group * N + i).min(last)));
        let mut states = start;
        for i in 0..messages.whole_blocks() {
            states = W::compress(&states, W::transposed(lanes.map(|m| block_of(m, i))));
        }
        for (message, end) in lanes.iter().zip(&mut ends) {
            messages.put_end(message, end);
        }
        for i in 0..messages.end_blocks() {
            let blocks = ends.each_ref().map(|end| &end[i]);
            states = W::compress(&states, W::transposed(blocks));
        }
        if messages.is_once {
            write(states, out);
        } else {
            hash_again(states, out);
        }
    }
}

/// One merkle level: each node becomes the parent of itself and its sibling on the right.
#[inline(always)]
pub(crate) fn nodes<W: Lanes<N>, const N: usize>(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    let iv = IV.map(|x| W::splat(x));
    let mut padding = [W::splat(0); 16];
    padding[0] = W::splat(PAD);
    padding[15] = W::splat(NODE_BITS);
    for (left, right) in nodes.chunks_mut(N).zip(siblings.chunks(N)) {
        let last = left.len() - 1;
        let pairs: [[u8; 64]; N] = std::array::from_fn(|lane| {
            let lane = lane.min(last);
            pair(&left[lane], &right[lane])
        });
        let states = W::compress(&iv, W::transposed(pairs.each_ref()));
        hash_again(W::compress(&states, padding), left);
    }
}

/// Up a branch: each node becomes the parent of itself and the branch's sibling on the right, level by level. Words
/// stay in their lanes between the levels.
#[inline(always)]
pub(crate) fn branch<W: Lanes<N>, const N: usize>(nodes: &mut [[u8; 32]], siblings: &[[u8; 32]]) {
    let iv = IV.map(|x| W::splat(x));
    for nodes in nodes.chunks_mut(N) {
        let last = nodes.len() - 1;
        let word =
            |i: usize| W::load(std::array::from_fn(|lane| digest_word(&nodes[lane.min(last)], i)));
        let mut left: [W; 8] = std::array::from_fn(word);
        for right in siblings {
            left = parent(&iv, &left, right);
        }
        write(left, nodes);
    }
}

/// The parent of each lane's digest and a sibling on the right.
#[inline(always)]
pub(crate) fn parent<W: Lanes<N>, const N: usize>(
    iv: &[W; 8],
    left: &[W; 8],
    right: &[u8; 32],
) -> [W; 8] {
    let mut block = [W::splat(0); 16];
    block[..8].copy_from_slice(left);
    for (i, word) in block[8..].iter_mut().enumerate() {
        *word = W::splat(digest_word(right, i));
    }
    let both = W::compress_known(&W::compress(iv, block), &NODE_PADDING);
    W::compress(iv, digest_block(both))
}

/// Word `i` of a digest.
#[inline(always)]
pub(crate) fn digest_word(digest: &[u8; 32], i: usize) -> u32 {
    let b = &digest[4 * i..4 * i + 4];
    u32::from_be_bytes([b[0], b[1], b[2], b[3]])
}

/// Two nodes side by side.
#[inline(always)]
pub(crate) fn pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    pair
}
