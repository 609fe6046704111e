//! Blocks: seen, mature, orphaned, shared out.

use super::{Block, BlockState, Model};
use crate::books::Account;
use crate::numbers::{ceil, floor, int, less, power_of_two};
use crate::settlement::SettlementLine;
use crate::window::pay;
use crate::{Who, Wrong};
use num_bigint::{BigInt, Sign};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

impl Model {
    pub(super) fn see(
        &mut self,
        asset: usize,
        hash: [u8; 32],
        height: u64,
        minor: u64,
        header: u64,
        now: u64,
    ) {
        if let Some(b) = self.blocks.iter_mut().find(|b| b.asset == asset && b.hash == hash) {
            if b.state != BlockState::Orphaned {
                return;
            }
            (b.state, b.seen) = (BlockState::Maturing, now);
        } else {
            self.blocks.push(Block {
                asset,
                hash,
                height,
                reward: int(minor),
                header,
                seen: now,
                state: BlockState::Maturing,
                window: None,
                shared: None,
                credited: false,
            });
        }
        let n = int(minor);
        self.books.post(asset, &[(Account::Maturing, n.clone())], &[(Account::Rewards, n)]);
    }

    pub(super) fn mature(&mut self, asset: usize, height: u64) {
        let deep = self.lane.maturity[asset] - u64::from(self.is(Wrong::MaturesEarly));
        for b in &mut self.blocks {
            let is_deep = b.asset == asset && b.height + deep <= height;
            if is_deep && b.state == BlockState::Maturing {
                b.state = BlockState::Mature;
                let n = b.reward.clone();
                self.books.post(asset, &[(Account::Hot, n.clone())], &[(Account::Maturing, n)]);
            }
        }
    }

    pub(super) fn orphan(&mut self, hash: [u8; 32]) {
        let Some(at) = self.blocks.iter().position(|b| b.hash == hash) else { return };
        if self.blocks[at].state == BlockState::Orphaned {
            return;
        }
        let b = &mut self.blocks[at];
        let (shared, credited) = (b.shared.take().unwrap_or_default(), b.credited);
        let (was, asset, reward) = (b.state, b.asset, b.reward.clone());
        (b.state, b.credited) = (BlockState::Orphaned, false);
        for (who, amount) in shared {
            let s = self.standings.entry((asset, who)).or_default();
            s.accrued -= &amount;
            if credited {
                s.matured -= &amount;
                self.take_back(asset, who);
            }
        }
        let credits = if was == BlockState::Mature {
            let there = self.books.of(Account::Hot, asset).max(int(0)).min(reward.clone());
            let missing = &reward - &there;
            vec![(Account::Hot, there), (Account::Reorganisation, missing)]
        } else {
            vec![(Account::Maturing, reward.clone())]
        };
        self.books.post(asset, &[(Account::Rewards, reward)], &credits);
    }

    /// What was settled above what has matured comes back.
    fn take_back(&mut self, asset: usize, who: Who) {
        let earner = self.earner(who);
        let s = self.standings.entry((asset, who)).or_default();
        let over = less(&(&s.settled << 64), &s.matured);
        let round = if self.wrong == Some(Wrong::TakeBackRoundedDown) { floor } else { ceil };
        let gross = round(&over, &(int(1) << 64));
        if gross == int(0) {
            return;
        }
        let net = if self.wrong == Some(Wrong::FeeKeptAtOrphan) {
            gross.clone().min(s.net.clone())
        } else {
            floor(&(&s.net * &gross), &s.settled.clone().max(int(1)))
        };
        let has = self.books.of(earner, asset).max(int(0));
        let bottomless = who == Who::Operator || self.wrong == Some(Wrong::TakeBackBelowZero);
        let held = if bottomless { net.clone() } else { has.min(net.clone()) };
        let fee = &gross - &net;
        s.settled -= &gross;
        s.net -= &net;
        if s.settled == int(0) {
            s.fee_carry = int(0);
        }
        let to = s.lines.last().map_or(0, |l| l.to);
        s.lines.push(SettlementLine {
            from: to,
            to,
            gross: -&gross,
            fee: -&fee,
            maintenance: int(0),
            waived: int(0),
            net: -&net,
        });
        let debits = [(earner, held.clone()), (Account::Loss, net - held), (Account::Revenue, fee)];
        self.books.post(asset, &debits, &[(Account::Rewards, gross)]);
    }

    /// Shares a block's reward out, once its epoch is closed.
    pub(super) fn share_out(&mut self, at: usize, closed: u64) {
        let b = &self.blocks[at];
        if b.state == BlockState::Orphaned || b.shared.is_some() {
            return;
        }
        let before = match (b.window, self.found.get(&b.hash)) {
            (Some(window), _) => window,
            (None, Some((found, _))) if *found <= closed => *found,
            (None, None) if b.seen < closed => b.header.min(closed),
            _ => return,
        };
        let last = before + u64::from(self.is(Wrong::WindowWithOwnEpoch));
        let oldest = before.saturating_sub(self.lane.window_epochs_max);
        let rows = self.closed.iter().rev().filter(|e| **e < last && **e >= oldest);
        let units = rows.map(|e| &self.epochs[e].units[b.asset]);
        let paid = match self.finder(b.hash, before) {
            Some(who) => BTreeMap::from([(who, &b.reward << 64)]),
            None => pay(units, &b.reward, self.wrong),
        };
        let asset = b.asset;
        for (who, amount) in &paid {
            self.standings.entry((asset, *who)).or_default().accrued += amount;
        }
        let b = &mut self.blocks[at];
        (b.window, b.shared) = (Some(before), Some(paid));
    }

    /// Whose a block is under SOLO.
    fn finder(&self, hash: [u8; 32], epoch: u64) -> Option<Who> {
        let (_, owner) = self.found.get(&hash)?;
        if self.wrong == Some(Wrong::SoloShared) {
            return None;
        }
        let e = self.epochs.get(&epoch)?;
        if let Some(owner) = owner {
            return e.solo_owners.contains(owner).then_some(Who::Account(*owner));
        }
        let (_, done) = self.surplus.get(&epoch)?;
        let digest = Sha256::new().chain_update(b"gruve solo 1").chain_update(hash).finalize();
        let place = floor(&(BigInt::from_bytes_be(Sign::Plus, &digest) * done), &power_of_two(256));
        let mut before = int(i32::from(self.wrong == Some(Wrong::SoloPlaceShifted)) * -7_000);
        for (id, work) in &e.solo {
            before += work;
            if place < before {
                return Some(Who::Contract(*id));
            }
        }
        None
    }
}
