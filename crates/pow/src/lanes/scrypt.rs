//! Many scrypt hashes at once (N = 1024, r = 1, p = 1).
//!
//! A thread that hashes owns a [`ScryptLanes`], whose scratchpads (128 KiB a lane) are made once.

use super::{fastest, scrypt_plain};
use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::x86::{
    self,
    salsa::{DIAGONALS, Entry, Pad, mix},
    salsa512,
};

/// A way to compute many scrypt hashes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScryptVariant {
    /// One after the other with the `scrypt` crate.
    Plain,
    /// Three interleaved pairs, a pair in each AVX2 register.
    Avx2x6,
    /// Three interleaved fours, four in each AVX-512 register.
    Avx512x12,
}

impl ScryptVariant {
    /// Every variant.
    pub const ALL: [ScryptVariant; 3] =
        [ScryptVariant::Plain, ScryptVariant::Avx2x6, ScryptVariant::Avx512x12];

    /// How many hashes one step computes: batches of a multiple of it are the fastest.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            ScryptVariant::Plain => 1,
            ScryptVariant::Avx2x6 => 6,
            ScryptVariant::Avx512x12 => 12,
        }
    }

    /// The variants this processor runs correctly.
    #[must_use]
    pub fn available() -> &'static [ScryptVariant] {
        static AVAILABLE: OnceLock<Vec<ScryptVariant>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let usable = |v: &ScryptVariant| v.is_supported() && v.agrees_with_plain();
            ScryptVariant::ALL.into_iter().filter(usable).collect()
        })
    }

    /// The fastest variant this processor runs, measured at the first use (some ten milliseconds).
    #[must_use]
    pub fn best() -> ScryptVariant {
        static BEST: OnceLock<ScryptVariant> = OnceLock::new();
        *BEST.get_or_init(|| {
            let headers = [[7; 80]; 12];
            let mut out = [[0; 32]; 12];
            let mut all = ScryptVariant::ALL.map(ScryptLanes::unchecked);
            let order = fastest::fastest_first(ScryptVariant::available(), |v| {
                all[v as usize].hash(&headers, &mut out);
            });
            order.first().copied().unwrap_or(ScryptVariant::Plain)
        })
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_supported(self) -> bool {
        match self {
            ScryptVariant::Plain => true,
            ScryptVariant::Avx2x6 => x86::has_avx2(),
            ScryptVariant::Avx512x12 => x86::has_avx512(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn is_supported(self) -> bool {
        self == ScryptVariant::Plain
    }

    /// A fixed check at first use, of every number of interleaved pairs and fours.
    fn agrees_with_plain(self) -> bool {
        let headers: [[u8; 80]; 11] =
            std::array::from_fn(|i| [u8::try_from(i * 23 % 256).unwrap_or(0); 80]);
        let mut lanes = ScryptLanes::unchecked(self);
        [1, 4, 7, 11].into_iter().all(|n| {
            let mut out = [[0; 32]; 11];
            lanes.hash(&headers[..n], &mut out[..n]);
            headers.iter().zip(out).take(n).all(|(header, hash)| hash == scrypt_plain(header))
        })
    }
}

impl fmt::Display for ScryptVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScryptVariant::Plain => "plain",
            ScryptVariant::Avx2x6 => "AVX2, 3 pairs",
            ScryptVariant::Avx512x12 => "AVX-512, 3 fours",
        })
    }
}

/// The scratchpads of one thread's scrypt, and the way it goes.
///
/// ```
/// let mut lanes = gruve_pow::lanes::ScryptLanes::new();
/// let mut out = [[0; 32]; 2];
/// lanes.hash(&[[1; 80], [2; 80]], &mut out);
/// assert_eq!(out[1], gruve_pow::scrypt_1024_1_1(&[2; 80]));
/// ```
#[derive(Clone)]
pub struct ScryptLanes {
    variant: ScryptVariant,
    /// Empty until a variant needs them.
    #[cfg(target_arch = "x86_64")]
    pads: Vec<Pad>,
}

impl fmt::Debug for ScryptLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScryptLanes").field("variant", &self.variant).finish_non_exhaustive()
    }
}

impl Default for ScryptLanes {
    fn default() -> Self {
        Self::new()
    }
}

impl ScryptLanes {
    /// Lanes of the fastest variant.
    #[must_use]
    pub fn new() -> Self {
        Self::unchecked(ScryptVariant::best())
    }

    /// Lanes of a chosen variant; of the plain one where the processor lacks it.
    #[must_use]
    pub fn by(variant: ScryptVariant) -> Self {
        let usable = ScryptVariant::available().contains(&variant);
        Self::unchecked(if usable { variant } else { ScryptVariant::Plain })
    }

    /// The caller has made sure that the processor supports the variant.
    fn unchecked(variant: ScryptVariant) -> Self {
        ScryptLanes {
            variant,
            #[cfg(target_arch = "x86_64")]
            pads: Vec::new(),
        }
    }

    /// How it goes.
    #[must_use]
    pub const fn variant(&self) -> ScryptVariant {
        self.variant
    }

