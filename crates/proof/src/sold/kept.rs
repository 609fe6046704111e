//! Writing an epoch's sold tree, and what the operator keeps beside it so that a receipt costs some hundred hashes
//! instead of the whole tree.
//!
//! ```text
//! kept = "GRUVKPT1" ‖ number of contracts (8) ‖ for each contract units (16) and refund (8)
//!        ‖ nodes (80 bytes: three sums and a hash): one for every 256 leaves, then the levels above, lowest first
//! ```
//!
//! The kept file is private. A salt hides what it says from the public, so it must not be published.

use super::{LEAF_BYTES, MAGIC, Node, SoldBuilder, SoldLeaf, SoldTree, Sums};
use crate::wire::Wire;
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::io::{self, Read, Seek, SeekFrom};

const KEPT_MAGIC: [u8; 8] = *b"GRUVKPT1";
/// Leaves below one kept node: a power of two, so that kept nodes are nodes of the tree.
const CHUNK: usize = 256;
const PRIVATE_BYTES: usize = 16 + 8;
const NODE_BYTES: usize = 48 + 32;
const KEPT_HEAD: u64 = 16;

/// The two files of a sold tree.
#[derive(Clone, Debug)]
pub struct SoldFiles {
    /// How many contracts.
    pub contracts: u64,
    /// The root.
    pub root: Node,
    /// The public file.
    pub sold: Vec<u8>,
    /// What is kept for receipts.
    pub kept: Vec<u8>,
}

/// Builds them contract by contract: 137 bytes of memory for each, and some above.
#[derive(Debug)]
pub struct SoldWriter {
    sold: Vec<u8>,
    count_at: usize,
    kept: Vec<u8>,
    chunk: SoldBuilder,
    chunks: Vec<Node>,
    contracts: u64,
    last: Option<ContractId>,
}

impl SoldWriter {
    /// The tree of a lane's epoch, with room for `contracts`.
    #[must_use]
    pub fn new(lane: &LaneId, epoch: EpochNumber, contracts: usize) -> SoldWriter {
        let mut sold = Vec::with_capacity(64 + contracts * LEAF_BYTES);
        sold.extend(MAGIC);
        let name = lane.as_str().as_bytes();
        sold.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        sold.extend(name);
        sold.extend(epoch.0.to_be_bytes());
        let count_at = sold.len();
        sold.extend([0; 8]);
        let mut kept = Vec::with_capacity(16 + contracts * PRIVATE_BYTES);
        kept.extend(KEPT_MAGIC);
        kept.extend([0; 8]);
        let (chunk, chunks) = (SoldBuilder::default(), Vec::new());
        SoldWriter { sold, count_at, kept, chunk, chunks, contracts: 0, last: None }
    }

    /// Adds a contract; `None` when a sum does not fit or its id is not above the last one's.
    pub fn push(&mut self, leaf: &SoldLeaf, units: u128, refund_minor: i64) -> Option<()> {
        if self.last.is_some_and(|last| last.to_bytes() >= leaf.contract.to_bytes()) {
            return None;
        }
        self.last = Some(leaf.contract);
        self.sold.extend(leaf.to_bytes());
        self.kept.extend(units.to_be_bytes());
        self.kept.extend(refund_minor.to_be_bytes());
        self.chunk.push(leaf.node())?;
        self.contracts += 1;
        if self.chunk.size() == CHUNK as u64 {
            self.chunks.push(std::mem::take(&mut self.chunk).root()?);
        }
        Some(())
    }

    /// The files; `None` when a sum does not fit.
    #[must_use]
    pub fn finish(mut self) -> Option<SoldFiles> {
        if self.chunk.size() > 0 {
            self.chunks.push(self.chunk.root()?);
        }
        let tree = SoldTree::new(self.chunks)?;
        for node in tree.levels.iter().flatten() {
            self.kept.extend(node.sums.to_bytes());
            self.kept.extend(node.hash);
        }
        let count = self.contracts.to_be_bytes();
        self.sold[self.count_at..self.count_at + 8].copy_from_slice(&count);
        self.kept[8..16].copy_from_slice(&count);
        let (contracts, root) = (self.contracts, tree.root());
        Some(SoldFiles { contracts, root, sold: self.sold, kept: self.kept })
    }
}

