//! Many hashes at once, with what the processor at hand offers.
//!
//! Promises: every [`Variant`] gives the same bytes as the plain functions. A variant that the
//! processor cannot run, or that fails its own check against the plain one at first use, is
//! never chosen. Of the others the fastest is, which is measured then, too (a millisecond or two).

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // processor instructions chosen at run time; each use states its argument
pub(crate) mod x86;

mod batch;
mod fastest;
mod scrypt;
// Only the x86 variants have lanes so far; elsewhere `sha2` does all, with its own instructions.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod sha256;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod sieve;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod tries;

pub use batch::{
    Prefix, merkle_branch, merkle_branch_by, merkle_level, merkle_level_by, sha256_blocks,
    sha256_blocks_by, sha256_equal, sha256_equal_by, sha256_tagged_pairs, sha256_tagged_pairs_by,
    sha256d_equal, sha256d_equal_by, sha256d_headers, sha256d_headers_by, sha256d_headers_into,
};
pub use scrypt::{ScryptLanes, ScryptVariant};
pub use tries::{TriedJob, Tries, Try};

use crate::scrypt_1024_1_1 as scrypt_plain;
use sha256::Single;
use std::fmt;
use std::sync::OnceLock;

/// A way to compute many SHA-256d at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// One after the other with the `sha2` crate, which itself uses the processor's SHA
    /// instructions where there are any.
    Plain,
    /// Interleaved streams of the x86 SHA extensions, which hides their latency: four for
    /// batches, five for the miner.
    ShaNi,
    /// Eight lanes in AVX2 registers.
    Avx2x8,
    /// Sixteen lanes in AVX-512 registers, with its rotate and three-input logic.
    Avx512x16,
}

/// What is to be hashed: it decides which variant is the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Many nonces of one header: the miner.
    Nonces,
    /// Headers and other messages of one length.
    Messages,
    /// Pairs of merkle nodes.
    Nodes,
    /// Merkle nodes up one branch.
    Branches,
}

impl Work {
    const ALL: [Work; 4] = [Work::Nonces, Work::Messages, Work::Nodes, Work::Branches];
}

impl Variant {
    /// Every variant.
    pub const ALL: [Variant; 4] =
        [Variant::Plain, Variant::Avx2x8, Variant::ShaNi, Variant::Avx512x16];

    /// How many hashes one step computes.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            Variant::Plain => 1,
            Variant::ShaNi => 4,
            Variant::Avx2x8 => 8,
            Variant::Avx512x16 => 16,
        }
    }

    /// The variants this processor runs correctly.
    #[must_use]
    pub fn available() -> &'static [Variant] {
        static AVAILABLE: OnceLock<Vec<Variant>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            Variant::ALL.into_iter().filter(|v| v.is_supported() && v.agrees_with_plain()).collect()
        })
    }

    /// The same, the fastest first.
    #[must_use]
    pub fn fastest_first(work: Work) -> &'static [Variant] {
        static ORDERS: OnceLock<[Vec<Variant>; 4]> = OnceLock::new();
        &ORDERS.get_or_init(|| Work::ALL.map(Variant::measured))[work as usize]
    }

    /// The fastest variant this processor runs.
    #[must_use]
    pub fn best(work: Work) -> Variant {
        Variant::fastest_first(work).first().copied().unwrap_or(Variant::Plain)
    }

    /// As many hashes as fill every variant's lanes some times.
    fn measured(work: Work) -> Vec<Variant> {
        let available = Variant::available();
        let mut nodes = [[7; 32]; 64];
        match work {
            Work::Nonces => {
                let job = Single::new(&[7; 80]);
                let mut found = Vec::new();
                fastest::fastest_first(available, |v| candidates(v, &job, 0, 240, 0, &mut found))
            }
            Work::Messages => {
                let headers = [[7; 80]; 64];
                fastest::fastest_first(available, |v| {
                    sha256d_equal_by(v, headers.as_flattened(), 80, &mut nodes);
                })
            }
            Work::Nodes => {
                let siblings = nodes;
                fastest::fastest_first(available, |v| merkle_level_by(v, &mut nodes, &siblings))
            }
            Work::Branches => {
                let siblings = [[9; 32]; 2];
                fastest::fastest_first(available, |v| merkle_branch_by(v, &mut nodes, &siblings))
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_supported(self) -> bool {
        match self {
            Variant::Plain => true,
            Variant::ShaNi => x86::has_sha(),
            Variant::Avx2x8 => x86::has_avx2(),
            Variant::Avx512x16 => x86::has_avx512(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_supported(self) -> bool {
        self == Variant::Plain
    }

    /// A fixed check at first use: a miscompiled or misdescribed variant must not decide shares.
    fn agrees_with_plain(self) -> bool {
        let mut byte = 0u8;
        let mut next = |_| {
            byte = byte.wrapping_mul(37).wrapping_add(11);
            byte
        };
        let headers: [[u8; 80]; 33] = [(); 33].map(|()| std::array::from_fn(&mut next));
        let bytes = headers.as_flattened();
        if !batch::agrees_with_plain(self, bytes) || !tries::agrees_with_plain(self, bytes) {
            return false;
        }
        // A sieve that a quarter of the nonces pass shows whether each hash is right.
        let job = Single::new(&headers[7]);
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        candidates(self, &job, 0xffff_ff80, 256, u32::MAX / 4, &mut found);
        sha256::scan_plain(&job, 0xffff_ff80, 256, u32::MAX / 4, &mut expected);
        found == expected
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Plain => "plain",
            Variant::ShaNi => "SHA extensions",
            Variant::Avx2x8 => "AVX2, 8 lanes",
            Variant::Avx512x16 => "AVX-512, 16 lanes",
        })
    }
}

/// scrypt of every header, in order. Who hashes often owns a [`ScryptLanes`] instead.
#[must_use]
pub fn scrypt_headers(headers: &[[u8; 80]]) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; headers.len()];
    ScryptLanes::new().hash(headers, &mut out);
    out
}

/// The variant itself where this processor runs it, else the plain one.
pub(crate) fn usable(variant: Variant) -> Variant {
    if Variant::available().contains(&variant) { variant } else { Variant::Plain }
}

/// Adds to `found` the nonces (of `count` from `from` on, wrapping) whose hash has a top word of
/// at most `top`: a sieve before the exact comparison.
pub(crate) fn candidates(
    variant: Variant,
    job: &Single,
    from: u32,
    count: u32,
    top: u32,
    found: &mut Vec<u32>,
) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        Variant::ShaNi => x86::sha_ni_scan::scan(job, from, count, top, found),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx2x8 => x86::scan_avx2(job, from, count, top, found),
        #[cfg(target_arch = "x86_64")]
        Variant::Avx512x16 => x86::scan_avx512(job, from, count, top, found),
        _ => sha256::scan_plain(job, from, count, top, found),
    }
}

#[cfg(test)]
mod tests;
