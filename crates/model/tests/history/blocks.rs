//! Blocks of ours, the public chains they stand in, and prices.

use super::{AUX_HEIGHT, Block, History, SOURCES};
use crate::observed::ASSETS;
use crate::world::{self, BITS, EPOCH_SECS, lane, someone};
use gruve_market::{ChainBlock, Result, RewardSeen};
use gruve_model::{Input, Report};
use gruve_sharelog::{AuxBlockRecord, BlockRecord, Owner, Record};
use gruve_store::transact;
use gruve_units::{Amount, Hashes, Timestamp};

impl History {
    /// A block of one of the chains, of which the log tells or not.
    pub(super) fn find(&mut self, asset: usize) {
        let now = self.w.now();
        let height = self.heights[asset] + 1;
        self.heights[asset] = height;
        self.number += 1;
        let in_log = self.chance(85);
        let mut hash = [0xee - u8::try_from(asset).unwrap(); 32];
        hash[..8].copy_from_slice(&self.number.to_be_bytes());
        let owner = match self.below(4) {
            0 => Owner::Account(someone(100 + u8::try_from(self.below(2)).unwrap())),
            _ => Owner::House,
        };
        if in_log {
            let share = self.w.share(now, owner, 16, BITS);
            let found = BlockRecord { share, block_hash: hash, height, block: vec![1; 100] };
            let record = match asset {
                0 => Record::Block(found),
                _ => Record::AuxBlock(AuxBlockRecord { asset: ASSETS[1], found }),
            };
            self.w.log.append(&[record]).unwrap();
            let owner = match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a.to_bytes()),
            };
            self.inputs.push(Input::Found(hash, now.0, owner));
        }
        let reward = match self.below(3) {
            0 => self.below(3_000) + 1,
            1 => self.below(300_000) + 1,
            _ => self.below(5_000_000_000) + 1,
        };
        let (is_seen, is_live) = (false, true);
        self.figures.blocks += 1;
        self.blocks.push(Block { asset, hash, height, reward, header: 0, is_seen, is_live });
    }

    pub(super) async fn see(&mut self, at: usize) {
        let now = self.w.now().0;
        let b = &mut self.blocks[at];
        if !b.is_seen {
            (b.is_seen, b.header) = (true, now);
        }
        let (asset, hash, height) = (b.asset, b.hash, b.height);
        let amount = Amount::new(ASSETS[asset], i64::try_from(b.reward).unwrap());
        let (reward, header) = (b.reward, b.header);
        let block_time = world::start_of(header);
        let seen = RewardSeen { block_hash: hash, height, amount, block_time };
        let market = self.w.market.clone();
        transact!(self.w.store, tx -> Result<_> => {
            market.reward_seen(tx, &lane(), seen).await
        })
        .unwrap();
        self.inputs.push(Input::Seen(asset, hash, height, reward, header, now));
    }

    pub(super) async fn chains(&mut self) {
        for asset in 0..2 {
            self.heights[asset] += self.below(3);
            if self.chance(25) {
                self.find(asset);
            }
        }
        let late = self.chance(30);
        for at in 0..self.blocks.len() {
            // Seen at once or an epoch later.
            if !self.blocks[at].is_seen && !late {
                self.see(at).await;
            }
        }
        self.tell_heights().await;
        if self.chance(14) && !self.blocks.is_empty() {
            let recent = self.blocks.len().min(9) as u64;
            let at = self.blocks.len() - 1 - usize::try_from(self.below(recent)).unwrap();
            let (seen, live, hash) =
                (self.blocks[at].is_seen, self.blocks[at].is_live, self.blocks[at].hash);
            if seen && live {
                self.w.orphan(hash).await;
                self.inputs.push(Input::Orphaned(hash));
                self.figures.orphaned += 1;
                self.blocks[at].is_live = false;
            } else if seen {
                self.see(at).await;
                self.blocks[at].is_live = true;
                self.tell_heights().await;
            }
        }
    }

    pub(super) async fn tell_heights(&mut self) {
        for (at, asset) in ASSETS.into_iter().enumerate() {
            let (market, height) = (self.w.market.clone(), self.heights[at]);
            transact!(self.w.store, tx -> Result<_> => {
                market.chain_height_of(tx, &lane(), asset, height).await
            })
            .unwrap();
            self.inputs.push(Input::Height(at, height));
        }
    }

    /// The public chains grow to the running epoch and `ahead` more, and sometimes lose their newest blocks first.
    pub(super) async fn follow(&mut self, ahead: u64) {
        for asset in 0..2 {
            self.follow_one(asset, ahead).await;
        }
    }

    pub(super) async fn follow_one(&mut self, asset: usize, ahead: u64) {
        let now = self.w.now().0;
        if self.chance(10) {
            self.tips[asset] -= self.below(3);
        }
        let to = now + ahead + if asset == 1 { AUX_HEIGHT } else { 0 };
        for height in self.tips[asset] + 1..=to {
            // Now the work pays its costs, now nearly, now not.
            let work = [1 << 25, 3 << 25, 1 << 28][usize::try_from(self.below(3)).unwrap()];
            let (subsidy, fees) = (900_000 + self.below(3) * 50_000, self.below(120_000));
            let block = ChainBlock {
                height,
                hash: [u8::try_from(height % 251).unwrap(); 32],
                time: height,
                bits: Some(BITS),
                work: Hashes(work),
                names_uncles: false,
                subsidy: i64::try_from(subsidy).unwrap(),
                fees: i64::try_from(fees).unwrap(),
            };
            let market = self.w.market.clone();
            transact!(self.w.store, tx -> Result<()> => {
                market.chain_block(tx, &lane(), ASSETS[asset], &block).await
            })
            .unwrap();
            self.inputs.push(Input::Chain(asset, height, subsidy, fees, work));
            self.figures.told += 1;
        }
        self.tips[asset] = self.tips[asset].max(to);
    }

    /// Sources tell prices, or fail; sometimes the operator adds a word for an instant that has passed.
    pub(super) async fn prices(&mut self, fails: bool) {
        let now = world::start_of(self.w.now().0);
        for (source, name) in (0_u8..).zip(SOURCES) {
            let late = self.chance(6);
            if !late && (fails || self.chance(30)) {
                continue;
            }
            let back = if late { self.below(20) * EPOCH_SECS * 1_000_000 } else { 0 };
            let within = self.below(EPOCH_SECS * 1_000_000);
            let at =
                Timestamp(now.0 + i64::try_from(within).unwrap() - i64::try_from(back).unwrap());
            // A cheap coin, so that small contracts' dollars are many of its minor units.
            let micro = 2_000 + self.below(7_000);
            let told = i64::try_from(micro).unwrap();
            self.w.market.report_price(name, ASSETS[0], at, told).await.unwrap();
            self.inputs.push(Input::Report(Report { source, at: at.0, micro }));
        }
    }
}
