//! The chain's state: the tree of blocks, the branch with most work, its coins, and the file that
//! holds all of it. The rules are elsewhere ([`super::check`], [`super::connect`]); this decides
//! when they are asked and carries out their answers.
//!
//! Order of a submission: rules without coins, rules with coins if the block stands on the tip,
//! then the file, then the change in memory. A block on another branch is kept without its coins
//! being checked, as every node does, and checked when its branch gets the most work.

use super::check::{
    HeaderPlace, Work, check_block, check_block_at, check_header_at, complete_coinbase,
};
use super::connect::{Coin, Coins, Effects, Place, connect};
use super::error::DevChainError;
use super::file::{ChainFile, Frame};
use super::merged;
use super::params::DevParams;
use super::reject::Reject;
use super::tree::{NodeIndex, Tree, TreeNode};
use crate::auxpow::AuxProof;
use bitcoin::{Block, BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
use std::collections::HashMap;
use std::path::Path;

/// What became of a submitted block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is on the best chain.
    Accepted,
    /// It is kept on a branch with less work; Core's `inconclusive`.
    Inconclusive,
    /// It was known and good.
    Duplicate,
    /// It was known and bad.
    DuplicateInvalid,
    /// It breaks a rule.
    Refused(Reject),
}

impl Verdict {
    /// What `submitblock` answers; `None` for null.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Accepted => None,
            Verdict::Inconclusive => Some("inconclusive"),
            Verdict::Duplicate => Some("duplicate"),
            Verdict::DuplicateInvalid => Some("duplicate-invalid"),
            Verdict::Refused(reject) => Some(&reject.reason),
        }
    }
}

/// What a change of the best chain left behind.
#[derive(Default)]
pub(crate) struct Moved {
    /// Transactions of blocks that are no longer on it, oldest first, coinbases left out.
    pub(crate) returned: Vec<Transaction>,
    /// Whether blocks left it.
    pub(crate) reorganised: bool,
    /// Blocks that came onto it.
    pub(crate) connected: Vec<Block>,
}

/// An output on the best chain, spent or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) point: OutPoint,
    pub(crate) value: i64,
    pub(crate) height: u32,
}

/// How the clock and the disk are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A block from outside at this time in seconds.
    Submitted { now: i64 },
    /// A block of the premine: made here, synced at its end.
    Premine,
}

/// See the module.
pub(crate) struct Chain {
    pub(crate) params: DevParams,
    pub(crate) tree: Tree,
    /// The best chain by height; never empty once opened.
    active: Vec<NodeIndex>,
    /// What each of its blocks did; for genesis nothing.
    undo: Vec<Effects>,
    pub(crate) coins: Coins,
    /// Where the transactions of the best chain are: block and position.
    places: HashMap<Txid, (NodeIndex, usize)>,
    /// Every output on the best chain by its script, oldest first.
    receipts: HashMap<ScriptBuf, Vec<Receipt>>,
    file: ChainFile,
}

impl Chain {
    /// Opens the file and replays it. The chain is empty (no genesis) when the file was.
    pub(crate) fn open(path: &Path, params: DevParams) -> Result<Chain, DevChainError> {
        let mut frames = Vec::new();
        // Replaying needs the file to read blocks back at reorganisations, so frames are noted
        // first; blocks stay on disk.
        let file = ChainFile::open(path, |frame, spot| {
            frames.push((
                match frame {
                    Frame::Block(_) => None,
                    other => Some(other),
                },
                spot,
            ));
            Ok(())
        })?;
        let mut chain = Chain {
            params,
            tree: Tree::default(),
            active: Vec::new(),
            undo: Vec::new(),
            coins: Coins::new(),
            places: HashMap::new(),
            receipts: HashMap::new(),
            file,
        };
        let asked = chain.params.rules_text();
        if frames.is_empty() {
            chain.file.append(&Frame::Rules(asked), true)?;
            return Ok(chain);
        }
        for (place, (frame, spot)) in frames.into_iter().enumerate() {
            match frame {
                Some(Frame::Rules(found)) if place == 0 => {
                    if found != asked {
                        let path = chain.file.path().to_owned();
                        return Err(DevChainError::OtherRules { path, found, asked });
                    }
                }
                None if place > 0 => {
                    let block = chain.decode(&chain.file.read(spot)?)?;
                    chain.replay(&block, spot)?;
                }
                Some(Frame::Invalidate(hash)) => {
                    if let Some(index) = chain.tree.find(&hash) {
                        chain.tree.fail(index);
                        chain.activate_best()?;
                    }
                }
                Some(Frame::Reconsider(hash)) => {
                    if let Some(index) = chain.tree.find(&hash) {
                        chain.tree.forgive(index);
                        chain.activate_best()?;
                    }
                }
                _ => return Err(chain.damaged("frames in the wrong order")),
            }
        }
        Ok(chain)
    }

