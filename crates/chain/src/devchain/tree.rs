//! The tree of known headers: who stands on whom, with how much work, and which are bad.
//!
//! Nodes are only ever added, parents before children, so a node's index is above its parent's
//! and the whole tree is walked by counting. Each costs some 200 bytes and a proof of work.

use super::difficulty;
use super::file::Spot;
use super::params::DevParams;
use bitcoin::BlockHash;
use bitcoin::block::Header;
use gruve_units::Target;
use std::collections::HashMap;

/// A node's place in the tree.
pub(crate) type NodeIndex = usize;

/// Headers that a median time is taken over.
const MEDIAN_SPAN: usize = 11;

/// A known header.
#[derive(Clone, Debug)]
pub(crate) struct TreeNode {
    pub(crate) hash: BlockHash,
    pub(crate) header: Header,
    pub(crate) parent: Option<NodeIndex>,
    pub(crate) height: u32,
    /// See [`super::difficulty`].
    pub(crate) base_bits: u32,
    /// Expected tries up to and with this block.
    pub(crate) work: u128,
    /// Its block in the file; none for one that was refused when it was connected.
    pub(crate) spot: Option<Spot>,
    /// Transactions in it.
    pub(crate) txs: u32,
    /// It, or one below it, broke a rule or was declared invalid.
    pub(crate) failed: bool,
    /// It has been connected once: all its rules hold.
    pub(crate) connected_once: bool,
}

/// The tree.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: Vec<TreeNode>,
    by_hash: HashMap<BlockHash, NodeIndex>,
}

impl Tree {
    pub(crate) fn find(&self, hash: &BlockHash) -> Option<NodeIndex> {
        self.by_hash.get(hash).copied()
    }

    /// The node at an index this tree gave out.
    pub(crate) fn node(&self, index: NodeIndex) -> &TreeNode {
        &self.nodes[index]
    }

    pub(crate) fn node_mut(&mut self, index: NodeIndex) -> &mut TreeNode {
        &mut self.nodes[index]
    }

    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a header whose rules have been checked.
    pub(crate) fn add(
        &mut self,
        header: Header,
        parent: Option<NodeIndex>,
        base_bits: u32,
        txs: usize,
    ) -> NodeIndex {
        let hash = header.block_hash();
        let own = Target::from_compact(header.bits.to_consensus())
            .map_or(1, |target| target.expected_hashes().0);
        let below = parent.map(|p| self.node(p));
        let node = TreeNode {
            hash,
            header,
            parent,
            height: below.map_or(0, |p| p.height.saturating_add(1)),
            base_bits,
            work: below.map_or(0, |p| p.work).saturating_add(own),
            spot: None,
            txs: u32::try_from(txs).unwrap_or(u32::MAX),
            failed: below.is_some_and(|p| p.failed),
            connected_once: false,
        };
        let index = self.nodes.len();
        self.nodes.push(node);
        self.by_hash.insert(hash, index);
        index
    }

    /// The median of the times of a node and the ten before it.
    pub(crate) fn median_time(&self, index: NodeIndex) -> u32 {
        let mut times = Vec::with_capacity(MEDIAN_SPAN);
        let mut at = Some(index);
        while let Some(node) = at.map(|i| self.node(i)) {
            times.push(node.header.time);
            if times.len() == MEDIAN_SPAN {
                break;
            }
            at = node.parent;
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// The base of a block standing on `parent`.
    pub(crate) fn base_after(&self, parent: NodeIndex, params: &DevParams) -> u32 {
        let node = self.node(parent);
        let before = node.parent.map_or(node.header.time, |p| self.node(p).header.time);
        let took = i64::from(node.header.time) - i64::from(before);
        difficulty::base_at(params, node.height.saturating_add(1), node.base_bits, took)
    }

    /// Marks a node and all above it as bad.
    pub(crate) fn fail(&mut self, index: NodeIndex) {
        self.nodes[index].failed = true;
        for i in index + 1..self.nodes.len() {
            if self.nodes[i].parent.is_some_and(|p| self.nodes[p].failed) {
                self.nodes[i].failed = true;
            }
        }
    }

    /// Takes the mark from a node, all below and all above it, as Core's `reconsiderblock` does.
    /// A block that was refused and not kept stays refused.
    pub(crate) fn forgive(&mut self, index: NodeIndex) {
        let mut at = Some(index);
        while let Some(i) = at {
            self.nodes[i].failed = self.nodes[i].spot.is_none();
            at = self.nodes[i].parent;
        }
        let mut above = vec![false; self.nodes.len()];
        above[index] = true;
        for i in index + 1..self.nodes.len() {
            let Some(parent) = self.nodes[i].parent.filter(|&p| above[p]) else { continue };
            above[i] = true;
            self.nodes[i].failed = self.nodes[i].spot.is_none() || self.nodes[parent].failed;
        }
    }

    /// The good node with most work, the first seen of equals.
    pub(crate) fn best(&self) -> Option<NodeIndex> {
        let mut best: Option<NodeIndex> = None;
        for (i, node) in self.nodes.iter().enumerate() {
            let better = best.is_none_or(|b| node.work > self.nodes[b].work);
            if !node.failed && node.spot.is_some() && better {
                best = Some(i);
            }
        }
        best
    }
}
