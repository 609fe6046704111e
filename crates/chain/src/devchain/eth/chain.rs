//! Branches, the best chain and its accounts, and the file behind them.
//!
//! A block is checked whole before it is written, as far as its branch allows: what it does to the
//! accounts is known only once it stands on the tip. The branch with most difficulty is the best, the
//! first seen of equals.

use super::block::{Block, receipts_root, transactions_root};
use super::params::EthDevParams;
use super::seal::Seals;
use super::world::{Account, Journal, World};
use crate::devchain::error::DevChainError;
use crate::devchain::file::{ChainFile, Frame, Spot};
use crate::eth::header::{BLOOM_BYTES, NO_UNCLES, uncles_hash};
use crate::eth::reward::{UNCLE_DEPTH_MAX, UNCLES_MAX};
use crate::eth::trie::EMPTY_ROOT;
use crate::eth::{EthAddress, EthHeader, SignedTx, TRANSFER_GAS};
use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use ruint::aliases::U256;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a miner's words in a block (yellow paper, section 4.3.4).
pub(super) const EXTRA_BYTES_MAX: usize = 32;

/// Blocks kept as they were read: some hundred kilobytes each at most.
const RECENT_MAX: usize = 16;

/// A place in the list of known blocks.
pub(super) type Index = usize;

/// A known block.
pub(super) struct Known {
    pub(super) hash: [u8; 32],
    pub(super) header: EthHeader,
    pub(super) parent: Option<Index>,
    /// Hashes of its uncles.
    pub(super) uncles: Vec<[u8; 32]>,
    /// Difficulties up to and with it.
    pub(super) total: U256,
    spot: Spot,
    /// It, or one below it, broke a rule or was declared invalid.
    failed: bool,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the tip.
    Best,
    /// It stands on another branch.
    Aside,
    /// It was known.
    Known,
    /// It breaks a rule.
    Refused(&'static str),
}

/// See the module.
pub(super) struct Chain {
    pub(super) params: EthDevParams,
    pub(super) world: World,
    pub(super) seals: Seals,
    known: Vec<Known>,
    by_hash: HashMap<[u8; 32], Index>,
    /// The best chain, from the first block on.
    active: Vec<Index>,
    /// What its blocks did to the accounts.
    journals: Vec<Journal>,
    /// Where transactions of the best chain stand.
    places: HashMap<[u8; 32], (Index, usize)>,
    file: ChainFile,
    /// Blocks read lately.
    recent: Mutex<VecDeque<(Index, Arc<Block>)>>,
}

/// Transactions of blocks that have left the best chain.
pub(super) type Returned = Vec<SignedTx>;

impl Chain {
    pub(super) fn open(
        path: &Path,
        params: EthDevParams,
        wallet: &EthAddress,
        now: u64,
    ) -> Result<Chain, DevChainError> {
        let mut frames = Vec::new();
        let file = ChainFile::open(path, |frame, spot| {
            // Blocks are read again from the file, so that a long chain is not held twice.
            let kept = if matches!(frame, Frame::Block(_)) { None } else { Some(frame) };
            frames.push((kept, spot));
            Ok(())
        })?;
        let mut chain = Chain {
            params,
            world: World::default(),
            seals: Seals::default(),
            known: Vec::new(),
            by_hash: HashMap::new(),
            active: Vec::new(),
            journals: Vec::new(),
            places: HashMap::new(),
            file,
            recent: Mutex::default(),
        };
        let asked = chain.params.rules_text(wallet);
        chain.give_out(wallet)?;
        if frames.is_empty() {
            chain.file.append(&Frame::Rules(asked), true)?;
            let first = chain.first_block(now);
            let spot = chain.file.append(&Frame::Block(first.encode()), true)?;
            chain.plant(&first, spot);
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
                None if place > 0 => chain.replay(spot)?,
                Some(Frame::Invalidate(hash)) => {
                    chain.set_failed(&hash.to_byte_array(), true);
                    chain.activate_best()?;
                }
                Some(Frame::Reconsider(hash)) => {
                    chain.set_failed(&hash.to_byte_array(), false);
                    chain.activate_best()?;
                }
                _ => return Err(chain.damaged("frames in the wrong order")),
            }
        }
        if chain.active.is_empty() {
            // Killed between the rules and the first block.
            let first = chain.first_block(now);
            let spot = chain.file.append(&Frame::Block(first.encode()), true)?;
            chain.plant(&first, spot);
        }
        Ok(chain)
    }

