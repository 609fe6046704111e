//! Random farms, contracts, blocks and orphans for hundreds of epochs, against an independent model.
//!
//! The model knows nothing of the market's code but the rules: it keeps every epoch's shares, walks each
//! block's window piece by piece with exact fractions, and compares what every contract and every outside
//! account has earned, to the last bit of the fixed point. Money is compared too: postings sum to zero, and
//! the reconciliation adds up after every epoch. The accountant forgets everything between epochs, and is
//! now and then cut off in the middle of its work.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::Account;
use gruve_market::{Accountant, ContractState};
use gruve_sharelog::Owner;
use gruve_store::{Store, laws};
use gruve_units::{
    AccountId, Bps, Class, ContractId, Duration, Entropy, EpochNumber, Hashes, SeededEntropy,
    Target,
};
use ruint::aliases::{U256, U1024};
use std::collections::BTreeMap;
use world::{BITS, World, lane, someone};

/// A second network target, eight times as hard.
const HARDER: u32 = 0x1e01_ffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Operator,
    Contract(ContractId),
    Account(AccountId),
}

/// Everything the model knows of an epoch.
#[derive(Default)]
struct Epoch {
    /// Work by owner and network target.
    work: BTreeMap<(Option<AccountId>, u32), u128>,
    /// Units of everyone, once it is closed.
    units: BTreeMap<Who, U256>,
}

struct Block {
    hash: [u8; 32],
    /// The epoch in its stamp, and whether the log names it.
    epoch: EpochNumber,
    in_log: bool,
    height: u64,
    reward: i64,
    seen_in: Option<EpochNumber>,
    live: bool,
}

struct Model {
    epochs: BTreeMap<EpochNumber, Epoch>,
    blocks: Vec<Block>,
    contracts: Vec<(AccountId, ContractId)>,
    random: SeededEntropy,
}

impl Model {
    fn below(&self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % n
    }

    fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Some shares of an owner, told to both.
    fn work(&mut self, w: &World, epoch: EpochNumber, owner: Owner, bits: u32, count: u64) {
        for _ in 0..count {
            let class = u8::try_from(8 + self.below(11)).unwrap();
            w.work_in(epoch, owner, class, 1, bits);
            let account = match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a),
            };
            let work = Class::new(class).unwrap().work().0;
            let of = self.epochs.entry(epoch).or_default();
            *of.work.entry((account, bits)).or_default() += work;
        }
    }

    /// The units of an epoch by the rules: each owner's work at each target, rounded down; the house's in
    /// proportion to what contracts got.
    async fn close(&mut self, w: &World, epoch: EpochNumber) {
        let mut delivered: BTreeMap<ContractId, u128> = BTreeMap::new();
        for (account, id) in &self.contracts {
            let view = w.view(*account, *id).await;
            if let Some(line) = view.epochs.iter().find(|l| l.epoch == epoch) {
                delivered.insert(*id, line.delivered.0);
            }
        }
        let e = self.epochs.entry(epoch).or_default();
        let mut house = U256::ZERO;
        for ((owner, bits), work) in &e.work {
            let target = Target::from_compact(*bits).unwrap();
            // 2^256 / (target + 1), rounded down.
            let hashes = (U1024::from(1) << 256) / (U1024::from(target.0) + U1024::from(1));
            let units = U256::from((U1024::from(*work) << 64) / hashes);
            match owner {
                None => house += units,
                Some(a) => *e.units.entry(Who::Account(*a)).or_default() += units,
            }
        }
        let done: u128 = e.work.iter().filter(|((o, _), _)| o.is_none()).map(|(_, w)| *w).sum();
        let mut rest = house;
        for (id, part) in delivered {
            assert!(part <= done, "more was delivered than done");
            if part > 0 {
                let units = house * U256::from(part) / U256::from(done);
                rest -= units;
                e.units.insert(Who::Contract(id), units);
            }
        }
        e.units.insert(Who::Operator, rest);
    }

    /// What a block pays everyone: the last eight blocks' work before its epoch, walked backwards.
    fn payout(&self, before: EpochNumber, reward: i64) -> BTreeMap<Who, U1024> {
        let one = U1024::from(1) << 64;
        let mut left = one * U1024::from(8);
        // Exact fractions: whole units, and those of the one epoch that counts in part.
        let mut credit: BTreeMap<Who, (U1024, U1024)> = BTreeMap::new();
        let mut part_of = U1024::from(1);
        for (_, e) in self.epochs.range(..before).rev() {
            let total: U1024 = e.units.values().map(|u| U1024::from(*u)).sum();
            if total.is_zero() {
                continue;
            }
            let take = total.min(left);
            for (who, units) in &e.units {
                let c = credit.entry(*who).or_default();
                if take == total {
                    c.0 += U1024::from(*units);
                } else {
                    part_of = total;
                    c.1 += U1024::from(*units) * take;
                }
            }
            left -= take;
            if left.is_zero() {
                break;
            }
        }
        let scale = U1024::from(reward) << 64;
        let pay = |(whole, part): (U1024, U1024)| {
            scale * (whole * part_of + part) / (part_of * one * U1024::from(8))
        };
        credit.into_iter().map(|(who, c)| (who, pay(c))).collect()
    }

    /// What everyone has earned from blocks whose epoch is closed and that are on the chain.
    fn earned(&self, closed: EpochNumber) -> BTreeMap<Who, U1024> {
        let mut all: BTreeMap<Who, U1024> = BTreeMap::new();
        for b in self.blocks.iter().filter(|b| b.live) {
            let Some(seen) = b.seen_in else { continue };
            let known = if b.in_log { b.epoch <= closed } else { seen < closed };
            if known {
                for (who, amount) in self.payout(b.epoch, b.reward) {
                    *all.entry(who).or_default() += amount;
                }
            }
        }
        all
    }
}