    /// scrypt of every header for which `out` has a place, in order.
    pub fn hash(&mut self, headers: &[[u8; 80]], out: &mut [[u8; 32]]) {
        match self.variant {
            #[cfg(target_arch = "x86_64")]
            ScryptVariant::Avx2x6 | ScryptVariant::Avx512x12 => {
                let n = self.variant.lanes();
                for (headers, out) in headers.chunks(n).zip(out.chunks_mut(n)) {
                    self.group(headers, out);
                }
            }
            _ => {
                for (header, out) in headers.iter().zip(out) {
                    *out = scrypt_plain(header);
                }
            }
        }
    }

    /// As many headers as there are lanes, at most.
    #[cfg(target_arch = "x86_64")]
    fn group(&mut self, headers: &[[u8; 80]], out: &mut [[u8; 32]]) {
        let n = headers.len().min(out.len());
        let is_by_fours = self.variant == ScryptVariant::Avx512x12;
        let lanes = n.next_multiple_of(if is_by_fours { 4 } else { 2 });
        if self.pads.len() < lanes {
            self.pads.resize(lanes, [Entry([[0; 4]; 8]); 1024]);
        }
        let mut blocks = [Entry([[0; 4]; 8]); 12];
        let mut keys = [HmacKey::ZERO; 12];
        for ((header, block), key) in headers.iter().zip(&mut blocks).zip(&mut keys) {
            *key = HmacKey::of(header);
            *block = expand(key, header);
        }
        let (blocks, pads) = (&mut blocks[..lanes], &mut self.pads[..lanes]);
        match (is_by_fours, lanes) {
            (true, 12) => salsa512::mix::<3>(blocks, pads),
            (true, 8) => salsa512::mix::<2>(blocks, pads),
            (true, _) => salsa512::mix::<1>(blocks, pads),
            (false, 6) => mix::<3>(blocks, pads),
            (false, 4) => mix::<2>(blocks, pads),
            (false, _) => mix::<1>(blocks, pads),
        }
        for ((out, block), key) in out.iter_mut().zip(&*blocks).zip(&keys) {
            *out = contract(key, block);
        }
    }
}

/// The states of HMAC-SHA256 after its key (RFC 2104).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct HmacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

#[cfg(target_arch = "x86_64")]
impl HmacKey {
    const ZERO: HmacKey = HmacKey { inner: [0; 8], outer: [0; 8] };

    /// The key is the header; longer than a block, it is hashed first.
    fn of(header: &[u8; 80]) -> Self {
        let key = crate::sha256(header);
        let padded = |with: u8| {
            let mut block = [with; 64];
            for (b, k) in block.iter_mut().zip(key) {
                *b ^= k;
            }
            let mut state = super::sha256::IV;
            sha2::block_api::compress256(&mut state, &[block]);
            state
        };
        HmacKey { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// The rest of an HMAC whose message went into `state` after the inner key; `end` is the
    /// message's end, padded.
    fn finish(&self, mut state: [u32; 8], end: &[u8; 64]) -> [u32; 8] {
        sha2::block_api::compress256(&mut state, &[*end]);
        let mut block = [0; 64];
        for (bytes, word) in block.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        block[32] = 0x80;
        // The key's block and the digest, in bits.
        block[62..].copy_from_slice(&(8 * (64 + 32u16)).to_be_bytes());
        let mut state = self.outer;
        sha2::block_api::compress256(&mut state, &[block]);
        state
    }
}

/// PBKDF2 with one iteration, of 128 bytes (RFC 2898): the header is the salt, too.
#[cfg(target_arch = "x86_64")]
fn expand(key: &HmacKey, header: &[u8; 80]) -> Entry {
    let mut state = key.inner;
    sha2::block_api::compress256(&mut state, header.as_chunks().0);
    let mut end = [0; 64];
    end[..16].copy_from_slice(&header[64..]);
    end[20] = 0x80;
    // The key's block, the header and the number of the part, in bits.
    end[62..].copy_from_slice(&(8 * (64 + 80 + 4u16)).to_be_bytes());
    let mut words = [0u32; 32];
    for (number, part) in (1u8..).zip(words.chunks_exact_mut(8)) {
        end[19] = number;
        part.copy_from_slice(&key.finish(state, &end));
    }
    let mut out = Entry([[0; 4]; 8]);
    for (half, words) in out.0.as_flattened_mut().chunks_exact_mut(16).zip(words.as_chunks().0) {
        let words: &[u32; 16] = words;
        for (to, from) in half.iter_mut().zip(DIAGONALS) {
            // The digest's words are big-endian, Salsa20's little-endian.
            *to = words[from].swap_bytes();
        }
    }
    out
}

/// PBKDF2 with one iteration, of 32 bytes: the mixed block is the salt.
#[cfg(target_arch = "x86_64")]
fn contract(key: &HmacKey, block: &Entry) -> [u8; 32] {
    let mut bytes = [[0u8; 64]; 2];
    for (out, half) in bytes.iter_mut().zip(block.0.as_flattened().chunks_exact(16)) {
        for (word, to) in half.iter().zip(DIAGONALS) {
            out[4 * to..4 * to + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
    let mut state = key.inner;
    sha2::block_api::compress256(&mut state, &bytes);
    let mut end = [0; 64];
    end[3] = 1;
    end[4] = 0x80;
    // The key's block, the mixed block and the number of the part, in bits.
    end[62..].copy_from_slice(&(8 * (64 + 128 + 4u16)).to_be_bytes());
    let mut out = [0; 32];
    for (bytes, word) in out.chunks_exact_mut(4).zip(key.finish(state, &end)) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    out
}