    /// Gives the accounts what they have from the start.
    fn give_out(&mut self, wallet: &EthAddress) -> Result<(), DevChainError> {
        let mut journal = Journal::new();
        let all = self.params.accounts.iter().copied();
        for (to, wei) in all.chain([(*wallet, self.params.wallet_wei)]) {
            let too_much = || DevChainError::Params("more coins than there can be".into());
            self.world.pay(to, wei, &mut journal).ok_or_else(too_much)?;
        }
        Ok(())
    }

    fn first_block(&self, now: u64) -> Block {
        let header = EthHeader {
            parent_hash: [0; 32],
            uncles_hash: NO_UNCLES,
            coinbase: EthAddress::ZERO,
            state_root: self.world.root(),
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            logs_bloom: Box::new([0; BLOOM_BYTES]),
            difficulty: U256::from(self.params.difficulty.start.max(self.params.difficulty.least)),
            number: 0,
            gas_limit: self.params.gas_limit,
            gas_used: 0,
            timestamp: now.saturating_sub(1),
            extra_data: b"Gruve development chain".to_vec(),
            mix_hash: [0; 32],
            nonce: [0; 8],
            later_fields: Vec::new(),
        };
        Block { header, txs: Vec::new(), uncles: Vec::new() }
    }

    fn plant(&mut self, first: &Block, spot: Spot) {
        let index = self.add(first, None, spot);
        self.active.push(index);
        self.journals.push(Journal::new());
    }

    fn add(&mut self, block: &Block, parent: Option<Index>, spot: Spot) -> Index {
        let index = self.known.len();
        let below = parent.map(|p| &self.known[p]);
        let known = Known {
            hash: block.header.hash(),
            header: block.header.clone(),
            parent,
            uncles: block.uncles.iter().map(EthHeader::hash).collect(),
            total: below.map_or(U256::ZERO, |b| b.total).saturating_add(block.header.difficulty),
            spot,
            failed: below.is_some_and(|b| b.failed),
        };
        self.by_hash.insert(known.hash, index);
        self.known.push(known);
        index
    }

    /// A block of the file: checked before it was written; its proof and the clock are not asked
    /// again, the accounts are.
    fn replay(&mut self, spot: Spot) -> Result<(), DevChainError> {
        let block = self.decode(spot)?;
        if self.active.is_empty() {
            if block != self.first_block(block.header.timestamp.saturating_add(1)) {
                return Err(self.damaged("another first block than the rules make"));
            }
            self.plant(&block, spot);
            return Ok(());
        }
        let parent = self.check(&block, None).map_err(|why| self.damaged(why))?;
        self.add(&block, Some(parent), spot);
        self.activate_best().map(drop)
    }

    fn damaged(&self, what: &str) -> DevChainError {
        let path = self.file.path().to_owned();
        DevChainError::Damaged { path, offset: self.file.size(), what: what.to_owned() }
    }

    fn decode(&self, spot: Spot) -> Result<Block, DevChainError> {
        Block::decode(&self.file.read(spot)?).map_err(|e| self.damaged(&e.to_string()))
    }

    pub(super) fn tip(&self) -> &Known {
        &self.known[self.active[self.active.len() - 1]]
    }

    pub(super) fn height(&self) -> u64 {
        self.tip().header.number
    }

    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<Index> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn known(&self, index: Index) -> &Known {
        &self.known[index]
    }

    /// Blocks known, on all branches.
    pub(super) fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// The best chain's block at a height.
    pub(super) fn at_height(&self, height: u64) -> Option<Index> {
        self.active.get(usize::try_from(height).ok()?).copied()
    }

    pub(super) fn is_active(&self, index: Index) -> bool {
        self.at_height(self.known[index].header.number) == Some(index)
    }