/// Some of the epoch's work, in both network's difficulties, by house and others, in any order.
fn mine(m: &mut Model, w: &World, epoch: EpochNumber) {
    for _ in 0..m.below(4) {
        let owner = if m.chance(75) {
            Owner::House
        } else {
            Owner::Account(someone(100 + u8::try_from(m.below(3)).unwrap()))
        };
        let bits = if m.chance(30) { HARDER } else { BITS };
        let count = m.below(9);
        m.work(w, epoch, owner, bits, count);
    }
}

async fn sell(m: &mut Model, w: &World) {
    let account = someone(u8::try_from(m.below(4)).unwrap());
    let rate = u128::from(m.below(40) + 1) * 100;
    let term = [3, 6, 20][usize::try_from(m.below(3)).unwrap()];
    let Ok(contract) = w.buy(account, rate, term).await else { return };
    m.contracts.push((account, contract));
    if m.chance(80) {
        let price = w.view(account, contract).await.price;
        w.fund(account, price.minor).await;
        w.pay(contract).await;
    } else {
        let market = &w.market;
        gruve_store::transact!(w.store, tx -> gruve_market::Result<_> => {
            market.invoice_expired(tx, contract).await
        })
        .unwrap();
    }
}

async fn chain(m: &mut Model, w: &World, height: &mut u64) {
    let now = w.now();
    *height += m.below(3);
    if m.chance(35) {
        *height += 1;
        let in_log = m.chance(85);
        let (hash, h) = if in_log {
            (w.find_block(*height), *height)
        } else {
            let mut hash = [0xee; 32];
            hash[..8].copy_from_slice(&height.to_be_bytes());
            (hash, *height)
        };
        let reward = i64::try_from(m.below(5_000_000_000)).unwrap() + 1;
        m.blocks.push(Block {
            hash,
            epoch: now,
            in_log,
            height: h,
            reward,
            seen_in: None,
            live: true,
        });
    }
    let late = m.chance(30);
    for b in &mut m.blocks {
        // Seen at once or an epoch later; without a record the header's time is that of seeing.
        if b.seen_in.is_none() && b.live && !late {
            b.seen_in = Some(now);
            if !b.in_log {
                b.epoch = now;
            }
            w.see(b.hash, b.height, b.reward).await;
        }
    }
    w.height(*height).await;
    if m.chance(12) && !m.blocks.is_empty() {
        let recent = m.blocks.len().min(6);
        let at = m.blocks.len() - 1 - usize::try_from(m.below(recent as u64)).unwrap();
        let b = &mut m.blocks[at];
        if b.seen_in.is_some() {
            if b.live {
                w.orphan(b.hash).await;
            } else {
                w.see(b.hash, b.height, b.reward).await;
                w.height(*height).await;
            }
            b.live = !b.live;
        }
    }
}

/// Customers take out what they can.
async fn withdraw(m: &Model, w: &World) {
    for n in 0..4 {
        let holds = w.holds(&Account::CustomerAvailable(someone(n))).await;
        let hot = w.holds(&Account::ChainHot).await;
        let most = holds.min(hot);
        if most > 0 && m.chance(20) {
            w.withdraw(someone(n), most).await;
        }
    }
}

