//! A share's arithmetic: the header it stands for, and its hash. Pure.

use gruve_chain::Job;
use gruve_pow::{merkle_root_from_branch, pow_hash, sha256d};
use gruve_units::{Algorithm, Class, Target};

/// The header's version from a job's and the bits a miner rolled (BIP 310): the bits within the
/// mask are
/// *replaced*. `None` when a bit outside the mask is set.
#[must_use]
pub fn rolled_version(job_version: u32, mask: u32, bits: u32) -> Option<u32> {
    (bits & !mask == 0).then_some((job_version & !mask) | (bits & mask))
}

/// What of a job goes into a header.
#[derive(Clone, Copy, Debug)]
pub struct HeaderParts<'a> {
    /// The coinbase before the extranonce.
    pub coinbase_prefix: &'a [u8],
    /// The coinbase after it.
    pub coinbase_suffix: &'a [u8],
    /// Where in the suffix which class byte belongs, if it has a stamp.
    pub class: Option<(usize, Class)>,
    /// Merkle siblings, internal byte order.
    pub branch: &'a [[u8; 32]],
    /// The block before, internal byte order.
    pub prev_hash: &'a [u8; 32],
    /// The network's target, compact form.
    pub bits: u32,
}

impl<'a> HeaderParts<'a> {
    /// Of a job at a class.
    #[must_use]
    pub fn of(job: &'a Job, class: Class) -> HeaderParts<'a> {
        HeaderParts {
            coinbase_prefix: job.coinbase_prefix(),
            coinbase_suffix: job.coinbase_suffix_class_zero(),
            class: Some((job.class_offset(), class)),
            branch: job.branch(),
            prev_hash: job.prev_hash(),
            bits: job.bits(),
        }
    }

    /// The coinbase with this extranonce, into `out`.
    pub fn coinbase(&self, extranonce: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.coinbase_prefix);
        out.extend_from_slice(extranonce);
        let suffix_at = out.len();
        out.extend_from_slice(self.coinbase_suffix);
        if let Some((offset, class)) = self.class
            && let Some(byte) = out.get_mut(suffix_at + offset)
        {
            *byte = class.k();
        }
    }

    /// The header of one try; `scratch` is kept for its capacity.
    #[must_use]
    pub fn header(
        &self,
        extranonce: &[u8],
        version: u32,
        ntime: u32,
        nonce: u32,
        scratch: &mut Vec<u8>,
    ) -> [u8; 80] {
        self.coinbase(extranonce, scratch);
        let root = merkle_root_from_branch(sha256d(scratch), self.branch);
        gruve_chain::job::header_bytes(version, self.prev_hash, &root, ntime, self.bits, nonce)
    }
}

/// What a header's hash reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The proof-of-work hash, internal byte order.
    pub pow_hash: [u8; 32],
    /// Whether it meets the class's target.
    pub is_share: bool,
    /// Whether it meets the network's target.
    pub is_block: bool,
}

/// Hashes a header and compares.
#[must_use]
pub fn solve(algorithm: Algorithm, header: &[u8; 80], class: Class, network: Target) -> Solution {
    let pow_hash = pow_hash(algorithm, header);
    Solution {
        is_share: class.target().is_met_by(&pow_hash),
        is_block: network.is_met_by(&pow_hash),
        pow_hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolled_bits_replace_the_jobs_bits() {
        // An implementation that ORs gives 20006000.
        assert_eq!(rolled_version(0x2000_4000, 0x1fff_e000, 0x0000_2000), Some(0x2000_2000));
        assert_eq!(rolled_version(0x2000_4000, 0x1fff_e000, 0), Some(0x2000_0000));
        assert_eq!(rolled_version(0x2000_0000, 0x1fff_e000, 0xffff_ffff), None);
        assert_eq!(rolled_version(0x2000_0000, 0, 0), Some(0x2000_0000));
    }
}