    /// Block and place of a transaction of the best chain.
    pub(super) fn place_of(&self, hash: &[u8; 32]) -> Option<(Index, usize)> {
        self.places.get(hash).copied()
    }

    /// A block with all that is in it. The last ones asked for are kept: a follower asks for every
    /// receipt of a block, and reading a block recovers all its signers.
    pub(super) fn block(&self, index: Index) -> Result<Arc<Block>, DevChainError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = recent.iter().find(|(known, _)| *known == index) {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(self.decode(self.known[index].spot)?);
        recent.push_back((index, Arc::clone(&block)));
        if recent.len() > RECENT_MAX {
            recent.pop_front();
        }
        Ok(block)
    }

    /// An account after the block of a height of the best chain.
    pub(super) fn account_at(&self, address: &EthAddress, height: u64) -> Account {
        // The first block above that touched it says what it was before.
        let above = usize::try_from(height).unwrap_or(usize::MAX).saturating_add(1);
        let later = self.journals.get(above..).unwrap_or_default();
        let touched = later.iter().flatten().find(|(touched, _)| touched == address);
        touched.map_or_else(|| self.world.get(address), |(_, before)| *before)
    }

    /// The rules without accounts; gives the parent. `now` asks for the proof of work and for a time
    /// that is not far in the future.
    fn check(&self, block: &Block, now: Option<u64>) -> Result<Index, &'static str> {
        let header = &block.header;
        let parent = self.find(&header.parent_hash).ok_or("unknown ancestor")?;
        let below = &self.known[parent];
        if below.failed {
            return Err("its parent is invalid");
        }
        self.check_header(header, &below.header, !below.uncles.is_empty())?;
        if !block.body_is_the_headers() {
            return Err("transactions or uncles are not the header's");
        }
        self.check_uncles(block, parent)?;
        if let Some(now) = now {
            if header.timestamp > now.saturating_add(self.params.max_future_secs) {
                return Err("block in the future");
            }
            self.seals.check(&self.params, header)?;
        }
        Ok(parent)
    }

    fn check_header(
        &self,
        header: &EthHeader,
        parent: &EthHeader,
        parent_has_uncles: bool,
    ) -> Result<(), &'static str> {
        if parent.number.checked_add(1) != Some(header.number) {
            return Err("invalid block number");
        }
        if header.timestamp <= parent.timestamp {
            return Err("timestamp older than parent");
        }
        let rule = &self.params.difficulty;
        let (from, to) = (parent.timestamp, header.timestamp);
        if header.difficulty != rule.next(parent.difficulty, parent_has_uncles, from, to) {
            return Err("invalid difficulty");
        }
        if header.gas_limit != self.params.gas_limit || header.gas_used > header.gas_limit {
            return Err("invalid gas limit");
        }
        if header.extra_data.len() > EXTRA_BYTES_MAX || !header.later_fields.is_empty() {
            return Err("extra-data too long");
        }
        let no_logs = header.logs_bloom.iter().all(|b| *b == 0);
        if no_logs { Ok(()) } else { Err("logs where no contract runs") }
    }

    /// Uncles are known blocks of other branches, young enough, whose parents are ancestors, and
    /// included once.
    fn check_uncles(&self, block: &Block, parent: Index) -> Result<(), &'static str> {
        if block.uncles.len() > UNCLES_MAX {
            return Err("too many uncles");
        }
        let mut seen = HashSet::new();
        let candidates = self.uncles_for(parent);
        for uncle in &block.uncles {
            let hash = uncle.hash();
            if !seen.insert(hash) {
                return Err("duplicate uncle");
            }
            if !candidates.contains(&hash) {
                return Err("an uncle that may not be included");
            }
        }
        Ok(())
    }

    /// What a block on `parent` may include as uncles.
    pub(super) fn uncles_for(&self, parent: Index) -> Vec<[u8; 32]> {
        let mut ancestors = HashSet::new();
        let mut included = HashSet::new();
        let mut at = Some(parent);
        // One more than the uncles' depth: their parents.
        for _ in 0..=UNCLE_DEPTH_MAX {
            let Some(index) = at else { break };
            let known = &self.known[index];
            ancestors.insert(known.hash);
            included.extend(known.uncles.iter().copied());
            at = known.parent;
        }
        let number = self.known[parent].header.number.saturating_add(1);
        // Blocks come in the order of time: the young ones are the last.
        let young = self.known.iter().rev().take(256).filter(|k| {
            let late = number.saturating_sub(k.header.number);
            (1..=UNCLE_DEPTH_MAX).contains(&late)
                && !ancestors.contains(&k.hash)
                && !included.contains(&k.hash)
                && ancestors.contains(&k.header.parent_hash)
                && k.header.number < number
                && !k.failed
        });
        young.map(|k| k.hash).collect()
    }

    /// Carries out a block on the tip; what it did, or why it cannot. The accounts are as before
    /// when it cannot.
    fn execute(&mut self, block: &Block) -> Result<Journal, &'static str> {
        let mut journal = Journal::new();
        let done = self.execute_into(block, &mut journal);
        match done {
            Ok(()) => Ok(journal),
            Err(why) => {
                self.world.undo(journal);
                Err(why)
            }
        }
    }

    fn execute_into(&mut self, block: &Block, journal: &mut Journal) -> Result<(), &'static str> {
        let header = &block.header;
        self.run(&block.txs, header, &block.uncles, journal)?;
        if header.gas_used != TRANSFER_GAS.saturating_mul(block.txs.len() as u64) {
            return Err("invalid gas used");
        }
        if header.receipts_root != receipts_root(block.txs.len()) {
            return Err("invalid receipt root hash");
        }
        if header.state_root == self.world.root() { Ok(()) } else { Err("invalid merkle root") }
    }

    fn run(
        &mut self,
        txs: &[SignedTx],
        header: &EthHeader,
        uncles: &[EthHeader],
        journal: &mut Journal,
    ) -> Result<(), &'static str> {
        let mut gas_left = header.gas_limit;
        for signed in txs {
            // A transaction is taken only where all the gas it may use has room.
            if signed.tx.gas_limit > gas_left {
                return Err("gas limit reached");
            }
            self.world.carry_out(signed, header.coinbase, &self.params, journal)?;
            gas_left = gas_left.saturating_sub(TRANSFER_GAS);
        }
        let rule = self.params.reward;
        self.world.reward(&rule, header.number, header.coinbase, uncles, journal)
    }

    /// Fills in what follows from the rest of a block on the tip; of its transactions, those that
    /// can be carried out one after the other.
    pub(super) fn complete(
        &mut self,
        header: &mut EthHeader,
        txs: &[&SignedTx],
        uncles: &[EthHeader],
    ) -> Vec<SignedTx> {
        let mut journal = Journal::new();
        let mut chosen: Vec<SignedTx> = Vec::new();
        let mut gas_left = header.gas_limit;
        for signed in txs {
            if signed.tx.gas_limit > gas_left {
                continue;
            }
            let done = self.world.carry_out(signed, header.coinbase, &self.params, &mut journal);
            if done.is_ok() {
                chosen.push((*signed).clone());
                gas_left = gas_left.saturating_sub(TRANSFER_GAS);
            }
        }
        let rule = self.params.reward;
        // Only beyond 2^256 wei could this fail; the block would then be refused.
        let _ = self.world.reward(&rule, header.number, header.coinbase, uncles, &mut journal);
        header.state_root = self.world.root();
        self.world.undo(journal);
        header.transactions_root = transactions_root(&chosen);
        header.receipts_root = receipts_root(chosen.len());
        header.gas_used = TRANSFER_GAS.saturating_mul(chosen.len() as u64);
        header.uncles_hash = uncles_hash(uncles);
        chosen
    }

    /// Takes a block; written before it is answered. An error is the chain's own.
    pub(super) fn submit(
        &mut self,
        block: &Block,
        now: u64,
    ) -> Result<(Verdict, Returned), DevChainError> {
        if self.find(&block.header.hash()).is_some() {
            return Ok((Verdict::Known, Vec::new()));
        }
        let parent = match self.check(block, Some(now)) {
            Ok(parent) => parent,
            Err(why) => return Ok((Verdict::Refused(why), Vec::new())),
        };
        if self.known[parent].hash == self.tip().hash {
            match self.execute(block) {
                // Carried out again below; a block here is a handful of transfers.
                Ok(journal) => self.world.undo(journal),
                Err(why) => return Ok((Verdict::Refused(why), Vec::new())),
            }
        }
        let spot = self.file.append(&Frame::Block(block.encode()), true)?;
        let index = self.add(block, Some(parent), spot);
        let returned = self.activate_best()?;
        let verdict = match (self.is_active(index), self.known[index].failed) {
            (true, _) => Verdict::Best,
            (false, false) => Verdict::Aside,
            (false, true) => Verdict::Refused("it breaks a rule of the accounts"),
        };
        Ok((verdict, returned))
    }

    /// Declares a block invalid, or takes that back; nothing when it is not known or the first.
    pub(super) fn declare(
        &mut self,
        hash: &[u8; 32],
        invalid: bool,
    ) -> Result<Option<Returned>, DevChainError> {
        if self.find(hash).is_none_or(|index| index == 0) {
            return Ok(None);
        }
        let named = BlockHash::from_byte_array(*hash);
        let frame = if invalid { Frame::Invalidate(named) } else { Frame::Reconsider(named) };
        self.file.append(&frame, true)?;
        self.set_failed(hash, invalid);
        self.activate_best().map(Some)
    }

    fn set_failed(&mut self, hash: &[u8; 32], failed: bool) {
        let Some(index) = self.find(hash).filter(|index| *index > 0) else { return };
        self.known[index].failed = failed;
        for i in index + 1..self.known.len() {
            if let Some(parent) = self.known[i].parent.filter(|p| *p >= index) {
                // A branch beside it keeps its own mark.
                let stands_on_it = parent == index || self.stands_on(parent, index);
                if stands_on_it {
                    self.known[i].failed = self.known[parent].failed;
                }
            }
        }
    }

    fn stands_on(&self, mut at: Index, below: Index) -> bool {
        while at > below {
            match self.known[at].parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        at == below
    }

    /// Moves to the good branch with most difficulty; a block that fails on the way marks its branch
    /// and the next best is tried. Ends: each round arrives or marks a block.
    fn activate_best(&mut self) -> Result<Returned, DevChainError> {
        let mut returned = Vec::new();
        loop {
            let tip = self.active[self.active.len() - 1];
            let mut best = if self.known[tip].failed { 0 } else { tip };
            for (i, known) in self.known.iter().enumerate() {
                if !known.failed && known.total > self.known[best].total {
                    best = i;
                }
            }
            if best == tip {
                return Ok(returned);
            }
            let mut path = Vec::new();
            let mut at = best;
            while !self.is_active(at) {
                path.push(at);
                at = self.known[at].parent.ok_or_else(|| self.damaged("two first blocks"))?;
            }
            while self.active[self.active.len() - 1] != at {
                self.retreat(&mut returned)?;
            }
            for index in path.into_iter().rev() {
                let block = self.block(index)?;
                match self.execute(&block) {
                    Ok(journal) => self.advance(index, &block, journal),
                    Err(why) => {
                        tracing::warn!(
                            reason = why,
                            "a branch of the development chain is invalid"
                        );
                        let hash = self.known[index].hash;
                        self.set_failed(&hash, true);
                        break;
                    }
                }
            }
        }
    }

    fn advance(&mut self, index: Index, block: &Block, journal: Journal) {
        for (place, signed) in block.txs.iter().enumerate() {
            self.places.insert(signed.hash, (index, place));
        }
        self.active.push(index);
        self.journals.push(journal);
    }

    /// Takes the tip off.
    fn retreat(&mut self, returned: &mut Returned) -> Result<(), DevChainError> {
        let tip = self.active[self.active.len() - 1];
        let block = self.block(tip)?;
        let Some(journal) = self.journals.pop().filter(|_| self.active.len() > 1) else {
            return Err(self.damaged("nothing to take back"));
        };
        self.active.pop();
        self.world.undo(journal);
        for signed in &block.txs {
            self.places.remove(&signed.hash);
        }
        returned.splice(0..0, block.txs.iter().cloned());
        Ok(())
    }
}