async fn account(m: &Model, w: &World) {
    let (market, log) = (w.market.clone(), w.log.clone());
    if m.chance(25) {
        // Cut off at some point: what was begun is rolled back.
        let cut = Duration::from_micros(m.below(3_000));
        let accountant = Accountant::new(market);
        drop(tokio::time::timeout(cut, accountant.catch_up(&lane(), &log)).await);
    }
    w.account().await;
}

async fn compare(m: &Model, w: &World, closed: EpochNumber) {
    let expected = m.earned(closed);
    for (owner, id) in &m.contracts {
        let view = w.view(*owner, *id).await;
        let exact = expected.get(&Who::Contract(*id)).copied().unwrap_or_default();
        assert_eq!(U1024::from(view.earned.0), exact, "contract {id} after epoch {closed}");
        let over = view.state == ContractState::Completed;
        assert_eq!(over, view.delivered == view.bought, "{view:?}");
        if view.state == ContractState::Refunded {
            assert!(view.delivered < view.bought && view.refunded.minor > 0);
        }
    }
    for n in 100..103 {
        let account = someone(n);
        let exact = expected.get(&Who::Account(account)).copied().unwrap_or_default();
        let open = w.market.maturing(account).await.unwrap();
        let open = open.first().map_or(0, |a| a.minor);
        let paid = settled(w, account).await;
        let whole = i64::try_from(exact >> 64).unwrap();
        assert_eq!(paid + open, whole, "account {n} after epoch {closed}");
    }
}

/// What was settled for an outside account, before fees: its balance and the lane's one percent. Outside
/// accounts withdraw nothing here; what was taken back at an orphan may have been the operator's loss.
async fn settled(w: &World, account: AccountId) -> i64 {
    let r = w.market.account_settlements(account, &lane(), 1_000).await.unwrap();
    r.iter().map(|l| l.gross.minor).sum()
}

async fn live(store: Store, seed: u64, epochs: u64) {
    let mut config = world::config();
    config.plans[0].maintenance_minor_per_th_day = 90_000_000_000_000;
    config.lanes[0].settle_every_epochs = 1 + seed % 3;
    config.lanes[0].capacity_reserve_bps = Bps::new(500).unwrap();
    let w = World::with(store, config).await;
    let mut m = Model {
        epochs: BTreeMap::new(),
        blocks: Vec::new(),
        contracts: Vec::new(),
        random: SeededEntropy::new(seed),
    };
    w.job(w.now(), HARDER);
    let mut height = 100;
    for round in 0..epochs {
        let now = w.now();
        mine(&mut m, &w, now);
        if m.contracts.len() < 25 && m.chance(40) {
            sell(&mut m, &w).await;
        }
        chain(&mut m, &w, &mut height).await;
        withdraw(&m, &w).await;
        // Seldom the house is away for a while; otherwise the next epoch's work begins before the seal.
        let sealed = if m.chance(4) {
            w.seal_after(2 + m.below(30))
        } else {
            w.job(now.next(), BITS);
            w.job(now.next(), HARDER);
            mine(&mut m, &w, now.next());
            mine(&mut m, &w, now);
            w.seal()
        };
        w.job(w.now(), HARDER);
        account(&m, &w).await;
        m.close(&w, now).await;
        w.assert_sound().await;
        compare(&m, &w, sealed).await;
        if round % 50 == 49 {
            w.assert_all_sound().await;
        }
    }
    // Enough happened to mean something.
    assert!(m.blocks.len() as u64 > epochs / 6 && m.contracts.len() > 5);
    let work: u128 = m.epochs.range(..w.now()).flat_map(|(_, e)| e.work.values()).sum();
    let closed: u128 = all_epochs(&w).await;
    assert_eq!(work, closed);
    w.assert_all_sound().await;
}

async fn all_epochs(w: &World) -> u128 {
    let rows = w.market.epochs(&lane(), 1_000).await.unwrap();
    rows.iter().map(|e| e.house_work.0 + e.other_work.0).sum::<u128>() + Hashes::ZERO.0
}

async fn hundreds_of_random_epochs_agree_with_the_model(store: Store) {
    live(store, 20_261_121, 200).await;
}

async fn another_farm_agrees_with_the_model(store: Store) {
    live(store, 4, 80).await;
}

laws! {
    model: [hundreds_of_random_epochs_agree_with_the_model, another_farm_agrees_with_the_model]
}