/// A contract found in the two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLeaf {
    /// Its place.
    pub index: u64,
    /// Its leaf.
    pub leaf: SoldLeaf,
    /// Its reward units.
    pub units: u128,
    /// What would be refunded.
    pub refund_minor: i64,
    /// Its siblings, lowest first.
    pub proof: Vec<Node>,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn read_at<const N: usize>(from: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.seek(SeekFrom::Start(at))?;
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn leaf_of(bytes: &[u8; LEAF_BYTES]) -> io::Result<SoldLeaf> {
    SoldLeaf::from_bytes(bytes).ok_or_else(|| broken("not a leaf"))
}

fn node_of(bytes: &[u8; NODE_BYTES]) -> io::Result<Node> {
    let mut w = Wire::new(bytes.as_slice());
    let mut read = || -> Result<Node, crate::WireError> {
        let sums = Sums { hashrate: w.u128("")?, allocated: w.u128("")?, owed: w.u128("")? };
        Ok(Node { sums, hash: w.array("")? })
    };
    read().map_err(|_| broken("not a node"))
}

/// Finds a contract's leaf and the way from it to the root, reading some hundred leaves around it; `None` when it is
/// not in the tree.
///
/// # Errors
/// The disk's; `InvalidData` when a file is not of its form.
pub fn find(
    sold: &mut (impl Read + Seek),
    kept: &mut (impl Read + Seek),
    contract: ContractId,
) -> io::Result<Option<FoundLeaf>> {
    let head: [u8; 9] = read_at(sold, 0)?;
    if head[..8] != MAGIC {
        return Err(broken("not a sold tree's file"));
    }
    let name = u64::from(head[8]);
    let contracts = u64::from_be_bytes(read_at(sold, 9 + name + 8)?);
    let first = 9 + name + 16;
    let leaf_at = |n: u64| first + n * LEAF_BYTES as u64;
    let (mut from, mut to) = (0, contracts);
    while from < to {
        let middle = from + (to - from) / 2;
        let id: [u8; 16] = read_at(sold, leaf_at(middle))?;
        if id < contract.to_bytes() {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    let index = from;
    if index == contracts {
        return Ok(None);
    }
    let leaf = leaf_of(&read_at(sold, leaf_at(index))?)?;
    if leaf.contract != contract {
        return Ok(None);
    }
    let kept_head: [u8; 16] = read_at(kept, 0)?;
    if kept_head[..8] != KEPT_MAGIC || kept_head[8..] != contracts.to_be_bytes() {
        return Err(broken("not what was kept of this sold tree"));
    }
    let private: [u8; PRIVATE_BYTES] = read_at(kept, KEPT_HEAD + index * PRIVATE_BYTES as u64)?;
    let mut w = Wire::new(private.as_slice());
    let malformed = |_| broken("not a private part");
    let (units, refund) = (w.u128("").map_err(malformed)?, w.u64("").map_err(malformed)?);
    let mut proof = within_chunk(sold, leaf_at, index, contracts)?;
    proof.extend(above_chunks(kept, index, contracts)?);
    Ok(Some(FoundLeaf { index, leaf, units, refund_minor: refund.cast_signed(), proof }))
}

/// The siblings below the kept node.
fn within_chunk(
    sold: &mut (impl Read + Seek),
    leaf_at: impl Fn(u64) -> u64,
    index: u64,
    contracts: u64,
) -> io::Result<Vec<Node>> {
    let begin = index - index % CHUNK as u64;
    let size = (contracts - begin).min(CHUNK as u64);
    sold.seek(SeekFrom::Start(leaf_at(begin)))?;
    let mut nodes = Vec::with_capacity(CHUNK);
    for _ in 0..size {
        let mut bytes = [0; LEAF_BYTES];
        sold.read_exact(&mut bytes)?;
        nodes.push(leaf_of(&bytes)?.node());
    }
    let tree = SoldTree::new(nodes).ok_or_else(|| broken("a sum that does not fit"))?;
    let at = usize::try_from(index - begin).unwrap_or(usize::MAX);
    tree.proof(at).ok_or_else(|| broken("no such leaf"))
}

/// The siblings above.
fn above_chunks(
    kept: &mut (impl Read + Seek),
    index: u64,
    contracts: u64,
) -> io::Result<Vec<Node>> {
    let (mut at, mut size) = (index / CHUNK as u64, contracts.div_ceil(CHUNK as u64));
    let mut level_at = KEPT_HEAD + contracts * PRIVATE_BYTES as u64;
    let mut proof = Vec::new();
    while size > 1 {
        let sibling = at ^ 1;
        if sibling < size {
            proof.push(node_of(&read_at(kept, level_at + sibling * NODE_BYTES as u64)?)?);
        }
        level_at += size * NODE_BYTES as u64;
        (at, size) = (at / 2, size.div_ceil(2));
    }
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use super::super::{climb, encode, read};
    use super::*;
    use std::io::Cursor;

    fn leaf(n: u32) -> SoldLeaf {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        SoldLeaf {
            contract: ContractId::from_bytes(id),
            kind: 0,
            sums: Sums { hashrate: n.into(), allocated: 2 * u128::from(n), owed: 3 },
            entitled: 7,
            private: [u8::try_from(n % 251).unwrap(); 32],
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_found_with_a_proof_to_the_root() {
        let lane: LaneId = "btc".parse().unwrap();
        for size in [0, 1, 2, 255, 256, 257, 511, 513, 1_025] {
            let leaves: Vec<SoldLeaf> = (0..size).map(|n| leaf(2 * n)).collect();
            let mut w = SoldWriter::new(&lane, EpochNumber(5), leaves.len());
            for l in &leaves {
                w.push(l, l.sums.hashrate + 1, -5).unwrap();
            }
            let files = w.finish().unwrap();
            assert_eq!(files.sold, encode(&lane, EpochNumber(5), &leaves));
            let again = read(files.sold.as_slice(), &lane, EpochNumber(5), |_| ()).unwrap();
            assert_eq!((again.contracts, again.root), (files.contracts, files.root));
            let (mut sold, mut kept) = (Cursor::new(&files.sold), Cursor::new(&files.kept));
            for (n, l) in leaves.iter().enumerate() {
                let found = find(&mut sold, &mut kept, l.contract).unwrap().unwrap();
                let want = (n as u64, *l, l.sums.hashrate + 1, -5);
                assert_eq!((found.index, found.leaf, found.units, found.refund_minor), want);
                let top = climb(files.contracts, found.index, &l.node(), &found.proof);
                assert_eq!(top, Some(files.root), "{n} of {size}");
            }
            let missing = find(&mut sold, &mut kept, leaf(1).contract).unwrap();
            assert_eq!(missing, None);
        }
    }

    #[test]
    fn contracts_out_of_order_are_refused() {
        let lane: LaneId = "btc".parse().unwrap();
        let mut w = SoldWriter::new(&lane, EpochNumber(5), 2);
        assert!(w.push(&leaf(2), 0, 0).is_some());
        assert!(w.push(&leaf(2), 0, 0).is_none());
        assert!(w.push(&leaf(1), 0, 0).is_none());
    }
}