    fn damaged(&self, what: &str) -> DevChainError {
        DevChainError::Damaged {
            path: self.file.path().to_owned(),
            offset: self.file.size(),
            what: what.to_owned(),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Block, DevChainError> {
        let block = merged::decode(bytes, &self.params).map(|(block, _)| block);
        block.ok_or_else(|| self.damaged("a block that does not decode"))
    }

    /// Whether it has no genesis block yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn tip(&self) -> NodeIndex {
        self.active.last().copied().unwrap_or(0)
    }

    pub(crate) fn tip_node(&self) -> &TreeNode {
        self.tree.node(self.tip())
    }

    pub(crate) fn height(&self) -> u32 {
        self.tip_node().height
    }

    /// The best chain's block at a height.
    pub(crate) fn at_height(&self, height: u32) -> Option<NodeIndex> {
        self.active.get(height as usize).copied()
    }

    pub(crate) fn is_active(&self, index: NodeIndex) -> bool {
        self.at_height(self.tree.node(index).height) == Some(index)
    }

    /// Bytes on disk.
    pub(crate) const fn size_on_disk(&self) -> u64 {
        self.file.size()
    }

    /// What the block at a node did to the coins, if it is on the best chain.
    pub(crate) fn effects(&self, index: NodeIndex) -> Option<&Effects> {
        self.undo.get(self.tree.node(index).height as usize).filter(|_| self.is_active(index))
    }

    /// Block and position of a transaction of the best chain.
    pub(crate) fn place_of(&self, txid: &Txid) -> Option<(NodeIndex, usize)> {
        self.places.get(txid).copied()
    }

    /// Outputs that ever paid to a script on the best chain.
    pub(crate) fn receipts(&self, script: &ScriptBuf) -> &[Receipt] {
        self.receipts.get(script).map_or(&[], Vec::as_slice)
    }

    /// Reads a block back; `None` for one that was not kept.
    pub(crate) fn block(&self, index: NodeIndex) -> Result<Option<Block>, DevChainError> {
        let Some(spot) = self.tree.node(index).spot else { return Ok(None) };
        self.decode(&self.file.read(spot)?).map(Some)
    }

    /// Its bytes as they were taken, merge-mining proof included; `None` for one that was not kept.
    pub(crate) fn block_bytes(&self, index: NodeIndex) -> Result<Option<Vec<u8>>, DevChainError> {
        self.tree.node(index).spot.map(|spot| self.file.read(spot)).transpose()
    }

    /// Where the next block on the best chain is to stand.
    pub(crate) fn with_next_place<T>(&self, f: impl FnOnce(&Place<'_>) -> T) -> T {
        let before = |height: u32| {
            let at = self.at_height(height.saturating_sub(1)).unwrap_or(self.tip());
            self.tree.median_time(at)
        };
        f(&Place {
            params: &self.params,
            height: if self.is_empty() { 0 } else { self.height() + 1 },
            median_time: self.tree.median_time(self.tip()),
            median_time_before: &before,
        })
    }

    /// Makes the first block; nothing checks it.
    pub(crate) fn plant(&mut self, genesis: &Block) -> Result<(), DevChainError> {
        let bytes = bitcoin::consensus::serialize(genesis);
        let spot = self.file.append(&Frame::Block(bytes), true)?;
        self.replay(genesis, spot)
    }

    /// A block from the file: its rules were checked before it was written, and are again, except
    /// for the hash and the clock.
    fn replay(&mut self, block: &Block, spot: super::file::Spot) -> Result<(), DevChainError> {
        if self.is_empty() {
            let bits = block.header.bits.to_consensus();
            let index = self.tree.add(block.header, None, bits, block.txdata.len());
            let node = self.tree.node_mut(index);
            node.spot = Some(spot);
            node.connected_once = true;
            self.advance(index, block, Effects::default());
            return Ok(());
        }
        let (parent, base_bits) = self
            .check_alone(block, None, Work::Unseen)
            .map_err(|verdict| self.damaged(&format!("a refused block: {verdict:?}")))?;
        let index = self.tree.add(block.header, Some(parent), base_bits, block.txdata.len());
        self.tree.node_mut(index).spot = Some(spot);
        if self.tree.node(index).work > self.tip_node().work {
            self.activate_best()?;
        }
        Ok(())
    }

    /// The rules without coins. Gives the parent and the base of the target.
    fn check_alone(
        &self,
        block: &Block,
        now: Option<i64>,
        work: Work<'_>,
    ) -> Result<(NodeIndex, u32), Verdict> {
        if let Some(known) = self.tree.find(&block.block_hash()) {
            let node = self.tree.node(known);
            return Err(if node.failed { Verdict::DuplicateInvalid } else { Verdict::Duplicate });
        }
        let refused = Verdict::Refused;
        check_block(block, &self.params, work).map_err(refused)?;
        let Some(parent) = self.tree.find(&block.header.prev_blockhash) else {
            return Err(refused(Reject::new("prev-blk-not-found")));
        };
        let below = self.tree.node(parent);
        if below.failed {
            return Err(refused(Reject::new("bad-prevblk")));
        }
        let place = HeaderPlace {
            height: below.height.saturating_add(1),
            base_bits: self.tree.base_after(parent, &self.params),
            parent_time: below.header.time,
            median_time: self.tree.median_time(parent),
            now,
        };
        check_header_at(&block.header, &place, &self.params).map_err(refused)?;
        check_block_at(block, place.height, place.median_time, &self.params).map_err(refused)?;
        Ok((parent, place.base_bits))
    }

    /// Everything that would be asked of a block on the tip, except its proof of work.
    pub(crate) fn check_proposal(&self, block: &Block, now: i64) -> Result<(), Verdict> {
        if block.header.prev_blockhash != self.tip_node().hash {
            return Err(Verdict::Refused(Reject::new("inconclusive-not-best-prevblk")));
        }
        self.check_alone(block, Some(now), Work::Unseen)?;
        self.with_next_place(|place| connect(block, &self.coins, place))
            .map(|_| ())
            .map_err(Verdict::Refused)
    }

    /// Takes a block. An error is the chain's own; a refusal is a verdict.
    pub(crate) fn submit(
        &mut self,
        mut block: Block,
        proof: Option<&AuxProof>,
        entry: Entry,
    ) -> Result<(Verdict, Moved), DevChainError> {
        complete_coinbase(&mut block, &self.params);
        let now = match entry {
            Entry::Submitted { now } => Some(now),
            Entry::Premine => None,
        };
        let (parent, base_bits) = match self.check_alone(&block, now, Work::Shown(proof)) {
            Ok(place) => place,
            Err(verdict) => return Ok((verdict, Moved::default())),
        };
        let on_tip = parent == self.tip();
        let mut effects = None;
        if on_tip {
            match self.with_next_place(|place| connect(&block, &self.coins, place)) {
                Ok(found) => effects = Some(found),
                Err(reject) => {
                    let index =
                        self.tree.add(block.header, Some(parent), base_bits, block.txdata.len());
                    self.tree.fail(index);
                    return Ok((Verdict::Refused(reject), Moved::default()));
                }
            }
        }
        let frame = Frame::Block(merged::encode(&block, proof));
        let spot = self.file.append(&frame, entry != Entry::Premine)?;
        let index = self.tree.add(block.header, Some(parent), base_bits, block.txdata.len());
        self.tree.node_mut(index).spot = Some(spot);
        if let Some(effects) = effects {
            self.advance(index, &block, effects);
            return Ok((Verdict::Accepted, Moved { connected: vec![block], ..Moved::default() }));
        }
        if self.tree.node(index).work <= self.tip_node().work {
            return Ok((Verdict::Inconclusive, Moved::default()));
        }
        let (moved, refusals) = self.activate_best()?;
        let verdict = if self.is_active(index) {
            Verdict::Accepted
        } else {
            let own = refusals.into_iter().find(|(at, _)| *at == index);
            own.map_or(Verdict::Inconclusive, |(_, reject)| Verdict::Refused(reject))
        };
        Ok((verdict, moved))
    }

    /// Declares a block invalid, as Core's `invalidateblock`. `false`: no such block.
    pub(crate) fn invalidate(&mut self, hash: &BlockHash) -> Result<Option<Moved>, DevChainError> {
        let Some(index) = self.tree.find(hash).filter(|&index| index != 0) else { return Ok(None) };
        self.file.append(&Frame::Invalidate(*hash), true)?;
        self.tree.fail(index);
        self.activate_best().map(|(moved, _)| Some(moved))
    }

    /// Takes that back.
    pub(crate) fn reconsider(&mut self, hash: &BlockHash) -> Result<Option<Moved>, DevChainError> {
        let Some(index) = self.tree.find(hash) else { return Ok(None) };
        self.file.append(&Frame::Reconsider(*hash), true)?;
        self.tree.forgive(index);
        self.activate_best().map(|(moved, _)| Some(moved))
    }

    /// Waits until the disk has everything.
    pub(crate) fn sync(&self) -> Result<(), DevChainError> {
        self.file.sync()
    }

    /// Moves to the good branch with most work; a block that fails on the way marks its branch
    /// bad and the next best is tried. Ends, since every round either arrives or marks a node.
    fn activate_best(&mut self) -> Result<(Moved, Vec<(NodeIndex, Reject)>), DevChainError> {
        let mut moved = Moved::default();
        let mut refusals = Vec::new();
        loop {
            let Some(best) = self.tree.best() else { return Ok((moved, refusals)) };
            let tip = self.tip_node();
            if !tip.failed && self.tree.node(best).work <= tip.work {
                return Ok((moved, refusals));
            }
            let mut path = Vec::new();
            let mut at = best;
            while !self.is_active(at) {
                path.push(at);
                match self.tree.node(at).parent {
                    Some(parent) => at = parent,
                    None => return Err(self.damaged("two genesis blocks")),
                }
            }
            while self.tip() != at {
                self.retreat(&mut moved)?;
            }
            for index in path.into_iter().rev() {
                let Some(block) = self.block(index)? else {
                    return Err(self.damaged("a branch without its blocks"));
                };
                match self.with_next_place(|place| connect(&block, &self.coins, place)) {
                    Ok(effects) => {
                        self.advance(index, &block, effects);
                        moved.connected.push(block);
                    }
                    Err(reject) => {
                        self.tree.fail(index);
                        refusals.push((index, reject));
                        break;
                    }
                }
            }
        }
    }

    /// Puts a checked block onto the tip.
    fn advance(&mut self, index: NodeIndex, block: &Block, effects: Effects) {
        self.tree.node_mut(index).connected_once = true;
        let height = self.tree.node(index).height;
        for (position, tx) in block.txdata.iter().enumerate() {
            let txid = tx.compute_txid();
            self.places.insert(txid, (index, position));
            for (out, vout) in tx.output.iter().zip(0u32..) {
                let point = OutPoint { txid, vout };
                let value = super::check::value_of(out);
                let receipt = Receipt { point, value, height };
                self.receipts.entry(out.script_pubkey.clone()).or_default().push(receipt);
            }
        }
        effects.apply(&mut self.coins);
        self.active.push(index);
        self.undo.push(effects);
    }

    /// Takes the tip off.
    fn retreat(&mut self, moved: &mut Moved) -> Result<(), DevChainError> {
        let tip = self.tip();
        let Some(block) = self.block(tip)? else {
            return Err(self.damaged("a best chain without its blocks"));
        };
        let (Some(_), Some(effects)) = (self.active.pop(), self.undo.pop()) else {
            return Err(self.damaged("nothing to undo"));
        };
        effects.undo(&mut self.coins);
        let height = self.tree.node(tip).height;
        for tx in &block.txdata {
            self.places.remove(&tx.compute_txid());
            for out in &tx.output {
                if let Some(receipts) = self.receipts.get_mut(&out.script_pubkey) {
                    receipts.retain(|r| r.height != height);
                }
            }
        }
        moved.connected.pop();
        moved.reorganised = true;
        moved.returned.splice(0..0, block.txdata.into_iter().skip(1));
        Ok(())
    }

    /// The output a coin came from, spent or not, on the best chain.
    pub(crate) fn output(&self, point: &OutPoint) -> Result<Option<Coin>, DevChainError> {
        let Some((index, position)) = self.place_of(&point.txid) else { return Ok(None) };
        let Some(block) = self.block(index)? else { return Ok(None) };
        let height = self.tree.node(index).height;
        Ok(block.txdata.get(position).and_then(|tx| {
            let out = tx.output.get(point.vout as usize)?.clone();
            Some(Coin { out, height, coinbase: position == 0 })
        }))
    }
}
