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
use std::io::{self, Read, Seek, SeekFrom, Write};

const KEPT_MAGIC: [u8; 8] = *b"GRUVKPT1";
/// Leaves below one kept node: a power of two, so that kept nodes are nodes of the tree.
const CHUNK: usize = 256;
const PRIVATE_BYTES: usize = 16 + 8;
const NODE_BYTES: usize = 48 + 32;
const KEPT_HEAD: u64 = 16;

/// The two files of a sold tree.
#[derive(Clone, Debug)]
pub struct SoldFiles<W> {
    /// How many contracts.
    pub contracts: u64,
    /// The root.
    pub root: Node,
    /// The public file, at its beginning.
    pub sold: W,
    /// What is kept for receipts, at its beginning.
    pub kept: W,
}

/// Writes them contract by contract. What is held is a node for some hundred contracts.
#[derive(Debug)]
pub struct SoldWriter<W> {
    sold: W,
    count_at: u64,
    kept: W,
    chunk: SoldBuilder,
    chunks: Vec<Node>,
    contracts: u64,
    last: Option<ContractId>,
}

fn wrong() -> io::Error {
    broken("a sum of the sold tree that does not fit, or a contract out of order")
}

impl<W: Write + Seek> SoldWriter<W> {
    /// The tree of a lane's epoch, in two empty files.
    ///
    /// # Errors
    /// The disk's.
    pub fn new(lane: &LaneId, epoch: EpochNumber, mut sold: W, mut kept: W) -> io::Result<Self> {
        sold.write_all(&MAGIC)?;
        let name = lane.as_str().as_bytes();
        sold.write_all(&[u8::try_from(name.len()).unwrap_or(u8::MAX)])?;
        sold.write_all(name)?;
        sold.write_all(&epoch.0.to_be_bytes())?;
        let count_at = 17 + name.len() as u64;
        sold.write_all(&[0; 8])?;
        kept.write_all(&KEPT_MAGIC)?;
        kept.write_all(&[0; 8])?;
        let (chunk, chunks) = (SoldBuilder::default(), Vec::new());
        Ok(SoldWriter { sold, count_at, kept, chunk, chunks, contracts: 0, last: None })
    }

    /// Adds a contract.
    ///
    /// # Errors
    /// The disk's; `InvalidData` when a sum does not fit or its id is not above the last one's.
    pub fn push(&mut self, leaf: &SoldLeaf, units: u128, refund_minor: i64) -> io::Result<()> {
        if self.last.is_some_and(|last| last.to_bytes() >= leaf.contract.to_bytes()) {
            return Err(wrong());
        }
        self.last = Some(leaf.contract);
        self.sold.write_all(&leaf.to_bytes())?;
        self.kept.write_all(&units.to_be_bytes())?;
        self.kept.write_all(&refund_minor.to_be_bytes())?;
        self.chunk.push(leaf.node()).ok_or_else(wrong)?;
        self.contracts += 1;
        if self.chunk.size() == CHUNK as u64 {
            self.chunks.push(std::mem::take(&mut self.chunk).root().ok_or_else(wrong)?);
        }
        Ok(())
    }

    /// The files.
    ///
    /// # Errors
    /// As [`SoldWriter::push`].
    pub fn finish(mut self) -> io::Result<SoldFiles<W>> {
        if self.chunk.size() > 0 {
            self.chunks.push(self.chunk.root().ok_or_else(wrong)?);
        }
        let tree = SoldTree::new(self.chunks).ok_or_else(wrong)?;
        for node in tree.levels.iter().flatten() {
            self.kept.write_all(&node.sums.to_bytes())?;
            self.kept.write_all(&node.hash)?;
        }
        let count = self.contracts.to_be_bytes();
        for (file, at) in [(&mut self.sold, self.count_at), (&mut self.kept, 8)] {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&count)?;
            file.flush()?;
            file.rewind()?;
        }
        let (contracts, root) = (self.contracts, tree.root());
        Ok(SoldFiles { contracts, root, sold: self.sold, kept: self.kept })
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

    fn writer() -> SoldWriter<Cursor<Vec<u8>>> {
        let lane = "btc".parse().unwrap();
        SoldWriter::new(&lane, EpochNumber(5), Cursor::default(), Cursor::default()).unwrap()
    }

    #[test]
    fn every_leaf_of_every_size_is_found_with_a_proof_to_the_root() {
        let lane: LaneId = "btc".parse().unwrap();
        for size in [0, 1, 2, 255, 256, 257, 511, 513, 1_025] {
            let leaves: Vec<SoldLeaf> = (0..size).map(|n| leaf(2 * n)).collect();
            let mut w = writer();
            for l in &leaves {
                w.push(l, l.sums.hashrate + 1, -5).unwrap();
            }
            let files = w.finish().unwrap();
            assert_eq!(*files.sold.get_ref(), encode(&lane, EpochNumber(5), &leaves));
            let again =
                read(files.sold.get_ref().as_slice(), &lane, EpochNumber(5), |_| ()).unwrap();
            assert_eq!((again.contracts, again.root), (files.contracts, files.root));
            let (mut sold, mut kept) = (files.sold, files.kept);
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
        let mut w = writer();
        w.push(&leaf(2), 0, 0).unwrap();
        assert!(w.push(&leaf(2), 0, 0).is_err());
        assert!(w.push(&leaf(1), 0, 0).is_err());
    }
}
